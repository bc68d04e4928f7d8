/* Once a day: who waits, and where nobody is. */
#include "tests/unit/matching_harness.h"

#include <criterion/criterion.h>

TestSuite(matching_coverage, .init = matching_begin, .fini = matching_end);

#define DAY HOURS(24)

static const struct pd_coverage_noted *when_day_began(uint32_t day) {
  struct pd_day_began said = PD_DAY_BEGAN_INIT;
  at_minute(day * DAY);
  said.start_ms = AT(day * DAY);
  core_skip(&h);
  core_hear(&h, PD_LOG_SCHEDULING, PD_EVENT_DAY_BEGAN, &said);
  return core_expect(&h, PD_EVENT_COVERAGE_NOTED)->coverage_noted;
}

static void given_an_order_from(uint64_t order, int32_t east) {
  when_placed(order, (struct an_order){.east = east});
  when_cancelled(order);
  when_closed(order, PD_ORDER_STATE_CANCELLED);
}

Test(matching_coverage, a_place_is_covered_within_a_quarter_of_an_hour_on_foot) {
  given_volunteer(1, (struct a_volunteer){0});
  given_an_order_from(1, 10); /* 890 m */
  given_an_order_from(2, 12); /* 1,070 m */
  given_an_order_from(3, 12);
  given_an_order_from(4, 40);
  const struct pd_coverage_noted *noted = when_day_began(1);
  cr_assert(noted->active == 1 && noted->cells == 3 && noted->circle_m == 1000);
  cr_assert(noted->uncovered == 2 && noted->uncovered_orders == 3 && noted->n_holes == 2);
  cr_assert(noted->holes[0]->orders == 2 && noted->holes[1]->orders == 1);
  cr_assert(noted->holes[0]->cell->x == 118062);
}

Test(matching_coverage, who_is_away_or_does_not_travel_so_far_covers_nothing) {
  given_volunteer(1, (struct a_volunteer){.radius_m = 300});
  given_volunteer(2, (struct a_volunteer){0});
  when_paused(2);
  given_an_order_from(1, 8);
  cr_assert(when_day_began(1)->uncovered == 1);
}

Test(matching_coverage, places_are_forgotten_after_a_fortnight_without_an_order) {
  given_an_order_from(1, 10);
  cr_assert(when_day_began(1)->cells == 1);
  for (uint32_t day = 2; day < 14; day++) cr_assert(when_day_began(day)->cells == 1);
  cr_assert(when_day_began(29)->cells == 0);
}

Test(matching_coverage, who_was_never_invited_waits_since_the_registration) {
  given_volunteer(1, (struct a_volunteer){.east = 300});
  given_volunteer(2, (struct a_volunteer){0});
  at_minute(DAY);
  when_placed(1, (struct an_order){.start_min = DAY + HOURS(8), .end_min = DAY + HOURS(18)});
  const struct pd_coverage_noted *noted = when_day_began(29);
  cr_assert(noted->starved == 0 && noted->never_invited == 1);
  noted = when_day_began(30);
  cr_assert(noted->starved == 1, "%u starve", noted->starved);
  cr_assert(noted->longest_wait_ms == 30 * INT64_C(86400000));
  noted = when_day_began(31);
  cr_assert(noted->starved == 2);
}
