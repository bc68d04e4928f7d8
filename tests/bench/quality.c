/* paidan-bench quality - what the matcher decides beside what the nearest-first rule would: a data
 * set's orders, played three ways through the real cores.
 *
 *     greedy   each order alone, and the nearest whom no rule keeps out are asked
 *     alone    the rules as they come, each order alone
 *     batch    the rules as they come, orders that came within some minutes decided together
 *
 * The machinery is that of `paidan replay` (whatif.h).  How people answer is one model for all
 * three: chance decided by seed, order and volunteer alone, so somebody who is asked for an order
 * in two ways says the same in both; neither distance nor load changes it.  All three hear of the
 * orders at the same times, the ends of those minutes.  Nothing is timed.
 *
 * Greedy compares the cost of one candidate a place, which is to compare nothing: so its offers
 * tell what they cost by the rules that it does not follow, and the three can be set side by side.
 */
#include "common/base/calendar.h"
#include "common/base/err.h"
#include "common/base/geo.h"
#include "common/base/rng.h"
#include "services/matching/policy.h"
#include "services/paidan/csv.h"
#include "services/paidan/data.h"
#include "services/paidan/whatif.h"
#include "tests/bench/bench.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARD      110105
#define SITES      4096
#define EVENT_SIZE 4096
#define RESIDENT   UINT64_C(1000000000) /* added to a resident's number */
#define LOAD_ONE   16 /* as the core counts */
#define BEFORE_MS  PD_MINUTE_MS /* everybody is registered so long before the first order */

static const char *const way_names[] = {"greedy", "alone", "batch"};
#define WAYS 3

/* After so many minutes people answer. */
static const int64_t delays_ms[] = {2 * PD_MINUTE_MS,  4 * PD_MINUTE_MS,  7 * PD_MINUTE_MS,
                                    11 * PD_MINUTE_MS, 16 * PD_MINUTE_MS, 25 * PD_MINUTE_MS};

struct place {
  struct pd_lonlat at;
  char ref[40];
  bool station;
};

struct helper {
  struct pd_id id;
  int64_t offered_ms; /* last; 0: never */
  int64_t load; /* recent offers, in LOAD_ONEs, halved every week */
  uint32_t offers;
  uint32_t services;
  bool active;
  bool zero[7];
};

struct offer {
  int64_t cost_m;
  uint32_t way_m;
  uint32_t zero;
};

/* What one way of deciding came to. */
struct outcome {
  struct whatif_figures figures;
  int64_t way_m;    /* of those booked, added up */
  int64_t cost_m;   /* of those booked, by the rules, added up */
  int64_t asked_m;  /* the cost of all invitations */
  uint64_t contest; /* invitations of people whom another order would have paid for */
  uint64_t never;   /* active volunteers without an invitation */
  uint64_t most;    /* services of one */
  double longest_days;
  double gini_asked; /* of services, over those who were invited */
  double gini_all;   /* over all who are active */
};

struct quality {
  const char *folder;
  uint64_t seed, minutes, every, yes, no;
  struct whatif_record *record;
  struct ids people;
  struct place *places;
  struct helper *helpers; /* by number in people */
  struct offer *offers;
  size_t helper_room, offer_room, place_count;
  uint64_t seq, orders, volunteers, batches;
  int64_t first_ms, batch_ms, last_ms;
  int64_t zone_min;
  struct outcome *now; /* of the play at hand */
};

/* ---- the data set as facts ---- */

static void add(struct quality *quality, pd_event_kind kind, int64_t time_ms, const void *body) {
  static uint8_t bytes[EVENT_SIZE];
  struct pd_event event = PD_EVENT_INIT;
  event.body_case = kind;
  event.log = PD_LOG_INTAKE;
  event.seq = ++quality->seq;
  event.time_ms = time_ms;
  event.shard = SHARD;
  memcpy(&event.epoch_began, &body, sizeof body); /* every member is a pointer to a message */
  pd_assert(paidan__v1__event__get_packed_size(&event) <= sizeof bytes);
  size_t size = paidan__v1__event__pack(&event, bytes);
  pd_assert(whatif_add(quality->record, bytes, size) == PD_OK);
}

/* A person of the data set ("V00012", "R00345"; residents without a name are all different), by the
 * seed: the model's chance is made of it. */
