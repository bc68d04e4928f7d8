/* order, answer, service, hold - what residents, volunteers and sites say about orders, and what
 * became of them. */
#include "common/base/calendar.h"
#include "services/paidan/data.h"
#include "services/paidan/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPTION_DOOR \
  { "door", "NAME", "resident, volunteer, site or ops (default ops)" }
#define OPTION_KEY \
  { "key", "TEXT", "idempotency key (default: a fresh one)" }
#define OPTION_AS \
  { "as", "PERSON", "on whose behalf this is said, 32 hexadecimal digits" }

/* ---- common ---- */

/* The actor of --as, if given. */
static int set_actor(struct tool *tool, struct pd_command *command, struct pd_id *actor) {
  const char *text = args_get(&tool->args, "as");
  if (text == NULL) return 0;
  int code = tool_person(tool, text, actor);
  if (code == 0) command->actor = pd_bytes(actor);
  return code;
}

/* Who speaks at a terminal has seen what matching said until now: intake is to have heard it, too.
 * Where the logs cannot be read from here, the command goes without. */
static void set_seen(struct tool *tool, struct pd_command *command, struct pd_position *seen) {
  struct pd_redis_options options = tool_log_redis(tool);
  struct pd_store_now *store = NULL;
  struct pd_tail tail = {0};
  *seen = (struct pd_position)PD_POSITION_INIT;
  if (tool->shard == 0) return;
  enum pd_err err = pd_store_now_open(&store, &options, tool->shard, NULL, 0);
  if (err == PD_OK) err = pd_store_tail_now(store, "matching", &tail);
  pd_store_now_close(store);
  if (err != PD_OK || tail.last_seq == 0) return;
  seen->log = PD_LOG_MATCHING;
  seen->seq = tail.last_seq;
  command->seen = seen;
}

/* Send it and print the ack. */
static int say_command(struct tool *tool, struct pd_command *command, const char *done) {
  struct pd_reply *reply = NULL;
  struct pd_position seen;
  struct pd_id actor;
  int code = set_actor(tool, command, &actor);
  if (code == 0) set_seen(tool, command, &seen);
  if (code == 0) code = tool_send(tool, "ops", command, &reply);
  command->actor = (ProtobufCBinaryData){0}; /* what they point to ends with this call */
  command->seen = NULL;
  if (code != 0) return code;
  const struct pd_ack *ack = reply->ack;
  out_text(&tool->out, "%s%s (recorded as %s %llu)", done, ack->duplicate ? ", as before" : "",
           pd_log_name(ack->position->log), (unsigned long long)ack->position->seq);
  out_object(&tool->out, json_pack("{s:o}", "ack", proto_json(&ack->base, tool->zone_min)));
  paidan__v1__reply__free_unpacked(reply, NULL);
  return 0;
}

static int parse_number(struct tool *tool, const char *text, uint32_t *value) {
  uint64_t number;
  if (!args_digits(text, UINT32_MAX, &number)) return tool_usage(tool, "a number is expected");
  *value = (uint32_t)number;
  return 0;
}

/* ---- order place ---- */

struct placing {
  struct pd_place_order body;
  struct pd_point point;
  struct pd_id requester;
  enum pd_skill skills[8];
  enum pd_demand demands[PAPERS_DEMANDS];
};

static int place_skills(struct tool *tool, struct placing *placing, const char *text) {
  char copy[256];
  if (text == NULL || text[0] == '\0') return 0;
  snprintf(copy, sizeof copy, "%s", text);
  char *rest = NULL;
  for (char *word = strtok_r(copy, ",|", &rest); word != NULL; word = strtok_r(NULL, ",|", &rest)) {
    enum pd_skill skill = data_skill(word);
    if (skill == PD_SKILL_UNSPECIFIED || placing->body.n_skills >= 8) {
      return tool_usage(tool,
                        "--skills: at most 8 of the contract's skills, e.g. driving,first_aid");
    }
    placing->skills[placing->body.n_skills++] = skill;
  }
  placing->body.skills = placing->skills;
  return 0;
}

