/* arena - memory that is taken once.
 *
 * Bytes are handed out in order, zeroed and aligned, and are never given back one by one.  There
 * are two uses:
 *   - a core's state: reserved at init, never grown; the part after pd_arena_begin_image() holds no
 *     pointers, so it can be hashed, written to a snapshot and read back as it stands;
 *   - a batch: everything that lives as long as one turn; pd_arena_reset() at its end.
 */
#ifndef PD_BASE_ARENA_H
#define PD_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct pd_arena {
  uint8_t *base;
  size_t size;
  size_t used;
  size_t image; /* where the image begins; 0 if it has none */
};

/* Hand out of memory that the caller owns; it must be zeroed when the arena is to hold a core. */
void pd_arena_init(struct pd_arena *arena, void *memory, size_t size);

/* size zeroed bytes, aligned to 16.  Asserts that there is room: sizes are known before. */
void *pd_arena_alloc(struct pd_arena *arena, size_t size);

/* The same, or NULL when there is no room: for memory whose size comes from outside. */
void *pd_arena_try(struct pd_arena *arena, size_t size);

/* Everything handed out so far is gone, and its memory cleared for the next use. */
void pd_arena_reset(struct pd_arena *arena);

/* From here on only blocks without pointers are handed out. */
void pd_arena_begin_image(struct pd_arena *arena);

/* The image: its first byte and its length. */
uint8_t *pd_arena_image(const struct pd_arena *arena, size_t *length);

#define PD_ARENA_ARRAY(arena, type, count) \
  ((type *)pd_arena_alloc((arena), sizeof(type) * (size_t)(count)))

#endif
