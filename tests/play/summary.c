#include "tests/play/play.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The enum's own name without its prefix, in lower case: ORDER_STATE_OPEN is "open". */
static const char *short_name(const ProtobufCEnumDescriptor *type, int value, size_t prefix,
                              char *text, size_t size) {
  const ProtobufCEnumValue *found = protobuf_c_enum_descriptor_get_value(type, value);
  snprintf(text, size, "%s", found != NULL ? found->name + prefix : "unknown");
  for (char *at = text; *at != 0; at++)
    if (*at >= 'A' && *at <= 'Z') *at = (char)(*at - 'A' + 'a');
  return text;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static json_t *latency(struct play *play) {
  qsort(play->latency_ms, play->latency_count, sizeof *play->latency_ms, by_value);
  size_t n = play->latency_count;
  double p50 = n > 0 ? play->latency_ms[n / 2] : 0,
         p99 = n > 0 ? play->latency_ms[n * 99 / 100] : 0;
  return json_pack("{s:{s:f,s:f,s:I}}", "order_to_offer", "p50", p50, "p99", p99, "count",
                   (json_int_t)n);
}

static json_t *states(struct play *play, json_int_t *sum) {
  json_t *counts = json_object();
  for (size_t i = 1; i < play->known_size; i++) {
    if (play->known[i].state == PD_ORDER_STATE_UNSPECIFIED) continue;
    char name[64];
    short_name(&paidan__v1__order_state__descriptor, (int)play->known[i].state,
               strlen("ORDER_STATE_"), name, sizeof name);
    json_object_set_new(counts, name,
                        json_integer(json_integer_value(json_object_get(counts, name)) + 1));
    ++*sum;
  }
  return counts;
}

static json_t *reasons(const struct play *play) {
  json_t *counts = json_object();
  for (int reason = 1; reason < 32; reason++) {
    char name[64];
    if (play->totals.unmatched[reason] == 0) continue;
    short_name(&paidan__v1__reason__descriptor, reason, strlen("REASON_"), name, sizeof name);
    json_object_set_new(counts, name, json_integer((json_int_t)play->totals.unmatched[reason]));
  }
  return counts;
}

/* Let `paidan verify`, which was written apart from all this, walk the logs. */
static bool verify(const struct play *play) {
  char self[4096], command[8192];
  ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  if (length <= 0) return false;
  self[length] = 0;
  *strrchr(self, '/') = 0;
  const char *journal = play->options.journal;
  snprintf(command, sizeof command, "'%s/paidan' verify --run-dir '%s' %s%s%s >&2", self,
           play->options.run_dir, journal != NULL ? "--journal '" : "",
           journal != NULL ? journal : "", journal != NULL ? "'" : "");
  fflush(stdout);
  return system(command) == 0; /* NOLINT: both paths are our own arguments */
}

static void print(const struct play *play, json_t *summary, double seconds) {
  const struct play_totals *t = &play->totals;
  printf("\n一周派单小结 / A week of orders (%.1f s)\n", seconds);
  printf("  订单 placed        %llu (拒收 refused %llu)\n", (unsigned long long)t->placed,
         (unsigned long long)t->refused);
  const char *name;
  json_t *count;
  json_object_foreach(json_object_get(json_object_get(summary, "orders"), "states"), name, count)
      printf("    %-16s %lld\n", name, (long long)json_integer_value(count));
  printf("  派单 offers        %llu (婉拒 declined %llu)\n", (unsigned long long)t->offers,
         (unsigned long long)t->declined);
  printf("  名额 slots filled  %llu (退出 withdrew %llu, 未到 no-shows %llu)\n",
         (unsigned long long)t->filled, (unsigned long long)t->withdrawals,
         (unsigned long long)t->no_shows);
  printf("  时长 hours posted  %.1f, 待核 holds %llu, 星级 stars %llu\n",
         (double)t->minutes_posted / 60, (unsigned long long)t->holds,
         (unsigned long long)t->stars);
  printf("  账本 ledger sum    minutes %lld, points %lld\n", (long long)t->points[PD_UNIT_MINUTES],
         (long long)t->points[PD_UNIT_POINTS]);
  printf("  消息 messages      %llu\n", (unsigned long long)t->messages);
  json_t *took = json_object_get(json_object_get(summary, "latency_ms"), "order_to_offer");
  printf("  点单到派单 order to offer  p50 %.2f ms, p99 %.2f ms\n",
         json_real_value(json_object_get(took, "p50")),
         json_real_value(json_object_get(took, "p99")));
  printf("  核验 verify        %s\n", json_string_value(json_object_get(summary, "verify")));
}

bool play_summary(struct play *play) {
  const struct play_totals *t = &play->totals;
  double seconds = (double)(uv_hrtime() - play->started_ns) / 1e9;
  bool verified = verify(play);
  json_int_t sum = 0;
  json_t *by_state = states(play, &sum);
  json_t *summary = json_pack(
      "{s:{s:I,s:I,s:o},s:I,s:I,s:o,s:{s:{s:I,s:I},s:s,s:I,s:I},s:I,s:I,s:s,s:o,s:f,s:I,s:I}",
      "orders", "placed", (json_int_t)t->placed, "refused", (json_int_t)t->refused, "states",
      by_state, "offers", (json_int_t)t->offers, "slots_filled", (json_int_t)t->filled,
      "unmatched_reasons", reasons(play), "points", "sum", "minutes",
      (json_int_t)t->points[PD_UNIT_MINUTES], "points", (json_int_t)t->points[PD_UNIT_POINTS],
      "audit", verified ? "ok" : "fault", "minutes_posted", (json_int_t)t->minutes_posted, "holds",
      (json_int_t)t->holds, "messages", (json_int_t)t->messages, "messages_failed",
      (json_int_t)t->failed_messages, "verify", verified ? "ok" : "fault", "latency_ms",
      latency(play), "seconds", seconds, "events", (json_int_t)t->events, "gaps",
      (json_int_t)t->gaps);
  print(play, summary, seconds);
  bool good = verified && sum == (json_int_t)t->placed && t->points[PD_UNIT_MINUTES] == 0 &&
              t->points[PD_UNIT_POINTS] == 0 && t->gaps == 0 && t->placed > 0;
  if (play->options.summary != NULL &&
      json_dump_file(summary, play->options.summary, JSON_INDENT(2)) != 0) {
    fprintf(stderr, "paidan-play: %s cannot be written\n", play->options.summary);
    good = false;
  }
  json_decref(summary);
  return good;
}
