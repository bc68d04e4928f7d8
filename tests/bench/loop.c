/* paidan-bench loop - from the intended send of an order to the first offer that a subscriber
 * receives.
 *
 * A whole district is started (`paidan up`: two Redis servers with appendfsync always, five
 * daemons), people are registered, then orders are placed at a fixed rate; a stalled sender is
 * charged, since latency counts from the intended time.  Each order gets three offers; the first
 * one is accepted, and the order is cancelled once it is staffed, so that the number of open orders
 * stays bounded (it is printed).
 */
#include "common/base/calendar.h"
#include "common/base/rng.h"
#include "common/io/client.h"
#include "common/io/clock.h"
#include "tests/bench/bench.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#define SHARD 110105
#define RESIDENTS 200
#define OPEN_MAX 10000
#define LON 1164400000 /* a city of about 20 km around here */
#define LAT 399200000
#define SPREAD 1000000 /* 0.1 degree each way */

struct person {
  struct pd_id id;
};

struct loop_bench {
  char run_dir[64];
  char bin[4096];
  uv_loop_t loop;
  uv_timer_t timer;
  void *zmq;
  struct pd_client *resident, *volunteer, *site;
  struct pd_subscriber *subscriber;
  struct pd_rng rng;
  struct person residents[RESIDENTS];
  uint64_t registered, failed;
  uint64_t rate, total, sent, closed, filled, offers, events, gaps, refused, highest_open,
      first_order;
  uint64_t start_ns, last_close_ns;
  uint64_t keys;
  double *latency_ms;
  uint8_t *offered;
  uint64_t measured;
};

static struct pd_point point_near(struct loop_bench *bench) {
  struct pd_point point = PD_POINT_INIT;
  point.datum = PD_DATUM_WGS84;
  point.lon_e7 = LON - SPREAD + (int32_t)pd_rng_below(&bench->rng, 2 * SPREAD);
  point.lat_e7 = LAT - SPREAD + (int32_t)pd_rng_below(&bench->rng, 2 * SPREAD);
  return point;
}

/* ---- the district ---- */

static bool tool(struct loop_bench *bench, const char *arguments) {
  char command[8192];
  snprintf(command, sizeof command, "'%s/paidan' %s --run-dir '%s' >'%s.log' 2>&1", bench->bin,
           arguments, bench->run_dir, bench->run_dir);
  if (system(command) == 0) return true; /* NOLINT: our own words */
  fprintf(stderr, "paidan-bench: `paidan %s` failed, see %s.log\n", arguments, bench->run_dir);
  return false;
}

static bool start_district(struct loop_bench *bench) {
  ssize_t length = readlink("/proc/self/exe", bench->bin, sizeof bench->bin - 1);
  if (length <= 0) return false;
  bench->bin[length] = 0;
  *strrchr(bench->bin, '/') = 0;
  snprintf(bench->run_dir, sizeof bench->run_dir, "/tmp/paidan-bench.XXXXXX");
  return mkdtemp(bench->run_dir) != NULL && tool(bench, "up --detach --shard 110105 --zone +08:00");
}

static void stop_district(struct loop_bench *bench) {
  char command[256];
  bool down = tool(bench, "down");
  snprintf(command, sizeof command, "rm -rf '%s' '%s.log'", bench->run_dir, bench->run_dir);
  if (down && system(command) != 0) perror("rm"); /* NOLINT */
}

static void on_registered(void *context, enum pd_err err, const struct pd_reply *reply) {
  struct loop_bench *bench = context;
  if (err == PD_OK && reply->result_case == PD_REPLY_ACK) {
    bench->registered++;
    return;
  }
  if (bench->failed++ == 0)
    fprintf(stderr, "paidan-bench: a registration failed: %s %s\n",
            err != PD_OK ? pd_err_text(err) : reply->refusal->field,
            err != PD_OK ? "" : reply->refusal->rule);
}

static void on_resident(void *context, enum pd_err err, const struct pd_reply *reply) {
  struct person *person = context;
  if (err == PD_OK && reply->result_case == PD_REPLY_ACK)
    person->id = pd_id_from(reply->ack->person.data, reply->ack->person.len);
}

static void send_one(struct loop_bench *bench, struct pd_client *client, struct pd_command *command,
                     pd_client_done *done, void *context) {
  char key[64];
  snprintf(key, sizeof key, "bench-%llu", (unsigned long long)bench->keys++);
  command->key = key;
  while (pd_client_room(client) == 0) pd_client_turn(client, 100);
  if (pd_client_send(client, command, done, context) != PD_OK) bench->failed++;
}

