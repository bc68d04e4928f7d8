/* The webhook: one POST a message, on libcurl's multi interface in the loop. */
#include "services/notification/sinks.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HANDLES_MAX 256
#define DISCARD_MAX (256u << 10) /* bytes of an answer's body that are read */

const struct sink_webhook_options sink_webhook_defaults = {.jobs = 1024,
                                                           .connections = 16,
                                                           .attempts = 6,
                                                           .wait_ms = 1000,
                                                           .wait_max_ms = 300000,
                                                           .connect_ms = 3000,
                                                           .timeout_ms = 10000};

enum job_state { JOB_FREE, JOB_READY, JOB_UNDER_WAY, JOB_WAITING };

struct webhook;

/* A message until it is taken or given up. */
struct job {
  struct webhook *owner;
  char *body;
  uint64_t seq;
  uint64_t due; /* WAITING: loop time of the next attempt */
  enum pd_log log;
  uint32_t part;
  uint32_t attempts;
  enum job_state state;
  struct job *next; /* FREE: the next free one; READY: the next in the queue */
  CURL *easy;       /* UNDER_WAY */
  struct curl_slist *headers;
  size_t discarded;
};

/* One connection's socket in the loop. */
struct poll {
  uv_poll_t handle;
  struct webhook *owner;
  curl_socket_t socket;
};

struct webhook {
  struct sink base;
  struct sink_webhook_options options;
  char *url;
  char *authorization;
  sink_done *done;
  void *context;
  uv_loop_t *loop;
  CURLM *multi;
  uv_timer_t timeout; /* libcurl's */
  uv_timer_t retry;
  CURL *idle[HANDLES_MAX]; /* easy handles not in use, each keeps its connection */
  uint32_t idle_count;
  uint32_t under_way;
  uint32_t kept;    /* jobs that are not free */
  uint32_t failing; /* attempts that failed since one succeeded */
  uint32_t handles; /* of the loop, still open */
  bool closing;
  struct job *free_jobs;
  struct job *ready;
  struct job *ready_tail;
  struct job *jobs;
};

static struct webhook *of(struct sink *sink) { return (struct webhook *)sink; }

/* ---- jobs --------------------------------------------------------------------------------------
 */

static size_t webhook_room(const struct sink *sink) {
  const struct webhook *self = (const struct webhook *)sink;
  return self->options.jobs - self->kept;
}

static void push_ready(struct webhook *self, struct job *job) {
  job->state = JOB_READY;
  job->next = NULL;
  if (self->ready_tail != NULL)
    self->ready_tail->next = job;
  else
    self->ready = job;
  self->ready_tail = job;
}

static struct job *pop_ready(struct webhook *self) {
  struct job *job = self->ready;
  self->ready = job->next;
  if (self->ready == NULL) self->ready_tail = NULL;
  return job;
}

/* Not for a job that stands in the queue. */
static void free_job(struct webhook *self, struct job *job) {
  pd_assert(job->easy == NULL && job->state != JOB_FREE);
  free(job->body);
  *job = (struct job){.owner = self, .next = self->free_jobs};
  self->free_jobs = job;
  self->kept--;
}

static void webhook_deliver(struct sink *sink, const struct notification_message *message,
                            const struct notification_text *text) {
  struct webhook *self = of(sink);
  pd_assert(self->free_jobs != NULL);
  struct job *job = self->free_jobs;
  self->free_jobs = job->next;
  self->kept++;
  job->log = message->log;
  job->seq = message->seq;
  job->part = message->part;
  char body[SINK_BODY];
  (void)sink_body(self->options.shard, self->options.zone_min, message, text, body);
  job->body = strdup(body);
  push_ready(self, job);
}

/* ---- one attempt -------------------------------------------------------------------------------
 */

static size_t discard(char *bytes, size_t size, size_t count, void *context) {
  (void)bytes;
  struct job *job = context;
  job->discarded += size * count;
  return job->discarded > DISCARD_MAX ? 0 : size * count;
}

static void add_header(struct job *job, const char *line) {
  struct curl_slist *longer = curl_slist_append(job->headers, line);
  pd_assert(longer != NULL);
  job->headers = longer;
}

static void make_headers(const struct webhook *self, struct job *job) {
  char id[SINK_ID], line[SINK_ID + 32];
  sink_id(self->options.shard, job->log, job->seq, job->part, id);
  snprintf(line, sizeof line, "Idempotency-Key: %s", id);
  add_header(job, line);
  add_header(job, "Content-Type: application/json; charset=utf-8");
  add_header(job, "Expect:"); /* no pause before the body */
  if (self->authorization != NULL) add_header(job, self->authorization);
}

