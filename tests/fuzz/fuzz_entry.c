/* Any bytes as entries of other logs, and forged entries that are nearly right: framed, judged and
 * consumed by a real turn; at the end a replay of what was taken gives the same image.
 *
 * Records, by tag % 8:
 *     0        bytes of an Entry; the hash that comes with it is right
 *     1 .. 5   an Event of that log, put into an entry that follows; by tag / 8 % 4:
 *              0 as it is, 1 kept for the next entry, 2 behind a mark, 3 in a damaged entry
 *     6        by its first byte: time passes, a commit (with an outcome by the second), a tip
 *     7        as the first record: whose turn it is
 */
#include "common/base/err.h"
#include "tests/fuzz/district.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#define PACK_SIZE ((size_t)1 << 18)
#define RETRIES 4

static struct fuzz_daemon victim;
static struct fuzz_log logs[PD_LOGS];
static struct {
  struct pd_packer packer;
  uint8_t memory[PACK_SIZE];
} packing[PD_LOGS];
static bool dead[PD_LOGS]; /* an entry failed half-way: in reality this input stands still */
static int64_t now_ms;

static void on_committed(void *context, const struct pd_packed *packed) {
  (void)context;
  fuzz_log_add(&logs[packed->head.log], packed->bytes, packed->size, &packed->hash);
}

static void commit(enum pd_commit_reply outcome) {
  struct pd_turn *turn = &victim.turn;
  const struct pd_packed *packed;
  while (pd_turn_time(turn)) continue;
  pd_turn_close(turn, true);
  while ((packed = pd_turn_send(turn)) != NULL) {
    uint64_t seq = packed->head.last_seq;
    struct pd_hash hash = packed->hash;
    pd_turn_reply(turn, outcome);
    if (pd_turn_wants_tail(turn)) pd_turn_tail(turn, seq, &hash);
    pd_assert(!pd_turn_fenced(turn));
    outcome = PD_COMMIT_OK;
  }
}

static bool follows(enum pd_log log) {
  return (victim.turn.config.core->inputs & PD_LOG_BIT(log)) != 0 && !dead[log];
}

/* Offer an entry until it is taken as far as it can be; what was consumed of it is in the log. */
static enum pd_taken offer(enum pd_log log, const uint8_t *bytes, size_t size,
                           const struct pd_hash *hash) {
  struct pd_turn *turn = &victim.turn;
  uint64_t before = turn->inputs[log].next;
  enum pd_taken taken = pd_turn_input(turn, bytes, size, hash);
  for (int i = 0; i < RETRIES && taken == PD_TAKEN_PART; i++) {
    commit(PD_COMMIT_OK);
    taken = pd_turn_input(turn, bytes, size, hash);
  }
  if (turn->inputs[log].next != before) {
    fuzz_log_add(&logs[log], bytes, size, hash);
    dead[log] = taken != PD_TAKEN;
  }
  pd_assert(taken != PD_TAKEN || turn->inputs[log].next > before);
  if (turn->config.core->check != NULL) turn->config.core->check(turn->self);
  return taken;
}

static void walk(const struct pd_entry_view *view) {
  struct pd_entry_item item;
  uint32_t events = 0;
  for (size_t at = 0; pd_entry_next(view, &at, &item);) {
    events += item.log == PD_LOG_UNSPECIFIED;
    pd_assert(at <= view->size && item.log < PD_LOGS);
  }
  pd_assert(events == view->events && events > 0);
}

static void offer_raw(const struct fuzz_record *record) {
  struct pd_entry_view view;
  struct pd_hash hash = pd_hash_of(record->bytes, record->size);
  if (pd_entry_open(record->bytes, record->size, &view) != PD_OK) {
    enum pd_taken taken = pd_turn_input(&victim.turn, record->bytes, record->size, &hash);
    pd_assert(taken == PD_TAKEN_CORRUPT);
    return;
  }
  walk(&view);
  if (follows(view.head.log)) offer(view.head.log, record->bytes, record->size, &hash);
}

/* ---- forged entries ---- */

static void start_packing(enum pd_log log) {
  pd_packer_init(&packing[log].packer, packing[log].memory, PACK_SIZE);
}

