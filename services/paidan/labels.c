#include "services/paidan/labels.h"

static const struct label kinds[PD_EVENT_KINDS] = {
    [PD_EVENT_EPOCH_BEGAN] = {"换届", "a new writer took the log"},
    [PD_EVENT_INPUTS_NOTED] = {"已阅", "inputs consumed without an effect"},
    [PD_EVENT_SITE_REGISTERED] = {"阵地登记", "site registered"},
    [PD_EVENT_TEAM_REGISTERED] = {"队伍登记", "team registered"},
    [PD_EVENT_TEAM_JOINED] = {"入队", "volunteer joined a team"},
    [PD_EVENT_VOLUNTEER_REGISTERED] = {"志愿者登记", "volunteer registered"},
    [PD_EVENT_VOLUNTEER_PAUSED] = {"志愿者暂停", "volunteer paused"},
    [PD_EVENT_VOLUNTEER_RESUMED] = {"志愿者恢复", "volunteer resumed"},
    [PD_EVENT_VOLUNTEER_EXITED] = {"志愿者退出", "volunteer exited"},
    [PD_EVENT_RESIDENT_REGISTERED] = {"居民登记", "resident registered"},
    [PD_EVENT_PERSON_ERASED] = {"个人信息删除", "person erased"},
    [PD_EVENT_CREDENTIAL_RECORDED] = {"证明登记", "credential recorded"},
    [PD_EVENT_PAIR_BLOCKED] = {"互不派单", "pair blocked or unblocked"},
    [PD_EVENT_ORDER_PLACED] = {"点单", "order placed"},
    [PD_EVENT_ORDER_CANCELLED] = {"撤单", "order cancelled"},
    [PD_EVENT_OFFER_ANSWERED] = {"答复派单", "offer answered"},
    [PD_EVENT_VOLUNTEER_WITHDREW] = {"志愿者不能来", "volunteer withdrew"},
    [PD_EVENT_SERVICE_STARTED] = {"服务开始", "service started"},
    [PD_EVENT_SERVICE_FINISHED] = {"服务结束", "service finished"},
    [PD_EVENT_ORDER_SERVED] = {"服务完成", "order served"},
    [PD_EVENT_SERVICE_CONFIRMED] = {"确认服务", "service confirmed"},
    [PD_EVENT_ORDER_RATED] = {"评单", "order rated"},
    [PD_EVENT_ORDER_CLOSED] = {"结单", "order closed"},
    [PD_EVENT_HOLD_DECIDED] = {"复核", "hold decided"},
    [PD_EVENT_OFFER_COMMANDED] = {"指名派单", "a coordinator asked for somebody"},
    [PD_EVENT_ORDER_ASKED] = {"抢单", "asked for in the hall"},
    [PD_EVENT_OFFER_DENIED] = {"未能派单", "offer denied"},
    [PD_EVENT_COVERAGE_NOTED] = {"覆盖情况", "coverage noted"},
    [PD_EVENT_DAY_BEGAN] = {"新的一天", "a day began"},
    [PD_EVENT_EXTERNAL_NOTED] = {"外部消息", "an outside service said something"},
    [PD_EVENT_POLICY_ADOPTED] = {"启用规则", "rules adopted"},
    [PD_EVENT_WAVE_OPENED] = {"派单批次", "wave opened"},
    [PD_EVENT_OFFER_MADE] = {"派单", "offer made"},
    [PD_EVENT_OFFER_CLOSED] = {"派单结束", "offer closed"},
    [PD_EVENT_SLOT_FILLED] = {"接单成功", "slot filled"},
    [PD_EVENT_SLOT_REOPENED] = {"名额重开", "slot reopened"},
    [PD_EVENT_ORDER_STAFFED] = {"人员已齐", "order staffed"},
    [PD_EVENT_ORDER_UNMATCHED] = {"暂无人可派", "nobody left to invite"},
    [PD_EVENT_WAVE_DUE] = {"批次到时", "wave due"},
    [PD_EVENT_ORDER_ESCALATED] = {"上报", "order escalated"},
    [PD_EVENT_ORDER_EXPIRED] = {"到期", "deadline passed"},
    [PD_EVENT_REMINDER_DUE] = {"提醒", "reminder due"},
    [PD_EVENT_NO_SHOW_NOTED] = {"未到", "no-show noted"},
    [PD_EVENT_POINTS_POSTED] = {"记分", "points posted"},
    [PD_EVENT_HOLD_PLACED] = {"暂存待核", "hold placed"},
    [PD_EVENT_HOLD_RESOLVED] = {"暂存了结", "hold resolved"},
    [PD_EVENT_STAR_REACHED] = {"星级", "star reached"},
    [PD_EVENT_MESSAGE_SENT] = {"通知已发", "message sent"},
    [PD_EVENT_MESSAGE_FAILED] = {"通知失败", "message failed"},
    [PD_EVENT_MESSAGE_SUPPRESSED] = {"通知取消", "message suppressed"},
};

