#include "common/io/client.h"

#include "common/io/bus.h"
#include "common/wire/fields.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_MAX     65536
#define REPLY_ARENA     (64u << 10)
#define RESEND_FIRST_MS 2000
#define RESEND_LAST_MS  16000
#define RETRY_MS        50
#define SWEEP_MS        20 /* how often the pending commands are looked through */
#define ABSENT_MS       500 /* until a door that is not there is looked for elsewhere */
#define MOVED_MS        50 /* from one change of the endpoint to the next */
#define ENDPOINT        128

/* A command in flight; a slot of the window. */
struct pending {
  uint64_t request; /* 0: the slot is free */
  uint8_t *bytes;   /* owned */
  size_t size;
  uint64_t due_ms; /* send (again) at this time */
  uint64_t wait_ms;
  uint64_t until_ms; /* give up */
  pd_client_done *done;
  void *context;
};

struct pd_client {
  void *socket;
  struct pd_client_options options;
  struct pending *window;
  uint32_t *free;
  uint32_t free_count;
  uint32_t turned; /* callbacks called in this turn */
  uint64_t round;  /* makes request numbers unique within a slot */
  uint64_t swept_ms;
  const uint8_t *reply; /* the one that is told of */
  size_t reply_size;
  struct pd_bus_message message;
  struct pd_bus_watch *watch;
  uv_timer_t *timer;
  char endpoints[PD_CLIENT_ENDPOINTS][ENDPOINT]; /* that were given */
  uint32_t endpoint_count;
  uint32_t tried;          /* of these, the last that was gone to by itself */
  char endpoint[ENDPOINT]; /* that the socket is connected to */
  uint64_t moved_ms;       /* when that was */
  bool edge;               /* of another machine: no local door is of use */
  uint8_t arena[REPLY_ARENA];
};

static uint64_t now_ms(void) { return uv_hrtime() / 1000000; }

/* ---- where the door is ---- */

static bool keep_endpoints(struct pd_client *client, const char *text) {
  for (;;) {
    text += strspn(text, " ");
    size_t length = strcspn(text, " ");
    if (length == 0) return client->endpoint_count > 0;
    if (length >= ENDPOINT || client->endpoint_count == PD_CLIENT_ENDPOINTS) return false;
    memcpy(client->endpoints[client->endpoint_count++], text, length);
    text += length;
  }
}

static enum pd_err go_to(struct pd_client *client, const char *endpoint) {
  char next[ENDPOINT];
  if (strlen(endpoint) >= sizeof next) return PD_EINVAL;
  strcpy(next, endpoint);
  if (client->endpoint[0] != 0) (void)zmq_disconnect(client->socket, client->endpoint);
  client->endpoint[0] = 0;
  client->moved_ms = now_ms();
  enum pd_err err = pd_bus_connect(client->socket, next);
  if (err == PD_OK) strcpy(client->endpoint, next);
  return err;
}

/* What went to the old place is sent again at once. */
static void send_all_again(struct pd_client *client, uint64_t now) {
  for (uint32_t i = 0; i < client->options.window; i++) {
    client->window[i].due_ms = now + RETRY_MS;
    client->window[i].wait_ms = RESEND_FIRST_MS;
  }
}

/* Somebody else leads.  While they change over, each may name the other: not too often, and what is
 * pending gives up in its time. */
static void move(struct pd_client *client, const char *endpoint) {
  uint64_t now = now_ms();
  bool here = strcmp(endpoint, client->endpoint) == 0;
  if (here || client->edge || now < client->moved_ms + MOVED_MS) return;
  /* Only a door of this machine: whoever answers must not send us out of it. */
  if (strncmp(endpoint, "ipc:///", 7) != 0 || go_to(client, endpoint) != PD_OK) return;
  send_all_again(client, now);
}

/* Nobody has answered for so long: perhaps at the next. */
static void try_next(struct pd_client *client, uint64_t now, uint64_t patience_ms) {
  if (client->endpoint_count < 2 || now < client->moved_ms + patience_ms) return;
  client->tried = (client->tried + 1) % client->endpoint_count;
  if (strcmp(client->endpoints[client->tried], client->endpoint) == 0)
    client->tried = (client->tried + 1) % client->endpoint_count;
  if (go_to(client, client->endpoints[client->tried]) == PD_OK) send_all_again(client, now);
}

