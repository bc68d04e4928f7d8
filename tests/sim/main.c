/* paidan-sim - runs seeds, each twice, and checks what must hold. */
#include "tests/sim/sim.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "usage: paidan-sim [--seed N] [--seeds COUNT] [--orders N] [--faults LIST|all|none|mixed]\n"
    "                  [--seconds N] [--once] [--trace] [--long]\n"
    "  --seed     the first seed (1)\n"
    "  --seeds    how many seeds in a row (100)\n"
    "  --orders   orders that people try to place in each (40)\n"
    "  --faults   names with commas, or all, none, or mixed: a set that follows from the seed\n"
    "  --seconds  stop after so long, however many seeds are left\n"
    "  --once     do not run each seed a second time\n"
    "  --trace    print every event as it is heard\n"
    "  --long     seeds without end for eight hours, 80 orders each\n"
    "faults: ";

#define SEED_SECONDS 120 /* no seed takes so long, not even under the sanitizers */

struct arguments {
  struct sim_options options;
  uint64_t seeds;
  double seconds;
  bool mixed, once;
};

/* A broken promise inside the program: say which seed it was. */
static void on_abort(int number) {
  char text[160];
  if (sim_current != NULL) {
    int length = snprintf(text, sizeof text,
                          "FAILED seed %llu by signal %d: an assertion, or it hangs\n"
                          "again: paidan-sim --seed %llu --seeds 1 --orders %u --faults 0x%x\n",
                          (unsigned long long)sim_current->options.seed, number,
                          (unsigned long long)sim_current->options.seed,
                          sim_current->options.orders, sim_current->options.faults);
    if (write(1, text, (size_t)length) < 0) _exit(3);
  }
  _exit(1);
}

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool fault_named(const char *name, size_t length, uint32_t *faults) {
  for (unsigned fault = 0; fault < SIM_FAULTS; fault++) {
    if (strlen(sim_fault_names[fault]) != length ||
        strncmp(sim_fault_names[fault], name, length) != 0)
      continue;
    *faults |= 1u << fault;
    return true;
  }
  return false;
}

static bool parse_faults(const char *list, struct arguments *arguments) {
  uint32_t *faults = &arguments->options.faults;
  *faults = 0;
  arguments->mixed = strcmp(list, "mixed") == 0;
  if (strcmp(list, "all") == 0) *faults = (1u << SIM_FAULTS) - 1;
  if (strncmp(list, "0x", 2) == 0) *faults = (uint32_t)strtoul(list, NULL, 16);
  if (arguments->mixed || *faults != 0 || strcmp(list, "none") == 0) return true;
  while (*list != 0) {
    size_t length = strcspn(list, ",");
    if (!fault_named(list, length, faults)) return false;
    list += length + (list[length] == ',');
  }
  return true;
}

static bool parse(int argc, char **argv, struct arguments *arguments) {
  for (int i = 1; i < argc; i++) {
    const char *name = argv[i];
    if (strcmp(name, "--trace") == 0) {
      arguments->options.trace = true;
      arguments->once = true;
    } else if (strcmp(name, "--long") == 0) {
      arguments->seeds = UINT64_MAX;
      arguments->seconds = 8 * 3600;
      arguments->options.orders = 80;
    } else if (strcmp(name, "--once") == 0) {
      arguments->once = true;
    } else if (i + 1 == argc) {
      return false;
    } else if (strcmp(name, "--faults") == 0) {
      if (!parse_faults(argv[++i], arguments)) return false;
    } else {
      char *end;
      uint64_t value = strtoull(argv[++i], &end, 10);
      if (*end != 0 || *argv[i] == 0) return false;
      if (strcmp(name, "--seed") == 0)
        arguments->options.seed = value;
      else if (strcmp(name, "--seeds") == 0)
        arguments->seeds = value;
      else if (strcmp(name, "--orders") == 0)
        arguments->options.orders = (uint32_t)value;
      else if (strcmp(name, "--seconds") == 0)
        arguments->seconds = (double)value;
      else
        return false;
    }
  }
  return true;
}

/* One seed in eight without any fault, one with all of them, the others with some. */
static uint32_t faults_of(uint64_t seed) {
  struct pd_rng rng;
  pd_rng_seed(&rng, seed * 77);
  uint64_t kind = pd_rng_below(&rng, 8);
  if (kind == 0) return 0;
  uint32_t all = (1u << SIM_FAULTS) - 1;
  if (kind == 1) return all;
  return (uint32_t)pd_rng_next(&rng) & all & (kind < 5 ? (uint32_t)pd_rng_next(&rng) : all);
}

static void report(const struct sim_stats *stats, uint64_t seeds, double seconds) {
  printf("%llu seeds, %llu orders, %llu events in %.1f s: %.0f events/s\n",
         (unsigned long long)seeds, (unsigned long long)stats->orders,
         (unsigned long long)stats->events, seconds, (double)stats->events / seconds);
  printf(
      "commands %llu (refused %llu), commits %llu, frames %llu, heals %llu, crashes %llu, "
      "pauses %llu, fences %llu, breaks %llu, unknown outcomes %llu, tears %llu, jumps %llu, "
      "snapshots %llu, replays %llu, failovers %llu, short of replicas %llu, takeovers %llu, "
      "rests %llu, lapses %llu\n",
      (unsigned long long)stats->commands, (unsigned long long)stats->refusals,
      (unsigned long long)stats->commits, (unsigned long long)stats->frames,
      (unsigned long long)stats->heals, (unsigned long long)stats->crashes,
      (unsigned long long)stats->pauses, (unsigned long long)stats->fences,
      (unsigned long long)stats->breaks, (unsigned long long)stats->unknown,
      (unsigned long long)stats->tears, (unsigned long long)stats->jumps,
      (unsigned long long)stats->snapshots, (unsigned long long)stats->replays,
      (unsigned long long)stats->failovers, (unsigned long long)stats->short_waits,
      (unsigned long long)stats->takeovers, (unsigned long long)stats->rests,
      (unsigned long long)stats->lapses);
}

static void print_usage(void) {
  printf("%s", usage);
  for (unsigned fault = 0; fault < SIM_FAULTS; fault++) printf("%s ", sim_fault_names[fault]);
  printf("\n");
}

int main(int argc, char **argv) {
  struct arguments arguments = {
      .options = {.seed = 1, .orders = 40}, .seeds = 100, .seconds = 1e9, .mixed = true};
  if (!parse(argc, argv, &arguments)) {
    print_usage();
    return 2;
  }
  signal(SIGABRT, on_abort);
  signal(SIGSEGV, on_abort);
  signal(SIGALRM, on_abort);
  struct sim_stats stats = {0};
  double began = seconds_now();
  uint64_t done = 0;
  for (; done < arguments.seeds && seconds_now() - began < arguments.seconds; done++) {
    struct sim_options options = arguments.options;
    options.seed += done;
    if (arguments.mixed) options.faults = faults_of(options.seed);
    alarm(SEED_SECONDS);
    uint64_t first = sim_run(&options, &stats);
    options.unpack_all = true;
    if (arguments.once || first == sim_run(&options, &stats)) continue;
    printf("FAILED seed %llu: P11 two runs differ, or a core passes over what it needs\n",
           (unsigned long long)options.seed);
    return 1;
  }
  report(&stats, done, seconds_now() - began);
  return 0;
}
