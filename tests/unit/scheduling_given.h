/* scheduling_given - the facts that tests of scheduling begin with, in the words of the loop.
 *
 * Times are minutes after CORE_START_MS.  Sites: 1 centre, 2 institute below it, 3 station below
 * that, 4 post below that.
 */
#ifndef PD_TESTS_SCHEDULING_GIVEN_H
#define PD_TESTS_SCHEDULING_GIVEN_H

#include "common/base/calendar.h"
#include "services/scheduling/scheduling_core.h"
#include "tests/unit/core_harness.h"

#include <criterion/criterion.h>
#include <string.h>

#define HOUR 60
#define DAY (24 * HOUR)
#define GIVEN __attribute__((unused)) static

static struct core_harness h;

GIVEN int64_t at_ms(int64_t minute) { return CORE_START_MS + minute * PD_MINUTE_MS; }

/* Days that began are read: they have a test of their own. */
GIVEN void pass_over_days(void) {
  for (size_t i = h.read; i < h.said.count; i++) {
    void *item = h.said.items[i];
    if (((const struct pd_event *)item)->body_case != PD_EVENT_DAY_BEGAN) continue;
    memmove(&h.said.items[h.read + 1], &h.said.items[h.read], (i - h.read) * sizeof item);
    h.said.items[h.read++] = item;
  }
}

/* What is due on the way is said at its own time. */
GIVEN void until(int64_t minute) {
  core_time(&h, at_ms(minute));
  pass_over_days();
}

/* The clock jumps: nobody asked the core in between. */
GIVEN void jump_to(int64_t minute) {
  h.now_ms = at_ms(minute);
  core_time(&h, h.now_ms);
  pass_over_days();
}

/* What was said now, at this minute. */
GIVEN const struct pd_event *expect_at(int64_t minute, pd_event_kind kind) {
  const struct pd_event *event = core_expect(&h, kind);
  cr_assert(event->time_ms == at_ms(minute), "%s came at minute %lld", core_kind_name(kind),
            (long long)((event->time_ms - CORE_START_MS) / PD_MINUTE_MS));
  return event;
}

GIVEN void site(uint32_t number, enum pd_site_level level, uint32_t parent) {
  struct pd_site_registered body = PD_SITE_REGISTERED_INIT;
  body.site = number;
  body.level = level;
  body.parent = parent;
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_SITE_REGISTERED, &body);
}

GIVEN void start(void) {
  core_start(&h, &scheduling_core, &pd_limits_small, NULL);
  site(1, PD_SITE_LEVEL_CENTER, 0);
  site(2, PD_SITE_LEVEL_INSTITUTE, 1);
  site(3, PD_SITE_LEVEL_STATION, 2);
  site(4, PD_SITE_LEVEL_POST, 3);
}

/* An order whose window ends at this minute, for an hour's help. */
GIVEN void placed_at(uint64_t order, uint32_t where, int64_t window_end) {
  struct pd_order_placed body = PD_ORDER_PLACED_INIT;
  body.order = order;
  body.requester = core_bytes(1000 + order);
  body.site = where;
  body.need = 1;
  body.window_start_ms = h.now_ms;
  body.window_end_ms = at_ms(window_end);
  body.minutes = 60;
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_ORDER_PLACED, &body);
}
GIVEN void placed(uint64_t order, int64_t window_end) { placed_at(order, 3, window_end); }

GIVEN void wave(uint64_t order, uint32_t number, int64_t expires) {
  struct pd_wave_opened body = PD_WAVE_OPENED_INIT;
  body.order = order;
  body.wave = number;
  body.expires_at_ms = at_ms(expires);
  core_hear(&h, PD_LOG_MATCHING, PD_EVENT_WAVE_OPENED, &body);
}

GIVEN void unmatched(uint64_t order, uint32_t number) {
  struct pd_order_unmatched body = PD_ORDER_UNMATCHED_INIT;
  body.order = order;
  body.wave = number;
  core_hear(&h, PD_LOG_MATCHING, PD_EVENT_ORDER_UNMATCHED, &body);
}

