#include "tests/unit/matching_harness.h"

#include <criterion/criterion.h>

#define BASE_X 118050 /* Zichuan, 118.05 E 36.64 N */
#define BASE_Y 36640

struct core_harness h;

void matching_begin_with(const struct matching_policy *policy, const struct pd_limits *limits) {
  static struct matching_policy nearest;
  nearest = matching_policy_default;
  nearest.fairness_m = nearest.continuity_m = nearest.rare_skill_m = nearest.fill_percent = 0;
  nearest.mutual_m = 0;
  core_start(&h, &matching_core, limits, policy != NULL ? policy : &nearest);
}

void matching_begin(void) { matching_begin_with(NULL, &pd_limits_small); }

void matching_end(void) { core_stop(&h); }

static bool together;

/* A turn of one fact, or of many. */
static void hear(enum pd_log log, pd_event_kind kind, const void *said) {
  core_hear(&h, log, kind, said);
  if (!together) core_batch_end(&h);
}

void when_together(void) { together = true; }

void then_decided(void) {
  together = false;
  core_batch_end(&h);
}

static size_t skill_count(const enum pd_skill *skills) {
  size_t count = 0;
  while (count < SKILLS_MAX && skills[count] != 0) count++;
  return count;
}

void given_volunteer(uint64_t person, struct a_volunteer as) {
  struct pd_cell cell = PD_CELL_INIT;
  cell.x = BASE_X + as.east;
  cell.y = BASE_Y + as.north;
  uint32_t days[7];
  for (int day = 0; day < 7; day++) {
    days[day] = as.day_mask != 0 ? as.day_mask : 0xffffff;
    if (as.week != NULL) days[day] = as.week[day];
  }
  struct pd_volunteer_registered said = PD_VOLUNTEER_REGISTERED_INIT;
  said.person = core_bytes(person);
  said.cell = &cell;
  said.n_skills = skill_count(as.skills);
  said.skills = as.skills;
  said.n_available = 7;
  said.available = days;
  said.radius_m = as.radius_m != 0 ? as.radius_m : 5000;
  said.max_per_week = as.max_per_week != 0 ? as.max_per_week : 50;
  said.age = as.age != 0 ? as.age : PD_AGE_BAND_18_35;
  said.vetted = as.vetted;
  said.emergency = as.emergency;
  said.gender = as.gender;
  said.branch = as.branch;
  hear(PD_LOG_INTAKE, PD_EVENT_VOLUNTEER_REGISTERED, &said);
}

void when_paused(uint64_t person) {
  struct pd_volunteer_paused said = PD_VOLUNTEER_PAUSED_INIT;
  said.person = core_bytes(person);
  hear(PD_LOG_INTAKE, PD_EVENT_VOLUNTEER_PAUSED, &said);
}

void when_resumed(uint64_t person) {
  struct pd_volunteer_resumed said = PD_VOLUNTEER_RESUMED_INIT;
  said.person = core_bytes(person);
  hear(PD_LOG_INTAKE, PD_EVENT_VOLUNTEER_RESUMED, &said);
}

void when_exited(uint64_t person) {
  struct pd_volunteer_exited said = PD_VOLUNTEER_EXITED_INIT;
  said.person = core_bytes(person);
  hear(PD_LOG_INTAKE, PD_EVENT_VOLUNTEER_EXITED, &said);
}

void when_erased(uint64_t person) {
  struct pd_person_erased said = PD_PERSON_ERASED_INIT;
  said.person = core_bytes(person);
  hear(PD_LOG_INTAKE, PD_EVENT_PERSON_ERASED, &said);
}

