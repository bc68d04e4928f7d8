/* http - /livez, /readyz and /metrics for orchestrators and Prometheus, on a unix socket or a
 * loopback port.
 *
 * /livez is 200 while the loop turns.  /readyz is 200, or 503, with
 * {"ready":false,"reasons":["..."]}; a reason beside "ready":true is no fault.  Only GET and HEAD;
 * at most 64 connections of 5 s, requests of at most 8 KiB.
 */
#ifndef PD_IO_HTTP_H
#define PD_IO_HTTP_H

#include "common/base/err.h"
#include "common/io/metrics.h"

#include <stdbool.h>
#include <uv.h>

struct pd_http;

#define PD_HTTP_REASONS 16

/* Asked at each /readyz: write why not, or what else is worth knowing (texts that live until the
 * next call, at most max), return how many, and say in *ready whether it is. */
typedef size_t pd_http_ready_fn(void *context, const char **reasons, size_t max, bool *ready);

/* Asked before each /metrics, so that gauges can be brought up to date.  May be NULL. */
typedef void pd_http_refresh_fn(void *context);

struct pd_http_options {
  const char *listen; /* "unix:/path/socket" (made 0660, an old one is replaced) or "127.0.0.1:port"
                         or "[::1]:port" */
  struct pd_metrics *metrics;
  pd_http_ready_fn *ready;
  pd_http_refresh_fn *refresh;
  void *context;
};

/* PD_EINVAL: not an address of those kinds, or not loopback; PD_EIO: refused by the system (in
 * use). */
PD_MUST_USE enum pd_err pd_http_open(struct pd_http **http, uv_loop_t *loop,
                                     const struct pd_http_options *options);

/* Is this one of the addresses that pd_http_open takes? */
bool pd_http_listen_valid(const char *listen);

/* Stop at once; NULL-safe.  The loop must run on to release the memory. */
void pd_http_close(struct pd_http *http);

/* The port it listens on (useful with port 0); 0 for a unix socket. */
uint16_t pd_http_port(const struct pd_http *http);

#endif
