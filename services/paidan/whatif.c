/* The play: two real cores, the recorded facts of intake, and people who answer by a model. */
#include "services/paidan/whatif.h"

#include "common/base/calendar.h"
#include "common/wire/entry.h"
#include "services/paidan/whatif_parts.h"
#include "services/scheduling/scheduling_core.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STATE_SIZE   ((size_t)4 << 30) /* of address space; only touched pages count */
#define EVENT_MEMORY (512u << 10)
#define SLOTS        64
#define DELAY_MS     (10 * PD_MINUTE_MS) /* where no answer is recorded to learn from */
#define AFTER_MS     (60 * PD_DAY_MS)    /* past the stretch: every order has ended long before */

enum act { ACT_ANSWER, ACT_WITHDRAW, ACT_START, ACT_FINISH };

/* Something that a person will do. */
struct deed {
  int64_t at_ms;
  uint64_t number; /* of equals the earlier one first */
  uint64_t order;
  uint64_t offer;
  uint32_t person;
  uint32_t slot;
  enum act act;
  bool yes;
  bool zero[3];
};

struct played_slot {
  uint32_t person; /* plus 1; 0: free */
  bool started;
  bool finished;
  bool zero[2];
  int64_t start_ms;
  int64_t end_ms;
};

struct played {
  uint32_t need;
  bool open; /* played, and not closed */
  bool zero[3];
  struct played_slot slots[SLOTS + 1];
};

/* An event on its way from one core to the other. */
struct letter {
  uint8_t *bytes; /* owned */
  size_t size;
};

struct play {
  const struct whatif_record *record;
  struct ids people; /* with the record's numbers */
  struct tally *tally;
  const struct pd_core *cores[PD_LOGS]; /* matching and scheduling */
  void *memory[PD_LOGS];
  struct pd_outbox out[PD_LOGS];
  int64_t now_ms;
  uint64_t intake_seq;
  struct deed *deeds; /* a heap, the earliest first */
  size_t deed_count, deed_room;
  uint64_t deeds_ever;
  struct letter *letters;
  size_t letter_first, letter_count, letter_room;
  struct played *orders; /* by number */
  size_t order_room;
  bool *open; /* by offer */
  size_t offer_room;
  bool adopts; /* rules as recorded */
};

/* ---- deeds ---- */

static bool before(const struct deed *a, const struct deed *b) {
  return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->number < b->number;
}

static void plan(struct play *play, struct deed deed) {
  play->deeds = ids_grow(play->deeds, &play->deed_room, play->deed_count + 1, sizeof *play->deeds);
  deed.number = play->deeds_ever++;
  if (deed.at_ms < play->now_ms) deed.at_ms = play->now_ms;
  size_t at = play->deed_count++;
  for (; at > 0 && before(&deed, &play->deeds[(at - 1) / 2]); at = (at - 1) / 2)
    play->deeds[at] = play->deeds[(at - 1) / 2];
  play->deeds[at] = deed;
}

static struct deed next_deed(struct play *play) {
  struct deed first = play->deeds[0], last = play->deeds[--play->deed_count];
  size_t at = 0, child;
  while ((child = 2 * at + 1) < play->deed_count) {
    if (child + 1 < play->deed_count && before(&play->deeds[child + 1], &play->deeds[child]))
      child++;
    if (before(&last, &play->deeds[child])) break;
    play->deeds[at] = play->deeds[child];
    at = child;
  }
  if (play->deed_count > 0) play->deeds[at] = last;
  return first;
}

/* ---- letters ---- */

static void post(struct play *play, const struct pd_event *event) {
  size_t size = paidan__v1__event__get_packed_size(event);
  struct letter letter = {.bytes = malloc(size + 1), .size = size};
  pd_assert(letter.bytes != NULL);
  paidan__v1__event__pack(event, letter.bytes);
  play->letters =
      ids_grow(play->letters, &play->letter_room, play->letter_count + 1, sizeof *play->letters);
  play->letters[play->letter_count++] = letter;
}

static void on_said(void *context, const struct pd_event *event) { post(context, event); }
static void on_reply(void *context, const struct pd_reply *reply) {
  (void)context;
  (void)reply;
}

/* Intake says something. */
static void say(struct play *play, struct pd_event *event) {
  event->log = PD_LOG_INTAKE;
  event->seq = ++play->intake_seq;
  event->time_ms = play->now_ms;
  event->shard = play->record->shard.code;
  post(play, event);
}

static void hand(struct play *play, enum pd_log to, const struct pd_event *event) {
  struct pd_input input = {.kind = PD_INPUT_EVENT, .now_ms = play->now_ms, .event = event};
  play->cores[to]->apply(play->out[to].self, event);
  pd_outbox_decide(&play->out[to], &input);
}