static int place_point(struct tool *tool, struct placing *placing) {
  const char *lon = args_get(&tool->args, "lon"), *lat = args_get(&tool->args, "lat");
  const char *datum = args_get(&tool->args, "datum");
  placing->point = (struct pd_point)PD_POINT_INIT;
  int value = proto_enum_value(&paidan__v1__datum__descriptor, datum == NULL ? "wgs84" : datum);
  if (value <= 0) return tool_usage(tool, "--datum must be wgs84, gcj02 or bd09");
  placing->point.datum = (enum pd_datum)value;
  if (lon == NULL || lat == NULL || !data_degrees(lon, 180, &placing->point.lon_e7) ||
      !data_degrees(lat, 90, &placing->point.lat_e7)) {
    return tool_usage(tool, "--lon and --lat say where, in degrees");
  }
  placing->body.point = &placing->point;
  return 0;
}

static int place_times(struct tool *tool, struct placing *placing) {
  const char *from = args_get(&tool->args, "from"), *to = args_get(&tool->args, "to");
  uint64_t minutes;
  if (args_number(&tool->args, "minutes", 5, 1440, 60, &minutes) != PD_OK) {
    return tool_usage(tool, tool->args.wrong);
  }
  placing->body.minutes = (uint32_t)minutes;
  placing->body.window_start_ms = tool_now_ms(tool) + PD_HOUR_MS;
  if (from != NULL && !pd_time_parse(from, &placing->body.window_start_ms)) {
    return tool_usage(tool, "--from must be a time like 2025-03-01T08:00:00+08:00");
  }
  placing->body.window_end_ms = placing->body.window_start_ms + 4 * PD_HOUR_MS;
  if (to != NULL && !pd_time_parse(to, &placing->body.window_end_ms)) {
    return tool_usage(tool, "--to must be a time like 2025-03-01T12:00:00+08:00");
  }
  return 0;
}

/* An enum option by its short name; `otherwise` when it is not given. */
static int place_choice(struct tool *tool, const char *option, const ProtobufCEnumDescriptor *type,
                        int otherwise, int *value) {
  char why[80];
  const char *text = args_get(&tool->args, option);
  *value = text == NULL ? otherwise : proto_enum_value(type, text);
  if (*value > 0) return 0;
  snprintf(why, sizeof why, "--%s is none of the contract's words", option);
  return tool_usage(tool, why);
}

static int place_words(struct tool *tool, struct placing *placing) {
  struct pd_place_order *body = &placing->body;
  const char *category = args_get(&tool->args, "category");
  int kind = 0, urgency = 0, channel = 0;
  if (category == NULL) return tool_usage(tool, "--category says what kind of help, e.g. errand");
  body->category = (char *)category;
  int code = place_choice(tool, "kind", &paidan__v1__order_kind__descriptor,
                          (int)data_order_kind(category), &kind);
  if (code == 0) {
    code = place_choice(tool, "urgency", &paidan__v1__urgency__descriptor, PD_URGENCY_ROUTINE,
                        &urgency);
  }
  if (code == 0) {
    code = place_choice(tool, "channel", &paidan__v1__channel__descriptor, PD_CHANNEL_COUNTER,
                        &channel);
  }
  const char *note = args_get(&tool->args, "note"), *address = args_get(&tool->args, "address");
  if (note != NULL) body->note = (char *)note;
  if (address != NULL) body->address = (char *)address;
  body->sensitive = args_get(&tool->args, "sensitive") != NULL;
  body->kind = (enum pd_order_kind)kind;
  body->urgency = (enum pd_urgency)urgency;
  body->channel = (enum pd_channel)channel;
  return code;
}

/* What the task asks of its helpers. */
static int place_demands(struct tool *tool, struct placing *placing) {
  const char *demands = args_get(&tool->args, "demands");
  int gender = 0, code = 0;
  placing->body.dangerous = args_get(&tool->args, "dangerous") != NULL;
  if (args_get(&tool->args, "gender") != NULL)
    code = place_choice(tool, "gender", &paidan__v1__gender__descriptor, 0, &gender);
  placing->body.gender = (enum pd_gender)gender;
  placing->body.demands = placing->demands;
  if (code != 0 || demands == NULL) return code;
  if (papers_demands(demands, placing->demands, &placing->body.n_demands)) return 0;
  return tool_usage(tool, "--demands is like heavy|heights: of heavy, heights, stairs, standing, "
                          "outdoors, night, animals, dust");
}

