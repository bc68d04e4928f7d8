/* A zone's name is taken where it stands for one offset, and refused with a reason where not. */
#include "services/paidan/zone.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define JAN_2025 INT64_C(1735689600000)
#define DAY INT64_C(86400000)

static int32_t minutes;
static char why[256];

static bool find(const char *text, int64_t days) {
  why[0] = '\0';
  return zone_find(text, JAN_2025, JAN_2025 + days * DAY, &minutes, why, sizeof why);
}

Test(zone, is_an_offset_or_a_name) {
  cr_assert(find("+08:00", 400) && minutes == 480);
  cr_assert(find("-03:30", 400) && minutes == -210);
  cr_assert(find("Asia/Shanghai", 400) && minutes == 480);
  cr_assert(find("Asia/Kathmandu", 400) && minutes == 345);
  cr_assert(find("UTC", 400) && minutes == 0);
}

Test(zone, that_changes_within_the_days_is_refused_and_before_them_it_is_not) {
  cr_assert(find("Europe/Berlin", 80) && minutes == 60, "summer time begins on 30 March");
  cr_assert_not(find("Europe/Berlin", 100));
  cr_assert_not_null(strstr(why, "changes by 2025-03-3"), "%s", why);
}

Test(zone, that_nobody_knows_is_refused) {
  static const char *const bad[] = {"",     "Asia/Nowhere", "../../../etc/passwd",
                                    "Asia", "8",            "/etc/localtime",
                                    "x/..", "zone.tab",     "tzdata.zi"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    cr_assert_not(find(bad[i], 1), "\"%s\"", bad[i]);
    cr_assert_not_null(strstr(why, "Asia/Shanghai"), "\"%s\": %s", bad[i], why);
  }
}

Test(zone, leaves_the_programs_own_local_time_as_it_was) {
  setenv("TZ", "America/New_York", 1);
  cr_assert(find("Asia/Shanghai", 1));
  cr_assert_str_eq(getenv("TZ"), "America/New_York");
  unsetenv("TZ");
  cr_assert(find("Asia/Shanghai", 1));
  cr_assert_null(getenv("TZ"));
}

Test(zone, is_written_as_an_offset) {
  char text[8];
  cr_assert_str_eq(zone_text(480, text), "+08:00");
  cr_assert_str_eq(zone_text(-210, text), "-03:30");
}
