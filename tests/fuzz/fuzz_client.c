/* Any frames as replies, entries and heartbeats before a client: every command's callback is called
 * once, and a subscriber hands on each event once, in order, and only what its hash stands for.
 *
 * Records, by tag % 4: 0 a Reply (with the number of a command in flight if tag >= 128), 1 the
 * bytes of an Entry with a hash that is right (wrong if tag >= 128), 2 a Tip, 3 any frames.
 */
#include "common/io/client.h"
#include "tests/fuzz/fake_bus.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define COMMANDS 16

static void *zmq;
static struct pd_client *client;
static struct pd_subscriber *subscriber;
static uint32_t called[COMMANDS];
static uint64_t sent[COMMANDS]; /* request numbers */
static uint32_t sent_count;
static uint64_t last[PD_LOGS];
static bool lying;

static void on_done(void *context, enum pd_err err, const struct pd_reply *reply) {
  uint32_t *count = context;
  ++*count;
  pd_assert(*count == 1);
  pd_assert((err == PD_OK) == (reply != NULL));
  pd_assert(reply == NULL || reply->result_case != PD_REPLY_NOT_SET);
}

static void on_sent(const struct pd_frame *frames, size_t count) {
  pd_assert(count == 1);
  if (sent_count < COMMANDS) sent[sent_count++] = pd_peek_number(frames[0].data, frames[0].size, 3);
}

static void on_event(void *context, const struct pd_event *event, const uint8_t *bytes,
                     size_t size) {
  (void)context;
  pd_assert(event != NULL && bytes != NULL && size <= PD_EVENT_MAX && !lying);
}

static void on_gap(void *context, enum pd_log log, uint64_t from, uint64_t to) {
  (void)context;
  pd_assert(log > 0 && log < PD_LOGS && from > 0 && from <= to && from > last[log]);
  last[log] = to;
}

static void on_tip(void *context, const struct pd_tip *tip) {
  (void)context;
  pd_assert(tip->log > 0 && tip->log < PD_LOGS && tip->shard == FUZZ_SHARD);
}

static void start(void) {
  struct pd_client_options options = {.endpoint = "inproc://x", .shard = FUZZ_SHARD, .window = 8};
  static const struct pd_subscriber_calls calls = {
      .event = on_event, .gap = on_gap, .tip = on_tip};
  if (zmq == NULL) zmq = zmq_ctx_new();
  fake_bus_put(NULL, 0);
  fake_bus_sends_to(on_sent);
  memset(called, 0, sizeof called);
  memset(last, 0, sizeof last);
  sent_count = 0;
  enum pd_err err = pd_client_open(&client, zmq, &options);
  if (err == PD_OK) err = pd_subscriber_open(&subscriber, zmq, FUZZ_SHARD, &calls);
  pd_assert(err == PD_OK);
  for (uint32_t i = 0; i < 8; i++) {
    struct pd_command command = PD_COMMAND_INIT;
    command.key = (char *)"key";
    err = pd_client_send(client, &command, on_done, &called[i]);
    pd_assert(err == PD_OK);
  }
}

static void take_reply(const struct fuzz_record *record) {
  static uint8_t bytes[UINT16_MAX + 32];
  size_t size = record->size;
  memcpy(bytes, record->bytes, size);
  if (record->tag >= 128 && sent_count > 0) { /* later fields win */
    struct pd_reply reply = PD_REPLY_INIT;
    reply.request = sent[record->tag / 4 % sent_count];
    size += protobuf_c_message_pack(&reply.base, bytes + size);
  }
  struct pd_frame frame = {bytes, size};
  fake_bus_put(&frame, 1);
  pd_client_turn(client, 0);
}

static void take_entry(const struct fuzz_record *record) {
  struct pd_hash hash = pd_hash_of(record->bytes, record->size);
  lying = record->tag >= 128;
  hash.bytes[record->tag % PD_HASH_BYTES] ^= lying;
  struct pd_frame frames[3] = {{"@370302/intake", 14}, {record->bytes, record->size},
                               {hash.bytes, sizeof hash.bytes}};
  fake_bus_put(frames, 3);
  pd_subscriber_turn(subscriber, 0);
  lying = false;
}

