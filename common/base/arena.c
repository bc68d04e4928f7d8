#include "common/base/arena.h"

#include "common/base/err.h"

#include <string.h>

void pd_arena_init(struct pd_arena *arena, void *memory, size_t size) {
  size_t skip = -(uintptr_t)memory & 15;
  pd_assert(skip < size);
  *arena = (struct pd_arena){.base = (uint8_t *)memory + skip, .size = size - skip};
}

void *pd_arena_try(struct pd_arena *arena, size_t size) {
  if (size > arena->size - arena->used) return NULL;
  size_t rounded = (size + 15) & ~(size_t)15;
  if (rounded > arena->size - arena->used) return NULL;
  void *block = arena->base + arena->used;
  arena->used += rounded;
  return block;
}

void *pd_arena_alloc(struct pd_arena *arena, size_t size) {
  void *block = pd_arena_try(arena, size);
  pd_assert(block != NULL);
  return block;
}

void pd_arena_reset(struct pd_arena *arena) {
  memset(arena->base, 0, arena->used);
  arena->used = 0;
}

void pd_arena_begin_image(struct pd_arena *arena) { arena->image = arena->used; }

uint8_t *pd_arena_image(const struct pd_arena *arena, size_t *length) {
  *length = arena->used - arena->image;
  return arena->base + arena->image;
}
