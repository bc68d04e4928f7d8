/* Events of the past: read from the archive and the store entry by entry, only what the grant
 * allows, in order, and at most a megabyte at a time; the client asks on from the cursor.  A
 * connection to the store of its own, so that the live events never wait behind a replay. */
#include "common/io/journal.h"
#include "services/gateway/gateway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOBS 64
#define JOBS_A_KEY 4
#define READ_ENTRIES 8
#define BATCH_BYTES ((size_t)1 << 20)
#define BATCH_ROOM (BATCH_BYTES + PD_EVENT_MAX + 64)
#define HEAD_ROOM 128 /* in front of the events, for what wraps them */
#define TAIL_ROOM 128
#define LIMIT_MAX 10000
#define LIMIT_DEFAULT 1000
#define KINDS_MAX 64
#define ARENA_SIZE ((size_t)1 << 20)
#define REQUESTS_A_CALL 64
#define SAY_EVERY_MS 10000

static const struct edge_refusal malformed = {
    PD_CODE_MALFORMED,
    0,
    "",
    "one frame with a paidan.v1.EdgeRequest",
    "check the encoding against proto/paidan/v1/edge.proto",
    "无法识别的请求，请按接口说明重新发送。"};
static const struct edge_refusal bad_log = {
    PD_CODE_FIELD, 0, "replay.log", "one of the five logs", "name the log", "请注明要读取的日志。"};
static const struct edge_refusal bad_shard = {PD_CODE_WRONG_SHARD,
                                              0,
                                              "replay.shard",
                                              "the district that this edge serves",
                                              "ask the edge of that district",
                                              "这里不受理该区的请求。"};
static const struct edge_refusal bad_limit = {
    PD_CODE_FIELD,
    0,
    "replay.limit",
    "at most 10000 events and 64 kinds of at most 79 bytes",
    "ask for less, and again from next_seq",
    "一次最多读取一万条。"};
static const struct edge_refusal bad_from = {PD_CODE_FIELD,        0,
                                             "replay.from_seq",    "a seq from 1 on, or a time",
                                             "say where to begin", "请注明从何处读起。"};
static const struct edge_refusal no_grant = {
    PD_CODE_NOT_ALLOWED, 0, "", "the key is granted", "ask for a grant", "该密钥已被取消授权。"};
static const struct edge_refusal too_many = {PD_CODE_RETRY,
                                             0,
                                             "",
                                             "at most 4 replays of a key at once, 64 of all",
                                             "wait for replies, then ask again",
                                             "请求过多，请稍后重试。"};
static const struct edge_refusal no_store = {
    PD_CODE_RETRY, 0, "", "the logs can be read", "ask again", "系统繁忙，请稍后重试。"};

struct job {
  struct replay *replay;
  struct grant grant; /* as it was when the request came */
  struct standing *standing;
  uint32_t opened;
  bool busy;
  bool seeking; /* for a time */
  bool delimiter;
  uint8_t identity_size;
  uint8_t identity[255];
  char kinds[KINDS_MAX][GRANTS_TEXT];
  uint32_t kind_count;
  uint32_t limit;
  uint32_t events;
  enum pd_log log;
  uint64_t request;
  uint64_t next, last, first; /* seqs, as in ReplayBatch */
  uint64_t low, high;         /* between which the time is sought */
  int64_t from_ms;
  uint8_t *bytes; /* HEAD_ROOM + BATCH_ROOM + TAIL_ROOM; events from HEAD_ROOM on */
  size_t size;    /* of the events */
};

struct replay {
  struct gateway *gateway;
  struct pd_store *store;
  struct pd_bus_message message;
  uint8_t *memory;
  struct job jobs[JOBS];
};

/* ---- replies ---- */

static void send_to(struct gateway *gateway, const void *identity, size_t identity_size,
                    bool delimiter, const uint8_t *bytes, size_t size) {
  struct pd_frame frames[3] = {{identity, identity_size}, {"", 0}, {bytes, size}};
  if (!delimiter) frames[1] = frames[2];
  if (!gateway->bound ||
      pd_bus_send(gateway->edge[EDGE_REPLAYS].socket, frames, delimiter ? 3 : 2) != PD_OK)
    pd_metric_add(gateway->counts.lost, 1);
}

