#include "services/matching/matching_core.h"

#include "services/matching/batch.h"
#include "services/matching/cost.h"
#include "services/matching/coverage.h"
#include "services/matching/direct.h"
#include "services/matching/nearby.h"
#include "services/matching/policy.h"
#include "services/matching/rules.h"
#include "services/matching/state.h"
#include "services/matching/waves.h"

/* Entries are numbered from 1, so each table has one more that is never used. */
#define TABLE(arena, type, count) PD_ARENA_ARRAY((arena), type, (size_t)(count) + 1)

static void init_image(struct matching *self, struct pd_arena *arena) {
  const struct pd_limits *limits = &self->limits;
  pd_assert(limits->persons > 0 && limits->orders > 0 && limits->slots <= MATCHING_WAVE_MAX);
  self->facts = PD_ARENA_ARRAY(arena, struct facts, 1);
  self->volunteers = PD_ARENA_ARRAY(arena, struct volunteer, limits->persons);
  self->served_by = PD_ARENA_ARRAY(arena, uint32_t, limits->persons);
  self->skills_of = PD_ARENA_ARRAY(arena, uint32_t, limits->persons);
  self->orders = TABLE(arena, struct order, limits->orders);
  self->offers = TABLE(arena, struct offer, limits->offers);
  self->asked = TABLE(arena, struct asked, limits->asked);
  self->bookings = TABLE(arena, struct booking, limits->bookings);
  self->papers = TABLE(arena, struct paper, limits->credentials);
  self->blocks = TABLE(arena, struct block, 2 * limits->blocks);
  self->rural = TABLE(arena, uint8_t, limits->sites);
  self->offer_of_order = TABLE(arena, struct chain_link, limits->offers);
  self->offer_of_volunteer = TABLE(arena, struct chain_link, limits->offers);
  self->waiting_order = TABLE(arena, struct chain_link, limits->orders);
  self->booking_of_order = TABLE(arena, struct chain_link, limits->bookings);
  self->booking_of_volunteer = TABLE(arena, struct chain_link, limits->bookings);
  pd_idmap_init(&self->volunteer_by_id, arena, limits->persons);
  pd_map_init(&self->order_by_id, arena, limits->orders);
  pd_map_init(&self->offer_by_id, arena, limits->offers);
  self->places = PD_ARENA_ARRAY(arena, struct place, limits->orders);
  pd_map_init(&self->place_of, arena, limits->orders);
  pd_pool_init(&self->free_orders, arena, limits->orders);
  pd_pool_init(&self->free_offers, arena, limits->offers);
  pd_pool_init(&self->free_asked, arena, limits->asked);
  pd_pool_init(&self->free_bookings, arena, limits->bookings);
  pd_pool_init(&self->free_papers, arena, limits->credentials);
  pd_pool_init(&self->free_blocks, arena, 2 * limits->blocks); /* of both, if both volunteer */
  grid_init(&self->grid, arena, limits->persons);
}

static void *matching_init(struct pd_arena *arena, const struct pd_limits *limits,
                           const struct pd_shard *shard, const void *policy) {
  struct matching *self = PD_ARENA_ARRAY(arena, struct matching, 1);
  self->rules = (struct matching_rules){0};
  policy_fill(&self->rules, policy != NULL ? policy : &matching_policy_default);
  self->limits = *limits;
  self->zone_min = shard->zone_min;
  pd_assert(self->rules.of[0].offers_per_slot > 0 && self->rules.of[0].lead_min > 0);
  self->marks = PD_ARENA_ARRAY(arena, uint32_t, limits->persons);
  self->batch = batch_init(arena, limits);
  pd_arena_begin_image(arena);
  init_image(self, arena);
  return self;
}

static bool stage_stops(enum pd_order_stage stage) {
  return stage == PD_ORDER_STAGE_STAFFING || stage == PD_ORDER_STAGE_SERVICE;
}

