/* matching_core - who is invited to take an order.
 *
 * A placed order becomes offers to the nearest volunteers whom no hard rule keeps out; the first to
 * accept wins a slot.  Nobody is ever assigned: an offer may be refused or left unanswered, and
 * that costs nothing.
 *
 *     events in:   intake: site_registered
 *                    volunteer_registered  volunteer_paused  volunteer_resumed
 *                    volunteer_exited  person_erased  credential_recorded  pair_blocked
 *                    order_placed  order_cancelled  offer_answered
 *                    volunteer_withdrew  service_started  order_served  order_closed
 *                    offer_commanded  order_asked
 *                  scheduling: day_began  wave_due  order_escalated  order_expired  no_show_noted
 *     events out:  policy_adopted  wave_opened  offer_made  offer_closed  offer_denied
 *                  slot_filled  slot_reopened  order_staffed  order_unmatched  coverage_noted
 *
 * Invariants (walked by matching_core.check):
 *     - a slot is won once: an order's bookings have different slots, exactly its filled ones;
 *     - a volunteer is never booked twice for overlapping times, unless both services have begun;
 *     - every open offer is of a known order and a known volunteer, and both count it;
 *     - every offer ends once, by slot_filled or offer_closed; an order's waves ask nobody twice;
 *     - an order's memory is free again when intake closed it and its last offer has ended.
 *
 * The core has no clock: the time of a wave is kept by scheduling, and is heard as wave_due.
 * Policy is read in decide only, and stands in the state: what a district sets is proposed to the
 * core, said as policy_adopted, and followed from there on.
 */
#ifndef MATCHING_CORE_H
#define MATCHING_CORE_H

#include "common/base/err.h"
#include "common/wire/core.h"

struct matching; /* all state; lives in the arena given to init */

#define MATCHING_WAVE_MAX 64 /* no policy may send more at once: an order has at most 64 slots */
#define MATCHING_KINDS    8  /* enum OrderKind; 0: not said */
#define MATCHING_BRANCHES 11 /* 0: of no branch; 1 theory .. 9 ecology, 10 emergency */
#define MATCHING_CATEGORY 32 /* bytes of an order's category */
#define MATCHING_LISTED   16 /* categories that a list of the rules may hold */

/* What a district may tune: every number of the matcher that is no law and no limit. */
struct matching_policy {
  uint32_t offers_per_slot; /* invitations for each free slot of a wave, 1 or more */
  uint32_t wave_max;        /* invitations of one wave, 1 .. MATCHING_WAVE_MAX */
  uint32_t ttl_min[5];      /* minutes that an offer stays open, by enum Urgency (0: not said) */
  uint32_t lead_min;        /* minutes from now to the earliest start proposed: time to get there */
  uint32_t reach_m;         /* nobody farther away is looked at; no volunteer travels over 50 km */
  uint32_t horizon_h;       /* a start is looked for within this many hours of the earliest one */
  uint32_t scan_max;        /* people within reach who are looked at for one wave */
  uint32_t tally_max;       /* people counted in one turn to explain unmatched orders; when it is
                               used up, an unmatched order counts those within reach only */
  uint32_t rule_own_order;  /* 1: nobody is invited to an own order */
  uint32_t rule_not_vetted; /* 1: sensitive orders go to vetted volunteers only */
  uint32_t adults_only;     /* 1: no minors, also where the law would let them */
  uint32_t candidates;      /* nearest eligible people whose costs are compared, 1 or more */
  uint32_t fairness_m;      /* metres of way, times the square of the recent offers */
  uint32_t continuity_m;    /* metres of way forgiven to who served this resident last */
  uint32_t rare_skill_m;    /* metres of way for each rare skill that is not needed */
  uint32_t rare_permille;   /* of the active volunteers: so many at most have a rare skill */
  uint32_t fill_percent;    /* acceptances that a wave is sized for, of its free slots; 0: none */
  uint32_t hall;            /* 1: open orders may be asked for in the hall */
  uint32_t phase_offers;    /* of an emergency: invitations of a phase for each free slot */
  uint32_t phase_ring_m;    /* each phase looks so much farther */
  uint32_t phase_minutes;   /* from one phase to the next */
  uint32_t coverage_m;      /* a place is covered if somebody active lives within so many metres */
  uint32_t coverage_holes;  /* places that coverage_noted lists, 0 .. 64 */
  uint32_t starved_days;    /* who was not invited for so long is told of */
  uint32_t batch_window_ms; /* orders that begin to wait within so long are decided together; 0:
                               those of one turn; for all kinds alike */
  uint32_t rest_min;        /* minutes between two services of one volunteer */
  uint32_t day_max_min;     /* minutes of service on one local day; 0: as many as fit */
  uint32_t dangerous;       /* 1: every order counts as dangerous */
  uint32_t professional;    /* bit of each skill that needs a qualification; for all kinds alike */
  uint32_t branch_m[MATCHING_BRANCHES]; /* metres of way forgiven to volunteers of a branch */
  uint32_t rural_m;         /* metres of way forgiven where a town or village is in charge */
  uint32_t mutual_m;        /* metres of way forgiven to those who help each other */
  uint32_t mutual_days;     /* days for which help received or given counts for that */
};

/* Categories of orders, by name; a name ends with NUL if it is shorter. */
struct matching_list {
  uint32_t count;
  char names[MATCHING_LISTED][MATCHING_CATEGORY];
};

/* 3 offers a slot, 64 a wave; 60, 30, 15, 15 minutes; 15 minutes lead; 50 km; 14 days; the others
 * are named in policy.c. */
extern const struct matching_policy matching_policy_default;