/* Send a small reply to whoever sent the message at hand. */
static void answer(struct replay *self, const struct pd_edge_reply *reply) {
  uint8_t bytes[16384];
  zmq_msg_t *identity = &self->message.frames[0];
  pd_assert(protobuf_c_message_get_packed_size(&reply->base) <= sizeof bytes);
  size_t size = protobuf_c_message_pack(&reply->base, bytes);
  send_to(self->gateway, zmq_msg_data(identity), zmq_msg_size(identity), self->message.count == 3,
          bytes, size);
}

static void fill_refusal(struct pd_refusal *refusal, const struct edge_refusal *why) {
  *refusal = (struct pd_refusal)PD_REFUSAL_INIT;
  refusal->code = why->code;
  refusal->field = (char *)why->field;
  refusal->rule = (char *)why->rule;
  refusal->next = (char *)why->next;
  refusal->zh = (char *)why->zh;
}

static void refuse(struct replay *self, uint64_t request, const struct edge_refusal *why) {
  struct pd_refusal refusal;
  fill_refusal(&refusal, why);
  struct pd_edge_reply reply = PD_EDGE_REPLY_INIT;
  reply.request = request;
  reply.result_case = PD_EDGE_REPLY_REFUSAL;
  reply.refusal = &refusal;
  pd_metric_add(self->gateway->counts.refused, 1);
  answer(self, &reply);
}

/* ---- hello ---- */

static void welcome(struct replay *self, uint64_t request, const struct grant *grant) {
  char view[GRANTS_NAME + 1];
  char *hear[GRANTS_LIST], *publish[GRANTS_LIST], *roles[8];
  struct pd_edge_welcome body = PD_EDGE_WELCOME_INIT;
  grant_view(grant, view);
  body.name = (char *)grant->name;
  body.shard = gateway_shard(self->gateway);
  body.view = view;
  body.hear = hear;
  body.publish = publish;
  body.roles = roles;
  for (uint32_t i = 0; i < grant->hears; i++) hear[body.n_hear++] = (char *)grant->hear[i];
  for (uint32_t i = 0; i < grant->publishes; i++)
    publish[body.n_publish++] = (char *)grant->publish[i];
  for (unsigned bit = 0; grant_role_name(bit) != NULL; bit++)
    if ((grant->roles & 1u << bit) != 0) roles[body.n_roles++] = (char *)grant_role_name(bit);
  struct pd_edge_reply reply = PD_EDGE_REPLY_INIT;
  reply.request = request;
  reply.result_case = PD_EDGE_REPLY_WELCOME;
  reply.welcome = &body;
  answer(self, &reply);
}

/* ---- a job ---- */

static void end_job(struct job *job) {
  pd_assert(job->busy && job->standing->replays > 0);
  job->standing->replays--;
  job->busy = false;
  free(job->bytes);
  job->bytes = NULL;
}

static void send_job(struct job *job, const uint8_t *bytes, size_t size) {
  struct gateway *gateway = job->replay->gateway;
  if (job->opened == gateway->opened)
    send_to(gateway, job->identity, job->identity_size, job->delimiter, bytes, size);
  end_job(job);
}

/* Tag of a field with a length: its number, wire type 2. */
#define TAG(number) ((uint8_t)((number) << 3 | 2))

/* The events were written as they came; around them goes the rest of EdgeReply: the same bytes as
 * if all of it had been packed at once, since a message's fields may come in any order. */
static void finish_job(struct job *job) {
  struct pd_replay_batch rest = PD_REPLAY_BATCH_INIT;
  rest.log = job->log;
  rest.next_seq = job->next;
  rest.last_seq = job->last;
  rest.first_seq = job->first;
  rest.end = job->next > job->last;
  uint8_t *events = job->bytes + HEAD_ROOM;
  pd_assert(protobuf_c_message_get_packed_size(&rest.base) <= TAIL_ROOM);
  size_t body = job->size + protobuf_c_message_pack(&rest.base, events + job->size);
  uint8_t head[HEAD_ROOM], *at = head;
  *at++ = 1 << 3; /* EdgeReply.request */
  at = pd_varint_write(at, job->request);
  *at++ = TAG(3); /* EdgeReply.batch */
  at = pd_varint_write(at, body);
  size_t size = (size_t)(at - head);
  memcpy(events - size, head, size);
  pd_metric_add(job->replay->gateway->counts.replayed, job->events);
  send_job(job, events - size, body + size);
}

