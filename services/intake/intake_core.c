#include "services/intake/intake_core.h"

#include "common/base/err.h"
#include "services/intake/intake_check.h"

#include <string.h>

#define RESIDENT PD_ROLE_RESIDENT
#define VOLUNTEER PD_ROLE_VOLUNTEER
#define SITE PD_ROLE_SITE
#define SOURCE PD_ROLE_SOURCE

/* Who may say what: the comments of proto/paidan/v1/command.proto as a table. */
static const struct intake_rule rules[] = {
    [PD_COMMAND_REGISTER_SITE] = {.name = "register_site",
                                  .doors = SITE,
                                  .run = intake_register_site},
    [PD_COMMAND_REGISTER_TEAM] = {.name = "register_team",
                                  .doors = SITE,
                                  .run = intake_register_team},
    [PD_COMMAND_JOIN_TEAM] = {.name = "join_team",
                              .doors = SITE | VOLUNTEER,
                              .person = "join_team.person",
                              .run = intake_join_team},
    [PD_COMMAND_REGISTER_VOLUNTEER] = {.name = "register_volunteer",
                                       .doors = SITE | VOLUNTEER,
                                       .run = intake_register_volunteer},
    [PD_COMMAND_PAUSE_VOLUNTEER] = {.name = "pause_volunteer",
                                    .doors = SITE | VOLUNTEER,
                                    .own_doors = VOLUNTEER,
                                    .person = "pause_volunteer.person",
                                    .run = intake_pause_volunteer},
    [PD_COMMAND_RESUME_VOLUNTEER] = {.name = "resume_volunteer",
                                     .doors = SITE | VOLUNTEER,
                                     .own_doors = VOLUNTEER,
                                     .person = "resume_volunteer.person",
                                     .run = intake_resume_volunteer},
    [PD_COMMAND_EXIT_VOLUNTEER] = {.name = "exit_volunteer",
                                   .doors = SITE | VOLUNTEER,
                                   .own_doors = VOLUNTEER,
                                   .person = "exit_volunteer.person",
                                   .run = intake_exit_volunteer},
    [PD_COMMAND_REGISTER_RESIDENT] = {.name = "register_resident",
                                      .doors = SITE | RESIDENT,
                                      .run = intake_register_resident},
    [PD_COMMAND_ERASE_PERSON] = {.name = "erase_person",
                                 .doors = SITE,
                                 .person = "erase_person.person",
                                 .run = intake_erase_person},
    [PD_COMMAND_RECORD_CREDENTIAL] = {.name = "record_credential",
                                      .doors = SITE | VOLUNTEER,
                                      .own_doors = VOLUNTEER,
                                      .person = "record_credential.person",
                                      .run = intake_record_credential},
    [PD_COMMAND_BLOCK_PAIR] = {.name = "block_pair",
                               .doors = SITE | RESIDENT | VOLUNTEER,
                               .own_doors = RESIDENT | VOLUNTEER,
                               .person = "block_pair.person",
                               .run = intake_block_pair},
    [PD_COMMAND_PLACE_ORDER] = {.name = "place_order",
                                .doors = SITE | RESIDENT,
                                .own_doors = RESIDENT,
                                .person = "place_order.requester",
                                .run = intake_place_order},
    [PD_COMMAND_CANCEL_ORDER] = {.name = "cancel_order",
                                 .doors = SITE | RESIDENT,
                                 .own_doors = RESIDENT,
                                 .order = "cancel_order.order",
                                 .run = intake_cancel_order},
    [PD_COMMAND_ANSWER_OFFER] = {.name = "answer_offer",
                                 .doors = VOLUNTEER,
                                 .own_doors = VOLUNTEER,
                                 .run = intake_answer_offer},
    [PD_COMMAND_WITHDRAW] = {.name = "withdraw",
                             .doors = SITE | VOLUNTEER,
                             .own_doors = VOLUNTEER,
                             .order = "withdraw.order",
                             .slot = "withdraw.slot",
                             .run = intake_withdraw},
    [PD_COMMAND_START_SERVICE] = {.name = "start_service",
                                  .doors = SITE | VOLUNTEER,
                                  .own_doors = VOLUNTEER,
                                  .order = "start_service.order",
                                  .slot = "start_service.slot",
                                  .run = intake_start_service},
    [PD_COMMAND_FINISH_SERVICE] = {.name = "finish_service",
                                   .doors = SITE | VOLUNTEER,
                                   .own_doors = VOLUNTEER,
                                   .order = "finish_service.order",
                                   .slot = "finish_service.slot",
                                   .run = intake_finish_service},
    [PD_COMMAND_CONFIRM_SERVICE] = {.name = "confirm_service",
                                    .doors = SITE | RESIDENT,
                                    .own_doors = RESIDENT,
                                    .order = "confirm_service.order",
                                    .slot = "confirm_service.slot",
                                    .run = intake_confirm_service},
    [PD_COMMAND_RATE_ORDER] = {.name = "rate_order",
                               .doors = RESIDENT,
                               .own_doors = RESIDENT,
                               .order = "rate_order.order",
                               .run = intake_rate_order},
    [PD_COMMAND_DECIDE_HOLD] = {.name = "decide_hold", .doors = SITE, .run = intake_decide_hold},
    [PD_COMMAND_COMMAND_OFFER] = {.name = "command_offer",
                                  .doors = SITE,
                                  .person = "command_offer.volunteer",
                                  .order = "command_offer.order",
                                  .run = intake_command_offer},
    [PD_COMMAND_ASK_FOR_ORDER] = {.name = "ask_for_order",
                                  .doors = SITE | VOLUNTEER,
                                  .own_doors = VOLUNTEER,
                                  .person = "ask_for_order.volunteer",
                                  .order = "ask_for_order.order",
                                  .run = intake_ask_for_order},
    [PD_COMMAND_PUBLISH_EXTERNAL] = {.name = "publish_external",
                                     .doors = SOURCE,
                                     .run = intake_publish_external},
};

