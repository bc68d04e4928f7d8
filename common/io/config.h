/* config - one table of settings makes the file, the environment, the flags, the help and the
 * check.
 *
 * A setting NAME can be given as `--name value` or `--name=value`, as the environment variable
 * PAIDAN_NAME, and as `name: value` in the YAML file that --config (or PAIDAN_CONFIG) names; in a
 * flag `-` stands for `_` as well.  The flag wins over the environment, the environment over the
 * file, the file over the default.  An unknown key, a wrong type or a value out of range is refused
 * with place and reason; nothing is guessed.
 *
 * Also understood: --check-config --print-config --version --help.
 */
#ifndef PD_IO_CONFIG_H
#define PD_IO_CONFIG_H

#include "common/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What the caller's struct holds at `offset`. */
enum pd_setting_kind {
  PD_SETTING_TEXT,  /* char[size]; at most size - 1 bytes of UTF-8 without control characters */
  PD_SETTING_UINT,  /* uint64_t, min .. max */
  PD_SETTING_INT,   /* int64_t, min .. max */
  PD_SETTING_BOOL,  /* bool: true, false (a flag without value: true) */
  PD_SETTING_CHOICE, /* uint32_t: index of the word in `choices`, which are separated by '|' */
  PD_SETTING_LIST /* char[size]: words joined by ','; in YAML [a, b] or one word, in a flag a,b */
};

struct pd_setting {
  const char *name; /* lower case, words joined by '_' */
  enum pd_setting_kind kind;
  bool secret;   /* printed as "***" */
  bool required; /* has no default: must be given */
  size_t offset; /* in the caller's struct */
  size_t size;   /* TEXT and LIST: room, with the NUL; at most 4096, of a LIST 1024 */
  int64_t min;   /* UINT, INT; inclusive */
  int64_t max;
  const char *fallback; /* the default, as text; NULL: empty, 0, false */
  const char *choices;  /* CHOICE only: "debug|info|warn" */
  const char *help;     /* one sentence, with unit */
  /* A further rule: NULL if the value keeps it, else what it should be ("must be 6 digits").  May
   * be NULL. */
  const char *(*check)(const char *text);
};

struct pd_program {
  const char *name;    /* "paidan-intake" */
  const char *version; /* "0.1.0" */
  const char *summary; /* one sentence */
  const char *example; /* one command line */
  const struct pd_setting *settings;
  size_t count; /* at most PD_SETTINGS_MAX */
  /* A rule over several settings, asked when each keeps its own: NULL, or what is wrong.  May be
   * NULL. */
  const char *(*check)(const void *values);
};

#define PD_SETTINGS_MAX 512

/* Fill `values` (the caller's struct; zeroed here) from the defaults, the file, the environment and
 * the flags. Returns -1 to go on, or the exit code: 0 after --help, --version, --print-config and a
 * --check-config that passed, 2 for a command line that is not understood, 78 for bad values.
 * Messages go to out and err. */
PD_MUST_USE int pd_config_load(const struct pd_program *program, int argc, char *const *argv,
                               void *values, FILE *out, FILE *err);

/* The same for a text in memory alone (defaults, then the YAML): for tests and fuzzing.  why has
 * why_size bytes; it is "name:line:column: reason" on failure. */
PD_MUST_USE enum pd_err pd_config_parse(const struct pd_program *program, const char *name,
                                        const uint8_t *yaml, size_t size, void *values, char *why,
                                        size_t why_size);

/* The settings that every daemon has. */
struct pd_common_config {
  uint64_t shard;     /* 0: `shards` says it */
  char shards[512];   /* "370302,370303"; "": `shard` says it */
  char instance[17];  /* "a" */
  char zone[8];       /* "+08:00" */
  char run_dir[256];  /* sockets */
  char data_dir[256]; /* snapshots */
  char archive_dir[256]; /* "": <data_dir>/archive */
  char log_redis[512];
  char log_user[64];
  char log_password_file[256];
  uint64_t replicas;           /* that must have a commit before it counts; 0: none */
  uint64_t replica_timeout_ms; /* until they are asked again */
  char vault_redis[512];
  char vault_user[64];
  char vault_password_file[256];
  char http[256];     /* "unix:/path", "127.0.0.1:port", or "" for none */
  uint32_t log_level; /* enum pd_level of journal.h */
  uint32_t zero;
  int64_t clock_anchor_ms; /* the shard's clock showed this ... */
  int64_t clock_at_ms;     /* ... when the real clock showed this */
  uint64_t clock_factor;   /* and runs so many times as fast; 1 with 0, 0 is the real clock */
  uint64_t snapshot_every; /* events */
};

#define PD_COMMON_SETTINGS 21

/* Write the common settings' rows into rows, which has room for PD_COMMON_SETTINGS; base is the
 * offset of the struct pd_common_config in the caller's struct. */
void pd_config_common(struct pd_setting *rows, size_t base);

/* The shards that a process serves: `shard`, or each of `shards`, into codes, which has room for
 * PD_SHARDS_MAX.  Returns how many; 0 if neither or both are given, or one is no adcode, stands
 * there twice, or is one too many. */
#define PD_SHARDS_MAX 64
size_t pd_config_shards(const struct pd_common_config *config, uint32_t *codes);

/* The `check` of a program whose values begin with a struct pd_common_config: it must name its
 * shards; and the same for one that serves a single shard. */
const char *pd_config_check_shards(const void *values);
const char *pd_config_check_shard(const void *values);

/* The instance that needs no name: it stands in run_dir and data_dir themselves. */
#define PD_INSTANCE_FIRST "a"

/* "+08:00" -> 480; false if it is not a zone between -12:00 and +14:00. */
bool pd_config_zone(const char *text, int32_t *zone_min);

#endif
