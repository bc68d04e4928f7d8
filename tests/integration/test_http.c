/* /livez, /readyz and /metrics over real sockets. */
#include "common/io/http.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static uv_loop_t loop;
static struct pd_http *http;
static struct pd_metrics *metrics;
static struct pd_metric *refreshed;
static const char *not_ready;
static bool is_note; /* the reason is no fault */
static char dir[32];

static size_t on_ready(void *context, const char **reasons, size_t max, bool *ready) {
  (void)context;
  *ready = not_ready == NULL || is_note;
  if (not_ready == NULL || max < 1) return 0;
  reasons[0] = not_ready;
  return 1;
}

static void on_refresh(void *context) {
  (void)context;
  pd_metric_set(refreshed, 42);
}

static enum pd_err open_at(const char *listen) {
  struct pd_http_options options = {
      .listen = listen, .metrics = metrics, .ready = on_ready, .refresh = on_refresh};
  return pd_http_open(&http, &loop, &options);
}

static void set_up(void) {
  strcpy(dir, "/tmp/pd-http-XXXXXX");
  cr_assert_not_null(mkdtemp(dir));
  uv_loop_init(&loop);
  cr_assert_eq(pd_metrics_open(&metrics), PD_OK);
  refreshed = pd_metrics_gauge(metrics, "paidan_refreshed", "Set before each scrape.", NULL);
}

static void tear_down(void) {
  char command[64];
  pd_http_close(http);
  cr_expect_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
  cr_expect_eq(uv_loop_close(&loop), 0);
  pd_metrics_close(metrics);
  snprintf(command, sizeof command, "rm -rf %s", dir);
  cr_expect_eq(system(command), 0);
}

TestSuite(http, .init = set_up, .fini = tear_down, .timeout = 60);

/* A client in a thread of its own, so that the loop can turn. */
struct client {
  const char *path; /* of a unix socket, or NULL */
  uint16_t port;
  const char *request;
  size_t request_size;
  char answer[65536];
  size_t size;
  bool done;
};

