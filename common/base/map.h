/* map - open addressing with a fixed capacity, for cores.
 *
 * pd_map takes 64-bit keys, pd_idmap 128-bit random ids; both give a 32-bit value (an index into
 * the owner's table).  The table stands in the arena's image and holds no pointer; deletion shifts
 * back, so there are no tombstones and the same operations always leave the same bytes.  At most
 * `capacity` keys at once, kept under 2/3 of the slots: the caller counts.
 */
#ifndef PD_BASE_MAP_H
#define PD_BASE_MAP_H

#include "common/base/arena.h"
#include "common/base/id.h"

#define PD_NONE UINT32_MAX /* no value: never store it */

struct pd_map_slot {
  uint64_t key;
  uint32_t value; /* stored as PD_NONE - value, so that zeroed memory is an empty table */
  uint32_t zero;
};

struct pd_map {
  struct pd_map_slot *slots;
  uint64_t mask;
  uint64_t capacity;
  uint64_t *count;
};

struct pd_idmap_slot {
  struct pd_id key;
  uint32_t value; /* as in pd_map_slot */
  uint32_t zero;
};

struct pd_idmap {
  struct pd_idmap_slot *slots;
  uint64_t mask;
  uint64_t capacity;
  uint64_t *count;
};

/* Take the table out of the arena. */
void pd_map_init(struct pd_map *map, struct pd_arena *arena, uint32_t capacity);
void pd_idmap_init(struct pd_idmap *map, struct pd_arena *arena, uint32_t capacity);

/* The value of a key, or PD_NONE. */
uint32_t pd_map_get(const struct pd_map *map, uint64_t key);
uint32_t pd_idmap_get(const struct pd_idmap *map, const struct pd_id *key);

/* Set the value of a key, new or not.  Asserts that there is room. */
void pd_map_put(struct pd_map *map, uint64_t key, uint32_t value);
void pd_idmap_put(struct pd_idmap *map, const struct pd_id *key, uint32_t value);

/* Take a key out; false if it was not there. */
bool pd_map_remove(struct pd_map *map, uint64_t key);
bool pd_idmap_remove(struct pd_idmap *map, const struct pd_id *key);

#endif
