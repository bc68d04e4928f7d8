#include "services/matching/nearby.h"

#include <math.h>

#define CHUNK_MIN    8u
#define CHUNK_GROWTH 4u

void nearby_begin(struct nearby *walk, const struct matching *self, const struct order *order,
                  uint32_t expect) {
  pd_assert(expect > 0);
  struct pd_lonlat place = pd_geo_center(order->cell);
  uint32_t farthest = (uint32_t)self->facts->radius_m;
  uint32_t reach_m = state_policy(self, order)->reach_m;
  if (reach_m > farthest) reach_m = farthest;
  uint32_t first = expect < CHUNK_MIN ? CHUNK_MIN : expect;
  walk->self = self;
  walk->query = (struct grid_query){.lat_e7 = place.lat_e7,
                                    .lon_e7 = place.lon_e7,
                                    .need = order->skills,
                                    .radius_m = reach_m,
                                    .k = first < NEARBY_CHUNK_MAX ? first : NEARBY_CHUNK_MAX,
                                    .flags = GRID_OWN_RADIUS};
  walk->begun = 0;
  walk->at = 0;
  walk->count = 0;
}

/* Ask for the next few: more each time, since the last ones were not enough. */
static bool refill(struct nearby *walk) {
  if (walk->begun && walk->count < walk->query.k) return false;
  if (walk->begun) {
    walk->last = walk->hits[walk->count - 1];
    uint32_t more = CHUNK_GROWTH * walk->query.k;
    walk->query.k = more < NEARBY_CHUNK_MAX ? more : NEARBY_CHUNK_MAX;
  }
  const struct grid_hit *after = walk->begun ? &walk->last : NULL;
  walk->count = grid_nearest(&walk->self->grid, &walk->query, after, walk->hits);
  pd_assert(walk->count <= walk->query.k);
  walk->begun = 1;
  walk->at = 0;
  return walk->count > 0;
}

bool nearby_next(struct nearby *walk, uint32_t *number, uint32_t *distance_m) {
  if (walk->at == walk->count && !refill(walk)) return false;
  pd_assert(walk->at < walk->count);
  const struct grid_hit *hit = &walk->hits[walk->at++];
  pd_assert(hit->member < walk->self->facts->volunteers);
  *number = hit->member;
  *distance_m = (uint32_t)ceil(hit->distance_m);
  return true;
}

uint32_t nearby_distance_m(struct pd_square a, struct pd_square b) {
  struct pd_lonlat from = pd_geo_center(a);
  struct pd_lonlat to = pd_geo_center(b);
  double hav = grid_hav(from.lat_e7, from.lon_e7, to.lat_e7, to.lon_e7);
  pd_assert(hav >= 0 && hav < 1.001);
  return (uint32_t)ceil(grid_m_of_hav(hav));
}
