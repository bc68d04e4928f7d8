/* A shard's door: what a command must be given before the core sees it, and what it may have to
 * wait for. */
#include "services/intake/door.h"

#include "common/io/journal.h"
#include "services/intake/door_parts.h"
#include "services/intake/intake_core.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_SIZE ((size_t)8 << 20) /* 64 KiB of input may unpack into 3 MB */
#define SEEN_WAIT_MS 1000
#define WAIT_MS 10000 /* for the vault, or for a place in the turn */

static const struct door_refusal not_seen = {
    .code = PD_CODE_RETRY,
    .field = "seen",
    .rule = "an event of intake, matching or scheduling that intake consumes within 1 s",
    .next = "send the same command again, with the same key",
    .zh = "系统还没有收到相关消息，请稍后重试。",
};
static const struct door_refusal no_vault = {
    .code = PD_CODE_RETRY,
    .field = "",
    .rule = "the vault answers",
    .next = "send the same command again, with the same key",
    .zh = "系统繁忙，请稍后重试。",
};

static const struct door_refusal no_turn = {
    .code = PD_CODE_RETRY,
    .field = "",
    .rule = "the district's log takes commands",
    .next = "send the same command again, with the same key",
    .zh = "系统繁忙，请稍后重试。",
};

/* ---- one command ---- */

/* The same body always packs to the same bytes: what a retry may change is left out. */
static struct pd_id body_hash(struct door *door, const struct pd_command *said) {
  struct pd_command body = *said;
  body.key = (char *)"";
  body.request = 0;
  body.seen = NULL;
  body.trace = (ProtobufCBinaryData){0};
  size_t size = protobuf_c_message_get_packed_size(&body.base);
  if (size > DOOR_COMMAND_MAX)
    size = 0; /* unknown fields and the like: refused by the core's rules anyway */
  else
    protobuf_c_message_pack(&body.base, door->scratch);
  struct pd_part part = {door->scratch, size};
  return pd_keyed_hash(pd_vault_hash_key(door->vault), &part, 1);
}

static bool seen_already(struct door *door, const struct pd_command *said) {
  struct pd_turn *turn = pd_seat_turn(door->seat);
  if (said->seen == NULL) return true;
  if (said->seen->log == PD_LOG_INTAKE) return said->seen->seq <= turn->out.last_seq;
  bool heard = said->seen->log == PD_LOG_MATCHING || said->seen->log == PD_LOG_SCHEDULING;
  if (!heard) return true; /* it would never come: the core names the field */
  return said->seen->seq < turn->inputs[said->seen->log].next;
}

/* Try to hand a command to the core.  NONE: it is answered, or will be; otherwise it has to wait
 * for that.  done: the vault is asked for a key that is missing; NULL: not now. */
static enum door_wait try_command(struct door *door, struct door_command *command,
                                  pd_vault_fn *done) {
  pd_arena_reset(&door->arena);
  struct pd_flaw flaw;
  const struct pd_command *said = (const struct pd_command *)pd_unpack_named(
      &door->arena, &pd_command_descriptor, command->bytes, command->size, &flaw);
  if (said == NULL) {
    doors_refuse_malformed(door->doors, command, &flaw);
    return DOOR_WAIT_NONE;
  }
  if (!seen_already(door, said)) return DOOR_WAIT_SEEN;
  const char *principal = command->principal;
  struct pd_request request = {.command = said, .principal = principal, .fresh = command->fresh};
  request.role = intake_role_for(said->body_case, command->roles);
  struct pd_part parts[2] = {{principal, strlen(principal)}, {said->key, strlen(said->key)}};
  request.key = pd_keyed_hash(pd_vault_hash_key(door->vault), parts, 2);
  request.body = body_hash(door, said);
  const struct door_refusal *refusal = NULL;
  enum door_wait wait = door_seal(door, command, &request, &refusal);
  if (refusal != NULL) {
    doors_refuse(door->doors, command->token, said->request, refusal);
  } else if (wait == DOOR_WAIT_NONE) {
    pd_turn_command(pd_seat_turn(door->seat), &request, command->token);
  } else if (done != NULL) {
    door_ask(door, command, said, done);
  }
  return wait;
}

/* ---- commands that wait ---- */

static uv_loop_t *loop_of(const struct door *door) {
  return pd_shell_loop(pd_seat_shell(door->seat));
}

static void on_key(void *context, enum pd_err err, const uint8_t *key) {
  struct door_command *command = context;
  (void)key;
  command->asked = false;
  command->keyless = err == PD_ENOENT;
  pd_seat_wake(command->door->seat);
}

