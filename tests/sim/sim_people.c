/* The district: its sites, teams, volunteers and residents come one after the other, and orders
 * follow.  Many things that are said make no sense, on purpose. */
#include "tests/sim/sim_people.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int32_t near(struct sim *sim, int32_t middle, int32_t km) {
  return (int32_t)(middle + sim_between(&sim->wish, -km * SIM_KM, km * SIM_KM));
}

static struct pd_point a_place(struct sim *sim, int32_t km) {
  struct pd_point point = PD_POINT_INIT;
  point.datum = sim_odds(&sim->wish, 5) ? PD_DATUM_GCJ02 : PD_DATUM_WGS84;
  point.lon_e7 = near(sim, SIM_LON, km);
  point.lat_e7 = near(sim, SIM_LAT, km);
  if (sim_odds(&sim->wish, 60)) point.lat_e7 += 20 * SIM_KM; /* another district */
  if (sim_odds(&sim->wish, 90)) point.datum = PD_DATUM_UNSPECIFIED;
  if (sim_odds(&sim->wish, 120)) point.lon_e7 = INT32_MAX;
  return point;
}

const struct sim_person *sim_person_of(const struct sim *sim, ProtobufCBinaryData bytes) {
  struct pd_id id = PD_ID(bytes);
  for (size_t i = 0; i < sim->people->person_count; i++)
    if (pd_id_equal(&sim->people->persons[i].id, &id)) return &sim->people->persons[i];
  return NULL;
}

const struct sim_person *sim_anybody(struct sim *sim) {
  const struct sim_people *people = sim->people;
  if (people->person_count == 0) return NULL;
  return &people->persons[pd_rng_below(&sim->wish, people->person_count)];
}

struct sim_order *sim_order_of(const struct sim *sim, uint64_t number) {
  if (number == 0 || number > sim->people->order_count) return NULL;
  struct sim_order *order = &sim->people->orders[number - 1];
  return order->number == number ? order : NULL;
}

struct sim_said sim_by_site(struct sim *sim) {
  return (struct sim_said){.role = sim_odds(&sim->wish, 12) ? PD_ROLE_OPS : PD_ROLE_SITE,
                           .uid = 500 + (uint32_t)pd_rng_below(&sim->wish, 3)};
}

/* ---- saying ---- */

/* The same key for something else: to be refused once the first is granted. */
static void reuse_key(struct sim *sim, uint32_t command, const struct sim_said *said) {
  struct sim_said again = *said;
  again.of = command + 1;
  again.tries = 3;
  again.then = NULL;
  struct pd_decide_hold body = PD_DECIDE_HOLD_INIT;
  body.hold = 1 + pd_rng_below(&sim->wish, 1000);
  sim_say(sim, &again, PD_COMMAND_DECIDE_HOLD, &body);
}

void sim_act(struct sim *sim, const struct sim_said *said, pd_command_kind kind, const void *body) {
  uint32_t command = sim_say(sim, said, kind, body);
  if (sim_odds(&sim->wish, 40)) reuse_key(sim, command, said);
}

/* ---- the registry ---- */

static void say_site(struct sim *sim, uint32_t number) {
  static const enum pd_site_level levels[8] = {PD_SITE_LEVEL_CENTER,    PD_SITE_LEVEL_INSTITUTE,
                                               PD_SITE_LEVEL_INSTITUTE, PD_SITE_LEVEL_STATION,
                                               PD_SITE_LEVEL_STATION,   PD_SITE_LEVEL_STATION,
                                               PD_SITE_LEVEL_STATION,   PD_SITE_LEVEL_POST};
  static const uint32_t parents[8] = {0, 1, 1, 2, 2, 3, 1, 4};
  char ref[16], parent[16] = "";
  struct pd_register_site body = PD_REGISTER_SITE_INIT;
  struct pd_point point = a_place(sim, 4);
  if (number == 0) point.datum = PD_DATUM_WGS84;
  body.level = levels[number % 8];
  snprintf(ref, sizeof ref, "S%u", number + 1);
  if (parents[number % 8] > 0) snprintf(parent, sizeof parent, "S%u", parents[number % 8]);
  if (sim_odds(&sim->wish, 30)) snprintf(parent, sizeof parent, "nowhere");
  body.ref = ref;
  body.parent_ref = parent;
  body.name = (char *)(sim_odds(&sim->wish, 40) ? "" : "西街站");
  body.code = (char *)(sim_odds(&sim->wish, 40) ? "110101001001" : "");
  body.point = &point;
  struct sim_said said = sim_by_site(sim);
  sim_act(sim, &said, PD_COMMAND_REGISTER_SITE, &body);
}

