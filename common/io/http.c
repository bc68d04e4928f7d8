#include "common/io/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONNECTIONS = 64, PATIENCE_S = 5, REQUEST_MAX = 8192, SWEEP_MS = 500 };

struct pd_http {
  struct pd_http_options options; /* listen is not kept */
  struct MHD_Daemon *daemon;
  uv_poll_t poll;
  uv_timer_t timer; /* connections that say nothing are closed */
  int handles;
  uint16_t port;
  char path[sizeof((struct sockaddr_un *)0)->sun_path];
  ino_t file; /* of our socket: a successor may have put its own there */
};

/* ---- addresses ---- */

union address {
  struct sockaddr any;
  struct sockaddr_un file;
  struct sockaddr_in four;
  struct sockaddr_in6 six;
};

static bool parse_port(const char *text, uint16_t *port) {
  char *end = NULL;
  unsigned long value = strtoul(text, &end, 10);
  if (text[0] < '0' || text[0] > '9' || *end != '\0' || value > 65535) return false;
  *port = htons((uint16_t)value);
  return true;
}

static bool parse_file(const char *path, union address *address, socklen_t *size) {
  size_t length = strlen(path);
  if (path[0] != '/' || length >= sizeof address->file.sun_path) return false;
  address->file.sun_family = AF_UNIX;
  memcpy(address->file.sun_path, path, length);
  *size = sizeof address->file;
  return true;
}

static bool parse_four(const char *listen, union address *address, socklen_t *size) {
  char host[16];
  size_t length = strcspn(listen, ":");
  if (listen[length] == '\0' || length >= sizeof host) return false;
  memcpy(host, listen, length);
  host[length] = '\0';
  address->four.sin_family = AF_INET;
  *size = sizeof address->four;
  return inet_pton(AF_INET, host, &address->four.sin_addr) == 1 &&
         ntohl(address->four.sin_addr.s_addr) >> 24 == 127 &&
         parse_port(listen + length + 1, &address->four.sin_port);
}

static bool parse_listen(const char *listen, union address *address, socklen_t *size) {
  memset(address, 0, sizeof *address);
  if (strncmp(listen, "unix:", 5) == 0) return parse_file(listen + 5, address, size);
  if (strncmp(listen, "[::1]:", 6) != 0) return parse_four(listen, address, size);
  address->six.sin6_family = AF_INET6;
  address->six.sin6_addr = in6addr_loopback;
  *size = sizeof address->six;
  return parse_port(listen + 6, &address->six.sin6_port);
}

bool pd_http_listen_valid(const char *listen) {
  union address address;
  socklen_t size;
  return parse_listen(listen, &address, &size);
}

/* A socket file that a dead process left is replaced; anything else that stands there is not. */
static void remove_old(const char *path) {
  struct stat status;
  if (lstat(path, &status) == 0 && S_ISSOCK(status.st_mode)) (void)unlink(path);
}

static int open_listener(const union address *address, socklen_t size) {
  int family = address->any.sa_family;
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  int one = 1;
  bool file = family == AF_UNIX;
  if (file) remove_old(address->file.sun_path);
  if (!file) (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  /* Nobody can connect before listen(), so the file's mode is right from the first client on. */
  if (bind(fd, &address->any, size) == 0 && (!file || chmod(address->file.sun_path, 0660) == 0) &&
      listen(fd, 64) == 0) {
    return fd;
  }
  close(fd);
  return -1;
}

/* ---- answers ---- */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type,
                              char *text, size_t length) {
  if (text == NULL) return MHD_NO;
  struct MHD_Response *response =
      MHD_create_response_from_buffer(length, text, MHD_RESPMEM_MUST_FREE);
  if (response == NULL) {
    free(text);
    return MHD_NO;
  }
  (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
  (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
  if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
  enum MHD_Result result = MHD_queue_response(connection, status, response);
  MHD_destroy_response(response);
  return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status,
                                   const char *text) {
  return answer(connection, status, "text/plain; charset=utf-8", strdup(text), strlen(text));
}

static enum MHD_Result answer_ready(struct pd_http *self, struct MHD_Connection *connection) {
  const char *reasons[PD_HTTP_REASONS];
  bool ready = true;
  size_t count = self->options.ready != NULL
                     ? self->options.ready(self->options.context, reasons, PD_HTTP_REASONS, &ready)
                     : 0;
  json_t *list = json_array();
  for (size_t i = 0; i < count; i++) (void)json_array_append_new(list, json_string(reasons[i]));
  json_t *object = json_pack("{s:b, s:o}", "ready", ready, "reasons", list);
  char *text = json_dumps(object, JSON_COMPACT);
  json_decref(object);
  return answer(connection, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
                "application/json", text, text != NULL ? strlen(text) : 0);
}

static enum MHD_Result answer_metrics(struct pd_http *self, struct MHD_Connection *connection) {
  size_t length;
  if (self->options.refresh != NULL) self->options.refresh(self->options.context);
  char *text = pd_metrics_render(self->options.metrics, &length);
  return answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", text, length);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **state) {
  (void)version;
  (void)upload;
  (void)upload_size;
  (void)state;
  struct pd_http *self = context;
  bool get = strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
  if (!get) return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
  if (strcmp(url, "/livez") == 0) return answer_text(connection, MHD_HTTP_OK, "ok\n");
  if (strcmp(url, "/readyz") == 0) return answer_ready(self, connection);
  if (strcmp(url, "/metrics") == 0) return answer_metrics(self, connection);
  return answer_text(connection, MHD_HTTP_NOT_FOUND, "there are /livez, /readyz and /metrics\n");
}

/* ---- on the loop ---- */

static void turn(struct pd_http *self) {
  for (int i = 0; i < 16; i++) {
    MHD_UNSIGNED_LONG_LONG wait_ms;
    (void)MHD_run(self->daemon);
    if (MHD_get_timeout(self->daemon, &wait_ms) != MHD_YES || wait_ms > 0) break;
  }
}

static void on_poll(uv_poll_t *poll, int status, int events) {
  (void)events;
  if (status == 0) turn(poll->data);
}

static void on_timer(uv_timer_t *timer) {
  turn(timer->data);
}

static struct MHD_Daemon *start_daemon(struct pd_http *self, int listener) {
  return MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, self, MHD_OPTION_LISTEN_SOCKET,
                          listener, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
                          MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)PATIENCE_S,
                          MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_MAX, MHD_OPTION_END);
}

