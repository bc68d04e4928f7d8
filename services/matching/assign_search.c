/* Shortest paths in the residual graph, on reduced costs, which the prices keep from being
 * negative. */
#include "common/base/err.h"
#include "services/matching/assign.h"
#include "services/matching/assign_queue.h"
#include "services/matching/assign_table.h"

/* How far a volunteer is from the end: no way at all, or what a free place costs beyond the price.
 * The hole's price is above that until it is filled: its place is the end. */
static inline int32_t beyond(const struct assign *assign, const struct assign_volunteer *volunteer,
                             int32_t price) {
  if (volunteer->held == volunteer->places) return NOWHERE;
  int32_t rise = next_rise(assign, volunteer);
  return rise > price ? rise - price : 0;
}

/* Go on from a request: leave a need unserved there, or take any edge that is not used. */
static void scan_request(struct assign *assign, uint32_t number, struct assign_end *end) {
  pd_assert(number < assign->request_count);
  const struct assign_request *request = &assign->requests[number];
  const struct assign_label *label = &assign->labels[assign->volunteer_count + number];
  int32_t base = label->distance - label->price;
  if (assign->hole == NOTHING && base + request->penalty < end->distance)
    *end = (struct assign_end){base + request->penalty, NOTHING, number};
  for (uint32_t i = request->first; i < request->last; i++) {
    uint32_t col = assign->edges[i].col;
    if (col & EDGE_OUT) continue;
    int32_t distance = base + assign->edges[i].cost + assign->labels[col].price;
    if (distance >= assign->labels[col].distance || distance >= end->distance) continue;
    struct assign_volunteer *volunteer = &assign->volunteers[col];
    int32_t more = beyond(assign, volunteer, assign->labels[col].price);
    bool ends = assign->hole == NOTHING || assign->hole == col;
    if (more == 0 && !ends && !assign->rising) continue; /* the sink is as near */
    queue_reach(assign, col, distance);
    volunteer->from = i;
    volunteer->from_request = number;
    if (ends && more < end->distance - distance)
      *end = (struct assign_end){distance + more, col, NOTHING};
    if (more > 0 || !ends) queue_link(assign, col);
  }
  assign->scans += request->last - request->first;
}

/* Go on from a volunteer: any of those who hold a place may give it up. */
static void scan_volunteer(struct assign *assign, uint32_t number, struct assign_end *end) {
  pd_assert(number < assign->volunteer_count);
  const struct assign_volunteer *volunteer = &assign->volunteers[number];
  int32_t here = assign->labels[number].distance, base = here - assign->labels[number].price;
  for (uint32_t i = volunteer->first; i < volunteer->first + volunteer->held; i++) {
    const struct assign_slot *slot = &assign->slots[i];
    uint32_t node = assign->volunteer_count + slot->request;
    int32_t distance = base + assign->labels[node].price - slot->cost;
    if (distance >= assign->labels[node].distance || distance >= end->distance) continue;
    queue_reach(assign, node, distance);
    assign->requests[slot->request].from = i;
    if (distance == here)
      scan_request(assign, slot->request, end);
    else
      queue_link(assign, node);
  }
}

/* From what is in the queue to the end. */
static void search(struct assign *assign, struct assign_end *end) {
  struct assign_queue *queue = assign->queue;
  for (uint32_t bucket = 0;;) {
    bucket = queue_next(queue, bucket);
    if (bucket == BUCKETS) {
      if (!queue_advance(assign)) break;
      bucket = 0;
      continue;
    }
    if (queue->base + bucket > (uint32_t)end->distance >> queue->shift) break;
    uint32_t node = queue->head[bucket] - 1;
    queue_unlink(assign, node);
    if (assign->labels[node].distance >= end->distance) continue;
    if (node < assign->volunteer_count)
      scan_volunteer(assign, node, end);
    else
      scan_request(assign, node - assign->volunteer_count, end);
  }
  queue_clear(queue);
  assign->paths++;
}

/* ---- after the search ---- */

/* Nodes nearer than the end rise by what they are nearer; then nothing is labelled any more. */
static void take_prices(struct assign *assign, int32_t distance) {
  pd_assert(assign->reached_count <= assign->request_count + assign->volunteer_count);
  for (uint32_t i = 0; i < assign->reached_count; i++) {
    struct assign_label *label = &assign->labels[assign->reached[i]];
    if (label->distance < distance) label->price += distance - label->distance;
    label->distance = NOWHERE;
  }
  assign->reached_count = 0;
}

/* The request gives the slot up; returns the slot's volunteer. */
static uint32_t give_up(struct assign *assign, uint32_t slot) {
  struct assign_edge *edge = &assign->edges[assign->slots[slot].edge];
  pd_assert(edge->col & EDGE_USED);
  edge->col &= ~EDGE_USED;
  return edge->col & EDGE_COL;
}

