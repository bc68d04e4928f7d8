#include "tests/unit/intake_world.h"

#include <stdio.h>
#include <string.h>

struct core_harness h;
struct intake_said said;

static uint64_t counter; /* makes keys, body hashes and seqs of the tests' own */

static struct pd_sealed sealed_as(uint8_t *record, uint8_t *box) {
  struct pd_sealed sealed = PD_SEALED_INIT;
  sealed.record = (ProtobufCBinaryData){.len = 16, .data = record};
  sealed.box = (ProtobufCBinaryData){.len = 48, .data = box};
  return sealed;
}

const struct pd_reply *when_said(pd_command_kind kind, const void *body) {
  static uint8_t record[16] = {1}, box[48] = {2};
  struct pd_sealed sealed = sealed_as(record, box);
  char key[32];
  counter++;
  snprintf(key, sizeof key, "key-%llu", (unsigned long long)counter);
  struct pd_command command = PD_COMMAND_INIT;
  command.shard = CORE_SHARD;
  command.key = key;
  command.request = counter;
  if (said.actor != 0) command.actor = core_bytes(said.actor);
  command.body_case = kind;
  memcpy(&command.register_site, &body, sizeof body);
  struct pd_request request = {
      .command = &command,
      .principal = "site/uid:1000",
      .role = said.role,
      .key = core_id(said.key != 0 ? said.key : 1000000 + counter),
      .body = core_id(said.body != 0 ? said.body : 2000000 + counter),
      .fresh = core_id(said.fresh != 0 ? said.fresh : 3000000 + counter),
      .contact = &sealed,
      .place = &sealed,
      .note = &sealed,
  };
  return core_command(&h, &request);
}

const struct pd_reply *when_said_by(enum pd_role role, uint64_t actor, pd_command_kind kind,
                                    const void *body) {
  struct intake_said before = said;
  said.role = role;
  said.actor = actor;
  const struct pd_reply *reply = when_said(kind, body);
  said = before;
  return reply;
}

void given_nothing(void) {
  counter = 0;
  said = (struct intake_said){.role = PD_ROLE_SITE};
  core_start(&h, &intake_core, &pd_limits_small, NULL);
}

static void site(const char *ref, enum pd_site_level level, const char *parent, int32_t east,
                 int32_t north) {
  struct pd_point point = a_point(MID_LON + east * KM_E7, MID_LAT + north * KM_E7);
  struct pd_register_site body = a_site(ref, level, parent, &point);
  when_said(PD_COMMAND_REGISTER_SITE, &body);
  core_expect_ack(&h);
}

void given_district(void) {
  given_nothing();
  site("S0", PD_SITE_LEVEL_CENTER, "", 0, 0);
  site("S1", PD_SITE_LEVEL_INSTITUTE, "S0", 0, 1);
  site("S2", PD_SITE_LEVEL_STATION, "S1", -5, 0);
  site("S3", PD_SITE_LEVEL_STATION, "S1", 5, 0);
  site("S4", PD_SITE_LEVEL_POST, "S3", 1, 0);
  core_skip(&h);
}

void end(void) { core_stop(&h); }

struct pd_point a_point(int32_t lon_e7, int32_t lat_e7) {
  struct pd_point point = PD_POINT_INIT;
  point.datum = PD_DATUM_WGS84;
  point.lon_e7 = lon_e7;
  point.lat_e7 = lat_e7;
  return point;
}

struct pd_register_site a_site(const char *ref, enum pd_site_level level, const char *parent,
                               struct pd_point *point) {
  struct pd_register_site body = PD_REGISTER_SITE_INIT;
  body.ref = (char *)ref;
  body.level = level;
  body.parent_ref = (char *)parent;
  body.name = (char *)"西街站";
  body.point = point;
  return body;
}

struct pd_register_team a_team(const char *ref, const char *site_ref) {
  struct pd_register_team body = PD_REGISTER_TEAM_INIT;
  body.ref = (char *)ref;
  body.name = (char *)"西街文明队";
  body.branch = 2;
  body.site_ref = (char *)site_ref;
  return body;
}

static struct pd_point *the_middle(void) {
  static struct pd_point point;
  point = a_point(MID_LON, MID_LAT);
  return &point;
}

struct pd_register_volunteer a_volunteer(void) {
  static enum pd_skill skills[] = {PD_SKILL_CLEAN, PD_SKILL_DRIVING};
  static uint32_t available[7] = {0xff00, 0, 0xff00, 0, 0, 0xffff00, 0};
  struct pd_register_volunteer body = PD_REGISTER_VOLUNTEER_INIT;
  body.name = (char *)"王小明";
  body.phone = (char *)"138 0000-0001";
  body.address = (char *)"西街1号";
  body.home = the_middle();
  body.branch = 2;
  body.n_skills = 2;
  body.skills = skills;
  body.n_available = 7;
  body.available = available;
  body.radius_m = 2000;
  body.max_per_week = 3;
  body.age = PD_AGE_BAND_18_35;
  return body;
}

struct pd_register_resident a_resident(void) {
  struct pd_register_resident body = PD_REGISTER_RESIDENT_INIT;
  body.name = (char *)"李奶奶";
  body.home = the_middle();
  return body;
}

struct pd_place_order an_order(uint64_t requester, uint32_t need) {
  static enum pd_skill skills[] = {PD_SKILL_CLEAN};
  struct pd_place_order body = PD_PLACE_ORDER_INIT;
  body.requester = core_bytes(requester);
  body.kind = PD_ORDER_KIND_WISH;
  body.category = (char *)"window_cleaning";
  body.note = (char *)"擦窗";
  body.point = the_middle();
  body.n_skills = 1;
  body.skills = skills;
  body.need = need;
  body.window_start_ms = h.now_ms + PD_DAY_MS;
  body.window_end_ms = h.now_ms + PD_DAY_MS + 4 * PD_HOUR_MS;
  body.minutes = 60;
  body.urgency = PD_URGENCY_ROUTINE;
  body.channel = PD_CHANNEL_PHONE;
  return body;
}

