/* The five logs, followed as a daemon follows its inputs: frames from the writers' sockets, and the
 * store for everything that is missing.  It begins at the ends of the logs: what is older is there
 * to be replayed. */
#include "common/io/journal.h"
#include "common/io/shell.h"
#include "services/gateway/gateway.h"

#include <stdio.h>
#include <string.h>

#define READ_ENTRIES 16 /* of one catch-up read */
#define FRAMES_A_CALL 64
#define SAY_EVERY_MS 10000
#define SILENT_MS 1000 /* heartbeats come four times as often: somebody else may lead by now */

/* ---- events ---- */

/* Count what this log's writer should not have said; tell of it once in a while. */
static void note_bad(struct feed *feed, const char *what) {
  char source[64];
  (void)snprintf(source, sizeof source, "frames/%s", pd_log_name(feed->log));
  gateway_bad(feed->gateway, source, what);
}

/* Are all of its events this log's, in their places?  Before any of them is published: who can
 * write into a socket's folder can say what it likes with the right hash. */
static bool is_sound(const struct feed *feed, const struct pd_entry_view *view) {
  struct pd_event_view event;
  struct pd_entry_item item;
  uint64_t seq = view->head.first_seq;
  for (size_t at = 0; pd_entry_next(view, &at, &item);) {
    if (item.log != PD_LOG_UNSPECIFIED) continue;
    bool good = pd_event_look(&event, gateway_shard(feed->gateway), item.event, item.size) &&
                event.seq == seq++ && event.log == (uint32_t)feed->log &&
                pd_log_says(feed->log, event.kind);
    if (!good) return false;
  }
  return true;
}

static void take_event(struct feed *feed, uint64_t seq, const struct pd_entry_item *item) {
  struct pd_event_view event;
  struct gateway *gateway = feed->gateway;
  bool sound = pd_event_look(&event, gateway_shard(gateway), item->event, item->size);
  pd_assert(sound);
  if (event.kind < PD_EVENT_KINDS) feed->last_of_kind[event.kind] = seq;
  if (event.time_ms > gateway->time_ms) gateway->time_ms = event.time_ms;
  publish_event(gateway, feed->log, &event);
}

/* All events of an entry that were not taken before. */
static enum pd_follow take_entry(struct feed *feed, const uint8_t *bytes, size_t size,
                                 const struct pd_hash *hash) {
  struct pd_entry_view view;
  if (pd_entry_open(bytes, size, &view) != PD_OK || view.head.log != feed->log ||
      view.head.shard != gateway_shard(feed->gateway))
    return PD_FOLLOW_CORRUPT;
  enum pd_follow follow = pd_follower_judge(&feed->follower, &view, bytes, size, hash);
  if (follow != PD_FOLLOW_NEXT) return follow;
  if (!is_sound(feed, &view)) return PD_FOLLOW_CORRUPT;
  struct pd_entry_item item;
  uint64_t seq = view.head.first_seq;
  for (size_t at = 0; pd_entry_next(&view, &at, &item);) {
    if (item.log != PD_LOG_UNSPECIFIED) continue;
    if (seq >= feed->follower.next) {
      take_event(feed, seq, &item);
      pd_follower_consumed(&feed->follower, seq);
    }
    seq++;
  }
  pd_follower_finished(&feed->follower, &view, hash);
  return PD_FOLLOW_NEXT;
}

/* ---- catching up ---- */

static void read_more(struct feed *feed);

/* The log was trimmed beyond what is wanted: go on where it begins, and let subscribers see the
 * gap. */
static bool skip_gap(struct feed *feed, const struct pd_stored *entry) {
  struct pd_entry_view view;
  if (pd_entry_open(entry->bytes, entry->size, &view) != PD_OK) return false;
  pd_say(PD_LEVEL_WARN, pd_kv_text("msg", "a log was trimmed before it was read here"),
         pd_kv_text("log", pd_log_name(feed->log)), pd_kv_uint("from", feed->follower.next),
         pd_kv_uint("to", view.head.first_seq - 1));
  pd_follower_init(&feed->follower, view.head.first_seq);
  feed->since = view.head.first_seq;
  return true;
}

static bool take_stored(struct feed *feed, const struct pd_stored *entry) {
  struct pd_hash hash;
  memcpy(hash.bytes, entry->hash, sizeof hash.bytes);
  enum pd_follow follow = take_entry(feed, entry->bytes, entry->size, &hash);
  if (follow == PD_FOLLOW_GAP && skip_gap(feed, entry))
    follow = take_entry(feed, entry->bytes, entry->size, &hash);
  feed->stuck = follow == PD_FOLLOW_CORRUPT || follow == PD_FOLLOW_GAP;
  if (!feed->stuck) return true;
  pd_metric_add(feed->gateway->counts.bad, 1);
  if (pd_journal_once("stored-entry", SAY_EVERY_MS, uv_now(&feed->gateway->loop), NULL))
    pd_say(PD_LEVEL_ERROR,
           pd_kv_text("msg", "an entry in the store does not follow; this log stands still here"),
           pd_kv_text("log", pd_log_name(feed->log)), pd_kv_uint("last_seq", entry->last_seq));
  return false;
}