static struct pd_id person_of(const struct quality *quality, const char *ref, uint64_t other) {
  struct pd_id id;
  struct pd_rng rng;
  uint64_t number = other + 2 * RESIDENT;
  if (ref[0] != 0) number = strtoull(ref + 1, NULL, 10) + (ref[0] == 'V' ? 0 : RESIDENT);
  pd_rng_seed(&rng, number * UINT64_C(0x9e3779b97f4a7c15) + quality->seed);
  uint64_t half[2] = {pd_rng_next(&rng), pd_rng_next(&rng)};
  memcpy(&id, half, sizeof id);
  return id;
}

static struct pd_lonlat lonlat(const struct pd_point *point) {
  return (struct pd_lonlat){point->lon_e7, point->lat_e7};
}

static struct pd_cell cell_of(const struct pd_point *point) {
  struct pd_square square = pd_geo_square(lonlat(point));
  struct pd_cell cell = PD_CELL_INIT;
  cell.x = square.x;
  cell.y = square.y;
  return cell;
}

static uint32_t site_near(const struct quality *quality, const struct pd_point *point) {
  uint32_t nearest = 0;
  double least_m = 0;
  for (uint32_t i = 0; i < quality->place_count; i++) {
    double way_m = pd_geo_distance_m(quality->places[i].at, lonlat(point));
    if (!quality->places[i].station || (nearest != 0 && way_m >= least_m)) continue;
    nearest = i + 1;
    least_m = way_m;
  }
  return nearest;
}

static bool on_site(void *context, struct data_site *row) {
  struct quality *quality = context;
  struct pd_site_registered said = PD_SITE_REGISTERED_INIT;
  if (quality->place_count == SITES) return false;
  said.site = (uint32_t)quality->place_count + 1;
  said.level = row->body.level;
  for (uint32_t i = 0; i < quality->place_count; i++)
    if (strcmp(quality->places[i].ref, row->body.parent_ref) == 0) said.parent = i + 1;
  said.ref = row->body.ref;
  said.name = row->body.name;
  said.code = row->body.code;
  said.lon_e7 = row->point.lon_e7;
  said.lat_e7 = row->point.lat_e7;
  struct place *place = &quality->places[quality->place_count++];
  *place = (struct place){.at = lonlat(&row->point),
                          .station = row->body.level == PD_SITE_LEVEL_STATION};
  snprintf(place->ref, sizeof place->ref, "%s", row->body.ref);
  add(quality, PD_EVENT_SITE_REGISTERED, quality->first_ms, &said);
  return true;
}

static struct helper *helper_of(struct quality *quality, const struct pd_id *id) {
  uint32_t number = ids_take(&quality->people, id);
  quality->helpers = ids_grow(quality->helpers, &quality->helper_room, number + 1u,
                              sizeof *quality->helpers);
  return &quality->helpers[number];
}

static bool on_volunteer(void *context, struct data_volunteer *row) {
  struct quality *quality = context;
  const struct pd_register_volunteer *body = &row->body;
  if (quality->volunteers++ % quality->every != 0) return true;
  struct pd_id id = person_of(quality, row->row.ref, 0);
  struct pd_cell cell = cell_of(&row->home);
  struct pd_volunteer_registered said = PD_VOLUNTEER_REGISTERED_INIT;
  struct pd_volunteer_paused paused = PD_VOLUNTEER_PAUSED_INIT;
  said.person = paused.person = pd_bytes(&id);
  said.cell = &cell;
  said.site = site_near(quality, &row->home);
  said.branch = body->branch;
  said.n_skills = body->n_skills;
  said.skills = body->skills;
  said.n_available = body->n_available;
  said.available = body->available;
  said.radius_m = body->radius_m;
  said.max_per_week = body->max_per_week;
  said.age = body->age;
  said.vetted = body->vetted;
  said.emergency = body->emergency;
  said.gender = body->gender;
  add(quality, PD_EVENT_VOLUNTEER_REGISTERED, quality->first_ms, &said);
  bool active = row->status == DATA_ACTIVE;
  if (!active) add(quality, PD_EVENT_VOLUNTEER_PAUSED, quality->first_ms, &paused);
  *helper_of(quality, &id) = (struct helper){.id = id, .active = active};
  return true;
}

/* An order is heard of at the end of its minutes. */
static int64_t heard_ms(const struct quality *quality, int64_t placed_ms) {
  int64_t step_ms = (int64_t)quality->minutes * PD_MINUTE_MS;
  return step_ms == 0 ? placed_ms : (placed_ms + step_ms - 1) / step_ms * step_ms;
}

