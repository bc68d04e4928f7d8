#include "services/matching/policy_file.h"

#include "common/io/config.h"
#include "services/matching/policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX 65536
#define SETTINGS (POLICY_ROWS * MATCHING_KINDS)
#define NAME_SIZE 48
#define NUMBER_MAX 24

_Static_assert(SETTINGS <= PD_SETTINGS_MAX, "the reader of settings has too few places");

static const char *const kind_names[MATCHING_KINDS] = {"",     "wish",  "appeal", "report",
                                                       "work", "visit", "menu",   "emergency"};

/* The table that the reader of settings works from: rows of kind 0 first. */
struct table {
  struct pd_setting settings[SETTINGS];
  uint64_t values[SETTINGS];
  char names[SETTINGS][NAME_SIZE];
  char fallbacks[SETTINGS][NUMBER_MAX];
};

static void add_row(struct table *table, unsigned kind, unsigned i) {
  const struct policy_row *row = &policy_rows[i];
  unsigned at = kind * POLICY_ROWS + i;
  (void)snprintf(table->names[at], NAME_SIZE, "%s%s%s", kind_names[kind], kind == 0 ? "" : ".",
                 row->name);
  (void)snprintf(table->fallbacks[at], NUMBER_MAX, "%u", policy_get(&matching_policy_default, row));
  table->settings[at] = (struct pd_setting){.name = table->names[at],
                                            .kind = PD_SETTING_UINT,
                                            .offset = at * sizeof table->values[0],
                                            .min = row->min,
                                            .max = row->max,
                                            .fallback = table->fallbacks[at],
                                            .help = row->help};
}

/* What a kind does not say itself, it has from all kinds; and it may not contradict itself. */
static void settle(struct table *table, bool ranges) {
  for (unsigned at = 0; at < SETTINGS; at++) {
    unsigned row = at % POLICY_ROWS;
    unsigned long long base = table->values[row];
    if (at >= POLICY_ROWS && !ranges)
      (void)snprintf(table->fallbacks[at], NUMBER_MAX, "%llu", base);
    uint64_t wave_max = table->values[at - row + 1];
    if (policy_rows[row].number != PD_POLICY_NUMBER_OFFERS_PER_SLOT || !ranges) continue;
    table->settings[at].max = (int64_t)wave_max;
    if (strtoull(table->fallbacks[at], NULL, 10) > wave_max) /* not said: no contradiction */
      (void)snprintf(table->fallbacks[at], NUMBER_MAX, "%llu", (unsigned long long)wave_max);
  }
}

enum pd_err policy_parse(const char *name, const uint8_t *yaml, size_t size,
                         struct matching_rules *rules, char *why, size_t why_size) {
  static struct table table;
  const struct pd_program program = {
      .name = "rules", .settings = table.settings, .count = SETTINGS};
  pd_assert(policy_rows[1].number == PD_POLICY_NUMBER_WAVE_MAX);
  for (unsigned at = 0; at < SETTINGS; at++) add_row(&table, at / POLICY_ROWS, at % POLICY_ROWS);
  /* Thrice: the values for all kinds, then those of each kind, then what contradicts another. */
  for (unsigned pass = 0; pass < 3; pass++) {
    enum pd_err err = pd_config_parse(&program, name, yaml, size, table.values, why, why_size);
    if (err != PD_OK) return err;
    settle(&table, pass > 0);
  }
  for (unsigned at = 0; at < SETTINGS; at++)
    policy_set(&rules->of[at / POLICY_ROWS], &policy_rows[at % POLICY_ROWS],
               (uint32_t)table.values[at]);
  return PD_OK;
}

enum pd_err policy_read(const char *path, struct matching_rules *rules, char *why,
                        size_t why_size) {
  static uint8_t bytes[FILE_MAX + 1];
  FILE *file = fopen(path, "re");
  if (file == NULL) {
    (void)snprintf(why, why_size, "%s: cannot be read: %s", path, strerror(errno));
    return PD_EIO;
  }
  size_t size = fread(bytes, 1, sizeof bytes, file);
  bool bad = ferror(file) != 0;
  (void)fclose(file);
  if (bad) {
    (void)snprintf(why, why_size, "%s: cannot be read", path);
    return PD_EIO;
  }
  return policy_parse(path, bytes, size, rules, why, why_size);
}
