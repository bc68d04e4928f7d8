/* replicas - when an answer of the store counts, if replicas must have what it rests on.
 *
 * A store that fails over to a replica has lost whatever that replica did not have.  So with
 * want > 0 no answer counts before the store was asked (WAIT) how many replicas have everything up
 * to it, and enough of them do:
 *
 *     commit   ok or dup -> WAIT -> counts
 *     tail     after doubt and at boot; the store writes it anew -> WAIT -> counts
 *     read     the log's tail -> WAIT -> entries up to that tail
 *
 * A reader needs it too: an entry that its writer does not count yet can be read, decided upon, and
 * be lost.  WAIT is answered for all that was done before the connection's last command, whoever
 * did it.
 */
#ifndef PD_FLOW_REPLICAS_H
#define PD_FLOW_REPLICAS_H

#include "common/flow/writer.h"

/* What an answer to WAIT means.  have: so many replicas, negative when the connection broke. */
enum pd_replicas_verdict {
  PD_REPLICAS_ENOUGH,
  PD_REPLICAS_SHORT, /* withhold, and WAIT again */
  PD_REPLICAS_BROKEN /* the outcome is not known */
};
enum pd_replicas_verdict pd_replicas_judge(uint32_t want, int have);

/* Must a commit with this reply be waited for? */
bool pd_replicas_hold_commit(uint32_t want, enum pd_commit_reply reply);

/* And a log's tail?  An empty log has nothing to lose. */
bool pd_replicas_hold_tail(uint32_t want, uint64_t tail_seq);

/* Must a reader ask for the tail, before it reads what begins at from?  safe: the last tail that
 * counted since the connection was made. */
bool pd_replicas_hold_read(uint32_t want, uint64_t safe, uint64_t from);

/* The last seq that a reader may be handed. */
uint64_t pd_replicas_limit(uint32_t want, uint64_t safe);

#endif
