#include "common/flow/turn.h"

#include <string.h>

static void on_event(void *context, const struct pd_event *event);
static void on_reply(void *context, const struct pd_reply *reply);
static bool on_open(void *context);

static void start_packing(struct pd_turn *turn) {
  const struct pd_turn_config *config = &turn->config;
  pd_packer_init(&turn->packer, config->entries + turn->building * config->entry_size,
                 config->entry_size);
}

void pd_turn_init(struct pd_turn *turn, const struct pd_turn_config *config) {
  pd_assert(config->entry_size >= 4 * config->entry_soft && config->entry_size <= PD_ENTRY_MAX);
  *turn = (struct pd_turn){.config = *config, .state = config->state, .batch = config->batch};
  turn->self = config->core->init(&turn->state, config->limits, &config->shard, config->policy);
  struct pd_sink sink = {.context = turn, .event = on_event, .reply = on_reply, .open = on_open};
  pd_outbox_init(&turn->out, config->core, turn->self, config->shard.code, sink);
  for (unsigned log = 1; log < PD_LOGS; log++) pd_follower_init(&turn->inputs[log], 1);
  for (const uint8_t *kind = config->core->passes; kind != NULL && *kind != 0; kind++)
    turn->passes[*kind] = true;
  pd_replies_init(&turn->replies, config->replies, config->replies_size);
  struct pd_hash zero = {{0}};
  pd_writer_init(&turn->writer, 0, &zero, 0);
  start_packing(turn);
}

void pd_turn_position(const struct pd_turn *turn, struct pd_turn_position *position) {
  pd_assert(pd_turn_quiet(turn));
  const struct pd_writer *writer = &turn->writer;
  *position =
      (struct pd_turn_position){.seq = writer->seq, .hash = writer->hash, .now_ms = turn->now_ms};
  position->epoch = writer->epoch - !turn->leading; /* of the last entry */
  for (unsigned log = 1; log < PD_LOGS; log++) position->next[log] = turn->inputs[log].next;
  memcpy(position->last_of_kind, turn->out.last_of_kind, sizeof position->last_of_kind);
}

void pd_turn_resume(struct pd_turn *turn, const struct pd_turn_position *position) {
  pd_writer_init(&turn->writer, position->seq, &position->hash, position->epoch);
  turn->now_ms = position->now_ms;
  turn->out.last_seq = position->seq;
  memcpy(turn->out.last_of_kind, position->last_of_kind, sizeof position->last_of_kind);
  for (unsigned log = 1; log < PD_LOGS; log++)
    if (position->next[log] > 0) pd_follower_init(&turn->inputs[log], position->next[log]);
}

/* ---- what is consumed, as marks
 * -------------------------------------------------------------------------------------- */

static void write_mark(struct pd_turn *turn) {
  if (turn->mark_log != PD_LOG_UNSPECIFIED)
    pd_pack_mark(&turn->packer, turn->mark_log, turn->mark_upto);
  turn->mark_log = PD_LOG_UNSPECIFIED;
}

static void consume(struct pd_turn *turn, enum pd_log log, uint64_t seq) {
  if (turn->mark_log != log) write_mark(turn);
  turn->mark_log = log;
  turn->mark_upto = seq;
  pd_follower_consumed(&turn->inputs[log], seq);
}

/* ---- what the core says
 * ---------------------------------------------------------------------------------------------- */

static void on_event(void *context, const struct pd_event *event) {
  struct pd_turn *turn = context;
  write_mark(turn);
  pd_pack_event(&turn->packer, event);
  turn->unnoted = 0;
  const struct pd_turn_hooks *hooks = &turn->config.hooks;
  if (hooks->emitted != NULL) hooks->emitted(hooks->context, event);
}

static void on_reply(void *context, const struct pd_reply *reply) {
  struct pd_turn *turn = context;
  size_t size = protobuf_c_message_get_packed_size(&reply->base);
  uint8_t *bytes = pd_replies_push(&turn->replies, turn->out.last_seq, turn->token, size);
  protobuf_c_message_pack(&reply->base, bytes);
}

static bool on_open(void *context) { return pd_turn_open(context); }

/* Say an event of the protocol itself, not of the core. */
static void say(struct pd_turn *turn, struct pd_event *event) {
  struct pd_input input = {.kind = PD_INPUT_BATCH_END, .now_ms = turn->now_ms};
  turn->out.input = &input;
  pd_emit(&turn->out, event);
  turn->out.input = NULL;
}

/* ---- live ---- */

void pd_turn_now(struct pd_turn *turn, int64_t now_ms) {
  if (now_ms > turn->now_ms) turn->now_ms = now_ms;
}

void pd_turn_lead(struct pd_turn *turn, int64_t now_ms) {
  pd_assert(!turn->leading);
  turn->leading = true;
  pd_turn_now(turn, now_ms);
  if (turn->config.depth > 0) turn->writer.depth = turn->config.depth;
  struct pd_epoch_began body = PD_EPOCH_BEGAN_INIT;
  body.epoch = turn->writer.epoch;
  struct pd_event event = PD_EVENT_INIT;
  event.body_case = PD_EVENT_EPOCH_BEGAN;
  event.epoch_began = &body;
  say(turn, &event);
}

