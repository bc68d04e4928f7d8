#include "services/points/points_core.h"

#include "common/base/calendar.h"
#include "common/base/err.h"
#include "services/points/chains.h"
#include "services/points/holds.h"
#include "services/points/ledger.h"

/* The contract's range of slots, and its longest service. */
#define SLOT_MAX 64
#define MINUTES_MAX 1440

const struct points_policy points_policy_default = {
    .minutes_each = 30,
    .points_each = 1,
    .hold_ms = 30 * PD_DAY_MS,
    .star_minutes = {100 * 60, 300 * 60, 600 * 60, 1000 * 60, 1500 * 60},
    .events_each_call = 1000,
};

/* In the image. */
struct counters {
  uint64_t postings; /* numbers given so far */
  uint64_t holds;
};

struct points {
  struct points_policy policy;
  struct points_chains chains;
  struct points_holds holds;
  struct ledger ledger;
  struct counters *counters;
};

static void *init(struct pd_arena *arena, const struct pd_limits *limits,
                  const struct pd_shard *shard, const void *policy) {
  (void)shard;
  struct points *self = PD_ARENA_ARRAY(arena, struct points, 1);
  self->policy = points_policy_default;
  if (policy != NULL) self->policy = *(const struct points_policy *)policy;
  pd_assert(self->policy.minutes_each > 0 && self->policy.points_each >= 0);
  pd_assert(self->policy.hold_ms > 0 && self->policy.events_each_call > 0);
  pd_arena_begin_image(arena);
  self->counters = PD_ARENA_ARRAY(arena, struct counters, 1);
  points_chains_init(&self->chains, arena, limits);
  points_holds_init(&self->holds, arena, limits->holds);
  ledger_init(&self->ledger, arena, limits->persons);
  return self;
}

/* ---- apply: the chain ------------------------------------------------------------------------ */

static void on_slot_filled(struct points *self, const struct pd_slot_filled *body) {
  struct pd_id volunteer = PD_ID(body->volunteer);
  if (body->slot == 0 || body->slot > SLOT_MAX) return;
  if (ledger_find(&self->ledger, &volunteer) == NULL) return; /* nobody who is registered */
  points_chain_begin(&self->chains, body->order, body->slot, &volunteer);
}

static void on_slot_reopened(struct points *self, const struct pd_slot_reopened *body) {
  struct pd_id volunteer = PD_ID(body->volunteer);
  points_chain_break(&self->chains, body->order, body->slot, &volunteer);
}

/* The chain that this fact continues, if it stands at the step before; else NULL. */
static struct points_chain *chain_at(const struct points *self, uint64_t order, uint32_t slot,
                                     ProtobufCBinaryData person, enum points_step step) {
  struct pd_id volunteer = PD_ID(person);
  struct points_chain *chain = points_chain_find(&self->chains, order, slot, &volunteer);
  if (chain == NULL || chain->step != step) return NULL;
  pd_assert(chain->order != 0);
  return chain;
}

static void on_service_started(struct points *self, const struct pd_service_started *body) {
  struct pd_id volunteer = PD_ID(body->volunteer);
  struct points_chain *chain =
      points_chain_start(&self->chains, body->order, body->slot, &volunteer);
  if (chain == NULL) return;
  pd_assert(chain->step == POINTS_STARTED);
  chain->started_by = points_principal_of(body->principal);
}

static void on_service_finished(struct points *self, const struct pd_service_finished *body) {
  struct points_chain *chain =
      chain_at(self, body->order, body->slot, body->volunteer, POINTS_STARTED);
  if (chain == NULL) return;
  chain->step = POINTS_FINISHED;
  chain->finished_by = points_principal_of(body->principal);
  chain->minutes = body->minutes < MINUTES_MAX ? body->minutes : MINUTES_MAX;
}

static void on_service_confirmed(struct points *self, const struct pd_service_confirmed *body) {
  struct points_chain *chain =
      chain_at(self, body->order, body->slot, body->volunteer, POINTS_FINISHED);
  if (chain == NULL) return;
  chain->step = POINTS_CONFIRMED;
  chain->confirmed_by = points_principal_of(body->principal);
  if (body->minutes < chain->minutes) chain->minutes = body->minutes;
  pd_assert(chain->minutes <= MINUTES_MAX);
}

