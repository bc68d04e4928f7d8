/* paidan-bench dispatch - from places to offers: orders that come in together against a district's
 * volunteers, through the real core.
 *
 * Nothing is written anywhere: what is measured is the matcher's own work, from the facts that it
 * hears to the offers that it says, each packed as the log would have it.  Batches follow each
 * other, and each one's orders are closed before the next, so that volunteers come to have a load.
 */
#include "common/base/calendar.h"
#include "common/base/err.h"
#include "common/base/rng.h"
#include "common/wire/entry.h"
#include "services/matching/matching_core.h"
#include "tests/bench/bench.h"
#include "tests/bench/files.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LON 118050 /* cells of 0.001 degree: Zichuan */
#define LAT 36640
#define SPREAD 100 /* cells each way: a city of about 20 km */
#define NOW INT64_C(1790000000000)
#define MEMORY ((size_t)8 << 30)
#define ENTRY ((size_t)16 << 20)

struct dispatch {
  struct matching *core;
  struct pd_outbox out;
  struct pd_packer packer;
  uint8_t *entry;
  struct pd_rng rng;
  uint64_t heard, offers, waves, unmatched, way_m;
  uint64_t orders, placed, batches, volunteers;
  bool few_hours;
  double hear_us, solve_us; /* of the batch at hand */
};

static void on_event(void *context, const struct pd_event *event) {
  struct dispatch *d = context;
  if (d->packer.used > ENTRY / 2) pd_packer_init(&d->packer, d->entry, ENTRY);
  pd_pack_event(&d->packer, event);
  d->offers += event->body_case == PD_EVENT_OFFER_MADE;
  d->waves += event->body_case == PD_EVENT_WAVE_OPENED;
  d->unmatched += event->body_case == PD_EVENT_ORDER_UNMATCHED;
  if (event->body_case == PD_EVENT_OFFER_MADE) d->way_m += event->offer_made->distance_m;
}

static void on_reply(void *context, const struct pd_reply *reply) {
  (void)context;
  (void)reply;
}

static void decide(struct dispatch *d, enum pd_input_kind kind, const struct pd_event *event) {
  struct pd_input input = {.kind = kind, .now_ms = NOW, .event = event};
  pd_outbox_decide(&d->out, &input);
}

static void hear(struct dispatch *d, pd_event_kind kind, const void *body) {
  struct pd_event event = PD_EVENT_INIT;
  event.body_case = kind;
  event.log = PD_LOG_INTAKE;
  event.seq = ++d->heard;
  event.time_ms = NOW;
  memcpy(&event.epoch_began, &body, sizeof body); /* every member is a pointer to a message */
  matching_core.apply(d->core, &event);
  decide(d, PD_INPUT_EVENT, &event);
}

static void cell_of(struct dispatch *d, struct pd_cell *cell) {
  *cell = (struct pd_cell)PD_CELL_INIT;
  cell->x = LON - SPREAD + (int32_t)pd_rng_below(&d->rng, 2 * SPREAD);
  cell->y = LAT - SPREAD + (int32_t)pd_rng_below(&d->rng, 2 * SPREAD);
}

static ProtobufCBinaryData person(uint64_t number, uint64_t id[2]) {
  id[0] = number * UINT64_C(0x9e3779b97f4a7c15);
  id[1] = number + 1;
  return (ProtobufCBinaryData){16, (uint8_t *)id};
}

/* Two skills each: one of five that are common, one of twenty. */
static void register_volunteer(struct dispatch *d, uint64_t number) {
  uint64_t id[2];
  uint32_t days[7];
  struct pd_cell cell;
  enum pd_skill skills[2] = {(enum pd_skill)(1 + number % 5), (enum pd_skill)(6 + number % 20)};
  struct pd_volunteer_registered said = PD_VOLUNTEER_REGISTERED_INIT;
  cell_of(d, &cell);
  for (int i = 0; i < 7; i++)
    days[i] = d->few_hours ? 0xfu << (8 + pd_rng_below(&d->rng, 10)) : 0xffffff;
  said.person = person(number, id);
  said.cell = &cell;
  said.n_skills = 2;
  said.skills = skills;
  said.n_available = 7;
  said.available = days;
  said.radius_m = 5000;
  said.max_per_week = 50;
  said.age = PD_AGE_BAND_36_59;
  hear(d, PD_EVENT_VOLUNTEER_REGISTERED, &said);
}

static void place(struct dispatch *d) {
  uint64_t id[2];
  struct pd_cell cell;
  uint64_t number = ++d->placed;
  enum pd_skill skill = (enum pd_skill)(1 + number % 5);
  struct pd_order_placed said = PD_ORDER_PLACED_INIT;
  cell_of(d, &cell);
  said.order = number;
  said.requester = person(1000000000 + number % 200, id);
  said.kind = PD_ORDER_KIND_VISIT;
  said.cell = &cell;
  said.n_skills = 1;
  said.skills = &skill;
  said.need = 1;
  said.window_start_ms = NOW + PD_DAY_MS + (int64_t)(number % 500) * PD_HOUR_MS;
  said.window_end_ms = said.window_start_ms + 4 * PD_HOUR_MS;
  said.minutes = 60;
  said.urgency = PD_URGENCY_SOON;
  hear(d, PD_EVENT_ORDER_PLACED, &said);
}

