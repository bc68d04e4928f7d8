/* The matcher's promises, from its own view of the logs: who may be invited (every hard rule, again
 * and naively), offers that end once, slots that are won once, nobody in two places at once (P4).
 */
#include "tests/sim/sim_judge.h"

#include <math.h>
#include <string.h>

/* ---- the rules ---- */

double judge_metres(const struct view_order *order, const struct view_person *person) {
  const double degree = 3.14159265358979323846 / 180;
  double a = sin((order->lat - person->lat) * degree / 2);
  double b = sin((order->lon - person->lon) * degree / 2);
  double h = a * a + cos(order->lat * degree) * cos(person->lat * degree) * b * b;
  return 2 * 6371008.8 * asin(sqrt(h));
}

static bool has_hours(const struct view_person *person, int64_t start_ms, int64_t end_ms) {
  for (int64_t hour = view_hour(start_ms); hour <= view_hour(end_ms - 1); hour++)
    if ((person->days[hour / 24 % 7] >> hour % 24 & 1) == 0) return false;
  return true;
}

/* Walks every slot of every order: does this person hold one at that time? */
static const struct view_slot *busy(const struct view *view, uint32_t person, int64_t start_ms,
                                    int64_t end_ms) {
  for (uint64_t i = 1; i <= view->order_count; i++) {
    const struct view_order *order = &view->orders[i];
    if (order->number == 0 || order->closed) continue;
    for (uint32_t s = 1; s <= order->need; s++) {
      const struct view_slot *slot = &order->slots[s];
      if (slot->holder == person + 1 && slot->start_ms < end_ms && start_ms < slot->end_ms)
        return slot;
    }
  }
  return NULL;
}

static uint32_t booked_in_week(const struct view *view, uint32_t person, int64_t start_ms) {
  uint32_t count = 0;
  for (uint64_t i = 1; i <= view->order_count; i++) {
    const struct view_order *order = &view->orders[i];
    if (order->number == 0 || order->closed) continue;
    for (uint32_t s = 1; s <= order->need; s++)
      count += order->slots[s].holder == person + 1 &&
               view_hour(order->slots[s].start_ms) / 168 == view_hour(start_ms) / 168;
  }
  return count;
}

/* Every other service of this person, far enough away from that time? */
static bool has_rested(const struct view *view, uint32_t person, int64_t start_ms,
                       int64_t end_ms) {
  int64_t rest_ms = SIM_REST_MIN * MINUTE;
  return busy(view, person, start_ms - rest_ms, end_ms + rest_ms) == NULL;
}

static int64_t minutes_on_day(const struct view *view, uint32_t person, int64_t start_ms) {
  int64_t sum_ms = 0;
  for (uint64_t i = 1; i <= view->order_count; i++) {
    const struct view_order *order = &view->orders[i];
    if (order->number == 0 || order->closed) continue;
    for (uint32_t s = 1; s <= order->need; s++) {
      const struct view_slot *slot = &order->slots[s];
      if (slot->holder == person + 1 && view_hour(slot->start_ms) / 24 == view_hour(start_ms) / 24)
        sum_ms += slot->end_ms - slot->start_ms;
    }
  }
  return sum_ms / MINUTE;
}

static bool was_asked(const struct judge *judge, uint64_t order, uint32_t person) {
  for (uint64_t i = 1; i <= judge->view.offer_count; i++)
    if (judge->view.offers[i].order == order && judge->view.offers[i].person == person) return true;
  return false;
}

static bool is_far(const struct view_order *order, const struct view_person *person) {
  return judge_metres(order, person) > person->radius_m + 0.01;
}

static bool has_many_offers(const struct judge *judge, const struct view_person *person) {
  return person->open_offers >= judge->view.sim->limits.offers_each;
}

static bool is_always(const struct view_order *order, const struct view_person *person) {
  return order->urgency == PD_URGENCY_EMERGENCY && person->on_call;
}

static bool is_emergency(const struct view_order *order) {
  return order->urgency == PD_URGENCY_EMERGENCY || order->kind == PD_ORDER_KIND_EMERGENCY;
}

/* Has this person an open offer of this order? */
static bool invited_now(const struct judge *judge, uint64_t order, uint32_t person) {
  for (uint64_t i = 1; i <= judge->view.offer_count; i++) {
    const struct view_offer *offer = &judge->view.offers[i];
    if (offer->order == order && offer->person == person && offer->open) return true;
  }
  return false;
}

/* Why this person may not be invited to this order, apart from time and from what was set aside;
 * NULL: no reason. */
const char *judge_objection(const struct judge *judge, const struct view_order *order,
                             uint32_t index, uint64_t waived, int64_t now_ms) {
  const struct view_person *person = &judge->view.persons[index];
  if (!person->volunteer || person->paused || person->exited) return "not active";
  if (order->requester == index) return "own order";
  if (!WAIVES(waived, ALREADY_ASKED) && was_asked(judge, order->number, index))
    return "asked before";
  if ((order->skills & ~person->skills) != 0) return "lacks a skill";
  if (!WAIVES(waived, RADIUS) && is_far(order, person)) return "too far";
  bool adults = order->urgency == PD_URGENCY_EMERGENCY || order->kind == PD_ORDER_KIND_EMERGENCY ||
                (order->skills >> PD_SKILL_RESCUE & 1) != 0;
  if (adults && view_is_minor(person)) return "a minor";
  if (order->sensitive && !person->vetted) return "not vetted";
  if (!WAIVES(waived, NOT_AUTOMATED) && !view_consents(person, now_ms)) return "no consent";
  if (view_blocked(&judge->view, index, order->requester)) return "blocked";
  if (order->gender != 0 && order->gender != person->gender) return "another gender";
  if (!WAIVES(waived, TOO_MANY_OFFERS) && has_many_offers(judge, person)) return "too many offers";
  return NULL;
}

