/* Offers beside the waves: a coordinator names somebody, a volunteer asks in the open hall. */
#include "tests/unit/matching_harness.h"

#include <criterion/criterion.h>

TestSuite(matching_direct, .init = matching_begin, .fini = matching_end);

/* Two people near, and an order that both are asked for. */
static void given_a_wave(void) {
  given_volunteer(1, (struct a_volunteer){.east = 5});
  given_volunteer(2, (struct a_volunteer){.east = 10});
  given_volunteer(3, (struct a_volunteer){.east = 100}); /* 9 km away, travels 5 */
  when_placed(7, (struct an_order){0});
  expect_wave(7, 1, 2);
  expect_offer(7, 1);
  expect_offer(7, 2);
}

static const struct pd_offer_made *expect_named(uint64_t order, uint64_t person, size_t overruled) {
  const struct pd_offer_made *made = expect_offer(order, person);
  cr_assert(made->how == PD_OFFER_HOW_COMMANDED);
  cr_assert(made->n_overruled == overruled, "%zu rules were overruled", made->n_overruled);
  return made;
}

Test(matching_direct, a_named_person_is_invited_beside_the_wave) {
  given_a_wave();
  at_minute(10);
  when_named(7, 3);
  const struct pd_offer_made *made = expect_named(7, 3, 1);
  cr_assert(made->overruled[0] == PD_REASON_RADIUS);
  cr_assert(made->wave == 1 && made->expires_at_ms == AT(70));
  expect_silence();
}

Test(matching_direct, a_named_person_may_refuse_and_nothing_comes_of_it) {
  given_a_wave();
  when_named(7, 3);
  expect_named(7, 3, 1);
  when_answered(7, 3, false);
  expect_closed(7, 3, PD_REASON_DECLINED);
  expect_silence(); /* the wave is still open */
}

Test(matching_direct, no_wave_opens_for_a_slot_that_somebody_is_named_for) {
  given_a_wave();
  given_volunteer(4, (struct a_volunteer){.east = 20});
  at_minute(10);
  when_named(7, 3);
  expect_named(7, 3, 1);
  at_minute(60);
  when_wave_due(7, 1);
  expect_closed(7, 1, PD_REASON_SILENT);
  expect_closed(7, 2, PD_REASON_SILENT);
  expect_silence();
  at_minute(70);
  when_wave_due(7, 1);
  expect_closed(7, 3, PD_REASON_SILENT);
  expect_wave(7, 2, 1);
  expect_offer(7, 4);
}

Test(matching_direct, a_wave_opens_for_the_slots_that_nobody_is_named_for) {
  given_volunteer(3, (struct a_volunteer){.east = 100});
  when_placed(7, (struct an_order){.need = 2});
  expect_unmatched(7, 1);
  when_named(7, 3);
  expect_named(7, 3, 1);
  given_volunteer(4, (struct a_volunteer){.east = 5});
  when_wave_due(7, 1);
  expect_wave(7, 1, 1);
  expect_offer(7, 4);
}

Test(matching_direct, what_the_law_asks_for_no_coordinator_sets_aside) {
  given_volunteer(1, (struct a_volunteer){.east = 5, .age = PD_AGE_BAND_14_17});
  given_volunteer(2, (struct a_volunteer){.east = 100});
  given_volunteer(3, (struct a_volunteer){.skills = {PD_SKILL_LAW}});
  when_placed(7, (struct an_order){.skills = {PD_SKILL_RESCUE}});
  when_placed(8, (struct an_order){.sensitive = true, .requester = 3});
  when_placed(9, (struct an_order){.kind = PD_ORDER_KIND_EMERGENCY});
  core_skip(&h);
  when_named(7, 2);
  expect_denied(7, 2, PD_REASON_SKILL);
  when_named(8, 2);
  expect_denied(8, 2, PD_REASON_NOT_VETTED);
  when_named(8, 3);
  expect_denied(8, 3, PD_REASON_OWN_ORDER);
  when_named(9, 1);
  expect_denied(9, 1, PD_REASON_AGE);
  when_paused(2);
  when_named(9, 2);
  expect_denied(9, 2, PD_REASON_INACTIVE);
}

Test(matching_direct, hours_and_the_weeks_limit_are_the_volunteers_and_may_be_overruled) {
  given_volunteer(1, (struct a_volunteer){.day_mask = 1, .max_per_week = 1});
  when_placed(7, (struct an_order){0});
  expect_unmatched(7, 1);
  when_named(7, 1);
  expect_named(7, 1, 1);
  when_answered(7, 1, true);
  expect_filled(7, 1, 1);
  expect_staffed(7);
  when_placed(8, (struct an_order){.start_min = HOURS(12)});
  expect_unmatched(8, 1);
  when_named(8, 1);
  const struct pd_offer_made *made = expect_named(8, 1, 2);
  cr_assert(made->overruled[0] == PD_REASON_HOURS && made->overruled[1] == PD_REASON_CAPACITY);
  when_answered(8, 1, true); /* and the booking stands, full week or not */
  expect_filled(8, 1, 1);
  expect_staffed(8);
}

Test(matching_direct, nobody_is_named_for_two_places_at_once) {
  given_volunteer(1, (struct a_volunteer){0});
  when_placed(7, (struct an_order){.end_min = HOURS(9)});
  core_skip(&h);
  when_answered(7, 1, true);
  core_skip(&h);
  when_placed(8, (struct an_order){.end_min = HOURS(9)});
  core_skip(&h);
  when_named(8, 1);
  expect_denied(8, 1, PD_REASON_OVERLAP);
}

