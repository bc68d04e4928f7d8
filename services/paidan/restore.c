/* restore - see backup.c. */
#include "services/paidan/backup.h"
#include "services/paidan/cursor.h"
#include "services/paidan/servers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

struct restore {
  struct tool *tool;
  const char *folder;
  struct servers servers;
  struct pd_store_now *store;
  uint64_t events;
  uint64_t keys;
  uint64_t erased;
  int lock;
  bool has_vault;
  char why[300];
};

static char *restore_path(const struct restore *restore, const char *name, char *buffer) {
  snprintf(buffer, TOOL_PATH, "%.180s/%s", restore->folder, name);
  return buffer;
}

static enum pd_err say(struct restore *restore, enum pd_err err, const char *what) {
  if (err != PD_OK && restore->why[0] == '\0') {
    snprintf(restore->why, sizeof restore->why, "%.200s: %s", what, pd_err_text(err));
  }
  return err;
}

/* ---- logs in ---- */

/* The head of an entry, so that the commit names its first seq and the hash before. */
static enum pd_err commit_entry(struct restore *restore, enum pd_log log,
                                const struct backup_record *record, const uint8_t *bytes) {
  struct pd_entry_view view;
  const char *why = "";
  struct pd_hash hash = pd_hash_of(bytes, record->size);
  if (memcmp(hash.bytes, record->hash, sizeof hash.bytes) != 0) return PD_ECORRUPT;
  enum pd_err err = pd_entry_open(bytes, record->size, &view);
  if (err != PD_OK) return err;
  if (view.head.log != log || view.head.shard != restore->tool->shard) return PD_EFORMAT;
  struct pd_commit commit = {.epoch = record->epoch,
                             .first_seq = view.head.first_seq,
                             .last_seq = record->last_seq,
                             .bytes = bytes,
                             .size = record->size};
  memcpy(commit.prev_hash, view.head.prev.bytes, sizeof commit.prev_hash);
  memcpy(commit.hash, record->hash, sizeof commit.hash);
  restore->events += view.events;
  enum pd_commit_reply reply = pd_store_commit_now(restore->store, pd_log_name(log), &commit, &why);
  if (reply == PD_COMMIT_OK || reply == PD_COMMIT_DUP) return PD_OK;
  return say(restore, reply == PD_COMMIT_FENCED ? PD_ECORRUPT : PD_EIO,
             reply == PD_COMMIT_FENCED ? "the chain of the backup does not hold" : why);
}

static enum pd_err read_record(struct restore *restore, enum pd_log log, FILE *file,
                               uint8_t *bytes) {
  struct backup_record record;
  size_t got = fread(&record, 1, sizeof record, file);
  if (got == 0 && feof(file)) return PD_ENOENT;
  if (got != sizeof record || record.size > PD_ENTRY_MAX) return PD_EFORMAT;
  if (fread(bytes, 1, record.size, file) != record.size) return PD_EFORMAT;
  return commit_entry(restore, log, &record, bytes);
}

static enum pd_err read_log(struct restore *restore, enum pd_log log) {
  char name[48], path[TOOL_PATH], magic[sizeof BACKUP_MAGIC];
  snprintf(name, sizeof name, "logs/%s.entries", pd_log_name(log));
  FILE *file = fopen(restore_path(restore, name, path), "rbe");
  if (file == NULL) return say(restore, PD_ENOENT, path);
  uint8_t *bytes = malloc(PD_ENTRY_MAX);
  enum pd_err err = bytes == NULL ? PD_EIO : PD_OK;
  if (err == PD_OK && (fread(magic, sizeof magic, 1, file) != 1 ||
                       memcmp(magic, BACKUP_MAGIC, sizeof magic) != 0)) {
    err = PD_EFORMAT;
  }
  while (err == PD_OK) err = read_record(restore, log, file, bytes);
  free(bytes);
  fclose(file);
  return err == PD_ENOENT ? PD_OK : say(restore, err, path);
}

/* The log must end where the manifest says: a file that was cut off is no backup. */
static enum pd_err check_end(struct restore *restore, enum pd_log log, const json_t *ends) {
  struct pd_tail tail;
  uint64_t end = (uint64_t)json_integer_value(json_object_get(ends, pd_log_name(log)));
  enum pd_err err = pd_store_tail_now(restore->store, pd_log_name(log), &tail);
  if (err != PD_OK) return say(restore, err, pd_log_name(log));
  return tail.last_seq == end ? PD_OK
                              : say(restore, PD_ECORRUPT, "a log of the backup was cut off");
}

