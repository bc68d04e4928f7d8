#include "services/matching/coverage.h"

#include "common/base/calendar.h"

/* The places without anybody near, the most asked-for first. */
struct holes {
  uint32_t places[COVERAGE_HOLES_MAX];
  uint32_t count;
  uint32_t max;
};

static uint64_t key_of(struct pd_square cell) {
  return (uint64_t)(uint32_t)cell.x << 32 | (uint32_t)cell.y;
}

static int64_t period_of(const struct matching *self, int64_t time_ms) {
  int64_t day_ms = COVERAGE_DAYS * PD_DAY_MS;
  pd_assert(time_ms >= 0);
  return (time_ms + self->zone_min * PD_MINUTE_MS) / day_ms;
}

void coverage_asked(struct matching *self, struct pd_square cell, int64_t time_ms) {
  uint32_t at = pd_map_get(&self->place_of, key_of(cell));
  if (at == PD_NONE && self->facts->places == self->limits.orders) return; /* enough is known */
  if (at == PD_NONE) {
    at = (uint32_t)self->facts->places++;
    self->places[at] = (struct place){.cell = cell, .period = period_of(self, time_ms)};
    pd_map_put(&self->place_of, key_of(cell), at);
  }
  struct place *place = &self->places[at];
  pd_assert(place->cell.x == cell.x && place->cell.y == cell.y);
  int64_t period = period_of(self, time_ms);
  if (period > place->period) {
    place->before = period == place->period + 1 ? place->orders : 0;
    place->orders = 0;
    place->period = period;
  }
  pd_assert(place->period >= period); /* a clock that was set back counts here */
  if (place->orders < UINT32_MAX / 2) place->orders++;
}

void coverage_forget(struct matching *self, int64_t day_ms) {
  int64_t period = period_of(self, day_ms < 0 ? 0 : day_ms);
  for (uint32_t at = 0; at < self->facts->places;) {
    if (self->places[at].period + 1 >= period) {
      at++;
      continue;
    }
    uint32_t last = (uint32_t)--self->facts->places;
    (void)pd_map_remove(&self->place_of, key_of(self->places[at].cell));
    if (last != at) {
      self->places[at] = self->places[last];
      pd_map_put(&self->place_of, key_of(self->places[at].cell), at);
    }
    self->places[last] = (struct place){0};
  }
  pd_assert(self->facts->places == *self->place_of.count);
}

/* Does somebody active live within the circle, and travel as far? */
static bool is_covered(const struct matching *self, struct pd_square cell, uint32_t circle_m) {
  struct pd_lonlat center = pd_geo_center(cell);
  struct grid_query query = {.lat_e7 = center.lat_e7,
                             .lon_e7 = center.lon_e7,
                             .radius_m = circle_m,
                             .k = 1,
                             .flags = GRID_OWN_RADIUS};
  struct grid_hit hit;
  pd_assert(circle_m > 0);
  return grid_nearest(&self->grid, &query, NULL, &hit) > 0;
}

static uint32_t asked_of(const struct place *place) {
  pd_assert(place->orders > 0);
  return place->orders + place->before;
}

/* Of equally asked-for places the one to the west and south comes first. */
static bool goes_before(const struct place *a, const struct place *b) {
  pd_assert(a != b);
  if (asked_of(a) != asked_of(b)) return asked_of(a) > asked_of(b);
  return a->cell.x != b->cell.x ? a->cell.x < b->cell.x : a->cell.y < b->cell.y;
}

static void keep_hole(const struct matching *self, struct holes *holes, uint32_t place) {
  const struct place *places = self->places;
  pd_assert(holes->count <= holes->max && holes->max <= COVERAGE_HOLES_MAX);
  if (holes->count == holes->max) {
    bool less = holes->max == 0 ||
                !goes_before(&places[place], &places[holes->places[holes->count - 1]]);
    if (less) return;
    holes->count--;
  }
  uint32_t at = holes->count++;
  for (; at > 0 && goes_before(&places[place], &places[holes->places[at - 1]]); at--)
    holes->places[at] = holes->places[at - 1];
  holes->places[at] = place;
}

static void look_at_places(const struct matching *self, const struct matching_policy *policy,
                           struct pd_coverage_noted *said, struct holes *holes) {
  said->cells = (uint32_t)self->facts->places;
  for (uint32_t at = 0; at < said->cells; at++) {
    if (is_covered(self, self->places[at].cell, policy->coverage_m)) continue;
    said->uncovered++;
    said->uncovered_orders += asked_of(&self->places[at]);
    keep_hole(self, holes, at);
  }
  pd_assert(holes->count <= said->uncovered);
}

/* Who was there, and was not asked for long; and who of all has waited longest. */
static void look_at_people(const struct matching *self, const struct matching_policy *policy,
                           int64_t now_ms, struct pd_coverage_noted *said) {
  int64_t most_ms = policy->starved_days * PD_DAY_MS;
  for (uint64_t number = 0; number < self->facts->volunteers; number++) {
    const struct volunteer *volunteer = &self->volunteers[number];
    if (volunteer->status != VOLUNTEER_ACTIVE) continue;
    bool ever = volunteer->offered_ms > volunteer->since_ms;
    int64_t waited_ms = now_ms - (ever ? volunteer->offered_ms : volunteer->since_ms);
    said->starved += waited_ms >= most_ms;
    if (waited_ms > said->longest_wait_ms) said->longest_wait_ms = waited_ms;
  }
  pd_assert(said->starved <= self->facts->active);
}

void coverage_say(const struct matching *self, struct pd_outbox *out) {
  const struct matching_policy *policy = state_policy_for_all(self);
  struct matching_figures figures = matching_figures(self, out->input->now_ms);
  struct holes holes = {.max = policy->coverage_holes};
  struct pd_coverage_hole items[COVERAGE_HOLES_MAX];
  struct pd_coverage_hole *list[COVERAGE_HOLES_MAX];
  struct pd_cell cells[COVERAGE_HOLES_MAX];
  struct pd_coverage_noted said = PD_COVERAGE_NOTED_INIT;
  pd_assert(holes.max <= COVERAGE_HOLES_MAX);
  said.active = (uint32_t)figures.active;
  said.never_invited = (uint32_t)figures.never_invited;
  said.load_gini_permille = figures.load_gini_permille;
  said.circle_m = policy->coverage_m;
  said.days = 2 * COVERAGE_DAYS;
  look_at_people(self, policy, out->input->now_ms, &said);
  look_at_places(self, policy, &said, &holes);
  for (uint32_t i = 0; i < holes.count; i++) {
    const struct place *place = &self->places[holes.places[i]];
    cells[i] = (struct pd_cell)PD_CELL_INIT;
    cells[i].x = place->cell.x;
    cells[i].y = place->cell.y;
    items[i] = (struct pd_coverage_hole)PD_COVERAGE_HOLE_INIT;
    items[i].cell = &cells[i];
    items[i].orders = asked_of(place);
    list[i] = &items[i];
  }
  pd_assert(holes.count <= said.uncovered && said.uncovered <= said.cells);
  said.n_holes = holes.count;
  said.holes = list;
  pd_emit_coverage_noted(out, &said);
}

void coverage_check(const struct matching *self) {
  pd_assert(self->facts->places == *self->place_of.count);
  pd_assert(self->facts->places <= self->limits.orders);
  for (uint32_t at = 0; at < self->facts->places; at++)
    pd_assert(pd_map_get(&self->place_of, key_of(self->places[at].cell)) == at);
}
