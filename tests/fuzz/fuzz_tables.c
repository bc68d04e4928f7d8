/* Any bytes as one of a district's tables: every row that is handed on is good, every other one is
 * reported with its place.
 *
 * The first byte says which table; the rest is the file.
 */
#include "common/base/err.h"
#include "common/base/geo.h"
#include "common/base/utf8.h"
#include "services/paidan/data.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void check_text(const char *text, size_t least, size_t most) {
  size_t size = strlen(text);
  pd_assert(pd_utf8_valid(text, size) && size >= least && size <= most);
}

static void check_row(const struct data_row *row) {
  check_text(row->ref, 0, 1 << 20);
  pd_assert(row->line > 0 && row->done >= 0 && row->done <= 1);
}

static void check_point(const struct pd_point *point) {
  struct pd_lonlat place = {point->lon_e7, point->lat_e7};
  pd_assert(pd_geo_valid(place) && point->datum == PD_DATUM_WGS84);
}

static bool on_site(void *context, struct data_site *site) {
  (void)context;
  check_row(&site->row);
  check_text(site->body.ref, 1, 32);
  check_text(site->body.name, 1, 192);
  check_point(site->body.point);
  return true;
}

static bool on_team(void *context, struct data_team *team) {
  (void)context;
  check_row(&team->row);
  check_text(team->body.ref, 1, 32);
  pd_assert(team->body.branch >= 1 && team->body.branch <= 10);
  return true;
}

static bool on_member(void *context, struct data_member *member) {
  (void)context;
  check_row(&member->row);
  check_text(member->body.team_ref, 1, 32);
  return true;
}

static bool on_volunteer(void *context, struct data_volunteer *volunteer) {
  (void)context;
  const struct pd_register_volunteer *body = &volunteer->body;
  check_row(&volunteer->row);
  check_text(body->name, 1, 96);
  check_point(body->home);
  pd_assert(body->n_skills <= DATA_SKILLS && body->n_available == 7);
  for (size_t i = 0; i < 7; i++) pd_assert(body->available[i] < 1u << 24);
  for (size_t i = 0; i < body->n_skills; i++) pd_assert(body->skills[i] > 0);
  return true;
}

static bool on_order(void *context, struct data_order *order) {
  (void)context;
  const struct pd_place_order *body = &order->body;
  check_row(&order->row);
  check_point(body->point);
  check_text(body->note, 0, 512);
  pd_assert(body->window_start_ms < body->window_end_ms && body->need >= 1);
  pd_assert(body->minutes * INT64_C(60000) <= body->window_end_ms - body->window_start_ms);
  return true;
}

static void on_problem(void *context, const struct data_problem *problem) {
  (void)context;
  pd_assert(problem->reason != NULL && problem->reason[0] != 0 && problem->line > 0);
}

static void on_note(void *context, const char *file, const char *text) {
  (void)context;
  pd_assert(file != NULL && text[0] != 0);
}

static enum pd_err read_table(uint8_t which, const char *path) {
  static const struct data_listener listener = {.site = on_site,
                                                .team = on_team,
                                                .member = on_member,
                                                .volunteer = on_volunteer,
                                                .order = on_order,
                                                .problem = on_problem,
                                                .note = on_note};
  switch (which % 5) {
  case 0: return data_read_sites(path, &listener);
  case 1: return data_read_teams(path, &listener);
  case 2: return data_read_members(path, &listener);
  case 3: return data_read_volunteers(path, &listener);
  default: return data_read_orders(path, &listener);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static int fd = -1;
  static char path[64];
  if (fd < 0) {
    fd = memfd_create("table", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  }
  if (size == 0) return 0;
  bool written = ftruncate(fd, 0) == 0 && pwrite(fd, data + 1, size - 1, 0) == (ssize_t)size - 1;
  pd_assert(fd >= 0 && written);
  enum pd_err err = read_table(data[0], path);
  pd_assert(err == PD_OK || err == PD_EFORMAT);
  return 0;
}

/* ---- seeds: a few rows of each table ---- */

size_t fuzz_seed(uint32_t index, uint8_t *data, size_t max) {
  static const char *const tables[] = {
      "id,level,parent,name,lon,lat,adcode12\nS0,center,,中心,118.0,36.8,\n"
      "S1,institute,S0,所,118.01,36.81,370302001000\nS2,station,S1,\"a \"\"b\"\", c\",118,36.8,\n",
      "id,name,branch,site\nT1,队,1,S2\nT2,应急队,0,S0\nT3,x,11,S0\n",
      "team,volunteer,role\nT1,V1,leader\nT1,V2,\nT2,V1,member\n",
      "id,name,phone,home_lon,home_lat,branch,skills,availability,radius_m,max_per_week,"
      "age_band,vetted,emergency,status\nV1,甲,13800000001,118.001,36.801,1,companion|driving,"
      "1:8-11|7:0-24,3000,3,36-59,1,0,active\nV2,乙,1,118,36.8,9,,,50000,50,14-17,0,1,paused\n",
      "id,placed_at,lon,lat,category,title,skills,volunteers_needed,window_start,window_end,"
      "minutes,urgency,channel,requester,sensitive\n"
      "O1,2025-03-04T08:00:00+08:00,118.0,36.8,elder_escort,"
      "陪诊,companion,1,2025-03-05T08:00:00+08:00,2025-03-05T12:00:00+08:00,60,soon,phone,R1,0\n"};
  if (index >= sizeof tables / sizeof *tables || strlen(tables[index]) + 1 > max) return 0;
  data[0] = (uint8_t)index;
  memcpy(data + 1, tables[index], strlen(tables[index]));
  return strlen(tables[index]) + 1;
}
