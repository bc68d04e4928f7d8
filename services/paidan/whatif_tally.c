/* Counting what came of a stretch's orders, recorded or played. */
#include "common/base/calendar.h"
#include "services/paidan/whatif_parts.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS      64
#define NUMBER_MAX 100000000u

struct tally_order {
  int64_t placed_ms; /* 0: not of the stretch */
  int64_t offer_ms;
  int64_t staffed_ms;
  uint64_t filled; /* bits */
  uint32_t need;
  uint32_t reason; /* that kept most people out when nobody could be invited last */
};

struct tally {
  struct ids *people;
  int64_t since_ms, until_ms;
  struct tally_order *orders;
  size_t order_room;
  uint32_t *distances; /* by offer */
  size_t distance_room;
  double *ways; /* of the booked */
  size_t way_count, way_room;
  uint32_t *loads; /* by person; 1 more than the offers of a volunteer */
  size_t load_room;
  uint64_t offers, unmatched;
};

struct tally *tally_new(struct ids *people, int64_t since_ms, int64_t until_ms) {
  struct tally *tally = calloc(1, sizeof *tally);
  pd_assert(tally != NULL);
  tally->people = people;
  tally->since_ms = since_ms;
  tally->until_ms = until_ms;
  return tally;
}

void tally_free(struct tally *tally) {
  if (tally == NULL) return;
  free(tally->orders);
  free(tally->distances);
  free(tally->ways);
  free(tally->loads);
  free(tally);
}

static struct tally_order *order_of(struct tally *tally, uint64_t number) {
  static struct tally_order nowhere;
  if (number == 0 || number > NUMBER_MAX) {
    nowhere = (struct tally_order){0};
    return &nowhere;
  }
  tally->orders =
      ids_grow(tally->orders, &tally->order_room, (size_t)number + 1, sizeof *tally->orders);
  return &tally->orders[number];
}

static uint32_t *load_of(struct tally *tally, ProtobufCBinaryData person) {
  struct pd_id id = PD_ID(person);
  uint32_t number = ids_take(tally->people, &id);
  tally->loads = ids_grow(tally->loads, &tally->load_room, number + 1u, sizeof *tally->loads);
  return &tally->loads[number];
}

static void on_placed(struct tally *tally, const struct pd_event *event) {
  const struct pd_order_placed *body = event->order_placed;
  if (event->time_ms < tally->since_ms || event->time_ms >= tally->until_ms) return;
  struct tally_order *order = order_of(tally, body->order);
  order->placed_ms = event->time_ms;
  order->need = body->need;
}

static void on_offer(struct tally *tally, const struct pd_event *event) {
  const struct pd_offer_made *body = event->offer_made;
  struct tally_order *order = order_of(tally, body->order);
  if (order->placed_ms == 0 || body->offer > NUMBER_MAX) return;
  if (order->offer_ms == 0) order->offer_ms = event->time_ms;
  tally->offers++;
  ++*load_of(tally, body->volunteer);
  tally->distances = ids_grow(tally->distances, &tally->distance_room, (size_t)body->offer + 1,
                              sizeof *tally->distances);
  tally->distances[body->offer] = body->distance_m;
}

static void on_filled(struct tally *tally, const struct pd_slot_filled *body) {
  struct tally_order *order = order_of(tally, body->order);
  if (order->placed_ms == 0 || body->slot == 0 || body->slot > SLOTS) return;
  order->filled |= UINT64_C(1) << (body->slot - 1);
  if (body->offer == 0 || body->offer >= tally->distance_room) return;
  tally->ways = ids_grow(tally->ways, &tally->way_room, tally->way_count + 1, sizeof *tally->ways);
  tally->ways[tally->way_count++] = tally->distances[body->offer];
}

static void on_unmatched(struct tally *tally, const struct pd_order_unmatched *body) {
  struct tally_order *order = order_of(tally, body->order);
  uint32_t most = 0;
  if (order->placed_ms == 0) return;
  tally->unmatched++;
  for (size_t i = 0; i < body->n_excluded; i++) {
    if (body->excluded[i]->count < most) continue;
    most = body->excluded[i]->count;
    order->reason = (uint32_t)body->excluded[i]->reason;
  }
}

