/* Messages made and changed by their descriptors, on the wire's bytes. */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define DEPTH_MAX 5
#define FIELDS_MAX 64

struct sink {
  uint8_t *bytes;
  size_t size;
  size_t max;
  bool full;
};

static void put_bytes(struct sink *out, const void *bytes, size_t size) {
  if (size > out->max - out->size) {
    out->full = true;
    return;
  }
  if (size > 0) memcpy(out->bytes + out->size, bytes, size);
  out->size += size;
}

static void put_varint(struct sink *out, uint64_t value) {
  uint8_t bytes[10];
  size_t size = 0;
  do {
    bytes[size++] = (uint8_t)((value & 127) | (value > 127 ? 128 : 0));
    value >>= 7;
  } while (value > 0);
  put_bytes(out, bytes, size);
}

static bool one_in(struct pd_rng *rng, uint64_t count) { return pd_rng_below(rng, count) == 0; }

struct pd_id fuzz_person(uint64_t number) {
  struct pd_id id;
  uint64_t words[2] = {number * UINT64_C(0x9e3779b97f4a7c15) + 1, number};
  memcpy(id.bytes, words, sizeof id.bytes);
  return id;
}

/* ---- values: plausible by the field's name, and now and then at the edge ---- */

static const int64_t edges[] = {0, 1, -1, 2, 63, 64, 65, 127, 128, 255, 256, 1440, 1441, 65535,
                                65536, 50000, 50001, 1 << 24, INT32_MAX, INT32_MIN, UINT32_MAX,
                                INT64_C(1) << 32, INT64_C(1) << 53, INT64_MAX, INT64_MIN,
                                INT64_MAX / 2, -1800000000, 1800000000, 900000000};

/* Numbers by the end of a field's name: from least, so many. */
static const struct {
  const char *name;
  int64_t least;
  int64_t count;
} ranges[] = {{"order", 1, 5},         {"offer", 1, 24},       {"slot", 0, 4},
              {"wave", 1, 4},          {"offers", 1, 6},       {"site", 1, 5},
              {"parent", 0, 5},        {"team", 1, 4},         {"hold", 1, 3},
              {"need", 1, 3},          {"minutes", 5, 120},    {"seq", 1, 40},
              {"upto", 1, 40},         {"shard", FUZZ_SHARD, 1}, {"lon_e7", FUZZ_LON_E7, 300000},
              {"lat_e7", FUZZ_LAT_E7, 300000}, {"x", FUZZ_LON_E7 / 10000, 30},
              {"y", FUZZ_LAT_E7 / 10000, 30},  {"radius_m", 1000, 20000},
              {"max_per_week", 1, 20}, {"available", 0xffffff, 1}, {"branch", 1, 10},
              {"stars", 1, 5},         {"star", 1, 5},         {"epoch", 1, 3},
              {"part", 0, 3},          {"amount", -60, 120},   {"attempts", 1, 3}};

static bool ends_with(const char *name, const char *end) {
  size_t length = strlen(name), tail = strlen(end);
  return length >= tail && strcmp(name + length - tail, end) == 0;
}

static int64_t number(struct pd_rng *rng, const char *name) {
  if (one_in(rng, 32)) return edges[pd_rng_below(rng, sizeof edges / sizeof *edges)];
  if (one_in(rng, 64)) return (int64_t)pd_rng_next(rng);
  if (ends_with(name, "_ms"))
    return FUZZ_START_MS + ((int64_t)pd_rng_below(rng, 20160) - 1440) * 60000;
  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
    if (strcmp(name, ranges[i].name) == 0)
      return ranges[i].least + (int64_t)pd_rng_below(rng, (uint64_t)ranges[i].count);
  return (int64_t)pd_rng_below(rng, 12);
}

static const struct {
  const char *name;
  const char *texts[6];
} words[] = {{"ref", {"S0", "S1", "S2", "S3", "T1", "T2"}},
             {"parent_ref", {"", "S0", "S0", "S1", "S1", "S2"}},
             {"site_ref", {"S0", "S1", "S2", "S3", "S1", "S2"}},
             {"team_ref", {"T1", "T1", "T2", "T2", "T1", ""}},
             {"principal", {"site/uid:1", "resident/uid:2", "volunteer/uid:3", "site/uid:4",
                            "site/uid:1", "volunteer/uid:3"}},
             {"category", {"elder_escort", "tutoring", "a", "x_1", "elder_escort", "wish"}},
             {"phone", {"13800000001", "+86 10-1", "1", "13800000003", "13800000002", "0"}},
             {"code", {"", "370302001001", "370302000000", "", "", ""}},
             {"sink", {"file", "webhook", "file", "file", "webhook", ""}}};

