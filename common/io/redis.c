#include "common/io/redis.h"

#include <hiredis/async.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum { DELAY_FIRST_MS = 50, DELAY_LAST_MS = 2000, HANDSHAKE_MS = 5000, WHY_SIZE = 192 };
enum { PULSE_MS = 1000, SILENT_PULSES = 5 };

/* Where the server is: a path, or host and port. */
struct address {
  bool is_unix;
  int port;
  char host[256];
};

/* One connection; it outlives hiredis' context until libuv has let go of the poll handle. */
struct link {
  redisAsyncContext *ac;
  struct pd_redis *owner;
  uv_poll_t poll;
  int events;
};

struct pd_redis {
  uv_loop_t *loop;
  struct address address;
  char user[128];
  char password_file[256];
  pd_redis_state_fn *state;
  void *context;
  uv_timer_t timer; /* until the next attempt, until the handshake must be done, or the pulse */
  struct link *link;
  uint64_t delay_ms;
  uint32_t silent; /* pulses in a row without a byte from the server */
  bool heard;      /* something came since the last pulse */
  bool up;
  bool closing;
  char why[WHY_SIZE];  /* of the failure at hand */
  char told[WHY_SIZE]; /* to the state callback */
  pd_redis_released_fn *released;
  void *released_context;
};

struct command {
  pd_redis_reply_fn *done;
  void *context;
};

static void start(struct pd_redis *self);
static void on_timer(uv_timer_t *timer);

/* ---- addresses and passwords ---- */

static bool copy_text(char *to, size_t size, const char *from) {
  int n = snprintf(to, size, "%s", from ? from : "");
  return n >= 0 && (size_t)n < size;
}

static bool parse_port(const char *text, int *port) {
  char *end = NULL;
  long value = strtol(text, &end, 10);
  *port = (int)value;
  return end != text && *end == '\0' && value > 0 && value < 65536;
}

static bool parse_address(const char *url, struct address *address) {
  *address = (struct address){0};
  if (url == NULL) return false;
  if (strncmp(url, "unix:", 5) == 0) {
    address->is_unix = true;
    return url[5] == '/' && copy_text(address->host, 108, url + 5);
  }
  const char *colon = strrchr(url, ':');
  if (colon == NULL || colon == url || !parse_port(colon + 1, &address->port)) return false;
  size_t length = (size_t)(colon - url);
  bool bracketed = url[0] == '[' && length > 2 && url[length - 1] == ']';
  if (bracketed) url++, length -= 2;
  if (length >= sizeof address->host) return false;
  memcpy(address->host, url, length);
  return bracketed || strchr(address->host, ':') == NULL;
}

/* The first line of the file; false if it cannot be read. */
static bool read_password(const char *path, char *password, size_t size) {
  FILE *file = fopen(path, "re");
  if (file == NULL) return false;
  bool ok = fgets(password, (int)size, file) != NULL;
  fclose(file);
  if (ok) password[strcspn(password, "\r\n")] = '\0';
  return ok;
}

/* The arguments of AUTH; 0 if none is needed, -1 if the password cannot be read. */
static int auth_arguments(const char *user, const char *password_file, char *password, size_t size,
                          const char *texts[3]) {
  if (user[0] == '\0' && password_file[0] == '\0') return 0;
  password[0] = '\0';
  if (password_file[0] != '\0' && !read_password(password_file, password, size)) return -1;
  int count = 0;
  texts[count++] = "AUTH";
  if (user[0] != '\0') texts[count++] = user;
  texts[count++] = password;
  return count;
}

/* ---- hiredis on libuv ---- */

static void set_why(struct pd_redis *self, const char *why) {
  (void)copy_text(self->why, sizeof self->why, why);
}

static void drop(struct link *link) {
  if (link->ac != NULL) redisAsyncFree(link->ac);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
  struct link *link = poll->data;
  if (events & UV_READABLE) link->owner->heard = true;
  /* On POLLERR libuv stops the handle and says EBADF: reading lets hiredis see the error. */
  if (link->ac != NULL && (status < 0 || (events & UV_READABLE))) redisAsyncHandleRead(link->ac);
  if (link->ac != NULL && status == 0 && (events & UV_WRITABLE)) redisAsyncHandleWrite(link->ac);
  if (status < 0) drop(link); /* no event will come any more, whatever hiredis saw */
}

