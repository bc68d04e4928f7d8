#include "services/matching/waves.h"

#include "common/base/calendar.h"
#include "services/matching/batch.h"
#include "services/matching/direct.h"
#include "services/matching/emergency.h"

/* A tally list as the contract has it, on the caller's stack. */
struct tallies {
  struct pd_tally items[REASONS];
  struct pd_tally *list[REASONS];
  size_t count;
};

static void list_tallies(const struct batch_order *wave, struct tallies *tallies) {
  uint32_t people = wave->invited;
  tallies->count = 0;
  for (unsigned reason = 1; reason < REASONS; reason++) {
    if (wave->tally[reason] == 0) continue;
    struct pd_tally *item = &tallies->items[tallies->count];
    *item = (struct pd_tally)PD_TALLY_INIT;
    item->reason = (enum pd_reason)reason;
    item->count = wave->tally[reason];
    tallies->list[tallies->count++] = item;
    people += item->count;
  }
  pd_assert(people == wave->considered); /* everybody looked at was invited or has a reason */
}

static ProtobufCBinaryData bytes_of(const struct matching *self, uint32_t volunteer) {
  pd_assert(volunteer < self->facts->volunteers);
  return pd_bytes(&self->volunteers[volunteer].person);
}

/* Active volunteers with all the skills. */
static uint32_t count_skilled(const struct matching *self, const struct order *order) {
  uint32_t need = order->skills | SKILLS_ACTIVE;
  uint32_t count = 0;
  if ((order->skills & SKILLS_ACTIVE) != 0) return 0; /* a skill that this version does not know */
  for (uint64_t i = 0; i < self->facts->volunteers; i++)
    count += (self->skills_of[i] & need) == need;
  pd_assert(count <= self->facts->active);
  return count;
}

/* Move one who is kept out by an earlier rule from the active and the skilled ones to that rule. */
static void set_apart(const struct matching *self, const struct order *order, uint32_t number,
                      uint32_t *tally, uint32_t *active, uint32_t *skilled) {
  const struct volunteer *volunteer = &self->volunteers[number];
  if (volunteer->status != VOLUNTEER_ACTIVE) return;
  pd_assert(*active > 0);
  ++*tally;
  --*active;
  if ((order->skills & ~volunteer->skills) == 0) --*skilled;
}

/* Nobody can be invited: count everybody in the shard by the reason, as far as this turn's share of
 * such work goes.  The walk has met everybody who has the skills and lives within reach; the rest
 * follows by counting, without looking at each. */
static void count_everybody(struct matching *self, const struct rules *rules,
                            struct batch_order *wave) {
  uint64_t everybody = self->facts->volunteers;
  bool walked_all = wave->considered < rules->policy->scan_max;
  if (self->tally_used + everybody > rules->policy->tally_max || !walked_all) return;
  self->tally_used += everybody;
  pd_assert(wave->invited == 0 && wave->count == 0);
  uint32_t *tally = wave->tally;
  uint32_t reached = wave->considered - tally[PD_REASON_OWN_ORDER] - tally[PD_REASON_ALREADY_ASKED];
  uint32_t active = (uint32_t)self->facts->active;
  uint32_t skilled = count_skilled(self, rules->order);
  wave->considered = (uint32_t)everybody;
  tally[PD_REASON_INACTIVE] = (uint32_t)everybody - active;
  tally[PD_REASON_OWN_ORDER] = 0;
  tally[PD_REASON_ALREADY_ASKED] = 0;
  if (rules->own != PD_NONE)
    set_apart(self, rules->order, rules->own, &tally[PD_REASON_OWN_ORDER], &active, &skilled);
  for (uint32_t at = rules->order->asked; at != 0; at = self->asked[at].next)
    set_apart(self, rules->order, self->asked[at].volunteer, &tally[PD_REASON_ALREADY_ASKED],
              &active, &skilled);
  pd_assert(reached <= skilled && skilled <= active);
  tally[PD_REASON_SKILL] = active - skilled;
  tally[PD_REASON_RADIUS] += skilled - reached;
}

