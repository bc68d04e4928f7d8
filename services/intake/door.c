#include "services/intake/door.h"

#include "common/io/journal.h"
#include "services/intake/door_parts.h"
#include "services/intake/intake_core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARENA_SIZE ((size_t)8 << 20) /* 64 KiB of input may unpack into 3 MB */
#define FRAMES_A_CALL 256
#define SEEN_WAIT_MS 1000
#define VAULT_WAIT_MS 10000
#define NO_TOKEN UINT32_MAX

static const struct {
  const char *name;
  uint32_t roles;
} doors[DOORS] = {{"resident", PD_ROLE_RESIDENT},
                  {"volunteer", PD_ROLE_VOLUNTEER},
                  {"site", PD_ROLE_SITE},
                  {"ops", PD_ROLE_OPS},
                  {"edge", 0}}; /* its frames say who speaks, and in which roles */

/* field and rule are filled in. */
static const struct door_refusal malformed = {
    .code = PD_CODE_MALFORMED,
    .next = "check the encoding against proto/paidan/v1/command.proto",
    .zh = "无法识别的指令，请按接口说明重新发送。",
};
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

/* ---- tokens ---- */

/* echo: a frame that goes back between identity and reply, or NULL. */
static uint64_t take_token(struct door *door, uint32_t socket, struct pd_bus_message *message,
                           zmq_msg_t *echo) {
  uint32_t number = door->free_token;
  pd_assert(number != NO_TOKEN);
  struct door_token *token = &door->tokens[number];
  door->free_token = token->next_free;
  door->tokens_used++;
  size_t size = zmq_msg_size(&message->frames[0]);
  pd_assert(size <= sizeof token->identity); /* ZeroMQ's own limit */
  token->socket = (uint8_t)socket;
  token->echo = echo != NULL;
  token->echo_size = echo != NULL ? (uint8_t)zmq_msg_size(echo) : 0;
  pd_assert(token->echo_size <= sizeof token->echoed);
  if (echo != NULL) memcpy(token->echoed, zmq_msg_data(echo), token->echo_size);
  token->identity_size = (uint8_t)size;
  memcpy(token->identity, zmq_msg_data(&message->frames[0]), size);
  return number;
}

void door_reply(struct door *door, uint64_t number, const uint8_t *bytes, size_t size) {
  struct door_token *token = &door->tokens[number];
  struct pd_frame frames[3] = {{token->identity, token->identity_size},
                               {token->echoed, token->echo_size},
                               {bytes, size}};
  if (!token->echo) frames[1] = frames[2];
  void *socket = door->sockets[token->socket].socket;
  if (pd_bus_send(socket, frames, token->echo ? 3 : 2) != PD_OK) pd_metric_add(door->lost, 1);
  token->next_free = door->free_token;
  door->free_token = (uint32_t)number;
  door->tokens_used--;
}

static void refuse(struct door *door, uint64_t token, uint64_t request,
                   const struct door_refusal *why) {
  struct pd_refusal refusal = PD_REFUSAL_INIT;
  refusal.code = why->code;
  refusal.field = (char *)why->field;
  refusal.rule = (char *)why->rule;
  refusal.next = (char *)why->next;
  refusal.zh = (char *)why->zh;
  struct pd_reply reply = PD_REPLY_INIT;
  reply.request = request;
  reply.result_case = PD_REPLY_REFUSAL;
  reply.refusal = &refusal;
  uint8_t bytes[1024];
  size_t size = protobuf_c_message_get_packed_size(&reply.base);
  pd_assert(size <= sizeof bytes);
  protobuf_c_message_pack(&reply.base, bytes);
  door_reply(door, token, bytes, size);
}

/* ---- frames that are no command ---- */

static const char shape_rule[] = "one frame (of a REQ socket: behind an empty one)";
static const char size_rule[] = "at most 65536 bytes";

#define REQUEST_FIELD 3 /* of Command */
#define SAY_EVERY_MS 10000

/* Count a frame that is no command; say so once for each client and window. */
static void note_malformed(struct door *door, const char *source, const char *rule) {
  pd_metric_add(door->malformed, 1);
  uint64_t more = 0;
  if (pd_journal_once(source, SAY_EVERY_MS, uv_now(pd_shell_loop(door->shell)), &more))
    pd_say(PD_LEVEL_WARN, pd_kv_text("msg", "a frame that is no command"),
           pd_kv_text("from", source), pd_kv_text("expected", rule),
           pd_kv_uint("not_said_before", more));
}

