/* Commands from outside: each goes to intake's door `edge` with the name of its key, which the ZAP
 * handler gave and no client can claim, and the roles of its grant.  The reply goes back to the
 * connection that asked.
 *
 * Nothing is dropped in silence as long as the connection stands: what cannot be taken is refused
 * ("send it again"), and while intake takes no more, nothing more is read.  A command that was
 * handed over and never answered stays without an answer: it may be recorded, and the same key
 * tells. */
#include "common/io/journal.h"
#include "common/io/shell.h"
#include "services/gateway/gateway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLIGHTS 16384
#define FLIGHT_MS 10000              /* longer than intake lets anything wait, but for the vault */
#define ARENA_SIZE ((size_t)8 << 20) /* 64 KiB of input may unpack into 3 MB */
#define COMMANDS_A_CALL 256
#define AGAIN_MS 5
#define PATIENCE_MS 1000 /* how long a command waits for intake to take it */
#define MARK 8
#define REPLY_REQUEST_TAG 0x08 /* field 1, a number */
#define REPLY_MOVED_TAG 0x22   /* field 4, a message */

static const struct edge_refusal no_grant = {
    PD_CODE_NOT_ALLOWED,   0, "", "the key may say commands", "ask for a grant with roles",
    "该密钥无权提交业务。"};
static const struct edge_refusal no_type = {PD_CODE_NOT_ALLOWED,
                                            0,
                                            "publish_external.type",
                                            "a type that the grant of the key lists",
                                            "ask for a grant to publish it",
                                            "该密钥无权发布此类消息。"};
static const struct edge_refusal full_window = {
    PD_CODE_RETRY,
    0,
    "",
    "no more commands in flight than the window allows",
    "wait for replies, then send the same command again, with the same key",
    "在途请求过多，请稍后重试。"};
static const struct edge_refusal no_intake = {PD_CODE_RETRY,
                                              0,
                                              "",
                                              "intake takes commands",
                                              "send the same command again, with the same key",
                                              "系统繁忙，请稍后重试。"};
static const struct edge_refusal bad_shape = {
    PD_CODE_MALFORMED,
    0,
    "",
    "one frame with a paidan.v1.Command (of a REQ socket: behind an "
    "empty one)",
    "check the encoding against proto/paidan/v1/command.proto",
    "无法识别的指令，请按接口说明重新发送。"};

/* A command that was handed to intake. */
struct flight {
  uint32_t next_free;
  uint32_t serial; /* 0: free; tells a mark from an older one of the same place */
  uint32_t opened;
  uint8_t delimiter;
  uint8_t identity_size;
  uint8_t identity[255];
  struct standing *standing;
  uint64_t until; /* loop time */
};

struct commands {
  struct gateway *gateway;
  void *socket; /* DEALER at intake's door */
  char endpoint[PD_ENDPOINT]; /* where that is */
  struct pd_bus_watch *watch;
  uv_timer_t again;
  struct pd_bus_message message; /* the one at hand */
  bool held;                     /* it waits for intake */
  bool timing;
  uint8_t zero[2];
  uint32_t serial;
  uint64_t away_since; /* intake takes nothing since then; loop time; 0: it does */
  uint32_t free;
  uint32_t used;
  struct flight *flights;
  uint8_t *memory;
};

/* ---- replies ---- */

static void reply(struct gateway *gateway, const struct pd_bus_message *message,
                  const uint8_t *bytes, size_t size) {
  zmq_msg_t *identity = (zmq_msg_t *)&message->frames[0];
  struct pd_frame frames[3] = {
      {zmq_msg_data(identity), zmq_msg_size(identity)}, {"", 0}, {bytes, size}};
  bool delimiter = message->count == 3;
  if (!delimiter) frames[1] = frames[2];
  if (pd_bus_send(gateway->edge[EDGE_COMMANDS].socket, frames, delimiter ? 3 : 2) != PD_OK)
    pd_metric_add(gateway->counts.lost, 1);
}

#define REQUEST_FIELD 3 /* of Command */

