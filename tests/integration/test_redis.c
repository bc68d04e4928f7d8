/* The connection and its way through a cluster: a real one of two masters, and servers that answer
 * what none should. */
#include "common/io/store.h"

#include "redis_server.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SHARD = 370302, SLOT = 10702, NODES = 2 };

static struct redis_server nodes[NODES];
static unsigned ports[NODES];
static char urls[NODES][64], ids[NODES][64];

/* A port that nobody listens on; its neighbours for the cluster's own bus are above. */
static unsigned free_port(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  cr_assert_eq(bind(fd, (struct sockaddr *)&address, size), 0);
  cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
  close(fd);
  return ntohs(address.sin_port);
}

static void cli(int node, const char *command, const char *want) {
  char answer[128];
  redis_server_cli(&nodes[node], command, answer, sizeof answer);
  if (want != NULL) cr_assert_str_eq(answer, want, "%s: %s", command, answer);
}

static void wait_for(int node, const char *command, const char *want) {
  char answer[128] = "";
  for (int i = 0; i < 500; i++) {
    redis_server_cli(&nodes[node], command, answer, sizeof answer);
    if (strcmp(answer, want) == 0) return;
    usleep(20000);
  }
  cr_assert_fail("%s: %s, not %s", command, answer, want);
}

/* Two masters; the shard's slot is at the first. */
static void set_up(void) {
  char text[128];
  for (int i = 0; i < NODES; i++) {
    char port[16], bus[16];
    ports[i] = free_port();
    snprintf(port, sizeof port, "%u", ports[i]);
    snprintf(bus, sizeof bus, "%u", free_port());
    const char *extra[] = {"--port", port, "--cluster-enabled", "yes", "--cluster-port", bus,
                           "--cluster-node-timeout", "1000",
                           "--cluster-require-full-coverage", "no", NULL};
    redis_server_start(&nodes[i], extra);
    snprintf(urls[i], sizeof urls[i], "127.0.0.1:%u", ports[i]);
    redis_server_cli(&nodes[i], "cluster myid", ids[i], sizeof ids[i]);
    if (i == 0) continue;
    redis_server_cli(&nodes[i], "config get cluster-port | tail -1", bus, sizeof bus);
    snprintf(text, sizeof text, "cluster meet 127.0.0.1 %u %s", ports[i], bus);
    cli(0, text, "OK");
  }
  cli(1, "cluster addslotsrange 0 8191", "OK");
  cli(0, "cluster addslotsrange 8192 16383", "OK");
  for (int i = 0; i < NODES; i++)
    wait_for(i, "cluster info | grep -c -e state:ok -e slots_assigned:16384", "2");
}

static void tear_down(void) {
  for (int i = 0; i < NODES; i++) redis_server_end(&nodes[i]);
}

TestSuite(redis, .init = set_up, .fini = tear_down, .timeout = 60);

/* The slot goes to the other node: announced, its keys moved, given over. */
static void announce(int from, int to) {
  char text[160];
  snprintf(text, sizeof text, "cluster setslot %d importing %s", SLOT, ids[from]);
  cli(to, text, "OK");
  snprintf(text, sizeof text, "cluster setslot %d migrating %s", SLOT, ids[to]);
  cli(from, text, "OK");
}

static void move_keys(int from, int to) {
  char text[256];
  snprintf(text, sizeof text,
           "migrate 127.0.0.1 %u '' 0 5000 keys '{370302}:log:intake' '{370302}:tip:intake'",
           ports[to]);
  cli(from, text, "OK");
}

static void give_over(int to) {
  char text[160];
  for (int i = 0; i < NODES; i++) {
    int node = i == 0 ? to : 1 - to;
    snprintf(text, sizeof text, "cluster setslot %d node %s", SLOT, ids[to]);
    cli(node, text, "OK");
  }
}

/* ---- a store on the loop ---- */

struct world {
  uv_loop_t loop;
  struct pd_store *store;
  uv_timer_t patience;
  bool late;
  int ups, downs, answers;
  char why[256];
  int replies[PD_COMMIT_UNKNOWN + 1];
  enum pd_err err;
  struct pd_tail tail;
  size_t entries;
};

