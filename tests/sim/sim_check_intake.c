/* Intake's promises, from its own view: who may say what, the life of each order and slot, offers
 * that are answered once, the registry; and that every order ended, once and last (P3). */
#include "tests/sim/sim_view.h"

#include <stdlib.h>
#include <string.h>

enum life { FREE, BOOKED, STARTED, FINISHED, CONFIRMED, DROPPED };

struct place {
  enum life life;
  uint32_t person; /* index */
  int64_t started_ms;
  uint32_t minutes;
};

struct story {
  struct place places[VIEW_SLOTS];
  bool cancelled, served, rated, closed;
  bool ever_started;
};

struct gate {
  struct view view;
  const struct sim_history *history;
  struct story *stories; /* by order */
  bool *answered;        /* by offer */
  bool *open;            /* by offer */
  const struct pd_event **sites;
  size_t site_count;
  const struct pd_event *child; /* was registered, and no consent was heard of yet */
};

#define EXPECT(gate, holds, event, ...)                                               \
  do {                                                                                \
    if (!(holds)) {                                                                   \
      sim_fail((gate)->view.sim, "intake %llu: %s", (unsigned long long)(event)->seq, \
               __VA_ARGS__);                                                          \
    }                                                                                 \
  } while (0)

/* ---- who may say what ---- */

static bool from_door(const struct pd_event *event, const char *door) {
  size_t length = strlen(door);
  return strncmp(event->origin->principal, door, length) == 0 &&
         event->origin->principal[length] == '/';
}

static bool by_site(const struct pd_event *event) {
  return from_door(event, "site") || from_door(event, "ops");
}

/* At the own door only for oneself; else a site. */
static void check_speaker(const struct gate *gate, const struct pd_event *event,
                          const char *own_door, ProtobufCBinaryData person) {
  if (event->origin == NULL) return;
  bool own = own_door != NULL && from_door(event, own_door);
  bool self = own && event->origin->actor.len == person.len &&
              memcmp(event->origin->actor.data, person.data, person.len) == 0;
  EXPECT(gate, self || (!own && by_site(event)), event, "somebody spoke for another");
  bool erased = self && gate->view.persons[view_person(&gate->view, person)].erased;
  EXPECT(gate, !erased, event, "somebody spoke who is erased");
}

static void check_self(const struct gate *gate, const struct pd_event *event, const char *door,
                       ProtobufCBinaryData person) {
  check_speaker(gate, event, door, person);
  EXPECT(gate, event->origin != NULL, event, "nobody said this");
}

/* ---- orders ---- */

static struct story *story_of(const struct gate *gate, const struct pd_event *event,
                              uint64_t number) {
  bool known =
      number >= 1 && number <= gate->view.order_count && gate->view.orders[number].number == number;
  EXPECT(gate, known, event, "an order that was never placed");
  EXPECT(gate, !gate->stories[number].closed, event, "P3 something happens to a closed order");
  return &gate->stories[number];
}

static struct place *place_of(const struct gate *gate, const struct pd_event *event,
                              uint64_t number, uint32_t slot, enum life needed,
                              ProtobufCBinaryData person) {
  struct story *story = story_of(gate, event, number);
  EXPECT(gate, slot >= 1 && slot <= gate->view.orders[number].need, event, "no such slot");
  struct place *place = &story->places[slot];
  EXPECT(gate, place->life == needed, event, "the slot is in another state");
  EXPECT(gate, place->person == view_person(&gate->view, person), event,
         "the slot is another volunteer's");
  return place;
}

static uint32_t count(const struct gate *gate, uint64_t number, enum life life) {
  uint32_t found = 0;
  for (uint32_t s = 1; s <= gate->view.orders[number].need; s++)
    found += gate->stories[number].places[s].life == life;
  return found;
}

static ProtobufCBinaryData requester_of(const struct gate *gate, uint64_t number) {
  return pd_bytes(&gate->view.persons[gate->view.orders[number].requester].id);
}

static void on_cancelled(struct gate *gate, const struct pd_event *event) {
  uint64_t number = event->order_cancelled->order;
  struct story *story = story_of(gate, event, number);
  check_speaker(gate, event, "resident", requester_of(gate, number));
  EXPECT(gate, !story->ever_started, event, "cancelled after the start");
  story->cancelled = true;
}

