/* intake_world - a small district to try intake's commands in; given_ sets up, when_ says a command
 * or lets another log say a fact, expect_ looks.
 *
 * Numbers stand for people: person 7 is core_id(7).  Sites: S0 centre, S1 institute, S2 station in
 * the west, S3 station in the east, S4 post below S3.  Every body made by a_... is valid, so a test
 * changes one field and sees what happens.
 */
#ifndef PD_TESTS_INTAKE_WORLD_H
#define PD_TESTS_INTAKE_WORLD_H

#include "common/base/calendar.h"
#include "services/intake/intake_core.h"
#include "tests/unit/core_harness.h"

#include <criterion/criterion.h>

/* The crossing in the middle of the district, WGS-84. */
#define MID_LON 1180000000
#define MID_LAT 368000000
#define KM_E7 90000 /* about a kilometre north, 0.8 km east */

extern struct core_harness h;

/* Said with the next command; every command takes a new key and body hash unless they are set here
 * (0: new). */
struct intake_said {
  enum pd_role role;
  uint64_t actor; /* 0: none */
  uint64_t key;
  uint64_t body;
  uint64_t fresh; /* the new person's number */
};
extern struct intake_said said;

/* A core with or without the five sites; ends with end(), which replays. */
void given_nothing(void);
void given_district(void);
void end(void);

/* Say a command with a body of its kind; returns the reply. */
const struct pd_reply *when_said(pd_command_kind kind, const void *body);

/* The same at another door, for somebody. */
const struct pd_reply *when_said_by(enum pd_role role, uint64_t actor, pd_command_kind kind,
                                    const void *body);

/* Valid bodies. */
struct pd_point a_point(int32_t lon_e7, int32_t lat_e7);
struct pd_register_site a_site(const char *ref, enum pd_site_level level, const char *parent,
                               struct pd_point *point);
struct pd_register_team a_team(const char *ref, const char *site);
struct pd_register_volunteer a_volunteer(void);
struct pd_register_resident a_resident(void);
struct pd_place_order an_order(uint64_t requester, uint32_t need);

/* Registered and skipped. */
void given_volunteer(uint64_t person);
void given_resident(uint64_t person);

/* Placed by its requester, skipped; returns the number. */
uint64_t given_order(uint64_t requester, uint32_t need);

/* Matching's facts. */
void when_offered(uint64_t offer, uint64_t order, uint64_t volunteer);
void when_offer_closed(uint64_t offer, uint64_t order, uint64_t volunteer);
void when_filled(uint64_t order, uint32_t slot, uint64_t volunteer);
void when_reopened(uint64_t order, uint32_t slot, uint64_t volunteer, enum pd_reason reason);
/* Scheduling's. */
void when_expired(uint64_t order, enum pd_order_stage stage);

/* Commands about an order, at the site's door unless `said` says otherwise. */
void when_cancelled(uint64_t order);
void when_answered(uint64_t offer, uint64_t volunteer, bool accept);
void when_withdrawn(uint64_t order, uint32_t slot);
void when_started(uint64_t order, uint32_t slot);
void when_finished(uint64_t order, uint32_t slot);
void when_confirmed(uint64_t order, uint32_t slot, uint32_t minutes);
void when_rated(uint64_t order, uint64_t requester, uint32_t stars);

/* The next event closes the order in this state. */
void expect_closed(uint64_t order, enum pd_order_state state);

/* The last command was refused with this code at this field, in words, and nothing was said. */
void expect_refused(enum pd_code code, const char *field);

#endif
