#include "common/base/err.h"
#include "common/client/parts.h"
#include "common/io/keyfile.h"

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECT_MS 5000
#define TURN_MS    20
#define KEY_BYTES  64

uint64_t client_now(void) { return uv_hrtime() / 1000000; }

int client_fail(struct paidan *paidan, int code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(paidan->why, sizeof paidan->why, format, arguments);
  va_end(arguments);
  return code;
}

const char *paidan_why(const struct paidan *paidan) {
  return paidan == NULL ? "no memory" : paidan->why;
}

const char *paidan_name(const struct paidan *paidan) { return paidan->name; }

uint32_t paidan_shard(const struct paidan *paidan) { return paidan->shard; }

const char *paidan_version(void) { return PAIDAN_VERSION; }

/* ---- options ---- */

/* An option's text; false: too long. */
static bool copy(char *to, size_t size, const char *text) {
  int length = snprintf(to, size, "%s", text == NULL ? "" : text);
  return length >= 0 && (size_t)length < size;
}

bool client_port(const struct paidan *paidan, unsigned offset, char *text, size_t size) {
  const char *colon = strrchr(paidan->endpoint, ':');
  char *end = NULL;
  bool tcp = strncmp(paidan->endpoint, "tcp://", 6) == 0 && colon > paidan->endpoint + 6;
  unsigned long port = tcp ? strtoul(colon + 1, &end, 10) : 0;
  if (port == 0 || port > 65533 || *end != '\0') return false;
  int length = (int)(colon - paidan->endpoint);
  return snprintf(text, size, "%.*s:%lu", length, paidan->endpoint, port + offset) < (int)size;
}

static bool is_key(const char *text) {
  uint8_t bytes[PD_BUS_KEY];
  return text != NULL && strlen(text) == PD_BUS_KEY_TEXT - 1 &&
         zmq_z85_decode(bytes, text) != NULL;
}

static int read_key_file(struct paidan *paidan, const char *path) {
  struct pd_keyfile file;
  enum pd_err err = pd_keyfile_read(path, &file);
  if (err == PD_OK && !is_key(file.secret_key)) err = PD_EFORMAT;
  memcpy(paidan->keys.public_key, file.public_key, PD_BUS_KEY_TEXT);
  memcpy(paidan->keys.secret_key, file.secret_key, PD_BUS_KEY_TEXT);
  sodium_memzero(&file, sizeof file);
  if (err == PD_OK) return PAIDAN_OK;
  const char *what = "it holds no secret key; name the file NAME.key_secret of `paidan key new`";
  if (err == PD_EINVAL) what = "others may read it: chmod 600";
  if (err == PD_ENOENT) what = strerror(errno);
  return client_fail(paidan, PAIDAN_EKEY, "the key file %s cannot be used: %s", path, what);
}

static int take_keys(struct paidan *paidan, const struct paidan_options *options) {
  if (!is_key(options->server_key))
    return client_fail(paidan, PAIDAN_EINVAL,
                       "server_key must be the 40 digits of the edge's public key; "
                       "`paidan key list` says it");
  (void)copy(paidan->keys.server, sizeof paidan->keys.server, options->server_key);
  if (options->key_file != NULL) return read_key_file(paidan, options->key_file);
  if (!is_key(options->public_key) || !is_key(options->secret_key))
    return client_fail(paidan, PAIDAN_EINVAL,
                       "name a key_file, or public_key and secret_key of 40 digits each");
  (void)copy(paidan->keys.public_key, sizeof paidan->keys.public_key, options->public_key);
  (void)copy(paidan->keys.secret_key, sizeof paidan->keys.secret_key, options->secret_key);
  return PAIDAN_OK;
}

static int take_options(struct paidan *paidan, const struct paidan_options *options) {
  char probe[320];
  if (options->size < sizeof *options)
    return client_fail(paidan, PAIDAN_EINVAL, "begin the options with PAIDAN_OPTIONS_INIT");
  paidan->edge = options->edge != NULL;
  paidan->shard = options->shard;
  paidan->connect_ms = options->connect_ms == 0 ? CONNECT_MS : options->connect_ms;
  paidan->answer_ms = options->answer_ms;
  paidan->window = options->window;
  if (options->window > 65536)
    return client_fail(paidan, PAIDAN_EINVAL, "window must be at most 65536");
  if (paidan->edge) {
    bool fits = copy(paidan->endpoint, sizeof paidan->endpoint, options->edge);
    if (!fits || !client_port(paidan, 2, probe, sizeof probe))
      return client_fail(paidan, PAIDAN_EINVAL, "edge must be tcp://host:port, the first of three");
    return take_keys(paidan, options);
  }
  if (options->run_dir == NULL || options->door == NULL || options->shard == 0)
    return client_fail(paidan, PAIDAN_EINVAL,
                       "name an edge; or for the doors of this machine run_dir, door and shard");
  if (!copy(paidan->run_dir, sizeof paidan->run_dir, options->run_dir) ||
      !copy(paidan->door, sizeof paidan->door, options->door))
    return client_fail(paidan, PAIDAN_EINVAL, "run_dir or door is too long");
  return PAIDAN_OK;
}