static void on_answered(struct gate *gate, const struct pd_event *event) {
  const struct pd_offer_answered *body = event->offer_answered;
  bool open = body->offer <= gate->view.offer_count && gate->open[body->offer];
  EXPECT(gate, open, event, "an offer is answered that is not open");
  EXPECT(gate, !gate->answered[body->offer], event, "an offer is answered twice");
  const struct view_offer *offer = &gate->view.offers[body->offer];
  bool right =
      offer->order == body->order && offer->person == view_person(&gate->view, body->volunteer);
  EXPECT(gate, right, event, "an offer is answered by another");
  story_of(gate, event, body->order);
  check_self(gate, event, "volunteer", body->volunteer);
  gate->answered[body->offer] = true;
}

static void on_withdrew(struct gate *gate, const struct pd_event *event) {
  const struct pd_volunteer_withdrew *body = event->volunteer_withdrew;
  struct place *place = place_of(gate, event, body->order, body->slot, BOOKED, body->volunteer);
  check_self(gate, event, "volunteer", body->volunteer);
  place->life = gate->stories[body->order].served ? DROPPED : FREE;
}

static void on_started(struct gate *gate, const struct pd_event *event) {
  const struct pd_service_started *body = event->service_started;
  struct place *place = place_of(gate, event, body->order, body->slot, BOOKED, body->volunteer);
  check_self(gate, event, "volunteer", body->volunteer);
  place->life = STARTED;
  place->started_ms = event->time_ms;
  gate->stories[body->order].ever_started = true;
  gate->stories[body->order].served = false;
}

static void on_finished(struct gate *gate, const struct pd_event *event) {
  const struct pd_service_finished *body = event->service_finished;
  struct place *place = place_of(gate, event, body->order, body->slot, STARTED, body->volunteer);
  check_self(gate, event, "volunteer", body->volunteer);
  int64_t minutes = (event->time_ms - place->started_ms) / 60000;
  if (minutes < 1) minutes = 1;
  if (minutes > 1440) minutes = 1440;
  EXPECT(gate, body->minutes == minutes, event, "minutes served are counted wrongly");
  place->life = FINISHED;
  place->minutes = body->minutes;
}

static void on_confirmed(struct gate *gate, const struct pd_event *event) {
  const struct pd_service_confirmed *body = event->service_confirmed;
  struct place *place = place_of(gate, event, body->order, body->slot, FINISHED, body->volunteer);
  check_speaker(gate, event, "resident", requester_of(gate, body->order));
  EXPECT(gate, body->minutes >= 1 && body->minutes <= place->minutes, event,
         "more granted than served");
  place->life = CONFIRMED;
  bool last = count(gate, body->order, FINISHED) == 0 &&
              count(gate, body->order, BOOKED) + count(gate, body->order, STARTED) == 0;
  EXPECT(gate, (body->last != 0) == last, event, "`last` is wrong");
}

static void on_served(struct gate *gate, const struct pd_event *event) {
  uint64_t number = event->order_served->order;
  struct story *story = story_of(gate, event, number);
  uint32_t done = count(gate, number, FINISHED) + count(gate, number, CONFIRMED);
  EXPECT(gate, done > 0 && !story->served, event, "served, but nobody has finished");
  bool expired = event->cause != NULL && event->cause->log == PD_LOG_SCHEDULING;
  EXPECT(gate, expired || count(gate, number, BOOKED) + count(gate, number, STARTED) == 0, event,
         "served, but somebody is expected");
  for (uint32_t s = 1; s <= gate->view.orders[number].need; s++)
    if (story->places[s].life < FINISHED) story->places[s].life = DROPPED;
  story->served = true;
}

static void on_rated(struct gate *gate, const struct pd_event *event) {
  const struct pd_order_rated *body = event->order_rated;
  struct story *story = story_of(gate, event, body->order);
  check_self(gate, event, "resident", requester_of(gate, body->order));
  EXPECT(gate, story->served && !story->rated && body->stars >= 1 && body->stars <= 5, event,
         "rated too early, twice, or by no number of stars");
  story->rated = true;
}

static void on_closed(struct gate *gate, const struct pd_event *event) {
  const struct pd_order_closed *body = event->order_closed;
  struct story *story = story_of(gate, event, body->order);
  uint32_t confirmed = count(gate, body->order, CONFIRMED);
  uint32_t done = confirmed + count(gate, body->order, FINISHED);
  bool completed = body->state == PD_ORDER_STATE_COMPLETED && confirmed > 0 && !story->cancelled;
  bool cancelled = body->state == PD_ORDER_STATE_CANCELLED && story->cancelled;
  bool unfilled = body->state == PD_ORDER_STATE_UNFILLED && done == 0 && !story->cancelled &&
                  count(gate, body->order, STARTED) == 0;
  bool unconfirmed = body->state == PD_ORDER_STATE_UNCONFIRMED && confirmed == 0 &&
                     !story->cancelled && story->ever_started;
  EXPECT(gate, completed || cancelled || unfilled || unconfirmed, event,
         "P3 it ends in a state that is not so");
  story->closed = true;
}

