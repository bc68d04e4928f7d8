/* pool - which entries of a table are free: a stack of indices in the arena's image.
 *
 * Take and give are O(1) and deterministic: the last one given back is the next one taken.
 */
#ifndef PD_BASE_POOL_H
#define PD_BASE_POOL_H

#include "common/base/arena.h"

#include <stdint.h>

struct pd_pool {
  /* chain of free entries; next[capacity] is its head; zeroed memory: all are free */
  uint32_t *next;
  uint64_t *taken; /* how many are in use */
  uint64_t capacity;
};

/* All entries 0 .. capacity - 1 are free, and are taken in this order. */
void pd_pool_init(struct pd_pool *pool, struct pd_arena *arena, uint32_t capacity);

/* An entry that was free; asserts that there is one. */
uint32_t pd_pool_take(struct pd_pool *pool);

/* It is free again; asserts that it was taken. */
void pd_pool_give(struct pd_pool *pool, uint32_t entry);

/* How many are free. */
uint32_t pd_pool_free(const struct pd_pool *pool);

#endif
