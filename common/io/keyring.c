#include "common/io/keyring.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct slot {
  struct pd_id person;
  uint8_t key[PD_KEY_SIZE];
};

struct keyring {
  uint32_t capacity;
  uint32_t next;      /* slot that the next key takes: the oldest once the ring is full */
  uint32_t mask;      /* of the index: a power of two, at least twice the capacity, less 1 */
  uint32_t *index;    /* slot number + 1, found by the person; 0: free */
  struct slot *slots; /* a slot of zeros holds nobody */
};

struct keyring *keyring_open(uint32_t capacity) {
  pd_assert(capacity >= 1 && capacity <= 1000000);
  struct keyring *ring = calloc(1, sizeof *ring);
  if (ring == NULL) return NULL;
  ring->capacity = capacity;
  ring->mask = 1;
  while (ring->mask < 2 * capacity) ring->mask *= 2;
  ring->index = calloc(ring->mask, sizeof *ring->index);
  ring->mask -= 1;
  ring->slots = calloc(capacity, sizeof *ring->slots);
  if (ring->index == NULL || ring->slots == NULL) {
    keyring_close(ring);
    return NULL;
  }
  (void)sodium_mlock(ring->slots,
                     capacity * sizeof *ring->slots); /* as far as the system lets us */
  return ring;
}

void keyring_close(struct keyring *ring) {
  if (ring == NULL) return;
  if (ring->slots != NULL)
    (void)sodium_munlock(ring->slots, ring->capacity * sizeof *ring->slots); /* wipes it */
  free(ring->slots);
  free(ring->index);
  free(ring);
}

static uint32_t home_of(const struct keyring *ring, const struct pd_id *person) {
  uint64_t word;
  memcpy(&word, person->bytes, sizeof word); /* ids are random: any bits will do */
  return (uint32_t)((word * 0x9e3779b97f4a7c15u) >> 32) & ring->mask;
}

/* Where the person stands in the index, or the free place where the search ended. */
static uint32_t find(const struct keyring *ring, const struct pd_id *person) {
  uint32_t at = home_of(ring, person);
  while (ring->index[at] != 0 && !pd_id_equal(&ring->slots[ring->index[at] - 1].person, person)) {
    at = (at + 1) & ring->mask;
  }
  return at;
}

/* Free a place of the index and shift back those behind it that may stand nearer to their home. */
static void remove_at(struct keyring *ring, uint32_t hole) {
  uint32_t at = hole;
  for (;;) {
    at = (at + 1) & ring->mask;
    if (ring->index[at] == 0) break;
    uint32_t home = home_of(ring, &ring->slots[ring->index[at] - 1].person);
    if (((at - home) & ring->mask) < ((at - hole) & ring->mask)) continue;
    ring->index[hole] = ring->index[at];
    hole = at;
  }
  ring->index[hole] = 0;
}

const uint8_t *keyring_get(const struct keyring *ring, const struct pd_id *person) {
  uint32_t number = ring->index[find(ring, person)];
  return number != 0 ? ring->slots[number - 1].key : NULL;
}

void keyring_wipe(struct keyring *ring, const struct pd_id *person) {
  uint32_t at = find(ring, person);
  if (ring->index[at] == 0) return;
  struct slot *slot = &ring->slots[ring->index[at] - 1];
  remove_at(ring, at);
  sodium_memzero(slot, sizeof *slot);
}

const uint8_t *keyring_put(struct keyring *ring, const struct pd_id *person, const uint8_t *key) {
  keyring_wipe(ring, person);
  struct slot *slot = &ring->slots[ring->next];
  struct pd_id oldest = slot->person;
  if (!pd_id_is_zero(&oldest)) keyring_wipe(ring, &oldest);
  slot->person = *person;
  memcpy(slot->key, key, PD_KEY_SIZE);
  ring->index[find(ring, person)] = ring->next + 1;
  ring->next = (ring->next + 1) % ring->capacity;
  return slot->key;
}
