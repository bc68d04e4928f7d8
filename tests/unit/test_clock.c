#include "common/io/clock.h"

#include <criterion/criterion.h>

Test(clock, factor_one_is_the_real_clock) {
  struct pd_clock clock;
  pd_clock_init(&clock, 0, 0, 1);
  cr_expect_eq(pd_clock_at(&clock, 1234567890123), 1234567890123);
  int64_t before = pd_clock_real_ms();
  int64_t now = pd_clock_now(&clock);
  cr_expect(now >= before || now == 1234567890123);
}

Test(clock, runs_faster_from_its_anchor) {
  struct pd_clock clock;
  pd_clock_init(&clock, 1000000, 500, 60);
  cr_expect_eq(pd_clock_at(&clock, 500), 1000000);
  cr_expect_eq(pd_clock_at(&clock, 501), 1000060);
  cr_expect_eq(pd_clock_at(&clock, 1500), 1060000);
}

Test(clock, never_falls_when_the_real_clock_jumps_back) {
  struct pd_clock clock;
  pd_clock_init(&clock, 0, 0, 10);
  cr_expect_eq(pd_clock_at(&clock, 1000), 10000);
  cr_expect_eq(pd_clock_at(&clock, 400), 10000);
  cr_expect_eq(pd_clock_at(&clock, 1001), 10010);
}

Test(clock, does_not_fall_below_what_the_log_says) {
  struct pd_clock clock;
  pd_clock_init(&clock, 0, 0, 1);
  pd_clock_floor(&clock, 5000);
  cr_expect_eq(pd_clock_at(&clock, 4000), 5000);
  pd_clock_floor(&clock, 3000);
  cr_expect_eq(pd_clock_at(&clock, 5001), 5001);
}

Test(clock, holds_at_the_ends_instead_of_overflowing) {
  struct pd_clock clock;
  pd_clock_init(&clock, INT64_MAX - 10, 0, 1000000);
  cr_expect_eq(pd_clock_at(&clock, 1000), INT64_MAX - 1);
  pd_clock_init(&clock, 0, INT64_MAX, 1000000);
  cr_expect_eq(pd_clock_at(&clock, 0), 0);
}

Test(clock, says_how_long_to_sleep_in_real_time) {
  struct pd_clock clock;
  int64_t real = pd_clock_real_ms();
  pd_clock_init(&clock, 1000000, real, 1000);
  uint64_t wait = pd_clock_until(&clock, 1000000 + 10000000);
  cr_expect(wait <= 10000 && wait > 9000, "%d", (int)wait);
  cr_expect_eq(pd_clock_until(&clock, 0), 0);
  cr_expect_eq(pd_clock_until(&clock, INT64_MAX), 3600000);
  wait = pd_clock_until(&clock, pd_clock_now(&clock) + 1);
  cr_expect(wait <= 1, "%d", (int)wait);
}
