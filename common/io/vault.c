#include "common/io/vault.h"

#include "common/io/journal.h"
#include "common/io/keyring.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_DEFAULT = 300000, REWRITE_AFTER_MS = 100, REWRITE_REFUSED_MS = 10000, TEXT_MAX = 64 };

struct pd_vault {
  struct pd_redis *redis;
  char keys[TEXT_MAX];     /* `{<shard>}:vault` */
  char hash_key[TEXT_MAX]; /* `{<shard>}:vault:hashkey` */
  uint8_t secret[PD_KEY_SIZE];
  bool has_secret;
  bool up;
  bool closing;
  bool rewrite_due; /* a key was deleted since the last rewrite of the AOF began */
  int held;         /* by the connection and by the timer */
  uv_timer_t timer;
  struct keyring *ring;
  pd_vault_state_fn *state;
  void *context;
};

/* A call on its way. */
struct call {
  struct pd_vault *vault;
  struct pd_id person;
  union {
    pd_vault_fn *key;
    pd_vault_done_fn *done;
  } then;
  void *context;
};

/* ---- up and down ---- */

static enum pd_err ask(struct pd_vault *self, int count, const char *const *texts,
                       const size_t *lengths, pd_redis_reply_fn *done, void *context) {
  return pd_redis_send(self->redis, count, texts, lengths, done, context);
}

static void tell(struct pd_vault *self, bool up, const char *why) {
  self->up = up;
  if (self->state != NULL) self->state(self->context, up, why);
}

static void on_secret(void *context, const redisReply *reply) {
  struct pd_vault *self = context;
  if (self->closing || reply == NULL) return;
  if (reply->type != REDIS_REPLY_STRING || reply->len != PD_KEY_SIZE) {
    tell(self, false, "the vault gave no hash key: check the user's rights");
  } else if (self->has_secret && sodium_memcmp(self->secret, reply->str, PD_KEY_SIZE) != 0) {
    tell(self, false, "the vault's hash key is another than before: this is not the same vault");
  } else {
    memcpy(self->secret, reply->str, PD_KEY_SIZE);
    self->has_secret = true;
    tell(self, true, "");
  }
}

/* Made if it is not there, then read: the first of several daemons wins. */
static void fetch_secret(struct pd_vault *self) {
  uint8_t fresh[PD_KEY_SIZE];
  randombytes_buf(fresh, sizeof fresh);
  const char *const set[] = {"SET", self->hash_key, (const char *)fresh, "NX"};
  const size_t set_sizes[] = {3, strlen(self->hash_key), sizeof fresh, 2};
  const char *const get[] = {"GET", self->hash_key};
  const size_t get_sizes[] = {3, set_sizes[1]};
  enum pd_err err = ask(self, 4, set, set_sizes, NULL, NULL);
  sodium_memzero(fresh, sizeof fresh);
  if (err == PD_OK) err = ask(self, 2, get, get_sizes, on_secret, self);
  if (err != PD_OK) tell(self, false, "the connection broke");
}

static void on_rewrite_timer(uv_timer_t *timer);

static void on_state(void *context, bool up, const char *why) {
  struct pd_vault *self = context;
  if (!up) {
    tell(self, false, why);
    return;
  }
  fetch_secret(self);
  if (self->rewrite_due) (void)uv_timer_start(&self->timer, on_rewrite_timer, REWRITE_AFTER_MS, 0);
}

static void let_go(void *context) {
  struct pd_vault *self = context;
  if (--self->held > 0) return;
  keyring_close(self->ring);
  (void)sodium_munlock(self->secret, sizeof self->secret);
  free(self);
}

static void on_timer_closed(uv_handle_t *handle) {
  let_go(handle->data);
}

static struct pd_vault *make(uint32_t shard, uint32_t cache) {
  struct pd_vault *self = calloc(1, sizeof *self);
  if (self == NULL) return NULL;
  self->ring = keyring_open(cache != 0 ? cache : CACHE_DEFAULT);
  if (self->ring == NULL) {
    free(self);
    return NULL;
  }
  (void)sodium_mlock(self->secret, sizeof self->secret);
  (void)snprintf(self->keys, sizeof self->keys, "{%06u}:vault", shard);
  (void)snprintf(self->hash_key, sizeof self->hash_key, "{%06u}:vault:hashkey", shard);
  return self;
}

enum pd_err pd_vault_open(struct pd_vault **vault, uv_loop_t *loop,
                          const struct pd_redis_options *options, uint32_t shard, uint32_t cache,
                          pd_vault_state_fn *state, void *context) {
  *vault = NULL;
  if (sodium_init() < 0) return PD_EIO;
  struct pd_vault *self = make(shard, cache);
  if (self == NULL) return PD_EIO;
  self->state = state;
  self->context = context;
  self->rewrite_due = true; /* the last run may have ended between a deletion and its rewrite */
  enum pd_err err = pd_redis_open(&self->redis, loop, options, on_state, self);
  if (err != PD_OK) {
    self->held = 1;
    let_go(self);
    return err;
  }
  self->held = 2;
  self->timer.data = self;
  (void)uv_timer_init(loop, &self->timer);
  *vault = self;
  return PD_OK;
}

void pd_vault_close(struct pd_vault *self) {
  if (self == NULL) return;
  self->closing = true;
  self->up = false;
  self->state = NULL;
  uv_close((uv_handle_t *)&self->timer, on_timer_closed);
  pd_redis_close(self->redis, let_go, self);
}

bool pd_vault_is_up(const struct pd_vault *self) {
  return self->up;
}