const char *judge_objection_to_time(const struct judge *judge, const struct view_order *order,
                                     uint32_t index, int64_t start_ms, int64_t end_ms,
                                     uint64_t waived) {
  const struct view_person *person = &judge->view.persons[index];
  bool always = is_always(order, person) || WAIVES(waived, HOURS);
  if (!always && !has_hours(person, start_ms, end_ms)) return "not in these hours";
  if (busy(&judge->view, index, start_ms, end_ms) != NULL) return "booked elsewhere";
  if (!has_rested(&judge->view, index, start_ms, end_ms)) return "too little rest";
  int64_t minutes = minutes_on_day(&judge->view, index, start_ms) + (end_ms - start_ms) / MINUTE;
  if (minutes > SIM_DAY_MAX_MIN) return "the day is full";
  if (view_paper_lacks(order, person, start_ms, end_ms) != 0) return "a paper lacks";
  bool full = booked_in_week(&judge->view, index, start_ms) >= person->per_week;
  return full && !WAIVES(waived, CAPACITY) ? "week is full" : NULL;
}

/* ---- offers ---- */

static const int64_t wave_ttl[5] = {60, 60, 30, 15, 15}; /* minutes, by urgency */

/* How many may be invited: three for each free slot; once 64 answers for this kind are known, as
 * many as make twice the slots at the rate at which people say yes. */
uint32_t judge_most_offers(const struct judge *judge, const struct view_order *order) {
  uint32_t free = view_free_slots(order) - order->called, known = judge->known[order->kind];
  uint32_t yes = judge->yes[order->kind] > 0 ? judge->yes[order->kind] : 1;
  uint32_t most = known < 64 ? 3 * free : (2 * free * known + yes - 1) / yes;
  if (is_emergency(order)) most = 4 * free;
  return most < 64 ? most : 64;
}

static void note_answer(struct judge *judge, const struct view_offer *offer, bool yes) {
  if (offer->how != 0) return; /* by a wave only */
  enum pd_order_kind kind = judge->view.orders[offer->order].kind;
  judge->known[kind]++;
  judge->yes[kind] += yes;
}

/* All offers have ended; or, in an emergency, the next phase is due by scheduling's word. */
static bool may_go_on(const struct view_order *order) {
  bool due = order->due_now && order->due_ms >= order->wave_next_ms && is_emergency(order);
  return order->open_offers == order->called || due;
}

/* A phase of an emergency comes with the time of the next one, three minutes on, and looks a
 * kilometre farther each time. */
static void check_phase(struct judge *judge, const struct pd_event *event,
                        struct view_order *order) {
  const struct pd_wave_opened *body = event->wave_opened;
  int64_t next = event->time_ms + 3 * MINUTE;
  if (next > body->expires_at_ms) next = body->expires_at_ms;
  FAIL_UNLESS(judge, body->next_at_ms == next, event, "phases: the next one is due elsewhen");
  FAIL_UNLESS(judge, body->ring_m % 1000 == 0 && body->ring_m >= 1000 * body->wave, event,
              "phases: the ring of phase %u is %u m", body->wave, body->ring_m);
  order->phase_ms = event->time_ms;
}

/* Nobody who could have been asked is nearer than who was. */
static void check_nearest(const struct judge *judge, const struct pd_event *event,
                          const struct view_order *order) {
  int64_t start = order->phase_ms + LEAD > order->from_ms ? order->phase_ms + LEAD : order->from_ms;
  for (uint32_t i = 0; i < judge->view.person_count; i++) {
    const struct view_person *person = &judge->view.persons[i];
    if (!person->volunteer || judge_metres(order, person) > order->last_distance - 1.01) continue;
    if (person->ever_booked ||
        judge_objection(judge, order, i, 0, order->phase_ms) != NULL)
      continue;
    int64_t end = start + order->minutes * MINUTE;
    FAIL_UNLESS(judge, judge_objection_to_time(judge, order, i, start, end, 0) != NULL, event,
                "phases: person %u is nearer and was not asked", i);
  }
}

