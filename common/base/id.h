/* id - 128 random bits that stand for a person or a record. */
#ifndef PD_BASE_ID_H
#define PD_BASE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct pd_id {
  uint8_t bytes[16];
};

/* 32 lower-case hexadecimal digits and a NUL. */
#define PD_ID_TEXT 33

/* The same sixteen bytes? */
static inline bool pd_id_equal(const struct pd_id *a, const struct pd_id *b) {
  return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* Nobody's id? */
static inline bool pd_id_is_zero(const struct pd_id *id) {
  static const struct pd_id zero;
  return pd_id_equal(id, &zero);
}

/* The id in these bytes; all zero unless there are exactly 16.  Takes the parts of a
 * ProtobufCBinaryData. */
static inline struct pd_id pd_id_from(const uint8_t *data, size_t length) {
  struct pd_id id = {{0}};
  if (length == sizeof id.bytes) memcpy(id.bytes, data, sizeof id.bytes);
  return id;
}

/* Write the 32 digits into text, which has room for PD_ID_TEXT bytes; returns text. */
char *pd_id_text(const struct pd_id *id, char *text);

/* Read 32 hexadecimal digits of either case; false if text is anything else. */
bool pd_id_parse(const char *text, struct pd_id *id);

#endif