static void poll_for(struct link *link, int events) {
  if (events == link->events || uv_is_closing((uv_handle_t *)&link->poll)) return;
  link->events = events;
  if (events != 0) {
    (void)uv_poll_start(&link->poll, events, on_poll);
  } else {
    (void)uv_poll_stop(&link->poll);
  }
}

static void add_read(void *data) {
  struct link *link = data;
  poll_for(link, link->events | UV_READABLE);
}

static void del_read(void *data) {
  struct link *link = data;
  poll_for(link, link->events & ~UV_READABLE);
}

static void add_write(void *data) {
  struct link *link = data;
  poll_for(link, link->events | UV_WRITABLE);
}

static void del_write(void *data) {
  struct link *link = data;
  poll_for(link, link->events & ~UV_WRITABLE);
}

static void free_link(uv_handle_t *handle) {
  free(handle->data);
}

static void tell_down(struct pd_redis *self, bool was_up) {
  bool news = was_up || strcmp(self->told, self->why) != 0;
  if (!news || self->state == NULL) return;
  (void)copy_text(self->told, sizeof self->told, self->why);
  self->state(self->context, false, self->told);
}

static void retry_later(struct pd_redis *self) {
  bool was_up = self->up;
  self->up = false;
  if (self->closing) return;
  (void)uv_timer_start(&self->timer, on_timer, self->delay_ms, 0);
  self->delay_ms = self->delay_ms * 2 > DELAY_LAST_MS ? DELAY_LAST_MS : self->delay_ms * 2;
  tell_down(self, was_up);
}

/* hiredis lets go of the context: every pending callback was called before. */
static void cleanup(void *data) {
  struct link *link = data;
  struct pd_redis *self = link->owner;
  if (self->why[0] == '\0')
    set_why(self, link->ac->c.errstr[0] ? link->ac->c.errstr : "connection closed");
  link->ac = NULL;
  self->link = NULL;
  uv_close((uv_handle_t *)&link->poll, free_link);
  retry_later(self);
}

/* ---- the pulse ---- */

/* A server that is stopped keeps its connections and says nothing: let go of it, so that whoever
 * waits hears that the outcome is unknown.  Counted in pulses: a process that was itself stopped
 * has had one. */
static void on_pulse(uv_timer_t *timer) {
  struct pd_redis *self = timer->data;
  self->silent = self->heard ? 0 : self->silent + 1;
  self->heard = false;
  if (self->silent >= SILENT_PULSES) {
    set_why(self, "it has said nothing for 5 s");
    drop(self->link);
    return;
  }
  /* If it cannot be sent, the connection is breaking, and its end is told in its own way. */
  (void)redisAsyncCommand(self->link->ac, NULL, NULL, "PING");
}

/* ---- connecting ---- */

static void on_auth(redisAsyncContext *ac, void *reply, void *data) {
  (void)ac;
  struct pd_redis *self = data;
  const redisReply *answer = reply;
  if (answer != NULL && answer->type == REDIS_REPLY_ERROR) set_why(self, answer->str);
}

static void on_ping(redisAsyncContext *ac, void *reply, void *data) {
  (void)ac;
  struct pd_redis *self = data;
  const redisReply *answer = reply;
  if (answer == NULL) return;
  if (answer->type == REDIS_REPLY_ERROR || self->why[0] != '\0') {
    if (self->why[0] == '\0') set_why(self, answer->str);
    drop(self->link);
    return;
  }
  self->up = true;
  self->delay_ms = DELAY_FIRST_MS;
  self->told[0] = '\0';
  self->silent = 0;
  (void)uv_timer_start(&self->timer, on_pulse, PULSE_MS, PULSE_MS);
  if (self->state != NULL) self->state(self->context, true, "");
}

static enum pd_err shake_hands(struct pd_redis *self, redisAsyncContext *ac) {
  char password[512];
  const char *texts[3];
  int count = auth_arguments(self->user, self->password_file, password, sizeof password, texts);
  if (count < 0) return PD_ENOENT;
  int rc = REDIS_OK;
  if (count > 0) rc = redisAsyncCommandArgv(ac, on_auth, self, count, texts, NULL);
  explicit_bzero(password, sizeof password);
  if (rc == REDIS_OK) rc = redisAsyncCommand(ac, on_ping, self, "PING");
  return rc == REDIS_OK ? PD_OK : PD_EIO;
}

