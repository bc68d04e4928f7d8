#include "services/paidan/data.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VOLUNTEERS                                                                    \
  "id,name,phone,home_lon,home_lat,branch,skills,availability,radius_m,max_per_week," \
  "age_band,vetted,emergency,status\r\n"
#define ORDERS                                                                            \
  "id,placed_at,lon,lat,category,title,skills,volunteers_needed,window_start,window_end," \
  "minutes,urgency,channel,requester,sensitive\r\n"

/* What a reading said, in one line an item. */
static char heard[4096];

static void hear(const char *text) { strncat(heard, text, sizeof heard - strlen(heard) - 1); }

static void on_problem(void *context, const struct data_problem *problem) {
  char line[256];
  (void)context;
  snprintf(line, sizeof line, "bad %u:%u %s: %s\n", problem->line, problem->column,
           problem->name == NULL ? "-" : problem->name, problem->reason);
  hear(line);
}

static void on_note(void *context, const char *file, const char *text) {
  (void)context, (void)file;
  hear("note ");
  hear(text);
  hear("\n");
}

static bool on_volunteer(void *context, struct data_volunteer *volunteer) {
  char line[256];
  (void)context;
  snprintf(line, sizeof line, "%s %d/%d skills %zu mon %x radius %u age %d status %d\n",
           volunteer->row.ref, volunteer->home.lon_e7, volunteer->home.lat_e7,
           volunteer->body.n_skills, volunteer->body.available[0], volunteer->body.radius_m,
           (int)volunteer->body.age, (int)volunteer->status);
  hear(line);
  return true;
}

static bool on_order(void *context, struct data_order *order) {
  char line[256];
  (void)context;
  snprintf(line, sizeof line, "%s kind %d need %u urgency %d channel %d by '%s' at %lld\n",
           order->row.ref, (int)order->body.kind, order->body.need, (int)order->body.urgency,
           (int)order->body.channel, order->requester, (long long)order->placed_at_ms);
  hear(line);
  return true;
}

static const struct data_listener listener = {
    .volunteer = on_volunteer, .order = on_order, .problem = on_problem, .note = on_note};

typedef enum pd_err read_fn(const char *path, const struct data_listener *listener);

static enum pd_err reading(read_fn *read, const char *text) {
  char path[] = "/tmp/paidan-data.XXXXXX";
  int fd = mkstemp(path);
  cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
  close(fd);
  heard[0] = '\0';
  enum pd_err err = read(path, &listener);
  unlink(path);
  return err;
}

Test(data, reads_a_volunteer) {
  cr_assert_eq(reading(data_read_volunteers, VOLUNTEERS
                       "V1,甲,138,116.603400,39.877990,5,electrics|driving,1:8-11|7:0-24,1500,3,"
                       "70+,1,0,paused\r\n"),
               PD_OK);
  cr_assert_str_eq(heard, "V1 1166034000/398779900 skills 2 mon 700 radius 1500 age 5 status 1\n");
}

Test(data, names_the_column_of_what_is_wrong_and_goes_on) {
  cr_assert_eq(reading(data_read_volunteers,
                       VOLUNTEERS "V1,甲,138,116.6,39.8,5,flying,1:8-11,1500,3,70+,1,0,active\r\n"
                                  "V2,甲,138,216.6,39.8,5,,1:8-11,1500,3,70+,1,0,active\r\n"
                                  "V3,甲,138,116.6,39.8,5,,8:8-11,1500,3,70+,1,0,active\r\n"
                                  "V4,甲,138,116.6,39.8,5,,,0,3,70+,1,0,active\r\n"
                                  "V5,甲,138,116.6,39.8,5,,,100,3,18-35,,,\r\n"),
               PD_OK);
  cr_assert_str_eq(heard,
                   "bad 2:25 skills: 'flying' is no skill that Paidan knows\n"
                   "bad 3:12 home_lon: must be a longitude in degrees, -180 to 180\n"
                   "bad 4:26 availability: must be like 1:8-11|4:14-17 (weekday 1-7:from-to, hours "
                   "0-24)\n"
                   "bad 5:27 radius_m: must be a whole number from 1 to 50000\n"
                   "V5 1166000000/398000000 skills 0 mon 0 radius 100 age 2 status 0\n");
}

