/* parts - what the files of libpaidan-client share.
 *
 *     client.c   open, close, commands
 *     line.c     the edge's third port: who am I, replays; and what the handshake said
 *     events.c   what is handed out: order, gaps, the cursor
 *     feed.c     what comes in: messages and tips of the edge, entries of local daemons
 *     cursor.c   the cursor file
 */
#ifndef PAIDAN_CLIENT_PARTS_H
#define PAIDAN_CLIENT_PARTS_H

#include "common/client/paidan-client.h"
#include "common/io/bus.h"
#include "common/io/client.h"
#include "common/wire/fields.h"

#define NAME_MAX_BYTES 64
#define HEAR_MAX       32 /* as many as a grant lists */
#define HEAR_BYTES     88
#define TOPICS_MAX     64 /* as many as a replay takes */
#define KINDS          256
#define REPLY_ROOM     ((size_t)64 << 10)

/* ---- the line ---- */

/* What is known of a connection to the edge, from libzmq's monitor. */
enum line_state {
  LINE_TRYING,    /* nothing yet */
  LINE_REACHED,   /* connected; the handshake is on */
  LINE_NOBODY,    /* the connection was refused, or the name is unknown */
  LINE_HUNG_UP,   /* closed during the handshake */
  LINE_NO_EDGE,   /* what answered does not speak CURVE */
  LINE_DENIED,    /* the key is not granted; libzmq does not try again */
  LINE_UP
};

struct line {
  void *socket, *monitor;
  enum line_state state;
  enum line_state failure; /* of the last attempt that ended; LINE_TRYING: none did */
  uint32_t ups; /* how often the handshake has succeeded */
  uint32_t zero;
  uint64_t requests; /* numbers given out */
  struct pd_bus_message message;
};

/* ---- the connection ---- */

/* A reply and the memory it stands in. */
struct answer {
  struct paidan_reply reply;
  char key[65];
  uint8_t bytes[REPLY_ROOM];
  uint8_t memory[REPLY_ROOM];
};

struct paidan {
  void *zmq;
  struct line line; /* at the edge only */
  struct pd_client *client;
  struct paidan_events *events; /* the first of a list */
  struct pd_bus_curve keys;
  bool edge;
  uint8_t pad[3];
  uint32_t shard;
  uint32_t connect_ms, answer_ms, window;
  char endpoint[256]; /* of the edge */
  char run_dir[160];
  char door[16];
  char name[NAME_MAX_BYTES];
  char view[NAME_MAX_BYTES]; /* what topics begin with */
  char hear[HEAR_MAX][HEAR_BYTES];
  uint32_t hears;
  uint32_t zero;
  char why[640];
  struct answer waited, told; /* of a blocking command; of a callback */
};

/* Milliseconds of a steady clock. */
uint64_t client_now(void);

/* Note what went wrong, and return the code. */
int client_fail(struct paidan *paidan, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The endpoint of a port of the edge: 0 events, 1 commands, 2 replays.  False: not
 * tcp://host:port. */
bool client_port(const struct paidan *paidan, unsigned offset, char *text, size_t size);

/* Take what is there for the whole handle but events: replies, replays, the monitor's news. */
void client_pump(struct paidan *paidan);

/* Connect to the edge, and ask who we are, until the deadline. */
int line_open(struct paidan *paidan);
void line_close(struct paidan *paidan);

/* Take the monitor's news and the replies; batches go to the subscription that asked. */
void line_pump(struct paidan *paidan);

/* PAIDAN_OK, or PAIDAN_EDENIED when the grant was taken back. */
int line_standing(struct paidan *paidan);

/* Ask for events from a seq on; the number of the request, 0 if it cannot be sent at present. */
uint64_t line_ask(struct paidan *paidan, enum pd_log log, uint64_t from,
                  const struct paidan_events *events);

/* ---- events ---- */

/* An event that waits to be handed out; or, with from, a gap up to seq; or, with neither, a place
 * that nothing wanted stands at. */
struct held {
  uint64_t seq, from;
  uint8_t *bytes; /* owned */
  size_t size;
};

struct shelf {
  struct held *items; /* a ring */
  size_t room, first, count;
};

/* A log that is followed. */
struct track {
  uint64_t next;    /* everything wanted before it was handled; 0: not known yet */
  uint64_t upto;    /* everything wanted up to here was heard, or will be healed */
  uint64_t heal_to; /* replay until next is beyond it */
  uint64_t last_of_kind[KINDS];
  struct shelf heard, replayed;
  uint64_t replayed_next; /* of the last batch */
  uint64_t request;       /* under way; 0: none */
  uint64_t due_ms;        /* ask (again) at this time */
};

struct paidan_events {
  struct paidan *paidan;
  struct paidan_events *next;
  void *socket; /* SUB, at the edge */
  struct pd_subscriber *subscriber; /* at local doors */
  struct pd_bus_message message;
  struct track tracks[PD_LOGS];
  char topics[TOPICS_MAX][HEAR_BYTES];
  uint32_t topic_count;
  bool from_start, dirty, given;
  uint8_t zero;
  enum pd_log given_log;
  uint32_t unsaved; /* events handed out since the cursor file was written */
  uint64_t given_seq;
  uint64_t saved_ms;
  uint64_t healed;
  char *cursor_file;
  struct held at_hand; /* what was handed out */
  struct paidan_event event;
  struct pd_event_view view;
};

#define SHELF_MAX 20000 /* events of a log that wait; what comes beyond is replayed */

/* Put an item at the end; false: no memory.  Bytes are copied. */
bool shelf_put(struct shelf *shelf, uint64_t seq, uint64_t from, const uint8_t *bytes,
               size_t size);
struct held *shelf_first(struct shelf *shelf); /* NULL: empty */
struct held shelf_take(struct shelf *shelf);   /* its bytes are the caller's */
void shelf_close(struct shelf *shelf);

/* Does this subscription want a kind?  Of an outside event: some of them. */
bool events_want(const struct paidan_events *events, uint32_t kind);

/* Does it want an event of this topic, "370302/order_placed"? */
bool events_want_topic(const struct paidan_events *events, const char *topic);

/* A batch came for a request; bytes are a ReplayBatch.  refused: ask again soon. */
void events_batch(struct paidan_events *events, struct track *track, const uint8_t *bytes,
                  size_t size);
struct track *events_asked(struct paidan_events *events, uint64_t request);

/* Connect; take what is there. Returns whether anything was. */
int feed_open(struct paidan_events *events);
bool feed_pump(struct paidan_events *events);
void feed_close(struct paidan_events *events);
/* What to wait for. */
void *feed_socket(const struct paidan_events *events);

/* Read the file into the tracks; one that is not there is none.  Write it: whole or not at all. */
int cursor_load(struct paidan_events *events);
int cursor_save(struct paidan_events *events);

#endif
