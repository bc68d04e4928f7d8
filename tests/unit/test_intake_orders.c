/* The life of an order as intake keeps it. */
#include "tests/unit/intake_world.h"

#include <string.h>

/* One resident (1), three volunteers (11, 12, 13). */
static void given_people(void) {
  given_district();
  given_resident(1);
  for (uint64_t person = 11; person <= 13; person++) given_volunteer(person);
}

static void given_served(uint64_t order, uint32_t slot, uint64_t volunteer, int64_t minutes) {
  when_filled(order, slot, volunteer);
  when_started(order, slot);
  h.now_ms += minutes * PD_MINUTE_MS;
  when_finished(order, slot);
  core_expect_ack(&h);
  core_skip(&h);
}

static bool said_of(const struct pd_event *event, uint64_t volunteer) {
  ProtobufCBinaryData id = core_bytes(volunteer), field = {0};
  if (event->body_case == PD_EVENT_SERVICE_STARTED) field = event->service_started->volunteer;
  if (event->body_case == PD_EVENT_SERVICE_FINISHED) field = event->service_finished->volunteer;
  if (event->body_case == PD_EVENT_SERVICE_CONFIRMED) field = event->service_confirmed->volunteer;
  return field.len == id.len && memcmp(field.data, id.data, id.len) == 0;
}

Test(intake_orders, an_order_lives_from_placing_to_its_rating) {
  given_people();
  struct pd_place_order body = an_order(1, 1);
  when_said_by(PD_ROLE_RESIDENT, 1, PD_COMMAND_PLACE_ORDER, &body);
  const struct pd_order_placed *placed = core_expect(&h, PD_EVENT_ORDER_PLACED)->order_placed;
  cr_assert_eq(placed->order, 1);
  cr_assert_eq(placed->cell->x, 118000);
  cr_assert_eq(placed->cell->y, 36800);
  cr_assert_eq(placed->site, 3, "the first of two stations that are as near as each other");
  cr_assert_not_null(placed->place);
  cr_assert_not_null(placed->note);
  when_offered(5, 1, 11);
  when_answered(5, 11, true);
  cr_assert_eq(core_expect(&h, PD_EVENT_OFFER_ANSWERED)->offer_answered->order, 1);
  when_filled(1, 1, 11);
  when_started(1, 1);
  const struct pd_event *started = core_expect(&h, PD_EVENT_SERVICE_STARTED);
  cr_assert(said_of(started, 11));
  cr_assert_str_eq(started->service_started->principal, "site/uid:1000");
  h.now_ms += 45 * PD_MINUTE_MS + 59999;
  when_finished(1, 1);
  cr_assert_eq(core_expect(&h, PD_EVENT_SERVICE_FINISHED)->service_finished->minutes, 45);
  core_expect(&h, PD_EVENT_ORDER_SERVED);
  when_confirmed(1, 0, 0);
  const struct pd_service_confirmed *confirmed =
      core_expect(&h, PD_EVENT_SERVICE_CONFIRMED)->service_confirmed;
  cr_assert_eq(confirmed->minutes, 45);
  cr_assert(confirmed->last);
  when_rated(1, 1, 5);
  const struct pd_order_rated *rated = core_expect(&h, PD_EVENT_ORDER_RATED)->order_rated;
  cr_assert_eq(rated->stars, 5);
  cr_assert_not_null(rated->comment);
  expect_closed(1, PD_ORDER_STATE_COMPLETED);
  core_expect_silence(&h);
  end();
}

Test(intake_orders, a_rating_before_the_confirmation_waits_for_it) {
  given_people();
  uint64_t order = given_order(1, 1);
  given_served(order, 1, 11, 30);
  when_rated(order, 1, 4);
  core_expect(&h, PD_EVENT_ORDER_RATED);
  core_expect_silence(&h);
  when_confirmed(order, 1, 20);
  cr_assert_eq(core_expect(&h, PD_EVENT_SERVICE_CONFIRMED)->service_confirmed->minutes, 20);
  expect_closed(order, PD_ORDER_STATE_COMPLETED);
  end();
}

