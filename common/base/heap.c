#include "common/base/heap.h"

#include "common/base/err.h"

void pd_heap_init(struct pd_heap *heap, struct pd_arena *arena, uint32_t capacity) {
  heap->count = PD_ARENA_ARRAY(arena, uint64_t, 1);
  heap->items = PD_ARENA_ARRAY(arena, struct pd_heap_item, capacity);
  heap->place = PD_ARENA_ARRAY(arena, uint32_t, capacity);
  heap->capacity = capacity;
}

static bool is_before(const struct pd_heap_item *a, const struct pd_heap_item *b) {
  return a->when != b->when ? a->when < b->when : a->what < b->what;
}

static void put(struct pd_heap *heap, uint64_t at, struct pd_heap_item item) {
  heap->items[at] = item;
  heap->place[item.what] = (uint32_t)at + 1;
}

/* Put an item in at or above a place that is free. */
static void sift_up(struct pd_heap *heap, uint64_t at, struct pd_heap_item item) {
  while (at > 0) {
    uint64_t parent = (at - 1) / 2;
    if (!is_before(&item, &heap->items[parent])) break;
    put(heap, at, heap->items[parent]);
    at = parent;
  }
  put(heap, at, item);
}

/* Put an item in at or below a place that is free. */
static void sift_down(struct pd_heap *heap, uint64_t at, struct pd_heap_item item) {
  for (;;) {
    uint64_t child = 2 * at + 1;
    if (child >= *heap->count) break;
    bool right = child + 1 < *heap->count;
    if (right && is_before(&heap->items[child + 1], &heap->items[child])) child++;
    if (!is_before(&heap->items[child], &item)) break;
    put(heap, at, heap->items[child]);
    at = child;
  }
  put(heap, at, item);
}

/* Put an item where it belongs, starting from a place that is free. */
static void settle(struct pd_heap *heap, uint64_t at, struct pd_heap_item item) {
  if (at > 0 && is_before(&item, &heap->items[(at - 1) / 2])) {
    sift_up(heap, at, item);
  } else {
    sift_down(heap, at, item);
  }
}

void pd_heap_set(struct pd_heap *heap, uint32_t what, int64_t when) {
  pd_assert(what < heap->capacity);
  uint64_t at = heap->place[what] != 0 ? heap->place[what] - 1 : (*heap->count)++;
  settle(heap, at, (struct pd_heap_item){.when = when, .what = what});
}

void pd_heap_clear(struct pd_heap *heap, uint32_t what) {
  pd_assert(what < heap->capacity);
  if (heap->place[what] == 0) return;
  uint64_t at = heap->place[what] - 1, last = --*heap->count;
  struct pd_heap_item moved = heap->items[last];
  heap->items[last] = (struct pd_heap_item){0};
  heap->place[what] = 0;
  if (at != last) settle(heap, at, moved);
}

int64_t pd_heap_when(const struct pd_heap *heap) {
  return *heap->count > 0 ? heap->items[0].when : INT64_MAX;
}

uint32_t pd_heap_what(const struct pd_heap *heap) {
  pd_assert(*heap->count > 0);
  return heap->items[0].what;
}
