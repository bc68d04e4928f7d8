/* paidan-points - the ledger of a district.  Every number of its policy is a setting. */
#include "common/base/calendar.h"
#include "common/io/shell.h"
#include "services/points/points_core.h"

struct settings {
  struct pd_common_config common;
  int64_t minutes_each;
  int64_t points_each;
  int64_t hold_days;
  int64_t star_hours[POINTS_STARS];
};

#define NUMBER(field, name_text, from, to, standard, help_text)                             \
  {.name = name_text, .kind = PD_SETTING_INT, .offset = offsetof(struct settings, field),   \
   .min = from, .max = to, .fallback = standard, .help = help_text}
#define STAR(number, standard)                                                              \
  NUMBER(star_hours[number - 1], "star_" #number "_hours", 1, 100000, standard,             \
         "Hours served that reach star " #number "; each star needs more than the one before.")

static const struct pd_setting rows[] = {
    NUMBER(minutes_each, "minutes_each", 1, 1440, "30",
           "Full spans of so many confirmed minutes are worth points."),
    NUMBER(points_each, "points_each", 0, 1000, "1", "Points for each such span."),
    NUMBER(hold_days, "hold_days", 1, 366, "30", "Days that a hold waits for its decision."),
    STAR(1, "100"), STAR(2, "300"), STAR(3, "600"), STAR(4, "1000"), STAR(5, "1500"),
};

static const void *policy_of(const void *config) {
  static struct points_policy policy;
  const struct settings *settings = config;
  policy = points_policy_default;
  policy.minutes_each = settings->minutes_each;
  policy.points_each = settings->points_each;
  policy.hold_ms = settings->hold_days * PD_DAY_MS;
  for (int star = 0; star < POINTS_STARS; star++)
    policy.star_minutes[star] = settings->star_hours[star] * 60;
  return &policy;
}

int main(int argc, char **argv) {
  const struct pd_service service = {
      .core = &points_core,
      .linger_ms = 20,
      .niceness = 5,
      .summary = "Keeps the double-entry ledger of hours and points.",
      .settings = rows,
      .settings_count = sizeof rows / sizeof rows[0],
      .config_size = sizeof(struct settings),
      .policy = policy_of,
  };
  return pd_shell_main(argc, argv, &service);
}
