/* Order for the cache: a walk over the graph, breadth first, numbers requests and volunteers as it
 * meets them.  A search stays among neighbours, so it stays in a small part of memory. */
#include "common/base/err.h"
#include "services/matching/assign.h"
#include "services/matching/assign_table.h"

#define ARRANGE_FROM 100000 /* edges: about what a second-level cache holds */
#define ARRANGE_EDGES 4     /* of each request that the walk follows */

/* Requests by volunteer, of the edges that the walk follows; in the memory of the slots, which are
 * not in use yet. */
struct reverse {
  uint32_t *first; /* of a volunteer, and one more */
  uint32_t *request;
};

static uint32_t followed(const struct assign_problem *problem, uint32_t request) {
  pd_assert(request < problem->requests);
  uint32_t first = problem->row[request], last = problem->row[request + 1];
  return last - first > ARRANGE_EDGES ? first + ARRANGE_EDGES : last;
}

static void turn_round(const struct assign_problem *problem, struct reverse *reverse) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < problem->requests; i++)
    for (uint32_t k = problem->row[i]; k < followed(problem, i); k++)
      reverse->first[problem->col[k]]++;
  for (uint32_t j = 0; j < problem->volunteers; j++) {
    sum += reverse->first[j];
    reverse->first[j] = sum;
  }
  reverse->first[problem->volunteers] = sum;
  for (uint32_t i = problem->requests; i-- > 0;)
    for (uint32_t k = problem->row[i]; k < followed(problem, i); k++)
      reverse->request[--reverse->first[problem->col[k]]] = i;
}

struct walked {
  uint32_t *queue;
  uint32_t requests; /* on the queue */
  uint32_t volunteers;
};

/* A request's place in the queue is its number. */
static void meet_request(struct assign *assign, struct walked *walked, uint32_t request) {
  pd_assert(request < assign->request_count);
  if (assign->request_at[request] != NOTHING) return;
  assign->request_at[request] = walked->requests;
  walked->queue[walked->requests++] = request;
}

static void walk_from(struct assign *assign, const struct assign_problem *problem,
                      const struct reverse *reverse, struct walked *walked, uint32_t request) {
  pd_assert(request < problem->requests);
  for (uint32_t k = problem->row[request]; k < followed(problem, request); k++) {
    uint32_t j = problem->col[k];
    if (assign->volunteer_at[j] != NOTHING) continue;
    assign->volunteer_at[j] = walked->volunteers++;
    for (uint32_t i = reverse->first[j]; i < reverse->first[j + 1]; i++)
      meet_request(assign, walked, reverse->request[i]);
  }
}

static void walk(struct assign *assign, const struct assign_problem *problem,
                 const struct reverse *reverse) {
  struct walked walked = {.queue = assign->reached};
  uint32_t done = 0;
  for (uint32_t i = 0; i < problem->requests; i++) assign->request_at[i] = NOTHING;
  for (uint32_t j = 0; j < problem->volunteers; j++) assign->volunteer_at[j] = NOTHING;
  for (uint32_t i = 0; i < problem->requests; i++) {
    meet_request(assign, &walked, i);
    for (; done < walked.requests; done++)
      walk_from(assign, problem, reverse, &walked, walked.queue[done]);
  }
  for (uint32_t j = 0; j < problem->volunteers; j++)
    if (assign->volunteer_at[j] == NOTHING) assign->volunteer_at[j] = walked.volunteers++;
}

static bool columns_hold(const struct assign_problem *problem, uint32_t edges) {
  pd_assert(edges == problem->row[problem->requests]);
  for (uint32_t k = 0; k < edges; k++)
    if (problem->col[k] >= problem->volunteers) return false;
  return true;
}

/* Will searches go far?  Where places are plenty, few requests need one. */
static bool scarce(const struct assign_problem *problem) {
  uint64_t needs = 0, places = 0;
  for (uint32_t i = 0; i < problem->requests; i++) needs += problem->need[i];
  for (uint32_t j = 0; j < problem->volunteers; j++) places += problem->places[j];
  return 2 * needs > places;
}

void assign_arrange(struct assign *assign, const struct assign_problem *problem) {
  pd_assert(assign->request_count == problem->requests);
  uint64_t words = (uint64_t)assign->edge_count * (sizeof(struct assign_slot) / sizeof(uint32_t));
  uint64_t needed = (uint64_t)problem->requests * ARRANGE_EDGES + problem->volunteers + 1;
  bool many = assign->edge_count >= ARRANGE_FROM && needed <= words;
  if (many && scarce(problem) && columns_hold(problem, assign->edge_count)) {
    struct reverse reverse = {.first = (uint32_t *)assign->slots};
    reverse.request = reverse.first + problem->volunteers + 1;
    turn_round(problem, &reverse);
    walk(assign, problem, &reverse);
    return;
  }
  for (uint32_t i = 0; i < problem->requests; i++) assign->request_at[i] = i;
  for (uint32_t j = 0; j < problem->volunteers; j++) assign->volunteer_at[j] = j;
}