static void take_tip(const struct fuzz_record *record) {
  struct pd_frame frames[2] = {{"@370302/intake/tip", 18}, {record->bytes, record->size}};
  fake_bus_put(frames, 2);
  pd_subscriber_turn(subscriber, 0);
}

static void take_any(const struct fuzz_record *record) {
  struct pd_frame frames[PD_BUS_FRAMES];
  size_t count = 0;
  for (size_t at = 0; at < record->size && count < PD_BUS_FRAMES;) {
    size_t size = record->bytes[at++];
    if (size > record->size - at) size = record->size - at;
    frames[count++] = (struct pd_frame){record->bytes + at, size};
    at += size;
  }
  fake_bus_put(frames, record->size == 0 ? PD_BUS_FRAMES + 1 : count);
  pd_client_turn(client, 0);
  fake_bus_put(frames, record->size == 0 ? PD_BUS_FRAMES + 1 : count);
  pd_subscriber_turn(subscriber, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_record record;
  start();
  for (size_t at = 0; fuzz_next(data, size, &at, &record);) {
    switch (record.tag % 4) {
    case 0: take_reply(&record); break;
    case 1: take_entry(&record); break;
    case 2: take_tip(&record); break;
    default: take_any(&record); break;
    }
  }
  pd_client_close(client);
  pd_subscriber_close(subscriber);
  for (int i = 0; i < 8; i++) pd_assert(called[i] == 1);
  return 0;
}

/* ---- making inputs ---- */

const ProtobufCMessageDescriptor *fuzz_type(uint8_t tag) {
  static const ProtobufCMessageDescriptor *const types[4] = {
      &pd_reply_descriptor, &pd_entry_descriptor, &pd_tip_descriptor, NULL};
  return types[tag % 4];
}

uint8_t fuzz_tag(struct pd_rng *rng) { return (uint8_t)pd_rng_below(rng, 256); }

/* A whole entry of one event. */
static size_t an_entry(struct pd_rng *rng, uint64_t seq, uint8_t *bytes, uint8_t *room) {
  struct pd_packer packer;
  struct pd_packed packed;
  static uint8_t memory[1 << 18];
  struct pd_entry_head head = {.shard = FUZZ_SHARD, .log = PD_LOG_INTAKE, .epoch = 1};
  head.first_seq = head.last_seq = seq;
  size_t size = fuzz_make(rng, &pd_event_descriptor, room, 2048);
  struct pd_event *event = paidan__v1__event__unpack(NULL, size, room);
  if (event == NULL) return 0;
  event->log = PD_LOG_INTAKE;
  event->seq = seq;
  pd_packer_init(&packer, memory, sizeof memory);
  pd_pack_mark(&packer, PD_LOG_MATCHING, seq);
  pd_pack_event(&packer, event);
  pd_pack_end(&packer, &head, &packed);
  memcpy(bytes, packed.bytes, packed.size);
  paidan__v1__event__free_unpacked(event, NULL);
  return packed.size;
}

size_t fuzz_seed(uint32_t index, uint8_t *data, size_t max) {
  static uint8_t bytes[65536], room[65536];
  struct pd_rng rng;
  size_t used = 0;
  if (index >= 6) return 0;
  pd_rng_seed(&rng, index + 50);
  for (uint64_t i = 1; i < 6; i++) {
    size_t size = fuzz_make(&rng, &pd_reply_descriptor, bytes, 2048);
    used = fuzz_put(data, used, max, (uint8_t)(128 + 4 * i), bytes, size);
    size = an_entry(&rng, i + i / 4, bytes, room);
    used = fuzz_put(data, used, max, (uint8_t)(i == 3 ? 129 : 1), bytes, size);
    size = fuzz_make(&rng, &pd_tip_descriptor, bytes, 2048);
    used = fuzz_put(data, used, max, 2, bytes, size);
  }
  return fuzz_put(data, used, max, 3, (const uint8_t *)"\3abc\0\2de", 8);
}
