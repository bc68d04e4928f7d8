#include "services/matching/state.h"

#include "common/base/calendar.h"
#include "services/matching/coverage.h"
#include "services/matching/emergency.h"
#include "services/matching/policy.h"

#define CELL_X_MAX 179999
#define CELL_Y_MAX 89999
#define SKILLS_KNOWN 32
#define NEED_MAX 64u
#define MINUTES_MAX 1440u
#define ANSWERS_MIN 64u  /* before these the measured rate is chance */
#define ANSWERS_MAX 1024u /* then both counts are halved: what is old fades */
#define TIME_MAX (INT64_C(1) << 50) /* beyond every calendar; sums stay exact */

uint32_t state_volunteer(const struct matching *self, const struct pd_id *person) {
  uint32_t number = pd_idmap_get(&self->volunteer_by_id, person);
  pd_assert(number == PD_NONE || number < self->facts->volunteers);
  return number;
}

uint32_t state_order(const struct matching *self, uint64_t id) {
  uint32_t entry = pd_map_get(&self->order_by_id, id);
  pd_assert(entry == PD_NONE || self->orders[entry].id == id);
  return entry == PD_NONE ? 0 : entry;
}

uint32_t state_offer(const struct matching *self, uint64_t id) {
  uint32_t entry = pd_map_get(&self->offer_by_id, id);
  pd_assert(entry == PD_NONE || self->offers[entry].id == id);
  return entry == PD_NONE ? 0 : entry;
}

uint32_t state_booking(const struct matching *self, const struct order *order, uint32_t slot) {
  pd_assert(order->id != 0);
  uint32_t at = order->bookings;
  while (at != 0 && self->bookings[at].slot != slot)
    at = chain_next(order->bookings, self->booking_of_order, at);
  pd_assert(at == 0 || &self->orders[self->bookings[at].order] == order);
  return at;
}

uint32_t state_asked(const struct matching *self, const struct order *order, uint32_t volunteer) {
  pd_assert(volunteer < self->facts->volunteers);
  uint32_t at = order->asked;
  while (at != 0 && self->asked[at].volunteer != volunteer) at = self->asked[at].next;
  return at;
}

const struct matching_rules *state_rules(const struct matching *self) {
  return self->facts->policy != 0 ? &self->facts->rules : &self->rules;
}

const struct matching_policy *state_policy(const struct matching *self, const struct order *order) {
  const struct matching_rules *rules = state_rules(self);
  unsigned kind = order->kind < MATCHING_KINDS ? order->kind : PD_ORDER_KIND_UNSPECIFIED;
  pd_assert(rules->of[kind].wave_max > 0 && rules->of[kind].wave_max <= MATCHING_WAVE_MAX);
  return &rules->of[kind];
}

/* Ids are random, so some of their bits do for a hash. */
static uint32_t *served_by(const struct matching *self, const struct pd_id *resident) {
  uint32_t bits;
  memcpy(&bits, resident->bytes, sizeof bits);
  pd_assert(self->limits.persons > 0);
  return &self->served_by[bits % self->limits.persons];
}

uint32_t state_served_by(const struct matching *self, const struct pd_id *resident) {
  pd_assert(!pd_id_is_zero(resident));
  return *served_by(self, resident);
}

const struct matching_policy *state_policy_for_all(const struct matching *self) {
  pd_assert(state_rules(self)->of[0].coverage_m > 0);
  return &state_rules(self)->of[0];
}

int64_t state_week(const struct matching *self, int64_t time_ms) {
  pd_assert(time_ms >= 0);
  return pd_week_number(time_ms, self->zone_min);
}

uint32_t state_wave_size(const struct matching *self, const struct order *order) {
  const struct matching_policy *policy = state_policy(self, order);
  uint32_t slots = state_wanted_slots(order);
  unsigned kind = order->kind < MATCHING_KINDS ? order->kind : PD_ORDER_KIND_UNSPECIFIED;
  struct matching_answers answers = self->facts->answers[kind];
  uint64_t size = (uint64_t)slots * policy->offers_per_slot;
  pd_assert(answers.accepted <= answers.known && answers.known <= ANSWERS_MAX);
  if (policy->fill_percent != 0 && answers.known >= ANSWERS_MIN) {
    uint64_t yes = 100 * (uint64_t)(answers.accepted > 0 ? answers.accepted : 1);
    size = ((uint64_t)slots * policy->fill_percent * answers.known + yes - 1) / yes;
    if (size < slots) size = slots;
  }
  return size < policy->wave_max ? (uint32_t)size : policy->wave_max;
}

