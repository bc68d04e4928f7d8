/* redis_parts - what the loop's connection and the blocking one share: where the servers are,
 * passwords, and what an answer says about where to go. */
#ifndef PD_IO_REDIS_PARTS_H
#define PD_IO_REDIS_PARTS_H

#include "common/io/redis.h"

#define REDIS_SEEDS 16     /* urls in a list, at most */
#define REDIS_PLACES 48    /* with the nodes that the cluster named */
#define REDIS_REDIRECTS 5  /* in a row, before going on counts as a failure */
#define REDIS_PASSWORD 512 /* bytes of a password, with its NUL */

/* Where a server is: a path, or host and port. */
struct redis_address {
  bool is_unix;
  int port;
  char host[256];
};

/* The servers that may be tried: those of the setting first, then those that a cluster named. */
struct redis_places {
  struct redis_address list[REDIS_PLACES];
  unsigned seeds;
  unsigned count;
  unsigned at; /* the one tried last */
};

/* A list as in struct pd_redis_options; false if it is not understood. */
bool redis_places_parse(struct redis_places *places, const char *url);

/* The next one to try, round and round. */
const struct redis_address *redis_places_next(struct redis_places *places);

/* Take the nodes out of a reply to CLUSTER SLOTS in the place of those that were named before; here
 * is the node that answered, for a node that does not know its own name.  Any other reply changes
 * nothing.  With masters_alone, only the first node of each range. */
void redis_places_learn(struct redis_places *places, const redisReply *slots,
                        const struct redis_address *here, bool masters_alone);

/* Is it the same place, as it is written? */
bool redis_address_same(const struct redis_address *a, const struct redis_address *b);

/* "host:port" or "unix:/path", cut to size. */
void redis_address_text(const struct redis_address *address, char *text, size_t size);

/* What an answer means for where to go on. */
enum redis_verdict {
  REDIS_ANSWERED,  /* it is the answer */
  REDIS_MOVED,     /* not done: the key's slot is at another node from now on */
  REDIS_ASK,       /* not done: this one command is for another node, while the slot moves */
  REDIS_ELSEWHERE, /* not done: this node cannot serve now; another may */
};

/* there is set with MOVED and ASK.  A redirection to no address that can be used is ELSEWHERE. */
enum redis_verdict redis_judge(const redisReply *reply, const struct redis_address *here,
                               struct redis_address *there);

/* The arguments of AUTH into texts; 0 if none is needed, -1 if the password cannot be read. */
int redis_auth_arguments(const char *user, const char *password_file,
                         char password[REDIS_PASSWORD], const char *texts[3]);

/* A read that costs nothing and changes nothing, and is answered where the key's slot is served. */
#define REDIS_PROBE "XRANGE %s + - COUNT 1"

#endif
