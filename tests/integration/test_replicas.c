/* What counts only when a replica has it: a real primary and its real replica. */
#include "common/io/store.h"

#include "redis_server.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SHARD = 370302 };

static struct redis_server primary, replica;
static unsigned port;

static void wait_for(const struct redis_server *server, const char *command, const char *want) {
  char answer[128] = "";
  for (int i = 0; i < 500; i++) {
    redis_server_cli(server, command, answer, sizeof answer);
    if (strcmp(answer, want) == 0) return;
    usleep(20000);
  }
  cr_assert_fail("%s: %s, not %s", command, answer, want);
}

static void follow(const struct redis_server *server, unsigned of_port) {
  char command[64], answer[64];
  snprintf(command, sizeof command, "replicaof 127.0.0.1 %u", of_port);
  redis_server_cli(server, command, answer, sizeof answer);
}

static void set_up(void) {
  char text[16], other[16], answer[64];
  port = 20000 + (unsigned)getpid() % 20000;
  snprintf(text, sizeof text, "%u", port);
  snprintf(other, sizeof other, "%u", port + 20000);
  const char *first[] = {"--port", text, "--repl-diskless-sync-delay", "0", NULL};
  const char *second[] = {"--port", other, "--repl-diskless-sync-delay", "0", NULL};
  redis_server_start(&primary, first);
  redis_server_start(&replica, second);
  struct pd_store_now *now;
  struct pd_redis_options options = {.url = primary.url};
  cr_assert_eq(pd_store_now_open(&now, &options, SHARD, NULL, 0), PD_OK);
  cr_assert_eq(pd_store_load_library(now, NULL), PD_OK);
  pd_store_now_close(now);
  redis_server_cli(&primary, "config set repl-timeout 60", answer, sizeof answer);
  follow(&replica, port);
  wait_for(&primary, "info replication | grep -c state=online", "1");
}

static void tear_down(void) {
  redis_server_end(&replica);
  redis_server_end(&primary);
}

TestSuite(replicas, .init = set_up, .fini = tear_down, .timeout = 60);

struct world {
  uv_loop_t loop;
  struct pd_store *store;
  uv_timer_t patience;
  bool late, up;
  int ups, answers;
  char why[256];
  int replies[PD_COMMIT_UNKNOWN + 1];
  enum pd_err err;
  struct pd_tail tail;
  size_t entries;
};

static void on_state(void *context, bool up, const char *why) {
  struct world *world = context;
  snprintf(world->why, sizeof world->why, "%s", why);
  world->ups += up && !world->up;
  world->up = up;
}

static void on_commit(void *context, const struct pd_committed *committed) {
  struct world *world = context;
  world->replies[committed->reply]++;
  world->answers++;
}

static void on_tail(void *context, enum pd_err err, const struct pd_tail *tail) {
  struct world *world = context;
  world->err = err;
  world->tail = *tail;
  world->answers++;
}

static void on_read(void *context, enum pd_err err, const struct pd_stored *entries, size_t count) {
  struct world *world = context;
  (void)entries;
  world->err = err;
  world->entries = count;
  world->answers++;
}

static void on_late(uv_timer_t *timer) {
  ((struct world *)timer->data)->late = true;
}

static void world_open(struct world *world, const char *url, uint32_t want) {
  memset(world, 0, sizeof *world);
  uv_loop_init(&world->loop);
  uv_timer_init(&world->loop, &world->patience);
  world->patience.data = world;
  struct pd_redis_options options = {.url = url};
  cr_assert_eq(pd_store_open(&world->store, &world->loop, &options, SHARD, on_state, world), PD_OK);
  pd_store_replicas(world->store, want, 100);
}

