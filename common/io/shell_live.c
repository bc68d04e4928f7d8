/* The rounds of a shell that leads: frames in, commits out, and catching up from the store. */
#include "common/io/journal.h"
#include "common/io/shell_state.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define READ_ENTRIES 64      /* of one catch-up read */
#define FRAMES_A_CALL 64     /* taken from one socket before others have their turn */
#define REFUSED_PAUSE_MS 200 /* after the store refused a commit, or gave a bad entry */
#define LOST_PAUSE_MS 1000   /* until the tail of a log that lost something is read again */
#define BAD_SAID_EVERY_MS 10000
#define NOTE_EVERY_MS 1000   /* marks without an event are noted at least this often */

/* ---- catching up ---- */

static void read_more(struct pd_feed *feed);

static bool feeding(const struct pd_shell *shell) {
  return shell->phase == PD_PHASE_LIVE && !shell->snapshot_due && pd_turn_open(&shell->turn);
}

/* The loop may have slept since the round looked at the clock: what is decided on input that woke
 * it must not be older than that input. */
static void see_clock(struct pd_shell *shell) {
  if (shell->phase == PD_PHASE_LIVE) pd_turn_now(&shell->turn, pd_clock_now(&shell->clock));
}

/* Count what another daemon's socket should not have said; tell of it once in a while. */
static void note_bad(struct pd_feed *feed, const char *what) {
  struct pd_shell *shell = feed->shell;
  char source[64];
  uint64_t more = 0;
  pd_metric_add(shell->counts.bad, 1);
  snprintf(source, sizeof source, "frames/%s", pd_log_name(feed->log));
  if (pd_journal_once(source, BAD_SAID_EVERY_MS, uv_now(&shell->loop), &more))
    pd_say(PD_LEVEL_WARN, pd_kv_text("msg", what), pd_kv_text("log", pd_log_name(feed->log)),
           pd_kv_uint("not_said_before", more));
}

/* A short page was read.  Only an empty one says that the store has no more (a page out of the
 * archive may end anywhere): what was heard of before that reading began, and is not there, does
 * not exist, since entries are published when they are stored. */
static void at_end(struct pd_feed *feed, bool empty) {
  struct pd_follower *follower = &feed->shell->turn.inputs[feed->log];
  bool missing = follower->next <= follower->tail;
  if (missing && (feed->hinted || !empty)) return; /* read again */
  if (missing) {
    note_bad(feed, "events were announced that are not in the log");
    pd_follower_ends(follower);
  }
  feed->behind = false;
}

static void on_read(void *context, enum pd_err err, const struct pd_stored *entries, size_t count) {
  struct pd_feed *feed = context;
  struct pd_shell *shell = feed->shell;
  feed->reading = false;
  if (err == PD_ECORRUPT && pd_journal_once("archive", 10000, uv_now(&shell->loop), NULL))
    pd_say(PD_LEVEL_ERROR, pd_kv_text("msg", "the archive is damaged; this input stands still"),
           pd_kv_text("log", pd_log_name(feed->log)));
  if (err != PD_OK || shell->phase != PD_PHASE_LIVE) return;
  see_clock(shell);
  for (size_t i = 0; i < count; i++) {
    if (!feeding(shell)) return;
    struct pd_hash hash;
    memcpy(hash.bytes, entries[i].hash, sizeof hash.bytes);
    enum pd_taken taken = pd_turn_input(&shell->turn, entries[i].bytes, entries[i].size, &hash);
    if (taken == PD_TAKEN || taken == PD_TAKEN_OLD) continue;
    if (taken == PD_TAKEN_PART) return;
    feed->again_at = uv_now(&shell->loop) + REFUSED_PAUSE_MS;
    pd_metric_add(shell->counts.bad, 1);
    if (pd_journal_once("stored-entry", BAD_SAID_EVERY_MS, uv_now(&shell->loop), NULL))
      pd_say(PD_LEVEL_ERROR,
             pd_kv_text("msg", "an entry in the store does not follow; this input stands still"),
             pd_kv_text("log", pd_log_name(feed->log)),
             pd_kv_uint("last_seq", entries[i].last_seq));
    return;
  }
  if (count < READ_ENTRIES) at_end(feed, count == 0);
}

