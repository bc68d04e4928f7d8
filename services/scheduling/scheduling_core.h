/* scheduling_core - every deadline that a person could ask about.
 *
 * Nothing in Paidan waits for a clock but this core: it turns the passing of time into facts that
 * the others act on.
 *
 *     events in:   site_registered  order_placed  service_started  service_finished
 *                  order_served  service_confirmed  order_closed               (intake)
 *                  wave_opened  offer_made  order_unmatched  slot_filled  slot_reopened
 *                  order_staffed                                               (matching)
 *     events out:  day_began  wave_due  order_escalated  order_expired  reminder_due  no_show_noted
 *
 * Facts and times are kept apart.  The image holds facts alone: what was placed, booked, started,
 * served, and which deadlines were already said.  When something is due is computed from those
 * facts and the policy (due.h), and the heap of the results stands outside the image: it is
 * derived, and is computed anew after an image was read back.  So replay never depends on the
 * policy, the state's hash does not either, and a changed policy holds at once for the orders under
 * way.
 *
 * Invariants (asserted by `check`):
 *     - an order that is not closed has exactly one entry, and a slot of it at most one booking;
 *     - an entry has one timer, at the earliest of its pending deadlines, or none when nothing is
 *       pending;
 *     - a deadline is said once: saying it is a fact that takes it off the pending ones;
 *     - an order that still looks for helpers always has a wave timer before its latest start, or
 *       the STAFFING deadline next: no order is forgotten, whatever was lost or late.
 *
 * Not here: offers end in matching's log, orders in intake's.  All that is known of an order goes
 * at order_closed; facts about an order that is not known (closed meanwhile) change nothing.
 */
#ifndef PAIDAN_SCHEDULING_CORE_H
#define PAIDAN_SCHEDULING_CORE_H

#include "common/wire/core.h"

/* How long things may take.  Read when a deadline is computed, never when a fact is folded. */
struct scheduling_policy {
  int64_t retry_min_ms;        /* an unmatched order is tried again after a part of the time */
  int64_t retry_max_ms;        /* that is left until its latest start, within these two */
  int64_t retry_divisor;       /* the part: one in so many; > 0 */
  int64_t institute_percent;   /* 0 .. 100 of the way from placing to the latest start: told */
  int64_t center_percent;      /* the same for the centre */
  int64_t service_grace_ms;    /* SERVICE: after the window's end and the expected length */
  int64_t confirm_reminder_ms; /* reminder to confirm, after order_served */
  int64_t confirmation_ms;     /* CONFIRMATION: after order_served */
  int64_t rating_ms;           /* RATING: after the last confirmation */
  int64_t start_reminder_ms;   /* reminder to the volunteer, before the booked start */
  int64_t no_show_ms;          /* after the booked start */
  uint32_t events_each_call;   /* at most so many for one PD_INPUT_TIME, the rest for the next */
  uint32_t zero;
};

/* A district's defaults.  The institute and the centre are told after 50 and 75 % (reaching up is
 * the plan's 站 → 所 → 中心); retry after a quarter of what is left, 10 min to 1 h; 60 min of grace;
 * confirm reminder after 24 h, 7 days to confirm and 7 to rate; reminder 60 min before the start,
 * no-show 30 min after it; 1,000 events a call. */
extern const struct scheduling_policy scheduling_policy_default;

/* The core.  Its policy is a struct scheduling_policy, copied at init; its sizes: limits.orders,
 * bookings, sites. */
extern const struct pd_core scheduling_core;

#endif
