/* Virtual time: what happens, in order; chance; memory; and how a run fails. */
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK ((size_t)1 << 20)

const char *const sim_fault_names[SIM_FAULTS] = {
    "loss",  "double", "late", "order", "flip", "crash",   "pause", "twin",
    "break", "refuse", "slow", "torn",  "jump", "restart", "retry", "failover",
};

const struct sim *sim_current;

/* ---- memory ---- */

void *sim_keep(struct sim *sim, size_t size) {
  size = (size + 15) & ~(size_t)15;
  if (sim->chunk == NULL || sim->chunk_used + size > sim->chunk_size) {
    size_t room = size + 16 > CHUNK ? size + 16 : CHUNK;
    uint8_t *chunk = calloc(1, room);
    pd_assert(chunk != NULL);
    memcpy(chunk, &sim->chunk, sizeof sim->chunk); /* the one before */
    sim->chunk = chunk;
    sim->chunk_size = room;
    sim->chunk_used = 16;
  }
  void *block = sim->chunk + sim->chunk_used;
  sim->chunk_used += size;
  return block;
}

void *sim_grow(void *array, size_t count, size_t *room, size_t each) {
  if (count < *room) return array;
  *room = *room == 0 ? 64 : 2 * *room;
  array = realloc(array, *room * each);
  pd_assert(array != NULL);
  return array;
}

/* ---- the queue: a binary heap ---- */

static bool before(const struct sim_occurrence *a, const struct sim_occurrence *b) {
  return a->at_us != b->at_us ? a->at_us < b->at_us : a->number < b->number;
}

struct sim_occurrence *sim_later(struct sim *sim, int64_t in_us,
                                 void (*run)(struct sim *, const struct sim_occurrence *)) {
  pd_assert(in_us >= 0);
  sim->queue =
      sim_grow(sim->queue, sim->queue_count, &sim->queue_room, sizeof(struct sim_occurrence));
  struct sim_occurrence made = {.at_us = sim->now_us + in_us, .number = ++sim->numbers, .run = run};
  size_t at = sim->queue_count++;
  for (; at > 0 && before(&made, &sim->queue[(at - 1) / 2]); at = (at - 1) / 2)
    sim->queue[at] = sim->queue[(at - 1) / 2];
  sim->queue[at] = made;
  return &sim->queue[at];
}

static struct sim_occurrence take(struct sim *sim) {
  struct sim_occurrence first = sim->queue[0], last = sim->queue[--sim->queue_count];
  size_t at = 0;
  for (size_t next; (next = 2 * at + 1) < sim->queue_count; at = next) {
    if (next + 1 < sim->queue_count && before(&sim->queue[next + 1], &sim->queue[next])) next++;
    if (!before(&sim->queue[next], &last)) break;
    sim->queue[at] = sim->queue[next];
  }
  sim->queue[at] = last;
  return first;
}

bool sim_step(struct sim *sim, int64_t until_us) {
  if (sim->queue_count == 0 || sim->queue[0].at_us > until_us) return false;
  struct sim_occurrence now = take(sim);
  sim->now_us = now.at_us;
  sim->stats.occurrences++;
  now.run(sim, &now);
  return true;
}

int64_t sim_wall(const struct sim *sim) { return sim->now_us / SIM_MS + sim->wall_off_ms; }

/* ---- chance ---- */

/* In a story nothing is left to chance: every way takes its longest time, nothing odd happens. */
static bool is_story(void) { return sim_current != NULL && sim_current->options.story; }

bool sim_odds(struct pd_rng *rng, uint32_t one_in) {
  return !is_story() && pd_rng_below(rng, one_in) == 0;
}

int64_t sim_between(struct pd_rng *rng, int64_t low, int64_t high) {
  pd_assert(low <= high);
  if (is_story()) return high;
  return low + (int64_t)pd_rng_below(rng, (uint64_t)(high - low) + 1);
}

bool sim_on(const struct sim *sim, enum sim_fault fault) {
  return !sim->healing && (sim->options.faults >> (unsigned)fault & 1u) != 0;
}

bool sim_strikes(struct sim *sim, enum sim_fault fault, uint32_t weight) {
  return sim_on(sim, fault) && sim_odds(&sim->rng, sim->chance * weight);
}

uint64_t sim_hash(uint64_t seed, const void *bytes, size_t size) {
  const uint8_t *at = bytes;
  uint64_t hash = seed ^ UINT64_C(0x9e3779b97f4a7c15);
  for (; size >= 8; at += 8, size -= 8) {
    uint64_t word;
    memcpy(&word, at, 8);
    hash = (hash ^ word) * UINT64_C(0xff51afd7ed558ccd);
    hash ^= hash >> 32;
  }
  for (; size > 0; at++, size--) hash = (hash ^ *at) * UINT64_C(0x100000001b3);
  return hash ^ hash >> 29;
}

/* ---- failing ---- */

static void print_faults(const struct sim *sim) {
  if (sim->options.faults == 0) printf("none");
  const char *comma = "";
  for (unsigned fault = 0; fault < SIM_FAULTS; fault++) {
    if ((sim->options.faults >> fault & 1u) == 0) continue;
    printf("%s%s", comma, sim_fault_names[fault]);
    comma = ",";
  }
}

_Noreturn void sim_fail(const struct sim *sim, const char *format, ...) {
  char time[PD_TIME_TEXT];
  va_list list;
  va_start(list, format);
  printf("FAILED seed %llu at %s: ", (unsigned long long)sim->options.seed,
         pd_time_text(sim_wall(sim), SIM_ZONE_MIN, time));
  vprintf(format, list);
  va_end(list);
  printf("\nagain: paidan-sim --seed %llu --orders %u --trace --faults ",
         (unsigned long long)sim->options.seed, sim->options.orders);
  print_faults(sim);
  printf("\n");
  fflush(stdout);
  exit(1);
}
