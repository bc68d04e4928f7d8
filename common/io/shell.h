/* shell - what every daemon is around its core: configuration, logs, Redis, sockets, metrics,
 * signals, snapshots.
 *
 * One turn of the loop: read the frames that are there, apply and decide each, commit, and on the
 * commit's reply publish the same bytes and answer the clients.  What arrives meanwhile is the next
 * batch.  The protocol itself is in common/flow; this file and shell_live.c only move its bytes.
 *
 * A daemon's main.c is a table (struct pd_service) and a call of pd_shell_main().
 */
#ifndef PD_IO_SHELL_H
#define PD_IO_SHELL_H

#include "common/flow/turn.h"
#include "common/io/config.h"
#include "common/io/metrics.h"

#include <uv.h>

struct pd_shell;

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
  enum pd_err (*open)(struct pd_shell *shell, const void *config,
                      void **context); /* before the log is replayed */
  void (*lead)(void *context);         /* the log is ours, serving begins (again after a fence) */
  void (*round)(void *context);        /* once in each round of the loop while leading */
  void (*reply)(void *context, uint64_t token, const uint8_t *bytes,
                size_t size);                                       /* a reply may leave */
  void (*emitted)(void *context, const struct pd_event *event);     /* applied, not yet durable */
  void (*committed)(void *context, const struct pd_packed *packed); /* durable and published */
  const char *(*unready)(void *context); /* why it is not ready, or NULL */
  void (*close)(void *context);          /* stop taking input; last call */
};

/* Run the daemon until SIGTERM or SIGINT.  Returns the exit code. */
int pd_shell_main(int argc, char **argv, const struct pd_service *service);

/* What hooks may use. */
uv_loop_t *pd_shell_loop(struct pd_shell *shell);
void *pd_shell_zmq(struct pd_shell *shell);
struct pd_turn *pd_shell_turn(struct pd_shell *shell);
struct pd_metrics *pd_shell_metrics(struct pd_shell *shell);
const struct pd_common_config *pd_shell_config(struct pd_shell *shell);

/* Serving?  Inputs may be fed to the turn only then, and only while pd_turn_open(). */
bool pd_shell_leading(const struct pd_shell *shell);

/* Something was fed to the turn from outside a round (a timer, a callback): run a round soon. */
void pd_shell_wake(struct pd_shell *shell);

/* The endpoint of a daemon's publisher or of a door, into text, which has room for PD_ENDPOINT
 * bytes.  False if run_dir makes it longer than a socket's path may be. */
#define PD_ENDPOINT 128
bool pd_shell_endpoint(const char *run_dir, const char *name, const char *kind, char *text);

#endif