enum pd_err pd_client_open(struct pd_client **out, void *zmq,
                           const struct pd_client_options *options) {
  struct pd_client *client = calloc(1, sizeof *client);
  if (client == NULL) return PD_EIO;
  client->options = *options;
  client->options.endpoint = NULL;
  client->options.curve = NULL;
  client->edge = options->curve != NULL;
  if (client->options.window == 0) client->options.window = 512;
  if (client->options.give_up_ms == 0) client->options.give_up_ms = 30000;
  pd_bus_message_init(&client->message);
  uint32_t window = client->options.window;
  client->window = calloc(window, sizeof *client->window);
  client->free = calloc(window, sizeof *client->free);
  enum pd_err err = PD_EIO;
  if (client->window == NULL || client->free == NULL) goto fail;
  for (uint32_t i = 0; i < window; i++) client->free[i] = window - 1 - i;
  client->free_count = window;
  struct pd_bus_options bus = {.send_mark = (int)window + 64, .receive_mark = (int)window + 64};
  err = pd_bus_socket(&client->socket, zmq, ZMQ_DEALER, &bus);
  if (err != PD_OK) goto fail;
  /* Nothing is queued for a door that is not there: after a break, what is pending is sent again
   * from here. */
  int immediate = 1;
  if (zmq_setsockopt(client->socket, ZMQ_IMMEDIATE, &immediate, sizeof immediate) != 0)
    err = PD_EIO;
  if (err == PD_OK && options->curve != NULL)
    err = pd_bus_curve_client(client->socket, options->curve);
  if (err == PD_OK && !keep_endpoints(client, options->endpoint)) err = PD_EINVAL;
  if (err == PD_OK) err = go_to(client, client->endpoints[0]);
  if (err != PD_OK) goto fail;
  *out = client;
  return PD_OK;
fail:
  pd_client_close(client);
  return err;
}

/* Free the slot, then tell: the callback may send the next command. */
static void finish(struct pd_client *client, uint32_t slot, enum pd_err err,
                   const struct pd_reply *reply) {
  struct pending ended = client->window[slot];
  free(ended.bytes);
  client->window[slot] = (struct pending){0};
  client->free[client->free_count++] = slot;
  client->turned++;
  ended.done(ended.context, err, reply);
}

static void free_handle(uv_handle_t *handle) { free(handle); }

void pd_client_close(struct pd_client *client) {
  if (client == NULL) return;
  for (uint32_t i = 0; client->window != NULL && i < client->options.window; i++) {
    if (client->window[i].request != 0) finish(client, i, PD_EDOWN, NULL);
  }
  if (client->watch != NULL) pd_bus_unwatch(client->watch);
  if (client->timer != NULL) uv_close((uv_handle_t *)client->timer, free_handle);
  if (client->socket != NULL) zmq_close(client->socket);
  pd_bus_message_close(&client->message);
  free(client->window);
  free(client->free);
  free(client);
}

void *pd_client_socket(const struct pd_client *client) { return client->socket; }

uint32_t pd_client_pending(const struct pd_client *client) {
  return client->options.window - client->free_count;
}

uint32_t pd_client_room(const struct pd_client *client) { return client->free_count; }

/* Send the slot's bytes; when the door is not there, try again soon. */
static void transmit(struct pd_client *client, struct pending *pending, uint64_t now) {
  struct pd_frame frame = {.data = pending->bytes, .size = pending->size};
  if (pd_bus_send(client->socket, &frame, 1) != PD_OK) {
    pending->due_ms = now + RETRY_MS;
    try_next(client, now, ABSENT_MS);
    return;
  }
  pending->due_ms = now + pending->wait_ms;
  pending->wait_ms = pending->wait_ms * 2 < RESEND_LAST_MS ? pending->wait_ms * 2 : RESEND_LAST_MS;
}