static void say_team(struct sim *sim, uint32_t number) {
  char ref[16], site[16];
  struct pd_register_team body = PD_REGISTER_TEAM_INIT;
  snprintf(ref, sizeof ref, "T%u", number);
  snprintf(site, sizeof site, "S%llu", (unsigned long long)(1 + pd_rng_below(&sim->wish, 9)));
  body.ref = ref;
  body.name = (char *)"文明队";
  body.branch = (uint32_t)pd_rng_below(&sim->wish, 12);
  body.site_ref = site;
  struct sim_said said = sim_by_site(sim);
  sim_act(sim, &said, PD_COMMAND_REGISTER_TEAM, &body);
}

static size_t some_skills(struct sim *sim, enum pd_skill *skills, size_t most) {
  size_t count = (size_t)pd_rng_below(&sim->wish, most + 1);
  for (size_t i = 0; i < count; i++) {
    skills[i] = (enum pd_skill)sim_between(&sim->wish, PD_SKILL_CLEAN, PD_SKILL_TUTORING);
    if (sim_odds(&sim->wish, 12)) skills[i] = PD_SKILL_RESCUE;
    if (sim_odds(&sim->wish, 6)) skills[i] = PD_SKILL_NURSING;
    for (size_t j = 0; j < i; j++)
      if (skills[j] == skills[i] && !sim_odds(&sim->wish, 8)) return i;
  }
  return count;
}

static size_t some_demands(struct sim *sim, enum pd_demand *demands) {
  size_t count = sim_odds(&sim->wish, 4) ? (size_t)sim_between(&sim->wish, 1, 2) : 0;
  for (size_t i = 0; i < count; i++)
    demands[i] = (enum pd_demand)sim_between(&sim->wish, sim_odds(&sim->wish, 40) ? 0 : 1, 4);
  return count;
}
/* In some districts many can help with anything, and orders come several at once: whom to choose is
 * the question there. */
static bool crowded(const struct sim *sim) { return sim->options.seed % 4 == 3; }

static void some_hours(struct sim *sim, uint32_t *days) {
  bool always = crowded(sim) || sim_odds(&sim->wish, 2);
  for (int day = 0; day < 7; day++) {
    unsigned from = (unsigned)pd_rng_below(&sim->wish, 12);
    days[day] = always ? 0xffffff : (0xfffu << from & 0xffffff);
    if (!always && sim_odds(&sim->wish, 5)) days[day] = 0;
  }
}

/* Of a minor mostly the guardian's consent. */
static void some_papers(struct sim *sim, struct pd_register_volunteer *body) {
  if (sim_odds(&sim->wish, 20)) body->age = PD_AGE_BAND_UNDER_14;
  bool minor = body->age == PD_AGE_BAND_14_17 || body->age == PD_AGE_BAND_UNDER_14;
  if (minor ? !sim_odds(&sim->wish, 3) : sim_odds(&sim->wish, 60))
    body->guardian_until_ms = sim_wall(sim) + sim_between(&sim->wish, 0, 10) * PD_DAY_MS;
  body->gender = (enum pd_gender)sim_between(&sim->wish, 0, sim_odds(&sim->wish, 60) ? 3 : 2);
}

static void say_volunteer(struct sim *sim) {
  enum pd_skill skills[8];
  uint32_t days[7];
  some_hours(sim, days);
  struct pd_point home = a_place(sim, 5);
  struct pd_register_volunteer body = PD_REGISTER_VOLUNTEER_INIT;
  body.name = (char *)(sim_odds(&sim->wish, 80) ? "" : "王小明");
  body.phone = (char *)(sim_odds(&sim->wish, 80) ? "call me" : "138 0000-0001");
  body.address = (char *)"西街1号";
  body.home = &home;
  body.branch = (uint32_t)pd_rng_below(&sim->wish, 11);
  body.n_skills = some_skills(sim, skills, 6);
  body.skills = skills;
  body.n_available = sim_odds(&sim->wish, 60) ? 6 : 7;
  body.available = days;
  body.radius_m = (uint32_t)sim_between(&sim->wish, sim_odds(&sim->wish, 6) ? 0 : 3000, 15000);
  body.max_per_week = (uint32_t)sim_between(&sim->wish, 1, 6);
  body.age = (enum pd_age_band)sim_between(&sim->wish, sim_odds(&sim->wish, 60) ? 0 : 1, 5);
  body.vetted = sim_odds(&sim->wish, 3);
  enum pd_demand limits[2];
  some_papers(sim, &body);
  body.n_limits = some_demands(sim, limits);
  body.limits = limits;
  body.emergency = sim_odds(&sim->wish, 3);
  struct sim_said said = sim_by_site(sim);
  if (sim_odds(&sim->wish, 5)) said.role = PD_ROLE_VOLUNTEER;
  if (sim_odds(&sim->wish, 60)) said.role = PD_ROLE_RESIDENT;
  sim_act(sim, &said, PD_COMMAND_REGISTER_VOLUNTEER, &body);
}

