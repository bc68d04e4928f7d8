/* The rules that come from law, and from what people wish: papers, minors, danger, health, rest,
 * consent, blocked pairs. */
#include "services/matching/facts.h"
#include "services/matching/policy.h"
#include "services/matching/rules.h"
#include "tests/unit/matching_harness.h"

#include <criterion/criterion.h>

TestSuite(matching_law, .init = matching_begin, .fini = matching_end);

#define DAY HOURS(24)

/* Person 1 is the only one there is, and is not invited to order 7 for this reason. */
static void expect_only_reason(enum pd_reason reason) {
  const struct pd_order_unmatched *said = expect_unmatched(7, 1);
  cr_assert(said->considered == 1);
  cr_assert(tally_of(said, reason) == 1, "the reason is %d, not %d", said->excluded[0]->reason,
            reason);
  cr_assert(verdict_on(7, 1).reason == reason);
  cr_assert(verdict_on(7, 1).start_ms == 0);
  expect_silence();
}

/* Person 1 is invited to order 7 for an hour from this minute on. */
static void expect_hour(uint32_t start_min) {
  expect_wave(7, 1, 1);
  const struct pd_offer_made *offer = expect_offer(7, 1);
  cr_assert(offer->start_ms == AT(start_min), "starts at minute %d, not %u",
            (int)((offer->start_ms - CORE_START_MS) / 60000), start_min);
}

/* Start again with a policy that differs from the harness's in what `change` says. */
#define WITH(change)                                             \
  do {                                                           \
    static struct matching_policy policy;                        \
    policy = matching_policy_default;                            \
    policy.fairness_m = policy.continuity_m = policy.mutual_m = 0; \
    policy.rare_skill_m = policy.fill_percent = 0;               \
    change;                                                      \
    matching_end();                                              \
    matching_begin_with(&policy, &pd_limits_small);              \
  } while (0)

/* ---- qualification, Art. 16 ---- */

static const struct an_order nursing = {.skills = {PD_SKILL_NURSING}};

Test(matching_law, a_professional_skill_needs_a_paper) {
  given_volunteer(1, (struct a_volunteer){.skills = {PD_SKILL_NURSING}});
  when_placed(7, nursing);
  expect_only_reason(PD_REASON_QUALIFICATION);
}

Test(matching_law, a_skill_that_is_no_profession_needs_none) {
  given_volunteer(1, (struct a_volunteer){.skills = {PD_SKILL_HAIRCUT}});
  when_placed(7, (struct an_order){.skills = {PD_SKILL_HAIRCUT}});
  expect_hour(HOURS(8));
}

Test(matching_law, which_skills_are_professional_is_the_districts_word) {
  WITH(policy.professional = 1u << PD_SKILL_HAIRCUT);
  given_volunteer(1, (struct a_volunteer){.skills = {PD_SKILL_NURSING}});
  given_volunteer(2, (struct a_volunteer){.skills = {PD_SKILL_HAIRCUT}});
  when_placed(7, nursing);
  expect_hour(HOURS(8));
  when_placed(8, (struct an_order){.skills = {PD_SKILL_HAIRCUT}});
  cr_assert(tally_of(expect_unmatched(8, 1), PD_REASON_QUALIFICATION) == 1);
}

Test(matching_law, the_paper_must_be_valid_for_the_whole_service) {
  given_volunteer(1, (struct a_volunteer){.skills = {PD_SKILL_NURSING}});
  given_qualification(1, PD_SKILL_NURSING, 0, HOURS(8) + 59);
  when_placed(7, nursing);
  expect_only_reason(PD_REASON_QUALIFICATION);
  given_qualification(1, PD_SKILL_NURSING, 0, HOURS(9));
  when_wave_due(7, 1);
  expect_hour(HOURS(8));
}

Test(matching_law, a_paper_that_begins_later_moves_the_time) {
  given_volunteer(1, (struct a_volunteer){.skills = {PD_SKILL_NURSING}});
  given_qualification(1, PD_SKILL_NURSING, HOURS(11) + 20, 10 * DAY);
  when_placed(7, nursing);
  expect_hour(HOURS(12));
}

