#include "common/io/redis_parts.h"

#include <hiredis/async.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DELAY_FIRST_MS = 50, DELAY_LAST_MS = 2000, HANDSHAKE_MS = 5000, WHY_SIZE = 192 };
enum { PULSE_MS = 1000, SILENT_PULSES = 5 };

/* One connection; it outlives hiredis' context until libuv has let go of the poll handle. */
struct link {
  redisAsyncContext *ac;
  struct pd_redis *owner;
  uv_poll_t poll;
  int events;
  bool aside;      /* the detour */
  bool heard;      /* something came since the last pulse */
  uint32_t silent; /* pulses in a row without a byte from the server */
};

struct pd_redis {
  uv_loop_t *loop;
  struct redis_places places;
  struct redis_address here; /* where the connection leads, or will */
  char key[64];              /* "": none */
  char user[128];
  char password_file[256];
  pd_redis_state_fn *state;
  void *context;
  uv_timer_t timer; /* until the next attempt, until the handshake must be done, or the pulse */
  struct link *link;
  struct link *detour; /* to the node that an ASK named; NULL most of the time */
  struct redis_address aside; /* where that leads */
  uint64_t delay_ms;
  uint32_t redirects; /* in a row, without an answer */
  bool redirected;    /* the next attempt is at the node that was named */
  bool elsewhere;     /* this node cannot serve: the next attempt is at another */
  bool cluster;       /* it has several nodes: ask for their names */
  bool up;
  bool closing;
  bool detoured; /* the reply at hand */
  char why[WHY_SIZE];  /* of the failure at hand */
  char told[WHY_SIZE]; /* to the state callback */
  pd_redis_released_fn *released;
  void *released_context;
};

/* A command on its way; its text is kept in case that it must be sent elsewhere. */
struct command {
  pd_redis_reply_fn *done;
  void *context;
  char *text;
  size_t length;
};

static void start(struct pd_redis *self);
static void on_reply(redisAsyncContext *ac, void *reply, void *data);
static void on_timer(uv_timer_t *timer);

