/* verify - what the logs must hold, checked from the events alone.
 *
 *     chain    hashes, sequence numbers, epochs, times, marks        (verify_chain.c)
 *     facts    P4: a slot is won once, nobody is booked twice for overlapping times
 *              P5: postings sum to zero, once for each (order, slot), no person below zero, each
 * from a confirmed service life: each order's events in an order that is allowed, closed once,
 * nothing after  (verify_facts.c) journal  P1: what clients were acknowledged is in the logs
 * (verify.c)
 *
 * Written apart from the cores on purpose: it shares nothing with them but the contract.
 */
#ifndef PAIDAN_VERIFY_H
#define PAIDAN_VERIFY_H

#include "services/paidan/cursor.h"
#include "services/paidan/ids.h"

/* Who hears of a fault: log and seq of the event (or the entry's last) that shows it. */
struct verify_sink {
  void *context;
  void (*fault)(void *context, enum pd_log log, uint64_t seq, const char *what);
};

/* Say a fault with a formatted text. */
void verify_fault(const struct verify_sink *sink, enum pd_log log, uint64_t seq, const char *format,
                  ...) __attribute__((format(printf, 4, 5)));

/* ---- the chain of one log ---- */

struct verify_chain {
  const struct verify_sink *sink;
  enum pd_log log;
  uint32_t shard;
  uint64_t entries;
  uint64_t events;
  uint64_t last_seq;
  uint64_t epoch;
  int64_t time_ms;
  struct pd_hash hash;        /* of the entry before */
  uint64_t upto[PD_LOGS];     /* marks */
  uint64_t mark_seq[PD_LOGS]; /* where the last mark of each log stands */
  uint64_t last_of_kind[PD_EVENT_KINDS];
};

/* Before the first entry of a log; faults go to the sink, which must outlive the chain. */
void verify_chain_init(struct verify_chain *chain, const struct verify_sink *sink, enum pd_log log,
                       uint32_t shard);

/* One entry that could be opened, as it is stored. */
void verify_chain_entry(struct verify_chain *chain, const struct pd_stored *stored,
                        const struct pd_entry_view *view);

/* One event of that entry, in order. */
void verify_chain_event(struct verify_chain *chain, uint64_t seq, const struct pd_event *event);

/* After the walk: no mark goes beyond the end of the log it names. */
void verify_chain_end(const struct verify_chain *chain, const uint64_t tails[PD_LOGS]);

/* ---- the facts ---- */

struct verify_facts; /* everything that is remembered between events */

/* Nothing is known yet.  Ends the program when there is no memory. */
struct verify_facts *verify_facts_new(const struct verify_sink *sink);
void verify_facts_free(struct verify_facts *facts); /* NULL-safe */

/* An event of matching's log, in its order; order_closed of intake's as matching consumed it.  P4.
 */
void verify_booking(struct verify_facts *facts, const struct pd_event *event);

/* An event of intake's log, in its order. */
void verify_life(struct verify_facts *facts, const struct pd_event *event);

/* An event of the merge of all logs.  P5. */
void verify_ledger(struct verify_facts *facts, const struct pd_event *event);

/* After the walk: the ledger as a whole.  sums: of all accounts, by unit. */
void verify_ledger_end(const struct verify_facts *facts, int64_t sums[3]);

/* Orders that are not closed, and all that were placed. */
uint64_t verify_orders_open(const struct verify_facts *facts);
uint64_t verify_orders(const struct verify_facts *facts);

#endif