/* ---- matching's facts, as intake takes them ---- */

static void on_offer(struct gate *gate, const struct pd_event *event) {
  const struct pd_offer_made *body = event->offer_made;
  if (body->offer < 1 || body->offer > gate->view.offer_count) return;
  gate->view.offers[body->offer].order = body->order;
  gate->view.offers[body->offer].person = view_person(&gate->view, body->volunteer);
  gate->open[body->offer] = true;
}

static struct place *live_place(struct gate *gate, uint64_t number, uint32_t slot) {
  if (view_order(&gate->view, number) == NULL || gate->stories[number].closed) return NULL;
  return slot >= 1 && slot < VIEW_SLOTS ? &gate->stories[number].places[slot] : NULL;
}

static void on_filled(struct gate *gate, const struct pd_event *event) {
  const struct pd_slot_filled *body = event->slot_filled;
  if (body->offer <= gate->view.offer_count) gate->open[body->offer] = false;
  struct place *place = live_place(gate, body->order, body->slot);
  if (place == NULL || body->started || (place->life != FREE && place->life != DROPPED)) return;
  place->life = BOOKED;
  place->person = view_person(&gate->view, body->volunteer);
}

static void on_reopened(struct gate *gate, const struct pd_event *event) {
  const struct pd_slot_reopened *body = event->slot_reopened;
  struct place *place = live_place(gate, body->order, body->slot);
  if (place == NULL || place->life != BOOKED) return;
  if (place->person != view_person(&gate->view, body->volunteer)) return;
  place->life = gate->stories[body->order].served ? DROPPED : FREE;
}

/* ---- the registry ---- */

static void check_person_new(const struct gate *gate, const struct pd_event *event,
                             ProtobufCBinaryData id) {
  for (uint32_t i = 0; i < gate->view.person_count; i++)
    EXPECT(gate, memcmp(gate->view.persons[i].id.bytes, id.data, 16) != 0, event,
           "a person is registered twice");
  EXPECT(gate, event->origin != NULL, event, "nobody said this");
}

static void on_site(struct gate *gate, const struct pd_event *event) {
  const struct pd_site_registered *body = event->site_registered;
  EXPECT(gate, body->site == gate->site_count + 1 && by_site(event), event, "site's number");
  for (size_t i = 0; i < gate->site_count; i++)
    EXPECT(gate, strcmp(gate->sites[i]->site_registered->ref, body->ref) != 0, event,
           "a site's ref is used twice");
  bool root = body->level == PD_SITE_LEVEL_CENTER && body->parent == 0;
  bool below = body->parent >= 1 && body->parent <= gate->site_count &&
               gate->sites[body->parent - 1]->site_registered->level < body->level;
  EXPECT(gate, (root && gate->site_count == 0) || below, event, "a site's parent");
  EXPECT(gate, body->name[0] != 0 && gate->site_count < gate->view.sim->limits.sites, event,
         "a site's name, or too many");
  gate->sites[gate->site_count++] = event;
}

static void on_volunteer(struct gate *gate, const struct pd_event *event) {
  const struct pd_volunteer_registered *body = event->volunteer_registered;
  check_person_new(gate, event, body->person);
  bool right = body->radius_m >= 1 && body->radius_m <= 50000 && body->max_per_week >= 1 &&
               body->max_per_week <= 50 && body->age >= 1 && body->age <= 6 && body->gender <= 2 &&
               (by_site(event) || !body->vetted) &&
               body->n_available == 7 && body->site >= 1 && body->site <= gate->site_count;
  EXPECT(gate, right, event, "a volunteer that should have been refused");
  EXPECT(gate, by_site(event) || from_door(event, "volunteer"), event, "through the wrong door");
  if (body->age == PD_AGE_BAND_UNDER_14) gate->child = event;
}