/* A volunteer loses a slot for good; the last one takes its number. */
static void drop_slot(struct assign *assign, uint32_t volunteer, uint32_t slot) {
  pd_assert(assign->volunteers[volunteer].held > 0);
  struct assign_volunteer *at = &assign->volunteers[volunteer];
  slot_move(&assign->slots[slot], &assign->slots[at->first + --at->held]);
}

/* From a volunteer with a free slot back to where the search began: on each volunteer of the path
 * the request before it takes the slot that the request after it gives up. */
static void augment(struct assign *assign, uint32_t volunteer, uint32_t slot) {
  pd_assert(volunteer < assign->volunteer_count && slot < assign->edge_count);
  for (;;) {
    uint32_t edge = assign->volunteers[volunteer].from;
    uint32_t request = assign->volunteers[volunteer].from_request;
    assign->edges[edge].col |= EDGE_USED;
    slot_put(&assign->slots[slot], request, edge, assign->edges[edge].cost);
    slot = assign->requests[request].from;
    if (slot == NOTHING) {
      if (assign->hole == NOTHING)
        assign->requests[request].open--;
      else
        assign->requests[request].unserved--;
      return;
    }
    volunteer = give_up(assign, slot);
    if (assign->hole != NOTHING && assign->volunteers[volunteer].from == NOTHING) {
      drop_slot(assign, volunteer, slot);
      return;
    }
  }
}

static void augment_from(struct assign *assign, const struct assign_end *end) {
  pd_assert(end->volunteer != NOTHING || end->request < assign->request_count);
  if (end->volunteer != NOTHING) {
    struct assign_volunteer *volunteer = &assign->volunteers[end->volunteer];
    augment(assign, end->volunteer, volunteer->first + volunteer->held++);
    return;
  }
  struct assign_request *request = &assign->requests[end->request];
  if (request->from == NOTHING) { /* it began here, and its other needs would end likewise */
    request->unserved += request->open;
    request->open = 0;
    return;
  }
  request->unserved++;
  uint32_t slot = request->from;
  augment(assign, give_up(assign, slot), slot);
}

void assign_serve(struct assign *assign, uint32_t request) {
  struct assign_end end = {NOWHERE, NOTHING, request};
  pd_assert(assign->requests[request].open > 0 && assign->hole == NOTHING);
  queue_reach(assign, assign->volunteer_count + request, 0);
  assign->requests[request].from = NOTHING;
  scan_request(assign, request, &end);
  search(assign, &end);
  augment_from(assign, &end);
  take_prices(assign, end.distance);
}

/* ---- repair ---- */

/* The sink is where free places and unserved needs lead to.  From it one can go to whoever is
 * served by it, against the flow: to a volunteer at what the price is above the last place's rise,
 * to an unserved need at nothing. */
static void reach_from_sink(struct assign *assign, const struct assign_end *end) {
  pd_assert(assign->hole < assign->volunteer_count);
  for (uint32_t j = 0; j < assign->volunteer_count; j++) {
    struct assign_volunteer *volunteer = &assign->volunteers[j];
    if (volunteer->held == 0 || j == assign->hole) continue;
    int32_t distance = assign->labels[j].price - last_rise(assign, volunteer);
    if (distance >= end->distance) continue;
    queue_reach(assign, j, distance);
    volunteer->from = NOTHING;
    queue_link(assign, j);
  }
  for (uint32_t i = 0; i < assign->request_count; i++) {
    if (assign->requests[i].unserved == 0) continue;
    queue_reach(assign, assign->volunteer_count + i, 0);
    assign->requests[i].from = NOTHING;
    queue_link(assign, assign->volunteer_count + i);
  }
}

/* Prices fall by the distance from the sink, whose own price stays nothing; to keep those at
 * nothing that would fall below harms no edge, since costs are not below nothing either. */
static void fall_prices(struct assign *assign, int32_t distance) {
  pd_assert(distance >= 0);
  for (uint32_t i = 0; i < assign->volunteer_count + assign->request_count; i++) {
    struct assign_label *label = &assign->labels[i];
    label->price -= label->distance < distance ? label->distance : distance;
    label->distance = NOWHERE;
    if (label->price < 0) label->price = 0;
  }
  assign->reached_count = 0;
}

void assign_fill(struct assign *assign, uint32_t volunteer) {
  pd_assert(assign->hole == NOTHING && volunteer < assign->volunteer_count);
  int32_t rise = next_rise(assign, &assign->volunteers[volunteer]);
  int32_t over = assign->labels[volunteer].price - rise;
  pd_assert(over >= 0);
  struct assign_end end = {over, NOTHING, NOTHING};
  assign->hole = volunteer;
  reach_from_sink(assign, &end);
  search(assign, &end);
  if (end.volunteer != NOTHING) {
    struct assign_volunteer *at = &assign->volunteers[volunteer];
    augment(assign, volunteer, at->first + at->held++);
  }
  assign->hole = NOTHING;
  fall_prices(assign, end.distance);
}