/* Copy a command that has just come, so that it can wait; try it once more to ask the vault on the
 * copy's behalf. */
static void let_wait(struct door *door, const struct door_command *now, enum door_wait wait) {
  struct door_command *command = malloc(sizeof *command + now->size);
  if (command == NULL) {
    doors_refuse(door->doors, now->token, 0, &no_vault);
    return;
  }
  *command = *now;
  command->next = NULL;
  command->wait = wait;
  command->bytes = memcpy(command + 1, now->bytes, now->size);
  uint64_t patience = wait == DOOR_WAIT_SEEN ? SEEN_WAIT_MS : WAIT_MS;
  command->give_up = uv_now(loop_of(door)) + patience;
  *door->waiting_end = command;
  door->waiting_end = &command->next;
  door->waiting_count++;
}

/* Why a command that waited for this is refused. */
static const struct door_refusal *refusal_of(enum door_wait wait) {
  if (wait == DOOR_WAIT_SEEN) return &not_seen;
  return wait == DOOR_WAIT_TURN ? &no_turn : &no_vault;
}

static void give_up(struct door *door, const struct door_command *command, enum door_wait wait) {
  pd_arena_reset(&door->arena);
  const struct pd_command *said = (const struct pd_command *)pd_unpack_checked(
      &door->arena, &pd_command_descriptor, command->bytes, command->size);
  doors_refuse(door->doors, command->token, said == NULL ? 0 : said->request, refusal_of(wait));
}

/* Is this waiting command done with?  One that is late is tried once more, but asks no more. */
static bool retry(struct door *door, struct door_command *command) {
  if (command->asked) return false;
  bool late = uv_now(loop_of(door)) >= command->give_up;
  enum door_wait wait = try_command(door, command, late ? NULL : on_key);
  if (wait == DOOR_WAIT_NONE) return true;
  if (late) give_up(door, command, wait);
  return late;
}

/* Take the one that stands there out of the list; what follows stands there then. */
static struct door_command **remove_at(struct door *door, struct door_command **link) {
  struct door_command *command = *link;
  *link = command->next;
  if (*link == NULL) door->waiting_end = link;
  door->waiting_count--;
  free(command);
  return link;
}

static void retry_waiting(struct door *door) {
  struct door_command **link = &door->waiting;
  while (*link != NULL && pd_turn_open(pd_seat_turn(door->seat)))
    link = retry(door, *link) ? remove_at(door, link) : &(*link)->next;
}

/* It does not lead: whose turn to answer it is, is told them, or that it takes too long. */
static bool dismiss(struct door *door, const struct door_command *command) {
  if (command->asked) return false; /* the vault's answer names it */
  bool moved = door_gate(door) == DOOR_MOVED;
  bool late = uv_now(loop_of(door)) >= command->give_up;
  if (moved)
    doors_move(door->doors, command);
  else if (late)
    give_up(door, command, DOOR_WAIT_TURN);
  return moved || late;
}

static void look_after_waiting(struct door *door) {
  struct door_command **link = &door->waiting;
  while (*link != NULL) link = dismiss(door, *link) ? remove_at(door, link) : &(*link)->next;
}

enum door_gate door_gate(const struct door *door) {
  const char *instance;
  if (pd_seat_elsewhere(door->seat, &instance) != NULL) return DOOR_MOVED;
  bool room = door->waiting_count < DOOR_WAITING && pd_vault_hash_key(door->vault) != NULL;
  bool takes = room && pd_seat_leading(door->seat) && pd_turn_open(pd_seat_turn(door->seat));
  return takes ? DOOR_TAKES : DOOR_FULL;
}

void door_take(struct door *door, struct door_command *command) {
  enum door_gate gate = door_gate(door);
  command->door = door;
  command->fresh = pd_seal_fresh_id();
  if (gate == DOOR_MOVED) {
    doors_move(door->doors, command);
    return;
  }
  /* The vault is asked once the command has a place to wait in. */
  enum door_wait wait =
      gate == DOOR_FULL ? DOOR_WAIT_TURN : try_command(door, command, NULL);
  if (wait == DOOR_WAIT_NONE) return;
  if (door->waiting_count < DOOR_WAITING)
    let_wait(door, command, wait);
  else
    give_up(door, command, wait);
}

/* ---- erasures ---- */

static void on_forgotten(void *context, enum pd_err err) {
  (void)context;
  if (err != PD_OK)
    pd_say(PD_LEVEL_ERROR,
           pd_kv_text("msg", "an erased person's key is still there; it goes at the next start"),
           pd_kv_text("why", pd_err_text(err)));
}

