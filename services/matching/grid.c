/* Updates of the index: in integers only, total, the same bytes for the same calls. */
#include "services/matching/grid.h"

#include "common/base/err.h"
#include "services/matching/grid_table.h"

#include <string.h>

#define NORTH_END 900000000
#define EAST_END 1800000000

/* Sizes.  Areas: one to sixteen members of capacity, at least 16 x 16.
 * Cells: cutting ends at GRID_MERGE members a cell on average, so capacity / GRID_MERGE are in use
 * besides the areas' own; runs of them fragment, for which a half is added.
 * Blocks: ceil(n / 8) <= (n + 7) / 8 for each cell with members; at most capacity / GRID_MERGE
 * cells of cut areas and one of each other area have any. */
static uint32_t side_for(uint32_t capacity) {
  pd_assert(capacity > 0);
  uint32_t side = 4;
  while (side < 13 && ((uint64_t)16 << (2 * side)) < capacity) side++;
  return side;
}

static uint64_t cells_for(uint32_t capacity) {
  return ((uint64_t)1 << (2 * side_for(capacity))) + capacity / 2 + 2;
}

static uint64_t blocks_for(uint32_t capacity) {
  uint64_t areas = (uint64_t)1 << (2 * side_for(capacity));
  uint64_t cells = capacity / GRID_MERGE + (areas < capacity ? areas : capacity) + 1;
  return (capacity + 7 * cells) / GRID_LANES + 2;
}

size_t grid_bytes(uint32_t capacity) {
  uint64_t areas = (uint64_t)1 << (2 * side_for(capacity));
  uint64_t bytes = sizeof(struct grid_facts) + areas * sizeof(struct grid_area);
  bytes += cells_for(capacity) * sizeof(uint64_t);
  bytes += blocks_for(capacity) * (sizeof(struct grid_block) + sizeof(uint32_t));
  bytes += (uint64_t)capacity * (sizeof(struct grid_hot) + sizeof(uint32_t));
  return (size_t)(bytes + 7 * 16 + 64);
}

void grid_init(struct grid *grid, struct pd_arena *arena, uint32_t capacity) {
  pd_assert(blocks_for(capacity) < (uint64_t)1 << 27);
  *grid = (struct grid){.capacity = capacity, .side = side_for(capacity)};
  grid->cell_limit = (uint32_t)cells_for(capacity);
  grid->block_limit = (uint32_t)blocks_for(capacity);
  grid->facts = PD_ARENA_ARRAY(arena, struct grid_facts, 1);
  grid->areas = PD_ARENA_ARRAY(arena, struct grid_area, (size_t)1 << (2 * grid->side));
  grid->cells = PD_ARENA_ARRAY(arena, uint64_t, grid->cell_limit);
  grid->next = PD_ARENA_ARRAY(arena, uint32_t, grid->block_limit);
  grid->hot = PD_ARENA_ARRAY(arena, struct grid_hot, capacity);
  grid->radius_m = PD_ARENA_ARRAY(arena, uint32_t, capacity);
  /* Blocks begin at a cache line of the arena, wherever the arena itself begins. */
  if (arena->used % 64) pd_arena_alloc(arena, 64 - arena->used % 64);
  grid->blocks = PD_ARENA_ARRAY(arena, struct grid_block, grid->block_limit);
  for (int isa = GRID_PLAIN; isa < GRID_ISA_COUNT; isa++) (void)grid_use(grid, (enum grid_isa)isa);
}