/* Refuse it by the number that its sender knows it by, as far as that can be read. */
static void refuse_malformed(struct door *door, const struct door_command *command,
                             const struct pd_flaw *flaw) {
  struct door_refusal why = malformed;
  why.field = flaw->field;
  why.rule = flaw->rule;
  note_malformed(door, command->principal, flaw->rule);
  refuse(door, command->token, pd_peek_number(command->bytes, command->size, REQUEST_FIELD), &why);
}

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
  struct pd_turn *turn = pd_shell_turn(door->shell);
  if (said->seen == NULL) return true;
  if (said->seen->log == PD_LOG_INTAKE) return said->seen->seq <= turn->out.last_seq;
  if ((unsigned)said->seen->log >= PD_LOGS) return false;
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
    refuse_malformed(door, command, &flaw);
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
    refuse(door, command->token, said->request, refusal);
  } else if (wait == DOOR_WAIT_NONE) {
    pd_turn_command(pd_shell_turn(door->shell), &request, command->token);
  } else if (done != NULL) {
    door_ask(door, command, said, done);
  }
  return wait;
}

/* ---- commands that wait
 * ---------------------------------------------------------------------------------------------- */

static void on_key(void *context, enum pd_err err, const uint8_t *key) {
  struct door_command *command = context;
  (void)key;
  command->asked = false;
  command->keyless = err == PD_ENOENT;
  pd_shell_wake(command->door->shell);
}

static bool may_take(const struct door *door) {
  bool room = door->tokens_used < DOOR_TOKENS && door->waiting_count < DOOR_WAITING;
  return room && pd_shell_leading(door->shell) && pd_turn_open(pd_shell_turn(door->shell));
}

/* Copy a command that has just come, so that it can wait; try it once more to ask the vault on the
 * copy's behalf. */
static void let_wait(struct door *door, const struct door_command *now, enum door_wait wait) {
  struct door_command *command = malloc(sizeof *command + now->size);
  if (command == NULL) {
    refuse(door, now->token, 0, &no_vault);
    return;
  }
  *command = *now;
  command->next = NULL;
  command->wait = wait;
  command->bytes = memcpy(command + 1, now->bytes, now->size);
  uint64_t patience = wait == DOOR_WAIT_SEEN ? SEEN_WAIT_MS : VAULT_WAIT_MS;
  command->give_up = uv_now(pd_shell_loop(door->shell)) + patience;
  *door->waiting_end = command;
  door->waiting_end = &command->next;
  door->waiting_count++;
}

static void give_up(struct door *door, const struct door_command *command, enum door_wait wait) {
  pd_arena_reset(&door->arena);
  const struct pd_command *said = (const struct pd_command *)pd_unpack_checked(
      &door->arena, &pd_command_descriptor, command->bytes, command->size);
  refuse(door, command->token, said == NULL ? 0 : said->request,
         wait == DOOR_WAIT_SEEN ? &not_seen : &no_vault);
}

/* Is this waiting command done with?  One that is late is tried once more, but asks no more. */
static bool retry(struct door *door, struct door_command *command) {
  if (command->asked) return false;
  bool late = uv_now(pd_shell_loop(door->shell)) >= command->give_up;
  enum door_wait wait = try_command(door, command, late ? NULL : on_key);
  if (wait == DOOR_WAIT_NONE) return true;
  if (late) give_up(door, command, wait);
  return late;
}

static void retry_waiting(struct door *door) {
  struct door_command **link = &door->waiting;
  while (*link != NULL && pd_turn_open(pd_shell_turn(door->shell))) {
    struct door_command *command = *link;
    if (!retry(door, command)) {
      link = &command->next;
      continue;
    }
    *link = command->next;
    if (*link == NULL) door->waiting_end = link;
    door->waiting_count--;
    free(command);
  }
}

/* ---- sockets ---- */

/* libzmq does not always attach the peer's properties to the identity that it puts in front, but to
 * each frame that the peer sent. */
static int64_t peer_uid(struct pd_bus_message *message) {
  return pd_bus_peer_uid(&message->frames[message->count - 1]);
}