uint32_t state_load(const struct matching *self, const struct volunteer *volunteer, int64_t week) {
  pd_assert(volunteer->load <= STATE_LOAD_MAX);
  if (volunteer->load == 0) return 0;
  int64_t weeks = week - pd_week_number(volunteer->offered_ms, self->zone_min);
  if (weeks <= 0) return volunteer->load;
  return weeks < 32 ? volunteer->load >> weeks : 0;
}

uint32_t state_free_slots(const struct order *order) {
  uint32_t filled = (uint32_t)__builtin_popcountll(order->filled);
  pd_assert(filled <= order->need);
  return order->need - filled;
}

uint32_t state_wanted_slots(const struct order *order) {
  uint32_t slots = state_free_slots(order);
  pd_assert(order->called <= order->open_offers);
  return slots > order->called ? slots - order->called : 0;
}

int64_t state_latest_start(const struct order *order) {
  pd_assert(order->minutes > 0);
  return order->window_end_ms - (int64_t)order->minutes * PD_MINUTE_MS;
}

/* What another daemon says is taken as it is, but kept within what the arithmetic here can bear. */
static int32_t within_i32(int32_t value, int32_t low, int32_t high) {
  pd_assert(low < high);
  return value < low ? low : value > high ? high : value;
}

static uint32_t within_u32(uint32_t value, uint32_t low, uint32_t high) {
  pd_assert(low < high);
  return value < low ? low : value > high ? high : value;
}

static int64_t sane_time(int64_t time_ms) {
  return time_ms < 0 ? 0 : time_ms > TIME_MAX ? TIME_MAX : time_ms;
}

static struct pd_square square_of(const struct pd_cell *cell) {
  if (cell == NULL) return (struct pd_square){0};
  return (struct pd_square){.x = within_i32(cell->x, -CELL_X_MAX - 1, CELL_X_MAX),
                            .y = within_i32(cell->y, -CELL_Y_MAX - 1, CELL_Y_MAX)};
}

/* A mask with the bit of each skill; one that is unknown here sets bit `unknown`. */
static uint32_t skill_mask(const enum pd_skill *skills, size_t count, uint32_t unknown) {
  uint32_t mask = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t skill = (uint32_t)skills[i];
    mask |= skill > 0 && skill < SKILLS_KNOWN ? 1u << skill : unknown;
  }
  return mask;
}

static void set_hours(struct volunteer *volunteer, const uint32_t *days, size_t count) {
  memset(volunteer->hours, 0, sizeof volunteer->hours);
  for (uint32_t hour = 0; hour < WEEK_HOURS && hour / 24 < count; hour++) {
    uint64_t bit = days[hour / 24] >> hour % 24 & 1u;
    volunteer->hours[hour / 64] |= bit << hour % 64;
  }
}

/* The number of a person, new or not; PD_NONE when the table is full (the limits forbid it). */
static uint32_t volunteer_number(struct matching *self, struct pd_id person) {
  uint32_t number = state_volunteer(self, &person);
  if (number != PD_NONE || self->facts->volunteers >= self->limits.persons) return number;
  number = (uint32_t)self->facts->volunteers++;
  pd_assert(pd_id_is_zero(&self->volunteers[number].person));
  self->volunteers[number].person = person;
  pd_idmap_put(&self->volunteer_by_id, &person, number);
  return number;
}

static void count_skills(struct matching *self, uint32_t skills, bool more) {
  for (uint32_t left = skills; left != 0; left &= left - 1) {
    uint32_t *count = &self->facts->skilled[__builtin_ctz(left)];
    pd_assert(more || *count > 0);
    *count = more ? *count + 1 : *count - 1;
  }
}

