/* paidan-bench log - durable events a second through one log, beside one XADD an event.
 *
 * Ours: events are packed, hashed and committed by the daemons' own code (packer, writer, store),
 * two entries in flight, half the window each.  The peer: one pipelined XADD an event with the very
 * bytes of our event, the same window, the same server (appendfsync always), in turns within one
 * run.
 */
#include "common/flow/writer.h"
#include "common/io/store.h"
#include "tests/bench/bench.h"
#include "tests/integration/redis_server.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARD 110105
#define ENTRY_SIZE ((size_t)16 << 20)

struct log_bench {
  struct redis_server server;
  uv_loop_t loop;
  struct pd_store *store;
  struct pd_writer writer;
  uint8_t *memory;
  uint32_t building;
  uint64_t seq, target, in_entry;
  struct pd_event event;
  struct pd_order_placed body;
  uint8_t box[1024];
};

static void make_event(struct log_bench *bench, size_t size) {
  static uint8_t person[16];
  bench->body = (struct pd_order_placed)PD_ORDER_PLACED_INIT;
  bench->body.requester = (ProtobufCBinaryData){sizeof person, person};
  bench->body.order = 1000000;
  bench->body.category = (char *)"elder_escort";
  bench->body.window_start_ms = 1740787200000;
  bench->body.window_end_ms = 1740794400000;
  static struct pd_sealed note;
  note = (struct pd_sealed)PD_SEALED_INIT;
  note.record = bench->body.requester;
  note.box = (ProtobufCBinaryData){0, bench->box};
  bench->body.note = &note;
  bench->event = (struct pd_event)PD_EVENT_INIT;
  bench->event.log = PD_LOG_INTAKE;
  bench->event.seq = 1000000;
  bench->event.time_ms = 1740787200000;
  bench->event.shard = SHARD;
  bench->event.body_case = PD_EVENT_ORDER_PLACED;
  bench->event.order_placed = &bench->body;
  for (size_t i = 0; i < sizeof bench->box; i++) bench->box[i] = (uint8_t)(i * 131 + 7);
  while (protobuf_c_message_get_packed_size(&bench->event.base) < size &&
         note.box.len < sizeof bench->box)
    note.box.len++;
}

/* ---- ours ---- */

static void pump(struct log_bench *bench);

static void on_commit(void *context, const struct pd_committed *committed) {
  struct log_bench *bench = context;
  if (committed->reply != PD_COMMIT_OK) {
    fprintf(stderr, "paidan-bench: a commit failed: %s\n", committed->why ? committed->why : "?");
    exit(PD_EXIT_FAULT);
  }
  pd_writer_reply(&bench->writer, committed->reply);
  if (bench->writer.seq == bench->target)
    uv_stop(&bench->loop);
  else
    pump(bench);
}

static void push_entry(struct log_bench *bench) {
  struct pd_packer packer;
  pd_packer_init(&packer, bench->memory + bench->building * ENTRY_SIZE, ENTRY_SIZE);
  bench->building = (bench->building + 1) % PD_WRITER_SLOTS;
  struct pd_entry_head head = {.shard = SHARD, .log = PD_LOG_INTAKE, .first_seq = bench->seq + 1};
  for (uint64_t i = 0; i < bench->in_entry && bench->seq < bench->target; i++) {
    bench->event.seq = ++bench->seq;
    pd_pack_event(&packer, &bench->event);
  }
  head.epoch = bench->writer.epoch;
  head.last_seq = bench->seq;
  head.prev = *pd_writer_base(&bench->writer);
  struct pd_packed packed;
  pd_pack_end(&packer, &head, &packed);
  pd_writer_push(&bench->writer, &packed);
}

static void pump(struct log_bench *bench) {
  while (pd_writer_open(&bench->writer) && bench->seq < bench->target) {
    push_entry(bench);
    const struct pd_packed *packed = pd_writer_send(&bench->writer);
    struct pd_commit commit = {.epoch = packed->head.epoch,
                               .first_seq = packed->head.first_seq,
                               .last_seq = packed->head.last_seq,
                               .bytes = packed->bytes,
                               .size = packed->size};
    memcpy(commit.prev_hash, packed->head.prev.bytes, PD_HASH_SIZE);
    memcpy(commit.hash, packed->hash.bytes, PD_HASH_SIZE);
    if (pd_store_commit(bench->store, "intake", &commit, on_commit, bench) != PD_OK) abort();
  }
}

static double run_ours(struct log_bench *bench, uint64_t events, uint64_t window) {
  bench->in_entry = window / 2;
  bench->target = bench->seq + events;
  uint64_t start = bench_now_ns();
  pump(bench);
  uv_run(&bench->loop, UV_RUN_DEFAULT);
  return (double)events / ((double)(bench_now_ns() - start) / 1e9);
}

/* ---- the peer ---- */

