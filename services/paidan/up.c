/* up, down - a whole shard on one machine: two Redis servers, five daemons, and one parent that
 * watches them. */
#include "common/base/calendar.h"
#include "common/io/clock.h"
#include "common/io/config.h"
#include "services/paidan/probe.h"
#include "services/paidan/servers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK_MS        50
#define DAEMON_STOP_MS 5000
#define REDIS_STOP_MS  20000

static volatile sig_atomic_t stop_asked;

static void on_stop(int number) { stop_asked = number; }

struct up {
  struct tool *tool;
  struct servers servers;
  struct child archivist; /* one pass of `archive run` */
  uint64_t archive_ms;    /* from pass to pass; 0: none */
  char archive_texts[3][TOOL_PATH];
  char archive_shard[8]; /* of the next pass */
  int lock; /* held as long as this shard is up */
  int told; /* where a waiting parent hears how it went; -1: nobody waits */
};

/* ---- the lock ---- */

/* Only one `up` for a run folder.  Returns the descriptor, or -1: somebody else holds it. */
static int take_lock(const struct tool *tool, pid_t *holder) {
  char path[TOOL_PATH], text[24] = "";
  int fd = open(tool_path(tool, "up.lock", path), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  *holder = 0;
  if (fd < 0) return -1;
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  ssize_t size = pread(fd, text, sizeof text - 1, 0);
  if (size > 0) *holder = (pid_t)strtol(text, NULL, 10);
  close(fd);
  return -1;
}

static void write_lock(int fd) {
  char text[24];
  int size = snprintf(text, sizeof text, "%d\n", (int)getpid());
  if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)size, 0) != size)
    return; /* only `down` reads it */
}

/* ---- starting ---- */

