/* turn - one shard of one daemon: a core, its log, and the logs it consumes.
 *
 *     boot    pd_turn_init, a snapshot if there is one, pd_replay_run, pd_turn_lead
 *     standby pd_replay_run, again and again: the log is another's, and is folded as it grows
 *     live    pd_turn_input, _command, _delivery, _time as often as there is something;
 *             pd_turn_close; pd_turn_send to the store; pd_turn_reply publishes and answers
 *     fence   pd_turn_fenced: throw everything away and boot again
 *     rest    pd_turn_rest: a quiet turn leads no more, and stands by
 *
 * An entry is a sequence of items: marks say which inputs had been consumed, events are what
 * followed.  Replay walks the items in order, so inputs and effects are exactly once and in the
 * recorded order.
 *
 * Invariants:
 *     - an entry holds at least one event; when only marks have gathered, an inputs_noted event
 * carries them;
 *     - nothing leaves (published, answered) before every event applied when it was formed is
 * committed;
 *     - all memory is given at init.
 * Pure: sockets, Redis and the clock are the caller's.
 */
#ifndef PD_FLOW_TURN_H
#define PD_FLOW_TURN_H

#include "common/flow/follower.h"
#include "common/flow/replies.h"
#include "common/flow/writer.h"

#define PD_NOTE_AFTER 1000 /* inputs without an effect, until they are noted anyway */

/* What leaves the turn, and when. */
struct pd_turn_hooks {
  void *context;
  /* The entry is durable: publish it.  Called in log order. */
  void (*committed)(void *context, const struct pd_packed *packed);
  /* The reply may leave. */
  void (*reply)(void *context, uint64_t token, const uint8_t *bytes, size_t size);
  /* An own event was emitted and applied, not yet committed; may be NULL. */
  void (*emitted)(void *context, const struct pd_event *event);
};

struct pd_turn_config {
  const struct pd_core *core;
  const struct pd_limits *limits;
  struct pd_shard shard;
  const void *policy;
  struct pd_arena state; /* zeroed memory for the core */
  struct pd_arena batch; /* for unpacking one entry's events or one command */
  uint8_t *entries;      /* PD_WRITER_SLOTS times entry_size bytes */
  size_t entry_size;     /* at least 4 times entry_soft */
  size_t entry_soft;     /* close the entry when its items take more than this */
  uint8_t *replies;
  size_t replies_size;
  uint32_t depth; /* entries in flight, at most; 0: PD_WRITER_DEPTH */
  struct pd_turn_hooks hooks;
};

struct pd_turn {
  struct pd_turn_config config;
  struct pd_arena state;
  struct pd_arena batch;
  void *self; /* the core */
  struct pd_outbox out;
  struct pd_writer writer;
  struct pd_follower inputs[PD_LOGS];
  struct pd_packer packer;
  struct pd_replies replies;
  uint32_t building;    /* which of the entry buffers */
  enum pd_log mark_log; /* consumed, but not written as an item yet; 0: none */
  uint64_t mark_upto;
  uint32_t unnoted; /* inputs consumed since the last event, without others' notes */
  uint64_t token;   /* of the command at hand */
  int64_t now_ms;
  bool passes[PD_EVENT_KINDS]; /* of the core, by kind */
  uint64_t unknown_kinds; /* events of other logs that this program does not know */
  bool leading;           /* since pd_turn_lead: the writer's epoch is ours */
};

/* Build an empty shard: the core's init, all positions at the start. */
void pd_turn_init(struct pd_turn *turn, const struct pd_turn_config *config);

/* Where a turn stands: what a snapshot keeps beside the core's image.  Plain data, stored as it is.
 */
struct pd_turn_position {
  uint64_t seq; /* own log: last event, its entry's hash and epoch */
  uint64_t epoch;
  struct pd_hash hash;
  int64_t now_ms;
  uint64_t next[PD_LOGS]; /* of each input log */
  uint64_t last_of_kind[PD_EVENT_KINDS];
};

/* The position of a quiet turn (of one that is replayed: between two entries); and go on from one,
 * right after init and after the image was read back. */
void pd_turn_position(const struct pd_turn *turn, struct pd_turn_position *position);
void pd_turn_resume(struct pd_turn *turn, const struct pd_turn_position *position);

/* Where the logs are read from.  next: the entry that holds seq `from` of a log; its bytes stay
 * until the next call for the same log.  PD_ENOENT at the log's end; any other error ends the
 * replay. */
struct pd_source {
  void *context;
  enum pd_err (*next)(void *context, enum pd_log log, uint64_t from, const uint8_t **bytes,
                      size_t *size, struct pd_hash *hash);
};

/* A replay, which may stop anywhere and go on there. */
struct pd_replay_entry {
  struct pd_entry_view view;
  struct pd_hash hash;
  size_t at;    /* of the next item */
  uint64_t seq; /* of the next event in it; 0: no entry is open */
};
struct pd_replay {
  struct pd_turn *turn;
  struct pd_source *source; /* of the call under way */
  struct pd_replay_entry own;
  struct pd_replay_entry inputs[PD_LOGS];
};