Test(intake_orders, an_order_of_three_is_served_when_the_last_helper_has_finished) {
  given_people();
  uint64_t order = given_order(1, 3);
  for (uint32_t slot = 1; slot <= 3; slot++) when_filled(order, slot, 10 + slot);
  for (uint32_t slot = 1; slot <= 3; slot++) when_started(order, slot);
  h.now_ms += PD_HOUR_MS;
  when_finished(order, 2);
  when_finished(order, 1);
  core_skip(&h);
  when_finished(order, 3);
  core_expect(&h, PD_EVENT_SERVICE_FINISHED);
  core_expect(&h, PD_EVENT_ORDER_SERVED);
  when_confirmed(order, 0, 0);
  for (uint32_t slot = 1; slot <= 3; slot++) {
    const struct pd_event *event = core_expect(&h, PD_EVENT_SERVICE_CONFIRMED);
    cr_assert_eq(event->service_confirmed->slot, slot);
    cr_assert_eq(event->service_confirmed->last, slot == 3);
    cr_assert_eq(event->origin != NULL, slot == 1, "the origin is on the first event only");
    cr_assert(said_of(event, 10 + slot));
  }
  core_expect_silence(&h);
  end();
}

Test(intake_orders, one_helper_can_be_confirmed_while_another_serves) {
  given_people();
  uint64_t order = given_order(1, 2);
  when_filled(order, 1, 11);
  when_filled(order, 2, 12);
  when_started(order, 1);
  when_started(order, 2);
  when_finished(order, 1);
  core_skip(&h);
  when_confirmed(order, 1, 0);
  cr_assert_not(core_expect(&h, PD_EVENT_SERVICE_CONFIRMED)->service_confirmed->last);
  when_finished(order, 2);
  core_expect(&h, PD_EVENT_SERVICE_FINISHED);
  core_expect(&h, PD_EVENT_ORDER_SERVED);
  when_confirmed(order, 0, 0);
  cr_assert(core_expect(&h, PD_EVENT_SERVICE_CONFIRMED)->service_confirmed->last);
  core_expect_silence(&h);
  end();
}

Test(intake_orders, an_order_with_a_free_slot_is_served_when_nobody_is_expected) {
  given_people();
  uint64_t order = given_order(1, 3);
  when_filled(order, 1, 11);
  when_filled(order, 2, 12);
  when_started(order, 1);
  when_finished(order, 1);
  core_skip(&h);
  when_withdrawn(order, 2);
  core_expect(&h, PD_EVENT_VOLUNTEER_WITHDREW);
  core_expect(&h, PD_EVENT_ORDER_SERVED);
  when_reopened(order, 2, 12, PD_REASON_WITHDREW);
  core_expect_silence(&h);
  end();
}

Test(intake_orders, a_no_show_after_the_others_finished_ends_the_service) {
  given_people();
  uint64_t order = given_order(1, 2);
  when_filled(order, 1, 11);
  when_filled(order, 2, 12);
  when_started(order, 1);
  when_finished(order, 1);
  core_skip(&h);
  when_reopened(order, 2, 12, PD_REASON_NO_SHOW);
  const struct pd_event *event = core_expect(&h, PD_EVENT_ORDER_SERVED);
  cr_assert_eq(event->cause->log, PD_LOG_MATCHING);
  end();
}

Test(intake_orders, a_helper_booked_while_the_order_was_served_can_still_come) {
  given_people();
  uint64_t order = given_order(1, 2);
  given_served(order, 1, 11, 30);
  when_filled(order, 2, 12);
  when_confirmed(order, 1, 0);
  cr_assert_not(core_expect(&h, PD_EVENT_SERVICE_CONFIRMED)->service_confirmed->last);
  when_started(order, 2);
  core_expect(&h, PD_EVENT_SERVICE_STARTED);
  when_rated(order, 1, 5);
  expect_refused(PD_CODE_STATE, "rate_order.order");
  when_finished(order, 2);
  core_expect(&h, PD_EVENT_SERVICE_FINISHED);
  core_expect(&h, PD_EVENT_ORDER_SERVED);
  when_confirmed(order, 0, 0);
  cr_assert(core_expect(&h, PD_EVENT_SERVICE_CONFIRMED)->service_confirmed->last);
  end();
}

