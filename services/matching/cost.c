#include "services/matching/cost.h"

#include "common/base/calendar.h"
#include "services/matching/emergency.h"

#define LOAD_ONE STATE_LOAD_ONE
#define FAIRNESS_MAX 16777216 /* metres */
#define SKILL_LAST PD_SKILL_SIGN_LANGUAGE

/* Bits of the skills that at most rare_permille of the active volunteers have. */
static uint32_t rare_skills(const struct matching *self, const struct matching_policy *policy) {
  uint32_t mask = 0;
  uint64_t most = self->facts->active * policy->rare_permille;
  pd_assert(self->facts->active <= self->facts->volunteers);
  if (policy->rare_skill_m == 0) return 0;
  for (unsigned skill = 1; skill <= SKILL_LAST; skill++) {
    uint64_t have = self->facts->skilled[skill];
    if (have > 0 && have * 1000 <= most) mask |= 1u << skill;
  }
  return mask;
}

/* The most that is forgiven to anybody, beside continuity. */
static int64_t other_credit(const struct order *order, const struct matching_policy *policy) {
  uint32_t branch = 0;
  for (unsigned i = 0; i < MATCHING_BRANCHES; i++)
    if (policy->branch_m[i] > branch) branch = policy->branch_m[i];
  pd_assert(order->id != 0);
  return (int64_t)branch + policy->mutual_m + (order->rural ? policy->rural_m : 0);
}

static bool serves_since(const struct matching *self, const struct pd_id *person, int64_t since) {
  uint32_t number = state_volunteer(self, person);
  pd_assert(number == PD_NONE || number < self->facts->volunteers);
  return number != PD_NONE && self->volunteers[number].done_end_ms > since;
}

struct costs costs_begin(const struct matching *self, const struct order *order, int64_t now_ms) {
  static const struct matching_policy nearest = {.candidates = 1}; /* nothing but the way counts */
  const struct matching_policy *policy = state_policy(self, order);
  pd_assert(order->id != 0 && policy->candidates > 0);
  if (emergency_is(order)) policy = &nearest;
  bool known = !pd_id_is_zero(&order->requester) && state_served_by(self, &order->requester) > 0;
  uint32_t continuity_m = known ? policy->continuity_m : 0;
  int64_t since_ms = now_ms - policy->mutual_days * PD_DAY_MS;
  if (since_ms < 0) since_ms = 0;
  return (struct costs){.self = self,
                        .order = order,
                        .policy = policy,
                        .week = pd_week_number(now_ms, self->zone_min),
                        .since_ms = since_ms,
                        .credit_m = continuity_m + other_credit(order, policy),
                        .rare = rare_skills(self, policy) & ~order->skills,
                        .continuity_m = continuity_m,
                        .serves = serves_since(self, &order->requester, since_ms)};
}

/* Who was helped helps, and who helps is helped. */
static int64_t mutual_credit(const struct costs *costs, const struct volunteer *volunteer) {
  pd_assert(costs->since_ms >= 0);
  bool helped = volunteer->helped_ms > costs->since_ms;
  return helped || costs->serves ? costs->policy->mutual_m : 0;
}

static int64_t branch_credit(const struct costs *costs, const struct volunteer *volunteer) {
  pd_assert(volunteer->branch < MATCHING_BRANCHES);
  return costs->policy->branch_m[volunteer->branch];
}

/* The same for everybody: it counts where orders compete for the same people. */
static int64_t rural_credit(const struct costs *costs) {
  return costs->order->rural ? costs->policy->rural_m : 0;
}

/* Convex in the load; what would be farther than round the earth is all the same. */
static int64_t fairness_of(const struct matching_policy *policy, int64_t load) {
  int64_t cost_m = policy->fairness_m * load * load / (LOAD_ONE * LOAD_ONE);
  pd_assert(cost_m >= 0);
  return cost_m < FAIRNESS_MAX ? cost_m : FAIRNESS_MAX;
}

uint32_t costs_rise_m(const struct matching *self, uint32_t number, int64_t week, uint32_t more) {
  const struct matching_policy *policy = state_policy_for_all(self);
  pd_assert(number < self->facts->volunteers);
  int64_t load = state_load(self, &self->volunteers[number], week);
  return (uint32_t)(fairness_of(policy, load + LOAD_ONE * (int64_t)more) -
                    fairness_of(policy, load));
}

struct matching_cost costs_of(const struct costs *costs, uint32_t number, uint32_t distance_m) {
  const struct matching *self = costs->self;
  const struct matching_policy *policy = costs->policy;
  pd_assert(number < self->facts->volunteers);
  const struct volunteer *volunteer = &self->volunteers[number];
  int64_t load = state_load(self, volunteer, costs->week);
  struct matching_cost cost = {.way_m = distance_m,
                               .branch_m = branch_credit(costs, volunteer),
                               .rural_m = rural_credit(costs),
                               .mutual_m = mutual_credit(costs, volunteer)};
  cost.fairness_m = fairness_of(policy, load);
  if (costs->continuity_m != 0 && pd_id_equal(&volunteer->served, &costs->order->requester))
    cost.continuity_m = costs->continuity_m;
  uint32_t wasted = (uint32_t)__builtin_popcount(volunteer->skills & costs->rare);
  cost.rare_m = (int64_t)policy->rare_skill_m * wasted;
  cost.total_m = cost.way_m + cost.fairness_m + cost.rare_m - cost.continuity_m - cost.branch_m -
                 cost.rural_m - cost.mutual_m;
  return cost;
}

int64_t costs_least_m(const struct costs *costs, uint32_t distance_m) {
  pd_assert(costs->order->id != 0 && costs->credit_m >= 0);
  return (int64_t)distance_m - costs->credit_m;
}

bool costs_matter(const struct costs *costs) {
  pd_assert(costs->credit_m >= costs->continuity_m);
  return costs->policy->fairness_m != 0 || costs->rare != 0 ||
         costs->credit_m != rural_credit(costs);
}
