/* sim_view - what the checkers share: the registry and the orders as plain arrays, filled from
 * events, with no care for speed.  Written apart from the cores: nothing of theirs is used here.
 */
#ifndef TESTS_SIM_VIEW_H
#define TESTS_SIM_VIEW_H

#include "tests/sim/sim.h"

#define VIEW_PERSONS 1024
#define VIEW_SLOTS 65
#define VIEW_DOCS 32   /* credentials of one person */
#define VIEW_BLOCKS 64 /* in all */

struct view_doc {
  enum pd_credential_kind kind;
  enum pd_skill skill;
  int64_t from_ms, until_ms;
  uint32_t limits;
};

struct view_person {
  struct pd_id id;
  bool volunteer, resident, paused, exited, erased, ever_booked;
  double lon, lat; /* of the cell's centre, degrees */
  uint64_t skills;
  uint32_t days[7];
  uint32_t radius_m, per_week;
  enum pd_age_band age;
  bool vetted, on_call;
  uint32_t open_offers;
  enum pd_gender gender;
  struct view_doc docs[VIEW_DOCS];
  uint32_t doc_count;
  uint32_t load; /* offers up to that week, in sixteenths, halved every week */
  int64_t load_week;
  uint32_t served; /* index plus 1 of the resident who was served last */
};

struct view_slot {
  uint32_t holder; /* index of a person, plus 1; 0: free */
  bool started;
  bool must_reopen;
  uint32_t claimed; /* index plus 1 of who started here by intake's word */
  int64_t start_ms, end_ms;
};

struct view_order {
  uint64_t number; /* 0: not placed */
  uint32_t requester;
  double lon, lat;
  uint64_t skills;
  uint32_t need, minutes;
  int64_t from_ms, to_ms, placed_ms;
  int32_t x, y; /* cell */
  enum pd_urgency urgency;
  enum pd_order_kind kind;
  bool sensitive, dangerous;
  enum pd_gender gender;
  uint32_t demands;
  bool stopped, closed, tried;
  uint32_t untried; /* entries of the matcher since it was not */
  uint32_t wave, wave_left, open_offers, called, last_distance;
  int64_t wave_ends_ms, wave_next_ms, due_ms;
  uint32_t ring_m; /* of an emergency's phase; else 0 */
  int64_t phase_ms;
  bool due_now; /* it was wave_due, and nothing was said yet */
  struct view_slot slots[VIEW_SLOTS];
};

struct view_offer {
  uint64_t order;
  uint32_t person; /* index */
  bool open;
  int answered; /* 1: yes, -1: no */
  enum pd_offer_how how;
  int64_t start_ms, end_ms, expires_ms;
};

struct view {
  struct sim *sim;
  struct view_person persons[VIEW_PERSONS];
  uint32_t person_count;
  struct view_order *orders; /* by number */
  uint64_t order_count;
  uint32_t blocks[VIEW_BLOCKS][2]; /* who does not wish to meet whom: indices */
  uint32_t block_count;
  struct view_offer *offers; /* by number */
  uint64_t offer_count;
  int64_t now_ms;
};

/* Room for every order and offer of the history. */
void view_init(struct view *view, const struct sim_history *history);
void view_free(struct view *view);

/* Fold intake's facts about people and orders. */
void view_registry(struct view *view, const struct pd_event *event);

/* A person's index, fails if unknown; the order, NULL if it was not placed (as far as the view
 * goes). */
uint32_t view_person(const struct view *view, ProtobufCBinaryData id);
struct view_order *view_order(const struct view *view, uint64_t number);

/* The credential that stands, NULL if none does; has one of the two blocked the other? */
const struct view_doc *view_doc(const struct view_person *person, enum pd_credential_kind kind,
                                enum pd_skill skill);
bool view_blocked(const struct view *view, uint32_t one, uint32_t other);

/* Fold a credential and a blocked pair; a mask of demands. */
void view_add_doc(struct view *view, const struct pd_credential_recorded *body);
void view_add_block(struct view *view, const struct pd_pair_blocked *body);
uint32_t view_demands(const enum pd_demand *demands, size_t count);

/* What rests on papers: why a service at this time may not be; 0: it may.  Not yet 18?  Does this
 * person consent to automated matching now? */
enum pd_reason view_paper_lacks(const struct view_order *order, const struct view_person *person,
                                int64_t start_ms, int64_t end_ms);
bool view_is_minor(const struct view_person *person);
bool view_consents(const struct view_person *person, int64_t now_ms);

/* Slots that nobody holds; the latest start. */
uint32_t view_free_slots(const struct view_order *order);
int64_t view_latest(const struct view_order *order);

/* Hours since a Monday 0:00 long ago, local time. */
int64_t view_hour(int64_t time_ms);

#endif
