/* A daemon: a core in its turn, and around it what common/io/shell*.c does, without any I/O. */
#include "tests/sim/sim.h"

#include "services/intake/intake_core.h"
#include "services/matching/matching_core.h"
#include "services/notification/notification_core.h"
#include "services/points/points_core.h"
#include "services/scheduling/scheduling_core.h"

#include <stdlib.h>
#include <string.h>

#define STATE_SIZE ((size_t)4 << 20)
#define BATCH_SIZE ((size_t)128 << 10)
#define ENTRY_SIZE ((size_t)256 << 10)
#define REPLIES_SIZE ((size_t)32 << 10)
#define NOTE_US (1000 * SIM_MS)
#define FENCE_US (1000 * SIM_MS)
#define REFUSED_US (200 * SIM_MS)
#define SEEN_US (1000 * SIM_MS)
#define UNDER_WAY 64 /* messages handed to the sink in one round */

const struct pd_core *const sim_cores[PD_LOGS] = {
    [PD_LOG_INTAKE] = &intake_core,
    [PD_LOG_MATCHING] = &matching_core,
    [PD_LOG_SCHEDULING] = &scheduling_core,
    [PD_LOG_POINTS] = &points_core,
    [PD_LOG_NOTIFICATION] = &notification_core,
};

const int64_t sim_star_minutes[5] = {60, 120, 240, 480, 960};

static void run_round(struct sim *sim, const struct sim_occurrence *now);

/* ---- memory ---- */

void sim_daemons_init(struct sim *sim) {
  for (unsigned i = 0; i < SIM_DAEMONS; i++) {
    struct sim_daemon *daemon = &sim->daemons[i];
    *daemon = (struct sim_daemon){.core = sim_cores[1 + i % (PD_LOGS - 1)], .number = i};
    if (daemon->memory == NULL) daemon->memory = calloc(1, STATE_SIZE);
    daemon->batch = calloc(1, BATCH_SIZE);
    daemon->entries = calloc(PD_WRITER_SLOTS, ENTRY_SIZE);
    daemon->replies = calloc(1, REPLIES_SIZE);
    pd_assert(daemon->memory && daemon->batch && daemon->entries && daemon->replies);
  }
}

void sim_daemons_free(struct sim *sim) {
  for (unsigned i = 0; i < SIM_DAEMONS; i++) {
    struct sim_daemon *daemon = &sim->daemons[i];
    free(daemon->memory);
    free(daemon->batch);
    free(daemon->entries);
    free(daemon->replies);
    free(daemon->image);
    free(daemon->waiting);
  }
}

struct sim_daemon *sim_leader(struct sim *sim, enum pd_log log) {
  struct sim_daemon *found = NULL;
  for (unsigned i = 0; i < SIM_DAEMONS; i++) {
    struct sim_daemon *daemon = &sim->daemons[i];
    if (daemon->core->log != log || !daemon->leading || daemon->doomed) continue;
    if (found == NULL || daemon->turn.writer.epoch > found->turn.writer.epoch) found = daemon;
  }
  return found;
}

/* ---- hooks of the turn ---- */

static struct sim_daemon *daemon_of(void *context) { return context; }
static struct sim *sim_of(const struct sim_daemon *daemon) {
  return (struct sim *)(void *)((uint8_t *)(uintptr_t)(daemon - daemon->number) -
                                offsetof(struct sim, daemons));
}

static void on_committed(void *context, const struct pd_packed *packed) {
  struct sim_daemon *daemon = daemon_of(context);
  struct sim *sim = sim_of(daemon);
  const struct sim_entry *stored = sim_store_find(sim, daemon->core->log, packed->head.last_seq);
  bool there = stored != NULL && pd_hash_equal(&stored->hash, &packed->hash);
  sim_expect(sim, there, "P1 %s published an entry that is not in its log (seq %llu)",
             daemon->core->name, (unsigned long long)packed->head.last_seq);
  sim_lease_check(sim, daemon);
  sim_bus_publish(sim, daemon, packed->head.last_seq);
}

