/* backup, restore - the logs and the vault, apart.
 *
 *     DIR/logs/manifest.json     shard, zone, and where each log ends: one consistent cut
 *     DIR/logs/NAME.entries      the entries as they are stored, with their hashes
 *     DIR/vault/keys.json        the persons' keys (0600): keep it elsewhere, and not as long
 *
 * A restore writes the entries through the commit Function into empty servers, so the chain is
 * checked again, then kills the keys of everybody whom the logs say was erased: a backup of the
 * vault never brings an erased person back.
 */
#include "common/base/calendar.h"
#include "common/io/clock.h"
#include "services/paidan/backup.h"
#include "services/paidan/cursor.h"
#include "services/paidan/servers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct backup {
  struct tool *tool;
  const char *folder;
  struct pd_store_now *store;
  uint64_t ends[PD_LOGS];
  char why[300];
};

static char *backup_path(const struct backup *backup, const char *name, char *buffer) {
  snprintf(buffer, TOOL_PATH, "%.180s/%s", backup->folder, name);
  return buffer;
}

/* ---- one consistent cut ---- */

/* The last seq of each log in one transaction: a mark never names what is not yet there. */
static bool read_cut(struct backup *backup, redisContext *redis) {
  redisReply *reply = redisCommand(redis, "MULTI");
  freeReplyObject(reply);
  for (unsigned log = 1; log < PD_LOGS; log++) {
    reply = redisCommand(redis, "XREVRANGE {%06u}:log:%s + - COUNT 1", backup->tool->shard,
                         pd_log_name(log));
    freeReplyObject(reply);
  }
  reply = redisCommand(redis, "EXEC");
  bool good = reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == PD_LOGS - 1;
  for (unsigned log = 1; good && log < PD_LOGS; log++) {
    const redisReply *list = reply->element[log - 1];
    if (list->type != REDIS_REPLY_ARRAY)
      good = false;
    else if (list->elements > 0)
      backup->ends[log] = strtoull(list->element[0]->element[0]->str, NULL, 10);
  }
  freeReplyObject(reply);
  return good;
}

static enum pd_err find_cut(struct backup *backup) {
  struct pd_redis_options options = tool_log_redis(backup->tool);
  redisContext *redis = NULL;
  char key[32];
  snprintf(key, sizeof key, "{%06u}:log:intake", backup->tool->shard);
  options.key = key;
  enum pd_err err = pd_redis_connect_now(&redis, &options, backup->why, sizeof backup->why);
  if (err != PD_OK) return err;
  if (!read_cut(backup, redis)) {
    snprintf(backup->why, sizeof backup->why, "%s",
             redis->err != 0 ? redis->errstr : "no rights to MULTI");
    err = PD_EIO;
  }
  redisFree(redis);
  return err;
}

/* ---- logs out ---- */

static bool write_entry(FILE *file, const struct pd_stored *stored) {
  struct backup_record record = {
      .last_seq = stored->last_seq, .epoch = stored->epoch, .size = (uint32_t)stored->size};
  memcpy(record.hash, stored->hash, sizeof record.hash);
  return fwrite(&record, sizeof record, 1, file) == 1 &&
         fwrite(stored->bytes, 1, stored->size, file) == stored->size;
}

static enum pd_err write_entries(struct backup *backup, enum pd_log log, FILE *file) {
  struct cursor cursor;
  enum pd_err err = PD_OK;
  cursor_open(&cursor, backup->store, log, 1);
  while (err == PD_OK && cursor.next <= backup->ends[log]) {
    err = cursor_entry(&cursor);
    if (err == PD_OK && !write_entry(file, cursor.stored)) err = PD_EIO;
  }
  cursor_close(&cursor);
  return err;
}

static enum pd_err write_log(struct backup *backup, enum pd_log log) {
  char name[48], path[TOOL_PATH];
  snprintf(name, sizeof name, "logs/%s.entries", pd_log_name(log));
  FILE *file = fopen(backup_path(backup, name, path), "wbe");
  if (file == NULL) return PD_EIO;
  enum pd_err err = fwrite(BACKUP_MAGIC, sizeof BACKUP_MAGIC, 1, file) == 1 ? PD_OK : PD_EIO;
  if (err == PD_OK) err = write_entries(backup, log, file);
  if (err == PD_OK && (fflush(file) != 0 || fsync(fileno(file)) != 0)) err = PD_EIO;
  if (fclose(file) != 0 && err == PD_OK) err = PD_EIO;
  if (err != PD_OK) snprintf(backup->why, sizeof backup->why, "%s: %s", path, pd_err_text(err));
  return err;
}

static enum pd_err write_manifest(struct backup *backup) {
  char path[TOOL_PATH], time[PD_TIME_TEXT];
  json_t *ends = json_object();
  for (unsigned log = 1; log < PD_LOGS; log++) {
    json_object_set_new(ends, pd_log_name(log), json_integer((json_int_t)backup->ends[log]));
  }
  pd_time_text(pd_clock_real_ms(), 0, time);
  json_t *json =
      json_pack("{s:i, s:i, s:s, s:s, s:o}", "format", 1, "shard", (int)backup->tool->shard, "zone",
                backup->tool->zone, "made", time, "ends", ends);
  char *text = json_dumps(json, JSON_INDENT(1));
  enum pd_err err =
      text == NULL ? PD_EIO
                   : tool_write_file(backup_path(backup, "logs/manifest.json", path), 0640, text);
  free(text);
  json_decref(json);
  return err;
}

