/* events - what the edge needs to know of an event's bytes without unpacking them: its topic, its
 * place in the log, and how to leave fields out of it. */
#ifndef GATEWAY_EVENTS_H
#define GATEWAY_EVENTS_H

#include "services/gateway/grants.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVENT_TOPIC 96 /* bytes of a topic, with its NUL */

struct edge_event {
  const uint8_t *bytes;
  size_t size;
  uint64_t seq;
  int64_t time_ms;
  uint32_t kind; /* number of its body in Event; 0: none */
  uint32_t zero;
  char topic[EVENT_TOPIC]; /* "370302/order_placed", "370302/ext.charity.meal" */
};

/* Look at one event of this shard.  False if the bytes are no event. */
bool edge_event_read(struct edge_event *event, uint32_t shard, const uint8_t *bytes, size_t size);

/* The name of a kind's topic, without the district.  text has room for EVENT_TOPIC bytes. */
void edge_kind_name(uint32_t kind, char *text);

/* Copy the event without the grant's fields into out, which has room for event->size bytes; returns
 * the new size.  Everything else stays as it was, bytes of unknown fields too. */
size_t edge_event_redact(const struct edge_event *event, const struct grant *grant, uint8_t *out);

#endif