static void on_erased_key(void *context, enum pd_err err, const uint8_t *key) {
  (void)key;
  struct door_command *erased = context;
  if (err == PD_OK &&
      pd_vault_forget(erased->door->vault, &erased->fresh, on_forgotten, NULL) != PD_OK)
    on_forgotten(NULL, PD_EDOWN);
  free(erased);
}

/* Destroy a key if it is there; at a start most are gone already. */
static void forget(struct door *door, const struct pd_id *person) {
  struct door_command *erased = calloc(1, sizeof *erased);
  if (erased == NULL) return;
  erased->door = door;
  erased->fresh = *person;
  if (pd_vault_key(door->vault, person, false, on_erased_key, erased) != PD_OK) free(erased);
}

static void forget_all(struct door *door) {
  door->forget_due = false;
  struct pd_id person;
  uint32_t cursor = 0;
  while (intake_next_erased(pd_seat_turn(door->seat)->self, &cursor, &person))
    forget(door, &person);
}

void door_emitted(struct door *door, const struct pd_event *event) {
  if (event->body_case != PD_EVENT_PERSON_ERASED) return;
  if (door->erasures_count == DOOR_ERASURES) { /* too many at once: all anew, once it is durable */
    door->erasures_over = event->seq;
    return;
  }
  door->erasures[door->erasures_count].person = PD_ID(event->person_erased->person);
  door->erasures[door->erasures_count++].seq = event->seq;
}

void door_committed(struct door *door, const struct pd_packed *packed) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < door->erasures_count; i++) {
    if (door->erasures[i].seq <= packed->head.last_seq)
      forget(door, &door->erasures[i].person);
    else
      door->erasures[kept++] = door->erasures[i];
  }
  door->erasures_count = kept;
  if (door->erasures_over == 0 || door->erasures_over > packed->head.last_seq) return;
  door->erasures_over = 0;
  door->forget_due = true;
}

/* ---- life ---- */

static void on_vault(void *context, bool up, const char *why) {
  struct door *door = context;
  door->vault_up = up;
  pd_say(up ? PD_LEVEL_INFO : PD_LEVEL_WARN,
         pd_kv_text("msg", up ? "vault is up" : "vault is away"), pd_kv_text("why", why));
  door->forget_due = up;
}

enum pd_err door_open(struct pd_seat *seat, struct door **made) {
  struct door *door = calloc(1, sizeof *door);
  if (door == NULL) return PD_EIO;
  *made = door;
  door->seat = seat;
  door->doors = pd_seat_shared(seat);
  door->waiting_end = &door->waiting;
  door->scratch = malloc(DOOR_COMMAND_MAX);
  door->arena_memory = calloc(1, ARENA_SIZE);
  if (door->scratch == NULL || door->arena_memory == NULL) return PD_EIO;
  pd_arena_init(&door->arena, door->arena_memory, ARENA_SIZE);
  struct pd_shell *shell = pd_seat_shell(seat);
  const struct pd_common_config *config = pd_shell_config(shell);
  struct pd_redis_options redis = {.url = config->vault_redis,
                                   .user = config->vault_user,
                                   .password_file = config->vault_password_file};
  return pd_vault_open(&door->vault, pd_shell_loop(shell), &redis, pd_seat_shard(seat)->code, 0,
                       on_vault, door);
}

void door_lead(struct door *door) {
  door->erasures_count = 0;
  door->erasures_over = 0;
  door->forget_due = true;
  doors_look(door->doors);
}

void door_rest(struct door *door) { doors_forget(door->doors, door); }

void door_round(struct door *door) {
  if (pd_vault_hash_key(door->vault) == NULL) return;
  if (door->forget_due && door->vault_up) forget_all(door);
  retry_waiting(door);
  doors_look(door->doors);
}

void door_beat(struct door *door) {
  if (!pd_seat_leading(door->seat)) look_after_waiting(door);
  doors_look(door->doors);
}

void door_reply(struct door *door, uint64_t token, const uint8_t *bytes, size_t size) {
  doors_reply(door->doors, token, bytes, size);
}

const char *door_unready(struct door *door) {
  return door->vault_up ? NULL : "the vault's Redis is away";
}

void door_close(struct door *door) {
  pd_vault_close(door->vault);
  while (door->waiting != NULL) {
    struct door_command *command = door->waiting;
    door->waiting = command->next;
    free(command);
  }
  free(door->scratch);
  free(door->arena_memory);
  free(door);
}
