#include "services/paidan/recall.h"

#include <sys/mman.h>

#define STATE_SIZE   ((size_t)4 << 30) /* of address space; only touched pages count */
#define EVENT_MEMORY (512u << 10)

static bool is_input(unsigned log) { return (matching_core.inputs & PD_LOG_BIT(log)) != 0; }

static enum pd_err build(struct recall *recall, const struct tool *tool) {
  struct pd_arena arena;
  struct pd_shard shard = {.code = tool->shard, .zone_min = tool->zone_min};
  void *memory = mmap(NULL, STATE_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return PD_EIO;
  recall->memory = memory;
  pd_arena_init(&arena, memory, STATE_SIZE);
  recall->core = matching_core.init(&arena, &pd_limits_district, &shard, NULL);
  for (unsigned log = 1; log < PD_LOGS; log++) {
    if (is_input(log))
      cursor_open(&recall->inputs[log].cursor, recall->store, (enum pd_log)log, 1);
  }
  return PD_OK;
}

static const struct pd_event *unpack(const struct pd_entry_item *item) {
  static uint8_t memory[EVENT_MEMORY];
  struct pd_arena arena;
  pd_arena_init(&arena, memory, sizeof memory);
  return pd_event_unpack(&arena, item->event, item->size);
}

/* Apply an input log up to a seq, as a mark says that matching had. */
static enum pd_err consume(struct recall *recall, unsigned log, uint64_t upto, recall_fn *look,
                           void *context) {
  if (log >= PD_LOGS || !is_input(log)) return PD_EFORMAT;
  while (recall->inputs[log].seq < upto) {
    struct pd_entry_item item;
    enum pd_err err = cursor_item(&recall->inputs[log].cursor, &item);
    if (err != PD_OK) return err;
    if (item.log != PD_LOG_UNSPECIFIED) continue;
    const struct pd_event *event = unpack(&item);
    if (event == NULL) return PD_EFORMAT;
    recall->inputs[log].seq = event->seq;
    look(context, event);
    matching_core.apply(recall->core, event);
  }
  return PD_OK;
}

static enum pd_err replay(struct recall *recall, recall_fn *look, void *context) {
  struct cursor cursor;
  struct pd_entry_item item;
  cursor_open(&cursor, recall->store, PD_LOG_MATCHING, 1);
  enum pd_err err;
  while ((err = cursor_item(&cursor, &item)) == PD_OK) {
    if (item.log != PD_LOG_UNSPECIFIED) {
      err = consume(recall, (unsigned)item.log, item.upto, look, context);
      if (err != PD_OK) break;
      continue;
    }
    const struct pd_event *event = unpack(&item);
    if (event == NULL) {
      err = PD_EFORMAT;
      break;
    }
    look(context, event);
    matching_core.apply(recall->core, event);
  }
  cursor_close(&cursor);
  return err == PD_ENOENT ? PD_OK : err;
}

int recall_run(struct recall *recall, struct tool *tool, recall_fn *look, void *context) {
  *recall = (struct recall){0};
  int code = tool_store(tool, &recall->store);
  if (code != 0) return code;
  enum pd_err err = build(recall, tool);
  if (err == PD_OK) err = replay(recall, look, context);
  if (err == PD_OK) return 0;
  return out_fail(&tool->out, err == PD_EDOWN ? PD_EXIT_DOWN : PD_EXIT_FAULT,
                  "matching's log cannot be replayed", pd_err_text(err),
                  "`paidan verify` says where it is damaged");
}

void recall_close(struct recall *recall) {
  for (unsigned log = 1; log < PD_LOGS; log++)
    if (is_input(log)) cursor_close(&recall->inputs[log].cursor);
  if (recall->memory != NULL) munmap(recall->memory, STATE_SIZE);
  pd_store_now_close(recall->store);
  *recall = (struct recall){0};
}