static enum pd_err restore_logs(struct restore *restore, const json_t *manifest) {
  struct pd_redis_options options = servers_deploy_options(restore->tool, false);
  enum pd_err err = pd_store_now_open(&restore->store, &options, restore->tool->shard, restore->why,
                                      sizeof restore->why);
  for (unsigned log = 1; log < PD_LOGS && err == PD_OK; log++) {
    err = read_log(restore, (enum pd_log)log);
    if (err == PD_OK) err = check_end(restore, (enum pd_log)log, json_object_get(manifest, "ends"));
  }
  return err;
}

/* ---- the vault in ---- */

static bool put_key(redisContext *redis, uint32_t shard, const char *person, const char *hex) {
  uint8_t key[PD_KEY_SIZE];
  size_t size = 0;
  if (hex == NULL || sodium_hex2bin(key, sizeof key, hex, strlen(hex), NULL, &size, NULL) != 0)
    return false;
  redisReply *reply =
      person == NULL ? redisCommand(redis, "SET {%06u}:vault:hashkey %b", shard, key, size)
                     : redisCommand(redis, "HSET {%06u}:vault %s %b", shard, person, key, size);
  bool good = reply != NULL && reply->type != REDIS_REPLY_ERROR && size == sizeof key;
  freeReplyObject(reply);
  sodium_memzero(key, sizeof key);
  return good;
}

static enum pd_err put_keys(struct restore *restore, redisContext *redis, const json_t *json) {
  const char *person;
  json_t *hex;
  uint32_t shard = restore->tool->shard;
  const char *hash = json_string_value(json_object_get(json, "hash_key"));
  if ((uint32_t)json_integer_value(json_object_get(json, "shard")) != shard) return PD_EFORMAT;
  if (hash != NULL && !put_key(redis, shard, NULL, hash)) return PD_EIO;
  json_object_foreach(json_object_get(json, "keys"), person, hex) {
    if (!put_key(redis, shard, person, json_string_value(hex))) return PD_EIO;
    restore->keys++;
  }
  return PD_OK;
}

static enum pd_err restore_keys(struct restore *restore) {
  char path[TOOL_PATH];
  struct pd_redis_options options = servers_deploy_options(restore->tool, true);
  redisContext *redis = NULL;
  json_t *json = json_load_file(restore_path(restore, "vault/keys.json", path), 0, NULL);
  if (json == NULL) return say(restore, PD_EFORMAT, path);
  enum pd_err err = pd_redis_connect_now(&redis, &options, restore->why, sizeof restore->why);
  if (err == PD_OK) err = say(restore, put_keys(restore, redis, json), path);
  if (redis != NULL) redisFree(redis);
  json_decref(json);
  return err;
}

/* Everybody whom intake's log says was erased: no key, whatever the backup of the vault held. */
static enum pd_err replay_erasures(struct restore *restore) {
  static uint8_t memory[512u << 10];
  struct pd_redis_options options = servers_deploy_options(restore->tool, true);
  struct pd_vault_now *vault = NULL;
  struct cursor cursor;
  struct pd_entry_item item;
  enum pd_err err =
      pd_vault_now_open(&vault, &options, restore->tool->shard, restore->why, sizeof restore->why);
  cursor_open(&cursor, restore->store, PD_LOG_INTAKE, 1);
  while (err == PD_OK && (err = cursor_item(&cursor, &item)) == PD_OK) {
    struct pd_arena arena;
    pd_arena_init(&arena, memory, sizeof memory);
    if (item.log != PD_LOG_UNSPECIFIED) continue;
    const struct pd_event *event = pd_event_unpack(&arena, item.event, item.size);
    if (event == NULL || event->body_case != PD_EVENT_PERSON_ERASED) continue;
    struct pd_id person = PD_ID(event->person_erased->person);
    err = pd_vault_forget_now(vault, &person);
    restore->erased++;
  }
  cursor_close(&cursor);
  pd_vault_now_close(vault);
  return err == PD_ENOENT ? PD_OK : say(restore, err, "an erasure");
}

/* ---- around it ---- */

/* A folder with nothing in it, or none at all. */
static bool is_empty(const char *path) {
  DIR *folder = opendir(path);
  if (folder == NULL) return true;
  int count = 0;
  while (readdir(folder) != NULL) count++;
  closedir(folder);
  return count <= 2;
}