/* Add the event with the place that it would have; false if it is none. */
static bool pack(enum pd_log log, const struct fuzz_record *record) {
  static uint8_t memory[(size_t)4 << 20];
  struct pd_arena arena;
  struct pd_packer *packer = &packing[log].packer;
  pd_arena_init(&arena, memory, sizeof memory);
  struct pd_event *event = pd_event_unpack(&arena, record->bytes, record->size);
  bool good = event != NULL && packer->used < PACK_SIZE / 2;
  if (good) {
    event->log = log;
    event->shard = FUZZ_SHARD;
    event->seq = victim.turn.inputs[log].next + packer->events;
    good = protobuf_c_message_get_packed_size(&event->base) <= PD_EVENT_MAX;
  }
  if (good) pd_pack_event(packer, event);
  pd_arena_reset(&arena);
  return good;
}

static struct pd_entry_head head_of(enum pd_log log) {
  const struct pd_follower *follower = &victim.turn.inputs[log];
  struct pd_entry_head head = {.shard = FUZZ_SHARD, .log = log, .time_ms = now_ms};
  head.epoch = follower->epoch > 0 ? follower->epoch : 1;
  head.first_seq = follower->next;
  head.last_seq = follower->next + packing[log].packer.events - 1;
  head.prev = follower->last;
  return head;
}

/* Something about the entry is not as it must be: it must not be taken. */
static void offer_damaged(enum pd_log log, struct pd_entry_head head, uint8_t way) {
  struct pd_packed packed;
  const struct pd_follower *follower = &victim.turn.inputs[log];
  uint64_t before = follower->next;
  bool chained = follower->chained, flip = way % 6 == 0;
  if (way % 6 == 1) head.prev.bytes[way % PD_HASH_BYTES] ^= 1;
  if (way % 6 == 2) head.epoch--;
  if (way % 6 == 3) head.shard++;
  if (way % 6 == 4) head.first_seq += way, head.last_seq += way;
  if (way % 6 == 5) head.log = (enum pd_log)(head.log % (PD_LOGS - 1) + 1);
  pd_pack_end(&packing[log].packer, &head, &packed);
  size_t begin = packing[log].packer.used - packed.size; /* the entry ends where the items do */
  if (flip) packing[log].memory[begin + way % packed.size] ^= 1;
  bool sure = way % 6 != 1 || chained; /* the first entry's prev is nobody's */
  if (way % 6 == 2 && follower->epoch == 0) sure = false;
  if (!sure) return;
  enum pd_taken taken = pd_turn_input(&victim.turn, packed.bytes, packed.size, &packed.hash);
  pd_assert(taken != PD_TAKEN && victim.turn.inputs[log].next == before);
}

static void offer_event(enum pd_log log, const struct fuzz_record *record) {
  struct pd_packer *packer = &packing[log].packer;
  unsigned way = record->tag / 8 % 4;
  uint8_t last = record->size > 0 ? record->bytes[record->size - 1] : 0;
  if (!follows(log)) return;
  if (way == 2) pd_pack_mark(packer, (enum pd_log)(1 + last % (PD_LOGS - 1)), last % 8);
  if (!pack(log, record) && packer->events == 0) return;
  if (way == 1) return;
  if (way == 3) {
    offer_damaged(log, head_of(log), last);
  } else {
    struct pd_entry_head head = head_of(log);
    struct pd_packed packed;
    pd_pack_end(packer, &head, &packed);
    enum pd_taken taken = offer(log, packed.bytes, packed.size, &packed.hash);
    pd_assert(taken != PD_TAKEN_OLD && taken != PD_TAKEN_GAP);
  }
  start_packing(log);
}

/* ---- the rest ---- */

static void control(const struct fuzz_record *record) {
  if (record->size < 2) return;
  uint8_t what = record->bytes[0], more = record->bytes[1];
  static const enum pd_commit_reply outcomes[] = {PD_COMMIT_OK, PD_COMMIT_DUP, PD_COMMIT_UNKNOWN};
  if (what % 4 == 0) pd_turn_now(&victim.turn, now_ms += INT64_C(1) << more % 38);
  if (what % 4 == 1) commit(outcomes[more % 3]);
  if (what % 4 >= 2) {
    struct pd_follower *follower = &victim.turn.inputs[1 + more % (PD_LOGS - 1)];
    uint64_t last = UINT64_MAX >> more % 64;
    pd_assert(pd_follower_tip(follower, last) == (follower->tail >= follower->next));
  }
}

