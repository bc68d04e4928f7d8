#include "common/base/calendar.h"
#include "tests/play/play.h"

#include <stdlib.h>
#include <string.h>

uint32_t play_draw(const struct play *play, uint64_t a, uint64_t b) {
  uint64_t x =
      play->options.seed * 0x9e3779b97f4a7c15u ^ a * 0xbf58476d1ce4e5b9u ^ b * 0x94d049bb133111ebu;
  x ^= x >> 31;
  x *= 0xd6e8feb86659fd93u;
  x ^= x >> 29;
  x *= 0xd6e8feb86659fd93u;
  return (uint32_t)((x >> 17) % 1000000);
}

struct play_known *play_known(struct play *play, uint64_t number) {
  if (number >= play->known_size) {
    size_t size = number * 2 + 1024;
    play->known = realloc(play->known, size * sizeof *play->known);
    if (play->known == NULL) abort();
    memset(play->known + play->known_size, 0, (size - play->known_size) * sizeof *play->known);
    play->known_size = size;
  }
  return &play->known[number];
}

/* Minutes between low and high, drawn. */
static int64_t minutes(const struct play *play, uint64_t a, uint64_t b, int64_t low, int64_t high) {
  return (low + play_draw(play, a, b) * (high - low) / 1000000) * PD_MINUTE_MS;
}

static struct play_todo todo_of(const struct pd_event *event, enum play_act act, uint64_t number,
                                int64_t when_ms) {
  struct play_todo todo = {.when_ms = when_ms, .act = act, .number = number};
  todo.seen_log = event->log;
  todo.seen_seq = event->seq;
  return todo;
}

static uint32_t index_of(const struct play *play, uint64_t number, const struct pd_id *requester,
                         int64_t placed) {
  (void)placed;
  for (uint32_t i = 0; i < play->orders_count; i++)
    if (play->orders[i].number == number) return i + 1;
  /* The event may come before the acknowledgement: the oldest order that this requester has sent
   * and not got back. */
  for (uint32_t i = 0; i < play->orders_count; i++) {
    const struct play_order *order = &play->orders[i];
    if (order->number == 0 && order->sent_ns > 0 && pd_id_equal(&order->requester, requester))
      return i + 1;
  }
  return 0;
}

static void hear_placed(struct play *play, const struct pd_event *event) {
  const struct pd_order_placed *body = event->order_placed;
  struct play_known *known = play_known(play, body->order);
  play->totals.placed++;
  known->need = body->need;
  known->state = PD_ORDER_STATE_OPEN;
  known->requester = PD_ID(body->requester);
  known->index = index_of(play, body->order, &known->requester, event->time_ms);
  if (known->index > 0) play->orders[known->index - 1].number = body->order;
  if (play_draw(play, body->order, 1) >= 20000) return; /* 2 % change their mind */
  struct play_todo todo = todo_of(event, PLAY_CANCEL, body->order, event->time_ms);
  todo.when_ms += minutes(play, body->order, 2, 5, 240);
  todo.actor = known->requester;
  play_later(play, &todo);
}

static void hear_offer(struct play *play, const struct pd_event *event) {
  const struct pd_offer_made *body = event->offer_made;
  play->totals.offers++;
  struct play_known *known = play_known(play, body->order);
  struct play_order *order = known->index > 0 ? &play->orders[known->index - 1] : NULL;
  if (order != NULL && !order->offered) {
    order->offered = true;
    play->latency_ms[play->latency_count++] = (double)(uv_hrtime() - order->sent_ns) / 1e6;
  }
  uint32_t mood = play_draw(play, body->offer, 11);
  if (mood >= 750000) return; /* a quarter never answers */
  struct play_todo todo =
      todo_of(event, mood < 550000 ? PLAY_ACCEPT : PLAY_DECLINE, body->offer, event->time_ms);
  int64_t patience = (body->expires_at_ms - event->time_ms) / PD_MINUTE_MS * 2 / 3;
  todo.when_ms += minutes(play, body->offer, 12, 1, patience < 2 ? 2 : patience);
  todo.actor = PD_ID(body->volunteer);
  play_later(play, &todo);
}

static void hear_filled(struct play *play, const struct pd_event *event) {
  const struct pd_slot_filled *body = event->slot_filled;
  play->totals.filled++;
  play_known(play, body->order)->filled++;
  uint64_t who = body->order * 64 + body->slot;
  uint32_t fate = play_draw(play, who, body->offer);
  if (fate < 40000) { /* 4 % do not come and say nothing */
    return;
  }
  struct play_todo todo = todo_of(event, PLAY_START, body->order, body->start_ms);
  todo.slot = body->slot;
  todo.actor = PD_ID(body->volunteer);
  if (fate < 80000) { /* 4 % say so in time */
    todo.act = PLAY_WITHDRAW;
    todo.when_ms = event->time_ms + (body->start_ms - event->time_ms) / 2;
  } else if (fate < 160000) { /* 8 % come late */
    todo.when_ms += minutes(play, who, 13, 10, 25);
  } else {
    todo.when_ms += minutes(play, who, 13, 0, 6);
  }
  play_later(play, &todo);
}

static void hear_reopened(struct play *play, const struct pd_event *event) {
  struct play_known *known = play_known(play, event->slot_reopened->order);
  play->totals.reopened++;
  if (known->state == PD_ORDER_STATE_STAFFED) known->state = PD_ORDER_STATE_OPEN;
}

