#include "services/matching/batch.h"

#include "services/matching/cost.h"
#include "services/matching/emergency.h"
#include "services/matching/nearby.h"

#define CANDIDATES_EACH 32u  /* room for so many of each order the shard may hold ... */
#define CANDIDATES_MAX  4096u /* ... and for one order with all that a policy may wish */
#define LIFT 262144 /* added to every cost, since credits may take it below nothing */
#define EMPTY ((uint32_t)1 << 26) /* of a place left empty: more than any cost */
#define ROUNDS 6 /* of looking a little farther; then as far as an order may */

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

struct batch *batch_init(struct pd_arena *arena, const struct pd_limits *limits) {
  struct batch *batch = PD_ARENA_ARRAY(arena, struct batch, 1);
  uint32_t room = CANDIDATES_EACH * limits->orders + least(CANDIDATES_MAX, limits->persons);
  uint32_t people = least(room, limits->persons);
  pd_assert(limits->orders > 0 && limits->persons > 0);
  batch->order_limit = limits->orders;
  batch->room = room;
  batch->orders = PD_ARENA_ARRAY(arena, struct batch_order, limits->orders);
  batch->candidates = PD_ARENA_ARRAY(arena, struct candidate, room);
  batch->seats = PD_ARENA_ARRAY(arena, struct batch_seat, limits->persons);
  batch->people = PD_ARENA_ARRAY(arena, uint32_t, people);
  batch->asked = PD_ARENA_ARRAY(arena, uint32_t, people);
  batch->places = PD_ARENA_ARRAY(arena, uint32_t, people);
  batch->rise_at = PD_ARENA_ARRAY(arena, uint32_t, people);
  batch->rise = PD_ARENA_ARRAY(arena, uint32_t, room);
  batch->need = PD_ARENA_ARRAY(arena, uint32_t, limits->orders);
  batch->penalty = PD_ARENA_ARRAY(arena, uint32_t, limits->orders);
  batch->row = PD_ARENA_ARRAY(arena, uint32_t, (size_t)limits->orders + 1);
  batch->col = PD_ARENA_ARRAY(arena, uint32_t, room);
  batch->cost = PD_ARENA_ARRAY(arena, uint32_t, room);
  size_t size = assign_bytes(limits->orders, people, room);
  pd_arena_init(&batch->arena, pd_arena_alloc(arena, size), size);
  return batch;
}

/* ---- candidates ---- */

/* The cheapest of an order's candidates, as many as it wants; of equal ones who was met first. */
struct best {
  uint32_t wanted;
  uint32_t count;
  uint32_t at[MATCHING_WAVE_MAX]; /* candidates, cheapest first */
};

static void keep_cheapest(const struct candidate *of, struct best *best, uint32_t one) {
  pd_assert(best->count <= best->wanted && best->wanted > 0);
  uint32_t at = best->count;
  if (at == best->wanted) {
    if (of[best->at[at - 1]].total_m <= of[one].total_m) return;
    at--;
  } else {
    best->count++;
  }
  for (; at > 0 && of[best->at[at - 1]].total_m > of[one].total_m; at--)
    best->at[at] = best->at[at - 1];
  best->at[at] = one;
}

/* Can nobody this far away or farther be cheaper than those who would be invited, or than upto_m?
 */
static bool is_settled(const struct candidate *of, const struct best *best, int64_t least_m,
                       int64_t upto_m) {
  if (best->count < best->wanted || least_m < upto_m) return false;
  return of[best->at[best->count - 1]].total_m <= least_m;
}

static void add_candidate(struct candidate *to, const struct costs *costs, uint32_t number,
                          uint32_t distance_m, int64_t start_ms) {
  struct matching_cost cost = costs_of(costs, number, distance_m);
  pd_assert(cost.total_m > -LIFT && cost.total_m < EMPTY - LIFT);
  *to = (struct candidate){.start_ms = start_ms,
                           .volunteer = number,
                           .distance_m = distance_m,
                           .total_m = (int32_t)cost.total_m,
                           .fairness_m = (int32_t)cost.fairness_m,
                           .continuity_m = (int32_t)cost.continuity_m,
                           .rare_m = (int32_t)cost.rare_m,
                           .branch_m = (int32_t)cost.branch_m,
                           .rural_m = (int32_t)cost.rural_m,
                           .mutual_m = (int32_t)cost.mutual_m};
}

