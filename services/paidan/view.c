#include "services/paidan/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- tables ---- */

#define NUMBER_MAX 100000000u /* numbers are given out one by one: a larger one is damage */

/* The item of a number, which is given out in order from 1. */
#define NUMBERED(view, items, count, room, number)                                       \
  do {                                                                                   \
    if ((number) == 0 || (number) > NUMBER_MAX) return NULL;                             \
    (view)->items =                                                                      \
        ids_grow((view)->items, &(view)->room, (size_t)(number), sizeof *(view)->items); \
    if ((view)->count < (number)) (view)->count = (size_t)(number);                      \
    return &(view)->items[(number)-1];                                                   \
  } while (false)

static struct view_order *make_order(struct view *view, uint64_t number) {
  NUMBERED(view, orders, order_count, order_room, number);
}
static struct view_offer *make_offer(struct view *view, uint64_t number) {
  NUMBERED(view, offers, offer_count, offer_room, number);
}
static struct view_site *make_site(struct view *view, uint32_t number) {
  NUMBERED(view, sites, site_count, site_room, number);
}
static struct view_hold *make_hold(struct view *view, uint64_t number) {
  NUMBERED(view, holds, hold_count, hold_room, number);
}

struct view_order *view_order(const struct view *view, uint64_t number) {
  if (number == 0 || number > view->order_count || view->orders[number - 1].number == 0)
    return NULL;
  return &view->orders[number - 1];
}

struct view_offer *view_offer(const struct view *view, uint64_t number) {
  if (number == 0 || number > view->offer_count || view->offers[number - 1].order == 0) return NULL;
  return &view->offers[number - 1];
}

struct view_site *view_site(const struct view *view, uint32_t number) {
  if (number == 0 || number > view->site_count || view->sites[number - 1].number == 0) return NULL;
  return &view->sites[number - 1];
}

struct view_site *view_site_of(const struct view *view, const char *ref) {
  for (size_t i = 0; i < view->site_count; i++) {
    if (view->sites[i].number != 0 && strcmp(view->sites[i].ref, ref) == 0) return &view->sites[i];
  }
  return NULL;
}

bool view_site_within(const struct view *view, uint32_t below, uint32_t above) {
  for (int level = 0; below != 0 && level < 8; level++) {
    if (below == above) return true;
    const struct view_site *site = view_site(view, below);
    below = site == NULL ? 0 : site->parent;
  }
  return false;
}

struct view_person *view_person(const struct view *view, const struct pd_id *id) {
  uint32_t found = ids_find(&view->ids, id);
  return found == IDS_NONE ? NULL : &view->persons[found];
}

static struct view_person *make_person(struct view *view, ProtobufCBinaryData bytes) {
  struct pd_id id = PD_ID(bytes);
  uint32_t place = ids_take(&view->ids, &id);
  view->persons = ids_grow(view->persons, &view->person_room, place + 1u, sizeof *view->persons);
  view->person_count = view->ids.count;
  view->persons[place].id = id;
  return &view->persons[place];
}

void view_close(struct view *view) {
  for (size_t i = 0; i < view->order_count; i++) {
    free(view->orders[i].slots);
    free(view->orders[i].offers);
  }
  for (size_t i = 0; i < view->site_count; i++) free(view->sites[i].name);
  free(view->orders);
  free(view->offers);
  free(view->persons);
  ids_free(&view->ids);
  free(view->sites);
  free(view->holds);
  *view = (struct view){0};
}

uint64_t view_open_offers(const struct view *view, const struct view_order *order) {
  uint64_t open = 0;
  for (size_t i = 0; i < order->offer_count; i++) {
    const struct view_offer *offer = view_offer(view, order->offers[i]);
    open += offer != NULL && offer->open;
  }
  return open;
}

static uint64_t skill_mask(const enum pd_skill *skills, size_t count) {
  uint64_t mask = 0;
  for (size_t i = 0; i < count; i++) mask |= UINT64_C(1) << ((unsigned)skills[i] & 63u);
  return mask;
}

/* ---- the registry ---- */

