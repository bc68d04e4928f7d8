#include "common/base/calendar.h"

#include "common/base/err.h"

#include <string.h>

#define DAY_MIN 1440
#define YEAR_MIN (-9999)
#define YEAR_MAX 99999

static int64_t floor_div(int64_t value, int64_t by) {
  return value / by - (value % by < 0 ? 1 : 0);
}

/* Minutes since 1970-01-01T00:00 local; no time overflows it. */
static int64_t local_minute(int64_t time_ms, int32_t zone_min) {
  return floor_div(time_ms, PD_MINUTE_MS) + zone_min;
}

static int64_t local_day(int64_t time_ms, int32_t zone_min) {
  return floor_div(local_minute(time_ms, zone_min), DAY_MIN);
}

/* The epoch was a Thursday: three days after a Monday. */
int64_t pd_week_number(int64_t time_ms, int32_t zone_min) {
  return floor_div(local_day(time_ms, zone_min) + 3, 7);
}

uint32_t pd_week_hour(int64_t time_ms, int32_t zone_min) {
  int64_t monday = pd_week_number(time_ms, zone_min) * 7 - 3;
  return (uint32_t)((local_minute(time_ms, zone_min) - monday * DAY_MIN) / 60);
}

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar, and back: H. Hinnant,
 * "chrono-Compatible Low-Level Date Algorithms".  Years there begin in March, so that the leap day
 * is the last; an era has 400 years. */
static int64_t day_of(struct pd_date date) {
  int64_t year = (int64_t)date.year - (date.month <= 2 ? 1 : 0);
  int64_t era = floor_div(year, 400), of_era = year - era * 400;
  int64_t month = date.month > 2 ? date.month - 3 : date.month + 9;
  int64_t of_year = (153 * month + 2) / 5 + date.day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static struct pd_date date_of(int64_t day) {
  int64_t since = day + 719468, era = floor_div(since, 146097), of_era = since - era * 146097;
  int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  int64_t of_year = of_era - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;
  return (struct pd_date){
      .year = (int32_t)(year + era * 400 + (month >= 10 ? 1 : 0)),
      .month = (int32_t)(month < 10 ? month + 3 : month - 9),
      .day = (int32_t)(of_year - (153 * month + 2) / 5 + 1),
  };
}

bool pd_date_valid(struct pd_date date) {
  static const int8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (date.year < YEAR_MIN || date.year > YEAR_MAX) return false;
  if (date.month < 1 || date.month > 12 || date.day < 1) return false;
  bool leap = date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0);
  return date.day <= days[date.month - 1] + (leap && date.month == 2 ? 1 : 0);
}

struct pd_date pd_date_of(int64_t time_ms, int32_t zone_min) {
  return date_of(local_day(time_ms, zone_min));
}

int64_t pd_date_ms(struct pd_date date, int32_t zone_min) {
  pd_assert(pd_date_valid(date));
  return day_of(date) * PD_DAY_MS - zone_min * PD_MINUTE_MS;
}

/* A lunar year in a word.  Bits 0-3: the month that a leap month follows, 0 if none does; bits
 * 15-4: months 1-12 have 30 days (else 29); bit 16: so has the leap month; bits 17-22: days from
 * January 1st to the Spring Festival.  The dates are those of GB/T 33661: new moons and solar terms
 * at UTC+8, month 11 holds the winter solstice. */
#define LUNAR_FIRST 2020
#define LUNAR_LAST 2050
static const uint32_t lunar_years[LUNAR_LAST - LUNAR_FIRST + 1] = {
    0x307954, 0x546aa0, 0x3ead50, 0x2a5b52, 0x504b60, 0x38a6e6, 0x5ea4e0, 0x48d260, /* 2020 */
    0x32ea65, 0x56d530, 0x425aa0, 0x2c76a3, 0x5296d0, 0x3c4afb, 0x624ad0, 0x4ca4d0, /* 2028 */
    0x37d0b6, 0x5ad250, 0x44d520, 0x2edd45, 0x54b5a0, 0x3e56d0, 0x2a55b2, 0x5049b0, /* 2036 */
    0x3aa577, 0x5ea4b0, 0x48aa50, 0x33b255, 0x586d20, 0x40ada0, 0x2d4b63,           /* 2044 */
};

static int64_t spring_festival(int32_t year) {
  struct pd_date new_year = {.year = year, .month = 1, .day = 1};
  return day_of(new_year) + (lunar_years[year - LUNAR_FIRST] >> 17);
}

static int32_t month_days(uint32_t word, int32_t month, bool leap) {
  uint32_t bit = leap ? 16 : 16 - (uint32_t)month;
  return 29 + (int32_t)(word >> bit & 1);
}

/* Find the month that holds a day of the lunar year, counted from 0; false if the year has ended
 * before. */
static bool find_month(uint32_t word, int64_t day, struct pd_lunar *lunar) {
  int32_t leap_month = (int32_t)(word & 15);
  for (int32_t month = 1; month <= 12; month++) {
    for (int32_t leap = 0; leap <= (month == leap_month ? 1 : 0); leap++) {
      int32_t days = month_days(word, month, leap != 0);
      if (day < days) {
        lunar->month = month;
        lunar->leap = leap;
        lunar->day = (int32_t)day + 1;
        return true;
      }
      day -= days;
    }
  }
  return false;
}

