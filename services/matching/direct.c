#include "services/matching/direct.h"

#include "services/matching/emergency.h"
#include "services/matching/nearby.h"
#include "services/matching/waves.h"

#define CALLED_MAX 64 /* open offers of one order that coordinators asked for */

/* An offer to a person, about to be made. */
struct direct {
  uint64_t order; /* as it was asked for */
  struct pd_id person;
  uint64_t waived;
  struct proposal time;
  enum pd_offer_how how;
  uint32_t entry;  /* of the order */
  uint32_t number; /* of the volunteer */
  uint32_t distance_m;
};

static bool has_open_offer(const struct matching *self, uint32_t number, uint32_t entry) {
  pd_assert(number < self->facts->volunteers);
  uint32_t head = self->volunteers[number].offers;
  uint32_t at = head;
  while (at != 0 && self->offers[at].order != entry)
    at = chain_next(head, self->offer_of_volunteer, at);
  return at != 0;
}

enum pd_reason direct_hall(const struct matching *self, const struct order *order) {
  pd_assert(order->id != 0);
  if (order->stopped) return PD_REASON_ORDER_ENDED;
  bool open = state_policy(self, order)->hall != 0 && !order->sensitive && !emergency_is(order);
  if (!open) return PD_REASON_HALL_CLOSED;
  return state_free_slots(order) == 0 ? PD_REASON_FILLED : PD_REASON_UNSPECIFIED;
}

/* The next rule to set aside: the one that stands; where a booking, rest or a paper stands in the
 * way of the times that are left, the hours, and then the week's limit, may leave another time. */
static uint64_t next_waiver(enum pd_reason reason, uint64_t left) {
  pd_assert(reason != PD_REASON_UNSPECIFIED && reason < 64);
  uint64_t bit = RULES_BIT(reason) & left;
  bool timed = reason == PD_REASON_OVERLAP ||
               (reason >= PD_REASON_HEALTH && reason <= PD_REASON_DAY_FULL);
  if (!timed || bit != 0) return bit;
  bit = RULES_BIT(PD_REASON_HOURS) & left;
  return bit != 0 ? bit : RULES_BIT(PD_REASON_CAPACITY) & left;
}

enum pd_reason direct_try(struct rules *rules, uint32_t number, uint64_t waivable,
                          struct proposal *time) {
  const struct matching *self = rules->self;
  pd_assert(number < self->facts->volunteers);
  if (rules->first_ms > rules->last_ms) return PD_REASON_TOO_LATE;
  uint32_t distance_m = nearby_distance_m(rules->order->cell, self->volunteers[number].cell);
  for (;;) {
    enum pd_reason reason = rules_try(rules, number, distance_m, time);
    if (reason == PD_REASON_UNSPECIFIED) return reason;
    uint64_t waiver = next_waiver(reason, waivable & ~rules->waived);
    if (waiver == 0) return reason;
    rules->waived |= waiver;
  }
}

/* Every rule, and room for what would be said. */
static enum pd_reason try_direct(struct matching *self, struct direct *direct, int64_t now_ms) {
  pd_assert(direct->how != PD_OFFER_HOW_UNSPECIFIED);
  direct->number = state_volunteer(self, &direct->person);
  direct->entry = state_order(self, direct->order);
  if (direct->number == PD_NONE) return PD_REASON_INACTIVE;
  const struct order *order = &self->orders[direct->entry];
  if (direct->entry == 0 || order->stopped) return PD_REASON_ORDER_ENDED;
  bool asked = direct->how == PD_OFFER_HOW_ASKED;
  enum pd_reason closed = asked ? direct_hall(self, order) : PD_REASON_UNSPECIFIED;
  if (closed != PD_REASON_UNSPECIFIED) return closed;
  if (state_free_slots(order) == 0) return PD_REASON_FILLED;
  if (has_open_offer(self, direct->number, direct->entry)) return PD_REASON_ALREADY_ASKED;
  bool known = state_asked(self, order, direct->number) != 0;
  bool room = pd_pool_free(&self->free_offers) > 0 && pd_pool_free(&self->free_bookings) > 0 &&
              (known || pd_pool_free(&self->free_asked) > 0);
  if (!room || order->called == CALLED_MAX) return PD_REASON_FULL;
  struct rules rules = rules_begin(self, order, now_ms, false);
  direct->distance_m = nearby_distance_m(order->cell, self->volunteers[direct->number].cell);
  enum pd_reason reason = direct_try(&rules, direct->number,
                                     asked ? DIRECT_HALL_WAIVES : DIRECT_OVERRULES, &direct->time);
  direct->waived = rules.waived;
  return reason;
}

static void say_denied(struct pd_outbox *out, const struct direct *direct, enum pd_reason reason) {
  pd_assert(reason != PD_REASON_UNSPECIFIED);
  struct pd_offer_denied said = PD_OFFER_DENIED_INIT;
  said.order = direct->order;
  said.volunteer = pd_bytes(&direct->person);
  said.how = direct->how;
  said.reason = reason;
  pd_emit_offer_denied(out, &said);
}

/* The reasons of a set, in their order. */
static size_t list_reasons(uint64_t set, enum pd_reason list[64]) {
  size_t count = 0;
  for (uint64_t left = set; left != 0; left &= left - 1)
    list[count++] = (enum pd_reason)__builtin_ctzll(left);
  pd_assert(count <= 64);
  return count;
}

static void say_offer(const struct matching *self, struct pd_outbox *out,
                      const struct direct *direct) {
  const struct order *order = &self->orders[direct->entry];
  bool commanded = direct->how == PD_OFFER_HOW_COMMANDED;
  enum pd_reason overruled[64];
  pd_assert(!order->stopped && state_free_slots(order) > 0);
  struct pd_offer_made said = PD_OFFER_MADE_INIT;
  said.offer = self->facts->last_offer + 1;
  said.order = order->id;
  said.wave = order->wave;
  said.volunteer = pd_bytes(&direct->person);
  said.distance_m = direct->distance_m;
  said.start_ms = direct->time.start_ms;
  said.end_ms = direct->time.end_ms;
  int64_t now_ms = out->input->now_ms;
  said.expires_at_ms = commanded ? waves_expiry(self, order, now_ms) : now_ms;
  said.how = direct->how;
  said.n_overruled = commanded ? list_reasons(direct->waived, overruled) : 0;
  said.overruled = overruled;
  pd_emit_offer_made(out, &said);
}

void direct_commanded(struct matching *self, struct pd_outbox *out,
                      const struct pd_offer_commanded *said) {
  struct direct direct = {.order = said->order,
                          .person = PD_ID(said->volunteer),
                          .how = PD_OFFER_HOW_COMMANDED};
  enum pd_reason reason = try_direct(self, &direct, out->input->now_ms);
  if (reason == PD_REASON_UNSPECIFIED)
    say_offer(self, out, &direct);
  else
    say_denied(out, &direct, reason);
}

void direct_asked(struct matching *self, struct pd_outbox *out, const struct pd_order_asked *said) {
  struct direct direct = {
      .order = said->order, .person = PD_ID(said->volunteer), .how = PD_OFFER_HOW_ASKED};
  enum pd_reason reason = try_direct(self, &direct, out->input->now_ms);
  if (reason != PD_REASON_UNSPECIFIED) {
    say_denied(out, &direct, reason);
    return;
  }
  say_offer(self, out, &direct);
  pd_assert(state_offer(self, self->facts->last_offer) != 0);
  waves_fill(self, out, state_offer(self, self->facts->last_offer), direct.time);
}
