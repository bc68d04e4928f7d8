/* paidan-bench bus - one publisher and one durable subscriber, beside what a user would pick
 * instead.
 *
 * Ours: events are packed, hashed and committed by the daemons' own code (an fsync before every
 * confirm), and on the commit's reply the same bytes go over ZeroMQ to a subscriber thread, which
 * checks hash, chain and order of every event.  The peers are the programs of a folder of harnesses
 * (--peers DIR, built with its Makefile), run in turn with ours, the same number of messages, the
 * same size, the same window: Redis Streams with appendfsync always, NATS JetStream with its file
 * store.
 */
#include "common/flow/follower.h"
#include "tests/bench/bench.h"
#include "tests/bench/lane.h"

#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#define ROUNDS_MAX 99
#define NATS_PORT 47912

struct bus {
  struct lane lane;
  struct redis_server peer; /* the peers' Redis, set up as their harness does */
  void *zmq, *pub, *sub;
  pthread_t thread;
  uint64_t target;
  atomic_uint_fast64_t heard, bad, last_ns;
  uint64_t check_ns, walk_ns;
  char work[64];
  pid_t nats;
  uint64_t topics;
};

/* ---- ours ---- */

static void publish(void *context, const struct pd_packed *packed) {
  struct bus *bus = context;
  zmq_send(bus->pub, "@110105/intake", 14, ZMQ_SNDMORE);
  zmq_send(bus->pub, packed->bytes, packed->size, ZMQ_SNDMORE);
  zmq_send(bus->pub, packed->hash.bytes, sizeof packed->hash.bytes, 0);
}

/* One entry at the subscriber: hash, chain, then every event unpacked and its seq compared. */
static void take(struct bus *bus, struct pd_follower *follower, struct pd_arena *arena,
                 const uint8_t *bytes, size_t size, const struct pd_hash *hash) {
  struct pd_entry_view view;
  struct pd_entry_item found;
  uint64_t start = bench_now_ns();
  bool good = pd_entry_open(bytes, size, &view) == PD_OK &&
              pd_follower_judge(follower, &view, bytes, size, hash) == PD_FOLLOW_NEXT;
  uint64_t checked = bench_now_ns();
  bus->check_ns += checked - start;
  if (!good) {
    atomic_fetch_add(&bus->bad, 1);
    return;
  }
  for (size_t at = 0; pd_entry_next(&view, &at, &found);) {
    pd_arena_reset(arena);
    struct pd_event *event = pd_event_unpack(arena, found.event, found.size);
    if (event == NULL || event->seq != follower->next) atomic_fetch_add(&bus->bad, 1);
    pd_follower_consumed(follower, follower->next);
  }
  pd_follower_finished(follower, &view, hash);
  uint64_t now = bench_now_ns();
  bus->walk_ns += now - checked;
  atomic_store(&bus->last_ns, now);
  atomic_store(&bus->heard, follower->next - 1);
}

static void *listen_all(void *context) {
  struct bus *bus = context;
  struct pd_follower follower;
  static uint8_t memory[1 << 20];
  struct pd_arena arena;
  zmq_msg_t topic, entry, hash_frame;
  struct pd_hash hash;
  pd_follower_init(&follower, 1);
  pd_arena_init(&arena, memory, sizeof memory);
  zmq_msg_init(&topic), zmq_msg_init(&entry), zmq_msg_init(&hash_frame);
  while (zmq_msg_recv(&topic, bus->sub, 0) >= 0) {
    if (!zmq_msg_more(&topic)) break; /* the end */
    if (zmq_msg_recv(&entry, bus->sub, 0) < 0 || zmq_msg_recv(&hash_frame, bus->sub, 0) < 0) break;
    memcpy(hash.bytes, zmq_msg_data(&hash_frame), sizeof hash.bytes);
    take(bus, &follower, &arena, zmq_msg_data(&entry), zmq_msg_size(&entry), &hash);
  }
  return NULL;
}

/* Messages a second until the last confirm or delivery, whichever is later. */
static double run_ours(struct bus *bus, uint64_t messages, uint64_t window) {
  bus->target += messages;
  uint64_t start = bench_now_ns();
  lane_run(&bus->lane, messages, window);
  uint64_t confirmed = bench_now_ns();
  while (atomic_load(&bus->heard) < bus->target && bench_now_ns() - confirmed < 10000000000u)
    usleep(100);
  uint64_t heard = atomic_load(&bus->last_ns);
  return (double)messages / ((double)((heard > confirmed ? heard : confirmed) - start) / 1e9);
}

