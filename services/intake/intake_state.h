/* intake_state - what intake remembers, for its own files only.
 *
 * The handle holds pointers and limits; everything behind pd_arena_begin_image() is tables without
 * pointers.  People, sites and teams are never removed, so their index is as good as a pointer:
 * person p stands in persons[p], site n in sites[n - 1].  An order's slots are a chain in number
 * order, taken from one pool when the order is placed.
 *
 * Files in reading order: intake_core.c (init, the two switches, check), intake_check.c (rules that
 * several commands share), intake_refusals.c (what a refused client reads), intake_registry.c,
 * intake_papers.c (credentials, blocked pairs), intake_orders.c (what happened to orders),
 * intake_commands.c (what may happen to them), intake_moves.h, intake_keys.c.
 */
#ifndef INTAKE_STATE_H
#define INTAKE_STATE_H

#include "common/base/map.h"
#include "common/base/pool.h"
#include "services/intake/intake_core.h"

#define INTAKE_REF_MAX 32
#define INTAKE_TEAMS_EACH 8 /* teams that one volunteer may be in */
#define INTAKE_CATEGORY_MAX 32
#define INTAKE_GENDER_MAX 16 /* categories that the rules may list */

enum intake_person_flag {
  INTAKE_VOLUNTEER = 1,
  INTAKE_RESIDENT = 2,
  INTAKE_PAUSED = 4,
  INTAKE_EXITED = 8,
  INTAKE_ERASED = 16
};

struct intake_person {
  struct pd_id id;
  uint16_t teams[INTAKE_TEAMS_EACH]; /* numbers; the first `joined` are used */
  uint8_t joined;
  uint8_t leads; /* one bit for each of `teams` */
  uint8_t flags; /* enum intake_person_flag */
  uint8_t blocked; /* how many others this person blocks */
  uint32_t papers; /* bits of the credentials that were ever recorded, by kind and skill */
  uint32_t blocks; /* chain of others, entry plus 1; 0: none */
};

/* Somebody does not wish to meet this other person. */
struct intake_block {
  uint32_t other; /* index */
  uint32_t next;  /* entry plus 1 */
};

struct intake_site {
  char ref[INTAKE_REF_MAX]; /* ends with NUL if shorter */
  uint32_t parent;
  int32_t lon_e7;
  int32_t lat_e7;
  uint32_t level;
};

struct intake_team {
  char ref[INTAKE_REF_MAX];
  uint32_t site;
};

enum intake_slot_state {
  INTAKE_SLOT_FREE,
  INTAKE_SLOT_BOOKED,
  INTAKE_SLOT_STARTED,
  INTAKE_SLOT_FINISHED,
  INTAKE_SLOT_CONFIRMED,
  INTAKE_SLOT_DROPPED, /* nobody is expected any more */
  INTAKE_SLOT_STATES
};

struct intake_slot {
  int64_t started_ms;
  uint32_t volunteer; /* index; of the latest booking */
  uint32_t next;      /* in the order's chain, PD_NONE at its end */
  uint16_t minutes;   /* served, once finished */
  uint8_t state;      /* enum intake_slot_state */
  uint8_t number;     /* 1 .. need */
  uint32_t zero;
};

struct intake_order {
  uint64_t number;
  uint32_t requester;                /* index of the person */
  uint32_t first;                    /* slot */
  uint8_t slots[INTAKE_SLOT_STATES]; /* how many slots are in each state; they add up to need */
  uint8_t need;
  uint8_t state; /* enum pd_order_state */
  uint8_t rated;
  uint8_t served; /* order_served was said and nobody has started since */
  uint8_t zero[6];
};

struct intake_offer {
  uint64_t number;
  uint64_t order; /* its number: the order may end before its offers do */
  uint32_t volunteer;
  uint32_t answered;
};

/* The answer to a granted command. */
struct intake_key {
  struct pd_id key;
  struct pd_id body;
  uint64_t seq; /* of its first event; 0: this entry was never used */
  uint64_t id;
  uint32_t person; /* index plus 1; 0: none */
  uint32_t zero;
};

/* Single figures of the image. */
struct intake_facts {
  uint64_t last_order;
  uint64_t last_offer;
  uint64_t keys; /* commands ever granted */
  uint32_t sites;
  uint32_t teams;
  uint32_t persons;
  uint32_t papers; /* credentials of all persons */
  uint32_t sites_of[8]; /* by level */
  uint64_t gender_count;
  char gender_of[INTAKE_GENDER_MAX][INTAKE_CATEGORY_MAX]; /* may ask for a gender */
  struct pd_box box;    /* of the sites; meaningless without any */
};

struct intake {
  struct pd_limits limits;
  struct pd_shard shard;
  uint64_t zero;
  struct intake_facts *facts;
  struct intake_site *sites;
  struct intake_team *teams;
  struct intake_person *persons;
  struct pd_idmap person_of;
  struct intake_order *orders;
  struct pd_pool order_pool;
  struct pd_map order_of;
  struct intake_slot *slots;
  struct pd_pool slot_pool;
  struct intake_offer *offers;
  struct pd_pool offer_pool;
  struct pd_map offer_of;
  struct intake_key *keys;
  struct pd_idmap key_of;
  struct intake_block *blocks;
  struct pd_pool block_pool;
};

