/* assign_table - the tables behind assign.h, shared by its parts. */
#ifndef MATCHING_ASSIGN_TABLE_H
#define MATCHING_ASSIGN_TABLE_H

#include "services/matching/assign.h"

#define NOWHERE INT32_MAX /* the distance of a node that no search has reached */
#define NOTHING UINT32_MAX

#define EDGE_USED ((uint32_t)1 << 31)
#define EDGE_FORBIDDEN ((uint32_t)1 << 30)
#define EDGE_OUT (EDGE_USED | EDGE_FORBIDDEN) /* not to be taken */
#define EDGE_COL (EDGE_FORBIDDEN - 1)

struct assign_edge {
  uint32_t col; /* volunteer and flags */
  int32_t cost;
};

struct assign_request {
  uint32_t first; /* edges first .. last - 1 */
  uint32_t last;
  int32_t penalty;
  uint32_t open;     /* needs that are not decided yet */
  uint32_t unserved; /* needs that are decided to stay so */
  uint32_t from;     /* the slot that the search has come through; NOTHING: it began here */
};

struct assign_volunteer {
  uint32_t first; /* slots first .. first + places - 1, of which `held` are taken */
  uint32_t held;
  uint32_t places;
  uint32_t from;         /* the edge that the search has come through */
  uint32_t from_request; /* and its request */
};

/* A node is a volunteer or, numbered after them, a request.  What a search reads of it for each
 * edge stands apart, to stay in the cache. */
struct assign_label {
  int32_t price;
  int32_t distance; /* in the search under way */
  uint32_t next;    /* in its bucket; node + 1, 0: none */
  uint32_t prev;    /* likewise; LABEL_OUT: not in the queue */
};
#define LABEL_OUT UINT32_MAX

/* A place: who holds it, if somebody does, and what it costs beyond the first.  Who holds a place
 * may change; its rise stays. */
struct assign_slot {
  uint32_t request;
  uint32_t edge;
  int32_t cost;
  int32_t rise;
};

/* Somebody takes a place, with an edge; a holder goes from one place to another. */
static inline void slot_put(struct assign_slot *slot, uint32_t request, uint32_t edge,
                            int32_t cost) {
  slot->request = request;
  slot->edge = edge;
  slot->cost = cost;
}
static inline void slot_move(struct assign_slot *to, const struct assign_slot *from) {
  slot_put(to, from->request, from->edge, from->cost);
}

/* What the next free place of a volunteer costs beyond the first. */
static inline int32_t next_rise(const struct assign *assign,
                                const struct assign_volunteer *volunteer) {
  return assign->rising ? assign->slots[volunteer->first + volunteer->held].rise : 0;
}

/* What the last place taken costs beyond the first; somebody holds one. */
static inline int32_t last_rise(const struct assign *assign,
                                const struct assign_volunteer *volunteer) {
  return assign->rising ? assign->slots[volunteer->first + volunteer->held - 1].rise : 0;
}

/* The queue of a search: buckets of equal width from `base` on, and one of all that is further.  A
 * bucket is not ordered; a node that improves within it is looked at again. */
#define BUCKETS 4096
struct assign_queue {
  uint64_t full[BUCKETS / 64]; /* a bit for each bucket with nodes */
  uint32_t head[BUCKETS + 1];  /* node + 1; the last is of what is further */
  uint32_t shift;              /* a bucket is 2^shift wide */
  uint32_t base;               /* of the first bucket */
  uint32_t zero;
};

/* Where a search ends: at a volunteer with a free place, or at a request that leaves a need
 * unserved. */
struct assign_end {
  int32_t distance;
  uint32_t volunteer; /* NOTHING: at the request */
  uint32_t request;
};

/* Say where each request and each volunteer stands: as in the problem, or, when there are many, so
 * that those who share candidates are near each other in memory. */
void assign_arrange(struct assign *assign, const struct assign_problem *problem);

/* Search from a request with an open need, serve it along the shortest path, and take the prices
 * along. */
void assign_serve(struct assign *assign, uint32_t request);

/* A volunteer has a free place and a price above nothing: fill it along the shortest path from the
 * sink, or lower the price to nothing, whichever is nearer. */
void assign_fill(struct assign *assign, uint32_t volunteer);

#endif
