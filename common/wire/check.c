/* Unpacking: bounded memory, and in what comes from outside every string is looked at. */
#include "common/base/utf8.h"
#include "common/wire/entry.h"

#include <stdio.h>
#include <string.h>

/* protobuf-c cuts strings at NUL and keeps bad UTF-8, so strings are checked on the wire's bytes,
 * before it sees them.  The contract nests at most this deep: Reply > Refusal, Entry > Item > Event
 * > body > part. */
#define NESTING_MAX 6

struct frame {
  const ProtobufCMessageDescriptor *type;
  const ProtobufCFieldDescriptor *field; /* the one that was begun last */
  const uint8_t *at;
  const uint8_t *end;
};

static const char cut_short[] = "complete fields, each with its length, as protobuf has them";
static const char other_type[] = "the type that the contract gives this field";
static const char not_text[] = "UTF-8 without control characters but tab";
static const char too_deep[] = "no deeper nesting than the contract's";
static const char too_large[] = "what protobuf can read within 8 MiB of memory";

static bool varint(struct frame *in, uint64_t *value) {
  *value = 0;
  for (unsigned shift = 0; shift < 64 && in->at < in->end; shift += 7) {
    uint8_t byte = *in->at++;
    *value |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return true;
  }
  return false;
}

/* Skip a field that is not length-delimited. */
static bool skip(struct frame *in, unsigned wire) {
  uint64_t ignored;
  size_t fixed = wire == 1 ? 8 : 4;
  if (wire == 0) return varint(in, &ignored);
  if ((wire != 1 && wire != 5) || fixed > (size_t)(in->end - in->at)) return false;
  in->at += fixed;
  return true;
}

/* May a field stand in the message with this wire type?  Repeated numbers may be packed. */
static bool wire_fits(const ProtobufCFieldDescriptor *field, unsigned wire) {
  switch (field->type) {
  case PROTOBUF_C_TYPE_STRING:
  case PROTOBUF_C_TYPE_BYTES:
  case PROTOBUF_C_TYPE_MESSAGE: return wire == 2;
  case PROTOBUF_C_TYPE_FIXED64:
  case PROTOBUF_C_TYPE_SFIXED64:
  case PROTOBUF_C_TYPE_DOUBLE: return wire == 1;
  case PROTOBUF_C_TYPE_FIXED32:
  case PROTOBUF_C_TYPE_SFIXED32:
  case PROTOBUF_C_TYPE_FLOAT: return wire == 5;
  case PROTOBUF_C_TYPE_INT32:
  case PROTOBUF_C_TYPE_SINT32:
  case PROTOBUF_C_TYPE_UINT32:
  case PROTOBUF_C_TYPE_INT64:
  case PROTOBUF_C_TYPE_SINT64:
  case PROTOBUF_C_TYPE_UINT64:
  case PROTOBUF_C_TYPE_BOOL:
  case PROTOBUF_C_TYPE_ENUM:
    return wire == 0 || (wire == 2 && field->label == PROTOBUF_C_LABEL_REPEATED);
  }
  return false;
}

/* Step over one field; a message inside is left in *inner, whose type is NULL otherwise.  NULL, or
 * the rule that does not hold. */