static void on_wave(struct judge *judge, const struct pd_event *event) {
  const struct pd_wave_opened *body = event->wave_opened;
  struct view_order *order = view_order(&judge->view, body->order);
  FAIL_UNLESS(judge, order != NULL && !order->stopped && !order->closed, event,
              "a wave for an order that is over");
  FAIL_UNLESS(judge, body->wave == order->wave + 1 && may_go_on(order), event,
              "wave %u after wave %u", body->wave, order->wave);
  FAIL_UNLESS(judge, view_free_slots(order) > order->called, event,
              "a wave for slots for which somebody is named");
  int64_t ends = event->time_ms + wave_ttl[order->urgency] * MINUTE;
  if (ends > view_latest(order)) ends = view_latest(order);
  FAIL_UNLESS(judge, body->expires_at_ms == ends, event, "a wave ends at another time");
  uint32_t most = judge_most_offers(judge, order), people = body->offers;
  FAIL_UNLESS(judge, body->offers >= 1 && body->offers <= most, event, "%u offers for %u slots",
              body->offers, view_free_slots(order));
  for (size_t i = 0; i < body->n_excluded; i++) people += body->excluded[i]->count;
  FAIL_UNLESS(judge, people == body->considered, event, "%u of %u considered people are told of",
              people, body->considered);
  if (is_emergency(order)) check_phase(judge, event, order);
  FAIL_UNLESS(judge, is_emergency(order) || (body->next_at_ms == 0 && body->ring_m == 0), event,
              "a phase of no emergency");
  order->wave_next_ms = body->next_at_ms != 0 ? body->next_at_ms : body->expires_at_ms;
  order->ring_m = body->ring_m;
  judge_join_batch(judge, event, order, false);
  order->wave = body->wave;
  order->wave_left = body->offers;
  order->wave_ends_ms = body->expires_at_ms;
  order->last_distance = 0;
  order->tried = true;
  order->due_now = false;
}

/* An offer to somebody who was named, or who asked. */
static void check_direct(struct judge *judge, const struct pd_event *event,
                         const struct view_order *order, uint32_t person) {
  const struct pd_offer_made *body = event->offer_made;
  struct judge_question *question = &judge->question;
  FAIL_UNLESS(judge,
              question->how == body->how && !question->answered &&
                  question->order == body->order && question->person == person,
              event, "direct: nobody asked for this offer");
  question->answered = true;
  int64_t ends = event->time_ms + wave_ttl[order->urgency] * MINUTE;
  if (ends > view_latest(order)) ends = view_latest(order);
  bool asked = body->how == PD_OFFER_HOW_ASKED;
  if (asked) question->offer = body->offer;
  FAIL_UNLESS(judge, body->expires_at_ms == (asked ? event->time_ms : ends), event,
              "direct: it expires elsewhen");
  FAIL_UNLESS(judge, view_free_slots(order) > 0 && !order->stopped, event,
              "direct: an offer for an order that needs nobody");
  FAIL_UNLESS(judge, !asked || (!order->sensitive && !is_emergency(order)), event,
              "direct: not in the hall");
}

/* The rules that stand aside for this offer; those of a coordinator's are told, truly. */
static uint64_t waived_by(const struct judge *judge, const struct pd_event *event,
                          const struct view_order *order, uint32_t index) {
  const struct pd_offer_made *body = event->offer_made;
  const struct view_person *person = &judge->view.persons[index];
  uint64_t told = 0;
  for (size_t i = 0; i < body->n_overruled; i++) told |= UINT64_C(1) << body->overruled[i];
  FAIL_UNLESS(judge, body->how == PD_OFFER_HOW_COMMANDED || told == 0, event,
              "direct: overruled, but by nobody");
  if (body->how == 0) return 0;
  FAIL_UNLESS(judge, !invited_now(judge, order->number, index), event,
              "direct: has an open offer of this order");
  if (body->how == PD_OFFER_HOW_ASKED) return BIT(ALREADY_ASKED) | BIT(NOT_AUTOMATED);
  FAIL_UNLESS(judge, (told & ~MAY_OVERRULE) == 0, event,
              "direct: overruled what nobody may overrule");
  bool right = WAIVES(told, ALREADY_ASKED) == was_asked(judge, order->number, index) &&
               WAIVES(told, RADIUS) == is_far(order, person) &&
               WAIVES(told, TOO_MANY_OFFERS) == has_many_offers(judge, person) &&
               WAIVES(told, NOT_AUTOMATED) == !view_consents(person, event->time_ms);
  FAIL_UNLESS(judge, right, event, "direct: what was overruled is not told as it is");
  return told;
}

static void check_offer(struct judge *judge, const struct pd_event *event,
                        const struct view_order *order, uint32_t person) {
  const struct pd_offer_made *body = event->offer_made;
  uint64_t waived = waived_by(judge, event, order, person);
  const char *why = judge_objection(judge, order, person, waived, event->time_ms);
  FAIL_UNLESS(judge, why == NULL, event, "rules: invited, but %s", why);
  why = judge_objection_to_time(judge, order, person, body->start_ms, body->end_ms, waived);
  FAIL_UNLESS(judge, why == NULL, event, "rules: invited, but %s", why);
  bool time = body->start_ms >= order->from_ms && body->start_ms >= event->time_ms + LEAD &&
              body->end_ms == body->start_ms + order->minutes * MINUTE &&
              body->end_ms <= order->to_ms;
  FAIL_UNLESS(judge, time, event, "rules: a time outside the window");
  double distance = judge_metres(order, &judge->view.persons[person]);
  FAIL_UNLESS(judge, fabs(body->distance_m - distance) < 1.01, event, "rules: %u m for %g m",
              body->distance_m, distance);
  FAIL_UNLESS(judge, body->how != 0 || body->distance_m >= order->last_distance, event,
              "rules: the nearer come first");
}

