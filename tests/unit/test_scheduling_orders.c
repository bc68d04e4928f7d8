/* The deadlines of orders: waves, retries, escalation, and the four stages. */
#include "tests/unit/scheduling_given.h"

/* A window that ends at minute 460 and an hour's help: the latest start is minute 400, half way
 * 200, three quarters 300. */
#define END 460
#define LATEST 400

Test(scheduling_orders, says_that_a_wave_is_over_when_its_offers_expire) {
  start();
  placed(7, END);
  wave(7, 1, 30);
  until(29);
  core_expect_silence(&h);
  until(30);
  expect_wave_due(30, 7, 1);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_orders, follows_the_next_wave_when_one_opened_early) {
  start();
  placed(7, END);
  wave(7, 1, 30);
  until(10);
  wave(7, 2, 55);
  until(55);
  expect_wave_due(55, 7, 2);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_orders, retries_an_unmatched_order_after_a_quarter_of_the_time_left) {
  start();
  placed(7, 160); /* latest start 100 */
  until(4);
  unmatched(7, 1);
  until(28);
  expect_wave_due(28, 7, 1); /* 4 + 96 / 4 */
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_orders, retries_no_sooner_than_ten_minutes_and_no_later_than_an_hour) {
  start();
  placed_at(1, 0, 30 * DAY);
  placed_at(2, 0, 90); /* latest start 30 */
  unmatched(1, 1);
  unmatched(2, 1);
  until(10);
  expect_wave_due(10, 2, 1);
  until(19);
  core_expect_silence(&h);
  closed(2);
  until(60);
  expect_wave_due(60, 1, 1);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_orders, goes_on_retrying_while_matching_says_nothing) {
  start();
  placed_at(7, 0, 300); /* latest start 240; matching never speaks of it */
  until(60);
  expect_wave_due(60, 7, 0);
  until(105);
  expect_wave_due(105, 7, 0);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_orders, sends_no_wave_at_or_after_the_latest_start) {
  start();
  placed_at(7, 0, END);
  wave(7, 1, LATEST);
  until(LATEST);
  expect_expired(LATEST, 7, PD_ORDER_STAGE_STAFFING);
  until(END);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_orders, tells_the_institute_half_way_and_the_centre_at_three_quarters) {
  start();
  placed(7, END);
  wave(7, 1, LATEST);
  until(LATEST - 1);
  expect_escalated(200, 7, PD_SITE_LEVEL_INSTITUTE, 2);
  expect_escalated(300, 7, PD_SITE_LEVEL_CENTER, 1);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_orders, finds_the_levels_above_a_post_too) {
  start();
  placed_at(7, 4, END);
  wave(7, 1, LATEST);
  until(LATEST - 1);
  expect_escalated(200, 7, PD_SITE_LEVEL_INSTITUTE, 2);
  expect_escalated(300, 7, PD_SITE_LEVEL_CENTER, 1);
  core_stop(&h);
}

