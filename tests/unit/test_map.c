/* The hash tables beside a plain array of the same keys. */
#include "common/base/map.h"
#include "common/base/rng.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#define KEYS 60 /* more than fit: the test keeps count, as an owner does */

static _Alignas(16) uint8_t memory[1 << 16];
static struct pd_arena arena;
static struct pd_map map;
static struct pd_idmap idmap;

static void setup(void) {
  memset(memory, 0, sizeof memory);
  pd_arena_init(&arena, memory, sizeof memory);
  pd_arena_begin_image(&arena);
}

static bool image_is_zero(void) {
  size_t length;
  const uint8_t *image = pd_arena_image(&arena, &length);
  for (size_t i = 0; i < length; i++) {
    if (image[i] != 0) return false;
  }
  return true;
}

static struct pd_id id_of(uint64_t number) {
  struct pd_id id = {{0}};
  /* A few ids share their first half, which alone is hashed: they must still be told apart. */
  uint64_t halves[2] = {number / 3, number};
  memcpy(id.bytes, halves, sizeof halves);
  return id;
}

/* One random step on both a table and its model; PD_NONE in the model: not there. */
struct model {
  uint32_t values[KEYS];
  uint32_t count;
  uint32_t capacity;
};

static void put_both(struct model *model, uint64_t key, uint32_t value) {
  struct pd_id id = id_of(key);
  if (model->values[key] == PD_NONE && model->count == model->capacity) return;
  model->count += model->values[key] == PD_NONE;
  model->values[key] = value;
  pd_map_put(&map, key * key, value);
  pd_idmap_put(&idmap, &id, value);
}

static void remove_both(struct model *model, uint64_t key) {
  struct pd_id id = id_of(key);
  bool was_there = model->values[key] != PD_NONE;
  model->count -= was_there;
  model->values[key] = PD_NONE;
  cr_assert_eq(pd_map_remove(&map, key * key), was_there);
  cr_assert_eq(pd_idmap_remove(&idmap, &id), was_there);
}

static void expect_agreement(const struct model *model) {
  for (uint64_t key = 0; key < KEYS; key++) {
    struct pd_id id = id_of(key);
    cr_assert_eq(pd_map_get(&map, key * key), model->values[key]);
    cr_assert_eq(pd_idmap_get(&idmap, &id), model->values[key]);
  }
  cr_assert_eq(*map.count, model->count);
  cr_assert_eq(*idmap.count, model->count);
}

static void play(uint32_t capacity, int steps) {
  struct pd_rng rng;
  pd_rng_seed(&rng, capacity);
  setup();
  pd_map_init(&map, &arena, capacity);
  pd_idmap_init(&idmap, &arena, capacity);
  struct model model = {.capacity = capacity};
  for (int i = 0; i < KEYS; i++) model.values[i] = PD_NONE;
  for (int step = 0; step < steps; step++) {
    uint64_t key = pd_rng_below(&rng, KEYS);
    if (pd_rng_below(&rng, 2) == 0) {
      put_both(&model, key, (uint32_t)pd_rng_below(&rng, 1000));
    } else {
      remove_both(&model, key);
    }
    expect_agreement(&model);
  }
  for (uint64_t key = 0; key < KEYS; key++) remove_both(&model, key);
  cr_assert(image_is_zero(), "an emptied table leaves no trace");
}

Test(map, it_agrees_with_a_plain_array_in_the_smallest_table) { play(10, 20000); }

Test(map, it_agrees_with_a_plain_array_when_nearly_full) { play(21, 20000); }

Test(map, it_agrees_with_a_plain_array_when_all_keys_fit) { play(KEYS, 20000); }

Test(map, the_same_keys_in_another_order_are_found_as_well, .init = setup) {
  pd_map_init(&map, &arena, 1000);
  for (uint64_t key = 0; key < 1000; key++) pd_map_put(&map, key << 32, (uint32_t)key);
  for (uint64_t key = 1000; key-- > 0;) cr_assert_eq(pd_map_get(&map, key << 32), key);
  cr_expect_eq(pd_map_get(&map, 1000ULL << 32), PD_NONE);
}

Test(map, key_and_value_zero_are_as_good_as_any, .init = setup) {
  pd_map_init(&map, &arena, 4);
  cr_expect_eq(pd_map_get(&map, 0), PD_NONE);
  pd_map_put(&map, 0, 0);
  pd_map_put(&map, UINT64_MAX, PD_NONE - 1);
  cr_expect_eq(pd_map_get(&map, 0), 0);
  cr_expect_eq(pd_map_get(&map, UINT64_MAX), PD_NONE - 1);
}

Test(map, more_keys_than_its_capacity_break_a_promise, .init = setup, .signal = SIGABRT) {
  pd_map_init(&map, &arena, 4);
  for (uint64_t key = 0; key < 5; key++) pd_map_put(&map, key, 0);
}

Test(map, a_new_value_for_an_old_key_needs_no_room, .init = setup) {
  pd_map_init(&map, &arena, 1);
  pd_map_put(&map, 5, 1);
  pd_map_put(&map, 5, 2);
  cr_expect_eq(pd_map_get(&map, 5), 2);
}

Test(map, no_value_cannot_be_stored, .init = setup, .signal = SIGABRT) {
  pd_map_init(&map, &arena, 4);
  pd_map_put(&map, 1, PD_NONE);
}
