/* A seat's life: what is opened once, how it goes from phase to phase, what it says of itself. */
#include "common/io/journal.h"
#include "common/io/shell_state.h"

#include <stdio.h>
#include <string.h>

struct pd_shell *pd_seat_shell(struct pd_seat *seat) { return seat->shell; }
struct pd_turn *pd_seat_turn(struct pd_seat *seat) { return &seat->turn; }
const struct pd_shard *pd_seat_shard(const struct pd_seat *seat) { return &seat->shard; }
void *pd_seat_shared(struct pd_seat *seat) { return seat->shell->shared; }
void *pd_seat_context(struct pd_seat *seat) { return seat->context; }
void pd_seat_wake(struct pd_seat *seat) { pd_shell_wake(seat->shell); }

const char *pd_seat_labels(const struct pd_seat *seat, const char *labels, char *text) {
  if (seat->shell->seat_count == 1) return labels;
  snprintf(text, PD_SEAT_LABELS, "shard=\"%s\"%s%s", seat->name, labels == NULL ? "" : ",",
           labels == NULL ? "" : labels);
  return text;
}

static void on_later(uv_timer_t *timer) { pd_seat_wake(timer->data); }

void pd_seat_later(struct pd_seat *seat, uint64_t ms) {
  uv_timer_start(&seat->later, on_later, ms, 0);
}

/* ---- metrics ---- */

static struct pd_metric *counter(struct pd_seat *seat, const char *name, const char *help) {
  char text[PD_SEAT_LABELS];
  return pd_metrics_counter(seat->shell->metrics, name, help, pd_seat_labels(seat, NULL, text));
}

static struct pd_metric *gauge(struct pd_seat *seat, const char *name, const char *help,
                               const char *labels) {
  char text[PD_SEAT_LABELS];
  return pd_metrics_gauge(seat->shell->metrics, name, help, pd_seat_labels(seat, labels, text));
}

static void make_input_counts(struct pd_seat *seat) {
  struct pd_seat_counts *c = &seat->counts;
  for (unsigned log = 1; log < PD_LOGS; log++) {
    if (!(seat->shell->service->core->inputs & PD_LOG_BIT(log))) continue;
    char label[64];
    snprintf(label, sizeof label, "log=\"%s\"", pd_log_name(log));
    c->input_seq[log] =
        gauge(seat, "paidan_input_seq", "Last event consumed of an input log.", label);
    c->input_tail[log] =
        gauge(seat, "paidan_input_tail", "Last event known of an input log.", label);
  }
}

static void make_counts(struct pd_seat *seat) {
  struct pd_seat_counts *c = &seat->counts;
  char text[PD_SEAT_LABELS];
  c->events = counter(seat, "paidan_events_total", "Events committed.");
  c->commits = counter(seat, "paidan_commits_total", "Entries committed.");
  c->bytes = counter(seat, "paidan_commit_bytes_total", "Bytes of the entries committed.");
  c->gaps = counter(seat, "paidan_gaps_total", "Times that an input was read from the store.");
  c->bad = counter(seat, "paidan_frames_bad_total", "Frames that were not taken.");
  c->unknown = counter(seat, "paidan_events_unknown_total", "Input events of unknown kinds.");
  c->refused = counter(seat, "paidan_commits_refused_total", "Commits that the store refused.");
  c->fences = counter(seat, "paidan_fences_total", "Times that another leader had written.");
  c->losses = counter(seat, "paidan_lease_losses_total",
                      "Times that the lease was not renewed in time while leading.");
  c->takeovers = counter(seat, "paidan_takeovers_total",
                         "Times that this instance led on where another had led.");
  c->leading = gauge(seat, "paidan_leading", "1 if this instance leads the log, else 0.", NULL);
  c->seconds = pd_metrics_histogram(
      seat->shell->metrics, "paidan_commit_seconds",
      "From sending an entry to its durable reply.", pd_seat_labels(seat, NULL, text),
      pd_metrics_seconds, pd_metrics_seconds_count);
  c->seq = gauge(seat, "paidan_log_seq", "Last committed event of the own log.", NULL);
  c->epoch = gauge(seat, "paidan_log_epoch", "Epoch in which the own log is written.", NULL);
  make_input_counts(seat);
}

