/* What is said once a day of who waits and where nobody is, counted again and naively. */
#include "tests/sim/sim_view.h"

#include <math.h>
#include <stdlib.h>

#define FORTNIGHT (14 * INT64_C(86400000))

struct ground {
  struct view view;
  int64_t day_ms; /* that has begun */
};

static double metres(const struct view_order *order, const struct view_person *person) {
  const double degree = 3.14159265358979323846 / 180;
  double a = sin((order->lat - person->lat) * degree / 2);
  double b = sin((order->lon - person->lon) * degree / 2);
  double h = a * a + cos(order->lat * degree) * cos(person->lat * degree) * b * b;
  return 2 * 6371008.8 * asin(sqrt(h));
}

static bool is_active(const struct view_person *person) {
  return person->volunteer && !person->paused && !person->exited;
}

static bool has_anybody(const struct view *view, const struct view_order *order) {
  for (uint32_t i = 0; i < view->person_count; i++) {
    double way = metres(order, &view->persons[i]);
    if (is_active(&view->persons[i]) && way <= 1000 && way <= view->persons[i].radius_m)
      return true;
  }
  return false;
}

static int64_t fortnight_of(int64_t time_ms) {
  return (time_ms + SIM_ZONE_MIN * INT64_C(60000)) / FORTNIGHT;
}

/* Orders of this fortnight and the one before from the cell of this order; 0 unless it is the
 * first of them. */
static uint32_t asked_from(const struct ground *ground, const struct view_order *first) {
  uint32_t count = 0;
  for (uint64_t i = 1; i <= ground->view.order_count; i++) {
    const struct view_order *order = &ground->view.orders[i];
    bool recent = order->number != 0 &&
                  fortnight_of(order->placed_ms) + 1 >= fortnight_of(ground->day_ms);
    if (!recent || order->x != first->x || order->y != first->y) continue;
    if (count == 0 && order != first) return 0;
    count++;
  }
  return count;
}

static void on_coverage(const struct ground *ground, const struct pd_event *event) {
  const struct pd_coverage_noted *body = event->coverage_noted;
  const struct view *view = &ground->view;
  uint32_t active = 0, uncovered = 0, asked = 0;
  for (uint32_t i = 0; i < view->person_count; i++) active += is_active(&view->persons[i]);
  for (uint64_t i = 1; i <= view->order_count; i++) {
    const struct view_order *order = &view->orders[i];
    uint32_t count = order->number == 0 ? 0 : asked_from(ground, order);
    if (count == 0 || has_anybody(view, order)) continue;
    uncovered++;
    asked += count;
  }
  sim_expect(view->sim, body->active == active, "coverage %llu: %u active, not %u",
             (unsigned long long)event->seq, body->active, active);
  bool full = body->cells >= view->sim->limits.orders; /* some places are not remembered */
  sim_expect(view->sim,
             full || (body->uncovered == uncovered && body->uncovered_orders == asked),
             "coverage %llu: %u places, %u orders; not %u, %u", (unsigned long long)event->seq,
             body->uncovered, body->uncovered_orders, uncovered, asked);
  for (size_t i = 1; i < body->n_holes; i++)
    sim_expect(view->sim, body->holes[i - 1]->orders >= body->holes[i]->orders,
               "coverage %llu: the most asked-for come first", (unsigned long long)event->seq);
  sim_expect(view->sim, body->n_holes == (body->uncovered < 20 ? body->uncovered : 20),
             "coverage %llu: %zu holes are listed", (unsigned long long)event->seq,
             body->n_holes);
}

static void each(void *context, const struct pd_event *event) {
  struct ground *ground = context;
  if (event->log == PD_LOG_INTAKE) view_registry(&ground->view, event);
  if (event->body_case == PD_EVENT_DAY_BEGAN) ground->day_ms = event->day_began->start_ms;
  if (event->body_case == PD_EVENT_COVERAGE_NOTED) on_coverage(ground, event);
}

void sim_check_coverage(struct sim *sim, const struct sim_history *history) {
  struct ground *ground = calloc(1, sizeof *ground);
  sim_expect(sim, ground != NULL, "no memory");
  view_init(&ground->view, history);
  sim_history_walk(history, PD_LOG_MATCHING, each, NULL, ground);
  view_free(&ground->view);
  free(ground);
}
