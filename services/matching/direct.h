/* direct - offers to one named person, beside the waves.
 *
 * A coordinator names somebody (offer_commanded), or a volunteer asks for an order in the open hall
 * (order_asked).  Both go by the hard rules and the slots that waves go by:
 *
 *     offer_commanded    offer_made, marked, with the rules that the coordinator has overruled; it
 *                        may be refused like any other.  Or offer_denied: a rule that stands.
 *     order_asked        offer_made, marked, and slot_filled at once: first come, first served.
 *                        Or offer_denied.
 */
#ifndef MATCHING_DIRECT_H
#define MATCHING_DIRECT_H

#include "services/matching/rules.h"

/* What a coordinator may overrule: the volunteer's own wishes, which the volunteer can uphold by
 * saying no, and what spares people too many messages.  Never what the law asks for (AGE, SKILL,
 * NOT_VETTED, papers, health, rest), the volunteer's absence (INACTIVE), two places at once
 * (OVERLAP), or somebody's wish not to meet (BLOCKED). */
#define DIRECT_OVERRULES                                                        \
  (RULES_BIT(PD_REASON_ALREADY_ASKED) | RULES_BIT(PD_REASON_RADIUS) |           \
   RULES_BIT(PD_REASON_HOURS) | RULES_BIT(PD_REASON_CAPACITY) |                 \
   RULES_BIT(PD_REASON_NOT_AUTOMATED) | RULES_BIT(PD_REASON_TOO_MANY_OFFERS))

/* What does not stand against who asks: having been asked before, and that nobody asks the matcher
 * to choose. */
#define DIRECT_HALL_WAIVES \
  (RULES_BIT(PD_REASON_ALREADY_ASKED) | RULES_BIT(PD_REASON_NOT_AUTOMATED))

/* Answer a coordinator, and a volunteer in the hall. */
void direct_commanded(struct matching *self, struct pd_outbox *out,
                      const struct pd_offer_commanded *said);
void direct_asked(struct matching *self, struct pd_outbox *out, const struct pd_order_asked *said);

/* Is this order shown in the hall?  UNSPECIFIED, or why not: ORDER_ENDED, HALL_CLOSED, FILLED. */
enum pd_reason direct_hall(const struct matching *self, const struct order *order);

/* May this volunteer have the order that the rules look at, if the reasons in `waivable` (a set of
 * RULES_BITs) are set aside where they stand in the way?  UNSPECIFIED: yes, at *time; rules->waived
 * are those that had to be set aside.  Otherwise the reason that stands. */
enum pd_reason direct_try(struct rules *rules, uint32_t number, uint64_t waivable,
                          struct proposal *time);

#endif
