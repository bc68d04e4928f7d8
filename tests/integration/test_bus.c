/* The bus on real sockets: nothing stalls, nothing is bound in the open, the peer's user is known.
 */
#include "common/io/bus.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];
static void *zmq;

static void set_up(void) {
  snprintf(dir, sizeof dir, "/tmp/pd-bus-XXXXXX");
  cr_assert_not_null(mkdtemp(dir));
  zmq = zmq_ctx_new();
}

static void tear_down(void) {
  zmq_ctx_term(zmq);
  char command[96];
  snprintf(command, sizeof command, "rm -rf %s", dir);
  cr_assert_eq(system(command), 0);
}

TestSuite(bus, .init = set_up, .fini = tear_down, .timeout = 60);

static void *open_socket(int type, const struct pd_bus_options *options) {
  void *socket = NULL;
  cr_assert_eq(pd_bus_socket(&socket, zmq, type, options), PD_OK);
  return socket;
}

static const char *endpoint(const char *name) {
  static char text[128];
  snprintf(text, sizeof text, "ipc://%s/a/b/%s", dir, name);
  return text;
}

static enum pd_err send_number(void *socket, uint32_t number) {
  struct pd_frame frame = {&number, sizeof number};
  return pd_bus_send(socket, &frame, 1);
}

Test(bus, makes_the_folders_of_a_socket_and_keeps_others_out) {
  void *socket = open_socket(ZMQ_PUB, NULL);
  struct stat status;
  char path[128];
  cr_assert_eq(pd_bus_bind(socket, endpoint("pub")), PD_OK);
  snprintf(path, sizeof path, "%s/a/b", dir);
  cr_assert_eq(stat(path, &status), 0);
  cr_expect_eq(status.st_mode & 0777, 0750);
  snprintf(path, sizeof path, "%s/a/b/pub", dir);
  cr_assert_eq(stat(path, &status), 0);
  cr_expect_eq(status.st_mode & 0777, 0660);
  zmq_close(socket);
}

Test(bus, binds_to_loopback_and_files_only) {
  static const char *const open_to_all[] = {"tcp://*:5555",
                                            "tcp://0.0.0.0:5555",
                                            "tcp://[::]:5555",
                                            "tcp://eth0:5555",
                                            "tcp://127.0.0.1.example.org:5555",
                                            "tcp://10.0.0.1:5555",
                                            "tcp://localhost:5555",
                                            "udp://127.0.0.1:5555",
                                            "ipc://@abstract",
                                            "ipc://relative",
                                            "ipc://*",
                                            "tcp://",
                                            ""};
  void *socket = open_socket(ZMQ_PUB, NULL);
  for (size_t i = 0; i < sizeof open_to_all / sizeof *open_to_all; i++) {
    cr_expect_eq(pd_bus_bind(socket, open_to_all[i]), PD_EINVAL, "%s", open_to_all[i]);
  }
  cr_expect_eq(pd_bus_bind(socket, "tcp://127.0.0.1:*"), PD_OK);
  char path[200];
  memset(path, 'x', sizeof path);
  memcpy(path, "ipc:///", 7);
  path[sizeof path - 1] = '\0';
  cr_expect_eq(pd_bus_bind(socket, path), PD_EBOUNDS);
  zmq_close(socket);
}

/* ---- echo: a ROUTER on the loop, a DEALER in a thread ---- */

enum { ECHOES = 100000, ECHO_WINDOW = 500 };

struct echo {
  uv_loop_t loop;
  void *router;
  struct pd_bus_watch *watch;
  struct pd_bus_message message;
  uint32_t echoed;
  int64_t uid;
};