void pd_turn_rest(struct pd_turn *turn) {
  struct pd_turn_position position;
  pd_turn_position(turn, &position);
  pd_turn_resume(turn, &position);
  pd_replies_init(&turn->replies, turn->config.replies, turn->config.replies_size);
  turn->leading = false;
  turn->unnoted = 0;
}

bool pd_turn_open(const struct pd_turn *turn) {
  return turn->packer.used < turn->config.entry_soft && pd_replies_open(&turn->replies);
}

static void decide(struct pd_turn *turn, struct pd_input *input) {
  input->now_ms = turn->now_ms;
  pd_outbox_decide(&turn->out, input);
}

bool pd_turn_belongs(const struct pd_turn *turn, enum pd_log log, uint64_t seq,
                     const struct pd_event *event) {
  return event->log == log && event->seq == seq && event->shard == turn->config.shard.code &&
         pd_log_says(log, (uint32_t)event->body_case);
}

bool pd_turn_passes(const struct pd_turn *turn, enum pd_log log, uint64_t seq,
                    const struct pd_entry_item *found) {
  struct pd_event_label label;
  return pd_event_label(found->event, found->size, &label) && turn->passes[label.kind] &&
         label.log == log && label.seq == seq && label.shard == turn->config.shard.code &&
         pd_log_says(log, label.kind);
}

/* Fold and answer one event of another log; false: it is none, or not that log's. */
static bool feed_event(struct pd_turn *turn, enum pd_log log, uint64_t seq,
                       const struct pd_entry_item *found) {
  if (pd_turn_passes(turn, log, seq, found)) {
    consume(turn, log, seq);
    turn->unnoted++;
    return true;
  }
  pd_arena_reset(&turn->batch);
  struct pd_event *event = pd_event_unpack(&turn->batch, found->event, found->size);
  if (event == NULL || !pd_turn_belongs(turn, log, seq, event)) return false;
  consume(turn, log, seq);
  if (event->body_case == PD_EVENT_NOT_SET) {
    turn->unknown_kinds++;
    return true;
  }
  /* Two daemons that follow each other would note each other's notes for ever. */
  if (event->body_case != PD_EVENT_INPUTS_NOTED) turn->unnoted++;
  turn->config.core->apply(turn->self, event);
  struct pd_input input = {.kind = PD_INPUT_EVENT, .event = event};
  decide(turn, &input);
  return true;
}

static bool has_room(const struct pd_turn *turn) {
  const struct pd_core *core = turn->config.core;
  return pd_turn_open(turn) && (core->room == NULL || core->room(turn->self) > 0);
}

/* A mark in another's entry: what follows it may answer those inputs.  So causes come before
 * effects here too, in whichever order the logs arrive; marks name committed events only, so nobody
 * waits in a ring. */
static bool heard(const struct pd_turn *turn, const struct pd_entry_item *mark) {
  if ((turn->config.core->inputs & PD_LOG_BIT(mark->log)) == 0) return true;
  return mark->upto < turn->inputs[mark->log].next;
}

enum pd_taken pd_turn_input(struct pd_turn *turn, const uint8_t *bytes, size_t size,
                            const struct pd_hash *hash) {
  struct pd_entry_view view;
  if (pd_entry_open(bytes, size, &view) != PD_OK) return PD_TAKEN_CORRUPT;
  enum pd_log log = view.head.log;
  bool ours =
      view.head.shard == turn->config.shard.code && turn->config.core->inputs & PD_LOG_BIT(log);
  if (!ours) return PD_TAKEN_CORRUPT;
  struct pd_follower *follower = &turn->inputs[log];
  switch (pd_follower_judge(follower, &view, bytes, size, hash)) {
    case PD_FOLLOW_OLD: return PD_TAKEN_OLD;
    case PD_FOLLOW_GAP: return PD_TAKEN_GAP;
    case PD_FOLLOW_CORRUPT: return PD_TAKEN_CORRUPT;
    case PD_FOLLOW_NEXT: break;
  }
  struct pd_entry_item found;
  uint64_t seq = view.head.first_seq;
  for (size_t at = 0; pd_entry_next(&view, &at, &found);) {
    bool mark = found.log != PD_LOG_UNSPECIFIED;
    /* A mark behind the last event holds nothing back. */
    if (mark && seq <= view.head.last_seq && !heard(turn, &found)) return PD_TAKEN_PART;
    if (mark || seq++ < follower->next) continue;
    if (!has_room(turn)) return PD_TAKEN_PART;
    if (!feed_event(turn, log, seq - 1, &found)) return PD_TAKEN_CORRUPT;
  }
  pd_follower_finished(follower, &view, hash);
  return PD_TAKEN;
}

void pd_turn_command(struct pd_turn *turn, const struct pd_request *request, uint64_t token) {
  pd_assert(pd_turn_open(turn));
  turn->token = token;
  struct pd_input input = {.kind = PD_INPUT_COMMAND, .request = request};
  decide(turn, &input);
}

