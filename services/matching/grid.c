#include "services/matching/grid.h"

#include "common/base/err.h"
#include "common/base/geo.h"

#include <math.h>
#include <string.h>

struct grid_facts {
  uint64_t count;
  uint64_t zero;
};

void grid_init(struct grid *grid, struct pd_arena *arena, uint32_t capacity) {
  *grid = (struct grid){.capacity = capacity};
  grid->facts = PD_ARENA_ARRAY(arena, struct grid_facts, 1);
  grid->members = PD_ARENA_ARRAY(arena, struct grid_member, capacity);
  grid->present = PD_ARENA_ARRAY(arena, uint8_t, capacity);
}

size_t grid_bytes(uint32_t capacity) {
  return sizeof(struct grid_facts) + (sizeof(struct grid_member) + 1) * (size_t)capacity + 16;
}

static int32_t clamped(int32_t value, int32_t limit) {
  if (value > limit) return limit;
  return value < -limit ? -limit : value;
}

static void place(struct grid_member *member, int32_t lat_e7, int32_t lon_e7) {
  member->lat_e7 = clamped(lat_e7, 900000000);
  member->lon_e7 = clamped(lon_e7, 1800000000);
}

void grid_set(struct grid *grid, uint32_t member, const struct grid_member *as) {
  pd_assert(member < grid->capacity);
  if (!grid->present[member]) grid->facts->count++;
  grid->present[member] = 1;
  grid->members[member] = *as;
  place(&grid->members[member], as->lat_e7, as->lon_e7);
}

void grid_move(struct grid *grid, uint32_t member, int32_t lat_e7, int32_t lon_e7) {
  if (grid_holds(grid, member)) place(&grid->members[member], lat_e7, lon_e7);
}

void grid_mask(struct grid *grid, uint32_t member, uint32_t mask) {
  if (grid_holds(grid, member)) grid->members[member].mask = mask;
}

void grid_remove(struct grid *grid, uint32_t member) {
  if (!grid_holds(grid, member)) return;
  grid->present[member] = 0;
  grid->members[member] = (struct grid_member){0};
  grid->facts->count--;
}

bool grid_holds(const struct grid *grid, uint32_t member) {
  pd_assert(member < grid->capacity);
  return grid->present[member] != 0;
}

uint32_t grid_count(const struct grid *grid) { return (uint32_t)grid->facts->count; }

struct grid_member grid_get(const struct grid *grid, uint32_t member) {
  pd_assert(grid_holds(grid, member));
  return grid->members[member];
}

static bool before(const struct grid_hit *a, const struct grid_hit *b) {
  if (a->hav < b->hav || a->hav > b->hav) return a->hav < b->hav;
  return a->member < b->member;
}

static bool fulfils(const struct grid_member *member, const struct grid_query *query, double hav) {
  if ((member->mask & query->need) != query->need) return false;
  if (hav > grid_hav_of_m(query->radius_m)) return false;
  return !(query->flags & GRID_OWN_RADIUS) || hav <= grid_hav_of_m(member->radius_m);
}

static uint32_t keep(struct grid_hit *hits, uint32_t found, uint32_t k, struct grid_hit hit) {
  if (found == k && !before(&hit, &hits[k - 1])) return found;
  uint32_t at = found < k ? found : k - 1;
  for (; at > 0 && before(&hit, &hits[at - 1]); at--) hits[at] = hits[at - 1];
  hits[at] = hit;
  return found < k ? found + 1 : found;
}

uint32_t grid_nearest(const struct grid *grid, const struct grid_query *query,
                      const struct grid_hit *after, struct grid_hit *hits) {
  pd_assert(query->k <= GRID_K_MAX);
  uint32_t found = 0;
  if (query->k == 0) return 0;
  for (uint32_t i = 0; i < grid->capacity; i++) {
    const struct grid_member *member = &grid->members[i];
    if (!grid->present[i]) continue;
    struct grid_hit hit = {.member = i};
    hit.hav = grid_hav(query->lat_e7, query->lon_e7, member->lat_e7, member->lon_e7);
    if (fulfils(member, query, hit.hav) && (after == NULL || before(after, &hit)))
      found = keep(hits, found, query->k, hit);
  }
  for (uint32_t i = 0; i < found; i++) hits[i].distance_m = grid_m_of_hav(hits[i].hav);
  return found;
}