static int cmd_place(struct tool *tool) {
  struct placing placing = {.body = PD_PLACE_ORDER_INIT};
  struct pd_command command = PD_COMMAND_INIT;
  uint64_t need;
  int code = tool_person(tool, args_get(&tool->args, "for"), &placing.requester);
  if (args_number(&tool->args, "need", 1, 64, 1, &need) != PD_OK)
    return tool_usage(tool, tool->args.wrong);
  placing.body.requester = pd_bytes(&placing.requester);
  placing.body.need = (uint32_t)need;
  if (code == 0) code = place_words(tool, &placing);
  if (code == 0) code = place_point(tool, &placing);
  if (code == 0) code = place_times(tool, &placing);
  if (code == 0) code = place_skills(tool, &placing, args_get(&tool->args, "skills"));
  if (code == 0) code = place_demands(tool, &placing);
  if (code != 0) return code;
  command.body_case = PD_COMMAND_PLACE_ORDER;
  command.place_order = &placing.body;
  struct pd_reply *reply = NULL;
  struct pd_id actor;
  code = set_actor(tool, &command, &actor);
  if (code == 0) code = tool_send(tool, "ops", &command, &reply);
  if (code != 0) return code;
  out_text(&tool->out, "order %llu is placed%s; follow it: paidan trace %llu",
           (unsigned long long)reply->ack->id, reply->ack->duplicate ? " (as before)" : "",
           (unsigned long long)reply->ack->id);
  out_object(&tool->out, json_pack("{s:o}", "ack", proto_json(&reply->ack->base, tool->zone_min)));
  paidan__v1__reply__free_unpacked(reply, NULL);
  return 0;
}

/* ---- order cancel, rate ---- */

static int cmd_cancel(struct tool *tool) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_cancel_order body = PD_CANCEL_ORDER_INIT;
  int code = tool_order(tool, tool->args.words[0], &body.order);
  command.body_case = PD_COMMAND_CANCEL_ORDER;
  command.cancel_order = &body;
  return code != 0 ? code : say_command(tool, &command, "cancelled");
}

static int cmd_rate(struct tool *tool) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_rate_order body = PD_RATE_ORDER_INIT;
  int code = tool_order(tool, tool->args.words[0], &body.order);
  if (code == 0) code = parse_number(tool, tool->args.words[1], &body.stars);
  const char *comment = args_get(&tool->args, "comment");
  if (comment != NULL) body.comment = (char *)comment;
  command.body_case = PD_COMMAND_RATE_ORDER;
  command.rate_order = &body;
  return code != 0 ? code : say_command(tool, &command, "rated");
}

/* ---- order show, list ---- */

/* Everything that the logs say, in memory. */
static int look(struct tool *tool, struct view *view) {
  struct pd_store_now *store = NULL;
  *view = (struct view){0};
  int code = tool_store(tool, &store);
  if (code == 0) code = view_load(view, tool, store);
  pd_store_now_close(store);
  return code;
}

static void show_slots(struct tool *tool, const struct view_order *order) {
  static const char *const heads[] = {"slot", "state", "volunteer", "from", "minutes", NULL};
  static const char *const states[] = {"free", "booked", "started", "finished", "confirmed"};
  struct out_table table;
  char id[PD_ID_TEXT], time[PD_TIME_TEXT];
  out_table_begin(&table, heads);
  for (size_t i = 0; i < order->n_slots; i++) {
    const struct view_slot *slot = &order->slots[i];
    bool taken = slot->state != VIEW_FREE;
    out_cell(&table, "%zu", i + 1);
    out_cell(&table, "%s", states[slot->state]);
    out_cell(&table, "%s", taken ? pd_id_text(&slot->volunteer, id) : "-");
    out_cell(&table, "%s", taken ? pd_time_text(slot->start_ms, tool->zone_min, time) : "-");
    out_cell(&table, "%u", slot->minutes);
  }
  out_table_end(&table, &tool->out);
}

static void show_offers(struct tool *tool, const struct view *view,
                        const struct view_order *order) {
  static const char *const heads[] = {"offer", "wave", "volunteer", "metres",
                                      "state", "made", NULL};
  struct out_table table;
  char id[PD_ID_TEXT], time[PD_TIME_TEXT], reason[PROTO_NAME];
  if (order->offer_count == 0) return;
  out_table_begin(&table, heads);
  for (size_t i = 0; i < order->offer_count; i++) {
    const struct view_offer *offer = view_offer(view, order->offers[i]);
    proto_enum(&paidan__v1__reason__descriptor, (int)offer->reason, reason);
    out_cell(&table, "%llu", (unsigned long long)order->offers[i]);
    out_cell(&table, "%u", offer->wave);
    out_cell(&table, "%s", pd_id_text(&offer->volunteer, id));
    out_cell(&table, "%u", offer->distance_m);
    out_cell(&table, "%s", offer->open ? "open" : offer->won ? "won" : reason);
    out_cell(&table, "%s", pd_time_text(offer->made_ms, tool->zone_min, time));
  }
  out_table_end(&table, &tool->out);
}

