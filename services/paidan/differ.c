#include "services/paidan/differ.h"

#include "common/base/calendar.h"
#include "services/paidan/papers.h"
#include "services/paidan/proto_json.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define TEXT WHY_DIFFER

/* The two sentences in the making. */
struct differ {
  const struct matching_facts *facts;
  int32_t zone_min;
  char *zh;
  char *en;
};

static const char *const rules[] = {
    [PD_REASON_INACTIVE] = "the volunteer's own word (志愿服务条例 Art. 25)",
    [PD_REASON_OWN_ORDER] = "the district's rule_own_order",
    [PD_REASON_ALREADY_ASKED] = "the volunteer's own word: asked once (Art. 25)",
    [PD_REASON_SKILL] = "志愿服务条例 Art. 15: tasks fit knowledge and skill",
    [PD_REASON_RADIUS] = "the volunteer's own word, or the district's reach_m",
    [PD_REASON_AGE] = "the rules for minors: never in rescue work or emergencies (Art. 15)",
    [PD_REASON_NOT_VETTED] = "the district's rule_not_vetted (Art. 15)",
    [PD_REASON_HOURS] = "the volunteer's own word",
    [PD_REASON_OVERLAP] = "nobody is in two places at once",
    [PD_REASON_CAPACITY] = "the volunteer's own word",
    [PD_REASON_TOO_MANY_OFFERS] = "a limit of the shard: nobody is flooded with offers",
    [PD_REASON_RANKED_LOWER] = "the district's weights (Art. 13: answered promptly)",
    [PD_REASON_NOT_AUTOMATED] = "个人信息保护法 PIPL Art. 24: automated decisions may be refused",
    [PD_REASON_BLOCKED] = "one person's own word; the other is not told",
    [PD_REASON_GENDER] = "the order, as the district's gender_categories allow",
    [PD_REASON_HEALTH] = "志愿服务条例 Art. 15: tasks fit health",
    [PD_REASON_GUARDIAN] = "the rules for minors; PIPL Art. 31: a guardian consents",
    [PD_REASON_QUALIFICATION] = "志愿服务条例 Art. 16: professional tasks need a valid qualification",
    [PD_REASON_INSURANCE] = "志愿服务条例 Art. 17: insurance before bodily danger",
    [PD_REASON_REST] = "the district's rest_minutes",
    [PD_REASON_DAY_FULL] = "the district's day_max_minutes",
};

static void say(struct differ *differ, const char *zh, const char *en) {
  snprintf(differ->zh, TEXT, "%s", zh);
  snprintf(differ->en, TEXT, "%s", en);
}

/* "2026-03-04 08:00" in local time. */
static const char *moment(const struct differ *differ, int64_t time_ms, char text[PD_TIME_TEXT]) {
  if (time_ms >= PAPERS_FOREVER) return "∞";
  pd_time_text(time_ms, differ->zone_min, text);
  text[10] = ' ';
  text[16] = '\0';
  return text;
}

/* "Mon 08-12, Tue 14-16": the hours of a week. */
static void list_hours(const uint64_t hours[3], char *text, size_t size) {
  static const char days[7][4] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
  size_t used = 0;
  text[0] = '\0';
  for (unsigned hour = 0; hour < 168 && used < size; hour++) {
    unsigned from = hour;
    while (hour < 168 && hour / 24 == from / 24 && (hours[hour / 64] >> hour % 64 & 1) != 0) hour++;
    if (hour == from) continue;
    int wrote = snprintf(text + used, size - used, "%s%s %02u-%02u", used == 0 ? "" : ", ",
                         days[from / 24], from % 24, hour - from / 24 * 24);
    used += wrote > 0 ? (size_t)wrote : 0;
    hour--;
  }
}

static void list_names(const ProtobufCEnumDescriptor *type, const char *prefix, uint32_t mask,
                       char *text, size_t size) {
  size_t used = 0;
  text[0] = '\0';
  for (; mask != 0 && used < size; mask &= mask - 1) {
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value(type, __builtin_ctz(mask));
    const char *name = value == NULL ? "?" : value->name + strlen(prefix);
    int wrote = snprintf(text + used, size - used, "%s%s", used == 0 ? "" : ", ", name);
    used += wrote > 0 ? (size_t)wrote : 0;
  }
  for (char *c = text; *c != '\0'; c++) *c = (char)tolower(*c);
}

/* ---- sentences ---- */