/* Papers are what a site has seen; the others are a person's own word, too. */
static void on_credential(struct gate *gate, const struct pd_event *event) {
  const struct pd_credential_recorded *body = event->credential_recorded;
  bool word = body->kind == PD_CREDENTIAL_KIND_AUTOMATED_MATCHING ||
              body->kind == PD_CREDENTIAL_KIND_HEALTH;
  bool newcomer = event->origin == NULL; /* as stated at the registration just before */
  if (!newcomer) check_self(gate, event, "volunteer", body->person);
  bool right = body->kind >= 1 && body->kind <= 5 && (word || newcomer || by_site(event)) &&
               (body->kind == PD_CREDENTIAL_KIND_QUALIFICATION) == (body->skill != 0) &&
               (word || body->n_limits == 0) && body->from_ms >= 0 &&
               (body->until_ms == 0 || body->from_ms < body->until_ms);
  EXPECT(gate, right, event, "a credential that should have been refused");
  uint64_t papers = 0;
  for (uint32_t i = 0; i < gate->view.person_count; i++) papers += gate->view.persons[i].doc_count;
  EXPECT(gate, papers <= gate->view.sim->limits.credentials, event, "limits: too many papers");
}

/* A child's guardian consents in the same breath. */
static void check_child(struct gate *gate, const struct pd_event *event) {
  if (gate->child == NULL || event->body_case == PD_EVENT_VOLUNTEER_REGISTERED) return;
  bool consent = event->body_case == PD_EVENT_CREDENTIAL_RECORDED &&
                 event->credential_recorded->kind == PD_CREDENTIAL_KIND_GUARDIAN_CONSENT &&
                 event->credential_recorded->until_ms > event->time_ms &&
                 event->seq == gate->child->seq + 1;
  EXPECT(gate, consent, event, "a child without a guardian's consent before it");
  gate->child = NULL;
}

static void on_block(struct gate *gate, const struct pd_event *event) {
  const struct pd_pair_blocked *body = event->pair_blocked;
  bool erased = event->origin == NULL; /* lifted with the person's erasure */
  const char *door = !erased && from_door(event, "resident") ? "resident" : "volunteer";
  if (!erased) check_self(gate, event, door, body->person);
  EXPECT(gate, !erased || body->lifted, event, "nobody said this");
  uint32_t said = 0, person = view_person(&gate->view, body->person);
  for (uint32_t i = 0; i < gate->view.block_count; i++)
    said += gate->view.blocks[i][0] == person;
  EXPECT(gate, said <= gate->view.sim->limits.blocks_each, event, "limits: blocks of one person");
}

static void on_placed(struct gate *gate, const struct pd_event *event) {
  const struct pd_order_placed *body = event->order_placed;
  check_self(gate, event, "resident", body->requester);
  bool right = body->kind >= 1 && body->kind <= 7 && body->urgency >= 1 && body->urgency <= 4 &&
               body->channel >= 1 && body->channel <= 5 && body->minutes >= 5 &&
               body->minutes <= 1440 && strcmp(body->category, "cleaning_1") == 0 &&
               body->gender == 0 && /* no rules list a category here */
               body->window_end_ms - event->time_ms <= 400 * INT64_C(86400000);
  EXPECT(gate, right, event, "an order that should have been refused");
  EXPECT(gate, !gate->view.persons[view_person(&gate->view, body->requester)].erased, event,
         "an erased person places an order");
}

static struct view_person *active(struct gate *gate, const struct pd_event *event,
                                  ProtobufCBinaryData id) {
  struct view_person *person = &gate->view.persons[view_person(&gate->view, id)];
  check_self(gate, event, "volunteer", id);
  EXPECT(gate, person->volunteer && !person->exited, event, "no volunteer, or one who has left");
  return person;
}

/* Somebody is named by a site, or asks for himself, for an order that still takes helpers. */
static void on_direct(struct gate *gate, const struct pd_event *event, uint64_t order,
                      ProtobufCBinaryData volunteer, const char *own_door) {
  const struct view_person *person = &gate->view.persons[view_person(&gate->view, volunteer)];
  const struct story *story = story_of(gate, event, order);
  check_speaker(gate, event, own_door, volunteer);
  EXPECT(gate, event->origin != NULL, event, "nobody said this");
  EXPECT(gate, person->volunteer && !person->exited, event, "no volunteer, or one who has left");
  EXPECT(gate, !story->served, event, "asked for an order whose service is over");
}