/* Who speaks at a local door: whom the kernel names. */
static bool greet_local(struct door_command *command, struct pd_bus_message *message,
                        zmq_msg_t **echo) {
  snprintf(command->principal, sizeof command->principal, "%s/uid:%lld",
           doors[command->socket].name, (long long)peer_uid(message));
  command->roles = doors[command->socket].roles;
  *echo = message->count == 3 ? &message->frames[1] : NULL; /* a REQ socket's delimiter */
  return message->count == 2 || (message->count == 3 && zmq_msg_size(*echo) == 0);
}

/* Who speaks at the edge's door: whom the gateway vouches for.  Frames: its own mark (8 bytes), the
 * principal, the roles (one byte), the command.  Only a process of this user, or root, is believed;
 * a name with a slash could be mistaken for a local principal. */
static bool greet_edge(struct door_command *command, struct pd_bus_message *message,
                       zmq_msg_t **echo) {
  int64_t uid = peer_uid(message);
  if (message->count != 5 || (uid != 0 && uid != (int64_t)geteuid())) return false;
  zmq_msg_t *name = &message->frames[2], *roles = &message->frames[3];
  size_t size = zmq_msg_size(name);
  bool right = zmq_msg_size(&message->frames[1]) == DOOR_ECHO && size > 0 &&
               size < sizeof command->principal && zmq_msg_size(roles) == 1 &&
               memchr(zmq_msg_data(name), '/', size) == NULL;
  if (!right) return false;
  *echo = &message->frames[1];
  memcpy(command->principal, zmq_msg_data(name), size);
  command->principal[size] = '\0';
  command->roles = *(uint8_t *)zmq_msg_data(roles);
  return command->roles != 0 && command->roles < 2 * PD_ROLE_SOURCE;
}

static void take_message(struct door *door, uint32_t socket, struct pd_bus_message *message) {
  zmq_msg_t *last = &message->frames[message->count - 1], *echo = NULL;
  pd_metric_add(door->commands, 1);
  if (message->count < 2) {
    note_malformed(door, doors[socket].name, shape_rule);
    return;
  }
  struct door_command command = {.door = door, .socket = socket, .bytes = zmq_msg_data(last)};
  command.size = zmq_msg_size(last);
  snprintf(command.principal, sizeof command.principal, "%s", doors[socket].name);
  bool shape = doors[socket].roles == 0 ? greet_edge(&command, message, &echo)
                                        : greet_local(&command, message, &echo);
  command.token = take_token(door, socket, message, shape ? echo : NULL);
  if (!shape || command.size > DOOR_COMMAND_MAX) {
    refuse_malformed(door, &command, &(struct pd_flaw){.rule = shape ? size_rule : shape_rule});
    return;
  }
  command.fresh = pd_seal_fresh_id();
  enum door_wait wait = try_command(door, &command, NULL); /* asks once it has a place to wait in */
  if (wait != DOOR_WAIT_NONE) let_wait(door, &command, wait);
}

static void pause_all(struct door *door, bool paused) {
  if (door->paused == paused) return;
  door->paused = paused;
  for (uint32_t i = 0; i < DOORS; i++) pd_bus_pause(door->sockets[i].watch, paused);
}

static void on_frames(void *context, void *zmq_socket) {
  struct door_socket *socket = context;
  struct door *door = socket->door;
  struct pd_bus_message message;
  pd_bus_message_init(&message);
  for (int i = 0; i < FRAMES_A_CALL; i++) {
    if (!may_take(door)) {
      pause_all(door, true); /* back-pressure: the clients' queues fill, nothing is dropped */
      break;
    }
    enum pd_err err = pd_bus_receive(zmq_socket, &message);
    if (err == PD_EAGAIN) break;
    if (err == PD_OK)
      take_message(door, socket->number, &message);
    else
      note_malformed(door, doors[socket->number].name, shape_rule);
  }
  pd_bus_message_close(&message);
  pd_shell_wake(door->shell);
}

