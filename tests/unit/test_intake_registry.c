/* Sites, teams and people. */
#include "tests/unit/intake_world.h"

#include <string.h>

static bool same_id(ProtobufCBinaryData field, uint64_t number) {
  struct pd_id id = core_id(number);
  return field.len == sizeof id && memcmp(field.data, id.bytes, sizeof id) == 0;
}

Test(intake_registry, sites_are_numbered_and_know_the_one_above) {
  given_district();
  const struct pd_event *event = core_last(&h, PD_EVENT_SITE_REGISTERED);
  cr_assert_eq(event->site_registered->site, 5);
  cr_assert_eq(event->site_registered->parent, 4);
  cr_assert_str_eq(event->site_registered->ref, "S4");
  cr_assert_eq(event->site_registered->lon_e7, MID_LON + KM_E7);
  cr_assert_eq(core_expect_ack(&h)->id, 5);
  end();
}

Test(intake_registry, the_first_site_may_be_anywhere_and_others_near_it) {
  given_nothing();
  struct pd_point here = a_point(-739323370, 407174340), there = a_point(1164400180, 399247670);
  struct pd_register_site body = a_site("NYC", PD_SITE_LEVEL_CENTER, "", &here);
  when_said(PD_COMMAND_REGISTER_SITE, &body);
  core_expect(&h, PD_EVENT_SITE_REGISTERED);
  body = a_site("BJ", PD_SITE_LEVEL_INSTITUTE, "NYC", &there);
  when_said(PD_COMMAND_REGISTER_SITE, &body);
  expect_refused(PD_CODE_FIELD, "register_site.point");
  end();
}

Test(intake_registry, a_ref_may_fill_its_32_bytes) {
  given_district();
  struct pd_point point = a_point(MID_LON, MID_LAT);
  struct pd_register_site body =
      a_site("0123456789abcdef0123456789abcdef", PD_SITE_LEVEL_STATION, "S1", &point);
  when_said(PD_COMMAND_REGISTER_SITE, &body);
  core_expect(&h, PD_EVENT_SITE_REGISTERED);
  struct pd_register_team team = a_team("T", "0123456789abcdef0123456789abcdef");
  when_said(PD_COMMAND_REGISTER_TEAM, &team);
  cr_assert_eq(core_expect(&h, PD_EVENT_TEAM_REGISTERED)->team_registered->site, 6);
  when_said(PD_COMMAND_REGISTER_SITE, &body);
  expect_refused(PD_CODE_FIELD, "register_site.ref");
  end();
}

Test(intake_registry, a_place_belongs_to_the_nearest_station) {
  given_district();
  struct pd_register_volunteer body = a_volunteer();
  struct pd_point east = a_point(MID_LON + 100, MID_LAT);
  body.home = &east;
  when_said(PD_COMMAND_REGISTER_VOLUNTEER, &body);
  cr_assert_eq(core_expect(&h, PD_EVENT_VOLUNTEER_REGISTERED)->volunteer_registered->site, 4);
  struct pd_point west = a_point(MID_LON - 100, MID_LAT);
  body.home = &west;
  when_said(PD_COMMAND_REGISTER_VOLUNTEER, &body);
  cr_assert_eq(core_expect(&h, PD_EVENT_VOLUNTEER_REGISTERED)->volunteer_registered->site, 3);
  end();
}

Test(intake_registry, nearest_is_measured_in_metres_not_in_degrees) {
  given_district();
  /* From the middle, S5 is 0.0405 degrees north, S2 is 0.045 degrees west: 4.5 and 4.0 km. */
  struct pd_point north = a_point(MID_LON, MID_LAT + 9 * KM_E7 / 2);
  struct pd_register_site site = a_site("S5", PD_SITE_LEVEL_STATION, "S1", &north);
  when_said(PD_COMMAND_REGISTER_SITE, &site);
  given_volunteer(11);
  cr_assert_eq(core_last(&h, PD_EVENT_VOLUNTEER_REGISTERED)->volunteer_registered->site, 3);
  end();
}

Test(intake_registry, without_stations_an_institute_is_in_charge_and_without_those_the_centre) {
  given_nothing();
  struct pd_point point = a_point(MID_LON, MID_LAT);
  struct pd_register_site center = a_site("S0", PD_SITE_LEVEL_CENTER, "", &point);
  struct pd_register_site institute = a_site("S1", PD_SITE_LEVEL_INSTITUTE, "S0", &point);
  when_said(PD_COMMAND_REGISTER_SITE, &center);
  given_volunteer(11);
  cr_assert_eq(core_last(&h, PD_EVENT_VOLUNTEER_REGISTERED)->volunteer_registered->site, 1);
  when_said(PD_COMMAND_REGISTER_SITE, &institute);
  given_volunteer(12);
  cr_assert_eq(core_last(&h, PD_EVENT_VOLUNTEER_REGISTERED)->volunteer_registered->site, 2);
  end();
}

