/* The verifier must find each kind of damage: facts are handed to it as a log would have them. */
#include "services/paidan/verify.h"
#include "services/paidan/view.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static char faults[2048];
static struct verify_facts *facts;
static struct view view;
static uint64_t seqs[PD_LOGS];
static uint8_t ids[8][16];

static void on_fault(void *context, enum pd_log log, uint64_t seq, const char *what) {
  (void)context, (void)log, (void)seq;
  strncat(faults, what, sizeof faults - strlen(faults) - 1);
  strncat(faults, "\n", sizeof faults - strlen(faults) - 1);
}

static const struct verify_sink sink = {.fault = on_fault};

static void begin(void) {
  faults[0] = '\0';
  facts = verify_facts_new(&sink);
  for (int i = 0; i < 8; i++) memset(ids[i], i + 1, sizeof ids[i]);
}

static void end(void) {
  verify_facts_free(facts);
  view_close(&view);
}

TestSuite(verify, .init = begin, .fini = end);

static void expect(const char *what) { cr_assert_str_eq(faults, what); }

static ProtobufCBinaryData who(int number) {
  return (ProtobufCBinaryData){.len = 16, .data = ids[number]};
}

static struct pd_event of(enum pd_log log, pd_event_kind kind) {
  struct pd_event event = PD_EVENT_INIT;
  event.log = log;
  event.seq = ++seqs[log];
  event.body_case = kind;
  return event;
}

static void placed(uint64_t order) {
  struct pd_order_placed body = PD_ORDER_PLACED_INIT;
  struct pd_event event = of(PD_LOG_INTAKE, PD_EVENT_ORDER_PLACED);
  body.order = order;
  body.need = 2;
  body.category = "errand";
  event.order_placed = &body;
  verify_ledger(facts, &event);
  view_apply(&view, &event);
}

static void offered(uint64_t offer, uint64_t order, int volunteer) {
  struct pd_offer_made body = PD_OFFER_MADE_INIT;
  struct pd_event event = of(PD_LOG_MATCHING, PD_EVENT_OFFER_MADE);
  body.offer = offer;
  body.order = order;
  body.volunteer = who(volunteer);
  event.offer_made = &body;
  verify_booking(facts, &event);
  view_apply(&view, &event);
}

static void filled(uint64_t order, uint32_t slot, int volunteer, uint64_t offer, int64_t start_h) {
  struct pd_slot_filled body = PD_SLOT_FILLED_INIT;
  struct pd_event event = of(PD_LOG_MATCHING, PD_EVENT_SLOT_FILLED);
  body.order = order;
  body.slot = slot;
  body.volunteer = who(volunteer);
  body.offer = offer;
  body.start_ms = start_h * 3600000;
  body.end_ms = (start_h + 2) * 3600000;
  event.slot_filled = &body;
  verify_booking(facts, &event);
  view_apply(&view, &event);
}

static void reopened(uint64_t order, uint32_t slot, int volunteer) {
  struct pd_slot_reopened body = PD_SLOT_REOPENED_INIT;
  struct pd_event event = of(PD_LOG_MATCHING, PD_EVENT_SLOT_REOPENED);
  body.order = order;
  body.slot = slot;
  body.volunteer = who(volunteer);
  event.slot_reopened = &body;
  verify_booking(facts, &event);
  view_apply(&view, &event);
}

static void served(uint64_t order, uint32_t slot, uint32_t minutes) {
  struct pd_service_started start = PD_SERVICE_STARTED_INIT;
  struct pd_service_finished finish = PD_SERVICE_FINISHED_INIT;
  struct pd_event event = of(PD_LOG_INTAKE, PD_EVENT_SERVICE_STARTED);
  start.order = finish.order = order;
  start.slot = finish.slot = slot;
  start.volunteer = finish.volunteer = who(1);
  finish.minutes = minutes;
  event.service_started = &start;
  verify_ledger(facts, &event);
  view_apply(&view, &event);
  event = of(PD_LOG_INTAKE, PD_EVENT_SERVICE_FINISHED);
  event.service_finished = &finish;
  verify_ledger(facts, &event);
  view_apply(&view, &event);
}

