/* gateway - the edge: what programs on other machines reach of a district.
 *
 * It follows the five logs as a daemon does, holds no log of its own, and stands outside the
 * daemons' trust: its user may only read the logs, and commands go through intake's door `edge`.
 *
 *     zap.c       who gets through the handshake: keys in the grants file
 *     publish.c   XPUB: who hears what; one message an event; tips
 *     follow.c    the five logs: frames, gaps, catching up from the store
 *     commands.c  ROUTER: a command in, in the name of its key; the reply back
 *     replay.c    ROUTER: events of the past
 *
 * Everything runs on one loop and one thread.  Memory is bounded by the process's own limit: who is
 * let in and misuses it restarts the edge at worst, and nothing behind it notices.
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "common/flow/follower.h"
#include "common/io/bus.h"
#include "common/io/config.h"
#include "common/io/http.h"
#include "common/io/shell.h"
#include "common/io/metrics.h"
#include "common/io/store.h"
#include "services/gateway/events.h"
#include "services/gateway/grants.h"

#include <uv.h>

#define GATEWAY_BEAT_MS 250 /* tips, retries, sweeps */

struct gateway_config {
  struct pd_common_config common;
  char edge[256];
  char edge_key_file[256];
  char grants_file[256];
  uint64_t memory_limit_mb;
  uint64_t edge_window;
};

struct commands;
struct replay;

/* A refusal by the edge itself; all texts are literals. */
struct edge_refusal {
  enum pd_code code;
  uint32_t zero;
  const char *field, *rule, *next, *zh;
};

/* One log that is followed. */
struct feed {
  struct gateway *gateway;
  enum pd_log log;
  uint32_t zero;
  void *socket;
  struct pd_bus_watch *watch;
  struct pd_follower follower;
  uint64_t since;                        /* the first event that was heard here, or would be */
  uint64_t last_of_kind[PD_EVENT_KINDS]; /* heard since then */
  bool known;   /* where the log ends was read once, and the follower goes on from there */
  bool asked;   /* that was asked for */
  bool behind;  /* read the store until it says there is no more */
  bool reading; /* a read is under way */
  bool hinted;  /* something was heard of since the read was asked for */
  bool stuck;   /* what the store holds does not follow */
  uint64_t heard_at;          /* loop time of the last heartbeat */
  char endpoint[PD_ENDPOINT]; /* of the log's leader */
};

enum { EDGE_EVENTS, EDGE_COMMANDS, EDGE_REPLAYS, EDGE_SOCKETS };

/* A public socket. */
struct edge_socket {
  void *socket;
  struct pd_bus_watch *watch;
};

/* What is remembered of a key, by its name, whatever becomes of its grant. */
struct standing {
  char name[GRANTS_NAME]; /* "": a free place */
  bool listens;           /* has subscribed since the socket was opened */
  uint8_t zero[6];
  uint64_t barred_until; /* loop time; offended */
  uint32_t window;       /* commands in flight */
  uint32_t replays;      /* under way */
  uint32_t subscribing;  /* subscriptions in this window */
};
#define GATEWAY_STANDINGS 1024 /* more than two grants files full */

struct gateway_counts {
  struct pd_metric *events, *gaps, *bad, *admitted, *denied, *subscriptions, *ungranted, *offences;
  struct pd_metric *commands, *refused, *lost, *replays, *replayed, *reloads;
  struct pd_metric *seq[PD_LOGS], *tail[PD_LOGS];
};