static void matching_apply(void *state, const struct pd_event *event) {
  struct matching *self = state;
  switch (event->body_case) {
    case PD_EVENT_VOLUNTEER_REGISTERED:
      state_volunteer_registered(self, event->volunteer_registered, event->time_ms);
      break;
    case PD_EVENT_VOLUNTEER_PAUSED:
      state_volunteer_status(self, PD_ID(event->volunteer_paused->person), VOLUNTEER_PAUSED);
      break;
    case PD_EVENT_VOLUNTEER_RESUMED:
      state_volunteer_resumed(self, PD_ID(event->volunteer_resumed->person), event->time_ms);
      break;
    case PD_EVENT_VOLUNTEER_EXITED:
      state_volunteer_status(self, PD_ID(event->volunteer_exited->person), VOLUNTEER_EXITED);
      break;
    case PD_EVENT_PERSON_ERASED:
      state_volunteer_status(self, PD_ID(event->person_erased->person), VOLUNTEER_ERASED);
      state_forget_papers(self, PD_ID(event->person_erased->person));
      break;
    case PD_EVENT_SITE_REGISTERED: state_site_registered(self, event->site_registered); break;
    case PD_EVENT_CREDENTIAL_RECORDED:
      state_credential_recorded(self, event->credential_recorded);
      break;
    case PD_EVENT_PAIR_BLOCKED: state_pair_blocked(self, event->pair_blocked); break;
    case PD_EVENT_ORDER_PLACED:
      state_order_placed(self, event->order_placed, event->time_ms);
      state_order_waits(self, event->order_placed->order, event);
      break;
    case PD_EVENT_DAY_BEGAN: coverage_forget(self, event->day_began->start_ms); break;
    case PD_EVENT_ORDER_ESCALATED:
      state_order_waits(self, event->order_escalated->order, event);
      break;
    case PD_EVENT_WAVE_DUE: state_wave_due(self, event); break;
    case PD_EVENT_ORDER_CANCELLED: state_order_stopped(self, event->order_cancelled->order); break;
    case PD_EVENT_SERVICE_STARTED: state_service_started(self, event->service_started); break;
    case PD_EVENT_ORDER_SERVED: state_order_stopped(self, event->order_served->order); break;
    case PD_EVENT_ORDER_CLOSED: state_order_closed(self, event->order_closed->order); break;
    case PD_EVENT_ORDER_EXPIRED:
      if (stage_stops(event->order_expired->stage))
        state_order_stopped(self, event->order_expired->order);
      break;
    case PD_EVENT_WAVE_OPENED: state_wave_opened(self, event->wave_opened); break;
    case PD_EVENT_ORDER_UNMATCHED: state_order_answered(self, event->order_unmatched->order); break;
    case PD_EVENT_OFFER_MADE:
      state_offer_made(self, event->offer_made, event->time_ms);
      state_order_waits(self, event->offer_made->order, NULL);
      break;
    case PD_EVENT_OFFER_CLOSED:
      state_offer_closed(self, event->offer_closed);
      state_order_waits(self, event->offer_closed->order, event);
      break;
    case PD_EVENT_SLOT_FILLED: state_slot_filled(self, event); break;
    case PD_EVENT_SLOT_REOPENED: state_slot_reopened(self, event); break;
    case PD_EVENT_POLICY_ADOPTED: state_policy_adopted(self, event->policy_adopted); break;
    case PD_EVENT_NOT_SET: case PD_EVENT_CASE_SIZE:
    case PD_EVENT_EPOCH_BEGAN: case PD_EVENT_INPUTS_NOTED:
    case PD_EVENT_TEAM_REGISTERED: case PD_EVENT_TEAM_JOINED: case PD_EVENT_RESIDENT_REGISTERED:
    case PD_EVENT_OFFER_ANSWERED: case PD_EVENT_VOLUNTEER_WITHDREW: case PD_EVENT_SERVICE_FINISHED:
    case PD_EVENT_SERVICE_CONFIRMED: case PD_EVENT_ORDER_RATED: case PD_EVENT_HOLD_DECIDED:
    case PD_EVENT_ORDER_STAFFED: case PD_EVENT_REMINDER_DUE: case PD_EVENT_NO_SHOW_NOTED:
    case PD_EVENT_POINTS_POSTED: case PD_EVENT_HOLD_PLACED: case PD_EVENT_HOLD_RESOLVED:
    case PD_EVENT_STAR_REACHED: case PD_EVENT_MESSAGE_SENT: case PD_EVENT_MESSAGE_FAILED:
    case PD_EVENT_MESSAGE_SUPPRESSED: case PD_EVENT_EXTERNAL_NOTED:
    case PD_EVENT_OFFER_COMMANDED: case PD_EVENT_ORDER_ASKED: case PD_EVENT_OFFER_DENIED:
    case PD_EVENT_COVERAGE_NOTED: break;
  }
}

