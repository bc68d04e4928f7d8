/* sim - one shard, all five daemons, in one process and in virtual time.
 *
 * The cores and the turn around each of them are the real ones.  Modelled are the store (Redis),
 * the bus (ZeroMQ), the clock, the doors and the people.  A seed decides everything: the same seed
 * and program give the same run, event for event.
 *
 *     sim_queue.c    virtual time, occurrences in order
 *     sim_store.c    the logs: commits, unknown outcomes, torn tails, reads
 *     sim_daemon.c   a core in its turn: boot, rounds, catching up, crashes, snapshots
 *     sim_lease.c    who may lead, who stands by
 *     sim_bus.c      frames between daemons, and the subscriber's journal
 *     sim_door.c     commands: keys, hashes, seals; clients that try again; their journals
 *     sim_people.c   what residents, volunteers and sites want (sim_wishes.c: when and how)
 *     sim_check*.c   what must hold, read from the logs' bytes and the journals alone
 */
#ifndef TESTS_SIM_H
#define TESTS_SIM_H

#include "common/base/calendar.h"
#include "common/base/rng.h"
#include "common/flow/lease.h"
#include "common/flow/turn.h"

#define SIM_SHARD 370302
#define SIM_ZONE_MIN 480
#define SIM_INSTANCES 2 /* of one service, at most */
#define SIM_DAEMONS ((PD_LOGS - 1) * SIM_INSTANCES)
#define SIM_NEVER INT64_MAX
#define SIM_MS INT64_C(1000) /* occurrences are ordered by microseconds */
#define SIM_SECOND (1000 * SIM_MS)
#define SIM_MINUTE (60 * SIM_SECOND)

/* What may go wrong; a seed's run has a set of these. */
enum sim_fault {
  SIM_LOSS,    /* 3 % of the frames are lost */
  SIM_DOUBLE,  /* frames come twice */
  SIM_LATE,    /* frames come seconds late */
  SIM_ORDER,   /* frames overtake each other within a log */
  SIM_FLIP,    /* a bit of a frame is flipped */
  SIM_CRASH,   /* a daemon is killed at any point */
  SIM_PAUSE,   /* a daemon stands still for 1 to 60 s */
  SIM_TWIN,    /* a second instance takes over while the first is paused */
  SIM_BREAK,   /* a connection to the store breaks: the outcome of commits is not known */
  SIM_REFUSE,  /* the store has no memory for a while */
  SIM_SLOW,    /* the store answers late */
  SIM_TORN,    /* the store dies, what was not yet answered may be gone */
  SIM_JUMP,    /* the wall clock jumps by up to an hour, to either side */
  SIM_RESTART, /* daemons are stopped and started, with and without their snapshot */
  SIM_RETRY,   /* clients send the same command up to ten times */
  SIM_FAILOVER, /* a replica that lags takes the place of the store, with what it has */
  SIM_FAULTS
};
extern const char *const sim_fault_names[SIM_FAULTS];

struct sim;

/* Something that happens at a time. */
struct sim_occurrence {
  int64_t at_us;
  uint64_t number; /* of equals the earlier one first */
  void (*run)(struct sim *sim, const struct sim_occurrence *now);
  uint32_t who;  /* the daemon, subscriber or person that it happens to */
  uint32_t life; /* of that daemon: what was meant for an earlier life is void */
  uint64_t a, b;
  const void *data;
};

/* An entry as the store has it.  Its bytes stay until the end of the run. */
struct sim_entry {
  const uint8_t *bytes;
  size_t size;
  struct pd_hash hash;
  uint64_t epoch, first, last;
  uint64_t number; /* of its commit among all that the store executed */
};

struct sim_log {
  struct sim_entry *entries;
  size_t count, room;
  size_t safe; /* so many are on disk: whoever was answered saw no more than these */
};

/* Who holds the lease of a log, as the store has it. */
struct sim_lease {
  uint32_t holder; /* number of the daemon, plus 1; 0: nobody */
  uint32_t waiting_holds;
  bool waits;
  int64_t until_us;
};

