/* vault - the persons' keys, in a Redis of their own.
 *
 * The key of a person is the field <person hex> of the hash `{<shard>}:vault`;
 * `{<shard>}:vault:hashkey` is the key of keyed hashes, made once.  That server runs with
 * `appendfsync always` and a directory of its own, outside the logs' backups: when a key dies
 * there, what it sealed is gone everywhere.
 *
 * Invariants:
 *     - a new key is durable before the callback: so before the first event that it seals;
 *     - a forgotten key is wiped from memory, deleted, and the server's AOF is rewritten without it
 *       (once more at each open, since a crash may come between the two);
 *     - keys are never logged.  The cache is bounded (the oldest go) and kept out of swap where the
 * system allows it.
 */
#ifndef PD_IO_VAULT_H
#define PD_IO_VAULT_H

#include "common/base/id.h"
#include "common/io/redis.h"
#include "common/io/seal.h"

struct pd_vault;

/* PD_OK: key has PD_KEY_SIZE bytes until the callback returns.  PD_ENOENT: the person has none, and
 * create was false.  PD_EDOWN: the connection broke; ask again.  PD_EIO: the server refused. */
typedef void pd_vault_fn(void *context, enum pd_err err, const uint8_t *key);
/* PD_OK: the key is deleted, durably, and a rewrite of the AOF begins within a moment (one that is
 * refused is tried again until it is not); otherwise as above. */
typedef void pd_vault_done_fn(void *context, enum pd_err err);
/* Up: connected and the hash key is known. */
typedef void pd_vault_state_fn(void *context, bool up, const char *why);

/* cache: how many keys to keep in memory, 1 .. 1,000,000; 0 stands for 300,000 (48 bytes each).
 * state may be NULL. */
PD_MUST_USE enum pd_err pd_vault_open(struct pd_vault **vault, uv_loop_t *loop,
                                      const struct pd_redis_options *options, uint32_t shard,
                                      uint32_t cache, pd_vault_state_fn *state, void *context);
/* Pending callbacks get PD_EDOWN; the cache is wiped.  NULL-safe. */
void pd_vault_close(struct pd_vault *vault);
/* Up, as the state callback said. */
bool pd_vault_is_up(const struct pd_vault *vault);

/* The key of keyed hashes; NULL until the vault was up for the first time. */
const uint8_t *pd_vault_hash_key(const struct pd_vault *vault);

/* The key if it is in memory: no call, no copy.  Valid until the next call on this vault. */
const uint8_t *pd_vault_cached(struct pd_vault *vault, const struct pd_id *person);

/* The key of a person; with create, made if there is none.  PD_EDOWN: the vault is down, no
 * callback.  The callback may come before the call returns (from the cache). */
PD_MUST_USE enum pd_err pd_vault_key(struct pd_vault *vault, const struct pd_id *person,
                                     bool create, pd_vault_fn *done, void *context);

/* Destroy the key of a person; done may be NULL.  Harmless if there is none: erasures are played
 * again at boot and after a restore. */
PD_MUST_USE enum pd_err pd_vault_forget(struct pd_vault *vault, const struct pd_id *person,
                                        pd_vault_done_fn *done, void *context);

/* Blocking twins for tools: `person export`, `restore`. */
struct pd_vault_now;
PD_MUST_USE enum pd_err pd_vault_now_open(struct pd_vault_now **vault,
                                          const struct pd_redis_options *options, uint32_t shard,
                                          char *why, size_t why_size);
void pd_vault_now_close(struct pd_vault_now *vault); /* NULL-safe */
/* The key of a person, copied; PD_ENOENT: there is none.  The caller wipes it. */
PD_MUST_USE enum pd_err pd_vault_key_now(struct pd_vault_now *vault, const struct pd_id *person,
                                         bool create, uint8_t key[PD_KEY_SIZE]);
/* The key of keyed hashes, copied; PD_ENOENT: no daemon has made it yet. */
PD_MUST_USE enum pd_err pd_vault_hash_key_now(struct pd_vault_now *vault, uint8_t key[PD_KEY_SIZE]);
/* Destroy the keys of these persons, then rewrite the AOF and wait until that is done (where the
 * user may ask INFO).  PD_EAGAIN: the keys are gone, the rewrite did not end within 30 s. */
PD_MUST_USE enum pd_err pd_vault_forget_all_now(struct pd_vault_now *vault,
                                                const struct pd_id *persons, size_t count);
/* The same for one person. */
PD_MUST_USE enum pd_err pd_vault_forget_now(struct pd_vault_now *vault, const struct pd_id *person);
/* Fetch the key and open one box; plain has room for box_size - PD_SEAL_EXTRA.  place names the
 * shard and person. */
PD_MUST_USE enum pd_err pd_vault_unseal_now(struct pd_vault_now *vault,
                                            const struct pd_seal_place *place, const uint8_t *box,
                                            size_t box_size, uint8_t *plain);

#endif
