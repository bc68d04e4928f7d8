#include "common/base/arena.h"
#include "common/base/rng.h"
#include "services/matching/assign.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EDGES 400000
#define NODES 20000

static struct {
  struct assign_problem problem;
  uint32_t need[NODES], places[NODES], penalty[NODES], row[NODES + 1];
  uint32_t col[EDGES], cost[EDGES];
  uint32_t rise[EDGES], rise_at[NODES];
  uint8_t forbidden[EDGES];
} given;

static struct pd_rng rng;
static struct pd_arena arena;
static struct assign assign;

static uint32_t below(uint64_t limit) {
  return (uint32_t)pd_rng_below(&rng, limit);
}

static void begin(uint32_t requests, uint32_t volunteers) {
  memset(&given, 0, sizeof given);
  given.problem = (struct assign_problem){.requests = requests,
                                          .volunteers = volunteers,
                                          .need = given.need,
                                          .places = given.places,
                                          .row = given.row,
                                          .col = given.col,
                                          .cost = given.cost,
                                          .penalty = given.penalty};
}

struct spread {
  uint32_t edges; /* of a request, at most */
  uint32_t needs; /* at most */
  uint32_t places;
  uint32_t cost;
  uint32_t penalty;
  uint32_t rise; /* from one place to the next, at most; 0: none */
};

/* Each place of a volunteer costs more than the one before, or as much. */
static void random_rises(uint32_t most) {
  uint32_t at = 0;
  for (uint32_t j = 0; j < given.problem.volunteers; j++) {
    uint32_t rise = 0;
    given.rise_at[j] = at;
    for (uint32_t t = 0; t < given.places[j]; t++) {
      given.rise[at++] = rise;
      rise += below((uint64_t)most + 1);
    }
  }
  cr_assert(at <= EDGES);
  given.problem.rise = given.rise;
  given.problem.rise_at = given.rise_at;
}

static void random_problem(uint32_t requests, uint32_t volunteers, struct spread spread) {
  uint32_t edge = 0;
  begin(requests, volunteers);
  for (uint32_t i = 0; i < requests; i++) {
    given.need[i] = below(spread.needs + 1);
    given.penalty[i] = below((uint64_t)spread.penalty + 1);
    for (uint32_t k = below(spread.edges + 1); k > 0; k--) {
      given.col[edge] = below(volunteers);
      given.cost[edge++] = below((uint64_t)spread.cost + 1);
    }
    given.row[i + 1] = edge;
  }
  for (uint32_t j = 0; j < volunteers; j++) given.places[j] = below(spread.places + 1);
  if (spread.rise > 0) random_rises(spread.rise);
}

static void solve(void) {
  const struct assign_problem *p = &given.problem;
  size_t size = assign_bytes(p->requests, p->volunteers, p->row[p->requests]);
  free(arena.base);
  pd_arena_init(&arena, calloc(1, size), size);
  cr_assert_eq(assign_init(&assign, &arena, p), PD_OK);
  assign_solve(&assign);
}

static void expect_proof(void) {
  cr_assert(assign_certified(&assign, &given.problem, given.forbidden), "no proof");
}

/* The least cost of all sets of edges, tried one by one. */
static int64_t brute_cost(void) {
  const struct assign_problem *p = &given.problem;
  uint32_t edges = p->row[p->requests];
  int64_t best = INT64_MAX;
  for (uint32_t set = 0; set < 1u << edges; set++) {
    uint32_t held[8] = {0};
    int64_t cost = 0;
    bool fits = true;
    for (uint32_t i = 0; i < p->requests; i++) {
      uint32_t used = 0;
      for (uint32_t k = p->row[i]; k < p->row[i + 1]; k++) {
        if (!(set >> k & 1)) continue;
        cost += p->cost[k];
        used++;
        uint32_t place = held[p->col[k]]++;
        fits &= place < p->places[p->col[k]] && !given.forbidden[k];
        if (fits && p->rise != NULL) cost += p->rise[p->rise_at[p->col[k]] + place];
      }
      fits &= used <= p->need[i];
      cost += ((int64_t)p->need[i] - used) * p->penalty[i];
    }
    if (fits && cost < best) best = cost;
  }
  return best;
}