bool grid_use(struct grid *grid, enum grid_isa isa) {
#ifdef MATCHING_X86
  if (isa == GRID_AVX2 && !(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")))
    return false;
  if (isa == GRID_AVX512 &&
      !(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")))
    return false;
#else
  if (isa != GRID_PLAIN) return false;
#endif
  grid->isa = isa;
  return true;
}

bool grid_holds(const struct grid *grid, uint32_t member) {
  pd_assert(member < grid->capacity);
  return grid->hot[member].slot != 0;
}

uint32_t grid_count(const struct grid *grid) {
  return grid->facts->count;
}

struct grid_member grid_get(const struct grid *grid, uint32_t member) {
  pd_assert(grid_holds(grid, member));
  const struct grid_hot *hot = &grid->hot[member];
  return (struct grid_member){hot->lat_e7, hot->lon_e7, hot->mask, grid->radius_m[member]};
}

/* ---- blocks ---- */

static uint32_t block_take(struct grid *grid) {
  struct grid_facts *facts = grid->facts;
  uint32_t block = facts->block_free;
  if (block) {
    facts->block_free = grid->next[block];
  } else {
    block = ++facts->block_fresh;
    pd_assert(block < grid->block_limit);
    for (int i = 0; i < GRID_LANES; i++) grid->blocks[block].lat_e7[i] = GRID_NOWHERE;
  }
  grid->next[block] = 0;
  return block;
}

/* Its lanes are empty: who leaves a lane clears it. */
static void block_give(struct grid *grid, uint32_t block) {
  pd_assert(block > 0 && block <= grid->facts->block_fresh);
  grid->next[block] = grid->facts->block_free;
  grid->facts->block_free = block;
}

static void lane_clear(struct grid_block *block, uint32_t lane) {
  pd_assert(lane < GRID_LANES);
  block->lat_e7[lane] = GRID_NOWHERE;
  block->lon_e7[lane] = 0;
  block->mask[lane] = 0;
  block->member[lane] = 0;
}

/* ---- cells ---- */

static void cell_add(struct grid *grid, uint64_t *cell, uint32_t member) {
  struct grid_hot *hot = &grid->hot[member];
  uint32_t block = grid_cell_block(*cell), lane = grid_cell_lanes(*cell);
  bool more = grid_cell_more(*cell);
  if (block == 0 || lane == GRID_LANES) {
    uint32_t fresh = block_take(grid);
    grid->next[fresh] = block;
    more = block != 0;
    block = fresh;
    lane = 0;
  }
  struct grid_block *at = &grid->blocks[block];
  at->lat_e7[lane] = hot->lat_e7;
  at->lon_e7[lane] = hot->lon_e7;
  at->mask[lane] = hot->mask;
  at->member[lane] = member;
  hot->slot = block * GRID_LANES + lane;
  *cell = grid_cell(grid_cell_mask(*cell) | hot->mask, block, more, lane + 1);
  pd_assert(lane < GRID_LANES && hot->slot >= GRID_LANES);
}

/* The last lane of the cell's first block moves into the hole. */
static void cell_fill_hole(struct grid *grid, uint32_t slot, uint32_t last_block, uint32_t last) {
  pd_assert(slot >= GRID_LANES && last < GRID_LANES);
  struct grid_block *to = &grid->blocks[slot / GRID_LANES], *from = &grid->blocks[last_block];
  uint32_t lane = slot % GRID_LANES;
  if (slot != last_block * GRID_LANES + last) {
    to->lat_e7[lane] = from->lat_e7[last];
    to->lon_e7[lane] = from->lon_e7[last];
    to->mask[lane] = from->mask[last];
    to->member[lane] = from->member[last];
    grid->hot[from->member[last]].slot = slot;
  }
  lane_clear(from, last);
}

/* The masks of a block but for one lane. */
static uint32_t mask_without(const struct grid_block *block, uint32_t lane) {
  pd_assert(lane <= GRID_LANES);
  uint32_t mask = 0;
  for (uint32_t i = 0; i < GRID_LANES; i++) mask |= block->mask[i] & -(uint32_t)(i != lane);
  return mask;
}

static void cell_take(struct grid *grid, uint64_t *cell, uint32_t member) {
  uint32_t block = grid_cell_block(*cell), lanes = grid_cell_lanes(*cell);
  uint32_t slot = grid->hot[member].slot, mask = grid_cell_mask(*cell);
  pd_assert(slot != 0 && lanes > 0);
  bool more = grid_cell_more(*cell);
  /* Read before lanes are written: a wide load after a narrow store waits for the store. */
  if (!more) mask = mask_without(&grid->blocks[block], slot % GRID_LANES);
  cell_fill_hole(grid, slot, block, lanes - 1);
  grid->hot[member].slot = 0;
  if (--lanes == 0) {
    uint32_t rest = grid->next[block];
    block_give(grid, block);
    block = rest;
    lanes = rest ? GRID_LANES : 0;
    more = rest && grid->next[rest] != 0;
    if (rest && !more) mask = mask_without(&grid->blocks[rest], GRID_LANES);
  }
  *cell = grid_cell(mask, block, more, lanes);
}

/* Everybody in a cell onto a chain through their slots; the cell is empty then. */
static uint32_t cell_unchain(struct grid *grid, uint64_t *cell, uint32_t chain) {
  uint32_t block = grid_cell_block(*cell), lanes = grid_cell_lanes(*cell);
  while (block) {
    struct grid_block *at = &grid->blocks[block];
    for (uint32_t lane = 0; lane < lanes; lane++) {
      uint32_t member = at->member[lane];
      grid->hot[member].slot = chain;
      chain = member + 1;
      lane_clear(at, lane);
    }
    uint32_t next = grid->next[block];
    block_give(grid, block);
    block = next;
    lanes = GRID_LANES;
  }
  *cell = 0;
  return chain;
}

/* ---- runs of cells: 2^level of them, free ones chained by their first cell ---- */

/* UINT32_MAX when there is none. */
static uint32_t run_take(struct grid *grid, uint32_t level) {
  pd_assert(level > 0 && level < GRID_LEVELS);
  struct grid_facts *facts = grid->facts;
  uint32_t from = level;
  while (from < GRID_LEVELS && facts->cell_free[from] == 0) from++;
  uint32_t first = facts->cell_fresh;
  if (from == GRID_LEVELS) {
    if (grid->cell_limit - first < (uint32_t)1 << level) return UINT32_MAX;
    facts->cell_fresh += (uint32_t)1 << level;
    return first;
  }
  first = facts->cell_free[from];
  facts->cell_free[from] = (uint32_t)grid->cells[first];
  grid->cells[first] = 0;
  for (; from > level; from--) { /* the upper halves of a longer run stay free */
    uint32_t half = first + ((uint32_t)1 << (from - 1));
    grid->cells[half] = facts->cell_free[from - 1];
    facts->cell_free[from - 1] = half;
  }
  return first;
}

static void run_give(struct grid *grid, uint32_t first, uint32_t level) {
  pd_assert(level > 0 && level < GRID_LEVELS && first < grid->facts->cell_fresh);
  grid->cells[first] = grid->facts->cell_free[level];
  grid->facts->cell_free[level] = first;
}

/* ---- areas ---- */

static uint32_t area_number(const struct grid *grid, const struct grid_area *area) {
  pd_assert(area >= grid->areas);
  return (uint32_t)(area - grid->areas);
}

/* The finest level that leaves GRID_SPLIT / 2 or more members a cell. */
static uint32_t level_for(const struct grid *grid, uint32_t count) {
  pd_assert(grid->facts->shift >= GRID_SHIFT_MIN);
  uint32_t level = 0, most = 2 * (grid->facts->shift - 4);
  if (most > GRID_LEVELS - 1) most = GRID_LEVELS - 1;
  while (level < most && count > (uint64_t)GRID_SPLIT << level) level++;
  return level;
}

/* Everybody on the chain goes into their cells, cell by cell, so that neighbours share blocks that
 * follow each other. */
static void area_fill(struct grid *grid, struct grid_area *area, uint32_t chain) {
  pd_assert(area->level < GRID_LEVELS);
  area->mask = 0;
  while (chain) {
    struct grid_hot *hot = &grid->hot[chain - 1];
    uint32_t u = grid_u(grid, hot->lon_e7), v = grid_v(grid, hot->lat_e7);
    uint64_t *cell = &grid->cells[grid_cell_at(grid, area, u, v)];
    uint32_t rest = hot->slot;
    hot->slot = (uint32_t)*cell;
    *cell = chain;
    area->mask |= hot->mask;
    chain = rest;
  }
  for (uint32_t i = 0; i < (uint32_t)1 << area->level; i++) {
    uint64_t *cell = &grid->cells[area->cells + i];
    uint32_t list = (uint32_t)*cell;
    *cell = 0;
    while (list) {
      uint32_t member = list - 1;
      list = grid->hot[member].slot;
      cell_add(grid, cell, member);
    }
  }
}

/* Cut an area into 2^level cells; it stays as it is when no run of cells is free. */
static void area_recut(struct grid *grid, struct grid_area *area, uint32_t level) {
  pd_assert(level != area->level && level < GRID_LEVELS);
  uint32_t cells = area_number(grid, area), chain = 0;
  if (level > 0) cells = run_take(grid, level);
  if (cells == UINT32_MAX) {
    grid->facts->starved = 1;
    return;
  }
  for (uint32_t i = 0; i < (uint32_t)1 << area->level; i++)
    chain = cell_unchain(grid, &grid->cells[area->cells + i], chain);
  if (area->level > 0) run_give(grid, area->cells, area->level);
  area->cells = cells;
  area->level = level;
  area_fill(grid, area, chain);
}

/* A coarser cut must not fail, or more cells could have members than there are blocks for: it takes
 * the first half of its own run. */
static void area_coarsen(struct grid *grid, struct grid_area *area) {
  pd_assert(area->level > 0);
  uint32_t first = area->cells, level = area->level, chain = 0;
  for (uint32_t i = 0; i < (uint32_t)1 << level; i++)
    chain = cell_unchain(grid, &grid->cells[first + i], chain);
  if (level == 1) {
    run_give(grid, first, 1);
    area->cells = area_number(grid, area);
  } else {
    run_give(grid, first + ((uint32_t)1 << (level - 1)), level - 1);
  }
  area->level = level - 1;
  area_fill(grid, area, chain);
}

static bool outside(const struct grid *grid, int32_t lat_e7, int32_t lon_e7) {
  pd_assert(grid->facts->shift + grid->side <= 32);
  int64_t width = (int64_t)1 << (grid->facts->shift + grid->side);
  int64_t u = (int64_t)lon_e7 - grid->facts->lon_e7, v = (int64_t)lat_e7 - grid->facts->lat_e7;
  return u < 0 || v < 0 || u >= width || v >= width;
}

static void link_in(struct grid *grid, uint32_t member) {
  pd_assert(grid->facts->shift >= GRID_SHIFT_MIN && member < grid->capacity);
  const struct grid_hot *hot = &grid->hot[member];
  uint32_t u = grid_u(grid, hot->lon_e7), v = grid_v(grid, hot->lat_e7);
  uint32_t number = grid_area_at(grid, u, v);
  struct grid_area *area = &grid->areas[number];
  if (area->level == 0) area->cells = number;
  cell_add(grid, &grid->cells[grid_cell_at(grid, area, u, v)], member);
  area->mask |= hot->mask;
  area->count++;
  grid->facts->count++;
  grid->facts->outside += outside(grid, hot->lat_e7, hot->lon_e7);
  if (area->count > (uint64_t)GRID_SPLIT << area->level) {
    uint32_t level = level_for(grid, area->count);
    if (level > area->level) area_recut(grid, area, level);
  }
}

static void link_out(struct grid *grid, uint32_t member) {
  const struct grid_hot *hot = &grid->hot[member];
  uint32_t u = grid_u(grid, hot->lon_e7), v = grid_v(grid, hot->lat_e7);
  struct grid_area *area = &grid->areas[grid_area_at(grid, u, v)];
  pd_assert(area->count > 0 && grid->facts->count > 0);
  cell_take(grid, &grid->cells[grid_cell_at(grid, area, u, v)], member);
  area->count--;
  if (area->count == 0) area->mask = 0;
  grid->facts->count--;
  grid->facts->outside -= outside(grid, hot->lat_e7, hot->lon_e7);
  if (area->level > 0 && area->count < (uint64_t)GRID_MERGE << area->level)
    area_coarsen(grid, area);
}

/* ---- the box, and laying out anew ---- */

/* The median of one coordinate of all members, to 2^10 units: its upper 11 bits, then 11 more. */
static int32_t median(const struct grid *grid, bool east) {
  pd_assert(grid->facts->count > 0);
  uint32_t low = 0, rank = grid->facts->count / 2;
  for (uint32_t pass = 0; pass < 2; pass++) {
    uint32_t histogram[2048] = {0}, bucket = 0, shift = pass == 0 ? 21 : 10;
    for (uint32_t i = 0; i < grid->capacity; i++) {
      const struct grid_hot *hot = &grid->hot[i];
      uint32_t key = (uint32_t)(east ? hot->lon_e7 : hot->lat_e7) ^ 0x80000000u;
      if (hot->slot && (pass == 0 || key >> 21 == low >> 21)) histogram[key >> shift & 2047]++;
    }
    while (bucket < 2047 && histogram[bucket] <= rank) rank -= histogram[bucket++];
    low |= bucket << shift;
  }
  return (int32_t)(low ^ 0x80000000u);
}

/* Put the box about a place, its areas 2^shift units wide. */
static void box_put(struct grid *grid, int32_t lat_e7, int32_t lon_e7, uint32_t shift) {
  pd_assert(shift >= GRID_SHIFT_MIN && shift + grid->side <= 32);
  int64_t half = (int64_t)1 << (shift + grid->side - 1);
  int64_t south = lat_e7 - half, west = lon_e7 - half;
  if (south < INT32_MIN) south = INT32_MIN;
  if (west < INT32_MIN) west = INT32_MIN;
  grid->facts->lat_e7 = (int32_t)south;
  grid->facts->lon_e7 = (int32_t)west;
  grid->facts->shift = shift;
}

static uint32_t count_outside(const struct grid *grid) {
  pd_assert(grid->facts->count <= grid->capacity);
  uint32_t count = 0;
  for (uint32_t i = 0; i < grid->capacity; i++) {
    const struct grid_hot *hot = &grid->hot[i];
    if (hot->slot) count += outside(grid, hot->lat_e7, hot->lon_e7);
  }
  return count;
}

/* The smallest box about the median that leaves at most a sixteenth outside. */
static void box_choose(struct grid *grid) {
  int32_t lat_e7 = median(grid, false), lon_e7 = median(grid, true);
  uint32_t shift = GRID_SHIFT_MIN;
  for (;; shift++) {
    box_put(grid, lat_e7, lon_e7, shift);
    if (shift + grid->side == 32) break;
    if (count_outside(grid) <= grid->facts->count / 16) break;
  }
  grid->facts->outside = count_outside(grid);
}

/* Everybody off the tables and onto one chain; the tables are as after init, but for the members.
 */
static uint32_t clear_tables(struct grid *grid) {
  pd_assert(grid->facts->block_fresh < grid->block_limit);
  struct grid_facts *facts = grid->facts;
  uint32_t chain = 0;
  for (uint32_t i = grid->capacity; i-- > 0;) {
    struct grid_hot *hot = &grid->hot[i];
    if (hot->slot == 0) continue;
    hot->slot = chain;
    chain = i + 1;
  }
  memset(grid->areas, 0, sizeof(struct grid_area) << (2 * grid->side));
  memset(grid->cells, 0, facts->cell_fresh * sizeof(uint64_t));
  memset(grid->blocks, 0, sizeof(struct grid_block) * ((size_t)facts->block_fresh + 1));
  memset(grid->next, 0, sizeof(uint32_t) * ((size_t)facts->block_fresh + 1));
  memset(facts->cell_free, 0, sizeof facts->cell_free);
  facts->block_fresh = facts->block_free = 0;
  facts->cell_fresh = (uint32_t)1 << (2 * grid->side);
  facts->starved = facts->age = 0;
  return chain;
}

void grid_rebuild(struct grid *grid) {
  if (grid->facts->count == 0) return;
  box_choose(grid);
  uint32_t chain = clear_tables(grid), areas = (uint32_t)1 << (2 * grid->side);
  while (chain) { /* to a chain for each area, kept in its `cells` */
    struct grid_hot *hot = &grid->hot[chain - 1];
    uint32_t u = grid_u(grid, hot->lon_e7), v = grid_v(grid, hot->lat_e7), rest = hot->slot;
    struct grid_area *area = &grid->areas[grid_area_at(grid, u, v)];
    hot->slot = area->cells;
    area->cells = chain;
    area->count++;
    chain = rest;
  }
  for (uint32_t i = 0; i < areas; i++) {
    struct grid_area *area = &grid->areas[i];
    uint32_t list = area->cells, cells = i;
    area->level = level_for(grid, area->count);
    if (area->level > 0) cells = run_take(grid, area->level);
    pd_assert(cells != UINT32_MAX);
    area->cells = cells;
    area_fill(grid, area, list);
  }
}

/* When too many live outside the box, or a cut failed for want of cells, and enough has happened
 * since to pay for the work. */
static void look_after(struct grid *grid) {
  struct grid_facts *facts = grid->facts;
  facts->age++;
  bool due = facts->outside > 64 + facts->count / 8 || facts->starved;
  if (due && facts->age > facts->count / 16) grid_rebuild(grid);
}

/* ---- the interface ---- */

static int32_t clamped(int32_t value, int32_t limit) {
  if (value > limit) return limit;
  return value < -limit ? -limit : value;
}

static void count_bits(struct grid *grid, uint32_t mask, uint32_t by) {
  for (; mask; mask &= mask - 1) grid->facts->with[__builtin_ctz(mask)] += by;
}

void grid_set(struct grid *grid, uint32_t member, const struct grid_member *as) {
  grid_remove(grid, member);
  struct grid_hot *hot = &grid->hot[member];
  hot->lat_e7 = clamped(as->lat_e7, NORTH_END);
  hot->lon_e7 = clamped(as->lon_e7, EAST_END);
  hot->mask = as->mask;
  grid->radius_m[member] = as->radius_m;
  if (grid->facts->shift == 0) {
    grid->facts->cell_fresh = (uint32_t)1 << (2 * grid->side);
    box_put(grid, hot->lat_e7, hot->lon_e7, GRID_SHIFT_MIN);
  }
  count_bits(grid, hot->mask, 1);
  link_in(grid, member);
  look_after(grid);
}

void grid_remove(struct grid *grid, uint32_t member) {
  if (!grid_holds(grid, member)) return;
  struct grid_hot *hot = &grid->hot[member];
  count_bits(grid, hot->mask, UINT32_MAX);
  link_out(grid, member);
  *hot = (struct grid_hot){0};
  grid->radius_m[member] = 0;
}

/* The cell that a place falls into; *area is its area. */
static uint64_t *cell_of(struct grid *grid, int32_t lat_e7, int32_t lon_e7,
                         struct grid_area **area) {
  uint32_t u = grid_u(grid, lon_e7), v = grid_v(grid, lat_e7);
  *area = &grid->areas[grid_area_at(grid, u, v)];
  return &grid->cells[grid_cell_at(grid, *area, u, v)];
}

/* The first block of a cell, into the cache. */
GRID_ASKS void ask_for(const struct grid *grid, const uint64_t *cell) {
  const struct grid_block *block = &grid->blocks[grid_cell_block(*cell)];
  grid_ask(block->lat_e7);
  grid_ask(block->mask);
}

void grid_move(struct grid *grid, uint32_t member, int32_t lat_e7, int32_t lon_e7) {
  if (!grid_holds(grid, member)) return;
  struct grid_hot *hot = &grid->hot[member];
  struct grid_area *from, *to;
  lat_e7 = clamped(lat_e7, NORTH_END);
  lon_e7 = clamped(lon_e7, EAST_END);
  uint64_t *cell = cell_of(grid, lat_e7, lon_e7, &to);
  ask_for(grid, cell); /* while the old place is being looked up */
  if (cell_of(grid, hot->lat_e7, hot->lon_e7, &from) == cell && from == to) {
    struct grid_block *block = &grid->blocks[hot->slot / GRID_LANES];
    grid->facts->outside -= outside(grid, hot->lat_e7, hot->lon_e7);
    grid->facts->outside += outside(grid, lat_e7, lon_e7);
    block->lat_e7[hot->slot % GRID_LANES] = hot->lat_e7 = lat_e7;
    block->lon_e7[hot->slot % GRID_LANES] = hot->lon_e7 = lon_e7;
  } else {
    link_out(grid, member);
    hot->lat_e7 = lat_e7;
    hot->lon_e7 = lon_e7;
    link_in(grid, member);
  }
  look_after(grid);
}

/* How many moves ahead something is asked for: the member, then its cells, then their blocks, then
 * the member that will fill the hole.  Each stage reads only what the one before has brought. */
#define AHEAD_HOT 32
#define AHEAD_CELL 24
#define AHEAD_BLOCK 16
#define AHEAD_FILLER 8

GRID_ASKS void look_ahead(struct grid *grid, const struct grid_to *moves, uint32_t left) {
  struct grid_area *area;
  if (left > AHEAD_HOT && moves[AHEAD_HOT].member < grid->capacity)
    grid_ask(&grid->hot[moves[AHEAD_HOT].member]);
  if (left > AHEAD_CELL && moves[AHEAD_CELL].member < grid->capacity) {
    const struct grid_to *to = &moves[AHEAD_CELL];
    const struct grid_hot *hot = &grid->hot[to->member];
    grid_ask(cell_of(grid, to->lat_e7, to->lon_e7, &area));
    grid_ask(cell_of(grid, hot->lat_e7, hot->lon_e7, &area));
  }
  if (left > AHEAD_BLOCK && moves[AHEAD_BLOCK].member < grid->capacity) {
    const struct grid_to *to = &moves[AHEAD_BLOCK];
    const struct grid_hot *hot = &grid->hot[to->member];
    ask_for(grid, cell_of(grid, to->lat_e7, to->lon_e7, &area));
    ask_for(grid, cell_of(grid, hot->lat_e7, hot->lon_e7, &area));
    grid_ask(grid->blocks[hot->slot / GRID_LANES].lat_e7);
    grid_ask(grid->blocks[hot->slot / GRID_LANES].mask);
  }
  if (left > AHEAD_FILLER && moves[AHEAD_FILLER].member < grid->capacity) {
    const struct grid_hot *hot = &grid->hot[moves[AHEAD_FILLER].member];
    const uint64_t *from = cell_of(grid, hot->lat_e7, hot->lon_e7, &area);
    const struct grid_block *last = &grid->blocks[grid_cell_block(*from)];
    uint32_t filler = last->member[(grid_cell_lanes(*from) - 1) % GRID_LANES];
    grid_ask(&grid->hot[filler]);
  }
}

void grid_moves(struct grid *grid, const struct grid_to *moves, uint32_t count) {
  if (grid->facts->count == 0) return;
  for (uint32_t i = 0; i < count; i++) {
    look_ahead(grid, moves + i, count - i);
    grid_move(grid, moves[i].member, moves[i].lat_e7, moves[i].lon_e7);
  }
}

void grid_mask(struct grid *grid, uint32_t member, uint32_t mask) {
  if (!grid_holds(grid, member)) return;
  struct grid_hot *hot = &grid->hot[member];
  struct grid_area *area;
  uint64_t *cell = cell_of(grid, hot->lat_e7, hot->lon_e7, &area);
  count_bits(grid, hot->mask, UINT32_MAX);
  count_bits(grid, mask, 1);
  hot->mask = mask;
  grid->blocks[hot->slot / GRID_LANES].mask[hot->slot % GRID_LANES] = mask;
  *cell |= (uint64_t)mask << 32;
  area->mask |= mask;
}