static enum pd_err bind_one(struct door *door, uint32_t number) {
  struct door_socket *socket = &door->sockets[number];
  char endpoint[PD_ENDPOINT];
  const char *run_dir = pd_shell_config(door->shell)->run_dir;
  if (!pd_shell_endpoint(run_dir, doors[number].name, "door", endpoint)) return PD_EBOUNDS;
  struct pd_bus_options options = {.max_message = DOOR_COMMAND_MAX + 1, .send_mark = DOOR_TOKENS};
  *socket = (struct door_socket){.door = door, .number = number};
  enum pd_err err = pd_bus_socket(&socket->socket, pd_shell_zmq(door->shell), ZMQ_ROUTER, &options);
  if (err == PD_OK) err = pd_bus_bind(socket->socket, endpoint);
  if (err == PD_OK && doors[number].roles == 0 && chmod(endpoint + strlen("ipc://"), 0600) != 0)
    err = PD_EIO;
  if (err == PD_OK)
    err =
        pd_bus_watch(&socket->watch, pd_shell_loop(door->shell), socket->socket, on_frames, socket);
  return err;
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
  while (intake_next_erased(pd_shell_turn(door->shell)->self, &cursor, &person))
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

enum pd_err door_open(struct pd_shell *shell, struct door **made) {
  struct door *door = calloc(1, sizeof *door);
  if (door == NULL) return PD_EIO;
  *made = door;
  door->shell = shell;
  door->waiting_end = &door->waiting;
  door->tokens = calloc(DOOR_TOKENS, sizeof *door->tokens);
  door->scratch = malloc(DOOR_COMMAND_MAX);
  door->arena_memory = calloc(1, ARENA_SIZE);
  if (door->tokens == NULL || door->scratch == NULL || door->arena_memory == NULL) return PD_EIO;
  pd_arena_init(&door->arena, door->arena_memory, ARENA_SIZE);
  struct pd_metrics *metrics = pd_shell_metrics(shell);
  door->commands =
      pd_metrics_counter(metrics, "paidan_commands_total", "Commands that came in.", NULL);
  door->malformed = pd_metrics_counter(metrics, "paidan_commands_malformed_total",
                                       "Frames that were no command.", NULL);
  door->lost = pd_metrics_counter(metrics, "paidan_replies_lost_total",
                                  "Replies whose client had gone.", NULL);
  const struct pd_common_config *config = pd_shell_config(shell);
  struct pd_redis_options redis = {.url = config->vault_redis,
                                   .user = config->vault_user,
                                   .password_file = config->vault_password_file};
  return pd_vault_open(&door->vault, pd_shell_loop(shell), &redis, (uint32_t)config->shard, 0,
                       on_vault, door);
}

/* Sockets are bound when the vault's hash key is known too: without it no command can be told from
 * another. */
static void bind_all(struct door *door) {
  for (uint32_t i = 0; i < DOORS; i++) {
    enum pd_err err = bind_one(door, i);
    if (err != PD_OK)
      pd_say(PD_LEVEL_ERROR, pd_kv_text("msg", "a door cannot be opened; check run_dir"),
             pd_kv_text("door", doors[i].name), pd_kv_text("why", pd_err_text(err)));
  }
}

/* After a fence the replies that had not left are gone, and with them whom they were for. */
static void free_tokens(struct door *door) {
  bool *held = calloc(DOOR_TOKENS, sizeof *held);
  if (held == NULL) return; /* they are missed only after many fences */
  for (const struct door_command *it = door->waiting; it != NULL; it = it->next)
    held[it->token] = true;
  door->free_token = NO_TOKEN;
  door->tokens_used = 0;
  for (uint32_t i = DOOR_TOKENS; i-- > 0;) {
    door->tokens_used += held[i];
    if (held[i]) continue;
    door->tokens[i].next_free = door->free_token;
    door->free_token = i;
  }
  free(held);
}

void door_lead(struct door *door) {
  free_tokens(door);
  door->erasures_count = 0;
  door->erasures_over = 0;
  door->forget_due = true;
  pause_all(door, false);
}

void door_round(struct door *door) {
  if (pd_vault_hash_key(door->vault) == NULL) return;
  if (door->sockets[0].socket == NULL) bind_all(door);
  if (door->forget_due && door->vault_up) forget_all(door);
  retry_waiting(door);
  if (door->paused && may_take(door)) pause_all(door, false);
}

const char *door_unready(struct door *door) {
  return door->vault_up ? NULL : "the vault's Redis is away";
}

void door_close(struct door *door) {
  for (uint32_t i = 0; i < DOORS; i++) {
    pd_bus_unwatch(door->sockets[i].watch);
    if (door->sockets[i].socket != NULL) zmq_close(door->sockets[i].socket);
  }
  pd_vault_close(door->vault);
  while (door->waiting != NULL) {
    struct door_command *command = door->waiting;
    door->waiting = command->next;
    free(command);
  }
  free(door->tokens);
  free(door->scratch);
  free(door->arena_memory);
  free(door);
}
