#include "services/matching/rules.h"

#include "common/base/calendar.h"

#define SKILL_BIT(skill) (1u << (unsigned)(skill))

static int64_t local_hour_floor(int64_t time_ms, int32_t zone_min) {
  int64_t within = (time_ms + zone_min * PD_MINUTE_MS) % PD_HOUR_MS;
  int64_t floor = time_ms - (within < 0 ? within + PD_HOUR_MS : within);
  pd_assert(floor <= time_ms && floor > time_ms - PD_HOUR_MS);
  return floor;
}

static int64_t local_hour_ceil(int64_t time_ms, int32_t zone_min) {
  int64_t floor = local_hour_floor(time_ms, zone_min);
  return floor == time_ms ? time_ms : floor + PD_HOUR_MS;
}

/* The last start that is looked for. */
static int64_t last_start(const struct rules *rules) {
  int64_t stop = rules->first_ms + (int64_t)rules->policy->horizon_h * PD_HOUR_MS;
  return stop < rules->last_ms ? stop : rules->last_ms;
}

/* Most people can be ruled out by one look at their week. */
static void set_hours(struct rules *rules) {
  int32_t zone_min = rules->self->zone_min;
  int64_t end = last_start(rules) + rules->minutes * PD_MINUTE_MS;
  int64_t at = local_hour_floor(rules->first_ms, zone_min);
  uint32_t hour = pd_week_hour(at, zone_min);
  pd_assert(hour < WEEK_HOURS);
  for (uint32_t i = 0; i < WEEK_HOURS && at < end; i++, at += PD_HOUR_MS) {
    rules->hours[hour / 64] |= UINT64_C(1) << hour % 64;
    hour = hour + 1 == WEEK_HOURS ? 0 : hour + 1;
  }
}

static bool never_free(const struct rules *rules, const struct volunteer *volunteer) {
  return (rules->hours[0] & volunteer->hours[0]) == 0 &&
         (rules->hours[1] & volunteer->hours[1]) == 0 &&
         (rules->hours[2] & volunteer->hours[2]) == 0;
}

struct rules rules_begin(const struct matching *self, const struct order *order, int64_t now_ms,
                         bool marked) {
  pd_assert(order->id != 0 && order->minutes > 0);
  const struct matching_policy *policy = state_policy(self, order);
  int64_t soonest = now_ms + policy->lead_min * PD_MINUTE_MS;
  bool emergency = order->urgency == PD_URGENCY_EMERGENCY;
  struct rules rules = {
      .self = self,
      .order = order,
      .policy = policy,
      .now_ms = now_ms,
      .first_ms = soonest > order->window_start_ms ? soonest : order->window_start_ms,
      .last_ms = state_latest_start(order),
      .own = state_volunteer(self, &order->requester),
      .minutes = order->minutes,
      .adults_only = policy->adults_only != 0 || emergency ||
                     order->kind == PD_ORDER_KIND_EMERGENCY ||
                     (order->skills & SKILL_BIT(PD_SKILL_RESCUE)) != 0,
      .on_call = emergency,
      .marked = marked,
  };
  set_hours(&rules);
  return rules;
}

static bool was_asked(const struct rules *rules, uint32_t number) {
  const struct matching *self = rules->self;
  pd_assert(number < self->facts->volunteers);
  pd_assert(!rules->marked || self->serial != 0);
  if (rules->marked) return self->marks[number] == self->serial;
  uint32_t at = rules->order->asked;
  while (at != 0 && self->asked[at].volunteer != number) at = self->asked[at].next;
  return at != 0;
}

/* The end of the first hour touched by [start, end) in which the volunteer is away; 0 if none. */
static int64_t away_until(const struct volunteer *volunteer, int32_t zone_min, int64_t start_ms,
                          int64_t end_ms) {
  int64_t at = local_hour_floor(start_ms, zone_min);
  uint32_t hour = pd_week_hour(at, zone_min);
  pd_assert(hour < WEEK_HOURS);
  for (; at < end_ms; at += PD_HOUR_MS) {
    if ((volunteer->hours[hour / 64] >> hour % 64 & 1u) == 0) return at + PD_HOUR_MS;
    hour = hour + 1 == WEEK_HOURS ? 0 : hour + 1;
  }
  return 0;
}

/* The end of a service of the volunteer that overlaps [start, end); 0 if none does. */
static int64_t booked_until(const struct matching *self, const struct volunteer *volunteer,
                            struct proposal time) {
  if (volunteer->done_start_ms < time.end_ms && time.start_ms < volunteer->done_end_ms)
    return volunteer->done_end_ms;
  uint32_t head = volunteer->bookings;
  for (uint32_t at = head; at != 0; at = chain_next(head, self->booking_of_volunteer, at)) {
    const struct booking *booking = &self->bookings[at];
    if (booking->start_ms < time.end_ms && time.start_ms < booking->end_ms) return booking->end_ms;
  }
  return 0;
}

