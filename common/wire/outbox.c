#include "common/base/err.h"
#include "common/wire/core.h"

/* Protobuf-c has no const strings; nothing writes to a message that is packed. */
static char *borrow(const char *text) { return (char *)text; }

void pd_outbox_init(struct pd_outbox *out, const struct pd_core *core, void *self, uint32_t shard,
                    struct pd_sink sink) {
  *out = (struct pd_outbox){.core = core, .self = self, .sink = sink, .shard = shard};
}

void pd_outbox_decide(struct pd_outbox *out, const struct pd_input *input) {
  out->input = input;
  out->emitted = 0;
  out->first_seq = 0;
  out->answered = false;
  out->core->decide(out->self, input, out);
  pd_assert(out->answered == (input->kind == PD_INPUT_COMMAND));
  out->input = NULL;
  out->because = (struct pd_cause){0};
}

void pd_outbox_because(struct pd_outbox *out, const struct pd_cause *cause) {
  pd_assert(out->input != NULL && out->input->kind != PD_INPUT_EVENT);
  out->because = *cause;
}

bool pd_outbox_open(const struct pd_outbox *out) {
  return out->sink.open == NULL || out->sink.open(out->sink.context);
}

void pd_outbox_note(struct pd_outbox *out, const struct pd_event *event) {
  pd_assert(event->seq == out->last_seq + 1);
  out->last_seq = event->seq;
  if ((unsigned)event->body_case < PD_EVENT_KINDS) out->last_of_kind[event->body_case] = event->seq;
}

static void stamp_cause(const struct pd_outbox *out, struct pd_event *event,
                        struct pd_position *cause) {
  const struct pd_input *input = out->input;
  const struct pd_cause *because = &out->because;
  bool later = because->log != PD_LOG_UNSPECIFIED;
  if (input->kind != PD_INPUT_EVENT && !later) return;
  cause->log = later ? because->log : input->event->log;
  cause->seq = later ? because->seq : input->event->seq;
  event->cause = cause;
  if (!later) event->trace = input->event->trace;
  if (later && because->traced)
    event->trace = (ProtobufCBinaryData){sizeof because->trace, (uint8_t *)because->trace};
}

static void stamp_origin(const struct pd_input *input, struct pd_event *event,
                         struct pd_origin *origin) {
  if (input->kind != PD_INPUT_COMMAND) return;
  const struct pd_request *request = input->request;
  event->trace = request->command->trace;
  origin->key = pd_bytes(&request->key);
  origin->body = pd_bytes(&request->body);
  origin->principal = borrow(request->principal);
  origin->actor = request->command->actor;
}

void pd_emit(struct pd_outbox *out, struct pd_event *event) {
  pd_assert(out->input != NULL);
  pd_assert((unsigned)event->body_case < PD_EVENT_KINDS);
  struct pd_position cause = PD_POSITION_INIT;
  struct pd_origin origin = PD_ORIGIN_INIT;
  stamp_cause(out, event, &cause);
  stamp_origin(out->input, event, &origin);
  if (out->input->kind == PD_INPUT_COMMAND && out->emitted == 0) event->origin = &origin;
  event->log = out->core->log;
  event->seq = out->last_seq + 1;
  event->prev = out->last_of_kind[event->body_case];
  event->time_ms = out->input->now_ms;
  event->shard = out->shard;
  if (out->emitted++ == 0) out->first_seq = event->seq;
  pd_outbox_note(out, event);
  out->core->apply(out->self, event);
  out->sink.event(out->sink.context, event);
}

static void answer_grant(struct pd_outbox *out, uint64_t seq, uint64_t id,
                         const struct pd_id *person, bool duplicate) {
  pd_assert(out->input->kind == PD_INPUT_COMMAND && !out->answered);
  out->answered = true;
  struct pd_position position = PD_POSITION_INIT;
  position.log = out->core->log;
  position.seq = seq;
  struct pd_ack ack = PD_ACK_INIT;
  ack.position = &position;
  ack.duplicate = duplicate;
  ack.id = id;
  if (person != NULL) ack.person = pd_bytes(person);
  struct pd_reply reply = PD_REPLY_INIT;
  reply.request = out->input->request->command->request;
  reply.result_case = PD_REPLY_ACK;
  reply.ack = &ack;
  out->sink.reply(out->sink.context, &reply);
}

void pd_grant(struct pd_outbox *out, uint64_t id, const struct pd_id *person) {
  pd_assert(out->emitted > 0);
  answer_grant(out, out->first_seq, id, person, false);
}

void pd_grant_again(struct pd_outbox *out, uint64_t seq, uint64_t id, const struct pd_id *person) {
  pd_assert(out->emitted == 0);
  answer_grant(out, seq, id, person, true);
}

void pd_refuse(struct pd_outbox *out, enum pd_code code, const char *field, const char *rule,
               const char *next, const char *zh) {
  pd_assert(out->input->kind == PD_INPUT_COMMAND && !out->answered && out->emitted == 0);
  out->answered = true;
  struct pd_refusal refusal = PD_REFUSAL_INIT;
  refusal.code = code;
  refusal.field = borrow(field);
  refusal.rule = borrow(rule);
  refusal.next = borrow(next);
  refusal.zh = borrow(zh);
  struct pd_reply reply = PD_REPLY_INIT;
  reply.request = out->input->request->command->request;
  reply.result_case = PD_REPLY_REFUSAL;
  reply.refusal = &refusal;
  out->sink.reply(out->sink.context, &reply);
}
