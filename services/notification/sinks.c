/* What all sinks send. */
#include "services/notification/sinks.h"

#include "common/base/calendar.h"
#include "common/wire/entry.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

char *sink_id(uint32_t shard, enum pd_log log, uint64_t seq, uint32_t part, char *text) {
  int length = snprintf(text, SINK_ID, "%06u/%s/%" PRIu64 "/%u", (unsigned)shard,
                        pd_log_name((unsigned)log), seq, (unsigned)part);
  pd_assert(length > 0 && length < SINK_ID);
  return text;
}

static json_t *number_or_null(uint64_t number) {
  return number == 0 ? json_null() : json_integer((json_int_t)number);
}

char *sink_body(uint32_t shard, int32_t zone_min, const struct notification_message *message,
                const struct notification_text *text) {
  char id[SINK_ID], person[PD_ID_TEXT], time[PD_TIME_TEXT];
  bool to_person = !pd_id_is_zero(&message->person);
  json_t *body = json_object();
  int failed = json_object_set_new(
      body, "id", json_string(sink_id(shard, message->log, message->seq, message->part, id)));
  failed |= json_object_set_new(body, "template",
                                json_string(notification_template_name(message->template)));
  failed |=
      json_object_set_new(body, "to", json_string(notification_template_to(message->template)));
  failed |= json_object_set_new(
      body, "person", to_person ? json_string(pd_id_text(&message->person, person)) : json_null());
  failed |= json_object_set_new(body, "site", number_or_null(message->site));
  failed |= json_object_set_new(body, "order", number_or_null(message->order));
  failed |= json_object_set_new(body, "time",
                                json_string(pd_time_text(message->time_ms, zone_min, time)));
  failed |= json_object_set_new(body, "zh", json_string(text->zh));
  failed |= json_object_set_new(body, "en", json_string(text->en));
  char *bytes = json_dumps(body, JSON_COMPACT);
  json_decref(body);
  pd_assert(failed == 0 && bytes != NULL);
  return bytes;
}
