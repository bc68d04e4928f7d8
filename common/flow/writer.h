/* writer - the commit window of one log: what is in flight, what is known, and whether we still
 * lead.
 *
 *     READY: any reply but ok or dup leads to DOUBT, and so does a new connection
 *     DOUBT: when all replies are in, the tail is read; then
 *            READY again, resending from the first absent entry, or FENCED by a foreign tail;
 *            a tail that lacks what was committed leaves it in DOUBT: the store has lost it
 *
 * At most `depth` entries are in flight, in order.  An unknown outcome is resolved by the log's
 * tail: our last committed entry or one of those in flight means we still lead; anything else is
 * another leader's (reliability: commit rule 3).
 */
#ifndef PD_FLOW_WRITER_H
#define PD_FLOW_WRITER_H

#include "common/wire/entry.h"

#define PD_WRITER_DEPTH 2
#define PD_WRITER_SLOTS (PD_WRITER_DEPTH + 1) /* one more is being packed */

enum pd_commit_reply {
  PD_COMMIT_OK,      /* durable */
  PD_COMMIT_DUP,     /* was there already, the same bytes */
  PD_COMMIT_FENCED,  /* the log's tail is not what we build on */
  PD_COMMIT_REFUSED, /* the server refused: memory, disk, rights */
  PD_COMMIT_UNKNOWN  /* the connection broke before the reply */
};

enum pd_writer_state { PD_WRITER_READY, PD_WRITER_DOUBT, PD_WRITER_FENCED };

struct pd_writer {
  enum pd_writer_state state;
  uint32_t depth; /* 1 .. PD_WRITER_DEPTH */
  struct pd_packed slots[PD_WRITER_SLOTS];
  uint32_t head;       /* oldest slot not committed */
  uint32_t count;      /* pushed, not committed */
  uint32_t sent;       /* of those, sent to the store */
  uint32_t waiting;    /* replies still to come */
  uint64_t seq;        /* last committed */
  struct pd_hash hash; /* of the last committed entry; zeros for an empty log */
  uint64_t epoch;      /* of what we write */
  bool lost;           /* the tail that was read last lacks what was committed */
};

/* Lead a log whose tail is (seq, hash, epoch): we write with epoch + 1. */
void pd_writer_init(struct pd_writer *writer, uint64_t seq, const struct pd_hash *hash,
                    uint64_t epoch);

/* May another entry be pushed? */
bool pd_writer_open(const struct pd_writer *writer);

/* Queue a packed entry; its bytes must stay until it is committed. */
void pd_writer_push(struct pd_writer *writer, const struct pd_packed *packed);

/* What the next entry builds on: hash of the last one pushed, or of the tail. */
const struct pd_hash *pd_writer_base(const struct pd_writer *writer);

/* The next entry to send, or NULL.  The caller sends it. */
const struct pd_packed *pd_writer_send(struct pd_writer *writer);

/* The reply to the oldest unanswered entry.  Returns how many entries became committed (0 or 1). */
uint32_t pd_writer_reply(struct pd_writer *writer, enum pd_commit_reply reply);

/* The store may be another one from here on: nothing is sent until its tail was read. */
void pd_writer_doubt(struct pd_writer *writer);

/* In DOUBT with no reply to come: read the tail and give it to pd_writer_tail. */
bool pd_writer_wants_tail(const struct pd_writer *writer);

/* The log's tail.  Returns how many entries it shows to be committed; then READY again, or FENCED;
 * or still in DOUBT and `lost`: nothing may be built on such a log. */
uint32_t pd_writer_tail(struct pd_writer *writer, uint64_t seq, const struct pd_hash *hash);

#endif
