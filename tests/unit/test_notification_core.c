#include "services/notification/notification_core.h"
#include "tests/unit/core_harness.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define HOUR_MS INT64_C(3600000)
#define START_MS (CORE_START_MS + 33 * HOUR_MS) /* Wednesday 09:00 local */
#define REQUESTER 1
#define ANNA 31
#define BO 32

static struct core_harness h;
static struct notification_cursor cursor;

static void start(void) {
  cursor = (struct notification_cursor){0};
  core_start(&h, &notification_core, &pd_limits_small, NULL);
  h.now_ms = CORE_START_MS + 9 * HOUR_MS;
}

static void start_with_quiet_hours(void) {
  static struct notification_policy policy;
  policy = notification_policy_default;
  policy.quiet = 1;
  cursor = (struct notification_cursor){0};
  core_start(&h, &notification_core, &pd_limits_small, &policy);
  h.now_ms = CORE_START_MS + 9 * HOUR_MS;
}

static void stop(void) { core_stop(&h); }

TestSuite(notification, .init = start, .fini = stop);
TestSuite(quiet, .init = start_with_quiet_hours, .fini = stop);

/* ---- what has happened ---------------------------------------------------------------------- */

static void place(uint64_t order, enum pd_urgency urgency) {
  struct pd_order_placed body = PD_ORDER_PLACED_INIT;
  body.order = order;
  body.requester = core_bytes(REQUESTER);
  body.kind = PD_ORDER_KIND_WISH;
  body.need = 2;
  body.window_start_ms = START_MS;
  body.window_end_ms = START_MS + 4 * HOUR_MS;
  body.minutes = 60;
  body.urgency = urgency;
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_ORDER_PLACED, &body);
}

static void offer(uint64_t id, uint64_t order, uint64_t volunteer) {
  struct pd_offer_made body = PD_OFFER_MADE_INIT;
  body.offer = id;
  body.order = order;
  body.volunteer = core_bytes(volunteer);
  body.distance_m = 350;
  body.start_ms = START_MS;
  body.end_ms = START_MS + HOUR_MS;
  body.expires_at_ms = h.now_ms + HOUR_MS;
  core_hear(&h, PD_LOG_MATCHING, PD_EVENT_OFFER_MADE, &body);
}

static void end_offer(uint64_t id, uint64_t order, uint64_t volunteer, enum pd_reason reason) {
  struct pd_offer_closed body = PD_OFFER_CLOSED_INIT;
  body.offer = id;
  body.order = order;
  body.volunteer = core_bytes(volunteer);
  body.reason = reason;
  core_hear(&h, PD_LOG_MATCHING, PD_EVENT_OFFER_CLOSED, &body);
}

static void fill(uint64_t order, uint32_t slot, uint64_t volunteer, uint64_t offer_id) {
  struct pd_slot_filled body = PD_SLOT_FILLED_INIT;
  body.order = order;
  body.slot = slot;
  body.volunteer = core_bytes(volunteer);
  body.offer = offer_id;
  body.start_ms = START_MS;
  body.end_ms = START_MS + HOUR_MS;
  core_hear(&h, PD_LOG_MATCHING, PD_EVENT_SLOT_FILLED, &body);
}

static void reopen(uint64_t order, uint32_t slot, uint64_t volunteer) {
  struct pd_slot_reopened body = PD_SLOT_REOPENED_INIT;
  body.order = order;
  body.slot = slot;
  body.volunteer = core_bytes(volunteer);
  body.reason = PD_REASON_WITHDREW;
  core_hear(&h, PD_LOG_MATCHING, PD_EVENT_SLOT_REOPENED, &body);
}

static void remind(enum pd_reminder_kind kind, uint64_t order, uint32_t slot, uint64_t person) {
  struct pd_reminder_due body = PD_REMINDER_DUE_INIT;
  body.kind = kind;
  body.order = order;
  body.slot = slot;
  body.person = core_bytes(person);
  core_hear(&h, PD_LOG_SCHEDULING, PD_EVENT_REMINDER_DUE, &body);
}

static void end_order(uint64_t order, enum pd_order_state state) {
  struct pd_order_closed body = PD_ORDER_CLOSED_INIT;
  body.order = order;
  body.state = state;
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_ORDER_CLOSED, &body);
}

static void begin_service(uint64_t order, uint32_t slot) {
  struct pd_service_started body = PD_SERVICE_STARTED_INIT;
  body.order = order;
  body.slot = slot;
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_SERVICE_STARTED, &body);
}

