#include "services/paidan/verify.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_MAX  64
#define NUMBER_MAX 100000000u

/* ---- what is remembered ---- */

struct booking {
  uint64_t order;
  uint32_t slot;
  uint32_t zero;
  int64_t start_ms;
  int64_t end_ms;
};

struct bookings { /* of one volunteer, those that stand */
  struct booking *list;
  size_t count;
  size_t room;
};

struct order {
  /* As matching has it. */
  uint32_t winner[SLOTS_MAX]; /* volunteer's number + 1; 0: free */
  /* As intake has it. */
  bool placed;
  bool served;
  bool rated;
  bool closed;
  uint32_t need;
  uint64_t started; /* bit: slot - 1 */
  uint64_t finished;
  uint64_t confirmed;
  uint32_t minutes[SLOTS_MAX]; /* confirmed */
  /* As points has it. */
  uint64_t posted;
};

struct offer {
  uint64_t order; /* 0: none */
  bool open;
};

struct hold {
  bool placed;
  bool resolved;
};

struct verify_facts {
  const struct verify_sink *sink;
  struct ids ids;
  struct bookings *bookings; /* by volunteer */
  size_t bookings_room;
  struct order *orders; /* by number */
  size_t orders_room;
  struct offer *offers;
  size_t offers_room;
  struct hold *holds;
  size_t holds_room;
  int64_t (*person)[3]; /* balances by person and unit */
  size_t person_room;
  int64_t (*held)[3];
  size_t held_room;
  int64_t issued[3];
  uint64_t last_posting;
  uint64_t placed;
  uint64_t closed;
};

struct verify_facts *verify_facts_new(const struct verify_sink *sink) {
  struct verify_facts *facts = calloc(1, sizeof *facts);
  pd_assert(facts != NULL);
  facts->sink = sink;
  return facts;
}

void verify_facts_free(struct verify_facts *facts) {
  if (facts == NULL) return;
  for (size_t i = 0; i < facts->bookings_room; i++) free(facts->bookings[i].list);
  free(facts->bookings);
  free(facts->orders);
  free(facts->offers);
  free(facts->holds);
  free(facts->person);
  free(facts->held);
  ids_free(&facts->ids);
  free(facts);
}

uint64_t verify_orders(const struct verify_facts *facts) { return facts->placed; }
uint64_t verify_orders_open(const struct verify_facts *facts) {
  return facts->placed - facts->closed;
}

static struct order *order_of(struct verify_facts *facts, uint64_t number) {
  static struct order nowhere; /* of numbers that nobody gave out; those are faults of their own */
  if (number == 0 || number > NUMBER_MAX) {
    nowhere = (struct order){0};
    return &nowhere;
  }
  facts->orders =
      ids_grow(facts->orders, &facts->orders_room, (size_t)number + 1, sizeof *facts->orders);
  return &facts->orders[number];
}

static struct bookings *bookings_of(struct verify_facts *facts, uint32_t person) {
  facts->bookings =
      ids_grow(facts->bookings, &facts->bookings_room, person + 1u, sizeof *facts->bookings);
  return &facts->bookings[person];
}

static void fault(struct verify_facts *facts, const struct pd_event *event, const char *what) {
  verify_fault(facts->sink, event->log, event->seq, "%s", what);
}

/* ---- P4: slots and bookings, as matching's log has them ---- */

static void unbook(struct verify_facts *facts, uint32_t person, uint64_t order, uint32_t slot) {
  struct bookings *bookings = bookings_of(facts, person);
  for (size_t i = 0; i < bookings->count; i++) {
    if (bookings->list[i].order != order || bookings->list[i].slot != slot) continue;
    bookings->list[i] = bookings->list[--bookings->count];
    return;
  }
}

static void book(struct verify_facts *facts, const struct pd_event *event, uint32_t person) {
  const struct pd_slot_filled *body = event->slot_filled;
  struct bookings *bookings = bookings_of(facts, person);
  for (size_t i = 0; i < bookings->count; i++) {
    const struct booking *other = &bookings->list[i];
    if (body->start_ms >= other->end_ms || other->start_ms >= body->end_ms) continue;
    verify_fault(facts->sink, event->log, event->seq,
                 "P4: the volunteer of order %llu is booked for order %llu at that time",
                 (unsigned long long)body->order, (unsigned long long)other->order);
  }
  bookings->list =
      ids_grow(bookings->list, &bookings->room, bookings->count + 1, sizeof *bookings->list);
  bookings->list[bookings->count++] = (struct booking){
      .order = body->order, .slot = body->slot, .start_ms = body->start_ms, .end_ms = body->end_ms};
}