static void read_more(struct pd_feed *feed) {
  struct pd_shell *shell = feed->shell;
  if (!feed->behind || feed->reading || !feeding(shell)) return;
  const struct pd_core *core = shell->service->core;
  if (core->room != NULL && core->room(shell->turn.self) == 0) return;
  if (uv_now(&shell->loop) < feed->again_at) return;
  feed->hinted = false;
  uint64_t from = shell->turn.inputs[feed->log].next;
  const char *name = pd_log_name(feed->log);
  feed->reading = pd_store_read(shell->store, name, from, READ_ENTRIES, on_read, feed) == PD_OK;
}

static void fall_behind(struct pd_feed *feed) {
  if (!feed->behind) pd_metric_add(feed->shell->counts.gaps, 1);
  feed->behind = feed->hinted = true;
}

/* ---- frames of other daemons
 * ----------------------------------------------------------------------------------------- */

static void take_tip(struct pd_feed *feed, struct pd_bus_message *message) {
  struct pd_turn *turn = &feed->shell->turn;
  pd_arena_reset(&turn->batch);
  zmq_msg_t *frame = &message->frames[1];
  const struct pd_tip *tip = (const struct pd_tip *)pd_unpack_checked(
      &turn->batch, &pd_tip_descriptor, zmq_msg_data(frame), zmq_msg_size(frame));
  bool ours = tip != NULL && tip->log == feed->log && tip->shard == feed->shell->shard.code;
  if (!ours)
    note_bad(feed, "a heartbeat that is none of this log");
  else if (pd_follower_tip(&turn->inputs[feed->log], tip->last_seq))
    fall_behind(feed);
}

static void on_frames(void *context, void *socket);

/* An entry may have come before the one that it answers, by another socket: look there first.
 * False if that is what is being done already. */
static bool hear_others(struct pd_feed *feed) {
  struct pd_shell *shell = feed->shell;
  if (shell->hearing || !feeding(shell)) return false;
  shell->hearing = true;
  for (unsigned log = 1; log < PD_LOGS; log++) {
    struct pd_feed *other = &shell->feeds[log];
    if (other->socket != NULL && other != feed) on_frames(other, other->socket);
  }
  shell->hearing = false;
  return feeding(shell);
}

/* It will be read from the store, in order. */
static void pass_over(struct pd_feed *feed, zmq_msg_t *entry) {
  struct pd_entry_view view;
  feed->behind = feed->hinted = true;
  if (pd_entry_open(zmq_msg_data(entry), zmq_msg_size(entry), &view) != PD_OK)
    note_bad(feed, "a frame that is no entry");
  else if (view.head.log == feed->log && view.head.shard == feed->shell->shard.code)
    (void)pd_follower_tip(&feed->shell->turn.inputs[feed->log], view.head.last_seq);
}

static void take_entry(struct pd_feed *feed, struct pd_bus_message *message) {
  struct pd_shell *shell = feed->shell;
  zmq_msg_t *entry = &message->frames[1], *hash_frame = &message->frames[2];
  struct pd_hash hash;
  if (zmq_msg_size(hash_frame) != sizeof hash.bytes) {
    note_bad(feed, "a frame that is no entry");
    return;
  }
  if (feed->behind || !feeding(shell)) {
    pass_over(feed, entry);
    return;
  }
  memcpy(hash.bytes, zmq_msg_data(hash_frame), sizeof hash.bytes);
  enum pd_taken taken =
      pd_turn_input(&shell->turn, zmq_msg_data(entry), zmq_msg_size(entry), &hash);
  if (taken == PD_TAKEN_PART && hear_others(feed))
    taken = pd_turn_input(&shell->turn, zmq_msg_data(entry), zmq_msg_size(entry), &hash);
  switch (taken) {
    case PD_TAKEN:
    case PD_TAKEN_OLD: return;
    case PD_TAKEN_CORRUPT:
      note_bad(feed, "an entry that does not follow; the log is read instead");
      break;
    case PD_TAKEN_PART:
    case PD_TAKEN_GAP: break;
  }
  fall_behind(feed);
}

