/* Credentials and blocked pairs: what is on record about people, beside themselves. */
#include "common/base/err.h"
#include "services/intake/intake_check.h"

#include <string.h>

#define UNTIL_MAX INT64_C(253402300800000) /* the end of the year 9999 */

/* ---- credentials ---- */

/* The bit in intake_person.papers of a kind, of a qualification for a skill. */
static uint32_t paper_bit(enum pd_credential_kind kind, enum pd_skill skill) {
  _Static_assert(PD_SKILL_SIGN_LANGUAGE + PD_CREDENTIAL_KIND_HEALTH < 32, "no bit is left");
  pd_assert(kind >= PD_CREDENTIAL_KIND_QUALIFICATION && kind <= PD_CREDENTIAL_KIND_HEALTH);
  bool of_skill = kind == PD_CREDENTIAL_KIND_QUALIFICATION;
  return 1u << (of_skill ? (unsigned)skill - 1 : PD_SKILL_SIGN_LANGUAGE + (unsigned)kind - 1);
}

void intake_apply_credential(struct intake *self, const struct pd_credential_recorded *body) {
  uint32_t index = intake_person_index(self, body->person);
  pd_assert(index != PD_NONE && (self->persons[index].flags & INTAKE_VOLUNTEER) != 0);
  uint32_t bit = paper_bit(body->kind, body->skill);
  if ((self->persons[index].papers & bit) != 0) return;
  self->persons[index].papers |= bit;
  self->facts->papers++;
  pd_assert(self->facts->papers <= self->limits.credentials);
}

void intake_forget_papers(struct intake *self, ProtobufCBinaryData person) {
  uint32_t index = intake_person_index(self, person);
  pd_assert(index != PD_NONE);
  uint32_t count = (uint32_t)__builtin_popcount(self->persons[index].papers);
  pd_assert(self->facts->papers >= count);
  self->facts->papers -= count;
  self->persons[index].papers = 0;
}

bool intake_check_demands(const struct intake_call *call, const enum pd_demand *demands,
                          size_t count, const char *field) {
  pd_assert(count == 0 || demands != NULL);
  uint32_t met = 0;
  for (size_t i = 0; i < count; i++) {
    if (demands[i] < PD_DEMAND_HEAVY || demands[i] > PD_DEMAND_DUST)
      return intake_refuse(call, INTAKE_NO_DEMAND, field);
    uint32_t bit = 1u << (unsigned)demands[i];
    if ((met & bit) != 0) return intake_refuse(call, INTAKE_NO_DEMAND_TWICE, field);
    met |= bit;
  }
  return true;
}

bool intake_check_paper_room(const struct intake_call *call, uint32_t more) {
  const struct intake *self = call->self;
  pd_assert(self->facts->papers <= self->limits.credentials);
  return intake_require(call, self->limits.credentials - self->facts->papers >= more,
                        INTAKE_NO_CREDENTIALS_LEFT, call->rule->name);
}

/* At the own door a person speaks for himself only: papers are what a site has seen. */
static bool is_own_word(enum pd_credential_kind kind) {
  pd_assert(kind >= PD_CREDENTIAL_KIND_QUALIFICATION && kind <= PD_CREDENTIAL_KIND_HEALTH);
  return kind == PD_CREDENTIAL_KIND_AUTOMATED_MATCHING || kind == PD_CREDENTIAL_KIND_HEALTH;
}

static bool check_period(const struct intake_call *call, int64_t from_ms, int64_t until_ms) {
  bool withdrawn = until_ms == 0;
  pd_assert(UNTIL_MAX > 0);
  return intake_check_range(call, until_ms, 0, UNTIL_MAX, INTAKE_NO_CREDENTIAL_UNTIL, NULL) &&
         intake_require(call, from_ms >= 0 && (withdrawn || from_ms < until_ms),
                        INTAKE_NO_CREDENTIAL_FROM, NULL);
}

