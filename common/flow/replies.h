/* replies - answers that wait for a commit.
 *
 * A first-in first-out ring of packed replies.  Each names the last event that was applied when it
 * was formed, and may leave when that event is committed, not before.
 */
#ifndef PD_FLOW_REPLIES_H
#define PD_FLOW_REPLIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pd_waiting_reply {
  uint64_t after_seq;
  uint64_t token; /* whom to answer; the door's own number */
  uint32_t size;
  uint32_t pad; /* bytes skipped in front of this one, because a reply is never split */
};

struct pd_replies {
  uint8_t *bytes;
  size_t size;
  size_t head; /* of the oldest */
  size_t used;
};

/* Memory of the ring; at least a few times PD_REPLY_MAX. */
void pd_replies_init(struct pd_replies *replies, uint8_t *memory, size_t size);

#define PD_REPLY_MAX 4096

/* Is there room for one more of the largest? */
bool pd_replies_open(const struct pd_replies *replies);

/* Room for a reply of size bytes (at most PD_REPLY_MAX); the caller fills it at once. */
uint8_t *pd_replies_push(struct pd_replies *replies, uint64_t after_seq, uint64_t token,
                         size_t size);

/* The oldest reply, if the log is committed up to what it waits for: its bytes, valid until
 * pd_replies_pop; else NULL. */
const uint8_t *pd_replies_peek(const struct pd_replies *replies, uint64_t committed,
                               uint64_t *token, size_t *size);
void pd_replies_pop(struct pd_replies *replies);

#endif