/* Only active volunteers stand in the index of places. */
static void index_volunteer(struct matching *self, uint32_t number) {
  pd_assert(number < self->facts->volunteers);
  const struct volunteer *volunteer = &self->volunteers[number];
  bool active = volunteer->status == VOLUNTEER_ACTIVE;
  self->facts->active += active;
  self->facts->active -= self->skills_of[number] != 0;
  pd_assert(self->facts->active <= self->facts->volunteers);
  count_skills(self, self->skills_of[number], false);
  self->skills_of[number] = active ? volunteer->skills | SKILLS_ACTIVE : 0;
  count_skills(self, self->skills_of[number], true);
  if (!active) {
    grid_remove(&self->grid, number);
    return;
  }
  struct pd_lonlat home = pd_geo_center(volunteer->cell);
  struct grid_member member = {.lat_e7 = home.lat_e7,
                               .lon_e7 = home.lon_e7,
                               .mask = volunteer->skills,
                               .radius_m = volunteer->radius_m};
  grid_set(&self->grid, number, &member);
}

/* A site below a town or a village by its code (GB/T 10114): township 200 to 399 in the digits 7 to
 * 9, or villagers' committee 200 to 399 in the last three. */
static bool is_rural(const char *code) {
  if (strlen(code) != 12 || strspn(code, "0123456789") != 12) return false;
  return code[6] == '2' || code[6] == '3' || code[9] == '2' || code[9] == '3';
}

void state_site_registered(struct matching *self, const struct pd_site_registered *said) {
  if (said->site == 0 || said->site > self->limits.sites) return;
  self->rural[said->site] = is_rural(said->code);
}

void state_volunteer_registered(struct matching *self, const struct pd_volunteer_registered *said,
                                int64_t time_ms) {
  uint32_t number = volunteer_number(self, PD_ID(said->person));
  if (number == PD_NONE) return;
  struct volunteer *volunteer = &self->volunteers[number];
  if (volunteer->status == VOLUNTEER_ERASED) return;
  volunteer->cell = square_of(said->cell);
  volunteer->skills = skill_mask(said->skills, said->n_skills, 0);
  set_hours(volunteer, said->available, said->n_available);
  volunteer->radius_m = said->radius_m;
  if (said->radius_m > self->facts->radius_m) self->facts->radius_m = said->radius_m;
  volunteer->max_per_week = said->max_per_week;
  volunteer->age = (uint8_t)within_u32((uint32_t)said->age, 0, PD_AGE_BAND_UNDER_14);
  volunteer->branch = (uint8_t)(said->branch < MATCHING_BRANCHES ? said->branch : 0);
  volunteer->gender = (uint8_t)said->gender;
  volunteer->vetted = said->vetted != 0;
  volunteer->emergency = said->emergency != 0;
  volunteer->since_ms = sane_time(time_ms);
  volunteer->status = VOLUNTEER_ACTIVE;
  index_volunteer(self, number);
}

void state_volunteer_status(struct matching *self, struct pd_id person,
                            enum volunteer_status status) {
  pd_assert(status != VOLUNTEER_ACTIVE);
  uint32_t number = state_volunteer(self, &person);
  if (number == PD_NONE) return;
  struct volunteer *volunteer = &self->volunteers[number];
  if (volunteer->status < (uint8_t)status) volunteer->status = (uint8_t)status;
  index_volunteer(self, number);
}

void state_volunteer_resumed(struct matching *self, struct pd_id person, int64_t time_ms) {
  uint32_t number = state_volunteer(self, &person);
  if (number == PD_NONE || self->volunteers[number].status != VOLUNTEER_PAUSED) return;
  self->volunteers[number].since_ms = sane_time(time_ms);
  self->volunteers[number].status = VOLUNTEER_ACTIVE;
  index_volunteer(self, number);
}

/* ---- waiting for a wave ---- */

static void wait_no_more(struct matching *self, uint32_t entry) {
  struct order *order = &self->orders[entry];
  if (!order->waits) return;
  chain_remove(&self->facts->waiting, self->waiting_order, entry);
  bool urgent = emergency_is(order);
  pd_assert(!urgent || self->facts->waiting_urgently > 0);
  self->facts->waiting_urgently -= urgent;
  order->waits = 0;
  order->cause_log = 0;
  order->traced = 0;
  order->cause_seq = 0;
  memset(order->trace, 0, sizeof order->trace);
}