static void on_frames(void *context, void *socket) {
  struct pd_feed *feed = context;
  struct pd_bus_message message;
  see_clock(feed->shell);
  pd_bus_message_init(&message);
  for (int i = 0; i < FRAMES_A_CALL; i++) {
    enum pd_err err = pd_bus_receive(socket, &message);
    if (err == PD_EAGAIN) break;
    if (err == PD_OK && feed->shell->phase != PD_PHASE_LIVE) continue;
    if (err == PD_OK && message.count == 2)
      take_tip(feed, &message);
    else if (err == PD_OK && message.count == 3)
      take_entry(feed, &message);
    else
      note_bad(feed, "a message that is neither entry nor heartbeat");
  }
  pd_bus_message_close(&message);
  pd_shell_wake(feed->shell); /* this may run after the round's prepare */
}

/* ---- commits ---- */

static void on_commit(void *context, const struct pd_committed *committed) {
  struct pd_shell *shell = context;
  double seconds = (double)(uv_hrtime() - shell->sent_at[0]) / 1e9;
  pd_metric_see(shell->counts.seconds, seconds);
  memmove(&shell->sent_at[0], &shell->sent_at[1], sizeof shell->sent_at - sizeof shell->sent_at[0]);
  shell->in_flight--;
  if (committed->reply == PD_COMMIT_REFUSED) {
    pd_metric_add(shell->counts.refused, 1);
    shell->retry_at = uv_now(&shell->loop) + REFUSED_PAUSE_MS;
    snprintf(shell->why, sizeof shell->why, "the log's Redis refuses to write: %s", committed->why);
    if (pd_journal_once("refused", 10000, uv_now(&shell->loop), NULL))
      pd_say(PD_LEVEL_ERROR, pd_kv_text("msg", "a commit was refused, trying again"),
             pd_kv_text("why", committed->why));
  }
  if (committed->reply == PD_COMMIT_OK) shell->why[0] = 0;
  pd_turn_reply(&shell->turn, committed->reply);
  pd_shell_wake(shell);
}

static void send_commits(struct pd_shell *shell) {
  if (uv_now(&shell->loop) < shell->retry_at || !pd_store_is_up(shell->store)) return;
  const struct pd_packed *packed;
  while ((packed = pd_turn_send(&shell->turn)) != NULL) {
    struct pd_commit commit = {.epoch = packed->head.epoch,
                               .first_seq = packed->head.first_seq,
                               .last_seq = packed->head.last_seq,
                               .bytes = packed->bytes,
                               .size = packed->size};
    memcpy(commit.prev_hash, packed->head.prev.bytes, sizeof commit.prev_hash);
    memcpy(commit.hash, packed->hash.bytes, sizeof commit.hash);
    const char *log = pd_log_name(packed->head.log);
    if (pd_store_commit(shell->store, log, &commit, on_commit, shell) == PD_OK) {
      shell->sent_at[shell->in_flight++] = uv_hrtime();
      continue;
    }
    pd_turn_reply(&shell->turn, PD_COMMIT_UNKNOWN);
    return;
  }
}

/* Not for us to paper over: what was acknowledged is not in the log.  If another server has it, it
 * will be read there; until then nothing is served. */
static void say_lost(struct pd_shell *shell, uint64_t seq) {
  shell->retry_at = uv_now(&shell->loop) + LOST_PAUSE_MS;
  if (!pd_journal_once("lost", BAD_SAID_EVERY_MS, uv_now(&shell->loop), NULL)) return;
  pd_say(PD_LEVEL_ERROR, pd_kv_text("msg", "the log has lost what was acknowledged"),
         pd_kv_uint("acknowledged_seq", shell->turn.writer.seq), pd_kv_uint("log_seq", seq),
         pd_kv_text("next", "bring back the Redis that has it, or restore the log"));
}