static void set_options(const struct webhook *self, struct job *job) {
  CURL *easy = job->easy;
  curl_easy_setopt(easy, CURLOPT_URL, self->url);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_NOPROXY, "localhost,127.0.0.1,[::1]");
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "paidan-notification");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, job->body);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(job->body));
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, job->headers);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, job);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, job);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)self->options.connect_ms);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)self->options.timeout_ms);
}

static void start_attempt(struct webhook *self, struct job *job) {
  job->easy = self->idle_count > 0 ? self->idle[--self->idle_count] : curl_easy_init();
  pd_assert(job->easy != NULL);
  job->attempts++;
  job->discarded = 0;
  job->state = JOB_UNDER_WAY;
  make_headers(self, job);
  set_options(self, job);
  self->under_way++;
  CURLMcode code = curl_multi_add_handle(self->multi, job->easy);
  pd_assert(code == CURLM_OK);
}

static void end_attempt(struct webhook *self, struct job *job) {
  curl_multi_remove_handle(self->multi, job->easy);
  curl_easy_reset(job->easy);
  pd_assert(self->idle_count < HANDLES_MAX);
  self->idle[self->idle_count++] = job->easy;
  curl_slist_free_all(job->headers);
  job->easy = NULL;
  job->headers = NULL;
  self->under_way--;
}

static void start_ready(struct webhook *self) {
  while (self->ready != NULL && self->under_way < self->options.connections)
    start_attempt(self, pop_ready(self));
}

/* ---- what came of it ---------------------------------------------------------------------------
 */

/* Refused for good: the same bytes would be refused again.  408 Request Timeout, 425 Too Early and
 * 429 Too Many Requests (RFC 9110, 8470, 6585) ask for another attempt. */
static bool is_refusal(long status) {
  return status >= 400 && status < 500 && status != 408 && status != 425 && status != 429;
}

/* wait_ms, 4 times as long each time, at most wait_max_ms; longer when the receiver says so. */
static uint64_t wait_before(const struct webhook *self, const struct job *job, curl_off_t after_s) {
  uint64_t wait = self->options.wait_ms, most = self->options.wait_max_ms;
  for (uint32_t i = 1; i < job->attempts && wait < most; i++) wait *= 4;
  uint64_t after = after_s <= 0 ? 0 : after_s < 3600 ? (uint64_t)after_s * 1000 : most;
  if (wait < after) wait = after;
  return wait < most ? wait : most;
}

static void on_retry(uv_timer_t *timer);

/* Wake for the earliest of those that wait. */
static void arm_retry(struct webhook *self) {
  uint64_t earliest = UINT64_MAX;
  for (uint32_t i = 0; i < self->options.jobs; i++)
    if (self->jobs[i].state == JOB_WAITING && self->jobs[i].due < earliest)
      earliest = self->jobs[i].due;
  uint64_t now = uv_now(self->loop);
  if (earliest == UINT64_MAX)
    uv_timer_stop(&self->retry);
  else
    uv_timer_start(&self->retry, on_retry, earliest > now ? earliest - now : 0, 0);
}

static void on_retry(uv_timer_t *timer) {
  struct webhook *self = timer->data;
  uint64_t now = uv_now(self->loop);
  for (uint32_t i = 0; i < self->options.jobs; i++)
    if (self->jobs[i].state == JOB_WAITING && self->jobs[i].due <= now)
      push_ready(self, &self->jobs[i]);
  start_ready(self);
  arm_retry(self);
}

static void conclude(struct webhook *self, struct job *job, bool ok, bool final, const char *why,
                     curl_off_t after_s) {
  struct pd_delivery delivery = {.log = job->log,
                                 .part = job->part,
                                 .seq = job->seq,
                                 .attempts = job->attempts,
                                 .ok = ok,
                                 .final = final,
                                 .sink = self->base.name,
                                 .why = why};
  if (final) {
    free_job(self, job);
  } else {
    job->state = JOB_WAITING;
    job->due = uv_now(self->loop) + wait_before(self, job, after_s);
    uint64_t armed =
        uv_is_active((uv_handle_t *)&self->retry) ? uv_timer_get_due_in(&self->retry) : UINT64_MAX;
    if (job->due - uv_now(self->loop) < armed) arm_retry(self);
  }
  self->done(self->context, &delivery);
}

