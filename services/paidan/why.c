/* why - who was invited to an order, who was not, and for which reason.
 *
 * Matching's core is replayed from the logs, in the recorded order, up to each wave of the order;
 * there it is asked whom that wave would look at.  Nothing is guessed: these are the same rules
 * over the same facts, with the policy that the log had adopted by then.
 */
#include "common/base/calendar.h"
#include "services/paidan/labels.h"
#include "services/paidan/proto_json.h"
#include "services/paidan/recall.h"
#include "services/paidan/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct why {
  struct tool *tool;
  uint64_t order;
  bool one; /* about one volunteer */
  bool zero[7];
  struct pd_id person;
  uint64_t limit;
  struct recall recall;
  struct matching_verdict *list;
  json_t *waves;
  json_t *wave; /* the one whose offers follow; borrowed */
};

/* ---- what is told ---- */

static json_t *verdict_json(const struct why *why, const struct matching_verdict *verdict) {
  char id[PD_ID_TEXT], name[PROTO_NAME] = "eligible", start[PD_TIME_TEXT] = "";
  struct label label = {"符合条件", "eligible"};
  if (verdict->reason != PD_REASON_UNSPECIFIED) {
    label = label_reason(verdict->reason);
    proto_enum(&paidan__v1__reason__descriptor, (int)verdict->reason, name);
  }
  if (verdict->start_ms != 0) pd_time_text(verdict->start_ms, why->tool->zone_min, start);
  const struct matching_cost *cost = &verdict->cost;
  json_t *parts = json_pack("{s:I, s:I, s:I, s:I}", "way", (json_int_t)cost->way_m, "fairness",
                            (json_int_t)cost->fairness_m, "continuity",
                            (json_int_t)-cost->continuity_m, "rare", (json_int_t)cost->rare_m);
  return json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:I, s:o}", "volunteer",
                   pd_id_text(&verdict->person, id), "verdict", name, "zh", label.zh, "en",
                   label.en, "distance_m", (int)verdict->distance_m, "start", start, "cost_m",
                   (json_int_t)cost->total_m, "cost_parts_m", parts);
}

static json_t *tally_json(struct pd_tally **tallies, size_t count) {
  json_t *object = json_object();
  char name[PROTO_NAME];
  for (size_t i = 0; i < count; i++) {
    proto_enum(&paidan__v1__reason__descriptor, (int)tallies[i]->reason, name);
    json_object_set_new(object, name, json_integer(tallies[i]->count));
  }
  return object;
}

/* Ask the core, as it stood just before this event. */
static json_t *ask(struct why *why, int64_t now_ms) {
  json_t *list = json_array();
  if (why->one) {
    struct matching_verdict verdict;
    if (matching_explain(why->recall.core, why->order, &why->person, now_ms, &verdict) == PD_OK) {
      json_array_append_new(list, verdict_json(why, &verdict));
    }
    return list;
  }
  uint32_t count =
      matching_candidates(why->recall.core, why->order, now_ms, why->list, (uint32_t)why->limit);
  for (uint32_t i = 0; i < count; i++)
    json_array_append_new(list, verdict_json(why, &why->list[i]));
  return list;
}

static void begin_wave(struct why *why, const struct pd_event *event, uint32_t wave,
                       uint32_t considered, json_t *excluded) {
  char time[PD_TIME_TEXT];
  bool opened = event->body_case == PD_EVENT_WAVE_OPENED;
  why->wave = json_pack("{s:i, s:s, s:s, s:I, s:i, s:o, s:o, s:o}", "wave", (int)wave, "outcome",
                        opened ? "wave_opened" : "order_unmatched", "time",
                        pd_time_text(event->time_ms, why->tool->zone_min, time), "seq",
                        (json_int_t)event->seq, "considered", (int)considered, "excluded", excluded,
                        "invited", json_array(), "candidates", ask(why, event->time_ms));
  json_array_append_new(why->waves, why->wave);
}

static void note_offer(struct why *why, const struct pd_offer_made *body) {
  char id[PD_ID_TEXT];
  struct pd_id person = PD_ID(body->volunteer);
  json_array_append_new(json_object_get(why->wave, "invited"),
                        json_pack("{s:s, s:I, s:i}", "volunteer", pd_id_text(&person, id), "offer",
                                  (json_int_t)body->offer, "distance_m", (int)body->distance_m));
}

/* An event before it is applied. */
static void look(void *context, const struct pd_event *event) {
  struct why *why = context;
  if (event->body_case == PD_EVENT_WAVE_OPENED && event->wave_opened->order == why->order) {
    const struct pd_wave_opened *body = event->wave_opened;
    begin_wave(why, event, body->wave, body->considered,
               tally_json(body->excluded, body->n_excluded));
  }
  if (event->body_case == PD_EVENT_ORDER_UNMATCHED && event->order_unmatched->order == why->order) {
    const struct pd_order_unmatched *body = event->order_unmatched;
    begin_wave(why, event, body->wave, body->considered,
               tally_json(body->excluded, body->n_excluded));
  }
  bool offer = event->body_case == PD_EVENT_OFFER_MADE && event->offer_made->order == why->order;
  if (offer && why->wave != NULL) note_offer(why, event->offer_made);
}

/* ---- text ---- */

static const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text == NULL ? "" : text;
}

static bool was_invited(const json_t *wave, const char *volunteer) {
  size_t i;
  json_t *offer;
  json_array_foreach(json_object_get(wave, "invited"), i, offer) {
    if (strcmp(text_of(offer, "volunteer"), volunteer) == 0) return true;
  }
  return false;
}

/* The core answers "eligible" for everybody no rule keeps out; who got an offer was invited, the
 * others cost more: they live farther away, or had more offers lately. */