static const char *step(struct frame *in, struct frame *inner) {
  uint64_t tag, length;
  inner->type = NULL;
  in->field = NULL;
  if (!varint(in, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX >> 3) return cut_short;
  unsigned wire = (unsigned)(tag & 7);
  const ProtobufCFieldDescriptor *field =
      protobuf_c_message_descriptor_get_field(in->type, (unsigned)(tag >> 3));
  in->field = field;
  if (field != NULL && !wire_fits(field, wire)) return other_type;
  if (wire != 2) return skip(in, wire) ? NULL : cut_short;
  if (!varint(in, &length) || length > (uint64_t)(in->end - in->at)) return cut_short;
  const uint8_t *start = in->at;
  in->at += length;
  if (field == NULL) return NULL;
  if (field->type == PROTOBUF_C_TYPE_STRING)
    return pd_utf8_valid((const char *)start, (size_t)length) ? NULL : not_text;
  if (field->type == PROTOBUF_C_TYPE_MESSAGE)
    *inner = (struct frame){field->descriptor, NULL, start, in->at};
  return NULL;
}

/* "place_order.note": the names of the fields that are begun, the outermost first. */
static void name_field(struct pd_flaw *flaw, const struct frame *stack, int depth) {
  size_t used = 0;
  for (int i = 0; i <= depth && stack[i].field != NULL && used < sizeof flaw->field; i++) {
    int wrote = snprintf(flaw->field + used, sizeof flaw->field - used, "%s%s",
                         i > 0 ? "." : "", stack[i].field->name);
    used += wrote > 0 ? (size_t)wrote : 0;
  }
}

/* Walk the wire's bytes without memory; flaw->rule stays NULL when nothing is wrong. */
static void walk(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t size,
                 struct pd_flaw *flaw) {
  struct frame stack[NESTING_MAX] = {{type, NULL, bytes, bytes + size}};
  for (int depth = 0; depth >= 0;) {
    if (stack[depth].at == stack[depth].end) {
      depth--;
      continue;
    }
    struct frame inner;
    flaw->rule = step(&stack[depth], &inner);
    if (flaw->rule == NULL && inner.type != NULL && depth + 1 == NESTING_MAX) flaw->rule = too_deep;
    if (flaw->rule != NULL) {
      name_field(flaw, stack, depth);
      return;
    }
    if (inner.type != NULL) stack[++depth] = inner;
  }
}

static void *arena_alloc(void *arena, size_t size) { return pd_arena_try(arena, size); }
static void arena_free(void *arena, void *block) {
  (void)arena;
  (void)block;
}

static ProtobufCMessage *unpack(struct pd_arena *arena, const ProtobufCMessageDescriptor *type,
                                const uint8_t *bytes, size_t size) {
  ProtobufCAllocator allocator = {
      .alloc = arena_alloc, .free = arena_free, .allocator_data = arena};
  return protobuf_c_message_unpack(type, &allocator, size, bytes);
}

struct pd_event *pd_event_unpack(struct pd_arena *arena, const uint8_t *bytes, size_t size) {
  return (struct pd_event *)unpack(arena, &pd_event_descriptor, bytes, size);
}

ProtobufCMessage *pd_unpack_named(struct pd_arena *arena, const ProtobufCMessageDescriptor *type,
                                  const uint8_t *bytes, size_t size, struct pd_flaw *flaw) {
  *flaw = (struct pd_flaw){.rule = NULL};
  walk(type, bytes, size, flaw);
  if (flaw->rule != NULL) return NULL;
  ProtobufCMessage *message = unpack(arena, type, bytes, size);
  if (message == NULL) flaw->rule = too_large;
  return message;
}

ProtobufCMessage *pd_unpack_checked(struct pd_arena *arena, const ProtobufCMessageDescriptor *type,
                                    const uint8_t *bytes, size_t size) {
  struct pd_flaw flaw;
  return pd_unpack_named(arena, type, bytes, size, &flaw);
}

/* The numbers of Event's envelope in event.proto; the bodies begin at 16. */
static void label_number(struct pd_event_label *label, uint64_t field, uint64_t value) {
  if (field == 1) label->log = (uint32_t)value;
  if (field == 2) label->seq = value;
  if (field == 8) label->shard = (uint32_t)value;
}

bool pd_event_label(const uint8_t *bytes, size_t size, struct pd_event_label *label) {
  struct frame in = {.at = bytes, .end = bytes + size};
  *label = (struct pd_event_label){0};
  while (in.at < in.end) {
    uint64_t tag, value;
    if (!varint(&in, &tag)) return false;
    uint64_t field = tag >> 3;
    unsigned wire = (unsigned)(tag & 7);
    if (wire != 0 && wire != 2) {
      if (!skip(&in, wire)) return false;
      continue;
    }
    if (!varint(&in, &value)) return false;
    if (wire == 0) {
      label_number(label, field, value);
      continue;
    }
    if (value > (uint64_t)(in.end - in.at)) return false;
    in.at += value;
    if (field >= 16 && field < PD_EVENT_KINDS) label->kind = (uint32_t)field;
  }
  return true;
}

uint64_t pd_peek_number(const uint8_t *bytes, size_t size, uint32_t field) {
  struct frame in = {.at = bytes, .end = bytes + size};
  uint64_t tag, value, found = 0;
  while (in.at < in.end && varint(&in, &tag)) {
    unsigned wire = (unsigned)(tag & 7);
    if (wire != 0 && wire != 2) {
      if (!skip(&in, wire)) break;
      continue;
    }
    if (!varint(&in, &value)) break;
    if (wire == 0 && tag >> 3 == field) found = value;
    if (wire == 2 && value > (uint64_t)(in.end - in.at)) break;
    if (wire == 2) in.at += value;
  }
  return found;
}