Test(assign, the_cost_is_the_least_of_all_sets_of_edges) {
  pd_rng_seed(&rng, 1);
  for (int i = 0; i < 4000; i++) {
    struct spread spread = {3, 3, 3, i % 2 ? 6 : 1000, i % 3 ? 12 : 1000, i % 5 % 3 * 3};
    random_problem(1 + below(4), 1 + below(4), spread);
    if (given.problem.row[given.problem.requests] > 10) continue;
    solve();
    cr_assert_eq(assign_cost(&assign), brute_cost());
    expect_proof();
  }
}

Test(assign, a_declined_edge_leaves_the_least_cost_of_the_rest) {
  pd_rng_seed(&rng, 2);
  for (int i = 0; i < 3000; i++) {
    struct spread spread = {3, 3, 3, i % 2 ? 6 : 1000, i % 3 ? 12 : 1000, i % 5 % 3 * 3};
    random_problem(1 + below(4), 1 + below(4), spread);
    uint32_t edges = given.problem.row[given.problem.requests];
    if (edges > 9) continue;
    solve();
    for (uint32_t request = 0; request < given.problem.requests; request++) {
      for (uint32_t k = given.row[request]; k < given.row[request + 1]; k++) {
        if (below(2)) continue;
        given.forbidden[k] = 1;
        assign_forbid(&assign, request, k);
        cr_assert_eq(assign_cost(&assign), brute_cost());
        expect_proof();
      }
    }
  }
}

Test(assign, every_answer_to_a_large_problem_carries_its_proof) {
  static const struct spread spreads[] = {
      {12, 1, 1, 5000, 5000, 0},
      {20, 3, 3, 5000, 5000, 0},
      {12, 1, 1, 3, 5, 0},
      {20, 2, 4, 0, 10, 0},
      {12, 1, 1, ASSIGN_COST_MAX, ASSIGN_COST_MAX, 0},
      {12, 1, 1, 5000, 0, 0},
      {6, 9, 9, 100, ASSIGN_COST_MAX, 0},
      {40, 64, 2, 2000, 9000, 0},
      {12, 1, 0, 5000, 5000, 0},
      {12, 1, 5, 5000, 5000, 1500},
      {20, 3, 9, 5000, 500000, 300},
      {20, 2, 6, 0, 10, 1},
      {40, 9, 16, 2000, 9000, 40000},
  };
  pd_rng_seed(&rng, 3);
  for (size_t i = 0; i < sizeof spreads / sizeof *spreads; i++) {
    for (uint32_t volunteers = 50; volunteers <= 20000; volunteers *= 20) {
      random_problem(2000, volunteers, spreads[i]);
      solve();
      expect_proof();
    }
  }
}

Test(assign, a_dense_problem_full_of_ties_is_proved) {
  pd_rng_seed(&rng, 4);
  random_problem(500, 500, (struct spread){0, 1, 1, 0, 0, 0});
  for (uint32_t i = 0; i < 500; i++) {
    given.need[i] = given.places[i] = 1;
    given.penalty[i] = 1000000;
    given.row[i + 1] = 500 * (i + 1);
    for (uint32_t j = 0; j < 500; j++) {
      given.col[500 * i + j] = j;
      given.cost[500 * i + j] = 1 + below(4);
    }
  }
  solve();
  expect_proof();
}

static void repair_many(uint32_t rise) {
  random_problem(2000, 1500, (struct spread){12, 2, 4, 5000, 5000, rise});
  solve();
  for (int round = 0; round < 300; round++) {
    uint32_t request = below(2000);
    for (uint32_t k = given.row[request]; k < given.row[request + 1]; k++) {
      if (given.forbidden[k] || !assign_uses(&assign, request, k)) continue;
      given.forbidden[k] = 1;
      assign_forbid(&assign, request, k);
    }
    if (round % 20 == 0) expect_proof();
  }
  expect_proof();
  int64_t repaired = assign_cost(&assign);
  /* Afresh: a forbidden edge costs more than to leave the need unserved. */
  for (uint32_t k = 0; k < given.row[2000]; k++)
    if (given.forbidden[k]) given.cost[k] = ASSIGN_COST_MAX;
  solve();
  expect_proof();
  cr_assert_eq(assign_cost(&assign), repaired);
}

Test(assign, repair_after_many_declines_costs_what_a_fresh_solution_costs) {
  pd_rng_seed(&rng, 5);
  repair_many(0);
  repair_many(1);
  repair_many(900);
}

