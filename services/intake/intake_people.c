/* Commands about people: volunteers and residents. */
#include "common/base/err.h"
#include "services/intake/intake_check.h"

#include <string.h>

#define PERSON_NAME_MAX 96
#define PHONE_MAX 24
#define ADDRESS_MAX 256
#define SKILLS_MAX 32
#define BRANCH_MAX 10
#define RADIUS_MAX_M 50000
#define PER_WEEK_MAX 50

/* Names of the fields that a volunteer and a resident both have. */
struct contact_names {
  const char *name;
  const char *phone;
  const char *address;
  struct intake_point_names home;
};

static const struct contact_names volunteer_names = {
    .name = "register_volunteer.name",
    .phone = "register_volunteer.phone",
    .address = "register_volunteer.address",
    .home = {.point = "register_volunteer.home",
             .datum = "register_volunteer.home.datum",
             .lon = "register_volunteer.home.lon_e7",
             .lat = "register_volunteer.home.lat_e7"},
};

static const struct contact_names resident_names = {
    .name = "register_resident.name",
    .phone = "register_resident.phone",
    .address = "register_resident.address",
    .home = {.point = "register_resident.home",
             .datum = "register_resident.home.datum",
             .lon = "register_resident.home.lon_e7",
             .lat = "register_resident.home.lat_e7"},
};

/* The clear texts stand in the command only; what goes into the event was sealed by the door. */
static bool check_contact(const struct intake_call *call, const struct contact_names *names,
                          const char *name, const char *phone, size_t phone_least,
                          const char *address) {
  pd_assert(name != NULL && phone != NULL && address != NULL);
  return intake_check_text(call, name, 1, PERSON_NAME_MAX, INTAKE_NO_NAME, names->name) &&
         intake_check_text(call, phone, phone_least, PHONE_MAX, INTAKE_NO_PHONE, names->phone) &&
         intake_require(call, phone[strspn(phone, "0123456789 +-")] == 0, INTAKE_NO_PHONE_CHARS,
                        names->phone) &&
         intake_check_text(call, address, 0, ADDRESS_MAX, INTAKE_NO_ADDRESS, names->address);
}

static bool check_available(const struct intake_call *call,
                            const struct pd_register_volunteer *body) {
  pd_assert(body->n_available == 0 || body->available != NULL);
  bool right = body->n_available == 7;
  for (size_t day = 0; right && day < 7; day++) right = body->available[day] >> 24 == 0;
  return intake_require(call, right, INTAKE_NO_AVAILABLE, NULL);
}

/* What else a registration puts on record. */
static bool check_papers(const struct intake_call *call, const struct pd_register_volunteer *body) {
  bool site = (call->request->role & (PD_ROLE_SITE | PD_ROLE_OPS)) != 0;
  uint32_t papers = (body->guardian_until_ms != 0 ? 1u : 0) + (body->n_limits != 0 ? 1u : 0);
  pd_assert(papers <= 2);
  return intake_require(call, site || !body->vetted, INTAKE_NO_VETTED, NULL) &&
         intake_check_range(call, body->gender, PD_GENDER_UNSPECIFIED, PD_GENDER_MALE,
                            INTAKE_NO_GENDER, "register_volunteer.gender") &&
         intake_check_demands(call, body->limits, body->n_limits, "register_volunteer.limits") &&
         intake_check_guardian(call, body) && intake_check_paper_room(call, papers);
}

static bool check_volunteer(const struct intake_call *call,
                            const struct pd_register_volunteer *body, struct pd_lonlat *home) {
  return check_contact(call, &volunteer_names, body->name, body->phone, 1, body->address) &&
         intake_check_range(call, body->branch, 0, BRANCH_MAX, INTAKE_NO_BRANCH, NULL) &&
         intake_check_skills(call, body->skills, body->n_skills, SKILLS_MAX,
                             "register_volunteer.skills") &&
         check_available(call, body) &&
         intake_check_range(call, body->radius_m, 1, RADIUS_MAX_M, INTAKE_NO_RADIUS, NULL) &&
         intake_check_range(call, body->max_per_week, 1, PER_WEEK_MAX, INTAKE_NO_PER_WEEK, NULL) &&
         intake_check_range(call, body->age, PD_AGE_BAND_14_17, PD_AGE_BAND_UNDER_14,
                            INTAKE_NO_AGE, NULL) &&
         check_papers(call, body) &&
         intake_check_place(call, body->home, &volunteer_names.home, home) &&
         intake_check_newcomer(call);
}

static struct pd_cell cell_of(struct pd_lonlat place) {
  struct pd_square square = pd_geo_square(place);
  struct pd_cell cell = PD_CELL_INIT;
  cell.x = square.x;
  cell.y = square.y;
  return cell;
}

