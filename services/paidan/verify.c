#include "services/paidan/verify.h"

#include "services/paidan/tool.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_FAULTS 100

struct acked { /* one line of a client's journal of acks */
  enum pd_log log;
  uint32_t line;
  uint64_t seq;
  uint64_t order; /* 0: not said */
  bool found;
};

struct verify {
  struct tool *tool;
  struct pd_store_now *store;
  struct verify_sink sink;
  struct verify_chain chains[PD_LOGS];
  struct verify_facts *facts;
  uint64_t tails[PD_LOGS];
  uint64_t faults;
  struct acked *acked; /* sorted by log, seq */
  size_t acked_count;
  size_t acked_room;
  int64_t sums[3];
};

static void on_fault(void *context, enum pd_log log, uint64_t seq, const char *what) {
  struct verify *verify = context;
  if (++verify->faults > SHOWN_FAULTS) return;
  out_text(&verify->tool->out, "FAULT %s %llu: %s", pd_log_name(log), (unsigned long long)seq,
           what);
  out_object(&verify->tool->out, json_pack("{s:{s:s, s:I, s:s}}", "fault", "log", pd_log_name(log),
                                           "seq", (json_int_t)seq, "what", what));
}

/* ---- P1: the journal of acks ---- */

static bool read_ack(struct verify *verify, const char *line, uint32_t number) {
  json_t *json = json_loads(line, 0, NULL);
  json_t *order = json_object_get(json, "order");
  json_t *log = json_object_get(json, "log");
  struct acked acked = {.line = number,
                        .seq = (uint64_t)json_integer_value(json_object_get(json, "seq"))};
  acked.log = json_is_string(log) ? pd_log_named(json_string_value(log))
                                  : (enum pd_log)json_integer_value(log);
  acked.order = json_is_integer(order) ? (uint64_t)json_integer_value(order) : 0;
  json_decref(json);
  if (acked.seq == 0 || acked.log == PD_LOG_UNSPECIFIED || (unsigned)acked.log >= PD_LOGS)
    return false;
  verify->acked =
      ids_grow(verify->acked, &verify->acked_room, verify->acked_count + 1, sizeof *verify->acked);
  verify->acked[verify->acked_count++] = acked;
  return true;
}