/* ---- apply: what this core said itself ------------------------------------------------------- */

/* The first line of every set names the person. */
static struct points_chain *settled_chain(const struct points *self, uint64_t order, uint32_t slot,
                                          struct pd_posting_line *const *lines, size_t count) {
  pd_assert(count > 0);
  return chain_at(self, order, slot, lines[0]->person, POINTS_CONFIRMED);
}

static void on_points_posted(struct points *self, const struct pd_points_posted *body) {
  struct points_chain *chain =
      settled_chain(self, body->order, body->slot, body->lines, body->n_lines);
  pd_assert(chain != NULL);
  pd_assert(body->posting == self->counters->postings + 1);
  chain->step = POINTS_SETTLED;
  self->counters->postings = body->posting;
  ledger_book(&self->ledger, body->lines, body->n_lines);
}

static void on_hold_placed(struct points *self, const struct pd_hold_placed *body) {
  struct points_chain *chain =
      settled_chain(self, body->order, body->slot, body->lines, body->n_lines);
  pd_assert(chain != NULL);
  pd_assert(body->hold == self->counters->holds + 1);
  chain->step = POINTS_SETTLED;
  self->counters->holds = body->hold;
  struct points_hold hold = {
      .hold = body->hold,
      .volunteer = chain->volunteer,
      .decide_by_ms = body->decide_by_ms,
      .parties = {chain->started_by, chain->finished_by, chain->confirmed_by},
  };
  for (size_t i = 0; i < body->n_lines; i++)
    if (body->lines[i]->account == PD_ACCOUNT_HELD)
      hold.amount[body->lines[i]->unit] += body->lines[i]->amount;
  points_hold_add(&self->holds, &hold);
  ledger_book(&self->ledger, body->lines, body->n_lines);
}

static void on_hold_resolved(struct points *self, const struct pd_hold_resolved *body) {
  struct points_hold *hold = points_hold_find(&self->holds, body->hold);
  pd_assert(hold != NULL);
  points_hold_remove(&self->holds, hold);
  ledger_book(&self->ledger, body->lines, body->n_lines);
}

static void on_star_reached(struct points *self, const struct pd_star_reached *body) {
  struct pd_id person = PD_ID(body->person);
  struct ledger_account *account = ledger_find(&self->ledger, &person);
  pd_assert(account != NULL && body->star == account->stars + 1);
  account->stars = body->star;
}

