#include "common/wire/entry.h"
#include "services/gateway/events.h"

#include <criterion/criterion.h>
#include <string.h>

static uint8_t bytes[PD_EVENT_MAX], out[PD_EVENT_MAX + 64];

/* An order_placed with everything that is ever left out. */
static size_t an_order(void) {
  static uint8_t person[16] = {1, 2, 3}, text[300];
  struct pd_event event = PD_EVENT_INIT;
  struct pd_order_placed body = PD_ORDER_PLACED_INIT;
  struct pd_sealed note = PD_SEALED_INIT;
  struct pd_origin origin = PD_ORIGIN_INIT;
  note.box = (ProtobufCBinaryData){.data = text, .len = sizeof text};
  origin.principal = (char *)"app";
  body.order = 7;
  body.requester = (ProtobufCBinaryData){.data = person, .len = sizeof person};
  body.category = (char *)"escort";
  body.note = &note;
  body.minutes = 60;
  event.log = PD_LOG_INTAKE;
  event.seq = 300;
  event.time_ms = 1700000000000;
  event.shard = 370302;
  event.origin = &origin;
  event.body_case = PD_EVENT_ORDER_PLACED;
  event.order_placed = &body;
  return protobuf_c_message_pack(&event.base, bytes);
}

static size_t external(const char *type) {
  struct pd_event event = PD_EVENT_INIT;
  struct pd_external_noted body = PD_EXTERNAL_NOTED_INIT;
  body.type = (char *)type;
  event.seq = 1;
  event.body_case = PD_EVENT_EXTERNAL_NOTED;
  event.external_noted = &body;
  return protobuf_c_message_pack(&event.base, bytes);
}

Test(gateway_events, the_topic_is_district_and_kind) {
  struct pd_event_view event;
  cr_assert(pd_event_look(&event, 370302, bytes, an_order()));
  cr_assert_str_eq(event.topic, "370302/order_placed");
  cr_assert_eq(event.seq, 300);
  cr_assert_eq(event.time_ms, 1700000000000);
  cr_assert_eq(event.kind, PD_EVENT_ORDER_PLACED);
}

Test(gateway_events, the_topic_of_an_outside_event_is_its_type) {
  struct pd_event_view event;
  cr_assert(pd_event_look(&event, 370302, bytes, external("ext.charity.meal")));
  cr_assert_str_eq(event.topic, "370302/ext.charity.meal");
}

Test(gateway_events, a_kind_that_is_newer_than_this_program_has_a_number) {
  static const uint8_t newer[] = {0x10, 0x05, 0xfa, 0x07, 0x00}; /* seq 5, field 127 */
  struct pd_event_view event;
  cr_assert(pd_event_look(&event, 370302, newer, sizeof newer));
  cr_assert_str_eq(event.topic, "370302/kind_127");
}

Test(gateway_events, bytes_that_break_off_are_no_event) {
  struct pd_event_view event;
  size_t size = an_order();
  for (size_t cut = 0; cut < size; cut++) {
    /* At the border of a field what is left is a message again, but its body comes last. */
    bool read = pd_event_look(&event, 370302, bytes, cut);
    cr_assert(!read || event.kind == 0, "cut at %zu", cut);
  }
}

static struct grant without(const char *a, const char *b) {
  struct grant grant = {0};
  cr_assert_null(grant_add(&grant, "redact", a));
  if (b != NULL) cr_assert_null(grant_add(&grant, "redact", b));
  return grant;
}

Test(gateway_events, fields_are_left_out_and_the_rest_stays_as_it_was) {
  struct pd_event_view event;
  struct grant grant = without("order_placed.note", "event.origin");
  cr_assert(pd_event_look(&event, 370302, bytes, an_order()));
  size_t size = edge_event_redact(&event, &grant, out);
  struct pd_event *seen = paidan__v1__event__unpack(NULL, size, out);
  struct pd_event *whole = paidan__v1__event__unpack(NULL, event.size, bytes);
  cr_assert(seen != NULL && whole != NULL);
  cr_assert_null(seen->origin);
  cr_assert_null(seen->order_placed->note);
  cr_assert_eq(seen->order_placed->requester.len, 16);
  paidan__v1__origin__free_unpacked(whole->origin, NULL);
  paidan__v1__sealed__free_unpacked(whole->order_placed->note, NULL);
  whole->origin = NULL;
  whole->order_placed->note = NULL;
  static uint8_t wanted[PD_EVENT_MAX];
  cr_assert_eq(protobuf_c_message_pack(&whole->base, wanted), size);
  cr_assert_eq(memcmp(wanted, out, size), 0);
  paidan__v1__event__free_unpacked(seen, NULL);
  paidan__v1__event__free_unpacked(whole, NULL);
}

Test(gateway_events, fields_of_other_kinds_leave_every_byte_alone) {
  struct pd_event_view event;
  struct grant grant = without("slot_filled.volunteer", "order_rated.comment");
  cr_assert(pd_event_look(&event, 370302, bytes, an_order()));
  cr_assert_eq(edge_event_redact(&event, &grant, out), event.size);
  cr_assert_eq(memcmp(out, bytes, event.size), 0);
}

Test(gateway_events, a_field_that_stands_there_twice_is_left_out_twice) {
  struct pd_event_view event;
  struct grant grant = without("order_placed.category", NULL);
  size_t size = an_order();
  memcpy(bytes + size, bytes, size); /* two envelopes: the bodies merge when unpacked */
  cr_assert(pd_event_look(&event, 370302, bytes, 2 * size));
  size = edge_event_redact(&event, &grant, out);
  struct pd_event *seen = paidan__v1__event__unpack(NULL, size, out);
  cr_assert_not_null(seen);
  cr_assert_str_eq(seen->order_placed->category, "");
  paidan__v1__event__free_unpacked(seen, NULL);
}