static void say_unmatched(struct pd_outbox *out, const struct order *order,
                          const struct batch_order *wave) {
  pd_assert(order->open_offers == order->called || emergency_is(order));
  struct tallies tallies;
  list_tallies(wave, &tallies);
  struct pd_order_unmatched said = PD_ORDER_UNMATCHED_INIT;
  said.order = order->id;
  said.wave = order->wave + 1;
  said.considered = wave->considered;
  said.n_excluded = tallies.count;
  said.excluded = tallies.list;
  pd_emit_order_unmatched(out, &said);
}

int64_t waves_expiry(const struct matching *self, const struct order *order, int64_t now_ms) {
  int64_t expiry = now_ms + state_policy(self, order)->ttl_min[order->urgency] * PD_MINUTE_MS;
  int64_t latest = state_latest_start(order);
  pd_assert(expiry > now_ms && latest > now_ms);
  return expiry < latest ? expiry : latest;
}

static void say_wave(const struct matching *self, struct pd_outbox *out, const struct order *order,
                     const struct batch_order *wave) {
  bool phase = emergency_is(order);
  pd_assert(wave->invited > 0 && (order->open_offers == order->called || phase));
  struct tallies tallies;
  list_tallies(wave, &tallies);
  struct pd_wave_opened said = PD_WAVE_OPENED_INIT;
  said.order = order->id;
  said.wave = order->wave + 1;
  said.offers = wave->invited;
  said.expires_at_ms = waves_expiry(self, order, out->input->now_ms);
  if (phase) {
    int64_t next_ms =
        out->input->now_ms + state_policy(self, order)->phase_minutes * PD_MINUTE_MS;
    said.next_at_ms = next_ms < said.expires_at_ms ? next_ms : said.expires_at_ms;
    said.ring_m = wave->ring_m;
  }
  said.considered = wave->considered;
  said.n_excluded = tallies.count;
  said.excluded = tallies.list;
  pd_emit_wave_opened(out, &said);
}

static void say_offer(const struct matching *self, struct pd_outbox *out,
                      const struct order *order, const struct candidate *invited) {
  pd_assert(order->wave_expires_ms > out->input->now_ms);
  struct pd_offer_made said = PD_OFFER_MADE_INIT;
  said.offer = self->facts->last_offer + 1;
  said.order = order->id;
  said.wave = order->wave;
  said.volunteer = bytes_of(self, invited->volunteer);
  said.distance_m = invited->distance_m;
  said.start_ms = invited->start_ms;
  said.end_ms = invited->start_ms + order->minutes * PD_MINUTE_MS;
  said.expires_at_ms = order->wave_expires_ms;
  said.fairness_m = invited->fairness_m;
  said.continuity_m = invited->continuity_m;
  said.rare_m = invited->rare_m;
  said.branch_m = invited->branch_m;
  said.rural_m = invited->rural_m;
  said.mutual_m = invited->mutual_m;
  said.price_m = invited->price_m;
  pd_emit_offer_made(out, &said);
}

/* Say what was decided for one order: nearest first, as they were met. */
static void say(struct matching *self, struct pd_outbox *out, struct batch_order *wave) {
  const struct order *order = &self->orders[wave->entry];
  pd_assert(order->id != 0 && order->waits);
  struct pd_cause cause = {.seq = order->cause_seq,
                           .log = (enum pd_log)order->cause_log,
                           .traced = order->traced != 0};
  memcpy(cause.trace, order->trace, sizeof cause.trace);
  pd_outbox_because(out, &cause);
  if (wave->invited == 0) {
    struct rules rules = rules_begin(self, order, out->input->now_ms, false);
    bool in_vain = wave->wanted > 0 && rules.first_ms <= rules.last_ms && wave->count == 0;
    if (in_vain) count_everybody(self, &rules, wave);
    say_unmatched(out, order, wave);
    return;
  }
  uint32_t before = order->open_offers;
  say_wave(self, out, order, wave);
  const struct candidate *candidates = &self->batch->candidates[wave->first];
  for (uint32_t i = 0; i < wave->count; i++)
    if (candidates[i].invited) say_offer(self, out, order, &candidates[i]);
  pd_assert(order->open_offers == before + wave->invited);
}

