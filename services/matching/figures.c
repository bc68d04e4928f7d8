/* Who waits, and how the load is spread: read from the state, for metrics and reports. */
#include "common/base/calendar.h"
#include "services/matching/state.h"

#define LOADS (STATE_LOAD_MAX / STATE_LOAD_ONE + 1)

/* Gini's coefficient in thousandths, of how many volunteers have each load.  Sorted values x_1 ..
 * x_n: G = 2 sum(i x_i) / (n sum(x)) - (n + 1) / n. */
static uint32_t gini_permille(const uint64_t *people, uint64_t count) {
  uint64_t rank = 0, sum = 0, ranked = 0;
  for (uint64_t load = 0; load < LOADS; load++) {
    uint64_t ranks = people[load] * (2 * rank + people[load] + 1) / 2;
    ranked += load * ranks;
    sum += load * people[load];
    rank += people[load];
  }
  pd_assert(rank == count && 2 * ranked >= sum);
  if (sum == 0) return 0;
  return (uint32_t)((2000 * ranked - 1000 * (count + 1) * sum) / (count * sum));
}

static void look_at_orders(const struct matching *self, struct matching_figures *figures) {
  for (uint32_t entry = 1; entry <= self->limits.orders; entry++) {
    const struct order *order = &self->orders[entry];
    if (order->id == 0 || order->stopped || state_free_slots(order) == 0) continue;
    figures->orders_open++;
    figures->orders_without_offer += order->offers == 0;
  }
  pd_assert(figures->orders_without_offer <= figures->orders_open);
}

struct matching_figures matching_figures(const struct matching *self, int64_t now_ms) {
  struct matching_figures figures = {0};
  uint64_t people[LOADS] = {0};
  int64_t week = pd_week_number(now_ms, self->zone_min);
  for (uint64_t number = 0; number < self->facts->volunteers; number++) {
    const struct volunteer *volunteer = &self->volunteers[number];
    if (volunteer->status != VOLUNTEER_ACTIVE) continue;
    figures.active++;
    people[state_load(self, volunteer, week) / STATE_LOAD_ONE]++;
    if (volunteer->offered_ms == 0) {
      figures.never_invited++;
      continue;
    }
    int64_t waited_ms = now_ms - volunteer->offered_ms;
    if (waited_ms > figures.longest_wait_ms) figures.longest_wait_ms = waited_ms;
  }
  pd_assert(figures.active == self->facts->active);
  figures.load_gini_permille = gini_permille(people, figures.active);
  look_at_orders(self, &figures);
  return figures;
}
