/* Waves, answers, and what follows when a booking ends. */
#include "tests/unit/matching_harness.h"

#include <criterion/criterion.h>

TestSuite(matching_waves, .init = matching_begin, .fini = matching_end);

/* Volunteers 1 .. count live 1, 2, 3 … cells east of the base. */
static void given_street(uint64_t count) {
  for (uint64_t person = 1; person <= count; person++)
    given_volunteer(person, (struct a_volunteer){.east = (int32_t)person});
}

/* Order 7 is placed, and its first wave goes to volunteers 1, 2 and 3. */
static void given_first_wave(uint64_t volunteers) {
  given_street(volunteers);
  when_placed(7, (struct an_order){.need = 1});
  expect_wave(7, 1, 3);
  for (uint64_t person = 1; person <= 3; person++) expect_offer(7, person);
  expect_silence();
}

Test(matching_waves, asks_the_nearest_first) {
  given_volunteer(31, (struct a_volunteer){.east = 9});
  given_volunteer(32, (struct a_volunteer){.east = -2});
  given_volunteer(33, (struct a_volunteer){.north = 30});
  given_volunteer(34, (struct a_volunteer){.east = 4});
  when_placed(7, (struct an_order){0});
  const struct pd_wave_opened *wave = expect_wave(7, 1, 3);
  cr_assert(wave->considered == 3 && wave->n_excluded == 0);
  expect_offer(7, 32);
  expect_offer(7, 34);
  expect_offer(7, 31);
  expect_silence();
}

Test(matching_waves, tells_distance_and_time_in_each_offer) {
  given_volunteer(31, (struct a_volunteer){.east = 10});
  when_placed(7, (struct an_order){.minutes = 90});
  const struct pd_wave_opened *wave = expect_wave(7, 1, 1);
  cr_assert(wave->expires_at_ms == AT(60));
  const struct pd_offer_made *offer = expect_offer(7, 31);
  cr_assert(offer->offer == 1 && offer->wave == 1);
  cr_assert(offer->distance_m > 880 && offer->distance_m < 900, "%u m", offer->distance_m);
  cr_assert(offer->start_ms == AT(HOURS(8)) && offer->end_ms == AT(HOURS(8) + 90));
  cr_assert(offer->expires_at_ms == wave->expires_at_ms);
}

Test(matching_waves, lets_offers_live_as_long_as_the_urgency_says) {
  const uint32_t minutes[] = {60, 60, 30, 15, 15};
  given_street(3);
  for (uint32_t urgency = 1; urgency <= 4; urgency++) {
    when_placed(urgency, (struct an_order){.urgency = (enum pd_urgency)urgency});
    cr_assert(expect_wave(urgency, 1, 3)->expires_at_ms == AT(minutes[urgency]));
    core_skip(&h);
  }
}

Test(matching_waves, lets_no_offer_outlive_the_latest_start) {
  given_street(1);
  when_placed(7, (struct an_order){.start_min = 1, .end_min = 100, .minutes = 60});
  cr_assert(expect_wave(7, 1, 1)->expires_at_ms == AT(40));
  cr_assert(expect_offer(7, 1)->start_ms == AT(15), "lead time to get there");
}

Test(matching_waves, asks_the_next_nearest_when_all_decline) {
  given_first_wave(5);
  when_answered(7, 2, false);
  expect_closed(7, 2, PD_REASON_DECLINED);
  when_answered(7, 1, false);
  expect_closed(7, 1, PD_REASON_DECLINED);
  expect_silence();
  when_answered(7, 3, false);
  expect_closed(7, 3, PD_REASON_DECLINED);
  expect_wave(7, 2, 2);
  expect_offer(7, 4);
  expect_offer(7, 5);
  expect_silence();
}

