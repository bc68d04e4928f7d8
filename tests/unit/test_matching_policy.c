/* The rules of a district: how their file is read, how they are adopted, and whom they invite. */
#include "services/matching/policy.h"
#include "services/matching/policy_file.h"
#include "tests/unit/matching_harness.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void begin(void) { matching_begin_with(&matching_policy_default, &pd_limits_small); }

TestSuite(matching_policy, .init = begin, .fini = matching_end);

static struct matching_rules rules;
static char why[256];

static enum pd_err parse(const char *yaml) {
  return policy_parse("rules.yaml", (const uint8_t *)yaml, strlen(yaml), &rules, why, sizeof why);
}

static void refuses(const char *yaml, const char *place, const char *reason) {
  struct matching_rules before;
  cr_assert(parse("wave_max: 9\n") == PD_OK);
  before = rules;
  cr_assert(parse(yaml) == PD_EINVAL);
  cr_assert(strncmp(why, place, strlen(place)) == 0, "%s", why);
  cr_assert(strstr(why, reason) != NULL, "%s", why);
  cr_assert(memcmp(&before, &rules, sizeof rules) == 0, "the old rules stay");
}

Test(matching_policy, reads_numbers_for_all_kinds_and_for_one) {
  cr_assert(parse("offers_per_slot: 4\nemergency.offers_per_slot: 8\nvisit.fairness_m: 0\n") ==
            PD_OK);
  cr_assert(rules.of[PD_ORDER_KIND_WISH].offers_per_slot == 4);
  cr_assert(rules.of[PD_ORDER_KIND_EMERGENCY].offers_per_slot == 8);
  cr_assert(rules.of[PD_ORDER_KIND_VISIT].fairness_m == 0);
  cr_assert(rules.of[PD_ORDER_KIND_VISIT].offers_per_slot == 4);
  cr_assert(rules.of[PD_ORDER_KIND_WISH].fairness_m == matching_policy_default.fairness_m);
}

Test(matching_policy, an_empty_file_is_the_defaults) {
  struct matching_rules defaults;
  policy_fill(&defaults, &matching_policy_default);
  cr_assert(parse("") == PD_OK);
  cr_assert(memcmp(&defaults, &rules, sizeof rules) == 0);
}

Test(matching_policy, refuses_an_unknown_key_with_its_place) {
  refuses("wave_max: 8\noffers_per_slut: 3\n", "rules.yaml:2:1", "offers_per_slut");
  refuses("wave_max: 8\nparty.wave_max: 3\n", "rules.yaml:2:1", "party.wave_max");
}

Test(matching_policy, refuses_what_the_law_does_not_let_a_district_turn_off) {
  refuses("rule_skill: 0\n", "rules.yaml:1:1", "rule_skill");
  refuses("rule_hours: 0\n", "rules.yaml:1:1", "rule_hours");
}

Test(matching_policy, refuses_a_value_out_of_range_with_its_place) {
  refuses("wave_max: 10000\n", "rules.yaml:1:11", "from 1 to 64");
  refuses("fairness_m: .nan\n", "rules.yaml:1:13", "whole number");
  refuses("\nmenu.reach_m: -1\n", "rules.yaml:2:15", "whole number");
}

Test(matching_policy, refuses_a_contradiction_with_its_place) {
  refuses("wave_max: 2\noffers_per_slot: 3\n", "rules.yaml:2:18", "from 1 to 2");
  refuses("visit.wave_max: 2\nvisit.offers_per_slot: 5\n", "rules.yaml:2:24", "from 1 to 2");
}

Test(matching_policy, refuses_what_contradicts_itself_or_the_law) {
  refuses("rest_minutes: 600\nday_max_minutes: 900\n", "rules.yaml:2:18", "rest_minutes +");
  refuses("visit.day_max_minutes: 900\nrest_minutes: 600\n", "rules.yaml:1:24", "from 0 to 840");
  refuses("scan_max: 10\ncandidates: 20\n", "rules.yaml:2:13", "candidates <= scan_max");
  refuses("emergency.adults_only: 0\n", "rules.yaml:1:24", "Art. 15");
  refuses("rest_minutes: 1441\n", "rules.yaml:1:15", "from 0 to 1440");
}

