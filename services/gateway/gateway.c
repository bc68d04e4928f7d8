#include "services/gateway/gateway.h"

#include "common/io/journal.h"
#include "common/io/seal.h"
#include "common/io/keyfile.h"

#include <malloc.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define VERSION "0.1.0"
#define BAR_MS 60000
#define BAD_SAID_EVERY_MS 10000

/* ---- keys ---- */

const struct grant *gateway_sender(struct gateway *gateway, zmq_msg_t *message) {
  const char *name = pd_bus_user(message);
  return name == NULL ? NULL : grants_named(gateway->grants, name);
}

struct standing *gateway_standing(struct gateway *gateway, const struct grant *grant) {
  pd_assert(grant >= gateway->grants->keys);
  struct standing *standing = gateway->standing_of[grant - gateway->grants->keys];
  pd_assert(standing != NULL);
  return standing;
}

static bool is_idle(const struct gateway *gateway, const struct standing *standing) {
  bool busy = standing->window > 0 || standing->replays > 0;
  return !busy && standing->barred_until <= uv_now(&gateway->loop) &&
         grants_named(gateway->grants, standing->name) == NULL;
}

/* The standing of a name: the one there is, or a free place. */
static struct standing *find_standing(struct gateway *gateway, const char *name) {
  struct standing *idle = NULL;
  for (size_t i = 0; i < GATEWAY_STANDINGS; i++) {
    struct standing *standing = &gateway->standings[i];
    if (strcmp(standing->name, name) == 0) return standing;
    if (idle == NULL && is_idle(gateway, standing)) idle = standing;
  }
  if (idle == NULL) return NULL;
  *idle = (struct standing){0};
  (void)snprintf(idle->name, sizeof idle->name, "%s", name);
  return idle;
}

/* Put grants into force.  False when too many names are busy that are not granted any more. */
static bool enforce(struct gateway *gateway, struct grants *grants) {
  struct grants *before = gateway->grants;
  gateway->grants = grants;
  for (uint32_t i = 0; i < grants->count; i++) {
    gateway->standing_of[i] = find_standing(gateway, grants->keys[i].name);
    if (gateway->standing_of[i] != NULL) continue;
    gateway->grants = before;
    for (uint32_t j = 0; j < before->count; j++)
      gateway->standing_of[j] = find_standing(gateway, before->keys[j].name);
    return false;
  }
  return true;
}

void gateway_bad(struct gateway *gateway, const char *source, const char *what) {
  uint64_t more = 0;
  pd_metric_add(gateway->counts.bad, 1);
  if (pd_journal_once(source, BAD_SAID_EVERY_MS, uv_now(&gateway->loop), &more))
    pd_say(PD_LEVEL_WARN, pd_kv_text("msg", what), pd_kv_text("from", source),
           pd_kv_uint("not_said_before", more));
}

/* ---- the public sockets ---- */

/* "tcp://host:port" and how many ports further on. */
static bool endpoint_of(const struct gateway *gateway, unsigned offset, char *text, size_t size) {
  const char *edge = gateway->config.edge;
  const char *colon = strrchr(edge, ':');
  unsigned long port = colon == NULL ? 0 : strtoul(colon + 1, NULL, 10);
  int length = (int)(colon == NULL ? 0 : colon - edge);
  return snprintf(text, size, "%.*s:%lu", length, edge, port + offset) < (int)size && port > 0;
}

/* The limit of a message counts what is on the wire: CURVE's handshake, whose INITIATE has some 400
 * bytes, and around each frame its name, nonce, flags and code. */
#define CURVE_AROUND 33
static const struct {
  int type;
  int64_t max_message;
  int receive_mark;
  pd_bus_fn *ready;
} kinds[EDGE_SOCKETS] = {
    [EDGE_EVENTS] = {ZMQ_XPUB, 1024, 1000, publish_subscriptions},
    [EDGE_COMMANDS] = {ZMQ_ROUTER, 65537 + CURVE_AROUND, 1000, commands_ready},
    [EDGE_REPLAYS] = {ZMQ_ROUTER, 16384 + CURVE_AROUND, 100, replay_ready},
};

static void close_edge(struct gateway *gateway) {
  for (unsigned i = 0; i < EDGE_SOCKETS; i++) {
    struct edge_socket *edge = &gateway->edge[i];
    pd_bus_unwatch(edge->watch);
    if (edge->socket != NULL) zmq_close(edge->socket);
    *edge = (struct edge_socket){0};
  }
  gateway->bound = false;
  gateway->opened++;
  commands_dropped(gateway);
  gateway->live_subscriptions = 0;
  for (size_t i = 0; i < GATEWAY_STANDINGS; i++) gateway->standings[i].listens = false;
}

