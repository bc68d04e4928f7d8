/* log, tail - the logs as they are: entry by entry, event by event, and live. */
#include "common/base/calendar.h"
#include "services/paidan/cursor.h"
#include "services/paidan/proto_json.h"
#include "services/paidan/tool.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

/* ---- log ls ---- */

static int ls_log(struct tool *tool, struct pd_store_now *store, enum pd_log log,
                  struct out_table *table) {
  struct pd_tail tail;
  struct cursor cursor;
  char time[PD_TIME_TEXT] = "-", hash[2 * PD_HASH_BYTES + 1] = "";
  enum pd_err err = pd_store_tail_now(store, pd_log_name(log), &tail);
  if (err != PD_OK) {
    return out_fail(&tool->out, PD_EXIT_DOWN, "a log cannot be read", pd_err_text(err),
                    tool_advice);
  }
  cursor_open(&cursor, store, log, tail.last_seq);
  uint64_t first = 0;
  if (tail.last_seq > 0 && cursor_entry(&cursor) == PD_OK) {
    pd_time_text(cursor.view.head.time_ms, tool->zone_min, time);
    for (size_t i = 0; i < PD_HASH_BYTES; i++) snprintf(hash + 2 * i, 3, "%02x", tail.hash[i]);
  }
  cursor_close(&cursor);
  cursor_open(&cursor, store, log, 1);
  if (cursor_entry(&cursor) == PD_OK) first = cursor.view.head.first_seq;
  cursor_close(&cursor);
  out_cell(table, "%s", pd_log_name(log));
  out_cell(table, "%llu", (unsigned long long)first);
  out_cell(table, "%llu", (unsigned long long)tail.last_seq);
  out_cell(table, "%llu", (unsigned long long)tail.epoch);
  out_cell(table, "%s", time);
  out_cell(table, "%.16s", hash);
  out_object(&tool->out, json_pack("{s:s, s:I, s:I, s:I, s:s, s:s}", "log", pd_log_name(log),
                                   "first", (json_int_t)first, "last", (json_int_t)tail.last_seq,
                                   "epoch", (json_int_t)tail.epoch, "time", time, "hash", hash));
  return 0;
}

static int cmd_ls(struct tool *tool) {
  static const char *const heads[] = {"log", "first", "last", "epoch", "last entry", "hash", NULL};
  struct pd_store_now *store = NULL;
  struct out_table table;
  int code = tool_store(tool, &store);
  out_table_begin(&table, heads);
  for (unsigned log = 1; log < PD_LOGS && code == 0; log++)
    code = ls_log(tool, store, (enum pd_log)log, &table);
  if (code == 0)
    out_table_end(&table, &tool->out);
  else
    out_table_drop(&table);
  pd_store_now_close(store);
  return code;
}

/* ---- log get ---- */

struct get {
  struct tool *tool;
  struct cursor cursor;
  uint64_t from;
  uint64_t to;
  uint64_t seq;
  bool marks;
};

static void print_json(json_t *json) {
  json_dumpf(json, stdout, JSON_COMPACT);
  putchar('\n');
  json_decref(json);
}

static enum pd_err get_item(struct get *get, const struct pd_entry_item *item) {
  static uint8_t memory[512u << 10];
  struct pd_arena arena;
  if (item->log != PD_LOG_UNSPECIFIED) {
    if (get->marks && get->seq + 1 >= get->from) {
      print_json(json_pack("{s:{s:s, s:I}}", "mark", "log", pd_log_name(item->log), "upto",
                           (json_int_t)item->upto));
    }
    return PD_OK;
  }
  get->seq++;
  if (get->seq < get->from || get->seq > get->to) return PD_OK;
  pd_arena_init(&arena, memory, sizeof memory);
  const struct pd_event *event = pd_event_unpack(&arena, item->event, item->size);
  if (event == NULL) return PD_EFORMAT;
  print_json(proto_json_event(event, get->tool->zone_min));
  return PD_OK;
}

static enum pd_err get_all(struct get *get) {
  enum pd_err err = PD_OK;
  while (err == PD_OK && get->seq < get->to) {
    struct pd_entry_item item;
    err = cursor_entry(&get->cursor);
    if (err != PD_OK) break;
    get->seq = get->cursor.view.head.first_seq - 1;
    for (size_t at = 0; err == PD_OK && pd_entry_next(&get->cursor.view, &at, &item);)
      err = get_item(get, &item);
  }
  return err == PD_ENOENT ? PD_OK : err;
}

