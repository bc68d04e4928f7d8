#include "services/points/chains.h"

#include "common/base/err.h"

/* FNV-1a, 64 bits (Fowler, Noll, Vo; public domain); the second lane starts from another base. */
#define FNV_BASE UINT64_C(0xcbf29ce484222325)
#define FNV_OTHER_BASE UINT64_C(0x84222325cbf29ce4)
#define FNV_PRIME UINT64_C(0x100000001b3)

struct points_principal points_principal_of(const char *text) {
  struct points_principal principal = {{FNV_BASE, FNV_OTHER_BASE}};
  if (text == NULL) return principal;
  for (size_t i = 0; text[i] != '\0'; i++) {
    principal.words[0] = (principal.words[0] ^ (uint8_t)text[i]) * FNV_PRIME;
    principal.words[1] = (principal.words[1] ^ (uint8_t)text[i]) * FNV_PRIME;
  }
  return principal;
}

bool points_principal_equal(struct points_principal a, struct points_principal b) {
  return a.words[0] == b.words[0] && a.words[1] == b.words[1];
}

void points_chains_init(struct points_chains *self, struct pd_arena *arena,
                        const struct pd_limits *limits) {
  pd_assert(arena->image != 0);
  pd_assert(limits->orders > 0 && limits->bookings > 0);
  pd_map_init(&self->index, arena, limits->orders);
  pd_pool_init(&self->free_orders, arena, limits->orders);
  pd_pool_init(&self->free_chains, arena, 2 * limits->bookings);
  self->orders = PD_ARENA_ARRAY(arena, struct points_order, limits->orders);
  self->chains = PD_ARENA_ARRAY(arena, struct points_chain, 2 * limits->bookings);
  self->aside = PD_ARENA_ARRAY(arena, uint64_t, 1);
}

static struct points_order *find_order(const struct points_chains *self, uint64_t order) {
  uint32_t at = pd_map_get(&self->index, order);
  if (at == PD_NONE) return NULL;
  pd_assert(self->orders[at].order == order);
  return &self->orders[at];
}

void points_order_open(struct points_chains *self, uint64_t order) {
  if (order == 0 || pd_pool_free(&self->free_orders) == 0) return;
  if (find_order(self, order) != NULL) return;
  uint32_t at = pd_pool_take(&self->free_orders);
  pd_assert(self->orders[at].order == 0 && self->orders[at].first == 0);
  self->orders[at].order = order;
  pd_map_put(&self->index, order, at);
}

/* The link that leads to the chain of a slot and volunteer, or the one at the list's end: 0. */
static uint32_t *link_to(const struct points_chains *self, struct points_order *order,
                         uint32_t slot, const struct pd_id *volunteer) {
  uint32_t *link = &order->first;
  for (; *link != 0; link = &self->chains[*link - 1].next) {
    const struct points_chain *chain = &self->chains[*link - 1];
    pd_assert(chain->order == (uint32_t)(order - self->orders) + 1);
    if (chain->slot == slot && pd_id_equal(&chain->volunteer, volunteer)) break;
  }
  return link;
}

static void drop(struct points_chains *self, uint32_t *link) {
  pd_assert(*link != 0);
  uint32_t at = *link - 1;
  *link = self->chains[at].next;
  *self->aside -= self->chains[at].aside;
  self->chains[at] = (struct points_chain){.order = 0};
  pd_pool_give(&self->free_chains, at);
}

void points_order_close(struct points_chains *self, uint64_t order) {
  struct points_order *entry = find_order(self, order);
  if (entry == NULL) return;
  while (entry->first != 0) drop(self, &entry->first);
  bool known = pd_map_remove(&self->index, order);
  pd_assert(known);
  *entry = (struct points_order){0};
  pd_pool_give(&self->free_orders, (uint32_t)(entry - self->orders));
}

bool points_slot_settled(const struct points_chains *self, uint64_t order, uint32_t slot) {
  const struct points_order *entry = find_order(self, order);
  if (entry == NULL) return false;
  for (uint32_t link = entry->first; link != 0; link = self->chains[link - 1].next) {
    const struct points_chain *chain = &self->chains[link - 1];
    pd_assert(chain->order != 0);
    if (chain->slot == slot && chain->step == POINTS_SETTLED) return true;
  }
  return false;
}

