/* Every rule of a command: broken, it is refused with its field, and nothing else happens. */
#include "services/intake/intake_refusals.h"
#include "tests/unit/intake_world.h"

#include <string.h>

#define LONG_33 "0123456789012345678901234567890123"
#define BAD_UTF8 "\xe8\xa5"

/* A string of this many bytes; valid for the next call only. */
static char *long_text(size_t length) {
  static char text[1024];
  memset(text, 'x', length);
  text[length] = 0;
  return text;
}

static void given_people(void) {
  given_district();
  given_resident(1);
  given_volunteer(11);
}

/* Change one field of a valid body and look at the refusal. */
#define REFUSED(kind, make, change, code, field) \
  do {                                           \
    make;                                        \
    change;                                      \
    when_said(PD_COMMAND_##kind, &body);         \
    expect_refused(PD_CODE_##code, field);       \
  } while (0)

Test(intake_refusals, every_refusal_has_its_words) {
  for (enum intake_refusal refusal = 0; refusal < INTAKE_REFUSALS; refusal++) {
    const struct intake_words *words = intake_words_of(refusal);
    cr_assert(words->code != PD_CODE_UNSPECIFIED, "row %d has no code", (int)refusal);
    cr_assert(words->rule != NULL && words->next != NULL && words->zh != NULL,
              "row %d has no words", (int)refusal);
    cr_assert(strstr(words->zh, "。") != NULL, "row %d has no Chinese sentence", (int)refusal);
  }
}

static void say_envelope(const char *key, uint32_t shard, size_t actor, size_t trace,
                         struct pd_position *seen) {
  static uint8_t bytes[64] = {1};
  struct pd_decide_hold body = PD_DECIDE_HOLD_INIT;
  body.hold = 1;
  struct pd_command command = PD_COMMAND_INIT;
  command.shard = shard;
  command.key = (char *)key;
  command.actor = (ProtobufCBinaryData){.len = actor, .data = bytes};
  command.trace = (ProtobufCBinaryData){.len = trace, .data = bytes};
  command.seen = seen;
  command.body_case = PD_COMMAND_DECIDE_HOLD;
  command.decide_hold = &body;
  struct pd_request request = {.command = &command,
                               .principal = "site/uid:1",
                               .role = PD_ROLE_SITE,
                               .key = core_id(500),
                               .body = core_id(501),
                               .fresh = core_id(502)};
  core_command(&h, &request);
}

Test(intake_refusals, the_envelope_is_checked_first) {
  given_nothing();
  struct pd_position points = PD_POSITION_INIT, nought = PD_POSITION_INIT;
  points.log = PD_LOG_POINTS;
  points.seq = 1;
  nought.log = PD_LOG_MATCHING;
  say_envelope("k", CORE_SHARD + 1, 0, 0, NULL);
  expect_refused(PD_CODE_WRONG_SHARD, "shard");
  say_envelope("", CORE_SHARD, 0, 0, NULL);
  expect_refused(PD_CODE_FIELD, "key");
  say_envelope(long_text(65), CORE_SHARD, 0, 0, NULL);
  expect_refused(PD_CODE_FIELD, "key");
  say_envelope(BAD_UTF8, CORE_SHARD, 0, 0, NULL);
  expect_refused(PD_CODE_MALFORMED, "key");
  say_envelope("k", CORE_SHARD, 15, 0, NULL);
  expect_refused(PD_CODE_FIELD, "actor");
  say_envelope("k", CORE_SHARD, 0, 23, NULL);
  expect_refused(PD_CODE_FIELD, "trace");
  say_envelope("k", CORE_SHARD, 0, 0, &points);
  expect_refused(PD_CODE_FIELD, "seen");
  say_envelope("k", CORE_SHARD, 0, 0, &nought);
  expect_refused(PD_CODE_FIELD, "seen");
  nought.seq = 1;
  say_envelope(long_text(64), CORE_SHARD, 16, 24, &nought);
  core_expect_ack(&h);
  end();
}

Test(intake_refusals, a_command_without_a_body_is_malformed) {
  given_nothing();
  when_said(PD_COMMAND_NOT_SET, NULL);
  expect_refused(PD_CODE_MALFORMED, "body");
  when_said((pd_command_kind)63, NULL);
  expect_refused(PD_CODE_MALFORMED, "body");
  end();
}

/* Which doors may say a command; the table of command.proto written once more, by hand. */
static void expect_doors(pd_command_kind kind, const void *body, unsigned doors, const char *name) {
  for (unsigned role = PD_ROLE_RESIDENT; role <= PD_ROLE_SOURCE; role *= 2) {
    const struct pd_reply *reply = when_said_by((enum pd_role)role, 0, kind, body);
    bool closed =
        reply->result_case == PD_REPLY_REFUSAL && reply->refusal->code == PD_CODE_NOT_ALLOWED;
    cr_assert_eq(closed, (doors & role) == 0, "%s at door %u", name, role);
    if (closed) cr_assert_str_eq(reply->refusal->field, name);
  }
}

Test(intake_refusals, each_command_has_its_doors) {
  given_nothing();
  enum { R = PD_ROLE_RESIDENT, V = PD_ROLE_VOLUNTEER, S = PD_ROLE_SITE, O = PD_ROLE_OPS };
  struct pd_register_site site = PD_REGISTER_SITE_INIT;
  struct pd_register_team team = PD_REGISTER_TEAM_INIT;
  struct pd_join_team join = PD_JOIN_TEAM_INIT;
  struct pd_register_volunteer volunteer = PD_REGISTER_VOLUNTEER_INIT;
  struct pd_pause_volunteer pause = PD_PAUSE_VOLUNTEER_INIT;
  struct pd_resume_volunteer resume = PD_RESUME_VOLUNTEER_INIT;
  struct pd_exit_volunteer leave = PD_EXIT_VOLUNTEER_INIT;
  struct pd_register_resident resident = PD_REGISTER_RESIDENT_INIT;
  struct pd_erase_person erase = PD_ERASE_PERSON_INIT;
  struct pd_place_order place = PD_PLACE_ORDER_INIT;
  struct pd_cancel_order cancel = PD_CANCEL_ORDER_INIT;
  struct pd_answer_offer answer = PD_ANSWER_OFFER_INIT;
  struct pd_withdraw withdraw = PD_WITHDRAW_INIT;
  struct pd_start_service start = PD_START_SERVICE_INIT;
  struct pd_finish_service finish = PD_FINISH_SERVICE_INIT;
  struct pd_confirm_service confirm = PD_CONFIRM_SERVICE_INIT;
  struct pd_rate_order rate = PD_RATE_ORDER_INIT;
  struct pd_decide_hold hold = PD_DECIDE_HOLD_INIT;
  struct pd_publish_external publish = PD_PUBLISH_EXTERNAL_INIT;
  struct pd_record_credential record = PD_RECORD_CREDENTIAL_INIT;
  struct pd_block_pair block = PD_BLOCK_PAIR_INIT;
  expect_doors(PD_COMMAND_REGISTER_SITE, &site, S | O, "register_site");
  expect_doors(PD_COMMAND_REGISTER_TEAM, &team, S | O, "register_team");
  expect_doors(PD_COMMAND_JOIN_TEAM, &join, S | V | O, "join_team");
  expect_doors(PD_COMMAND_REGISTER_VOLUNTEER, &volunteer, S | V | O, "register_volunteer");
  expect_doors(PD_COMMAND_PAUSE_VOLUNTEER, &pause, S | V | O, "pause_volunteer");
  expect_doors(PD_COMMAND_RESUME_VOLUNTEER, &resume, S | V | O, "resume_volunteer");
  expect_doors(PD_COMMAND_EXIT_VOLUNTEER, &leave, S | V | O, "exit_volunteer");
  expect_doors(PD_COMMAND_REGISTER_RESIDENT, &resident, S | R | O, "register_resident");
  expect_doors(PD_COMMAND_ERASE_PERSON, &erase, S | O, "erase_person");
  expect_doors(PD_COMMAND_RECORD_CREDENTIAL, &record, S | V | O, "record_credential");
  expect_doors(PD_COMMAND_BLOCK_PAIR, &block, R | S | V | O, "block_pair");
  expect_doors(PD_COMMAND_PLACE_ORDER, &place, S | R | O, "place_order");
  expect_doors(PD_COMMAND_CANCEL_ORDER, &cancel, S | R | O, "cancel_order");
  expect_doors(PD_COMMAND_ANSWER_OFFER, &answer, V | O, "answer_offer");
  expect_doors(PD_COMMAND_WITHDRAW, &withdraw, S | V | O, "withdraw");
  expect_doors(PD_COMMAND_START_SERVICE, &start, S | V | O, "start_service");
  expect_doors(PD_COMMAND_FINISH_SERVICE, &finish, S | V | O, "finish_service");
  expect_doors(PD_COMMAND_CONFIRM_SERVICE, &confirm, S | R | O, "confirm_service");
  expect_doors(PD_COMMAND_RATE_ORDER, &rate, R | O, "rate_order");
  expect_doors(PD_COMMAND_DECIDE_HOLD, &hold, S | O, "decide_hold");
  expect_doors(PD_COMMAND_PUBLISH_EXTERNAL, &publish, PD_ROLE_SOURCE | O, "publish_external");
  end();
}

Test(intake_refusals, at_their_own_door_people_speak_for_themselves_only) {
  given_people();
  given_resident(2);
  given_volunteer(12);
  uint64_t order = given_order(1, 1);
  struct pd_place_order place = an_order(1, 1);
  when_said_by(PD_ROLE_RESIDENT, 0, PD_COMMAND_PLACE_ORDER, &place);
  expect_refused(PD_CODE_FIELD, "actor");
  when_said_by(PD_ROLE_RESIDENT, 99, PD_COMMAND_PLACE_ORDER, &place);
  expect_refused(PD_CODE_UNKNOWN, "actor");
  when_said_by(PD_ROLE_RESIDENT, 2, PD_COMMAND_PLACE_ORDER, &place);
  expect_refused(PD_CODE_NOT_ALLOWED, "actor");
  struct pd_cancel_order cancel = PD_CANCEL_ORDER_INIT;
  cancel.order = order;
  when_said_by(PD_ROLE_RESIDENT, 2, PD_COMMAND_CANCEL_ORDER, &cancel);
  expect_refused(PD_CODE_NOT_ALLOWED, "actor");
  struct pd_pause_volunteer pause = PD_PAUSE_VOLUNTEER_INIT;
  pause.person = core_bytes(11);
  when_said_by(PD_ROLE_VOLUNTEER, 12, PD_COMMAND_PAUSE_VOLUNTEER, &pause);
  expect_refused(PD_CODE_NOT_ALLOWED, "actor");
  when_offered(5, order, 11);
  when_answered(5, 12, true);
  expect_refused(PD_CODE_NOT_ALLOWED, "actor");
  when_filled(order, 1, 11);
  struct pd_start_service start = PD_START_SERVICE_INIT;
  start.order = order;
  start.slot = 1;
  when_said_by(PD_ROLE_VOLUNTEER, 12, PD_COMMAND_START_SERVICE, &start);
  expect_refused(PD_CODE_NOT_ALLOWED, "actor");
  when_said_by(PD_ROLE_VOLUNTEER, 11, PD_COMMAND_START_SERVICE, &start);
  core_expect(&h, PD_EVENT_SERVICE_STARTED);
  struct pd_finish_service finish = PD_FINISH_SERVICE_INIT;
  finish.order = order;
  finish.slot = 1;
  when_said_by(PD_ROLE_VOLUNTEER, 12, PD_COMMAND_FINISH_SERVICE, &finish);
  expect_refused(PD_CODE_NOT_ALLOWED, "actor");
  when_finished(order, 1);
  core_skip(&h);
  struct pd_confirm_service confirm = PD_CONFIRM_SERVICE_INIT;
  confirm.order = order;
  when_said_by(PD_ROLE_RESIDENT, 2, PD_COMMAND_CONFIRM_SERVICE, &confirm);
  expect_refused(PD_CODE_NOT_ALLOWED, "actor");
  when_rated(order, 2, 1);
  expect_refused(PD_CODE_NOT_ALLOWED, "actor");
  end();
}

Test(intake_refusals, a_site_that_breaks_a_rule) {
  given_district();
  struct pd_point point = a_point(MID_LON, MID_LAT);
#define SITE(change, code, field)                                                           \
  REFUSED(REGISTER_SITE,                                                                    \
          struct pd_register_site body = a_site("S9", PD_SITE_LEVEL_STATION, "S1", &point); \
          point = a_point(MID_LON, MID_LAT), change, code, field)
  SITE(body.level = 0, FIELD, "register_site.level");
  SITE(body.level = 5, FIELD, "register_site.level");
  SITE((body.level = PD_SITE_LEVEL_CENTER, body.parent_ref = (char *)""), STATE,
       "register_site.level");
  SITE(body.ref = (char *)"", FIELD, "register_site.ref");
  SITE(body.ref = (char *)LONG_33, FIELD, "register_site.ref");
  SITE(body.ref = (char *)BAD_UTF8, MALFORMED, "register_site.ref");
  SITE(body.ref = (char *)"S1", FIELD, "register_site.ref");
  SITE(body.parent_ref = (char *)"", FIELD, "register_site.parent_ref");
  SITE(body.parent_ref = (char *)"S8", UNKNOWN, "register_site.parent_ref");
  SITE(body.parent_ref = (char *)"S3", FIELD, "register_site.parent_ref");
  SITE(body.parent_ref = (char *)LONG_33, FIELD, "register_site.parent_ref");
  SITE(body.level = PD_SITE_LEVEL_POST, FIELD, "register_site.parent_ref");
  SITE(body.name = (char *)"", FIELD, "register_site.name");
  SITE(body.name = long_text(193), FIELD, "register_site.name");
  SITE(body.code = (char *)"370303001000", FIELD, "register_site.code");
  SITE(body.code = (char *)"37030200100", FIELD, "register_site.code");
  SITE(body.point = NULL, FIELD, "register_site.point");
  SITE(point.datum = 0, FIELD, "register_site.point.datum");
  SITE(point.datum = 4, FIELD, "register_site.point.datum");
  SITE(point.lon_e7 = 1800000001, FIELD, "register_site.point.lon_e7");
  SITE(point.lat_e7 = -900000001, FIELD, "register_site.point.lat_e7");
  SITE(point.lat_e7 = 0, FIELD, "register_site.point");
  end();
}

Test(intake_refusals, a_centre_has_nobody_above_it) {
  given_nothing();
  struct pd_point point = a_point(MID_LON, MID_LAT);
  REFUSED(REGISTER_SITE,
          struct pd_register_site body = a_site("S0", PD_SITE_LEVEL_CENTER, "S1", &point), (void)0,
          FIELD, "register_site.parent_ref");
  end();
}

Test(intake_refusals, a_team_that_breaks_a_rule) {
  given_district();
  struct pd_register_team first = a_team("T1", "S2");
  when_said(PD_COMMAND_REGISTER_TEAM, &first);
  core_skip(&h);
#define TEAM(change, code, field) \
  REFUSED(REGISTER_TEAM, struct pd_register_team body = a_team("T2", "S2"), change, code, field)
  TEAM(body.ref = (char *)"", FIELD, "register_team.ref");
  TEAM(body.ref = (char *)LONG_33, FIELD, "register_team.ref");
  TEAM(body.ref = (char *)"T1", FIELD, "register_team.ref");
  TEAM(body.name = (char *)"", FIELD, "register_team.name");
  TEAM(body.name = long_text(193), FIELD, "register_team.name");
  TEAM(body.branch = 0, FIELD, "register_team.branch");
  TEAM(body.branch = 11, FIELD, "register_team.branch");
  TEAM(body.site_ref = (char *)"", FIELD, "register_team.site_ref");
  TEAM(body.site_ref = (char *)"S9", UNKNOWN, "register_team.site_ref");
  end();
}

static struct pd_join_team a_join(uint64_t person) {
  struct pd_join_team body = PD_JOIN_TEAM_INIT;
  body.team_ref = (char *)"T1";
  body.person = core_bytes(person);
  return body;
}

Test(intake_refusals, a_membership_that_breaks_a_rule) {
  given_people();
  struct pd_register_team team = a_team("T1", "S2");
  when_said(PD_COMMAND_REGISTER_TEAM, &team);
  core_skip(&h);
#define JOIN(person, change, code, field) \
  REFUSED(JOIN_TEAM, struct pd_join_team body = a_join(person), change, code, field)
  JOIN(11, body.team_ref = (char *)"", FIELD, "join_team.team_ref");
  JOIN(11, body.team_ref = (char *)"T2", UNKNOWN, "join_team.team_ref");
  JOIN(11, body.person.len = 15, FIELD, "join_team.person");
  JOIN(99, (void)0, UNKNOWN, "join_team.person");
  JOIN(1, (void)0, UNKNOWN, "join_team.person");
  struct pd_exit_volunteer leave = PD_EXIT_VOLUNTEER_INIT;
  leave.person = core_bytes(11);
  when_said(PD_COMMAND_EXIT_VOLUNTEER, &leave);
  core_skip(&h);
  JOIN(11, (void)0, STATE, "join_team.person");
  end();
}

Test(intake_refusals, a_volunteer_who_breaks_a_rule) {
  given_district();
  enum pd_skill unknown[] = {PD_SKILL_CLEAN, 27}, twice[] = {PD_SKILL_LAW, PD_SKILL_LAW},
                many[33] = {0};
  uint32_t wide[7] = {1u << 24};
#define VOLUNTEER(change, code, field)                                                         \
  REFUSED(REGISTER_VOLUNTEER, struct pd_register_volunteer body = a_volunteer(), change, code, \
          "register_volunteer." field)
  VOLUNTEER(body.name = (char *)"", FIELD, "name");
  VOLUNTEER(body.name = long_text(97), FIELD, "name");
  VOLUNTEER(body.name = (char *)BAD_UTF8, MALFORMED, "name");
  VOLUNTEER(body.name = (char *)"two\nlines", MALFORMED, "name");
  VOLUNTEER(body.phone = (char *)"", FIELD, "phone");
  VOLUNTEER(body.phone = (char *)"1234567890123456789012345", FIELD, "phone");
  VOLUNTEER(body.phone = (char *)"call me", FIELD, "phone");
  VOLUNTEER(body.address = long_text(257), FIELD, "address");
  VOLUNTEER(body.home = NULL, FIELD, "home");
  VOLUNTEER(body.home->datum = 0, FIELD, "home.datum");
  VOLUNTEER(body.home->lon_e7 = INT32_MIN, FIELD, "home.lon_e7");
  VOLUNTEER(body.home->lat_e7 = INT32_MAX, FIELD, "home.lat_e7");
  VOLUNTEER(body.home->lon_e7 += 20 * KM_E7, FIELD, "home");
  VOLUNTEER(body.branch = 11, FIELD, "branch");
  VOLUNTEER(body.skills = unknown, FIELD, "skills");
  VOLUNTEER(body.skills = twice, FIELD, "skills");
  VOLUNTEER((body.skills = many, body.n_skills = 33), FIELD, "skills");
  VOLUNTEER(body.n_available = 6, FIELD, "available");
  VOLUNTEER(body.available = wide, FIELD, "available");
  VOLUNTEER(body.radius_m = 0, FIELD, "radius_m");
  VOLUNTEER(body.radius_m = 50001, FIELD, "radius_m");
  VOLUNTEER(body.max_per_week = 0, FIELD, "max_per_week");
  VOLUNTEER(body.max_per_week = 51, FIELD, "max_per_week");
  VOLUNTEER(body.age = 0, FIELD, "age");
  VOLUNTEER(body.age = 7, FIELD, "age");
  end();
}

Test(intake_refusals, a_resident_who_breaks_a_rule) {
  given_district();
#define RESIDENT(change, code, field)                                                       \
  REFUSED(REGISTER_RESIDENT, struct pd_register_resident body = a_resident(), change, code, \
          "register_resident." field)
  RESIDENT(body.name = (char *)"", FIELD, "name");
  RESIDENT(body.name = long_text(97), FIELD, "name");
  RESIDENT(body.phone = (char *)"abc", FIELD, "phone");
  RESIDENT(body.address = long_text(257), FIELD, "address");
  RESIDENT(body.home->datum = 9, FIELD, "home.datum");
  RESIDENT(body.home->lat_e7 -= 20 * KM_E7, FIELD, "home");
  end();
}

Test(intake_refusals, people_need_a_district_with_sites) {
  given_nothing();
  REFUSED(REGISTER_VOLUNTEER, struct pd_register_volunteer body = a_volunteer(), (void)0, STATE,
          "register_volunteer.home");
  end();
}

Test(intake_refusals, an_id_that_is_taken_asks_to_try_again) {
  given_people();
  said.fresh = 11;
  REFUSED(REGISTER_RESIDENT, struct pd_register_resident body = a_resident(), (void)0, RETRY,
          "register_resident");
  end();
}

Test(intake_refusals, people_who_are_not_there) {
  given_people();
#define PERSON(kind, type, init, field)     \
  do {                                      \
    struct type body = init;                \
    when_said(PD_COMMAND_##kind, &body);    \
    expect_refused(PD_CODE_FIELD, field);   \
    body.person = core_bytes(99);           \
    when_said(PD_COMMAND_##kind, &body);    \
    expect_refused(PD_CODE_UNKNOWN, field); \
  } while (0)
  PERSON(PAUSE_VOLUNTEER, pd_pause_volunteer, PD_PAUSE_VOLUNTEER_INIT, "pause_volunteer.person");
  PERSON(RESUME_VOLUNTEER, pd_resume_volunteer, PD_RESUME_VOLUNTEER_INIT,
         "resume_volunteer.person");
  PERSON(EXIT_VOLUNTEER, pd_exit_volunteer, PD_EXIT_VOLUNTEER_INIT, "exit_volunteer.person");
  PERSON(ERASE_PERSON, pd_erase_person, PD_ERASE_PERSON_INIT, "erase_person.person");
  struct pd_exit_volunteer resident = PD_EXIT_VOLUNTEER_INIT;
  resident.person = core_bytes(1);
  when_said(PD_COMMAND_EXIT_VOLUNTEER, &resident);
  expect_refused(PD_CODE_UNKNOWN, "exit_volunteer.person");
  end();
}

Test(intake_refusals, an_order_that_breaks_a_rule) {
  given_people();
  enum pd_skill twice[] = {PD_SKILL_LAW, PD_SKILL_LAW}, many[9] = {0},
                none[] = {PD_SKILL_UNSPECIFIED};
#define ORDER(change, code, field)                                                \
  REFUSED(PLACE_ORDER, struct pd_place_order body = an_order(1, 1), change, code, \
          "place_order." field)
  ORDER(body.requester.len = 0, FIELD, "requester");
  ORDER(body.requester = core_bytes(99), UNKNOWN, "requester");
  ORDER(body.kind = 0, FIELD, "kind");
  ORDER(body.kind = 8, FIELD, "kind");
  ORDER(body.category = (char *)"", FIELD, "category");
  ORDER(body.category = (char *)"Errand", FIELD, "category");
  ORDER(body.category = (char *)LONG_33, FIELD, "category");
  ORDER(body.note = long_text(513), FIELD, "note");
  ORDER(body.note = (char *)BAD_UTF8, MALFORMED, "note");
  ORDER(body.address = long_text(257), FIELD, "address");
  ORDER(body.point = NULL, FIELD, "point");
  ORDER(body.point->datum = 0, FIELD, "point.datum");
  ORDER(body.point->lon_e7 = 1800000001, FIELD, "point.lon_e7");
  ORDER(body.point->lat_e7 = 900000001, FIELD, "point.lat_e7");
  ORDER(body.point->lat_e7 = 0, FIELD, "point");
  ORDER((body.skills = twice, body.n_skills = 2), FIELD, "skills");
  ORDER((body.skills = many, body.n_skills = 9), FIELD, "skills");
  ORDER(body.skills = none, FIELD, "skills");
  ORDER(body.need = 0, FIELD, "need");
  ORDER(body.need = 65, FIELD, "need");
  ORDER(body.need = 9, FULL, "need"); /* the small limits allow 8 */
  ORDER(body.window_start_ms = -1, FIELD, "window_start_ms");
  ORDER(body.window_start_ms = INT64_MIN, FIELD, "window_start_ms");
  ORDER(body.window_end_ms = body.window_start_ms, FIELD, "window_end_ms");
  ORDER((body.window_start_ms = 1, body.window_end_ms = h.now_ms), FIELD, "window_end_ms");
  ORDER(body.window_end_ms = h.now_ms + 400 * PD_DAY_MS + 1, FIELD, "window_end_ms");
  ORDER(body.window_end_ms = INT64_MAX, FIELD, "window_end_ms");
  ORDER(body.minutes = 4, FIELD, "minutes");
  ORDER((body.minutes = 1441, body.window_end_ms += PD_DAY_MS), FIELD, "minutes");
  ORDER(body.minutes = 241, FIELD, "minutes");
  ORDER(body.urgency = 0, FIELD, "urgency");
  ORDER(body.urgency = 5, FIELD, "urgency");
  ORDER(body.channel = 0, FIELD, "channel");
  ORDER(body.channel = 6, FIELD, "channel");
  end();
}

Test(intake_refusals, a_full_district_says_so_and_takes_orders_again_later) {
  given_people();
  for (int i = 0; i < 16; i++) given_order(1, 8); /* 128 places for helpers */
  REFUSED(PLACE_ORDER, struct pd_place_order body = an_order(1, 1), (void)0, FULL,
          "place_order.need");
  when_cancelled(1);
  core_skip(&h);
  for (int i = 0; i < 8; i++) given_order(1, 1);
  for (uint64_t order = 2; order <= 16; order++) when_cancelled(order);
  for (int i = 0; i < 56; i++) given_order(1, 1); /* 64 orders */
  core_skip(&h);
  REFUSED(PLACE_ORDER, struct pd_place_order body = an_order(1, 1), (void)0, FULL, "place_order");
  end();
}

Test(intake_refusals, a_full_registry_says_so) {
  given_people();
  for (uint64_t person = 1000; person < 1000 + pd_limits_small.persons - 2; person++)
    given_resident(person);
  REFUSED(REGISTER_RESIDENT, struct pd_register_resident body = a_resident(), (void)0, FULL,
          "register_resident");
  struct pd_point point = a_point(MID_LON, MID_LAT);
  char ref[] = "X00";
  for (uint32_t i = 5; i < pd_limits_small.sites; i++) {
    ref[1] = (char)('0' + i / 10);
    ref[2] = (char)('0' + i % 10);
    struct pd_register_site site = a_site(ref, PD_SITE_LEVEL_STATION, "S1", &point);
    when_said(PD_COMMAND_REGISTER_SITE, &site);
    struct pd_register_team team = a_team(ref, "S1");
    when_said(PD_COMMAND_REGISTER_TEAM, &team);
    core_expect_ack(&h);
  }
  core_skip(&h);
  REFUSED(REGISTER_SITE,
          struct pd_register_site body = a_site("S9", PD_SITE_LEVEL_STATION, "S1", &point), (void)0,
          FULL, "register_site");
  end();
}

Test(intake_refusals, orders_that_never_were_and_orders_that_have_ended) {
  given_people();
  uint64_t order = given_order(1, 1);
  when_cancelled(order);
  core_skip(&h);
  when_cancelled(order);
  expect_refused(PD_CODE_UNKNOWN, "cancel_order.order");
  const struct pd_refusal *gone = core_expect_refusal(&h, PD_CODE_UNKNOWN, NULL);
  cr_assert(strstr(gone->rule, "ended") != NULL);
  when_cancelled(99);
  expect_refused(PD_CODE_UNKNOWN, "cancel_order.order");
  when_withdrawn(99, 1);
  expect_refused(PD_CODE_UNKNOWN, "withdraw.order");
  when_started(0, 1);
  expect_refused(PD_CODE_UNKNOWN, "start_service.order");
  when_finished(99, 1);
  expect_refused(PD_CODE_UNKNOWN, "finish_service.order");
  when_confirmed(99, 0, 0);
  expect_refused(PD_CODE_UNKNOWN, "confirm_service.order");
  when_rated(99, 1, 5);
  expect_refused(PD_CODE_UNKNOWN, "rate_order.order");
  end();
}

Test(intake_refusals, slots_that_are_not_in_the_right_state) {
  given_people();
  uint64_t order = given_order(1, 2);
  when_started(order, 0);
  expect_refused(PD_CODE_FIELD, "start_service.slot");
  when_withdrawn(order, 3);
  expect_refused(PD_CODE_FIELD, "withdraw.slot");
  when_started(order, 1);
  expect_refused(PD_CODE_STATE, "start_service.slot");
  when_finished(order, 1);
  expect_refused(PD_CODE_STATE, "finish_service.order");
  when_filled(order, 1, 11);
  when_confirmed(order, 0, 0);
  expect_refused(PD_CODE_STATE, "confirm_service.order");
  when_started(order, 1);
  core_skip(&h);
  when_started(order, 1);
  expect_refused(PD_CODE_STATE, "start_service.slot");
  when_withdrawn(order, 1);
  expect_refused(PD_CODE_STATE, "withdraw.slot");
  when_finished(order, 2);
  expect_refused(PD_CODE_STATE, "finish_service.slot");
  when_confirmed(order, 1, 0);
  expect_refused(PD_CODE_STATE, "confirm_service.slot");
  when_confirmed(order, 0, 0);
  expect_refused(PD_CODE_STATE, "confirm_service.slot");
  when_confirmed(order, 3, 0);
  expect_refused(PD_CODE_FIELD, "confirm_service.slot");
  when_rated(order, 1, 5);
  expect_refused(PD_CODE_STATE, "rate_order.order");
  end();
}

Test(intake_refusals, confirmations_and_ratings_that_break_a_rule) {
  given_people();
  uint64_t order = given_order(1, 1);
  when_filled(order, 1, 11);
  when_started(order, 1);
  h.now_ms += 30 * PD_MINUTE_MS;
  when_finished(order, 1);
  core_skip(&h);
  when_confirmed(order, 1, 31);
  expect_refused(PD_CODE_FIELD, "confirm_service.minutes");
  when_confirmed(order, 0, 31);
  expect_refused(PD_CODE_FIELD, "confirm_service.minutes");
  when_rated(order, 1, 0);
  expect_refused(PD_CODE_FIELD, "rate_order.stars");
  when_rated(order, 1, 6);
  expect_refused(PD_CODE_FIELD, "rate_order.stars");
  struct pd_rate_order rate = PD_RATE_ORDER_INIT;
  rate.order = order;
  rate.stars = 3;
  rate.comment = long_text(513);
  when_said_by(PD_ROLE_RESIDENT, 1, PD_COMMAND_RATE_ORDER, &rate);
  expect_refused(PD_CODE_FIELD, "rate_order.comment");
  when_rated(order, 1, 5);
  core_skip(&h);
  when_rated(order, 1, 5);
  expect_refused(PD_CODE_STATE, "rate_order.order");
  end();
}

Test(intake_refusals, answers_that_break_a_rule) {
  given_people();
  uint64_t order = given_order(1, 1);
  when_offered(5, order, 11);
  when_answered(6, 11, true);
  expect_refused(PD_CODE_UNKNOWN, "answer_offer.offer");
  when_answered(0, 11, true);
  expect_refused(PD_CODE_UNKNOWN, "answer_offer.offer");
  struct pd_answer_offer body = PD_ANSWER_OFFER_INIT;
  body.offer = 5;
  body.reason = 9;
  when_said_by(PD_ROLE_VOLUNTEER, 11, PD_COMMAND_ANSWER_OFFER, &body);
  expect_refused(PD_CODE_FIELD, "answer_offer.reason");
  body.reason = PD_DECLINE_REASON_BUSY;
  body.accept = true;
  when_said_by(PD_ROLE_VOLUNTEER, 11, PD_COMMAND_ANSWER_OFFER, &body);
  expect_refused(PD_CODE_FIELD, "answer_offer.reason");
  body.accept = false;
  when_said_by(PD_ROLE_VOLUNTEER, 11, PD_COMMAND_ANSWER_OFFER, &body);
  cr_assert_eq(core_expect(&h, PD_EVENT_OFFER_ANSWERED)->offer_answered->reason,
               PD_DECLINE_REASON_BUSY);
  when_answered(5, 11, true);
  expect_refused(PD_CODE_STATE, "answer_offer.offer");
  end();
}

Test(intake_refusals, a_hold_needs_its_number) {
  given_nothing();
  REFUSED(DECIDE_HOLD, struct pd_decide_hold body = PD_DECIDE_HOLD_INIT, (void)0, FIELD,
          "decide_hold.hold");
  end();
}

/* An outside event of this type, from a key that may publish. */
static const struct pd_reply *when_published(const char *type, const char *schema, size_t size) {
  static uint8_t payload[20000];
  struct pd_publish_external body = PD_PUBLISH_EXTERNAL_INIT;
  body.type = (char *)type;
  body.schema = (char *)schema;
  body.payload = (ProtobufCBinaryData){.data = payload, .len = size};
  return when_said_by(PD_ROLE_SOURCE, 0, PD_COMMAND_PUBLISH_EXTERNAL, &body);
}

Test(intake_refusals, an_outside_event_has_a_type_a_schema_and_a_bounded_payload) {
  static const char *const types[] = {
      "", "ext", "ext.", "ext.a", "ext.a.", "ext..b", "ext.a.b.c", "ext.A.b", "ext.a.b c",
      "order_placed", "ext.a.abcdefghijklmnopqrstuvwxyz0123456"};
  given_nothing();
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
    when_published(types[i], "s", 1);
    expect_refused(PD_CODE_FIELD, "publish_external.type");
  }
  when_published("ext.charity.meal", "", 1);
  expect_refused(PD_CODE_FIELD, "publish_external.schema");
  when_published("ext.charity.meal", long_text(97), 1);
  expect_refused(PD_CODE_FIELD, "publish_external.schema");
  when_published("ext.charity.meal", "s", 16385);
  expect_refused(PD_CODE_FIELD, "publish_external.payload");
  when_published("ext.charity.meal", "s", 16384);
  const struct pd_event *event = core_expect(&h, PD_EVENT_EXTERNAL_NOTED);
  cr_assert_str_eq(event->external_noted->type, "ext.charity.meal");
  cr_assert_eq(event->external_noted->payload.len, 16384);
  cr_assert_eq(core_expect_ack(&h)->id, event->seq);
  end();
}

Test(intake_refusals, a_client_with_several_roles_speaks_in_one_that_may) {
  enum { R = PD_ROLE_RESIDENT, V = PD_ROLE_VOLUNTEER, S = PD_ROLE_SITE, O = PD_ROLE_OPS };
  cr_assert_eq(intake_role_for(PD_COMMAND_PLACE_ORDER, R | V), R);
  cr_assert_eq(intake_role_for(PD_COMMAND_PLACE_ORDER, R | V | S), S, "may speak for others");
  cr_assert_eq(intake_role_for(PD_COMMAND_ANSWER_OFFER, R | V | S), V);
  cr_assert_eq(intake_role_for(PD_COMMAND_ERASE_PERSON, R | V), R, "none fits: refused later");
  cr_assert_eq(intake_role_for(PD_COMMAND_ERASE_PERSON, V | O), O);
  cr_assert_eq(intake_role_for(PD_COMMAND_NOT_SET, V), V);
  cr_assert_eq(intake_role_for(PD_COMMAND_PUBLISH_EXTERNAL, R | PD_ROLE_SOURCE), PD_ROLE_SOURCE);
}

Test(intake_refusals, a_coordinator_says_why_somebody_is_named) {
  given_people();
  given_order(1, 1);
  static const struct pd_command_offer empty = PD_COMMAND_OFFER_INIT;
  struct pd_command_offer right = empty;
  right.order = 1;
  right.volunteer = core_bytes(11);
  right.reason = PD_COMMAND_REASON_OTHER;
  right.note = (char *)"会说方言";
#define NAMED(change, code, field) \
  REFUSED(COMMAND_OFFER, struct pd_command_offer body = right, change, code, field)
  NAMED(body.volunteer = core_bytes(77), UNKNOWN, "command_offer.volunteer");
  NAMED(body.volunteer = core_bytes(1), UNKNOWN, "command_offer.volunteer");
  NAMED(body.order = 9, UNKNOWN, "command_offer.order");
  NAMED(body.reason = PD_COMMAND_REASON_UNSPECIFIED, FIELD, "command_offer.reason");
  NAMED(body.reason = (enum pd_command_reason)6, FIELD, "command_offer.reason");
  NAMED(body.note = (char *)"", FIELD, "command_offer.note");
  NAMED(body.note = long_text(513), FIELD, "command_offer.note");
#undef NAMED
  when_said_by(PD_ROLE_VOLUNTEER, 11, PD_COMMAND_COMMAND_OFFER, &right);
  expect_refused(PD_CODE_NOT_ALLOWED, NULL);
  when_said(PD_COMMAND_COMMAND_OFFER, &right);
  const struct pd_offer_commanded *said_so =
      core_expect(&h, PD_EVENT_OFFER_COMMANDED)->offer_commanded;
  cr_assert(said_so->order == 1 && said_so->reason == PD_COMMAND_REASON_OTHER);
  cr_assert(said_so->note != NULL && strlen(said_so->principal) > 0);
  cr_assert_eq(core_expect_ack(&h)->id, 1);
  end();
}

Test(intake_refusals, who_asks_in_the_hall_asks_for_himself) {
  given_people();
  given_volunteer(12);
  given_order(1, 1);
  struct pd_ask_for_order body = PD_ASK_FOR_ORDER_INIT;
  body.order = 1;
  body.volunteer = core_bytes(11);
  when_said_by(PD_ROLE_VOLUNTEER, 12, PD_COMMAND_ASK_FOR_ORDER, &body);
  expect_refused(PD_CODE_NOT_ALLOWED, "actor");
  when_said_by(PD_ROLE_RESIDENT, 11, PD_COMMAND_ASK_FOR_ORDER, &body);
  expect_refused(PD_CODE_NOT_ALLOWED, NULL);
  when_said_by(PD_ROLE_VOLUNTEER, 11, PD_COMMAND_ASK_FOR_ORDER, &body);
  cr_assert_eq(core_expect(&h, PD_EVENT_ORDER_ASKED)->order_asked->order, 1);
  when_cancelled(1);
  core_skip(&h);
  when_said_by(PD_ROLE_VOLUNTEER, 11, PD_COMMAND_ASK_FOR_ORDER, &body);
  expect_refused(PD_CODE_UNKNOWN, "ask_for_order.order");
  end();
}
