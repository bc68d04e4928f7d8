/* whatif - a recorded stretch played under other rules, beside what happened.
 *
 * The matcher's and scheduling's own cores are run anew over the recorded facts of intake: who is
 * registered, which orders are placed and cancelled, whom coordinators name and who asks in the
 * hall.  How people answer is a model, the same for every set of rules:
 *
 *     - who answered an offer of this order then answers it so again, after the same time; who let
 *       it expire does so again;
 *     - of the others as many say yes and no as did for this kind of order, after times that were
 *       measured; which of them is decided by order and volunteer alone, so that two runs agree;
 *     - who withdrew from a booking then does so again; everybody else who is booked comes, serves
 *       for the expected time, and the order ends with the last of them.
 *
 * So rules are compared with each other under one model; the record stands beside them to show how
 * good the model is.  Orders placed before the stretch are left out, and so is their load.  No
 * clock, no randomness, no daemon.
 */
#ifndef PAIDAN_WHATIF_H
#define PAIDAN_WHATIF_H

#include "services/matching/matching_core.h"
#include "services/paidan/ids.h"

#define WHATIF_REASONS 40

struct whatif_record; /* what was read from the logs */

/* An empty record of a shard; orders placed from since_ms until before until_ms are played. */
struct whatif_record *whatif_new(const struct pd_shard *shard, int64_t since_ms, int64_t until_ms);
void whatif_free(struct whatif_record *record); /* NULL-safe */

/* Take in one event of the logs intake or matching, in the order of its log; others are passed
 * over.  PD_EFORMAT: it cannot be unpacked. */
PD_MUST_USE enum pd_err whatif_add(struct whatif_record *record, const uint8_t *bytes, size_t size);

/* How people answered in the stretch, by kind of order; kind 0: all. */
struct whatif_rate {
  uint64_t known; /* answered, or expired without an answer */
  uint64_t yes;
  uint64_t no;
};
struct whatif_rate whatif_rate(const struct whatif_record *record, unsigned kind);

/* Which orders are decided together: those of one event or timer and what follows from it, as far
 * as the rules' window does not say more; each alone, before the next is heard of; those of one
 * moment. */
enum whatif_turns { WHATIF_EACH_CAUSE, WHATIF_EACH_ORDER, WHATIF_EACH_MOMENT };

/* How a play differs from what `paidan replay` does; zeroed: in nothing. */
struct whatif_setting {
  /* Of people whose answers are not recorded: as many say yes and no; known 0: as was measured.
   * Those of the delays that are given replace the measured ones (milliseconds; not owned). */
  struct whatif_rate rate;
  const int64_t *delays_ms;
  size_t delays;
  enum whatif_turns turns;
  uint32_t zero;
  /* Hears every event of a play, in its order; may be NULL. */
  void (*event)(void *context, const struct pd_event *event);
  void *context;
};

/* Let the plays that follow be so. */
void whatif_set(struct whatif_record *record, const struct whatif_setting *setting);

/* What came of the stretch's orders. */
struct whatif_figures {
  uint64_t orders;
  uint64_t slots;
  uint64_t filled; /* slots booked at the end */
  uint64_t staffed; /* orders that had all helpers at some time */
  uint64_t offers;
  uint64_t unmatched; /* times that nobody could be invited */
  uint64_t invited;   /* volunteers who had an offer */
  uint64_t volunteers;
  double offers_per_fill;
  double offer_wait_min[2]; /* placed to first offer: mean, and nine of ten */
  double staff_wait_min[2]; /* placed to staffed */
  double travel_m[2];       /* way of those booked: mean, and nine of ten */
  double gini;              /* of offers over all volunteers: 0 all alike, 1 one has all */
  uint64_t reasons[WHATIF_REASONS]; /* orders not staffed, by what kept most people out last */
};

/* What is recorded. */
struct whatif_figures whatif_recorded(const struct whatif_record *record);

/* Play it under the rules that were adopted then (rules NULL), or under these.  PD_EIO: no memory.
 */
PD_MUST_USE enum pd_err whatif_play(struct whatif_record *record,
                                    const struct matching_rules *rules,
                                    struct whatif_figures *figures);

#endif
