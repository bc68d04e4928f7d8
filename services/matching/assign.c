#include "services/matching/assign.h"

#include "common/base/err.h"
#include "services/matching/assign_table.h"

/* Bids of the auction for each request, and rounds: more of either no longer pays. */
#define ASSIGN_STEPS 8
#define ASSIGN_ROUNDS 4

/* How a bid ended: the need is decided; the price rose, but not above what all holders pay;
 * somebody lost a place, at a higher price or at the same; or nothing changed. */
enum bid { BID_WON, BID_RAISED, BID_OUSTED, BID_SWAPPED, BID_IDLE };

size_t assign_bytes(uint32_t requests, uint32_t volunteers, uint32_t edges) {
  size_t nodes = (size_t)requests + volunteers;
  size_t bytes = (size_t)edges * (sizeof(struct assign_edge) + sizeof(struct assign_slot));
  bytes += nodes * (sizeof(struct assign_label) + 2 * sizeof(uint32_t));
  bytes += requests * sizeof(struct assign_request);
  bytes += volunteers * sizeof(struct assign_volunteer) + sizeof(struct assign_queue);
  return bytes + 9 * 16;
}

/* ---- reading a problem ---- */

static bool rows_hold(const struct assign_problem *problem) {
  if (problem->row[0] != 0 || problem->volunteers > EDGE_COL) return false;
  for (uint32_t i = 0; i < problem->requests; i++) {
    if (problem->row[i] > problem->row[i + 1]) return false;
    if (problem->penalty[i] > ASSIGN_COST_MAX) return false;
  }
  return true;
}

/* The rises of each volunteer's places begin with none and do not fall. */
static bool rises_hold(const struct assign_problem *problem) {
  if (problem->rise == NULL) return true;
  for (uint32_t j = 0; j < problem->volunteers; j++) {
    const uint32_t *rise = &problem->rise[problem->rise_at[j]];
    if (problem->places[j] > 0 && rise[0] != 0) return false;
    for (uint32_t t = 1; t < problem->places[j]; t++)
      if (rise[t] < rise[t - 1] || rise[t] > ASSIGN_COST_MAX) return false;
  }
  return true;
}

static bool read_edges(struct assign *assign, const struct assign_problem *problem) {
  pd_assert(assign->edge_count == problem->row[problem->requests]);
  uint32_t highest = 0;
  for (uint32_t i = 0; i < assign->request_count; i++) {
    struct assign_edge *edge = &assign->edges[assign->requests[assign->request_at[i]].first];
    for (uint32_t k = problem->row[i]; k < problem->row[i + 1]; k++, edge++) {
      uint32_t cost = problem->cost[k];
      if (problem->col[k] >= problem->volunteers || cost > ASSIGN_COST_MAX) return false;
      *edge = (struct assign_edge){assign->volunteer_at[problem->col[k]], (int32_t)cost};
      highest = cost > highest ? cost : highest;
    }
  }
  /* Most paths are no longer than a few edges. */
  while (highest >> assign->queue->shift >= BUCKETS) assign->queue->shift++;
  return true;
}

static void read_requests(struct assign *assign, const struct assign_problem *problem) {
  pd_assert(assign->request_count == problem->requests);
  uint32_t edge = 0;
  for (uint32_t i = 0; i < assign->request_count; i++) {
    struct assign_request *request = &assign->requests[assign->request_at[i]];
    request->last = problem->row[i + 1] - problem->row[i];
    request->penalty = (int32_t)problem->penalty[i];
    request->open = problem->need[i];
  }
  for (uint32_t i = 0; i < assign->request_count; i++) {
    assign->requests[i].first = edge;
    assign->requests[i].last += edge;
    edge = assign->requests[i].last;
  }
  for (uint32_t i = 0; i < assign->request_count + assign->volunteer_count; i++)
    assign->labels[i].distance = NOWHERE;
}

/* A volunteer needs no more places than it has edges; they are only counted when the places given
 * would not fit into as many slots as there are edges. */