static void on_offer(struct judge *judge, const struct pd_event *event) {
  const struct pd_offer_made *body = event->offer_made;
  struct view *view = &judge->view;
  struct view_order *order = view_order(view, body->order);
  uint32_t person = view_person(view, body->volunteer);
  FAIL_UNLESS(judge, order != NULL && body->wave == order->wave, event,
              "an offer outside its wave");
  FAIL_UNLESS(judge, body->how != 0 || order->wave_left > 0, event, "an offer outside its wave");
  FAIL_UNLESS(
      judge,
      body->offer >= 1 && body->offer <= view->offer_count && view->offers[body->offer].order == 0,
      event, "offer %llu was made before", (unsigned long long)body->offer);
  FAIL_UNLESS(judge, body->how != 0 || body->expires_at_ms == order->wave_ends_ms, event,
              "it expires elsewhen");
  if (body->how != 0) check_direct(judge, event, order, person);
  check_offer(judge, event, order, person);
  view->offers[body->offer] = (struct view_offer){.order = body->order,
                                                  .person = person,
                                                  .open = true,
                                                  .how = body->how,
                                                  .start_ms = body->start_ms,
                                                  .end_ms = body->end_ms,
                                                  .expires_ms = body->expires_at_ms};
  if (body->how == 0) {
    order->wave_left--;
    order->last_distance = body->distance_m;
    FAIL_UNLESS(judge, order->ring_m == 0 || body->distance_m <= order->ring_m, event,
                "phases: outside the ring");
  }
  if (body->how == 0) judge_note_invited(judge, person, body->distance_m);
  judge_note_load(judge, person, event->time_ms);
  if (body->offer > judge->last_offer) judge->last_offer = body->offer;
  order->called += body->how == PD_OFFER_HOW_COMMANDED;
  order->open_offers++;
  view->persons[person].open_offers++;
  FAIL_UNLESS(judge, ++judge->open_offers <= view->sim->limits.offers, event,
              "limits: more open offers than the shard holds");
  bool last = body->how == 0 && order->wave_left == 0;
  if (last && order->ring_m != 0) check_nearest(judge, event, order);
}

/* The offer that ends here; it must be open. */
static struct view_offer *end_offer(struct judge *judge, const struct pd_event *event,
                                    uint64_t number, uint64_t of, ProtobufCBinaryData person) {
  struct view *view = &judge->view;
  struct view_offer *offer = &view->offers[number <= view->offer_count ? number : 0];
  FAIL_UNLESS(judge, offer->open, event, "offer %llu ends, but is not open",
              (unsigned long long)number);
  FAIL_UNLESS(judge, offer->order == of && offer->person == view_person(view, person), event,
              "offer %llu is another's", (unsigned long long)number);
  struct view_order *order = &view->orders[offer->order];
  offer->open = false;
  order->called -= offer->how == PD_OFFER_HOW_COMMANDED;
  order->open_offers--;
  judge->open_offers--;
  view->persons[offer->person].open_offers--;
  if (order->open_offers == 0 && offer->how != PD_OFFER_HOW_ASKED) order->tried = false;
  return offer;
}

static bool is_reason(const struct judge *judge, const struct view_offer *offer,
                      enum pd_reason reason, int64_t now_ms) {
  const struct view_order *order = &judge->view.orders[offer->order];
  const struct view_person *person = &judge->view.persons[offer->person];
  bool yes = offer->answered > 0, begun = offer->start_ms < now_ms;
  bool taken = busy(&judge->view, offer->person, offer->start_ms, offer->end_ms) != NULL || begun;
  bool full = booked_in_week(&judge->view, offer->person, offer->start_ms) >= person->per_week;
  if (reason == PD_REASON_DECLINED) return offer->answered < 0;
  if (offer->answered < 0) return false;
  if (reason == PD_REASON_SILENT) return order->due_ms >= offer->expires_ms && !yes;
  if (reason == PD_REASON_FILLED) return view_free_slots(order) == 0;
  if (reason == PD_REASON_ORDER_ENDED) return order->stopped;
  if (reason == PD_REASON_INACTIVE) return person->paused || person->exited;
  if (reason == PD_REASON_OVERLAP) return yes && (taken || person->ever_booked);
  if (reason == PD_REASON_CAPACITY) return yes && (full || begun || person->ever_booked);
  if (reason == PD_REASON_HOURS) return yes && begun;
  if (reason == PD_REASON_BLOCKED)
    return view_blocked(&judge->view, offer->person, order->requester);
  if (reason == PD_REASON_REST || reason == PD_REASON_DAY_FULL) return yes;
  if (reason >= PD_REASON_HEALTH && reason <= PD_REASON_INSURANCE)
    return yes &&
           (begun || view_paper_lacks(order, person, offer->start_ms, offer->end_ms) == reason);
  return reason == PD_REASON_FULL && yes;
}

static void on_offer_closed(struct judge *judge, const struct pd_event *event) {
  const struct pd_offer_closed *body = event->offer_closed;
  const struct view_offer *offer =
      end_offer(judge, event, body->offer, body->order, body->volunteer);
  FAIL_UNLESS(judge, is_reason(judge, offer, body->reason, event->time_ms), event,
              "offer %llu ended with reason %d, which is not so", (unsigned long long)body->offer,
              (int)body->reason);
  if (body->reason == PD_REASON_DECLINED || body->reason == PD_REASON_SILENT)
    note_answer(judge, offer, false);
}

static uint32_t ranked_lower(const struct pd_order_unmatched *body) {
  for (size_t i = 0; i < body->n_excluded; i++)
    if (body->excluded[i]->reason == PD_REASON_RANKED_LOWER) return body->excluded[i]->count;
  return 0;
}

