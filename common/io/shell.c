/* The process: configuration, what the seats share, the loop, and the way down. */
#include "common/io/shell.h"

#include "common/io/journal.h"
#include "common/io/seal.h"
#include "common/io/shell_state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION "0.1.0"
#define BEAT_MS 250
#define LEASE_MS 50   /* how often leases are looked at */
#define DRAIN_MS 1500 /* the most that SIGTERM waits for commits */

uv_loop_t *pd_shell_loop(struct pd_shell *shell) { return &shell->loop; }
void *pd_shell_zmq(struct pd_shell *shell) { return shell->zmq; }
struct pd_metrics *pd_shell_metrics(struct pd_shell *shell) { return shell->metrics; }
const struct pd_common_config *pd_shell_config(struct pd_shell *shell) { return shell->common; }
const char *pd_shell_folder(struct pd_shell *shell) { return shell->folder; }
uint32_t pd_shell_seats(const struct pd_shell *shell) { return shell->seat_count; }
struct pd_seat *pd_shell_seat(struct pd_shell *shell, uint32_t number) {
  pd_assert(number < shell->seat_count);
  return &shell->seats[number];
}

static void on_nothing(uv_timer_t *timer) { (void)timer; }

void pd_shell_wake(struct pd_shell *shell) { uv_timer_start(&shell->wake, on_nothing, 0, 0); }

bool pd_shell_endpoint(const char *folder, const char *name, const char *kind, char *text) {
  int length = strcmp(kind, "door") == 0
                   ? snprintf(text, PD_ENDPOINT, "ipc://%s/door.%s", folder, name)
                   : snprintf(text, PD_ENDPOINT, "ipc://%s/%s.%s", folder, name, kind);
  return length > 0 && length <= 6 + 107; /* "ipc://" and sun_path of unix(7) */
}

bool pd_shell_endpoint_at(const struct pd_holder *holder, const char *name, const char *kind,
                          char *text) {
  static const char scheme[] = "ipc://";
  bool local = strncmp(holder->endpoint, scheme, strlen(scheme)) == 0;
  if (holder->name[0] == 0 || !local) return false;
  return pd_shell_endpoint(holder->endpoint + strlen(scheme), name, kind, text);
}

/* ---- starting ---- */

static size_t on_ready(void *context, const char **reasons, size_t max, bool *ready) {
  struct pd_shell *shell = context;
  size_t count = 0;
  *ready = true;
  for (uint32_t i = 0; i < shell->seat_count; i++) {
    bool good;
    const char *why = pd_seat_ready(&shell->seats[i], &good);
    *ready = *ready && good;
    if (why != NULL && count < max) reasons[count++] = why;
  }
  return count;
}

/* A second process in the same folder would take over the sockets' paths without a word. */
static enum pd_err take_lock(struct pd_shell *shell) {
  char path[sizeof shell->folder + 64];
  bool made = mkdir(shell->folder, 0750) == 0 || errno == EEXIST;
  made = made && (mkdir(shell->data_dir, 0700) == 0 || errno == EEXIST);
  if (!made) return PD_EIO;
  snprintf(path, sizeof path, "%s/%s.lock", shell->folder, shell->service->core->name);
  shell->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (shell->lock < 0) return PD_EIO;
  return flock(shell->lock, LOCK_EX | LOCK_NB) == 0 ? PD_OK : PD_EEXIST;
}

static enum pd_err open_publisher(struct pd_shell *shell) {
  char endpoint[PD_ENDPOINT];
  if (!pd_shell_endpoint(shell->folder, shell->service->core->name, "pub", endpoint))
    return PD_EBOUNDS;
  enum pd_err err = pd_bus_socket(&shell->publisher, shell->zmq, ZMQ_PUB, NULL);
  return err == PD_OK ? pd_bus_bind(shell->publisher, endpoint) : err;
}

static enum pd_err open_all(struct pd_shell *shell) {
  enum pd_err err = take_lock(shell);
  if (err == PD_OK) err = pd_metrics_open(&shell->metrics);
  if (err != PD_OK) return err;
  struct pd_http_options http = {
      .listen = shell->common->http, .metrics = shell->metrics, .ready = on_ready};
  http.context = shell;
  if (http.listen[0] != 0) err = pd_http_open(&shell->http, &shell->loop, &http);
  if (err != PD_OK) return err;
  shell->zmq = zmq_ctx_new();
  err = open_publisher(shell);
  if (err == PD_OK && shell->service->start != NULL)
    err = shell->service->start(shell, &shell->shared);
  for (uint32_t i = 0; i < shell->seat_count && err == PD_OK; i++)
    err = pd_seat_open(&shell->seats[i]);
  return err;
}

/* ---- the loop ---- */

static void on_prepare(uv_prepare_t *prepare) {
  struct pd_shell *shell = prepare->data;
  for (uint32_t i = 0; i < shell->seat_count; i++) pd_seat_round(&shell->seats[i]);
}