static void on_connect(const redisAsyncContext *ac, int status) {
  struct link *link = ac->ev.data;
  if (status != REDIS_OK)
    set_why(link->owner, ac->c.errstr[0] ? ac->c.errstr : "connection refused");
}

static bool attach(struct pd_redis *self, redisAsyncContext *ac) {
  struct link *link = calloc(1, sizeof *link);
  if (link == NULL) return false;
  if (uv_poll_init(self->loop, &link->poll, ac->c.fd) != 0) {
    free(link);
    return false;
  }
  link->ac = ac;
  link->owner = self;
  link->poll.data = link;
  ac->ev.data = link;
  ac->ev.addRead = add_read;
  ac->ev.delRead = del_read;
  ac->ev.addWrite = add_write;
  ac->ev.delWrite = del_write;
  ac->ev.cleanup = cleanup;
  self->link = link;
  return redisAsyncSetConnectCallback(ac, on_connect) == REDIS_OK;
}

static redisAsyncContext *dial(const struct address *address) {
  if (address->is_unix) return redisAsyncConnectUnix(address->host);
  return redisAsyncConnect(address->host, address->port);
}

/* A peer that lost its power says nothing: give up on it after 10 s without an acknowledgement. */
static void bound_silence(redisAsyncContext *ac) {
  unsigned patience_ms = 10000;
  (void)setsockopt(ac->c.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof patience_ms);
  (void)redisEnableKeepAlive(&ac->c);
}

static void start(struct pd_redis *self) {
  self->why[0] = '\0';
  redisAsyncContext *ac = dial(&self->address);
  if (ac == NULL || ac->err != 0 || !attach(self, ac)) {
    set_why(self, ac != NULL && ac->err != 0 ? ac->c.errstr : "no memory or descriptor to connect");
    bool attached = self->link != NULL;
    if (ac != NULL) redisAsyncFree(ac);
    if (!attached) retry_later(self);
    return;
  }
  if (!self->address.is_unix) bound_silence(ac);
  enum pd_err err = shake_hands(self, ac);
  if (err != PD_OK) {
    set_why(self, err == PD_ENOENT ? "the password file cannot be read"
                                   : "cannot write to the connection");
    drop(self->link);
    return;
  }
  (void)uv_timer_start(&self->timer, on_timer, HANDSHAKE_MS, 0);
}

static void on_timer(uv_timer_t *timer) {
  struct pd_redis *self = timer->data;
  if (self->link == NULL) {
    start(self);
  } else if (!self->up) {
    set_why(self, "no answer within 5 s of connecting");
    drop(self->link);
  }
}

/* ---- the outside ---- */

enum pd_err pd_redis_open(struct pd_redis **redis, uv_loop_t *loop,
                          const struct pd_redis_options *options, pd_redis_state_fn *state,
                          void *context) {
  *redis = NULL;
  struct pd_redis *self = calloc(1, sizeof *self);
  if (self == NULL) return PD_EIO;
  if (!parse_address(options->url, &self->address) ||
      !copy_text(self->user, sizeof self->user, options->user) ||
      !copy_text(self->password_file, sizeof self->password_file, options->password_file)) {
    free(self);
    return PD_EINVAL;
  }
  self->loop = loop;
  self->state = state;
  self->context = context;
  self->delay_ms = DELAY_FIRST_MS;
  self->timer.data = self;
  (void)uv_timer_init(loop, &self->timer);
  (void)uv_timer_start(&self->timer, on_timer, 0, 0);
  *redis = self;
  return PD_OK;
}

static void free_redis(uv_handle_t *handle) {
  struct pd_redis *self = handle->data;
  pd_redis_released_fn *released = self->released;
  void *context = self->released_context;
  free(self);
  if (released != NULL) released(context);
}

void pd_redis_close(struct pd_redis *self, pd_redis_released_fn *released, void *context) {
  if (self == NULL) {
    if (released != NULL) released(context);
    return;
  }
  pd_assert(!self->closing);
  self->closing = true;
  self->up = false;
  self->state = NULL;
  self->released = released;
  self->released_context = context;
  if (self->link != NULL) drop(self->link);
  /* From inside a callback hiredis frees later, but still in this phase of the loop: before close
   * callbacks run. */
  uv_close((uv_handle_t *)&self->timer, free_redis);
}

