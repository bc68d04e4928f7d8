#include "tests/unit/core_harness.h"

#include "common/base/err.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MEMORY ((size_t)1 << 30) /* reserved, touched only as far as a core needs */

static void list_add(struct core_list *list, void *item) {
  if (list->count == list->room) {
    list->room = list->room == 0 ? 64 : 2 * list->room;
    list->items = realloc(list->items, list->room * sizeof *list->items);
    pd_assert(list->items != NULL);
  }
  list->items[list->count++] = item;
}

static void list_free(struct core_list *list) {
  for (size_t i = 0; i < list->count; i++) protobuf_c_message_free_unpacked(list->items[i], NULL);
  free(list->items);
  *list = (struct core_list){0};
}

/* A copy that lives on its own: packed and unpacked again. */
static void *copy(const void *message) {
  const ProtobufCMessage *source = message;
  size_t size = protobuf_c_message_get_packed_size(source);
  uint8_t *bytes = malloc(size + 1);
  pd_assert(bytes != NULL && protobuf_c_message_pack(source, bytes) == size);
  void *result = protobuf_c_message_unpack(source->descriptor, NULL, size, bytes);
  pd_assert(result != NULL);
  free(bytes);
  return result;
}

static void record_event(void *context, const struct pd_event *event) {
  struct core_harness *h = context;
  list_add(&h->said, copy(event));
  list_add(&h->history, copy(event));
}

static void record_reply(void *context, const struct pd_reply *reply) {
  struct core_harness *h = context;
  list_add(&h->replies, copy(reply));
}

static void *build(const struct core_harness *h, struct pd_arena *arena) {
  void *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  pd_assert(memory != MAP_FAILED);
  pd_arena_init(arena, memory, MEMORY);
  return h->core->init(arena, h->limits, &h->shard, h->policy);
}

void core_start(struct core_harness *h, const struct pd_core *core, const struct pd_limits *limits,
                const void *policy) {
  *h = (struct core_harness){
      .core = core, .limits = limits, .policy = policy, .now_ms = CORE_START_MS};
  h->shard = (struct pd_shard){.code = CORE_SHARD, .zone_min = CORE_ZONE_MIN};
  h->self = build(h, &h->arena);
  struct pd_sink sink = {.context = h, .event = record_event, .reply = record_reply};
  pd_outbox_init(&h->out, core, h->self, CORE_SHARD, sink);
}

void core_check_replay(const struct core_harness *h) {
  struct pd_arena arena;
  void *fresh = build(h, &arena);
  for (size_t i = 0; i < h->history.count; i++) h->core->apply(fresh, h->history.items[i]);
  size_t length, fresh_length;
  const uint8_t *image = pd_arena_image(&h->arena, &length);
  const uint8_t *fresh_image = pd_arena_image(&arena, &fresh_length);
  cr_assert(length == fresh_length, "the replayed image has %zu bytes, not %zu", fresh_length,
            length);
  size_t at = 0;
  while (at < length && image[at] == fresh_image[at]) at++;
  cr_assert(at == length, "the replayed image differs at byte %zu of %zu", at, length);
  munmap(arena.base, MEMORY);
}

void core_stop(struct core_harness *h) {
  core_check_replay(h);
  list_free(&h->said);
  list_free(&h->history);
  list_free(&h->replies);
  munmap(h->arena.base, MEMORY);
  h->self = NULL;
}

static void decide(struct core_harness *h, struct pd_input input) {
  input.now_ms = h->now_ms;
  pd_outbox_decide(&h->out, &input);
  if (h->core->check != NULL) h->core->check(h->self);
}

void core_hear_event(struct core_harness *h, enum pd_log log, struct pd_event *event) {
  cr_assert((h->core->inputs & PD_LOG_BIT(log)) != 0, "%s does not listen to that log",
            h->core->name);
  event->log = log;
  event->seq = ++h->heard[log];
  event->time_ms = h->now_ms;
  event->shard = h->shard.code;
  struct pd_event *kept = copy(event);
  list_add(&h->history, kept);
  h->core->apply(h->self, kept);
  decide(h, (struct pd_input){.kind = PD_INPUT_EVENT, .event = kept});
}

void core_hear(struct core_harness *h, enum pd_log log, pd_event_kind kind, const void *body) {
  struct pd_event event = PD_EVENT_INIT;
  event.body_case = kind;
  /* Every member of the union is a pointer to a message. */
  memcpy(&event.epoch_began, &body, sizeof body);
  core_hear_event(h, log, &event);
}