static struct offer *offer_of(struct verify_facts *facts, uint64_t number) {
  static struct offer nowhere;
  if (number == 0 || number > NUMBER_MAX) {
    nowhere = (struct offer){0};
    return &nowhere;
  }
  facts->offers =
      ids_grow(facts->offers, &facts->offers_room, (size_t)number + 1, sizeof *facts->offers);
  return &facts->offers[number];
}

static void offer_made(struct verify_facts *facts, const struct pd_event *event) {
  struct offer *offer = offer_of(facts, event->offer_made->offer);
  if (offer->order != 0) fault(facts, event, "an offer's number is used twice");
  *offer = (struct offer){.order = event->offer_made->order, .open = true};
}

static void offer_ended(struct verify_facts *facts, const struct pd_event *event, uint64_t number,
                        uint64_t order) {
  struct offer *offer = offer_of(facts, number);
  if (!offer->open || offer->order != order)
    fault(facts, event, "P4: an offer ends that is not open");
  offer->open = false;
}

static void slot_filled(struct verify_facts *facts, const struct pd_event *event) {
  const struct pd_slot_filled *body = event->slot_filled;
  struct pd_id id = PD_ID(body->volunteer);
  uint32_t person = ids_take(&facts->ids, &id);
  struct order *order = order_of(facts, body->order);
  if (body->offer != 0) offer_ended(facts, event, body->offer, body->order);
  if (body->slot == 0 || body->slot > SLOTS_MAX) {
    fault(facts, event, "P4: a slot that no order can have");
    return;
  }
  if (order->winner[body->slot - 1] != 0) fault(facts, event, "P4: the slot was won before");
  order->winner[body->slot - 1] = person + 1;
  book(facts, event, person);
}

static void slot_reopened(struct verify_facts *facts, const struct pd_event *event) {
  const struct pd_slot_reopened *body = event->slot_reopened;
  struct pd_id id = PD_ID(body->volunteer);
  uint32_t person = ids_take(&facts->ids, &id);
  struct order *order = order_of(facts, body->order);
  bool there = body->slot > 0 && body->slot <= SLOTS_MAX;
  if (!there || order->winner[body->slot - 1] != person + 1) {
    fault(facts, event, "P4: a slot is reopened that this volunteer had not won");
    return;
  }
  order->winner[body->slot - 1] = 0;
  unbook(facts, person, body->order, body->slot);
}

static void order_ended(struct verify_facts *facts, uint64_t number) {
  struct order *order = order_of(facts, number);
  for (uint32_t slot = 1; slot <= SLOTS_MAX; slot++) {
    if (order->winner[slot - 1] != 0) unbook(facts, order->winner[slot - 1] - 1, number, slot);
  }
}

void verify_booking(struct verify_facts *facts, const struct pd_event *event) {
  pd_event_kind kind = event->body_case;
  if (kind == PD_EVENT_OFFER_MADE) offer_made(facts, event);
  if (kind == PD_EVENT_SLOT_FILLED) slot_filled(facts, event);
  if (kind == PD_EVENT_SLOT_REOPENED) slot_reopened(facts, event);
  if (kind == PD_EVENT_ORDER_CLOSED) order_ended(facts, event->order_closed->order);
  if (kind == PD_EVENT_OFFER_CLOSED) {
    offer_ended(facts, event, event->offer_closed->offer, event->offer_closed->order);
  }
}

/* ---- the life of an order, as intake's log has it ---- */

static uint64_t bit(uint32_t slot) {
  return slot == 0 || slot > SLOTS_MAX ? 0 : UINT64_C(1) << (slot - 1);
}

static void life_placed(struct verify_facts *facts, const struct pd_event *event) {
  struct order *order = order_of(facts, event->order_placed->order);
  if (event->order_placed->order != facts->placed + 1)
    fault(facts, event, "life: order numbers are not consecutive");
  if (order->placed) fault(facts, event, "life: an order is placed twice");
  order->placed = true;
  order->need = event->order_placed->need;
  facts->placed++;
}

/* The order that an event is about: placed, and not closed. */
static struct order *life_order(struct verify_facts *facts, const struct pd_event *event,
                                uint64_t number) {
  struct order *order = order_of(facts, number);
  if (!order->placed)
    fault(facts, event, "life: an order that was never placed");
  else if (order->closed)
    fault(facts, event, "life: something happens after the order was closed");
  return order;
}

