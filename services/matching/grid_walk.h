/* grid_walk - the scan of one query, compiled once for each instruction set.
 *
 * The file that includes this one defines before it:
 *     struct lens;                                   constants of a query, spread over lanes
 *     struct lens lens_of(seek, lat_e7, lon_e7);
 *     uint32_t lens_look(lens, block, limit, near);  lanes with the needed bits and near <= limit
 *     LIST_STEP; uint32_t lens_pick(lens, cells, count, list);
 *                    copy those of at most LIST_STEP cells which have members and the needed bits;
 *                    returns how many; may write LIST_STEP
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
#include <string.h>

#define SORTED_K 24 /* up to here the bag is kept sorted */
#define LISTED 64   /* cells that are gathered before they are looked at */

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
  int32_t lat_e7;
  int32_t lon_e7;
  float limit; /* near of the worst that could still be among the k, with the margin */
  uint32_t listed;
  struct lens lens;
  uint64_t list[LISTED + 2 * LIST_STEP + 8];
};

/* The value, or the limit it would go beyond. */
static inline uint32_t at_least(uint32_t value, uint32_t floor) {
  return value < floor ? floor : value;
}
static inline uint32_t at_most(uint32_t value, uint32_t ceiling) {
  return value > ceiling ? ceiling : value;
}

/* ---- the bag ---- */

/* Take one in at its place; when the bag is full, keep the nearest k first. */
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

/* Take one in, if the query accepts it: in its place while k is small, else at the end. */
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

/* Ask the cache for a cell that will be looked at soon. */
GRID_ASKS void ask_for(const struct walk *walk, uint64_t cell) {
  const struct grid_block *block = &walk->grid->blocks[grid_cell_block(cell)];
  grid_ask(block->lat_e7);
  grid_ask(block->mask);
}

/* Look at the members of one block. */
static inline void scan_block(struct walk *walk, uint32_t number) {
  float near[GRID_LANES];
  uint32_t lanes = lens_look(&walk->lens, &walk->grid->blocks[number], walk->limit, near);
  for (; lanes; lanes &= lanes - 1) {
    uint32_t lane = (uint32_t)__builtin_ctz(lanes);
    if (near[lane] <= walk->limit) bag_add(walk, near[lane], number * GRID_LANES + lane);
  }
}

/* Look at the cells on the list.  Their first blocks are asked for some way ahead: they lie where
 * the members' history has put them. */
#define AHEAD 6
static inline void scan_list(struct walk *walk) {
  const struct grid *grid = walk->grid;
  uint32_t listed = walk->listed;
  for (uint32_t i = 0; i < AHEAD; i++) {
    walk->list[listed + i] = 0; /* block 0 is nobody's */
    ask_for(walk, walk->list[i]);
  }
  for (uint32_t i = 0; i < listed; i++) {
    uint64_t cell = walk->list[i];
    uint32_t block = grid_cell_block(cell);
    ask_for(walk, walk->list[i + AHEAD]);
    scan_block(walk, block);
    if (!grid_cell_more(cell)) continue;
    while ((block = grid->next[block]) != 0) scan_block(walk, block);
  }
  walk->listed = 0;
}

