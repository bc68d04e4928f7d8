/* lane - one log driven by the daemons' own code (packer, writer, store) on a private Redis: what
 * several benches measure. */
#ifndef TESTS_BENCH_LANE_H
#define TESTS_BENCH_LANE_H

#include "common/flow/writer.h"
#include "common/io/store.h"
#include "tests/integration/redis_server.h"

#define LANE_SHARD 110105

struct lane {
  struct redis_server server;
  uv_loop_t loop;
  struct pd_store *store;
  struct pd_writer writer;
  uint8_t *memory;
  uint32_t building;
  uint64_t seq, target, in_entry;
  struct pd_event event;
  struct pd_order_placed body;
  uint8_t box[4096];
  uint64_t pack_ns, hash_ns, entries; /* where the time of the packing thread goes */
  void (*committed)(void *context, const struct pd_packed *packed); /* may be NULL */
  void *context;
};

/* Start a Redis (appendfsync always) and make an event of about `size` bytes.  False: it did not
 * start. */
bool lane_open(struct lane *lane, size_t size);

/* Make the event anew, of another size. */
void lane_event(struct lane *lane, size_t size);

/* Commit so many events, at most `window` of them unconfirmed (two entries of half a window each);
 * events a second. */
double lane_run(struct lane *lane, uint64_t events, uint64_t window);

#endif