Test(intake_orders, a_late_helper_who_does_not_come_leaves_the_order_as_it_was) {
  given_people();
  uint64_t order = given_order(1, 2);
  given_served(order, 1, 11, 30);
  when_confirmed(order, 1, 0);
  core_skip(&h);
  when_filled(order, 2, 12);
  when_rated(order, 1, 5);
  core_expect(&h, PD_EVENT_ORDER_RATED);
  core_expect_silence(&h);
  when_reopened(order, 2, 12, PD_REASON_NO_SHOW);
  expect_closed(order, PD_ORDER_STATE_COMPLETED);
  end();
}

Test(intake_orders, a_helper_who_started_before_the_no_show_was_noted_keeps_the_slot) {
  given_people();
  uint64_t order = given_order(1, 1);
  when_filled(order, 1, 11);
  when_started(order, 1);
  core_skip(&h);
  when_reopened(order, 1, 11, PD_REASON_NO_SHOW);
  when_filled(order, 1, 12);
  when_finished(order, 1);
  cr_assert(said_of(core_expect(&h, PD_EVENT_SERVICE_FINISHED), 11));
  core_expect(&h, PD_EVENT_ORDER_SERVED);
  end();
}

Test(intake_orders, a_slot_is_reopened_for_its_own_helper_only) {
  given_people();
  uint64_t order = given_order(1, 1);
  when_filled(order, 1, 11);
  when_reopened(order, 1, 12, PD_REASON_WITHDREW);
  when_started(order, 1);
  cr_assert(said_of(core_expect(&h, PD_EVENT_SERVICE_STARTED), 11));
  end();
}

Test(intake_orders, a_withdrawn_slot_can_be_filled_by_another) {
  given_people();
  uint64_t order = given_order(1, 1);
  when_filled(order, 1, 11);
  when_withdrawn(order, 1);
  core_expect(&h, PD_EVENT_VOLUNTEER_WITHDREW);
  when_withdrawn(order, 1);
  expect_refused(PD_CODE_STATE, "withdraw.slot");
  when_reopened(order, 1, 11, PD_REASON_WITHDREW);
  when_filled(order, 1, 12);
  when_started(order, 1);
  cr_assert(said_of(core_expect(&h, PD_EVENT_SERVICE_STARTED), 12));
  end();
}

Test(intake_orders, an_order_is_cancelled_until_somebody_starts) {
  given_people();
  uint64_t first = given_order(1, 1), second = given_order(1, 1);
  when_filled(first, 1, 11);
  when_cancelled(first);
  cr_assert_eq(core_expect(&h, PD_EVENT_ORDER_CANCELLED)->order_cancelled->order, first);
  expect_closed(first, PD_ORDER_STATE_CANCELLED);
  when_filled(second, 1, 12);
  when_started(second, 1);
  core_skip(&h);
  when_cancelled(second);
  expect_refused(PD_CODE_STATE, "cancel_order.order");
  end();
}

Test(intake_orders, a_fill_that_crosses_the_cancellation_is_ignored) {
  given_people();
  uint64_t order = given_order(1, 1);
  when_offered(1, order, 11);
  when_answered(1, 11, true);
  when_cancelled(order);
  core_skip(&h);
  when_filled(order, 1, 11);
  core_expect_silence(&h);
  when_started(order, 1);
  expect_refused(PD_CODE_UNKNOWN, "start_service.order");
  end();
}

Test(intake_orders, an_offer_outlives_its_order_and_then_ends) {
  given_people();
  uint64_t order = given_order(1, 1);
  when_offered(1, order, 11);
  when_cancelled(order);
  core_skip(&h);
  when_answered(1, 11, true);
  expect_refused(PD_CODE_STATE, "answer_offer.offer");
  when_offer_closed(1, order, 11);
  when_answered(1, 11, true);
  expect_refused(PD_CODE_UNKNOWN, "answer_offer.offer");
  cr_assert_eq(intake_count(h.self).offers, 0);
  end();
}