static bool copy_text(char *to, size_t size, const char *from) {
  size_t length = from == NULL ? 0 : strlen(from);
  bool fits = length < size;
  if (!fits) length = size - 1;
  if (length > 0) memcpy(to, from, length);
  to[length] = '\0';
  return fits;
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
  if (events & UV_READABLE) link->heard = true;
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

/* Where and when the next attempt is: at once at a node that was named, later at the same one if it
 * served until now, else at the next. */
static void retry_later(struct pd_redis *self) {
  bool was_up = self->up, at_once = self->redirected;
  self->up = false;
  if (self->closing) return;
  if (!at_once && (!was_up || self->elsewhere)) self->here = *redis_places_next(&self->places);
  self->redirected = self->elsewhere = false;
  (void)uv_timer_start(&self->timer, on_timer, at_once ? 0 : self->delay_ms, 0);
  if (!at_once) {
    self->redirects = 0;
    self->delay_ms = self->delay_ms * 2 > DELAY_LAST_MS ? DELAY_LAST_MS : self->delay_ms * 2;
  }
  if (was_up || !at_once) tell_down(self, was_up);
}

/* hiredis lets go of the context: every pending callback was called before. */
static void cleanup(void *data) {
  struct link *link = data;
  struct pd_redis *self = link->owner;
  bool aside = link->aside;
  if (!aside && self->why[0] == '\0')
    set_why(self, link->ac->c.errstr[0] ? link->ac->c.errstr : "connection closed");
  link->ac = NULL;
  uv_close((uv_handle_t *)&link->poll, free_link);
  if (aside) {
    self->detour = NULL;
    return;
  }
  self->link = NULL;
  if (self->detour != NULL) drop(self->detour);
  retry_later(self);
}

/* The slot is at another node. */
static void redirect(struct pd_redis *self, const struct redis_address *there) {
  char where[280], why[320];
  self->cluster = true;
  if (self->redirected || self->link == NULL) return; /* under way already */
  if (++self->redirects > REDIS_REDIRECTS) {
    self->elsewhere = true;
    set_why(self, "it is sent from node to node without an end (MOVED)");
  } else {
    self->redirected = true;
    self->here = *there;
    redis_address_text(there, where, sizeof where);
    (void)snprintf(why, sizeof why, "its slot is at %s", where);
    set_why(self, why);
  }
  drop(self->link);
}

/* This node cannot serve. */
static void go_elsewhere(struct pd_redis *self, const char *why) {
  if (self->redirected || self->link == NULL) return;
  self->elsewhere = true;
  set_why(self, why);
  drop(self->link);
}

/* ---- the pulse ---- */

/* A server that is stopped keeps its connections and says nothing: let go of it, so that whoever
 * waits hears that the outcome is unknown.  Counted in pulses: a process that was itself stopped
 * has had one. */
static bool is_silent(struct link *link) {
  link->silent = link->heard ? 0 : link->silent + 1;
  link->heard = false;
  return link->silent >= SILENT_PULSES;
}

static void on_pulse(uv_timer_t *timer) {
  struct pd_redis *self = timer->data;
  self->delay_ms = DELAY_FIRST_MS; /* it has served for a while */
  if (is_silent(self->link)) {
    set_why(self, "it has said nothing for 5 s");
    drop(self->link);
    return;
  }
  /* If it cannot be sent, the connection is breaking, and its end is told in its own way. */
  (void)redisAsyncCommand(self->link->ac, NULL, NULL, "PING");
  /* The detour is not asked anything: it ends too when it is not needed any more. */
  if (self->detour != NULL && is_silent(self->detour)) drop(self->detour);
}

/* ---- connecting ---- */

static void on_auth(redisAsyncContext *ac, void *reply, void *data) {
  (void)ac;
  struct pd_redis *self = data;
  const redisReply *answer = reply;
  if (answer != NULL && answer->type == REDIS_REPLY_ERROR) set_why(self, answer->str);
}

static void on_slots(redisAsyncContext *ac, void *reply, void *data) {
  (void)ac;
  struct pd_redis *self = data;
  redis_places_learn(&self->places, reply, &self->here, false);
}

static void become_up(struct pd_redis *self) {
  self->up = true;
  self->told[0] = '\0';
  (void)uv_timer_start(&self->timer, on_pulse, PULSE_MS, PULSE_MS);
  if (self->cluster) (void)redisAsyncCommand(self->link->ac, on_slots, self, "CLUSTER SLOTS");
  if (self->state != NULL) self->state(self->context, true, "");
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
  if (self->key[0] == '\0') become_up(self);
}

/* Is the key's slot served here? */
static void on_probe(redisAsyncContext *ac, void *reply, void *data) {
  (void)ac;
  struct pd_redis *self = data;
  const redisReply *answer = reply;
  struct redis_address there;
  if (answer == NULL) return;
  switch (redis_judge(answer, &self->here, &there)) {
    case REDIS_MOVED: redirect(self, &there); return;
    case REDIS_ELSEWHERE: go_elsewhere(self, answer->str); return;
    case REDIS_ASK: self->cluster = true; break; /* the slot is leaving: it is still ours to ask */
    case REDIS_ANSWERED: break;
  }
  become_up(self);
}

static enum pd_err send_auth(struct pd_redis *self, redisAsyncContext *ac, bool aside) {
  char password[REDIS_PASSWORD];
  const char *texts[3];
  int count = redis_auth_arguments(self->user, self->password_file, password, texts);
  if (count < 0) return PD_ENOENT;
  int rc = REDIS_OK;
  if (count > 0) rc = redisAsyncCommandArgv(ac, aside ? NULL : on_auth, self, count, texts, NULL);
  explicit_bzero(password, sizeof password);
  return rc == REDIS_OK ? PD_OK : PD_EIO;
}

static enum pd_err shake_hands(struct pd_redis *self, redisAsyncContext *ac) {
  enum pd_err err = send_auth(self, ac, false);
  if (err == PD_OK && redisAsyncCommand(ac, on_ping, self, "PING") != REDIS_OK) err = PD_EIO;
  if (err == PD_OK && self->key[0] != '\0' &&
      redisAsyncCommand(ac, on_probe, self, REDIS_PROBE, self->key) != REDIS_OK)
    err = PD_EIO;
  return err;
}

static void on_connect(const redisAsyncContext *ac, int status) {
  struct link *link = ac->ev.data;
  if (status != REDIS_OK && !link->aside)
    set_why(link->owner, ac->c.errstr[0] ? ac->c.errstr : "connection refused");
}

static bool attach(struct pd_redis *self, redisAsyncContext *ac, bool aside) {
  struct link *link = calloc(1, sizeof *link);
  if (link == NULL) return false;
  link->aside = aside;
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
  *(aside ? &self->detour : &self->link) = link;
  return redisAsyncSetConnectCallback(ac, on_connect) == REDIS_OK;
}

static redisAsyncContext *dial(const struct redis_address *address) {
  if (address->is_unix) return redisAsyncConnectUnix(address->host);
  return redisAsyncConnect(address->host, address->port);
}

/* A peer that lost its power says nothing: give up on it after 10 s without an acknowledgement. */
static void bound_silence(redisAsyncContext *ac) {
  unsigned patience_ms = 10000;
  (void)setsockopt(ac->c.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof patience_ms);
  (void)redisEnableKeepAlive(&ac->c);
}

/* Room for an entry on its way, so that Redis has it whole while the next one is packed.  Without
 * the right to go beyond net.core.wmem_max, as much as that allows. */
static void widen(redisAsyncContext *ac) {
  const int room = 4 << 20;
  if (setsockopt(ac->c.fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) != 0)
    (void)setsockopt(ac->c.fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
}

static void start(struct pd_redis *self) {
  self->why[0] = '\0';
  redisAsyncContext *ac = dial(&self->here);
  if (ac == NULL || ac->err != 0 || !attach(self, ac, false)) {
    set_why(self, ac != NULL && ac->err != 0 ? ac->c.errstr : "no memory or descriptor to connect");
    bool attached = self->link != NULL;
    if (ac != NULL) redisAsyncFree(ac);
    if (!attached) retry_later(self);
    return;
  }
  if (!self->here.is_unix) bound_silence(ac);
  widen(ac);
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

/* ---- the detour ---- */

static bool open_detour(struct pd_redis *self, const struct redis_address *there) {
  self->aside = *there;
  redisAsyncContext *ac = dial(there);
  bool good = ac != NULL && ac->err == 0 && attach(self, ac, true);
  if (good) {
    bound_silence(ac);
    if (send_auth(self, ac, true) == PD_OK) return true;
    drop(self->detour);
  } else if (ac != NULL) {
    redisAsyncFree(ac);
  }
  return false;
}

/* Send one command to the node that an ASK named; false if that cannot be done. */
static bool take_detour(struct pd_redis *self, const struct redis_address *there,
                        struct command *command) {
  self->cluster = true;
  if (self->detour != NULL && !redis_address_same(&self->aside, there)) drop(self->detour);
  if (self->detour == NULL && !open_detour(self, there)) return false;
  redisAsyncContext *ac = self->detour->ac;
  return redisAsyncCommand(ac, NULL, NULL, "ASKING") == REDIS_OK &&
         redisAsyncFormattedCommand(ac, on_reply, command, command->text, command->length) ==
             REDIS_OK;
}

/* ---- the outside ---- */

enum pd_err pd_redis_open(struct pd_redis **redis, uv_loop_t *loop,
                          const struct pd_redis_options *options, pd_redis_state_fn *state,
                          void *context) {
  *redis = NULL;
  struct pd_redis *self = calloc(1, sizeof *self);
  if (self == NULL) return PD_EIO;
  if (!redis_places_parse(&self->places, options->url) ||
      !copy_text(self->key, sizeof self->key, options->key) ||
      !copy_text(self->user, sizeof self->user, options->user) ||
      !copy_text(self->password_file, sizeof self->password_file, options->password_file)) {
    free(self);
    return PD_EINVAL;
  }
  self->here = self->places.list[0];
  self->cluster = self->places.seeds > 1;
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
  if (self->detour != NULL) drop(self->detour);
  if (self->link != NULL) drop(self->link);
  /* From inside a callback hiredis frees later, but still in this phase of the loop: before close
   * callbacks run. */
  uv_close((uv_handle_t *)&self->timer, free_redis);
}

bool pd_redis_url_valid(const char *url) {
  struct redis_places places;
  return redis_places_parse(&places, url);
}

bool pd_redis_is_up(const struct pd_redis *self) {
  return self->up;
}

bool pd_redis_detoured(const struct pd_redis *self) {
  return self->detoured;
}

static void free_command(struct command *command) {
  redisFreeCommand(command->text);
  free(command);
}

static void on_reply(redisAsyncContext *ac, void *reply, void *data) {
  struct command *command = data;
  const struct link *link = ac->ev.data;
  struct pd_redis *self = link->owner;
  struct redis_address there;
  switch (redis_judge(reply, link->aside ? &self->aside : &self->here, &there)) {
    case REDIS_ANSWERED:
      if (reply != NULL) self->redirects = 0;
      break;
    case REDIS_ASK:
      if (!link->aside && take_detour(self, &there, command)) return;
      reply = NULL;
      break;
    case REDIS_MOVED:
      redirect(self, &there);
      reply = NULL;
      break;
    case REDIS_ELSEWHERE:
      go_elsewhere(self, ((const redisReply *)reply)->str);
      reply = NULL;
      break;
  }
  self->detoured = link->aside;
  command->done(command->context, reply);
  self->detoured = false;
  free_command(command);
}

static struct command *make_command(int count, const char *const *texts, const size_t *lengths,
                                    pd_redis_reply_fn *done, void *context) {
  struct command *command = malloc(sizeof *command);
  if (command == NULL) return NULL;
  *command = (struct command){.done = done, .context = context};
  /* hiredis only reads the texts; its prototype forgets the second const. */
  const char **argv = (const char **)(uintptr_t)texts;
  int length = redisFormatCommandArgv(&command->text, count, argv, lengths);
  command->length = (size_t)length;
  if (length >= 0) return command;
  free(command);
  return NULL;
}

static void on_nothing(void *context, const redisReply *reply) {
  (void)context;
  (void)reply;
}

enum pd_err pd_redis_send(struct pd_redis *self, int count, const char *const *texts,
                          const size_t *lengths, pd_redis_reply_fn *done, void *context) {
  if (!self->up || self->link == NULL || self->link->ac == NULL) return PD_EDOWN;
  struct command *command =
      make_command(count, texts, lengths, done != NULL ? done : on_nothing, context);
  if (command == NULL) return PD_EDOWN;
  if (redisAsyncFormattedCommand(self->link->ac, on_reply, command, command->text,
                                 command->length) == REDIS_OK)
    return PD_OK;
  free_command(command);
  return PD_EDOWN;
}
