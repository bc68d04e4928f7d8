/* Which bytes are text. */
#include "common/base/utf8.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* In a block of exactly its size, so that reading past the end is seen by the address sanitizer. */
static bool valid(const char *bytes, size_t length) {
  char *copy = calloc(length > 0 ? length : 1, 1);
  memcpy(copy, bytes, length);
  bool result = pd_utf8_valid(copy, length);
  free(copy);
  return result;
}

#define VALID(literal) valid(literal, sizeof(literal) - 1)

Test(utf8, ordinary_text_in_any_script_is_valid) {
  cr_expect(VALID(""));
  cr_expect(VALID("plain text,\twith a tab"));
  cr_expect(VALID("陪同复诊取药"));
  cr_expect(VALID("é ß 🚑 𠮷"));
}

Test(utf8, the_edges_of_every_length_are_valid) {
  cr_expect(VALID("\x20\x7E"));
  cr_expect(VALID("\xC2\xA0\xDF\xBF"));
  cr_expect(VALID("\xE0\xA0\x80\xED\x9F\xBF"));
  cr_expect(VALID("\xEE\x80\x80\xEF\xBF\xBF"));
  cr_expect(VALID("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"));
}

Test(utf8, control_characters_are_refused) {
  cr_expect_not(VALID("a\0b"));
  cr_expect_not(VALID("a\nb"));
  cr_expect_not(VALID("\r"));
  cr_expect_not(VALID("\x1B[31m"));
  cr_expect_not(VALID("\x7F"));
  cr_expect_not(VALID("\xC2\x80"));
  cr_expect_not(VALID("\xC2\x9F"));
}

Test(utf8, a_continuation_without_a_lead_is_malformed) {
  cr_expect_not(VALID("\x80"));
  cr_expect_not(VALID("a\xBF"));
  cr_expect_not(VALID("\xC3\xA9\xA9"));
}

Test(utf8, a_sequence_that_ends_too_soon_is_malformed) {
  cr_expect_not(VALID("\xC3"));
  cr_expect_not(VALID("\xE9\x99"));
  cr_expect_not(VALID("\xE9"));
  cr_expect_not(VALID("\xF0\x9F\x9A"));
  cr_expect_not(VALID("\xE9\x99" "a"));
  cr_expect_not(VALID("\xF0\x9F\x9A\xC3"));
}

Test(utf8, overlong_forms_are_malformed) {
  cr_expect_not(VALID("\xC0\xAF"));
  cr_expect_not(VALID("\xC1\xBF"));
  cr_expect_not(VALID("\xE0\x80\xAF"));
  cr_expect_not(VALID("\xE0\x9F\xBF"));
  cr_expect_not(VALID("\xF0\x80\x80\xAF"));
  cr_expect_not(VALID("\xF0\x8F\xBF\xBF"));
}

Test(utf8, surrogates_are_malformed) {
  cr_expect_not(VALID("\xED\xA0\x80"));
  cr_expect_not(VALID("\xED\xBF\xBF"));
  cr_expect_not(VALID("\xED\xA0\xBD\xED\xBA\x91"));
}

Test(utf8, characters_past_the_last_plane_are_malformed) {
  cr_expect_not(VALID("\xF4\x90\x80\x80"));
  cr_expect_not(VALID("\xF5\x80\x80\x80"));
  cr_expect_not(VALID("\xF8\x88\x80\x80\x80"));
  cr_expect_not(VALID("\xFE"));
  cr_expect_not(VALID("\xFF"));
}

/* Of the 2^24 strings of three bytes just so many are text: with 96 characters of one byte, 1888 of
 * two and 61440 of three, 96^3 + 2 * 96 * 1888 + 61440. */
Test(utf8, of_all_strings_of_three_bytes_exactly_the_right_number_is_valid) {
  uint32_t count = 0;
  for (uint32_t word = 0; word < 1u << 24; word++) {
    char bytes[3] = {(char)(word >> 16), (char)(word >> 8), (char)word};
    count += pd_utf8_valid(bytes, 3);
  }
  cr_expect_eq(count, 96u * 96 * 96 + 2 * 96 * 1888 + 61440);
}

Test(utf8, of_all_sequences_of_four_bytes_exactly_the_upper_planes_are_valid) {
  uint32_t count = 0;
  for (uint32_t lead = 0xF0; lead <= 0xFF; lead++) {
    for (uint32_t word = 0; word < 1u << 18; word++) {
      char bytes[4] = {(char)lead, (char)(0x80 | word >> 12), (char)(0x80 | (word >> 6 & 63)),
                       (char)(0x80 | (word & 63))};
      count += pd_utf8_valid(bytes, 4);
    }
  }
  cr_expect_eq(count, 0x110000 - 0x10000);
}
