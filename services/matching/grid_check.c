/* Every invariant of the tables, walked; for tests. */
#include "common/base/err.h"
#include "services/matching/grid.h"
#include "services/matching/grid_table.h"

struct tally {
  uint64_t members;
  uint64_t blocks;
  uint64_t cells;
  uint64_t outside;
};

static void check_lane(const struct grid *grid, uint32_t block, uint32_t lane, uint32_t mask) {
  const struct grid_block *at = &grid->blocks[block];
  pd_assert(at->member[lane] < grid->capacity);
  const struct grid_hot *hot = &grid->hot[at->member[lane]];
  pd_assert(hot->slot == block * GRID_LANES + lane);
  pd_assert(hot->lat_e7 == at->lat_e7[lane] && hot->lon_e7 == at->lon_e7[lane]);
  pd_assert(hot->mask == at->mask[lane]);
  pd_assert((hot->mask & ~mask) == 0);
}

static uint32_t check_cell(const struct grid *grid, uint64_t cell, struct tally *tally) {
  uint32_t block = grid_cell_block(cell), lanes = grid_cell_lanes(cell), members = 0;
  pd_assert((block == 0) == (lanes == 0) && lanes <= GRID_LANES);
  pd_assert(grid_cell_more(cell) == (block != 0 && grid->next[block] != 0));
  for (; block; block = grid->next[block]) {
    for (uint32_t lane = 0; lane < GRID_LANES; lane++) {
      if (lane < lanes)
        check_lane(grid, block, lane, grid_cell_mask(cell));
      else
        pd_assert(grid->blocks[block].lat_e7[lane] == GRID_NOWHERE);
    }
    members += lanes;
    lanes = GRID_LANES;
    tally->blocks++;
  }
  return members;
}

static void check_area(const struct grid *grid, uint32_t number, struct tally *tally) {
  const struct grid_area *area = &grid->areas[number];
  uint32_t members = 0;
  if (area->count == 0) return;
  pd_assert(area->level > 0 || area->cells == number);
  pd_assert(area->level == 0 || area->count >= (uint64_t)GRID_MERGE << area->level);
  for (uint32_t i = 0; i < (uint32_t)1 << area->level; i++) {
    uint64_t cell = grid->cells[area->cells + i];
    pd_assert((grid_cell_mask(cell) & ~area->mask) == 0);
    members += check_cell(grid, cell, tally);
  }
  pd_assert(members == area->count);
  tally->members += members;
  tally->cells += (uint64_t)1 << area->level;
}

static void check_members(const struct grid *grid, struct tally *tally) {
  uint32_t with[32] = {0};
  for (uint32_t i = 0; i < grid->capacity; i++) {
    const struct grid_hot *hot = &grid->hot[i];
    if (hot->slot == 0) continue;
    int64_t width = (int64_t)1 << (grid->facts->shift + grid->side);
    int64_t u = (int64_t)hot->lon_e7 - grid->facts->lon_e7;
    int64_t v = (int64_t)hot->lat_e7 - grid->facts->lat_e7;
    tally->outside += u < 0 || v < 0 || u >= width || v >= width;
    for (uint32_t bit = 0; bit < 32; bit++) with[bit] += hot->mask >> bit & 1;
  }
  for (uint32_t bit = 0; bit < 32; bit++) pd_assert(with[bit] == grid->facts->with[bit]);
}

size_t grid_check(const struct grid *grid) {
  struct tally tally = {0};
  uint32_t free_blocks = 0;
  for (uint32_t i = 0; i < (uint32_t)1 << (2 * grid->side); i++) check_area(grid, i, &tally);
  for (uint32_t block = grid->facts->block_free; block; block = grid->next[block]) free_blocks++;
  check_members(grid, &tally);
  pd_assert(tally.members == grid->facts->count);
  pd_assert(tally.outside == grid->facts->outside);
  pd_assert(tally.blocks + free_blocks == grid->facts->block_fresh);
  pd_assert(grid->facts->block_fresh < grid->block_limit);
  pd_assert(grid->facts->cell_fresh <= grid->cell_limit);
  return (size_t)(tally.blocks * (sizeof(struct grid_block) + sizeof(uint32_t)) +
                  tally.cells * sizeof(uint64_t) +
                  tally.members * (sizeof(struct grid_hot) + sizeof(uint32_t)) +
                  (sizeof(struct grid_area) << (2 * grid->side)) + sizeof(struct grid_facts));
}