static void apply(void *core, const struct pd_event *event) {
  struct points *self = core;
  switch (event->body_case) {
  case PD_EVENT_VOLUNTEER_REGISTERED: {
    struct pd_id person = PD_ID(event->volunteer_registered->person);
    (void)ledger_open(&self->ledger, &person); /* intake's limit is the ledger's size */
    return;
  }
  case PD_EVENT_ORDER_PLACED:
    points_order_open(&self->chains, event->order_placed->order);
    return;
  case PD_EVENT_ORDER_CLOSED:
    points_order_close(&self->chains, event->order_closed->order);
    return;
  case PD_EVENT_SLOT_FILLED: on_slot_filled(self, event->slot_filled); return;
  case PD_EVENT_SLOT_REOPENED: on_slot_reopened(self, event->slot_reopened); return;
  case PD_EVENT_SERVICE_STARTED: on_service_started(self, event->service_started); return;
  case PD_EVENT_SERVICE_FINISHED: on_service_finished(self, event->service_finished); return;
  case PD_EVENT_SERVICE_CONFIRMED: on_service_confirmed(self, event->service_confirmed); return;
  case PD_EVENT_POINTS_POSTED: on_points_posted(self, event->points_posted); return;
  case PD_EVENT_HOLD_PLACED: on_hold_placed(self, event->hold_placed); return;
  case PD_EVENT_HOLD_RESOLVED: on_hold_resolved(self, event->hold_resolved); return;
  case PD_EVENT_STAR_REACHED: on_star_reached(self, event->star_reached); return;
  /* A decision on a hold is answered by hold_resolved, which changes the state; the others are not
   * this core's. */
  case PD_EVENT_HOLD_DECIDED: case PD_EVENT_NOT_SET: case PD_EVENT_EPOCH_BEGAN:
  case PD_EVENT_CREDENTIAL_RECORDED: case PD_EVENT_PAIR_BLOCKED:
  case PD_EVENT_POLICY_ADOPTED: case PD_EVENT_EXTERNAL_NOTED: case PD_EVENT_OFFER_COMMANDED:
  case PD_EVENT_ORDER_ASKED: case PD_EVENT_OFFER_DENIED: case PD_EVENT_COVERAGE_NOTED:
  case PD_EVENT_DAY_BEGAN:
  case PD_EVENT_INPUTS_NOTED: case PD_EVENT_SITE_REGISTERED: case PD_EVENT_TEAM_REGISTERED:
  case PD_EVENT_TEAM_JOINED: case PD_EVENT_VOLUNTEER_PAUSED: case PD_EVENT_VOLUNTEER_RESUMED:
  case PD_EVENT_VOLUNTEER_EXITED: case PD_EVENT_RESIDENT_REGISTERED: case PD_EVENT_PERSON_ERASED:
  case PD_EVENT_ORDER_CANCELLED: case PD_EVENT_OFFER_ANSWERED: case PD_EVENT_VOLUNTEER_WITHDREW:
  case PD_EVENT_ORDER_SERVED: case PD_EVENT_ORDER_RATED: case PD_EVENT_WAVE_OPENED:
  case PD_EVENT_OFFER_MADE: case PD_EVENT_OFFER_CLOSED: case PD_EVENT_ORDER_STAFFED:
  case PD_EVENT_ORDER_UNMATCHED: case PD_EVENT_WAVE_DUE: case PD_EVENT_ORDER_ESCALATED:
  case PD_EVENT_ORDER_EXPIRED: case PD_EVENT_REMINDER_DUE: case PD_EVENT_NO_SHOW_NOTED:
  case PD_EVENT_MESSAGE_SENT: case PD_EVENT_MESSAGE_FAILED: case PD_EVENT_MESSAGE_SUPPRESSED:
  case PD_EVENT_CASE_SIZE:
    return;
  }
}

/* ---- decide ---------------------------------------------------------------------------------- */

/* What one set moves: at most two lines in each of two units. */
struct move {
  struct pd_posting_line lines[4];
  struct pd_posting_line *list[4];
  size_t count;
  struct pd_id person;
};

static void move_line(struct move *move, enum pd_account account, enum pd_unit unit,
                      int64_t amount) {
  pd_assert(move->count < 4);
  struct pd_posting_line *line = &move->lines[move->count];
  *line = (struct pd_posting_line)PD_POSTING_LINE_INIT;
  line->account = account;
  line->unit = unit;
  line->amount = amount;
  if (account != PD_ACCOUNT_ISSUED) line->person = pd_bytes(&move->person);
  move->list[move->count++] = line;
}

/* Minutes and points out of one account into another; no lines for nothing. */
static void move_fill(struct move *move, const struct pd_id *person, enum pd_account from,
                      enum pd_account to, const int64_t *amount) {
  pd_assert(from != to && to != PD_ACCOUNT_UNSPECIFIED);
  move->count = 0;
  move->person = *person;
  for (enum pd_unit unit = PD_UNIT_MINUTES; unit <= PD_UNIT_POINTS; unit++) {
    pd_assert(amount[unit] >= 0);
    if (amount[unit] == 0) continue;
    move_line(move, to, unit, amount[unit]);
    move_line(move, from, unit, -amount[unit]);
  }
}

static void say_stars(struct points *self, const struct pd_id *person, struct pd_outbox *out) {
  const struct ledger_account *account = ledger_find(&self->ledger, person);
  pd_assert(account != NULL && account->stars <= POINTS_STARS);
  while (account->stars < POINTS_STARS &&
         account->has[PD_UNIT_MINUTES] >= self->policy.star_minutes[account->stars]) {
    struct pd_star_reached body = PD_STAR_REACHED_INIT;
    body.person = pd_bytes(person);
    body.star = (uint32_t)account->stars + 1;
    body.minutes = (uint64_t)account->has[PD_UNIT_MINUTES];
    pd_emit_star_reached(out, &body);
  }
}

