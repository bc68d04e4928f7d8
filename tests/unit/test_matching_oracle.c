/* A random district beside a slow model that is written apart from the core: every wave must invite
 * exactly the nearest eligible people (the way alone has a weight here), at the earliest time each,
 * and every tally must be right. */
#include "common/base/calendar.h"
#include "common/base/geo.h"
#include "common/base/rng.h"
#include "tests/unit/matching_harness.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#define PEOPLE 40
#define ORDERS 400 /* in all; about 30 at once */
#define OFFERS 20000
#define SLOTS 4
#define LEAD_MIN 15
#define HORIZON_H 336
#define REASONS (PD_REASON_DAY_FULL + 1)
#define REST_MIN 20
#define DAY_MAX_MIN 240
#define PROFESSIONAL (1u << PD_SKILL_COMPANION | 1u << PD_SKILL_LIFTING)

enum doc_kind { INSURANCE, GUARDIAN, AUTOMATED, HEALTH, OF_COMPANION, OF_LIFTING, DOCS };

struct doc {
  bool there;
  int64_t from_ms, until_ms;
  uint32_t limits;
};

struct person {
  int32_t x, y;
  uint32_t skills, radius_m, max_per_week, open;
  uint32_t week[7];
  bool minor, vetted, emergency, known, active, gone;
  enum pd_gender gender;
  struct doc docs[DOCS];
};

struct slot {
  uint64_t person; /* 0: free */
  int64_t start_ms, end_ms;
  bool started;
};

struct placed {
  int32_t x, y;
  uint32_t skills, need, minutes, wave, open;
  int64_t from_ms, to_ms, expires_ms;
  uint64_t requester;
  bool emergency, sensitive, live, stopped, unmatched, dangerous;
  enum pd_gender gender;
  enum pd_demand demand;
  bool asked[PEOPLE + 1];
  struct slot slots[SLOTS + 1];
};

struct invited {
  uint64_t order, person;
  int64_t start_ms, end_ms;
  bool open;
};

struct service { /* of a closed order */
  uint64_t person;
  int64_t start_ms, end_ms;
};

static struct person people[PEOPLE + 1];
static struct placed orders[ORDERS + 1];
static struct invited offers[OFFERS];
static struct service services[ORDERS * SLOTS];
static size_t service_count;
static uint64_t placed_count;
static bool blocks[2 * PEOPLE + 1][2 * PEOPLE + 1]; /* who does not wish to meet whom */
static uint32_t block_count;
static uint32_t paper_count;
static struct pd_rng rng;

static uint32_t below(uint32_t limit) { return (uint32_t)pd_rng_below(&rng, limit); }

static bool chance(uint32_t percent) { return below(100) < percent; }

/* ---- the model's rules ---- */

static bool free_all_hours(const struct person *p, int64_t start_ms, int64_t end_ms) {
  for (int64_t minute = start_ms; minute < end_ms; minute += PD_MINUTE_MS) {
    uint32_t hour = pd_week_hour(minute, CORE_ZONE_MIN);
    if ((p->week[hour / 24] >> (hour % 24) & 1) == 0) return false;
  }
  return true;
}

struct load {
  bool overlap, rest;
  uint32_t in_week;
  int64_t day_ms;
};

static int64_t day_of(int64_t time_ms) {
  return (time_ms + CORE_ZONE_MIN * PD_MINUTE_MS) / PD_DAY_MS;
}

static void add_load(struct load *load, int64_t start_ms, int64_t end_ms, int64_t at_ms,
                     int64_t until_ms) {
  if (start_ms < until_ms && at_ms < end_ms) load->overlap = true;
  int64_t rest_ms = REST_MIN * PD_MINUTE_MS;
  if (start_ms < until_ms + rest_ms && at_ms < end_ms + rest_ms) load->rest = true;
  if (day_of(start_ms) == day_of(at_ms)) load->day_ms += end_ms - start_ms;
  if (pd_week_number(start_ms, CORE_ZONE_MIN) == pd_week_number(at_ms, CORE_ZONE_MIN))
    load->in_week++;
}

static struct load load_of(uint64_t person, int64_t start_ms, int64_t end_ms) {
  struct load load = {false, false, 0, 0};
  for (uint64_t o = 1; o <= placed_count; o++)
    for (uint32_t s = 1; s <= orders[o].need && orders[o].live; s++)
      if (orders[o].slots[s].person == person)
        add_load(&load, orders[o].slots[s].start_ms, orders[o].slots[s].end_ms, start_ms, end_ms);
  for (size_t i = 0; i < service_count; i++)
    if (services[i].person == person)
      add_load(&load, services[i].start_ms, services[i].end_ms, start_ms, end_ms);
  return load;
}