static bool on_order(void *context, struct data_order *row) {
  struct quality *quality = context;
  const struct pd_place_order *body = &row->body;
  struct pd_id id = person_of(quality, row->requester, quality->orders);
  struct pd_cell cell = cell_of(&row->point);
  struct pd_order_placed said = PD_ORDER_PLACED_INIT;
  int64_t time_ms = heard_ms(quality, row->placed_at_ms);
  said.order = ++quality->orders;
  said.requester = pd_bytes(&id);
  said.kind = body->kind;
  said.category = body->category;
  said.cell = &cell;
  said.site = site_near(quality, &row->point);
  said.n_skills = body->n_skills;
  said.skills = body->skills;
  said.need = body->need;
  said.window_start_ms = body->window_start_ms;
  said.window_end_ms = body->window_end_ms;
  said.minutes = body->minutes;
  said.urgency = body->urgency;
  said.channel = body->channel;
  said.sensitive = body->sensitive;
  said.dangerous = body->dangerous;
  said.gender = body->gender;
  said.n_demands = body->n_demands;
  said.demands = body->demands;
  quality->batches += time_ms != quality->batch_ms;
  quality->batch_ms = time_ms;
  if (time_ms > quality->last_ms) quality->last_ms = time_ms;
  add(quality, PD_EVENT_ORDER_PLACED, time_ms, &said);
  return true;
}

static bool on_first(void *context, struct data_order *row) {
  struct quality *quality = context;
  quality->first_ms = row->placed_at_ms - BEFORE_MS;
  return false;
}

static void on_problem(void *context, const struct data_problem *problem) {
  (void)context;
  fprintf(stderr, "%s:%u:%u: %s%s%s\n", problem->file, problem->line, problem->column,
          problem->name == NULL ? "" : problem->name, problem->name == NULL ? "" : ": ",
          problem->reason);
}

/* Local time is what the orders are written in ("...+08:00"): minutes east of UTC. */
static int32_t zone_of(const char *path) {
  struct csv csv;
  int32_t minutes = 0;
  if (csv_open(&csv, path) == PD_OK) {
    int column = csv_column(&csv, "placed_at");
    bool said = column >= 0 && csv_next(&csv) == CSV_ROW && csv.fields[column].length > 6;
    const char *text = said ? csv.fields[column].text + csv.fields[column].length - 6 : "";
    if (!pd_zone_parse(text, &minutes)) minutes = 0;
  }
  csv_close(&csv);
  return minutes;
}

typedef enum pd_err read_table(const char *path, const struct data_listener *listener);

static bool read_one(struct quality *quality, const char *name, read_table *read,
                     const struct data_listener *listener) {
  char path[512];
  snprintf(path, sizeof path, "%.400s/%s.csv", quality->folder, name);
  enum pd_err err = read(path, listener);
  if (err == PD_OK) return true;
  fprintf(stderr, "%s: %s; --data names a folder with sites.csv, volunteers.csv and orders.csv\n",
          path, pd_err_text(err));
  return false;
}

static bool read_all(struct quality *quality) {
  char path[512];
  struct data_listener first = {.context = quality, .order = on_first};
  struct data_listener all = {.context = quality,
                              .site = on_site,
                              .volunteer = on_volunteer,
                              .order = on_order,
                              .problem = on_problem};
  snprintf(path, sizeof path, "%.400s/orders.csv", quality->folder);
  struct pd_shard shard = {.code = SHARD, .zone_min = zone_of(path)};
  quality->zone_min = shard.zone_min;
  quality->record = whatif_new(&shard, 0, INT64_MAX);
  return read_one(quality, "orders", data_read_orders, &first) &&
         read_one(quality, "sites", data_read_sites, &all) &&
         read_one(quality, "volunteers", data_read_volunteers, &all) &&
         read_one(quality, "orders", data_read_orders, &all) && quality->orders > 0;
}

/* ---- what came of it ---- */

/* What the recent offers count, this one being added to them.  An offer of a batch tells what they
 * counted before the batch, so that the sum of what is told would flatter it; this is counted offer
 * by offer, emergencies too, for all three alike. */
static int64_t fairness_of(const struct quality *quality, struct helper *helper, int64_t now_ms) {
  int32_t zone_min = (int32_t)quality->zone_min;
  int64_t weeks = pd_week_number(now_ms, zone_min) - pd_week_number(helper->offered_ms, zone_min);
  int64_t load = weeks < 32 ? helper->load >> (weeks > 0 ? weeks : 0) : 0;
  helper->load = load + LOAD_ONE;
  return matching_policy_default.fairness_m * load * load / (LOAD_ONE * LOAD_ONE);
}

