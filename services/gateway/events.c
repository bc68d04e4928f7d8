#include "services/gateway/events.h"

#include "common/wire/core.h"

#include <stdio.h>
#include <string.h>

/* ---- protobuf's wire format, as far as it is needed ---- */

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct field {
  uint32_t number;
  uint32_t type;
  uint64_t value;       /* of a varint */
  const uint8_t *start; /* of the whole field: tag, length, content */
  const uint8_t *data;  /* of bytes */
  size_t size;          /* of data */
  const uint8_t *end;
};

static bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *value) {
  *value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (*at == end) return false;
    uint8_t byte = *(*at)++;
    *value |= (uint64_t)(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return true;
  }
  return false;
}

/* The next field of a message; false at the end (*at == end) or where the bytes break off. */
static bool next_field(const uint8_t **at, const uint8_t *end, struct field *field) {
  if (*at == end) return false;
  const uint8_t *now = *at;
  uint64_t tag;
  *field = (struct field){.start = now};
  if (!read_varint(&now, end, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX >> 3) return false;
  field->number = (uint32_t)(tag >> 3);
  field->type = (uint32_t)(tag & 7);
  if (field->type == WIRE_VARINT && !read_varint(&now, end, &field->value)) return false;
  if (field->type == WIRE_BYTES && !read_varint(&now, end, &field->value)) return false;
  uint64_t size = field->type == WIRE_BYTES     ? field->value
                  : field->type == WIRE_FIXED64 ? 8
                  : field->type == WIRE_FIXED32 ? 4
                                                : 0;
  if (field->type > WIRE_FIXED32 || field->type == 3 || field->type == 4) return false;
  if (size > (uint64_t)(end - now)) return false;
  field->data = now;
  field->size = (size_t)size;
  *at = field->end = now + size;
  return true;
}

static size_t varint_size(uint64_t value) {
  size_t size = 1;
  while (value >= 0x80) {
    value >>= 7;
    size++;
  }
  return size;
}

static uint8_t *write_varint(uint8_t *out, uint64_t value) {
  while (value >= 0x80) {
    *out++ = (uint8_t)(value | 0x80);
    value >>= 7;
  }
  *out++ = (uint8_t)value;
  return out;
}

/* ---- topics ---- */

#define BODY_FIRST 16 /* numbers of Event.body begin here; see proto/README.md */

void edge_kind_name(uint32_t kind, char *text) {
  const ProtobufCFieldDescriptor *field =
      protobuf_c_message_descriptor_get_field(&pd_event_descriptor, kind);
  if (field != NULL)
    (void)snprintf(text, EVENT_TOPIC, "%s", field->name);
  else
    (void)snprintf(text, EVENT_TOPIC, "kind_%u", kind); /* newer than this program */
}

/* The type of an outside event into text; false if it has none that fits. */
static bool external_type(const struct field *body, char *text) {
  struct field field;
  const uint8_t *at = body->data;
  while (next_field(&at, body->data + body->size, &field)) {
    if (field.number != 1 || field.type != WIRE_BYTES || field.size >= EVENT_TOPIC - 8) continue;
    memcpy(text, field.data, field.size);
    text[field.size] = '\0';
    return strlen(text) == field.size;
  }
  return false;
}

static void make_topic(struct edge_event *event, uint32_t shard, const struct field *body) {
  char kind[EVENT_TOPIC];
  bool external = event->kind == PD_EVENT_EXTERNAL_NOTED && external_type(body, kind);
  if (!external) edge_kind_name(event->kind, kind);
  (void)snprintf(event->topic, sizeof event->topic, "%06u/%.87s", shard % 1000000, kind);
}

bool edge_event_read(struct edge_event *event, uint32_t shard, const uint8_t *bytes, size_t size) {
  struct field field, body = {0};
  const uint8_t *at = bytes, *end = bytes + size;
  *event = (struct edge_event){.bytes = bytes, .size = size};
  while (next_field(&at, end, &field)) {
    if (field.number == 2 && field.type == WIRE_VARINT) event->seq = field.value;
    if (field.number == 4 && field.type == WIRE_VARINT) event->time_ms = (int64_t)field.value;
    if (field.number < BODY_FIRST || field.type != WIRE_BYTES) continue;
    event->kind = field.number;
    body = field;
  }
  if (at != end || event->seq == 0) return false;
  make_topic(event, shard, &body);
  return true;
}

/* ---- leaving fields out ---- */

static bool leaves_out(const struct grant *grant, uint32_t kind, uint32_t number) {
  for (uint32_t i = 0; i < grant->redacts; i++)
    if (grant->fields[i].kind == kind && grant->fields[i].field == number) return true;
  return false;
}

static bool touches(const struct grant *grant, uint32_t kind) {
  for (uint32_t i = 0; i < grant->redacts; i++)
    if (grant->fields[i].kind == kind) return true;
  return false;
}

/* Copy a message without the fields left out of `kind`; a copy that breaks off where the bytes do.
 */
static uint8_t *copy_without(const uint8_t *at, const uint8_t *end, const struct grant *grant,
                             uint32_t kind, uint8_t *out) {
  struct field field;
  while (next_field(&at, end, &field)) {
    if (leaves_out(grant, kind, field.number)) continue;
    size_t size = (size_t)(field.end - field.start);
    memcpy(out, field.start, size);
    out += size;
  }
  return out;
}

/* The body with its tag and its new length. */
static uint8_t *copy_body(const struct field *body, const struct grant *grant, uint8_t *out) {
  uint8_t *content = out + varint_size((uint64_t)body->number << 3) + varint_size(body->size);
  uint8_t *end = copy_without(body->data, body->data + body->size, grant, body->number, content);
  size_t size = (size_t)(end - content);
  out = write_varint(out, (uint64_t)body->number << 3 | WIRE_BYTES);
  out = write_varint(out, size);
  memmove(out, content, size);
  return out + size;
}

size_t edge_event_redact(const struct edge_event *event, const struct grant *grant, uint8_t *out) {
  struct field field;
  const uint8_t *at = event->bytes;
  uint8_t *to = out;
  while (next_field(&at, event->bytes + event->size, &field)) {
    bool body = field.number >= BODY_FIRST && field.type == WIRE_BYTES;
    if (!body && leaves_out(grant, 0, field.number)) continue;
    if (body && touches(grant, field.number)) {
      to = copy_body(&field, grant, to);
      continue;
    }
    size_t size = (size_t)(field.end - field.start);
    memcpy(to, field.start, size);
    to += size;
  }
  return (size_t)(to - out);
}