static const char *const texts[] = {"志愿者", "name",  "陪老人去医院", "",     "a\tb",
                                    "é€𝄞",    "\xff", "x\ny",         "\xed\xa0\x80", "\xc0\x80"};

static size_t text(struct pd_rng *rng, const char *name, char *room, size_t max) {
  if (one_in(rng, 40)) {
    size_t size = pd_rng_below(rng, one_in(rng, 4) ? max : 100);
    memset(room, 'a' + (int)pd_rng_below(rng, 26), size);
    return size;
  }
  if (strcmp(name, "key") == 0) {
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    for (int i = 0; i < 3; i++) room[i] = digits[pd_rng_below(rng, 36)];
    return 3;
  }
  const char *found = texts[pd_rng_below(rng, one_in(rng, 16) ? 10 : 3)];
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcmp(name, words[i].name) == 0) found = words[i].texts[pd_rng_below(rng, 6)];
  memcpy(room, found, strlen(found));
  return strlen(found);
}

/* Ids, boxes, hashes and traces. */
static size_t blob(struct pd_rng *rng, const char *name, char *room) {
  size_t size = sizeof(struct pd_id);
  struct pd_id id = fuzz_person(1 + pd_rng_below(rng, 8));
  memcpy(room, id.bytes, size);
  memset(room + size, 7, 64);
  if (strcmp(name, "trace") == 0) size = one_in(rng, 2) ? 0 : 24;
  if (strcmp(name, "box") == 0) size = 48;
  if (ends_with(name, "hash")) size = 32;
  return one_in(rng, 40) ? pd_rng_below(rng, 80) : size;
}

/* ---- fields ---- */

static void put_message(struct sink *out, struct pd_rng *rng,
                        const ProtobufCMessageDescriptor *type, uint32_t kind, int depth);

static void put_inside(struct sink *out, struct pd_rng *rng,
                       const ProtobufCMessageDescriptor *type, int depth) {
  uint8_t room[4096];
  struct sink inner = {.bytes = room, .max = sizeof room};
  if (depth < DEPTH_MAX) put_message(&inner, rng, type, 0, depth);
  put_varint(out, inner.size);
  put_bytes(out, room, inner.size);
}

static int64_t any_enum(struct pd_rng *rng, const ProtobufCEnumDescriptor *type) {
  if (one_in(rng, 40)) return edges[pd_rng_below(rng, sizeof edges / sizeof *edges)];
  uint64_t count = type->n_values;
  return type->values[count > 1 ? 1 + pd_rng_below(rng, count - 1) : 0].value;
}

static uint64_t zigzag(int64_t value) {
  return ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
}

/* One field with its tag. */
static void put_field(struct sink *out, struct pd_rng *rng, const ProtobufCFieldDescriptor *field,
                      int depth) {
  char room[1024];
  bool block = field->type == PROTOBUF_C_TYPE_MESSAGE || field->type == PROTOBUF_C_TYPE_BYTES ||
               field->type == PROTOBUF_C_TYPE_STRING;
  put_varint(out, (uint64_t)field->id << 3 | (block ? 2 : 0));
  if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
    put_inside(out, rng, field->descriptor, depth + 1);
  } else if (block) {
    size_t size = field->type == PROTOBUF_C_TYPE_BYTES
                      ? blob(rng, field->name, room)
                      : text(rng, field->name, room, sizeof room);
    put_varint(out, size);
    put_bytes(out, room, size);
  } else if (field->type == PROTOBUF_C_TYPE_BOOL) {
    put_varint(out, pd_rng_below(rng, 2));
  } else if (field->type == PROTOBUF_C_TYPE_ENUM) {
    put_varint(out, (uint64_t)any_enum(rng, field->descriptor));
  } else {
    int64_t value = number(rng, field->name);
    bool sign = field->type == PROTOBUF_C_TYPE_SINT32 || field->type == PROTOBUF_C_TYPE_SINT64;
    put_varint(out, sign ? zigzag(value) : (uint64_t)value);
  }
}

static bool in_oneof(const ProtobufCFieldDescriptor *field) {
  return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
}

static void put_message(struct sink *out, struct pd_rng *rng,
                        const ProtobufCMessageDescriptor *type, uint32_t kind, int depth) {
  uint32_t members[FIELDS_MAX], count = 0;
  for (unsigned i = 0; i < type->n_fields; i++) {
    const ProtobufCFieldDescriptor *field = &type->fields[i];
    if (in_oneof(field)) {
      if (count < FIELDS_MAX && (kind == 0 || field->id == kind)) members[count++] = i;
      continue;
    }
    uint64_t times = one_in(rng, 32) ? 0 : 1;
    if (strcmp(field->name, "seen") == 0) times = one_in(rng, 8); /* what it names has to come */
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
      times = strcmp(field->name, "available") == 0 ? 7 : pd_rng_below(rng, 3);
    for (uint64_t t = 0; t < times; t++) put_field(out, rng, field, depth);
  }
  if (count > 0) put_field(out, rng, &type->fields[members[pd_rng_below(rng, count)]], depth);
}