void waves_decide(struct matching *self, struct pd_outbox *out, bool all) {
  int64_t now_ms = out->input->now_ms;
  const struct facts *facts = self->facts;
  while ((all ? facts->waiting : facts->waiting_urgently) != 0 && pd_outbox_open(out)) {
    batch_gather(self, now_ms);
    batch_solve(self, now_ms);
    pd_assert(self->batch->order_count > 0);
    for (uint32_t i = 0; i < self->batch->order_count && pd_outbox_open(out); i++)
      say(self, out, &self->batch->orders[i]);
  }
}

static void close_offer(const struct matching *self, struct pd_outbox *out, uint32_t entry,
                        enum pd_reason reason) {
  const struct offer *offer = &self->offers[entry];
  pd_assert(offer->id != 0);
  struct pd_offer_closed said = PD_OFFER_CLOSED_INIT;
  said.offer = offer->id;
  said.order = self->orders[offer->order].id;
  said.volunteer = bytes_of(self, offer->volunteer);
  said.reason = reason;
  pd_emit_offer_closed(out, &said);
}

static void close_offers(const struct matching *self, struct pd_outbox *out, uint32_t entry,
                         enum pd_reason reason) {
  pd_assert(entry != 0 && entry <= self->limits.orders);
  while (self->orders[entry].offers != 0)
    close_offer(self, out, self->orders[entry].offers, reason);
}

/* End the order's offers whose time is over. */
static void close_expired(const struct matching *self, struct pd_outbox *out, uint32_t entry,
                          int64_t due_ms) {
  const struct order *order = &self->orders[entry];
  pd_assert(order->id != 0);
  for (uint32_t at = order->offers, next; at != 0; at = next) {
    next = chain_next(order->offers, self->offer_of_order, at);
    if (self->offers[at].expires_ms <= due_ms) close_offer(self, out, at, PD_REASON_SILENT);
  }
}

void waves_due(struct matching *self, struct pd_outbox *out, const struct pd_wave_due *due,
               int64_t due_ms) {
  uint32_t entry = state_order(self, due->order);
  if (entry == 0 || self->orders[entry].closed) return;
  const struct order *order = &self->orders[entry];
  bool retry = due->wave == order->wave + 1;
  bool latest = due->wave == order->wave;
  if (retry || latest) close_expired(self, out, entry, due_ms);
}

/* The time to be booked: as offered; or, when that has begun already, the next that suits. */
static enum pd_reason booking_time(const struct matching *self, const struct offer *offer,
                                   int64_t now_ms, struct proposal *time) {
  const struct volunteer *volunteer = &self->volunteers[offer->volunteer];
  const struct order *order = &self->orders[offer->order];
  *time = (struct proposal){offer->start_ms, offer->end_ms};
  int64_t lead_ms = state_policy(self, order)->lead_min * PD_MINUTE_MS;
  int64_t latest_ms = state_latest_start(order);
  /* Whoever accepts in time may begin at the latest start, even if it is nearer than the lead. */
  bool near = now_ms <= latest_ms && now_ms + lead_ms > latest_ms;
  struct rules rules = rules_begin(self, order, near ? latest_ms - lead_ms : now_ms, false);
  rules.waived = offer->how == PD_OFFER_HOW_COMMANDED ? DIRECT_OVERRULES : 0;
  if (offer->start_ms >= now_ms) return rules_check_time(&rules, volunteer, *time);
  return rules_find_time(&rules, volunteer, time);
}

