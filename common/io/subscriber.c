#include "common/io/bus.h"
#include "common/io/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TURN_MAX    256
#define EVENT_ARENA (1u << 20) /* one event of at most PD_EVENT_MAX bytes, unpacked */

struct pd_subscriber {
  void *socket;
  struct pd_subscriber_calls calls;
  uint32_t shard;
  uint32_t zero;
  uint64_t next[PD_LOGS]; /* seq that is wanted next; 0: whatever comes first */
  struct pd_bus_message message;
  struct pd_bus_watch *watch;
  uint8_t *arena;
};

enum pd_err pd_subscriber_open(struct pd_subscriber **out, void *zmq, uint32_t shard,
                               const struct pd_subscriber_calls *calls) {
  struct pd_subscriber *self = calloc(1, sizeof *self);
  if (self == NULL) return PD_EIO;
  self->calls = *calls;
  self->shard = shard;
  pd_bus_message_init(&self->message);
  self->arena = calloc(1, EVENT_ARENA);
  struct pd_bus_options bus = {.max_message = PD_ENTRY_MAX, .receive_mark = 100000};
  enum pd_err err = self->arena == NULL ? PD_EIO : pd_bus_socket(&self->socket, zmq, ZMQ_SUB, &bus);
  char topic[24];
  int length = snprintf(topic, sizeof topic, "@%06u/", shard);
  if (err == PD_OK && zmq_setsockopt(self->socket, ZMQ_SUBSCRIBE, topic, (size_t)length) != 0)
    err = PD_EIO;
  if (err == PD_OK)
    *out = self;
  else
    pd_subscriber_close(self);
  return err;
}

enum pd_err pd_subscriber_connect(struct pd_subscriber *self, const char *endpoint) {
  return pd_bus_connect(self->socket, endpoint);
}

void pd_subscriber_expect(struct pd_subscriber *self, enum pd_log log, uint64_t seq) {
  pd_assert((unsigned)log < PD_LOGS);
  self->next[log] = seq;
}

void *pd_subscriber_socket(const struct pd_subscriber *self) { return self->socket; }

/* The unpacked event lives in an arena that is cleared behind it. */
static void hand_on(struct pd_subscriber *self, const struct pd_entry_item *item) {
  struct pd_arena arena;
  pd_arena_init(&arena, self->arena, EVENT_ARENA);
  const struct pd_event *event = pd_event_unpack(&arena, item->event, item->size);
  if (event != NULL) self->calls.event(self->calls.context, event, item->event, item->size);
  memset(self->arena, 0, arena.used);
}

static void note_gap(struct pd_subscriber *self, enum pd_log log, uint64_t upto) {
  uint64_t next = self->next[log];
  if (next != 0 && next < upto && self->calls.gap != NULL)
    self->calls.gap(self->calls.context, log, next, upto - 1);
}

/* Are these the bytes that the hash stands for? */
static bool holds(zmq_msg_t *entry, zmq_msg_t *hash) {
  struct pd_hash real = pd_hash_of(zmq_msg_data(entry), zmq_msg_size(entry));
  return zmq_msg_size(hash) == sizeof real.bytes &&
         memcmp(zmq_msg_data(hash), real.bytes, sizeof real.bytes) == 0;
}

/* What does not hold is passed over: it shows as a gap when the next entry or heartbeat comes. */
static void take_entry(struct pd_subscriber *self, zmq_msg_t *frames) {
  const uint8_t *bytes = zmq_msg_data(&frames[1]);
  size_t size = zmq_msg_size(&frames[1]);
  struct pd_entry_view view;
  if (!holds(&frames[1], &frames[2])) return;
  if (pd_entry_open(bytes, size, &view) != PD_OK || view.head.shard != self->shard) return;
  unsigned log = (unsigned)view.head.log;
  if (log == 0 || log >= PD_LOGS) return;
  uint64_t *next = &self->next[log];
  note_gap(self, view.head.log, view.head.first_seq);
  uint64_t seq = view.head.first_seq;
  struct pd_entry_item item;
  for (size_t at = 0; pd_entry_next(&view, &at, &item);) {
    if (item.log != PD_LOG_UNSPECIFIED) continue;
    if (seq++ >= *next) hand_on(self, &item);
  }
  if (seq > *next) *next = seq;
}

static void take_tip(struct pd_subscriber *self, const uint8_t *bytes, size_t size) {
  struct pd_arena arena;
  pd_arena_init(&arena, self->arena, EVENT_ARENA);
  const struct pd_tip *tip =
      (const struct pd_tip *)pd_unpack_checked(&arena, &pd_tip_descriptor, bytes, size);
  bool good = tip != NULL && tip->last_seq < UINT64_MAX;
  if (good && tip->shard == self->shard && (unsigned)tip->log < PD_LOGS && tip->log != 0) {
    uint64_t *next = &self->next[tip->log];
    if (*next != 0 && tip->last_seq >= *next) {
      note_gap(self, tip->log, tip->last_seq + 1);
      *next = tip->last_seq + 1;
    }
    if (self->calls.tip != NULL) self->calls.tip(self->calls.context, tip);
  }
  memset(self->arena, 0, arena.used);
}

static void take(struct pd_subscriber *self) {
  zmq_msg_t *frames = self->message.frames;
  if (self->message.count == 3) take_entry(self, frames);
  if (self->message.count == 2) take_tip(self, zmq_msg_data(&frames[1]), zmq_msg_size(&frames[1]));
}

static uint32_t take_some(struct pd_subscriber *self, uint32_t most) {
  uint32_t taken = 0;
  while (taken < most) {
    enum pd_err err = pd_bus_receive(self->socket, &self->message);
    if (err == PD_EBOUNDS) continue;
    if (err != PD_OK) break;
    take(self);
    taken++;
  }
  return taken;
}

uint32_t pd_subscriber_turn(struct pd_subscriber *self, int wait_ms) {
  uint32_t taken = take_some(self, TURN_MAX);
  if (taken > 0 || wait_ms <= 0) return taken;
  zmq_pollitem_t item = {.socket = self->socket, .events = ZMQ_POLLIN};
  return zmq_poll(&item, 1, wait_ms) > 0 ? take_some(self, TURN_MAX) : 0;
}

static void on_input(void *context, void *socket) {
  (void)socket;
  take_some(context, 16);
}

enum pd_err pd_subscriber_attach(struct pd_subscriber *self, uv_loop_t *loop) {
  pd_assert(self->watch == NULL);
  return pd_bus_watch(&self->watch, loop, self->socket, on_input, self);
}

void pd_subscriber_close(struct pd_subscriber *self) {
  if (self == NULL) return;
  if (self->watch != NULL) pd_bus_unwatch(self->watch);
  if (self->socket != NULL) zmq_close(self->socket);
  pd_bus_message_close(&self->message);
  free(self->arena);
  free(self);
}
