/* coverage - who waits, and where nobody is: the places from which help is asked for.
 *
 * Each cell from which an order came is remembered with the number of orders of this fortnight and
 * the one before, and forgotten after a fortnight without any.  Once a day, when scheduling says
 * day_began, the matcher looks who lives within the fifteen-minute circle of each, and says
 * coverage_noted.
 */
#ifndef MATCHING_COVERAGE_H
#define MATCHING_COVERAGE_H

#include "services/matching/state.h"

#define COVERAGE_DAYS      14 /* of one period; fixed, since facts are folded by it */
#define COVERAGE_HOLES_MAX 64 /* no policy may list more */

/* Fold: an order came from this cell at this time; a day began. */
void coverage_asked(struct matching *self, struct pd_square cell, int64_t time_ms);
void coverage_forget(struct matching *self, int64_t day_ms);

/* Say coverage_noted: O(volunteers + places), once a day. */
void coverage_say(const struct matching *self, struct pd_outbox *out);

/* Walk the table and assert that it holds. */
void coverage_check(const struct matching *self);

#endif
