/* seal - personal data under a person's own key, and keyed hashes.
 *
 * XChaCha20-Poly1305 (IETF) of libsodium; the box is nonce (24) + ciphertext + tag (16). Associated
 * data is the text "paidan1|<shard>|<person hex>|<record hex>|<field name>", so that a box cannot
 * be moved to another person, record or field (proto/paidan/v1/types.proto, Sealed).
 */
#ifndef PD_IO_SEAL_H
#define PD_IO_SEAL_H

#include "common/base/err.h"
#include "common/base/id.h"

#define PD_KEY_SIZE 32
#define PD_SEAL_EXTRA 40        /* box = plain + this many bytes */
#define PD_SEAL_PLAIN_MAX 65536 /* bytes; far over any field's own limit */

/* Where a box belongs. */
struct pd_seal_place {
  uint32_t shard;
  struct pd_id person;
  struct pd_id record;
  const char *field; /* at most 64 bytes: "contact", "place", "note" */
};

/* Call once before anything else here; PD_EIO if the system has no randomness. */
PD_MUST_USE enum pd_err pd_seal_init(void);

/* 16 random bytes: an id for a person or a record. */
struct pd_id pd_seal_fresh_id(void);

/* Seal size bytes into box, which has room for size + PD_SEAL_EXTRA.  PD_EBOUNDS: over
 * PD_SEAL_PLAIN_MAX. */
PD_MUST_USE enum pd_err pd_seal(const uint8_t key[PD_KEY_SIZE], const struct pd_seal_place *place,
                                const uint8_t *plain, size_t size, uint8_t *box);

/* Open a box of box_size bytes into plain, which has room for box_size - PD_SEAL_EXTRA. PD_EFORMAT:
 * too short or too long; PD_ECORRUPT: the key is another, the place is another, or bytes were
 * changed. */
PD_MUST_USE enum pd_err pd_unseal(const uint8_t key[PD_KEY_SIZE], const struct pd_seal_place *place,
                                  const uint8_t *box, size_t box_size, uint8_t *plain);

/* BLAKE2b-128 under a key, over several parts, each preceded by its length (8 bytes, little
 * endian), so that parts cannot run into each other. */
struct pd_part {
  const void *data;
  size_t size;
};
struct pd_id pd_keyed_hash(const uint8_t key[PD_KEY_SIZE], const struct pd_part *parts,
                           size_t count);

#endif
