/* The scan in plain C. */
#include "services/matching/grid_table.h"

#include <stddef.h>

/* The first circle should hold GRID_EAGER * k + GRID_SPARE members. */
#define GRID_EAGER 1.3f
#define GRID_SPARE 1.5f

struct lens {
  int32_t lat_e7;
  int32_t lon_e7;
  uint64_t want;
  uint32_t need;
  float east;
  float lean;
};

static inline struct lens lens_of(const struct grid_seek *seek, int32_t lat_e7, int32_t lon_e7) {
  return (struct lens){lat_e7,     lon_e7,     (uint64_t)seek->need << 32,
                       seek->need, seek->east, seek->lean};
}

/* Differences wrap: what is nearer than 60 degrees never does. */
static inline uint32_t lens_look(const struct lens *lens, const struct grid_block *block,
                                 float limit, float near[GRID_LANES]) {
  uint32_t lanes = 0;
  for (uint32_t i = 0; i < GRID_LANES; i++) {
    float north = (float)(int32_t)((uint32_t)block->lat_e7[i] - (uint32_t)lens->lat_e7);
    float east = (float)(int32_t)((uint32_t)block->lon_e7[i] - (uint32_t)lens->lon_e7);
    float factor = lens->east - lens->lean * north;
    near[i] = north * north + (factor > 0 ? factor : 0) * (east * east);
    uint32_t has = (block->mask[i] & lens->need) == lens->need;
    lanes |= (has & (near[i] <= limit)) << i;
  }
  return lanes;
}

#define LIST_STEP 8

static inline uint32_t lens_pick(const struct lens *lens, const uint64_t *cells, uint32_t count,
                                 uint64_t *list) {
  uint32_t picked = 0;
  for (uint32_t i = 0; i < count; i++) {
    list[picked] = cells[i];
    picked += (cells[i] != 0) & ((cells[i] & lens->want) == lens->want);
  }
  return picked;
}

#include "services/matching/grid_walk.h"

uint32_t grid_scan_plain(const struct grid *grid, const struct grid_seek *seek,
                         struct grid_hit *hits) {
  return walk_all(grid, seek, hits);
}