Test(scheduling_orders, leaves_out_a_level_that_is_not_above_the_site) {
  start();
  site(5, PD_SITE_LEVEL_STATION, 1); /* right below the centre */
  placed_at(7, 5, END);
  placed_at(8, 1, END);              /* at the centre itself */
  wave(7, 1, LATEST);
  wave(8, 1, LATEST);
  until(LATEST - 1);
  expect_escalated(300, 7, PD_SITE_LEVEL_CENTER, 1);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_orders, survives_sites_that_stand_in_a_circle) {
  start();
  site(10, PD_SITE_LEVEL_STATION, 11);
  site(11, PD_SITE_LEVEL_STATION, 10);
  placed_at(7, 10, END);
  wave(7, 1, LATEST);
  until(LATEST - 1);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_orders, escalates_nothing_that_is_staffed) {
  start();
  placed(7, END);
  wave(7, 1, 30);
  filled(7, 1, 31, 350, 410);
  staffed(7);
  until(289);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_orders, catches_up_on_escalation_when_a_helper_drops_out_late) {
  start();
  placed(7, END);
  filled(7, 1, 31, 395, 455);
  staffed(7);
  until(310);
  reopened(7, 1, 31, PD_REASON_WITHDREW);
  wave(7, 2, 325);
  until(325);
  expect_escalated(310, 7, PD_SITE_LEVEL_INSTITUTE, 2);
  expect_escalated(310, 7, PD_SITE_LEVEL_CENTER, 1);
  expect_wave_due(325, 7, 2);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_orders, expires_staffing_at_once_when_a_helper_leaves_after_the_latest_start) {
  start();
  placed_at(7, 1, END); /* nobody above the centre's own orders is told */
  filled(7, 1, 31, LATEST, END);
  staffed(7);
  until(LATEST + 5);
  core_skip(&h);
  reopened(7, 1, 31, PD_REASON_WITHDREW);
  until(LATEST + 6);
  expect_expired(LATEST + 5, 7, PD_ORDER_STAGE_STAFFING);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_orders, expires_at_once_what_was_placed_too_late) {
  start();
  placed(7, 30); /* an hour's help in half an hour */
  until(1);
  expect_expired(0, 7, PD_ORDER_STAGE_STAFFING);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_orders, expires_the_service_an_hour_after_window_and_length) {
  start();
  placed(7, END);
  filled(7, 1, 31, 100, 160);
  staffed(7);
  until(95);
  core_skip(&h);
  started(7, 1, 31);
  until(160);
  expect_reminder(160, PD_REMINDER_KIND_FINISH, 1, 31);
  until(END + 60 + 59);
  core_expect_silence(&h);
  until(END + 60 + 60);
  expect_expired(END + 60 + 60, 7, PD_ORDER_STAGE_SERVICE);
  until(10 * DAY);
  core_expect_silence(&h);
  core_stop(&h);
}

static void serve(uint64_t order) {
  placed(order, END);
  filled(order, 1, 31, 10, 70);
  staffed(order);
  started(order, 1, 31);
  until(60);
  finished(order, 1, 31);
  served(order);
}