/* What follows from a fact that apply has folded already. */
static void follow(struct matching *self, const struct pd_event *event, struct pd_outbox *out) {
  switch (event->body_case) {
    case PD_EVENT_VOLUNTEER_PAUSED:
      waves_inactive(self, out, PD_ID(event->volunteer_paused->person), false);
      break;
    case PD_EVENT_VOLUNTEER_EXITED:
      waves_inactive(self, out, PD_ID(event->volunteer_exited->person), true);
      break;
    case PD_EVENT_PERSON_ERASED:
      waves_inactive(self, out, PD_ID(event->person_erased->person), true);
      break;
    case PD_EVENT_CREDENTIAL_RECORDED:
      waves_papers(self, out, PD_ID(event->credential_recorded->person));
      break;
    case PD_EVENT_PAIR_BLOCKED:
      if (event->pair_blocked->lifted) break;
      waves_blocked(self, out, event->pair_blocked->person, event->pair_blocked->other);
      waves_blocked(self, out, event->pair_blocked->other, event->pair_blocked->person);
      break;
    case PD_EVENT_ORDER_CANCELLED: waves_stopped(self, out, event->order_cancelled->order); break;
    case PD_EVENT_ORDER_SERVED: waves_stopped(self, out, event->order_served->order); break;
    case PD_EVENT_ORDER_CLOSED: waves_stopped(self, out, event->order_closed->order); break;
    case PD_EVENT_ORDER_EXPIRED: waves_stopped(self, out, event->order_expired->order); break;
    case PD_EVENT_OFFER_ANSWERED: waves_answered(self, out, event->offer_answered); break;
    case PD_EVENT_SERVICE_STARTED: waves_started(self, out, event->service_started); break;
    case PD_EVENT_WAVE_DUE: waves_due(self, out, event->wave_due, event->time_ms); break;
    case PD_EVENT_VOLUNTEER_WITHDREW:
      waves_reopen(self, out, event->volunteer_withdrew->order, event->volunteer_withdrew->slot,
                   PD_ID(event->volunteer_withdrew->volunteer), PD_REASON_WITHDREW);
      break;
    case PD_EVENT_NO_SHOW_NOTED:
      waves_reopen(self, out, event->no_show_noted->order, event->no_show_noted->slot,
                   PD_ID(event->no_show_noted->volunteer), PD_REASON_NO_SHOW);
      break;
    case PD_EVENT_OFFER_COMMANDED: direct_commanded(self, out, event->offer_commanded); break;
    case PD_EVENT_ORDER_ASKED: direct_asked(self, out, event->order_asked); break;
    case PD_EVENT_DAY_BEGAN: coverage_say(self, out); break;
    case PD_EVENT_NOT_SET: case PD_EVENT_CASE_SIZE:
    case PD_EVENT_EPOCH_BEGAN: case PD_EVENT_INPUTS_NOTED: case PD_EVENT_SITE_REGISTERED:
    case PD_EVENT_TEAM_REGISTERED: case PD_EVENT_TEAM_JOINED: case PD_EVENT_RESIDENT_REGISTERED:
    case PD_EVENT_VOLUNTEER_REGISTERED: case PD_EVENT_VOLUNTEER_RESUMED:
    case PD_EVENT_SERVICE_FINISHED: case PD_EVENT_SERVICE_CONFIRMED: case PD_EVENT_ORDER_RATED:
    case PD_EVENT_HOLD_DECIDED: case PD_EVENT_WAVE_OPENED:
    case PD_EVENT_OFFER_MADE: case PD_EVENT_OFFER_CLOSED: case PD_EVENT_SLOT_FILLED:
    case PD_EVENT_SLOT_REOPENED: case PD_EVENT_ORDER_STAFFED: case PD_EVENT_ORDER_UNMATCHED:
    case PD_EVENT_REMINDER_DUE: case PD_EVENT_POINTS_POSTED: case PD_EVENT_HOLD_PLACED:
    case PD_EVENT_HOLD_RESOLVED: case PD_EVENT_STAR_REACHED: case PD_EVENT_MESSAGE_SENT:
    case PD_EVENT_MESSAGE_FAILED: case PD_EVENT_MESSAGE_SUPPRESSED: case PD_EVENT_EXTERNAL_NOTED:
    case PD_EVENT_POLICY_ADOPTED:
    case PD_EVENT_OFFER_DENIED: case PD_EVENT_COVERAGE_NOTED:
    case PD_EVENT_ORDER_PLACED: case PD_EVENT_ORDER_ESCALATED: break;
  }
}

