/* paidan-bench knn: the index of the matcher on the data files of the matching bench.
 *
 * Rows as its other programs print them, one query at a time, and beside them the same queries in a
 * batch.  PAIDAN_ISA=plain|avx2|avx512 chooses the instructions, PAIDAN_NEED=bits makes the filter
 * more selective. */
#include "common/base/err.h"
#include "services/matching/grid.h"
#include "tests/bench/bench.h"
#include "tests/bench/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS 5
#define K 8
#define SUMMED 1000

struct knn {
  struct grid grid;
  struct bench_point *points;
  struct bench_query *asked;
  struct bench_move *moves;
  size_t point_count;
  size_t query_count;
  size_t move_count;
  struct grid_query *queries;
  struct grid_hit *hits;
  uint32_t *found;
  uint64_t *order;
  double before_mb;
  double build_ms;
  uint32_t also_need;
};

static const char *const names[GRID_ISA_COUNT] = {"paidan grid plain", "paidan grid AVX2",
                                                  "paidan grid AVX-512"};

static void choose(struct grid *grid) {
  static const char *const words[GRID_ISA_COUNT] = {"plain", "avx2", "avx512"};
  const char *wish = getenv("PAIDAN_ISA");
  for (int isa = 0; wish && isa < GRID_ISA_COUNT; isa++)
    if (strcmp(wish, words[isa]) == 0 && !grid_use(grid, (enum grid_isa)isa))
      fprintf(stderr, "paidan-bench: this processor has no %s\n", wish);
}

static void build(struct knn *knn) {
  struct pd_arena arena;
  size_t size = grid_bytes((uint32_t)knn->point_count);
  pd_arena_init(&arena, bench_memory(size), size);
  knn->before_mb = bench_resident_mb();
  double begin = bench_cpu_s();
  grid_init(&knn->grid, &arena, (uint32_t)knn->point_count);
  choose(&knn->grid);
  for (uint32_t i = 0; i < knn->point_count; i++) {
    const struct bench_point *point = &knn->points[i];
    struct grid_member as = {point->lat_e7, point->lon_e7, point->mask, GRID_ANYWHERE};
    grid_set(&knn->grid, i, &as);
  }
  grid_rebuild(&knn->grid);
  knn->build_ms = (bench_cpu_s() - begin) * 1e3;
}

static void ready(struct knn *knn, bool filtered) {
  for (size_t i = 0; i < knn->query_count; i++) {
    const struct bench_query *query = &knn->asked[i];
    knn->queries[i] = (struct grid_query){query->lat_e7, query->lon_e7, 0, query->radius_m, K, 0};
    if (filtered) knn->queries[i].need = query->need | knn->also_need;
  }
}

static struct bench_sum sum(const struct knn *knn) {
  struct bench_sum sum = {0};
  for (size_t i = 0; i < SUMMED && i < knn->query_count; i++) {
    struct grid_hit hits[K];
    uint32_t found = grid_nearest(&knn->grid, &knn->queries[i], NULL, hits);
    for (uint32_t j = 0; j < found; j++) sum.metres += hits[j].distance_m;
    sum.found += found;
  }
  return sum;
}

static void one_by_one(struct knn *knn) {
  for (size_t i = 0; i < knn->query_count; i++)
    knn->found[i] = grid_nearest(&knn->grid, &knn->queries[i], NULL, knn->hits + i % 64 * K);
}

static void batched(struct knn *knn) {
  grid_batch(&knn->grid, knn->queries, (uint32_t)knn->query_count, K, knn->order, knn->hits,
             knn->found);
}

static void print(struct knn *knn, const char *what, double *ns, const char *note) {
  struct bench_row row = {.who = names[knn->grid.isa], .what = what, .n = knn->point_count};
  row.ns_median = bench_median(ns, RUNS);
  row.ns_min = ns[0];
  row.build_ms = knn->build_ms;
  row.resident_mb = (double)grid_check(&knn->grid) / 1048576;
  row.sum = sum(knn);
  row.note = note;
  bench_print_row(&row);
}

static void measure(struct knn *knn, const char *what, void (*way)(struct knn *)) {
  double ns[RUNS];
  char note[64];
  snprintf(note, sizeof note, "%zu queries x %d", knn->query_count, RUNS);
  way(knn);
  for (int run = 0; run < RUNS; run++) {
    double begin = bench_cpu_s();
    way(knn);
    ns[run] = (bench_cpu_s() - begin) * 1e9 / (double)knn->query_count;
  }
  print(knn, what, ns, note);
}

static void move_one_by_one(struct knn *knn, const struct bench_move *moves, size_t count) {
  for (size_t i = 0; i < count; i++)
    grid_move(&knn->grid, moves[i].id, moves[i].lat_e7, moves[i].lon_e7);
}

static void move_batched(struct knn *knn, const struct bench_move *moves, size_t count) {
  for (size_t i = 0; i < count; i += 1000) {
    struct grid_to batch[1000];
    uint32_t some = (uint32_t)(count - i < 1000 ? count - i : 1000);
    for (uint32_t j = 0; j < some; j++)
      batch[j] = (struct grid_to){moves[i + j].id, moves[i + j].lat_e7, moves[i + j].lon_e7};
    grid_moves(&knn->grid, batch, some);
  }
}

static void measure_moves(struct knn *knn, const char *what,
                          void (*way)(struct knn *, const struct bench_move *, size_t)) {
  double ns[RUNS];
  char note[64];
  size_t slice = knn->move_count / RUNS;
  for (size_t run = 0; run < RUNS; run++) {
    double begin = bench_cpu_s();
    way(knn, knn->moves + run * slice, slice);
    ns[run] = (bench_cpu_s() - begin) * 1e9 / (double)slice;
  }
  snprintf(note, sizeof note, "%zu moves", slice * RUNS);
  print(knn, what, ns, note);
}

int bench_knn(int argc, char **argv) {
  struct knn knn = {0};
  if (argc != 4) {
    fprintf(stderr, "usage: paidan-bench knn POINTS QUERIES MOVES\n");
    return PD_EXIT_USAGE;
  }
  knn.points = bench_load(argv[1], "PDPT0001", sizeof *knn.points, &knn.point_count);
  knn.asked = bench_load(argv[2], "PDQY0001", sizeof *knn.asked, &knn.query_count);
  knn.moves = bench_load(argv[3], "PDMV0001", sizeof *knn.moves, &knn.move_count);
  if (getenv("PAIDAN_NEED")) knn.also_need = (uint32_t)strtoul(getenv("PAIDAN_NEED"), NULL, 0);
  knn.queries = bench_memory(sizeof *knn.queries * knn.query_count);
  knn.hits = bench_memory(sizeof *knn.hits * knn.query_count * K);
  knn.found = bench_memory(sizeof *knn.found * knn.query_count);
  knn.order = bench_memory(sizeof *knn.order * knn.query_count * 2);
  build(&knn);
  for (int filtered = 0; filtered < 2; filtered++) {
    ready(&knn, filtered);
    measure(&knn, filtered ? "knn8 5%" : "knn8", one_by_one);
    measure(&knn, filtered ? "knn8 5% batch" : "knn8 batch", batched);
  }
  measure_moves(&knn, "move, then 5%", move_one_by_one);
  build(&knn);
  measure_moves(&knn, "move batch, 5%", move_batched);
  return PD_EXIT_OK;
}
