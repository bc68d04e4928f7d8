/* waves - what the matcher decides: waves of offers, bookings, and what follows when one ends.
 *
 * Each function answers one thing that happened, through the outbox.  A slot goes to the first who
 * accepts.  An order that has a free slot, no open offer of a wave and has not been stopped waits
 * for a wave (state.h); those who wait are decided together when the turn or the window of the
 * rules ends.  Whom a coordinator has named counts for one slot as long as that offer is open.
 */
#ifndef MATCHING_WAVES_H
#define MATCHING_WAVES_H

#include "services/matching/rules.h"
#include "services/matching/state.h"

/* Invite for the orders that wait, all or the emergencies: wave_opened and its offers, or
 * order_unmatched, for each.  When the entry is full the others go on waiting. */
void waves_decide(struct matching *self, struct pd_outbox *out, bool all);

/* A time of the latest wave, or of the next one, has come: offers whose time is over end SILENT. */
void waves_due(struct matching *self, struct pd_outbox *out, const struct pd_wave_due *due,
               int64_t due_ms);

/* An invited volunteer said yes or no. */
void waves_answered(struct matching *self, struct pd_outbox *out,
                    const struct pd_offer_answered *answer);

/* A booking ended before the service began: WITHDREW or NO_SHOW.  Nothing is said unless this
 * volunteer holds the slot and has not started. */
void waves_reopen(struct matching *self, struct pd_outbox *out, uint64_t order, uint32_t slot,
                  struct pd_id person, enum pd_reason reason);

/* A helper began.  Who serves is intake's word: if the slot was reopened before this was heard, it
 * is booked for this volunteer again; who holds it moves to another free slot of the order, or is
 * let go (FILLED).  Other bookings of the volunteer at that time end (OVERLAP). */
void waves_started(struct matching *self, struct pd_outbox *out,
                   const struct pd_service_started *fact);

/* A credential of a volunteer was recorded or withdrawn: services that have not begun and lack a
 * paper now are looked for somebody else to do (HEALTH, GUARDIAN, QUALIFICATION, INSURANCE). */
void waves_papers(struct matching *self, struct pd_outbox *out, struct pd_id person);

/* A volunteer and a requester are not to meet: open offers and services that have not begun end
 * (BLOCKED).  Nothing is said if the first is no volunteer. */
void waves_blocked(struct matching *self, struct pd_outbox *out, ProtobufCBinaryData volunteer,
                   ProtobufCBinaryData requester);

/* A volunteer is not to be invited any more: open offers end INACTIVE; with `bookings` also the
 * services that have not begun. */
void waves_inactive(struct matching *self, struct pd_outbox *out, struct pd_id person,
                    bool bookings);

/* An open offer is accepted: its volunteer is booked for this time; with the last slot the others'
 * offers end, and the order is staffed. */
void waves_fill(struct matching *self, struct pd_outbox *out, uint32_t offer,
                struct proposal time);

/* When an offer for this order that is made now ends: after the policy's time, but not later than
 * the latest start. */
int64_t waves_expiry(const struct matching *self, const struct order *order, int64_t now_ms);

/* An order was stopped or closed: its open offers end ORDER_ENDED. */
void waves_stopped(struct matching *self, struct pd_outbox *out, uint64_t order);

#endif