static bool week_is_full(const struct matching *self, const struct volunteer *volunteer,
                         int64_t start_ms) {
  int64_t week = pd_week_number(start_ms, self->zone_min);
  uint32_t booked = volunteer->done_week == week ? volunteer->done_count : 0;
  uint32_t head = volunteer->bookings;
  for (uint32_t at = head; at != 0; at = chain_next(head, self->booking_of_volunteer, at))
    booked += pd_week_number(self->bookings[at].start_ms, self->zone_min) == week;
  return booked >= volunteer->max_per_week;
}

enum pd_reason rules_check_time(const struct matching *self, const struct volunteer *volunteer,
                                struct proposal time) {
  pd_assert(time.start_ms < time.end_ms);
  if (booked_until(self, volunteer, time) != 0) return PD_REASON_OVERLAP;
  if (week_is_full(self, volunteer, time.start_ms)) return PD_REASON_CAPACITY;
  return PD_REASON_UNSPECIFIED;
}

static int64_t next_week_start(int64_t time_ms, int32_t zone_min) {
  int64_t left = WEEK_HOURS - pd_week_hour(time_ms, zone_min);
  pd_assert(left > 0);
  return local_hour_floor(time_ms, zone_min) + left * PD_HOUR_MS;
}

/* Has somebody set this rule aside? */
static bool is_waived(const struct rules *rules, enum pd_reason reason) {
  pd_assert((unsigned)reason < 64);
  return (rules->waived & RULES_BIT(reason)) != 0;
}

static bool is_on_call(const struct rules *rules, const struct volunteer *volunteer) {
  return rules->on_call && volunteer->emergency;
}

/* An hour, a booking or a week that stands in the way stands in the way of every start up to its
 * end, so the search goes on from there: no more steps than hours and bookings. */
enum pd_reason rules_find_time(const struct rules *rules, const struct volunteer *volunteer,
                               struct proposal *proposal) {
  const struct matching *self = rules->self;
  int64_t stop = last_start(rules);
  bool always = is_on_call(rules, volunteer) || is_waived(rules, PD_REASON_HOURS);
  if (!always && never_free(rules, volunteer)) return PD_REASON_HOURS;
  enum pd_reason reason = PD_REASON_HOURS;
  for (int64_t start = rules->first_ms; start <= stop;) {
    struct proposal time = {start, start + rules->minutes * PD_MINUTE_MS};
    int64_t until = always ? 0 : away_until(volunteer, self->zone_min, start, time.end_ms);
    if (until == 0) {
      until = booked_until(self, volunteer, time);
      if (until != 0 && reason == PD_REASON_HOURS) reason = PD_REASON_OVERLAP;
    }
    bool full = !is_waived(rules, PD_REASON_CAPACITY) && week_is_full(self, volunteer, start);
    if (until == 0 && full) {
      until = next_week_start(start, self->zone_min);
      reason = PD_REASON_CAPACITY;
    }
    if (until == 0) {
      *proposal = time;
      return PD_REASON_UNSPECIFIED;
    }
    pd_assert(until > start);
    start = local_hour_ceil(until, self->zone_min);
  }
  return reason;
}

enum pd_reason rules_try(const struct rules *rules, uint32_t number, uint32_t distance_m,
                         struct proposal *proposal) {
  const struct matching *self = rules->self;
  const struct order *order = rules->order;
  pd_assert(number < self->facts->volunteers);
  const struct volunteer *volunteer = &self->volunteers[number];
  if (volunteer->status != VOLUNTEER_ACTIVE) return PD_REASON_INACTIVE;
  if (number == rules->own && rules->policy->rule_own_order) return PD_REASON_OWN_ORDER;
  if (!is_waived(rules, PD_REASON_ALREADY_ASKED) && was_asked(rules, number))
    return PD_REASON_ALREADY_ASKED;
  if ((order->skills & ~volunteer->skills) != 0) return PD_REASON_SKILL;
  bool far = distance_m > volunteer->radius_m || distance_m > rules->policy->reach_m;
  if (far && !is_waived(rules, PD_REASON_RADIUS)) return PD_REASON_RADIUS;
  if (rules->adults_only && volunteer->age <= PD_AGE_BAND_14_17) return PD_REASON_AGE;
  if (order->sensitive && !volunteer->vetted && rules->policy->rule_not_vetted)
    return PD_REASON_NOT_VETTED;
  enum pd_reason reason = rules_find_time(rules, volunteer, proposal);
  if (reason != PD_REASON_UNSPECIFIED) return reason;
  if (volunteer->open_offers >= self->limits.offers_each &&
      !is_waived(rules, PD_REASON_TOO_MANY_OFFERS))
    return PD_REASON_TOO_MANY_OFFERS;
  return PD_REASON_UNSPECIFIED;
}