/* Nobody can be invited?  Then nobody may be whom every rule lets through at the earliest time, but
 * those whose last free offers the same batch gives to other orders: they are told as RANKED_LOWER,
 * and hear of the others a few events later. */
static void check_unmatched(struct judge *judge, const struct pd_event *event,
                            const struct view_order *order) {
  int64_t start = event->time_ms + LEAD > order->from_ms ? event->time_ms + LEAD : order->from_ms;
  if (start > view_latest(order)) return;
  uint32_t given_away = ranked_lower(event->order_unmatched), free = 0;
  for (uint32_t i = 0; i < judge->view.person_count; i++) {
    if (judge->view.persons[i].ever_booked ||
        judge_objection(judge, order, i, 0, event->time_ms) != NULL)
      continue;
    const char *why =
        judge_objection_to_time(judge, order, i, start, start + order->minutes * MINUTE, 0);
    if (why == NULL) free++;
    FAIL_UNLESS(judge, free <= given_away, event,
                "rules: unmatched, but person %u could be invited", i);
  }
}

static void on_unmatched(struct judge *judge, const struct pd_event *event) {
  const struct pd_order_unmatched *body = event->order_unmatched;
  struct view_order *order = view_order(&judge->view, body->order);
  FAIL_UNLESS(judge, order != NULL && !order->stopped && may_go_on(order), event,
              "unmatched, but over or invited");
  uint32_t people = 0;
  bool full = false;
  for (size_t i = 0; i < body->n_excluded; i++) {
    people += body->excluded[i]->count;
    full = full || body->excluded[i]->reason == PD_REASON_FULL;
  }
  FAIL_UNLESS(judge, people == body->considered && body->wave == order->wave + 1, event,
              "unmatched: %u of %u told of", people, body->considered);
  order->tried = true;
  order->due_now = false;
  judge_join_batch(judge, event, order, full);
  if (!full) check_unmatched(judge, event, order);
}

/* One of the hard rules. */
static bool is_rule(enum pd_reason reason) {
  return reason < PD_REASON_RANKED_LOWER ||
         (reason >= PD_REASON_NOT_AUTOMATED && reason <= PD_REASON_DAY_FULL);
}

static bool denied_rightly(const struct judge *judge, const struct pd_event *event,
                           const struct view_order *order, uint32_t person) {
  const struct pd_offer_denied *body = event->offer_denied;
  bool asked = body->how == PD_OFFER_HOW_ASKED;
  if (order->stopped) return body->reason == PD_REASON_ORDER_ENDED;
  if (asked && (order->sensitive || is_emergency(order)))
    return body->reason == PD_REASON_HALL_CLOSED;
  if (view_free_slots(order) == 0) return body->reason == PD_REASON_FILLED;
  if (invited_now(judge, order->number, person)) return body->reason == PD_REASON_ALREADY_ASKED;
  if (body->reason == PD_REASON_FULL) return true;
  int64_t start = event->time_ms + LEAD > order->from_ms ? event->time_ms + LEAD : order->from_ms;
  if (start > view_latest(order)) return body->reason == PD_REASON_TOO_LATE;
  uint64_t waived = asked ? BIT(ALREADY_ASKED) | BIT(NOT_AUTOMATED) : MAY_OVERRULE;
  if (judge_objection(judge, order, person, waived, event->time_ms) != NULL)
    return is_rule(body->reason);
  if (judge->view.persons[person].ever_booked) return is_rule(body->reason);
  int64_t end = start + order->minutes * MINUTE;
  return judge_objection_to_time(judge, order, person, start, end, waived) != NULL;
}

/* What was asked for is not to be had: something stands against it, and it is what is told. */
static void on_denied(struct judge *judge, const struct pd_event *event) {
  const struct pd_offer_denied *body = event->offer_denied;
  struct judge_question *question = &judge->question;
  const struct view_order *order = view_order(&judge->view, body->order);
  uint32_t person = view_person(&judge->view, body->volunteer);
  bool asked = question->how == body->how && !question->answered &&
               question->order == body->order && question->person == person;
  FAIL_UNLESS(judge, asked && order != NULL, event, "direct: nobody asked for what is denied");
  question->answered = true;
  FAIL_UNLESS(judge, denied_rightly(judge, event, order, person), event,
              "direct: denied for reason %d, which is not so", (int)body->reason);
}

/* ---- bookings ---- */

static struct view_slot *slot_of(struct judge *judge, const struct pd_event *event, uint64_t number,
                                 uint32_t slot) {
  struct view_order *order = view_order(&judge->view, number);
  bool known = order != NULL && !order->closed && slot >= 1 && slot <= order->need;
  FAIL_UNLESS(judge, known, event, "P4 a slot of an order that is over, or no slot");
  return &order->slots[slot];
}