static void on_reply(void *context, uint64_t token, const uint8_t *bytes, size_t size) {
  struct sim_daemon *daemon = daemon_of(context);
  sim_lease_check(sim_of(daemon), daemon);
  sim_door_reply(sim_of(daemon), daemon, token, bytes, size);
}

static void build(struct sim *sim, struct sim_daemon *daemon, struct pd_turn *turn, uint8_t *memory,
                  size_t used) {
  static const size_t softs[4] = {512, 2048, 8192, 60000};
  memset(memory, 0, used);
  struct pd_turn_config config = {
      .core = daemon->core, .limits = &sim->limits, .shard = {SIM_SHARD, SIM_ZONE_MIN}};
  struct points_policy policy = points_policy_default;
  policy.hold_ms = SIM_HOLD_MS;
  memcpy(policy.star_minutes, sim_star_minutes, sizeof policy.star_minutes);
  static const struct notification_policy nights = {
      .quiet = 1, .quiet_from_min = 22 * 60, .quiet_to_min = 7 * 60};
  struct matching_policy rules = matching_policy_default;
  rules.rest_min = SIM_REST_MIN;
  rules.day_max_min = SIM_DAY_MAX_MIN;
  rules.batch_window_ms = SIM_WINDOW_MS(sim);
  rules.rural_m = 0;
  bool own = !sim->options.story; /* stories are told under a district's defaults */
  if (own && daemon->core == &points_core) config.policy = &policy;
  if (own && daemon->core == &notification_core) config.policy = &nights;
  if (own && daemon->core == &matching_core) config.policy = &rules;
  pd_arena_init(&config.state, memory, STATE_SIZE);
  memset(daemon->batch, 0, BATCH_SIZE);
  pd_arena_init(&config.batch, daemon->batch, BATCH_SIZE);
  config.entries = daemon->entries;
  config.entry_size = ENTRY_SIZE;
  config.entry_soft = softs[sim->options.seed % 4];
  config.replies = daemon->replies;
  config.replies_size = REPLIES_SIZE;
  config.depth = sim->want > 0 ? 1 : 0;
  config.hooks.context = daemon;
  config.hooks.committed = on_committed;
  config.hooks.reply = on_reply;
  pd_turn_init(turn, &config);
  if (sim->options.unpack_all) memset(turn->passes, 0, sizeof turn->passes);
}

/* ---- life ---- */

bool sim_daemon_absent(struct sim *sim, const struct sim_occurrence *now) {
  struct sim_daemon *daemon = &sim->daemons[now->who];
  if (!daemon->up || daemon->life != now->life) return true;
  if (daemon->paused_until <= sim->now_us) return false;
  struct sim_occurrence *again = sim_later(sim, daemon->paused_until - sim->now_us, now->run);
  again->who = now->who;
  again->life = now->life;
  again->a = now->a;
  again->b = now->b;
  again->data = now->data;
  return true;
}

static void replay(struct sim *sim, struct sim_daemon *daemon, struct pd_turn *turn) {
  struct pd_source source = {.context = sim, .next = sim_store_source};
  enum pd_err err = pd_turn_replay(turn, &source);
  sim_expect(sim, err == PD_OK, "P8 %s cannot replay its log: %s", daemon->core->name,
             pd_err_text(err));
  sim->stats.replays++;
}

static void restore(struct sim *sim, struct sim_daemon *daemon) {
  size_t length;
  uint8_t *image = pd_arena_image(&daemon->turn.state, &length);
  bool use = daemon->has_snapshot && !sim_odds(&sim->rng, 4);
  if (!use) return;
  pd_assert(length == daemon->image_size);
  memcpy(image, daemon->image, length);
  pd_turn_resume(&daemon->turn, &daemon->position);
}

void sim_daemon_lead(struct sim *sim, struct sim_daemon *daemon) {
  pd_turn_lead(&daemon->turn, sim_wall(sim));
  daemon->leading = true;
  daemon->noted_us = sim->now_us;
  for (unsigned log = 1; log < PD_LOGS; log++)
    daemon->feeds[log].behind = (daemon->core->inputs & PD_LOG_BIT(log)) != 0;
  sim_daemon_wake(sim, daemon);
}