static void tell(struct play *play, enum pd_log to, enum pd_input_kind kind) {
  struct pd_input input = {.kind = kind, .now_ms = play->now_ms};
  pd_outbox_decide(&play->out[to], &input);
}

/* ---- orders, as intake would keep them ---- */

static struct played *order_of(const struct play *play, uint64_t number) {
  if (number == 0 || number >= play->order_room || !play->orders[number].open) return NULL;
  return &play->orders[number];
}

static void close_order(struct play *play, uint64_t number, enum pd_order_state state) {
  struct pd_event event = PD_EVENT_INIT;
  struct pd_order_closed body = PD_ORDER_CLOSED_INIT;
  body.order = number;
  body.state = state;
  event.body_case = PD_EVENT_ORDER_CLOSED;
  event.order_closed = &body;
  play->orders[number].open = false;
  say(play, &event);
}

static uint32_t count_slots(const struct played *order, bool finished) {
  uint32_t count = 0;
  for (uint32_t slot = 1; slot <= order->need; slot++)
    count += order->slots[slot].person != 0 && order->slots[slot].finished == finished;
  return count;
}

/* Somebody has served and nobody else is expected: the order is served, confirmed and over. */
static void settle(struct play *play, uint64_t number) {
  const struct played *order = order_of(play, number);
  if (order == NULL || count_slots(order, true) == 0 || count_slots(order, false) > 0) return;
  struct pd_event event = PD_EVENT_INIT;
  struct pd_order_served body = PD_ORDER_SERVED_INIT;
  body.order = number;
  event.body_case = PD_EVENT_ORDER_SERVED;
  event.order_served = &body;
  say(play, &event);
  close_order(play, number, PD_ORDER_STATE_COMPLETED);
}

/* ---- the model of people ---- */

/* A number of order and person that looks like chance, and never changes. */
static uint64_t dice(const struct play *play, uint64_t order, uint32_t person, uint64_t throw) {
  uint64_t mixed;
  memcpy(&mixed, play->people.ids[person].bytes, sizeof mixed);
  mixed ^= order * UINT64_C(0x9e3779b97f4a7c15) + throw;
  mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
  return mixed ^ (mixed >> 31);
}

static int by_pair(const void *a, const void *b) {
  const struct whatif_past *x = a, *y = b;
  if (x->order != y->order) return x->order < y->order ? -1 : 1;
  return x->person < y->person ? -1 : x->person > y->person;
}

/* What this person did with an offer of this order in the record. */
static const struct whatif_past *past_of(const struct whatif_record *record, uint64_t order,
                                         uint32_t person) {
  struct whatif_past wanted = {.order = order, .person = person};
  if (record->past_count == 0) return NULL;
  const struct whatif_past *found =
      bsearch(&wanted, record->past, record->past_count, sizeof wanted, by_pair);
  return found != NULL && found->mood != WHATIF_UNKNOWN ? found : NULL;
}

/* How many of the people who are asked for this order say yes and no. */
static struct whatif_rate rate_of(const struct whatif_record *record, uint64_t order) {
  unsigned kind = order < record->kind_room ? record->kinds[order] : 0;
  if (record->setting.rate.known > 0) return record->setting.rate;
  return record->rates[kind].known > 0 ? record->rates[kind] : record->rates[0];
}

/* One of the times that answers took, picked by dice. */
static int64_t delay_of(const struct whatif_record *record, uint64_t rolled) {
  const struct whatif_setting *setting = &record->setting;
  if (setting->delays > 0) return setting->delays_ms[rolled % setting->delays];
  return record->delay_count > 0 ? record->delays[rolled % record->delay_count] : DELAY_MS;
}

static void plan_answer(struct play *play, const struct pd_offer_made *body, uint32_t person) {
  const struct whatif_record *record = play->record;
  const struct whatif_past *past = past_of(record, body->order, person);
  struct deed deed = {
      .order = body->order, .offer = body->offer, .person = person, .act = ACT_ANSWER};
  if (past != NULL) {
    deed.at_ms = play->now_ms + past->after_ms;
    deed.yes = past->mood == WHATIF_YES;
    if (past->mood != WHATIF_SILENT) plan(play, deed);
    return;
  }
  struct whatif_rate rate = rate_of(record, body->order);
  uint64_t roll = rate.known > 0 ? dice(play, body->order, person, 1) % rate.known : 0;
  if (rate.known == 0 || roll >= rate.yes + rate.no) return; /* silent */
  deed.yes = roll < rate.yes;
  deed.at_ms = play->now_ms + delay_of(record, dice(play, body->order, person, 2));
  plan(play, deed);
}