static void show_order(struct tool *tool, const struct view *view, const struct view_order *order) {
  char state[PROTO_NAME], kind[PROTO_NAME], from[PD_TIME_TEXT], to[PD_TIME_TEXT],
      placed[PD_TIME_TEXT];
  char id[PD_ID_TEXT];
  const struct view_site *site = view_site(view, order->site);
  proto_enum(&paidan__v1__order_state__descriptor, (int)order->state, state);
  proto_enum(&paidan__v1__order_kind__descriptor, (int)order->kind, kind);
  pd_time_text(order->window_start_ms, tool->zone_min, from);
  pd_time_text(order->window_end_ms, tool->zone_min, to);
  pd_time_text(order->placed_ms, tool->zone_min, placed);
  out_text(&tool->out, "order %llu: %s   %s (%s), %u wanted, %u minutes",
           (unsigned long long)order->number, state, order->category, kind, order->need,
           order->minutes);
  out_text(&tool->out, "  placed %s by %s at %s %s", placed, pd_id_text(&order->requester, id),
           site == NULL ? "-" : site->ref, site == NULL ? "" : site->name);
  out_text(&tool->out, "  between %s and %s; waves: %u; stars: %u", from, to, order->waves,
           order->stars);
  show_slots(tool, order);
  show_offers(tool, view, order);
}

static int cmd_show(struct tool *tool) {
  struct view view;
  uint64_t number;
  int code = tool_order(tool, tool->args.words[0], &number);
  if (code != 0) return code;
  code = look(tool, &view);
  const struct view_order *order = code == 0 ? view_order(&view, number) : NULL;
  if (code == 0 && order == NULL) {
    code = out_fail(&tool->out, PD_EXIT_FAULT, "there is no such order", tool->args.words[0],
                    "paidan order list");
  }
  if (order != NULL) {
    if (!tool->out.json) show_order(tool, &view, order);
    out_object(&tool->out, view_order_json(&view, order, tool));
  }
  view_close(&view);
  return code;
}

struct filter {
  uint32_t site; /* 0: all */
  int state;     /* 0: all */
  int64_t before_ms;
  uint64_t limit;
};

/* "90m", "36h", "7d" in milliseconds; false for anything else. */
static bool parse_age(const char *text, int64_t *age_ms) {
  char *end = NULL;
  unsigned long long value = strtoull(text, &end, 10);
  if (end == text || value > 1000000 || end[0] == '\0' || end[1] != '\0') return false;
  int64_t unit = *end == 'm'   ? PD_MINUTE_MS
                 : *end == 'h' ? PD_HOUR_MS
                 : *end == 'd' ? PD_DAY_MS
                               : 0;
  *age_ms = (int64_t)value * unit;
  return unit != 0;
}

static int read_filter(struct tool *tool, const struct view *view, struct filter *filter) {
  const char *site = args_get(&tool->args, "site"), *state = args_get(&tool->args, "state");
  const char *age = args_get(&tool->args, "older-than");
  int64_t age_ms = 0;
  filter->before_ms = INT64_MAX;
  if (args_number(&tool->args, "limit", 1, 1000000, 1000, &filter->limit) != PD_OK) {
    return tool_usage(tool, tool->args.wrong);
  }
  if (site != NULL) {
    const struct view_site *found = view_site_of(view, site);
    if (found == NULL) return tool_usage(tool, "--site must be the id of a site, e.g. S0");
    filter->site = found->number;
  }
  if (state != NULL && strcmp(state, "all") != 0) {
    filter->state = proto_enum_value(&paidan__v1__order_state__descriptor, state);
    if (filter->state <= 0)
      return tool_usage(tool, "--state must be a state, e.g. open, staffed, serving");
  }
  if (age != NULL && !parse_age(age, &age_ms))
    return tool_usage(tool, "--older-than must be like 90m, 36h or 7d");
  if (age != NULL) filter->before_ms = tool_now_ms(tool) - age_ms;
  return 0;
}