static void said_served(uint64_t order) {
  struct pd_order_served body = PD_ORDER_SERVED_INIT;
  struct pd_event event = of(PD_LOG_INTAKE, PD_EVENT_ORDER_SERVED);
  body.order = order;
  event.order_served = &body;
  verify_ledger(facts, &event);
  view_apply(&view, &event);
}

static void confirmed(uint64_t order, uint32_t slot, uint32_t minutes) {
  struct pd_service_confirmed body = PD_SERVICE_CONFIRMED_INIT;
  struct pd_event event = of(PD_LOG_INTAKE, PD_EVENT_SERVICE_CONFIRMED);
  body.order = order;
  body.slot = slot;
  body.volunteer = who(1);
  body.minutes = minutes;
  body.last = true;
  event.service_confirmed = &body;
  verify_ledger(facts, &event);
  view_apply(&view, &event);
}

static void closed(uint64_t order, enum pd_order_state state) {
  struct pd_order_closed body = PD_ORDER_CLOSED_INIT;
  struct pd_event event = of(PD_LOG_INTAKE, PD_EVENT_ORDER_CLOSED);
  body.order = order;
  body.state = state;
  event.order_closed = &body;
  verify_booking(facts, &event);
  verify_ledger(facts, &event);
  view_apply(&view, &event);
}

static void posted(uint64_t posting, uint64_t order, uint32_t slot, int64_t give, int64_t take) {
  struct pd_posting_line lines[2] = {PD_POSTING_LINE_INIT, PD_POSTING_LINE_INIT};
  struct pd_posting_line *list[2] = {&lines[0], &lines[1]};
  struct pd_points_posted body = PD_POINTS_POSTED_INIT;
  struct pd_event event = of(PD_LOG_POINTS, PD_EVENT_POINTS_POSTED);
  lines[0].account = PD_ACCOUNT_PERSON;
  lines[0].person = who(1);
  lines[1].account = PD_ACCOUNT_ISSUED;
  lines[0].unit = lines[1].unit = PD_UNIT_MINUTES;
  lines[0].amount = give;
  lines[1].amount = -take;
  body.posting = posting;
  body.order = order;
  body.slot = slot;
  body.lines = list;
  body.n_lines = 2;
  event.points_posted = &body;
  verify_ledger(facts, &event);
  view_apply(&view, &event);
}

Test(verify, an_order_is_served_again_by_a_helper_who_came_after_it_was_served) {
  placed(1);
  served(1, 1, 60);
  said_served(1);
  served(1, 2, 30); /* whose acceptance had crossed order_served */
  said_served(1);
  expect("");
  said_served(1);
  expect("life: served twice, or by nobody\n");
}

Test(verify, finds_nothing_wrong_with_a_whole_order) {
  placed(1);
  offered(1, 1, 1);
  filled(1, 1, 1, 1, 10);
  served(1, 1, 60);
  confirmed(1, 1, 60);
  posted(1, 1, 1, 60, 60);
  closed(1, PD_ORDER_STATE_COMPLETED);
  int64_t sums[3];
  verify_ledger_end(facts, sums);
  cr_assert(sums[1] == 0 && sums[2] == 0);
  cr_assert_eq(verify_orders_open(facts), 0u);
  expect("");
}

Test(verify, finds_a_slot_that_is_won_twice) {
  placed(1);
  offered(1, 1, 1);
  offered(2, 1, 2);
  filled(1, 1, 1, 1, 10);
  filled(1, 1, 2, 2, 10);
  expect("P4: the slot was won before\n");
}

Test(verify, finds_a_volunteer_booked_twice_at_one_time) {
  placed(1);
  placed(2);
  offered(1, 1, 1);
  offered(2, 2, 1);
  filled(1, 1, 1, 1, 10);
  filled(2, 1, 1, 2, 11);
  expect("P4: the volunteer of order 2 is booked for order 1 at that time\n");
}

