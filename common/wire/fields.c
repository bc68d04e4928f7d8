#include "common/wire/fields.h"

#include "common/wire/core.h"

#include <stdio.h>
#include <string.h>

static bool varint_read(const uint8_t **at, const uint8_t *end, uint64_t *value) {
  *value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (*at == end) return false;
    uint8_t byte = *(*at)++;
    *value |= (uint64_t)(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return true;
  }
  return false;
}

bool pd_field_next(const uint8_t **at, const uint8_t *end, struct pd_field *field) {
  if (*at == end) return false;
  const uint8_t *now = *at;
  uint64_t tag;
  *field = (struct pd_field){.start = now};
  if (!varint_read(&now, end, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX >> 3) return false;
  field->number = (uint32_t)(tag >> 3);
  field->type = (uint32_t)(tag & 7);
  if (field->type == PD_WIRE_VARINT && !varint_read(&now, end, &field->value)) return false;
  if (field->type == PD_WIRE_BYTES && !varint_read(&now, end, &field->value)) return false;
  uint64_t size = field->type == PD_WIRE_BYTES     ? field->value
                  : field->type == PD_WIRE_FIXED64 ? 8
                  : field->type == PD_WIRE_FIXED32 ? 4
                                                : 0;
  if (field->type > PD_WIRE_FIXED32 || field->type == 3 || field->type == 4) return false;
  if (size > (uint64_t)(end - now)) return false;
  field->data = now;
  field->size = (size_t)size;
  *at = field->end = now + size;
  return true;
}

size_t pd_varint_size(uint64_t value) {
  size_t size = 1;
  while (value >= 0x80) {
    value >>= 7;
    size++;
  }
  return size;
}

uint8_t *pd_varint_write(uint8_t *out, uint64_t value) {
  while (value >= 0x80) {
    *out++ = (uint8_t)(value | 0x80);
    value >>= 7;
  }
  *out++ = (uint8_t)value;
  return out;
}

void pd_event_kind_name(uint32_t kind, char *text) {
  const ProtobufCFieldDescriptor *field =
      protobuf_c_message_descriptor_get_field(&pd_event_descriptor, kind);
  if (field != NULL)
    (void)snprintf(text, PD_EVENT_TOPIC, "%s", field->name);
  else
    (void)snprintf(text, PD_EVENT_TOPIC, "kind_%u", kind); /* newer than this program */
}

/* The type of an outside event into text; false if it has none that fits. */
static bool external_type(const struct pd_field *body, char *text) {
  struct pd_field field;
  const uint8_t *at = body->data;
  while (pd_field_next(&at, body->data + body->size, &field)) {
    if (field.number != 1 || field.type != PD_WIRE_BYTES) continue;
    if (field.size >= PD_EVENT_TOPIC - 8) continue;
    memcpy(text, field.data, field.size);
    text[field.size] = '\0';
    return strlen(text) == field.size;
  }
  return false;
}

static void make_topic(struct pd_event_view *event, uint32_t shard, const struct pd_field *body) {
  char kind[PD_EVENT_TOPIC];
  bool external = event->kind == PD_EVENT_EXTERNAL_NOTED && external_type(body, kind);
  if (!external) pd_event_kind_name(event->kind, kind);
  (void)snprintf(event->topic, sizeof event->topic, "%06u/%.87s", shard % 1000000, kind);
}

static void take_number(struct pd_event_view *event, const struct pd_field *field) {
  if (field->number == 1) event->log = (uint32_t)field->value;
  if (field->number == 2) event->seq = field->value;
  if (field->number == 3) event->prev = field->value;
  if (field->number == 4) event->time_ms = (int64_t)field->value;
}

bool pd_event_look(struct pd_event_view *event, uint32_t shard, const uint8_t *bytes, size_t size) {
  struct pd_field field, body = {0};
  const uint8_t *at = bytes, *end = bytes + size;
  *event = (struct pd_event_view){.bytes = bytes, .size = size};
  while (pd_field_next(&at, end, &field)) {
    if (field.type == PD_WIRE_VARINT) take_number(event, &field);
    if (field.number < PD_BODY_FIRST || field.type != PD_WIRE_BYTES) continue;
    event->kind = field.number;
    body = field;
  }
  if (at != end || event->seq == 0) return false;
  make_topic(event, shard, &body);
  return true;
}
