/* metrics - counters, gauges and histograms, rendered as Prometheus text (format 0.0.4).
 *
 * Register once at start; the handle stays valid until the registry is closed.  Names follow
 * Prometheus' rules (paidan_commits_total, paidan_commit_seconds): `promtool check metrics` is the
 * test.  For the loop's thread only.
 */
#ifndef PD_IO_METRICS_H
#define PD_IO_METRICS_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

struct pd_metrics;
struct pd_metric;

enum pd_metric_kind { PD_METRIC_COUNTER, PD_METRIC_GAUGE, PD_METRIC_HISTOGRAM };

/* An empty registry; PD_EIO without memory. */
PD_MUST_USE enum pd_err pd_metrics_open(struct pd_metrics **metrics);
void pd_metrics_close(struct pd_metrics *metrics); /* NULL-safe */

/* One series.  Never NULL: a broken name or a full registry (4096 series) is a promise broken by
 * our own code. labels: `log="intake",why="fence"` or NULL; values are escaped already.  All series
 * of a name have the same kind and help.  The same name and labels again: the same handle. */
struct pd_metric *pd_metrics_counter(struct pd_metrics *metrics, const char *name, const char *help,
                                     const char *labels);
struct pd_metric *pd_metrics_gauge(struct pd_metrics *metrics, const char *name, const char *help,
                                   const char *labels);
/* bounds: rising upper bounds, at most 24; +Inf is added. */
struct pd_metric *pd_metrics_histogram(struct pd_metrics *metrics, const char *name,
                                       const char *help, const char *labels, const double *bounds,
                                       size_t count);

void pd_metric_add(struct pd_metric *metric, uint64_t count); /* a counter */
void pd_metric_set(struct pd_metric *metric, double value);   /* a gauge */
void pd_metric_see(struct pd_metric *metric, double value);   /* a histogram */
double
pd_metric_value(const struct pd_metric *metric); /* counter, gauge; of a histogram: how many seen */

/* From 50 us to 10 s, for latencies in seconds. */
extern const double pd_metrics_seconds[];
extern const size_t pd_metrics_seconds_count;

/* The text of all series; the caller frees it.  NULL only without memory. */
char *pd_metrics_render(const struct pd_metrics *metrics, size_t *length);

#endif
