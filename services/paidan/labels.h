/* labels - what events and reasons are called for people: Chinese first, English beside it. */
#ifndef PAIDAN_LABELS_H
#define PAIDAN_LABELS_H

#include "common/wire/core.h"

struct label {
  const char *zh;
  const char *en;
};

/* Of an event's kind; of a kind that this version does not know: 未知 unknown. */
struct label label_kind(const struct pd_event *event);

/* Why somebody was not invited, or an offer did not become a booking. */
struct label label_reason(enum pd_reason reason);

#endif
