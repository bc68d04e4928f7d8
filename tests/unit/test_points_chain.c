/* Hours come from whole chains of two parties, once each. */
#include "tests/unit/points_given.h"

/* Line i of a set: whose account (0: nobody's), how much of what. */
static void expect_line(const struct pd_posting_line *line, enum pd_account account,
                        uint64_t person, enum pd_unit unit, int64_t amount) {
  cr_assert_eq(line->account, account);
  cr_assert_eq(line->unit, unit);
  cr_assert_eq(line->amount, amount);
  struct pd_id said = PD_ID(line->person), wanted = core_id(person);
  if (person == 0) cr_assert_eq(line->person.len, 0);
  else cr_assert(pd_id_equal(&said, &wanted), "the line names another person");
}

Test(points_chain, posts_minutes_and_points_when_the_resident_confirms) {
  start();
  chain(7, 31, 95, VOLUNTEER, RESIDENT);
  const struct pd_points_posted *body = core_expect(&h, PD_EVENT_POINTS_POSTED)->points_posted;
  cr_assert_eq(body->posting, 1);
  cr_assert_eq(body->order, 7);
  cr_assert_eq(body->slot, 1);
  cr_assert_eq(body->n_lines, 4);
  expect_line(body->lines[0], PD_ACCOUNT_PERSON, 31, PD_UNIT_MINUTES, 95);
  expect_line(body->lines[1], PD_ACCOUNT_ISSUED, 0, PD_UNIT_MINUTES, -95);
  expect_line(body->lines[2], PD_ACCOUNT_PERSON, 31, PD_UNIT_POINTS, 3);
  expect_line(body->lines[3], PD_ACCOUNT_ISSUED, 0, PD_UNIT_POINTS, -3);
  core_expect_silence(&h);
  expect_balance(31, 95, 3);
  expect_issued(95, 3);
  core_stop(&h);
}

Test(points_chain, gives_no_point_for_less_than_half_an_hour) {
  start();
  chain(7, 31, 29, VOLUNTEER, RESIDENT);
  cr_assert_eq(core_expect(&h, PD_EVENT_POINTS_POSTED)->points_posted->n_lines, 2);
  chain(8, 31, 30, VOLUNTEER, RESIDENT);
  cr_assert_eq(core_expect(&h, PD_EVENT_POINTS_POSTED)->points_posted->n_lines, 4);
  expect_balance(31, 59, 1);
  core_stop(&h);
}

Test(points_chain, posts_what_was_granted_and_never_more_than_was_served) {
  start();
  placed(7);
  filled(7, 1, 31);
  filled(7, 2, 32);
  started(7, 1, 31, VOLUNTEER);
  started(7, 2, 32, VOLUNTEER);
  finished(7, 1, 31, 90, VOLUNTEER);
  finished(7, 2, 32, 90, VOLUNTEER);
  confirmed(7, 1, 31, 60, RESIDENT);
  confirmed(7, 2, 32, 600, RESIDENT);
  expect_balance(31, 60, 2);
  expect_balance(32, 90, 3);
  core_stop(&h);
}

Test(points_chain, posts_nothing_that_is_not_confirmed_and_forgets_it_with_the_order) {
  start();
  placed(7);
  filled(7, 1, 31);
  started(7, 1, 31, VOLUNTEER);
  finished(7, 1, 31, 60, VOLUNTEER);
  closed(7);
  confirmed(7, 1, 31, 60, RESIDENT);
  core_expect_silence(&h);
  expect_balance(31, 0, 0);
  core_stop(&h);
}

Test(points_chain, posts_nothing_when_a_link_is_missing) {
  start();
  placed(1); /* never accepted */
  started(1, 1, 31, VOLUNTEER);
  finished(1, 1, 31, 60, VOLUNTEER);
  confirmed(1, 1, 31, 60, RESIDENT);
  placed(2); /* never started */
  filled(2, 1, 31);
  finished(2, 1, 31, 60, VOLUNTEER);
  confirmed(2, 1, 31, 60, RESIDENT);
  placed(3); /* never finished */
  filled(3, 1, 31);
  started(3, 1, 31, VOLUNTEER);
  confirmed(3, 1, 31, 60, RESIDENT);
  filled(4, 1, 31); /* never placed */
  started(4, 1, 31, VOLUNTEER);
  finished(4, 1, 31, 60, VOLUNTEER);
  confirmed(4, 1, 31, 60, RESIDENT);
  core_expect_silence(&h);
  expect_issued(0, 0);
  core_stop(&h);
}

