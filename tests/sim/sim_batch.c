#include "tests/sim/sim_batch.h"

#include <string.h>

#define NODES (BATCH_ORDERS + BATCH_PEOPLE)

int64_t sim_batch_fairness(uint32_t load) { return (int64_t)load * load * 100 / 256; }

static uint32_t times(const struct sim_batch *batch, uint32_t person) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < batch->orders; i++) count += batch->invited[i][person];
  return count;
}

/* What one more invitation of somebody costs beyond the first. */
static int64_t rise(const struct sim_batch *batch, uint32_t person, uint32_t before) {
  uint32_t load = batch->load[person];
  return sim_batch_fairness(load + 16 * before) - sim_batch_fairness(load);
}

int64_t sim_batch_cost(const struct sim_batch *batch) {
  int64_t sum = 0;
  for (uint32_t i = 0; i < batch->orders; i++) {
    uint32_t count = 0;
    for (uint32_t j = 0; j < batch->people; j++) {
      if (!batch->invited[i][j]) continue;
      sum += batch->cost[i][j];
      count++;
    }
    sum += (batch->wanted[i] - (int64_t)count) * batch->empty[i];
  }
  for (uint32_t j = 0; j < batch->people; j++)
    for (uint32_t t = 0; t < times(batch, j); t++) sum += rise(batch, j, t);
  return sum;
}

/* Distances from one order: to orders and to people, and the node before each. */
struct paths {
  int64_t order[BATCH_ORDERS], person[BATCH_PEOPLE];
  uint32_t before_order[BATCH_ORDERS], before_person[BATCH_PEOPLE];
};

static bool relax(const struct sim_batch *batch, struct paths *paths) {
  bool changed = false;
  for (uint32_t i = 0; i < batch->orders; i++) {
    for (uint32_t j = 0; j < batch->people; j++) {
      int64_t cost = batch->cost[i][j];
      if (cost >= BATCH_NEVER) continue;
      if (!batch->invited[i][j] && paths->order[i] + cost < paths->person[j]) {
        paths->person[j] = paths->order[i] + cost;
        paths->before_person[j] = i;
        changed = true;
      }
      if (batch->invited[i][j] && paths->person[j] - cost < paths->order[i]) {
        paths->order[i] = paths->person[j] - cost;
        paths->before_order[i] = j;
        changed = true;
      }
    }
  }
  return changed;
}

static void find_paths(const struct sim_batch *batch, uint32_t from, struct paths *paths) {
  for (uint32_t i = 0; i < batch->orders; i++) paths->order[i] = BATCH_NEVER;
  for (uint32_t j = 0; j < batch->people; j++) paths->person[j] = BATCH_NEVER;
  paths->order[from] = 0;
  for (uint32_t round = 0; round < NODES && relax(batch, paths); round++) continue;
}

/* Along the path to somebody: whoever gave somebody up takes the next one instead. */
static void take(struct sim_batch *batch, uint32_t from, const struct paths *paths,
                 uint32_t person) {
  for (;;) {
    uint32_t order = paths->before_person[person];
    batch->invited[order][person] = true;
    if (order == from) return;
    person = paths->before_order[order];
    batch->invited[order][person] = false;
  }
}

/* One more place of an order: filled, or left empty somewhere. */
static void serve(struct sim_batch *batch, uint32_t from) {
  static struct paths paths;
  find_paths(batch, from, &paths);
  int64_t best = BATCH_NEVER;
  uint32_t person = BATCH_PEOPLE, order = from;
  for (uint32_t i = 0; i < batch->orders; i++) {
    if (paths.order[i] >= BATCH_NEVER || paths.order[i] + batch->empty[i] >= best) continue;
    best = paths.order[i] + batch->empty[i];
    order = i;
  }
  for (uint32_t j = 0; j < batch->people; j++) {
    uint32_t before = times(batch, j);
    if (paths.person[j] >= BATCH_NEVER || before >= batch->room[j]) continue;
    if (paths.person[j] + rise(batch, j, before) >= best) continue;
    best = paths.person[j] + rise(batch, j, before);
    person = j;
  }
  if (person < BATCH_PEOPLE) {
    take(batch, from, &paths, person);
  } else if (order != from) {
    person = paths.before_order[order];
    batch->invited[order][person] = false;
    take(batch, from, &paths, person);
  }
}

void sim_batch_solve(struct sim_batch *batch) {
  memset(batch->invited, 0, sizeof batch->invited);
  for (uint32_t i = 0; i < batch->orders; i++)
    for (uint32_t place = 0; place < batch->wanted[i]; place++) serve(batch, i);
}