static void on_beat(uv_timer_t *timer) {
  struct pd_shell *shell = timer->data;
  for (uint32_t i = 0; i < shell->seat_count; i++) pd_seat_beat(&shell->seats[i]);
}

static void on_lease(uv_timer_t *timer) {
  struct pd_shell *shell = timer->data;
  for (uint32_t i = 0; i < shell->seat_count; i++) pd_lease_beat(&shell->seats[i]);
}

void pd_shell_consider(struct pd_shell *shell) {
  for (uint32_t i = 0; i < shell->seat_count; i++) {
    const struct pd_seat *seat = &shell->seats[i];
    bool over = seat->phase == PD_PHASE_BROKEN || seat->stopped;
    if (!over || (shell->stopping && seat->freeing > 0)) return;
  }
  uv_stop(&shell->loop);
}

static void on_drained(uv_timer_t *timer) {
  pd_say(PD_LEVEL_WARN, pd_kv_text("msg", "stopped before every commit was answered"));
  uv_stop(timer->loop);
}

static void stop_seat(struct pd_seat *seat) {
  bool leads = seat->phase == PD_PHASE_LIVE || seat->phase == PD_PHASE_DRAINING;
  if (leads) {
    pd_live_drain(seat);
    return;
  }
  pd_lease_free(seat, false);
  seat->stopped = true;
}

static void on_signal(uv_signal_t *signal, int number) {
  struct pd_shell *shell = signal->data;
  if (shell->stopping) return; /* a second signal must not put off the end of the first */
  pd_say(PD_LEVEL_INFO, pd_kv_text("msg", "stopping"), pd_kv_uint("signal", (uint64_t)number));
  shell->stopping = true;
  for (uint32_t i = 0; i < shell->seat_count; i++) stop_seat(&shell->seats[i]);
  uv_timer_start(&shell->drain, on_drained, DRAIN_MS, 0);
  pd_shell_consider(shell);
}

static void start_loop(struct pd_shell *shell) {
  uv_loop_t *loop = &shell->loop;
  uv_loop_init(loop);
  uv_timer_init(loop, &shell->beat);
  uv_timer_init(loop, &shell->lease);
  uv_timer_init(loop, &shell->wake);
  uv_timer_init(loop, &shell->drain);
  uv_signal_init(loop, &shell->term);
  uv_signal_init(loop, &shell->interrupt);
  shell->beat.data = shell->lease.data = shell->term.data = shell->interrupt.data = shell;
  uv_signal_start(&shell->term, on_signal, SIGTERM);
  uv_signal_start(&shell->interrupt, on_signal, SIGINT);
  uv_timer_start(&shell->beat, on_beat, BEAT_MS, BEAT_MS);
  uv_timer_start(&shell->lease, on_lease, LEASE_MS, LEASE_MS);
}

/* Behind the sockets' watches: what they bring is in the round that follows. */
static void start_rounds(struct pd_shell *shell) {
  uv_prepare_init(&shell->loop, &shell->prepare);
  shell->prepare.data = shell;
  uv_prepare_start(&shell->prepare, on_prepare);
}

/* ---- the way down ---- */

static void close_handles(struct pd_shell *shell) {
  uv_close((uv_handle_t *)&shell->beat, NULL);
  uv_close((uv_handle_t *)&shell->lease, NULL);
  uv_close((uv_handle_t *)&shell->wake, NULL);
  uv_close((uv_handle_t *)&shell->drain, NULL);
  uv_close((uv_handle_t *)&shell->term, NULL);
  uv_close((uv_handle_t *)&shell->interrupt, NULL);
  if (shell->prepare.loop != NULL) uv_close((uv_handle_t *)&shell->prepare, NULL);
}

static void close_all(struct pd_shell *shell) {
  for (uint32_t i = 0; i < shell->seat_count; i++) pd_seat_close(&shell->seats[i]);
  if (shell->service->stop != NULL && shell->shared != NULL) shell->service->stop(shell->shared);
  if (shell->publisher != NULL) zmq_close(shell->publisher);
  pd_http_close(shell->http);
  close_handles(shell);
  for (int i = 0; i < 100 && uv_run(&shell->loop, UV_RUN_NOWAIT) != 0; i++) continue;
  if (shell->zmq != NULL) zmq_ctx_term(shell->zmq);
  pd_metrics_close(shell->metrics);
  if (shell->lock >= 0) close(shell->lock);
  /* Refused as long as somebody's handle is open: the process ends all the same. */
  if (uv_loop_close(&shell->loop) != 0)
    pd_say(PD_LEVEL_DEBUG, pd_kv_text("msg", "a handle of the loop was left open"));
}

/* Its state is the log's: the next start need not replay. */
static void save_last(struct pd_seat *seat) {
  if (seat->phase == PD_PHASE_BROKEN) return; /* it has said why */
  bool leads = seat->phase == PD_PHASE_LIVE || seat->phase == PD_PHASE_DRAINING;
  bool folds = seat->phase == PD_PHASE_FOLD && pd_replay_between(&seat->fold.replay);
  if ((leads || folds) && pd_turn_quiet(&seat->turn)) pd_seat_save(seat, false);
  seat_say(seat, PD_LEVEL_INFO, pd_kv_text("msg", "stopped"),
           pd_kv_uint("seq", seat->turn.writer.seq));
}

