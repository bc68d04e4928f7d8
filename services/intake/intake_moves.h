/* intake_moves - the table of allowed moves of an order.
 *
 * What may be done to an order in each state, and which state may come next; the picture is in
 * proto/paidan/v1/types.proto.  A move that is not here is refused with CODE_STATE.
 */
#ifndef INTAKE_MOVES_H
#define INTAKE_MOVES_H

#include "common/wire/core.h"

enum intake_move {
  INTAKE_CANCEL,
  INTAKE_WITHDRAW,
  INTAKE_START,
  INTAKE_FINISH,
  INTAKE_CONFIRM,
  INTAKE_RATE,
  INTAKE_ASK, /* for a place in it, or for somebody to have one */
  INTAKE_MOVES
};

/* May this be done to an order in this state? */
bool intake_move_allowed(enum pd_order_state state, enum intake_move move);

/* May an order go from one state to the other?  Staying is always allowed. */
bool intake_step_allowed(enum pd_order_state from, enum pd_order_state to);

/* Is this one of the four states in which an order ends? */
bool intake_is_final(enum pd_order_state state);

#endif