static void init_tables(struct intake *self, struct pd_arena *arena) {
  pd_assert(self->facts == NULL);
  const struct pd_limits *limits = &self->limits;
  pd_arena_begin_image(arena);
  self->facts = PD_ARENA_ARRAY(arena, struct intake_facts, 1);
  self->sites = PD_ARENA_ARRAY(arena, struct intake_site, limits->sites);
  self->teams = PD_ARENA_ARRAY(arena, struct intake_team, limits->teams);
  self->persons = PD_ARENA_ARRAY(arena, struct intake_person, limits->persons);
  pd_idmap_init(&self->person_of, arena, limits->persons);
  self->orders = PD_ARENA_ARRAY(arena, struct intake_order, limits->orders);
  pd_pool_init(&self->order_pool, arena, limits->orders);
  pd_map_init(&self->order_of, arena, limits->orders);
  self->slots = PD_ARENA_ARRAY(arena, struct intake_slot, limits->bookings);
  pd_pool_init(&self->slot_pool, arena, limits->bookings);
  self->offers = PD_ARENA_ARRAY(arena, struct intake_offer, limits->offers);
  pd_pool_init(&self->offer_pool, arena, limits->offers);
  pd_map_init(&self->offer_of, arena, limits->offers);
  self->keys = PD_ARENA_ARRAY(arena, struct intake_key, limits->keys);
  pd_idmap_init(&self->key_of, arena, limits->keys);
  self->blocks = PD_ARENA_ARRAY(arena, struct intake_block, limits->blocks);
  pd_pool_init(&self->block_pool, arena, limits->blocks);
}

static void *init(struct pd_arena *arena, const struct pd_limits *limits,
                  const struct pd_shard *shard, const void *policy) {
  pd_assert(policy == NULL && limits->keys > 0);
  pd_assert(limits->teams <= UINT16_MAX && limits->slots <= 64 && limits->blocks_each < 256);
  struct intake *self = PD_ARENA_ARRAY(arena, struct intake, 1);
  self->limits = *limits;
  self->shard = *shard;
  init_tables(self, arena);
  return self;
}

