#include "common/base/map.h"

#include "common/base/err.h"

/* Fibonacci hashing of the 64-bit finaliser of MurmurHash3 (public domain, A. Appleby). */
static uint64_t mix(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  return x ^ x >> 33;
}

static uint64_t id_hash(const struct pd_id *id) {
  uint64_t word;
  memcpy(&word, id->bytes, sizeof word);
  return mix(word);
}

static uint64_t slots_for(uint32_t capacity) {
  uint64_t slots = 16;
  while (slots * 2 < (uint64_t)capacity * 3) slots *= 2;
  return slots;
}

void pd_map_init(struct pd_map *map, struct pd_arena *arena, uint32_t capacity) {
  uint64_t slots = slots_for(capacity);
  map->count = PD_ARENA_ARRAY(arena, uint64_t, 1);
  map->slots = PD_ARENA_ARRAY(arena, struct pd_map_slot, slots);
  map->mask = slots - 1;
  map->capacity = capacity;
}

void pd_idmap_init(struct pd_idmap *map, struct pd_arena *arena, uint32_t capacity) {
  uint64_t slots = slots_for(capacity);
  map->count = PD_ARENA_ARRAY(arena, uint64_t, 1);
  map->slots = PD_ARENA_ARRAY(arena, struct pd_idmap_slot, slots);
  map->mask = slots - 1;
  map->capacity = capacity;
}

/* The slot of the key, or the empty one where it would go. */
static uint64_t map_find(const struct pd_map *map, uint64_t key) {
  uint64_t at = mix(key) & map->mask;
  while (map->slots[at].value != 0 && map->slots[at].key != key) at = (at + 1) & map->mask;
  return at;
}

static uint64_t idmap_find(const struct pd_idmap *map, const struct pd_id *key) {
  uint64_t at = id_hash(key) & map->mask;
  while (map->slots[at].value != 0 && !pd_id_equal(&map->slots[at].key, key))
    at = (at + 1) & map->mask;
  return at;
}

uint32_t pd_map_get(const struct pd_map *map, uint64_t key) {
  return PD_NONE - map->slots[map_find(map, key)].value;
}

uint32_t pd_idmap_get(const struct pd_idmap *map, const struct pd_id *key) {
  return PD_NONE - map->slots[idmap_find(map, key)].value;
}

void pd_map_put(struct pd_map *map, uint64_t key, uint32_t value) {
  pd_assert(value != PD_NONE);
  struct pd_map_slot *slot = &map->slots[map_find(map, key)];
  if (slot->value == 0) {
    pd_assert(*map->count < map->capacity);
    ++*map->count;
  }
  *slot = (struct pd_map_slot){.key = key, .value = PD_NONE - value};
}

void pd_idmap_put(struct pd_idmap *map, const struct pd_id *key, uint32_t value) {
  pd_assert(value != PD_NONE);
  struct pd_idmap_slot *slot = &map->slots[idmap_find(map, key)];
  if (slot->value == 0) {
    pd_assert(*map->count < map->capacity);
    ++*map->count;
  }
  *slot = (struct pd_idmap_slot){.key = *key, .value = PD_NONE - value};
}

bool pd_map_remove(struct pd_map *map, uint64_t key) {
  uint64_t hole = map_find(map, key);
  if (map->slots[hole].value == 0) return false;
  for (uint64_t next = (hole + 1) & map->mask; map->slots[next].value != 0;
       next = (next + 1) & map->mask) {
    uint64_t home = mix(map->slots[next].key) & map->mask;
    if (((next - home) & map->mask) < ((next - hole) & map->mask)) continue;
    map->slots[hole] = map->slots[next];
    hole = next;
  }
  map->slots[hole] = (struct pd_map_slot){0};
  --*map->count;
  return true;
}

bool pd_idmap_remove(struct pd_idmap *map, const struct pd_id *key) {
  uint64_t hole = idmap_find(map, key);
  if (map->slots[hole].value == 0) return false;
  for (uint64_t next = (hole + 1) & map->mask; map->slots[next].value != 0;
       next = (next + 1) & map->mask) {
    uint64_t home = id_hash(&map->slots[next].key) & map->mask;
    if (((next - home) & map->mask) < ((next - hole) & map->mask)) continue;
    map->slots[hole] = map->slots[next];
    hole = next;
  }
  map->slots[hole] = (struct pd_idmap_slot){.value = 0};
  --*map->count;
  return true;
}