static void register_site(struct loop_bench *bench, enum pd_site_level level, const char *parent,
                          const char *ref, int32_t dx, int32_t dy) {
  struct pd_point point = {PROTOBUF_C_MESSAGE_INIT(&pd_point_descriptor), PD_DATUM_WGS84, LON + dx,
                           LAT + dy};
  struct pd_register_site body = PD_REGISTER_SITE_INIT;
  body.level = level;
  body.parent_ref = (char *)parent;
  body.ref = (char *)ref;
  body.name = (char *)ref;
  body.point = &point;
  struct pd_command command = PD_COMMAND_INIT;
  command.body_case = PD_COMMAND_REGISTER_SITE;
  command.register_site = &body;
  send_one(bench, bench->site, &command, on_registered, bench);
  pd_client_drain(bench->site);
}

static void register_volunteer(struct loop_bench *bench, uint64_t number) {
  static uint32_t always[7] = {0xffffff, 0xffffff, 0xffffff, 0xffffff,
                               0xffffff, 0xffffff, 0xffffff};
  struct pd_point home = point_near(bench);
  enum pd_skill skills[2] = {(enum pd_skill)(1 + number % 5), (enum pd_skill)(6 + number % 20)};
  struct pd_register_volunteer body = PD_REGISTER_VOLUNTEER_INIT;
  char name[32];
  snprintf(name, sizeof name, "志愿者%llu", (unsigned long long)number);
  body.name = name;
  body.phone = (char *)"13800000000";
  body.home = &home;
  body.n_skills = 2;
  body.skills = skills;
  body.n_available = 7;
  body.available = always;
  body.radius_m = 5000;
  body.max_per_week = 50;
  body.age = PD_AGE_BAND_36_59;
  struct pd_command command = PD_COMMAND_INIT;
  command.body_case = PD_COMMAND_REGISTER_VOLUNTEER;
  command.register_volunteer = &body;
  send_one(bench, bench->site, &command, on_registered, bench);
}

static void register_resident(struct loop_bench *bench, struct person *person) {
  struct pd_register_resident body = PD_REGISTER_RESIDENT_INIT;
  body.name = (char *)"居民";
  struct pd_command command = PD_COMMAND_INIT;
  command.body_case = PD_COMMAND_REGISTER_RESIDENT;
  command.register_resident = &body;
  send_one(bench, bench->resident, &command, on_resident, person);
}

static bool register_all(struct loop_bench *bench, uint64_t volunteers) {
  register_site(bench, PD_SITE_LEVEL_CENTER, "", "S0", 0, 0);
  register_site(bench, PD_SITE_LEVEL_INSTITUTE, "S0", "S1", SPREAD / 2, 0);
  register_site(bench, PD_SITE_LEVEL_STATION, "S1", "S2", SPREAD, SPREAD);
  register_site(bench, PD_SITE_LEVEL_STATION, "S1", "S3", -SPREAD, -SPREAD);
  for (uint64_t i = 0; i < volunteers; i++) register_volunteer(bench, i);
  pd_client_drain(bench->site);
  for (size_t i = 0; i < RESIDENTS; i++) register_resident(bench, &bench->residents[i]);
  pd_client_drain(bench->resident);
  return bench->failed == 0;
}

/* ---- orders ---- */

static void on_placed(void *context, enum pd_err err, const struct pd_reply *reply) {
  struct loop_bench *bench = context;
  if (err == PD_OK && reply->result_case == PD_REPLY_ACK) return;
  if (bench->refused++ == 0)
    fprintf(stderr, "paidan-bench: an order was not taken: %s\n",
            err != PD_OK ? pd_err_text(err) : reply->refusal->rule);
}

static void on_nothing(void *context, enum pd_err err, const struct pd_reply *reply) {
  (void)context;
  (void)err;
  (void)reply;
}

static void place(struct loop_bench *bench) {
  struct pd_point point = point_near(bench);
  enum pd_skill skill = (enum pd_skill)(1 + bench->sent % 5);
  struct person *person = &bench->residents[bench->sent % RESIDENTS];
  struct pd_place_order body = PD_PLACE_ORDER_INIT;
  body.requester = (ProtobufCBinaryData){16, person->id.bytes};
  body.kind = PD_ORDER_KIND_VISIT;
  body.category = (char *)"elder_escort";
  body.note = (char *)"陪老人去医院看病";
  body.address = (char *)"建外街道永安里东社区 3 号楼";
  body.point = &point;
  body.n_skills = 1;
  body.skills = &skill;
  body.need = 1;
  int64_t now = pd_clock_real_ms();
  body.window_start_ms = now + PD_DAY_MS + (int64_t)(bench->sent % 500) * PD_HOUR_MS;
  body.window_end_ms = body.window_start_ms + 4 * PD_HOUR_MS;
  body.minutes = 60;
  body.urgency = PD_URGENCY_SOON;
  body.channel = PD_CHANNEL_MINIPROGRAM;
  char key[64];
  snprintf(key, sizeof key, "bench-%llu", (unsigned long long)bench->keys++);
  struct pd_command command = PD_COMMAND_INIT;
  command.key = key;
  command.actor = body.requester;
  command.body_case = PD_COMMAND_PLACE_ORDER;
  command.place_order = &body;
  if (pd_client_send(bench->resident, &command, on_placed, bench) == PD_OK) bench->sent++;
}

