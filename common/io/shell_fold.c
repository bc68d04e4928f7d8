/* Standing by: a seat's state is its snapshot, and then its log, page by page as the store has
 * it, for as long as somebody else leads.  When the lease is ours: the rest of the log, and it
 * leads. */
#include "common/io/journal.h"
#include "common/io/shell_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STATE_SIZE ((size_t)4 << 30) /* of address space; only touched pages count */
#define BATCH_SIZE ((size_t)4 << 20) /* one event or command, unpacked */
#define ENTRY_SOFT ((size_t)4 << 20)
#define ENTRY_SIZE ((size_t)16 << 20)
#define REPLIES_SIZE ((size_t)4 << 20)
#define BUFFERS_SIZE (BATCH_SIZE + PD_WRITER_SLOTS * ENTRY_SIZE + REPLIES_SIZE)
#define PAGE_ENTRIES 256 /* of one read */
#define TURN_NS UINT64_C(10000000) /* folded without a look at the other seats */
#define FOLLOW_MS 50   /* from one look for new entries to the next */
#define RETRY_MS 200   /* before a read that the store broke off is tried again */
#define LOST_SAID_EVERY_MS 10000
#define REREAD_MS 1000 /* before a log that did not follow is read again from the snapshot */

/* ---- memory ---- */