static bool passes(const struct view *view, const struct filter *filter,
                   const struct view_order *order) {
  if (order->number == 0 || order->placed_ms > filter->before_ms) return false;
  if (filter->state != 0 && (int)order->state != filter->state) return false;
  return filter->site == 0 || view_site_within(view, order->site, filter->site);
}

static void list_row(struct tool *tool, const struct view *view, const struct view_order *order,
                     struct out_table *table) {
  char state[PROTO_NAME], placed[PD_TIME_TEXT], from[PD_TIME_TEXT];
  const struct view_site *site = view_site(view, order->site);
  uint32_t taken = 0;
  for (size_t i = 0; i < order->n_slots; i++) taken += order->slots[i].state != VIEW_FREE;
  out_cell(table, "%llu", (unsigned long long)order->number);
  out_cell(table, "%s", proto_enum(&paidan__v1__order_state__descriptor, (int)order->state, state));
  out_cell(table, "%s", order->category);
  out_cell(table, "%u/%u", taken, order->need);
  out_cell(table, "%s", site == NULL ? "-" : site->ref);
  out_cell(table, "%.16s", pd_time_text(order->placed_ms, tool->zone_min, placed));
  out_cell(table, "%.16s", pd_time_text(order->window_start_ms, tool->zone_min, from));
}

static int cmd_list(struct tool *tool) {
  static const char *const heads[] = {"order", "state",  "category", "filled",
                                      "site",  "placed", "from",     NULL};
  struct view view;
  struct filter filter = {0};
  struct out_table table;
  int code = look(tool, &view);
  if (code == 0) code = read_filter(tool, &view, &filter);
  uint64_t listed = 0;
  out_table_begin(&table, heads);
  for (size_t i = 0; code == 0 && i < view.order_count && listed < filter.limit; i++) {
    const struct view_order *order = &view.orders[i];
    if (!passes(&view, &filter, order)) continue;
    listed++;
    list_row(tool, &view, order, &table);
    if (tool->out.json) out_object(&tool->out, view_order_json(&view, order, tool));
  }
  if (code == 0)
    out_table_end(&table, &tool->out);
  else
    out_table_drop(&table);
  if (code == 0) out_text(&tool->out, "%llu orders", (unsigned long long)listed);
  view_close(&view);
  return code;
}

/* ---- answer ---- */

/* Read matching's log from where it ended before the answer, until the offer ends.  The ack means
 * recorded; this is what came of it. */
static int wait_outcome(struct tool *tool, struct pd_store_now *store, uint64_t from,
                        uint64_t offer) {
  static uint8_t memory[256u << 10];
  struct cursor cursor;
  char reason[PROTO_NAME];
  cursor_open(&cursor, store, PD_LOG_MATCHING, from);
  for (int turn = 0; turn < 500;) {
    struct pd_entry_item item;
    enum pd_err err = cursor_item(&cursor, &item);
    if (err == PD_ENOENT) {
      usleep(20000);
      turn++;
      continue;
    }
    if (err != PD_OK) break;
    struct pd_arena arena;
    pd_arena_init(&arena, memory, sizeof memory);
    if (item.log != PD_LOG_UNSPECIFIED) continue;
    const struct pd_event *event = pd_event_unpack(&arena, item.event, item.size);
    if (event == NULL) continue;
    bool won = event->body_case == PD_EVENT_SLOT_FILLED && event->slot_filled->offer == offer;
    bool lost = event->body_case == PD_EVENT_OFFER_CLOSED && event->offer_closed->offer == offer;
    if (!won && !lost) continue;
    if (won)
      out_text(&tool->out, "booked: order %llu, slot %u",
               (unsigned long long)event->slot_filled->order, event->slot_filled->slot);
    else
      out_text(
          &tool->out, "the offer ended: %s",
          proto_enum(&paidan__v1__reason__descriptor, (int)event->offer_closed->reason, reason));
    out_object(&tool->out, json_pack("{s:b, s:o}", "booked", won, "outcome",
                                     proto_json_event(event, tool->zone_min)));
    cursor_close(&cursor);
    return 0;
  }
  cursor_close(&cursor);
  return out_fail(&tool->out, PD_EXIT_DOWN,
                  "the answer is recorded, but its outcome is not known yet",
                  "matching has not said anything for 10 s", "paidan status; paidan trace ORDER");
}

