/* Sites, teams and people: what was registered. */
#include "common/base/err.h"
#include "services/intake/intake_state.h"

#include <math.h>
#include <string.h>

/* Copy a ref, which may fill its place to the last byte. */
static void keep_ref(char kept[INTAKE_REF_MAX], const char *ref) {
  size_t length = strnlen(ref, INTAKE_REF_MAX);
  pd_assert(ref[0] != 0);
  memset(kept, 0, INTAKE_REF_MAX);
  memcpy(kept, ref, length);
}

static bool same_ref(const char kept[INTAKE_REF_MAX], const char *ref) {
  pd_assert(ref != NULL);
  return strncmp(kept, ref, INTAKE_REF_MAX) == 0 &&
         strnlen(ref, INTAKE_REF_MAX + 1) <= INTAKE_REF_MAX;
}

uint32_t intake_site_number(const struct intake *self, const char *ref) {
  for (uint32_t i = 0; i < self->facts->sites; i++) {
    if (same_ref(self->sites[i].ref, ref)) return i + 1;
  }
  return 0;
}

uint32_t intake_team_number(const struct intake *self, const char *ref) {
  for (uint32_t i = 0; i < self->facts->teams; i++) {
    if (same_ref(self->teams[i].ref, ref)) return i + 1;
  }
  return 0;
}

/* The level whose sites are in charge of places. */
static uint32_t catchment_level(const struct intake_facts *facts) {
  pd_assert(facts->sites_of[PD_SITE_LEVEL_CENTER] <= 1);
  if (facts->sites_of[PD_SITE_LEVEL_STATION] > 0) return PD_SITE_LEVEL_STATION;
  if (facts->sites_of[PD_SITE_LEVEL_INSTITUTE] > 0) return PD_SITE_LEVEL_INSTITUTE;
  return PD_SITE_LEVEL_CENTER;
}

uint32_t intake_site_near(const struct intake *self, struct pd_lonlat place) {
  uint32_t level = catchment_level(self->facts), nearest = 0;
  double shrink = cos(place.lat_e7 * 1e-7 * (M_PI / 180)), least = INFINITY;
  for (uint32_t i = 0; i < self->facts->sites; i++) {
    const struct intake_site *site = &self->sites[i];
    if (site->level != level) continue;
    double east = ((double)site->lon_e7 - place.lon_e7) * shrink;
    double north = (double)site->lat_e7 - place.lat_e7;
    double square = east * east + north * north;
    if (square >= least) continue;
    least = square;
    nearest = i + 1;
  }
  pd_assert(nearest != 0 || self->facts->sites_of[level] == 0);
  return nearest;
}

void intake_apply_site(struct intake *self, const struct pd_site_registered *body) {
  struct intake_facts *facts = self->facts;
  pd_assert(facts->sites < self->limits.sites);
  pd_assert(body->site == facts->sites + 1 && (unsigned)body->level <= PD_SITE_LEVEL_POST);
  struct intake_site *site = &self->sites[facts->sites++];
  keep_ref(site->ref, body->ref);
  site->parent = body->parent;
  site->lon_e7 = body->lon_e7;
  site->lat_e7 = body->lat_e7;
  site->level = (uint32_t)body->level;
  facts->sites_of[body->level]++;
  if (facts->sites == 1) facts->box = pd_box_empty();
  pd_box_add(&facts->box, (struct pd_lonlat){.lon_e7 = body->lon_e7, .lat_e7 = body->lat_e7});
}

void intake_apply_team(struct intake *self, const struct pd_team_registered *body) {
  struct intake_facts *facts = self->facts;
  pd_assert(facts->teams < self->limits.teams && body->team == facts->teams + 1);
  struct intake_team *team = &self->teams[facts->teams++];
  keep_ref(team->ref, body->ref);
  team->site = body->site;
}

uint32_t intake_membership(const struct intake_person *person, uint32_t team) {
  pd_assert(person->joined <= INTAKE_TEAMS_EACH);
  for (uint32_t i = 0; i < person->joined; i++) {
    if (person->teams[i] == team) return i;
  }
  return INTAKE_TEAMS_EACH;
}

void intake_apply_joined(struct intake *self, const struct pd_team_joined *body) {
  uint32_t index = intake_person_index(self, body->person);
  pd_assert(index != PD_NONE && self->persons[index].joined < INTAKE_TEAMS_EACH);
  struct intake_person *person = &self->persons[index];
  if (body->leader) person->leads = (uint8_t)(person->leads | 1u << person->joined);
  person->teams[person->joined++] = (uint16_t)body->team;
}

uint32_t intake_person_index(const struct intake *self, ProtobufCBinaryData id) {
  if (id.len != sizeof(struct pd_id)) return PD_NONE;
  struct pd_id key = PD_ID(id);
  return pd_idmap_get(&self->person_of, &key);
}

void intake_apply_person(struct intake *self, ProtobufCBinaryData id,
                         enum intake_person_flag kind) {
  struct intake_facts *facts = self->facts;
  pd_assert(facts->persons < self->limits.persons);
  pd_assert(id.len == sizeof(struct pd_id) && intake_person_index(self, id) == PD_NONE);
  uint32_t index = facts->persons++;
  self->persons[index] = (struct intake_person){.id = PD_ID(id), .flags = (uint8_t)kind};
  pd_idmap_put(&self->person_of, &self->persons[index].id, index);
}

void intake_apply_flags(struct intake *self, ProtobufCBinaryData id, unsigned set, unsigned clear) {
  uint32_t index = intake_person_index(self, id);
  pd_assert(index != PD_NONE);
  pd_assert((set & clear) == 0 && index < self->facts->persons);
  struct intake_person *person = &self->persons[index];
  person->flags = (uint8_t)((person->flags & ~clear) | set);
}

bool intake_knows_person(const void *self, const struct pd_id *person) {
  const struct intake *intake = self;
  uint32_t index = pd_idmap_get(&intake->person_of, person);
  pd_assert(index == PD_NONE || index < intake->facts->persons);
  return index != PD_NONE && (intake->persons[index].flags & INTAKE_ERASED) == 0;
}

bool intake_next_erased(const void *self, uint32_t *cursor, struct pd_id *person) {
  pd_assert(cursor != NULL && person != NULL);
  const struct intake *intake = self;
  while (*cursor < intake->facts->persons) {
    const struct intake_person *found = &intake->persons[(*cursor)++];
    if ((found->flags & INTAKE_ERASED) == 0) continue;
    *person = found->id;
    return true;
  }
  return false;
}
