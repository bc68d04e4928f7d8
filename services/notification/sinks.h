/* sinks - where messages leave Paidan: a file of JSON lines, or a webhook.
 *
 * A sink takes messages, tries as often as its rules say, and reports each attempt through one
 * callback, as struct pd_delivery: ok, failed and another attempt follows, or failed for good.  The
 * same message handed over twice is sent twice; receivers tell them apart by the id.
 *
 *     enum pd_err err = sink_file_open(&options, done, context, &sink);
 *     if (sink->room(sink) > 0) sink->deliver(sink, &message, &text);
 *     sink->flush(sink);                      end of a batch; `done` may be called from here
 *     sink->close(sink);
 *
 * What is sent, in a line of the file as in the webhook's body, one JSON object:
 *     id        "370302/matching/17/0": shard, log, seq, part; the same for ever
 *     template  "offer"                 to, "volunteer", "resident" or "site"
 *     person    32 hexadecimal digits, or null when `site` hears it
 *     site      number, or null
 *     order     number, or null         time  RFC 3339, of the event it tells about
 *     zh, en    the text
 * No personal data: who a person is, and where to reach that person, the receiver knows or asks the
 * vault.
 */
#ifndef NOTIFICATION_SINKS_H
#define NOTIFICATION_SINKS_H

#include "common/base/err.h"
#include "services/notification/templates.h"

#include <uv.h>

/* Borrowed for the call.  Never called from inside deliver(). */
typedef void sink_done(void *context, const struct pd_delivery *delivery);

struct sink {
  const char *name; /* as in message_sent */
  /* How many more messages it takes now. */
  size_t (*room)(const struct sink *sink);
  /* Take one message; asserts room.  Copies what it needs. */
  void (*deliver)(struct sink *sink, const struct notification_message *message,
                  const struct notification_text *text);
  /* The batch is complete: write it, start sending it. */
  void (*flush)(struct sink *sink);
  /* Give up further attempts for one message, because it was suppressed.  True: it was kept and is
   * forgotten, no report follows; false: not here, or an attempt under way will still be reported.
   */
  bool (*cancel)(struct sink *sink, enum pd_log log, uint64_t seq, uint32_t part);
  /* Forget everything that was taken, without reporting it: the state was rebuilt. */
  void (*drop)(struct sink *sink);
  /* Look at the outside anew (SIGHUP): the file was renamed. */
  void (*reopen)(struct sink *sink);
  /* Why it does not get rid of its messages, or NULL. */
  const char *(*trouble)(const struct sink *sink);
  /* The loop must run on until its handles are closed; the sink frees itself then. */
  void (*close)(struct sink *sink);
};

/* ---- the file ---- */

struct sink_file_options {
  const char *path; /* appended to, made with mode 0640 when it is not there */
  bool sync;        /* fsync each batch before it is reported */
  uint32_t shard;
  int32_t zone_min;
};

#define SINK_FILE_ROOM 4096 /* messages of a batch */

/* One line a message, a batch with one write.  A write that fails (disk full) leaves no half line
 * behind; its messages are kept and tried again at the next flush, 1 s later at the earliest,
 * without end. PD_EIO: the path cannot be opened. */
PD_MUST_USE enum pd_err sink_file_open(const struct sink_file_options *options, sink_done *done,
                                       void *context, struct sink **sink);

/* ---- the webhook ---- */

struct sink_webhook_options {
  const char *url;   /* https, or http to a loopback address */
  const char *token; /* sent as "Authorization: Bearer …"; NULL or "": none */
  uint32_t shard;
  int32_t zone_min;
  uint32_t jobs; /* messages kept at once, 1 … 65,536: under way or waiting for an attempt */
  uint32_t connections; /* attempts under way at once, 1 … 256 */
  uint32_t attempts;    /* at most, 1 … 20 */
  uint32_t wait_ms;     /* before the second attempt; each further wait is 4 times as long … */
  uint32_t wait_max_ms; /* … but at most this */
  uint32_t connect_ms;  /* time to connect */
  uint32_t timeout_ms;  /* time for the whole attempt */
};

/* 1,024 jobs, 16 connections, 6 attempts after 1, 4, 16, 64 and 256 s, 3 s to connect, 10 s in all.
 */
extern const struct sink_webhook_options sink_webhook_defaults;

/* One POST a message, the JSON as the body, `Idempotency-Key` = the id.  2xx: taken.  4xx but 408,
 * 425 and 429: refused for good.  Anything else, a redirect too: tried again; Retry-After is
 * respected up to wait_max_ms.  Redirects are not followed: a message goes where the operator said.
 * PD_EINVAL: the URL or a number breaks its rule; PD_EIO: libcurl cannot start. */
PD_MUST_USE enum pd_err sink_webhook_open(uv_loop_t *loop,
                                          const struct sink_webhook_options *options,
                                          sink_done *done, void *context, struct sink **sink);

/* ---- shared by both ---- */

#define SINK_ID 64 /* room for an id with its NUL */

/* Write the id of a message; returns text. */
char *sink_id(uint32_t shard, enum pd_log log, uint64_t seq, uint32_t part, char *text);

/* The JSON object, without a newline, into a body of SINK_BODY bytes; returns its length. */
#define SINK_BODY (6 * 2 * NOTIFICATION_TEXT_MAX + 512)
size_t sink_body(uint32_t shard, int32_t zone_min, const struct notification_message *message,
                 const struct notification_text *text, char *body);

#endif
