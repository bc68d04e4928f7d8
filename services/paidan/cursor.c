#include "services/paidan/cursor.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_ENTRIES 256
#define EVENT_MEMORY (512u << 10)

void cursor_open(struct cursor *cursor, struct pd_store_now *store, enum pd_log log,
                 uint64_t from) {
  *cursor = (struct cursor){.store = store, .log = log, .next = from == 0 ? 1 : from};
}

void cursor_close(struct cursor *cursor) { pd_store_page_free(&cursor->page); }

static enum pd_err next_page(struct cursor *cursor) {
  pd_store_page_free(&cursor->page);
  cursor->place = 0;
  enum pd_err err = pd_store_read_now(cursor->store, pd_log_name(cursor->log), cursor->next,
                                      PAGE_ENTRIES, &cursor->page);
  if (err != PD_OK) return err;
  return cursor->page.count == 0 ? PD_ENOENT : PD_OK;
}

enum pd_err cursor_entry(struct cursor *cursor) {
  cursor->stored = NULL;
  if (cursor->place >= cursor->page.count) {
    enum pd_err err = next_page(cursor);
    if (err != PD_OK) return err;
  }
  const struct pd_stored *stored = &cursor->page.entries[cursor->place++];
  cursor->stored = stored;
  cursor->next = stored->last_seq + 1;
  struct pd_hash hash = pd_hash_of(stored->bytes, stored->size);
  if (memcmp(hash.bytes, stored->hash, sizeof hash.bytes) != 0) return PD_ECORRUPT;
  enum pd_err err = pd_entry_open(stored->bytes, stored->size, &cursor->view);
  cursor->at = 0;
  if (err != PD_OK)
    cursor->view = (struct pd_entry_view){0};
  else if (cursor->view.head.log != cursor->log)
    err = PD_EFORMAT;
  return err;
}

enum pd_err cursor_item(struct cursor *cursor, struct pd_entry_item *item) {
  while (cursor->stored == NULL || !pd_entry_next(&cursor->view, &cursor->at, item)) {
    enum pd_err err = cursor_entry(cursor);
    if (err != PD_OK) return err;
  }
  return PD_OK;
}

/* ---- merge ---- */

enum pd_err merge_open(struct merge *merge, struct pd_store_now *store) {
  *merge = (struct merge){0};
  for (unsigned log = 1; log < PD_LOGS; log++) {
    merge->heads[log].memory = calloc(1, EVENT_MEMORY);
    if (merge->heads[log].memory == NULL) {
      merge_close(merge);
      return PD_EIO;
    }
    cursor_open(&merge->heads[log].cursor, store, (enum pd_log)log, 1);
  }
  return PD_OK;
}

void merge_close(struct merge *merge) {
  for (unsigned log = 1; log < PD_LOGS; log++) {
    cursor_close(&merge->heads[log].cursor);
    free(merge->heads[log].memory);
  }
  *merge = (struct merge){0};
}

/* Unpack the event of the item at hand. */
static enum pd_err unpack(struct merge_head *head) {
  struct pd_arena arena;
  pd_arena_init(&arena, head->memory, EVENT_MEMORY);
  head->event = pd_event_unpack(&arena, head->item.event, head->item.size);
  return head->event == NULL ? PD_EFORMAT : PD_OK;
}

/* Have an item at hand, unless the log has ended. */
static enum pd_err fill(struct merge_head *head) {
  if (head->there) return PD_OK;
  enum pd_err err = cursor_item(&head->cursor, &head->item);
  if (err == PD_ENOENT) head->cursor.ended = true;
  if (err != PD_OK) return err == PD_ENOENT ? PD_OK : err;
  head->there = true;
  head->mark = head->item.log != PD_LOG_UNSPECIFIED;
  return head->mark ? PD_OK : unpack(head);
}

/* Pass over the marks that are fulfilled. */
static enum pd_err settle(struct merge *merge, struct merge_head *head) {
  enum pd_err err = fill(head);
  while (err == PD_OK && head->there && head->mark) {
    unsigned log = (unsigned)head->item.log;
    if (log < PD_LOGS && merge->heads[log].walked < head->item.upto &&
        !merge->heads[log].cursor.ended)
      break;
    head->there = false;
    err = fill(head);
  }
  return err;
}

static enum pd_err settle_all(struct merge *merge) {
  for (unsigned log = 1; log < PD_LOGS; log++) {
    enum pd_err err = settle(merge, &merge->heads[log]);
    if (err == PD_OK) continue;
    merge->bad = (enum pd_log)log;
    return err;
  }
  return PD_OK;
}

/* The head with the earliest event that is free to come; NULL if none is. */
static struct merge_head *earliest(struct merge *merge) {
  struct merge_head *best = NULL;
  for (unsigned log = 1; log < PD_LOGS; log++) {
    struct merge_head *head = &merge->heads[log];
    if (!head->there || head->mark) continue;
    if (best == NULL || head->event->time_ms < best->event->time_ms) best = head;
  }
  return best;
}

/* Logs that wait for each other: only damaged ones do.  Let the first go on. */
static void break_knot(struct merge *merge) {
  for (unsigned log = 1; log < PD_LOGS; log++) {
    if (!merge->heads[log].there) continue;
    merge->heads[log].there = false;
    return;
  }
}

static bool waiting(const struct merge *merge) {
  for (unsigned log = 1; log < PD_LOGS; log++) {
    if (merge->heads[log].there) return true;
  }
  return false;
}

enum pd_err merge_next(struct merge *merge) {
  for (;;) {
    enum pd_err err = settle_all(merge);
    if (err != PD_OK) return err;
    struct merge_head *head = earliest(merge);
    if (head != NULL) {
      head->there = false;
      head->walked = head->event->seq;
      merge->event = head->event;
      merge->bytes = head->item.event;
      merge->size = head->item.size;
      return PD_OK;
    }
    if (!waiting(merge)) return PD_ENOENT;
    break_knot(merge);
  }
}