static const struct label reasons[] = {
    [PD_REASON_INACTIVE] = {"已暂停、退出或删除", "paused, exited or erased"},
    [PD_REASON_OWN_ORDER] = {"是本人点的单", "placed this order"},
    [PD_REASON_ALREADY_ASKED] = {"此单已邀请过", "was asked before"},
    [PD_REASON_SKILL] = {"缺少所需技能", "lacks a skill"},
    [PD_REASON_RADIUS] = {"超出本人出行范围", "lives too far away"},
    [PD_REASON_AGE] = {"未成年人不参加", "a minor, and this is rescue or an emergency"},
    [PD_REASON_NOT_VETTED] = {"未经审核，不能参加敏感服务",
                              "is not vetted, the order is sensitive"},
    [PD_REASON_HOURS] = {"该时段没有空", "is not available in the window"},
    [PD_REASON_OVERLAP] = {"该时段已接别的单", "is booked elsewhere at that time"},
    [PD_REASON_CAPACITY] = {"本周已满", "has the bookings of that week"},
    [PD_REASON_TOO_MANY_OFFERS] = {"待答复的派单已满", "has too many open offers"},
    [PD_REASON_RANKED_LOWER] = {"符合条件，但已有更近或近来受邀更少的人",
                                "eligible, but nearer or less often asked people filled the wave"},
    [PD_REASON_DECLINED] = {"本人谢绝", "said no"},
    [PD_REASON_SILENT] = {"到时未答复", "did not answer in time"},
    [PD_REASON_FILLED] = {"名额已满", "the slots were filled"},
    [PD_REASON_ORDER_ENDED] = {"订单已结束", "the order ended"},
    [PD_REASON_WITHDREW] = {"本人不能来", "cannot come"},
    [PD_REASON_NO_SHOW] = {"未按时到场", "nobody started in time"},
    [PD_REASON_FULL] = {"本区已达上限", "a limit of the shard was reached"},
    [PD_REASON_NOT_AUTOMATED] = {"本人不同意自动派单", "withdrew consent to automated matching"},
    [PD_REASON_BLOCKED] = {"双方互不派单", "one of the two does not wish to meet the other"},
    [PD_REASON_GENDER] = {"该任务限定性别", "the task asks for another gender"},
    [PD_REASON_HEALTH] = {"任务要求超出本人身体条件", "the task demands what they would rather not do"},
    [PD_REASON_GUARDIAN] = {"未成年人，届时无监护人同意",
                            "a minor without a guardian's consent for that time"},
    [PD_REASON_QUALIFICATION] = {"届时无有效职业资格", "no qualification that is valid at that time"},
    [PD_REASON_INSURANCE] = {"有人身危险，届时无保险", "dangerous, and no insurance at that time"},
    [PD_REASON_REST] = {"两次服务间隔不足", "too little rest between two services"},
    [PD_REASON_DAY_FULL] = {"当天服务时长已满", "has the hours of that day"},
    [PD_REASON_HALL_CLOSED] = {"此类订单不在大厅开放", "is not offered in the hall"},
    [PD_REASON_TOO_LATE] = {"已来不及前往", "nobody can be there in time"},
};

struct label label_kind(const struct pd_event *event) {
  unsigned kind = (unsigned)event->body_case;
  if (kind < PD_EVENT_KINDS && kinds[kind].zh != NULL) return kinds[kind];
  return (struct label){"未知", "unknown"};
}

struct label label_reason(enum pd_reason reason) {
  unsigned number = (unsigned)reason;
  if (number < sizeof reasons / sizeof reasons[0] && reasons[number].zh != NULL)
    return reasons[number];
  return (struct label){"未说明", "not said"};
}
