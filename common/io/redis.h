/* redis - one connection to one Redis server on a libuv loop, and to whichever node of a cluster
 * serves what we need.
 *
 * Invariants:
 *     - every command that pd_redis_send() took has its callback called exactly once: with the
 * reply, or with NULL when the connection broke before the reply came (its outcome is then
 * unknown);
 *     - after a break the connection is made anew, 50 ms later, then twice as late each time, at
 * most 2 s;
 *     - a server that says nothing for 5 s, though it is asked each second, is let go like a broken
 *       connection;
 *     - "up" means: connected, authenticated, PING was answered (so the server has finished
 * loading its data), and the slot of the key, if one was given, is served here;
 *     - a server that is away, or cannot serve (CLUSTERDOWN, LOADING, READONLY), is followed by the
 * next one of the list, and of those that the cluster named;
 *     - MOVED: the command was not done, its callback gets NULL, and the connection is made anew
 * with the node that was named, at once; after 5 redirections without an answer, as after a
 * failure;
 *     - ASK: this command alone is sent to the node that was named, behind ASKING; answers that
 * come by this detour may overtake others, and pd_redis_detoured() tells them apart.
 *
 * Life: pd_redis_open() -> state(up) ... state(down) -> state(up) ... -> pd_redis_close(); its
 * memory is released by the loop, which must run on until then.  hiredis' own libuv adapter is not
 * used: it ignores a broken poll for ever.
 */
#ifndef PD_IO_REDIS_H
#define PD_IO_REDIS_H

#include "common/base/err.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct pd_redis;

/* Texts are copied.  url: "unix:/path/to/socket" or "host:port" ("redis://host:port" as well), or
 * up to 16 of them with commas: nodes of one cluster, of which any will do to begin with.  user and
 * password_file may be NULL or "": then no AUTH is sent (user) or the user is "default"
 * (password_file alone).  The file is read anew at each connect.  key: we want the node that serves
 * its slot, and may read it (at most 63 bytes); NULL: any node. */
struct pd_redis_options {
  const char *url;
  const char *user;
  const char *password_file;
  const char *key;
};

/* The reply of a command; NULL when the connection broke first.  The reply is gone when the
 * callback returns. */
typedef void pd_redis_reply_fn(void *context, const redisReply *reply);

/* The connection came up, or is down because of `why` (a phrase, "" when up).  Commands that were
 * pending have had their callbacks before a "down".  Repeated failures to connect say "down" only
 * when the reason changes. */
typedef void pd_redis_state_fn(void *context, bool up, const char *why);

/* Begin to connect.  PD_EINVAL: the url is not understood. */
PD_MUST_USE enum pd_err pd_redis_open(struct pd_redis **redis, uv_loop_t *loop,
                                      const struct pd_redis_options *options,
                                      pd_redis_state_fn *state, void *context);

/* Pending callbacks get NULL; after that nothing is called but `released` (may be NULL), from the
 * loop, when the memory is gone.  NULL-safe (then released is called at once).  It may be called
 * from a reply's callback: the others get their NULL then after it returns, still before
 * `released`. */
typedef void pd_redis_released_fn(void *context);
void pd_redis_close(struct pd_redis *redis, pd_redis_released_fn *released, void *context);

/* Is this a url as struct pd_redis_options has it? */
bool pd_redis_url_valid(const char *url);

/* Up, as the state callback said. */
bool pd_redis_is_up(const struct pd_redis *redis);

/* Send one command; the arguments are copied.  PD_EDOWN: not connected, the callback will not be
 * called. done may be NULL. */
PD_MUST_USE enum pd_err pd_redis_send(struct pd_redis *redis, int count, const char *const *texts,
                                      const size_t *lengths, pd_redis_reply_fn *done,
                                      void *context);

/* In a reply's callback: did it come from another node than the connection's, after an ASK? */
bool pd_redis_detoured(const struct pd_redis *redis);

/* Connect, authenticate and PING in the blocking way, for tools; with a key, to the node that
 * serves its slot.  While a cluster elects it waits, 10 s at most.  The caller frees it with
 * redisFree().  PD_EINVAL: bad url; PD_EDOWN: no server, or it refused us.  why has room for
 * why_size bytes, or is NULL. */
PD_MUST_USE enum pd_err pd_redis_connect_now(redisContext **redis,
                                             const struct pd_redis_options *options, char *why,
                                             size_t why_size);

/* One command in the blocking way, at the node that serves it: MOVED makes *redis anew (then with
 * options->key), ASK goes to the other node for once.  The reply is the caller's to free; NULL: the
 * connection broke, the outcome is not known. */
redisReply *pd_redis_ask_now(redisContext **redis, const struct pd_redis_options *options,
                             int count, const char *const *texts, const size_t *lengths);

#endif
