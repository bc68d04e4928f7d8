/* due - when something is due: pure functions of the facts (jobs.h) and the policy. */
#ifndef PAIDAN_SCHEDULING_DUE_H
#define PAIDAN_SCHEDULING_DUE_H

#include "services/scheduling/jobs.h"
#include "services/scheduling/scheduling_core.h"

struct scheduling_due {
  int64_t when;                    /* PD_NEVER with SCHEDULING_NOTHING */
  enum scheduling_purpose purpose;
  uint32_t zero;
};

/* The earliest pending deadline of an order.
 *     Until it is served: STAFFING at the latest start (window's end less length); before that,
 *     while helpers are missing, the end of the wave or the next try, and the two escalations;
 *     SERVICE after window's end, length and grace.
 *     Once served: the reminder to confirm and CONFIRMATION; once all is confirmed: RATING. */
struct scheduling_due scheduling_due_of_job(const struct scheduling_policy *policy,
                                            const struct scheduling_job *job);

/* The earliest pending deadline of a booking: the START reminder if it was booked before its time,
 * no-show while not started, the FINISH reminder at the booked end while started and not finished.
 * None once the order is served. */
struct scheduling_due scheduling_due_of_booking(const struct scheduling_policy *policy,
                                                const struct scheduling_job *job,
                                                const struct scheduling_booking *booking);

#endif
