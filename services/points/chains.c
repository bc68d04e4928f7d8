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
  pd_pool_init(&self->free_chains, arena, limits->bookings);
  self->orders = PD_ARENA_ARRAY(arena, struct points_order, limits->orders);
  self->chains = PD_ARENA_ARRAY(arena, struct points_chain, limits->bookings);
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

/* The link that leads to the chain of a slot, or the one at the end of the list, which is 0. */
static uint32_t *link_to(const struct points_chains *self, struct points_order *order,
                         uint32_t slot) {
  uint32_t *link = &order->first;
  while (*link != 0 && self->chains[*link - 1].slot != slot) {
    pd_assert(self->chains[*link - 1].order == (uint32_t)(order - self->orders) + 1);
    link = &self->chains[*link - 1].next;
  }
  return link;
}

static void drop(struct points_chains *self, uint32_t *link) {
  pd_assert(*link != 0);
  uint32_t at = *link - 1;
  *link = self->chains[at].next;
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

void points_chain_begin(struct points_chains *self, uint64_t order, uint32_t slot,
                        const struct pd_id *volunteer) {
  struct points_order *entry = find_order(self, order);
  if (entry == NULL) return;
  uint32_t *link = link_to(self, entry, slot);
  if (*link != 0) {
    const struct points_chain *before = &self->chains[*link - 1];
    if (before->step == POINTS_SETTLED || pd_id_equal(&before->volunteer, volunteer)) return;
    drop(self, link);
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
  uint32_t at = *link_to(self, entry, slot);
  if (at == 0 || !pd_id_equal(&self->chains[at - 1].volunteer, volunteer)) return NULL;
  pd_assert(self->chains[at - 1].slot == slot);
  return &self->chains[at - 1];
}

void points_chain_break(struct points_chains *self, uint64_t order, uint32_t slot,
                        const struct pd_id *volunteer) {
  const struct points_chain *chain = points_chain_find(self, order, slot, volunteer);
  if (chain == NULL || chain->step != POINTS_FILLED) return;
  struct points_order *entry = &self->orders[chain->order - 1];
  pd_assert(entry->order == order);
  drop(self, link_to(self, entry, slot));
}

static uint64_t check_order(const struct points_chains *self, uint32_t at) {
  uint64_t count = 0;
  for (uint32_t link = self->orders[at].first; link != 0; link = self->chains[link - 1].next) {
    const struct points_chain *chain = &self->chains[link - 1];
    pd_assert(chain->order == at + 1 && chain->step <= POINTS_SETTLED);
    pd_assert(*link_to(self, &self->orders[at], chain->slot) == link); /* one chain a slot */
    count++;
  }
  return count;
}

void points_chains_check(const struct points_chains *self) {
  uint64_t orders = 0;
  uint64_t chains = 0;
  for (uint32_t at = 0; at < self->free_orders.capacity; at++) {
    if (self->orders[at].order == 0) continue;
    pd_assert(pd_map_get(&self->index, self->orders[at].order) == at);
    chains += check_order(self, at);
    orders++;
  }
  pd_assert(orders == *self->free_orders.taken && orders == *self->index.count);
  pd_assert(chains == *self->free_chains.taken);
}
