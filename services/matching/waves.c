#include "services/matching/waves.h"

#include "common/base/calendar.h"
#include "services/matching/cost.h"
#include "services/matching/direct.h"
#include "services/matching/emergency.h"
#include "services/matching/nearby.h"

#define REASONS (PD_REASON_DAY_FULL + 1)

/* Somebody to be invited. */
struct invitation {
  struct proposal time;
  struct matching_cost cost;
  uint32_t volunteer;
  uint32_t distance_m;
  uint32_t met; /* how many were looked at before */
  uint32_t zero;
};

/* A wave in the making. */
struct wave {
  uint32_t wanted;
  uint32_t count;
  uint32_t considered;
  uint32_t tally[REASONS]; /* people kept out, by reason */
  uint32_t ring_m;         /* of an emergency's phase: nobody farther away is looked at; else 0 */
  uint32_t zero;
  struct invitation invited[MATCHING_WAVE_MAX];
};

/* A tally list as the contract has it, on the caller's stack. */
struct tallies {
  struct pd_tally items[REASONS];
  struct pd_tally *list[REASONS];
  size_t count;
};

static void list_tallies(const struct wave *wave, struct tallies *tallies) {
  uint32_t people = wave->count;
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

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* How many offers the wave may hold: by policy, and by what the shard's tables can still take. */
static uint32_t wave_room(const struct matching *self, const struct order *order,
                          uint32_t *wanted) {
  pd_assert(state_free_slots(order) > 0);
  bool phase = emergency_is(order);
  *wanted = phase ? emergency_size(state_policy(self, order), order) : state_wave_size(self, order);
  uint32_t room = least(pd_pool_free(&self->free_offers), pd_pool_free(&self->free_asked));
  if (pd_pool_free(&self->free_bookings) == 0) room = 0;
  return least(*wanted, room);
}

/* Keep the cheapest, in the order of cost; of equal ones who was met first. */
static void keep_cheapest(struct wave *wave, const struct invitation *one) {
  pd_assert(wave->count <= wave->wanted && wave->wanted > 0);
  if (wave->count == wave->wanted) {
    wave->tally[PD_REASON_RANKED_LOWER]++;
    if (wave->invited[wave->count - 1].cost.total_m <= one->cost.total_m) return;
    wave->count--;
  }
  uint32_t at = wave->count++;
  for (; at > 0 && wave->invited[at - 1].cost.total_m > one->cost.total_m; at--)
    wave->invited[at] = wave->invited[at - 1];
  wave->invited[at] = *one;
}

/* Can nobody this far away or farther be cheaper than those who would be invited now? */
static bool is_settled(const struct wave *wave, const struct costs *costs, uint32_t distance_m) {
  if (wave->count < wave->wanted) return false;
  if (!costs_matter(costs)) return true;
  return wave->invited[wave->count - 1].cost.total_m <= costs_least_m(costs, distance_m);
}

/* A wave is told nearest first, as it was found. */
static void sort_as_met(struct wave *wave) {
  pd_assert(wave->count <= MATCHING_WAVE_MAX);
  for (uint32_t i = 1; i < wave->count; i++) {
    struct invitation one = wave->invited[i];
    uint32_t at = i;
    for (; at > 0 && wave->invited[at - 1].met > one.met; at--)
      wave->invited[at] = wave->invited[at - 1];
    wave->invited[at] = one;
  }
}

/* Does the phase look this far?  It does, whatever the ring, until it has found somebody. */
static bool is_in_ring(struct wave *wave, const struct matching_policy *policy,
                       uint32_t distance_m) {
  if (wave->ring_m == 0) return true;
  if (wave->count == 0) wave->ring_m = emergency_widened_m(policy, wave->ring_m, distance_m);
  return distance_m <= wave->ring_m;
}

/* Look at the people around, nearest first, until the wave is full of those who cost least. */
static void gather(struct matching *self, const struct rules *rules, struct wave *wave) {
  struct nearby walk;
  uint32_t number, distance_m, eligible = 0;
  struct costs costs = costs_begin(self, rules->order, rules->now_ms);
  pd_assert(wave->wanted > 0 && wave->wanted <= MATCHING_WAVE_MAX);
  uint32_t enough = wave->wanted;
  if (costs_matter(&costs) && rules->policy->candidates > enough)
    enough = rules->policy->candidates;
  nearby_begin(&walk, self, rules->order, enough);
  while (eligible < enough && wave->considered < rules->policy->scan_max &&
         nearby_next(&walk, &number, &distance_m)) {
    struct invitation one = {
        .volunteer = number, .distance_m = distance_m, .met = wave->considered};
    if (is_settled(wave, &costs, distance_m) || !is_in_ring(wave, rules->policy, distance_m)) break;
    enum pd_reason reason = rules_try(rules, number, distance_m, &one.time);
    wave->considered++;
    if (reason != PD_REASON_UNSPECIFIED) {
      wave->tally[reason]++;
      continue;
    }
    one.cost = costs_of(&costs, number, distance_m);
    keep_cheapest(wave, &one);
    eligible++;
  }
  sort_as_met(wave);
  pd_assert(wave->count <= MATCHING_WAVE_MAX && wave->count <= wave->considered);
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
static void count_everybody(struct matching *self, const struct rules *rules, struct wave *wave) {
  uint64_t everybody = self->facts->volunteers;
  bool walked_all = wave->considered < rules->policy->scan_max;
  if (self->tally_used + everybody > rules->policy->tally_max || !walked_all) return;
  self->tally_used += everybody;
  pd_assert(wave->count == 0);
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
                          const struct wave *wave) {
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
                     const struct wave *wave) {
  bool phase = emergency_is(order);
  pd_assert(wave->count > 0 && (order->open_offers == order->called || phase));
  struct tallies tallies;
  list_tallies(wave, &tallies);
  struct pd_wave_opened said = PD_WAVE_OPENED_INIT;
  said.order = order->id;
  said.wave = order->wave + 1;
  said.offers = wave->count;
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

static void say_offers(const struct matching *self, struct pd_outbox *out,
                       const struct order *order, const struct wave *wave) {
  uint32_t before = order->open_offers;
  for (uint32_t i = 0; i < wave->count; i++) {
    const struct invitation *invited = &wave->invited[i];
    struct pd_offer_made said = PD_OFFER_MADE_INIT;
    said.offer = self->facts->last_offer + 1;
    said.order = order->id;
    said.wave = order->wave;
    said.volunteer = bytes_of(self, invited->volunteer);
    said.distance_m = invited->distance_m;
    said.start_ms = invited->time.start_ms;
    said.end_ms = invited->time.end_ms;
    said.expires_at_ms = order->wave_expires_ms;
    said.fairness_m = (int32_t)invited->cost.fairness_m;
    said.continuity_m = (int32_t)invited->cost.continuity_m;
    said.branch_m = (int32_t)invited->cost.branch_m;
    said.rural_m = (int32_t)invited->cost.rural_m;
    said.mutual_m = (int32_t)invited->cost.mutual_m;
    said.rare_m = (int32_t)invited->cost.rare_m;
    pd_emit_offer_made(out, &said);
  }
  pd_assert(order->open_offers == before + wave->count);
}

/* The next wave; beside: open offers of the ones before are no hindrance. */
static void open_wave(struct matching *self, struct pd_outbox *out, uint32_t entry, bool beside) {
  const struct order *order = &self->orders[entry];
  if (order->id == 0 || order->stopped || state_wanted_slots(order) == 0) return;
  if (order->open_offers > order->called && !beside) return;
  struct wave wave;
  uint32_t wanted;
  wave.count = 0;
  wave.considered = 0;
  memset(wave.tally, 0, sizeof wave.tally);
  wave.wanted = wave_room(self, order, &wanted);
  mark_asked(self, order);
  struct rules rules = rules_begin(self, order, out->input->now_ms, true);
  wave.ring_m = emergency_is(order) ? emergency_ring_m(rules.policy, order) : 0;
  bool late = rules.first_ms > rules.last_ms;
  if (wave.wanted == 0) {
    wave.tally[PD_REASON_FULL] = wanted;
    wave.considered = wanted;
  } else if (!late) {
    gather(self, &rules, &wave);
    if (wave.count == 0) count_everybody(self, &rules, &wave);
  }
  if (wave.count == 0) {
    say_unmatched(out, order, &wave);
    return;
  }
  say_wave(self, out, order, &wave);
  say_offers(self, out, order, &wave);
}

void waves_open(struct matching *self, struct pd_outbox *out, uint32_t entry) {
  pd_assert(entry <= self->limits.orders);
  open_wave(self, out, entry, false);
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
  if (!retry && !latest) return;
  close_expired(self, out, entry, due_ms);
  if (!retry && due_ms < order->wave_next_ms) return;
  open_wave(self, out, entry, order->id != 0 && emergency_is(order));
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
  uint32_t entry = offer->order;
  pd_assert(self->orders[entry].open_offers > 0);
  struct proposal time;
  enum pd_reason reason = PD_REASON_DECLINED;
  if (answer->accept) reason = may_book(self, offer, out->input->now_ms, &time);
  if (reason == PD_REASON_UNSPECIFIED)
    waves_fill(self, out, at, time);
  else
    close_offer(self, out, at, reason);
  waves_open(self, out, entry);
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

/* Say that a booking is over, and look for somebody else while there is time. */
static void reopen(struct matching *self, struct pd_outbox *out, uint32_t booking,
                   enum pd_reason reason) {
  uint32_t entry = self->bookings[booking].order;
  const struct order *order = &self->orders[entry];
  say_reopened(self, out, booking, reason);
  if (out->input->now_ms <= state_latest_start(order)) waves_open(self, out, entry);
}

void waves_reopen(struct matching *self, struct pd_outbox *out, uint64_t order, uint32_t slot,
                  struct pd_id person, enum pd_reason reason) {
  pd_assert(reason == PD_REASON_WITHDREW || reason == PD_REASON_NO_SHOW);
  uint32_t entry = state_order(self, order);
  if (entry == 0 || self->orders[entry].closed) return;
  uint32_t at = state_booking(self, &self->orders[entry], slot);
  if (at == 0 || self->bookings[at].started) return;
  if (!pd_id_equal(&person, &self->volunteers[self->bookings[at].volunteer].person)) return;
  reopen(self, out, at, reason);
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
    reopen(self, out, at, PD_REASON_OVERLAP);
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
  while (self->volunteers[number].offers != 0) {
    uint32_t offer = self->volunteers[number].offers;
    uint32_t entry = self->offers[offer].order;
    close_offer(self, out, offer, PD_REASON_INACTIVE);
    waves_open(self, out, entry);
  }
  if (!bookings) return;
  for (uint32_t at; (at = first_not_started(self, number)) != 0;)
    reopen(self, out, at, PD_REASON_INACTIVE);
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
    reopen(self, out, at, reason);
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
  for (uint32_t at; (at = first_offer_from(self, number, &requester)) != 0;) {
    uint32_t entry = self->offers[at].order;
    close_offer(self, out, at, PD_REASON_BLOCKED);
    waves_open(self, out, entry);
  }
  for (uint32_t at; (at = first_booking_from(self, number, &requester)) != 0;)
    reopen(self, out, at, PD_REASON_BLOCKED);
}
