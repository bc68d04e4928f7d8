/* points_core - the ledger of hours and points, which nobody can mint.
 *
 * An hour is posted only from the whole chain of one order, slot and volunteer, by two parties:
 *
 *     slot_filled ─▶ service_started ─▶ service_finished ─▶ service_confirmed
 *
 *     events in:   volunteer_registered  order_placed  service_started  service_finished
 *                  service_confirmed  order_closed  hold_decided           (intake)
 *                  slot_filled  slot_reopened                              (matching)
 *     events out:  points_posted  hold_placed  hold_resolved  star_reached
 *
 * Hours that were never served are this sector's scandal; so what begins and what confirms must
 * come from different principals.  If start or finish and the confirmation came from the same one,
 * the amount is held (PROXIED) until a principal who is none of the three decides, or it times out.
 * A chain that lacks a link posts nothing.
 *
 * Invariants (asserted by `check`):
 *     - every posting sums to zero in each unit, and so does the whole ledger;
 *     - nothing that a person has, or has on hold, is below zero;
 *     - the undecided holds add up to HELD; each is resolved once: posted, voided or timed out;
 *     - each (order, slot) is posted or held once: it is remembered until order_closed, after which
 *       nothing can come.
 *
 * A hold outlives its order.  When limits.holds are undecided and one more is needed, the one whose
 * time would be over first times out early: bounded memory, a definite end, and the log shows it.
 */
#ifndef PAIDAN_POINTS_CORE_H
#define PAIDAN_POINTS_CORE_H

#include "common/wire/core.h"

#define POINTS_STARS 5

/* What service is worth.  Read in decide only: a posting carries its amounts, so an old one keeps
 * its worth. */
struct points_policy {
  int64_t minutes_each;               /* full spans of so many confirmed minutes ... */
  int64_t points_each;                /* ... are worth so many points */
  int64_t hold_ms;                    /* how long a hold may wait for its decision */
  int64_t star_minutes[POINTS_STARS]; /* totals that reach one to five stars, rising */
  uint32_t events_each_call;          /* at most so many holds time out for one PD_INPUT_TIME */
  uint32_t zero;
};

/* A district's defaults: 1 point for each full 30 minutes; 30 days to decide; stars at 100, 300,
 * 600, 1,000 and 1,500 hours (星级志愿者, the district's plan); 1,000 events a call. */
extern const struct points_policy points_policy_default;

/* The core.  Its policy is a struct points_policy, copied at init; its sizes: limits.persons,
 * orders, bookings, holds. */
extern const struct pd_core points_core;

/* What a person has: minutes or points, never negative; 0 for a person without an account.  self:
 * what init returned. */
int64_t points_balance(const void *self, const struct pd_id *person, enum pd_unit unit);

/* What waits for a decision in this person's favour: minutes or points. */
int64_t points_held(const void *self, const struct pd_id *person, enum pd_unit unit);

/* The sum over all accounts of this sort; the three sorts together are zero. */
int64_t points_total(const void *self, enum pd_account account, enum pd_unit unit);

#endif