/* Put a packed command, whose bytes are handed over, into the next slot and send it. */
static enum pd_err take_slot(struct pd_client *client, uint8_t *bytes, size_t size,
                             uint64_t request, pd_client_done *done, void *context) {
  uint32_t slot = client->free[--client->free_count];
  uint64_t now = now_ms();
  client->window[slot] = (struct pending){.request = request,
                                          .bytes = bytes,
                                          .size = size,
                                          .wait_ms = RESEND_FIRST_MS,
                                          .until_ms = now + client->options.give_up_ms,
                                          .done = done,
                                          .context = context};
  transmit(client, &client->window[slot], now);
  return PD_OK;
}

static uint64_t next_request(struct pd_client *client) {
  return ++client->round * client->options.window + client->free[client->free_count - 1];
}

enum pd_err pd_client_send(struct pd_client *client, struct pd_command *command,
                           pd_client_done *done, void *context) {
  if (client->free_count == 0) return PD_EAGAIN;
  command->shard = client->options.shard;
  command->request = next_request(client);
  size_t size = paidan__v1__command__get_packed_size(command);
  if (size > COMMAND_MAX) return PD_EBOUNDS;
  uint8_t *bytes = malloc(size > 0 ? size : 1);
  if (bytes == NULL) return PD_EIO;
  paidan__v1__command__pack(command, bytes);
  return take_slot(client, bytes, size, command->request, done, context);
}

enum { SHARD_FIELD = 1, KEY_FIELD = 2, REQUEST_FIELD = 3 };

enum pd_err pd_client_send_packed(struct pd_client *client, const uint8_t *bytes, size_t size,
                                  const char *key, pd_client_done *done, void *context) {
  size_t length = key == NULL ? 0 : strlen(key);
  if (client->free_count == 0) return PD_EAGAIN;
  if (size > COMMAND_MAX || length > COMMAND_MAX) return PD_EBOUNDS;
  uint8_t *copy = malloc(size + length + 64);
  if (copy == NULL) return PD_EIO;
  uint64_t request = next_request(client);
  if (size > 0) memcpy(copy, bytes, size);
  uint8_t *at = pd_varint_write(copy + size, SHARD_FIELD << 3 | PD_WIRE_VARINT);
  at = pd_varint_write(at, client->options.shard);
  at = pd_varint_write(at, REQUEST_FIELD << 3 | PD_WIRE_VARINT);
  at = pd_varint_write(at, request);
  if (length > 0) {
    at = pd_varint_write(at, KEY_FIELD << 3 | PD_WIRE_BYTES);
    at = pd_varint_write(at, length);
    memcpy(at, key, length);
    at += length;
  }
  size = (size_t)(at - copy);
  if (size <= COMMAND_MAX) return take_slot(client, copy, size, request, done, context);
  free(copy);
  return PD_EBOUNDS;
}

static bool is_retry(const struct pd_reply *reply) {
  return reply->result_case == PD_REPLY_REFUSAL && reply->refusal->code == PD_CODE_RETRY;
}

/* One reply: a late answer to a command that is finished already is passed over. */
static void take_reply(struct pd_client *client, const uint8_t *bytes, size_t size) {
  struct pd_arena arena;
  pd_arena_init(&arena, client->arena, sizeof client->arena);
  client->reply = bytes;
  client->reply_size = size;
  const struct pd_reply *reply =
      (const struct pd_reply *)pd_unpack_checked(&arena, &pd_reply_descriptor, bytes, size);
  if (reply != NULL && reply->result_case != PD_REPLY_NOT_SET) {
    uint32_t slot = (uint32_t)(reply->request % client->options.window);
    struct pending *pending = &client->window[slot];
    if (reply->request != 0 && pending->request == reply->request) {
      if (is_retry(reply) || reply->result_case == PD_REPLY_MOVED)
        pending->due_ms = now_ms() + RETRY_MS;
      else
        finish(client, slot, PD_OK, reply);
    }
  }
  if (reply != NULL && reply->result_case == PD_REPLY_MOVED) move(client, reply->moved->endpoint);
  client->reply = NULL;
  memset(client->arena, 0, arena.used);
}

const uint8_t *pd_client_reply_bytes(const struct pd_client *client, size_t *size) {
  pd_assert(client->reply != NULL);
  *size = client->reply_size;
  return client->reply;
}

