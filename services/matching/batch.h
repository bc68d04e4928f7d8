/* batch - orders that wait for a wave are decided together: whom each invites, so that the sum of
 * costs is least.
 *
 *     batch_gather    the waiting orders, as many as fit, and the people whom each could invite
 *     batch_solve     who of them is invited
 *     waves.c         says it
 *
 * An order's candidates are found nearest first, until nobody farther away can cost less than what
 * the order would pay.  If everybody's own cheapest candidates go together, they are the optimum:
 * no order could do better alone.  Otherwise it is a sparse b-matching (assign.h): an order needs
 * as many as its wave holds, a volunteer has as many places as offers may still be open, and each
 * further place costs more by fairness, so that who is near to many is not asked by all of them.  A
 * place that an order leaves empty costs more than any invitation, and the more the more urgent it
 * is.  The prices of that solution show which orders might still gain by looking farther; those do,
 * and it is solved again.
 *
 * Everything here is scratch: what waits stands in the state, what is decided in the events.
 */
#ifndef MATCHING_BATCH_H
#define MATCHING_BATCH_H

#include "services/matching/assign.h"
#include "services/matching/rules.h"

#define REASONS (PD_REASON_DAY_FULL + 1)

/* Somebody whom no rule keeps out of an order. */
struct candidate {
  int64_t start_ms; /* the time that suits */
  uint32_t volunteer;
  uint32_t distance_m;
  int32_t total_m; /* cost.h */
  int32_t fairness_m;
  int32_t continuity_m;
  int32_t rare_m;
  int32_t branch_m;
  int32_t rural_m;
  int32_t mutual_m;
  uint32_t zero;
  int32_t price_m; /* what the place is worth to other orders of the batch */
  uint32_t invited;
};

/* An order of the batch at hand. */
struct batch_order {
  uint32_t entry;
  uint32_t wanted; /* offers of its wave */
  uint32_t first;  /* its candidates, nearest first: first .. first + count - 1 */
  uint32_t count;
  uint32_t considered; /* people looked at */
  uint32_t invited;
  uint32_t ring_m;  /* of an emergency's phase: nobody farther away is looked at; else 0 */
  uint32_t frontier_m; /* the distance of the nearest who was not looked at */
  uint32_t complete;   /* there is nobody else to look at */
  uint32_t tally[REASONS]; /* people kept out, by reason */
};

/* Where a volunteer stands in the batch. */
struct batch_seat {
  uint32_t serial; /* of the batch that this was written in */
  uint32_t number; /* among its volunteers */
};

struct batch {
  uint32_t order_limit;
  uint32_t room; /* for candidates */
  uint32_t order_count;
  uint32_t used;       /* candidates, those included that a wider look has replaced */
  uint32_t volunteers; /* different ones */
  uint32_t serial;
  uint32_t solved; /* by assign: its answer and problem are at hand, to be proved */
  uint32_t rounds; /* how often it was solved */
  struct batch_order *orders;
  struct candidate *candidates;
  struct batch_seat *seats; /* of each volunteer */
  uint32_t *people;  /* the batch's volunteers */
  uint32_t *asked;   /* how often each is a candidate, or chosen */
  uint32_t *need;    /* the problem's arrays */
  uint32_t *penalty;
  uint32_t *row;
  uint32_t *places;
  uint32_t *rise_at;
  uint32_t *rise;
  uint32_t *col;
  uint32_t *cost;
  struct assign_problem problem;
  struct assign assign;
  struct pd_arena arena; /* of the solution */
};

/* Take the scratch out of the arena, before its image begins. */
struct batch *batch_init(struct pd_arena *arena, const struct pd_limits *limits);

/* Take up waiting orders, in the order in which they began to wait, and find their candidates.  An
 * emergency is taken up first, and alone: it asks the nearest. */
void batch_gather(struct matching *self, int64_t now_ms);

/* Choose. */
void batch_solve(struct matching *self, int64_t now_ms);

/* Is the answer at hand proved, if it took assign?  O(candidates); for tests. */
bool batch_certified(const struct matching *self);

#endif
