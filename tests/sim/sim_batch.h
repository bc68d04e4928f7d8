/* sim_batch - the least cost of a few orders that are decided together, found apart from the
 * cores: one invitation after the other along a cheapest path of exchanges (Bellman and Ford), with
 * no care for speed.
 */
#ifndef TESTS_SIM_BATCH_H
#define TESTS_SIM_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#define BATCH_ORDERS 8
#define BATCH_PEOPLE 1024
#define BATCH_NEVER (INT64_MAX / 4) /* the cost of who may not be invited */

struct sim_batch {
  uint32_t orders, people;
  uint32_t wanted[BATCH_ORDERS];
  int64_t empty[BATCH_ORDERS]; /* what a place costs that is left empty */
  int64_t cost[BATCH_ORDERS][BATCH_PEOPLE];
  uint32_t room[BATCH_PEOPLE]; /* invitations that somebody may still get */
  uint32_t load[BATCH_PEOPLE]; /* recent offers, in sixteenths */
  bool invited[BATCH_ORDERS][BATCH_PEOPLE];
};

/* What fairness counts for somebody with so many recent offers, in metres. */
int64_t sim_batch_fairness(uint32_t load);

/* The cost of the invitations as they stand. */
int64_t sim_batch_cost(const struct sim_batch *batch);

/* Invite for the least cost instead. */
void sim_batch_solve(struct sim_batch *batch);

#endif
