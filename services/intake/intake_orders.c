/* What happened to orders and offers, and what follows from it. */
#include "common/base/err.h"
#include "services/intake/intake_moves.h"
#include "services/intake/intake_state.h"

struct intake_order *intake_order_find(const struct intake *self, uint64_t number) {
  uint32_t index = pd_map_get(&self->order_of, number);
  pd_assert(index == PD_NONE || self->orders[index].number == number);
  return index != PD_NONE ? &self->orders[index] : NULL;
}

struct intake_offer *intake_offer_find(const struct intake *self, uint64_t number) {
  uint32_t index = pd_map_get(&self->offer_of, number);
  pd_assert(index == PD_NONE || self->offers[index].number == number);
  return index != PD_NONE ? &self->offers[index] : NULL;
}

struct intake_slot *intake_slot_of(const struct intake *self, const struct intake_order *order,
                                   uint32_t number) {
  pd_assert(number >= 1 && number <= order->need);
  uint32_t at = order->first;
  for (uint32_t i = 1; i < number; i++) at = self->slots[at].next;
  pd_assert(self->slots[at].number == number);
  return &self->slots[at];
}

/* The slot of an order, NULL if either is not there. */
static struct intake_slot *find_slot(const struct intake *self, struct intake_order *order,
                                     uint32_t number) {
  pd_assert(order == NULL || order->need >= 1);
  if (order == NULL || number < 1 || number > order->need) return NULL;
  return intake_slot_of(self, order, number);
}

static uint32_t expected(const struct intake_order *order) {
  return (uint32_t)order->slots[INTAKE_SLOT_BOOKED] + order->slots[INTAKE_SLOT_STARTED];
}

static uint32_t done(const struct intake_order *order) {
  return (uint32_t)order->slots[INTAKE_SLOT_FINISHED] + order->slots[INTAKE_SLOT_CONFIRMED];
}

enum pd_order_state intake_state_of(const struct intake_order *order) {
  if (order->slots[INTAKE_SLOT_STARTED] > 0) return PD_ORDER_STATE_SERVING;
  if (order->served) {
    bool all = order->slots[INTAKE_SLOT_FINISHED] == 0 && expected(order) == 0;
    return all ? PD_ORDER_STATE_CONFIRMED : PD_ORDER_STATE_SERVED;
  }
  if (done(order) > 0) return PD_ORDER_STATE_SERVING;
  return order->slots[INTAKE_SLOT_FREE] > 0 ? PD_ORDER_STATE_OPEN : PD_ORDER_STATE_STAFFED;
}

static void refresh(struct intake_order *order) {
  enum pd_order_state next = intake_state_of(order);
  pd_assert(!intake_is_final(next));
  pd_assert(intake_step_allowed(order->state, next));
  order->state = (uint8_t)next;
}

static void move_slot(struct intake_order *order, struct intake_slot *slot,
                      enum intake_slot_state state) {
  pd_assert(state < INTAKE_SLOT_STATES && order->number != 0);
  pd_assert(order->slots[slot->state] > 0);
  order->slots[slot->state]--;
  order->slots[state]++;
  slot->state = (uint8_t)state;
}

/* A booking is over; after order_served nobody else is expected in its place. */
static void vacate(struct intake_order *order, struct intake_slot *slot) {
  pd_assert(slot->state == INTAKE_SLOT_BOOKED);
  move_slot(order, slot, order->served ? INTAKE_SLOT_DROPPED : INTAKE_SLOT_FREE);
}

static uint32_t take_slots(struct intake *self, uint32_t need) {
  pd_assert(need >= 1);
  pd_assert(pd_pool_free(&self->slot_pool) >= need);
  uint32_t first = PD_NONE;
  for (uint32_t number = need; number > 0; number--) {
    uint32_t at = pd_pool_take(&self->slot_pool);
    self->slots[at] = (struct intake_slot){.next = first, .number = (uint8_t)number};
    first = at;
  }
  return first;
}

