/* hall - the open hall 接单大厅: what is open for a volunteer, asking for it, and a coordinator's
 * naming of somebody.
 *
 * What is open is read by replaying the matcher's core, as `why` does: the list and the answer to
 * `order ask` go by the same rules.
 */
#include "common/base/calendar.h"
#include "services/paidan/ids.h"
#include "services/paidan/labels.h"
#include "services/paidan/proto_json.h"
#include "services/paidan/recall.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ORDERS_MAX 16384 /* of a shard at one time: pd_limits_district */
#define CATEGORY   33

/* ---- the list ---- */

struct hall {
  struct tool *tool;
  struct recall recall;
  struct matching_hall_order *list;
  char (*categories)[CATEGORY]; /* by order */
  size_t room;
  uint32_t count;
  bool all;
  bool zero[3];
};

/* Remember the operator's word for each order: the core has no use for it. */
static void look(void *context, const struct pd_event *event) {
  struct hall *hall = context;
  if (event->body_case != PD_EVENT_ORDER_PLACED) return;
  const struct pd_order_placed *body = event->order_placed;
  if (body->order > UINT32_MAX) return;
  hall->categories = ids_grow(hall->categories, &hall->room, (size_t)body->order + 1,
                              sizeof *hall->categories);
  snprintf(hall->categories[body->order], CATEGORY, "%s", body->category);
}

static int by_way(const void *a, const void *b) {
  const struct matching_hall_order *x = a, *y = b;
  bool open_x = x->verdict.reason == PD_REASON_UNSPECIFIED;
  bool open_y = y->verdict.reason == PD_REASON_UNSPECIFIED;
  if (open_x != open_y) return open_x ? -1 : 1;
  if (x->verdict.distance_m != y->verdict.distance_m)
    return x->verdict.distance_m < y->verdict.distance_m ? -1 : 1;
  return x->order < y->order ? -1 : 1;
}

static const char *category_of(const struct hall *hall, uint64_t order) {
  return order < hall->room ? hall->categories[order] : "";
}

static json_t *order_json(const struct hall *hall, const struct matching_hall_order *order) {
  char kind[PROTO_NAME], urgency[PROTO_NAME], reason[PROTO_NAME] = "open";
  char from[PD_TIME_TEXT], to[PD_TIME_TEXT], start[PD_TIME_TEXT] = "";
  int32_t zone = hall->tool->zone_min;
  struct label label = {"可接", "open"};
  if (order->verdict.reason != PD_REASON_UNSPECIFIED) {
    label = label_reason(order->verdict.reason);
    proto_enum(&paidan__v1__reason__descriptor, (int)order->verdict.reason, reason);
  }
  if (order->verdict.start_ms != 0) pd_time_text(order->verdict.start_ms, zone, start);
  return json_pack("{s:I, s:s, s:s, s:s, s:i, s:i, s:i, s:s, s:s, s:s, s:s, s:s, s:s}", "order",
                   (json_int_t)order->order, "kind",
                   proto_enum(&paidan__v1__order_kind__descriptor, (int)order->kind, kind),
                   "category", category_of(hall, order->order), "urgency",
                   proto_enum(&paidan__v1__urgency__descriptor, (int)order->urgency, urgency),
                   "distance_m", (int)order->verdict.distance_m, "minutes", (int)order->minutes,
                   "free_slots", (int)order->free_slots, "from",
                   pd_time_text(order->window_start_ms, zone, from), "to",
                   pd_time_text(order->window_end_ms, zone, to), "start", start, "verdict", reason,
                   "zh", label.zh, "en", label.en);
}

static void list_row(const struct hall *hall, const struct matching_hall_order *order,
                     struct out_table *table) {
  char time[PD_TIME_TEXT];
  bool open = order->verdict.reason == PD_REASON_UNSPECIFIED;
  int64_t start_ms = open ? order->verdict.start_ms : order->window_start_ms;
  struct label label = {"可接", "open"};
  if (!open) label = label_reason(order->verdict.reason);
  out_cell(table, "%llu", (unsigned long long)order->order);
  out_cell(table, "%s", category_of(hall, order->order));
  out_cell(table, "%u", order->verdict.distance_m);
  out_cell(table, "%.16s", pd_time_text(start_ms, hall->tool->zone_min, time));
  out_cell(table, "%u", order->minutes);
  out_cell(table, "%u", order->free_slots);
  out_cell(table, "%s %s", label.zh, label.en);
}

