#include "common/base/pool.h"

#include "common/base/err.h"

/* Links are kept as distances, so that zeroed memory is the chain 0, 1, 2 ... in which every entry
 * is free. */
#define TAKEN UINT32_MAX

static uint32_t successor(const struct pd_pool *pool, uint32_t entry) {
  return entry + 1 + pool->next[entry];
}

static void link_to(struct pd_pool *pool, uint32_t entry, uint32_t to) {
  pool->next[entry] = to - entry - 1;
}

void pd_pool_init(struct pd_pool *pool, struct pd_arena *arena, uint32_t capacity) {
  pd_assert(capacity < TAKEN);
  pool->taken = PD_ARENA_ARRAY(arena, uint64_t, 1);
  pool->next = PD_ARENA_ARRAY(arena, uint32_t, (uint64_t)capacity + 1);
  pool->capacity = capacity;
}

uint32_t pd_pool_take(struct pd_pool *pool) {
  uint32_t entry = pool->next[pool->capacity];
  pd_assert(entry < pool->capacity);
  pool->next[pool->capacity] = successor(pool, entry);
  link_to(pool, entry, TAKEN);
  ++*pool->taken;
  return entry;
}

void pd_pool_give(struct pd_pool *pool, uint32_t entry) {
  pd_assert(entry < pool->capacity);
  pd_assert(successor(pool, entry) == TAKEN);
  link_to(pool, entry, pool->next[pool->capacity]);
  pool->next[pool->capacity] = entry;
  --*pool->taken;
}

uint32_t pd_pool_free(const struct pd_pool *pool) {
  return (uint32_t)(pool->capacity - *pool->taken);
}
