#include "services/paidan/args.h"
#include "services/paidan/proto_json.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct pd_slot_filled filled = PD_SLOT_FILLED_INIT;
static struct pd_event event = PD_EVENT_INIT;
static uint8_t person[16] = {0xab, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static void given_slot_filled(void) {
  filled.order = 7;
  filled.slot = 2;
  filled.volunteer = (ProtobufCBinaryData){.len = sizeof person, .data = person};
  filled.start_ms = 1740787200000;
  event.log = PD_LOG_MATCHING;
  event.seq = 3;
  event.time_ms = 1740787200000;
  event.body_case = PD_EVENT_SLOT_FILLED;
  event.slot_filled = &filled;
}

static const char *text_at(json_t *json, const char *key) {
  return json_string_value(json_object_get(json, key));
}

Test(proto_json, writes_an_event_with_its_kind_and_readable_times) {
  given_slot_filled();
  json_t *json = proto_json_event(&event, 480);
  json_t *body = json_object_get(json, "slot_filled");
  cr_assert_str_eq(text_at(json, "kind"), "slot_filled");
  cr_assert_str_eq(text_at(json, "log"), "matching");
  cr_assert_str_eq(text_at(json, "time"), "2025-03-01T08:00:00+08:00");
  cr_assert_eq(json_integer_value(json_object_get(body, "order")), 7);
  cr_assert_str_eq(text_at(body, "volunteer"), "ab0102030405060708090a0b0c0d0e0f");
  cr_assert_str_eq(text_at(body, "start"), "2025-03-01T08:00:00+08:00");
  cr_assert_null(json_object_get(json, "cause"));
  cr_assert_null(json_object_get(json, "order_placed"), "only the body that is set");
  json_decref(json);
}

Test(proto_json, writes_numbers_that_json_cannot_hold_as_text) {
  struct pd_position position = PD_POSITION_INIT;
  position.log = PD_LOG_INTAKE;
  position.seq = UINT64_C(9007199254740991);
  json_t *json = proto_json(&position.base, 0);
  cr_assert_eq(json_integer_value(json_object_get(json, "seq")), 9007199254740991);
  json_decref(json);
  position.seq = UINT64_C(9007199254740993);
  json = proto_json(&position.base, 0);
  cr_assert_str_eq(text_at(json, "seq"), "9007199254740993");
  json_decref(json);
}

Test(proto_json, writes_lists_and_unknown_enum_values) {
  struct pd_order_placed placed = PD_ORDER_PLACED_INIT;
  enum pd_skill skills[] = {PD_SKILL_FIRST_AID, (enum pd_skill)99};
  placed.skills = skills;
  placed.n_skills = 2;
  json_t *list = proto_json(&placed.base, 0), *skill = json_object_get(list, "skills");
  cr_assert_str_eq(json_string_value(json_array_get(skill, 0)), "first_aid");
  cr_assert_str_eq(json_string_value(json_array_get(skill, 1)), "99");
  json_decref(list);
}

Test(proto_json, names_enum_values_both_ways) {
  char name[PROTO_NAME];
  const ProtobufCEnumDescriptor *type = &paidan__v1__reason__descriptor;
  cr_assert_str_eq(proto_enum(type, PD_REASON_OWN_ORDER, name), "own_order");
  cr_assert_eq(proto_enum_value(type, "OWN_order"), (int)PD_REASON_OWN_ORDER);
  cr_assert_eq(proto_enum_value(type, "nonsense"), -1);
}

Test(proto_json, finds_fields_by_name) {
  uint64_t number = 0;
  struct pd_id id;
  given_slot_filled();
  cr_assert(proto_number(proto_body(&event), "order", &number) && number == 7);
  cr_assert(proto_number(proto_body(&event), "slot", &number) && number == 2);
  cr_assert_not(proto_number(proto_body(&event), "volunteer", &number));
  cr_assert_not(proto_number(proto_body(&event), "hold", &number));
  cr_assert(proto_id(proto_body(&event), "volunteer", &id) && id.bytes[0] == 0xab);
}

static const struct option_row rows[] = {{"size", "N", ""}, {"all", NULL, ""}, {NULL, NULL, NULL}};

Test(args, takes_options_in_both_spellings_and_words_between) {
  char *words[] = {"one", "--size", "3", "--all", "two", "--size=4", "--", "--size"};
  struct args args = {.own = rows};
  uint64_t size = 0;
  cr_assert_eq(args_parse(&args, 8, words), PD_OK);
  cr_assert_eq(args.count, 3u);
  cr_assert_str_eq(args.words[2], "--size");
  cr_assert_eq(args_number(&args, "size", 1, 10, 0, &size), PD_OK);
  cr_assert_eq(size, 4u, "the last one counts");
  cr_assert_not_null(args_get(&args, "all"));
  cr_assert_eq(args_number(&args, "size", 1, 3, 0, &size), PD_EINVAL);
}

Test(args, says_what_it_does_not_understand) {
  char *unknown[] = {"--colour"}, *missing[] = {"--size"}, *flag[] = {"--all=1"};
  struct args args = {.own = rows};
  cr_assert_eq(args_parse(&args, 1, unknown), PD_EINVAL);
  cr_assert_not_null(strstr(args.wrong, "colour"));
  cr_assert_eq(args_parse(&args, 1, missing), PD_EINVAL);
  cr_assert_eq(args_parse(&args, 1, flag), PD_EINVAL);
}

Test(args, takes_digits_only_for_numbers) {
  uint64_t value;
  cr_assert(args_digits("18446744073709551615", UINT64_MAX, &value));
  cr_assert_not(args_digits("18446744073709551616", UINT64_MAX, &value));
  cr_assert_not(args_digits("-1", 10, &value));
  cr_assert_not(args_digits("", 10, &value));
  cr_assert_not(args_digits("11", 10, &value));
}
