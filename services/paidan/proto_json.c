#include "services/paidan/proto_json.h"

#include "common/base/calendar.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define EXACT (UINT64_C(1) << 53) /* numbers below it are exact in every JSON reader */

/* The type's name in upper snake case and a '_': what its values' names begin with. */
static size_t prefix_length(const ProtobufCEnumDescriptor *type) {
  size_t length = 0;
  for (const char *c = type->short_name; *c != '\0'; c++) {
    length += c != type->short_name && isupper((unsigned char)*c) ? 2 : 1;
  }
  return length + 1;
}

const char *proto_enum(const ProtobufCEnumDescriptor *type, int value, char buffer[PROTO_NAME]) {
  const ProtobufCEnumValue *found = protobuf_c_enum_descriptor_get_value(type, value);
  if (found == NULL) {
    snprintf(buffer, PROTO_NAME, "%d", value);
    return buffer;
  }
  snprintf(buffer, PROTO_NAME, "%s", found->name + prefix_length(type));
  for (char *c = buffer; *c != '\0'; c++) *c = (char)tolower((unsigned char)*c);
  return buffer;
}

int proto_enum_value(const ProtobufCEnumDescriptor *type, const char *name) {
  size_t skip = prefix_length(type);
  for (unsigned i = 0; i < type->n_values; i++) {
    if (strcasecmp(type->values[i].name + skip, name) == 0) return type->values[i].value;
  }
  return -1;
}

static json_t *json_u64(uint64_t value) {
  char text[24];
  if (value < EXACT) return json_integer((json_int_t)value);
  snprintf(text, sizeof text, "%llu", (unsigned long long)value);
  return json_string(text);
}

static json_t *json_i64(int64_t value) {
  char text[24];
  if (value > -(int64_t)EXACT && value < (int64_t)EXACT) return json_integer((json_int_t)value);
  snprintf(text, sizeof text, "%lld", (long long)value);
  return json_string(text);
}

static json_t *json_hex(const ProtobufCBinaryData *data) {
  char *text = malloc(data->len * 2 + 1);
  if (text == NULL) return json_null();
  for (size_t i = 0; i < data->len; i++) snprintf(text + 2 * i, 3, "%02x", data->data[i]);
  text[data->len * 2] = '\0';
  json_t *json = json_string(text);
  free(text);
  return json;
}

static json_t *json_text(const char *text) {
  json_t *json = text == NULL ? json_string("") : json_string(text);
  return json == NULL ? json_null() : json;
}

/* One value of a field; at: where it stands. */
static json_t *json_value(const ProtobufCFieldDescriptor *field, const void *at, int32_t zone_min) {
  char name[PROTO_NAME];
  switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
      return json_integer(*(const int32_t *)at);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
      return json_i64(*(const int64_t *)at);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
      return json_integer(*(const uint32_t *)at);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
      return json_u64(*(const uint64_t *)at);
    case PROTOBUF_C_TYPE_FLOAT:
      return json_real((double)*(const float *)at);
    case PROTOBUF_C_TYPE_DOUBLE:
      return json_real(*(const double *)at);
    case PROTOBUF_C_TYPE_BOOL:
      return json_boolean(*(const protobuf_c_boolean *)at);
    case PROTOBUF_C_TYPE_ENUM:
      return json_string(proto_enum(field->descriptor, *(const int *)at, name));
    case PROTOBUF_C_TYPE_STRING:
      return json_text(*(char *const *)at);
    case PROTOBUF_C_TYPE_BYTES:
      return json_hex(at);
    case PROTOBUF_C_TYPE_MESSAGE:
      return proto_json(*(const ProtobufCMessage *const *)at, zone_min);
  }
  return json_null();
}

static size_t value_size(const ProtobufCFieldDescriptor *field) {
  switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_ENUM:
      return 4;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
      return 8;
    case PROTOBUF_C_TYPE_BOOL:
      return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
      return sizeof(char *);
    case PROTOBUF_C_TYPE_BYTES:
      return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_MESSAGE:
      return sizeof(ProtobufCMessage *);
  }
  return 0;
}

