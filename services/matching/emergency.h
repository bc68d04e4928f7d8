/* emergency - orders that cannot wait for one wave to end before the next.
 *
 * An emergency (of that kind, or of that urgency) invites the nearest whom no hard rule keeps out,
 * whatever they had lately, in phases: each phase is a wave that looks one ring farther, and comes
 * after phase_minutes, while the offers of the phases before stay open.  When all slots are filled
 * everybody else is stood down at once.
 */
#ifndef MATCHING_EMERGENCY_H
#define MATCHING_EMERGENCY_H

#include "services/matching/state.h"

/* Is this order one? */
bool emergency_is(const struct order *order);

/* Invitations of its next phase, 1 .. MATCHING_WAVE_MAX. */
uint32_t emergency_size(const struct matching_policy *policy, const struct order *order);

/* How far its next phase looks, in metres: one ring more with each phase. */
uint32_t emergency_ring_m(const struct matching_policy *policy, const struct order *order);

/* The ring widened, by whole rings, until it holds somebody this far away: an empty one is passed
 * over at once. */
uint32_t emergency_widened_m(const struct matching_policy *policy, uint32_t ring_m,
                             uint32_t distance_m);

#endif
