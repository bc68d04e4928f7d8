#include "services/matching/policy.h"

#define ROW(row_name, key, field, low, high, text)                                         \
  {                                                                                        \
    .name = (row_name), .help = (text), .offset = offsetof(struct matching_policy, field), \
    .min = (low), .max = (high), .number = PD_POLICY_NUMBER_##key                          \
  }

const struct matching_policy matching_policy_default = {
    .offers_per_slot = 3,
    .wave_max = MATCHING_WAVE_MAX,
    .ttl_min = {60, 60, 30, 15, 15},
    .lead_min = 15,
    .reach_m = 50000,
    .horizon_h = 24 * 14,
    .scan_max = 20000,
    .tally_max = 4000000,
    .rule_own_order = 1,
    .rule_not_vetted = 1,
    .adults_only = 0,
    .candidates = 64,
    .fairness_m = 100,
    .continuity_m = 1000,
    .rare_skill_m = 300,
    .rare_permille = 20,
    .fill_percent = 200,
    .hall = 1,
    .phase_offers = 4,
    .phase_ring_m = 1000,
    .phase_minutes = 3,
};

const struct policy_row policy_rows[POLICY_ROWS] = {
    ROW("offers_per_slot", OFFERS_PER_SLOT, offers_per_slot, 1, 64,
        "Invitations for each free slot of a wave (3); no more than wave_max."),
    ROW("wave_max", WAVE_MAX, wave_max, 1, MATCHING_WAVE_MAX,
        "Invitations of one wave at most (64)."),
    ROW("ttl_routine_minutes", TTL_ROUTINE_MINUTES, ttl_min[PD_URGENCY_ROUTINE], 1, 10080,
        "Minutes that a routine offer stays open (60): answered promptly, Art. 13."),
    ROW("ttl_soon_minutes", TTL_SOON_MINUTES, ttl_min[PD_URGENCY_SOON], 1, 10080,
        "Minutes that an offer of urgency soon stays open (30)."),
    ROW("ttl_urgent_minutes", TTL_URGENT_MINUTES, ttl_min[PD_URGENCY_URGENT], 1, 10080,
        "Minutes that an urgent offer stays open (15)."),
    ROW("ttl_emergency_minutes", TTL_EMERGENCY_MINUTES, ttl_min[PD_URGENCY_EMERGENCY], 1, 10080,
        "Minutes that an emergency offer stays open (15)."),
    ROW("lead_minutes", LEAD_MINUTES, lead_min, 1, 1440,
        "Minutes from now to the earliest start that is proposed (15)."),
    ROW("reach_m", REACH_M, reach_m, 1, 50000, "Metres within which people are looked at (50000)."),
    ROW("horizon_hours", HORIZON_HOURS, horizon_h, 1, 8760,
        "Hours after the earliest start in which one is looked for (336)."),
    ROW("scan_max", SCAN_MAX, scan_max, 1, 1000000,
        "People looked at for one wave at most (20000)."),
    ROW("tally_max", TALLY_MAX, tally_max, 0, 100000000,
        "People counted in one turn to explain unmatched orders (4000000); for all kinds alike."),
    ROW("rule_own_order", RULE_OWN_ORDER, rule_own_order, 0, 1,
        "1: nobody is invited to an own order (1)."),
    ROW("rule_not_vetted", RULE_NOT_VETTED, rule_not_vetted, 0, 1,
        "1: sensitive orders go to vetted volunteers only (1): tasks fit the person, Art. 15."),
    ROW("adults_only", ADULTS_ONLY, adults_only, 0, 1,
        "1: no minors are invited (0); emergencies and rescue never invite them, Art. 15."),
    ROW("candidates", CANDIDATES, candidates, 1, 4096,
        "Nearest eligible people whose costs are compared for one wave (64)."),
    ROW("fairness_m", FAIRNESS_M, fairness_m, 0, 50000,
        "Metres of way that the square of the recent offers counts (100); halved every week."),
    ROW("continuity_m", CONTINUITY_M, continuity_m, 0, 50000,
        "Metres of way forgiven to who served this resident last (1000)."),
    ROW("rare_skill_m", RARE_SKILL_M, rare_skill_m, 0, 50000,
        "Metres of way that each rare skill counts which the order does not need (300)."),
    ROW("rare_permille", RARE_PERMILLE, rare_permille, 0, 1000,
        "A skill is rare when at most so many of 1,000 active volunteers have it (20)."),
    ROW("fill_percent", FILL_PERCENT, fill_percent, 0, 1000,
        "Acceptances that a wave is sized for, in percent of its free slots (200); 0: always "
        "offers_per_slot."),
    ROW("hall", HALL, hall, 0, 1,
        "1: open orders may be asked for in the hall (1); emergencies and sensitive orders never."),
    ROW("phase_offers", PHASE_OFFERS, phase_offers, 1, MATCHING_WAVE_MAX,
        "Of an emergency: invitations of one phase for each free slot (4); no more than wave_max."),
    ROW("phase_ring_m", PHASE_RING_M, phase_ring_m, 100, 50000,
        "Of an emergency: metres by which each phase looks farther (1000)."),
    ROW("phase_minutes", PHASE_MINUTES, phase_minutes, 1, 1440,
        "Of an emergency: minutes from one phase to the next (3); the earlier offers stay open."),
};

