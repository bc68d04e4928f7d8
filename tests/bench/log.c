/* paidan-bench log - durable events a second through one log, beside one XADD an event.
 *
 * Ours: events are packed, hashed and committed by the daemons' own code (packer, writer, store),
 * two entries in flight, half the window each.  The peer: one pipelined XADD an event with the very
 * bytes of our event, the same window, the same server (appendfsync always), in turns within one
 * run.
 */
#include "tests/bench/bench.h"
#include "tests/bench/lane.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
static double run_peer(struct lane *lane, uint64_t events, uint64_t window) {
  char why[160];
  redisContext *redis;
  struct pd_redis_options options = {.url = lane->server.url};
  if (pd_redis_connect_now(&redis, &options, why, sizeof why) != PD_OK) abort();
  size_t size = protobuf_c_message_get_packed_size(&lane->event.base);
  uint8_t *bytes = malloc(size);
  if (bytes == NULL) abort();
  uint64_t start = bench_now_ns(), half = window / 2, flying = 0;
  for (uint64_t sent = 0; sent < events;) {
    uint64_t now = events - sent < half ? events - sent : half;
    for (uint64_t i = 0; i < now; i++) {
      lane->event.seq = sent + i;
      protobuf_c_message_pack(&lane->event.base, bytes);
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

int bench_log(int argc, char **argv) {
  static const uint64_t windows[] = {64, 512, 2000, 8000};
  uint64_t events = bench_number(argc, argv, "events", 400000);
  uint64_t size = bench_number(argc, argv, "size", 256),
           rounds = bench_number(argc, argv, "rounds", 5);
  static struct lane lane;
  if (rounds == 0 || rounds > 99 || events < 8000) return PD_EXIT_USAGE;
  if (!lane_open(&lane, (size_t)size)) return PD_EXIT_DOWN;
  json_t *rows = json_array();
  if (!bench_json(argc, argv))
    printf("%llu-byte events, %llu a run, median of %llu rounds\n%8s %14s %14s %8s\n",
           (unsigned long long)size, (unsigned long long)events, (unsigned long long)rounds,
           "window", "log events/s", "XADD events/s", "ratio");
  for (size_t w = 0; w < sizeof windows / sizeof windows[0]; w++) {
    double ours[99], peer[99], ratio[99];
    for (uint64_t round = 0; round < rounds; round++) {
      uint64_t some = windows[w] == 64 ? events / 8 : events;
      ours[round] = lane_run(&lane, some, windows[w]);
      peer[round] = run_peer(&lane, some, windows[w]);
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
  redis_server_end(&lane.server);
  return PD_EXIT_OK;
}
