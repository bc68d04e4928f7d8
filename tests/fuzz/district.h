/* district - all five cores with their real turns in one process, over logs in memory.
 *
 * Everything that is committed is heard by everybody who follows that log; messages are delivered
 * at once; time moves only when told.  After each step every core's own `check` runs, and at the
 * end each daemon is rebuilt from the logs alone: its image and position must be the same to the
 * byte.  A fault is an abort.
 */
#ifndef PD_TESTS_FUZZ_DISTRICT_H
#define PD_TESTS_FUZZ_DISTRICT_H

#include "common/flow/turn.h"

/* Small enough that a short input fills every table. */
extern const struct pd_limits fuzz_limits;

/* The core of a log. */
const struct pd_core *fuzz_core(enum pd_log log);

/* A log in memory: entries one after the other. */
struct fuzz_entry {
  uint8_t *bytes; /* owned */
  size_t size;
  struct pd_hash hash;
  uint64_t first_seq;
  uint64_t last_seq;
};
struct fuzz_log {
  struct fuzz_entry *entries;
  size_t count;
  size_t room;
};

/* Append a copy of an entry whose head can be read. */
void fuzz_log_add(struct fuzz_log *log, const uint8_t *bytes, size_t size,
                  const struct pd_hash *hash);

/* The entry that holds seq; NULL if there is none. */
const struct fuzz_entry *fuzz_log_find(const struct fuzz_log *log, uint64_t seq);
void fuzz_log_clear(struct fuzz_log *log);

/* One daemon: its turn and the memory under it. */
struct fuzz_daemon {
  struct pd_turn turn;
  uint8_t *memory; /* of the core's state; reserved once */
  size_t dirty;    /* bytes of it to clear before the next use */
  uint8_t *buffers;
};

/* An empty shard, not leading yet; memory is taken at the first call and kept. */
void fuzz_daemon_start(struct fuzz_daemon *daemon, enum pd_log log,
                       const struct pd_turn_hooks *hooks);

/* Rebuild a quiet daemon from these logs (by enum pd_log) in a fresh one, and abort unless both are
 * the same. */
void fuzz_daemon_compare(const struct fuzz_daemon *daemon, struct fuzz_log logs[PD_LOGS]);

/* Start the district: everybody leads.  intake: hooks that hear of intake's turn; NULL: none, or
 * any of them. */
void fuzz_district_start(const struct pd_turn_hooks *intake);

/* Outcomes of the next commits, two bits each from the lowest: 0, 1 ok; 2 unknown, but written;
 * 3 unknown and lost. */
void fuzz_district_faults(uint32_t faults);

/* Let everybody hear, decide and commit until nothing happens any more. */
void fuzz_district_settle(void);

/* Move the clock; then settle. */
void fuzz_district_wait(int64_t ms);

struct pd_turn *fuzz_district_turn(enum pd_log log);

/* Everything was heard by everybody; compare with a replay; free the logs. */
void fuzz_district_end(void);

#endif