static void erase(uint64_t person) {
  struct pd_person_erased body = PD_PERSON_ERASED_INIT;
  body.person = core_bytes(person);
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_PERSON_ERASED, &body);
}

/* Two lines each for minutes and points, as the ledger writes them. */
struct ledger {
  struct pd_posting_line rows[4];
  struct pd_posting_line *lines[4];
};

static struct pd_posting_line **ledger(struct ledger *in, enum pd_account account, uint64_t person,
                                       int64_t minutes, int64_t points) {
  for (unsigned i = 0; i < 4; i++) {
    in->rows[i] = (struct pd_posting_line)PD_POSTING_LINE_INIT;
    in->rows[i].account = i % 2 == 0 ? account : PD_ACCOUNT_ISSUED;
    if (i % 2 == 0) in->rows[i].person = core_bytes(person);
    in->rows[i].unit = i < 2 ? PD_UNIT_MINUTES : PD_UNIT_POINTS;
    in->rows[i].amount = (i < 2 ? minutes : points) * (i % 2 == 0 ? 1 : -1);
    in->lines[i] = &in->rows[i];
  }
  return in->lines;
}

/* ---- what is told --------------------------------------------------------------------------- */

static struct notification_message next(enum pd_template template, uint64_t person) {
  struct notification_message message;
  cr_assert(notification_next(h.self, h.now_ms, &cursor, &message),
            "nothing waits, but template %d was expected", template);
  cr_assert_eq(message.template, template, "template %d, not %d", message.template, template);
  struct pd_id expected = person == 0 ? (struct pd_id){{0}} : core_id(person);
  cr_assert(pd_id_equal(&message.person, &expected), "somebody else hears it");
  return message;
}

static void nothing_more(void) {
  struct notification_message message;
  bool more = notification_next(h.self, h.now_ms, &cursor, &message);
  cr_assert(!more, "template %d waits too", more ? (int)message.template : 0);
}

static struct pd_delivery result_of(const struct notification_message *message) {
  return (struct pd_delivery){.log = message->log,
                              .seq = message->seq,
                              .part = message->part,
                              .attempts = 1,
                              .ok = true,
                              .final = true,
                              .sink = "file"};
}

static void deliver(const struct notification_message *message) {
  struct pd_delivery delivery = result_of(message);
  core_delivery(&h, &delivery);
}

/* Everything that waits reaches its hearer. */
static void deliver_all(void) {
  struct notification_message message;
  while (notification_next(h.self, h.now_ms, &cursor, &message)) deliver(&message);
  core_skip(&h);
}

static void expect_suppressed(enum pd_template template, enum pd_suppress_reason reason) {
  const struct pd_event *said = core_expect(&h, PD_EVENT_MESSAGE_SUPPRESSED);
  cr_assert_eq(said->message_suppressed->template_, template, "template %d was suppressed, not %d",
               said->message_suppressed->template_, template);
  cr_assert_eq(said->message_suppressed->reason, reason);
}

/* ---- who hears what ------------------------------------------------------------------------- */

Test(notification, tells_the_requester_that_an_order_was_received) {
  place(7, PD_URGENCY_ROUTINE);
  core_expect_silence(&h);
  struct notification_message message = next(PD_TEMPLATE_ORDER_RECEIVED, REQUESTER);
  cr_assert_eq(message.order, 7);
  cr_assert_eq(message.kind, PD_ORDER_KIND_WISH);
  cr_assert_eq(message.start_ms, START_MS);
  cr_assert_eq(message.need, 2);
  cr_assert_eq(message.log, PD_LOG_INTAKE);
  cr_assert_eq(message.seq, 1);
  nothing_more();
}

Test(notification, tells_both_sides_of_a_booking_as_two_parts_of_one_event) {
  place(7, PD_URGENCY_ROUTINE);
  offer(1, 7, ANNA);
  deliver_all();
  fill(7, 1, ANNA, 1);
  struct notification_message booked = next(PD_TEMPLATE_BOOKED, ANNA);
  struct notification_message found = next(PD_TEMPLATE_HELP_FOUND, REQUESTER);
  cr_assert_eq(booked.part, 0);
  cr_assert_eq(found.part, 1);
  cr_assert_eq(booked.seq, found.seq);
  cr_assert_eq(booked.start_ms, START_MS);
  cr_assert_eq(found.end_ms, START_MS + HOUR_MS);
  nothing_more();
}