static bool check_credential(const struct intake_call *call,
                             const struct pd_record_credential *body, uint32_t person) {
  bool of_skill = body->kind == PD_CREDENTIAL_KIND_QUALIFICATION;
  bool skilled = body->skill >= PD_SKILL_CLEAN && body->skill <= PD_SKILL_SIGN_LANGUAGE;
  bool own_door = (call->rule->own_doors & call->request->role) != 0;
  bool health = body->kind == PD_CREDENTIAL_KIND_HEALTH;
  pd_assert(person < call->self->facts->persons);
  bool right =
      intake_check_range(call, body->kind, PD_CREDENTIAL_KIND_QUALIFICATION,
                         PD_CREDENTIAL_KIND_HEALTH, INTAKE_NO_CREDENTIAL_KIND, NULL) &&
      intake_require(call, !own_door || is_own_word(body->kind), INTAKE_NO_CREDENTIAL_SITE, NULL) &&
      intake_require(call, of_skill ? skilled : body->skill == PD_SKILL_UNSPECIFIED,
                     INTAKE_NO_CREDENTIAL_SKILL, NULL) &&
      check_period(call, body->from_ms, body->until_ms) &&
      intake_require(call, health || body->n_limits == 0, INTAKE_NO_CREDENTIAL_LIMITS, NULL) &&
      intake_check_demands(call, body->limits, body->n_limits, "record_credential.limits");
  if (!right) return false;
  uint32_t papers = call->self->persons[person].papers;
  if ((papers & paper_bit(body->kind, body->skill)) != 0) return true;
  bool room = (uint32_t)__builtin_popcount(papers) < call->self->limits.credentials_each;
  return intake_require(call, room, INTAKE_NO_CREDENTIALS_EACH, NULL) &&
         intake_check_paper_room(call, 1);
}

bool intake_record_credential(struct intake_call *call) {
  pd_assert(call->command->body_case == PD_COMMAND_RECORD_CREDENTIAL);
  const struct pd_record_credential *body = call->command->record_credential;
  uint32_t index = PD_NONE;
  if (!intake_check_person(call, body->person, call->rule->person, &index)) return false;
  bool volunteer = (call->self->persons[index].flags & INTAKE_VOLUNTEER) != 0;
  bool right = intake_require(call, volunteer, INTAKE_NO_VOLUNTEER, call->rule->person) &&
               intake_check_actor(call, index) && check_credential(call, body, index);
  if (!right) return false;
  struct pd_credential_recorded said = PD_CREDENTIAL_RECORDED_INIT;
  said.person = body->person;
  said.kind = body->kind;
  said.skill = body->skill;
  said.from_ms = body->from_ms;
  said.until_ms = body->until_ms;
  said.n_limits = body->n_limits;
  said.limits = body->limits;
  pd_emit_credential_recorded(call->out, &said);
  return true;
}

void intake_say_papers(const struct intake_call *call, const struct pd_register_volunteer *body) {
  pd_assert(intake_knows_person(call->self, &call->request->fresh));
  struct pd_credential_recorded said = PD_CREDENTIAL_RECORDED_INIT;
  said.person = pd_bytes(&call->request->fresh);
  if (body->guardian_until_ms != 0) {
    said.kind = PD_CREDENTIAL_KIND_GUARDIAN_CONSENT;
    said.until_ms = body->guardian_until_ms;
    pd_emit_credential_recorded(call->out, &said);
  }
  if (body->n_limits == 0) return;
  said.kind = PD_CREDENTIAL_KIND_HEALTH;
  said.until_ms = UNTIL_MAX;
  said.n_limits = body->n_limits;
  said.limits = body->limits;
  pd_emit_credential_recorded(call->out, &said);
}

bool intake_check_guardian(const struct intake_call *call,
                           const struct pd_register_volunteer *body) {
  bool child = body->age == PD_AGE_BAND_UNDER_14;
  bool minor = child || body->age == PD_AGE_BAND_14_17;
  int64_t until_ms = body->guardian_until_ms;
  pd_assert(call->now_ms >= 0);
  if (until_ms == 0) return intake_require(call, !child, INTAKE_NO_GUARDIAN, NULL);
  bool site = (call->request->role & (PD_ROLE_SITE | PD_ROLE_OPS)) != 0;
  return intake_require(call, site, INTAKE_NO_GUARDIAN_SITE, NULL) &&
         intake_require(call, minor, INTAKE_NO_GUARDIAN_ADULT, NULL) &&
         intake_require(call, until_ms > call->now_ms && until_ms <= UNTIL_MAX,
                        INTAKE_NO_GUARDIAN_UNTIL, NULL);
}

/* ---- blocked pairs ---- */

/* The link in the chain of who blocks whom that names this pair; the chain's end if none does. */
static uint32_t *find_block(const struct intake *self, uint32_t person, uint32_t other) {
  pd_assert(person < self->facts->persons && other < self->facts->persons);
  uint32_t *link = &self->persons[person].blocks;
  while (*link != 0 && self->blocks[*link - 1].other != other)
    link = &self->blocks[*link - 1].next;
  return link;
}

