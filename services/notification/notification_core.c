#include "services/notification/notification_core.h"

#include "common/base/err.h"
#include "common/base/map.h"
#include "common/base/pool.h"
#include "services/notification/pending.h"

#include <stdio.h>

#define DAY_MIN 1440
#define MINUTE_MS INT64_C(60000)

/* Orders, bookings and holds are numbered from 1, like messages: 0 is none. */
struct order {
  struct pd_id requester;
  uint64_t id;
  int64_t start_ms; /* of the window */
  int64_t end_ms;
  int64_t minutes;
  uint32_t need;
  uint32_t site;
  enum pd_order_kind kind;
  enum pd_urgency urgency;
  uint32_t bookings; /* the first of its bookings */
  uint32_t zero;
};

struct booking {
  struct pd_id volunteer;
  int64_t start_ms;
  int64_t end_ms;
  uint32_t slot;
  uint32_t next; /* of the same order */
};

struct hold {
  uint64_t order;
  uint32_t slot;
  uint32_t zero;
};

struct facts {
  uint64_t last_order; /* the highest number placed: what is unknown and not above it is closed */
  uint32_t center;     /* the site that hears of the whole district; 0: none yet */
  uint32_t zero;
};

struct notification {
  struct notification_policy policy;
  struct pending_table pending;
  struct facts *facts;
  struct order *orders;
  struct booking *bookings;
  struct hold *holds;
  struct pd_pool order_pool;
  struct pd_pool booking_pool;
  struct pd_pool hold_pool;
  struct pd_map order_ids;
  struct pd_map hold_ids;
  struct pd_idmap erased;
  uint32_t slots; /* of one order, at most */
  int32_t zone_min;
};

const struct notification_policy notification_policy_default = {
    .quiet = 0, .quiet_from_min = 22 * 60, .quiet_to_min = 7 * 60};

/* ---- which messages may go out at night ------------------------------------------------------ */

enum voice {
  VOICE_DAY,  /* never in quiet hours */
  VOICE_LIVE, /* in quiet hours only when the order is urgent: its people are awake */
  VOICE_ANY   /* at any time: it is about the next hour, or somebody waits for it */
};

static const enum voice voices[] = {
    [PD_TEMPLATE_OFFER] = VOICE_LIVE,           [PD_TEMPLATE_OFFER_WITHDRAWN] = VOICE_LIVE,
    [PD_TEMPLATE_BOOKED] = VOICE_LIVE,          [PD_TEMPLATE_HELP_FOUND] = VOICE_ANY,
    [PD_TEMPLATE_HELPER_LOST] = VOICE_LIVE,     [PD_TEMPLATE_START_REMINDER] = VOICE_ANY,
    [PD_TEMPLATE_FINISH_REMINDER] = VOICE_LIVE, [PD_TEMPLATE_ESCALATED] = VOICE_LIVE,
    [PD_TEMPLATE_CANCELLED] = VOICE_LIVE,       [PD_TEMPLATE_HELD] = VOICE_DAY,
    [PD_TEMPLATE_STOOD_DOWN] = VOICE_ANY,       [PD_TEMPLATE_OFFER_COMMANDED] = VOICE_LIVE,
    [PD_TEMPLATE_ASK_DENIED] = VOICE_ANY,       [PD_TEMPLATE_COVERAGE] = VOICE_DAY};

static enum pending_lane lane_of(const struct notification_message *message) {
  bool urgent = message->urgency == PD_URGENCY_URGENT || message->urgency == PD_URGENCY_EMERGENCY;
  pd_assert(message->template <sizeof voices / sizeof voices[0]);
  enum voice voice = voices[message->template];
  pd_assert(message->template != PD_TEMPLATE_UNSPECIFIED);
  bool anytime = voice == VOICE_ANY || (voice == VOICE_LIVE && urgent);
  return anytime ? LANE_ANYTIME : LANE_DAY;
}

/* Minute of the local day; right before 1970 too. */
static int64_t minute_of_day(int64_t time_ms, int32_t zone_min) {
  int64_t minutes = time_ms / MINUTE_MS - (time_ms % MINUTE_MS < 0) + zone_min;
  int64_t minute = minutes % DAY_MIN;
  return minute < 0 ? minute + DAY_MIN : minute;
}