bool pd_redis_url_valid(const char *url) {
  struct address address;
  return parse_address(url, &address);
}

bool pd_redis_is_up(const struct pd_redis *self) {
  return self->up;
}

static void on_reply(redisAsyncContext *ac, void *reply, void *data) {
  (void)ac;
  struct command command = *(struct command *)data;
  free(data);
  command.done(command.context, reply);
}

enum pd_err pd_redis_send(struct pd_redis *self, int count, const char *const *texts,
                          const size_t *lengths, pd_redis_reply_fn *done, void *context) {
  if (!self->up || self->link == NULL || self->link->ac == NULL) return PD_EDOWN;
  struct command *command = NULL;
  if (done != NULL) {
    command = malloc(sizeof *command);
    if (command == NULL) return PD_EDOWN;
    *command = (struct command){.done = done, .context = context};
  }
  /* hiredis only reads the texts; its prototype forgets the second const. */
  const char **argv = (const char **)(uintptr_t)texts;
  int rc = redisAsyncCommandArgv(self->link->ac, done != NULL ? on_reply : NULL, command, count,
                                 argv, lengths);
  if (rc == REDIS_OK) return PD_OK;
  free(command);
  return PD_EDOWN;
}

/* ---- blocking ---- */

static enum pd_err say_why(const char *text, char *why, size_t why_size, enum pd_err err) {
  if (why != NULL && why_size > 0) (void)copy_text(why, why_size, text);
  return err;
}

static redisContext *dial_now(const struct address *address) {
  struct timeval patience = {.tv_sec = 2, .tv_usec = 0};
  if (address->is_unix) return redisConnectUnixWithTimeout(address->host, patience);
  return redisConnectWithTimeout(address->host, address->port, patience);
}

/* One command whose answer must not be an error; why as in pd_redis_connect_now. */
static enum pd_err expect_now(redisContext *redis, int count, const char **texts, char *why,
                              size_t why_size) {
  redisReply *reply = redisCommandArgv(redis, count, texts, NULL);
  if (reply == NULL) return say_why(redis->errstr, why, why_size, PD_EDOWN);
  enum pd_err err = PD_OK;
  if (reply->type == REDIS_REPLY_ERROR) err = say_why(reply->str, why, why_size, PD_EDOWN);
  freeReplyObject(reply);
  return err;
}

static enum pd_err shake_hands_now(redisContext *redis, const struct pd_redis_options *options,
                                   char *why, size_t why_size) {
  char password[512];
  const char *texts[3];
  const char *user = options->user ? options->user : "";
  const char *file = options->password_file ? options->password_file : "";
  int count = auth_arguments(user, file, password, sizeof password, texts);
  if (count < 0) return say_why("the password file cannot be read", why, why_size, PD_EDOWN);
  enum pd_err err = count > 0 ? expect_now(redis, count, texts, why, why_size) : PD_OK;
  explicit_bzero(password, sizeof password);
  const char *ping[] = {"PING"};
  return err == PD_OK ? expect_now(redis, 1, ping, why, why_size) : err;
}

enum pd_err pd_redis_connect_now(redisContext **redis, const struct pd_redis_options *options,
                                 char *why, size_t why_size) {
  struct address address;
  *redis = NULL;
  if (!parse_address(options->url, &address)) {
    return say_why("the address must be unix:/path or host:port", why, why_size, PD_EINVAL);
  }
  redisContext *fresh = dial_now(&address);
  if (fresh == NULL) return say_why("no memory", why, why_size, PD_EDOWN);
  enum pd_err err = PD_OK;
  if (fresh->err != 0) err = say_why(fresh->errstr, why, why_size, PD_EDOWN);
  struct timeval hello = {.tv_sec = 5, .tv_usec = 0}, patience = {.tv_sec = 60, .tv_usec = 0};
  if (err == PD_OK && redisSetTimeout(fresh, hello) != REDIS_OK) err = PD_EDOWN;
  if (err == PD_OK) err = shake_hands_now(fresh, options, why, why_size);
  if (err == PD_OK && redisSetTimeout(fresh, patience) != REDIS_OK) err = PD_EDOWN;
  if (err != PD_OK) {
    redisFree(fresh);
    return err;
  }
  *redis = fresh;
  return PD_OK;
}
