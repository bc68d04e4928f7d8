#include "common/io/store.h"

#include "common/flow/replicas.h"
#include "common/io/store_parts.h"
#include "common/io/store_seam.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHECK_AGAIN_MS = 1000 };

struct pd_store {
  struct pd_redis *redis;
  uint32_t shard;
  bool up;
  bool closing;
  int held; /* by the connection and by the timer, until both are closed */
  uv_timer_t timer;
  pd_store_state_fn *state;
  void *context;
  char told[192]; /* the reason last given, so that it is not repeated */
  struct store_seam seam;
  uint32_t replicas; /* that must have what counts */
  uint32_t timeout_ms;
  uint64_t safe[PD_LOGS]; /* the last tail that counted since the connection was made */
  bool held_back;         /* something, and the state callback knows */
};

/* A call on its way: which callback gets the reply. */
struct call {
  union {
    pd_commit_fn *commit;
    pd_tail_fn *tail;
    pd_read_fn *read;
    pd_lease_fn *lease;
    pd_leases_fn *leases;
  } done;
  void *context;
  struct pd_store *store;
  void (*counted)(struct call call, bool good); /* enough replicas have it; or nobody knows */
  struct pd_tail tail;                          /* of a tail: to be told then */
  uint64_t from_seq;                            /* the rest: of a read */
  uint32_t max_entries;
  enum pd_log number;
  char log[36];
};

/* ---- up and down ---- */

static void on_check_again(uv_timer_t *timer);

static void tell(struct pd_store *self, bool up, const char *why) {
  bool news = self->up != up || strcmp(self->told, why) != 0;
  self->up = up;
  (void)snprintf(self->told, sizeof self->told, "%s", why);
  if (news && self->state != NULL) self->state(self->context, up, why);
}

static const char *version_text(enum pd_err err) {
  if (err == PD_ENOENT) return "Redis lacks the function library paidan: load it (paidan up does)";
  if (err == PD_EOLD) return "Redis has another version of the function library paidan: load ours";
  return "Redis refuses FCALL_RO paidan_version: check the user's rights";
}

static void on_version(void *context, const redisReply *reply) {
  struct pd_store *self = context;
  enum pd_err err = store_reply_version(reply);
  if (self->closing || err == PD_EDOWN) return;
  if (err == PD_OK) {
    tell(self, true, "");
    return;
  }
  (void)uv_timer_start(&self->timer, on_check_again, CHECK_AGAIN_MS, 0);
  tell(self, false, version_text(err));
}

static void check_version(struct pd_store *self) {
  struct store_command command;
  store_command_version(&command);
  /* When the connection is gone, its state callback has come or follows: nothing to do here. */
  if (pd_redis_send(self->redis, command.count, command.texts, command.lengths, on_version, self) !=
      PD_OK)
    return;
}

static void on_check_again(uv_timer_t *timer) {
  check_version(timer->data);
}

static void on_state(void *context, bool up, const char *why) {
  struct pd_store *self = context;
  if (up) {
    check_version(self);
    return;
  }
  (void)uv_timer_stop(&self->timer);
  memset(self->safe, 0, sizeof self->safe); /* the next server may have less */
  self->held_back = false;
  tell(self, false, why);
}

enum pd_err pd_store_open(struct pd_store **store, uv_loop_t *loop,
                          const struct pd_redis_options *options, uint32_t shard,
                          pd_store_state_fn *state, void *context) {
  *store = NULL;
  struct pd_store *self = calloc(1, sizeof *self);
  if (self == NULL) return PD_EIO;
  self->shard = shard;
  self->state = state;
  self->context = context;
  char key[PD_STORE_KEY];
  struct pd_redis_options there = *options;
  there.key = store_probe_key(shard, key);
  enum pd_err err = pd_redis_open(&self->redis, loop, &there, on_state, self);
  if (err != PD_OK) {
    free(self);
    return err;
  }
  self->held = 2;
  self->timer.data = self;
  (void)uv_timer_init(loop, &self->timer);
  *store = self;
  return PD_OK;
}

static void let_go(void *context) {
  struct pd_store *self = context;
  if (--self->held > 0) return;
  store_seam_close(&self->seam);
  free(self);
}

static void on_timer_closed(uv_handle_t *handle) {
  let_go(handle->data);
}

void pd_store_close(struct pd_store *self) {
  if (self == NULL) return;
  self->closing = true;
  self->up = false;
  self->state = NULL;
  pd_redis_close(self->redis, let_go, self);
  uv_close((uv_handle_t *)&self->timer, on_timer_closed);
}

enum pd_err pd_store_archive(struct pd_store *self, const char *dir) {
  store_seam_close(&self->seam);
  return store_seam_init(&self->seam, dir, self->shard);
}

