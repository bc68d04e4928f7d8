#include "common/io/seal.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

_Static_assert(PD_SEAL_EXTRA == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES +
                                    crypto_aead_xchacha20poly1305_ietf_ABYTES,
               "a box is nonce, ciphertext and tag");
_Static_assert(PD_KEY_SIZE == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "a key fits the cipher");

enum { NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, FIELD_MAX = 64 };

/* "paidan1|<shard>|<person hex>|<record hex>|<field name>" */
struct associated {
  char text[8 + 11 + 2 * PD_ID_TEXT + FIELD_MAX + 1];
  size_t size;
};

enum pd_err pd_seal_init(void) {
  return sodium_init() >= 0 ? PD_OK : PD_EIO;
}

struct pd_id pd_seal_fresh_id(void) {
  struct pd_id id;
  randombytes_buf(id.bytes, sizeof id.bytes);
  return id;
}

static struct associated associate(const struct pd_seal_place *place) {
  struct associated data;
  char person[PD_ID_TEXT];
  char record[PD_ID_TEXT];
  pd_assert(strlen(place->field) <= FIELD_MAX);
  int n = snprintf(data.text, sizeof data.text, "paidan1|%06u|%s|%s|%s", place->shard,
                   pd_id_text(&place->person, person), pd_id_text(&place->record, record),
                   place->field);
  pd_assert(n > 0 && (size_t)n < sizeof data.text);
  data.size = (size_t)n;
  return data;
}

enum pd_err pd_seal(const uint8_t key[PD_KEY_SIZE], const struct pd_seal_place *place,
                    const uint8_t *plain, size_t size, uint8_t *box) {
  if (size > PD_SEAL_PLAIN_MAX) return PD_EBOUNDS;
  struct associated data = associate(place);
  randombytes_buf(box, NONCE);
  (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
      box + NONCE, NULL, plain, size, (const uint8_t *)data.text, data.size, NULL, box, key);
  return PD_OK;
}

enum pd_err pd_unseal(const uint8_t key[PD_KEY_SIZE], const struct pd_seal_place *place,
                      const uint8_t *box, size_t box_size, uint8_t *plain) {
  if (box_size < PD_SEAL_EXTRA || box_size > PD_SEAL_PLAIN_MAX + PD_SEAL_EXTRA) return PD_EFORMAT;
  struct associated data = associate(place);
  int rc =
      crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, box + NONCE, box_size - NONCE,
                                                 (const uint8_t *)data.text, data.size, box, key);
  return rc == 0 ? PD_OK : PD_ECORRUPT;
}

struct pd_id pd_keyed_hash(const uint8_t key[PD_KEY_SIZE], const struct pd_part *parts,
                           size_t count) {
  crypto_generichash_state state;
  struct pd_id hash;
  (void)crypto_generichash_init(&state, key, PD_KEY_SIZE, sizeof hash.bytes);
  for (size_t i = 0; i < count; i++) {
    uint8_t length[8];
    for (unsigned b = 0; b < 8; b++) length[b] = (uint8_t)((uint64_t)parts[i].size >> (8 * b));
    (void)crypto_generichash_update(&state, length, sizeof length);
    (void)crypto_generichash_update(&state, parts[i].data, parts[i].size);
  }
  (void)crypto_generichash_final(&state, hash.bytes, sizeof hash.bytes);
  sodium_memzero(&state, sizeof state);
  return hash;
}