/* By an offer that was accepted in time. */
static void check_won(struct judge *judge, const struct pd_event *event,
                      const struct view_order *order, uint32_t person) {
  const struct pd_slot_filled *body = event->slot_filled;
  const struct view_offer *offer =
      end_offer(judge, event, body->offer, body->order, body->volunteer);
  bool asked = offer->how == PD_OFFER_HOW_ASKED && judge->question.offer == body->offer;
  FAIL_UNLESS(judge, offer->answered > 0 || asked, event, "P4 booked without a yes");
  if (asked) judge->question.offer = 0;
  note_answer(judge, offer, true);
  FAIL_UNLESS(judge, !order->stopped, event, "P4 booked after the order's end");
  const struct view_person *who = &judge->view.persons[person];
  FAIL_UNLESS(judge, !who->paused && !who->exited, event, "P4 booked, but not active");
  bool as_offered = body->start_ms == offer->start_ms && body->end_ms == offer->end_ms;
  bool later = offer->start_ms < event->time_ms && body->start_ms >= event->time_ms;
  FAIL_UNLESS(judge, as_offered || later, event, "P4 booked for another time");
  bool full = booked_in_week(&judge->view, person, body->start_ms) >= who->per_week;
  FAIL_UNLESS(judge, !full || offer->how == PD_OFFER_HOW_COMMANDED, event,
              "P4 booked in a week that is full");
  for (uint32_t slot = 1; slot < body->slot; slot++)
    FAIL_UNLESS(judge, order->slots[slot].holder != 0, event, "P4 slot %u was free", slot);
  FAIL_UNLESS(judge, has_rested(&judge->view, person, body->start_ms, body->end_ms), event,
              "P4 booked without rest");
  int64_t minutes = minutes_on_day(&judge->view, person, body->start_ms) + order->minutes;
  FAIL_UNLESS(judge, minutes <= SIM_DAY_MAX_MIN, event, "P4 booked for a day that is full");
}

/* Without an offer: who has started keeps the slot, who made room for that moves. */
static void check_kept(struct judge *judge, const struct pd_event *event,
                       const struct view_slot *slot, uint32_t person) {
  const struct pd_slot_filled *body = event->slot_filled;
  bool moved = judge->moved == person + 1 && !body->started;
  bool kept = slot->claimed == person + 1 && body->started;
  FAIL_UNLESS(judge, moved || kept, event, "P4 booked without an offer");
  if (moved) judge->moved = 0;
}

static void on_filled(struct judge *judge, const struct pd_event *event) {
  const struct pd_slot_filled *body = event->slot_filled;
  struct view_slot *slot = slot_of(judge, event, body->order, body->slot);
  struct view_order *order = view_order(&judge->view, body->order);
  uint32_t person = view_person(&judge->view, body->volunteer);
  FAIL_UNLESS(judge, slot->holder == 0, event, "P4 slot %u is won twice", body->slot);
  if (body->offer != 0)
    check_won(judge, event, order, person);
  else
    check_kept(judge, event, slot, person);
  const struct view_slot *other = busy(&judge->view, person, body->start_ms, body->end_ms);
  bool begun = other != NULL && other->started && body->started;
  FAIL_UNLESS(judge, other == NULL || begun, event, "P4 a volunteer in two places at once");
  bool time = body->start_ms >= order->from_ms && body->end_ms <= order->to_ms &&
              body->end_ms - body->start_ms == order->minutes * MINUTE;
  FAIL_UNLESS(judge, time, event, "P4 booked outside the window");
  *slot = (struct view_slot){.holder = person + 1,
                             .started = body->started != 0,
                             .claimed = slot->claimed,
                             .start_ms = body->start_ms,
                             .end_ms = body->end_ms};
  judge->view.persons[person].ever_booked = true;
  if (view_free_slots(order) == 0) order->tried = true;
}

/* Has this person started somewhere where somebody else, or nobody, is booked? */
static bool has_claim(const struct view *view, uint32_t person) {
  for (uint64_t i = 1; i <= view->order_count; i++)
    for (uint32_t s = 1; s <= view->orders[i].need; s++)
      if (view->orders[i].slots[s].claimed == person + 1 && !view->orders[i].slots[s].started)
        return true;
  return false;
}

static void on_reopened(struct judge *judge, const struct pd_event *event) {
  const struct pd_slot_reopened *body = event->slot_reopened;
  struct view_slot *slot = slot_of(judge, event, body->order, body->slot);
  uint32_t person = view_person(&judge->view, body->volunteer);
  FAIL_UNLESS(judge, slot->holder == person + 1, event, "P4 reopened, but another's");
  FAIL_UNLESS(judge, !slot->started, event, "P4 reopened after the start");
  bool inactive = body->reason == PD_REASON_INACTIVE && judge->view.persons[person].exited;
  bool replaced = body->reason == PD_REASON_FILLED && slot->claimed != 0;
  bool elsewhere = body->reason == PD_REASON_OVERLAP && has_claim(&judge->view, person);
  const struct view_order *of = view_order(&judge->view, body->order);
  const struct view_person *who = &judge->view.persons[person];
  bool paper = body->reason >= PD_REASON_HEALTH &&
               body->reason == view_paper_lacks(of, who, slot->start_ms, slot->end_ms);
  bool blocked =
      body->reason == PD_REASON_BLOCKED && view_blocked(&judge->view, person, of->requester);
  FAIL_UNLESS(judge, slot->must_reopen || inactive || replaced || elsewhere || paper || blocked,
              event, "P4 reopened without a reason");
  if (replaced) judge->moved = person + 1;
  *slot = (struct view_slot){.claimed = slot->claimed};
  struct view_order *order = view_order(&judge->view, body->order);
  order->tried = order->open_offers > 0;
}

static void on_staffed(struct judge *judge, const struct pd_event *event) {
  const struct view_order *order = view_order(&judge->view, event->order_staffed->order);
  FAIL_UNLESS(judge, order != NULL && view_free_slots(order) == 0, event,
              "staffed, but a slot is free");
  FAIL_UNLESS(judge, order->open_offers == 0, event, "staffed, but offers are open");
}