static void on_offer(struct quality *quality, const struct pd_event *event) {
  const struct pd_offer_made *body = event->offer_made;
  struct pd_id id = PD_ID(body->volunteer);
  struct helper *helper = helper_of(quality, &id);
  quality->offers = ids_grow(quality->offers, &quality->offer_room, (size_t)body->offer + 1,
                             sizeof *quality->offers);
  struct offer *offer = &quality->offers[body->offer];
  offer->way_m = body->distance_m;
  offer->cost_m = body->distance_m + fairness_of(quality, helper, event->time_ms) + body->rare_m -
                  body->continuity_m - body->branch_m - body->rural_m - body->mutual_m;
  helper->offers++;
  helper->offered_ms = event->time_ms;
  quality->now->asked_m += offer->cost_m;
  quality->now->contest += body->price_m > 0;
}

static void on_event(void *context, const struct pd_event *event) {
  struct quality *quality = context;
  if (event->body_case == PD_EVENT_OFFER_MADE) on_offer(quality, event);
  if (event->body_case == PD_EVENT_SLOT_FILLED) {
    struct pd_id id = PD_ID(event->slot_filled->volunteer);
    const struct offer *offer = &quality->offers[event->slot_filled->offer];
    helper_of(quality, &id)->services++;
    quality->now->way_m += offer->way_m;
    quality->now->cost_m += offer->cost_m;
  }
}

/* Gini's coefficient: 2 sum(i x_i) / (n sum(x)) - (n + 1) / n over sorted values. */
static double gini_of(double *values, size_t count) {
  double sum = 0, ranked = 0, n = (double)count;
  bench_sort(values, count);
  for (size_t i = 0; i < count; i++) {
    sum += values[i];
    ranked += (double)(i + 1) * values[i];
  }
  return sum <= 0 ? 0 : 2 * ranked / (n * sum) - (n + 1) / n;
}

static void sum_helpers(struct quality *quality) {
  struct outcome *outcome = quality->now;
  double *all = calloc(quality->people.count + 1, sizeof *all);
  double *asked = calloc(quality->people.count + 1, sizeof *asked);
  size_t count = 0, invited = 0;
  pd_assert(all != NULL && asked != NULL);
  for (uint32_t i = 0; i < quality->people.count; i++) {
    struct helper *helper = &quality->helpers[i];
    if (!helper->active) continue;
    all[count++] = helper->services;
    if (helper->offers > 0) asked[invited++] = helper->services;
    double days = (double)(quality->last_ms - helper->offered_ms) / (double)PD_DAY_MS;
    if (helper->offers > 0 && days > outcome->longest_days) outcome->longest_days = days;
    if (helper->services > outcome->most) outcome->most = helper->services;
    *helper = (struct helper){.id = helper->id, .active = true};
  }
  outcome->never = count - invited;
  outcome->gini_all = gini_of(all, count);
  outcome->gini_asked = gini_of(asked, invited);
  free(all);
  free(asked);
}

static bool play(struct quality *quality, unsigned way, struct outcome *outcome) {
  struct matching_rules rules = {0};
  struct matching_policy policy = matching_policy_default;
  struct whatif_setting setting = {
      .rate = {.known = 100, .yes = quality->yes, .no = quality->no},
      .delays_ms = delays_ms,
      .delays = sizeof delays_ms / sizeof *delays_ms,
      .turns = way == 2 ? WHATIF_EACH_MOMENT : WHATIF_EACH_ORDER,
      .event = on_event,
      .context = quality,
  };
  if (way == 0) policy.candidates = 1;
  policy_fill(&rules, &policy);
  quality->now = outcome;
  whatif_set(quality->record, &setting);
  if (whatif_play(quality->record, &rules, &outcome->figures) != PD_OK) return false;
  sum_helpers(quality);
  return true;
}

/* ---- telling ---- */

static double mean(int64_t sum, uint64_t count) {
  return count == 0 ? 0 : (double)sum / (double)count;
}

#define ROWS 17

/* The figures of one way, in the order of the names. */
static const char *const row_names[ROWS] = {
    "orders",         "slots",          "filled",         "orders staffed", "times unmatched",
    "offers",         "offers a fill",  "way, km in all", "way, m a fill",  "cost, km in all",
    "cost, m a fill", "cost, m an offer", "Gini, invited", "Gini, active",  "never invited",
    "longest wait, d", "most of one"};