static void differ_paper(struct differ *differ) {
  static const char *const zh[] = {"", "职业资格", "保险", "监护人同意"};
  static const char *const en[] = {"", "the qualification", "insurance", "a guardian's consent"};
  const struct matching_facts *facts = differ->facts;
  char until[PD_TIME_TEXT], from[PD_TIME_TEXT], start[PD_TIME_TEXT], skill[64] = "";
  const char *when = moment(differ, facts->start_ms, start);
  if (facts->skill != 0)
    list_names(&paidan__v1__skill__descriptor, "SKILL_", 1u << facts->skill, skill, sizeof skill);
  const char *gap = skill[0] == '\0' ? "" : " for ";
  if (!facts->on_record || facts->until_ms == 0) {
    snprintf(differ->zh, TEXT, "%s%s%s；服务时间 %s：请到站点登记", zh[facts->kind], skill,
             facts->on_record ? "已撤回" : "无记录", when);
    snprintf(differ->en, TEXT, "%s%s%s %s; the service is on %s: record it at the site",
             en[facts->kind], gap, skill, facts->on_record ? "was withdrawn" : "is not on record",
             when);
    return;
  }
  snprintf(differ->zh, TEXT, "%s%s有效期 %s 至 %s；服务时间 %s：请续期", zh[facts->kind], skill,
           moment(differ, facts->from_ms, from), moment(differ, facts->until_ms, until), when);
  snprintf(differ->en, TEXT, "%s%s%s from %s until %s; the service is on %s: renew it",
           en[facts->kind], gap, skill, from, moment(differ, facts->until_ms, until), when);
}

static void differ_hours(struct differ *differ) {
  char hours[200], from[PD_TIME_TEXT], to[PD_TIME_TEXT];
  list_hours(differ->facts->hours, hours, sizeof hours);
  const char *start = moment(differ, differ->facts->window_start_ms, from);
  const char *end = moment(differ, differ->facts->window_end_ms, to);
  snprintf(differ->zh, TEXT, "本人空闲 %s；订单时段 %s 至 %s", hours, start, end);
  snprintf(differ->en, TEXT, "free on %s; the window is %s to %s", hours, start, end);
}

static void differ_rest(struct differ *differ) {
  const struct matching_facts *facts = differ->facts;
  char from[PD_TIME_TEXT], to[PD_TIME_TEXT], start[PD_TIME_TEXT];
  const char *a = moment(differ, facts->other_start_ms, from);
  const char *b = moment(differ, facts->other_end_ms, to);
  const char *c = moment(differ, facts->start_ms, start);
  snprintf(differ->zh, TEXT, "已有服务 %s 至 %s，此单 %s，须间隔 %u 分钟", a, b, c, facts->most);
  snprintf(differ->en, TEXT, "serves from %s to %s, this would be on %s: %u minutes of rest lack",
           a, b, c, facts->most);
}

static void differ_day(struct differ *differ) {
  const struct matching_facts *facts = differ->facts;
  snprintf(differ->zh, TEXT, "当天已有 %u 分钟，上限 %u 分钟", facts->have, facts->most);
  snprintf(differ->en, TEXT, "has %u minutes of service on that day, %u at most", facts->have,
           facts->most);
}

static void differ_health(struct differ *differ) {
  char what[128], until[PD_TIME_TEXT];
  list_names(&paidan__v1__demand__descriptor, "DEMAND_", differ->facts->demands, what, sizeof what);
  const char *when = moment(differ, differ->facts->until_ms, until);
  snprintf(differ->zh, TEXT, "任务要求 %s，本人说明在 %s 前不宜", what, when);
  snprintf(differ->en, TEXT, "the task demands %s, which they would rather not do until %s", what,
           when);
}

const char *differ_rule(enum pd_reason reason) {
  size_t number = (size_t)reason;
  const char *rule = number < sizeof rules / sizeof rules[0] ? rules[number] : NULL;
  return rule == NULL ? "" : rule;
}

void differ_lawful(const struct matching_facts *facts, enum pd_reason reason, int32_t zone_min,
                   struct why_differ *text) {
  struct differ differ = {
      .facts = facts, .zone_min = zone_min, .zh = text->zh, .en = text->en};
  bool female = facts->gender == PD_GENDER_FEMALE;
  switch ((int)reason) {
  case PD_REASON_HOURS: differ_hours(&differ); break;
  case PD_REASON_REST: differ_rest(&differ); break;
  case PD_REASON_DAY_FULL: differ_day(&differ); break;
  case PD_REASON_HEALTH: differ_health(&differ); break;
  case PD_REASON_GUARDIAN: case PD_REASON_QUALIFICATION: case PD_REASON_INSURANCE:
    differ_paper(&differ);
    break;
  case PD_REASON_NOT_AUTOMATED:
    say(&differ, "本人重新同意自动派单，或由协调员点名",
        "would need consent to automated matching again, or a coordinator who names them");
    break;
  case PD_REASON_BLOCKED: say(&differ, "须由提出者解除", "would need who said it to lift it"); break;
  case PD_REASON_GENDER:
    say(&differ, female ? "此单要求女性" : "此单要求男性",
        female ? "the order asks for a woman" : "the order asks for a man");
    break;
  default: break;
  }
}