static enum pd_reason may_book(const struct matching *self, const struct offer *offer,
                               int64_t now_ms, struct proposal *time) {
  const struct order *order = &self->orders[offer->order];
  pd_assert(offer->id != 0 && order->open_offers > 0);
  if (self->volunteers[offer->volunteer].status != VOLUNTEER_ACTIVE) return PD_REASON_INACTIVE;
  if (order->stopped) return PD_REASON_ORDER_ENDED;
  if (state_free_slots(order) == 0) return PD_REASON_FILLED;
  if (pd_pool_free(&self->free_bookings) == 0) return PD_REASON_FULL;
  return booking_time(self, offer, now_ms, time);
}

/* The last slot was filled: nobody else is needed. */
static void say_staffed(struct matching *self, struct pd_outbox *out, uint32_t entry) {
  pd_assert(state_free_slots(&self->orders[entry]) == 0);
  close_offers(self, out, entry, PD_REASON_FILLED);
  struct pd_order_staffed staffed = PD_ORDER_STAFFED_INIT;
  staffed.order = self->orders[entry].id;
  pd_emit_order_staffed(out, &staffed);
}

void waves_fill(struct matching *self, struct pd_outbox *out, uint32_t offer,
                struct proposal time) {
  uint32_t entry = self->offers[offer].order;
  const struct order *order = &self->orders[entry];
  struct pd_slot_filled said = PD_SLOT_FILLED_INIT;
  said.order = order->id;
  said.slot = 1 + (uint32_t)__builtin_ctzll(~order->filled);
  said.volunteer = bytes_of(self, self->offers[offer].volunteer);
  said.offer = self->offers[offer].id;
  said.start_ms = time.start_ms;
  said.end_ms = time.end_ms;
  pd_assert(said.slot <= order->need);
  pd_emit_slot_filled(out, &said);
  if (state_free_slots(order) == 0) say_staffed(self, out, entry);
}

void waves_answered(struct matching *self, struct pd_outbox *out,
                    const struct pd_offer_answered *answer) {
  uint32_t at = state_offer(self, answer->offer);
  if (at == 0) return;
  const struct offer *offer = &self->offers[at];
  struct pd_id person = PD_ID(answer->volunteer);
  if (!pd_id_equal(&person, &self->volunteers[offer->volunteer].person)) return;
  pd_assert(self->orders[offer->order].open_offers > 0);
  struct proposal time;
  enum pd_reason reason = PD_REASON_DECLINED;
  if (answer->accept) reason = may_book(self, offer, out->input->now_ms, &time);
  if (reason == PD_REASON_UNSPECIFIED)
    waves_fill(self, out, at, time);
  else
    close_offer(self, out, at, reason);
}

static void say_reopened(struct matching *self, struct pd_outbox *out, uint32_t booking,
                         enum pd_reason reason) {
  pd_assert(booking != 0 && !self->bookings[booking].started);
  struct pd_slot_reopened said = PD_SLOT_REOPENED_INIT;
  said.order = self->orders[self->bookings[booking].order].id;
  said.slot = self->bookings[booking].slot;
  said.volunteer = bytes_of(self, self->bookings[booking].volunteer);
  said.reason = reason;
  pd_emit_slot_reopened(out, &said);
}

void waves_reopen(struct matching *self, struct pd_outbox *out, uint64_t order, uint32_t slot,
                  struct pd_id person, enum pd_reason reason) {
  pd_assert(reason == PD_REASON_WITHDREW || reason == PD_REASON_NO_SHOW);
  uint32_t entry = state_order(self, order);
  if (entry == 0 || self->orders[entry].closed) return;
  uint32_t at = state_booking(self, &self->orders[entry], slot);
  if (at == 0 || self->bookings[at].started) return;
  if (!pd_id_equal(&person, &self->volunteers[self->bookings[at].volunteer].person)) return;
  say_reopened(self, out, at, reason);
}