static json_t *json_list(const ProtobufCFieldDescriptor *field, const uint8_t *base,
                         int32_t zone_min) {
  size_t count = *(const size_t *)(const void *)(base + field->quantifier_offset);
  const uint8_t *items = *(uint8_t *const *)(const void *)(base + field->offset);
  json_t *list = json_array();
  for (size_t i = 0; i < count; i++) {
    json_array_append_new(list, json_value(field, items + i * value_size(field), zone_min));
  }
  return list;
}

/* A field `x_ms` of a point in time also stands there as text `x`. */
static void add_readable(json_t *object, const ProtobufCFieldDescriptor *field, const uint8_t *base,
                         int32_t zone_min) {
  size_t length = strlen(field->name);
  char name[48], text[PD_TIME_TEXT];
  if (field->type != PROTOBUF_C_TYPE_INT64 || length < 4 || length > sizeof name) return;
  if (strcmp(field->name + length - 3, "_ms") != 0) return;
  memcpy(name, field->name, length - 3);
  name[length - 3] = '\0';
  int64_t time_ms = *(const int64_t *)(const void *)(base + field->offset);
  json_object_set_new(object, name, json_string(pd_time_text(time_ms, zone_min, text)));
}

static bool is_set(const ProtobufCFieldDescriptor *field, const uint8_t *base) {
  if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
    return *(const uint32_t *)(const void *)(base + field->quantifier_offset) == field->id;
  }
  if (field->type != PROTOBUF_C_TYPE_MESSAGE) return true;
  return *(void *const *)(const void *)(base + field->offset) != NULL;
}

json_t *proto_json(const ProtobufCMessage *message, int32_t zone_min) {
  json_t *object = json_object();
  const uint8_t *base = (const uint8_t *)message;
  for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
    const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
      json_object_set_new(object, field->name, json_list(field, base, zone_min));
    } else if (is_set(field, base)) {
      json_object_set_new(object, field->name, json_value(field, base + field->offset, zone_min));
      add_readable(object, field, base, zone_min);
    }
  }
  return object;
}

/* The descriptor of the member of Event's oneof that is set; NULL if none. */
static const ProtobufCFieldDescriptor *body_field(const struct pd_event *event) {
  if (event->body_case == PD_EVENT_NOT_SET) return NULL;
  return protobuf_c_message_descriptor_get_field(&pd_event_descriptor, (unsigned)event->body_case);
}

const char *proto_kind(const struct pd_event *event) {
  const ProtobufCFieldDescriptor *field = body_field(event);
  return field == NULL ? "unknown" : field->name;
}

const ProtobufCMessage *proto_body(const struct pd_event *event) {
  const ProtobufCFieldDescriptor *field = body_field(event);
  if (field == NULL) return NULL;
  return *(ProtobufCMessage *const *)(const void *)((const uint8_t *)event + field->offset);
}

json_t *proto_json_event(const struct pd_event *event, int32_t zone_min) {
  json_t *object = proto_json(&event->base, zone_min);
  json_object_set_new(object, "kind", json_string(proto_kind(event)));
  return object;
}

static const ProtobufCFieldDescriptor *named_field(const ProtobufCMessage *message,
                                                   const char *name) {
  return message == NULL
             ? NULL
             : protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
}

bool proto_number(const ProtobufCMessage *message, const char *name, uint64_t *value) {
  const ProtobufCFieldDescriptor *field = named_field(message, name);
  if (field == NULL || field->label == PROTOBUF_C_LABEL_REPEATED) return false;
  const void *at = (const uint8_t *)message + field->offset;
  bool wide = field->type == PROTOBUF_C_TYPE_UINT64;
  if (!wide && field->type != PROTOBUF_C_TYPE_UINT32 && field->type != PROTOBUF_C_TYPE_ENUM)
    return false;
  *value = wide ? *(const uint64_t *)at : *(const uint32_t *)at;
  return true;
}

bool proto_id(const ProtobufCMessage *message, const char *name, struct pd_id *id) {
  const ProtobufCFieldDescriptor *field = named_field(message, name);
  if (field == NULL || field->type != PROTOBUF_C_TYPE_BYTES) return false;
  const ProtobufCBinaryData *data = (const void *)((const uint8_t *)message + field->offset);
  *id = PD_ID(*data);
  return data->len == sizeof id->bytes;
}