static int dial(const struct client *client) {
  struct sockaddr_un file = {.sun_family = AF_UNIX};
  struct sockaddr_in four = {.sin_family = AF_INET,
                             .sin_port = htons(client->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(client->path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (client->path) snprintf(file.sun_path, sizeof file.sun_path, "%s", client->path);
  int rc = client->path ? connect(fd, (struct sockaddr *)&file, sizeof file)
                        : connect(fd, (struct sockaddr *)&four, sizeof four);
  if (rc == 0) return fd;
  close(fd);
  return -1;
}

static void ask(void *context) {
  struct client *client = context;
  int fd = dial(client);
  ssize_t n = fd >= 0 ? send(fd, client->request, client->request_size, MSG_NOSIGNAL) : -1;
  while (n > 0) {
    n = read(fd, client->answer + client->size, sizeof client->answer - 1 - client->size);
    if (n > 0) client->size += (size_t)n;
  }
  client->answer[client->size] = '\0';
  if (fd >= 0) close(fd);
  __atomic_store_n(&client->done, true, __ATOMIC_RELEASE);
}

static void turn_until_done(struct client *client) {
  while (!__atomic_load_n(&client->done, __ATOMIC_ACQUIRE)) {
    uv_run(&loop, UV_RUN_NOWAIT);
    usleep(1000);
  }
}

static struct client client;

static const char *get(const char *request) {
  uv_thread_t thread;
  client.request = request;
  client.request_size = strlen(request);
  client.size = 0;
  client.done = false;
  uv_thread_create(&thread, ask, &client);
  turn_until_done(&client);
  uv_thread_join(&thread);
  return client.answer;
}

static void expect(const char *request, const char *head, const char *body) {
  const char *answer = get(request);
  cr_expect(strstr(answer, head) == answer, "%s gave %s", request, answer);
  const char *at = strstr(answer, "\r\n\r\n");
  cr_assert_not_null(at, "%s gave %s", request, answer);
  cr_expect(strstr(at, body) != NULL, "%s gave %s", request, answer);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

Test(http, serves_health_and_metrics_on_a_unix_socket) {
  char listen[64];
  struct stat status;
  snprintf(listen, sizeof listen, "unix:%s/http", dir);
  cr_assert_eq(open_at(listen), PD_OK);
  cr_expect_eq(pd_http_port(http), 0);
  client.path = listen + 5;
  cr_assert_eq(stat(client.path, &status), 0);
  cr_expect_eq(status.st_mode & 0777, 0660);
  expect(GET("/livez"), "HTTP/1.1 200", "ok");
  expect(GET("/readyz"), "HTTP/1.1 200", "{\"ready\":true,\"reasons\":[]}");
  expect(GET("/metrics"), "HTTP/1.1 200", "paidan_refreshed 42\n");
  expect(GET("/else"), "HTTP/1.1 404", "/livez");
}

Test(http, says_why_it_is_not_ready) {
  cr_assert_eq(open_at("127.0.0.1:0"), PD_OK);
  client.port = pd_http_port(http);
  cr_assert_neq(client.port, 0);
  not_ready = "the log \"store\" is away";
  expect(GET("/readyz"), "HTTP/1.1 503",
         "{\"ready\":false,\"reasons\":[\"the log \\\"store\\\" is away\"]}");
  expect(GET("/livez"), "HTTP/1.1 200", "ok");
  not_ready = NULL;
  expect(GET("/readyz"), "HTTP/1.1 200", "true");
}

Test(http, other_methods_are_refused_and_bodies_not_read) {
  cr_assert_eq(open_at("127.0.0.1:0"), PD_OK);
  client.port = pd_http_port(http);
  expect("POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nConnection: close\r\n\r\n",
         "HTTP/1.1 405", "GET");
  const char *answer = get("HEAD /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  cr_expect(strstr(answer, "HTTP/1.1 200") == answer, "%s", answer);
  cr_expect(strstr(answer, "\r\n\r\nok") == NULL, "%s", answer);
}

Test(http, an_over_long_request_is_refused) {
  static char request[40000];
  cr_assert_eq(open_at("127.0.0.1:0"), PD_OK);
  client.port = pd_http_port(http);
  memset(request, 'a', sizeof request - 1);
  memcpy(request, "GET /", 5);
  const char *answer = get(request);
  cr_expect(strstr(answer, "200 OK") == NULL, "%s", answer);
  expect(GET("/livez"), "HTTP/1.1 200", "ok");
}

Test(http, silent_connections_do_not_keep_others_out) {
  cr_assert_eq(open_at("127.0.0.1:0"), PD_OK);
  client.port = pd_http_port(http);
  int silent[80];
  for (int i = 0; i < 80; i++) {
    silent[i] = dial(&client);
    uv_run(&loop, UV_RUN_NOWAIT);
  }
  /* They are cut after 5 s; then a new one is served. */
  uint64_t begin = uv_hrtime();
  expect(GET("/livez"), "HTTP/1.1 200", "ok");
  cr_expect_lt((uv_hrtime() - begin) / 1000000000, 15);
  for (int i = 0; i < 80; i++) close(silent[i]);
}

Test(http, listens_nowhere_but_here) {
  static const char *const bad[] = {"0.0.0.0:80",  "*:80",          "localhost:80",
                                    "10.0.0.1:80", "[::]:80",       "127.0.0.1",
                                    "127.0.0.1:",  "127.0.0.1:x",   "127.0.0.1:70000",
                                    "unix:",       "unix:relative", "",
                                    ":80"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    cr_expect_eq(open_at(bad[i]), PD_EINVAL, "%s", bad[i]);
}

Test(http, replaces_a_stale_socket_but_no_other_file) {
  char listen[64];
  snprintf(listen, sizeof listen, "unix:%s/http", dir);
  cr_assert_eq(open_at(listen), PD_OK);
  struct pd_http *first = http;
  cr_assert_eq(open_at(listen), PD_OK);
  pd_http_close(first);
  cr_expect_eq(access(listen + 5, F_OK), 0, "the successor's socket stays");
  pd_http_close(http);
  cr_expect_neq(access(listen + 5, F_OK), 0);
  http = NULL;
  FILE *file = fopen(listen + 5, "w");
  fclose(file);
  cr_expect_eq(open_at(listen), PD_EIO);
  http = NULL;
}

Test(http, a_port_in_use_is_an_error) {
  char listen[64];
  cr_assert_eq(open_at("127.0.0.1:0"), PD_OK);
  struct pd_http *first = http;
  snprintf(listen, sizeof listen, "127.0.0.1:%u", pd_http_port(first));
  cr_expect_eq(open_at(listen), PD_EIO);
  http = first;
}
