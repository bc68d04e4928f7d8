/* Local weeks, civil and lunar dates, and times as text. */
#include "common/base/calendar.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define CHINA 480

static int64_t at(const char *text) {
  int64_t time_ms = 0;
  cr_assert(pd_time_parse(text, &time_ms), "%s", text);
  return time_ms;
}

static struct pd_date day(int year, int month, int of_month) {
  return (struct pd_date){.year = year, .month = month, .day = of_month};
}

static void expect_lunar(struct pd_date date, int year, int month, int of_month, int leap) {
  struct pd_lunar lunar = {0};
  cr_assert(pd_lunar_of(date, &lunar), "%d-%d-%d", date.year, date.month, date.day);
  cr_assert(
      lunar.year == year && lunar.month == month && lunar.day == of_month && lunar.leap == leap,
      "%d-%d-%d is %d-%d-%d leap %d", date.year, date.month, date.day, lunar.year, lunar.month,
      lunar.day, lunar.leap);
}

Test(calendar, the_hour_of_the_week_begins_on_monday_at_local_midnight) {
  cr_expect_eq(pd_week_hour(at("2025-03-03T00:00:00+08:00"), CHINA), 0);
  cr_expect_eq(pd_week_hour(at("2025-03-02T23:59:59+08:00"), CHINA), 167);
  cr_expect_eq(pd_week_hour(at("2025-03-05T14:30:00+08:00"), CHINA), 2 * 24 + 14);
  cr_expect_eq(pd_week_hour(at("2025-03-03T00:00:00+08:00"), -300), 6 * 24 + 11);
}

Test(calendar, the_hour_of_the_week_is_right_before_1970_too) {
  cr_expect_eq(pd_week_hour(0, 0), 3 * 24);
  cr_expect_eq(pd_week_hour(-1, 0), 3 * 24 - 1);
  cr_expect_eq(pd_week_hour(at("1969-12-29T00:00Z") - 1, 0), 167);
}

Test(calendar, the_week_number_grows_by_one_each_monday) {
  int64_t monday = at("1960-01-04T00:00:00+08:00"), number = pd_week_number(monday, CHINA);
  for (int week = 0; week < 5000; week++) {
    cr_assert_eq(pd_week_number(monday + week * PD_WEEK_MS, CHINA), number + week);
    cr_assert_eq(pd_week_number(monday + week * PD_WEEK_MS - 1, CHINA), number + week - 1);
  }
}

Test(calendar, no_time_overflows_a_week_or_a_date) {
  const int64_t ends[] = {INT64_MIN, INT64_MAX};
  for (int i = 0; i < 2; i++) {
    cr_expect_lt(pd_week_hour(ends[i], INT32_MAX), 168);
    cr_expect_lt(pd_week_hour(ends[i], INT32_MIN), 168);
    cr_expect_eq(pd_date_of(ends[i], 0).year < 0, i == 0);
    char text[PD_TIME_TEXT];
    cr_expect_str_eq(pd_time_text(ends[i], 0, text),
                     i == 0 ? "0000-01-01T00:00:00+00:00" : "9999-12-31T23:59:59+00:00");
  }
}

Test(calendar, known_dates_are_right_on_both_sides_of_a_leap_day) {
  cr_expect_eq(pd_date_ms(day(1970, 1, 1), 0), 0);
  cr_expect_eq(pd_date_ms(day(2000, 3, 1), 0), INT64_C(951868800000));
  cr_expect_eq(pd_date_ms(day(2025, 3, 1), CHINA), INT64_C(1740758400000));
  cr_expect_eq(pd_date_ms(day(1900, 3, 1), 0) - pd_date_ms(day(1900, 2, 28), 0), PD_DAY_MS);
  cr_expect_eq(pd_date_ms(day(2024, 3, 1), 0) - pd_date_ms(day(2024, 2, 28), 0), 2 * PD_DAY_MS);
}

