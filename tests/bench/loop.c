/* paidan-bench loop - from the intended send of an order to the first offer that a subscriber
 * receives.
 *
 * A whole district is started (`paidan up`: two Redis servers with appendfsync always, five
 * daemons), people are registered, then orders are placed at a fixed rate; a stalled sender is
 * charged, since latency counts from the intended time.  Each order gets three offers; the first
 * one is accepted, and the order is cancelled once it is staffed, so that the number of open orders
 * stays bounded (it is printed).
 */
#include "tests/bench/bench.h"
#include "tests/bench/city.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_MAX 10000

struct loop_bench {
  struct city city;
  uv_loop_t loop;
  uv_timer_t timer;
  uint64_t rate, total, sent, closed, filled, offers, events, gaps, refused, highest_open,
      first_order;
  uint64_t start_ns, last_close_ns;
  double *latency_ms;
  uint8_t *offered;
  uint64_t measured;
};

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

static uint64_t intended_ns(const struct loop_bench *bench, uint64_t index) {
  return bench->start_ns + index * 1000000000u / bench->rate;
}

static void on_timer(uv_timer_t *timer) {
  struct loop_bench *bench = timer->data;
  uint64_t now = bench_now_ns();
  while (bench->sent < bench->total && intended_ns(bench, bench->sent) <= now &&
         bench->sent - bench->closed < OPEN_MAX && pd_client_room(bench->city.resident) > 0)
    if (city_place(&bench->city, bench->sent, on_placed, bench)) bench->sent++;

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
  snprintf(key, sizeof key, "bench-%llu", (unsigned long long)bench->city.keys++);
  struct pd_command command = PD_COMMAND_INIT;
  command.key = key;
  command.actor = offer->volunteer;
  command.seen = &seen;
  command.body_case = PD_COMMAND_ANSWER_OFFER;
  command.answer_offer = &body;
  if (pd_client_send(bench->city.volunteer, &command, on_nothing, bench) != PD_OK)
    bench->city.failed++;
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
  snprintf(key, sizeof key, "bench-%llu", (unsigned long long)bench->city.keys++);
  struct person *person =
      &bench->city.residents[(body.order - bench->first_order) % CITY_RESIDENTS];
  struct pd_command command = PD_COMMAND_INIT;
  command.key = key;
  command.actor = (ProtobufCBinaryData){16, person->id.bytes};
  command.seen = &seen;
  command.body_case = PD_COMMAND_CANCEL_ORDER;
  command.cancel_order = &body;
  if (pd_client_send(bench->city.resident, &command, on_nothing, bench) != PD_OK)
    bench->city.failed++;
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

static bool play(struct loop_bench *bench) {
  for (int i = 0; i < 20; i++) pd_subscriber_turn(bench->city.subscriber, 50); /* let it connect */
  uv_loop_init(&bench->loop);
  uv_timer_init(&bench->loop, &bench->timer);
  bench->timer.data = bench;
  bool good = pd_subscriber_attach(bench->city.subscriber, &bench->loop) == PD_OK &&
              pd_client_attach(bench->city.resident, &bench->loop) == PD_OK &&
              pd_client_attach(bench->city.volunteer, &bench->loop) == PD_OK;
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
  struct pd_subscriber_calls calls = {.context = &bench, .event = on_event, .gap = on_gap};
  if (!city_start(&bench.city)) return PD_EXIT_DOWN;
  int code = PD_EXIT_FAULT;
  if (city_open(&bench.city, &calls) && city_register(&bench.city, volunteers) && play(&bench)) {
    report(&bench, bench_json(argc, argv));
    code = bench.closed >= bench.total && bench.gaps == 0 ? PD_EXIT_OK : PD_EXIT_FAULT;
  }
  city_stop(&bench.city);
  return code;
}