static int by_position(const void *a, const void *b) {
  const struct acked *x = a, *y = b;
  if (x->log != y->log) return x->log < y->log ? -1 : 1;
  return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static int read_journal(struct verify *verify) {
  const char *path = args_get(&verify->tool->args, "journal");
  if (path == NULL) return 0;
  FILE *file = fopen(path, "re");
  if (file == NULL) {
    return out_fail(&verify->tool->out, PD_EXIT_USAGE, "the journal cannot be read", path,
                    "name another with --journal");
  }
  char *line = NULL;
  size_t room = 0;
  uint32_t number = 0;
  bool good = true;
  while (good && getline(&line, &room, file) > 0) good = read_ack(verify, line, ++number);
  bool torn = !good && getline(&line, &room, file) <=
                           0; /* a client that was killed leaves half a line at the end */
  free(line);
  fclose(file);
  if (verify->acked_count > 0)
    qsort(verify->acked, verify->acked_count, sizeof *verify->acked, by_position);
  if (good || torn) return 0;
  return out_failf(&verify->tool->out, PD_EXIT_USAGE, "the journal cannot be read",
                   "a line is like {\"log\":\"intake\",\"seq\":17,\"order\":3}", "%s:%u", path,
                   number);
}

/* The first ack at or behind a position. */
static size_t acked_from(const struct verify *verify, enum pd_log log, uint64_t seq) {
  struct acked wanted = {.log = log, .seq = seq};
  size_t low = 0, high = verify->acked_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (by_position(&verify->acked[middle], &wanted) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static void check_acks(struct verify *verify, const struct pd_event *event) {
  for (size_t i = acked_from(verify, event->log, event->seq); i < verify->acked_count; i++) {
    struct acked *acked = &verify->acked[i];
    if (acked->log != event->log || acked->seq != event->seq) break;
    acked->found = true;
    bool placed = event->body_case == PD_EVENT_ORDER_PLACED;
    if (placed && acked->order != 0 && event->order_placed->order != acked->order) {
      verify_fault(&verify->sink, event->log, event->seq,
                   "P1: acknowledged as order %llu, the log has order %llu",
                   (unsigned long long)acked->order,
                   (unsigned long long)event->order_placed->order);
    }
  }
}

static void check_missing(struct verify *verify) {
  for (size_t i = 0; i < verify->acked_count; i++) {
    if (verify->acked[i].found) continue;
    verify_fault(&verify->sink, verify->acked[i].log, verify->acked[i].seq,
                 "P1: acknowledged (line %u of the journal), but not in the log",
                 verify->acked[i].line);
  }
}

/* ---- walks ---- */

static enum pd_err chain_entry(struct verify *verify, struct verify_chain *chain,
                               struct cursor *cursor) {
  static uint8_t memory[512u << 10];
  struct pd_entry_item item;
  uint64_t seq = cursor->view.head.first_seq;
  verify_chain_entry(chain, cursor->stored, &cursor->view);
  for (size_t at = 0; pd_entry_next(&cursor->view, &at, &item);) {
    if (item.log != PD_LOG_UNSPECIFIED) continue;
    struct pd_arena arena;
    pd_arena_init(&arena, memory, sizeof memory);
    const struct pd_event *event = pd_event_unpack(&arena, item.event, item.size);
    if (event == NULL) {
      verify_fault(&verify->sink, chain->log, seq, "an event that is malformed");
    } else {
      verify_chain_event(chain, seq, event);
      check_acks(verify, event);
    }
    seq++;
  }
  return PD_OK;
}

/* One log from its beginning to its end. */
static enum pd_err walk_chain(struct verify *verify, enum pd_log log) {
  struct verify_chain *chain = &verify->chains[log];
  struct cursor cursor;
  verify_chain_init(chain, &verify->sink, log, verify->tool->shard);
  cursor_open(&cursor, verify->store, log, 1);
  enum pd_err err;
  while ((err = cursor_entry(&cursor)) != PD_ENOENT) {
    if (err == PD_ECORRUPT || err == PD_EFORMAT) {
      verify_fault(
          &verify->sink, log, cursor.stored->last_seq,
          err == PD_ECORRUPT ? "the entry's bytes do not have its hash" : "the entry is malformed");
      chain->last_seq = cursor.stored->last_seq;
      memcpy(chain->hash.bytes, cursor.stored->hash, sizeof chain->hash.bytes);
      chain->entries++;
    } else if (err != PD_OK) {
      break;
    } else {
      chain_entry(verify, chain, &cursor);
    }
  }
  cursor_close(&cursor);
  return err == PD_ENOENT ? PD_OK : err;
}

/* Matching's log, with the order_closed of intake's where matching had consumed them: bookings end
 * there. */
struct bookings_walk {
  struct cursor matching;
  struct cursor intake;
  uint64_t intake_seq; /* consumed */
  uint8_t memory[512u << 10];
};

static enum pd_err unpack_booking(struct verify *verify, struct bookings_walk *walk,
                                  const struct pd_entry_item *item, bool closed_only) {
  struct pd_arena arena;
  pd_arena_init(&arena, walk->memory, sizeof walk->memory);
  const struct pd_event *event = pd_event_unpack(&arena, item->event, item->size);
  if (event == NULL) return PD_EFORMAT;
  if (!closed_only || event->body_case == PD_EVENT_ORDER_CLOSED)
    verify_booking(verify->facts, event);
  if (closed_only) walk->intake_seq = event->seq;
  return PD_OK;
}

static enum pd_err consume_intake(struct verify *verify, struct bookings_walk *walk,
                                  uint64_t upto) {
  enum pd_err err = PD_OK;
  while (err == PD_OK && walk->intake_seq < upto) {
    struct pd_entry_item item;
    err = cursor_item(&walk->intake, &item);
    if (err == PD_OK && item.log == PD_LOG_UNSPECIFIED)
      err = unpack_booking(verify, walk, &item, true);
  }
  return err == PD_ENOENT ? PD_OK : err;
}

static enum pd_err walk_bookings(struct verify *verify) {
  static struct bookings_walk walk;
  struct pd_entry_item item;
  walk.intake_seq = 0;
  cursor_open(&walk.matching, verify->store, PD_LOG_MATCHING, 1);
  cursor_open(&walk.intake, verify->store, PD_LOG_INTAKE, 1);
  enum pd_err err;
  while ((err = cursor_item(&walk.matching, &item)) == PD_OK) {
    if (item.log == PD_LOG_UNSPECIFIED)
      err = unpack_booking(verify, &walk, &item, false);
    else if (item.log == PD_LOG_INTAKE)
      err = consume_intake(verify, &walk, item.upto);
    if (err != PD_OK) break;
  }
  cursor_close(&walk.matching);
  cursor_close(&walk.intake);
  return err == PD_ENOENT ? PD_OK : err;
}

static enum pd_err walk_ledger(struct verify *verify) {
  struct merge merge;
  enum pd_err err = merge_open(&merge, verify->store);
  while (err == PD_OK && (err = merge_next(&merge)) == PD_OK)
    verify_ledger(verify->facts, merge.event);
  merge_close(&merge);
  if (err != PD_ENOENT) return err;
  verify_ledger_end(verify->facts, verify->sums);
  for (int unit = 1; unit < 3; unit++) {
    if (verify->sums[unit] != 0)
      verify_fault(&verify->sink, PD_LOG_POINTS, 0, "P5: the ledger does not sum to zero");
  }
  return PD_OK;
}

static enum pd_err walk_all(struct verify *verify) {
  enum pd_err err = PD_OK;
  for (unsigned log = 1; log < PD_LOGS && err == PD_OK; log++) {
    out_progress(&verify->tool->out, "verify", (double)(log - 1) / 7.0, log);
    err = walk_chain(verify, (enum pd_log)log);
  }
  for (unsigned log = 1; log < PD_LOGS && err == PD_OK; log++) {
    struct pd_tail tail;
    err = pd_store_tail_now(verify->store, pd_log_name(log), &tail);
    verify->tails[log] = tail.last_seq;
  }
  if (err != PD_OK) return err;
  for (unsigned log = 1; log < PD_LOGS; log++)
    verify_chain_end(&verify->chains[log], verify->tails);
  check_missing(verify);
  /* A log that is damaged as bytes has been reported; its facts may be unreadable. */
  bool damaged = verify->faults > 0;
  err = walk_bookings(verify);
  if (err == PD_OK) err = walk_ledger(verify);
  return damaged && (err == PD_ECORRUPT || err == PD_EFORMAT) ? PD_OK : err;
}

static int say_verdict(struct verify *verify) {
  json_t *logs = json_object();
  uint64_t events = 0, entries = 0;
  for (unsigned log = 1; log < PD_LOGS; log++) {
    events += verify->chains[log].events;
    entries += verify->chains[log].entries;
    json_object_set_new(logs, pd_log_name(log),
                        json_integer((json_int_t)verify->chains[log].events));
  }
  bool good = verify->faults == 0;
  out_text(&verify->tool->out,
           "%s: %llu events in %llu entries, %llu orders (%llu open), %zu acks; ledger: minutes "
           "%lld, points %lld; "
           "faults: %llu",
           good ? "ok" : "FAULTS", (unsigned long long)events, (unsigned long long)entries,
           (unsigned long long)verify_orders(verify->facts),
           (unsigned long long)verify_orders_open(verify->facts), verify->acked_count,
           (long long)verify->sums[1], (long long)verify->sums[2],
           (unsigned long long)verify->faults);
  out_object(
      &verify->tool->out,
      json_pack("{s:s, s:o, s:I, s:I, s:I, s:I, s:{s:I, s:I}, s:I}", "verify",
                good ? "ok" : "fault", "events", logs, "entries", (json_int_t)entries, "orders",
                (json_int_t)verify_orders(verify->facts), "orders_open",
                (json_int_t)verify_orders_open(verify->facts), "acks",
                (json_int_t)verify->acked_count, "ledger", "minutes", (json_int_t)verify->sums[1],
                "points", (json_int_t)verify->sums[2], "faults", (json_int_t)verify->faults));
  return good ? PD_EXIT_OK : PD_EXIT_FAULT;
}

static int cmd_verify(struct tool *tool) {
  static struct verify verify;
  verify = (struct verify){.tool = tool, .sink = {.context = &verify, .fault = on_fault}};
  int code = tool_store(tool, &verify.store);
  if (code == 0) code = read_journal(&verify);
  verify.facts = verify_facts_new(&verify.sink);
  if (code == 0) {
    enum pd_err err = walk_all(&verify);
    out_progress_end(&tool->out);
    if (err == PD_OK)
      code = say_verdict(&verify);
    else {
      code = out_fail(&tool->out, err == PD_EDOWN ? PD_EXIT_DOWN : PD_EXIT_FAULT,
                      "the logs cannot be read", pd_err_text(err), tool_advice);
    }
  }
  verify_facts_free(verify.facts);
  free(verify.acked);
  pd_store_now_close(verify.store);
  return code;
}

static const struct option_row verify_options[] = {
    {"journal", "FILE",
     "a client's acks, a JSON object a line: {\"log\",\"seq\",\"order\"}; each must be in the log"},
    {NULL, NULL, NULL},
};

const struct command verify_commands[] = {
    {"verify", "",
     "Walks every log: hash chain, numbers, marks, bookings (P4), ledger (P5), order lives, acks "
     "(P1).",
     "paidan verify --journal acks.jsonl", verify_options, 0, 0, cmd_verify},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