static void read_volunteers(struct assign *assign, const struct assign_problem *problem) {
  pd_assert(assign->volunteer_count == problem->volunteers);
  uint64_t all = 0;
  uint32_t slot = 0;
  for (uint32_t i = 0; i < assign->volunteer_count; i++) {
    assign->volunteers[assign->volunteer_at[i]].places = problem->places[i];
    all += problem->places[i];
  }
  if (all > assign->edge_count) {
    for (uint32_t k = 0; k < assign->edge_count; k++)
      assign->volunteers[assign->edges[k].col].held++;
  }
  for (uint32_t i = 0; i < assign->volunteer_count; i++) {
    struct assign_volunteer *volunteer = &assign->volunteers[i];
    if (all > assign->edge_count && volunteer->places > volunteer->held)
      volunteer->places = volunteer->held;
    volunteer->held = 0;
    volunteer->first = slot;
    slot += volunteer->places;
  }
  for (uint32_t j = 0; problem->rise != NULL && j < problem->volunteers; j++) {
    const struct assign_volunteer *volunteer = &assign->volunteers[assign->volunteer_at[j]];
    for (uint32_t t = 0; t < volunteer->places; t++)
      assign->slots[volunteer->first + t].rise = (int32_t)problem->rise[problem->rise_at[j] + t];
  }
}

static void take_tables(struct assign *assign, struct pd_arena *arena) {
  pd_assert(arena->used <= arena->size);
  size_t requests = assign->request_count, volunteers = assign->volunteer_count;
  assign->edges = PD_ARENA_ARRAY(arena, struct assign_edge, assign->edge_count);
  assign->requests = PD_ARENA_ARRAY(arena, struct assign_request, requests);
  assign->volunteers = PD_ARENA_ARRAY(arena, struct assign_volunteer, volunteers);
  assign->labels = PD_ARENA_ARRAY(arena, struct assign_label, requests + volunteers);
  assign->slots = PD_ARENA_ARRAY(arena, struct assign_slot, assign->edge_count);
  assign->queue = PD_ARENA_ARRAY(arena, struct assign_queue, 1);
  assign->reached = PD_ARENA_ARRAY(arena, uint32_t, requests + volunteers);
  assign->request_at = PD_ARENA_ARRAY(arena, uint32_t, requests);
  assign->volunteer_at = PD_ARENA_ARRAY(arena, uint32_t, volunteers);
}

enum pd_err assign_init(struct assign *assign, struct pd_arena *arena,
                        const struct assign_problem *problem) {
  uint32_t edges = problem->row[problem->requests];
  *assign = (struct assign){.request_count = problem->requests, .edge_count = edges};
  assign->hole = NOTHING;
  assign->rising = problem->rise != NULL;
  if (!rows_hold(problem) || !rises_hold(problem)) return PD_EINVAL;
  if (assign_bytes(problem->requests, problem->volunteers, edges) > arena->size - arena->used)
    return PD_EBOUNDS;
  assign->volunteer_count = problem->volunteers;
  assign->row = problem->row;
  take_tables(assign, arena);
  assign_arrange(assign, problem);
  read_requests(assign, problem);
  if (!read_edges(assign, problem)) return PD_EINVAL;
  read_volunteers(assign, problem);
  return PD_OK;
}

/* ---- the auction ---- */

/* The two cheapest edges of a request at the prices of now, and their values; the penalty stands in
 * for edges that cost no less. */
struct offer {
  uint32_t edge; /* NOTHING: no edge is cheaper than the penalty */
  uint32_t other;
  int32_t least;
  int32_t second;
};

static struct offer best_offer(const struct assign *assign, const struct assign_request *request) {
  pd_assert(request->first <= request->last);
  struct offer offer = {NOTHING, NOTHING, request->penalty, request->penalty};
  for (uint32_t i = request->first; i < request->last; i++) {
    uint32_t col = assign->edges[i].col;
    if (col & EDGE_OUT) continue;
    int32_t value = assign->edges[i].cost + assign->labels[col].price;
    if (value >= offer.second) continue;
    if (value < offer.least) {
      offer.second = offer.least;
      offer.other = offer.edge;
      offer.least = value;
      offer.edge = i;
    } else {
      offer.second = value;
      offer.other = i;
    }
  }
  return offer;
}

static void take_place(struct assign *assign, uint32_t request, uint32_t edge, uint32_t place) {
  pd_assert(!(assign->edges[edge].col & EDGE_OUT) && assign->requests[request].open > 0);
  assign->edges[edge].col |= EDGE_USED;
  slot_put(&assign->slots[place], request, edge, assign->edges[edge].cost);
  assign->requests[request].open--;
}

