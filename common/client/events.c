/* What is handed out.  A log's events come once and in order: an event is handed out when its
 * number is the next, or when a tip has proved that nothing wanted is missing before it; what is
 * missing is replayed from the log, and what the log does not reach back to is told as a gap. */
#include "common/base/err.h"
#include "common/client/parts.h"

#include <stdlib.h>
#include <string.h>

#define ASK_AGAIN_MS 2000 /* a replay without an answer */
#define ASK_LATER_MS 50   /* the connection is down */
#define SAVE_EVERY   1000
#define POLL_MS      100
#define SAVE_MS      100

/* ---- shelves ---- */

static bool grow(struct shelf *shelf) {
  size_t room = shelf->room == 0 ? 64 : shelf->room * 2;
  struct held *items = calloc(room, sizeof *items);
  if (items == NULL) return false;
  for (size_t i = 0; i < shelf->count; i++)
    items[i] = shelf->items[(shelf->first + i) % shelf->room];
  free(shelf->items);
  *shelf = (struct shelf){items, room, 0, shelf->count};
  return true;
}

bool shelf_put(struct shelf *shelf, uint64_t seq, uint64_t from, const uint8_t *bytes,
               size_t size) {
  if (shelf->count == shelf->room && !grow(shelf)) return false;
  struct held held = {.seq = seq, .from = from, .size = size};
  if (size > 0) {
    held.bytes = malloc(size);
    if (held.bytes == NULL) return false;
    memcpy(held.bytes, bytes, size);
  }
  shelf->items[(shelf->first + shelf->count++) % shelf->room] = held;
  return true;
}

struct held *shelf_first(struct shelf *shelf) {
  return shelf->count == 0 ? NULL : &shelf->items[shelf->first];
}

struct held shelf_take(struct shelf *shelf) {
  pd_assert(shelf->count > 0);
  struct held held = shelf->items[shelf->first];
  shelf->first = (shelf->first + 1) % shelf->room;
  shelf->count--;
  return held;
}

static void drop_first(struct shelf *shelf) { free(shelf_take(shelf).bytes); }

void shelf_close(struct shelf *shelf) {
  while (shelf->count > 0) drop_first(shelf);
  free(shelf->items);
  *shelf = (struct shelf){0};
}

/* ---- what is wanted ---- */