static bool is_proposed(const struct matching *self) {
  _Static_assert(sizeof(struct matching_policy) % sizeof(uint32_t) == 0, "compared as bytes");
  return self->proposes && memcmp(&self->proposed, state_rules(self), sizeof self->proposed) != 0;
}

/* Rules are adopted at once.  Orders that wait are decided at the turn's end, or when the window of
 * the rules is over; what was left over, and what was found waiting after a restart, at once. */
static int64_t matching_deadline(const void *state) {
  const struct matching *self = state;
  if (is_proposed(self)) return 0;
  if (self->facts->waiting == 0) return PD_NEVER;
  return self->batch_set ? self->batch_ms : 0;
}

/* When are those that wait decided?  The first of them begins the window. */
static void set_batch(struct matching *self, int64_t now_ms) {
  if (self->facts->waiting == 0) {
    self->batch_set = false;
    return;
  }
  uint32_t window_ms = state_policy_for_all(self)->batch_window_ms;
  if (!self->batch_set) self->batch_ms = window_ms == 0 ? PD_NEVER : now_ms + window_ms;
  self->batch_set = true;
}

static bool batch_is_due(const struct matching *self, int64_t now_ms) {
  if (self->facts->waiting == 0) return false;
  return !self->batch_set || self->batch_ms == PD_NEVER || self->batch_ms <= now_ms;
}

/* Decide those that wait, if it is time; emergencies in any case.  What the entry had no room for
 * is due at once. */
static void end_batch(struct matching *self, struct pd_outbox *out) {
  bool all = batch_is_due(self, out->input->now_ms);
  waves_decide(self, out, all);
  pd_assert(!all || self->facts->waiting == 0 || !pd_outbox_open(out));
  if (all || self->facts->waiting_urgently > 0) self->batch_ms = out->input->now_ms;
  self->batch_set = self->facts->waiting != 0;
}

void matching_propose(struct matching *self, const struct matching_rules *rules) {
  pd_assert(rules->of[0].wave_max > 0 && rules->of[0].wave_max <= MATCHING_WAVE_MAX);
  self->proposed = *rules;
  self->proposes = true;
}

uint32_t matching_rules_in_force(const struct matching *self, struct matching_rules *rules) {
  *rules = *state_rules(self);
  return self->facts->policy;
}

static void matching_decide(void *state, const struct pd_input *input, struct pd_outbox *out) {
  struct matching *self = state;
  pd_assert(out->self == self);
  switch (input->kind) {
    case PD_INPUT_EVENT:
      follow(self, input->event, out);
      set_batch(self, input->now_ms);
      break;
    case PD_INPUT_BATCH_END:
      end_batch(self, out);
      self->tally_used = 0;
      break;
    case PD_INPUT_TIME:
      if (is_proposed(self)) policy_say(out, &self->proposed, self->facts->policy + 1);
      else end_batch(self, out);
      break;
    case PD_INPUT_COMMAND: case PD_INPUT_DELIVERY: break;
  }
}

static void matching_check(const void *state) { state_check(state); }

/* Said by the logs that are followed here, and nothing to this core: see the switches above. */
static const uint8_t passed_over[] = {
    PD_EVENT_TEAM_REGISTERED, PD_EVENT_TEAM_JOINED,
    PD_EVENT_RESIDENT_REGISTERED, PD_EVENT_SERVICE_FINISHED, PD_EVENT_SERVICE_CONFIRMED,
    PD_EVENT_ORDER_RATED, PD_EVENT_HOLD_DECIDED, PD_EVENT_EXTERNAL_NOTED, PD_EVENT_REMINDER_DUE, 0};

const struct pd_core matching_core = {
    .name = "matching",
    .log = PD_LOG_MATCHING,
    .inputs = PD_LOG_BIT(PD_LOG_INTAKE) | PD_LOG_BIT(PD_LOG_SCHEDULING),
    .init = matching_init,
    .apply = matching_apply,
    .decide = matching_decide,
    .passes = passed_over,
    .deadline = matching_deadline,
    .check = matching_check,
};

static int64_t dearest_m(const struct matching *self, const struct order *order) {
  int64_t dearest_m = INT64_MIN;
  for (uint32_t at = order->offers; at != 0;
       at = chain_next(order->offers, self->offer_of_order, at))
    if (self->offers[at].cost_m > dearest_m) dearest_m = self->offers[at].cost_m;
  pd_assert((order->offers == 0) == (dearest_m == INT64_MIN));
  return order->offers == 0 ? 0 : dearest_m;
}