static void on_echo(void *context, void *socket) {
  struct echo *echo = context;
  cr_assert_eq(pd_bus_receive(socket, &echo->message), PD_OK);
  echo->uid = pd_bus_peer_uid(&echo->message.frames[1]);
  struct pd_frame frames[2];
  for (size_t i = 0; i < 2; i++) {
    frames[i] = (struct pd_frame){zmq_msg_data(&echo->message.frames[i]),
                                  zmq_msg_size(&echo->message.frames[i])};
  }
  cr_assert_eq(pd_bus_send(socket, frames, 2), PD_OK);
  if (++echo->echoed == ECHOES) pd_bus_unwatch(echo->watch);
}

/* Send numbers, a window ahead, and check that they come back in order. */
static void ask_for_echoes(void *context) {
  void *dealer = context;
  uint32_t sent = 0;
  for (uint32_t back = 0; back < ECHOES; back++) {
    for (; sent < ECHOES && sent < back + ECHO_WINDOW; sent++) {
      if (zmq_send(dealer, &sent, sizeof sent, 0) != sizeof sent) return;
    }
    uint32_t number;
    if (zmq_recv(dealer, &number, sizeof number, 0) != sizeof number || number != back) return;
  }
}

Test(bus, a_hundred_thousand_echoes_neither_stall_nor_get_lost) {
  struct echo echo = {0};
  uv_loop_init(&echo.loop);
  pd_bus_message_init(&echo.message);
  echo.router = open_socket(ZMQ_ROUTER, NULL);
  cr_assert_eq(pd_bus_bind(echo.router, endpoint("door")), PD_OK);
  cr_assert_eq(pd_bus_watch(&echo.watch, &echo.loop, echo.router, on_echo, &echo), PD_OK);
  void *dealer = open_socket(ZMQ_DEALER, NULL);
  cr_assert_eq(pd_bus_connect(dealer, endpoint("door")), PD_OK);
  uv_thread_t thread;
  uv_thread_create(&thread, ask_for_echoes, dealer);
  cr_expect_eq(uv_run(&echo.loop, UV_RUN_DEFAULT), 0);
  cr_expect_eq(echo.echoed, ECHOES);
  cr_expect_eq(echo.uid, (int64_t)getuid());
  uv_thread_join(&thread);
  cr_expect_eq(uv_loop_close(&echo.loop), 0);
  pd_bus_message_close(&echo.message);
  zmq_close(dealer);
  zmq_close(echo.router);
}

/* ---- sending from a prepare that runs after the watch's own: the edge must not get lost ---- */

enum { TALKS = 3000 };

struct late_sender {
  uv_loop_t loop;
  void *socket;
  struct pd_bus_watch *watch;
  struct pd_bus_message message;
  uv_prepare_t prepare;
  uint32_t heard;
};

/* Wait for input to come in, then send: libzmq takes the edge while it sends. */
static void on_late_prepare(uv_prepare_t *prepare) {
  struct late_sender *self = prepare->data;
  usleep(100);
  (void)send_number(self->socket, 1);
}

static void on_talk(void *context, void *socket) {
  struct late_sender *self = context;
  while (pd_bus_receive(socket, &self->message) == PD_OK) self->heard++;
  if (self->heard < TALKS) return;
  pd_bus_unwatch(self->watch);
  uv_close((uv_handle_t *)&self->prepare, NULL);
}

static void talk(void *context) {
  void *pair = context;
  uint32_t number;
  for (uint32_t i = 0; i < TALKS; i++) {
    while (zmq_recv(pair, &number, sizeof number, ZMQ_DONTWAIT) > 0) continue;
    if (zmq_send(pair, &i, sizeof i, 0) < 0) return;
    usleep(70);
  }
}