Test(intake_orders, a_filled_slot_ends_its_offer) {
  given_people();
  uint64_t order = given_order(1, 2);
  when_offered(5, order, 11);
  when_offered(6, order, 12);
  struct pd_slot_filled body = PD_SLOT_FILLED_INIT;
  body.order = order;
  body.slot = 1;
  body.volunteer = core_bytes(11);
  body.offer = 5;
  core_hear(&h, PD_LOG_MATCHING, PD_EVENT_SLOT_FILLED, &body);
  cr_assert_eq(intake_count(h.self).offers, 1);
  when_answered(5, 11, true);
  expect_refused(PD_CODE_UNKNOWN, "answer_offer.offer");
  end();
}

Test(intake_orders, an_offer_of_an_order_that_ended_is_not_kept) {
  given_people();
  uint64_t order = given_order(1, 1);
  when_cancelled(order);
  core_skip(&h);
  when_offered(1, order, 11);
  cr_assert_eq(intake_count(h.self).offers, 0);
  when_answered(1, 11, false);
  expect_refused(PD_CODE_UNKNOWN, "answer_offer.offer");
  end();
}

Test(intake_orders, without_a_helper_at_the_latest_start_the_order_is_unfilled) {
  given_people();
  uint64_t empty = given_order(1, 2), booked = given_order(1, 2);
  when_filled(booked, 1, 11);
  when_expired(empty, PD_ORDER_STAGE_STAFFING);
  expect_closed(empty, PD_ORDER_STATE_UNFILLED);
  when_expired(booked, PD_ORDER_STAGE_STAFFING);
  core_expect_silence(&h);
  when_expired(booked, PD_ORDER_STAGE_SERVICE);
  expect_closed(booked, PD_ORDER_STATE_UNFILLED);
  end();
}

Test(intake_orders, started_but_never_finished_is_unconfirmed) {
  given_people();
  uint64_t order = given_order(1, 2);
  when_filled(order, 1, 11);
  when_started(order, 1);
  core_skip(&h);
  when_expired(order, PD_ORDER_STAGE_SERVICE);
  expect_closed(order, PD_ORDER_STATE_UNCONFIRMED);
  end();
}

Test(intake_orders, at_the_end_of_the_window_the_unfinished_are_dropped) {
  given_people();
  uint64_t order = given_order(1, 3);
  when_filled(order, 1, 11);
  when_filled(order, 2, 12);
  when_started(order, 1);
  when_started(order, 2);
  when_finished(order, 1);
  core_skip(&h);
  when_expired(order, PD_ORDER_STAGE_SERVICE);
  core_expect(&h, PD_EVENT_ORDER_SERVED);
  core_expect_silence(&h);
  when_finished(order, 2);
  expect_refused(PD_CODE_STATE, "finish_service.order");
  when_confirmed(order, 0, 0);
  cr_assert(core_expect(&h, PD_EVENT_SERVICE_CONFIRMED)->service_confirmed->last);
  when_expired(order, PD_ORDER_STAGE_RATING);
  expect_closed(order, PD_ORDER_STATE_COMPLETED);
  end();
}

Test(intake_orders, all_confirmed_before_the_window_ended_can_be_rated_at_once) {
  given_people();
  uint64_t order = given_order(1, 2);
  when_filled(order, 1, 11);
  when_filled(order, 2, 12);
  when_started(order, 1);
  when_started(order, 2);
  when_finished(order, 1);
  when_confirmed(order, 1, 0);
  core_skip(&h);
  when_expired(order, PD_ORDER_STAGE_SERVICE);
  core_expect(&h, PD_EVENT_ORDER_SERVED);
  when_rated(order, 1, 3);
  core_expect(&h, PD_EVENT_ORDER_RATED);
  expect_closed(order, PD_ORDER_STATE_COMPLETED);
  end();
}

Test(intake_orders, nobody_confirmed_in_time) {
  given_people();
  uint64_t none = given_order(1, 1), some = given_order(1, 2);
  given_served(none, 1, 11, 30);
  when_filled(some, 1, 12);
  when_filled(some, 2, 13);
  when_started(some, 1);
  when_started(some, 2);
  when_finished(some, 1);
  when_finished(some, 2);
  when_confirmed(some, 2, 0);
  core_skip(&h);
  when_expired(none, PD_ORDER_STAGE_CONFIRMATION);
  expect_closed(none, PD_ORDER_STATE_UNCONFIRMED);
  when_expired(some, PD_ORDER_STAGE_CONFIRMATION);
  expect_closed(some, PD_ORDER_STATE_COMPLETED);
  end();
}

