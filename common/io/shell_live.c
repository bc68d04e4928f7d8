/* The rounds of a seat that leads: what came in is decided, committed, published and answered.
 *
 * All of it only as long as the lease is ours by our own clock, looked at anew each time: a process
 * that stood still must not act on what it knew before.  While it is not ours, and nobody else has
 * written, everything stays as it is. */
#include "common/io/journal.h"
#include "common/io/shell_state.h"

#include <stdio.h>
#include <string.h>

#define REFUSED_PAUSE_MS 200 /* after the store refused a commit */
#define NOTE_EVERY_MS 1000   /* marks without an event are noted at least this often */
#define LOST_PAUSE_MS 1000   /* until the tail of a log that lost something is read again */
#define LOST_SAID_EVERY_MS 10000
#define FENCE_PAUSE_MS 1000  /* before the log is read again after a fence */

bool pd_live_feeding(const struct pd_seat *seat) {
  return pd_seat_leading(seat) && pd_turn_open(&seat->turn);
}

void pd_live_see_clock(struct pd_seat *seat) {
  if (seat->phase == PD_PHASE_LIVE) pd_turn_now(&seat->turn, pd_clock_now(&seat->clock));
}

/* ---- commits ---- */

static void note_refused(struct pd_seat *seat, const char *why) {
  uint64_t now = uv_now(&seat->shell->loop);
  pd_metric_add(seat->counts.refused, 1);
  seat->retry_at = now + REFUSED_PAUSE_MS;
  snprintf(seat->why, sizeof seat->why, "the log's Redis refuses to write: %s", why);
  if (pd_journal_once("refused", 10000, now, NULL))
    seat_say(seat, PD_LEVEL_ERROR, pd_kv_text("msg", "a commit was refused, trying again"),
             pd_kv_text("why", why));
}

static void on_commit(void *context, const struct pd_committed *committed) {
  struct pd_seat *seat = context;
  enum pd_commit_reply reply = committed->reply;
  if (seat->stale > 0) {
    seat->stale--;
    return;
  }
  pd_metric_see(seat->counts.seconds, (double)(uv_hrtime() - seat->sent_at[0]) / 1e9);
  memmove(&seat->sent_at[0], &seat->sent_at[1], sizeof seat->sent_at - sizeof seat->sent_at[0]);
  seat->in_flight--;
  if (reply == PD_COMMIT_REFUSED) note_refused(seat, committed->why);
  if (reply == PD_COMMIT_OK) seat->why[0] = 0;
  /* What would leave with it may be old by now: the tail tells, once the lease is ours again. */
  if (!pd_seat_holds(seat) || seat->unsure) reply = PD_COMMIT_UNKNOWN;
  pd_turn_reply(&seat->turn, reply);
  pd_seat_wake(seat);
}

static void send_commits(struct pd_seat *seat) {
  if (uv_now(&seat->shell->loop) < seat->retry_at || !pd_store_is_up(seat->store)) return;
  const struct pd_packed *packed;
  while ((packed = pd_turn_send(&seat->turn)) != NULL) {
    struct pd_commit commit = {.epoch = packed->head.epoch,
                               .first_seq = packed->head.first_seq,
                               .last_seq = packed->head.last_seq,
                               .bytes = packed->bytes,
                               .size = packed->size};
    memcpy(commit.prev_hash, packed->head.prev.bytes, sizeof commit.prev_hash);
    memcpy(commit.hash, packed->hash.bytes, sizeof commit.hash);
    const char *log = pd_log_name(packed->head.log);
    if (pd_store_commit(seat->store, log, &commit, on_commit, seat) == PD_OK) {
      seat->sent_at[seat->in_flight++] = uv_hrtime();
      continue;
    }
    pd_turn_reply(&seat->turn, PD_COMMIT_UNKNOWN);
    return;
  }
}

/* Not for us to paper over: what was acknowledged is not in the log.  If another server has it, it
 * will be read there; until then nothing is served. */
static void say_lost(struct pd_seat *seat, uint64_t seq) {
  uint64_t now = uv_now(&seat->shell->loop);
  seat->retry_at = now + LOST_PAUSE_MS;
  if (!pd_journal_once("lost", LOST_SAID_EVERY_MS, now, NULL)) return;
  seat_say(seat, PD_LEVEL_ERROR, pd_kv_text("msg", "the log has lost what was acknowledged"),
           pd_kv_uint("acknowledged_seq", seat->turn.writer.seq), pd_kv_uint("log_seq", seq),
           pd_kv_text("next", "bring back the Redis that has it, or restore the log"));
}

static void on_tail(void *context, enum pd_err err, const struct pd_tail *tail) {
  struct pd_seat *seat = context;
  seat->tail_asked = false;
  pd_seat_wake(seat);
  if (err != PD_OK || !pd_turn_wants_tail(&seat->turn) || !pd_seat_holds(seat)) return;
  struct pd_hash hash;
  memcpy(hash.bytes, tail->hash, sizeof hash.bytes);
  pd_turn_tail(&seat->turn, tail->last_seq, &hash);
  if (pd_turn_lost(&seat->turn)) say_lost(seat, tail->last_seq);
}

