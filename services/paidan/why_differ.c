#include "services/paidan/why_differ.h"

#include "common/base/calendar.h"
#include "services/paidan/labels.h"
#include "services/paidan/proto_json.h"

#include <stdio.h>
#include <string.h>

typedef long long ll;

#define ZH(...) (void)snprintf(text->zh, sizeof text->zh, __VA_ARGS__)
#define EN(...) (void)snprintf(text->en, sizeof text->en, __VA_ARGS__)

/* Cost parts beside the way that are not nothing. */
static void say_parts(const struct matching_cost *cost, const struct matching_standing *standing,
                      char *zh, char *en, size_t size) {
  double recent = standing->recent_permille / 1000.0;
  int used_zh = snprintf(zh, size, "其中路程 %lld 米", (ll)cost->way_m);
  int used_en = snprintf(en, size, "%lld m of way", (ll)cost->way_m);
  if (cost->fairness_m != 0) {
    used_zh += snprintf(zh + used_zh, size - (size_t)used_zh, "、近来受邀 %.1f 次计 %lld 米", recent,
                        (ll)cost->fairness_m);
    used_en += snprintf(en + used_en, size - (size_t)used_en, ", %lld m for %.1f recent offers",
                        (ll)cost->fairness_m, recent);
  }
  if (cost->rare_m != 0) {
    used_zh += snprintf(zh + used_zh, size - (size_t)used_zh, "、稀缺技能计 %lld 米",
                        (ll)cost->rare_m);
    used_en += snprintf(en + used_en, size - (size_t)used_en, ", %lld m for rare skills",
                        (ll)cost->rare_m);
  }
  if (cost->continuity_m != 0) {
    (void)snprintf(zh + used_zh, size - (size_t)used_zh, "、熟识减 %lld 米",
                   (ll)cost->continuity_m);
    (void)snprintf(en + used_en, size - (size_t)used_en, ", less %lld m for having served them",
                   (ll)cost->continuity_m);
  }
}

static void ranked_lower(const struct matching_cost *cost,
                         const struct matching_standing *standing, int64_t dearest_m,
                         struct why_differ *text) {
  char zh[160], en[160];
  ll more = (ll)(cost->total_m - dearest_m);
  say_parts(cost, standing, zh, en, sizeof zh);
  if (more <= 0) { /* as dear as the last invited, and met later */
    ZH("成本 %lld 米，与最后受邀者相同，先到者先邀（%s）", (ll)cost->total_m, zh);
    EN("cost %lld m, as much as the dearest invited, who lives no farther (%s)",
       (ll)cost->total_m, en);
    return;
  }
  ZH("成本 %lld 米，最后受邀者 %lld 米：高出 %lld 米（%s）", (ll)cost->total_m, (ll)dearest_m, more,
     zh);
  EN("cost %lld m, the dearest invited %lld m: %lld m more (%s)", (ll)cost->total_m, (ll)dearest_m,
     more, en);
}

static void lacks_skills(const struct matching_standing *standing, struct why_differ *text) {
  char list[160] = "";
  size_t used = 0;
  for (unsigned skill = 1; skill < 32; skill++) {
    char name[PROTO_NAME];
    if ((standing->missing_skills >> skill & 1) == 0 || used >= sizeof list) continue;
    int wrote = snprintf(list + used, sizeof list - used, "%s%s", used == 0 ? "" : ", ",
                         proto_enum(&paidan__v1__skill__descriptor, (int)skill, name));
    used += wrote > 0 ? (size_t)wrote : 0;
  }
  ZH("缺少技能：%s", list);
  EN("would need: %s", list);
}

static void too_far(const struct matching_verdict *verdict,
                    const struct matching_standing *standing, struct why_differ *text) {
  bool own = standing->radius_m <= standing->reach_m;
  uint32_t most = own ? standing->radius_m : standing->reach_m;
  ZH("距离 %u 米，%s %u 米：超出 %u 米", verdict->distance_m, own ? "本人出行范围" : "本区查找范围",
     most, verdict->distance_m - most);
  EN("lives %u m away, %s %u m: %u m beyond", verdict->distance_m,
     own ? "travels at most" : "the district looks at most", most, verdict->distance_m - most);
}

static void no_time(enum pd_reason reason, const struct matching_standing *standing,
                    int32_t zone_min, struct why_differ *text) {
  char from[PD_TIME_TEXT], to[PD_TIME_TEXT];
  if (reason == PD_REASON_HOURS) {
    (void)pd_time_text(standing->first_ms, zone_min, from);
    (void)pd_time_text(standing->last_ms, zone_min, to);
    ZH("本人填报的时间里，%.16s 至 %.16s 之间没有能开始的时刻", from, to);
    EN("would need an hour of the own week in which it can begin, from %.16s to %.16s", from, to);
  } else if (reason == PD_REASON_OVERLAP && standing->clash_order != 0) {
    (void)pd_time_text(standing->clash_start_ms, zone_min, from);
    (void)pd_time_text(standing->clash_end_ms, zone_min, to);
    ZH("已接订单 %llu（%.16s 至 %.16s），别的时刻也不合适",
       (unsigned long long)standing->clash_order, from, to);
    EN("is booked for order %llu, %.16s to %.16s, and no other time suits",
       (unsigned long long)standing->clash_order, from, to);
  } else if (reason == PD_REASON_CAPACITY) {
    ZH("当周已接 %u 单，本人上限 %u 单", standing->booked, standing->max_per_week);
    EN("has %u bookings of at most %u in that week", standing->booked, standing->max_per_week);
  }
}

void why_differ(const struct matching_verdict *verdict, const struct matching_standing *standing,
                enum pd_reason reason, int64_t dearest_m, int32_t zone_min,
                struct why_differ *text) {
  text->zh[0] = text->en[0] = '\0';
  if (reason == PD_REASON_UNSPECIFIED) return;
  if (reason == PD_REASON_RANKED_LOWER) ranked_lower(&verdict->cost, standing, dearest_m, text);
  if (reason == PD_REASON_SKILL) lacks_skills(standing, text);
  if (reason == PD_REASON_RADIUS) too_far(verdict, standing, text);
  if (reason == PD_REASON_TOO_MANY_OFFERS) {
    ZH("有 %u 份邀请待答复，上限 %u 份：答复其一即可", standing->open_offers, standing->open_max);
    EN("%u open offers of at most %u: answering one would have done", standing->open_offers,
       standing->open_max);
  }
  no_time(reason, standing, zone_min, text);
  if (text->zh[0] != '\0') return;
  struct label label = label_reason(reason); /* no figure: it is so, or it is not */
  ZH("若非：%s", label.zh);
  EN("unless: %s", label.en);
}
