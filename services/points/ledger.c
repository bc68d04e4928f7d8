#include "services/points/ledger.h"

#include "common/base/err.h"

void ledger_init(struct ledger *self, struct pd_arena *arena, uint32_t persons) {
  pd_assert(arena->image != 0 && persons > 0);
  pd_idmap_init(&self->index, arena, persons);
  self->accounts = PD_ARENA_ARRAY(arena, struct ledger_account, persons);
  self->totals = PD_ARENA_ARRAY(arena, struct ledger_totals, 1);
}

bool ledger_open(struct ledger *self, const struct pd_id *person) {
  if (pd_idmap_get(&self->index, person) != PD_NONE) return true;
  uint64_t at = *self->index.count;
  if (at == self->index.capacity) return false;
  pd_assert(pd_id_is_zero(&self->accounts[at].person));
  pd_idmap_put(&self->index, person, (uint32_t)at);
  self->accounts[at].person = *person;
  return true;
}

struct ledger_account *ledger_find(const struct ledger *self, const struct pd_id *person) {
  uint32_t at = pd_idmap_get(&self->index, person);
  if (at == PD_NONE) return NULL;
  pd_assert(pd_id_equal(&self->accounts[at].person, person));
  return &self->accounts[at];
}

static bool is_unit(enum pd_unit unit) { return unit == PD_UNIT_MINUTES || unit == PD_UNIT_POINTS; }

static bool is_sound(const struct ledger *self, const struct pd_posting_line *line) {
  if (!is_unit(line->unit)) return false;
  if (line->account == PD_ACCOUNT_ISSUED) return true;
  if (line->account != PD_ACCOUNT_PERSON && line->account != PD_ACCOUNT_HELD) return false;
  struct pd_id person = PD_ID(line->person);
  return ledger_find(self, &person) != NULL;
}

bool ledger_balanced(const struct ledger *self, struct pd_posting_line *const *lines,
                     size_t count) {
  int64_t sum[LEDGER_UNITS] = {0};
  for (size_t i = 0; i < count; i++) {
    if (!is_sound(self, lines[i])) return false;
    sum[lines[i]->unit] += lines[i]->amount;
  }
  pd_assert(sum[PD_UNIT_UNSPECIFIED] == 0);
  return sum[PD_UNIT_MINUTES] == 0 && sum[PD_UNIT_POINTS] == 0;
}

static void book_line(struct ledger *self, const struct pd_posting_line *line) {
  self->totals->amount[line->account][line->unit] += line->amount;
  if (line->account == PD_ACCOUNT_ISSUED) return;
  struct pd_id person = PD_ID(line->person);
  struct ledger_account *account = ledger_find(self, &person);
  pd_assert(account != NULL);
  int64_t *side = line->account == PD_ACCOUNT_HELD ? account->held : account->has;
  side[line->unit] += line->amount;
  pd_assert(side[line->unit] >= 0);
}

void ledger_book(struct ledger *self, struct pd_posting_line *const *lines, size_t count) {
  pd_assert(ledger_balanced(self, lines, count));
  for (size_t i = 0; i < count; i++) book_line(self, lines[i]);
}

int64_t ledger_balance(const struct ledger *self, const struct pd_id *person, enum pd_unit unit) {
  pd_assert(is_unit(unit));
  const struct ledger_account *account = ledger_find(self, person);
  return account == NULL ? 0 : account->has[unit];
}

int64_t ledger_total(const struct ledger *self, enum pd_account account, enum pd_unit unit) {
  pd_assert(is_unit(unit));
  pd_assert((unsigned)account < LEDGER_ACCOUNTS);
  return self->totals->amount[account][unit];
}

static void check_unit(const struct ledger *self, enum pd_unit unit) {
  int64_t has = 0;
  int64_t held = 0;
  for (uint64_t at = 0; at < *self->index.count; at++) {
    const struct ledger_account *account = &self->accounts[at];
    pd_assert(account->has[unit] >= 0 && account->held[unit] >= 0);
    has += account->has[unit];
    held += account->held[unit];
  }
  pd_assert(has == ledger_total(self, PD_ACCOUNT_PERSON, unit));
  pd_assert(held == ledger_total(self, PD_ACCOUNT_HELD, unit));
  pd_assert(has + held + ledger_total(self, PD_ACCOUNT_ISSUED, unit) == 0);
}

void ledger_check(const struct ledger *self) {
  check_unit(self, PD_UNIT_MINUTES);
  check_unit(self, PD_UNIT_POINTS);
  for (uint64_t at = 0; at < *self->index.count; at++)
    pd_assert(pd_idmap_get(&self->index, &self->accounts[at].person) == at);
}