static void settle_doubt(struct pd_seat *seat) {
  if (!pd_turn_wants_tail(&seat->turn) || seat->tail_asked || seat->in_flight > 0) return;
  if (uv_now(&seat->shell->loop) < seat->retry_at) return;
  const char *log = seat->shell->service->core->name;
  seat->tail_asked = pd_store_boot(seat->store, log, on_tail, seat) == PD_OK;
}

/* ---- what leaves ---- */

static void publish(struct pd_seat *seat, const struct pd_frame *frames, size_t count) {
  if (pd_bus_send(seat->shell->publisher, frames, count) != PD_OK)
    pd_metric_add(seat->counts.bad, 1);
}

static void on_committed(void *context, const struct pd_packed *packed) {
  struct pd_seat *seat = context;
  const struct pd_service *service = seat->shell->service;
  char topic[64];
  int length = snprintf(topic, sizeof topic, "@%06u/%s", seat->shard.code, service->core->name);
  struct pd_frame frames[3] = {{topic, (size_t)length},
                               {packed->bytes, packed->size},
                               {packed->hash.bytes, sizeof packed->hash.bytes}};
  publish(seat, frames, 3);
  pd_metric_add(seat->counts.commits, 1);
  pd_metric_add(seat->counts.bytes, packed->size);
  pd_metric_add(seat->counts.events, packed->head.last_seq - packed->head.first_seq + 1);
  if (service->committed != NULL) service->committed(seat->context, packed);
}

static void on_reply(void *context, uint64_t token, const uint8_t *bytes, size_t size) {
  struct pd_seat *seat = context;
  seat->shell->service->reply(seat->context, token, bytes, size);
}

static void on_emitted(void *context, const struct pd_event *event) {
  struct pd_seat *seat = context;
  seat->shell->service->emitted(seat->context, event);
}

void pd_live_tip(struct pd_seat *seat) {
  const struct pd_core *core = seat->shell->service->core;
  if (!pd_seat_holds(seat) || seat->unsure) return;
  char topic[64];
  int length = snprintf(topic, sizeof topic, "@%06u/%s/tip", seat->shard.code, core->name);
  struct pd_tip tip = PD_TIP_INIT;
  tip.shard = seat->shard.code;
  tip.log = core->log;
  tip.epoch = seat->turn.writer.epoch;
  tip.last_seq = seat->turn.writer.seq;
  tip.time_ms = seat->turn.now_ms;
  uint8_t bytes[128];
  struct pd_frame frames[2] = {{topic, (size_t)length},
                               {bytes, protobuf_c_message_pack(&tip.base, bytes)}};
  publish(seat, frames, 2);
}

/* ---- a round ---- */

static void on_timer(uv_timer_t *timer) { pd_live_round(timer->data); }

/* What is due but has to wait, for a commit or for a snapshot, is looked at again in a millisecond:
 * a timer of 0 ms is run again before libuv looks at any socket, and so for ever. */
static void arm_deadline(struct pd_seat *seat) {
  int64_t when = pd_turn_deadline(&seat->turn);
  uint64_t wait_ms = when == PD_NEVER ? 0 : pd_clock_until(&seat->clock, when);
  if (when == PD_NEVER)
    uv_timer_stop(&seat->deadline);
  else
    uv_timer_start(&seat->deadline, on_timer, wait_ms > 0 ? wait_ms : 1, 0);
}

void pd_live_refresh(struct pd_seat *seat) {
  struct pd_seat_counts *counts = &seat->counts;
  const struct pd_turn *turn = &seat->turn;
  pd_metric_set(counts->seq, (double)turn->writer.seq);
  pd_metric_set(counts->epoch, (double)(turn->writer.epoch - !turn->leading));
  uint64_t known = (uint64_t)pd_metric_value(counts->unknown);
  if (turn->unknown_kinds > known) pd_metric_add(counts->unknown, turn->unknown_kinds - known);
  for (unsigned log = 1; log < PD_LOGS; log++) {
    if (counts->input_seq[log] == NULL) continue;
    pd_metric_set(counts->input_seq[log], (double)(turn->inputs[log].next - 1));
    pd_metric_set(counts->input_tail[log], (double)turn->inputs[log].tail);
  }
}

/* End the batch, unless the service lingers and the last one ended a moment ago. */
static void close_batch(struct pd_seat *seat, bool late) {
  bool draining = seat->phase == PD_PHASE_DRAINING || seat->snapshot_due;
  uint64_t now = uv_now(&seat->shell->loop);
  uint64_t since = now - seat->noted_at, linger = seat->shell->service->linger_ms;
  if (since < linger && !draining && pd_turn_open(&seat->turn)) {
    if (!uv_is_active((uv_handle_t *)&seat->linger))
      uv_timer_start(&seat->linger, on_timer, linger - since, 0);
    return;
  }
  if (pd_turn_close(&seat->turn, late || draining)) seat->noted_at = now;
}