static struct matching_verdict judge(const struct rules *rules, const struct costs *costs,
                                     uint32_t number, uint32_t distance_m) {
  pd_assert(number < rules->self->facts->volunteers);
  struct proposal time = {0, 0};
  enum pd_reason reason = rules_try(rules, number, distance_m, &time);
  bool found = reason == PD_REASON_UNSPECIFIED || reason == PD_REASON_TOO_MANY_OFFERS;
  bool open = rules->order->offers != 0;
  if (reason == PD_REASON_UNSPECIFIED && open) reason = PD_REASON_RANKED_LOWER;
  return (struct matching_verdict){.person = rules->self->volunteers[number].person,
                                   .reason = reason,
                                   .distance_m = distance_m,
                                   .start_ms = found ? time.start_ms : 0,
                                   .end_ms = found ? time.end_ms : 0,
                                   .cost = costs_of(costs, number, distance_m),
                                   .wave_m = dearest_m(rules->self, rules->order)};
}

enum pd_err matching_explain(const struct matching *self, uint64_t order,
                             const struct pd_id *person, int64_t now_ms,
                             struct matching_verdict *verdict) {
  uint32_t entry = state_order(self, order);
  uint32_t number = state_volunteer(self, person);
  if (entry == 0 || self->orders[entry].closed || number == PD_NONE) return PD_ENOENT;
  const struct order *looked_at = &self->orders[entry];
  struct rules rules = rules_begin(self, looked_at, now_ms, false);
  uint32_t distance_m = nearby_distance_m(looked_at->cell, self->volunteers[number].cell);
  struct costs costs = costs_begin(self, looked_at, now_ms);
  *verdict = judge(&rules, &costs, number, distance_m);
  return PD_OK;
}

uint32_t matching_candidates(const struct matching *self, uint64_t order, int64_t now_ms,
                             struct matching_verdict *list, uint32_t max) {
  uint32_t entry = state_order(self, order);
  if (entry == 0 || self->orders[entry].closed || max == 0) return 0;
  struct rules rules = rules_begin(self, &self->orders[entry], now_ms, false);
  struct costs costs = costs_begin(self, rules.order, now_ms);
  struct nearby walk;
  uint32_t number, distance_m, count = 0;
  nearby_begin(&walk, self, rules.order, max);
  while (count < max && nearby_next(&walk, &number, &distance_m))
    list[count++] = judge(&rules, &costs, number, distance_m);
  return count;
}

uint32_t matching_hall(const struct matching *self, const struct pd_id *person, int64_t now_ms,
                       struct matching_hall_order *list, uint32_t max) {
  uint32_t number = state_volunteer(self, person), count = 0;
  if (number == PD_NONE) return 0;
  for (uint32_t entry = 1; entry <= self->limits.orders && count < max; entry++) {
    const struct order *order = &self->orders[entry];
    if (order->id == 0 || direct_hall(self, order) != PD_REASON_UNSPECIFIED) continue;
    struct rules rules = rules_begin(self, order, now_ms, false);
    struct costs costs = costs_begin(self, order, now_ms);
    struct proposal time = {0, 0};
    enum pd_reason reason = direct_try(&rules, number, DIRECT_HALL_WAIVES, &time);
    uint32_t distance_m = nearby_distance_m(order->cell, self->volunteers[number].cell);
    list[count++] = (struct matching_hall_order){
        .order = order->id,
        .verdict = {.person = *person,
                    .reason = reason,
                    .distance_m = distance_m,
                    .start_ms = time.start_ms,
                    .end_ms = time.end_ms,
                    .cost = costs_of(&costs, number, distance_m)},
        .window_start_ms = order->window_start_ms,
        .window_end_ms = order->window_end_ms,
        .free_slots = state_free_slots(order),
        .minutes = order->minutes,
        .kind = (enum pd_order_kind)order->kind,
        .urgency = (enum pd_urgency)order->urgency};
  }
  return count;
}

struct matching_answers matching_answers(const struct matching *self, enum pd_order_kind kind) {
  pd_assert((unsigned)kind < MATCHING_KINDS);
  return self->facts->answers[kind];
}

struct matching_load matching_load(const struct matching *self) {
  return (struct matching_load){.volunteers = self->facts->volunteers,
                                .orders = *self->free_orders.taken,
                                .offers = *self->free_offers.taken,
                                .asked = *self->free_asked.taken,
                                .bookings = *self->free_bookings.taken};
}
