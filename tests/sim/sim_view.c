#include "tests/sim/sim_view.h"

#include <stdlib.h>
#include <string.h>

void view_init(struct view *view, const struct sim_history *history) {
  memset(view, 0, sizeof *view);
  view->sim = history->sim;
  for (size_t i = 0; i < history->count[PD_LOG_INTAKE]; i++)
    view->order_count += history->events[PD_LOG_INTAKE][i]->body_case == PD_EVENT_ORDER_PLACED;
  for (size_t i = 0; i < history->count[PD_LOG_MATCHING]; i++)
    view->offer_count += history->events[PD_LOG_MATCHING][i]->body_case == PD_EVENT_OFFER_MADE;
  view->orders = calloc(view->order_count + 1, sizeof *view->orders);
  view->offers = calloc(view->offer_count + 1, sizeof *view->offers);
  pd_assert(view->orders != NULL && view->offers != NULL);
}

void view_free(struct view *view) {
  free(view->orders);
  free(view->offers);
}

uint32_t view_person(const struct view *view, ProtobufCBinaryData bytes) {
  struct pd_id id = PD_ID(bytes);
  for (uint32_t i = 0; i < view->person_count; i++)
    if (pd_id_equal(&view->persons[i].id, &id)) return i;
  sim_fail(view->sim, "an event names a person whom nobody registered");
}

struct view_order *view_order(const struct view *view, uint64_t number) {
  if (number == 0 || number > view->order_count) return NULL;
  return view->orders[number].number != 0 ? &view->orders[number] : NULL;
}

uint32_t view_free_slots(const struct view_order *order) {
  uint32_t count = 0;
  for (uint32_t slot = 1; slot <= order->need; slot++) count += order->slots[slot].holder == 0;
  return count;
}

int64_t view_latest(const struct view_order *order) {
  return order->to_ms - (int64_t)order->minutes * 60000;
}

int64_t view_hour(int64_t time_ms) {
  return (time_ms + SIM_ZONE_MIN * 60000) / 3600000 + 3 * 24; /* 1970-01-01 was a Thursday */
}

static uint64_t skills_of(const enum pd_skill *skills, size_t count) {
  uint64_t mask = 0;
  for (size_t i = 0; i < count; i++) mask |= UINT64_C(1) << skills[i];
  return mask;
}

static struct view_person *new_person(struct view *view, ProtobufCBinaryData id) {
  sim_expect(view->sim, view->person_count < view->sim->limits.persons,
             "limits: more persons than the shard holds");
  struct view_person *person = &view->persons[view->person_count++];
  person->id = PD_ID(id);
  return person;
}

static void add_volunteer(struct view *view, const struct pd_volunteer_registered *body) {
  struct view_person *person = new_person(view, body->person);
  person->volunteer = true;
  person->lon = (body->cell->x + 0.5) / 1000;
  person->lat = (body->cell->y + 0.5) / 1000;
  person->skills = skills_of(body->skills, body->n_skills);
  sim_expect(view->sim, body->n_available == 7, "a volunteer without a week");
  for (int day = 0; day < 7; day++) person->days[day] = body->available[day];
  person->radius_m = body->radius_m;
  person->per_week = body->max_per_week;
  person->age = body->age;
  person->vetted = body->vetted;
  person->gender = body->gender;
  person->on_call = body->emergency;
}

static void add_order(struct view *view, const struct pd_order_placed *body, int64_t time_ms) {
  struct sim *sim = view->sim;
  sim_expect(sim,
             body->order >= 1 && body->order <= view->order_count &&
                 (body->order == 1 || view->orders[body->order - 1].number != 0),
             "orders are not counted 1, 2, 3");
  bool window = body->window_end_ms > body->window_start_ms && body->window_end_ms > time_ms &&
                body->minutes * INT64_C(60000) <= body->window_end_ms - body->window_start_ms;
  sim_expect(sim, window && body->need >= 1 && body->need <= sim->limits.slots,
             "order %llu: window or need", (unsigned long long)body->order);
  struct view_order *order = &view->orders[body->order];
  order->number = body->order;
  order->requester = view_person(view, body->requester);
  order->lon = (body->cell->x + 0.5) / 1000;
  order->lat = (body->cell->y + 0.5) / 1000;
  order->skills = skills_of(body->skills, body->n_skills);
  order->need = body->need;
  order->minutes = body->minutes;
  order->placed_ms = time_ms;
  order->x = body->cell->x;
  order->y = body->cell->y;
  order->from_ms = body->window_start_ms;
  order->to_ms = body->window_end_ms;
  order->urgency = body->urgency;
  order->kind = body->kind;
  order->sensitive = body->sensitive;
  order->dangerous = body->dangerous;
  order->gender = body->gender;
  order->demands = view_demands(body->demands, body->n_demands);
}

void view_registry(struct view *view, const struct pd_event *event) {
  struct view_person *persons = view->persons;
  if (event->time_ms > view->now_ms) view->now_ms = event->time_ms;
  if (event->body_case == PD_EVENT_VOLUNTEER_REGISTERED)
    add_volunteer(view, event->volunteer_registered);
  if (event->body_case == PD_EVENT_RESIDENT_REGISTERED)
    new_person(view, event->resident_registered->person)->resident = true;
  if (event->body_case == PD_EVENT_VOLUNTEER_PAUSED)
    persons[view_person(view, event->volunteer_paused->person)].paused = true;
  if (event->body_case == PD_EVENT_VOLUNTEER_RESUMED)
    persons[view_person(view, event->volunteer_resumed->person)].paused = false;
  if (event->body_case == PD_EVENT_VOLUNTEER_EXITED)
    persons[view_person(view, event->volunteer_exited->person)].exited = true;
  if (event->body_case == PD_EVENT_PERSON_ERASED) {
    struct view_person *person = &persons[view_person(view, event->person_erased->person)];
    person->erased = person->exited = true;
    person->doc_count = 0;
  }
  if (event->body_case == PD_EVENT_CREDENTIAL_RECORDED)
    view_add_doc(view, event->credential_recorded);
  if (event->body_case == PD_EVENT_PAIR_BLOCKED) view_add_block(view, event->pair_blocked);
  if (event->body_case == PD_EVENT_ORDER_PLACED)
    add_order(view, event->order_placed, event->time_ms);
}