Test(notification, carries_the_distance_and_the_time_to_answer_in_an_offer) {
  place(7, PD_URGENCY_ROUTINE);
  deliver_all();
  offer(1, 7, ANNA);
  struct notification_message message = next(PD_TEMPLATE_OFFER, ANNA);
  cr_assert_eq(message.distance_m, 350);
  cr_assert_eq(message.until_ms, h.now_ms + HOUR_MS);
  cr_assert_eq(message.subject, 1);
  cr_assert_eq(message.kind, PD_ORDER_KIND_WISH);
}

Test(notification, tells_who_was_invited_that_others_filled_the_order) {
  place(7, PD_URGENCY_ROUTINE);
  offer(1, 7, ANNA);
  deliver_all();
  end_offer(1, 7, ANNA, PD_REASON_FILLED);
  struct notification_message message = next(PD_TEMPLATE_OFFER_WITHDRAWN, ANNA);
  cr_assert_eq(message.order, 7);
  nothing_more();
}

Test(notification, does_not_answer_those_who_declined_or_stayed_silent) {
  place(7, PD_URGENCY_ROUTINE);
  offer(1, 7, ANNA);
  offer(2, 7, BO);
  deliver_all();
  end_offer(1, 7, ANNA, PD_REASON_DECLINED);
  end_offer(2, 7, BO, PD_REASON_SILENT);
  core_expect_silence(&h);
  nothing_more();
}

Test(notification, tells_a_volunteer_whose_acceptance_came_too_late_for_a_closed_order) {
  place(7, PD_URGENCY_ROUTINE);
  offer(1, 7, ANNA);
  deliver_all();
  end_order(7, PD_ORDER_STATE_CANCELLED);
  fill(7, 1, ANNA, 1);
  next(PD_TEMPLATE_OFFER_WITHDRAWN, ANNA);
  nothing_more();
}

Test(notification, tells_the_resident_when_a_helper_is_lost) {
  place(7, PD_URGENCY_ROUTINE);
  fill(7, 1, ANNA, 1);
  deliver_all();
  reopen(7, 1, ANNA);
  struct notification_message message = next(PD_TEMPLATE_HELPER_LOST, REQUESTER);
  cr_assert_eq(message.slot, 1);
  nothing_more();
}

Test(notification, reminds_of_start_finish_and_confirmation) {
  place(7, PD_URGENCY_ROUTINE);
  fill(7, 2, ANNA, 1);
  deliver_all();
  remind(PD_REMINDER_KIND_START, 7, 2, ANNA);
  struct notification_message message = next(PD_TEMPLATE_START_REMINDER, ANNA);
  cr_assert_eq(message.start_ms, START_MS);
  cr_assert_eq(message.end_ms, START_MS + HOUR_MS);
  remind(PD_REMINDER_KIND_FINISH, 7, 2, ANNA);
  next(PD_TEMPLATE_FINISH_REMINDER, ANNA);
  remind(PD_REMINDER_KIND_CONFIRM, 7, 0, REQUESTER);
  next(PD_TEMPLATE_CONFIRM_REMINDER, REQUESTER);
  nothing_more();
}

Test(notification, reminds_nobody_of_a_slot_that_is_not_booked_by_that_person) {
  place(7, PD_URGENCY_ROUTINE);
  fill(7, 1, ANNA, 1);
  deliver_all();
  remind(PD_REMINDER_KIND_START, 7, 1, BO);
  remind(PD_REMINDER_KIND_START, 7, 2, ANNA);
  remind(PD_REMINDER_KIND_START, 8, 1, ANNA);
  core_expect_silence(&h);
  nothing_more();
}

Test(notification, asks_the_resident_to_confirm_once_served) {
  place(7, PD_URGENCY_ROUTINE);
  deliver_all();
  struct pd_order_served body = PD_ORDER_SERVED_INIT;
  body.order = 7;
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_ORDER_SERVED, &body);
  next(PD_TEMPLATE_CONFIRM_REQUEST, REQUESTER);
}

Test(notification, tells_the_site_that_an_order_escalated_to_it) {
  place(7, PD_URGENCY_ROUTINE);
  deliver_all();
  struct pd_order_escalated body = PD_ORDER_ESCALATED_INIT;
  body.order = 7;
  body.level = PD_SITE_LEVEL_INSTITUTE;
  body.site = 3;
  core_hear(&h, PD_LOG_SCHEDULING, PD_EVENT_ORDER_ESCALATED, &body);
  struct notification_message message = next(PD_TEMPLATE_ESCALATED, 0);
  cr_assert_eq(message.site, 3);
  deliver(&message);
  const struct pd_event *said = core_expect(&h, PD_EVENT_MESSAGE_SENT);
  cr_assert_eq(said->message_sent->site, 3);
  cr_assert_eq(said->message_sent->person.len, 0);
}

