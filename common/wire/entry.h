/* entry - the bytes of a log's entries: packed once, hashed, verified, walked (see
 * proto/paidan/v1/entry.proto).
 *
 * An entry is written into a buffer that the caller owns.  The items are packed as they happen; the
 * header, whose last fields are known only at the end, is then written in front of them.  Reading
 * is strict: header fields once and in order, then items; anything else is PD_EFORMAT.
 */
#ifndef PD_WIRE_ENTRY_H
#define PD_WIRE_ENTRY_H

#include "common/base/err.h"
#include "common/wire/core.h"

#define PD_HASH_BYTES 32
#define PD_LOGS 6                       /* log numbers are below this */
#define PD_ENTRY_MAX (16u << 20)        /* bytes of one entry that anybody accepts */
#define PD_ENTRY_HEAD 128               /* room kept in front of the items */
#define PD_EVENT_MAX (64u << 10)        /* bytes of one event */

/* "intake", "matching" …; "unknown" for anything else.  Never NULL. */
const char *pd_log_name(unsigned log);

/* The number of a log's name; PD_LOG_UNSPECIFIED if there is none of that name. */
enum pd_log pd_log_named(const char *name);

/* May this log hold an event of this kind (a field number of Event's body)?  By the blocks of
 * event.proto, one for each daemon; a number in none of them may stand anywhere. */
bool pd_log_says(enum pd_log log, uint32_t kind);

struct pd_hash {
  uint8_t bytes[PD_HASH_BYTES];
};

/* SHA-256 of the bytes: every language of an integrator has it, and processors have instructions
 * for it. */
struct pd_hash pd_hash_of(const void *bytes, size_t size);
bool pd_hash_equal(const struct pd_hash *a, const struct pd_hash *b);

/* What stands in front of the items. */
struct pd_entry_head {
  uint32_t shard;
  enum pd_log log;
  uint64_t epoch;
  uint64_t first_seq;
  uint64_t last_seq;
  int64_t time_ms;
  struct pd_hash prev;
};

/* An entry in the making. */
struct pd_packer {
  uint8_t *memory; /* PD_ENTRY_HEAD bytes for the header, then the items */
  size_t size;
  size_t used;     /* end of the items; PD_ENTRY_HEAD when there are none */
  uint32_t events;
  uint32_t items;
};

/* A finished entry: bytes inside the packer's memory. */
struct pd_packed {
  const uint8_t *bytes;
  size_t size;
  struct pd_entry_head head;
  struct pd_hash hash;
};

/* Start an entry in memory of the given size (more than PD_ENTRY_HEAD). */
void pd_packer_init(struct pd_packer *packer, uint8_t *memory, size_t size);

/* Append an item.  Asserts that it fits: callers stop at a soft limit far below the size. */
void pd_pack_mark(struct pd_packer *packer, enum pd_log log, uint64_t upto);
void pd_pack_event(struct pd_packer *packer, const struct pd_event *event);

/* Write the header and hash the whole.  The packer's memory must stay as it is while `packed` is in
 * use. */
void pd_pack_end(struct pd_packer *packer, const struct pd_entry_head *head,
                 struct pd_packed *packed);

/* Read the header and check every item's frame; items point into bytes.  PD_EFORMAT, or PD_EBOUNDS
 * when it is too long. */
struct pd_entry_view {
  struct pd_entry_head head;
  const uint8_t *items;
  size_t size;
  uint32_t events;
};
enum pd_err pd_entry_open(const uint8_t *bytes, size_t size,
                          struct pd_entry_view *view) PD_MUST_USE;

/* One item; event bytes point into the entry. */
struct pd_entry_item {
  enum pd_log log; /* of a mark; PD_LOG_UNSPECIFIED for an event */
  uint64_t upto;
  const uint8_t *event;
  size_t size;
};

/* The next item of an opened entry: *at starts at 0; false at the end. */
bool pd_entry_next(const struct pd_entry_view *view, size_t *at, struct pd_entry_item *found);

/* Unpack an event into an arena; NULL when it is malformed or does not fit.  body_case is
 * PD_EVENT_NOT_SET for a kind that this program does not know. */
struct pd_event *pd_event_unpack(struct pd_arena *arena, const uint8_t *bytes, size_t size);

/* What an event says of itself, read without unpacking it; kind is the field number of its body, 0
 * if it has none.  False: it is malformed. */
struct pd_event_label {
  uint64_t seq;
  uint32_t log;
  uint32_t shard;
  uint32_t kind;
};
bool pd_event_label(const uint8_t *bytes, size_t size, struct pd_event_label *label);

/* Unpack any message of the contract from outside into an arena: bounded by the arena, nesting
 * bounded by the contract (it has no recursive message), every string checked as UTF-8 without
 * control characters.  NULL if anything is wrong. */
ProtobufCMessage *pd_unpack_checked(struct pd_arena *arena, const ProtobufCMessageDescriptor *type,
                                    const uint8_t *bytes, size_t size);

/* What is wrong with bytes that are no such message.  All in the contract's words: nothing of the
 * bytes is repeated. */
struct pd_flaw {
  char field[64];   /* path of names, "place_order.note", cut if longer; "" if none is to blame */
  const char *rule; /* what should be there; a literal */
};

/* The same; if it is NULL, flaw says why. */
ProtobufCMessage *pd_unpack_named(struct pd_arena *arena, const ProtobufCMessageDescriptor *type,
                                  const uint8_t *bytes, size_t size, struct pd_flaw *flaw);

/* The number in a field of the outermost message (the last, if there are several), as far as the
 * bytes can be read; 0 if there is none: to answer what cannot be unpacked. */
uint64_t pd_peek_number(const uint8_t *bytes, size_t size, uint32_t field);

#endif
