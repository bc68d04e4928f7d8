/* core_harness - drive one service's core from a test: hand it inputs, read what it says, replay
 * it.
 *
 *     static struct core_harness h;
 *
 *     Test(points, posts_nothing_without_a_start) {
 *       core_start(&h, &points_core, &pd_limits_small, NULL);
 *       core_hear(&h, PD_LOG_MATCHING, PD_EVENT_SLOT_FILLED, &filled); // applied, then decided
 *       core_expect(&h, PD_EVENT_POINTS_POSTED);                       // the next event it said
 *       core_expect_silence(&h);                                       // and nothing more
 *       core_stop(&h);                                                 // replays, compares images
 *     }
 *
 * Everything the core says is copied (packed and unpacked), so it stays readable until core_stop.
 * After each input the core's own `check` runs.  core_stop replays the whole history (inputs and
 * own events in their recorded order) into a fresh core through `apply` alone and fails the test
 * unless both images are equal byte for byte.
 * A failed expectation ends the test with a message that names the event.
 */
#ifndef PD_TESTS_CORE_HARNESS_H
#define PD_TESTS_CORE_HARNESS_H

#include "common/wire/core.h"

#include <stddef.h>

/* What the harness starts with; a test may change h.now_ms (never backwards) between inputs. */
#define CORE_SHARD 370302u
#define CORE_ZONE_MIN 480
#define CORE_START_MS INT64_C(1741017600000) /* Tuesday 2025-03-04 00:00 at +08:00 */

struct core_list { /* of copied messages */
  void **items;
  size_t count;
  size_t room;
};

struct core_harness {
  const struct pd_core *core;
  void *self;
  const struct pd_limits *limits;
  const void *policy;
  struct pd_shard shard;
  struct pd_arena arena;
  struct pd_outbox out;
  int64_t now_ms;
  struct core_list said;    /* struct pd_event: what the core said */
  struct core_list history; /* struct pd_event: inputs and what it said, in order */
  struct core_list replies; /* struct pd_reply */
  size_t read;              /* how many of `said` were expected already */
  uint64_t heard[8];        /* last seq of each input log */
};

/* Build the core in fresh zeroed memory; policy as its init takes it. */
void core_start(struct core_harness *h, const struct pd_core *core, const struct pd_limits *limits,
                const void *policy);

/* Compare a replay's image with the core's, then free everything. */
void core_stop(struct core_harness *h);

/* The same comparison in the middle of a test. */
void core_check_replay(const struct core_harness *h);

/* Hand in a fact of another log: stamped with the next seq of that log, the time and the shard;
 * applied, then decided. body: the struct that belongs to kind, e.g. a struct pd_slot_filled for
 * PD_EVENT_SLOT_FILLED. */
void core_hear(struct core_harness *h, enum pd_log log, pd_event_kind kind, const void *body);

/* The same with an event that the test has prepared (origin, trace); log, seq, time_ms and shard
 * are filled in. */
void core_hear_event(struct core_harness *h, enum pd_log log, struct pd_event *event);

/* Hand in a command, a delivery result, the end of a batch; returns the reply to a command. */
const struct pd_reply *core_command(struct core_harness *h, const struct pd_request *request);
void core_delivery(struct core_harness *h, const struct pd_delivery *delivery);
void core_batch_end(struct core_harness *h);

/* Move the clock to now_ms and hand in PD_INPUT_TIME for every deadline on the way, each at its own
 * time. */
void core_time(struct core_harness *h, int64_t now_ms);

/* The next event that the core said is of this kind; it is returned and counts as read. */
const struct pd_event *core_expect(struct core_harness *h, pd_event_kind kind);

/* Nothing was said that was not read yet. */
void core_expect_silence(struct core_harness *h);

/* Count everything said so far as read. */
void core_skip(struct core_harness *h);

/* Unread events of this kind; the last event of this kind ever said, or NULL. */
size_t core_count(const struct core_harness *h, pd_event_kind kind);
const struct pd_event *core_last(const struct core_harness *h, pd_event_kind kind);

/* The last reply is an acknowledgement, or this refusal (field NULL: any); it is returned. */
const struct pd_ack *core_expect_ack(const struct core_harness *h);
const struct pd_refusal *core_expect_refusal(const struct core_harness *h, enum pd_code code,
                                             const char *field);

/* The name of a kind of event as in the contract, e.g. "order_placed". */
const char *core_kind_name(pd_event_kind kind);

/* An id made of a number, the same each time; core_bytes borrows a static copy (valid for the next
 * 64 calls). */
struct pd_id core_id(uint64_t number);
ProtobufCBinaryData core_bytes(uint64_t number);

#endif
