/* calendar - local weeks and days from Unix milliseconds, and text to and from times.
 *
 * A zone is a fixed offset in minutes east of UTC.  Weeks begin on Monday (ISO 8601).
 */
#ifndef PD_BASE_CALENDAR_H
#define PD_BASE_CALENDAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PD_MINUTE_MS INT64_C(60000)
#define PD_HOUR_MS (60 * PD_MINUTE_MS)
#define PD_DAY_MS (24 * PD_HOUR_MS)
#define PD_WEEK_MS (7 * PD_DAY_MS)

/* Hour of the local week, 0 (Monday 0:00) .. 167; right for times before 1970 too. */
uint32_t pd_week_hour(int64_t time_ms, int32_t zone_min);

/* Number of the local week; grows by one each Monday 0:00. */
int64_t pd_week_number(int64_t time_ms, int32_t zone_min);

/* Civil date of a local day; month 1..12, day 1..31. */
struct pd_date {
  int32_t year;
  int32_t month;
  int32_t day;
};

/* The local date of any time. */
struct pd_date pd_date_of(int64_t time_ms, int32_t zone_min);

/* A day that exists, in a year -9999 .. 99999 (0 is 1 BC). */
bool pd_date_valid(struct pd_date date);

/* The local midnight with which a valid date begins. */
int64_t pd_date_ms(struct pd_date date, int32_t zone_min);

/* Chinese lunar dates of the lunar years 2020..2050 (2020-01-25 .. 2051-02-10) from a table (one
 * word a year, by GB/T 33661); false outside.  leap: 1 if the day is in a leap month, else 0. */
struct pd_lunar {
  int32_t year;
  int32_t month;
  int32_t day;
  int32_t leap;
};
bool pd_lunar_of(struct pd_date date, struct pd_lunar *lunar);

/* "2025-03-01T00:59:46+08:00", "...Z" (RFC 3339), with or without seconds and fraction, which is
 * cut to milliseconds; false if it is anything else, a day that does not exist or a leap second. */
bool pd_time_parse(const char *text, int64_t *time_ms);

/* The same with seconds, into room for PD_TIME_TEXT bytes; returns text.  Times outside the years
 * 0..9999 become the nearest one inside, zones beyond 23:59 likewise. */
#define PD_TIME_TEXT 32
char *pd_time_text(int64_t time_ms, int32_t zone_min, char *text);

/* "+08:00", "-05:00", "Z" into minutes (-23:59 .. +23:59); false if it is anything else. */
bool pd_zone_parse(const char *text, int32_t *zone_min);

#endif
