/* notification_core - who hears what, and what still waits to be told.
 *
 * Every fact that somebody should hear of becomes one message per person concerned.  A message
 * waits in the state until it was delivered, given up or overtaken; so after a restart whatever
 * waits is handed out again, under the same id (log, seq, part): delivery is at least once.
 *
 *     facts in:     intake, matching, scheduling, points (see `enum Template` in event.proto)
 *     inputs:       PD_INPUT_DELIVERY, what a sink says of a message
 *     events out:   message_sent  message_failed  message_suppressed
 *
 *     fact                               who hears which template (part)
 *     order_placed                       requester ORDER_RECEIVED
 *     offer_made                         volunteer OFFER, or OFFER_COMMANDED; who asked in the hall
 *                                        is BOOKED at once
 *     offer_closed FILLED, ORDER_ENDED,
 *       OVERLAP, CAPACITY, HOURS, FULL   volunteer OFFER_WITHDRAWN, if the OFFER went out; where an
 *                                        emergency is FILLED: STOOD_DOWN
 *     coverage_noted                     the centre COVERAGE, if anybody waits or a place is bare
 *     offer_denied (asked in the hall)   volunteer ASK_DENIED
 *     slot_filled                        volunteer BOOKED (0), requester HELP_FOUND (1)
 *     slot_reopened                      requester HELPER_LOST, if the HELP_FOUND went out
 *     reminder_due                       START_, FINISH_ or CONFIRM_REMINDER
 *     order_escalated                    site ESCALATED
 *     order_served                       requester CONFIRM_REQUEST
 *     points_posted, hold_resolved POSTED  volunteer POINTS
 *     hold_placed                        volunteer HELD
 *     star_reached                       volunteer STAR
 *     order_closed UNFILLED              requester UNFILLED
 *     order_closed CANCELLED             booked volunteers CANCELLED (slot - 1), if BOOKED went out
 *
 * Overtaken (message_suppressed STALE): an OFFER whose offer ended; what a closed order still had
 * to say; START_REMINDER once started, FINISH_REMINDER once finished, CONFIRM_… once all is
 * confirmed, ESCALATED once staffed; BOOKED, HELP_FOUND and reminders of a slot that was reopened.
 * An erased person hears nothing more (message_suppressed ERASED).
 *
 * Quiet hours (policy) are looked at when a message is about to go out, not when it is created: so
 * what failed in the evening does not ring at midnight either.
 *
 * Invariants (notification_core.check):
 *     - every waiting message is in exactly one lane and found by its id;
 *     - messages, bookings, orders and holds in use equal what the pools say.
 * After each decide nothing overtaken is left.
 *
 * Hours, distances and names in a message are never personal data: people are random ids.
 */
#ifndef NOTIFICATION_NOTIFICATION_CORE_H
#define NOTIFICATION_NOTIFICATION_CORE_H

#include "common/wire/core.h"

struct notification; /* all state; lives in the arena given to init */

extern const struct pd_core notification_core;

/* When non-urgent messages wait.  Local time; from > to spans midnight. */
struct notification_policy {
  uint32_t quiet;          /* 0: no quiet hours */
  uint32_t quiet_from_min; /* minute of the local day, 0 … 1439 */
  uint32_t quiet_to_min;   /* the first minute that is not quiet, 0 … 1439 */
  uint32_t zero;
};

/* 22:00 to 7:00, switched off. */
extern const struct notification_policy notification_policy_default;

/* What is to be told, without words: templates.h makes the text.  Fields that a template does not
 * use are 0. */
struct notification_message {
  struct pd_id person; /* who hears it; zero when `site` hears it */
  uint64_t seq;        /* with log and part: the message's id, for ever the same */
  uint64_t order;      /* 0: about no order */
  uint64_t subject;    /* the offer or the hold */
  int64_t time_ms;     /* of the event it tells about */
  int64_t start_ms;    /* of the service, or of the order's window */
  int64_t end_ms;
  int64_t until_ms; /* answer or decision by */
  int64_t minutes;  /* posted or held; STAR: the total; orders: expected length */
  int64_t points;
  enum pd_log log;
  uint32_t part;
  enum pd_template template;
  uint32_t site;
  uint32_t slot; /* 1 … need, or 0 */
  uint32_t need;
  enum pd_order_kind kind; /* 0: not known */
  enum pd_urgency urgency; /* 0: not known */
  uint32_t distance_m;
  uint32_t star;
  enum pd_reason reason; /* of ASK_DENIED */
  uint32_t cells;        /* COVERAGE: places with nobody near */
  uint32_t asked;        /* orders from there */
  uint32_t starved;      /* volunteers who wait */
};

/* How far a reader has come.  All zero: at the beginning. */
struct notification_cursor {
  uint64_t number[2];
  uint32_t entry[2];
};

/* The next message that may go out at now_ms, in the order in which the facts came; false if there
 * is none behind the cursor.  Reading changes nothing: who is being delivered to is the reader's
 * own business, and a message is handed out again only to a cursor that starts anew.  O(1), but for
 * a walk over messages still under way when the newest of them was finished first.  A cursor
 * outlives deliveries and new facts, but not the state: after a rebuild start anew. */
bool notification_next(const struct notification *self, int64_t now_ms,
                       struct notification_cursor *cursor, struct notification_message *message);

/* When messages that wait for the end of the quiet hours may go out; PD_NEVER if none waits for it.
 */
int64_t notification_wake(const struct notification *self, int64_t now_ms);

/* For metrics. */
struct notification_counts {
  uint64_t waiting; /* all messages not yet delivered, given up or overtaken */
  uint64_t by_day;  /* of these: not to be sent in quiet hours */
  uint64_t created; /* ever */
  uint64_t dropped; /* ever, because there was no room: 0 unless room() was ignored */
};
struct notification_counts notification_count(const struct notification *self);

#endif