/* The place whose holder would pay least to keep it; *pays is that, and no bound without holders.
 */
static uint32_t weakest(const struct assign *assign, const struct assign_volunteer *volunteer,
                        int32_t *pays) {
  pd_assert(volunteer->held <= volunteer->places);
  uint32_t weak = volunteer->first;
  *pays = INT32_MAX;
  for (uint32_t i = volunteer->first; i < volunteer->first + volunteer->held; i++) {
    const struct assign_slot *slot = &assign->slots[i];
    int32_t most = assign->labels[assign->volunteer_count + slot->request].price - slot->cost;
    if (most < *pays) {
      *pays = most;
      weak = i;
    }
  }
  return weak;
}

/* The request takes the weakest holder's place; returns who lost it. */
static uint32_t oust(struct assign *assign, uint32_t number, uint32_t edge, uint32_t place) {
  pd_assert(assign->edges[assign->slots[place].edge].col & EDGE_USED);
  uint32_t loser = assign->slots[place].request;
  assign->edges[assign->slots[place].edge].col &= ~EDGE_USED;
  assign->requests[loser].open++;
  take_place(assign, number, edge, place);
  return loser;
}

static struct assign_volunteer *volunteer_of(struct assign *assign, uint32_t edge) {
  pd_assert(edge < assign->edge_count);
  return &assign->volunteers[assign->edges[edge].col & EDGE_COL];
}

/* Is a place free at the volunteer's price? */
static bool has_place(const struct assign *assign, const struct assign_volunteer *volunteer,
                      int32_t price) {
  pd_assert(volunteer->held <= volunteer->places);
  return volunteer->held < volunteer->places && next_rise(assign, volunteer) <= price;
}

/* Two edges are equally cheap: the other one, if a place is free there or its weakest holder is as
 * indifferent.  No price changes. */
static enum bid bid_tie(struct assign *assign, uint32_t number, uint32_t edge, uint32_t *loser) {
  pd_assert(edge < assign->edge_count && assign->requests[number].open > 0);
  struct assign_volunteer *volunteer = volunteer_of(assign, edge);
  int32_t pays, price = assign->labels[assign->edges[edge].col].price;
  if (has_place(assign, volunteer, price)) {
    take_place(assign, number, edge, volunteer->first + volunteer->held++);
    return BID_WON;
  }
  uint32_t place = weakest(assign, volunteer, &pays);
  if (pays > price) return BID_IDLE;
  *loser = oust(assign, number, edge, place);
  return BID_SWAPPED;
}

/* One bid for one open need. */
static enum bid bid(struct assign *assign, uint32_t number, uint32_t *loser) {
  pd_assert(number < assign->request_count && assign->requests[number].open > 0);
  struct assign_request *request = &assign->requests[number];
  struct offer offer = best_offer(assign, request);
  assign->labels[assign->volunteer_count + number].price = offer.second;
  if (offer.edge == NOTHING) {
    request->unserved += request->open;
    request->open = 0;
    return BID_WON;
  }
  struct assign_volunteer *volunteer = volunteer_of(assign, offer.edge);
  int32_t *price = &assign->labels[assign->edges[offer.edge].col].price;
  if (has_place(assign, volunteer, *price)) {
    take_place(assign, number, offer.edge, volunteer->first + volunteer->held++);
    return BID_WON;
  }
  int32_t pays = offer.second - assign->edges[offer.edge].cost, most;
  if (pays <= *price)
    return offer.other == NOTHING ? BID_IDLE : bid_tie(assign, number, offer.other, loser);
  uint32_t place = weakest(assign, volunteer, &most);
  bool room = volunteer->held < volunteer->places && next_rise(assign, volunteer) < most;
  if (room) most = next_rise(assign, volunteer);
  *price = pays < most ? pays : most;
  if (pays <= most || room) return BID_RAISED;
  *loser = oust(assign, number, offer.edge, place);
  return BID_OUSTED;
}

/* Bid for a request, then for whoever lost a place by it, until all are served or nothing moves. */
static void bid_on(struct assign *assign, uint32_t number, uint64_t budget) {
  pd_assert(number < assign->request_count);
  while (assign->requests[number].open > 0 && assign->steps < budget) {
    uint32_t loser = number;
    enum bid result = bid(assign, number, &loser);
    assign->steps++;
    if (result == BID_IDLE || result == BID_SWAPPED) return;
    number = loser;
  }
}