/* Begin at the positions that the turn has: all at the start, or those of a snapshot, or of a turn
 * that rests. */
void pd_replay_init(struct pd_replay *replay, struct pd_turn *turn);

/* Fold on to the end of the own log.  PD_OK: there it is; the log may grow, and the next call goes
 * on.  PD_EAGAIN: the source has an entry that is needed only later; call again then.
 * PD_ECORRUPT: a chain does not hold; PD_EOLD: the own log has an event of an unknown kind;
 * PD_EFORMAT; the source's. */
enum pd_err pd_replay_run(struct pd_replay *replay, struct pd_source *source) PD_MUST_USE;

/* Between two entries: the turn stands where a snapshot may be taken. */
bool pd_replay_between(const struct pd_replay *replay);

/* A whole replay at once, from a source that is never late. */
enum pd_err pd_turn_replay(struct pd_turn *turn, struct pd_source *source) PD_MUST_USE;

/* Take the log: the first entry is epoch_began.  Once, after replay. */
void pd_turn_lead(struct pd_turn *turn, int64_t now_ms);

/* Lead no more.  The turn must be quiet; it is then where a replay would have brought it, and a
 * replay may go on from there.  Replies that did not leave are forgotten. */
void pd_turn_rest(struct pd_turn *turn);

/* The time of everything that follows; never falls (an earlier one is ignored). */
void pd_turn_now(struct pd_turn *turn, int64_t now_ms);

/* May more be fed?  No when the entry in the making or the ring of replies is full: close first, or
 * wait for a commit. */
bool pd_turn_open(const struct pd_turn *turn);

/* An entry of another log: from a subscription or read from the store.  PART: not all of it was
 * consumed, because the turn is full, the core has no room, or it answers events of a third log
 * that were not consumed here yet (its marks say which); offer it again later. */
enum pd_taken { PD_TAKEN, PD_TAKEN_PART, PD_TAKEN_OLD, PD_TAKEN_GAP, PD_TAKEN_CORRUPT };
enum pd_taken pd_turn_input(struct pd_turn *turn, const uint8_t *bytes, size_t size,
                            const struct pd_hash *hash);

/* A command; the reply goes to the hook with this token. */
void pd_turn_command(struct pd_turn *turn, const struct pd_request *request, uint64_t token);

/* What came of a message. */
void pd_turn_delivery(struct pd_turn *turn, const struct pd_delivery *delivery);

/* Let the core act when its deadline has come.  True if it did. */
bool pd_turn_time(struct pd_turn *turn);

/* When the core wants the time; PD_NEVER. */
int64_t pd_turn_deadline(const struct pd_turn *turn);

/* End the batch if there is anything to commit and the writer takes it.  `note`: also when there
 * are only marks (without it only when they are many). */
bool pd_turn_close(struct pd_turn *turn, bool note);

/* Was anything consumed that is worth a note after a while?  Another's inputs_noted is not: a shard
 * in which nothing happens writes nothing. */
bool pd_turn_unnoted(const struct pd_turn *turn);

/* The next entry to hand to the store, or NULL. */
const struct pd_packed *pd_turn_send(struct pd_turn *turn);

/* The store's reply to the oldest entry that was sent. */
void pd_turn_reply(struct pd_turn *turn, enum pd_commit_reply reply);

/* The connection to the store was made anew, or the lease was over for a while: before anything
 * else is sent, the tail is wanted. */
void pd_turn_doubt(struct pd_turn *turn);

/* Is it not known yet whether the log is as we left it? */
bool pd_turn_doubted(const struct pd_turn *turn);

/* After an outcome that is not known: the log's tail is wanted; here it is. */
bool pd_turn_wants_tail(const struct pd_turn *turn);
void pd_turn_tail(struct pd_turn *turn, uint64_t seq, const struct pd_hash *hash);

/* The store has lost what was committed: nothing is sent until it has it again. */
bool pd_turn_lost(const struct pd_turn *turn);

/* Another leader has written: this turn is over. */
bool pd_turn_fenced(const struct pd_turn *turn);

/* Nothing in the making, nothing in flight, no marks kept: the state is exactly the log's, a
 * snapshot may be taken. */
bool pd_turn_quiet(const struct pd_turn *turn);

/* For turn.c and replay.c.  An event says itself where it stands, and is only of a kind that its
 * log says: an entry in which one does not was not written by that log's daemon. */
bool pd_turn_belongs(const struct pd_turn *turn, enum pd_log log, uint64_t seq,
                     const struct pd_event *event);

/* Is this the event of another log that should stand here, and of a kind that the core passes over?
 */
bool pd_turn_passes(const struct pd_turn *turn, enum pd_log log, uint64_t seq,
                    const struct pd_entry_item *found);

#endif
