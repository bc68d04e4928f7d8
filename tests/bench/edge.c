/* paidan-bench edge - what a good client of the edge feels, alone and beside clients that misuse
 * it.
 *
 * A program with libpaidan-client publishes outside events over CURVE at a fixed rate, and hears
 * each come back as a committed event: command to event, durable.  Four phases: alone; beside a
 * subscriber that never reads; while an authenticated offender subscribes a million times; and
 * across a kill -9 of the edge.  What the daemons behind the edge spend in each phase is read from
 * the kernel: it must not change.
 */
#include "common/base/err.h"
#include "common/client/paidan-client.h"
#include "common/io/bus.h"
#include "common/io/keyfile.h"
#include "tests/bench/bench.h"
#include "tests/bench/city.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define DAEMONS 5
#define PAYLOAD 512
#define WINDOW_NS 250000000u /* in which a p99 is taken after the kill */
#define LATE_MS 100.0
#define LATE_NS 5000000000u  /* how long the last events may take */

static const char *const daemons[DAEMONS] = {"intake", "matching", "scheduling", "points",
                                             "notification"};

/* What a process has taken so far. */
struct use {
  double cpu_s, rss_mb;
};

struct phase {
  const char *name;
  uint64_t sent, heard, refused;
  double p50_ms, p99_ms, max_ms;
  double again_ms; /* from kill, or first late window, until p99 is under 100 ms */
  double daemon_cpu, edge_cpu; /* of one core */
  double daemon_rss, edge_rss; /* MiB at the end; daemons': all five */
  unsigned restarts;
};

struct edge_bench {
  struct city city;
  char endpoint[64], server[PD_BUS_KEY_TEXT];
  struct paidan *paidan;
  struct paidan_events *events;
  uint64_t rate, seconds;
  uint64_t first, count;     /* of the phase at hand */
  uint64_t start_ns;         /* when its first event is due */
  uint64_t *heard_ns;        /* of each; 0: not yet */
  uint64_t heard, refused, numbers;
};

/* ---- processes ---- */

static pid_t pid_of(struct edge_bench *bench, const char *name) {
  char path[256], text[32] = "";
  snprintf(path, sizeof path, "%s/%s.pid", bench->city.run_dir, name);
  FILE *file = fopen(path, "r");
  if (file == NULL) return 0;
  if (fgets(text, sizeof text, file) == NULL) text[0] = 0;
  fclose(file);
  return (pid_t)atoi(text);
}

static struct use use_of(pid_t pid) {
  char path[64], text[1024] = "";
  unsigned long user = 0, kernel = 0;
  long pages = 0;
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  FILE *file = fopen(path, "r");
  if (file == NULL) return (struct use){0, 0};
  if (fgets(text, sizeof text, file) == NULL) text[0] = 0;
  fclose(file);
  const char *at = strrchr(text, ')');
  if (at != NULL)
    (void)sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d "
                 "%*d %*u %*u %ld", &user, &kernel, &pages);
  return (struct use){(double)(user + kernel) / (double)sysconf(_SC_CLK_TCK),
                      (double)pages * (double)sysconf(_SC_PAGESIZE) / 1048576};
}

static struct use all_daemons(struct edge_bench *bench) {
  struct use sum = {0, 0};
  for (int i = 0; i < DAEMONS; i++) {
    struct use one = use_of(pid_of(bench, daemons[i]));
    sum.cpu_s += one.cpu_s;
    sum.rss_mb += one.rss_mb;
  }
  return sum;
}

/* ---- the good client ---- */

static uint64_t due_ns(const struct edge_bench *bench, uint64_t index) {
  return bench->start_ns + index * 1000000000u / bench->rate;
}

static void on_reply(void *context, const struct paidan_reply *reply) {
  if (reply->code != PAIDAN_OK) ((struct edge_bench *)context)->refused++;
}

static bool publish(struct edge_bench *bench, uint64_t number) {
  uint8_t payload[PAYLOAD] = {0}, bytes[PAYLOAD + 256];
  Paidan__V1__PublishExternal body = PAIDAN__V1__PUBLISH_EXTERNAL__INIT;
  Paidan__V1__Command command = PAIDAN__V1__COMMAND__INIT;
  memcpy(payload, &number, sizeof number);
  body.type = (char *)"ext.bench.tick";
  body.schema = (char *)"Tick/1";
  body.payload = (ProtobufCBinaryData){sizeof payload, payload};
  command.body_case = PAIDAN__V1__COMMAND__BODY_PUBLISH_EXTERNAL;
  command.publish_external = &body;
  size_t size = paidan__v1__command__pack(&command, bytes);
  return paidan_send(bench->paidan, bytes, size, NULL, on_reply, bench) == PAIDAN_OK;
}