static void *reserve(size_t size) {
  void *memory =
      mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

static void release(uint8_t **memory, size_t size) {
  if (*memory != NULL) munmap(*memory, size);
  *memory = NULL;
}

enum pd_err pd_fold_build(struct pd_seat *seat) {
  release(&seat->memory, STATE_SIZE);
  seat->memory = reserve(STATE_SIZE);
  if (seat->buffers == NULL) seat->buffers = reserve(BUFFERS_SIZE);
  if (seat->memory == NULL || seat->buffers == NULL) return PD_EIO;
  const struct pd_service *service = seat->shell->service;
  struct pd_turn_config config = {
      .core = service->core, .limits = &pd_limits_district, .shard = seat->shard};
  if (service->policy != NULL) config.policy = service->policy(seat->shell->config);
  pd_arena_init(&config.state, seat->memory, STATE_SIZE);
  pd_arena_init(&config.batch, seat->buffers, BATCH_SIZE);
  config.entries = seat->buffers + BATCH_SIZE;
  config.entry_size = ENTRY_SIZE;
  config.entry_soft = ENTRY_SOFT;
  config.replies = config.entries + PD_WRITER_SLOTS * ENTRY_SIZE;
  config.replies_size = REPLIES_SIZE;
  config.depth = seat->shell->common->replicas > 0 ? 1 : 0; /* WAIT blocks the connection */
  pd_turn_init(&seat->turn, &config);
  seat->snapshot_seq = 0;
  memset(seat->snapshot_next, 0, sizeof seat->snapshot_next);
  return PD_OK;
}

/* ---- pages ---- */

static void page_free(struct pd_page *page) {
  free(page->bytes);
  free(page->entries);
  page->bytes = NULL;
  page->entries = NULL;
  page->count = page->at = 0;
  page->answered = false;
}

static bool page_copy(struct pd_page *page, const struct pd_stored *entries, size_t count) {
  size_t total = 0, at = 0;
  for (size_t i = 0; i < count; i++) total += entries[i].size + PD_HASH_SIZE;
  page->bytes = malloc(total > 0 ? total : 1);
  page->entries = calloc(count > 0 ? count : 1, sizeof *page->entries);
  if (page->bytes == NULL || page->entries == NULL) return false;
  for (size_t i = 0; i < count; i++) {
    struct pd_stored *to = &page->entries[i];
    *to = entries[i];
    to->bytes = memcpy(page->bytes + at, entries[i].bytes, entries[i].size);
    to->hash = memcpy(page->bytes + at + entries[i].size, entries[i].hash, PD_HASH_SIZE);
    at += entries[i].size + PD_HASH_SIZE;
  }
  page->count = count;
  return true;
}

static void on_page(void *context, enum pd_err err, const struct pd_stored *entries, size_t count) {
  struct pd_page *page = context;
  struct pd_seat *seat = page->seat;
  page->asked = false;
  pd_seat_wake(seat);
  if (page->life != seat->life) return;
  if (err == PD_OK && !page_copy(page, entries, count)) err = PD_EIO;
  if (err == PD_OK)
    page->answered = true;
  else
    seat->fold.err = err;
}

/* Ask for the page that begins with `from`. */
static enum pd_err fetch(struct pd_seat *seat, enum pd_log log, uint64_t from) {
  struct pd_page *page = &seat->fold.pages[log];
  if (page->asked) return PD_EAGAIN; /* that page, or one that nobody wants any more */
  page_free(page);
  page->seat = seat;
  page->life = seat->life;
  page->from = from;
  enum pd_err err = pd_store_read(seat->store, pd_log_name(log), from, PAGE_ENTRIES, on_page, page);
  page->asked = err == PD_OK;
  return page->asked ? PD_EAGAIN : err;
}

/* What we had acknowledged before another leader wrote must be below what it wrote. */
static bool holds_acked(struct pd_seat *seat, enum pd_log log, const struct pd_stored *found) {
  if (seat->acked_seq == 0 || log != seat->shell->service->core->log) return true;
  if (found->last_seq < seat->acked_seq) return true;
  bool there = found->last_seq == seat->acked_seq &&
               memcmp(found->hash, seat->acked_hash.bytes, PD_HASH_SIZE) == 0;
  if (there) seat->acked_seq = 0;
  return there;
}

static enum pd_err next_entry(void *context, enum pd_log log, uint64_t from, const uint8_t **bytes,
                              size_t *size, struct pd_hash *hash) {
  struct pd_seat *seat = context;
  struct pd_page *page = &seat->fold.pages[log];
  if (uv_hrtime() >= seat->fold.until) return PD_EAGAIN;
  while (page->at < page->count && page->entries[page->at].last_seq < from) page->at++;
  if (page->at == page->count) {
    bool end = page->answered && page->count == 0 && page->from == from;
    if (!end) return fetch(seat, log, from);
    page->answered = false; /* the next time there may be more */
    return PD_ENOENT;
  }
  const struct pd_stored *found = &page->entries[page->at];
  if (!holds_acked(seat, log, found)) return PD_ECORRUPT;
  *bytes = found->bytes;
  *size = found->size;
  memcpy(hash->bytes, found->hash, PD_HASH_SIZE);
  return PD_OK;
}

/* ---- the snapshot ---- */

/* A snapshot holds only what was committed: a log that ends before it, or otherwise, has lost what
 * somebody was told is safe.  That is for a person to decide, not for us to paper over. */
static bool snapshot_is_in(struct pd_seat *seat, const struct pd_tail *tail) {
  const struct pd_writer *writer = &seat->turn.writer;
  bool same = memcmp(writer->hash.bytes, tail->hash, sizeof tail->hash) == 0;
  if (writer->seq < tail->last_seq || (writer->seq == tail->last_seq && same)) return true;
  seat_say(seat, PD_LEVEL_ERROR, pd_kv_text("msg", "the log has lost what the snapshot holds"),
           pd_kv_uint("snapshot_seq", writer->seq), pd_kv_uint("log_seq", tail->last_seq),
           pd_kv_text("next", "restore the log; or remove every snapshot in data_dir, which gives "
                              "up what the log has lost"));
  return false;
}

static void on_first_tail(void *context, enum pd_err err, const struct pd_tail *tail) {
  struct pd_seat *seat = context;
  seat->fold.tail_asked = false;
  pd_seat_wake(seat);
  if (seat->phase != PD_PHASE_TAIL) return;
  if (err != PD_OK) {
    pd_seat_rebuild(seat, RETRY_MS);
    return;
  }
  err = pd_fold_build(seat);
  if (err == PD_OK && !pd_seat_restore(seat)) err = pd_fold_build(seat);
  if (err != PD_OK)
    pd_seat_break(seat, PD_EXIT_FAULT);
  else if (!snapshot_is_in(seat, tail))
    pd_seat_break(seat, PD_EXIT_CONFIG);
  else
    pd_fold_begin(seat);
}

void pd_fold_begin(struct pd_seat *seat) {
  struct pd_fold *fold = &seat->fold;
  pd_replay_init(&fold->replay, &seat->turn);
  for (unsigned log = 1; log < PD_LOGS; log++) page_free(&fold->pages[log]);
  fold->err = PD_OK;
  fold->caught_up = fold->settled = false;
  fold->again_at = 0;
  fold->started = uv_hrtime();
  fold->from = seat->turn.out.last_seq;
  seat->phase = PD_PHASE_FOLD;
  pd_seat_wake(seat);
}

/* ---- a round ---- */

static void await_store(struct pd_seat *seat) {
  struct pd_fold *fold = &seat->fold;
  const char *log = seat->shell->service->core->name;
  if (uv_now(&seat->shell->loop) < fold->again_at || fold->tail_asked) return;
  if (!pd_store_is_up(seat->store)) return;
  fold->tail_asked = pd_store_tail(seat->store, log, on_first_tail, seat) == PD_OK;
  if (fold->tail_asked) seat->phase = PD_PHASE_TAIL;
}

/* It is not served, and read again and again: another server may have it. */
static void lost_acked(struct pd_seat *seat) {
  snprintf(seat->why, sizeof seat->why, "the log has lost what was acknowledged");
  if (pd_journal_once("lost", LOST_SAID_EVERY_MS, uv_now(&seat->shell->loop), NULL))
    seat_say(seat, PD_LEVEL_ERROR, pd_kv_text("msg", seat->why),
             pd_kv_uint("acknowledged_seq", seat->acked_seq),
             pd_kv_uint("log_seq", seat->turn.out.last_seq),
             pd_kv_text("next", "another leader has written over it: restore the log"));
  pd_seat_rebuild(seat, REREAD_MS);
}

/* A log that does not follow what was folded of it may have been cut behind our back: once more
 * from the snapshot; if it does not follow that either, it is for a person to see. */
static void fold_failed(struct pd_seat *seat, enum pd_err err) {
  struct pd_fold *fold = &seat->fold;
  if (err == PD_EDOWN || err == PD_EIO) {
    fold->err = PD_OK;
    fold->again_at = uv_now(&seat->shell->loop) + RETRY_MS;
    pd_seat_later(seat, RETRY_MS);
    return;
  }
  if (err == PD_ECORRUPT && seat->acked_seq != 0) {
    lost_acked(seat);
    return;
  }
  seat_say(seat, PD_LEVEL_ERROR, pd_kv_text("msg", "the log cannot be replayed"),
           pd_kv_text("why", pd_err_text(err)), pd_kv_uint("own_seq", seat->turn.out.last_seq),
           pd_kv_text("next", "`paidan verify` names the entry; restore that log"));
  if (fold->caught_up && err != PD_EOLD)
    pd_seat_rebuild(seat, REREAD_MS);
  else
    pd_seat_break(seat, err == PD_EOLD ? PD_EXIT_CONFIG : PD_EXIT_FAULT);
}

static void on_settled(void *context, enum pd_err err, const struct pd_tail *tail) {
  struct pd_seat *seat = context;
  struct pd_fold *fold = &seat->fold;
  fold->tail_asked = false;
  pd_seat_wake(seat);
  if (err != PD_OK || seat->phase != PD_PHASE_FOLD) return;
  fold->settled = true;
  fold->settled_at = tail->last_seq;
  fold->again_at = 0;
}

/* The lease is ours: let the store make tip and stream agree before the first commit, and fold to
 * the end that it then has. */
static void claim(struct pd_seat *seat) {
  struct pd_fold *fold = &seat->fold;
  const char *log = seat->shell->service->core->name;
  if (fold->settled && seat->turn.out.last_seq >= fold->settled_at) {
    fold->settled = false;
    pd_live_start(seat);
  } else if (!fold->settled && !fold->tail_asked) {
    fold->tail_asked = pd_store_boot(seat->store, log, on_settled, seat) == PD_OK;
  }
}

static void say_replayed(struct pd_seat *seat) {
  struct pd_fold *fold = &seat->fold;
  uint64_t took_ms = (uv_hrtime() - fold->started) / 1000000;
  seat_say(seat, PD_LEVEL_INFO, pd_kv_text("msg", "log replayed"), pd_kv_uint("from", fold->from),
           pd_kv_uint("to", seat->turn.out.last_seq), pd_kv_uint("ms", took_ms));
}

static void reached_end(struct pd_seat *seat) {
  struct pd_fold *fold = &seat->fold;
  if (seat->acked_seq != 0) {
    lost_acked(seat);
    return;
  }
  if (!fold->caught_up) say_replayed(seat);
  fold->caught_up = true;
  fold->again_at = uv_now(&seat->shell->loop) + FOLLOW_MS;
  pd_seat_later(seat, FOLLOW_MS);
  if (pd_seat_holds(seat) && !seat->shell->stopping)
    claim(seat);
  else
    fold->settled = false;
}

static void fold_on(struct pd_seat *seat) {
  struct pd_fold *fold = &seat->fold;
  struct pd_source source = {.context = seat, .next = next_entry};
  if (uv_now(&seat->shell->loop) < fold->again_at || !pd_store_is_up(seat->store)) return;
  fold->until = uv_hrtime() + TURN_NS;
  enum pd_err err = fold->err;
  if (err == PD_OK) err = pd_replay_run(&fold->replay, &source);
  if (err == PD_OK)
    reached_end(seat);
  else if (err != PD_EAGAIN)
    fold_failed(seat, err);
  else if (uv_hrtime() >= fold->until)
    pd_seat_wake(seat); /* it was only the others' turn */
  bool still = seat->phase == PD_PHASE_FOLD && pd_replay_between(&fold->replay);
  if (still && pd_seat_snapshot_old(seat)) pd_seat_save(seat, true);
}

void pd_fold_round(struct pd_seat *seat) {
  if (seat->phase == PD_PHASE_AWAY) await_store(seat);
  if (seat->phase == PD_PHASE_FOLD) fold_on(seat);
}

void pd_fold_close(struct pd_seat *seat) {
  for (unsigned log = 1; log < PD_LOGS; log++) page_free(&seat->fold.pages[log]);
  release(&seat->memory, STATE_SIZE);
  release(&seat->buffers, BUFFERS_SIZE);
}