Test(matching_waves, asks_the_next_nearest_when_the_first_stay_silent) {
  given_first_wave(5);
  at_minute(60);
  when_wave_due(7, 1);
  for (uint64_t person = 1; person <= 3; person++) expect_closed(7, person, PD_REASON_SILENT);
  expect_wave(7, 2, 2);
  expect_offer(7, 4);
  expect_offer(7, 5);
  expect_silence();
}

Test(matching_waves, ignores_the_time_of_an_old_wave_and_one_that_comes_too_early) {
  given_first_wave(9);
  at_minute(59);
  when_wave_due(7, 1);
  expect_silence();
  at_minute(60);
  when_wave_due(7, 1);
  core_skip(&h);
  when_wave_due(7, 1);
  when_wave_due(7, 9);
  when_wave_due(8, 1);
  expect_silence();
}

Test(matching_waves, gives_the_slot_to_the_first_who_accepts) {
  given_first_wave(5);
  when_answered(7, 2, true);
  const struct pd_slot_filled *filled = expect_filled(7, 1, 2);
  cr_assert(filled->start_ms == AT(HOURS(8)) && filled->end_ms == AT(HOURS(9)));
  expect_closed(7, 1, PD_REASON_FILLED);
  expect_closed(7, 3, PD_REASON_FILLED);
  expect_staffed(7);
  when_answered(7, 1, true); /* it crossed the news that the slot is gone */
  when_wave_due(7, 1);
  expect_silence();
}

Test(matching_waves, fills_every_slot_of_an_order_for_several) {
  given_street(8);
  when_placed(7, (struct an_order){.need = 2});
  expect_wave(7, 1, 6);
  for (uint64_t person = 1; person <= 6; person++) expect_offer(7, person);
  when_answered(7, 4, true);
  expect_filled(7, 1, 4);
  expect_silence();
  when_answered(7, 5, true);
  expect_filled(7, 2, 5);
  const uint64_t others[] = {1, 2, 3, 6};
  for (size_t i = 0; i < 4; i++) expect_closed(7, others[i], PD_REASON_FILLED);
  expect_staffed(7);
  expect_silence();
}

Test(matching_waves, asks_again_for_the_slots_that_are_still_free) {
  given_street(8);
  when_placed(7, (struct an_order){.need = 2});
  core_skip(&h);
  when_answered(7, 3, true);
  expect_filled(7, 1, 3);
  at_minute(60);
  when_wave_due(7, 1);
  const uint64_t silent[] = {1, 2, 4, 5, 6};
  for (size_t i = 0; i < 5; i++) expect_closed(7, silent[i], PD_REASON_SILENT);
  expect_wave(7, 2, 2);
  expect_offer(7, 7);
  expect_offer(7, 8);
}

Test(matching_waves, sends_no_more_offers_at_once_than_a_wave_may_hold) {
  matching_end();
  static struct matching_policy policy;
  policy = matching_policy_default;
  policy.wave_max = 4;
  matching_begin_with(&policy, &pd_limits_small);
  given_street(9);
  when_placed(7, (struct an_order){.need = 8});
  expect_wave(7, 1, 4);
}

Test(matching_waves, looks_for_somebody_else_when_a_helper_withdraws) {
  given_first_wave(5);
  when_answered(7, 1, true);
  core_skip(&h);
  when_withdrew(7, 1, 1);
  expect_reopened(7, 1, 1, PD_REASON_WITHDREW);
  expect_wave(7, 2, 2);
  expect_offer(7, 4);
  expect_offer(7, 5);
  when_answered(7, 5, true);
  expect_filled(7, 1, 5);
}

Test(matching_waves, looks_for_somebody_else_when_nobody_shows_up) {
  given_first_wave(5);
  when_answered(7, 1, true);
  core_skip(&h);
  at_minute(HOURS(8) + 30);
  when_no_show(7, 1, 1);
  expect_reopened(7, 1, 1, PD_REASON_NO_SHOW);
  expect_wave(7, 2, 2);
  cr_assert(expect_offer(7, 4)->start_ms == AT(HOURS(8) + 45));
}

