/* Emergencies: the nearest at once, in phases, until all slots are filled. */
#include "tests/unit/matching_harness.h"

#include <criterion/criterion.h>

TestSuite(matching_emergency, .init = matching_begin, .fini = matching_end);

#define EMERGENCY {.kind = PD_ORDER_KIND_EMERGENCY, .urgency = PD_URGENCY_EMERGENCY}

/* People every 450 m to the east, numbered from 1. */
static void given_road(uint64_t people) {
  for (uint64_t person = 1; person <= people; person++)
    given_volunteer(person, (struct a_volunteer){.east = 5 * (int32_t)person});
}

static void expect_offers(uint64_t order, uint64_t from, uint64_t to) {
  for (uint64_t person = from; person <= to; person++)
    cr_assert(expect_offer(order, person)->how == PD_OFFER_HOW_UNSPECIFIED);
}

Test(matching_emergency, asks_the_nearest_of_the_first_ring_at_once) {
  given_road(9);
  when_placed(7, (struct an_order)EMERGENCY);
  const struct pd_wave_opened *wave = expect_wave(7, 1, 2);
  cr_assert(wave->ring_m == 1000 && wave->next_at_ms == AT(3) && wave->expires_at_ms == AT(15));
  expect_offers(7, 1, 2);
  expect_silence();
}

Test(matching_emergency, asks_the_next_ring_while_the_first_offers_stay_open) {
  given_road(9);
  when_placed(7, (struct an_order)EMERGENCY);
  core_skip(&h);
  at_minute(2);
  when_wave_due(7, 1);
  expect_silence(); /* too early */
  at_minute(3);
  when_wave_due(7, 1);
  cr_assert(expect_wave(7, 2, 2)->ring_m == 2000);
  expect_offers(7, 3, 4);
  when_answered(7, 1, true); /* of the first phase, and still in time */
  expect_filled(7, 1, 1);
  expect_closed(7, 2, PD_REASON_FILLED);
  expect_closed(7, 3, PD_REASON_FILLED);
  expect_closed(7, 4, PD_REASON_FILLED);
  expect_staffed(7);
}

Test(matching_emergency, a_phase_is_as_large_as_the_policy_says) {
  for (uint64_t person = 1; person <= 6; person++)
    given_volunteer(person, (struct a_volunteer){.east = (int32_t)person});
  when_placed(7, (struct an_order)EMERGENCY);
  expect_wave(7, 1, 4);
  expect_offers(7, 1, 4);
  at_minute(3);
  when_wave_due(7, 1);
  expect_wave(7, 2, 2);
  expect_offers(7, 5, 6);
}

Test(matching_emergency, passes_over_an_empty_ring_at_once) {
  given_volunteer(1, (struct a_volunteer){.east = 40}); /* 3.6 km */
  when_placed(7, (struct an_order)EMERGENCY);
  cr_assert(expect_wave(7, 1, 1)->ring_m == 4000);
  expect_offers(7, 1, 1);
}

Test(matching_emergency, offers_expire_in_their_own_time) {
  given_road(4);
  when_placed(7, (struct an_order)EMERGENCY);
  core_skip(&h);
  at_minute(3);
  when_wave_due(7, 1);
  core_skip(&h);
  at_minute(15);
  when_wave_due(7, 2);
  expect_closed(7, 1, PD_REASON_SILENT);
  expect_closed(7, 2, PD_REASON_SILENT);
  expect_unmatched(7, 3); /* nobody is left, and the second phase may still answer */
  at_minute(18);
  when_wave_due(7, 3);
  expect_closed(7, 3, PD_REASON_SILENT);
  expect_closed(7, 4, PD_REASON_SILENT);
  expect_unmatched(7, 3);
}

Test(matching_emergency, goes_on_at_once_when_all_have_declined) {
  given_road(4);
  when_placed(7, (struct an_order)EMERGENCY);
  core_skip(&h);
  when_answered(7, 1, false);
  expect_closed(7, 1, PD_REASON_DECLINED);
  expect_silence();
  when_answered(7, 2, false);
  expect_closed(7, 2, PD_REASON_DECLINED);
  expect_wave(7, 2, 2);
  expect_offers(7, 3, 4);
}

Test(matching_emergency, the_hard_rules_stand_and_those_on_call_are_asked_at_any_hour) {
  given_volunteer(1, (struct a_volunteer){.east = 1, .age = PD_AGE_BAND_14_17});
  given_volunteer(2, (struct a_volunteer){.east = 2, .day_mask = 1});
  given_volunteer(3, (struct a_volunteer){.east = 3, .day_mask = 1, .emergency = true});
  when_placed(7, (struct an_order)EMERGENCY);
  expect_wave(7, 1, 1);
  expect_offers(7, 3, 3);
}

Test(matching_emergency, what_somebody_had_lately_does_not_count) {
  static struct matching_policy policy;
  policy = matching_policy_default;
  matching_end();
  matching_begin_with(&policy, &pd_limits_small);
  for (uint64_t person = 1; person <= 5; person++)
    given_volunteer(person, (struct a_volunteer){.east = (int32_t)person});
  for (uint64_t order = 1; order <= 3; order++) { /* the nearest are asked again and again */
    when_placed(order, (struct an_order){0});
    core_skip(&h);
    when_cancelled(order);
    core_skip(&h);
  }
  when_placed(7, (struct an_order)EMERGENCY);
  expect_wave(7, 1, 4);
  expect_offers(7, 1, 4);
  struct matching_verdict verdict = verdict_on(7, 5);
  cr_assert(verdict.cost.total_m == verdict.cost.way_m);
}