static void on_state(void *context, bool up, const char *why) {
  struct world *world = context;
  snprintf(world->why, sizeof world->why, "%s", why);
  (*(up ? &world->ups : &world->downs))++;
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

static void world_open(struct world *world, const char *url) {
  memset(world, 0, sizeof *world);
  uv_loop_init(&world->loop);
  uv_timer_init(&world->loop, &world->patience);
  world->patience.data = world;
  struct pd_redis_options options = {.url = url};
  cr_assert_eq(pd_store_open(&world->store, &world->loop, &options, SHARD, on_state, world), PD_OK);
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

static const char *both(char text[160]) {
  snprintf(text, 160, "%s,redis://%s", urls[0], urls[1]);
  return text;
}

static void load(void) {
  char url[160];
  struct pd_store_now *now;
  struct pd_redis_options options = {.url = both(url)};
  const char *why;
  cr_assert_eq(pd_store_now_open(&now, &options, SHARD, NULL, 0), PD_OK);
  cr_assert_eq(pd_store_load_library(now, &why), PD_OK, "%s", why);
  pd_store_now_close(now);
}

/* The entry that ends with seq: its hash is that number. */
static struct pd_commit entry(uint64_t seq) {
  static const uint8_t bytes[] = "some\0bytes";
  struct pd_commit commit = {
      .epoch = 1, .first_seq = seq, .last_seq = seq, .bytes = bytes, .size = 10};
  memset(commit.prev_hash, (int)(seq - 1), sizeof commit.prev_hash);
  memset(commit.hash, (int)seq, sizeof commit.hash);
  return commit;
}

static void commit(struct world *world, uint64_t seq) {
  struct pd_commit made = entry(seq);
  int answers = world->answers;
  cr_assert_eq(pd_store_commit(world->store, "intake", &made, on_commit, world), PD_OK);
  run_until(world, world->answers == answers + 1);
}

static void expect_tail(struct world *world, uint64_t seq) {
  int answers = world->answers;
  cr_assert_eq(pd_store_boot(world->store, "intake", on_tail, world), PD_OK);
  run_until(world, world->answers == answers + 1);
  cr_expect_eq(world->err, PD_OK);
  cr_expect_eq(world->tail.last_seq, seq);
}

Test(redis, the_library_is_loaded_at_every_master) {
  load();
  for (int i = 0; i < NODES; i++) cli(i, "function list | grep -c paidan$", "1");
}

Test(redis, finds_the_node_that_serves_the_slot_whichever_it_asks_first) {
  load();
  for (int i = 0; i < NODES; i++) {
    struct world world;
    world_open(&world, urls[i]);
    run_until(&world, world.ups == 1);
    cr_expect_eq(world.downs, 0, "the way there is nobody's business: %s", world.why);
    commit(&world, (uint64_t)i + 1);
    cr_expect_eq(world.replies[PD_COMMIT_OK], 1);
    world_close(&world);
  }
}

Test(redis, a_dead_node_in_the_list_is_passed_over) {
  char list[160];
  load();
  snprintf(list, sizeof list, "unix:/nowhere/redis.sock,127.0.0.1:%u,%s", free_port(), urls[1]);
  struct world world;
  world_open(&world, list);
  run_until(&world, world.ups == 1);
  commit(&world, 1);
  cr_expect_eq(world.replies[PD_COMMIT_OK], 1);
  world_close(&world);
}

Test(redis, a_command_follows_its_keys_while_the_slot_moves_and_after) {
  struct world world;
  load();
  world_open(&world, urls[0]);
  run_until(&world, world.ups == 1);
  commit(&world, 1);
  announce(0, 1);
  commit(&world, 2);
  cr_expect_eq(world.replies[PD_COMMIT_OK], 2, "the keys are where they were");
  move_keys(0, 1);
  commit(&world, 3);
  cr_expect_eq(world.replies[PD_COMMIT_OK], 3, "sent behind ASKING");
  expect_tail(&world, 3);
  cr_expect_eq(world.downs, 0, "%s", world.why);
  give_over(1);
  commit(&world, 4);
  cr_expect_eq(world.replies[PD_COMMIT_UNKNOWN], 1, "not done; nobody need know why");
  cr_expect_eq(world.downs, 1);
  cr_expect(strstr(world.why, urls[1]) != NULL, "%s", world.why);
  run_until(&world, world.ups == 2);
  expect_tail(&world, 3);
  commit(&world, 4);
  cr_expect_eq(world.replies[PD_COMMIT_OK], 4);
  cli(1, "xlen '{370302}:log:intake'", "4");
  world_close(&world);
}

Test(redis, keys_that_are_torn_apart_refuse_and_heal) {
  char text[256];
  struct world world;
  load();
  world_open(&world, urls[0]);
  run_until(&world, world.ups == 1);
  commit(&world, 1);
  announce(0, 1);
  snprintf(text, sizeof text, "migrate 127.0.0.1 %u '{370302}:tip:intake' 0 5000", ports[1]);
  cli(0, text, "OK");
  commit(&world, 2);
  cr_expect_eq(world.replies[PD_COMMIT_REFUSED], 1, "TRYAGAIN");
  snprintf(text, sizeof text, "migrate 127.0.0.1 %u '{370302}:log:intake' 0 5000", ports[1]);
  cli(0, text, "OK");
  give_over(1);
  commit(&world, 2);
  run_until(&world, world.ups == 2);
  expect_tail(&world, 1);
  commit(&world, 2);
  cr_expect_eq(world.replies[PD_COMMIT_OK], 2);
  world_close(&world);
}

Test(redis, blocking_callers_follow_the_slot_too) {
  struct pd_store_now *now;
  struct pd_redis_options options = {.url = urls[1]};
  struct pd_tail tail;
  load();
  cr_assert_eq(pd_store_now_open(&now, &options, SHARD, NULL, 0), PD_OK);
  struct pd_commit made = entry(1);
  cr_expect_eq(pd_store_commit_now(now, "intake", &made, NULL), PD_COMMIT_OK);
  announce(0, 1);
  move_keys(0, 1);
  made = entry(2);
  cr_expect_eq(pd_store_commit_now(now, "intake", &made, NULL), PD_COMMIT_OK, "by ASK");
  give_over(1);
  made = entry(3);
  cr_expect_eq(pd_store_commit_now(now, "intake", &made, NULL), PD_COMMIT_OK, "by MOVED");
  cr_expect_eq(pd_store_tail_now(now, "intake", &tail), PD_OK);
  cr_expect_eq(tail.last_seq, 3);
  pd_store_now_close(now);
}

Test(redis, a_node_without_its_slots_served_is_left_and_found_again) {
  struct world world;
  char list[160];
  load();
  world_open(&world, both(list));
  run_until(&world, world.ups == 1);
  commit(&world, 1);
  redis_server_kill(&nodes[0]);
  run_until(&world, world.downs >= 1);
  run_for(&world, 3000);
  cr_expect_eq(world.ups, 1, "the other one does not serve the slot");
  char port[16], bus[16];
  snprintf(port, sizeof port, "%u", ports[0]);
  snprintf(bus, sizeof bus, "%u", free_port());
  const char *extra[] = {"--port", port, "--cluster-enabled", "yes", "--cluster-port", bus,
                         "--cluster-node-timeout", "1000",
                         "--cluster-require-full-coverage", "no", NULL};
  redis_server_again(&nodes[0], extra);
  run_until(&world, world.ups == 2);
  expect_tail(&world, 1);
  world_close(&world);
}

/* Far more than the socket holds is under way when the server dies. */
Test(redis, a_server_that_dies_in_the_middle_of_a_reply_leaves_no_half_of_it) {
  struct world world;
  load();
  world_open(&world, urls[0]);
  run_until(&world, world.ups == 1);
  struct pd_commit made = entry(1);
  made.size = PD_ENTRY_MAX;
  uint8_t *bytes = calloc(1, made.size);
  made.bytes = bytes;
  cr_assert_eq(pd_store_commit(world.store, "intake", &made, on_commit, &world), PD_OK);
  run_until(&world, world.answers == 1);
  cr_assert_eq(world.replies[PD_COMMIT_OK], 1);
  cr_assert_eq(pd_store_read(world.store, "intake", 1, 10, on_read, &world), PD_OK);
  uv_run(&world.loop, UV_RUN_NOWAIT);
  usleep(200000);
  redis_server_kill(&nodes[0]);
  run_until(&world, world.answers == 2);
  cr_expect_eq(world.err, PD_EDOWN);
  cr_expect_eq(world.entries, 0);
  free(bytes);
  world_close(&world);
}

/* ---- servers that answer what none should ---- */

/* Answers PING as Redis does, and everything else with one text.  Returns its process. */
static pid_t start_fake(unsigned port, const char *text) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  cr_assert_eq(listen(fd, 16), 0);
  pid_t pid = fork();
  if (pid > 0) close(fd);
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (;;) {
    char heard[65536];
    ssize_t size;
    int client = accept(fd, NULL, NULL);
    while ((size = read(client, heard, sizeof heard - 1)) > 0) {
      heard[size] = '\0';
      for (char *at = heard; (at = strchr(at, '*')) != NULL; at++) {
        const char *answer = strncmp(at, "*1\r\n$4\r\nPING", 12) == 0 ? "+PONG\r\n" : text;
        if (write(client, answer, strlen(answer)) < 0) break;
      }
    }
    close(client);
  }
}

static void end_fake(pid_t pid) {
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
}

/* For three seconds a store finds nobody: it must neither come up nor hurry. */
static void expect_nobody(const char *url, const char *why) {
  struct world world;
  char now_why[192] = "";
  world_open(&world, url);
  run_for(&world, 3000);
  cr_expect_eq(world.ups, 0);
  cr_expect_leq(world.downs, 12, "%d times", world.downs);
  cr_expect(strstr(world.why, why) != NULL, "%s", world.why);
  world_close(&world);
  struct pd_store_now *now;
  struct pd_redis_options options = {.url = url};
  cr_expect_eq(pd_store_now_open(&now, &options, SHARD, now_why, sizeof now_why), PD_EDOWN);
  cr_expect(now_why[0] != '\0');
}

TestSuite(redis_fake, .timeout = 60);

Test(redis_fake, a_redirection_to_where_nobody_listens_is_survived) {
  char url[64], text[64];
  unsigned port = free_port();
  snprintf(url, sizeof url, "127.0.0.1:%u", port);
  snprintf(text, sizeof text, "-MOVED 10702 127.0.0.1:%u\r\n", free_port());
  pid_t fake = start_fake(port, text);
  expect_nobody(url, "refused");
  end_fake(fake);
}

Test(redis_fake, redirections_in_a_circle_end) {
  char list[64], text[64];
  unsigned one = free_port(), two = free_port();
  snprintf(text, sizeof text, "-MOVED 10702 127.0.0.1:%u\r\n", two);
  pid_t first = start_fake(one, text);
  snprintf(text, sizeof text, "-MOVED 10702 :%u\r\n", one);
  pid_t second = start_fake(two, text);
  snprintf(list, sizeof list, "127.0.0.1:%u", one);
  expect_nobody(list, "node to node");
  end_fake(first);
  end_fake(second);
}

Test(redis_fake, nonsense_is_no_answer) {
  static const char *const nonsense[] = {"garbage\r\n",
                                         "*3\r\n$-7\r\n",
                                         "-MOVED\r\n",
                                         "-MOVED 10702 nowhere\r\n",
                                         "-ASK 10702 127.0.0.1:0\r\n",
                                         "-CLUSTERDOWN The cluster is down\r\n",
                                         "-LOADING Redis is loading the dataset in memory\r\n"};
  for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
    char url[64];
    unsigned port = free_port();
    snprintf(url, sizeof url, "127.0.0.1:%u", port);
    pid_t fake = start_fake(port, nonsense[i]);
    struct world world;
    world_open(&world, url);
    run_for(&world, 1500);
    cr_expect_eq(world.ups, 0, "%s", nonsense[i]);
    cr_expect_leq(world.downs, 8, "%s: %d times", nonsense[i], world.downs);
    cr_expect(world.why[0] != '\0');
    world_close(&world);
    end_fake(fake);
  }
}