static void on_tail(void *context, enum pd_err err, const struct pd_tail *tail) {
  struct pd_shell *shell = context;
  shell->tail_asked = false;
  if (err != PD_OK || !pd_turn_wants_tail(&shell->turn)) return;
  struct pd_hash hash;
  memcpy(hash.bytes, tail->hash, sizeof hash.bytes);
  pd_turn_tail(&shell->turn, tail->last_seq, &hash);
  if (pd_turn_lost(&shell->turn)) say_lost(shell, tail->last_seq);
  pd_shell_wake(shell);
}

static void settle_doubt(struct pd_shell *shell) {
  if (!pd_turn_wants_tail(&shell->turn) || shell->tail_asked || shell->in_flight > 0) return;
  if (uv_now(&shell->loop) < shell->retry_at) return;
  const char *log = shell->service->core->name;
  shell->tail_asked = pd_store_boot(shell->store, log, on_tail, shell) == PD_OK;
}

/* ---- a round ---- */

static void on_deadline(uv_timer_t *timer) { pd_live_round(timer->data); }

static void arm_deadline(struct pd_shell *shell) {
  int64_t when = pd_turn_deadline(&shell->turn);
  if (when == PD_NEVER)
    uv_timer_stop(&shell->deadline);
  else
    uv_timer_start(&shell->deadline, on_deadline, pd_clock_until(&shell->clock, when), 0);
}

static void refresh_counts(struct pd_shell *shell) {
  pd_metric_set(shell->counts.seq, (double)shell->turn.writer.seq);
  pd_metric_set(shell->counts.epoch, (double)shell->turn.writer.epoch);
  uint64_t known = (uint64_t)pd_metric_value(shell->counts.unknown);
  pd_metric_add(shell->counts.unknown, shell->turn.unknown_kinds - known);
  for (unsigned log = 1; log < PD_LOGS; log++) {
    if (shell->counts.input_seq[log] == NULL) continue;
    pd_metric_set(shell->counts.input_seq[log], (double)(shell->turn.inputs[log].next - 1));
    pd_metric_set(shell->counts.input_tail[log], (double)shell->turn.inputs[log].tail);
  }
}

static void on_linger(uv_timer_t *timer) { pd_live_round(timer->data); }

/* End the batch, unless the service lingers and the last one ended a moment ago. */
static void close_batch(struct pd_shell *shell, bool late) {
  bool draining = shell->phase == PD_PHASE_STOPPING || shell->snapshot_due;
  uint64_t since = uv_now(&shell->loop) - shell->noted_at, linger = shell->service->linger_ms;
  if (since < linger && !draining && pd_turn_open(&shell->turn)) {
    if (!uv_is_active((uv_handle_t *)&shell->linger))
      uv_timer_start(&shell->linger, on_linger, linger - since, 0);
    return;
  }
  if (pd_turn_close(&shell->turn, late || draining)) shell->noted_at = uv_now(&shell->loop);
}

/* Own events and followed ones count alike: a log is trimmed only behind every follower's snapshot,
 * and a follower that says little would hold it. */
static bool snapshot_is_old(const struct pd_shell *shell) {
  const struct pd_turn *turn = &shell->turn;
  uint64_t every = shell->common->snapshot_every;
  every += every / 8 * shell->service->core->log; /* not all daemons at the same moment */
  bool old = turn->writer.seq - shell->snapshot_seq >= every;
  for (unsigned log = 1; log < PD_LOGS && !old; log++)
    old = turn->inputs[log].next >= shell->snapshot_next[log] + every;
  return every > 0 && old;
}

/* While a snapshot is due, frames wait in their sockets: passed over, they would have to be read
 * from the store again. */