/* Run until there is nothing left to run for.  Returns the exit code: that of the seats, if none of
 * them could be served. */
static int serve(struct pd_shell *shell) {
  start_rounds(shell);
  uv_run(&shell->loop, UV_RUN_DEFAULT);
  int code = shell->seats[0].code;
  for (uint32_t i = 0; i < shell->seat_count; i++) {
    if (shell->seats[i].phase != PD_PHASE_BROKEN) code = PD_EXIT_OK;
    save_last(&shell->seats[i]);
  }
  return code;
}

/* ---- main ---- */

static int load_config(struct pd_shell *shell, int argc, char **argv) {
  const struct pd_service *service = shell->service;
  struct pd_setting rows[PD_SETTINGS_MAX];
  pd_assert(PD_COMMON_SETTINGS + service->settings_count <= PD_SETTINGS_MAX);
  pd_config_common(rows, 0);
  for (size_t i = 0; i < service->settings_count; i++)
    rows[PD_COMMON_SETTINGS + i] = service->settings[i];
  char name[64], example[128];
  snprintf(name, sizeof name, "paidan-%s", service->core->name);
  snprintf(example, sizeof example, "%s --config /etc/paidan/%s.yaml", name, service->core->name);
  struct pd_program program = {
      .name = name, .version = VERSION, .summary = service->summary, .example = example};
  program.settings = rows;
  program.count = PD_COMMON_SETTINGS + service->settings_count;
  program.check = pd_config_check_shards;
  shell->config = calloc(1, service->config_size);
  shell->common = shell->config;
  return shell->config == NULL ? PD_EXIT_FAULT
                               : pd_config_load(&program, argc, argv, shell->config, stdout,
                                                stderr);
}

/* The first instance stands where one without a name would; another has a folder in it. */
static void name_folders(struct pd_shell *shell) {
  const struct pd_common_config *common = shell->common;
  bool first = strcmp(common->instance, PD_INSTANCE_FIRST) == 0;
  const char *slash = first ? "" : "/", *name = first ? "" : common->instance;
  snprintf(shell->folder, sizeof shell->folder, "%s%s%s", common->run_dir, slash, name);
  snprintf(shell->data_dir, sizeof shell->data_dir, "%s%s%s", common->data_dir, slash, name);
  snprintf(shell->endpoint, sizeof shell->endpoint, "ipc://%.120s", shell->folder);
}

static bool make_seats(struct pd_shell *shell) {
  uint32_t codes[PD_SHARDS_MAX];
  struct pd_shard shard = {0};
  size_t count = pd_config_shards(shell->common, codes);
  pd_assert(count > 0);
  shell->seats = calloc(count, sizeof *shell->seats);
  if (shell->seats == NULL || !pd_config_zone(shell->common->zone, &shard.zone_min)) return false;
  shell->seat_count = (uint32_t)count;
  for (size_t i = 0; i < count; i++) {
    shard.code = codes[i];
    shell->seats[i].shell = shell;
    shell->seats[i].shard = shard;
  }
  return true;
}

static int run(struct pd_shell *shell) {
  uint32_t shard = shell->seat_count == 1 ? shell->seats[0].shard.code : 0;
  int32_t niceness = shell->service->niceness;
  signal(SIGPIPE, SIG_IGN);
  if (niceness > 0) (void)setpriority(PRIO_PROCESS, 0, niceness);
  pd_journal_init(shell->service->core->name, shard, (enum pd_level)shell->common->log_level, 2);
  start_loop(shell);
  enum pd_err err = pd_seal_init();
  int code = PD_EXIT_OK;
  if (err == PD_OK) err = open_all(shell);
  if (err == PD_OK) {
    code = serve(shell);
  } else {
    const char *what = err == PD_EEXIST ? "another process runs in this run_dir: stop it first"
                                        : "cannot start: check run_dir, http and log_redis";
    pd_say(PD_LEVEL_ERROR, pd_kv_text("msg", what), pd_kv_text("why", pd_err_text(err)));
    code = err == PD_EDOWN ? PD_EXIT_DOWN : PD_EXIT_CONFIG;
  }
  close_all(shell);
  return code;
}

int pd_shell_main(int argc, char **argv, const struct pd_service *service) {
  pd_assert(service->config_size >= sizeof(struct pd_common_config));
  struct pd_shell *shell = calloc(1, sizeof *shell);
  if (shell == NULL) return PD_EXIT_FAULT;
  shell->service = service;
  shell->lock = -1;
  int code = load_config(shell, argc, argv);
  if (code < 0) {
    name_folders(shell);
    code = make_seats(shell) ? run(shell) : PD_EXIT_FAULT;
  }
  free(shell->seats);
  free(shell->config);
  free(shell);
  return code;
}
