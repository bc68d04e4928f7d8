/* The other logs, as a leading seat hears them: frames from their leaders' sockets, and the store
 * for everything that is missing. */
#include "common/io/journal.h"
#include "common/io/shell_state.h"

#include <stdio.h>
#include <string.h>

#define READ_ENTRIES 64      /* of one catch-up read */
#define FRAMES_A_CALL 64     /* taken from one socket before others have their turn */
#define REFUSED_PAUSE_MS 200 /* after the store gave a bad entry */
#define BAD_SAID_EVERY_MS 10000
#define SILENT_MS 1000 /* heartbeats come four times as often: somebody else may lead by now */
#define ASK_MS 500     /* from one question about the leases to the next */

/* ---- catching up ---- */

/* Count what another daemon's socket should not have said; tell of it once in a while. */
static void note_bad(struct pd_feed *feed, const char *what) {
  struct pd_seat *seat = feed->seat;
  char source[64];
  uint64_t more = 0;
  pd_metric_add(seat->counts.bad, 1);
  snprintf(source, sizeof source, "frames/%s", pd_log_name(feed->log));
  if (pd_journal_once(source, BAD_SAID_EVERY_MS, uv_now(&seat->shell->loop), &more))
    seat_say(seat, PD_LEVEL_WARN, pd_kv_text("msg", what),
             pd_kv_text("log", pd_log_name(feed->log)), pd_kv_uint("not_said_before", more));
}

/* A short page was read.  Only an empty one says that the store has no more (a page out of the
 * archive may end anywhere): what was heard of before that reading began, and is not there, does
 * not exist, since entries are published when they are stored. */
static void at_end(struct pd_feed *feed, bool empty) {
  struct pd_follower *follower = &feed->seat->turn.inputs[feed->log];
  bool missing = follower->next <= follower->tail;
  if (missing && (feed->hinted || !empty)) return; /* read again */
  if (missing) {
    note_bad(feed, "events were announced that are not in the log");
    pd_follower_ends(follower);
  }
  feed->behind = false;
}

static void on_read(void *context, enum pd_err err, const struct pd_stored *entries, size_t count) {
  struct pd_feed *feed = context;
  struct pd_seat *seat = feed->seat;
  feed->reading = false;
  if (err == PD_ECORRUPT && pd_journal_once("archive", 10000, uv_now(&seat->shell->loop), NULL))
    seat_say(seat, PD_LEVEL_ERROR,
             pd_kv_text("msg", "the archive is damaged; this input stands still"),
             pd_kv_text("log", pd_log_name(feed->log)));
  if (err != PD_OK || feed->read_life != seat->life) return;
  pd_live_see_clock(seat);
  for (size_t i = 0; i < count; i++) {
    if (!pd_live_feeding(seat)) return;
    struct pd_hash hash;
    memcpy(hash.bytes, entries[i].hash, sizeof hash.bytes);
    enum pd_taken taken = pd_turn_input(&seat->turn, entries[i].bytes, entries[i].size, &hash);
    if (taken == PD_TAKEN || taken == PD_TAKEN_OLD) continue;
    if (taken == PD_TAKEN_PART) return;
    feed->again_at = uv_now(&seat->shell->loop) + REFUSED_PAUSE_MS;
    pd_metric_add(seat->counts.bad, 1);
    if (pd_journal_once("stored-entry", BAD_SAID_EVERY_MS, uv_now(&seat->shell->loop), NULL))
        seat_say(seat, PD_LEVEL_ERROR,
               pd_kv_text("msg", "an entry in the store does not follow; this input stands still"),
               pd_kv_text("log", pd_log_name(feed->log)),
               pd_kv_uint("last_seq", entries[i].last_seq));
    return;
  }
  if (count < READ_ENTRIES) at_end(feed, count == 0);
}

static void read_more(struct pd_feed *feed) {
  struct pd_seat *seat = feed->seat;
  if (!feed->behind || feed->reading || !pd_live_feeding(seat)) return;
  const struct pd_core *core = seat->shell->service->core;
  if (core->room != NULL && core->room(seat->turn.self) == 0) return;
  if (uv_now(&seat->shell->loop) < feed->again_at) return;
  feed->hinted = false;
  feed->read_life = seat->life;
  uint64_t from = seat->turn.inputs[feed->log].next;
  const char *name = pd_log_name(feed->log);
  feed->reading = pd_store_read(seat->store, name, from, READ_ENTRIES, on_read, feed) == PD_OK;
}

