/* shell_state - what the files of the shell share.
 *
 *     shell.c           the process: start, the loop, stop
 *     shell_seat.c      a seat's life: opening, phases, metrics, readiness
 *     shell_fold.c      standing by: snapshot, then the log, page by page
 *     shell_live.c      leading: rounds, commits, publications
 *     shell_feed.c      the other logs, as long as it leads
 *     shell_lease.c     asking for the lease, and what follows from the answers
 *     shell_snapshot.c  snapshots
 */
#ifndef PD_IO_SHELL_STATE_H
#define PD_IO_SHELL_STATE_H

#include "common/io/bus.h"
#include "common/io/clock.h"
#include "common/io/http.h"
#include "common/io/shell.h"
#include "common/io/store.h"

enum pd_phase {
  PD_PHASE_AWAY,     /* waits for the store, or for a while, to begin anew */
  PD_PHASE_TAIL,     /* the end of the log is asked for, to compare it with the snapshot */
  PD_PHASE_FOLD,     /* follows its log */
  PD_PHASE_LIVE,     /* leads */
  PD_PHASE_DRAINING, /* leads, and takes nothing more: to rest, or to stop */
  PD_PHASE_BROKEN    /* its log cannot be served; a person must look */
};

/* One log that is followed while leading. */
struct pd_feed {
  struct pd_seat *seat;
  enum pd_log log;
  void *socket;
  struct pd_bus_watch *watch;
  bool behind;  /* read the store until it says there is no more */
  bool reading; /* a read is under way */
  bool hinted;  /* more was heard of since that read began */
  uint32_t read_life; /* of the seat, when that read began */
  uint64_t again_at;  /* no read before this loop time: the store gave a bad entry */
  uint64_t heard_at;  /* loop time of the last heartbeat or entry */
  char endpoint[PD_ENDPOINT]; /* that the socket is connected to */
};

/* A page of a log that is being folded. */
struct pd_page {
  struct pd_seat *seat;
  enum pd_log log;
  bool asked;    /* the store has not answered yet */
  bool answered; /* with this page */
  uint32_t life; /* of the seat, when it was asked */
  uint64_t from;
  uint8_t *bytes;
  struct pd_stored *entries;
  size_t count, at;
};

struct pd_fold {
  struct pd_replay replay;
  struct pd_page pages[PD_LOGS];
  enum pd_err err;     /* of a read, until the step sees it */
  bool tail_asked;     /* in phase TAIL, or to settle the tip */
  bool caught_up;      /* the end of the log was reached once */
  bool settled;        /* the lease is ours, and the tip agrees with the stream ... */
  uint64_t settled_at; /* ... which then ended at this seq */
  uint64_t again_at;   /* loop time: nothing before */
  uint64_t until;      /* uv_hrtime: the others want their turn */
  uint64_t started;    /* uv_hrtime */
  uint64_t from;       /* seq at which it began */
};

struct pd_seat_counts {
  struct pd_metric *events, *commits, *bytes, *gaps, *bad, *unknown, *refused, *fences;
  struct pd_metric *seconds;
  struct pd_metric *seq, *epoch;
  struct pd_metric *input_seq[PD_LOGS], *input_tail[PD_LOGS];
  struct pd_metric *leading, *losses, *takeovers;
};

struct pd_seat {
  struct pd_shell *shell;
  struct pd_shard shard;
  char name[8]; /* of the shard, for texts */
  void *context;
  enum pd_phase phase;
  int code;      /* BROKEN: what the process would exit with */
  uint32_t life; /* grows with each end of leading and each rebuild: older answers are void */
  bool opened;   /* timers are there */
  bool stopped;  /* drained: there is nothing more to do for it */
  uint32_t freeing; /* leases let go, of which the store has not said yet that it knows */
  struct pd_store *store;
  struct pd_clock clock;
  struct pd_turn turn;
  uint8_t *memory;  /* of the core's state */
  uint8_t *buffers; /* entries and replies */
  struct pd_fold fold;
  struct pd_feed feeds[PD_LOGS];
  struct pd_seat_counts counts;
  uv_timer_t deadline; /* the core's */
  uv_timer_t linger;   /* until the next entry may be closed */
  uv_timer_t later;    /* until the fold goes on */

  /* leading */
  uint64_t sent_at[PD_WRITER_SLOTS]; /* of the entries in flight, oldest first */
  uint32_t in_flight;
  uint32_t stale;    /* so many replies yet to come are of a turn that is gone */
  uint64_t retry_at; /* no commit before this loop time: the store refused one */
  uint64_t noted_at; /* loop time of the last entry */
  bool tail_asked;
  uint64_t acked_seq; /* committed by us when another leader fenced us; its entry's hash */
  struct pd_hash acked_hash;
  bool store_up; /* as it said last */
  bool hearing; /* the other feeds are looked at, because an entry waits for its cause */

  /* the lease; its connection is its own, so that nothing large stands in front of a renewal */
  struct pd_store *lease_store;
  struct pd_lease lease;
  struct pd_holder holder; /* somebody else */
  int64_t holder_until;    /* steady clock: what is known of the holder is old then */
  bool lapsed;             /* it leads, but the lease is over by our clock */
  bool unsure;             /* it is ours again: did somebody else write meanwhile? */
  bool leases_asked;       /* who leads the inputs */
  bool led_elsewhere;      /* somebody else was seen to lead since we last did */
  uint64_t leases_at;      /* loop time: do not ask before */

