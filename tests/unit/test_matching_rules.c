/* The hard rules, each with its reason. */
#include "tests/unit/matching_harness.h"

#include <criterion/criterion.h>

TestSuite(matching_rules, .init = matching_begin, .fini = matching_end);

#define HOUR_BIT(hour) (1u << (hour))

/* Person 1 is the only one there is, and is not invited to order 7 for this reason. */
static void expect_only_reason(enum pd_reason reason) {
  const struct pd_order_unmatched *said = expect_unmatched(7, 1);
  cr_assert(said->considered == 1);
  cr_assert(tally_of(said, reason) == 1, "the reason is %d, not %d", said->excluded[0]->reason,
            reason);
  cr_assert(verdict_on(7, 1).reason == reason);
  expect_silence();
}

/* Person 1 is invited to order 7 for this time. */
static void expect_time(uint32_t start_min, uint32_t end_min) {
  expect_wave(7, 1, 1);
  const struct pd_offer_made *offer = expect_offer(7, 1);
  cr_assert(offer->start_ms == AT(start_min), "starts at minute %d, not %u",
            (int)((offer->start_ms - CORE_START_MS) / 60000), start_min);
  cr_assert(offer->end_ms == AT(end_min));
}

Test(matching_rules, an_inactive_volunteer_is_kept_out) {
  given_volunteer(1, (struct a_volunteer){0});
  when_paused(1);
  when_placed(7, (struct an_order){0});
  expect_only_reason(PD_REASON_INACTIVE);
}

Test(matching_rules, nobody_is_invited_to_their_own_order) {
  given_volunteer(1, (struct a_volunteer){0});
  when_placed(7, (struct an_order){.requester = 1});
  expect_only_reason(PD_REASON_OWN_ORDER);
}

Test(matching_rules, every_skill_of_the_order_is_needed) {
  given_volunteer(1, (struct a_volunteer){.skills = {PD_SKILL_LIFTING}});
  when_placed(7, (struct an_order){.skills = {PD_SKILL_LIFTING, PD_SKILL_DRIVING}});
  expect_only_reason(PD_REASON_SKILL);
  given_volunteer(2, (struct a_volunteer){.skills = {PD_SKILL_DRIVING, PD_SKILL_LIFTING}});
  when_wave_due(7, 1);
  expect_wave(7, 1, 1);
  expect_offer(7, 2);
}

Test(matching_rules, nobody_has_a_skill_that_this_version_does_not_know) {
  given_volunteer(1, (struct a_volunteer){.skills = {(enum pd_skill)77}});
  when_placed(7, (struct an_order){.skills = {(enum pd_skill)77}});
  expect_only_reason(PD_REASON_SKILL);
}

Test(matching_rules, nobody_is_asked_beyond_their_own_radius) {
  given_volunteer(1, (struct a_volunteer){.north = 10, .radius_m = 1111});
  when_placed(7, (struct an_order){0}); /* 10 cells of latitude are 1,111.95 m */
  expect_only_reason(PD_REASON_RADIUS);
  given_volunteer(1, (struct a_volunteer){.north = 10, .radius_m = 1112});
  when_wave_due(7, 1);
  expect_wave(7, 1, 1);
  cr_assert(expect_offer(7, 1)->distance_m == 1112);
}

Test(matching_rules, a_minor_is_never_sent_to_an_emergency) {
  given_volunteer(1, (struct a_volunteer){.age = PD_AGE_BAND_14_17});
  when_placed(7, (struct an_order){.urgency = PD_URGENCY_EMERGENCY});
  expect_only_reason(PD_REASON_AGE);
}

Test(matching_rules, a_minor_is_never_sent_where_the_kind_is_emergency) {
  given_volunteer(1, (struct a_volunteer){.age = PD_AGE_BAND_14_17});
  when_placed(7, (struct an_order){.kind = PD_ORDER_KIND_EMERGENCY});
  expect_only_reason(PD_REASON_AGE);
}

Test(matching_rules, a_minor_is_never_sent_to_rescue_work) {
  given_volunteer(1, (struct a_volunteer){.age = PD_AGE_BAND_14_17, .skills = {PD_SKILL_RESCUE}});
  when_placed(7, (struct an_order){.skills = {PD_SKILL_RESCUE}});
  expect_only_reason(PD_REASON_AGE);
}

Test(matching_rules, a_minor_may_take_other_orders) {
  given_volunteer(1, (struct a_volunteer){.age = PD_AGE_BAND_14_17});
  given_paper(1, PD_CREDENTIAL_KIND_GUARDIAN_CONSENT, 0, HOURS(24));
  when_placed(7, (struct an_order){0});
  expect_time(HOURS(8), HOURS(9));
}

