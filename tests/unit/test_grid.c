#include "common/base/arena.h"
#include "common/base/geo.h"
#include "common/base/rng.h"
#include "services/matching/grid.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The reference: every member, libm's haversine, sorted. */
struct model {
  struct grid_member *members;
  uint8_t *in;
  uint32_t capacity;
};

static struct grid grid;
static struct model model;
static struct pd_rng rng;

/* What begin() took in this test; given back at its end, since a test may compare two worlds. */
static void *taken[64];
static size_t taken_count;

static void *keep(void *memory) {
  cr_assert(memory != NULL && taken_count < 64);
  return taken[taken_count++] = memory;
}

static void end(void) {
  while (taken_count > 0) free(taken[--taken_count]);
}

TestSuite(grid, .fini = end);

static void begin(uint32_t capacity, uint64_t seed) {
  struct pd_arena arena;
  size_t size = grid_bytes(capacity) + 64;
  pd_arena_init(&arena, keep(aligned_alloc(64, (size + 63) & ~(size_t)63)), size);
  memset(arena.base, 0, size);
  grid_init(&grid, &arena, capacity);
  cr_assert(arena.used <= grid_bytes(capacity));
  model.members = keep(calloc(capacity, sizeof *model.members));
  model.in = keep(calloc(capacity, 1));
  model.capacity = capacity;
  pd_rng_seed(&rng, seed);
}

static void put(uint32_t member, struct grid_member as) {
  grid_set(&grid, member, &as);
  model.members[member] = as;
  model.in[member] = 1;
}

static void take(uint32_t member) {
  grid_remove(&grid, member);
  model.in[member] = 0;
}

static int compare(const void *a, const void *b) {
  const struct grid_hit *x = a, *y = b;
  if (x->hav < y->hav || x->hav > y->hav) return x->hav < y->hav ? -1 : 1;
  return x->member < y->member ? -1 : x->member > y->member;
}

static uint32_t brute(const struct grid_query *q, struct grid_hit *all) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < model.capacity; i++) {
    const struct grid_member *m = &model.members[i];
    if (!model.in[i] || (m->mask & q->need) != q->need) continue;
    double hav = grid_hav(q->lat_e7, q->lon_e7, m->lat_e7, m->lon_e7);
    if (hav > grid_hav_of_m(q->radius_m)) continue;
    if ((q->flags & GRID_OWN_RADIUS) && hav > grid_hav_of_m(m->radius_m)) continue;
    all[n++] = (struct grid_hit){.hav = hav, .member = i};
  }
  qsort(all, n, sizeof *all, compare);
  return n;
}

/* Asks the grid for all of the answer, k at a time, and compares with brute force; returns how
 * many there are. */
static uint32_t check(struct grid_query q) {
  struct grid_hit *all = malloc(sizeof *all * (model.capacity + 1)), hits[GRID_K_MAX];
  uint32_t n = brute(&q, all), seen = 0, rounds = 0;
  struct grid_hit last, *after = NULL;
  do {
    uint32_t got = grid_nearest(&grid, &q, after, hits);
    uint32_t want = n - seen < q.k ? n - seen : q.k;
    cr_assert_eq(got, want, "%u hits of %u, after %u", got, want, seen);
    for (uint32_t i = 0; i < got; i++) {
      cr_assert_eq(hits[i].member, all[seen + i].member, "hit %u: member %u, not %u", seen + i,
                   hits[i].member, all[seen + i].member);
      cr_assert(hits[i].hav <= all[seen + i].hav && hits[i].hav >= all[seen + i].hav);
    }
    seen += got;
    if (got) last = hits[got - 1], after = &last;
    if (got < q.k) break;
  } while (++rounds < 4);
  free(all);
  return n;
}

/* Within twice the spread, about as a bell; never beyond `end` either way. */
static int32_t near_within(int32_t at, double spread_e7, int32_t end) {
  double sum = 0;
  for (int i = 0; i < 4; i++) sum += pd_rng_unit(&rng) - 0.5;
  int64_t to = at + (int64_t)(sum * spread_e7);
  return (int32_t)(to > end ? end : to < -end ? -end : to);
}

