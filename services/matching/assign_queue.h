/* assign_queue - the queue of a search, after Dial; with wider buckets where costs range far, as in
 * delta-stepping.  It lives in the labels, so a node is in it once. */
#ifndef MATCHING_ASSIGN_QUEUE_H
#define MATCHING_ASSIGN_QUEUE_H

#include "services/matching/assign_table.h"

/* The bucket of a distance; BUCKETS: of what is further. */
static inline uint32_t queue_bucket(const struct assign_queue *queue, int32_t distance) {
  uint32_t bucket = ((uint32_t)distance >> queue->shift) - queue->base;
  return bucket < BUCKETS ? bucket : BUCKETS;
}

/* Put a labelled node into its bucket. */
static inline void queue_link(struct assign *assign, uint32_t node) {
  struct assign_queue *queue = assign->queue;
  struct assign_label *label = &assign->labels[node];
  uint32_t bucket = queue_bucket(queue, label->distance), next = queue->head[bucket];
  label->next = next;
  label->prev = 0;
  if (next) assign->labels[next - 1].prev = node + 1;
  queue->head[bucket] = node + 1;
  if (bucket < BUCKETS) queue->full[bucket / 64] |= (uint64_t)1 << bucket % 64;
}

/* Take a node out of its bucket. */
static inline void queue_unlink(struct assign *assign, uint32_t node) {
  struct assign_queue *queue = assign->queue;
  struct assign_label *label = &assign->labels[node];
  if (label->next) assign->labels[label->next - 1].prev = label->prev;
  if (label->prev) {
    assign->labels[label->prev - 1].next = label->next;
  } else {
    uint32_t bucket = queue_bucket(queue, label->distance);
    queue->head[bucket] = label->next;
    if (label->next == 0 && bucket < BUCKETS)
      queue->full[bucket / 64] &= ~((uint64_t)1 << bucket % 64);
  }
  label->prev = LABEL_OUT;
}

/* Label a node with a distance that is less than what it had; not yet in the queue again. */
static inline void queue_reach(struct assign *assign, uint32_t node, int32_t distance) {
  struct assign_label *label = &assign->labels[node];
  if (label->distance == NOWHERE)
    assign->reached[assign->reached_count++] = node;
  else if (label->prev != LABEL_OUT)
    queue_unlink(assign, node);
  label->distance = distance;
  label->prev = LABEL_OUT;
}

/* The first bucket with nodes from `bucket` on; BUCKETS when there is none. */
static inline uint32_t queue_next(const struct assign_queue *queue, uint32_t bucket) {
  uint32_t word = bucket / 64;
  if (bucket >= BUCKETS) return BUCKETS;
  uint64_t bits = queue->full[word] & ~(uint64_t)0 << bucket % 64;
  while (bits == 0 && ++word < BUCKETS / 64) bits = queue->full[word];
  return bits ? word * 64 + (uint32_t)__builtin_ctzll(bits) : BUCKETS;
}

/* Begin again at the nearest of what was further; false if there is nothing. */
static inline bool queue_advance(struct assign *assign) {
  struct assign_queue *queue = assign->queue;
  uint32_t list = queue->head[BUCKETS], nearest = UINT32_MAX;
  if (list == 0) return false;
  for (uint32_t at = list; at; at = assign->labels[at - 1].next) {
    uint32_t bucket = (uint32_t)assign->labels[at - 1].distance >> queue->shift;
    if (bucket < nearest) nearest = bucket;
  }
  queue->base = nearest;
  queue->head[BUCKETS] = 0;
  while (list) {
    uint32_t node = list - 1;
    list = assign->labels[node].next;
    queue_link(assign, node);
  }
  return true;
}

/* Empty the queue for the next search. */
static inline void queue_clear(struct assign_queue *queue) {
  for (uint32_t at = queue_next(queue, 0); at < BUCKETS; at = queue_next(queue, at + 1))
    queue->head[at] = 0;
  for (uint32_t word = 0; word < BUCKETS / 64; word++) queue->full[word] = 0;
  queue->head[BUCKETS] = 0;
  queue->base = 0;
}

#endif
