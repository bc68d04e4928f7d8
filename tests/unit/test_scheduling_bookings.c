/* The deadlines of bookings: reminders and no-shows. */
#include "tests/unit/scheduling_given.h"

/* Order 7, whose window is long, with slot 1 booked by volunteer 31 from minute 200 to 260. */
static void booked(void) {
  start();
  placed_at(7, 0, 2 * DAY);
  filled(7, 1, 31, 200, 260);
  staffed(7);
}

Test(scheduling_bookings, reminds_an_hour_before_the_start) {
  booked();
  until(139);
  core_expect_silence(&h);
  until(140);
  expect_reminder(140, PD_REMINDER_KIND_START, 1, 31);
  until(199);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_bookings, does_not_remind_who_booked_within_the_hour) {
  start();
  placed_at(7, 0, 2 * DAY);
  until(1);
  filled(7, 1, 31, 61, 121);
  staffed(7);
  until(90);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_bookings, notes_a_no_show_half_an_hour_after_the_start) {
  booked();
  until(229);
  expect_reminder(140, PD_REMINDER_KIND_START, 1, 31);
  core_expect_silence(&h);
  until(600);
  expect_no_show(230, 1, 31);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_bookings, notes_no_no_show_of_who_has_started) {
  booked();
  until(229);
  core_skip(&h);
  started(7, 1, 31);
  until(259);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_bookings, reminds_to_finish_at_the_booked_end_once) {
  booked();
  until(205);
  core_skip(&h);
  started(7, 1, 31);
  until(1000);
  expect_reminder(260, PD_REMINDER_KIND_FINISH, 1, 31);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_bookings, reminds_nobody_who_has_finished) {
  booked();
  until(205);
  core_skip(&h);
  started(7, 1, 31);
  until(250);
  finished(7, 1, 31);
  until(1000);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_bookings, forgets_a_booking_that_ended_and_reminds_the_next_volunteer) {
  booked();
  until(100);
  reopened(7, 1, 31, PD_REASON_WITHDREW);
  wave(7, 1, 130);
  until(110);
  filled(7, 1, 32, 200, 260);
  staffed(7);
  until(230);
  expect_reminder(140, PD_REMINDER_KIND_START, 1, 32);
  expect_no_show(230, 1, 32);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_bookings, gives_the_same_volunteer_all_reminders_again_after_booking_again) {
  booked();
  until(150);
  expect_reminder(140, PD_REMINDER_KIND_START, 1, 31);
  reopened(7, 1, 31, PD_REASON_WITHDREW);
  filled(7, 1, 31, 400, 460);
  staffed(7);
  until(340);
  expect_reminder(340, PD_REMINDER_KIND_START, 1, 31);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_bookings, does_not_take_one_volunteers_start_for_anothers) {
  booked();
  until(150);
  core_skip(&h);
  reopened(7, 1, 31, PD_REASON_NO_SHOW);
  filled(7, 1, 32, 200, 260);
  staffed(7);
  started(7, 1, 31); /* said before the news of the reopening arrived */
  reopened(7, 1, 31, PD_REASON_WITHDREW);
  until(230);
  expect_no_show(230, 1, 32);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_bookings, stands_by_a_start_that_crossed_with_the_reopening) {
  booked();
  until(205);
  core_skip(&h);
  started(7, 1, 31);
  reopened(7, 1, 31, PD_REASON_NO_SHOW);
  wave(7, 1, 230);
  filled(7, 1, 32, 300, 360);
  until(270);
  expect_wave_due(230, 7, 1);
  expect_reminder(260, PD_REMINDER_KIND_FINISH, 1, 31);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_bookings, looks_at_each_slot_by_itself) {
  start();
  placed_at(7, 0, 2 * DAY);
  filled(7, 1, 31, 200, 260);
  filled(7, 2, 32, 300, 360);
  filled(7, 3, 33, 300, 360);
  staffed(7);
  until(190);
  expect_reminder(140, PD_REMINDER_KIND_START, 1, 31);
  started(7, 1, 31);
  until(265);
  expect_reminder(240, PD_REMINDER_KIND_START, 2, 32);
  expect_reminder(240, PD_REMINDER_KIND_START, 3, 33);
  expect_reminder(260, PD_REMINDER_KIND_FINISH, 1, 31);
  finished(7, 1, 31);
  started(7, 3, 33);
  until(400);
  expect_no_show(330, 2, 32);
  expect_reminder(360, PD_REMINDER_KIND_FINISH, 3, 33);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_bookings, waits_for_nobody_once_the_order_is_served) {
  start();
  placed_at(7, 0, 2 * DAY);
  filled(7, 1, 31, 200, 260);
  filled(7, 2, 32, 200, 260);
  staffed(7);
  until(205);
  core_skip(&h);
  started(7, 1, 31);
  finished(7, 1, 31);
  served(7);
  until(205 + DAY - 1);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(scheduling_bookings, keeps_all_bookings_of_the_limit_and_ignores_one_too_many) {
  start();
  uint32_t each = pd_limits_small.slots;
  uint32_t orders = pd_limits_small.bookings / each;
  for (uint64_t order = 1; order <= orders + 1; order++) {
    placed_at(order, 0, 2 * DAY);
    for (uint32_t slot = 1; slot <= each; slot++) filled(order, slot, 31, 200, 260);
    staffed(order);
  }
  jump_to(240);
  cr_assert_eq(core_count(&h, PD_EVENT_NO_SHOW_NOTED), pd_limits_small.bookings);
  core_stop(&h);
}