/* It was alone when it booted; if it is not any more, it asks first. */
static void lead(struct sim *sim, const struct sim_occurrence *now) {
  struct sim_daemon *daemon = &sim->daemons[now->who];
  if (sim_daemon_absent(sim, now)) return;
  if (daemon->contends)
    sim_lease_stand_by(sim, daemon);
  else
    sim_daemon_lead(sim, daemon);
}

/* What is the same at a boot and at a rest. */
static void begin_life(struct sim_daemon *daemon) {
  memset(daemon->feeds, 0, sizeof daemon->feeds);
  memset(daemon->cursor, 0, sizeof daemon->cursor);
  daemon->in_flight = 0;
  daemon->round_due = daemon->tail_asked = daemon->to_snapshot = false;
  daemon->retry_us = 0;
  daemon->wake_us = daemon->beat_us = SIM_NEVER;
  daemon->waiting_count = 0;
}

void sim_daemon_rest(struct sim *sim, struct sim_daemon *daemon) {
  sim->stats.rests++;
  if (!pd_turn_quiet(&daemon->turn)) {
    sim_daemon_kill(sim, daemon);
    sim_daemon_start(sim, daemon, 0);
    return;
  }
  begin_life(daemon);
  pd_turn_rest(&daemon->turn);
  sim_lease_stand_by(sim, daemon);
}

static void boot(struct sim *sim, const struct sim_occurrence *now) {
  struct sim_daemon *daemon = &sim->daemons[now->who];
  if (daemon->up || daemon->life != now->life) return;
  if (sim->now_us < sim->store_up_us) {
    sim_daemon_start(sim, daemon, sim->store_up_us - sim->now_us);
    return;
  }
  sim_store_flush(sim);
  if (!sim_store_replicated(sim)) { /* what is replayed must count */
    sim_daemon_start(sim, daemon, 20 * SIM_MS);
    return;
  }
  build(sim, daemon, &daemon->turn, daemon->memory, daemon->used);
  daemon->used = daemon->turn.state.used;
  pd_assert(daemon->used <= STATE_SIZE);
  daemon->up = true;
  daemon->paused_until = 0;
  begin_life(daemon);
  restore(sim, daemon);
  sim_lease_begin(sim, daemon);
  if (daemon->contends) {
    daemon->snapshot_seq = daemon->turn.writer.seq;
    sim_lease_stand_by(sim, daemon);
    return;
  }
  replay(sim, daemon, &daemon->turn);
  daemon->snapshot_seq = daemon->turn.writer.seq;
  struct sim_occurrence *next = sim_later(sim, sim_between(&sim->rng, 1, 50) * SIM_MS, lead);
  next->who = daemon->number;
  next->life = daemon->life;
}

void sim_daemon_start(struct sim *sim, struct sim_daemon *daemon, int64_t in_us) {
  struct sim_occurrence *next = sim_later(sim, in_us, boot);
  next->who = daemon->number;
  next->life = daemon->life;
}

void sim_daemon_kill(struct sim *sim, struct sim_daemon *daemon) {
  if (!daemon->up) return;
  sim_store_break(sim, daemon);
  daemon->up = daemon->leading = daemon->doomed = daemon->standby = false;
  daemon->life++;
}

static void crash(struct sim *sim, struct sim_daemon *daemon) {
  sim->stats.crashes++;
  sim_daemon_kill(sim, daemon);
  sim_daemon_start(sim, daemon, sim_between(&sim->rng, 5, 8000) * SIM_MS);
}

static struct sim_daemon *twin_of(struct sim *sim, const struct sim_daemon *daemon) {
  return &sim->daemons[(daemon->number + PD_LOGS - 1) % SIM_DAEMONS];
}

void sim_daemon_pause(struct sim *sim, struct sim_daemon *daemon, int64_t for_us) {
  sim->stats.pauses++;
  daemon->paused_since = sim->now_us;
  daemon->paused_until = sim->now_us + for_us;
}