void given_volunteer(uint64_t person) {
  struct pd_register_volunteer body = a_volunteer();
  said.fresh = person;
  when_said(PD_COMMAND_REGISTER_VOLUNTEER, &body);
  said.fresh = 0;
  core_expect_ack(&h);
  core_skip(&h);
}

void given_resident(uint64_t person) {
  struct pd_register_resident body = a_resident();
  said.fresh = person;
  when_said(PD_COMMAND_REGISTER_RESIDENT, &body);
  said.fresh = 0;
  core_expect_ack(&h);
  core_skip(&h);
}

uint64_t given_order(uint64_t requester, uint32_t need) {
  struct pd_place_order body = an_order(requester, need);
  when_said(PD_COMMAND_PLACE_ORDER, &body);
  uint64_t order = core_expect_ack(&h)->id;
  core_skip(&h);
  return order;
}

void when_offered(uint64_t offer, uint64_t order, uint64_t volunteer) {
  struct pd_offer_made body = PD_OFFER_MADE_INIT;
  body.offer = offer;
  body.order = order;
  body.wave = 1;
  body.volunteer = core_bytes(volunteer);
  core_hear(&h, PD_LOG_MATCHING, PD_EVENT_OFFER_MADE, &body);
}

void when_offer_closed(uint64_t offer, uint64_t order, uint64_t volunteer) {
  struct pd_offer_closed body = PD_OFFER_CLOSED_INIT;
  body.offer = offer;
  body.order = order;
  body.volunteer = core_bytes(volunteer);
  body.reason = PD_REASON_FILLED;
  core_hear(&h, PD_LOG_MATCHING, PD_EVENT_OFFER_CLOSED, &body);
}

void when_filled(uint64_t order, uint32_t slot, uint64_t volunteer) {
  struct pd_slot_filled body = PD_SLOT_FILLED_INIT;
  body.order = order;
  body.slot = slot;
  body.volunteer = core_bytes(volunteer);
  body.start_ms = h.now_ms + PD_DAY_MS;
  body.end_ms = h.now_ms + PD_DAY_MS + PD_HOUR_MS;
  core_hear(&h, PD_LOG_MATCHING, PD_EVENT_SLOT_FILLED, &body);
}

void when_reopened(uint64_t order, uint32_t slot, uint64_t volunteer, enum pd_reason reason) {
  struct pd_slot_reopened body = PD_SLOT_REOPENED_INIT;
  body.order = order;
  body.slot = slot;
  body.volunteer = core_bytes(volunteer);
  body.reason = reason;
  core_hear(&h, PD_LOG_MATCHING, PD_EVENT_SLOT_REOPENED, &body);
}

void when_expired(uint64_t order, enum pd_order_stage stage) {
  struct pd_order_expired body = PD_ORDER_EXPIRED_INIT;
  body.order = order;
  body.stage = stage;
  core_hear(&h, PD_LOG_SCHEDULING, PD_EVENT_ORDER_EXPIRED, &body);
}

void when_cancelled(uint64_t order) {
  struct pd_cancel_order body = PD_CANCEL_ORDER_INIT;
  body.order = order;
  when_said(PD_COMMAND_CANCEL_ORDER, &body);
}

void when_answered(uint64_t offer, uint64_t volunteer, bool accept) {
  struct pd_answer_offer body = PD_ANSWER_OFFER_INIT;
  body.offer = offer;
  body.accept = accept;
  when_said_by(PD_ROLE_VOLUNTEER, volunteer, PD_COMMAND_ANSWER_OFFER, &body);
}

void when_withdrawn(uint64_t order, uint32_t slot) {
  struct pd_withdraw body = PD_WITHDRAW_INIT;
  body.order = order;
  body.slot = slot;
  when_said(PD_COMMAND_WITHDRAW, &body);
}

void when_started(uint64_t order, uint32_t slot) {
  struct pd_start_service body = PD_START_SERVICE_INIT;
  body.order = order;
  body.slot = slot;
  when_said(PD_COMMAND_START_SERVICE, &body);
}

void when_finished(uint64_t order, uint32_t slot) {
  struct pd_finish_service body = PD_FINISH_SERVICE_INIT;
  body.order = order;
  body.slot = slot;
  when_said(PD_COMMAND_FINISH_SERVICE, &body);
}

void when_confirmed(uint64_t order, uint32_t slot, uint32_t minutes) {
  struct pd_confirm_service body = PD_CONFIRM_SERVICE_INIT;
  body.order = order;
  body.slot = slot;
  body.minutes = minutes;
  when_said(PD_COMMAND_CONFIRM_SERVICE, &body);
}

void when_rated(uint64_t order, uint64_t requester, uint32_t stars) {
  struct pd_rate_order body = PD_RATE_ORDER_INIT;
  body.order = order;
  body.stars = stars;
  when_said_by(PD_ROLE_RESIDENT, requester, PD_COMMAND_RATE_ORDER, &body);
}

void expect_closed(uint64_t order, enum pd_order_state state) {
  const struct pd_event *event = core_expect(&h, PD_EVENT_ORDER_CLOSED);
  cr_assert_eq(event->order_closed->order, order);
  cr_assert_eq(event->order_closed->state, state);
}

void expect_refused(enum pd_code code, const char *field) {
  const struct pd_refusal *refusal = core_expect_refusal(&h, code, field);
  cr_assert(refusal->rule[0] != 0 && refusal->next[0] != 0 && refusal->zh[0] != 0);
  core_expect_silence(&h);
}
