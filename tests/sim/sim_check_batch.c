/* Whom the matcher invites: the sum of the costs of what is decided together is the least, by a
 * reckoning of its own. */
#include "tests/sim/sim_judge.h"

#include <math.h>
#include <string.h>

/* Recent offers as seen in a week. */
static uint32_t load_in(const struct view_person *person, int64_t week) {
  int64_t weeks = week - person->load_week;
  if (weeks <= 0) return person->load;
  return weeks < 32 ? person->load >> weeks : 0;
}

void judge_note_load(struct judge *judge, uint32_t person, int64_t time_ms) {
  struct view_person *who = &judge->view.persons[person];
  int64_t week = view_hour(time_ms) / 168;
  uint32_t load = load_in(who, week) + 16;
  who->load = load < 1024 ? load : 1024;
  who->load_week = week;
}

static void begin_batch(struct judge *judge, int64_t now_ms) {
  struct judge_batch *batch = &judge->batch;
  int64_t week = view_hour(now_ms) / 168;
  *batch = (struct judge_batch){.open = true, .last_offer = judge->last_offer, .now_ms = now_ms};
  for (uint32_t i = 0; i < judge->view.person_count; i++) {
    batch->load[i] = load_in(&judge->view.persons[i], week);
    batch->open_offers[i] = judge->view.persons[i].open_offers;
  }
  uint64_t asked = 0;
  for (uint64_t i = 1; i <= judge->last_offer; i++) {
    const struct view_order *order = view_order(&judge->view, judge->view.offers[i].order);
    asked += order != NULL && !order->closed;
  }
  batch->asked = asked;
}

void judge_join_batch(struct judge *judge, const struct pd_event *event,
                      const struct view_order *order, bool full) {
  bool emergency =
      order->urgency == PD_URGENCY_EMERGENCY || order->kind == PD_ORDER_KIND_EMERGENCY;
  if (emergency) { /* decided alone: the nearest */
    judge_end_batch(judge, event);
    return;
  }
  if (!judge->batch.open) begin_batch(judge, event->time_ms);
  struct judge_batch *batch = &judge->batch;
  const struct pd_limits *limits = &judge->view.sim->limits;
  uint32_t wanted = judge_most_offers(judge, order);
  batch->open_before = batch->orders == 0 ? judge->open_offers : batch->open_before;
  batch->all_wanted += wanted;
  bool tight = batch->open_before + batch->all_wanted > limits->offers ||
               batch->asked + batch->all_wanted > limits->asked;
  batch->skipped = batch->skipped || full || tight || batch->orders == BATCH_ORDERS;
  if (batch->skipped) return;
  batch->number[batch->orders] = order->number;
  batch->wanted[batch->orders++] = wanted;
}

void judge_note_invited(struct judge *judge, uint32_t person, uint32_t distance_m) {
  struct judge_batch *batch = &judge->batch;
  if (!batch->open || batch->skipped || batch->orders == 0) return;
  batch->invited[batch->offers].order = batch->orders - 1;
  batch->invited[batch->offers].person = person;
  batch->invited[batch->offers++].distance_m = distance_m;
}

static uint64_t rare_skills(const struct view *view) {
  uint64_t rare = 0, active = 0, have[32] = {0};
  for (uint32_t i = 0; i < view->person_count; i++) {
    const struct view_person *person = &view->persons[i];
    if (!person->volunteer || person->paused || person->exited) continue;
    active++;
    for (uint32_t skill = 1; skill < 32; skill++) have[skill] += person->skills >> skill & 1;
  }
  for (uint32_t skill = 1; skill < 32; skill++)
    if (have[skill] > 0 && have[skill] * 1000 <= active * 20) rare |= UINT64_C(1) << skill;
  return rare;
}