uint32_t policy_get(const struct matching_policy *policy, const struct policy_row *row) {
  uint32_t value;
  pd_assert(row->offset + sizeof value <= sizeof *policy);
  memcpy(&value, (const char *)policy + row->offset, sizeof value);
  return value;
}

void policy_set(struct matching_policy *policy, const struct policy_row *row, uint32_t value) {
  pd_assert(row->offset + sizeof value <= sizeof *policy && row->min <= row->max);
  uint32_t within = value < row->min ? row->min : value > row->max ? row->max : value;
  memcpy((char *)policy + row->offset, &within, sizeof within);
  policy->ttl_min[PD_URGENCY_UNSPECIFIED] = policy->ttl_min[PD_URGENCY_ROUTINE];
}

void policy_fill(struct matching_rules *rules, const struct matching_policy *policy) {
  pd_assert(policy->wave_max > 0 && policy->wave_max <= MATCHING_WAVE_MAX);
  for (unsigned kind = 0; kind < MATCHING_KINDS; kind++) rules->of[kind] = *policy;
}

static const struct policy_row *row_of(enum pd_policy_number number) {
  for (unsigned i = 0; i < POLICY_ROWS; i++)
    if (policy_rows[i].number == number) return &policy_rows[i];
  return NULL;
}

static void fold_value(struct matching_rules *rules, const struct pd_policy_value *value) {
  const struct policy_row *row = row_of(value->number);
  if (row == NULL || (unsigned)value->kind >= MATCHING_KINDS) return;
  bool all = value->kind == PD_ORDER_KIND_UNSPECIFIED;
  for (unsigned kind = 0; kind < MATCHING_KINDS; kind++)
    if (all || kind == (unsigned)value->kind) policy_set(&rules->of[kind], row, value->value);
}

void policy_fold(struct matching_rules *rules, const struct pd_policy_adopted *said) {
  policy_fill(rules, &matching_policy_default);
  for (size_t i = 0; i < said->n_values; i++)
    if (said->values[i]->kind == PD_ORDER_KIND_UNSPECIFIED) fold_value(rules, said->values[i]);
  for (size_t i = 0; i < said->n_values; i++)
    if (said->values[i]->kind != PD_ORDER_KIND_UNSPECIFIED) fold_value(rules, said->values[i]);
}

void policy_say(struct pd_outbox *out, const struct matching_rules *rules, uint32_t number) {
  struct pd_policy_value items[POLICY_ROWS * MATCHING_KINDS];
  struct pd_policy_value *list[POLICY_ROWS * MATCHING_KINDS];
  struct pd_policy_adopted said = PD_POLICY_ADOPTED_INIT;
  said.policy = number;
  said.values = list;
  for (unsigned kind = 0; kind < MATCHING_KINDS; kind++) {
    for (unsigned i = 0; i < POLICY_ROWS; i++) {
      const struct policy_row *row = &policy_rows[i];
      uint32_t value = policy_get(&rules->of[kind], row);
      if (kind != 0 && value == policy_get(&rules->of[0], row)) continue;
      struct pd_policy_value *item = &items[said.n_values];
      *item = (struct pd_policy_value)PD_POLICY_VALUE_INIT;
      item->number = row->number;
      item->kind = (enum pd_order_kind)kind;
      item->value = value;
      list[said.n_values++] = item;
    }
  }
  pd_assert(said.n_values >= POLICY_ROWS);
  pd_emit_policy_adopted(out, &said);
}