static void life_slot(struct verify_facts *facts, const struct pd_event *event, uint64_t number,
                      uint32_t slot, uint64_t must, uint64_t must_not) {
  struct order *order = life_order(facts, event, number);
  uint64_t mask = bit(slot);
  if (mask == 0 || slot > order->need)
    fault(facts, event, "life: a slot that the order does not have");
  else if ((must & mask) == 0)
    fault(facts, event, "life: what must come before has not happened");
  else if ((must_not & mask) != 0)
    fault(facts, event, "life: it has happened before");
}

static void life_closed(struct verify_facts *facts, const struct pd_event *event) {
  struct order *order = life_order(facts, event, event->order_closed->order);
  enum pd_order_state state = event->order_closed->state;
  if (state < PD_ORDER_STATE_COMPLETED || state > PD_ORDER_STATE_UNCONFIRMED) {
    fault(facts, event, "life: closed in a state that is not final");
  }
  if (state == PD_ORDER_STATE_COMPLETED && order->confirmed == 0) {
    fault(facts, event, "life: completed, but nothing was confirmed");
  }
  if ((state == PD_ORDER_STATE_CANCELLED || state == PD_ORDER_STATE_UNFILLED) &&
      order->finished != 0) {
    fault(facts, event, "life: closed as unfilled or cancelled, but somebody has served");
  }
  if (!order->closed) facts->closed++;
  order->closed = true;
}

static void life_rated(struct verify_facts *facts, const struct pd_event *event) {
  struct order *order = life_order(facts, event, event->order_rated->order);
  if (!order->served || order->rated)
    fault(facts, event, "life: rated twice, or before it was served");
  order->rated = true;
}

static void life_confirmed(struct verify_facts *facts, const struct pd_event *event) {
  const struct pd_service_confirmed *body = event->service_confirmed;
  struct order *order = order_of(facts, body->order);
  life_slot(facts, event, body->order, body->slot, order->finished, order->confirmed);
  order->confirmed |= bit(body->slot);
  if (bit(body->slot) != 0) order->minutes[body->slot - 1] = body->minutes;
}

void verify_life(struct verify_facts *facts, const struct pd_event *event) {
  pd_event_kind kind = event->body_case;
  if (kind == PD_EVENT_ORDER_PLACED) life_placed(facts, event);
  if (kind == PD_EVENT_ORDER_CANCELLED) life_order(facts, event, event->order_cancelled->order);
  if (kind == PD_EVENT_ORDER_CLOSED) life_closed(facts, event);
  if (kind == PD_EVENT_ORDER_RATED) life_rated(facts, event);
  if (kind == PD_EVENT_SERVICE_CONFIRMED) life_confirmed(facts, event);
  if (kind == PD_EVENT_ORDER_SERVED) {
    struct order *order = life_order(facts, event, event->order_served->order);
    if (order->served || order->finished == 0)
      fault(facts, event, "life: served twice, or by nobody");
    order->served = true;
  }
  if (kind == PD_EVENT_SERVICE_STARTED) {
    const struct pd_service_started *body = event->service_started;
    struct order *order = order_of(facts, body->order);
    life_slot(facts, event, body->order, body->slot, UINT64_MAX, order->started);
    order->started |= bit(body->slot);
    order->served = false; /* somebody whose acceptance crossed order_served may still come */
  }
  if (kind == PD_EVENT_SERVICE_FINISHED) {
    const struct pd_service_finished *body = event->service_finished;
    struct order *order = order_of(facts, body->order);
    life_slot(facts, event, body->order, body->slot, order->started, order->finished);
    order->finished |= bit(body->slot);
  }
}

/* ---- P5: the ledger, added up from zero ---- */

static int64_t *balance_of(struct verify_facts *facts, const struct pd_posting_line *line) {
  struct pd_id id = PD_ID(line->person);
  if (line->account == PD_ACCOUNT_ISSUED) return &facts->issued[line->unit];
  uint32_t person = ids_take(&facts->ids, &id);
  facts->person = ids_grow(facts->person, &facts->person_room, person + 1u, sizeof *facts->person);
  facts->held = ids_grow(facts->held, &facts->held_room, person + 1u, sizeof *facts->held);
  return line->account == PD_ACCOUNT_HELD ? &facts->held[person][line->unit]
                                          : &facts->person[person][line->unit];
}

