#include "services/intake/intake_moves.h"

#include "common/base/err.h"

#define MOVE(name) (1u << INTAKE_##name)
#define STATE(name) (1u << PD_ORDER_STATE_##name)

static const struct {
  uint32_t moves; /* what a command may do */
  uint32_t next;  /* states that may follow */
} table[] = {
    [PD_ORDER_STATE_OPEN] =
        {
            .moves = MOVE(CANCEL) | MOVE(WITHDRAW) | MOVE(START) | MOVE(ASK),
            .next = STATE(STAFFED) | STATE(SERVING) | STATE(CANCELLED) | STATE(UNFILLED),
        },
    [PD_ORDER_STATE_STAFFED] =
        {
            .moves = MOVE(CANCEL) | MOVE(WITHDRAW) | MOVE(START) | MOVE(ASK),
            .next = STATE(OPEN) | STATE(SERVING) | STATE(CANCELLED) | STATE(UNFILLED),
        },
    [PD_ORDER_STATE_SERVING] =
        {
            .moves = MOVE(WITHDRAW) | MOVE(START) | MOVE(FINISH) | MOVE(CONFIRM) | MOVE(ASK),
            .next = STATE(SERVED) | STATE(CONFIRMED) | STATE(COMPLETED) | STATE(UNCONFIRMED),
        },
    /* A helper whose acceptance crossed order_served on the way may still come. */
    [PD_ORDER_STATE_SERVED] =
        {
            .moves = MOVE(WITHDRAW) | MOVE(START) | MOVE(CONFIRM) | MOVE(RATE),
            .next = STATE(SERVING) | STATE(CONFIRMED) | STATE(COMPLETED) | STATE(UNCONFIRMED),
        },
    [PD_ORDER_STATE_CONFIRMED] =
        {
            .moves = MOVE(RATE),
            .next = STATE(SERVED) | STATE(COMPLETED),
        },
    [PD_ORDER_STATE_UNCONFIRMED] = {0},
};

bool intake_move_allowed(enum pd_order_state state, enum intake_move move) {
  pd_assert(move < INTAKE_MOVES);
  if ((unsigned)state >= sizeof table / sizeof table[0]) return false;
  return (table[state].moves >> (unsigned)move & 1u) != 0;
}

bool intake_step_allowed(enum pd_order_state from, enum pd_order_state to) {
  pd_assert(to != PD_ORDER_STATE_UNSPECIFIED && (unsigned)to < 32);
  if ((unsigned)from >= sizeof table / sizeof table[0]) return false;
  return from == to || (table[from].next >> (unsigned)to & 1u) != 0;
}

bool intake_is_final(enum pd_order_state state) {
  return state == PD_ORDER_STATE_COMPLETED || state == PD_ORDER_STATE_CANCELLED ||
         state == PD_ORDER_STATE_UNFILLED || state == PD_ORDER_STATE_UNCONFIRMED;
}