static int32_t near_lat(int32_t at, double spread_e7) {
  return near_within(at, spread_e7, 900000000);
}

static int32_t near_lon(int32_t at, double spread_e7) {
  return near_within(at, spread_e7, 1800000000);
}

static struct grid_member somebody(int32_t lat_e7, int32_t lon_e7, double spread_e7) {
  uint32_t mask = 1u << 31;
  for (int bit = 0; bit < 20; bit++)
    if (pd_rng_below(&rng, 20) == 0) mask |= 1u << bit;
  uint32_t radius_m = pd_rng_below(&rng, 2) ? GRID_ANYWHERE : (uint32_t)pd_rng_below(&rng, 3000);
  return (struct grid_member){near_lat(lat_e7, spread_e7), near_lon(lon_e7, spread_e7), mask,
                              radius_m};
}

static struct grid_query question(int32_t lat_e7, int32_t lon_e7, double spread_e7) {
  static const uint32_t ks[] = {1, 3, 8, 8, 8, 16, 31, 64, 200, GRID_K_MAX};
  static const uint32_t radii[] = {0, 50, 1200, 1200, 5000, 100000, 3000000};
  struct grid_query q = {near_lat(lat_e7, spread_e7), near_lon(lon_e7, spread_e7), 0, 0, 0, 0};
  q.k = ks[pd_rng_below(&rng, sizeof ks / sizeof *ks)];
  q.radius_m = radii[pd_rng_below(&rng, sizeof radii / sizeof *radii)];
  if (pd_rng_below(&rng, 2)) q.need = 1u << pd_rng_below(&rng, 20);
  if (pd_rng_below(&rng, 8) == 0) q.need |= 1u << pd_rng_below(&rng, 20);
  q.flags = pd_rng_below(&rng, 3) == 0 ? GRID_OWN_RADIUS : 0;
  return q;
}

static uint32_t check_about(int32_t lat_e7, int32_t lon_e7, double spread_e7, int questions) {
  uint32_t found = 0;
  for (int i = 0; i < questions; i++) found += check(question(lat_e7, lon_e7, spread_e7));
  return found;
}

#define CITY_LAT 366667000
#define CITY_LON 1170000000

Test(grid, an_empty_index_has_no_one_near) {
  begin(16, 1);
  struct grid_hit hits[8];
  struct grid_query q = {CITY_LAT, CITY_LON, 0, GRID_ANYWHERE, 8, 0};
  cr_assert_eq(grid_nearest(&grid, &q, NULL, hits), 0);
  cr_assert_eq(grid_count(&grid), 0);
}

Test(grid, the_distance_is_the_haversine_of_libm) {
  begin(1, 2);
  for (int i = 0; i < 200000; i++) {
    double reach = pow(10, 2 + 7.2 * pd_rng_unit(&rng));
    int32_t lat = near_lat(0, 6e8), lon = near_lon(0, 12e8);
    int32_t lat2 = near_lat(lat, reach), lon2 = near_lon(lon, reach);
    double a = sin((lat2 - lat) * 1e-7 * M_PI / 360),
           b = sin((lon2 - (double)lon) * 1e-7 * M_PI / 360);
    double h = a * a + cos(lat * 1e-7 * M_PI / 180) * cos(lat2 * 1e-7 * M_PI / 180) * b * b;
    double m = 2 * PD_EARTH_M * asin(sqrt(h)), ours = grid_m_of_hav(grid_hav(lat, lon, lat2, lon2));
    cr_assert(fabs(m - ours) <= 1e-9 + 2e-15 * PD_EARTH_M + 1e-14 * m, "%.17g %.17g", m, ours);
  }
}

