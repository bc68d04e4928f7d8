/* paidan-bench scale - memory and start of a large district.
 *
 * So many volunteers, so many open orders with their offers out, then orders placed and withdrawn
 * until intake's log is so long; no snapshot is written meanwhile.  Then each daemon's resident
 * memory, and, after kill -9 of each, the time until it is ready again with its whole log behind
 * it: every event of its own log and of those it follows read, its hash checked, and folded.
 */
#include "tests/bench/bench.h"
#include "tests/bench/city.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct scale {
  struct city city;
  uint64_t placed, refused, cancelled, seq;
  uint64_t orders[1024]; /* the latest numbers, waiting to be withdrawn */
  uint64_t waiting;
};

static void on_placed(void *context, enum pd_err err, const struct pd_reply *reply) {
  struct scale *scale = context;
  if (err != PD_OK || reply->result_case != PD_REPLY_ACK) {
    scale->refused++;
    return;
  }
  scale->placed++;
  scale->seq = reply->ack->position->seq;
  if (scale->waiting < 1024) scale->orders[scale->waiting++] = reply->ack->id;
}

static void on_cancelled(void *context, enum pd_err err, const struct pd_reply *reply) {
  struct scale *scale = context;
  if (err != PD_OK || reply->result_case != PD_REPLY_ACK) return;
  scale->cancelled++;
  scale->seq = reply->ack->position->seq;
}

static void place_some(struct scale *scale, uint64_t first, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) {
    while (pd_client_room(scale->city.resident) < 8) pd_client_turn(scale->city.resident, 100);
    if (!city_place(&scale->city, first + i, on_placed, scale)) return;
  }
  pd_client_drain(scale->city.resident);
}

static void cancel_waiting(struct scale *scale, uint64_t first) {
  for (uint64_t i = 0; i < scale->waiting; i++) {
    struct pd_cancel_order body = PD_CANCEL_ORDER_INIT;
    body.order = scale->orders[i];
    char key[64];
    snprintf(key, sizeof key, "bench-%llu", (unsigned long long)scale->city.keys++);
    struct pd_command command = PD_COMMAND_INIT;
    command.key = key;
    struct person *person = &scale->city.residents[(first + i) % CITY_RESIDENTS];
    command.actor = (ProtobufCBinaryData){16, person->id.bytes};
    command.body_case = PD_COMMAND_CANCEL_ORDER;
    command.cancel_order = &body;
    while (pd_client_room(scale->city.resident) == 0) pd_client_turn(scale->city.resident, 100);
    if (pd_client_send(scale->city.resident, &command, on_cancelled, scale) != PD_OK) return;
  }
  pd_client_drain(scale->city.resident);
  scale->waiting = 0;
}

/* The number behind `"key":` or `name ` in a text; -1 if it is not there. */
static double number_after(const char *text, const char *name) {
  const char *at = strstr(text, name);
  return at == NULL ? -1 : strtod(at + strlen(name), NULL);
}

static bool read_text(const char *command, char *text, size_t size) {
  FILE *pipe = popen(command, "r"); /* NOLINT: our own words */
  if (pipe == NULL) return false;
  size_t length = fread(text, 1, size - 1, pipe);
  text[length] = 0;
  return pclose(pipe) == 0;
}

static pid_t pid_of(struct scale *scale, const char *name) {
  char path[256], text[32] = "";
  snprintf(path, sizeof path, "%s/%s.pid", scale->city.run_dir, name);
  FILE *file = fopen(path, "r");
  if (file == NULL) return 0;
  if (fgets(text, sizeof text, file) == NULL) text[0] = 0;
  fclose(file);
  return (pid_t)atoi(text);
}

static double resident_mb(pid_t pid) {
  char command[64], text[4096];
  snprintf(command, sizeof command, "cat /proc/%d/status", (int)pid);
  return read_text(command, text, sizeof text) ? number_after(text, "VmRSS:") / 1024 : -1;
}

static bool metrics(struct scale *scale, const char *name, const char *path, char *text,
                    size_t size) {
  char command[512];
  snprintf(command, sizeof command, "curl -sf --unix-socket '%s/%s.http' http://x/%s",
           scale->city.run_dir, name, path);
  return read_text(command, text, size);
}

