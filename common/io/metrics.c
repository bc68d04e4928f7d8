#include "common/io/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERIES_MAX = 4096, BOUNDS_MAX = 24 };

struct pd_metric {
  enum pd_metric_kind kind;
  char *name;
  char *help;
  char *labels;   /* "" if it has none */
  uint64_t count; /* a counter; of a histogram, how many seen */
  double value;   /* a gauge; of a histogram, the sum */
  size_t bound_count;
  double bounds[BOUNDS_MAX];
  uint64_t buckets[BOUNDS_MAX]; /* how many seen up to this bound and over the one before */
};

struct pd_metrics {
  size_t count;
  struct pd_metric *series[SERIES_MAX];
};

const double pd_metrics_seconds[] = {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025,
                                     0.005,   0.01,   0.025,   0.05,   0.1,   0.25,
                                     0.5,     1,      2.5,     5,      10};
const size_t pd_metrics_seconds_count = sizeof pd_metrics_seconds / sizeof *pd_metrics_seconds;

enum pd_err pd_metrics_open(struct pd_metrics **metrics) {
  *metrics = calloc(1, sizeof **metrics);
  return *metrics != NULL ? PD_OK : PD_EIO;
}

void pd_metrics_close(struct pd_metrics *metrics) {
  if (metrics == NULL) return;
  for (size_t i = 0; i < metrics->count; i++) {
    free(metrics->series[i]->name);
    free(metrics->series[i]->help);
    free(metrics->series[i]->labels);
    free(metrics->series[i]);
  }
  free(metrics);
}

static bool is_name(const char *name) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:0123456789";
  size_t length = strlen(name);
  return length > 0 && strspn(name, letters) == length && (name[0] < '0' || name[0] > '9');
}

static struct pd_metric *find(const struct pd_metrics *metrics, const char *name,
                              const char *labels) {
  for (size_t i = 0; i < metrics->count; i++) {
    struct pd_metric *series = metrics->series[i];
    if (strcmp(series->name, name) == 0 && strcmp(series->labels, labels) == 0) return series;
  }
  return NULL;
}

static struct pd_metric *enter(struct pd_metrics *metrics, enum pd_metric_kind kind,
                               const char *name, const char *help, const char *labels) {
  pd_assert(is_name(name) && metrics->count < SERIES_MAX);
  struct pd_metric *series = find(metrics, name, labels != NULL ? labels : "");
  if (series != NULL) {
    pd_assert(series->kind == kind);
    return series;
  }
  series = calloc(1, sizeof *series);
  pd_assert(series != NULL);
  series->kind = kind;
  series->name = strdup(name);
  series->help = strdup(help);
  series->labels = strdup(labels != NULL ? labels : "");
  pd_assert(series->name != NULL && series->help != NULL && series->labels != NULL);
  metrics->series[metrics->count++] = series;
  return series;
}

struct pd_metric *pd_metrics_counter(struct pd_metrics *metrics, const char *name, const char *help,
                                     const char *labels) {
  return enter(metrics, PD_METRIC_COUNTER, name, help, labels);
}

struct pd_metric *pd_metrics_gauge(struct pd_metrics *metrics, const char *name, const char *help,
                                   const char *labels) {
  return enter(metrics, PD_METRIC_GAUGE, name, help, labels);
}

struct pd_metric *pd_metrics_histogram(struct pd_metrics *metrics, const char *name,
                                       const char *help, const char *labels, const double *bounds,
                                       size_t count) {
  struct pd_metric *series = enter(metrics, PD_METRIC_HISTOGRAM, name, help, labels);
  pd_assert(count > 0 && count <= BOUNDS_MAX);
  for (size_t i = 0; i < count; i++) {
    pd_assert(i == 0 || bounds[i] > bounds[i - 1]);
    series->bounds[i] = bounds[i];
  }
  series->bound_count = count;
  return series;
}

void pd_metric_add(struct pd_metric *metric, uint64_t count) {
  pd_assert(metric->kind == PD_METRIC_COUNTER);
  metric->count += count;
}

void pd_metric_set(struct pd_metric *metric, double value) {
  pd_assert(metric->kind == PD_METRIC_GAUGE);
  metric->value = value;
}

