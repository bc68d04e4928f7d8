/* state - the tables of the matcher, and how events change them.
 *
 * Inside the core only.  Everything below `facts` stands in the arena's image and holds no pointer;
 * entries are numbers.  Volunteers are numbered densely from 0 and stay for ever (limits.persons
 * counts erased ones too); orders, offers, asked pairs and bookings are numbered from 1, come out
 * of pools, and 0 is none.  The apply functions are total: what they do not know, they ignore.
 */
#ifndef MATCHING_STATE_H
#define MATCHING_STATE_H

#include "common/base/geo.h"
#include "common/base/map.h"
#include "common/base/pool.h"
#include "services/matching/chain.h"
#include "services/matching/grid.h"
#include "services/matching/matching_core.h"

enum volunteer_status { VOLUNTEER_ACTIVE, VOLUNTEER_PAUSED, VOLUNTEER_EXITED, VOLUNTEER_ERASED };

#define WEEK_HOURS    168u
#define STATE_LOAD_ONE 16 /* what one offer adds to a volunteer's load */
#define STATE_LOAD_MAX 1024
#define DEMANDS_KNOWN 16u /* bits of a mask of demands */
#define SKILLS_ACTIVE 1u /* in skills_of: no skill has this bit */

/* A credential of a volunteer: the last word on its kind (and skill). */
struct paper {
  int64_t from_ms;
  int64_t until_ms; /* exclusive; 0: withdrawn */
  uint32_t next;    /* in the volunteer's list */
  uint8_t kind;     /* enum CredentialKind */
  uint8_t skill;    /* of a qualification */
  uint16_t limits;  /* of HEALTH: bit of each demand */
};

#define BLOCK_MINE 1u   /* the volunteer does not wish to meet the other */
#define BLOCK_THEIRS 2u /* the other does not wish to meet the volunteer */

/* Somebody whom a volunteer is never matched with. */
struct block {
  struct pd_id other;
  uint32_t next; /* in the volunteer's list */
  uint32_t by;   /* BLOCK_s; never 0 */
};

struct volunteer {
  struct pd_id person;
  uint64_t hours[3];     /* bit of each hour of the local week, Monday 0:00 first */
  int64_t done_start_ms; /* the latest service of an order that is closed already: its time stays
                            taken */
  int64_t done_end_ms;
  int64_t done_week; /* local week of such services, and how many of them it held */
  int64_t done_day; /* local day of such services, and how many minutes it held */
  int64_t helped_ms; /* end of the latest service that this person received; 0: none was */
  int64_t offered_ms; /* when the last offer was made; 0: none was */
  int64_t since_ms;   /* registered, or back from a pause */
  struct pd_id served; /* the resident who was served last */
  struct pd_square cell;
  uint32_t load;    /* offers up to that time, in STATE_LOAD_ONEs, halved every week */
  uint32_t offered; /* offers ever */
  uint32_t done_count;
  uint32_t done_minutes;
  uint32_t skills; /* bit of each skill */
  uint32_t radius_m;
  uint32_t max_per_week;
  uint32_t offers;      /* chain of open ones */
  uint32_t open_offers; /* how many */
  uint32_t bookings;    /* chain */
  uint32_t papers;      /* list */
  uint32_t blocks;      /* list */
  uint8_t branch;       /* 1 .. 10; 0: none */
  uint8_t gender;       /* enum Gender */
  uint8_t zero[2];
  uint8_t age;          /* enum AgeBand */
  uint8_t vetted;
  uint8_t emergency;
  uint8_t status; /* enum volunteer_status */
};

struct order {
  uint64_t id; /* 0: the entry is free */
  struct pd_id requester;
  int64_t window_start_ms;
  int64_t window_end_ms;
  int64_t wave_expires_ms;
  int64_t wave_next_ms; /* not before then does the next wave open by scheduling's word */
  uint64_t filled; /* bit n - 1: slot n is booked */
  struct pd_square cell;
  uint32_t skills; /* bit of each skill; bit 0: one that this version does not know */
  uint32_t minutes;
  uint32_t need;
  uint32_t wave;        /* number of the last wave that opened */
  uint32_t offers;      /* chain of open ones */
  uint32_t open_offers; /* how many */
  uint32_t asked;       /* list */
  uint32_t bookings;    /* chain */
  char category[MATCHING_CATEGORY]; /* ends with NUL if shorter */
  uint16_t demands;     /* bit of each demand */
  uint8_t gender;       /* enum Gender; UNSPECIFIED: of any */
  uint8_t dangerous;    /* somebody said so */
  uint8_t rural;        /* a town or village is in charge */
  uint8_t urgency;      /* enum Urgency */
  uint8_t kind;         /* enum OrderKind */
  uint8_t sensitive;
  uint8_t stopped; /* no more waves: cancelled, served, or too late to begin */
  uint8_t closed;  /* intake is done with it; the entry waits for its last offer to end */
  uint8_t called;  /* open offers that a coordinator asked for */
  uint8_t waits;   /* for a wave: it stands in the chain of those who do */
  uint8_t cause_log; /* enum Log: of the fact by which it began to wait */
  uint8_t traced;    /* that fact had a trace */
  uint8_t zero[2];
  uint64_t cause_seq;
  uint8_t trace[24];
};

