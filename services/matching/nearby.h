/* nearby - a walk over the volunteers around an order, nearest first.
 *
 * Meets the active volunteers who have the order's skills and live no farther away than the
 * policy's reach and their own radius; equal distances in the order of registration.  Asks the
 * index of places (grid.h) for a few at first, which is quick, then for as many as the caller may
 * need at most, then for many.
 */
#ifndef MATCHING_NEARBY_H
#define MATCHING_NEARBY_H

#include "services/matching/state.h"

#define NEARBY_CHUNK_MAX 512u

struct nearby {
  const struct matching *self;
  struct grid_query query;
  struct grid_hit last; /* of the answer before */
  uint32_t begun; /* answers so far */
  uint32_t at;
  uint32_t count;
  uint32_t enough;
  struct grid_hit hits[NEARBY_CHUNK_MAX];
};

/* Walk around an order; enough: how many the caller may need if nobody is kept out, at least 1. */
void nearby_begin(struct nearby *walk, const struct matching *self, const struct order *order,
                  uint32_t enough);

/* The next volunteer and the distance in metres, rounded up; false when there is nobody left.  The
 * state may not change during the walk. */
bool nearby_next(struct nearby *walk, uint32_t *number, uint32_t *distance_m);

/* Did the one who was met last come with the first answer, which cost nothing more? */
static inline bool nearby_at_hand(const struct nearby *walk) { return walk->begun <= 1; }

/* The distance between the centres of two cells, metres rounded up: so that "within r metres" is
 * the same question for a distance and for the rounded one. */
uint32_t nearby_distance_m(struct pd_square a, struct pd_square b);

#endif