/* A log that a daemon follows. */
struct sim_feed {
  bool behind, reading;
};

/* A command that came to intake and was not handed to the core yet. */
struct sim_waiting {
  uint32_t command;
  uint32_t zero;
  int64_t since_us;
};

struct sim_daemon {
  const struct pd_core *core;
  uint32_t number; /* in sim->daemons */
  uint32_t life;
  bool up, leading, round_due, tail_asked, doomed, has_snapshot, frozen, to_snapshot;
  bool contends; /* another instance is or was there: it leads only with the lease */
  bool standby, caught_up, yielding, unsure;
  struct pd_lease lease;
  struct pd_replay fold;
  int64_t paused_since;
  int64_t paused_until, noted_us, retry_us, beat_us, wake_us;
  struct pd_turn turn;
  uint8_t *memory, *batch, *entries, *replies;
  size_t used;
  struct sim_feed feeds[PD_LOGS];
  uint32_t connection; /* grows when it breaks */
  uint64_t counted[PD_LOGS]; /* tails that counted since it was made: what may be read */
  uint32_t in_flight;
  int64_t last_exec_us;
  uint64_t commits;                 /* sent in this life; replies to older ones are void */
  struct pd_turn_position position; /* of the snapshot */
  uint8_t *image;
  size_t image_size;
  uint64_t snapshot_seq;
  /* intake's door: commands that wait; notification's sink: how far it has read */
  struct sim_waiting *waiting;
  size_t waiting_count, waiting_room;
  uint64_t cursor[3]; /* holds a struct notification_cursor */
  uint64_t rounds;
};

/* A reader from outside: it must see every event once and in order. */
struct sim_subscriber {
  struct pd_follower followers[PD_LOGS];
  uint64_t *journal[PD_LOGS]; /* a hash of each event seen, by seq - 1 */
  size_t count[PD_LOGS], room[PD_LOGS];
  bool healing[PD_LOGS];
};

enum sim_answer { SIM_OPEN, SIM_ACKED, SIM_REFUSED, SIM_GIVEN_UP };

/* A client's journal of one command. */
struct sim_command {
  const uint8_t *bytes; /* of the Command */
  size_t size;
  uint64_t number; /* the request number in it */
  struct pd_id key, body;
  char principal[40];
  enum pd_role role;
  pd_command_kind kind;
  enum sim_answer answer;
  enum pd_code code; /* of the latest refusal */
  uint32_t tries, tries_max, sent;
  uint64_t seq, id; /* of the first ack */
  struct pd_id person;
  uint64_t granted; /* which answer the first ack was, in the order in which they left */
  uint32_t acks;
  uint32_t of; /* this one uses the key of that other command, plus 1; 0: its own */
  void (*then)(struct sim *sim, uint32_t command, bool granted); /* what the client does next */
  uint32_t about;                                                /* for `then` */
  bool spoiled; /* an instance that did not lead any more may have answered */
};

struct sim_stats {
  uint64_t occurrences, events, commits, frames, crashes, fences, pauses, tears, breaks, refusals;
  uint64_t takeovers, rests, lapses;
  uint64_t snapshots, replays, commands, orders, jumps, heals, unknown;
  uint64_t failovers, short_waits;
};

struct sim_options {
  uint64_t seed;
  uint32_t orders;
  uint32_t faults; /* bits of 1 << enum sim_fault */
  bool trace;
  bool unpack_all; /* kinds that a core passes over are handed to it all the same */
  bool story; /* nobody acts by himself */
};

struct sim_people;

