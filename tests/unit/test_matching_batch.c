/* Orders that are decided together: the optimum, and what each alone would have been given. */
#include "common/base/rng.h"
#include "services/matching/batch.h"
#include "services/matching/state.h"
#include "services/matching/waves.h"
#include "tests/unit/matching_harness.h"

#include <criterion/criterion.h>
#include <string.h>

static struct matching_policy one_each;

static void begin(void) {
  one_each = matching_policy_default;
  one_each.offers_per_slot = 1;
  one_each.fill_percent = 0;
  matching_begin_with(&one_each, &pd_limits_small);
}

TestSuite(matching_batch, .init = begin, .fini = matching_end);

static bool was_solved(void) {
  const struct matching *self = h.self;
  return self->batch->solved != 0;
}

Test(matching_batch, who_is_near_to_two_orders_is_asked_by_the_one_that_has_no_other) {
  given_volunteer(1, (struct a_volunteer){.east = 2});
  given_volunteer(2, (struct a_volunteer){.east = -3, .radius_m = 300});
  when_together();
  when_placed(1, (struct an_order){0});
  when_placed(2, (struct an_order){.east = 3});
  expect_silence();
  then_decided();
  expect_wave(1, 1, 1);
  const struct pd_offer_made *said = expect_offer(1, 2);
  cr_assert(said->fairness_m == 0 && said->price_m == 0);
  expect_wave(2, 1, 1);
  said = expect_offer(2, 1);
  cr_assert(said->price_m > 0 && said->price_m <= 100, "what order 1 would have gained by 1");
  expect_silence();
  cr_assert(was_solved());
  struct matching_verdict verdict = verdict_on(1, 1);
  cr_assert(verdict.reason == PD_REASON_RANKED_LOWER);
  cr_assert(verdict.cost.way_m < verdict.wave_m, "lost to the batch, not by the way");
}

Test(matching_batch, one_turn_is_one_batch_and_the_next_turn_another) {
  given_volunteer(1, (struct a_volunteer){0});
  when_placed(1, (struct an_order){0});
  expect_wave(1, 1, 1);
  expect_offer(1, 1);
  when_placed(2, (struct an_order){.east = 3});
  expect_wave(2, 1, 1);
  expect_offer(2, 1);
}

Test(matching_batch, the_second_order_asks_somebody_else_when_that_is_not_much_farther) {
  given_volunteer(1, (struct a_volunteer){.east = 1});
  given_volunteer(2, (struct a_volunteer){.east = 2}); /* 89 m more; a second offer counts 100 */
  when_together();
  when_placed(1, (struct an_order){0});
  when_placed(2, (struct an_order){0});
  then_decided();
  expect_wave(1, 1, 1);
  const struct pd_offer_made *first = core_expect(&h, PD_EVENT_OFFER_MADE)->offer_made;
  expect_wave(2, 1, 1);
  const struct pd_offer_made *second = core_expect(&h, PD_EVENT_OFFER_MADE)->offer_made;
  cr_assert(memcmp(first->volunteer.data, second->volunteer.data, 16) != 0);
}

Test(matching_batch, the_more_urgent_order_gets_the_last_place) {
  static struct pd_limits limits;
  limits = pd_limits_small;
  limits.offers_each = 1;
  matching_end();
  matching_begin_with(&one_each, &limits);
  given_volunteer(1, (struct a_volunteer){.east = 5});
  when_together();
  when_placed(1, (struct an_order){.east = 5});
  when_placed(2, (struct an_order){.urgency = PD_URGENCY_URGENT});
  then_decided();
  const struct pd_order_unmatched *said = expect_unmatched(1, 1);
  cr_assert(said->considered == 1 && tally_of(said, PD_REASON_RANKED_LOWER) == 1);
  expect_wave(2, 1, 1);
  expect_offer(2, 1);
}

Test(matching_batch, orders_that_are_far_apart_get_what_each_alone_would_get) {
  struct pd_rng rng;
  pd_rng_seed(&rng, 7);
  for (uint64_t person = 1; person <= 60; person++)
    given_volunteer(person, (struct a_volunteer){.east = (int32_t)(person % 4 * 200 + person),
                                                 .north = (int32_t)pd_rng_below(&rng, 30)});
  when_together();
  for (uint64_t order = 1; order <= 4; order++)
    when_placed(order, (struct an_order){.east = (int32_t)(order % 4 * 200 + 20), .need = 3});
  then_decided();
  cr_assert(!was_solved(), "it takes no more than a look");
  uint64_t asked[4][3];
  for (uint64_t order = 1; order <= 4; order++) {
    expect_wave(order, 1, 3);
    for (int i = 0; i < 3; i++) {
      const struct pd_offer_made *made = core_expect(&h, PD_EVENT_OFFER_MADE)->offer_made;
      memcpy(&asked[order - 1][i], made->volunteer.data + 8, 8);
    }
  }
  for (uint64_t order = 1; order <= 4; order++) { /* again, each in a turn of its own */
    matching_end();
    matching_begin_with(&one_each, &pd_limits_small);
    pd_rng_seed(&rng, 7);
    for (uint64_t person = 1; person <= 60; person++)
      given_volunteer(person, (struct a_volunteer){.east = (int32_t)(person % 4 * 200 + person),
                                                   .north = (int32_t)pd_rng_below(&rng, 30)});
    when_placed(order, (struct an_order){.east = (int32_t)(order % 4 * 200 + 20), .need = 3});
    expect_wave(order, 1, 3);
    for (int i = 0; i < 3; i++) expect_offer(order, asked[order - 1][i]);
  }
}

