/* fields - a message looked at field by field, on its bytes: for those who pass bytes on as they
 * came, and need only to know where they belong.
 */
#ifndef PD_WIRE_FIELDS_H
#define PD_WIRE_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PD_WIRE_VARINT = 0, PD_WIRE_FIXED64 = 1, PD_WIRE_BYTES = 2, PD_WIRE_FIXED32 = 5 };

struct pd_field {
  uint32_t number;
  uint32_t type;
  uint64_t value;       /* of a varint */
  const uint8_t *start; /* of the whole field: tag, length, content */
  const uint8_t *data;  /* of bytes */
  size_t size;          /* of data */
  const uint8_t *end;
};

/* The next field of a message; false at the end (*at == end) or where the bytes break off. */
bool pd_field_next(const uint8_t **at, const uint8_t *end, struct pd_field *field);

/* How long a varint is; write one and return where it ends. */
size_t pd_varint_size(uint64_t value);
uint8_t *pd_varint_write(uint8_t *out, uint64_t value);

#define PD_BODY_FIRST 16  /* numbers of Event.body begin here; see proto/README.md */
#define PD_EVENT_TOPIC 96 /* bytes of a topic, with its NUL */

/* What is known of an event without unpacking it. */
struct pd_event_view {
  const uint8_t *bytes; /* borrowed */
  size_t size;
  uint64_t seq, prev;
  int64_t time_ms;
  uint32_t kind; /* number of its body in Event; 0: none */
  uint32_t log;
  char topic[PD_EVENT_TOPIC]; /* "370302/order_placed", "370302/ext.charity.meal" */
};

/* Look at one event of this shard.  False if the bytes are no event. */
bool pd_event_look(struct pd_event_view *event, uint32_t shard, const uint8_t *bytes, size_t size);

/* The name of a kind, as in topics without the district: "order_placed"; of one that this program
 * does not know "kind_" and its number.  text has room for PD_EVENT_TOPIC bytes. */
void pd_event_kind_name(uint32_t kind, char *text);

#endif
