#include "common/wire/entry.h"

#include <openssl/sha.h>
#include <string.h>

/* Field numbers and wire types of entry.proto; a tag is number << 3 | type. */
enum {
  TAG_SHARD = 1 << 3,
  TAG_LOG = 2 << 3,
  TAG_EPOCH = 3 << 3,
  TAG_FIRST = 4 << 3,
  TAG_LAST = 5 << 3,
  TAG_TIME = 6 << 3,
  TAG_PREV = 7 << 3 | 2,
  TAG_ITEM = 8 << 3 | 2,
  TAG_ITEM_MARK = 1 << 3 | 2,
  TAG_ITEM_EVENT = 2 << 3 | 2,
  TAG_MARK_LOG = 1 << 3,
  TAG_MARK_UPTO = 2 << 3
};

#define ITEM_HEAD 8 /* at most: two tags, two lengths of three bytes */

static const char *const log_names[PD_LOGS] = {
    [PD_LOG_UNSPECIFIED] = "unknown", [PD_LOG_INTAKE] = "intake",
    [PD_LOG_MATCHING] = "matching",   [PD_LOG_SCHEDULING] = "scheduling",
    [PD_LOG_POINTS] = "points",       [PD_LOG_NOTIFICATION] = "notification",
};

const char *pd_log_name(unsigned log) { return log_names[log < PD_LOGS ? log : 0]; }

enum pd_log pd_log_named(const char *name) {
  for (unsigned log = 1; log < PD_LOGS; log++)
    if (strcmp(name, log_names[log]) == 0) return (enum pd_log)log;
  return PD_LOG_UNSPECIFIED;
}

bool pd_log_says(enum pd_log log, uint32_t kind) {
  static const struct {
    uint32_t first;
    uint32_t last;
    enum pd_log log;
  } blocks[] = {{20, 59, PD_LOG_INTAKE},
                {60, 79, PD_LOG_MATCHING},
                {80, 99, PD_LOG_SCHEDULING},
                {100, 119, PD_LOG_POINTS},
                {120, 127, PD_LOG_NOTIFICATION}};
  for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
    if (kind >= blocks[i].first && kind <= blocks[i].last) return log == blocks[i].log;
  return true;
}

struct pd_hash pd_hash_of(const void *bytes, size_t size) {
  struct pd_hash hash;
  (void)SHA256(bytes, size, hash.bytes);
  return hash;
}

bool pd_hash_equal(const struct pd_hash *a, const struct pd_hash *b) {
  return memcmp(a->bytes, b->bytes, PD_HASH_BYTES) == 0;
}

static uint8_t *put_varint(uint8_t *at, uint64_t value) {
  while (value >= 128) {
    *at++ = (uint8_t)(value | 128);
    value >>= 7;
  }
  *at++ = (uint8_t)value;
  return at;
}

static size_t varint_size(uint64_t value) {
  size_t size = 1;
  while (value >= 128) {
    value >>= 7;
    size++;
  }
  return size;
}

void pd_packer_init(struct pd_packer *packer, uint8_t *memory, size_t size) {
  pd_assert(size > PD_ENTRY_HEAD);
  *packer = (struct pd_packer){.memory = memory, .size = size, .used = PD_ENTRY_HEAD};
}

void pd_pack_mark(struct pd_packer *packer, enum pd_log log, uint64_t upto) {
  size_t body = 1 + varint_size(log) + 1 + varint_size(upto);
  pd_assert(packer->used + body + 4 <= packer->size);
  uint8_t *at = packer->memory + packer->used;
  *at++ = TAG_ITEM;
  at = put_varint(at, body + 2);
  *at++ = TAG_ITEM_MARK;
  at = put_varint(at, body);
  *at++ = TAG_MARK_LOG;
  at = put_varint(at, log);
  *at++ = TAG_MARK_UPTO;
  at = put_varint(at, upto);
  packer->used = (size_t)(at - packer->memory);
  packer->items++;
}

void pd_pack_event(struct pd_packer *packer, const struct pd_event *event) {
  uint8_t *at = packer->memory + packer->used;
  size_t room = packer->size - packer->used;
  if (room < PD_EVENT_MAX + ITEM_HEAD) /* rare: the soft limit is far below the size */
    pd_assert(protobuf_c_message_get_packed_size(&event->base) + ITEM_HEAD <= room);
  /* Packed first and moved to its place: asking for its size costs as much as packing it. */
  size_t body = protobuf_c_message_pack(&event->base, at + ITEM_HEAD);
  pd_assert(body <= PD_EVENT_MAX);
  const uint8_t *packed = at + ITEM_HEAD;
  *at++ = TAG_ITEM;
  at = put_varint(at, 1 + varint_size(body) + body);
  *at++ = TAG_ITEM_EVENT;
  at = put_varint(at, body);
  memmove(at, packed, body);
  packer->used = (size_t)(at + body - packer->memory);
  packer->items++;
  packer->events++;
}

