/* The store: what common/io/paidan.lua and Redis do with logs, and how that can go wrong.
 *
 * A commit is executed some time after it was sent, in the order of its connection, and is answered
 * later still: then it is on disk (appendfsync always), and so is all that was executed before.  A
 * connection that breaks leaves both open: what was sent may be executed late, or never.
 *
 * Where failovers are among the faults, there is a replica: what is on disk reaches it in the order
 * of execution, some time later.  What counts then is as in common/io/store.c, by the same rules.
 */
#include "tests/sim/sim.h"

#include "common/flow/replicas.h"

#include <string.h>

/* A commit on its way. */
struct op {
  struct sim_entry entry;
  struct pd_hash prev;
  enum pd_log log;
  uint32_t connection;
  uint32_t master;
  enum pd_commit_reply reply;
  uint64_t number; /* all up to this one must be replicated before it counts */
};

uint64_t sim_store_last(const struct sim *sim, enum pd_log log) {
  const struct sim_log *at = &sim->logs[log];
  return at->count == 0 ? 0 : at->entries[at->count - 1].last;
}

const struct sim_entry *sim_store_find(const struct sim *sim, enum pd_log log, uint64_t seq) {
  const struct sim_log *in = &sim->logs[log];
  size_t low = 0, high = in->count;
  while (low < high) {
    size_t mid = (low + high) / 2;
    if (in->entries[mid].last < seq)
      low = mid + 1;
    else
      high = mid;
  }
  return low < in->count ? &in->entries[low] : NULL;
}

enum pd_err sim_store_source(void *context, enum pd_log log, uint64_t from, const uint8_t **bytes,
                             size_t *size, struct pd_hash *hash) {
  const struct sim_entry *found = sim_store_find(context, log, from);
  if (found == NULL) return PD_ENOENT;
  *bytes = found->bytes;
  *size = found->size;
  *hash = found->hash;
  return PD_OK;
}

/* ---- commits ---- */

/* The rules of paidan_commit. */
static enum pd_commit_reply execute(struct sim *sim, const struct op *op) {
  struct sim_log *log = &sim->logs[op->log];
  static const struct sim_entry nothing;
  const struct sim_entry *tip = log->count > 0 ? &log->entries[log->count - 1] : &nothing;
  const struct sim_entry *entry = &op->entry;
  if (tip->last == entry->last && pd_hash_equal(&tip->hash, &entry->hash)) return PD_COMMIT_DUP;
  if (tip->last + 1 != entry->first || !pd_hash_equal(&tip->hash, &op->prev) ||
      entry->epoch < tip->epoch)
    return PD_COMMIT_FENCED;
  if (sim->now_us < sim->refuse_until_us) return PD_COMMIT_REFUSED;
  log->entries = sim_grow(log->entries, log->count, &log->room, sizeof *log->entries);
  log->entries[log->count] = *entry;
  log->entries[log->count++].number = ++sim->executed;
  sim->stats.commits++;
  return PD_COMMIT_OK;
}

static int64_t latency(struct sim *sim) {
  if (sim_on(sim, SIM_SLOW) && sim_odds(&sim->rng, 40))
    return sim_between(&sim->rng, 100, 3000) * SIM_MS;
  return sim_between(&sim->rng, 50, 1500);
}

/* ---- the replica ---- */

static void reach_replica(struct sim *sim, const struct sim_occurrence *now);

/* Most of the time it is a millisecond behind, now and then by seconds. */
static void replicate(struct sim *sim) {
  if (sim->want == 0 || sim->replica_due || sim->on_disk <= sim->replicated) return;
  bool late = !sim->healing && sim_odds(&sim->rng, 60);
  int64_t lag = late ? sim_between(&sim->rng, 1, 8000) * SIM_MS : sim_between(&sim->rng, 100, 3000);
  if (sim->replica_away) lag = sim_between(&sim->rng, 500, 10000) * SIM_MS;
  sim->replica_due = true;
  sim->replica_us = sim->now_us + lag;
  struct sim_occurrence *next = sim_later(sim, lag, reach_replica);
  next->a = sim->on_disk;
  next->life = sim->master;
}