void when_placed(uint64_t order, struct an_order as) {
  struct pd_cell cell = PD_CELL_INIT;
  cell.x = BASE_X + as.east;
  cell.y = BASE_Y + as.north;
  struct pd_order_placed said = PD_ORDER_PLACED_INIT;
  said.order = order;
  said.requester = core_bytes(as.requester != 0 ? as.requester : 999999);
  said.kind = as.kind != 0 ? as.kind : PD_ORDER_KIND_VISIT;
  said.category = (char *)(as.category != NULL ? as.category : "visit");
  said.cell = &cell;
  said.site = as.site != 0 ? as.site : 1;
  said.n_skills = skill_count(as.skills);
  said.skills = as.skills;
  said.need = as.need != 0 ? as.need : 1;
  said.window_start_ms = AT(as.start_min != 0 ? as.start_min : HOURS(8));
  said.window_end_ms = AT(as.end_min != 0 ? as.end_min : HOURS(18));
  said.minutes = as.minutes != 0 ? as.minutes : 60;
  said.urgency = as.urgency != 0 ? as.urgency : PD_URGENCY_ROUTINE;
  said.channel = PD_CHANNEL_COUNTER;
  said.sensitive = as.sensitive;
  said.dangerous = as.dangerous;
  said.gender = as.gender;
  said.n_demands = as.demand != 0;
  said.demands = &as.demand;
  hear(PD_LOG_INTAKE, PD_EVENT_ORDER_PLACED, &said);
}

static void record(uint64_t person, struct pd_credential_recorded said, uint32_t from_min,
                   uint32_t until_min) {
  said.person = core_bytes(person);
  said.from_ms = from_min != 0 ? AT(from_min) : 0;
  said.until_ms = until_min != 0 ? AT(until_min) : 0;
  hear(PD_LOG_INTAKE, PD_EVENT_CREDENTIAL_RECORDED, &said);
}

void given_paper(uint64_t person, enum pd_credential_kind kind, uint32_t from_min,
                 uint32_t until_min) {
  struct pd_credential_recorded said = PD_CREDENTIAL_RECORDED_INIT;
  said.kind = kind;
  record(person, said, from_min, until_min);
}

void given_qualification(uint64_t person, enum pd_skill skill, uint32_t from_min,
                         uint32_t until_min) {
  struct pd_credential_recorded said = PD_CREDENTIAL_RECORDED_INIT;
  said.kind = PD_CREDENTIAL_KIND_QUALIFICATION;
  said.skill = skill;
  record(person, said, from_min, until_min);
}

void given_limit(uint64_t person, enum pd_demand demand, uint32_t from_min, uint32_t until_min) {
  struct pd_credential_recorded said = PD_CREDENTIAL_RECORDED_INIT;
  said.kind = PD_CREDENTIAL_KIND_HEALTH;
  said.n_limits = 1;
  said.limits = &demand;
  record(person, said, from_min, until_min);
}

void when_blocked(uint64_t person, uint64_t other, bool lifted) {
  struct pd_pair_blocked said = PD_PAIR_BLOCKED_INIT;
  said.person = core_bytes(person);
  said.other = core_bytes(other);
  said.lifted = lifted;
  hear(PD_LOG_INTAKE, PD_EVENT_PAIR_BLOCKED, &said);
}

void given_site(uint32_t site, const char *code) {
  struct pd_site_registered said = PD_SITE_REGISTERED_INIT;
  said.site = site;
  said.ref = said.name = (char *)"S";
  said.code = (char *)code;
  hear(PD_LOG_INTAKE, PD_EVENT_SITE_REGISTERED, &said);
}

static bool is_person(const ProtobufCBinaryData *field, uint64_t person) {
  struct pd_id id = PD_ID(*field), wanted = core_id(person);
  return pd_id_equal(&id, &wanted);
}

/* The last offer of this order to this person. */
static uint64_t offer_of(uint64_t order, uint64_t person) {
  for (size_t i = h.said.count; i > 0; i--) {
    const struct pd_event *event = h.said.items[i - 1];
    if (event->body_case != PD_EVENT_OFFER_MADE) continue;
    const struct pd_offer_made *made = event->offer_made;
    if (made->order == order && is_person(&made->volunteer, person)) return made->offer;
  }
  cr_assert(false, "person %d was never invited to order %d", (int)person, (int)order);
  return 0;
}

void when_answered(uint64_t order, uint64_t person, bool accept) {
  struct pd_offer_answered said = PD_OFFER_ANSWERED_INIT;
  said.offer = offer_of(order, person);
  said.order = order;
  said.volunteer = core_bytes(person);
  said.accept = accept;
  hear(PD_LOG_INTAKE, PD_EVENT_OFFER_ANSWERED, &said);
}

