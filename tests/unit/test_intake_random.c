/* Whatever comes in whatever order: the invariants hold after every step, every command gets one
 * answer, and replay ends in the same bytes. */
#include "common/base/rng.h"
#include "tests/unit/intake_world.h"

static struct pd_rng rng;

static uint64_t below(uint64_t limit) { return pd_rng_below(&rng, limit); }

/* Numbers that mostly exist: some people are residents, some volunteers, some nobody. */
static uint64_t somebody(void) { return 1 + below(14); }

/* Mostly the same order for a while, so that it comes far; else any, or one that is not there. */
static uint64_t some_order(void) {
  static uint64_t focus;
  const struct pd_event *placed = core_last(&h, PD_EVENT_ORDER_PLACED);
  uint64_t newest = placed != NULL ? placed->order_placed->order : 1;
  if (focus > newest || below(60) == 0) focus = newest - below(newest < 5 ? newest : 5);
  return below(6) != 0 ? focus : below(newest + 2);
}

static uint32_t some_slot(void) { return (uint32_t)(below(8) == 0 ? below(12) : 1 + below(2)); }

static void some_credential(void) {
  struct pd_record_credential body = PD_RECORD_CREDENTIAL_INIT;
  body.person = core_bytes(somebody());
  body.kind = (enum pd_credential_kind)below(7);
  if (body.kind == PD_CREDENTIAL_KIND_QUALIFICATION) body.skill = (enum pd_skill)below(28);
  body.until_ms = below(3) == 0 ? 0 : h.now_ms;
  when_said(PD_COMMAND_RECORD_CREDENTIAL, &body);
}

static void some_block(void) {
  struct pd_block_pair body = PD_BLOCK_PAIR_INIT;
  body.person = core_bytes(somebody());
  body.other = core_bytes(somebody());
  body.lift = below(2) != 0;
  when_said(PD_COMMAND_BLOCK_PAIR, &body);
}

static void some_command(void) {
  static const enum pd_role roles[] = {PD_ROLE_RESIDENT, PD_ROLE_VOLUNTEER, PD_ROLE_SITE,
                                       PD_ROLE_SITE,     PD_ROLE_SITE,      PD_ROLE_OPS};
  said.role = roles[below(6)];
  said.actor = below(3) != 0 ? somebody() : 0;
  said.key = below(8) == 0 ? 1 + below(500) : 0; /* now and then a key that was used before */
  said.body = below(2) != 0 ? 5 : 0;
  uint64_t order = some_order();
  uint32_t slot = some_slot();
  struct pd_place_order body = an_order(somebody(), 1 + (uint32_t)below(below(4) == 0 ? 9 : 3));
  struct pd_erase_person erase = PD_ERASE_PERSON_INIT;
  erase.person = core_bytes(somebody());
  switch (below(26)) {
    case 24: some_credential(); break;
    case 25: some_block(); break;
    case 0:
    case 21:
    case 22:
    case 23: when_said(PD_COMMAND_PLACE_ORDER, &body); break;
    case 1:
      if (below(20) == 0) when_said(PD_COMMAND_ERASE_PERSON, &erase);
      break;
    case 2:
      if (below(4) == 0) when_cancelled(order);
      break;
    case 3:
    case 4: when_answered(below(200), somebody(), below(2) != 0); break;
    case 5:
    case 6: when_withdrawn(order, slot); break;
    case 7:
    case 8:
    case 9:
    case 10:
    case 11: when_started(order, slot); break;
    case 12:
    case 13:
    case 14:
    case 15:
    case 16: when_finished(order, slot); break;
    case 17:
    case 18:
    case 19: when_confirmed(order, slot, (uint32_t)below(3)); break;
    case 20: when_rated(order, somebody(), (uint32_t)below(7)); break;
    default: when_finished(order, 1); break;
  }
}

static void some_fact(void) {
  uint64_t order = some_order(), offer = below(200);
  uint32_t slot = some_slot();
  switch (below(10)) {
    case 0: when_offered(offer, order, somebody()); break;
    case 1: when_offer_closed(offer, order, somebody()); break;
    case 2: when_filled(order, slot, somebody()); break;
    case 3: when_reopened(order, slot, somebody(), PD_REASON_NO_SHOW); break;
    case 4:
      if (below(3) == 0) when_expired(order, (enum pd_order_stage)below(6));
      break;
    default: when_filled(order, slot, somebody()); break;
  }
}

static void walk(uint64_t seed) {
  pd_rng_seed(&rng, seed);
  given_district();
  for (uint64_t person = 1; person <= 4; person++) given_resident(person);
  for (uint64_t person = 5; person <= 12; person++) given_volunteer(person);
  for (int step = 0; step < 8000; step++) {
    h.now_ms += (int64_t)below(20 * PD_MINUTE_MS);
    if (below(2) != 0)
      some_command();
    else
      some_fact();
  }
  cr_assert(core_count(&h, PD_EVENT_ORDER_SERVED) > 10, "too tame: hardly an order was served");
  cr_assert(core_count(&h, PD_EVENT_ORDER_CLOSED) > 20, "too tame: hardly an order ended");
  end();
}

/* One order, one end, and nothing after it. */
static void expect_each_order_to_end_once(void) {
  static bool ended[65536];
  for (size_t i = 0; i < h.said.count; i++) {
    const struct pd_event *event = h.said.items[i];
    uint64_t order = 0;
    if (event->body_case == PD_EVENT_SERVICE_STARTED) order = event->service_started->order;
    if (event->body_case == PD_EVENT_SERVICE_FINISHED) order = event->service_finished->order;
    if (event->body_case == PD_EVENT_SERVICE_CONFIRMED) order = event->service_confirmed->order;
    if (event->body_case == PD_EVENT_ORDER_SERVED) order = event->order_served->order;
    if (event->body_case == PD_EVENT_ORDER_RATED) order = event->order_rated->order;
    if (event->body_case == PD_EVENT_ORDER_CLOSED) order = event->order_closed->order;
    cr_assert(order < 65536 && (order == 0 || !ended[order]), "order %llu had ended",
              (unsigned long long)order);
    if (event->body_case == PD_EVENT_ORDER_CLOSED) ended[order] = true;
  }
}

Test(intake_random, keeps_its_promises_on_any_walk) {
  for (uint64_t seed = 1; seed <= 6; seed++) walk(seed);
}

Test(intake_random, says_nothing_about_an_order_after_its_end) {
  pd_rng_seed(&rng, 99);
  given_district();
  for (uint64_t person = 1; person <= 4; person++) given_resident(person);
  for (uint64_t person = 5; person <= 12; person++) given_volunteer(person);
  for (int step = 0; step < 8000; step++) {
    h.now_ms += (int64_t)below(20 * PD_MINUTE_MS);
    some_command();
    some_fact();
  }
  expect_each_order_to_end_once();
  end();
}