static void judge(struct webhook *self, struct job *job, CURLcode code) {
  long status = 0;
  curl_off_t after_s = 0;
  curl_easy_getinfo(job->easy, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(job->easy, CURLINFO_RETRY_AFTER, &after_s);
  end_attempt(self, job);
  char why[65];
  if (code != CURLE_OK && status == 0)
    snprintf(why, sizeof why, "%s", curl_easy_strerror(code));
  else
    snprintf(why, sizeof why, "HTTP %ld", status);
  bool ok = code == CURLE_OK && status >= 200 && status < 300;
  self->failing = ok ? 0 : self->failing + 1;
  bool refused = code == CURLE_OK && is_refusal(status);
  bool final = ok || refused || job->attempts >= self->options.attempts;
  conclude(self, job, ok, final, ok ? NULL : why, after_s);
}

static void read_results(struct webhook *self) {
  CURLMsg *result;
  int left;
  while ((result = curl_multi_info_read(self->multi, &left)) != NULL) {
    if (result->msg != CURLMSG_DONE) continue;
    char *job = NULL;
    CURLcode code = result->data.result;
    curl_easy_getinfo(result->easy_handle, CURLINFO_PRIVATE, &job);
    judge(self, (struct job *)(void *)job, code);
  }
  start_ready(self);
}

/* ---- libcurl in the loop -----------------------------------------------------------------------
 */

static void free_webhook(struct webhook *self) {
  if (!self->closing || self->handles > 0) return;
  for (uint32_t i = 0; self->jobs != NULL && i < self->options.jobs; i++) free(self->jobs[i].body);
  free(self->jobs);
  free(self->url);
  free(self->authorization);
  free(self);
}

static void on_closed(uv_handle_t *handle) {
  struct webhook *self = handle->data;
  self->handles--;
  free_webhook(self);
}

static void on_poll_closed(uv_handle_t *handle) {
  struct poll *poll = handle->data;
  struct webhook *self = poll->owner;
  free(poll);
  self->handles--;
  free_webhook(self);
}

static void on_socket(uv_poll_t *handle, int status, int events) {
  struct poll *poll = handle->data;
  struct webhook *self = poll->owner;
  int flags = status < 0 ? CURL_CSELECT_ERR : 0;
  if (events & UV_READABLE) flags |= CURL_CSELECT_IN;
  if (events & UV_WRITABLE) flags |= CURL_CSELECT_OUT;
  int running;
  curl_multi_socket_action(self->multi, poll->socket, flags, &running);
  read_results(self);
}

static void on_timeout(uv_timer_t *timer) {
  struct webhook *self = timer->data;
  int running;
  curl_multi_socket_action(self->multi, CURL_SOCKET_TIMEOUT, 0, &running);
  read_results(self);
}

static struct poll *watch(struct webhook *self, curl_socket_t socket) {
  struct poll *poll = calloc(1, sizeof *poll);
  pd_assert(poll != NULL);
  poll->owner = self;
  poll->socket = socket;
  int failed = uv_poll_init_socket(self->loop, &poll->handle, socket);
  pd_assert(failed == 0);
  poll->handle.data = poll;
  self->handles++;
  curl_multi_assign(self->multi, socket, poll);
  return poll;
}

static int want_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *assigned) {
  (void)easy;
  struct webhook *self = context;
  struct poll *poll = assigned;
  if (what == CURL_POLL_REMOVE) {
    if (poll == NULL) return 0;
    uv_poll_stop(&poll->handle);
    curl_multi_assign(self->multi, socket, NULL);
    uv_close((uv_handle_t *)&poll->handle, on_poll_closed);
    return 0;
  }
  if (poll == NULL) poll = watch(self, socket);
  int events = 0;
  if (what & CURL_POLL_IN) events |= UV_READABLE;
  if (what & CURL_POLL_OUT) events |= UV_WRITABLE;
  uv_poll_start(&poll->handle, events, on_socket);
  return 0;
}

/* libcurl must not be called from here: even "at once" goes through the loop. */
static int want_timeout(CURLM *multi, long timeout_ms, void *context) {
  (void)multi;
  struct webhook *self = context;
  if (self->closing) return 0;
  if (timeout_ms < 0)
    uv_timer_stop(&self->timeout);
  else
    uv_timer_start(&self->timeout, on_timeout, (uint64_t)timeout_ms, 0);
  return 0;
}

/* ---- the sink ----------------------------------------------------------------------------------
 */

static void webhook_flush(struct sink *sink) { start_ready(of(sink)); }

static bool webhook_cancel(struct sink *sink, enum pd_log log, uint64_t seq, uint32_t part) {
  struct webhook *self = of(sink);
  for (uint32_t i = 0; self->kept > 0 && i < self->options.jobs; i++) {
    struct job *job = &self->jobs[i];
    if (job->state != JOB_WAITING || job->log != log || job->seq != seq || job->part != part)
      continue;
    free_job(self, job);
    return true;
  }
  return false;
}