static int check_empty(struct tool *tool) {
  static const char *const parts[] = {"log", "vault", "snapshots", "archive"};
  char path[TOOL_PATH];
  for (size_t i = 0; i < 4; i++) {
    snprintf(path, sizeof path, "%.200s/%s", tool->data_dir, parts[i]);
    if (is_empty(path)) continue;
    return out_fail(&tool->out, PD_EXIT_FAULT, "the data folder is not empty", path,
                    "restore into a new one: --data-dir DIR, or move the old one away");
  }
  return 0;
}

static int read_manifest(struct restore *restore, json_t **manifest) {
  struct tool *tool = restore->tool;
  char path[TOOL_PATH];
  *manifest = json_load_file(restore_path(restore, "logs/manifest.json", path), 0, NULL);
  const char *zone = json_string_value(json_object_get(*manifest, "zone"));
  if (*manifest == NULL || json_integer_value(json_object_get(*manifest, "format")) != 1) {
    return out_fail(&tool->out, PD_EXIT_USAGE, "this is no backup", path,
                    "name the folder that `paidan backup` made");
  }
  tool->shard = (uint32_t)json_integer_value(json_object_get(*manifest, "shard"));
  if (zone != NULL) snprintf(tool->zone, sizeof tool->zone, "%s", zone);
  restore->has_vault = access(restore_path(restore, "vault/keys.json", path), R_OK) == 0;
  return 0;
}

static int take_lock(struct restore *restore) {
  char path[TOOL_PATH];
  struct tool *tool = restore->tool;
  if (tool_make_dir(tool->run_dir, 0750) != PD_OK) {
    return out_fail(&tool->out, PD_EXIT_CONFIG, "the run folder cannot be made", tool->run_dir,
                    strerror(errno));
  }
  restore->lock = open(tool_path(tool, "up.lock", path), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (restore->lock >= 0 && flock(restore->lock, LOCK_EX | LOCK_NB) == 0) return 0;
  return out_fail(&tool->out, PD_EXIT_FAULT, "the shard is up", tool->run_dir,
                  "paidan down, then again");
}

static void stop_redis(struct restore *restore) {
  for (size_t i = 0; i < SERVERS_REDIS; i++) child_signal(&restore->servers.children[i], SIGTERM);
  for (size_t i = 0; i < SERVERS_REDIS; i++) child_stop(&restore->servers.children[i], 60000);
}

static int fill(struct restore *restore, const json_t *manifest) {
  struct tool *tool = restore->tool;
  enum pd_err err = restore_logs(restore, manifest);
  if (err == PD_OK && restore->has_vault) err = restore_keys(restore);
  if (err == PD_OK) err = replay_erasures(restore);
  pd_store_now_close(restore->store);
  if (err == PD_OK) return 0;
  return out_fail(&tool->out, PD_EXIT_FAULT, "the backup could not be restored", restore->why,
                  "empty the data folder before the next try");
}

int restore_run(struct tool *tool) {
  static struct restore restore;
  restore = (struct restore){.tool = tool, .folder = tool->args.words[0], .lock = -1};
  json_t *manifest = NULL;
  int code = read_manifest(&restore, &manifest);
  if (code == 0) code = check_empty(tool);
  if (code == 0) code = take_lock(&restore);
  if (code == 0) code = servers_prepare(tool);
  servers_describe(tool, &restore.servers);
  if (code == 0) {
    code = servers_start_redis(tool, &restore.servers);
    if (code == 0) code = fill(&restore, manifest);
    stop_redis(&restore);
  }
  json_decref(manifest);
  if (restore.lock >= 0) close(restore.lock);
  if (code != 0) return code;
  if (!restore.has_vault) {
    out_text(&tool->out, "no vault in this backup: what was sealed can no longer be read");
  }
  out_text(
      &tool->out,
      "%llu events and %llu keys are back, %llu erasures done again; start: paidan up --shard %06u",
      (unsigned long long)restore.events, (unsigned long long)restore.keys,
      (unsigned long long)restore.erased, tool->shard);
  out_object(&tool->out, json_pack("{s:I, s:I, s:I, s:b}", "events", (json_int_t)restore.events,
                                   "keys", (json_int_t)restore.keys, "erased",
                                   (json_int_t)restore.erased, "vault", restore.has_vault));
  return 0;
}
