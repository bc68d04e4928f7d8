/* shell_state - what shell.c (start, replay, stop) and shell_live.c (rounds) share. */
#ifndef PD_IO_SHELL_STATE_H
#define PD_IO_SHELL_STATE_H

#include "common/io/bus.h"
#include "common/io/clock.h"
#include "common/io/http.h"
#include "common/io/shell.h"
#include "common/io/store.h"

enum pd_phase { PD_PHASE_BOOT, PD_PHASE_LIVE, PD_PHASE_FENCED, PD_PHASE_STOPPING };

/* One log that is followed. */
struct pd_feed {
  struct pd_shell *shell;
  enum pd_log log;
  void *socket;
  struct pd_bus_watch *watch;
  bool behind;  /* read the store until it says there is no more */
  bool reading; /* a read is under way */
  bool hinted;  /* more was heard of since that read began */
  uint64_t again_at; /* no read before this loop time: the store gave a bad entry */
};

struct pd_shell_counts {
  struct pd_metric *events, *commits, *bytes, *gaps, *bad, *unknown, *refused, *fences;
  struct pd_metric *seconds;
  struct pd_metric *seq, *epoch;
  struct pd_metric *input_seq[PD_LOGS], *input_tail[PD_LOGS];
};

struct pd_boot; /* what a boot has asked the store for; shell.c */

struct pd_shell {
  const struct pd_service *service;
  void *config;
  const struct pd_common_config *common;
  struct pd_shard shard;
  void *context; /* of the service's hooks */
  enum pd_phase phase;
  bool stopping; /* a signal has come, in whichever phase */
  struct pd_boot *boot;
  uv_loop_t loop;
  uv_prepare_t prepare;
  uv_timer_t beat;     /* real time: heartbeats, notes */
  uv_timer_t deadline; /* the core's */
  uv_timer_t wake;
  uv_signal_t term, interrupt;
  void *zmq;
  void *publisher;
  int lock; /* of <run_dir>/<service>.lock: one instance at a time; -1: not held */
  struct pd_feed feeds[PD_LOGS];
  struct pd_store *store;
  struct pd_http *http;
  struct pd_metrics *metrics;
  struct pd_shell_counts counts;
  struct pd_clock clock;
  struct pd_turn turn;
  uint8_t *memory;                   /* of the core's state */
  uint8_t *buffers;                  /* entries and replies */
  uint64_t sent_at[PD_WRITER_SLOTS]; /* of the entries in flight, oldest first */
  uint32_t in_flight;
  uint64_t retry_at;     /* no commit before this loop time: the store refused one */
  uint64_t noted_at;     /* loop time of the last entry */
  uv_timer_t linger; /* until the next entry may be closed */
  uint64_t snapshot_seq; /* own seq of the last snapshot */
  uint64_t snapshot_next[PD_LOGS]; /* inputs: what it had yet to consume */
  pid_t snapshot_pid;    /* of the child that writes one; 0: none */
  uint64_t snapshot_at;  /* loop time at which it began */
  uint64_t snapshot_rest; /* no further one before this loop time */
  bool snapshot_due;     /* stop feeding until the turn is quiet */
  bool tail_asked;
  bool hearing; /* the other feeds are looked at, because an entry waits for its cause */
  uint64_t acked_seq; /* committed by us when another leader fenced us; its entry's hash */
  struct pd_hash acked_hash;
  bool store_up; /* as it said last */
  char why[160]; /* why the store is down; "" when it is up */
};

/* shell_live.c: one round, and the parts of it that start and stop need. */
enum pd_err pd_live_lock(struct pd_shell *shell); /* PD_EEXIST: another instance runs here */
void pd_live_start(struct pd_shell *shell);
void pd_live_round(struct pd_shell *shell);
void pd_live_beat(struct pd_shell *shell);
enum pd_err pd_live_open(struct pd_shell *shell);
void pd_live_close(struct pd_shell *shell);

/* shell_snapshot.c */
bool pd_shell_restore(struct pd_shell *shell);
void pd_shell_save(struct pd_shell *shell, bool in_child);
void pd_shell_reap(struct pd_shell *shell);

#endif