Test(matching_rules, a_sensitive_order_is_for_the_vetted_only) {
  given_volunteer(1, (struct a_volunteer){0});
  when_placed(7, (struct an_order){.sensitive = true});
  expect_only_reason(PD_REASON_NOT_VETTED);
  given_volunteer(1, (struct a_volunteer){.vetted = true});
  when_wave_due(7, 1);
  expect_time(HOURS(8), HOURS(9));
}

Test(matching_rules, the_weeks_hours_must_cover_every_hour_that_is_touched) {
  given_volunteer(1, (struct a_volunteer){.day_mask = HOUR_BIT(10) | HOUR_BIT(12)});
  when_placed(7, (struct an_order){.minutes = 61});
  expect_only_reason(PD_REASON_HOURS);
}

Test(matching_rules, the_first_full_hour_that_suits_is_proposed) {
  given_volunteer(1, (struct a_volunteer){.day_mask = HOUR_BIT(9) | HOUR_BIT(14) | HOUR_BIT(15)});
  when_placed(7, (struct an_order){.minutes = 120});
  expect_time(HOURS(14), HOURS(16));
}

Test(matching_rules, the_first_moment_of_the_window_need_not_be_a_full_hour) {
  given_volunteer(1, (struct a_volunteer){.day_mask = HOUR_BIT(8) | HOUR_BIT(9)});
  when_placed(7, (struct an_order){.start_min = HOURS(8) + 20, .minutes = 60});
  expect_time(HOURS(8) + 20, HOURS(9) + 20);
}

Test(matching_rules, the_week_goes_round_from_sunday_to_monday) {
  given_volunteer(1, (struct a_volunteer){.day_mask = HOUR_BIT(23) | HOUR_BIT(0)});
  when_placed(7,
              (struct an_order){
                  .start_min = HOURS(5 * 24 + 12), .end_min = HOURS(6 * 24 + 2), .minutes = 120});
  expect_time(HOURS(5 * 24 + 23), HOURS(6 * 24 + 1));
}

Test(matching_rules, there_is_time_to_get_there) {
  at_minute(HOURS(8) + 50);
  given_volunteer(1, (struct a_volunteer){.day_mask = HOUR_BIT(9) | HOUR_BIT(10)});
  when_placed(7, (struct an_order){0});
  expect_time(HOURS(9) + 5, HOURS(10) + 5);
}

Test(matching_rules, those_on_call_are_asked_outside_their_hours_in_an_emergency) {
  given_volunteer(1, (struct a_volunteer){.day_mask = HOUR_BIT(20), .emergency = true});
  when_placed(7, (struct an_order){.start_min = 1, .urgency = PD_URGENCY_EMERGENCY});
  expect_time(15, 75);
}

Test(matching_rules, others_keep_their_hours_in_an_emergency) {
  given_volunteer(1, (struct a_volunteer){.day_mask = HOUR_BIT(20)});
  when_placed(7, (struct an_order){.urgency = PD_URGENCY_EMERGENCY});
  expect_only_reason(PD_REASON_HOURS);
}

Test(matching_rules, nobody_is_booked_twice_for_overlapping_times) {
  given_volunteer(1, (struct a_volunteer){.day_mask = HOUR_BIT(8)});
  when_placed(6, (struct an_order){0});
  when_answered(6, 1, true);
  core_skip(&h);
  when_placed(7, (struct an_order){0});
  expect_only_reason(PD_REASON_OVERLAP);
}

Test(matching_rules, the_time_after_a_booking_is_free) {
  given_volunteer(1, (struct a_volunteer){0});
  when_placed(6, (struct an_order){.minutes = 90});
  when_answered(6, 1, true);
  core_skip(&h);
  when_placed(7, (struct an_order){0});
  expect_time(HOURS(10), HOURS(11));
}

Test(matching_rules, an_acceptance_that_would_overlap_is_no_booking) {
  given_volunteer(1, (struct a_volunteer){0});
  when_placed(6, (struct an_order){0});
  when_placed(7, (struct an_order){0});
  core_skip(&h);
  when_answered(6, 1, true);
  core_skip(&h);
  when_answered(7, 1, true);
  expect_closed(7, 1, PD_REASON_OVERLAP);
  expect_unmatched(7, 2);
}

