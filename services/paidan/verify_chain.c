#include "services/paidan/verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void verify_fault(const struct verify_sink *sink, enum pd_log log, uint64_t seq, const char *format,
                  ...) {
  char text[256];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  sink->fault(sink->context, log, seq, text);
}

void verify_chain_init(struct verify_chain *chain, const struct verify_sink *sink, enum pd_log log,
                       uint32_t shard) {
  *chain = (struct verify_chain){.sink = sink, .log = log, .shard = shard, .time_ms = INT64_MIN};
}

static void check_mark(struct verify_chain *chain, enum pd_log log, uint64_t upto, uint64_t seq) {
  if (log == PD_LOG_UNSPECIFIED || (unsigned)log >= PD_LOGS || log == chain->log) {
    verify_fault(chain->sink, chain->log, seq, "a mark names log %d", (int)log);
    return;
  }
  if (upto < chain->upto[log]) {
    verify_fault(chain->sink, chain->log, seq, "the mark of %s falls from %llu to %llu",
                 pd_log_name(log), (unsigned long long)chain->upto[log], (unsigned long long)upto);
  }
  chain->upto[log] = upto;
  chain->mark_seq[log] = seq;
}

static void check_head(struct verify_chain *chain, const struct pd_stored *stored,
                       const struct pd_entry_head *head) {
  uint64_t at = stored->last_seq;
  const struct verify_sink *sink = chain->sink;
  if (head->shard != chain->shard)
    verify_fault(sink, chain->log, at, "an entry of shard %u", head->shard);
  if (head->last_seq != stored->last_seq) {
    verify_fault(sink, chain->log, at, "the entry ends with %llu, its id says otherwise",
                 (unsigned long long)head->last_seq);
  }
  if (head->epoch != stored->epoch)
    verify_fault(sink, chain->log, at, "the stored epoch is not the entry's");
  if (head->epoch < chain->epoch) {
    verify_fault(sink, chain->log, at, "the epoch falls from %llu to %llu",
                 (unsigned long long)chain->epoch, (unsigned long long)head->epoch);
  }
  if (head->time_ms < chain->time_ms) verify_fault(sink, chain->log, at, "the time falls");
}

/* A log whose beginning was trimmed starts where it starts; from there on the chain must hold. */
static void check_link(struct verify_chain *chain, const struct pd_entry_head *head) {
  if (chain->entries == 0 && head->first_seq != 1) {
    chain->last_seq = head->first_seq - 1;
    return;
  }
  if (head->first_seq != chain->last_seq + 1) {
    verify_fault(chain->sink, chain->log, head->first_seq, "seq %llu is expected here",
                 (unsigned long long)chain->last_seq + 1);
  }
  if (!pd_hash_equal(&head->prev, &chain->hash)) {
    verify_fault(chain->sink, chain->log, head->first_seq,
                 "the entry does not name the hash of the one before");
  }
}

void verify_chain_entry(struct verify_chain *chain, const struct pd_stored *stored,
                        const struct pd_entry_view *view) {
  const struct pd_entry_head *head = &view->head;
  struct pd_entry_item item;
  check_head(chain, stored, head);
  check_link(chain, head);
  if (view->events == 0)
    verify_fault(chain->sink, chain->log, stored->last_seq, "an entry without an event");
  if (head->last_seq - head->first_seq + 1 != view->events) {
    verify_fault(chain->sink, chain->log, stored->last_seq,
                 "the entry holds %u events, but says %llu to %llu", view->events,
                 (unsigned long long)head->first_seq, (unsigned long long)head->last_seq);
  }
  for (size_t at = 0; pd_entry_next(view, &at, &item);) {
    if (item.log != PD_LOG_UNSPECIFIED) check_mark(chain, item.log, item.upto, head->last_seq);
  }
  chain->entries++;
  chain->last_seq = head->last_seq;
  chain->epoch = head->epoch;
  chain->time_ms = head->time_ms;
  memcpy(chain->hash.bytes, stored->hash, sizeof chain->hash.bytes);
}

void verify_chain_event(struct verify_chain *chain, uint64_t seq, const struct pd_event *event) {
  const struct verify_sink *sink = chain->sink;
  unsigned kind = (unsigned)event->body_case;
  if (event->log != chain->log || event->seq != seq || event->shard != chain->shard) {
    verify_fault(sink, chain->log, seq, "an event that says it is %s %llu of shard %u",
                 pd_log_name(event->log), (unsigned long long)event->seq, event->shard);
  }
  if (kind == 0 || kind >= PD_EVENT_KINDS) {
    verify_fault(sink, chain->log, seq, "an event of a kind that this version does not know");
    return;
  }
  bool trimmed = chain->events + 1 != seq;
  if (event->prev != chain->last_of_kind[kind] && !(trimmed && chain->last_of_kind[kind] == 0)) {
    verify_fault(sink, chain->log, seq, "prev says %llu, the last of its kind is %llu",
                 (unsigned long long)event->prev, (unsigned long long)chain->last_of_kind[kind]);
  }
  if (event->cause != NULL && (unsigned)event->cause->log < PD_LOGS &&
      event->cause->log != chain->log && event->cause->seq > chain->upto[event->cause->log]) {
    verify_fault(sink, chain->log, seq, "its cause %s %llu had not been consumed",
                 pd_log_name(event->cause->log), (unsigned long long)event->cause->seq);
  }
  if (event->body_case == PD_EVENT_EPOCH_BEGAN && event->epoch_began->epoch != chain->epoch) {
    verify_fault(sink, chain->log, seq, "epoch_began names another epoch than its entry");
  }
  chain->last_of_kind[kind] = seq;
  chain->events++;
}

void verify_chain_end(const struct verify_chain *chain, const uint64_t tails[PD_LOGS]) {
  for (unsigned log = 1; log < PD_LOGS; log++) {
    if (chain->upto[log] <= tails[log]) continue;
    verify_fault(chain->sink, chain->log, chain->mark_seq[log],
                 "it had consumed %s up to %llu, which ends at %llu", pd_log_name(log),
                 (unsigned long long)chain->upto[log], (unsigned long long)tails[log]);
  }
}
