#include "services/matching/policy.h"

#define ROW(row_name, key, field, low, high, text)                                         \
  {                                                                                        \
    .name = (row_name), .help = (text), .offset = offsetof(struct matching_policy, field), \
    .min = (low), .max = (high), .number = PD_POLICY_NUMBER_##key                          \
  }

/* Credit for a branch; its number is its place in the plan. */
#define BRANCH_ROW(row_name, place)                                                \
  {                                                                                \
    .name = "branch_" row_name "_m",                                               \
    .help = "Metres of way forgiven to volunteers of the branch " row_name " (0).", \
    .offset = offsetof(struct matching_policy, branch_m[place]), .max = 50000,     \
    .number = PD_POLICY_NUMBER_BRANCH_M, .branch = (place)                         \
  }

#define SKILL_BIT(skill) (1u << (unsigned)PD_SKILL_##skill)

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
    .rest_min = 0,
    .day_max_min = 0,
    .dangerous = 0,
    .professional = SKILL_BIT(NURSING) | SKILL_BIT(LAW) | SKILL_BIT(ELECTRICS) | SKILL_BIT(PSYCH),
    .branch_m = {0},
    .rural_m = 500,
    .mutual_m = 0,
    .mutual_days = 90,
    .coverage_m = 1000,
    .coverage_holes = 20,
    .starved_days = 30,
    .batch_window_ms = 0,
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
    ROW("rest_minutes", REST_MINUTES, rest_min, 0, 1440,
        "Minutes of rest between two services of one volunteer (0)."),
    ROW("day_max_minutes", DAY_MAX_MINUTES, day_max_min, 0, 1440,
        "Minutes of service of one volunteer on one local day (0: as many as fit)."),
    ROW("dangerous", DANGEROUS, dangerous, 0, 1,
        "1: every order counts as dangerous (0): insurance before bodily danger, Art. 17."),
    ROW("rural_m", RURAL_M, rural_m, 0, 50000,
        "Metres of way forgiven where a town or village is in charge of the order (500)."),
    ROW("mutual_m", MUTUAL_M, mutual_m, 0, 50000,
        "Metres of way forgiven to who was helped lately, or helps one who serves (0)."),
    ROW("mutual_days", MUTUAL_DAYS, mutual_days, 1, 3650,
        "Days for which help counts as mutual aid (90)."),
    BRANCH_ROW("theory", 1),
    BRANCH_ROW("civility", 2),
    BRANCH_ROW("education", 3),
    BRANCH_ROW("culture", 4),
    BRANCH_ROW("science", 5),
    BRANCH_ROW("law", 6),
    BRANCH_ROW("sport", 7),
    BRANCH_ROW("health", 8),
    BRANCH_ROW("ecology", 9),
    BRANCH_ROW("emergency", 10),
    ROW("coverage_m", COVERAGE_M, coverage_m, 100, 50000,
        "Metres within which somebody must live for a place to be covered (1000: fifteen minutes "
        "on foot); for all kinds alike."),
    ROW("coverage_holes", COVERAGE_HOLES, coverage_holes, 0, 64,
        "Places without anybody near that coverage_noted lists (20); for all kinds alike."),
    ROW("starved_days", STARVED_DAYS, starved_days, 1, 3650,
        "Days without an invitation after which a volunteer is told of (30); for all kinds alike."),
    ROW("batch_window_ms", BATCH_WINDOW_MS, batch_window_ms, 0, 60000,
        "Milliseconds in which orders gather that are decided together (0: those of one turn); "
        "never emergencies; for all kinds alike."),
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
  memset(rules, 0, sizeof *rules);
  for (unsigned kind = 0; kind < MATCHING_KINDS; kind++) rules->of[kind] = *policy;
}

bool policy_list(struct matching_list *list, const char *name, size_t length) {
  pd_assert(list->count <= MATCHING_LISTED);
  if (list->count == MATCHING_LISTED || length == 0 || length > MATCHING_CATEGORY) return false;
  memcpy(list->names[list->count++], name, length);
  return true;
}

static const struct policy_row *row_of(enum pd_policy_number number, uint32_t branch) {
  for (unsigned i = 0; i < POLICY_ROWS; i++)
    if (policy_rows[i].number == number && policy_rows[i].branch == branch) return &policy_rows[i];
  return NULL;
}

