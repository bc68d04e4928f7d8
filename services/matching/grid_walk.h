/* grid_walk - the scan of one query, compiled once for each instruction set.
 *
 * The file that includes this one defines before it:
 *     struct lens;                                   constants of a query, spread over lanes
 *     struct lens lens_of(seek, lat_e7, lon_e7);
 *     uint32_t lens_look(lens, block, limit, near);  lanes with the needed bits and near <= limit
 *
 * A window of cells about the place, large enough for k by the density there, is scanned first; its
 * k-th nearest bounds what is left to be seen.  Rows go from the middle outwards and end at the
 * bound, which shrinks all the while.
 */
#ifndef MATCHING_GRID_WALK_H
#define MATCHING_GRID_WALK_H

#include "services/matching/grid_sphere.h"
#include "services/matching/grid_table.h"

#include <math.h>

#define SORTED_K 24 /* up to here the bag is kept sorted */

struct window { /* units from the box's corner, both ends within */
  uint32_t u0;
  uint32_t u1;
  uint32_t v0;
  uint32_t v1;
};

struct walk {
  const struct grid *grid;
  const struct grid_seek *seek;
  struct grid_bag *bag;
  uint64_t want; /* bits that a cell must have */
  int32_t lat_e7;
  int32_t lon_e7;
  float limit; /* near of the worst that could still be among the k, with the margin */
  uint32_t zero;
  struct lens lens;
};

/* ---- the bag ---- */

static inline void bag_add_sorted(struct walk *walk, float near, uint32_t slot) {
  struct grid_bag *bag = walk->bag;
  const struct grid_seek *seek = walk->seek;
  if (bag->count == bag->room) grid_settle(walk->grid, seek, bag);
  uint32_t at = bag->count++;
  for (; at > 0 && bag->near[at - 1] > near; at--) {
    bag->near[at] = bag->near[at - 1];
    bag->slot[at] = bag->slot[at - 1];
  }
  bag->near[at] = near;
  bag->slot[at] = slot;
  if (bag->count < seek->k) return;
  float limit = bag->near[seek->k - 1] * seek->slack;
  if (limit < walk->limit) walk->limit = limit;
  while (bag->near[bag->count - 1] > walk->limit) bag->count--;
}

static void bag_swap(struct grid_bag *bag, uint32_t a, uint32_t b) {
  float near = bag->near[a];
  uint32_t slot = bag->slot[a];
  bag->near[a] = bag->near[b];
  bag->slot[a] = bag->slot[b];
  bag->near[b] = near;
  bag->slot[b] = slot;
}

/* The k-th smallest near, by Hoare's selection; the bag is partly ordered about it then. */
static float bag_select(struct grid_bag *bag, uint32_t k) {
  int64_t low = 0, high = (int64_t)bag->count - 1, rank = (int64_t)k - 1;
  while (low < high) {
    float pivot = bag->near[(low + high) / 2];
    int64_t i = low, j = high;
    while (i <= j) {
      while (bag->near[i] < pivot) i++;
      while (bag->near[j] > pivot) j--;
      if (i <= j) bag_swap(bag, (uint32_t)i++, (uint32_t)j--);
    }
    if (rank <= j)
      high = j;
    else if (rank >= i)
      low = i;
    else
      break;
  }
  return bag->near[rank];
}

/* Bound by the k-th and drop what is beyond; ties that still fill the bag are settled. */
static void bag_shrink(struct walk *walk) {
  struct grid_bag *bag = walk->bag;
  if (bag->count < walk->seek->k || walk->seek->k <= SORTED_K) return;
  float limit = bag_select(bag, walk->seek->k) * walk->seek->slack;
  if (limit < walk->limit) walk->limit = limit;
  uint32_t kept = 0;
  for (uint32_t i = 0; i < bag->count; i++)
    if (bag->near[i] <= walk->limit) bag_swap(bag, kept++, i);
  bag->count = kept;
  if (kept > bag->room - 32) grid_settle(walk->grid, walk->seek, bag);
}

static inline void bag_add(struct walk *walk, float near, uint32_t slot) {
  if (walk->seek->picky && !grid_accepts(walk->grid, walk->seek, near, slot)) return;
  if (walk->seek->k <= SORTED_K) {
    bag_add_sorted(walk, near, slot);
    return;
  }
  struct grid_bag *bag = walk->bag;
  if (bag->count == bag->room) bag_shrink(walk);
  bag->near[bag->count] = near;
  bag->slot[bag->count++] = slot;
}

/* ---- cells ---- */

static inline void scan_block(struct walk *walk, uint32_t number) {
  float near[GRID_LANES];
  uint32_t lanes = lens_look(&walk->lens, &walk->grid->blocks[number], walk->limit, near);
  for (; lanes; lanes &= lanes - 1) {
    uint32_t lane = (uint32_t)__builtin_ctz(lanes);
    if (near[lane] <= walk->limit) bag_add(walk, near[lane], number * GRID_LANES + lane);
  }
}