static bool covers(const struct doc *doc, int64_t start_ms, int64_t end_ms) {
  return doc->there && doc->from_ms <= start_ms && end_ms <= doc->until_ms;
}

static bool is_qualified(const struct person *p, uint32_t skills, enum pd_skill skill,
                         enum doc_kind kind, int64_t start_ms, int64_t end_ms) {
  if ((skills >> skill & 1) == 0) return true;
  if (p->vetted && !p->docs[kind].there) return true;
  return covers(&p->docs[kind], start_ms, end_ms);
}

static enum pd_reason model_papers(const struct placed *o, uint64_t person, int64_t start_ms,
                                   int64_t end_ms) {
  const struct person *p = &people[person];
  const struct doc *health = &p->docs[HEALTH];
  if (health->there && o->demand != 0 && (health->limits >> o->demand & 1) != 0 &&
      health->from_ms < end_ms && start_ms < health->until_ms)
    return PD_REASON_HEALTH;
  if (p->minor && !covers(&p->docs[GUARDIAN], start_ms, end_ms)) return PD_REASON_GUARDIAN;
  if (!is_qualified(p, o->skills, PD_SKILL_COMPANION, OF_COMPANION, start_ms, end_ms) ||
      !is_qualified(p, o->skills, PD_SKILL_LIFTING, OF_LIFTING, start_ms, end_ms))
    return PD_REASON_QUALIFICATION;
  if (o->dangerous && !covers(&p->docs[INSURANCE], start_ms, end_ms)) return PD_REASON_INSURANCE;
  return PD_REASON_UNSPECIFIED;
}

/* Everything but the hours. */
static enum pd_reason model_in_the_way(const struct placed *o, uint64_t person, int64_t start_ms,
                                       int64_t end_ms) {
  struct load load = load_of(person, start_ms, end_ms);
  if (load.overlap) return PD_REASON_OVERLAP;
  if (load.rest) return PD_REASON_REST;
  if (load.in_week >= people[person].max_per_week) return PD_REASON_CAPACITY;
  if (load.day_ms + (end_ms - start_ms) > DAY_MAX_MIN * PD_MINUTE_MS) return PD_REASON_DAY_FULL;
  return model_papers(o, person, start_ms, end_ms);
}

static int how_far(enum pd_reason reason) {
  static const enum pd_reason order[] = {
      PD_REASON_UNSPECIFIED, PD_REASON_HOURS,  PD_REASON_OVERLAP,  PD_REASON_REST,
      PD_REASON_CAPACITY,    PD_REASON_DAY_FULL, PD_REASON_HEALTH, PD_REASON_GUARDIAN,
      PD_REASON_QUALIFICATION, PD_REASON_INSURANCE};
  int far = 0;
  while (order[far] != reason) far++;
  return far;
}

static enum pd_reason model_time(const struct placed *o, uint64_t person, int64_t first_ms,
                                 int64_t *start_ms) {
  const struct person *p = &people[person];
  enum pd_reason reason = PD_REASON_HOURS;
  int64_t length = o->minutes * PD_MINUTE_MS;
  int64_t hour = first_ms - first_ms % PD_HOUR_MS; /* the zone is whole hours */
  for (int64_t at = first_ms; at + length <= o->to_ms && at <= first_ms + HORIZON_H * PD_HOUR_MS;
       at = hour += PD_HOUR_MS) {
    bool on_call = o->emergency && p->emergency;
    if (!on_call && !free_all_hours(p, at, at + length)) continue;
    enum pd_reason found = model_in_the_way(o, person, at, at + length);
    if (found == PD_REASON_UNSPECIFIED) {
      *start_ms = at;
      return found;
    }
    if (how_far(found) > how_far(reason)) reason = found;
  }
  return reason;
}

static double metres_between(const struct placed *o, const struct person *p) {
  struct pd_square a = {o->x, o->y}, b = {p->x, p->y};
  return pd_geo_distance_m(pd_geo_center(a), pd_geo_center(b));
}

static int64_t first_start(const struct placed *o) {
  int64_t soonest = h.now_ms + LEAD_MIN * PD_MINUTE_MS;
  return soonest > o->from_ms ? soonest : o->from_ms;
}