static uint16_t port_of(int listener) {
  union address address = {0};
  socklen_t size = sizeof address;
  if (getsockname(listener, &address.any, &size) != 0) return 0;
  if (address.any.sa_family == AF_INET) return ntohs(address.four.sin_port);
  return address.any.sa_family == AF_INET6 ? ntohs(address.six.sin6_port) : 0;
}

static bool attach(struct pd_http *self, uv_loop_t *loop) {
  const union MHD_DaemonInfo *info = MHD_get_daemon_info(self->daemon, MHD_DAEMON_INFO_EPOLL_FD);
  if (info == NULL || uv_poll_init(loop, &self->poll, info->epoll_fd) != 0) return false;
  (void)uv_timer_init(loop, &self->timer);
  self->poll.data = self->timer.data = self;
  self->handles = 2;
  (void)uv_poll_start(&self->poll, UV_READABLE, on_poll);
  (void)uv_timer_start(&self->timer, on_timer, SWEEP_MS, SWEEP_MS);
  return true;
}

static void note_file(struct pd_http *self, const char *path) {
  struct stat status;
  (void)snprintf(self->path, sizeof self->path, "%s", path);
  if (stat(path, &status) == 0) self->file = status.st_ino;
}

static void remove_file(const struct pd_http *self) {
  struct stat status;
  bool ours =
      self->path[0] != '\0' && stat(self->path, &status) == 0 && status.st_ino == self->file;
  if (ours) (void)unlink(self->path);
}

enum pd_err pd_http_open(struct pd_http **http, uv_loop_t *loop,
                         const struct pd_http_options *options) {
  union address address;
  socklen_t size;
  *http = NULL;
  if (!parse_listen(options->listen, &address, &size)) return PD_EINVAL;
  int listener = open_listener(&address, size);
  if (listener < 0) return PD_EIO;
  struct pd_http *self = calloc(1, sizeof *self);
  if (self != NULL) {
    self->options = *options;
    self->options.listen = NULL;
    self->port = port_of(listener);
    if (address.any.sa_family == AF_UNIX) note_file(self, address.file.sun_path);
    self->daemon = start_daemon(self, listener);
  }
  if (self == NULL || self->daemon == NULL || !attach(self, loop)) {
    if (self != NULL && self->daemon != NULL)
      MHD_stop_daemon(self->daemon);
    else
      close(listener);
    free(self);
    return PD_EIO;
  }
  *http = self;
  return PD_OK;
}

static void on_closed(uv_handle_t *handle) {
  struct pd_http *self = handle->data;
  if (--self->handles == 0) free(self);
}

void pd_http_close(struct pd_http *self) {
  if (self == NULL) return;
  uv_close((uv_handle_t *)&self->poll, on_closed);
  uv_close((uv_handle_t *)&self->timer, on_closed);
  MHD_stop_daemon(self->daemon); /* closes the listening socket too */
  remove_file(self);
}

uint16_t pd_http_port(const struct pd_http *self) {
  return self->port;
}