static inline void scan_cells(struct walk *walk, const uint64_t *cell, const uint64_t *end) {
  for (; cell < end; cell++) {
    if (*cell == 0 || (*cell & walk->want) != walk->want) continue;
    uint32_t block = grid_cell_block(*cell);
    scan_block(walk, block);
    if (!grid_cell_more(*cell)) continue;
    while ((block = walk->grid->next[block]) != 0) scan_block(walk, block);
  }
}

/* Half the width of the bound at `north` units from the place; negative: nothing there. */
static inline float half_width(const struct walk *walk, float north) {
  float rest = walk->limit - north * north;
  return rest < 0 ? -1 : sqrtf(rest * walk->seek->narrow) * 1.000001f + 2;
}

/* An area's part of the window, as cells. */
struct part {
  const uint64_t *cells;
  uint32_t bits;      /* of a column number */
  uint32_t row_shift; /* units to rows */
  uint32_t column_shift;
  uint32_t u; /* of the area's corner */
  uint32_t v;
  uint32_t row0;
  uint32_t row1;
  struct window now;
  struct window done; /* cells that were scanned before; u0 > u1: none */
};

static inline uint32_t at_least(uint32_t value, uint32_t floor) {
  return value < floor ? floor : value;
}
static inline uint32_t at_most(uint32_t value, uint32_t ceiling) {
  return value > ceiling ? ceiling : value;
}

/* What of a window lies in the square of `last + 1` units at (u, v); u0 > u1 when nothing does. */
static inline struct window cut(const struct window *of, uint32_t u, uint32_t v, uint32_t last) {
  struct window in = {at_least(of->u0, u), at_most(of->u1, u + last), at_least(of->v0, v),
                      at_most(of->v1, v + last)};
  if (in.v0 > in.v1) in.u0 = in.u1 + 1;
  return in;
}

static inline bool scan_row(struct walk *walk, const struct part *part, uint32_t row, float north) {
  float half = half_width(walk, north);
  if (half < 0) return false;
  int64_t reach = (int64_t)half;
  uint32_t u0 = at_least(grid_u(walk->grid, walk->lon_e7 - reach), part->now.u0);
  uint32_t u1 = at_most(grid_u(walk->grid, walk->lon_e7 + reach), part->now.u1);
  if (u0 > u1) return true;
  uint32_t first = (u0 - part->u) >> part->column_shift;
  uint32_t last = (u1 - part->u) >> part->column_shift;
  const uint64_t *cells = part->cells + ((size_t)row << part->bits);
  const struct window *done = &part->done;
  if (done->u0 > done->u1 || row < (done->v0 - part->v) >> part->row_shift ||
      row > (done->v1 - part->v) >> part->row_shift) {
    scan_cells(walk, cells + first, cells + last + 1);
    return true;
  }
  uint32_t skip0 = (done->u0 - part->u) >> part->column_shift;
  uint32_t skip1 = (done->u1 - part->u) >> part->column_shift;
  scan_cells(walk, cells + first, cells + at_most(skip0, last + 1));
  scan_cells(walk, cells + at_least(skip1 + 1, first), cells + last + 1);
  return true;
}

/* Rows from the place's own outwards, north first; each way ends at the bound.  The place's own row
 * is at no distance: the rim's rows hold what is beyond them too. */
static void scan_part(struct walk *walk, const struct part *part) {
  int64_t south_e7 = (int64_t)walk->grid->facts->lat_e7 + part->v;
  int64_t middle = ((int64_t)grid_v(walk->grid, walk->lat_e7) - part->v) >> part->row_shift;
  int64_t row = middle < part->row0 ? part->row0 : middle;
  for (; row <= part->row1; row++) {
    int64_t north = south_e7 + (row << part->row_shift) - walk->lat_e7;
    float away = north > 0 && row != middle ? (float)north : 0;
    if (!scan_row(walk, part, (uint32_t)row, away)) break;
  }
  row = middle - 1 > part->row1 ? part->row1 : middle - 1;
  for (; row >= part->row0; row--) {
    int64_t south = walk->lat_e7 - (south_e7 + ((row + 1) << part->row_shift) - 1);
    if (!scan_row(walk, part, (uint32_t)row, south > 0 ? (float)south : 0)) break;
  }
}

static inline void scan_area(struct walk *walk, uint32_t x, uint32_t y, const struct window *now,
                             const struct window *done) {
  const struct grid *grid = walk->grid;
  uint32_t shift = grid->facts->shift, inside = ((uint32_t)1 << shift) - 1;
  const struct grid_area *area = &grid->areas[(size_t)y << grid->side | x];
  if (area->count == 0 || (area->mask & walk->seek->need) != walk->seek->need) return;
  struct part part = {.u = x << shift, .v = y << shift, .bits = grid_column_bits(area->level)};
  part.cells = grid->cells + area->cells;
  part.column_shift = shift - part.bits;
  part.row_shift = shift - grid_row_bits(area->level);
  part.now = cut(now, part.u, part.v, inside);
  part.done = cut(done, part.u, part.v, inside);
  part.row0 = (part.now.v0 - part.v) >> part.row_shift;
  part.row1 = (part.now.v1 - part.v) >> part.row_shift;
  scan_part(walk, &part);
}

