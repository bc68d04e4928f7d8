#include "common/io/bus.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct pd_bus_watch {
  void *socket;
  pd_bus_fn *ready;
  void *context;
  uv_poll_t poll;
  uv_prepare_t prepare; /* before the loop blocks: is there input that no edge will tell of? */
  uv_check_t check;     /* after it woke: hand the input out */
  uv_idle_t idle;       /* while active, the loop does not block */
  struct pd_bus_watch *next;
  int handles; /* not yet closed */
  bool woken;
  bool paused;
  bool gone;
};

/* The thread's watches, so that a send on a watched socket can keep the loop awake. */
static _Thread_local struct pd_bus_watch *watches;

/* ---- watching ---- */

static bool has_input(const struct pd_bus_watch *watch) {
  int events = 0;
  size_t size = sizeof events;
  return zmq_getsockopt(watch->socket, ZMQ_EVENTS, &events, &size) == 0 &&
         (events & ZMQ_POLLIN) != 0;
}

static void on_idle(uv_idle_t *idle) {
  (void)idle; /* that it is active is all */
}

static void stay_awake(struct pd_bus_watch *watch) {
  (void)uv_idle_start(&watch->idle, on_idle);
  watch->woken = true;
}

static void on_edge(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  ((struct pd_bus_watch *)poll->data)->woken = true;
}

static void on_prepare(uv_prepare_t *prepare) {
  struct pd_bus_watch *watch = prepare->data;
  /* Asked even while paused: it takes the signal off the descriptor, which would keep the loop
   * spinning. */
  if (has_input(watch) && !watch->paused) {
    stay_awake(watch);
  } else {
    (void)uv_idle_stop(&watch->idle);
  }
}

static void on_check(uv_check_t *check) {
  struct pd_bus_watch *watch = check->data;
  if (!watch->woken) return;
  watch->woken = false;
  if (has_input(watch) && !watch->paused) watch->ready(watch->context, watch->socket);
}

static void on_closed(uv_handle_t *handle) {
  struct pd_bus_watch *watch = handle->data;
  if (--watch->handles == 0) free(watch);
}

static void close_handle(struct pd_bus_watch *watch, uv_handle_t *handle) {
  handle->data = watch;
  uv_close(handle, on_closed);
}

void pd_bus_unwatch(struct pd_bus_watch *watch) {
  if (watch == NULL || watch->gone) return;
  watch->gone = true;
  struct pd_bus_watch **at = &watches;
  while (*at != NULL && *at != watch) at = &(*at)->next;
  if (*at != NULL) *at = watch->next;
  close_handle(watch, (uv_handle_t *)&watch->poll);
  close_handle(watch, (uv_handle_t *)&watch->prepare);
  close_handle(watch, (uv_handle_t *)&watch->check);
  close_handle(watch, (uv_handle_t *)&watch->idle);
}

enum pd_err pd_bus_watch(struct pd_bus_watch **watch, uv_loop_t *loop, void *socket,
                         pd_bus_fn *ready, void *context) {
  *watch = NULL;
  int fd = -1;
  size_t size = sizeof fd;
  if (zmq_getsockopt(socket, ZMQ_FD, &fd, &size) != 0) return PD_EIO;
  struct pd_bus_watch *self = calloc(1, sizeof *self);
  if (self == NULL) return PD_EIO;
  if (uv_poll_init(loop, &self->poll, fd) != 0) {
    free(self);
    return PD_EIO;
  }
  self->socket = socket;
  self->ready = ready;
  self->context = context;
  (void)uv_prepare_init(loop, &self->prepare);
  (void)uv_check_init(loop, &self->check);
  (void)uv_idle_init(loop, &self->idle);
  self->poll.data = self->prepare.data = self->check.data = self->idle.data = self;
  self->handles = 4;
  self->next = watches;
  watches = self;
  (void)uv_poll_start(&self->poll, UV_READABLE, on_edge);
  (void)uv_prepare_start(&self->prepare, on_prepare);
  (void)uv_check_start(&self->check, on_check);
  *watch = self;
  return PD_OK;
}

void pd_bus_pause(struct pd_bus_watch *watch, bool paused) {
  watch->paused = paused;
  if (!paused) stay_awake(watch); /* also when called after our own prepare of this round */
}

