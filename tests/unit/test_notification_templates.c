#include "common/base/utf8.h"
#include "services/notification/templates.h"

#include <criterion/criterion.h>
#include <string.h>

#define ZONE_MIN 480
#define TUESDAY_MS INT64_C(1741017600000) /* 2025-03-04 00:00 at +08:00 */
#define HOUR_MS INT64_C(3600000)

static struct notification_message message_of(enum pd_template template) {
  return (struct notification_message){.template = template,
                                       .order = 42,
                                       .kind = PD_ORDER_KIND_WISH,
                                       .start_ms = TUESDAY_MS + 9 * HOUR_MS,
                                       .end_ms = TUESDAY_MS + 11 * HOUR_MS,
                                       .until_ms = TUESDAY_MS + 8 * HOUR_MS,
                                       .minutes = 6000,
                                       .points = 4,
                                       .need = 2,
                                       .star = 1,
                                       .distance_m = 350};
}

static struct notification_text rendered(const struct notification_message *message) {
  struct notification_text text;
  notification_render(message, ZONE_MIN, &text);
  return text;
}

Test(templates, every_template_has_words_in_both_languages) {
  for (int template = PD_TEMPLATE_ORDER_RECEIVED; template <= PD_TEMPLATE_COVERAGE; template ++) {
    struct notification_message message = message_of(template);
    struct notification_text text = rendered(&message);
    cr_assert(strlen(text.zh) > 20 && strlen(text.en) > 20, "template %d is short", template);
    cr_assert(pd_utf8_valid(text.zh, strlen(text.zh)), "template %d: zh is not UTF-8", template);
    cr_assert(strpbrk(text.zh, "{}") == NULL && strpbrk(text.en, "{}") == NULL, "%s", text.en);
    for (const char *at = text.en; *at != '\0'; at++)
      cr_assert((unsigned char)*at < 128, "template %d: en is not English", template);
    cr_assert((unsigned char)text.zh[0] >= 0xe4, "template %d does not begin in Chinese", template);
    cr_assert_str_neq(notification_template_name(template), "unspecified");
  }
}

Test(templates, an_offer_says_what_where_and_until_when) {
  struct notification_message message = message_of(PD_TEMPLATE_OFFER);
  struct notification_text text = rendered(&message);
  cr_assert_str_eq(text.zh,
                   "邀请您参加志愿服务：微心愿，单号 42，3月4日09:00至11:00，距您约 350 米。"
                   "请在3月4日08:00前答复；不方便可以拒绝，没有任何影响。");
  cr_assert_str_eq(text.en,
                   "You are invited to help: wish, no. 42, 4 Mar 09:00 to 11:00, about 350 m from "
                   "you. Please answer by 4 Mar 08:00; you may decline, and it costs you nothing.");
}

Test(templates, a_span_over_midnight_names_both_days) {
  struct notification_message message = message_of(PD_TEMPLATE_HELP_FOUND);
  message.start_ms = TUESDAY_MS - HOUR_MS;
  message.end_ms = TUESDAY_MS + HOUR_MS;
  struct notification_text text = rendered(&message);
  cr_assert(strstr(text.zh, "3月3日23:00至3月4日01:00") != NULL, "%s", text.zh);
  cr_assert(strstr(text.en, "3 Mar 23:00 to 4 Mar 01:00") != NULL, "%s", text.en);
}

Test(templates, a_longer_way_is_told_in_kilometres) {
  struct notification_message message = message_of(PD_TEMPLATE_OFFER);
  message.distance_m = 1249;
  struct notification_text text = rendered(&message);
  cr_assert(strstr(text.zh, "约 1.2 公里") != NULL, "%s", text.zh);
  cr_assert(strstr(text.en, "about 1.2 km") != NULL, "%s", text.en);
}

Test(templates, a_star_counts_hours_and_reads_as_people_say_it) {
  struct notification_message message = message_of(PD_TEMPLATE_STAR);
  struct notification_text text = rendered(&message);
  cr_assert_str_eq(text.zh, "祝贺您！累计志愿服务 100 小时，成为一星志愿者。");
  message.star = 5;
  cr_assert(strstr(rendered(&message).zh, "五星") != NULL);
}

Test(templates, the_largest_numbers_fit) {
  for (int template = 0; template <= PD_TEMPLATE_COVERAGE; template ++) {
    struct notification_message message = message_of(template);
    message.order = UINT64_MAX;
    message.minutes = INT64_MIN;
    message.points = INT64_MIN;
    message.need = message.star = message.distance_m = UINT32_MAX;
    message.cells = message.asked = message.starved = UINT32_MAX;
    message.kind = (enum pd_order_kind)99;
    message.end_ms += INT64_C(40) * 365 * 24 * HOUR_MS;
    struct notification_text text = rendered(&message);
    cr_assert(strlen(text.zh) < NOTIFICATION_TEXT_MAX);
  }
}

Test(templates, an_unknown_template_gives_a_neutral_sentence) {
  struct notification_message message = message_of((enum pd_template)99);
  cr_assert_str_eq(rendered(&message).en, "There is news about request no. 42.");
  cr_assert_str_eq(notification_template_name((enum pd_template)99), "unspecified");
}
