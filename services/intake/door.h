/* door - where commands come in: local sockets, each with its own file permissions and its own
 * principal.  Four are for clients; the fifth, `edge`, is the gateway's alone (0600), which says on
 * whose behalf it speaks: the name of the CURVE key, and its roles.
 *
 * For each command the door adds what a core must not make up: the principal that the transport
 * gave, keyed hashes of the idempotency key and the body, a fresh id, and the personal texts sealed
 * under the person's key.  A command may have to wait here: until the key of a person is durable in
 * the vault, or until intake has consumed the event that the client has seen. Erased people's keys
 * are destroyed here too, after person_erased is committed, and again at every start.
 */
#ifndef INTAKE_DOOR_H
#define INTAKE_DOOR_H

#include "common/io/shell.h"

struct doors; /* the process's sockets */
struct door;  /* what a shard has behind them */

/* Make the sockets' table; nothing is bound before a shard takes commands.  PD_EIO without memory.
 */
enum pd_err doors_open(struct pd_shell *shell, struct doors **doors) PD_MUST_USE;

/* Close the sockets and free everything; after the last shard's door_close(). */
void doors_close(struct doors *doors);

/* Make a shard's door, behind the doors that pd_seat_shared() has.  PD_EIO without memory;
 * PD_EINVAL for a bad vault_redis. */
enum pd_err door_open(struct pd_seat *seat, struct door **door) PD_MUST_USE;

/* Let commands in; forget whom answers were for that will not leave any more. */
void door_lead(struct door *door);
void door_rest(struct door *door);

/* Commands that waited, and sockets that were paused because the turn was full. */
void door_round(struct door *door);

/* Commands that waited, and are another instance's to answer by now. */
void door_beat(struct door *door);

/* A reply may leave. */
void door_reply(struct door *door, uint64_t token, const uint8_t *bytes, size_t size);

/* An event was emitted, or an entry committed: what erasures wait for. */
void door_emitted(struct door *door, const struct pd_event *event);
void door_committed(struct door *door, const struct pd_packed *packed);

/* Why commands cannot be taken, or NULL. */
const char *door_unready(struct door *door);

/* Free everything; commands that wait get no answer. */
void door_close(struct door *door);

#endif
