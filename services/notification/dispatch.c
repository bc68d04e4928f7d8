#include "services/notification/dispatch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define WINDOW 8192 /* messages handed out and not reported yet, at most */
#define FLUSH_MS 20 /* between two turns of the sink */
#define BATCH 512   /* handed out in one round: 512 texts take 2 to 3 ms */

/* A final result that the turn has not taken yet. */
struct result {
  struct pd_delivery delivery;
  char why[65];
};

struct dispatch {
  struct pd_seat *seat;
  struct sink *sink;
  struct notification_cursor cursor;
  struct result *results; /* a ring of WINDOW */
  uint32_t first;
  uint32_t count;
  uint32_t under_way; /* handed out, no final result fed yet */
  uint64_t dropped;
  uv_signal_t hangup;
  uv_timer_t flush;
  uint64_t flushed_at; /* loop time */
  struct pd_metric *sent, *failed, *suppressed, *attempts_failed;
  struct pd_metric *waiting, *by_day, *handed, *lost;
};

static const struct notification *core_of(const struct dispatch *self) {
  return pd_seat_turn(self->seat)->self;
}

/* ---- results ---- */

/* From the sink, at any time: kept until a round may feed the turn. */
static void on_done(void *context, const struct pd_delivery *delivery) {
  struct dispatch *self = context;
  if (!delivery->ok) pd_metric_add(self->attempts_failed, 1);
  if (!delivery->final) return;
  pd_assert(self->count < WINDOW && self->count < self->under_way);
  struct result *result = &self->results[(self->first + self->count++) % WINDOW];
  result->delivery = *delivery;
  snprintf(result->why, sizeof result->why, "%s", delivery->why != NULL ? delivery->why : "");
  result->delivery.why = delivery->why != NULL ? result->why : NULL;
  pd_seat_wake(self->seat);
}

static void feed_results(struct dispatch *self) {
  struct pd_turn *turn = pd_seat_turn(self->seat);
  while (self->count > 0 && pd_turn_open(turn)) {
    pd_turn_delivery(turn, &self->results[self->first].delivery);
    self->first = (self->first + 1) % WINDOW;
    self->count--;
    self->under_way--;
  }
}

/* ---- handing out ---- */

/* True if the batch is full and more may wait. */
static bool hand_out(struct dispatch *self) {
  struct pd_turn *turn = pd_seat_turn(self->seat);
  struct notification_message message;
  struct notification_text text;
  for (uint32_t i = 0; i < BATCH; i++) {
    if (self->under_way >= WINDOW || self->sink->room(self->sink) == 0) return false;
    if (!notification_next(turn->self, turn->now_ms, &self->cursor, &message)) return false;
    notification_render(&message, turn->config.shard.zone_min, &text);
    self->sink->deliver(self->sink, &message, &text);
    self->under_way++;
  }
  return true;
}

static void show_counts(struct dispatch *self) {
  struct notification_counts counts = notification_count(core_of(self));
  pd_metric_set(self->waiting, (double)counts.waiting);
  pd_metric_set(self->by_day, (double)counts.by_day);
  pd_metric_set(self->handed, (double)self->under_way);
  if (counts.dropped > self->dropped) pd_metric_add(self->lost, counts.dropped - self->dropped);
  self->dropped = counts.dropped;
}

static void on_flush(uv_timer_t *timer) {
  struct dispatch *self = timer->data;
  pd_seat_wake(self->seat);
}

/* Let the sink do its work: not at every round, since a sink may wait for the disk, which the logs
 * need too; at once when it is full. */
static void flush_paced(struct dispatch *self) {
  uint64_t now = uv_now(pd_shell_loop(pd_seat_shell(self->seat))), since = now - self->flushed_at;
  bool full = self->under_way >= WINDOW || self->sink->room(self->sink) == 0;
  if (since >= FLUSH_MS || full) {
    self->flushed_at = now;
    self->sink->flush(self->sink);
  } else if (self->under_way > 0 && !uv_is_active((uv_handle_t *)&self->flush)) {
    uv_timer_start(&self->flush, on_flush, FLUSH_MS - since, 0);
  }
}

void dispatch_round(void *context) {
  struct dispatch *self = context;
  feed_results(self);
  bool more = hand_out(self);
  flush_paced(self);
  feed_results(self);
  if (more || self->count > 0) pd_seat_wake(self->seat);
  show_counts(self);
}