Test(notification, tells_the_volunteer_what_was_posted) {
  struct ledger book;
  struct pd_points_posted body = PD_POINTS_POSTED_INIT;
  body.posting = 1;
  body.order = 7;
  body.slot = 1;
  body.n_lines = 4;
  body.lines = ledger(&book, PD_ACCOUNT_PERSON, ANNA, 95, 3);
  core_hear(&h, PD_LOG_POINTS, PD_EVENT_POINTS_POSTED, &body);
  struct notification_message message = next(PD_TEMPLATE_POINTS, ANNA);
  cr_assert_eq(message.minutes, 95);
  cr_assert_eq(message.points, 3);
  cr_assert_eq(message.order, 7);
}

Test(notification, tells_of_a_hold_and_of_the_posting_that_ends_it) {
  struct ledger book;
  struct pd_hold_placed held = PD_HOLD_PLACED_INIT;
  held.hold = 5;
  held.order = 7;
  held.slot = 1;
  held.n_lines = 4;
  held.lines = ledger(&book, PD_ACCOUNT_HELD, ANNA, 60, 2);
  held.decide_by_ms = h.now_ms + 24 * HOUR_MS;
  core_hear(&h, PD_LOG_POINTS, PD_EVENT_HOLD_PLACED, &held);
  struct notification_message message = next(PD_TEMPLATE_HELD, ANNA);
  cr_assert_eq(message.minutes, 60);
  cr_assert_eq(message.until_ms, held.decide_by_ms);
  struct pd_hold_resolved resolved = PD_HOLD_RESOLVED_INIT;
  resolved.hold = 5;
  resolved.outcome = PD_HOLD_OUTCOME_POSTED;
  resolved.n_lines = 4;
  resolved.lines = ledger(&book, PD_ACCOUNT_PERSON, ANNA, 60, 2);
  core_hear(&h, PD_LOG_POINTS, PD_EVENT_HOLD_RESOLVED, &resolved);
  message = next(PD_TEMPLATE_POINTS, ANNA);
  cr_assert_eq(message.order, 7);
  cr_assert_eq(message.points, 2);
}

Test(notification, says_nothing_of_a_hold_that_was_voided) {
  struct ledger book;
  struct pd_hold_resolved resolved = PD_HOLD_RESOLVED_INIT;
  resolved.hold = 5;
  resolved.outcome = PD_HOLD_OUTCOME_VOIDED;
  resolved.n_lines = 4;
  resolved.lines = ledger(&book, PD_ACCOUNT_ISSUED, ANNA, 60, 2);
  core_hear(&h, PD_LOG_POINTS, PD_EVENT_HOLD_RESOLVED, &resolved);
  nothing_more();
}

Test(notification, congratulates_to_a_star) {
  struct pd_star_reached body = PD_STAR_REACHED_INIT;
  body.person = core_bytes(ANNA);
  body.star = 2;
  body.minutes = 300 * 60;
  core_hear(&h, PD_LOG_POINTS, PD_EVENT_STAR_REACHED, &body);
  struct notification_message message = next(PD_TEMPLATE_STAR, ANNA);
  cr_assert_eq(message.star, 2);
  cr_assert_eq(message.minutes, 300 * 60);
}

Test(notification, tells_the_resident_of_an_unfilled_order) {
  place(7, PD_URGENCY_ROUTINE);
  deliver_all();
  end_order(7, PD_ORDER_STATE_UNFILLED);
  next(PD_TEMPLATE_UNFILLED, REQUESTER);
  core_expect_silence(&h);
}

Test(notification, tells_every_booked_volunteer_of_a_cancelled_order) {
  place(7, PD_URGENCY_ROUTINE);
  fill(7, 2, BO, 2);
  fill(7, 1, ANNA, 1);
  deliver_all();
  end_order(7, PD_ORDER_STATE_CANCELLED);
  struct notification_message bo = next(PD_TEMPLATE_CANCELLED, BO);
  struct notification_message anna = next(PD_TEMPLATE_CANCELLED, ANNA);
  cr_assert_eq(anna.part, 0);
  cr_assert_eq(bo.part, 1);
  nothing_more();
}