static void say_resident(struct sim *sim) {
  struct pd_register_resident body = PD_REGISTER_RESIDENT_INIT;
  struct pd_point home = a_place(sim, 5);
  body.name = (char *)(sim_odds(&sim->wish, 50) ? "bad \xff name" : "李大妈");
  body.phone = (char *)"";
  body.address = (char *)"东街2号";
  if (sim_odds(&sim->wish, 2)) body.home = &home;
  struct sim_said said = sim_by_site(sim);
  if (sim_odds(&sim->wish, 3)) said.role = PD_ROLE_RESIDENT;
  sim_act(sim, &said, PD_COMMAND_REGISTER_RESIDENT, &body);
}

void sim_say_credential(struct sim *sim, const struct sim_person *person) {
  enum pd_demand limits[2];
  struct pd_id id = person->id;
  struct pd_record_credential body = PD_RECORD_CREDENTIAL_INIT;
  body.person = pd_bytes(&id);
  body.kind =
      (enum pd_credential_kind)sim_between(&sim->wish, sim_odds(&sim->wish, 40) ? 0 : 1, 5);
  bool of_skill = body.kind == PD_CREDENTIAL_KIND_QUALIFICATION;
  if (of_skill != sim_odds(&sim->wish, 40)) body.skill = PD_SKILL_NURSING;
  body.from_ms = sim_wall(sim) + sim_between(&sim->wish, -3000, 1500) * PD_MINUTE_MS;
  body.until_ms = body.from_ms + sim_between(&sim->wish, 0, 6000) * PD_MINUTE_MS;
  if (sim_odds(&sim->wish, 5)) body.until_ms = 0;
  if (body.kind == PD_CREDENTIAL_KIND_HEALTH) body.n_limits = some_demands(sim, limits);
  body.limits = limits;
  struct sim_said said = sim_by_site(sim);
  if (sim_odds(&sim->wish, 5))
    said = (struct sim_said){.role = PD_ROLE_VOLUNTEER, .uid = person->uid, .actor = id};
  sim_act(sim, &said, PD_COMMAND_RECORD_CREDENTIAL, &body);
}

void sim_say_block(struct sim *sim, const struct sim_person *person,
                   const struct sim_person *other) {
  struct pd_id id = person->id, of = other->id;
  struct pd_block_pair body = PD_BLOCK_PAIR_INIT;
  body.person = pd_bytes(&id);
  body.other = pd_bytes(&of);
  body.lift = sim_odds(&sim->wish, 3);
  struct sim_said said = sim_by_site(sim);
  if (sim_odds(&sim->wish, 2)) {
    enum pd_role role = person->volunteer ? PD_ROLE_VOLUNTEER : PD_ROLE_RESIDENT;
    said = (struct sim_said){.role = role, .uid = person->uid, .actor = id};
  }
  sim_act(sim, &said, PD_COMMAND_BLOCK_PAIR, &body);
}

static void say_joined(struct sim *sim) {
  const struct sim_person *person = sim_anybody(sim);
  if (person == NULL) return;
  char ref[16];
  struct pd_id id = person->id;
  struct pd_join_team body = PD_JOIN_TEAM_INIT;
  snprintf(ref, sizeof ref, "T%llu", (unsigned long long)pd_rng_below(&sim->wish, 8));
  body.team_ref = ref;
  body.person = pd_bytes(&id);
  struct sim_said said = sim_by_site(sim);
  sim_act(sim, &said, PD_COMMAND_JOIN_TEAM, &body);
}

/* ---- orders ---- */

