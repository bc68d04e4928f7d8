/* The log store on a real Redis: commits, fences, broken connections, full memory, reading. */
#include "common/io/store.h"

#include "redis_server.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHARD = 370302 };

static struct redis_server server;
static struct pd_store_now *now;

static void load(const char *url) {
  struct pd_redis_options options = {.url = url};
  char why[128] = "";
  cr_assert_eq(pd_store_now_open(&now, &options, SHARD, why, sizeof why), PD_OK, "%s", why);
  const char *reason;
  cr_assert_eq(pd_store_load_library(now, &reason), PD_OK, "%s", reason);
  cr_assert_eq(pd_store_check_library(now), PD_OK);
}

static void set_up(void) {
  redis_server_start(&server, NULL);
  load(server.url);
}

static void tear_down(void) {
  pd_store_now_close(now);
  redis_server_end(&server);
}

TestSuite(store, .init = set_up, .fini = tear_down, .timeout = 60);

/* An entry whose hash is a letter; real hashes are the writer's business. */
static struct pd_commit entry(uint64_t epoch, uint64_t first, uint64_t last, char prev, char hash) {
  static const uint8_t bytes[] = "some\0bytes";
  struct pd_commit commit = {
      .epoch = epoch, .first_seq = first, .last_seq = last, .bytes = bytes, .size = 10};
  memset(commit.prev_hash, prev, sizeof commit.prev_hash);
  memset(commit.hash, hash, sizeof commit.hash);
  return commit;
}

static enum pd_commit_reply commit(uint64_t epoch, uint64_t first, uint64_t last, char prev,
                                   char hash) {
  struct pd_commit made = entry(epoch, first, last, prev, hash);
  return pd_store_commit_now(now, "intake", &made, NULL);
}

static void expect_tail(uint64_t seq, char hash, uint64_t epoch) {
  struct pd_tail tail;
  uint8_t want[PD_HASH_SIZE];
  memset(want, hash, sizeof want);
  cr_assert_eq(pd_store_tail_now(now, "intake", &tail), PD_OK);
  cr_expect_eq(tail.last_seq, seq);
  cr_expect_eq(tail.epoch, epoch);
  cr_expect_arr_eq(tail.hash, want, sizeof want);
}

Test(store, an_empty_log_has_a_tail_of_zeros) {
  expect_tail(0, 0, 0);
}

Test(store, commits_an_entry_after_the_tail) {
  cr_expect_eq(commit(1, 1, 3, 0, 'a'), PD_COMMIT_OK);
  cr_expect_eq(commit(1, 4, 4, 'a', 'b'), PD_COMMIT_OK);
  expect_tail(4, 'b', 1);
}

Test(store, the_same_entry_again_is_a_duplicate) {
  cr_expect_eq(commit(1, 1, 3, 0, 'a'), PD_COMMIT_OK);
  cr_expect_eq(commit(1, 1, 3, 0, 'a'), PD_COMMIT_DUP);
  expect_tail(3, 'a', 1);
}

Test(store, another_entry_with_the_same_last_seq_is_fenced) {
  cr_expect_eq(commit(1, 1, 3, 0, 'a'), PD_COMMIT_OK);
  cr_expect_eq(commit(1, 1, 3, 0, 'x'), PD_COMMIT_FENCED);
  expect_tail(3, 'a', 1);
}

Test(store, a_hole_or_an_overlap_in_the_sequence_is_fenced) {
  cr_expect_eq(commit(1, 1, 3, 0, 'a'), PD_COMMIT_OK);
  cr_expect_eq(commit(1, 5, 6, 'a', 'b'), PD_COMMIT_FENCED);
  cr_expect_eq(commit(1, 3, 6, 'a', 'b'), PD_COMMIT_FENCED);
  expect_tail(3, 'a', 1);
}

