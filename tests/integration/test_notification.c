/* The daemon between a real Redis and a real file: everything is told, whatever dies in between. */
#include "common/io/store.h"
#include "common/wire/entry.h"

#include "redis_server.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SHARD = 370302, ORDERS = 10000, IN_AN_ENTRY = 500, WAIT_S = 30 };

static struct redis_server server;
static struct pd_store_now *now;
static char dir[64], messages[96];
static pid_t daemon_pid;

static void set_up(void) {
  redis_server_start(&server, NULL);
  struct pd_redis_options options = {.url = server.url};
  char why[128] = "";
  const char *reason;
  cr_assert_eq(pd_store_now_open(&now, &options, SHARD, why, sizeof why), PD_OK, "%s", why);
  cr_assert_eq(pd_store_load_library(now, &reason), PD_OK, "%s", reason);
  strcpy(dir, "/tmp/paidan-notify-XXXXXX");
  cr_assert(mkdtemp(dir) != NULL);
  snprintf(messages, sizeof messages, "%s/messages.jsonl", dir);
}

static void end_daemon(int with) {
  if (daemon_pid <= 0) return;
  kill(daemon_pid, with);
  waitpid(daemon_pid, NULL, 0);
  daemon_pid = 0;
}

static void tear_down(void) {
  end_daemon(SIGKILL);
  pd_store_now_close(now);
  redis_server_end(&server);
  char command[96];
  snprintf(command, sizeof command, "rm -r %s", dir);
  cr_assert_eq(system(command), 0);
}

TestSuite(notification_daemon, .init = set_up, .fini = tear_down, .timeout = 120);

static void start_daemon(void) {
  char journal[96];
  snprintf(journal, sizeof journal, "%s/journal", dir);
  daemon_pid = fork();
  cr_assert(daemon_pid >= 0);
  if (daemon_pid > 0) return;
  if (freopen(journal, "a", stderr) == NULL) _exit(126);
  execl(PROGRAM, PROGRAM, "--shard", "370302", "--run-dir", dir, "--data-dir", dir, "--log-redis",
        server.url, (char *)NULL);
  _exit(127);
}

/* An entry of intake's log: orders first … last, one event each. */
static void commit_orders(uint64_t first, uint64_t last, struct pd_hash *prev) {
  static uint8_t memory[1 << 20];
  struct pd_packer packer;
  pd_packer_init(&packer, memory, sizeof memory);
  uint8_t person[16] = {1, 2, 3};
  for (uint64_t order = first; order <= last; order++) {
    struct pd_order_placed body = PD_ORDER_PLACED_INIT;
    body.order = order;
    body.requester = (ProtobufCBinaryData){.len = sizeof person, .data = person};
    body.kind = PD_ORDER_KIND_VISIT;
    body.window_start_ms = body.window_end_ms = 1741017600000;
    struct pd_event event = PD_EVENT_INIT;
    event.log = PD_LOG_INTAKE;
    event.seq = order;
    event.time_ms = 1741017600000;
    event.shard = SHARD;
    event.body_case = PD_EVENT_ORDER_PLACED;
    event.order_placed = &body;
    pd_pack_event(&packer, &event);
  }
  struct pd_entry_head head = {
      .shard = SHARD, .log = PD_LOG_INTAKE, .epoch = 1, .first_seq = first, .last_seq = last};
  head.prev = *prev;
  struct pd_packed packed;
  pd_pack_end(&packer, &head, &packed);
  struct pd_commit commit = {.epoch = 1, .first_seq = first, .last_seq = last};
  commit.bytes = packed.bytes;
  commit.size = packed.size;
  memcpy(commit.prev_hash, prev->bytes, sizeof commit.prev_hash);
  memcpy(commit.hash, packed.hash.bytes, sizeof commit.hash);
  cr_assert_eq(pd_store_commit_now(now, "intake", &commit, NULL), PD_COMMIT_OK);
  *prev = packed.hash;
}

static void commit_all(void) {
  struct pd_hash prev = {{0}};
  for (uint64_t first = 1; first <= ORDERS; first += IN_AN_ENTRY)
    commit_orders(first, first + IN_AN_ENTRY - 1, &prev);
}

