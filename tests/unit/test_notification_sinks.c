/* The sinks against real files and a real HTTP server on loopback. */
#include "services/notification/sinks.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHARD 370302u
#define RESULTS_MAX 4096

struct result {
  struct pd_delivery delivery;
  char why[80];
};

static char dir[64];
static uv_loop_t loop;
static struct sink *sink;
static struct result results[RESULTS_MAX];
static unsigned count;
static pid_t server;
static int port;

static void on_done(void *context, const struct pd_delivery *delivery) {
  cr_assert_eq(context, results);
  cr_assert(count < RESULTS_MAX);
  struct result *result = &results[count++];
  result->delivery = *delivery;
  snprintf(result->why, sizeof result->why, "%s", delivery->why != NULL ? delivery->why : "");
}

static void start(void) {
  strcpy(dir, "/tmp/paidan-sinks-XXXXXX");
  cr_assert(mkdtemp(dir) != NULL);
  uv_loop_init(&loop);
  count = 0;
}

static void stop_server(void) {
  if (server <= 0) return;
  kill(server, SIGKILL);
  waitpid(server, NULL, 0);
  server = 0;
}

static void remove_file(const char *name) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  unlink(path);
}

static void stop(void) {
  if (sink != NULL) sink->close(sink);
  sink = NULL;
  uv_run(&loop, UV_RUN_DEFAULT);
  cr_assert_eq(uv_loop_close(&loop), 0, "a handle was left open");
  stop_server();
  remove_file("messages");
  remove_file("messages.1");
  remove_file("record");
  cr_assert_eq(rmdir(dir), 0);
}

TestSuite(file_sink, .init = start, .fini = stop, .timeout = 30);
TestSuite(webhook_sink, .init = start, .fini = stop, .timeout = 60);

static const char *path_of(const char *name) {
  static char path[128];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  return path;
}

static void deliver(uint64_t seq) {
  struct notification_message message = {.log = PD_LOG_MATCHING,
                                         .seq = seq,
                                         .part = 1,
                                         .template = PD_TEMPLATE_HELP_FOUND,
                                         .order = 7,
                                         .person = {{1, 2, 3}},
                                         .time_ms = 1741017600000};
  struct notification_text text;
  notification_render(&message, 480, &text);
  sink->deliver(sink, &message, &text);
}

/* The lines of a file, each parsed; the caller lets go of the array. */
static json_t *lines_of(const char *name) {
  json_t *lines = json_array();
  FILE *file = fopen(path_of(name), "r");
  char line[4096];
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    json_error_t error;
    json_t *object = json_loads(line, 0, &error);
    cr_assert(object != NULL, "not JSON: %s: %s", error.text, line);
    cr_assert(strchr(line, '\n') != NULL, "a line without its end");
    json_array_append_new(lines, object);
  }
  if (file != NULL) fclose(file);
  return lines;
}

static const char *text_of(json_t *lines, size_t at, const char *key) {
  return json_string_value(json_object_get(json_array_get(lines, at), key));
}

/* ---- the file ------------------------------------------------------------------------------- */

static void open_file(const char *path, bool sync) {
  struct sink_file_options options = {.path = path, .sync = sync, .shard = SHARD, .zone_min = 480};
  cr_assert_eq(sink_file_open(&options, on_done, results, &sink), PD_OK);
}