/* The first booking of the volunteer at this time that has not begun; 0 if there is none. */
static uint32_t first_overlapping(const struct matching *self, uint32_t number,
                                  struct proposal time) {
  pd_assert(time.start_ms < time.end_ms);
  uint32_t head = self->volunteers[number].bookings;
  uint32_t at = head;
  for (; at != 0; at = chain_next(head, self->booking_of_volunteer, at)) {
    const struct booking *booking = &self->bookings[at];
    bool apart = booking->end_ms <= time.start_ms || time.end_ms <= booking->start_ms;
    if (!booking->started && !apart) break;
  }
  return at;
}

/* Somebody keeps what was lost on the way: a booking without an offer. */
static void say_kept(const struct matching *self, struct pd_outbox *out, uint32_t entry,
                     uint32_t slot, const struct booking *as) {
  pd_assert(as->start_ms < as->end_ms);
  struct pd_slot_filled said = PD_SLOT_FILLED_INIT;
  said.order = self->orders[entry].id;
  said.slot = slot;
  said.volunteer = bytes_of(self, as->volunteer);
  said.start_ms = as->start_ms;
  said.end_ms = as->end_ms;
  said.started = as->started != 0;
  pd_emit_slot_filled(out, &said);
}

/* Book the slot again for who started in it, as it was; whoever holds it makes room. */
static void rebook(struct matching *self, struct pd_outbox *out, uint32_t entry, uint32_t slot,
                   const struct booking *as) {
  const struct order *order = &self->orders[entry];
  struct booking moved = {0};
  uint32_t holder = state_booking(self, order, slot);
  if (holder != 0) {
    moved = self->bookings[holder];
    say_reopened(self, out, holder, PD_REASON_FILLED);
  }
  struct proposal time = {as->start_ms, as->end_ms};
  for (uint32_t at; (at = first_overlapping(self, as->volunteer, time)) != 0;)
    say_reopened(self, out, at, PD_REASON_OVERLAP);
  say_kept(self, out, entry, slot, as);
  if (holder != 0 && state_free_slots(order) > 0)
    say_kept(self, out, entry, 1 + (uint32_t)__builtin_ctzll(~order->filled), &moved);
  if (state_free_slots(order) == 0) say_staffed(self, out, entry);
  pd_assert(state_booking(self, order, slot) != 0);
}

void waves_started(struct matching *self, struct pd_outbox *out,
                   const struct pd_service_started *fact) {
  uint32_t entry = state_order(self, fact->order);
  struct pd_id person = PD_ID(fact->volunteer);
  uint32_t number = state_volunteer(self, &person);
  if (entry == 0 || self->orders[entry].closed || number == PD_NONE) return;
  if (fact->slot == 0 || fact->slot > self->orders[entry].need) return;
  uint32_t holder = state_booking(self, &self->orders[entry], fact->slot);
  if (holder != 0 && (self->bookings[holder].volunteer == number || self->bookings[holder].started))
    return;
  uint32_t pair = state_asked(self, &self->orders[entry], number);
  if (pair == 0 || self->asked[pair].end_ms == 0) return; /* never booked here */
  if (holder == 0 && pd_pool_free(&self->free_bookings) == 0) return;
  struct booking as = {.start_ms = self->asked[pair].start_ms,
                       .end_ms = self->asked[pair].end_ms,
                       .volunteer = number,
                       .started = 1};
  rebook(self, out, entry, fact->slot, &as);
}

static uint32_t first_not_started(const struct matching *self, uint32_t number) {
  uint32_t head = self->volunteers[number].bookings;
  uint32_t at = head;
  while (at != 0 && self->bookings[at].started)
    at = chain_next(head, self->booking_of_volunteer, at);
  return at;
}

