#include "tests/fuzz/fuzz.h"

#include <string.h>

#define HEAD 3 /* bytes of a record before its own */

bool fuzz_next(const uint8_t *data, size_t size, size_t *at, struct fuzz_record *record) {
  if (size - *at < HEAD) return false;
  const uint8_t *head = data + *at;
  size_t length = (size_t)(head[1] | head[2] << 8);
  size_t left = size - *at - HEAD;
  *record = (struct fuzz_record){head[0], head + HEAD, length < left ? length : left};
  *at += HEAD + record->size;
  return true;
}

size_t fuzz_put(uint8_t *data, size_t size, size_t max, uint8_t tag, const uint8_t *bytes,
                size_t length) {
  if (length > UINT16_MAX || HEAD + length > max - size) return size;
  data[size] = tag;
  data[size + 1] = (uint8_t)length;
  data[size + 2] = (uint8_t)(length >> 8);
  if (length > 0) memmove(data + size + HEAD, bytes, length);
  return size + HEAD + length;
}
