/* data - a district's tables as commands: what a row of sites.csv, teams.csv, volunteers.csv or
 * orders.csv asks for.
 *
 * Columns (a folder's README.md has them in full); those in brackets may be missing, any others are
 * ignored with a note:
 *
 *   sites         id level parent name lon lat [adcode12]
 *   teams         id name branch site   (branch 0 is the emergency branch, 10 on the wire)
 *   team_members  team volunteer [role]
 *   volunteers    id name phone home_lon home_lat branch skills availability radius_m max_per_week
 *                 age_band [vetted emergency status gender limits credentials]
 *   orders        id placed_at lon lat category title skills volunteers_needed window_start
 *                 window_end minutes urgency channel [requester sensitive danger gender demands]
 *
 * Coordinates are WGS-84 in degrees.  limits and demands: heavy|heights; credentials, each with its
 * last day: insurance:2026-12-31|qualification.law:2027-06-30.  A row that breaks a rule is told of
 * and left out; the good ones are handed on.
 *
 * Everything that a row points to lives until its callback returns.
 */
#ifndef PAIDAN_DATA_H
#define PAIDAN_DATA_H

#include "common/base/err.h"

#include "services/paidan/papers.h"

#include "pd_names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DATA_SKILLS 32
#define DATA_PAPERS 8 /* of one row */

/* Where a row stands, and how far the reading has come. */
struct data_row {
  const char *ref; /* the row's own id, e.g. "V00001" */
  uint32_t line;   /* its first, from 1 */
  double done;     /* part of the file that is read, 0 .. 1 */
};

/* What is wrong with a row.  name: of the column, or NULL when the row itself is not a row. */
struct data_problem {
  const char *file; /* the path that was given */
  uint32_t line;
  uint32_t column; /* in bytes of its line, from 1 */
  const char *name;
  const char *reason;
};

struct data_site {
  struct data_row row;
  struct pd_register_site body; /* point is set */
  struct pd_point point;
};

struct data_team {
  struct data_row row;
  struct pd_register_team body;
};

struct data_member {
  struct data_row row; /* ref: of the volunteer */
  struct pd_join_team
      body; /* person is not set: only the reader's user knows the volunteers' ids */
};

enum data_status { DATA_ACTIVE, DATA_PAUSED, DATA_EXITED };

struct data_volunteer {
  struct data_row row;
  struct pd_register_volunteer body; /* home, skills and available are set */
  struct pd_point home;
  enum data_status status;
  enum pd_skill skills[DATA_SKILLS];
  uint32_t available[7];
  enum pd_demand limits[PAPERS_DEMANDS];
  struct pd_record_credential papers[DATA_PAPERS]; /* said next; person is not set */
  size_t paper_count;
};

struct data_order {
  struct data_row row;
  /* point and skills are set; requester is not.  Where the help takes longer than the row's window,
   * it has to begin in that window: window_end is moved by its length. */
  struct pd_place_order body;
  struct pd_point point;
  int64_t placed_at_ms;
  const char *requester; /* the data set's own reference, or "" */
  enum pd_skill skills[DATA_SKILLS];
  enum pd_demand demands[PAPERS_DEMANDS];
};

/* Who hears of the rows.  Each may be NULL.  row: false ends the reading early. */
struct data_listener {
  void *context;
  bool (*site)(void *context, struct data_site *site);
  bool (*team)(void *context, struct data_team *team);
  bool (*member)(void *context, struct data_member *member);
  bool (*volunteer)(void *context, struct data_volunteer *volunteer);
  bool (*order)(void *context, struct data_order *order);
  void (*problem)(void *context, const struct data_problem *problem);
  void (*note)(void *context, const char *file,
               const char *text); /* e.g. of the columns that are ignored */
};

/* Read one table.  PD_ENOENT: no such file; PD_EIO; PD_EBOUNDS: over 1 GiB; PD_EFORMAT: the first
 * row is bad or a required column is missing (a problem says so).  Bad rows are problems, not
 * errors. */
PD_MUST_USE enum pd_err data_read_sites(const char *path, const struct data_listener *listener);
PD_MUST_USE enum pd_err data_read_teams(const char *path, const struct data_listener *listener);
PD_MUST_USE enum pd_err data_read_members(const char *path, const struct data_listener *listener);
PD_MUST_USE enum pd_err data_read_volunteers(const char *path,
                                             const struct data_listener *listener);
PD_MUST_USE enum pd_err data_read_orders(const char *path, const struct data_listener *listener);

/* The kind of order that a category stands for; 微诉求 (APPEAL) for a word that is not known. */
enum pd_order_kind data_order_kind(const char *category);

/* A skill by its lower-case name ("first_aid"); SKILL_UNSPECIFIED if there is none. */
enum pd_skill data_skill(const char *name);

/* "1:8-11|4:14-17" (ISO weekday, 1 Monday: from-to, whole hours, 0 .. 24) into 7 masks; false if it
 * is anything else. */
bool data_availability(const char *text, uint32_t available[7]);

/* Degrees with up to 7 decimals ("-73.7488") into 1e-7 degree, exactly; false unless it is a number
 * within +-limit_deg. */
bool data_degrees(const char *text, int32_t limit_deg, int32_t *e7);

#endif
