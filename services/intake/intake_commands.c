/* Commands about orders, offers and holds. */
#include "common/base/calendar.h"
#include "common/base/err.h"
#include "services/intake/intake_check.h"

#include <string.h>

#define CATEGORY_MAX 32
#define NOTE_MAX 512
#define ADDRESS_MAX 256
#define SKILLS_MAX 8
#define NEED_MAX 64
#define MINUTES_MIN 5
#define MINUTES_MAX 1440 /* of a service, expected and served */
#define AHEAD_MAX_MS (400 * PD_DAY_MS)
#define STARS_MAX 5

static bool check_category(const struct intake_call *call, const char *category) {
  size_t length = strnlen(category, CATEGORY_MAX + 1);
  bool plain = category[strspn(category, "abcdefghijklmnopqrstuvwxyz0123456789_")] == 0;
  return intake_require(call, length >= 1 && length <= CATEGORY_MAX && plain, INTAKE_NO_CATEGORY,
                        NULL);
}

static bool check_window(const struct intake_call *call, const struct pd_place_order *body) {
  pd_assert(call->now_ms >= 0);
  int64_t start_ms = body->window_start_ms, end_ms = body->window_end_ms;
  if (start_ms < 0) return intake_refuse(call, INTAKE_NO_WINDOW_START, NULL);
  if (end_ms <= start_ms) return intake_refuse(call, INTAKE_NO_WINDOW_ORDER, NULL);
  if (end_ms <= call->now_ms) return intake_refuse(call, INTAKE_NO_WINDOW_PAST, NULL);
  bool near = end_ms - call->now_ms <= AHEAD_MAX_MS;
  return intake_require(call, near, INTAKE_NO_WINDOW_FAR, NULL) &&
         intake_check_range(call, body->minutes, MINUTES_MIN, MINUTES_MAX, INTAKE_NO_MINUTES,
                            NULL) &&
         intake_require(call, body->minutes * PD_MINUTE_MS <= end_ms - start_ms,
                        INTAKE_NO_MINUTES_WINDOW, NULL);
}

static bool check_wish(const struct intake_call *call, const struct pd_place_order *body) {
  return intake_check_range(call, body->kind, PD_ORDER_KIND_WISH, PD_ORDER_KIND_EMERGENCY,
                            INTAKE_NO_KIND, NULL) &&
         check_category(call, body->category) &&
         intake_check_text(call, body->note, 0, NOTE_MAX, INTAKE_NO_NOTE, NULL) &&
         intake_check_text(call, body->address, 0, ADDRESS_MAX, INTAKE_NO_ADDRESS,
                           "place_order.address") &&
         intake_check_skills(call, body->skills, body->n_skills, SKILLS_MAX,
                             "place_order.skills") &&
         intake_check_demands(call, body->demands, body->n_demands, "place_order.demands") &&
         intake_check_gender(call, body) &&
         intake_check_range(call, body->need, 1, NEED_MAX, INTAKE_NO_NEED, NULL) &&
         check_window(call, body) &&
         intake_check_range(call, body->urgency, PD_URGENCY_ROUTINE, PD_URGENCY_EMERGENCY,
                            INTAKE_NO_URGENCY, NULL) &&
         intake_check_range(call, body->channel, PD_CHANNEL_MINIPROGRAM, PD_CHANNEL_HOTLINE,
                            INTAKE_NO_CHANNEL, NULL);
}

static bool check_room(const struct intake_call *call, uint32_t need) {
  const struct intake *self = call->self;
  pd_assert(need >= 1);
  pd_assert(*self->order_of.count == *self->order_pool.taken);
  return intake_require(call, need <= self->limits.slots, INTAKE_NO_NEED_LEFT, NULL) &&
         intake_require(call, pd_pool_free(&self->order_pool) > 0, INTAKE_NO_ORDERS_LEFT, NULL) &&
         intake_require(call, pd_pool_free(&self->slot_pool) >= need, INTAKE_NO_SLOTS_LEFT, NULL);
}

static bool check_order_place(const struct intake_call *call, const struct pd_place_order *body,
                              struct pd_lonlat *place) {
  static const struct intake_point_names names = {
      .point = "place_order.point",
      .datum = "place_order.point.datum",
      .lon = "place_order.point.lon_e7",
      .lat = "place_order.point.lat_e7",
  };
  return intake_check_place(call, body->point, &names, place);
}

