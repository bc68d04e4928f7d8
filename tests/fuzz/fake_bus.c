#include "tests/fuzz/fake_bus.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WATCHES 8

struct pd_bus_watch {
  void *socket;
  pd_bus_fn *ready;
  void *context;
};

static struct pd_bus_watch watches[WATCHES];
static size_t watch_count;
static struct pd_frame waiting[PD_BUS_FRAMES];
static size_t waiting_count;
static fake_bus_fn *send_to;

void fake_bus_put(const struct pd_frame *frames, size_t count) {
  waiting_count = count;
  for (size_t i = 0; frames != NULL && i < count && i < PD_BUS_FRAMES; i++) waiting[i] = frames[i];
}

void fake_bus_sends_to(fake_bus_fn *sent) { send_to = sent; }

void fake_bus_ready(void *socket) {
  for (size_t i = 0; i < watch_count; i++)
    if (watches[i].socket == socket) watches[i].ready(watches[i].context, socket);
}

enum pd_err pd_bus_watch(struct pd_bus_watch **watch, uv_loop_t *loop, void *socket,
                         pd_bus_fn *ready, void *context) {
  (void)loop;
  pd_assert(watch_count < WATCHES);
  *watch = &watches[watch_count++];
  **watch = (struct pd_bus_watch){socket, ready, context};
  return PD_OK;
}

void pd_bus_pause(struct pd_bus_watch *watch, bool paused) {
  (void)watch;
  (void)paused;
}

void pd_bus_unwatch(struct pd_bus_watch *watch) { (void)watch; }

enum pd_err pd_bus_socket(void **bus_socket, void *zmq, int type,
                          const struct pd_bus_options *options) {
  (void)options;
  *bus_socket = zmq_socket(zmq, type); /* a real one, for the options that are set on it */
  return *bus_socket != NULL ? PD_OK : PD_EIO;
}

enum pd_err pd_bus_bind(void *socket, const char *endpoint) {
  (void)socket;
  (void)endpoint;
  return PD_OK;
}

enum pd_err pd_bus_connect(void *socket, const char *endpoint) {
  (void)socket;
  (void)endpoint;
  return PD_OK;
}

enum pd_err pd_bus_curve_client(void *socket, const struct pd_bus_curve *keys) {
  (void)socket;
  (void)keys;
  return PD_OK;
}

int64_t pd_bus_peer_uid(zmq_msg_t *message) {
  (void)message;
  return (int64_t)geteuid();
}

enum pd_err pd_bus_send(void *socket, const struct pd_frame *frames, size_t count) {
  (void)socket;
  pd_assert(count > 0 && count <= PD_BUS_FRAMES);
  if (send_to == NULL) return PD_EAGAIN;
  send_to(frames, count);
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

static void release(void *data, void *hint) {
  (void)hint;
  free(data);
}

/* Each frame in a block of its own, so that a sanitizer sees what is read beyond it. */
enum pd_err pd_bus_receive(void *socket, struct pd_bus_message *message) {
  (void)socket;
  size_t count = waiting_count;
  waiting_count = 0;
  message->count = 0;
  if (count == 0) return PD_EAGAIN;
  if (count > PD_BUS_FRAMES) return PD_EBOUNDS;
  for (size_t i = 0; i < count; i++) {
    zmq_msg_t *frame = &message->frames[i];
    (void)zmq_msg_close(frame);
    size_t size = waiting[i].size;
    void *copy = malloc(size > 0 ? size : 1);
    pd_assert(copy != NULL);
    if (size > 0) memcpy(copy, waiting[i].data, size);
    (void)zmq_msg_init_data(frame, copy, size, release, NULL);
  }
  message->count = count;
  return PD_OK;
}