static size_t pack_refusal(const struct edge_refusal *why, uint64_t request, uint8_t *bytes,
                           size_t room) {
  struct pd_refusal refusal = PD_REFUSAL_INIT;
  refusal.code = why->code;
  refusal.field = (char *)why->field;
  refusal.rule = (char *)why->rule;
  refusal.next = (char *)why->next;
  refusal.zh = (char *)why->zh;
  struct pd_reply answer = PD_REPLY_INIT;
  answer.request = request;
  answer.result_case = PD_REPLY_REFUSAL;
  answer.refusal = &refusal;
  pd_assert(protobuf_c_message_get_packed_size(&answer.base) <= room);
  return protobuf_c_message_pack(&answer.base, bytes);
}

static void refuse(struct commands *self, const struct edge_refusal *why) {
  struct pd_bus_message *message = &self->message;
  zmq_msg_t *last = &message->frames[message->count - 1];
  uint64_t request = pd_peek_number(zmq_msg_data(last), zmq_msg_size(last), REQUEST_FIELD);
  uint8_t bytes[1024];
  size_t size = pack_refusal(why, request, bytes, sizeof bytes);
  pd_metric_add(self->gateway->counts.refused, 1);
  reply(self->gateway, message, bytes, size);
}

/* ---- flights ---- */

static struct flight *take_flight(struct commands *self, struct standing *standing) {
  struct flight *flight = &self->flights[self->free];
  zmq_msg_t *identity = &self->message.frames[0];
  self->free = flight->next_free;
  self->used++;
  standing->window++;
  if (++self->serial == 0) self->serial = 1;
  flight->serial = self->serial;
  flight->opened = self->gateway->opened;
  flight->standing = standing;
  flight->delimiter = self->message.count == 3;
  flight->identity_size = (uint8_t)zmq_msg_size(identity);
  pd_assert(zmq_msg_size(identity) <= sizeof flight->identity); /* ZeroMQ's own limit */
  memcpy(flight->identity, zmq_msg_data(identity), flight->identity_size);
  flight->until = uv_now(&self->gateway->loop) + FLIGHT_MS;
  return flight;
}

static void end_flight(struct commands *self, struct flight *flight) {
  pd_assert(flight->serial != 0 && flight->standing->window > 0);
  flight->standing->window--;
  flight->serial = 0;
  flight->next_free = self->free;
  self->free = (uint32_t)(flight - self->flights);
  self->used--;
}

/* Does the reply say that another instance leads?  Intake packs the request's number, if it is not
 * 0, and then the one result. */
static bool says_moved(zmq_msg_t *message) {
  const uint8_t *bytes = zmq_msg_data(message);
  size_t size = zmq_msg_size(message), at = 0;
  if (size > 0 && bytes[0] == REPLY_REQUEST_TAG)
    for (at = 1; at < size && bytes[at++] >= 0x80;) continue;
  return at < size && bytes[at] == REPLY_MOVED_TAG;
}

/* Its door is looked for, and the client may come again. */
static bool moved(struct commands *self, zmq_msg_t *message) {
  if (!says_moved(message)) return false;
  uint64_t request = pd_peek_number(zmq_msg_data(message), zmq_msg_size(message), 1);
  uint8_t refusal[1024];
  size_t size = pack_refusal(&no_intake, request, refusal, sizeof refusal);
  zmq_msg_close(message);
  if (zmq_msg_init_size(message, size) != 0) return false;
  memcpy(zmq_msg_data(message), refusal, size);
  follow_ask(self->gateway);
  return true;
}

static void take_reply(struct commands *self, struct pd_bus_message *message) {
  struct gateway *gateway = self->gateway;
  uint32_t mark[2];
  if (message->count != 2 || zmq_msg_size(&message->frames[0]) != MARK) {
    pd_metric_add(gateway->counts.bad, 1);
    return;
  }
  memcpy(mark, zmq_msg_data(&message->frames[0]), MARK);
  struct flight *flight = mark[0] < FLIGHTS ? &self->flights[mark[0]] : NULL;
  if (flight == NULL || flight->serial != mark[1] || mark[1] == 0) return; /* came too late */
  zmq_msg_t *bytes = &message->frames[1];
  if (moved(self, bytes)) pd_metric_add(gateway->counts.refused, 1);
  struct pd_frame frames[3] = {{flight->identity, flight->identity_size},
                               {"", 0},
                               {zmq_msg_data(bytes), zmq_msg_size(bytes)}};
  if (!flight->delimiter) frames[1] = frames[2];
  bool there = gateway->bound && flight->opened == gateway->opened;
  if (!there ||
      pd_bus_send(gateway->edge[EDGE_COMMANDS].socket, frames, flight->delimiter ? 3 : 2) != PD_OK)
    pd_metric_add(gateway->counts.lost, 1);
  end_flight(self, flight);
}