Test(matching_waves, sends_nobody_once_it_is_too_late_to_begin) {
  given_first_wave(5);
  when_answered(7, 1, true);
  core_skip(&h);
  at_minute(HOURS(17) + 1);
  when_no_show(7, 1, 1);
  expect_reopened(7, 1, 1, PD_REASON_NO_SHOW);
  expect_silence();
}

Test(matching_waves, does_not_reopen_a_service_that_has_begun) {
  given_first_wave(5);
  when_answered(7, 1, true);
  core_skip(&h);
  when_started(7, 1, 1);
  when_withdrew(7, 1, 1);
  when_no_show(7, 1, 1);
  expect_silence();
}

Test(matching_waves, books_again_who_had_started_before_the_no_show_was_heard) {
  given_first_wave(5);
  when_answered(7, 1, true);
  core_skip(&h);
  at_minute(HOURS(8) + 30);
  when_no_show(7, 1, 1);
  expect_reopened(7, 1, 1, PD_REASON_NO_SHOW);
  expect_wave(7, 2, 2);
  core_skip(&h);
  when_started(7, 1, 1);
  const struct pd_slot_filled *said = expect_kept(7, 1, 1);
  cr_assert(said->started && said->start_ms == AT(HOURS(8)));
  expect_closed(7, 4, PD_REASON_FILLED);
  expect_closed(7, 5, PD_REASON_FILLED);
  expect_staffed(7);
  when_no_show(7, 1, 1);
  expect_silence();
}

Test(matching_waves, who_was_booked_meanwhile_moves_to_a_free_slot) {
  given_street(5);
  when_placed(7, (struct an_order){.need = 2});
  when_answered(7, 1, true);
  at_minute(HOURS(8) + 30);
  when_no_show(7, 1, 1);
  when_answered(7, 2, true);
  core_skip(&h);
  when_started(7, 1, 1);
  expect_reopened(7, 1, 2, PD_REASON_FILLED);
  expect_kept(7, 1, 1);
  cr_assert(!expect_kept(7, 2, 2)->started);
  core_skip(&h);
  when_no_show(7, 2, 2);
  expect_reopened(7, 2, 2, PD_REASON_NO_SHOW);
}

Test(matching_waves, who_was_booked_meanwhile_is_let_go_when_no_slot_is_free) {
  given_street(5);
  when_placed(7, (struct an_order){.need = 2});
  when_answered(7, 1, true);
  at_minute(HOURS(8) + 30);
  when_no_show(7, 1, 1);
  when_answered(7, 2, true);
  when_answered(7, 3, true);
  core_skip(&h);
  when_started(7, 1, 1);
  expect_reopened(7, 1, 2, PD_REASON_FILLED);
  expect_kept(7, 1, 1);
  expect_staffed(7);
  expect_silence();
}

Test(matching_waves, who_has_started_is_let_go_elsewhere) {
  given_street(5);
  when_placed(7, (struct an_order){0});
  when_placed(8, (struct an_order){.start_min = HOURS(8) + 15});
  when_answered(7, 1, true);
  at_minute(HOURS(8) + 30);
  when_no_show(7, 1, 1);
  when_answered(8, 1, true);
  when_started(7, 1, 1);
  core_skip(&h);
  when_no_show(8, 1, 1);
  expect_silence();
}

Test(matching_waves, a_start_by_who_was_never_booked_changes_nothing) {
  given_first_wave(5);
  when_started(7, 1, 2);
  when_started(7, 1, 99);
  when_started(7, 2, 1);
  when_answered(7, 1, true);
  core_skip(&h);
  when_started(7, 1, 2);
  expect_silence();
  when_no_show(7, 1, 1);
  expect_reopened(7, 1, 1, PD_REASON_NO_SHOW);
}