static void pause_feeds(struct pd_shell *shell, bool paused) {
  for (unsigned log = 1; log < PD_LOGS; log++)
    if (shell->feeds[log].watch != NULL) pd_bus_pause(shell->feeds[log].watch, paused);
}

/* Keep input back until the turn is quiet, then let a child write the image down. */
static void take_snapshot(struct pd_shell *shell) {
  bool rested = shell->snapshot_pid == 0 && uv_now(&shell->loop) >= shell->snapshot_rest;
  if (rested && !shell->snapshot_due && shell->phase == PD_PHASE_LIVE && snapshot_is_old(shell)) {
    shell->snapshot_due = true;
    pause_feeds(shell, true);
  }
  if (!shell->snapshot_due || !pd_turn_quiet(&shell->turn)) return;
  pd_shell_save(shell, true);
  pause_feeds(shell, false);
}

void pd_live_round(struct pd_shell *shell) {
  if (shell->phase == PD_PHASE_BOOT || shell->phase == PD_PHASE_FENCED) return;
  struct pd_turn *turn = &shell->turn;
  pd_turn_now(turn, pd_clock_now(&shell->clock));
  bool late = uv_now(&shell->loop) - shell->noted_at >= NOTE_EVERY_MS && pd_turn_unnoted(turn);
  if (shell->phase == PD_PHASE_LIVE) {
    for (unsigned log = 1; log < PD_LOGS; log++) read_more(&shell->feeds[log]);
    if (shell->service->round != NULL && feeding(shell)) shell->service->round(shell->context);
    while (feeding(shell) && pd_turn_time(turn)) continue;
  }
  close_batch(shell, late);
  settle_doubt(shell);
  send_commits(shell);
  if (pd_turn_fenced(turn)) {
    shell->phase = PD_PHASE_FENCED;
    shell->acked_seq = turn->writer.seq;
    shell->acked_hash = turn->writer.hash;
    pd_metric_add(shell->counts.fences, 1);
    uv_stop(&shell->loop);
    return;
  }
  take_snapshot(shell);
  if (shell->phase == PD_PHASE_STOPPING && pd_turn_quiet(turn)) uv_stop(&shell->loop);
  arm_deadline(shell);
}

static void on_prepare(uv_prepare_t *prepare) { pd_live_round(prepare->data); }

static void on_committed(void *context, const struct pd_packed *packed) {
  struct pd_shell *shell = context;
  char topic[64];
  int length =
      snprintf(topic, sizeof topic, "@%06u/%s", shell->shard.code, shell->service->core->name);
  struct pd_frame frames[3] = {{topic, (size_t)length},
                               {packed->bytes, packed->size},
                               {packed->hash.bytes, sizeof packed->hash.bytes}};
  if (pd_bus_send(shell->publisher, frames, 3) != PD_OK) pd_metric_add(shell->counts.bad, 1);
  pd_metric_add(shell->counts.commits, 1);
  pd_metric_add(shell->counts.bytes, packed->size);
  pd_metric_add(shell->counts.events, packed->head.last_seq - packed->head.first_seq + 1);
  if (shell->service->committed != NULL) shell->service->committed(shell->context, packed);
}

static void on_reply(void *context, uint64_t token, const uint8_t *bytes, size_t size) {
  struct pd_shell *shell = context;
  shell->service->reply(shell->context, token, bytes, size);
}

static void on_emitted(void *context, const struct pd_event *event) {
  struct pd_shell *shell = context;
  shell->service->emitted(shell->context, event);
}

void pd_live_beat(struct pd_shell *shell) {
  pd_shell_reap(shell);
  if (shell->phase != PD_PHASE_LIVE) return;
  refresh_counts(shell);
  char topic[64];
  int length =
      snprintf(topic, sizeof topic, "@%06u/%s/tip", shell->shard.code, shell->service->core->name);
  struct pd_tip tip = PD_TIP_INIT;
  tip.shard = shell->shard.code;
  tip.log = shell->service->core->log;
  tip.epoch = shell->turn.writer.epoch;
  tip.last_seq = shell->turn.writer.seq;
  tip.time_ms = shell->turn.now_ms;
  uint8_t bytes[128];
  struct pd_frame frames[2] = {{topic, (size_t)length},
                               {bytes, protobuf_c_message_pack(&tip.base, bytes)}};
  if (pd_bus_send(shell->publisher, frames, 2) != PD_OK) pd_metric_add(shell->counts.bad, 1);
}