/* The policy for each kind of order. */
struct matching_rules {
  struct matching_policy of[MATCHING_KINDS];
  struct matching_list dangerous; /* orders of these count as dangerous */
  struct matching_list gendered;  /* orders of these may ask for a gender: intake's rule */
};

/* The service's core; its policy is a struct matching_policy, followed until one is adopted. */
extern const struct pd_core matching_core;

/* Propose rules: unless they are in force already, the core says policy_adopted as soon as it is
 * given the time.  To be repeated when the state was rebuilt. */
void matching_propose(struct matching *self, const struct matching_rules *rules);

/* The rules in force, and the number of their policy_adopted: 0 if none was said. */
uint32_t matching_rules_in_force(const struct matching *self, struct matching_rules *rules);

/* What inviting somebody costs, in metres of way; the parts as cost.h explains them. */
struct matching_cost {
  int64_t total_m; /* way + fairness + rare - continuity - branch - rural - mutual */
  int64_t way_m;
  int64_t fairness_m;
  int64_t continuity_m;
  int64_t rare_m;
  int64_t branch_m;
  int64_t rural_m;
  int64_t mutual_m;
};

/* What the rules say about one volunteer and one order at one time. */
struct matching_verdict {
  struct pd_id person;
  enum pd_reason reason; /* the first rule that keeps the volunteer out; UNSPECIFIED: none does */
  uint32_t distance_m;   /* between the two cells' centres, rounded up */
  int64_t start_ms;      /* the time that suits; 0 where a rule before TOO_MANY_OFFERS fails */
  int64_t end_ms;
  struct matching_cost cost;
  int64_t wave_m; /* what the dearest open invitation to this order cost; 0: none is open */
};

/* Why is, or is not, this volunteer invited to this order?  Tries the hard rules in the order of
 * rules.h and changes nothing.  RANKED_LOWER: no rule stands against it, but the open wave was
 * full with people who cost less, or, if cost.total_m < wave_m, this volunteer was worth more to
 * another order that was decided at the same time; UNSPECIFIED: no wave is open, and the next one
 * would look at this volunteer.  PD_ENOENT: the order is not open here, or the person is no
 * volunteer. */
PD_MUST_USE enum pd_err matching_explain(const struct matching *self, uint64_t order,
                                         const struct pd_id *person, int64_t now_ms,
                                         struct matching_verdict *verdict);

/* Whom would a wave look at now?  Everybody with the skills who lives within reach, nearest first,
 * each with a verdict as above; at most max of them.  Returns how many were written to list; 0 for
 * an order that is not open here. */
uint32_t matching_candidates(const struct matching *self, uint64_t order, int64_t now_ms,
                             struct matching_verdict *list, uint32_t max);

/* The figures behind a verdict: by how much somebody was kept out, or what the cost is made of. */
struct matching_standing {
  int64_t first_ms; /* the starts that are looked at; none if the first is after the last */
  int64_t last_ms;
  int64_t clash_start_ms; /* the booking that overlaps the first start; 0: none does */
  int64_t clash_end_ms;
  uint64_t clash_order;
  uint32_t missing_skills; /* bit of each skill; bit 0: one that this version does not know */
  uint32_t radius_m;       /* the volunteer's own */
  uint32_t reach_m;        /* the policy's */
  uint32_t recent_permille; /* recent offers, in thousandths of one: halved every week */
  uint32_t offers_ever;
  uint32_t booked; /* in the week of the first start */
  uint32_t max_per_week;
  uint32_t open_offers;
  uint32_t open_max;
  uint32_t zero;
};

/* How this volunteer stands to this order now.  PD_ENOENT as matching_explain. */
PD_MUST_USE enum pd_err matching_stand(const struct matching *self, uint64_t order,
                                       const struct pd_id *person, int64_t now_ms,
                                       struct matching_standing *standing);

/* An open order as a volunteer sees it in the hall. */
struct matching_hall_order {
  uint64_t order;
  struct matching_verdict verdict; /* UNSPECIFIED: who asks has it, from start_ms to end_ms */
  int64_t window_start_ms;
  int64_t window_end_ms;
  uint32_t free_slots;
  uint32_t minutes;
  enum pd_order_kind kind;
  enum pd_urgency urgency;
};

/* What is open in the hall for this volunteer, in no order: every order that the hall offers, with
 * what stands against it (as order_asked would be denied), at most max of them.  Returns how many;
 * 0 if the person is no volunteer.  O(orders). */
uint32_t matching_hall(const struct matching *self, const struct pd_id *person, int64_t now_ms,
                       struct matching_hall_order *list, uint32_t max);

/* How volunteers answered offers for one kind of order lately; older answers count less. */
struct matching_answers {
  uint32_t known;    /* accepted, declined or expired without an answer */
  uint32_t accepted; /* of them */
};
struct matching_answers matching_answers(const struct matching *self, enum pd_order_kind kind);

/* Who waits, and how the load is spread. */
struct matching_figures {
  uint64_t active;               /* volunteers who may be invited */
  uint64_t never_invited;        /* of them */
  int64_t longest_wait_ms;       /* since the last offer, of those who ever had one */
  uint64_t orders_open;          /* with a free slot and time left */
  uint64_t orders_without_offer; /* of them: nobody is invited at present */
  uint32_t load_gini_permille;   /* of recent offers: 0 all alike, 1000 one has them all */
  uint32_t zero;
};

/* The figures at now_ms: O(volunteers + orders), so not in a decision's way. */
struct matching_figures matching_figures(const struct matching *self, int64_t now_ms);

/* How full the shard's tables are; for metrics. */
struct matching_load {
  uint64_t volunteers;
  uint64_t orders;
  uint64_t offers;
  uint64_t asked;
  uint64_t bookings;
};
struct matching_load matching_load(const struct matching *self);

#endif