/* The cause of a fact of this log is the input that it answered. */
static void note_cause(struct order *order, const struct pd_event *fact) {
  const struct pd_position *cause = fact->log == PD_LOG_MATCHING ? fact->cause : NULL;
  bool own = fact->log == PD_LOG_MATCHING;
  if (own && cause == NULL) return;
  order->cause_log = (uint8_t)(own ? cause->log : fact->log);
  order->cause_seq = own ? cause->seq : fact->seq;
  order->traced = fact->trace.len == sizeof order->trace;
  if (order->traced) memcpy(order->trace, fact->trace.data, sizeof order->trace);
}

static bool is_wave_due(const struct pd_event *fact) {
  return fact != NULL && fact->body_case == PD_EVENT_WAVE_DUE;
}

void state_order_waits(struct matching *self, uint64_t id, const struct pd_event *fact) {
  uint32_t entry = state_order(self, id);
  if (entry == 0) return;
  struct order *order = &self->orders[entry];
  /* The next phase of an emergency comes beside the offers of the phases before. */
  bool phase = emergency_is(order) && (order->waits || is_wave_due(fact));
  bool invites = order->open_offers > order->called && !phase;
  if (order->stopped || invites || state_wanted_slots(order) == 0) {
    wait_no_more(self, entry);
    return;
  }
  if (order->waits || fact == NULL) return;
  pd_assert(order->id == id && !order->closed);
  order->waits = 1;
  chain_add(&self->facts->waiting, self->waiting_order, entry);
  self->facts->waiting_urgently += emergency_is(order);
  note_cause(order, fact);
}

void state_order_answered(struct matching *self, uint64_t id) {
  uint32_t entry = state_order(self, id);
  if (entry != 0) wait_no_more(self, entry);
}

void state_order_placed(struct matching *self, const struct pd_order_placed *said,
                        int64_t time_ms) {
  if (said->order == 0 || state_order(self, said->order) != 0) return;
  if (pd_pool_free(&self->free_orders) == 0) return;
  uint32_t entry = pd_pool_take(&self->free_orders) + 1;
  pd_assert(self->orders[entry].id == 0);
  coverage_asked(self, square_of(said->cell), sane_time(time_ms));
  pd_map_put(&self->order_by_id, said->order, entry);
  self->orders[entry] = (struct order){
      .id = said->order,
      .requester = PD_ID(said->requester),
      .window_start_ms = sane_time(said->window_start_ms),
      .window_end_ms = sane_time(said->window_end_ms),
      .cell = square_of(said->cell),
      .skills = skill_mask(said->skills, said->n_skills, 1),
      .minutes = within_u32(said->minutes, 1, MINUTES_MAX),
      .need = within_u32(said->need, 1, NEED_MAX),
      .urgency = (uint8_t)within_u32((uint32_t)said->urgency, 0, PD_URGENCY_EMERGENCY),
      .kind = (uint8_t)said->kind,
      .sensitive = said->sensitive != 0,
      .dangerous = said->dangerous != 0,
      .gender = (uint8_t)said->gender,
      .demands = state_demands(said->demands, said->n_demands),
      .rural = said->site <= self->limits.sites && self->rural[said->site],
  };
  memcpy(self->orders[entry].category, said->category,
         strnlen(said->category, MATCHING_CATEGORY));
}

void state_order_stopped(struct matching *self, uint64_t id) {
  uint32_t entry = state_order(self, id);
  if (entry == 0) return;
  self->orders[entry].stopped = 1;
  wait_no_more(self, entry);
}

/* Give the entry back once intake is done with the order and no offer of it is open. */
static void free_when_over(struct matching *self, uint32_t entry) {
  struct order *order = &self->orders[entry];
  if (!order->closed || order->offers != 0) return;
  pd_assert(order->bookings == 0 && order->asked == 0);
  pd_assert(order->open_offers == 0);
  pd_map_remove(&self->order_by_id, order->id);
  *order = (struct order){0};
  pd_pool_give(&self->free_orders, entry - 1);
}