Test(assign, the_second_place_of_a_volunteer_is_taken_only_when_it_is_worth_its_rise) {
  begin(2, 2);
  given.need[0] = given.need[1] = 1;
  given.places[0] = given.places[1] = 2;
  given.penalty[0] = given.penalty[1] = 5000;
  given.row[1] = 2;
  given.row[2] = 4;
  given.col[1] = given.col[3] = 1;
  given.cost[0] = given.cost[2] = 100; /* volunteer 0 is near to both orders */
  given.cost[1] = given.cost[3] = 300;
  given.rise[1] = given.rise[3] = 199;
  given.rise_at[1] = 2;
  given.problem.rise = given.rise;
  given.problem.rise_at = given.rise_at;
  solve();
  expect_proof();
  cr_assert_eq(assign_cost(&assign), 399);
  given.rise[1] = given.rise[3] = 201;
  solve();
  expect_proof();
  cr_assert_eq(assign_cost(&assign), 400);
}

Test(assign, the_same_problem_has_the_same_answer_twice) {
  static uint8_t first[EDGES];
  pd_rng_seed(&rng, 6);
  random_problem(15000, 15000, (struct spread){20, 1, 1, 10, 50, 0});
  for (int time = 0; time < 2; time++) {
    solve();
    for (uint32_t i = 0; i < 15000; i++)
      for (uint32_t k = given.row[i]; k < given.row[i + 1]; k++) {
        uint8_t used = assign_uses(&assign, i, k);
        cr_assert(time == 0 || used == first[k]);
        first[k] = used;
      }
  }
  expect_proof();
}

Test(assign, a_need_beyond_all_candidates_is_left_unserved_at_once) {
  begin(1, 2);
  given.need[0] = UINT32_MAX;
  given.penalty[0] = 7;
  given.row[1] = 2;
  given.col[1] = 1;
  given.cost[0] = 5;
  given.cost[1] = 9;
  given.places[0] = given.places[1] = UINT32_MAX;
  solve();
  expect_proof();
  cr_assert(assign_uses(&assign, 0, 0));
  cr_assert(!assign_uses(&assign, 0, 1));
  cr_assert_eq(assign_unserved(&assign, 0), UINT32_MAX - 1);
}

Test(assign, who_is_cheaper_for_two_goes_to_the_one_who_has_no_other) {
  begin(2, 2);
  given.need[0] = given.need[1] = given.places[0] = given.places[1] = 1;
  given.penalty[0] = given.penalty[1] = 5000;
  given.row[1] = 2;
  given.row[2] = 3;
  given.col[1] = 1;
  given.cost[0] = 100; /* order 0: the near volunteer 0, or 1 who is further */
  given.cost[1] = 300;
  given.cost[2] = 200; /* order 1: only volunteer 0 */
  solve();
  expect_proof();
  cr_assert(assign_uses(&assign, 0, 1) && assign_uses(&assign, 1, 2));
  cr_assert_eq(assign_cost(&assign), 500);
  given.forbidden[1] = 1;
  assign_forbid(&assign, 0, 1); /* volunteer 1 declines: now they compete */
  expect_proof();
  cr_assert_eq(assign_cost(&assign), 5100);
}

Test(assign, a_problem_that_is_out_of_range_is_refused) {
  uint8_t small[64] __attribute__((aligned(16))) = {0};
  struct pd_arena little;
  for (int fault = 0; fault < 7; fault++) {
    begin(2, 2);
    given.row[1] = 1;
    given.row[2] = 2;
    switch (fault) {
    case 0:
      given.row[0] = 1;
      break;
    case 1:
      given.row[1] = 3;
      break;
    case 2:
      given.col[1] = 2;
      break;
    case 3:
      given.cost[1] = ASSIGN_COST_MAX + 1;
      break;
    case 4:
      given.penalty[1] = ASSIGN_COST_MAX + 1;
      break;
    default: /* the first place costs more, or a later one less */
      given.places[0] = 3;
      given.rise[fault - 5] = 1;
      given.problem.rise = given.rise;
      given.problem.rise_at = given.rise_at;
    }
    size_t size = assign_bytes(2, 2, 3);
    pd_arena_init(&arena, calloc(1, size), size);
    cr_assert_eq(assign_init(&assign, &arena, &given.problem), PD_EINVAL, "fault %d", fault);
    free(arena.base);
    arena.base = NULL;
  }
  begin(2, 2);
  pd_arena_init(&little, small, sizeof small);
  cr_assert_eq(assign_init(&assign, &little, &given.problem), PD_EBOUNDS);
}