Test(matching_law, a_paper_for_another_skill_does_not_count) {
  given_volunteer(1, (struct a_volunteer){.skills = {PD_SKILL_NURSING, PD_SKILL_LAW}});
  given_qualification(1, PD_SKILL_LAW, 0, 10 * DAY);
  when_placed(7, nursing);
  expect_only_reason(PD_REASON_QUALIFICATION);
}

Test(matching_law, every_professional_skill_needs_its_own_paper) {
  given_volunteer(1, (struct a_volunteer){.skills = {PD_SKILL_NURSING, PD_SKILL_PSYCH}});
  given_qualification(1, PD_SKILL_NURSING, 0, 10 * DAY);
  when_placed(7, (struct an_order){.skills = {PD_SKILL_NURSING, PD_SKILL_PSYCH}});
  expect_only_reason(PD_REASON_QUALIFICATION);
  given_qualification(1, PD_SKILL_PSYCH, 0, 10 * DAY);
  when_wave_due(7, 1);
  expect_hour(HOURS(8));
}

Test(matching_law, whom_a_site_has_vetted_has_shown_it_the_papers) {
  given_volunteer(1, (struct a_volunteer){.skills = {PD_SKILL_NURSING}, .vetted = true});
  when_placed(7, nursing);
  expect_hour(HOURS(8));
}

Test(matching_law, a_paper_that_a_site_records_stands_above_its_vetting) {
  given_volunteer(1, (struct a_volunteer){.skills = {PD_SKILL_NURSING}, .vetted = true});
  given_qualification(1, PD_SKILL_NURSING, 0, 0);
  when_placed(7, nursing);
  expect_only_reason(PD_REASON_QUALIFICATION);
}

/* ---- insurance, Art. 17 ---- */

Test(matching_law, nobody_is_sent_into_danger_without_insurance) {
  given_volunteer(1, (struct a_volunteer){.vetted = true});
  when_placed(7, (struct an_order){.dangerous = true});
  expect_only_reason(PD_REASON_INSURANCE);
  given_paper(1, PD_CREDENTIAL_KIND_INSURANCE, 0, 10 * DAY);
  when_wave_due(7, 1);
  expect_hour(HOURS(8));
}

Test(matching_law, insurance_that_ends_before_the_service_does_is_none) {
  given_volunteer(1, (struct a_volunteer){0});
  given_paper(1, PD_CREDENTIAL_KIND_INSURANCE, 0, HOURS(8) + 30);
  when_placed(7, (struct an_order){.dangerous = true});
  expect_only_reason(PD_REASON_INSURANCE);
}

Test(matching_law, a_kind_of_order_may_count_as_dangerous) {
  WITH(policy.dangerous = 1);
  given_volunteer(1, (struct a_volunteer){0});
  when_placed(7, (struct an_order){0});
  expect_only_reason(PD_REASON_INSURANCE);
}

Test(matching_law, a_category_may_count_as_dangerous) {
  struct matching_rules rules;
  matching_rules_in_force(h.self, &rules);
  policy_list(&rules.dangerous, "roof_repair", strlen("roof_repair"));
  matching_propose(h.self, &rules);
  core_time(&h, h.now_ms);
  core_skip(&h);
  given_volunteer(1, (struct a_volunteer){0});
  when_placed(7, (struct an_order){.category = "roof_repair"});
  expect_only_reason(PD_REASON_INSURANCE);
  when_placed(8, (struct an_order){.category = "roof"});
  expect_wave(8, 1, 1);
}

/* ---- minors ---- */

Test(matching_law, a_minor_serves_only_with_a_guardians_consent) {
  given_volunteer(1, (struct a_volunteer){.age = PD_AGE_BAND_14_17});
  when_placed(7, (struct an_order){0});
  expect_only_reason(PD_REASON_GUARDIAN);
  given_paper(1, PD_CREDENTIAL_KIND_GUARDIAN_CONSENT, 0, HOURS(9));
  when_wave_due(7, 1);
  expect_hour(HOURS(8));
}