static void some_window(struct sim *sim, struct pd_place_order *body) {
  int64_t now = sim_wall(sim), from = now + sim_between(&sim->wish, -60, 48 * 60) * PD_MINUTE_MS;
  int64_t length = sim_between(&sim->wish, 30, 24 * 60) * PD_MINUTE_MS;
  if (sim_odds(&sim->wish, 20)) length = sim_between(&sim->wish, -5, 30) * PD_MINUTE_MS;
  if (sim_odds(&sim->wish, 40)) from = now - 10 * PD_DAY_MS;
  if (sim_odds(&sim->wish, 60)) from = now + sim_between(&sim->wish, 20, 60) * PD_DAY_MS;
  if (sim_odds(&sim->wish, 80)) from = now + 500 * PD_DAY_MS;
  if (sim_odds(&sim->wish, 80)) from = INT64_MIN / 2;
  if (sim_odds(&sim->wish, 3)) from -= from % PD_HOUR_MS;
  body->window_start_ms = from;
  body->window_end_ms = from + length;
}

static void some_wish(struct sim *sim, struct pd_place_order *body) {
  some_window(sim, body);
  body->kind = (enum pd_order_kind)sim_between(&sim->wish, sim_odds(&sim->wish, 60) ? 0 : 1,
                                               sim_odds(&sim->wish, 4) ? 7 : 6);
  body->category = (char *)(sim_odds(&sim->wish, 60) ? "Not A Word" : "cleaning_1");
  body->note = (char *)"帮忙打扫";
  body->address = (char *)"北街3号";
  body->need = sim_odds(&sim->wish, 3) ? (uint32_t)sim_between(&sim->wish, 2, 8) : 1;
  if (sim_odds(&sim->wish, 50)) body->need = (uint32_t)pd_rng_below(&sim->wish, 2) * 70;
  body->minutes = (uint32_t)sim_between(&sim->wish, 5, 180);
  if (sim_odds(&sim->wish, 50)) body->minutes = (uint32_t)pd_rng_below(&sim->wish, 3000);
  body->urgency = (enum pd_urgency)sim_between(&sim->wish, sim_odds(&sim->wish, 60) ? 0 : 1, 4);
  body->channel = (enum pd_channel)sim_between(&sim->wish, sim_odds(&sim->wish, 60) ? 0 : 1, 5);
  body->sensitive = sim_odds(&sim->wish, 12);
  body->dangerous = sim_odds(&sim->wish, 8);
  if (sim_odds(&sim->wish, 60)) body->gender = (enum pd_gender)sim_between(&sim->wish, 1, 3);
}

void sim_place(struct sim *sim) {
  const struct sim_person *requester = sim_anybody(sim);
  if (requester == NULL) return;
  enum pd_skill skills[9];
  struct pd_id id = requester->id;
  struct pd_place_order body = PD_PLACE_ORDER_INIT;
  struct pd_point point = a_place(sim, 5);
  body.requester = pd_bytes(&id);
  body.point = sim_odds(&sim->wish, 90) ? NULL : &point;
  if (sim_odds(&sim->wish, 3)) body.n_skills = some_skills(sim, skills, 3);
  body.skills = skills;
  some_wish(sim, &body);
  enum pd_demand demands[2];
  body.n_demands = some_demands(sim, demands);
  body.demands = demands;
  if (crowded(sim)) {
    body.n_skills = 0;
    body.need = 1;
  }
  struct sim_said said = sim_by_site(sim);
  if (sim_odds(&sim->wish, 2)) {
    said = (struct sim_said){.role = PD_ROLE_RESIDENT, .uid = requester->uid, .actor = id};
    if (sim_odds(&sim->wish, 30)) said.actor.bytes[3] ^= 1; /* somebody else */
  }
  sim_act(sim, &said, PD_COMMAND_PLACE_ORDER, &body);
}

/* ---- the days ---- */

static void registry(struct sim *sim, const struct sim_occurrence *now) {
  if (now->b == 0)
    say_site(sim, (uint32_t)now->a);
  else if (now->b == 1)
    say_team(sim, (uint32_t)now->a);
  else if (now->b == 2)
    say_volunteer(sim);
  else if (now->b == 3)
    say_resident(sim);
  else
    say_joined(sim);
}

static void on_record(struct sim *sim, const struct sim_occurrence *now) {
  const struct sim_person *person = sim_anybody(sim), *other = sim_anybody(sim);
  if (sim->healing || person == NULL) return;
  if (now->b == 5)
    sim_say_credential(sim, person);
  else
    sim_say_block(sim, person, other);
}