void intake_apply_placed(struct intake *self, const struct pd_order_placed *body) {
  pd_assert(body->order == self->facts->last_order + 1 && body->need <= UINT8_MAX);
  uint32_t at = pd_pool_take(&self->order_pool);
  self->facts->last_order = body->order;
  self->orders[at] = (struct intake_order){
      .number = body->order,
      .requester = intake_person_index(self, body->requester),
      .first = take_slots(self, body->need),
      .slots = {[INTAKE_SLOT_FREE] = (uint8_t)body->need},
      .need = (uint8_t)body->need,
      .state = PD_ORDER_STATE_OPEN,
  };
  pd_assert(self->orders[at].requester != PD_NONE);
  pd_map_put(&self->order_of, body->order, at);
}

void intake_apply_answered(struct intake *self, const struct pd_offer_answered *body) {
  struct intake_offer *offer = intake_offer_find(self, body->offer);
  pd_assert(offer != NULL && !offer->answered && offer->order == body->order);
  offer->answered = 1;
}

void intake_apply_withdrew(struct intake *self, const struct pd_volunteer_withdrew *body) {
  struct intake_order *order = intake_order_find(self, body->order);
  struct intake_slot *slot = find_slot(self, order, body->slot);
  pd_assert(slot != NULL && slot->state == INTAKE_SLOT_BOOKED);
  vacate(order, slot);
  refresh(order);
}

void intake_apply_started(struct intake *self, const struct pd_service_started *body,
                          int64_t time_ms) {
  struct intake_order *order = intake_order_find(self, body->order);
  struct intake_slot *slot = find_slot(self, order, body->slot);
  pd_assert(slot != NULL && slot->state == INTAKE_SLOT_BOOKED);
  move_slot(order, slot, INTAKE_SLOT_STARTED);
  slot->started_ms = time_ms;
  order->served = 0;
  refresh(order);
  pd_assert(order->state == PD_ORDER_STATE_SERVING);
}

void intake_apply_finished(struct intake *self, const struct pd_service_finished *body) {
  struct intake_order *order = intake_order_find(self, body->order);
  struct intake_slot *slot = find_slot(self, order, body->slot);
  pd_assert(slot != NULL && slot->state == INTAKE_SLOT_STARTED);
  move_slot(order, slot, INTAKE_SLOT_FINISHED);
  pd_assert(body->minutes >= 1 && body->minutes <= UINT16_MAX);
  slot->minutes = (uint16_t)body->minutes;
  refresh(order);
}

/* Nobody else is expected: what is not finished will not be. */
void intake_apply_served(struct intake *self, const struct pd_order_served *body) {
  struct intake_order *order = intake_order_find(self, body->order);
  pd_assert(order != NULL && done(order) > 0);
  for (uint32_t number = 1; number <= order->need; number++) {
    struct intake_slot *slot = intake_slot_of(self, order, number);
    bool finished = slot->state == INTAKE_SLOT_FINISHED || slot->state == INTAKE_SLOT_CONFIRMED;
    if (!finished) move_slot(order, slot, INTAKE_SLOT_DROPPED);
  }
  order->served = 1;
  refresh(order);
  pd_assert(expected(order) == 0 && order->slots[INTAKE_SLOT_FREE] == 0);
}

void intake_apply_confirmed(struct intake *self, const struct pd_service_confirmed *body) {
  struct intake_order *order = intake_order_find(self, body->order);
  struct intake_slot *slot = find_slot(self, order, body->slot);
  pd_assert(slot != NULL && slot->state == INTAKE_SLOT_FINISHED);
  move_slot(order, slot, INTAKE_SLOT_CONFIRMED);
  refresh(order);
}

void intake_apply_rated(struct intake *self, const struct pd_order_rated *body) {
  struct intake_order *order = intake_order_find(self, body->order);
  pd_assert(order != NULL && !order->rated);
  order->rated = 1;
}