void pd_pack_end(struct pd_packer *packer, const struct pd_entry_head *head,
                 struct pd_packed *packed) {
  uint8_t front[PD_ENTRY_HEAD], *at = front;
  *at++ = TAG_SHARD;
  at = put_varint(at, head->shard);
  *at++ = TAG_LOG;
  at = put_varint(at, head->log);
  *at++ = TAG_EPOCH;
  at = put_varint(at, head->epoch);
  *at++ = TAG_FIRST;
  at = put_varint(at, head->first_seq);
  *at++ = TAG_LAST;
  at = put_varint(at, head->last_seq);
  *at++ = TAG_TIME;
  at = put_varint(at, (uint64_t)head->time_ms);
  *at++ = TAG_PREV;
  *at++ = PD_HASH_BYTES;
  memcpy(at, head->prev.bytes, PD_HASH_BYTES);
  at += PD_HASH_BYTES;
  size_t length = (size_t)(at - front);
  pd_assert(length <= PD_ENTRY_HEAD && packer->events == head->last_seq - head->first_seq + 1);
  uint8_t *bytes = packer->memory + PD_ENTRY_HEAD - length;
  memcpy(bytes, front, length);
  size_t size = packer->used - PD_ENTRY_HEAD + length;
  *packed = (struct pd_packed){
      .bytes = bytes, .size = size, .head = *head, .hash = pd_hash_of(bytes, size)};
}

/* A bounded reader of protobuf bytes. */
struct reader {
  const uint8_t *at;
  const uint8_t *end;
};

static bool get_varint(struct reader *in, uint64_t *value) {
  *value = 0;
  for (unsigned shift = 0; shift < 64 && in->at < in->end; shift += 7) {
    uint8_t byte = *in->at++;
    *value |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return shift < 63 || byte <= 1;
  }
  return false;
}

static bool get_tagged(struct reader *in, uint8_t tag, uint64_t *value) {
  if (in->at == in->end || *in->at != tag) return false;
  in->at++;
  return get_varint(in, value);
}

/* The next length-delimited field with this tag, as a reader over its bytes. */
static bool get_block(struct reader *in, uint8_t tag, struct reader *block) {
  uint64_t length;
  if (!get_tagged(in, tag, &length) || length > (uint64_t)(in->end - in->at)) return false;
  *block = (struct reader){in->at, in->at + length};
  in->at += length;
  return true;
}

static bool get_head(struct reader *in, struct pd_entry_head *head) {
  uint64_t shard, log, time;
  struct reader prev;
  if (!get_tagged(in, TAG_SHARD, &shard) || shard > UINT32_MAX) return false;
  if (!get_tagged(in, TAG_LOG, &log) || log == 0 || log >= PD_LOGS) return false;
  if (!get_tagged(in, TAG_EPOCH, &head->epoch) || !get_tagged(in, TAG_FIRST, &head->first_seq))
    return false;
  if (!get_tagged(in, TAG_LAST, &head->last_seq) || !get_tagged(in, TAG_TIME, &time)) return false;
  if (!get_block(in, TAG_PREV, &prev) || prev.end - prev.at != PD_HASH_BYTES) return false;
  memcpy(head->prev.bytes, prev.at, PD_HASH_BYTES);
  head->shard = (uint32_t)shard;
  head->log = (enum pd_log)log;
  head->time_ms = (int64_t)time;
  return head->first_seq > 0 && head->first_seq <= head->last_seq;
}

static bool get_mark(struct reader mark, struct pd_entry_item *found) {
  uint64_t log;
  if (!get_tagged(&mark, TAG_MARK_LOG, &log) || log == 0 || log >= PD_LOGS) return false;
  if (!get_tagged(&mark, TAG_MARK_UPTO, &found->upto) || mark.at != mark.end) return false;
  found->log = (enum pd_log)log;
  return true;
}

static bool get_item(struct reader *in, struct pd_entry_item *found) {
  struct reader outer, inner;
  *found = (struct pd_entry_item){.log = PD_LOG_UNSPECIFIED};
  if (!get_block(in, TAG_ITEM, &outer) || outer.at == outer.end) return false;
  if (*outer.at == TAG_ITEM_MARK)
    return get_block(&outer, TAG_ITEM_MARK, &inner) && outer.at == outer.end &&
           get_mark(inner, found);
  if (!get_block(&outer, TAG_ITEM_EVENT, &inner) || outer.at != outer.end) return false;
  found->event = inner.at;
  found->size = (size_t)(inner.end - inner.at);
  return found->size <= PD_EVENT_MAX;
}

enum pd_err pd_entry_open(const uint8_t *bytes, size_t size, struct pd_entry_view *view) {
  if (size > PD_ENTRY_MAX) return PD_EBOUNDS;
  struct reader in = {bytes, bytes + size};
  *view = (struct pd_entry_view){0};
  if (!get_head(&in, &view->head)) return PD_EFORMAT;
  view->items = in.at;
  view->size = (size_t)(in.end - in.at);
  struct pd_entry_item found;
  while (in.at < in.end) {
    if (!get_item(&in, &found)) return PD_EFORMAT;
    if (found.log == PD_LOG_UNSPECIFIED) view->events++;
  }
  return view->events == view->head.last_seq - view->head.first_seq + 1 ? PD_OK : PD_EFORMAT;
}

bool pd_entry_next(const struct pd_entry_view *view, size_t *at, struct pd_entry_item *found) {
  struct reader in = {view->items + *at, view->items + view->size};
  if (in.at == in.end) return false;
  bool good = get_item(&in, found);
  pd_assert(good); /* pd_entry_open has walked the same bytes */
  *at = (size_t)(in.at - view->items);
  return true;
}
