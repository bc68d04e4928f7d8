#include "services/paidan/servers.h"

#include "services/paidan/keys.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* deploy/redis.conf and deploy/users.acl, put into the program by the build. */
extern const char paidan_redis_conf[];
extern const char paidan_users_acl[];

#define REDIS_WAIT_MS 120000 /* a long AOF takes a while to load */

static const char *const daemon_names[SERVERS_DAEMONS] = {"intake", "matching", "scheduling",
                                                          "points", "notification"};
static const char *const redis_names[SERVERS_REDIS] = {"log", "vault"};
static const char *const users[] = {"intake",       "matching", "scheduling", "points",
                                    "notification", "gateway",  "tool",       "deploy",
                                    "archivist"};
#define USERS (sizeof users / sizeof users[0])

size_t servers_daemons(const struct tool *tool) {
  return SERVERS_DAEMONS * tool->instances + (tool->edge[0] != '\0' ? 1 : 0);
}

const char *servers_daemon(const struct tool *tool, size_t number, uint32_t *instance) {
  bool edge = number == SERVERS_DAEMONS * tool->instances;
  *instance = edge ? 0 : (uint32_t)(number / SERVERS_DAEMONS);
  return edge ? "gateway" : daemon_names[number % SERVERS_DAEMONS];
}

char *servers_daemon_path(const struct tool *tool, size_t number, const char *kind, char *buffer) {
  uint32_t instance;
  char file[40];
  const char *name = servers_daemon(tool, number, &instance);
  snprintf(file, sizeof file, "%s.%s", name, kind);
  return tool_path_of(tool, instance, file, buffer);
}

/* ---- files ---- */

/* A fresh password in secrets/USER, and its hash as an ACL file has it. */
static enum pd_err make_password(const struct tool *tool, const char *user, char hash[65]) {
  uint8_t random[24], digest[crypto_hash_sha256_BYTES];
  char password[49], name[40], path[TOOL_PATH];
  randombytes_buf(random, sizeof random);
  sodium_bin2hex(password, sizeof password, random, sizeof random);
  crypto_hash_sha256(digest, (const uint8_t *)password, strlen(password));
  sodium_bin2hex(hash, 65, digest, sizeof digest);
  snprintf(name, sizeof name, "secrets/%s", user);
  enum pd_err err = tool_write_file(tool_path(tool, name, path), 0600, password);
  sodium_memzero(password, sizeof password);
  return err;
}

/* Copy text with every "@name@" replaced.  The caller frees it. */
static char *replaced(const char *text, const char *name, const char *by) {
  char mark[40];
  size_t mark_length = (size_t)snprintf(mark, sizeof mark, "@%s@", name), count = 0;
  for (const char *at = text; (at = strstr(at, mark)) != NULL; at += mark_length) count++;
  char *out = malloc(strlen(text) + count * strlen(by) + 1), *to = out;
  while (out != NULL && *text != '\0') {
    if (strncmp(text, mark, mark_length) == 0) {
      to = stpcpy(to, by);
      text += mark_length;
    } else {
      *to++ = *text++;
    }
  }
  if (out != NULL) *to = '\0';
  return out;
}

static enum pd_err write_users(const struct tool *tool) {
  char *text = strdup(paidan_users_acl), path[TOOL_PATH], hash[65];
  enum pd_err err = text == NULL ? PD_EIO : PD_OK;
  for (size_t i = 0; i < USERS && err == PD_OK; i++) {
    err = make_password(tool, users[i], hash);
    char *next = replaced(text, users[i], hash);
    free(text);
    text = next;
    if (text == NULL) err = PD_EIO;
  }
  if (err == PD_OK) err = tool_write_file(tool_path(tool, "users.acl", path), 0600, text);
  free(text);
  return err;
}

/* The lines that say whom it serves: several shards, or one. */
static void write_shards(const struct tool *tool, char *text, size_t room) {
  if (tool->shards[0] == '\0')
    snprintf(text, room, "shard: %u", tool->shard);
  else
    snprintf(text, room, "shards: \"%s\"", tool->shards);
}