Test(matching_policy, reads_lists_of_skills_and_categories) {
  cr_assert(parse("professional: [first_aid, rescue]\ndangerous_categories: roof_repair\n"
                  "gender_categories:\n  - bathing_care\n  - clothing\n") == PD_OK,
            "%s", why);
  cr_assert(rules.of[PD_ORDER_KIND_VISIT].professional ==
            (1u << PD_SKILL_FIRST_AID | 1u << PD_SKILL_RESCUE));
  cr_assert(rules.dangerous.count == 1 && rules.gendered.count == 2);
  cr_assert(strcmp(rules.dangerous.names[0], "roof_repair") == 0);
  cr_assert(strcmp(rules.gendered.names[1], "clothing") == 0);
}

Test(matching_policy, an_empty_list_of_professions_is_not_the_default) {
  cr_assert(parse("professional: []\n") == PD_OK, "%s", why);
  cr_assert(rules.of[0].professional == 0);
  matching_propose(h.self, &rules);
  core_time(&h, h.now_ms);
  core_expect(&h, PD_EVENT_POLICY_ADOPTED);
  core_check_replay(&h);
  struct matching_rules now;
  matching_rules_in_force(h.self, &now);
  cr_assert(memcmp(&now, &rules, sizeof rules) == 0);
}

Test(matching_policy, lists_and_weights_of_branches_are_said_and_followed_as_they_were_read) {
  cr_assert(parse("professional: [law]\nvisit.branch_health_m: 800\nbranch_theory_m: 5\n"
                  "dangerous_categories: [a, abcdefghijklmnopqrstuvwxyz012345]\n"
                  "gender_categories: [bathing_care]\nemergency.adults_only: 1\n") == PD_OK,
            "%s", why);
  cr_assert(rules.of[PD_ORDER_KIND_VISIT].branch_m[8] == 800);
  cr_assert(rules.of[PD_ORDER_KIND_WISH].branch_m[8] == 0);
  cr_assert(rules.of[PD_ORDER_KIND_WISH].branch_m[1] == 5);
  matching_propose(h.self, &rules);
  core_time(&h, h.now_ms);
  core_expect(&h, PD_EVENT_POLICY_ADOPTED);
  struct matching_rules now;
  cr_assert(matching_rules_in_force(h.self, &now) == 1);
  cr_assert(memcmp(&now, &rules, sizeof rules) == 0);
  core_time(&h, h.now_ms);
  expect_silence();
}

Test(matching_policy, refuses_a_list_that_breaks_a_rule_with_its_place) {
  refuses("professional: [nursing, nurse]\n", "rules.yaml:1:15", "'nurse' is none");
  refuses("professional: [Nursing]\n", "rules.yaml:1:15", "'Nursing' is none");
  refuses("professional: [law, law]\n", "rules.yaml:1:15", "there twice");
  refuses("professional: [[law]]\n", "rules.yaml:1:15", "list of words");
  refuses("professional: {law: 1}\n", "rules.yaml:1:15", "list of words");
  refuses("\ngender_categories: [bathing care]\n", "rules.yaml:2:20", "a-z");
  refuses("dangerous_categories: [a, b, a]\n", "rules.yaml:1:23", "each once");
  refuses("dangerous_categories: [abcdefghijklmnopqrstuvwxyz0123456]\n", "rules.yaml:1:23", "32");
  refuses("dangerous_categories: [a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q]\n", "rules.yaml:1:23", "16");
  refuses("visit.professional: [law]\n", "rules.yaml:1:1", "visit.professional");
  refuses("wave_max: [3]\n", "rules.yaml:1:11", "one plain value");
}

Test(matching_policy, says_proposed_rules_once_and_follows_them) {
  cr_assert(parse("visit.offers_per_slot: 2\n") == PD_OK);
  matching_propose(h.self, &rules);
  core_time(&h, h.now_ms);
  const struct pd_policy_adopted *said = core_expect(&h, PD_EVENT_POLICY_ADOPTED)->policy_adopted;
  cr_assert(said->policy == 1 && said->n_values == POLICY_ROWS + 1 + 4); /* and skills */
  core_time(&h, h.now_ms);
  expect_silence();
  for (uint64_t person = 1; person <= 5; person++)
    given_volunteer(person, (struct a_volunteer){.east = (int32_t)person});
  when_placed(7, (struct an_order){.kind = PD_ORDER_KIND_VISIT});
  expect_wave(7, 1, 2);
  core_skip(&h);
  when_placed(8, (struct an_order){.kind = PD_ORDER_KIND_WISH});
  expect_wave(8, 1, 3);
}

