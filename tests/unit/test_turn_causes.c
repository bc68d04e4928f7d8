/* A turn hears causes before effects, in whichever order the logs arrive. */
#include "common/flow/turn.h"
#include "services/notification/notification_core.h"
#include "tests/unit/core_harness.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/mman.h>

#define STATE_SIZE ((size_t)256 << 20)
#define ENTRY_SIZE ((size_t)1 << 20)

static struct pd_turn turn;

static void ignore_commit(void *context, const struct pd_packed *packed) {
  (void)context;
  (void)packed;
}

static void ignore_reply(void *context, uint64_t token, const uint8_t *bytes, size_t size) {
  (void)context;
  (void)token;
  (void)bytes;
  (void)size;
}

static void *zeroed(size_t size) {
  void *memory =
      mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  pd_assert(memory != MAP_FAILED);
  return memory;
}

static void start(void) {
  struct pd_turn_config config = {.core = &notification_core, .limits = &pd_limits_small};
  config.shard = (struct pd_shard){.code = CORE_SHARD, .zone_min = CORE_ZONE_MIN};
  pd_arena_init(&config.state, zeroed(STATE_SIZE), STATE_SIZE);
  pd_arena_init(&config.batch, zeroed(ENTRY_SIZE), ENTRY_SIZE);
  config.entries = zeroed(PD_WRITER_SLOTS * ENTRY_SIZE);
  config.entry_size = ENTRY_SIZE;
  config.entry_soft = ENTRY_SIZE / 4;
  config.replies = zeroed(ENTRY_SIZE);
  config.replies_size = ENTRY_SIZE;
  config.hooks = (struct pd_turn_hooks){.committed = ignore_commit, .reply = ignore_reply};
  pd_turn_init(&turn, &config);
  pd_turn_lead(&turn, CORE_START_MS);
}

TestSuite(turn_causes, .init = start);

/* The first entry of a log: one event, behind a mark if upto is not 0. */
static enum pd_taken offer_entry(enum pd_log log, enum pd_log marked, uint64_t upto,
                                 pd_event_kind kind, const void *body) {
  static uint8_t memory[PD_LOGS][4096];
  struct pd_packer packer;
  pd_packer_init(&packer, memory[log], sizeof memory[log]);
  if (upto > 0) pd_pack_mark(&packer, marked, upto);
  struct pd_event event = PD_EVENT_INIT;
  event.log = log;
  event.seq = 1;
  event.shard = CORE_SHARD;
  event.body_case = kind;
  memcpy(&event.epoch_began, &body, sizeof body);
  pd_pack_event(&packer, &event);
  struct pd_entry_head head = {
      .shard = CORE_SHARD, .log = log, .epoch = 1, .first_seq = 1, .last_seq = 1};
  struct pd_packed packed;
  pd_pack_end(&packer, &head, &packed);
  return pd_turn_input(&turn, packed.bytes, packed.size, &packed.hash);
}

static enum pd_taken offer_order(void) {
  struct pd_order_placed body = PD_ORDER_PLACED_INIT;
  body.order = 7;
  body.requester = core_bytes(1);
  return offer_entry(PD_LOG_INTAKE, PD_LOG_UNSPECIFIED, 0, PD_EVENT_ORDER_PLACED, &body);
}

static enum pd_taken offer_booking(enum pd_log marked) {
  struct pd_slot_filled body = PD_SLOT_FILLED_INIT;
  body.order = 7;
  body.slot = 1;
  body.volunteer = core_bytes(31);
  return offer_entry(PD_LOG_MATCHING, marked, 1, PD_EVENT_SLOT_FILLED, &body);
}

Test(turn_causes, an_effect_waits_until_its_cause_was_heard) {
  cr_assert_eq(offer_booking(PD_LOG_INTAKE), PD_TAKEN_PART);
  cr_assert_eq(turn.inputs[PD_LOG_MATCHING].next, 1, "nothing of it was consumed");
  cr_assert_eq(offer_order(), PD_TAKEN);
  cr_assert_eq(offer_booking(PD_LOG_INTAKE), PD_TAKEN);
  cr_assert_eq(notification_count(turn.self).waiting, 3,
               "ORDER_RECEIVED, BOOKED, and HELP_FOUND, which needs the order");
}

Test(turn_causes, a_log_that_is_not_followed_is_not_waited_for) {
  cr_assert_eq(offer_order(), PD_TAKEN);
  cr_assert_eq(offer_booking(PD_LOG_NOTIFICATION), PD_TAKEN);
}

Test(turn_causes, the_notes_of_others_are_not_noted_again) {
  struct pd_inputs_noted body = PD_INPUTS_NOTED_INIT;
  pd_turn_close(&turn, true);
  cr_assert_eq(
      offer_entry(PD_LOG_INTAKE, PD_LOG_UNSPECIFIED, 0, PD_EVENT_INPUTS_NOTED, &body), PD_TAKEN);
  cr_assert(!pd_turn_unnoted(&turn), "two daemons would note each other's notes for ever");
  cr_assert(!pd_turn_quiet(&turn), "the mark is kept");
  cr_assert_eq(offer_booking(PD_LOG_INTAKE), PD_TAKEN);
  cr_assert(pd_turn_unnoted(&turn));
}

Test(turn_causes, what_the_core_passes_over_is_consumed_and_noted) {
  struct pd_wave_opened body = PD_WAVE_OPENED_INIT;
  pd_turn_close(&turn, true);
  cr_assert(turn.passes[PD_EVENT_WAVE_OPENED]);
  cr_assert_eq(
      offer_entry(PD_LOG_MATCHING, PD_LOG_UNSPECIFIED, 0, PD_EVENT_WAVE_OPENED, &body), PD_TAKEN);
  cr_assert_eq(turn.inputs[PD_LOG_MATCHING].next, 2);
  cr_assert(pd_turn_unnoted(&turn));
}

Test(turn_causes, what_is_passed_over_must_still_belong_to_its_log) {
  struct pd_wave_opened body = PD_WAVE_OPENED_INIT;
  cr_assert_eq(
      offer_entry(PD_LOG_INTAKE, PD_LOG_UNSPECIFIED, 0, PD_EVENT_WAVE_OPENED, &body),
      PD_TAKEN_CORRUPT, "intake does not say this");
}