bool pd_lunar_of(struct pd_date date, struct pd_lunar *lunar) {
  if (!pd_date_valid(date) || date.year < LUNAR_FIRST || date.year > LUNAR_LAST + 1) return false;
  int64_t day = day_of(date);
  int32_t year = date.year > LUNAR_LAST ? LUNAR_LAST : date.year;
  if (day < spring_festival(year)) year--;
  if (year < LUNAR_FIRST) return false;
  lunar->year = year;
  return find_month(lunar_years[year - LUNAR_FIRST], day - spring_festival(year), lunar);
}

/* Read exactly `count` digits and step over them. */
static bool read_digits(const char **at, int count, int32_t *value) {
  *value = 0;
  for (; count > 0; count--, ++*at) {
    if (**at < '0' || **at > '9') return false;
    *value = *value * 10 + (**at - '0');
  }
  return true;
}

static bool skip(const char **at, char wanted) {
  if (**at != wanted) return false;
  ++*at;
  return true;
}

static bool read_date(const char **at, struct pd_date *date) {
  return read_digits(at, 4, &date->year) && skip(at, '-') && read_digits(at, 2, &date->month) &&
         skip(at, '-') && read_digits(at, 2, &date->day) && pd_date_valid(*date);
}

/* The digits after the point: as many as are there, cut to milliseconds; at least one. */
static bool read_fraction(const char **at, int32_t *ms) {
  int32_t digit, unit = 100;
  *ms = 0;
  if (!read_digits(at, 1, &digit)) return false;
  do {
    *ms += digit * unit;
    unit /= 10;
  } while (read_digits(at, 1, &digit));
  return true;
}

static bool read_clock(const char **at, int64_t *ms) {
  int32_t hour, minute, second = 0, fraction = 0;
  if (!read_digits(at, 2, &hour) || !skip(at, ':') || !read_digits(at, 2, &minute)) return false;
  if (skip(at, ':')) {
    if (!read_digits(at, 2, &second)) return false;
    if (skip(at, '.') && !read_fraction(at, &fraction)) return false;
  }
  *ms = hour * PD_HOUR_MS + minute * PD_MINUTE_MS + second * 1000 + fraction;
  return hour <= 23 && minute <= 59 && second <= 59;
}

bool pd_zone_parse(const char *text, int32_t *zone_min) {
  int32_t hours, minutes;
  if (strcmp(text, "Z") == 0) return *zone_min = 0, true;
  const char *at = text + 1;
  if (text[0] != '+' && text[0] != '-') return false;
  if (!read_digits(&at, 2, &hours) || !skip(&at, ':') || !read_digits(&at, 2, &minutes))
    return false;
  if (*at != 0 || hours > 23 || minutes > 59) return false;
  *zone_min = (hours * 60 + minutes) * (text[0] == '-' ? -1 : 1);
  return true;
}

bool pd_time_parse(const char *text, int64_t *time_ms) {
  struct pd_date date;
  int64_t clock_ms;
  int32_t zone_min;
  if (!read_date(&text, &date) || !skip(&text, 'T') || !read_clock(&text, &clock_ms)) return false;
  if (!pd_zone_parse(text, &zone_min)) return false;
  *time_ms = pd_date_ms(date, zone_min) + clock_ms;
  return true;
}

static char *write_digits(char *at, int64_t value, int count) {
  for (int i = count - 1; i >= 0; i--, value /= 10) at[i] = (char)('0' + value % 10);
  return at + count;
}

static char *write_part(char *at, char before, int64_t value) {
  *at = before;
  return write_digits(at + 1, value, 2);
}

static int64_t clamp(int64_t value, int64_t least, int64_t most) {
  return value < least ? least : value > most ? most : value;
}

char *pd_time_text(int64_t time_ms, int32_t zone_min, char *text) {
  int64_t zone = clamp(zone_min, 1 - DAY_MIN, DAY_MIN - 1), away = zone < 0 ? -zone : zone;
  int64_t first = day_of((struct pd_date){.year = 0, .month = 1, .day = 1}) * PD_DAY_MS;
  int64_t last = day_of((struct pd_date){.year = 10000, .month = 1, .day = 1}) * PD_DAY_MS - 1;
  int64_t local =
      clamp(clamp(time_ms, first - PD_DAY_MS, last + PD_DAY_MS) + zone * PD_MINUTE_MS, first, last);
  struct pd_date date = date_of(floor_div(local, PD_DAY_MS));
  int64_t second = floor_div(local, 1000) - floor_div(local, PD_DAY_MS) * (PD_DAY_MS / 1000);
  char *at = write_digits(text, date.year, 4);
  at = write_part(at, '-', date.month);
  at = write_part(at, '-', date.day);
  at = write_part(at, 'T', second / 3600);
  at = write_part(at, ':', second / 60 % 60);
  at = write_part(at, ':', second % 60);
  at = write_part(at, zone < 0 ? '-' : '+', away / 60);
  at = write_part(at, ':', away % 60);
  *at = 0;
  return text;
}