static enum pd_err open_one(struct gateway *gateway, unsigned which) {
  struct edge_socket *edge = &gateway->edge[which];
  char endpoint[320];
  int manual = 1;
  struct pd_bus_options options = {.max_message = kinds[which].max_message,
                                   .receive_mark = kinds[which].receive_mark};
  if (!endpoint_of(gateway, which, endpoint, sizeof endpoint)) return PD_EINVAL;
  enum pd_err err = pd_bus_socket(&edge->socket, gateway->zmq, kinds[which].type, &options);
  if (err == PD_OK && which == EDGE_EVENTS &&
      zmq_setsockopt(edge->socket, ZMQ_XPUB_MANUAL, &manual, sizeof manual) != 0)
    err = PD_EIO;
  if (err == PD_OK) err = pd_bus_bind_curve(edge->socket, endpoint, gateway->secret, "paidan");
  if (err != PD_OK) return err;
  return pd_bus_watch(&edge->watch, &gateway->loop, edge->socket, kinds[which].ready, gateway);
}

/* All three or none. */
static enum pd_err open_edge(struct gateway *gateway) {
  enum pd_err err = PD_OK;
  for (unsigned i = 0; i < EDGE_SOCKETS && err == PD_OK; i++) err = open_one(gateway, i);
  if (err != PD_OK) {
    close_edge(gateway);
    return err;
  }
  gateway->bound = true;
  gateway->told = false;
  pd_say(PD_LEVEL_INFO, pd_kv_text("msg", "the edge is open"),
         pd_kv_text("endpoint", gateway->config.edge), pd_kv_uint("keys", gateway->grants->count));
  return PD_OK;
}

/* Drop every connection.  Binding again may have to wait until the ports are free: the beat tries
 * on. */
static void reopen_edge(struct gateway *gateway) {
  close_edge(gateway);
  for (int i = 0; i < 10 && !gateway->bound; i++) {
    if (open_edge(gateway) == PD_OK) return;
    uv_sleep(2);
  }
}

static void try_open(struct gateway *gateway) {
  enum pd_err err = open_edge(gateway);
  if (err == PD_OK || gateway->told) return;
  gateway->told = true;
  pd_say(PD_LEVEL_ERROR, pd_kv_text("msg", "the edge cannot be opened; trying again"),
         pd_kv_text("endpoint", gateway->config.edge),
         pd_kv_text("why", err == PD_EEXIST ? "a port is taken" : pd_err_text(err)));
}

void gateway_offence(struct gateway *gateway, const struct grant *grant, const char *what) {
  pd_metric_add(gateway->counts.offences, 1);
  if (grant != NULL)
    gateway_standing(gateway, grant)->barred_until = uv_now(&gateway->loop) + BAR_MS;
  pd_say(PD_LEVEL_ERROR, pd_kv_text("msg", "an offence: the key is barred for a minute"),
         pd_kv_text("key", grant == NULL ? "" : grant->name), pd_kv_text("what", what));
  reopen_edge(gateway);
}

/* ---- grants ---- */

/* Does everything that was granted before stand unchanged? */
static bool only_adds(const struct grants *before, const struct grants *after) {
  for (uint32_t i = 0; i < before->count; i++) {
    const struct grant *old = &before->keys[i], *now = grants_named(after, old->name);
    if (now == NULL || memcmp(old, now, sizeof *old) != 0) return false;
  }
  return true;
}

static void reload(struct gateway *gateway) {
  char why[512];
  struct grants *fresh = calloc(1, sizeof *fresh);
  if (fresh == NULL) return;
  enum pd_err err = grants_load(gateway->config.grants_file, fresh, why, sizeof why);
  struct grants *before = gateway->grants;
  bool adds = only_adds(before, fresh);
  if (err == PD_OK && !enforce(gateway, fresh)) {
    err = PD_EAGAIN;
    (void)snprintf(why, sizeof why, "too many names at once; try again in a minute");
  }
  if (err != PD_OK) {
    pd_say(PD_LEVEL_ERROR, pd_kv_text("msg", "the grants file is not taken; the old grants stay"),
           pd_kv_text("why", why));
    free(fresh);
    return;
  }
  free(before);
  pd_metric_add(gateway->counts.reloads, 1);
  pd_say(PD_LEVEL_INFO, pd_kv_text("msg", "grants reloaded"), pd_kv_uint("keys", fresh->count),
         pd_kv_text("connections", adds ? "kept" : "dropped, so that nobody keeps what was taken"));
  if (!adds) reopen_edge(gateway);
}

