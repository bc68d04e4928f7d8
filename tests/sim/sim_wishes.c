/* What people do when they hear of something, and when: soon, late, at the very moment at which a
 * deadline passes, twice, or never. */
#include "tests/sim/sim_people.h"

#include <string.h>

typedef void (*act_fn)(struct sim *sim, const struct sim_plan *plan);

/* ---- plans ---- */

static void run_plan(struct sim *sim, const struct sim_occurrence *now) {
  act_fn act;
  memcpy(&act, &now->a, sizeof act);
  if (!sim->healing) act(sim, now->data);
}

static void plan_at(struct sim *sim, int64_t wall_ms, act_fn act, const struct sim_plan *plan) {
  struct sim_plan *kept = sim_keep(sim, sizeof *kept);
  *kept = *plan;
  int64_t in_us = (wall_ms - sim_wall(sim)) * SIM_MS + (int64_t)pd_rng_below(&sim->wish, 1000);
  struct sim_occurrence *next = sim_later(sim, in_us > 0 ? in_us : 0, run_plan);
  memcpy(&next->a, &act, sizeof act);
  next->data = kept;
  if (sim_odds(&sim->wish, 25)) { /* and again */
    next =
        sim_later(sim, in_us > 0 ? in_us + sim_between(&sim->wish, 0, 100) * SIM_MS : 0, run_plan);
    memcpy(&next->a, &act, sizeof act);
    next->data = kept;
  }
}

static void plan_in(struct sim *sim, int64_t low_min, int64_t high_min, act_fn act,
                    const struct sim_plan *plan) {
  if (high_min < low_min) high_min = low_min;
  int64_t in_ms = sim_between(&sim->wish, low_min * PD_MINUTE_MS, high_min * PD_MINUTE_MS);
  plan_at(sim, sim_wall(sim) + in_ms, act, plan);
}

/* ---- who speaks ---- */

/* The person at the own door, or a site for the person. */
static struct sim_said speaker(struct sim *sim, const struct sim_plan *plan, enum pd_role role,
                               uint32_t site_one_in) {
  const struct sim_person *person = &sim->people->persons[plan->person];
  if (sim_odds(&sim->wish, site_one_in)) return sim_by_site(sim);
  struct sim_said said = {.role = role, .uid = person->uid, .actor = person->id};
  if (sim_odds(&sim->wish, 60)) said.actor = sim_anybody(sim)->id;
  if (sim_odds(&sim->wish, 90)) said.role = PD_ROLE_RESIDENT + PD_ROLE_VOLUNTEER - role;
  if (sim_odds(&sim->wish, 90)) memset(&said.actor, 0, sizeof said.actor);
  return said;
}

static void say_seen(struct sim *sim, const struct sim_plan *plan, struct sim_said *said,
                     pd_command_kind kind, const void *body) {
  struct pd_position seen = PD_POSITION_INIT;
  seen.log = plan->log;
  seen.seq = plan->seq;
  if (plan->log != PD_LOG_UNSPECIFIED && sim_odds(&sim->wish, 3)) said->seen = &seen;
  sim_act(sim, said, kind, body);
}

/* ---- acts ---- */

static void answer(struct sim *sim, const struct sim_plan *plan) {
  struct pd_answer_offer body = PD_ANSWER_OFFER_INIT;
  body.offer = plan->number;
  body.accept = plan->slot == 1;
  if (!body.accept) body.reason = (enum pd_decline_reason)sim_between(&sim->wish, 0, 4);
  if (sim_odds(&sim->wish, 80)) body.reason = (enum pd_decline_reason)9;
  struct sim_said said = speaker(sim, plan, PD_ROLE_VOLUNTEER, 40);
  say_seen(sim, plan, &said, PD_COMMAND_ANSWER_OFFER, &body);
}

static void withdraw(struct sim *sim, const struct sim_plan *plan) {
  struct pd_withdraw body = PD_WITHDRAW_INIT;
  body.order = plan->number;
  body.slot = plan->slot;
  struct sim_said said = speaker(sim, plan, PD_ROLE_VOLUNTEER, 5);
  say_seen(sim, plan, &said, PD_COMMAND_WITHDRAW, &body);
}

