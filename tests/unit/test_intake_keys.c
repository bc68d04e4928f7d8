/* One idempotency key, one answer. */
#include "tests/unit/intake_world.h"

#include <string.h>

static void given_people(void) {
  given_district();
  given_resident(1);
  given_volunteer(11);
}

Test(intake_keys, the_same_command_gets_the_same_answer_and_says_nothing) {
  given_people();
  said.key = 77;
  said.body = 78;
  struct pd_place_order body = an_order(1, 1);
  when_said(PD_COMMAND_PLACE_ORDER, &body);
  const struct pd_ack *first = core_expect_ack(&h);
  core_expect(&h, PD_EVENT_ORDER_PLACED);
  when_said(PD_COMMAND_PLACE_ORDER, &body);
  const struct pd_ack *again = core_expect_ack(&h);
  core_expect_silence(&h);
  cr_assert_not(first->duplicate);
  cr_assert(again->duplicate);
  cr_assert_eq(first->id, again->id);
  cr_assert_eq(first->position->seq, again->position->seq);
  cr_assert_eq(again->person.len, 16);
  cr_assert_eq(memcmp(first->person.data, again->person.data, 16), 0);
  end();
}

Test(intake_keys, the_answer_is_the_same_after_the_order_has_ended) {
  given_people();
  said.key = 77;
  said.body = 78;
  uint64_t order = given_order(1, 1);
  said.key = said.body = 0;
  when_cancelled(order);
  said.key = 77;
  said.body = 78;
  core_skip(&h);
  cr_assert_eq(given_order(1, 1), order);
  cr_assert(core_expect_ack(&h)->duplicate);
  end();
}

Test(intake_keys, the_same_key_with_another_body_is_refused) {
  given_people();
  said.key = 77;
  given_order(1, 1);
  struct pd_place_order body = an_order(1, 2);
  when_said(PD_COMMAND_PLACE_ORDER, &body);
  expect_refused(PD_CODE_KEY_REUSED, "key");
  end();
}

Test(intake_keys, a_refusal_does_not_bind_its_key) {
  given_people();
  said.key = 77;
  struct pd_place_order body = an_order(1, 0);
  when_said(PD_COMMAND_PLACE_ORDER, &body);
  expect_refused(PD_CODE_FIELD, "place_order.need");
  struct pd_id key = core_id(77);
  cr_assert_not(intake_knows_key(h.self, &key));
  given_order(1, 1);
  cr_assert(intake_knows_key(h.self, &key));
  end();
}

Test(intake_keys, a_repeated_registration_names_the_person_of_the_first_time) {
  given_people();
  said.key = 77;
  said.body = 78;
  given_volunteer(21);
  struct pd_register_volunteer body = a_volunteer();
  said.fresh = 22;
  when_said(PD_COMMAND_REGISTER_VOLUNTEER, &body);
  const struct pd_ack *ack = core_expect_ack(&h);
  struct pd_id person = core_id(21), other = core_id(22);
  cr_assert(ack->duplicate);
  cr_assert_eq(memcmp(ack->person.data, person.bytes, 16), 0);
  cr_assert(intake_knows_person(h.self, &person));
  cr_assert_not(intake_knows_person(h.self, &other));
  end();
}

Test(intake_keys, the_oldest_key_is_forgotten_when_the_ring_is_full) {
  given_people();
  said.key = 77;
  given_order(1, 1);
  said.key = 0;
  struct pd_id key = core_id(77);
  struct pd_decide_hold body = PD_DECIDE_HOLD_INIT;
  body.hold = 1;
  for (uint32_t i = 1; i < pd_limits_small.keys; i++) when_said(PD_COMMAND_DECIDE_HOLD, &body);
  cr_assert(intake_knows_key(h.self, &key));
  when_said(PD_COMMAND_DECIDE_HOLD, &body);
  cr_assert_not(intake_knows_key(h.self, &key));
  end();
}

Test(intake_keys, every_kind_of_grant_is_repeated_with_its_own_answer) {
  given_people();
  uint64_t order = given_order(1, 1);
  when_offered(5, order, 11);
  said.key = 77;
  said.body = 78;
  when_answered(5, 11, true);
  cr_assert_eq(core_expect_ack(&h)->id, 5);
  when_answered(5, 11, true);
  cr_assert_eq(core_expect_ack(&h)->id, 5);
  cr_assert(core_expect_ack(&h)->duplicate);
  when_filled(order, 1, 11);
  said.key = 79;
  for (int round = 0; round < 2; round++) {
    when_started(order, 1);
    cr_assert_eq(core_expect_ack(&h)->id, order);
    cr_assert_eq(core_expect_ack(&h)->duplicate, round == 1);
  }
  said.key = 80;
  for (int round = 0; round < 2; round++) {
    when_finished(order, 1);
    cr_assert_eq(core_expect_ack(&h)->id, order);
  }
  core_skip(&h);
  said.key = 81;
  for (int round = 0; round < 2; round++) {
    when_confirmed(order, 0, 0);
    cr_assert_eq(core_expect_ack(&h)->id, order);
  }
  core_expect(&h, PD_EVENT_SERVICE_CONFIRMED);
  core_expect_silence(&h);
  end();
}

Test(intake_keys, only_intakes_own_events_bind_keys) {
  given_people();
  struct pd_id key = core_id(77);
  struct pd_origin origin = PD_ORIGIN_INIT;
  origin.key = origin.body = pd_bytes(&key);
  struct pd_order_staffed body = PD_ORDER_STAFFED_INIT;
  struct pd_event event = PD_EVENT_INIT;
  event.body_case = PD_EVENT_ORDER_STAFFED;
  event.order_staffed = &body;
  event.origin = &origin;
  core_hear_event(&h, PD_LOG_MATCHING, &event);
  cr_assert_not(intake_knows_key(h.self, &key));
  end();
}
