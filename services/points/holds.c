#include "services/points/holds.h"

#include "common/base/err.h"

void points_holds_init(struct points_holds *self, struct pd_arena *arena, uint32_t capacity) {
  pd_assert(arena->image != 0 && capacity > 0);
  pd_map_init(&self->index, arena, capacity);
  pd_pool_init(&self->free, arena, capacity);
  pd_heap_init(&self->timers, arena, capacity);
  self->holds = PD_ARENA_ARRAY(arena, struct points_hold, capacity);
}

struct points_hold *points_hold_find(const struct points_holds *self, uint64_t hold) {
  uint32_t at = pd_map_get(&self->index, hold);
  if (at == PD_NONE) return NULL;
  pd_assert(self->holds[at].hold == hold);
  return &self->holds[at];
}

struct points_hold *points_hold_first(const struct points_holds *self) {
  if (*self->timers.count == 0) return NULL;
  struct points_hold *first = &self->holds[pd_heap_what(&self->timers)];
  pd_assert(first->hold != 0);
  return first;
}

int64_t points_hold_deadline(const struct points_holds *self) {
  pd_assert(*self->timers.count == *self->index.count);
  return pd_heap_when(&self->timers);
}

bool points_holds_open(const struct points_holds *self) {
  pd_assert(*self->timers.count <= self->free.capacity);
  return pd_pool_free(&self->free) > 0;
}

void points_hold_add(struct points_holds *self, const struct points_hold *hold) {
  pd_assert(hold->hold != 0 && points_hold_find(self, hold->hold) == NULL);
  uint32_t at = pd_pool_take(&self->free);
  pd_assert(self->holds[at].hold == 0);
  self->holds[at] = *hold;
  pd_map_put(&self->index, hold->hold, at);
  pd_heap_set(&self->timers, at, hold->decide_by_ms);
}

void points_hold_remove(struct points_holds *self, struct points_hold *hold) {
  uint32_t at = (uint32_t)(hold - self->holds);
  bool known = pd_map_remove(&self->index, hold->hold);
  pd_assert(known);
  pd_heap_clear(&self->timers, at);
  *hold = (struct points_hold){0};
  pd_pool_give(&self->free, at);
}

bool points_hold_is_party(const struct points_hold *hold, struct points_principal principal) {
  pd_assert(hold->hold != 0);
  for (int party = 0; party < 3; party++)
    if (points_principal_equal(hold->parties[party], principal)) return true;
  return false;
}

static void check_hold(const struct points_holds *self, uint32_t at) {
  const struct points_hold *hold = &self->holds[at];
  pd_assert(pd_map_get(&self->index, hold->hold) == at);
  uint32_t place = self->timers.place[at];
  pd_assert(place != 0 && self->timers.items[place - 1].when == hold->decide_by_ms);
}

int64_t points_holds_check(const struct points_holds *self, enum pd_unit unit) {
  int64_t sum = 0;
  uint64_t count = 0;
  for (uint32_t at = 0; at < self->free.capacity; at++) {
    if (self->holds[at].hold == 0) continue;
    check_hold(self, at);
    sum += self->holds[at].amount[unit];
    count++;
  }
  pd_assert(count == *self->free.taken && count == *self->timers.count);
  return sum;
}