Test(intake_orders, a_late_helper_who_never_finishes_does_not_keep_the_order_open) {
  given_people();
  uint64_t order = given_order(1, 2);
  given_served(order, 1, 11, 30);
  when_filled(order, 2, 12);
  when_started(order, 2);
  core_skip(&h);
  when_expired(order, PD_ORDER_STAGE_CONFIRMATION);
  expect_closed(order, PD_ORDER_STATE_UNCONFIRMED);
  end();
}

Test(intake_orders, deadlines_of_unknown_or_earlier_stages_change_nothing) {
  given_people();
  uint64_t order = given_order(1, 1);
  when_expired(99, PD_ORDER_STAGE_SERVICE);
  when_expired(order, PD_ORDER_STAGE_UNSPECIFIED);
  when_expired(order, (enum pd_order_stage)77);
  when_expired(order, PD_ORDER_STAGE_CONFIRMATION);
  when_expired(order, PD_ORDER_STAGE_RATING);
  core_expect_silence(&h);
  given_served(order, 1, 11, 30);
  when_expired(order, PD_ORDER_STAGE_STAFFING);
  when_expired(order, PD_ORDER_STAGE_SERVICE);
  core_expect_silence(&h);
  end();
}

Test(intake_orders, facts_about_orders_and_people_it_does_not_know_are_ignored) {
  given_people();
  uint64_t order = given_order(1, 2);
  when_filled(99, 1, 11);
  when_filled(order, 0, 11);
  when_filled(order, 3, 11);
  when_filled(order, 1, 999);
  when_reopened(99, 1, 11, PD_REASON_NO_SHOW);
  when_reopened(order, 1, 11, PD_REASON_NO_SHOW);
  when_offered(1, 99, 11);
  when_offered(2, order, 999);
  when_offer_closed(3, order, 11);
  core_expect_silence(&h);
  cr_assert_eq(intake_count(h.self).offers, 0);
  end();
}

Test(intake_orders, a_slot_is_won_once) {
  given_people();
  uint64_t order = given_order(1, 1);
  when_filled(order, 1, 11);
  when_filled(order, 1, 12);
  when_started(order, 1);
  cr_assert(said_of(core_expect(&h, PD_EVENT_SERVICE_STARTED), 11));
  end();
}

Test(intake_orders, minutes_served_are_at_least_one_and_at_most_a_day) {
  given_people();
  uint64_t brief = given_order(1, 1), endless = given_order(1, 1);
  given_served(brief, 1, 11, 0);
  cr_assert_eq(core_last(&h, PD_EVENT_SERVICE_FINISHED)->service_finished->minutes, 1);
  given_served(endless, 1, 12, 10000);
  cr_assert_eq(core_last(&h, PD_EVENT_SERVICE_FINISHED)->service_finished->minutes, 1440);
  end();
}

Test(intake_orders, an_ended_order_gives_back_its_room) {
  given_people();
  for (int round = 0; round < 200; round++) when_cancelled(given_order(1, 8));
  struct intake_counts counts = intake_count(h.self);
  cr_assert_eq(counts.orders, 0);
  cr_assert_eq(counts.slots, 0);
  cr_assert_eq(given_order(1, 1), 201, "numbers are never used twice");
  end();
}

Test(intake_orders, a_hold_is_decided_with_the_principal_who_did_it) {
  given_people();
  struct pd_decide_hold body = PD_DECIDE_HOLD_INIT;
  body.hold = 7;
  body.approve = true;
  when_said(PD_COMMAND_DECIDE_HOLD, &body);
  cr_assert_eq(core_expect_ack(&h)->id, 7);
  const struct pd_hold_decided *decided = core_expect(&h, PD_EVENT_HOLD_DECIDED)->hold_decided;
  cr_assert(decided->approve);
  cr_assert_str_eq(decided->principal, "site/uid:1000");
  end();
}