/* The cost of what was said, from the parts that each offer tells; in one batch also what further
 * offers to the same person count beyond the first, which those in turn tell as fairness. */
static int64_t cost_said(bool one_batch, uint32_t *offers) {
  static uint32_t times[512];
  int64_t sum = 0;
  memset(times, 0, sizeof times);
  *offers = 0;
  for (size_t i = 0; i < h.said.count; i++) {
    const struct pd_event *event = h.said.items[i];
    if (event->body_case != PD_EVENT_OFFER_MADE) continue;
    const struct pd_offer_made *made = event->offer_made;
    uint64_t person;
    memcpy(&person, made->volunteer.data + 8, sizeof person);
    uint32_t before = times[person]++;
    sum += made->distance_m + made->fairness_m + made->rare_m - made->continuity_m;
    if (one_batch) sum += 100 * (int64_t)before * before;
    ++*offers;
  }
  return sum;
}

static void given_a_crowd(uint64_t seed) {
  struct pd_rng rng;
  pd_rng_seed(&rng, seed);
  for (uint64_t person = 1; person <= 120; person++)
    given_volunteer(person, (struct a_volunteer){.east = (int32_t)pd_rng_below(&rng, 60),
                                                 .north = (int32_t)pd_rng_below(&rng, 60)});
}

static void place_many(uint64_t seed, bool at_once) {
  struct pd_rng rng;
  pd_rng_seed(&rng, seed + 1000);
  if (at_once) when_together();
  for (uint64_t order = 1; order <= 40; order++)
    when_placed(order, (struct an_order){.east = 20 + (int32_t)pd_rng_below(&rng, 12),
                                         .north = 20 + (int32_t)pd_rng_below(&rng, 12),
                                         .need = 1 + (uint32_t)pd_rng_below(&rng, 3)});
  if (at_once) then_decided();
}

/* Checked by the core's own check after every decision: each answer is proved by its prices. */
Test(matching_batch, many_orders_in_one_place_cost_no_more_than_one_after_the_other) {
  int64_t together_m = 0, alone_m = 0;
  for (uint64_t seed = 1; seed <= 6; seed++) {
    int64_t cost_m[2];
    uint32_t offers[2];
    for (int at_once = 0; at_once < 2; at_once++) {
      matching_end();
      matching_begin_with(&one_each, &pd_limits_small);
      given_a_crowd(seed);
      place_many(seed, at_once);
      cr_assert(was_solved() == at_once && batch_certified(h.self));
      cost_m[at_once] = cost_said(at_once, &offers[at_once]);
    }
    cr_assert(offers[0] == offers[1] && cost_m[1] <= cost_m[0], "%lld m together, %lld m alone",
              (long long)cost_m[1], (long long)cost_m[0]);
    together_m += cost_m[1];
    alone_m += cost_m[0];
  }
  cr_assert(together_m < alone_m);
}

Test(matching_batch, a_window_gathers_orders_and_does_not_delay_an_emergency) {
  static struct matching_policy window;
  window = one_each;
  window.batch_window_ms = 5000;
  matching_end();
  matching_begin_with(&window, &pd_limits_small);
  for (uint64_t person = 1; person <= 4; person++)
    given_volunteer(person, (struct a_volunteer){.east = (int32_t)person});
  when_placed(1, (struct an_order){0});
  expect_silence();
  cr_assert(matching_core.deadline(h.self) == h.now_ms + 5000);
  core_time(&h, h.now_ms + 4000);
  when_placed(2, (struct an_order){0});
  expect_silence();
  core_check_replay(&h); /* who waits is a fact of the image */
  core_time(&h, h.now_ms + 1000);
  expect_wave(1, 1, 1);
  core_expect(&h, PD_EVENT_OFFER_MADE);
  expect_wave(2, 1, 1);
  core_expect(&h, PD_EVENT_OFFER_MADE);
  cr_assert(matching_core.deadline(h.self) == PD_NEVER);
  when_placed(3, (struct an_order){0});
  expect_silence();
  when_placed(4, (struct an_order){.urgency = PD_URGENCY_EMERGENCY});
  const struct pd_wave_opened *wave = core_expect(&h, PD_EVENT_WAVE_OPENED)->wave_opened;
  cr_assert(wave->order == 4);
  for (uint32_t i = 0; i < wave->offers; i++) core_expect(&h, PD_EVENT_OFFER_MADE);
  expect_silence();
  core_time(&h, h.now_ms + 5000);
  expect_wave(3, 1, 1);
}

Test(matching_batch, what_is_said_names_the_fact_that_it_answers) {
  given_volunteer(1, (struct a_volunteer){0});
  when_together();
  when_placed(1, (struct an_order){0});
  uint64_t cause = h.heard[PD_LOG_INTAKE];
  when_placed(2, (struct an_order){.east = 1});
  then_decided();
  for (uint64_t order = 1; order <= 2; order++) {
    for (int i = 0; i < 2; i++) {
      pd_event_kind kind = i == 0 ? PD_EVENT_WAVE_OPENED : PD_EVENT_OFFER_MADE;
      const struct pd_event *event = core_expect(&h, kind);
      cr_assert(event->cause != NULL && event->cause->log == PD_LOG_INTAKE);
      cr_assert(event->cause->seq == cause + order - 1);
    }
  }
}

Test(matching_batch, an_order_that_ends_before_its_batch_is_not_invited_for) {
  given_volunteer(1, (struct a_volunteer){0});
  when_together();
  when_placed(1, (struct an_order){0});
  when_cancelled(1);
  when_placed(2, (struct an_order){0});
  when_closed(2, PD_ORDER_STATE_CANCELLED);
  then_decided();
  expect_silence();
}