Test(matching_direct, who_is_invited_already_is_not_named_again_but_who_was_is) {
  given_a_wave();
  when_named(7, 1);
  expect_denied(7, 1, PD_REASON_ALREADY_ASKED);
  when_answered(7, 1, false);
  expect_closed(7, 1, PD_REASON_DECLINED);
  when_named(7, 1);
  cr_assert(expect_named(7, 1, 1)->overruled[0] == PD_REASON_ALREADY_ASKED);
}

Test(matching_direct, what_is_over_filled_or_too_late_is_denied) {
  given_a_wave();
  when_answered(7, 1, true);
  core_skip(&h);
  when_named(7, 2);
  expect_denied(7, 2, PD_REASON_FILLED);
  when_asked(7, 3);
  expect_denied(7, 3, PD_REASON_FILLED);
  when_cancelled(7);
  when_asked(7, 3);
  expect_denied(7, 3, PD_REASON_ORDER_ENDED);
  when_asked(99, 3);
  expect_denied(99, 3, PD_REASON_ORDER_ENDED);
  when_placed(8, (struct an_order){.end_min = HOURS(9)});
  core_skip(&h);
  at_minute(HOURS(8));
  when_named(8, 3);
  expect_denied(8, 3, PD_REASON_TOO_LATE);
}

Test(matching_direct, who_asks_first_in_the_hall_has_the_place) {
  given_a_wave();
  given_volunteer(4, (struct a_volunteer){.east = 20});
  given_volunteer(5, (struct a_volunteer){.east = 21});
  when_asked(7, 5);
  const struct pd_offer_made *made = expect_offer(7, 5);
  cr_assert(made->how == PD_OFFER_HOW_ASKED && made->n_overruled == 0);
  expect_filled(7, 1, 5);
  expect_closed(7, 1, PD_REASON_FILLED);
  expect_closed(7, 2, PD_REASON_FILLED);
  expect_staffed(7);
  when_asked(7, 4);
  expect_denied(7, 4, PD_REASON_FILLED);
  expect_silence();
}

Test(matching_direct, the_hall_goes_by_the_volunteers_own_word) {
  given_volunteer(3, (struct a_volunteer){.east = 100});
  given_volunteer(4, (struct a_volunteer){.day_mask = 1});
  when_placed(7, (struct an_order){0});
  core_skip(&h);
  when_asked(7, 3);
  expect_denied(7, 3, PD_REASON_RADIUS);
  when_asked(7, 4);
  expect_denied(7, 4, PD_REASON_HOURS);
}

Test(matching_direct, who_declined_may_think_better_of_it_in_the_hall) {
  given_a_wave();
  when_asked(7, 1);
  expect_denied(7, 1, PD_REASON_ALREADY_ASKED); /* that offer is still to be answered */
  when_answered(7, 1, false);
  expect_closed(7, 1, PD_REASON_DECLINED);
  when_asked(7, 1);
  expect_offer(7, 1);
  expect_filled(7, 1, 1);
}

Test(matching_direct, emergencies_and_sensitive_orders_are_not_in_the_hall) {
  given_volunteer(1, (struct a_volunteer){.vetted = true, .radius_m = 1, .east = 50});
  when_placed(7, (struct an_order){.sensitive = true});
  when_placed(8, (struct an_order){.urgency = PD_URGENCY_EMERGENCY});
  when_placed(9, (struct an_order){.kind = PD_ORDER_KIND_EMERGENCY});
  core_skip(&h);
  for (uint64_t order = 7; order <= 9; order++) {
    when_asked(order, 1);
    expect_denied(order, 1, PD_REASON_HALL_CLOSED);
  }
}

Test(matching_direct, a_district_may_close_the_hall) {
  static struct matching_policy policy;
  policy = matching_policy_default;
  policy.hall = 0;
  matching_end();
  matching_begin_with(&policy, &pd_limits_small);
  given_volunteer(1, (struct a_volunteer){0});
  when_placed(7, (struct an_order){0});
  core_skip(&h);
  when_asked(7, 1);
  expect_denied(7, 1, PD_REASON_HALL_CLOSED);
}

Test(matching_direct, neither_counts_as_an_answer_to_a_wave) {
  given_a_wave();
  when_named(7, 3);
  when_answered(7, 3, false);
  given_volunteer(5, (struct a_volunteer){.east = 21});
  when_asked(7, 5);
  cr_assert(matching_answers(h.self, PD_ORDER_KIND_VISIT).known == 0);
}

Test(matching_direct, the_hall_shows_what_may_be_had_and_what_not_and_why) {
  given_volunteer(1, (struct a_volunteer){.skills = {PD_SKILL_LAW}});
  when_placed(7, (struct an_order){.east = 3, .need = 2});
  when_placed(8, (struct an_order){.skills = {PD_SKILL_HAIRCUT}});
  when_placed(9, (struct an_order){.sensitive = true});
  struct matching_hall_order list[8];
  struct pd_id person = core_id(1), nobody = core_id(77);
  cr_assert(matching_hall(h.self, &nobody, h.now_ms, list, 8) == 0);
  cr_assert(matching_hall(h.self, &person, h.now_ms, list, 1) == 1);
  cr_assert(matching_hall(h.self, &person, h.now_ms, list, 8) == 2);
  cr_assert(list[0].order == 7 && list[0].verdict.reason == PD_REASON_UNSPECIFIED);
  cr_assert(list[0].free_slots == 2 && list[0].verdict.start_ms == AT(HOURS(8)));
  cr_assert(list[1].order == 8 && list[1].verdict.reason == PD_REASON_SKILL);
}