static void hear(struct edge_bench *bench, const struct paidan_event *event) {
  if (strcmp(event->name, "ext.bench.tick") != 0) return;
  Paidan__V1__Event *message = paidan_unpack(event);
  if (message == NULL) return;
  uint64_t number = 0;
  memcpy(&number, message->external_noted->payload.data, sizeof number);
  paidan__v1__event__free_unpacked(message, NULL);
  if (number < bench->first || number - bench->first >= bench->count) return;
  if (bench->heard_ns[number - bench->first] == 0) bench->heard++;
  bench->heard_ns[number - bench->first] = bench_now_ns();
}

/* Publish at the rate, and hear; kill_at: end the edge at this event, 0: not. */
static uint64_t play(struct edge_bench *bench, uint64_t kill_at) {
  const struct paidan_event *event;
  uint64_t sent = 0, killed = 0;
  bench->start_ns = bench_now_ns();
  uint64_t until = due_ns(bench, bench->count) + LATE_NS;
  while (bench->heard < bench->count && bench_now_ns() < until) {
    while (sent < bench->count && bench_now_ns() >= due_ns(bench, sent)) {
      if (!publish(bench, bench->first + sent)) break; /* the window is full */
      if (++sent == kill_at) {
        killed = bench_now_ns();
        (void)kill(pid_of(bench, "gateway"), SIGKILL);
      }
    }
    int code = paidan_next(bench->events, &event, 1);
    for (; code == PAIDAN_OK; code = paidan_next(bench->events, &event, 0)) hear(bench, event);
    if (code < 0) fprintf(stderr, "paidan-bench: %s\n", paidan_why(bench->paidan));
    if (code < 0) break;
  }
  return killed;
}

/* ---- figures ---- */

/* How late each was; what was never heard counts as the whole of the time. */
static double late_ms(const struct edge_bench *bench, uint64_t index) {
  uint64_t heard = bench->heard_ns[index];
  return heard == 0 ? (double)LATE_NS / 1e6 : (double)(heard - due_ns(bench, index)) / 1e6;
}

static double p99_between(const struct edge_bench *bench, uint64_t from, uint64_t to) {
  double *values = calloc(to - from + 1, sizeof *values);
  if (values == NULL) return 0;
  for (uint64_t i = from; i < to; i++) values[i - from] = late_ms(bench, i);
  bench_sort(values, to - from);
  double p99 = bench_quantile(values, to - from, 0.99);
  free(values);
  return p99;
}

/* From the kill, or else from the first window whose p99 is not under 100 ms, to the end of the
 * last such. */
static double again_ms(const struct edge_bench *bench, uint64_t killed) {
  uint64_t each = bench->rate * WINDOW_NS / 1000000000u, end = killed;
  for (uint64_t from = 0; each > 0 && from + each <= bench->count; from += each) {
    if (due_ns(bench, from + each) <= killed || p99_between(bench, from, from + each) < LATE_MS)
      continue;
    if (killed == 0) killed = due_ns(bench, from);
    end = due_ns(bench, from + each);
  }
  return (double)(end - killed) / 1e6;
}

static void sum_up(struct edge_bench *bench, struct phase *phase) {
  double *values = calloc(bench->count, sizeof *values);
  if (values == NULL) return;
  for (uint64_t i = 0; i < bench->count; i++) values[i] = late_ms(bench, i);
  bench_sort(values, bench->count);
  phase->p50_ms = bench_quantile(values, bench->count, 0.5);
  phase->p99_ms = bench_quantile(values, bench->count, 0.99);
  phase->max_ms = bench_quantile(values, bench->count, 1);
  phase->sent = bench->count;
  phase->heard = bench->heard;
  phase->refused = bench->refused;
  free(values);
}

