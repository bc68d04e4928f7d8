#include "services/notification/templates.h"

#include "common/base/calendar.h"
#include "common/base/err.h"

#include <string.h>

#define TEMPLATE_COUNT (PD_TEMPLATE_COVERAGE + 1)

struct template {
  const char *name;
  const char *zh;
  const char *en;
};

static const struct template templates[TEMPLATE_COUNT] = {
    [PD_TEMPLATE_UNSPECIFIED] = {"unspecified", "单号 {order} 有新的进展。",
                                 "There is news about request no. {order}."},
    [PD_TEMPLATE_ORDER_RECEIVED] =
        {"order_received",
         "已收到您的{kind}，单号 {order}，服务时间 {span}，需要 {need} "
         "人。我们正在为您寻找志愿者。",
         "We have received your {kind}, no. {order}, for {span}, {need} needed. We are looking for "
         "volunteers."},
    [PD_TEMPLATE_OFFER] =
        {"offer",
         "邀请您参加志愿服务：{kind}，单号 {order}，{span}，距您约{distance}。请在{until}前答复；"
         "不方便可以拒绝，没有任何影响。",
         "You are invited to help: {kind}, no. {order}, {span}, about {distance} from you. Please "
         "answer by {until}; you may decline, and it costs you nothing."},
    [PD_TEMPLATE_OFFER_WITHDRAWN] = {"offer_withdrawn",
                                     "单号 {order} 的邀请已结束，您不用前往。感谢您的热心！",
                                     "The invitation to no. {order} has ended; you need not come. "
                                     "Thank you for being ready to help."},
    [PD_TEMPLATE_BOOKED] =
        {"booked", "接单成功：{kind}，单号 {order}，{span}。如不能前往，请尽早告知。",
         "You have it: {kind}, no. {order}, {span}. If you cannot come, please say so early."},
    [PD_TEMPLATE_HELP_FOUND] = {"help_found", "单号 {order} 已有志愿者接单，服务时间 {span}。",
                                "A volunteer will come for no. {order}: {span}."},
    [PD_TEMPLATE_HELPER_LOST] =
        {"helper_lost", "单号 {order} 的一位志愿者不能前来，我们正在为您另找一位。",
         "A volunteer for no. {order} cannot come; we are looking for another."},
    [PD_TEMPLATE_START_REMINDER] =
        {"start_reminder", "提醒：单号 {order} 的服务 {span}，请按时前往。如不能前往，请马上告知。",
         "Reminder: no. {order} takes place {span}. If you cannot come, please say so now."},
    [PD_TEMPLATE_FINISH_REMINDER] =
        {"finish_reminder", "单号 {order} 的服务预计已结束（{span}），结束后请登记完成。",
         "No. {order} should be over by now ({span}); please record the end of your service."},
    [PD_TEMPLATE_CONFIRM_REQUEST] = {"confirm_request", "单号 {order} 的服务已完成，请确认并评价。",
                                     "The service for no. {order} is done; please confirm and rate "
                                     "it."},
    [PD_TEMPLATE_CONFIRM_REMINDER] =
        {"confirm_reminder", "单号 {order} 的服务还没有确认。请确认，志愿者的时长才能记入。",
         "No. {order} is not confirmed yet. Please confirm it, so that the volunteer's hours "
         "count."},
    [PD_TEMPLATE_POINTS] =
        {"points", "单号 {order} 的服务已记入：时长 {minutes} 分钟，积分 {points} 分。感谢您！",
         "Recorded for no. {order}: {minutes} minutes, {points} points. Thank you!"},
    [PD_TEMPLATE_STAR] = {"star", "祝贺您！累计志愿服务 {hours} 小时，成为{star}星志愿者。",
                          "Congratulations! {hours} hours of service: you are a volunteer of "
                          "{star} stars."},
    [PD_TEMPLATE_UNFILLED] =
        {"unfilled", "很抱歉，单号 {order}（{span}）没有找到志愿者。您可以换个时间再次下单。",
         "We are sorry: nobody was found for no. {order} ({span}). You may ask again for another "
         "time."},
    [PD_TEMPLATE_ESCALATED] =
        {"escalated", "单号 {order}（{kind}，{span}，需要 {need} 人）尚未找齐志愿者，请协调。",
         "No. {order} ({kind}, {span}, {need} needed) still lacks volunteers; please step in."},
    [PD_TEMPLATE_CANCELLED] = {"cancelled", "单号 {order}（{span}）已取消，您不用前往。感谢您！",
                               "No. {order} ({span}) was cancelled; you need not come. Thank you."},
    [PD_TEMPLATE_HELD] =
        {"held", "单号 {order} 的 {minutes} 分钟、{points} 分需要另一人核实，最迟{until}。",
         "{minutes} minutes and {points} points for no. {order} wait for a second person to check "
         "them, until {until} at the latest."},
    [PD_TEMPLATE_STOOD_DOWN] =
        {"stood_down",
         "应急任务单号 {order} 人员已到齐，请解除待命，不用前往。感谢您的及时响应！",
         "Stand down: emergency no. {order} has all the helpers it needs, please do not set out. "
         "Thank you for being ready at once."},
    [PD_TEMPLATE_OFFER_COMMANDED] =
        {"offer_commanded",
         "调度员特意请您帮忙：{kind}，单号 {order}，{span}，距您约{distance}。请在{until}前答复；"
         "不方便可以拒绝，没有任何影响。",
         "A coordinator asks for you: {kind}, no. {order}, {span}, about {distance} from you. "
         "Please answer by {until}; you may decline, and it costs you nothing."},
    [PD_TEMPLATE_ASK_DENIED] =
        {"ask_denied", "您申请的单号 {order} 没有接成：{why}。欢迎在接单大厅另选一单。",
         "You asked for no. {order}, and it is not to be had: {why}. Others are in the hall."},
    [PD_TEMPLATE_COVERAGE] =
        {"coverage",
         "昨日小结：近期有 {asked} 单来自 {cells} 处附近没有志愿者的地方；{starved} "
         "名志愿者久未受邀。请安排招募或联系。",
         "Daily note: {asked} recent requests came from {cells} places with no volunteer near; "
         "{starved} volunteers have not been invited for long. Please recruit, or get in touch."},
};