/* ---- readiness and figures ---- */

static size_t on_ready(void *context, const char **reasons, size_t max, bool *ready) {
  struct gateway *gateway = context;
  pd_assert(max > 0);
  const char *why = gateway->why[0] != '\0' ? gateway->why : follow_unready(gateway);
  if (why == NULL && !gateway->bound) why = "the edge's ports cannot be bound";
  reasons[0] = why;
  *ready = why == NULL;
  return why != NULL;
}

static struct pd_metric *counter(struct gateway *gateway, const char *name, const char *help) {
  return pd_metrics_counter(gateway->metrics, name, help, NULL);
}

static void make_counts(struct gateway *gateway) {
  struct gateway_counts *c = &gateway->counts;
  c->events = counter(gateway, "paidan_edge_events_total", "Events published.");
  c->gaps = counter(gateway, "paidan_gaps_total", "Times that a log was read from the store.");
  c->bad = counter(gateway, "paidan_frames_bad_total", "Frames that were not taken.");
  c->admitted = counter(gateway, "paidan_edge_admitted_total", "Handshakes of granted keys.");
  c->denied = counter(gateway, "paidan_edge_denied_total", "Handshakes that were refused.");
  c->subscriptions = counter(gateway, "paidan_edge_subscriptions_total", "Subscriptions taken.");
  c->ungranted =
      counter(gateway, "paidan_edge_ungranted_total", "Subscriptions that no grant allows.");
  c->offences = counter(gateway, "paidan_edge_offences_total", "Keys barred for a minute.");
  c->commands = counter(gateway, "paidan_edge_commands_total", "Commands handed to intake.");
  c->refused = counter(gateway, "paidan_edge_refused_total", "Requests refused at the edge.");
  c->lost = counter(gateway, "paidan_replies_lost_total", "Replies whose client had gone.");
  c->replays = counter(gateway, "paidan_edge_replays_total", "Replays asked for.");
  c->replayed = counter(gateway, "paidan_edge_replayed_total", "Events replayed.");
  c->reloads = counter(gateway, "paidan_edge_reloads_total", "Times that grants were reloaded.");
  for (unsigned log = 1; log < PD_LOGS; log++) {
    char label[64];
    (void)snprintf(label, sizeof label, "log=\"%s\"", pd_log_name(log));
    c->seq[log] = pd_metrics_gauge(gateway->metrics, "paidan_input_seq",
                                   "Last event consumed of an input log.", label);
    c->tail[log] = pd_metrics_gauge(gateway->metrics, "paidan_input_tail",
                                    "Last event known of an input log.", label);
  }
}

/* ---- the loop ---- */

static void on_store(void *context, bool up, const char *why) {
  struct gateway *gateway = context;
  (void)snprintf(gateway->why, sizeof gateway->why, "%s%s",
                 up ? "" : "the log's Redis is away: ", why);
  pd_say(up ? PD_LEVEL_INFO : PD_LEVEL_WARN,
         pd_kv_text("msg", up ? "store is up" : "store is away"), pd_kv_text("why", why));
  if (up) follow_beat(gateway);
}

static void on_beat(uv_timer_t *timer) {
  struct gateway *gateway = timer->data;
  follow_beat(gateway);
  if (!gateway->bound) try_open(gateway);
  commands_beat(gateway);
  publish_tip(gateway);
}

static void on_signal(uv_signal_t *handle, int number) {
  struct gateway *gateway = handle->data;
  if (number == SIGHUP) {
    reload(gateway);
    return;
  }
  pd_say(PD_LEVEL_INFO, pd_kv_text("msg", "stopping"), pd_kv_uint("signal", (uint64_t)number));
  gateway->stopping = true;
  uv_stop(&gateway->loop);
}

static void start_loop(struct gateway *gateway) {
  static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
  (void)uv_loop_init(&gateway->loop);
  (void)uv_timer_init(&gateway->loop, &gateway->beat);
  gateway->beat.data = gateway;
  (void)uv_timer_start(&gateway->beat, on_beat, GATEWAY_BEAT_MS, GATEWAY_BEAT_MS);
  for (size_t i = 0; i < 3; i++) {
    (void)uv_signal_init(&gateway->loop, &gateway->signals[i]);
    gateway->signals[i].data = gateway;
    (void)uv_signal_start(&gateway->signals[i], on_signal, numbers[i]);
  }
}

