/* Replay: a turn goes on from where it stands to the end of its own log, consuming the other logs
 * by the marks. */
#include "common/flow/turn.h"

/* The entry of an input log that is being consumed: opened and judged once, left at the next item.
 */
struct input_cursor {
  struct pd_entry_view view;
  struct pd_hash hash;
  size_t at;    /* of the next item */
  uint64_t seq; /* of the next event in it; 0: no entry is open */
};

struct replay {
  struct pd_turn *turn;
  struct pd_source *source;
  struct input_cursor inputs[PD_LOGS];
};

static enum pd_err open_input(struct replay *replay, enum pd_log log) {
  struct pd_follower *follower = &replay->turn->inputs[log];
  struct input_cursor *input = &replay->inputs[log];
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

static enum pd_err apply_input(struct replay *replay, enum pd_log log,
                               const struct pd_entry_item *found) {
  struct pd_turn *turn = replay->turn;
  struct input_cursor *input = &replay->inputs[log];
  uint64_t seq = input->seq++;
  if (seq < turn->inputs[log].next) return PD_OK;
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
static enum pd_err consume_to(struct replay *replay, enum pd_log log, uint64_t upto) {
  struct pd_follower *follower = &replay->turn->inputs[log];
  struct input_cursor *input = &replay->inputs[log];
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

static enum pd_err replay_entry(struct replay *replay, const struct pd_entry_view *view) {
  struct pd_entry_item found;
  for (size_t at = 0; pd_entry_next(view, &at, &found);) {
    bool own = found.log == PD_LOG_UNSPECIFIED;
    enum pd_err err =
        own ? apply_own(replay->turn, &found) : consume_to(replay, found.log, found.upto);
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

enum pd_err pd_turn_replay(struct pd_turn *turn, struct pd_source *source) {
  struct replay replay = {.turn = turn, .source = source};
  for (;;) {
    const uint8_t *bytes;
    size_t size;
    struct pd_hash hash;
    struct pd_entry_view view;
    enum pd_err err = source->next(source->context, turn->config.core->log, turn->out.last_seq + 1,
                                   &bytes, &size, &hash);
    if (err == PD_ENOENT) return PD_OK;
    if (err == PD_OK) err = pd_entry_open(bytes, size, &view);
    if (err != PD_OK) return err;
    if (!follows(turn, &view, bytes, size, &hash)) return PD_ECORRUPT;
    err = replay_entry(&replay, &view);
    if (err != PD_OK) return err;
    pd_writer_init(&turn->writer, view.head.last_seq, &hash, view.head.epoch);
  }
}