/* A value that is no number of a row: a skill, or a category. */
static void fold_listed(struct matching_rules *rules, const struct pd_policy_value *value) {
  size_t length = strnlen(value->category, MATCHING_CATEGORY + 1);
  uint32_t bit = (uint32_t)value->skill < 32 ? 1u << (uint32_t)value->skill : 0;
  pd_assert(rules->dangerous.count <= MATCHING_LISTED);
  if (value->number == PD_POLICY_NUMBER_DANGEROUS_CATEGORY)
    (void)policy_list(&rules->dangerous, value->category, length);
  if (value->number == PD_POLICY_NUMBER_GENDER_CATEGORY)
    (void)policy_list(&rules->gendered, value->category, length);
  if (value->number != PD_POLICY_NUMBER_PROFESSIONAL || bit <= 1) return;
  for (unsigned kind = 0; kind < MATCHING_KINDS; kind++) {
    uint32_t *skills = &rules->of[kind].professional;
    *skills = value->value != 0 ? *skills | bit : *skills & ~bit;
  }
}

static void fold_value(struct matching_rules *rules, const struct pd_policy_value *value) {
  const struct policy_row *row = row_of(value->number, value->branch);
  if ((unsigned)value->kind >= MATCHING_KINDS) return;
  bool all = value->kind == PD_ORDER_KIND_UNSPECIFIED;
  if (row == NULL && all) fold_listed(rules, value);
  if (row == NULL) return;
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

#define VALUES (POLICY_ROWS * MATCHING_KINDS + 32 + 2 * MATCHING_LISTED)

/* The values of rules, as the contract has them. */
struct values {
  struct pd_policy_value items[VALUES];
  struct pd_policy_value *list[VALUES];
  char names[2 * MATCHING_LISTED][MATCHING_CATEGORY + 1];
  size_t count;
  size_t named;
};

static struct pd_policy_value *add_value(struct values *values, enum pd_policy_number number,
                                         uint32_t number_value) {
  pd_assert(values->count < VALUES);
  struct pd_policy_value *item = &values->items[values->count];
  *item = (struct pd_policy_value)PD_POLICY_VALUE_INIT;
  item->number = number;
  item->value = number_value;
  values->list[values->count++] = item;
  return item;
}

static void add_rows(struct values *values, const struct matching_rules *rules, unsigned kind) {
  for (unsigned i = 0; i < POLICY_ROWS; i++) {
    const struct policy_row *row = &policy_rows[i];
    uint32_t value = policy_get(&rules->of[kind], row);
    pd_assert(value >= row->min && value <= row->max);
    if (kind != 0 && value == policy_get(&rules->of[0], row)) continue;
    struct pd_policy_value *item = add_value(values, row->number, value);
    item->kind = (enum pd_order_kind)kind;
    item->branch = row->branch;
  }
}

/* Each skill that needs a paper, and each that would by default but does not. */
static void add_skills(struct values *values, uint32_t professional) {
  uint32_t left = professional | matching_policy_default.professional;
  pd_assert((left & 1u) == 0);
  for (; left != 0; left &= left - 1) {
    uint32_t skill = (uint32_t)__builtin_ctz(left);
    add_value(values, PD_POLICY_NUMBER_PROFESSIONAL, professional >> skill & 1u)->skill =
        (enum pd_skill)skill;
  }
}

static void add_list(struct values *values, enum pd_policy_number number,
                     const struct matching_list *list) {
  pd_assert(list->count <= MATCHING_LISTED);
  for (uint32_t i = 0; i < list->count; i++) {
    char *name = values->names[values->named++];
    memcpy(name, list->names[i], MATCHING_CATEGORY);
    name[MATCHING_CATEGORY] = 0;
    add_value(values, number, 1)->category = name;
  }
}

void policy_say(struct pd_outbox *out, const struct matching_rules *rules, uint32_t number) {
  struct values values;
  values.count = values.named = 0;
  for (unsigned kind = 0; kind < MATCHING_KINDS; kind++) add_rows(&values, rules, kind);
  add_skills(&values, rules->of[0].professional);
  add_list(&values, PD_POLICY_NUMBER_DANGEROUS_CATEGORY, &rules->dangerous);
  add_list(&values, PD_POLICY_NUMBER_GENDER_CATEGORY, &rules->gendered);
  struct pd_policy_adopted said = PD_POLICY_ADOPTED_INIT;
  said.policy = number;
  said.n_values = values.count;
  said.values = values.list;
  pd_assert(said.n_values >= POLICY_ROWS);
  pd_emit_policy_adopted(out, &said);
}
