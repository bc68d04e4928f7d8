/* why - who was invited to an order, who was not, and for which reason.
 *
 * Matching's core is replayed from the logs, in the recorded order, up to each wave of the order;
 * there it is asked whom that wave would look at.  Nothing is guessed: these are the same rules
 * over the same facts, with the policy that the log had adopted by then.
 */
#include "common/base/calendar.h"
#include "services/paidan/differ.h"
#include "services/paidan/labels.h"
#include "services/paidan/proto_json.h"
#include "services/paidan/recall.h"
#include "services/paidan/tool.h"
#include "services/paidan/why_differ.h"

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
  struct why_asked {
    struct matching_verdict verdict;
    struct matching_standing standing;
    struct matching_facts facts;
  } *asked;     /* of the wave at hand, beside its candidates */
  size_t count;
  json_t *waves;
  json_t *wave; /* the one whose offers follow; borrowed */
  json_t *direct; /* offers beside the waves */
  int64_t dearest_m; /* of the wave's offers */
  char principal[80]; /* who asked for the direct offer at hand */
  char because[PROTO_NAME];
};

/* ---- what is told ---- */

static json_t *cost_json(const struct matching_cost *cost) {
  return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "way", (json_int_t)cost->way_m,
                   "fairness", (json_int_t)cost->fairness_m, "continuity",
                   (json_int_t)-cost->continuity_m, "rare", (json_int_t)cost->rare_m, "branch",
                   (json_int_t)-cost->branch_m, "rural", (json_int_t)-cost->rural_m, "mutual",
                   (json_int_t)-cost->mutual_m);
}

