#include "common/io/keyring.h"

#include "common/base/rng.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct pd_id person(uint32_t number) {
  struct pd_id id = {{1}};
  memcpy(id.bytes + 2, &number, sizeof number);
  return id;
}

static void key_of(uint32_t number, uint32_t version, uint8_t key[PD_KEY_SIZE]) {
  memset(key, (int)version, PD_KEY_SIZE);
  memcpy(key, &number, sizeof number);
}

static void put(struct keyring *ring, uint32_t number, uint32_t version) {
  struct pd_id id = person(number);
  uint8_t key[PD_KEY_SIZE];
  key_of(number, version, key);
  cr_expect_arr_eq(keyring_put(ring, &id, key), key, PD_KEY_SIZE);
}

static bool has(struct keyring *ring, uint32_t number, uint32_t version) {
  struct pd_id id = person(number);
  uint8_t key[PD_KEY_SIZE];
  key_of(number, version, key);
  const uint8_t *found = keyring_get(ring, &id);
  return found != NULL && memcmp(found, key, PD_KEY_SIZE) == 0;
}

Test(keyring, holds_the_newest_keys) {
  struct keyring *ring = keyring_open(3);
  for (uint32_t i = 1; i <= 5; i++) put(ring, i, 0);
  cr_expect(!has(ring, 1, 0) && !has(ring, 2, 0));
  cr_expect(has(ring, 3, 0) && has(ring, 4, 0) && has(ring, 5, 0));
  keyring_close(ring);
}

Test(keyring, a_ring_of_one_holds_the_last) {
  struct keyring *ring = keyring_open(1);
  put(ring, 1, 0);
  put(ring, 2, 0);
  cr_expect(has(ring, 2, 0) && !has(ring, 1, 0));
  keyring_close(ring);
}

Test(keyring, a_wiped_key_is_gone_and_may_come_back) {
  struct keyring *ring = keyring_open(3);
  put(ring, 1, 0);
  struct pd_id id = person(1);
  const uint8_t *at = keyring_get(ring, &id);
  keyring_wipe(ring, &id);
  cr_expect_null(keyring_get(ring, &id));
  for (int i = 0; i < PD_KEY_SIZE; i++) cr_expect_eq(at[i], 0);
  put(ring, 1, 9);
  cr_expect(has(ring, 1, 9));
  keyring_close(ring);
}

/* Against a plain list: the ring never hands out a wrong key, and has every key that cannot have
 * been pushed out. */
Test(keyring, agrees_with_a_list_over_many_random_steps) {
  enum { PERSONS = 300, CAPACITY = 64, STEPS = 200000 };
  static uint32_t version[PERSONS], put_at[PERSONS];
  struct keyring *ring = keyring_open(CAPACITY);
  struct pd_rng rng;
  pd_rng_seed(&rng, 5);
  uint32_t puts = 0;
  for (uint32_t step = 0; step < STEPS; step++) {
    uint32_t number = (uint32_t)pd_rng_below(&rng, PERSONS);
    struct pd_id id = person(number);
    if (pd_rng_below(&rng, 3) == 0) {
      keyring_wipe(ring, &id);
      version[number] = 0;
      cr_assert_null(keyring_get(ring, &id));
    } else {
      version[number] = step % 250 + 1;
      put_at[number] = ++puts;
      put(ring, number, version[number]);
    }
    uint32_t other = (uint32_t)pd_rng_below(&rng, PERSONS);
    struct pd_id other_id = person(other);
    if (version[other] == 0) cr_assert_null(keyring_get(ring, &other_id));
    if (version[other] != 0 && puts - put_at[other] < CAPACITY)
      cr_assert(has(ring, other, version[other]));
    if (keyring_get(ring, &other_id) != NULL) cr_assert(has(ring, other, version[other]));
  }
  keyring_close(ring);
}