static int64_t cost_of(const struct judge *judge, const struct view_order *order, uint32_t person,
                       uint32_t distance_m, uint64_t rare) {
  const struct view_person *who = &judge->view.persons[person];
  int64_t wasted = __builtin_popcountll(who->skills & rare & ~order->skills);
  int64_t credit = who->served == order->requester + 1 ? 1000 : 0;
  return distance_m + sim_batch_fairness(judge->batch.load[person]) + 300 * wasted - credit;
}

/* Could this person be invited for certain, by all that is known here? */
static bool is_candidate(const struct judge *judge, const struct view_order *order,
                         uint32_t person) {
  int64_t start = judge->batch.now_ms + LEAD;
  if (start < order->from_ms) start = order->from_ms;
  const struct view_person *who = &judge->view.persons[person];
  if (who->ever_booked || start > view_latest(order)) return false;
  if (judge->batch.open_offers[person] >= judge->view.sim->limits.offers_each) return false;
  for (uint64_t i = 1; i <= judge->batch.last_offer; i++)
    if (judge->view.offers[i].order == order->number && judge->view.offers[i].person == person)
      return false;
  uint64_t waived = BIT(ALREADY_ASKED) | BIT(TOO_MANY_OFFERS);
  int64_t end = start + order->minutes * MINUTE;
  return judge_objection(judge, order, person, waived, judge->batch.now_ms) == NULL &&
         judge_objection_to_time(judge, order, person, start, end, 0) == NULL;
}

/* The batch as a problem of its own; the invitations of the matcher are in it. */
static uint32_t state_batch(const struct judge *judge, struct sim_batch *as) {
  const struct judge_batch *batch = &judge->batch;
  uint64_t rare = rare_skills(&judge->view);
  uint32_t most = 0;
  as->orders = batch->orders;
  as->people = judge->view.person_count;
  memset(as->invited, 0, sizeof as->invited);
  for (uint32_t j = 0; j < as->people; j++) {
    as->load[j] = batch->load[j];
    as->room[j] = judge->view.sim->limits.offers_each - batch->open_offers[j];
  }
  for (uint32_t i = 0; i < as->orders; i++) {
    const struct view_order *order = view_order(&judge->view, batch->number[i]);
    static const int64_t urgent[5] = {1, 1, 2, 3, 4};
    uint32_t candidates = 0;
    as->wanted[i] = batch->wanted[i];
    as->empty[i] = urgent[order->urgency] * (INT64_C(1) << 26);
    for (uint32_t j = 0; j < as->people; j++) {
      bool certain = is_candidate(judge, order, j);
      uint32_t distance_m = (uint32_t)ceil(judge_metres(order, &judge->view.persons[j]));
      as->cost[i][j] = certain ? cost_of(judge, order, j, distance_m, rare) : BATCH_NEVER;
      candidates += certain;
    }
    most = candidates > most ? candidates : most;
  }
  for (uint32_t k = 0; k < batch->offers; k++) {
    uint32_t i = batch->invited[k].order, j = batch->invited[k].person;
    const struct view_order *order = view_order(&judge->view, batch->number[i]);
    as->invited[i][j] = true;
    as->cost[i][j] = cost_of(judge, order, j, batch->invited[k].distance_m, rare);
  }
  return most;
}

void judge_end_batch(struct judge *judge, const struct pd_event *event) {
  static struct sim_batch as;
  struct judge_batch *batch = &judge->batch;
  bool looked_at = batch->open && !batch->skipped && batch->orders > 0;
  batch->open = false;
  if (!looked_at || state_batch(judge, &as) > 50) return; /* the matcher compares 64 */
  int64_t cost = sim_batch_cost(&as);
  sim_batch_solve(&as);
  int64_t best = sim_batch_cost(&as);
  /* A distance may be rounded another way. */
  FAIL_UNLESS(judge, cost <= best + (int64_t)batch->offers, event,
              "optimum: %u orders from %llu invite for %lld m, which could be %lld m",
              batch->orders, (unsigned long long)batch->number[0], (long long)cost,
              (long long)best);
}