Test(notification, tells_only_the_one_who_is_booked_now) {
  place(7, PD_URGENCY_ROUTINE);
  fill(7, 1, ANNA, 1);
  deliver_all();
  reopen(7, 1, ANNA);
  fill(7, 1, BO, 2);
  deliver_all();
  end_order(7, PD_ORDER_STATE_CANCELLED);
  next(PD_TEMPLATE_CANCELLED, BO);
  nothing_more();
}

/* ---- what is not told any more -------------------------------------------------------------- */

Test(notification, does_not_send_an_offer_that_has_ended_nor_its_withdrawal) {
  place(7, PD_URGENCY_ROUTINE);
  deliver_all();
  offer(1, 7, ANNA);
  end_offer(1, 7, ANNA, PD_REASON_FILLED);
  expect_suppressed(PD_TEMPLATE_OFFER, PD_SUPPRESS_REASON_STALE);
  nothing_more();
}

Test(notification, does_not_send_an_offer_that_was_accepted_elsewhere) {
  place(7, PD_URGENCY_ROUTINE);
  deliver_all();
  offer(1, 7, ANNA);
  fill(7, 1, ANNA, 1);
  expect_suppressed(PD_TEMPLATE_OFFER, PD_SUPPRESS_REASON_STALE);
  next(PD_TEMPLATE_BOOKED, ANNA);
}

Test(notification, lets_a_closed_order_overtake_what_it_still_had_to_say) {
  place(7, PD_URGENCY_ROUTINE);
  fill(7, 1, ANNA, 1);
  deliver_all();
  remind(PD_REMINDER_KIND_START, 7, 1, ANNA);
  fill(7, 2, BO, 2);
  end_order(7, PD_ORDER_STATE_CANCELLED);
  cr_assert_eq(core_count(&h, PD_EVENT_MESSAGE_SUPPRESSED), 3,
               "the reminder, BOOKED and HELP_FOUND of the second helper");
  next(PD_TEMPLATE_CANCELLED, ANNA);
  nothing_more();
}

Test(notification, does_not_remind_of_a_service_that_has_started) {
  place(7, PD_URGENCY_ROUTINE);
  fill(7, 1, ANNA, 1);
  fill(7, 2, BO, 2);
  deliver_all();
  remind(PD_REMINDER_KIND_START, 7, 1, ANNA);
  remind(PD_REMINDER_KIND_START, 7, 2, BO);
  begin_service(7, 2);
  expect_suppressed(PD_TEMPLATE_START_REMINDER, PD_SUPPRESS_REASON_STALE);
  next(PD_TEMPLATE_START_REMINDER, ANNA);
  nothing_more();
}

Test(notification, does_not_remind_of_a_service_that_has_finished) {
  place(7, PD_URGENCY_ROUTINE);
  fill(7, 1, ANNA, 1);
  deliver_all();
  remind(PD_REMINDER_KIND_FINISH, 7, 1, ANNA);
  struct pd_service_finished body = PD_SERVICE_FINISHED_INIT;
  body.order = 7;
  body.slot = 1;
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_SERVICE_FINISHED, &body);
  expect_suppressed(PD_TEMPLATE_FINISH_REMINDER, PD_SUPPRESS_REASON_STALE);
  nothing_more();
}

Test(notification, does_not_ask_to_confirm_what_is_confirmed) {
  place(7, PD_URGENCY_ROUTINE);
  deliver_all();
  struct pd_order_served served = PD_ORDER_SERVED_INIT;
  served.order = 7;
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_ORDER_SERVED, &served);
  remind(PD_REMINDER_KIND_CONFIRM, 7, 0, REQUESTER);
  struct pd_service_confirmed confirmed = PD_SERVICE_CONFIRMED_INIT;
  confirmed.order = 7;
  confirmed.slot = 1;
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_SERVICE_CONFIRMED, &confirmed);
  core_expect_silence(&h);
  confirmed.slot = 2;
  confirmed.last = true;
  core_hear(&h, PD_LOG_INTAKE, PD_EVENT_SERVICE_CONFIRMED, &confirmed);
  expect_suppressed(PD_TEMPLATE_CONFIRM_REQUEST, PD_SUPPRESS_REASON_STALE);
  expect_suppressed(PD_TEMPLATE_CONFIRM_REMINDER, PD_SUPPRESS_REASON_STALE);
  nothing_more();
}

