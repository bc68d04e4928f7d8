/* door_parts - what door.c (sockets, waiting, erasures) and door_seal.c (sealing) share. */
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
  struct door *door;
  uint32_t number;
  void *socket;
  struct pd_bus_watch *watch;
};

/* Whom to answer. */
struct door_token {
  uint32_t next_free;
  uint8_t socket;
  uint8_t echo; /* a frame goes back in front of the reply: REQ's delimiter, the gateway's mark */
  uint8_t echo_size;
  uint8_t identity_size;
  uint8_t identity[255];
  uint8_t echoed[DOOR_ECHO];
};

enum door_wait { DOOR_WAIT_NONE, DOOR_WAIT_VAULT, DOOR_WAIT_SEEN };

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

struct door {
  struct pd_shell *shell;
  struct pd_vault *vault;
  struct door_socket sockets[DOORS];
  struct door_token *tokens;
  uint32_t free_token;
  uint32_t tokens_used;
  struct door_command *waiting; /* oldest first */
  struct door_command **waiting_end;
  uint32_t waiting_count;
  struct pd_arena arena; /* of the command at hand */
  uint8_t *arena_memory;
  uint8_t *scratch; /* for hashing a body */
  bool vault_up;
  bool forget_due;              /* the erased people's keys are to be destroyed once more */
  bool paused;
  struct pd_metric *commands, *malformed, *lost;
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
