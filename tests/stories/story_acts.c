/* What the people of a story do: the lines that begin with a time or with "given". */
#include "tests/stories/story.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LON 1180500000
#define LAT 368000000
#define KM_NORTH 89932 /* 1e-7 degrees of a kilometre */
#define KM_EAST 112314 /* at this latitude */
#define GUARDIAN_UNTIL INT64_C(2000000000000) /* 2033 */
#define SITE_UID 500
#define OTHER_UID 501

/* text begins with word: *rest is what follows. */
static bool begins(const char *text, const char *with, const char **rest) {
  size_t length = strlen(with);
  if (strncmp(text, with, length) != 0) return false;
  *rest = text + length;
  return true;
}

static struct pd_point point_at(double east, double north) {
  struct pd_point point = PD_POINT_INIT;
  point.datum = PD_DATUM_WGS84;
  point.lon_e7 = (int32_t)(LON + east * KM_EAST);
  point.lat_e7 = (int32_t)(LAT + north * KM_NORTH);
  return point;
}

/* ---- saying, and hearing a refusal ---- */

static void on_answer(struct sim *sim, uint32_t number, bool granted) {
  struct story *story = sim->story;
  const struct sim_command *command = &sim->commands[number];
  if (granted && command->about > 0) {
    story->people[command->about - 1].id = command->person;
    story->people[command->about - 1].known = true;
  }
  if (granted) return;
  char text[STORY_LINE], time[24];
  const ProtobufCEnumValue *code =
      protobuf_c_enum_descriptor_get_value(&paidan__v1__code__descriptor, (int)command->code);
  snprintf(text, sizeof text, "%s %-12s refused: %s", story_time(sim_wall(sim), time), "intake",
           code != NULL ? code->name + strlen("CODE_") : "?");
  story_say(story, text);
}

static void say(struct story *story, struct sim_said said, pd_command_kind kind, const void *body) {
  said.then = on_answer;
  sim_say(story->sim, &said, kind, body);
}

static struct sim_said as_site(uint32_t uid) {
  return (struct sim_said){.role = PD_ROLE_SITE, .uid = uid};
}

static struct sim_said as_person(const struct story *story, const struct story_person *person,
                                 enum pd_role role) {
  return (struct sim_said){
      .role = role, .uid = 1000 + (uint32_t)(person - story->people), .actor = person->id};
}

/* ---- given ---- */

static const struct {
  const char *word;
  enum pd_skill skill;
} skills[] = {{"clean", PD_SKILL_CLEAN},     {"driving", PD_SKILL_DRIVING},
              {"law", PD_SKILL_LAW},         {"nursing", PD_SKILL_NURSING},
              {"haircut", PD_SKILL_HAIRCUT}, {"rescue", PD_SKILL_RESCUE}};

/* The skills that a line names, each with a comma before it. */
static size_t named_skills(const char *text, enum pd_skill *list) {
  size_t count = 0;
  for (size_t i = 0; i < sizeof skills / sizeof skills[0]; i++) {
    char wanted[24];
    snprintf(wanted, sizeof wanted, ", %s", skills[i].word);
    if (strstr(text, wanted) != NULL) list[count++] = skills[i].skill;
  }
  return count;
}

static struct story_person *new_person(struct story *story, const char *text, const char **rest) {
  if (story->people_count == STORY_PEOPLE) return NULL;
  struct story_person *person = &story->people[story->people_count];
  size_t length = strcspn(text, ", ");
  if (length == 0 || length >= sizeof person->name) return NULL;
  memcpy(person->name, text, length);
  *rest = text + length;
  story->people_count++;
  return person;
}

/* "given a volunteer Anna, 1.5 km away, haircut" */
static bool given_volunteer(struct story *story, const char *text) {
  static uint32_t always[7] = {0xffffff, 0xffffff, 0xffffff, 0xffffff,
                               0xffffff, 0xffffff, 0xffffff};
  struct story_person *person = new_person(story, text, &text);
  if (person == NULL) return false;
  double away = 0;
  if (strstr(text, " km away") != NULL) away = strtod(text + 1, NULL);
  struct pd_point home = point_at(away, 0);
  enum pd_skill list[8];
  struct pd_register_volunteer body = PD_REGISTER_VOLUNTEER_INIT;
  body.name = person->name;
  body.phone = (char *)"1";
  body.address = (char *)"";
  body.home = &home;
  body.n_skills = named_skills(text, list);
  body.skills = list;
  body.n_available = 7;
  body.available = always;
  body.radius_m = 5000;
  body.max_per_week = 10;
  body.age = strstr(text, ", a minor") != NULL ? PD_AGE_BAND_14_17 : PD_AGE_BAND_18_35;
  body.vetted = strstr(text, ", vetted") != NULL;
  if (body.age == PD_AGE_BAND_14_17 && strstr(text, ", without consent") == NULL)
    body.guardian_until_ms = GUARDIAN_UNTIL;
  struct sim_said said = as_site(SITE_UID);
  said.about = story->people_count;
  say(story, said, PD_COMMAND_REGISTER_VOLUNTEER, &body);
  return true;
}