Test(file_sink, writes_one_line_of_json_for_each_message) {
  open_file(path_of("messages"), true);
  deliver(17);
  deliver(18);
  cr_assert_eq(count, 0, "nothing is reported before it is written");
  sink->flush(sink);
  cr_assert_eq(count, 2);
  cr_assert(results[1].delivery.ok && results[1].delivery.final);
  cr_assert_eq(results[1].delivery.seq, 18);
  cr_assert_eq(results[1].delivery.part, 1);
  cr_assert_eq(results[1].delivery.log, PD_LOG_MATCHING);
  cr_assert_str_eq(results[1].delivery.sink, "file");
  json_t *lines = lines_of("messages");
  cr_assert_eq(json_array_size(lines), 2);
  cr_assert_str_eq(text_of(lines, 0, "id"), "370302/matching/17/1");
  cr_assert_str_eq(text_of(lines, 0, "template"), "help_found");
  cr_assert_str_eq(text_of(lines, 0, "to"), "resident");
  cr_assert_str_eq(text_of(lines, 0, "person"), "01020300000000000000000000000000");
  cr_assert_str_eq(text_of(lines, 0, "time"), "2025-03-04T00:00:00+08:00");
  cr_assert(strstr(text_of(lines, 0, "zh"), "单号 7 已有志愿者接单") != NULL);
  cr_assert(json_is_null(json_object_get(json_array_get(lines, 0), "site")));
  cr_assert_eq(json_integer_value(json_object_get(json_array_get(lines, 0), "order")), 7);
  json_decref(lines);
}

Test(file_sink, goes_on_behind_what_the_file_holds) {
  open_file(path_of("messages"), false);
  deliver(1);
  sink->flush(sink);
  sink->close(sink);
  open_file(path_of("messages"), false);
  deliver(2);
  sink->flush(sink);
  json_t *lines = lines_of("messages");
  cr_assert_eq(json_array_size(lines), 2);
  json_decref(lines);
}

Test(file_sink, follows_a_rotated_file_when_told_to) {
  open_file(path_of("messages"), false);
  deliver(1);
  sink->flush(sink);
  char old[128];
  snprintf(old, sizeof old, "%s", path_of("messages"));
  cr_assert_eq(rename(old, path_of("messages.1")), 0);
  deliver(2);
  sink->flush(sink);
  sink->reopen(sink);
  deliver(3);
  sink->flush(sink);
  json_t *rotated = lines_of("messages.1"), *fresh = lines_of("messages");
  cr_assert_eq(json_array_size(rotated), 2);
  cr_assert_eq(json_array_size(fresh), 1);
  cr_assert_str_eq(text_of(fresh, 0, "id"), "370302/matching/3/1");
  json_decref(rotated);
  json_decref(fresh);
}

Test(file_sink, keeps_its_messages_while_the_disk_is_full) {
  open_file("/dev/full", false);
  deliver(1);
  sink->flush(sink);
  cr_assert_eq(count, 1);
  cr_assert(!results[0].delivery.ok && !results[0].delivery.final);
  cr_assert_str_eq(results[0].why, "the disk is full");
  cr_assert_str_eq(sink->trouble(sink), "the disk is full");
  cr_assert_eq(sink->room(sink), 0);
  sink->flush(sink);
  cr_assert_eq(count, 1, "it waits before it tries again");
}

/* A limit on the file's size makes a real write stop half-way. */
Test(file_sink, leaves_no_half_line_when_a_write_stops_half_way) {
  signal(SIGXFSZ, SIG_IGN);
  open_file(path_of("messages"), true);
  deliver(1);
  sink->flush(sink);
  struct rlimit old, tight = {.rlim_cur = 700, .rlim_max = RLIM_INFINITY};
  cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
  tight.rlim_max = old.rlim_max;
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
  for (uint64_t seq = 2; seq <= 5; seq++) deliver(seq);
  sink->flush(sink);
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
  cr_assert_eq(count, 5);
  cr_assert(!results[4].delivery.ok && !results[4].delivery.final);
  json_t *lines = lines_of("messages");
  cr_assert_eq(json_array_size(lines), 1);
  json_decref(lines);
  usleep(1100000);
  sink->flush(sink);
  cr_assert_eq(count, 9);
  cr_assert(results[8].delivery.ok);
  cr_assert_eq(results[8].delivery.attempts, 2);
  cr_assert_null(sink->trouble(sink));
  lines = lines_of("messages");
  cr_assert_eq(json_array_size(lines), 5);
  json_decref(lines);
}