static void say_placed(const struct intake_call *call, const struct pd_place_order *body,
                       struct pd_lonlat place) {
  struct pd_square square = pd_geo_square(place);
  struct pd_cell cell = PD_CELL_INIT;
  cell.x = square.x;
  cell.y = square.y;
  struct pd_order_placed said = PD_ORDER_PLACED_INIT;
  said.order = call->self->facts->last_order + 1;
  said.requester = body->requester;
  said.kind = body->kind;
  said.category = body->category;
  said.cell = &cell;
  said.site = intake_site_near(call->self, place);
  said.n_skills = body->n_skills;
  said.skills = body->skills;
  said.need = body->need;
  said.window_start_ms = body->window_start_ms;
  said.window_end_ms = body->window_end_ms;
  said.minutes = body->minutes;
  said.urgency = body->urgency;
  said.channel = body->channel;
  said.sensitive = body->sensitive;
  said.dangerous = body->dangerous;
  said.gender = body->gender;
  said.n_demands = body->n_demands;
  said.demands = body->demands;
  said.place = call->request->place;
  said.note = call->request->note;
  pd_emit_order_placed(call->out, &said);
  pd_assert(call->self->facts->last_order == said.order);
  pd_assert(intake_order_find(call->self, said.order) != NULL);
}

bool intake_place_order(struct intake_call *call) {
  pd_assert(call->command->body_case == PD_COMMAND_PLACE_ORDER);
  const struct pd_place_order *body = call->command->place_order;
  uint32_t requester = PD_NONE;
  struct pd_lonlat place = {0};
  bool right = intake_check_person(call, body->requester, call->rule->person, &requester) &&
               intake_check_actor(call, requester) && check_wish(call, body) &&
               check_order_place(call, body, &place) && check_room(call, body->need);
  if (right) say_placed(call, body, place);
  return right;
}

bool intake_cancel_order(struct intake_call *call) {
  pd_assert(call->command->body_case == PD_COMMAND_CANCEL_ORDER);
  struct pd_order_cancelled said = PD_ORDER_CANCELLED_INIT;
  said.order = call->command->cancel_order->order;
  struct intake_order *order = NULL;
  bool right = intake_check_order(call, said.order, &order) &&
               intake_check_actor(call, order->requester) &&
               intake_check_move(call, order, INTAKE_CANCEL);
  if (!right) return false;
  pd_emit_order_cancelled(call->out, &said);
  intake_close(said.order, PD_ORDER_STATE_CANCELLED, call->out);
  pd_assert(intake_order_find(call->self, said.order) == NULL);
  return true;
}

static bool check_offer(const struct intake_call *call, uint64_t number,
                        struct intake_offer **offer) {
  pd_assert(offer != NULL);
  *offer = intake_offer_find(call->self, number);
  if (*offer == NULL) {
    bool ended = number > 0 && number <= call->self->facts->last_offer;
    return intake_refuse(call, ended ? INTAKE_NO_OFFER_GONE : INTAKE_NO_OFFER, NULL);
  }
  bool running = intake_order_find(call->self, (*offer)->order) != NULL;
  return intake_check_actor(call, (*offer)->volunteer) &&
         intake_require(call, (*offer)->answered == 0, INTAKE_NO_OFFER_ANSWERED, NULL) &&
         intake_require(call, running, INTAKE_NO_OFFER_ENDED, NULL);
}

bool intake_answer_offer(struct intake_call *call) {
  pd_assert(call->command->body_case == PD_COMMAND_ANSWER_OFFER);
  const struct pd_answer_offer *body = call->command->answer_offer;
  struct intake_offer *offer = NULL;
  bool right =
      check_offer(call, body->offer, &offer) &&
      intake_check_range(call, body->reason, PD_DECLINE_REASON_UNSPECIFIED,
                         PD_DECLINE_REASON_UNWELL, INTAKE_NO_REASON, NULL) &&
      intake_require(call, !body->accept || body->reason == 0, INTAKE_NO_REASON_ACCEPT, NULL);
  if (!right) return false;
  struct pd_offer_answered said = PD_OFFER_ANSWERED_INIT;
  said.offer = body->offer;
  said.order = offer->order;
  said.volunteer = pd_bytes(&call->self->persons[offer->volunteer].id);
  said.accept = body->accept;
  said.reason = body->reason;
  pd_emit_offer_answered(call->out, &said);
  pd_assert(offer->answered);
  return true;
}

/* A helper's move: the order, the slot in the state that the move needs, and the helper himself at
 * his own door. */