static enum pd_err backup_logs(struct backup *backup) {
  char path[TOOL_PATH];
  enum pd_err err = tool_make_dir(backup_path(backup, "logs", path), 0750);
  if (err == PD_OK) err = find_cut(backup);
  for (unsigned log = 1; log < PD_LOGS && err == PD_OK; log++)
    err = write_log(backup, (enum pd_log)log);
  return err == PD_OK ? write_manifest(backup) : err;
}

/* ---- the vault out ---- */

static json_t *hex_json(const char *bytes, size_t size) {
  char text[2 * 64 + 1];
  for (size_t i = 0; i < size && i < 64; i++) snprintf(text + 2 * i, 3, "%02x", (uint8_t)bytes[i]);
  text[2 * (size < 64 ? size : 64)] = '\0';
  return json_string(text);
}

static json_t *read_keys(struct backup *backup, redisContext *redis) {
  uint32_t shard = backup->tool->shard;
  json_t *keys = json_object();
  redisReply *hash = redisCommand(redis, "GET {%06u}:vault:hashkey", shard);
  redisReply *all = redisCommand(redis, "HGETALL {%06u}:vault", shard);
  bool good = hash != NULL && all != NULL && all->type == REDIS_REPLY_ARRAY &&
              hash->type != REDIS_REPLY_ERROR;
  json_t *json = json_pack("{s:i, s:i, s:o}", "format", 1, "shard", (int)shard, "keys", keys);
  if (good && hash->type == REDIS_REPLY_STRING)
    json_object_set_new(json, "hash_key", hex_json(hash->str, hash->len));
  for (size_t i = 0; good && i + 1 < all->elements; i += 2) {
    json_object_set_new(keys, all->element[i]->str,
                        hex_json(all->element[i + 1]->str, all->element[i + 1]->len));
  }
  freeReplyObject(hash);
  freeReplyObject(all);
  if (good) return json;
  snprintf(backup->why, sizeof backup->why, "the vault does not hand out its keys");
  json_decref(json);
  return NULL;
}

static enum pd_err backup_vault(struct backup *backup) {
  char path[TOOL_PATH];
  struct pd_redis_options options = tool_vault_redis(backup->tool);
  redisContext *redis = NULL;
  enum pd_err err = tool_make_dir(backup_path(backup, "vault", path), 0700);
  if (err == PD_OK) err = pd_redis_connect_now(&redis, &options, backup->why, sizeof backup->why);
  if (err != PD_OK) return err;
  json_t *json = read_keys(backup, redis);
  redisFree(redis);
  char *text = json == NULL ? NULL : json_dumps(json, JSON_INDENT(1));
  err = text == NULL ? PD_EIO
                     : tool_write_file(backup_path(backup, "vault/keys.json", path), 0600, text);
  free(text);
  json_decref(json);
  return err;
}

static bool wants(const struct tool *tool, const char *part) {
  const char *only = args_get(&tool->args, "only");
  return only == NULL || strcmp(only, part) == 0;
}

static int check_only(struct tool *tool) {
  if (wants(tool, "logs") || wants(tool, "vault")) return 0;
  return tool_usage(tool, "--only takes logs or vault");
}

static int cmd_backup(struct tool *tool) {
  struct backup backup = {.tool = tool, .folder = tool->args.words[0]};
  int code = check_only(tool);
  if (code == 0) code = tool_store(tool, &backup.store);
  if (code != 0) return code;
  enum pd_err err = wants(tool, "logs") ? backup_logs(&backup) : PD_OK;
  if (err == PD_OK && wants(tool, "vault")) err = backup_vault(&backup);
  pd_store_now_close(backup.store);
  if (err != PD_OK) {
    return out_fail(&tool->out, PD_EXIT_FAULT, "the backup is not complete",
                    backup.why[0] == '\0' ? pd_err_text(err) : backup.why,
                    "`paidan verify` finds damage; is there room in the folder?");
  }
  uint64_t events = 0;
  for (unsigned log = 1; log < PD_LOGS; log++) events += backup.ends[log];
  out_text(&tool->out, "%llu events in %s; keep its vault folder apart from the logs",
           (unsigned long long)events, backup.folder);
  out_object(&tool->out,
             json_pack("{s:s, s:I}", "backup", backup.folder, "events", (json_int_t)events));
  return 0;
}

static const struct option_row backup_options[] = {
    {"only", "logs|vault", "only this part (default both)"},
    {NULL, NULL, NULL},
};

const struct command backup_commands[] = {
    {"backup", "DIR", "Copies the logs (one consistent cut) and the vault's keys, apart.",
     "paidan backup /backup/today", backup_options, 1, 1, cmd_backup},
    {"restore", "DIR",
     "Puts a backup into an empty shard that is down; whoever was erased stays erased.",
     "paidan restore /backup/today --run-dir /run/paidan", NULL, 1, 1, restore_run},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