Test(file_sink, refuses_a_path_that_cannot_be_opened) {
  struct sink_file_options options = {.path = "/nonexistent/messages"};
  cr_assert_eq(sink_file_open(&options, on_done, results, &sink), PD_EIO);
  sink = NULL;
}

Test(file_sink, takes_a_batch_and_no_more) {
  open_file(path_of("messages"), false);
  cr_assert_eq(sink->room(sink), SINK_FILE_ROOM);
  deliver(1);
  cr_assert_eq(sink->room(sink), SINK_FILE_ROOM - 1);
  sink->drop(sink);
  cr_assert_eq(sink->room(sink), SINK_FILE_ROOM);
  sink->flush(sink);
  cr_assert_eq(count, 0, "what was dropped is neither written nor reported");
}

/* ---- the webhook ---------------------------------------------------------------------------- */

/* Start the receiver with these answers, separated by blanks. */
static void serve(const char *answers) {
  int pipes[2];
  cr_assert_eq(pipe(pipes), 0);
  char number[16], list[256], record[128];
  snprintf(number, sizeof number, "%d", port);
  snprintf(list, sizeof list, "%s", answers);
  snprintf(record, sizeof record, "%s", path_of("record"));
  server = fork();
  cr_assert(server >= 0);
  if (server == 0) {
    char *args[32] = {"/usr/bin/python3", WEBHOOK_SERVER, number, record};
    unsigned used = 4;
    for (char *word = strtok(list, " "); word != NULL; word = strtok(NULL, " "))
      args[used++] = word;
    dup2(pipes[1], 1);
    close(pipes[0]);
    execv(args[0], args);
    _exit(127);
  }
  close(pipes[1]);
  FILE *out = fdopen(pipes[0], "r");
  cr_assert_eq(fscanf(out, "%d", &port), 1, "the receiver did not start");
  fclose(out);
}

/* A port on which nobody listens. */
static void choose_port(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  cr_assert_eq(bind(fd, (struct sockaddr *)&address, length), 0);
  cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
  port = ntohs(address.sin_port);
  close(fd);
}

static void open_webhook(struct sink_webhook_options options) {
  static char url[64];
  snprintf(url, sizeof url, "http://127.0.0.1:%d/messages", port);
  options.url = url;
  options.shard = SHARD;
  options.zone_min = 480;
  cr_assert_eq(sink_webhook_open(&loop, &options, on_done, results, &sink), PD_OK);
}

/* The defaults, but in a hurry. */
static struct sink_webhook_options quick(void) {
  struct sink_webhook_options options = sink_webhook_defaults;
  options.wait_ms = 20;
  options.timeout_ms = 5000;
  return options;
}

static void on_deadline(uv_timer_t *timer) { *(bool *)timer->data = true; }

/* Turn the loop until so many results are there. */
static void await(unsigned wanted) {
  uv_timer_t timer;
  bool late = false;
  timer.data = &late;
  uv_timer_init(&loop, &timer);
  uv_timer_start(&timer, on_deadline, 20000, 0);
  while (count < wanted && !late) uv_run(&loop, UV_RUN_ONCE);
  uv_close((uv_handle_t *)&timer, NULL);
  uv_run(&loop, UV_RUN_NOWAIT);
  cr_assert(!late, "%u of %u results came", count, wanted);
}

static void expect(unsigned at, bool ok, bool final, uint32_t attempts) {
  const struct pd_delivery *delivery = &results[at].delivery;
  cr_assert_eq(delivery->ok, ok, "result %u: %s", at, results[at].why);
  cr_assert_eq(delivery->final, final, "result %u: %s", at, results[at].why);
  cr_assert_eq(delivery->attempts, attempts);
  cr_assert_str_eq(delivery->sink, "webhook");
}

static size_t received(void) {
  json_t *lines = lines_of("record");
  size_t size = json_array_size(lines);
  json_decref(lines);
  return size;
}