static struct intake_slot *check_helper(const struct intake_call *call, uint64_t number,
                                        uint32_t slot_number, enum intake_move move) {
  enum intake_slot_state needed = move == INTAKE_FINISH ? INTAKE_SLOT_STARTED : INTAKE_SLOT_BOOKED;
  pd_assert(call->rule->slot != NULL);
  struct intake_order *order = NULL;
  bool there =
      intake_check_order(call, number, &order) &&
      intake_check_range(call, slot_number, 1, order->need, INTAKE_NO_SLOT, call->rule->slot);
  if (!there) return NULL;
  struct intake_slot *slot = intake_slot_of(call->self, order, slot_number);
  bool free = slot->state == INTAKE_SLOT_FREE || slot->state == INTAKE_SLOT_DROPPED;
  bool right =
      (free || intake_check_actor(call, slot->volunteer)) && intake_check_move(call, order, move) &&
      intake_require(call, slot->state == needed,
                     move == INTAKE_FINISH ? INTAKE_NO_SLOT_STARTED : INTAKE_NO_SLOT_BOOKED,
                     call->rule->slot);
  return right ? slot : NULL;
}

static ProtobufCBinaryData helper_of(const struct intake_call *call,
                                     const struct intake_slot *slot) {
  pd_assert(slot->volunteer < call->self->facts->persons);
  return pd_bytes(&call->self->persons[slot->volunteer].id);
}

/* Protobuf-c has no const strings; nothing writes to a message that is packed. */
static char *principal_of(const struct intake_call *call) {
  pd_assert(strnlen(call->request->principal, PD_PRINCIPAL_MAX + 1) <= PD_PRINCIPAL_MAX);
  return (char *)call->request->principal;
}

bool intake_withdraw(struct intake_call *call) {
  pd_assert(call->command->body_case == PD_COMMAND_WITHDRAW);
  const struct pd_withdraw *body = call->command->withdraw;
  struct intake_slot *slot = check_helper(call, body->order, body->slot, INTAKE_WITHDRAW);
  if (slot == NULL) return false;
  struct pd_volunteer_withdrew said = PD_VOLUNTEER_WITHDREW_INIT;
  said.order = body->order;
  said.slot = body->slot;
  said.volunteer = helper_of(call, slot);
  pd_emit_volunteer_withdrew(call->out, &said);
  pd_assert(slot->state == INTAKE_SLOT_FREE || slot->state == INTAKE_SLOT_DROPPED);
  intake_settle(call->self, body->order, call->out);
  return true;
}

bool intake_start_service(struct intake_call *call) {
  pd_assert(call->command->body_case == PD_COMMAND_START_SERVICE);
  const struct pd_start_service *body = call->command->start_service;
  struct intake_slot *slot = check_helper(call, body->order, body->slot, INTAKE_START);
  if (slot == NULL) return false;
  struct pd_service_started said = PD_SERVICE_STARTED_INIT;
  said.order = body->order;
  said.slot = body->slot;
  said.volunteer = helper_of(call, slot);
  said.principal = principal_of(call);
  pd_emit_service_started(call->out, &said);
  pd_assert(slot->state == INTAKE_SLOT_STARTED && slot->started_ms == call->now_ms);
  return true;
}

/* Whole minutes from start to finish; a service counts at least one and at most a day. */
static uint32_t minutes_served(int64_t started_ms, int64_t now_ms) {
  int64_t minutes = (now_ms - started_ms) / PD_MINUTE_MS;
  if (minutes < 1) return 1;
  return minutes > MINUTES_MAX ? MINUTES_MAX : (uint32_t)minutes;
}

bool intake_finish_service(struct intake_call *call) {
  pd_assert(call->command->body_case == PD_COMMAND_FINISH_SERVICE);
  const struct pd_finish_service *body = call->command->finish_service;
  struct intake_slot *slot = check_helper(call, body->order, body->slot, INTAKE_FINISH);
  if (slot == NULL) return false;
  struct pd_service_finished said = PD_SERVICE_FINISHED_INIT;
  said.order = body->order;
  said.slot = body->slot;
  said.volunteer = helper_of(call, slot);
  said.minutes = minutes_served(slot->started_ms, call->now_ms);
  said.principal = principal_of(call);
  pd_emit_service_finished(call->out, &said);
  pd_assert(slot->state == INTAKE_SLOT_FINISHED && slot->minutes == said.minutes);
  intake_settle(call->self, body->order, call->out);
  return true;
}

/* Every slot that will be confirmed was served at least as long as is granted. */
static bool check_granted(const struct intake_call *call, const struct intake_order *order,
                          const struct pd_confirm_service *body) {
  pd_assert(body->slot <= order->need);
  for (uint32_t number = 1; number <= order->need; number++) {
    const struct intake_slot *slot = intake_slot_of(call->self, order, number);
    bool meant = body->slot == 0 || body->slot == number;
    if (!meant || slot->state != INTAKE_SLOT_FINISHED) continue;
    if (body->minutes > slot->minutes) return intake_refuse(call, INTAKE_NO_CONFIRM_MINUTES, NULL);
  }
  return true;
}