Test(intake_registry, a_phone_maps_point_is_converted_at_the_door) {
  given_district();
  struct pd_lonlat gcj = pd_geo_wgs84_to_gcj02((struct pd_lonlat){MID_LON + 5000, MID_LAT + 5000});
  struct pd_point point = a_point(gcj.lon_e7, gcj.lat_e7);
  struct pd_register_volunteer body = a_volunteer();
  body.home = &point;
  point.datum = PD_DATUM_GCJ02;
  when_said(PD_COMMAND_REGISTER_VOLUNTEER, &body);
  const struct pd_cell *cell =
      core_expect(&h, PD_EVENT_VOLUNTEER_REGISTERED)->volunteer_registered->cell;
  cr_assert_eq(cell->x, 118000);
  cr_assert_eq(cell->y, 36800);
  struct pd_lonlat bd = pd_geo_wgs84_to_bd09((struct pd_lonlat){MID_LON + 5000, MID_LAT + 5000});
  point = a_point(bd.lon_e7, bd.lat_e7);
  point.datum = PD_DATUM_BD09;
  when_said(PD_COMMAND_REGISTER_VOLUNTEER, &body);
  cell = core_expect(&h, PD_EVENT_VOLUNTEER_REGISTERED)->volunteer_registered->cell;
  cr_assert_eq(cell->x, 118000);
  cr_assert_eq(cell->y, 36800);
  end();
}

Test(intake_registry, the_district_ends_five_kilometres_beyond_its_sites) {
  given_district();
  struct pd_register_resident body = a_resident();
  struct pd_point inside = a_point(MID_LON, MID_LAT + KM_E7 + 4900 * 90),
                  outside = a_point(MID_LON, MID_LAT + KM_E7 + 5100 * 90);
  body.home = &inside;
  when_said(PD_COMMAND_REGISTER_RESIDENT, &body);
  core_expect(&h, PD_EVENT_RESIDENT_REGISTERED);
  body.home = &outside;
  when_said(PD_COMMAND_REGISTER_RESIDENT, &body);
  expect_refused(PD_CODE_FIELD, "register_resident.home");
  end();
}

Test(intake_registry, a_volunteers_event_holds_what_matching_needs_and_no_text) {
  given_district();
  struct pd_register_volunteer body = a_volunteer();
  body.vetted = true;
  said.fresh = 11;
  when_said(PD_COMMAND_REGISTER_VOLUNTEER, &body);
  const struct pd_volunteer_registered *event =
      core_expect(&h, PD_EVENT_VOLUNTEER_REGISTERED)->volunteer_registered;
  cr_assert(same_id(event->person, 11));
  cr_assert(same_id(core_expect_ack(&h)->person, 11));
  cr_assert_eq(event->n_skills, 2);
  cr_assert_eq(event->skills[1], PD_SKILL_DRIVING);
  cr_assert_eq(event->n_available, 7);
  cr_assert_eq(event->available[5], 0xffff00);
  cr_assert(event->vetted && !event->emergency);
  cr_assert_eq(event->contact->box.len, 48);
  cr_assert_not_null(event->home);
  uint8_t bytes[2048];
  size_t size = protobuf_c_message_pack(&event->base, bytes);
  cr_assert_null(memmem(bytes, size, body.name, strlen(body.name)));
  cr_assert_null(memmem(bytes, size, body.phone, strlen(body.phone)));
  cr_assert_null(memmem(bytes, size, body.address, strlen(body.address)));
  end();
}

Test(intake_registry, a_resident_may_keep_the_address_to_himself) {
  given_district();
  struct pd_register_resident body = a_resident();
  body.home = NULL;
  when_said(PD_COMMAND_REGISTER_RESIDENT, &body);
  const struct pd_resident_registered *event =
      core_expect(&h, PD_EVENT_RESIDENT_REGISTERED)->resident_registered;
  cr_assert_null(event->cell);
  cr_assert_eq(event->site, 0);
  end();
}

Test(intake_registry, volunteers_join_up_to_eight_teams_once_each) {
  given_district();
  given_volunteer(11);
  char ref[8] = "T0";
  struct pd_join_team body = PD_JOIN_TEAM_INIT;
  body.team_ref = ref;
  body.person = core_bytes(11);
  for (char digit = '0'; digit <= '8'; digit++) {
    ref[1] = digit;
    struct pd_register_team team = a_team(ref, "S2");
    when_said(PD_COMMAND_REGISTER_TEAM, &team);
    core_skip(&h);
    if (digit == '8') break;
    body.leader = digit == '3';
    when_said(PD_COMMAND_JOIN_TEAM, &body);
    const struct pd_team_joined *joined = core_expect(&h, PD_EVENT_TEAM_JOINED)->team_joined;
    cr_assert_eq(joined->team, (uint32_t)(digit - '0' + 1));
    cr_assert_eq(joined->leader, digit == '3');
  }
  when_said(PD_COMMAND_JOIN_TEAM, &body);
  expect_refused(PD_CODE_FULL, "join_team.person");
  ref[1] = '0';
  when_said(PD_COMMAND_JOIN_TEAM, &body);
  expect_refused(PD_CODE_STATE, "join_team.person");
  end();
}