/* Wait until a daemon has consumed everything there is. */
static void settle(struct scale *scale, const char *name) {
  static char text[1 << 16];
  double last = -1, same = 0;
  for (int i = 0; i < 600 && same < 5; i++) {
    usleep(100000);
    if (!metrics(scale, name, "metrics", text, sizeof text)) continue;
    double now = number_after(text, "\npaidan_log_seq ");
    same = now == last ? same + 1 : 0;
    last = now;
  }
}

static double restart_ms(struct scale *scale, const char *name) {
  static char text[1 << 16];
  pid_t before = pid_of(scale, name);
  uint64_t start = bench_now_ns();
  if (before <= 0 || kill(before, SIGKILL) != 0) return -1;
  for (int i = 0; i < 6000; i++) {
    usleep(5000);
    if (pid_of(scale, name) != before && metrics(scale, name, "readyz", text, sizeof text))
      return (double)(bench_now_ns() - start) / 1e6;
  }
  return -1;
}

static void on_event(void *context, const struct pd_event *event, const uint8_t *bytes,
                     size_t size) {
  (void)context;
  (void)event;
  (void)bytes;
  (void)size;
}

/* Events of the own log and of those followed, as /metrics has them. */
static double folded(const char *text) {
  double sum = number_after(text, "\npaidan_log_seq ");
  for (const char *at = text; (at = strstr(at, "\npaidan_input_seq{")) != NULL; at++) {
    const char *value = strchr(at, '}');
    if (value != NULL) sum += strtod(value + 1, NULL);
  }
  return sum;
}

static void report(struct scale *scale, bool json) {
  static const char *const names[] = {"intake", "matching", "scheduling", "points", "notification"};
  static char text[1 << 16];
  json_t *rows = json_array();
  if (!json)
    printf("%-14s %10s %10s %12s %12s %14s %13s\n", "daemon", "log seq", "RSS MiB",
           "ready in ms", "folded", "folded/s", "RSS then MiB");
  for (size_t i = 0; i < 5; i++) {
    settle(scale, names[i]);
    double seq = metrics(scale, names[i], "metrics", text, sizeof text)
                     ? number_after(text, "\npaidan_log_seq ")
                     : -1;
    double behind = folded(text);
    double rss = resident_mb(pid_of(scale, names[i])), ready = restart_ms(scale, names[i]);
    double then = resident_mb(pid_of(scale, names[i]));
    json_array_append_new(
        rows, json_pack("{s:s,s:f,s:f,s:f,s:f,s:f,s:f}", "daemon", names[i], "seq", seq, "rss_mib",
                        rss, "ready_ms", ready, "folded", behind, "folded_per_s",
                        behind / ready * 1000, "rss_after_mib", then));
    if (!json)
      printf("%-14s %10.0f %10.1f %12.0f %12.0f %14.0f %13.1f\n", names[i], seq, rss, ready, behind,
             behind / ready * 1000, then);
  }
  if (json) json_dumpf(rows, stdout, JSON_INDENT(2));
  json_decref(rows);
}

int bench_scale(int argc, char **argv) {
  static struct scale scale;
  uint64_t volunteers = bench_number(argc, argv, "volunteers", 100000);
  uint64_t open = bench_number(argc, argv, "open", 10000),
           events = bench_number(argc, argv, "events", 1000000);
  if (open > 16000 || volunteers > 250000) return PD_EXIT_USAGE;
  setenv("PAIDAN_SNAPSHOT_EVERY", "1000000000", 1);
  struct pd_subscriber_calls calls = {.context = &scale, .event = on_event};
  if (!city_start(&scale.city)) return PD_EXIT_DOWN;
  bool good = city_open(&scale.city, &calls) && city_register(&scale.city, volunteers);
  if (good) place_some(&scale, 0, open);
  scale.waiting = 0;
  for (uint64_t first = open; good && scale.seq < events && scale.refused == 0; first += 1024) {
    place_some(&scale, first, 1024);
    cancel_waiting(&scale, first);
    if (isatty(2)) fprintf(stderr, "\r%llu events ", (unsigned long long)scale.seq);
  }
  if (good) report(&scale, bench_json(argc, argv));
  if (scale.refused > 0)
    fprintf(stderr, "paidan-bench: %llu orders were refused\n", (unsigned long long)scale.refused);
  city_stop(&scale.city);
  return good && scale.refused == 0 ? PD_EXIT_OK : PD_EXIT_FAULT;
}
