/* chains - how far each booked service has come: accepted, started, finished, confirmed.
 *
 * An hour exists only as the end of a whole chain of one order, slot and volunteer.  What an
 * order's slots have come to is remembered until the order is closed, a slot that was posted too:
 * so a second confirmation finds it posted.  All of it stands in the image of the arena.
 *
 * Bookings are matching's word, starts are intake's, and the two may cross on their way: a start
 * that intake took can be heard after the booking was reopened, or filled by another.  Who starts
 * is intake's to say.  So a chain whose booking ended is only set aside, as long as there is room
 * for it: a start brings it back, and if none comes nothing comes of it.
 */
#ifndef PAIDAN_POINTS_CHAINS_H
#define PAIDAN_POINTS_CHAINS_H

#include "common/base/map.h"
#include "common/base/pool.h"
#include "common/wire/core.h"

/* Who spoke, as two FNV-1a hashes (64 bits, two bases) of the principal.  Only equality is asked,
 * and a collision would only hold hours back that could have been posted, never post what should be
 * held. */
struct points_principal {
  uint64_t words[2];
};

/* The principal of this name, and whether two are the same. */
struct points_principal points_principal_of(const char *text);
bool points_principal_equal(struct points_principal a, struct points_principal b);

/* Each step needs the one before. */
enum points_step {
  POINTS_FILLED,
  POINTS_STARTED,
  POINTS_FINISHED,
  POINTS_CONFIRMED, /* complete: to be posted or held */
  POINTS_SETTLED    /* posted or held: nothing more comes of it */
};

struct points_chain {
  struct pd_id volunteer;
  struct points_principal started_by;
  struct points_principal finished_by;
  struct points_principal confirmed_by;
  uint32_t order;   /* index of its order, plus 1; 0: the entry is free */
  uint32_t slot;
  uint32_t next;    /* of the same order, plus 1; 0: none */
  uint32_t minutes; /* served; once confirmed: granted, never more than served */
  enum points_step step;
  uint32_t aside;   /* 1: its booking ended before it started */
};

struct points_order {
  uint64_t order; /* 0: the entry is free */
  uint32_t first; /* of its chains, plus 1; 0: none */
  uint32_t zero;
};

struct points_chains {
  struct pd_map index; /* order to entry */
  struct pd_pool free_orders;
  struct pd_pool free_chains;
  struct points_order *orders;
  struct points_chain *chains; /* twice limits.bookings: half of it for those set aside */
  uint64_t *aside;             /* how many are */
};

/* Take the tables out of the arena, whose image must have begun. */
void points_chains_init(struct points_chains *self, struct pd_arena *arena,
                        const struct pd_limits *limits);

/* An order is open from here on; one that is 0, known or too many is ignored. */
void points_order_open(struct points_chains *self, uint64_t order);

/* The order is over; its chains are forgotten. */
void points_order_close(struct points_chains *self, uint64_t order);

/* A volunteer has this slot: a chain begins, or the one set aside comes back.  Ignored if the slot
 * was settled already, if the order is not open, or if there is no room. */
void points_chain_begin(struct points_chains *self, uint64_t order, uint32_t slot,
                        const struct pd_id *volunteer);

/* The booking ended before the service began: the chain is set aside, unless it has started. */
void points_chain_break(struct points_chains *self, uint64_t order, uint32_t slot,
                        const struct pd_id *volunteer);

/* The service began: the chain goes on, set aside or not.  NULL if it is not at POINTS_FILLED. */
struct points_chain *points_chain_start(struct points_chains *self, uint64_t order, uint32_t slot,
                                        const struct pd_id *volunteer);

/* The chain of an open order's slot and this volunteer, or NULL. */
struct points_chain *points_chain_find(const struct points_chains *self, uint64_t order,
                                       uint32_t slot, const struct pd_id *volunteer);

/* Was this slot of an open order posted or held, for whomever? */
bool points_slot_settled(const struct points_chains *self, uint64_t order, uint32_t slot);

/* Walk the tables and assert that they agree: O(size). */
void points_chains_check(const struct points_chains *self);

#endif