static void on_site(struct view *view, const struct pd_site_registered *body) {
  struct view_site *site = make_site(view, body->site);
  if (site == NULL) return;
  site->number = body->site;
  site->parent = body->parent;
  site->level = body->level;
  snprintf(site->ref, sizeof site->ref, "%s", body->ref);
  free(site->name);
  site->name = strdup(body->name);
}

static void on_volunteer(struct view *view, const struct pd_volunteer_registered *body) {
  struct view_person *person = make_person(view, body->person);
  if (!person->volunteer) view->volunteers++;
  person->volunteer = true;
  person->vetted = body->vetted;
  person->emergency = body->emergency;
  person->age = body->age;
  person->site = body->site;
  person->branch = body->branch;
  person->radius_m = body->radius_m;
  person->max_per_week = body->max_per_week;
  person->skills = skill_mask(body->skills, body->n_skills);
  for (size_t i = 0; i < 7 && i < body->n_available; i++) person->available[i] = body->available[i];
  if (body->cell != NULL) {
    person->cell_x = body->cell->x;
    person->cell_y = body->cell->y;
  }
}

static void on_resident(struct view *view, const struct pd_resident_registered *body) {
  struct view_person *person = make_person(view, body->person);
  if (!person->resident) view->residents++;
  person->resident = true;
  if (person->volunteer) return;
  person->site = body->site;
  if (body->cell != NULL) {
    person->cell_x = body->cell->x;
    person->cell_y = body->cell->y;
  }
}

static void on_person_state(struct view *view, ProtobufCBinaryData bytes,
                            enum view_person_state state) {
  struct pd_id id = PD_ID(bytes);
  struct view_person *person = view_person(view, &id);
  if (person != NULL && person->state != VIEW_ERASED) person->state = state;
}

/* ---- orders ---- */

static void on_placed(struct view *view, const struct pd_order_placed *body, int64_t time_ms) {
  struct view_order *order = make_order(view, body->order);
  if (order == NULL || order->number != 0) return;
  order->number = body->order;
  order->requester = PD_ID(body->requester);
  order->kind = body->kind;
  order->urgency = body->urgency;
  order->channel = body->channel;
  order->state = PD_ORDER_STATE_OPEN;
  snprintf(order->category, sizeof order->category, "%s", body->category);
  order->sensitive = body->sensitive;
  order->site = body->site;
  order->need = body->need;
  order->minutes = body->minutes;
  order->placed_ms = time_ms;
  order->window_start_ms = body->window_start_ms;
  order->window_end_ms = body->window_end_ms;
  order->skills = skill_mask(body->skills, body->n_skills);
  order->n_slots = body->need < 1024 ? body->need : 1024;
  order->slots = calloc(order->n_slots + 1, sizeof *order->slots);
  pd_assert(order->slots != NULL);
  if (body->cell != NULL) {
    order->cell_x = body->cell->x;
    order->cell_y = body->cell->y;
  }
}

static struct view_slot *slot_of(const struct view *view, uint64_t number, uint32_t slot) {
  struct view_order *order = view_order(view, number);
  return order == NULL || slot == 0 || slot > order->n_slots ? NULL : &order->slots[slot - 1];
}

static void set_state(struct view *view, uint64_t number, enum pd_order_state state) {
  struct view_order *order = view_order(view, number);
  if (order != NULL && order->state < PD_ORDER_STATE_COMPLETED) order->state = state;
}

static void on_offer(struct view *view, const struct pd_offer_made *body, int64_t time_ms) {
  struct view_order *order = view_order(view, body->order);
  struct view_offer *offer = make_offer(view, body->offer);
  if (order == NULL || offer == NULL || offer->order != 0) return;
  *offer = (struct view_offer){.order = body->order,
                               .volunteer = PD_ID(body->volunteer),
                               .wave = body->wave,
                               .distance_m = body->distance_m,
                               .made_ms = time_ms,
                               .expires_at_ms = body->expires_at_ms,
                               .start_ms = body->start_ms,
                               .open = true};
  order->offers =
      ids_grow(order->offers, &order->offer_room, order->offer_count + 1, sizeof *order->offers);
  order->offers[order->offer_count++] = body->offer;
  make_person(view, body->volunteer)->offers++;
}

static void on_offer_closed(struct view *view, const struct pd_offer_closed *body) {
  struct view_offer *offer = view_offer(view, body->offer);
  if (offer == NULL) return;
  offer->open = false;
  offer->reason = body->reason;
}

