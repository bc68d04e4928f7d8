/* holds - amounts that wait for a second person, each until a day that was set when it was placed.
 *
 * All of it, the timers too, is made of facts and stands in the image of the arena.
 */
#ifndef PAIDAN_POINTS_HOLDS_H
#define PAIDAN_POINTS_HOLDS_H

#include "common/base/heap.h"
#include "services/points/chains.h"

/* None of the three parties may decide. */
struct points_hold {
  uint64_t hold;        /* 1, 2, 3 ...; 0: the entry is free */
  struct pd_id volunteer;
  int64_t decide_by_ms;
  int64_t amount[3];    /* by enum pd_unit */
  struct points_principal parties[3]; /* who started, finished, confirmed */
};

struct points_holds {
  struct pd_map index;
  struct pd_pool free;
  struct pd_heap timers;
  struct points_hold *holds;
};

/* Take the tables for so many undecided holds out of the arena, whose image must have begun. */
void points_holds_init(struct points_holds *self, struct pd_arena *arena, uint32_t capacity);

/* The hold of this number, or NULL when it is unknown or resolved. */
struct points_hold *points_hold_find(const struct points_holds *self, uint64_t hold);

/* The hold that is decided or timed out first, or NULL when there is none. */
struct points_hold *points_hold_first(const struct points_holds *self);

/* When that is, Unix milliseconds; PD_NEVER when there is none. */
int64_t points_hold_deadline(const struct points_holds *self);

/* Is there room for one more? */
bool points_holds_open(const struct points_holds *self);

/* Keep a hold; its number must be new and there must be room (asserted). */
void points_hold_add(struct points_holds *self, const struct points_hold *hold);

/* It is resolved: forget it. */
void points_hold_remove(struct points_holds *self, struct points_hold *hold);

/* Was this said by one of the three who made the chain? */
bool points_hold_is_party(const struct points_hold *hold, struct points_principal principal);

/* Walk the tables and assert that they agree, O(size); returns the sum of all amounts of this
 * unit. */
int64_t points_holds_check(const struct points_holds *self, enum pd_unit unit);

#endif