static bool check_confirmed_slot(const struct intake_call *call, const struct intake_order *order,
                                 uint32_t number) {
  pd_assert(call->rule->slot != NULL);
  pd_assert(order->need >= 1);
  if (number == 0) {
    return intake_require(call, order->slots[INTAKE_SLOT_FINISHED] > 0, INTAKE_NO_UNCONFIRMED,
                          call->rule->slot);
  }
  if (!intake_check_range(call, number, 1, order->need, INTAKE_NO_SLOT, call->rule->slot))
    return false;
  const struct intake_slot *slot = intake_slot_of(call->self, order, number);
  return intake_require(call, slot->state == INTAKE_SLOT_FINISHED, INTAKE_NO_SLOT_FINISHED,
                        call->rule->slot);
}

/* The last confirmation of an order leaves nobody who serves, is booked, or waits to be confirmed.
 */
static bool is_last(const struct intake_order *order) {
  pd_assert(order->slots[INTAKE_SLOT_FINISHED] > 0);
  return order->slots[INTAKE_SLOT_FINISHED] == 1 && order->slots[INTAKE_SLOT_BOOKED] == 0 &&
         order->slots[INTAKE_SLOT_STARTED] == 0;
}

static void say_confirmed(const struct intake_call *call, const struct intake_order *order,
                          const struct intake_slot *slot, uint32_t minutes) {
  pd_assert(slot->state == INTAKE_SLOT_FINISHED);
  pd_assert(minutes <= slot->minutes);
  struct pd_service_confirmed said = PD_SERVICE_CONFIRMED_INIT;
  said.order = order->number;
  said.slot = slot->number;
  said.volunteer = helper_of(call, slot);
  said.minutes = minutes != 0 ? minutes : slot->minutes;
  said.principal = principal_of(call);
  said.last = is_last(order);
  pd_emit_service_confirmed(call->out, &said);
  pd_assert(slot->state == INTAKE_SLOT_CONFIRMED);
  pd_assert(!said.last || order->state == PD_ORDER_STATE_CONFIRMED);
}

bool intake_confirm_service(struct intake_call *call) {
  pd_assert(call->command->body_case == PD_COMMAND_CONFIRM_SERVICE);
  const struct pd_confirm_service *body = call->command->confirm_service;
  struct intake_order *order = NULL;
  bool right = intake_check_order(call, body->order, &order) &&
               intake_check_actor(call, order->requester) &&
               intake_check_move(call, order, INTAKE_CONFIRM) &&
               check_confirmed_slot(call, order, body->slot) && check_granted(call, order, body);
  if (!right) return false;
  for (uint32_t number = 1; number <= order->need; number++) {
    const struct intake_slot *slot = intake_slot_of(call->self, order, number);
    bool meant = body->slot == 0 || body->slot == number;
    if (meant && slot->state == INTAKE_SLOT_FINISHED)
      say_confirmed(call, order, slot, body->minutes);
  }
  intake_settle(call->self, body->order, call->out);
  return true;
}

bool intake_rate_order(struct intake_call *call) {
  pd_assert(call->command->body_case == PD_COMMAND_RATE_ORDER);
  const struct pd_rate_order *body = call->command->rate_order;
  struct intake_order *order = NULL;
  bool right = intake_check_order(call, body->order, &order) &&
               intake_check_actor(call, order->requester) &&
               intake_check_range(call, body->stars, 1, STARS_MAX, INTAKE_NO_STARS, NULL) &&
               intake_check_text(call, body->comment, 0, NOTE_MAX, INTAKE_NO_COMMENT, NULL) &&
               intake_check_move(call, order, INTAKE_RATE) &&
               intake_require(call, !order->rated, INTAKE_NO_RATED, call->rule->order);
  if (!right) return false;
  struct pd_order_rated said = PD_ORDER_RATED_INIT;
  said.order = body->order;
  said.stars = body->stars;
  said.comment = call->request->note;
  pd_emit_order_rated(call->out, &said);
  pd_assert(order->rated);
  intake_settle(call->self, body->order, call->out);
  return true;
}

bool intake_decide_hold(struct intake_call *call) {
  pd_assert(call->command->body_case == PD_COMMAND_DECIDE_HOLD);
  const struct pd_decide_hold *body = call->command->decide_hold;
  if (!intake_require(call, body->hold > 0, INTAKE_NO_HOLD, NULL)) return false;
  struct pd_hold_decided said = PD_HOLD_DECIDED_INIT;
  said.hold = body->hold;
  said.approve = body->approve;
  said.principal = principal_of(call);
  pd_emit_hold_decided(call->out, &said);
  return true;
}
