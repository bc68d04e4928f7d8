#include "common/io/store_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* paidan.lua, put here by the build. */
extern const char pd_store_lua[];
extern const size_t pd_store_lua_size;

/* ---- commands ---- */

static void begin(struct store_command *self) {
  self->count = 0;
}

static void add_bytes(struct store_command *self, const void *bytes, size_t size) {
  pd_assert(self->count < PD_STORE_ARGS);
  self->texts[self->count] = bytes;
  self->lengths[self->count] = size;
  self->count++;
}

static void add_text(struct store_command *self, const char *text) {
  add_bytes(self, text, strlen(text));
}

static void add_number(struct store_command *self, int slot, uint64_t number, const char *suffix) {
  char *text = self->numbers[slot];
  (void)snprintf(text, sizeof self->numbers[slot], "%" PRIu64 "%s", number, suffix);
  add_text(self, text);
}

static void make_key(char key[PD_STORE_KEY], uint32_t shard, const char *kind, const char *log) {
  int n = snprintf(key, PD_STORE_KEY, "{%06u}:%s:%s", shard, kind, log);
  pd_assert(n > 0 && n < PD_STORE_KEY); /* a log's name has at most 32 letters */
}

const char *store_probe_key(uint32_t shard, char key[PD_STORE_KEY]) {
  make_key(key, shard, "log", "intake");
  return key;
}

static void add_log_key(struct store_command *self, uint32_t shard, const char *log) {
  make_key(self->log_key, shard, "log", log);
  add_text(self, self->log_key);
}

static void add_tip_key(struct store_command *self, uint32_t shard, const char *log) {
  make_key(self->tip_key, shard, "tip", log);
  add_text(self, self->tip_key);
}

static void begin_call(struct store_command *self, const char *verb, const char *function,
                       const char *keys) {
  begin(self);
  add_text(self, verb);
  add_text(self, function);
  add_text(self, keys);
}

void store_command_commit(struct store_command *self, uint32_t shard, const char *log,
                          const struct pd_commit *commit) {
  begin_call(self, "FCALL", "paidan_commit", "2");
  add_log_key(self, shard, log);
  add_tip_key(self, shard, log);
  add_number(self, 0, commit->epoch, "");
  add_number(self, 1, commit->first_seq, "");
  add_number(self, 2, commit->last_seq, "");
  add_bytes(self, commit->prev_hash, PD_HASH_SIZE);
  add_bytes(self, commit->hash, PD_HASH_SIZE);
  add_bytes(self, commit->bytes, commit->size);
}

void store_command_tail(struct store_command *self, uint32_t shard, const char *log) {
  begin_call(self, "FCALL_RO", "paidan_tail", "1");
  add_log_key(self, shard, log);
}

void store_command_boot(struct store_command *self, uint32_t shard, const char *log) {
  begin_call(self, "FCALL", "paidan_boot", "2");
  add_log_key(self, shard, log);
  add_tip_key(self, shard, log);
}

void store_command_read(struct store_command *self, uint32_t shard, const char *log,
                        uint64_t from_seq, uint64_t to_seq, uint32_t max_entries) {
  begin(self);
  add_text(self, "XRANGE");
  add_log_key(self, shard, log);
  add_number(self, 0, from_seq, "-0");
  if (to_seq == UINT64_MAX)
    add_text(self, "+");
  else
    add_number(self, 1, to_seq, "-0");
  add_text(self, "COUNT");
  add_number(self, 2, max_entries, "");
}

void store_command_wait(struct store_command *self, uint32_t replicas, uint32_t timeout_ms) {
  begin(self);
  add_text(self, "WAIT");
  add_number(self, 0, replicas, "");
  add_number(self, 1, timeout_ms, "");
}

void store_command_trim(struct store_command *self, uint32_t shard, const char *log,
                        uint64_t keep_from_seq) {
  begin(self);
  add_text(self, "XTRIM");
  add_log_key(self, shard, log);
  add_text(self, "MINID");
  add_text(self, "=");
  add_number(self, 0, keep_from_seq, "-0");
}

static void add_lease_key(struct store_command *self, uint32_t shard, enum pd_log log) {
  make_key(self->lease_keys[log], shard, "lease", pd_log_name(log));
  add_text(self, self->lease_keys[log]);
}

