/* matching_harness - words for telling the matcher a story: what was given, what happened, what it
 * said.
 *
 * People and orders are numbers; places are cells east of one base cell (a step is some 89 m);
 * times are minutes after CORE_START_MS, a Tuesday 0:00 local time.
 */
#ifndef PD_TESTS_MATCHING_HARNESS_H
#define PD_TESTS_MATCHING_HARNESS_H

#include "services/matching/matching_core.h"
#include "tests/unit/core_harness.h"

extern struct core_harness h;

#define SKILLS_MAX 4

struct a_volunteer {
  int32_t east; /* cells */
  int32_t north;
  enum pd_skill skills[SKILLS_MAX];
  uint32_t radius_m;     /* 0: 5,000 */
  uint32_t max_per_week; /* 0: 50 */
  uint32_t day_mask;     /* hours of every day; 0: all */
  const uint32_t *week;  /* seven such masks instead, Monday first; or NULL */
  enum pd_age_band age;  /* 0: 18 to 35 */
  bool vetted;
  bool emergency;
  enum pd_gender gender;
  uint32_t branch;
};

struct an_order {
  int32_t east;
  int32_t north;
  enum pd_skill skills[SKILLS_MAX];
  uint64_t requester;      /* 0: nobody the matcher knows */
  uint32_t need;           /* 0: 1 */
  uint32_t start_min;      /* of the window, after CORE_START_MS; 0: 8:00 of the first day */
  uint32_t end_min;        /* 0: 18:00 of the first day */
  uint32_t minutes;        /* 0: 60 */
  enum pd_urgency urgency; /* 0: routine */
  enum pd_order_kind kind; /* 0: visit */
  bool sensitive;
  bool dangerous;
  enum pd_gender gender;
  enum pd_demand demand; /* 0: none */
  const char *category;  /* NULL: visit */
  uint32_t site;         /* 0: 1 */
};

#define HOURS(n)   ((n)*60u)
#define AT(minute) (CORE_START_MS + (int64_t)(minute)*60000)

/* A fresh matcher under the small limits; without a policy it weighs the way alone, nearest first,
 * and sends three offers a slot.  The end compares a replay with it. */
void matching_begin(void);
void matching_begin_with(const struct matching_policy *policy, const struct pd_limits *limits);
void matching_end(void);

/* Facts of intake. */
void given_volunteer(uint64_t person, struct a_volunteer as);
void when_paused(uint64_t person);
void when_resumed(uint64_t person);
void when_exited(uint64_t person);
void when_erased(uint64_t person);
void when_placed(uint64_t order, struct an_order as);
void when_answered(uint64_t order, uint64_t person, bool accept); /* the open offer of the two */
/* On record from and until these minutes (exclusive); until 0: withdrawn.  skill: of a
 * qualification; demand: of HEALTH. */
void given_paper(uint64_t person, enum pd_credential_kind kind, uint32_t from_min,
                 uint32_t until_min);
void given_qualification(uint64_t person, enum pd_skill skill, uint32_t from_min,
                         uint32_t until_min);
void given_limit(uint64_t person, enum pd_demand demand, uint32_t from_min, uint32_t until_min);
void when_blocked(uint64_t person, uint64_t other, bool lifted);
void given_site(uint32_t site, const char *code);
void when_withdrew(uint64_t order, uint32_t slot, uint64_t person);
void when_started(uint64_t order, uint32_t slot, uint64_t person);
void when_served(uint64_t order);
void when_cancelled(uint64_t order);
void when_closed(uint64_t order, enum pd_order_state state);

/* A coordinator names somebody; somebody asks in the hall. */
void when_named(uint64_t order, uint64_t person);
void when_asked(uint64_t order, uint64_t person);

/* Facts of scheduling. */
void when_wave_due(uint64_t order, uint32_t wave);
void when_escalated(uint64_t order);
void when_expired(uint64_t order, enum pd_order_stage stage);
void when_no_show(uint64_t order, uint32_t slot, uint64_t person);

/* What happens from here on happens in one turn, until it is decided; otherwise each fact is a turn
 * of its own. */
void when_together(void);
void then_decided(void);

/* The clock, minutes after CORE_START_MS. */
void at_minute(uint32_t minute);

/* The next thing it said is this. */
const struct pd_wave_opened *expect_wave(uint64_t order, uint32_t wave, uint32_t offers);
const struct pd_offer_made *expect_offer(uint64_t order, uint64_t person);
void expect_closed(uint64_t order, uint64_t person, enum pd_reason reason);
const struct pd_slot_filled *expect_filled(uint64_t order, uint32_t slot, uint64_t person);
/* A booking without an offer. */
const struct pd_slot_filled *expect_kept(uint64_t order, uint32_t slot, uint64_t person);
void expect_reopened(uint64_t order, uint32_t slot, uint64_t person, enum pd_reason reason);
void expect_staffed(uint64_t order);
const struct pd_order_unmatched *expect_unmatched(uint64_t order, uint32_t wave);
/* What was asked for is not to be had. */
void expect_denied(uint64_t order, uint64_t person, enum pd_reason reason);
void expect_silence(void);

/* How many people that event says one rule kept out. */
uint32_t tally_of(const struct pd_order_unmatched *said, enum pd_reason reason);

/* What the rules say now about this person and this order. */
struct matching_verdict verdict_on(uint64_t order, uint64_t person);

#endif
