/* Leases, and who stands by: the real common/flow/lease.c before a modelled key in the store.
 *
 * A single instance has its lease without a word, so that quiet days cost no occurrences.  As soon
 * as a second one is up, both ask for it: questions and answers are late or lost, an instance
 * stands still for longer than its lease, and the wall clock jumps, which is nothing to it. */
#include "tests/sim/sim.h"

#include <string.h>

#define TICK_US (30 * SIM_MS)
#define FOLLOW_US (200 * SIM_MS)
#define LOST_MS 500

static struct sim_lease *key_of(struct sim *sim, const struct sim_daemon *daemon) {
  return &sim->leases[daemon->core->log];
}

static struct sim_daemon *other_of(struct sim *sim, const struct sim_daemon *daemon) {
  return &sim->daemons[(daemon->number + PD_LOGS - 1) % SIM_DAEMONS];
}

static int64_t steady_ms(int64_t us) { return us / SIM_MS; }

bool sim_lease_holds(const struct sim *sim, const struct sim_daemon *daemon) {
  return !daemon->contends || pd_lease_holds(&daemon->lease, steady_ms(sim->now_us));
}

void sim_lease_check(struct sim *sim, struct sim_daemon *daemon) {
  const struct sim_log *log = &sim->logs[daemon->core->log];
  if (log->count == 0) return;
  uint64_t ours = daemon->turn.writer.epoch, last = log->entries[log->count - 1].epoch;
  sim_expect(sim, last <= ours, "P7 %s acts in epoch %llu, and another has begun %llu",
             daemon->core->name, (unsigned long long)ours, (unsigned long long)last);
}

static struct sim_occurrence *later_for(struct sim *sim, const struct sim_daemon *daemon,
                                        int64_t in_us,
                                        void (*run)(struct sim *, const struct sim_occurrence *)) {
  struct sim_occurrence *next = sim_later(sim, in_us, run);
  next->who = daemon->number;
  next->life = daemon->life;
  return next;
}

/* ---- the key in the store: what paidan_lease does ---- */

static struct pd_lease_answer execute(struct sim *sim, struct sim_daemon *daemon,
                                      enum pd_lease_ask ask, uint32_t holds) {
  struct sim_lease *key = key_of(sim, daemon);
  uint32_t self = daemon->number + 1;
  if (key->until_us <= sim->now_us) *key = (struct sim_lease){0};
  if (ask == PD_LEASE_FREE && key->holder == self) *key = (struct sim_lease){0};
  if (ask == PD_LEASE_FREE || (key->holder == 0 && ask != PD_LEASE_TAKE))
    return (struct pd_lease_answer){.found = PD_LEASE_NOBODY};
  if (key->holder != 0 && key->holder != self) {
    if (ask != PD_LEASE_LOOK) key->waits = true, key->waiting_holds = holds;
    return (struct pd_lease_answer){.found = PD_LEASE_OTHER,
                                    .left_ms = (uint32_t)((key->until_us - sim->now_us) / SIM_MS)};
  }
  struct pd_lease_answer answer = {
      .found = PD_LEASE_HELD, .waited = key->waits, .waiting_holds = key->waiting_holds};
  if (ask == PD_LEASE_TAKE)
    *key = (struct sim_lease){.holder = self, .until_us = sim->now_us + PD_LEASE_TTL_MS * SIM_MS};
  return answer;
}

/* ---- questions and answers ---- */

static void claim(struct sim *sim, const struct sim_occurrence *now);

static void hear(struct sim *sim, struct sim_daemon *daemon, const struct pd_lease_answer *answer) {
  bool forgotten = daemon->lease.forgotten;
  bool lapsed = daemon->leading && !sim_lease_holds(sim, daemon);
  pd_lease_answer(&daemon->lease, answer, steady_ms(sim->now_us));
  sim_daemon_wake(sim, daemon);
  if (forgotten) return;
  if (lapsed && answer->found == PD_LEASE_HELD) {
    sim->stats.lapses++;
    daemon->unsure = true;
    pd_turn_doubt(&daemon->turn);
  }
  if (answer->found == PD_LEASE_OTHER && daemon->leading) sim_daemon_rest(sim, daemon);
  if (answer->found == PD_LEASE_HELD && daemon->standby)
    later_for(sim, daemon, sim_between(&sim->rng, 100, 20 * SIM_MS), claim);
}

static void on_answer(struct sim *sim, const struct sim_occurrence *now) {
  if (!sim_daemon_absent(sim, now))
    hear(sim, &sim->daemons[now->who], (const struct pd_lease_answer *)now->data);
}

static int64_t travel(struct sim *sim) {
  if (sim_odds(&sim->rng, 12)) return sim_between(&sim->rng, 50, 900) * SIM_MS;
  return sim_between(&sim->rng, 50, 1500);
}

