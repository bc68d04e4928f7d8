/* One run: a world, its days, its healing, and the questions at the end. */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN_MS INT64_C(1740931200000) /* 2025-03-03 00:00 +08:00, a Monday */
#define ACTIVE_US (8 * 24 * 60 * SIM_MINUTE)
#define HEALED_US (200 * 24 * 60 * SIM_MINUTE)
#define JUMP_US (60 * SIM_MINUTE)

static void set_limits(struct sim *sim) {
  static const struct pd_limits loose = {.persons = 160,
                                         .sites = 16,
                                         .teams = 16,
                                         .orders = 64,
                                         .slots = 8,
                                         .offers = 256,
                                         .offers_each = 4,
                                         .asked = 800,
                                         .bookings = 160,
                                         .keys = 2048,
                                         .holds = 16,
                                         .credentials = 120,
                                         .credentials_each = 3,
                                         .blocks = 40,
                                         .blocks_each = 3,
                                         .messages = 512};
  sim->limits = loose;
  if (sim->options.story || sim->options.seed % 3 == 0) return;
  sim->limits.offers = 48;
  sim->limits.asked = 120;
  sim->limits.holds = 3;
  sim->limits.credentials = 8;
  sim->limits.blocks = 3;
  sim->limits.keys = 128;
  sim->limits.messages = 40;
  sim->limits.offers_each = 3;
  sim->limits.bookings = 64;
  sim->limits.orders = 28;
  if (sim->options.seed % 3 == 2) sim->limits.persons = 48;
}

/* The wall clock is set, to either side. */
static void jump(struct sim *sim, const struct sim_occurrence *now) {
  (void)now;
  if (sim->healing) return;
  if (sim_on(sim, SIM_JUMP) && sim_odds(&sim->rng, 4)) {
    sim->wall_off_ms += sim_between(&sim->rng, -3600, 3600) * 1000;
    sim->stats.jumps++;
    for (unsigned i = 0; i < SIM_DAEMONS; i++) sim_daemon_wake(sim, &sim->daemons[i]);
  }
  if (sim_on(sim, SIM_REFUSE) && sim_odds(&sim->rng, 6))
    sim->refuse_until_us = sim->now_us + sim_between(&sim->rng, 1, 120) * SIM_SECOND;
  sim_later(sim, JUMP_US, jump);
}

void sim_open(struct sim *sim, const struct sim_options *options) {
  memset(sim, 0, sizeof *sim);
  sim->options = *options;
  sim_current = sim;
  pd_rng_seed(&sim->rng, options->seed);
  pd_rng_seed(&sim->wish, ~options->seed);
  sim->chance = (uint32_t)sim_between(&sim->rng, 300, 6000);
  sim->wall_off_ms = BEGIN_MS;
  if (!options->story) sim->wall_off_ms += sim_between(&sim->rng, 0, 7 * 24) * PD_HOUR_MS;
  sim->want = options->faults >> SIM_FAILOVER & 1;
  set_limits(sim);
  sim_daemons_init(sim);
  for (unsigned log = 1; log < PD_LOGS; log++) pd_follower_init(&sim->ears.followers[log], 1);
  for (unsigned i = 0; i < PD_LOGS - 1; i++) sim_daemon_start(sim, &sim->daemons[i], 0);
  sim->heard = sim_people_heard;
  sim_people_init(sim);
  sim_later(sim, JUMP_US, jump);
}

void sim_close(struct sim *sim) {
  sim_daemons_free(sim);
  sim_people_free(sim);
  for (unsigned log = 0; log < PD_LOGS; log++) {
    free(sim->logs[log].entries);
    free(sim->ears.journal[log]);
  }
  free(sim->commands);
  free(sim->queue);
  for (uint8_t *chunk = sim->chunk, *before; chunk != NULL; chunk = before) {
    memcpy(&before, chunk, sizeof before);
    free(chunk);
  }
  sim_current = NULL;
}

/* Everything works again: one instance of each service, no fault, nobody wants anything. */
static void heal(struct sim *sim) {
  sim->healing = true;
  sim->refuse_until_us = 0;
  for (unsigned i = 0; i < SIM_DAEMONS; i++) {
    struct sim_daemon *daemon = &sim->daemons[i];
    daemon->paused_until = 0;
    if (i >= PD_LOGS - 1)
      sim_daemon_kill(sim, daemon);
    else if (!daemon->up)
      sim_daemon_start(sim, daemon, SIM_SECOND);
    else
      sim_daemon_wake(sim, daemon);
  }
}

static void run_until(struct sim *sim, int64_t until_us) {
  while (sim_step(sim, until_us))
    sim_expect(sim, sim->stats.occurrences < 500000 + 25000 * sim->options.orders,
               "P3 it never comes to rest");
}

static void check_all(struct sim *sim) {
  struct sim_history history;
  for (unsigned log = 1; log < PD_LOGS; log++) {
    struct sim_daemon *daemon = sim_leader(sim, (enum pd_log)log);
    sim_daemon_freeze(sim, daemon);
    daemon->core->check(daemon->turn.self);
    sim_daemon_compare(sim, daemon);
  }
  run_until(sim, sim->now_us + SIM_MINUTE);
  sim_history_read(sim, &history);
  for (unsigned log = 1; log < PD_LOGS; log++) sim->stats.events += history.count[log];
  sim_check_journals(sim, &history);
  sim_check_intake(sim, &history);
  sim_check_matching(sim, &history);
  sim_check_coverage(sim, &history);
  sim_check_scheduling(sim, &history);
  sim_check_points(sim, &history);
  sim_check_messages(sim, &history);
  sim_history_free(&history);
}

static uint64_t fingerprint(const struct sim *sim) {
  uint64_t print = (uint64_t)sim->now_us ^ sim->numbers;
  for (unsigned log = 1; log < PD_LOGS; log++) {
    const struct sim_log *at = &sim->logs[log];
    for (size_t i = 0; i < at->count; i++)
      print = sim_hash(print, at->entries[i].hash.bytes, sizeof at->entries[i].hash.bytes);
  }
  for (size_t i = 0; i < sim->command_count; i++)
    print = sim_hash(print, &sim->commands[i].seq, sizeof sim->commands[i].seq);
  return print;
}

static void add(struct sim_stats *to, const struct sim_stats *from) {
  uint64_t *sum = (uint64_t *)to;
  const uint64_t *one = (const uint64_t *)from;
  for (size_t i = 0; i < sizeof *to / sizeof *sum; i++) sum[i] += one[i];
}

uint64_t sim_run(const struct sim_options *options, struct sim_stats *stats) {
  struct sim *sim = malloc(sizeof *sim);
  pd_assert(sim != NULL);
  sim_open(sim, options);
  run_until(sim, ACTIVE_US);
  heal(sim);
  run_until(sim, ACTIVE_US + HEALED_US);
  sim_expect(sim, sim_is_quiet(sim), "P3 the daemons never come to rest");
  check_all(sim);
  uint64_t print = fingerprint(sim);
  add(stats, &sim->stats);
  sim_close(sim);
  free(sim);
  return print;
}
