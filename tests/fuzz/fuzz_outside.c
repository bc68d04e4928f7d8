/* Any messages of an edge before libpaidan-client: each log's events are handed out in order and
 * once, gaps lie where nothing was handed out, and nothing is taken for another log's.
 *
 * Records, by tag % 4: 0 an Event, 1 an EdgeTip, 2 an EdgeReply (of the replay that is under way if
 * tag >= 128), 3 one frame of any bytes to either socket.
 */
#include "common/base/err.h"
#include "common/client/parts.h"
#include "tests/fuzz/fake_bus.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static struct paidan paidan;
static struct paidan_events *events;
static uint64_t last[PD_LOGS];

static void on_sent(const struct pd_frame *frames, size_t count) {
  pd_assert(count == 1 && frames[0].size > 0);
}

static void start(bool some) {
  memset(&paidan, 0, sizeof paidan);
  memset(last, 0, sizeof last);
  fake_bus_put(NULL, 0);
  fake_bus_sends_to(on_sent);
  paidan.edge = true;
  paidan.shard = FUZZ_SHARD;
  paidan.line.state = LINE_DENIED; /* its monitor is not asked */
  paidan.line.socket = &paidan;    /* none that anybody looks at */
  paidan.hears = 1;
  memcpy(paidan.hear[0], "37", 3);
  pd_bus_message_init(&paidan.line.message);
  events = calloc(1, sizeof *events);
  pd_assert(events != NULL);
  events->paidan = &paidan;
  pd_bus_message_init(&events->message);
  paidan.events = events;
  for (unsigned log = 1; log < PD_LOGS; log++) events->tracks[log].next = log % 2;
  if (!some) return;
  events->topic_count = 1;
  memcpy(events->topics[0], "order_", 7);
}

/* Everything that is ready. */
static void drain(void) {
  const struct paidan_event *event;
  for (;;) {
    int code = paidan_next(events, &event, 0);
    if (code < 0 || code == PAIDAN_NOTHING) return;
    pd_assert(event->log > 0 && event->log < PD_LOGS);
    uint64_t first = code == PAIDAN_GAP ? event->from : event->seq;
    pd_assert(first > last[event->log]);
    pd_assert(code != PAIDAN_GAP || event->to >= event->from);
    last[event->log] = code == PAIDAN_GAP ? event->to : event->seq;
    pd_assert(events->at_hand.size > 0 || code == PAIDAN_GAP);
  }
}

static void say(const char *topic, const uint8_t *bytes, size_t size) {
  struct pd_frame frames[2] = {{topic, strlen(topic)}, {bytes, size}};
  fake_bus_put(frames, 2);
  (void)feed_pump(events);
}

static void answer(const struct fuzz_record *record) {
  unsigned log = 1 + record->tag / 4 % (PD_LOGS - 1);
  if (record->tag >= 128)
    events->tracks[log].request = pd_peek_number(record->bytes, record->size, 1);
  struct pd_frame frame = {record->bytes, record->size};
  fake_bus_put(&frame, 1);
  line_pump(&paidan);
}

static void say_any(const struct fuzz_record *record) {
  struct pd_frame frame = {record->bytes, record->size};
  fake_bus_put(&frame, 1);
  if (record->tag >= 128) line_pump(&paidan);
  (void)feed_pump(events);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_record record;
  start(size % 2 == 1);
  for (size_t at = 0; fuzz_next(data, size, &at, &record);) {
    switch (record.tag % 4) {
    case 0: say("370302/x", record.bytes, record.size); break;
    case 1: say("370302/tip", record.bytes, record.size); break;
    case 2: answer(&record); break;
    default: say_any(&record); break;
    }
    drain();
  }
  paidan_unlisten(events);
  pd_bus_message_close(&paidan.line.message);
  return 0;
}

/* ---- making inputs ---- */

const ProtobufCMessageDescriptor *fuzz_type(uint8_t tag) {
  static const ProtobufCMessageDescriptor *const types[4] = {
      &pd_event_descriptor, &pd_edge_tip_descriptor, &pd_edge_reply_descriptor, NULL};
  return types[tag % 4];
}

uint8_t fuzz_tag(struct pd_rng *rng) { return (uint8_t)pd_rng_below(rng, 256); }

static size_t an_event(struct pd_rng *rng, uint64_t seq, uint8_t *bytes) {
  size_t size = fuzz_make(rng, &pd_event_descriptor, bytes, 1024);
  struct pd_event tail = PD_EVENT_INIT; /* later fields win */
  tail.log = PD_LOG_INTAKE;
  tail.seq = seq;
  tail.prev = seq - 1;
  return size + protobuf_c_message_pack(&tail.base, bytes + size);
}

static size_t a_tip(uint64_t seq, uint8_t *bytes) {
  struct pd_edge_tip tip = PD_EDGE_TIP_INIT;
  struct pd_log_tip log = PD_LOG_TIP_INIT, *logs[1] = {&log};
  tip.shard = FUZZ_SHARD;
  tip.logs = logs;
  tip.n_logs = 1;
  log.log = PD_LOG_INTAKE;
  log.last_seq = seq;
  log.since = seq % 3 + 1;
  return protobuf_c_message_pack(&tip.base, bytes);
}

static size_t a_batch(uint64_t from, uint64_t request, uint8_t *bytes) {
  struct pd_edge_reply reply = PD_EDGE_REPLY_INIT;
  struct pd_replay_batch batch = PD_REPLAY_BATCH_INIT;
  struct pd_event event = PD_EVENT_INIT, *all[1] = {&event};
  reply.request = request;
  reply.result_case = PD_EDGE_REPLY_BATCH;
  reply.batch = &batch;
  batch.events = all;
  batch.n_events = 1;
  batch.next_seq = from + 2;
  batch.first_seq = from % 4 == 0 ? from : 0;
  event.log = PD_LOG_INTAKE;
  event.seq = from + 1;
  return protobuf_c_message_pack(&reply.base, bytes);
}

/* Events with holes, tips that tell of them, replays that fill some. */
size_t fuzz_seed(uint32_t index, uint8_t *data, size_t max) {
  static uint8_t bytes[8192];
  struct pd_rng rng;
  size_t used = 0;
  if (index >= 6) return 0;
  pd_rng_seed(&rng, index + 90);
  for (uint64_t seq = 1; seq < 20; seq += 1 + pd_rng_below(&rng, 3)) {
    used = fuzz_put(data, used, max, 0, bytes, an_event(&rng, seq, bytes));
    if (pd_rng_below(&rng, 3) == 0) used = fuzz_put(data, used, max, 1, bytes, a_tip(seq, bytes));
    if (pd_rng_below(&rng, 3) == 0)
      used = fuzz_put(data, used, max, 130, bytes, a_batch(seq, seq, bytes));
  }
  return fuzz_put(data, used, max, (uint8_t)(index % 2 ? 3 : 131), (const uint8_t *)"abc", 3);
}
