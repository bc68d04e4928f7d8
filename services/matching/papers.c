/* What is on record about volunteers beside themselves: credentials, and whom they are never
 * matched with. */
#include "common/base/calendar.h"
#include "services/matching/state.h"

bool state_is_minor(const struct volunteer *volunteer) {
  pd_assert(volunteer->age <= PD_AGE_BAND_UNDER_14);
  return volunteer->age == PD_AGE_BAND_14_17 || volunteer->age == PD_AGE_BAND_UNDER_14;
}

int64_t state_day(const struct matching *self, int64_t time_ms) {
  pd_assert(pd_week_hour(time_ms, self->zone_min) < WEEK_HOURS);
  return pd_week_number(time_ms, self->zone_min) * 7 + pd_week_hour(time_ms, self->zone_min) / 24;
}

static bool lists(const struct matching_list *list, const char *category) {
  pd_assert(list->count <= MATCHING_LISTED);
  for (uint32_t i = 0; i < list->count; i++)
    if (strncmp(list->names[i], category, MATCHING_CATEGORY) == 0) return true;
  return false;
}

bool state_is_dangerous(const struct matching *self, const struct order *order) {
  pd_assert(order->id != 0);
  return order->dangerous || state_policy(self, order)->dangerous != 0 ||
         lists(&state_rules(self)->dangerous, order->category);
}

/* The entry of a credential, 0 if none is on record. */
static uint32_t find_paper(const struct matching *self, const struct volunteer *volunteer,
                           uint32_t kind, uint32_t skill) {
  uint32_t at = volunteer->papers;
  while (at != 0 && (self->papers[at].kind != kind || self->papers[at].skill != skill))
    at = self->papers[at].next;
  pd_assert(at <= self->limits.credentials);
  return at;
}

const struct paper *state_paper(const struct matching *self, const struct volunteer *volunteer,
                                enum pd_credential_kind kind, enum pd_skill skill) {
  uint32_t at = find_paper(self, volunteer, (uint32_t)kind, (uint32_t)skill);
  pd_assert(at == 0 || self->papers[at].kind == (uint8_t)kind);
  return at != 0 ? &self->papers[at] : NULL;
}

uint16_t state_demands(const enum pd_demand *demands, size_t count) {
  uint32_t mask = 0;
  pd_assert(count == 0 || demands != NULL);
  for (size_t i = 0; i < count; i++) {
    uint32_t demand = (uint32_t)demands[i];
    if (demand > 0 && demand < DEMANDS_KNOWN) mask |= 1u << demand;
  }
  return (uint16_t)mask;
}

void state_credential_recorded(struct matching *self, const struct pd_credential_recorded *said) {
  struct pd_id person = PD_ID(said->person);
  uint32_t number = state_volunteer(self, &person);
  if (number == PD_NONE || self->volunteers[number].status == VOLUNTEER_ERASED) return;
  if ((uint32_t)said->kind > UINT8_MAX || (uint32_t)said->skill > UINT8_MAX) return;
  struct volunteer *volunteer = &self->volunteers[number];
  uint32_t at = find_paper(self, volunteer, (uint32_t)said->kind, (uint32_t)said->skill);
  if (at == 0) {
    if (pd_pool_free(&self->free_papers) == 0) return;
    at = pd_pool_take(&self->free_papers) + 1;
    self->papers[at].next = volunteer->papers;
    volunteer->papers = at;
  }
  pd_assert(at <= self->limits.credentials);
  struct paper *paper = &self->papers[at];
  *paper = (struct paper){.from_ms = said->from_ms,
                          .until_ms = said->until_ms,
                          .next = paper->next,
                          .kind = (uint8_t)said->kind,
                          .skill = (uint8_t)said->skill,
                          .limits = state_demands(said->limits, said->n_limits)};
}

void state_forget_papers(struct matching *self, struct pd_id person) {
  uint32_t number = state_volunteer(self, &person);
  if (number == PD_NONE) return;
  struct volunteer *volunteer = &self->volunteers[number];
  pd_assert(volunteer->status == VOLUNTEER_ERASED);
  for (uint32_t at; (at = volunteer->papers) != 0;) {
    volunteer->papers = self->papers[at].next;
    self->papers[at] = (struct paper){0};
    pd_pool_give(&self->free_papers, at - 1);
  }
}

/* ---- blocked pairs ---- */

/* The link in the volunteer's list that names this person; its end if none does. */
static uint32_t *find_block(const struct matching *self, uint32_t *link,
                            const struct pd_id *other) {
  pd_assert(*link <= 2 * self->limits.blocks);
  while (*link != 0 && !pd_id_equal(&self->blocks[*link].other, other))
    link = &self->blocks[*link].next;
  return link;
}

uint32_t state_blocked(const struct matching *self, const struct volunteer *volunteer,
                       const struct pd_id *other) {
  uint32_t at = volunteer->blocks;
  while (at != 0 && !pd_id_equal(&self->blocks[at].other, other)) at = self->blocks[at].next;
  pd_assert(at == 0 || self->blocks[at].by != 0);
  return at != 0 ? self->blocks[at].by : 0;
}

/* In the list of a volunteer: what was said of, or by, this person. */
static void note_block(struct matching *self, struct pd_id volunteer, const struct pd_id *other,
                       uint32_t by, bool lifted) {
  uint32_t number = state_volunteer(self, &volunteer);
  if (number == PD_NONE) return;
  uint32_t *link = find_block(self, &self->volunteers[number].blocks, other);
  if (*link == 0) {
    if (lifted || pd_pool_free(&self->free_blocks) == 0) return;
    *link = pd_pool_take(&self->free_blocks) + 1;
    self->blocks[*link] = (struct block){.other = *other};
  }
  uint32_t at = *link;
  self->blocks[at].by = lifted ? self->blocks[at].by & ~by : self->blocks[at].by | by;
  if (self->blocks[at].by != 0) return;
  *link = self->blocks[at].next;
  self->blocks[at] = (struct block){0};
  pd_pool_give(&self->free_blocks, at - 1);
}

void state_pair_blocked(struct matching *self, const struct pd_pair_blocked *said) {
  struct pd_id person = PD_ID(said->person), other = PD_ID(said->other);
  pd_assert(BLOCK_MINE != BLOCK_THEIRS);
  note_block(self, person, &other, BLOCK_MINE, said->lifted != 0);
  note_block(self, other, &person, BLOCK_THEIRS, said->lifted != 0);
}