static void stand_still(struct sim *sim, struct sim_daemon *daemon) {
  sim_daemon_pause(sim, daemon, sim_between(&sim->rng, 1000, 60000) * SIM_MS);
  struct sim_daemon *twin = twin_of(sim, daemon);
  if (sim_on(sim, SIM_TWIN) && !twin->up && !sim_odds(&sim->rng, 3))
    sim_daemon_start(sim, twin, sim_between(&sim->rng, 500, 61000) * SIM_MS);
}

/* Another instance has written: what was thought is thrown away. */
static void fenced(struct sim *sim, struct sim_daemon *daemon) {
  sim->stats.fences++;
  sim_daemon_kill(sim, daemon);
  struct sim_daemon *twin = twin_of(sim, daemon);
  if (twin->up && (sim->healing || !sim_odds(&sim->rng, 4))) return;
  sim_daemon_start(sim, daemon, FENCE_US);
}

/* Something may happen to it at this very point; true if it is not there any more. */
static bool struck(struct sim *sim, struct sim_daemon *daemon) {
  if (sim_strikes(sim, SIM_CRASH, 1)) {
    crash(sim, daemon);
    return true;
  }
  struct sim_daemon *twin = twin_of(sim, daemon);
  if (!twin->up && sim_strikes(sim, SIM_TWIN, 20)) sim_daemon_start(sim, twin, 0);
  if (!sim_strikes(sim, SIM_PAUSE, 3)) return false;
  stand_still(sim, daemon);
  return false;
}

/* ---- what the store hands in ---- */

void sim_daemon_reply(struct sim *sim, struct sim_daemon *daemon, enum pd_commit_reply reply) {
  if (struck(sim, daemon)) return;
  daemon->in_flight--;
  if (reply == PD_COMMIT_REFUSED) daemon->retry_us = sim->now_us + REFUSED_US;
  if (!sim_lease_holds(sim, daemon) || daemon->unsure) reply = PD_COMMIT_UNKNOWN;
  pd_turn_reply(&daemon->turn, reply);
  if (!struck(sim, daemon)) sim_daemon_wake(sim, daemon);
}

void sim_daemon_connected(struct sim *sim, struct sim_daemon *daemon) {
  if (daemon->leading) pd_turn_doubt(&daemon->turn);
  sim_daemon_wake(sim, daemon);
}

/* The log ends with what a later leader wrote: whoever has seen that must not go on. */
static void check_fence(struct sim *sim, const struct sim_daemon *daemon, uint64_t seq) {
  const struct sim_entry *end = sim_store_find(sim, daemon->core->log, seq);
  bool later = end != NULL && end->last == seq && end->epoch > daemon->turn.writer.epoch;
  sim_expect(sim, !later || pd_turn_fenced(&daemon->turn),
             "P7 %s has seen that another has begun, and goes on", daemon->core->name);
}

void sim_daemon_tail(struct sim *sim, struct sim_daemon *daemon, uint64_t seq,
                     const struct pd_hash *hash) {
  daemon->tail_asked = false;
  sim_daemon_wake(sim, daemon);
  if (seq == UINT64_MAX || !pd_turn_wants_tail(&daemon->turn)) return;
  if (!sim_lease_holds(sim, daemon)) return;
  pd_turn_tail(&daemon->turn, seq, hash);
  sim_expect(sim, !pd_turn_lost(&daemon->turn), "P1 the log of %s lacks what was committed",
             daemon->core->name);
  check_fence(sim, daemon, seq);
}

static bool feeding(const struct sim_daemon *daemon) {
  bool takes = daemon->leading && !daemon->to_snapshot && !daemon->frozen && !daemon->yielding;
  takes = takes && !daemon->unsure;
  return takes && sim_lease_holds(sim_of(daemon), daemon) && pd_turn_open(&daemon->turn);
}