static uint64_t intended_ns(const struct loop_bench *bench, uint64_t index) {
  return bench->start_ns + index * 1000000000u / bench->rate;
}

static void on_timer(uv_timer_t *timer) {
  struct loop_bench *bench = timer->data;
  uint64_t now = bench_now_ns();
  while (bench->sent < bench->total && intended_ns(bench, bench->sent) <= now &&
         bench->sent - bench->closed < OPEN_MAX && pd_client_room(bench->resident) > 0)
    place(bench);
  uint64_t open = bench->sent - bench->closed;
  if (open > bench->highest_open) bench->highest_open = open;
  bool late = now > intended_ns(bench, bench->total) + 30000000000u;
  if (bench->closed + bench->refused >= bench->total || late) uv_stop(&bench->loop);
}

static void accept_offer(struct loop_bench *bench, const struct pd_event *event) {
  const struct pd_offer_made *offer = event->offer_made;
  struct pd_answer_offer body = PD_ANSWER_OFFER_INIT;
  body.offer = offer->offer;
  body.accept = true;
  struct pd_position seen = PD_POSITION_INIT;
  seen.log = event->log;
  seen.seq = event->seq;
  char key[64];
  snprintf(key, sizeof key, "bench-%llu", (unsigned long long)bench->keys++);
  struct pd_command command = PD_COMMAND_INIT;
  command.key = key;
  command.actor = offer->volunteer;
  command.seen = &seen;
  command.body_case = PD_COMMAND_ANSWER_OFFER;
  command.answer_offer = &body;
  if (pd_client_send(bench->volunteer, &command, on_nothing, bench) != PD_OK) bench->failed++;
}

static void hear_offer(struct loop_bench *bench, const struct pd_event *event) {
  bench->offers++;
  uint64_t order = event->offer_made->order;
  if (bench->first_order == 0 || order < bench->first_order) return;
  uint64_t index = order - bench->first_order;
  if (index >= bench->total || bench->offered[index]) return;
  bench->offered[index] = 1;
  bench->latency_ms[bench->measured++] = (double)(bench_now_ns() - intended_ns(bench, index)) / 1e6;
  accept_offer(bench, event);
}

static void cancel_order(struct loop_bench *bench, const struct pd_event *event) {
  struct pd_cancel_order body = PD_CANCEL_ORDER_INIT;
  body.order = event->order_staffed->order;
  if (body.order < bench->first_order) return;
  bench->filled++;
  struct pd_position seen = PD_POSITION_INIT;
  seen.log = event->log;
  seen.seq = event->seq;
  char key[64];
  snprintf(key, sizeof key, "bench-%llu", (unsigned long long)bench->keys++);
  struct person *person = &bench->residents[(body.order - bench->first_order) % RESIDENTS];
  struct pd_command command = PD_COMMAND_INIT;
  command.key = key;
  command.actor = (ProtobufCBinaryData){16, person->id.bytes};
  command.seen = &seen;
  command.body_case = PD_COMMAND_CANCEL_ORDER;
  command.cancel_order = &body;
  if (pd_client_send(bench->resident, &command, on_nothing, bench) != PD_OK) bench->failed++;
}

static void on_event(void *context, const struct pd_event *event, const uint8_t *bytes,
                     size_t size) {
  struct loop_bench *bench = context;
  (void)bytes;
  (void)size;
  bench->events++;
  switch ((int)event->body_case) { /* the others ask nothing of us */
    case PD_EVENT_ORDER_PLACED:
      if (bench->first_order == 0) bench->first_order = event->order_placed->order;
      break;
    case PD_EVENT_OFFER_MADE: hear_offer(bench, event); break;
    case PD_EVENT_ORDER_STAFFED: cancel_order(bench, event); break;
    case PD_EVENT_ORDER_CLOSED:
      bench->closed++;
      bench->last_close_ns = bench_now_ns();
      break;
  }
}

static void on_gap(void *context, enum pd_log log, uint64_t from, uint64_t to) {
  (void)log;
  ((struct loop_bench *)context)->gaps += to - from + 1;
}

/* ---- the run ---- */

