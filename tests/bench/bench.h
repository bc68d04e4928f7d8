/* bench - the subcommands of paidan-bench: one measurement each, a table for people, --output json
 * for scripts. */
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench {
  const char *name;
  const char *usage;                 /* arguments */
  const char *summary;               /* one sentence */
  int (*run)(int argc, char **argv); /* argv[0] is the name; returns the exit code */
};

int bench_bus(int argc, char **argv);
int bench_log(int argc, char **argv);
int bench_loop(int argc, char **argv);
int bench_scale(int argc, char **argv);
int bench_edge(int argc, char **argv);
int bench_knn(int argc, char **argv);
int bench_assign(int argc, char **argv);
int bench_dispatch(int argc, char **argv);
int bench_quality(int argc, char **argv);

/* Nanoseconds of a steady clock. */
uint64_t bench_now_ns(void);

/* Sort the values; the given quantile (0 .. 1) of sorted ones. */
void bench_sort(double *values, size_t count);
double bench_quantile(const double *sorted, size_t count, double q);

/* The value after `--name`, or fallback; leaves argv alone. */
const char *bench_option(int argc, char **argv, const char *name, const char *fallback);
uint64_t bench_number(int argc, char **argv, const char *name, uint64_t fallback);

/* Was --output json asked for? */
bool bench_json(int argc, char **argv);

#endif