Test(matching_policy, does_not_say_rules_that_are_in_force_already) {
  cr_assert(parse("") == PD_OK);
  matching_propose(h.self, &rules);
  core_time(&h, h.now_ms);
  expect_silence();
}

Test(matching_policy, replays_by_the_rules_of_the_log_whatever_the_file_says_now) {
  cr_assert(parse("fairness_m: 700\n") == PD_OK);
  matching_propose(h.self, &rules);
  core_time(&h, h.now_ms);
  core_check_replay(&h); /* a fresh core, to which nothing is proposed */
  struct matching_rules now;
  cr_assert(matching_rules_in_force(h.self, &now) == 1);
  cr_assert(memcmp(&now, &rules, sizeof rules) == 0);
}

Test(matching_policy, an_adopted_number_from_a_stranger_is_brought_within_its_range) {
  struct pd_policy_value wild = PD_POLICY_VALUE_INIT, unknown = PD_POLICY_VALUE_INIT;
  struct pd_policy_value *list[] = {&wild, &unknown};
  struct pd_policy_adopted said = PD_POLICY_ADOPTED_INIT;
  wild.number = PD_POLICY_NUMBER_WAVE_MAX;
  wild.value = 4000000000u;
  unknown.number = (enum pd_policy_number)99;
  unknown.kind = (enum pd_order_kind)99;
  said.values = list;
  said.n_values = 2;
  policy_fold(&rules, &said);
  cr_assert(rules.of[0].wave_max == MATCHING_WAVE_MAX);
}

/* ---- whom the weights invite ---- */

static void placed_and_closed(uint64_t order, struct an_order as) {
  when_placed(order, as);
  core_skip(&h);
  when_closed(order, PD_ORDER_STATE_UNFILLED);
  core_skip(&h);
}

Test(matching_policy, who_was_asked_much_lets_others_a_little_farther_away_go_first) {
  for (uint64_t person = 1; person <= 3; person++) given_volunteer(person, (struct a_volunteer){0});
  placed_and_closed(1, (struct an_order){0});
  placed_and_closed(2, (struct an_order){0});
  for (uint64_t person = 4; person <= 6; person++)
    given_volunteer(person, (struct a_volunteer){.east = 2}); /* 178 m against 2 offers: 400 m */
  when_placed(3, (struct an_order){0});
  expect_wave(3, 1, 3);
  for (uint64_t person = 4; person <= 6; person++) expect_offer(3, person);
}

Test(matching_policy, offers_of_long_ago_do_not_count) {
  given_volunteer(1, (struct a_volunteer){0});
  placed_and_closed(1, (struct an_order){0});
  at_minute(HOURS(24 * 60));
  when_placed(2, (struct an_order){.start_min = HOURS(24 * 61), .end_min = HOURS(24 * 61 + 9)});
  core_skip(&h);
  when_closed(2, PD_ORDER_STATE_UNFILLED);
  when_placed(3, (struct an_order){.start_min = HOURS(24 * 61), .end_min = HOURS(24 * 61 + 9)});
  cr_assert(verdict_on(3, 1).cost.fairness_m == 400, "order 2 and order 3, not order 1");
}

Test(matching_policy, the_same_volunteer_comes_again_to_the_same_old_person) {
  given_volunteer(1, (struct a_volunteer){.east = 8});
  when_placed(1, (struct an_order){.requester = 77});
  core_skip(&h);
  when_answered(1, 1, true);
  when_started(1, 1, 1);
  when_served(1);
  when_closed(1, PD_ORDER_STATE_COMPLETED);
  for (uint64_t person = 2; person <= 5; person++)
    given_volunteer(person, (struct a_volunteer){.east = 1});
  core_skip(&h);
  uint32_t tomorrow = HOURS(24);
  when_placed(
      2, (struct an_order){
             .requester = 77, .start_min = tomorrow + HOURS(8), .end_min = tomorrow + HOURS(18)});
  const struct pd_wave_opened *wave = expect_wave(2, 1, 3);
  cr_assert(wave->considered == 5 && wave->n_excluded == 1);
  cr_assert(wave->excluded[0]->reason == PD_REASON_RANKED_LOWER && wave->excluded[0]->count == 2);
  expect_offer(2, 2);
  expect_offer(2, 3);
  expect_offer(2, 1);
}