Test(matching_waves, reopens_only_what_that_volunteer_holds) {
  given_first_wave(5);
  when_answered(7, 1, true);
  core_skip(&h);
  when_withdrew(7, 1, 2);
  when_withdrew(7, 2, 1);
  when_withdrew(8, 1, 1);
  expect_silence();
}

Test(matching_waves, says_unmatched_and_tries_again_when_told) {
  when_placed(7, (struct an_order){0});
  const struct pd_order_unmatched *said = expect_unmatched(7, 1);
  cr_assert(said->considered == 0);
  given_street(1);
  expect_silence();
  when_wave_due(7, 1);
  expect_wave(7, 1, 1);
  expect_offer(7, 1);
}

Test(matching_waves, tries_again_when_the_order_is_escalated) {
  when_placed(7, (struct an_order){0});
  expect_unmatched(7, 1);
  given_street(1);
  when_escalated(7);
  expect_wave(7, 1, 1);
  expect_offer(7, 1);
  when_escalated(7); /* a wave is open: nothing to add */
  expect_silence();
}

Test(matching_waves, closes_the_offers_of_a_cancelled_order_once) {
  given_first_wave(5);
  when_cancelled(7);
  for (uint64_t person = 1; person <= 3; person++) expect_closed(7, person, PD_REASON_ORDER_ENDED);
  when_closed(7, PD_ORDER_STATE_CANCELLED);
  when_answered(7, 1, true);
  when_wave_due(7, 1);
  expect_silence();
  cr_assert(matching_load(h.self).orders == 0);
}

Test(matching_waves, closes_open_offers_when_the_order_ends_and_forgets_it) {
  given_first_wave(5);
  when_closed(7, PD_ORDER_STATE_UNFILLED);
  for (uint64_t person = 1; person <= 3; person++) expect_closed(7, person, PD_REASON_ORDER_ENDED);
  expect_silence();
  struct matching_load load = matching_load(h.self);
  cr_assert(load.orders == 0 && load.offers == 0 && load.asked == 0 && load.bookings == 0);
}

Test(matching_waves, stops_inviting_after_the_staffing_deadline) {
  given_first_wave(9);
  at_minute(HOURS(17));
  when_expired(7, PD_ORDER_STAGE_STAFFING);
  for (uint64_t person = 1; person <= 3; person++) expect_closed(7, person, PD_REASON_ORDER_ENDED);
  when_wave_due(7, 1);
  when_escalated(7);
  expect_silence();
}

Test(matching_waves, stops_inviting_once_the_order_was_served) {
  given_street(9);
  when_placed(7, (struct an_order){.need = 2});
  core_skip(&h);
  when_answered(7, 1, true);
  when_started(7, 1, 1);
  core_skip(&h);
  when_served(7);
  cr_assert(core_count(&h, PD_EVENT_OFFER_CLOSED) == 5);
  core_skip(&h);
  when_wave_due(7, 1);
  expect_silence();
}

Test(matching_waves, goes_on_inviting_when_a_later_stage_expires) {
  given_first_wave(9);
  when_expired(7, PD_ORDER_STAGE_RATING);
  expect_silence();
}

Test(matching_waves, invites_no_one_who_has_paused_until_they_resume) {
  given_first_wave(3);
  when_paused(2);
  expect_closed(7, 2, PD_REASON_INACTIVE);
  expect_silence();
  when_placed(8, (struct an_order){0});
  expect_wave(8, 1, 2);
  expect_offer(8, 1);
  expect_offer(8, 3);
  when_resumed(2);
  when_placed(9, (struct an_order){0});
  expect_wave(9, 1, 3);
  expect_offer(9, 1);
  expect_offer(9, 2);
}

Test(matching_waves, leaves_the_bookings_of_one_who_pauses) {
  given_first_wave(3);
  when_answered(7, 1, true);
  core_skip(&h);
  when_paused(1);
  expect_silence();
  cr_assert(matching_load(h.self).bookings == 1);
}