void waves_inactive(struct matching *self, struct pd_outbox *out, struct pd_id person,
                    bool bookings) {
  uint32_t number = state_volunteer(self, &person);
  if (number == PD_NONE) return;
  pd_assert(self->volunteers[number].status != VOLUNTEER_ACTIVE);
  while (self->volunteers[number].offers != 0)
    close_offer(self, out, self->volunteers[number].offers, PD_REASON_INACTIVE);
  if (!bookings) return;
  for (uint32_t at; (at = first_not_started(self, number)) != 0;)
    say_reopened(self, out, at, PD_REASON_INACTIVE);
}

void waves_stopped(struct matching *self, struct pd_outbox *out, uint64_t order) {
  uint32_t entry = state_order(self, order);
  if (entry != 0 && self->orders[entry].stopped)
    close_offers(self, out, entry, PD_REASON_ORDER_ENDED);
}

/* The first booking of the volunteer that has not begun and lacks a paper now; 0 if there is none.
 */
static uint32_t first_unpapered(const struct matching *self, uint32_t number, int64_t now_ms,
                                enum pd_reason *reason) {
  const struct volunteer *volunteer = &self->volunteers[number];
  uint32_t head = volunteer->bookings, at = head;
  for (; at != 0; at = chain_next(head, self->booking_of_volunteer, at)) {
    const struct booking *booking = &self->bookings[at];
    if (booking->started) continue;
    struct rules rules = rules_begin(self, &self->orders[booking->order], now_ms, false);
    struct proposal time = {booking->start_ms, booking->end_ms};
    *reason = rules_check_papers(&rules, volunteer, time);
    if (*reason != PD_REASON_UNSPECIFIED) break;
  }
  pd_assert(at == 0 || self->bookings[at].volunteer == number);
  return at;
}

void waves_papers(struct matching *self, struct pd_outbox *out, struct pd_id person) {
  uint32_t number = state_volunteer(self, &person);
  enum pd_reason reason = PD_REASON_UNSPECIFIED;
  if (number == PD_NONE) return;
  for (uint32_t at; (at = first_unpapered(self, number, out->input->now_ms, &reason)) != 0;)
    say_reopened(self, out, at, reason);
  pd_assert(number < self->facts->volunteers);
}

/* The volunteer's first open offer, or booking that has not begun, for this requester; 0 if there
 * is none. */
static uint32_t first_offer_from(const struct matching *self, uint32_t number,
                                 const struct pd_id *requester) {
  uint32_t head = self->volunteers[number].offers, at = head;
  pd_assert(number < self->facts->volunteers);
  while (at != 0 && !pd_id_equal(&self->orders[self->offers[at].order].requester, requester))
    at = chain_next(head, self->offer_of_volunteer, at);
  return at;
}

static uint32_t first_booking_from(const struct matching *self, uint32_t number,
                                   const struct pd_id *requester) {
  uint32_t head = self->volunteers[number].bookings, at = head;
  for (; at != 0; at = chain_next(head, self->booking_of_volunteer, at)) {
    const struct booking *booking = &self->bookings[at];
    pd_assert(booking->volunteer == number);
    if (!booking->started && pd_id_equal(&self->orders[booking->order].requester, requester)) break;
  }
  return at;
}

void waves_blocked(struct matching *self, struct pd_outbox *out, ProtobufCBinaryData volunteer,
                   ProtobufCBinaryData of) {
  struct pd_id person = PD_ID(volunteer), requester = PD_ID(of);
  uint32_t number = state_volunteer(self, &person);
  if (number == PD_NONE) return;
  pd_assert(state_blocked(self, &self->volunteers[number], &requester) != 0);
  for (uint32_t at; (at = first_offer_from(self, number, &requester)) != 0;)
    close_offer(self, out, at, PD_REASON_BLOCKED);
  for (uint32_t at; (at = first_booking_from(self, number, &requester)) != 0;)
    say_reopened(self, out, at, PD_REASON_BLOCKED);
}
