#include "common/io/redis_parts.h"
#include "common/io/store_parts.h"
#include "common/io/store_seam.h"

#include <stdio.h>
#include <stdlib.h>

struct pd_store_now {
  redisContext *redis;
  struct pd_redis_options options; /* its texts are the next four */
  char url[512];
  char user[128];
  char password_file[256];
  char key[PD_STORE_KEY];
  uint32_t shard;
  char why[192];
  struct store_seam seam;
};

static bool keep(char *to, size_t size, const char *from) {
  int n = snprintf(to, size, "%s", from != NULL ? from : "");
  return n >= 0 && (size_t)n < size;
}

/* A slot that moves is followed later on: remember how to connect. */
static enum pd_err keep_options(struct pd_store_now *self, const struct pd_redis_options *options) {
  if (!keep(self->url, sizeof self->url, options->url) ||
      !keep(self->user, sizeof self->user, options->user) ||
      !keep(self->password_file, sizeof self->password_file, options->password_file))
    return PD_EINVAL;
  self->options = (struct pd_redis_options){.url = self->url,
                                            .user = self->user,
                                            .password_file = self->password_file,
                                            .key = store_probe_key(self->shard, self->key)};
  return PD_OK;
}

enum pd_err pd_store_now_open(struct pd_store_now **store, const struct pd_redis_options *options,
                              uint32_t shard, char *why, size_t why_size) {
  *store = NULL;
  struct pd_store_now *self = calloc(1, sizeof *self);
  if (self == NULL) return PD_EIO;
  self->shard = shard;
  enum pd_err err = keep_options(self, options);
  if (err == PD_OK) err = pd_redis_connect_now(&self->redis, &self->options, why, why_size);
  if (err != PD_OK) {
    free(self);
    return err;
  }
  *store = self;
  return PD_OK;
}

void pd_store_now_close(struct pd_store_now *self) {
  if (self == NULL) return;
  redisFree(self->redis);
  store_seam_close(&self->seam);
  free(self);
}

/* The reply is the caller's; NULL: the connection broke. */
static redisReply *ask(struct pd_store_now *self, struct store_command *command) {
  return pd_redis_ask_now(&self->redis, &self->options, command->count, command->texts,
                          command->lengths);
}

static void keep_why(struct pd_store_now *self, const char *text) {
  (void)snprintf(self->why, sizeof self->why, "%s", text != NULL ? text : "");
}

static enum pd_err load_here(struct pd_store_now *self, redisContext *redis) {
  struct store_command command;
  store_command_load(&command);
  redisReply *reply =
      redisCommandArgv(redis, command.count, command.texts, command.lengths);
  bool bad = reply == NULL || reply->type == REDIS_REPLY_ERROR;
  keep_why(self, !bad ? "" : reply != NULL ? reply->str : redis->errstr);
  enum pd_err err = reply == NULL ? PD_EDOWN : bad ? PD_EIO : PD_OK;
  if (reply != NULL) freeReplyObject(reply);
  return err;
}

/* At one node of a cluster. */
static enum pd_err load_there(struct pd_store_now *self, const struct redis_address *there) {
  char url[280];
  redis_address_text(there, url, sizeof url);
  struct pd_redis_options options = self->options;
  options.url = url;
  options.key = NULL;
  redisContext *redis;
  enum pd_err err = pd_redis_connect_now(&redis, &options, self->why, sizeof self->why);
  if (err != PD_OK) return err;
  err = load_here(self, redis);
  redisFree(redis);
  return err;
}

/* Functions are each node's own, and its replicas' copies: a slot may come to any master. */
enum pd_err pd_store_load_library(struct pd_store_now *self, const char **why) {
  struct redis_places nodes = {0};
  struct redis_address here = {.port = self->redis->tcp.port};
  (void)keep(here.host, sizeof here.host, self->redis->tcp.host);
  here.is_unix = here.host[0] == '\0';
  if (why != NULL) *why = self->why;
  enum pd_err err = load_here(self, self->redis);
  redisReply *slots = redisCommand(self->redis, "CLUSTER SLOTS");
  redis_places_learn(&nodes, slots, &here, true);
  if (slots != NULL) freeReplyObject(slots);
  for (unsigned i = 0; i < nodes.count && err == PD_OK; i++)
    err = load_there(self, &nodes.list[i]);
  return err;
}

