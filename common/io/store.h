/* store - a shard's logs in Redis: streams of packed entries, committed by the Function library
 * `paidan`.
 *
 * The log NAME of shard 370302 is the stream `{370302}:log:NAME`; one stream entry, with id
 * `<last_seq>-0`, has the fields e (the bytes), h (their hash) and p (the epoch).
 * `{370302}:tip:NAME` repeats the tail (s, h, e), which makes a commit's check O(1).  paidan.lua,
 * beside this file, is the other half of this page.
 *
 * Invariants:
 *     - a commit is all or nothing: one XADD after every check, nothing after it;
 *     - every callback is called exactly once, those of one kind in the order of the calls;
 *     - UNKNOWN means just that: the entry may be there or not; read the tail.
 *
 * Entries are handed out as they are stored: whoever reads them checks hash and chain
 * (common/flow).
 */
#ifndef PD_IO_STORE_H
#define PD_IO_STORE_H

#include "common/flow/lease.h"
#include "common/flow/writer.h"
#include "common/io/redis.h"

#include <stdint.h>

#define PD_HASH_SIZE PD_HASH_BYTES
#define PD_STORE_LIBRARY "2" /* version of paidan.lua that this code goes with */

struct pd_store;

/* One entry to be committed.  bytes need to live only until pd_store_commit() returns. */
struct pd_commit {
  uint64_t epoch;
  uint64_t first_seq;
  uint64_t last_seq;
  uint8_t prev_hash[PD_HASH_SIZE];
  uint8_t hash[PD_HASH_SIZE];
  const uint8_t *bytes;
  size_t size;
};

/* The end of a log; all zero if the log is empty. */
struct pd_tail {
  uint64_t last_seq;
  uint64_t epoch;
  uint8_t hash[PD_HASH_SIZE];
};

/* What came of a commit (enum pd_commit_reply stands in common/flow/writer.h).  tail is set when
 * FENCED; why, a phrase, when REFUSED; else they are NULL. */
struct pd_committed {
  enum pd_commit_reply reply;
  const struct pd_tail *tail;
  const char *why;
};

/* An entry as stored.  bytes and hash live as long as the callback or the page. */
struct pd_stored {
  uint64_t last_seq;
  uint64_t epoch;
  const uint8_t *bytes;
  size_t size;
  const uint8_t *hash; /* PD_HASH_SIZE bytes */
};

typedef void pd_commit_fn(void *context, const struct pd_committed *committed);
/* err: PD_OK; PD_EDOWN the connection broke; PD_EIO an error reply; PD_EFORMAT not what the library
 * answers. */
typedef void pd_tail_fn(void *context, enum pd_err err, const struct pd_tail *tail);
typedef void pd_read_fn(void *context, enum pd_err err, const struct pd_stored *entries,
                        size_t count);
/* Up: connected and the library's version is right; a why that is not "" says what is held back.
 * Down: why is a phrase for /readyz. */
typedef void pd_store_state_fn(void *context, bool up, const char *why);

/* Begin to connect.  shard: the 6-digit adcode.  state may be NULL.  PD_EINVAL: the url is not
 * understood. */
PD_MUST_USE enum pd_err pd_store_open(struct pd_store **store, uv_loop_t *loop,
                                      const struct pd_redis_options *options, uint32_t shard,
                                      pd_store_state_fn *state, void *context);

/* Pending callbacks are called (UNKNOWN, PD_EDOWN), then none.  NULL-safe.  The loop must run on to
 * release it. */
void pd_store_close(struct pd_store *store);

/* Where pd_store_read() goes on when a log's stream begins after what is wanted; dir as in
 * archive.h.  PD_EBOUNDS: too long. */
PD_MUST_USE enum pd_err pd_store_archive(struct pd_store *store, const char *dir);

/* From here on commits, tails and reads count, and are told, once so many replicas have what they
 * rest on (common/flow/replicas.h); they are asked again every timeout_ms (10 .. 4000), which
 * blocks the connection.  Fewer than that is said to the state callback.  Call it right after
 * opening. */
void pd_store_replicas(struct pd_store *store, uint32_t replicas, uint32_t timeout_ms);

/* Up, as the state callback said. */
bool pd_store_is_up(const struct pd_store *store);

/* In all calls below: log is its name ("intake"), at most 32 letters; PD_EDOWN means the store is
 * down and the callback will not be called. */

/* Commit one entry.  The bytes are copied at once.  PD_EBOUNDS: over PD_ENTRY_MAX, or empty. */
PD_MUST_USE enum pd_err pd_store_commit(struct pd_store *store, const char *log,
                                        const struct pd_commit *commit, pd_commit_fn *done,
                                        void *context);

/* The end of the stream (never of the tip hash).  PD_OK with zeros: the log is empty. */
PD_MUST_USE enum pd_err pd_store_tail(struct pd_store *store, const char *log, pd_tail_fn *done,
                                      void *context);