/* The harness of the peers draws its instances thus; LEMON, GLPK, CLP and HiGHS found 1001095. */
static uint64_t drawn;
static uint64_t draw(void) {
  uint64_t z = (drawn += 0x9E3779B97F4A7C15ull);
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ z >> 27) * 0x94D049BB133111EBull;
  return z ^ z >> 31;
}
static double uniform(void) {
  return (double)(draw() >> 11) * 0x1.0p-53;
}
static double gauss(void) {
  double u = uniform(), v = uniform();
  return sqrt(-2 * log(u < 1e-300 ? 1e-300 : u)) * cos(2 * M_PI * v);
}

#define CLUSTERS 64
static double cluster[CLUSTERS][4]; /* x, y, sigma, cumulated weight */

static void draw_clusters(void) {
  double all = 0, sum = 0;
  drawn = 20240611;
  for (int i = 0; i < CLUSTERS; i++) {
    do {
      cluster[i][0] = gauss() * 8000;
      cluster[i][1] = gauss() * 8000;
    } while (fabs(cluster[i][0]) > 17000 || fabs(cluster[i][1]) > 17000);
    cluster[i][2] = 250 * exp(uniform() * log(10.0));
    all += cluster[i][3] = pow(i + 1, -0.8);
  }
  for (int i = 0; i < CLUSTERS; i++) cluster[i][3] = sum += cluster[i][3] / all;
}

static void draw_place(int32_t place[2]) {
  double x, y, radian = M_PI / 180, earth = 6371008.8;
  if (uniform() < 0.15) {
    x = (2 * uniform() - 1) * 20000;
    y = (2 * uniform() - 1) * 20000;
  } else {
    do {
      double u = uniform();
      int i = 0;
      while (i < CLUSTERS - 1 && u > cluster[i][3]) i++;
      x = cluster[i][0] + gauss() * cluster[i][2];
      y = cluster[i][1] + gauss() * cluster[i][2];
    } while (fabs(x) >= 20000 || fabs(y) >= 20000);
  }
  place[0] = (int32_t)lround((36.6667 + y / earth / radian) * 1e7);
  place[1] = (int32_t)lround((117.0 + x / (earth * cos(36.6667 * radian)) / radian) * 1e7);
}

static double metres(const int32_t a[2], const int32_t b[2]) {
  double radian = M_PI / 180;
  double s = sin((b[0] * 1e-7 - a[0] * 1e-7) * radian / 2);
  double t = sin((b[1] * 1e-7 - a[1] * 1e-7) * radian / 2);
  double h = s * s + cos(a[0] * 1e-7 * radian) * cos(b[0] * 1e-7 * radian) * t * t;
  return 2 * 6371008.8 * asin(sqrt(h < 1 ? h : 1));
}

struct candidate {
  double metres;
  uint32_t volunteer;
};
static int nearer(const void *a, const void *b) {
  const struct candidate *x = a, *y = b;
  if (x->metres < y->metres || x->metres > y->metres) return x->metres < y->metres ? -1 : 1;
  return (x->volunteer > y->volunteer) - (x->volunteer < y->volunteer);
}

Test(assign, the_optimum_of_the_peers_instance_is_theirs) {
  static int32_t request[1000][2], volunteer[1000][2];
  static struct candidate all[1000];
  draw_clusters();
  drawn = 4 * 15485863ull + 1;
  begin(1000, 1000);
  for (int i = 0; i < 1000; i++) draw_place(request[i]);
  for (int j = 0; j < 1000; j++) draw_place(volunteer[j]);
  for (uint32_t i = 0; i < 1000; i++) {
    for (uint32_t j = 0; j < 1000; j++)
      all[j] = (struct candidate){metres(request[i], volunteer[j]), j};
    qsort(all, 1000, sizeof *all, nearer);
    for (uint32_t k = 0; k < 12; k++) {
      given.col[12 * i + k] = all[k].volunteer;
      given.cost[12 * i + k] = (uint32_t)lround(all[k].metres);
    }
    given.row[i + 1] = 12 * (i + 1);
    given.need[i] = given.places[i] = 1;
    given.penalty[i] = 5000;
  }
  solve();
  expect_proof();
  cr_assert_eq(assign_cost(&assign), 1001095);
}
