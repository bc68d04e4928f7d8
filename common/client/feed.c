/* What comes in: at the edge messages of one event each and tips, from local daemons entries. */
#include "common/base/err.h"
#include "common/client/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUMP_MAX  256
#define TIP_ROOM  ((size_t)256 << 10)
#define RECEIVE_MARK 100000

/* ---- the edge: events ---- */

static void take_event(struct paidan_events *events, const uint8_t *bytes, size_t size) {
  struct pd_event_view view;
  if (!pd_event_look(&view, events->paidan->shard, bytes, size)) return;
  if (view.log == 0 || view.log >= PD_LOGS || view.seq == UINT64_MAX) return;
  struct track *track = &events->tracks[view.log];
  if (track->next == 0 || view.seq < track->next) return; /* from before, or heard already */
  uint64_t *last = &track->last_of_kind[view.kind < KINDS ? view.kind : 0];
  if (*last >= view.seq) return;
  bool lost = view.prev >= track->next && view.prev > *last;
  if (lost && track->heal_to < view.seq - 1) track->heal_to = view.seq - 1;
  *last = view.seq;
  bool kept = track->heard.count < SHELF_MAX && shelf_put(&track->heard, view.seq, 0, bytes, size);
  if (!kept && track->heal_to < view.seq) track->heal_to = view.seq;
}

/* ---- the edge: tips ---- */

/* Is something missing that this tip tells of?  Its kinds name what was said from `since` on. */
static bool is_missing(const struct paidan_events *events, const struct track *track,
                       const struct pd_log_tip *tip) {
  if (tip->last_seq < track->next) return false;
  if (tip->since == 0 || tip->since > track->next) return true;
  for (size_t i = 0; i < tip->n_kinds; i++) {
    const struct pd_kind_tip *kind = tip->kinds[i];
    if (kind->last_seq < track->next) continue;
    if (kind->kind >= KINDS) return true;
    if (kind->last_seq > track->last_of_kind[kind->kind] && events_want(events, kind->kind))
      return true;
  }
  return false;
}

static void take_log_tip(struct paidan_events *events, const struct pd_log_tip *tip) {
  if ((unsigned)tip->log == 0 || (unsigned)tip->log >= PD_LOGS) return;
  if (tip->last_seq == UINT64_MAX) return;
  struct track *track = &events->tracks[tip->log];
  if (track->next == 0) {
    track->next = tip->last_seq + 1;
    events->dirty = true;
  }
  uint64_t *edge = is_missing(events, track, tip) ? &track->heal_to : &track->upto;
  if (*edge < tip->last_seq) *edge = tip->last_seq;
}

static void take_tip(struct paidan_events *events, const uint8_t *bytes, size_t size) {
  uint8_t *memory = calloc(1, TIP_ROOM);
  struct pd_arena arena;
  if (memory == NULL) return;
  pd_arena_init(&arena, memory, TIP_ROOM);
  const struct pd_edge_tip *tip = (const struct pd_edge_tip *)pd_unpack_checked(
      &arena, &pd_edge_tip_descriptor, bytes, size);
  if (tip != NULL && tip->shard == events->paidan->shard)
    for (size_t i = 0; i < tip->n_logs; i++) take_log_tip(events, tip->logs[i]);
  free(memory);
}

static void take_message(struct paidan_events *events) {
  static const char tail[] = "/tip";
  zmq_msg_t *topic = &events->message.frames[0], *body = &events->message.frames[1];
  if (events->message.count != 2) return;
  size_t size = zmq_msg_size(topic), length = sizeof tail - 1;
  const char *text = zmq_msg_data(topic);
  if (size >= length && memcmp(text + size - length, tail, length) == 0)
    take_tip(events, zmq_msg_data(body), zmq_msg_size(body));
  else
    take_event(events, zmq_msg_data(body), zmq_msg_size(body));
}