static void start(struct sim *sim, const struct sim_plan *plan) {
  struct pd_start_service body = PD_START_SERVICE_INIT;
  body.order = plan->number;
  body.slot = plan->slot;
  struct sim_said said = speaker(sim, plan, PD_ROLE_VOLUNTEER, 3);
  say_seen(sim, plan, &said, PD_COMMAND_START_SERVICE, &body);
}

static void finish(struct sim *sim, const struct sim_plan *plan) {
  struct pd_finish_service body = PD_FINISH_SERVICE_INIT;
  body.order = plan->number;
  body.slot = plan->slot;
  struct sim_said said = speaker(sim, plan, PD_ROLE_VOLUNTEER, 3);
  say_seen(sim, plan, &said, PD_COMMAND_FINISH_SERVICE, &body);
}

static void confirm(struct sim *sim, const struct sim_plan *plan) {
  struct pd_confirm_service body = PD_CONFIRM_SERVICE_INIT;
  body.order = plan->number;
  body.slot = sim_odds(&sim->wish, 2) ? plan->slot : 0;
  if (sim_odds(&sim->wish, 4)) body.minutes = (uint32_t)sim_between(&sim->wish, 1, 90);
  if (sim_odds(&sim->wish, 30)) body.minutes = 1500;
  struct sim_said said = speaker(sim, plan, PD_ROLE_RESIDENT, 2);
  say_seen(sim, plan, &said, PD_COMMAND_CONFIRM_SERVICE, &body);
}

static void rate(struct sim *sim, const struct sim_plan *plan) {
  struct pd_rate_order body = PD_RATE_ORDER_INIT;
  body.order = plan->number;
  body.stars = (uint32_t)sim_between(&sim->wish, sim_odds(&sim->wish, 30) ? 0 : 1, 5);
  body.comment = (char *)"谢谢";
  struct sim_said said = speaker(sim, plan, PD_ROLE_RESIDENT, 50);
  say_seen(sim, plan, &said, PD_COMMAND_RATE_ORDER, &body);
}

static void cancel(struct sim *sim, const struct sim_plan *plan) {
  struct pd_cancel_order body = PD_CANCEL_ORDER_INIT;
  body.order = plan->number;
  struct sim_said said = speaker(sim, plan, PD_ROLE_RESIDENT, 3);
  say_seen(sim, plan, &said, PD_COMMAND_CANCEL_ORDER, &body);
}

static void decide(struct sim *sim, const struct sim_plan *plan) {
  struct pd_decide_hold body = PD_DECIDE_HOLD_INIT;
  body.hold = plan->number;
  body.approve = sim_odds(&sim->wish, 2);
  struct sim_said said = sim_by_site(sim);
  sim_act(sim, &said, PD_COMMAND_DECIDE_HOLD, &body);
}

static void pause_person(struct sim *sim, const struct sim_plan *plan) {
  struct pd_id id = sim->people->persons[plan->person].id;
  struct pd_pause_volunteer body = PD_PAUSE_VOLUNTEER_INIT;
  body.person = pd_bytes(&id);
  struct sim_said said = speaker(sim, plan, PD_ROLE_VOLUNTEER, 2);
  sim_act(sim, &said, PD_COMMAND_PAUSE_VOLUNTEER, &body);
}

static void resume_person(struct sim *sim, const struct sim_plan *plan) {
  struct pd_id id = sim->people->persons[plan->person].id;
  struct pd_resume_volunteer body = PD_RESUME_VOLUNTEER_INIT;
  body.person = pd_bytes(&id);
  struct sim_said said = speaker(sim, plan, PD_ROLE_VOLUNTEER, 2);
  sim_act(sim, &said, PD_COMMAND_RESUME_VOLUNTEER, &body);
}