Test(store, another_previous_hash_is_fenced) {
  cr_expect_eq(commit(1, 1, 3, 0, 'a'), PD_COMMIT_OK);
  cr_expect_eq(commit(1, 4, 4, 'z', 'b'), PD_COMMIT_FENCED);
  expect_tail(3, 'a', 1);
}

Test(store, a_lower_epoch_is_fenced_and_a_higher_one_is_not) {
  cr_expect_eq(commit(5, 1, 3, 0, 'a'), PD_COMMIT_OK);
  cr_expect_eq(commit(4, 4, 4, 'a', 'b'), PD_COMMIT_FENCED);
  cr_expect_eq(commit(6, 4, 4, 'a', 'b'), PD_COMMIT_OK);
  expect_tail(4, 'b', 6);
}

Test(store, compares_sequences_beyond_fifteen_digits_of_precision_exactly) {
  cr_expect_eq(commit(1, 1, 99999999999999, 0, 'a'), PD_COMMIT_OK);
  cr_expect_eq(commit(1, 100000000000001, 100000000000001, 'a', 'b'), PD_COMMIT_FENCED);
  cr_expect_eq(commit(1, 100000000000000, 100000000000000, 'a', 'b'), PD_COMMIT_OK);
  expect_tail(100000000000000, 'b', 1);
}

Test(store, bad_arguments_are_refused_and_write_nothing) {
  cr_expect_eq(commit(1, 0, 0, 0, 'a'), PD_COMMIT_REFUSED);
  cr_expect_eq(commit(1, 4, 3, 0, 'a'), PD_COMMIT_REFUSED);
  expect_tail(0, 0, 0);
}

Test(store, a_lost_tip_is_made_good_from_the_stream) {
  char answer[64];
  cr_expect_eq(commit(2, 1, 3, 0, 'a'), PD_COMMIT_OK);
  redis_server_cli(&server, "del '{370302}:tip:intake'", answer, sizeof answer);
  cr_expect_str_eq(answer, "1");
  cr_expect_eq(commit(2, 1, 1, 0, 'b'), PD_COMMIT_FENCED);
  struct pd_tail tail;
  cr_expect_eq(pd_store_boot_now(now, "intake", &tail), PD_OK);
  cr_expect_eq(tail.last_seq, 3);
  redis_server_cli(&server, "hget '{370302}:tip:intake' s", answer, sizeof answer);
  cr_expect_str_eq(answer, "3");
  cr_expect_eq(commit(2, 4, 4, 'a', 'b'), PD_COMMIT_OK);
}

Test(store, a_tip_ahead_of_its_stream_yields_to_the_stream) {
  char answer[64];
  cr_expect_eq(commit(2, 1, 3, 0, 'a'), PD_COMMIT_OK);
  redis_server_cli(&server, "hset '{370302}:tip:intake' s 9 e 7", answer, sizeof answer);
  cr_expect_eq(commit(2, 4, 4, 'a', 'b'), PD_COMMIT_FENCED);
  struct pd_tail tail;
  cr_expect_eq(pd_store_boot_now(now, "intake", &tail), PD_OK);
  cr_expect_eq(tail.last_seq, 3);
  cr_expect_eq(tail.epoch, 2);
  cr_expect_eq(commit(2, 4, 4, 'a', 'b'), PD_COMMIT_OK);
}

Test(store, a_stream_that_cannot_be_appended_to_leaves_the_tip_as_it_was) {
  char answer[64];
  const char *why;
  cr_expect_eq(commit(1, 1, 3, 0, 'a'), PD_COMMIT_OK);
  redis_server_cli(&server, "xadd '{370302}:log:intake' 7-0 e x h y p 1", answer, sizeof answer);
  struct pd_commit made = entry(1, 4, 4, 'a', 'b');
  cr_expect_eq(pd_store_commit_now(now, "intake", &made, &why), PD_COMMIT_REFUSED);
  cr_expect(strstr(why, "equal or smaller") != NULL, "%s", why);
  redis_server_cli(&server, "hget '{370302}:tip:intake' s", answer, sizeof answer);
  cr_expect_str_eq(answer, "3");
}

