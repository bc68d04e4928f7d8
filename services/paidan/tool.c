#include "services/paidan/tool.h"

#include "common/base/calendar.h"
#include "common/io/clock.h"
#include "services/paidan/proto_json.h"
#include "services/paidan/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define DAY_MS INT64_C(86400000)
#define ZONE_DAYS 400 /* as far ahead as an order may lie */

/* ---- files ---- */

enum pd_err tool_make_dir(const char *path, mode_t mode) {
  char part[TOOL_PATH];
  if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part) return PD_EBOUNDS;
  for (char *c = part + 1; *c != '\0'; c++) {
    if (*c != '/') continue;
    *c = '\0';
    if (mkdir(part, 0755) != 0 && errno != EEXIST) return PD_EIO;
    *c = '/';
  }
  return mkdir(part, mode) == 0 || errno == EEXIST ? PD_OK : PD_EIO;
}

enum pd_err tool_write_file(const char *path, mode_t mode, const char *text) {
  char aside[TOOL_PATH + 8];
  if (snprintf(aside, sizeof aside, "%s.new", path) >= (int)sizeof aside) return PD_EBOUNDS;
  int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0) return PD_EIO;
  size_t size = strlen(text);
  bool good = fchmod(fd, mode) == 0 && write(fd, text, size) == (ssize_t)size && fsync(fd) == 0;
  good = close(fd) == 0 && good;
  return good && rename(aside, path) == 0 ? PD_OK : PD_EIO;
}

char *tool_read_file(const char *path) {
  FILE *file = fopen(path, "rbe");
  if (file == NULL) return NULL;
  size_t room = 1u << 20;
  char *text = malloc(room + 1);
  size_t size = text == NULL ? 0 : fread(text, 1, room, file);
  if (text != NULL) text[size] = '\0';
  fclose(file);
  return text;
}

char *tool_path(const struct tool *tool, const char *name, char *buffer) {
  /* tool_settle() has made sure that the longest name fits. */
  snprintf(buffer, TOOL_PATH, "%.180s/%s", tool->run_dir, name);
  return buffer;
}

const char *const tool_instances[TOOL_INSTANCES] = {"a", "b"};

char *tool_path_of(const struct tool *tool, uint32_t instance, const char *name, char *buffer) {
  if (instance == 0) return tool_path(tool, name, buffer);
  snprintf(buffer, TOOL_PATH, "%.180s/%s/%s", tool->run_dir, tool_instances[instance], name);
  return buffer;
}

char *tool_endpoint(const struct tool *tool, uint32_t instance, const char *name, char *buffer) {
  char path[TOOL_PATH];
  snprintf(buffer, TOOL_PATH, "ipc://%.200s", tool_path_of(tool, instance, name, path));
  return buffer;
}

/* ---- settings ---- */

/* An absolute path without a '/' at its end; false if it is too long. */
static bool absolute(const char *path, char *buffer) {
  char here[PATH_MAX] = "";
  if (path[0] != '/' && getcwd(here, sizeof here) == NULL) return false;
  if (strncmp(path, "./", 2) == 0) path += 2;
  int wrote = snprintf(buffer, TOOL_PATH, "%s%s%s", here, path[0] == '/' ? "" : "/", path);
  if (wrote <= 0 || wrote >= TOOL_PATH) return false;
  while (wrote > 1 && buffer[wrote - 1] == '/') buffer[--wrote] = '\0';
  return true;
}

static const char *setting(const struct tool *tool, const char *option, const char *variable) {
  const char *text = args_get(&tool->args, option);
  if (text == NULL) text = getenv(variable);
  return text == NULL || text[0] == '\0' ? NULL : text;
}