void sim_daemon_read(struct sim *sim, struct sim_daemon *daemon, enum pd_log log,
                     const struct sim_entry *entries, size_t count, bool failed) {
  struct sim_feed *feed = &daemon->feeds[log];
  feed->reading = false;
  sim_daemon_wake(sim, daemon);
  if (failed || !daemon->leading) return;
  pd_turn_now(&daemon->turn, sim_wall(sim));
  for (size_t i = 0; i < count; i++) {
    if (!feeding(daemon)) return;
    enum pd_taken taken =
        pd_turn_input(&daemon->turn, entries[i].bytes, entries[i].size, &entries[i].hash);
    if (taken == PD_TAKEN_PART) return;
    sim_expect(sim, taken == PD_TAKEN || taken == PD_TAKEN_OLD,
               "P9 %s cannot follow %s from the store: %d", daemon->core->name, pd_log_name(log),
               (int)taken);
  }
  const struct pd_follower *follower = &daemon->turn.inputs[log];
  if (count < 64 && follower->next > follower->tail) feed->behind = false;
}

static void read_more(struct sim *sim, struct sim_daemon *daemon, enum pd_log log) {
  struct sim_feed *feed = &daemon->feeds[log];
  if (!feed->behind || feed->reading || !feeding(daemon)) return;
  const struct pd_core *core = daemon->core;
  if (core->room != NULL && core->room(daemon->turn.self) == 0) return;
  feed->reading = true;
  sim_store_read(sim, daemon, log, daemon->turn.inputs[log].next);
}

/* ---- what the bus hands in ---- */

void sim_daemon_frame(struct sim *sim, struct sim_daemon *daemon, const struct sim_entry *entry,
                      bool flipped) {
  if (!daemon->leading || struck(sim, daemon)) return;
  struct pd_entry_view view;
  enum pd_err err = pd_entry_open(entry->bytes, entry->size, &view);
  if (err != PD_OK) {
    sim_expect(sim, flipped, "P10 a whole entry cannot be opened");
    return;
  }
  enum pd_log log = view.head.log;
  if (flipped && ((unsigned)log >= PD_LOGS || !(daemon->core->inputs & PD_LOG_BIT(log)))) return;
  struct sim_feed *feed = &daemon->feeds[log];
  if (feed->behind || !feeding(daemon)) {
    feed->behind = true;
    sim_daemon_wake(sim, daemon);
    return;
  }
  pd_turn_now(&daemon->turn, sim_wall(sim));
  enum pd_taken taken = pd_turn_input(&daemon->turn, entry->bytes, entry->size, &entry->hash);
  sim_expect(sim, !flipped || taken == PD_TAKEN_CORRUPT, "P10 %s took a corrupt entry",
             daemon->core->name);
  if (taken != PD_TAKEN && taken != PD_TAKEN_OLD) feed->behind = true;
  sim_daemon_wake(sim, daemon);
}

void sim_daemon_tip(struct sim *sim, struct sim_daemon *daemon, enum pd_log log, uint64_t last) {
  if (!daemon->leading) return;
  if (pd_follower_tip(&daemon->turn.inputs[log], last)) daemon->feeds[log].behind = true;
  sim_daemon_wake(sim, daemon);
}

/* ---- the doors of intake, the sink of notification ---- */

void sim_daemon_command(struct sim *sim, struct sim_daemon *daemon, uint32_t command) {
  if (!daemon->leading || struck(sim, daemon)) return;
  daemon->waiting = sim_grow(daemon->waiting, daemon->waiting_count, &daemon->waiting_room,
                             sizeof *daemon->waiting);
  daemon->waiting[daemon->waiting_count++] =
      (struct sim_waiting){.command = command, .since_us = sim->now_us};
  sim_daemon_wake(sim, daemon);
}

static void feed_commands(struct sim *sim, struct sim_daemon *daemon) {
  struct sim_waiting *list = daemon->waiting;
  size_t kept = 0;
  for (size_t i = 0; i < daemon->waiting_count; i++) {
    bool late = sim->now_us - list[i].since_us > SEEN_US;
    if (!feeding(daemon))
      list[kept++] = list[i];
    else if (!sim_door_hand(sim, daemon, list[i].command)) {
      if (late)
        sim_door_retry(sim, daemon, list[i].command);
      else
        list[kept++] = list[i];
    }
  }
  daemon->waiting_count = kept;
}

