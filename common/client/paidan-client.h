/* paidan-client - commands to a Paidan district and events from it, for programs in C.
 *
 *     struct paidan *paidan;
 *     struct paidan_options options = PAIDAN_OPTIONS_INIT;
 *     options.edge = "tcp://paidan.example:5670";       the first of the edge's three ports
 *     options.server_key = "…";                         40 digits, from whoever runs the edge
 *     options.key_file = "charity.key_secret";          from `paidan key new charity`
 *     if (paidan_open(&paidan, &options) != PAIDAN_OK) fprintf(stderr, "%s\n", paidan_why(paidan));
 *
 * What is said and heard are protobuf messages (paidan/v1/…proto, installed beside this header).
 * The library takes and hands out their bytes, so that a program and the library may be of
 * different versions of the contract; the functions at the end pack and unpack them with the
 * generated code of the version that the program was compiled with (libpaidan-messages).  A
 * program that has code of its own for the messages defines PAIDAN_BYTES_ONLY before it includes
 * this.
 *
 * Rules:
 *     - An acknowledgement means recorded: durable, never lost.  What comes of it is an event.
 *     - A command keeps its idempotency key until it is answered: it is sent again with the same
 *       one, after a restart of either side, too, and takes effect once.
 *     - Events of a log come once and in order, or a gap is told (PAIDAN_GAP).  What a connection
 *       lost is fetched from the log.
 *     - A handle and all that was made from it belong to one thread.  Only the calls hand out what
 *       came and send again what was not answered: nothing but ZeroMQ's I/O runs behind them.
 *     - Structs with a `size` are begun with their INIT; later versions only add to the ends of
 *       structs.
 */
#ifndef PAIDAN_CLIENT_H
#define PAIDAN_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PAIDAN_API __attribute__((visibility("default")))

enum paidan_code {
  PAIDAN_OK = 0,
  PAIDAN_NOTHING = 1,    /* no event came within the time */
  PAIDAN_GAP = 2,        /* events that cannot be had any more: from and to say which */
  PAIDAN_REFUSED = 3,    /* the command changed nothing; the reply says why */
  PAIDAN_EINVAL = -1,    /* an option or argument is wrong */
  PAIDAN_EKEY = -2,      /* the key file cannot be read, holds no keys, or others may read it */
  PAIDAN_ENOBODY = -3,   /* nobody listens at the endpoint */
  PAIDAN_EDENIED = -4,   /* the key is not granted; a local socket does not let this user in */
  PAIDAN_EHANDSHAKE = -5, /* hung up on during the handshake: most likely the server key is wrong */
  PAIDAN_EPROTOCOL = -6, /* what listens there is no edge */
  PAIDAN_ETIMEOUT = -7,  /* no answer in time; a command may be recorded or not: its key tells */
  PAIDAN_EFULL = -8,     /* as many commands in flight as the window allows */
  PAIDAN_ECURSOR = -9,   /* the cursor file cannot be read or written, or is of another district */
  PAIDAN_EIO = -10       /* the system refused: memory, descriptors */
};

struct paidan;        /* a connection */
struct paidan_events; /* a subscription of it */

struct paidan_options {
  size_t size; /* set by PAIDAN_OPTIONS_INIT */
  uint32_t shard;          /* the district's adcode; 0: whichever the edge serves */
  uint32_t connect_ms;     /* deadline of paidan_open(); 0: 5,000 */
  uint32_t answer_ms;      /* how long a command is sent again until it is given up; 0: 30,000 */
  uint32_t window;         /* commands in flight, at most 65,536; 0: 512 */
  const char *edge;        /* "tcp://host:port", or NULL for the doors of this machine */
  const char *server_key;  /* the edge's public key */
  const char *key_file;    /* NAME.key_secret; or instead of it the two: */
  const char *public_key;  /* 40 digits */
  const char *secret_key;  /* 40 digits */
  const char *run_dir;     /* without an edge: where its sockets are, e.g. "/run/paidan" */
  const char *door;        /* without an edge: "resident", "volunteer", "site" or "ops" */
};
#define PAIDAN_OPTIONS_INIT \
  { sizeof(struct paidan_options), 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL }

/* Connect.  Returns once the handshake has succeeded, or failed for a reason that waiting does not
 * mend, or the deadline has passed.  *paidan is set whatever is returned (NULL: no memory), so that
 * paidan_why() can be asked, and is closed with paidan_close(). */
PAIDAN_API int paidan_open(struct paidan **paidan, const struct paidan_options *options);

/* End everything that was made from it.  Commands in flight are told PAIDAN_ETIMEOUT.
 * NULL-safe. */
PAIDAN_API void paidan_close(struct paidan *paidan);

/* What the last failure was, why that is likely, and what to do next; never NULL. */
PAIDAN_API const char *paidan_why(const struct paidan *paidan);

/* Who am I at the edge?  The name of the key; "" at a local door. */
PAIDAN_API const char *paidan_name(const struct paidan *paidan);

/* The district. */
PAIDAN_API uint32_t paidan_shard(const struct paidan *paidan);

/* The version of the library, "0.1.0". */
PAIDAN_API const char *paidan_version(void);

/* ---- commands ---- */

/* What came of a command.  Everything in it lives until the next call on the handle (of a callback:
 * until it returns). */
struct paidan_reply {
  int code;             /* PAIDAN_OK: recorded; PAIDAN_REFUSED; PAIDAN_ETIMEOUT */
  const char *key;      /* the idempotency key it was sent with */
  uint32_t log;         /* recorded: at this place */
  uint64_t seq;
  int duplicate;        /* it was recorded before, with the same key */
  uint64_t id;          /* the order, site, team or offer that it is about; 0: none */
  const uint8_t *person; /* 16 bytes: the person it is about, or registered; NULL: none */
  uint32_t refusal;     /* refused: Code of command.proto */
  const char *field;    /* refused: which field, which rule, what to do, and for people to read; */
  const char *rule;     /* otherwise "" */
  const char *next;
  const char *zh;
  const uint8_t *bytes; /* the Reply as it came; NULL: none */
  size_t size;
};

/* Say a command and wait for its reply: bytes are a packed Command, in which shard, request and key
 * need not be set.  key: 1 … 64 bytes, kept by the caller to say the same command again after a
 * crash of its own; NULL: a fresh one is made.  Returns reply->code, or PAIDAN_EINVAL (too long),
 * or PAIDAN_EDENIED (the grant was taken back).  *reply is set whatever is returned. */
PAIDAN_API int paidan_command(struct paidan *paidan, const uint8_t *bytes, size_t size,
                              const char *key, const struct paidan_reply **reply);

/* The same without waiting: done is called once, from paidan_turn(), paidan_next(),
 * paidan_command() or paidan_close().  It may send further commands, and call nothing else.
 * PAIDAN_EFULL: the window is full: turn first. */
typedef void paidan_done(void *context, const struct paidan_reply *reply);
PAIDAN_API int paidan_send(struct paidan *paidan, const uint8_t *bytes, size_t size,
                           const char *key, paidan_done *done, void *context);

/* Take replies, send again what is due; waits up to wait_ms for the first.  Returns how many
 * commands are in flight still. */
PAIDAN_API uint32_t paidan_turn(struct paidan *paidan, int wait_ms);

/* A fresh idempotency key: 32 random digits and a NUL. */
#define PAIDAN_KEY 33
PAIDAN_API void paidan_make_key(char key[PAIDAN_KEY]);

/* ---- events ---- */

enum paidan_from {
  PAIDAN_FROM_NOW = 0,  /* what is said from now on */
  PAIDAN_FROM_START = 1 /* everything, from each log's first event */
};

/* How far a log was handled. */
struct paidan_position {
  uint32_t log; /* 1 intake, 2 matching, 3 scheduling, 4 points, 5 notification */
  uint32_t zero;
  uint64_t seq;
};

struct paidan_events_options {
  size_t size; /* set by PAIDAN_EVENTS_OPTIONS_INIT */
  const char *const *topics; /* prefixes: "order_placed", "order_", "ext.charity."; at most 64 */
  size_t topic_count;        /* 0: everything that the grant allows */
  enum paidan_from from;     /* where to begin a log of which no cursor is known */
  uint32_t zero;
  const char *cursor_file;   /* kept by the library; made if it is not there; NULL: none */
  const struct paidan_position *cursor; /* kept by the caller: the last handled event of each log */
  size_t cursor_count;
};
#define PAIDAN_EVENTS_OPTIONS_INIT \
  { sizeof(struct paidan_events_options), NULL, 0, PAIDAN_FROM_NOW, 0, NULL, NULL, 0 }