/* ---- inputs ---- */

/* A booking is over by this fact, unless somebody has started. */
static void must_reopen(struct judge *judge, uint64_t number, uint32_t slot,
                        ProtobufCBinaryData person) {
  struct view_order *order = view_order(&judge->view, number);
  if (order == NULL || order->closed || slot < 1 || slot > order->need) return;
  struct view_slot *at = &order->slots[slot];
  if (at->holder == view_person(&judge->view, person) + 1 && !at->started) at->must_reopen = true;
}

static void on_answer(struct judge *judge, const struct pd_event *event) {
  const struct pd_offer_answered *body = event->offer_answered;
  struct view_offer *offer = &judge->view.offers[body->offer];
  judge->offer = body->offer;
  if (offer->open) offer->answered = body->accept ? 1 : -1;
}

static void on_started(struct judge *judge, const struct pd_event *event) {
  const struct pd_service_started *body = event->service_started;
  struct view_order *order = view_order(&judge->view, body->order);
  uint32_t person = view_person(&judge->view, body->volunteer) + 1;
  FAIL_UNLESS(judge, order != NULL, event, "started in an order that is not there");
  struct view_slot *slot = &order->slots[body->slot];
  slot->claimed = person;
  if (slot->holder == person) slot->started = true;
}

static void on_order_over(struct judge *judge, uint64_t number, bool closed) {
  struct view_order *order = view_order(&judge->view, number);
  judge->order = number;
  if (order == NULL) return;
  order->stopped = true;
  for (uint32_t i = 1; closed && !order->closed && i <= order->need; i++)
    if (order->slots[i].started && order->slots[i].holder != 0)
      judge->view.persons[order->slots[i].holder - 1].served = order->requester + 1;
  if (closed && !order->closed) judge->open_orders--;
  order->closed = order->closed || closed;
}

static void on_question(struct judge *judge, uint64_t order, ProtobufCBinaryData person,
                        enum pd_offer_how how) {
  judge->question = (struct judge_question){
      .order = order, .person = view_person(&judge->view, person), .how = how};
}

static void on_input(struct judge *judge, const struct pd_event *event) {
  judge->order = judge->offer = 0;
  judge->person = 0;
  judge->question = (struct judge_question){0};
  if (event->body_case == PD_EVENT_OFFER_COMMANDED)
    on_question(judge, event->offer_commanded->order, event->offer_commanded->volunteer,
                PD_OFFER_HOW_COMMANDED);
  if (event->body_case == PD_EVENT_ORDER_ASKED)
    on_question(judge, event->order_asked->order, event->order_asked->volunteer,
                PD_OFFER_HOW_ASKED);
  view_registry(&judge->view, event);
  if (event->body_case == PD_EVENT_VOLUNTEER_PAUSED)
    judge->person = 1 + view_person(&judge->view, event->volunteer_paused->person);
  if (event->body_case == PD_EVENT_PERSON_ERASED)
    judge->person = 1 + view_person(&judge->view, event->person_erased->person);
  if (event->body_case == PD_EVENT_ORDER_PLACED) {
    judge->order = event->order_placed->order;
    FAIL_UNLESS(judge, ++judge->open_orders <= judge->view.sim->limits.orders, event,
                "limits: more orders than the shard holds");
  }
  if (event->body_case == PD_EVENT_OFFER_ANSWERED) on_answer(judge, event);
  if (event->body_case == PD_EVENT_SERVICE_STARTED) on_started(judge, event);
  if (event->body_case == PD_EVENT_VOLUNTEER_WITHDREW)
    must_reopen(judge, event->volunteer_withdrew->order, event->volunteer_withdrew->slot,
                event->volunteer_withdrew->volunteer);
  if (event->body_case == PD_EVENT_NO_SHOW_NOTED)
    must_reopen(judge, event->no_show_noted->order, event->no_show_noted->slot,
                event->no_show_noted->volunteer);
  if (event->body_case == PD_EVENT_ORDER_CANCELLED)
    on_order_over(judge, event->order_cancelled->order, false);
  if (event->body_case == PD_EVENT_ORDER_SERVED)
    on_order_over(judge, event->order_served->order, false);
  if (event->body_case == PD_EVENT_ORDER_EXPIRED &&
      event->order_expired->stage <= PD_ORDER_STAGE_SERVICE)
    on_order_over(judge, event->order_expired->order, false);
  if (event->body_case == PD_EVENT_ORDER_CLOSED)
    on_order_over(judge, event->order_closed->order, true);
  if (event->body_case == PD_EVENT_WAVE_DUE) {
    struct view_order *order = view_order(&judge->view, event->wave_due->order);
    if (order != NULL) {
      order->due_ms = event->time_ms;
      order->due_now = true;
    }
    judge->order = event->wave_due->order;
  }
}

/* ---- what must be so after each input was answered ---- */

/* Who is booked and has not begun still may. */
static bool is_lawful(const struct judge *judge, const struct view_order *order,
                      const struct view_slot *slot) {
  if (slot->holder == 0 || slot->started) return true;
  const struct view_person *person = &judge->view.persons[slot->holder - 1];
  return !view_blocked(&judge->view, slot->holder - 1, order->requester) &&
         view_paper_lacks(order, person, slot->start_ms, slot->end_ms) == 0;
}

