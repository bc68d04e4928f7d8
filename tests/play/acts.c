#include "tests/play/play.h"

#include <stdlib.h>
#include <string.h>

/* ---- the list of things to do
 * ---------------------------------------------------------------------------------------- */

static void swap(struct play_todo *a, struct play_todo *b) {
  struct play_todo c = *a;
  *a = *b;
  *b = c;
}

void play_later(struct play *play, const struct play_todo *todo) {
  if (play->todo_count == play->todo_size) {
    play->todo_size = play->todo_size * 2 + 1024;
    play->todo = realloc(play->todo, play->todo_size * sizeof *play->todo);
    if (play->todo == NULL) abort();
  }
  size_t at = play->todo_count++;
  play->todo[at] = *todo;
  for (; at > 0 && play->todo[at].when_ms < play->todo[(at - 1) / 2].when_ms; at = (at - 1) / 2)
    swap(&play->todo[at], &play->todo[(at - 1) / 2]);
}

static struct play_todo take_first(struct play *play) {
  struct play_todo first = play->todo[0];
  play->todo[0] = play->todo[--play->todo_count];
  for (size_t at = 0;;) {
    size_t child = 2 * at + 1;
    if (child + 1 < play->todo_count && play->todo[child + 1].when_ms < play->todo[child].when_ms)
      child++;
    if (child >= play->todo_count || play->todo[at].when_ms <= play->todo[child].when_ms) break;
    swap(&play->todo[at], &play->todo[child]);
    at = child;
  }
  return first;
}

void play_due(struct play *play) {
  while (play->todo_count > 0 && play->todo[0].when_ms <= play_now(play)) {
    struct play_todo todo = take_first(play);
    play_act(play, &todo);
  }
}

/* ---- sending ---- */

/* A command on its way, and which order of the data set it places. */
struct sent {
  struct play *play;
  uint32_t order; /* index plus 1, 0: it places none */
  bool matters;   /* a refusal is counted */
  char key[PD_CLIENT_KEY];
};

static void on_done(void *context, enum pd_err err, const struct pd_reply *reply) {
  struct sent *sent = context;
  struct play *play = sent->play;
  if (err != PD_OK) {
    play->totals.unanswered++;
  } else if (reply->result_case == PD_REPLY_ACK) {
    const struct pd_ack *ack = reply->ack;
    if (play->journal != NULL)
      fprintf(play->journal, "{\"log\":\"intake\",\"seq\":%llu,\"key\":\"%s\",\"order\":%llu}\n",
              (unsigned long long)ack->position->seq, sent->key,
              (unsigned long long)(sent->order ? ack->id : 0));
    if (sent->order > 0) play->orders[sent->order - 1].number = ack->id;
  } else if (sent->matters) {
    play->totals.refused++;
    const struct pd_refusal *refusal = reply->refusal;
    if (getenv("PAIDAN_PLAY_DEBUG") != NULL)
      fprintf(stderr, "refused: code %d %s: %s\n", (int)refusal->code, refusal->field,
              refusal->rule);
  }
  free(sent);
}

static void send_command(struct play *play, enum play_door door, struct pd_command *command,
                         const struct play_todo *todo, uint32_t order) {
  struct sent *sent = calloc(1, sizeof *sent);
  if (sent == NULL) abort();
  sent->play = play;
  sent->order = order;
  sent->matters = todo->act == PLAY_PLACE;
  snprintf(sent->key, sizeof sent->key, "play-%llu-%llu", (unsigned long long)play->options.seed,
           (unsigned long long)play->keys++);
  struct pd_position seen = PD_POSITION_INIT;
  seen.log = todo->seen_log;
  seen.seq = todo->seen_seq;
  command->key = sent->key;
  if (!pd_id_is_zero(&todo->actor))
    command->actor = (ProtobufCBinaryData){16, (uint8_t *)todo->actor.bytes};
  if (todo->seen_log != PD_LOG_UNSPECIFIED) command->seen = &seen;
  if (pd_client_send(play->clients[door], command, on_done, sent) == PD_OK) return;
  play->totals.unanswered++;
  free(sent);
}

static void place(struct play *play, const struct play_todo *todo) {
  struct play_order *order = &play->orders[todo->number];
  struct pd_place_order *body = (struct pd_place_order *)protobuf_c_message_unpack(
      &pd_place_order_descriptor, NULL, order->size, order->body);
  if (body == NULL) abort();
  ProtobufCBinaryData nothing = body->requester;
  body->requester = (ProtobufCBinaryData){16, order->requester.bytes};
  struct pd_command command = PD_COMMAND_INIT;
  command.body_case = PD_COMMAND_PLACE_ORDER;
  command.place_order = body;
  order->sent_ns = uv_hrtime();
  struct play_todo with = *todo;
  with.actor = order->requester;
  send_command(play, PLAY_RESIDENT, &command, &with, (uint32_t)todo->number + 1);
  body->requester = nothing;
  protobuf_c_message_free_unpacked(&body->base, NULL);
}