/* Put the cells with members and the wanted bits on the list. */
static inline void list_cells(struct walk *walk, const uint64_t *cell, uint32_t count) {
  while (count > 0) {
    uint32_t some = at_most(count, LIST_STEP);
    walk->listed += lens_pick(&walk->lens, cell, some, walk->list + walk->listed);
    if (walk->listed > LISTED) scan_list(walk);
    cell += some;
    count -= some;
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
};

/* What of a window lies in the square of `last + 1` units at (u, v); u0 > u1 when nothing does. */
static inline struct window cut(const struct window *of, uint32_t u, uint32_t v, uint32_t last) {
  struct window in = {at_least(of->u0, u), at_most(of->u1, u + last), at_least(of->v0, v),
                      at_most(of->v1, v + last)};
  if (in.v0 > in.v1) in.u0 = in.u1 + 1;
  return in;
}

/* List one row of a part, as far east and west as the limit reaches; false: it does not. */
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
  list_cells(walk, cells + first, last + 1 - first);
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

/* Look at the cells of one area within the window, if anybody there has what is needed. */
static inline void scan_area(struct walk *walk, uint32_t x, uint32_t y, const struct window *now) {
  const struct grid *grid = walk->grid;
  uint32_t shift = grid->facts->shift, inside = ((uint32_t)1 << shift) - 1;
  const struct grid_area *area = &grid->areas[(size_t)y << grid->side | x];
  if (area->count == 0 || (area->mask & walk->seek->need) != walk->seek->need) return;
  struct part part = {.u = x << shift, .v = y << shift, .bits = grid_column_bits(area->level)};
  part.cells = grid->cells + area->cells;
  part.column_shift = shift - part.bits;
  part.row_shift = shift - grid_row_bits(area->level);
  part.now = cut(now, part.u, part.v, inside);
  part.row0 = (part.now.v0 - part.v) >> part.row_shift;
  part.row1 = (part.now.v1 - part.v) >> part.row_shift;
  scan_part(walk, &part);
}

/* Everything in the window. */
static void scan_window(struct walk *walk, const struct window *now) {
  uint32_t shift = walk->grid->facts->shift;
  uint32_t middle = grid_v(walk->grid, walk->lat_e7) >> shift;
  for (uint32_t y = middle; y <= now->v1 >> shift; y++)
    for (uint32_t x = now->u0 >> shift; x <= now->u1 >> shift; x++) scan_area(walk, x, y, now);
  for (uint32_t y = middle; y-- > now->v0 >> shift;)
    for (uint32_t x = now->u0 >> shift; x <= now->u1 >> shift; x++) scan_area(walk, x, y, now);
  scan_list(walk);
}

/* ---- windows ---- */

/* Begin again with nobody found. */
static inline void walk_empty(struct walk *walk) {
  walk->bag->count = 0;
}

/* A window of `half` units to the north and the south, and as far on the ground east and west. */
static struct window window_of(const struct walk *walk, float half) {
  const struct grid *grid = walk->grid;
  int64_t north = (int64_t)half, east = (int64_t)(half * sqrtf(walk->seek->narrow));
  return (struct window){grid_u(grid, walk->lon_e7 - east), grid_u(grid, walk->lon_e7 + east),
                         grid_v(grid, walk->lat_e7 - north), grid_v(grid, walk->lat_e7 + north)};
}

/* How far north and south the limit reaches, 1e-7 degree, rounded outward. */
static inline float half_height(const struct walk *walk) {
  return sqrtf(walk->limit) * 1.000001f + 2;
}

/* The square of the radius in which, by the density about the place, some more than k should be
 * besides those who are passed over. */
static inline float first_near(const struct grid *grid, const struct grid_seek *seek) {
  uint32_t u = grid_u(grid, seek->lon_e7), v = grid_v(grid, seek->lat_e7);
  const struct grid_area *area = &grid->areas[grid_area_at(grid, u, v)];
  float count = (float)(area->count + 1) * seek->share;
  float side = (float)((uint64_t)1 << grid->facts->shift);
  float enough = GRID_EAGER * (float)seek->k + GRID_SPARE;
  float near = side * side * enough / (3.14f * sqrtf(seek->narrow) * count);
  return seek->after_near > 0 ? near + seek->after_near : near;
}

/* Look about the place at this longitude: its own, or its other one across 180 E. */
static inline void scan_from(struct walk *walk, int32_t lon_e7) {
  walk->lon_e7 = lon_e7;
  walk->lens = lens_of(walk->seek, walk->lat_e7, lon_e7);
  struct window now = window_of(walk, half_height(walk));
  scan_window(walk, &now);
}

/* Within a circle that should do, then in wider ones until it does: k within it are the k nearest
 * of all. */
static inline void walk_circles(struct walk *walk) {
  const struct grid_seek *seek = walk->seek;
  walk->lon_e7 = seek->lon_e7;
  for (float near = first_near(walk->grid, seek);;) {
    bool last = near >= seek->limit;
    walk->limit = last ? seek->limit : near;
    walk_empty(walk);
    scan_from(walk, seek->lon_e7);
    if (seek->crosses) scan_from(walk, seek->other_lon_e7);
    bag_shrink(walk);
    if (last || walk->limit < near) return; /* the k-th with its margin is within */
    float grow = 2 * (float)seek->k / ((float)walk->bag->count + 0.5f);
    near *= grow < 2 ? 2 : grow > 16 ? 16 : grow;
  }
}

/* ---- the exact end ---- */

#define EXACT 16 /* places whose haversines are computed together */

/* The haversines of bag entries from .. from + EXACT - 1; beyond its end, of its last. */
static inline void exact(const struct walk *walk, uint32_t from, double hav[EXACT],
                         double metres[EXACT], uint32_t member[EXACT]) {
  const struct grid_seek *seek = walk->seek;
  const struct grid_bag *bag = walk->bag;
  int32_t lat_e7[EXACT], lon_e7[EXACT];
  for (uint32_t i = 0; i < EXACT; i++) {
    uint32_t slot = bag->slot[at_most(from + i, bag->count - 1)];
    const struct grid_block *block = &walk->grid->blocks[slot / GRID_LANES];
    lat_e7[i] = block->lat_e7[slot % GRID_LANES];
    lon_e7[i] = block->lon_e7[slot % GRID_LANES];
    member[i] = block->member[slot % GRID_LANES];
  }
  for (uint32_t i = 0; i < EXACT; i++)
    hav[i] = grid_sphere_hav(seek->lat_e7, seek->lon_e7, seek->cos1, lat_e7[i], lon_e7[i]);
  for (uint32_t i = 0; i < EXACT; i++) metres[i] = grid_sphere_series_m(sqrt(hav[i]));
}

/* Put the hits in order: each one's rank is how many come before it.  To compare all with all has
 * no branches, and is the quickest way up to some hundred. */
#define RANKED 160
static inline void put_in_order(struct grid_hit *hits, uint32_t count) {
  double hav[RANKED], member[RANKED];
  struct grid_hit all[RANKED];
  if (count > RANKED) {
    grid_sort(hits, count);
    return;
  }
  for (uint32_t i = 0; i < count; i++) {
    hav[i] = hits[i].hav;
    member[i] = (double)hits[i].member;
  }
  for (uint32_t i = 0; i < count; i++) {
    int64_t rank = 0;
    for (uint32_t j = 0; j < count; j++)
      rank += (hav[j] < hav[i]) | ((hav[j] <= hav[i]) & (member[j] < member[i]));
    all[rank] = hits[i];
  }
  memcpy(hits, all, count * sizeof *hits);
}

static uint32_t finish(const struct walk *walk, struct grid_hit *hits) {
  const struct grid_bag *bag = walk->bag;
  struct grid_hit all[GRID_BAG];
  uint32_t count = 0;
  for (uint32_t from = 0; from < bag->count; from += EXACT) {
    double hav[EXACT], metres[EXACT];
    uint32_t member[EXACT], end = at_most(bag->count - from, EXACT);
    exact(walk, from, hav, metres, member);
    for (uint32_t i = 0; i < end; i++) {
      all[count] = (struct grid_hit){hav[i], metres[i], member[i], 0};
      count += hav[i] <= walk->seek->hav_max;
    }
  }
  put_in_order(all, count);
  count = at_most(count, walk->seek->k);
  memcpy(hits, all, count * sizeof *hits);
  if (count > 0 && hits[count - 1].hav > GRID_SERIES_END * GRID_SERIES_END)
    for (uint32_t i = 0; i < count; i++) hits[i].distance_m = grid_m_of_hav(hits[i].hav);
  return count;
}

static uint32_t walk_all(const struct grid *grid, const struct grid_seek *seek,
                         struct grid_hit *hits) {
  struct grid_bag bag;
  struct walk walk;
  walk.grid = grid;
  walk.seek = seek;
  walk.bag = &bag;
  walk.lat_e7 = seek->lat_e7;
  walk.listed = 0;
  bag.room = 2 * seek->k + 64;
  walk_circles(&walk);
  return finish(&walk, hits);
}

#endif
