/* events - how the edge leaves fields out of an event, on its bytes. */
#ifndef GATEWAY_EVENTS_H
#define GATEWAY_EVENTS_H

#include "common/wire/fields.h"
#include "services/gateway/grants.h"

/* Copy the event without the grant's fields into out, which has room for event->size bytes; returns
 * the new size.  Everything else stays as it was, bytes of unknown fields too. */
size_t edge_event_redact(const struct pd_event_view *event, const struct grant *grant,
                         uint8_t *out);

#endif
