/* grid_table - the tables behind grid.h, shared by its updates (grid.c) and its scans
 * (grid_scan_*.c).
 *
 * A box of 2^side x 2^side square areas lies over the members; who is outside counts to the nearest
 * area of the rim, which keeps every bound true since clamping is monotone.  An area of many
 * members is cut into 2^level cells, level chosen so that a cell holds some five of them; an area
 * of few is one cell.  A cell is a chain of blocks of eight, only the first of which may be partly
 * filled.  So any density costs the same, an update is O(1), and memory has a bound that no input
 * exceeds: see grid_bytes().
 *
 *     areas[v][u] -> cells[cells + (row << bits) + column] -> blocks -> next ...
 */
#ifndef MATCHING_GRID_TABLE_H
#define MATCHING_GRID_TABLE_H

#include "services/matching/grid.h"

#define GRID_LANES 8
#define GRID_LEVELS 25             /* levels 0 .. 24 */
#define GRID_SPLIT 8               /* members a cell, above which an area is cut finer */
#define GRID_MERGE 3               /* and below which it is cut coarser */
#define GRID_SHIFT_MIN 16          /* an area is at least 2^16 units wide: about 730 m */
#define GRID_NOWHERE (-2100000000) /* the latitude of an empty lane: further than any bound */

/* 128 bytes: places in one cache line, masks and names in the next. */
struct grid_block {
  int32_t lat_e7[GRID_LANES];
  int32_t lon_e7[GRID_LANES];
  uint32_t mask[GRID_LANES];
  uint32_t member[GRID_LANES];
};

/* What an update reads of a member: one quarter of a cache line. */
struct grid_hot {
  int32_t lat_e7;
  int32_t lon_e7;
  uint32_t slot; /* block * GRID_LANES + lane; 0: not in the index */
  uint32_t mask;
};

struct grid_area {
  uint32_t cells; /* the first of 2^level cells; at level 0 the area's own number */
  uint32_t count;
  uint32_t mask; /* holds every bit of every member in it, perhaps more */
  uint32_t level;
};

struct grid_facts {
  int32_t lat_e7; /* the box's south-west corner */
  int32_t lon_e7;
  uint32_t shift; /* an area is 2^shift units wide; 0: no box yet */
  uint32_t count;
  uint32_t outside;     /* members outside the box */
  uint32_t block_fresh; /* blocks ever used; number 0 is none */
  uint32_t block_free;  /* chain of given back ones */
  uint32_t cell_fresh;  /* cells ever used */
  uint32_t starved;     /* an area was not cut, since no run of cells was free */
  uint32_t age;         /* updates since the tables were laid out anew */
  uint32_t with[32];    /* members by bit of the mask */
  uint32_t cell_free[GRID_LEVELS];
  uint32_t zero;
};

/* A cell in 64 bits; 0: empty.  The mask holds every bit of every member in it, perhaps more. */
static inline uint64_t grid_cell(uint32_t mask, uint32_t block, bool more, uint32_t lanes) {
  return (uint64_t)mask << 32 | block << 5 | (uint32_t)more << 4 | lanes;
}
static inline uint32_t grid_cell_mask(uint64_t cell) {
  return (uint32_t)(cell >> 32);
}
static inline uint32_t grid_cell_block(uint64_t cell) {
  return (uint32_t)cell >> 5;
}
static inline uint32_t grid_cell_lanes(uint64_t cell) {
  return (uint32_t)cell & 15;
}
static inline bool grid_cell_more(uint64_t cell) {
  return (cell & 16) != 0;
}

/* Ask the cache for a line.  GCC takes a function that does nothing else for one without effect and
 * drops its calls, so such functions are always inlined. */
#define GRID_ASKS __attribute__((always_inline)) static inline
#define grid_ask(address) __builtin_prefetch(address)

