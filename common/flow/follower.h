/* follower - the order of another log's entries: what is next, what is old, what is missing.
 *
 *     offered entry:   NEXT    its events continue (or overlap) what was consumed: take those from
 * `next` on OLD     all of it was consumed before GAP     something before it is missing: read the
 * log from `next` CORRUPT the hash or the chain does not hold: read the log instead, and say so
 *
 * Pure: no I/O; the shell and the simulator feed it.
 */
#ifndef PD_FLOW_FOLLOWER_H
#define PD_FLOW_FOLLOWER_H

#include "common/wire/entry.h"

struct pd_follower {
  uint64_t next;       /* first seq not consumed yet; at least 1 */
  uint64_t tail;       /* highest seq known to exist */
  struct pd_hash last; /* of the entry that ends at next - 1, if chained */
  bool chained;
  uint64_t epoch; /* of the last entry taken */
};

enum pd_follow { PD_FOLLOW_NEXT, PD_FOLLOW_OLD, PD_FOLLOW_GAP, PD_FOLLOW_CORRUPT };

/* Start with this seq as the next one. */
void pd_follower_init(struct pd_follower *follower, uint64_t next);

/* Judge an entry by its opened head, its bytes and the hash that came with it.  Changes nothing but
 * `tail`. */
enum pd_follow pd_follower_judge(struct pd_follower *follower, const struct pd_entry_view *view,
                                 const uint8_t *bytes, size_t size, const struct pd_hash *hash);

/* Events up to seq were consumed. */
void pd_follower_consumed(struct pd_follower *follower, uint64_t seq);

/* The whole entry was consumed: its hash is what the next one must name. */
void pd_follower_finished(struct pd_follower *follower, const struct pd_entry_view *view,
                          const struct pd_hash *hash);

/* A heartbeat said that the log ends at this seq.  True if events are missing. */
bool pd_follower_tip(struct pd_follower *follower, uint64_t last_seq);

/* The log was read to its end: nothing from `next` on exists. */
void pd_follower_ends(struct pd_follower *follower);

#endif