static void run_phase(struct edge_bench *bench, struct phase *phase, uint64_t kill_at) {
  bench->first = bench->numbers;
  bench->count = bench->rate * bench->seconds;
  bench->numbers += bench->count;
  bench->heard = bench->refused = 0;
  memset(bench->heard_ns, 0, bench->count * sizeof *bench->heard_ns);
  pid_t edge = pid_of(bench, "gateway");
  struct use before = all_daemons(bench), edge_before = use_of(edge);
  uint64_t began = bench_now_ns();
  uint64_t killed = play(bench, kill_at);
  double seconds = (double)(bench_now_ns() - began) / 1e9;
  struct use after = all_daemons(bench), edge_after = use_of(pid_of(bench, "gateway"));
  sum_up(bench, phase);
  phase->restarts = pid_of(bench, "gateway") != edge;
  phase->daemon_cpu = (after.cpu_s - before.cpu_s) / seconds;
  phase->edge_cpu = (edge_after.cpu_s - (phase->restarts ? 0 : edge_before.cpu_s)) / seconds;
  phase->daemon_rss = after.rss_mb;
  phase->edge_rss = edge_after.rss_mb;
  phase->again_ms = again_ms(bench, killed);
}

/* ---- those who misuse it ---- */

static void *raw_subscriber(void *zmq, struct edge_bench *bench, const char *name, bool slow) {
  char path[512];
  struct pd_keyfile file;
  struct pd_bus_curve keys;
  int mark = slow ? 1 : 0, buffer = slow ? 4096 : 0, linger = 0;
  snprintf(path, sizeof path, "%s/data/edge/keys/%s.key_secret", bench->city.run_dir, name);
  if (pd_keyfile_read(path, &file) != PD_OK) return NULL;
  memcpy(keys.server, bench->server, sizeof keys.server);
  memcpy(keys.public_key, file.public_key, sizeof keys.public_key);
  memcpy(keys.secret_key, file.secret_key, sizeof keys.secret_key);
  void *socket = zmq_socket(zmq, ZMQ_SUB);
  (void)zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
  (void)zmq_setsockopt(socket, ZMQ_RCVHWM, &mark, sizeof mark);
  if (slow) (void)zmq_setsockopt(socket, ZMQ_RCVBUF, &buffer, sizeof buffer);
  if (!slow) (void)zmq_setsockopt(socket, ZMQ_SNDHWM, &mark, sizeof mark);
  if (pd_bus_curve_client(socket, &keys) != PD_OK) return NULL;
  return zmq_connect(socket, bench->endpoint) == 0 ? socket : NULL;
}

/* In a process of its own, which then stays as it is until it is ended. */
static pid_t start_offender(struct edge_bench *bench, const char *name, uint64_t subscriptions) {
  pid_t pid = fork();
  if (pid != 0) return pid;
  void *zmq = zmq_ctx_new();
  void *socket = raw_subscriber(zmq, bench, name, subscriptions == 0);
  if (socket == NULL) _exit(1);
  if (subscriptions == 0) (void)zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
  char topic[32];
  for (uint64_t i = 0; i < subscriptions; i++) {
    int length = snprintf(topic, sizeof topic, "110105/%llu", (unsigned long long)i);
    (void)zmq_setsockopt(socket, ZMQ_SUBSCRIBE, topic, (size_t)length);
  }
  for (;;) pause();
}

static void stop_offender(pid_t pid) {
  if (pid <= 0) return;
  (void)kill(pid, SIGKILL);
  (void)waitpid(pid, NULL, 0);
}

/* ---- the table ---- */

static void print_phase(const struct phase *phase) {
  printf("%-22s %7llu %7llu %8.2f %8.2f %8.1f %8.0f %9.1f%% %8.0f %7.1f%% %8.0f\n", phase->name,
         (unsigned long long)phase->sent, (unsigned long long)phase->heard, phase->p50_ms,
         phase->p99_ms, phase->max_ms, phase->again_ms, phase->daemon_cpu * 100, phase->daemon_rss,
         phase->edge_cpu * 100, phase->edge_rss);
}

static void report(const struct phase *phases, size_t count, bool json) {
  json_t *rows = json_array();
  if (!json)
    printf("%-22s %7s %7s %8s %8s %8s %8s %10s %8s %8s %8s\n", "good client", "sent", "heard",
           "p50 ms", "p99 ms", "max ms", "again ms", "daemons", "RSS MB", "edge", "RSS MB");
  for (size_t i = 0; i < count; i++) {
    const struct phase *one = &phases[i];
    if (!json) print_phase(one);
    json_array_append_new(
        rows, json_pack("{s:s,s:I,s:I,s:I,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:b}", "phase", one->name,
                        "sent", (json_int_t)one->sent, "heard", (json_int_t)one->heard, "refused",
                        (json_int_t)one->refused, "p50_ms", one->p50_ms, "p99_ms", one->p99_ms,
                        "max_ms", one->max_ms, "again_ms", one->again_ms, "daemons_cpu",
                        one->daemon_cpu, "daemons_rss_mb", one->daemon_rss, "edge_cpu",
                        one->edge_cpu, "edge_rss_mb", one->edge_rss, "edge_restarted",
                        one->restarts != 0));
  }
  if (json) json_dumpf(rows, stdout, JSON_COMPACT);
  if (json) puts("");
  json_decref(rows);
}