static void recall(struct tool *tool) {
  char path[TOOL_PATH];
  json_t *state = json_load_file(tool_path(tool, "paidan.json", path), 0, NULL);
  const char *zone = json_string_value(json_object_get(state, "zone"));
  const char *data = json_string_value(json_object_get(state, "data_dir"));
  const char *shards = json_string_value(json_object_get(state, "shards"));
  tool->shard = (uint32_t)json_integer_value(json_object_get(state, "shard"));
  if (shards != NULL) snprintf(tool->shards, sizeof tool->shards, "%s", shards);
  tool->instances = (uint32_t)json_integer_value(json_object_get(state, "instances"));
  if (zone != NULL) snprintf(tool->zone, sizeof tool->zone, "%s", zone);
  const char *edge = json_string_value(json_object_get(state, "edge"));
  if (edge != NULL) snprintf(tool->edge, sizeof tool->edge, "%s", edge);
  if (data != NULL) snprintf(tool->data_dir, sizeof tool->data_dir, "%s", data);
  tool->clock_anchor_ms = json_integer_value(json_object_get(state, "clock_anchor_ms"));
  tool->clock_at_ms = json_integer_value(json_object_get(state, "clock_at_ms"));
  tool->clock_factor = (uint64_t)json_integer_value(json_object_get(state, "clock_factor"));
  json_decref(state);
}

enum pd_err tool_remember(const struct tool *tool) {
  char path[TOOL_PATH];
  json_t *state = json_pack(
      "{s:i, s:s, s:i, s:s, s:s, s:s, s:I, s:I, s:I}", "shard", (int)tool->shard, "shards",
      tool->shards, "instances", (int)tool->instances, "zone", tool->zone, "data_dir",
      tool->data_dir, "edge", tool->edge, "clock_anchor_ms",
      (json_int_t)tool->clock_anchor_ms, "clock_at_ms", (json_int_t)tool->clock_at_ms,
      "clock_factor", (json_int_t)tool->clock_factor);
  char *text = json_dumps(state, JSON_INDENT(1));
  enum pd_err err =
      text == NULL ? PD_EIO : tool_write_file(tool_path(tool, "paidan.json", path), 0644, text);
  free(text);
  json_decref(state);
  return err;
}

static int settle_dirs(struct tool *tool, const char *argv0) {
  char self[TOOL_PATH] = "";
  if (readlink("/proc/self/exe", self, sizeof self - 1) <= 0)
    snprintf(self, sizeof self, "%s", argv0);
  char *slash = strrchr(self, '/');
  if (slash != NULL) *slash = '\0';
  snprintf(tool->bin_dir, sizeof tool->bin_dir, "%s", slash == NULL ? "." : self);
  const char *run = setting(tool, "run-dir", "PAIDAN_RUN_DIR");
  const size_t longest = strlen("/b/notification.http");
  if (absolute(run == NULL ? "paidan-run" : run, tool->run_dir) &&
      strlen(tool->run_dir) + longest <= TOOL_SOCKET_MAX) {
    return 0;
  }
  return out_failf(&tool->out, PD_EXIT_USAGE, "the run folder's path is too long",
                   "name a shorter one with --run-dir or PAIDAN_RUN_DIR, e.g. /tmp/paidan",
                   "a unix socket's path may have %d bytes, so the folder's may have %zu",
                   TOOL_SOCKET_MAX, TOOL_SOCKET_MAX - longest);
}

static int settle_place(struct tool *tool) {
  const char *shard = setting(tool, "shard", "PAIDAN_SHARD");
  const char *zone = setting(tool, "zone", "PAIDAN_ZONE");
  const char *data = setting(tool, "data-dir", "PAIDAN_DATA_DIR");
  uint64_t number = 0;
  if (shard != NULL && (!args_digits(shard, 999999, &number) || number < 100000)) {
    return tool_usage(tool, "--shard must be the district's adcode: six digits");
  }
  if (shard != NULL) tool->shard = (uint32_t)number;
  if (zone == NULL) zone = tool->zone;
  int64_t now_ms = (int64_t)time(NULL) * 1000;
  char why[256], text[320];
  if (!zone_find(zone, now_ms - DAY_MS, now_ms + ZONE_DAYS * DAY_MS, &tool->zone_min, why,
                 sizeof why)) {
    snprintf(text, sizeof text, "--zone: %s", why);
    return tool_usage(tool, text);
  }
  zone_text(tool->zone_min, tool->zone);
  if (data != NULL && !absolute(data, tool->data_dir))
    return tool_usage(tool, "--data-dir is too long");
  return 0;
}

