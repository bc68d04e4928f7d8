#include "tests/play/play.h"

#include "common/base/calendar.h"
#include "common/io/clock.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define SETTLE_MS 1200 /* real time after the last day, in which the last events arrive */

static const char help[] =
    "Usage: paidan-play --run-dir DIR --data DIR --shard CODE [options]\n"
    "Plays residents, volunteers and site staff of a data set against a running district.\n"
    "\n"
    "  --run-dir DIR    where `paidan up` keeps its sockets\n"
    "  --data DIR       sites.csv, volunteers.csv, orders.csv; only the orders are read here\n"
    "  --shard CODE     the district, 6 digits\n"
    "  --map FILE       what `paidan load --map FILE` wrote: volunteers who place orders "
    "themselves\n"
    "  --days N         how many days to play, from the first order's (7)\n"
    "  --seed N         of what people do (1)\n"
    "  --speed N        how fast the shard's clock runs, as given to `paidan up` (1)\n"
    "  --start TIME     first local midnight; otherwise of the first order's day\n"
    "  --zone +HH:MM    local time (+08:00)\n"
    "  --summary FILE   write the summary as JSON\n"
    "  --journal FILE   write a line for each acknowledgement, for `paidan verify --journal`\n"
    "\n"
    "Example: paidan-play --run-dir /tmp/paidan --data tests/data/district --shard 110105 --speed "
    "10080\n";

int64_t play_now(const struct play *play) {
  return pd_clock_real_ms() * (int64_t)play->options.speed + play->offset_ms;
}

/* ---- hearing ---- */

/* A heartbeat tells the shard's time: the latest one is the nearest to the truth. */
static void on_tip(void *context, const struct pd_tip *tip) {
  struct play *play = context;
  int64_t offset = tip->time_ms - pd_clock_real_ms() * (int64_t)play->options.speed;
  if (!play->synced || offset > play->offset_ms) play->offset_ms = offset;
  play->synced = true;
}

static void on_gap(void *context, enum pd_log log, uint64_t from, uint64_t to) {
  struct play *play = context;
  fprintf(stderr, "paidan-play: missed %s %llu..%llu\n", pd_log_name(log), (unsigned long long)from,
          (unsigned long long)to);
  play->totals.gaps += to - from + 1;
}

static bool open_all(struct play *play) {
  static const char *const names[PLAY_DOORS] = {"resident", "volunteer", "site", "ops"};
  const struct play_options *options = &play->options;
  char endpoint[256];
  struct pd_subscriber_calls calls = {
      .context = play, .event = play_hear, .gap = on_gap, .tip = on_tip};
  play->zmq = zmq_ctx_new();
  if (pd_subscriber_open(&play->subscriber, play->zmq, options->shard, &calls) != PD_OK)
    return false;
  for (unsigned log = 1; log < PD_LOGS; log++) {
    snprintf(endpoint, sizeof endpoint, "ipc://%s/%s.pub", options->run_dir, pd_log_name(log));
    if (pd_subscriber_connect(play->subscriber, endpoint) != PD_OK) return false;
  }
  for (unsigned door = 0; door < PLAY_DOORS; door++) {
    snprintf(endpoint, sizeof endpoint, "ipc://%s/door.%s", options->run_dir, names[door]);
    struct pd_client_options client = {
        .endpoint = endpoint, .shard = options->shard, .window = 4096};
    if (pd_client_open(&play->clients[door], play->zmq, &client) != PD_OK) return false;
  }
  return true;
}

/* Hear every log's heartbeat before the first order, so that nothing is missed. */
static bool wait_for_all(struct play *play) {
  uint64_t until = uv_hrtime() + 10000000000u;
  while (uv_hrtime() < until) {
    pd_subscriber_turn(play->subscriber, 50);
    if (play->synced && until - uv_hrtime() < 9000000000u) return true;
  }
  fprintf(stderr, "paidan-play: nothing is heard from %s; is the district up? (paidan status)\n",
          play->options.run_dir);
  return false;
}

/* ---- the loop ---- */

static void on_timer(uv_timer_t *timer) {
  struct play *play = timer->data;
  play_due(play);
  int64_t over_ms = (play_now(play) - play->end_ms) / (int64_t)play->options.speed;
  if (over_ms > SETTLE_MS) uv_stop(&play->loop);
}

