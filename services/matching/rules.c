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
      .rest_ms = policy->rest_min * PD_MINUTE_MS,
      .professional = order->skills & policy->professional,
      .dangerous = state_is_dangerous(self, order),
      .adults_only = policy->adults_only != 0 || emergency ||
                     order->kind == PD_ORDER_KIND_EMERGENCY ||
                     (order->skills & SKILL_BIT(PD_SKILL_RESCUE)) != 0,
      .on_call = emergency,
      .marked = marked,
  };
  set_hours(&rules);
  return rules;
}

/* Has somebody set this rule aside? */
static bool is_waived(const struct rules *rules, enum pd_reason reason) {
  pd_assert((unsigned)reason < 64);
  return (rules->waived & RULES_BIT(reason)) != 0;
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

/* What stands in the way of a service at one time. */
struct obstacle {
  int64_t until_ms; /* no start before this suits either; PD_NEVER: none at all */
  enum pd_reason reason;
  uint32_t zero;
};

static struct obstacle nothing(void) { return (struct obstacle){0}; }

static struct obstacle something(enum pd_reason reason, int64_t until_ms) {
  pd_assert(reason != PD_REASON_UNSPECIFIED);
  return (struct obstacle){.until_ms = until_ms, .reason = reason};
}

/* ---- other services ---- */

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

static struct obstacle service_in_the_way(const struct rules *rules,
                                          const struct volunteer *volunteer, struct proposal time) {
  pd_assert(time.start_ms < time.end_ms && rules->rest_ms >= 0);
  int64_t until = booked_until(rules->self, volunteer, time);
  if (until != 0) return something(PD_REASON_OVERLAP, until);
  if (rules->rest_ms == 0) return nothing();
  struct proposal with_rest = {time.start_ms - rules->rest_ms, time.end_ms + rules->rest_ms};
  until = booked_until(rules->self, volunteer, with_rest);
  return until != 0 ? something(PD_REASON_REST, until + rules->rest_ms) : nothing();
}

static uint32_t week_count(const struct matching *self, const struct volunteer *volunteer,
                           int64_t start_ms) {
  int64_t week = pd_week_number(start_ms, self->zone_min);
  uint32_t booked = volunteer->done_week == week ? volunteer->done_count : 0;
  uint32_t head = volunteer->bookings;
  for (uint32_t at = head; at != 0; at = chain_next(head, self->booking_of_volunteer, at))
    booked += pd_week_number(self->bookings[at].start_ms, self->zone_min) == week;
  return booked;
}

uint32_t rules_day_minutes(const struct matching *self, const struct volunteer *volunteer,
                           int64_t start_ms) {
  int64_t day = state_day(self, start_ms), booked_ms = 0;
  uint32_t minutes = volunteer->done_day == day ? volunteer->done_minutes : 0;
  uint32_t head = volunteer->bookings;
  for (uint32_t at = head; at != 0; at = chain_next(head, self->booking_of_volunteer, at)) {
    const struct booking *booking = &self->bookings[at];
    pd_assert(booking->start_ms < booking->end_ms);
    if (state_day(self, booking->start_ms) == day) booked_ms += booking->end_ms - booking->start_ms;
  }
  return minutes + (uint32_t)(booked_ms / PD_MINUTE_MS);
}

static int64_t next_week_start(int64_t time_ms, int32_t zone_min) {
  int64_t left = WEEK_HOURS - pd_week_hour(time_ms, zone_min);
  pd_assert(left > 0);
  return local_hour_floor(time_ms, zone_min) + left * PD_HOUR_MS;
}

static int64_t next_day_start(int64_t time_ms, int32_t zone_min) {
  int64_t left = 24 - pd_week_hour(time_ms, zone_min) % 24;
  pd_assert(left > 0);
  return local_hour_floor(time_ms, zone_min) + left * PD_HOUR_MS;
}

/* The volunteer's week is full, or the day. */
static struct obstacle too_much(const struct rules *rules, const struct volunteer *volunteer,
                                int64_t start_ms) {
  const struct matching *self = rules->self;
  uint32_t most = rules->policy->day_max_min;
  bool full = week_count(self, volunteer, start_ms) >= volunteer->max_per_week;
  if (full && !is_waived(rules, PD_REASON_CAPACITY))
    return something(PD_REASON_CAPACITY, next_week_start(start_ms, self->zone_min));
  if (most == 0) return nothing();
  if (rules_day_minutes(self, volunteer, start_ms) + rules->minutes > most)
    return something(PD_REASON_DAY_FULL, next_day_start(start_ms, self->zone_min));
  return nothing();
}

/* ---- papers ---- */

/* A paper that must cover the whole service. */
static struct obstacle paper_lacks(const struct rules *rules, const struct volunteer *volunteer,
                                   enum pd_credential_kind kind, enum pd_skill skill,
                                   struct proposal time) {
  static const enum pd_reason reasons[] = {
      [PD_CREDENTIAL_KIND_QUALIFICATION] = PD_REASON_QUALIFICATION,
      [PD_CREDENTIAL_KIND_INSURANCE] = PD_REASON_INSURANCE,
      [PD_CREDENTIAL_KIND_GUARDIAN_CONSENT] = PD_REASON_GUARDIAN,
  };
  pd_assert(kind <= PD_CREDENTIAL_KIND_GUARDIAN_CONSENT);
  const struct paper *paper = state_paper(rules->self, volunteer, kind, skill);
  if (paper == NULL) return something(reasons[kind], PD_NEVER);
  if (time.start_ms >= paper->from_ms && time.end_ms <= paper->until_ms) return nothing();
  bool later = time.start_ms < paper->from_ms && paper->from_ms < paper->until_ms;
  return something(reasons[kind], later ? paper->from_ms : PD_NEVER);
}

/* What the volunteer would rather not do, for as long as that was said. */
static struct obstacle too_demanding(const struct rules *rules, const struct volunteer *volunteer,
                                     struct proposal time) {
  const struct paper *paper =
      state_paper(rules->self, volunteer, PD_CREDENTIAL_KIND_HEALTH, PD_SKILL_UNSPECIFIED);
  pd_assert(time.start_ms < time.end_ms);
  if (paper == NULL || (paper->limits & rules->order->demands) == 0) return nothing();
  bool then = paper->from_ms < time.end_ms && time.start_ms < paper->until_ms;
  return then ? something(PD_REASON_HEALTH, paper->until_ms) : nothing();
}

/* Whom a site has vetted has shown it the papers for the skills of the registration: until it
 * records one for a skill, its word stands for it. */
static struct obstacle unqualified(const struct rules *rules, const struct volunteer *volunteer,
                                   struct proposal time) {
  for (uint32_t left = rules->professional; left != 0; left &= left - 1) {
    enum pd_skill skill = (enum pd_skill)__builtin_ctz(left);
    pd_assert(skill > PD_SKILL_UNSPECIFIED);
    enum pd_credential_kind kind = PD_CREDENTIAL_KIND_QUALIFICATION;
    if (volunteer->vetted && state_paper(rules->self, volunteer, kind, skill) == NULL) continue;
    struct obstacle found = paper_lacks(rules, volunteer, kind, skill, time);
    if (found.reason != PD_REASON_UNSPECIFIED) return found;
  }
  return nothing();
}

static struct obstacle papers_lack(const struct rules *rules, const struct volunteer *volunteer,
                                   struct proposal time) {
  struct obstacle found = nothing();
  pd_assert(rules->order->id != 0);
  if (rules->order->demands != 0) found = too_demanding(rules, volunteer, time);
  if (found.reason == PD_REASON_UNSPECIFIED && state_is_minor(volunteer))
    found = paper_lacks(rules, volunteer, PD_CREDENTIAL_KIND_GUARDIAN_CONSENT,
                        PD_SKILL_UNSPECIFIED, time);
  if (found.reason == PD_REASON_UNSPECIFIED) found = unqualified(rules, volunteer, time);
  if (found.reason == PD_REASON_UNSPECIFIED && rules->dangerous)
    found =
        paper_lacks(rules, volunteer, PD_CREDENTIAL_KIND_INSURANCE, PD_SKILL_UNSPECIFIED, time);
  return found;
}

enum pd_reason rules_check_papers(const struct rules *rules, const struct volunteer *volunteer,
                                  struct proposal time) {
  pd_assert(time.start_ms < time.end_ms);
  return papers_lack(rules, volunteer, time).reason;
}

/* ---- all about time ---- */

static struct obstacle in_the_way(const struct rules *rules, const struct volunteer *volunteer,
                                  struct proposal time) {
  pd_assert(time.start_ms < time.end_ms);
  struct obstacle found = service_in_the_way(rules, volunteer, time);
  if (found.reason == PD_REASON_UNSPECIFIED) found = too_much(rules, volunteer, time.start_ms);
  if (found.reason == PD_REASON_UNSPECIFIED) found = papers_lack(rules, volunteer, time);
  return found;
}

enum pd_reason rules_check_time(const struct rules *rules, const struct volunteer *volunteer,
                                struct proposal time) {
  pd_assert(time.start_ms < time.end_ms);
  return in_the_way(rules, volunteer, time).reason;
}

/* How far a start came: the rules about time in the order in which they are tried. */
static unsigned how_far(enum pd_reason reason) {
  static const uint8_t far[PD_REASON_DAY_FULL + 1] = {
      [PD_REASON_HOURS] = 1,    [PD_REASON_OVERLAP] = 2,  [PD_REASON_REST] = 3,
      [PD_REASON_CAPACITY] = 4, [PD_REASON_DAY_FULL] = 5, [PD_REASON_HEALTH] = 6,
      [PD_REASON_GUARDIAN] = 7, [PD_REASON_QUALIFICATION] = 8, [PD_REASON_INSURANCE] = 9,
  };
  pd_assert((unsigned)reason <= PD_REASON_DAY_FULL && (reason == 0 || far[reason] != 0));
  return far[reason];
}

static bool is_on_call(const struct rules *rules, const struct volunteer *volunteer) {
  return rules->on_call && volunteer->emergency;
}

/* What stands in the way of a start stands in the way of every start up to its end, so the search
 * goes on from there: no more steps than hours, bookings and papers. */
enum pd_reason rules_find_time(const struct rules *rules, const struct volunteer *volunteer,
                               struct proposal *proposal) {
  int32_t zone_min = rules->self->zone_min;
  int64_t stop = last_start(rules);
  bool always = is_on_call(rules, volunteer) || is_waived(rules, PD_REASON_HOURS);
  enum pd_reason reason = PD_REASON_UNSPECIFIED;
  *proposal = (struct proposal){0};
  if (!always && never_free(rules, volunteer)) return PD_REASON_HOURS;
  for (int64_t start = rules->first_ms; start <= stop;) {
    struct proposal time = {start, start + rules->minutes * PD_MINUTE_MS};
    int64_t away = always ? 0 : away_until(volunteer, zone_min, start, time.end_ms);
    struct obstacle found = away != 0 ? something(PD_REASON_HOURS, away)
                                      : in_the_way(rules, volunteer, time);
    if (how_far(found.reason) > how_far(reason) || found.reason == PD_REASON_UNSPECIFIED) {
      reason = found.reason;
      *proposal = time;
    }
    if (found.reason == PD_REASON_UNSPECIFIED) return reason;
    if (found.until_ms > stop) break; /* PD_NEVER, too */
    pd_assert(found.until_ms > start);
    start = local_hour_ceil(found.until_ms, zone_min);
  }
  return reason != PD_REASON_UNSPECIFIED ? reason : PD_REASON_HOURS;
}

/* Who never said anything has consented by registering. */
static bool consents(const struct rules *rules, const struct volunteer *volunteer) {
  const struct paper *paper = state_paper(rules->self, volunteer,
                                          PD_CREDENTIAL_KIND_AUTOMATED_MATCHING,
                                          PD_SKILL_UNSPECIFIED);
  pd_assert(paper == NULL || paper->skill == PD_SKILL_UNSPECIFIED);
  return paper == NULL || (paper->from_ms <= rules->now_ms && rules->now_ms < paper->until_ms);
}

/* What the two people are to each other and to the task, whenever it is. */
static enum pd_reason try_fit(const struct rules *rules, const struct volunteer *volunteer) {
  const struct order *order = rules->order;
  pd_assert(order->id != 0);
  if (rules->adults_only && state_is_minor(volunteer)) return PD_REASON_AGE;
  if (order->sensitive && !volunteer->vetted && rules->policy->rule_not_vetted)
    return PD_REASON_NOT_VETTED;
  if (!is_waived(rules, PD_REASON_NOT_AUTOMATED) && !consents(rules, volunteer))
    return PD_REASON_NOT_AUTOMATED;
  if (state_blocked(rules->self, volunteer, &order->requester) != 0) return PD_REASON_BLOCKED;
  bool any = order->gender == PD_GENDER_UNSPECIFIED;
  return any || order->gender == volunteer->gender ? PD_REASON_UNSPECIFIED : PD_REASON_GENDER;
}

enum pd_reason rules_try(const struct rules *rules, uint32_t number, uint32_t distance_m,
                         struct proposal *proposal) {
  const struct matching *self = rules->self;
  const struct order *order = rules->order;
  pd_assert(number < self->facts->volunteers);
  const struct volunteer *volunteer = &self->volunteers[number];
  *proposal = (struct proposal){0};
  if (volunteer->status != VOLUNTEER_ACTIVE) return PD_REASON_INACTIVE;
  if (number == rules->own && rules->policy->rule_own_order) return PD_REASON_OWN_ORDER;
  if (!is_waived(rules, PD_REASON_ALREADY_ASKED) && was_asked(rules, number))
    return PD_REASON_ALREADY_ASKED;
  if ((order->skills & ~volunteer->skills) != 0) return PD_REASON_SKILL;
  bool far = distance_m > volunteer->radius_m || distance_m > rules->policy->reach_m;
  if (far && !is_waived(rules, PD_REASON_RADIUS)) return PD_REASON_RADIUS;
  enum pd_reason reason = try_fit(rules, volunteer);
  if (reason != PD_REASON_UNSPECIFIED) return reason;
  reason = rules_find_time(rules, volunteer, proposal);
  if (reason != PD_REASON_UNSPECIFIED) return reason;
  if (volunteer->open_offers >= self->limits.offers_each &&
      !is_waived(rules, PD_REASON_TOO_MANY_OFFERS))
    return PD_REASON_TOO_MANY_OFFERS;
  return PD_REASON_UNSPECIFIED;
}