static void webhook_drop(struct sink *sink) {
  struct webhook *self = of(sink);
  self->ready = self->ready_tail = NULL;
  for (uint32_t i = 0; i < self->options.jobs; i++) {
    struct job *job = &self->jobs[i];
    if (job->state == JOB_UNDER_WAY) end_attempt(self, job);
    if (job->state != JOB_FREE) free_job(self, job);
  }
  uv_timer_stop(&self->retry);
  pd_assert(self->kept == 0 && self->under_way == 0);
}

static void webhook_reopen(struct sink *sink) { (void)sink; }

static const char *webhook_trouble(const struct sink *sink) {
  const struct webhook *self = (const struct webhook *)sink;
  return self->failing >= self->options.attempts ? "the webhook does not take messages" : NULL;
}

static void webhook_close(struct sink *sink) {
  struct webhook *self = of(sink);
  webhook_drop(sink);
  self->closing = true;
  while (self->idle_count > 0) curl_easy_cleanup(self->idle[--self->idle_count]);
  curl_multi_cleanup(self->multi);
  uv_close((uv_handle_t *)&self->timeout, on_closed);
  uv_close((uv_handle_t *)&self->retry, on_closed);
}

static const struct sink webhook_base = {.name = "webhook",
                                         .room = webhook_room,
                                         .deliver = webhook_deliver,
                                         .flush = webhook_flush,
                                         .cancel = webhook_cancel,
                                         .drop = webhook_drop,
                                         .reopen = webhook_reopen,
                                         .trouble = webhook_trouble,
                                         .close = webhook_close};

/* A number, not merely a name that begins like one. */
static bool is_loopback(const char *host) {
  struct in_addr address;
  if (strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0) return true;
  return inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

/* https anywhere, http only where nobody can listen in between. */
static bool url_allowed(const char *text) {
  char *scheme = NULL, *host = NULL;
  CURLU *url = curl_url();
  bool parsed = url != NULL && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
                curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK;
  bool allowed = parsed && (strcmp(scheme, "https") == 0 ||
                            (strcmp(scheme, "http") == 0 && is_loopback(host)));
  curl_free(scheme);
  curl_free(host);
  curl_url_cleanup(url);
  return allowed;
}

static bool options_valid(const struct sink_webhook_options *options) {
  return options->url != NULL && url_allowed(options->url) && options->jobs >= 1 &&
         options->jobs <= 65536 && options->connections >= 1 &&
         options->connections <= HANDLES_MAX && options->attempts >= 1 && options->attempts <= 20 &&
         options->timeout_ms > 0 && options->connect_ms > 0 && options->wait_ms > 0 &&
         options->wait_max_ms >= options->wait_ms;
}

static void copy_texts(struct webhook *self, const struct sink_webhook_options *options) {
  self->url = strdup(options->url);
  pd_assert(self->url != NULL);
  if (options->token == NULL || options->token[0] == '\0') return;
  size_t size = strlen(options->token) + sizeof "Authorization: Bearer ";
  self->authorization = malloc(size);
  pd_assert(self->authorization != NULL);
  snprintf(self->authorization, size, "Authorization: Bearer %s", options->token);
}

static void make_jobs(struct webhook *self) {
  self->jobs = calloc(self->options.jobs, sizeof *self->jobs);
  pd_assert(self->jobs != NULL);
  for (uint32_t i = self->options.jobs; i > 0; i--) {
    self->jobs[i - 1] = (struct job){.owner = self, .next = self->free_jobs};
    self->free_jobs = &self->jobs[i - 1];
  }
}

enum pd_err sink_webhook_open(uv_loop_t *loop, const struct sink_webhook_options *options,
                              sink_done *done, void *context, struct sink **sink) {
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return PD_EIO;
  if (!options_valid(options)) return PD_EINVAL;
  struct webhook *self = calloc(1, sizeof *self);
  pd_assert(self != NULL);
  self->base = webhook_base;
  self->options = *options;
  self->done = done;
  self->context = context;
  self->loop = loop;
  copy_texts(self, options);
  self->options.url = self->options.token = NULL; /* the caller's; ours are copies */
  make_jobs(self);
  self->multi = curl_multi_init();
  pd_assert(self->multi != NULL);
  curl_multi_setopt(self->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
  curl_multi_setopt(self->multi, CURLMOPT_SOCKETDATA, self);
  curl_multi_setopt(self->multi, CURLMOPT_TIMERFUNCTION, want_timeout);
  curl_multi_setopt(self->multi, CURLMOPT_TIMERDATA, self);
  curl_multi_setopt(self->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)options->connections);
  uv_timer_init(loop, &self->timeout);
  uv_timer_init(loop, &self->retry);
  self->timeout.data = self->retry.data = self;
  self->handles = 2;
  *sink = &self->base;
  return PD_OK;
}