static void on_filled(struct view *view, const struct pd_slot_filled *body) {
  struct view_slot *slot = slot_of(view, body->order, body->slot);
  struct view_offer *offer = view_offer(view, body->offer);
  if (offer != NULL) {
    offer->open = false;
    offer->won = true;
  }
  if (slot == NULL) return;
  *slot = (struct view_slot){.volunteer = PD_ID(body->volunteer),
                             .state = VIEW_BOOKED,
                             .start_ms = body->start_ms,
                             .end_ms = body->end_ms,
                             .offer = body->offer};
  make_person(view, body->volunteer)->booked++;
}

static void on_reopened(struct view *view, const struct pd_slot_reopened *body) {
  struct view_slot *slot = slot_of(view, body->order, body->slot);
  struct view_order *order = view_order(view, body->order);
  if (slot != NULL) *slot = (struct view_slot){0};
  if (order != NULL && order->state == PD_ORDER_STATE_STAFFED) order->state = PD_ORDER_STATE_OPEN;
}

static void on_staffed(struct view *view, uint64_t number) {
  struct view_order *order = view_order(view, number);
  if (order != NULL && order->state == PD_ORDER_STATE_OPEN) order->state = PD_ORDER_STATE_STAFFED;
}

static void on_finished(struct view *view, const struct pd_service_finished *body) {
  struct view_slot *slot = slot_of(view, body->order, body->slot);
  if (slot == NULL) return;
  slot->state = VIEW_FINISHED;
  slot->minutes = body->minutes;
  make_person(view, body->volunteer)->served++;
}

static void on_confirmed(struct view *view, const struct pd_service_confirmed *body) {
  struct view_slot *slot = slot_of(view, body->order, body->slot);
  if (slot != NULL) {
    slot->state = VIEW_CONFIRMED;
    slot->minutes = body->minutes;
  }
  if (body->last) set_state(view, body->order, PD_ORDER_STATE_CONFIRMED);
}

static void on_started(struct view *view, const struct pd_service_started *body) {
  struct view_slot *slot = slot_of(view, body->order, body->slot);
  if (slot != NULL) slot->state = VIEW_STARTED;
  set_state(view, body->order, PD_ORDER_STATE_SERVING);
}

/* ---- points ---- */

static void add_lines(struct view *view, struct pd_posting_line **lines, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (lines[i]->account != PD_ACCOUNT_PERSON) continue;
    struct view_person *person = make_person(view, lines[i]->person);
    if (lines[i]->unit == PD_UNIT_MINUTES) person->minutes += lines[i]->amount;
    if (lines[i]->unit == PD_UNIT_POINTS) person->points += lines[i]->amount;
  }
}

static void on_hold(struct view *view, const struct pd_hold_placed *body) {
  struct view_hold *hold = make_hold(view, body->hold);
  add_lines(view, body->lines, body->n_lines);
  if (hold == NULL) return;
  *hold = (struct view_hold){
      .order = body->order, .slot = body->slot, .decide_by_ms = body->decide_by_ms};
}

static void on_hold_resolved(struct view *view, const struct pd_hold_resolved *body) {
  struct view_hold *hold = make_hold(view, body->hold);
  add_lines(view, body->lines, body->n_lines);
  if (hold != NULL) hold->outcome = body->outcome;
}

static void on_wave(struct view *view, uint64_t number, uint32_t wave) {
  struct view_order *order = view_order(view, number);
  if (order != NULL && order->waves < wave) order->waves = wave;
}

static void apply_registry(struct view *view, const struct pd_event *event) {
  if (event->body_case == PD_EVENT_SITE_REGISTERED) on_site(view, event->site_registered);
  if (event->body_case == PD_EVENT_VOLUNTEER_REGISTERED)
    on_volunteer(view, event->volunteer_registered);
  if (event->body_case == PD_EVENT_RESIDENT_REGISTERED)
    on_resident(view, event->resident_registered);
  if (event->body_case == PD_EVENT_VOLUNTEER_PAUSED) {
    on_person_state(view, event->volunteer_paused->person, VIEW_PAUSED);
  }
  if (event->body_case == PD_EVENT_VOLUNTEER_RESUMED) {
    on_person_state(view, event->volunteer_resumed->person, VIEW_ACTIVE);
  }
  if (event->body_case == PD_EVENT_VOLUNTEER_EXITED) {
    on_person_state(view, event->volunteer_exited->person, VIEW_EXITED);
  }
  if (event->body_case == PD_EVENT_PERSON_ERASED) {
    on_person_state(view, event->person_erased->person, VIEW_ERASED);
  }
}

