/* intake_core - the one door for commands: who may say what, and whether it can be.
 *
 * Every command is checked field by field and either granted, which is an event, or refused, which
 * is a reply that says what is wrong and what to do.  Intake keeps the registry (sites, teams,
 * people) and the life of every order that is not closed.
 *
 *     commands in:  all of proto/paidan/v1/command.proto
 *
 *     events in:    offer_made  offer_closed  slot_filled  slot_reopened
 *                   policy_adopted                                             (matching)
 *                   order_expired                                              (scheduling)
 *
 *     events out:   site_registered  team_registered  team_joined
 *                   volunteer_registered  volunteer_paused  volunteer_resumed  volunteer_exited
 *                   resident_registered  person_erased  credential_recorded  pair_blocked
 *                   order_placed  order_cancelled  offer_answered  volunteer_withdrew
 *                   service_started  service_finished  order_served  service_confirmed
 *                   order_rated  order_closed  hold_decided  offer_commanded  order_asked
 *                   external_noted
 *
 * Invariants (asserted by `check` after every step in debug and simulation):
 *     - one idempotency key, one answer, as long as the key is among the latest limits.keys;
 *     - a refusal says no event and binds no key;
 *     - an order's state follows from its slots, and moves only along the table in intake_moves.h;
 *     - an order ends with exactly one order_closed, its last event, and is then forgotten;
 *     - no text of a person is in the state or an event: what the door sealed is passed on unread.
 *
 * Order numbers, sites and teams count 1, 2, 3 ... in the shard.  A new person gets request->fresh.
 */
#ifndef INTAKE_CORE_H
#define INTAKE_CORE_H

#include "common/base/geo.h"
#include "common/wire/core.h"

/* All state; lives in the arena given to init.  Takes no policy. */
struct intake;

extern const struct pd_core intake_core;

/* Is the answer to this key known?  Then the command makes nobody new, so the door need not make a
 * key for a person. */
bool intake_knows_key(const void *self, const struct pd_id *key);

/* The role in which a client with several of them (PD_ROLE_s, at least one) says a command of this
 * kind: one that may say it, and rather one that may say it for others.  One of `roles`, whether it
 * fits or not. */
enum pd_role intake_role_for(pd_command_kind kind, uint32_t roles);

/* Is this a registered person who is not erased?  Only such people have a key to seal with. */
bool intake_knows_person(const void *self, const struct pd_id *person);

/* Walk the erased people, so that at boot the vault can forget them again: *cursor starts at 0;
 * false at the end. */
bool intake_next_erased(const void *self, uint32_t *cursor, struct pd_id *person);

/* A client's point as WGS-84; false if its datum is unknown or it is off the earth.  The door seals
 * what this gives. */
bool intake_place_of(const struct pd_point *point, struct pd_lonlat *place);

/* What status shows. */
struct intake_counts {
  uint32_t sites;
  uint32_t teams;
  uint32_t persons;
  uint32_t orders; /* not closed */
  uint32_t offers; /* open */
  uint32_t slots;  /* reserved by orders that are not closed */
};
struct intake_counts intake_count(const void *self);

#endif
