/* core - what a service's core is, and how it speaks.
 *
 * A core is a deterministic state machine: no I/O, no clock, no randomness, no memory after init.
 * The shell (or the simulator) hands it committed facts and inputs; it answers with events through
 * an outbox:
 *
 *     pd_core.apply(self, event)          fold one fact, its own or another log's; total
 *     pd_core.decide(self, input, out)    answer one input: events, an acknowledgement, a refusal
 *
 * Invariants:
 *     - an input event is applied first, then handed to decide;
 *     - decide changes the state only through pd_emit(), which applies what it emits at once;
 *     - replay calls apply alone, in the recorded order, and reaches the same bytes;
 *     - nothing in an input or an emitted event outlives the call: copy what is to be kept.
 */
#ifndef PD_WIRE_CORE_H
#define PD_WIRE_CORE_H

#include "common/base/arena.h"
#include "common/base/id.h"
#include "common/base/limits.h"

#include "pd_names.h"

#include <stdbool.h>
#include <stdint.h>

#define PD_NEVER INT64_MAX
#define PD_PRINCIPAL_MAX 64
#define PD_EVENT_KINDS 128 /* body numbers are below this */

/* One bit of a mask of logs. */
#define PD_LOG_BIT(log) (1u << (unsigned)(log))

/* Which door a command came through; one bit, so that a rule can be a mask. */
enum pd_role {
  PD_ROLE_RESIDENT = 1,
  PD_ROLE_VOLUNTEER = 2,
  PD_ROLE_SITE = 4,
  PD_ROLE_OPS = 8,
  PD_ROLE_SOURCE = 16 /* no door of its own: a key of the edge that may publish */
};

/* A command as the door hands it in: with everything that a core must not make up itself. */
struct pd_request {
  const struct pd_command *command; /* unpacked; strings are UTF-8 without NUL */
  const char *principal;            /* at most PD_PRINCIPAL_MAX bytes */
  enum pd_role role;
  uint32_t zero;
  struct pd_id key;                 /* keyed hash of principal and idempotency key */
  struct pd_id body;                /* keyed hash of actor and body */
  struct pd_id fresh;               /* the id for the person that the command may register */
  struct pd_sealed *contact;        /* sealed at the door, or NULL where the command has none */
  struct pd_sealed *place;          /* of a home or an order */
  struct pd_sealed *note;           /* of an order or a rating */
};

/* What came of a message that notification handed to a sink. */
struct pd_delivery {
  enum pd_log log; /* the message: what it is about, and its part */
  uint32_t part;
  uint64_t seq;
  uint32_t attempts;
  bool ok;         /* otherwise: this attempt failed */
  bool final;      /* no attempt will follow */
  uint16_t zero;
  const char *sink;
  const char *why; /* of a failure, at most 64 bytes; else NULL */
};

enum pd_input_kind {
  PD_INPUT_EVENT,    /* a fact of another log that was just applied */
  PD_INPUT_COMMAND,  /* intake's */
  PD_INPUT_DELIVERY, /* notification's */
  PD_INPUT_TIME,     /* now_ms has reached the core's deadline */
  PD_INPUT_BATCH_END /* no more inputs in this turn */
};

struct pd_input {
  enum pd_input_kind kind;
  uint32_t zero;
  int64_t now_ms; /* the shard's clock; never falls */
  union {
    const struct pd_event *event;
    const struct pd_request *request;
    const struct pd_delivery *delivery;
  };
};

/* What a core needs to know of its shard at init. */
struct pd_shard {
  uint32_t code;    /* adcode, six digits */
  int32_t zone_min; /* local time = UTC + this many minutes */
};

struct pd_core {
  const char *name; /* of the service and its log */
  enum pd_log log;
  uint32_t inputs;  /* PD_LOG_BIT()s of the logs it consumes */

  /* Build the state in a zeroed arena.  First the handles (pointers, policy), then
   * pd_arena_begin_image(), then the tables.  The same limits always give the same layout.  policy:
   * the service's own struct, or NULL for its defaults. */
  void *(*init)(struct pd_arena *arena, const struct pd_limits *limits,
                const struct pd_shard *shard, const void *policy);
  void (*apply)(void *self, const struct pd_event *event);
  void (*decide)(void *self, const struct pd_input *input, struct pd_outbox *out);