static void note_served(struct matching *self, struct volunteer *volunteer,
                        const struct pd_id *resident) {
  if (!pd_id_is_zero(&volunteer->served)) {
    pd_assert(*served_by(self, &volunteer->served) > 0);
    --*served_by(self, &volunteer->served);
  }
  volunteer->served = *resident;
  if (!pd_id_is_zero(resident)) ++*served_by(self, resident);
}

/* Keep the time of a service that took place: its booking is about to be forgotten. */
static void remember_done(struct matching *self, const struct booking *booking) {
  pd_assert(booking->started && booking->volunteer < self->facts->volunteers);
  const struct order *order = &self->orders[booking->order];
  uint32_t helped = state_volunteer(self, &order->requester);
  if (helped != PD_NONE && booking->end_ms > self->volunteers[helped].helped_ms)
    self->volunteers[helped].helped_ms = booking->end_ms;
  int64_t day = state_day(self, booking->start_ms);
  struct volunteer *volunteer = &self->volunteers[booking->volunteer];
  int64_t week = pd_week_number(booking->start_ms, self->zone_min);
  note_served(self, volunteer, &self->orders[booking->order].requester);
  if (booking->end_ms > volunteer->done_end_ms) {
    volunteer->done_start_ms = booking->start_ms;
    volunteer->done_end_ms = booking->end_ms;
  }
  if (week > volunteer->done_week) {
    volunteer->done_week = week;
    volunteer->done_count = 0;
  }
  if (week == volunteer->done_week) volunteer->done_count++;
  if (day > volunteer->done_day) {
    volunteer->done_day = day;
    volunteer->done_minutes = 0;
  }
  if (day == volunteer->done_day)
    volunteer->done_minutes += (uint32_t)((booking->end_ms - booking->start_ms) / PD_MINUTE_MS);
}

static void drop_booking(struct matching *self, uint32_t entry) {
  struct booking *booking = &self->bookings[entry];
  struct order *order = &self->orders[booking->order];
  pd_assert(booking->slot >= 1 && booking->slot <= order->need);
  pd_assert(order->filled & UINT64_C(1) << (booking->slot - 1));
  order->filled &= ~(UINT64_C(1) << (booking->slot - 1));
  chain_remove(&order->bookings, self->booking_of_order, entry);
  chain_remove(&self->volunteers[booking->volunteer].bookings, self->booking_of_volunteer, entry);
  *booking = (struct booking){0};
  pd_pool_give(&self->free_bookings, entry - 1);
}

void state_order_closed(struct matching *self, uint64_t id) {
  uint32_t entry = state_order(self, id);
  if (entry == 0 || self->orders[entry].closed) return;
  struct order *order = &self->orders[entry];
  order->stopped = 1;
  order->closed = 1;
  wait_no_more(self, entry);
  while (order->bookings != 0) {
    if (self->bookings[order->bookings].started)
      remember_done(self, &self->bookings[order->bookings]);
    drop_booking(self, order->bookings);
  }
  while (order->asked != 0) {
    pd_assert(self->asked[order->asked].volunteer < self->facts->volunteers);
    uint32_t next = self->asked[order->asked].next;
    self->asked[order->asked] = (struct asked){0};
    pd_pool_give(&self->free_asked, order->asked - 1);
    order->asked = next;
  }
  pd_assert(order->filled == 0);
  free_when_over(self, entry);
}

void state_service_started(struct matching *self, const struct pd_service_started *said) {
  uint32_t entry = state_order(self, said->order);
  if (entry == 0) return;
  uint32_t booking = state_booking(self, &self->orders[entry], said->slot);
  struct pd_id person = PD_ID(said->volunteer);
  if (booking == 0 || self->bookings[booking].volunteer != state_volunteer(self, &person)) return;
  self->bookings[booking].started = 1;
}

void state_wave_opened(struct matching *self, const struct pd_wave_opened *said) {
  uint32_t entry = state_order(self, said->order);
  if (entry == 0) return;
  wait_no_more(self, entry);
  self->orders[entry].wave = said->wave;
  self->orders[entry].wave_expires_ms = said->expires_at_ms;
  self->orders[entry].wave_next_ms =
      said->next_at_ms != 0 ? said->next_at_ms : said->expires_at_ms;
}

