/* The figures behind a verdict: how far somebody was from being invited.  Changes nothing. */
#include "common/base/calendar.h"
#include "services/matching/nearby.h"
#include "services/matching/rules.h"

/* The bookings: how many in that week, and the first that overlaps this time. */
static void look_at_bookings(const struct matching *self, const struct volunteer *volunteer,
                             struct proposal time, struct matching_standing *standing) {
  int64_t week = pd_week_number(time.start_ms, self->zone_min);
  uint32_t head = volunteer->bookings;
  pd_assert(time.start_ms < time.end_ms);
  if (volunteer->done_week == week) standing->booked = volunteer->done_count;
  for (uint32_t at = head; at != 0; at = chain_next(head, self->booking_of_volunteer, at)) {
    const struct booking *booking = &self->bookings[at];
    standing->booked += pd_week_number(booking->start_ms, self->zone_min) == week;
    bool apart = booking->end_ms <= time.start_ms || time.end_ms <= booking->start_ms;
    if (apart || standing->clash_order != 0) continue;
    standing->clash_order = self->orders[booking->order].id;
    standing->clash_start_ms = booking->start_ms;
    standing->clash_end_ms = booking->end_ms;
  }
}

enum pd_err matching_stand(const struct matching *self, uint64_t order, const struct pd_id *person,
                           int64_t now_ms, struct matching_standing *standing) {
  uint32_t entry = state_order(self, order);
  uint32_t number = state_volunteer(self, person);
  if (entry == 0 || number == PD_NONE) return PD_ENOENT;
  const struct volunteer *volunteer = &self->volunteers[number];
  struct rules rules = rules_begin(self, &self->orders[entry], now_ms, false);
  uint32_t load = state_load(self, volunteer, pd_week_number(now_ms, self->zone_min));
  pd_assert(self->orders[entry].id == order);
  *standing = (struct matching_standing){
      .first_ms = rules.first_ms,
      .last_ms = rules.last_ms,
      .missing_skills = self->orders[entry].skills & ~volunteer->skills,
      .radius_m = volunteer->radius_m,
      .reach_m = rules.policy->reach_m,
      .recent_permille = load * 1000 / STATE_LOAD_ONE,
      .offers_ever = volunteer->offered,
      .max_per_week = volunteer->max_per_week,
      .open_offers = volunteer->open_offers,
      .open_max = self->limits.offers_each,
  };
  struct proposal first = {rules.first_ms, rules.first_ms + rules.minutes * PD_MINUTE_MS};
  look_at_bookings(self, volunteer, first, standing);
  return PD_OK;
}