static bool open_clients(struct loop_bench *bench) {
  char endpoint[128];
  struct pd_client_options options = {.endpoint = endpoint, .shard = SHARD, .window = 16384};
  struct pd_subscriber_calls calls = {.context = bench, .event = on_event, .gap = on_gap};
  bench->zmq = zmq_ctx_new();
  snprintf(endpoint, sizeof endpoint, "ipc://%s/door.resident", bench->run_dir);
  bool good = pd_client_open(&bench->resident, bench->zmq, &options) == PD_OK;
  snprintf(endpoint, sizeof endpoint, "ipc://%s/door.volunteer", bench->run_dir);
  good = good && pd_client_open(&bench->volunteer, bench->zmq, &options) == PD_OK;
  snprintf(endpoint, sizeof endpoint, "ipc://%s/door.site", bench->run_dir);
  good = good && pd_client_open(&bench->site, bench->zmq, &options) == PD_OK;
  good = good && pd_subscriber_open(&bench->subscriber, bench->zmq, SHARD, &calls) == PD_OK;
  for (unsigned log = PD_LOG_INTAKE; log <= PD_LOG_MATCHING && good; log++) {
    snprintf(endpoint, sizeof endpoint, "ipc://%s/%s.pub", bench->run_dir, pd_log_name(log));
    good = pd_subscriber_connect(bench->subscriber, endpoint) == PD_OK;
  }
  return good;
}

static bool play(struct loop_bench *bench) {
  for (int i = 0; i < 20; i++) pd_subscriber_turn(bench->subscriber, 50); /* let it connect */
  uv_loop_init(&bench->loop);
  uv_timer_init(&bench->loop, &bench->timer);
  bench->timer.data = bench;
  bool good = pd_subscriber_attach(bench->subscriber, &bench->loop) == PD_OK &&
              pd_client_attach(bench->resident, &bench->loop) == PD_OK &&
              pd_client_attach(bench->volunteer, &bench->loop) == PD_OK;
  if (!good) return false;
  bench->start_ns = bench_now_ns() + 100000000u;
  uv_timer_start(&bench->timer, on_timer, 1, 1);
  uv_run(&bench->loop, UV_RUN_DEFAULT);
  return true;
}

static void report(struct loop_bench *bench, bool json) {
  size_t skip = bench->measured / 10, n = bench->measured - skip; /* the first tenth warms up */
  double *kept = bench->latency_ms + skip;
  bench_sort(kept, n);
  double p50 = bench_quantile(kept, n, 0.5), p99 = bench_quantile(kept, n, 0.99);
  double seconds = (double)(bench->last_close_ns - bench->start_ns) / 1e9;
  double held = (double)bench->closed / seconds;
  json_t *row = json_pack(
      "{s:I,s:f,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:f,s:f,s:f}", "rate", (json_int_t)bench->rate,
      "held", held, "orders", (json_int_t)bench->sent, "offers", (json_int_t)bench->offers,
      "filled", (json_int_t)bench->filled, "closed", (json_int_t)bench->closed, "highest_open",
      (json_int_t)bench->highest_open, "refused", (json_int_t)bench->refused, "gaps",
      (json_int_t)bench->gaps, "p50_ms", p50, "p99_ms", p99, "max_ms", bench_quantile(kept, n, 1),
      "events_per_s", (double)bench->events / seconds);
  if (json) {
    json_dumpf(row, stdout, JSON_COMPACT);
    puts("");
  } else {
    printf("%8s %8s %8s %8s %8s %9s %8s %8s %8s\n", "rate/s", "held/s", "offers", "filled",
           "open max", "events/s", "p50 ms", "p99 ms", "max ms");
    printf("%8llu %8.0f %8llu %8llu %8llu %9.0f %8.2f %8.2f %8.2f\n",
           (unsigned long long)bench->rate, held, (unsigned long long)bench->offers,
           (unsigned long long)bench->filled, (unsigned long long)bench->highest_open,
           (double)bench->events / seconds, p50, p99, bench_quantile(kept, n, 1));
  }
  json_decref(row);
}

int bench_loop(int argc, char **argv) {
  static struct loop_bench bench;
  bench.rate = bench_number(argc, argv, "rate", 5000);
  bench.total = bench.rate * bench_number(argc, argv, "seconds", 20);
  uint64_t volunteers = bench_number(argc, argv, "volunteers", 20000);
  if (bench.rate == 0 || bench.total == 0 || bench.total > 100000000) return PD_EXIT_USAGE;
  bench.latency_ms = calloc(bench.total, sizeof *bench.latency_ms);
  bench.offered = calloc(bench.total, 1);
  if (bench.latency_ms == NULL || bench.offered == NULL) return PD_EXIT_FAULT;
  pd_rng_seed(&bench.rng, 1);
  if (!start_district(&bench)) return PD_EXIT_DOWN;
  int code = PD_EXIT_FAULT;
  if (open_clients(&bench) && register_all(&bench, volunteers) && play(&bench)) {
    report(&bench, bench_json(argc, argv));
    code = bench.closed >= bench.total && bench.gaps == 0 ? PD_EXIT_OK : PD_EXIT_FAULT;
  }
  stop_district(&bench);
  return code;
}
