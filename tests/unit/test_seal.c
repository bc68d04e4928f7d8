#include "common/io/seal.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

static uint8_t key[PD_KEY_SIZE];
static struct pd_seal_place place = {.shard = 370302, .field = "contact"};

static void set_up(void) {
  cr_assert_eq(pd_seal_init(), PD_OK);
  memset(key, 7, sizeof key);
  memset(place.person.bytes, 0xab, 16);
  memset(place.record.bytes, 0xcd, 16);
}

TestSuite(seal, .init = set_up);

Test(seal, what_was_sealed_opens_with_the_same_key_and_place) {
  static const char text[] = "Name, 13800000000";
  uint8_t box[sizeof text + PD_SEAL_EXTRA];
  uint8_t plain[sizeof text];
  cr_assert_eq(pd_seal(key, &place, (const uint8_t *)text, sizeof text, box), PD_OK);
  cr_expect_null(memmem(box, sizeof box, "13800000000", 11));
  cr_assert_eq(pd_unseal(key, &place, box, sizeof box, plain), PD_OK);
  cr_expect_arr_eq(plain, text, sizeof text);
}

Test(seal, the_associated_data_is_the_text_that_the_contract_names) {
  static const char data[] =
      "paidan1|370302|abababababababababababababababab|cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd|contact";
  uint8_t box[5 + PD_SEAL_EXTRA], plain[5];
  cr_assert_eq(pd_seal(key, &place, (const uint8_t *)"hello", 5, box), PD_OK);
  int rc = crypto_aead_xchacha20poly1305_ietf_decrypt(
      plain, NULL, NULL, box + 24, sizeof box - 24, (const uint8_t *)data, strlen(data), box, key);
  cr_expect_eq(rc, 0);
  cr_expect_arr_eq(plain, "hello", 5);
}

Test(seal, every_changed_bit_of_a_box_is_noticed) {
  uint8_t box[6 + PD_SEAL_EXTRA], plain[6];
  cr_assert_eq(pd_seal(key, &place, (const uint8_t *)"secret", 6, box), PD_OK);
  for (size_t bit = 0; bit < sizeof box * 8; bit++) {
    box[bit / 8] ^= (uint8_t)(1 << bit % 8);
    cr_expect_eq(pd_unseal(key, &place, box, sizeof box, plain), PD_ECORRUPT, "bit %zu", bit);
    box[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
  cr_expect_eq(pd_unseal(key, &place, box, sizeof box, plain), PD_OK);
}

Test(seal, a_box_belongs_to_its_shard_person_record_and_field) {
  uint8_t box[6 + PD_SEAL_EXTRA], plain[6];
  cr_assert_eq(pd_seal(key, &place, (const uint8_t *)"secret", 6, box), PD_OK);
  struct pd_seal_place other[4] = {place, place, place, place};
  other[0].shard = 370303;
  other[1].person.bytes[0] ^= 1;
  other[2].record.bytes[15] ^= 1;
  other[3].field = "place";
  for (int i = 0; i < 4; i++)
    cr_expect_eq(pd_unseal(key, &other[i], box, sizeof box, plain), PD_ECORRUPT, "%d", i);
  uint8_t wrong[PD_KEY_SIZE] = {0};
  cr_expect_eq(pd_unseal(wrong, &place, box, sizeof box, plain), PD_ECORRUPT);
}

Test(seal, bounds) {
  static uint8_t large[PD_SEAL_PLAIN_MAX + 1], box[PD_SEAL_PLAIN_MAX + 1 + PD_SEAL_EXTRA];
  cr_expect_eq(pd_seal(key, &place, large, sizeof large, box), PD_EBOUNDS);
  cr_expect_eq(pd_unseal(key, &place, box, sizeof box, large), PD_EFORMAT);
  cr_expect_eq(pd_unseal(key, &place, box, PD_SEAL_EXTRA - 1, large), PD_EFORMAT);
  cr_assert_eq(pd_seal(key, &place, large, 0, box), PD_OK);
  cr_expect_eq(pd_unseal(key, &place, box, PD_SEAL_EXTRA, large), PD_OK);
}

Test(seal, two_boxes_of_the_same_text_differ) {
  uint8_t a[4 + PD_SEAL_EXTRA], b[4 + PD_SEAL_EXTRA];
  cr_assert_eq(pd_seal(key, &place, (const uint8_t *)"same", 4, a), PD_OK);
  cr_assert_eq(pd_seal(key, &place, (const uint8_t *)"same", 4, b), PD_OK);
  cr_expect_arr_neq(a, b, sizeof a);
}

static struct pd_id hash(const char *a, const char *b) {
  struct pd_part parts[2] = {{a, strlen(a)}, {b, strlen(b)}};
  return pd_keyed_hash(key, parts, 2);
}

Test(seal, keyed_hashes_tell_parts_and_keys_apart) {
  struct pd_id one = hash("ab", "c");
  struct pd_id again = hash("ab", "c");
  struct pd_id moved = hash("a", "bc");
  cr_expect(pd_id_equal(&one, &again));
  cr_expect(!pd_id_equal(&one, &moved));
  key[0] ^= 1;
  struct pd_id keyed = hash("ab", "c");
  cr_expect(!pd_id_equal(&one, &keyed));
}

Test(seal, fresh_ids_differ) {
  struct pd_id a = pd_seal_fresh_id(), b = pd_seal_fresh_id();
  cr_expect(!pd_id_equal(&a, &b));
}