Test(notification, does_not_trouble_a_site_with_an_order_that_was_staffed) {
  place(7, PD_URGENCY_ROUTINE);
  deliver_all();
  struct pd_order_escalated escalated = PD_ORDER_ESCALATED_INIT;
  escalated.order = 7;
  escalated.site = 3;
  core_hear(&h, PD_LOG_SCHEDULING, PD_EVENT_ORDER_ESCALATED, &escalated);
  struct pd_order_staffed staffed = PD_ORDER_STAFFED_INIT;
  staffed.order = 7;
  core_hear(&h, PD_LOG_MATCHING, PD_EVENT_ORDER_STAFFED, &staffed);
  expect_suppressed(PD_TEMPLATE_ESCALATED, PD_SUPPRESS_REASON_STALE);
  nothing_more();
}

Test(notification, does_not_tell_of_a_helper_who_came_and_went_unheard) {
  place(7, PD_URGENCY_ROUTINE);
  deliver_all();
  fill(7, 1, ANNA, 1);
  reopen(7, 1, ANNA);
  expect_suppressed(PD_TEMPLATE_BOOKED, PD_SUPPRESS_REASON_STALE);
  expect_suppressed(PD_TEMPLATE_HELP_FOUND, PD_SUPPRESS_REASON_STALE);
  nothing_more();
}

Test(notification, tells_an_erased_person_nothing_more) {
  place(7, PD_URGENCY_ROUTINE);
  offer(1, 7, ANNA);
  offer(2, 7, BO);
  erase(ANNA);
  expect_suppressed(PD_TEMPLATE_OFFER, PD_SUPPRESS_REASON_ERASED);
  end_offer(1, 7, ANNA, PD_REASON_ORDER_ENDED);
  offer(3, 7, ANNA);
  core_expect_silence(&h);
  next(PD_TEMPLATE_ORDER_RECEIVED, REQUESTER);
  next(PD_TEMPLATE_OFFER, BO);
  nothing_more();
}

/* ---- delivery ------------------------------------------------------------------------------- */

Test(notification, records_a_delivery_once) {
  place(7, PD_URGENCY_ROUTINE);
  struct notification_message message = next(PD_TEMPLATE_ORDER_RECEIVED, REQUESTER);
  deliver(&message);
  const struct pd_message_sent *sent = core_expect(&h, PD_EVENT_MESSAGE_SENT)->message_sent;
  cr_assert_eq(sent->about->log, PD_LOG_INTAKE);
  cr_assert_eq(sent->about->seq, 1);
  cr_assert_eq(sent->template_, PD_TEMPLATE_ORDER_RECEIVED);
  cr_assert_eq(sent->attempts, 1);
  cr_assert_str_eq(sent->sink, "file");
  deliver(&message);
  core_expect_silence(&h);
  cr_assert_eq(notification_count(h.self).waiting, 0);
}

Test(notification, keeps_a_message_until_its_last_attempt_failed) {
  place(7, PD_URGENCY_ROUTINE);
  struct notification_message message = next(PD_TEMPLATE_ORDER_RECEIVED, REQUESTER);
  struct pd_delivery delivery = result_of(&message);
  delivery.ok = false;
  delivery.final = false;
  delivery.sink = "webhook";
  delivery.why = "HTTP 503";
  core_delivery(&h, &delivery);
  core_expect_silence(&h);
  cr_assert_eq(notification_count(h.self).waiting, 1);
  delivery.final = true;
  delivery.attempts = 6;
  delivery.why = "0123456789012345678901234567890123456789012345678901234567890123456789";
  core_delivery(&h, &delivery);
  const struct pd_message_failed *failed = core_expect(&h, PD_EVENT_MESSAGE_FAILED)->message_failed;
  cr_assert_eq(failed->attempts, 6);
  cr_assert_eq(strlen(failed->why), 64);
  cr_assert_eq(notification_count(h.self).waiting, 0);
}

Test(notification, hands_out_again_after_a_restart_what_was_not_reported) {
  place(7, PD_URGENCY_ROUTINE);
  offer(1, 7, ANNA);
  struct notification_message message = next(PD_TEMPLATE_ORDER_RECEIVED, REQUESTER);
  deliver(&message);
  message = next(PD_TEMPLATE_OFFER, ANNA);
  nothing_more();
  cursor = (struct notification_cursor){0};
  struct notification_message again = next(PD_TEMPLATE_OFFER, ANNA);
  cr_assert(again.log == message.log && again.seq == message.seq && again.part == message.part);
  nothing_more();
}