/* Everything in the window that the window before did not hold. */
static void scan_window(struct walk *walk, const struct window *now, const struct window *done) {
  uint32_t shift = walk->grid->facts->shift;
  uint32_t middle = grid_v(walk->grid, walk->lat_e7) >> shift;
  for (uint32_t y = middle; y <= now->v1 >> shift; y++)
    for (uint32_t x = now->u0 >> shift; x <= now->u1 >> shift; x++)
      scan_area(walk, x, y, now, done);
  for (uint32_t y = middle; y-- > now->v0 >> shift;)
    for (uint32_t x = now->u0 >> shift; x <= now->u1 >> shift; x++)
      scan_area(walk, x, y, now, done);
}

/* ---- windows ---- */

/* A window of `half` units to the north and the south, and as far on the ground east and west. */
static struct window window_of(const struct walk *walk, float half) {
  const struct grid *grid = walk->grid;
  int64_t north = (int64_t)half, east = (int64_t)(half * sqrtf(walk->seek->narrow));
  return (struct window){grid_u(grid, walk->lon_e7 - east), grid_u(grid, walk->lon_e7 + east),
                         grid_v(grid, walk->lat_e7 - north), grid_v(grid, walk->lat_e7 + north)};
}

static inline float half_height(const struct walk *walk) {
  return sqrtf(walk->limit) * 1.000001f + 2;
}

/* Half the side of a square in which, by the density about the place, some more than k should be.
 */
static inline float first_half(const struct walk *walk) {
  const struct grid *grid = walk->grid;
  uint32_t u = grid_u(grid, walk->lon_e7), v = grid_v(grid, walk->lat_e7);
  const struct grid_area *area = &grid->areas[grid_area_at(grid, u, v)];
  float count = (float)(area->count + 1) * walk->seek->share;
  float side = (float)((uint64_t)1 << grid->facts->shift);
  return side * 0.5f * sqrtf((GRID_EAGER * (float)walk->seek->k + 1) / count);
}

static void walk_pass(struct walk *walk) {
  const struct grid_seek *seek = walk->seek;
  struct window done = {1, 0, 1, 0};
  float half = first_half(walk);
  for (;;) {
    float whole = half_height(walk);
    bool last = half >= whole;
    struct window now = window_of(walk, last ? whole : half);
    scan_window(walk, &now, &done);
    if (last) return;
    bag_shrink(walk);
    done = now;
    whole = half_height(walk);
    if (whole <= half) return;
    float found = (float)walk->bag->count + 0.5f;
    float grow = sqrtf(2 * (float)seek->k / found);
    half *= grow < 1.5f ? 1.5f : grow > 4 ? 4 : grow;
    if (walk->bag->count >= seek->k) half = whole;
  }
}

/* ---- the exact end ---- */

static uint32_t finish(const struct walk *walk, struct grid_hit *hits) {
  const struct grid_seek *seek = walk->seek;
  const struct grid_bag *bag = walk->bag;
  struct grid_hit all[GRID_BAG];
  uint32_t count = 0;
  for (uint32_t i = 0; i < bag->count; i++) {
    const struct grid_block *block = &walk->grid->blocks[bag->slot[i] / GRID_LANES];
    uint32_t lane = bag->slot[i] % GRID_LANES;
    struct grid_hit hit = {.member = block->member[lane]};
    hit.hav = grid_sphere_hav(seek->lat_e7, seek->lon_e7, seek->cos1, block->lat_e7[lane],
                              block->lon_e7[lane]);
    if (hit.hav <= seek->hav_max) all[count++] = hit;
  }
  grid_sort(all, count);
  if (count > seek->k) count = seek->k;
  for (uint32_t i = 0; i < count; i++) {
    hits[i] = all[i];
    hits[i].distance_m = grid_m_of_hav(all[i].hav);
  }
  return count;
}

static uint32_t walk_all(const struct grid *grid, const struct grid_seek *seek,
                         struct grid_hit *hits) {
  struct grid_bag bag;
  bag.count = 0;
  bag.room = 2 * seek->k + 64;
  struct walk walk = {.grid = grid, .seek = seek, .bag = &bag, .limit = seek->limit};
  walk.want = (uint64_t)seek->need << 32;
  walk.lat_e7 = seek->lat_e7;
  walk.lon_e7 = seek->lon_e7;
  walk.lens = lens_of(seek, walk.lat_e7, walk.lon_e7);
  walk_pass(&walk);
  if (seek->crosses) {
    walk.lon_e7 = seek->other_lon_e7;
    walk.lens = lens_of(seek, walk.lat_e7, walk.lon_e7);
    walk_pass(&walk);
  }
  return finish(&walk, hits);
}

#endif