void state_policy_adopted(struct matching *self, const struct pd_policy_adopted *said) {
  pd_assert(POLICY_ROWS > 0);
  self->facts->policy = said->policy != 0 ? said->policy : self->facts->policy + 1;
  policy_fold(&self->facts->rules, said);
}

static void note_load(const struct matching *self, struct volunteer *volunteer, int64_t time_ms) {
  uint32_t load = state_load(self, volunteer, pd_week_number(time_ms, self->zone_min));
  volunteer->load = within_u32(load + STATE_LOAD_ONE, 0, STATE_LOAD_MAX);
  volunteer->offered_ms = time_ms;
  volunteer->offered++;
}

static int32_t offer_cost_m(const struct pd_offer_made *said) {
  int64_t cost_m = (int64_t)said->distance_m + said->fairness_m + said->rare_m - said->continuity_m;
  return cost_m > INT32_MAX ? INT32_MAX : cost_m < -INT32_MAX ? -INT32_MAX : (int32_t)cost_m;
}

/* Remember that this volunteer was invited; who was before is remembered already, and waves ask
 * nobody twice.  False: there is no room. */
static bool note_asked(struct matching *self, struct order *order, uint32_t number,
                       enum pd_offer_how how) {
  pd_assert(!order->closed);
  if (how != PD_OFFER_HOW_UNSPECIFIED && state_asked(self, order, number) != 0) return true;
  if (pd_pool_free(&self->free_asked) == 0) return false;
  uint32_t pair = pd_pool_take(&self->free_asked) + 1;
  self->asked[pair] = (struct asked){.volunteer = number, .next = order->asked};
  order->asked = pair;
  return true;
}

void state_offer_made(struct matching *self, const struct pd_offer_made *said, int64_t time_ms) {
  struct pd_id person = PD_ID(said->volunteer);
  uint32_t number = state_volunteer(self, &person);
  uint32_t at = state_order(self, said->order);
  if (number == PD_NONE || at == 0 || state_offer(self, said->offer) != 0) return;
  if (self->orders[at].closed) return;
  struct order *order = &self->orders[at];
  if (pd_pool_free(&self->free_offers) == 0 || !note_asked(self, order, number, said->how))
    return;
  struct volunteer *volunteer = &self->volunteers[number];
  uint32_t entry = pd_pool_take(&self->free_offers) + 1;
  pd_assert(self->offers[entry].id == 0 && !order->closed);
  self->offers[entry] = (struct offer){.id = said->offer,
                                       .start_ms = said->start_ms,
                                       .end_ms = said->end_ms,
                                       .expires_ms = said->expires_at_ms,
                                       .order = at,
                                       .volunteer = number,
                                       .cost_m = offer_cost_m(said),
                                       .how = (uint32_t)said->how};
  pd_map_put(&self->offer_by_id, said->offer, entry);
  chain_add(&order->offers, self->offer_of_order, entry);
  chain_add(&volunteer->offers, self->offer_of_volunteer, entry);
  order->open_offers++;
  volunteer->open_offers++;
  if (said->how == PD_OFFER_HOW_COMMANDED) order->called++;
  note_load(self, volunteer, sane_time(time_ms));
  if (said->offer > self->facts->last_offer) self->facts->last_offer = said->offer;
}

static void drop_offer(struct matching *self, uint64_t id) {
  uint32_t entry = state_offer(self, id);
  if (entry == 0) return;
  struct offer *offer = &self->offers[entry];
  uint32_t at = offer->order;
  struct volunteer *volunteer = &self->volunteers[offer->volunteer];
  pd_assert(self->orders[at].id != 0 && offer->id == id);
  pd_assert(self->orders[at].open_offers > 0 && volunteer->open_offers > 0);
  chain_remove(&self->orders[at].offers, self->offer_of_order, entry);
  chain_remove(&volunteer->offers, self->offer_of_volunteer, entry);
  self->orders[at].open_offers--;
  if (offer->how == PD_OFFER_HOW_COMMANDED) self->orders[at].called--;
  volunteer->open_offers--;
  pd_map_remove(&self->offer_by_id, id);
  *offer = (struct offer){0};
  pd_pool_give(&self->free_offers, entry - 1);
  free_when_over(self, at);
}

