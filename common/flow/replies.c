#include "common/flow/replies.h"

#include "common/base/err.h"

#include <string.h>

#define HEAD sizeof(struct pd_waiting_reply)

void pd_replies_init(struct pd_replies *replies, uint8_t *memory, size_t size) {
  pd_assert(size >= 4 * (PD_REPLY_MAX + HEAD));
  *replies = (struct pd_replies){.bytes = memory, .size = size};
}

bool pd_replies_open(const struct pd_replies *replies) {
  return replies->size - replies->used >= 2 * (PD_REPLY_MAX + HEAD);
}

uint8_t *pd_replies_push(struct pd_replies *replies, uint64_t after_seq, uint64_t token,
                         size_t size) {
  pd_assert(size <= PD_REPLY_MAX && pd_replies_open(replies));
  size_t need = HEAD + ((size + 7) & ~(size_t)7);
  size_t at = (replies->head + replies->used) % replies->size;
  size_t pad = at + need > replies->size ? replies->size - at : 0;
  if (pad >= HEAD) { /* tell the reader to go on at the front */
    struct pd_waiting_reply skip = {.pad = (uint32_t)pad};
    memcpy(replies->bytes + at, &skip, HEAD);
  }
  if (pad > 0) at = 0;
  struct pd_waiting_reply reply = {.after_seq = after_seq, .token = token, .size = (uint32_t)size};
  memcpy(replies->bytes + at, &reply, HEAD);
  replies->used += pad + need;
  return replies->bytes + at + HEAD;
}

/* The head's record, after stepping over a pad at the ring's end. */
static struct pd_waiting_reply oldest(const struct pd_replies *replies, size_t *at,
                                      size_t *skipped) {
  struct pd_waiting_reply reply = {.pad = 1};
  *at = replies->head;
  *skipped = 0;
  if (replies->size - *at >= HEAD) memcpy(&reply, replies->bytes + *at, HEAD);
  if (reply.pad == 0) return reply;
  *skipped = replies->size - *at;
  *at = 0;
  memcpy(&reply, replies->bytes, HEAD);
  return reply;
}

const uint8_t *pd_replies_peek(const struct pd_replies *replies, uint64_t committed,
                               uint64_t *token, size_t *size) {
  if (replies->used == 0) return NULL;
  size_t at, skipped;
  struct pd_waiting_reply reply = oldest(replies, &at, &skipped);
  if (reply.after_seq > committed) return NULL;
  *token = reply.token;
  *size = reply.size;
  return replies->bytes + at + HEAD;
}

void pd_replies_pop(struct pd_replies *replies) {
  pd_assert(replies->used > 0);
  size_t at, skipped;
  struct pd_waiting_reply reply = oldest(replies, &at, &skipped);
  size_t size = HEAD + (((size_t)reply.size + 7) & ~(size_t)7);
  replies->head = (at + size) % replies->size;
  replies->used -= skipped + size;
}