Test(store, out_of_memory_is_refused_and_leaves_log_and_tip_alone) {
  char answer[64];
  const char *why;
  cr_expect_eq(commit(1, 1, 3, 0, 'a'), PD_COMMIT_OK);
  redis_server_cli(&server, "config set maxmemory 1", answer, sizeof answer);
  struct pd_commit made = entry(1, 4, 4, 'a', 'b');
  cr_expect_eq(pd_store_commit_now(now, "intake", &made, &why), PD_COMMIT_REFUSED);
  cr_expect(strstr(why, "OOM") != NULL, "%s", why);
  expect_tail(3, 'a', 1);
  redis_server_cli(&server, "config set maxmemory 0", answer, sizeof answer);
  cr_expect_eq(commit(1, 4, 4, 'a', 'b'), PD_COMMIT_OK);
}

/* ---- reading ---- */

static void fill(int count) {
  for (int i = 0; i < count; i++) {
    char prev = i == 0 ? 0 : (char)('a' + i - 1);
    cr_assert_eq(commit(1, (uint64_t)i * 10 + 1, (uint64_t)i * 10 + 10, prev, (char)('a' + i)),
                 PD_COMMIT_OK);
  }
}

static void expect_page(uint64_t from, uint32_t max, size_t count, uint64_t first_last_seq) {
  struct pd_store_page page;
  cr_assert_eq(pd_store_read_now(now, "intake", from, max, &page), PD_OK);
  cr_expect_eq(page.count, count, "from %d: %zu entries", (int)from, page.count);
  if (count > 0) {
    cr_expect_eq(page.entries[0].last_seq, first_last_seq);
    cr_expect_eq(page.entries[0].size, 10);
    cr_expect_arr_eq(page.entries[0].bytes, "some\0bytes", 10);
    cr_expect_eq(page.entries[0].epoch, 1);
    cr_expect_eq(page.entries[0].hash[0], 'a' + (int)(first_last_seq / 10) - 1);
  }
  pd_store_page_free(&page);
}

Test(store, reads_from_the_entry_that_holds_a_sequence_number) {
  fill(5);
  expect_page(1, 100, 5, 10);
  expect_page(10, 100, 5, 10);
  expect_page(11, 100, 4, 20);
  expect_page(25, 2, 2, 30);
  expect_page(50, 100, 1, 50);
  expect_page(51, 100, 0, 0);
}

Test(store, trims_whole_entries_below_a_position_but_never_the_last) {
  fill(5);
  cr_expect_eq(pd_store_trim_now(now, "intake", 25), PD_OK);
  expect_page(1, 100, 3, 30);
  cr_expect_eq(pd_store_trim_now(now, "intake", 1000), PD_OK);
  expect_page(1, 100, 1, 50);
  expect_tail(50, 'e', 1);
}

Test(store, a_foreign_entry_in_the_stream_is_a_format_error) {
  char answer[64];
  struct pd_store_page page;
  redis_server_cli(&server, "xadd '{370302}:log:intake' 7-0 e x h short p 1", answer,
                   sizeof answer);
  cr_expect_eq(pd_store_read_now(now, "intake", 1, 10, &page), PD_EFORMAT);
}

Test(store, an_entry_of_sixteen_mebibytes_passes) {
  struct pd_commit made = entry(1, 1, 1, 0, 'a');
  uint8_t *bytes = malloc(PD_ENTRY_MAX);
  memset(bytes, 0x5a, PD_ENTRY_MAX);
  made.bytes = bytes;
  made.size = PD_ENTRY_MAX;
  cr_expect_eq(pd_store_commit_now(now, "intake", &made, NULL), PD_COMMIT_OK);
  struct pd_store_page page;
  cr_assert_eq(pd_store_read_now(now, "intake", 1, 10, &page), PD_OK);
  cr_assert_eq(page.count, 1);
  cr_expect_eq(page.entries[0].size, PD_ENTRY_MAX);
  cr_expect(memcmp(page.entries[0].bytes, bytes, PD_ENTRY_MAX) == 0);
  pd_store_page_free(&page);
  free(bytes);
}

