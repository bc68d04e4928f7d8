/* What would have had to be different: each reason with the figures as they stood. */
#include "services/paidan/why_differ.h"

#include "common/base/calendar.h"

#include <criterion/criterion.h>
#include <string.h>

#define ZONE_MIN 480
#define MONDAY INT64_C(1740960000000) /* 2025-03-03T08:00:00+08:00 */

static struct why_differ told(enum pd_reason reason, int64_t dearest_m) {
  struct matching_verdict verdict = {.distance_m = 3962};
  verdict.cost = (struct matching_cost){
      .way_m = 840, .fairness_m = 400, .continuity_m = 0, .rare_m = 0, .total_m = 1240};
  struct matching_standing standing = {.first_ms = MONDAY,
                                       .last_ms = MONDAY + 4 * PD_HOUR_MS,
                                       .clash_order = 12,
                                       .clash_start_ms = MONDAY,
                                       .clash_end_ms = MONDAY + PD_HOUR_MS,
                                       .missing_skills = 1u << PD_SKILL_HAIRCUT,
                                       .radius_m = 3000,
                                       .reach_m = 50000,
                                       .recent_permille = 2000,
                                       .booked = 3,
                                       .max_per_week = 3,
                                       .open_offers = 16,
                                       .open_max = 16};
  struct why_differ text;
  why_differ(&verdict, &standing, reason, dearest_m, ZONE_MIN, &text);
  return text;
}

static void expect(enum pd_reason reason, const char *zh, const char *en) {
  struct why_differ text = told(reason, 1100);
  cr_assert(strstr(text.zh, zh) != NULL, "%s", text.zh);
  cr_assert(strstr(text.en, en) != NULL, "%s", text.en);
}

Test(tool_why, who_cost_more_hears_how_much_more_and_what_it_is_made_of) {
  struct why_differ text = told(PD_REASON_RANKED_LOWER, 1100);
  cr_assert_str_eq(text.en, "cost 1240 m, the dearest invited 1100 m: 140 m more (840 m of way, "
                            "400 m for 2.0 recent offers)");
  cr_assert_str_eq(text.zh, "成本 1240 米，最后受邀者 1100 米：高出 140 米（其中路程 840 米、近来受邀 "
                            "2.0 次计 400 米）");
}

Test(tool_why, who_cost_as_much_hears_that_others_were_met_first) {
  cr_assert(strstr(told(PD_REASON_RANKED_LOWER, 1240).en, "as much as the dearest") != NULL);
}

Test(tool_why, the_hard_rules_tell_their_figures) {
  expect(PD_REASON_RADIUS, "超出 962 米", "962 m beyond");
  expect(PD_REASON_SKILL, "haircut", "would need: haircut");
  expect(PD_REASON_CAPACITY, "当周已接 3 单", "3 bookings of at most 3");
  expect(PD_REASON_OVERLAP, "已接订单 12", "order 12, 2025-03-03T08:00");
  expect(PD_REASON_HOURS, "2025-03-03T08:00 至 2025-03-03T12:00", "from 2025-03-03T08:00");
  expect(PD_REASON_TOO_MANY_OFFERS, "16 份邀请", "16 open offers of at most 16");
  expect(PD_REASON_AGE, "未成年人", "a minor");
}

Test(tool_why, who_was_invited_hears_nothing_of_the_kind) {
  cr_assert(told(PD_REASON_UNSPECIFIED, 0).en[0] == 0 && told(PD_REASON_UNSPECIFIED, 0).zh[0] == 0);
}