static bool pump_edge(struct paidan_events *events) {
  bool any = false;
  for (int i = 0; i < PUMP_MAX; i++) {
    enum pd_err err = pd_bus_receive(events->socket, &events->message);
    if (err == PD_EBOUNDS) continue;
    if (err != PD_OK) break;
    take_message(events);
    any = true;
  }
  return any;
}

static bool subscribe(struct paidan_events *events, const char *kind) {
  char topic[256];
  int length = snprintf(topic, sizeof topic, "%s%06u/%s", events->paidan->view,
                        events->paidan->shard, kind);
  return zmq_setsockopt(events->socket, ZMQ_SUBSCRIBE, topic, (size_t)length) == 0;
}

static bool open_edge(struct paidan_events *events) {
  struct paidan *paidan = events->paidan;
  struct pd_bus_options options = {.receive_mark = RECEIVE_MARK};
  char endpoint[320];
  bool good = pd_bus_socket(&events->socket, paidan->zmq, ZMQ_SUB, &options) == PD_OK &&
              pd_bus_curve_client(events->socket, &paidan->keys) == PD_OK &&
              client_port(paidan, 0, endpoint, sizeof endpoint);
  for (uint32_t i = 0; good && i < events->topic_count; i++)
    good = subscribe(events, events->topics[i]);
  good = good && subscribe(events, events->topic_count == 0 ? "" : "tip");
  return good && pd_bus_connect(events->socket, endpoint) == PD_OK;
}

/* ---- local daemons ---- */

static void on_event(void *context, const struct pd_event *event, const uint8_t *bytes,
                     size_t size) {
  struct paidan_events *events = context;
  struct pd_event_view view;
  if ((unsigned)event->log == 0 || (unsigned)event->log >= PD_LOGS) return;
  struct track *track = &events->tracks[event->log];
  bool wanted = pd_event_look(&view, events->paidan->shard, bytes, size) &&
                events_want_topic(events, view.topic);
  if (track->next == 0) track->next = event->seq;
  (void)shelf_put(&track->heard, event->seq, 0, bytes, wanted ? size : 0);
}

static void on_gap(void *context, enum pd_log log, uint64_t from, uint64_t to) {
  struct paidan_events *events = context;
  (void)shelf_put(&events->tracks[log].heard, to, from, NULL, 0);
}

static bool open_local(struct paidan_events *events) {
  struct paidan *paidan = events->paidan;
  struct pd_subscriber_calls calls = {.context = events, .event = on_event, .gap = on_gap};
  bool good =
      pd_subscriber_open(&events->subscriber, paidan->zmq, paidan->shard, &calls) == PD_OK;
  for (unsigned log = 1; good && log < PD_LOGS; log++) {
    char endpoint[256];
    (void)snprintf(endpoint, sizeof endpoint, "ipc://%s/%s.pub", paidan->run_dir,
                   pd_log_name(log));
    if (events->tracks[log].next != 0)
      pd_subscriber_expect(events->subscriber, (enum pd_log)log, events->tracks[log].next);
    good = pd_subscriber_connect(events->subscriber, endpoint) == PD_OK;
  }
  return good;
}

/* ---- either ---- */

int feed_open(struct paidan_events *events) {
  bool good = events->paidan->edge ? open_edge(events) : open_local(events);
  return good ? PAIDAN_OK
              : client_fail(events->paidan, PAIDAN_EIO, "the socket for events cannot be made");
}

bool feed_pump(struct paidan_events *events) {
  if (events->subscriber != NULL) return pd_subscriber_turn(events->subscriber, 0) > 0;
  return pump_edge(events);
}

void *feed_socket(const struct paidan_events *events) {
  return events->subscriber != NULL ? pd_subscriber_socket(events->subscriber) : events->socket;
}

void feed_close(struct paidan_events *events) {
  pd_subscriber_close(events->subscriber);
  if (events->socket != NULL) (void)zmq_close(events->socket);
}