/* No answer came: of the first time, that is the door's silence. */
static void send_again(struct pd_client *client, struct pending *pending, uint64_t now) {
  if (pending->wait_ms > RESEND_FIRST_MS) try_next(client, now, RESEND_FIRST_MS);
  transmit(client, pending, now);
}

static void sweep(struct pd_client *client) {
  uint64_t now = now_ms();
  if (now < client->swept_ms + SWEEP_MS) return;
  client->swept_ms = now;
  for (uint32_t i = 0; i < client->options.window; i++) {
    struct pending *pending = &client->window[i];
    if (pending->request == 0) continue;
    if (now >= pending->until_ms)
      finish(client, i, PD_EDOWN, NULL);
    else if (now >= pending->due_ms)
      send_again(client, pending, now);
  }
}

void pd_client_resend(struct pd_client *client) {
  for (uint32_t i = 0; i < client->options.window; i++)
    if (client->window[i].request != 0) client->window[i].due_ms = 0;
  client->swept_ms = 0;
}

/* Take up to `most` replies; false when none is left. */
static bool take_replies(struct pd_client *client, uint32_t most) {
  for (uint32_t i = 0; i < most; i++) {
    enum pd_err err = pd_bus_receive(client->socket, &client->message);
    if (err == PD_EBOUNDS) continue;
    if (err != PD_OK) return false;
    zmq_msg_t *last = &client->message.frames[client->message.count - 1];
    take_reply(client, zmq_msg_data(last), zmq_msg_size(last));
  }
  return true;
}

uint32_t pd_client_turn(struct pd_client *client, int wait_ms) {
  client->turned = 0;
  sweep(client);
  take_replies(client, client->options.window);
  if (client->turned == 0 && wait_ms > 0) {
    zmq_pollitem_t item = {.socket = client->socket, .events = ZMQ_POLLIN};
    if (zmq_poll(&item, 1, wait_ms < SWEEP_MS ? wait_ms : SWEEP_MS) > 0) {
      take_replies(client, client->options.window);
    }
    sweep(client);
  }
  return client->turned;
}

void pd_client_drain(struct pd_client *client) {
  while (pd_client_pending(client) > 0) pd_client_turn(client, SWEEP_MS);
}

static void on_input(void *context, void *socket) {
  (void)socket;
  take_replies(context, 64);
}

static void on_timer(uv_timer_t *timer) { sweep(timer->data); }

enum pd_err pd_client_attach(struct pd_client *client, uv_loop_t *loop) {
  pd_assert(client->timer == NULL);
  uv_timer_t *timer = malloc(sizeof *timer);
  if (timer == NULL) return PD_EIO;
  uv_timer_init(loop, timer);
  timer->data = client;
  uv_timer_start(timer, on_timer, SWEEP_MS, SWEEP_MS);
  client->timer = timer;
  return pd_bus_watch(&client->watch, loop, client->socket, on_input, client);
}

/* pd_client_call(): the reply, copied out of the callback. */
struct call {
  bool done;
  enum pd_err err;
  struct pd_reply *reply;
};

static void on_called(void *context, enum pd_err err, const struct pd_reply *reply) {
  struct call *call = context;
  call->done = true;
  call->err = err;
  if (err != PD_OK) return;
  size_t size = paidan__v1__reply__get_packed_size(reply);
  uint8_t *bytes = malloc(size > 0 ? size : 1);
  if (bytes != NULL) {
    paidan__v1__reply__pack(reply, bytes);
    call->reply = paidan__v1__reply__unpack(NULL, size, bytes);
  }
  if (call->reply == NULL) call->err = PD_EIO;
  free(bytes);
}

enum pd_err pd_client_call(struct pd_client *client, struct pd_command *command,
                           struct pd_reply **reply) {
  struct call call = {0};
  enum pd_err err = pd_client_send(client, command, on_called, &call);
  while (err == PD_OK && !call.done) pd_client_turn(client, SWEEP_MS);
  if (err == PD_OK) err = call.err;
  *reply = call.reply;
  return err;
}

void pd_client_fresh_key(char key[PD_CLIENT_KEY]) {
  uint8_t bytes[16];
  randombytes_buf(bytes, sizeof bytes);
  sodium_bin2hex(key, PD_CLIENT_KEY, bytes, sizeof bytes);
}
