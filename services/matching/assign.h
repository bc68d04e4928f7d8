/* assign - the optimum of a batch: who is asked for which order, so that the sum of costs is least.
 *
 * A request needs 1..n volunteers, a volunteer has 1..m free places; an edge joins a request with a
 * candidate at a cost and is used at most once.  A need that stays unserved costs the request's
 * penalty.  A volunteer's second and further places may cost more than the first: by rises that do
 * not fall.  Minimised: the costs of the used edges, the rises of the places taken, and the
 * penalties of the needs left unserved.
 *
 * Method: successive shortest paths with prices.  A greedy round and a bounded auction start it
 * (augmenting row reduction of Jonker and Volgenant, Computing 38 (1987), carried over to
 * capacities above one); what is then still open is served along shortest paths in the residual
 * graph.  After every step these hold, and at the end they prove the optimum, whatever led there:
 *
 *     request price u <= penalty;  = penalty if a need was left unserved
 *     volunteer price v >= the rise of the last place taken;  <= that of a free one
 *     cost + v - u >= 0 for unused edges, <= 0 for used ones
 *
 * Invariants: integers only, no recursion, all memory from the caller's arena; the same problem
 * gives the same answer on every machine.
 */
#ifndef MATCHING_ASSIGN_H
#define MATCHING_ASSIGN_H

#include "common/base/arena.h"
#include "common/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ASSIGN_COST_MAX ((uint32_t)1 << 28) /* of an edge, and of a penalty */

/* A problem; the arrays are the caller's and must outlive the solution. */
struct assign_problem {
  uint32_t requests;
  uint32_t volunteers;
  const uint32_t *need;    /* of a request */
  const uint32_t *places;  /* of a volunteer */
  const uint32_t *row;     /* request i has the edges row[i] .. row[i + 1] - 1 */
  const uint32_t *col;     /* the volunteer of an edge */
  const uint32_t *cost;    /* of an edge, 0 .. ASSIGN_COST_MAX */
  const uint32_t *penalty; /* of a request, for each need unserved, 0 .. ASSIGN_COST_MAX */
  const uint32_t *rise;    /* of a place: 0 of the first, then not falling, up to ASSIGN_COST_MAX;
                              NULL: none costs more */
  const uint32_t *rise_at; /* the places of volunteer j have the rises rise_at[j] and on */
};

struct assign_edge;
struct assign_request;
struct assign_volunteer;
struct assign_slot;
struct assign_label;
struct assign_queue;

/* The handle; everything it points at lies in the arena, as long as that lasts. */
struct assign {
  struct assign_edge *edges;
  struct assign_request *requests;
  struct assign_volunteer *volunteers;
  struct assign_label *labels; /* of volunteers, then of requests */
  struct assign_slot *slots;   /* of the volunteers' places, one run each */
  struct assign_queue *queue;
  uint32_t *reached;      /* nodes that the search has labelled */
  uint32_t *request_at;   /* where a request stands: neighbours stand together */
  uint32_t *volunteer_at; /* likewise */
  const uint32_t *row;    /* the problem's */
  uint32_t request_count;
  uint32_t volunteer_count;
  uint32_t edge_count;
  uint32_t reached_count;
  uint32_t hole;   /* the volunteer to be filled, in a repair */
  uint32_t rising; /* places cost more and more */
  uint64_t steps; /* of the auction; for figures */
  uint64_t paths; /* searched */
  uint64_t scans; /* edges looked at by searches */
};

/* What assign_init() takes out of an arena at most, bytes. */
size_t assign_bytes(uint32_t requests, uint32_t volunteers, uint32_t edges);

/* Read a problem.  PD_EINVAL: a row, a column, a cost, a penalty or a rise is out of range;
 * PD_EBOUNDS: the
 * arena has no room for it. */
PD_MUST_USE enum pd_err assign_init(struct assign *assign, struct pd_arena *arena,
                                    const struct assign_problem *problem);

/* Find the optimum. */
void assign_solve(struct assign *assign);

/* An edge may not be used any more (its volunteer has declined): find the optimum without it, from
 * the prices at hand.  Only after assign_solve(). */
void assign_forbid(struct assign *assign, uint32_t request, uint32_t edge);

/* The answer: is an edge of the request used; how many of its needs are left unserved; and the
 * whole cost.  Edges are numbered as in the problem. */
bool assign_uses(const struct assign *assign, uint32_t request, uint32_t edge);
uint32_t assign_unserved(const struct assign *assign, uint32_t request);
int64_t assign_cost(const struct assign *assign);

/* The prices that prove it: u and v above. */
int64_t assign_request_price(const struct assign *assign, uint32_t request);
int64_t assign_volunteer_price(const struct assign *assign, uint32_t volunteer);

/* Check the answer against the problem without trust in how it came about: capacities kept, and the
 * value of the dual solution that the prices give equal to the cost.  By weak duality no answer is
 * cheaper.  `forbidden` has a flag an edge, or is NULL. */
bool assign_certified(const struct assign *assign, const struct assign_problem *problem,
                      const uint8_t *forbidden);

#endif