static void show(struct hall *hall, uint64_t limit) {
  static const char *const heads[] = {"order",   "category", "metres", "start",
                                      "minutes", "free",     "",       NULL};
  struct out_table table;
  uint64_t shown = 0, open = 0;
  out_table_begin(&table, heads);
  for (uint32_t i = 0; i < hall->count; i++) {
    const struct matching_hall_order *order = &hall->list[i];
    bool may = order->verdict.reason == PD_REASON_UNSPECIFIED;
    open += may;
    if ((!may && !hall->all) || shown == limit) continue;
    shown++;
    list_row(hall, order, &table);
    if (hall->tool->out.json) out_object(&hall->tool->out, order_json(hall, order));
  }
  out_table_end(&table, &hall->tool->out);
  out_text(&hall->tool->out, "可接 %llu 单, open: %llu; in the hall: %u",
           (unsigned long long)open, (unsigned long long)open, hall->count);
}

static int cmd_hall(struct tool *tool) {
  static struct hall hall;
  struct pd_id person;
  uint64_t limit;
  hall = (struct hall){.tool = tool, .all = args_get(&tool->args, "all") != NULL};
  int code = tool_person(tool, tool->args.words[0], &person);
  if (code == 0 && args_number(&tool->args, "limit", 1, ORDERS_MAX, 20, &limit) != PD_OK)
    code = tool_usage(tool, tool->args.wrong);
  if (code == 0) code = recall_run(&hall.recall, tool, look, &hall);
  if (code == 0) {
    hall.list = calloc(ORDERS_MAX, sizeof *hall.list);
    pd_assert(hall.list != NULL);
    hall.count =
        matching_hall(hall.recall.core, &person, tool_now_ms(tool), hall.list, ORDERS_MAX);
    qsort(hall.list, hall.count, sizeof *hall.list, by_way);
    show(&hall, limit);
  }
  recall_close(&hall.recall);
  free(hall.list);
  free(hall.categories);
  return code;
}

/* ---- asking, and what comes of it ---- */

static bool follows(const struct pd_event *event, uint64_t seq) {
  return event->cause != NULL && event->cause->log == PD_LOG_INTAKE && event->cause->seq == seq;
}

static int tell_outcome(struct tool *tool, const struct pd_event *event) {
  char reason[PROTO_NAME];
  const struct pd_offer_made *made = event->offer_made;
  const struct pd_slot_filled *filled = event->slot_filled;
  if (event->body_case == PD_EVENT_SLOT_FILLED) {
    out_text(&tool->out, "接单成功 booked: order %llu, slot %u", (unsigned long long)filled->order,
             filled->slot);
  } else if (event->body_case == PD_EVENT_OFFER_MADE) {
    out_text(&tool->out, "已派单 offer %llu is made; it may be refused: paidan trace %llu",
             (unsigned long long)made->offer, (unsigned long long)made->order);
  } else {
    struct label label = label_reason(event->offer_denied->reason);
    out_text(&tool->out, "未能派单 denied: %s: %s %s",
             proto_enum(&paidan__v1__reason__descriptor, (int)event->offer_denied->reason, reason),
             label.zh, label.en);
  }
  bool done = event->body_case != PD_EVENT_OFFER_DENIED;
  out_object(&tool->out,
             json_pack("{s:b, s:o}", "granted", done, "outcome",
                       proto_json_event(event, tool->zone_min)));
  return done ? 0 : PD_EXIT_FAULT;
}

/* Is this what the command comes to?  An offer made in the hall is won by the next event. */
static bool is_outcome(const struct pd_event *event, uint64_t seq) {
  if (!follows(event, seq)) return false;
  return event->body_case == PD_EVENT_OFFER_DENIED || event->body_case == PD_EVENT_SLOT_FILLED ||
         (event->body_case == PD_EVENT_OFFER_MADE &&
          event->offer_made->how == PD_OFFER_HOW_COMMANDED);
}

/* Read matching's log until it has answered the event `seq` of intake. */
static int wait_outcome(struct tool *tool, struct pd_store_now *store, uint64_t from,
                        uint64_t seq) {
  static uint8_t memory[256u << 10];
  struct cursor cursor;
  int code = -1;
  cursor_open(&cursor, store, PD_LOG_MATCHING, from);
  for (int turn = 0; turn < 500 && code < 0;) {
    struct pd_entry_item item;
    struct pd_arena arena;
    enum pd_err err = cursor_item(&cursor, &item);
    if (err == PD_ENOENT) {
      usleep(20000);
      turn++;
      continue;
    }
    if (err != PD_OK) break;
    pd_arena_init(&arena, memory, sizeof memory);
    if (item.log != PD_LOG_UNSPECIFIED) continue;
    const struct pd_event *event = pd_event_unpack(&arena, item.event, item.size);
    if (event != NULL && is_outcome(event, seq)) code = tell_outcome(tool, event);
  }
  cursor_close(&cursor);
  if (code >= 0) return code;
  return out_fail(&tool->out, PD_EXIT_DOWN, "it is recorded, but its outcome is not known yet",
                  "matching has not said anything for 10 s", "paidan status; paidan trace ORDER");
}