Test(matching_law, a_child_is_a_minor_too) {
  given_volunteer(1, (struct a_volunteer){.age = PD_AGE_BAND_UNDER_14});
  given_paper(1, PD_CREDENTIAL_KIND_GUARDIAN_CONSENT, 0, HOURS(8));
  when_placed(7, (struct an_order){0});
  expect_only_reason(PD_REASON_GUARDIAN);
}

Test(matching_law, no_consent_sends_a_child_to_an_emergency_or_to_rescue_work) {
  given_volunteer(1,
                  (struct a_volunteer){.age = PD_AGE_BAND_UNDER_14, .skills = {PD_SKILL_RESCUE}});
  given_paper(1, PD_CREDENTIAL_KIND_GUARDIAN_CONSENT, 0, 10 * DAY);
  when_placed(7, (struct an_order){.urgency = PD_URGENCY_EMERGENCY});
  expect_only_reason(PD_REASON_AGE);
  when_placed(8, (struct an_order){.skills = {PD_SKILL_RESCUE}});
  cr_assert(tally_of(expect_unmatched(8, 1), PD_REASON_AGE) == 1);
}

Test(matching_law, adults_need_no_guardian) {
  given_volunteer(1, (struct a_volunteer){.age = PD_AGE_BAND_70_UP});
  when_placed(7, (struct an_order){0});
  expect_hour(HOURS(8));
}

/* ---- health, Art. 15 ---- */

Test(matching_law, nobody_is_asked_for_what_they_would_rather_not_do) {
  given_volunteer(1, (struct a_volunteer){0});
  given_limit(1, PD_DEMAND_HEAVY, 0, 10 * DAY);
  when_placed(7, (struct an_order){.demand = PD_DEMAND_HEAVY});
  expect_only_reason(PD_REASON_HEALTH);
  when_placed(8, (struct an_order){.demand = PD_DEMAND_STAIRS});
  expect_wave(8, 1, 1);
}

Test(matching_law, a_limit_ends_when_it_was_said_to) {
  given_volunteer(1, (struct a_volunteer){0});
  given_limit(1, PD_DEMAND_HEAVY, 0, HOURS(10));
  when_placed(7, (struct an_order){.demand = PD_DEMAND_HEAVY});
  expect_hour(HOURS(10));
}

Test(matching_law, a_limit_that_is_withdrawn_is_none) {
  given_volunteer(1, (struct a_volunteer){0});
  given_limit(1, PD_DEMAND_HEAVY, 0, 10 * DAY);
  given_limit(1, PD_DEMAND_HEAVY, 0, 0);
  when_placed(7, (struct an_order){.demand = PD_DEMAND_HEAVY});
  expect_hour(HOURS(8));
}

/* ---- gender ---- */

Test(matching_law, an_order_that_asks_for_a_gender_gets_it) {
  given_volunteer(1, (struct a_volunteer){.gender = PD_GENDER_MALE});
  when_placed(7, (struct an_order){.gender = PD_GENDER_FEMALE});
  expect_only_reason(PD_REASON_GENDER);
  given_volunteer(2, (struct a_volunteer){.gender = PD_GENDER_FEMALE});
  when_wave_due(7, 1);
  expect_wave(7, 1, 1);
  expect_offer(7, 2);
}

Test(matching_law, who_did_not_say_a_gender_is_not_sent_where_one_is_asked_for) {
  given_volunteer(1, (struct a_volunteer){0});
  when_placed(7, (struct an_order){.gender = PD_GENDER_FEMALE});
  expect_only_reason(PD_REASON_GENDER);
}

/* ---- consent to automated matching, PIPL Art. 24 ---- */