static bool is_quiet(const struct notification *self, int64_t now_ms) {
  if (self->policy.quiet == 0) return false;
  int64_t minute = minute_of_day(now_ms, self->zone_min);
  int64_t from = self->policy.quiet_from_min, to = self->policy.quiet_to_min;
  return from <= to ? minute >= from && minute < to : minute >= from || minute < to;
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void *notification_init(struct pd_arena *arena, const struct pd_limits *limits,
                               const struct pd_shard *shard, const void *policy) {
  struct notification *self = pd_arena_alloc(arena, sizeof *self);
  self->policy =
      policy != NULL ? *(const struct notification_policy *)policy : notification_policy_default;
  pd_assert(self->policy.quiet_from_min < DAY_MIN && self->policy.quiet_to_min < DAY_MIN);
  self->slots = limits->slots;
  self->zone_min = shard->zone_min;
  pd_arena_begin_image(arena);
  self->facts = PD_ARENA_ARRAY(arena, struct facts, 1);
  self->orders = PD_ARENA_ARRAY(arena, struct order, limits->orders + 1u);
  self->bookings = PD_ARENA_ARRAY(arena, struct booking, limits->bookings + 1u);
  self->holds = PD_ARENA_ARRAY(arena, struct hold, limits->holds + 1u);
  pd_pool_init(&self->order_pool, arena, limits->orders);
  pd_pool_init(&self->booking_pool, arena, limits->bookings);
  pd_pool_init(&self->hold_pool, arena, limits->holds);
  pd_map_init(&self->order_ids, arena, limits->orders);
  pd_map_init(&self->hold_ids, arena, limits->holds);
  pd_idmap_init(&self->erased, arena, limits->persons);
  pending_init(&self->pending, arena, limits->messages, limits->orders);
  return self;
}

static uint32_t order_find(const struct notification *self, uint64_t id) {
  uint32_t at = pd_map_get(&self->order_ids, id);
  pd_assert(at == PD_NONE || (at != 0 && self->orders[at].id == id));
  return at == PD_NONE ? 0 : at;
}

/* The link that holds the booking of this slot, or the last link of the order's chain. */
static uint32_t *booking_link(struct notification *self, struct order *order, uint32_t slot) {
  pd_assert(slot != 0); /* that of a booking not in use */
  uint32_t *link = &order->bookings;
  while (*link != 0 && self->bookings[*link].slot != slot) link = &self->bookings[*link].next;
  return link;
}

static void booking_free(struct notification *self, uint32_t *link) {
  uint32_t at = *link;
  pd_assert(at != 0);
  *link = self->bookings[at].next;
  self->bookings[at] = (struct booking){.slot = 0};
  pd_pool_give(&self->booking_pool, at - 1);
}

/* A slot has one booking: a second one takes the place of the first. */
static void booking_set(struct notification *self, struct order *order,
                        const struct pd_slot_filled *filled) {
  if (filled->slot == 0 || filled->slot > self->slots) return;
  uint32_t *link = booking_link(self, order, filled->slot);
  if (*link == 0) {
    if (pd_pool_free(&self->booking_pool) == 0) return;
    *link = pd_pool_take(&self->booking_pool) + 1;
    pd_assert(self->bookings[*link].slot == 0);
  }
  struct booking *booking = &self->bookings[*link];
  booking->volunteer = PD_ID(filled->volunteer);
  booking->start_ms = filled->start_ms;
  booking->end_ms = filled->end_ms;
  booking->slot = filled->slot;
}

/* ---- saying and overtaking ------------------------------------------------------------------- */

static bool is_erased(const struct notification *self, const struct pd_id *person) {
  return pd_idmap_get(&self->erased, person) != PD_NONE;
}

/* A message about this event and, unless order is 0, this order. */
static struct notification_message draft(const struct notification *self,
                                         const struct pd_event *event, uint32_t part,
                                         enum pd_template template, uint32_t order) {
  struct notification_message message = {.seq = event->seq,
                                         .time_ms = event->time_ms,
                                         .log = event->log,
                                         .part = part,
                                         .template = template};
  if (order == 0) return message;
  const struct order *of = &self->orders[order];
  pd_assert(order <= self->order_pool.capacity);
  message.order = of->id;
  message.start_ms = of->start_ms;
  message.end_ms = of->end_ms;
  message.minutes = of->minutes;
  message.need = of->need;
  message.kind = of->kind;
  message.urgency = of->urgency;
  return message;
}

/* Let it wait, unless there is nobody to hear it.  order 0: no later fact about the order overtakes
 * it. */
static void say(struct notification *self, const struct notification_message *message,
                uint32_t order) {
  if (pd_id_is_zero(&message->person) ? message->site == 0 : is_erased(self, &message->person))
    return;
  pending_add(&self->pending, message, lane_of(message), order);
}

static void tell_requester(struct notification *self, const struct pd_event *event, uint32_t part,
                           enum pd_template template, uint32_t order, uint32_t slot) {
  struct notification_message message = draft(self, event, part, template, order);
  message.person = self->orders[order].requester;
  message.slot = slot;
  say(self, &message, template == PD_TEMPLATE_UNFILLED ? 0 : order);
}

/* The order's waiting message of this kind is not true any more; false if there is none. */
static bool overtake(struct notification *self, uint32_t order, enum pd_template template,
                     uint32_t slot) {
  uint32_t at = pending_of_order(&self->pending, order, template, slot);
  if (at != 0) pending_suppress(&self->pending, at, LANE_STALE);
  pd_assert(at == 0 || self->pending.entries[at].message.order == self->orders[order].id);
  return at != 0;
}

static void overtake_all(struct notification *self, uint32_t order) {
  while (self->pending.orders[order] != 0)
    pending_suppress(&self->pending, self->pending.orders[order], LANE_STALE);
}

/* ---- intake's facts -------------------------------------------------------------------------- */

static void on_order_placed(struct notification *self, const struct pd_event *event) {
  pd_assert(event->body_case == PD_EVENT_ORDER_PLACED);
  const struct pd_order_placed *placed = event->order_placed;
  if (placed->order > self->facts->last_order) self->facts->last_order = placed->order;
  bool known = placed->order == 0 || order_find(self, placed->order) != 0; /* 0 is no order */
  if (known || pd_pool_free(&self->order_pool) == 0) return;
  uint32_t at = pd_pool_take(&self->order_pool) + 1;
  pd_assert(self->orders[at].id == 0 && self->pending.orders[at] == 0);
  self->orders[at] = (struct order){.requester = PD_ID(placed->requester),
                                    .id = placed->order,
                                    .start_ms = placed->window_start_ms,
                                    .end_ms = placed->window_end_ms,
                                    .minutes = placed->minutes,
                                    .need = placed->need,
                                    .site = placed->site,
                                    .kind = placed->kind,
                                    .urgency = placed->urgency};
  pd_map_put(&self->order_ids, placed->order, at);
  tell_requester(self, event, 0, PD_TEMPLATE_ORDER_RECEIVED, at, 0);
}

static void on_service_started(struct notification *self, const struct pd_event *event) {
  pd_assert(event->body_case == PD_EVENT_SERVICE_STARTED);
  uint32_t order = order_find(self, event->service_started->order);
  if (order != 0) overtake(self, order, PD_TEMPLATE_START_REMINDER, event->service_started->slot);
}

static void on_service_finished(struct notification *self, const struct pd_event *event) {
  pd_assert(event->body_case == PD_EVENT_SERVICE_FINISHED);
  uint32_t order = order_find(self, event->service_finished->order);
  if (order != 0) overtake(self, order, PD_TEMPLATE_FINISH_REMINDER, event->service_finished->slot);
}

static void on_order_served(struct notification *self, const struct pd_event *event) {
  pd_assert(event->body_case == PD_EVENT_ORDER_SERVED);
  uint32_t order = order_find(self, event->order_served->order);
  if (order != 0) tell_requester(self, event, 0, PD_TEMPLATE_CONFIRM_REQUEST, order, 0);
}

static void on_service_confirmed(struct notification *self, const struct pd_event *event) {
  pd_assert(event->body_case == PD_EVENT_SERVICE_CONFIRMED);
  uint32_t order = order_find(self, event->service_confirmed->order);
  if (order == 0 || !event->service_confirmed->last) return;
  overtake(self, order, PD_TEMPLATE_CONFIRM_REQUEST, 0);
  overtake(self, order, PD_TEMPLATE_CONFIRM_REMINDER, 0);
}

/* A helper who never heard of the booking need not hear that it is off. */
static void tell_cancelled(struct notification *self, const struct pd_event *event, uint32_t order,
                           const struct booking *booking) {
  pd_assert(booking->slot != 0 && booking->slot <= self->slots);
  if (overtake(self, order, PD_TEMPLATE_BOOKED, booking->slot)) return;
  struct notification_message message =
      draft(self, event, booking->slot - 1, PD_TEMPLATE_CANCELLED, order);
  message.person = booking->volunteer;
  message.slot = booking->slot;
  message.start_ms = booking->start_ms;
  message.end_ms = booking->end_ms;
  say(self, &message, 0);
}

static void on_order_closed(struct notification *self, const struct pd_event *event) {
  pd_assert(event->body_case == PD_EVENT_ORDER_CLOSED);
  uint32_t at = order_find(self, event->order_closed->order);
  if (at == 0) return;
  struct order *order = &self->orders[at];
  enum pd_order_state state = event->order_closed->state;
  while (order->bookings != 0) {
    if (state == PD_ORDER_STATE_CANCELLED)
      tell_cancelled(self, event, at, &self->bookings[order->bookings]);
    booking_free(self, &order->bookings);
  }
  overtake_all(self, at);
  if (state == PD_ORDER_STATE_UNFILLED) tell_requester(self, event, 0, PD_TEMPLATE_UNFILLED, at, 0);
  pd_assert(pd_map_remove(&self->order_ids, order->id));
  *order = (struct order){.id = 0};
  pd_pool_give(&self->order_pool, at - 1);
}

static void on_person_erased(struct notification *self, const struct pd_event *event) {
  pd_assert(event->body_case == PD_EVENT_PERSON_ERASED);
  struct pd_id person = PD_ID(event->person_erased->person);
  if (pd_id_is_zero(&person) || is_erased(self, &person)) return;
  if (*self->erased.count < self->erased.capacity) pd_idmap_put(&self->erased, &person, 0);
  pending_erase(&self->pending, &person);
}

/* ---- matching's facts ------------------------------------------------------------------------ */

static void on_offer_made(struct notification *self, const struct pd_event *event) {
  pd_assert(event->body_case == PD_EVENT_OFFER_MADE);
  const struct pd_offer_made *made = event->offer_made;
  if (made->how == PD_OFFER_HOW_ASKED) return; /* who asked has it: BOOKED follows */
  bool commanded = made->how == PD_OFFER_HOW_COMMANDED;
  enum pd_template template = commanded ? PD_TEMPLATE_OFFER_COMMANDED : PD_TEMPLATE_OFFER;
  struct notification_message message =
      draft(self, event, 0, template, order_find(self, made->order));
  message.person = PD_ID(made->volunteer);
  message.order = made->order;
  message.subject = made->offer;
  message.start_ms = made->start_ms;
  message.end_ms = made->end_ms;
  message.until_ms = made->expires_at_ms;
  message.distance_m = made->distance_m;
  say(self, &message, 0);
}

/* An offer that still waits is not sent any more; false if it went out already. */
static bool overtake_offer(struct notification *self, uint64_t offer) {
  uint32_t at = pending_of_offer(&self->pending, offer);
  if (at != 0) pending_suppress(&self->pending, at, LANE_STALE);
  return at != 0;
}

static void tell_withdrawn(struct notification *self, const struct pd_event *event, uint64_t order,
                           uint64_t offer, struct pd_id volunteer, bool filled) {
  struct notification_message message =
      draft(self, event, 0, PD_TEMPLATE_OFFER_WITHDRAWN, order_find(self, order));
  bool emergency =
      message.urgency == PD_URGENCY_EMERGENCY || message.kind == PD_ORDER_KIND_EMERGENCY;
  if (filled && emergency) message.template = PD_TEMPLATE_STOOD_DOWN;
  message.person = volunteer;
  message.order = order;
  message.subject = offer;
  say(self, &message, 0);
}

/* The rules stand against this pair now.  Why is not said: the words are those of any ended
 * invitation, so that nobody reads out of them that somebody does not wish to meet them. */
static bool is_unlawful(enum pd_reason reason) {
  return reason == PD_REASON_BLOCKED || reason == PD_REASON_HEALTH ||
         reason == PD_REASON_GUARDIAN || reason == PD_REASON_QUALIFICATION ||
         reason == PD_REASON_INSURANCE;
}

/* Who declined, stayed silent or left knows it; the others may still be counting on the offer,
 * above all those who accepted it. */
static bool is_told(enum pd_reason reason) {
  return reason == PD_REASON_FILLED || reason == PD_REASON_ORDER_ENDED ||
         reason == PD_REASON_OVERLAP || reason == PD_REASON_CAPACITY || reason == PD_REASON_HOURS ||
         reason == PD_REASON_REST || reason == PD_REASON_DAY_FULL || reason == PD_REASON_FULL ||
         is_unlawful(reason);
}

static void on_offer_closed(struct notification *self, const struct pd_event *event) {
  pd_assert(event->body_case == PD_EVENT_OFFER_CLOSED);
  const struct pd_offer_closed *closed = event->offer_closed;
  if (overtake_offer(self, closed->offer) || !is_told(closed->reason)) return;
  tell_withdrawn(self, event, closed->order, closed->offer, PD_ID(closed->volunteer),
                 closed->reason == PD_REASON_FILLED);
}

/* The centre hears where nobody is and who waits, if there is anything to hear. */
static void on_coverage_noted(struct notification *self, const struct pd_event *event) {
  pd_assert(event->body_case == PD_EVENT_COVERAGE_NOTED);
  const struct pd_coverage_noted *noted = event->coverage_noted;
  if (noted->uncovered == 0 && noted->starved == 0) return;
  struct notification_message message = draft(self, event, 0, PD_TEMPLATE_COVERAGE, 0);
  message.site = self->facts->center;
  message.cells = noted->uncovered;
  message.asked = noted->uncovered_orders;
  message.starved = noted->starved;
  say(self, &message, 0);
}

/* Who asked in the hall hears why it is not to be had; a coordinator reads it where it was said. */
static void on_offer_denied(struct notification *self, const struct pd_event *event) {
  pd_assert(event->body_case == PD_EVENT_OFFER_DENIED);
  const struct pd_offer_denied *denied = event->offer_denied;
  if (denied->how != PD_OFFER_HOW_ASKED) return;
  struct notification_message message =
      draft(self, event, 0, PD_TEMPLATE_ASK_DENIED, order_find(self, denied->order));
  message.person = PD_ID(denied->volunteer);
  message.order = denied->order;
  message.reason = denied->reason;
  say(self, &message, 0);
}

static void on_slot_filled(struct notification *self, const struct pd_event *event) {
  pd_assert(event->body_case == PD_EVENT_SLOT_FILLED);
  const struct pd_slot_filled *filled = event->slot_filled;
  uint32_t at = order_find(self, filled->order);
  overtake_offer(self, filled->offer);
  if (at == 0 && filled->order <= self->facts->last_order) {
    /* The order was closed while matching filled the slot. */
    if (filled->offer != 0)
      tell_withdrawn(self, event, filled->order, filled->offer, PD_ID(filled->volunteer), false);
    return;
  }
  struct notification_message message = draft(self, event, 0, PD_TEMPLATE_BOOKED, at);
  message.person = PD_ID(filled->volunteer);
  message.order = filled->order;
  message.subject = filled->offer;
  message.slot = filled->slot;
  message.start_ms = filled->start_ms;
  message.end_ms = filled->end_ms;
  if (!filled->started) say(self, &message, at); /* who has begun need not be told */
  if (at == 0) return;
  booking_set(self, &self->orders[at], filled);
  message.template = PD_TEMPLATE_HELP_FOUND;
  message.part = 1;
  message.person = self->orders[at].requester;
  say(self, &message, at);
}

/* Somebody who is booked and would come is not to. */
static void tell_not_to_come(struct notification *self, const struct pd_event *event,
                             uint32_t order) {
  struct notification_message message = draft(self, event, 1, PD_TEMPLATE_OFFER_WITHDRAWN, order);
  message.person = PD_ID(event->slot_reopened->volunteer);
  message.slot = event->slot_reopened->slot;
  say(self, &message, 0);
}

static void on_slot_reopened(struct notification *self, const struct pd_event *event) {
  pd_assert(event->body_case == PD_EVENT_SLOT_REOPENED);
  const struct pd_slot_reopened *reopened = event->slot_reopened;
  uint32_t at = order_find(self, reopened->order);
  if (at == 0 || reopened->slot == 0) return;
  uint32_t *link = booking_link(self, &self->orders[at], reopened->slot);
  if (*link != 0) booking_free(self, link);
  bool unheard = overtake(self, at, PD_TEMPLATE_BOOKED, reopened->slot);
  overtake(self, at, PD_TEMPLATE_START_REMINDER, reopened->slot);
  overtake(self, at, PD_TEMPLATE_FINISH_REMINDER, reopened->slot);
  if (!unheard && is_unlawful(reopened->reason)) tell_not_to_come(self, event, at);
  if (overtake(self, at, PD_TEMPLATE_HELP_FOUND, reopened->slot)) return;
  tell_requester(self, event, 0, PD_TEMPLATE_HELPER_LOST, at, reopened->slot);
}

static void on_order_staffed(struct notification *self, const struct pd_event *event) {
  pd_assert(event->body_case == PD_EVENT_ORDER_STAFFED);
  uint32_t order = order_find(self, event->order_staffed->order);
  while (order != 0 && overtake(self, order, PD_TEMPLATE_ESCALATED, 0)) continue;
}

/* ---- scheduling's facts ---------------------------------------------------------------------- */

static void on_order_escalated(struct notification *self, const struct pd_event *event) {
  pd_assert(event->body_case == PD_EVENT_ORDER_ESCALATED);
  uint32_t order = order_find(self, event->order_escalated->order);
  if (order == 0) return;
  struct notification_message message = draft(self, event, 0, PD_TEMPLATE_ESCALATED, order);
  message.site = event->order_escalated->site;
  say(self, &message, order);
}

static enum pd_template reminder_template(enum pd_reminder_kind kind) {
  if (kind == PD_REMINDER_KIND_START) return PD_TEMPLATE_START_REMINDER;
  if (kind == PD_REMINDER_KIND_FINISH) return PD_TEMPLATE_FINISH_REMINDER;
  if (kind == PD_REMINDER_KIND_CONFIRM) return PD_TEMPLATE_CONFIRM_REMINDER;
  return PD_TEMPLATE_UNSPECIFIED;
}

/* A volunteer is reminded of what is still booked for exactly that volunteer. */
static void on_reminder_due(struct notification *self, const struct pd_event *event) {
  pd_assert(event->body_case == PD_EVENT_REMINDER_DUE);
  const struct pd_reminder_due *due = event->reminder_due;
  enum pd_template template = reminder_template(due->kind);
  uint32_t order = order_find(self, due->order);
  if (order == 0 || template == PD_TEMPLATE_UNSPECIFIED) return;
  struct notification_message message = draft(self, event, 0, template, order);
  message.person = PD_ID(due->person);
  if (template != PD_TEMPLATE_CONFIRM_REMINDER) {
    if (due->slot == 0) return;
    uint32_t booked = *booking_link(self, &self->orders[order], due->slot);
    const struct booking *booking = &self->bookings[booked];
    if (booked == 0 || !pd_id_equal(&booking->volunteer, &message.person)) return;
    message.slot = due->slot;
    message.start_ms = booking->start_ms;
    message.end_ms = booking->end_ms;
  }
  say(self, &message, order);
}

/* ---- points' facts --------------------------------------------------------------------------- */

/* Add up the lines of one account; its person is the hearer. */
static void take_lines(struct notification_message *message, enum pd_account account,
                       struct pd_posting_line *const *lines, size_t count) {
  message->minutes = 0;
  for (size_t i = 0; i < count; i++) {
    if (lines[i]->account != account || lines[i]->person.len == 0) continue;
    message->person = PD_ID(lines[i]->person);
    if (lines[i]->unit == PD_UNIT_MINUTES) message->minutes += lines[i]->amount;
    if (lines[i]->unit == PD_UNIT_POINTS) message->points += lines[i]->amount;
  }
}

static void on_points_posted(struct notification *self, const struct pd_event *event) {
  pd_assert(event->body_case == PD_EVENT_POINTS_POSTED);
  const struct pd_points_posted *posted = event->points_posted;
  struct notification_message message =
      draft(self, event, 0, PD_TEMPLATE_POINTS, order_find(self, posted->order));
  message.order = posted->order;
  message.slot = posted->slot;
  take_lines(&message, PD_ACCOUNT_PERSON, posted->lines, posted->n_lines);
  say(self, &message, 0);
}

static void on_hold_placed(struct notification *self, const struct pd_event *event) {
  pd_assert(event->body_case == PD_EVENT_HOLD_PLACED);
  const struct pd_hold_placed *placed = event->hold_placed;
  struct notification_message message =
      draft(self, event, 0, PD_TEMPLATE_HELD, order_find(self, placed->order));
  message.order = placed->order;
  message.slot = placed->slot;
  message.subject = placed->hold;
  message.until_ms = placed->decide_by_ms;
  take_lines(&message, PD_ACCOUNT_HELD, placed->lines, placed->n_lines);
  say(self, &message, 0);
  if (pd_map_get(&self->hold_ids, placed->hold) != PD_NONE) return;
  if (pd_pool_free(&self->hold_pool) == 0) return;
  uint32_t at = pd_pool_take(&self->hold_pool) + 1;
  self->holds[at] = (struct hold){.order = placed->order, .slot = placed->slot};
  pd_map_put(&self->hold_ids, placed->hold, at);
}

/* Granted after all: the volunteer hears of it as of any posting. */
static void on_hold_resolved(struct notification *self, const struct pd_event *event) {
  pd_assert(event->body_case == PD_EVENT_HOLD_RESOLVED);
  const struct pd_hold_resolved *resolved = event->hold_resolved;
  uint32_t at = pd_map_get(&self->hold_ids, resolved->hold);
  struct hold hold = {.order = 0};
  if (at != PD_NONE) {
    hold = self->holds[at];
    self->holds[at] = (struct hold){.order = 0};
    pd_pool_give(&self->hold_pool, at - 1);
    pd_map_remove(&self->hold_ids, resolved->hold);
  }
  if (resolved->outcome != PD_HOLD_OUTCOME_POSTED) return;
  struct notification_message message =
      draft(self, event, 0, PD_TEMPLATE_POINTS, order_find(self, hold.order));
  message.order = hold.order;
  message.slot = hold.slot;
  message.subject = resolved->hold;
  take_lines(&message, PD_ACCOUNT_PERSON, resolved->lines, resolved->n_lines);
  say(self, &message, 0);
}

static void on_star_reached(struct notification *self, const struct pd_event *event) {
  pd_assert(event->body_case == PD_EVENT_STAR_REACHED);
  const struct pd_star_reached *reached = event->star_reached;
  struct notification_message message = draft(self, event, 0, PD_TEMPLATE_STAR, 0);
  message.person = PD_ID(reached->person);
  message.star = reached->star;
  message.minutes = (int64_t)reached->minutes;
  say(self, &message, 0);
}

static void on_done(struct notification *self, const struct pd_position *about, uint32_t part) {
  if (about == NULL) return;
  uint32_t at = pending_find(&self->pending, about->log, about->seq, part);
  if (at != 0) pending_remove(&self->pending, at);
}

/* The three ways in which a message ends say alike what it was. */
#define DONE(body) on_done(self, (body)->about, (body)->part)

static void notification_apply(void *state, const struct pd_event *event) {
  struct notification *self = state;
  switch (event->body_case) {
    case PD_EVENT_ORDER_PLACED: on_order_placed(self, event); break;
    case PD_EVENT_SERVICE_STARTED: on_service_started(self, event); break;
    case PD_EVENT_SERVICE_FINISHED: on_service_finished(self, event); break;
    case PD_EVENT_ORDER_SERVED: on_order_served(self, event); break;
    case PD_EVENT_SERVICE_CONFIRMED: on_service_confirmed(self, event); break;
    case PD_EVENT_ORDER_CLOSED: on_order_closed(self, event); break;
    case PD_EVENT_PERSON_ERASED: on_person_erased(self, event); break;
    case PD_EVENT_OFFER_MADE: on_offer_made(self, event); break;
    case PD_EVENT_OFFER_CLOSED: on_offer_closed(self, event); break;
    case PD_EVENT_OFFER_DENIED: on_offer_denied(self, event); break;
    case PD_EVENT_COVERAGE_NOTED: on_coverage_noted(self, event); break;
    case PD_EVENT_SITE_REGISTERED:
      if (event->site_registered->parent == 0) self->facts->center = event->site_registered->site;
      break;
    case PD_EVENT_SLOT_FILLED: on_slot_filled(self, event); break;
    case PD_EVENT_SLOT_REOPENED: on_slot_reopened(self, event); break;
    case PD_EVENT_ORDER_STAFFED: on_order_staffed(self, event); break;
    case PD_EVENT_ORDER_ESCALATED: on_order_escalated(self, event); break;
    case PD_EVENT_REMINDER_DUE: on_reminder_due(self, event); break;
    case PD_EVENT_POINTS_POSTED: on_points_posted(self, event); break;
    case PD_EVENT_HOLD_PLACED: on_hold_placed(self, event); break;
    case PD_EVENT_HOLD_RESOLVED: on_hold_resolved(self, event); break;
    case PD_EVENT_STAR_REACHED: on_star_reached(self, event); break;
    case PD_EVENT_MESSAGE_SENT: DONE(event->message_sent); break;
    case PD_EVENT_MESSAGE_FAILED: DONE(event->message_failed); break;
    case PD_EVENT_MESSAGE_SUPPRESSED: DONE(event->message_suppressed); break;
    case PD_EVENT_EPOCH_BEGAN: case PD_EVENT_INPUTS_NOTED: case PD_EVENT_TEAM_REGISTERED:
    case PD_EVENT_TEAM_JOINED: case PD_EVENT_VOLUNTEER_REGISTERED: case PD_EVENT_VOLUNTEER_PAUSED:
    case PD_EVENT_VOLUNTEER_RESUMED: case PD_EVENT_VOLUNTEER_EXITED:
    case PD_EVENT_RESIDENT_REGISTERED: case PD_EVENT_ORDER_CANCELLED: case PD_EVENT_OFFER_ANSWERED:
    case PD_EVENT_VOLUNTEER_WITHDREW: case PD_EVENT_ORDER_RATED: case PD_EVENT_HOLD_DECIDED:
    case PD_EVENT_POLICY_ADOPTED: case PD_EVENT_EXTERNAL_NOTED: case PD_EVENT_CREDENTIAL_RECORDED:
    case PD_EVENT_PAIR_BLOCKED: case PD_EVENT_OFFER_COMMANDED: case PD_EVENT_ORDER_ASKED:
    case PD_EVENT_DAY_BEGAN: case PD_EVENT_WAVE_OPENED: case PD_EVENT_ORDER_UNMATCHED:
    case PD_EVENT_WAVE_DUE: case PD_EVENT_ORDER_EXPIRED: case PD_EVENT_NO_SHOW_NOTED:
    case PD_EVENT_NOT_SET: case PD_EVENT_CASE_SIZE: break;
  }
}

/* ---- decisions ------------------------------------------------------------------------------- */

static struct pd_position about_of(const struct notification_message *message) {
  struct pd_position about = PD_POSITION_INIT;
  about.log = message->log;
  about.seq = message->seq;
  return about;
}

static ProtobufCBinaryData person_of(const struct notification_message *message) {
  if (pd_id_is_zero(&message->person)) return (ProtobufCBinaryData){.len = 0};
  return pd_bytes(&message->person);
}

/* apply empties the lane, one message for each event. */
static void suppress_lane(struct notification *self, struct pd_outbox *out, enum pending_lane lane,
                          enum pd_suppress_reason reason) {
  const struct pending_list *list = &self->pending.facts->lanes[lane];
  while (list->head != 0) {
    struct notification_message message = self->pending.entries[list->head].message;
    uint64_t before = list->count;
    struct pd_position about = about_of(&message);
    struct pd_message_suppressed body = PD_MESSAGE_SUPPRESSED_INIT;
    body.about = &about;
    body.part = message.part;
    body.template_ = message.template;
    body.person = person_of(&message);
    body.reason = reason;
    pd_emit_message_suppressed(out, &body);
    pd_assert(list->count == before - 1);
  }
}

static void emit_sent(const struct notification_message *message,
                      const struct pd_delivery *delivery, struct pd_outbox *out) {
  struct pd_position about = about_of(message);
  struct pd_message_sent body = PD_MESSAGE_SENT_INIT;
  body.about = &about;
  body.part = message->part;
  body.template_ = message->template;
  body.person = person_of(message);
  body.site = message->site;
  body.sink = (char *)delivery->sink;
  body.attempts = delivery->attempts;
  pd_emit_message_sent(out, &body);
}

static void emit_failed(const struct notification_message *message,
                        const struct pd_delivery *delivery, struct pd_outbox *out) {
  char why[65]; /* the contract's 64 bytes */
  snprintf(why, sizeof why, "%s", delivery->why != NULL ? delivery->why : "unknown");
  struct pd_position about = about_of(message);
  struct pd_message_failed body = PD_MESSAGE_FAILED_INIT;
  body.about = &about;
  body.part = message->part;
  body.template_ = message->template;
  body.person = person_of(message);
  body.site = message->site;
  body.sink = (char *)delivery->sink;
  body.attempts = delivery->attempts;
  body.why = why;
  pd_emit_message_failed(out, &body);
}

/* A result for a message that was suppressed meanwhile, or reported twice, changes nothing; nor
 * does an attempt that failed and will be followed by another. */
static void decide_delivery(struct notification *self, const struct pd_delivery *delivery,
                            struct pd_outbox *out) {
  pd_assert(delivery->sink != NULL);
  uint32_t at = pending_find(&self->pending, delivery->log, delivery->seq, delivery->part);
  if (at == 0) return;
  struct notification_message message = self->pending.entries[at].message;
  if (delivery->ok)
    emit_sent(&message, delivery, out);
  else if (delivery->final)
    emit_failed(&message, delivery, out);
}

static void notification_decide(void *state, const struct pd_input *input, struct pd_outbox *out) {
  struct notification *self = state;
  pd_assert(input->kind != PD_INPUT_COMMAND);
  if (input->kind == PD_INPUT_DELIVERY) decide_delivery(self, input->delivery, out);
  suppress_lane(self, out, LANE_STALE, PD_SUPPRESS_REASON_STALE);
  suppress_lane(self, out, LANE_ERASED, PD_SUPPRESS_REASON_ERASED);
}

/* One event concerns at most all helpers of one order, or a helper and the resident. */
static uint32_t notification_room(const void *state) {
  const struct notification *self = state;
  uint32_t most = self->slots > 2 ? self->slots : 2;
  return pd_pool_free(&self->pending.pool) / most;
}

static void notification_check(const void *state) {
  const struct notification *self = state;
  pending_check(&self->pending);
  pd_assert(*self->order_pool.taken == *self->order_ids.count);
  pd_assert(*self->hold_pool.taken == *self->hold_ids.count);
  uint64_t booked = 0;
  for (uint32_t at = 1; at <= self->order_pool.capacity; at++) {
    const struct order *order = &self->orders[at];
    pd_assert(order->id != 0 || (order->bookings == 0 && self->pending.orders[at] == 0));
    pd_assert(order->id == 0 || order_find(self, order->id) == at);
    for (uint32_t b = order->bookings; b != 0; b = self->bookings[b].next) booked++;
  }
  pd_assert(booked == *self->booking_pool.taken);
}

bool notification_next(const struct notification *self, int64_t now_ms,
                       struct notification_cursor *cursor, struct notification_message *message) {
  const struct pending *entries = self->pending.entries;
  uint32_t at = pending_after(&self->pending, LANE_ANYTIME, cursor);
  if (!is_quiet(self, now_ms)) {
    uint32_t day = pending_after(&self->pending, LANE_DAY, cursor);
    if (at == 0 || (day != 0 && entries[day].number < entries[at].number)) at = day;
  }
  if (at == 0) return false;
  enum pending_lane lane = entries[at].lane;
  pd_assert(entries[at].number > cursor->number[lane]);
  cursor->entry[lane] = at;
  cursor->number[lane] = entries[at].number;
  *message = entries[at].message;
  return true;
}

int64_t notification_wake(const struct notification *self, int64_t now_ms) {
  if (self->pending.facts->lanes[LANE_DAY].count == 0 || !is_quiet(self, now_ms)) return PD_NEVER;
  int64_t minute = minute_of_day(now_ms, self->zone_min);
  int64_t ahead = (int64_t)self->policy.quiet_to_min - minute;
  if (ahead <= 0) ahead += DAY_MIN;
  int64_t into = now_ms % MINUTE_MS;
  return now_ms - (into < 0 ? into + MINUTE_MS : into) + ahead * MINUTE_MS;
}

struct notification_counts notification_count(const struct notification *self) {
  const struct pending_facts *facts = self->pending.facts;
  struct notification_counts counts = {
      .by_day = facts->lanes[LANE_DAY].count, .created = facts->created, .dropped = facts->dropped};
  for (enum pending_lane lane = LANE_ANYTIME; lane < LANE_COUNT; lane++)
    counts.waiting += facts->lanes[lane].count;
  pd_assert(counts.waiting <= self->pending.pool.capacity);
  return counts;
}

/* Said by the logs that are followed here, and nothing to this core: see the switches above. */
static const uint8_t passed_over[] = {
    PD_EVENT_TEAM_REGISTERED, PD_EVENT_TEAM_JOINED, PD_EVENT_VOLUNTEER_REGISTERED,
    PD_EVENT_VOLUNTEER_PAUSED, PD_EVENT_VOLUNTEER_RESUMED, PD_EVENT_VOLUNTEER_EXITED,
    PD_EVENT_RESIDENT_REGISTERED, PD_EVENT_ORDER_CANCELLED, PD_EVENT_OFFER_ANSWERED,
    PD_EVENT_VOLUNTEER_WITHDREW, PD_EVENT_ORDER_RATED, PD_EVENT_HOLD_DECIDED,
    PD_EVENT_EXTERNAL_NOTED, PD_EVENT_POLICY_ADOPTED, PD_EVENT_WAVE_OPENED,
    PD_EVENT_ORDER_UNMATCHED, PD_EVENT_WAVE_DUE, PD_EVENT_ORDER_EXPIRED, PD_EVENT_NO_SHOW_NOTED,
    PD_EVENT_OFFER_COMMANDED, PD_EVENT_ORDER_ASKED, PD_EVENT_DAY_BEGAN,
    PD_EVENT_CREDENTIAL_RECORDED, PD_EVENT_PAIR_BLOCKED, 0};

const struct pd_core notification_core = {
    .name = "notification",
    .log = PD_LOG_NOTIFICATION,
    .inputs = PD_LOG_BIT(PD_LOG_INTAKE) | PD_LOG_BIT(PD_LOG_MATCHING) |
              PD_LOG_BIT(PD_LOG_SCHEDULING) | PD_LOG_BIT(PD_LOG_POINTS),
    .init = notification_init,
    .apply = notification_apply,
    .decide = notification_decide,
    .passes = passed_over,
    .room = notification_room,
    .check = notification_check,
};