enum pd_err pd_store_check_library(struct pd_store_now *self) {
  struct store_command command;
  store_command_version(&command);
  redisReply *reply = ask(self, &command);
  enum pd_err err = store_reply_version(reply);
  if (reply != NULL) freeReplyObject(reply);
  return err;
}

static enum pd_err ask_tail(struct pd_store_now *self, struct store_command *command,
                            struct pd_tail *tail) {
  *tail = (struct pd_tail){0};
  redisReply *reply = ask(self, command);
  enum pd_err err = store_reply_tail(reply, tail);
  if (reply != NULL) freeReplyObject(reply);
  return err;
}

enum pd_err pd_store_tail_now(struct pd_store_now *self, const char *log, struct pd_tail *tail) {
  struct store_command command;
  store_command_tail(&command, self->shard, log);
  return ask_tail(self, &command, tail);
}

enum pd_err pd_store_boot_now(struct pd_store_now *self, const char *log, struct pd_tail *tail) {
  struct store_command command;
  store_command_boot(&command, self->shard, log);
  return ask_tail(self, &command, tail);
}

enum pd_err pd_store_leases_now(struct pd_store_now *self, struct pd_holder *holders) {
  struct store_command command;
  store_command_leases(&command, self->shard);
  redisReply *reply = ask(self, &command);
  enum pd_err err = store_reply_leases(reply, holders);
  if (reply != NULL) freeReplyObject(reply);
  return err;
}

enum pd_commit_reply pd_store_commit_now(struct pd_store_now *self, const char *log,
                                         const struct pd_commit *commit, const char **why) {
  pd_assert(commit->size > 0 && commit->size <= PD_ENTRY_MAX);
  struct store_command command;
  store_command_commit(&command, self->shard, log, commit);
  redisReply *reply = ask(self, &command);
  struct pd_tail tail;
  const char *reason = NULL;
  enum pd_commit_reply result = store_reply_commit(reply, &tail, &reason);
  keep_why(self, reason);
  if (why != NULL) *why = self->why;
  if (reply != NULL) freeReplyObject(reply);
  return result;
}

/* Put what the archive has in the place of a page that begins too late. */
static enum pd_err read_archive(struct pd_store_now *self, const char *log, uint64_t from_seq,
                                uint32_t max_entries, struct pd_store_page *page) {
  struct pd_store_page older = {0};
  enum pd_err err = store_seam_read(&self->seam, log, from_seq, max_entries, &older.entries,
                                    &older.count, &older.memory);
  if (err == PD_ENOENT) return PD_OK;
  if (err != PD_OK) return err;
  pd_store_page_free(page);
  *page = older;
  return PD_OK;
}

enum pd_err pd_store_archive_now(struct pd_store_now *self, const char *dir) {
  store_seam_close(&self->seam);
  return store_seam_init(&self->seam, dir, self->shard);
}

enum pd_err pd_store_read_now(struct pd_store_now *self, const char *log, uint64_t from_seq,
                              uint32_t max_entries, struct pd_store_page *page) {
  *page = (struct pd_store_page){0};
  struct store_command command;
  store_command_read(&command, self->shard, log, from_seq, UINT64_MAX, max_entries);
  page->reply = ask(self, &command);
  enum pd_err err = store_reply_read(page->reply, &page->entries, &page->count);
  if (err == PD_OK && store_seam_needed(&self->seam, from_seq, page->entries, page->count))
    err = read_archive(self, log, from_seq, max_entries, page);
  if (err != PD_OK) pd_store_page_free(page);
  return err;
}

void pd_store_page_free(struct pd_store_page *page) {
  free(page->entries);
  free(page->memory);
  if (page->reply != NULL) freeReplyObject(page->reply);
  *page = (struct pd_store_page){0};
}

enum pd_err pd_store_trim_now(struct pd_store_now *self, const char *log, uint64_t keep_from_seq) {
  struct pd_tail tail;
  enum pd_err err = pd_store_tail_now(self, log, &tail);
  if (err != PD_OK || tail.last_seq == 0) return err;
  struct store_command command;
  uint64_t from = keep_from_seq < tail.last_seq ? keep_from_seq : tail.last_seq;
  store_command_trim(&command, self->shard, log, from);
  redisReply *reply = ask(self, &command);
  err = reply == NULL ? PD_EDOWN : reply->type == REDIS_REPLY_INTEGER ? PD_OK : PD_EIO;
  if (reply != NULL) freeReplyObject(reply);
  return err;
}