/* Somebody answered an offer, or let it expire.  Who was named or asked for it says nothing of what
 * a wave may expect. */
static void note_answer(struct matching *self, uint64_t offer, bool accepted) {
  uint32_t entry = state_offer(self, offer);
  if (entry == 0 || self->offers[entry].how != PD_OFFER_HOW_UNSPECIFIED) return;
  const struct order *order = &self->orders[self->offers[entry].order];
  unsigned kind = order->kind < MATCHING_KINDS ? order->kind : PD_ORDER_KIND_UNSPECIFIED;
  struct matching_answers *answers = &self->facts->answers[kind];
  pd_assert(answers->accepted <= answers->known);
  answers->known++;
  answers->accepted += accepted;
  if (answers->known < ANSWERS_MAX) return;
  answers->known /= 2;
  answers->accepted /= 2;
}

void state_offer_closed(struct matching *self, const struct pd_offer_closed *said) {
  if (said->reason == PD_REASON_DECLINED || said->reason == PD_REASON_SILENT)
    note_answer(self, said->offer, false);
  drop_offer(self, said->offer);
}

/* Book a slot. */
static void fill_slot(struct matching *self, const struct pd_slot_filled *said) {
  struct pd_id person = PD_ID(said->volunteer);
  uint32_t number = state_volunteer(self, &person);
  uint32_t at = state_order(self, said->order);
  note_answer(self, said->offer, true);
  drop_offer(self, said->offer);
  if (number == PD_NONE || at == 0 || self->orders[at].closed) return;
  struct order *order = &self->orders[at];
  if (said->slot == 0 || said->slot > order->need) return;
  if (state_booking(self, order, said->slot) != 0) return;
  if (pd_pool_free(&self->free_bookings) == 0) return;
  uint32_t entry = pd_pool_take(&self->free_bookings) + 1;
  pd_assert(self->bookings[entry].slot == 0);
  self->bookings[entry] = (struct booking){.start_ms = said->start_ms,
                                           .end_ms = said->end_ms,
                                           .order = at,
                                           .volunteer = number,
                                           .slot = said->slot,
                                           .started = said->started != 0};
  chain_add(&order->bookings, self->booking_of_order, entry);
  chain_add(&self->volunteers[number].bookings, self->booking_of_volunteer, entry);
  pd_assert(!(order->filled & UINT64_C(1) << (said->slot - 1)));
  order->filled |= UINT64_C(1) << (said->slot - 1);
}

void state_slot_filled(struct matching *self, const struct pd_event *event) {
  const struct pd_slot_filled *said = event->slot_filled;
  pd_assert(event->body_case == PD_EVENT_SLOT_FILLED);
  fill_slot(self, said);
  state_order_waits(self, said->order, said->offer != 0 ? event : NULL);
}

void state_slot_reopened(struct matching *self, const struct pd_event *event) {
  const struct pd_slot_reopened *said = event->slot_reopened;
  uint32_t entry = state_order(self, said->order);
  if (entry == 0) return;
  uint32_t at = state_booking(self, &self->orders[entry], said->slot);
  if (at == 0) return;
  const struct booking *booking = &self->bookings[at];
  uint32_t pair = state_asked(self, &self->orders[entry], booking->volunteer);
  if (pair != 0) {
    self->asked[pair].start_ms = booking->start_ms;
    self->asked[pair].end_ms = booking->end_ms;
  }
  drop_booking(self, at);
  bool time_left = event->time_ms <= state_latest_start(&self->orders[entry]);
  if (time_left) state_order_waits(self, said->order, event);
}

/* An unmatched order is to be tried again, or its wave is over, though no offer of it is open. */
void state_wave_due(struct matching *self, const struct pd_event *event) {
  const struct pd_wave_due *said = event->wave_due;
  uint32_t entry = state_order(self, said->order);
  if (entry == 0) return;
  const struct order *order = &self->orders[entry];
  bool ended = said->wave == order->wave && event->time_ms >= order->wave_next_ms;
  if (ended || said->wave == order->wave + 1) state_order_waits(self, said->order, event);
}