static void fall_behind(struct pd_feed *feed) {
  if (!feed->behind) pd_metric_add(feed->seat->counts.gaps, 1);
  feed->behind = feed->hinted = true;
}

/* ---- frames of other daemons ---- */

static void take_tip(struct pd_feed *feed, struct pd_bus_message *message) {
  struct pd_turn *turn = &feed->seat->turn;
  pd_arena_reset(&turn->batch);
  zmq_msg_t *frame = &message->frames[1];
  const struct pd_tip *tip = (const struct pd_tip *)pd_unpack_checked(
      &turn->batch, &pd_tip_descriptor, zmq_msg_data(frame), zmq_msg_size(frame));
  bool ours = tip != NULL && tip->log == feed->log && tip->shard == feed->seat->shard.code;
  if (ours) feed->heard_at = uv_now(&feed->seat->shell->loop);
  if (!ours)
    note_bad(feed, "a heartbeat that is none of this log");
  else if (pd_follower_tip(&turn->inputs[feed->log], tip->last_seq))
    fall_behind(feed);
}

static void on_frames(void *context, void *socket);

/* An entry may have come before the one that it answers, by another socket: look there first.
 * False if that is what is being done already. */
static bool hear_others(struct pd_feed *feed) {
  struct pd_seat *seat = feed->seat;
  if (seat->hearing || !pd_live_feeding(seat)) return false;
  seat->hearing = true;
  for (unsigned log = 1; log < PD_LOGS; log++) {
    struct pd_feed *other = &seat->feeds[log];
    if (other->socket != NULL && other != feed) on_frames(other, other->socket);
  }
  seat->hearing = false;
  return pd_live_feeding(seat);
}

/* It will be read from the store, in order. */
static void pass_over(struct pd_feed *feed, zmq_msg_t *entry) {
  struct pd_entry_view view;
  feed->behind = feed->hinted = true;
  if (pd_entry_open(zmq_msg_data(entry), zmq_msg_size(entry), &view) != PD_OK)
    note_bad(feed, "a frame that is no entry");
  else if (view.head.log == feed->log && view.head.shard == feed->seat->shard.code)
    (void)pd_follower_tip(&feed->seat->turn.inputs[feed->log], view.head.last_seq);
}

static void take_entry(struct pd_feed *feed, struct pd_bus_message *message) {
  struct pd_seat *seat = feed->seat;
  zmq_msg_t *entry = &message->frames[1], *hash_frame = &message->frames[2];
  struct pd_hash hash;
  if (zmq_msg_size(hash_frame) != sizeof hash.bytes) {
    note_bad(feed, "a frame that is no entry");
    return;
  }
  if (feed->behind || !pd_live_feeding(seat)) {
    pass_over(feed, entry);
    return;
  }
  memcpy(hash.bytes, zmq_msg_data(hash_frame), sizeof hash.bytes);
  enum pd_taken taken =
      pd_turn_input(&seat->turn, zmq_msg_data(entry), zmq_msg_size(entry), &hash);
  if (taken == PD_TAKEN_PART && hear_others(feed))
    taken = pd_turn_input(&seat->turn, zmq_msg_data(entry), zmq_msg_size(entry), &hash);
  switch (taken) {
    case PD_TAKEN:
    case PD_TAKEN_OLD: return;
    case PD_TAKEN_CORRUPT:
      note_bad(feed, "an entry that does not follow; the log is read instead");
      break;
    case PD_TAKEN_PART:
    case PD_TAKEN_GAP: break;
  }
  fall_behind(feed);
}

static void on_frames(void *context, void *socket) {
  struct pd_feed *feed = context;
  struct pd_bus_message message;
  pd_live_see_clock(feed->seat);
  pd_bus_message_init(&message);
  for (int i = 0; i < FRAMES_A_CALL; i++) {
    enum pd_err err = pd_bus_receive(socket, &message);
    if (err == PD_EAGAIN) break;
    if (err == PD_OK && feed->seat->phase != PD_PHASE_LIVE) continue;
    if (err == PD_OK && message.count == 2)
      take_tip(feed, &message);
    else if (err == PD_OK && message.count == 3)
      take_entry(feed, &message);
    else
      note_bad(feed, "a message that is neither entry nor heartbeat");
  }
  pd_bus_message_close(&message);
  pd_seat_wake(feed->seat); /* this may run after the round's prepare */
}

/* ---- whose frames ---- */