static int cmd_get(struct tool *tool) {
  struct get get = {.tool = tool, .marks = args_get(&tool->args, "marks") != NULL};
  struct pd_store_now *store = NULL;
  enum pd_log log = pd_log_named(tool->args.words[0]);
  if (log == PD_LOG_UNSPECIFIED)
    return tool_usage(tool, "the logs are intake matching scheduling points notification");
  if (args_number(&tool->args, "from", 1, UINT64_MAX, 1, &get.from) != PD_OK ||
      args_number(&tool->args, "to", 1, UINT64_MAX, UINT64_MAX, &get.to) != PD_OK) {
    return tool_usage(tool, tool->args.wrong);
  }
  int code = tool_store(tool, &store);
  if (code != 0) return code;
  cursor_open(&get.cursor, store, log, get.from);
  enum pd_err err = get_all(&get);
  cursor_close(&get.cursor);
  pd_store_now_close(store);
  if (err == PD_OK) return 0;
  return out_failf(&tool->out, err == PD_EDOWN ? PD_EXIT_DOWN : PD_EXIT_FAULT,
                   "the log cannot be read", "`paidan verify` says where it is damaged",
                   "%s after seq %llu: %s", pd_log_name(log), (unsigned long long)get.seq,
                   pd_err_text(err));
}

/* ---- tail ---- */

static volatile sig_atomic_t tail_stopped;

static void on_interrupt(int number) { tail_stopped = number; }

struct tail {
  struct tool *tool;
  struct pd_store_now *store;
  struct pd_subscriber *subscriber;
  uint64_t next[PD_LOGS]; /* seq that is printed next */
  uint64_t printed;
  uint64_t limit; /* 0: none */
  int64_t since_ms;
};

static bool is_wanted(const struct tail *tail, const struct pd_event *event) {
  const struct args *args = &tail->tool->args;
  if (event->time_ms < tail->since_ms) return false;
  for (size_t i = 0; i < args->count; i++) {
    if (strcmp(args->words[i], proto_kind(event)) == 0 ||
        strcmp(args->words[i], pd_log_name(event->log)) == 0) {
      return true;
    }
  }
  return args->count == 0;
}

static void print_event(struct tail *tail, const struct pd_event *event) {
  if ((unsigned)event->log >= PD_LOGS || event->seq < tail->next[event->log]) return;
  tail->next[event->log] = event->seq + 1;
  if (!is_wanted(tail, event) || (tail->limit != 0 && tail->printed >= tail->limit)) return;
  tail->printed++;
  print_json(proto_json_event(event, tail->tool->zone_min));
}

static void on_event(void *context, const struct pd_event *event, const uint8_t *bytes,
                     size_t size) {
  (void)bytes;
  (void)size;
  print_event(context, event);
}

/* What was missed live stands in the log. */
static enum pd_err read_gap(struct tail *tail, enum pd_log log, uint64_t from, uint64_t to) {
  static uint8_t memory[512u << 10];
  struct cursor cursor;
  struct pd_entry_item item;
  cursor_open(&cursor, tail->store, log, from);
  enum pd_err err = PD_OK;
  while (err == PD_OK && tail->next[log] <= to && tail_stopped == 0) {
    err = cursor_item(&cursor, &item);
    if (err != PD_OK || item.log != PD_LOG_UNSPECIFIED) continue;
    struct pd_arena arena;
    pd_arena_init(&arena, memory, sizeof memory);
    const struct pd_event *event = pd_event_unpack(&arena, item.event, item.size);
    if (event != NULL) print_event(tail, event);
  }
  cursor_close(&cursor);
  return err == PD_ENOENT ? PD_OK : err;
}

static void on_gap(void *context, enum pd_log log, uint64_t from, uint64_t to) {
  struct tail *tail = context;
  if (read_gap(tail, log, from, to) == PD_OK) return;
  fprintf(stderr, "paidan: %s %llu to %llu cannot be read from the log\n", pd_log_name(log),
          (unsigned long long)from, (unsigned long long)to);
}