static void exit_person(struct sim *sim, const struct sim_plan *plan) {
  struct pd_id id = sim->people->persons[plan->person].id;
  struct pd_exit_volunteer body = PD_EXIT_VOLUNTEER_INIT;
  body.person = pd_bytes(&id);
  struct sim_said said = speaker(sim, plan, PD_ROLE_VOLUNTEER, 2);
  sim_act(sim, &said, PD_COMMAND_EXIT_VOLUNTEER, &body);
}

/* Somebody who is invited or booked, and who asked for help: one of them would rather not. */
static void block(struct sim *sim, const struct sim_plan *plan) {
  const struct sim_order *order = sim_order_of(sim, plan->number);
  if (order == NULL) return;
  const struct sim_person *helper = &sim->people->persons[plan->person];
  const struct sim_person *requester = &sim->people->persons[order->requester];
  if (sim_odds(&sim->wish, 2))
    sim_say_block(sim, helper, requester);
  else
    sim_say_block(sim, requester, helper);
}

/* A paper of somebody who is booked. */
static void paper(struct sim *sim, const struct sim_plan *plan) {
  sim_say_credential(sim, &sim->people->persons[plan->person]);
}

static void erase_person(struct sim *sim, const struct sim_plan *plan) {
  struct pd_id id = sim->people->persons[plan->person].id;
  struct pd_erase_person body = PD_ERASE_PERSON_INIT;
  body.person = pd_bytes(&id);
  struct sim_said said = sim_by_site(sim);
  sim_act(sim, &said, PD_COMMAND_ERASE_PERSON, &body);
}

static void ask(struct sim *sim, const struct sim_plan *plan) {
  struct pd_id id = sim->people->persons[plan->person].id;
  struct pd_ask_for_order body = PD_ASK_FOR_ORDER_INIT;
  body.order = plan->number;
  body.volunteer = pd_bytes(&id);
  struct sim_said said = speaker(sim, plan, PD_ROLE_VOLUNTEER, 6);
  say_seen(sim, plan, &said, PD_COMMAND_ASK_FOR_ORDER, &body);
}

static void command(struct sim *sim, const struct sim_plan *plan) {
  struct pd_id id = sim->people->persons[plan->person].id;
  struct pd_command_offer body = PD_COMMAND_OFFER_INIT;
  body.order = plan->number;
  body.volunteer = pd_bytes(&id);
  body.reason = (enum pd_command_reason)sim_between(&sim->wish, sim_odds(&sim->wish, 30) ? 0 : 1,
                                                    PD_COMMAND_REASON_OTHER);
  body.note = (char *)(sim_odds(&sim->wish, 2) ? "会说方言" : "");
  struct sim_said said = sim_by_site(sim);
  if (sim_odds(&sim->wish, 40)) said.role = PD_ROLE_VOLUNTEER;
  sim_act(sim, &said, PD_COMMAND_COMMAND_OFFER, &body);
}

/* Anybody asks for this order, or is named for it, soon or late. */
static void plan_direct(struct sim *sim, uint64_t order, uint32_t ask_one_in,
                        uint32_t command_one_in) {
  const struct sim_people *people = sim->people;
  struct sim_plan plan = {.number = order};
  while (sim_odds(&sim->wish, ask_one_in)) {
    plan.person = (uint32_t)pd_rng_below(&sim->wish, people->person_count);
    plan_in(sim, 0, sim_odds(&sim->wish, 2) ? 5 : 20 * 60, ask, &plan);
  }
  while (sim_odds(&sim->wish, command_one_in)) {
    plan.person = (uint32_t)pd_rng_below(&sim->wish, people->person_count);
    plan_in(sim, 0, sim_odds(&sim->wish, 2) ? 20 : 20 * 60, command, &plan);
  }
}