static void feed(struct pd_seat *seat) {
  const struct pd_service *service = seat->shell->service;
  pd_feeds_round(seat);
  if (service->round != NULL && pd_live_feeding(seat)) service->round(seat->context);
  while (pd_live_feeding(seat) && pd_turn_time(&seat->turn)) continue;
}

/* Keep input back until the turn is quiet, then let a child write the image down.  Meanwhile frames
 * wait in their sockets: passed over, they would have to be read from the store again. */
static void take_snapshot(struct pd_seat *seat) {
  if (!seat->snapshot_due && seat->phase == PD_PHASE_LIVE && pd_seat_snapshot_old(seat)) {
    seat->snapshot_due = true;
    pd_feeds_pause(seat, true);
  }
  if (!seat->snapshot_due || !pd_turn_quiet(&seat->turn)) return;
  pd_seat_save(seat, true);
  pd_feeds_pause(seat, false);
}

/* Everything is committed: what it drained for. */
static void drained(struct pd_seat *seat) {
  bool stop = seat->shell->stopping;
  pd_lease_free(seat, !stop);
  if (!stop) {
    seat_say(seat, PD_LEVEL_INFO,
             pd_kv_text("msg", "letting the lease go: another instance holds fewer"));
    pd_seat_rest(seat);
    return;
  }
  seat->stopped = true;
  pd_shell_consider(seat->shell);
}

static void fenced(struct pd_seat *seat) {
  pd_metric_add(seat->counts.fences, 1);
  seat_say(seat, PD_LEVEL_ERROR,
           pd_kv_text("msg", "fenced: another leader has written; the state is rebuilt"));
  pd_lease_free(seat, true);
  pd_seat_rebuild(seat, FENCE_PAUSE_MS);
}

/* The lease was over for a while: nothing is done before the tail has shown that the log is as we
 * left it.  True if it has. */
static bool is_sure(struct pd_seat *seat) {
  if (!seat->unsure) return true;
  settle_doubt(seat);
  if (pd_turn_fenced(&seat->turn))
    fenced(seat);
  else if (!pd_turn_doubted(&seat->turn))
    seat->unsure = false;
  return !seat->unsure && pd_seat_holds(seat);
}

void pd_live_round(struct pd_seat *seat) {
  struct pd_turn *turn = &seat->turn;
  bool leads = seat->phase == PD_PHASE_LIVE || seat->phase == PD_PHASE_DRAINING;
  if (!leads || seat->stopped || !pd_seat_holds(seat) || !is_sure(seat)) return;
  pd_turn_now(turn, pd_clock_now(&seat->clock));
  uint64_t since = uv_now(&seat->shell->loop) - seat->noted_at;
  bool late = since >= NOTE_EVERY_MS && pd_turn_unnoted(turn);
  if (seat->phase == PD_PHASE_LIVE) feed(seat);
  if (!pd_seat_holds(seat)) return; /* what was fed took too long: nothing of it may leave */
  close_batch(seat, late);
  settle_doubt(seat);
  send_commits(seat);
  if (pd_turn_fenced(turn)) {
    fenced(seat);
    return;
  }
  take_snapshot(seat);
  arm_deadline(seat);
  if (seat->phase == PD_PHASE_DRAINING && pd_turn_quiet(turn)) drained(seat);
}

/* ---- life ---- */

void pd_live_drain(struct pd_seat *seat) {
  if (seat->phase == PD_PHASE_LIVE) seat->phase = PD_PHASE_DRAINING;
  pd_seat_wake(seat);
}

void pd_live_start(struct pd_seat *seat) {
  const struct pd_service *service = seat->shell->service;
  struct pd_turn_hooks *hooks = &seat->turn.config.hooks;
  *hooks = (struct pd_turn_hooks){.context = seat, .committed = on_committed};
  hooks->reply = service->reply == NULL ? NULL : on_reply;
  hooks->emitted = service->emitted == NULL ? NULL : on_emitted;
  pd_clock_floor(&seat->clock, seat->turn.now_ms);
  pd_turn_lead(&seat->turn, pd_clock_now(&seat->clock));
  seat->phase = PD_PHASE_LIVE;
  seat->retry_at = 0;
  seat->noted_at = uv_now(&seat->shell->loop);
  if (pd_feeds_open(seat) != PD_OK)
    seat_say(seat, PD_LEVEL_ERROR, pd_kv_text("msg", "an input cannot be heard, it is only read"));
  seat->leases_at = 0;
  pd_feeds_ask(seat);
  if (service->lead != NULL) service->lead(seat->context);
  pd_metric_set(seat->counts.leading, 1);
  if (seat->led_elsewhere) pd_metric_add(seat->counts.takeovers, 1);
  seat->led_elsewhere = false;
  seat_say(seat, PD_LEVEL_INFO, pd_kv_text("msg", "leading"),
           pd_kv_uint("epoch", seat->turn.writer.epoch));
}
