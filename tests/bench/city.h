/* city - a made-up district for benchmarks: started by the tool, filled by commands, with clients
 * at its doors.
 *
 * Everything is drawn from one seed: homes within a square of about 20 km, two skills each, always
 * free.
 */
#ifndef TESTS_BENCH_CITY_H
#define TESTS_BENCH_CITY_H

#include "common/base/id.h"
#include "common/base/rng.h"
#include "common/io/client.h"

#define CITY_SHARD 110105
#define CITY_RESIDENTS 200

struct person {
  struct pd_id id;
};

struct city {
  char run_dir[64];
  char bin[4096];
  char more[128]; /* words for `paidan up`; may be empty */
  void *zmq;
  struct pd_client *resident, *volunteer, *site;
  struct pd_subscriber *subscriber; /* of intake and matching */
  struct pd_rng rng;
  struct person residents[CITY_RESIDENTS];
  uint64_t registered, failed;
  uint64_t keys; /* idempotency keys given out */
};

/* Run `paidan ARGUMENTS --run-dir …`; false, and said, if it fails. */
bool city_tool(struct city *city, const char *arguments);

/* Bring it up in a directory of its own; take it down and remove that. */
bool city_start(struct city *city);
void city_stop(struct city *city);

/* Connect the clients and the subscriber. */
bool city_open(struct city *city, const struct pd_subscriber_calls *calls);

/* Register sites, so many volunteers, and the residents; blocking. */
bool city_register(struct city *city, uint64_t volunteers);

struct pd_point city_point(struct city *city);

/* Place the number-th order: one helper with one common skill, an hour, tomorrow or later.  False:
 * the window is full. */
bool city_place(struct city *city, uint64_t number, pd_client_done *done, void *context);

#endif