/* ---- open and close ---- */

/* Does somebody listen at a local socket?  libzmq tries for ever, and says nothing. */
static int try_local(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (!copy(address.sun_path, sizeof address.sun_path, path)) return ENAMETOOLONG;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  int error = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
  (void)close(fd);
  return error;
}

static int wait_local(struct paidan *paidan, const char *path) {
  uint64_t until = client_now() + paidan->connect_ms;
  for (;;) {
    int error = try_local(path);
    if (error == 0) return PAIDAN_OK;
    if (error == EACCES || error == EPERM)
      return client_fail(paidan, PAIDAN_EDENIED, "%s does not let this user in", path);
    if (client_now() >= until)
      return client_fail(paidan, PAIDAN_ENOBODY,
                         "nobody listens at %s (%s): is the district up? `paidan status`", path,
                         strerror(error));
    (void)usleep(TURN_MS * 1000);
  }
}

static int open_commands(struct paidan *paidan) {
  char endpoint[320];
  int code = PAIDAN_OK;
  if (paidan->edge) {
    (void)client_port(paidan, 1, endpoint, sizeof endpoint);
  } else {
    (void)snprintf(endpoint, sizeof endpoint, "ipc://%s/door.%s", paidan->run_dir, paidan->door);
    code = wait_local(paidan, endpoint + strlen("ipc://"));
  }
  if (code != PAIDAN_OK) return code;
  struct pd_client_options options = {.endpoint = endpoint,
                                      .shard = paidan->shard,
                                      .window = paidan->window,
                                      .give_up_ms = paidan->answer_ms,
                                      .curve = paidan->edge ? &paidan->keys : NULL};
  if (pd_client_open(&paidan->client, paidan->zmq, &options) == PD_OK) return PAIDAN_OK;
  return client_fail(paidan, PAIDAN_EIO, "the socket for commands cannot be made");
}

int paidan_open(struct paidan **out, const struct paidan_options *options) {
  struct paidan *paidan = calloc(1, sizeof *paidan);
  *out = paidan;
  if (paidan == NULL || sodium_init() < 0) return PAIDAN_EIO;
  pd_bus_message_init(&paidan->line.message);
  paidan->zmq = zmq_ctx_new();
  int code = take_options(paidan, options);
  if (code == PAIDAN_OK && paidan->zmq == NULL)
    code = client_fail(paidan, PAIDAN_EIO, "ZeroMQ cannot be started");
  if (code == PAIDAN_OK && paidan->edge) code = line_open(paidan);
  return code == PAIDAN_OK ? open_commands(paidan) : code;
}

void paidan_close(struct paidan *paidan) {
  if (paidan == NULL) return;
  while (paidan->events != NULL) paidan_unlisten(paidan->events);
  pd_client_close(paidan->client);
  line_close(paidan);
  if (paidan->zmq != NULL) zmq_ctx_term(paidan->zmq);
  sodium_memzero(paidan, sizeof *paidan);
  free(paidan);
}

void client_pump(struct paidan *paidan) {
  if (paidan->edge) line_pump(paidan);
  if (paidan->client != NULL) (void)pd_client_turn(paidan->client, 0);
}

/* ---- commands ---- */

/* A command in flight: to whom its reply goes. */
struct said {
  struct paidan *paidan;
  paidan_done *done;
  void *context;
  char key[KEY_BYTES + 1];
};

void paidan_make_key(char key[PAIDAN_KEY]) {
  _Static_assert(PAIDAN_KEY == PD_CLIENT_KEY, "one form of key");
  pd_client_fresh_key(key);
}

static void fill_ack(struct paidan_reply *reply, const struct pd_ack *ack) {
  reply->code = PAIDAN_OK;
  reply->duplicate = ack->duplicate;
  reply->id = ack->id;
  if (ack->person.len == 16) reply->person = ack->person.data;
  if (ack->position == NULL) return;
  reply->log = (uint32_t)ack->position->log;
  reply->seq = ack->position->seq;
}

static void fill_refusal(struct paidan_reply *reply, const struct pd_refusal *refusal) {
  reply->code = PAIDAN_REFUSED;
  reply->refusal = (uint32_t)refusal->code;
  reply->field = refusal->field;
  reply->rule = refusal->rule;
  reply->next = refusal->next;
  reply->zh = refusal->zh;
}