/* Where it is not the volunteer. */
static const char *const hearers[TEMPLATE_COUNT] = {
    [PD_TEMPLATE_ORDER_RECEIVED] = "resident",
    [PD_TEMPLATE_HELP_FOUND] = "resident",
    [PD_TEMPLATE_HELPER_LOST] = "resident",
    [PD_TEMPLATE_CONFIRM_REQUEST] = "resident",
    [PD_TEMPLATE_CONFIRM_REMINDER] = "resident",
    [PD_TEMPLATE_UNFILLED] = "resident",
    [PD_TEMPLATE_ESCALATED] = "site",
    [PD_TEMPLATE_COVERAGE] = "site",
};

static const struct template kinds[] = {
    [PD_ORDER_KIND_UNSPECIFIED] = {"", "服务", "request"},
    [PD_ORDER_KIND_WISH] = {"", "微心愿", "wish"},
    [PD_ORDER_KIND_APPEAL] = {"", "微诉求", "appeal"},
    [PD_ORDER_KIND_REPORT] = {"", "随手拍", "report"},
    [PD_ORDER_KIND_WORK] = {"", "微改造", "small works"},
    [PD_ORDER_KIND_VISIT] = {"", "一对一", "visit"},
    [PD_ORDER_KIND_MENU] = {"", "点单服务", "service from the menu"},
    [PD_ORDER_KIND_EMERGENCY] = {"", "应急服务", "emergency"},
};