/* ---- readiness ---- */

/* Why it leads, but not well; or NULL. */
static const char *trouble(struct pd_seat *seat) {
  const struct pd_service *service = seat->shell->service;
  if (pd_turn_lost(&seat->turn)) return "the log has lost what was acknowledged";
  if (pd_turn_wants_tail(&seat->turn)) return "it is being asked what the log holds";
  if (seat->lapsed) return "the lease could not be renewed in time";
  if (pd_feeds_behind(seat)) return "an input log is being read";
  return service->unready == NULL ? NULL : service->unready(seat->context);
}

static const char *state_of(struct pd_seat *seat, bool *ready) {
  static char standing[80];
  const char *instance;
  *ready = false;
  if (seat->phase == PD_PHASE_BROKEN) return "its log cannot be served: read the journal";
  if (seat->why[0] != 0) return seat->why;
  if (seat->phase == PD_PHASE_LIVE) {
    const char *why = trouble(seat);
    *ready = why == NULL;
    return why;
  }
  if (seat->phase == PD_PHASE_DRAINING) return "the lease is being let go";
  if (seat->phase != PD_PHASE_FOLD || !seat->fold.caught_up) return "the log is being replayed";
  if (pd_seat_elsewhere(seat, &instance) == NULL) return "waiting for the lease";
  *ready = true;
  snprintf(standing, sizeof standing, "standing by: instance %s leads", instance);
  return standing;
}

const char *pd_seat_ready(struct pd_seat *seat, bool *ready) {
  const char *why = state_of(seat, ready);
  if (why == NULL) return NULL;
  bool several = seat->shell->seat_count > 1;
  snprintf(seat->words, sizeof seat->words, "%s%s%s", several ? seat->name : "",
           several ? ": " : "", why);
  return seat->words;
}

/* ---- phases ---- */

/* What was under way is of no use any more. */
static void end_leading(struct pd_seat *seat) {
  const struct pd_service *service = seat->shell->service;
  seat->stale += seat->in_flight;
  seat->in_flight = 0;
  seat->snapshot_due = seat->lapsed = seat->unsure = false;
  uv_timer_stop(&seat->deadline);
  uv_timer_stop(&seat->linger);
  pd_feeds_close(seat);
  pd_metric_set(seat->counts.leading, 0);
  if (service->rest != NULL) service->rest(seat->context);
}

static bool leave_phase(struct pd_seat *seat) {
  bool led = seat->phase == PD_PHASE_LIVE || seat->phase == PD_PHASE_DRAINING;
  seat->life++;
  if (led) {
    seat->acked_seq = seat->turn.writer.seq;
    seat->acked_hash = seat->turn.writer.hash;
    end_leading(seat);
  }
  if (!seat->shell->stopping) return false;
  seat->phase = PD_PHASE_AWAY;
  seat->stopped = true;
  pd_shell_consider(seat->shell);
  return true;
}

void pd_seat_rebuild(struct pd_seat *seat, uint64_t pause_ms) {
  if (leave_phase(seat)) return;
  seat->phase = PD_PHASE_AWAY;
  seat->fold.caught_up = seat->fold.settled = false;
  seat->fold.again_at = uv_now(&seat->shell->loop) + pause_ms;
  pd_seat_later(seat, pause_ms);
}

void pd_seat_rest(struct pd_seat *seat) {
  bool quiet = pd_turn_quiet(&seat->turn);
  if (!quiet) {
    pd_seat_rebuild(seat, 0);
    return;
  }
  if (leave_phase(seat)) return;
  seat->acked_seq = 0; /* what follows is chained to it */
  pd_turn_rest(&seat->turn);
  pd_fold_begin(seat);
}

void pd_seat_break(struct pd_seat *seat, int code) {
  if (leave_phase(seat)) return;
  seat->phase = PD_PHASE_BROKEN;
  seat->code = code;
  pd_lease_free(seat, false);
  pd_shell_consider(seat->shell);
}