/* Rounds over everybody who is open; ties that only swap wait for the next round. */
static void auction(struct assign *assign) {
  pd_assert(assign->hole == NOTHING);
  uint64_t budget = (uint64_t)ASSIGN_STEPS * assign->request_count;
  for (uint32_t round = 0; round < ASSIGN_ROUNDS; round++)
    for (uint32_t i = 0; i < assign->request_count; i++)
      if (assign->requests[i].open > 0) bid_on(assign, i, budget);
}

void assign_solve(struct assign *assign) {
  pd_assert(assign->edges != NULL);
  auction(assign);
  for (uint32_t i = 0; i < assign->request_count; i++)
    while (assign->requests[i].open > 0) assign_serve(assign, i);
}

/* The used edge leaves its slot. */
static uint32_t vacate(struct assign *assign, uint32_t edge) {
  pd_assert(assign->edges[edge].col & EDGE_USED);
  uint32_t number = assign->edges[edge].col & EDGE_COL;
  struct assign_volunteer *volunteer = &assign->volunteers[number];
  uint32_t slot = volunteer->first;
  while (assign->slots[slot].edge != edge) slot++;
  assign->edges[edge].col &= ~EDGE_USED;
  slot_move(&assign->slots[slot], &assign->slots[volunteer->first + --volunteer->held]);
  return number;
}

void assign_forbid(struct assign *assign, uint32_t request, uint32_t edge) {
  pd_assert(edge >= assign->row[request] && edge < assign->row[request + 1]);
  uint32_t number = assign->request_at[request];
  uint32_t at = assign->requests[number].first + (edge - assign->row[request]);
  bool used = (assign->edges[at].col & EDGE_USED) != 0;
  if (used) {
    uint32_t volunteer = vacate(assign, at);
    assign->edges[at].col |= EDGE_FORBIDDEN;
    assign->requests[number].open++;
    assign_serve(assign, number);
    const struct assign_volunteer *left = &assign->volunteers[volunteer];
    bool free = left->held < left->places;
    if (free && assign->labels[volunteer].price > next_rise(assign, left))
      assign_fill(assign, volunteer);
  }
  assign->edges[at].col |= EDGE_FORBIDDEN;
}

/* ---- the answer ---- */

static const struct assign_request *request_of(const struct assign *assign, uint32_t request) {
  pd_assert(request < assign->request_count);
  return &assign->requests[assign->request_at[request]];
}

bool assign_uses(const struct assign *assign, uint32_t request, uint32_t edge) {
  pd_assert(edge >= assign->row[request] && edge < assign->row[request + 1]);
  uint32_t at = request_of(assign, request)->first + (edge - assign->row[request]);
  return (assign->edges[at].col & EDGE_USED) != 0;
}

uint32_t assign_unserved(const struct assign *assign, uint32_t request) {
  return request_of(assign, request)->unserved + request_of(assign, request)->open;
}

int64_t assign_cost(const struct assign *assign) {
  pd_assert(assign->edges != NULL);
  int64_t cost = 0;
  for (uint32_t i = 0; i < assign->edge_count; i++)
    if (assign->edges[i].col & EDGE_USED) cost += assign->edges[i].cost;
  for (uint32_t j = 0; assign->rising && j < assign->volunteer_count; j++)
    for (uint32_t t = 0; t < assign->volunteers[j].held; t++)
      cost += assign->slots[assign->volunteers[j].first + t].rise;
  for (uint32_t i = 0; i < assign->request_count; i++) {
    const struct assign_request *request = &assign->requests[i];
    cost += ((int64_t)request->unserved + request->open) * request->penalty;
  }
  return cost;
}

int64_t assign_request_price(const struct assign *assign, uint32_t request) {
  pd_assert(request < assign->request_count);
  return assign->labels[assign->volunteer_count + assign->request_at[request]].price;
}

int64_t assign_volunteer_price(const struct assign *assign, uint32_t volunteer) {
  pd_assert(volunteer < assign->volunteer_count);
  return assign->labels[assign->volunteer_at[volunteer]].price;
}