Test(matching_waves, opens_the_next_wave_when_the_last_invited_one_pauses) {
  given_street(1);
  when_placed(7, (struct an_order){0});
  core_skip(&h);
  given_volunteer(4, (struct a_volunteer){.east = 4});
  when_paused(1);
  expect_closed(7, 1, PD_REASON_INACTIVE);
  expect_wave(7, 2, 1);
  expect_offer(7, 4);
}

Test(matching_waves, replaces_one_who_leaves_for_good) {
  given_first_wave(5);
  when_answered(7, 1, true);
  when_placed(8, (struct an_order){.start_min = HOURS(12)});
  core_skip(&h);
  when_exited(1);
  expect_closed(8, 1, PD_REASON_INACTIVE);
  expect_reopened(7, 1, 1, PD_REASON_INACTIVE);
  expect_wave(7, 2, 2);
  expect_offer(7, 4);
  expect_offer(7, 5);
  expect_silence();
}

Test(matching_waves, keeps_a_service_that_has_begun_when_its_helper_is_erased) {
  given_first_wave(5);
  when_answered(7, 1, true);
  when_started(7, 1, 1);
  core_skip(&h);
  when_erased(1);
  expect_silence();
  when_resumed(1);
  given_volunteer(1, (struct a_volunteer){.east = 1});
  when_placed(8, (struct an_order){0});
  expect_wave(8, 1, 3);
  expect_offer(8, 2);
}

Test(matching_waves, does_not_bring_back_one_who_left_by_a_late_pause) {
  given_street(1);
  when_exited(1);
  when_paused(1);
  when_resumed(1);
  when_placed(7, (struct an_order){0});
  cr_assert(tally_of(expect_unmatched(7, 1), PD_REASON_INACTIVE) == 1);
}

Test(matching_waves, asks_nobody_twice_for_the_same_order) {
  given_street(2);
  when_placed(7, (struct an_order){0});
  core_skip(&h);
  when_answered(7, 1, true);
  when_withdrew(7, 1, 1);
  core_skip(&h);
  when_wave_due(7, 2);
  const struct pd_order_unmatched *said = expect_unmatched(7, 2);
  cr_assert(tally_of(said, PD_REASON_ALREADY_ASKED) == 2);
}

Test(matching_waves, books_the_next_time_that_suits_when_the_answer_comes_after_the_start) {
  given_street(1);
  when_placed(7, (struct an_order){.start_min = 1, .end_min = HOURS(4), .minutes = 60});
  expect_wave(7, 1, 1);
  cr_assert(expect_offer(7, 1)->start_ms == AT(15));
  at_minute(50);
  when_answered(7, 1, true);
  const struct pd_slot_filled *filled = expect_filled(7, 1, 1);
  cr_assert(filled->start_ms == AT(65) && filled->end_ms == AT(125));
}

Test(matching_waves, books_the_latest_start_when_the_lead_would_pass_it) {
  given_street(1);
  when_placed(7, (struct an_order){.start_min = 1, .end_min = 100, .minutes = 60});
  core_skip(&h);
  at_minute(30);
  when_answered(7, 1, true);
  cr_assert(expect_filled(7, 1, 1)->start_ms == AT(40));
}

Test(matching_waves, closes_an_offer_that_is_accepted_when_no_time_is_left) {
  given_street(1);
  when_placed(7, (struct an_order){.start_min = 1, .end_min = 100, .minutes = 60});
  core_skip(&h);
  at_minute(41);
  when_answered(7, 1, true);
  expect_closed(7, 1, PD_REASON_HOURS);
  expect_unmatched(7, 2);
}

