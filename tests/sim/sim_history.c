/* Reading the logs back: the chain (P7), whole entries (P8), every event; and walking them as a
 * daemon consumed them. */
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>

#define EVENT_ROOM 24 /* bytes of memory for each byte of an event, unpacked */

static size_t bytes_of(const struct sim *sim, enum pd_log log) {
  size_t sum = 0;
  for (size_t i = 0; i < sim->logs[log].count; i++) sum += sim->logs[log].entries[i].size;
  return sum;
}

/* P7: each entry names the one before, epochs never fall, seqs have no holes; and what the store
 * was told of an entry is what the entry says. */
static void check_head(const struct sim *sim, enum pd_log log, size_t at,
                       const struct pd_entry_view *view) {
  static const struct sim_entry nothing;
  const struct sim_entry *entry = &sim->logs[log].entries[at];
  const struct sim_entry *before = at > 0 ? entry - 1 : &nothing;
  const struct pd_entry_head *head = &view->head;
  struct pd_hash real = pd_hash_of(entry->bytes, entry->size);
  sim_expect(sim, pd_hash_equal(&real, &entry->hash), "P7 %s: hash of entry %zu", pd_log_name(log),
             at);
  sim_expect(sim, pd_hash_equal(&head->prev, &before->hash), "P7 %s: chain at entry %zu",
             pd_log_name(log), at);
  bool follows = head->first_seq == before->last + 1 && head->last_seq == entry->last &&
                 head->last_seq - head->first_seq + 1 == view->events && view->events > 0;
  sim_expect(sim, follows, "P7 %s: seqs of entry %zu", pd_log_name(log), at);
  bool right = head->log == log && head->shard == SIM_SHARD && head->epoch == entry->epoch &&
               head->epoch >= before->epoch;
  sim_expect(sim, right, "P7 %s: head of entry %zu", pd_log_name(log), at);
}

struct reader {
  struct sim *sim;
  struct sim_history *history;
  struct pd_arena arena;
  uint64_t last_of_kind[PD_EVENT_KINDS];
  uint64_t marked[PD_LOGS];
  uint64_t epoch;
  int64_t time_ms;
};

static void take_event(struct reader *reader, enum pd_log log, const struct pd_entry_item *item,
                       const struct pd_entry_head *head, uint64_t seq) {
  struct sim *sim = reader->sim;
  struct pd_event *event = pd_event_unpack(&reader->arena, item->event, item->size);
  sim_expect(sim, event != NULL && event->body_case != PD_EVENT_NOT_SET,
             "an event of %s cannot be unpacked", pd_log_name(log));
  unsigned kind = (unsigned)event->body_case;
  bool right = event->log == log && event->seq == seq && event->shard == SIM_SHARD &&
               event->prev == reader->last_of_kind[kind];
  sim_expect(sim, right, "%s %llu: its envelope", pd_log_name(log), (unsigned long long)seq);
  sim_expect(sim, event->time_ms >= reader->time_ms && event->time_ms <= head->time_ms,
             "%s %llu: time falls", pd_log_name(log), (unsigned long long)seq);
  bool caused = event->cause == NULL || event->cause->seq <= reader->marked[event->cause->log];
  sim_expect(sim, caused, "%s %llu: its cause was not consumed", pd_log_name(log),
             (unsigned long long)seq);
  bool began = event->body_case == PD_EVENT_EPOCH_BEGAN;
  sim_expect(sim, began == (head->epoch != reader->epoch),
             "P7 %s %llu: an epoch begins with epoch_began and only then", pd_log_name(log),
             (unsigned long long)seq);
  reader->epoch = head->epoch;
  reader->last_of_kind[kind] = seq;
  reader->time_ms = event->time_ms;
  reader->history->events[log][seq - 1] = event;
}

static void take_mark(struct reader *reader, enum pd_log log, const struct pd_entry_item *item) {
  struct sim *sim = reader->sim;
  uint32_t inputs = sim_cores[log]->inputs;
  bool known = (inputs & PD_LOG_BIT(item->log)) != 0;
  bool there = item->upto <= sim_store_last(sim, item->log);
  sim_expect(sim, known && there && item->upto > reader->marked[item->log],
             "%s: a mark of %s up to %llu", pd_log_name(log), pd_log_name(item->log),
             (unsigned long long)item->upto);
  reader->marked[item->log] = item->upto;
}

static void read_log(struct sim *sim, struct sim_history *history, enum pd_log log) {
  struct reader reader = {.sim = sim, .history = history};
  size_t count = (size_t)sim_store_last(sim, log), size = bytes_of(sim, log) * EVENT_ROOM + 65536;
  history->count[log] = count;
  history->events[log] = calloc(count + 1, sizeof *history->events[log]);
  history->memory[log] = calloc(1, size);
  pd_assert(history->events[log] != NULL && history->memory[log] != NULL);
  pd_arena_init(&reader.arena, history->memory[log], size);
  for (size_t i = 0; i < sim->logs[log].count; i++) {
    const struct sim_entry *entry = &sim->logs[log].entries[i];
    struct pd_entry_view view;
    sim_expect(sim, pd_entry_open(entry->bytes, entry->size, &view) == PD_OK,
               "P8 %s: entry %zu cannot be opened", pd_log_name(log), i);
    check_head(sim, log, i, &view);
    struct pd_entry_item item;
    uint64_t seq = view.head.first_seq;
    for (size_t at = 0; pd_entry_next(&view, &at, &item);) {
      if (item.log != PD_LOG_UNSPECIFIED)
        take_mark(&reader, log, &item);
      else
        take_event(&reader, log, &item, &view.head, seq++);
    }
  }
}

void sim_history_read(struct sim *sim, struct sim_history *history) {
  *history = (struct sim_history){.sim = sim};
  for (unsigned log = 1; log < PD_LOGS; log++) read_log(sim, history, (enum pd_log)log);
}

void sim_history_free(struct sim_history *history) {
  for (unsigned log = 1; log < PD_LOGS; log++) {
    free(history->events[log]);
    free(history->memory[log]);
  }
}

void sim_history_walk(const struct sim_history *history, enum pd_log log,
                      void (*each)(void *context, const struct pd_event *event),
                      void (*ended)(void *context), void *context) {
  const struct sim *sim = history->sim;
  uint64_t next[PD_LOGS] = {0}, own = 0;
  for (size_t i = 0; i < sim->logs[log].count; i++) {
    const struct sim_entry *entry = &sim->logs[log].entries[i];
    struct pd_entry_view view;
    struct pd_entry_item item;
    sim_expect(sim, pd_entry_open(entry->bytes, entry->size, &view) == PD_OK, "walk");
    for (size_t at = 0; pd_entry_next(&view, &at, &item);) {
      if (item.log == PD_LOG_UNSPECIFIED) {
        each(context, history->events[log][own++]);
        continue;
      }
      while (next[item.log] < item.upto) each(context, history->events[item.log][next[item.log]++]);
    }
    if (ended != NULL) ended(context);
  }
}