Test(matching_rules, a_service_that_took_place_keeps_its_time_when_its_order_is_closed) {
  given_volunteer(1, (struct a_volunteer){.day_mask = HOUR_BIT(8)});
  when_placed(6, (struct an_order){0});
  when_answered(6, 1, true);
  when_started(6, 1, 1);
  when_closed(6, PD_ORDER_STATE_COMPLETED);
  core_skip(&h);
  when_placed(7, (struct an_order){0});
  expect_only_reason(PD_REASON_OVERLAP);
}

Test(matching_rules, a_service_that_never_began_gives_its_time_back) {
  given_volunteer(1, (struct a_volunteer){.day_mask = HOUR_BIT(8), .max_per_week = 1});
  when_placed(6, (struct an_order){0});
  when_answered(6, 1, true);
  when_closed(6, PD_ORDER_STATE_CANCELLED);
  core_skip(&h);
  when_placed(7, (struct an_order){0});
  expect_time(HOURS(8), HOURS(9));
}

Test(matching_rules, nobody_serves_more_often_in_a_week_than_they_said) {
  given_volunteer(1, (struct a_volunteer){.max_per_week = 1});
  when_placed(6, (struct an_order){0});
  when_answered(6, 1, true);
  core_skip(&h);
  when_placed(7, (struct an_order){0});
  expect_only_reason(PD_REASON_CAPACITY);
}

Test(matching_rules, what_was_served_counts_for_the_week_when_its_order_is_closed) {
  given_volunteer(1, (struct a_volunteer){.max_per_week = 1});
  when_placed(6, (struct an_order){0});
  when_answered(6, 1, true);
  when_started(6, 1, 1);
  when_closed(6, PD_ORDER_STATE_COMPLETED);
  core_skip(&h);
  when_placed(7, (struct an_order){0});
  expect_only_reason(PD_REASON_CAPACITY);
}

Test(matching_rules, what_was_served_in_an_earlier_week_counts_no_more) {
  given_volunteer(1, (struct a_volunteer){.max_per_week = 2});
  for (uint64_t order = 5; order <= 6; order++) {
    uint32_t day = order == 5 ? 0 : HOURS(24 * 7);
    when_placed(order, (struct an_order){.start_min = day + HOURS(8), .end_min = day + HOURS(18)});
    when_answered(order, 1, true);
    when_started(order, 1, 1);
    when_closed(order, PD_ORDER_STATE_COMPLETED);
  }
  core_skip(&h);
  when_placed(7, (struct an_order){.start_min = HOURS(24 * 8), .end_min = HOURS(24 * 8 + 1)});
  expect_time(HOURS(24 * 8), HOURS(24 * 8 + 1));
}

Test(matching_rules, a_new_week_begins_on_monday) {
  given_volunteer(1, (struct a_volunteer){.max_per_week = 1});
  when_placed(6, (struct an_order){0});
  when_answered(6, 1, true);
  core_skip(&h);
  when_placed(7, (struct an_order){.end_min = HOURS(24 * 6 + 5)});
  expect_time(HOURS(24 * 6), HOURS(24 * 6 + 1));
}

Test(matching_rules, an_acceptance_beyond_the_weeks_limit_is_no_booking) {
  given_volunteer(1, (struct a_volunteer){.max_per_week = 1});
  when_placed(6, (struct an_order){0});
  when_placed(7, (struct an_order){.start_min = HOURS(12)});
  core_skip(&h);
  when_answered(6, 1, true);
  core_skip(&h);
  when_answered(7, 1, true);
  expect_closed(7, 1, PD_REASON_CAPACITY);
  expect_unmatched(7, 2);
}

Test(matching_rules, nobody_has_more_open_offers_than_one_person_may_have) {
  given_volunteer(1, (struct a_volunteer){0});
  for (uint64_t order = 1; order <= pd_limits_small.offers_each; order++)
    when_placed(100 + order, (struct an_order){0});
  core_skip(&h);
  when_placed(7, (struct an_order){0});
  expect_only_reason(PD_REASON_TOO_MANY_OFFERS);
}

Test(matching_rules, the_first_rule_in_order_is_the_reason) {
  given_volunteer(1, (struct a_volunteer){.age = PD_AGE_BAND_14_17, .radius_m = 10, .east = 50});
  when_placed(7, (struct an_order){
                     .sensitive = true, .skills = {PD_SKILL_LAW}, .urgency = PD_URGENCY_EMERGENCY});
  expect_only_reason(PD_REASON_SKILL);
}