static void on_bar(uv_timer_t *timer) {
  struct play *play = timer->data;
  double done = (double)(play_now(play) - play->options.start_ms) /
                (double)(play->end_ms - play->options.start_ms);
  done = done < 0 ? 0 : done > 1 ? 1 : done;
  char bar[31];
  memset(bar, '-', 30);
  memset(bar, '#', (size_t)(done * 30));
  bar[30] = 0;
  fprintf(stderr,
          "\r[%s] %3.0f %%  第 %d 天/day %d  订单/orders %llu  "
          "派单/offers %llu  成单/filled %llu ",
          bar, done * 100, (int)(done * play->options.days) + 1,
          (int)(done * play->options.days) + 1, (unsigned long long)play->totals.placed,
          (unsigned long long)play->totals.offers, (unsigned long long)play->totals.filled);
}

static bool run(struct play *play) {
  uv_loop_init(&play->loop);
  uv_timer_init(&play->loop, &play->timer);
  uv_timer_init(&play->loop, &play->bar);
  play->timer.data = play->bar.data = play;
  bool attached = pd_subscriber_attach(play->subscriber, &play->loop) == PD_OK;
  for (unsigned door = 0; door < PLAY_DOORS; door++)
    attached = attached && pd_client_attach(play->clients[door], &play->loop) == PD_OK;
  if (!attached) return false;
  uv_timer_start(&play->timer, on_timer, 0, 1);
  bool terminal = isatty(2);
  if (terminal) uv_timer_start(&play->bar, on_bar, 0, 200);
  uv_run(&play->loop, UV_RUN_DEFAULT);
  if (terminal) fprintf(stderr, "\n");
  return true;
}

static bool parse(struct play_options *options, int argc, char **argv) {
  static const struct option flags[] = {
      {"run-dir", 1, NULL, 'r'}, {"data", 1, NULL, 'd'},    {"shard", 1, NULL, 's'},
      {"map", 1, NULL, 'm'},     {"days", 1, NULL, 'n'},    {"seed", 1, NULL, 'e'},
      {"speed", 1, NULL, 'f'},   {"start", 1, NULL, 't'},   {"zone", 1, NULL, 'z'},
      {"summary", 1, NULL, 'o'}, {"journal", 1, NULL, 'j'}, {"help", 0, NULL, 'h'},
      {NULL, 0, NULL, 0}};
  bool good = true;
  for (int flag; (flag = getopt_long(argc, argv, "", flags, NULL)) != -1;) {
    switch (flag) {
      case 'r': options->run_dir = optarg; break;
      case 'd': options->data = optarg; break;
      case 's': options->shard = (uint32_t)strtoul(optarg, NULL, 10); break;
      case 'm': options->map = optarg; break;
      case 'n': options->days = (uint32_t)strtoul(optarg, NULL, 10); break;
      case 'e': options->seed = strtoull(optarg, NULL, 10); break;
      case 'f': options->speed = strtoull(optarg, NULL, 10); break;
      case 't': good = good && pd_time_parse(optarg, &options->start_ms); break;
      case 'z': good = good && pd_zone_parse(optarg, &options->zone_min); break;
      case 'o': options->summary = optarg; break;
      case 'j': options->journal = optarg; break;
      case 'h': fputs(help, stdout); exit(PD_EXIT_OK);
      default: good = false;
    }
  }
  bool whole = options->run_dir != NULL && options->data != NULL && options->shard > 0;
  return good && whole && options->days > 0 && options->days <= 366 && options->speed > 0 &&
         optind == argc;
}

int main(int argc, char **argv) {
  static struct play play = {.options = {.days = 7, .seed = 1, .speed = 1, .zone_min = 480}};
  if (!parse(&play.options, argc, argv)) {
    fputs(help, stderr);
    return PD_EXIT_USAGE;
  }
  play.started_ns = uv_hrtime();
  if (!play_read_orders(&play)) return PD_EXIT_CONFIG;
  if (play.options.journal != NULL) play.journal = fopen(play.options.journal, "w");
  if (!open_all(&play) || !wait_for_all(&play)) return PD_EXIT_DOWN;
  if (!play_register(&play)) return PD_EXIT_FAULT;
  for (size_t i = 0; i < play.orders_count; i++) {
    struct play_todo todo = {
        .when_ms = play.orders[i].placed_at_ms, .act = PLAY_PLACE, .number = i};
    play_later(&play, &todo);
  }
  if (!run(&play)) return PD_EXIT_FAULT;
  if (play.journal != NULL) fclose(play.journal);
  return play_summary(&play) ? PD_EXIT_OK : PD_EXIT_FAULT;
}