static void say_posted(struct points *self, const struct pd_service_confirmed *fact,
                       const struct pd_id *person, const int64_t *amount, struct pd_outbox *out) {
  struct move move;
  move_fill(&move, person, PD_ACCOUNT_ISSUED, PD_ACCOUNT_PERSON, amount);
  pd_assert(ledger_balanced(&self->ledger, move.list, move.count));
  struct pd_points_posted body = PD_POINTS_POSTED_INIT;
  body.posting = self->counters->postings + 1;
  body.order = fact->order;
  body.slot = fact->slot;
  body.lines = move.list;
  body.n_lines = move.count;
  pd_emit_points_posted(out, &body);
  say_stars(self, person, out);
}

static void say_resolved(struct points *self, const struct points_hold *hold,
                         enum pd_hold_outcome outcome, struct pd_outbox *out) {
  bool posted = outcome == PD_HOLD_OUTCOME_POSTED;
  struct pd_id person = hold->volunteer;
  struct move move;
  move_fill(&move, &person, PD_ACCOUNT_HELD, posted ? PD_ACCOUNT_PERSON : PD_ACCOUNT_ISSUED,
            hold->amount);
  pd_assert(ledger_balanced(&self->ledger, move.list, move.count));
  struct pd_hold_resolved body = PD_HOLD_RESOLVED_INIT;
  body.hold = hold->hold;
  body.outcome = outcome;
  body.lines = move.list;
  body.n_lines = move.count;
  pd_emit_hold_resolved(out, &body);
  if (posted) say_stars(self, &person, out);
}

static void say_held(struct points *self, const struct pd_service_confirmed *fact,
                     const struct pd_id *person, const int64_t *amount, struct pd_outbox *out) {
  if (!points_holds_open(&self->holds))
    say_resolved(self, points_hold_first(&self->holds), PD_HOLD_OUTCOME_TIMED_OUT, out);
  struct move move;
  move_fill(&move, person, PD_ACCOUNT_ISSUED, PD_ACCOUNT_HELD, amount);
  pd_assert(ledger_balanced(&self->ledger, move.list, move.count));
  struct pd_hold_placed body = PD_HOLD_PLACED_INIT;
  body.hold = self->counters->holds + 1;
  body.order = fact->order;
  body.slot = fact->slot;
  body.reason = PD_HOLD_REASON_PROXIED;
  body.lines = move.list;
  body.n_lines = move.count;
  body.decide_by_ms = out->input->now_ms + self->policy.hold_ms;
  pd_emit_hold_placed(out, &body);
}

/* Did the same principal begin or end the service and confirm it? */
static bool is_proxied(const struct points_chain *chain) {
  pd_assert(chain->step == POINTS_CONFIRMED);
  return points_principal_equal(chain->started_by, chain->confirmed_by) ||
         points_principal_equal(chain->finished_by, chain->confirmed_by);
}

static void decide_confirmed(struct points *self, const struct pd_service_confirmed *fact,
                             struct pd_outbox *out) {
  const struct points_chain *chain =
      chain_at(self, fact->order, fact->slot, fact->volunteer, POINTS_CONFIRMED);
  if (chain == NULL || chain->minutes == 0) return;
  if (points_slot_settled(&self->chains, fact->order, fact->slot)) return;
  int64_t amount[LEDGER_UNITS] = {0};
  amount[PD_UNIT_MINUTES] = chain->minutes;
  amount[PD_UNIT_POINTS] = chain->minutes / self->policy.minutes_each * self->policy.points_each;
  struct pd_id person = chain->volunteer;
  if (is_proxied(chain))
    say_held(self, fact, &person, amount, out);
  else
    say_posted(self, fact, &person, amount, out);
  pd_assert(chain->step == POINTS_SETTLED);
}

/* A decision counts when it was said in time by somebody who is not a party to the chain. */
static void decide_hold(struct points *self, const struct pd_hold_decided *fact, int64_t said_ms,
                        struct pd_outbox *out) {
  const struct points_hold *hold = points_hold_find(&self->holds, fact->hold);
  if (hold == NULL || said_ms >= hold->decide_by_ms) return;
  if (points_hold_is_party(hold, points_principal_of(fact->principal))) return;
  enum pd_hold_outcome outcome =
      fact->approve ? PD_HOLD_OUTCOME_POSTED : PD_HOLD_OUTCOME_VOIDED;
  say_resolved(self, hold, outcome, out);
  pd_assert(points_hold_find(&self->holds, fact->hold) == NULL);
}