  /* Kinds of other logs' events that neither apply nor decide looks at, ended by 0: they are
   * consumed without being unpacked.  NULL: none.  A kind that is not named is handed over. */
  const uint8_t *passes;

  /* When the core next wants a PD_INPUT_TIME; PD_NEVER if it does not.  NULL: never. */
  int64_t (*deadline)(const void *self);
  /* How many input events it can take before its tables could be full.  NULL: any number. */
  uint32_t (*room)(const void *self);
  /* Walk every invariant and assert it: O(state), for tests, simulation and debug builds. */
  void (*check)(const void *self);
};

/* Where an outbox hands on what a core says: the turn packs and commits it, a test records it. */
struct pd_sink {
  void *context;
  void (*event)(void *context, const struct pd_event *event);
  void (*reply)(void *context, const struct pd_reply *reply);
  /* May more be said in this entry?  NULL: always. */
  bool (*open)(void *context);
};

/* What a core answers, when it answers later than in the same call: so many facts together. */
struct pd_cause {
  uint64_t seq;
  enum pd_log log; /* UNSPECIFIED: nothing in particular */
  bool traced;
  uint8_t zero[3];
  uint8_t trace[24]; /* of that fact, if traced */
};

/* Stamps what a core emits and applies it.  Set up once; `input` is set before each decide. */
struct pd_outbox {
  const struct pd_core *core;
  void *self;
  struct pd_sink sink;
  uint32_t shard;
  uint32_t emitted;      /* events since pd_outbox_begin */
  uint64_t last_seq;     /* of the log */
  uint64_t last_of_kind[PD_EVENT_KINDS];
  uint64_t first_seq;    /* first event of this input */
  const struct pd_input *input;
  uint64_t answered;     /* the command at hand got its answer */
  struct pd_cause because; /* of what is said at a batch's end or by time */
};

/* An outbox of a core that was just made: seq begins at 1.  self is the core's state. */
void pd_outbox_init(struct pd_outbox *out, const struct pd_core *core, void *self, uint32_t shard,
                    struct pd_sink sink);

/* Hand one input to the core: sets `input`, calls decide.  Asserts that a command got exactly one
 * answer. */
void pd_outbox_decide(struct pd_outbox *out, const struct pd_input *input);

/* Note an event of the own log that was replayed, so that seq and prev go on from it. */
void pd_outbox_note(struct pd_outbox *out, const struct pd_event *event);

/* Say one event: fill in log, seq, prev, time, cause, origin, shard and trace; apply it; hand it to
 * the sink. */
void pd_emit(struct pd_outbox *out, struct pd_event *event);

/* Say what the following events answer, at a batch's end or by time; forgotten when decide ends. */
void pd_outbox_because(struct pd_outbox *out, const struct pd_cause *cause);

/* May more be said now?  What is left is said when the core is asked the next time: its deadline
 * must have come then. */
bool pd_outbox_open(const struct pd_outbox *out);

/* Grant the command at hand; its position is the first event emitted for it.  id and person may be
 * 0 and NULL. */
void pd_grant(struct pd_outbox *out, uint64_t id, const struct pd_id *person);

/* Repeat the answer of the first time: seq of the first event that the command had then. */
void pd_grant_again(struct pd_outbox *out, uint64_t seq, uint64_t id, const struct pd_id *person);

/* Refuse the command at hand.  Nothing may have been emitted for it.  All texts are literals or
 * outlive the call. */
void pd_refuse(struct pd_outbox *out, enum pd_code code, const char *field, const char *rule,
               const char *next, const char *zh);

/* The id in a bytes field. */
#define PD_ID(field) pd_id_from((field).data, (field).len)

/* A bytes field that borrows an id. */
static inline ProtobufCBinaryData pd_bytes(const struct pd_id *id) {
  return (ProtobufCBinaryData){.len = sizeof id->bytes, .data = (uint8_t *)id->bytes};
}

#endif
