/* dispatch - the delivery loop: takes what waits from the core, hands it to a sink, and tells the
 * core what came of it.
 *
 * What has been handed out and not reported is remembered here alone.  A restart, and a state that
 * was rebuilt, begin with everything that waits: delivery is at least once, under ids that never
 * change.
 */
#ifndef NOTIFICATION_DISPATCH_H
#define NOTIFICATION_DISPATCH_H

#include "common/io/shell.h"
#include "services/notification/sinks.h"

struct dispatch;

/* Open with a sink made by `make`, which gets the callback and context it must report to.  The
 * process's metrics get the counts.  The error is `make`'s. */
struct dispatch_maker {
  const void *config;
  enum pd_err (*make)(const void *config, struct pd_seat *seat, sink_done *done, void *context,
                      struct sink **sink);
};
PD_MUST_USE enum pd_err dispatch_open(struct pd_seat *seat, const struct dispatch_maker *maker,
                                      struct dispatch **dispatch);

/* The hooks of struct pd_service with the same names; context is the struct dispatch. */
void dispatch_lead(void *context);
void dispatch_rest(void *context);
void dispatch_round(void *context);
void dispatch_emitted(void *context, const struct pd_event *event);
const char *dispatch_unready(void *context);
void dispatch_close(void *context); /* frees itself in the loop's last turns */

#endif