Test(calendar, every_day_of_eight_centuries_comes_back_as_itself) {
  int64_t ms = pd_date_ms(day(1600, 1, 1), CHINA), end = pd_date_ms(day(2400, 1, 1), CHINA);
  struct pd_date before = pd_date_of(ms - 1, CHINA);
  for (; ms < end; ms += PD_DAY_MS) {
    struct pd_date date = pd_date_of(ms, CHINA), late = pd_date_of(ms + PD_DAY_MS - 1, CHINA);
    cr_assert(pd_date_valid(date));
    cr_assert_eq(pd_date_ms(date, CHINA), ms);
    cr_assert(date.year == late.year && date.month == late.month && date.day == late.day);
    cr_assert(date.day == before.day + 1 || date.day == 1);
    cr_assert(date.day == 1 || date.month == before.month);
    before = date;
  }
}

Test(calendar, days_that_do_not_exist_are_not_valid) {
  cr_expect(pd_date_valid(day(2024, 2, 29)));
  cr_expect(pd_date_valid(day(2000, 2, 29)));
  cr_expect_not(pd_date_valid(day(2025, 2, 29)));
  cr_expect_not(pd_date_valid(day(1900, 2, 29)));
  cr_expect_not(pd_date_valid(day(2025, 4, 31)));
  cr_expect_not(pd_date_valid(day(2025, 13, 1)));
  cr_expect_not(pd_date_valid(day(2025, 0, 1)));
  cr_expect_not(pd_date_valid(day(2025, 1, 0)));
  cr_expect_not(pd_date_valid(day(INT32_MAX, 1, 1)));
}

Test(calendar, spring_festivals_are_those_of_the_published_calendar) {
  const struct pd_date first[] = {
      {2024, 2, 10}, {2025, 1, 29}, {2026, 2, 17}, {2027, 2, 6},  {2028, 1, 26}, {2029, 2, 13},
      {2030, 2, 3},  {2031, 1, 23}, {2032, 2, 11}, {2033, 1, 31}, {2034, 2, 19}, {2035, 2, 8},
  };
  for (size_t i = 0; i < sizeof first / sizeof *first; i++)
    expect_lunar(first[i], first[i].year, 1, 1, 0);
}

Test(calendar, years_that_a_widespread_library_gets_wrong_are_right_here) {
  expect_lunar(day(2027, 2, 5), 2026, 12, 29, 0);
  expect_lunar(day(2027, 2, 7), 2027, 1, 2, 0);
  expect_lunar(day(2027, 2, 20), 2027, 1, 15, 0);
  expect_lunar(day(2030, 2, 2), 2029, 12, 30, 0);
}

Test(calendar, festivals_of_2025_fall_where_they_were_held) {
  expect_lunar(day(2025, 2, 12), 2025, 1, 15, 0);
  expect_lunar(day(2025, 5, 31), 2025, 5, 5, 0);
  expect_lunar(day(2025, 8, 29), 2025, 7, 7, 0);
  expect_lunar(day(2025, 10, 6), 2025, 8, 15, 0);
  expect_lunar(day(2025, 10, 29), 2025, 9, 9, 0);
}

Test(calendar, a_leap_month_follows_the_month_whose_number_it_bears) {
  expect_lunar(day(2025, 7, 24), 2025, 6, 30, 0);
  expect_lunar(day(2025, 7, 25), 2025, 6, 1, 1);
  expect_lunar(day(2025, 8, 23), 2025, 7, 1, 0);
  expect_lunar(day(2033, 12, 22), 2033, 11, 1, 1);
}

static bool follows(const struct pd_lunar *before, const struct pd_lunar *now) {
  if (now->day == before->day + 1) {
    return now->day <= 30 && now->month == before->month && now->leap == before->leap &&
           now->year == before->year;
  }
  if (now->day != 1 || before->day < 29) return false;
  if (now->leap) return now->month == before->month && !before->leap;
  if (now->month == 1) return before->month == 12 && now->year == before->year + 1;
  return now->month == before->month + 1 && now->year == before->year;
}

Test(calendar, every_lunar_day_follows_the_one_before) {
  int64_t ms = pd_date_ms(day(2020, 1, 25), 0), last = pd_date_ms(day(2051, 2, 10), 0);
  struct pd_lunar before = {.year = 2019, .month = 12, .day = 30};
  int months = 0;
  for (; ms <= last; ms += PD_DAY_MS) {
    struct pd_lunar now = {0};
    cr_assert(pd_lunar_of(pd_date_of(ms, 0), &now));
    cr_assert(follows(&before, &now), "%d-%d-%d", now.year, now.month, now.day);
    months += now.day == 1;
    before = now;
  }
  /* 31 years of twelve months, 12 of them with a leap month. */
  cr_expect_eq(months, 31 * 12 + 12);
  cr_expect(before.year == 2050 && before.month == 12);
}

