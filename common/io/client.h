/* client - commands to a door and events from the daemons, for tools, players and tests.
 *
 * A client speaks to one door of intake (a DEALER socket), with at most `window` commands in
 * flight.  A reply is matched to its command by number; a command that stays without one is sent
 * again with the same idempotency key, first after 2 s, then twice as late each time, and given up
 * after `give_up_ms`.  "Not now" (CODE_RETRY) is answered by sending again, too.
 *
 * Where a daemon has several instances, one of them leads.  The others answer "moved", and the
 * client goes where they say; when nobody answers, it tries the next of its endpoints.
 *
 * Invariants:
 *     - every command that pd_client_send() took has its callback called exactly once;
 *     - an Ack means recorded: durable, never lost; what comes of it is an event.
 *
 * A subscriber hears the entries of any number of daemons and hands on their events in order; it
 * says when it missed some, and what it missed is in the log.
 */
#ifndef PD_IO_CLIENT_H
#define PD_IO_CLIENT_H

#include "common/base/err.h"
#include "common/io/bus.h"
#include "common/wire/entry.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct pd_client;

#define PD_CLIENT_ENDPOINTS 4

struct pd_client_options {
  const char *endpoint; /* "ipc:///run/paidan/door.site"; or several, separated by blanks, at most
                           PD_CLIENT_ENDPOINTS: the same door of each instance */
  uint32_t shard;       /* put into every command */
  uint32_t window;      /* commands in flight, 1 .. 65,536; 0: 512 */
  uint32_t give_up_ms;  /* 0: 30,000 */
  uint32_t zero;
  const struct pd_bus_curve *curve; /* at the edge: the keys; NULL: a local door */
};

/* What came of a command.  err: PD_OK: reply is set (an ack or a refusal) and lives until the
 * callback returns; PD_EDOWN: nobody answered in time: the command may be recorded or not, the same
 * key again will tell.  It may send further
 * commands (its own slot is free again), but must not turn, call or close the client. */
typedef void pd_client_done(void *context, enum pd_err err, const struct pd_reply *reply);

/* Begin to connect; the door need not be there yet.  zmq: the ZeroMQ context.  PD_EINVAL: not an
 * endpoint, or too many. */
PD_MUST_USE enum pd_err pd_client_open(struct pd_client **client, void *zmq,
                                       const struct pd_client_options *options);

/* Pending callbacks get PD_EDOWN.  NULL-safe.  If attached to a loop, that must run on to release
 * the memory. */
void pd_client_close(struct pd_client *client);

/* Commands in flight, and how many more fit into the window. */
uint32_t pd_client_pending(const struct pd_client *client);
uint32_t pd_client_room(const struct pd_client *client);

/* Send a command; it is packed at once (shard and request are filled in; key and body are the
 * caller's).  PD_EAGAIN: the window is full; PD_EBOUNDS: over 65,536 bytes. */
PD_MUST_USE enum pd_err pd_client_send(struct pd_client *client, struct pd_command *command,
                                       pd_client_done *done, void *context);

/* The same of a command that is packed already, of which nothing is changed but that shard, request
 * and key (unless NULL or "") are put behind it: of a field that comes twice the last one
 * counts. */
PD_MUST_USE enum pd_err pd_client_send_packed(struct pd_client *client, const uint8_t *bytes,
                                              size_t size, const char *key, pd_client_done *done,
                                              void *context);

/* The connection is known to have been lost: what is in flight is due now, not when its patience
 * ends.  With the same keys, so that it takes effect once. */
void pd_client_resend(struct pd_client *client);

/* Within a pd_client_done with PD_OK: the reply's bytes as they came. */
const uint8_t *pd_client_reply_bytes(const struct pd_client *client, size_t *size);

/* The socket, to wait for it beside others with zmq_poll(): when it is readable, turn. */
void *pd_client_socket(const struct pd_client *client);

/* Take replies, send again what is due.  Waits up to wait_ms for the first reply (0: not at all);
 * returns how many callbacks were called.  For programs without a loop. */
uint32_t pd_client_turn(struct pd_client *client, int wait_ms);

/* Turn until nothing is in flight. */
void pd_client_drain(struct pd_client *client);

/* Let a loop do the turning. */
PD_MUST_USE enum pd_err pd_client_attach(struct pd_client *client, uv_loop_t *loop);

/* Send one command and wait for its reply, which the caller frees with
 * paidan__v1__reply__free_unpacked(reply, NULL). PD_EDOWN: nobody answered within give_up_ms;
 * PD_EBOUNDS as above. */
PD_MUST_USE enum pd_err pd_client_call(struct pd_client *client, struct pd_command *command,
                                       struct pd_reply **reply);

/* A fresh idempotency key: 32 random hexadecimal digits and a NUL. */
#define PD_CLIENT_KEY 33
void pd_client_fresh_key(char key[PD_CLIENT_KEY]);

/* ---- events ---- */

struct pd_subscriber;

struct pd_subscriber_calls {
  void *context;
  /* One event, in the order of its log.  event lives until the call returns; bytes are its packed
   * form. */
  void (*event)(void *context, const struct pd_event *event, const uint8_t *bytes, size_t size);
  /* Events from .. to of this log were not received here, and will not be: read the log.  May be
   * NULL. */
  void (*gap)(void *context, enum pd_log log, uint64_t from, uint64_t to);
  /* Said at least once a second by each log's writer.  May be NULL. */
  void (*tip)(void *context, const struct pd_tip *tip);
};

/* Hear shard's entries.  Connect as many daemons as wanted with pd_subscriber_connect(). */
PD_MUST_USE enum pd_err pd_subscriber_open(struct pd_subscriber **subscriber, void *zmq,
                                           uint32_t shard, const struct pd_subscriber_calls *calls);
/* endpoint: "ipc:///run/paidan/intake.pub".  PD_EINVAL: not an endpoint. */
PD_MUST_USE enum pd_err pd_subscriber_connect(struct pd_subscriber *subscriber,
                                              const char *endpoint);

/* The next event of this log that is wanted; earlier ones are passed over, a later one first is a
 * gap.  Without this the first entry heard says where a log begins. */
void pd_subscriber_expect(struct pd_subscriber *subscriber, enum pd_log log, uint64_t seq);

/* The socket, to wait for it beside others. */
void *pd_subscriber_socket(const struct pd_subscriber *subscriber);

/* Take what is there; waits up to wait_ms for the first message.  Returns how many messages were
 * taken (at most 256). */
uint32_t pd_subscriber_turn(struct pd_subscriber *subscriber, int wait_ms);

/* Let a loop do the turning. */
PD_MUST_USE enum pd_err pd_subscriber_attach(struct pd_subscriber *subscriber, uv_loop_t *loop);
void pd_subscriber_close(struct pd_subscriber *subscriber); /* NULL-safe */

#endif
