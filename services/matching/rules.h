/* rules - the hard rules: who may be invited to an order, who may not, and why.
 *
 * The rules are tried in the order of enum Reason, cheap ones first; the first that keeps a
 * volunteer out is the reason.  They come from law (志愿服务条例 Art. 15, 16; the rules for minors)
 * and from what the volunteer has said: skills, radius, hours, load.  Nothing here changes the
 * state.
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
  uint64_t hours[3]; /* of the week that any of these starts could touch */
  uint64_t waived;   /* RULES_BIT of the reasons that somebody has set aside; none at first */
  uint32_t own;     /* number of the requester as a volunteer, PD_NONE if none */
  uint32_t minutes; /* length of the service */
  bool adults_only;
  bool on_call; /* volunteers for emergencies are asked outside their hours */
  bool marked;  /* self->marks holds who was asked */
  uint8_t zero[5];
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
 * invited, and *proposal is the earliest time; otherwise the first rule that stands against it. */
enum pd_reason rules_try(const struct rules *rules, uint32_t number, uint32_t distance_m,
                         struct proposal *proposal);

/* The rules about time alone: the earliest start from first_ms to last_ms, first_ms itself or a
 * full local hour, in which the volunteer is free by the week's hours, has no booking, and has not
 * reached the limit of that week.  Otherwise the farthest of HOURS, OVERLAP, CAPACITY that any
 * start came to. */
enum pd_reason rules_find_time(const struct rules *rules, const struct volunteer *volunteer,
                               struct proposal *proposal);

/* May this very time be booked: OVERLAP, CAPACITY or UNSPECIFIED. */
enum pd_reason rules_check_time(const struct matching *self, const struct volunteer *volunteer,
                                struct proposal time);

#endif
