/* The writer when it must ask the log, and what counts when replicas must have it. */
#include "common/flow/replicas.h"

#include <criterion/criterion.h>
#include <string.h>

static struct pd_writer writer;

static struct pd_hash hash_of(uint64_t seq) {
  struct pd_hash hash = {{0}};
  memcpy(hash.bytes, &seq, sizeof seq);
  return hash;
}

/* It leads a log that ends at 10. */
static void set_up(void) {
  struct pd_hash hash = hash_of(10);
  pd_writer_init(&writer, 10, &hash, 3);
}

TestSuite(writer, .init = set_up);

static void push(uint64_t seq) {
  struct pd_packed packed = {.head.first_seq = seq, .head.last_seq = seq, .hash = hash_of(seq)};
  pd_writer_push(&writer, &packed);
}

static uint32_t tail(uint64_t seq, uint64_t hash_seq) {
  struct pd_hash hash = hash_of(hash_seq);
  return pd_writer_tail(&writer, seq, &hash);
}

Test(writer, sends_nothing_over_a_new_connection_before_it_knows_the_tail) {
  push(11);
  pd_writer_doubt(&writer);
  cr_expect_null(pd_writer_send(&writer));
  cr_expect(pd_writer_wants_tail(&writer));
  cr_expect_eq(tail(10, 10), 0);
  cr_expect_eq(writer.state, PD_WRITER_READY);
  cr_expect_not_null(pd_writer_send(&writer));
}

Test(writer, builds_nothing_on_a_log_that_lost_what_was_committed) {
  pd_writer_doubt(&writer);
  cr_expect_eq(tail(9, 9), 0);
  cr_expect(writer.lost);
  cr_expect_eq(writer.state, PD_WRITER_DOUBT);
  cr_expect_eq(tail(10, 77), 0);
  cr_expect(writer.lost, "somebody else's entry in its place");
  cr_expect_eq(writer.state, PD_WRITER_DOUBT);
  cr_expect_eq(tail(10, 10), 0);
  cr_expect_not(writer.lost);
  cr_expect_eq(writer.state, PD_WRITER_READY);
}

Test(writer, a_longer_log_of_somebody_else_is_a_fence) {
  pd_writer_doubt(&writer);
  cr_expect_eq(tail(12, 12), 0);
  cr_expect_not(writer.lost);
  cr_expect_eq(writer.state, PD_WRITER_FENCED);
}

Test(writer, an_entry_of_unknown_outcome_that_the_tail_shows_is_committed) {
  push(11);
  cr_assert_not_null(pd_writer_send(&writer));
  cr_expect_eq(pd_writer_reply(&writer, PD_COMMIT_UNKNOWN), 0);
  cr_expect_eq(tail(11, 11), 1);
  cr_expect_eq(writer.seq, 11);
}

Test(writer, what_counts_when_replicas_must_have_it) {
  cr_expect_eq(pd_replicas_judge(2, 2), PD_REPLICAS_ENOUGH);
  cr_expect_eq(pd_replicas_judge(2, 1), PD_REPLICAS_SHORT);
  cr_expect_eq(pd_replicas_judge(1, -1), PD_REPLICAS_BROKEN);
  cr_expect(pd_replicas_hold_commit(1, PD_COMMIT_OK));
  cr_expect(pd_replicas_hold_commit(1, PD_COMMIT_DUP));
  cr_expect_not(pd_replicas_hold_commit(1, PD_COMMIT_REFUSED));
  cr_expect_not(pd_replicas_hold_commit(0, PD_COMMIT_OK));
  cr_expect(pd_replicas_hold_tail(1, 5));
  cr_expect_not(pd_replicas_hold_tail(1, 0));
  cr_expect(pd_replicas_hold_read(1, 4, 5));
  cr_expect_not(pd_replicas_hold_read(1, 5, 5));
  cr_expect_not(pd_replicas_hold_read(0, 0, 5));
  cr_expect_eq(pd_replicas_limit(1, 5), 5);
  cr_expect_eq(pd_replicas_limit(0, 5), UINT64_MAX);
}
