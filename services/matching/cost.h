/* cost - whom to invite first among those whom no rule keeps out.
 *
 * One integer, in metres of way: the way itself, what recent offers count (convex: the second
 * counts three times the first, so the next order goes to who has waited), less a credit to who
 * served this resident last, whose branch fits, where a village asks, and who is in mutual aid
 * (互助: was helped lately, or helps one who serves), and what rare skills count that this order
 * would waste.
 */
#ifndef MATCHING_COST_H
#define MATCHING_COST_H

#include "services/matching/state.h"

/* One order at one time, as costs see it. */
struct costs {
  const struct matching *self;
  const struct order *order;
  const struct matching_policy *policy;
  int64_t week;     /* local week of the time */
  int64_t since_ms; /* what is later is "lately" */
  int64_t credit_m; /* nobody is forgiven more */
  uint32_t rare;    /* bits of the skills that few have and the order does not need */
  uint32_t continuity_m; /* credit to who served this resident last; 0 if nobody here did */
  bool serves;      /* the requester served as a volunteer lately */
  uint8_t zero[7];
};

/* Look at an order at now_ms. */
struct costs costs_begin(const struct matching *self, const struct order *order, int64_t now_ms);

/* The cost of inviting the volunteer of this number, who lives distance_m away. */
struct matching_cost costs_of(const struct costs *costs, uint32_t number, uint32_t distance_m);

/* What the (more + 1)-th offer that is made to a volunteer at one time costs beyond the first, by
 * the fairness of the rules for all kinds: rises do not fall. */
uint32_t costs_rise_m(const struct matching *self, uint32_t number, int64_t week, uint32_t more);

/* What somebody costs at least who lives this far away or farther. */
int64_t costs_least_m(const struct costs *costs, uint32_t distance_m);

/* May somebody farther away still be cheaper than somebody nearer? */
bool costs_matter(const struct costs *costs);

#endif