/* Asked: the answer may be lost on either way, and then only the silence tells. */
static void on_question(struct sim *sim, const struct sim_occurrence *now) {
  struct sim_daemon *daemon = &sim->daemons[now->who];
  struct pd_lease_answer *answer = sim_keep(sim, sizeof *answer);
  bool gone = sim->now_us < sim->store_up_us || sim_odds(&sim->rng, 40);
  if (!daemon->up || daemon->life != now->life) return;
  *answer = (struct pd_lease_answer){.found = PD_LEASE_FAILED};
  if (!gone) *answer = execute(sim, daemon, (enum pd_lease_ask)now->a, (uint32_t)now->b);
  bool lost = gone || sim_odds(&sim->rng, 40);
  if (lost) answer->found = PD_LEASE_FAILED;
  if (now->a == PD_LEASE_FREE) return;
  later_for(sim, daemon, lost ? LOST_MS * SIM_MS : travel(sim), on_answer)->data = answer;
}

/* Leases of other shards that this instance would hold: in some worlds the first holds more. */
static uint32_t others_of(const struct sim *sim, const struct sim_daemon *daemon) {
  bool first = daemon->number < PD_LOGS - 1;
  return first && sim->options.seed % 3 == 1 ? 1 : 0;
}

static void ask(struct sim *sim, struct sim_daemon *daemon, enum pd_lease_ask what) {
  struct sim_occurrence *next = later_for(sim, daemon, travel(sim), on_question);
  next->a = what;
  next->b = others_of(sim, daemon);
}

void sim_lease_free(struct sim *sim, struct sim_daemon *daemon, bool pause) {
  if (!daemon->contends) return;
  pd_lease_drop(&daemon->lease, pause, steady_ms(sim->now_us));
  ask(sim, daemon, PD_LEASE_FREE);
}

/* It leads, and nobody else is there: from here on the lease is its own without asking.  Not as
 * long as an answer is under way, or it is about to let the lease go: then it asks for it anew. */
static bool is_alone(struct sim *sim, const struct sim_daemon *daemon) {
  bool settled = !daemon->lease.asked && !daemon->yielding;
  return daemon->leading && settled && sim_lease_holds(sim, daemon) && !other_of(sim, daemon)->up;
}

static void tick(struct sim *sim, const struct sim_occurrence *now) {
  struct sim_daemon *daemon = &sim->daemons[now->who];
  if (sim_daemon_absent(sim, now) || !daemon->contends) return;
  if (is_alone(sim, daemon)) {
    daemon->contends = false;
    sim_daemon_wake(sim, daemon);
    return;
  }
  uint32_t others = others_of(sim, daemon);
  bool holds = sim_lease_holds(sim, daemon);
  if (daemon->leading && holds && pd_lease_crowded(&daemon->lease, others)) daemon->yielding = true;
  bool wants = daemon->leading || (daemon->standby && daemon->caught_up);
  enum pd_lease_ask what = pd_lease_due(&daemon->lease, wants, others, steady_ms(sim->now_us));
  if (what != PD_LEASE_NOTHING) ask(sim, daemon, what);
  if (daemon->leading && (daemon->yielding || !holds)) sim_daemon_wake(sim, daemon);
  /* About as long as a lease lives: this is when it hurts. */
  if (daemon->leading && sim_on(sim, SIM_PAUSE) && sim_odds(&sim->rng, 60))
    sim_daemon_pause(sim, daemon, sim_between(&sim->rng, 200, 3 * PD_LEASE_TTL_MS) * SIM_MS);
  int64_t wait_us = daemon->lease.next_ms * SIM_MS - sim->now_us;
  later_for(sim, daemon, wait_us > TICK_US ? wait_us : TICK_US, tick);
}

/* ---- standing by ---- */

/* Now and then what comes next is not there yet, at any point of an entry. */
static enum pd_err slow_source(void *context, enum pd_log log, uint64_t from, const uint8_t **bytes,
                               size_t *size, struct pd_hash *hash) {
  struct sim *sim = context;
  if (sim_odds(&sim->rng, 3)) return PD_EAGAIN;
  return sim_store_source(context, log, from, bytes, size, hash);
}

/* The store shows what is on disk, and, where there are replicas, what these have. */
static bool can_read(struct sim *sim) {
  if (sim->now_us < sim->store_up_us) return false;
  sim_store_flush(sim);
  return sim_store_replicated(sim);
}

