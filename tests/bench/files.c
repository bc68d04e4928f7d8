#include "tests/bench/files.h"

#include "common/base/err.h"
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static _Noreturn void give_up(const char *path, const char *why) {
  fprintf(stderr, "paidan-bench: %s: %s\n", path, why);
  exit(PD_EXIT_USAGE);
}

void *bench_read(const char *path, size_t *length) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) give_up(path, "cannot be opened");
  fseek(file, 0, SEEK_END);
  long end = ftell(file);
  rewind(file);
  void *bytes = malloc((size_t)end + 1);
  if (bytes == NULL || fread(bytes, 1, (size_t)end, file) != (size_t)end)
    give_up(path, "cannot be read");
  fclose(file);
  *length = (size_t)end;
  return bytes;
}

void *bench_load(const char *path, const char *magic, size_t size, size_t *count) {
  size_t length;
  uint64_t records = 0;
  char *bytes = bench_read(path, &length);
  if (length < 16 || memcmp(bytes, magic, 8) != 0) give_up(path, "is of another kind");
  memcpy(&records, bytes + 8, 8);
  if (records * size + 16 != length) give_up(path, "is cut short");
  memmove(bytes, bytes + 16, length - 16);
  *count = records;
  return bytes;
}

void *bench_memory(size_t size) {
  size_t huge = (size_t)2 << 20, whole = (size + 2 * huge) / huge * huge;
  void *at = mmap(NULL, whole + huge, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) give_up("memory", "there is not enough");
  char *aligned = (char *)(((uintptr_t)at + huge - 1) / huge * huge);
  (void)madvise(aligned, whole, MADV_HUGEPAGE);
  return aligned;
}

double bench_cpu_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

double bench_resident_mb(void) {
  long size = 0, resident = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%ld %ld", &size, &resident) != 2) resident = 0;
  if (file) fclose(file);
  return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1048576;
}

double bench_median(double *values, size_t count) {
  bench_sort(values, count);
  return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

void bench_print_row(const struct bench_row *row) {
  printf("%-26s %-14s %8zu %12.1f %12.1f %10.1f %8.1f %8llu %12.1f  %s\n", row->who, row->what,
         row->n, row->ns_median, row->ns_min, row->build_ms, row->resident_mb,
         (unsigned long long)row->sum.found, row->sum.metres, row->note);
  fflush(stdout);
}