static bool given_resident(struct story *story, const char *text) {
  struct story_person *person = new_person(story, text, &text);
  if (person == NULL) return false;
  struct pd_register_resident body = PD_REGISTER_RESIDENT_INIT;
  body.name = person->name;
  body.phone = body.address = (char *)"";
  struct sim_said said = as_site(SITE_UID);
  said.about = story->people_count;
  say(story, said, PD_COMMAND_REGISTER_RESIDENT, &body);
  return true;
}

static bool given_site(struct story *story, const char *text) {
  static const struct {
    const char *word, *ref, *parent;
    enum pd_site_level level;
  } sites[] = {{"center", "C", "", PD_SITE_LEVEL_CENTER},
               {"institute", "I", "C", PD_SITE_LEVEL_INSTITUTE},
               {"station", "S", "I", PD_SITE_LEVEL_STATION}};
  for (size_t i = 0; i < 3; i++) {
    if (strcmp(text, sites[i].word) != 0) continue;
    struct pd_point point = point_at(0, 0);
    struct pd_register_site body = PD_REGISTER_SITE_INIT;
    body.ref = (char *)sites[i].ref;
    body.parent_ref = (char *)sites[i].parent;
    body.name = (char *)sites[i].word;
    body.code = (char *)"";
    body.level = sites[i].level;
    body.point = &point;
    say(story, as_site(SITE_UID), PD_COMMAND_REGISTER_SITE, &body);
    return true;
  }
  return false;
}

/* ---- orders ---- */

/* "2 helpers for 60 minutes, Mon 14:00 to Mon 18:00, haircut, urgent" */
static bool asks(struct story *story, const struct story_person *person, const char *text) {
  struct pd_place_order body = PD_PLACE_ORDER_INIT;
  struct pd_point point = point_at(0, 0);
  struct pd_id id = person->id;
  enum pd_skill list[8];
  char *end;
  body.need = (uint32_t)strtoul(text, &end, 10);
  if (!begins(end, " helper for ", &text) && !begins(end, " helpers for ", &text)) return false;
  body.minutes = (uint32_t)strtoul(text, &end, 10);
  if (!begins(end, " minutes, ", &text)) return false;
  if (!story_time_parse(text, &body.window_start_ms, &text)) return false;
  if (!begins(text, " to ", &text)) return false;
  if (!story_time_parse(text, &body.window_end_ms, &text)) return false;
  body.requester = pd_bytes(&id);
  body.kind = PD_ORDER_KIND_VISIT;
  body.category = (char *)"help";
  body.note = body.address = (char *)"";
  body.point = &point;
  body.n_skills = named_skills(text, list);
  body.skills = list;
  body.urgency = PD_URGENCY_ROUTINE;
  if (strstr(text, ", soon") != NULL) body.urgency = PD_URGENCY_SOON;
  if (strstr(text, ", urgent") != NULL) body.urgency = PD_URGENCY_URGENT;
  if (strstr(text, ", emergency") != NULL) body.urgency = PD_URGENCY_EMERGENCY;
  body.channel = PD_CHANNEL_COUNTER;
  body.sensitive = strstr(text, ", sensitive") != NULL;
  body.dangerous = strstr(text, ", dangerous") != NULL;
  say(story, as_person(story, person, PD_ROLE_RESIDENT), PD_COMMAND_PLACE_ORDER, &body);
  return true;
}

/* The order's number at the end of a line. */
static bool order_in(const char *text, uint64_t *order, const char **rest) {
  if (!begins(text, "order ", &text)) return false;
  char *end;
  *order = strtoull(text, &end, 10);
  *rest = end;
  return *order > 0;
}

static void answers(struct story *story, const struct story_person *person, uint64_t order,
                    bool accept) {
  struct pd_answer_offer body = PD_ANSWER_OFFER_INIT;
  body.offer = story_tie(story, order, (uint32_t)(person - story->people))->offer;
  body.accept = accept;
  say(story, as_person(story, person, PD_ROLE_VOLUNTEER), PD_COMMAND_ANSWER_OFFER, &body);
}

static void asks_in_hall(struct story *story, const struct story_person *person, uint64_t order) {
  struct pd_ask_for_order body = PD_ASK_FOR_ORDER_INIT;
  struct pd_id id = person->id;
  body.order = order;
  body.volunteer = pd_bytes(&id);
  say(story, as_person(story, person, PD_ROLE_VOLUNTEER), PD_COMMAND_ASK_FOR_ORDER, &body);
}