static enum pd_err connect_to(struct pd_feed *feed, const char *endpoint) {
  if (feed->endpoint[0] != 0) (void)zmq_disconnect(feed->socket, feed->endpoint);
  snprintf(feed->endpoint, sizeof feed->endpoint, "%s", endpoint);
  feed->heard_at = uv_now(&feed->seat->shell->loop);
  return pd_bus_connect(feed->socket, feed->endpoint);
}

/* Somebody else leads that log: hear it from there, and read what was said meanwhile. */
static void follow_holder(struct pd_feed *feed, const struct pd_holder *holder) {
  char endpoint[PD_ENDPOINT];
  if (feed->socket == NULL) return;
  if (!pd_shell_endpoint_at(holder, pd_log_name(feed->log), "pub", endpoint)) return;
  if (strcmp(endpoint, feed->endpoint) == 0) return;
  if (connect_to(feed, endpoint) != PD_OK) feed->endpoint[0] = 0; /* and ask again */
  fall_behind(feed);
}

static void on_leases(void *context, enum pd_err err, const struct pd_holder *holders) {
  struct pd_seat *seat = context;
  seat->leases_asked = false;
  if (err != PD_OK) return;
  for (unsigned log = 1; log < PD_LOGS; log++) follow_holder(&seat->feeds[log], &holders[log]);
  pd_seat_wake(seat);
}

void pd_feeds_ask(struct pd_seat *seat) {
  uint64_t now = uv_now(&seat->shell->loop);
  if (seat->leases_asked || now < seat->leases_at) return;
  seat->leases_at = now + ASK_MS;
  seat->leases_asked = pd_store_leases(seat->lease_store, on_leases, seat) == PD_OK;
}

void pd_feeds_beat(struct pd_seat *seat) {
  uint64_t now = uv_now(&seat->shell->loop);
  for (unsigned log = 1; log < PD_LOGS; log++) {
    struct pd_feed *feed = &seat->feeds[log];
    if (feed->socket != NULL && now - feed->heard_at >= SILENT_MS) pd_feeds_ask(seat);
  }
}

/* ---- life ---- */

static enum pd_err open_feed(struct pd_seat *seat, enum pd_log log) {
  struct pd_feed *feed = &seat->feeds[log];
  struct pd_shell *shell = seat->shell;
  char endpoint[PD_ENDPOINT], topic[64];
  if (!pd_shell_endpoint(shell->folder, pd_log_name(log), "pub", endpoint)) return PD_EBOUNDS;
  feed->seat = seat; /* a read of the last time may still be under way */
  feed->log = log;
  feed->endpoint[0] = 0;
  feed->again_at = 0;
  feed->behind = true;
  struct pd_bus_options options = {.max_message = PD_ENTRY_MAX};
  enum pd_err err = pd_bus_socket(&feed->socket, shell->zmq, ZMQ_SUB, &options);
  if (err != PD_OK) return err;
  int length = snprintf(topic, sizeof topic, "@%06u/%s", seat->shard.code, pd_log_name(log));
  if (zmq_setsockopt(feed->socket, ZMQ_SUBSCRIBE, topic, (size_t)length) != 0) return PD_EIO;
  err = connect_to(feed, endpoint);
  return err == PD_OK ? pd_bus_watch(&feed->watch, &shell->loop, feed->socket, on_frames, feed)
                      : err;
}

enum pd_err pd_feeds_open(struct pd_seat *seat) {
  enum pd_err err = PD_OK;
  uint32_t inputs = seat->shell->service->core->inputs;
  for (unsigned log = 1; log < PD_LOGS && err == PD_OK; log++)
    if (inputs & PD_LOG_BIT(log)) err = open_feed(seat, (enum pd_log)log);
  return err;
}

void pd_feeds_close(struct pd_seat *seat) {
  for (unsigned log = 1; log < PD_LOGS; log++) {
    struct pd_feed *feed = &seat->feeds[log];
    pd_bus_unwatch(feed->watch);
    if (feed->socket != NULL) zmq_close(feed->socket);
    feed->watch = NULL;
    feed->socket = NULL;
    feed->behind = false;
  }
}

void pd_feeds_pause(struct pd_seat *seat, bool paused) {
  for (unsigned log = 1; log < PD_LOGS; log++)
    if (seat->feeds[log].watch != NULL) pd_bus_pause(seat->feeds[log].watch, paused);
}

void pd_feeds_round(struct pd_seat *seat) {
  for (unsigned log = 1; log < PD_LOGS; log++) read_more(&seat->feeds[log]);
}

bool pd_feeds_behind(const struct pd_seat *seat) {
  for (unsigned log = 1; log < PD_LOGS; log++)
    if (seat->feeds[log].behind) return true;
  return false;
}