const struct pd_reply *core_command(struct core_harness *h, const struct pd_request *request) {
  decide(h, (struct pd_input){.kind = PD_INPUT_COMMAND, .request = request});
  return h->replies.items[h->replies.count - 1];
}

void core_delivery(struct core_harness *h, const struct pd_delivery *delivery) {
  decide(h, (struct pd_input){.kind = PD_INPUT_DELIVERY, .delivery = delivery});
}

void core_batch_end(struct core_harness *h) {
  decide(h, (struct pd_input){.kind = PD_INPUT_BATCH_END});
}

void core_time(struct core_harness *h, int64_t now_ms) {
  pd_assert(now_ms >= h->now_ms);
  for (unsigned rounds = 0; h->core->deadline != NULL; rounds++) {
    int64_t due = h->core->deadline(h->self);
    if (due > now_ms) break;
    cr_assert(rounds < 100000, "%s asks for the same time again and again", h->core->name);
    if (due > h->now_ms) h->now_ms = due;
    decide(h, (struct pd_input){.kind = PD_INPUT_TIME});
  }
  h->now_ms = now_ms;
}

const char *core_kind_name(pd_event_kind kind) {
  const ProtobufCFieldDescriptor *field =
      protobuf_c_message_descriptor_get_field(&pd_event_descriptor, (unsigned)kind);
  return field != NULL ? field->name : "nothing";
}

const struct pd_event *core_expect(struct core_harness *h, pd_event_kind kind) {
  cr_assert(h->read < h->said.count, "expected %s, but nothing more was said",
            core_kind_name(kind));
  const struct pd_event *event = h->said.items[h->read];
  cr_assert(event->body_case == kind, "expected %s, but %s was said (seq %llu)",
            core_kind_name(kind), core_kind_name(event->body_case), (unsigned long long)event->seq);
  h->read++;
  return event;
}

void core_expect_silence(struct core_harness *h) {
  if (h->read == h->said.count) return;
  const struct pd_event *event = h->said.items[h->read];
  cr_assert(false, "expected nothing more, but %s was said (seq %llu)",
            core_kind_name(event->body_case), (unsigned long long)event->seq);
}

void core_skip(struct core_harness *h) { h->read = h->said.count; }

size_t core_count(const struct core_harness *h, pd_event_kind kind) {
  size_t count = 0;
  for (size_t i = h->read; i < h->said.count; i++)
    count += ((struct pd_event *)h->said.items[i])->body_case == kind;
  return count;
}

const struct pd_event *core_last(const struct core_harness *h, pd_event_kind kind) {
  for (size_t i = h->said.count; i > 0; i--) {
    const struct pd_event *event = h->said.items[i - 1];
    if (event->body_case == kind) return event;
  }
  return NULL;
}

const struct pd_ack *core_expect_ack(const struct core_harness *h) {
  cr_assert(h->replies.count > 0, "there was no reply");
  const struct pd_reply *reply = h->replies.items[h->replies.count - 1];
  if (reply->result_case == PD_REPLY_REFUSAL) {
    cr_assert(false, "refused: code %d, field %s, rule: %s", reply->refusal->code,
              reply->refusal->field, reply->refusal->rule);
  }
  return reply->ack;
}

const struct pd_refusal *core_expect_refusal(const struct core_harness *h, enum pd_code code,
                                             const char *field) {
  cr_assert(h->replies.count > 0, "there was no reply");
  const struct pd_reply *reply = h->replies.items[h->replies.count - 1];
  cr_assert(reply->result_case == PD_REPLY_REFUSAL,
            "granted, but a refusal was expected (field %s)", field != NULL ? field : "any");
  const struct pd_refusal *refusal = reply->refusal;
  cr_assert(refusal->code == code, "refused with code %d instead of %d (field %s: %s)",
            refusal->code, code, refusal->field, refusal->rule);
  if (field != NULL) cr_assert_str_eq(refusal->field, field);
  return refusal;
}

struct pd_id core_id(uint64_t number) {
  struct pd_id id;
  uint64_t words[2] = {number * UINT64_C(0x9e3779b97f4a7c15) + 1, number};
  memcpy(id.bytes, words, sizeof id.bytes);
  return id;
}

ProtobufCBinaryData core_bytes(uint64_t number) {
  static struct pd_id ring[64];
  static unsigned at;
  struct pd_id *id = &ring[at++ % 64];
  *id = core_id(number);
  return pd_bytes(id);
}