/* "names Bo for order 1" */
static bool names(struct story *story, uint32_t uid, const char *text) {
  struct pd_command_offer body = PD_COMMAND_OFFER_INIT;
  const struct story_person *person = story_person(story, text, &text);
  if (person == NULL || !begins(text, " for ", &text)) return false;
  struct pd_id id = person->id;
  if (!order_in(text, &body.order, &text)) return false;
  body.volunteer = pd_bytes(&id);
  body.reason = PD_COMMAND_REASON_KNOWN;
  body.note = (char *)"";
  say(story, as_site(uid), PD_COMMAND_COMMAND_OFFER, &body);
  return true;
}

/* A helper's move, said by the helper or by a site. */
static bool serves(struct story *story, struct sim_said said, const struct story_person *helper,
                   const char *verb, uint64_t order) {
  uint32_t slot = story_tie(story, order, (uint32_t)(helper - story->people))->slot;
  struct pd_start_service start = PD_START_SERVICE_INIT;
  struct pd_finish_service finish = PD_FINISH_SERVICE_INIT;
  struct pd_withdraw withdraw = PD_WITHDRAW_INIT;
  start.order = finish.order = withdraw.order = order;
  start.slot = finish.slot = withdraw.slot = slot;
  if (strcmp(verb, "starts") == 0)
    say(story, said, PD_COMMAND_START_SERVICE, &start);
  else if (strcmp(verb, "finishes") == 0)
    say(story, said, PD_COMMAND_FINISH_SERVICE, &finish);
  else if (strcmp(verb, "withdraws from") == 0)
    say(story, said, PD_COMMAND_WITHDRAW, &withdraw);
  else
    return false;
  return true;
}

static bool ends(struct story *story, struct sim_said said, const char *verb, uint64_t order,
                 const char *rest) {
  struct pd_confirm_service confirm = PD_CONFIRM_SERVICE_INIT;
  struct pd_rate_order rate = PD_RATE_ORDER_INIT;
  struct pd_cancel_order cancel = PD_CANCEL_ORDER_INIT;
  confirm.order = rate.order = cancel.order = order;
  rate.comment = (char *)"";
  if (strcmp(verb, "confirms") == 0)
    say(story, said, PD_COMMAND_CONFIRM_SERVICE, &confirm);
  else if (strcmp(verb, "cancels") == 0)
    say(story, said, PD_COMMAND_CANCEL_ORDER, &cancel);
  else if (strcmp(verb, "rates") == 0 && begins(rest, " with ", &rest)) {
    rate.stars = (uint32_t)strtoul(rest, NULL, 10);
    say(story, said, PD_COMMAND_RATE_ORDER, &rate);
  } else {
    return false;
  }
  return true;
}

/* ---- people ---- */

/* "insurance of Anna until Tue 12:00"; withdrawn without a time. */
static bool records(struct story *story, uint32_t uid, const char *text, bool withdrawn) {
  static const struct {
    const char *word;
    enum pd_credential_kind kind;
    enum pd_skill skill;
  } papers[] = {{"insurance of ", PD_CREDENTIAL_KIND_INSURANCE, 0},
                {"nursing of ", PD_CREDENTIAL_KIND_QUALIFICATION, PD_SKILL_NURSING},
                {"consent of ", PD_CREDENTIAL_KIND_AUTOMATED_MATCHING, 0}};
  const char *rest;
  for (size_t i = 0; i < sizeof papers / sizeof papers[0]; i++) {
    if (!begins(text, papers[i].word, &rest)) continue;
    const struct story_person *person = story_person(story, rest, &rest);
    if (person == NULL) return false;
    struct pd_id id = person->id;
    struct pd_record_credential body = PD_RECORD_CREDENTIAL_INIT;
    body.person = pd_bytes(&id);
    body.kind = papers[i].kind;
    body.skill = papers[i].skill;
    if (!withdrawn && (!begins(rest, " until ", &rest) ||
                       !story_time_parse(rest, &body.until_ms, &rest)))
      return false;
    say(story, as_site(uid), PD_COMMAND_RECORD_CREDENTIAL, &body);
    return true;
  }
  return false;
}

/* "blocks Li", "does not mind Li". */
static bool blocks(struct story *story, const struct story_person *person, const char *text) {
  const char *rest;
  struct pd_block_pair body = PD_BLOCK_PAIR_INIT;
  body.lift = begins(text, "does not mind ", &rest);
  if (!body.lift && !begins(text, "blocks ", &rest)) return false;
  const struct story_person *other = story_person(story, rest, &rest);
  if (other == NULL) return false;
  struct pd_id id = person->id, of = other->id;
  body.person = pd_bytes(&id);
  body.other = pd_bytes(&of);
  say(story, as_person(story, person, PD_ROLE_RESIDENT), PD_COMMAND_BLOCK_PAIR, &body);
  return true;
}