/* What came of a message; who delivers tries up to three times. */
static void delivered(struct sim *sim, const struct sim_occurrence *now) {
  struct sim_daemon *daemon = &sim->daemons[now->who];
  if (sim_daemon_absent(sim, now)) return;
  uint32_t attempts = (uint32_t)(now->b >> 32);
  bool ok = sim->healing || sim->options.story || !sim_odds(&sim->rng, 6);
  if (!daemon->leading || !feeding(daemon) || (!ok && attempts < 3)) {
    struct sim_occurrence *again = sim_later(sim, 500 * SIM_MS, delivered);
    again->who = now->who;
    again->life = now->life;
    again->a = now->a;
    again->b = now->b + ((uint64_t)!ok << 32);
    return;
  }
  struct pd_delivery delivery = {.log = (enum pd_log)(now->b >> 16 & 0xff),
                                 .part = (uint32_t)(now->b & 0xffff),
                                 .seq = now->a,
                                 .attempts = attempts + 1,
                                 .ok = ok,
                                 .final = true,
                                 .sink = "file",
                                 .why = ok ? NULL : "no route"};
  pd_turn_now(&daemon->turn, sim_wall(sim));
  pd_turn_delivery(&daemon->turn, &delivery);
  if (!sim->options.story && sim_odds(&sim->rng, 50)) pd_turn_delivery(&daemon->turn, &delivery);
  sim_daemon_wake(sim, daemon);
}

static void hand_out(struct sim *sim, struct sim_daemon *daemon) {
  struct notification_cursor cursor;
  struct notification_message message;
  memcpy(&cursor, daemon->cursor, sizeof cursor);
  for (int i = 0; i < UNDER_WAY; i++) {
    if (!notification_next(daemon->turn.self, daemon->turn.now_ms, &cursor, &message)) break;
    int64_t in_ms = sim->options.story ? 100 : sim_between(&sim->rng, 1, 400);
    struct sim_occurrence *next = sim_later(sim, in_ms * SIM_MS, delivered);
    next->who = daemon->number;
    next->life = daemon->life;
    next->a = message.seq;
    next->b = (uint64_t)message.log << 16 | message.part;
    if (i == UNDER_WAY - 1) sim_daemon_wake(sim, daemon);
  }
  memcpy(daemon->cursor, &cursor, sizeof cursor);
}

/* ---- snapshots ---- */

static void compare(struct sim *sim, struct sim_daemon *daemon, const struct pd_turn *live) {
  uint8_t *memory = calloc(1, STATE_SIZE);
  struct pd_turn *fresh = calloc(1, sizeof *fresh);
  pd_assert(memory != NULL && fresh != NULL);
  struct sim_daemon other = *daemon;
  other.entries = calloc(PD_WRITER_SLOTS, ENTRY_SIZE);
  other.batch = calloc(1, BATCH_SIZE);
  other.replies = calloc(1, REPLIES_SIZE);
  build(sim, &other, fresh, memory, 0);
  replay(sim, daemon, fresh);
  size_t one, two;
  const uint8_t *a = pd_arena_image(&live->state, &one), *b = pd_arena_image(&fresh->state, &two);
  sim_expect(sim, fresh->writer.seq == live->writer.seq, "P11 %s: replay ends at another seq",
             daemon->core->name);
  size_t at = 0;
  while (at < one && at < two && a[at] == b[at]) at++;
  sim_expect(sim, one == two && at == one,
             "P11 %s: live state and replay differ at byte %zu of %zu", daemon->core->name, at,
             one);
  struct pd_turn_position p = {0}, q = {0};
  pd_turn_position(live, &p);
  pd_turn_position(fresh, &q);
  bool same = memcmp(p.next, q.next, sizeof p.next) == 0 &&
              memcmp(p.last_of_kind, q.last_of_kind, sizeof p.last_of_kind) == 0 &&
              pd_hash_equal(&p.hash, &q.hash) && p.epoch == q.epoch;
  sim_expect(sim, same, "P11 %s: live position and replay differ", daemon->core->name);
  if (daemon->core->check != NULL) daemon->core->check(fresh->self);
  free(other.entries);
  free(other.batch);
  free(other.replies);
  free(fresh);
  free(memory);
}

