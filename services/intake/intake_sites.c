/* Commands about sites and teams. */
#include "common/base/codes.h"
#include "common/base/err.h"
#include "services/intake/intake_check.h"

#define NAME_MAX_BYTES 192
#define BRANCH_MAX 10

/* A site farther than this from all the others is a slip of the pen: no district is that wide. */
#define SITES_SPREAD_M 200000.0

static bool check_parent(const struct intake_call *call, const struct pd_register_site *body,
                         uint32_t *parent) {
  pd_assert(parent != NULL && body->level <= PD_SITE_LEVEL_POST);
  bool center = body->level == PD_SITE_LEVEL_CENTER, named = body->parent_ref[0] != 0;
  *parent = 0;
  if (center) return intake_require(call, !named, INTAKE_NO_SITE_PARENT_CENTER, NULL);
  if (!named) return intake_refuse(call, INTAKE_NO_SITE_PARENT_NEEDED, NULL);
  *parent = intake_site_number(call->self, body->parent_ref);
  if (*parent == 0) return intake_refuse(call, INTAKE_NO_SITE_PARENT, NULL);
  uint32_t above = call->self->sites[*parent - 1].level;
  bool higher = above < (uint32_t)body->level;
  bool post = body->level == PD_SITE_LEVEL_POST;
  return intake_require(call, higher && (!post || above == PD_SITE_LEVEL_STATION),
                        INTAKE_NO_SITE_PARENT_LEVEL, NULL);
}

/* 12 digits of this district; the centre's own end in zeros. */
static bool check_code(const struct intake_call *call, const struct pd_register_site *body) {
  pd_assert(body->code != NULL);
  if (body->code[0] == 0) return true;
  bool valid = pd_code12_valid(body->code, call->self->shard.code);
  return intake_require(call, valid, INTAKE_NO_SITE_CODE, NULL);
}

static bool check_site_place(const struct intake_call *call, const struct pd_register_site *body,
                             struct pd_lonlat *place) {
  pd_assert(place != NULL);
  static const struct intake_point_names names = {
      .point = "register_site.point",
      .datum = "register_site.point.datum",
      .lon = "register_site.point.lon_e7",
      .lat = "register_site.point.lat_e7",
  };
  const struct intake_facts *facts = call->self->facts;
  if (!intake_check_point(call, body->point, &names, place)) return false;
  if (facts->sites == 0) return true;
  struct pd_box bounds = pd_box_widened(facts->box, SITES_SPREAD_M);
  return intake_require(call, pd_box_holds(&bounds, *place), INTAKE_NO_SITE_FAR, NULL);
}

static bool check_site(const struct intake_call *call, const struct pd_register_site *body,
                       uint32_t *parent, struct pd_lonlat *place) {
  const struct intake *self = call->self;
  bool center = body->level == PD_SITE_LEVEL_CENTER;
  return intake_check_range(call, body->level, PD_SITE_LEVEL_CENTER, PD_SITE_LEVEL_POST,
                            INTAKE_NO_SITE_LEVEL, NULL) &&
         intake_check_text(call, body->ref, 1, INTAKE_REF_MAX, INTAKE_NO_SITE_REF, NULL) &&
         intake_check_text(call, body->parent_ref, 0, INTAKE_REF_MAX, INTAKE_NO_SITE_PARENT_TEXT,
                           NULL) &&
         intake_check_text(call, body->name, 1, NAME_MAX_BYTES, INTAKE_NO_SITE_NAME, NULL) &&
         check_code(call, body) &&
         intake_require(call, intake_site_number(self, body->ref) == 0, INTAKE_NO_SITE_REF_TAKEN,
                        NULL) &&
         intake_require(call, !center || self->facts->sites_of[PD_SITE_LEVEL_CENTER] == 0,
                        INTAKE_NO_SITE_CENTER, NULL) &&
         check_parent(call, body, parent) && check_site_place(call, body, place) &&
         intake_require(call, self->facts->sites < self->limits.sites, INTAKE_NO_SITES_LEFT, NULL);
}