static void reach_replica(struct sim *sim, const struct sim_occurrence *now) {
  if (now->life != sim->master) return; /* that one is the master now */
  sim->replica_due = sim->replica_away = false;
  sim->replicated = now->a;
  if (sim->had < sim->replicated) sim->had = sim->replicated;
  replicate(sim);
}

/* So many replicas have everything up to this number. */
static int have(const struct sim *sim, uint64_t number) {
  return !sim->replica_away && sim->replicated >= number;
}

bool sim_store_replicated(const struct sim *sim) {
  return sim->want == 0 || have(sim, sim->executed);
}

void sim_store_flush(struct sim *sim) {
  for (unsigned log = 1; log < PD_LOGS; log++) sim->logs[log].safe = sim->logs[log].count;
  sim->on_disk = sim->executed;
  replicate(sim);
}

/* Does what was executed up to this number count?  SHORT: ask again. */
static enum pd_replicas_verdict judge(struct sim *sim, uint64_t number) {
  enum pd_replicas_verdict verdict = pd_replicas_judge(sim->want, have(sim, number));
  sim->stats.short_waits += verdict == PD_REPLICAS_SHORT;
  return verdict;
}

/* When the replica has more, for sure: WAIT is asked again until then. */
static void again(struct sim *sim, const struct sim_occurrence *now) {
  int64_t in_us = sim->replica_due ? sim->replica_us - sim->now_us : SIM_MS;
  struct sim_occurrence *next = sim_later(sim, in_us + sim_between(&sim->rng, 50, 500), now->run);
  next->who = now->who;
  next->life = now->life;
  next->data = now->data;
}

/* ---- answers to commits ---- */

static void answer(struct sim *sim, const struct sim_occurrence *now) {
  struct sim_daemon *daemon = &sim->daemons[now->who];
  const struct op *op = now->data;
  if (op->connection != daemon->connection) return; /* nobody is there to hear it */
  if (sim_daemon_absent(sim, now)) return;
  sim_daemon_reply(sim, daemon, op->reply);
}

/* The answer is written, and what was executed is on disk from here on; it is withheld until it
 * counts. */
static void leave(struct sim *sim, const struct sim_occurrence *now) {
  const struct op *op = now->data;
  if (sim->now_us < sim->store_up_us || op->master != sim->master) return;
  sim_store_flush(sim);
  if (pd_replicas_hold_commit(sim->want, op->reply) &&
      judge(sim, op->number) != PD_REPLICAS_ENOUGH) {
    again(sim, now);
    if (sim_strikes(sim, SIM_FAILOVER, 1)) sim_store_failover(sim);
    return;
  }
  struct sim_occurrence *next = sim_later(sim, latency(sim), answer);
  next->who = now->who;
  next->life = now->life;
  next->data = op;
}

static void arrive(struct sim *sim, const struct sim_occurrence *now) {
  struct op *op = (struct op *)now->data;
  bool orphan = op->connection != sim->daemons[now->who].connection;
  if (orphan && sim_odds(&sim->rng, 2)) return;
  if (op->master != sim->master) return;      /* it was sent to one that is no more */
  if (sim->now_us < sim->store_up_us) return; /* its connection broke with the store */
  op->reply = execute(sim, op);
  op->number = sim->executed;
  if (orphan) return;
  struct sim_occurrence *next = sim_later(sim, sim_between(&sim->rng, 0, 2 * SIM_MS), leave);
  next->who = now->who;
  next->life = now->life;
  next->data = op;
  if (sim_strikes(sim, SIM_TORN, 4)) sim_store_tear(sim);
  if (sim_strikes(sim, SIM_FAILOVER, 2)) sim_store_failover(sim);
  if (sim_strikes(sim, SIM_BREAK, 1)) sim_store_break(sim, &sim->daemons[now->who]);
}

/* When the next thing that this connection sends is executed: never before what it sent before. */
static int64_t execution(struct sim *sim, struct sim_daemon *daemon) {
  int64_t at = sim->now_us + latency(sim);
  if (at < sim->store_up_us) at = sim->store_up_us + latency(sim);
  if (at <= daemon->last_exec_us) at = daemon->last_exec_us + 1;
  daemon->last_exec_us = at;
  return at - sim->now_us;
}