void pd_metric_see(struct pd_metric *metric, double value) {
  pd_assert(metric->kind == PD_METRIC_HISTOGRAM);
  metric->count++;
  metric->value += value;
  for (size_t i = 0; i < metric->bound_count; i++) {
    if (value <= metric->bounds[i]) {
      metric->buckets[i]++;
      return;
    }
  }
}

double pd_metric_value(const struct pd_metric *metric) {
  return metric->kind == PD_METRIC_GAUGE ? metric->value : (double)metric->count;
}

/* ---- text ---- */

static void print_help(FILE *out, const struct pd_metric *series) {
  static const char *const kinds[] = {"counter", "gauge", "histogram"};
  fprintf(out, "# HELP %s ", series->name);
  for (const char *c = series->help; *c != '\0'; c++) {
    if (*c == '\n') {
      fputs("\\n", out);
    } else if (*c == '\\') {
      fputs("\\\\", out);
    } else {
      fputc(*c, out);
    }
  }
  fprintf(out, "\n# TYPE %s %s\n", series->name, kinds[series->kind]);
}

static void print_number(FILE *out, double value) {
  if (isnan(value)) {
    fputs("NaN", out);
  } else if (isinf(value)) {
    fputs(value > 0 ? "+Inf" : "-Inf", out);
  } else {
    fprintf(out, "%.15g", value);
  }
}

/* name{labels,le="bound"}, with whatever of it there is. */
static void print_series(FILE *out, const struct pd_metric *series, const char *suffix,
                         const double *bound) {
  bool labelled = series->labels[0] != '\0';
  fprintf(out, "%s%s", series->name, suffix);
  if (labelled || bound != NULL) fputc('{', out);
  fputs(series->labels, out);
  if (bound != NULL) {
    fputs(labelled ? ",le=\"" : "le=\"", out);
    print_number(out, *bound);
    fputc('"', out);
  }
  fputs(labelled || bound != NULL ? "} " : " ", out);
}

static void print_histogram(FILE *out, const struct pd_metric *series) {
  uint64_t below = 0;
  for (size_t i = 0; i < series->bound_count; i++) {
    below += series->buckets[i];
    print_series(out, series, "_bucket", &series->bounds[i]);
    fprintf(out, "%" PRIu64 "\n", below);
  }
  double infinity = INFINITY;
  print_series(out, series, "_bucket", &infinity);
  fprintf(out, "%" PRIu64 "\n", series->count);
  print_series(out, series, "_sum", NULL);
  print_number(out, series->value);
  fputc('\n', out);
  print_series(out, series, "_count", NULL);
  fprintf(out, "%" PRIu64 "\n", series->count);
}

static void print_one(FILE *out, const struct pd_metric *series) {
  switch (series->kind) {
  case PD_METRIC_COUNTER:
    print_series(out, series, "", NULL);
    fprintf(out, "%" PRIu64 "\n", series->count);
    break;
  case PD_METRIC_GAUGE:
    print_series(out, series, "", NULL);
    print_number(out, series->value);
    fputc('\n', out);
    break;
  case PD_METRIC_HISTOGRAM:
    print_histogram(out, series);
    break;
  }
}

/* All series of a name stand together, below one HELP and TYPE, where the name came first. */
static void print_family(FILE *out, const struct pd_metrics *metrics, size_t first) {
  const char *name = metrics->series[first]->name;
  for (size_t i = 0; i < first; i++) {
    if (strcmp(metrics->series[i]->name, name) == 0) return;
  }
  print_help(out, metrics->series[first]);
  for (size_t i = first; i < metrics->count; i++) {
    if (strcmp(metrics->series[i]->name, name) == 0) print_one(out, metrics->series[i]);
  }
}

char *pd_metrics_render(const struct pd_metrics *metrics, size_t *length) {
  char *text = NULL;
  *length = 0;
  FILE *out = open_memstream(&text, length);
  if (out == NULL) return NULL;
  for (size_t i = 0; i < metrics->count; i++) print_family(out, metrics, i);
  if (fclose(out) == 0) return text;
  free(text);
  return NULL;
}
