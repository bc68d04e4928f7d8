/* A stretch played under other rules: the same model for both, the record beside them. */
#include "common/wire/entry.h"
#include "services/paidan/whatif.h"
#include "tests/unit/core_harness.h"

#include <criterion/criterion.h>

#define MINUTE INT64_C(60000)

static const struct pd_shard shard = {.code = CORE_SHARD, .zone_min = CORE_ZONE_MIN};
static struct whatif_record *record;
static uint64_t seqs[PD_LOGS];
static int64_t now_ms;

static void begin(void) {
  record = whatif_new(&shard, 0, INT64_MAX);
  now_ms = CORE_START_MS;
}

static void end(void) { whatif_free(record); }

TestSuite(whatif, .init = begin, .fini = end);

static void add(enum pd_log log, struct pd_event *event) {
  static uint8_t bytes[4096];
  event->log = log;
  event->seq = ++seqs[log];
  event->time_ms = now_ms;
  size_t size = paidan__v1__event__pack(event, bytes);
  cr_assert(whatif_add(record, bytes, size) == PD_OK);
}

static void volunteer(uint64_t person, int32_t east) {
  uint32_t days[7] = {0xffffff, 0xffffff, 0xffffff, 0xffffff, 0xffffff, 0xffffff, 0xffffff};
  struct pd_cell cell = PD_CELL_INIT;
  cell.x = 118050 + east;
  cell.y = 36640;
  struct pd_volunteer_registered body = PD_VOLUNTEER_REGISTERED_INIT;
  body.person = core_bytes(person);
  body.cell = &cell;
  body.n_available = 7;
  body.available = days;
  body.radius_m = 20000;
  body.max_per_week = 50;
  body.age = PD_AGE_BAND_18_35;
  struct pd_event event = PD_EVENT_INIT;
  event.body_case = PD_EVENT_VOLUNTEER_REGISTERED;
  event.volunteer_registered = &body;
  add(PD_LOG_INTAKE, &event);
}

static void order(uint64_t number) {
  struct pd_cell cell = PD_CELL_INIT;
  cell.x = 118050;
  cell.y = 36640;
  struct pd_order_placed body = PD_ORDER_PLACED_INIT;
  body.order = number;
  body.requester = core_bytes(900);
  body.kind = PD_ORDER_KIND_VISIT;
  body.category = "visit";
  body.cell = &cell;
  body.need = 1;
  body.window_start_ms = now_ms + 240 * MINUTE;
  body.window_end_ms = now_ms + 600 * MINUTE;
  body.minutes = 60;
  body.urgency = PD_URGENCY_ROUTINE;
  struct pd_event event = PD_EVENT_INIT;
  event.body_case = PD_EVENT_ORDER_PLACED;
  event.order_placed = &body;
  add(PD_LOG_INTAKE, &event);
}

static void offer(uint64_t number, uint64_t of, uint64_t person) {
  struct pd_offer_made body = PD_OFFER_MADE_INIT;
  body.offer = number;
  body.order = of;
  body.wave = 1;
  body.volunteer = core_bytes(person);
  struct pd_event event = PD_EVENT_INIT;
  event.body_case = PD_EVENT_OFFER_MADE;
  event.offer_made = &body;
  add(PD_LOG_MATCHING, &event);
}

static void closed(uint64_t number, uint64_t of, uint64_t person, enum pd_reason reason) {
  struct pd_offer_closed body = PD_OFFER_CLOSED_INIT;
  body.offer = number;
  body.order = of;
  body.volunteer = core_bytes(person);
  body.reason = reason;
  struct pd_event event = PD_EVENT_INIT;
  event.body_case = PD_EVENT_OFFER_CLOSED;
  event.offer_closed = &body;
  add(PD_LOG_MATCHING, &event);
}

static void filled(uint64_t number, uint64_t of, uint64_t person) {
  struct pd_slot_filled body = PD_SLOT_FILLED_INIT;
  body.order = of;
  body.slot = 1;
  body.volunteer = core_bytes(person);
  body.offer = number;
  struct pd_event event = PD_EVENT_INIT;
  event.body_case = PD_EVENT_SLOT_FILLED;
  event.slot_filled = &body;
  add(PD_LOG_MATCHING, &event);
}