bool intake_register_site(struct intake_call *call) {
  pd_assert(call->command->body_case == PD_COMMAND_REGISTER_SITE);
  const struct pd_register_site *body = call->command->register_site;
  uint32_t parent = 0;
  struct pd_lonlat place = {0};
  if (!check_site(call, body, &parent, &place)) return false;
  struct pd_site_registered said = PD_SITE_REGISTERED_INIT;
  said.site = call->self->facts->sites + 1;
  said.level = body->level;
  said.parent = parent;
  said.ref = body->ref;
  said.name = body->name;
  said.code = body->code;
  said.lon_e7 = place.lon_e7;
  said.lat_e7 = place.lat_e7;
  pd_emit_site_registered(call->out, &said);
  pd_assert(call->self->facts->sites == said.site);
  pd_assert(intake_site_number(call->self, body->ref) == said.site);
  return true;
}

bool intake_register_team(struct intake_call *call) {
  pd_assert(call->command->body_case == PD_COMMAND_REGISTER_TEAM);
  const struct pd_register_team *body = call->command->register_team;
  struct intake *self = call->self;
  bool right =
      intake_check_text(call, body->ref, 1, INTAKE_REF_MAX, INTAKE_NO_TEAM_REF, NULL) &&
      intake_check_text(call, body->name, 1, NAME_MAX_BYTES, INTAKE_NO_TEAM_NAME, NULL) &&
      intake_check_range(call, body->branch, 1, BRANCH_MAX, INTAKE_NO_TEAM_BRANCH, NULL) &&
      intake_check_text(call, body->site_ref, 1, INTAKE_REF_MAX, INTAKE_NO_TEAM_SITE_TEXT, NULL) &&
      intake_require(call, intake_team_number(self, body->ref) == 0, INTAKE_NO_TEAM_REF_TAKEN,
                     NULL);
  if (!right) return false;
  struct pd_team_registered said = PD_TEAM_REGISTERED_INIT;
  said.site = intake_site_number(self, body->site_ref);
  if (said.site == 0) return intake_refuse(call, INTAKE_NO_TEAM_SITE, NULL);
  if (self->facts->teams == self->limits.teams)
    return intake_refuse(call, INTAKE_NO_TEAMS_LEFT, NULL);
  said.team = self->facts->teams + 1;
  said.ref = body->ref;
  said.name = body->name;
  said.branch = body->branch;
  pd_emit_team_registered(call->out, &said);
  pd_assert(call->self->facts->teams == said.team);
  return true;
}

static bool check_member(const struct intake_call *call, uint32_t index, uint32_t team) {
  const struct intake_person *person = &call->self->persons[index];
  pd_assert(index < call->self->facts->persons && team >= 1);
  pd_assert(person->joined <= INTAKE_TEAMS_EACH);
  const char *field = call->rule->person;
  return intake_require(call, (person->flags & INTAKE_VOLUNTEER) != 0, INTAKE_NO_VOLUNTEER,
                        field) &&
         intake_require(call, (person->flags & INTAKE_EXITED) == 0, INTAKE_NO_EXITED, field) &&
         intake_require(call, intake_membership(person, team) == INTAKE_TEAMS_EACH,
                        INTAKE_NO_JOIN_TWICE, NULL) &&
         intake_require(call, person->joined < INTAKE_TEAMS_EACH, INTAKE_NO_JOIN_LEFT, NULL);
}

bool intake_join_team(struct intake_call *call) {
  pd_assert(call->command->body_case == PD_COMMAND_JOIN_TEAM);
  const struct pd_join_team *body = call->command->join_team;
  uint32_t index = PD_NONE;
  if (!intake_check_text(call, body->team_ref, 1, INTAKE_REF_MAX, INTAKE_NO_JOIN_TEXT, NULL) ||
      !intake_check_person(call, body->person, call->rule->person, &index))
    return false;
  struct pd_team_joined said = PD_TEAM_JOINED_INIT;
  said.team = intake_team_number(call->self, body->team_ref);
  if (said.team == 0) return intake_refuse(call, INTAKE_NO_JOIN_TEAM, NULL);
  if (!check_member(call, index, said.team)) return false;
  said.person = body->person;
  said.leader = body->leader;
  pd_emit_team_joined(call->out, &said);
  pd_assert(intake_membership(&call->self->persons[index], said.team) < INTAKE_TEAMS_EACH);
  return true;
}
