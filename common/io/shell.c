/* The life of a daemon: configuration, start, replay, and the way down. */
#include "common/io/shell.h"

#include "common/io/journal.h"
#include "common/io/seal.h"
#include "common/io/shell_state.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define VERSION "0.1.0"
#define STATE_SIZE ((size_t)4 << 30) /* of address space; only touched pages count */
#define BATCH_SIZE ((size_t)4 << 20) /* one event or command, unpacked */
#define ENTRY_SOFT ((size_t)4 << 20)
#define ENTRY_SIZE ((size_t)16 << 20)
#define REPLIES_SIZE ((size_t)4 << 20)
#define BEAT_MS 250
#define DRAIN_MS 1500       /* the most that SIGTERM waits for commits */
#define REPLAY_ENTRIES 256  /* of one read while replaying */
#define RETRY_MS 200        /* before a replay that the store broke off is tried again */
#define FENCE_PAUSE_MS 1000 /* before the log is read again after a fence */

uv_loop_t *pd_shell_loop(struct pd_shell *shell) { return &shell->loop; }
void *pd_shell_zmq(struct pd_shell *shell) { return shell->zmq; }
struct pd_turn *pd_shell_turn(struct pd_shell *shell) {
  return &shell->turn;
}
struct pd_metrics *pd_shell_metrics(struct pd_shell *shell) {
  return shell->metrics;
}
const struct pd_common_config *pd_shell_config(struct pd_shell *shell) { return shell->common; }
bool pd_shell_leading(const struct pd_shell *shell) {
  return shell->phase == PD_PHASE_LIVE && !shell->snapshot_due;
}

static void on_nothing(uv_timer_t *timer) { (void)timer; }

void pd_shell_wake(struct pd_shell *shell) {
  if (shell->phase != PD_PHASE_STOPPING) uv_timer_start(&shell->wake, on_nothing, 0, 0);
}

bool pd_shell_endpoint(const char *run_dir, const char *name, const char *kind, char *text) {
  int length = strcmp(kind, "door") == 0
                   ? snprintf(text, PD_ENDPOINT, "ipc://%s/door.%s", run_dir, name)
                   : snprintf(text, PD_ENDPOINT, "ipc://%s/%s.%s", run_dir, name, kind);
  return length > 0 && length <= 6 + 107; /* "ipc://" and sun_path of unix(7) */
}

/* ---- memory ---- */