  /* snapshots */
  uint64_t snapshot_seq;           /* own seq of the last */
  uint64_t snapshot_next[PD_LOGS]; /* inputs: what it had yet to consume */
  pid_t snapshot_pid;              /* of the child that writes one; 0: none */
  uint64_t snapshot_at;            /* loop time at which it began */
  uint64_t snapshot_rest;          /* no further one before this loop time */
  bool snapshot_due;               /* stop feeding until the turn is quiet */

  char why[160];   /* why the store is down; "" when it is up */
  char words[240]; /* of its readiness */
};

struct pd_shell {
  const struct pd_service *service;
  void *config;
  const struct pd_common_config *common;
  char folder[sizeof((struct pd_common_config *)0)->run_dir + 32];
  char data_dir[sizeof((struct pd_common_config *)0)->data_dir + 32];
  char endpoint[PD_ENDPOINT]; /* of this instance, as leases say it */
  void *shared;               /* what the service made for the process */
  bool stopping;              /* a signal has come */
  int lock;                   /* of <folder>/<service>.lock; -1: not held */
  uv_loop_t loop;
  uv_prepare_t prepare;
  uv_timer_t beat;  /* real time: heartbeats, notes */
  uv_timer_t lease; /* looks whether one is due */
  uv_timer_t wake;
  uv_timer_t drain;
  uv_signal_t term, interrupt;
  void *zmq;
  void *publisher;
  struct pd_http *http;
  struct pd_metrics *metrics;
  struct pd_seat *seats;
  uint32_t seat_count;
  uint32_t zero;
};

/* Say something of a seat: with its shard, where there are several. */
#define seat_say(seat, level, ...)                                                             \
  pd_say((level), __VA_ARGS__,                                                                 \
         (seat)->shell->seat_count > 1 ? pd_kv_text("shard", (seat)->name) : (struct pd_kv){0})

/* ---- shell_seat.c ---- */

/* Open its store and the service's context.  The seat is zeroed but for shell and shard. */
PD_MUST_USE enum pd_err pd_seat_open(struct pd_seat *seat);
/* Stop taking input, close everything; memory is released with the loop's last turns. */
void pd_seat_close(struct pd_seat *seat);
/* What there is to do in this round, whatever the phase. */
void pd_seat_round(struct pd_seat *seat);
void pd_seat_beat(struct pd_seat *seat);
/* Begin anew, from the snapshot, after so many milliseconds. */
void pd_seat_rebuild(struct pd_seat *seat, uint64_t pause_ms);
/* Lead no more, and stand by: from where the turn is, if that is what the log says. */
void pd_seat_rest(struct pd_seat *seat);
/* It cannot be served: the exit code if nothing else is left to serve. */
void pd_seat_break(struct pd_seat *seat, int code);
/* Why it is not ready, or that it stands by; NULL: it leads.  *ready says which. */
const char *pd_seat_ready(struct pd_seat *seat, bool *ready);
/* Run a round after so many milliseconds. */
void pd_seat_later(struct pd_seat *seat, uint64_t ms);

/* ---- shell_fold.c ---- */

/* Fresh memory for the turn. */
PD_MUST_USE enum pd_err pd_fold_build(struct pd_seat *seat);
void pd_fold_round(struct pd_seat *seat);
/* Follow from where the turn is. */
void pd_fold_begin(struct pd_seat *seat);
void pd_fold_close(struct pd_seat *seat);

/* ---- shell_live.c ---- */

/* The lease is ours and the log was folded to its end: lead. */
void pd_live_start(struct pd_seat *seat);
/* Feed what there is, close the batch, commit. */
void pd_live_round(struct pd_seat *seat);
/* Say how far the log is. */
void pd_live_tip(struct pd_seat *seat);
/* Take nothing more, commit what there is; then rest, or stop. */
void pd_live_drain(struct pd_seat *seat);
void pd_live_refresh(struct pd_seat *seat);
/* May the turn be fed? */
bool pd_live_feeding(const struct pd_seat *seat);
/* The loop may have slept since the round looked at the clock: what is decided on input that woke
 * it must not be older than that input. */
void pd_live_see_clock(struct pd_seat *seat);

/* ---- shell_feed.c ---- */

/* Hear the other logs; and no more. */
PD_MUST_USE enum pd_err pd_feeds_open(struct pd_seat *seat);
void pd_feeds_close(struct pd_seat *seat);
/* Let frames wait in their sockets, or take them again. */
void pd_feeds_pause(struct pd_seat *seat, bool paused);
/* Read on what is behind. */
void pd_feeds_round(struct pd_seat *seat);
/* Look after those that have fallen silent. */
void pd_feeds_beat(struct pd_seat *seat);
bool pd_feeds_behind(const struct pd_seat *seat);
/* Ask who leads the other logs, and hear them from there. */
void pd_feeds_ask(struct pd_seat *seat);

/* ---- shell_lease.c ---- */

/* Is it ours at this very moment? */
bool pd_seat_holds(const struct pd_seat *seat);
void pd_lease_beat(struct pd_seat *seat);
/* Let it go; pause: for somebody else. */
void pd_lease_free(struct pd_seat *seat, bool pause);

/* ---- shell_snapshot.c ---- */

/* From the snapshot, if there is one.  False: it was no good, and the state must be built anew. */
bool pd_seat_restore(struct pd_seat *seat);
/* Is it time for one?  Own events and followed ones count alike: a log is trimmed only behind every
 * follower's snapshot, and a follower that says little would hold it. */
bool pd_seat_snapshot_old(const struct pd_seat *seat);
void pd_seat_save(struct pd_seat *seat, bool in_child);
void pd_seat_reap(struct pd_seat *seat);

/* ---- shell.c ---- */

/* A seat has stopped, or is broken: is there anything left to run for? */
void pd_shell_consider(struct pd_shell *shell);

#endif