Test(points_chain, posts_nothing_for_another_volunteer_slot_or_order_than_was_accepted) {
  start();
  placed(7);
  placed(8);
  filled(7, 1, 31);
  started(7, 1, 32, VOLUNTEER);
  started(7, 2, 31, VOLUNTEER);
  started(8, 1, 31, VOLUNTEER);
  finished(7, 1, 31, 60, VOLUNTEER);
  confirmed(7, 1, 31, 60, RESIDENT);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(points_chain, posts_nothing_to_who_is_not_registered) {
  start();
  chain(7, 99, 60, VOLUNTEER, RESIDENT);
  core_expect_silence(&h);
  expect_balance(99, 0, 0);
  core_stop(&h);
}

Test(points_chain, posts_once_however_often_the_facts_are_said) {
  start();
  chain(7, 31, 60, VOLUNTEER, RESIDENT);
  core_expect(&h, PD_EVENT_POINTS_POSTED);
  confirmed(7, 1, 31, 60, RESIDENT);
  filled(7, 1, 31);
  started(7, 1, 31, VOLUNTEER);
  finished(7, 1, 31, 60, VOLUNTEER);
  confirmed(7, 1, 31, 60, CLERK);
  reopened(7, 1, 31, PD_REASON_NO_SHOW);
  filled(7, 1, 32);
  started(7, 1, 32, VOLUNTEER);
  finished(7, 1, 32, 60, VOLUNTEER);
  confirmed(7, 1, 32, 60, RESIDENT);
  placed(7);
  closed(7);
  confirmed(7, 1, 31, 60, RESIDENT);
  core_expect_silence(&h);
  expect_balance(31, 60, 2);
  expect_balance(32, 0, 0);
  core_stop(&h);
}

Test(points_chain, survives_every_fact_being_said_twice_on_the_way) {
  start();
  for (int twice = 0; twice < 2; twice++) placed(7);
  for (int twice = 0; twice < 2; twice++) filled(7, 1, 31);
  for (int twice = 0; twice < 2; twice++) started(7, 1, 31, VOLUNTEER);
  filled(7, 1, 31);
  for (int twice = 0; twice < 2; twice++) finished(7, 1, 31, 60, VOLUNTEER);
  for (int twice = 0; twice < 2; twice++) confirmed(7, 1, 31, 60, RESIDENT);
  core_expect(&h, PD_EVENT_POINTS_POSTED);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(points_chain, posts_to_the_volunteer_who_came_after_one_withdrew) {
  start();
  placed(7);
  filled(7, 1, 31);
  reopened(7, 1, 31, PD_REASON_WITHDREW);
  filled(7, 1, 32);
  started(7, 1, 32, VOLUNTEER);
  finished(7, 1, 32, 60, VOLUNTEER);
  confirmed(7, 1, 32, 60, RESIDENT);
  core_expect(&h, PD_EVENT_POINTS_POSTED);
  expect_balance(31, 0, 0);
  expect_balance(32, 60, 2);
  core_stop(&h);
}

/* Intake takes a start only from who is booked there; the news of the reopening crossed with it. */
Test(points_chain, follows_a_start_that_crossed_with_the_reopening_whichever_is_heard_first) {
  start();
  placed(7);
  placed(8);
  filled(7, 1, 31);
  filled(8, 1, 31);
  started(7, 1, 31, VOLUNTEER);
  reopened(7, 1, 31, PD_REASON_NO_SHOW);
  reopened(8, 1, 31, PD_REASON_NO_SHOW);
  filled(7, 1, 32);
  filled(8, 1, 32);
  started(8, 1, 31, VOLUNTEER);
  for (uint64_t order = 7; order <= 8; order++) finished(order, 1, 31, 60, VOLUNTEER);
  for (uint64_t order = 7; order <= 8; order++) confirmed(order, 1, 31, 60, RESIDENT);
  cr_assert_eq(core_expect(&h, PD_EVENT_POINTS_POSTED)->points_posted->order, 7);
  cr_assert_eq(core_expect(&h, PD_EVENT_POINTS_POSTED)->points_posted->order, 8);
  core_expect_silence(&h);
  expect_balance(31, 120, 4);
  core_stop(&h);
}

Test(points_chain, posts_a_slot_once_whoever_else_finished_in_it) {
  start();
  placed(7);
  filled(7, 1, 31);
  reopened(7, 1, 31, PD_REASON_NO_SHOW);
  filled(7, 1, 32);
  for (uint64_t person = 31; person <= 32; person++) started(7, 1, person, VOLUNTEER);
  for (uint64_t person = 31; person <= 32; person++) finished(7, 1, person, 60, VOLUNTEER);
  confirmed(7, 1, 32, 60, RESIDENT);
  confirmed(7, 1, 31, 60, RESIDENT);
  core_expect(&h, PD_EVENT_POINTS_POSTED);
  core_expect_silence(&h);
  expect_balance(31, 0, 0);
  expect_balance(32, 60, 2);
  core_stop(&h);
}

Test(points_chain, has_room_for_every_booking_however_many_were_reopened) {
  start();
  uint32_t each = pd_limits_small.slots;
  uint32_t orders = pd_limits_small.bookings / each;
  for (uint64_t order = 1; order <= orders; order++) placed(order);
  for (uint64_t person = 31; person <= 34; person++) {
    for (uint64_t order = 1; order <= orders; order++) {
      for (uint32_t slot = 1; slot <= each; slot++) {
        filled(order, slot, person);
        if (person < 34) reopened(order, slot, person, PD_REASON_WITHDREW);
      }
    }
  }
  for (uint64_t order = 1; order <= orders; order++) {
    for (uint32_t slot = 1; slot <= each; slot++) {
      started(order, slot, 34, VOLUNTEER);
      finished(order, slot, 34, 60, VOLUNTEER);
      confirmed(order, slot, 34, 60, RESIDENT);
    }
  }
  cr_assert_eq(core_count(&h, PD_EVENT_POINTS_POSTED), pd_limits_small.bookings);
  core_stop(&h);
}

Test(points_chain, looks_at_each_slot_by_itself) {
  start();
  placed(7);
  for (uint32_t slot = 1; slot <= 3; slot++) filled(7, slot, 30 + slot);
  for (uint32_t slot = 1; slot <= 3; slot++) started(7, slot, 30 + slot, VOLUNTEER);
  for (uint32_t slot = 1; slot <= 3; slot++) finished(7, slot, 30 + slot, 60, VOLUNTEER);
  confirmed(7, 3, 33, 60, RESIDENT);
  confirmed(7, 1, 31, 60, CLERK);
  cr_assert_eq(core_expect(&h, PD_EVENT_POINTS_POSTED)->points_posted->slot, 3);
  cr_assert_eq(core_expect(&h, PD_EVENT_POINTS_POSTED)->points_posted->slot, 1);
  core_expect_silence(&h);
  expect_issued(120, 4);
  core_stop(&h);
}

Test(points_chain, says_a_star_when_the_total_reaches_it_and_once) {
  static const struct points_policy policy = {
      .minutes_each = 30, .points_each = 1, .hold_ms = PD_DAY_MS,
      .star_minutes = {100, 200, 300, 1000, 2000}, .events_each_call = 10};
  core_start(&h, &points_core, &pd_limits_small, &policy);
  volunteer(31);
  chain(1, 31, 99, VOLUNTEER, RESIDENT);
  core_expect(&h, PD_EVENT_POINTS_POSTED);
  core_expect_silence(&h);
  chain(2, 31, 1, VOLUNTEER, RESIDENT);
  core_expect(&h, PD_EVENT_POINTS_POSTED);
  const struct pd_star_reached *star = core_expect(&h, PD_EVENT_STAR_REACHED)->star_reached;
  cr_assert_eq(star->star, 1);
  cr_assert_eq(star->minutes, 100);
  chain(3, 31, 250, VOLUNTEER, RESIDENT); /* over two more at once */
  core_expect(&h, PD_EVENT_POINTS_POSTED);
  cr_assert_eq(core_expect(&h, PD_EVENT_STAR_REACHED)->star_reached->star, 2);
  cr_assert_eq(core_expect(&h, PD_EVENT_STAR_REACHED)->star_reached->star, 3);
  chain(4, 31, 10, VOLUNTEER, RESIDENT);
  core_expect(&h, PD_EVENT_POINTS_POSTED);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(points_chain, gives_the_stars_of_the_plan_at_100_300_600_1000_and_1500_hours) {
  start();
  static const uint32_t hours[] = {100, 300, 600, 1000, 1500};
  uint64_t order = 1;
  for (uint32_t served = 0, star = 0; star < 5; order++) {
    chain(order, 31, 600, VOLUNTEER, RESIDENT); /* ten hours */
    closed(order);
    served += 10;
    core_expect(&h, PD_EVENT_POINTS_POSTED);
    if (served < hours[star]) continue;
    const struct pd_star_reached *said = core_expect(&h, PD_EVENT_STAR_REACHED)->star_reached;
    cr_assert_eq(said->star, ++star);
    cr_assert_eq(said->minutes, served * 60);
  }
  chain(order, 31, 600, VOLUNTEER, RESIDENT);
  core_expect(&h, PD_EVENT_POINTS_POSTED);
  core_expect_silence(&h);
  core_stop(&h);
}

Test(points_chain, is_ready_for_new_orders_when_old_ones_closed) {
  start();
  for (uint64_t order = 1; order <= 3 * pd_limits_small.orders; order++) {
    chain(order, 31 + order % 4, 60, VOLUNTEER, RESIDENT);
    closed(order);
  }
  cr_assert_eq(core_count(&h, PD_EVENT_POINTS_POSTED), 3 * pd_limits_small.orders);
  core_stop(&h);
}

Test(points_chain, ignores_what_is_out_of_range) {
  start();
  placed(0);
  placed(7);
  filled(7, 0, 31);
  filled(7, 65, 31);
  filled(7, UINT32_MAX, 31);
  started(7, 0, 31, VOLUNTEER);
  decided(0, true, CLERK);
  decided(UINT64_MAX, true, CLERK);
  closed(UINT64_MAX);
  for (uint64_t order = 8; order < 8 + 2 * pd_limits_small.orders; order++) placed(order);
  chain(8, 32, UINT32_MAX, VOLUNTEER, RESIDENT);
  core_expect(&h, PD_EVENT_POINTS_POSTED);
  expect_balance(32, 1440, 48);
  core_stop(&h);
}