static void answer(struct play *play, const struct play_todo *todo) {
  struct pd_answer_offer body = PD_ANSWER_OFFER_INIT;
  body.offer = todo->number;
  body.accept = todo->act == PLAY_ACCEPT;
  struct pd_command command = PD_COMMAND_INIT;
  command.body_case = PD_COMMAND_ANSWER_OFFER;
  command.answer_offer = &body;
  send_command(play, PLAY_VOLUNTEER, &command, todo, 0);
}

static void serve(struct play *play, const struct play_todo *todo) {
  struct pd_withdraw withdraw = PD_WITHDRAW_INIT;
  struct pd_start_service start = PD_START_SERVICE_INIT;
  struct pd_finish_service finish = PD_FINISH_SERVICE_INIT;
  withdraw.order = start.order = finish.order = todo->number;
  withdraw.slot = start.slot = finish.slot = todo->slot;
  struct pd_command command = PD_COMMAND_INIT;
  if (todo->act == PLAY_WITHDRAW) {
    command.body_case = PD_COMMAND_WITHDRAW;
    command.withdraw = &withdraw;
  } else if (todo->act == PLAY_START) {
    command.body_case = PD_COMMAND_START_SERVICE;
    command.start_service = &start;
  } else {
    command.body_case = PD_COMMAND_FINISH_SERVICE;
    command.finish_service = &finish;
  }
  /* A few stations keep the register for their volunteers: then start, finish and confirmation come
   * through one door. */
  bool proxied = play_draw(play, todo->number, 77) < 30000;
  send_command(play, proxied ? PLAY_SITE : PLAY_VOLUNTEER, &command, todo, 0);
}

static void finish_order(struct play *play, const struct play_todo *todo) {
  struct pd_confirm_service confirm = PD_CONFIRM_SERVICE_INIT;
  struct pd_rate_order rate = PD_RATE_ORDER_INIT;
  struct pd_cancel_order cancel = PD_CANCEL_ORDER_INIT;
  confirm.order = rate.order = cancel.order = todo->number;
  uint32_t mood = play_draw(play, todo->number, 5);
  rate.stars = mood < 20000 ? 1 : mood < 60000 ? 2 : mood < 150000 ? 3 : mood < 450000 ? 4 : 5;
  if (rate.stars <= 2) rate.comment = (char *)"来晚了，希望下次准时。";
  struct pd_command command = PD_COMMAND_INIT;
  bool by_site = false;
  if (todo->act == PLAY_CONFIRM) {
    command.body_case = PD_COMMAND_CONFIRM_SERVICE;
    command.confirm_service = &confirm;
    by_site = play_draw(play, todo->number, 77) < 60000;
  } else if (todo->act == PLAY_RATE) {
    command.body_case = PD_COMMAND_RATE_ORDER;
    command.rate_order = &rate;
  } else {
    command.body_case = PD_COMMAND_CANCEL_ORDER;
    command.cancel_order = &cancel;
  }
  send_command(play, by_site ? PLAY_SITE : PLAY_RESIDENT, &command, todo, 0);
}

static void decide_hold(struct play *play, const struct play_todo *todo) {
  struct pd_decide_hold body = PD_DECIDE_HOLD_INIT;
  body.hold = todo->number;
  body.approve = play_draw(play, todo->number, 9) < 800000;
  struct pd_command command = PD_COMMAND_INIT;
  command.body_case = PD_COMMAND_DECIDE_HOLD;
  command.decide_hold = &body;
  send_command(play, PLAY_OPS, &command, todo, 0);
}

void play_act(struct play *play, const struct play_todo *todo) {
  switch (todo->act) {
    case PLAY_PLACE: place(play, todo); break;
    case PLAY_ACCEPT:
    case PLAY_DECLINE: answer(play, todo); break;
    case PLAY_WITHDRAW:
    case PLAY_START:
    case PLAY_FINISH: serve(play, todo); break;
    case PLAY_CANCEL:
    case PLAY_CONFIRM:
    case PLAY_RATE: finish_order(play, todo); break;
    case PLAY_HOLD: decide_hold(play, todo); break;
  }
}