static void fold(struct intake *self, const struct pd_event *event) {
  switch (event->body_case) {
    case PD_EVENT_SITE_REGISTERED: intake_apply_site(self, event->site_registered); return;
    case PD_EVENT_TEAM_REGISTERED: intake_apply_team(self, event->team_registered); return;
    case PD_EVENT_TEAM_JOINED: intake_apply_joined(self, event->team_joined); return;
    case PD_EVENT_VOLUNTEER_REGISTERED:
      intake_apply_person(self, event->volunteer_registered->person, INTAKE_VOLUNTEER);
      return;
    case PD_EVENT_VOLUNTEER_PAUSED:
      intake_apply_flags(self, event->volunteer_paused->person, INTAKE_PAUSED, 0);
      return;
    case PD_EVENT_VOLUNTEER_RESUMED:
      intake_apply_flags(self, event->volunteer_resumed->person, 0, INTAKE_PAUSED);
      return;
    case PD_EVENT_VOLUNTEER_EXITED:
      intake_apply_flags(self, event->volunteer_exited->person, INTAKE_EXITED, 0);
      return;
    case PD_EVENT_RESIDENT_REGISTERED:
      intake_apply_person(self, event->resident_registered->person, INTAKE_RESIDENT);
      return;
    case PD_EVENT_PERSON_ERASED:
      intake_apply_flags(self, event->person_erased->person, INTAKE_ERASED, 0);
      intake_forget_papers(self, event->person_erased->person);
      return;
    case PD_EVENT_CREDENTIAL_RECORDED:
      intake_apply_credential(self, event->credential_recorded);
      return;
    case PD_EVENT_PAIR_BLOCKED: intake_apply_block(self, event->pair_blocked); return;
    case PD_EVENT_POLICY_ADOPTED: intake_apply_policy(self, event->policy_adopted); return;
    case PD_EVENT_ORDER_PLACED: intake_apply_placed(self, event->order_placed); return;
    case PD_EVENT_OFFER_ANSWERED: intake_apply_answered(self, event->offer_answered); return;
    case PD_EVENT_VOLUNTEER_WITHDREW:
      intake_apply_withdrew(self, event->volunteer_withdrew);
      return;
    case PD_EVENT_SERVICE_STARTED:
      intake_apply_started(self, event->service_started, event->time_ms);
      return;
    case PD_EVENT_SERVICE_FINISHED: intake_apply_finished(self, event->service_finished); return;
    case PD_EVENT_ORDER_SERVED: intake_apply_served(self, event->order_served); return;
    case PD_EVENT_SERVICE_CONFIRMED: intake_apply_confirmed(self, event->service_confirmed); return;
    case PD_EVENT_ORDER_RATED: intake_apply_rated(self, event->order_rated); return;
    case PD_EVENT_ORDER_CLOSED: intake_apply_closed(self, event->order_closed); return;
    case PD_EVENT_OFFER_MADE: intake_apply_offer_made(self, event->offer_made); return;
    case PD_EVENT_OFFER_CLOSED: intake_apply_offer_closed(self, event->offer_closed); return;
    case PD_EVENT_SLOT_FILLED: intake_apply_filled(self, event->slot_filled); return;
    case PD_EVENT_SLOT_REOPENED: intake_apply_reopened(self, event->slot_reopened); return;
    case PD_EVENT_NOT_SET:
    case PD_EVENT_EPOCH_BEGAN:
    case PD_EVENT_INPUTS_NOTED:
    case PD_EVENT_ORDER_CANCELLED: /* order_closed follows */
    case PD_EVENT_HOLD_DECIDED:
    case PD_EVENT_OFFER_COMMANDED: case PD_EVENT_ORDER_ASKED: /* matching answers */
    case PD_EVENT_OFFER_DENIED: case PD_EVENT_COVERAGE_NOTED: case PD_EVENT_DAY_BEGAN:
    case PD_EVENT_EXTERNAL_NOTED:
    case PD_EVENT_WAVE_OPENED:
    case PD_EVENT_ORDER_STAFFED: /* the slots say so already */
    case PD_EVENT_ORDER_UNMATCHED:
    case PD_EVENT_WAVE_DUE:
    case PD_EVENT_ORDER_ESCALATED:
    case PD_EVENT_ORDER_EXPIRED: /* what follows is said by decide */
    case PD_EVENT_REMINDER_DUE:
    case PD_EVENT_NO_SHOW_NOTED:
    case PD_EVENT_POINTS_POSTED:
    case PD_EVENT_HOLD_PLACED:
    case PD_EVENT_HOLD_RESOLVED:
    case PD_EVENT_STAR_REACHED:
    case PD_EVENT_MESSAGE_SENT: case PD_EVENT_MESSAGE_FAILED: case PD_EVENT_MESSAGE_SUPPRESSED:
    case PD_EVENT_CASE_SIZE: return;
  }
}

static void apply(void *self, const struct pd_event *event) {
  fold(self, event);
  if (event->log == PD_LOG_INTAKE && event->origin != NULL) intake_keys_apply(self, event);
}