void sim_nonsense(struct sim *sim) {
  static const act_fn acts[] = {answer, withdraw, start, finish,       confirm,       rate,
                                cancel, decide,   start, pause_person, resume_person, confirm,
                                ask,    command};
  const struct sim_people *people = sim->people;
  if (people->person_count == 0) return;
  struct sim_plan plan = {.person = (uint32_t)pd_rng_below(&sim->wish, people->person_count),
                          .slot = (uint32_t)pd_rng_below(&sim->wish, 10)};
  uint64_t most = people->order_count + 3;
  plan.number = pd_rng_below(&sim->wish, most);
  act_fn act = acts[pd_rng_below(&sim->wish, sizeof acts / sizeof acts[0])];
  if (act == answer) plan.number = pd_rng_below(&sim->wish, people->last_offer + 3);
  if (act == decide) plan.number = pd_rng_below(&sim->wish, people->last_hold + 3);
  act(sim, &plan);
}

/* ---- hearing ---- */

static struct sim_plan plan_for(struct sim *sim, const struct pd_event *event, uint64_t number,
                                ProtobufCBinaryData person, uint32_t slot) {
  const struct sim_person *who = sim_person_of(sim, person);
  struct sim_plan plan = {.number = number, .slot = slot, .log = event->log, .seq = event->seq};
  if (who != NULL) plan.person = (uint32_t)(who - sim->people->persons);
  return plan;
}

static void on_offer(struct sim *sim, const struct pd_event *event) {
  const struct pd_offer_made *body = event->offer_made;
  struct sim_plan plan = plan_for(sim, event, body->order, body->volunteer, 1);
  if (sim_odds(&sim->wish, 30)) plan_in(sim, 0, 15, block, &plan);
  if (sim_odds(&sim->wish, 15)) plan_in(sim, 0, 15, paper, &plan);
  plan.number = body->offer;
  uint64_t mood = pd_rng_below(&sim->wish, 20);
  if (mood >= 17) return; /* silent */
  plan.slot = mood >= 4;  /* otherwise: no */
  int64_t expires = body->expires_at_ms;
  if (mood == 16)
    plan_at(sim, expires + sim_between(&sim->wish, -20, 30), answer, &plan);
  else if (mood == 15)
    plan_at(sim, expires + sim_between(&sim->wish, 0, 7200000), answer, &plan);
  else if (mood == 14)
    plan_at(sim, sim_wall(sim), answer, &plan);
  else
    plan_in(sim, 0, (expires - sim_wall(sim)) / PD_MINUTE_MS + 1, answer, &plan);
  if (sim_odds(&sim->wish, 15)) {
    plan.slot = !plan.slot; /* thinks better of it */
    plan_in(sim, 0, 60, answer, &plan);
  }
}

static void on_filled(struct sim *sim, const struct pd_event *event) {
  const struct pd_slot_filled *body = event->slot_filled;
  struct sim_plan plan = plan_for(sim, event, body->order, body->volunteer, body->slot);
  uint64_t mood = pd_rng_below(&sim->wish, 20);
  int64_t begin = body->start_ms;
  if (sim_odds(&sim->wish, 12)) plan_in(sim, 0, 120, block, &plan);
  if (sim_odds(&sim->wish, 3)) plan_in(sim, 0, 240, paper, &plan);
  if (mood == 0) return; /* does not come */
  if (mood <= 2)
    plan_in(sim, 0, begin > sim_wall(sim) ? (begin - sim_wall(sim)) / PD_MINUTE_MS : 0, withdraw,
            &plan);
  if (mood == 2) return;
  int64_t at = begin + sim_between(&sim->wish, -10, 25) * PD_MINUTE_MS;
  if (mood == 3 || mood == 4) at = begin + 30 * PD_MINUTE_MS + sim_between(&sim->wish, -8, 12);
  if (mood == 5) at = sim_wall(sim);
  if (mood == 6) at = begin + sim_between(&sim->wish, 31, 90) * PD_MINUTE_MS;
  plan_at(sim, at, start, &plan);
  if (sim_odds(&sim->wish, 20)) plan_at(sim, begin, cancel, &plan);
}

static void on_started(struct sim *sim, const struct pd_event *event) {
  const struct pd_service_started *body = event->service_started;
  const struct sim_order *order = sim_order_of(sim, body->order);
  struct sim_plan plan = plan_for(sim, event, body->order, body->volunteer, body->slot);
  if (sim_odds(&sim->wish, 20)) return; /* never says so */
  int64_t minutes = order != NULL ? order->minutes : 60;
  plan_in(sim, minutes / 3, minutes * 3 / 2 + 1, finish, &plan);
  if (sim_odds(&sim->wish, 20)) plan_in(sim, 0, 10, withdraw, &plan);
}