int tool_settle(struct tool *tool, const char *argv0) {
  int code = settle_dirs(tool, argv0);
  if (code != 0) return code;
  snprintf(tool->zone, sizeof tool->zone, "+08:00");
  snprintf(tool->data_dir, sizeof tool->data_dir, "%.200s/data", tool->run_dir);
  recall(tool);
  if (tool->clock_factor == 0) tool->clock_factor = 1;
  if (tool->instances < 1 || tool->instances > TOOL_INSTANCES) tool->instances = 1;
  return settle_place(tool);
}

int tool_need_shard(struct tool *tool) {
  if (tool->shard != 0) return 0;
  return out_failf(&tool->out, PD_EXIT_DOWN, "no shard is known here",
                   "start one with `paidan up --shard ADCODE`, or name its folder with --run-dir",
                   "there is no %s/paidan.json", tool->run_dir);
}

int64_t tool_now_ms(const struct tool *tool) {
  struct pd_clock clock;
  pd_clock_init(&clock, tool->clock_anchor_ms, tool->clock_at_ms, tool->clock_factor);
  return pd_clock_now(&clock);
}

int tool_usage(struct tool *tool, const char *why) {
  char next[128];
  snprintf(next, sizeof next, "paidan %s --help", tool->command == NULL ? "" : tool->command->name);
  return out_fail(&tool->out, PD_EXIT_USAGE, "the command line is not understood", why, next);
}

int tool_person(struct tool *tool, const char *text, struct pd_id *person) {
  if (text != NULL && pd_id_parse(text, person)) return 0;
  return tool_usage(tool, "a person is 32 hexadecimal digits");
}

int tool_order(struct tool *tool, const char *text, uint64_t *number) {
  if (args_digits(text, UINT64_MAX, number) && *number > 0) return 0;
  return tool_usage(tool, "orders, offers and holds have numbers: 1, 2, 3 ...");
}

/* ---- servers ---- */

/* The environment's value, or a text made of the run folder. */
static const char *server_text(const struct tool *tool, const char *variable, const char *before,
                               const char *name, char *buffer) {
  const char *text = getenv(variable);
  if (text != NULL && text[0] != '\0') return text;
  snprintf(buffer, TOOL_PATH, "%s%.180s/%s", before, tool->run_dir, name);
  return buffer;
}

struct pd_redis_options tool_log_redis(const struct tool *tool) {
  static char url[TOOL_PATH], file[TOOL_PATH];
  const char *user = getenv("PAIDAN_LOG_USER");
  return (struct pd_redis_options){
      .url = server_text(tool, "PAIDAN_LOG_REDIS", "unix:", "log.redis", url),
      .user = user == NULL ? "tool" : user,
      .password_file = server_text(tool, "PAIDAN_LOG_PASSWORD_FILE", "", "secrets/tool", file)};
}

struct pd_redis_options tool_vault_redis(const struct tool *tool) {
  static char url[TOOL_PATH], file[TOOL_PATH];
  const char *user = getenv("PAIDAN_VAULT_USER");
  return (struct pd_redis_options){
      .url = server_text(tool, "PAIDAN_VAULT_REDIS", "unix:", "vault.redis", url),
      .user = user == NULL ? "tool" : user,
      .password_file = server_text(tool, "PAIDAN_VAULT_PASSWORD_FILE", "", "secrets/tool", file)};
}

const char *tool_archive(const struct tool *tool) {
  static char path[TOOL_PATH];
  const char *text = getenv("PAIDAN_ARCHIVE_DIR");
  if (text != NULL && text[0] != '\0') return text;
  snprintf(path, sizeof path, "%.200s/archive", tool->data_dir);
  return path;
}

const char tool_advice[] = "is the shard up? see `paidan status`, start it with `paidan up`";

