#include "common/base/id.h"

char *pd_id_text(const struct pd_id *id, char *text) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < sizeof id->bytes; i++) {
    text[2 * i] = digits[id->bytes[i] >> 4];
    text[2 * i + 1] = digits[id->bytes[i] & 15];
  }
  text[PD_ID_TEXT - 1] = 0;
  return text;
}

static int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool pd_id_parse(const char *text, struct pd_id *id) {
  if (strnlen(text, PD_ID_TEXT) != PD_ID_TEXT - 1) return false;
  for (size_t i = 0; i < sizeof id->bytes; i++) {
    int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    id->bytes[i] = (uint8_t)(high << 4 | low);
  }
  return true;
}