void pd_store_replicas(struct pd_store *self, uint32_t replicas, uint32_t timeout_ms) {
  pd_assert(timeout_ms >= 10 && timeout_ms <= 4000); /* the connection's pulse lasts 5 s */
  self->replicas = replicas;
  self->timeout_ms = timeout_ms;
}

bool pd_store_is_up(const struct pd_store *self) {
  return self->up;
}

/* ---- calls ---- */

static enum pd_err submit(struct pd_store *self, const struct store_command *command,
                          pd_redis_reply_fn *on_reply, struct call call) {
  struct call *kept = malloc(sizeof *kept);
  if (kept == NULL) return PD_EDOWN;
  *kept = call;
  enum pd_err err =
      pd_redis_send(self->redis, command->count, command->texts, command->lengths, on_reply, kept);
  if (err != PD_OK) free(kept);
  return err;
}

static struct call take(void *context) {
  struct call call = *(struct call *)context;
  free(context);
  return call;
}

/* ---- replicas ---- */

/* Say what is held back, or with "" that it is not any more. */
static void hold_back(struct pd_store *self, const char *why) {
  bool held = why[0] != '\0';
  if (self->closing || !self->up || (!held && !self->held_back)) return;
  self->held_back = held;
  tell(self, true, why);
}

static void on_replicas(void *context, const redisReply *reply);

static void ask_replicas(struct call *kept) {
  struct pd_store *self = kept->store;
  struct store_command command;
  store_command_wait(&command, self->replicas, self->timeout_ms);
  if (pd_redis_send(self->redis, command.count, command.texts, command.lengths, on_replicas,
                    kept) != PD_OK)
    on_replicas(kept, NULL);
}

static void on_replicas(void *context, const redisReply *reply) {
  struct call *kept = context;
  struct pd_store *self = kept->store;
  char why[64];
  bool number = reply != NULL && reply->type == REDIS_REPLY_INTEGER;
  int have = number ? (int)reply->integer : -1;
  enum pd_replicas_verdict verdict = pd_replicas_judge(self->replicas, have);
  if (verdict == PD_REPLICAS_SHORT) {
    (void)snprintf(why, sizeof why, "%d of %u replicas have the last commit", have,
                   self->replicas);
    hold_back(self, why);
    ask_replicas(kept);
    return;
  }
  if (verdict == PD_REPLICAS_ENOUGH) hold_back(self, "");
  struct call call = take(kept);
  call.counted(call, verdict == PD_REPLICAS_ENOUGH);
}

/* Let the call's `counted` be called when enough replicas have everything up to this reply.  What
 * came by a detour was done elsewhere, where this connection cannot ask: nobody knows. */
static void count_replicas(const struct call *call, void (*counted)(struct call call, bool good)) {
  struct call *kept = malloc(sizeof *kept);
  bool can_ask = kept != NULL && !pd_redis_detoured(call->store->redis);
  if (!can_ask) {
    free(kept);
    counted(*call, false);
    return;
  }
  *kept = *call;
  kept->counted = counted;
  ask_replicas(kept);
}

/* ---- replies ---- */

static void commit_counts(struct call call, bool good) {
  struct pd_committed committed = {.reply = good ? PD_COMMIT_OK : PD_COMMIT_UNKNOWN};
  call.done.commit(call.context, &committed);
}

static void on_commit(void *context, const redisReply *reply) {
  struct call call = take(context);
  struct pd_tail tail = {0};
  struct pd_committed committed = {0};
  committed.reply = store_reply_commit(reply, &tail, &committed.why);
  if (committed.reply == PD_COMMIT_FENCED) committed.tail = &tail;
  if (pd_replicas_hold_commit(call.store->replicas, committed.reply))
    count_replicas(&call, commit_counts);
  else
    call.done.commit(call.context, &committed);
}

static void tail_counts(struct call call, bool good) {
  call.done.tail(call.context, good ? PD_OK : PD_EDOWN, &call.tail);
}

static void on_tail(void *context, const redisReply *reply) {
  struct call call = take(context);
  enum pd_err err = store_reply_tail(reply, &call.tail);
  if (err == PD_EIO) hold_back(call.store, reply->str);
  if (err == PD_OK && pd_replicas_hold_tail(call.store->replicas, call.tail.last_seq)) {
    count_replicas(&call, tail_counts);
    return;
  }
  if (err == PD_OK) hold_back(call.store, "");
  call.done.tail(call.context, err, &call.tail);
}

/* The stream begins too late: hand out what the archive has, else what the stream had. */
static void read_archive(const struct call *call, const struct pd_stored *entries, size_t count) {
  struct pd_stored *older;
  size_t older_count;
  uint8_t *memory;
  enum pd_err err = store_seam_read(&call->store->seam, call->log, call->from_seq,
                                    call->max_entries, &older, &older_count, &memory);
  if (err == PD_ENOENT)
    call->done.read(call->context, PD_OK, entries, count);
  else
    call->done.read(call->context, err, older, older_count);
  free(older);
  free(memory);
}