Test(calendar, lunar_dates_outside_the_table_are_unknown) {
  struct pd_lunar lunar;
  cr_expect_not(pd_lunar_of(day(2020, 1, 24), &lunar));
  cr_expect_not(pd_lunar_of(day(2051, 2, 11), &lunar));
  cr_expect_not(pd_lunar_of(day(2019, 6, 1), &lunar));
  cr_expect_not(pd_lunar_of(day(2052, 1, 1), &lunar));
  cr_expect_not(pd_lunar_of(day(2025, 2, 30), &lunar));
}

Test(calendar, times_are_read_with_and_without_seconds_and_fraction) {
  cr_expect_eq(at("2025-03-01T00:59:46+08:00"), INT64_C(1740761986000));
  cr_expect_eq(at("2025-02-28T16:59:46Z"), INT64_C(1740761986000));
  cr_expect_eq(at("2025-02-28T11:59:46.5-05:00"), INT64_C(1740761986500));
  cr_expect_eq(at("2025-02-28T16:59:46.0019999Z"), INT64_C(1740761986001));
  cr_expect_eq(at("2025-02-28T16:59Z"), INT64_C(1740761940000));
  cr_expect_eq(at("1969-12-31T23:59:59.999Z"), -1);
}

Test(calendar, anything_else_is_no_time) {
  const char *const bad[] = {
      "",
      "2025",
      "2025-03-01",
      "2025-03-01T00:59:46",
      "2025-03-01 00:59:46Z",
      "2025-3-1T00:59:46Z",
      "2025-02-29T00:00Z",
      "2025-13-01T00:00Z",
      "2025-03-01T24:00Z",
      "2025-03-01T00:60Z",
      "2025-03-01T00:00:60Z",
      "2025-03-01T00:00:00.Z",
      "2025-03-01T00:00:00,5Z",
      "2025-03-01T00:00:00+0800",
      "2025-03-01T00:00:00+08",
      "2025-03-01T00:00:00Z ",
      " 2025-03-01T00:00:00Z",
      "2025-03-01T00:00:00+24:00",
      "2025-03-01T00:00:00z",
      "+2025-03-01T00:00:00Z",
      "2025-03-01T-1:00:00Z",
      "2025-03-01T00:00.5Z",
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    int64_t time_ms;
    cr_expect_not(pd_time_parse(bad[i], &time_ms), "%s", bad[i]);
  }
}

Test(calendar, a_time_that_is_written_reads_as_the_same_second) {
  char text[PD_TIME_TEXT];
  cr_expect_str_eq(pd_time_text(INT64_C(1740761986999), CHINA, text), "2025-03-01T00:59:46+08:00");
  cr_expect_str_eq(pd_time_text(INT64_C(1740761986000), -210, text), "2025-02-28T13:29:46-03:30");
  cr_expect_str_eq(pd_time_text(-1, 0, text), "1969-12-31T23:59:59+00:00");
  for (int64_t ms = at("0100-01-01T00:00Z"); ms < at("9999-01-01T00:00Z");
       ms += INT64_C(87654321000)) {
    cr_assert_eq(at(pd_time_text(ms, CHINA, text)), ms);
  }
}

Test(calendar, zones_are_minutes_east) {
  int32_t zone_min = 1;
  cr_expect(pd_zone_parse("+08:00", &zone_min) && zone_min == CHINA);
  cr_expect(pd_zone_parse("-05:30", &zone_min) && zone_min == -330);
  cr_expect(pd_zone_parse("Z", &zone_min) && zone_min == 0);
  const char *const bad[] = {"",      "+",       "8",  "+8:00", "+08:60", "+24:00",
                             "08:00", "+08:00 ", "Z ", "UTC",   "+0800"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    cr_expect_not(pd_zone_parse(bad[i], &zone_min), "%s", bad[i]);
}