static void fail_job(struct job *job, const struct edge_refusal *why) {
  uint8_t bytes[1024];
  struct pd_refusal refusal;
  fill_refusal(&refusal, why);
  struct pd_edge_reply reply = PD_EDGE_REPLY_INIT;
  reply.request = job->request;
  reply.result_case = PD_EDGE_REPLY_REFUSAL;
  reply.refusal = &refusal;
  pd_assert(protobuf_c_message_get_packed_size(&reply.base) <= sizeof bytes);
  send_job(job, bytes, protobuf_c_message_pack(&reply.base, bytes));
}

/* Does the grant let it hear this event, and does it want it? */
static bool wants(const struct job *job, const struct pd_event_view *event) {
  if (event->time_ms < job->from_ms || !grant_hears(&job->grant, event->topic)) return false;
  const char *kind = strchr(event->topic, '/') + 1;
  for (uint32_t i = 0; i < job->kind_count; i++)
    if (strncmp(kind, job->kinds[i], strlen(job->kinds[i])) == 0) return true;
  return job->kind_count == 0;
}

static void append(struct job *job, const struct pd_event_view *event) {
  struct gateway *gateway = job->replay->gateway;
  const uint8_t *bytes = event->bytes;
  size_t size = event->size;
  if (job->grant.redacts > 0) {
    size = edge_event_redact(event, &job->grant, gateway->scratch);
    bytes = gateway->scratch;
  }
  uint8_t *start = job->bytes + HEAD_ROOM + job->size, *at = start;
  *at++ = TAG(2); /* ReplayBatch.events */
  at = pd_varint_write(at, size);
  memcpy(at, bytes, size);
  job->size += (size_t)(at + size - start);
  job->events++;
}

static bool is_full(const struct job *job) {
  return job->events >= job->limit || job->size >= BATCH_BYTES || job->next > job->last;
}

/* Take what is wanted of one entry.  False: its bytes are not what they should be. */
static bool take_entry(struct job *job, const struct pd_stored *stored) {
  struct pd_entry_view view;
  struct pd_hash hash = pd_hash_of(stored->bytes, stored->size);
  if (memcmp(hash.bytes, stored->hash, sizeof hash.bytes) != 0) return false;
  if (pd_entry_open(stored->bytes, stored->size, &view) != PD_OK) return false;
  if (view.head.first_seq > job->next) {
    if (job->first == 0) job->first = view.head.first_seq;
    job->next = view.head.first_seq;
  }
  struct pd_entry_item item;
  struct pd_event_view event;
  uint64_t seq = view.head.first_seq;
  for (size_t at = 0; pd_entry_next(&view, &at, &item) && !is_full(job);) {
    if (item.log != PD_LOG_UNSPECIFIED || seq++ < job->next) continue;
    if (!pd_event_look(&event, gateway_shard(job->replay->gateway), item.event, item.size))
      return false;
    if (wants(job, &event)) append(job, &event);
    job->next = seq;
  }
  return true;
}

/* ---- reading ---- */

static void go_on(struct job *job);

static void say_corrupt(const struct job *job, const struct pd_stored *stored) {
  struct gateway *gateway = job->replay->gateway;
  pd_metric_add(gateway->counts.bad, 1);
  if (pd_journal_once("replay-entry", SAY_EVERY_MS, uv_now(&gateway->loop), NULL))
    pd_say(PD_LEVEL_ERROR, pd_kv_text("msg", "an entry in the store is damaged: not replayed"),
           pd_kv_text("log", pd_log_name(job->log)), pd_kv_uint("last_seq", stored->last_seq));
}

/* Halve the range in which the first entry of the wanted time lies: [low, high). */
static void narrow(struct job *job, const struct pd_stored *entries, size_t count) {
  uint64_t middle = job->low + (job->high - job->low) / 2;
  struct pd_entry_view view;
  if (count == 0) {
    job->high = middle;
  } else if (pd_entry_open(entries[0].bytes, entries[0].size, &view) != PD_OK) {
    job->low = job->high; /* reading on will say what is wrong */
  } else if (view.head.time_ms >= job->from_ms) {
    job->high = view.head.first_seq < middle ? view.head.first_seq : middle;
  } else {
    job->low = view.head.last_seq + 1;
  }
  if (job->low < job->high) return;
  job->next = job->low;
  job->seeking = false;
}