/* The store has no more: what was heard of before that reading began, and is not there, does not
 * exist, since entries are published when they are stored. */
static void at_end(struct feed *feed) {
  if (feed->hinted || feed->follower.next > feed->follower.tail) return;
  note_bad(feed, "events were announced that are not in the log");
  pd_follower_ends(&feed->follower);
}

static void on_read(void *context, enum pd_err err, const struct pd_stored *entries, size_t count) {
  struct feed *feed = context;
  feed->reading = false;
  if (err != PD_OK || feed->gateway->stopping) return;
  for (size_t i = 0; i < count; i++)
    if (!take_stored(feed, &entries[i])) return; /* tried again at the next beat */
  if (count == 0) at_end(feed);
  if (count < READ_ENTRIES && feed->follower.next > feed->follower.tail) feed->behind = false;
  if (count > 0) read_more(feed);
}

static void read_more(struct feed *feed) {
  if (!feed->known || !feed->behind || feed->reading) return;
  feed->hinted = false;
  feed->reading = pd_store_read(feed->gateway->store, pd_log_name(feed->log), feed->follower.next,
                                READ_ENTRIES, on_read, feed) == PD_OK;
}

static void fall_behind(struct feed *feed) {
  if (!feed->behind) pd_metric_add(feed->gateway->counts.gaps, 1);
  feed->behind = feed->hinted = true;
  read_more(feed);
}

static void on_tail(void *context, enum pd_err err, const struct pd_tail *tail) {
  struct feed *feed = context;
  feed->asked = false;
  if (err != PD_OK || feed->known || feed->gateway->stopping) return;
  pd_follower_init(&feed->follower, tail->last_seq + 1);
  feed->since = tail->last_seq + 1;
  feed->known = true;
  feed->behind = true; /* what came since then was not kept */
  read_more(feed);
}

static void ask_tail(struct feed *feed) {
  if (feed->known || feed->asked) return;
  const char *name = pd_log_name(feed->log);
  feed->asked = pd_store_tail(feed->gateway->store, name, on_tail, feed) == PD_OK;
}

/* ---- whose frames ---- */

static enum pd_err connect_to(struct feed *feed, const char *endpoint) {
  if (feed->endpoint[0] != '\0') (void)zmq_disconnect(feed->socket, feed->endpoint);
  snprintf(feed->endpoint, sizeof feed->endpoint, "%s", endpoint);
  feed->heard_at = uv_now(&feed->gateway->loop);
  return pd_bus_connect(feed->socket, feed->endpoint);
}

/* What was said meanwhile is in the store. */
static void follow_holder(struct feed *feed, const struct pd_holder *holder) {
  char endpoint[PD_ENDPOINT];
  if (!pd_shell_endpoint_at(holder, pd_log_name(feed->log), "pub", endpoint)) return;
  if (strcmp(endpoint, feed->endpoint) == 0) return;
  if (connect_to(feed, endpoint) != PD_OK) feed->endpoint[0] = '\0'; /* and ask again */
  fall_behind(feed);
}

static void on_leases(void *context, enum pd_err err, const struct pd_holder *holders) {
  struct gateway *gateway = context;
  char endpoint[PD_ENDPOINT];
  gateway->leases_asked = false;
  if (err != PD_OK || gateway->stopping) return;
  for (unsigned log = 1; log < PD_LOGS; log++) follow_holder(&gateway->feeds[log], &holders[log]);
  if (pd_shell_endpoint_at(&holders[PD_LOG_INTAKE], "edge", "door", endpoint))
    commands_move(gateway, endpoint);
}

void follow_ask(struct gateway *gateway) {
  if (gateway->leases_asked) return;
  gateway->leases_asked = pd_store_leases(gateway->store, on_leases, gateway) == PD_OK;
}

static void ask_for_silent(struct gateway *gateway) {
  uint64_t now = uv_now(&gateway->loop);
  for (unsigned log = 1; log < PD_LOGS; log++)
    if (now - gateway->feeds[log].heard_at >= SILENT_MS) follow_ask(gateway);
}

void follow_beat(struct gateway *gateway) {
  ask_for_silent(gateway);
  for (unsigned log = 1; log < PD_LOGS; log++) {
    struct feed *feed = &gateway->feeds[log];
    ask_tail(feed);
    read_more(feed);
    pd_metric_set(gateway->counts.seq[log], (double)(feed->known ? feed->follower.next - 1 : 0));
    pd_metric_set(gateway->counts.tail[log], (double)feed->follower.tail);
  }
}