/* --since: a seq of every log, or a time.  Without it: from now on. */
static int since(struct tail *tail) {
  const char *text = args_get(&tail->tool->args, "since");
  uint64_t seq = 0;
  if (text != NULL && !args_digits(text, UINT64_MAX - 1, &seq) &&
      !pd_time_parse(text, &tail->since_ms)) {
    return tool_usage(tail->tool,
                      "--since must be a seq (17) or a time (2025-03-01T08:00:00+08:00)");
  }
  for (unsigned log = 1; log < PD_LOGS; log++) {
    struct pd_tail end;
    if (pd_store_tail_now(tail->store, pd_log_name(log), &end) != PD_OK) {
      return out_fail(&tail->tool->out, PD_EXIT_DOWN, "a log cannot be read", pd_log_name(log),
                      tool_advice);
    }
    tail->next[log] = text == NULL ? end.last_seq + 1 : seq == 0 ? 1 : seq;
  }
  return 0;
}

static int connect_all(struct tail *tail) {
  struct tool *tool = tail->tool;
  struct pd_subscriber_calls calls = {.context = tail, .event = on_event, .gap = on_gap};
  if (tool->zmq == NULL) tool->zmq = zmq_ctx_new();
  enum pd_err err = pd_subscriber_open(&tail->subscriber, tool->zmq, tool->shard, &calls);
  /* Of several instances only the one that leads says anything. */
  for (unsigned i = 0; i < (PD_LOGS - 1) * tool->instances && err == PD_OK; i++) {
    char name[40], endpoint[TOOL_PATH];
    unsigned log = 1 + i % (PD_LOGS - 1), instance = i / (PD_LOGS - 1);
    snprintf(name, sizeof name, "%s.pub", pd_log_name(log));
    err = pd_subscriber_connect(tail->subscriber, tool_endpoint(tool, instance, name, endpoint));
  }
  if (err == PD_OK) return 0;
  return out_fail(&tool->out, PD_EXIT_DOWN, "the daemons cannot be heard", pd_err_text(err),
                  tool_advice);
}

/* First the logs up to their ends, then live: what comes in between is a gap of the subscription,
 * and read from the log. */
static int catch_up(struct tail *tail) {
  for (unsigned log = 1; log < PD_LOGS; log++) {
    if (args_get(&tail->tool->args, "since") != NULL) {
      enum pd_err err = read_gap(tail, (enum pd_log)log, tail->next[log], UINT64_MAX - 1);
      if (err != PD_OK) {
        return out_fail(&tail->tool->out, PD_EXIT_FAULT, "a log cannot be read", pd_err_text(err),
                        "paidan verify");
      }
    }
    pd_subscriber_expect(tail->subscriber, (enum pd_log)log, tail->next[log]);
  }
  return 0;
}

static int cmd_tail(struct tool *tool) {
  struct tail tail = {.tool = tool, .since_ms = INT64_MIN};
  struct sigaction action = {.sa_handler = on_interrupt};
  if (args_number(&tool->args, "count", 1, UINT64_MAX, 0, &tail.limit) != PD_OK)
    return tool_usage(tool, tool->args.wrong);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  int code = tool_store(tool, &tail.store);
  if (code == 0) code = since(&tail);
  if (code == 0) code = connect_all(&tail);
  if (code == 0) code = catch_up(&tail);
  bool live = args_get(&tool->args, "no-follow") == NULL;
  while (code == 0 && live && tail_stopped == 0 && (tail.limit == 0 || tail.printed < tail.limit)) {
    pd_subscriber_turn(tail.subscriber, 200);
    if (fflush(stdout) != 0) break; /* the reader is gone */
  }
  pd_subscriber_close(tail.subscriber);
  pd_store_now_close(tail.store);
  return code;
}

static const struct option_row get_options[] = {
    {"from", "SEQ", "first event (default 1)"},
    {"to", "SEQ", "last event (default the log's end)"},
    {"marks", NULL, "also print which inputs had been consumed where"},
    {NULL, NULL, NULL},
};
static const struct option_row tail_options[] = {
    {"since", "SEQ|TIME", "begin there, then go on live without a seam"},
    {"count", "N", "end after so many events"},
    {"no-follow", NULL, "end at the logs' end"},
    {NULL, NULL, NULL},
};

const struct command logs_commands[] = {
    {"log ls", "",
     "Lists the five logs: first and last seq, epoch, time and hash of the last entry.",
     "paidan log ls", NULL, 0, 0, cmd_ls},
    {"log get", "LOG", "Prints the events of a log as JSON, one a line.",
     "paidan log get matching --from 100 --to 120", get_options, 1, 1, cmd_get},
    {"tail", "[TOPIC ...]",
     "Prints events as JSON as they happen; a topic is an event's kind or a log's name.",
     "paidan tail order_placed slot_filled --since 2025-03-01T08:00:00+08:00", tail_options, 0,
     ARGS_WORDS, cmd_tail},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