/* ---- sockets ---- */

static bool set_int(void *socket, int option, int value) {
  return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

static bool set_bounds(void *socket, int type, const struct pd_bus_options *options) {
  int64_t max_message = options->max_message > 0 ? options->max_message : 1 << 20;
  return zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max_message, sizeof max_message) == 0 &&
         set_int(socket, ZMQ_SNDHWM, options->send_mark > 0 ? options->send_mark : 10000) &&
         set_int(socket, ZMQ_RCVHWM, options->receive_mark > 0 ? options->receive_mark : 10000) &&
         set_int(socket, ZMQ_LINGER, 0) && set_int(socket, ZMQ_HANDSHAKE_IVL, 2000) &&
         set_int(socket, ZMQ_HEARTBEAT_IVL, 1000) && set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, 3000) &&
         set_int(socket, ZMQ_RECONNECT_IVL, 50) && set_int(socket, ZMQ_RECONNECT_IVL_MAX, 1000) &&
         (type != ZMQ_ROUTER || set_int(socket, ZMQ_ROUTER_MANDATORY, 1));
}

enum pd_err pd_bus_socket(void **bus_socket, void *zmq, int type,
                          const struct pd_bus_options *options) {
  static const struct pd_bus_options defaults;
  *bus_socket = NULL;
  void *fresh = zmq_socket(zmq, type);
  if (fresh == NULL) return PD_EIO;
  if (!set_bounds(fresh, type, options != NULL ? options : &defaults)) {
    zmq_close(fresh);
    return PD_EINVAL;
  }
  *bus_socket = fresh;
  return PD_OK;
}

/* Make every folder above the file. */
static enum pd_err make_folders(const char *path) {
  char folder[sizeof((struct sockaddr_un *)NULL)->sun_path];
  (void)snprintf(folder, sizeof folder, "%s", path);
  for (char *slash = strchr(folder + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    if (mkdir(folder, 0750) != 0 && errno != EEXIST) return PD_EIO;
    *slash = '/';
  }
  return PD_OK;
}

static enum pd_err bind_path(void *socket, const char *endpoint, const char *path) {
  if (path[0] != '/') return PD_EINVAL;
  if (strlen(path) >= sizeof((struct sockaddr_un *)NULL)->sun_path) return PD_EBOUNDS;
  enum pd_err err = make_folders(path);
  if (err != PD_OK) return err;
  if (zmq_bind(socket, endpoint) != 0) return PD_EIO;
  return chmod(path, 0660) == 0 ? PD_OK : PD_EIO;
}

/* "127.x.y.z:port" or "[::1]:port"; names are refused, since what they stand for may change. */
static bool is_loopback(const char *address) {
  char host[64];
  const char *colon = strrchr(address, ':');
  if (colon == NULL || (size_t)(colon - address) >= sizeof host) return false;
  memcpy(host, address, (size_t)(colon - address));
  host[colon - address] = '\0';
  struct in_addr number;
  if (inet_pton(AF_INET, host, &number) == 1) return ntohl(number.s_addr) >> 24 == 127;
  return strcmp(host, "[::1]") == 0;
}

enum pd_err pd_bus_bind(void *socket, const char *endpoint) {
  if (strncmp(endpoint, "ipc://", 6) == 0) return bind_path(socket, endpoint, endpoint + 6);
  bool local = strncmp(endpoint, "inproc://", 9) == 0;
  if (strncmp(endpoint, "tcp://", 6) == 0) local = is_loopback(endpoint + 6);
  if (!local) return PD_EINVAL;
  if (strncmp(endpoint, "tcp://[", 7) == 0 && !set_int(socket, ZMQ_IPV6, 1)) return PD_EIO;
  return zmq_bind(socket, endpoint) == 0 ? PD_OK : PD_EIO;
}

enum pd_err pd_bus_bind_curve(void *socket, const char *endpoint, const uint8_t secret[PD_BUS_KEY],
                              const char *domain) {
  if (strncmp(endpoint, "tcp://", 6) != 0) return PD_EINVAL;
  bool set = set_int(socket, ZMQ_CURVE_SERVER, 1) &&
             zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret, PD_BUS_KEY) == 0 &&
             zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, domain, strlen(domain)) == 0 &&
             set_int(socket, ZMQ_IPV6, strchr(endpoint, '[') != NULL);
  if (!set) return PD_EIO;
  if (zmq_bind(socket, endpoint) == 0) return PD_OK;
  return errno == EADDRINUSE ? PD_EEXIST : PD_EIO;
}