Test(matching_law, who_withdrew_the_consent_is_never_invited_by_the_matcher) {
  given_volunteer(1, (struct a_volunteer){0});
  given_paper(1, PD_CREDENTIAL_KIND_AUTOMATED_MATCHING, 0, 0);
  when_placed(7, (struct an_order){0});
  expect_only_reason(PD_REASON_NOT_AUTOMATED);
  given_paper(1, PD_CREDENTIAL_KIND_AUTOMATED_MATCHING, 0, 10 * DAY);
  when_wave_due(7, 1);
  expect_hour(HOURS(8));
}

Test(matching_law, consent_may_be_given_for_a_time) {
  given_volunteer(1, (struct a_volunteer){0});
  given_paper(1, PD_CREDENTIAL_KIND_AUTOMATED_MATCHING, 0, HOURS(2));
  at_minute(HOURS(2));
  when_placed(7, (struct an_order){0});
  expect_only_reason(PD_REASON_NOT_AUTOMATED);
}

Test(matching_law, a_coordinator_may_ask_who_does_not_wish_to_be_matched_automatically) {
  given_volunteer(1, (struct a_volunteer){0});
  given_paper(1, PD_CREDENTIAL_KIND_AUTOMATED_MATCHING, 0, 0);
  when_placed(7, (struct an_order){.dangerous = true});
  expect_only_reason(PD_REASON_NOT_AUTOMATED);
  struct matching *self = h.self;
  struct proposal time;
  struct rules rules = rules_begin(self, &self->orders[state_order(self, 7)], h.now_ms, false);
  rules.waived = RULES_BIT(PD_REASON_NOT_AUTOMATED);
  cr_assert(rules_try(&rules, 0, 0, &time) == PD_REASON_INSURANCE, "every other rule holds");
}

/* ---- blocked pairs ---- */

Test(matching_law, a_resident_who_does_not_wish_to_meet_a_volunteer_does_not) {
  given_volunteer(1, (struct a_volunteer){0});
  when_blocked(50, 1, false);
  when_placed(7, (struct an_order){.requester = 50});
  expect_only_reason(PD_REASON_BLOCKED);
  when_placed(8, (struct an_order){.requester = 51});
  expect_wave(8, 1, 1);
}

Test(matching_law, a_volunteer_who_does_not_wish_to_meet_a_resident_does_not) {
  given_volunteer(1, (struct a_volunteer){0});
  when_blocked(1, 50, false);
  when_placed(7, (struct an_order){.requester = 50});
  expect_only_reason(PD_REASON_BLOCKED);
}

Test(matching_law, a_pair_is_matched_again_when_both_have_lifted_it) {
  given_volunteer(1, (struct a_volunteer){0});
  when_blocked(1, 50, false);
  when_blocked(50, 1, false);
  when_blocked(50, 1, true);
  when_placed(7, (struct an_order){.requester = 50});
  expect_only_reason(PD_REASON_BLOCKED);
  when_blocked(1, 50, true);
  when_wave_due(7, 1);
  expect_hour(HOURS(8));
}

Test(matching_law, between_two_volunteers_it_holds_in_both_directions) {
  given_volunteer(1, (struct a_volunteer){0});
  given_volunteer(2, (struct a_volunteer){.east = 400});
  when_blocked(2, 1, false);
  when_placed(7, (struct an_order){.requester = 2});
  cr_assert(tally_of(expect_unmatched(7, 1), PD_REASON_BLOCKED) == 1);
  when_placed(8, (struct an_order){.east = 400, .requester = 1});
  cr_assert(tally_of(expect_unmatched(8, 1), PD_REASON_BLOCKED) == 1);
}

Test(matching_law, a_block_ends_the_open_offer_and_asks_somebody_else) {
  given_volunteer(1, (struct a_volunteer){0});
  when_placed(7, (struct an_order){.requester = 50});
  core_skip(&h);
  given_volunteer(2, (struct a_volunteer){.east = 1});
  when_blocked(50, 1, false);
  expect_closed(7, 1, PD_REASON_BLOCKED);
  expect_wave(7, 2, 1);
  expect_offer(7, 2);
}

