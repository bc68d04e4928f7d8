/* Credentials, blocked pairs, minors, and what an order may ask of its helpers. */
#include "tests/unit/intake_world.h"

#include <string.h>

#define FOREVER INT64_C(253402300800000)

static void given_people(void) {
  given_district();
  given_resident(1);
  given_resident(2);
  given_volunteer(11);
  given_volunteer(12);
}

static struct pd_record_credential a_credential(uint64_t person, enum pd_credential_kind kind) {
  struct pd_record_credential body = PD_RECORD_CREDENTIAL_INIT;
  body.person = core_bytes(person);
  body.kind = kind;
  if (kind == PD_CREDENTIAL_KIND_QUALIFICATION) body.skill = PD_SKILL_NURSING;
  body.until_ms = h.now_ms + PD_DAY_MS;
  return body;
}

static struct pd_block_pair a_block(uint64_t person, uint64_t other, bool lift) {
  struct pd_block_pair body = PD_BLOCK_PAIR_INIT;
  body.person = core_bytes(person);
  body.other = core_bytes(other);
  body.lift = lift;
  return body;
}

static void given_block(uint64_t person, uint64_t other) {
  struct pd_block_pair body = a_block(person, other, false);
  when_said(PD_COMMAND_BLOCK_PAIR, &body);
  core_expect_ack(&h);
  core_skip(&h);
}

/* ---- credentials ---- */

Test(intake_papers, a_credential_is_recorded_as_the_site_says) {
  given_people();
  struct pd_record_credential body = a_credential(11, PD_CREDENTIAL_KIND_QUALIFICATION);
  body.from_ms = 1000;
  when_said(PD_COMMAND_RECORD_CREDENTIAL, &body);
  const struct pd_credential_recorded *said =
      core_expect(&h, PD_EVENT_CREDENTIAL_RECORDED)->credential_recorded;
  cr_assert(said->kind == PD_CREDENTIAL_KIND_QUALIFICATION && said->skill == PD_SKILL_NURSING);
  cr_assert(said->from_ms == 1000 && said->until_ms == body.until_ms && said->n_limits == 0);
  struct pd_id person = core_id(11), of = PD_ID(core_expect_ack(&h)->person);
  cr_assert(pd_id_equal(&person, &of));
  end();
}