struct offer {
  uint64_t id;
  int64_t start_ms;
  int64_t end_ms;
  int64_t expires_ms;
  uint32_t order;
  uint32_t volunteer;
  int32_t cost_m; /* in all, as it was said */
  uint32_t how; /* enum OfferHow */
};

struct asked {
  int64_t start_ms; /* of the booking here that was reopened last; 0: none was */
  int64_t end_ms;
  uint32_t volunteer;
  uint32_t next;
};

struct booking {
  int64_t start_ms;
  int64_t end_ms;
  uint32_t order;
  uint32_t volunteer;
  uint32_t slot; /* 1 .. need */
  uint32_t started;
};

/* A cell from which help was asked for (coverage.h). */
struct place {
  struct pd_square cell;
  int64_t period; /* of the latest order */
  uint32_t orders; /* in that period */
  uint32_t before; /* in the one before it */
};

/* Counters of the image. */
struct facts {
  uint64_t volunteers; /* numbers given out */
  uint64_t active;     /* of them */
  uint64_t radius_m;   /* no volunteer has ever wished to travel farther */
  uint64_t last_offer; /* highest id said */
  uint64_t places;     /* that are remembered */
  uint32_t skilled[32]; /* active volunteers with each skill */
  struct matching_answers answers[MATCHING_KINDS];
  struct matching_rules rules; /* as adopted */
  uint32_t policy; /* number of the rules; 0: none were adopted */
  uint32_t waiting; /* chain of the orders that wait for a wave */
  uint32_t waiting_urgently; /* how many of them are emergencies */
  uint32_t zero;
};

struct matching {
  struct matching_rules rules; /* followed until some are adopted */
  struct matching_rules proposed;
  struct pd_limits limits;
  int32_t zone_min;
  uint32_t serial;     /* of the scan that last marked someone */
  uint32_t *marks;     /* scratch, a serial for each volunteer: asked for the order at hand */
  uint64_t tally_used; /* people who were counted in this turn */
  struct batch *batch; /* scratch: the orders that are decided together */
  int64_t batch_ms;    /* scratch: when those that wait are decided; PD_NEVER: at the turn's end */
  bool batch_set; /* scratch: batch_ms is meant; after a restart it is not, and it is time */
  bool proposes;
  uint8_t zero[6];
  struct grid grid;    /* of the active volunteers, by number */
  struct facts *facts;
  struct volunteer *volunteers;
  uint32_t *served_by; /* volunteers who served a resident last, by a part of the
                          resident's id */
  uint32_t *skills_of; /* skills of each active volunteer and SKILLS_ACTIVE; otherwise 0 */
  struct order *orders;
  struct offer *offers;
  struct asked *asked;
  struct booking *bookings;
  struct paper *papers;
  struct block *blocks;
  uint8_t *rural; /* by site: a town or village by its code */
  struct chain_link *offer_of_order;
  struct chain_link *offer_of_volunteer;
  struct chain_link *waiting_order;
  struct chain_link *booking_of_order;
  struct chain_link *booking_of_volunteer;
  struct pd_idmap volunteer_by_id;
  struct pd_map order_by_id;
  struct pd_map offer_by_id;
  struct place *places;
  struct pd_map place_of; /* by cell */
  struct pd_pool free_orders;
  struct pd_pool free_offers;
  struct pd_pool free_asked;
  struct pd_pool free_bookings;
  struct pd_pool free_papers;
  struct pd_pool free_blocks;
};

/* The volunteer's number, PD_NONE if unknown; the entry of an order or an open offer, 0 if unknown.
 */
uint32_t state_volunteer(const struct matching *self, const struct pd_id *person);
uint32_t state_order(const struct matching *self, uint64_t id);
uint32_t state_offer(const struct matching *self, uint64_t id);

