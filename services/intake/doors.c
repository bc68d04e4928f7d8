/* The process's doors: sockets that all its shards share.  A command names its shard; one that this
 * process does not serve is refused, one that another instance leads is told where to go. */
#include "common/io/journal.h"
#include "services/intake/door_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FRAMES_A_CALL 256
#define NO_TOKEN UINT32_MAX
#define SHARD_FIELD 1   /* of Command */
#define REQUEST_FIELD 3 /* of Command */

static const struct {
  const char *name;
  uint32_t roles;
} door_names[DOORS] = {{"resident", PD_ROLE_RESIDENT},
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
static const struct door_refusal wrong_shard = {
    .code = PD_CODE_WRONG_SHARD,
    .field = "shard",
    .rule = "a district that this daemon serves",
    .next = "send it to the daemon of that district",
    .zh = "本系统不受理该区县的业务，请核对区划代码。",
};

/* ---- tokens ---- */

/* echo: a frame that goes back between identity and reply, or NULL. */
static uint64_t take_token(struct doors *doors, uint32_t socket, struct pd_bus_message *message,
                           zmq_msg_t *echo) {
  uint32_t number = doors->free_token;
  pd_assert(number != NO_TOKEN);
  struct door_token *token = &doors->tokens[number];
  doors->free_token = token->next_free;
  doors->tokens_used++;
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

static void free_token(struct doors *doors, uint32_t number) {
  struct door_token *token = &doors->tokens[number];
  token->door = NULL;
  token->next_free = doors->free_token;
  doors->free_token = number;
  doors->tokens_used--;
}

void doors_reply(struct doors *doors, uint64_t number, const uint8_t *bytes, size_t size) {
  struct door_token *token = &doors->tokens[number];
  struct pd_frame frames[3] = {{token->identity, token->identity_size},
                               {token->echoed, token->echo_size},
                               {bytes, size}};
  if (!token->echo) frames[1] = frames[2];
  void *socket = doors->sockets[token->socket].socket;
  if (pd_bus_send(socket, frames, token->echo ? 3 : 2) != PD_OK) pd_metric_add(doors->lost, 1);
  free_token(doors, (uint32_t)number);
}

void doors_refuse(struct doors *doors, uint64_t token, uint64_t request,
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
  doors_reply(doors, token, bytes, size);
}

void doors_move(struct doors *doors, const struct door_command *command) {
  struct pd_seat *seat = command->door->seat;
  struct pd_moved moved = PD_MOVED_INIT;
  const char *name = "", *folder = pd_seat_elsewhere(seat, &name);
  char endpoint[PD_ENDPOINT + 32];
  snprintf(endpoint, sizeof endpoint, "%s/door.%s", folder == NULL ? "" : folder,
           door_names[command->socket].name);
  moved.shard = pd_seat_shard(seat)->code;
  moved.endpoint = endpoint;
  moved.instance = (char *)name;
  struct pd_reply reply = PD_REPLY_INIT;
  reply.request = pd_peek_number(command->bytes, command->size, REQUEST_FIELD);
  reply.result_case = PD_REPLY_MOVED;
  reply.moved = &moved;
  uint8_t bytes[512];
  pd_assert(protobuf_c_message_get_packed_size(&reply.base) <= sizeof bytes);
  pd_metric_add(doors->moved, 1);
  doors_reply(doors, command->token, bytes, protobuf_c_message_pack(&reply.base, bytes));
}

void doors_forget(struct doors *doors, const struct door *door) {
  bool *held = calloc(DOOR_TOKENS, sizeof *held);
  if (held == NULL) return; /* they are missed only after many fences */
  for (const struct door_command *it = door->waiting; it != NULL; it = it->next)
    held[it->token] = true;
  for (uint32_t i = 0; i < DOOR_TOKENS; i++)
    if (doors->tokens[i].door == door && !held[i]) free_token(doors, i);
  free(held);
}

/* ---- frames that are no command ---- */

static const char shape_rule[] = "one frame (of a REQ socket: behind an empty one)";
static const char size_rule[] = "at most 65536 bytes";

#define SAY_EVERY_MS 10000

/* Count a frame that is no command; say so once for each client and window. */
static void note_malformed(struct doors *doors, const char *source, const char *rule) {
  pd_metric_add(doors->malformed, 1);
  uint64_t more = 0;
  if (pd_journal_once(source, SAY_EVERY_MS, uv_now(pd_shell_loop(doors->shell)), &more))
    pd_say(PD_LEVEL_WARN, pd_kv_text("msg", "a frame that is no command"),
           pd_kv_text("from", source), pd_kv_text("expected", rule),
           pd_kv_uint("not_said_before", more));
}

/* Refuse it by the number that its sender knows it by, as far as that can be read. */
void doors_refuse_malformed(struct doors *doors, const struct door_command *command,
                             const struct pd_flaw *flaw) {
  struct door_refusal why = malformed;
  why.field = flaw->field;
  why.rule = flaw->rule;
  note_malformed(doors, command->principal, flaw->rule);
  doors_refuse(doors, command->token,
               pd_peek_number(command->bytes, command->size, REQUEST_FIELD), &why);
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
           door_names[command->socket].name, (long long)peer_uid(message));
  command->roles = door_names[command->socket].roles;
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

/* The door of a shard that this process serves, opened; NULL: none. */
static struct door *door_of(const struct doors *doors, uint64_t shard) {
  for (uint32_t i = 0; i < pd_shell_seats(doors->shell); i++) {
    struct pd_seat *seat = pd_shell_seat(doors->shell, i);
    if (pd_seat_shard(seat)->code == shard) return pd_seat_context(seat);
  }
  return NULL;
}

/* One of several knows its own commands; a single one is told of all, and refuses the others'. */
static struct door *route(const struct doors *doors, const struct door_command *command) {
  if (pd_shell_seats(doors->shell) == 1) return pd_seat_context(pd_shell_seat(doors->shell, 0));
  return door_of(doors, pd_peek_number(command->bytes, command->size, SHARD_FIELD));
}

static void take_message(struct doors *doors, uint32_t socket, struct pd_bus_message *message) {
  zmq_msg_t *last = &message->frames[message->count - 1], *echo = NULL;
  pd_metric_add(doors->commands, 1);
  if (message->count < 2) {
    note_malformed(doors, door_names[socket].name, shape_rule);
    return;
  }
  struct door_command command = {.socket = socket, .bytes = zmq_msg_data(last)};
  command.size = zmq_msg_size(last);
  snprintf(command.principal, sizeof command.principal, "%s", door_names[socket].name);
  bool shape = door_names[socket].roles == 0 ? greet_edge(&command, message, &echo)
                                             : greet_local(&command, message, &echo);
  command.token = take_token(doors, socket, message, shape ? echo : NULL);
  command.door = route(doors, &command);
  doors->tokens[command.token].door = command.door;
  if (!shape || command.size > DOOR_COMMAND_MAX)
    doors_refuse_malformed(doors, &command,
                           &(struct pd_flaw){.rule = shape ? size_rule : shape_rule});
  else if (command.door == NULL)
    doors_refuse(doors, command.token,
                 pd_peek_number(command.bytes, command.size, REQUEST_FIELD), &wrong_shard);
  else
    door_take(command.door, &command);
}

/* Is there a shard that takes a command, or says where it goes?  One that is full waits at the
 * sockets, as long as no other takes anything: so nothing is dropped, and the clients' queues fill.
 */
static bool may_take(const struct doors *doors) {
  if (doors->tokens_used >= DOOR_TOKENS) return false;
  for (uint32_t i = 0; i < pd_shell_seats(doors->shell); i++) {
    const struct door *door = pd_seat_context(pd_shell_seat(doors->shell, i));
    if (door != NULL && door_gate(door) != DOOR_FULL) return true;
  }
  return false;
}

static void pause_all(struct doors *doors, bool paused) {
  if (doors->paused == paused) return;
  doors->paused = paused;
  for (uint32_t i = 0; i < DOORS; i++) pd_bus_pause(doors->sockets[i].watch, paused);
}

static void on_frames(void *context, void *zmq_socket) {
  struct door_socket *socket = context;
  struct doors *doors = socket->doors;
  struct pd_bus_message message;
  pd_bus_message_init(&message);
  for (int i = 0; i < FRAMES_A_CALL; i++) {
    if (!may_take(doors)) {
      pause_all(doors, true); /* back-pressure: the clients' queues fill, nothing is dropped */
      break;
    }
    enum pd_err err = pd_bus_receive(zmq_socket, &message);
    if (err == PD_EAGAIN) break;
    if (err == PD_OK)
      take_message(doors, socket->number, &message);
    else
      note_malformed(doors, door_names[socket->number].name, shape_rule);
  }
  pd_bus_message_close(&message);
  pd_shell_wake(doors->shell);
}

static enum pd_err bind_one(struct doors *doors, uint32_t number) {
  struct door_socket *socket = &doors->sockets[number];
  struct pd_shell *shell = doors->shell;
  char endpoint[PD_ENDPOINT];
  if (!pd_shell_endpoint(pd_shell_folder(shell), door_names[number].name, "door", endpoint))
    return PD_EBOUNDS;
  struct pd_bus_options options = {.max_message = DOOR_COMMAND_MAX + 1, .send_mark = DOOR_TOKENS};
  *socket = (struct door_socket){.doors = doors, .number = number};
  enum pd_err err = pd_bus_socket(&socket->socket, pd_shell_zmq(shell), ZMQ_ROUTER, &options);
  if (err == PD_OK) err = pd_bus_bind(socket->socket, endpoint);
  bool edge = door_names[number].roles == 0;
  if (err == PD_OK && edge && chmod(endpoint + strlen("ipc://"), 0600) != 0) err = PD_EIO;
  if (err != PD_OK) return err;
  return pd_bus_watch(&socket->watch, pd_shell_loop(shell), socket->socket, on_frames, socket);
}

static void bind_all(struct doors *doors) {
  doors->bound = true;
  for (uint32_t i = 0; i < DOORS; i++) {
    enum pd_err err = bind_one(doors, i);
    if (err != PD_OK)
      pd_say(PD_LEVEL_ERROR, pd_kv_text("msg", "a door cannot be opened; check run_dir"),
             pd_kv_text("door", door_names[i].name), pd_kv_text("why", pd_err_text(err)));
  }
}

void doors_look(struct doors *doors) {
  bool may = may_take(doors);
  if (!doors->bound && may) bind_all(doors);
  if (doors->paused && may) pause_all(doors, false);
}

/* ---- life ---- */

static struct pd_metric *counter(struct doors *doors, const char *name, const char *help) {
  return pd_metrics_counter(pd_shell_metrics(doors->shell), name, help, NULL);
}

enum pd_err doors_open(struct pd_shell *shell, struct doors **made) {
  struct doors *doors = calloc(1, sizeof *doors);
  if (doors == NULL) return PD_EIO;
  *made = doors;
  doors->shell = shell;
  doors->tokens = calloc(DOOR_TOKENS, sizeof *doors->tokens);
  if (doors->tokens == NULL) return PD_EIO;
  for (uint32_t i = 0; i < DOOR_TOKENS; i++) doors->tokens[i].next_free = i + 1;
  doors->tokens[DOOR_TOKENS - 1].next_free = NO_TOKEN;
  doors->commands = counter(doors, "paidan_commands_total", "Commands that came in.");
  doors->malformed =
      counter(doors, "paidan_commands_malformed_total", "Frames that were no command.");
  doors->lost = counter(doors, "paidan_replies_lost_total", "Replies whose client had gone.");
  doors->moved = counter(doors, "paidan_commands_moved_total",
                         "Commands whose client was told of another instance.");
  return PD_OK;
}

void doors_close(struct doors *doors) {
  for (uint32_t i = 0; i < DOORS; i++) {
    pd_bus_unwatch(doors->sockets[i].watch);
    if (doors->sockets[i].socket != NULL) zmq_close(doors->sockets[i].socket);
  }
  free(doors->tokens);
  free(doors);
}
