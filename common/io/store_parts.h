/* store_parts - what the loop's store and the blocking one share: commands out, replies in. */
#ifndef PD_IO_STORE_PARTS_H
#define PD_IO_STORE_PARTS_H

#include "common/io/store.h"

#define PD_STORE_ARGS 12
#define PD_STORE_KEY 64

/* A command under construction: texts point into it and into the commit; keep it until it is sent.
 */
struct store_command {
  int count;
  const char *texts[PD_STORE_ARGS];
  size_t lengths[PD_STORE_ARGS];
  char log_key[PD_STORE_KEY];
  char tip_key[PD_STORE_KEY];
  char lease_keys[PD_LOGS][PD_STORE_KEY];
  char numbers[4][24];
};

/* A key of the shard's slot that every user of the logs may read; returns key. */
const char *store_probe_key(uint32_t shard, char key[PD_STORE_KEY]);

/* Each starts the command anew. */
void store_command_commit(struct store_command *self, uint32_t shard, const char *log,
                          const struct pd_commit *commit);
void store_command_tail(struct store_command *self, uint32_t shard, const char *log);
void store_command_boot(struct store_command *self, uint32_t shard, const char *log);
void store_command_read(struct store_command *self, uint32_t shard, const char *log,
                        uint64_t from_seq, uint64_t to_seq, uint32_t max_entries);
void store_command_wait(struct store_command *self, uint32_t replicas, uint32_t timeout_ms);
void store_command_trim(struct store_command *self, uint32_t shard, const char *log,
                        uint64_t keep_from_seq);
void store_command_lease(struct store_command *self, uint32_t shard, const char *log,
                         enum pd_lease_ask ask, const struct pd_holder *holder, uint32_t holds);
void store_command_leases(struct store_command *self, uint32_t shard);
void store_command_version(struct store_command *self);
void store_command_load(struct store_command *self);

/* PD_OK when the answer is our version; PD_ENOENT no such library; PD_EOLD another; PD_EDOWN no
 * reply; PD_EIO else. */
enum pd_err store_reply_version(const redisReply *reply);

/* What a commit's reply means; tail is filled when FENCED, *why set when REFUSED. */
enum pd_commit_reply store_reply_commit(const redisReply *reply, struct pd_tail *tail,
                                        const char **why);

/* PD_OK with the tail; PD_EDOWN no reply; PD_EIO an error; PD_EFORMAT anything else. */
enum pd_err store_reply_tail(const redisReply *reply, struct pd_tail *tail);

/* What a lease's reply says; holder is filled when it is OTHER. */
void store_reply_lease(const redisReply *reply, struct pd_lease_answer *answer,
                       struct pd_holder *holder);

/* The holders, PD_LOGS of them; errors as store_reply_tail(). */
enum pd_err store_reply_leases(const redisReply *reply, struct pd_holder *holders);

/* Entries out of an XRANGE reply; *entries is the caller's to free, its bytes stay the reply's. */
enum pd_err store_reply_read(const redisReply *reply, struct pd_stored **entries, size_t *count);

#endif