Test(bus, a_send_just_before_the_loop_blocks_does_not_hide_input) {
  struct late_sender self = {0};
  uv_loop_init(&self.loop);
  pd_bus_message_init(&self.message);
  self.socket = open_socket(ZMQ_PAIR, NULL);
  cr_assert_eq(pd_bus_bind(self.socket, "inproc://pair"), PD_OK);
  void *other = open_socket(ZMQ_PAIR, NULL);
  cr_assert_eq(pd_bus_connect(other, "inproc://pair"), PD_OK);
  /* libuv runs the prepare that was started last first. */
  uv_prepare_init(&self.loop, &self.prepare);
  self.prepare.data = &self;
  uv_prepare_start(&self.prepare, on_late_prepare);
  cr_assert_eq(pd_bus_watch(&self.watch, &self.loop, self.socket, on_talk, &self), PD_OK);
  uv_thread_t thread;
  uv_thread_create(&thread, talk, other);
  cr_expect_eq(uv_run(&self.loop, UV_RUN_DEFAULT), 0);
  cr_expect_eq(self.heard, TALKS);
  uv_thread_join(&thread);
  uv_loop_close(&self.loop);
  pd_bus_message_close(&self.message);
  zmq_close(self.socket);
  zmq_close(other);
}

/* ---- a reader that stalls ---- */

struct reader {
  uv_loop_t loop;
  uv_timer_t timer;
  struct pd_bus_watch *watch;
  struct pd_bus_message message;
  uint32_t next;
  uint32_t rounds;
};

static void on_go_on(uv_timer_t *timer) {
  struct reader *reader = timer->data;
  pd_bus_pause(reader->watch, false);
}

static void on_number(void *context, void *socket) {
  struct reader *reader = context;
  cr_assert_eq(pd_bus_receive(socket, &reader->message), PD_OK);
  uint32_t number;
  memcpy(&number, zmq_msg_data(&reader->message.frames[0]), sizeof number);
  cr_assert_eq(number, reader->next);
  reader->next++;
  if (reader->next == 3000) {
    pd_bus_unwatch(reader->watch);
    uv_close((uv_handle_t *)&reader->timer, NULL);
  } else if (reader->next % 1000 == 0) {
    pd_bus_pause(reader->watch, true);
    uv_timer_start(&reader->timer, on_go_on, 200, 0);
  }
}

static void on_round(uv_check_t *check) {
  ((struct reader *)check->data)->rounds++;
}