struct gateway {
  struct gateway_config config;
  uv_loop_t loop;
  uv_timer_t beat;
  uv_signal_t signals[3];
  void *zmq;
  struct pd_metrics *metrics;
  struct gateway_counts counts;
  struct pd_http *http;
  struct pd_store *store; /* of the followers */
  char why[160];          /* the store is away; "" */
  struct feed feeds[PD_LOGS];
  struct grants *grants;
  struct standing standings[GATEWAY_STANDINGS];
  struct standing *standing_of[GRANTS_KEYS]; /* of each of grants->keys */
  uint8_t secret[PD_BUS_KEY];
  void *zap;
  struct pd_bus_watch *zap_watch;
  struct edge_socket edge[EDGE_SOCKETS];
  bool bound; /* the public sockets are */
  bool told;  /* that they are not */
  bool stopping;
  bool leases_asked; /* who leads is being asked */
  uint32_t opened;       /* how often the public sockets were: an identity is of one opening */
  uint64_t window_until; /* of counting subscriptions; loop time */
  uint64_t live_subscriptions;
  int64_t time_ms;  /* the shard's clock as last heard */
  uint8_t *scratch; /* PD_EVENT_MAX + 64 bytes: an event without its redacted fields */
  struct commands *commands;
  struct replay *replay;
};

/* The district. */
static inline uint32_t gateway_shard(const struct gateway *gateway) {
  return (uint32_t)gateway->config.common.shard;
}

/* ---- gateway.c ---- */

/* Run until SIGTERM or SIGINT; the exit code. */
int gateway_main(int argc, char **argv);

/* Who sent this, as the ZAP handler named it: NULL if the grant is gone. */
const struct grant *gateway_sender(struct gateway *gateway, zmq_msg_t *message);

/* What is remembered of a key of the grants in force; it stays where it is as long as something of
 * it is under way. */
struct standing *gateway_standing(struct gateway *gateway, const struct grant *grant);

/* A key did what no client does: bar it for a minute, and drop every connection by opening the
 * public sockets anew; the others come back within a second. */
void gateway_offence(struct gateway *gateway, const struct grant *grant, const char *what);

/* Count what should not have come, and tell of it once a source and ten seconds. */
void gateway_bad(struct gateway *gateway, const char *source, const char *what);

/* ---- zap.c ---- */

/* Answer libzmq's questions; before any public socket is bound. */
PD_MUST_USE enum pd_err zap_open(struct gateway *gateway);
void zap_close(struct gateway *gateway);

/* ---- follow.c ---- */

/* Connect to the daemons' publishers; what the store has to say comes with the beat. */
PD_MUST_USE enum pd_err follow_open(struct gateway *gateway);
void follow_close(struct gateway *gateway);
/* Ask for what is missing: the ends of the logs after the start, entries of logs that are behind.
 */
void follow_beat(struct gateway *gateway);
/* Ask who leads the logs, and go there: it was said that somebody else does. */
void follow_ask(struct gateway *gateway);
/* Why not every log is followed; NULL. */
const char *follow_unready(const struct gateway *gateway);

/* ---- publish.c ---- */

/* Subscriptions are there. */
void publish_subscriptions(void *context, void *socket);
/* Send one event to whom it concerns. */
void publish_event(struct gateway *gateway, enum pd_log log, const struct pd_event_view *event);
/* Send a tip under each view. */
void publish_tip(struct gateway *gateway);

/* ---- commands.c ---- */

/* Connect to intake's door.  PD_EIO: no memory. */
PD_MUST_USE enum pd_err commands_open(struct gateway *gateway);
void commands_close(struct gateway *gateway);
/* Intake's door is there from now on. */
void commands_move(struct gateway *gateway, const char *endpoint);
/* Commands are there. */
void commands_ready(void *context, void *socket);
/* Forget what was never answered; go on where intake did not take any more. */
void commands_beat(struct gateway *gateway);

/* The public sockets were closed: what is held has nobody to be answered to. */
void commands_dropped(struct gateway *gateway);

/* ---- replay.c ---- */

/* A connection to the store of its own; closing it ends the replays under way. */
PD_MUST_USE enum pd_err replay_open(struct gateway *gateway);
void replay_close(struct gateway *gateway);
/* Requests are there. */
void replay_ready(void *context, void *socket);

#endif