void when_withdrew(uint64_t order, uint32_t slot, uint64_t person) {
  struct pd_volunteer_withdrew said = PD_VOLUNTEER_WITHDREW_INIT;
  said.order = order;
  said.slot = slot;
  said.volunteer = core_bytes(person);
  hear(PD_LOG_INTAKE, PD_EVENT_VOLUNTEER_WITHDREW, &said);
}

void when_started(uint64_t order, uint32_t slot, uint64_t person) {
  struct pd_service_started said = PD_SERVICE_STARTED_INIT;
  said.order = order;
  said.slot = slot;
  said.volunteer = core_bytes(person);
  said.principal = "volunteer/uid:7";
  hear(PD_LOG_INTAKE, PD_EVENT_SERVICE_STARTED, &said);
}

void when_served(uint64_t order) {
  struct pd_order_served said = PD_ORDER_SERVED_INIT;
  said.order = order;
  hear(PD_LOG_INTAKE, PD_EVENT_ORDER_SERVED, &said);
}

void when_cancelled(uint64_t order) {
  struct pd_order_cancelled said = PD_ORDER_CANCELLED_INIT;
  said.order = order;
  hear(PD_LOG_INTAKE, PD_EVENT_ORDER_CANCELLED, &said);
}

void when_closed(uint64_t order, enum pd_order_state state) {
  struct pd_order_closed said = PD_ORDER_CLOSED_INIT;
  said.order = order;
  said.state = state;
  hear(PD_LOG_INTAKE, PD_EVENT_ORDER_CLOSED, &said);
}

void when_named(uint64_t order, uint64_t person) {
  struct pd_offer_commanded said = PD_OFFER_COMMANDED_INIT;
  said.order = order;
  said.volunteer = core_bytes(person);
  said.reason = PD_COMMAND_REASON_KNOWN;
  said.principal = "site/uid:500";
  hear(PD_LOG_INTAKE, PD_EVENT_OFFER_COMMANDED, &said);
}

void when_asked(uint64_t order, uint64_t person) {
  struct pd_order_asked said = PD_ORDER_ASKED_INIT;
  said.order = order;
  said.volunteer = core_bytes(person);
  hear(PD_LOG_INTAKE, PD_EVENT_ORDER_ASKED, &said);
}

void when_wave_due(uint64_t order, uint32_t wave) {
  struct pd_wave_due said = PD_WAVE_DUE_INIT;
  said.order = order;
  said.wave = wave;
  hear(PD_LOG_SCHEDULING, PD_EVENT_WAVE_DUE, &said);
}

void when_escalated(uint64_t order) {
  struct pd_order_escalated said = PD_ORDER_ESCALATED_INIT;
  said.order = order;
  said.level = PD_SITE_LEVEL_INSTITUTE;
  said.site = 1;
  hear(PD_LOG_SCHEDULING, PD_EVENT_ORDER_ESCALATED, &said);
}

void when_expired(uint64_t order, enum pd_order_stage stage) {
  struct pd_order_expired said = PD_ORDER_EXPIRED_INIT;
  said.order = order;
  said.stage = stage;
  hear(PD_LOG_SCHEDULING, PD_EVENT_ORDER_EXPIRED, &said);
}

void when_no_show(uint64_t order, uint32_t slot, uint64_t person) {
  struct pd_no_show_noted said = PD_NO_SHOW_NOTED_INIT;
  said.order = order;
  said.slot = slot;
  said.volunteer = core_bytes(person);
  hear(PD_LOG_SCHEDULING, PD_EVENT_NO_SHOW_NOTED, &said);
}

void at_minute(uint32_t minute) {
  cr_assert(AT(minute) >= h.now_ms, "the clock never falls");
  h.now_ms = AT(minute);
}