static void start(enum pd_log log) {
  struct pd_turn_hooks hooks = {.committed = on_committed};
  now_ms = FUZZ_START_MS;
  fuzz_daemon_start(&victim, log, &hooks);
  pd_turn_lead(&victim.turn, now_ms);
  for (unsigned i = 1; i < PD_LOGS; i++) {
    fuzz_log_clear(&logs[i]);
    start_packing((enum pd_log)i);
    dead[i] = false;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_record record = {.tag = 0};
  size_t at = 0;
  enum pd_log log = PD_LOG_NOTIFICATION;
  if (fuzz_next(data, size, &at, &record) && record.tag % 8 == 7)
    log = (enum pd_log)(1 + (record.size > 0 ? record.bytes[0] : 0) % (PD_LOGS - 1));
  else
    at = 0;
  start(log);
  while (fuzz_next(data, size, &at, &record)) {
    if (record.tag % 8 == 0)
      offer_raw(&record);
    else if (record.tag % 8 < PD_LOGS)
      offer_event((enum pd_log)(record.tag % 8), &record);
    else
      control(&record);
  }
  for (int i = 0; i < RETRIES && !pd_turn_quiet(&victim.turn); i++) commit(PD_COMMIT_OK);
  pd_assert(pd_turn_quiet(&victim.turn));
  fuzz_daemon_compare(&victim, logs);
  for (unsigned i = 1; i < PD_LOGS; i++) fuzz_log_clear(&logs[i]);
  return 0;
}

/* ---- making inputs ---- */

const ProtobufCMessageDescriptor *fuzz_type(uint8_t tag) {
  unsigned log = tag % 8;
  if (log == 0) return &pd_entry_descriptor;
  return log > 5 ? NULL : &pd_event_descriptor;
}

uint8_t fuzz_tag(struct pd_rng *rng) { return (uint8_t)pd_rng_below(rng, 64); }

/* Kinds that a log says: the blocks of event.proto. */
static uint32_t kind_of(struct pd_rng *rng, uint8_t log) {
  for (int i = 0; i < 1000; i++) {
    uint64_t at = pd_rng_below(rng, pd_event_descriptor.n_fields);
    uint32_t kind = pd_event_descriptor.fields[at].id;
    if (kind >= 16 && pd_log_says((enum pd_log)log, kind)) return kind;
  }
  return PD_EVENT_EPOCH_BEGAN;
}

/* The first entry of a log, as its daemon would write it. */
static size_t first_entry(struct pd_rng *rng, uint8_t log, uint8_t *bytes) {
  struct fuzz_record record = {.bytes = bytes};
  start((enum pd_log)(log % 5 + 1));
  for (int i = 0; i < 3; i++) {
    record.size = fuzz_make_kind(rng, &pd_event_descriptor, kind_of(rng, log), bytes, 2048);
    pack((enum pd_log)log, &record);
  }
  struct pd_entry_head head = head_of((enum pd_log)log);
  struct pd_packed packed;
  if (packing[log].packer.events == 0) return 0;
  pd_pack_end(&packing[log].packer, &head, &packed);
  memcpy(bytes, packed.bytes, packed.size);
  return packed.size;
}

size_t fuzz_seed(uint32_t index, uint8_t *data, size_t max) {
  static uint8_t bytes[65536];
  struct pd_rng rng;
  if (index >= 10) return 0;
  pd_rng_seed(&rng, index + 100);
  bytes[0] = (uint8_t)index;
  size_t used = fuzz_put(data, 0, max, 7, bytes, 1);
  for (uint8_t log = 1; log < PD_LOGS && index % 4 == 0; log++)
    used = fuzz_put(data, used, max, 0, bytes, first_entry(&rng, log, bytes));
  while (used < 4000) {
    uint8_t log = (uint8_t)(1 + pd_rng_below(&rng, 5));
    static const uint8_t ways[] = {0, 0, 0, 0, 8, 16, 24};
    uint8_t way = ways[pd_rng_below(&rng, sizeof ways)];
    size_t size = fuzz_make_kind(&rng, &pd_event_descriptor, kind_of(&rng, log), bytes, 2048);
    used = fuzz_put(data, used, max, (uint8_t)(way + log), bytes, size);
    bytes[0] = (uint8_t)pd_rng_below(&rng, 4);
    bytes[1] = (uint8_t)pd_rng_below(&rng, 32);
    if (pd_rng_below(&rng, 6) == 0) used = fuzz_put(data, used, max, 6, bytes, 2);
  }
  return used;
}