static enum pd_reason model_rules(const struct placed *o, uint64_t person, int64_t *start_ms) {
  const struct person *p = &people[person];
  if (!p->active) return PD_REASON_INACTIVE;
  if (o->requester == person) return PD_REASON_OWN_ORDER;
  if (o->asked[person]) return PD_REASON_ALREADY_ASKED;
  if ((p->skills & o->skills) != o->skills) return PD_REASON_SKILL;
  if (metres_between(o, p) > p->radius_m) return PD_REASON_RADIUS;
  if (p->minor && o->emergency) return PD_REASON_AGE;
  if (o->sensitive && !p->vetted) return PD_REASON_NOT_VETTED;
  const struct doc *automated = &p->docs[AUTOMATED];
  if (automated->there && (h.now_ms < automated->from_ms || h.now_ms >= automated->until_ms))
    return PD_REASON_NOT_AUTOMATED;
  if (blocks[person][o->requester] || blocks[o->requester][person]) return PD_REASON_BLOCKED;
  if (o->gender != 0 && o->gender != p->gender) return PD_REASON_GENDER;
  enum pd_reason reason = model_time(o, person, first_start(o), start_ms);
  if (reason != PD_REASON_UNSPECIFIED) return reason;
  if (p->open >= pd_limits_small.offers_each) return PD_REASON_TOO_MANY_OFFERS;
  return PD_REASON_UNSPECIFIED;
}

static uint32_t free_slots(const struct placed *o) {
  uint32_t count = 0;
  for (uint32_t s = 1; s <= o->need; s++) count += o->slots[s].person == 0;
  return count;
}

static uint32_t total(size_t which) {
  uint32_t sums[3] = {0, 0, 0};
  for (uint64_t o = 1; o <= placed_count; o++) {
    if (!orders[o].live) continue;
    sums[0] += orders[o].open;
    sums[2] += orders[o].need - free_slots(&orders[o]);
    for (uint64_t p = 1; p <= PEOPLE; p++) sums[1] += orders[o].asked[p];
  }
  return sums[which];
}

static uint32_t room_for(const struct placed *o) {
  uint32_t want = (o->emergency ? 4 : 3) * free_slots(o);
  uint32_t offers_left = pd_limits_small.offers - total(0);
  uint32_t asked_left = pd_limits_small.asked - total(1);
  if (pd_limits_small.bookings == total(2)) return 0;
  if (want > offers_left) want = offers_left;
  return want < asked_left ? want : asked_left;
}

/* ---- what the core said, checked against the model and then told to it ---- */

static uint64_t person_of(ProtobufCBinaryData field) {
  uint64_t number;
  memcpy(&number, field.data + 8, sizeof number);
  return number;
}

