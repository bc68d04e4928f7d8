/* Unpacking: bounded memory, and in what comes from outside every string is looked at. */
#include "common/base/utf8.h"
#include "common/wire/entry.h"

#include <string.h>

/* protobuf-c cuts strings at NUL and keeps bad UTF-8, so strings are checked on the wire's bytes,
 * before it sees them.  The contract nests at most this deep: Reply > Refusal, Entry > Item > Event
 * > body > part. */
#define NESTING_MAX 6

struct frame {
  const ProtobufCMessageDescriptor *type;
  const uint8_t *at;
  const uint8_t *end;
};

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

/* Step over one field; a message inside is left in *inner, whose type is NULL otherwise. */
static bool step(struct frame *in, struct frame *inner) {
  uint64_t tag, length;
  inner->type = NULL;
  if (!varint(in, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX >> 3) return false;
  if ((tag & 7) != 2) return skip(in, (unsigned)(tag & 7));
  if (!varint(in, &length) || length > (uint64_t)(in->end - in->at)) return false;
  const uint8_t *start = in->at;
  in->at += length;
  const ProtobufCFieldDescriptor *field =
      protobuf_c_message_descriptor_get_field(in->type, (unsigned)(tag >> 3));
  if (field == NULL) return true;
  if (field->type == PROTOBUF_C_TYPE_STRING)
    return pd_utf8_valid((const char *)start, (size_t)length);
  if (field->type == PROTOBUF_C_TYPE_MESSAGE)
    *inner = (struct frame){field->descriptor, start, in->at};
  return true;
}

static bool strings_valid(const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
                          size_t size) {
  struct frame stack[NESTING_MAX] = {{type, bytes, bytes + size}};
  for (int depth = 0; depth >= 0;) {
    if (stack[depth].at == stack[depth].end) {
      depth--;
      continue;
    }
    struct frame inner;
    if (!step(&stack[depth], &inner)) return false;
    if (inner.type == NULL) continue;
    if (++depth == NESTING_MAX) return false;
    stack[depth] = inner;
  }
  return true;
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

ProtobufCMessage *pd_unpack_checked(struct pd_arena *arena, const ProtobufCMessageDescriptor *type,
                                    const uint8_t *bytes, size_t size) {
  return strings_valid(type, bytes, size) ? unpack(arena, type, bytes, size) : NULL;
}