void store_command_lease(struct store_command *self, uint32_t shard, const char *log,
                         enum pd_lease_ask ask, const struct pd_holder *holder, uint32_t holds) {
  static const char *const verbs[] = {[PD_LEASE_TAKE] = "take",
                                      [PD_LEASE_WAIT] = "wait",
                                      [PD_LEASE_LOOK] = "look",
                                      [PD_LEASE_FREE] = "free"};
  pd_assert(ask != PD_LEASE_NOTHING && pd_log_named(log) != PD_LOG_UNSPECIFIED);
  begin_call(self, "FCALL", "paidan_lease", "1");
  add_lease_key(self, shard, pd_log_named(log));
  add_text(self, verbs[ask]);
  add_text(self, holder->name);
  add_text(self, holder->endpoint);
  add_number(self, 0, holder->epoch, "");
  add_number(self, 1, PD_LEASE_TTL_MS, "");
  add_number(self, 2, holds, "");
}

void store_command_leases(struct store_command *self, uint32_t shard) {
  char *count = self->numbers[0];
  (void)snprintf(count, sizeof self->numbers[0], "%d", PD_LOGS - 1);
  begin_call(self, "FCALL_RO", "paidan_leases", count);
  for (unsigned log = 1; log < PD_LOGS; log++) add_lease_key(self, shard, (enum pd_log)log);
}

void store_command_version(struct store_command *self) {
  begin_call(self, "FCALL_RO", "paidan_version", "0");
}

void store_command_load(struct store_command *self) {
  begin(self);
  add_text(self, "FUNCTION");
  add_text(self, "LOAD");
  add_text(self, "REPLACE");
  add_bytes(self, pd_store_lua, pd_store_lua_size);
}

/* ---- replies ---- */

static bool is_text(const redisReply *reply, const char *text) {
  return reply->type == REDIS_REPLY_STRING && strcmp(reply->str, text) == 0;
}

/* Digits up to an end mark; false if it is anything else. */
static bool read_number(const redisReply *reply, char end_mark, uint64_t *number) {
  if (reply->type != REDIS_REPLY_STRING || reply->len == 0 || reply->str[0] < '0' ||
      reply->str[0] > '9')
    return false;
  char *end = NULL;
  errno = 0;
  *number = strtoull(reply->str, &end, 10);
  return errno == 0 && *end == end_mark;
}

enum pd_err store_reply_version(const redisReply *reply) {
  if (reply == NULL) return PD_EDOWN;
  if (reply->type == REDIS_REPLY_ERROR)
    return strstr(reply->str, "unction not found") ? PD_ENOENT : PD_EIO;
  return is_text(reply, PD_STORE_LIBRARY) ? PD_OK : PD_EOLD;
}

/* seq, hash, epoch at three neighbouring elements. */
static bool read_tail(redisReply *const *parts, struct pd_tail *tail) {
  if (!read_number(parts[0], '\0', &tail->last_seq) || !read_number(parts[2], '\0', &tail->epoch))
    return false;
  if (parts[1]->type != REDIS_REPLY_STRING || parts[1]->len != PD_HASH_SIZE) return false;
  memcpy(tail->hash, parts[1]->str, PD_HASH_SIZE);
  return true;
}

enum pd_commit_reply store_reply_commit(const redisReply *reply, struct pd_tail *tail,
                                        const char **why) {
  *why = NULL;
  if (reply == NULL) return PD_COMMIT_UNKNOWN;
  if (reply->type == REDIS_REPLY_ERROR) {
    *why = reply->str;
    return PD_COMMIT_REFUSED;
  }
  if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0) return PD_COMMIT_UNKNOWN;
  if (is_text(reply->element[0], "ok")) return PD_COMMIT_OK;
  if (is_text(reply->element[0], "dup")) return PD_COMMIT_DUP;
  bool fence = is_text(reply->element[0], "fence") && reply->elements == 4;
  return fence && read_tail(reply->element + 1, tail) ? PD_COMMIT_FENCED : PD_COMMIT_UNKNOWN;
}

enum pd_err store_reply_tail(const redisReply *reply, struct pd_tail *tail) {
  if (reply == NULL) return PD_EDOWN;
  if (reply->type == REDIS_REPLY_ERROR) return PD_EIO;
  bool ok =
      reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 && read_tail(reply->element, tail);
  return ok ? PD_OK : PD_EFORMAT;
}

static bool copy_text(const redisReply *reply, char *text, size_t room) {
  if (reply->type != REDIS_REPLY_STRING || reply->len >= room) return false;
  memcpy(text, reply->str, reply->len + 1);
  return true;
}