Test(matching_policy, an_offer_tells_what_it_costs) {
  struct a_volunteer nurse = {.east = 3, .skills = {PD_SKILL_NURSING}, .vetted = true};
  given_volunteer(1, nurse);
  when_placed(1, (struct an_order){.requester = 77, .skills = {PD_SKILL_NURSING}});
  core_skip(&h);
  when_answered(1, 1, true);
  when_started(1, 1, 1);
  when_served(1);
  when_closed(1, PD_ORDER_STATE_COMPLETED);
  for (uint64_t person = 2; person <= 60; person++)
    given_volunteer(person, (struct a_volunteer){.east = 9});
  core_skip(&h);
  uint32_t tomorrow = HOURS(24);
  when_placed(
      2, (struct an_order){
             .requester = 77, .start_min = tomorrow + HOURS(8), .end_min = tomorrow + HOURS(18)});
  expect_wave(2, 1, 3);
  const struct pd_offer_made *said = expect_offer(2, 1);
  cr_assert(said->fairness_m == 100 && said->continuity_m == 1000 && said->rare_m == 300);
  said = expect_offer(2, 2);
  cr_assert(said->fairness_m == 0 && said->continuity_m == 0 && said->rare_m == 0);
  struct matching_verdict verdict = verdict_on(2, 30);
  cr_assert(verdict.reason == PD_REASON_RANKED_LOWER && verdict.wave_m == said->distance_m);
  cr_assert(verdict_on(2, 1).wave_m == verdict.wave_m);
}

Test(matching_policy, a_rare_skill_is_kept_for_who_needs_it) {
  struct a_volunteer nurse = {.skills = {PD_SKILL_NURSING}, .vetted = true};
  given_volunteer(1, nurse);
  for (uint64_t person = 2; person <= 60; person++)
    given_volunteer(person, (struct a_volunteer){.east = 1});
  when_placed(1, (struct an_order){0});
  expect_wave(1, 1, 3);
  for (uint64_t person = 2; person <= 4; person++) expect_offer(1, person);
  when_placed(2, (struct an_order){.skills = {PD_SKILL_NURSING}});
  expect_wave(2, 1, 1);
  cr_assert(expect_offer(2, 1)->distance_m == 0);
}

static int by_cost(const void *a, const void *b) {
  const struct matching_verdict *x = a, *y = b;
  return (x->cost.total_m > y->cost.total_m) - (x->cost.total_m < y->cost.total_m);
}

/* Whatever the walk leaves out is no cheaper: the wave costs what the cheapest of all cost. */
Test(matching_policy, invites_the_cheapest_of_all_candidates) {
  static struct matching_verdict all[64];
  for (uint64_t person = 1; person <= 50; person++)
    given_volunteer(person, (struct a_volunteer){.east = (int32_t)(person * 7 % 23),
                                                 .north = (int32_t)(person * 5 % 17)});
  for (uint64_t order = 1; order <= 60; order++) {
    struct an_order as = {.east = (int32_t)(order % 9), .need = 1 + (uint32_t)order % 2};
    when_placed(order, as);
    const struct pd_wave_opened *wave = core_last(&h, PD_EVENT_WAVE_OPENED)->wave_opened;
    uint32_t count = matching_candidates(h.self, order, h.now_ms, all, 64);
    int64_t invited = 0, best = 0;
    cr_assert(count == 50 && wave->order == order);
    for (uint32_t i = 0; i < count; i++) {
      struct matching_cost *cost = &all[i].cost;
      bool was = all[i].reason == PD_REASON_ALREADY_ASKED;
      int64_t root = 0; /* undo what this offer itself has added to the load */
      while ((root + 1) * (root + 1) * 100 <= cost->fairness_m) root++;
      if (was) cost->total_m += 100 * (root - 1) * (root - 1) - cost->fairness_m;
      if (was) invited += cost->total_m;
    }
    qsort(all, count, sizeof *all, by_cost);
    for (uint32_t i = 0; i < wave->offers; i++) best += all[i].cost.total_m;
    cr_assert(invited == best, "order %d: %d m, could be %d m", (int)order, (int)invited,
              (int)best);
    when_closed(order, PD_ORDER_STATE_UNFILLED);
    core_skip(&h);
  }
}

