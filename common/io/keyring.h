/* keyring - persons' keys in memory: bounded, kept out of swap and core dumps where the system
 * allows it.
 *
 * The newest `capacity` keys are held; a further one takes the place of the oldest.  Everything
 * that leaves is wiped.
 */
#ifndef PD_IO_KEYRING_H
#define PD_IO_KEYRING_H

#include "common/io/seal.h"

struct keyring;

/* capacity: 1 .. 1,000,000.  NULL only without memory. */
struct keyring *keyring_open(uint32_t capacity);

/* Wipe and free; NULL-safe. */
void keyring_close(struct keyring *ring);

/* The key of a person, or NULL; valid until the next call. */
const uint8_t *keyring_get(const struct keyring *ring, const struct pd_id *person);

/* Keep a key; replaces the one that the person had.  Returns where it stands. */
const uint8_t *keyring_put(struct keyring *ring, const struct pd_id *person, const uint8_t *key);

/* Wipe the key of a person, if it is here. */
void keyring_wipe(struct keyring *ring, const struct pd_id *person);

#endif
