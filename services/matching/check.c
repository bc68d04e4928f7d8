/* The invariants of matching_core.h, walked and asserted. */
#include "services/matching/batch.h"
#include "services/matching/coverage.h"
#include "services/matching/emergency.h"
#include "services/matching/state.h"

static void check_booking(const struct matching *self, uint32_t at) {
  const struct booking *booking = &self->bookings[at];
  pd_assert(booking->volunteer < self->facts->volunteers);
  pd_assert(self->orders[booking->order].id != 0 && !self->orders[booking->order].closed);
  pd_assert(booking->slot >= 1 && booking->slot <= self->orders[booking->order].need);
  pd_assert(booking->start_ms < booking->end_ms);
}

static uint32_t check_order_bookings(const struct matching *self, uint32_t entry) {
  const struct order *order = &self->orders[entry];
  uint64_t slots = 0;
  uint32_t count = 0;
  for (uint32_t at = order->bookings; at != 0;
       at = chain_next(order->bookings, self->booking_of_order, at)) {
    check_booking(self, at);
    pd_assert(self->bookings[at].order == entry);
    uint64_t bit = UINT64_C(1) << (self->bookings[at].slot - 1);
    pd_assert((slots & bit) == 0);
    slots |= bit;
    count++;
  }
  pd_assert(slots == order->filled);
  return count;
}

static uint32_t check_order_offers(const struct matching *self, uint32_t entry) {
  const struct order *order = &self->orders[entry];
  uint32_t count = 0;
  for (uint32_t at = order->offers; at != 0;
       at = chain_next(order->offers, self->offer_of_order, at)) {
    const struct offer *offer = &self->offers[at];
    pd_assert(offer->order == entry && state_offer(self, offer->id) == at);
    pd_assert(offer->volunteer < self->facts->volunteers);
    pd_assert(offer->id <= self->facts->last_offer);
    count++;
  }
  pd_assert(count == order->open_offers);
  return count;
}

static bool asked_twice(const struct matching *self, uint32_t pair) {
  uint32_t at = self->asked[pair].next;
  while (at != 0 && self->asked[at].volunteer != self->asked[pair].volunteer)
    at = self->asked[at].next;
  return at != 0;
}

static uint32_t check_order_asked(const struct matching *self, const struct order *order) {
  uint32_t count = 0;
  for (uint32_t at = order->asked; at != 0; at = self->asked[at].next) {
    pd_assert(!asked_twice(self, at));
    count++;
  }
  pd_assert(count >= order->open_offers || order->closed);
  return count;
}

static void check_orders(const struct matching *self) {
  uint64_t orders = 0, offers = 0, bookings = 0, asked = 0;
  for (uint32_t entry = 1; entry <= self->limits.orders; entry++) {
    const struct order *order = &self->orders[entry];
    if (order->id == 0) continue;
    pd_assert(state_order(self, order->id) == entry);
    pd_assert(!order->closed || order->offers == 0 || order->stopped);
    orders++;
    offers += check_order_offers(self, entry);
    bookings += check_order_bookings(self, entry);
    asked += check_order_asked(self, order);
  }
  pd_assert(orders == *self->free_orders.taken && orders == *self->order_by_id.count);
  pd_assert(offers == *self->free_offers.taken && offers == *self->offer_by_id.count);
  pd_assert(bookings == *self->free_bookings.taken);
  pd_assert(asked == *self->free_asked.taken);
}

/* No booking of the volunteer after this one in the chain overlaps it. */
static void check_no_overlap(const struct matching *self, uint32_t head, uint32_t first) {
  const struct booking *one = &self->bookings[first];
  uint32_t at = chain_next(head, self->booking_of_volunteer, first);
  for (; at != 0; at = chain_next(head, self->booking_of_volunteer, at)) {
    const struct booking *other = &self->bookings[at];
    bool apart = one->end_ms <= other->start_ms || other->end_ms <= one->start_ms;
    pd_assert(apart || (one->started && other->started)); /* who serves is intake's word */
  }
}