/* ---- start and stop ---- */

static int read_keys(struct gateway *gateway) {
  struct pd_keyfile keys;
  char why[512];
  enum pd_err err = pd_keyfile_read(gateway->config.edge_key_file, &keys);
  if (err == PD_OK && keys.secret_key[0] == '\0') err = PD_EFORMAT;
  if (err == PD_OK && zmq_z85_decode(gateway->secret, keys.secret_key) == NULL) err = PD_EFORMAT;
  sodium_memzero(&keys, sizeof keys);
  if (err != PD_OK) {
    pd_say(PD_LEVEL_ERROR,
           pd_kv_text("msg", err == PD_EINVAL
                                 ? "edge_key_file may be read by others: chmod 600"
                                 : "edge_key_file holds no secret key; `paidan key new` makes one"),
           pd_kv_text("path", gateway->config.edge_key_file));
    return PD_EXIT_CONFIG;
  }
  struct grants *grants = calloc(1, sizeof *grants);
  if (grants == NULL) return PD_EXIT_FAULT;
  err = grants_load(gateway->config.grants_file, grants, why, sizeof why);
  gateway->grants = grants;
  (void)enforce(gateway, grants); /* there is room for one file full */
  if (err == PD_OK) return -1;
  pd_say(err == PD_ENOENT ? PD_LEVEL_WARN : PD_LEVEL_ERROR,
         pd_kv_text("msg", "the grants file is not taken"), pd_kv_text("why", why));
  return err == PD_ENOENT ? -1 : PD_EXIT_CONFIG;
}

/* What is let in and misuses it cannot take more than this.  Sanitizers need all of the address
 * space. */
static void limit_memory(const struct gateway *gateway) {
#if !defined(__SANITIZE_ADDRESS__)
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
  (void)gateway;
  return;
#endif
#endif
  uint64_t bytes = gateway->config.memory_limit_mb << 20;
  struct rlimit limit = {.rlim_cur = bytes, .rlim_max = bytes};
  if (setrlimit(RLIMIT_DATA, &limit) != 0)
    pd_say(PD_LEVEL_WARN, pd_kv_text("msg", "memory_limit_mb cannot be set"));
#else
  (void)gateway;
#endif
}

