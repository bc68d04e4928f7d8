/* sim_judge - what the two parts of the matcher's checker share: its view of the logs, and the
 * rules as it reads them.
 */
#ifndef TESTS_SIM_JUDGE_H
#define TESTS_SIM_JUDGE_H

#include "tests/sim/sim_batch.h"
#include "tests/sim/sim_view.h"

#include <stdio.h>

#define MINUTE INT64_C(60000)
#define LEAD (15 * MINUTE)

/* Somebody was named by a coordinator, or asked in the hall. */
struct judge_question {
  uint64_t order;
  uint32_t person;
  enum pd_offer_how how; /* 0: nothing was asked */
  bool answered;
  uint64_t offer; /* made to who asked; it must be won at once */
};

/* Waves that are said one after the other are of one batch. */
struct judge_batch {
  bool open, skipped;
  uint32_t orders, offers;
  uint64_t number[BATCH_ORDERS];
  uint32_t wanted[BATCH_ORDERS];
  uint64_t last_offer, asked; /* before it */
  uint32_t open_before, all_wanted;
  int64_t now_ms;
  struct {
    uint32_t order, person, distance_m;
  } invited[64 * BATCH_ORDERS];
  uint32_t load[VIEW_PERSONS], open_offers[VIEW_PERSONS]; /* before it */
};

struct judge {
  struct view view;
  uint64_t order; /* that the latest input was about */
  uint64_t offer;
  uint32_t person;           /* index plus 1 */
  uint32_t moved;            /* index plus 1 of who made room in this turn */
  uint32_t known[8], yes[8]; /* answers so far, by the order's kind */
  uint32_t open_orders, open_offers;
  struct judge_question question; /* that the latest input asked */
  struct judge_batch batch;       /* the waves that were said last, one after the other */
  uint64_t last_offer;
  bool strict; /* the clock was never set, so waves follow at once */
};

/* What a coordinator may set aside, and what does not stand against who asks in the hall. */
#define BIT(reason) (UINT64_C(1) << PD_REASON_##reason)
#define WAIVES(waived, reason) (((waived)&BIT(reason)) != 0)
#define MAY_OVERRULE \
  (BIT(ALREADY_ASKED) | BIT(RADIUS) | BIT(HOURS) | BIT(CAPACITY) | BIT(TOO_MANY_OFFERS) | \
   BIT(NOT_AUTOMATED))

#define FAIL_UNLESS(judge, holds, event, ...)                                      \
  do {                                                                             \
    if (!(holds)) {                                                                \
      char text[200];                                                              \
      snprintf(text, sizeof text, __VA_ARGS__);                                    \
      sim_fail((judge)->view.sim, "%s (%s %llu)", text, pd_log_name((event)->log), \
               (unsigned long long)(event)->seq);                                  \
    }                                                                              \
  } while (0)

/* The distance between an order's cell and a person's. */
double judge_metres(const struct view_order *order, const struct view_person *person);

/* Why this person may not be invited to this order, apart from time and from what was set aside;
 * NULL: no reason.  And at this time. */
const char *judge_objection(const struct judge *judge, const struct view_order *order,
                            uint32_t index, uint64_t waived, int64_t now_ms);
const char *judge_objection_to_time(const struct judge *judge, const struct view_order *order,
                                    uint32_t index, int64_t start_ms, int64_t end_ms,
                                    uint64_t waived);

/* So many may be invited now. */
uint32_t judge_most_offers(const struct judge *judge, const struct view_order *order);

/* sim_check_batch.c: a wave is opened or in vain, somebody is invited by it, the batch is over. */
void judge_join_batch(struct judge *judge, const struct pd_event *event,
                      const struct view_order *order, bool full);
void judge_note_invited(struct judge *judge, uint32_t person, uint32_t distance_m);
void judge_end_batch(struct judge *judge, const struct pd_event *event);

/* Remember an offer in what fairness counts. */
void judge_note_load(struct judge *judge, uint32_t person, int64_t time_ms);

#endif
