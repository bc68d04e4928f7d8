/* The rule behind a reason, what would have had to differ, and how papers are written. */
#include "services/paidan/differ.h"

#include "common/base/calendar.h"
#include "services/paidan/papers.h"

#include <criterion/criterion.h>
#include <string.h>

#define ZONE_MIN 480
#define MONDAY INT64_C(1740960000000) /* 2025-03-03T08:00:00+08:00 */

static void expect(struct matching_facts facts, enum pd_reason reason, const char *zh,
                   const char *en) {
  struct why_differ text = {.zh = "", .en = ""};
  facts.start_ms = MONDAY + 3 * PD_DAY_MS;
  facts.end_ms = facts.start_ms + PD_HOUR_MS;
  differ_lawful(&facts, reason, ZONE_MIN, &text);
  cr_assert(strstr(text.zh, zh) != NULL, "%s", text.zh);
  cr_assert(strstr(text.en, en) != NULL, "%s", text.en);
}

Test(tool_differ, a_paper_that_ends_too_soon_is_to_be_renewed) {
  struct matching_facts facts = {.kind = PD_CREDENTIAL_KIND_INSURANCE,
                                 .on_record = 1,
                                 .from_ms = MONDAY - PD_DAY_MS,
                                 .until_ms = MONDAY};
  expect(facts, PD_REASON_INSURANCE, "请续期", "until 2025-03-03 08:00; the service is on "
                                               "2025-03-06 08:00: renew it");
}

Test(tool_differ, a_paper_that_is_not_there_is_to_be_recorded) {
  struct matching_facts facts = {.kind = PD_CREDENTIAL_KIND_QUALIFICATION,
                                 .skill = PD_SKILL_FIRST_AID};
  expect(facts, PD_REASON_QUALIFICATION, "无记录",
         "the qualification for first_aid is not on record");
  facts.on_record = 1;
  expect(facts, PD_REASON_QUALIFICATION, "已撤回", "was withdrawn");
}

Test(tool_differ, hours_are_told_beside_the_window) {
  struct matching_facts facts = {.hours = {UINT64_C(3) << (24 + 14), 0, UINT64_C(1) << 39},
                                 .window_start_ms = MONDAY,
                                 .window_end_ms = MONDAY + 4 * PD_HOUR_MS};
  expect(facts, PD_REASON_HOURS, "本人空闲 Tue 14-16, Sun 23-24",
         "free on Tue 14-16, Sun 23-24; the window is 2025-03-03 08:00 to 2025-03-03 12:00");
}

Test(tool_differ, health_rest_and_the_day_are_told_with_their_figures) {
  expect((struct matching_facts){.demands = 1u << PD_DEMAND_HEAVY | 1u << PD_DEMAND_DUST,
                                 .until_ms = PAPERS_FOREVER},
         PD_REASON_HEALTH, "heavy, dust", "rather not do until ∞");
  expect((struct matching_facts){.most = 30,
                                 .other_start_ms = MONDAY,
                                 .other_end_ms = MONDAY + PD_HOUR_MS},
         PD_REASON_REST, "30 分钟", "from 2025-03-03 08:00 to 2025-03-03 09:00");
  expect((struct matching_facts){.have = 400, .most = 480}, PD_REASON_DAY_FULL, "400", "480");
}

Test(tool_differ, a_week_of_single_hours_fits_into_its_sentence) {
  struct matching_facts facts = {.hours = {0x5555555555555555, 0x5555555555555555, 0x5555555555}};
  expect(facts, PD_REASON_HOURS, "Mon 00-01", "Mon 00-01");
}

Test(tool_differ, every_hard_rule_names_what_it_rests_on) {
  for (int reason = PD_REASON_INACTIVE; reason <= PD_REASON_TOO_MANY_OFFERS; reason++)
    cr_assert(differ_rule((enum pd_reason)reason)[0] != '\0', "reason %d", reason);
  for (int reason = PD_REASON_NOT_AUTOMATED; reason <= PD_REASON_DAY_FULL; reason++)
    cr_assert(differ_rule((enum pd_reason)reason)[0] != '\0', "reason %d", reason);
  cr_assert(strstr(differ_rule(PD_REASON_INSURANCE), "Art. 17") != NULL);
  cr_assert_str_eq(differ_rule(PD_REASON_UNSPECIFIED), "");
}

/* ---- papers as they are written ---- */

Test(tool_differ, a_day_counts_to_its_end) {
  int64_t from = 0, until = 0;
  cr_assert(papers_time("2025-03-03", ZONE_MIN, false, &from));
  cr_assert(papers_time("2025-03-03", ZONE_MIN, true, &until));
  cr_assert(from == MONDAY - 8 * PD_HOUR_MS && until == from + PD_DAY_MS);
  cr_assert(papers_time("2025-03-03T08:00:00+08:00", ZONE_MIN, true, &until) && until == MONDAY);
  cr_assert(!papers_time("tomorrow", ZONE_MIN, true, &until));
  cr_assert(!papers_time("2025-13-03", ZONE_MIN, true, &until));
}

static bool entry(const char *text, struct pd_record_credential *paper) {
  *paper = (struct pd_record_credential)PD_RECORD_CREDENTIAL_INIT;
  return papers_entry(text, strlen(text), ZONE_MIN, paper);
}

Test(tool_differ, a_column_names_papers_with_their_last_day) {
  struct pd_record_credential paper;
  cr_assert(entry("insurance:2025-03-02", &paper));
  cr_assert(paper.kind == PD_CREDENTIAL_KIND_INSURANCE &&
            paper.until_ms == MONDAY - 8 * PD_HOUR_MS);
  cr_assert(entry("qualification.first_aid:2025-03-02", &paper));
  cr_assert(paper.skill == PD_SKILL_FIRST_AID);
  cr_assert(entry("automated:no", &paper) && paper.until_ms == 0);
  cr_assert(!entry("insurance", &paper) && !entry("insurance:soon", &paper));
  cr_assert(!entry("qualification:2025-03-02", &paper));
  cr_assert(!entry("insurance.law:2025-03-02", &paper));
  cr_assert(!entry("licence:2025-03-02", &paper));
}

Test(tool_differ, limits_are_words_each_once) {
  enum pd_demand list[PAPERS_DEMANDS];
  size_t count;
  cr_assert(papers_demands("heavy|dust", list, &count) && count == 2);
  cr_assert(list[0] == PD_DEMAND_HEAVY && list[1] == PD_DEMAND_DUST);
  cr_assert(papers_demands("", list, &count) && count == 0);
  cr_assert(!papers_demands("heavy|heavy", list, &count));
  cr_assert(!papers_demands("heavy|", list, &count) && !papers_demands("fast", list, &count));
}