size_t fuzz_make_kind(struct pd_rng *rng, const ProtobufCMessageDescriptor *type, uint32_t kind,
                      uint8_t *bytes, size_t max) {
  struct sink out = {.bytes = bytes, .max = max};
  put_message(&out, rng, type, kind, 0);
  return out.size;
}

size_t fuzz_make(struct pd_rng *rng, const ProtobufCMessageDescriptor *type, uint8_t *bytes,
                 size_t max) {
  return fuzz_make_kind(rng, type, 0, bytes, max);
}

/* ---- change ---- */

/* A field on the wire: from its tag to its end; value: its bytes behind tag and length. */
struct part {
  const ProtobufCFieldDescriptor *field;
  const uint8_t *begin, *value, *end;
};

static const uint8_t *read_varint(const uint8_t *at, const uint8_t *end, uint64_t *value) {
  *value = 0;
  for (unsigned shift = 0; at < end && shift < 64; shift += 7) {
    *value |= (uint64_t)(*at & 127) << shift;
    if (*at++ < 128) return at;
  }
  return NULL;
}

static bool read_part(const ProtobufCMessageDescriptor *type, const uint8_t *at,
                      const uint8_t *end, struct part *part) {
  uint64_t tag, value;
  part->begin = at;
  if ((at = read_varint(at, end, &tag)) == NULL) return false;
  part->field = protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
  part->value = at;
  if ((tag & 7) > 2 || (tag & 7) == 1) return false;
  if ((at = read_varint(at, end, &value)) == NULL) return false;
  if ((tag & 7) == 2) {
    if (value > (uint64_t)(end - at)) return false;
    part->value = at;
    at += value;
  }
  part->end = at;
  return true;
}

static void change(struct sink *out, struct pd_rng *rng, const ProtobufCMessageDescriptor *type,
                   const uint8_t *from, size_t size, int depth);

static void change_part(struct sink *out, struct pd_rng *rng, const struct part *part, int depth) {
  const ProtobufCFieldDescriptor *field = part->field;
  uint64_t way = pd_rng_below(rng, 12);
  if (way == 0 || field == NULL) return;
  if (way == 1) put_bytes(out, part->begin, (size_t)(part->end - part->begin));
  if (way <= 2) put_bytes(out, part->begin, (size_t)(part->end - part->begin));
  if (way <= 2) return;
  if (field->type != PROTOBUF_C_TYPE_MESSAGE || way < 5 || depth >= DEPTH_MAX) {
    put_field(out, rng, field, depth);
    return;
  }
  uint8_t room[4096];
  struct sink inner = {.bytes = room, .max = sizeof room};
  change(&inner, rng, field->descriptor, part->value, (size_t)(part->end - part->value), depth + 1);
  put_varint(out, (uint64_t)field->id << 3 | 2);
  put_varint(out, inner.size);
  put_bytes(out, room, inner.size);
}

static void change(struct sink *out, struct pd_rng *rng, const ProtobufCMessageDescriptor *type,
                   const uint8_t *from, size_t size, int depth) {
  const uint8_t *end = from + size;
  struct part part;
  uint64_t count = 0;
  for (const uint8_t *at = from; at < end && read_part(type, at, end, &part); at = part.end)
    count++;
  /* The last part, the body, is where most of a message is. */
  uint64_t chosen = one_in(rng, 2) ? count : 1 + pd_rng_below(rng, count + 1);
  const uint8_t *at = from;
  for (uint64_t i = 1; i <= count; i++) {
    read_part(type, at, end, &part);
    if (i == chosen)
      change_part(out, rng, &part, depth);
    else
      put_bytes(out, at, (size_t)(part.end - at));
    at = part.end;
  }
  if (chosen > count && type->n_fields > 0)
    put_field(out, rng, &type->fields[pd_rng_below(rng, type->n_fields)], depth);
  put_bytes(out, at, (size_t)(end - at));
}

size_t fuzz_change(struct pd_rng *rng, const ProtobufCMessageDescriptor *type, const uint8_t *from,
                   size_t size, uint8_t *bytes, size_t max) {
  struct sink out = {.bytes = bytes, .max = max};
  change(&out, rng, type, from, size, 0);
  return out.full ? 0 : out.size;
}