static bool comes_or_goes(struct story *story, const struct story_person *person,
                          const char *text) {
  struct pd_id id = person->id;
  struct pd_pause_volunteer pause = PD_PAUSE_VOLUNTEER_INIT;
  struct pd_resume_volunteer back = PD_RESUME_VOLUNTEER_INIT;
  struct pd_exit_volunteer leave = PD_EXIT_VOLUNTEER_INIT;
  pause.person = back.person = leave.person = pd_bytes(&id);
  struct sim_said said = as_person(story, person, PD_ROLE_VOLUNTEER);
  if (strcmp(text, "pauses") == 0)
    say(story, said, PD_COMMAND_PAUSE_VOLUNTEER, &pause);
  else if (strcmp(text, "is back") == 0)
    say(story, said, PD_COMMAND_RESUME_VOLUNTEER, &back);
  else if (strcmp(text, "leaves") == 0)
    say(story, said, PD_COMMAND_EXIT_VOLUNTEER, &leave);
  else
    return false;
  return true;
}

static bool person_acts(struct story *story, const struct story_person *person, const char *text) {
  static const char *const verbs[] = {"starts",   "finishes", "withdraws from",
                                      "confirms", "cancels",  "rates"};
  uint64_t order;
  const char *rest;
  if (begins(text, "asks for order ", &rest)) {
    asks_in_hall(story, person, strtoull(rest, NULL, 10));
    return true;
  }
  if (begins(text, "asks for ", &rest)) return asks(story, person, rest);
  if (begins(text, "accepts ", &rest) && order_in(rest, &order, &rest)) {
    answers(story, person, order, true);
    return true;
  }
  if (begins(text, "declines ", &rest) && order_in(rest, &order, &rest)) {
    answers(story, person, order, false);
    return true;
  }
  for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
    if (!begins(text, verbs[i], &rest) || !order_in(rest + 1, &order, &rest)) continue;
    if (i < 3)
      return serves(story, as_person(story, person, PD_ROLE_VOLUNTEER), person, verbs[i], order);
    return ends(story, as_person(story, person, PD_ROLE_RESIDENT), verbs[i], order, rest);
  }
  return blocks(story, person, text) || comes_or_goes(story, person, text);
}

/* "the site" and "another site" speak for people who have no phone. */
static bool site_acts(struct story *story, uint32_t uid, const char *text) {
  struct pd_decide_hold decide = PD_DECIDE_HOLD_INIT;
  const char *rest;
  uint64_t order;
  decide.approve = begins(text, "approves hold ", &rest);
  if (decide.approve || begins(text, "turns down hold ", &rest)) {
    decide.hold = strtoull(rest, NULL, 10);
    say(story, as_site(uid), PD_COMMAND_DECIDE_HOLD, &decide);
    return true;
  }
  if (begins(text, "names ", &rest)) return names(story, uid, rest);
  if (begins(text, "records ", &rest)) return records(story, uid, rest, false);
  if (begins(text, "withdraws the ", &rest)) return records(story, uid, rest, true);
  if (begins(text, "erases ", &rest)) {
    const struct story_person *person = story_person(story, rest, &rest);
    if (person == NULL) return false;
    struct pd_id id = person->id;
    struct pd_erase_person erase = PD_ERASE_PERSON_INIT;
    erase.person = pd_bytes(&id);
    say(story, as_site(uid), PD_COMMAND_ERASE_PERSON, &erase);
    return true;
  }
  char verb[24] = "";
  size_t length = strcspn(text, " ");
  if (length >= sizeof verb) return false;
  memcpy(verb, text, length);
  if (!order_in(text + length + 1, &order, &rest)) return false;
  if (!begins(rest, " for ", &rest)) return ends(story, as_site(uid), verb, order, rest);
  const struct story_person *helper = story_person(story, rest, &rest);
  return helper != NULL && serves(story, as_site(uid), helper, verb, order);
}

bool story_act(struct story *story, const char *line) {
  const char *rest;
  if (begins(line, "given a volunteer ", &rest)) return given_volunteer(story, rest);
  if (begins(line, "given a resident ", &rest)) return given_resident(story, rest);
  if (begins(line, "given the ", &rest)) return given_site(story, rest);
  if (begins(line, "nothing", &rest)) return *rest == 0;
  if (begins(line, "the site ", &rest)) return site_acts(story, SITE_UID, rest);
  if (begins(line, "another site ", &rest)) return site_acts(story, OTHER_UID, rest);
  const struct story_person *person = story_person(story, line, &rest);
  return person != NULL && *rest == ' ' && person_acts(story, person, rest + 1);
}
