#include "common/io/config.h"
#include "common/io/http.h"
#include "common/io/redis.h"

#include <string.h>

static const char *check_zone(const char *text) {
  int32_t zone_min;
  return pd_config_zone(text, &zone_min) ? NULL : "must be a zone like +08:00";
}

static const char *check_redis(const char *text) {
  const char *rule = "must be unix:/path or host:port, or several with commas";
  return pd_redis_url_valid(text) ? NULL : rule;
}

static const char *check_http(const char *text) {
  return pd_http_listen_valid(text) ? NULL : "must be unix:/path, 127.0.0.1:port or [::1]:port";
}

static const char *check_path(const char *text) {
  return text[0] == '/' ? NULL : "must be a path from the root";
}

static const char *check_instance(const char *text) {
  size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789");
  return length > 0 && text[length] == 0 ? NULL : "must be 1 to 16 of a-z and 0-9";
}

#define AT(member)                                                                                 \
  offsetof(struct pd_common_config, member), sizeof(((struct pd_common_config *)0)->member)
#define TEXT(label, rule, given, words)                                                            \
  { #label, PD_SETTING_TEXT, false, false, AT(label), 0, 0, given, NULL, words, rule }
#define NUMBER(label, type, low, high, given, words)                                               \
  { #label, type, false, false, AT(label), low, high, given, NULL, words, NULL }

static const struct pd_setting common[PD_COMMON_SETTINGS] = {
    NUMBER(shard, PD_SETTING_UINT, 100000, 999999, NULL,
           "The district: its 6-digit adcode (GB/T 2260)."),
    TEXT(shards, NULL, "", "Or several of them, separated by commas: 370302,370303."),
    TEXT(instance, check_instance, PD_INSTANCE_FIRST,
         "Name of this one among the processes that share the shards; each but a has folders of "
         "its own in run_dir and data_dir."),
    TEXT(zone, check_zone, "+08:00", "The district's time zone."),
    TEXT(run_dir, check_path, "/run/paidan", "Folder of the daemons' sockets."),
    TEXT(data_dir, check_path, "/var/lib/paidan", "Folder of the snapshots."),
    TEXT(archive_dir, check_path, "", "Folder of the archive (default: archive in data_dir)."),
    TEXT(log_redis, check_redis, "unix:/run/paidan/log.sock",
         "The Redis that holds the logs, or nodes of its cluster: 10.0.0.1:6379,10.0.0.2:6379."),
    TEXT(log_user, NULL, "", "User for the log's Redis."),
    TEXT(log_password_file, check_path, "", "File whose first line is that user's password."),
    NUMBER(replicas, PD_SETTING_UINT, 0, 5, "0",
           "So many replicas of the log's Redis must have a commit before it counts."),
    NUMBER(replica_timeout_ms, PD_SETTING_UINT, 10, 4000, "500",
           "They are asked again after so long (ms)."),
    TEXT(vault_redis, check_redis, "unix:/run/paidan/vault.sock",
         "The Redis that holds the persons' keys."),
    TEXT(vault_user, NULL, "", "User for the vault's Redis."),
    TEXT(vault_password_file, check_path, "", "File whose first line is that user's password."),
    TEXT(http, check_http, "",
         "Where /livez, /readyz and /metrics are served: unix:/path or 127.0.0.1:port."),
    {"log_level", PD_SETTING_CHOICE, false, false, AT(log_level), 0, 0, "info",
     "debug|info|warn|error", "The least level that is logged.", NULL},
    NUMBER(clock_anchor_ms, PD_SETTING_INT, 0, 4102444800000, "0",
           "For rehearsals: the shard's clock showed this time (Unix ms) ..."),
    NUMBER(clock_at_ms, PD_SETTING_INT, 0, 4102444800000, "0",
           "... when the real clock showed this (Unix ms) ..."),
    NUMBER(clock_factor, PD_SETTING_UINT, 1, 1000000, "1", "... and runs so many times as fast."),
    NUMBER(snapshot_every, PD_SETTING_UINT, 1000, 1000000000, "200000",
           "A snapshot is written after so many events, own or followed."),
};

void pd_config_common(struct pd_setting *rows, size_t base) {
  memcpy(rows, common, sizeof common);
  for (size_t i = 0; i < PD_COMMON_SETTINGS; i++) rows[i].offset += base;
}

/* The adcode that the text begins with, and what is behind it and a comma; 0: none. */
static uint32_t take_code(const char **text) {
  const char *at = *text + strspn(*text, " ");
  uint32_t code = 0;
  for (int i = 0; i < 6; i++, at++) {
    if (*at < '0' || *at > '9') return 0;
    code = code * 10 + (uint32_t)(*at - '0');
  }
  at += strspn(at, " ");
  if (*at != ',' && *at != 0) return 0;
  *text = *at == ',' ? at + 1 : at;
  return code >= 100000 ? code : 0;
}

size_t pd_config_shards(const struct pd_common_config *config, uint32_t *codes) {
  size_t count = 0;
  const char *text = config->shards;
  if ((config->shard != 0) == (text[0] != 0)) return 0;
  if (config->shard != 0) codes[count++] = (uint32_t)config->shard;
  while (*text != 0) {
    uint32_t code = take_code(&text);
    bool twice = false;
    for (size_t i = 0; i < count; i++) twice = twice || codes[i] == code;
    if (code == 0 || twice || count == PD_SHARDS_MAX) return 0;
    codes[count++] = code;
  }
  return count;
}

const char *pd_config_check_shards(const void *values) {
  uint32_t codes[PD_SHARDS_MAX];
  if (pd_config_shards(values, codes) > 0) return NULL;
  return "name the district: --shard with its adcode, or --shards with several, each once, such as "
         "370302,370303";
}

const char *pd_config_check_shard(const void *values) {
  const struct pd_common_config *config = values;
  bool one = config->shard != 0 && config->shards[0] == 0;
  return one ? NULL : "name one district: --shard with its adcode";
}

static int two_digits(const char *text) {
  if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9') return -1;
  return (text[0] - '0') * 10 + (text[1] - '0');
}

bool pd_config_zone(const char *text, int32_t *zone_min) {
  *zone_min = 0;
  if (strlen(text) != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return false;
  int hours = two_digits(text + 1);
  int minutes = two_digits(text + 4);
  if (hours < 0 || minutes < 0 || minutes > 59) return false;
  int value = hours * 60 + minutes;
  if (text[0] == '-') value = -value;
  *zone_min = value;
  return value >= -12 * 60 && value <= 14 * 60;
}