void sim_daemon_compare(struct sim *sim, struct sim_daemon *daemon) {
  if (daemon->turn.writer.seq == sim_store_last(sim, daemon->core->log) &&
      pd_turn_quiet(&daemon->turn))
    compare(sim, daemon, &daemon->turn);
}

void sim_daemon_freeze(struct sim *sim, struct sim_daemon *daemon) {
  daemon->frozen = true;
  sim_daemon_wake(sim, daemon);
  int64_t end_us = sim->now_us + SIM_MINUTE;
  while (!pd_turn_quiet(&daemon->turn) && sim_step(sim, end_us)) continue;
  sim_expect(sim, pd_turn_quiet(&daemon->turn), "P3 %s does not come to rest", daemon->core->name);
}

void sim_daemon_save(struct sim *sim, struct sim_daemon *daemon) {
  size_t length;
  const uint8_t *image = pd_arena_image(&daemon->turn.state, &length);
  if (daemon->image == NULL) daemon->image = malloc(length);
  pd_assert(daemon->image != NULL);
  daemon->image_size = length;
  memcpy(daemon->image, image, length);
  pd_turn_position(&daemon->turn, &daemon->position);
  daemon->has_snapshot = true;
  daemon->to_snapshot = false;
  daemon->snapshot_seq = daemon->turn.writer.seq;
  sim->stats.snapshots++;
  if (sim_odds(&sim->rng, 8)) sim_daemon_compare(sim, daemon);
}

/* ---- a round ---- */

void sim_daemon_wake(struct sim *sim, struct sim_daemon *daemon) {
  if (daemon->round_due || !daemon->up) return;
  daemon->round_due = true;
  struct sim_occurrence *next = sim_later(sim, sim_between(&sim->rng, 10, 800), run_round);
  next->who = daemon->number;
  next->life = daemon->life;
}

static void on_timer(struct sim *sim, const struct sim_occurrence *now) {
  struct sim_daemon *daemon = &sim->daemons[now->who];
  if (daemon->wake_us == now->at_us) daemon->wake_us = SIM_NEVER;
  if (!sim_daemon_absent(sim, now)) sim_daemon_wake(sim, daemon);
}

static void wake_in(struct sim *sim, struct sim_daemon *daemon, int64_t in_us) {
  int64_t at = sim->now_us + (in_us > 0 ? in_us : 0);
  if (daemon->wake_us <= at) return;
  daemon->wake_us = at;
  struct sim_occurrence *next = sim_later(sim, at - sim->now_us, on_timer);
  next->who = daemon->number;
  next->life = daemon->life;
}

static void arm(struct sim *sim, struct sim_daemon *daemon) {
  struct pd_turn *turn = &daemon->turn;
  int64_t when = pd_turn_deadline(turn);
  if (when != PD_NEVER) wake_in(sim, daemon, (when - sim_wall(sim)) * SIM_MS + 1);
  if (pd_turn_unnoted(turn)) wake_in(sim, daemon, NOTE_US);
  bool waits =
      turn->writer.count > 0 || turn->writer.state == PD_WRITER_DOUBT || daemon->waiting_count > 0;
  bool room = daemon->core->room == NULL || daemon->core->room(turn->self) > 0;
  for (unsigned log = 1; log < PD_LOGS; log++) waits = waits || (daemon->feeds[log].behind && room);
  if (waits) wake_in(sim, daemon, 100 * SIM_MS);
  if (daemon->core->log == PD_LOG_NOTIFICATION) {
    int64_t wake = notification_wake(turn->self, sim_wall(sim));
    if (wake != PD_NEVER) wake_in(sim, daemon, (wake - sim_wall(sim)) * SIM_MS);
  }
}

static void send_commits(struct sim *sim, struct sim_daemon *daemon) {
  if (sim->now_us < daemon->retry_us) return;
  const struct pd_packed *packed;
  while ((packed = pd_turn_send(&daemon->turn)) != NULL) {
    daemon->in_flight++;
    sim_store_commit(sim, daemon, packed);
  }
}