static void settle_order(const struct judge *judge, const struct pd_event *event,
                         const struct view_order *order) {
  FAIL_UNLESS(judge, !order->stopped || order->open_offers == 0, event,
              "order %llu is over and has open offers", (unsigned long long)order->number);
  FAIL_UNLESS(judge, order->wave_left == 0, event, "a wave lacks %u offers", order->wave_left);
  if (order->closed) return;
  for (uint32_t s = 1; s <= order->need; s++) {
    const struct view_slot *slot = &order->slots[s];
    FAIL_UNLESS(judge, !slot->must_reopen || slot->started, event,
                "slot %u of order %llu was not reopened", s, (unsigned long long)order->number);
    FAIL_UNLESS(judge, is_lawful(judge, order, slot), event,
                "rules: slot %u of order %llu is booked against them", s,
                (unsigned long long)order->number);
    FAIL_UNLESS(judge, slot->claimed == 0 || slot->holder == slot->claimed, event,
                "P4 slot %u of order %llu is served by another than it is booked for", s,
                (unsigned long long)order->number);
  }
}

static void settle(const struct judge *judge, const struct pd_event *event) {
  const struct judge_question *question = &judge->question;
  FAIL_UNLESS(judge, question->how == 0 || (question->answered && question->offer == 0), event,
              "direct: what was asked for order %llu got no answer",
              (unsigned long long)question->order);
  for (uint64_t i = 1; i <= judge->view.order_count; i++)
    if (judge->view.orders[i].number != 0 && !judge->view.orders[i].closed)
      settle_order(judge, event, &judge->view.orders[i]);
  const struct view_offer *offer = &judge->view.offers[judge->offer];
  FAIL_UNLESS(judge, judge->offer == 0 || !offer->open, event,
              "offer %llu was answered, and nothing came of it", (unsigned long long)judge->offer);
  const struct view_order *order = view_order(&judge->view, judge->order);
  if (order != NULL) settle_order(judge, event, order);
  if (judge->person == 0) return;
  FAIL_UNLESS(judge, judge->view.persons[judge->person - 1].open_offers == 0, event,
              "somebody who left has open offers");
}

/* An entry ends: every order that wants somebody was tried, or has its turn soon, if the entry was
 * full or a window is open. */
static void entry_ended(void *context) {
  struct judge *judge = context;
  static struct pd_event nothing = {.log = PD_LOG_MATCHING};
  uint32_t patience = SIM_WINDOW_MS(judge->view.sim) > 0 ? 200 : 20;
  for (uint64_t i = 1; i <= judge->view.order_count; i++) {
    struct view_order *order = &judge->view.orders[i];
    bool wants = order->number != 0 && !order->closed && !order->stopped && !order->tried &&
                 view_free_slots(order) > 0;
    /* What was chosen together with an order that had no room here cannot be judged without it. */
    judge->batch.skipped = judge->batch.skipped || wants;
    bool time = judge->strict && judge->view.now_ms + 120 * MINUTE < view_latest(order);
    order->untried = wants && time ? order->untried + 1 : 0;
    FAIL_UNLESS(judge, order->untried <= patience, &nothing, "order %llu: nobody is invited",
                (unsigned long long)order->number);
  }
  judge_end_batch(judge, &nothing);
}

static bool is_of_batch(const struct pd_event *event) {
  bool offer = event->body_case == PD_EVENT_OFFER_MADE &&
               event->offer_made->how == PD_OFFER_HOW_UNSPECIFIED;
  return offer || event->body_case == PD_EVENT_WAVE_OPENED ||
         event->body_case == PD_EVENT_ORDER_UNMATCHED;
}

static void each(void *context, const struct pd_event *event) {
  struct judge *judge = context;
  if (event->log != PD_LOG_MATCHING || !is_of_batch(event)) judge_end_batch(judge, event);
  if (event->log != PD_LOG_MATCHING) {
    settle(judge, event);
    on_input(judge, event);
    return;
  }
  if (event->body_case == PD_EVENT_WAVE_OPENED) on_wave(judge, event);
  if (event->body_case == PD_EVENT_OFFER_MADE) on_offer(judge, event);
  if (event->body_case == PD_EVENT_OFFER_CLOSED) on_offer_closed(judge, event);
  if (event->body_case == PD_EVENT_OFFER_DENIED) on_denied(judge, event);
  if (event->body_case == PD_EVENT_SLOT_FILLED) on_filled(judge, event);
  if (event->body_case == PD_EVENT_SLOT_REOPENED) on_reopened(judge, event);
  if (event->body_case == PD_EVENT_ORDER_STAFFED) on_staffed(judge, event);
  if (event->body_case == PD_EVENT_ORDER_UNMATCHED) on_unmatched(judge, event);
}

void sim_check_matching(struct sim *sim, const struct sim_history *history) {
  static struct judge judge;
  memset(&judge, 0, sizeof judge);
  view_init(&judge.view, history);
  judge.strict = (sim->options.faults >> SIM_JUMP & 1) == 0;
  sim_history_walk(history, PD_LOG_MATCHING, each, entry_ended, &judge);
  for (uint64_t i = 1; i <= judge.view.offer_count; i++)
    sim_expect(sim, judge.view.offers[i].order != 0 && !judge.view.offers[i].open,
               "offer %llu never ended", (unsigned long long)i);
  view_free(&judge.view);
}