/* What is told, in memory of ours: the reply at hand ends with the callback. */
static void fill_answer(struct answer *answer, const char *key, const uint8_t *bytes, size_t size) {
  struct paidan_reply *reply = &answer->reply;
  struct pd_arena arena;
  *reply = (struct paidan_reply){.code = PAIDAN_ETIMEOUT, .key = answer->key};
  reply->field = reply->rule = reply->next = reply->zh = "";
  (void)copy(answer->key, sizeof answer->key, key);
  if (bytes == NULL || size > sizeof answer->bytes) return;
  memcpy(answer->bytes, bytes, size);
  memset(answer->memory, 0, sizeof answer->memory);
  pd_arena_init(&arena, answer->memory, sizeof answer->memory);
  const struct pd_reply *said = (const struct pd_reply *)pd_unpack_checked(
      &arena, &pd_reply_descriptor, answer->bytes, size);
  if (said == NULL) return;
  reply->bytes = answer->bytes;
  reply->size = size;
  if (said->result_case == PD_REPLY_ACK) fill_ack(reply, said->ack);
  if (said->result_case == PD_REPLY_REFUSAL) fill_refusal(reply, said->refusal);
}

static void on_reply(void *context, enum pd_err err, const struct pd_reply *reply) {
  struct said *said = context;
  struct paidan *paidan = said->paidan;
  size_t size = 0;
  (void)reply;
  const uint8_t *bytes = err == PD_OK ? pd_client_reply_bytes(paidan->client, &size) : NULL;
  if (said->done != NULL) {
    fill_answer(&paidan->told, said->key, bytes, size);
    said->done(said->context, &paidan->told.reply);
  }
  free(said);
}

static int send_failed(struct paidan *paidan, enum pd_err err) {
  if (err == PD_EAGAIN)
    return client_fail(paidan, PAIDAN_EFULL, "the window is full: turn, then send again");
  if (err == PD_EBOUNDS)
    return client_fail(paidan, PAIDAN_EINVAL, "a command has at most 65536 bytes");
  return client_fail(paidan, PAIDAN_EIO, "no memory for a command");
}

static int start(struct paidan *paidan, const uint8_t *bytes, size_t size, const char *key,
                 struct said **out) {
  if (paidan->client == NULL)
    return client_fail(paidan, PAIDAN_EINVAL, "paidan_open() has not succeeded");
  if (key != NULL && (key[0] == '\0' || strlen(key) > KEY_BYTES))
    return client_fail(paidan, PAIDAN_EINVAL, "an idempotency key has 1 to 64 bytes");
  struct said *said = calloc(1, sizeof *said);
  if (said == NULL) return client_fail(paidan, PAIDAN_EIO, "no memory for a command");
  said->paidan = paidan;
  if (key == NULL) paidan_make_key(said->key);
  if (key != NULL) (void)copy(said->key, sizeof said->key, key);
  enum pd_err err = pd_client_send_packed(paidan->client, bytes, size, said->key, on_reply, said);
  *out = said;
  if (err == PD_OK) return PAIDAN_OK;
  free(said);
  return send_failed(paidan, err);
}

int paidan_send(struct paidan *paidan, const uint8_t *bytes, size_t size, const char *key,
                paidan_done *done, void *context) {
  struct said *said;
  int code = start(paidan, bytes, size, key, &said);
  if (code != PAIDAN_OK) return code;
  said->done = done;
  said->context = context;
  return PAIDAN_OK;
}

uint32_t paidan_turn(struct paidan *paidan, int wait_ms) {
  if (paidan->client == NULL) return 0;
  client_pump(paidan);
  if (wait_ms > 0) (void)pd_client_turn(paidan->client, wait_ms);
  return pd_client_pending(paidan->client);
}

/* A blocking command: where its reply is put. */
struct wait {
  struct answer *answer;
  bool done;
};

static void on_waited(void *context, const struct paidan_reply *reply) {
  struct wait *wait = context;
  wait->done = true;
  fill_answer(wait->answer, reply->key, reply->bytes, reply->size);
}

int paidan_command(struct paidan *paidan, const uint8_t *bytes, size_t size, const char *key,
                   const struct paidan_reply **reply) {
  struct wait wait = {.answer = &paidan->waited};
  struct said *said;
  fill_answer(wait.answer, key == NULL ? "" : key, NULL, 0);
  *reply = &wait.answer->reply;
  int code = start(paidan, bytes, size, key, &said);
  if (code != PAIDAN_OK) return wait.answer->reply.code = code;
  said->done = on_waited;
  said->context = &wait;
  (void)copy(wait.answer->key, sizeof wait.answer->key, said->key);
  while (!wait.done) {
    (void)pd_client_turn(paidan->client, TURN_MS);
    if (paidan->edge) line_pump(paidan);
    if (wait.done || line_standing(paidan) == PAIDAN_OK) continue;
    said->done = NULL; /* what comes of it is not waited for */
    return wait.answer->reply.code = PAIDAN_EDENIED;
  }
  if (wait.answer->reply.code == PAIDAN_ETIMEOUT)
    return client_fail(paidan, PAIDAN_ETIMEOUT,
                       "no answer: it may be recorded or not; say it again with the same key");
  if (wait.answer->reply.code == PAIDAN_REFUSED)
    (void)client_fail(paidan, PAIDAN_REFUSED, "refused: %s: %s; %s", wait.answer->reply.field,
                      wait.answer->reply.rule, wait.answer->reply.next);
  return wait.answer->reply.code;
}