static const char *const row_keys[ROWS] = {
    "orders",      "slots",         "filled",      "staffed",    "unmatched",    "offers",
    "offers_per_fill", "way_km",    "way_m",       "cost_km",    "cost_m",       "offer_cost_m",
    "gini_invited", "gini_active",  "never_invited", "longest_wait_days", "most_services"};
static const int row_digits[ROWS] = {0, 0, 0, 0, 0, 0, 2, 1, 0, 1, 0, 0, 3, 3, 0, 1, 0};

static void figures_of(const struct outcome *outcome, double values[ROWS]) {
  const struct whatif_figures *figures = &outcome->figures;
  double of[ROWS] = {(double)figures->orders,
                     (double)figures->slots,
                     (double)figures->filled,
                     (double)figures->staffed,
                     (double)figures->unmatched,
                     (double)figures->offers,
                     figures->offers_per_fill,
                     (double)outcome->way_m / 1000,
                     mean(outcome->way_m, figures->filled),
                     (double)outcome->cost_m / 1000,
                     mean(outcome->cost_m, figures->filled),
                     mean(outcome->asked_m, figures->offers),
                     outcome->gini_asked,
                     outcome->gini_all,
                     (double)outcome->never,
                     outcome->longest_days,
                     (double)outcome->most};
  memcpy(values, of, sizeof of);
}

static void say_json(const struct quality *quality, const struct outcome *outcomes) {
  json_t *all = json_pack("{s:s, s:I, s:I, s:I, s:I, s:f}", "data", quality->folder, "seed",
                          (json_int_t)quality->seed, "minutes", (json_int_t)quality->minutes,
                          "every", (json_int_t)quality->every, "contested_offers",
                          (json_int_t)outcomes[2].contest, "orders_per_batch",
                          mean((int64_t)quality->orders, quality->batches));
  for (unsigned way = 0; way < WAYS; way++) {
    double values[ROWS];
    json_t *of = json_object();
    figures_of(&outcomes[way], values);
    for (unsigned row = 0; row < ROWS; row++)
      json_object_set_new(of, row_keys[row], json_real(values[row]));
    json_object_set_new(all, way_names[way], of);
  }
  json_dumpf(all, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
  puts("");
  json_decref(all);
}

static void say_table(const struct quality *quality, const struct outcome *outcomes) {
  double values[WAYS][ROWS];
  for (unsigned way = 0; way < WAYS; way++) figures_of(&outcomes[way], values[way]);
  printf("%s: %.2f orders a batch of %llu minutes; %llu of its offers contested\n",
         quality->folder, mean((int64_t)quality->orders, quality->batches),
         (unsigned long long)quality->minutes, (unsigned long long)outcomes[2].contest);
  printf("%-18s %10s %10s %10s\n", "", way_names[0], way_names[1], way_names[2]);
  for (unsigned row = 0; row < ROWS; row++)
    printf("%-18s %10.*f %10.*f %10.*f\n", row_names[row], row_digits[row], values[0][row],
           row_digits[row], values[1][row], row_digits[row], values[2][row]);
}

static bool read_options(struct quality *quality, int argc, char **argv) {
  quality->folder = bench_option(argc, argv, "data", "tests/data/district");
  quality->seed = bench_number(argc, argv, "seed", 1);
  quality->minutes = bench_number(argc, argv, "minutes", 15);
  quality->every = bench_number(argc, argv, "every", 1);
  quality->yes = bench_number(argc, argv, "yes", 40);
  quality->no = bench_number(argc, argv, "no", 25);
  return quality->every > 0 && quality->minutes <= 1440 && quality->yes <= 100 &&
         quality->no <= 100 - quality->yes;
}

int bench_quality(int argc, char **argv) {
  static struct quality quality;
  struct outcome outcomes[WAYS] = {0};
  bool good = read_options(&quality, argc, argv);
  if (!good) {
    fputs("quality: --every from 1, --minutes to 1440, --yes and --no together to 100\n", stderr);
    return PD_EXIT_USAGE;
  }
  quality.places = calloc(SITES, sizeof *quality.places);
  pd_assert(quality.places != NULL);
  good = read_all(&quality);
  for (unsigned way = 0; way < WAYS && good; way++) good = play(&quality, way, &outcomes[way]);
  if (good && bench_json(argc, argv)) say_json(&quality, outcomes);
  if (good && !bench_json(argc, argv)) say_table(&quality, outcomes);
  whatif_free(quality.record);
  ids_free(&quality.people);
  free(quality.places);
  free(quality.helpers);
  free(quality.offers);
  return good ? PD_EXIT_OK : PD_EXIT_FAULT;
}
