/* files - what the matcher's benches share: the data files of the peers' harness, memory, and the
 * columns in which every program of that harness prints its rows. */
#ifndef TESTS_BENCH_FILES_H
#define TESTS_BENCH_FILES_H

#include <stddef.h>
#include <stdint.h>

/* Records of the data files: little-endian, without padding. */
struct bench_point {
  int32_t lat_e7;
  int32_t lon_e7;
  uint32_t mask;
  uint32_t id;
};
struct bench_query {
  int32_t lat_e7;
  int32_t lon_e7;
  uint32_t need;
  uint32_t radius_m;
};
struct bench_move {
  uint32_t id;
  int32_t lat_e7;
  int32_t lon_e7;
};

/* The file's bytes in malloc'ed memory; ends the program with a message when it cannot be read. */
void *bench_read(const char *path, size_t *length);

/* The records after an 8-byte magic word and a 64-bit count; ends the program when the file is not
 * that. */
void *bench_load(const char *path, const char *magic, size_t size, size_t *count);

/* Zeroed memory on a boundary of 2 MiB, in large pages where the system has them; or ends. */
void *bench_memory(size_t size);

/* Processor time of this process, seconds; its resident memory, MiB. */
double bench_cpu_s(void);
double bench_resident_mb(void);

/* Median of the values, which are sorted for it. */
double bench_median(double *values, size_t count);

/* Results and the sum of their distances over the first queries: equal for every right program. */
struct bench_sum {
  uint64_t found;
  double metres;
};

struct bench_row {
  const char *who;
  const char *what;
  size_t n;
  double ns_median;
  double ns_min;
  double build_ms;
  double resident_mb;
  struct bench_sum sum;
  const char *note;
};

void bench_print_row(const struct bench_row *row);

#endif