void sim_store_commit(struct sim *sim, struct sim_daemon *daemon, const struct pd_packed *packed) {
  struct op *op = sim_keep(sim, sizeof *op + packed->size);
  uint8_t *bytes = (uint8_t *)(op + 1);
  memcpy(bytes, packed->bytes, packed->size);
  *op = (struct op){.prev = packed->head.prev,
                    .log = packed->head.log,
                    .connection = daemon->connection,
                    .master = sim->master,
                    .entry = {.bytes = bytes,
                              .size = packed->size,
                              .hash = packed->hash,
                              .epoch = packed->head.epoch,
                              .first = packed->head.first_seq,
                              .last = packed->head.last_seq}};
  struct sim_occurrence *next = sim_later(sim, execution(sim, daemon), arrive);
  next->who = daemon->number;
  next->life = daemon->life;
  next->data = op;
}

/* ---- reads ---- */

struct reading {
  enum pd_log log;
  bool failed, tail;
  uint32_t connection;
  uint64_t from;
  size_t count;
  struct sim_entry *entries;
  uint64_t seq;
  struct pd_hash hash;
  uint64_t number; /* as of a commit */
};

static void answer_read(struct sim *sim, const struct sim_occurrence *now) {
  struct sim_daemon *daemon = &sim->daemons[now->who];
  const struct reading *read = now->data;
  if (sim_daemon_absent(sim, now)) return;
  bool failed = read->failed || read->connection != daemon->connection;
  for (size_t i = 0; i < read->count && sim->want > 0 && !failed; i++)
    sim_expect(sim, read->entries[i].number <= sim->had, "P1 %s was handed what may be lost",
               daemon->core->name);
  if (!read->tail)
    sim_daemon_read(sim, daemon, read->log, read->entries, read->count, failed);
  else
    sim_daemon_tail(sim, daemon, failed ? UINT64_MAX : read->seq, &read->hash);
  /* The worst moment: somebody may have seen what the replica does not have. */
  if (!sim_store_replicated(sim) && sim_on(sim, SIM_FAILOVER) && sim_odds(&sim->rng, 24))
    sim_store_failover(sim);
}

static void answer_soon(struct sim *sim, const struct sim_occurrence *now) {
  struct sim_occurrence *next = sim_later(sim, latency(sim), answer_read);
  next->who = now->who;
  next->life = now->life;
  next->data = now->data;
}

#define READ_MAX 64 /* entries of one read, as the shell asks for */

/* The entries that may be handed out. */
static void fetch(struct sim *sim, struct reading *read, uint64_t limit) {
  const struct sim_log *log = &sim->logs[read->log];
  const struct sim_entry *first = sim_store_find(sim, read->log, read->from);
  if (first == NULL) return;
  size_t most = (size_t)(log->entries + log->count - first);
  while (read->count < most && read->count < READ_MAX && first[read->count].last <= limit)
    read->count++;
  read->entries = sim_keep(sim, read->count * sizeof *read->entries + 1);
  memcpy(read->entries, first, read->count * sizeof *read->entries);
}

/* A tail is withheld until it counts; entries are handed out up to it then. */
static void wait_read(struct sim *sim, const struct sim_occurrence *now) {
  struct reading *read = (struct reading *)now->data;
  struct sim_daemon *daemon = &sim->daemons[now->who];
  if (daemon->life != now->life) return;
  read->failed = read->connection != daemon->connection;
  if (!read->failed && judge(sim, read->number) != PD_REPLICAS_ENOUGH) {
    again(sim, now);
    return;
  }
  if (!read->failed && !read->tail) {
    daemon->counted[read->log] = read->seq;
    fetch(sim, read, pd_replicas_limit(sim->want, read->seq));
  }
  answer_soon(sim, now);
}

static void arrive_read(struct sim *sim, const struct sim_occurrence *now) {
  struct reading *read = (struct reading *)now->data;
  struct sim_daemon *daemon = &sim->daemons[now->who];
  const struct sim_log *log = &sim->logs[read->log];
  read->failed = sim->now_us < sim->store_up_us || read->connection != daemon->connection;
  if (read->failed) {
    answer_soon(sim, now);
    return;
  }
  sim_store_flush(sim);
  read->number = sim->executed;
  if (log->count > 0) {
    read->seq = log->entries[log->count - 1].last;
    read->hash = log->entries[log->count - 1].hash;
  }
  uint64_t counted = daemon->counted[read->log];
  bool hold = read->tail ? pd_replicas_hold_tail(sim->want, read->seq)
                         : pd_replicas_hold_read(sim->want, counted, read->from) &&
                               read->seq >= read->from;
  if (hold) {
    wait_read(sim, now);
    return;
  }
  if (!read->tail) fetch(sim, read, pd_replicas_limit(sim->want, counted));
  answer_soon(sim, now);
}