static void mark_asked(struct matching *self, const struct order *order) {
  self->serial++;
  if (self->serial == 0) {
    memset(self->marks, 0, sizeof *self->marks * self->limits.persons);
    self->serial = 1;
  }
  pd_assert(order->id != 0 && self->serial != 0);
  for (uint32_t at = order->asked; at != 0; at = self->asked[at].next)
    self->marks[self->asked[at].volunteer] = self->serial;
}

/* So many candidates of an order are compared at most. */
static uint32_t most_candidates(const struct matching *self, const struct batch_order *of) {
  pd_assert(of->entry != 0 && of->wanted <= MATCHING_WAVE_MAX);
  uint32_t most = state_policy(self, &self->orders[of->entry])->candidates;
  if (most < of->wanted) most = of->wanted;
  return least(most, self->limits.persons);
}

/* Does the phase of an emergency look this far?  It does, whatever the ring, until it has found
 * somebody. */
static bool is_in_ring(struct batch_order *of, const struct matching_policy *policy,
                       uint32_t distance_m) {
  if (of->ring_m == 0) return true;
  if (of->count == 0) of->ring_m = emergency_widened_m(policy, of->ring_m, distance_m);
  return distance_m <= of->ring_m;
}

/* Look at the people around an order, nearest first, until it has the cheapest, and everybody who
 * costs less than upto_m.  `company`: others are decided with it, so everybody is kept whom the
 * index has at hand anyway. */
static void look_around(struct matching *self, struct batch_order *of, int64_t now_ms,
                        int64_t upto_m, bool company) {
  struct batch *batch = self->batch;
  const struct order *order = &self->orders[of->entry];
  struct candidate *found = &batch->candidates[batch->used];
  struct best best = {.wanted = of->wanted};
  struct nearby walk;
  uint32_t number, distance_m, enough = most_candidates(self, of);
  pd_assert(enough <= batch->room - batch->used);
  of->first = batch->used;
  of->count = of->considered = of->complete = of->invited = 0;
  memset(of->tally, 0, sizeof of->tally);
  mark_asked(self, order);
  struct rules rules = rules_begin(self, order, now_ms, true);
  struct costs costs = costs_begin(self, order, now_ms);
  of->ring_m = emergency_is(order) ? emergency_ring_m(rules.policy, order) : 0;
  bool late = rules.first_ms > rules.last_ms;
  if (!late) nearby_begin(&walk, self, order, enough);
  for (;;) {
    bool more = !late && of->count < enough && of->considered < rules.policy->scan_max;
    of->complete = !more || !nearby_next(&walk, &number, &of->frontier_m) ||
                   !is_in_ring(of, rules.policy, of->frontier_m);
    if (of->complete) break;
    distance_m = of->frontier_m;
    bool kept = company && nearby_at_hand(&walk);
    if (!kept && is_settled(found, &best, costs_least_m(&costs, distance_m), upto_m)) break;
    struct proposal time = {0, 0};
    enum pd_reason reason = rules_try(&rules, number, distance_m, &time);
    of->considered++;
    if (reason != PD_REASON_UNSPECIFIED) {
      of->tally[reason]++;
      continue;
    }
    add_candidate(&found[of->count], &costs, number, distance_m, time.start_ms);
    keep_cheapest(found, &best, of->count++);
  }
  for (uint32_t i = 0; i < best.count; i++) found[best.at[i]].invited = 1;
  of->invited = best.count;
  batch->used += of->count;
}

/* ---- the orders ---- */

/* How many offers the tables of the shard can still take. */
static uint32_t pool_room(const struct matching *self) {
  pd_assert(self->limits.offers > 0);
  if (pd_pool_free(&self->free_bookings) == 0) return 0;
  return least(pd_pool_free(&self->free_offers), pd_pool_free(&self->free_asked));
}

