/* pending - the messages that wait, for notification_core only.
 *
 * A table of messages, each in one lane (a queue in order of creation), found by its id, by its
 * offer while it is an OFFER, and through its order while that order can still overtake it.  Every
 * operation is O(1), but for the walk over one order's own messages.  Entries are numbered from 1:
 * 0 is none, so that zeroed memory is an empty table.
 */
#ifndef NOTIFICATION_PENDING_H
#define NOTIFICATION_PENDING_H

#include "common/base/map.h"
#include "common/base/pool.h"
#include "services/notification/notification_core.h"

enum pending_lane {
  LANE_ANYTIME, /* may go out at once */
  LANE_DAY,     /* not in quiet hours */
  LANE_STALE,   /* overtaken: to be suppressed */
  LANE_ERASED,  /* its person is erased: to be suppressed */
  LANE_COUNT
};

struct pending {
  struct notification_message message;
  uint64_t number; /* 1, 2, 3 … in order of creation; 0: not in use */
  uint32_t prev;   /* in the lane */
  uint32_t next;
  uint32_t order_prev; /* among the order's messages */
  uint32_t order_next;
  uint32_t order; /* whose list it is in, 0: none */
  enum pending_lane lane;
};

/* Does this template invite somebody?  Then the end of the offer overtakes the message. */
static inline bool pending_is_offer(enum pd_template template) {
  return template == PD_TEMPLATE_OFFER || template == PD_TEMPLATE_OFFER_COMMANDED;
}

struct pending_list {
  uint32_t head;
  uint32_t tail;
  uint64_t count;
};

struct pending_facts {
  struct pending_list lanes[LANE_COUNT];
  uint64_t created;
  uint64_t dropped;
};

struct pending_table {
  struct pending *entries; /* 1 … capacity */
  uint32_t *orders;        /* first message of each order, 1 … */
  struct pending_facts *facts;
  struct pd_pool pool;
  struct pd_map ids;    /* (log, seq, part) -> entry */
  struct pd_map offers; /* offer -> entry of its OFFER */
};

/* Take the tables out of the arena's image, for so many messages and orders. */
void pending_init(struct pending_table *table, struct pd_arena *arena, uint32_t messages,
                  uint32_t orders);

/* Add a message to the end of a lane and, unless order is 0, to that order's list.  Without room it
 * is counted as dropped; an id that waits already is ignored. */
void pending_add(struct pending_table *table, const struct notification_message *message,
                 enum pending_lane lane, uint32_t order);

/* Forget a message. */
void pending_remove(struct pending_table *table, uint32_t entry);

/* Move a message to the end of LANE_STALE or LANE_ERASED; its order and its offer let go of it. */
void pending_suppress(struct pending_table *table, uint32_t entry, enum pending_lane lane);

/* Every message of this person goes to LANE_ERASED.  O(waiting): erasure is rare. */
void pending_erase(struct pending_table *table, const struct pd_id *person);

/* The entry with this id; the waiting OFFER of an offer; the order's message of this template about
 * this slot (0: any).  0 if there is none. */
uint32_t pending_find(const struct pending_table *table, enum pd_log log, uint64_t seq,
                      uint32_t part);
uint32_t pending_of_offer(const struct pending_table *table, uint64_t offer);
uint32_t pending_of_order(const struct pending_table *table, uint32_t order,
                          enum pd_template template, uint32_t slot);

/* The first message of LANE_ANYTIME or LANE_DAY behind the cursor, 0 if there is none. */
uint32_t pending_after(const struct pending_table *table, enum pending_lane lane,
                       struct notification_cursor *cursor);

/* Walk and assert everything. */
void pending_check(const struct pending_table *table);

#endif
