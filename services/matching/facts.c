#include "services/matching/facts.h"

#include "common/base/calendar.h"
#include "services/matching/nearby.h"
#include "services/matching/rules.h"

static void tell_paper(const struct rules *rules, const struct volunteer *volunteer,
                       enum pd_credential_kind kind, enum pd_skill skill,
                       struct matching_facts *facts) {
  const struct paper *paper = state_paper(rules->self, volunteer, kind, skill);
  pd_assert(kind != PD_CREDENTIAL_KIND_UNSPECIFIED);
  facts->kind = kind;
  facts->skill = skill;
  facts->on_record = paper != NULL;
  if (paper == NULL) return;
  facts->from_ms = paper->from_ms;
  facts->until_ms = paper->until_ms;
}

/* The first professional skill without a paper for the time that was tried. */
static void tell_qualification(const struct rules *rules, const struct volunteer *volunteer,
                               struct matching_facts *facts) {
  for (uint32_t left = rules->professional; left != 0; left &= left - 1) {
    enum pd_skill skill = (enum pd_skill)__builtin_ctz(left);
    pd_assert(skill != PD_SKILL_UNSPECIFIED);
    tell_paper(rules, volunteer, PD_CREDENTIAL_KIND_QUALIFICATION, skill, facts);
    bool covers = facts->from_ms <= facts->start_ms && facts->end_ms <= facts->until_ms;
    if (facts->on_record ? !covers : !volunteer->vetted) return;
  }
}

static void tell_health(const struct rules *rules, const struct volunteer *volunteer,
                        struct matching_facts *facts) {
  tell_paper(rules, volunteer, PD_CREDENTIAL_KIND_HEALTH, PD_SKILL_UNSPECIFIED, facts);
  const struct paper *paper =
      state_paper(rules->self, volunteer, PD_CREDENTIAL_KIND_HEALTH, PD_SKILL_UNSPECIFIED);
  pd_assert(paper != NULL);
  facts->demands = paper->limits & rules->order->demands;
}

/* The service of the volunteer that lies too near to the time that was tried. */
static void tell_other(const struct rules *rules, const struct volunteer *volunteer,
                       struct matching_facts *facts) {
  const struct matching *self = rules->self;
  int64_t from = facts->start_ms - rules->rest_ms, to = facts->end_ms + rules->rest_ms;
  pd_assert(from <= to);
  facts->other_start_ms = volunteer->done_start_ms;
  facts->other_end_ms = volunteer->done_end_ms;
  uint32_t head = volunteer->bookings;
  for (uint32_t at = head; at != 0; at = chain_next(head, self->booking_of_volunteer, at)) {
    const struct booking *booking = &self->bookings[at];
    if (booking->start_ms >= to || from >= booking->end_ms) continue;
    facts->other_start_ms = booking->start_ms;
    facts->other_end_ms = booking->end_ms;
  }
}

/* What the rules about time have met. */
static void tell_time(const struct rules *rules, const struct volunteer *volunteer,
                      struct matching_facts *facts) {
  const struct matching *self = rules->self;
  pd_assert(self->facts->active > 0);
  memcpy(facts->hours, volunteer->hours, sizeof facts->hours);
  if (facts->reason == PD_REASON_REST) {
    tell_other(rules, volunteer, facts);
    facts->most = rules->policy->rest_min;
  }
  if (facts->reason == PD_REASON_DAY_FULL) {
    facts->have = rules_day_minutes(self, volunteer, facts->start_ms);
    facts->most = rules->policy->day_max_min;
  }
  if (facts->reason == PD_REASON_HEALTH) tell_health(rules, volunteer, facts);
  if (facts->reason == PD_REASON_QUALIFICATION) tell_qualification(rules, volunteer, facts);
  if (facts->reason == PD_REASON_GUARDIAN)
    tell_paper(rules, volunteer, PD_CREDENTIAL_KIND_GUARDIAN_CONSENT, PD_SKILL_UNSPECIFIED, facts);
  if (facts->reason == PD_REASON_INSURANCE)
    tell_paper(rules, volunteer, PD_CREDENTIAL_KIND_INSURANCE, PD_SKILL_UNSPECIFIED, facts);
}

enum pd_err matching_facts(const struct matching *self, uint64_t order, const struct pd_id *person,
                           int64_t now_ms, struct matching_facts *facts) {
  uint32_t entry = state_order(self, order);
  uint32_t number = state_volunteer(self, person);
  if (entry == 0 || self->orders[entry].closed || number == PD_NONE) return PD_ENOENT;
  const struct volunteer *volunteer = &self->volunteers[number];
  struct rules rules = rules_begin(self, &self->orders[entry], now_ms, false);
  uint32_t distance_m = nearby_distance_m(rules.order->cell, volunteer->cell);
  struct proposal time;
  pd_assert(rules.order->id == order);
  *facts = (struct matching_facts){.window_start_ms = rules.order->window_start_ms,
                                   .window_end_ms = rules.order->window_end_ms,
                                   .gender = (enum pd_gender)rules.order->gender,
                                   .reason = rules_try(&rules, number, distance_m, &time)};
  facts->start_ms = time.start_ms;
  facts->end_ms = time.end_ms;
  if (volunteer->status == VOLUNTEER_ACTIVE) tell_time(&rules, volunteer, facts);
  return PD_OK;
}
