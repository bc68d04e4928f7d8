/* view - the five logs folded into one picture in memory: orders, offers, people, sites, holds.
 *
 * For reading commands alone: it is built anew each time, from the merge of all logs (cursor.h). It
 * keeps what anybody may know from the logs; personal data stays sealed.
 */
#ifndef PAIDAN_VIEW_H
#define PAIDAN_VIEW_H

#include "services/paidan/cursor.h"
#include "services/paidan/ids.h"
#include "services/paidan/proto_json.h"
#include "services/paidan/tool.h"

#define VIEW_STATES 10 /* enum pd_order_state is below this */

enum view_slot_state { VIEW_FREE, VIEW_BOOKED, VIEW_STARTED, VIEW_FINISHED, VIEW_CONFIRMED };

struct view_slot {
  struct pd_id volunteer;
  enum view_slot_state state;
  uint32_t minutes; /* served, then confirmed */
  int64_t start_ms;
  int64_t end_ms;
  uint64_t offer;
};

struct view_offer {
  uint64_t order; /* 0: no offer of this number */
  struct pd_id volunteer;
  uint32_t wave;
  uint32_t distance_m;
  int64_t made_ms;
  int64_t expires_at_ms;
  int64_t start_ms;
  bool open;
  bool won;
  bool zero[2];
  enum pd_reason reason; /* why it ended, if it did not win */
};

struct view_order {
  uint64_t number; /* 0: none */
  struct pd_id requester;
  enum pd_order_kind kind;
  enum pd_urgency urgency;
  enum pd_channel channel;
  enum pd_order_state state;
  char category[33];
  bool sensitive;
  bool served;
  uint32_t site;
  uint32_t need;
  uint32_t minutes;
  uint32_t waves;
  uint32_t stars; /* 0: not rated */
  uint32_t level; /* escalated to, enum pd_site_level; 0: not */
  uint32_t n_slots;
  int32_t cell_x;
  int32_t cell_y;
  int64_t placed_ms;
  int64_t changed_ms;
  int64_t window_start_ms;
  int64_t window_end_ms;
  uint64_t skills;         /* bit: enum pd_skill */
  struct view_slot *slots; /* need of them; [0] is slot 1 */
  uint64_t *offers;        /* their numbers */
  size_t offer_count;
  size_t offer_room;
};

enum view_person_state { VIEW_ACTIVE, VIEW_PAUSED, VIEW_EXITED, VIEW_ERASED };

struct view_person {
  struct pd_id id;
  bool volunteer;
  bool resident;
  bool vetted;
  bool emergency;
  enum view_person_state state;
  enum pd_age_band age;
  uint32_t site;
  uint32_t branch;
  uint32_t radius_m;
  uint32_t max_per_week;
  uint32_t available[7];
  int32_t cell_x;
  int32_t cell_y;
  uint64_t skills;
  int64_t minutes; /* in the person's account */
  int64_t points;
  uint32_t offers; /* ever made */
  uint32_t booked;
  uint32_t served;
  uint32_t star;
};

struct view_site {
  uint32_t number; /* 0: none */
  uint32_t parent;
  enum pd_site_level level;
  char ref[33];
  char *name; /* owned */
};

struct view_hold {
  uint64_t order; /* 0: none */
  uint32_t slot;
  enum pd_hold_outcome outcome; /* UNSPECIFIED: undecided */
  int64_t decide_by_ms;
};

struct view {
  struct view_order *orders; /* [0] is order 1 */
  size_t order_count;
  size_t order_room;
  struct view_offer *offers; /* [0] is offer 1 */
  size_t offer_count;
  size_t offer_room;
  struct view_person *persons;
  size_t person_count;
  size_t person_room;
  struct ids ids;          /* a person's number is its place in persons */
  struct view_site *sites; /* [0] is site 1 */
  size_t site_count;
  size_t site_room;
  struct view_hold *holds; /* [0] is hold 1 */
  size_t hold_count;
  size_t hold_room;
  size_t volunteers;
  size_t residents;
  uint64_t events;
};

/* Build it.  Says what is wrong with the logs; returns the exit code.  view_close() is right in any
 * case. */
PD_MUST_USE int view_load(struct view *view, struct tool *tool, struct pd_store_now *store);
void view_close(struct view *view);

/* Fold one event: for tests, and for those who walk the logs themselves.  Start from a zeroed view.
 */
void view_apply(struct view *view, const struct pd_event *event);

/* NULL if there is none. */
struct view_order *view_order(const struct view *view, uint64_t number);
struct view_offer *view_offer(const struct view *view, uint64_t number);
struct view_person *view_person(const struct view *view, const struct pd_id *id);
struct view_site *view_site(const struct view *view, uint32_t number);
struct view_site *view_site_of(const struct view *view, const char *ref);

/* How many offers of the order wait for an answer. */
uint64_t view_open_offers(const struct view *view, const struct view_order *order);

/* Is the site `below` the site `above`, or the same? */
bool view_site_within(const struct view *view, uint32_t below, uint32_t above);

/* Stable objects. */
json_t *view_order_json(const struct view *view, const struct view_order *order,
                        const struct tool *tool);
json_t *view_person_json(const struct view *view, const struct view_person *person);

#endif