Test(verify, lets_bookings_touch_and_return) {
  placed(1);
  placed(2);
  offered(1, 1, 1);
  offered(2, 2, 1);
  offered(3, 1, 1);
  filled(1, 1, 1, 1, 10);
  filled(2, 1, 1, 2, 12);
  reopened(1, 1, 1);
  filled(1, 1, 1, 3, 10);
  expect("");
}

Test(verify, finds_an_offer_that_ends_twice) {
  placed(1);
  offered(1, 1, 1);
  filled(1, 1, 1, 1, 10);
  filled(1, 2, 1, 1, 20);
  expect("P4: an offer ends that is not open\n");
}

Test(verify, finds_a_posting_that_does_not_sum_to_zero) {
  placed(1);
  served(1, 1, 60);
  confirmed(1, 1, 60);
  posted(1, 1, 1, 60, 59);
  expect("P5: a posting does not sum to zero\n");
}

Test(verify, finds_a_second_posting_of_the_same_service) {
  placed(1);
  served(1, 1, 60);
  confirmed(1, 1, 60);
  posted(1, 1, 1, 60, 60);
  posted(2, 1, 1, 60, 60);
  expect("P5: this order and slot was posted before\n");
}

Test(verify, finds_hours_that_nobody_confirmed) {
  placed(1);
  served(1, 1, 60);
  posted(1, 1, 1, 60, 60);
  expect("P5: posted without a confirmed service\n");
}

Test(verify, finds_more_minutes_than_were_confirmed) {
  placed(1);
  served(1, 1, 60);
  confirmed(1, 1, 30);
  posted(1, 1, 1, 60, 60);
  expect("P5: more minutes than were confirmed\n");
}

Test(verify, finds_an_account_below_zero) {
  placed(1);
  served(1, 1, 60);
  confirmed(1, 1, 60);
  posted(1, 1, 1, -5, -5);
  expect("P5: an account falls below zero\n");
}

Test(verify, finds_what_happens_after_the_end) {
  placed(1);
  closed(1, PD_ORDER_STATE_CANCELLED);
  served(1, 1, 10);
  expect(
      "life: something happens after the order was closed\n"
      "life: something happens after the order was closed\n");
}

Test(verify, finds_a_completion_without_a_confirmation) {
  placed(1);
  served(1, 1, 60);
  closed(1, PD_ORDER_STATE_COMPLETED);
  expect("life: completed, but nothing was confirmed\n");
}

Test(view, follows_an_order_through_its_states) {
  begin();
  struct pd_order_staffed staffed = PD_ORDER_STAFFED_INIT;
  placed(1);
  const struct view_order *order = view_order(&view, 1);
  cr_assert_eq(order->state, PD_ORDER_STATE_OPEN);
  offered(1, 1, 1);
  cr_assert_eq(view_open_offers(&view, order), 1u);
  filled(1, 1, 1, 1, 10);
  cr_assert_eq(view_open_offers(&view, order), 0u);
  struct pd_event event = of(PD_LOG_MATCHING, PD_EVENT_ORDER_STAFFED);
  staffed.order = 1;
  event.order_staffed = &staffed;
  view_apply(&view, &event);
  cr_assert_eq(order->state, PD_ORDER_STATE_STAFFED);
  reopened(1, 1, 1);
  cr_assert_eq(order->state, PD_ORDER_STATE_OPEN);
  cr_assert_eq(order->slots[0].state, VIEW_FREE);
  served(1, 1, 45);
  cr_assert_eq(order->state, PD_ORDER_STATE_SERVING);
  confirmed(1, 1, 40);
  cr_assert_eq(order->state, PD_ORDER_STATE_CONFIRMED);
  cr_assert_eq(order->slots[0].minutes, 40u);
  closed(1, PD_ORDER_STATE_COMPLETED);
  cr_assert_eq(order->state, PD_ORDER_STATE_COMPLETED);
  cr_assert_null(view_order(&view, 2));
  end();
}
