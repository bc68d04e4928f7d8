#include "tests/fuzz/district.h"

#include "services/intake/intake_core.h"
#include "services/matching/matching_core.h"
#include "services/notification/notification_core.h"
#include "services/points/points_core.h"
#include "services/scheduling/scheduling_core.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STATE_SIZE ((size_t)256 << 20)
#define BATCH_SIZE ((size_t)4 << 20)
#define ENTRY_SOFT ((size_t)64 << 10)
#define ENTRY_SIZE ((size_t)1 << 20)
#define REPLIES_SIZE ((size_t)1 << 20)
#define ROUNDS_MAX 1000

const struct pd_limits fuzz_limits = {
    .persons = 24,
    .sites = 6,
    .teams = 4,
    .orders = 6,
    .slots = 4,
    .offers = 24,
    .offers_each = 3,
    .asked = 40,
    .bookings = 10,
    .keys = 32,
    .holds = 3,
    .credentials = 8,
    .credentials_each = 3,
    .blocks = 6,
    .blocks_each = 2,
    .messages = 64,
};

static struct {
  struct fuzz_daemon daemons[PD_LOGS];
  struct fuzz_log logs[PD_LOGS];
  int64_t now_ms;
  uint32_t faults;
  struct pd_turn_hooks intake;
  bool ending; /* the last notes are written, and heard by nobody */
} district;

const struct pd_core *fuzz_core(enum pd_log log) {
  static const struct pd_core *const cores[PD_LOGS] = {
      [PD_LOG_INTAKE] = &intake_core,         [PD_LOG_MATCHING] = &matching_core,
      [PD_LOG_SCHEDULING] = &scheduling_core, [PD_LOG_POINTS] = &points_core,
      [PD_LOG_NOTIFICATION] = &notification_core,
  };
  return cores[log];
}

/* ---- logs ---- */

void fuzz_log_add(struct fuzz_log *log, const uint8_t *bytes, size_t size,
                  const struct pd_hash *hash) {
  struct pd_entry_view view;
  enum pd_err err = pd_entry_open(bytes, size, &view);
  pd_assert(err == PD_OK);
  if (log->count == log->room) {
    log->room = log->room == 0 ? 64 : 2 * log->room;
    log->entries = realloc(log->entries, log->room * sizeof *log->entries);
    pd_assert(log->entries != NULL);
  }
  uint8_t *copy = malloc(size);
  pd_assert(copy != NULL);
  memcpy(copy, bytes, size);
  log->entries[log->count++] =
      (struct fuzz_entry){copy, size, *hash, view.head.first_seq, view.head.last_seq};
}

const struct fuzz_entry *fuzz_log_find(const struct fuzz_log *log, uint64_t seq) {
  for (size_t i = log->count; i > 0; i--) {
    const struct fuzz_entry *entry = &log->entries[i - 1];
    if (entry->first_seq <= seq) return entry->last_seq >= seq ? entry : NULL;
  }
  return NULL;
}

void fuzz_log_clear(struct fuzz_log *log) {
  for (size_t i = 0; i < log->count; i++) free(log->entries[i].bytes);
  log->count = 0;
}

/* ---- one daemon ---- */

static uint8_t *reserve(size_t size) {
  void *memory =
      mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  pd_assert(memory != MAP_FAILED);
  return memory;
}

void fuzz_daemon_start(struct fuzz_daemon *daemon, enum pd_log log,
                       const struct pd_turn_hooks *hooks) {
  if (daemon->memory == NULL) {
    daemon->memory = reserve(STATE_SIZE);
    daemon->buffers = reserve(BATCH_SIZE + PD_WRITER_SLOTS * ENTRY_SIZE + REPLIES_SIZE);
  }
  memset(daemon->memory, 0, daemon->dirty);
  struct pd_turn_config config = {.core = fuzz_core(log), .limits = &fuzz_limits};
  config.shard = (struct pd_shard){.code = FUZZ_SHARD, .zone_min = FUZZ_ZONE_MIN};
  pd_arena_init(&config.state, daemon->memory, STATE_SIZE);
  pd_arena_init(&config.batch, daemon->buffers, BATCH_SIZE);
  config.entries = daemon->buffers + BATCH_SIZE;
  config.entry_size = ENTRY_SIZE;
  config.entry_soft = ENTRY_SOFT;
  config.replies = config.entries + PD_WRITER_SLOTS * ENTRY_SIZE;
  config.replies_size = REPLIES_SIZE;
  config.hooks = *hooks;
  pd_turn_init(&daemon->turn, &config);
  daemon->dirty = daemon->turn.state.used;
}