static void plan_service(struct play *play, uint64_t number, uint32_t slot) {
  const struct played_slot *at = &play->orders[number].slots[slot];
  const struct whatif_record *record = play->record;
  struct deed deed = {.order = number, .slot = slot, .person = at->person - 1};
  for (size_t i = 0; i < record->withdrawal_count; i++) {
    const struct whatif_withdrawal *gone = &record->withdrawals[i];
    if (gone->order != number || gone->person != deed.person) continue;
    deed.act = ACT_WITHDRAW;
    deed.at_ms = gone->time_ms;
    plan(play, deed);
  }
  deed.act = ACT_START;
  deed.at_ms = at->start_ms;
  plan(play, deed);
}

static void answer(struct play *play, const struct deed *deed) {
  if (!play->open[deed->offer] || order_of(play, deed->order) == NULL) return;
  struct pd_event event = PD_EVENT_INIT;
  struct pd_offer_answered body = PD_OFFER_ANSWERED_INIT;
  body.offer = deed->offer;
  body.order = deed->order;
  body.volunteer = pd_bytes(&play->people.ids[deed->person]);
  body.accept = deed->yes;
  event.body_case = PD_EVENT_OFFER_ANSWERED;
  event.offer_answered = &body;
  say(play, &event);
}

static void withdraw(struct play *play, const struct deed *deed) {
  struct pd_event event = PD_EVENT_INIT;
  struct pd_volunteer_withdrew body = PD_VOLUNTEER_WITHDREW_INIT;
  body.order = deed->order;
  body.slot = deed->slot;
  body.volunteer = pd_bytes(&play->people.ids[deed->person]);
  event.body_case = PD_EVENT_VOLUNTEER_WITHDREW;
  event.volunteer_withdrew = &body;
  say(play, &event);
}

static void serve(struct play *play, const struct deed *deed, struct played_slot *slot) {
  struct pd_event event = PD_EVENT_INIT;
  struct pd_service_started started = PD_SERVICE_STARTED_INIT;
  struct pd_service_finished finished = PD_SERVICE_FINISHED_INIT;
  started.order = finished.order = deed->order;
  started.slot = finished.slot = deed->slot;
  started.volunteer = finished.volunteer = pd_bytes(&play->people.ids[deed->person]);
  finished.minutes = (uint32_t)((slot->end_ms - slot->start_ms) / PD_MINUTE_MS);
  if (deed->act == ACT_START) {
    struct deed end = *deed;
    end.act = ACT_FINISH;
    end.at_ms = slot->end_ms;
    slot->started = true;
    event.body_case = PD_EVENT_SERVICE_STARTED;
    event.service_started = &started;
    say(play, &event);
    plan(play, end);
    return;
  }
  slot->finished = true;
  event.body_case = PD_EVENT_SERVICE_FINISHED;
  event.service_finished = &finished;
  say(play, &event);
  settle(play, deed->order);
}

static void happen(struct play *play, const struct deed *deed) {
  struct played *order = order_of(play, deed->order);
  if (order == NULL) return;
  if (deed->act == ACT_ANSWER) {
    answer(play, deed);
    return;
  }
  struct played_slot *slot = &order->slots[deed->slot];
  bool stands = slot->person == deed->person + 1 && slot->started == (deed->act == ACT_FINISH);
  if (!stands) return; /* the booking has gone, or is another's */
  if (deed->act == ACT_WITHDRAW)
    withdraw(play, deed);
  else
    serve(play, deed, slot);
}

/* ---- what the cores say ---- */

static void on_offer(struct play *play, const struct pd_offer_made *body) {
  struct pd_id id = PD_ID(body->volunteer);
  uint32_t person = ids_take(&play->people, &id);
  play->open =
      ids_grow(play->open, &play->offer_room, (size_t)body->offer + 1, sizeof *play->open);
  play->open[body->offer] = true;
  if (body->how != PD_OFFER_HOW_ASKED) plan_answer(play, body, person);
}

static void on_filled(struct play *play, const struct pd_slot_filled *body) {
  struct played *order = order_of(play, body->order);
  struct pd_id id = PD_ID(body->volunteer);
  if (body->offer < play->offer_room) play->open[body->offer] = false;
  if (order == NULL || body->slot == 0 || body->slot > SLOTS || body->started) return;
  order->slots[body->slot] = (struct played_slot){.person = ids_take(&play->people, &id) + 1,
                                                  .start_ms = body->start_ms,
                                                  .end_ms = body->end_ms};
  plan_service(play, body->order, body->slot);
}