enum pd_err pd_bus_curve_client(void *socket, const struct pd_bus_curve *keys) {
  bool set =
      zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, keys->server, PD_BUS_KEY_TEXT) == 0 &&
      zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, keys->public_key, PD_BUS_KEY_TEXT) == 0 &&
      zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys->secret_key, PD_BUS_KEY_TEXT) == 0;
  return set ? PD_OK : PD_EINVAL;
}

const char *pd_bus_user(zmq_msg_t *message) { return zmq_msg_gets(message, "User-Id"); }

enum pd_err pd_bus_connect(void *socket, const char *endpoint) {
  return zmq_connect(socket, endpoint) == 0 ? PD_OK : PD_EINVAL;
}

/* ---- messages ---- */

int64_t pd_bus_peer_uid(zmq_msg_t *message) {
  /* libzmq 4.3.4 writes "localhost:uid:gid:pid" for ipc:// (glibc's numeric name of a unix peer,
   * then SO_PEERCRED) and a numeric address for tcp://; a peer cannot override it, since its own
   * properties never replace one that is set. */
  const char *text = zmq_msg_gets(message, "Peer-Address");
  unsigned uid, gid, pid;
  int end = 0;
  if (text == NULL || sscanf(text, "localhost:%u:%u:%u%n", &uid, &gid, &pid, &end) != 3) return -1;
  return text[end] == '\0' ? (int64_t)uid : -1;
}

/* Sending may take the edge that told of input: look again before the loop blocks. */
static void nudge(const void *socket) {
  struct pd_bus_watch *watch = watches;
  while (watch != NULL && watch->socket != socket) watch = watch->next;
  if (watch != NULL && !watch->woken) stay_awake(watch);
}

static enum pd_err send_error(size_t frame) {
  if (frame > 0) return PD_EIO; /* libzmq takes all frames of a message or none */
  if (errno == EAGAIN) return PD_EAGAIN;
  return errno == EHOSTUNREACH ? PD_ENOENT : PD_EIO;
}

enum pd_err pd_bus_send(void *socket, const struct pd_frame *frames, size_t count) {
  pd_assert(count > 0 && count <= PD_BUS_FRAMES);
  nudge(socket);
  for (size_t i = 0; i < count; i++) {
    int more = i + 1 < count ? ZMQ_SNDMORE : 0;
    if (zmq_send(socket, frames[i].data, frames[i].size, ZMQ_DONTWAIT | more) < 0)
      return send_error(i);
  }
  return PD_OK;
}

void pd_bus_message_init(struct pd_bus_message *message) {
  for (size_t i = 0; i < PD_BUS_FRAMES; i++) (void)zmq_msg_init(&message->frames[i]);
  message->count = 0;
}

void pd_bus_message_close(struct pd_bus_message *message) {
  for (size_t i = 0; i < PD_BUS_FRAMES; i++) (void)zmq_msg_close(&message->frames[i]);
  message->count = 0;
}

/* Throw away the frames that are left of an over-long message. */
static void skip_rest(void *socket) {
  zmq_msg_t frame;
  (void)zmq_msg_init(&frame);
  while (zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) >= 0 && zmq_msg_more(&frame)) continue;
  (void)zmq_msg_close(&frame);
}

enum pd_err pd_bus_receive(void *socket, struct pd_bus_message *message) {
  message->count = 0;
  for (;;) {
    zmq_msg_t *frame = &message->frames[message->count];
    if (zmq_msg_recv(frame, socket, ZMQ_DONTWAIT) < 0) return errno == EAGAIN ? PD_EAGAIN : PD_EIO;
    message->count++;
    if (!zmq_msg_more(frame)) return PD_OK;
    if (message->count == PD_BUS_FRAMES) {
      skip_rest(socket);
      message->count = 0;
      return PD_EBOUNDS;
    }
  }
}
