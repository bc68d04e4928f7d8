/* The edge's third port: who am I, and events of the past.  Its handshake stands for those of all
 * three, since the key is the same. */
#include "common/base/err.h"
#include "common/client/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_MAX   ((int64_t)4 << 20)
#define BATCH_LIMIT 1000
#define HELLO_AGAIN_MS 500
#define ASK_MS      50
#define MONITOR     "inproc://paidan-client-line"

/* ---- what the handshake said ---- */

/* Whoever does not speak CURVE hangs up, too, and sometimes before that is seen. */
static void fail_line(struct line *line, enum line_state failure) {
  line->state = failure;
  if (failure != LINE_HUNG_UP || line->failure != LINE_NO_EDGE) line->failure = failure;
}

static void take_news(struct line *line, unsigned event) {
  switch (event) {
  case ZMQ_EVENT_CONNECTED: line->state = LINE_REACHED; break;
  case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
    line->state = line->failure = LINE_UP;
    line->ups++;
    break;
  case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH: fail_line(line, LINE_DENIED); break;
  case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL: fail_line(line, LINE_NO_EDGE); break;
  case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL: fail_line(line, LINE_HUNG_UP); break;
  case ZMQ_EVENT_DISCONNECTED:
    if (line->state == LINE_REACHED) fail_line(line, LINE_HUNG_UP);
    if (line->state == LINE_UP) line->state = LINE_TRYING;
    break;
  case ZMQ_EVENT_CLOSED:
    if (line->state == LINE_TRYING) fail_line(line, LINE_NOBODY);
    break;
  default: break; /* nothing that tells more */
  }
}

static void pump_monitor(struct line *line) {
  while (line->state != LINE_DENIED && pd_bus_receive(line->monitor, &line->message) == PD_OK) {
    uint16_t event;
    if (zmq_msg_size(&line->message.frames[0]) < sizeof event) continue;
    memcpy(&event, zmq_msg_data(&line->message.frames[0]), sizeof event);
    take_news(line, event);
  }
}

static int say_state(struct paidan *paidan) {
  const char *at = paidan->endpoint;
  bool ended = paidan->line.failure != LINE_TRYING;
  switch (ended ? paidan->line.failure : paidan->line.state) {
  case LINE_DENIED:
    return client_fail(paidan, PAIDAN_EDENIED,
                       "the edge at %s refused the key %s: it is not granted; "
                       "`paidan key grant NAME` there, then open again",
                       at, paidan->keys.public_key);
  case LINE_HUNG_UP:
    return client_fail(paidan, PAIDAN_EHANDSHAKE,
                       "what listens at %s, two ports on, hung up during the handshake: most "
                       "likely server_key is not the edge's key, or it is no edge (a key that "
                       "offended is hung up on, too, for a minute)",
                       at);
  case LINE_NO_EDGE:
    return client_fail(paidan, PAIDAN_EPROTOCOL,
                       "what listens at %s, two ports on, is no edge: it does not speak ZeroMQ "
                       "with CURVE; is the port the first of the edge's three?",
                       at);
  case LINE_REACHED:
  case LINE_UP:
    return client_fail(paidan, PAIDAN_ETIMEOUT,
                       "something listens at %s, but did not answer within %u ms", at,
                       paidan->connect_ms);
  case LINE_TRYING:
  case LINE_NOBODY: break;
  }
  return client_fail(paidan, PAIDAN_ENOBODY,
                     "nobody listens at %s, two ports on: is the edge up, is the port the first of "
                     "its three?",
                     at);
}

int line_standing(struct paidan *paidan) {
  if (!paidan->edge || paidan->line.state != LINE_DENIED) return PAIDAN_OK;
  return say_state(paidan);
}

/* ---- who am I ---- */