/* ---- life ---- */

static enum pd_err open_feed(struct pd_shell *shell, enum pd_log log) {
  struct pd_feed *feed = &shell->feeds[log];
  char endpoint[PD_ENDPOINT], topic[64];
  if (!pd_shell_endpoint(shell->common->run_dir, pd_log_name(log), "pub", endpoint))
    return PD_EBOUNDS;
  *feed = (struct pd_feed){.shell = shell, .log = log};
  struct pd_bus_options options = {.max_message = PD_ENTRY_MAX};
  enum pd_err err = pd_bus_socket(&feed->socket, shell->zmq, ZMQ_SUB, &options);
  if (err != PD_OK) return err;
  int length = snprintf(topic, sizeof topic, "@%06u/%s", shell->shard.code, pd_log_name(log));
  if (zmq_setsockopt(feed->socket, ZMQ_SUBSCRIBE, topic, (size_t)length) != 0) return PD_EIO;
  err = pd_bus_connect(feed->socket, endpoint);
  return err == PD_OK ? pd_bus_watch(&feed->watch, &shell->loop, feed->socket, on_frames, feed)
                      : err;
}

/* A second instance in the same run_dir would take over the sockets' paths without a word. */
enum pd_err pd_live_lock(struct pd_shell *shell) {
  char path[512];
  const char *run_dir = shell->common->run_dir;
  snprintf(path, sizeof path, "%s/%s.lock", run_dir, shell->service->core->name);
  shell->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (shell->lock < 0) return PD_EIO;
  return flock(shell->lock, LOCK_EX | LOCK_NB) == 0 ? PD_OK : PD_EEXIST;
}

enum pd_err pd_live_open(struct pd_shell *shell) {
  char endpoint[PD_ENDPOINT];
  if (!pd_shell_endpoint(shell->common->run_dir, shell->service->core->name, "pub", endpoint))
    return PD_EBOUNDS;
  enum pd_err err = pd_bus_socket(&shell->publisher, shell->zmq, ZMQ_PUB, NULL);
  if (err == PD_OK) err = pd_bus_bind(shell->publisher, endpoint);
  for (unsigned log = 1; log < PD_LOGS && err == PD_OK; log++)
    if (shell->service->core->inputs & PD_LOG_BIT(log)) err = open_feed(shell, (enum pd_log)log);
  shell->prepare.data = shell;
  uv_prepare_init(&shell->loop, &shell->prepare);
  return err;
}

void pd_live_start(struct pd_shell *shell) {
  struct pd_turn_hooks *hooks = &shell->turn.config.hooks;
  *hooks = (struct pd_turn_hooks){.context = shell, .committed = on_committed};
  hooks->reply = shell->service->reply == NULL ? NULL : on_reply;
  hooks->emitted = shell->service->emitted == NULL ? NULL : on_emitted;
  shell->phase = PD_PHASE_LIVE;
  shell->noted_at = uv_now(&shell->loop);
  for (unsigned log = 1; log < PD_LOGS; log++)
    shell->feeds[log].behind = shell->feeds[log].socket != NULL;
  uv_prepare_start(&shell->prepare, on_prepare);
}

void pd_live_close(struct pd_shell *shell) {
  for (unsigned log = 1; log < PD_LOGS; log++) {
    pd_bus_unwatch(shell->feeds[log].watch);
    if (shell->feeds[log].socket != NULL) zmq_close(shell->feeds[log].socket);
  }
  if (shell->publisher != NULL) zmq_close(shell->publisher);
  if (shell->lock >= 0) close(shell->lock);
  uv_prepare_stop(&shell->prepare);
}
