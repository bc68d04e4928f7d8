/* rules - the hard rules: who may be invited to an order, who may not, and why.
 *
 * The first rule that keeps a volunteer out is the reason.  They come from law (志愿服务条例 Art.
 * 15, 16, 17; the rules for minors; PIPL Art. 24) and from what people have said: skills, radius,
 * hours, load, whom they do not wish to meet.  They are tried in this order:
 *
 *     INACTIVE  OWN_ORDER  ALREADY_ASKED  SKILL  RADIUS  AGE  NOT_VETTED  NOT_AUTOMATED  BLOCKED
 *     GENDER, then for each start HOURS  OVERLAP  REST  CAPACITY  DAY_FULL  HEALTH  GUARDIAN
 *     QUALIFICATION  INSURANCE, and last TOO_MANY_OFFERS.
 *
 * Nothing here changes the state.
 */
#ifndef MATCHING_RULES_H
#define MATCHING_RULES_H

#include "services/matching/state.h"

/* One bit of a set of reasons. */
#define RULES_BIT(reason) (UINT64_C(1) << (unsigned)(reason))

/* One order at one time, as the rules see it. */
struct rules {
  const struct matching *self;
  const struct order *order;
  const struct matching_policy *policy;
  int64_t now_ms;
  int64_t first_ms; /* earliest start that may be proposed */
  int64_t last_ms;  /* latest start; before first_ms when there is no time left */
  int64_t rest_ms;  /* between two services of one volunteer */
  uint64_t hours[3]; /* of the week that any of these starts could touch */
  uint64_t waived;   /* RULES_BIT of the reasons that somebody has set aside; none at first */
  uint32_t own;     /* number of the requester as a volunteer, PD_NONE if none */
  uint32_t minutes; /* length of the service */
  uint32_t professional; /* bits of the order's skills that need a qualification */
  bool dangerous;
  bool adults_only;
  bool on_call; /* volunteers for emergencies are asked outside their hours */
  bool marked;  /* self->marks holds who was asked */
};

/* A time that would suit. */
struct proposal {
  int64_t start_ms;
  int64_t end_ms;
};

/* Look at an order at now_ms.  marked: the caller has marked the asked ones with self->serial. */
struct rules rules_begin(const struct matching *self, const struct order *order, int64_t now_ms,
                         bool marked);

/* Every rule, for the volunteer of this number who lives distance_m away.  UNSPECIFIED: may be
 * invited, and *proposal is the earliest time; otherwise the first rule that stands against it.
 * Of the rules only these can be waived: ALREADY_ASKED, RADIUS, NOT_AUTOMATED, HOURS, CAPACITY,
 * TOO_MANY_OFFERS. */
enum pd_reason rules_try(const struct rules *rules, uint32_t number, uint32_t distance_m,
                         struct proposal *proposal);

/* The rules about time alone: the earliest start from first_ms to last_ms, first_ms itself or a
 * full local hour, in which the volunteer is free by the week's hours, has rested, has room on that
 * day and in that week, and has every paper that the order needs.  Otherwise the farthest of the
 * rules, in the order above, that any start came to; *proposal is then the first start that came so
 * far, or all 0 if none was tried. */
enum pd_reason rules_find_time(const struct rules *rules, const struct volunteer *volunteer,
                               struct proposal *proposal);

/* May this very time be booked?  The same rules without HOURS, for the time alone. */
enum pd_reason rules_check_time(const struct rules *rules, const struct volunteer *volunteer,
                                struct proposal time);

/* Of these, what rests on papers and can be withdrawn: HEALTH to INSURANCE. */
enum pd_reason rules_check_papers(const struct rules *rules, const struct volunteer *volunteer,
                                  struct proposal time);

/* Minutes of service that a volunteer has on the local day of this time. */
uint32_t rules_day_minutes(const struct matching *self, const struct volunteer *volunteer,
                           int64_t start_ms);

#endif