/* An event, or with PAIDAN_GAP the numbers that are missing.  Lives until the next
 * paidan_next(). */
struct paidan_event {
  uint32_t shard;
  uint32_t log;         /* (log, seq) names it for ever */
  uint64_t seq;
  uint64_t prev;        /* seq of the event of the same kind before it */
  int64_t time_ms;      /* when it was decided */
  uint32_t kind;        /* number of its body in Event */
  const char *log_name; /* "intake" */
  const char *name;     /* of its kind: "order_placed"; of an outside event its type: "ext.a.b" */
  const uint8_t *bytes; /* the Event as committed, but for fields that the key does not see */
  size_t size;
  uint64_t from, to;    /* of a gap: first and last seq that cannot be had; otherwise 0 */
};

/* Hear events.  At the edge, what was lost on the way is fetched by replay.  A subscription to some
 * kinds hears them with the next tip (four times a second), since only that proves that nothing is
 * missing before them; one to everything hears at once.  At local doors there is no replay: what
 * was missed is told as a gap, and is in the log.  PAIDAN_EINVAL, PAIDAN_ECURSOR, PAIDAN_EIO. */
PAIDAN_API int paidan_listen(struct paidan_events **events, struct paidan *paidan,
                             const struct paidan_events_options *options);

/* The next event; waits up to wait_ms (-1: without end).  Asking for the next says that the one
 * before was handled: the cursor is then behind it.  The cursor file is written ten times a second
 * when nothing more is waiting, after every 1,000 events, and at the end: after a crash of the
 * program the last events may come again.  Who needs each exactly once keeps (log, seq) in the
 * transaction of what it makes of the event, and passes it as `cursor`.  PAIDAN_OK, PAIDAN_GAP,
 * PAIDAN_NOTHING, PAIDAN_EDENIED (the grant was taken back), PAIDAN_ECURSOR. */
PAIDAN_API int paidan_next(struct paidan_events *events, const struct paidan_event **event,
                           int wait_ms);

/* How far each log was handled; at most `room` are written, the number of logs is returned. */
PAIDAN_API size_t paidan_positions(const struct paidan_events *events,
                                   struct paidan_position *positions, size_t room);

/* The event at hand is handled: write the cursor file at once.  PAIDAN_ECURSOR. */
PAIDAN_API int paidan_save(struct paidan_events *events);

/* How many events were fetched by replay. */
PAIDAN_API uint64_t paidan_healed(const struct paidan_events *events);

/* End the subscription: what was handed out last counts as handled only if paidan_save() or
 * paidan_next() was called after it.  NULL-safe. */
PAIDAN_API void paidan_unlisten(struct paidan_events *events);

#ifdef __cplusplus
}
#endif

/* ---- messages ---- */

#ifndef PAIDAN_BYTES_ONLY
#include "paidan/v1/command.pb-c.h"
#include "paidan/v1/event.pb-c.h"

#include <stdlib.h>

/* paidan_command() with a message; its key is used if it has one. */
static inline int paidan_say(struct paidan *paidan, const Paidan__V1__Command *command,
                             const struct paidan_reply **reply) {
  size_t size = paidan__v1__command__get_packed_size(command);
  uint8_t *bytes = (uint8_t *)malloc(size > 0 ? size : 1);
  *reply = NULL;
  if (bytes == NULL) return PAIDAN_EIO;
  paidan__v1__command__pack(command, bytes);
  int code = paidan_command(paidan, bytes, size, command->key[0] != '\0' ? command->key : NULL,
                            reply);
  free(bytes);
  return code;
}

/* An event as a message, freed with paidan__v1__event__free_unpacked(event, NULL); body_case is
 * PAIDAN__V1__EVENT__BODY__NOT_SET for a kind that is newer than the program.  NULL: no memory. */
static inline Paidan__V1__Event *paidan_unpack(const struct paidan_event *event) {
  return paidan__v1__event__unpack(NULL, event->size, event->bytes);
}
#endif

#endif
