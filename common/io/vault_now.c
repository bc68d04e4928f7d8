/* The vault for tools, in the blocking way. */
#include "common/io/vault.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REWRITE_TRIES = 600, REWRITE_EVERY_MS = 50 };

struct pd_vault_now {
  redisContext *redis;
  char keys[64];
  char hash_key[64];
};

enum pd_err pd_vault_now_open(struct pd_vault_now **vault, const struct pd_redis_options *options,
                              uint32_t shard, char *why, size_t why_size) {
  *vault = NULL;
  if (sodium_init() < 0) return PD_EIO;
  struct pd_vault_now *self = calloc(1, sizeof *self);
  if (self == NULL) return PD_EIO;
  (void)snprintf(self->keys, sizeof self->keys, "{%06u}:vault", shard);
  (void)snprintf(self->hash_key, sizeof self->hash_key, "{%06u}:vault:hashkey", shard);
  enum pd_err err = pd_redis_connect_now(&self->redis, options, why, why_size);
  if (err != PD_OK) {
    free(self);
    return err;
  }
  *vault = self;
  return PD_OK;
}

void pd_vault_now_close(struct pd_vault_now *self) {
  if (self == NULL) return;
  redisFree(self->redis);
  free(self);
}

/* The answer's 32 bytes. */
static enum pd_err take_key(redisReply *reply, uint8_t key[PD_KEY_SIZE]) {
  enum pd_err err = PD_EIO;
  if (reply == NULL) return PD_EDOWN;
  if (reply->type == REDIS_REPLY_NIL) err = PD_ENOENT;
  if (reply->type == REDIS_REPLY_STRING && reply->len == PD_KEY_SIZE) {
    memcpy(key, reply->str, PD_KEY_SIZE);
    sodium_memzero(reply->str, PD_KEY_SIZE);
    err = PD_OK;
  }
  freeReplyObject(reply);
  return err;
}

/* A number or a status is expected. */
static enum pd_err take_done(redisReply *reply) {
  if (reply == NULL) return PD_EDOWN;
  enum pd_err err = reply->type == REDIS_REPLY_ERROR ? PD_EIO : PD_OK;
  freeReplyObject(reply);
  return err;
}

enum pd_err pd_vault_key_now(struct pd_vault_now *self, const struct pd_id *person, bool create,
                             uint8_t key[PD_KEY_SIZE]) {
  char field[PD_ID_TEXT];
  (void)pd_id_text(person, field);
  enum pd_err err = PD_OK;
  if (create) {
    uint8_t fresh[PD_KEY_SIZE];
    randombytes_buf(fresh, sizeof fresh);
    err = take_done(
        redisCommand(self->redis, "HSETNX %s %s %b", self->keys, field, fresh, sizeof fresh));
    sodium_memzero(fresh, sizeof fresh);
  }
  return err == PD_OK ? take_key(redisCommand(self->redis, "HGET %s %s", self->keys, field), key)
                      : err;
}

enum pd_err pd_vault_hash_key_now(struct pd_vault_now *self, uint8_t key[PD_KEY_SIZE]) {
  return take_key(redisCommand(self->redis, "GET %s", self->hash_key), key);
}

/* ---- forgetting ---- */

static bool rewrite_is_over(struct pd_vault_now *self) {
  redisReply *reply = redisCommand(self->redis, "INFO persistence");
  bool told = reply != NULL && reply->type == REDIS_REPLY_STRING;
  /* A user without the right to ask does not wait: the rewrite goes on by itself. */
  bool over = !told || (strstr(reply->str, "aof_rewrite_in_progress:0") != NULL &&
                        strstr(reply->str, "aof_rewrite_scheduled:0") != NULL);
  if (reply != NULL) freeReplyObject(reply);
  return over;
}

static enum pd_err wait_for_rewrite(struct pd_vault_now *self) {
  for (int i = 0; i < REWRITE_TRIES; i++) {
    if (rewrite_is_over(self)) return PD_OK;
    (void)usleep(REWRITE_EVERY_MS * 1000);
  }
  return PD_EAGAIN;
}

/* Rewrite the AOF; one that runs already may have begun before the deletion, so it does not count.
 */
static enum pd_err rewrite(struct pd_vault_now *self) {
  for (int i = 0; i < REWRITE_TRIES; i++) {
    redisReply *reply = redisCommand(self->redis, "BGREWRITEAOF");
    if (reply == NULL) return PD_EDOWN;
    bool begun = reply->type == REDIS_REPLY_STATUS;
    bool busy = reply->type == REDIS_REPLY_ERROR && strstr(reply->str, "in progress") != NULL;
    freeReplyObject(reply);
    if (begun) return wait_for_rewrite(self);
    if (!busy) return PD_EIO;
    (void)usleep(REWRITE_EVERY_MS * 1000);
  }
  return PD_EAGAIN;
}

enum pd_err pd_vault_forget_all_now(struct pd_vault_now *self, const struct pd_id *persons,
                                    size_t count) {
  for (size_t i = 0; i < count; i++) {
    char field[PD_ID_TEXT];
    (void)pd_id_text(&persons[i], field);
    enum pd_err err = take_done(redisCommand(self->redis, "HDEL %s %s", self->keys, field));
    if (err != PD_OK) return err;
  }
  return count > 0 ? rewrite(self) : PD_OK;
}

enum pd_err pd_vault_forget_now(struct pd_vault_now *self, const struct pd_id *person) {
  return pd_vault_forget_all_now(self, person, 1);
}

enum pd_err pd_vault_unseal_now(struct pd_vault_now *self, const struct pd_seal_place *place,
                                const uint8_t *box, size_t box_size, uint8_t *plain) {
  uint8_t key[PD_KEY_SIZE];
  enum pd_err err = pd_vault_key_now(self, &place->person, false, key);
  if (err == PD_OK) err = pd_unseal(key, place, box, box_size, plain);
  sodium_memzero(key, sizeof key);
  return err;
}
