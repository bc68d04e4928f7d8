/* shell - what every daemon is around its core: configuration, logs, Redis, sockets, metrics,
 * signals, snapshots.
 *
 * A process serves one shard or several.  What it has once is the shell: the loop, the sockets, the
 * metrics.  What it has for each shard is a seat: a turn, a clock, a connection to the store, feeds
 * from the other logs, snapshots, the service's own context.  Seats know nothing of each other: one
 * whose store is slow, or whose state is rebuilt, holds up no other.
 *
 *     stands by   folds its log, and by the log's marks those of the others, as they grow
 *     leads       when it holds the lease: feeds the turn, commits, publishes, answers
 *     rests       when the lease is somebody else's: stands by again
 *     is rebuilt  when another has written (a fence): from its snapshot, and then stands by
 *
 * One turn of the loop: read the frames that are there, apply and decide each, commit, and on the
 * commit's reply publish the same bytes and answer the clients.  What arrives meanwhile is the next
 * batch.  The protocol itself is in common/flow; the files shell*.c only move its bytes.
 *
 * A daemon's main.c is a table (struct pd_service) and a call of pd_shell_main().
 */
#ifndef PD_IO_SHELL_H
#define PD_IO_SHELL_H

#include "common/flow/turn.h"
#include "common/io/config.h"
#include "common/io/metrics.h"

#include <uv.h>

struct pd_shell; /* a process */
struct pd_seat;  /* a shard in it */

struct pd_service {
  const struct pd_core *core;
  const char *summary;               /* one sentence for --help */
  const struct pd_setting *settings; /* of this service alone; may be NULL */
  size_t settings_count;
  size_t config_size; /* of the struct they fill; it begins with a struct pd_common_config */

  /* At most one commit in so many milliseconds: for services that nobody waits for, so that the
   * others find the log's Redis free.  0: commit as soon as there is something. */
  uint32_t linger_ms;
  int32_t niceness; /* added by setpriority(2), 0 … 19: who nobody waits for gives way */

  /* Hooks; each may be NULL.  They run on the loop's thread. */
  const void *(*policy)(const void *config); /* the core's policy, made of the settings; lives as
                                                long as the config */
  /* Of the process: before its seats, and after them. */
  enum pd_err (*start)(struct pd_shell *shell, void **shared);
  void (*stop)(void *shared);

  /* Of a seat. */
  enum pd_err (*open)(struct pd_seat *seat, const void *config,
                      void **context); /* before the log is replayed */
  void (*lead)(void *context);         /* the log is ours, serving begins (again after a rest) */
  void (*rest)(void *context);         /* it is not any more: what did not leave is forgotten */
  void (*round)(void *context);        /* once in each round of the loop while leading */
  void (*beat)(void *context);         /* four times a second, leading or not */
  void (*reply)(void *context, uint64_t token, const uint8_t *bytes,
                size_t size);                                       /* a reply may leave */
  void (*emitted)(void *context, const struct pd_event *event);     /* applied, not yet durable */
  void (*committed)(void *context, const struct pd_packed *packed); /* durable and published */
  const char *(*unready)(void *context); /* why it is not ready though it leads, or NULL */
  void (*close)(void *context);          /* stop taking input; last call */
};

/* Run the daemon until SIGTERM or SIGINT.  Returns the exit code. */
int pd_shell_main(int argc, char **argv, const struct pd_service *service);

/* What hooks may use of the process. */
uv_loop_t *pd_shell_loop(struct pd_shell *shell);
void *pd_shell_zmq(struct pd_shell *shell);
struct pd_metrics *pd_shell_metrics(struct pd_shell *shell);
const struct pd_common_config *pd_shell_config(struct pd_shell *shell);
/* The folder of this instance's sockets: run_dir, or that of the instance in it. */
const char *pd_shell_folder(struct pd_shell *shell);
/* The seats, 0 .. pd_shell_seats() - 1. */
uint32_t pd_shell_seats(const struct pd_shell *shell);
struct pd_seat *pd_shell_seat(struct pd_shell *shell, uint32_t number);
/* The service's context of a seat; NULL as long as it is not open. */
void *pd_seat_context(struct pd_seat *seat);

/* Of a seat. */
struct pd_shell *pd_seat_shell(struct pd_seat *seat);
struct pd_turn *pd_seat_turn(struct pd_seat *seat);
const struct pd_shard *pd_seat_shard(const struct pd_seat *seat);
/* What the hook `start` made. */
void *pd_seat_shared(struct pd_seat *seat);

/* Labels for a series of this seat: with the shard in front where the process has several.  labels
 * may be NULL; text has room for PD_SEAT_LABELS.  NULL when there are none. */
#define PD_SEAT_LABELS 128
const char *pd_seat_labels(const struct pd_seat *seat, const char *labels, char *text);

/* Serving, and the lease is ours at this moment?  Inputs may be fed to the turn only then, and only
 * while pd_turn_open(). */
bool pd_seat_leading(const struct pd_seat *seat);

/* Who leads instead: where to, "ipc:///run/paidan/b", and the instance's name, as far as is known.
 * NULL when nobody else does. */
const char *pd_seat_elsewhere(const struct pd_seat *seat, const char **instance);

/* Something was fed to the turn from outside a round (a timer, a callback): run a round soon. */
void pd_seat_wake(struct pd_seat *seat);
void pd_shell_wake(struct pd_shell *shell);

/* The endpoint of a daemon's publisher or of a door, into text, which has room for PD_ENDPOINT
 * bytes.  False if the folder makes it longer than a socket's path may be. */
#define PD_ENDPOINT 128
bool pd_shell_endpoint(const char *folder, const char *name, const char *kind, char *text);

/* The same at the instance that holds a lease.  False if nobody does, or not on this machine. */
struct pd_holder;
bool pd_shell_endpoint_at(const struct pd_holder *holder, const char *name, const char *kind,
                          char *text);

#endif