/* ---- how many are invited ---- */

/* Orders of one kind, each offered to three people, of whom the first `yes` accept it. */
static void given_answers(uint64_t orders, uint64_t yes) {
  for (uint64_t person = 1; person <= 40; person++)
    given_volunteer(person, (struct a_volunteer){0});
  for (uint64_t order = 1; order <= orders; order++) {
    core_skip(&h);
    when_placed(order, (struct an_order){.need = 3, .kind = PD_ORDER_KIND_VISIT});
    const struct pd_wave_opened *wave = core_last(&h, PD_EVENT_WAVE_OPENED)->wave_opened;
    size_t first = h.said.count - wave->offers;
    for (uint64_t i = 0; i < wave->offers && i < 3; i++) {
      const struct pd_offer_made *made =
          ((const struct pd_event *)h.said.items[first + i])->offer_made;
      uint64_t person;
      memcpy(&person, made->volunteer.data + 8, sizeof person);
      when_answered(order, person, i < yes);
    }
    when_closed(order, PD_ORDER_STATE_UNFILLED);
  }
  core_skip(&h);
}

Test(matching_policy, a_kind_that_is_mostly_accepted_invites_fewer) {
  given_answers(30, 3);
  struct matching_answers answers = matching_answers(h.self, PD_ORDER_KIND_VISIT);
  cr_assert(answers.known == 90 && answers.accepted == 90);
  when_placed(100, (struct an_order){.kind = PD_ORDER_KIND_VISIT});
  expect_wave(100, 1, 2);
  core_skip(&h);
  when_placed(101, (struct an_order){.kind = PD_ORDER_KIND_WISH});
  expect_wave(101, 1, 3);
}

Test(matching_policy, a_kind_that_is_mostly_declined_invites_more) {
  given_answers(30, 1);
  struct matching_answers answers = matching_answers(h.self, PD_ORDER_KIND_VISIT);
  cr_assert(answers.known == 90 && answers.accepted == 30);
  when_placed(100, (struct an_order){.kind = PD_ORDER_KIND_VISIT});
  expect_wave(100, 1, 6);
}

Test(matching_policy, a_kind_that_nobody_accepts_does_not_invite_the_whole_district) {
  cr_assert(parse("wave_max: 9\n") == PD_OK);
  matching_propose(h.self, &rules);
  core_time(&h, h.now_ms);
  given_answers(30, 0);
  when_placed(100, (struct an_order){.kind = PD_ORDER_KIND_VISIT});
  expect_wave(100, 1, 9);
}

/* ---- figures ---- */

Test(matching_policy, figures_say_who_waits_and_how_the_load_is_spread) {
  for (uint64_t person = 1; person <= 4; person++)
    given_volunteer(person, (struct a_volunteer){.east = (int32_t)person});
  struct matching_figures none = matching_figures(h.self, h.now_ms);
  cr_assert(none.active == 4 && none.never_invited == 4 && none.load_gini_permille == 0);
  when_placed(1, (struct an_order){0});
  when_placed(2, (struct an_order){.skills = {PD_SKILL_LAW}});
  when_paused(1);
  struct matching_figures some = matching_figures(h.self, AT(60));
  cr_assert(some.active == 3 && some.never_invited == 1);
  cr_assert(some.longest_wait_ms == 60 * 60000);
  cr_assert(some.orders_open == 2 && some.orders_without_offer == 1);
  cr_assert(some.load_gini_permille == 333, "0, 1, 1: one third, not %u", some.load_gini_permille);
}

Test(matching_policy, the_recommended_rules_can_be_read) {
  cr_assert(policy_read(RULES_FILE, &rules, why, sizeof why) == PD_OK, "%s", why);
  cr_assert(rules.gendered.count > 0 && rules.of[PD_ORDER_KIND_EMERGENCY].dangerous == 1);
  cr_assert(rules.of[PD_ORDER_KIND_VISIT].rest_min == 30);
}