static void on_expired(struct play *play, const struct pd_order_expired *body) {
  const struct played *order = order_of(play, body->order);
  if (order == NULL) return;
  bool nobody = count_slots(order, true) + count_slots(order, false) == 0;
  bool over = body->stage != PD_ORDER_STAGE_STAFFING;
  if (nobody || over)
    close_order(play, body->order,
                nobody ? PD_ORDER_STATE_UNFILLED : PD_ORDER_STATE_UNCONFIRMED);
}

static void on_event(struct play *play, const struct pd_event *event) {
  if (event->body_case == PD_EVENT_OFFER_MADE) on_offer(play, event->offer_made);
  if (event->body_case == PD_EVENT_SLOT_FILLED) on_filled(play, event->slot_filled);
  if (event->body_case == PD_EVENT_ORDER_EXPIRED) on_expired(play, event->order_expired);
  if (event->body_case == PD_EVENT_OFFER_CLOSED &&
      event->offer_closed->offer < play->offer_room)
    play->open[event->offer_closed->offer] = false;
  if (event->body_case == PD_EVENT_SLOT_REOPENED) {
    const struct pd_slot_reopened *body = event->slot_reopened;
    struct played *order = order_of(play, body->order);
    if (order == NULL || body->slot == 0 || body->slot > SLOTS) return;
    order->slots[body->slot] = (struct played_slot){0};
    settle(play, body->order);
  }
}

static void deliver(struct play *play, const struct letter *letter) {
  static uint8_t memory[EVENT_MEMORY];
  struct pd_arena arena;
  pd_arena_init(&arena, memory, sizeof memory);
  const struct pd_event *event = pd_event_unpack(&arena, letter->bytes, letter->size);
  pd_assert(event != NULL); /* a core or this file has packed it */
  const struct whatif_setting *setting = &play->record->setting;
  tally_event(play->tally, event);
  if (setting->event != NULL) setting->event(setting->context, event);
  if (event->log != PD_LOG_MATCHING) hand(play, PD_LOG_MATCHING, event);
  if (event->log != PD_LOG_SCHEDULING) hand(play, PD_LOG_SCHEDULING, event);
  on_event(play, event);
  if (setting->turns == WHATIF_EACH_ORDER) tell(play, PD_LOG_MATCHING, PD_INPUT_BATCH_END);
}

/* Let everything be heard that was said, until nobody has anything to add. */
static void drain(struct play *play) {
  for (;;) {
    while (play->letter_first < play->letter_count) {
      struct letter letter = play->letters[play->letter_first++];
      deliver(play, &letter);
      free(letter.bytes);
    }
    play->letter_first = play->letter_count = 0;
    tell(play, PD_LOG_MATCHING, PD_INPUT_BATCH_END);
    if (play->letter_count == 0) return;
  }
}

/* ---- the recorded facts ---- */

static void place(struct play *play, const struct pd_order_placed *body) {
  play->orders = ids_grow(play->orders, &play->order_room, (size_t)body->order + 1,
                          sizeof *play->orders);
  play->orders[body->order].need = body->need < SLOTS ? body->need : SLOTS;
  play->orders[body->order].open = true;
}

static bool has_begun(const struct played *order) {
  for (uint32_t slot = 1; slot <= order->need; slot++)
    if (order->slots[slot].started) return true;
  return false;
}

/* Is this a fact to play?  What people did about offers and services is the model's. */
static bool is_played(struct play *play, struct pd_event *event) {
  const struct whatif_record *record = play->record;
  if (event->body_case == PD_EVENT_ORDER_PLACED) {
    bool inside = event->time_ms >= record->since_ms && event->time_ms < record->until_ms;
    if (inside) place(play, event->order_placed);
    return inside;
  }
  if (event->body_case == PD_EVENT_ORDER_CANCELLED) {
    const struct played *order = order_of(play, event->order_cancelled->order);
    return order != NULL && !has_begun(order);
  }
  if (event->body_case == PD_EVENT_OFFER_COMMANDED)
    return order_of(play, event->offer_commanded->order) != NULL;
  if (event->body_case == PD_EVENT_ORDER_ASKED)
    return order_of(play, event->order_asked->order) != NULL;
  return (unsigned)event->body_case < PD_EVENT_ORDER_PLACED ||
         event->body_case == PD_EVENT_PAIR_BLOCKED;
}

