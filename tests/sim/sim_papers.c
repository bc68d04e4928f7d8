/* Credentials and blocked pairs as the checkers see them: what the logs said, and what it means. */
#include "tests/sim/sim_view.h"

#include <string.h>

uint32_t view_demands(const enum pd_demand *demands, size_t count) {
  uint32_t mask = 0;
  for (size_t i = 0; i < count; i++) mask |= 1u << demands[i];
  return mask;
}

const struct view_doc *view_doc(const struct view_person *person, enum pd_credential_kind kind,
                                enum pd_skill skill) {
  for (uint32_t i = 0; i < person->doc_count; i++)
    if (person->docs[i].kind == kind && person->docs[i].skill == skill) return &person->docs[i];
  return NULL;
}

void view_add_doc(struct view *view, const struct pd_credential_recorded *body) {
  struct view_person *person = &view->persons[view_person(view, body->person)];
  sim_expect(view->sim, person->volunteer && !person->erased, "a paper of no volunteer");
  uint32_t at = 0;
  while (at < person->doc_count &&
         (person->docs[at].kind != body->kind || person->docs[at].skill != body->skill))
    at++;
  if (at == person->doc_count) {
    person->doc_count++;
    sim_expect(view->sim, at < view->sim->limits.credentials_each, "limits: too many papers");
  }
  person->docs[at] = (struct view_doc){.kind = body->kind,
                                       .skill = body->skill,
                                       .from_ms = body->from_ms,
                                       .until_ms = body->until_ms,
                                       .limits = view_demands(body->limits, body->n_limits)};
}

static uint32_t find_block(const struct view *view, uint32_t person, uint32_t other) {
  uint32_t at = 0;
  while (at < view->block_count &&
         (view->blocks[at][0] != person || view->blocks[at][1] != other))
    at++;
  return at;
}

bool view_blocked(const struct view *view, uint32_t one, uint32_t other) {
  return find_block(view, one, other) < view->block_count ||
         find_block(view, other, one) < view->block_count;
}

void view_add_block(struct view *view, const struct pd_pair_blocked *body) {
  uint32_t person = view_person(view, body->person), other = view_person(view, body->other);
  uint32_t at = find_block(view, person, other);
  bool there = at < view->block_count;
  sim_expect(view->sim, person != other && there == (body->lifted != 0), "a block out of turn");
  if (there) {
    uint32_t last = --view->block_count;
    memmove(view->blocks[at], view->blocks[last], sizeof view->blocks[at]);
    return;
  }
  sim_expect(view->sim, at < view->sim->limits.blocks && at < VIEW_BLOCKS,
             "limits: more blocks than the shard holds");
  view->blocks[view->block_count][0] = person;
  view->blocks[view->block_count++][1] = other;
}

static bool covers(const struct view_doc *doc, int64_t start_ms, int64_t end_ms) {
  return doc != NULL && doc->from_ms <= start_ms && end_ms <= doc->until_ms;
}

bool view_is_minor(const struct view_person *person) {
  return person->age == PD_AGE_BAND_14_17 || person->age == PD_AGE_BAND_UNDER_14;
}

/* The skills that need a paper by default: nursing, law, electrics, psychology. */
static bool is_qualified(const struct view_person *person, uint64_t skills, int64_t start_ms,
                         int64_t end_ms) {
  static const enum pd_skill professions[] = {PD_SKILL_NURSING, PD_SKILL_LAW, PD_SKILL_ELECTRICS,
                                              PD_SKILL_PSYCH};
  for (size_t i = 0; i < 4; i++) {
    if ((skills >> professions[i] & 1) == 0) continue;
    const struct view_doc *doc =
        view_doc(person, PD_CREDENTIAL_KIND_QUALIFICATION, professions[i]);
    if (doc == NULL ? !person->vetted : !covers(doc, start_ms, end_ms)) return false;
  }
  return true;
}

/* What rests on papers: why a service at this time may not be; 0: it may. */
enum pd_reason view_paper_lacks(const struct view_order *order, const struct view_person *person,
                                  int64_t start_ms, int64_t end_ms) {
  const struct view_doc *health = view_doc(person, PD_CREDENTIAL_KIND_HEALTH, 0);
  bool then = health != NULL && health->from_ms < end_ms && start_ms < health->until_ms;
  if (then && (health->limits & order->demands) != 0) return PD_REASON_HEALTH;
  const struct view_doc *guardian = view_doc(person, PD_CREDENTIAL_KIND_GUARDIAN_CONSENT, 0);
  if (view_is_minor(person) && !covers(guardian, start_ms, end_ms)) return PD_REASON_GUARDIAN;
  if (!is_qualified(person, order->skills, start_ms, end_ms)) return PD_REASON_QUALIFICATION;
  const struct view_doc *insurance = view_doc(person, PD_CREDENTIAL_KIND_INSURANCE, 0);
  if (order->dangerous && !covers(insurance, start_ms, end_ms)) return PD_REASON_INSURANCE;
  return PD_REASON_UNSPECIFIED;
}

bool view_consents(const struct view_person *person, int64_t now_ms) {
  const struct view_doc *doc = view_doc(person, PD_CREDENTIAL_KIND_AUTOMATED_MATCHING, 0);
  return doc == NULL || (doc->from_ms <= now_ms && now_ms < doc->until_ms);
}
