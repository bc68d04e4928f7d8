/* The small things that everything stands on: memory, errors, ids, limits, free lists, seeded
 * numbers. */
#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/id.h"
#include "common/base/limits.h"
#include "common/base/pool.h"
#include "common/base/rng.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

static _Alignas(16) uint8_t memory[1 << 14];
static struct pd_arena arena;

static void setup(void) {
  memset(memory, 0, sizeof memory);
  pd_arena_init(&arena, memory, sizeof memory);
}

Test(arena, blocks_are_aligned_and_do_not_overlap, .init = setup) {
  uint8_t *before = pd_arena_alloc(&arena, 1);
  for (size_t size = 1; size < 100; size++) {
    uint8_t *block = pd_arena_alloc(&arena, size);
    cr_assert_eq((uintptr_t)block % 16, 0);
    cr_assert_geq(block, before + 1);
    memset(block, 0xFF, size);
    before = block + size - 1;
  }
}

Test(arena, what_was_used_comes_back_zeroed_after_a_reset, .init = setup) {
  memset(pd_arena_alloc(&arena, 1000), 0xFF, 1000);
  pd_arena_reset(&arena);
  uint8_t *block = pd_arena_alloc(&arena, 1000);
  cr_expect_eq(block, memory);
  for (int i = 0; i < 1000; i++) cr_assert_eq(block[i], 0);
}

Test(arena, a_block_that_does_not_fit_is_refused_and_takes_nothing, .init = setup) {
  cr_expect_null(pd_arena_try(&arena, sizeof memory + 1));
  cr_expect_null(pd_arena_try(&arena, SIZE_MAX));
  cr_expect_null(pd_arena_try(&arena, SIZE_MAX - 14));
  cr_expect_not_null(pd_arena_try(&arena, sizeof memory));
  cr_expect_null(pd_arena_try(&arena, 1));
}

Test(arena, memory_that_was_counted_on_must_be_there, .init = setup, .signal = SIGABRT) {
  pd_arena_alloc(&arena, sizeof memory + 1);
}

Test(arena, the_image_begins_after_the_handles, .init = setup) {
  pd_arena_alloc(&arena, 48);
  pd_arena_begin_image(&arena);
  void *table = PD_ARENA_ARRAY(&arena, uint64_t, 5);
  size_t length = 0;
  cr_expect_eq(pd_arena_image(&arena, &length), table);
  cr_expect_eq(length, 48);
}

Test(err, every_error_has_its_own_phrase) {
  for (int i = 0; i < PD_ERR_COUNT; i++) {
    cr_expect_str_not_empty(pd_err_text((enum pd_err)i));
    for (int j = 0; j < i; j++)
      cr_expect_str_neq(pd_err_text((enum pd_err)i), pd_err_text((enum pd_err)j));
  }
  cr_expect_str_eq(pd_err_text(PD_ERR_COUNT), "unknown error");
  cr_expect_str_eq(pd_err_text((enum pd_err) - 1), "unknown error");
}

Test(err, a_broken_promise_ends_the_process, .signal = SIGABRT) { pd_assert(1 + 1 == 3); }

Test(id, the_text_of_an_id_reads_as_the_same_id) {
  struct pd_id id, again;
  char text[PD_ID_TEXT];
  for (int i = 0; i < 16; i++) id.bytes[i] = (uint8_t)(i * 17);
  cr_expect_str_eq(pd_id_text(&id, text), "00112233445566778899aabbccddeeff");
  cr_expect(pd_id_parse("00112233445566778899AABBCCddeeff", &again) && pd_id_equal(&id, &again));
}

Test(id, anything_but_32_hexadecimal_digits_is_no_id) {
  struct pd_id id;
  cr_expect_not(pd_id_parse("", &id));
  cr_expect_not(pd_id_parse("00112233445566778899aabbccddeef", &id));
  cr_expect_not(pd_id_parse("00112233445566778899aabbccddeeff0", &id));
  cr_expect_not(pd_id_parse("0011223344556677g899aabbccddeeff", &id));
  cr_expect_not(pd_id_parse("00112233445566778899aabbccddeef ", &id));
}

Test(id, only_sixteen_bytes_are_an_id) {
  const uint8_t bytes[17] = {1, 2, 3};
  struct pd_id id = pd_id_from(bytes, 16), shorter = pd_id_from(bytes, 15),
               longer = pd_id_from(bytes, 17);
  cr_expect(id.bytes[0] == 1 && !pd_id_is_zero(&id));
  cr_expect(pd_id_is_zero(&shorter) && pd_id_is_zero(&longer));
}

/* What the cores' tables take for granted of every list of limits. */
static void expect_sane(const struct pd_limits *limits) {
  cr_expect_gt(limits->orders, 0);
  cr_expect_geq(limits->offers, limits->orders);
  cr_expect_geq(limits->asked, limits->offers);
  cr_expect_geq(limits->bookings, limits->orders);
  cr_expect_leq(limits->slots, 64);
  cr_expect_leq(limits->offers_each, limits->offers);
  cr_expect(limits->sites > 0 && limits->teams > 0 && limits->persons > 0 && limits->keys > 0);
  cr_expect(limits->holds > 0 && limits->messages > 0);
}