static bool copy_words(struct paidan *paidan, const struct pd_edge_welcome *welcome) {
  (void)snprintf(paidan->name, sizeof paidan->name, "%s", welcome->name);
  (void)snprintf(paidan->view, sizeof paidan->view, "%s", welcome->view);
  paidan->hears = 0;
  for (size_t i = 0; i < welcome->n_hear && i < HEAR_MAX; i++)
    (void)snprintf(paidan->hear[paidan->hears++], HEAR_BYTES, "%s", welcome->hear[i]);
  return strlen(welcome->name) < sizeof paidan->name && welcome->n_hear <= HEAR_MAX;
}

static void take_welcome(struct paidan *paidan, const uint8_t *bytes, size_t size) {
  static const size_t room = (size_t)256 << 10;
  uint8_t *memory = calloc(1, room);
  struct pd_arena arena;
  if (memory == NULL) return;
  pd_arena_init(&arena, memory, room);
  const struct pd_edge_reply *reply = (const struct pd_edge_reply *)pd_unpack_checked(
      &arena, &pd_edge_reply_descriptor, bytes, size);
  if (reply != NULL && reply->result_case == PD_EDGE_REPLY_WELCOME &&
      copy_words(paidan, reply->welcome) && paidan->shard == 0)
    paidan->shard = reply->welcome->shard;
  if (reply != NULL && reply->result_case == PD_EDGE_REPLY_WELCOME &&
      paidan->shard != reply->welcome->shard) {
    (void)client_fail(paidan, PAIDAN_EINVAL, "the edge at %s serves district %06u, not %06u",
                      paidan->endpoint, reply->welcome->shard, paidan->shard);
    paidan->name[0] = '\0';
  }
  free(memory);
}

static bool send_request(struct paidan *paidan, const struct pd_edge_request *request) {
  size_t size = protobuf_c_message_get_packed_size(&request->base);
  uint8_t *bytes = malloc(size > 0 ? size : 1);
  if (bytes == NULL) return false;
  struct pd_frame frame = {bytes, protobuf_c_message_pack(&request->base, bytes)};
  bool sent = pd_bus_send(paidan->line.socket, &frame, 1) == PD_OK;
  free(bytes);
  return sent;
}

static bool say_hello(struct paidan *paidan) {
  struct pd_edge_hello hello = PD_EDGE_HELLO_INIT;
  struct pd_edge_request request = PD_EDGE_REQUEST_INIT;
  request.request = ++paidan->line.requests;
  request.body_case = PD_EDGE_REQUEST_HELLO;
  request.hello = &hello;
  return send_request(paidan, &request);
}

/* ---- replays ---- */

uint64_t line_ask(struct paidan *paidan, enum pd_log log, uint64_t from,
                  const struct paidan_events *events) {
  char *kinds[TOPICS_MAX];
  struct pd_replay_request body = PD_REPLAY_REQUEST_INIT;
  struct pd_edge_request request = PD_EDGE_REQUEST_INIT;
  body.shard = paidan->shard;
  body.log = log;
  body.from_seq = from;
  body.limit = BATCH_LIMIT;
  body.kinds = kinds;
  body.n_kinds = events->topic_count;
  for (uint32_t i = 0; i < events->topic_count; i++) kinds[i] = (char *)events->topics[i];
  request.request = ++paidan->line.requests;
  request.body_case = PD_EDGE_REQUEST_REPLAY;
  request.replay = &body;
  return send_request(paidan, &request) ? request.request : 0;
}

enum { REPLY_REQUEST = 1, REPLY_WELCOME = 2, REPLY_BATCH = 3, REPLY_REFUSAL = 4 };

static void take_batch(struct paidan *paidan, uint64_t request, const struct pd_field *batch) {
  for (struct paidan_events *one = paidan->events; one != NULL; one = one->next) {
    struct track *track = events_asked(one, request);
    if (track == NULL) continue;
    track->request = 0;
    if (batch->number == REPLY_BATCH)
      events_batch(one, track, batch->data, batch->size);
    else
      track->due_ms = client_now() + ASK_MS; /* refused: not now */
  }
}