Test(grid, answers_equal_brute_force_in_a_city) {
  begin(5000, 3);
  for (uint32_t i = 0; i < 5000; i++)
    put(i, somebody(CITY_LAT, CITY_LON, i % 3 ? 100000 : 2000000));
  cr_assert_gt(check_about(CITY_LAT, CITY_LON, 300000, 2000), 10000);
}

Test(grid, answers_equal_brute_force_while_members_come_move_and_go) {
  begin(3000, 4);
  for (uint32_t i = 0; i < 200000; i++) {
    uint32_t member = (uint32_t)pd_rng_below(&rng, 3000);
    struct grid_member as = somebody(CITY_LAT, CITY_LON, 200000);
    switch (pd_rng_below(&rng, 4)) {
    case 0:
      put(member, as);
      break;
    case 1:
      take(member);
      break;
    case 2:
      grid_mask(&grid, member, as.mask);
      model.members[member].mask = as.mask;
      break;
    default:
      grid_move(&grid, member, as.lat_e7, as.lon_e7);
      model.members[member].lat_e7 = as.lat_e7;
      model.members[member].lon_e7 = as.lon_e7;
    }
    if (i % 1000 == 0) check_about(CITY_LAT, CITY_LON, 300000, 10);
  }
}

Test(grid, every_instruction_set_gives_the_same_answers) {
  begin(20000, 5);
  for (uint32_t i = 0; i < 20000; i++) put(i, somebody(CITY_LAT, CITY_LON, i % 4 ? 60000 : 1e6));
  struct grid_hit answers[GRID_ISA_COUNT][GRID_K_MAX];
  for (int i = 0; i < 3000; i++) {
    struct grid_query q = question(CITY_LAT, CITY_LON, 200000);
    uint32_t found[GRID_ISA_COUNT] = {0};
    for (int isa = 0; isa < GRID_ISA_COUNT; isa++) {
      if (!grid_use(&grid, (enum grid_isa)isa)) continue;
      found[isa] = grid_nearest(&grid, &q, NULL, answers[isa]);
      cr_assert_eq(found[isa], found[GRID_PLAIN]);
      cr_assert_eq(memcmp(answers[isa], answers[GRID_PLAIN], sizeof(struct grid_hit) * found[isa]),
                   0, "instruction set %d differs", isa);
    }
  }
}

Test(grid, members_at_one_place_come_in_the_order_of_their_numbers) {
  begin(3000, 6);
  for (uint32_t i = 3000; i-- > 0;)
    put(i, (struct grid_member){CITY_LAT, CITY_LON, 1u << i % 7, GRID_ANYWHERE});
  cr_assert_eq(grid_count(&grid), 3000);
  check_about(CITY_LAT, CITY_LON, 20000, 100);
  struct grid_query here = {CITY_LAT, CITY_LON, 0, 0, 100, 0};
  cr_assert_eq(check(here), 3000);
  (void)grid_check(&grid);
  for (uint32_t i = 0; i < 3000; i += 2) take(i);
  here.need = 4;
  check(here);
  (void)grid_check(&grid);
}

Test(grid, members_at_the_centres_of_cells_are_found_with_all_their_ties) {
  begin(8000, 7); /* as the log tells places: 0.001 degree */
  for (uint32_t i = 0; i < 8000; i++) {
    struct grid_member as = somebody(CITY_LAT, CITY_LON, 100000);
    as.lat_e7 = as.lat_e7 / 10000 * 10000 + 5000;
    as.lon_e7 = as.lon_e7 / 10000 * 10000 + 5000;
    put(i, as);
  }
  for (int i = 0; i < 500; i++) {
    struct grid_query q = question(CITY_LAT, CITY_LON, 100000);
    q.lat_e7 = q.lat_e7 / 10000 * 10000 + 5000;
    q.lon_e7 = q.lon_e7 / 10000 * 10000 + 5000;
    check(q);
  }
}