/* Add the lines; true if they sum to zero in each unit. */
static void add_lines(struct verify_facts *facts, const struct pd_event *event,
                      struct pd_posting_line **lines, size_t count) {
  int64_t sums[3] = {0};
  for (size_t i = 0; i < count; i++) {
    const struct pd_posting_line *line = lines[i];
    bool known = (unsigned)line->unit - 1u < 2u && (unsigned)line->account - 1u < 3u;
    if (!known) fault(facts, event, "P5: a line of an unknown unit or account");
    if (!known || __builtin_add_overflow(sums[line->unit], line->amount, &sums[line->unit]))
      continue;
    int64_t *balance = balance_of(facts, line);
    if (__builtin_add_overflow(*balance, line->amount, balance))
      fault(facts, event, "P5: an account overflows");
    if (*balance < 0 && line->account != PD_ACCOUNT_ISSUED)
      fault(facts, event, "P5: an account falls below zero");
  }
  if (sums[1] != 0 || sums[2] != 0) fault(facts, event, "P5: a posting does not sum to zero");
}

/* An (order, slot) is posted or held once, and only what was confirmed. */
static void check_source(struct verify_facts *facts, const struct pd_event *event, uint64_t number,
                         uint32_t slot, struct pd_posting_line **lines, size_t count) {
  struct order *order = order_of(facts, number);
  if (bit(slot) == 0 || (order->posted & bit(slot)) != 0) {
    fault(facts, event, "P5: this order and slot was posted before");
    return;
  }
  order->posted |= bit(slot);
  if ((order->confirmed & bit(slot)) == 0) {
    fault(facts, event, "P5: posted without a confirmed service");
    return;
  }
  for (size_t i = 0; i < count; i++) {
    bool minutes = lines[i]->unit == PD_UNIT_MINUTES && lines[i]->amount > 0;
    if (minutes && lines[i]->amount > (int64_t)order->minutes[slot - 1]) {
      fault(facts, event, "P5: more minutes than were confirmed");
    }
  }
}

static struct hold *hold_of(struct verify_facts *facts, uint64_t number) {
  static struct hold nowhere;
  if (number == 0 || number > NUMBER_MAX) {
    nowhere = (struct hold){0};
    return &nowhere;
  }
  facts->holds =
      ids_grow(facts->holds, &facts->holds_room, (size_t)number + 1, sizeof *facts->holds);
  return &facts->holds[number];
}

static void ledger_posted(struct verify_facts *facts, const struct pd_event *event) {
  const struct pd_points_posted *body = event->points_posted;
  if (body->posting != facts->last_posting + 1)
    fault(facts, event, "P5: posting numbers are not consecutive");
  facts->last_posting = body->posting;
  check_source(facts, event, body->order, body->slot, body->lines, body->n_lines);
  add_lines(facts, event, body->lines, body->n_lines);
}

void verify_ledger(struct verify_facts *facts, const struct pd_event *event) {
  if (event->log == PD_LOG_INTAKE) verify_life(facts, event);
  if (event->body_case == PD_EVENT_POINTS_POSTED) ledger_posted(facts, event);
  if (event->body_case == PD_EVENT_HOLD_PLACED) {
    const struct pd_hold_placed *body = event->hold_placed;
    struct hold *hold = hold_of(facts, body->hold);
    if (hold->placed) fault(facts, event, "P5: a hold's number is used twice");
    hold->placed = true;
    check_source(facts, event, body->order, body->slot, body->lines, body->n_lines);
    add_lines(facts, event, body->lines, body->n_lines);
  }
  if (event->body_case == PD_EVENT_HOLD_RESOLVED) {
    const struct pd_hold_resolved *body = event->hold_resolved;
    struct hold *hold = hold_of(facts, body->hold);
    if (!hold->placed || hold->resolved)
      fault(facts, event, "P6: a hold that is not open is resolved");
    hold->resolved = true;
    add_lines(facts, event, body->lines, body->n_lines);
  }
}

void verify_ledger_end(const struct verify_facts *facts, int64_t sums[3]) {
  for (int unit = 0; unit < 3; unit++) {
    sums[unit] = facts->issued[unit];
    for (size_t i = 0; i < facts->person_room; i++) sums[unit] += facts->person[i][unit];
    for (size_t i = 0; i < facts->held_room; i++) sums[unit] += facts->held[i][unit];
  }
}
