/* fake_shell - what intake's door needs of its shell and of the vault, in memory: a clock that is
 * set, keys that are made when the target says so. */
#ifndef PD_TESTS_FUZZ_FAKE_SHELL_H
#define PD_TESTS_FUZZ_FAKE_SHELL_H

#include "common/io/shell.h"

/* The one seat of the one shell, over this turn. */
struct pd_seat *fake_seat(struct pd_turn *turn);

/* What the service made for the process, and for the seat. */
void fake_shell_shared(void *shared);
void fake_seat_context(void *context);

/* Move the loop's clock. */
void fake_shell_wait(uint64_t ms);

/* Forget all keys and questions. */
void fake_vault_reset(void);

/* Answer the questions that wait: as the vault would, or that it is away. */
void fake_vault_answer(bool away);

/* The next 16 random bytes are this person's id; all other randomness counts on from the last
 * reset. */
void fake_random_person(uint64_t number);
void fake_random_reset(void);

#endif