static json_t *verdict_json(const struct why *why, const struct matching_verdict *verdict) {
  char id[PD_ID_TEXT], name[PROTO_NAME] = "eligible", start[PD_TIME_TEXT] = "";
  struct label label = {"符合条件", "eligible"};
  if (verdict->reason != PD_REASON_UNSPECIFIED) {
    label = label_reason(verdict->reason);
    proto_enum(&paidan__v1__reason__descriptor, (int)verdict->reason, name);
  }
  if (verdict->start_ms != 0) pd_time_text(verdict->start_ms, why->tool->zone_min, start);
  const struct matching_cost *cost = &verdict->cost;
  json_t *parts = cost_json(cost);
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

/* One whom the core has judged, and how that person stood. */
static void note_candidate(struct why *why, json_t *list, const struct matching_verdict *verdict,
                           int64_t now_ms) {
  struct why_asked *asked = &why->asked[why->count++];
  asked->verdict = *verdict;
  enum pd_err err =
      matching_stand(why->recall.core, why->order, &verdict->person, now_ms, &asked->standing);
  pd_assert(err == PD_OK);
  err = matching_facts(why->recall.core, why->order, &verdict->person, now_ms, &asked->facts);
  pd_assert(err == PD_OK);
  json_array_append_new(list, verdict_json(why, verdict));
}

/* Ask the core, as it stood just before this event. */
static json_t *ask(struct why *why, int64_t now_ms) {
  json_t *list = json_array();
  if (why->one) {
    struct matching_verdict verdict;
    if (matching_explain(why->recall.core, why->order, &why->person, now_ms, &verdict) == PD_OK)
      note_candidate(why, list, &verdict, now_ms);
    return list;
  }
  uint32_t count =
      matching_candidates(why->recall.core, why->order, now_ms, why->list, (uint32_t)why->limit);
  for (uint32_t i = 0; i < count; i++) note_candidate(why, list, &why->list[i], now_ms);
  return list;
}

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
static void settle_candidate(const struct why *why, json_t *candidate,
                             const struct why_asked *asked) {
  struct label lower = label_reason(PD_REASON_RANKED_LOWER);
  struct why_differ text;
  enum pd_reason reason = asked->verdict.reason;
  bool invited = was_invited(why->wave, text_of(candidate, "volunteer"));
  if (reason == PD_REASON_UNSPECIFIED) reason = PD_REASON_RANKED_LOWER;
  if (invited) reason = PD_REASON_UNSPECIFIED;
  if (invited || reason == PD_REASON_RANKED_LOWER) {
    json_object_set_new(candidate, "verdict", json_string(invited ? "invited" : "ranked_lower"));
    json_object_set_new(candidate, "zh", json_string(invited ? "已邀请" : lower.zh));
    json_object_set_new(candidate, "en", json_string(invited ? "invited" : lower.en));
  }
  why_differ(&asked->verdict, &asked->standing, reason, why->dearest_m, why->tool->zone_min, &text);
  differ_lawful(&asked->facts, reason, why->tool->zone_min, &text);
  json_object_set_new(candidate, "rule", json_string(differ_rule(reason)));
  json_object_set_new(candidate, "differ_zh", json_string(text.zh));
  json_object_set_new(candidate, "differ_en", json_string(text.en));
}

/* All offers of the wave at hand have been seen: say of each candidate what came of it. */
static void end_wave(struct why *why) {
  const json_t *list = json_object_get(why->wave, "candidates");
  for (size_t i = 0; why->wave != NULL && i < why->count; i++)
    settle_candidate(why, json_array_get(list, i), &why->asked[i]);
  why->count = 0;
  why->wave = NULL;
  why->dearest_m = INT64_MIN;
}

static void begin_wave(struct why *why, const struct pd_event *event, uint32_t wave,
                       uint32_t considered, json_t *excluded) {
  char time[PD_TIME_TEXT];
  bool opened = event->body_case == PD_EVENT_WAVE_OPENED;
  end_wave(why);
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
  struct matching_cost cost = {.way_m = body->distance_m,
                               .fairness_m = body->fairness_m,
                               .continuity_m = body->continuity_m,
                               .rare_m = body->rare_m};
  cost.total_m = cost.way_m + cost.fairness_m + cost.rare_m - cost.continuity_m;
  if (cost.total_m > why->dearest_m) why->dearest_m = cost.total_m;
  json_array_append_new(
      json_object_get(why->wave, "invited"),
      json_pack("{s:s, s:I, s:i, s:I, s:o, s:i}", "volunteer", pd_id_text(&person, id), "offer",
                (json_int_t)body->offer, "distance_m", (int)body->distance_m, "cost_m",
                (json_int_t)cost.total_m, "cost_parts_m", cost_json(&cost), "price_m",
                (int)body->price_m));
}

/* ---- beside the waves ---- */

static void note_question(struct why *why, const struct pd_event *event) {
  const char *principal = event->origin != NULL ? event->origin->principal : "";
  snprintf(why->principal, sizeof why->principal, "%s", principal);
  why->because[0] = '\0';
  if (event->body_case == PD_EVENT_OFFER_COMMANDED)
    proto_enum(&paidan__v1__command_reason__descriptor, (int)event->offer_commanded->reason,
               why->because);
}

static void note_direct(struct why *why, const struct pd_event *event, enum pd_offer_how how,
                        ProtobufCBinaryData volunteer, enum pd_reason denied,
                        const struct pd_offer_made *made) {
  char id[PD_ID_TEXT], time[PD_TIME_TEXT], name[PROTO_NAME] = "offered";
  struct pd_id person = PD_ID(volunteer);
  json_t *overruled = json_array();
  for (size_t i = 0; made != NULL && i < made->n_overruled; i++) {
    proto_enum(&paidan__v1__reason__descriptor, (int)made->overruled[i], name);
    json_array_append_new(overruled, json_string(name));
  }
  snprintf(name, sizeof name, "offered");
  if (denied != PD_REASON_UNSPECIFIED)
    proto_enum(&paidan__v1__reason__descriptor, (int)denied, name);
  json_array_append_new(
      why->direct,
      json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "time",
                pd_time_text(event->time_ms, why->tool->zone_min, time), "how",
                how == PD_OFFER_HOW_COMMANDED ? "commanded" : "asked", "volunteer",
                pd_id_text(&person, id), "by", why->principal, "because", why->because, "outcome",
                name, "overruled", overruled));
}

static void look_beside(struct why *why, const struct pd_event *event) {
  const struct pd_offer_denied *denied = event->offer_denied;
  if (event->body_case == PD_EVENT_OFFER_COMMANDED && event->offer_commanded->order == why->order)
    note_question(why, event);
  if (event->body_case == PD_EVENT_ORDER_ASKED && event->order_asked->order == why->order)
    note_question(why, event);
  if (event->body_case == PD_EVENT_OFFER_DENIED && denied->order == why->order)
    note_direct(why, event, denied->how, denied->volunteer, denied->reason, NULL);
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
  const struct pd_offer_made *made = event->offer_made;
  bool offer = event->body_case == PD_EVENT_OFFER_MADE && made->order == why->order;
  if (offer && made->how != PD_OFFER_HOW_UNSPECIFIED)
    note_direct(why, event, made->how, made->volunteer, PD_REASON_UNSPECIFIED, made);
  else if (offer && why->wave != NULL)
    note_offer(why, made);
  look_beside(why, event);
}