static void take_reply(struct paidan *paidan, const uint8_t *bytes, size_t size) {
  struct pd_field field, body = {0};
  uint64_t request = 0;
  const uint8_t *at = bytes;
  while (pd_field_next(&at, bytes + size, &field)) {
    if (field.number == REPLY_REQUEST && field.type == PD_WIRE_VARINT) request = field.value;
    if (field.number > REPLY_REQUEST && field.type == PD_WIRE_BYTES) body = field;
  }
  if (at != bytes + size) return;
  if (body.number == REPLY_WELCOME)
    take_welcome(paidan, bytes, size);
  else if (body.number != 0)
    take_batch(paidan, request, &body);
}

void line_pump(struct paidan *paidan) {
  struct line *line = &paidan->line;
  if (line->socket == NULL) return;
  uint32_t ups = line->ups;
  pump_monitor(line);
  /* The edge was away: what it had not answered yet, it never will. */
  if (line->ups != ups && paidan->client != NULL) pd_client_resend(paidan->client);
  while (pd_bus_receive(line->socket, &line->message) == PD_OK) {
    zmq_msg_t *last = &line->message.frames[line->message.count - 1];
    take_reply(paidan, zmq_msg_data(last), zmq_msg_size(last));
  }
}

/* ---- life ---- */

static enum pd_err make_sockets(struct paidan *paidan) {
  struct line *line = &paidan->line;
  struct pd_bus_options options = {.max_message = BATCH_MAX};
  char endpoint[320];
  int immediate = 1;
  enum pd_err err = pd_bus_socket(&line->socket, paidan->zmq, ZMQ_DEALER, &options);
  if (err != PD_OK) return err;
  if (zmq_setsockopt(line->socket, ZMQ_IMMEDIATE, &immediate, sizeof immediate) != 0 ||
      zmq_socket_monitor(line->socket, MONITOR, ZMQ_EVENT_ALL) != 0)
    return PD_EIO;
  err = pd_bus_socket(&line->monitor, paidan->zmq, ZMQ_PAIR, NULL);
  if (err == PD_OK) err = pd_bus_connect(line->monitor, MONITOR);
  if (err == PD_OK) err = pd_bus_curve_client(line->socket, &paidan->keys);
  if (err != PD_OK || !client_port(paidan, 2, endpoint, sizeof endpoint)) return PD_EIO;
  return pd_bus_connect(line->socket, endpoint);
}

static void wait_line(struct line *line, int wait_ms) {
  zmq_pollitem_t items[2] = {{.socket = line->socket, .events = ZMQ_POLLIN},
                             {.socket = line->monitor, .events = ZMQ_POLLIN}};
  (void)zmq_poll(items, 2, wait_ms);
}

int line_open(struct paidan *paidan) {
  struct line *line = &paidan->line;
  uint64_t until = client_now() + paidan->connect_ms, again = 0;
  enum pd_err err = make_sockets(paidan);
  if (err == PD_EINVAL)
    return client_fail(paidan, PAIDAN_EINVAL, "%s cannot be connected to", paidan->endpoint);
  if (err != PD_OK) return client_fail(paidan, PAIDAN_EIO, "ZeroMQ has no socket for us");
  for (;;) {
    line_pump(paidan);
    uint64_t now = client_now();
    if (paidan->name[0] != '\0') return PAIDAN_OK;
    if (paidan->why[0] != '\0') return PAIDAN_EINVAL; /* another district's edge */
    if (line->state == LINE_DENIED || now >= until) return say_state(paidan);
    if (now >= again) again = now + (say_hello(paidan) ? HELLO_AGAIN_MS : ASK_MS / 5);
    uint64_t wake = again < until ? again : until;
    wait_line(line, wake > now ? (int)(wake - now) : 1);
  }
}

void line_close(struct paidan *paidan) {
  struct line *line = &paidan->line;
  if (line->socket != NULL) (void)zmq_socket_monitor(line->socket, NULL, 0);
  if (line->monitor != NULL) (void)zmq_close(line->monitor);
  if (line->socket != NULL) (void)zmq_close(line->socket);
  pd_bus_message_close(&line->message);
}