GIVEN void filled(uint64_t order, uint32_t slot, uint64_t person, int64_t from, int64_t to) {
  struct pd_slot_filled body = PD_SLOT_FILLED_INIT;
  body.order = order;
  body.slot = slot;
  body.volunteer = core_bytes(person);
  body.start_ms = at_ms(from);
  body.end_ms = at_ms(to);
  core_hear(&h, PD_LOG_MATCHING, PD_EVENT_SLOT_FILLED, &body);
}

GIVEN void staffed(uint64_t order) {
  struct pd_order_staffed body = PD_ORDER_STAFFED_INIT;
  body.order = order;
  core_hear(&h, PD_LOG_MATCHING, PD_EVENT_ORDER_STAFFED, &body);
}

GIVEN void reopened(uint64_t order, uint32_t slot, uint64_t person, enum pd_reason reason) {
  struct pd_slot_reopened body = PD_SLOT_REOPENED_INIT;
  body.order = order;
  body.slot = slot;
  body.volunteer = core_bytes(person);
  body.reason = reason;
  core_hear(&h, PD_LOG_MATCHING, PD_EVENT_SLOT_REOPENED, &body);
}

GIVEN void started(uint64_t order, uint32_t slot, uint64_t person) {
  struct pd_service_started body = PD_SERVICE_STARTED_INIT;
  body.order = order;
  body.slot = slot;
  body.volunteer = core_bytes(person);
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_SERVICE_STARTED, &body);
}

GIVEN void finished(uint64_t order, uint32_t slot, uint64_t person) {
  struct pd_service_finished body = PD_SERVICE_FINISHED_INIT;
  body.order = order;
  body.slot = slot;
  body.volunteer = core_bytes(person);
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_SERVICE_FINISHED, &body);
}

GIVEN void served(uint64_t order) {
  struct pd_order_served body = PD_ORDER_SERVED_INIT;
  body.order = order;
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_ORDER_SERVED, &body);
}

GIVEN void confirmed(uint64_t order, uint32_t slot, bool last) {
  struct pd_service_confirmed body = PD_SERVICE_CONFIRMED_INIT;
  body.order = order;
  body.slot = slot;
  body.last = last;
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_SERVICE_CONFIRMED, &body);
}

GIVEN void closed(uint64_t order) {
  struct pd_order_closed body = PD_ORDER_CLOSED_INIT;
  body.order = order;
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_ORDER_CLOSED, &body);
}

GIVEN void expect_expired(int64_t minute, uint64_t order, enum pd_order_stage stage) {
  const struct pd_order_expired *body =
      expect_at(minute, PD_EVENT_ORDER_EXPIRED)->order_expired;
  cr_assert_eq(body->order, order);
  cr_assert_eq(body->stage, stage);
}

GIVEN void expect_wave_due(int64_t minute, uint64_t order, uint32_t number) {
  const struct pd_wave_due *body = expect_at(minute, PD_EVENT_WAVE_DUE)->wave_due;
  cr_assert_eq(body->order, order);
  cr_assert_eq(body->wave, number);
}

GIVEN void expect_escalated(int64_t minute, uint64_t order, enum pd_site_level level,
                            uint32_t where) {
  const struct pd_order_escalated *body =
      expect_at(minute, PD_EVENT_ORDER_ESCALATED)->order_escalated;
  cr_assert_eq(body->order, order);
  cr_assert_eq(body->level, level);
  cr_assert_eq(body->site, where);
}

GIVEN void expect_reminder(int64_t minute, enum pd_reminder_kind kind, uint32_t slot,
                           uint64_t person) {
  const struct pd_reminder_due *body = expect_at(minute, PD_EVENT_REMINDER_DUE)->reminder_due;
  struct pd_id said = PD_ID(body->person), wanted = core_id(person);
  cr_assert_eq(body->kind, kind);
  cr_assert_eq(body->slot, slot);
  cr_assert(pd_id_equal(&said, &wanted), "another person was reminded");
}

GIVEN void expect_no_show(int64_t minute, uint32_t slot, uint64_t person) {
  const struct pd_no_show_noted *body = expect_at(minute, PD_EVENT_NO_SHOW_NOTED)->no_show_noted;
  struct pd_id said = PD_ID(body->volunteer), wanted = core_id(person);
  cr_assert_eq(body->slot, slot);
  cr_assert(pd_id_equal(&said, &wanted), "another volunteer was noted");
}

#endif