Test(data, notes_the_columns_that_nobody_reads) {
  cr_assert_eq(reading(data_read_orders,
                       "id,placed_at,lon,lat,category,title,skills,volunteers_needed,window_start,"
                       "window_end,minutes,urgency,channel,closed_at,borough\r\n"),
               PD_OK);
  cr_assert_str_eq(heard, "note columns not used: closed_at, borough\n");
}

Test(data, refuses_a_table_that_lacks_a_column) {
  cr_assert_eq(reading(data_read_volunteers, "id,name\r\nV1,x\r\n"), PD_EFORMAT);
  cr_assert_str_eq(heard, "bad 1:1 phone: the table lacks this column\n");
}

Test(data, reads_an_order) {
  cr_assert_eq(reading(data_read_orders, ORDERS
                       "O1,2025-03-01T00:59:46+08:00,116.5,39.9,elder_escort,陪同,companion,1,"
                       "2025-03-03T14:00:00+08:00,2025-03-03T18:00:00+08:00,180,3,311,R7,1\r\n"),
               PD_OK);
  cr_assert_str_eq(heard, "O1 kind 5 need 1 urgency 4 channel 5 by 'R7' at 1740761986000\n");
}

Test(data, refuses_a_window_that_ends_before_it_starts_and_moves_the_end_of_one_that_is_too_short) {
  cr_assert_eq(reading(data_read_orders, ORDERS
                       "O1,2025-03-01T00:00:00Z,1,1,x,,,1,2025-03-03T14:00:00Z,"
                       "2025-03-03T13:00:00Z,60,0,phone,,\r\n"
                       "O2,2025-03-01T00:00:00Z,1,1,x,,,1,2025-03-03T14:00:00Z,"
                       "2025-03-03T14:30:00Z,60,0,phone,,\r\n"
                       "O3,yesterday,1,1,x,,,1,2025-03-03T14:00:00Z,2025-03-03T15:00:00Z,60,0,"
                       "phone,,\r\n"),
               PD_OK);
  cr_assert_str_eq(heard,
                   "bad 2:56 window_end: must be after window_start\n"
                   "O2 kind 2 need 1 urgency 1 channel 2 by '' at 1740787200000\n"
                   "bad 4:4 placed_at: must be a time with its zone, like "
                   "2025-03-01T08:00:00+08:00\n");
}

Test(data, knows_the_kinds_of_order_by_their_category) {
  cr_assert_eq(data_order_kind("micro_wish"), PD_ORDER_KIND_WISH);
  cr_assert_eq(data_order_kind("snap"), PD_ORDER_KIND_REPORT);
  cr_assert_eq(data_order_kind("micro_fix"), PD_ORDER_KIND_WORK);
  cr_assert_eq(data_order_kind("elder_watch"), PD_ORDER_KIND_VISIT);
  cr_assert_eq(data_order_kind("haircut"), PD_ORDER_KIND_MENU);
  cr_assert_eq(data_order_kind("rescue"), PD_ORDER_KIND_EMERGENCY);
  cr_assert_eq(data_order_kind("something_else"), PD_ORDER_KIND_APPEAL);
}

Test(data, reads_degrees_exactly) {
  int32_t e7 = 0;
  cr_assert(data_degrees("-73.7488", 180, &e7) && e7 == -737488000);
  cr_assert(data_degrees("116.6034001", 180, &e7) && e7 == 1166034001);
  cr_assert(data_degrees("180", 180, &e7) && e7 == 1800000000);
  cr_assert_not(data_degrees("180.0000001", 180, &e7));
  cr_assert_not(data_degrees("1e2", 180, &e7));
  cr_assert_not(data_degrees("12.", 180, &e7));
  cr_assert_not(data_degrees("", 180, &e7));
  cr_assert_not(data_degrees("0012", 180, &e7));
}

Test(data, reads_weekly_hours) {
  uint32_t hours[7];
  cr_assert(data_availability("", hours) && hours[0] == 0);
  cr_assert(data_availability("1:8-11|1:20-24|7:0-1", hours));
  cr_assert_eq(hours[0], 0xf00700u);
  cr_assert_eq(hours[6], 1u);
  const char *const wrong[] = {"1",     "1:",     "1:8",    "1:8-8", "0:8-9",
                               "8:8-9", "1:8-25", "1:8-9|", "x"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    cr_assert_not(data_availability(wrong[i], hours), "%s", wrong[i]);
  }
}