/* The booking of a slot of an order, 0 if it is free. */
uint32_t state_booking(const struct matching *self, const struct order *order, uint32_t slot);

/* The pair of an order and a volunteer who was invited to it, 0 if there is none. */
uint32_t state_asked(const struct matching *self, const struct order *order, uint32_t volunteer);

/* The volunteer's credential of this kind (and skill), NULL if none is on record. */
const struct paper *state_paper(const struct matching *self, const struct volunteer *volunteer,
                                enum pd_credential_kind kind, enum pd_skill skill);

/* What this volunteer and this person have said of each other: BLOCK_s, 0 if nothing. */
uint32_t state_blocked(const struct matching *self, const struct volunteer *volunteer,
                       const struct pd_id *other);

/* A mask with the bit of each demand that is known here. */
uint16_t state_demands(const enum pd_demand *demands, size_t count);

/* Not yet 18. */
bool state_is_minor(const struct volunteer *volunteer);

/* Do the rules in force, or who placed it, say that an order is dangerous? */
bool state_is_dangerous(const struct matching *self, const struct order *order);

/* Local days since some day long ago. */
int64_t state_day(const struct matching *self, int64_t time_ms);

/* The rules in force; those for an order. */
const struct matching_rules *state_rules(const struct matching *self);
const struct matching_policy *state_policy(const struct matching *self, const struct order *order);

/* The rules in force for what concerns no single kind of order. */
const struct matching_policy *state_policy_for_all(const struct matching *self);

/* How many volunteers served this resident last: never fewer than do, rarely more. */
uint32_t state_served_by(const struct matching *self, const struct pd_id *resident);

/* The local week of a time. */
int64_t state_week(const struct matching *self, int64_t time_ms);

/* A volunteer's recent offers as seen in a local week, in STATE_LOAD_ONEs. */
uint32_t state_load(const struct matching *self, const struct volunteer *volunteer, int64_t week);

/* Offers for each free slot of an order, so that as many as the policy wishes are accepted at the
 * rate at which this kind of order was accepted lately; offers_per_slot until enough is known.
 * Never less than one for each slot; MATCHING_WAVE_MAX at most in all. */
uint32_t state_wave_size(const struct matching *self, const struct order *order);

/* Slots that nobody holds. */
uint32_t state_free_slots(const struct order *order);

/* Slots that nobody holds and no coordinator has named anybody for. */
uint32_t state_wanted_slots(const struct order *order);

/* The latest time at which the service can begin and still end within the window. */
int64_t state_latest_start(const struct order *order);

/* Fold one event; one function for each kind that changes something here. */
void state_volunteer_registered(struct matching *self, const struct pd_volunteer_registered *said,
                                int64_t time_ms);
void state_volunteer_status(struct matching *self, struct pd_id person,
                            enum volunteer_status status);
void state_site_registered(struct matching *self, const struct pd_site_registered *said);
void state_credential_recorded(struct matching *self, const struct pd_credential_recorded *said);
void state_pair_blocked(struct matching *self, const struct pd_pair_blocked *said);
void state_forget_papers(struct matching *self, struct pd_id person);
void state_volunteer_resumed(struct matching *self, struct pd_id person, int64_t time_ms);
void state_order_placed(struct matching *self, const struct pd_order_placed *said,
                        int64_t time_ms);
void state_order_stopped(struct matching *self, uint64_t id);
void state_order_closed(struct matching *self, uint64_t id);
void state_service_started(struct matching *self, const struct pd_service_started *said);
void state_wave_opened(struct matching *self, const struct pd_wave_opened *said);
void state_offer_made(struct matching *self, const struct pd_offer_made *said, int64_t time_ms);
void state_policy_adopted(struct matching *self, const struct pd_policy_adopted *said);
void state_offer_closed(struct matching *self, const struct pd_offer_closed *said);
void state_slot_filled(struct matching *self, const struct pd_event *event);
void state_slot_reopened(struct matching *self, const struct pd_event *event);
void state_wave_due(struct matching *self, const struct pd_event *event);

/* An order that wants a slot, has no open offer of a wave and is not stopped waits for one from
 * this fact on, which is then the cause of what is said (NULL: it goes on waiting if it does); any
 * other does not wait, or not any more. */
void state_order_waits(struct matching *self, uint64_t id, const struct pd_event *fact);

/* A wave was opened, or nobody could be invited: the order does not wait any more. */
void state_order_answered(struct matching *self, uint64_t id);

/* Walk every invariant of matching_core.h and assert it: O(state). */
void state_check(const struct matching *self);

#endif
