/* points_given - the facts that tests of points begin with, in the words of the loop. */
#ifndef PD_TESTS_POINTS_GIVEN_H
#define PD_TESTS_POINTS_GIVEN_H

#include "common/base/calendar.h"
#include "services/points/points_core.h"
#include "tests/unit/core_harness.h"

#include <criterion/criterion.h>

#define GIVEN __attribute__((unused)) static

/* Who speaks: the volunteer's door, the resident's, and the site's for two clerks. */
#define VOLUNTEER "volunteer/uid:1001"
#define RESIDENT "resident/uid:1002"
#define CLERK "site/uid:2001"
#define OTHER_CLERK "site/uid:2002"

static struct core_harness h;

GIVEN void later(int64_t ms) { core_time(&h, h.now_ms + ms); }

GIVEN void volunteer(uint64_t person) {
  struct pd_volunteer_registered body = PD_VOLUNTEER_REGISTERED_INIT;
  struct pd_cell cell = PD_CELL_INIT;
  body.person = core_bytes(person);
  body.cell = &cell;
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_VOLUNTEER_REGISTERED, &body);
}

GIVEN void start(void) {
  core_start(&h, &points_core, &pd_limits_small, NULL);
  for (uint64_t person = 31; person <= 34; person++) volunteer(person);
}

GIVEN void placed(uint64_t order) {
  struct pd_order_placed body = PD_ORDER_PLACED_INIT;
  body.order = order;
  body.requester = core_bytes(1000 + order);
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_ORDER_PLACED, &body);
}

GIVEN void closed(uint64_t order) {
  struct pd_order_closed body = PD_ORDER_CLOSED_INIT;
  body.order = order;
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_ORDER_CLOSED, &body);
}

GIVEN void filled(uint64_t order, uint32_t slot, uint64_t person) {
  struct pd_slot_filled body = PD_SLOT_FILLED_INIT;
  body.order = order;
  body.slot = slot;
  body.volunteer = core_bytes(person);
  core_hear(&h, PD_LOG_MATCHING, PD_EVENT_SLOT_FILLED, &body);
}

GIVEN void reopened(uint64_t order, uint32_t slot, uint64_t person, enum pd_reason reason) {
  struct pd_slot_reopened body = PD_SLOT_REOPENED_INIT;
  body.order = order;
  body.slot = slot;
  body.volunteer = core_bytes(person);
  body.reason = reason;
  core_hear(&h, PD_LOG_MATCHING, PD_EVENT_SLOT_REOPENED, &body);
}

GIVEN void started(uint64_t order, uint32_t slot, uint64_t person, const char *who) {
  struct pd_service_started body = PD_SERVICE_STARTED_INIT;
  body.order = order;
  body.slot = slot;
  body.volunteer = core_bytes(person);
  body.principal = (char *)who;
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_SERVICE_STARTED, &body);
}

GIVEN void finished(uint64_t order, uint32_t slot, uint64_t person, uint32_t minutes,
                    const char *who) {
  struct pd_service_finished body = PD_SERVICE_FINISHED_INIT;
  body.order = order;
  body.slot = slot;
  body.volunteer = core_bytes(person);
  body.minutes = minutes;
  body.principal = (char *)who;
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_SERVICE_FINISHED, &body);
}

GIVEN void confirmed(uint64_t order, uint32_t slot, uint64_t person, uint32_t minutes,
                     const char *who) {
  struct pd_service_confirmed body = PD_SERVICE_CONFIRMED_INIT;
  body.order = order;
  body.slot = slot;
  body.volunteer = core_bytes(person);
  body.minutes = minutes;
  body.principal = (char *)who;
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_SERVICE_CONFIRMED, &body);
}

GIVEN void decided(uint64_t hold, bool approve, const char *who) {
  struct pd_hold_decided body = PD_HOLD_DECIDED_INIT;
  body.hold = hold;
  body.approve = approve;
  body.principal = (char *)who;
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_HOLD_DECIDED, &body);
}

/* A whole chain for slot 1 of a new order: begun and ended by `by`, confirmed by `who`. */
GIVEN void chain(uint64_t order, uint64_t person, uint32_t minutes, const char *by,
                 const char *who) {
  placed(order);
  filled(order, 1, person);
  started(order, 1, person, by);
  finished(order, 1, person, minutes, by);
  confirmed(order, 1, person, minutes, who);
}

GIVEN void expect_balance(uint64_t person, int64_t minutes, int64_t points) {
  struct pd_id id = core_id(person);
  cr_assert_eq(points_balance(h.self, &id, PD_UNIT_MINUTES), minutes);
  cr_assert_eq(points_balance(h.self, &id, PD_UNIT_POINTS), points);
}

GIVEN void expect_held(uint64_t person, int64_t minutes, int64_t points) {
  struct pd_id id = core_id(person);
  cr_assert_eq(points_held(h.self, &id, PD_UNIT_MINUTES), minutes);
  cr_assert_eq(points_held(h.self, &id, PD_UNIT_POINTS), points);
}

/* Added up anew: the three sorts of accounts, as ISSUED sees them. */
GIVEN void expect_issued(int64_t minutes, int64_t points) {
  cr_assert_eq(points_total(h.self, PD_ACCOUNT_ISSUED, PD_UNIT_MINUTES), -minutes);
  cr_assert_eq(points_total(h.self, PD_ACCOUNT_ISSUED, PD_UNIT_POINTS), -points);
}

GIVEN void expect_resolved(uint64_t hold, enum pd_hold_outcome outcome) {
  const struct pd_hold_resolved *body = core_expect(&h, PD_EVENT_HOLD_RESOLVED)->hold_resolved;
  cr_assert_eq(body->hold, hold);
  cr_assert_eq(body->outcome, outcome);
}

#endif
