/* Unpacking what comes from outside: what is wrong is named, and memory stays bounded. */
#include "common/wire/entry.h"

#include <criterion/criterion.h>
#include <string.h>

static uint8_t memory[1 << 20], bytes[4096];
static struct pd_arena arena;

static void start(void) { pd_arena_init(&arena, memory, sizeof memory); }

TestSuite(unpack, .init = start);

static size_t pack(const ProtobufCMessage *message) {
  return protobuf_c_message_pack(message, bytes);
}

static size_t an_order(char *note, char *address) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_place_order body = PD_PLACE_ORDER_INIT;
  body.note = note;
  body.address = address;
  command.key = (char *)"k";
  command.request = 77;
  command.body_case = PD_COMMAND_PLACE_ORDER;
  command.place_order = &body;
  return pack(&command.base);
}

static void expect_flaw(size_t size, const char *field, const char *word) {
  struct pd_flaw flaw;
  cr_assert_null(pd_unpack_named(&arena, &pd_command_descriptor, bytes, size, &flaw));
  cr_assert_str_eq(flaw.field, field);
  cr_assert_not_null(strstr(flaw.rule, word), "rule: %s", flaw.rule);
}

Test(unpack, gives_the_message_when_nothing_is_wrong) {
  struct pd_flaw flaw;
  size_t size = an_order((char *)"陪老人去医院", (char *)"");
  const struct pd_command *command = (const struct pd_command *)pd_unpack_named(
      &arena, &pd_command_descriptor, bytes, size, &flaw);
  cr_assert_not_null(command);
  cr_assert_null(flaw.rule);
  cr_assert_str_eq(command->place_order->note, "陪老人去医院");
}

Test(unpack, names_the_field_that_is_no_text) {
  expect_flaw(an_order((char *)"a\xff", (char *)""), "place_order.note", "UTF-8");
  expect_flaw(an_order((char *)"", (char *)"line\nline"), "place_order.address", "UTF-8");
}

Test(unpack, names_the_field_that_has_another_type) {
  static const uint8_t key_as_number[] = {2 << 3, 5};
  memcpy(bytes, key_as_number, sizeof key_as_number);
  expect_flaw(sizeof key_as_number, "key", "type");
}

Test(unpack, names_the_field_in_which_the_bytes_end) {
  size_t size = an_order((char *)"note", (char *)"address");
  expect_flaw(size - 1, "place_order", "complete");
  static const uint8_t bad_tag[] = {0};
  memcpy(bytes, bad_tag, sizeof bad_tag);
  expect_flaw(sizeof bad_tag, "", "complete");
}

Test(unpack, refuses_what_needs_more_memory_than_there_is) {
  for (size_t i = 0; i < sizeof bytes; i += 2) memcpy(bytes + i, "\x78\x01", 2); /* field 15 */
  pd_arena_init(&arena, memory, 4096);
  expect_flaw(sizeof bytes, "", "memory");
}

Test(unpack, finds_the_request_of_what_cannot_be_unpacked) {
  size_t size = an_order((char *)"a\xff", (char *)"");
  cr_assert_eq(pd_peek_number(bytes, size, 3), 77);
  cr_assert_eq(pd_peek_number(bytes, size - 1, 3), 77, "it stands in front of what is cut");
  cr_assert_eq(pd_peek_number(bytes, size, 15), 0);
  cr_assert_eq(pd_peek_number(bytes, 0, 3), 0);
}

Test(unpack, an_event_is_labelled_without_being_unpacked) {
  struct pd_event event = PD_EVENT_INIT;
  struct pd_order_staffed body = PD_ORDER_STAFFED_INIT;
  body.order = 7;
  event.log = PD_LOG_MATCHING;
  event.seq = 812;
  event.shard = 370302;
  event.body_case = PD_EVENT_ORDER_STAFFED;
  event.order_staffed = &body;
  size_t size = pack(&event.base);
  struct pd_event_label label;
  cr_assert(pd_event_label(bytes, size, &label));
  cr_assert_eq(label.log, PD_LOG_MATCHING);
  cr_assert_eq(label.seq, 812);
  cr_assert_eq(label.shard, 370302);
  cr_assert_eq(label.kind, PD_EVENT_ORDER_STAFFED);
  cr_assert_not(pd_event_label(bytes, size - 1, &label), "its body is cut short");
}
