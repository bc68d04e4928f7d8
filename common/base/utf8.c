#include "common/base/utf8.h"

#include <stdint.h>

/* How many bytes the sequence has that begins with this one, and the least character it may stand
 * for; 0: none. */
static size_t sequence_length(uint8_t lead, uint32_t *least) {
  if (lead < 0x80) return *least = 0, 1;
  if (lead >= 0xC2 && lead <= 0xDF) return *least = 0x80, 2;
  if (lead >= 0xE0 && lead <= 0xEF) return *least = 0x800, 3;
  if (lead >= 0xF0 && lead <= 0xF4) return *least = 0x10000, 4;
  return 0;
}

/* Read one character of at most `left` bytes; how many it took, 0 if it is malformed. */
static size_t read_character(const uint8_t *at, size_t left, uint32_t *character) {
  uint32_t least;
  size_t length = sequence_length(at[0], &least);
  if (length == 0 || length > left) return 0;
  *character = length == 1 ? at[0] : at[0] & (0x7Fu >> length);
  for (size_t i = 1; i < length; i++) {
    if ((at[i] & 0xC0) != 0x80) return 0;
    *character = *character << 6 | (at[i] & 0x3F);
  }
  return *character >= least ? length : 0;
}

static bool is_allowed(uint32_t character) {
  if (character < 0x20) return character == '\t';
  if (character >= 0x7F && character < 0xA0) return false;
  if (character >= 0xD800 && character < 0xE000) return false;
  return character <= 0x10FFFF;
}

bool pd_utf8_valid(const char *text, size_t length) {
  const uint8_t *at = (const uint8_t *)text;
  while (length > 0) {
    uint32_t character;
    size_t taken = read_character(at, length, &character);
    if (taken == 0 || !is_allowed(character)) return false;
    at += taken;
    length -= taken;
  }
  return true;
}
