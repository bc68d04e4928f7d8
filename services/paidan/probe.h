/* probe - asks a daemon's HTTP side on its unix socket: /readyz and /metrics. */
#ifndef PAIDAN_PROBE_H
#define PAIDAN_PROBE_H

#include "common/base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* GET a path on a unix socket.  *status is the HTTP status; *body a text that the caller frees.
 * PD_EDOWN: nobody answers within 2 s. */
PD_MUST_USE enum pd_err probe_get(const char *socket_path, const char *path, long *status,
                                  char **body);

/* The value of a metric in Prometheus text: the line that begins with `name` followed by a blank
 * ("paidan_log_seq" or "paidan_input_seq{log=\"intake\"}").  False if there is none. */
bool probe_metric(const char *text, const char *name, double *value);

#endif
