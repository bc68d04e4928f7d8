/* The bus between the daemons, and the subscriber outside who writes down what he hears. */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EARS SIM_DAEMONS /* the subscriber's number as a hearer */
#define BEAT_US SIM_SECOND
#define HEAL_US (50 * SIM_MS)

/* ---- the subscriber ---- */

static void note(struct sim *sim, enum pd_log log, const struct pd_entry_item *item) {
  struct sim_subscriber *ears = &sim->ears;
  ears->journal[log] =
      sim_grow(ears->journal[log], ears->count[log], &ears->room[log], sizeof *ears->journal[log]);
  ears->journal[log][ears->count[log]++] = sim_hash(0, item->event, item->size);
}

static void hear(struct sim *sim, enum pd_log log, const struct pd_entry_item *item, uint64_t seq) {
  static uint8_t memory[128 << 10] __attribute__((aligned(16)));
  struct pd_arena arena;
  pd_arena_init(&arena, memory, sizeof memory);
  pd_follower_consumed(&sim->ears.followers[log], seq);
  note(sim, log, item);
  struct pd_event *event = pd_event_unpack(&arena, item->event, item->size);
  sim_expect(sim, event != NULL, "an event of %s cannot be unpacked", pd_log_name(log));
  if (sim->options.trace) {
    char text[2000];
    sim_text(event, text, sizeof text);
    printf("%s\n", text);
  }
  if (sim->heard != NULL) sim->heard(sim, event);
  pd_arena_reset(&arena);
}

static void heal(struct sim *sim, const struct sim_occurrence *now);

static void heal_soon(struct sim *sim, enum pd_log log) {
  if (sim->ears.healing[log]) return;
  sim->ears.healing[log] = true;
  sim->stats.heals++;
  sim_later(sim, HEAL_US, heal)->a = log;
}

static void listen(struct sim *sim, const struct sim_entry *entry, bool flipped) {
  struct pd_entry_view view;
  if (pd_entry_open(entry->bytes, entry->size, &view) != PD_OK) return;
  enum pd_log log = view.head.log;
  if ((unsigned)log < 1 || (unsigned)log >= PD_LOGS) return;
  struct pd_follower *follower = &sim->ears.followers[log];
  enum pd_follow follow =
      pd_follower_judge(follower, &view, entry->bytes, entry->size, &entry->hash);
  sim_expect(sim, !flipped || follow == PD_FOLLOW_CORRUPT, "P10 a corrupt frame was taken");
  if (follow == PD_FOLLOW_GAP || (follow == PD_FOLLOW_CORRUPT && !flipped)) heal_soon(sim, log);
  if (follow != PD_FOLLOW_NEXT) return;
  struct pd_entry_item item;
  uint64_t seq = view.head.first_seq;
  for (size_t at = 0; pd_entry_next(&view, &at, &item);)
    if (item.log == PD_LOG_UNSPECIFIED && seq++ >= follower->next) hear(sim, log, &item, seq - 1);
  pd_follower_finished(follower, &view, &entry->hash);
}

/* Read what is missing from the store: only what is on disk is shown. */
static void heal(struct sim *sim, const struct sim_occurrence *now) {
  enum pd_log log = (enum pd_log)now->a;
  sim->ears.healing[log] = false;
  if (sim->now_us < sim->store_up_us) {
    heal_soon(sim, log);
    return;
  }
  sim_store_flush(sim);
  if (!sim_store_replicated(sim)) { /* it may be lost yet */
    heal_soon(sim, log);
    return;
  }
  const struct sim_entry *entry;
  while ((entry = sim_store_find(sim, log, sim->ears.followers[log].next)) != NULL) {
    uint64_t before = sim->ears.followers[log].next;
    listen(sim, entry, false);
    sim_expect(sim, sim->ears.followers[log].next > before, "P9 the subscriber stands still at %s",
               pd_log_name(log));
  }
}

/* ---- frames ---- */

static const struct sim_entry *flip(struct sim *sim, const struct sim_entry *entry) {
  struct sim_entry *copy = sim_keep(sim, sizeof *copy + entry->size);
  uint8_t *bytes = (uint8_t *)(copy + 1);
  *copy = *entry;
  memcpy(bytes, entry->bytes, entry->size);
  uint64_t bit = pd_rng_below(&sim->rng, entry->size * 8);
  bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
  copy->bytes = bytes;
  return copy;
}

static void arrive(struct sim *sim, const struct sim_occurrence *now) {
  if (now->who != EARS && sim_daemon_absent(sim, now)) return;
  sim->stats.frames++;
  const struct sim_entry *entry = now->data;
  if (now->who == EARS)
    listen(sim, entry, now->a != 0);
  else
    sim_daemon_frame(sim, &sim->daemons[now->who], entry, now->a != 0);
}