Test(scheduling_orders, reminds_the_resident_after_a_day_and_expires_confirmation_after_a_week) {
  start();
  serve(7);
  until(60 + 8 * DAY);
  expect_reminder(60 + DAY, PD_REMINDER_KIND_CONFIRM, 0, 1007);
  expect_expired(60 + 7 * DAY, 7, PD_ORDER_STAGE_CONFIRMATION);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_orders, expires_rating_a_week_after_the_last_confirmation) {
  start();
  serve(7);
  until(2 * DAY);
  expect_reminder(60 + DAY, PD_REMINDER_KIND_CONFIRM, 0, 1007);
  confirmed(7, 1, true);
  until(30 * DAY);
  expect_expired(9 * DAY, 7, PD_ORDER_STAGE_RATING);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_orders, waits_for_the_last_confirmation) {
  start();
  serve(7);
  confirmed(7, 1, false);
  until(30 * DAY);
  expect_reminder(60 + DAY, PD_REMINDER_KIND_CONFIRM, 0, 1007);
  expect_expired(60 + 7 * DAY, 7, PD_ORDER_STAGE_CONFIRMATION);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_orders, counts_the_time_to_rate_from_the_service_when_all_was_confirmed_before) {
  start();
  placed(7, END);
  filled(7, 1, 31, 10, 70);
  started(7, 1, 31);
  finished(7, 1, 31);
  confirmed(7, 1, true); /* while the second slot was still open */
  until(50);
  core_skip(&h);
  served(7);
  until(30 * DAY);
  expect_expired(50 + 7 * DAY, 7, PD_ORDER_STAGE_RATING);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_orders, asks_for_another_confirmation_when_another_helper_finished) {
  start();
  placed(7, END);
  filled(7, 1, 31, 10, 70);
  filled(7, 2, 32, 10, 70);
  staffed(7);
  started(7, 1, 31);
  started(7, 2, 32);
  finished(7, 1, 31);
  confirmed(7, 1, true);
  finished(7, 2, 32);
  served(7);
  until(8 * DAY);
  expect_reminder(DAY, PD_REMINDER_KIND_CONFIRM, 0, 1007);
  expect_expired(7 * DAY, 7, PD_ORDER_STAGE_CONFIRMATION);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_orders, has_nothing_more_to_say_of_a_closed_order) {
  start();
  placed(7, END);
  wave(7, 1, 30);
  filled(7, 1, 31, 100, 160);
  closed(7);
  cr_assert_eq(h.core->deadline(h.self), at_ms(DAY)); /* nothing but the next day */
  until(30 * DAY);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_orders, ignores_facts_that_come_after_the_end_or_about_nothing) {
  start();
  placed(7, END);
  closed(7);
  wave(7, 1, 30);
  unmatched(7, 2);
  filled(7, 1, 31, 100, 160);
  staffed(7);
  reopened(7, 1, 31, PD_REASON_NO_SHOW);
  started(7, 1, 31);
  finished(7, 1, 31);
  served(7);
  confirmed(7, 1, true);
  closed(7);
  wave(0, 1, 30);
  site(0, PD_SITE_LEVEL_CENTER, 0);
  site(UINT32_MAX, PD_SITE_LEVEL_STATION, UINT32_MAX);
  placed_at(8, UINT32_MAX, INT64_MAX / PD_MINUTE_MS / 2);
  filled(8, 0, 31, 100, 160);
  filled(8, UINT32_MAX, 31, 100, 160);
  closed(8);
  until(30 * DAY);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_orders, says_all_that_a_jump_passed_in_the_order_of_its_times_and_nothing_twice) {
  start();
  placed(7, END);
  wave(7, 1, 30);
  placed(8, END);
  filled(8, 1, 31, 350, 410);
  staffed(8);
  jump_to(30 * DAY);
  int64_t now = 30 * DAY;
  expect_wave_due(now, 7, 1);
  expect_escalated(now, 7, PD_SITE_LEVEL_INSTITUTE, 2);
  expect_reminder(now, PD_REMINDER_KIND_START, 1, 31);
  expect_escalated(now, 7, PD_SITE_LEVEL_CENTER, 1);
  expect_no_show(now, 1, 31);
  expect_expired(now, 7, PD_ORDER_STAGE_STAFFING);
  expect_expired(now, 7, PD_ORDER_STAGE_SERVICE);
  expect_expired(now, 8, PD_ORDER_STAGE_SERVICE);
  core_expect_silence(&h);
  jump_to(60 * DAY);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_orders, says_a_bounded_number_of_events_at_a_time_and_asks_again) {
  static struct scheduling_policy policy;
  policy = scheduling_policy_default;
  policy.events_each_call = 5;
  core_start(&h, &scheduling_core, &pd_limits_small, &policy);
  for (uint64_t order = 1; order <= 12; order++) placed_at(order, 0, 30);
  h.now_ms = at_ms(5);
  struct pd_input time = {.kind = PD_INPUT_TIME, .now_ms = h.now_ms};
  pd_outbox_decide(&h.out, &time);
  cr_assert_eq(core_count(&h, PD_EVENT_ORDER_EXPIRED), 5);
  cr_assert(h.core->deadline(h.self) <= h.now_ms, "the rest is still due");
  until(6);
  cr_assert_eq(core_count(&h, PD_EVENT_ORDER_EXPIRED), 12);
  core_stop(&h);
}

Test(scheduling_orders, takes_as_many_orders_as_the_limit_and_their_successors) {
  start();
  for (uint64_t order = 1; order <= pd_limits_small.orders; order++) placed_at(order, 0, END);
  placed_at(1000, 0, END); /* one too many: ignored, and harmless */
  closed(5);
  placed_at(1001, 0, END);
  jump_to(LATEST);
  cr_assert_eq(core_count(&h, PD_EVENT_ORDER_EXPIRED), pd_limits_small.orders);
  core_stop(&h);
}

Test(scheduling_orders, computes_its_timers_anew_from_an_image_that_was_read_back) {
  start();
  placed(7, END);
  wave(7, 1, 30);
  filled(7, 1, 31, 350, 410);
  size_t length;
  const uint8_t *image = pd_arena_image(&h.arena, &length);
  static struct core_harness other;
  core_start(&other, &scheduling_core, &pd_limits_small, NULL);
  size_t room;
  uint8_t *into = pd_arena_image(&other.arena, &room);
  cr_assert_eq(length, room);
  memcpy(into, image, length);
  cr_assert_eq(other.core->deadline(other.self), at_ms(30));
  other.core->check(other.self);
  core_stop(&h);
}