Test(bus, a_paused_reader_holds_its_peer_back_and_neither_loses_nor_spins) {
  struct reader reader = {0};
  struct pd_bus_options small = {.send_mark = 50, .receive_mark = 50};
  uv_loop_init(&reader.loop);
  pd_bus_message_init(&reader.message);
  uv_timer_init(&reader.loop, &reader.timer);
  reader.timer.data = &reader;
  uv_check_t rounds;
  uv_check_init(&reader.loop, &rounds);
  rounds.data = &reader;
  uv_check_start(&rounds, on_round);
  uv_unref((uv_handle_t *)&rounds);
  void *pull = open_socket(ZMQ_PULL, &small);
  void *push = open_socket(ZMQ_PUSH, &small);
  cr_assert_eq(pd_bus_bind(pull, endpoint("pull")), PD_OK);
  cr_assert_eq(pd_bus_connect(push, endpoint("pull")), PD_OK);
  cr_assert_eq(pd_bus_watch(&reader.watch, &reader.loop, pull, on_number, &reader), PD_OK);
  uint32_t sent = 0;
  int refused = 0;
  while (sent < 3000 || reader.next < 3000) {
    while (sent < 3000 && send_number(push, sent) == PD_OK) sent++;
    if (sent < 3000) refused++;
    uv_run(&reader.loop, sent < 3000 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
  }
  cr_expect_gt(refused, 0, "the sender was told to wait");
  uint32_t before = reader.rounds;
  uv_close((uv_handle_t *)&rounds, NULL);
  uv_run(&reader.loop, UV_RUN_DEFAULT);
  cr_expect_lt(reader.rounds - before, 10);
  uv_loop_close(&reader.loop);
  pd_bus_message_close(&reader.message);
  zmq_close(push);
  zmq_close(pull);
}

Test(bus, a_paused_watch_with_input_waiting_lets_the_loop_sleep) {
  struct reader reader = {0};
  uv_loop_init(&reader.loop);
  pd_bus_message_init(&reader.message);
  uv_timer_init(&reader.loop, &reader.timer);
  reader.timer.data = &reader;
  void *pull = open_socket(ZMQ_PULL, NULL);
  void *push = open_socket(ZMQ_PUSH, NULL);
  cr_assert_eq(pd_bus_bind(pull, endpoint("pull")), PD_OK);
  cr_assert_eq(pd_bus_connect(push, endpoint("pull")), PD_OK);
  cr_assert_eq(pd_bus_watch(&reader.watch, &reader.loop, pull, on_number, &reader), PD_OK);
  for (uint32_t i = 0; i < 3000; i++) cr_assert_eq(send_number(push, i), PD_OK);
  uint32_t rounds = 0;
  pd_bus_pause(reader.watch, true);
  uv_timer_start(&reader.timer, on_go_on, 300, 0);
  while (reader.next == 0) {
    uv_run(&reader.loop, UV_RUN_ONCE);
    rounds++;
  }
  cr_expect_lt(rounds, 1000, "%u rounds in 300 ms", rounds);
  while (uv_run(&reader.loop, UV_RUN_ONCE) != 0) continue;
  cr_expect_eq(reader.next, 3000);
  uv_loop_close(&reader.loop);
  pd_bus_message_close(&reader.message);
  zmq_close(push);
  zmq_close(pull);
}

/* ---- bounds ---- */

Test(bus, a_message_of_too_many_frames_is_thrown_away_whole) {
  void *left = open_socket(ZMQ_PAIR, NULL);
  void *right = open_socket(ZMQ_PAIR, NULL);
  struct pd_bus_message message;
  pd_bus_message_init(&message);
  cr_assert_eq(pd_bus_bind(left, "inproc://frames"), PD_OK);
  cr_assert_eq(pd_bus_connect(right, "inproc://frames"), PD_OK);
  for (int i = 0; i < 20; i++) zmq_send(right, "x", 1, i < 19 ? ZMQ_SNDMORE : 0);
  cr_assert_eq(send_number(right, 7), PD_OK);
  cr_expect_eq(pd_bus_receive(left, &message), PD_EBOUNDS);
  cr_expect_eq(message.count, 0);
  cr_expect_eq(pd_bus_receive(left, &message), PD_OK);
  cr_expect_eq(message.count, 1);
  cr_expect_eq(pd_bus_receive(left, &message), PD_EAGAIN);
  cr_expect_eq(pd_bus_peer_uid(&message.frames[0]), -1, "an inproc peer has no user");
  pd_bus_message_close(&message);
  zmq_close(left);
  zmq_close(right);
}

Test(bus, a_router_says_that_a_peer_is_gone) {
  void *router = open_socket(ZMQ_ROUTER, NULL);
  cr_assert_eq(pd_bus_bind(router, endpoint("door")), PD_OK);
  struct pd_frame frames[2] = {{"nobody", 6}, {"hello", 5}};
  cr_expect_eq(pd_bus_send(router, frames, 2), PD_ENOENT);
  zmq_close(router);
}

Test(bus, a_tcp_peer_has_no_user) {
  void *pull = open_socket(ZMQ_PULL, NULL);
  void *push = open_socket(ZMQ_PUSH, NULL);
  char address[64];
  size_t size = sizeof address;
  cr_assert_eq(pd_bus_bind(pull, "tcp://127.0.0.1:*"), PD_OK);
  cr_assert_eq(zmq_getsockopt(pull, ZMQ_LAST_ENDPOINT, address, &size), 0);
  cr_assert_eq(pd_bus_connect(push, address), PD_OK);
  zmq_send(push, "x", 1, 0);
  zmq_msg_t frame;
  zmq_msg_init(&frame);
  cr_assert_eq(zmq_msg_recv(&frame, pull, 0), 1);
  cr_expect_eq(pd_bus_peer_uid(&frame), -1);
  zmq_msg_close(&frame);
  zmq_close(push);
  zmq_close(pull);
}