static int64_t travel(struct sim *sim) {
  if (sim_on(sim, SIM_LATE) && sim_odds(&sim->rng, 50))
    return sim_between(&sim->rng, 100, 5000) * SIM_MS;
  return sim_between(&sim->rng, 20, 1500);
}

static void send(struct sim *sim, uint32_t to, uint32_t life, enum pd_log log,
                 const struct sim_entry *entry) {
  if (sim_on(sim, SIM_LOSS) && sim_odds(&sim->rng, 33)) return;
  int64_t at = sim->now_us + travel(sim);
  int64_t *latest = &sim->frame_us[to][log];
  bool overtake = sim_on(sim, SIM_ORDER) && sim_odds(&sim->rng, 10);
  if (!overtake && at <= *latest) at = *latest + 1;
  if (at > *latest) *latest = at;
  bool flipped = sim_strikes(sim, SIM_FLIP, 1);
  struct sim_occurrence *next = sim_later(sim, at - sim->now_us, arrive);
  next->who = to;
  next->life = life;
  next->a = flipped;
  next->data = flipped ? flip(sim, entry) : entry;
}

/* The bytes as the store keeps them: they are the same, and stay. */
static const struct sim_entry *kept(struct sim *sim, enum pd_log log, uint64_t last_seq) {
  struct sim_entry *copy = sim_keep(sim, sizeof *copy);
  *copy = *sim_store_find(sim, log, last_seq);
  return copy;
}

static void beat_later(struct sim *sim, struct sim_daemon *from);

static void beat(struct sim *sim, const struct sim_occurrence *now) {
  struct sim_daemon *from = &sim->daemons[now->who];
  if (from->beat_us == now->at_us) from->beat_us = SIM_NEVER;
  if (sim_daemon_absent(sim, now) || !from->leading) return;
  if (sim_lease_holds(sim, from) && !from->unsure)
    sim_bus_beat(sim, from);
  else
    beat_later(sim, from);
}

static void beat_later(struct sim *sim, struct sim_daemon *from) {
  if (from->beat_us != SIM_NEVER) return;
  from->beat_us = sim->now_us + BEAT_US;
  struct sim_occurrence *next = sim_later(sim, BEAT_US, beat);
  next->who = from->number;
  next->life = from->life;
}

void sim_bus_publish(struct sim *sim, struct sim_daemon *from, uint64_t last_seq) {
  enum pd_log log = from->core->log;
  const struct sim_entry *entry = kept(sim, log, last_seq);
  for (uint32_t to = 0; to <= EARS; to++) {
    const struct sim_daemon *daemon = &sim->daemons[to < EARS ? to : 0];
    if (to < EARS && (!daemon->up || !(daemon->core->inputs & PD_LOG_BIT(log)))) continue;
    send(sim, to, daemon->life, log, entry);
    if (sim_on(sim, SIM_DOUBLE) && sim_odds(&sim->rng, 20)) send(sim, to, daemon->life, log, entry);
  }
  beat_later(sim, from);
}

/* ---- heartbeats: as long as somebody has not heard all of it ---- */

static void tip(struct sim *sim, const struct sim_occurrence *now) {
  if (now->who == EARS) {
    if (pd_follower_tip(&sim->ears.followers[now->a], now->b)) heal_soon(sim, (enum pd_log)now->a);
  } else if (!sim_daemon_absent(sim, now)) {
    sim_daemon_tip(sim, &sim->daemons[now->who], (enum pd_log)now->a, now->b);
  }
}

static bool lacks(const struct sim *sim, uint32_t to, enum pd_log log, uint64_t last) {
  if (to == EARS) return sim->ears.followers[log].next <= last;
  const struct sim_daemon *daemon = &sim->daemons[to];
  /* What is being read is known to the store; but a read may be withheld for long. */
  bool reads = daemon->feeds[log].behind && sim->want == 0;
  return daemon->up && !reads && (daemon->core->inputs & PD_LOG_BIT(log)) &&
         daemon->turn.inputs[log].next <= last;
}

void sim_bus_beat(struct sim *sim, struct sim_daemon *from) {
  enum pd_log log = from->core->log;
  uint64_t last = from->turn.writer.seq;
  for (uint32_t to = 0; to <= EARS; to++) {
    if (!lacks(sim, to, log, last)) continue;
    beat_later(sim, from);
    if (sim_on(sim, SIM_LOSS) && sim_odds(&sim->rng, 33)) continue;
    struct sim_occurrence *next = sim_later(sim, travel(sim), tip);
    next->who = to;
    next->life = to < EARS ? sim->daemons[to].life : 0;
    next->a = log;
    next->b = last;
  }
}