Test(scheduling_orders, follows_a_changed_policy_for_orders_under_way_without_changing_a_fact) {
  static struct scheduling_policy policy;
  policy = scheduling_policy_default;
  policy.confirmation_ms = 2 * PD_DAY_MS;
  start();
  serve(7);
  size_t length, room;
  const uint8_t *image = pd_arena_image(&h.arena, &length);
  static struct core_harness other;
  core_start(&other, &scheduling_core, &pd_limits_small, &policy);
  for (size_t i = 0; i < h.history.count; i++) other.core->apply(other.self, h.history.items[i]);
  const uint8_t *same = pd_arena_image(&other.arena, &room);
  cr_assert(length == room && memcmp(image, same, length) == 0, "the policy shows in the image");
  other.now_ms = h.now_ms;
  core_time(&other, at_ms(60 + 2 * DAY));
  cr_assert_eq(core_count(&other, PD_EVENT_ORDER_EXPIRED), 1);
  core_stop(&h);
}

/* An offer that a coordinator asked for, open until this minute. */
static void named(uint64_t order, int64_t expires) {
  struct pd_offer_made body = PD_OFFER_MADE_INIT;
  body.order = order;
  body.offer = 1;
  body.volunteer = core_bytes(1);
  body.how = PD_OFFER_HOW_COMMANDED;
  body.expires_at_ms = at_ms(expires);
  core_hear(&h, PD_LOG_MATCHING, PD_EVENT_OFFER_MADE, &body);
}

Test(scheduling_orders, says_when_the_time_of_a_named_offer_is_over_beside_the_waves) {
  start();
  placed_at(7, 0, END);
  wave(7, 1, 30);
  until(10);
  named(7, 70);
  until(30);
  expect_wave_due(30, 7, 1);
  until(70);
  expect_wave_due(70, 7, 1);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_orders, a_named_offer_that_ends_first_leaves_the_wave_its_time) {
  start();
  placed_at(7, 0, END);
  wave(7, 1, 60);
  named(7, 20);
  until(20);
  expect_wave_due(20, 7, 1);
  until(59);
  core_expect_silence(&h);
  until(60);
  expect_wave_due(60, 7, 1);
  core_stop(&h);
}

Test(scheduling_orders, forgets_the_named_once_the_order_is_staffed) {
  start();
  placed_at(7, 0, END);
  named(7, 30);
  filled(7, 1, 2, 100, 160);
  staffed(7);
  until(39);
  reopened(7, 1, 2, PD_REASON_WITHDREW);
  until(40);
  core_expect_silence(&h); /* not at once for an offer that ended long ago */
  core_stop(&h);
}

Test(scheduling_orders, a_day_begins_once_after_a_day_with_an_order) {
  start();
  core_time(&h, at_ms(3 * DAY)); /* nobody asked for anything */
  core_expect_silence(&h);
  placed_at(7, 0, 10 * DAY);
  core_time(&h, at_ms(4 * DAY));
  const struct pd_event *event = core_last(&h, PD_EVENT_DAY_BEGAN);
  cr_assert(event != NULL && event->time_ms == at_ms(4 * DAY));
  cr_assert(event->day_began->start_ms == at_ms(4 * DAY) && event->day_began->date == 20250308);
  uint64_t seq = event->seq;
  core_time(&h, at_ms(6 * DAY)); /* and no order since */
  cr_assert(core_last(&h, PD_EVENT_DAY_BEGAN)->seq == seq);
  placed_at(8, 0, 10 * DAY);
  h.now_ms = at_ms(8 * DAY + 30); /* the clock was past midnight before anybody asked it */
  core_time(&h, h.now_ms);
  event = core_last(&h, PD_EVENT_DAY_BEGAN);
  cr_assert(event->day_began->start_ms == at_ms(8 * DAY) && event->day_began->date == 20250312);
  core_stop(&h);
}