/* The last lines of a program's output, as a reason. */
static const char *last_words(const struct child *child, char *buffer, size_t room) {
  buffer[0] = '\0';
  int fd = open(child->journal, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return buffer;
  off_t end = lseek(fd, 0, SEEK_END);
  off_t from = end > (off_t)room - 1 ? end - (off_t)room + 1 : 0;
  ssize_t size = pread(fd, buffer, room - 1, from);
  close(fd);
  buffer[size > 0 ? size : 0] = '\0';
  while (size > 0 && buffer[size - 1] == '\n') buffer[--size] = '\0';
  char *line = strrchr(buffer, '\n');
  return line == NULL ? buffer : line + 1;
}

/* Exit codes that trying again will not change. */
static bool is_hopeless(const struct child *child) {
  if (!WIFEXITED(child->status)) return false;
  int code = WEXITSTATUS(child->status);
  return code == 127 || code == PD_EXIT_USAGE || code == PD_EXIT_CONFIG;
}

static int say_hopeless(struct up *up, const struct child *child) {
  char words[600], what[80], next[TOOL_PATH + 8];
  snprintf(what, sizeof what, "%s cannot run (exit %d)", child->name, WEXITSTATUS(child->status));
  snprintf(next, sizeof next, "read %s", child->journal);
  return out_fail(&up->tool->out, PD_EXIT_CONFIG, what, last_words(child, words, sizeof words),
                  next);
}

/* Start again what has ended, when its time has come.  Returns an exit code when that is hopeless.
 */
static int tend(struct up *up, bool starting) {
  for (size_t i = 0; i < up->servers.count; i++) {
    struct child *child = &up->servers.children[i];
    if (child_ended(child)) {
      if (is_hopeless(child) && (starting || child->restarts == 0)) return say_hopeless(up, child);
      bool killed = WIFSIGNALED(child->status);
      fprintf(stderr, "paidan up: %s has ended (%s %d), starting it again in %llu ms\n",
              child->name, killed ? "signal" : "exit",
              killed ? WTERMSIG(child->status) : WEXITSTATUS(child->status),
              (unsigned long long)child->wait_ms);
    }
    if (child->pid == 0 && child_clock_ms() >= child->next_ms) {
      child->restarts++;
      if (child_start(child) != PD_OK) child->next_ms = child_clock_ms() + child->wait_ms;
    }
  }
  return 0;
}

static bool is_ready(const struct tool *tool, size_t number) {
  char path[TOOL_PATH], *body = NULL;
  long status = 0;
  servers_daemon_path(tool, number, "http", path);
  if (probe_get(path, "/readyz", &status, &body) != PD_OK) return false;
  free(body);
  return status == 200;
}

static int wait_ready(struct up *up, uint64_t limit_ms) {
  uint64_t until = child_clock_ms() + limit_ms;
  size_t ready = 0;
  while (ready < servers_daemons(up->tool) && stop_asked == 0) {
    int code = tend(up, true);
    if (code != 0) return code;
    if (is_ready(up->tool, ready)) {
      ready++;
      continue;
    }
    if (child_clock_ms() >= until) {
      const struct child *child = &up->servers.children[SERVERS_REDIS + ready];
      char words[600];
      return out_failf(&up->tool->out, PD_EXIT_DOWN, "a daemon is not ready in time",
                       child->journal, "%s: %s", child->name,
                       last_words(child, words, sizeof words));
    }
    usleep(TICK_MS * 1000);
  }
  return stop_asked != 0 ? PD_EXIT_DOWN : 0;
}

static int start_all(struct up *up, uint64_t wait_s) {
  int code = servers_start_redis(up->tool, &up->servers);
  for (size_t i = SERVERS_REDIS; i < up->servers.count && code == 0; i++) {
    if (child_start(&up->servers.children[i]) == PD_OK) continue;
    code =
        out_fail(&up->tool->out, PD_EXIT_DOWN, "a daemon cannot be started", strerror(errno), NULL);
  }
  return code != 0 ? code : wait_ready(up, wait_s * 1000);
}

/* ---- the archive ---- */

static void describe_archivist(struct up *up) {
  struct child *child = &up->archivist;
  snprintf(up->archive_texts[0], TOOL_PATH, "%.200s/paidan", up->tool->bin_dir);
  const char *const words[] = {up->archive_texts[0], "archive",         "run",
                               "--run-dir",          up->tool->run_dir, "--shard",
                               up->archive_shard,    NULL};
  memcpy(child->words, words, sizeof words);
  child->name = "archive";
  child->journal = tool_path(up->tool, "archive.log", up->archive_texts[1]);
  child->pid_file = tool_path(up->tool, "archive.pid", up->archive_texts[2]);
  child->next_ms = child_clock_ms() + up->archive_ms;
}

/* Each shard in its turn. */
static void choose_shard(struct up *up) {
  const char *all = up->tool->shards, *here = strstr(all, up->archive_shard);
  const char *comma = here == NULL || up->archive_shard[0] == '\0' ? NULL : strchr(here, ',');
  if (all[0] == '\0')
    snprintf(up->archive_shard, sizeof up->archive_shard, "%06u", up->tool->shard % 1000000);
  else
    snprintf(up->archive_shard, sizeof up->archive_shard, "%.6s", comma == NULL ? all : comma + 1);
}

/* A pass now and then, one at a time.  One that fails has said why in archive.log; Redis then grows
 * until a later one succeeds, and nothing is lost. */
static void tend_archive(struct up *up) {
  struct child *child = &up->archivist;
  if (up->archive_ms == 0) return;
  if (child_ended(child)) child->next_ms = child_clock_ms() + up->archive_ms;
  if (child->pid != 0 || child_clock_ms() < child->next_ms) return;
  choose_shard(up);
  if (child_start(child) != PD_OK) child->next_ms = child_clock_ms() + up->archive_ms;
}

static void stop_all(struct up *up) {
  child_signal(&up->archivist, SIGTERM);
  child_stop(&up->archivist, DAEMON_STOP_MS);
  for (size_t i = SERVERS_REDIS; i < up->servers.count; i++)
    child_signal(&up->servers.children[i], SIGTERM);
  for (size_t i = SERVERS_REDIS; i < up->servers.count; i++)
    child_stop(&up->servers.children[i], DAEMON_STOP_MS);
  for (size_t i = 0; i < SERVERS_REDIS; i++) child_signal(&up->servers.children[i], SIGTERM);
  for (size_t i = 0; i < SERVERS_REDIS; i++) child_stop(&up->servers.children[i], REDIS_STOP_MS);
}

/* ---- what it says ---- */

static void say_up(struct up *up) {
  static const char *const heads[] = {"program", "pid", "journal", NULL};
  struct tool *tool = up->tool;
  struct out_table table;
  json_t *programs = json_array();
  out_table_begin(&table, heads);
  for (size_t i = 0; i < up->servers.count; i++) {
    const struct child *child = &up->servers.children[i];
    out_cell(&table, "%s", child->name);
    out_cell(&table, "%d", (int)child->pid);
    out_cell(&table, "%s", child->journal);
    json_array_append_new(programs, json_pack("{s:s, s:i, s:s}", "name", child->name, "pid",
                                              (int)child->pid, "journal", child->journal));
  }
  bool several = tool->shards[0] != '\0';
  char one[8];
  snprintf(one, sizeof one, "%06u", tool->shard % 1000000);
  out_text(&tool->out, "shard%s %s %s up in %s (data in %s)", several ? "s" : "",
           several ? tool->shards : one, several ? "are" : "is", tool->run_dir, tool->data_dir);
  out_table_end(&table, &tool->out);
  out_text(&tool->out, "look: paidan status --run-dir %s    stop: paidan down --run-dir %s",
           tool->run_dir, tool->run_dir);
  out_object(&tool->out,
             json_pack("{s:i, s:s, s:s, s:o}", "shard", (int)tool->shard, "run_dir", tool->run_dir,
                       "data_dir", tool->data_dir, "programs", programs));
  fflush(stdout);
}

/* The parent of --detach may go: its output is no longer ours. */
static void let_parent_go(struct up *up, int code) {
  if (up->told < 0) return;
  uint8_t byte = (uint8_t)code;
  if (write(up->told, &byte, 1) != 1) stop_asked = SIGTERM; /* the parent is gone: so go too */
  close(up->told);
  up->told = -1;
  char path[TOOL_PATH];
  int journal =
      open(tool_path(up->tool, "up.log", path), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (journal < 0) return;
  dup2(journal, STDOUT_FILENO);
  dup2(journal, STDERR_FILENO);
  close(journal);
}

/* A shard's own clock stands still while it is down. */
static void stop_clock(struct tool *tool) {
  if (tool->clock_anchor_ms == 0) return;
  tool->clock_anchor_ms = tool_now_ms(tool);
  tool->clock_at_ms = 0;
  if (tool_remember(tool) != PD_OK)
    fprintf(stderr, "paidan up: the clock could not be noted in paidan.json\n");
}

static void catch_signals(void) {
  struct sigaction action = {.sa_handler = on_stop};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
}

static int run_up(struct up *up, uint64_t wait_s) {
  write_lock(up->lock);
  catch_signals();
  int code = servers_prepare(up->tool);
  servers_describe(up->tool, &up->servers);
  describe_archivist(up);
  if (code == 0) code = start_all(up, wait_s);
  if (code == 0) {
    say_up(up);
    let_parent_go(up, code);
  }
  while (code == 0 && stop_asked == 0) {
    usleep(TICK_MS * 1000);
    code = stop_asked == 0 ? tend(up, false) : 0;
    tend_archive(up);
  }
  stop_all(up);
  stop_clock(up->tool);
  let_parent_go(up, code); /* if it waits still: nothing of a failed start is left running */
  if (code == 0) out_text(&up->tool->out, "shard %06u is down", up->tool->shard);
  return stop_asked != 0 && code == PD_EXIT_DOWN ? PD_EXIT_OK : code;
}

/* ---- up ---- */

static int detach(struct up *up, uint64_t wait_s) {
  int pipes[2];
  fflush(NULL);
  if (pipe2(pipes, O_CLOEXEC) != 0) return PD_EXIT_DOWN;
  pid_t pid = fork();
  if (pid < 0)
    return out_fail(&up->tool->out, PD_EXIT_DOWN, "cannot start a process", strerror(errno), NULL);
  if (pid == 0) {
    close(pipes[0]);
    up->told = pipes[1];
    setsid();
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0) dup2(null, STDIN_FILENO);
    return run_up(up, wait_s);
  }
  close(pipes[1]);
  uint8_t byte = PD_EXIT_DOWN;
  if (read(pipes[0], &byte, 1) != 1) byte = PD_EXIT_DOWN;
  close(pipes[0]);
  return byte;
}

/* Neither --start nor --speed: a shard that ran on a clock of its own goes on with it.  After a
 * clean stop from where that stood (clock_at_ms is 0 then), after a crash as if it had never
 * stopped. */
static void resume_clock(struct tool *tool, int64_t now) {
  if (tool->clock_anchor_ms != 0 && tool->clock_at_ms == 0) tool->clock_at_ms = now;
}

static int set_clock(struct tool *tool) {
  uint64_t factor;
  const char *start = args_get(&tool->args, "start");
  if (args_number(&tool->args, "speed", 1, 1000000, 1, &factor) != PD_OK) {
    return tool_usage(tool, tool->args.wrong);
  }
  int64_t now = pd_clock_real_ms(), anchor = now;
  if (start != NULL && !pd_time_parse(start, &anchor)) {
    return tool_usage(tool, "--start must be a time like 2025-03-01T00:00:00+08:00");
  }
  if (start == NULL && args_get(&tool->args, "speed") == NULL) {
    resume_clock(tool, now);
    return 0;
  }
  bool real = factor == 1 && start == NULL;
  tool->clock_factor = factor;
  tool->clock_anchor_ms = real ? 0 : anchor;
  tool->clock_at_ms = real ? 0 : now;
  return 0;
}

/* The edge is there when it is asked for, each time anew. */
static int set_edge(struct tool *tool) {
  const char *edge = args_get(&tool->args, "edge");
  tool->edge[0] = '\0';
  if (edge == NULL) return 0;
  const char *colon = strrchr(edge, ':');
  uint64_t port = 0;
  bool right = strncmp(edge, "tcp://", 6) == 0 && colon > edge + 6 &&
               args_digits(colon + 1, 65533, &port) && port > 0 &&
               strlen(edge) < sizeof tool->edge && strpbrk(edge, "\"\\ ") == NULL;
  if (!right) return tool_usage(tool, "--edge must be like tcp://127.0.0.1:5670");
  strcpy(tool->edge, edge);
  return 0;
}

/* The districts as the daemons' configuration has them: digits and commas. */
static int set_shards(struct tool *tool) {
  const char *shards = args_get(&tool->args, "shards");
  if (shards == NULL) {
    if (args_get(&tool->args, "shard") != NULL) tool->shards[0] = '\0';
    return 0;
  }
  struct pd_common_config config = {0};
  uint32_t codes[PD_SHARDS_MAX];
  size_t count = 0, used = 0;
  if (strlen(shards) < sizeof config.shards) {
    strcpy(config.shards, shards);
    count = pd_config_shards(&config, codes);
  }
  if (count == 0)
    return tool_usage(tool, "--shards must be adcodes, each once, such as 370302,370303");
  for (size_t i = 0; i < count; i++)
    used += (size_t)snprintf(tool->shards + used, sizeof tool->shards - used, "%s%06u",
                             i > 0 ? "," : "", codes[i]);
  tool->shard = codes[0];
  if (count == 1) tool->shards[0] = '\0';
  return 0;
}

/* A second instance is there when it is asked for, each time anew. */
static int set_instances(struct tool *tool) {
  uint64_t instances;
  uint64_t usual = args_get(&tool->args, "standby") != NULL ? 2 : 1;
  if (args_number(&tool->args, "instances", 1, TOOL_INSTANCES, usual, &instances) != PD_OK)
    return tool_usage(tool, tool->args.wrong);
  tool->instances = (uint32_t)instances;
  if (tool->edge[0] != '\0' && tool->shards[0] != '\0')
    return tool_usage(tool, "--edge serves one district: start a gateway for each by itself");
  return 0;
}

static int cmd_up(struct tool *tool) {
  struct up up = {.tool = tool, .told = -1};
  uint64_t wait_s;
  int code = set_shards(tool);
  if (code != 0) return code;
  if (tool->shard == 0) return tool_usage(tool, "name the district: --shard ADCODE, six digits");
  if (args_number(&tool->args, "wait", 1, 3600, 120, &wait_s) != PD_OK ||
      args_number(&tool->args, "archive", 0, 86400, 60, &up.archive_ms) != PD_OK)
    return tool_usage(tool, tool->args.wrong);
  up.archive_ms *= 1000;
  code = set_edge(tool);
  if (code == 0) code = set_instances(tool);
  if (code == 0) code = set_clock(tool);
  if (code != 0) return code;
  pid_t holder = 0;
  if (tool_make_dir(tool->run_dir, 0750) != PD_OK) {
    return out_failf(&tool->out, PD_EXIT_CONFIG, "the run folder cannot be made",
                     "name another with --run-dir", "%s: %s", tool->run_dir, strerror(errno));
  }
  up.lock = take_lock(tool, &holder);
  if (up.lock < 0) {
    return out_failf(&tool->out, PD_EXIT_FAULT, "a shard is up in this folder already",
                     "`paidan status` shows it, `paidan down` stops it", "%s, process %d",
                     tool->run_dir, (int)holder);
  }
  return args_get(&tool->args, "detach") != NULL ? detach(&up, wait_s) : run_up(&up, wait_s);
}

/* ---- down ---- */

static int cmd_down(struct tool *tool) {
  pid_t holder = 0;
  char path[TOOL_PATH];
  if (access(tool_path(tool, "up.lock", path), F_OK) != 0) {
    return out_fail(&tool->out, PD_EXIT_DOWN, "no shard is up in this folder", tool->run_dir,
                    "name its folder with --run-dir");
  }
  int lock = take_lock(tool, &holder);
  bool was_up = lock < 0 && holder > 1;
  if (was_up) kill(holder, SIGTERM);
  for (int i = 0; was_up && lock < 0 && i < 800; i++) {
    usleep(TICK_MS * 1000);
    lock = take_lock(tool, &holder);
  }
  if (lock < 0) {
    return out_failf(&tool->out, PD_EXIT_FAULT, "it does not stop", "read up.log in the run folder",
                     "process %d still runs", (int)holder);
  }
  close(lock);
  out_text(&tool->out, was_up ? "stopped" : "it was not up");
  out_object(&tool->out, json_pack("{s:b}", "stopped", was_up));
  return 0;
}

static const struct option_row up_options[] = {
    {"detach", NULL, "go on in the background once everything is ready"},
    {"edge", "ENDPOINT",
     "let programs on other machines in, by key (`paidan key new`): tcp://127.0.0.1:5670; takes "
     "three ports"},
    {"shards", "LIST", "serve several districts in the same daemons: 370302,370303"},
    {"standby", NULL, "run each daemon twice: the second folds along, and leads on within 2 s"},
    {"instances", "N", "run each daemon so many times, 1 or 2 (--standby: 2)"},
    {"speed", "FACTOR",
     "run the shard's clock so many times as fast (default as it was, at first 1)"},
    {"start", "TIME",
     "let the shard's clock begin here, e.g. 2025-03-01T00:00:00+08:00 (default now)"},
    {"archive", "SECONDS", "run `archive run` so often (default 60; 0: never)"},
    {"wait", "SECONDS", "give the daemons so long to be ready (default 120)"},
    {NULL, NULL, NULL},
};

const struct command up_commands[] = {
    {"up", "", "Starts a district on this machine: Redis for logs and vault, and the five daemons.",
     "paidan up --shard 370302 --detach", up_options, 0, 0, cmd_up},
    {"down", "", "Stops it: the daemons first, Redis last; nothing is lost.",
     "paidan down --run-dir /run/paidan", NULL, 0, 0, cmd_down},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