static void answer_again(const struct intake_call *call, const struct intake_key *known) {
  pd_assert(known->seq != 0);
  pd_assert(known->person <= call->self->facts->persons);
  if (!pd_id_equal(&known->body, &call->request->body)) {
    intake_refuse(call, INTAKE_NO_KEY_REUSE, NULL);
    return;
  }
  const struct intake_person *persons = call->self->persons;
  const struct pd_id *person = known->person != 0 ? &persons[known->person - 1].id : NULL;
  pd_grant_again(call->out, known->seq, known->id, person);
}

enum pd_role intake_role_for(pd_command_kind kind, uint32_t roles) {
  pd_assert(roles != 0 && roles < 2 * PD_ROLE_SOURCE);
  unsigned number = (unsigned)kind;
  bool known = number < sizeof rules / sizeof rules[0] && rules[number].run != NULL;
  uint32_t fit = known ? rules[number].doors & roles : 0;
  if (known && (fit & ~rules[number].own_doors) != 0) fit &= ~rules[number].own_doors;
  if (fit == 0) fit = roles;
  if ((roles & PD_ROLE_OPS) != 0) fit = PD_ROLE_OPS;
  return (enum pd_role)(fit & (~fit + 1));
}

static const struct intake_rule *rule_of(const struct pd_command *command) {
  unsigned kind = (unsigned)command->body_case;
  if (kind >= sizeof rules / sizeof rules[0] || rules[kind].run == NULL) return NULL;
  return &rules[kind];
}

static void decide_command(struct intake *self, const struct pd_input *input,
                           struct pd_outbox *out) {
  pd_assert(input->request->command != NULL && out->emitted == 0);
  pd_assert(input->request->principal != NULL);
  struct intake_call call = {
      .self = self,
      .request = input->request,
      .command = input->request->command,
      .out = out,
      .rule = rule_of(input->request->command),
      .now_ms = input->now_ms,
  };
  const struct intake_key *known = intake_keys_find(self, &call.request->key);
  if (call.command->shard != self->shard.code)
    intake_refuse(&call, INTAKE_NO_SHARD, NULL);
  else if (known != NULL)
    answer_again(&call, known);
  else if (call.rule == NULL)
    intake_refuse(&call, INTAKE_NO_BODY, NULL);
  else if (intake_check_envelope(&call) && call.rule->run(&call))
    intake_keys_grant(self, out);
}

static void decide(void *self, const struct pd_input *input, struct pd_outbox *out) {
  switch (input->kind) {
    case PD_INPUT_COMMAND: decide_command(self, input, out); return;
    case PD_INPUT_EVENT: intake_decide_event(self, input->event, out); return;
    case PD_INPUT_DELIVERY:
    case PD_INPUT_TIME:
    case PD_INPUT_BATCH_END: return;
  }
}

struct intake_counts intake_count(const void *self) {
  const struct intake *intake = self;
  return (struct intake_counts){
      .sites = intake->facts->sites,
      .teams = intake->facts->teams,
      .persons = intake->facts->persons,
      .orders = (uint32_t)*intake->order_pool.taken,
      .offers = (uint32_t)*intake->offer_pool.taken,
      .slots = (uint32_t)*intake->slot_pool.taken,
  };
}

/* ---- invariants ---- */

/* Slots in number order, counted by state; returns how many there are. */
static uint32_t check_order(const struct intake *self, const struct intake_order *order) {
  uint32_t counts[INTAKE_SLOT_STATES] = {0}, number = 0;
  pd_assert(!intake_is_final(order->state) && order->state != PD_ORDER_STATE_UNSPECIFIED);
  for (uint32_t at = order->first; at != PD_NONE; at = self->slots[at].next) {
    const struct intake_slot *slot = &self->slots[at];
    pd_assert(slot->number == ++number && slot->state < INTAKE_SLOT_STATES);
    pd_assert(slot->volunteer < self->facts->persons || slot->state == INTAKE_SLOT_FREE);
    counts[slot->state]++;
  }
  for (unsigned i = 0; i < INTAKE_SLOT_STATES; i++) pd_assert(counts[i] == order->slots[i]);
  pd_assert(number == order->need && order->requester < self->facts->persons);
  pd_assert(order->number <= self->facts->last_order);
  pd_assert(order->state == (uint8_t)intake_state_of(order));
  return number;
}

static void check_orders(const struct intake *self) {
  uint64_t orders = 0, slots = 0;
  for (uint32_t at = 0; at < self->limits.orders; at++) {
    const struct intake_order *order = &self->orders[at];
    if (order->number == 0) continue;
    pd_assert(pd_map_get(&self->order_of, order->number) == at);
    slots += check_order(self, order);
    orders++;
  }
  pd_assert(orders == *self->order_pool.taken && orders == *self->order_of.count);
  pd_assert(slots == *self->slot_pool.taken);
}