Test(grid, answers_hold_at_the_antimeridian_the_poles_and_the_ends_of_the_range) {
  static const int32_t places[][2] = {
      {-176000000, 1799990000},
      {650000000, -1799990000},
      {899990000, 100000000},
      {-899990000, -1700000000},
      {900000000, 1800000000},
      {-900000000, -1800000000},
      {0, 0},
      {10000, 1800000000},
  };
  for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
    begin(1500, 8 + p);
    for (uint32_t i = 0; i < 1500; i++) {
      struct grid_member as = somebody(places[p][0], places[p][1], 300000);
      if (i % 3 == 0) as.lon_e7 = -as.lon_e7; /* the other side, and the far side of the earth */
      put(i, as);
    }
    check_about(places[p][0], places[p][1], 400000, 60);
    check_about(places[p][0], -places[p][1], 400000, 60);
    (void)grid_check(&grid);
  }
}

Test(grid, a_place_beyond_the_range_is_taken_to_its_end) {
  begin(4, 20);
  struct grid_member as = {INT32_MAX, INT32_MIN, 1, 5};
  grid_set(&grid, 3, &as);
  struct grid_member is = grid_get(&grid, 3);
  cr_assert_eq(is.lat_e7, 900000000);
  cr_assert_eq(is.lon_e7, -1800000000);
  cr_assert_eq(is.mask, 1);
  cr_assert_eq(is.radius_m, 5);
  struct grid_query q = {INT32_MAX, INT32_MIN, 1, 0, 8, GRID_OWN_RADIUS};
  struct grid_hit hits[8];
  cr_assert_eq(grid_nearest(&grid, &q, NULL, hits), 1);
  cr_assert_eq(hits[0].member, 3);
}

Test(grid, the_index_follows_a_population_that_moves_across_the_earth) {
  static const int32_t places[][2] = {{CITY_LAT, CITY_LON},
                                      {-338600000, 1512000000},
                                      {CITY_LAT, CITY_LON},
                                      {643000000, -218000000}};
  begin(2000, 21);
  for (uint32_t i = 0; i < 2000; i++) put(i, somebody(places[0][0], places[0][1], 200000));
  for (size_t p = 1; p < 4; p++) {
    for (uint32_t i = 0; i < 2000; i++) {
      struct grid_member as = somebody(places[p][0], places[p][1], 200000);
      grid_move(&grid, i, as.lat_e7, as.lon_e7);
      model.members[i].lat_e7 = as.lat_e7;
      model.members[i].lon_e7 = as.lon_e7;
      if (i % 200 == 0) {
        check_about(places[p][0], places[p][1], 400000, 4);
        check_about(places[p - 1][0], places[p - 1][1], 400000, 4);
      }
    }
    (void)grid_check(&grid);
  }
}

Test(grid, answers_equal_brute_force_after_two_million_moves) {
  begin(20000, 22);
  for (uint32_t i = 0; i < 20000; i++) put(i, somebody(CITY_LAT, CITY_LON, 300000));
  for (uint32_t i = 0; i < 2000000; i++) {
    uint32_t member = (uint32_t)pd_rng_below(&rng, 20000);
    struct grid_member *as = &model.members[member];
    bool far = pd_rng_below(&rng, 10) == 0;
    as->lat_e7 = near_lat(far ? CITY_LAT : as->lat_e7, far ? 300000 : 10000);
    as->lon_e7 = near_lon(far ? CITY_LON : as->lon_e7, far ? 300000 : 10000);
    grid_move(&grid, member, as->lat_e7, as->lon_e7);
    if (i % 400000 == 0) (void)grid_check(&grid);
  }
  (void)grid_check(&grid);
  cr_assert_gt(check_about(CITY_LAT, CITY_LON, 400000, 300), 1000);
}

Test(grid, everybody_into_one_block_and_out_again_stays_within_the_tables) {
  begin(30000, 23);
  for (int round = 0; round < 3; round++) {
    for (uint32_t i = 0; i < 30000; i++) put(i, somebody(CITY_LAT, CITY_LON, 500000));
    (void)grid_check(&grid);
    for (uint32_t i = 0; i < 30000; i++) put(i, somebody(CITY_LAT, CITY_LON, 300));
    (void)grid_check(&grid);
    check_about(CITY_LAT, CITY_LON, 400, 20);
    for (uint32_t i = 0; i < 30000; i++)
      if (i % 10) take(i);
    (void)grid_check(&grid);
    check_about(CITY_LAT, CITY_LON, 400, 20);
  }
}