/* ---- text ---- */

static void say_tally(const struct out *out, const json_t *excluded) {
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)excluded, key, value) {
    struct label label =
        label_reason((enum pd_reason)proto_enum_value(&paidan__v1__reason__descriptor, key));
    out_text(out, "    %6lld  %s  %s", (long long)json_integer_value(value), label.zh, label.en);
  }
}

static long long number_of(const json_t *object, const char *key) {
  return (long long)json_integer_value(json_object_get(object, key));
}

static void say_candidates(const struct out *out, const json_t *wave) {
  static const char *const heads[] = {"    volunteer", "metres",  "cost", "fairness", "known",
                                      "rare",          "verdict", "",     NULL};
  struct out_table table;
  size_t i;
  json_t *candidate;
  if (json_array_size(json_object_get(wave, "candidates")) == 0) return;
  out_table_begin(&table, heads);
  json_array_foreach(json_object_get(wave, "candidates"), i, candidate) {
    out_cell(&table, "    %s", text_of(candidate, "volunteer"));
    out_cell(&table, "%lld",
             (long long)json_integer_value(json_object_get(candidate, "distance_m")));
    const json_t *parts = json_object_get(candidate, "cost_parts_m");
    out_cell(&table, "%lld", number_of(candidate, "cost_m"));
    out_cell(&table, "%lld", number_of(parts, "fairness"));
    out_cell(&table, "%lld", number_of(parts, "continuity"));
    out_cell(&table, "%lld", number_of(parts, "rare"));
    out_cell(&table, "%s", text_of(candidate, "zh"));
    out_cell(&table, "%s", text_of(candidate, "en"));
  }
  out_table_end(&table, out);
}

/* Of the one who was asked about: what would have had to be different. */
static void say_differ(const struct out *out, const json_t *wave) {
  size_t i;
  json_t *candidate;
  json_array_foreach(json_object_get(wave, "candidates"), i, candidate) {
    if (text_of(candidate, "differ_zh")[0] == '\0') continue;
    if (text_of(candidate, "rule")[0] != '\0')
      out_text(out, "      依据 rule: %s", text_of(candidate, "rule"));
    out_text(out, "      %s", text_of(candidate, "differ_zh"));
    out_text(out, "      %s", text_of(candidate, "differ_en"));
  }
}

static void say_direct(const struct why *why) {
  size_t i, j;
  json_t *one, *rule;
  json_array_foreach(why->direct, i, one) {
    char overruled[128] = "";
    size_t used = 0;
    json_array_foreach(json_object_get(one, "overruled"), j, rule) {
      if (used >= sizeof overruled) break;
      int wrote = snprintf(overruled + used, sizeof overruled - used, "%s %s",
                           j == 0 ? ", 越过 overruled:" : ",", json_string_value(rule));
      used += wrote > 0 ? (size_t)wrote : 0;
    }
    bool commanded = strcmp(text_of(one, "how"), "commanded") == 0;
    out_text(&why->tool->out, "%s  %s %s (%s%s%s): %s%s", text_of(one, "time"),
             commanded ? "指名 named" : "抢单 asked in the hall", text_of(one, "volunteer"),
             text_of(one, "by"), commanded ? ", " : "", text_of(one, "because"),
             text_of(one, "outcome"), overruled);
  }
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
  if (why->one) say_differ(out, wave);
}

static void say_waves(const struct why *why) {
  size_t i, repeats = 0;
  json_t *wave;
  const json_t *before = NULL;
  json_array_foreach(why->waves, i, wave) {
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
  end_wave(why);
  if (json_array_size(why->waves) == 0 && json_array_size(why->direct) == 0) {
    return out_fail(&tool->out, PD_EXIT_FAULT, "matching has not looked at this order",
                    tool->args.words[0], "paidan order list");
  }
  say_waves(why);
  say_direct(why);
  out_object(&tool->out, json_pack("{s:I, s:O, s:O}", "order", (json_int_t)why->order, "waves",
                                   why->waves, "direct", why->direct));
  return 0;
}

static int cmd_why(struct tool *tool) {
  static struct why why;
  why = (struct why){.tool = tool,
                     .waves = json_array(),
                     .direct = json_array(),
                     .dearest_m = INT64_MIN};
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
    why.asked = calloc(why.limit, sizeof *why.asked);
    pd_assert(why.list != NULL && why.asked != NULL);
    code = run_why(&why);
  }
  free(why.list);
  free(why.asked);
  json_decref(why.direct);
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
