/* sim_people - who lives in the simulated district, and what the generator knows of them. */
#ifndef TESTS_SIM_PEOPLE_H
#define TESTS_SIM_PEOPLE_H

#include "tests/sim/sim.h"

/* The middle of the district, and a kilometre, in 1e-7 degree. */
#define SIM_LON 1180500000
#define SIM_LAT 368000000
#define SIM_KM 90000

struct sim_person {
  struct pd_id id;
  uint32_t uid;
  bool volunteer;
};

/* An order as its people know it. */
struct sim_order {
  uint64_t number;
  uint32_t requester; /* index of a person */
  uint32_t need, minutes;
  bool closed;
};

struct sim_people {
  struct sim_person *persons;
  size_t person_count, person_room;
  struct sim_order *orders; /* by number - 1 */
  size_t order_count, order_room;
  uint64_t last_offer, last_hold;
  uint32_t sites; /* asked for; their refs are S1, S2 ... */
};

/* Something that somebody means to do later. */
struct sim_plan {
  uint64_t number; /* an order, offer or hold */
  uint32_t person; /* index */
  uint32_t slot;
  enum pd_log log; /* of what was seen; 0: nothing */
  uint64_t seq;
};

/* The person with this id, or NULL. */
const struct sim_person *sim_person_of(const struct sim *sim, ProtobufCBinaryData id);

/* Any person; any volunteer if there is one. */
const struct sim_person *sim_anybody(struct sim *sim);

/* The order, or NULL if nobody heard of it. */
struct sim_order *sim_order_of(const struct sim *sim, uint64_t number);

/* sim_wishes.c: what the people do when they hear of something. */
void sim_wishes_heard(struct sim *sim, const struct pd_event *event);

/* Something that makes no sense, at the door. */
void sim_nonsense(struct sim *sim);

/* Say it; now and then use the key again for something else. */
void sim_act(struct sim *sim, const struct sim_said *said, pd_command_kind kind, const void *body);

/* A paper of this person is recorded, renewed or withdrawn; a person blocks the other, or does not
 * mind any more. */
void sim_say_credential(struct sim *sim, const struct sim_person *person);
void sim_say_block(struct sim *sim, const struct sim_person *person,
                   const struct sim_person *other);

/* One order is placed by somebody. */
void sim_place(struct sim *sim);

/* Any of the site's people at their door. */
struct sim_said sim_by_site(struct sim *sim);

#endif