static void take_back(struct points_chains *self, struct points_chain *chain) {
  pd_assert(chain->aside <= *self->aside);
  *self->aside -= chain->aside;
  chain->aside = 0;
}

void points_chain_begin(struct points_chains *self, uint64_t order, uint32_t slot,
                        const struct pd_id *volunteer) {
  struct points_order *entry = find_order(self, order);
  if (entry == NULL || points_slot_settled(self, order, slot)) return;
  uint32_t known = *link_to(self, entry, slot, volunteer);
  if (known != 0) {
    take_back(self, &self->chains[known - 1]);
    return;
  }
  if (pd_pool_free(&self->free_chains) == 0) return;
  uint32_t at = pd_pool_take(&self->free_chains);
  pd_assert(self->chains[at].order == 0);
  self->chains[at] = (struct points_chain){.volunteer = *volunteer,
                                           .order = (uint32_t)(entry - self->orders) + 1,
                                           .slot = slot,
                                           .next = entry->first,
                                           .step = POINTS_FILLED};
  entry->first = at + 1;
}

struct points_chain *points_chain_find(const struct points_chains *self, uint64_t order,
                                       uint32_t slot, const struct pd_id *volunteer) {
  struct points_order *entry = find_order(self, order);
  if (entry == NULL) return NULL;
  uint32_t at = *link_to(self, entry, slot, volunteer);
  if (at == 0) return NULL;
  pd_assert(self->chains[at - 1].slot == slot);
  return &self->chains[at - 1];
}

void points_chain_break(struct points_chains *self, uint64_t order, uint32_t slot,
                        const struct pd_id *volunteer) {
  struct points_chain *chain = points_chain_find(self, order, slot, volunteer);
  if (chain == NULL || chain->step != POINTS_FILLED || chain->aside != 0) return;
  struct points_order *entry = &self->orders[chain->order - 1];
  pd_assert(entry->order == order);
  if (*self->aside == self->free_chains.capacity / 2) {
    drop(self, link_to(self, entry, slot, volunteer));
    return;
  }
  chain->aside = 1;
  ++*self->aside;
}

struct points_chain *points_chain_start(struct points_chains *self, uint64_t order, uint32_t slot,
                                        const struct pd_id *volunteer) {
  struct points_chain *chain = points_chain_find(self, order, slot, volunteer);
  if (chain == NULL || chain->step != POINTS_FILLED) return NULL;
  take_back(self, chain);
  chain->step = POINTS_STARTED;
  pd_assert(chain->aside == 0);
  return chain;
}

struct totals {
  uint64_t chains;
  uint64_t aside;
};

static void check_order(const struct points_chains *self, uint32_t at, struct totals *totals) {
  uint64_t settled = 0;
  for (uint32_t link = self->orders[at].first; link != 0; link = self->chains[link - 1].next) {
    const struct points_chain *chain = &self->chains[link - 1];
    pd_assert(chain->order == at + 1 && chain->step <= POINTS_SETTLED);
    pd_assert(chain->aside == 0 || chain->step == POINTS_FILLED);
    pd_assert(*link_to(self, &self->orders[at], chain->slot, &chain->volunteer) == link);
    totals->chains++;
    totals->aside += chain->aside;
    if (chain->step != POINTS_SETTLED) continue;
    uint64_t bit = UINT64_C(1) << ((chain->slot - 1) & 63);
    pd_assert((settled & bit) == 0); /* a slot is settled once */
    settled |= bit;
  }
}

void points_chains_check(const struct points_chains *self) {
  uint64_t orders = 0;
  struct totals totals = {0};
  for (uint32_t at = 0; at < self->free_orders.capacity; at++) {
    if (self->orders[at].order == 0) continue;
    pd_assert(pd_map_get(&self->index, self->orders[at].order) == at);
    check_order(self, at, &totals);
    orders++;
  }
  pd_assert(orders == *self->free_orders.taken && orders == *self->index.count);
  pd_assert(totals.chains == *self->free_chains.taken && totals.aside == *self->aside);
}
