/* Any events of other logs: every core folds and answers them without a crash, its invariants hold
 * after each, and a replay of what was heard and said gives the same image to the byte.
 *
 * Records: tag 0 moves the clock by 2^(byte % 40) ms, 6 ends a batch, 7 tells of a delivery (log,
 * seq, part, how), any other is an Event of log tag % 8.
 */
#include "common/base/err.h"
#include "common/wire/entry.h"
#include "tests/fuzz/district.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STATE_SIZE ((size_t)64 << 20)
#define HISTORY_SIZE ((size_t)8 << 20)
#define SPENT (HISTORY_SIZE / 2) /* no more inputs then */

struct tested {
  const struct pd_core *core;
  void *self;
  struct pd_arena arena;
  struct pd_outbox out;
  uint8_t *memory;
  size_t dirty;
  uint8_t *history; /* packed events, each behind its size: applied in this order */
  size_t used;
  uint64_t heard[PD_LOGS];
};

static struct tested cores[PD_LOGS], fresh;
static uint8_t batch_memory[(size_t)4 << 20];
static struct pd_arena batch;
static int64_t now_ms;

static void remember(struct tested *tested, const struct pd_event *event) {
  size_t size = protobuf_c_message_get_packed_size(&event->base);
  pd_assert(size <= PD_EVENT_MAX && tested->used + size + sizeof size <= HISTORY_SIZE);
  memcpy(tested->history + tested->used, &size, sizeof size);
  tested->used += sizeof size;
  tested->used += protobuf_c_message_pack(&event->base, tested->history + tested->used);
}

static void on_event(void *context, const struct pd_event *event) { remember(context, event); }
static void on_reply(void *context, const struct pd_reply *reply) {
  (void)context;
  (void)reply;
  abort(); /* nobody asked */
}

static void *reserve(size_t size) {
  void *memory =
      mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  pd_assert(memory != MAP_FAILED);
  return memory;
}

static void start(struct tested *tested, enum pd_log log) {
  if (tested->memory == NULL) {
    tested->memory = reserve(STATE_SIZE);
    tested->history = reserve(HISTORY_SIZE);
  }
  memset(tested->memory, 0, tested->dirty);
  tested->core = fuzz_core(log);
  tested->used = 0;
  memset(tested->heard, 0, sizeof tested->heard);
  pd_arena_init(&tested->arena, tested->memory, STATE_SIZE);
  struct pd_shard shard = {.code = FUZZ_SHARD, .zone_min = FUZZ_ZONE_MIN};
  tested->self = tested->core->init(&tested->arena, &fuzz_limits, &shard, NULL);
  tested->dirty = tested->arena.used;
  struct pd_sink sink = {.context = tested, .event = on_event, .reply = on_reply};
  pd_outbox_init(&tested->out, tested->core, tested->self, FUZZ_SHARD, sink);
}

static void decide(struct tested *tested, struct pd_input *input) {
  input->now_ms = now_ms;
  pd_outbox_decide(&tested->out, input);
  if (tested->core->check != NULL) tested->core->check(tested->self);
}

static void hear(struct tested *tested, enum pd_log log, const struct fuzz_record *record) {
  if ((tested->core->inputs & PD_LOG_BIT(log)) == 0) return;
  if (tested->core->room != NULL && tested->core->room(tested->self) == 0) return;
  pd_arena_reset(&batch);
  struct pd_event *event = pd_event_unpack(&batch, record->bytes, record->size);
  if (event == NULL || event->body_case == PD_EVENT_NOT_SET) return;
  if (!pd_log_says(log, (uint32_t)event->body_case)) return;
  if (protobuf_c_message_get_packed_size(&event->base) > PD_EVENT_MAX - 64) return;
  event->log = log; /* as the turn makes sure */
  event->seq = ++tested->heard[log];
  event->shard = FUZZ_SHARD;
  remember(tested, event);
  tested->core->apply(tested->self, event);
  struct pd_input input = {.kind = PD_INPUT_EVENT, .event = event};
  decide(tested, &input);
}

static void tell_time(struct tested *tested) {
  for (int i = 0; i < 100 && tested->core->deadline != NULL; i++) {
    if (tested->core->deadline(tested->self) > now_ms || tested->used > SPENT) return;
    struct pd_input input = {.kind = PD_INPUT_TIME};
    decide(tested, &input);
  }
}