Test(limits, both_lists_hold_together) {
  expect_sane(&pd_limits_district);
  expect_sane(&pd_limits_small);
  cr_expect_geq(pd_limits_district.persons, 250000,
                "a district registers some 83,000 volunteers, and residents");
}

Test(pool, entries_are_taken_in_order_at_first, .init = setup) {
  struct pd_pool pool;
  pd_pool_init(&pool, &arena, 20);
  for (uint32_t i = 0; i < 20; i++) {
    cr_assert_eq(pd_pool_free(&pool), 20 - i);
    cr_assert_eq(pd_pool_take(&pool), i);
  }
}

Test(pool, the_last_one_given_back_is_the_next_one_taken, .init = setup) {
  struct pd_pool pool;
  pd_pool_init(&pool, &arena, 20);
  for (int i = 0; i < 10; i++) pd_pool_take(&pool);
  pd_pool_give(&pool, 3);
  pd_pool_give(&pool, 8);
  cr_expect_eq(pd_pool_take(&pool), 8);
  cr_expect_eq(pd_pool_take(&pool), 3);
  cr_expect_eq(pd_pool_take(&pool), 10);
}

Test(pool, no_entry_is_ever_out_twice, .init = setup) {
  enum { SIZE = 50 };
  struct pd_pool pool;
  struct pd_rng rng;
  bool out[SIZE] = {false};
  uint32_t count = 0;
  pd_pool_init(&pool, &arena, SIZE);
  pd_rng_seed(&rng, 5);
  for (int step = 0; step < 50000; step++) {
    uint32_t entry = (uint32_t)pd_rng_below(&rng, SIZE);
    if (out[entry]) {
      pd_pool_give(&pool, entry);
      out[entry] = false;
      count--;
    } else if (count < SIZE) {
      entry = pd_pool_take(&pool);
      cr_assert_not(out[entry]);
      out[entry] = true;
      count++;
    }
    cr_assert_eq(pd_pool_free(&pool), SIZE - count);
  }
}

Test(pool, an_empty_pool_gives_nothing, .init = setup, .signal = SIGABRT) {
  struct pd_pool pool;
  pd_pool_init(&pool, &arena, 2);
  for (int i = 0; i < 3; i++) pd_pool_take(&pool);
}

Test(pool, an_entry_cannot_be_given_back_twice, .init = setup, .signal = SIGABRT) {
  struct pd_pool pool;
  pd_pool_init(&pool, &arena, 5);
  pd_pool_take(&pool);
  pd_pool_give(&pool, 0);
  pd_pool_give(&pool, 0);
}

/* The first numbers of the authors' own programs. */
Test(rng, the_numbers_are_those_of_the_published_generators) {
  struct pd_rng rng = {{1, 2, 3, 4}};
  const uint64_t first[] = {11520, 0, 1509978240, 1215971899390074240};
  for (int i = 0; i < 4; i++) cr_expect_eq(pd_rng_next(&rng), first[i]);
  pd_rng_seed(&rng, 1234567);
  const uint64_t seeded[] = {6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
                             4593380528125082431u};
  for (int i = 0; i < 4; i++) cr_expect_eq(rng.state[i], seeded[i]);
}

Test(rng, every_number_below_the_limit_comes_about_as_often) {
  struct pd_rng rng;
  uint32_t counts[7] = {0};
  pd_rng_seed(&rng, 0);
  for (int i = 0; i < 70000; i++) {
    uint64_t drawn = pd_rng_below(&rng, 7);
    cr_assert_lt(drawn, 7);
    counts[drawn]++;
  }
  for (int i = 0; i < 7; i++) cr_expect(counts[i] > 9600 && counts[i] < 10400, "%u", counts[i]);
}

Test(rng, large_limits_are_without_bias) {
  struct pd_rng rng;
  uint32_t low = 0;
  pd_rng_seed(&rng, 9);
  /* Taking the remainder alone would put half of all numbers into the lower third. */
  for (int i = 0; i < 30000; i++) low += pd_rng_below(&rng, UINT64_C(3) << 62) < UINT64_C(1) << 62;
  cr_expect(low > 9600 && low < 10400, "%u", low);
}

Test(rng, units_fill_the_interval_and_leave_out_one) {
  struct pd_rng rng;
  double sum = 0;
  pd_rng_seed(&rng, 11);
  for (int i = 0; i < 100000; i++) {
    double unit = pd_rng_unit(&rng);
    cr_assert(unit >= 0 && unit < 1);
    sum += unit;
  }
  cr_expect_float_eq(sum / 100000, 0.5, 0.005);
}
