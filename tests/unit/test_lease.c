/* Who may lead, told by an instance's own clock. */
#include "common/flow/lease.h"

#include <criterion/criterion.h>
#include <signal.h>

static struct pd_lease lease;

static void start(void) { pd_lease_init(&lease); }

TestSuite(lease, .init = start);

static void answer(enum pd_lease_found found, uint32_t left_ms, int64_t now_ms) {
  struct pd_lease_answer said = {.found = found, .left_ms = left_ms};
  pd_lease_answer(&lease, &said, now_ms);
}

/* Ask for it at this time, and get it. */
static void take_at(int64_t now_ms) {
  cr_assert_eq(pd_lease_due(&lease, true, 0, now_ms), PD_LEASE_TAKE);
  answer(PD_LEASE_HELD, 0, now_ms + 1);
}

static void held_with_somebody_waiting(uint32_t waiting_holds) {
  struct pd_lease_answer said = {.found = PD_LEASE_HELD, .waited = true};
  said.waiting_holds = waiting_holds;
  cr_assert_eq(pd_lease_due(&lease, true, 0, 1000), PD_LEASE_TAKE);
  pd_lease_answer(&lease, &said, 1001);
}

Test(lease, is_not_ours_before_we_have_it) {
  cr_expect_not(pd_lease_holds(&lease, 1));
  cr_expect_eq(pd_lease_due(&lease, true, 0, 1), PD_LEASE_TAKE);
  cr_expect_not(pd_lease_holds(&lease, 1), "asked is not held");
}

Test(lease, ends_by_our_clock_before_it_ends_in_the_store) {
  cr_assert_eq(pd_lease_due(&lease, true, 0, 1000), PD_LEASE_TAKE);
  answer(PD_LEASE_HELD, 0, 1900); /* a slow answer: it counts from the asking */
  cr_expect(pd_lease_holds(&lease, 1000 + PD_LEASE_TTL_MS - PD_LEASE_MARGIN_MS - 1));
  cr_expect_not(pd_lease_holds(&lease, 1000 + PD_LEASE_TTL_MS - PD_LEASE_MARGIN_MS));
}

Test(lease, is_renewed_in_time) {
  take_at(1000);
  cr_expect_eq(pd_lease_due(&lease, true, 0, 1000 + PD_LEASE_RENEW_MS - 1), PD_LEASE_NOTHING);
  take_at(1000 + PD_LEASE_RENEW_MS);
  cr_expect(pd_lease_holds(&lease, 1000 + PD_LEASE_TTL_MS));
}

Test(lease, one_question_at_a_time) {
  cr_assert_eq(pd_lease_due(&lease, true, 0, 1000), PD_LEASE_TAKE);
  cr_expect_eq(pd_lease_due(&lease, true, 0, 9000), PD_LEASE_NOTHING);
}

Test(lease, an_answer_that_is_lost_does_not_end_what_we_have) {
  take_at(1000);
  cr_assert_eq(pd_lease_due(&lease, true, 0, 1300), PD_LEASE_TAKE);
  answer(PD_LEASE_FAILED, 0, 1310);
  cr_expect(pd_lease_holds(&lease, 1311));
  cr_expect_eq(pd_lease_due(&lease, true, 0, 1310 + PD_LEASE_ASK_MS), PD_LEASE_TAKE);
}

Test(lease, once_over_by_our_clock_it_comes_back_only_with_an_answer) {
  take_at(1000);
  cr_assert_eq(pd_lease_due(&lease, true, 0, 5000), PD_LEASE_TAKE);
  cr_expect_not(pd_lease_holds(&lease, 5000));
  answer(PD_LEASE_HELD, 0, 5001);
  cr_expect(pd_lease_holds(&lease, 5002));
}