void pd_turn_delivery(struct pd_turn *turn, const struct pd_delivery *delivery) {
  struct pd_input input = {.kind = PD_INPUT_DELIVERY, .delivery = delivery};
  decide(turn, &input);
}

int64_t pd_turn_deadline(const struct pd_turn *turn) {
  const struct pd_core *core = turn->config.core;
  return core->deadline == NULL ? PD_NEVER : core->deadline(turn->self);
}

bool pd_turn_time(struct pd_turn *turn) {
  if (pd_turn_deadline(turn) > turn->now_ms || !pd_turn_open(turn)) return false;
  struct pd_input input = {.kind = PD_INPUT_TIME};
  decide(turn, &input);
  return true;
}

/* ---- commit ---- */

static void release_replies(struct pd_turn *turn) {
  const struct pd_turn_hooks *hooks = &turn->config.hooks;
  uint64_t token;
  size_t size;
  const uint8_t *bytes;
  while ((bytes = pd_replies_peek(&turn->replies, turn->writer.seq, &token, &size)) != NULL) {
    hooks->reply(hooks->context, token, bytes, size);
    pd_replies_pop(&turn->replies);
  }
}

static void note_inputs(struct pd_turn *turn) {
  struct pd_inputs_noted body = PD_INPUTS_NOTED_INIT;
  struct pd_event event = PD_EVENT_INIT;
  event.body_case = PD_EVENT_INPUTS_NOTED;
  event.inputs_noted = &body;
  say(turn, &event);
}

bool pd_turn_close(struct pd_turn *turn, bool note) {
  release_replies(turn); /* refusals that rest on nothing new */
  if (!pd_writer_open(&turn->writer)) return false;
  struct pd_input end = {.kind = PD_INPUT_BATCH_END};
  if (turn->packer.items > 0 || turn->mark_log != PD_LOG_UNSPECIFIED) decide(turn, &end);
  bool marks = turn->packer.items > 0 || turn->mark_log != PD_LOG_UNSPECIFIED;
  bool full = turn->unnoted >= PD_NOTE_AFTER || !pd_turn_open(turn);
  if (turn->packer.events == 0 && marks && (note || full)) note_inputs(turn);
  if (turn->packer.events == 0) return false;
  write_mark(turn);
  struct pd_entry_head head = {.shard = turn->config.shard.code, .log = turn->config.core->log};
  head.epoch = turn->writer.epoch;
  head.last_seq = turn->out.last_seq;
  head.first_seq = head.last_seq - turn->packer.events + 1;
  head.time_ms = turn->now_ms;
  head.prev = *pd_writer_base(&turn->writer);
  struct pd_packed packed;
  pd_pack_end(&turn->packer, &head, &packed);
  pd_writer_push(&turn->writer, &packed);
  turn->building = (turn->building + 1) % PD_WRITER_SLOTS;
  turn->unnoted = 0;
  start_packing(turn);
  return true;
}

bool pd_turn_unnoted(const struct pd_turn *turn) { return turn->unnoted > 0; }

const struct pd_packed *pd_turn_send(struct pd_turn *turn) { return pd_writer_send(&turn->writer); }

/* Publish what was just committed: the entries that the writer has stepped over. */
static void publish(struct pd_turn *turn, uint32_t first, uint32_t count) {
  const struct pd_turn_hooks *hooks = &turn->config.hooks;
  for (uint32_t i = 0; i < count; i++)
    hooks->committed(hooks->context, &turn->writer.slots[(first + i) % PD_WRITER_SLOTS]);
  release_replies(turn);
}

void pd_turn_reply(struct pd_turn *turn, enum pd_commit_reply reply) {
  uint32_t first = turn->writer.head;
  uint32_t count = pd_writer_reply(&turn->writer, reply);
  publish(turn, first, count);
}

void pd_turn_doubt(struct pd_turn *turn) { pd_writer_doubt(&turn->writer); }

bool pd_turn_doubted(const struct pd_turn *turn) { return turn->writer.state == PD_WRITER_DOUBT; }

bool pd_turn_lost(const struct pd_turn *turn) { return turn->writer.lost; }

bool pd_turn_wants_tail(const struct pd_turn *turn) { return pd_writer_wants_tail(&turn->writer); }

void pd_turn_tail(struct pd_turn *turn, uint64_t seq, const struct pd_hash *hash) {
  uint32_t first = turn->writer.head;
  uint32_t count = pd_writer_tail(&turn->writer, seq, hash);
  if (!pd_turn_fenced(turn)) publish(turn, first, count);
}

bool pd_turn_fenced(const struct pd_turn *turn) { return turn->writer.state == PD_WRITER_FENCED; }

bool pd_turn_quiet(const struct pd_turn *turn) {
  bool nothing = turn->packer.items == 0 && turn->mark_log == PD_LOG_UNSPECIFIED;
  return nothing && turn->writer.count == 0 && turn->writer.state == PD_WRITER_READY;
}