static void settle_doubt(struct sim *sim, struct sim_daemon *daemon) {
  if (!pd_turn_wants_tail(&daemon->turn) || daemon->tail_asked || daemon->in_flight > 0) return;
  if (sim->now_us < daemon->retry_us) return;
  daemon->tail_asked = true;
  sim_store_tail(sim, daemon);
}

static void consider_snapshot(struct sim *sim, struct sim_daemon *daemon) {
  if (!sim_on(sim, SIM_RESTART)) {
    daemon->to_snapshot = false;
    return;
  }
  struct pd_turn *turn = &daemon->turn;
  if (turn->writer.seq - daemon->snapshot_seq >= 100 && sim_odds(&sim->rng, 30))
    daemon->to_snapshot = true;
  if (!daemon->to_snapshot || !pd_turn_quiet(turn)) return;
  sim_daemon_save(sim, daemon);
  if (sim_odds(&sim->rng, 3)) crash(sim, daemon);
}

/* The lease was over for a while: is the log as it was left? */
static bool is_sure(struct sim *sim, struct sim_daemon *daemon) {
  if (!daemon->unsure) return true;
  settle_doubt(sim, daemon);
  if (pd_turn_fenced(&daemon->turn)) {
    fenced(sim, daemon);
    return false;
  }
  daemon->unsure = pd_turn_doubted(&daemon->turn);
  if (daemon->unsure) arm(sim, daemon);
  return !daemon->unsure;
}

static void run_round(struct sim *sim, const struct sim_occurrence *now) {
  struct sim_daemon *daemon = &sim->daemons[now->who];
  if (sim_daemon_absent(sim, now)) return;
  daemon->round_due = false;
  if (!daemon->leading || struck(sim, daemon) || !sim_lease_holds(sim, daemon)) return;
  if (!is_sure(sim, daemon)) return;
  struct pd_turn *turn = &daemon->turn;
  pd_turn_now(turn, sim_wall(sim));
  for (unsigned log = 1; log < PD_LOGS; log++) read_more(sim, daemon, (enum pd_log)log);
  if (daemon->core->log == PD_LOG_INTAKE) feed_commands(sim, daemon);
  if (daemon->core->log == PD_LOG_NOTIFICATION && feeding(daemon)) hand_out(sim, daemon);
  while (feeding(daemon) && pd_turn_time(turn)) continue;
  int64_t patience = sim->options.seed % 2 == 0 ? NOTE_US : 20 * NOTE_US;
  bool late = sim->now_us - daemon->noted_us >= patience && pd_turn_unnoted(turn);
  if (pd_turn_close(turn, late || daemon->to_snapshot || daemon->frozen || daemon->yielding))
    daemon->noted_us = sim->now_us;
  if (daemon->core->check != NULL && ++daemon->rounds % 64 == 0) daemon->core->check(turn->self);
  settle_doubt(sim, daemon);
  send_commits(sim, daemon);
  if (pd_turn_fenced(turn)) {
    fenced(sim, daemon);
    return;
  }
  if (daemon->yielding && pd_turn_quiet(turn)) {
    sim_lease_free(sim, daemon, true);
    sim_daemon_rest(sim, daemon);
    return;
  }
  consider_snapshot(sim, daemon);
  if (daemon->up) arm(sim, daemon);
}

static bool is_done(struct sim *sim, enum pd_log log) {
  const struct sim_daemon *daemon = sim_leader(sim, log);
  if (daemon == NULL || daemon->turn.writer.count > 0) return false;
  if (daemon->turn.packer.events > 0 || pd_turn_unnoted(&daemon->turn)) return false;
  if (daemon->turn.writer.seq != sim_store_last(sim, log)) return false;
  for (unsigned input = 1; input < PD_LOGS; input++) {
    if (!(daemon->core->inputs & PD_LOG_BIT(input))) continue;
    if (daemon->turn.inputs[input].next <= sim_store_last(sim, (enum pd_log)input)) return false;
  }
  return true;
}

bool sim_is_quiet(struct sim *sim) {
  for (unsigned log = 1; log < PD_LOGS; log++)
    if (!is_done(sim, (enum pd_log)log)) return false;
  return true;
}