/* ---- life ---- */

static void on_store(void *context, bool up, const char *why) {
  struct pd_seat *seat = context;
  snprintf(seat->why, sizeof seat->why, "%s%s", up ? "" : "the log's Redis is away: ", why);
  seat_say(seat, up ? PD_LEVEL_INFO : PD_LEVEL_WARN,
           pd_kv_text("msg", up ? "store is up" : "store is away"), pd_kv_text("why", why));
  /* It may be another server, with another tail. */
  bool leads = seat->phase == PD_PHASE_LIVE || seat->phase == PD_PHASE_DRAINING;
  if (up && !seat->store_up && leads) pd_turn_doubt(&seat->turn);
  seat->store_up = up;
  pd_seat_wake(seat);
}

/* What the log's stream no longer has is read from there. */
static enum pd_err set_archive(struct pd_seat *seat) {
  const struct pd_common_config *common = seat->shell->common;
  char dir[sizeof common->data_dir + 16];
  snprintf(dir, sizeof dir, "%s/archive", common->data_dir);
  return pd_store_archive(seat->store, common->archive_dir[0] == 0 ? dir : common->archive_dir);
}

static void open_timers(struct pd_seat *seat) {
  uv_loop_t *loop = &seat->shell->loop;
  uv_timer_init(loop, &seat->deadline);
  uv_timer_init(loop, &seat->linger);
  uv_timer_init(loop, &seat->later);
  seat->deadline.data = seat->linger.data = seat->later.data = seat;
  seat->opened = true;
}

enum pd_err pd_seat_open(struct pd_seat *seat) {
  struct pd_shell *shell = seat->shell;
  const struct pd_common_config *common = shell->common;
  struct pd_redis_options redis = {.url = common->log_redis,
                                   .user = common->log_user,
                                   .password_file = common->log_password_file};
  snprintf(seat->name, sizeof seat->name, "%06u", seat->shard.code % 1000000);
  snprintf(seat->why, sizeof seat->why, "the log's Redis is away: not connected yet");
  pd_clock_init(&seat->clock, common->clock_anchor_ms, common->clock_at_ms, common->clock_factor);
  pd_lease_init(&seat->lease);
  open_timers(seat);
  make_counts(seat);
  enum pd_err err =
      pd_store_open(&seat->store, &shell->loop, &redis, seat->shard.code, on_store, seat);
  if (err == PD_OK)
    err = pd_store_open(&seat->lease_store, &shell->loop, &redis, seat->shard.code, NULL, NULL);
  if (err == PD_OK)
    pd_store_replicas(seat->store, (uint32_t)common->replicas,
                      (uint32_t)common->replica_timeout_ms);
  if (err == PD_OK) err = set_archive(seat);
  if (err == PD_OK && shell->service->open != NULL)
    err = shell->service->open(seat, shell->config, &seat->context);
  return err;
}

void pd_seat_round(struct pd_seat *seat) {
  if (seat->stopped) return;
  pd_fold_round(seat);
  pd_live_round(seat);
}

void pd_seat_beat(struct pd_seat *seat) {
  const struct pd_service *service = seat->shell->service;
  pd_seat_reap(seat);
  if (service->beat != NULL) service->beat(seat->context);
  if (seat->memory != NULL) pd_live_refresh(seat);
  if (seat->phase != PD_PHASE_LIVE) return;
  pd_live_tip(seat);
  pd_feeds_beat(seat);
}

void pd_seat_close(struct pd_seat *seat) {
  const struct pd_service *service = seat->shell->service;
  if (service->close != NULL && seat->context != NULL) service->close(seat->context);
  pd_feeds_close(seat);
  pd_store_close(seat->store);
  pd_store_close(seat->lease_store);
  pd_fold_close(seat);
  if (!seat->opened) return;
  uv_close((uv_handle_t *)&seat->deadline, NULL);
  uv_close((uv_handle_t *)&seat->linger, NULL);
  uv_close((uv_handle_t *)&seat->later, NULL);
}