/* Units east of (north of) the box's corner, clamped into the box. */
static inline uint32_t grid_clamp(const struct grid *grid, int64_t units) {
  int64_t end = ((int64_t)1 << (grid->facts->shift + grid->side)) - 1;
  if (units < 0) return 0;
  return (uint32_t)(units > end ? end : units);
}
static inline uint32_t grid_u(const struct grid *grid, int64_t lon_e7) {
  return grid_clamp(grid, lon_e7 - grid->facts->lon_e7);
}
static inline uint32_t grid_v(const struct grid *grid, int64_t lat_e7) {
  return grid_clamp(grid, lat_e7 - grid->facts->lat_e7);
}

/* The area that holds a column and row of the whole grid. */
static inline uint32_t grid_area_at(const struct grid *grid, uint32_t u, uint32_t v) {
  return (v >> grid->facts->shift) << grid->side | u >> grid->facts->shift;
}

/* Columns and rows of an area are 2^these many. */
static inline uint32_t grid_column_bits(uint32_t level) {
  return (level + 1) / 2;
}
static inline uint32_t grid_row_bits(uint32_t level) {
  return level / 2;
}

/* The cell of an area that holds a column and row of the whole grid. */
static inline uint32_t grid_cell_at(const struct grid *grid, const struct grid_area *area,
                                    uint32_t u, uint32_t v) {
  uint32_t shift = grid->facts->shift, inside = ((uint32_t)1 << shift) - 1;
  uint32_t bits = grid_column_bits(area->level);
  uint32_t row = (v & inside) >> (shift - grid_row_bits(area->level));
  return area->cells + (row << bits) + ((u & inside) >> (shift - bits));
}

/* Near of a haversine: four of them, in square units. */
#define GRID_UNITS 572957795.13082320876 /* 1e-7 degree, in a radian */
#define GRID_NEAR ((float)(4 * GRID_UNITS * GRID_UNITS))

/* One query, made ready for a scan.
 *
 * "near" is the float that prunes: north^2 + (east - lean * north) * east^2 in square units, that
 * is four haversines but for the curvature within the radius and for rounding, both within the
 * margin. The factor in brackets is kept from being negative: what is far north or south is far,
 * empty lanes too. */
struct grid_seek {
  double cos1;      /* of the query's latitude */
  double hav_max;   /* of its radius */
  double after_hav; /* only members after (after_hav, after_member) */
  uint32_t after_member;
  int32_t lat_e7;
  int32_t lon_e7;
  int32_t other_lon_e7; /* the same longitude a turn round the earth away, when that is near too */
  uint32_t need;
  uint32_t k;
  uint32_t own;   /* the member's own radius counts too */
  uint32_t picky; /* candidates must pass grid_accepts() */
  float east;     /* factors of near */
  float lean;
  float limit;      /* near of the radius, with the margin */
  float slack;      /* 1 + twice the margin */
  float narrow;     /* 1 / the smallest factor of east^2 within the radius */
  float share;      /* of members who have the needed bits, about */
  float after_near; /* near of after_hav */
  uint32_t crosses; /* the antimeridian: look at other_lon_e7 too */
};

/* Candidates of one query: the k nearest so far by near, and everything that could tie with them.
 */
#define GRID_BAG (2 * GRID_K_MAX + 64)
struct grid_bag {
  uint32_t count;
  uint32_t room; /* of the arrays, for this k */
  float near[GRID_BAG];
  uint32_t slot[GRID_BAG];
};

/* Answer a query whose radius is small against the earth; hits has room for k. */
typedef uint32_t grid_scan(const struct grid *grid, const struct grid_seek *seek,
                           struct grid_hit *hits);
grid_scan grid_scan_plain, grid_scan_avx2, grid_scan_avx512;

/* Leave of the candidates the k best by (hav, member), in the order of near: for the rare bag that
 * ties have filled. */
void grid_settle(const struct grid *grid, const struct grid_seek *seek, struct grid_bag *bag);

/* Is a candidate after the seek's `after`, and within its own radius if that counts?  Exact. */
bool grid_accepts(const struct grid *grid, const struct grid_seek *seek, float near, uint32_t slot);

/* Sort by (hav, member). */
void grid_sort(struct grid_hit *hits, uint32_t count);

#endif
