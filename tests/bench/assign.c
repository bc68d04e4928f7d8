/* paidan-bench assign: the optimum of a batch, on the instances of the peers' harness.
 *
 * The time holds reading the problem into our tables as well as solving it.  PAIDAN_RUNS: how
 * often. */
#include "services/matching/assign.h"

#include "common/base/err.h"
#include "tests/bench/bench.h"
#include "tests/bench/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "PDAS0001", requests, volunteers, edges, penalty, then the arrays. */
static struct assign_problem load(const char *path, uint32_t *edges) {
  size_t length;
  uint32_t head[4], *words;
  char *bytes = bench_read(path, &length);
  if (length < 24 || memcmp(bytes, "PDAS0001", 8) != 0) {
    fprintf(stderr, "paidan-bench: %s: is no assignment instance\n", path);
    exit(PD_EXIT_USAGE);
  }
  words = (uint32_t *)(void *)(bytes + 8);
  memcpy(head, words, sizeof head);
  struct assign_problem problem = {.requests = head[0], .volunteers = head[1]};
  uint32_t *penalty = calloc(head[0] + 1, sizeof *penalty);
  for (uint32_t i = 0; penalty && i < head[0]; i++) penalty[i] = head[3];
  problem.penalty = penalty;
  problem.need = words + 4;
  problem.places = problem.need + head[0];
  problem.row = problem.places + head[1];
  problem.col = problem.row + head[0] + 1;
  problem.cost = problem.col + head[2];
  *edges = head[2];
  return problem;
}

int bench_assign(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: paidan-bench assign INSTANCE\n");
    return PD_EXIT_USAGE;
  }
  uint32_t edges;
  struct assign_problem problem = load(argv[1], &edges);
  size_t size = assign_bytes(problem.requests, problem.volunteers, edges);
  double ms[100];
  int runs = getenv("PAIDAN_RUNS") ? atoi(getenv("PAIDAN_RUNS")) : 5;
  struct pd_arena arena;
  struct assign assign;
  pd_arena_init(&arena, bench_memory(size), size);
  for (int run = 0; run < runs && run < 100; run++) {
    pd_arena_reset(&arena);
    double begin = bench_cpu_s();
    if (assign_init(&assign, &arena, &problem) != PD_OK) return PD_EXIT_FAULT;
    assign_solve(&assign);
    ms[run] = (bench_cpu_s() - begin) * 1e3;
  }
  double median = bench_median(ms, (size_t)runs);
  bool proved = assign_certified(&assign, &problem, NULL);
  printf("%-26s %8u %8u %9u %12.2f %12.2f %8.1f %14lld  %s steps=%llu paths=%llu scans=%llu\n",
         "paidan assign", problem.requests, problem.volunteers, edges, median, ms[0],
         bench_resident_mb(), (long long)assign_cost(&assign), proved ? "proved" : "NOT PROVED",
         (unsigned long long)assign.steps, (unsigned long long)assign.paths,
         (unsigned long long)assign.scans);
  return proved ? PD_EXIT_OK : PD_EXIT_FAULT;
}