Test(notification, hands_out_each_message_once_while_results_come_in_any_order) {
  for (uint64_t order = 1; order <= 40; order++) place(order, PD_URGENCY_ROUTINE);
  struct notification_message open[64];
  unsigned held = 0, handed = 0;
  srand(7);
  for (uint64_t last = 0; handed < 60;) {
    struct notification_message message;
    if (held < 8 && notification_next(h.self, h.now_ms, &cursor, &message)) {
      cr_assert(message.order > last, "order %d after %d", (int)message.order, (int)last);
      last = message.order;
      open[held++] = message;
      if (++handed == 30)
        for (uint64_t order = 41; order <= 60; order++) place(order, PD_URGENCY_ROUTINE);
    } else {
      unsigned at = (unsigned)rand() % held;
      deliver(&open[at]);
      open[at] = open[--held];
    }
  }
  while (held > 0) deliver(&open[--held]);
  nothing_more();
  cr_assert_eq(core_count(&h, PD_EVENT_MESSAGE_SENT), 60);
}

Test(notification, asks_for_no_more_facts_than_it_has_room_for) {
  uint32_t before = notification_core.room(h.self);
  cr_assert_eq(before, pd_limits_small.messages / pd_limits_small.slots);
  uint64_t offers = 0;
  for (place(1, PD_URGENCY_ROUTINE); notification_core.room(h.self) > 0;) {
    uint32_t room = notification_core.room(h.self);
    for (uint32_t i = 0; i < room; i++, offers++) offer(offers + 1, 1, 100 + offers);
  }
  cr_assert_eq(notification_count(h.self).dropped, 0);
  cr_assert(offers > pd_limits_small.messages - pd_limits_small.slots - 1);
  deliver_all();
  cr_assert_eq(notification_core.room(h.self), before);
}

Test(notification, stays_whole_when_facts_are_foreign_or_repeated) {
  place(7, PD_URGENCY_ROUTINE);
  place(7, PD_URGENCY_ROUTINE);
  fill(9, 1, ANNA, 1);
  fill(7, 0, ANNA, 1);
  fill(7, 4000000000u, ANNA, 1);
  fill(7, 1, ANNA, 1);
  fill(7, 1, BO, 2);
  reopen(7, 0, ANNA);
  reopen(7, 9, ANNA);
  remind((enum pd_reminder_kind)99, 7, 1, ANNA);
  end_offer(77, 7, ANNA, (enum pd_reason)99);
  end_order(9, PD_ORDER_STATE_CANCELLED);
  erase(0);
  for (uint64_t order = 100; order < 300; order++) place(order, PD_URGENCY_ROUTINE);
  for (uint64_t order = 1; order < 300; order++) end_order(order, PD_ORDER_STATE_COMPLETED);
  deliver_all();
  cr_assert_eq(notification_count(h.self).waiting, 0);
}

/* ---- quiet hours ---------------------------------------------------------------------------- */

Test(quiet, holds_back_at_night_what_can_wait) {
  h.now_ms = CORE_START_MS + 22 * HOUR_MS;
  place(7, PD_URGENCY_ROUTINE);
  offer(1, 7, ANNA);
  nothing_more();
  cr_assert_eq(notification_wake(h.self, h.now_ms), CORE_START_MS + 31 * HOUR_MS);
  h.now_ms = CORE_START_MS + 31 * HOUR_MS - 1;
  nothing_more();
  cr_assert_eq(notification_wake(h.self, h.now_ms), CORE_START_MS + 31 * HOUR_MS);
  h.now_ms++;
  cr_assert_eq(notification_wake(h.self, h.now_ms), PD_NEVER);
  next(PD_TEMPLATE_ORDER_RECEIVED, REQUESTER);
  next(PD_TEMPLATE_OFFER, ANNA);
  nothing_more();
}

Test(quiet, sends_at_night_what_is_urgent) {
  h.now_ms = CORE_START_MS + 23 * HOUR_MS;
  place(7, PD_URGENCY_EMERGENCY);
  offer(1, 7, ANNA);
  place(8, PD_URGENCY_ROUTINE);
  fill(8, 1, BO, 2);
  remind(PD_REMINDER_KIND_START, 8, 1, BO);
  next(PD_TEMPLATE_OFFER, ANNA);
  next(PD_TEMPLATE_HELP_FOUND, REQUESTER);
  next(PD_TEMPLATE_START_REMINDER, BO);
  nothing_more();
  h.now_ms = CORE_START_MS + 31 * HOUR_MS;
  next(PD_TEMPLATE_ORDER_RECEIVED, REQUESTER);
  next(PD_TEMPLATE_ORDER_RECEIVED, REQUESTER);
  next(PD_TEMPLATE_BOOKED, BO);
  nothing_more();
}