/* ---- on the loop ---- */

struct world {
  uv_loop_t loop;
  struct pd_store *store;
  uv_timer_t patience;
  bool late;
  int ups;
  int downs;
  char why[256];
  int replies[PD_COMMIT_UNKNOWN + 1];
  int answers;
  enum pd_err err;
  struct pd_tail tail;
  size_t entries;
};

static void on_state(void *context, bool up, const char *why) {
  struct world *world = context;
  snprintf(world->why, sizeof world->why, "%s", why);
  if (up) {
    world->ups++;
  } else {
    world->downs++;
  }
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
  world->err = err;
  world->entries = count;
  if (count > 0) cr_expect_eq(entries[0].size, 10);
  world->answers++;
}

static void on_late(uv_timer_t *timer) {
  ((struct world *)timer->data)->late = true;
}

static void world_open(struct world *world, const struct pd_redis_options *options) {
  memset(world, 0, sizeof *world);
  uv_loop_init(&world->loop);
  uv_timer_init(&world->loop, &world->patience);
  world->patience.data = world;
  cr_assert_eq(pd_store_open(&world->store, &world->loop, options, SHARD, on_state, world), PD_OK);
}

#define run_until(world, condition)                                                                \
  do {                                                                                             \
    (world)->late = false;                                                                         \
    uv_timer_start(&(world)->patience, on_late, 10000, 0);                                         \
    while (!(condition) && !(world)->late) uv_run(&(world)->loop, UV_RUN_ONCE);                    \
    cr_assert(!(world)->late, "waited 10 s for " #condition " (%s)", (world)->why);                \
    uv_timer_stop(&(world)->patience);                                                             \
  } while (0)

static void world_close(struct world *world) {
  pd_store_close(world->store);
  uv_close((uv_handle_t *)&world->patience, NULL);
  cr_expect_eq(uv_run(&world->loop, UV_RUN_DEFAULT), 0);
  cr_expect_eq(uv_loop_close(&world->loop), 0, "handles are left");
}

Test(store, a_server_that_says_nothing_is_let_go_and_taken_back) {
  struct world world;
  world_open(&world, &(struct pd_redis_options){.url = server.url});
  run_until(&world, world.ups == 1);
  struct pd_commit made = entry(1, 1, 3, 0, 'a');
  kill(server.pid, SIGSTOP);
  cr_expect_eq(pd_store_commit(world.store, "intake", &made, on_commit, &world), PD_OK);
  run_until(&world, world.downs == 1);
  cr_expect_eq(world.replies[PD_COMMIT_UNKNOWN], 1);
  cr_expect(strstr(world.why, "said nothing") != NULL, "%s", world.why);
  kill(server.pid, SIGCONT);
  run_until(&world, world.ups == 2);
  cr_expect_eq(pd_store_commit(world.store, "intake", &made, on_commit, &world), PD_OK);
  run_until(&world, world.answers == 2);
  cr_expect_eq(world.replies[PD_COMMIT_OK] + world.replies[PD_COMMIT_DUP], 1);
  world_close(&world);
}

Test(store, an_idle_connection_is_kept) {
  struct world world;
  world_open(&world, &(struct pd_redis_options){.url = server.url});
  run_until(&world, world.ups == 1);
  uv_timer_start(&world.patience, on_late, 7000, 0);
  while (!world.late) uv_run(&world.loop, UV_RUN_ONCE);
  cr_expect_eq(world.downs, 0, "%s", world.why);
  world_close(&world);
}

Test(store, commits_reads_and_asks_for_the_tail_on_the_loop) {
  struct world world;
  world_open(&world, &(struct pd_redis_options){.url = server.url});
  struct pd_commit made = entry(1, 1, 3, 0, 'a');
  cr_expect_eq(pd_store_commit(world.store, "intake", &made, on_commit, &world), PD_EDOWN);
  run_until(&world, world.ups == 1);
  cr_expect_eq(pd_store_commit(world.store, "intake", &made, on_commit, &world), PD_OK);
  cr_expect_eq(pd_store_commit(world.store, "intake", &made, on_commit, &world), PD_OK);
  made = entry(1, 9, 9, 0, 'b');
  cr_expect_eq(pd_store_commit(world.store, "intake", &made, on_commit, &world), PD_OK);
  cr_expect_eq(pd_store_tail(world.store, "intake", on_tail, &world), PD_OK);
  cr_expect_eq(pd_store_read(world.store, "intake", 1, 10, on_read, &world), PD_OK);
  run_until(&world, world.answers == 5);
  cr_expect_eq(world.replies[PD_COMMIT_OK], 1);
  cr_expect_eq(world.replies[PD_COMMIT_DUP], 1);
  cr_expect_eq(world.replies[PD_COMMIT_FENCED], 1);
  cr_expect_eq(world.tail.last_seq, 3);
  cr_expect_eq(world.entries, 1);
  made.size = PD_ENTRY_MAX + 1;
  cr_expect_eq(pd_store_commit(world.store, "intake", &made, on_commit, &world), PD_EBOUNDS);
  world_close(&world);
}

/* Keep two commits in flight until the server is killed under them; returns how many were
 * acknowledged. */
static int commit_until_killed(struct world *world, int kill_after) {
  int sent = 0;
  uint8_t *bytes = calloc(1, 100000);
  while (world->replies[PD_COMMIT_UNKNOWN] == 0) {
    struct pd_commit made = entry(1, (uint64_t)sent + 1, (uint64_t)sent + 1,
                                  sent == 0 ? 0 : (char)sent, (char)(sent + 1));
    made.bytes = bytes;
    made.size = 100000;
    if (sent - world->answers < 2 && sent < 100) {
      cr_assert_eq(pd_store_commit(world->store, "intake", &made, on_commit, world), PD_OK);
      sent++;
    }
    if (sent == kill_after) redis_server_kill(&server);
    int answers = world->answers;
    run_until(world, world->answers > answers || sent - world->answers < 2);
  }
  cr_expect_eq(world->answers, sent, "every commit is answered once");
  free(bytes);
  return world->replies[PD_COMMIT_OK];
}

Test(store, a_killed_redis_leaves_unknown_outcomes_that_the_tail_resolves) {
  struct world world;
  world_open(&world, &(struct pd_redis_options){.url = server.url});
  run_until(&world, world.ups == 1);
  int acked = commit_until_killed(&world, 20);
  run_until(&world, world.downs >= 1);
  cr_expect(!pd_store_is_up(world.store));
  cr_expect_gt(world.replies[PD_COMMIT_UNKNOWN], 0);
  redis_server_again(&server, NULL);
  run_until(&world, world.ups == 2);
  int answers = world.answers;
  cr_expect_eq(pd_store_boot(world.store, "intake", on_tail, &world), PD_OK);
  run_until(&world, world.answers == answers + 1);
  cr_expect_eq(world.err, PD_OK);
  cr_expect_geq(world.tail.last_seq, (uint64_t)acked, "nothing acknowledged is lost");
  cr_expect_leq(world.tail.last_seq, (uint64_t)(acked + world.replies[PD_COMMIT_UNKNOWN]));
  world_close(&world);
}

/* The kernel then reports an error on the socket, not an end: libuv stops polling, for ever if
 * nobody acts on it. */
Test(store, a_server_that_dies_with_our_commands_unread_is_noticed) {
  struct world world;
  world_open(&world, &(struct pd_redis_options){.url = server.url});
  run_until(&world, world.ups == 1);
  struct pd_commit made = entry(1, 1, 3, 0, 'a');
  kill(server.pid, SIGSTOP);
  for (int i = 0; i < 5; i++) {
    cr_assert_eq(pd_store_commit(world.store, "intake", &made, on_commit, &world), PD_OK);
  }
  for (int i = 0; i < 20; i++) {
    uv_run(&world.loop, UV_RUN_NOWAIT);
    usleep(1000);
  }
  redis_server_kill(&server);
  run_until(&world, world.answers == 5 && world.downs >= 1);
  cr_expect_eq(world.replies[PD_COMMIT_UNKNOWN], 5);
  redis_server_again(&server, NULL);
  run_until(&world, world.ups == 2);
  world_close(&world);
}

Test(store, a_close_with_calls_under_way_answers_each_once) {
  struct world world;
  world_open(&world, &(struct pd_redis_options){.url = server.url});
  run_until(&world, world.ups == 1);
  struct pd_commit made = entry(1, 1, 3, 0, 'a');
  cr_expect_eq(pd_store_commit(world.store, "intake", &made, on_commit, &world), PD_OK);
  cr_expect_eq(pd_store_tail(world.store, "intake", on_tail, &world), PD_OK);
  world_close(&world);
  cr_expect_eq(world.replies[PD_COMMIT_UNKNOWN], 1);
  cr_expect_eq(world.err, PD_EDOWN);
  cr_expect_eq(world.answers, 2);
}

Test(store, a_missing_or_foreign_library_is_named_and_heals) {
  char answer[64];
  struct world world;
  redis_server_cli(&server, "function flush", answer, sizeof answer);
  world_open(&world, &(struct pd_redis_options){.url = server.url});
  run_until(&world, world.downs == 1);
  cr_expect(strstr(world.why, "function library") != NULL, "%s", world.why);
  const char *reason;
  cr_assert_eq(pd_store_load_library(now, &reason), PD_OK);
  run_until(&world, world.ups == 1);
  world_close(&world);
}

static void on_state_close(void *context, bool up, const char *why) {
  struct world *world = context;
  on_state(context, up, why);
  if (up) pd_store_close(world->store);
}

Test(store, may_be_closed_from_its_own_callback) {
  struct world world = {0};
  uv_loop_init(&world.loop);
  struct pd_redis_options options = {.url = server.url};
  cr_assert_eq(pd_store_open(&world.store, &world.loop, &options, SHARD, on_state_close, &world),
               PD_OK);
  cr_expect_eq(uv_run(&world.loop, UV_RUN_DEFAULT), 0);
  cr_expect_eq(world.ups, 1);
  cr_expect_eq(uv_loop_close(&world.loop), 0);
}

/* What came of the last question about a lease. */
struct asked {
  struct pd_lease_answer answer;
  struct pd_holder holder, holders[PD_LOGS];
  uint32_t answers;
  uint32_t zero;
};

static void on_lease(void *context, const struct pd_lease_answer *answer,
                     const struct pd_holder *holder) {
  struct asked *asked = context;
  asked->answer = *answer;
  asked->holder = *holder;
  asked->answers++;
}

static void on_leases(void *context, enum pd_err err, const struct pd_holder *holders) {
  struct asked *asked = context;
  cr_assert_eq(err, PD_OK);
  memcpy(asked->holders, holders, sizeof asked->holders);
  asked->answers++;
}

/* An instance asks, and hears the answer. */
static struct asked ask_lease(struct world *world, const char *name, enum pd_lease_ask ask,
                              uint32_t holds) {
  struct asked asked = {0};
  struct pd_holder self = {.epoch = 7};
  snprintf(self.name, sizeof self.name, "%s", name);
  snprintf(self.endpoint, sizeof self.endpoint, "ipc:///run/%s", name);
  enum pd_err err = pd_store_lease(world->store, "intake", ask, &self, holds, on_lease, &asked);
  cr_assert_eq(err, PD_OK);
  run_until(world, asked.answers == 1);
  return asked;
}

Test(store, a_lease_has_one_holder_until_it_is_let_go) {
  struct world world;
  world_open(&world, &(struct pd_redis_options){.url = server.url});
  run_until(&world, world.ups == 1);
  cr_expect_eq(ask_lease(&world, "a", PD_LEASE_LOOK, 0).answer.found, PD_LEASE_NOBODY);
  cr_expect_eq(ask_lease(&world, "a", PD_LEASE_WAIT, 0).answer.found, PD_LEASE_NOBODY);
  cr_expect_eq(ask_lease(&world, "a", PD_LEASE_TAKE, 0).answer.found, PD_LEASE_HELD);
  struct asked other = ask_lease(&world, "b", PD_LEASE_TAKE, 0);
  cr_expect_eq(other.answer.found, PD_LEASE_OTHER);
  cr_expect(other.answer.left_ms > 0 && other.answer.left_ms <= PD_LEASE_TTL_MS);
  cr_expect_str_eq(other.holder.name, "a");
  cr_expect_str_eq(other.holder.endpoint, "ipc:///run/a");
  cr_expect_eq(other.holder.epoch, 7);
  cr_expect_eq(ask_lease(&world, "b", PD_LEASE_FREE, 0).answer.found, PD_LEASE_NOBODY);
  cr_expect_eq(ask_lease(&world, "b", PD_LEASE_TAKE, 0).answer.found, PD_LEASE_OTHER,
               "only its holder lets it go");
  ask_lease(&world, "a", PD_LEASE_FREE, 0);
  cr_expect_eq(ask_lease(&world, "b", PD_LEASE_TAKE, 0).answer.found, PD_LEASE_HELD);
  world_close(&world);
}

Test(store, a_lease_that_is_not_renewed_ends) {
  struct world world;
  world_open(&world, &(struct pd_redis_options){.url = server.url});
  run_until(&world, world.ups == 1);
  ask_lease(&world, "a", PD_LEASE_TAKE, 0);
  usleep(PD_LEASE_TTL_MS / 2 * 1000);
  ask_lease(&world, "a", PD_LEASE_TAKE, 0);
  usleep(PD_LEASE_TTL_MS * 3 / 4 * 1000);
  cr_expect_eq(ask_lease(&world, "b", PD_LEASE_TAKE, 0).answer.found, PD_LEASE_OTHER,
               "the renewal did not count");
  usleep(PD_LEASE_TTL_MS / 2 * 1000);
  cr_expect_eq(ask_lease(&world, "b", PD_LEASE_TAKE, 0).answer.found, PD_LEASE_HELD);
  world_close(&world);
}

Test(store, a_renewal_says_who_waits_once_for_each_time_it_was_asked_for) {
  struct world world;
  world_open(&world, &(struct pd_redis_options){.url = server.url});
  run_until(&world, world.ups == 1);
  cr_expect_not(ask_lease(&world, "a", PD_LEASE_TAKE, 0).answer.waited);
  ask_lease(&world, "c", PD_LEASE_LOOK, 9);
  cr_expect_not(ask_lease(&world, "a", PD_LEASE_TAKE, 0).answer.waited, "who looks does not wait");
  ask_lease(&world, "b", PD_LEASE_WAIT, 3);
  struct asked held = ask_lease(&world, "a", PD_LEASE_TAKE, 0);
  cr_expect(held.answer.waited);
  cr_expect_eq(held.answer.waiting_holds, 3);
  cr_expect_not(ask_lease(&world, "a", PD_LEASE_TAKE, 0).answer.waited);
  world_close(&world);
}

Test(store, the_holders_of_all_logs_are_read_at_once) {
  struct world world;
  struct asked asked = {0};
  struct pd_holder holders[PD_LOGS];
  world_open(&world, &(struct pd_redis_options){.url = server.url});
  run_until(&world, world.ups == 1);
  ask_lease(&world, "a", PD_LEASE_TAKE, 0);
  cr_expect_eq(pd_store_leases(world.store, on_leases, &asked), PD_OK);
  run_until(&world, asked.answers == 1);
  cr_expect_str_eq(asked.holders[PD_LOG_INTAKE].endpoint, "ipc:///run/a");
  cr_expect_str_eq(asked.holders[PD_LOG_POINTS].name, "");
  cr_expect_eq(pd_store_leases_now(now, holders), PD_OK);
  cr_expect_str_eq(holders[PD_LOG_INTAKE].name, "a");
  world_close(&world);
}

Test(store, a_lease_is_renewed_even_when_memory_is_full) {
  char answer[64];
  struct world world;
  world_open(&world, &(struct pd_redis_options){.url = server.url});
  run_until(&world, world.ups == 1);
  redis_server_cli(&server, "config set maxmemory 1", answer, sizeof answer);
  cr_expect_eq(ask_lease(&world, "a", PD_LEASE_TAKE, 0).answer.found, PD_LEASE_HELD);
  world_close(&world);
}

Test(store, refuses_urls_it_does_not_understand) {
  const char *const bad[] = {"",           "unix:relative", "localhost",
                             "localhost:", "localhost:0",   "localhost:99999",
                             ":6379",      "::1:6379"};
  uv_loop_t loop;
  uv_loop_init(&loop);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct pd_store *store;
    struct pd_redis_options options = {.url = bad[i]};
    cr_expect_eq(pd_store_open(&store, &loop, &options, SHARD, NULL, NULL), PD_EINVAL, "%s",
                 bad[i]);
  }
  uv_loop_close(&loop);
}