static void on_read(void *context, enum pd_err err, const struct pd_stored *entries, size_t count) {
  struct job *job = context;
  if (err != PD_OK) {
    fail_job(job, &no_store);
    return;
  }
  if (job->seeking) {
    narrow(job, entries, count);
    go_on(job);
    return;
  }
  for (size_t i = 0; i < count && !is_full(job); i++) {
    if (take_entry(job, &entries[i])) continue;
    say_corrupt(job, &entries[i]);
    fail_job(job, &no_store);
    return;
  }
  if (count == 0 && job->next <= job->last) job->next = job->last + 1;
  go_on(job);
}

static void go_on(struct job *job) {
  if (!job->seeking && is_full(job)) {
    finish_job(job);
    return;
  }
  uint64_t from = job->seeking ? job->low + (job->high - job->low) / 2 : job->next;
  enum pd_err err = pd_store_read(job->replay->store, pd_log_name(job->log), from,
                                  job->seeking ? 1 : READ_ENTRIES, on_read, job);
  if (err != PD_OK) fail_job(job, &no_store);
}

static void on_tail(void *context, enum pd_err err, const struct pd_tail *tail) {
  struct job *job = context;
  if (err != PD_OK) {
    fail_job(job, &no_store);
    return;
  }
  job->last = tail->last_seq;
  job->seeking = job->next == 0 && job->last > 0;
  if (job->next == 0) job->next = 1;
  job->low = 1;
  job->high = job->last + 1;
  go_on(job);
}

/* ---- requests ---- */

static struct job *free_job(struct replay *self, const struct standing *standing) {
  if (standing->replays >= JOBS_A_KEY) return NULL;
  for (size_t i = 0; i < JOBS; i++)
    if (!self->jobs[i].busy) return &self->jobs[i];
  return NULL;
}

static const struct edge_refusal *check(const struct replay *self,
                                        const struct pd_replay_request *wanted) {
  if (wanted->shard != gateway_shard(self->gateway)) return &bad_shard;
  if (wanted->log < PD_LOG_INTAKE || wanted->log > PD_LOG_NOTIFICATION) return &bad_log;
  if (wanted->limit > LIMIT_MAX || wanted->n_kinds > KINDS_MAX) return &bad_limit;
  for (size_t i = 0; i < wanted->n_kinds; i++)
    if (strlen(wanted->kinds[i]) >= GRANTS_TEXT) return &bad_limit;
  return wanted->from_seq == 0 && wanted->from_time_ms <= 0 ? &bad_from : NULL;
}

static void fill_job(struct job *job, struct replay *self, const struct pd_replay_request *wanted) {
  zmq_msg_t *identity = &self->message.frames[0];
  job->replay = self;
  job->opened = self->gateway->opened;
  job->delimiter = self->message.count == 3;
  job->identity_size = (uint8_t)zmq_msg_size(identity);
  memcpy(job->identity, zmq_msg_data(identity), job->identity_size);
  job->kind_count = (uint32_t)wanted->n_kinds;
  for (uint32_t i = 0; i < job->kind_count; i++)
    (void)snprintf(job->kinds[i], GRANTS_TEXT, "%s", wanted->kinds[i]);
  job->limit = wanted->limit == 0 ? LIMIT_DEFAULT : wanted->limit;
  job->events = 0;
  job->size = 0;
  job->log = wanted->log;
  job->next = wanted->from_seq;
  job->first = 0;
  job->from_ms = wanted->from_seq == 0 ? wanted->from_time_ms : INT64_MIN;
  job->busy = true;
}