/* Why what was asked for in the hall is not to be had. */
static const struct template whys[] = {
    [PD_REASON_UNSPECIFIED] = {"", "不符合该单的条件", "a rule stands against it"},
    [PD_REASON_INACTIVE] = {"", "您目前处于暂停状态", "you are paused"},
    [PD_REASON_OWN_ORDER] = {"", "这是您自己点的单", "you placed it yourself"},
    [PD_REASON_ALREADY_ASKED] = {"", "您已收到该单的邀请，请直接答复",
                                 "you are invited to it already: answer that"},
    [PD_REASON_SKILL] = {"", "需要您尚未登记的技能", "it needs a skill that you have not named"},
    [PD_REASON_RADIUS] = {"", "超出您登记的服务半径", "it is farther away than you travel"},
    [PD_REASON_AGE] = {"", "该任务不接受未成年人", "it is not for minors"},
    [PD_REASON_NOT_VETTED] = {"", "该单需要经过审核的志愿者", "it needs a vetted volunteer"},
    [PD_REASON_HOURS] = {"", "不在您登记的时间内", "it is not within your hours"},
    [PD_REASON_OVERLAP] = {"", "与您已接的单时间冲突", "you are booked elsewhere at that time"},
    [PD_REASON_CAPACITY] = {"", "已达到您每周的服务上限", "you have reached your week's limit"},
    [PD_REASON_TOO_MANY_OFFERS] = {"", "您还有较多邀请未答复",
                                   "many invitations wait for your answer"},
    [PD_REASON_FILLED] = {"", "名额刚刚已满", "others were faster"},
    [PD_REASON_ORDER_ENDED] = {"", "该单已结束", "it has ended"},
    [PD_REASON_FULL] = {"", "系统繁忙，请稍后再试", "the district is full; try again later"},
    [PD_REASON_HALL_CLOSED] = {"", "该类订单不在大厅开放", "this kind is not in the hall"},
    [PD_REASON_TOO_LATE] = {"", "已来不及前往", "it is too late to get there"},
};

static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

enum language { ZH, EN };

/* A text in the making. */
struct writer {
  const struct notification_message *message;
  char *text;
  size_t used;
  enum language language;
  int32_t zone_min;
};

static void put_bytes(struct writer *to, const char *bytes, size_t length) {
  pd_assert(length < NOTIFICATION_TEXT_MAX - to->used);
  memcpy(to->text + to->used, bytes, length);
  to->used += length;
  to->text[to->used] = '\0';
}

static void put(struct writer *to, const char *text) { put_bytes(to, text, strlen(text)); }

/* With leading zeros up to this many digits. */
static void put_padded(struct writer *to, uint64_t number, unsigned digits) {
  char text[20];
  size_t at = sizeof text;
  do {
    text[--at] = (char)('0' + number % 10);
    number /= 10;
  } while (number > 0 || sizeof text - at < digits);
  put_bytes(to, text + at, sizeof text - at);
}

static void put_number(struct writer *to, int64_t number) {
  if (number < 0) put(to, "-");
  put_padded(to, number < 0 ? 0 - (uint64_t)number : (uint64_t)number, 1);
}

static void put_clock(struct writer *to, int64_t time_ms) {
  int64_t minutes = time_ms / PD_MINUTE_MS - (time_ms % PD_MINUTE_MS < 0) + to->zone_min;
  int64_t minute = minutes % 1440;
  if (minute < 0) minute += 1440;
  put_padded(to, (uint64_t)minute / 60, 2);
  put(to, ":");
  put_padded(to, (uint64_t)minute % 60, 2);
}

static void put_time(struct writer *to, int64_t time_ms) {
  struct pd_date date = pd_date_of(time_ms, to->zone_min);
  pd_assert(date.month >= 1 && date.month <= 12);
  put_number(to, to->language == ZH ? date.month : date.day);
  put(to, to->language == ZH ? "月" : " ");
  if (to->language == ZH)
    put_number(to, date.day);
  else
    put(to, months[date.month - 1]);
  put(to, to->language == ZH ? "日" : " ");
  put_clock(to, time_ms);
}

/* From start to end; the day once, if it is the same. */
static void put_span(struct writer *to) {
  const struct notification_message *message = to->message;
  struct pd_date start = pd_date_of(message->start_ms, to->zone_min);
  struct pd_date end = pd_date_of(message->end_ms, to->zone_min);
  put_time(to, message->start_ms);
  put(to, to->language == ZH ? "至" : " to ");
  bool same = start.year == end.year && start.month == end.month && start.day == end.day;
  if (same)
    put_clock(to, message->end_ms);
  else
    put_time(to, message->end_ms);
}

static void put_kind(struct writer *to) {
  unsigned kind = (unsigned)to->message->kind;
  if (kind >= sizeof kinds / sizeof kinds[0]) kind = PD_ORDER_KIND_UNSPECIFIED;
  put(to, to->language == ZH ? kinds[kind].zh : kinds[kind].en);
}