static int by_distance(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Distances of everybody eligible, nearest first. */
static uint32_t eligible(const struct placed *o, double *metres) {
  uint32_t count = 0;
  int64_t start_ms;
  for (uint64_t p = 1; p <= PEOPLE; p++)
    if (people[p].known && model_rules(o, p, &start_ms) == PD_REASON_UNSPECIFIED)
      metres[count++] = metres_between(o, &people[p]);
  qsort(metres, count, sizeof *metres, by_distance);
  return count;
}

static const struct pd_event *heard(size_t at) { return h.said.items[at]; }

/* A kilometre more with each phase; as far as the nearest, if that is farther. */
static uint32_t within_ring(const struct pd_wave_opened *said, const double *metres,
                            uint32_t count) {
  double ring = 1000.0 * said->wave, first = ceil(ceil(metres[0] - 1e-6) / 1000) * 1000;
  uint32_t within = 0;
  if (first > ring) ring = first;
  while (within < count && ceil(metres[within] - 1e-6) <= ring) within++;
  cr_assert(said->ring_m == (uint32_t)ring, "the ring is %u m, not %g", said->ring_m, ring);
  return within;
}

static void check_wave(const struct pd_wave_opened *said, size_t at) {
  struct placed *o = &orders[said->order];
  double metres[PEOPLE];
  uint32_t count = eligible(o, metres), room = room_for(o);
  cr_assert(o->live && !o->stopped && said->wave == o->wave + 1);
  cr_assert(o->open == 0 || (o->emergency && h.now_ms >= o->expires_ms));
  if (o->emergency) count = within_ring(said, metres, count);
  cr_assert(said->offers == (count < room ? count : room), "%u offers, %u eligible, room for %u",
            said->offers, count, room);
  for (uint32_t i = 0; i < said->offers; i++) {
    const struct pd_offer_made *made = heard(at + 1 + i)->offer_made;
    uint64_t person = person_of(made->volunteer);
    int64_t start_ms = 0;
    cr_assert(model_rules(o, person, &start_ms) == PD_REASON_UNSPECIFIED);
    cr_assert(made->start_ms == start_ms && made->end_ms == start_ms + o->minutes * PD_MINUTE_MS);
    cr_assert(fabs(metres_between(o, &people[person]) - metres[i]) < 0.001, "not the nearest");
    cr_assert(made->distance_m == (uint32_t)ceil(metres[i] - 1e-6));
  }
  o->wave = said->wave;
  o->expires_ms = said->next_at_ms != 0 ? said->next_at_ms : said->expires_at_ms;
  o->unmatched = false;
}

static void check_unmatched(const struct pd_order_unmatched *said) {
  struct placed *o = &orders[said->order];
  uint32_t tally[REASONS] = {0}, known = 0;
  int64_t start_ms;
  o->unmatched = true;
  cr_assert(said->wave == o->wave + 1);
  cr_assert(o->open == 0 || (o->emergency && h.now_ms >= o->expires_ms));
  if (room_for(o) == 0) {
    cr_assert(said->n_excluded == 1 && said->excluded[0]->reason == PD_REASON_FULL);
    return;
  }
  if (first_start(o) + o->minutes * PD_MINUTE_MS > o->to_ms) return; /* too late: nobody counted */
  for (uint64_t p = 1; p <= PEOPLE; p++) {
    if (!people[p].known) continue;
    known++;
    tally[model_rules(o, p, &start_ms)]++;
  }
  cr_assert(tally[PD_REASON_UNSPECIFIED] == 0, "somebody could have been invited");
  cr_assert(said->considered == known);
  for (size_t i = 0; i < said->n_excluded; i++) {
    cr_assert(tally[said->excluded[i]->reason] == said->excluded[i]->count);
    tally[said->excluded[i]->reason] = 0;
  }
  for (unsigned r = 0; r < REASONS; r++) cr_assert(tally[r] == 0, "reason %u is not told", r);
}

static void note_offer(const struct pd_offer_made *said) {
  uint64_t person = person_of(said->volunteer);
  cr_assert(said->offer < OFFERS && !orders[said->order].asked[person]);
  offers[said->offer] =
      (struct invited){said->order, person, said->start_ms, said->end_ms, true};
  orders[said->order].asked[person] = true;
  orders[said->order].open++;
  people[person].open++;
}

static void end_offer(uint64_t offer) {
  cr_assert(offers[offer].open, "an offer ends once");
  offers[offer].open = false;
  orders[offers[offer].order].open--;
  people[offers[offer].person].open--;
}

static void check_filled(const struct pd_slot_filled *said) {
  struct placed *o = &orders[said->order];
  const struct invited *offer = &offers[said->offer];
  int64_t start_ms = offer->start_ms;
  cr_assert(model_in_the_way(o, offer->person, said->start_ms, said->end_ms) ==
            PD_REASON_UNSPECIFIED);
  if (offer->start_ms < h.now_ms) {
    int64_t first = first_start(o), last = o->to_ms - o->minutes * PD_MINUTE_MS;
    if (first > last && h.now_ms <= last) first = last;
    cr_assert(model_time(o, offer->person, first, &start_ms) == PD_REASON_UNSPECIFIED);
  }
  cr_assert(said->start_ms == start_ms && said->end_ms == start_ms + o->minutes * PD_MINUTE_MS);
  for (uint32_t s = 1; s < said->slot; s++) cr_assert(o->slots[s].person != 0, "lowest slot first");
  cr_assert(o->slots[said->slot].person == 0, "a slot is won once");
  o->slots[said->slot] = (struct slot){offer->person, said->start_ms, said->end_ms, false};
  end_offer(said->offer);
}

/* What is accepted and cannot be booked as offered says why. */
static void check_closed(const struct pd_offer_closed *said) {
  const struct invited *offer = &offers[said->offer];
  const struct placed *o = &orders[offer->order];
  bool rule = said->reason == PD_REASON_OVERLAP || said->reason == PD_REASON_CAPACITY ||
              said->reason >= PD_REASON_HEALTH;
  if (rule && offer->start_ms >= h.now_ms)
    cr_assert(model_in_the_way(o, offer->person, offer->start_ms, offer->end_ms) == said->reason);
  if (said->reason == PD_REASON_BLOCKED)
    cr_assert(blocks[offer->person][o->requester] || blocks[o->requester][offer->person]);
  end_offer(said->offer);
}

static void check_reopened(const struct pd_slot_reopened *said) {
  struct placed *o = &orders[said->order];
  const struct slot *slot = &o->slots[said->slot];
  cr_assert(slot->person == person_of(said->volunteer) && !slot->started);
  enum pd_reason papers = model_papers(o, slot->person, slot->start_ms, slot->end_ms);
  bool of_papers = said->reason >= PD_REASON_HEALTH && said->reason <= PD_REASON_INSURANCE;
  cr_assert(!of_papers || papers == said->reason);
  o->slots[said->slot] = (struct slot){0};
}

/* Nobody is booked, or invited, who may not be. */
static void check_standing(const struct placed *o) {
  for (uint32_t s = 1; s <= o->need; s++) {
    const struct slot *slot = &o->slots[s];
    if (slot->person == 0 || slot->started) continue;
    cr_assert(model_papers(o, slot->person, slot->start_ms, slot->end_ms) == 0);
    cr_assert(!blocks[slot->person][o->requester] && !blocks[o->requester][slot->person]);
  }
}

static void hear_out(void) {
  for (; h.read < h.said.count; h.read++) {
    const struct pd_event *event = heard(h.read);
    if (event->body_case == PD_EVENT_WAVE_OPENED) check_wave(event->wave_opened, h.read);
    if (event->body_case == PD_EVENT_ORDER_UNMATCHED) check_unmatched(event->order_unmatched);
    if (event->body_case == PD_EVENT_OFFER_MADE) note_offer(event->offer_made);
    if (event->body_case == PD_EVENT_OFFER_CLOSED) check_closed(event->offer_closed);
    if (event->body_case == PD_EVENT_SLOT_FILLED) check_filled(event->slot_filled);
    if (event->body_case == PD_EVENT_SLOT_REOPENED) check_reopened(event->slot_reopened);
  }
  core_batch_end(&h);
  for (uint64_t o = 1; o <= placed_count; o++) {
    const struct placed *order = &orders[o];
    if (order->live) check_standing(order);
    if (!order->live || order->stopped || free_slots(order) == 0 || order->open > 0) continue;
    bool late = h.now_ms > order->to_ms - order->minutes * PD_MINUTE_MS;
    cr_assert(order->unmatched || late, "order %d waits for nothing", (int)o);
  }
}

/* ---- what happens ---- */

static size_t list_skills(uint32_t mask, enum pd_skill *skills) {
  size_t count = 0;
  for (uint32_t s = 1; s < 32 && count < SKILLS_MAX; s++)
    if (mask >> s & 1) skills[count++] = (enum pd_skill)s;
  return count;
}

static void register_somebody(void) {
  uint64_t person = 1 + below(PEOPLE);
  struct person *p = &people[person];
  if (p->gone || (p->known && chance(90))) return;
  struct person before = *p;
  *p = (struct person){
      .x = (int32_t)below(60) - 30, .y = (int32_t)below(60) - 30, .open = before.open};
  memcpy(p->docs, before.docs, sizeof p->docs);
  p->gender = (enum pd_gender)below(3);
  p->skills = below(16) << 1;
  p->radius_m = 300 + below(5000);
  p->max_per_week = 1 + below(4);
  p->minor = before.known ? before.minor : chance(20);
  p->vetted = before.known ? before.vetted : chance(50);
  p->emergency = chance(30);
  p->known = p->active = true;
  for (int day = 0; day < 7; day++) p->week[day] = (uint32_t)pd_rng_next(&rng) | 0x3f00;
  if (chance(50)) p->week[below(7)] = 0;
  struct a_volunteer as = {.east = p->x, .north = p->y, .radius_m = p->radius_m};
  as.max_per_week = p->max_per_week;
  as.week = p->week;
  as.age = p->minor ? PD_AGE_BAND_14_17 : PD_AGE_BAND_60_69;
  as.vetted = p->vetted;
  as.emergency = p->emergency;
  as.gender = p->gender;
  list_skills(p->skills, as.skills);
  p->x += 118050;
  p->y += 36640;
  given_volunteer(person, as);
}

static void place_an_order(void) {
  if (placed_count == ORDERS) return;
  uint64_t id = ++placed_count;
  uint32_t now_min = (uint32_t)((h.now_ms - CORE_START_MS) / PD_MINUTE_MS);
  struct an_order as = {.east = (int32_t)below(60) - 30, .north = (int32_t)below(60) - 30};
  as.requester = 1 + below(2 * PEOPLE);
  as.need = chance(70) ? 1 : 1 + below(SLOTS);
  as.minutes = 5 + below(180);
  as.start_min = 1 + now_min + below(chance(30) ? 60 : 3000);
  as.end_min = as.start_min + as.minutes + below(chance(70) ? 600 : 6000);
  as.urgency = (enum pd_urgency)(1 + below(4));
  as.sensitive = chance(20);
  as.dangerous = chance(15);
  as.gender = chance(10) ? (enum pd_gender)(1 + below(2)) : PD_GENDER_UNSPECIFIED;
  as.demand = chance(20) ? (enum pd_demand)(1 + below(3)) : PD_DEMAND_UNSPECIFIED;
  uint32_t skills = chance(60) ? 0 : 2u << below(4);
  list_skills(skills, as.skills);
  orders[id] = (struct placed){.x = 118050 + as.east,
                               .y = 36640 + as.north,
                               .skills = skills,
                               .need = as.need,
                               .minutes = as.minutes,
                               .from_ms = AT(as.start_min),
                               .to_ms = AT(as.end_min),
                               .requester = as.requester,
                               .emergency = as.urgency == PD_URGENCY_EMERGENCY,
                               .sensitive = as.sensitive,
                               .dangerous = as.dangerous,
                               .gender = as.gender,
                               .demand = as.demand,
                               .live = true};
  when_placed(id, as);
}

static void somebody_comes_or_goes(void) {
  uint64_t person = 1 + below(PEOPLE);
  struct person *p = &people[person];
  if (!p->known || p->gone) return;
  if (!p->active) {
    p->active = true;
    when_resumed(person);
  } else if (chance(90)) {
    p->active = false;
    when_paused(person);
  } else {
    p->active = false;
    p->gone = true;
    if (chance(50)) when_erased(person);
    else when_exited(person);
  }
}

/* A paper of somebody's is recorded, renewed or withdrawn. */
static void a_paper(void) {
  static const struct {
    enum pd_credential_kind kind;
    enum pd_skill skill;
  } as[DOCS] = {{PD_CREDENTIAL_KIND_INSURANCE, 0},
                {PD_CREDENTIAL_KIND_GUARDIAN_CONSENT, 0},
                {PD_CREDENTIAL_KIND_AUTOMATED_MATCHING, 0},
                {PD_CREDENTIAL_KIND_HEALTH, 0},
                {PD_CREDENTIAL_KIND_QUALIFICATION, PD_SKILL_COMPANION},
                {PD_CREDENTIAL_KIND_QUALIFICATION, PD_SKILL_LIFTING}};
  uint64_t person = 1 + below(PEOPLE);
  enum doc_kind kind = (enum doc_kind)below(DOCS);
  if (!people[person].known || people[person].gone) return;
  if (!people[person].docs[kind].there && paper_count++ >= pd_limits_small.credentials) return;
  uint32_t now_min = (uint32_t)((h.now_ms - CORE_START_MS) / PD_MINUTE_MS);
  uint32_t from = 1 + now_min + below(2000) - (now_min > 1000 ? 1000 : 0);
  uint32_t until = chance(20) ? 0 : from + 1 + below(20000);
  enum pd_demand demand = (enum pd_demand)(1 + below(3));
  people[person].docs[kind] = (struct doc){.there = true,
                                           .from_ms = AT(from),
                                           .until_ms = until != 0 ? AT(until) : 0,
                                           .limits = 1u << demand};
  if (kind == HEALTH)
    given_limit(person, demand, from, until);
  else if (kind >= OF_COMPANION)
    given_qualification(person, as[kind].skill, from, until);
  else
    given_paper(person, as[kind].kind, from, until);
}

static void a_block(void) {
  uint64_t person = 1 + below(2 * PEOPLE), other = 1 + below(PEOPLE);
  bool lifted = blocks[person][other];
  bool known = people[other].known && (person > PEOPLE || people[person].known);
  if (!known || person == other || (!lifted && block_count == pd_limits_small.blocks)) return;
  if (chance(50) && !blocks[other][person] && !lifted) {
    uint64_t swap = person;
    person = other;
    other = swap;
  }
  blocks[person][other] = !lifted;
  block_count += lifted ? UINT32_MAX : 1;
  when_blocked(person, other, lifted);
}

static void somebody_answers(void) {
  uint64_t start = below(OFFERS);
  for (uint64_t i = 0; i < OFFERS; i++) {
    const struct invited *offer = &offers[(start + i) % OFFERS];
    if (!offer->open) continue;
    when_answered(offer->order, offer->person, chance(60));
    return;
  }
}

static void somebody_drops_out(uint64_t id) {
  struct placed *o = &orders[id];
  uint32_t s = 1 + below(o->need);
  if (o->slots[s].person == 0 || o->slots[s].started) return;
  if (chance(50)) when_withdrew(id, s, o->slots[s].person);
  else when_no_show(id, s, o->slots[s].person);
}

static void close_order(uint64_t id) {
  struct placed *o = &orders[id];
  o->stopped = true;
  for (uint32_t s = 1; s <= o->need; s++) {
    if (o->slots[s].started)
      services[service_count++] =
          (struct service){o->slots[s].person, o->slots[s].start_ms, o->slots[s].end_ms};
    o->slots[s] = (struct slot){0};
  }
  when_closed(id, PD_ORDER_STATE_COMPLETED);
  hear_out();
  o->live = false;
}

/* What scheduling and intake would do about an order as time goes by. */
static void time_for(uint64_t id) {
  struct placed *o = &orders[id];
  int64_t latest_ms = o->to_ms - o->minutes * PD_MINUTE_MS;
  for (uint32_t s = 1; s <= o->need; s++) {
    struct slot *slot = &o->slots[s];
    if (slot->person == 0 || slot->started || h.now_ms < slot->start_ms || chance(80)) continue;
    slot->started = true;
    when_started(id, s, slot->person);
  }
  if (!o->stopped && h.now_ms > latest_ms) {
    o->stopped = true;
    when_expired(id, PD_ORDER_STAGE_STAFFING);
  }
  if (o->wave > 0 && o->open > 0 && h.now_ms >= o->expires_ms) when_wave_due(id, o->wave);
  hear_out();
  if (o->unmatched && !o->stopped && chance(10)) when_wave_due(id, o->wave + 1);
  if (chance(1)) somebody_drops_out(id);
  hear_out();
  if (h.now_ms > o->to_ms + PD_HOUR_MS || chance(1)) close_order(id);
}

static uint32_t live_orders(void) {
  uint32_t count = 0;
  for (uint64_t o = 1; o <= placed_count; o++) count += orders[o].live;
  return count;
}

static void run(uint64_t seed) {
  static struct matching_policy policy;
  policy = matching_policy_default;
  policy.fairness_m = policy.continuity_m = policy.rare_skill_m = policy.mutual_m = 0;
  policy.fill_percent = 0;
  policy.rest_min = REST_MIN;
  policy.day_max_min = DAY_MAX_MIN;
  policy.professional = PROFESSIONAL;
  pd_rng_seed(&rng, seed);
  matching_begin_with(&policy, &pd_limits_small);
  while (placed_count < ORDERS) {
    h.now_ms += below(20) * PD_MINUTE_MS;
    if (chance(30)) register_somebody();
    hear_out();
    if (live_orders() < 40) place_an_order();
    hear_out();
    if (chance(10)) somebody_comes_or_goes();
    hear_out();
    if (chance(40)) a_paper();
    hear_out();
    if (chance(10)) a_block();
    hear_out();
    for (int i = 0; i < 2; i++) {
      if (chance(70)) somebody_answers();
      hear_out();
    }
    for (uint64_t o = 1; o <= placed_count; o++)
      if (orders[o].live) time_for(o);
  }
  cr_assert(service_count > 20, "the district is asleep: %zu services", service_count);
  matching_end();
}

Test(matching_oracle, invites_whom_a_slow_model_would_invite_seed_1) { run(1); }
Test(matching_oracle, invites_whom_a_slow_model_would_invite_seed_2) { run(2); }
Test(matching_oracle, invites_whom_a_slow_model_would_invite_seed_3) { run(3); }
Test(matching_oracle, invites_whom_a_slow_model_would_invite_seed_4) { run(4); }