void intake_apply_closed(struct intake *self, const struct pd_order_closed *body) {
  uint32_t at = pd_map_get(&self->order_of, body->order);
  pd_assert(at != PD_NONE && intake_step_allowed(self->orders[at].state, body->state));
  uint32_t slot = self->orders[at].first;
  while (slot != PD_NONE) {
    uint32_t next = self->slots[slot].next;
    self->slots[slot] = (struct intake_slot){0};
    pd_pool_give(&self->slot_pool, slot);
    slot = next;
  }
  self->orders[at] = (struct intake_order){0};
  pd_pool_give(&self->order_pool, at);
  pd_map_remove(&self->order_of, body->order);
  pd_assert(*self->order_of.count == *self->order_pool.taken);
}

/* ---- what matching says; it may be about an order that has ended meanwhile ---- */

void intake_apply_offer_made(struct intake *self, const struct pd_offer_made *body) {
  uint32_t volunteer = intake_person_index(self, body->volunteer);
  if (body->offer > self->facts->last_offer) self->facts->last_offer = body->offer;
  if (body->offer == 0 || volunteer == PD_NONE) return;
  if (intake_order_find(self, body->order) == NULL) return;
  if (intake_offer_find(self, body->offer) != NULL) return;
  if (pd_pool_free(&self->offer_pool) == 0) return;
  uint32_t at = pd_pool_take(&self->offer_pool);
  self->offers[at] =
      (struct intake_offer){.number = body->offer, .order = body->order, .volunteer = volunteer};
  pd_map_put(&self->offer_of, body->offer, at);
  pd_assert(*self->offer_of.count == *self->offer_pool.taken);
}

static void end_offer(struct intake *self, uint64_t number) {
  uint32_t at = pd_map_get(&self->offer_of, number);
  if (at == PD_NONE) return;
  pd_assert(self->offers[at].number == number);
  self->offers[at] = (struct intake_offer){0};
  pd_pool_give(&self->offer_pool, at);
  pd_map_remove(&self->offer_of, number);
}

void intake_apply_offer_closed(struct intake *self, const struct pd_offer_closed *body) {
  end_offer(self, body->offer);
}

/* A slot that was dropped, because the order was served before this reached us, is booked after
 * all. */
void intake_apply_filled(struct intake *self, const struct pd_slot_filled *body) {
  end_offer(self, body->offer);
  if (body->started) return; /* intake said so itself, and may be further already */
  struct intake_order *order = intake_order_find(self, body->order);
  struct intake_slot *slot = find_slot(self, order, body->slot);
  uint32_t volunteer = intake_person_index(self, body->volunteer);
  if (slot == NULL || volunteer == PD_NONE) return;
  if (slot->state != INTAKE_SLOT_FREE && slot->state != INTAKE_SLOT_DROPPED) return;
  move_slot(order, slot, INTAKE_SLOT_BOOKED);
  slot->volunteer = volunteer;
  refresh(order);
}

/* The booking of a helper who has started meanwhile stands: only the free helper can be replaced.
 */
void intake_apply_reopened(struct intake *self, const struct pd_slot_reopened *body) {
  struct intake_order *order = intake_order_find(self, body->order);
  struct intake_slot *slot = find_slot(self, order, body->slot);
  uint32_t volunteer = intake_person_index(self, body->volunteer);
  if (slot == NULL || slot->state != INTAKE_SLOT_BOOKED || slot->volunteer != volunteer) return;
  vacate(order, slot);
  refresh(order);
}

/* ---- what follows ---- */

void intake_close(uint64_t number, enum pd_order_state state, struct pd_outbox *out) {
  pd_assert(number > 0);
  pd_assert(intake_is_final(state));
  struct pd_order_closed said = PD_ORDER_CLOSED_INIT;
  said.order = number;
  said.state = state;
  pd_emit_order_closed(out, &said);
}