static void *reserve(size_t size) {
  void *memory =
      mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

/* An empty shard in fresh memory: at start, and after a fence. */
static enum pd_err build_turn(struct pd_shell *shell) {
  if (shell->memory != NULL) munmap(shell->memory, STATE_SIZE);
  shell->memory = reserve(STATE_SIZE);
  size_t rest = BATCH_SIZE + PD_WRITER_SLOTS * ENTRY_SIZE + REPLIES_SIZE;
  if (shell->buffers == NULL) shell->buffers = reserve(rest);
  if (shell->memory == NULL || shell->buffers == NULL) return PD_EIO;
  const struct pd_service *service = shell->service;
  struct pd_turn_config config = {
      .core = service->core, .limits = &pd_limits_district, .shard = shell->shard};
  if (service->policy != NULL) config.policy = service->policy(shell->config);
  pd_arena_init(&config.state, shell->memory, STATE_SIZE);
  pd_arena_init(&config.batch, shell->buffers, BATCH_SIZE);
  config.entries = shell->buffers + BATCH_SIZE;
  config.entry_size = ENTRY_SIZE;
  config.entry_soft = ENTRY_SOFT;
  config.replies = config.entries + PD_WRITER_SLOTS * ENTRY_SIZE;
  config.replies_size = REPLIES_SIZE;
  config.depth = shell->common->replicas > 0 ? 1 : 0; /* WAIT blocks the connection */
  pd_turn_init(&shell->turn, &config);
  return PD_OK;
}

/* ---- replay ---- */

/* Pages of the logs that a replay walks, one page of each log at a time. */
struct page {
  uint8_t *bytes;
  struct pd_stored *entries;
  size_t count;
  size_t at;
};

/* It lives as long as the shell: a stop does not wait for the store's answer, which comes when the
 * store is closed. */
struct pd_boot {
  struct pd_shell *shell;
  struct page pages[PD_LOGS];
  struct page *wanted;
  struct pd_tail tail; /* of the own log */
  enum pd_err err;
  bool done;
};

static void page_free(struct page *page) {
  free(page->bytes);
  free(page->entries);
  *page = (struct page){0};
}

static bool page_copy(struct page *page, const struct pd_stored *entries, size_t count) {
  size_t total = 0, at = 0;
  for (size_t i = 0; i < count; i++) total += entries[i].size + PD_HASH_SIZE;
  page->bytes = malloc(total > 0 ? total : 1);
  page->entries = calloc(count > 0 ? count : 1, sizeof *page->entries);
  if (page->bytes == NULL || page->entries == NULL) return false;
  for (size_t i = 0; i < count; i++) {
    struct pd_stored *to = &page->entries[i];
    *to = entries[i];
    to->bytes = memcpy(page->bytes + at, entries[i].bytes, entries[i].size);
    to->hash = memcpy(page->bytes + at + entries[i].size, entries[i].hash, PD_HASH_SIZE);
    at += entries[i].size + PD_HASH_SIZE;
  }
  page->count = count;
  return true;
}

static void on_page(void *context, enum pd_err err, const struct pd_stored *entries, size_t count) {
  struct pd_boot *boot = context;
  boot->done = true;
  boot->err = err;
  if (boot->shell->stopping) return; /* nobody waits for it any more */
  if (err == PD_OK && !page_copy(boot->wanted, entries, count)) boot->err = PD_EIO;
}

/* Turn the loop (so that /livez answers) until what was asked for is there, or a signal comes. */
static enum pd_err wait_for(struct pd_boot *boot, enum pd_err asked) {
  struct pd_shell *shell = boot->shell;
  if (asked != PD_OK) return asked;
  while (!boot->done && !shell->stopping) uv_run(&shell->loop, UV_RUN_ONCE);
  return shell->stopping ? PD_EDOWN : boot->err;
}

static enum pd_err fetch(struct pd_boot *boot, enum pd_log log, uint64_t from) {
  boot->wanted = &boot->pages[log];
  page_free(boot->wanted);
  boot->done = false;
  enum pd_err asked =
      pd_store_read(boot->shell->store, pd_log_name(log), from, REPLAY_ENTRIES, on_page, boot);
  return wait_for(boot, asked);
}

static enum pd_err next_entry(void *context, enum pd_log log, uint64_t from, const uint8_t **bytes,
                              size_t *size, struct pd_hash *hash) {
  struct pd_boot *boot = context;
  struct page *page = &boot->pages[log];
  while (page->at < page->count && page->entries[page->at].last_seq < from) page->at++;
  if (page->at == page->count) {
    enum pd_err err = fetch(boot, log, from);
    if (err != PD_OK) return err;
    if (page->count == 0) return PD_ENOENT;
  }
  const struct pd_stored *found = &page->entries[page->at];
  *bytes = found->bytes;
  *size = found->size;
  memcpy(hash->bytes, found->hash, PD_HASH_SIZE);
  return PD_OK;
}

static enum pd_err replay(struct pd_shell *shell) {
  struct pd_source source = {.context = shell->boot, .next = next_entry};
  uint64_t started = uv_hrtime(), before = shell->turn.out.last_seq;
  enum pd_err err = pd_turn_replay(&shell->turn, &source);
  for (unsigned log = 0; log < PD_LOGS; log++) page_free(&shell->boot->pages[log]);
  uint64_t took_ms = (uv_hrtime() - started) / 1000000;
  if (err == PD_OK)
    pd_say(PD_LEVEL_INFO, pd_kv_text("msg", "log replayed"), pd_kv_uint("from", before),
           pd_kv_uint("to", shell->turn.out.last_seq), pd_kv_uint("ms", took_ms));
  return err;
}

/* ---- boot ---- */

static void on_boot_tail(void *context, enum pd_err err, const struct pd_tail *tail) {
  struct pd_boot *boot = context;
  boot->done = true;
  boot->err = err;
  boot->tail = *tail;
}

/* The stream wins over the tip: let the store make them agree before the first commit. */
static enum pd_err settle_tip(struct pd_shell *shell) {
  struct pd_boot *boot = shell->boot;
  boot->done = false;
  const char *log = shell->service->core->name;
  return wait_for(boot, pd_store_boot(shell->store, log, on_boot_tail, boot));
}

/* A snapshot holds only what was committed: a log that ends before it, or otherwise, has lost what
 * somebody was told is safe.  That is for a person to decide, not for us to paper over. */
static enum pd_err check_snapshot(struct pd_shell *shell) {
  const struct pd_tail *tail = &shell->boot->tail;
  const struct pd_writer *writer = &shell->turn.writer;
  bool same = memcmp(writer->hash.bytes, tail->hash, sizeof tail->hash) == 0;
  if (writer->seq < tail->last_seq || (writer->seq == tail->last_seq && same)) return PD_OK;
  pd_say(PD_LEVEL_ERROR, pd_kv_text("msg", "the log has lost what the snapshot holds"),
         pd_kv_uint("snapshot_seq", writer->seq), pd_kv_uint("log_seq", tail->last_seq),
         pd_kv_text("next", "restore the log; or remove every snapshot in data_dir, which gives up "
                            "what the log has lost"));
  return PD_ENOENT;
}

/* What we had acknowledged before another leader wrote must be below what it wrote. */
static enum pd_err check_acked(struct pd_shell *shell) {
  uint64_t seq = shell->acked_seq;
  if (seq == 0) return PD_OK;
  enum pd_err err = fetch(shell->boot, shell->service->core->log, seq);
  if (err != PD_OK) return err;
  const struct page *page = shell->boot->wanted;
  bool there = page->count > 0 && page->entries[0].last_seq == seq &&
               memcmp(page->entries[0].hash, shell->acked_hash.bytes, PD_HASH_SIZE) == 0;
  page_free(shell->boot->wanted);
  if (there) return PD_OK;
  snprintf(shell->why, sizeof shell->why, "the log has lost what was acknowledged");
  pd_say(PD_LEVEL_ERROR, pd_kv_text("msg", "the log has lost what was acknowledged"),
         pd_kv_uint("acknowledged_seq", seq), pd_kv_uint("log_seq", shell->boot->tail.last_seq),
         pd_kv_text("next", "another leader has written over it: restore the log"));
  return PD_EIO;
}

static enum pd_err try_boot(struct pd_shell *shell) {
  enum pd_err err = settle_tip(shell);
  if (err == PD_OK) err = build_turn(shell);
  if (err != PD_OK) return err;
  if (!pd_shell_restore(shell)) err = build_turn(shell);
  if (err == PD_OK) err = check_snapshot(shell);
  if (err == PD_OK) err = check_acked(shell);
  return err == PD_OK ? replay(shell) : err;
}

/* Wait for the store and read the log, again and again while the store is away.  Exit code, or -1
 * to go on. */
static int boot(struct pd_shell *shell) {
  while (!shell->stopping) {
    if (!pd_store_is_up(shell->store)) {
      uv_run(&shell->loop, UV_RUN_ONCE);
      continue;
    }
    enum pd_err err = try_boot(shell);
    if (shell->stopping) break;
    if (err == PD_OK) return -1;
    if (err == PD_ENOENT) return PD_EXIT_CONFIG; /* check_snapshot() has said it */
    pd_say(PD_LEVEL_ERROR, pd_kv_text("msg", "the log cannot be replayed"),
           pd_kv_text("why", pd_err_text(err)));
    if (err == PD_EOLD) return PD_EXIT_CONFIG;
    if (err != PD_EDOWN && err != PD_EIO) return PD_EXIT_FAULT;
    uv_sleep(RETRY_MS);
  }
  return PD_EXIT_OK;
}

static const char *unready(struct pd_shell *shell) {
  if (shell->why[0] != 0) return shell->why;
  if (shell->phase != PD_PHASE_LIVE) return "the log is being replayed";
  if (pd_turn_lost(&shell->turn)) return "the log has lost what was acknowledged";
  if (pd_turn_wants_tail(&shell->turn)) return "it is being asked what the log holds";
  for (unsigned log = 1; log < PD_LOGS; log++)
    if (shell->feeds[log].behind) return "an input log is being read";
  return shell->service->unready == NULL ? NULL : shell->service->unready(shell->context);
}

static size_t on_ready(void *context, const char **reasons, size_t max) {
  pd_assert(max > 0);
  reasons[0] = unready(context);
  return reasons[0] != NULL;
}

static void on_store(void *context, bool up, const char *why) {
  struct pd_shell *shell = context;
  snprintf(shell->why, sizeof shell->why, "%s%s", up ? "" : "the log's Redis is away: ", why);
  pd_say(up ? PD_LEVEL_INFO : PD_LEVEL_WARN,
         pd_kv_text("msg", up ? "store is up" : "store is away"), pd_kv_text("why", why));
  /* It may be another server, with another tail. */
  bool serving = shell->phase == PD_PHASE_LIVE || shell->phase == PD_PHASE_STOPPING;
  if (up && !shell->store_up && serving) {
    pd_turn_doubt(&shell->turn);
    pd_shell_wake(shell);
  }
  shell->store_up = up;
}

static void make_counts(struct pd_shell *shell) {
  struct pd_metrics *m = shell->metrics;
  struct pd_shell_counts *c = &shell->counts;
  c->events = pd_metrics_counter(m, "paidan_events_total", "Events committed.", NULL);
  c->commits = pd_metrics_counter(m, "paidan_commits_total", "Entries committed.", NULL);
  c->bytes =
      pd_metrics_counter(m, "paidan_commit_bytes_total", "Bytes of the entries committed.", NULL);
  c->gaps = pd_metrics_counter(m, "paidan_gaps_total",
                               "Times that an input was read from the store.", NULL);
  c->bad = pd_metrics_counter(m, "paidan_frames_bad_total", "Frames that were not taken.", NULL);
  c->unknown =
      pd_metrics_counter(m, "paidan_events_unknown_total", "Input events of unknown kinds.", NULL);
  c->refused = pd_metrics_counter(m, "paidan_commits_refused_total",
                                  "Commits that the store refused.", NULL);
  c->fences =
      pd_metrics_counter(m, "paidan_fences_total", "Times that another leader had written.", NULL);
  c->seconds = pd_metrics_histogram(m, "paidan_commit_seconds",
                                    "From sending an entry to its durable reply.", NULL,
                                    pd_metrics_seconds, pd_metrics_seconds_count);
  c->seq = pd_metrics_gauge(m, "paidan_log_seq", "Last committed event of the own log.", NULL);
  c->epoch =
      pd_metrics_gauge(m, "paidan_log_epoch", "Epoch in which the own log is written.", NULL);
  for (unsigned log = 1; log < PD_LOGS; log++) {
    if (!(shell->service->core->inputs & PD_LOG_BIT(log))) continue;
    char label[64];
    snprintf(label, sizeof label, "log=\"%s\"", pd_log_name(log));
    c->input_seq[log] =
        pd_metrics_gauge(m, "paidan_input_seq", "Last event consumed of an input log.", label);
    c->input_tail[log] =
        pd_metrics_gauge(m, "paidan_input_tail", "Last event known of an input log.", label);
  }
}

/* What the log's stream no longer has is read from there. */
static enum pd_err set_archive(struct pd_shell *shell) {
  char dir[sizeof shell->common->data_dir + 16];
  const struct pd_common_config *common = shell->common;
  snprintf(dir, sizeof dir, "%s/archive", common->data_dir);
  return pd_store_archive(shell->store, common->archive_dir[0] == 0 ? dir : common->archive_dir);
}

static enum pd_err open_all(struct pd_shell *shell) {
  const struct pd_common_config *common = shell->common;
  struct pd_redis_options redis = {.url = common->log_redis,
                                   .user = common->log_user,
                                   .password_file = common->log_password_file};
  enum pd_err err = pd_live_lock(shell);
  if (err == PD_OK) err = pd_metrics_open(&shell->metrics);
  if (err != PD_OK) return err;
  make_counts(shell);
  struct pd_http_options http = {
      .listen = common->http, .metrics = shell->metrics, .ready = on_ready};
  http.context = shell;
  if (common->http[0] != 0) err = pd_http_open(&shell->http, &shell->loop, &http);
  if (err != PD_OK) return err;
  shell->zmq = zmq_ctx_new();
  snprintf(shell->why, sizeof shell->why, "the log's Redis is away: not connected yet");
  err = pd_store_open(&shell->store, &shell->loop, &redis, shell->shard.code, on_store, shell);
  if (err == PD_OK)
    pd_store_replicas(shell->store, (uint32_t)common->replicas,
                      (uint32_t)common->replica_timeout_ms);
  if (err == PD_OK) err = set_archive(shell);
  if (err == PD_OK) err = pd_live_open(shell);
  if (err == PD_OK && shell->service->open != NULL)
    err = shell->service->open(shell, shell->config, &shell->context);
  return err;
}

/* ---- the way down ---- */

static void on_drained(uv_timer_t *timer) {
  pd_say(PD_LEVEL_WARN, pd_kv_text("msg", "stopped before every commit was answered"));
  uv_stop(timer->loop);
}

static void on_signal(uv_signal_t *signal, int number) {
  struct pd_shell *shell = signal->data;
  if (shell->stopping) return; /* a second signal must not put off the end of the first */
  pd_say(PD_LEVEL_INFO, pd_kv_text("msg", "stopping"), pd_kv_uint("signal", (uint64_t)number));
  bool live = shell->phase == PD_PHASE_LIVE;
  shell->stopping = true;
  if (live) shell->phase = PD_PHASE_STOPPING;
  uv_timer_start(&shell->wake, live ? on_drained : on_nothing, live ? DRAIN_MS : 0, 0);
}

static void on_beat(uv_timer_t *timer) { pd_live_beat(timer->data); }

static void start_loop(struct pd_shell *shell) {
  uv_loop_init(&shell->loop);
  uv_timer_init(&shell->loop, &shell->beat);
  uv_timer_init(&shell->loop, &shell->deadline);
  uv_timer_init(&shell->loop, &shell->wake);
  uv_timer_init(&shell->loop, &shell->linger);
  uv_signal_init(&shell->loop, &shell->term);
  uv_signal_init(&shell->loop, &shell->interrupt);
  shell->beat.data = shell->linger.data = shell->deadline.data = shell->term.data =
      shell->interrupt.data = shell;
  uv_signal_start(&shell->term, on_signal, SIGTERM);
  uv_signal_start(&shell->interrupt, on_signal, SIGINT);
  uv_timer_start(&shell->beat, on_beat, BEAT_MS, BEAT_MS);
}

static void close_handles(struct pd_shell *shell) {
  uv_close((uv_handle_t *)&shell->beat, NULL);
  uv_close((uv_handle_t *)&shell->deadline, NULL);
  uv_close((uv_handle_t *)&shell->wake, NULL);
  uv_close((uv_handle_t *)&shell->linger, NULL);
  uv_close((uv_handle_t *)&shell->term, NULL);
  uv_close((uv_handle_t *)&shell->interrupt, NULL);
  if (shell->prepare.loop != NULL) uv_close((uv_handle_t *)&shell->prepare, NULL);
}

static void close_all(struct pd_shell *shell) {
  if (shell->service->close != NULL && shell->context != NULL)
    shell->service->close(shell->context);
  pd_live_close(shell);
  pd_store_close(shell->store);
  pd_http_close(shell->http);
  close_handles(shell);
  for (int i = 0; i < 100 && uv_run(&shell->loop, UV_RUN_NOWAIT) != 0; i++) continue;
  if (shell->zmq != NULL) zmq_ctx_term(shell->zmq);
  pd_metrics_close(shell->metrics);
  /* Refused as long as somebody's handle is open: the process ends all the same. */
  if (uv_loop_close(&shell->loop) != 0)
    pd_say(PD_LEVEL_DEBUG, pd_kv_text("msg", "a handle of the loop was left open"));
}

/* Replay, lead, serve; after a fence again from the start.  Returns the exit code. */
static int serve(struct pd_shell *shell) {
  for (;;) {
    int code = boot(shell);
    if (code >= 0) return code;
    pd_clock_floor(&shell->clock, shell->turn.now_ms);
    pd_turn_lead(&shell->turn, pd_clock_now(&shell->clock));
    pd_live_start(shell);
    if (shell->service->lead != NULL) shell->service->lead(shell->context);
    pd_say(PD_LEVEL_INFO, pd_kv_text("msg", "leading"),
           pd_kv_uint("epoch", shell->turn.writer.epoch));
    uv_run(&shell->loop, UV_RUN_DEFAULT);
    if (shell->phase != PD_PHASE_FENCED || shell->stopping) break;
    pd_say(PD_LEVEL_ERROR,
           pd_kv_text("msg", "fenced: another leader has written; the state is rebuilt"));
    shell->phase = PD_PHASE_BOOT;
    shell->retry_at = 0;
    uv_sleep(FENCE_PAUSE_MS);
  }
  if (pd_turn_quiet(&shell->turn)) pd_shell_save(shell, false);
  pd_say(PD_LEVEL_INFO, pd_kv_text("msg", "stopped"), pd_kv_uint("seq", shell->turn.writer.seq));
  return PD_EXIT_OK;
}

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
  shell->config = calloc(1, service->config_size);
  shell->common = shell->config;
  if (shell->config == NULL) return PD_EXIT_FAULT;
  int code = pd_config_load(&program, argc, argv, shell->config, stdout, stderr);
  if (code >= 0) return code;
  shell->shard.code = (uint32_t)shell->common->shard;
  return pd_config_zone(shell->common->zone, &shell->shard.zone_min) ? -1 : PD_EXIT_CONFIG;
}