void batch_gather(struct matching *self, int64_t now_ms) {
  struct batch *batch = self->batch;
  uint32_t head = self->facts->waiting, room = pool_room(self);
  bool alone = self->facts->waiting_urgently > 0;
  bool company = !alone && head != 0 && chain_next(head, self->waiting_order, head) != 0;
  batch->order_count = batch->used = batch->solved = batch->rounds = 0;
  for (uint32_t at = head; at != 0; at = chain_next(head, self->waiting_order, at)) {
    if (batch->order_count == batch->order_limit || (alone && batch->order_count > 0)) return;
    if (alone && !emergency_is(&self->orders[at])) continue;
    struct batch_order *of = &batch->orders[batch->order_count];
    *of = (struct batch_order){.entry = at, .complete = 1};
    const struct order *order = &self->orders[at];
    uint32_t wanted = emergency_is(order) ? emergency_size(state_policy(self, order), order)
                                          : state_wave_size(self, order);
    of->wanted = least(wanted, room);
    bool first = batch->order_count == 0;
    /* The next batch will know better how much room there is. */
    if (!first && (of->wanted < wanted || most_candidates(self, of) > batch->room - batch->used))
      return;
    batch->order_count++;
    room -= of->wanted;
    if (of->wanted > 0) {
      look_around(self, of, now_ms, INT64_MIN, company);
    } else {
      of->tally[PD_REASON_FULL] = wanted;
      of->considered = wanted;
    }
  }
}

/* ---- the choice ---- */

/* The number of a volunteer in the batch, given out when first met. */
static uint32_t number_of(struct batch *batch, uint32_t volunteer) {
  struct batch_seat *seat = &batch->seats[volunteer];
  if (seat->serial != batch->serial) {
    seat->serial = batch->serial;
    seat->number = batch->volunteers++;
    batch->people[seat->number] = volunteer;
    batch->asked[seat->number] = 0;
  }
  pd_assert(seat->number < batch->volunteers);
  return seat->number;
}

static void number_anew(struct matching *self) {
  struct batch *batch = self->batch;
  pd_assert(self->limits.persons > 0);
  batch->volunteers = 0;
  batch->serial++;
  if (batch->serial != 0) return;
  memset(batch->seats, 0, sizeof *batch->seats * self->limits.persons);
  batch->serial = 1;
}

static uint32_t places_of(const struct matching *self, uint32_t volunteer) {
  pd_assert(volunteer < self->facts->volunteers);
  return self->limits.offers_each - self->volunteers[volunteer].open_offers;
}

/* Is nobody chosen more often than may be, or than costs the same? */
static bool goes_together(struct matching *self) {
  struct batch *batch = self->batch;
  pd_assert(batch->order_count > 1);
  bool rises = state_policy_for_all(self)->fairness_m > 0;
  number_anew(self);
  for (uint32_t i = 0; i < batch->order_count; i++) {
    const struct batch_order *of = &batch->orders[i];
    for (uint32_t k = of->first; k < of->first + of->count; k++) {
      if (!batch->candidates[k].invited) continue;
      uint32_t times = ++batch->asked[number_of(batch, batch->candidates[k].volunteer)];
      if (times > 1 && (rises || times > places_of(self, batch->candidates[k].volunteer)))
        return false;
    }
  }
  return true;
}

/* A place that is left empty costs more than any invitation: people wait for help.  By urgency, so
 * that who is asked by two orders of which one must go without goes to the more urgent one. */
static uint32_t empty_place(const struct order *order) {
  static const uint32_t times[] = {1, 1, 2, 3, 4};
  pd_assert(order->urgency < sizeof times / sizeof *times);
  return EMPTY * times[order->urgency];
}

/* The edges: each order's candidates. */
static void state_problem(struct matching *self) {
  struct batch *batch = self->batch;
  pd_assert(batch->order_count <= batch->order_limit);
  uint32_t edge = 0;
  number_anew(self);
  for (uint32_t i = 0; i < batch->order_count; i++) {
    const struct batch_order *of = &batch->orders[i];
    batch->need[i] = of->wanted;
    batch->penalty[i] = empty_place(&self->orders[of->entry]);
    batch->row[i] = edge;
    for (uint32_t k = of->first; k < of->first + of->count; k++, edge++) {
      const struct candidate *candidate = &batch->candidates[k];
      batch->col[edge] = number_of(batch, candidate->volunteer);
      batch->cost[edge] = (uint32_t)(candidate->total_m + LIFT);
      batch->asked[batch->col[edge]]++;
    }
  }
  batch->row[batch->order_count] = edge;
  pd_assert(edge <= batch->used);
}