static void start_job(struct replay *self, uint64_t request, const struct grant *grant,
                      const struct pd_replay_request *wanted) {
  struct standing *standing = gateway_standing(self->gateway, grant);
  const struct edge_refusal *why = check(self, wanted);
  struct job *job = why == NULL ? free_job(self, standing) : NULL;
  if (why == NULL && job == NULL) why = &too_many;
  if (why == NULL) {
    job->bytes = malloc(HEAD_ROOM + BATCH_ROOM + TAIL_ROOM);
    if (job->bytes == NULL) why = &no_store;
  }
  if (why != NULL) {
    refuse(self, request, why);
    return;
  }
  fill_job(job, self, wanted);
  job->request = request;
  job->grant = *grant;
  job->standing = standing;
  standing->replays++;
  pd_metric_add(self->gateway->counts.replays, 1);
  if (pd_store_tail(self->store, pd_log_name(job->log), on_tail, job) != PD_OK)
    fail_job(job, &no_store);
}

static void note_malformed(struct replay *self, const struct grant *grant) {
  char source[64];
  (void)snprintf(source, sizeof source, "replays/%s", grant == NULL ? "" : grant->name);
  gateway_bad(self->gateway, source, "a frame that is no request");
}

static void take_request(struct replay *self) {
  struct pd_bus_message *message = &self->message;
  zmq_msg_t *last = &message->frames[message->count - 1];
  const struct grant *grant = gateway_sender(self->gateway, last);
  bool shape =
      message->count == 2 || (message->count == 3 && zmq_msg_size(&message->frames[1]) == 0);
  struct pd_arena arena;
  pd_arena_init(&arena, self->memory, ARENA_SIZE);
  const struct pd_edge_request *said =
      shape ? (const struct pd_edge_request *)pd_unpack_checked(
                  &arena, &pd_edge_request_descriptor, zmq_msg_data(last), zmq_msg_size(last))
            : NULL;
  if (said == NULL) {
    note_malformed(self, grant);
    refuse(self, pd_peek_number(zmq_msg_data(last), zmq_msg_size(last), 1), &malformed);
  } else if (grant == NULL)
    refuse(self, said->request, &no_grant);
  else if (said->body_case == PD_EDGE_REQUEST_REPLAY)
    start_job(self, said->request, grant, said->replay);
  else if (said->body_case == PD_EDGE_REQUEST_HELLO)
    welcome(self, said->request, grant);
  else
    refuse(self, said->request, &malformed);
  memset(self->memory, 0, arena.used);
}

void replay_ready(void *context, void *socket) {
  struct gateway *gateway = context;
  struct replay *self = gateway->replay;
  for (int i = 0; i < REQUESTS_A_CALL; i++) {
    enum pd_err err = pd_bus_receive(socket, &self->message);
    if (err == PD_EAGAIN) break;
    if (err != PD_OK || self->message.count < 2)
      gateway_bad(gateway, "replays", "a message of more frames than a request has");
    else
      take_request(self);
  }
}

/* ---- life ---- */

enum pd_err replay_open(struct gateway *gateway) {
  const struct pd_common_config *common = &gateway->config.common;
  struct pd_redis_options redis = {.url = common->log_redis,
                                   .user = common->log_user,
                                   .password_file = common->log_password_file};
  struct replay *self = calloc(1, sizeof *self);
  if (self == NULL) return PD_EIO;
  gateway->replay = self;
  self->gateway = gateway;
  pd_bus_message_init(&self->message);
  self->memory = calloc(1, ARENA_SIZE);
  if (self->memory == NULL) return PD_EIO;
  char dir[sizeof common->data_dir + 16];
  (void)snprintf(dir, sizeof dir, "%s/archive", common->data_dir);
  enum pd_err err =
      pd_store_open(&self->store, &gateway->loop, &redis, gateway_shard(gateway), NULL, NULL);
  if (err != PD_OK) return err;
  pd_store_replicas(self->store, (uint32_t)common->replicas, (uint32_t)common->replica_timeout_ms);
  return pd_store_archive(self->store, common->archive_dir[0] == 0 ? dir : common->archive_dir);
}

/* Jobs that wait for the store are told by it that nothing comes, and end then. */
void replay_close(struct gateway *gateway) {
  struct replay *self = gateway->replay;
  if (self == NULL) return;
  pd_store_close(self->store);
  for (int i = 0; i < 100 && uv_run(&gateway->loop, UV_RUN_NOWAIT) != 0; i++) {
    size_t busy = 0;
    for (size_t j = 0; j < JOBS; j++) busy += self->jobs[j].busy;
    if (busy == 0) break;
  }
  gateway->replay = NULL;
  pd_bus_message_close(&self->message);
  free(self->memory);
  free(self);
}