/* Name, endpoint, epoch, milliseconds left at four neighbouring elements. */
static bool read_holder(redisReply *const *parts, struct pd_holder *holder) {
  uint64_t left_ms;
  *holder = (struct pd_holder){0};
  if (!copy_text(parts[0], holder->name, sizeof holder->name) ||
      !copy_text(parts[1], holder->endpoint, sizeof holder->endpoint) ||
      !read_number(parts[2], '\0', &holder->epoch))
    return false;
  if (!read_number(parts[3], '\0', &left_ms)) left_ms = PD_LEASE_TTL_MS; /* it has no end */
  holder->left_ms = left_ms < PD_LEASE_TTL_MS ? (uint32_t)left_ms : PD_LEASE_TTL_MS;
  return true;
}

void store_reply_lease(const redisReply *reply, struct pd_lease_answer *answer,
                       struct pd_holder *holder) {
  uint64_t holds;
  *answer = (struct pd_lease_answer){.found = PD_LEASE_FAILED};
  *holder = (struct pd_holder){0};
  if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements == 0) return;
  if (is_text(reply->element[0], "nobody")) answer->found = PD_LEASE_NOBODY;
  if (is_text(reply->element[0], "held") && reply->elements == 3 &&
      read_number(reply->element[2], '\0', &holds)) {
    answer->found = PD_LEASE_HELD;
    answer->waited = reply->element[1]->len > 0;
    answer->waiting_holds = holds < UINT32_MAX ? (uint32_t)holds : UINT32_MAX;
  }
  if (is_text(reply->element[0], "other") && reply->elements == 5 &&
      read_holder(reply->element + 1, holder)) {
    answer->found = PD_LEASE_OTHER;
    answer->left_ms = holder->left_ms;
  }
}

enum pd_err store_reply_leases(const redisReply *reply, struct pd_holder *holders) {
  memset(holders, 0, PD_LOGS * sizeof *holders);
  if (reply == NULL) return PD_EDOWN;
  if (reply->type == REDIS_REPLY_ERROR) return PD_EIO;
  if (reply->type != REDIS_REPLY_ARRAY || reply->elements != PD_LOGS - 1) return PD_EFORMAT;
  for (unsigned log = 1; log < PD_LOGS; log++) {
    const redisReply *one = reply->element[log - 1];
    if (one->type != REDIS_REPLY_ARRAY) return PD_EFORMAT;
    if (one->elements == 4 && !read_holder(one->element, &holders[log])) return PD_EFORMAT;
  }
  return PD_OK;
}

static bool read_field(const redisReply *name, const redisReply *value, struct pd_stored *entry) {
  if (value->type != REDIS_REPLY_STRING) return false;
  if (is_text(name, "e")) {
    entry->bytes = (const uint8_t *)value->str;
    entry->size = value->len;
  } else if (is_text(name, "h")) {
    entry->hash = value->len == PD_HASH_SIZE ? (const uint8_t *)value->str : NULL;
  } else if (is_text(name, "p")) {
    return read_number(value, '\0', &entry->epoch);
  }
  return true;
}

static bool read_entry(const redisReply *reply, struct pd_stored *entry) {
  *entry = (struct pd_stored){0};
  if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) return false;
  const redisReply *fields = reply->element[1];
  if (!read_number(reply->element[0], '-', &entry->last_seq)) return false;
  if (fields->type != REDIS_REPLY_ARRAY || fields->elements % 2 != 0) return false;
  for (size_t i = 0; i < fields->elements; i += 2) {
    if (!read_field(fields->element[i], fields->element[i + 1], entry)) return false;
  }
  return entry->bytes != NULL && entry->hash != NULL;
}

enum pd_err store_reply_read(const redisReply *reply, struct pd_stored **entries, size_t *count) {
  *entries = NULL;
  *count = 0;
  if (reply == NULL) return PD_EDOWN;
  if (reply->type == REDIS_REPLY_ERROR) return PD_EIO;
  if (reply->type != REDIS_REPLY_ARRAY) return PD_EFORMAT;
  if (reply->elements == 0) return PD_OK;
  struct pd_stored *list = calloc(reply->elements, sizeof *list);
  if (list == NULL) return PD_EIO;
  for (size_t i = 0; i < reply->elements; i++) {
    if (!read_entry(reply->element[i], &list[i])) {
      free(list);
      return PD_EFORMAT;
    }
  }
  *entries = list;
  *count = reply->elements;
  return PD_OK;
}