static void send_read(struct sim *sim, struct sim_daemon *daemon, const struct reading *what) {
  struct reading *read = sim_keep(sim, sizeof *read);
  *read = *what;
  read->connection = daemon->connection;
  struct sim_occurrence *next = sim_later(sim, execution(sim, daemon), arrive_read);
  next->who = daemon->number;
  next->life = daemon->life;
  next->data = read;
}

void sim_store_tail(struct sim *sim, struct sim_daemon *daemon) {
  send_read(sim, daemon, &(struct reading){.log = daemon->core->log, .tail = true});
}

void sim_store_read(struct sim *sim, struct sim_daemon *daemon, enum pd_log log, uint64_t from) {
  send_read(sim, daemon, &(struct reading){.log = log, .from = from});
}

/* ---- what goes wrong ---- */

/* Every commit that was sent and not answered has an outcome that nobody knows. */
static void broken(struct sim *sim, const struct sim_occurrence *now) {
  struct sim_daemon *daemon = &sim->daemons[now->who];
  if (sim_daemon_absent(sim, now)) return;
  for (uint64_t left = now->a; left > 0 && daemon->in_flight > 0; left--) {
    sim->stats.unknown++;
    sim_daemon_reply(sim, daemon, PD_COMMIT_UNKNOWN);
  }
  if (daemon->up && daemon->life == now->life) sim_daemon_connected(sim, daemon);
}

void sim_store_break(struct sim *sim, struct sim_daemon *daemon) {
  daemon->connection++;
  memset(daemon->counted, 0, sizeof daemon->counted);
  sim->stats.breaks++;
  if (!daemon->up) return;
  struct sim_occurrence *next = sim_later(sim, 0, broken); /* before it can send anything else */
  next->who = daemon->number;
  next->life = daemon->life;
  next->a = daemon->in_flight;
}

void sim_store_tear(struct sim *sim) {
  sim->stats.tears++;
  sim->store_up_us = sim->now_us + sim_between(&sim->rng, 10, 4000) * SIM_MS;
  for (unsigned log = 1; log < PD_LOGS; log++) {
    struct sim_log *torn = &sim->logs[log];
    torn->count = (size_t)sim_between(&sim->rng, (int64_t)torn->safe, (int64_t)torn->count);
  }
  for (unsigned i = 0; i < SIM_DAEMONS; i++) sim_store_break(sim, &sim->daemons[i]);
}

void sim_store_failover(struct sim *sim) {
  if (sim->want == 0 || sim->replica_away || sim->now_us < sim->store_up_us) return;
  sim->stats.failovers++;
  sim->master++;
  sim->store_up_us = sim->now_us + sim_between(&sim->rng, 500, 6000) * SIM_MS;
  for (unsigned log = 1; log < PD_LOGS; log++) {
    struct sim_log *at = &sim->logs[log];
    while (at->count > 0 && at->entries[at->count - 1].number > sim->replicated) at->count--;
    at->safe = at->count;
  }
  sim->on_disk = sim->executed; /* of what is left */
  sim->replica_away = true;
  sim->replica_due = false;
  sim->replicated = 0;
  replicate(sim);
  bool machine = sim_odds(&sim->rng, 2); /* it was all of it, and who ran there is gone too */
  for (unsigned i = 0; i < SIM_DAEMONS; i++) {
    struct sim_daemon *daemon = &sim->daemons[i];
    bool dies = machine && daemon->up && sim_odds(&sim->rng, 2);
    sim_store_break(sim, daemon);
    if (!dies) continue;
    sim_daemon_kill(sim, daemon);
    sim_daemon_start(sim, daemon, sim_between(&sim->rng, 5, 8000) * SIM_MS);
  }
}
