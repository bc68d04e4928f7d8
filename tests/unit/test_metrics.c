#include "common/io/metrics.h"

#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pd_metrics *metrics;

static void set_up(void) {
  cr_assert_eq(pd_metrics_open(&metrics), PD_OK);
}

static void tear_down(void) {
  pd_metrics_close(metrics);
}

TestSuite(metrics, .init = set_up, .fini = tear_down);

static void expect_text(const char *wanted) {
  size_t length;
  char *text = pd_metrics_render(metrics, &length);
  cr_assert_not_null(text);
  cr_expect_eq(strlen(text), length);
  cr_expect_str_eq(text, wanted);
  free(text);
}

Test(metrics, counters_and_gauges) {
  struct pd_metric *a =
      pd_metrics_counter(metrics, "paidan_a_total", "How many a.", "log=\"intake\"");
  struct pd_metric *g = pd_metrics_gauge(metrics, "paidan_g", "Line\nand \\.", NULL);
  struct pd_metric *b =
      pd_metrics_counter(metrics, "paidan_a_total", "How many a.", "log=\"points\"");
  cr_expect_eq(pd_metrics_counter(metrics, "paidan_a_total", "How many a.", "log=\"intake\""), a);
  pd_metric_add(a, 3);
  pd_metric_add(b, UINT64_MAX);
  pd_metric_set(g, 0.1);
  expect_text("# HELP paidan_a_total How many a.\n"
              "# TYPE paidan_a_total counter\n"
              "paidan_a_total{log=\"intake\"} 3\n"
              "paidan_a_total{log=\"points\"} 18446744073709551615\n"
              "# HELP paidan_g Line\\nand \\\\.\n"
              "# TYPE paidan_g gauge\n"
              "paidan_g 0.1\n");
  pd_metric_set(g, -INFINITY);
  cr_expect_eq(pd_metric_value(a), 3);
}

Test(metrics, histograms_are_cumulative) {
  const double bounds[] = {0.5, 1};
  struct pd_metric *h =
      pd_metrics_histogram(metrics, "paidan_h_seconds", "How long.", "log=\"x\"", bounds, 2);
  pd_metric_see(h, 0.25);
  pd_metric_see(h, 0.5);
  pd_metric_see(h, 0.75);
  pd_metric_see(h, 8);
  cr_expect_eq(pd_metric_value(h), 4);
  expect_text("# HELP paidan_h_seconds How long.\n"
              "# TYPE paidan_h_seconds histogram\n"
              "paidan_h_seconds_bucket{log=\"x\",le=\"0.5\"} 2\n"
              "paidan_h_seconds_bucket{log=\"x\",le=\"1\"} 3\n"
              "paidan_h_seconds_bucket{log=\"x\",le=\"+Inf\"} 4\n"
              "paidan_h_seconds_sum{log=\"x\"} 9.5\n"
              "paidan_h_seconds_count{log=\"x\"} 4\n");
}

Test(metrics, prometheus_finds_no_fault) {
  pd_metric_add(
      pd_metrics_counter(metrics, "paidan_commits_total", "Entries committed.", "log=\"intake\""),
      5);
  pd_metric_add(
      pd_metrics_counter(metrics, "paidan_commits_total", "Entries committed.", "log=\"a\\\"b\""),
      5);
  pd_metric_set(pd_metrics_gauge(metrics, "paidan_open_orders", "Orders that are open.", NULL),
                1e12);
  pd_metric_set(pd_metrics_gauge(metrics, "paidan_nothing", "Not a number.", NULL), NAN);
  struct pd_metric *h =
      pd_metrics_histogram(metrics, "paidan_commit_seconds", "How long a commit takes.", NULL,
                           pd_metrics_seconds, pd_metrics_seconds_count);
  for (int i = 0; i < 1000; i++) pd_metric_see(h, i * 0.0001);
  size_t length;
  char *text = pd_metrics_render(metrics, &length);
  FILE *promtool = popen("promtool check metrics", "w");
  cr_assert_not_null(promtool);
  cr_expect_eq(fwrite(text, 1, length, promtool), length);
  cr_expect_eq(pclose(promtool), 0);
  free(text);
}

Test(metrics, a_broken_name_is_a_broken_promise, .signal = SIGABRT) {
  (void)pd_metrics_counter(metrics, "paidan bad", "help", NULL);
}