/* Three live near; the first let the offer expire then, the second declined, the third came. */
static void a_morning(void) {
  volunteer(1, 5);
  volunteer(2, 10);
  volunteer(3, 15);
  order(1);
  offer(1, 1, 1);
  offer(2, 1, 2);
  offer(3, 1, 3);
  now_ms += 20 * MINUTE;
  closed(2, 1, 2, PD_REASON_DECLINED);
  now_ms += 10 * MINUTE;
  filled(3, 1, 3);
  closed(1, 1, 1, PD_REASON_FILLED);
}

Test(whatif, who_answered_then_answers_so_again) {
  a_morning();
  struct whatif_figures old;
  cr_assert(whatif_play(record, NULL, &old) == PD_OK);
  cr_assert(old.orders == 1 && old.slots == 1 && old.filled == 1 && old.staffed == 1);
  cr_assert(old.offers == 3, "%d offers", (int)old.offers);
  cr_assert(old.staff_wait_min[0] <= 30.01, "%g minutes", old.staff_wait_min[0]);
  cr_assert(whatif_rate(record, 0).yes == 1 && whatif_rate(record, 0).known == 2);
}

Test(whatif, other_rules_give_another_course) {
  a_morning();
  struct matching_rules rules = {0};
  for (unsigned kind = 0; kind < MATCHING_KINDS; kind++) {
    rules.of[kind] = matching_policy_default;
    rules.of[kind].offers_per_slot = 1;
    rules.of[kind].fill_percent = 0;
  }
  struct whatif_figures new;
  cr_assert(whatif_play(record, &rules, &new) == PD_OK);
  cr_assert(new.orders == 1 && new.filled <= 1 && new.offers <= 3);
  cr_assert(new.offers_per_fill <= 3);
}

Test(whatif, two_plays_under_the_same_rules_are_the_same) {
  a_morning();
  for (uint64_t number = 2; number < 12; number++) {
    now_ms += 7 * MINUTE;
    order(number);
  }
  struct whatif_figures one, two;
  cr_assert(whatif_play(record, NULL, &one) == PD_OK);
  cr_assert(whatif_play(record, NULL, &two) == PD_OK);
  cr_assert(memcmp(&one, &two, sizeof one) == 0);
  cr_assert(one.orders == 11);
}

static uint64_t heard_offers;

static void count_offers(void *context, const struct pd_event *event) {
  cr_assert(context == &heard_offers);
  heard_offers += event->body_case == PD_EVENT_OFFER_MADE;
}

/* Nothing is recorded of the answers: what is assumed decides, in every way of taking turns. */
Test(whatif, answers_may_be_assumed) {
  static const int64_t delays_ms[] = {3 * MINUTE};
  struct whatif_setting setting = {.rate = {.known = 1, .yes = 1},
                                   .delays_ms = delays_ms,
                                   .delays = 1,
                                   .event = count_offers,
                                   .context = &heard_offers};
  volunteer(1, 5);
  volunteer(2, 10);
  order(1);
  order(2);
  struct whatif_figures played;
  cr_assert(whatif_play(record, NULL, &played) == PD_OK && played.filled == 0);
  for (setting.turns = WHATIF_EACH_CAUSE; setting.turns <= WHATIF_EACH_MOMENT; setting.turns++) {
    heard_offers = 0;
    whatif_set(record, &setting);
    cr_assert(whatif_play(record, NULL, &played) == PD_OK);
    cr_assert(played.filled == 2 && played.staff_wait_min[0] <= 3.01, "%d filled after %g minutes",
              (int)played.filled, played.staff_wait_min[0]);
    cr_assert(heard_offers == played.offers && heard_offers > 0);
  }
  setting.rate = (struct whatif_rate){.known = 1, .no = 1};
  whatif_set(record, &setting);
  cr_assert(whatif_play(record, NULL, &played) == PD_OK && played.filled == 0);
}

Test(whatif, the_record_is_counted_as_it_was) {
  a_morning();
  struct whatif_figures recorded = whatif_recorded(record);
  cr_assert(recorded.orders == 1 && recorded.offers == 3 && recorded.filled == 1);
  cr_assert(recorded.volunteers == 3 && recorded.invited == 3);
}

Test(whatif, orders_outside_the_stretch_are_left_out) {
  whatif_free(record);
  record = whatif_new(&shard, CORE_START_MS + 60 * MINUTE, INT64_MAX);
  a_morning();
  now_ms += 60 * MINUTE;
  order(2);
  struct whatif_figures old;
  cr_assert(whatif_play(record, NULL, &old) == PD_OK);
  cr_assert(old.orders == 1 && whatif_recorded(record).orders == 1);
}