static void tell_delivery(struct tested *tested, const struct fuzz_record *record) {
  if (tested->core->log != PD_LOG_NOTIFICATION || record->size < 4) return;
  const uint8_t *said = record->bytes;
  struct pd_delivery delivery = {
      .log = (enum pd_log)(said[0] % 8), .seq = said[1], .part = said[2], .attempts = 1};
  delivery.ok = said[3] & 1;
  delivery.final = delivery.ok || (said[3] & 2) != 0;
  delivery.sink = "file";
  delivery.why = delivery.ok ? NULL : "refused";
  struct pd_input input = {.kind = PD_INPUT_DELIVERY, .delivery = &delivery};
  decide(tested, &input);
}

static void feed(struct tested *tested, const struct fuzz_record *record) {
  if (tested->used > SPENT) return;
  struct pd_input end = {.kind = PD_INPUT_BATCH_END};
  switch (record->tag % 8) {
  case 0: tell_time(tested); break;
  case 6: decide(tested, &end); break;
  case 7: tell_delivery(tested, record); break;
  default: hear(tested, (enum pd_log)(record->tag % 8), record); break;
  }
}

static void compare(const struct tested *tested) {
  start(&fresh, tested->core->log);
  for (size_t at = 0, size; at < tested->used; at += size) {
    memcpy(&size, tested->history + at, sizeof size);
    at += sizeof size;
    pd_arena_reset(&batch);
    struct pd_event *event = pd_event_unpack(&batch, tested->history + at, size);
    pd_assert(event != NULL);
    fresh.core->apply(fresh.self, event);
  }
  size_t length, fresh_length;
  const uint8_t *image = pd_arena_image(&tested->arena, &length);
  const uint8_t *fresh_image = pd_arena_image(&fresh.arena, &fresh_length);
  pd_assert(length == fresh_length && memcmp(image, fresh_image, length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_record record;
  pd_arena_init(&batch, batch_memory, sizeof batch_memory);
  now_ms = FUZZ_START_MS;
  for (unsigned log = 1; log < PD_LOGS; log++) start(&cores[log], (enum pd_log)log);
  for (size_t at = 0; fuzz_next(data, size, &at, &record);) {
    if (record.tag % 8 == 0 && record.size > 0) now_ms += INT64_C(1) << record.bytes[0] % 40;
    for (unsigned log = 1; log < PD_LOGS; log++) feed(&cores[log], &record);
  }
  for (unsigned log = 1; log < PD_LOGS; log++) compare(&cores[log]);
  pd_arena_reset(&batch);
  return 0;
}

/* ---- making inputs ---- */

const ProtobufCMessageDescriptor *fuzz_type(uint8_t tag) {
  unsigned log = tag % 8;
  return log == 0 || log > 5 ? NULL : &pd_event_descriptor;
}

uint8_t fuzz_tag(struct pd_rng *rng) { return (uint8_t)pd_rng_below(rng, 8); }

/* Which log says a kind, by its number (event.proto). */
static uint8_t log_of(uint32_t kind) {
  return (uint8_t)(kind >= 120 ? 5 : kind >= 100 ? 4 : kind >= 80 ? 3 : kind >= 60 ? 2 : 1);
}

/* Every kind a few times, in the order in which a life goes. */
size_t fuzz_seed(uint32_t index, uint8_t *data, size_t max) {
  static uint8_t bytes[65536];
  struct pd_rng rng;
  size_t used = 0;
  if (index >= 10) return 0;
  pd_rng_seed(&rng, index + 1);
  for (unsigned i = 0; i < pd_event_descriptor.n_fields; i++) {
    uint32_t kind = pd_event_descriptor.fields[i].id;
    for (uint64_t times = kind < 16 ? 0 : pd_rng_below(&rng, 3); times > 0; times--) {
      size_t size = fuzz_make_kind(&rng, &pd_event_descriptor, kind, bytes, 4096);
      used = fuzz_put(data, used, max < 4096 ? max : 4096, log_of(kind), bytes, size);
    }
    bytes[0] = (uint8_t)pd_rng_below(&rng, 32);
    if (pd_rng_below(&rng, 8) == 0) used = fuzz_put(data, used, max, 0, bytes, 1);
  }
  return used;
}