void tally_event(struct tally *tally, const struct pd_event *event) {
  if (event->body_case == PD_EVENT_VOLUNTEER_REGISTERED) {
    uint32_t *load = load_of(tally, event->volunteer_registered->person);
    if (*load == 0) *load = 1;
  }
  if (event->body_case == PD_EVENT_ORDER_PLACED) on_placed(tally, event);
  if (event->body_case == PD_EVENT_OFFER_MADE) on_offer(tally, event);
  if (event->body_case == PD_EVENT_SLOT_FILLED) on_filled(tally, event->slot_filled);
  if (event->body_case == PD_EVENT_ORDER_UNMATCHED) on_unmatched(tally, event->order_unmatched);
  if (event->body_case == PD_EVENT_ORDER_STAFFED) {
    struct tally_order *order = order_of(tally, event->order_staffed->order);
    if (order->placed_ms != 0 && order->staffed_ms == 0) order->staffed_ms = event->time_ms;
  }
  if (event->body_case == PD_EVENT_SLOT_REOPENED) {
    const struct pd_slot_reopened *body = event->slot_reopened;
    bool there = body->slot > 0 && body->slot <= SLOTS;
    if (there) order_of(tally, body->order)->filled &= ~(UINT64_C(1) << (body->slot - 1));
  }
}

/* ---- summing up ---- */

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Mean, and the value that nine of ten do not exceed. */
static void sum_up(double *values, size_t count, double result[2]) {
  double sum = 0;
  result[0] = result[1] = 0;
  if (count == 0) return;
  qsort(values, count, sizeof *values, by_size);
  for (size_t i = 0; i < count; i++) sum += values[i];
  result[0] = sum / (double)count;
  result[1] = values[(count * 9 + 9) / 10 - 1];
}

/* Gini's coefficient of sorted values: 2 sum(i x_i) / (n sum(x)) - (n + 1) / n. */
static double gini_of(double *values, size_t count) {
  double sum = 0, ranked = 0;
  qsort(values, count, sizeof *values, by_size);
  for (size_t i = 0; i < count; i++) {
    sum += values[i];
    ranked += (double)(i + 1) * values[i];
  }
  double n = (double)count;
  return sum == 0 ? 0 : 2 * ranked / (n * sum) - (n + 1) / n;
}

static void sum_loads(const struct tally *tally, struct whatif_figures *figures) {
  double *loads = calloc(tally->load_room + 1, sizeof *loads);
  size_t count = 0;
  pd_assert(loads != NULL);
  for (size_t i = 0; i < tally->load_room; i++) {
    if (tally->loads[i] == 0) continue; /* no volunteer */
    figures->invited += tally->loads[i] > 1;
    loads[count++] = tally->loads[i] - 1.0;
  }
  figures->volunteers = count;
  figures->gini = gini_of(loads, count);
  free(loads);
}

static void sum_order(const struct tally_order *order, struct whatif_figures *figures) {
  figures->orders++;
  figures->slots += order->need;
  figures->filled += (uint64_t)__builtin_popcountll(order->filled);
  figures->staffed += order->staffed_ms != 0;
  bool known = order->reason < WHATIF_REASONS;
  if (order->staffed_ms == 0) figures->reasons[known ? order->reason : 0]++;
}

struct whatif_figures tally_figures(const struct tally *tally) {
  struct whatif_figures figures = {.offers = tally->offers, .unmatched = tally->unmatched};
  double *offer = calloc(tally->order_room + 1, sizeof *offer);
  double *staff = calloc(tally->order_room + 1, sizeof *staff);
  double *ways = calloc(tally->way_count + 1, sizeof *ways);
  size_t offers = 0, staffs = 0;
  pd_assert(offer != NULL && staff != NULL && ways != NULL);
  for (size_t i = 0; i < tally->order_room; i++) {
    const struct tally_order *order = &tally->orders[i];
    if (order->placed_ms == 0) continue;
    sum_order(order, &figures);
    if (order->offer_ms != 0)
      offer[offers++] = (double)(order->offer_ms - order->placed_ms) / PD_MINUTE_MS;
    if (order->staffed_ms != 0)
      staff[staffs++] = (double)(order->staffed_ms - order->placed_ms) / PD_MINUTE_MS;
  }
  if (tally->way_count > 0) memcpy(ways, tally->ways, tally->way_count * sizeof *ways);
  sum_up(offer, offers, figures.offer_wait_min);
  sum_up(staff, staffs, figures.staff_wait_min);
  sum_up(ways, tally->way_count, figures.travel_m);
  sum_loads(tally, &figures);
  if (figures.filled > 0) figures.offers_per_fill = (double)figures.offers / (double)figures.filled;
  free(offer);
  free(staff);
  free(ways);
  return figures;
}