const char *follow_unready(const struct gateway *gateway) {
  for (unsigned log = 1; log < PD_LOGS; log++) {
    const struct feed *feed = &gateway->feeds[log];
    if (feed->stuck) return "a log's entries do not follow; `paidan verify` says which";
    if (!feed->known || feed->behind) return "a log is being read";
  }
  return NULL;
}

/* ---- frames ---- */

static void take_tip(struct feed *feed, struct pd_bus_message *message) {
  uint8_t memory[1024];
  struct pd_arena arena;
  memset(memory, 0, sizeof memory);
  pd_arena_init(&arena, memory, sizeof memory);
  zmq_msg_t *frame = &message->frames[1];
  const struct pd_tip *tip = (const struct pd_tip *)pd_unpack_checked(
      &arena, &pd_tip_descriptor, zmq_msg_data(frame), zmq_msg_size(frame));
  struct gateway *gateway = feed->gateway;
  if (tip == NULL || tip->log != feed->log || tip->shard != gateway_shard(gateway)) {
    note_bad(feed, "a heartbeat that is none of this log");
    return;
  }
  feed->heard_at = uv_now(&gateway->loop);
  if (tip->time_ms > gateway->time_ms) gateway->time_ms = tip->time_ms;
  if (feed->known && pd_follower_tip(&feed->follower, tip->last_seq)) fall_behind(feed);
}

static void take_frames(struct feed *feed, struct pd_bus_message *message) {
  zmq_msg_t *entry = &message->frames[1], *hash_frame = &message->frames[2];
  struct pd_hash hash;
  if (zmq_msg_size(hash_frame) != sizeof hash.bytes) {
    note_bad(feed, "an entry without its hash");
    return;
  }
  if (!feed->known || feed->behind) return; /* it will be read from the store, in order */
  memcpy(hash.bytes, zmq_msg_data(hash_frame), sizeof hash.bytes);
  enum pd_follow follow = take_entry(feed, zmq_msg_data(entry), zmq_msg_size(entry), &hash);
  if (follow == PD_FOLLOW_CORRUPT) note_bad(feed, "an entry that does not follow");
  if (follow == PD_FOLLOW_CORRUPT || follow == PD_FOLLOW_GAP) fall_behind(feed);
}

static void on_frames(void *context, void *socket) {
  struct feed *feed = context;
  struct pd_bus_message message;
  pd_bus_message_init(&message);
  for (int i = 0; i < FRAMES_A_CALL; i++) {
    enum pd_err err = pd_bus_receive(socket, &message);
    if (err == PD_EAGAIN) break;
    if (err == PD_OK && message.count == 2)
      take_tip(feed, &message);
    else if (err == PD_OK && message.count == 3)
      take_frames(feed, &message);
    else
      note_bad(feed, "a message of no known form");
  }
  pd_bus_message_close(&message);
}

/* ---- life ---- */

static enum pd_err open_feed(struct gateway *gateway, enum pd_log log) {
  struct feed *feed = &gateway->feeds[log];
  char endpoint[PD_ENDPOINT], topic[64];
  const char *run_dir = gateway->config.common.run_dir;
  if (!pd_shell_endpoint(run_dir, pd_log_name(log), "pub", endpoint)) return PD_EBOUNDS;
  *feed = (struct feed){.gateway = gateway, .log = log};
  pd_follower_init(&feed->follower, 1);
  struct pd_bus_options options = {.max_message = PD_ENTRY_MAX};
  enum pd_err err = pd_bus_socket(&feed->socket, gateway->zmq, ZMQ_SUB, &options);
  if (err != PD_OK) return err;
  int length = snprintf(topic, sizeof topic, "@%06u/%s", gateway_shard(gateway), pd_log_name(log));
  if (zmq_setsockopt(feed->socket, ZMQ_SUBSCRIBE, topic, (size_t)length) != 0) return PD_EIO;
  err = connect_to(feed, endpoint);
  if (err != PD_OK) return err;
  return pd_bus_watch(&feed->watch, &gateway->loop, feed->socket, on_frames, feed);
}

enum pd_err follow_open(struct gateway *gateway) {
  enum pd_err err = PD_OK;
  for (unsigned log = 1; log < PD_LOGS && err == PD_OK; log++)
    err = open_feed(gateway, (enum pd_log)log);
  return err;
}

void follow_close(struct gateway *gateway) {
  for (unsigned log = 1; log < PD_LOGS; log++) {
    pd_bus_unwatch(gateway->feeds[log].watch);
    if (gateway->feeds[log].socket != NULL) zmq_close(gateway->feeds[log].socket);
  }
}