Test(grid, a_million_at_one_place_answer_in_bounded_time) {
  begin(1000000, 24);
  struct grid_hit hits[GRID_K_MAX];
  struct grid_member as = {CITY_LAT, CITY_LON, 1, GRID_ANYWHERE};
  for (uint32_t i = 0; i < 1000000; i++) grid_set(&grid, i, &as);
  struct grid_query q = {CITY_LAT, CITY_LON + 100, 0, 1200, GRID_K_MAX, 0};
  cr_assert_eq(grid_nearest(&grid, &q, NULL, hits), GRID_K_MAX);
  for (uint32_t i = 0; i < GRID_K_MAX; i++) cr_assert_eq(hits[i].member, i);
  q.need = 2;
  cr_assert_eq(grid_nearest(&grid, &q, NULL, hits), 0);
  (void)grid_check(&grid);
}

Test(grid, batches_answer_and_move_as_one_by_one) {
  begin(4000, 25);
  for (uint32_t i = 0; i < 4000; i++) put(i, somebody(CITY_LAT, CITY_LON, 200000));
  enum { COUNT = 1000, STRIDE = 16 };
  static struct grid_to moves[COUNT];
  static struct grid_query queries[COUNT];
  static struct grid_hit hits[COUNT * STRIDE], one[STRIDE];
  static uint64_t order[2 * COUNT];
  static uint32_t found[COUNT];
  for (uint32_t i = 0; i < COUNT; i++) {
    uint32_t member = (uint32_t)pd_rng_below(&rng, 4000);
    struct grid_member as = somebody(CITY_LAT, CITY_LON, 200000);
    moves[i] = (struct grid_to){member, as.lat_e7, as.lon_e7};
    model.members[member].lat_e7 = as.lat_e7;
    model.members[member].lon_e7 = as.lon_e7;
    queries[i] = question(CITY_LAT, CITY_LON, 300000);
    if (queries[i].k > STRIDE) queries[i].k = STRIDE;
  }
  grid_moves(&grid, moves, COUNT);
  (void)grid_check(&grid);
  check_about(CITY_LAT, CITY_LON, 300000, 100);
  grid_batch(&grid, queries, COUNT, STRIDE, order, hits, found);
  for (uint32_t i = 0; i < COUNT; i++) {
    cr_assert_eq(grid_nearest(&grid, &queries[i], NULL, one), found[i]);
    cr_assert_eq(memcmp(one, hits + i * STRIDE, sizeof *one * found[i]), 0);
  }
}

Test(grid, the_same_calls_leave_the_same_bytes) {
  struct grid first = {0};
  for (int time = 0; time < 2; time++) {
    begin(3000, 26);
    for (uint32_t i = 0; i < 60000; i++) {
      uint32_t member = (uint32_t)pd_rng_below(&rng, 3000);
      if (pd_rng_below(&rng, 5))
        put(member, somebody(CITY_LAT, CITY_LON, 100000));
      else
        take(member);
    }
    if (time == 0) first = grid;
  }
  size_t size = grid_bytes(3000) - 64;
  cr_assert_eq(memcmp(first.facts, grid.facts, size), 0);
}

Test(grid, a_rebuild_changes_no_answer) {
  begin(5000, 27);
  for (uint32_t i = 0; i < 5000; i++) put(i, somebody(CITY_LAT, CITY_LON, i % 2 ? 30000 : 900000));
  for (uint32_t i = 0; i < 5000; i += 3) take(i);
  grid_rebuild(&grid);
  (void)grid_check(&grid);
  cr_assert_gt(check_about(CITY_LAT, CITY_LON, 300000, 300), 1000);
}