Test(lease, somebody_elses_is_not_ours_and_is_asked_for_when_it_ends) {
  take_at(1000);
  cr_assert_eq(pd_lease_due(&lease, true, 0, 5000), PD_LEASE_TAKE);
  answer(PD_LEASE_OTHER, 30, 5001);
  cr_expect_not(pd_lease_holds(&lease, 5001));
  cr_expect_eq(pd_lease_due(&lease, true, 0, 5031), PD_LEASE_NOTHING);
  cr_expect_eq(pd_lease_due(&lease, true, 0, 5032), PD_LEASE_TAKE);
}

Test(lease, who_cannot_lead_only_looks) {
  cr_expect_eq(pd_lease_due(&lease, false, 0, 1000), PD_LEASE_LOOK);
}

Test(lease, what_an_earlier_life_has_left_is_not_ours_by_looking) {
  cr_assert_eq(pd_lease_due(&lease, false, 0, 1000), PD_LEASE_LOOK);
  answer(PD_LEASE_HELD, 0, 1001); /* under our name, and not renewed */
  cr_expect_not(pd_lease_holds(&lease, 1002));
  cr_assert_eq(pd_lease_due(&lease, true, 1, 2000), PD_LEASE_TAKE, "it is free for us long enough");
}

Test(lease, who_holds_others_lets_them_go_first_for_a_moment_that_grows) {
  cr_assert_eq(pd_lease_due(&lease, true, 2, 1000), PD_LEASE_WAIT);
  answer(PD_LEASE_NOBODY, 0, 1000);
  cr_assert_eq(pd_lease_due(&lease, true, 2, 1100), PD_LEASE_WAIT);
  answer(PD_LEASE_NOBODY, 0, 1100);
  cr_assert_eq(pd_lease_due(&lease, true, 2, 1000 + 2 * PD_LEASE_POLITE_MS), PD_LEASE_TAKE);
}

Test(lease, the_moment_begins_anew_when_somebody_had_it_meanwhile) {
  cr_assert_eq(pd_lease_due(&lease, true, 1, 1000), PD_LEASE_WAIT);
  answer(PD_LEASE_NOBODY, 0, 1000);
  cr_assert_eq(pd_lease_due(&lease, true, 1, 1100), PD_LEASE_WAIT);
  answer(PD_LEASE_OTHER, 1200, 1100);
  cr_expect_eq(pd_lease_due(&lease, true, 1, 1200), PD_LEASE_WAIT);
}

Test(lease, a_renewal_is_not_polite) {
  take_at(1000);
  cr_expect_eq(pd_lease_due(&lease, true, 7, 1300), PD_LEASE_TAKE);
}

Test(lease, one_of_two_is_given_to_who_waits_with_none) {
  held_with_somebody_waiting(0);
  cr_expect(pd_lease_crowded(&lease, 1));
  cr_expect_not(pd_lease_crowded(&lease, 0), "the only one is kept");
}

Test(lease, nothing_is_given_to_who_holds_nearly_as_many) {
  held_with_somebody_waiting(1);
  cr_expect_not(pd_lease_crowded(&lease, 1));
  cr_expect(pd_lease_crowded(&lease, 2));
}

Test(lease, let_go_it_is_not_asked_for_at_once) {
  take_at(1000);
  pd_lease_drop(&lease, true, 1100);
  cr_expect_not(pd_lease_holds(&lease, 1100));
  cr_expect_eq(pd_lease_due(&lease, true, 0, 1099 + PD_LEASE_PAUSE_MS), PD_LEASE_NOTHING);
  cr_expect_eq(pd_lease_due(&lease, true, 0, 1100 + PD_LEASE_PAUSE_MS), PD_LEASE_TAKE);
}

Test(lease, a_renewal_under_way_when_it_is_let_go_does_not_bring_it_back) {
  take_at(1000);
  cr_assert_eq(pd_lease_due(&lease, true, 0, 1300), PD_LEASE_TAKE);
  pd_lease_drop(&lease, false, 1301);
  answer(PD_LEASE_HELD, 0, 1302);
  cr_expect_not(pd_lease_holds(&lease, 1303));
}

Test(lease, an_answer_without_a_question_is_a_broken_promise, .signal = SIGABRT) {
  answer(PD_LEASE_HELD, 0, 1);
}
