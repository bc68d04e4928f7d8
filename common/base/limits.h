/* limits - how much one shard may hold; one list, equal in every daemon, checked only in decide.
 *
 * A core sizes its tables from this list at init, so that apply always has room.  A command that
 * would go over a limit is refused with CODE_FULL; a decision that would is an event with
 * REASON_FULL.
 */
#ifndef PD_BASE_LIMITS_H
#define PD_BASE_LIMITS_H

#include <stdint.h>

struct pd_limits {
  uint32_t persons;     /* volunteers and residents together, erased ones included */
  uint32_t sites;
  uint32_t teams;
  uint32_t orders;      /* not closed */
  uint32_t slots;       /* of one order */
  uint32_t offers;      /* open */
  uint32_t offers_each; /* open, of one volunteer */
  uint32_t asked;       /* (order, volunteer) pairs ever invited, of orders that are not closed */
  uint32_t bookings;    /* slots filled, of orders that are not closed */
  uint32_t keys;        /* idempotency keys remembered: the latest so many commands */
  uint32_t holds;       /* undecided */
  uint32_t credentials; /* kinds of papers ever recorded, of all volunteers together */
  uint32_t credentials_each; /* of one volunteer */
  uint32_t blocks;      /* pairs in which one person does not wish to meet the other */
  uint32_t blocks_each; /* said by one person; below 256 */
  uint32_t messages;    /* waiting for delivery */
};

/* A whole district: 262,144 persons, 1,024 sites, 4,096 teams, 16,384 orders of up to 64 slots,
 * 1,048,576 keys. */
extern const struct pd_limits pd_limits_district;

/* Small enough for a unit test or a simulated shard: 512 persons, 64 orders. */
extern const struct pd_limits pd_limits_small;

#endif