static void close_orders(struct dispatch *d) {
  for (uint64_t i = d->placed - d->orders + 1; i <= d->placed; i++) {
    struct pd_order_closed said = PD_ORDER_CLOSED_INIT;
    said.order = i;
    said.state = PD_ORDER_STATE_CANCELLED;
    hear(d, PD_EVENT_ORDER_CLOSED, &said);
  }
  decide(d, PD_INPUT_BATCH_END, NULL);
}

static void batch(struct dispatch *d) {
  uint64_t begin = bench_now_ns();
  for (uint64_t i = 0; i < d->orders; i++) place(d);
  uint64_t heard = bench_now_ns();
  decide(d, PD_INPUT_BATCH_END, NULL);
  uint64_t solved = bench_now_ns();
  d->hear_us = (double)(heard - begin) / 1e3;
  d->solve_us = (double)(solved - heard) / 1e3;
}

static bool start(struct dispatch *d, int argc, char **argv) {
  struct pd_arena arena;
  struct pd_shard shard = {.code = 370302, .zone_min = 480};
  struct pd_limits limits = pd_limits_district;
  struct matching_policy policy = matching_policy_default;
  policy.fill_percent = 0;
  policy.offers_per_slot = (uint32_t)bench_number(argc, argv, "offers", 3);
  policy.candidates = (uint32_t)bench_number(argc, argv, "candidates", policy.candidates);
  if (d->volunteers > limits.persons) limits.persons = (uint32_t)d->volunteers;
  if (policy.offers_per_slot == 0 || policy.offers_per_slot > 64 || policy.candidates == 0)
    return false;
  pd_arena_init(&arena, bench_memory(MEMORY), MEMORY);
  pd_rng_seed(&d->rng, 1);
  d->core = matching_core.init(&arena, &limits, &shard, &policy);
  d->entry = calloc(1, ENTRY);
  if (d->entry == NULL) return false;
  struct pd_sink sink = {.context = d, .event = on_event, .reply = on_reply};
  pd_outbox_init(&d->out, &matching_core, d->core, shard.code, sink);
  pd_packer_init(&d->packer, d->entry, ENTRY);
  for (uint64_t i = 0; i < d->volunteers; i++) register_volunteer(d, i);
  decide(d, PD_INPUT_BATCH_END, NULL);
  return true;
}

static void report(const struct dispatch *d, double *hear_us, double *solve_us, double *all_us,
                   bool json) {
  size_t n = d->batches;
  bench_sort(hear_us, n);
  bench_sort(solve_us, n);
  bench_sort(all_us, n);
  double orders = (double)d->orders, all = bench_quantile(all_us, n, 0.5);
  double way = (double)d->way_m / (double)(d->offers > 0 ? d->offers : 1);
  if (json) {
    json_t *row = json_pack(
        "{s:I,s:I,s:I,s:I,s:I,s:f,s:f,s:f,s:f,s:f}", "orders", (json_int_t)d->orders, "volunteers",
        (json_int_t)d->volunteers, "batches", (json_int_t)d->batches, "offers",
        (json_int_t)d->offers, "unmatched", (json_int_t)d->unmatched, "hear_us",
        bench_quantile(hear_us, n, 0.5), "solve_us", bench_quantile(solve_us, n, 0.5), "all_us",
        all, "us_per_order", all / orders, "way_m", way);
    json_dumpf(row, stdout, JSON_COMPACT);
    puts("");
    json_decref(row);
    return;
  }
  printf("%8s %10s %8s %10s %9s %10s %10s %10s %12s %8s\n", "orders", "volunteers", "batches",
         "offers", "unmatched", "hear us", "batch us", "all us", "us an order", "way m");
  printf("%8llu %10llu %8llu %10llu %9llu %10.1f %10.1f %10.1f %12.2f %8.0f\n",
         (unsigned long long)d->orders, (unsigned long long)d->volunteers,
         (unsigned long long)d->batches, (unsigned long long)d->offers,
         (unsigned long long)d->unmatched, bench_quantile(hear_us, n, 0.5),
         bench_quantile(solve_us, n, 0.5), all, all / orders, way);
}

int bench_dispatch(int argc, char **argv) {
  static struct dispatch d;
  d.volunteers = bench_number(argc, argv, "volunteers", 100000);
  d.orders = bench_number(argc, argv, "orders", 10000);
  d.batches = bench_number(argc, argv, "batches", d.orders > 1000 ? 10 : 20000);
  d.few_hours = strcmp(bench_option(argc, argv, "hours", "all"), "few") == 0;
  if (d.orders == 0 || d.orders > pd_limits_district.orders || d.batches == 0 || d.volunteers == 0)
    return PD_EXIT_USAGE;
  double *us = calloc(3 * d.batches, sizeof *us);
  if (us == NULL || !start(&d, argc, argv)) return PD_EXIT_USAGE;
  for (uint64_t i = 0; i < d.batches; i++) {
    batch(&d);
    us[i] = d.hear_us;
    us[d.batches + i] = d.solve_us;
    us[2 * d.batches + i] = d.hear_us + d.solve_us;
    close_orders(&d);
  }
  report(&d, us, us + d.batches, us + 2 * d.batches, bench_json(argc, argv));
  free(us);
  free(d.entry);
  return PD_EXIT_OK;
}
