/* tool - what every command of `paidan` has at hand: where the shard runs, how to speak to it, how
 * to answer.
 *
 * The shard runs in a folder, `--run-dir`, which holds the sockets, the pid files, the passwords
 * and paidan.json (written by `up`: shard, zone, data folder, clock).  Passwords and addresses of
 * servers that stand elsewhere come from the environment: PAIDAN_LOG_REDIS, PAIDAN_LOG_USER,
 * PAIDAN_LOG_PASSWORD_FILE and the same with VAULT.
 */
#ifndef PAIDAN_TOOL_H
#define PAIDAN_TOOL_H

#include "common/io/client.h"
#include "common/io/store.h"
#include "common/io/vault.h"
#include "services/paidan/args.h"
#include "services/paidan/out.h"

#include <sys/types.h>

#define TOOL_PATH       256
#define TOOL_SOCKET_MAX 107 /* bytes of a unix socket's path on Linux */

#define TOOL_SHARDS     512
#define TOOL_INSTANCES  2

struct tool {
  struct out out;
  struct args args;
  const struct command *command;
  char bin_dir[TOOL_PATH];  /* of this program and the daemons */
  char run_dir[TOOL_PATH];  /* absolute */
  char data_dir[TOOL_PATH]; /* absolute */
  uint32_t shard;           /* 0: not known yet */
  char shards[TOOL_SHARDS]; /* that the daemons serve, "370302,370303"; "": the one */
  uint32_t instances;       /* of each daemon, 1 .. TOOL_INSTANCES */
  int32_t zone_min;
  char zone[8];
  char edge[TOOL_PATH]; /* where the edge is, "tcp://127.0.0.1:5670"; "": there is none */
  int64_t clock_anchor_ms;
  int64_t clock_at_ms;
  uint64_t clock_factor;
  void *zmq; /* made on first use */
};

/* One command, e.g. "order place". */
struct command {
  const char *name;
  const char *words;   /* its arguments as the help shows them, e.g. "ORDER" */
  const char *summary; /* one sentence */
  const char *example; /* one command line */
  const struct option_row *options;
  size_t least; /* words that must be there, and may be */
  size_t most;
  int (*run)(struct tool *tool); /* returns the exit code */
};

/* The families, each an array that ends with a NULL name. */
extern const struct command up_commands[];
extern const struct command status_commands[];
extern const struct command load_commands[];
extern const struct command order_commands[];
extern const struct command people_commands[];
extern const struct command papers_commands[];
extern const struct command logs_commands[];
extern const struct command trace_commands[];
extern const struct command why_commands[];
extern const struct command verify_commands[];
extern const struct command backup_commands[];
extern const struct command archive_commands[];
extern const struct command key_commands[];
extern const struct command hall_commands[];
extern const struct command replay_commands[];

/* Find the folders, the shard and the zone: from the options, the environment and paidan.json.
 * Returns an exit code: 0 to go on, otherwise it has said why. */
PD_MUST_USE int tool_settle(struct tool *tool, const char *argv0);

/* The shard must be known; else says how to name it. */
PD_MUST_USE int tool_need_shard(struct tool *tool);

/* Write paidan.json. */
PD_MUST_USE enum pd_err tool_remember(const struct tool *tool);

/* A path inside the run folder, in a buffer of TOOL_PATH bytes; returns buffer. */
char *tool_path(const struct tool *tool, const char *name, char *buffer);

/* The same in the folder of an instance: the first stands in the run folder itself. */
char *tool_path_of(const struct tool *tool, uint32_t instance, const char *name, char *buffer);
extern const char *const tool_instances[TOOL_INSTANCES]; /* their names */

/* The same as "ipc://..." for ZeroMQ. */
char *tool_endpoint(const struct tool *tool, uint32_t instance, const char *name, char *buffer);

/* Connect to the logs, or the vault, in the blocking way; says why it could not (exit code 69). */
PD_MUST_USE int tool_store(struct tool *tool, struct pd_store_now **store);
PD_MUST_USE int tool_vault(struct tool *tool, struct pd_vault_now **vault);
/* The servers' addresses and this tool's user; texts live as long as the tool runs. */
struct pd_redis_options tool_log_redis(const struct tool *tool);
struct pd_redis_options tool_vault_redis(const struct tool *tool);

/* The folder of the logs' archive: PAIDAN_ARCHIVE_DIR, or that of the data folder. */
const char *tool_archive(const struct tool *tool);

/* A client of a door: `door` or, when the option --door is given, that one. */
PD_MUST_USE int tool_client(struct tool *tool, const char *door, uint32_t window,
                            struct pd_client **client);

/* Send one command through a door and wait.  Says what was refused and why.  0: granted, and *ack
 * is a copy that the caller frees with paidan__v1__reply__free_unpacked(reply, NULL).  The key is
 * --key, or a fresh one. */
PD_MUST_USE int tool_send(struct tool *tool, const char *door, struct pd_command *command,
                          struct pd_reply **reply);

/* The same at the door `ops`, for a command about a person: says "done: the person", or the ack as
 * JSON.  Returns the exit code. */
int tool_send_about(struct tool *tool, struct pd_command *command, const char *done);

/* The shard's time now. */
int64_t tool_now_ms(const struct tool *tool);

/* A person's 32 hexadecimal digits, or says what is wrong (exit code 2). */
PD_MUST_USE int tool_person(struct tool *tool, const char *text, struct pd_id *person);

/* An order's (or hold's, offer's) number. */
PD_MUST_USE int tool_order(struct tool *tool, const char *text, uint64_t *number);

/* What to do when a server does not answer. */
extern const char tool_advice[];

/* Wrong command line: says what, and how to get help.  Returns 2. */
int tool_usage(struct tool *tool, const char *why);

/* Make a folder (and those above it); an existing one is fine. */
PD_MUST_USE enum pd_err tool_make_dir(const char *path, mode_t mode);

/* Write a small file at once: aside, synced, renamed. */
PD_MUST_USE enum pd_err tool_write_file(const char *path, mode_t mode, const char *text);

/* Read a small file (at most 1 MiB) as text; NULL if that fails.  The caller frees it. */
char *tool_read_file(const char *path);

#endif