static enum pd_err write_daemon_config(const struct tool *tool, size_t number) {
  char text[4096], shards[TOOL_SHARDS + 16], path[TOOL_PATH], http[TOOL_PATH];
  const char *run = tool->run_dir;
  uint32_t instance;
  const char *name = servers_daemon(tool, number, &instance);
  servers_daemon_path(tool, number, "http", http);
  write_shards(tool, shards, sizeof shards);
  bool vault = strcmp(name, "intake") == 0; /* nobody else seals or opens */
  int used = snprintf(text, sizeof text,
                      "# Written by `paidan up`.\n%s\ninstance: %s\nzone: \"%s\"\n"
                      "run_dir: \"%s\"\n"
                      "data_dir: \"%s/snapshots\"\narchive_dir: \"%s\"\n"
                      "log_redis: \"unix:%s/log.redis\"\nlog_user: %s\n"
                      "log_password_file: \"%s/secrets/%s\"\nhttp: \"unix:%s\"\n"
                      "clock_anchor_ms: %lld\nclock_at_ms: %lld\nclock_factor: %llu\n",
                      shards, tool_instances[instance], tool->zone, run, tool->data_dir,
                      tool_archive(tool), run, name, run, name, http,
                      (long long)tool->clock_anchor_ms, (long long)tool->clock_at_ms,
                      (unsigned long long)tool->clock_factor);
  if (vault && used > 0 && (size_t)used < sizeof text) {
    used += snprintf(text + used, sizeof text - (size_t)used,
                     "vault_redis: \"unix:%s/vault.redis\"\nvault_user: %s\nvault_password_file: "
                     "\"%s/secrets/%s\"\n",
                     run, name, run, name);
  }
  if (strcmp(name, "gateway") == 0 && used > 0 && (size_t)used < sizeof text) {
    used += snprintf(text + used, sizeof text - (size_t)used,
                     "edge: \"%s\"\nedge_key_file: \"%s/edge/server.key_secret\"\n"
                     "grants_file: \"%s/edge/grants.yaml\"\n",
                     tool->edge, tool->data_dir, tool->data_dir);
  }
  if (used < 0 || (size_t)used >= sizeof text) return PD_EBOUNDS;
  return tool_write_file(servers_daemon_path(tool, number, "yaml", path), 0640, text);
}

static enum pd_err make_dirs(const struct tool *tool) {
  static const char *const parts[] = {"log", "vault", "snapshots"};
  char path[TOOL_PATH];
  enum pd_err err = tool_make_dir(tool->run_dir, 0750);
  for (uint32_t i = 1; i < tool->instances && err == PD_OK; i++)
    err = tool_make_dir(tool_path(tool, tool_instances[i], path), 0750);
  if (err == PD_OK) err = tool_make_dir(tool_path(tool, "secrets", path), 0700);
  if (err == PD_OK) err = tool_make_dir(tool->data_dir, 0750);
  for (size_t i = 0; i < 3 && err == PD_OK; i++) {
    snprintf(path, sizeof path, "%.200s/%s", tool->data_dir, parts[i]);
    err = tool_make_dir(path, 0700);
  }
  return err;
}

int servers_prepare(struct tool *tool) {
  char path[TOOL_PATH];
  enum pd_err err = make_dirs(tool);
  if (err == PD_OK) err = write_users(tool);
  if (err == PD_OK)
    err = tool_write_file(tool_path(tool, "redis.conf", path), 0640, paidan_redis_conf);
  for (size_t i = 0; i < servers_daemons(tool) && err == PD_OK; i++) {
    err = write_daemon_config(tool, i);
  }
  if (err == PD_OK && tool->edge[0] != '\0') err = keys_prepare(tool);
  if (err == PD_OK) err = tool_remember(tool);
  if (err == PD_OK) return 0;
  return out_failf(&tool->out, PD_EXIT_CONFIG, "the folders cannot be made",
                   "name others with --run-dir and --data-dir", "%s, %s: %s", tool->run_dir,
                   tool->data_dir, strerror(errno));
}

/* ---- command lines ---- */

static void describe_files(const struct tool *tool, struct child *child, char texts[8][TOOL_PATH]) {
  char file[40];
  snprintf(file, sizeof file, "%s.log", child->name);
  child->journal = tool_path(tool, file, texts[6]);
  snprintf(file, sizeof file, "%s.pid", child->name);
  child->pid_file = tool_path(tool, file, texts[7]);
}