const uint8_t *pd_vault_hash_key(const struct pd_vault *self) {
  return self->has_secret ? self->secret : NULL;
}

/* ---- keys ---- */

const uint8_t *pd_vault_cached(struct pd_vault *self, const struct pd_id *person) {
  return keyring_get(self->ring, person);
}

static void on_key(void *context, const redisReply *reply) {
  struct call call = *(struct call *)context;
  free(context);
  enum pd_err err = PD_EIO;
  const uint8_t *key = NULL;
  if (reply == NULL) {
    err = PD_EDOWN;
  } else if (reply->type == REDIS_REPLY_NIL) {
    err = PD_ENOENT;
  } else if (reply->type == REDIS_REPLY_STRING && reply->len == PD_KEY_SIZE) {
    err = PD_OK;
    key = keyring_put(call.vault->ring, &call.person, (const uint8_t *)reply->str);
  }
  call.then.key(call.context, err, key);
}

static struct call *make_call(struct pd_vault *self, const struct pd_id *person, void *context) {
  struct call *call = calloc(1, sizeof *call);
  if (call == NULL) return NULL;
  *call = (struct call){.vault = self, .person = *person, .context = context};
  return call;
}

/* Set the field if it is not there.  With `appendfsync always` the answers of this and the next
 * command come only when it is on the disk. */
static enum pd_err ask_to_create(struct pd_vault *self, const char *field) {
  uint8_t fresh[PD_KEY_SIZE];
  randombytes_buf(fresh, sizeof fresh);
  const char *const texts[] = {"HSETNX", self->keys, field, (const char *)fresh};
  const size_t sizes[] = {6, strlen(self->keys), PD_ID_TEXT - 1, sizeof fresh};
  enum pd_err err = ask(self, 4, texts, sizes, NULL, NULL);
  sodium_memzero(fresh, sizeof fresh);
  return err;
}

enum pd_err pd_vault_key(struct pd_vault *self, const struct pd_id *person, bool create,
                         pd_vault_fn *done, void *context) {
  const uint8_t *known = keyring_get(self->ring, person);
  if (known != NULL) {
    done(context, PD_OK, known);
    return PD_OK;
  }
  if (!self->up) return PD_EDOWN;
  char field[PD_ID_TEXT];
  (void)pd_id_text(person, field);
  if (create && ask_to_create(self, field) != PD_OK) return PD_EDOWN;
  struct call *call = make_call(self, person, context);
  if (call == NULL) return PD_EDOWN;
  call->then.key = done;
  const char *const texts[] = {"HGET", self->keys, field};
  const size_t sizes[] = {4, strlen(self->keys), PD_ID_TEXT - 1};
  enum pd_err err = ask(self, 3, texts, sizes, on_key, call);
  if (err != PD_OK) free(call);
  return err;
}

/* ---- forgetting ---- */

static void on_rewrite(void *context, const redisReply *reply) {
  struct pd_vault *self = context;
  if (self->closing || (reply != NULL && reply->type == REDIS_REPLY_STATUS)) return;
  self->rewrite_due = true;
  if (reply == NULL) return; /* when the connection is up again */
  /* While another rewrite runs ours is refused, and the running one may have begun before the
   * deletion: try again. */
  bool busy = reply->type == REDIS_REPLY_ERROR && strstr(reply->str, "in progress") != NULL;
  if (!busy) {
    pd_say(PD_LEVEL_ERROR,
           pd_kv_text("msg", "the vault's AOF is not rewritten: erased keys stay in its file"),
           pd_kv_text("why", reply->type == REDIS_REPLY_ERROR ? reply->str : "no status"));
  }
  (void)uv_timer_start(&self->timer, on_rewrite_timer, busy ? REWRITE_AFTER_MS : REWRITE_REFUSED_MS,
                       0);
}

static void on_rewrite_timer(uv_timer_t *timer) {
  struct pd_vault *self = timer->data;
  const char *const texts[] = {"BGREWRITEAOF"};
  const size_t sizes[] = {12};
  if (ask(self, 1, texts, sizes, on_rewrite, self) == PD_OK) self->rewrite_due = false;
}

static void on_deleted(void *context, const redisReply *reply) {
  struct call call = *(struct call *)context;
  free(context);
  enum pd_err err = reply == NULL ? PD_EDOWN : reply->type == REDIS_REPLY_INTEGER ? PD_OK : PD_EIO;
  struct pd_vault *self = call.vault;
  keyring_wipe(self->ring, &call.person); /* an answer before this one may have brought it back */
  if (err == PD_OK && !self->closing) {
    /* One rewrite for all keys that die within a moment: after a restore many do. */
    if (!uv_is_active((uv_handle_t *)&self->timer)) {
      (void)uv_timer_start(&self->timer, on_rewrite_timer, REWRITE_AFTER_MS, 0);
    }
    self->rewrite_due = true;
  }
  if (call.then.done != NULL) call.then.done(call.context, err);
}

enum pd_err pd_vault_forget(struct pd_vault *self, const struct pd_id *person,
                            pd_vault_done_fn *done, void *context) {
  keyring_wipe(self->ring, person);
  if (!self->up) return PD_EDOWN;
  struct call *call = make_call(self, person, context);
  if (call == NULL) return PD_EDOWN;
  call->then.done = done;
  char field[PD_ID_TEXT];
  (void)pd_id_text(person, field);
  const char *const texts[] = {"HDEL", self->keys, field};
  const size_t sizes[] = {4, strlen(self->keys), PD_ID_TEXT - 1};
  enum pd_err err = ask(self, 3, texts, sizes, on_deleted, call);
  if (err != PD_OK) free(call);
  return err;
}