bool intake_register_volunteer(struct intake_call *call) {
  pd_assert(call->command->body_case == PD_COMMAND_REGISTER_VOLUNTEER);
  const struct pd_register_volunteer *body = call->command->register_volunteer;
  struct pd_lonlat home = {0};
  if (!check_volunteer(call, body, &home)) return false;
  struct pd_cell cell = cell_of(home);
  struct pd_volunteer_registered said = PD_VOLUNTEER_REGISTERED_INIT;
  said.person = pd_bytes(&call->request->fresh);
  said.cell = &cell;
  said.site = intake_site_near(call->self, home);
  said.branch = body->branch;
  said.n_skills = body->n_skills;
  said.skills = body->skills;
  said.n_available = body->n_available;
  said.available = body->available;
  said.radius_m = body->radius_m;
  said.max_per_week = body->max_per_week;
  said.age = body->age;
  said.vetted = body->vetted;
  said.emergency = body->emergency;
  said.gender = body->gender;
  said.contact = call->request->contact;
  said.home = call->request->place;
  pd_assert(said.site != 0);
  pd_emit_volunteer_registered(call->out, &said);
  intake_say_papers(call, body);
  pd_assert(intake_knows_person(call->self, &call->request->fresh));
  return true;
}

bool intake_register_resident(struct intake_call *call) {
  pd_assert(call->command->body_case == PD_COMMAND_REGISTER_RESIDENT);
  const struct pd_register_resident *body = call->command->register_resident;
  struct pd_lonlat home = {0};
  if (!check_contact(call, &resident_names, body->name, body->phone, 0, body->address))
    return false;
  if (body->home != NULL && !intake_check_place(call, body->home, &resident_names.home, &home))
    return false;
  if (!intake_check_newcomer(call)) return false;
  struct pd_cell cell = cell_of(home);
  struct pd_resident_registered said = PD_RESIDENT_REGISTERED_INIT;
  said.person = pd_bytes(&call->request->fresh);
  if (body->home != NULL) {
    said.cell = &cell;
    said.site = intake_site_near(call->self, home);
  }
  said.contact = call->request->contact;
  said.home = call->request->place;
  pd_emit_resident_registered(call->out, &said);
  pd_assert(intake_knows_person(call->self, &call->request->fresh));
  return true;
}

bool intake_check_active(const struct intake_call *call, ProtobufCBinaryData id, uint32_t *index,
                         unsigned *flags) {
  pd_assert(call->rule->person != NULL);
  const char *field = call->rule->person;
  if (!intake_check_person(call, id, field, index)) return false;
  *flags = call->self->persons[*index].flags;
  return intake_require(call, (*flags & INTAKE_VOLUNTEER) != 0, INTAKE_NO_VOLUNTEER, field) &&
         intake_check_actor(call, *index) &&
         intake_require(call, (*flags & INTAKE_EXITED) == 0, INTAKE_NO_EXITED, field);
}

bool intake_pause_volunteer(struct intake_call *call) {
  pd_assert(call->command->body_case == PD_COMMAND_PAUSE_VOLUNTEER);
  struct pd_volunteer_paused said = PD_VOLUNTEER_PAUSED_INIT;
  said.person = call->command->pause_volunteer->person;
  uint32_t index = PD_NONE;
  unsigned flags = 0;
  if (!intake_check_active(call, said.person, &index, &flags)) return false;
  bool running = (flags & INTAKE_PAUSED) == 0;
  if (!intake_require(call, running, INTAKE_NO_PAUSED, call->rule->person)) return false;
  pd_emit_volunteer_paused(call->out, &said);
  return true;
}

bool intake_resume_volunteer(struct intake_call *call) {
  pd_assert(call->command->body_case == PD_COMMAND_RESUME_VOLUNTEER);
  struct pd_volunteer_resumed said = PD_VOLUNTEER_RESUMED_INIT;
  said.person = call->command->resume_volunteer->person;
  uint32_t index = PD_NONE;
  unsigned flags = 0;
  if (!intake_check_active(call, said.person, &index, &flags)) return false;
  bool paused = (flags & INTAKE_PAUSED) != 0;
  if (!intake_require(call, paused, INTAKE_NO_RUNNING, call->rule->person)) return false;
  pd_emit_volunteer_resumed(call->out, &said);
  return true;
}

bool intake_exit_volunteer(struct intake_call *call) {
  pd_assert(call->command->body_case == PD_COMMAND_EXIT_VOLUNTEER);
  struct pd_volunteer_exited said = PD_VOLUNTEER_EXITED_INIT;
  said.person = call->command->exit_volunteer->person;
  uint32_t index = PD_NONE;
  unsigned flags = 0;
  if (!intake_check_active(call, said.person, &index, &flags)) return false;
  pd_emit_volunteer_exited(call->out, &said);
  return true;
}

bool intake_erase_person(struct intake_call *call) {
  pd_assert(call->command->body_case == PD_COMMAND_ERASE_PERSON);
  struct pd_person_erased said = PD_PERSON_ERASED_INIT;
  said.person = call->command->erase_person->person;
  uint32_t index = PD_NONE;
  if (!intake_check_person(call, said.person, call->rule->person, &index)) return false;
  pd_emit_person_erased(call->out, &said);
  pd_assert((call->self->persons[index].flags & INTAKE_ERASED) != 0);
  intake_lift_all(call->self, index, call->out);
  intake_cancel_all(call->self, index, call->out);
  return true;
}