static bool open_bus(struct bus *bus) {
  char endpoint[160];
  int unlimited = 0;
  bus->zmq = zmq_ctx_new();
  bus->pub = zmq_socket(bus->zmq, ZMQ_PUB);
  bus->sub = zmq_socket(bus->zmq, ZMQ_SUB);
  snprintf(endpoint, sizeof endpoint, "ipc://%s/bus", bus->work);
  zmq_setsockopt(bus->pub, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
  zmq_setsockopt(bus->sub, ZMQ_RCVHWM, &unlimited, sizeof unlimited);
  bool good = zmq_bind(bus->pub, endpoint) == 0 && zmq_connect(bus->sub, endpoint) == 0 &&
              zmq_setsockopt(bus->sub, ZMQ_SUBSCRIBE, "", 0) == 0;
  bus->lane.committed = publish;
  bus->lane.context = bus;
  good = good && pthread_create(&bus->thread, NULL, listen_all, bus) == 0;
  usleep(300000); /* a subscription takes a moment */
  return good;
}

/* ---- the peers ---- */

static bool build_peers(struct bus *bus, const char *folder) {
  char command[8192];
  snprintf(command, sizeof command,
           "make -s -C '%s' B='%s/peers' '%s/peers/peer_redis' '%s/peers/peer_nats' >&2", folder,
           bus->work, bus->work, bus->work);
  return system(command) == 0; /* NOLINT: our own words */
}

static bool start_nats(struct bus *bus) {
  char config[128], log[128];
  snprintf(config, sizeof config, "%s/nats.conf", bus->work);
  snprintf(log, sizeof log, "%s/nats.log", bus->work);
  FILE *file = fopen(config, "w");
  if (file == NULL) return false;
  fprintf(file, "listen: \"127.0.0.1:%d\"\njetstream { store_dir: \"%s/nats\", max_file: 20G }\n",
          NATS_PORT, bus->work);
  fclose(file);
  bus->nats = fork();
  if (bus->nats == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execlp("nats-server", "nats-server", "-c", config, "-l", log, (char *)NULL);
    _exit(127);
  }
  usleep(1500000);
  return bus->nats > 0 && waitpid(bus->nats, NULL, WNOHANG) == 0;
}

/* Messages a second of a peer's program, from its line label|thr|size|rate|…; 0 if it failed or
 * lost one. */
static double run_peer(struct bus *bus, const char *program, const char *url, const char *extra,
                       uint64_t messages, uint64_t size, uint64_t window) {
  char command[8192], line[512] = "";
  snprintf(command, sizeof command,
           "'%s/peers/%s' -l x -u '%s' -t t%llu -n %llu -s %llu -w %llu %s", bus->work, program,
           url, (unsigned long long)bus->topics++, (unsigned long long)messages,
           (unsigned long long)size, (unsigned long long)window, extra);
  FILE *pipe = popen(command, "r"); /* NOLINT: our own words */
  if (pipe == NULL) return 0;
  if (fgets(line, sizeof line, pipe) == NULL) line[0] = 0;
  bool good = pclose(pipe) == 0;
  double rate = 0, skip;
  unsigned lost = 1, disorder = 1;
  int fields = sscanf(line, "x|thr|%*u|%lf|%lf|%lf|%lf|%lf|%u|%u", &rate, &skip, &skip, &skip,
                      &skip, &lost, &disorder);
  return good && fields == 7 && lost == 0 && disorder == 0 ? rate : 0;
}

/* ---- the table ---- */

struct column {
  const char *name;
  double rates[ROUNDS_MAX], ratios[ROUNDS_MAX];
};

static double median(double *values, size_t count) {
  bench_sort(values, count);
  return bench_quantile(values, count, 0.5);
}

static void measure(struct bus *bus, uint64_t size, uint64_t messages, uint64_t rounds,
                    json_t *result, bool json) {
  static struct column ours = {.name = "paidan"}, redis = {.name = "redis_always"},
                       nats = {.name = "nats_file"};
  char url[64];
  snprintf(url, sizeof url, "nats://127.0.0.1:%d", NATS_PORT);
  lane_event(&bus->lane, size);
  bus->lane.pack_ns = bus->lane.hash_ns = bus->lane.entries = bus->check_ns = bus->walk_ns = 0;
  for (uint64_t i = 0; i < rounds; i++) {
    ours.rates[i] = run_ours(bus, messages, 1000);
    redis.rates[i] = run_peer(bus, "peer_redis", bus->peer.url, "", messages, size, 1000);
    if (bus->nats > 0)
      nats.rates[i] = run_peer(bus, "peer_nats", url, "-v file", messages, size, 1000);
    redis.ratios[i] = redis.rates[i] > 0 ? ours.rates[i] / redis.rates[i] : 0;
    nats.ratios[i] = nats.rates[i] > 0 ? ours.rates[i] / nats.rates[i] : 0;
  }
  double total = (double)(messages * rounds);
  struct column *peers[2] = {&redis, &nats};
  double rate = median(ours.rates, rounds);
  if (!json)
    printf(
        "%5llu B  %-14s %9.0f/s   pack %.0f ns, hash %.0f ns, subscriber check %.0f ns, read %.0f "
        "ns an event\n",
        (unsigned long long)size, ours.name, rate, (double)bus->lane.pack_ns / total,
        (double)bus->lane.hash_ns / total, (double)bus->check_ns / total,
        (double)bus->walk_ns / total);
  char key[64];
  snprintf(key, sizeof key, "paidan_%llu", (unsigned long long)size);
  json_object_set_new(json_object_get(result, "messages_per_s"), key, json_real(rate));
  for (size_t i = 0; i < 2; i++) {
    double ratio = median(peers[i]->ratios, rounds), theirs = median(peers[i]->rates, rounds);
    if (theirs == 0) continue;
    if (!json)
      printf("         %-14s %9.0f/s   ours is %.2f times as fast\n", peers[i]->name, theirs,
             ratio);
    snprintf(key, sizeof key, "%s_%llu", peers[i]->name, (unsigned long long)size);
    json_object_set_new(json_object_get(result, "ratios"), key, json_real(ratio));
    json_object_set_new(json_object_get(result, "messages_per_s"), key, json_real(theirs));
  }
}

static void close_bus(struct bus *bus) {
  char command[160];
  zmq_send(bus->pub, "end", 3, 0);
  pthread_join(bus->thread, NULL);
  zmq_close(bus->pub);
  zmq_close(bus->sub);
  zmq_ctx_term(bus->zmq);
  if (bus->nats > 0) {
    kill(bus->nats, SIGTERM);
    waitpid(bus->nats, NULL, 0);
  }
  redis_server_end(&bus->lane.server);
  redis_server_end(&bus->peer);
  snprintf(command, sizeof command, "rm -rf '%s'", bus->work);
  if (system(command) != 0) perror("rm"); /* NOLINT */
}

int bench_bus(int argc, char **argv) {
  static struct bus bus;
  const char *peers = bench_option(argc, argv, "peers", NULL);
  uint64_t messages = bench_number(argc, argv, "messages", 100000);
  uint64_t rounds = bench_number(argc, argv, "rounds", 9);
  bool json = bench_json(argc, argv);
  if (rounds == 0 || rounds > ROUNDS_MAX || messages < 1000) return PD_EXIT_USAGE;
  snprintf(bus.work, sizeof bus.work, "/tmp/paidan-bus.XXXXXX");
  if (mkdtemp(bus.work) == NULL) return PD_EXIT_FAULT;
  if (!lane_open(&bus.lane, 256) || !open_bus(&bus)) return PD_EXIT_DOWN;
  redis_server_start(&bus.peer, NULL);
  if (peers != NULL && !build_peers(&bus, peers)) {
    fprintf(
        stderr,
        "paidan-bench: the peers in %s cannot be built: install libhiredis-dev and libnats-dev\n",
        peers);
    return PD_EXIT_DOWN;
  }
  if (peers != NULL && !start_nats(&bus)) {
    fprintf(stderr, "paidan-bench: nats-server does not start: install it to measure beside it\n");
    bus.nats = 0;
  }
  json_t *result =
      json_pack("{s:{},s:{},s:I}", "ratios", "messages_per_s", "rounds", (json_int_t)rounds);
  measure(&bus, 256, messages, rounds, result, json);
  measure(&bus, 1024, messages, rounds, result, json);
  bool whole = atomic_load(&bus.heard) == bus.target && atomic_load(&bus.bad) == 0;
  json_object_set_new(result, "lost",
                      json_integer((json_int_t)(bus.target - atomic_load(&bus.heard))));
  if (json)
    json_dumpf(result, stdout, JSON_INDENT(2));
  else
    printf("every event was heard once and in order: %s\n", whole ? "yes" : "NO");
  json_decref(result);
  close_bus(&bus);
  return whole ? PD_EXIT_OK : PD_EXIT_FAULT;
}