struct sim {
  struct sim_options options;
  struct pd_limits limits;
  struct pd_rng rng;  /* of the world */
  struct pd_rng wish; /* of the people */
  int64_t now_us;
  int64_t wall_off_ms; /* wall clock = now + this */
  uint64_t numbers;
  struct sim_occurrence *queue;
  size_t queue_count, queue_room;
  struct sim_log logs[PD_LOGS];
  struct sim_lease leases[PD_LOGS];
  struct sim_daemon daemons[SIM_DAEMONS];
  struct sim_subscriber ears;
  int64_t store_up_us; /* it is down until then */
  uint32_t want;       /* replicas that must have what counts: 0 or 1 */
  uint32_t master;     /* grows with each failover */
  uint64_t executed;   /* commits */
  uint64_t on_disk;    /* of those */
  uint64_t replicated; /* of those; the replica has them in this order */
  uint64_t had;        /* a replica has had so many, before a failover too */
  int64_t replica_us;  /* when it gets that */
  bool replica_away;   /* it is being made anew */
  bool replica_due;    /* more is on its way to it */
  int64_t refuse_until_us;
  int64_t frame_us[SIM_DAEMONS + 1][PD_LOGS]; /* of the latest frame, so that none overtakes it */
  struct sim_command *commands;
  size_t command_count, command_room;
  struct sim_people *people;
  struct sim_stats stats;
  bool healing;    /* no more faults, no more wishes */
  uint32_t chance; /* of the faults that strike: one in so many */
  uint8_t *chunk;  /* memory that is given back at the end of the run */
  size_t chunk_used, chunk_size;
  void (*heard)(struct sim *sim, const struct pd_event *event); /* by the subscriber, in order */
  void *story;
};

/* ---- sim_queue.c ---- */

/* Zeroed memory that lives as long as the run. */
void *sim_keep(struct sim *sim, size_t size);

/* An array that grows: room for one more than count. */
void *sim_grow(void *array, size_t count, size_t *room, size_t each);

/* Let something happen `in_us` from here; returns it, to be filled in at once. */
struct sim_occurrence *sim_later(struct sim *sim, int64_t in_us,
                                 void (*run)(struct sim *, const struct sim_occurrence *));

/* Take the next occurrence and let it happen; false when none is left before until_us. */
bool sim_step(struct sim *sim, int64_t until_us);

/* The wall clock, Unix milliseconds. */
int64_t sim_wall(const struct sim *sim);

/* Chance: true once in `one_in`; uniform in low .. high; is this fault on at this time? */
bool sim_odds(struct pd_rng *rng, uint32_t one_in);
int64_t sim_between(struct pd_rng *rng, int64_t low, int64_t high);
bool sim_on(const struct sim *sim, enum sim_fault fault);

/* Does a fault strike here and now? */
bool sim_strikes(struct sim *sim, enum sim_fault fault, uint32_t weight);

/* A short fingerprint of bytes. */
uint64_t sim_hash(uint64_t seed, const void *bytes, size_t size);