/* What other kinds say is not part of the picture. */
static void apply_order(struct view *view, const struct pd_event *event) {
  pd_event_kind kind = event->body_case;
  if (kind == PD_EVENT_ORDER_PLACED) on_placed(view, event->order_placed, event->time_ms);
  if (kind == PD_EVENT_SERVICE_STARTED) on_started(view, event->service_started);
  if (kind == PD_EVENT_SERVICE_FINISHED) on_finished(view, event->service_finished);
  if (kind == PD_EVENT_ORDER_SERVED)
    set_state(view, event->order_served->order, PD_ORDER_STATE_SERVED);
  if (kind == PD_EVENT_SERVICE_CONFIRMED) on_confirmed(view, event->service_confirmed);
  if (kind == PD_EVENT_WAVE_OPENED)
    on_wave(view, event->wave_opened->order, event->wave_opened->wave);
  if (kind == PD_EVENT_OFFER_MADE) on_offer(view, event->offer_made, event->time_ms);
  if (kind == PD_EVENT_OFFER_CLOSED) on_offer_closed(view, event->offer_closed);
  if (kind == PD_EVENT_SLOT_FILLED) on_filled(view, event->slot_filled);
  if (kind == PD_EVENT_SLOT_REOPENED) on_reopened(view, event->slot_reopened);
  if (kind == PD_EVENT_ORDER_STAFFED) on_staffed(view, event->order_staffed->order);
  if (kind == PD_EVENT_ORDER_CLOSED) {
    struct view_order *order = view_order(view, event->order_closed->order);
    if (order != NULL) order->state = event->order_closed->state;
  }
  if (kind == PD_EVENT_ORDER_RATED) {
    struct view_order *order = view_order(view, event->order_rated->order);
    if (order != NULL) order->stars = event->order_rated->stars;
  }
  if (kind == PD_EVENT_ORDER_ESCALATED) {
    struct view_order *order = view_order(view, event->order_escalated->order);
    if (order != NULL) order->level = (uint32_t)event->order_escalated->level;
  }
}

static void apply_points(struct view *view, const struct pd_event *event) {
  pd_event_kind kind = event->body_case;
  if (kind == PD_EVENT_POINTS_POSTED)
    add_lines(view, event->points_posted->lines, event->points_posted->n_lines);
  if (kind == PD_EVENT_HOLD_PLACED) on_hold(view, event->hold_placed);
  if (kind == PD_EVENT_HOLD_RESOLVED) on_hold_resolved(view, event->hold_resolved);
  if (kind == PD_EVENT_STAR_REACHED)
    make_person(view, event->star_reached->person)->star = event->star_reached->star;
}

void view_apply(struct view *view, const struct pd_event *event) {
  uint64_t number = 0;
  view->events++;
  apply_registry(view, event);
  apply_order(view, event);
  apply_points(view, event);
  if (!proto_number(proto_body(event), "order", &number)) return;
  struct view_order *order = view_order(view, number);
  if (order != NULL && event->log != PD_LOG_NOTIFICATION) order->changed_ms = event->time_ms;
}

int view_load(struct view *view, struct tool *tool, struct pd_store_now *store) {
  struct merge merge;
  *view = (struct view){0};
  enum pd_err err = merge_open(&merge, store);
  while (err == PD_OK && (err = merge_next(&merge)) == PD_OK) view_apply(view, merge.event);
  enum pd_log bad = merge.bad;
  merge_close(&merge);
  if (err == PD_ENOENT) return 0;
  return out_failf(&tool->out, err == PD_EDOWN ? PD_EXIT_DOWN : PD_EXIT_FAULT,
                   "the logs cannot be read", "`paidan verify` says where", "log %s: %s",
                   pd_log_name(bad), pd_err_text(err));
}
