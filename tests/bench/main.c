/* paidan-bench - what Paidan's parts cost, measured on this machine.  Run one at a time, on a quiet
 * machine. */
#include "common/base/err.h"
#include "common/io/seal.h"
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct bench benches[] = {
    {"bus", "--peers DIR [--messages N] [--rounds N]",
     "Publisher to durable subscriber, beside the peers of a folder of harnesses.", bench_bus},
    {"log", "[--events N] [--size BYTES] [--rounds N]",
     "Durable events a second through one log, beside one XADD an event.", bench_log},
    {"loop", "[--rate N] [--seconds N] [--volunteers N]",
     "Order placed to first offer received, through all daemons, durable.", bench_loop},
    {"edge", "[--rate N] [--seconds N]",
     "Command to event through the edge: alone, beside offenders, across its kill.", bench_edge},
    {"knn", "POINTS QUERIES MOVES", "Nearest neighbours, filtered and not, and moves.", bench_knn},
    {"assign", "INSTANCE", "The optimum of a batch, with its proof.", bench_assign},
    {"dispatch", "[--orders N] [--volunteers N] [--batches N] [--hours few]",
     "Orders that come together, from places to offers, through the matcher's core.",
     bench_dispatch},
    {"quality", "[--data DIR] [--minutes N] [--every N] [--seed N] [--yes N] [--no N]",
     "A data set's orders decided nearest first, by cost, and by cost together: what came of it.",
     bench_quality},
    {"scale", "[--volunteers N] [--open N] [--events N]",
     "Memory of a large district's daemons, and their start behind a long log.", bench_scale},
};

uint64_t bench_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

void bench_sort(double *values, size_t count) { qsort(values, count, sizeof *values, compare); }

double bench_quantile(const double *sorted, size_t count, double q) {
  if (count == 0) return 0;
  size_t at = (size_t)(q * (double)count);
  return sorted[at < count ? at : count - 1];
}

const char *bench_option(int argc, char **argv, const char *name, const char *fallback) {
  for (int i = 1; i + 1 < argc; i++)
    if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, name) == 0) return argv[i + 1];
  return fallback;
}

uint64_t bench_number(int argc, char **argv, const char *name, uint64_t fallback) {
  const char *text = bench_option(argc, argv, name, NULL);
  return text == NULL ? fallback : strtoull(text, NULL, 10);
}

bool bench_json(int argc, char **argv) {
  return strcmp(bench_option(argc, argv, "output", "text"), "json") == 0;
}

static int usage(FILE *to, int code) {
  fprintf(to, "Usage: paidan-bench WHAT [options] [--output json]\n\n");
  for (size_t i = 0; i < sizeof benches / sizeof benches[0]; i++)
    fprintf(to, "  %-8s %s\n           %s\n", benches[i].name, benches[i].usage,
            benches[i].summary);
  fprintf(to, "\nExample: paidan-bench loop --rate 5000 --seconds 20\n");
  return code;
}

int main(int argc, char **argv) {
  if (pd_seal_init() != PD_OK) return PD_EXIT_FAULT; /* it also picks the fastest hash */
  if (argc < 2) return usage(stderr, PD_EXIT_USAGE);
  if (strcmp(argv[1], "--help") == 0) return usage(stdout, PD_EXIT_OK);
  for (size_t i = 0; i < sizeof benches / sizeof benches[0]; i++)
    if (strcmp(argv[1], benches[i].name) == 0) return benches[i].run(argc - 1, argv + 1);
  return usage(stderr, PD_EXIT_USAGE);
}