Test(intake_registry, a_volunteer_pauses_resumes_and_leaves) {
  given_district();
  given_volunteer(11);
  struct pd_pause_volunteer pause = PD_PAUSE_VOLUNTEER_INIT;
  struct pd_resume_volunteer resume = PD_RESUME_VOLUNTEER_INIT;
  struct pd_exit_volunteer leave = PD_EXIT_VOLUNTEER_INIT;
  pause.person = resume.person = leave.person = core_bytes(11);
  when_said(PD_COMMAND_RESUME_VOLUNTEER, &resume);
  expect_refused(PD_CODE_STATE, "resume_volunteer.person");
  when_said_by(PD_ROLE_VOLUNTEER, 11, PD_COMMAND_PAUSE_VOLUNTEER, &pause);
  cr_assert(same_id(core_expect(&h, PD_EVENT_VOLUNTEER_PAUSED)->volunteer_paused->person, 11));
  when_said(PD_COMMAND_PAUSE_VOLUNTEER, &pause);
  expect_refused(PD_CODE_STATE, "pause_volunteer.person");
  when_said(PD_COMMAND_RESUME_VOLUNTEER, &resume);
  core_expect(&h, PD_EVENT_VOLUNTEER_RESUMED);
  when_said_by(PD_ROLE_VOLUNTEER, 11, PD_COMMAND_EXIT_VOLUNTEER, &leave);
  core_expect(&h, PD_EVENT_VOLUNTEER_EXITED);
  when_said(PD_COMMAND_EXIT_VOLUNTEER, &leave);
  expect_refused(PD_CODE_STATE, "exit_volunteer.person");
  when_said(PD_COMMAND_PAUSE_VOLUNTEER, &pause);
  expect_refused(PD_CODE_STATE, "pause_volunteer.person");
  end();
}

Test(intake_registry, an_erased_residents_orders_are_cancelled_unless_somebody_serves) {
  given_district();
  given_resident(1);
  given_resident(2);
  given_volunteer(11);
  uint64_t open = given_order(1, 1), other = given_order(2, 1), serving = given_order(1, 1),
           booked = given_order(1, 2);
  when_filled(serving, 1, 11);
  when_started(serving, 1);
  when_filled(booked, 1, 11);
  core_skip(&h);
  struct pd_erase_person body = PD_ERASE_PERSON_INIT;
  body.person = core_bytes(1);
  when_said(PD_COMMAND_ERASE_PERSON, &body);
  cr_assert(same_id(core_expect(&h, PD_EVENT_PERSON_ERASED)->person_erased->person, 1));
  core_expect(&h, PD_EVENT_ORDER_CANCELLED);
  expect_closed(open, PD_ORDER_STATE_CANCELLED);
  core_expect(&h, PD_EVENT_ORDER_CANCELLED);
  expect_closed(booked, PD_ORDER_STATE_CANCELLED);
  core_expect_silence(&h);
  when_finished(serving, 1);
  core_expect_ack(&h);
  when_cancelled(other);
  core_expect_ack(&h);
  end();
}

Test(intake_registry, an_erased_person_is_unknown_ever_after) {
  given_district();
  given_volunteer(11);
  struct pd_erase_person erase = PD_ERASE_PERSON_INIT;
  erase.person = core_bytes(11);
  when_said(PD_COMMAND_ERASE_PERSON, &erase);
  core_skip(&h);
  struct pd_id id = core_id(11), found;
  uint32_t cursor = 0;
  cr_assert_not(intake_knows_person(h.self, &id));
  cr_assert(intake_next_erased(h.self, &cursor, &found));
  cr_assert(pd_id_equal(&id, &found));
  cr_assert_not(intake_next_erased(h.self, &cursor, &found));
  when_said(PD_COMMAND_ERASE_PERSON, &erase);
  expect_refused(PD_CODE_UNKNOWN, "erase_person.person");
  struct pd_place_order body = an_order(11, 1);
  when_said(PD_COMMAND_PLACE_ORDER, &body);
  expect_refused(PD_CODE_UNKNOWN, "place_order.requester");
  when_said_by(PD_ROLE_RESIDENT, 11, PD_COMMAND_PLACE_ORDER, &body);
  expect_refused(PD_CODE_UNKNOWN, "actor");
  end();
}