/* ---- intake_keys.c: one key, one answer ---- */

/* Fold the origin of a granted command; call it after the event itself was folded. */
void intake_keys_apply(struct intake *self, const struct pd_event *event);

/* The entry of a key, or NULL. */
const struct intake_key *intake_keys_find(const struct intake *self, const struct pd_id *key);

/* Grant the command whose first event was just emitted, with the answer that a repetition will get.
 */
void intake_keys_grant(const struct intake *self, struct pd_outbox *out);

/* ---- intake_registry.c: sites, teams, people ---- */

/* Index of a person, PD_NONE if there is none of that id (or the bytes are no id). */
uint32_t intake_person_index(const struct intake *self, ProtobufCBinaryData id);

/* Number of the site or team with this ref, 0 if there is none. */
uint32_t intake_site_number(const struct intake *self, const char *ref);
uint32_t intake_team_number(const struct intake *self, const char *ref);

/* The site in charge of a place: the nearest station; without stations the nearest institute, else
 * the centre; 0 if none.  Nearest on the plane that touches the earth at the place: within 50 km
 * the distances are wrong by less than 0.1 %.  Of equals the first. */
uint32_t intake_site_near(const struct intake *self, struct pd_lonlat place);

/* Place in teams[] of a membership, INTAKE_TEAMS_EACH if there is none. */
uint32_t intake_membership(const struct intake_person *person, uint32_t team);

/* Fold what intake itself said of the registry.  The event was checked before it was said, so a
 * number out of turn or an unknown person is a broken promise. */
void intake_apply_site(struct intake *self, const struct pd_site_registered *body);
void intake_apply_team(struct intake *self, const struct pd_team_registered *body);
void intake_apply_joined(struct intake *self, const struct pd_team_joined *body);

/* Fold a new person of this kind, and flags set and cleared of one who is known. */
void intake_apply_person(struct intake *self, ProtobufCBinaryData id, enum intake_person_flag kind);
void intake_apply_flags(struct intake *self, ProtobufCBinaryData id, unsigned set, unsigned clear);

/* ---- intake_papers.c: credentials, blocked pairs, the rules' list of categories ---- */

/* Fold what intake itself said, and the rules that matching adopted. */
void intake_apply_credential(struct intake *self, const struct pd_credential_recorded *body);
void intake_apply_block(struct intake *self, const struct pd_pair_blocked *body);
void intake_apply_policy(struct intake *self, const struct pd_policy_adopted *body);

/* Fold that a person is erased: the credentials are gone. */
void intake_forget_papers(struct intake *self, ProtobufCBinaryData person);

/* Say that a person blocks nobody any more. */
void intake_lift_all(struct intake *self, uint32_t person, struct pd_outbox *out);

/* ---- intake_orders.c: what happened to orders ---- */

/* An order that is not closed, or NULL. */
struct intake_order *intake_order_find(const struct intake *self, uint64_t number);

/* An open offer, or NULL. */
struct intake_offer *intake_offer_find(const struct intake *self, uint64_t number);

/* Slot number 1 .. need of an order. */
struct intake_slot *intake_slot_of(const struct intake *self, const struct intake_order *order,
                                   uint32_t number);

/* The state that follows from the slots. */
enum pd_order_state intake_state_of(const struct intake_order *order);

/* Fold what intake itself said of an order: the order, and its slot in the state that the event
 * needs, are there.  time_ms: of the event. */
void intake_apply_placed(struct intake *self, const struct pd_order_placed *body);
void intake_apply_answered(struct intake *self, const struct pd_offer_answered *body);
void intake_apply_withdrew(struct intake *self, const struct pd_volunteer_withdrew *body);
void intake_apply_started(struct intake *self, const struct pd_service_started *body,
                          int64_t time_ms);
void intake_apply_finished(struct intake *self, const struct pd_service_finished *body);
void intake_apply_served(struct intake *self, const struct pd_order_served *body);
void intake_apply_confirmed(struct intake *self, const struct pd_service_confirmed *body);
void intake_apply_rated(struct intake *self, const struct pd_order_rated *body);
void intake_apply_closed(struct intake *self, const struct pd_order_closed *body);

/* Fold what matching said; what is about an order, slot, offer or person that is not (or no longer)
 * there changes nothing. */
void intake_apply_offer_made(struct intake *self, const struct pd_offer_made *body);
void intake_apply_offer_closed(struct intake *self, const struct pd_offer_closed *body);
void intake_apply_filled(struct intake *self, const struct pd_slot_filled *body);
void intake_apply_reopened(struct intake *self, const struct pd_slot_reopened *body);

/* Answer what another log said about an order. */
void intake_decide_event(struct intake *self, const struct pd_event *event, struct pd_outbox *out);

/* Say what now follows for an order: order_served when nobody is expected any more, the end when
 * all is done. */
void intake_settle(struct intake *self, uint64_t number, struct pd_outbox *out);

/* Say the last event of an order. */
void intake_close(uint64_t number, enum pd_order_state state, struct pd_outbox *out);

/* Cancel every order of a person that nobody has started. */
void intake_cancel_all(struct intake *self, uint32_t requester, struct pd_outbox *out);

#endif