/* Rounded to 100 m from 1 km on. */
static void put_distance(struct writer *to) {
  uint64_t metres = to->message->distance_m;
  uint64_t hundreds = (metres + 50) / 100;
  bool far = metres >= 950;
  if (to->language == ZH) put(to, " ");
  put_padded(to, far ? hundreds / 10 : metres, 1);
  if (far) {
    put(to, ".");
    put_padded(to, hundreds % 10, 1);
  }
  if (to->language == ZH)
    put(to, far ? " 公里" : " 米");
  else
    put(to, far ? " km" : " m");
}

static void put_order(struct writer *to) { put_padded(to, to->message->order, 1); }
static void put_until(struct writer *to) { put_time(to, to->message->until_ms); }
static void put_need(struct writer *to) { put_padded(to, to->message->need, 1); }
static void put_minutes(struct writer *to) { put_number(to, to->message->minutes); }
static void put_points(struct writer *to) { put_number(to, to->message->points); }
static void put_hours(struct writer *to) { put_number(to, to->message->minutes / 60); }
static void put_cells(struct writer *to) { put_padded(to, to->message->cells, 1); }
static void put_asked(struct writer *to) { put_padded(to, to->message->asked, 1); }
static void put_starved(struct writer *to) { put_padded(to, to->message->starved, 1); }

static void put_why(struct writer *to) {
  unsigned reason = (unsigned)to->message->reason;
  bool known = reason < sizeof whys / sizeof whys[0] && whys[reason].zh != NULL;
  if (!known) reason = PD_REASON_UNSPECIFIED;
  put(to, to->language == ZH ? whys[reason].zh : whys[reason].en);
}

static void put_star(struct writer *to) {
  static const char *const zh[] = {"零", "一", "二", "三", "四", "五"};
  uint32_t star = to->message->star;
  if (to->language == ZH && star < sizeof zh / sizeof zh[0])
    put(to, zh[star]);
  else
    put_padded(to, star, 1);
}

static const struct {
  const char *word;
  void (*put)(struct writer *to);
} words[] = {
    {"{order}", put_order},     {"{kind}", put_kind},     {"{span}", put_span},
    {"{until}", put_until},     {"{need}", put_need},     {"{distance}", put_distance},
    {"{minutes}", put_minutes}, {"{points}", put_points}, {"{hours}", put_hours},
    {"{star}", put_star},       {"{why}", put_why},       {"{cells}", put_cells},
    {"{asked}", put_asked},     {"{starved}", put_starved},
};

/* Fill in the word that stands here; its length. */
static size_t put_word(struct writer *to, const char *at) {
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    size_t length = strlen(words[i].word);
    if (strncmp(at, words[i].word, length) != 0) continue;
    words[i].put(to);
    return length;
  }
  pd_assert(false); /* the table names a word that does not exist */
  return 0;
}

static void write_text(struct writer *to, const char *pattern) {
  to->text[0] = '\0';
  while (*pattern != '\0') {
    if (*pattern == '{') {
      pattern += put_word(to, pattern);
      continue;
    }
    size_t plain = strcspn(pattern, "{");
    put_bytes(to, pattern, plain);
    pattern += plain;
  }
}

static const struct template *row_of(enum pd_template template) {
  unsigned number = (unsigned)template;
  bool known = number < TEMPLATE_COUNT && templates[number].name != NULL;
  if (!known) number = PD_TEMPLATE_UNSPECIFIED;
  return &templates[number];
}

const char *notification_template_name(enum pd_template template) { return row_of(template)->name; }

const char *notification_template_to(enum pd_template template) {
  unsigned number = (unsigned)template;
  if (number >= TEMPLATE_COUNT) number = PD_TEMPLATE_UNSPECIFIED;
  return hearers[number] != NULL ? hearers[number] : "volunteer";
}

void notification_render(const struct notification_message *message, int32_t zone_min,
                         struct notification_text *text) {
  const struct template *row = row_of(message->template);
  struct writer zh = {.message = message, .text = text->zh, .language = ZH, .zone_min = zone_min};
  struct writer en = {.message = message, .text = text->en, .language = EN, .zone_min = zone_min};
  write_text(&zh, row->zh);
  write_text(&en, row->en);
}