static enum pd_err from_logs(void *context, enum pd_log log, uint64_t from, const uint8_t **bytes,
                             size_t *size, struct pd_hash *hash) {
  struct fuzz_log *logs = context;
  const struct fuzz_entry *entry = fuzz_log_find(&logs[log], from);
  if (entry == NULL) return PD_ENOENT;
  *bytes = entry->bytes;
  *size = entry->size;
  *hash = entry->hash;
  return PD_OK;
}

void fuzz_daemon_compare(const struct fuzz_daemon *daemon, struct fuzz_log logs[PD_LOGS]) {
  static struct fuzz_daemon fresh;
  const struct pd_core *core = daemon->turn.config.core;
  struct pd_turn_hooks hooks = {.context = NULL};
  fuzz_daemon_start(&fresh, core->log, &hooks);
  struct pd_source source = {.context = logs, .next = from_logs};
  enum pd_err err = pd_turn_replay(&fresh.turn, &source);
  pd_assert(err == PD_OK);
  size_t length, fresh_length;
  const uint8_t *image = pd_arena_image(&daemon->turn.state, &length);
  const uint8_t *fresh_image = pd_arena_image(&fresh.turn.state, &fresh_length);
  pd_assert(length == fresh_length && memcmp(image, fresh_image, length) == 0);
  pd_assert(fresh.turn.writer.seq == daemon->turn.writer.seq);
  for (unsigned log = 1; log < PD_LOGS; log++)
    pd_assert(fresh.turn.inputs[log].next == daemon->turn.inputs[log].next);
}

/* ---- the district ---- */

static void on_committed(void *context, const struct pd_packed *packed) {
  (void)context;
  struct fuzz_log *log = &district.logs[packed->head.log];
  const struct fuzz_entry *entry = fuzz_log_find(log, packed->head.last_seq);
  pd_assert(entry != NULL && pd_hash_equal(&entry->hash, &packed->hash)); /* durable first */
  if (packed->head.log == PD_LOG_INTAKE && district.intake.committed != NULL)
    district.intake.committed(district.intake.context, packed);
}

static void on_reply(void *context, uint64_t token, const uint8_t *bytes, size_t size) {
  (void)context;
  if (district.intake.reply != NULL)
    district.intake.reply(district.intake.context, token, bytes, size);
}

void fuzz_district_start(const struct pd_turn_hooks *intake) {
  static const struct pd_turn_hooks none;
  struct pd_turn_hooks hooks = {.committed = on_committed, .reply = on_reply};
  district.now_ms = FUZZ_START_MS;
  district.faults = 0;
  district.ending = false;
  district.intake = intake != NULL ? *intake : none;
  for (unsigned log = 1; log < PD_LOGS; log++) {
    fuzz_log_clear(&district.logs[log]);
    hooks.emitted = log == PD_LOG_INTAKE ? district.intake.emitted : NULL;
    fuzz_daemon_start(&district.daemons[log], (enum pd_log)log, &hooks);
    pd_turn_lead(&district.daemons[log].turn, district.now_ms);
  }
}

void fuzz_district_faults(uint32_t faults) { district.faults = faults; }

struct pd_turn *fuzz_district_turn(enum pd_log log) { return &district.daemons[log].turn; }

/* The store: one entry, with an outcome by the plan of faults. */
static enum pd_commit_reply commit(const struct pd_packed *packed) {
  struct fuzz_log *log = &district.logs[packed->head.log];
  uint32_t fault = district.faults & 3;
  district.faults >>= 2;
  uint64_t last = log->count > 0 ? log->entries[log->count - 1].last_seq : 0;
  if (packed->head.first_seq <= last) return PD_COMMIT_DUP;
  if (fault == 3 || packed->head.first_seq != last + 1) return PD_COMMIT_UNKNOWN;
  fuzz_log_add(log, packed->bytes, packed->size, &packed->hash);
  return fault == 2 ? PD_COMMIT_UNKNOWN : PD_COMMIT_OK;
}