/* Every connection takes a descriptor. */
static void raise_files(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static enum pd_err open_all(struct gateway *gateway) {
  const struct pd_common_config *common = &gateway->config.common;
  struct pd_redis_options redis = {.url = common->log_redis,
                                   .user = common->log_user,
                                   .password_file = common->log_password_file};
  enum pd_err err = pd_metrics_open(&gateway->metrics);
  if (err != PD_OK) return err;
  make_counts(gateway);
  struct pd_http_options http = {
      .listen = common->http, .metrics = gateway->metrics, .ready = on_ready, .context = gateway};
  if (common->http[0] != '\0') err = pd_http_open(&gateway->http, &gateway->loop, &http);
  if (err != PD_OK) return err;
  gateway->zmq = zmq_ctx_new();
  (void)zmq_ctx_set(gateway->zmq, ZMQ_MAX_SOCKETS, 64);
  (void)snprintf(gateway->why, sizeof gateway->why, "the log's Redis is away: not connected yet");
  gateway->scratch = malloc(PD_EVENT_MAX + 64);
  if (gateway->scratch == NULL) return PD_EIO;
  err = zap_open(gateway);
  if (err == PD_OK) err = follow_open(gateway);
  if (err == PD_OK) err = commands_open(gateway);
  if (err == PD_OK) err = replay_open(gateway);
  if (err == PD_OK)
    err = pd_store_open(&gateway->store, &gateway->loop, &redis, gateway_shard(gateway), on_store,
                        gateway);
  if (err != PD_OK) return err;
  pd_store_replicas(gateway->store, (uint32_t)common->replicas,
                    (uint32_t)common->replica_timeout_ms);
  try_open(gateway);
  return PD_OK;
}

static void close_all(struct gateway *gateway) {
  gateway->stopping = true;
  close_edge(gateway);
  replay_close(gateway);
  commands_close(gateway);
  follow_close(gateway);
  zap_close(gateway);
  pd_store_close(gateway->store);
  pd_http_close(gateway->http);
  uv_close((uv_handle_t *)&gateway->beat, NULL);
  for (size_t i = 0; i < 3; i++) uv_close((uv_handle_t *)&gateway->signals[i], NULL);
  for (int i = 0; i < 100 && uv_run(&gateway->loop, UV_RUN_NOWAIT) != 0; i++) continue;
  if (gateway->zmq != NULL) zmq_ctx_term(gateway->zmq);
  pd_metrics_close(gateway->metrics);
  (void)uv_loop_close(&gateway->loop);
}

static int run(struct gateway *gateway) {
  const struct pd_common_config *common = &gateway->config.common;
  (void)signal(SIGPIPE, SIG_IGN);
  pd_journal_init("gateway", gateway_shard(gateway), (enum pd_level)common->log_level, 2);
  (void)mallopt(M_ARENA_MAX, 2);
  raise_files();
  limit_memory(gateway);
  start_loop(gateway);
  enum pd_err err = pd_seal_init();
  int code = err == PD_OK ? read_keys(gateway) : PD_EXIT_FAULT;
  if (code < 0) {
    err = open_all(gateway);
    code = PD_EXIT_CONFIG;
    if (err == PD_OK) {
      (void)uv_run(&gateway->loop, UV_RUN_DEFAULT);
      code = PD_EXIT_OK;
    } else {
      pd_say(PD_LEVEL_ERROR,
             pd_kv_text("msg", "cannot start: check run_dir, http, log_redis and edge"),
             pd_kv_text("why", pd_err_text(err)));
    }
  }
  close_all(gateway);
  return code;
}

/* ---- configuration ---- */

static const char *check_edge(const char *text) {
  const char *colon = strrchr(text, ':');
  char *end = NULL;
  unsigned long port = colon == NULL ? 0 : strtoul(colon + 1, &end, 10);
  bool right = strncmp(text, "tcp://", 6) == 0 && colon > text + 6 && end != NULL && *end == '\0' &&
               port >= 1 && port + EDGE_SOCKETS - 1 <= 65535;
  return right ? NULL : "must be tcp://address:port, with the two ports after it free, too";
}

static const char *check_path(const char *text) {
  return text[0] == '/' ? NULL : "must be a path from the root";
}

#define AT(member) offsetof(struct gateway_config, member)

static const struct pd_setting settings[] = {
    {.name = "edge",
     .kind = PD_SETTING_TEXT,
     .required = true,
     .offset = AT(edge),
     .size = 256,
     .check = check_edge,
     .help = "Where events are published; commands one port on, replays two: tcp://address:port."},
    {.name = "edge_key_file",
     .kind = PD_SETTING_TEXT,
     .required = true,
     .offset = AT(edge_key_file),
     .size = 256,
     .check = check_path,
     .help = "The edge's own CURVE key, mode 0600; `paidan key new` makes one."},
    {.name = "grants_file",
     .kind = PD_SETTING_TEXT,
     .required = true,
     .offset = AT(grants_file),
     .size = 256,
     .check = check_path,
     .help = "Which keys may do what; SIGHUP reads it anew."},
    {.name = "memory_limit_mb",
     .kind = PD_SETTING_UINT,
     .offset = AT(memory_limit_mb),
     .min = 64,
     .max = 65536,
     .fallback = "512",
     .help = "MiB of data that the process may take; beyond it ends, and is started again."},
    {.name = "edge_window",
     .kind = PD_SETTING_UINT,
     .offset = AT(edge_window),
     .min = 1,
     .max = 8192,
     .fallback = "512",
     .help = "Commands of one key in flight; what comes beyond is told to come again."},
};

#define OWN_SETTINGS (sizeof settings / sizeof settings[0])

int gateway_main(int argc, char **argv) {
  struct pd_setting rows[PD_COMMON_SETTINGS + OWN_SETTINGS];
  pd_config_common(rows, 0);
  memcpy(&rows[PD_COMMON_SETTINGS], settings, sizeof settings);
  struct pd_program program = {
      .name = "paidan-gateway",
      .version = VERSION,
      .summary = "The edge: events, commands and replays for programs on other machines.",
      .example = "paidan-gateway --config /etc/paidan/gateway.yaml",
      .settings = rows,
      .count = PD_COMMON_SETTINGS + OWN_SETTINGS,
      .check = pd_config_check_shard};
  struct gateway *gateway = calloc(1, sizeof *gateway);
  if (gateway == NULL) return PD_EXIT_FAULT;
  int code = pd_config_load(&program, argc, argv, &gateway->config, stdout, stderr);
  if (code < 0) code = run(gateway);
  sodium_memzero(gateway->secret, sizeof gateway->secret);
  free(gateway->grants);
  free(gateway->scratch);
  free(gateway);
  return code;
}