/* ---- the run ---- */

static bool is_free(int port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0;
  (void)close(fd);
  return bound;
}

/* The first of three ports in a row that are free at present; 0: none. */
static int free_ports(void) {
  for (int port = 30000 + getpid() % 20000; port < 60000; port += 3)
    if (is_free(port) && is_free(port + 1) && is_free(port + 2)) return port;
  return 0;
}

static bool make_keys(struct edge_bench *bench) {
  char path[512];
  struct pd_keyfile file;
  snprintf(path, sizeof path, "%s/data/edge/server.key", bench->city.run_dir);
  bool good = city_tool(&bench->city, "key new good") && city_tool(&bench->city, "key new lazy") &&
              city_tool(&bench->city, "key new endless") &&
              city_tool(&bench->city,
                        "key grant good --hear 110105 --publish ext.bench.tick") &&
              city_tool(&bench->city, "key grant lazy --hear 110105") &&
              city_tool(&bench->city, "key grant endless --hear 110105") &&
              pd_keyfile_read(path, &file) == PD_OK;
  if (good) memcpy(bench->server, file.public_key, sizeof bench->server);
  return good;
}

static bool open_client(struct edge_bench *bench) {
  char path[512];
  const struct paidan_event *event;
  struct paidan_options options = PAIDAN_OPTIONS_INIT;
  struct paidan_events_options wanted = PAIDAN_EVENTS_OPTIONS_INIT;
  snprintf(path, sizeof path, "%s/data/edge/keys/good.key_secret", bench->city.run_dir);
  options.edge = bench->endpoint;
  options.server_key = bench->server;
  options.key_file = path;
  options.window = 8192;
  bool good = paidan_open(&bench->paidan, &options) == PAIDAN_OK &&
              paidan_listen(&bench->events, bench->paidan, &wanted) == PAIDAN_OK;
  if (!good) fprintf(stderr, "paidan-bench: %s\n", paidan_why(bench->paidan));
  for (int i = 0; good && i < 10; i++) (void)paidan_next(bench->events, &event, 100);
  return good;
}

static void run_all(struct edge_bench *bench, bool json) {
  struct phase phases[4] = {{.name = "alone"}, {.name = "beside a sleeper"},
                            {.name = "beside 10^6 topics"}, {.name = "edge killed"}};
  run_phase(bench, &phases[0], 0);
  pid_t offender = start_offender(bench, "lazy", 0);
  run_phase(bench, &phases[1], 0);
  stop_offender(offender);
  offender = start_offender(bench, "endless", 1000000);
  run_phase(bench, &phases[2], 0);
  stop_offender(offender);
  run_phase(bench, &phases[3], bench->rate * bench->seconds / 3);
  report(phases, 4, json);
}

int bench_edge(int argc, char **argv) {
  static struct edge_bench bench;
  bench.rate = bench_number(argc, argv, "rate", 500);
  bench.seconds = bench_number(argc, argv, "seconds", 15);
  int port = free_ports();
  if (bench.rate == 0 || bench.seconds == 0 || bench.rate * bench.seconds > 100000000)
    return PD_EXIT_USAGE;
  bench.heard_ns = calloc(bench.rate * bench.seconds, sizeof *bench.heard_ns);
  if (bench.heard_ns == NULL || port == 0) return PD_EXIT_FAULT;
  snprintf(bench.endpoint, sizeof bench.endpoint, "tcp://127.0.0.1:%d", port);
  snprintf(bench.city.more, sizeof bench.city.more, "--edge %s", bench.endpoint);
  if (!city_start(&bench.city)) return PD_EXIT_DOWN;
  bool good = make_keys(&bench) && open_client(&bench);
  if (good) run_all(&bench, bench_json(argc, argv));
  paidan_close(bench.paidan);
  city_stop(&bench.city);
  free(bench.heard_ns);
  return good ? PD_EXIT_OK : PD_EXIT_FAULT;
}