Test(webhook_sink, posts_the_message_under_its_own_key) {
  serve("200");
  struct sink_webhook_options options = quick();
  options.token = "s3cret";
  open_webhook(options);
  deliver(17);
  sink->flush(sink);
  await(1);
  expect(0, true, true, 1);
  json_t *lines = lines_of("record"), *line = json_array_get(lines, 0);
  cr_assert_str_eq(json_string_value(json_array_get(line, 0)), "370302/matching/17/1");
  cr_assert_str_eq(json_string_value(json_array_get(line, 1)), "Bearer s3cret");
  json_t *body = json_array_get(line, 2);
  cr_assert_str_eq(json_string_value(json_object_get(body, "id")), "370302/matching/17/1");
  cr_assert_str_eq(json_string_value(json_object_get(body, "to")), "resident");
  json_decref(lines);
}

Test(webhook_sink, tries_again_after_an_error_of_the_server) {
  serve("500 429 408 204");
  open_webhook(quick());
  deliver(1);
  sink->flush(sink);
  await(4);
  expect(0, false, false, 1);
  cr_assert_str_eq(results[0].why, "HTTP 500");
  expect(1, false, false, 2);
  expect(2, false, false, 3);
  expect(3, true, true, 4);
  json_t *lines = lines_of("record");
  for (size_t i = 0; i < 4; i++)
    cr_assert_str_eq(json_string_value(json_array_get(json_array_get(lines, i), 0)),
                     "370302/matching/1/1", "the key stays the same");
  json_decref(lines);
}

Test(webhook_sink, gives_up_at_once_when_it_is_refused) {
  serve("400 404 200");
  open_webhook(quick());
  deliver(1);
  sink->flush(sink);
  await(1);
  expect(0, false, true, 1);
  cr_assert_str_eq(results[0].why, "HTTP 400");
  deliver(2);
  sink->flush(sink);
  await(2);
  expect(1, false, true, 1);
  cr_assert_eq(sink->room(sink), sink_webhook_defaults.jobs);
}

Test(webhook_sink, gives_up_after_the_last_attempt) {
  serve("503");
  struct sink_webhook_options options = quick();
  options.wait_ms = 5;
  options.wait_max_ms = 10;
  open_webhook(options);
  deliver(1);
  sink->flush(sink);
  await(6);
  expect(4, false, false, 5);
  expect(5, false, true, 6);
  cr_assert_eq(received(), 6);
  cr_assert_str_eq(sink->trouble(sink), "the webhook does not take messages");
}

Test(webhook_sink, reaches_a_server_that_comes_back) {
  choose_port();
  struct sink_webhook_options options = quick();
  options.wait_ms = 300;
  open_webhook(options);
  deliver(1);
  sink->flush(sink);
  await(1);
  expect(0, false, false, 1);
  cr_assert(strstr(results[0].why, "connect") != NULL, "%s", results[0].why);
  serve("200");
  await(count + 1);
  while (!results[count - 1].delivery.final) await(count + 1);
  cr_assert(results[count - 1].delivery.ok);
}

Test(webhook_sink, does_not_wait_for_ever_for_an_answer) {
  serve("hang 200");
  struct sink_webhook_options options = quick();
  options.timeout_ms = 300;
  open_webhook(options);
  deliver(1);
  sink->flush(sink);
  await(2);
  expect(0, false, false, 1);
  cr_assert(strstr(results[0].why, "Timeout") != NULL, "%s", results[0].why);
  expect(1, true, true, 2);
}

Test(webhook_sink, survives_answers_without_end_and_cut_connections) {
  serve("flood cut 200");
  open_webhook(quick());
  deliver(1);
  sink->flush(sink);
  await(3);
  expect(0, false, false, 1);
  expect(1, false, false, 2);
  expect(2, true, true, 3);
}

Test(webhook_sink, waits_as_long_as_the_server_asks) {
  serve("503+1 200");
  open_webhook(quick());
  deliver(1);
  sink->flush(sink);
  uint64_t began = uv_hrtime();
  await(2);
  cr_assert(uv_hrtime() - began >= UINT64_C(950000000), "it came back too early");
  expect(1, true, true, 2);
}

