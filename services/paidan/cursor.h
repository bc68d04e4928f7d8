/* cursor - walks logs as they are stored in Redis: one log entry by entry, or all five event by
 * event.
 *
 * A merge hands out the events of all logs so that nothing comes before what it was decided upon: a
 * mark in one log waits until the log it names has been walked that far; among what is free to
 * come, the earliest time comes first.
 */
#ifndef PAIDAN_CURSOR_H
#define PAIDAN_CURSOR_H

#include "common/io/store.h"
#include "common/wire/entry.h"

/* One log. */
struct cursor {
  struct pd_store_now *store;
  enum pd_log log;
  bool ended;
  bool zero[3];
  uint64_t next; /* seq that is read next */
  struct pd_store_page page;
  size_t place;                   /* in the page */
  const struct pd_stored *stored; /* the entry at hand */
  struct pd_entry_view view;      /* of it */
  size_t at;                      /* in its items */
};

/* Stand before the event `from` of a log; nothing is read yet.  The store must outlive the
 * cursor. */
void cursor_open(struct cursor *cursor, struct pd_store_now *store, enum pd_log log, uint64_t from);
void cursor_close(struct cursor *cursor);

/* The next entry: stored and view are set.  PD_ENOENT: the end of the log; PD_ECORRUPT: the entry's
 * bytes do not have their hash (stored is set); PD_EFORMAT: they are no entry of this log;
 * PD_EDOWN, PD_EIO.  A later call tries again. */
PD_MUST_USE enum pd_err cursor_entry(struct cursor *cursor);

/* The next item, of the next entry if need be; errors as above. */
PD_MUST_USE enum pd_err cursor_item(struct cursor *cursor, struct pd_entry_item *item);

/* One of the merge's logs: its first event that was not handed out. */
struct merge_head {
  struct cursor cursor;
  bool mark;  /* the item at hand is a mark, else an event */
  bool there; /* there is one */
  bool zero[6];
  struct pd_entry_item item;
  struct pd_event *event;
  uint8_t *memory; /* for the event */
  uint64_t walked; /* seq of the last event handed out */
};

struct merge {
  struct merge_head heads[PD_LOGS];
  struct pd_event *event; /* handed out last; lives until the next call */
  const uint8_t *bytes;
  size_t size;
  enum pd_log bad; /* the log that an error came from */
};

/* From the beginning of all five logs.  PD_EIO: no memory. */
PD_MUST_USE enum pd_err merge_open(struct merge *merge, struct pd_store_now *store);
void merge_close(struct merge *merge);

/* The next event.  PD_ENOENT: the end; otherwise as cursor_entry(). */
PD_MUST_USE enum pd_err merge_next(struct merge *merge);

#endif