static void fold(struct sim *sim, const struct sim_occurrence *now) {
  struct sim_daemon *daemon = &sim->daemons[now->who];
  if (sim_daemon_absent(sim, now) || !daemon->standby) return;
  struct pd_source source = {.context = sim, .next = slow_source};
  enum pd_err err = PD_EAGAIN;
  bool readable = can_read(sim);
  for (int i = 0; i < 8 && readable && err == PD_EAGAIN; i++)
    err = pd_replay_run(&daemon->fold, &source);
  sim_expect(sim, err == PD_OK || err == PD_EAGAIN, "P8 %s cannot fold on: %s", daemon->core->name,
             pd_err_text(err));
  if (err == PD_OK) daemon->caught_up = true;
  if (err == PD_OK && sim_odds(&sim->rng, 400)) sim_daemon_compare(sim, daemon);
  if (pd_replay_between(&daemon->fold) && sim_odds(&sim->rng, 150)) sim_daemon_save(sim, daemon);
  later_for(sim, daemon, err == PD_OK || !readable ? FOLLOW_US : SIM_MS, fold);
}

/* The lease is ours: fold to the end that the log has, and lead. */
static void claim(struct sim *sim, const struct sim_occurrence *now) {
  struct sim_daemon *daemon = &sim->daemons[now->who];
  if (sim_daemon_absent(sim, now) || !daemon->standby) return;
  if (!sim_lease_holds(sim, daemon) || !can_read(sim)) return;
  struct pd_source source = {.context = sim, .next = sim_store_source};
  enum pd_err err = pd_replay_run(&daemon->fold, &source);
  sim_expect(sim, err == PD_OK, "P8 %s cannot fold to the end: %s", daemon->core->name,
             pd_err_text(err));
  daemon->standby = false;
  sim->stats.takeovers++;
  sim_daemon_lead(sim, daemon);
}

void sim_lease_stand_by(struct sim *sim, struct sim_daemon *daemon) {
  pd_assert(daemon->contends);
  daemon->life++;
  pd_replay_init(&daemon->fold, &daemon->turn);
  daemon->standby = true;
  daemon->leading = daemon->caught_up = daemon->yielding = daemon->unsure = false;
  if (daemon->lease.asked) { /* its answer was for another life */
    struct pd_lease_answer *failed = sim_keep(sim, sizeof *failed);
    *failed = (struct pd_lease_answer){.found = PD_LEASE_FAILED};
    later_for(sim, daemon, LOST_MS * SIM_MS, on_answer)->data = failed;
  }
  later_for(sim, daemon, SIM_MS, fold);
  later_for(sim, daemon, SIM_MS, tick);
}

/* ---- two at once ---- */

/* After a while one of the two is stopped, for most days have one instance: mostly who stands by.
 * When one stands still and thinks that it leads, it is the other: then nobody has the lease when
 * it comes back, it gets it again, and only the tail tells it that its time is over. */
static void retire(struct sim *sim, const struct sim_occurrence *now) {
  struct sim_daemon *daemon = &sim->daemons[now->who];
  struct sim_daemon *other = other_of(sim, daemon);
  if (!daemon->up || !other->up || sim->healing) return;
  bool still = daemon->paused_until > sim->now_us;
  struct sim_daemon *idle = daemon->standby ? daemon : other->standby ? other : NULL;
  struct sim_daemon *acting = still ? other : daemon;
  bool both = daemon->leading && other->leading;
  if (idle == NULL && !both)
    sim_later(sim, 20 * SIM_SECOND, retire)->who = now->who;
  else
    sim_daemon_kill(sim, both ? acting : idle);
}

/* It was alone until now: it held its lease, and renewed it last before it stood still. */
static void was_alone(struct sim *sim, struct sim_daemon *daemon) {
  bool still = daemon->paused_until > sim->now_us;
  int64_t since_us = still ? daemon->paused_since : sim->now_us;
  struct pd_lease_answer held = {.found = PD_LEASE_HELD};
  pd_lease_init(&daemon->lease);
  daemon->contends = true;
  later_for(sim, daemon, TICK_US, tick);
  if (!daemon->leading) return;
  enum pd_lease_ask what = pd_lease_due(&daemon->lease, true, 0, steady_ms(since_us));
  pd_assert(what == PD_LEASE_TAKE);
  pd_lease_answer(&daemon->lease, &held, steady_ms(since_us));
  *key_of(sim, daemon) = (struct sim_lease){.holder = daemon->number + 1,
                                            .until_us = since_us + PD_LEASE_TTL_MS * SIM_MS};
}

void sim_lease_begin(struct sim *sim, struct sim_daemon *daemon) {
  struct sim_daemon *other = other_of(sim, daemon);
  bool taken = key_of(sim, daemon)->holder == other->number + 1 &&
               key_of(sim, daemon)->until_us > sim->now_us;
  pd_lease_init(&daemon->lease);
  daemon->standby = daemon->caught_up = daemon->yielding = daemon->unsure = false;
  daemon->contends = other->up || taken;
  if (!other->up) return;
  if (!other->contends) was_alone(sim, other);
  sim_later(sim, sim_between(&sim->rng, 5, 40) * SIM_SECOND, retire)->who = daemon->number;
}