Test(webhook_sink, does_not_follow_a_redirect) {
  serve("302 200");
  open_webhook(quick());
  deliver(1);
  sink->flush(sink);
  await(2);
  expect(0, false, false, 1);
  cr_assert_str_eq(results[0].why, "HTTP 302");
  expect(1, true, true, 2);
}

Test(webhook_sink, delivers_many_over_few_connections) {
  serve("200");
  struct sink_webhook_options options = quick();
  options.connections = 4;
  options.jobs = 300;
  open_webhook(options);
  for (uint64_t seq = 1; seq <= 300; seq++) deliver(seq);
  cr_assert_eq(sink->room(sink), 0);
  sink->flush(sink);
  await(300);
  for (unsigned i = 0; i < 300; i++) expect(i, true, true, 1);
  cr_assert_eq(received(), 300);
  cr_assert_eq(sink->room(sink), 300);
}

Test(webhook_sink, stops_trying_what_was_cancelled) {
  serve("500 200");
  struct sink_webhook_options options = quick();
  options.wait_ms = 200;
  open_webhook(options);
  deliver(1);
  sink->flush(sink);
  await(1);
  sink->cancel(sink, PD_LOG_MATCHING, 1, 1);
  cr_assert_eq(sink->room(sink), options.jobs);
  deliver(2);
  sink->flush(sink);
  await(2);
  cr_assert_eq(results[1].delivery.seq, 2);
  for (int i = 0; i < 40; i++) {
    uv_run(&loop, UV_RUN_NOWAIT);
    usleep(10000);
  }
  cr_assert_eq(received(), 2);
}

Test(webhook_sink, reports_nothing_of_what_was_dropped) {
  serve("hang");
  open_webhook(quick());
  for (uint64_t seq = 1; seq <= 40; seq++) deliver(seq);
  sink->flush(sink);
  for (int i = 0; i < 30; i++) {
    uv_run(&loop, UV_RUN_NOWAIT);
    usleep(5000);
  }
  sink->drop(sink);
  cr_assert_eq(sink->room(sink), sink_webhook_defaults.jobs);
  cr_assert_eq(count, 0);
}

Test(webhook_sink, speaks_plain_http_to_this_machine_only) {
  static const struct {
    const char *url;
    enum pd_err err;
  } rows[] = {{"http://192.0.2.1/x", PD_EINVAL},  {"http://127.example.org/x", PD_EINVAL},
              {"ftp://127.0.0.1/x", PD_EINVAL},   {"file:///etc/passwd", PD_EINVAL},
              {"not a url", PD_EINVAL},           {"https://example.org/x", PD_OK},
              {"http://localhost:8080/x", PD_OK}, {"http://[::1]/x", PD_OK}};
  for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct sink_webhook_options options = quick();
    options.url = rows[i].url;
    struct sink *opened = NULL;
    enum pd_err err = sink_webhook_open(&loop, &options, on_done, results, &opened);
    cr_assert_eq(err, rows[i].err, "%s: %s", rows[i].url, pd_err_text(err));
    if (opened != NULL) opened->close(opened);
  }
}

Test(sinks, a_body_is_json_whatever_the_text_holds) {
  static const struct notification_message message = {
      .log = PD_LOG_MATCHING, .seq = 17, .template = PD_TEMPLATE_OFFER, .order = 7};
  static const struct notification_text text = {.zh = "引号\"，反斜杠\\", .en = "tab\t, line\n"};
  char bytes[SINK_BODY];
  size_t length = sink_body(370302, 480, &message, &text, bytes);
  json_t *body = json_loadb(bytes, length, 0, NULL);
  cr_assert_not_null(body, "%s", bytes);
  cr_assert_str_eq(json_string_value(json_object_get(body, "zh")), text.zh);
  cr_assert_str_eq(json_string_value(json_object_get(body, "en")), text.en);
  cr_assert(json_is_null(json_object_get(body, "person")));
  cr_assert_eq(json_integer_value(json_object_get(body, "order")), 7);
  json_decref(body);
}