/* Say it at a door and wait for what comes of it. */
static int say(struct tool *tool, struct pd_command *command) {
  struct pd_store_now *store = NULL;
  struct pd_tail tail = {0};
  struct pd_reply *reply = NULL;
  struct pd_id actor;
  const char *as = args_get(&tool->args, "as");
  int code = as == NULL ? 0 : tool_person(tool, as, &actor);
  if (code == 0 && as != NULL) command->actor = pd_bytes(&actor);
  if (code == 0) code = tool_store(tool, &store);
  if (code == 0 && pd_store_tail_now(store, "matching", &tail) != PD_OK)
    code = out_fail(&tool->out, PD_EXIT_DOWN, "matching's log cannot be read", NULL, tool_advice);
  if (code == 0) code = tool_send(tool, "ops", command, &reply);
  command->actor = (ProtobufCBinaryData){0}; /* what it points to ends with this call */
  if (code == 0)
    code = wait_outcome(tool, store, reply->ack->duplicate ? 1 : tail.last_seq + 1,
                        reply->ack->position->seq);
  if (reply != NULL) paidan__v1__reply__free_unpacked(reply, NULL);
  pd_store_now_close(store);
  return code;
}

static int cmd_ask(struct tool *tool) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_ask_for_order body = PD_ASK_FOR_ORDER_INIT;
  struct pd_id person;
  int code = tool_order(tool, tool->args.words[0], &body.order);
  if (code == 0) code = tool_person(tool, tool->args.words[1], &person);
  body.volunteer = pd_bytes(&person);
  command.body_case = PD_COMMAND_ASK_FOR_ORDER;
  command.ask_for_order = &body;
  return code != 0 ? code : say(tool, &command);
}

static int cmd_name(struct tool *tool) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_command_offer body = PD_COMMAND_OFFER_INIT;
  struct pd_id person;
  const char *reason = args_get(&tool->args, "reason"), *note = args_get(&tool->args, "note");
  int code = tool_order(tool, tool->args.words[0], &body.order);
  if (code == 0) code = tool_person(tool, tool->args.words[1], &person);
  if (code != 0) return code;
  int why = proto_enum_value(&paidan__v1__command_reason__descriptor,
                             reason == NULL ? "" : reason);
  if (why <= 0)
    return tool_usage(tool, "--reason must be known, special, unmatched, emergency or other");
  body.volunteer = pd_bytes(&person);
  body.reason = (enum pd_command_reason)why;
  body.note = (char *)(note == NULL ? "" : note);
  command.body_case = PD_COMMAND_COMMAND_OFFER;
  command.command_offer = &body;
  return say(tool, &command);
}

/* ---- the table ---- */

#define OPTION_DOOR {"door", "NAME", "resident, volunteer, site or ops (default ops)"}
#define OPTION_KEY {"key", "TEXT", "idempotency key (default: a fresh one)"}
#define OPTION_AS {"as", "PERSON", "on whose behalf this is said, 32 hexadecimal digits"}

static const struct option_row hall_options[] = {
    {"all", NULL, "also what this volunteer cannot have, and why"},
    {"limit", "N", "at most so many (default 20)"},
    {NULL, NULL, NULL},
};
static const struct option_row ask_options[] = {
    OPTION_AS, OPTION_DOOR, OPTION_KEY, {NULL, NULL, NULL}};
static const struct option_row name_options[] = {
    {"reason", "WORD", "why this person: known, special, unmatched, emergency or other"},
    {"note", "TEXT", "what else there is to say; sealed, required with other"},
    OPTION_AS,
    OPTION_DOOR,
    OPTION_KEY,
    {NULL, NULL, NULL},
};

const struct command hall_commands[] = {
    {"hall", "VOLUNTEER",
     "Lists the open orders 接单大厅 that a volunteer may ask for, nearest first.",
     "paidan hall 0123456789abcdef0123456789abcdef", hall_options, 1, 1, cmd_hall},
    {"order ask", "ORDER VOLUNTEER", "Asks for an open order 抢单: first come, first served.",
     "paidan order ask 17 0123456789abcdef0123456789abcdef", ask_options, 2, 2, cmd_ask},
    {"order name", "ORDER VOLUNTEER",
     "A coordinator has this person asked 指名派单; it may be refused like any offer.",
     "paidan order name 17 0123456789abcdef0123456789abcdef --reason known", name_options, 2, 2,
     cmd_name},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