Test(matching_waves, ignores_what_it_does_not_know) {
  given_street(1);
  when_placed(7, (struct an_order){0});
  core_skip(&h);
  when_paused(77);
  when_resumed(77);
  when_exited(77);
  when_erased(77);
  when_started(8, 1, 1);
  when_started(7, 3, 1);
  when_served(8);
  when_cancelled(8);
  when_closed(8, PD_ORDER_STATE_CANCELLED);
  when_escalated(8);
  when_expired(8, PD_ORDER_STAGE_STAFFING);
  when_no_show(8, 1, 1);
  when_placed(7, (struct an_order){0}); /* the same order again */
  expect_silence();
}

Test(matching_waves, says_so_when_the_shard_is_full) {
  static struct pd_limits limits;
  limits = pd_limits_small;
  limits.offers = 4;
  matching_end();
  matching_begin_with(NULL, &limits);
  given_street(9);
  when_placed(1, (struct an_order){0});
  expect_wave(1, 1, 3);
  core_skip(&h);
  when_placed(2, (struct an_order){0});
  expect_wave(2, 1, 1);
  core_skip(&h);
  when_placed(3, (struct an_order){0});
  cr_assert(tally_of(expect_unmatched(3, 1), PD_REASON_FULL) == 3);
  when_closed(1, PD_ORDER_STATE_CANCELLED);
  core_skip(&h);
  when_wave_due(3, 1);
  expect_wave(3, 1, 3);
}

Test(matching_waves, books_no_more_than_the_shard_may_hold) {
  static struct pd_limits limits;
  limits = pd_limits_small;
  limits.bookings = 1;
  matching_end();
  matching_begin_with(NULL, &limits);
  given_street(9);
  when_placed(1, (struct an_order){0});
  when_placed(2, (struct an_order){.start_min = HOURS(12)});
  core_skip(&h);
  when_answered(1, 1, true);
  core_skip(&h);
  when_answered(2, 2, true);
  expect_closed(2, 2, PD_REASON_FULL);
  when_answered(2, 1, false);
  when_answered(2, 3, false);
  core_skip(&h);
  when_placed(3, (struct an_order){0});
  cr_assert(tally_of(expect_unmatched(3, 1), PD_REASON_FULL) == 3);
}

/* Nothing that another daemon says can break the fold, whatever it says. */
static void hear_nonsense(uint64_t order, int64_t from_ms, int64_t to_ms, uint32_t number) {
  struct pd_cell cell = PD_CELL_INIT;
  cell.x = (int32_t)number;
  cell.y = INT32_MIN;
  struct pd_order_placed placed = PD_ORDER_PLACED_INIT;
  placed.order = order;
  placed.category = "";
  placed.cell = number == 0 ? NULL : &cell;
  placed.need = number;
  placed.minutes = number;
  placed.urgency = (enum pd_urgency)number;
  placed.kind = (enum pd_order_kind)number;
  placed.window_start_ms = from_ms;
  placed.window_end_ms = to_ms;
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_ORDER_PLACED, &placed);
  struct pd_volunteer_registered registered = PD_VOLUNTEER_REGISTERED_INIT;
  registered.person = core_bytes(order);
  registered.cell = placed.cell;
  registered.radius_m = number;
  registered.max_per_week = number;
  registered.age = (enum pd_age_band)number;
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_VOLUNTEER_REGISTERED, &registered);
  when_wave_due(order, 1);
  when_withdrew(order, number, order);
}

Test(matching_waves, bears_whatever_another_daemon_says) {
  const int64_t times[] = {INT64_MIN, -1, 0, AT(60), AT(6000), INT64_MAX};
  const uint32_t numbers[] = {0, 1, 63, 64, 65, INT32_MAX, UINT32_MAX};
  uint64_t order = 0;
  for (size_t from = 0; from < 6; from++)
    for (size_t number = 0; number < 7; number++)
      hear_nonsense(++order, times[from], times[(from + number) % 6], numbers[number]);
  hear_nonsense(0, 0, AT(600), 1);
  hear_nonsense(UINT64_MAX, 0, AT(600), 1);
}
