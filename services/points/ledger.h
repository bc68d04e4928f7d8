/* ledger - the double-entry books: what every person has and has on hold, and what was issued.
 *
 * Every set of lines sums to zero in each unit, so the books do: PERSON + HELD + ISSUED = 0.  An
 * account is opened once for a person and stays for ever; it holds random ids and numbers, nothing
 * that an erasure would have to touch.  All of it stands in the image of the arena.
 */
#ifndef PAIDAN_POINTS_LEDGER_H
#define PAIDAN_POINTS_LEDGER_H

#include "common/base/map.h"
#include "common/wire/core.h"

#define LEDGER_UNITS 3    /* by enum pd_unit; 0 unused */
#define LEDGER_ACCOUNTS 4 /* by enum pd_account; 0 unused */

struct ledger_account {
  struct pd_id person;
  int64_t has[LEDGER_UNITS];  /* never below zero */
  int64_t held[LEDGER_UNITS]; /* never below zero */
  uint64_t stars;             /* reached, 0 .. 5 */
};

struct ledger_totals {
  int64_t amount[LEDGER_ACCOUNTS][LEDGER_UNITS];
};

struct ledger {
  struct pd_idmap index; /* person to account */
  struct ledger_account *accounts;
  struct ledger_totals *totals;
};

/* Take the books for so many persons out of the arena, whose image must have begun. */
void ledger_init(struct ledger *self, struct pd_arena *arena, uint32_t persons);

/* Open a person's account; false if there is no room.  True also when it is open already. */
bool ledger_open(struct ledger *self, const struct pd_id *person);

/* A person's account, or NULL when none is open. */
struct ledger_account *ledger_find(const struct ledger *self, const struct pd_id *person);

/* Do these lines sum to zero in each unit, and name known accounts and units and open accounts? */
bool ledger_balanced(const struct ledger *self, struct pd_posting_line *const *lines, size_t count);

/* Book lines that are balanced (asserted).  Asserts that nothing a person has or has on hold falls
 * below zero. */
void ledger_book(struct ledger *self, struct pd_posting_line *const *lines, size_t count);

/* What a person has; 0 without an account. */
int64_t ledger_balance(const struct ledger *self, const struct pd_id *person, enum pd_unit unit);

/* The sum of all accounts of this sort; ISSUED is minus the other two. */
int64_t ledger_total(const struct ledger *self, enum pd_account account, enum pd_unit unit);

/* Add the books up anew and assert that they agree and sum to zero: O(persons). */
void ledger_check(const struct ledger *self);

#endif