static void on_read(void *context, const redisReply *reply) {
  struct call call = take(context);
  struct pd_stored *entries = NULL;
  size_t count = 0;
  enum pd_err err = store_reply_read(reply, &entries, &count);
  if (err == PD_OK && store_seam_needed(&call.store->seam, call.from_seq, entries, count))
    read_archive(&call, entries, count);
  else
    call.done.read(call.context, err, entries, count);
  free(entries);
}

static enum pd_err send_read(struct pd_store *self, struct call call) {
  struct store_command command;
  uint64_t limit = pd_replicas_limit(self->replicas, self->safe[call.number]);
  store_command_read(&command, self->shard, call.log, call.from_seq, limit, call.max_entries);
  return submit(self, &command, on_read, call);
}

static void limit_counts(struct call call, bool good) {
  struct pd_store *self = call.store;
  if (good) self->safe[call.number] = call.tail.last_seq;
  if (!good || send_read(self, call) != PD_OK) call.done.read(call.context, PD_EDOWN, NULL, 0);
}

/* Where the log ended when somebody wanted to read beyond what counts. */
static void on_limit(void *context, const redisReply *reply) {
  struct call call = take(context);
  enum pd_err err = store_reply_tail(reply, &call.tail);
  if (err != PD_OK || call.tail.last_seq < call.from_seq)
    call.done.read(call.context, err, NULL, 0);
  else
    count_replicas(&call, limit_counts);
}

static void on_lease(void *context, const redisReply *reply) {
  struct call call = take(context);
  struct pd_lease_answer answer;
  struct pd_holder holder;
  store_reply_lease(reply, &answer, &holder);
  call.done.lease(call.context, &answer, &holder);
}

static void on_leases(void *context, const redisReply *reply) {
  struct call call = take(context);
  struct pd_holder holders[PD_LOGS];
  enum pd_err err = store_reply_leases(reply, holders);
  call.done.leases(call.context, err, holders);
}

enum pd_err pd_store_commit(struct pd_store *self, const char *log, const struct pd_commit *commit,
                            pd_commit_fn *done, void *context) {
  if (commit->size == 0 || commit->size > PD_ENTRY_MAX) return PD_EBOUNDS;
  if (!self->up) return PD_EDOWN;
  struct store_command command;
  store_command_commit(&command, self->shard, log, commit);
  struct call call = {.done.commit = done, .context = context, .store = self};
  return submit(self, &command, on_commit, call);
}

enum pd_err pd_store_tail(struct pd_store *self, const char *log, pd_tail_fn *done, void *context) {
  if (!self->up) return PD_EDOWN;
  struct store_command command;
  store_command_tail(&command, self->shard, log);
  struct call call = {.done.tail = done, .context = context, .store = self};
  return submit(self, &command, on_tail, call);
}

enum pd_err pd_store_boot(struct pd_store *self, const char *log, pd_tail_fn *done, void *context) {
  if (!self->up) return PD_EDOWN;
  struct store_command command;
  store_command_boot(&command, self->shard, log);
  struct call call = {.done.tail = done, .context = context, .store = self};
  return submit(self, &command, on_tail, call);
}

enum pd_err pd_store_read(struct pd_store *self, const char *log, uint64_t from_seq,
                          uint32_t max_entries, pd_read_fn *done, void *context) {
  pd_assert(max_entries > 0 && max_entries <= 100000);
  if (!self->up) return PD_EDOWN;
  struct call call = {.done.read = done,
                      .context = context,
                      .store = self,
                      .from_seq = from_seq,
                      .max_entries = max_entries,
                      .number = pd_log_named(log)};
  (void)snprintf(call.log, sizeof call.log, "%s", log);
  if (!pd_replicas_hold_read(self->replicas, self->safe[call.number], from_seq))
    return send_read(self, call);
  struct store_command command;
  store_command_tail(&command, self->shard, log);
  return submit(self, &command, on_limit, call);
}

enum pd_err pd_store_lease(struct pd_store *self, const char *log, enum pd_lease_ask ask,
                           const struct pd_holder *holder, uint32_t holds, pd_lease_fn *done,
                           void *context) {
  if (!self->up) return PD_EDOWN;
  struct store_command command;
  store_command_lease(&command, self->shard, log, ask, holder, holds);
  return submit(self, &command, on_lease, (struct call){.done.lease = done, .context = context});
}

enum pd_err pd_store_leases(struct pd_store *self, pd_leases_fn *done, void *context) {
  if (!self->up) return PD_EDOWN;
  struct store_command command;
  store_command_leases(&command, self->shard);
  return submit(self, &command, on_leases, (struct call){.done.leases = done, .context = context});
}