static void on_finished(struct sim *sim, const struct pd_event *event) {
  const struct pd_service_finished *body = event->service_finished;
  const struct sim_order *order = sim_order_of(sim, body->order);
  struct sim_plan plan = plan_for(sim, event, body->order, body->volunteer, body->slot);
  if (order == NULL || sim_odds(&sim->wish, 8)) return;
  plan.person = order->requester;
  int64_t most = sim_odds(&sim->wish, 8) ? 10 * 24 * 60 : 36 * 60;
  plan_in(sim, 0, most, confirm, &plan);
  if (sim_odds(&sim->wish, 2)) plan_in(sim, 0, most, confirm, &plan);
  if (!sim_odds(&sim->wish, 3)) plan_in(sim, 1, 3 * 24 * 60, rate, &plan);
}

static void on_hold(struct sim *sim, const struct pd_event *event) {
  struct sim_plan plan = {.number = event->hold_placed->hold};
  for (uint64_t times = pd_rng_below(&sim->wish, 4); times > 0; times--)
    plan_in(sim, 0, sim_odds(&sim->wish, 3) ? 3 * 24 * 60 : 600, decide, &plan);
  if (sim_odds(&sim->wish, 2))
    plan_at(sim, event->hold_placed->decide_by_ms + sim_between(&sim->wish, -10, 10), decide,
            &plan);
}

static void on_registered(struct sim *sim, const struct pd_event *event,
                          ProtobufCBinaryData person) {
  struct sim_plan plan = plan_for(sim, event, 0, person, 0);
  if (sim_odds(&sim->wish, 5)) {
    plan_in(sim, 10, 3 * 24 * 60, pause_person, &plan);
    if (!sim_odds(&sim->wish, 4)) plan_in(sim, 60, 4 * 24 * 60, resume_person, &plan);
  }
  if (sim_odds(&sim->wish, 15)) plan_in(sim, 60, 4 * 24 * 60, exit_person, &plan);
  if (sim_odds(&sim->wish, 15)) plan_in(sim, 60, 4 * 24 * 60, erase_person, &plan);
}

static void on_placed(struct sim *sim, const struct pd_event *event) {
  const struct pd_order_placed *body = event->order_placed;
  struct sim_plan plan = plan_for(sim, event, body->order, body->requester, 0);
  bool far = body->window_start_ms > sim_wall(sim) + 10 * PD_DAY_MS;
  if (sim_odds(&sim->wish, far ? 1 : 10)) plan_in(sim, 0, 36 * 60, cancel, &plan);
  plan_direct(sim, body->order, 3, 5);
}

void sim_wishes_heard(struct sim *sim, const struct pd_event *event) {
  if (sim->healing || sim->options.story) return;
  if (event->body_case == PD_EVENT_VOLUNTEER_REGISTERED)
    on_registered(sim, event, event->volunteer_registered->person);
  if (event->body_case == PD_EVENT_RESIDENT_REGISTERED)
    on_registered(sim, event, event->resident_registered->person);
  if (event->body_case == PD_EVENT_ORDER_PLACED) on_placed(sim, event);
  if (event->body_case == PD_EVENT_ORDER_UNMATCHED)
    plan_direct(sim, event->order_unmatched->order, 40, 12);
  if (event->body_case == PD_EVENT_OFFER_MADE) on_offer(sim, event);
  if (event->body_case == PD_EVENT_SLOT_FILLED) on_filled(sim, event);
  if (event->body_case == PD_EVENT_SERVICE_STARTED) on_started(sim, event);
  if (event->body_case == PD_EVENT_SERVICE_FINISHED) on_finished(sim, event);
  if (event->body_case == PD_EVENT_HOLD_PLACED) on_hold(sim, event);
  if (sim_odds(&sim->wish, 150)) sim_nonsense(sim);
}