static void say_served(uint64_t number, struct pd_outbox *out) {
  struct pd_order_served said = PD_ORDER_SERVED_INIT;
  said.order = number;
  pd_emit_order_served(out, &said);
}

void intake_settle(struct intake *self, uint64_t number, struct pd_outbox *out) {
  const struct intake_order *order = intake_order_find(self, number);
  if (order == NULL) return;
  if (!order->served && done(order) > 0 && expected(order) == 0) say_served(number, out);
  if (order->state == PD_ORDER_STATE_CONFIRMED && order->rated)
    intake_close(number, PD_ORDER_STATE_COMPLETED, out);
}

/* The latest start has passed: without a helper the order has failed; with some it may still go on.
 */
static void expire_staffing(const struct intake_order *order, struct pd_outbox *out) {
  pd_assert(order->number != 0);
  bool nobody = expected(order) == 0 && done(order) == 0;
  pd_assert(!nobody || order->state == PD_ORDER_STATE_OPEN);
  if (nobody) intake_close(order->number, PD_ORDER_STATE_UNFILLED, out);
}

/* The window is over, and the time to finish after it. */
static void expire_service(struct intake *self, const struct intake_order *order,
                           struct pd_outbox *out) {
  uint64_t number = order->number;
  pd_assert(number != 0);
  if (order->served) return;
  if (done(order) > 0) {
    say_served(number, out);
    intake_settle(self, number, out);
    return;
  }
  bool started = order->slots[INTAKE_SLOT_STARTED] > 0;
  pd_assert(started == (order->state == PD_ORDER_STATE_SERVING));
  intake_close(number, started ? PD_ORDER_STATE_UNCONFIRMED : PD_ORDER_STATE_UNFILLED, out);
}

/* Nobody confirmed the rest, or nobody rated: the order ends as far as it came.  A helper who came
 * late and never finished must not keep it open, so the state does not matter, only that somebody
 * has served. */
static void expire_rest(const struct intake_order *order, struct pd_outbox *out) {
  if (done(order) == 0) return;
  pd_assert(order->state >= PD_ORDER_STATE_SERVING);
  bool confirmed = order->slots[INTAKE_SLOT_CONFIRMED] > 0;
  intake_close(order->number, confirmed ? PD_ORDER_STATE_COMPLETED : PD_ORDER_STATE_UNCONFIRMED,
               out);
}

static void expire(struct intake *self, const struct pd_order_expired *body,
                   struct pd_outbox *out) {
  const struct intake_order *order = intake_order_find(self, body->order);
  if (order == NULL) return;
  bool rest = body->stage == PD_ORDER_STAGE_CONFIRMATION || body->stage == PD_ORDER_STAGE_RATING;
  if (body->stage == PD_ORDER_STAGE_STAFFING) expire_staffing(order, out);
  if (body->stage == PD_ORDER_STAGE_SERVICE) expire_service(self, order, out);
  if (rest) expire_rest(order, out);
}

void intake_decide_event(struct intake *self, const struct pd_event *event, struct pd_outbox *out) {
  if (event->body_case == PD_EVENT_ORDER_EXPIRED) expire(self, event->order_expired, out);
  if (event->body_case == PD_EVENT_SLOT_REOPENED)
    intake_settle(self, event->slot_reopened->order, out);
}

void intake_cancel_all(struct intake *self, uint32_t requester, struct pd_outbox *out) {
  pd_assert(requester < self->facts->persons);
  for (uint32_t at = 0; at < self->limits.orders; at++) {
    const struct intake_order *order = &self->orders[at];
    if (order->number == 0 || order->requester != requester) continue;
    if (!intake_move_allowed(order->state, INTAKE_CANCEL)) continue;
    struct pd_order_cancelled said = PD_ORDER_CANCELLED_INIT;
    said.order = order->number;
    pd_emit_order_cancelled(out, &said);
    intake_close(said.order, PD_ORDER_STATE_CANCELLED, out);
  }
}