static void hear_started(struct play *play, const struct pd_event *event) {
  const struct pd_service_started *body = event->service_started;
  play_known(play, body->order)->state = PD_ORDER_STATE_SERVING;
  uint64_t who = body->order * 64 + body->slot;
  const struct play_known *known = play_known(play, body->order);
  int64_t length = 60;
  if (known->index > 0) {
    const struct play_order *order = &play->orders[known->index - 1];
    struct pd_place_order *placed = (struct pd_place_order *)protobuf_c_message_unpack(
        &pd_place_order_descriptor, NULL, order->size, order->body);
    if (placed == NULL) abort();
    length = placed->minutes;
    protobuf_c_message_free_unpacked(&placed->base, NULL);
  }
  struct play_todo todo = todo_of(event, PLAY_FINISH, body->order, event->time_ms);
  todo.when_ms += minutes(play, who, 14, length * 8 / 10, length * 12 / 10 + 1);
  todo.slot = body->slot;
  todo.actor = PD_ID(body->volunteer);
  play_later(play, &todo);
}

static void hear_served(struct play *play, const struct pd_event *event) {
  uint64_t number = event->order_served->order;
  struct play_known *known = play_known(play, number);
  known->state = PD_ORDER_STATE_SERVED;
  if (play_draw(play, number, 15) >= 950000) return; /* 5 % forget it */
  struct play_todo todo = todo_of(event, PLAY_CONFIRM, number, event->time_ms);
  todo.when_ms += minutes(play, number, 16, 5, 600);
  todo.actor = known->requester;
  play_later(play, &todo);
  if (play_draw(play, number, 17) >= 850000) return;
  todo.act = PLAY_RATE;
  todo.when_ms += minutes(play, number, 18, 1, 120);
  play_later(play, &todo);
}

static void add_lines(struct play *play, size_t count, struct pd_posting_line *const *lines) {
  for (size_t i = 0; i < count; i++) {
    if ((unsigned)lines[i]->unit < 4) play->totals.points[lines[i]->unit] += lines[i]->amount;
    if (lines[i]->unit == PD_UNIT_MINUTES && lines[i]->account == PD_ACCOUNT_PERSON)
      play->totals.minutes_posted += (uint64_t)lines[i]->amount;
  }
}

static void hear_unmatched(struct play *play, const struct pd_event *event) {
  const struct pd_order_unmatched *body = event->order_unmatched;
  for (size_t i = 0; i < body->n_excluded; i++)
    if ((unsigned)body->excluded[i]->reason < 32)
      play->totals.unmatched[body->excluded[i]->reason] += body->excluded[i]->count;
}

static void hear_hold(struct play *play, const struct pd_event *event) {
  play->totals.holds++;
  add_lines(play, event->hold_placed->n_lines, event->hold_placed->lines);
  struct play_todo todo = todo_of(event, PLAY_HOLD, event->hold_placed->hold, event->time_ms);
  todo.seen_log = PD_LOG_UNSPECIFIED; /* intake does not read the ledger's log */
  todo.when_ms += minutes(play, event->hold_placed->hold, 19, 60, 600);
  play_later(play, &todo);
}

void play_hear(void *context, const struct pd_event *event, const uint8_t *bytes, size_t size) {
  struct play *play = context;
  (void)bytes;
  (void)size;
  play->totals.events++;
  switch ((int)event->body_case) { /* most kinds ask nothing of anybody */
    case PD_EVENT_ORDER_PLACED: hear_placed(play, event); break;
    case PD_EVENT_OFFER_MADE: hear_offer(play, event); break;
    case PD_EVENT_SLOT_FILLED: hear_filled(play, event); break;
    case PD_EVENT_SLOT_REOPENED: hear_reopened(play, event); break;
    case PD_EVENT_ORDER_STAFFED:
      play_known(play, event->order_staffed->order)->state = PD_ORDER_STATE_STAFFED;
      break;
    case PD_EVENT_ORDER_UNMATCHED: hear_unmatched(play, event); break;
    case PD_EVENT_OFFER_ANSWERED: play->totals.declined += !event->offer_answered->accept; break;
    case PD_EVENT_VOLUNTEER_WITHDREW: play->totals.withdrawals++; break;
    case PD_EVENT_NO_SHOW_NOTED: play->totals.no_shows++; break;
    case PD_EVENT_SERVICE_STARTED: hear_started(play, event); break;
    case PD_EVENT_ORDER_SERVED: hear_served(play, event); break;
    case PD_EVENT_SERVICE_CONFIRMED:
      if (event->service_confirmed->last)
        play_known(play, event->service_confirmed->order)->state = PD_ORDER_STATE_CONFIRMED;
      break;
    case PD_EVENT_ORDER_RATED: play->totals.ratings++; break;
    case PD_EVENT_ORDER_CLOSED:
      play_known(play, event->order_closed->order)->state = event->order_closed->state;
      break;
    case PD_EVENT_POINTS_POSTED:
      add_lines(play, event->points_posted->n_lines, event->points_posted->lines);
      break;
    case PD_EVENT_HOLD_PLACED: hear_hold(play, event); break;
    case PD_EVENT_HOLD_RESOLVED:
      add_lines(play, event->hold_resolved->n_lines, event->hold_resolved->lines);
      break;
    case PD_EVENT_STAR_REACHED: play->totals.stars++; break;
    case PD_EVENT_MESSAGE_SENT: play->totals.messages++; break;
    case PD_EVENT_MESSAGE_FAILED: play->totals.failed_messages++; break;
  }
}
