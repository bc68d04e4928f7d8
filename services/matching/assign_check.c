/* The certificate: everything is added up anew from the caller's problem. */
#include "common/base/err.h"
#include "services/matching/assign.h"
#include "services/matching/assign_table.h"

/* Needs are served or counted as unserved, and no edge is used that may not be. */
static bool served(const struct assign *assign, const struct assign_problem *problem,
                   const uint8_t *forbidden) {
  pd_assert(assign->request_count == problem->requests);
  for (uint32_t i = 0; i < problem->requests; i++) {
    uint64_t used = 0;
    for (uint32_t k = problem->row[i]; k < problem->row[i + 1]; k++) {
      if (!assign_uses(assign, i, k)) continue;
      if (forbidden && forbidden[k]) return false;
      used++;
    }
    if (used + assign_unserved(assign, i) != problem->need[i]) return false;
  }
  return true;
}

/* What the slots say is what the edges say, and within the places. */
static bool placed(const struct assign *assign, const struct assign_problem *problem) {
  pd_assert(assign->volunteer_count == problem->volunteers);
  uint64_t slots = 0, used = 0;
  for (uint32_t j = 0; j < problem->volunteers; j++) {
    uint32_t at = assign->volunteer_at[j];
    const struct assign_volunteer *volunteer = &assign->volunteers[at];
    if (volunteer->held > problem->places[j]) return false;
    for (uint32_t i = volunteer->first; i < volunteer->first + volunteer->held; i++)
      if (assign->edges[assign->slots[i].edge].col != (at | EDGE_USED)) return false;
    slots += volunteer->held;
  }
  for (uint32_t i = 0; i < problem->requests; i++)
    for (uint32_t k = problem->row[i]; k < problem->row[i + 1]; k++)
      used += assign_uses(assign, i, k);
  return slots == used;
}

static int64_t primal(const struct assign *assign, const struct assign_problem *problem) {
  int64_t cost = 0;
  for (uint32_t i = 0; i < problem->requests; i++) {
    for (uint32_t k = problem->row[i]; k < problem->row[i + 1]; k++)
      if (assign_uses(assign, i, k)) cost += problem->cost[k];
    cost += (int64_t)assign_unserved(assign, i) * problem->penalty[i];
  }
  for (uint32_t j = 0; problem->rise != NULL && j < problem->volunteers; j++)
    for (uint32_t t = 0; t < assign->volunteers[assign->volunteer_at[j]].held; t++)
      cost += problem->rise[problem->rise_at[j] + t];
  return cost;
}

/* sum need u - sum max(0, v - rise) - sum max(0, u - v - cost), for 0 <= v and u <= penalty;
 * INT64_MIN when the prices are not such. */
static int64_t dual(const struct assign *assign, const struct assign_problem *problem,
                    const uint8_t *forbidden) {
  int64_t value = 0;
  for (uint32_t j = 0; j < problem->volunteers; j++) {
    int64_t v = assign_volunteer_price(assign, j);
    if (v < 0) return INT64_MIN;
    if (problem->rise == NULL) value -= v * problem->places[j];
    for (uint32_t t = 0; problem->rise != NULL && t < problem->places[j]; t++) {
      int64_t above = v - problem->rise[problem->rise_at[j] + t];
      value -= above > 0 ? above : 0;
    }
  }
  for (uint32_t i = 0; i < problem->requests; i++) {
    int64_t u = assign_request_price(assign, i);
    if (u > problem->penalty[i]) return INT64_MIN;
    value += u * problem->need[i];
    for (uint32_t k = problem->row[i]; k < problem->row[i + 1]; k++) {
      int64_t gain = u - assign_volunteer_price(assign, problem->col[k]) - problem->cost[k];
      if (gain > 0 && !(forbidden && forbidden[k])) value -= gain;
    }
  }
  return value;
}

bool assign_certified(const struct assign *assign, const struct assign_problem *problem,
                      const uint8_t *forbidden) {
  pd_assert(assign->request_count == problem->requests);
  if (!served(assign, problem, forbidden) || !placed(assign, problem)) return false;
  int64_t cost = primal(assign, problem);
  return cost == assign_cost(assign) && cost == dual(assign, problem, forbidden);
}
