/* Replay: a turn goes on from where it stands to the end of its own log, consuming the other logs
 * by the marks. */
#include "common/flow/turn.h"

static enum pd_err open_input(struct pd_replay *replay, enum pd_log log) {
  struct pd_follower *follower = &replay->turn->inputs[log];
  struct pd_replay_entry *input = &replay->inputs[log];
  struct pd_source *source = replay->source;
  const uint8_t *bytes;
  size_t size;
  enum pd_err err = source->next(source->context, log, follower->next, &bytes, &size, &input->hash);
  if (err == PD_OK) err = pd_entry_open(bytes, size, &input->view);
  if (err != PD_OK) return err == PD_ENOENT ? PD_ECORRUPT : err; /* a mark names what exists */
  const struct pd_entry_head *head = &input->view.head;
  if (head->log != log || head->shard != replay->turn->config.shard.code) return PD_ECORRUPT;
  if (pd_follower_judge(follower, &input->view, bytes, size, &input->hash) != PD_FOLLOW_NEXT)
    return PD_ECORRUPT;
  input->at = 0;
  input->seq = input->view.head.first_seq;
  return PD_OK;
}

static enum pd_err apply_input(struct pd_replay *replay, enum pd_log log,
                               const struct pd_entry_item *found) {
  struct pd_turn *turn = replay->turn;
  struct pd_replay_entry *input = &replay->inputs[log];
  uint64_t seq = input->seq++;
  if (seq < turn->inputs[log].next) return PD_OK;
  if (pd_turn_passes(turn, log, seq, found)) {
    pd_follower_consumed(&turn->inputs[log], seq);
    return PD_OK;
  }
  pd_arena_reset(&turn->batch);
  struct pd_event *event = pd_event_unpack(&turn->batch, found->event, found->size);
  if (event == NULL) return PD_EFORMAT;
  if (!pd_turn_belongs(turn, log, seq, event)) return PD_ECORRUPT;
  if (event->body_case == PD_EVENT_NOT_SET)
    turn->unknown_kinds++;
  else
    turn->config.core->apply(turn->self, event);
  pd_follower_consumed(&turn->inputs[log], seq);
  return PD_OK;
}

/* Consume another log's events up to a mark. */
static enum pd_err consume_to(struct pd_replay *replay, enum pd_log log, uint64_t upto) {
  struct pd_follower *follower = &replay->turn->inputs[log];
  struct pd_replay_entry *input = &replay->inputs[log];
  while (follower->next <= upto) {
    struct pd_entry_item found;
    enum pd_err err = input->seq == 0 ? open_input(replay, log) : PD_OK;
    if (err != PD_OK) return err;
    bool some = pd_entry_next(&input->view, &input->at, &found);
    if (some && found.log == PD_LOG_UNSPECIFIED) err = apply_input(replay, log, &found);
    if (err != PD_OK) return err;
    if (input->seq <= input->view.head.last_seq) continue;
    pd_follower_finished(follower, &input->view, &input->hash);
    input->seq = 0;
  }
  return PD_OK;
}

static enum pd_err apply_own(struct pd_turn *turn, const struct pd_entry_item *found) {
  pd_arena_reset(&turn->batch);
  struct pd_event *event = pd_event_unpack(&turn->batch, found->event, found->size);
  if (event == NULL) return PD_EFORMAT;
  if (!pd_turn_belongs(turn, turn->config.core->log, turn->out.last_seq + 1, event))
    return PD_ECORRUPT;
  if (event->body_case == PD_EVENT_NOT_SET) return PD_EOLD;
  if (event->time_ms > turn->now_ms) turn->now_ms = event->time_ms;
  pd_outbox_note(&turn->out, event);
  turn->config.core->apply(turn->self, event);
  return PD_OK;
}

/* An item is stepped over when it is done: a mark whose inputs are not all there is met again. */
static enum pd_err replay_items(struct pd_replay *replay) {
  struct pd_replay_entry *own = &replay->own;
  struct pd_entry_item found;
  for (size_t at = own->at; pd_entry_next(&own->view, &at, &found); own->at = at) {
    bool event = found.log == PD_LOG_UNSPECIFIED;
    enum pd_err err =
        event ? apply_own(replay->turn, &found) : consume_to(replay, found.log, found.upto);
    if (err != PD_OK) return err;
  }
  return PD_OK;
}

/* Does this entry follow what was replayed so far? */
static bool follows(const struct pd_turn *turn, const struct pd_entry_view *view,
                    const uint8_t *bytes, size_t size, const struct pd_hash *hash) {
  const struct pd_writer *writer = &turn->writer;
  const struct pd_entry_head *head = &view->head;
  struct pd_hash real = pd_hash_of(bytes, size);
  if (!pd_hash_equal(&real, hash) || !pd_hash_equal(&head->prev, &writer->hash)) return false;
  bool ours = head->log == turn->config.core->log && head->shard == turn->config.shard.code;
  return ours && head->first_seq == writer->seq + 1 && head->epoch + 1 >= writer->epoch;
}

static enum pd_err open_own(struct pd_replay *replay, struct pd_source *source) {
  struct pd_turn *turn = replay->turn;
  struct pd_replay_entry *own = &replay->own;
  const uint8_t *bytes;
  size_t size;
  enum pd_err err = source->next(source->context, turn->config.core->log, turn->out.last_seq + 1,
                                 &bytes, &size, &own->hash);
  if (err == PD_OK) err = pd_entry_open(bytes, size, &own->view);
  if (err != PD_OK) return err;
  if (!follows(turn, &own->view, bytes, size, &own->hash)) return PD_ECORRUPT;
  own->at = 0;
  own->seq = own->view.head.first_seq;
  return PD_OK;
}

void pd_replay_init(struct pd_replay *replay, struct pd_turn *turn) {
  pd_assert(!turn->leading);
  *replay = (struct pd_replay){.turn = turn};
}

bool pd_replay_between(const struct pd_replay *replay) { return replay->own.seq == 0; }

enum pd_err pd_replay_run(struct pd_replay *replay, struct pd_source *source) {
  struct pd_replay_entry *own = &replay->own;
  replay->source = source;
  for (;;) {
    enum pd_err err = own->seq == 0 ? open_own(replay, source) : PD_OK;
    if (err == PD_ENOENT) return PD_OK;
    if (err == PD_OK) err = replay_items(replay);
    if (err != PD_OK) return err;
    const struct pd_entry_head *head = &own->view.head;
    pd_writer_init(&replay->turn->writer, head->last_seq, &own->hash, head->epoch);
    own->seq = 0;
  }
}

enum pd_err pd_turn_replay(struct pd_turn *turn, struct pd_source *source) {
  struct pd_replay replay;
  pd_replay_init(&replay, turn);
  return pd_replay_run(&replay, source);
}
