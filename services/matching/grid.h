/* grid - who is near: an index of members (volunteers) that move and change, for filtered
 * nearest-neighbour questions.
 *
 * A member is a dense number below the capacity given at init.  It has a place, a mask of 32
 * bits (skills and flags, whose meaning is the owner's) and a travel radius.  A query asks for
 * the k nearest members within a radius whose mask holds all the bits it needs, in the order of
 * (distance, member).
 *
 * Distances are great-circle distances on the sphere of PD_EARTH_M (haversine); the answer is
 * exact: float arithmetic only prunes, with a margin, and grid_hav() decides, the same scalar
 * arithmetic whatever instruction set prunes.
 *
 * Invariants:
 *     - the tables stand in the arena's image without pointers, and the same calls leave the
 *       same bytes;
 *     - every update is total: any place on earth, any number of members at one place, in O(1)
 *       amortised;
 *     - floating point is used by queries alone, so folding facts into the index needs none.
 */
#ifndef MATCHING_GRID_H
#define MATCHING_GRID_H

#include "common/base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GRID_K_MAX 512           /* members in one answer */
#define GRID_ANYWHERE UINT32_MAX /* a radius that reaches round the earth */

/* A query's flags. */
enum {
  GRID_OWN_RADIUS = 1 /* the distance must also be within the member's own travel radius */
};

/* Who a member is to the index. */
struct grid_member {
  int32_t lat_e7; /* 1e-7 degree, WGS-84; out of range is taken to the nearest end of the range */
  int32_t lon_e7;
  uint32_t mask;
  uint32_t radius_m; /* how far the member travels; GRID_ANYWHERE: no bound */
};

struct grid_query {
  int32_t lat_e7; /* as in grid_member */
  int32_t lon_e7;
  uint32_t need;     /* bits that a member's mask must hold; 0: no filter */
  uint32_t radius_m; /* distance <= radius_m; 0: only members at this very place */
  uint32_t k;        /* 0 .. GRID_K_MAX */
  uint32_t flags;
};

struct grid_hit {
  double hav; /* haversine of the angle between: the square of the sine of its half; orders the
                 answer */
  double distance_m; /* the same in metres */
  uint32_t member;
  uint32_t zero;
};

struct grid_facts;
struct grid_area;
struct grid_block;
struct grid_hot;

/* Which instructions prune; the answers are the same. */
enum grid_isa { GRID_PLAIN, GRID_AVX2, GRID_AVX512, GRID_ISA_COUNT };

/* The handle; what it points at stands in the arena (grid_table.h). */
struct grid {
  struct grid_facts *facts;
  struct grid_area *areas;
  uint64_t *cells;
  struct grid_block *blocks;
  uint32_t *next; /* block after a block in its cell, or in the chain of free ones */
  struct grid_hot *hot;
  uint32_t *radius_m;
  uint32_t capacity;
  uint32_t side; /* the box is 2^side areas wide and high */
  uint32_t cell_limit;
  uint32_t block_limit;
  enum grid_isa isa;
  uint32_t zero;
};

/* Take an index for the members 0 .. capacity - 1 out of the arena: only tables without
 * pointers, so that it may be done after pd_arena_begin_image().  No bounds are given: the index
 * finds out where its members live. */
void grid_init(struct grid *grid, struct pd_arena *arena, uint32_t capacity);

/* What grid_init() takes out of an arena, bytes. */
size_t grid_bytes(uint32_t capacity);

/* Prune with these instructions from now on; false, and nothing changes, if this processor lacks
 * them.  grid_init() takes the best there are. */
bool grid_use(struct grid *grid, enum grid_isa isa);

/* Add a member, or change everything about it. */
void grid_set(struct grid *grid, uint32_t member, const struct grid_member *as);

/* A member goes elsewhere and stays as it is otherwise; nothing happens if it is not in the
 * index. */
void grid_move(struct grid *grid, uint32_t member, int32_t lat_e7, int32_t lon_e7);

/* Where a member goes. */
struct grid_to {
  uint32_t member;
  int32_t lat_e7;
  int32_t lon_e7;
};

/* Many moves, in their order: the same as grid_move() for each, with the cache asked ahead. */
void grid_moves(struct grid *grid, const struct grid_to *moves, uint32_t count);

/* A member's mask changes; nothing happens if it is not in the index. */
void grid_mask(struct grid *grid, uint32_t member, uint32_t mask);

/* Take a member out, if it is in. */
void grid_remove(struct grid *grid, uint32_t member);

/* Is it in?  How many are? */
bool grid_holds(const struct grid *grid, uint32_t member);
uint32_t grid_count(const struct grid *grid);

/* What the index knows of a member that it holds. */
struct grid_member grid_get(const struct grid *grid, uint32_t member);

/* The k nearest members that fulfil the query, in the order of (hav, member); returns how many
 * were written to hits, which has room for k.  Fewer than k: there are no more.
 *
 * With `after`, only members that come after it in that order: the last hit of an answer asks
 * for the next k, so that a caller with further rules goes on until it has enough.  NULL: from
 * the nearest on. */
uint32_t grid_nearest(const struct grid *grid, const struct grid_query *query,
                      const struct grid_hit *after, struct grid_hit *hits);

/* Many queries at once, answered in the order of their places, so that neighbours find their data
 * in the cache.  The answer to query i stands in hits[i * stride ...], its length in found[i];
 * every k <= stride.  order: room for 2 * count numbers, used as scratch. */
void grid_batch(const struct grid *grid, const struct grid_query *queries, uint32_t count,
                uint32_t stride, uint64_t *order, struct grid_hit *hits, uint32_t *found);

/* Lay the tables out anew in the order of places, as they are after a bulk load: nothing changes
 * but the time that queries take.  O(count); updates do it by themselves when it is due. */
void grid_rebuild(struct grid *grid);

/* Walk through everything and abort on a broken invariant; for tests.  Returns the bytes of the
 * tables that are in use. */
size_t grid_check(const struct grid *grid);

/* The haversine of two places, 0 .. 1, by arithmetic that is the same on every machine (no
 * libm): within 1e-15 of the true value, relative to it.  Formula: sin2(dlat/2) + cos(lat1)
 * cos(lat2) sin2(dlon/2). */
double grid_hav(int32_t lat1_e7, int32_t lon1_e7, int32_t lat2_e7, int32_t lon2_e7);

/* The haversine of a distance in metres on the sphere of PD_EARTH_M; 1 from half the
 * circumference on.  And back. */
double grid_hav_of_m(uint32_t distance_m);
double grid_m_of_hav(double hav);

#endif