static void check_offers(const struct intake *self) {
  pd_assert(*self->offer_pool.taken <= self->limits.offers);
  uint64_t offers = 0;
  for (uint32_t at = 0; at < self->limits.offers; at++) {
    const struct intake_offer *offer = &self->offers[at];
    if (offer->number == 0) continue;
    pd_assert(pd_map_get(&self->offer_of, offer->number) == at);
    pd_assert(offer->volunteer < self->facts->persons);
    pd_assert(offer->number <= self->facts->last_offer && offer->answered <= 1);
    pd_assert(offer->order >= 1 && offer->order <= self->facts->last_order);
    offers++;
  }
  pd_assert(offers == *self->offer_pool.taken && offers == *self->offer_of.count);
}

static void check_keys(const struct intake *self) {
  pd_assert(*self->key_of.count <= self->limits.keys);
  uint64_t keys = 0;
  for (uint32_t at = 0; at < self->limits.keys; at++) {
    const struct intake_key *entry = &self->keys[at];
    if (entry->seq == 0) continue;
    pd_assert(pd_idmap_get(&self->key_of, &entry->key) == at);
    pd_assert(entry->person <= self->facts->persons);
    keys++;
  }
  pd_assert(keys == *self->key_of.count);
}

static void check_registry(const struct intake *self) {
  const struct intake_facts *facts = self->facts;
  pd_assert(facts->sites_of[PD_SITE_LEVEL_CENTER] <= 1);
  for (uint32_t i = 0; i < facts->sites; i++) {
    const struct intake_site *site = &self->sites[i];
    pd_assert(site->level >= PD_SITE_LEVEL_CENTER && site->level <= PD_SITE_LEVEL_POST);
    pd_assert(site->parent <= facts->sites && site->parent != i + 1);
    pd_assert(site->parent == 0 || self->sites[site->parent - 1].level < site->level);
  }
  for (uint32_t i = 0; i < facts->teams; i++) pd_assert(self->teams[i].site - 1 < facts->sites);
  for (uint32_t i = 0; i < facts->persons; i++) {
    const struct intake_person *person = &self->persons[i];
    pd_assert(pd_idmap_get(&self->person_of, &person->id) == i);
    pd_assert(person->joined <= INTAKE_TEAMS_EACH);
    pd_assert((person->flags & (INTAKE_VOLUNTEER | INTAKE_RESIDENT)) != 0);
  }
  pd_assert(*self->person_of.count == facts->persons);
}

static void check_papers(const struct intake *self) {
  uint64_t papers = 0, blocks = 0;
  for (uint32_t i = 0; i < self->facts->persons; i++) {
    const struct intake_person *person = &self->persons[i];
    uint32_t count = 0;
    for (uint32_t at = person->blocks; at != 0; at = self->blocks[at - 1].next) {
      pd_assert(self->blocks[at - 1].other < self->facts->persons);
      count++;
    }
    pd_assert(count == person->blocked && count <= self->limits.blocks_each);
    papers += (uint32_t)__builtin_popcount(person->papers);
    blocks += count;
  }
  pd_assert(papers == self->facts->papers && blocks == *self->block_pool.taken);
}

static void check(const void *self) {
  check_registry(self);
  check_papers(self);
  check_orders(self);
  check_offers(self);
  check_keys(self);
}

/* Said by the logs that are followed here, and nothing to this core: see the switches above. */
static const uint8_t passed_over[] = {
    PD_EVENT_WAVE_OPENED, PD_EVENT_ORDER_STAFFED,
    PD_EVENT_ORDER_UNMATCHED, PD_EVENT_WAVE_DUE, PD_EVENT_ORDER_ESCALATED,
    PD_EVENT_REMINDER_DUE, PD_EVENT_OFFER_DENIED, PD_EVENT_COVERAGE_NOTED, PD_EVENT_DAY_BEGAN, 0};

const struct pd_core intake_core = {
    .name = "intake",
    .log = PD_LOG_INTAKE,
    .inputs = PD_LOG_BIT(PD_LOG_MATCHING) | PD_LOG_BIT(PD_LOG_SCHEDULING),
    .init = init,
    .apply = apply,
    .decide = decide,
    .passes = passed_over,
    .check = check,
};