static int cmd_answer(struct tool *tool) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_answer_offer body = PD_ANSWER_OFFER_INIT;
  struct pd_store_now *store = NULL;
  struct pd_tail tail = {0};
  struct pd_position seen = PD_POSITION_INIT;
  struct pd_id actor;
  struct pd_reply *reply = NULL;
  int code = tool_order(tool, tool->args.words[0], &body.offer);
  if (code != 0) return code;
  body.accept = strcmp(tool->args.words[1], "accept") == 0;
  if (!body.accept && strcmp(tool->args.words[1], "decline") != 0)
    return tool_usage(tool, "say accept or decline");
  command.body_case = PD_COMMAND_ANSWER_OFFER;
  command.answer_offer = &body;
  code = set_actor(tool, &command, &actor);
  if (code == 0) code = tool_store(tool, &store);
  if (code == 0 && pd_store_tail_now(store, "matching", &tail) != PD_OK) {
    code = out_fail(&tool->out, PD_EXIT_DOWN, "matching's log cannot be read", NULL, tool_advice);
  }
  seen.log = PD_LOG_MATCHING;
  seen.seq = tail.last_seq;
  if (tail.last_seq > 0) command.seen = &seen;
  if (code == 0) code = tool_send(tool, "ops", &command, &reply);
  if (code == 0)
    code = wait_outcome(tool, store, reply->ack->duplicate ? 1 : tail.last_seq + 1, body.offer);
  if (reply != NULL) paidan__v1__reply__free_unpacked(reply, NULL);
  pd_store_now_close(store);
  return code;
}

/* ---- service, withdraw, hold ---- */

static int order_and_slot(struct tool *tool, uint64_t *order, uint32_t *slot) {
  int code = tool_order(tool, tool->args.words[0], order);
  if (code == 0 && tool->args.count > 1) code = parse_number(tool, tool->args.words[1], slot);
  return code;
}

static int cmd_start(struct tool *tool) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_start_service body = PD_START_SERVICE_INIT;
  int code = order_and_slot(tool, &body.order, &body.slot);
  command.body_case = PD_COMMAND_START_SERVICE;
  command.start_service = &body;
  return code != 0 ? code : say_command(tool, &command, "started");
}

static int cmd_finish(struct tool *tool) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_finish_service body = PD_FINISH_SERVICE_INIT;
  int code = order_and_slot(tool, &body.order, &body.slot);
  command.body_case = PD_COMMAND_FINISH_SERVICE;
  command.finish_service = &body;
  return code != 0 ? code : say_command(tool, &command, "finished");
}

static int cmd_confirm(struct tool *tool) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_confirm_service body = PD_CONFIRM_SERVICE_INIT;
  uint64_t minutes;
  int code = order_and_slot(tool, &body.order, &body.slot);
  if (args_number(&tool->args, "minutes", 1, 1440, 0, &minutes) != PD_OK)
    return tool_usage(tool, tool->args.wrong);
  body.minutes = (uint32_t)minutes;
  command.body_case = PD_COMMAND_CONFIRM_SERVICE;
  command.confirm_service = &body;
  return code != 0 ? code : say_command(tool, &command, "confirmed");
}

static int cmd_withdraw(struct tool *tool) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_withdraw body = PD_WITHDRAW_INIT;
  int code = order_and_slot(tool, &body.order, &body.slot);
  command.body_case = PD_COMMAND_WITHDRAW;
  command.withdraw = &body;
  return code != 0 ? code : say_command(tool, &command, "withdrawn");
}

static int decide_hold(struct tool *tool, bool approve) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_decide_hold body = PD_DECIDE_HOLD_INIT;
  int code = tool_order(tool, tool->args.words[0], &body.hold);
  body.approve = approve;
  command.body_case = PD_COMMAND_DECIDE_HOLD;
  command.decide_hold = &body;
  return code != 0 ? code : say_command(tool, &command, approve ? "approved" : "voided");
}

static int cmd_approve(struct tool *tool) { return decide_hold(tool, true); }
static int cmd_void(struct tool *tool) { return decide_hold(tool, false); }

/* ---- the table ---- */

static const struct option_row say_options[] = {
    OPTION_AS, OPTION_DOOR, OPTION_KEY, {NULL, NULL, NULL}};
static const struct option_row rate_options[] = {
    {"comment", "TEXT", "the resident's words; sealed"},
    OPTION_AS,
    OPTION_DOOR,
    OPTION_KEY,
    {NULL, NULL, NULL}};