/* The same, and the tip is made to agree with the stream: for a leader, before its first commit. */
PD_MUST_USE enum pd_err pd_store_boot(struct pd_store *store, const char *log, pd_tail_fn *done,
                                      void *context);

/* Entries in order from the one that holds from_seq (1 ..), at most max_entries (1 .. 100000).
 * None: PD_OK, count 0.  If the stream was trimmed beyond from_seq, they come from the archive; if
 * that does not have it, the first entry handed out begins after from_seq: the reader must look.
 * Besides the errors of pd_read_fn: PD_ECORRUPT, the archive is damaged there. */
PD_MUST_USE enum pd_err pd_store_read(struct pd_store *store, const char *log, uint64_t from_seq,
                                      uint32_t max_entries, pd_read_fn *done, void *context);

/* Who holds the lease of a log (common/flow/lease.h): the key `{370302}:lease:NAME`. */
#define PD_HOLDER_NAME 32
#define PD_HOLDER_ENDPOINT 128
struct pd_holder {
  char name[PD_HOLDER_NAME]; /* of the instance; "": nobody */
  char endpoint[PD_HOLDER_ENDPOINT];
  uint64_t epoch; /* in which it wrote when it renewed the lease last */
  uint32_t left_ms;
  uint32_t zero;
};

/* answer.found is FAILED when the connection broke, the store refused, or said what we do not
 * understand.  holder is set when it is OTHER. */
typedef void pd_lease_fn(void *context, const struct pd_lease_answer *answer,
                         const struct pd_holder *holder);

/* What pd_lease_due() said to ask, on behalf of the instance `self`, which holds so many other
 * leases.  Not NOTHING. */
PD_MUST_USE enum pd_err pd_store_lease(struct pd_store *store, const char *log,
                                       enum pd_lease_ask ask, const struct pd_holder *self,
                                       uint32_t holds, pd_lease_fn *done, void *context);

/* The holders of the shard's logs, by the number of the log; PD_LOGS of them. */
typedef void pd_leases_fn(void *context, enum pd_err err, const struct pd_holder *holders);
PD_MUST_USE enum pd_err pd_store_leases(struct pd_store *store, pd_leases_fn *done, void *context);

/* Blocking twins, with a connection of their own, for tools and tests. */
struct pd_store_now;

/* PD_EDOWN: no server; why (of why_size bytes, may be NULL) says more. */
PD_MUST_USE enum pd_err pd_store_now_open(struct pd_store_now **store,
                                          const struct pd_redis_options *options, uint32_t shard,
                                          char *why, size_t why_size);
void pd_store_now_close(struct pd_store_now *store); /* NULL-safe */

/* As pd_store_archive(), for pd_store_read_now(). */
PD_MUST_USE enum pd_err pd_store_archive_now(struct pd_store_now *store, const char *dir);

/* FUNCTION LOAD REPLACE of paidan.lua, in a cluster at every master that has slots: for deployment
 * only.  why is a phrase that lives until the next call. */
PD_MUST_USE enum pd_err pd_store_load_library(struct pd_store_now *store, const char **why);

/* PD_OK if the server's library has our version; PD_ENOENT if it has none; PD_EOLD if it has
 * another. */
PD_MUST_USE enum pd_err pd_store_check_library(struct pd_store_now *store);

/* As pd_store_tail; PD_EDOWN, PD_EIO and PD_EFORMAT as its callback has them. */
PD_MUST_USE enum pd_err pd_store_tail_now(struct pd_store_now *store, const char *log,
                                          struct pd_tail *tail);
/* As pd_store_boot. */
PD_MUST_USE enum pd_err pd_store_boot_now(struct pd_store_now *store, const char *log,
                                          struct pd_tail *tail);

/* As pd_store_leases(), into holders, which has room for PD_LOGS. */
PD_MUST_USE enum pd_err pd_store_leases_now(struct pd_store_now *store, struct pd_holder *holders);

/* *why (may be NULL) is set when REFUSED, and lives until the next call. */
PD_MUST_USE enum pd_commit_reply pd_store_commit_now(struct pd_store_now *store, const char *log,
                                                     const struct pd_commit *commit,
                                                     const char **why);

/* Some entries, and what holds their bytes. */
struct pd_store_page {
  struct pd_stored *entries;
  size_t count;
  redisReply *reply;
  uint8_t *memory; /* when they come from the archive */
};
PD_MUST_USE enum pd_err pd_store_read_now(struct pd_store_now *store, const char *log,
                                          uint64_t from_seq, uint32_t max_entries,
                                          struct pd_store_page *page);
void pd_store_page_free(struct pd_store_page *page); /* leaves it empty; harmless on an empty one */

/* Remove whole entries whose last_seq is below keep_from_seq; the last entry always stays.  Only
 * behind snapshots. */
PD_MUST_USE enum pd_err pd_store_trim_now(struct pd_store_now *store, const char *log,
                                          uint64_t keep_from_seq);

#endif