void intake_apply_block(struct intake *self, const struct pd_pair_blocked *body) {
  uint32_t person = intake_person_index(self, body->person);
  uint32_t other = intake_person_index(self, body->other);
  pd_assert(person != PD_NONE && other != PD_NONE && person != other);
  uint32_t *link = find_block(self, person, other);
  pd_assert((*link != 0) == (body->lifted != 0));
  if (body->lifted) {
    uint32_t at = *link - 1;
    *link = self->blocks[at].next;
    self->blocks[at] = (struct intake_block){0};
    pd_pool_give(&self->block_pool, at);
    self->persons[person].blocked--;
    return;
  }
  uint32_t at = pd_pool_take(&self->block_pool);
  self->blocks[at] = (struct intake_block){.other = other, .next = self->persons[person].blocks};
  self->persons[person].blocks = at + 1;
  self->persons[person].blocked++;
}

static bool check_block(const struct intake_call *call, uint32_t person, uint32_t other,
                        bool lift) {
  const struct intake *self = call->self;
  bool there = *find_block(self, person, other) != 0;
  if (lift) return intake_require(call, there, INTAKE_NO_BLOCK, NULL);
  pd_assert(self->persons[person].blocked <= self->limits.blocks_each);
  return intake_require(call, !there, INTAKE_NO_BLOCK_TWICE, NULL) &&
         intake_require(call, self->persons[person].blocked < self->limits.blocks_each,
                        INTAKE_NO_BLOCKS_EACH, NULL) &&
         intake_require(call, pd_pool_free(&self->block_pool) > 0, INTAKE_NO_BLOCKS_LEFT, NULL);
}

static void say_block(struct pd_outbox *out, const struct pd_id *person, const struct pd_id *other,
                      bool lifted) {
  struct pd_pair_blocked said = PD_PAIR_BLOCKED_INIT;
  pd_assert(!pd_id_equal(person, other));
  said.person = pd_bytes(person);
  said.other = pd_bytes(other);
  said.lifted = lifted;
  pd_emit_pair_blocked(out, &said);
}

bool intake_block_pair(struct intake_call *call) {
  pd_assert(call->command->body_case == PD_COMMAND_BLOCK_PAIR);
  const struct pd_block_pair *body = call->command->block_pair;
  uint32_t person = PD_NONE, other = PD_NONE;
  if (!intake_check_person(call, body->person, call->rule->person, &person)) return false;
  if (!intake_check_actor(call, person)) return false;
  other = intake_person_index(call->self, body->other); /* to be lifted, it may be erased */
  if (!body->lift && !intake_check_person(call, body->other, "block_pair.other", &other))
    return false;
  bool right = intake_require(call, other != PD_NONE, INTAKE_NO_PERSON, "block_pair.other") &&
               intake_require(call, person != other, INTAKE_NO_BLOCK_SELF, NULL) &&
               check_block(call, person, other, body->lift);
  if (!right) return false;
  const struct intake_person *persons = call->self->persons;
  say_block(call->out, &persons[person].id, &persons[other].id, body->lift);
  return true;
}

void intake_lift_all(struct intake *self, uint32_t person, struct pd_outbox *out) {
  pd_assert(person < self->facts->persons);
  for (uint32_t at; (at = self->persons[person].blocks) != 0;)
    say_block(out, &self->persons[person].id, &self->persons[self->blocks[at - 1].other].id, true);
  pd_assert(self->persons[person].blocked == 0);
}

/* ---- the rules' list of categories ---- */

void intake_apply_policy(struct intake *self, const struct pd_policy_adopted *body) {
  struct intake_facts *facts = self->facts;
  facts->gender_count = 0;
  memset(facts->gender_of, 0, sizeof facts->gender_of);
  for (size_t i = 0; i < body->n_values; i++) {
    const struct pd_policy_value *value = body->values[i];
    size_t length = strnlen(value->category, INTAKE_CATEGORY_MAX + 1);
    bool listed = value->number == PD_POLICY_NUMBER_GENDER_CATEGORY && value->value != 0;
    if (!listed || length > INTAKE_CATEGORY_MAX || facts->gender_count == INTAKE_GENDER_MAX)
      continue;
    memcpy(facts->gender_of[facts->gender_count++], value->category, length);
  }
  pd_assert(facts->gender_count <= INTAKE_GENDER_MAX);
}

bool intake_check_gender(const struct intake_call *call, const struct pd_place_order *body) {
  const struct intake_facts *facts = call->self->facts;
  pd_assert(facts->gender_count <= INTAKE_GENDER_MAX);
  if (!intake_check_range(call, body->gender, PD_GENDER_UNSPECIFIED, PD_GENDER_MALE,
                          INTAKE_NO_GENDER, "place_order.gender"))
    return false;
  bool listed = body->gender == PD_GENDER_UNSPECIFIED;
  for (uint32_t i = 0; i < facts->gender_count && !listed; i++)
    listed = strncmp(facts->gender_of[i], body->category, INTAKE_CATEGORY_MAX) == 0;
  return intake_require(call, listed, INTAKE_NO_GENDER_CATEGORY, NULL);
}