void dispatch_lead(void *context) {
  struct dispatch *self = context;
  self->sink->drop(self->sink);
  self->cursor = (struct notification_cursor){0};
  self->first = self->count = self->under_way = 0;
  self->dropped = notification_count(core_of(self)).dropped;
}

/* What the sink still has is the next leader's to deliver. */
void dispatch_rest(void *context) {
  struct dispatch *self = context;
  self->sink->drop(self->sink);
  self->first = self->count = self->under_way = 0;
}

void dispatch_emitted(void *context, const struct pd_event *event) {
  struct dispatch *self = context;
  if (event->body_case == PD_EVENT_MESSAGE_SENT) pd_metric_add(self->sent, 1);
  if (event->body_case == PD_EVENT_MESSAGE_FAILED) pd_metric_add(self->failed, 1);
  if (event->body_case != PD_EVENT_MESSAGE_SUPPRESSED) return;
  pd_metric_add(self->suppressed, 1);
  const struct pd_message_suppressed *body = event->message_suppressed;
  if (self->sink->cancel(self->sink, body->about->log, body->about->seq, body->part))
    self->under_way--;
}

const char *dispatch_unready(void *context) {
  struct dispatch *self = context;
  return self->sink->trouble(self->sink);
}

/* ---- life ---- */

static void on_hangup(uv_signal_t *signal, int number) {
  (void)number;
  struct dispatch *self = signal->data;
  self->sink->reopen(self->sink);
}

static struct pd_metric *counter(struct dispatch *self, const char *name, const char *help,
                                 const char *labels) {
  char text[PD_SEAT_LABELS];
  struct pd_metrics *metrics = pd_shell_metrics(pd_seat_shell(self->seat));
  return pd_metrics_counter(metrics, name, help, pd_seat_labels(self->seat, labels, text));
}

static struct pd_metric *gauge(struct dispatch *self, const char *name, const char *help) {
  char text[PD_SEAT_LABELS];
  struct pd_metrics *metrics = pd_shell_metrics(pd_seat_shell(self->seat));
  return pd_metrics_gauge(metrics, name, help, pd_seat_labels(self->seat, NULL, text));
}

static void make_counts(struct dispatch *self) {
  const char *name = "paidan_messages_total", *help = "Messages that ended, by outcome.";
  self->sent = counter(self, name, help, "outcome=\"sent\"");
  self->failed = counter(self, name, help, "outcome=\"failed\"");
  self->suppressed = counter(self, name, help, "outcome=\"suppressed\"");
  self->attempts_failed = counter(self, "paidan_message_attempts_failed_total",
                                  "Attempts to deliver a message that failed.", NULL);
  self->lost = counter(self, "paidan_messages_dropped_total",
                       "Messages for which there was no room; must stay 0.", NULL);
  self->waiting = gauge(self, "paidan_messages_waiting", "Messages not delivered yet.");
  self->by_day = gauge(self, "paidan_messages_waiting_by_day",
                       "Of these, not to be sent in quiet hours.");
  self->handed = gauge(self, "paidan_messages_under_way",
                       "Messages handed to the sink and not reported yet.");
}

enum pd_err dispatch_open(struct pd_seat *seat, const struct dispatch_maker *maker,
                          struct dispatch **dispatch) {
  struct dispatch *self = calloc(1, sizeof *self);
  pd_assert(self != NULL);
  self->seat = seat;
  self->results = calloc(WINDOW, sizeof *self->results);
  pd_assert(self->results != NULL);
  enum pd_err err = maker->make(maker->config, seat, on_done, self, &self->sink);
  if (err != PD_OK) {
    free(self->results);
    free(self);
    return err;
  }
  make_counts(self);
  uv_signal_init(pd_shell_loop(pd_seat_shell(seat)), &self->hangup);
  self->hangup.data = self;
  uv_signal_start(&self->hangup, on_hangup, SIGHUP);
  uv_unref((uv_handle_t *)&self->hangup);
  uv_timer_init(pd_shell_loop(pd_seat_shell(seat)), &self->flush);
  self->flush.data = self;
  *dispatch = self;
  return PD_OK;
}

static void on_closed(uv_handle_t *handle) {
  struct dispatch *self = handle->data;
  free(self->results);
  free(self);
}

static void on_hangup_closed(uv_handle_t *handle) {
  struct dispatch *self = handle->data;
  uv_close((uv_handle_t *)&self->flush, on_closed);
}

void dispatch_close(void *context) {
  struct dispatch *self = context;
  self->sink->close(self->sink);
  uv_close((uv_handle_t *)&self->hangup, on_hangup_closed);
}