Test(matching_law, a_block_ends_a_booking_that_has_not_begun) {
  given_volunteer(1, (struct a_volunteer){0});
  when_placed(7, (struct an_order){.requester = 50});
  when_answered(7, 1, true);
  core_skip(&h);
  when_blocked(1, 50, false);
  expect_reopened(7, 1, 1, PD_REASON_BLOCKED);
  expect_unmatched(7, 2);
}

Test(matching_law, a_block_does_not_end_a_service_that_has_begun) {
  given_volunteer(1, (struct a_volunteer){0});
  when_placed(7, (struct an_order){.requester = 50});
  when_answered(7, 1, true);
  when_started(7, 1, 1);
  core_skip(&h);
  when_blocked(1, 50, false);
  expect_silence();
}

/* ---- rest, and the day's hours ---- */

static void given_booking(uint64_t order, struct an_order as) {
  when_placed(order, as);
  when_answered(order, 1, true);
  core_skip(&h);
}

Test(matching_law, there_is_rest_after_a_service) {
  WITH(policy.rest_min = 30);
  given_volunteer(1, (struct a_volunteer){0});
  given_booking(6, (struct an_order){0});
  when_placed(7, (struct an_order){0});
  expect_hour(HOURS(10));
}

Test(matching_law, there_is_rest_before_a_service) {
  WITH(policy.rest_min = 30);
  given_volunteer(1, (struct a_volunteer){0});
  given_booking(6, (struct an_order){.start_min = HOURS(10)});
  when_placed(7, (struct an_order){.start_min = HOURS(9) - 30, .end_min = HOURS(10)});
  expect_hour(HOURS(9) - 30);
  when_placed(8, (struct an_order){.start_min = HOURS(9), .end_min = HOURS(10)});
  cr_assert(tally_of(expect_unmatched(8, 1), PD_REASON_REST) == 1);
}

Test(matching_law, there_is_rest_after_a_service_whose_order_is_closed) {
  WITH(policy.rest_min = 60);
  given_volunteer(1, (struct a_volunteer){0});
  given_booking(6, (struct an_order){0});
  when_started(6, 1, 1);
  when_closed(6, PD_ORDER_STATE_COMPLETED);
  core_skip(&h);
  when_placed(7, (struct an_order){0});
  expect_hour(HOURS(10));
}

Test(matching_law, a_day_has_so_many_hours_of_service) {
  WITH(policy.day_max_min = 120);
  given_volunteer(1, (struct a_volunteer){0});
  given_booking(6, (struct an_order){.minutes = 61});
  when_placed(7, (struct an_order){.end_min = DAY + HOURS(9)});
  expect_hour(DAY); /* the next day */
}

Test(matching_law, a_service_that_is_longer_than_a_day_may_be_fits_no_day) {
  WITH(policy.day_max_min = 59);
  given_volunteer(1, (struct a_volunteer){0});
  when_placed(7, (struct an_order){0});
  expect_only_reason(PD_REASON_DAY_FULL);
}

Test(matching_law, what_was_served_counts_for_the_day_when_its_order_is_closed) {
  WITH(policy.day_max_min = 100);
  given_volunteer(1, (struct a_volunteer){0});
  given_booking(6, (struct an_order){0});
  when_started(6, 1, 1);
  when_closed(6, PD_ORDER_STATE_COMPLETED);
  core_skip(&h);
  when_placed(7, (struct an_order){0});
  expect_only_reason(PD_REASON_DAY_FULL);
}

Test(matching_law, the_farthest_rule_that_any_start_came_to_is_the_reason) {
  given_volunteer(1, (struct a_volunteer){.day_mask = 1u << 8 | 1u << 12});
  given_paper(1, PD_CREDENTIAL_KIND_INSURANCE, 0, HOURS(8));
  given_booking(6, (struct an_order){0}); /* at 8 */
  when_placed(7, (struct an_order){.dangerous = true});
  expect_only_reason(PD_REASON_INSURANCE);
}

/* ---- what is on record changes ---- */