static void describe_redis(const struct tool *tool, struct child *child, char texts[8][TOOL_PATH],
                           const char *name) {
  snprintf(texts[5], TOOL_PATH, "%s.redis", name);
  child->name = texts[5];
  tool_path(tool, "redis.conf", texts[0]);
  snprintf(texts[1], TOOL_PATH, "%.200s/%s", tool->data_dir, name);
  tool_path(tool, child->name, texts[2]);
  tool_path(tool, "users.acl", texts[3]);
  const char *const words[] = {"redis-server", texts[0],    "--dir",  texts[1], "--unixsocket",
                               texts[2],       "--aclfile", texts[3], NULL};
  memcpy(child->words, words, sizeof words);
  describe_files(tool, child, texts);
}

static void describe_daemon(const struct tool *tool, struct child *child, char texts[8][TOOL_PATH],
                            size_t number) {
  uint32_t instance;
  const char *name = servers_daemon(tool, number, &instance);
  snprintf(texts[0], TOOL_PATH, "%.200s/paidan-%s", tool->bin_dir, name);
  servers_daemon_path(tool, number, "yaml", texts[1]);
  const char *const words[] = {texts[0], "--config", texts[1], NULL};
  memcpy(child->words, words, sizeof words);
  const char *of = instance == 0 ? "" : tool_instances[instance], *slash = instance == 0 ? "" : "/";
  snprintf(texts[5], TOOL_PATH, "%s%s%s", of, slash, name);
  child->name = texts[5];
  child->journal = servers_daemon_path(tool, number, "log", texts[6]);
  child->pid_file = servers_daemon_path(tool, number, "pid", texts[7]);
}

void servers_describe(struct tool *tool, struct servers *servers) {
  memset(servers, 0, sizeof *servers);
  for (size_t i = 0; i < SERVERS_REDIS; i++) {
    describe_redis(tool, &servers->children[i], servers->texts[i], redis_names[i]);
  }
  servers->count = SERVERS_REDIS + servers_daemons(tool);
  for (size_t i = 0; i < servers_daemons(tool); i++) {
    size_t at = SERVERS_REDIS + i;
    describe_daemon(tool, &servers->children[at], servers->texts[at], i);
  }
}

/* ---- Redis ---- */

struct pd_redis_options servers_deploy_options(const struct tool *tool, bool vault) {
  static char urls[2][TOOL_PATH], file[TOOL_PATH];
  snprintf(urls[vault], TOOL_PATH, "unix:%.180s/%s.redis", tool->run_dir, redis_names[vault]);
  return (struct pd_redis_options){.url = urls[vault],
                                   .user = "deploy",
                                   .password_file = tool_path(tool, "secrets/deploy", file)};
}

/* Until it answers a PING as the user that deploys: its data is loaded then. */
static int wait_redis(struct tool *tool, struct child *child, bool vault) {
  struct pd_redis_options options = servers_deploy_options(tool, vault);
  uint64_t until = child_clock_ms() + REDIS_WAIT_MS;
  char why[200] = "";
  while (child_clock_ms() < until) {
    redisContext *redis = NULL;
    if (pd_redis_connect_now(&redis, &options, why, sizeof why) == PD_OK) {
      redisFree(redis);
      return 0;
    }
    if (child_ended(child)) {
      return out_failf(
          &tool->out, PD_EXIT_DOWN, "redis-server has ended",
          "is Debian's redis-server installed? is the disk full? read the file named here",
          "%s; see %s", why, child->journal);
    }
    usleep(20000);
  }
  return out_fail(&tool->out, PD_EXIT_DOWN, "redis-server does not answer", why, child->journal);
}

static int load_library(struct tool *tool) {
  struct pd_store_now *store = NULL;
  struct pd_redis_options options = servers_deploy_options(tool, false);
  char text[200] = "";
  const char *why = text;
  enum pd_err err = pd_store_now_open(&store, &options, tool->shard, text, sizeof text);
  if (err == PD_OK) err = pd_store_load_library(store, &why);
  int code = 0;
  if (err != PD_OK)
    code = out_fail(&tool->out, PD_EXIT_DOWN, "the commit Function cannot be loaded", why, NULL);
  pd_store_now_close(store);
  return code;
}

int servers_start_redis(struct tool *tool, struct servers *servers) {
  for (size_t i = 0; i < SERVERS_REDIS; i++) {
    if (child_start(&servers->children[i]) == PD_OK) continue;
    return out_fail(&tool->out, PD_EXIT_DOWN, "redis-server cannot be started", strerror(errno),
                    NULL);
  }
  for (size_t i = 0; i < SERVERS_REDIS; i++) {
    int code = wait_redis(tool, &servers->children[i], i == 1);
    if (code != 0) return code;
  }
  return load_library(tool);
}