const struct pd_wave_opened *expect_wave(uint64_t order, uint32_t wave, uint32_t offers) {
  const struct pd_wave_opened *said = core_expect(&h, PD_EVENT_WAVE_OPENED)->wave_opened;
  cr_assert(said->order == order);
  cr_assert(said->wave == wave, "wave %u opened, not %u", said->wave, wave);
  cr_assert(said->offers == offers, "the wave has %u offers, not %u", said->offers, offers);
  return said;
}

static void same_person(const ProtobufCBinaryData *field, uint64_t person) {
  cr_assert(is_person(field, person), "it is not person %d", (int)person);
}

const struct pd_offer_made *expect_offer(uint64_t order, uint64_t person) {
  const struct pd_offer_made *said = core_expect(&h, PD_EVENT_OFFER_MADE)->offer_made;
  cr_assert(said->order == order);
  same_person(&said->volunteer, person);
  return said;
}

void expect_closed(uint64_t order, uint64_t person, enum pd_reason reason) {
  const struct pd_offer_closed *said = core_expect(&h, PD_EVENT_OFFER_CLOSED)->offer_closed;
  cr_assert(said->order == order && said->offer == offer_of(order, person));
  same_person(&said->volunteer, person);
  cr_assert(said->reason == reason, "closed for reason %d, not %d", said->reason, reason);
}

const struct pd_slot_filled *expect_filled(uint64_t order, uint32_t slot, uint64_t person) {
  const struct pd_slot_filled *said = core_expect(&h, PD_EVENT_SLOT_FILLED)->slot_filled;
  cr_assert(said->order == order && said->offer == offer_of(order, person));
  cr_assert(said->slot == slot, "slot %u was filled, not %u", said->slot, slot);
  same_person(&said->volunteer, person);
  return said;
}

const struct pd_slot_filled *expect_kept(uint64_t order, uint32_t slot, uint64_t person) {
  const struct pd_slot_filled *said = core_expect(&h, PD_EVENT_SLOT_FILLED)->slot_filled;
  cr_assert(said->order == order && said->slot == slot && said->offer == 0);
  same_person(&said->volunteer, person);
  return said;
}

void expect_reopened(uint64_t order, uint32_t slot, uint64_t person, enum pd_reason reason) {
  const struct pd_slot_reopened *said = core_expect(&h, PD_EVENT_SLOT_REOPENED)->slot_reopened;
  cr_assert(said->order == order && said->slot == slot && said->reason == reason);
  same_person(&said->volunteer, person);
}

void expect_staffed(uint64_t order) {
  cr_assert(core_expect(&h, PD_EVENT_ORDER_STAFFED)->order_staffed->order == order);
}

const struct pd_order_unmatched *expect_unmatched(uint64_t order, uint32_t wave) {
  const struct pd_order_unmatched *said =
      core_expect(&h, PD_EVENT_ORDER_UNMATCHED)->order_unmatched;
  cr_assert(said->order == order);
  cr_assert(said->wave == wave, "wave %u could not open, not %u", said->wave, wave);
  uint32_t total = 0;
  for (size_t i = 0; i < said->n_excluded; i++) total += said->excluded[i]->count;
  cr_assert(total == said->considered, "%u looked at, %u reasons", said->considered, total);
  return said;
}

void expect_denied(uint64_t order, uint64_t person, enum pd_reason reason) {
  const struct pd_offer_denied *said = core_expect(&h, PD_EVENT_OFFER_DENIED)->offer_denied;
  cr_assert(said->order == order);
  same_person(&said->volunteer, person);
  cr_assert(said->reason == reason, "denied for reason %d, not %d", said->reason, reason);
}

void expect_silence(void) { core_expect_silence(&h); }

uint32_t tally_of(const struct pd_order_unmatched *said, enum pd_reason reason) {
  for (size_t i = 0; i < said->n_excluded; i++)
    if (said->excluded[i]->reason == reason) return said->excluded[i]->count;
  return 0;
}

struct matching_verdict verdict_on(uint64_t order, uint64_t person) {
  struct matching_verdict verdict;
  struct pd_id id = core_id(person);
  cr_assert(matching_explain(h.self, order, &id, h.now_ms, &verdict) == PD_OK);
  return verdict;
}