Test(matching_law, a_yes_is_no_booking_when_the_paper_was_withdrawn_meanwhile) {
  given_volunteer(1, (struct a_volunteer){0});
  given_paper(1, PD_CREDENTIAL_KIND_INSURANCE, 0, 10 * DAY);
  when_placed(7, (struct an_order){.dangerous = true});
  core_skip(&h);
  given_paper(1, PD_CREDENTIAL_KIND_INSURANCE, 0, 0);
  expect_silence();
  when_answered(7, 1, true);
  expect_closed(7, 1, PD_REASON_INSURANCE);
  expect_unmatched(7, 2);
}

Test(matching_law, a_booking_ends_when_the_paper_it_rests_on_is_withdrawn) {
  given_volunteer(1, (struct a_volunteer){0});
  given_paper(1, PD_CREDENTIAL_KIND_INSURANCE, 0, 10 * DAY);
  given_booking(7, (struct an_order){.dangerous = true});
  given_booking(8, (struct an_order){0});
  given_paper(1, PD_CREDENTIAL_KIND_INSURANCE, 0, HOURS(7));
  expect_reopened(7, 1, 1, PD_REASON_INSURANCE);
  expect_unmatched(7, 2);
  expect_silence();
}

Test(matching_law, a_service_that_has_begun_goes_on_whatever_is_withdrawn) {
  given_volunteer(1, (struct a_volunteer){.age = PD_AGE_BAND_14_17});
  given_paper(1, PD_CREDENTIAL_KIND_GUARDIAN_CONSENT, 0, 10 * DAY);
  given_booking(7, (struct an_order){0});
  when_started(7, 1, 1);
  core_skip(&h);
  given_paper(1, PD_CREDENTIAL_KIND_GUARDIAN_CONSENT, 0, 0);
  expect_silence();
}

Test(matching_law, who_is_erased_leaves_no_paper_behind) {
  given_volunteer(1, (struct a_volunteer){0});
  for (uint32_t skill = 1; skill <= pd_limits_small.credentials_each; skill++)
    given_qualification(1, (enum pd_skill)skill, 0, DAY);
  when_erased(1);
  given_paper(1, PD_CREDENTIAL_KIND_INSURANCE, 0, DAY); /* too late */
  for (uint64_t person = 2; person < 18; person++) {
    given_volunteer(person, (struct a_volunteer){.east = 300});
    for (uint32_t skill = 1; skill <= pd_limits_small.credentials_each; skill++)
      given_qualification(person, (enum pd_skill)skill, 0, DAY);
  }
  struct matching *self = h.self;
  cr_assert(*self->free_papers.taken == pd_limits_small.credentials);
}

/* ---- weights ---- */

Test(matching_law, a_branch_that_fits_the_kind_goes_first) {
  WITH(policy.branch_m[8] = 400);
  given_volunteer(1, (struct a_volunteer){.east = 1});
  given_volunteer(2, (struct a_volunteer){.east = 2});
  given_volunteer(3, (struct a_volunteer){.east = 3});
  given_volunteer(4, (struct a_volunteer){.east = 4, .branch = 8});
  given_volunteer(5, (struct a_volunteer){.east = 4, .branch = 7});
  when_placed(7, (struct an_order){0});
  expect_wave(7, 1, 3);
  expect_offer(7, 1);
  expect_offer(7, 2);
  expect_offer(7, 4);
  cr_assert(verdict_on(7, 4).cost.branch_m == 400);
}

Test(matching_law, who_was_helped_lately_helps) {
  WITH((policy.mutual_m = 400, policy.mutual_days = 7));
  given_volunteer(1, (struct a_volunteer){.north = 1});
  given_volunteer(2, (struct a_volunteer){.east = 300});
  given_booking(6, (struct an_order){.requester = 2}); /* 2 is helped by 1 */
  when_started(6, 1, 1);
  when_closed(6, PD_ORDER_STATE_COMPLETED);
  core_skip(&h);
  when_placed(7, (struct an_order){.east = 300});
  cr_assert(verdict_on(7, 2).cost.mutual_m == 400);
  cr_assert(verdict_on(7, 1).cost.mutual_m == 0);
  when_placed(8, (struct an_order){.requester = 1});
  cr_assert(verdict_on(8, 2).cost.mutual_m == 400, "1 serves, so whoever helps 1 is in it");
  at_minute(HOURS(9) + 7 * DAY);
  cr_assert(verdict_on(7, 2).cost.mutual_m == 0, "that is long ago");
}