static void check_volunteer(const struct matching *self, uint32_t number, uint64_t *bookings,
                            uint64_t *offers) {
  const struct volunteer *volunteer = &self->volunteers[number];
  pd_assert(state_volunteer(self, &volunteer->person) == number);
  pd_assert(volunteer->radius_m <= self->facts->radius_m);
  bool active = volunteer->status == VOLUNTEER_ACTIVE;
  pd_assert(grid_holds(&self->grid, number) == active);
  pd_assert(self->skills_of[number] == (active ? volunteer->skills | SKILLS_ACTIVE : 0));
  uint32_t count = 0;
  for (uint32_t at = volunteer->offers; at != 0;
       at = chain_next(volunteer->offers, self->offer_of_volunteer, at)) {
    pd_assert(self->offers[at].volunteer == number);
    count++;
  }
  pd_assert(count == volunteer->open_offers);
  *offers += count;
  uint32_t head = volunteer->bookings;
  for (uint32_t at = head; at != 0; at = chain_next(head, self->booking_of_volunteer, at)) {
    pd_assert(self->bookings[at].volunteer == number);
    check_no_overlap(self, head, at);
    ++*bookings;
  }
}

/* Who served somebody last is counted with that resident. */
static void check_served(const struct matching *self) {
  uint64_t served = 0, counted = 0;
  for (uint32_t i = 0; i < self->limits.persons; i++) counted += self->served_by[i];
  for (uint32_t number = 0; number < self->facts->volunteers; number++) {
    const struct pd_id *resident = &self->volunteers[number].served;
    if (pd_id_is_zero(resident)) continue;
    pd_assert(state_served_by(self, resident) > 0);
    served++;
  }
  pd_assert(served == counted);
}

static void check_papers(const struct matching *self) {
  uint64_t papers = 0, blocks = 0;
  for (uint32_t number = 0; number < self->facts->volunteers; number++) {
    const struct volunteer *volunteer = &self->volunteers[number];
    for (uint32_t at = volunteer->papers; at != 0; at = self->papers[at].next) {
      const struct paper *paper = &self->papers[at];
      pd_assert(state_paper(self, volunteer, paper->kind, paper->skill) == paper);
      papers++;
    }
    for (uint32_t at = volunteer->blocks; at != 0; at = self->blocks[at].next) {
      const struct block *block = &self->blocks[at];
      pd_assert(block->by != 0 && state_blocked(self, volunteer, &block->other) == block->by);
      blocks++;
    }
  }
  pd_assert(papers == *self->free_papers.taken && blocks == *self->free_blocks.taken);
}

/* Who waits for a wave stands in the chain, and can be given one. */
static void check_waiting(const struct matching *self) {
  uint32_t urgently = 0, count = 0, marked = 0, head = self->facts->waiting;
  for (uint32_t at = head; at != 0; at = chain_next(head, self->waiting_order, at)) {
    const struct order *order = &self->orders[at];
    pd_assert(order->waits && order->id != 0 && !order->stopped);
    pd_assert(order->open_offers == order->called || emergency_is(order));
    pd_assert(state_wanted_slots(order) > 0);
    urgently += emergency_is(order);
    count++;
  }
  for (uint32_t entry = 1; entry <= self->limits.orders; entry++)
    marked += self->orders[entry].waits;
  pd_assert(count == marked && urgently == self->facts->waiting_urgently);
}

void state_check(const struct matching *self) {
  uint64_t bookings = 0, offers = 0;
  check_papers(self);
  check_orders(self);
  coverage_check(self);
  check_served(self);
  check_waiting(self);
  pd_assert(batch_certified(self));
  for (uint32_t number = 0; number < self->facts->volunteers; number++)
    check_volunteer(self, number, &bookings, &offers);
  pd_assert(self->facts->volunteers == *self->volunteer_by_id.count);
  pd_assert(self->facts->active == grid_count(&self->grid));
  pd_assert(bookings == *self->free_bookings.taken && offers == *self->free_offers.taken);
}