int pd_shell_main(int argc, char **argv, const struct pd_service *service) {
  pd_assert(service->config_size >= sizeof(struct pd_common_config));
  struct pd_shell *shell = calloc(1, sizeof *shell);
  if (shell == NULL) return PD_EXIT_FAULT;
  shell->service = service;
  shell->lock = -1;
  int code = load_config(shell, argc, argv);
  if (code >= 0) goto done;
  shell->boot = calloc(1, sizeof *shell->boot);
  if (shell->boot == NULL) {
    code = PD_EXIT_FAULT;
    goto done;
  }
  shell->boot->shell = shell;
  const struct pd_common_config *common = shell->common;
  signal(SIGPIPE, SIG_IGN);
  if (service->niceness > 0) (void)setpriority(PRIO_PROCESS, 0, service->niceness);
  pd_journal_init(service->core->name, shell->shard.code, (enum pd_level)common->log_level, 2);
  pd_clock_init(&shell->clock, common->clock_anchor_ms, common->clock_at_ms, common->clock_factor);
  start_loop(shell);
  enum pd_err err = pd_seal_init();
  if (err == PD_OK) err = open_all(shell);
  if (err != PD_OK) {
    const char *what = err == PD_EEXIST ? "another instance runs in this run_dir: stop it first"
                                        : "cannot start: check run_dir, http and log_redis";
    pd_say(PD_LEVEL_ERROR, pd_kv_text("msg", what), pd_kv_text("why", pd_err_text(err)));
    code = err == PD_EDOWN ? PD_EXIT_DOWN : PD_EXIT_CONFIG;
  } else {
    code = serve(shell);
  }
  close_all(shell);
done:
  free(shell->boot);
  free(shell->config);
  free(shell);
  return code;
}