static void an_order(struct sim *sim, const struct sim_occurrence *now) {
  (void)now;
  if (sim->healing) return;
  sim->stats.orders++;
  sim_place(sim);
  for (uint64_t more = crowded(sim) ? pd_rng_below(&sim->wish, 4) : 0; more > 0; more--)
    sim_place(sim);
  if (sim_odds(&sim->wish, 6)) sim_nonsense(sim);
}

static void many(struct sim *sim, uint64_t kind, uint32_t count, int64_t from_us, int64_t to_us) {
  for (uint32_t i = 0; i < count; i++) {
    struct sim_occurrence *next = sim_later(sim, from_us + (to_us - from_us) * i / count,
                                            kind < 5 ? registry : on_record);
    next->a = i;
    next->b = kind;
  }
}

void sim_people_init(struct sim *sim) {
  sim->people = calloc(1, sizeof *sim->people);
  pd_assert(sim->people != NULL);
  if (sim->options.story) return;
  many(sim, 0, 9, SIM_SECOND, 2 * SIM_MINUTE);
  many(sim, 1, 6, 2 * SIM_MINUTE, 3 * SIM_MINUTE);
  many(sim, 2, (uint32_t)sim_between(&sim->wish, 12, 60), 3 * SIM_MINUTE, 8 * SIM_MINUTE);
  many(sim, 3, (uint32_t)sim_between(&sim->wish, 4, 16), 3 * SIM_MINUTE, 8 * SIM_MINUTE);
  many(sim, 4, 12, 8 * SIM_MINUTE, 10 * SIM_MINUTE);
  many(sim, 2, 5, 10 * SIM_MINUTE, 24 * 60 * SIM_MINUTE);
  int64_t days = sim_between(&sim->wish, 4 * 60, 36 * 60) * SIM_MINUTE;
  many(sim, 5, (uint32_t)sim_between(&sim->wish, 20, 120), 8 * SIM_MINUTE, days);
  many(sim, 6, (uint32_t)sim_between(&sim->wish, 0, 30), 8 * SIM_MINUTE, days);
  for (uint32_t i = 0; i < sim->options.orders; i++)
    sim_later(sim, 10 * SIM_MINUTE + sim_between(&sim->wish, 0, days), an_order);
}

void sim_people_free(struct sim *sim) {
  if (sim->people == NULL) return;
  free(sim->people->persons);
  free(sim->people->orders);
  free(sim->people);
}

/* ---- what they hear ---- */

static void new_person(struct sim *sim, ProtobufCBinaryData id, bool volunteer) {
  struct sim_people *people = sim->people;
  people->persons = sim_grow(people->persons, people->person_count, &people->person_room,
                             sizeof *people->persons);
  people->persons[people->person_count] = (struct sim_person){
      .id = PD_ID(id), .uid = 1000 + (uint32_t)people->person_count, .volunteer = volunteer};
  people->person_count++;
}

static void new_order(struct sim *sim, const struct pd_order_placed *body) {
  struct sim_people *people = sim->people;
  const struct sim_person *requester = sim_person_of(sim, body->requester);
  while (people->order_count < body->order) {
    people->orders =
        sim_grow(people->orders, people->order_count, &people->order_room, sizeof *people->orders);
    people->orders[people->order_count++] = (struct sim_order){0};
  }
  people->orders[body->order - 1] = (struct sim_order){
      .number = body->order,
      .requester = requester == NULL ? 0 : (uint32_t)(requester - people->persons),
      .need = body->need,
      .minutes = body->minutes};
}

void sim_people_heard(struct sim *sim, const struct pd_event *event) {
  if (event->body_case == PD_EVENT_VOLUNTEER_REGISTERED)
    new_person(sim, event->volunteer_registered->person, true);
  if (event->body_case == PD_EVENT_RESIDENT_REGISTERED)
    new_person(sim, event->resident_registered->person, false);
  if (event->body_case == PD_EVENT_ORDER_PLACED) new_order(sim, event->order_placed);
  if (event->body_case == PD_EVENT_ORDER_CLOSED) {
    struct sim_order *order = sim_order_of(sim, event->order_closed->order);
    if (order != NULL) order->closed = true;
  }
  if (event->body_case == PD_EVENT_OFFER_MADE) sim->people->last_offer = event->offer_made->offer;
  if (event->body_case == PD_EVENT_HOLD_PLACED) sim->people->last_hold = event->hold_placed->hold;
  sim_wishes_heard(sim, event);
}