static void on_registry(struct gate *gate, const struct pd_event *event) {
  check_child(gate, event);
  if (event->body_case == PD_EVENT_CREDENTIAL_RECORDED) on_credential(gate, event);
  if (event->body_case == PD_EVENT_PAIR_BLOCKED) on_block(gate, event);
  if (event->body_case == PD_EVENT_SITE_REGISTERED) on_site(gate, event);
  if (event->body_case == PD_EVENT_VOLUNTEER_REGISTERED) on_volunteer(gate, event);
  if (event->body_case == PD_EVENT_RESIDENT_REGISTERED)
    check_person_new(gate, event, event->resident_registered->person);
  if (event->body_case == PD_EVENT_VOLUNTEER_PAUSED)
    EXPECT(gate, !active(gate, event, event->volunteer_paused->person)->paused, event, "twice");
  if (event->body_case == PD_EVENT_VOLUNTEER_RESUMED)
    EXPECT(gate, active(gate, event, event->volunteer_resumed->person)->paused, event, "not so");
  if (event->body_case == PD_EVENT_VOLUNTEER_EXITED)
    active(gate, event, event->volunteer_exited->person);
  if (event->body_case == PD_EVENT_PERSON_ERASED)
    check_speaker(gate, event, NULL, event->person_erased->person);
  if (event->body_case == PD_EVENT_TEAM_JOINED)
    view_person(&gate->view, event->team_joined->person);
  view_registry(&gate->view, event);
}

static void on_own(struct gate *gate, const struct pd_event *event) {
  if (event->body_case == PD_EVENT_ORDER_PLACED) on_placed(gate, event);
  on_registry(gate, event);
  if (event->body_case == PD_EVENT_ORDER_CANCELLED) on_cancelled(gate, event);
  if (event->body_case == PD_EVENT_OFFER_ANSWERED) on_answered(gate, event);
  if (event->body_case == PD_EVENT_VOLUNTEER_WITHDREW) on_withdrew(gate, event);
  if (event->body_case == PD_EVENT_SERVICE_STARTED) on_started(gate, event);
  if (event->body_case == PD_EVENT_SERVICE_FINISHED) on_finished(gate, event);
  if (event->body_case == PD_EVENT_SERVICE_CONFIRMED) on_confirmed(gate, event);
  if (event->body_case == PD_EVENT_ORDER_SERVED) on_served(gate, event);
  if (event->body_case == PD_EVENT_ORDER_RATED) on_rated(gate, event);
  if (event->body_case == PD_EVENT_ORDER_CLOSED) on_closed(gate, event);
  if (event->body_case == PD_EVENT_OFFER_COMMANDED)
    on_direct(gate, event, event->offer_commanded->order, event->offer_commanded->volunteer, NULL);
  if (event->body_case == PD_EVENT_ORDER_ASKED)
    on_direct(gate, event, event->order_asked->order, event->order_asked->volunteer, "volunteer");
  if (event->body_case == PD_EVENT_HOLD_DECIDED)
    EXPECT(gate, by_site(event) && event->hold_decided->hold > 0, event, "who decides on holds");
}

static void each(void *context, const struct pd_event *event) {
  struct gate *gate = context;
  if (event->log == PD_LOG_INTAKE) on_own(gate, event);
  if (event->body_case == PD_EVENT_OFFER_MADE) on_offer(gate, event);
  if (event->body_case == PD_EVENT_OFFER_CLOSED &&
      event->offer_closed->offer <= gate->view.offer_count)
    gate->open[event->offer_closed->offer] = false;
  if (event->body_case == PD_EVENT_SLOT_FILLED) on_filled(gate, event);
  if (event->body_case == PD_EVENT_SLOT_REOPENED) on_reopened(gate, event);
}

void sim_check_intake(struct sim *sim, const struct sim_history *history) {
  struct gate *gate = calloc(1, sizeof *gate);
  pd_assert(gate != NULL);
  gate->history = history;
  view_init(&gate->view, history);
  gate->stories = calloc(gate->view.order_count + 1, sizeof *gate->stories);
  gate->answered = calloc(gate->view.offer_count + 1, sizeof *gate->answered);
  gate->open = calloc(gate->view.offer_count + 1, sizeof *gate->open);
  gate->sites = calloc(sim->limits.sites + 1, sizeof *gate->sites);
  pd_assert(gate->stories && gate->answered && gate->open && gate->sites);
  sim_history_walk(history, PD_LOG_INTAKE, each, NULL, gate);
  for (uint64_t i = 1; i <= gate->view.order_count; i++)
    sim_expect(sim, gate->stories[i].closed, "P3 order %llu never ends", (unsigned long long)i);
  view_free(&gate->view);
  free(gate->stories);
  free(gate->answered);
  free(gate->open);
  free(gate->sites);
  free(gate);
}