static void play_fact(struct play *play, const struct whatif_fact *fact) {
  static uint8_t memory[EVENT_MEMORY];
  struct pd_arena arena;
  pd_arena_init(&arena, memory, sizeof memory);
  struct pd_event *event = pd_event_unpack(&arena, fact->bytes, fact->size);
  pd_assert(event != NULL); /* it was when it was taken in */
  if (event->body_case == PD_EVENT_POLICY_ADOPTED) {
    if (play->adopts) matching_core.apply(play->out[PD_LOG_MATCHING].self, event);
    return;
  }
  if (!is_played(play, event)) return;
  uint64_t order = 0;
  if (event->body_case == PD_EVENT_ORDER_CANCELLED) order = event->order_cancelled->order;
  event->origin = NULL;
  say(play, event);
  if (order != 0) close_order(play, order, PD_ORDER_STATE_CANCELLED);
}

/* ---- the play ---- */

static int by_time(const void *a, const void *b) {
  const struct whatif_fact *x = a, *y = b;
  if (x->time_ms != y->time_ms) return x->time_ms < y->time_ms ? -1 : 1;
  if (x->log != y->log) return x->log < y->log ? -1 : 1;
  return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static enum pd_err build(struct play *play, enum pd_log log, const struct pd_core *core) {
  struct pd_arena arena;
  void *memory = mmap(NULL, STATE_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return PD_EIO;
  play->memory[log] = memory;
  play->cores[log] = core;
  pd_arena_init(&arena, memory, STATE_SIZE);
  void *self = core->init(&arena, &pd_limits_district, &play->record->shard, NULL);
  struct pd_sink sink = {.context = play, .event = on_said, .reply = on_reply};
  pd_outbox_init(&play->out[log], core, self, play->record->shard.code, sink);
  return PD_OK;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static void run(struct play *play) {
  const struct whatif_record *record = play->record;
  size_t fact = 0;
  for (;;) {
    int64_t facts = fact < record->fact_count ? record->facts[fact].time_ms : PD_NEVER;
    int64_t deeds = play->deed_count > 0 ? play->deeds[0].at_ms : PD_NEVER;
    int64_t match = matching_core.deadline(play->out[PD_LOG_MATCHING].self);
    int64_t due = scheduling_core.deadline(play->out[PD_LOG_SCHEDULING].self);
    int64_t next = least(least(facts, deeds), least(match, due));
    if (next == PD_NEVER) return;
    bool over = facts == PD_NEVER && deeds == PD_NEVER && match == PD_NEVER;
    if (over && due > play->now_ms + AFTER_MS) return;
    if (next > play->now_ms) play->now_ms = next;
    if (facts == next) {
      bool all = record->setting.turns == WHATIF_EACH_MOMENT;
      do play_fact(play, &record->facts[fact++]);
      while (all && fact < record->fact_count && record->facts[fact].time_ms == facts);
    } else if (match == next) {
      tell(play, PD_LOG_MATCHING, PD_INPUT_TIME);
    } else if (deeds == next) {
      struct deed deed = next_deed(play);
      happen(play, &deed);
    } else {
      tell(play, PD_LOG_SCHEDULING, PD_INPUT_TIME);
    }
    drain(play);
  }
}

static void close_play(struct play *play) {
  for (unsigned log = 1; log < PD_LOGS; log++)
    if (play->memory[log] != NULL) munmap(play->memory[log], STATE_SIZE);
  for (size_t i = play->letter_first; i < play->letter_count; i++) free(play->letters[i].bytes);
  free(play->letters);
  free(play->deeds);
  free(play->orders);
  free(play->open);
  tally_free(play->tally);
  ids_free(&play->people);
}

/* The record in the order in which it is played and looked up: done once. */
static void sort_record(struct whatif_record *record) {
  if (record->sorted) return;
  record->sorted = true;
  if (record->fact_count > 0)
    qsort(record->facts, record->fact_count, sizeof *record->facts, by_time);
  if (record->past_count > 0)
    qsort(record->past, record->past_count, sizeof *record->past, by_pair);
}

enum pd_err whatif_play(struct whatif_record *record, const struct matching_rules *rules,
                        struct whatif_figures *figures) {
  struct play play = {.record = record, .adopts = rules == NULL};
  sort_record(record);
  for (uint32_t i = 0; i < record->people.count; i++)
    ids_take(&play.people, &record->people.ids[i]);
  play.tally = tally_new(&play.people, record->since_ms, record->until_ms);
  enum pd_err err = build(&play, PD_LOG_MATCHING, &matching_core);
  if (err == PD_OK) err = build(&play, PD_LOG_SCHEDULING, &scheduling_core);
  if (err == PD_OK) {
    if (rules != NULL) matching_propose(play.out[PD_LOG_MATCHING].self, rules);
    run(&play);
    *figures = tally_figures(play.tally);
  }
  close_play(&play);
  return err;
}