#define run_until(world, condition)                                                                \
  do {                                                                                             \
    (world)->late = false;                                                                         \
    uv_timer_start(&(world)->patience, on_late, 10000, 0);                                         \
    while (!(condition) && !(world)->late) uv_run(&(world)->loop, UV_RUN_ONCE);                    \
    cr_assert(!(world)->late, "waited 10 s for " #condition " (%s)", (world)->why);                \
    uv_timer_stop(&(world)->patience);                                                             \
  } while (0)

static void run_for(struct world *world, uint64_t ms) {
  world->late = false;
  uv_timer_start(&world->patience, on_late, ms, 0);
  while (!world->late) uv_run(&world->loop, UV_RUN_ONCE);
}

static void world_close(struct world *world) {
  pd_store_close(world->store);
  uv_close((uv_handle_t *)&world->patience, NULL);
  cr_expect_eq(uv_run(&world->loop, UV_RUN_DEFAULT), 0);
  cr_expect_eq(uv_loop_close(&world->loop), 0, "handles are left");
}

static void send_commit(struct world *world, uint64_t seq) {
  static const uint8_t bytes[] = "some\0bytes";
  struct pd_commit made = {
      .epoch = 1, .first_seq = seq, .last_seq = seq, .bytes = bytes, .size = 10};
  memset(made.prev_hash, (int)(seq - 1), sizeof made.prev_hash);
  memset(made.hash, (int)seq, sizeof made.hash);
  cr_assert_eq(pd_store_commit(world->store, "intake", &made, on_commit, world), PD_OK);
}

Test(replicas, a_commit_is_withheld_until_a_replica_has_it) {
  struct world world;
  world_open(&world, primary.url, 1);
  run_until(&world, world.up);
  send_commit(&world, 1);
  run_until(&world, world.answers == 1);
  cr_expect_eq(world.replies[PD_COMMIT_OK], 1);
  kill(replica.pid, SIGSTOP);
  send_commit(&world, 2);
  run_for(&world, 7000); /* longer than a silent server is borne: this one is not silent */
  cr_expect_eq(world.answers, 1);
  cr_expect(world.up);
  cr_expect_str_eq(world.why, "0 of 1 replicas have the last commit");
  kill(replica.pid, SIGCONT);
  run_until(&world, world.answers == 2);
  cr_expect_eq(world.replies[PD_COMMIT_OK], 2);
  cr_expect_str_eq(world.why, "");
  world_close(&world);
}

Test(replicas, without_the_wish_nothing_is_withheld) {
  struct world world;
  world_open(&world, primary.url, 0);
  run_until(&world, world.up);
  kill(replica.pid, SIGSTOP);
  send_commit(&world, 1);
  run_until(&world, world.answers == 1);
  cr_expect_eq(world.replies[PD_COMMIT_OK], 1);
  world_close(&world);
}

Test(replicas, a_reader_is_not_handed_what_may_be_lost) {
  struct world writer, reader;
  world_open(&writer, primary.url, 0);
  world_open(&reader, primary.url, 1);
  run_until(&writer, writer.up);
  run_until(&reader, reader.up);
  send_commit(&writer, 1);
  run_until(&writer, writer.answers == 1);
  cr_assert_eq(pd_store_read(reader.store, "intake", 1, 10, on_read, &reader), PD_OK);
  run_until(&reader, reader.answers == 1);
  cr_expect_eq(reader.entries, 1);
  kill(replica.pid, SIGSTOP);
  send_commit(&writer, 2);
  run_until(&writer, writer.answers == 2);
  cr_assert_eq(pd_store_read(reader.store, "intake", 1, 10, on_read, &reader), PD_OK);
  run_until(&reader, reader.answers == 2);
  cr_expect_eq(reader.entries, 1, "what counts is handed out");
  cr_assert_eq(pd_store_read(reader.store, "intake", 2, 10, on_read, &reader), PD_OK);
  run_for(&reader, 500);
  cr_expect_eq(reader.answers, 2);
  kill(replica.pid, SIGCONT);
  run_until(&reader, reader.answers == 3);
  cr_expect_eq(reader.entries, 1);
  cr_assert_eq(pd_store_read(reader.store, "intake", 3, 10, on_read, &reader), PD_OK);
  run_until(&reader, reader.answers == 4);
  cr_expect_eq(reader.err, PD_OK);
  cr_expect_eq(reader.entries, 0, "the end");
  world_close(&reader);
  world_close(&writer);
}

Test(replicas, after_a_break_the_tail_counts_when_a_replica_has_it) {
  struct world world;
  char answer[64];
  world_open(&world, primary.url, 1);
  run_until(&world, world.up);
  kill(replica.pid, SIGSTOP);
  send_commit(&world, 1);
  run_for(&world, 300);
  redis_server_cli(&primary, "client kill type normal", answer, sizeof answer);
  run_until(&world, world.answers == 1);
  cr_expect_eq(world.replies[PD_COMMIT_UNKNOWN], 1);
  run_until(&world, world.ups == 2);
  cr_assert_eq(pd_store_boot(world.store, "intake", on_tail, &world), PD_OK);
  run_for(&world, 500);
  cr_expect_eq(world.answers, 1);
  kill(replica.pid, SIGCONT);
  run_until(&world, world.answers == 2);
  cr_expect_eq(world.err, PD_OK);
  cr_expect_eq(world.tail.last_seq, 1);
  world_close(&world);
}

Test(replicas, a_promoted_replica_has_all_that_counted) {
  struct world world;
  char list[256], answer[64];
  snprintf(list, sizeof list, "%s,%s", primary.url, replica.url);
  world_open(&world, list, 1);
  run_until(&world, world.up);
  for (uint64_t seq = 1; seq <= 40; seq++) {
    send_commit(&world, seq);
    if (seq < 40) run_until(&world, world.answers == (int)seq);
  }
  redis_server_kill(&primary);
  run_until(&world, world.answers == 40);
  int acked = world.replies[PD_COMMIT_OK];
  run_for(&world, 500); /* a replica is no place to lead from */
  redis_server_cli(&replica, "replicaof no one", answer, sizeof answer);
  cr_expect_str_eq(answer, "OK");
  char text[16];
  snprintf(text, sizeof text, "%u", port);
  const char *extra[] = {"--port", text, "--repl-diskless-sync-delay", "0", NULL};
  unlink(primary.socket);
  run_until(&world, world.up);
  while (pd_store_boot(world.store, "intake", on_tail, &world) != PD_OK)
    uv_run(&world.loop, UV_RUN_ONCE);
  run_for(&world, 300);
  cr_expect_eq(world.answers, 40, "the promoted one has no replica yet");
  redis_server_again(&primary, extra);
  follow(&primary, port + 20000);
  run_until(&world, world.answers == 41);
  cr_expect_eq(world.err, PD_OK);
  cr_expect_geq(world.tail.last_seq, (uint64_t)acked);
  world_close(&world);
}
