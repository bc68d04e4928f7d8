/* paidan-matching - who is invited to take an order. */
#include "common/io/shell.h"
#include "services/matching/matching_core.h"

#define TTL_COUNT 4

struct matching_config {
  struct pd_common_config common;
  uint64_t offers_per_slot;
  uint64_t wave_max;
  uint64_t ttl_min[TTL_COUNT]; /* by enum Urgency, from routine on */
  uint64_t lead_min;
  uint64_t reach_m;
  uint64_t horizon_h;
  uint64_t scan_max;
  uint64_t tally_max;
};

/* The defaults are those of matching_policy_default. */
#define ROW(row_name, field, low, high, text, row_help)                        \
  {                                                                            \
    .name = row_name, .kind = PD_SETTING_UINT, .min = (low), .max = (high),    \
    .offset = offsetof(struct matching_config, field), .fallback = (text),     \
    .help = (row_help)                                                         \
  }

static const struct pd_setting settings[] = {
    ROW("offers_per_slot", offers_per_slot, 1, 64, "3",
        "Invitations for each free slot of a wave."),
    ROW("wave_max", wave_max, 1, MATCHING_WAVE_MAX, "64", "Invitations of one wave at most."),
    ROW("ttl_routine_minutes", ttl_min[0], 1, 10080, "60",
        "Minutes that a routine offer stays open."),
    ROW("ttl_soon_minutes", ttl_min[1], 1, 10080, "60",
        "Minutes that an offer of urgency soon stays open."),
    ROW("ttl_urgent_minutes", ttl_min[2], 1, 10080, "30",
        "Minutes that an urgent offer stays open."),
    ROW("ttl_emergency_minutes", ttl_min[3], 1, 10080, "15",
        "Minutes that an emergency offer stays open."),
    ROW("lead_minutes", lead_min, 1, 1440, "15",
        "Minutes from now to the earliest start that is proposed."),
    ROW("reach_m", reach_m, 1, 50000, "50000", "Metres within which volunteers are looked at."),
    ROW("horizon_hours", horizon_h, 1, 8760, "336",
        "Hours after the earliest start in which one is looked for."),
    ROW("scan_max", scan_max, 1, 1000000, "20000", "People looked at for one wave at most."),
    ROW("tally_max", tally_max, 0, 100000000, "4000000",
        "People counted in one turn to explain unmatched orders."),
};

/* A district has one matcher in a process, so its policy may stand here. */
static const void *policy(const void *config) {
  static struct matching_policy made;
  const struct matching_config *from = config;
  made = (struct matching_policy){
      .offers_per_slot = (uint32_t)from->offers_per_slot,
      .wave_max = (uint32_t)from->wave_max,
      .ttl_min = {(uint32_t)from->ttl_min[0], (uint32_t)from->ttl_min[0],
                  (uint32_t)from->ttl_min[1], (uint32_t)from->ttl_min[2],
                  (uint32_t)from->ttl_min[3]},
      .lead_min = (uint32_t)from->lead_min,
      .reach_m = (uint32_t)from->reach_m,
      .horizon_h = (uint32_t)from->horizon_h,
      .scan_max = (uint32_t)from->scan_max,
      .tally_max = (uint32_t)from->tally_max,
  };
  return &made;
}

int main(int argc, char **argv) {
  const struct pd_service service = {
      .core = &matching_core,
      .summary = "Invites volunteers to orders in waves; the first acceptance wins a slot.",
      .settings = settings,
      .settings_count = sizeof settings / sizeof settings[0],
      .config_size = sizeof(struct matching_config),
      .policy = policy,
  };
  return pd_shell_main(argc, argv, &service);
}