Test(matching_law, villages_and_towns_by_their_code_are_helped_first_where_orders_compete) {
  static const struct {
    const char *code;
    bool rural;
  } codes[] = {{"370302001001", false}, {"370302100001", false}, {"370302200001", true},
               {"370302399199", true},  {"370302001200", true},  {"370302100399", true},
               {"370302001199", false}, {"", false},             {"37030220000x", false}};
  WITH(policy.rural_m = 700);
  given_volunteer(1, (struct a_volunteer){0});
  for (uint32_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    given_site(i + 1, codes[i].code);
    when_placed(10 + i, (struct an_order){.site = i + 1});
    cr_assert(verdict_on(10 + i, 1).cost.rural_m == (codes[i].rural ? 700 : 0), "%s",
              codes[i].code);
  }
}

/* ---- what would have had to differ ---- */

static struct matching_facts facts_on(uint64_t order, uint64_t person) {
  struct matching_facts facts;
  struct pd_id id = core_id(person);
  cr_assert(matching_facts(h.self, order, &id, h.now_ms, &facts) == PD_OK);
  return facts;
}

Test(matching_law, the_facts_name_the_paper_and_the_service_it_was_needed_for) {
  given_volunteer(1, (struct a_volunteer){.skills = {PD_SKILL_NURSING, PD_SKILL_LAW}});
  given_qualification(1, PD_SKILL_NURSING, 0, 10 * DAY);
  given_qualification(1, PD_SKILL_LAW, HOURS(1), HOURS(8) + 30);
  when_placed(7, (struct an_order){.skills = {PD_SKILL_NURSING, PD_SKILL_LAW}});
  struct matching_facts facts = facts_on(7, 1);
  cr_assert(facts.reason == PD_REASON_QUALIFICATION && facts.skill == PD_SKILL_LAW);
  cr_assert(facts.on_record && facts.until_ms == AT(HOURS(8) + 30));
  cr_assert(facts.start_ms == AT(HOURS(8)) && facts.end_ms == AT(HOURS(9)));
  struct pd_id nobody = core_id(99);
  cr_assert(matching_facts(h.self, 7, &nobody, h.now_ms, &facts) == PD_ENOENT);
}

Test(matching_law, the_facts_name_the_service_that_is_too_near) {
  WITH(policy.rest_min = 90);
  given_volunteer(1, (struct a_volunteer){0});
  given_booking(6, (struct an_order){0});
  when_placed(7, (struct an_order){.start_min = HOURS(9), .end_min = HOURS(10)});
  struct matching_facts facts = facts_on(7, 1);
  cr_assert(facts.reason == PD_REASON_REST && facts.most == 90);
  cr_assert(facts.other_start_ms == AT(HOURS(8)) && facts.other_end_ms == AT(HOURS(9)));
}

Test(matching_law, the_facts_name_what_is_demanded_and_the_minutes_of_the_day) {
  WITH(policy.day_max_min = 100);
  given_volunteer(1, (struct a_volunteer){0});
  given_limit(1, PD_DEMAND_HEIGHTS, 0, 10 * DAY);
  when_placed(7, (struct an_order){.demand = PD_DEMAND_HEIGHTS});
  cr_assert(facts_on(7, 1).demands == 1u << PD_DEMAND_HEIGHTS);
  given_booking(6, (struct an_order){0});
  when_placed(8, (struct an_order){0});
  struct matching_facts facts = facts_on(8, 1);
  cr_assert(facts.reason == PD_REASON_DAY_FULL && facts.have == 60 && facts.most == 100);
}
