/* play - residents, volunteers and site staff of a data set, acting over the bus.
 *
 * One loop, four clients (a door each), one subscriber of all five logs.  What people do is drawn
 * from the seed and the number of the order, offer or slot, so that it does not depend on timing.
 */
#ifndef TESTS_PLAY_H
#define TESTS_PLAY_H

#include "common/base/id.h"
#include "common/io/client.h"

#include <stdio.h>

enum play_door { PLAY_RESIDENT, PLAY_VOLUNTEER, PLAY_SITE, PLAY_OPS, PLAY_DOORS };

enum play_act {
  PLAY_PLACE,  /* number: index of the order in the data set */
  PLAY_CANCEL, /* number: order */
  PLAY_ACCEPT, /* number: offer */
  PLAY_DECLINE,
  PLAY_WITHDRAW, /* number: order; slot */
  PLAY_START,
  PLAY_FINISH,
  PLAY_CONFIRM, /* number: order */
  PLAY_RATE,
  PLAY_HOLD /* number: hold */
};

/* Something that somebody will do. */
struct play_todo {
  int64_t when_ms; /* of the shard's clock */
  enum play_act act;
  uint32_t slot;
  uint64_t number;
  struct pd_id actor;
  enum pd_log seen_log; /* what the actor has seen; 0: nothing */
  uint64_t seen_seq;
};

/* An order of the data set that is played. */
struct play_order {
  int64_t placed_at_ms;
  uint8_t *body; /* a packed PlaceOrder without its requester */
  size_t size;
  struct pd_id requester;
  bool registered;
  char person[24]; /* the data set's own reference */
  char ref[24];
  uint64_t number;  /* in the shard, once it is placed */
  uint64_t sent_ns; /* intended real time of placing */
  bool offered;
};

/* What is known of an order in the shard, by number. */
struct play_known {
  uint32_t index; /* in orders, plus 1; 0: not ours */
  uint32_t need;
  enum pd_order_state state;
  uint32_t filled;
  struct pd_id requester;
};

struct play_options {
  const char *run_dir, *data, *map, *summary, *journal;
  uint32_t shard;
  uint32_t days;
  uint64_t seed;
  uint64_t speed;
  int64_t start_ms; /* first local midnight; 0: of the first order's day */
  int32_t zone_min;
};

struct play_totals {
  uint64_t placed, refused, offers, declined, filled, reopened, messages, failed_messages, events,
      gaps;
  uint64_t no_shows, withdrawals, holds, stars, ratings, unanswered, erased;
  uint64_t unmatched[32]; /* by enum pd_reason */
  int64_t points[4];      /* sum of all lines, by enum pd_unit */
  uint64_t minutes_posted;
};

struct play {
  struct play_options options;
  uv_loop_t loop;
  uv_timer_t timer, bar;
  void *zmq;
  struct pd_client *clients[PLAY_DOORS];
  struct pd_subscriber *subscriber;
  int64_t offset_ms; /* shard time = real time * speed + this */
  bool synced;
  struct play_order *orders;
  size_t orders_count, orders_size;
  struct play_known *known;
  size_t known_size;
  struct play_todo *todo; /* a heap by when_ms */
  size_t todo_count, todo_size;
  double *latency_ms;
  size_t latency_count;
  struct play_totals totals;
  int64_t end_ms; /* of the last day */
  uint64_t started_ns;
  FILE *journal;
  uint64_t keys; /* idempotency keys given out */
};

/* The shard's time. */
int64_t play_now(const struct play *play);

/* acts.c: remember to do something; do what is due; send one command through a door. */
void play_later(struct play *play, const struct play_todo *todo);
void play_due(struct play *play);
void play_act(struct play *play, const struct play_todo *todo);

/* orders.c: read the orders of the days that are played and register who places them.  False: said
 * why. */
bool play_read_orders(struct play *play);
bool play_register(struct play *play);

/* people.c: hear one event and plan what follows from it. */
void play_hear(void *context, const struct pd_event *event, const uint8_t *bytes, size_t size);
struct play_known *play_known(struct play *play, uint64_t number);

/* A number in 0 .. 999,999 that depends on the seed and these two alone. */
uint32_t play_draw(const struct play *play, uint64_t a, uint64_t b);

/* summary.c: write the JSON file (if asked for) and print the summary.  False: something is wrong.
 */
bool play_summary(struct play *play);

#endif
