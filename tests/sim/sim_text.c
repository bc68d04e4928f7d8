/* An event as one line, from the contract's own descriptions: for --trace. */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <string.h>

struct line {
  char *text;
  size_t size, used;
};

static void put(struct line *line, const char *text) {
  size_t length = strlen(text);
  if (line->used + length + 1 > line->size) return;
  memcpy(line->text + line->used, text, length + 1);
  line->used += length;
}

static void put_message(struct line *line, const ProtobufCMessage *message);

static void put_bytes(struct line *line, const ProtobufCBinaryData *bytes) {
  char text[16] = "-";
  if (bytes->len >= 3)
    snprintf(text, sizeof text, "%02x%02x%02x", bytes->data[0], bytes->data[1], bytes->data[2]);
  put(line, text);
}

static void put_value(struct line *line, const ProtobufCFieldDescriptor *field, const void *at) {
  char text[40] = "";
  if (field->type == PROTOBUF_C_TYPE_ENUM) {
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value(field->descriptor, *(const int *)at);
    put(line, value != NULL ? value->name : "?");
  } else if (field->type == PROTOBUF_C_TYPE_STRING) {
    put(line, *(char *const *)at);
  } else if (field->type == PROTOBUF_C_TYPE_BYTES) {
    put_bytes(line, at);
  } else if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
    if (*(ProtobufCMessage *const *)at != NULL) put_message(line, *(ProtobufCMessage *const *)at);
  } else if (strstr(field->name, "_ms") != NULL) {
    put(line, pd_time_text(*(const int64_t *)at, SIM_ZONE_MIN, text));
  } else {
    bool wide = field->type == PROTOBUF_C_TYPE_INT64 || field->type == PROTOBUF_C_TYPE_SINT64 ||
                field->type == PROTOBUF_C_TYPE_UINT64;
    long long value = wide ? *(const int64_t *)at : *(const int32_t *)at;
    snprintf(text, sizeof text, "%lld", value);
    put(line, text);
  }
}

static void put_field(struct line *line, const ProtobufCMessage *message,
                      const ProtobufCFieldDescriptor *field) {
  const uint8_t *at = (const uint8_t *)message + field->offset;
  if (strstr("contact home place note box cell comment", field->name) != NULL) return;
  put(line, " ");
  put(line, field->name);
  put(line, "=");
  if (field->label != PROTOBUF_C_LABEL_REPEATED) {
    put_value(line, field, at);
    return;
  }
  size_t count = *(const size_t *)((const uint8_t *)message + field->quantifier_offset);
  const uint8_t *items = *(uint8_t *const *)at;
  size_t each = field->type == PROTOBUF_C_TYPE_MESSAGE ? sizeof(void *) : sizeof(uint32_t);
  put(line, "[");
  for (size_t i = 0; i < count; i++) {
    if (i > 0) put(line, ",");
    put_value(line, field, items + i * each);
  }
  put(line, "]");
}

static void put_message(struct line *line, const ProtobufCMessage *message) {
  for (unsigned i = 0; i < message->descriptor->n_fields; i++)
    put_field(line, message, &message->descriptor->fields[i]);
}

void sim_text(const struct pd_event *event, char *text, size_t size) {
  char time[PD_TIME_TEXT];
  struct line line = {.text = text, .size = size};
  line.used = (size_t)snprintf(text, size, "%.19s %s %llu",
                               pd_time_text(event->time_ms, SIM_ZONE_MIN, time),
                               pd_log_name(event->log), (unsigned long long)event->seq);
  const ProtobufCFieldDescriptor *field =
      protobuf_c_message_descriptor_get_field(event->base.descriptor, (unsigned)event->body_case);
  put(&line, " ");
  put(&line, field->name);
  put_message(&line, *(ProtobufCMessage *const *)((const uint8_t *)event + field->offset));
  if (event->origin != NULL) {
    put(&line, " by=");
    put(&line, event->origin->principal);
  }
}
