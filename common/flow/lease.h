/* lease - when one instance of a daemon may lead a log, as far as it knows itself.
 *
 * A lease is a key in the store that is gone when its holder has not renewed it for a while.  It
 * says only when to try: what keeps a stale leader from writing is the fence (writer.h), what keeps
 * it from answering is that its own clock ends its lease before the store's does.
 *
 *     wants      due() says TAKE: nobody holds it, or we do not know; or WAIT: say that we are
 *                here, and learn who holds it
 *     holds      due() says TAKE again, in time: a renewal
 *     crowded    somebody waits who holds fewer: rest, and let it go
 *
 * An instance that holds leases of other shards lets the others take a free one first, for a
 * moment that grows with their number: so shards spread over the instances.
 *
 * All times are of one steady clock of this machine, in milliseconds; the wall clock may jump as it
 * likes.  Pure: shell and simulator ask the store, and say what it answered.
 */
#ifndef PD_FLOW_LEASE_H
#define PD_FLOW_LEASE_H

#include "common/base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define PD_LEASE_TTL_MS    1200 /* in the store, from the last renewal */
#define PD_LEASE_MARGIN_MS 200  /* our own clock ends it so much earlier, from the asking */
#define PD_LEASE_RENEW_MS  300
#define PD_LEASE_ASK_MS    100 /* of one that waits */
#define PD_LEASE_POLITE_MS 150 /* for each lease that we hold already */
#define PD_LEASE_PAUSE_MS  1000 /* after we have let it go for somebody else */

/* What to ask the store. */
enum pd_lease_ask {
  PD_LEASE_NOTHING,
  PD_LEASE_TAKE, /* take it if it is free, renew it if it is ours */
  PD_LEASE_WAIT, /* say that we wait, but do not take it */
  PD_LEASE_LOOK, /* who holds it? */
  PD_LEASE_FREE  /* it is ours no more */
};

enum pd_lease_found {
  PD_LEASE_FAILED, /* no answer, or one that is not understood */
  PD_LEASE_HELD,   /* by us */
  PD_LEASE_OTHER,  /* by somebody else */
  PD_LEASE_NOBODY
};

struct pd_lease_answer {
  enum pd_lease_found found;
  uint32_t left_ms;       /* OTHER: until it ends, if it is not renewed */
  bool waited;            /* HELD: somebody waits for it ... */
  uint32_t waiting_holds; /* ... who holds so many */
};

struct pd_lease {
  int64_t until_ms; /* ours until then; 0: not ours */
  int64_t asked_ms; /* of the question under way */
  int64_t next_ms;  /* no question before */
  int64_t free_ms;  /* seen free since then; 0: not */
  bool asked;       /* a question is under way ... */
  bool taking;      /* ... and it was TAKE */
  bool forgotten;   /* its answer is about what we have let go */
  bool waited;      /* the last renewal found somebody waiting ... */
  uint32_t waiting_holds;
};

/* Nothing is held and nothing is known. */
void pd_lease_init(struct pd_lease *lease);

/* What to ask now: called every now and then, at least each PD_LEASE_ASK_MS.  wants: we are able to
 * lead.  others: leases that this instance holds beside this one.  What it says must be asked, and
 * pd_lease_answer() called for it once. */
enum pd_lease_ask pd_lease_due(struct pd_lease *lease, bool wants, uint32_t others, int64_t now_ms);

/* The answer to the last question. */
void pd_lease_answer(struct pd_lease *lease, const struct pd_lease_answer *answer, int64_t now_ms);

/* May we act as its holder at this moment?  Look at the clock itself, not at a time remembered. */
bool pd_lease_holds(const struct pd_lease *lease, int64_t now_ms);

/* Does somebody wait who would hold fewer than we do, even after we let this one go?  others as
 * above. */
bool pd_lease_crowded(const struct pd_lease *lease, uint32_t others);

/* Let it go; the store is to be told PD_LEASE_FREE.  pause: ask for it again only after
 * PD_LEASE_PAUSE_MS, so that somebody else has it. */
void pd_lease_drop(struct pd_lease *lease, bool pause, int64_t now_ms);

#endif