Test(intake_papers, a_credential_that_breaks_a_rule) {
  given_people();
  enum pd_demand unknown[] = {9}, twice[] = {PD_DEMAND_DUST, PD_DEMAND_DUST};
#define PAPER(change, code, field)                                                       \
  do {                                                                                   \
    struct pd_record_credential body = a_credential(11, PD_CREDENTIAL_KIND_INSURANCE);   \
    change;                                                                              \
    when_said(PD_COMMAND_RECORD_CREDENTIAL, &body);                                      \
    expect_refused(PD_CODE_##code, "record_credential." field);                          \
  } while (0)
  PAPER(body.person.len = 15, FIELD, "person");
  PAPER(body.person = core_bytes(99), UNKNOWN, "person");
  PAPER(body.person = core_bytes(1), UNKNOWN, "person");
  PAPER(body.kind = 0, FIELD, "kind");
  PAPER(body.kind = 6, FIELD, "kind");
  PAPER(body.skill = PD_SKILL_LAW, FIELD, "skill");
  PAPER(body.kind = PD_CREDENTIAL_KIND_QUALIFICATION, FIELD, "skill");
  PAPER((body.kind = PD_CREDENTIAL_KIND_QUALIFICATION, body.skill = 27), FIELD, "skill");
  PAPER(body.from_ms = -1, FIELD, "from_ms");
  PAPER(body.from_ms = body.until_ms, FIELD, "from_ms");
  PAPER(body.until_ms = -1, FIELD, "until_ms");
  PAPER(body.until_ms = FOREVER + 1, FIELD, "until_ms");
  PAPER((body.limits = twice, body.n_limits = 1), FIELD, "limits");
  PAPER((body.kind = PD_CREDENTIAL_KIND_HEALTH, body.limits = twice, body.n_limits = 2), FIELD,
        "limits");
  PAPER((body.kind = PD_CREDENTIAL_KIND_HEALTH, body.limits = unknown, body.n_limits = 1), FIELD,
        "limits");
  end();
}

Test(intake_papers, at_the_own_door_a_volunteer_says_only_what_is_their_own_word) {
  given_people();
  struct pd_record_credential body = a_credential(11, PD_CREDENTIAL_KIND_INSURANCE);
  when_said_by(PD_ROLE_VOLUNTEER, 11, PD_COMMAND_RECORD_CREDENTIAL, &body);
  expect_refused(PD_CODE_NOT_ALLOWED, "record_credential.kind");
  body = a_credential(11, PD_CREDENTIAL_KIND_AUTOMATED_MATCHING);
  body.until_ms = 0;
  when_said_by(PD_ROLE_VOLUNTEER, 12, PD_COMMAND_RECORD_CREDENTIAL, &body);
  expect_refused(PD_CODE_NOT_ALLOWED, "actor");
  when_said_by(PD_ROLE_VOLUNTEER, 11, PD_COMMAND_RECORD_CREDENTIAL, &body);
  core_expect(&h, PD_EVENT_CREDENTIAL_RECORDED);
  enum pd_demand limits[] = {PD_DEMAND_HEAVY, PD_DEMAND_NIGHT};
  body = a_credential(11, PD_CREDENTIAL_KIND_HEALTH);
  body.limits = limits;
  body.n_limits = 2;
  when_said_by(PD_ROLE_VOLUNTEER, 11, PD_COMMAND_RECORD_CREDENTIAL, &body);
  const struct pd_credential_recorded *said =
      core_expect(&h, PD_EVENT_CREDENTIAL_RECORDED)->credential_recorded;
  cr_assert(said->n_limits == 2 && said->limits[1] == PD_DEMAND_NIGHT);
  end();
}

Test(intake_papers, a_volunteer_has_so_many_kinds_of_papers_and_renews_each_at_will) {
  given_people();
  for (uint32_t i = 0; i < pd_limits_small.credentials_each; i++) {
    struct pd_record_credential body = a_credential(11, PD_CREDENTIAL_KIND_QUALIFICATION);
    body.skill = (enum pd_skill)(1 + i);
    for (int twice = 0; twice < 2; twice++) {
      when_said(PD_COMMAND_RECORD_CREDENTIAL, &body);
      core_expect(&h, PD_EVENT_CREDENTIAL_RECORDED);
    }
  }
  struct pd_record_credential body = a_credential(11, PD_CREDENTIAL_KIND_INSURANCE);
  when_said(PD_COMMAND_RECORD_CREDENTIAL, &body);
  expect_refused(PD_CODE_FULL, "record_credential.person");
  body.person = core_bytes(12);
  when_said(PD_COMMAND_RECORD_CREDENTIAL, &body);
  core_expect(&h, PD_EVENT_CREDENTIAL_RECORDED);
  end();
}

/* Fill the shard's credentials with volunteers 100, 101 … of six papers each. */
static void given_full_of_papers(void) {
  uint32_t each = pd_limits_small.credentials_each;
  for (uint32_t i = 0; i < pd_limits_small.credentials; i++) {
    uint64_t person = 100 + i / each;
    if (i % each == 0) given_volunteer(person);
    struct pd_record_credential body = a_credential(person, PD_CREDENTIAL_KIND_QUALIFICATION);
    body.skill = (enum pd_skill)(1 + i % each);
    when_said(PD_COMMAND_RECORD_CREDENTIAL, &body);
    core_expect(&h, PD_EVENT_CREDENTIAL_RECORDED);
  }
}

Test(intake_papers, a_full_shard_takes_no_more_papers_until_somebody_is_erased) {
  given_people();
  given_full_of_papers();
  struct pd_record_credential body = a_credential(11, PD_CREDENTIAL_KIND_INSURANCE);
  when_said(PD_COMMAND_RECORD_CREDENTIAL, &body);
  expect_refused(PD_CODE_FULL, "record_credential");
  struct pd_register_volunteer minor = a_volunteer();
  minor.age = PD_AGE_BAND_14_17;
  minor.guardian_until_ms = FOREVER;
  when_said(PD_COMMAND_REGISTER_VOLUNTEER, &minor);
  expect_refused(PD_CODE_FULL, "register_volunteer");
  struct pd_erase_person erase = PD_ERASE_PERSON_INIT;
  erase.person = core_bytes(100);
  when_said(PD_COMMAND_ERASE_PERSON, &erase);
  core_skip(&h);
  when_said(PD_COMMAND_RECORD_CREDENTIAL, &body);
  core_expect(&h, PD_EVENT_CREDENTIAL_RECORDED);
  end();
}

/* ---- who registers ---- */

Test(intake_papers, a_child_is_registered_only_with_a_guardians_consent) {
  given_people();
  struct pd_register_volunteer body = a_volunteer();
  body.age = PD_AGE_BAND_UNDER_14;
  when_said(PD_COMMAND_REGISTER_VOLUNTEER, &body);
  expect_refused(PD_CODE_FIELD, "register_volunteer.guardian_until_ms");
  body.guardian_until_ms = FOREVER;
  when_said_by(PD_ROLE_VOLUNTEER, 11, PD_COMMAND_REGISTER_VOLUNTEER, &body);
  expect_refused(PD_CODE_NOT_ALLOWED, "register_volunteer.guardian_until_ms");
  when_said(PD_COMMAND_REGISTER_VOLUNTEER, &body);
  cr_assert(core_expect(&h, PD_EVENT_VOLUNTEER_REGISTERED)->volunteer_registered->age ==
            PD_AGE_BAND_UNDER_14);
  const struct pd_credential_recorded *said =
      core_expect(&h, PD_EVENT_CREDENTIAL_RECORDED)->credential_recorded;
  cr_assert(said->kind == PD_CREDENTIAL_KIND_GUARDIAN_CONSENT && said->until_ms == FOREVER);
  end();
}

Test(intake_papers, a_minor_of_14_may_register_and_wait_for_the_consent) {
  given_people();
  struct pd_register_volunteer body = a_volunteer();
  body.age = PD_AGE_BAND_14_17;
  when_said(PD_COMMAND_REGISTER_VOLUNTEER, &body);
  core_expect(&h, PD_EVENT_VOLUNTEER_REGISTERED);
  core_expect_silence(&h);
  end();
}

Test(intake_papers, a_registration_that_breaks_a_rule_of_these) {
  given_people();
  enum pd_demand unknown[] = {9}, twice[] = {PD_DEMAND_DUST, PD_DEMAND_DUST};
#define NEWCOMER(change, code, field)                             \
  do {                                                            \
    struct pd_register_volunteer body = a_volunteer();            \
    change;                                                       \
    when_said(PD_COMMAND_REGISTER_VOLUNTEER, &body);              \
    expect_refused(PD_CODE_##code, "register_volunteer." field);  \
  } while (0)
  NEWCOMER(body.gender = 3, FIELD, "gender");
  NEWCOMER((body.limits = unknown, body.n_limits = 1), FIELD, "limits");
  NEWCOMER((body.limits = twice, body.n_limits = 2), FIELD, "limits");
  NEWCOMER(body.guardian_until_ms = FOREVER, FIELD, "guardian_until_ms");
  NEWCOMER((body.age = PD_AGE_BAND_14_17, body.guardian_until_ms = h.now_ms), FIELD,
           "guardian_until_ms");
  NEWCOMER((body.age = PD_AGE_BAND_14_17, body.guardian_until_ms = FOREVER + 1), FIELD,
           "guardian_until_ms");
  end();
}

Test(intake_papers, only_a_site_vouches_for_a_volunteer) {
  given_people();
  struct pd_register_volunteer body = a_volunteer();
  body.vetted = true;
  when_said_by(PD_ROLE_VOLUNTEER, 0, PD_COMMAND_REGISTER_VOLUNTEER, &body);
  expect_refused(PD_CODE_NOT_ALLOWED, "register_volunteer.vetted");
  when_said(PD_COMMAND_REGISTER_VOLUNTEER, &body);
  cr_assert(core_expect(&h, PD_EVENT_VOLUNTEER_REGISTERED)->volunteer_registered->vetted);
  end();
}

Test(intake_papers, limits_that_are_stated_at_registration_are_on_record_for_good) {
  given_people();
  enum pd_demand limits[] = {PD_DEMAND_HEIGHTS};
  struct pd_register_volunteer body = a_volunteer();
  body.gender = PD_GENDER_FEMALE;
  body.limits = limits;
  body.n_limits = 1;
  when_said_by(PD_ROLE_VOLUNTEER, 0, PD_COMMAND_REGISTER_VOLUNTEER, &body);
  cr_assert(core_expect(&h, PD_EVENT_VOLUNTEER_REGISTERED)->volunteer_registered->gender ==
            PD_GENDER_FEMALE);
  const struct pd_credential_recorded *said =
      core_expect(&h, PD_EVENT_CREDENTIAL_RECORDED)->credential_recorded;
  cr_assert(said->kind == PD_CREDENTIAL_KIND_HEALTH && said->from_ms == 0);
  cr_assert(said->until_ms == FOREVER && said->limits[0] == PD_DEMAND_HEIGHTS);
  end();
}

/* ---- what an order asks of its helpers ---- */

static void given_gender_category(const char *category) {
  struct pd_policy_value value = PD_POLICY_VALUE_INIT, *list[] = {&value};
  value.number = PD_POLICY_NUMBER_GENDER_CATEGORY;
  value.value = 1;
  value.category = (char *)category;
  struct pd_policy_adopted body = PD_POLICY_ADOPTED_INIT;
  body.policy = 1;
  body.n_values = 1;
  body.values = list;
  core_hear(&h, PD_LOG_MATCHING, PD_EVENT_POLICY_ADOPTED, &body);
}

Test(intake_papers, a_gender_may_be_asked_for_only_where_the_rules_list_the_category) {
  given_people();
  struct pd_place_order body = an_order(1, 1);
  body.category = (char *)"bathing_care";
  body.gender = PD_GENDER_FEMALE;
  when_said(PD_COMMAND_PLACE_ORDER, &body);
  expect_refused(PD_CODE_NOT_ALLOWED, "place_order.gender");
  given_gender_category("bathing_care");
  when_said(PD_COMMAND_PLACE_ORDER, &body);
  cr_assert(core_expect(&h, PD_EVENT_ORDER_PLACED)->order_placed->gender == PD_GENDER_FEMALE);
  body.category = (char *)"bathing";
  when_said(PD_COMMAND_PLACE_ORDER, &body);
  expect_refused(PD_CODE_NOT_ALLOWED, "place_order.gender");
  body.category = (char *)"bathing_care";
  given_gender_category("other");
  when_said(PD_COMMAND_PLACE_ORDER, &body);
  expect_refused(PD_CODE_NOT_ALLOWED, "place_order.gender");
  body.gender = 3;
  when_said(PD_COMMAND_PLACE_ORDER, &body);
  expect_refused(PD_CODE_FIELD, "place_order.gender");
  end();
}

Test(intake_papers, an_order_says_what_it_demands_and_whether_it_is_dangerous) {
  given_people();
  enum pd_demand demands[] = {PD_DEMAND_HEAVY, PD_DEMAND_STAIRS}, unknown[] = {0};
  struct pd_place_order body = an_order(1, 1);
  body.dangerous = true;
  body.demands = demands;
  body.n_demands = 2;
  when_said(PD_COMMAND_PLACE_ORDER, &body);
  const struct pd_order_placed *said = core_expect(&h, PD_EVENT_ORDER_PLACED)->order_placed;
  cr_assert(said->dangerous && said->n_demands == 2 && said->demands[1] == PD_DEMAND_STAIRS);
  body.demands = unknown;
  body.n_demands = 1;
  when_said(PD_COMMAND_PLACE_ORDER, &body);
  expect_refused(PD_CODE_FIELD, "place_order.demands");
  end();
}

/* ---- blocked pairs ---- */

Test(intake_papers, a_resident_or_a_volunteer_blocks_the_other_and_lifts_it_again) {
  given_people();
  struct pd_block_pair body = a_block(1, 11, false);
  when_said_by(PD_ROLE_RESIDENT, 1, PD_COMMAND_BLOCK_PAIR, &body);
  cr_assert(!core_expect(&h, PD_EVENT_PAIR_BLOCKED)->pair_blocked->lifted);
  when_said_by(PD_ROLE_RESIDENT, 1, PD_COMMAND_BLOCK_PAIR, &body);
  expect_refused(PD_CODE_STATE, "block_pair.other");
  body = a_block(11, 1, false);
  when_said_by(PD_ROLE_VOLUNTEER, 11, PD_COMMAND_BLOCK_PAIR, &body);
  core_expect(&h, PD_EVENT_PAIR_BLOCKED);
  body = a_block(1, 11, true);
  when_said_by(PD_ROLE_RESIDENT, 1, PD_COMMAND_BLOCK_PAIR, &body);
  cr_assert(core_expect(&h, PD_EVENT_PAIR_BLOCKED)->pair_blocked->lifted);
  when_said_by(PD_ROLE_RESIDENT, 1, PD_COMMAND_BLOCK_PAIR, &body);
  expect_refused(PD_CODE_STATE, "block_pair.other");
  end();
}

Test(intake_papers, nobody_blocks_or_lifts_for_another_but_the_site) {
  given_people();
  struct pd_block_pair body = a_block(1, 11, false);
  when_said_by(PD_ROLE_RESIDENT, 2, PD_COMMAND_BLOCK_PAIR, &body);
  expect_refused(PD_CODE_NOT_ALLOWED, "actor");
  given_block(1, 11);
  body.lift = true;
  when_said_by(PD_ROLE_VOLUNTEER, 11, PD_COMMAND_BLOCK_PAIR, &body);
  expect_refused(PD_CODE_NOT_ALLOWED, "actor");
  when_said(PD_COMMAND_BLOCK_PAIR, &body);
  core_expect(&h, PD_EVENT_PAIR_BLOCKED);
  end();
}

Test(intake_papers, a_block_that_breaks_a_rule) {
  given_people();
#define BLOCK(change, code, field)                    \
  do {                                                \
    struct pd_block_pair body = a_block(1, 11, false); \
    change;                                           \
    when_said(PD_COMMAND_BLOCK_PAIR, &body);          \
    expect_refused(PD_CODE_##code, "block_pair." field); \
  } while (0)
  BLOCK(body.person.len = 0, FIELD, "person");
  BLOCK(body.person = core_bytes(99), UNKNOWN, "person");
  BLOCK(body.other.len = 0, FIELD, "other");
  BLOCK(body.other = core_bytes(99), UNKNOWN, "other");
  BLOCK(body.other = core_bytes(1), FIELD, "other");
  BLOCK((body.other = core_bytes(99), body.lift = true), UNKNOWN, "other");
  BLOCK(body.lift = true, STATE, "other");
  end();
}

Test(intake_papers, one_person_blocks_so_many_others) {
  given_people();
  for (uint32_t i = 0; i < pd_limits_small.blocks_each; i++) {
    given_volunteer(200 + i);
    given_block(1, 200 + i);
  }
  struct pd_block_pair body = a_block(1, 11, false);
  when_said(PD_COMMAND_BLOCK_PAIR, &body);
  expect_refused(PD_CODE_FULL, "block_pair.person");
  end();
}

Test(intake_papers, a_full_shard_takes_no_more_blocks) {
  given_people();
  for (uint32_t i = 0; i < pd_limits_small.blocks; i++) {
    uint64_t person = 300 + i / pd_limits_small.blocks_each;
    if (i % pd_limits_small.blocks_each == 0) given_resident(person);
    if (i < pd_limits_small.blocks_each) given_volunteer(200 + i);
    given_block(person, 200 + i % pd_limits_small.blocks_each);
  }
  struct pd_block_pair body = a_block(1, 11, false);
  when_said(PD_COMMAND_BLOCK_PAIR, &body);
  expect_refused(PD_CODE_FULL, "block_pair");
  end();
}

Test(intake_papers, who_is_erased_blocks_nobody_any_more) {
  given_people();
  given_block(11, 1);
  given_block(11, 2);
  given_block(1, 11);
  struct pd_erase_person erase = PD_ERASE_PERSON_INIT;
  erase.person = core_bytes(11);
  when_said(PD_COMMAND_ERASE_PERSON, &erase);
  core_expect(&h, PD_EVENT_PERSON_ERASED);
  for (int i = 0; i < 2; i++)
    cr_assert(core_expect(&h, PD_EVENT_PAIR_BLOCKED)->pair_blocked->lifted);
  core_expect_silence(&h);
  struct pd_block_pair body = a_block(1, 11, true);
  when_said(PD_COMMAND_BLOCK_PAIR, &body); /* its own word is still there to lift */
  core_expect(&h, PD_EVENT_PAIR_BLOCKED);
  end();
}