static bool begins(const char *text, const char *prefix) {
  return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Does one begin with the other? */
static bool meet(const char *a, const char *b) { return begins(a, b) || begins(b, a); }

/* May something of this name be heard?  ext: the name is only the beginning of one. */
static bool granted(const struct paidan *paidan, const char *name, bool ext) {
  if (!paidan->edge) return true;
  for (uint32_t i = 0; i < paidan->hears; i++) {
    const char *slash = strchr(paidan->hear[i], '/');
    const char *kind = slash == NULL ? "" : slash + 1;
    if (ext ? meet(name, kind) : begins(name, kind)) return true;
  }
  return false;
}

static bool chosen(const struct paidan_events *events, const char *name, bool ext) {
  for (uint32_t i = 0; i < events->topic_count; i++)
    if (ext ? meet(name, events->topics[i]) : begins(name, events->topics[i])) return true;
  return events->topic_count == 0;
}

bool events_want(const struct paidan_events *events, uint32_t kind) {
  char name[PD_EVENT_TOPIC] = "ext.";
  bool ext = kind == PD_EVENT_EXTERNAL_NOTED;
  bool known = protobuf_c_message_descriptor_get_field(&pd_event_descriptor, kind) != NULL;
  if (!known) return true; /* its name is not known here: ask the edge */
  if (!ext) pd_event_kind_name(kind, name);
  return chosen(events, name, ext) && granted(events->paidan, name, ext);
}

bool events_want_topic(const struct paidan_events *events, const char *topic) {
  const char *slash = strchr(topic, '/');
  return slash != NULL && chosen(events, slash + 1, false);
}

/* ---- replays ---- */

struct track *events_asked(struct paidan_events *events, uint64_t request) {
  for (unsigned log = 1; log < PD_LOGS; log++)
    if (request != 0 && events->tracks[log].request == request) return &events->tracks[log];
  return NULL;
}

enum { BATCH_EVENT = 2, BATCH_NEXT = 3, BATCH_FIRST = 5 };

static bool take_event(struct paidan_events *events, struct track *track,
                       const struct pd_field *field) {
  struct pd_event_view view;
  if (!pd_event_look(&view, events->paidan->shard, field->data, field->size)) return false;
  if (view.log != (uint32_t)(track - events->tracks) || view.seq == UINT64_MAX) return false;
  if (!shelf_put(&track->replayed, view.seq, 0, field->data, field->size)) return false;
  uint64_t *last = &track->last_of_kind[view.kind < KINDS ? view.kind : 0];
  if (*last < view.seq) *last = view.seq;
  return true;
}

void events_batch(struct paidan_events *events, struct track *track, const uint8_t *bytes,
                  size_t size) {
  struct pd_field field;
  uint64_t next = 0, first = 0;
  const uint8_t *at = bytes;
  while (pd_field_next(&at, bytes + size, &field)) {
    if (field.number == BATCH_NEXT) next = field.value;
    if (field.number == BATCH_FIRST) first = field.value;
  }
  if (at != bytes + size || track->replayed.count > 0 || track->next == 0) return;
  track->due_ms = client_now() + (next <= track->next ? ASK_LATER_MS : 0);
  if (first > track->next && first < UINT64_MAX)
    (void)shelf_put(&track->replayed, first - 1, track->next, NULL, 0);
  bool kept = true;
  for (at = bytes; kept && pd_field_next(&at, bytes + size, &field);)
    if (field.number == BATCH_EVENT && field.type == PD_WIRE_BYTES)
      kept = take_event(events, track, &field);
  if (!kept) shelf_close(&track->replayed); /* it is asked for again */
  track->replayed_next = kept ? next : track->next;
}

/* Ask for what is missing, if nothing is under way. */
static void heal(struct paidan_events *events, enum pd_log log) {
  struct track *track = &events->tracks[log];
  uint64_t now = client_now();
  if (track->next == 0 || track->next > track->heal_to || track->replayed.count > 0) return;
  if (now < track->due_ms) return;
  track->request = line_ask(events->paidan, log, track->next, events);
  track->due_ms = now + (track->request == 0 ? ASK_LATER_MS : ASK_AGAIN_MS);
}

/* ---- handing out ---- */

/* The event at hand was handled: the cursor is behind it. */
static void settle(struct paidan_events *events) {
  if (!events->given) return;
  struct track *track = &events->tracks[events->given_log];
  if (track->next <= events->given_seq) track->next = events->given_seq + 1;
  events->given = false;
  events->dirty = true;
  events->unsaved++;
  free(events->at_hand.bytes);
  events->at_hand = (struct held){0};
}

static int give(struct paidan_events *events, enum pd_log log, struct held held) {
  struct paidan_event *event = &events->event;
  events->given = true;
  events->given_log = log;
  events->given_seq = held.seq;
  events->at_hand = held;
  *event = (struct paidan_event){.shard = events->paidan->shard,
                                 .log = log,
                                 .log_name = pd_log_name(log),
                                 .name = ""};
  if (held.from != 0) {
    event->from = held.from;
    event->to = held.seq;
    return PAIDAN_GAP;
  }
  struct pd_event_view *view = &events->view;
  (void)pd_event_look(view, event->shard, held.bytes, held.size);
  event->seq = view->seq;
  event->prev = view->prev;
  event->time_ms = view->time_ms;
  event->kind = view->kind;
  event->name = strchr(view->topic, '/') + 1;
  event->bytes = held.bytes;
  event->size = held.size;
  return PAIDAN_OK;
}

/* The first of a shelf, unless it was handled before. */
static struct held *unhandled(struct track *track, struct shelf *shelf) {
  struct held *first;
  while ((first = shelf_first(shelf)) != NULL && first->seq < track->next) drop_first(shelf);
  return first;
}

static void skip_to(struct paidan_events *events, struct track *track, uint64_t next) {
  if (next <= track->next) return;
  track->next = next;
  events->dirty = true;
}

/* The next of one log; PAIDAN_NOTHING: nothing is ready. */
static int ready_of(struct paidan_events *events, enum pd_log log) {
  struct track *track = &events->tracks[log];
  if (unhandled(track, &track->replayed) != NULL) {
    events->healed += track->replayed.items[track->replayed.first].from == 0;
    return give(events, log, shelf_take(&track->replayed));
  }
  if (track->replayed_next != 0) skip_to(events, track, track->replayed_next);
  track->replayed_next = 0;
  if (track->next == 0) return PAIDAN_NOTHING;
  if (track->next <= track->heal_to) {
    heal(events, log);
    return PAIDAN_NOTHING;
  }
  for (;;) {
    struct held *first = unhandled(track, &track->heard);
    bool sure = first != NULL && (first->seq == track->next || first->from != 0 ||
                                  first->seq <= track->upto);
    if (sure && (first->bytes != NULL || first->from != 0))
      return give(events, log, shelf_take(&track->heard));
    if (!sure) break;
    skip_to(events, track, first->seq + 1); /* nothing wanted stands there */
  }
  skip_to(events, track, track->upto + 1);
  struct held *first = unhandled(track, &track->heard);
  if (first == NULL || first->seq != track->next || first->bytes == NULL) return PAIDAN_NOTHING;
  return give(events, log, shelf_take(&track->heard));
}

static int ready(struct paidan_events *events) {
  for (unsigned log = 1; log < PD_LOGS; log++) {
    int code = ready_of(events, (enum pd_log)log);
    if (code != PAIDAN_NOTHING) return code;
  }
  return PAIDAN_NOTHING;
}

/* Wait for whatever comes first. */
static void wait_for_news(struct paidan_events *events, int wait_ms) {
  struct paidan *paidan = events->paidan;
  zmq_pollitem_t items[4];
  int count = 0;
  void *sockets[4] = {feed_socket(events), pd_client_socket(paidan->client), paidan->line.socket,
                      paidan->line.monitor};
  if (paidan->line.state == LINE_DENIED) sockets[3] = NULL;
  for (size_t i = 0; i < 4; i++)
    if (sockets[i] != NULL)
      items[count++] = (zmq_pollitem_t){.socket = sockets[i], .events = ZMQ_POLLIN};
  (void)zmq_poll(items, count, wait_ms);
}

static int save_now(struct paidan_events *events) {
  if (!events->dirty || events->cursor_file == NULL) return PAIDAN_OK;
  events->saved_ms = client_now();
  int code = cursor_save(events);
  if (code == PAIDAN_OK) {
    events->dirty = false;
    events->unsaved = 0;
  }
  return code;
}

/* With the calls, not with the events: an fsync takes as long as many events. */
static int save_in_time(struct paidan_events *events) {
  return client_now() < events->saved_ms + SAVE_MS ? PAIDAN_OK : save_now(events);
}

int paidan_next(struct paidan_events *events, const struct paidan_event **event, int wait_ms) {
  uint64_t until = client_now() + (uint64_t)(wait_ms > 0 ? wait_ms : 0);
  *event = &events->event;
  settle(events);
  if (events->unsaved >= SAVE_EVERY && save_now(events) != PAIDAN_OK) return PAIDAN_ECURSOR;
  for (;;) {
    int code = ready(events);
    if (code != PAIDAN_NOTHING) return code;
    client_pump(events->paidan);
    if (feed_pump(events)) continue;
    if (line_standing(events->paidan) != PAIDAN_OK) return PAIDAN_EDENIED;
    if (save_in_time(events) != PAIDAN_OK) return PAIDAN_ECURSOR;
    uint64_t now = client_now();
    if (wait_ms >= 0 && now >= until) return PAIDAN_NOTHING;
    uint64_t left = wait_ms < 0 ? POLL_MS : until - now;
    wait_for_news(events, left < POLL_MS ? (int)left : POLL_MS);
  }
}

/* ---- life ---- */

static int take_options(struct paidan_events *events,
                        const struct paidan_events_options *options) {
  struct paidan *paidan = events->paidan;
  if (options->size < sizeof *options)
    return client_fail(paidan, PAIDAN_EINVAL, "begin with PAIDAN_EVENTS_OPTIONS_INIT");
  if (options->topic_count > TOPICS_MAX)
    return client_fail(paidan, PAIDAN_EINVAL, "at most %u topics", TOPICS_MAX);
  for (size_t i = 0; i < options->topic_count; i++) {
    const char *topic = options->topics[i];
    if (topic[0] == '\0' || strlen(topic) >= 80 || strchr(topic, '/') != NULL)
      return client_fail(paidan, PAIDAN_EINVAL,
                         "a topic is the beginning of a kind's name, without the district");
    memcpy(events->topics[events->topic_count++], topic, strlen(topic) + 1);
  }
  events->from_start = options->from == PAIDAN_FROM_START;
  for (unsigned log = 1; log < PD_LOGS && events->from_start; log++) events->tracks[log].next = 1;
  if (options->cursor_file != NULL) {
    events->cursor_file = strdup(options->cursor_file);
    if (events->cursor_file == NULL) return client_fail(paidan, PAIDAN_EIO, "no memory");
    int code = cursor_load(events);
    if (code != PAIDAN_OK) return code;
  }
  for (size_t i = 0; i < options->cursor_count; i++) {
    const struct paidan_position *at = &options->cursor[i];
    if (at->log == 0 || at->log >= PD_LOGS || at->seq == UINT64_MAX)
      return client_fail(paidan, PAIDAN_EINVAL, "a cursor's log is 1 to %u", PD_LOGS - 1);
    events->tracks[at->log].next = at->seq + 1;
  }
  return PAIDAN_OK;
}

int paidan_listen(struct paidan_events **out, struct paidan *paidan,
                  const struct paidan_events_options *options) {
  *out = NULL;
  if (paidan->client == NULL)
    return client_fail(paidan, PAIDAN_EINVAL, "paidan_open() has not succeeded");
  struct paidan_events *events = calloc(1, sizeof *events);
  if (events == NULL) return client_fail(paidan, PAIDAN_EIO, "no memory");
  events->paidan = paidan;
  pd_bus_message_init(&events->message);
  events->next = paidan->events;
  paidan->events = events;
  int code = take_options(events, options);
  if (code == PAIDAN_OK) code = feed_open(events);
  if (code != PAIDAN_OK)
    paidan_unlisten(events);
  else
    *out = events;
  return code;
}

void paidan_unlisten(struct paidan_events *events) {
  if (events == NULL) return;
  struct paidan_events **at = &events->paidan->events;
  while (*at != NULL && *at != events) at = &(*at)->next;
  if (*at != NULL) *at = events->next;
  (void)save_now(events);
  feed_close(events);
  for (unsigned log = 1; log < PD_LOGS; log++) {
    shelf_close(&events->tracks[log].heard);
    shelf_close(&events->tracks[log].replayed);
  }
  pd_bus_message_close(&events->message);
  free(events->at_hand.bytes);
  free(events->cursor_file);
  free(events);
}

size_t paidan_positions(const struct paidan_events *events, struct paidan_position *positions,
                        size_t room) {
  size_t count = 0;
  for (unsigned log = 1; log < PD_LOGS; log++) {
    if (events->tracks[log].next == 0) continue;
    if (count < room)
      positions[count] = (struct paidan_position){log, 0, events->tracks[log].next - 1};
    count++;
  }
  return count;
}

int paidan_save(struct paidan_events *events) {
  settle(events);
  return save_now(events);
}

uint64_t paidan_healed(const struct paidan_events *events) { return events->healed; }