Test(matching_rules, an_unmatched_order_counts_everybody_by_reason) {
  given_volunteer(1, (struct a_volunteer){.east = 300});
  given_volunteer(2, (struct a_volunteer){.day_mask = HOUR_BIT(3)});
  given_volunteer(3, (struct a_volunteer){.day_mask = HOUR_BIT(4)});
  given_volunteer(4, (struct a_volunteer){0});
  when_paused(4);
  when_placed(7, (struct an_order){.requester = 4});
  const struct pd_order_unmatched *said = expect_unmatched(7, 1);
  cr_assert(said->considered == 4 && said->n_excluded == 3);
  cr_assert(tally_of(said, PD_REASON_RADIUS) == 1);
  cr_assert(tally_of(said, PD_REASON_HOURS) == 2);
  cr_assert(tally_of(said, PD_REASON_INACTIVE) == 1);
}

Test(matching_rules, counting_everybody_has_its_share_in_each_turn) {
  static struct matching_policy policy;
  policy = matching_policy_default;
  policy.tally_max = 3;
  matching_end();
  matching_begin_with(&policy, &pd_limits_small);
  given_volunteer(1, (struct a_volunteer){.day_mask = HOUR_BIT(3)});
  given_volunteer(2, (struct a_volunteer){.east = 300});
  when_together();
  when_placed(7, (struct an_order){0});
  when_placed(8, (struct an_order){0});
  then_decided();
  cr_assert(expect_unmatched(7, 1)->considered == 2);
  cr_assert(expect_unmatched(8, 1)->considered == 1, "those within reach are still counted");
  when_placed(9, (struct an_order){0});
  cr_assert(expect_unmatched(9, 1)->considered == 2);
}

Test(matching_rules, a_verdict_tells_why_somebody_eligible_was_not_invited) {
  for (uint64_t person = 1; person <= 4; person++)
    given_volunteer(person, (struct a_volunteer){.east = (int32_t)person});
  when_placed(7, (struct an_order){0});
  cr_assert(verdict_on(7, 1).reason == PD_REASON_ALREADY_ASKED);
  struct matching_verdict verdict = verdict_on(7, 4);
  cr_assert(verdict.reason == PD_REASON_RANKED_LOWER);
  cr_assert(verdict.start_ms == AT(HOURS(8)) && verdict.end_ms == AT(HOURS(9)));
  struct matching_verdict list[8];
  cr_assert(matching_candidates(h.self, 7, h.now_ms, list, 8) == 4);
  struct pd_id fourth = core_id(4);
  cr_assert(pd_id_equal(&list[3].person, &fourth));
  cr_assert(list[3].reason == PD_REASON_RANKED_LOWER);
  cr_assert(list[0].reason == PD_REASON_ALREADY_ASKED);
  cr_assert(matching_candidates(h.self, 8, h.now_ms, list, 8) == 0);
  cr_assert(matching_explain(h.self, 8, &fourth, h.now_ms, list) == PD_ENOENT);
}

Test(matching_rules, how_somebody_stands_is_told_in_figures) {
  given_volunteer(1, (struct a_volunteer){.radius_m = 3000, .max_per_week = 2, .east = 40});
  given_volunteer(2, (struct a_volunteer){.skills = {PD_SKILL_LAW}, .radius_m = 1000});
  when_placed(7, (struct an_order){.east = 40, .end_min = HOURS(9)});
  core_skip(&h);
  when_answered(7, 1, true);
  core_skip(&h);
  when_placed(8, (struct an_order){.end_min = HOURS(9), .skills = {PD_SKILL_HAIRCUT}});
  core_skip(&h);
  struct matching_standing standing;
  struct pd_id one = core_id(1), two = core_id(2), nobody = core_id(77);
  cr_assert(matching_stand(h.self, 8, &nobody, h.now_ms, &standing) == PD_ENOENT);
  cr_assert(matching_stand(h.self, 99, &one, h.now_ms, &standing) == PD_ENOENT);
  cr_assert(matching_stand(h.self, 8, &one, h.now_ms, &standing) == PD_OK);
  cr_assert(standing.radius_m == 3000 && standing.booked == 1 && standing.max_per_week == 2);
  cr_assert(standing.clash_order == 7 && standing.clash_end_ms == AT(HOURS(9)));
  cr_assert(standing.recent_permille == 1000 && standing.offers_ever == 1);
  cr_assert(standing.missing_skills == 1u << PD_SKILL_HAIRCUT);
  cr_assert(matching_stand(h.self, 8, &two, h.now_ms, &standing) == PD_OK);
  cr_assert(standing.clash_order == 0 && standing.offers_ever == 0);
}