static const struct option_row confirm_options[] = {
    {"minutes", "N", "grant fewer minutes than were served"},
    OPTION_AS,
    OPTION_DOOR,
    OPTION_KEY,
    {NULL, NULL, NULL}};
static const struct option_row list_options[] = {
    {"site", "REF", "only of this site and those below it"},
    {"state", "STATE",
     "only in this state: open, staffed, serving, served, confirmed, completed ..."},
    {"older-than", "AGE", "only placed so long ago: 90m, 36h, 7d"},
    {"limit", "N", "at most so many (default 1000)"},
    {NULL, NULL, NULL},
};
static const struct option_row place_options[] = {
    {"for", "PERSON", "who asks: 32 hexadecimal digits"},
    {"category", "WORD", "what kind of help, e.g. errand, repair, clean"},
    {"lon", "DEGREES", "where: longitude"},
    {"lat", "DEGREES", "and latitude"},
    {"datum", "NAME", "of which map: wgs84 (default), gcj02, bd09"},
    {"from", "TIME", "the service is to begin no earlier (default in one hour)"},
    {"to", "TIME", "and to end no later (default 4 hours after that)"},
    {"minutes", "N", "expected length, 5 to 1440 (default 60)"},
    {"need", "N", "helpers wanted, 1 to 64 (default 1)"},
    {"skills", "LIST", "each helper needs them all, e.g. driving,first_aid"},
    {"kind", "KIND", "wish, appeal, report, work, visit, menu, emergency (default by category)"},
    {"urgency", "WORD", "routine (default), soon, urgent, emergency"},
    {"channel", "WORD", "miniprogram, phone, counter (default), grid_worker, hotline"},
    {"sensitive", NULL, "only vetted volunteers"},
    {"dangerous", NULL, "bodily danger: only insured volunteers"},
    {"gender", "WORD", "female or male helpers only, where the rules list the category"},
    {"demands", "LIST", "what it asks of the body, e.g. heavy|heights"},
    {"note", "TEXT", "wishes in the resident's words; sealed"},
    {"address", "TEXT", "where exactly; sealed"},
    OPTION_AS,
    OPTION_DOOR,
    OPTION_KEY,
    {NULL, NULL, NULL},
};

const struct command order_commands[] = {
    {"order place", "", "Places an order 点单; offers go out at once.",
     "paidan order place --for 0123456789abcdef0123456789abcdef --category errand --lon 116.53 "
     "--lat 39.97",
     place_options, 0, 0, cmd_place},
    {"order show", "ORDER", "Shows one order with its slots and offers.", "paidan order show 17",
     NULL, 1, 1, cmd_show},
    {"order list", "", "Lists orders by site, state and age.",
     "paidan order list --state open --older-than 36h", list_options, 0, 0, cmd_list},
    {"order cancel", "ORDER", "Withdraws an order that nobody has started.",
     "paidan order cancel 17", say_options, 1, 1, cmd_cancel},
    {"order rate", "ORDER STARS", "Rates a served order 评单, 1 to 5 stars.",
     "paidan order rate 17 5 --as 0123456789abcdef0123456789abcdef", rate_options, 2, 2, cmd_rate},
    {"answer", "OFFER accept|decline", "Answers an offer 接单 and waits for what comes of it.",
     "paidan answer 42 accept --as 0123456789abcdef0123456789abcdef", say_options, 2, 2,
     cmd_answer},
    {"service start", "ORDER SLOT", "A booked volunteer begins.", "paidan service start 17 1",
     say_options, 2, 2, cmd_start},
    {"service finish", "ORDER SLOT", "A volunteer has finished.", "paidan service finish 17 1",
     say_options, 2, 2, cmd_finish},
    {"service confirm", "ORDER [SLOT]",
     "The resident or the site confirms what was served (all slots, or one).",
     "paidan service confirm 17 --door site", confirm_options, 1, 2, cmd_confirm},
    {"service withdraw", "ORDER SLOT", "A booked volunteer cannot come; somebody else is asked.",
     "paidan service withdraw 17 1", say_options, 2, 2, cmd_withdraw},
    {"hold approve", "HOLD", "A second person grants hours that are held.",
     "paidan hold approve 3 --door site", say_options, 1, 1, cmd_approve},
    {"hold void", "HOLD", "A second person refuses hours that are held.",
     "paidan hold void 3 --door site", say_options, 1, 1, cmd_void},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