/* Places, and what each costs more than the first: what one more recent offer would count. */
static void state_places(struct matching *self, int64_t now_ms) {
  struct batch *batch = self->batch;
  pd_assert(batch->volunteers <= self->facts->volunteers);
  uint32_t rise = 0;
  int64_t week = state_week(self, now_ms);
  for (uint32_t j = 0; j < batch->volunteers; j++) {
    uint32_t places = least(places_of(self, batch->people[j]), batch->asked[j]);
    batch->places[j] = places;
    batch->rise_at[j] = rise;
    for (uint32_t t = 0; t < places; t++)
      batch->rise[rise++] = costs_rise_m(self, batch->people[j], week, t);
  }
  pd_assert(rise <= batch->room);
  batch->problem = (struct assign_problem){.requests = batch->order_count,
                                           .volunteers = batch->volunteers,
                                           .need = batch->need,
                                           .places = batch->places,
                                           .row = batch->row,
                                           .col = batch->col,
                                           .cost = batch->cost,
                                           .penalty = batch->penalty,
                                           .rise = batch->rise,
                                           .rise_at = batch->rise_at};
}

/* Find the optimum among the candidates at hand. */
static void optimise(struct matching *self, int64_t now_ms) {
  struct batch *batch = self->batch;
  state_problem(self);
  state_places(self, now_ms);
  pd_arena_reset(&batch->arena);
  enum pd_err err = assign_init(&batch->assign, &batch->arena, &batch->problem);
  pd_assert(err == PD_OK);
  assign_solve(&batch->assign);
  batch->rounds++;
}

/* Orders that would pay more than what somebody farther away costs at least look farther; false: no
 * order would. */
static bool look_farther(struct matching *self, int64_t now_ms) {
  struct batch *batch = self->batch;
  pd_assert(batch->rounds > 0);
  bool any = false;
  for (uint32_t i = 0; i < batch->order_count; i++) {
    struct batch_order *of = &batch->orders[i];
    if (of->complete) continue;
    int64_t pays_m = assign_request_price(&batch->assign, i) - LIFT;
    struct costs costs = costs_begin(self, &self->orders[of->entry], now_ms);
    if (pays_m <= costs_least_m(&costs, of->frontier_m)) continue;
    if (most_candidates(self, of) > batch->room - batch->used) continue; /* no room for more */
    look_around(self, of, now_ms, batch->rounds < ROUNDS ? pays_m : INT64_MAX, true);
    any = true;
  }
  return any;
}

static void take_answer(struct batch *batch) {
  pd_assert(batch->solved && batch->order_count > 0);
  for (uint32_t i = 0; i < batch->order_count; i++) {
    struct batch_order *of = &batch->orders[i];
    of->invited = 0;
    for (uint32_t k = 0; k < of->count; k++) {
      struct candidate *candidate = &batch->candidates[of->first + k];
      uint32_t edge = batch->row[i] + k;
      candidate->invited = assign_uses(&batch->assign, i, edge);
      if (!candidate->invited) continue;
      candidate->price_m = (int32_t)assign_volunteer_price(&batch->assign, batch->col[edge]);
      of->invited++;
    }
  }
}

void batch_solve(struct matching *self, int64_t now_ms) {
  struct batch *batch = self->batch;
  if (batch->order_count > 1 && !goes_together(self)) {
    do optimise(self, now_ms);
    while (look_farther(self, now_ms));
    batch->solved = 1;
    take_answer(batch);
  }
  for (uint32_t i = 0; i < batch->order_count; i++) {
    struct batch_order *of = &batch->orders[i];
    pd_assert(of->invited <= of->wanted && of->invited <= of->count);
    of->tally[PD_REASON_RANKED_LOWER] += of->count - of->invited;
  }
}

bool batch_certified(const struct matching *self) {
  const struct batch *batch = self->batch;
  return !batch->solved || assign_certified(&batch->assign, &batch->problem, NULL);
}