static void settle_tail(struct pd_turn *turn) {
  const struct fuzz_log *log = &district.logs[turn->config.core->log];
  struct pd_hash zero = {{0}};
  const struct fuzz_entry *last = log->count > 0 ? &log->entries[log->count - 1] : NULL;
  pd_turn_tail(turn, last != NULL ? last->last_seq : 0, last != NULL ? &last->hash : &zero);
  pd_assert(!pd_turn_fenced(turn));
}

static bool close_turn(struct pd_turn *turn) {
  bool moved = pd_turn_close(turn, pd_turn_unnoted(turn) || district.ending);
  const struct pd_packed *packed;
  while ((packed = pd_turn_send(turn)) != NULL) {
    pd_turn_reply(turn, commit(packed));
    if (pd_turn_wants_tail(turn)) settle_tail(turn);
    moved = true;
  }
  return moved;
}

/* Everything of one log that the daemon can take now. */
static bool hear_log(struct pd_turn *turn, enum pd_log log) {
  bool moved = false;
  for (;;) {
    uint64_t next = turn->inputs[log].next;
    const struct fuzz_entry *entry = fuzz_log_find(&district.logs[log], next);
    if (entry == NULL) return moved;
    enum pd_taken taken = pd_turn_input(turn, entry->bytes, entry->size, &entry->hash);
    pd_assert(taken == PD_TAKEN || taken == PD_TAKEN_PART);
    moved |= turn->inputs[log].next != next;
    if (taken == PD_TAKEN_PART) return moved;
  }
}

/* Sinks take two of three messages; for the third it was the last attempt. */
static bool deliver(struct pd_turn *turn) {
  struct notification_cursor cursor = {.number = {0}};
  struct notification_message message;
  bool moved = false;
  while (pd_turn_open(turn) &&
         notification_next(turn->self, district.now_ms, &cursor, &message)) {
    struct pd_delivery delivery = {.log = message.log, .part = message.part, .seq = message.seq};
    delivery.attempts = 1;
    delivery.ok = message.seq % 3 != 0;
    delivery.final = true;
    delivery.sink = "file";
    delivery.why = delivery.ok ? NULL : "refused";
    pd_turn_delivery(turn, &delivery);
    moved = true;
  }
  return moved;
}

static bool run_daemon(enum pd_log log) {
  struct pd_turn *turn = &district.daemons[log].turn;
  bool moved = false;
  pd_turn_now(turn, district.now_ms);
  for (unsigned input = 1; input < PD_LOGS; input++)
    if (turn->config.core->inputs & PD_LOG_BIT(input))
      moved |= hear_log(turn, (enum pd_log)input);
  while (pd_turn_time(turn)) moved = true;
  if (log == PD_LOG_NOTIFICATION) moved |= deliver(turn);
  return close_turn(turn) || moved;
}

void fuzz_district_settle(void) {
  bool moved = true;
  for (unsigned rounds = 0; moved; rounds++) {
    pd_assert(rounds < ROUNDS_MAX); /* it comes to rest */
    moved = false;
    for (unsigned log = 1; log < PD_LOGS; log++) moved |= run_daemon((enum pd_log)log);
  }
  for (unsigned log = 1; log < PD_LOGS; log++) {
    const struct pd_core *core = fuzz_core((enum pd_log)log);
    if (core->check != NULL) core->check(district.daemons[log].turn.self);
  }
}

void fuzz_district_wait(int64_t ms) {
  district.now_ms += ms;
  fuzz_district_settle();
}

static void expect_all_heard(const struct pd_turn *turn) {
  for (unsigned log = 1; log < PD_LOGS; log++) {
    if ((turn->config.core->inputs & PD_LOG_BIT(log)) == 0) continue;
    const struct fuzz_log *input = &district.logs[log];
    pd_assert(turn->inputs[log].next == input->entries[input->count - 1].last_seq + 1);
  }
}

void fuzz_district_end(void) {
  district.faults = 0;
  district.ending = false;
  fuzz_district_settle();
  for (unsigned log = 1; log < PD_LOGS; log++) expect_all_heard(&district.daemons[log].turn);
  district.ending = true;
  for (unsigned log = 1; log < PD_LOGS; log++) {
    (void)close_turn(&district.daemons[log].turn);
    pd_assert(pd_turn_quiet(&district.daemons[log].turn));
    fuzz_daemon_compare(&district.daemons[log], district.logs);
  }
  for (unsigned log = 1; log < PD_LOGS; log++) fuzz_log_clear(&district.logs[log]);
}