static void on_replies(void *context, void *socket) {
  struct commands *self = context;
  struct pd_bus_message message;
  pd_bus_message_init(&message);
  for (int i = 0; i < COMMANDS_A_CALL; i++) {
    enum pd_err err = pd_bus_receive(socket, &message);
    if (err == PD_EAGAIN) break;
    if (err == PD_OK) take_reply(self, &message);
  }
  pd_bus_message_close(&message);
}

/* ---- commands ---- */

static uint32_t roles_of(const struct grant *grant) {
  return grant->roles | (grant->publishes > 0 ? PD_ROLE_SOURCE : 0);
}

static void note_malformed(struct commands *self, const struct grant *grant) {
  char source[64];
  (void)snprintf(source, sizeof source, "commands/%s", grant == NULL ? "" : grant->name);
  gateway_bad(self->gateway, source, "a frame that is no command");
}

/* Is it a command that this key may say?  Otherwise it is refused here. */
static bool check(struct commands *self, const struct grant *grant) {
  struct pd_bus_message *message = &self->message;
  zmq_msg_t *last = &message->frames[message->count - 1];
  bool shape =
      message->count == 2 || (message->count == 3 && zmq_msg_size(&message->frames[1]) == 0);
  if (!shape || grant == NULL || roles_of(grant) == 0) {
    refuse(self, shape ? &no_grant : &bad_shape);
    if (!shape) note_malformed(self, grant);
    return false;
  }
  struct pd_arena arena;
  struct pd_flaw flaw;
  pd_arena_init(&arena, self->memory, ARENA_SIZE);
  const struct pd_command *said = (const struct pd_command *)pd_unpack_named(
      &arena, &pd_command_descriptor, zmq_msg_data(last), zmq_msg_size(last), &flaw);
  bool known = said != NULL;
  bool allowed = known && (said->body_case != PD_COMMAND_PUBLISH_EXTERNAL ||
                           grant_publishes(grant, said->publish_external->type));
  memset(self->memory, 0, arena.used);
  if (allowed) return true;
  struct edge_refusal why = bad_shape;
  if (!known) note_malformed(self, grant);
  why.field = flaw.field;
  why.rule = flaw.rule;
  refuse(self, known ? &no_type : &why);
  return false;
}

/* Hand the command at hand to intake.  False: it takes no more. */
static bool hand_over(struct commands *self, const struct grant *grant) {
  if (self->used == FLIGHTS) return false;
  struct gateway *gateway = self->gateway;
  struct standing *standing = gateway_standing(gateway, grant);
  zmq_msg_t *last = &self->message.frames[self->message.count - 1];
  struct flight *flight = take_flight(self, standing);
  uint32_t mark[2] = {(uint32_t)(flight - self->flights), flight->serial};
  uint8_t roles = (uint8_t)roles_of(grant);
  struct pd_frame frames[4] = {{mark, MARK},
                               {grant->name, strlen(grant->name)},
                               {&roles, 1},
                               {zmq_msg_data(last), zmq_msg_size(last)}};
  if (pd_bus_send(self->socket, frames, 4) == PD_OK) {
    pd_metric_add(gateway->counts.commands, 1);
    self->away_since = 0;
    return true;
  }
  end_flight(self, flight);
  return false;
}

static void on_again(uv_timer_t *timer);

/* Intake takes no more: read nothing more, and try this one again soon. */
static void hold(struct commands *self) {
  uint64_t now = uv_now(&self->gateway->loop);
  if (self->away_since == 0) self->away_since = now > 0 ? now : 1;
  self->held = true;
  pd_bus_pause(self->gateway->edge[EDGE_COMMANDS].watch, true);
  (void)uv_timer_start(&self->again, on_again, AGAIN_MS, 0);
}

/* Forward the message at hand, or refuse it, or hold it.  The grant is looked up here: it may have
 * changed while the message was held. */
static void forward(struct commands *self) {
  struct gateway *gateway = self->gateway;
  const struct grant *grant =
      gateway_sender(gateway, &self->message.frames[self->message.count - 1]);
  if (!check(self, grant)) return;
  if (gateway_standing(gateway, grant)->window >= gateway->config.edge_window) {
    refuse(self, &full_window);
    return;
  }
  if (hand_over(self, grant)) return;
  bool away = self->away_since != 0 && uv_now(&gateway->loop) - self->away_since >= PATIENCE_MS;
  if (away)
    refuse(self, &no_intake);
  else
    hold(self);
}