Test(quiet, never_sends_in_the_morning_an_offer_that_ended_at_night) {
  h.now_ms = CORE_START_MS + 23 * HOUR_MS;
  place(7, PD_URGENCY_ROUTINE);
  offer(1, 7, ANNA);
  end_offer(1, 7, ANNA, PD_REASON_SILENT);
  expect_suppressed(PD_TEMPLATE_OFFER, PD_SUPPRESS_REASON_STALE);
  h.now_ms = CORE_START_MS + 31 * HOUR_MS;
  next(PD_TEMPLATE_ORDER_RECEIVED, REQUESTER);
  nothing_more();
}

Test(quiet, begins_again_in_the_evening_for_what_still_waits) {
  place(7, PD_URGENCY_ROUTINE);
  h.now_ms = CORE_START_MS + 22 * HOUR_MS;
  nothing_more();
  cr_assert_eq(notification_count(h.self).by_day, 1);
}

/* ---- beside the waves ------------------------------------------------------------------------ */

static void offer_as(uint64_t id, uint64_t order, uint64_t volunteer, enum pd_offer_how how) {
  struct pd_offer_made body = PD_OFFER_MADE_INIT;
  body.offer = id;
  body.order = order;
  body.volunteer = core_bytes(volunteer);
  body.how = how;
  core_hear(&h, PD_LOG_MATCHING, PD_EVENT_OFFER_MADE, &body);
}

static void deny(uint64_t order, uint64_t volunteer, enum pd_offer_how how) {
  struct pd_offer_denied body = PD_OFFER_DENIED_INIT;
  body.order = order;
  body.volunteer = core_bytes(volunteer);
  body.how = how;
  body.reason = PD_REASON_FILLED;
  core_hear(&h, PD_LOG_MATCHING, PD_EVENT_OFFER_DENIED, &body);
}

Test(notification, tells_a_named_volunteer_that_a_coordinator_asks) {
  place(7, PD_URGENCY_ROUTINE);
  struct notification_message message;
  cr_assert(notification_next(h.self, h.now_ms, &cursor, &message));
  offer_as(1, 7, 31, PD_OFFER_HOW_COMMANDED);
  cr_assert(notification_next(h.self, h.now_ms, &cursor, &message));
  cr_assert(message.template == PD_TEMPLATE_OFFER_COMMANDED && message.subject == 1);
  end_offer(1, 7, 31, PD_REASON_SILENT); /* what waited for it is overtaken */
  cr_assert(core_count(&h, PD_EVENT_MESSAGE_SUPPRESSED) == 1);
}

Test(notification, who_asked_in_the_hall_hears_of_the_booking_or_why_there_is_none) {
  place(7, PD_URGENCY_ROUTINE);
  struct notification_message message;
  cr_assert(notification_next(h.self, h.now_ms, &cursor, &message));
  offer_as(1, 7, 31, PD_OFFER_HOW_ASKED);
  cr_assert(!notification_next(h.self, h.now_ms, &cursor, &message));
  fill(7, 1, 31, 1);
  cr_assert(notification_next(h.self, h.now_ms, &cursor, &message));
  cr_assert(message.template == PD_TEMPLATE_BOOKED);
  cr_assert(notification_next(h.self, h.now_ms, &cursor, &message)); /* the resident's */
  deny(7, 32, PD_OFFER_HOW_COMMANDED); /* the coordinator reads it where it was said */
  cr_assert(!notification_next(h.self, h.now_ms, &cursor, &message));
  deny(7, 32, PD_OFFER_HOW_ASKED);
  cr_assert(notification_next(h.self, h.now_ms, &cursor, &message));
  cr_assert(message.template == PD_TEMPLATE_ASK_DENIED && message.reason == PD_REASON_FILLED);
}

Test(notification, stands_down_whom_an_emergency_does_not_need_any_more) {
  place(7, PD_URGENCY_EMERGENCY);
  offer(1, 7, 31);
  struct notification_message message;
  cr_assert(notification_next(h.self, h.now_ms, &cursor, &message));
  cr_assert(notification_next(h.self, h.now_ms, &cursor, &message));
  struct pd_delivery sent = {.log = message.log, .seq = message.seq, .ok = true, .sink = "file"};
  core_delivery(&h, &sent);
  end_offer(1, 7, 31, PD_REASON_FILLED);
  cr_assert(notification_next(h.self, h.now_ms, &cursor, &message));
  cr_assert(message.template == PD_TEMPLATE_STOOD_DOWN);
}
