/* heap - a queue of timers for cores: a binary heap of (when, what) in the arena's image, with the
 * place of each `what` remembered, so that a timer can be moved or taken out.
 *
 * `what` is an index below the capacity given at init, and has at most one timer.  Equal times come
 * out in order of `what`: the order never depends on history.
 */
#ifndef PD_BASE_HEAP_H
#define PD_BASE_HEAP_H

#include "common/base/arena.h"

#include <stdbool.h>
#include <stdint.h>

struct pd_heap_item {
  int64_t when;
  uint32_t what;
  uint32_t zero;
};

struct pd_heap {
  struct pd_heap_item *items;
  uint32_t *place; /* of `what` in items, plus 1; 0: none */
  uint64_t *count;
  uint64_t capacity;
};

/* No timer is set. */
void pd_heap_init(struct pd_heap *heap, struct pd_arena *arena, uint32_t capacity);

/* Set or move the timer of `what`. */
void pd_heap_set(struct pd_heap *heap, uint32_t what, int64_t when);

/* Take the timer of `what` out, if it has one. */
void pd_heap_clear(struct pd_heap *heap, uint32_t what);

/* The earliest time, INT64_MAX when empty; and its `what` (asserts that there is one). */
int64_t pd_heap_when(const struct pd_heap *heap);
uint32_t pd_heap_what(const struct pd_heap *heap);

#endif
