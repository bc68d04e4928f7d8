/* Hours that one principal alone has vouched for wait for a second person. */
#include "tests/unit/points_given.h"

#define MONTH_MS (30 * PD_DAY_MS)

/* Hold 1: an hour of volunteer 31, begun, ended and confirmed by one clerk. */
static void held(void) {
  start();
  chain(7, 31, 60, CLERK, CLERK);
  const struct pd_hold_placed *body = core_expect(&h, PD_EVENT_HOLD_PLACED)->hold_placed;
  cr_assert_eq(body->hold, 1);
  cr_assert_eq(body->order, 7);
  cr_assert_eq(body->slot, 1);
  cr_assert_eq(body->reason, PD_HOLD_REASON_PROXIED);
  cr_assert_eq(body->decide_by_ms, h.now_ms + MONTH_MS);
  cr_assert_eq(body->n_lines, 4);
  expect_held(31, 60, 2);
  expect_balance(31, 0, 0);
}

Test(points_holds, holds_what_the_same_principal_began_ended_and_confirmed) {
  held();
  core_expect_silence(&h);
  expect_issued(60, 2);
  core_stop(&h);
}

Test(points_holds, holds_when_only_the_start_or_only_the_finish_was_the_confirmers) {
  start();
  placed(1);
  filled(1, 1, 31);
  started(1, 1, 31, CLERK);
  finished(1, 1, 31, 60, VOLUNTEER);
  confirmed(1, 1, 31, 60, CLERK);
  core_expect(&h, PD_EVENT_HOLD_PLACED);
  placed(2);
  filled(2, 1, 32);
  started(2, 1, 32, VOLUNTEER);
  finished(2, 1, 32, 60, CLERK);
  confirmed(2, 1, 32, 60, CLERK);
  core_expect(&h, PD_EVENT_HOLD_PLACED);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(points_holds, posts_at_once_when_two_clerks_share_the_work) {
  start();
  chain(7, 31, 60, CLERK, OTHER_CLERK);
  core_expect(&h, PD_EVENT_POINTS_POSTED);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(points_holds, tells_principals_apart_by_every_byte) {
  start();
  chain(1, 31, 60, "site/uid:1", "site/uid:10");
  core_expect(&h, PD_EVENT_POINTS_POSTED);
  chain(2, 31, 60, "site/uid:1", "Site/uid:1");
  core_expect(&h, PD_EVENT_POINTS_POSTED);
  chain(3, 31, 60, "", ""); /* nobody is nobody's second person */
  core_expect(&h, PD_EVENT_HOLD_PLACED);
  core_stop(&h);
}

Test(points_holds, moves_the_amount_to_the_person_when_another_approves) {
  held();
  decided(1, true, OTHER_CLERK);
  expect_resolved(1, PD_HOLD_OUTCOME_POSTED);
  core_expect_silence(&h);
  expect_balance(31, 60, 2);
  expect_held(31, 0, 0);
  expect_issued(60, 2);
  core_stop(&h);
}

Test(points_holds, takes_the_amount_back_when_another_refuses) {
  held();
  decided(1, false, OTHER_CLERK);
  expect_resolved(1, PD_HOLD_OUTCOME_VOIDED);
  expect_balance(31, 0, 0);
  expect_held(31, 0, 0);
  expect_issued(0, 0);
  core_stop(&h);
}

Test(points_holds, lets_nobody_decide_who_took_part) {
  start();
  placed(7);
  filled(7, 1, 31);
  started(7, 1, 31, VOLUNTEER);
  finished(7, 1, 31, 60, CLERK);
  confirmed(7, 1, 31, 60, CLERK);
  core_expect(&h, PD_EVENT_HOLD_PLACED);
  decided(1, true, CLERK);
  decided(1, true, VOLUNTEER);
  decided(1, false, CLERK);
  core_expect_silence(&h);
  expect_held(31, 60, 2);
  decided(1, true, OTHER_CLERK);
  expect_resolved(1, PD_HOLD_OUTCOME_POSTED);
  core_stop(&h);
}

Test(points_holds, times_out_after_thirty_days) {
  held();
  later(MONTH_MS - 1);
  core_expect_silence(&h);
  later(1);
  expect_resolved(1, PD_HOLD_OUTCOME_TIMED_OUT);
  later(MONTH_MS);
  core_expect_silence(&h);
  expect_issued(0, 0);
  core_stop(&h);
}

Test(points_holds, resolves_once_whoever_decides_later) {
  held();
  decided(1, true, OTHER_CLERK);
  decided(1, false, OTHER_CLERK);
  decided(1, true, "site/uid:2003");
  later(2 * MONTH_MS);
  expect_resolved(1, PD_HOLD_OUTCOME_POSTED);
  core_expect_silence(&h);
  expect_balance(31, 60, 2);
  core_stop(&h);
}

Test(points_holds, takes_no_decision_that_was_said_too_late) {
  held();
  h.now_ms += MONTH_MS; /* the decision overtakes the clock's news */
  decided(1, true, OTHER_CLERK);
  core_expect_silence(&h);
  later(0);
  expect_resolved(1, PD_HOLD_OUTCOME_TIMED_OUT);
  core_stop(&h);
}

Test(points_holds, outlives_its_order) {
  held();
  closed(7);
  decided(1, true, OTHER_CLERK);
  expect_resolved(1, PD_HOLD_OUTCOME_POSTED);
  expect_balance(31, 60, 2);
  core_stop(&h);
}

Test(points_holds, is_placed_once_however_often_the_confirmation_is_said) {
  held();
  confirmed(7, 1, 31, 60, CLERK);
  confirmed(7, 1, 31, 60, RESIDENT);
  core_expect_silence(&h);
  expect_held(31, 60, 2);
  expect_balance(31, 0, 0);
  core_stop(&h);
}

Test(points_holds, counts_towards_a_star_when_it_is_posted_not_before) {
  static const struct points_policy policy = {
      .minutes_each = 30, .points_each = 1, .hold_ms = PD_DAY_MS,
      .star_minutes = {60, 200, 300, 1000, 2000}, .events_each_call = 10};
  core_start(&h, &points_core, &pd_limits_small, &policy);
  volunteer(31);
  chain(7, 31, 60, CLERK, CLERK);
  core_expect(&h, PD_EVENT_HOLD_PLACED);
  core_expect_silence(&h);
  decided(1, true, OTHER_CLERK);
  expect_resolved(1, PD_HOLD_OUTCOME_POSTED);
  cr_assert_eq(core_expect(&h, PD_EVENT_STAR_REACHED)->star_reached->star, 1);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(points_holds, times_out_the_oldest_early_when_there_is_no_room_for_one_more) {
  start();
  for (uint64_t order = 1; order <= pd_limits_small.holds; order++) {
    chain(order, 31, 60, CLERK, CLERK);
    closed(order);
    later(1);
  }
  core_skip(&h);
  chain(1000, 32, 60, CLERK, CLERK);
  expect_resolved(1, PD_HOLD_OUTCOME_TIMED_OUT);
  core_expect(&h, PD_EVENT_HOLD_PLACED);
  core_expect_silence(&h);
  expect_held(31, 60 * (pd_limits_small.holds - 1), 2 * (pd_limits_small.holds - 1));
  expect_held(32, 60, 2);
  core_stop(&h);
}

Test(points_holds, times_out_all_that_a_jump_of_the_clock_passed_in_bounded_steps) {
  static const struct points_policy policy = {
      .minutes_each = 30, .points_each = 1, .hold_ms = PD_DAY_MS,
      .star_minutes = {60000, 60001, 60002, 60003, 60004}, .events_each_call = 4};
  core_start(&h, &points_core, &pd_limits_small, &policy);
  volunteer(31);
  for (uint64_t order = 1; order <= 10; order++) chain(order, 31, 60, CLERK, CLERK);
  core_skip(&h);
  h.now_ms += 2 * PD_DAY_MS;
  struct pd_input time = {.kind = PD_INPUT_TIME, .now_ms = h.now_ms};
  pd_outbox_decide(&h.out, &time);
  cr_assert_eq(core_count(&h, PD_EVENT_HOLD_RESOLVED), 4);
  later(0);
  cr_assert_eq(core_count(&h, PD_EVENT_HOLD_RESOLVED), 10);
  expect_issued(0, 0);
  core_stop(&h);
}

Test(points_holds, keeps_the_books_balanced_over_a_thousand_random_services) {
  static const char *const who[] = {VOLUNTEER, RESIDENT, CLERK, OTHER_CLERK};
  start();
  uint64_t seed = 42;
  int64_t minutes = 0;
  for (uint64_t order = 1; order <= 1000; order++) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    uint32_t dice = (uint32_t)(seed >> 33);
    uint32_t served = 1 + dice % 300;
    chain(order, 31 + (dice >> 9) % 4, served, who[(dice >> 11) % 4], who[(dice >> 13) % 4]);
    closed(order);
    if (order % 3 == 0) decided(1 + (dice >> 15) % order, (dice & 1) != 0, who[(dice >> 17) % 4]);
    if (order % 5 == 0) later(PD_DAY_MS);
  }
  for (uint64_t person = 31; person <= 34; person++) {
    struct pd_id id = core_id(person);
    minutes += points_balance(h.self, &id, PD_UNIT_MINUTES);
    minutes += points_held(h.self, &id, PD_UNIT_MINUTES);
  }
  cr_assert_eq(points_total(h.self, PD_ACCOUNT_ISSUED, PD_UNIT_MINUTES), -minutes);
  cr_assert_gt(core_count(&h, PD_EVENT_POINTS_POSTED), 500);
  cr_assert_gt(core_count(&h, PD_EVENT_HOLD_RESOLVED), 50);
  core_stop(&h);
}
