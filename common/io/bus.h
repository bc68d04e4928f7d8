/* bus - ZeroMQ sockets on a libuv loop.
 *
 * A ZeroMQ socket's descriptor is edge-triggered and says only "look": so a watch asks ZMQ_EVENTS
 * before the loop blocks and after it wakes, and keeps the loop awake while input is left.  Without
 * that, loops stall for ever.
 *
 * Invariants: nothing is bound to a non-loopback address; every socket has a bound on a frame and
 * on its queues, and LINGER 0 (what must not be lost is in the log).
 */
#ifndef PD_IO_BUS_H
#define PD_IO_BUS_H

#include "common/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>
#include <zmq.h>

struct pd_bus_watch;

/* Input is there: receive with ZMQ_DONTWAIT, as many messages as one turn should take (1 is fine),
 * and return.  It is called again in the loop's next round while input is left. */
typedef void pd_bus_fn(void *context, void *socket);

/* Watch a socket for input.  The socket stays the caller's, and must outlive the watch. */
PD_MUST_USE enum pd_err pd_bus_watch(struct pd_bus_watch **watch, uv_loop_t *loop, void *socket,
                                     pd_bus_fn *ready, void *context);

/* Stop and go on: back-pressure.  While paused, input stays in the socket's queue and at its peers.
 */
void pd_bus_pause(struct pd_bus_watch *watch, bool paused);

/* No callback follows; NULL-safe.  The socket may be closed at once; the loop must run on to
 * release the memory. */
void pd_bus_unwatch(struct pd_bus_watch *watch);

struct pd_bus_options {
  int64_t max_message; /* bytes of one frame; 0: 1 MiB */
  int send_mark;       /* messages; 0: 10000 */
  int receive_mark;    /* messages; 0: 10000 */
};

/* Make a socket (ZMQ_PUB, ZMQ_SUB, ZMQ_ROUTER, ZMQ_DEALER ...) with bounds, LINGER 0, heartbeats of
 * 1 s / 3 s and a handshake limit of 2 s.  A ROUTER gets ZMQ_ROUTER_MANDATORY: sending to a peer
 * that is gone or full fails (EHOSTUNREACH, EAGAIN) instead of dropping in silence.  options may be
 * NULL. */
PD_MUST_USE enum pd_err pd_bus_socket(void **bus_socket, void *zmq, int type,
                                      const struct pd_bus_options *options);

/* Bind.  The folders of an ipc:// path are made (0750) and the socket file is 0660.  PD_EINVAL: not
 * ipc://, inproc:// or a loopback tcp:// address; PD_EBOUNDS: a path too long for a socket; PD_EIO:
 * refused by the system. */
PD_MUST_USE enum pd_err pd_bus_bind(void *socket, const char *endpoint);

/* Bind where other machines reach it: a tcp:// address of any kind, which only CURVE clients get
 * through.  secret: the server's key; domain: what the ZAP handler of the socket's context is told,
 * and it must be there first: without one everybody is refused.  PD_EINVAL: not tcp://; PD_EEXIST:
 * the address is taken; PD_EIO: refused by the system. */
#define PD_BUS_KEY 32
PD_MUST_USE enum pd_err pd_bus_bind_curve(void *socket, const char *endpoint,
                                          const uint8_t secret[PD_BUS_KEY], const char *domain);

/* Keys of a client at the edge, in Z85 (40 digits and a NUL). */
#define PD_BUS_KEY_TEXT 41
struct pd_bus_curve {
  char server[PD_BUS_KEY_TEXT]; /* the edge's public key */
  char public_key[PD_BUS_KEY_TEXT];
  char secret_key[PD_BUS_KEY_TEXT];
};

/* Set a client's keys, before it connects.  PD_EINVAL: one of them is no key. */
PD_MUST_USE enum pd_err pd_bus_curve_client(void *socket, const struct pd_bus_curve *keys);

/* The name that the ZAP handler gave the sender of a message; NULL if none did. */
const char *pd_bus_user(zmq_msg_t *message);

/* Connect; the peer need not be there yet.  PD_EINVAL: not an endpoint. */
PD_MUST_USE enum pd_err pd_bus_connect(void *socket, const char *endpoint);

/* The user id of the process at the other end of an ipc:// connection, as the kernel gave it
 * (SO_PEERCRED); -1 if the message came another way.  The frame must be one that the peer sent: the
 * identity that a ROUTER puts in front has lost it whenever ZMQ_EVENTS was asked before (4.3.4). */
int64_t pd_bus_peer_uid(zmq_msg_t *message);

/* Send one message of up to 8 frames without blocking.  PD_EAGAIN: at the high-water mark;
 * PD_ENOENT: a ROUTER does not know the peer; then nothing was sent. */
struct pd_frame {
  const void *data;
  size_t size;
};
PD_MUST_USE enum pd_err pd_bus_send(void *socket, const struct pd_frame *frames, size_t count);

/* A received message.  Init once with pd_bus_message_init, close once. */
#define PD_BUS_FRAMES 8
struct pd_bus_message {
  zmq_msg_t frames[PD_BUS_FRAMES];
  size_t count;
};
void pd_bus_message_init(struct pd_bus_message *message);
void pd_bus_message_close(struct pd_bus_message *message);
/* Receive one message without blocking, replacing the last.  PD_EAGAIN: none is there; PD_EBOUNDS:
 * it had more than PD_BUS_FRAMES frames and was thrown away. */
PD_MUST_USE enum pd_err pd_bus_receive(void *socket, struct pd_bus_message *message);

#endif