int tool_store(struct tool *tool, struct pd_store_now **store) {
  char why[200] = "";
  int code = tool_need_shard(tool);
  if (code != 0) return code;
  struct pd_redis_options options = tool_log_redis(tool);
  if (pd_store_now_open(store, &options, tool->shard, why, sizeof why) == PD_OK &&
      pd_store_archive_now(*store, tool_archive(tool)) == PD_OK)
    return 0;
  return out_fail(&tool->out, PD_EXIT_DOWN, "the log server does not answer", why, tool_advice);
}

int tool_client(struct tool *tool, const char *door, uint32_t window, struct pd_client **client) {
  char name[40], one[TOOL_PATH], endpoint[TOOL_INSTANCES * (TOOL_PATH + 1)] = "";
  int code = tool_need_shard(tool);
  if (code != 0) return code;
  const char *chosen = args_get(&tool->args, "door");
  snprintf(name, sizeof name, "door.%.20s", chosen == NULL ? door : chosen);
  for (uint32_t i = 0; i < tool->instances; i++)
    strcat(strcat(endpoint, tool_endpoint(tool, i, name, one)), " ");
  struct pd_client_options options = {.endpoint = endpoint,
                                      .shard = tool->shard,
                                      .window = window,
                                      .give_up_ms = 15000};
  if (tool->zmq == NULL) tool->zmq = zmq_ctx_new();
  if (pd_client_open(client, tool->zmq, &options) == PD_OK) return 0;
  return out_fail(&tool->out, PD_EXIT_DOWN, "the door cannot be reached", endpoint, tool_advice);
}

static int say_refusal(struct tool *tool, const struct pd_refusal *refusal) {
  char name[PROTO_NAME], what[160];
  if (tool->out.json) {
    json_t *object = json_pack("{s:o}", "refusal", proto_json(&refusal->base, tool->zone_min));
    out_object(&tool->out, object);
    return PD_EXIT_FAULT;
  }
  proto_enum(&paidan__v1__code__descriptor, (int)refusal->code, name);
  snprintf(what, sizeof what, "refused (%s)%s%s", name, refusal->field[0] == '\0' ? "" : " ",
           refusal->field);
  out_fail(&tool->out, PD_EXIT_FAULT, what, refusal->rule, refusal->next);
  if (refusal->zh[0] != '\0') fprintf(stderr, "  %s\n", refusal->zh);
  return PD_EXIT_FAULT;
}

int tool_send(struct tool *tool, const char *door, struct pd_command *command,
              struct pd_reply **reply) {
  struct pd_client *client;
  char fresh[PD_CLIENT_KEY];
  int code = tool_client(tool, door, 1, &client);
  if (code != 0) return code;
  pd_client_fresh_key(fresh);
  const char *key = args_get(&tool->args, "key");
  if (command->key == NULL || command->key[0] == '\0')
    command->key = (char *)(key == NULL ? fresh : key);
  *reply = NULL;
  enum pd_err err = pd_client_call(client, command, reply);
  pd_client_close(client);
  if (err == PD_OK && (*reply)->result_case == PD_REPLY_ACK) return 0;
  if (err == PD_OK)
    code = say_refusal(tool, (*reply)->refusal);
  else
    code = out_fail(&tool->out, PD_EXIT_DOWN, "nobody answered at the door", pd_err_text(err),
                    tool_advice);
  if (*reply != NULL) paidan__v1__reply__free_unpacked(*reply, NULL);
  *reply = NULL;
  return code;
}

int tool_send_about(struct tool *tool, struct pd_command *command, const char *done) {
  struct pd_reply *reply = NULL;
  char text[PD_ID_TEXT];
  int code = tool_send(tool, "ops", command, &reply);
  if (code != 0) return code;
  struct pd_id person = PD_ID(reply->ack->person);
  out_text(&tool->out, "%s: %s%s", done, pd_id_text(&person, text),
           reply->ack->duplicate ? " (as before)" : "");
  out_object(&tool->out, json_pack("{s:o}", "ack", proto_json(&reply->ack->base, tool->zone_min)));
  paidan__v1__reply__free_unpacked(reply, NULL);
  return 0;
}