Test(store, authenticates_and_names_a_wrong_password) {
  char answer[64];
  char path[128];
  redis_server_cli(
      &server,
      "acl setuser intake on '>secret-word' '~{370302}:log:*' '~{370302}:tip:*' "
      "+fcall +fcall_ro +xrange +xrevrange +xadd +hset +hmget +del +ping",
      answer, sizeof answer);
  cr_expect_str_eq(answer, "OK");
  snprintf(path, sizeof path, "%s/password", server.dir);
  FILE *file = fopen(path, "w");
  fputs("wrong\n", file);
  fclose(file);
  struct world world;
  world_open(&world, &(struct pd_redis_options){
                         .url = server.url, .user = "intake", .password_file = path});
  run_until(&world, world.downs == 1);
  cr_expect(strstr(world.why, "WRONGPASS") != NULL, "%s", world.why);
  file = fopen(path, "w");
  fputs("secret-word\n", file);
  fclose(file);
  run_until(&world, world.ups == 1);
  struct pd_commit made = entry(1, 1, 3, 0, 'a');
  cr_expect_eq(pd_store_commit(world.store, "intake", &made, on_commit, &world), PD_OK);
  run_until(&world, world.answers == 1);
  cr_expect_eq(world.replies[PD_COMMIT_OK], 1);
  world_close(&world);
}

Test(store, reaches_a_server_over_tcp) {
  char answer[64], url[64];
  unsigned port = 20000 + (unsigned)getpid() % 20000;
  snprintf(url, sizeof url, "config set port %u", port);
  redis_server_cli(&server, url, answer, sizeof answer);
  cr_assert_str_eq(answer, "OK");
  struct world world;
  snprintf(url, sizeof url, "127.0.0.1:%u", port);
  world_open(&world, &(struct pd_redis_options){.url = url});
  run_until(&world, world.ups == 1);
  cr_expect_eq(pd_store_tail(world.store, "intake", on_tail, &world), PD_OK);
  run_until(&world, world.answers == 1);
  cr_expect_eq(world.err, PD_OK);
  world_close(&world);
}