static void take_replies(redisContext *redis, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) {
    redisReply *reply;
    if (redisGetReply(redis, (void **)&reply) != REDIS_OK || reply->type == REDIS_REPLY_ERROR) {
      fprintf(stderr, "paidan-bench: XADD failed: %s\n", redis->errstr);
      exit(PD_EXIT_FAULT);
    }
    freeReplyObject(reply);
  }
}

/* Half a window is sent while the other half is answered. */
static double run_peer(struct log_bench *bench, uint64_t events, uint64_t window) {
  char why[160];
  redisContext *redis;
  struct pd_redis_options options = {bench->server.url, NULL, NULL};
  if (pd_redis_connect_now(&redis, &options, why, sizeof why) != PD_OK) abort();
  size_t size = protobuf_c_message_get_packed_size(&bench->event.base);
  uint8_t *bytes = malloc(size);
  if (bytes == NULL) abort();
  uint64_t start = bench_now_ns(), half = window / 2, flying = 0;
  for (uint64_t sent = 0; sent < events;) {
    uint64_t now = events - sent < half ? events - sent : half;
    for (uint64_t i = 0; i < now; i++) {
      bench->event.seq = sent + i;
      protobuf_c_message_pack(&bench->event.base, bytes);
      redisAppendCommand(redis, "XADD peer * e %b", bytes, size);
    }
    int done = 0;
    while (!done)
      if (redisBufferWrite(redis, &done) != REDIS_OK) abort();
    sent += now;
    take_replies(redis, flying);
    flying = now;
  }
  take_replies(redis, flying);
  double rate = (double)events / ((double)(bench_now_ns() - start) / 1e9);
  freeReplyObject(redisCommand(redis, "UNLINK peer"));
  redisFree(redis);
  free(bytes);
  return rate;
}

/* ---- the table ---- */

static void on_state(void *context, bool up, const char *why) {
  (void)why;
  if (up) uv_stop(((struct log_bench *)context)->loop.data);
}

static bool open_bench(struct log_bench *bench, size_t size) {
  redis_server_start(&bench->server, NULL);
  struct pd_redis_options options = {bench->server.url, NULL, NULL};
  struct pd_store_now *now;
  const char *phrase = "";
  char why[160];
  if (pd_store_now_open(&now, &options, SHARD, why, sizeof why) != PD_OK) return false;
  bool loaded = pd_store_load_library(now, &phrase) == PD_OK;
  pd_store_now_close(now);
  uv_loop_init(&bench->loop);
  bench->loop.data = &bench->loop;
  if (!loaded ||
      pd_store_open(&bench->store, &bench->loop, &options, SHARD, on_state, bench) != PD_OK)
    return false;
  uv_run(&bench->loop, UV_RUN_DEFAULT);
  struct pd_hash zero = {{0}};
  pd_writer_init(&bench->writer, 0, &zero, 0);
  bench->memory = malloc(PD_WRITER_SLOTS * ENTRY_SIZE);
  make_event(bench, size);
  return bench->memory != NULL && pd_store_is_up(bench->store);
}

int bench_log(int argc, char **argv) {
  static const uint64_t windows[] = {64, 512, 2000, 8000};
  uint64_t events = bench_number(argc, argv, "events", 400000);
  uint64_t size = bench_number(argc, argv, "size", 256),
           rounds = bench_number(argc, argv, "rounds", 5);
  static struct log_bench bench;
  if (rounds == 0 || rounds > 99 || events < 8000) return PD_EXIT_USAGE;
  if (!open_bench(&bench, (size_t)size)) return PD_EXIT_DOWN;
  json_t *rows = json_array();
  if (!bench_json(argc, argv))
    printf("%llu-byte events, %llu a run, median of %llu rounds\n%8s %14s %14s %8s\n",
           (unsigned long long)size, (unsigned long long)events, (unsigned long long)rounds,
           "window", "log events/s", "XADD events/s", "ratio");
  for (size_t w = 0; w < sizeof windows / sizeof windows[0]; w++) {
    double ours[99], peer[99], ratio[99];
    for (uint64_t round = 0; round < rounds; round++) {
      uint64_t some = windows[w] == 64 ? events / 8 : events;
      ours[round] = run_ours(&bench, some, windows[w]);
      peer[round] = run_peer(&bench, some, windows[w]);
      ratio[round] = ours[round] / peer[round];
    }
    bench_sort(ours, rounds), bench_sort(peer, rounds), bench_sort(ratio, rounds);
    double o = ours[rounds / 2], p = peer[rounds / 2], r = ratio[rounds / 2];
    json_array_append_new(rows, json_pack("{s:I,s:f,s:f,s:f}", "window", (json_int_t)windows[w],
                                          "log_per_s", o, "xadd_per_s", p, "ratio", r));
    if (!bench_json(argc, argv))
      printf("%8llu %14.0f %14.0f %8.2f\n", (unsigned long long)windows[w], o, p, r);
  }
  if (bench_json(argc, argv)) json_dumpf(rows, stdout, JSON_INDENT(2));
  json_decref(rows);
  redis_server_end(&bench.server);
  return PD_EXIT_OK;
}
