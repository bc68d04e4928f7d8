#include "services/matching/nearby.h"

#include <math.h>

#define FIRST 12u /* the index answers up to so many without a branch */
#define AHEAD 6u  /* people who are asked for before they are looked at */

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

void nearby_begin(struct nearby *walk, const struct matching *self, const struct order *order,
                  uint32_t enough) {
  pd_assert(enough > 0);
  struct pd_lonlat place = pd_geo_center(order->cell);
  uint32_t farthest = (uint32_t)self->facts->radius_m;
  walk->self = self;
  walk->query = (struct grid_query){.lat_e7 = place.lat_e7,
                                    .lon_e7 = place.lon_e7,
                                    .need = order->skills,
                                    .radius_m = least(state_policy(self, order)->reach_m, farthest),
                                    .k = FIRST};
  walk->begun = 0;
  walk->at = 0;
  walk->count = 0;
  walk->enough = enough;
}

/* Bring what the rules read of a volunteer into the cache. */
static inline void ask_for(const struct nearby *walk, uint32_t at) {
  if (at >= walk->count) return;
  const char *volunteer = (const char *)&walk->self->volunteers[walk->hits[at].member];
  __builtin_prefetch(volunteer);
  __builtin_prefetch(volunteer + 64);
  __builtin_prefetch(volunteer + sizeof(struct volunteer) - 1);
}

/* Ask for the next ones: more each time, since the last ones were not enough. */
static bool refill(struct nearby *walk) {
  if (walk->begun > 0 && walk->count < walk->query.k) return false;
  const struct grid_hit *after = NULL;
  if (walk->begun > 0) {
    walk->last = walk->hits[walk->count - 1];
    after = &walk->last;
    walk->query.k = walk->begun == 1 ? least(walk->enough, NEARBY_CHUNK_MAX) : NEARBY_CHUNK_MAX;
    walk->query.flags = GRID_OWN_RADIUS;
  }
  walk->count = grid_nearest(&walk->self->grid, &walk->query, after, walk->hits);
  pd_assert(walk->count <= walk->query.k);
  walk->begun++;
  walk->at = 0;
  for (uint32_t i = 0; i < AHEAD; i++) ask_for(walk, i);
  return walk->count > 0;
}

bool nearby_next(struct nearby *walk, uint32_t *number, uint32_t *distance_m) {
  for (;;) {
    if (walk->at == walk->count && !refill(walk)) return false;
    pd_assert(walk->at < walk->count);
    ask_for(walk, walk->at + AHEAD);
    const struct grid_hit *hit = &walk->hits[walk->at++];
    pd_assert(hit->member < walk->self->facts->volunteers);
    *number = hit->member;
    *distance_m = (uint32_t)ceil(hit->distance_m);
    if (*distance_m <= walk->self->volunteers[*number].radius_m) return true;
  }
}

uint32_t nearby_distance_m(struct pd_square a, struct pd_square b) {
  struct pd_lonlat from = pd_geo_center(a);
  struct pd_lonlat to = pd_geo_center(b);
  double hav = grid_hav(from.lat_e7, from.lon_e7, to.lat_e7, to.lon_e7);
  pd_assert(hav >= 0 && hav < 1.001);
  return (uint32_t)ceil(grid_m_of_hav(hav));
}
