/* paidan-scheduling - the deadlines of a district.  Every number of its policy is a setting. */
#include "common/base/calendar.h"
#include "common/io/shell.h"
#include "services/scheduling/scheduling_core.h"

struct settings {
  struct pd_common_config common;
  int64_t retry_min;
  int64_t retry_max;
  int64_t retry_divisor;
  int64_t institute_percent;
  int64_t center_percent;
  int64_t service_grace;
  int64_t confirm_reminder;
  int64_t confirmation;
  int64_t rating;
  int64_t start_reminder;
  int64_t no_show;
};

/* Up to a year, in minutes. */
#define YEAR_MIN (366 * 1440)
#define MINUTES(field, name_text, from, standard, help_text)                                \
  {.name = name_text, .kind = PD_SETTING_INT, .offset = offsetof(struct settings, field),   \
   .min = from, .max = YEAR_MIN, .fallback = standard, .help = help_text}
#define PERCENT(field, name_text, standard, help_text)                                      \
  {.name = name_text, .kind = PD_SETTING_INT, .offset = offsetof(struct settings, field),   \
   .min = 0, .max = 100, .fallback = standard, .help = help_text}

static const struct pd_setting rows[] = {
    MINUTES(retry_min, "retry_min_minutes", 1, "10",
            "Minutes before an unmatched order is tried again, at least."),
    MINUTES(retry_max, "retry_max_minutes", 1, "60",
            "Minutes before an unmatched order is tried again, at most."),
    {.name = "retry_divisor", .kind = PD_SETTING_INT,
     .offset = offsetof(struct settings, retry_divisor), .min = 1, .max = 1000, .fallback = "4",
     .help = "An unmatched order is tried again after one part in so many of the time left."},
    PERCENT(institute_percent, "institute_percent", "50",
            "Percent of the way to the latest start after which the institute is told."),
    PERCENT(center_percent, "center_percent", "75",
            "Percent of the way to the latest start after which the centre is told."),
    MINUTES(service_grace, "service_grace_minutes", 0, "60",
            "Minutes after window and length until a service that is not finished is given up."),
    MINUTES(confirm_reminder, "confirm_reminder_minutes", 0, "1440",
            "Minutes after the service until the resident is reminded to confirm."),
    MINUTES(confirmation, "confirmation_minutes", 1, "10080",
            "Minutes after the service until it is too late to confirm."),
    MINUTES(rating, "rating_minutes", 1, "10080",
            "Minutes after the confirmation until it is too late to rate."),
    MINUTES(start_reminder, "start_reminder_minutes", 0, "60",
            "Minutes before the booked start when the volunteer is reminded."),
    MINUTES(no_show, "no_show_minutes", 0, "30",
            "Minutes after the booked start when a volunteer who has not started is given up."),
};

static const void *policy_of(const void *config) {
  static struct scheduling_policy policy;
  const struct settings *settings = config;
  policy = scheduling_policy_default;
  policy.retry_min_ms = settings->retry_min * PD_MINUTE_MS;
  policy.retry_max_ms = settings->retry_max * PD_MINUTE_MS;
  policy.retry_divisor = settings->retry_divisor;
  policy.institute_percent = settings->institute_percent;
  policy.center_percent = settings->center_percent;
  policy.service_grace_ms = settings->service_grace * PD_MINUTE_MS;
  policy.confirm_reminder_ms = settings->confirm_reminder * PD_MINUTE_MS;
  policy.confirmation_ms = settings->confirmation * PD_MINUTE_MS;
  policy.rating_ms = settings->rating * PD_MINUTE_MS;
  policy.start_reminder_ms = settings->start_reminder * PD_MINUTE_MS;
  policy.no_show_ms = settings->no_show * PD_MINUTE_MS;
  return &policy;
}

int main(int argc, char **argv) {
  const struct pd_service service = {
      .core = &scheduling_core,
      .linger_ms = 5,
      .summary = "Says when a wave, an order or a booking has run out of time, and reminds.",
      .settings = rows,
      .settings_count = sizeof rows / sizeof rows[0],
      .config_size = sizeof(struct settings),
      .policy = policy_of,
  };
  return pd_shell_main(argc, argv, &service);
}
