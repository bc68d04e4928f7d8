#include "tests/bench/lane.h"

#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY_SIZE ((size_t)16 << 20)

void lane_event(struct lane *lane, size_t size) {
  static uint8_t person[16];
  lane->body = (struct pd_order_placed)PD_ORDER_PLACED_INIT;
  lane->body.requester = (ProtobufCBinaryData){sizeof person, person};
  lane->body.order = 1000000;
  lane->body.category = (char *)"elder_escort";
  lane->body.window_start_ms = 1740787200000;
  lane->body.window_end_ms = 1740794400000;
  static struct pd_sealed note;
  note = (struct pd_sealed)PD_SEALED_INIT;
  note.record = lane->body.requester;
  note.box = (ProtobufCBinaryData){0, lane->box};
  lane->body.note = &note;
  lane->event = (struct pd_event)PD_EVENT_INIT;
  lane->event.log = PD_LOG_INTAKE;
  lane->event.seq = 1000000;
  lane->event.time_ms = 1740787200000;
  lane->event.shard = LANE_SHARD;
  lane->event.body_case = PD_EVENT_ORDER_PLACED;
  lane->event.order_placed = &lane->body;
  for (size_t i = 0; i < sizeof lane->box; i++) lane->box[i] = (uint8_t)(i * 131 + 7);
  while (protobuf_c_message_get_packed_size(&lane->event.base) < size &&
         note.box.len < sizeof lane->box)
    note.box.len++;
}

/* ---- ours ---- */

static void pump(struct lane *lane);

static void on_commit(void *context, const struct pd_committed *committed) {
  struct lane *lane = context;
  if (committed->reply != PD_COMMIT_OK) {
    fprintf(stderr, "paidan-bench: a commit failed: %s\n", committed->why ? committed->why : "?");
    exit(PD_EXIT_FAULT);
  }
  struct pd_packed done = lane->writer.slots[lane->writer.head];
  pd_writer_reply(&lane->writer, committed->reply);
  if (lane->committed != NULL) lane->committed(lane->context, &done);
  if (lane->writer.seq == lane->target)
    uv_stop(&lane->loop);
  else
    pump(lane);
}

static void push_entry(struct lane *lane) {
  uint64_t start = bench_now_ns();
  struct pd_packer packer;
  pd_packer_init(&packer, lane->memory + lane->building * ENTRY_SIZE, ENTRY_SIZE);
  lane->building = (lane->building + 1) % PD_WRITER_SLOTS;
  struct pd_entry_head head = {
      .shard = LANE_SHARD, .log = PD_LOG_INTAKE, .first_seq = lane->seq + 1};
  for (uint64_t i = 0; i < lane->in_entry && lane->seq < lane->target; i++) {
    lane->event.seq = ++lane->seq;
    pd_pack_event(&packer, &lane->event);
  }
  head.epoch = lane->writer.epoch;
  head.last_seq = lane->seq;
  head.prev = *pd_writer_base(&lane->writer);
  struct pd_packed packed;
  uint64_t packed_at = bench_now_ns();
  pd_pack_end(&packer, &head, &packed);
  lane->pack_ns += packed_at - start;
  lane->hash_ns += bench_now_ns() - packed_at;
  lane->entries++;
  pd_writer_push(&lane->writer, &packed);
}

static void pump(struct lane *lane) {
  while (pd_writer_open(&lane->writer) && lane->seq < lane->target) {
    push_entry(lane);
    const struct pd_packed *packed = pd_writer_send(&lane->writer);
    struct pd_commit commit = {.epoch = packed->head.epoch,
                               .first_seq = packed->head.first_seq,
                               .last_seq = packed->head.last_seq,
                               .bytes = packed->bytes,
                               .size = packed->size};
    memcpy(commit.prev_hash, packed->head.prev.bytes, PD_HASH_SIZE);
    memcpy(commit.hash, packed->hash.bytes, PD_HASH_SIZE);
    if (pd_store_commit(lane->store, "intake", &commit, on_commit, lane) != PD_OK) abort();
  }
}

double lane_run(struct lane *lane, uint64_t events, uint64_t window) {
  lane->in_entry = window / 2;
  lane->target = lane->seq + events;
  uint64_t start = bench_now_ns();
  pump(lane);
  uv_run(&lane->loop, UV_RUN_DEFAULT);
  return (double)events / ((double)(bench_now_ns() - start) / 1e9);
}

static void on_state(void *context, bool up, const char *why) {
  (void)why;
  if (up) uv_stop(((struct lane *)context)->loop.data);
}

bool lane_open(struct lane *lane, size_t size) {
  /* As deploy/redis.conf has it, where that is not what Redis does by itself. */
  static const char *const ours[] = {"--auto-aof-rewrite-min-size", "256mb", "--rdbcompression",
                                     "no", NULL};
  redis_server_start(&lane->server, ours);
  struct pd_redis_options options = {.url = lane->server.url};
  struct pd_store_now *now;
  const char *phrase = "";
  char why[160];
  if (pd_store_now_open(&now, &options, LANE_SHARD, why, sizeof why) != PD_OK) return false;
  bool loaded = pd_store_load_library(now, &phrase) == PD_OK;
  pd_store_now_close(now);
  uv_loop_init(&lane->loop);
  lane->loop.data = &lane->loop;
  if (!loaded ||
      pd_store_open(&lane->store, &lane->loop, &options, LANE_SHARD, on_state, lane) != PD_OK)
    return false;
  uv_run(&lane->loop, UV_RUN_DEFAULT);
  struct pd_hash zero = {{0}};
  pd_writer_init(&lane->writer, 0, &zero, 0);
  lane->memory = malloc(PD_WRITER_SLOTS * ENTRY_SIZE);
  lane_event(lane, size);
  return lane->memory != NULL && pd_store_is_up(lane->store);
}