/* Times each order is told about in the file; returns how many are told at all. */
static unsigned read_messages(unsigned *told) {
  unsigned distinct = 0;
  memset(told, 0, (ORDERS + 1) * sizeof *told);
  FILE *file = fopen(messages, "r");
  char line[2048];
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    json_t *object = json_loads(line, 0, NULL);
    if (object == NULL) continue; /* the last line may be in the making */
    json_int_t order = json_integer_value(json_object_get(object, "order"));
    cr_assert(order >= 1 && order <= ORDERS);
    if (told[order]++ == 0) distinct++;
    json_decref(object);
  }
  if (file != NULL) fclose(file);
  return distinct;
}

static void count_sent(const struct pd_stored *entry, unsigned *sent, uint64_t *last) {
  static uint8_t memory[1 << 20] __attribute__((aligned(16)));
  struct pd_entry_view view;
  struct pd_entry_item item;
  cr_assert_eq(pd_entry_open(entry->bytes, entry->size, &view), PD_OK);
  for (size_t at = 0; pd_entry_next(&view, &at, &item);) {
    if (item.log != PD_LOG_UNSPECIFIED) continue;
    struct pd_arena arena;
    pd_arena_init(&arena, memory, sizeof memory);
    const struct pd_event *event = pd_event_unpack(&arena, item.event, item.size);
    cr_assert(event != NULL);
    cr_assert_eq(event->seq, *last + 1);
    *last = event->seq;
    if (event->body_case == PD_EVENT_MESSAGE_SENT) sent[event->message_sent->about->seq]++;
  }
}

/* Times each order's message is recorded as sent in notification's own log; how many there are. */
static unsigned read_log(unsigned *sent) {
  memset(sent, 0, (ORDERS + 1) * sizeof *sent);
  uint64_t last = 0;
  for (;;) {
    struct pd_store_page page;
    cr_assert_eq(pd_store_read_now(now, "notification", last + 1, 100, &page), PD_OK);
    size_t count = page.count;
    for (size_t i = 0; i < count; i++) count_sent(&page.entries[i], sent, &last);
    pd_store_page_free(&page);
    if (count == 0) break;
  }
  unsigned total = 0;
  for (unsigned order = 1; order <= ORDERS; order++) total += sent[order];
  return total;
}

/* Wait until at least so many orders are told about in the file, or recorded in the log. */
static void await(unsigned (*count)(unsigned *), unsigned wanted, unsigned *numbers) {
  time_t end = time(NULL) + WAIT_S;
  while (count(numbers) < wanted) {
    cr_assert(time(NULL) < end, "only %u of %u came", count(numbers), wanted);
    usleep(2000);
  }
}

Test(notification_daemon, tells_everything_once_and_stops_when_asked) {
  static unsigned numbers[ORDERS + 1];
  commit_all();
  start_daemon();
  await(read_log, ORDERS, numbers);
  for (unsigned order = 1; order <= ORDERS; order++) cr_assert_eq(numbers[order], 1);
  cr_assert_eq(read_messages(numbers), ORDERS);
  for (unsigned order = 1; order <= ORDERS; order++) cr_assert_eq(numbers[order], 1);
  time_t began = time(NULL);
  int status;
  kill(daemon_pid, SIGTERM);
  waitpid(daemon_pid, &status, 0);
  daemon_pid = 0;
  cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  cr_assert(time(NULL) - began <= 2);
}

Test(notification_daemon, loses_nothing_when_it_is_killed_again_and_again) {
  static unsigned numbers[ORDERS + 1];
  commit_all();
  for (unsigned part = 1; part <= 4; part++) {
    start_daemon();
    await(read_messages, part * ORDERS / 5, numbers);
    end_daemon(SIGKILL);
  }
  start_daemon();
  await(read_log, ORDERS, numbers);
  for (unsigned order = 1; order <= ORDERS; order++)
    cr_assert_eq(numbers[order], 1, "order %u is recorded %u times", order, numbers[order]);
  cr_assert_eq(read_messages(numbers), ORDERS, "every message is in the file");
}

Test(notification_daemon, goes_on_when_redis_was_killed) {
  static unsigned numbers[ORDERS + 1];
  commit_all();
  start_daemon();
  await(read_messages, ORDERS / 10, numbers);
  redis_server_kill(&server);
  usleep(300000);
  redis_server_again(&server, NULL);
  pd_store_now_close(now);
  struct pd_redis_options options = {.url = server.url};
  cr_assert_eq(pd_store_now_open(&now, &options, SHARD, NULL, 0), PD_OK);
  await(read_log, ORDERS, numbers);
  for (unsigned order = 1; order <= ORDERS; order++) cr_assert_eq(numbers[order], 1);
  cr_assert_eq(read_messages(numbers), ORDERS);
}
