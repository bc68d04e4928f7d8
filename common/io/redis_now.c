/* The blocking connection, for tools. */
#include "common/io/redis_parts.h"

#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* While a cluster elects, its nodes say so: tools are patient for about as long as that takes. */
enum { ELECTION_TRIES = 40, ELECTION_PAUSE_US = 250000 };

/* Where a failure is told. */
struct told {
  char *why;
  size_t size;
};

static enum pd_err say(const struct told *told, const char *text, enum pd_err err) {
  if (told->why != NULL && told->size > 0) (void)snprintf(told->why, told->size, "%s", text);
  return err;
}

static redisContext *dial(const struct redis_address *address) {
  struct timeval patience = {.tv_sec = 2, .tv_usec = 0};
  if (address->is_unix) return redisConnectUnixWithTimeout(address->host, patience);
  return redisConnectWithTimeout(address->host, address->port, patience);
}

/* One command whose answer must not be an error. */
static enum pd_err expect(redisContext *redis, int count, const char **texts,
                          const struct told *told) {
  redisReply *reply = redisCommandArgv(redis, count, texts, NULL);
  if (reply == NULL) return say(told, redis->errstr, PD_EDOWN);
  enum pd_err err = PD_OK;
  if (reply->type == REDIS_REPLY_ERROR) err = say(told, reply->str, PD_EDOWN);
  freeReplyObject(reply);
  return err;
}

static enum pd_err shake_hands(redisContext *redis, const struct pd_redis_options *options,
                               const struct told *told) {
  char password[REDIS_PASSWORD];
  const char *texts[3];
  const char *user = options->user ? options->user : "";
  const char *file = options->password_file ? options->password_file : "";
  int count = redis_auth_arguments(user, file, password, texts);
  if (count < 0) return say(told, "the password file cannot be read", PD_EDOWN);
  enum pd_err err = count > 0 ? expect(redis, count, texts, told) : PD_OK;
  explicit_bzero(password, sizeof password);
  const char *ping[] = {"PING"};
  return err == PD_OK ? expect(redis, 1, ping, told) : err;
}

/* Connect to one server; PD_EDOWN: it is not there, or refuses us. */
static enum pd_err connect_one(redisContext **redis, const struct redis_address *address,
                               const struct pd_redis_options *options, const struct told *told) {
  *redis = NULL;
  redisContext *fresh = dial(address);
  if (fresh == NULL) return say(told, "no memory", PD_EDOWN);
  enum pd_err err = PD_OK;
  if (fresh->err != 0) err = say(told, fresh->errstr, PD_EDOWN);
  struct timeval hello = {.tv_sec = 5, .tv_usec = 0}, patience = {.tv_sec = 60, .tv_usec = 0};
  if (err == PD_OK && redisSetTimeout(fresh, hello) != REDIS_OK) err = PD_EDOWN;
  if (err == PD_OK) err = shake_hands(fresh, options, told);
  if (err == PD_OK && redisSetTimeout(fresh, patience) != REDIS_OK) err = PD_EDOWN;
  if (err == PD_OK)
    *redis = fresh;
  else
    redisFree(fresh);
  return err;
}

/* Does this server serve the key's slot? */
static enum redis_verdict probe(redisContext *redis, const char *key,
                                const struct redis_address *here, struct redis_address *there,
                                const struct told *told) {
  if (key == NULL) return REDIS_ANSWERED;
  redisReply *reply = redisCommand(redis, REDIS_PROBE, key);
  enum redis_verdict verdict = reply == NULL ? REDIS_ELSEWHERE : redis_judge(reply, here, there);
  if (verdict != REDIS_ANSWERED) (void)say(told, reply ? reply->str : redis->errstr, PD_EDOWN);
  if (reply != NULL) freeReplyObject(reply);
  return verdict;
}

enum pd_err pd_redis_connect_now(redisContext **redis, const struct pd_redis_options *options,
                                 char *why, size_t why_size) {
  struct told told = {why, why_size};
  struct redis_places places;
  *redis = NULL;
  if (!redis_places_parse(&places, options->url))
    return say(&told, "the address must be unix:/path or host:port, or several with commas",
               PD_EINVAL);
  struct redis_address here = places.list[0], there;
  unsigned failures = 0, redirects = 0;
  int patience = 0; /* none until something answers: then it is a cluster in an election */
  for (;;) {
    enum redis_verdict verdict = REDIS_ELSEWHERE;
    enum pd_err err = connect_one(redis, &here, options, &told);
    if (err == PD_OK) verdict = probe(*redis, options->key, &here, &there, &told);
    if (verdict == REDIS_ANSWERED || verdict == REDIS_ASK) return PD_OK;
    if (err == PD_OK) {
      if (patience == 0) patience = ELECTION_TRIES;
      redisFree(*redis);
      *redis = NULL;
    }
    if (verdict == REDIS_MOVED && redirects++ < REDIS_REDIRECTS) {
      here = there;
      continue;
    }
    redirects = 0;
    here = *redis_places_next(&places);
    if (++failures < places.count) continue;
    if (--patience <= 0) return PD_EDOWN;
    usleep(ELECTION_PAUSE_US);
  }
}

/* While a slot moves, one command at the node that it moves to. */
static redisReply *ask_there(const struct redis_address *there,
                             const struct pd_redis_options *options, int count, const char **texts,
                             const size_t *lengths) {
  struct told told = {NULL, 0};
  redisContext *redis;
  if (connect_one(&redis, there, options, &told) != PD_OK) return NULL;
  redisReply *reply = redisCommand(redis, "ASKING");
  if (reply != NULL) {
    freeReplyObject(reply);
    reply = redisCommandArgv(redis, count, texts, lengths);
  }
  redisFree(redis);
  return reply;
}

redisReply *pd_redis_ask_now(redisContext **redis, const struct pd_redis_options *options,
                             int count, const char *const *texts, const size_t *lengths) {
  /* hiredis only reads the texts; its prototype forgets the second const. */
  const char **argv = (const char **)(uintptr_t)texts;
  for (int tries = 0;; tries++) {
    struct redis_address here = {.port = (*redis)->tcp.port}, there;
    if ((*redis)->connection_type == REDIS_CONN_TCP && (*redis)->tcp.host != NULL)
      (void)snprintf(here.host, sizeof here.host, "%s", (*redis)->tcp.host);
    here.is_unix = here.host[0] == '\0';
    redisReply *reply = redisCommandArgv(*redis, count, argv, lengths);
    enum redis_verdict verdict = redis_judge(reply, &here, &there);
    if (verdict == REDIS_ANSWERED || tries == REDIS_REDIRECTS) return reply;
    if (verdict == REDIS_ASK) {
      redisReply *second = ask_there(&there, options, count, argv, lengths);
      freeReplyObject(reply);
      return second;
    }
    redisContext *fresh;
    if (pd_redis_connect_now(&fresh, options, NULL, 0) != PD_OK) return reply;
    freeReplyObject(reply);
    redisFree(*redis);
    *redis = fresh;
  }
}
