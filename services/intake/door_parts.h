/* door_parts - what the files of the doors share.
 *
 *     doors.c      the process's: sockets, whom to answer, which shard a command is for
 *     door.c       a shard's: one command, those that wait, erasures
 *     door_seal.c  sealing
 */
#ifndef INTAKE_DOOR_PARTS_H
#define INTAKE_DOOR_PARTS_H

#include "common/io/bus.h"
#include "common/io/vault.h"
#include "services/intake/door.h"

#define DOORS 5
#define DOOR_COMMAND_MAX 65536
#define DOOR_TOKENS 65536 /* commands whose answer is still to leave */
#define DOOR_WAITING 8192 /* commands that wait for the vault or for an event */
#define DOOR_ERASURES 4096
#define DOOR_ECHO 8 /* bytes of a mark that the gateway gets back with the reply */

struct door_socket {
  struct doors *doors;
  uint32_t number;
  void *socket;
  struct pd_bus_watch *watch;
};

/* Whom to answer. */
struct door_token {
  struct door *door; /* whose command it is; NULL: the place is free */
  uint32_t next_free;
  uint8_t socket;
  uint8_t echo; /* a frame goes back in front of the reply: REQ's delimiter, the gateway's mark */
  uint8_t echo_size;
  uint8_t identity_size;
  uint8_t identity[255];
  uint8_t echoed[DOOR_ECHO];
};

enum door_wait { DOOR_WAIT_NONE, DOOR_WAIT_VAULT, DOOR_WAIT_SEEN, DOOR_WAIT_TURN };

/* May a shard's commands be taken now? */
enum door_gate {
  DOOR_TAKES,
  DOOR_FULL, /* not now: its turn is full, or the log is not ours yet */
  DOOR_MOVED /* another instance leads: it is told to the client */
};

/* A command in raw form, with what it was given when it came. */
struct door_command {
  struct door *door;
  struct door_command *next; /* in the list of those that wait */
  enum door_wait wait;
  uint32_t socket;
  bool asked;   /* the vault has been asked and has not answered */
  bool keyless; /* it has answered: there is no key */
  uint32_t roles;
  char principal[PD_PRINCIPAL_MAX];
  uint64_t token;
  uint64_t give_up; /* loop time */
  struct pd_id fresh;
  size_t size;
  uint8_t *bytes; /* borrowed from the frame, or owned while it waits */
};

/* Of the process. */
struct doors {
  struct pd_shell *shell;
  struct door_socket sockets[DOORS];
  struct door_token *tokens;
  uint32_t free_token;
  uint32_t tokens_used;
  bool paused;
  bool bound;
  struct pd_metric *commands, *malformed, *lost, *moved;
};

/* Of a shard. */
struct door {
  struct pd_seat *seat;
  struct doors *doors;
  struct pd_vault *vault;
  struct door_command *waiting; /* oldest first */
  struct door_command **waiting_end;
  uint32_t waiting_count;
  struct pd_arena arena; /* of the command at hand */
  uint8_t *arena_memory;
  uint8_t *scratch; /* for hashing a body */
  bool vault_up;
  bool forget_due; /* the erased people's keys are to be destroyed once more */
  struct {
    struct pd_id person;
    uint64_t seq; /* of person_erased; 0: free place; forget when committed */
  } erasures[DOOR_ERASURES];
  uint32_t erasures_count;
  uint64_t erasures_over; /* of the last that found no place; 0: none */
};

/* A refusal by the door itself. */
struct door_refusal {
  enum pd_code code;
  const char *field, *rule, *next, *zh;
};

/* ---- doors.c ---- */

/* Answer the client that the token stands for; the token is free then. */
void doors_reply(struct doors *doors, uint64_t token, const uint8_t *bytes, size_t size);
void doors_refuse(struct doors *doors, uint64_t token, uint64_t request,
                  const struct door_refusal *why);
/* Refuse what is no command by the number that its sender knows it by, as far as that can be read.
 */
void doors_refuse_malformed(struct doors *doors, const struct door_command *command,
                            const struct pd_flaw *flaw);
/* Say where the shard's commands are taken. */
void doors_move(struct doors *doors, const struct door_command *command);
/* Bind what is not bound yet, and read on where reading was paused, if any shard takes something.
 */
void doors_look(struct doors *doors);
/* The replies of this shard that did not leave never will. */
void doors_forget(struct doors *doors, const struct door *door);

/* ---- door.c ---- */

/* What becomes of a command of this shard now. */
enum door_gate door_gate(const struct door *door);
/* A command has come: hand it to the core, or let it wait. */
void door_take(struct door *door, struct door_command *command);

/* ---- door_seal.c ---- */

/* Seal the personal texts of a command into request's contact, place and note (in the door's
 * arena).  VAULT: the person's key has been asked for, or the vault is away; run the command again
 * later.  *refusal is set when it cannot be. */
enum door_wait door_seal(struct door *door, struct door_command *command,
                         struct pd_request *request, const struct door_refusal **refusal);

/* Ask the vault for the key that the waiting command needs; `done` gets the command as its context.
 */
void door_ask(struct door *door, struct door_command *command, const struct pd_command *said,
              pd_vault_fn *done);

#endif
