/* What all sinks send. */
#include "services/notification/sinks.h"

#include "common/base/calendar.h"
#include "common/wire/entry.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

char *sink_id(uint32_t shard, enum pd_log log, uint64_t seq, uint32_t part, char *text) {
  int length = snprintf(text, SINK_ID, "%06u/%s/%" PRIu64 "/%u", (unsigned)shard,
                        pd_log_name((unsigned)log), seq, (unsigned)part);
  pd_assert(length > 0 && length < SINK_ID);
  return text;
}

static char *add(char *at, const char *text) {
  size_t length = strlen(text);
  memcpy(at, text, length);
  return at + length;
}

/* A JSON string.  At most six bytes for one of the text's. */
static char *add_quoted(char *at, const char *text) {
  *at++ = '"';
  for (; *text != '\0'; text++) {
    unsigned char byte = (unsigned char)*text;
    if (byte < 0x20)
      at += sprintf(at, "\\u%04x", byte);
    else {
      if (byte == '"' || byte == '\\') *at++ = '\\';
      *at++ = *text;
    }
  }
  *at++ = '"';
  return at;
}

static char *add_number_or_null(char *at, uint64_t number) {
  return number == 0 ? add(at, "null") : at + sprintf(at, "%" PRIu64, number);
}

/* By hand, since every message passes here: a tree of JSON values costs five times as much. */
size_t sink_body(uint32_t shard, int32_t zone_min, const struct notification_message *message,
                 const struct notification_text *text, char *body) {
  char id[SINK_ID], person[PD_ID_TEXT], time[PD_TIME_TEXT];
  char *at = add(body, "{\"id\":");
  at = add_quoted(at, sink_id(shard, message->log, message->seq, message->part, id));
  at = add_quoted(add(at, ",\"template\":"), notification_template_name(message->template));
  at = add_quoted(add(at, ",\"to\":"), notification_template_to(message->template));
  at = add(at, ",\"person\":");
  if (pd_id_is_zero(&message->person))
    at = add(at, "null");
  else
    at = add_quoted(at, pd_id_text(&message->person, person));
  at = add_number_or_null(add(at, ",\"site\":"), message->site);
  at = add_number_or_null(add(at, ",\"order\":"), message->order);
  at = add_quoted(add(at, ",\"time\":"), pd_time_text(message->time_ms, zone_min, time));
  at = add_quoted(add(at, ",\"zh\":"), text->zh);
  at = add_quoted(add(at, ",\"en\":"), text->en);
  at = add(at, "}");
  *at = '\0';
  pd_assert(at - body < SINK_BODY);
  return (size_t)(at - body);
}
