/* Timers: the heap beside a plain list of the same timers. */
#include "common/base/heap.h"
#include "common/base/rng.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#define CAPACITY 100

static _Alignas(16) uint8_t memory[1 << 16];
static struct pd_arena arena;
static struct pd_heap heap;

static void setup(void) {
  memset(memory, 0, sizeof memory);
  pd_arena_init(&arena, memory, sizeof memory);
  pd_arena_begin_image(&arena);
  pd_heap_init(&heap, &arena, CAPACITY);
}

/* The model: INT64_MAX stands for no timer. */
static int64_t list[CAPACITY];

static int earliest(void) {
  int found = -1;
  for (int i = 0; i < CAPACITY; i++) {
    if (list[i] != INT64_MAX && (found < 0 || list[i] < list[found])) found = i;
  }
  return found;
}

static void expect_agreement(void) {
  int first = earliest();
  cr_assert_eq(pd_heap_when(&heap), first < 0 ? INT64_MAX : list[first]);
  if (first >= 0) cr_assert_eq(pd_heap_what(&heap), (uint32_t)first);
}

Test(heap, an_empty_heap_never_fires, .init = setup) {
  cr_expect_eq(pd_heap_when(&heap), INT64_MAX);
  pd_heap_clear(&heap, 3);
  cr_expect_eq(pd_heap_when(&heap), INT64_MAX);
}

Test(heap, an_empty_heap_has_no_first_timer, .init = setup, .signal = SIGABRT) {
  pd_heap_what(&heap);
}

Test(heap, a_timer_beyond_the_capacity_is_a_broken_promise, .init = setup, .signal = SIGABRT) {
  pd_heap_set(&heap, CAPACITY, 1);
}

Test(heap, equal_times_come_out_in_order_of_what_whatever_the_history, .init = setup) {
  for (uint32_t i = 0; i < CAPACITY; i++) pd_heap_set(&heap, i * 37 % CAPACITY, i % 2 == 0 ? 5 : 9);
  for (uint32_t i = 0; i < CAPACITY; i++) pd_heap_set(&heap, i * 61 % CAPACITY, 7);
  for (uint32_t i = 0; i < CAPACITY; i++) {
    cr_assert_eq(pd_heap_what(&heap), i);
    pd_heap_clear(&heap, i);
  }
}

Test(heap, it_agrees_with_a_plain_list_after_any_operations, .init = setup) {
  struct pd_rng rng;
  pd_rng_seed(&rng, 7);
  for (int i = 0; i < CAPACITY; i++) list[i] = INT64_MAX;
  for (int step = 0; step < 100000; step++) {
    uint32_t what = (uint32_t)pd_rng_below(&rng, CAPACITY);
    /* now filling, now emptying */
    uint64_t action = pd_rng_below(&rng, step / 10000 % 2 == 0 ? 3 : 6);
    if (action < 2) {
      list[what] = (int64_t)pd_rng_below(&rng, 200) - 100;
      pd_heap_set(&heap, what, list[what]);
    } else {
      if (action > 3 && earliest() >= 0) what = (uint32_t)earliest();
      list[what] = INT64_MAX;
      pd_heap_clear(&heap, what);
    }
    expect_agreement();
  }
}

Test(heap, an_emptied_heap_leaves_no_trace_in_the_image, .init = setup) {
  for (uint32_t i = 0; i < CAPACITY; i++) pd_heap_set(&heap, i, i * 31 % 17);
  for (uint32_t i = 0; i < CAPACITY; i++) pd_heap_clear(&heap, i * 13 % CAPACITY);
  size_t length;
  const uint8_t *image = pd_arena_image(&arena, &length);
  for (size_t i = 0; i < length; i++) cr_assert_eq(image[i], 0);
}