static void settle_verdicts(const json_t *wave) {
  size_t i;
  json_t *candidate;
  struct label lower = label_reason(PD_REASON_RANKED_LOWER);
  json_array_foreach(json_object_get(wave, "candidates"), i, candidate) {
    bool invited = was_invited(wave, text_of(candidate, "volunteer"));
    bool eligible = strcmp(text_of(candidate, "verdict"), "eligible") == 0;
    if (!invited && !eligible) continue;
    json_object_set_new(candidate, "verdict", json_string(invited ? "invited" : "ranked_lower"));
    json_object_set_new(candidate, "zh", json_string(invited ? "已邀请" : lower.zh));
    json_object_set_new(candidate, "en", json_string(invited ? "invited" : lower.en));
  }
}

static void say_tally(const struct out *out, const json_t *excluded) {
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)excluded, key, value) {
    struct label label =
        label_reason((enum pd_reason)proto_enum_value(&paidan__v1__reason__descriptor, key));
    out_text(out, "    %6lld  %s  %s", (long long)json_integer_value(value), label.zh, label.en);
  }
}

static void say_candidates(const struct out *out, const json_t *wave) {
  static const char *const heads[] = {"    volunteer", "metres", "cost", "verdict", "", NULL};
  struct out_table table;
  size_t i;
  json_t *candidate;
  if (json_array_size(json_object_get(wave, "candidates")) == 0) return;
  out_table_begin(&table, heads);
  json_array_foreach(json_object_get(wave, "candidates"), i, candidate) {
    out_cell(&table, "    %s", text_of(candidate, "volunteer"));
    out_cell(&table, "%lld",
             (long long)json_integer_value(json_object_get(candidate, "distance_m")));
    out_cell(&table, "%lld", (long long)json_integer_value(json_object_get(candidate, "cost_m")));
    out_cell(&table, "%s", text_of(candidate, "zh"));
    out_cell(&table, "%s", text_of(candidate, "en"));
  }
  out_table_end(&table, out);
}

static long long number_of(const json_t *object, const char *key) {
  return (long long)json_integer_value(json_object_get(object, key));
}

/* Did the next wave come to the very same end?  An order that nobody can serve is tried for days.
 */
static bool is_repeat(const json_t *wave, const json_t *before) {
  return before != NULL &&
         json_equal(json_object_get(wave, "outcome"), json_object_get(before, "outcome")) &&
         json_array_size(json_object_get(wave, "invited")) == 0 &&
         json_equal(json_object_get(wave, "excluded"), json_object_get(before, "excluded")) &&
         json_equal(json_object_get(wave, "candidates"), json_object_get(before, "candidates"));
}

static void say_wave(const struct why *why, const json_t *wave) {
  const struct out *out = &why->tool->out;
  bool opened = strcmp(text_of(wave, "outcome"), "wave_opened") == 0;
  out_text(out, "%s  %s %lld: 邀请 invited %zu, 查看 considered %lld", text_of(wave, "time"),
           opened ? "批次 wave" : "无人可派 nobody for wave", number_of(wave, "wave"),
           json_array_size(json_object_get(wave, "invited")), number_of(wave, "considered"));
  say_tally(out, json_object_get(wave, "excluded"));
  say_candidates(out, wave);
}

static void say_waves(const struct why *why) {
  size_t i, repeats = 0;
  json_t *wave;
  const json_t *before = NULL;
  json_array_foreach(why->waves, i, wave) {
    settle_verdicts(wave);
    bool last = i + 1 == json_array_size(why->waves);
    bool repeat = is_repeat(wave, before);
    repeats += repeat;
    if ((!repeat || last) && repeats > 0) {
      out_text(&why->tool->out, "    又试 tried %zu more times with the same outcome, until %s",
               repeats, text_of(repeat ? wave : before, "time"));
    }
    if (!repeat) {
      say_wave(why, wave);
      repeats = 0;
    }
    before = wave;
  }
}

/* ---- the command ---- */

static int run_why(struct why *why) {
  struct tool *tool = why->tool;
  int code = recall_run(&why->recall, tool, look, why);
  if (code != 0) return code;
  if (json_array_size(why->waves) == 0) {
    return out_fail(&tool->out, PD_EXIT_FAULT, "matching has not looked at this order",
                    tool->args.words[0], "paidan order list");
  }
  say_waves(why);
  out_object(&tool->out,
             json_pack("{s:I, s:O}", "order", (json_int_t)why->order, "waves", why->waves));
  return 0;
}

static int cmd_why(struct tool *tool) {
  static struct why why;
  why = (struct why){.tool = tool, .waves = json_array()};
  int code = tool_order(tool, tool->args.words[0], &why.order);
  if (code == 0 && tool->args.count > 1) {
    why.one = true;
    code = tool_person(tool, tool->args.words[1], &why.person);
  }
  if (code == 0 && args_number(&tool->args, "limit", 1, 100000, 20, &why.limit) != PD_OK) {
    code = tool_usage(tool, tool->args.wrong);
  }
  if (code == 0) {
    why.list = calloc(why.limit, sizeof *why.list);
    pd_assert(why.list != NULL);
    code = run_why(&why);
  }
  free(why.list);
  json_decref(why.waves);
  recall_close(&why.recall);
  return code;
}

static const struct option_row why_options[] = {
    {"limit", "N", "show so many of the nearest candidates of each wave (default 20)"},
    {NULL, NULL, NULL},
};

const struct command why_commands[] = {
    {"why", "ORDER [VOLUNTEER]",
     "Says who was considered for an order, invited or excluded, and for which reason.",
     "paidan why 17", why_options, 1, 2, cmd_why},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