static void decide_time(struct points *self, int64_t now_ms, struct pd_outbox *out) {
  while (out->emitted < self->policy.events_each_call &&
         points_hold_deadline(&self->holds) <= now_ms)
    say_resolved(self, points_hold_first(&self->holds), PD_HOLD_OUTCOME_TIMED_OUT, out);
  pd_assert(out->emitted <= self->policy.events_each_call);
}

static void decide(void *core, const struct pd_input *input, struct pd_outbox *out) {
  struct points *self = core;
  if (input->kind == PD_INPUT_TIME) decide_time(self, input->now_ms, out);
  if (input->kind != PD_INPUT_EVENT) return;
  const struct pd_event *event = input->event;
  pd_assert(event != NULL);
  if (event->body_case == PD_EVENT_SERVICE_CONFIRMED)
    decide_confirmed(self, event->service_confirmed, out);
  if (event->body_case == PD_EVENT_HOLD_DECIDED)
    decide_hold(self, event->hold_decided, event->time_ms, out);
}

static int64_t deadline(const void *core) {
  const struct points *self = core;
  pd_assert(self->policy.events_each_call > 0);
  return points_hold_deadline(&self->holds);
}

/* ---- reading --------------------------------------------------------------------------------- */

int64_t points_balance(const void *self, const struct pd_id *person, enum pd_unit unit) {
  const struct points *points = self;
  return ledger_balance(&points->ledger, person, unit);
}

int64_t points_held(const void *self, const struct pd_id *person, enum pd_unit unit) {
  const struct points *points = self;
  pd_assert((unsigned)unit < LEDGER_UNITS);
  const struct ledger_account *account = ledger_find(&points->ledger, person);
  return account == NULL ? 0 : account->held[unit];
}

int64_t points_total(const void *self, enum pd_account account, enum pd_unit unit) {
  const struct points *points = self;
  return ledger_total(&points->ledger, account, unit);
}

static void check(const void *core) {
  const struct points *self = core;
  points_chains_check(&self->chains);
  ledger_check(&self->ledger);
  for (enum pd_unit unit = PD_UNIT_MINUTES; unit <= PD_UNIT_POINTS; unit++)
    pd_assert(points_holds_check(&self->holds, unit) ==
              ledger_total(&self->ledger, PD_ACCOUNT_HELD, unit));
}

/* Said by the logs that are followed here, and nothing to this core: see the switches above. */
static const uint8_t passed_over[] = {
    PD_EVENT_TEAM_REGISTERED, PD_EVENT_TEAM_JOINED, PD_EVENT_SITE_REGISTERED,
    PD_EVENT_VOLUNTEER_PAUSED, PD_EVENT_VOLUNTEER_RESUMED, PD_EVENT_VOLUNTEER_EXITED,
    PD_EVENT_RESIDENT_REGISTERED, PD_EVENT_PERSON_ERASED, PD_EVENT_ORDER_CANCELLED,
    PD_EVENT_OFFER_ANSWERED, PD_EVENT_VOLUNTEER_WITHDREW, PD_EVENT_ORDER_SERVED,
    PD_EVENT_ORDER_RATED, PD_EVENT_EXTERNAL_NOTED, PD_EVENT_WAVE_OPENED, PD_EVENT_OFFER_MADE,
    PD_EVENT_OFFER_CLOSED, PD_EVENT_ORDER_STAFFED, PD_EVENT_ORDER_UNMATCHED,
    PD_EVENT_POLICY_ADOPTED, PD_EVENT_OFFER_COMMANDED, PD_EVENT_ORDER_ASKED,
    PD_EVENT_OFFER_DENIED, PD_EVENT_COVERAGE_NOTED, PD_EVENT_DAY_BEGAN,
    PD_EVENT_CREDENTIAL_RECORDED, PD_EVENT_PAIR_BLOCKED, 0};

const struct pd_core points_core = {
    .name = "points",
    .log = PD_LOG_POINTS,
    .inputs = PD_LOG_BIT(PD_LOG_INTAKE) | PD_LOG_BIT(PD_LOG_MATCHING),
    .init = init,
    .apply = apply,
    .decide = decide,
    .passes = passed_over,
    .deadline = deadline,
    .check = check,
};