static void on_again(uv_timer_t *timer) {
  struct commands *self = timer->data;
  if (!self->held || !self->gateway->bound) return;
  self->held = false;
  forward(self);
  if (!self->held) pd_bus_pause(self->gateway->edge[EDGE_COMMANDS].watch, false);
}

void commands_ready(void *context, void *socket) {
  struct gateway *gateway = context;
  struct commands *self = gateway->commands;
  for (int i = 0; i < COMMANDS_A_CALL && !self->held; i++) {
    enum pd_err err = pd_bus_receive(socket, &self->message);
    if (err == PD_EAGAIN) break;
    if (err != PD_OK || self->message.count < 2)
      gateway_bad(gateway, "commands", "a message of more frames than a command has");
    else
      forward(self);
  }
}

void commands_beat(struct gateway *gateway) {
  struct commands *self = gateway->commands;
  uint64_t now = uv_now(&gateway->loop);
  for (uint32_t i = 0; i < FLIGHTS && self->used > 0; i++) {
    struct flight *flight = &self->flights[i];
    if (flight->serial != 0 && flight->until <= now) end_flight(self, flight);
  }
}

void commands_dropped(struct gateway *gateway) {
  if (gateway->commands != NULL) gateway->commands->held = false;
}

/* ---- life ---- */

static enum pd_err connect_intake(struct commands *self) {
  struct gateway *gateway = self->gateway;
  char endpoint[PD_ENDPOINT];
  if (!pd_shell_endpoint(gateway->config.common.run_dir, "edge", "door", endpoint))
    return PD_EBOUNDS;
  struct pd_bus_options options = {.send_mark = FLIGHTS, .receive_mark = FLIGHTS};
  enum pd_err err = pd_bus_socket(&self->socket, gateway->zmq, ZMQ_DEALER, &options);
  int immediate = 1; /* nothing is queued for an intake that is not there */
  if (err == PD_OK &&
      zmq_setsockopt(self->socket, ZMQ_IMMEDIATE, &immediate, sizeof immediate) != 0)
    err = PD_EIO;
  if (err == PD_OK) err = pd_bus_connect(self->socket, endpoint);
  if (err != PD_OK) return err;
  snprintf(self->endpoint, sizeof self->endpoint, "%s", endpoint);
  return pd_bus_watch(&self->watch, &gateway->loop, self->socket, on_replies, self);
}

enum pd_err commands_open(struct gateway *gateway) {
  struct commands *self = calloc(1, sizeof *self);
  if (self == NULL) return PD_EIO;
  gateway->commands = self;
  self->gateway = gateway;
  pd_bus_message_init(&self->message);
  self->flights = calloc(FLIGHTS, sizeof *self->flights);
  self->memory = calloc(1, ARENA_SIZE);
  if (self->flights == NULL || self->memory == NULL) return PD_EIO;
  for (uint32_t i = 0; i < FLIGHTS; i++) self->flights[i].next_free = i + 1;
  (void)uv_timer_init(&gateway->loop, &self->again);
  self->again.data = self;
  self->timing = true;
  return connect_intake(self);
}

void commands_move(struct gateway *gateway, const char *endpoint) {
  struct commands *self = gateway->commands;
  if (self == NULL || self->socket == NULL || strcmp(endpoint, self->endpoint) == 0) return;
  (void)zmq_disconnect(self->socket, self->endpoint);
  snprintf(self->endpoint, sizeof self->endpoint, "%s", endpoint);
  if (pd_bus_connect(self->socket, endpoint) != PD_OK) self->endpoint[0] = '\0';
}

static void on_closed(uv_handle_t *handle) {
  struct commands *self = handle->data;
  free(self->flights);
  free(self->memory);
  free(self);
}

void commands_close(struct gateway *gateway) {
  struct commands *self = gateway->commands;
  if (self == NULL) return;
  pd_bus_unwatch(self->watch);
  if (self->socket != NULL) zmq_close(self->socket);
  pd_bus_message_close(&self->message);
  gateway->commands = NULL;
  if (self->timing) {
    uv_close((uv_handle_t *)&self->again, on_closed);
    return;
  }
  free(self->flights);
  free(self->memory);
  free(self);
}