/* Print what failed and how to see it again; exit 1. */
_Noreturn void sim_fail(const struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define sim_expect(sim, holds, ...) ((holds) ? (void)0 : sim_fail((sim), __VA_ARGS__))

/* The run that is under way: for the handler of SIGABRT. */
extern const struct sim *sim_current;

/* ---- sim_store.c ---- */

/* Hand a daemon's packed entry to the store; the reply comes to sim_daemon_reply. */
void sim_store_commit(struct sim *sim, struct sim_daemon *daemon, const struct pd_packed *packed);

/* Ask for the tail of the daemon's own log; it comes to sim_daemon_tail. */
void sim_store_tail(struct sim *sim, struct sim_daemon *daemon);

/* Read entries of a log from a seq on; they come to sim_daemon_read. */
void sim_store_read(struct sim *sim, struct sim_daemon *daemon, enum pd_log log, uint64_t from);

/* The daemon's connection breaks: what was sent may or may not be done. */
void sim_store_break(struct sim *sim, struct sim_daemon *daemon);

/* The store dies; entries that nobody was told of may be gone when it is back. */
void sim_store_tear(struct sim *sim);

/* Another takes the store's place, with what the replica has. */
void sim_store_failover(struct sim *sim);

/* Everything that was executed is on disk from here on; is it on the replica too, if one is wanted?
 */
void sim_store_flush(struct sim *sim);
bool sim_store_replicated(const struct sim *sim);

/* The entry that holds a seq, or NULL. */
const struct sim_entry *sim_store_find(const struct sim *sim, enum pd_log log, uint64_t seq);

/* Last seq of a log. */
uint64_t sim_store_last(const struct sim *sim, enum pd_log log);

/* A source for pd_turn_replay. */
enum pd_err sim_store_source(void *sim, enum pd_log log, uint64_t from, const uint8_t **bytes,
                             size_t *size, struct pd_hash *hash);

/* ---- sim_daemon.c ---- */

/* The five cores by their log. */
extern const struct pd_core *const sim_cores[PD_LOGS];

/* The simulated district gives stars early: minutes to reach one to five. */
extern const int64_t sim_star_minutes[5];

/* And a hold waits two days only. */
#define SIM_HOLD_MS (2 * PD_DAY_MS)
#define SIM_REST_MIN 20
#define SIM_DAY_MAX_MIN 300

/* The window of the matcher's batches. */
#define SIM_WINDOW_MS(sim) ((sim)->options.seed % 3 == 1 ? 1500u : 0u)

/* Memory for all daemons; none is up. */
void sim_daemons_init(struct sim *sim);
void sim_daemons_free(struct sim *sim);

/* Boot `in_us` from here. */
void sim_daemon_start(struct sim *sim, struct sim_daemon *daemon, int64_t in_us);

/* It is killed: its state is gone. */
void sim_daemon_kill(struct sim *sim, struct sim_daemon *daemon);

/* It stands still for so long: what is meant for it waits. */
void sim_daemon_pause(struct sim *sim, struct sim_daemon *daemon, int64_t for_us);

/* Have a round soon. */
void sim_daemon_wake(struct sim *sim, struct sim_daemon *daemon);

/* What the store and the bus hand in. */
void sim_daemon_connected(struct sim *sim, struct sim_daemon *daemon);
void sim_daemon_reply(struct sim *sim, struct sim_daemon *daemon, enum pd_commit_reply reply);
void sim_daemon_tail(struct sim *sim, struct sim_daemon *daemon, uint64_t seq,
                     const struct pd_hash *hash);
void sim_daemon_read(struct sim *sim, struct sim_daemon *daemon, enum pd_log log,
                     const struct sim_entry *entries, size_t count, bool failed);
void sim_daemon_frame(struct sim *sim, struct sim_daemon *daemon, const struct sim_entry *entry,
                      bool flipped);
void sim_daemon_tip(struct sim *sim, struct sim_daemon *daemon, enum pd_log log, uint64_t last);
void sim_daemon_command(struct sim *sim, struct sim_daemon *daemon, uint32_t command);

/* Is an occurrence that is meant for a daemon void, or put off because it stands still? */
bool sim_daemon_absent(struct sim *sim, const struct sim_occurrence *now);

/* Rebuild a log's core from nothing and compare it with this live, quiet one, byte for byte. */
void sim_daemon_compare(struct sim *sim, struct sim_daemon *daemon);

/* Let it take in nothing more and commit what it has. */
void sim_daemon_freeze(struct sim *sim, struct sim_daemon *daemon);

/* The instance of a log that leads, or NULL. */
struct sim_daemon *sim_leader(struct sim *sim, enum pd_log log);

/* Has every log's leader committed and consumed all there is? */
bool sim_is_quiet(struct sim *sim);

/* It leads from here on; and it does not any more, and stands by. */
void sim_daemon_lead(struct sim *sim, struct sim_daemon *daemon);
void sim_daemon_rest(struct sim *sim, struct sim_daemon *daemon);

/* Keep a snapshot of a turn that is between two entries. */
void sim_daemon_save(struct sim *sim, struct sim_daemon *daemon);

/* ---- sim_lease.c ---- */

/* An instance boots: is there another? */
void sim_lease_begin(struct sim *sim, struct sim_daemon *daemon);

/* Fold the log as it grows, and ask for the lease. */
void sim_lease_stand_by(struct sim *sim, struct sim_daemon *daemon);

/* Is the lease its own at this moment, by its own clock? */
bool sim_lease_holds(const struct sim *sim, const struct sim_daemon *daemon);

/* Let it go. */
void sim_lease_free(struct sim *sim, struct sim_daemon *daemon, bool pause);

/* Something leaves this daemon: nobody else may have begun to lead. */
void sim_lease_check(struct sim *sim, struct sim_daemon *daemon);

/* ---- sim_bus.c ---- */

/* A daemon published an entry, or says where its log ends. */
void sim_bus_publish(struct sim *sim, struct sim_daemon *from, uint64_t last_seq);
void sim_bus_beat(struct sim *sim, struct sim_daemon *from);

/* ---- sim_door.c ---- */

/* Send a command: body of this kind, from this principal.  Returns its number in the journal. */
struct sim_said {
  enum pd_role role;
  uint32_t uid;
  struct pd_id actor;       /* zero: none */
  struct pd_position *seen; /* or NULL */
  uint32_t of;              /* reuse the key of that command, plus 1; 0: a new key */
  uint32_t tries;           /* at most; 0: 10 */
  uint32_t about;
  void (*then)(struct sim *sim, uint32_t command, bool granted);
};
uint32_t sim_say(struct sim *sim, const struct sim_said *said, pd_command_kind kind,
                 const void *body);

/* Hand a command to a turn as the door does.  False: it has to wait for what it has seen. */
bool sim_door_hand(struct sim *sim, struct sim_daemon *daemon, uint32_t command);

/* The door refuses by itself: what was to be seen did not come. */
void sim_door_retry(struct sim *sim, struct sim_daemon *daemon, uint32_t command);

/* A reply left the daemon. */
void sim_door_reply(struct sim *sim, struct sim_daemon *daemon, uint64_t token,
                    const uint8_t *bytes, size_t size);

/* ---- sim_people.c ---- */

void sim_people_init(struct sim *sim);
void sim_people_free(struct sim *sim);
void sim_people_heard(struct sim *sim, const struct pd_event *event);

/* ---- sim_text.c ---- */

/* The event as a line of text. */
void sim_text(const struct pd_event *event, char *text, size_t size);

/* ---- sim_run.c ---- */

/* Build a world with all daemons starting; tear it down. */
void sim_open(struct sim *sim, const struct sim_options *options);
void sim_close(struct sim *sim);

/* One whole run with all checks; returns its fingerprint and adds to stats. */
uint64_t sim_run(const struct sim_options *options, struct sim_stats *stats);

/* ---- sim_check*.c ---- */

/* What was read back from the logs: every event, unpacked. */
struct sim_history {
  struct sim *sim;
  struct pd_event **events[PD_LOGS]; /* by seq - 1 */
  size_t count[PD_LOGS];
  uint8_t *memory[PD_LOGS];
};

/* Walk the chains, unpack everything: P7, P8, P10. */
void sim_history_read(struct sim *sim, struct sim_history *history);
void sim_history_free(struct sim_history *history);

/* All events that a daemon consumed and said, in the order in which it did, from the marks of its
 * own log; `ended`, unless NULL, after each entry. */
void sim_history_walk(const struct sim_history *history, enum pd_log log,
                      void (*each)(void *context, const struct pd_event *event),
                      void (*ended)(void *context), void *context);

/* The checkers; each fails the run.  `healed`: faults were over long enough for everything to end.
 */
void sim_check_journals(struct sim *sim, const struct sim_history *history);
void sim_check_intake(struct sim *sim, const struct sim_history *history);
void sim_check_matching(struct sim *sim, const struct sim_history *history);
void sim_check_coverage(struct sim *sim, const struct sim_history *history);
void sim_check_scheduling(struct sim *sim, const struct sim_history *history);
void sim_check_points(struct sim *sim, const struct sim_history *history);
void sim_check_messages(struct sim *sim, const struct sim_history *history);

#endif
