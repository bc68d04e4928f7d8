#include "services/notification/pending.h"

#include "common/base/err.h"

void pending_init(struct pending_table *table, struct pd_arena *arena, uint32_t messages,
                  uint32_t orders) {
  pd_assert(messages > 0 && messages < PD_NONE);
  table->facts = PD_ARENA_ARRAY(arena, struct pending_facts, 1);
  table->entries = PD_ARENA_ARRAY(arena, struct pending, messages + 1u);
  table->orders = PD_ARENA_ARRAY(arena, uint32_t, orders + 1u);
  pd_pool_init(&table->pool, arena, messages);
  pd_map_init(&table->ids, arena, messages);
  pd_map_init(&table->offers, arena, messages);
}

/* One word for (log, seq, part): a log has fewer than 2^53 events, an event fewer than 256 parts.
 */
static uint64_t id_key(enum pd_log log, uint64_t seq, uint32_t part) {
  return seq << 11 | (uint64_t)(part & 255) << 3 | ((uint64_t)log & 7);
}

static uint64_t entry_key(const struct pending *entry) {
  return id_key(entry->message.log, entry->message.seq, entry->message.part);
}

static void lane_append(struct pending_table *table, uint32_t at, enum pending_lane lane) {
  struct pending_list *list = &table->facts->lanes[lane];
  struct pending *entry = &table->entries[at];
  pd_assert(at != 0 && at <= table->pool.capacity);
  pd_assert(entry->prev == 0 && entry->next == 0);
  entry->lane = lane;
  entry->prev = list->tail;
  if (list->tail != 0)
    table->entries[list->tail].next = at;
  else
    list->head = at;
  list->tail = at;
  list->count++;
}

static void lane_unlink(struct pending_table *table, uint32_t at) {
  struct pending *entry = &table->entries[at];
  struct pending_list *list = &table->facts->lanes[entry->lane];
  pd_assert(list->count > 0);
  if (entry->prev != 0)
    table->entries[entry->prev].next = entry->next;
  else
    list->head = entry->next;
  if (entry->next != 0)
    table->entries[entry->next].prev = entry->prev;
  else
    list->tail = entry->prev;
  entry->prev = 0;
  entry->next = 0;
  list->count--;
  pd_assert((list->head == 0) == (list->count == 0));
}

static void order_link(struct pending_table *table, uint32_t at, uint32_t order) {
  struct pending *entry = &table->entries[at];
  pd_assert(entry->order == 0);
  entry->order = order;
  if (order == 0) return;
  entry->order_next = table->orders[order];
  pd_assert(entry->order_next != at);
  if (entry->order_next != 0) table->entries[entry->order_next].order_prev = at;
  table->orders[order] = at;
}

static void order_unlink(struct pending_table *table, uint32_t at) {
  struct pending *entry = &table->entries[at];
  if (entry->order == 0) return;
  pd_assert(entry->order_prev != 0 || table->orders[entry->order] == at);
  if (entry->order_next != 0) table->entries[entry->order_next].order_prev = entry->order_prev;
  if (entry->order_prev != 0)
    table->entries[entry->order_prev].order_next = entry->order_next;
  else
    table->orders[entry->order] = entry->order_next;
  entry->order = entry->order_prev = entry->order_next = 0;
}

/* The offer's own message, so that the end of the offer finds it. */
static void offer_unlink(struct pending_table *table, uint32_t at) {
  const struct notification_message *message = &table->entries[at].message;
  if (!pending_is_offer(message->template)) return;
  if (pd_map_get(&table->offers, message->subject) == at)
    pd_map_remove(&table->offers, message->subject);
}

void pending_add(struct pending_table *table, const struct notification_message *message,
                 enum pending_lane lane, uint32_t order) {
  pd_assert(lane == LANE_ANYTIME || lane == LANE_DAY);
  if (pending_find(table, message->log, message->seq, message->part) != 0) return;
  if (pd_pool_free(&table->pool) == 0) {
    table->facts->dropped++;
    return;
  }
  uint32_t at = pd_pool_take(&table->pool) + 1;
  struct pending *entry = &table->entries[at];
  pd_assert(entry->number == 0);
  entry->message = *message;
  entry->number = ++table->facts->created;
  lane_append(table, at, lane);
  order_link(table, at, order);
  pd_map_put(&table->ids, entry_key(entry), at);
  if (pending_is_offer(message->template)) pd_map_put(&table->offers, message->subject, at);
}

void pending_remove(struct pending_table *table, uint32_t at) {
  struct pending *entry = &table->entries[at];
  pd_assert(at != 0 && entry->number != 0);
  lane_unlink(table, at);
  order_unlink(table, at);
  offer_unlink(table, at);
  pd_assert(pd_map_remove(&table->ids, entry_key(entry)));
  *entry = (struct pending){.number = 0};
  pd_pool_give(&table->pool, at - 1);
}

void pending_suppress(struct pending_table *table, uint32_t at, enum pending_lane lane) {
  pd_assert(lane == LANE_STALE || lane == LANE_ERASED);
  pd_assert(table->entries[at].number != 0);
  lane_unlink(table, at);
  order_unlink(table, at);
  offer_unlink(table, at);
  lane_append(table, at, lane);
}

static void erase_in(struct pending_table *table, enum pending_lane lane,
                     const struct pd_id *person) {
  for (uint32_t at = table->facts->lanes[lane].head; at != 0;) {
    uint32_t next = table->entries[at].next;
    if (pd_id_equal(&table->entries[at].message.person, person))
      pending_suppress(table, at, LANE_ERASED);
    at = next;
  }
}

void pending_erase(struct pending_table *table, const struct pd_id *person) {
  pd_assert(!pd_id_is_zero(person));
  erase_in(table, LANE_ANYTIME, person);
  erase_in(table, LANE_DAY, person);
}

uint32_t pending_find(const struct pending_table *table, enum pd_log log, uint64_t seq,
                      uint32_t part) {
  uint32_t at = pd_map_get(&table->ids, id_key(log, seq, part));
  pd_assert(at == PD_NONE || table->entries[at].number != 0);
  return at == PD_NONE ? 0 : at;
}

uint32_t pending_of_offer(const struct pending_table *table, uint64_t offer) {
  uint32_t at = pd_map_get(&table->offers, offer);
  pd_assert(at == PD_NONE || table->entries[at].message.subject == offer);
  return at == PD_NONE ? 0 : at;
}

uint32_t pending_of_order(const struct pending_table *table, uint32_t order,
                          enum pd_template template, uint32_t slot) {
  pd_assert(order != 0);
  uint32_t at = table->orders[order];
  for (; at != 0; at = table->entries[at].order_next) {
    const struct notification_message *message = &table->entries[at].message;
    pd_assert(table->entries[at].order == order);
    if (message->template == template && (slot == 0 || message->slot == slot)) break;
  }
  return at;
}

/* The reader's last message, if it still stands in the lane; otherwise the last one before it. */
static uint32_t cursor_place(const struct pending_table *table, enum pending_lane lane,
                             struct notification_cursor *cursor) {
  uint32_t at = cursor->entry[lane];
  const struct pending *entry = &table->entries[at];
  if (at == 0 || (entry->number == cursor->number[lane] && entry->lane == lane)) return at;
  uint32_t next = table->facts->lanes[lane].head;
  for (at = 0; next != 0 && table->entries[next].number <= cursor->number[lane];) {
    at = next;
    next = table->entries[next].next;
  }
  pd_assert(at == 0 || table->entries[at].lane == lane);
  cursor->entry[lane] = at;
  cursor->number[lane] = at == 0 ? 0 : table->entries[at].number;
  return at;
}

uint32_t pending_after(const struct pending_table *table, enum pending_lane lane,
                       struct notification_cursor *cursor) {
  pd_assert(lane == LANE_ANYTIME || lane == LANE_DAY);
  uint32_t at = cursor_place(table, lane, cursor);
  return at == 0 ? table->facts->lanes[lane].head : table->entries[at].next;
}

static void check_entry(const struct pending_table *table, uint32_t at, enum pending_lane lane) {
  const struct pending *entry = &table->entries[at];
  pd_assert(entry->number != 0 && entry->number <= table->facts->created);
  pd_assert(entry->lane == lane);
  pd_assert(pd_map_get(&table->ids, entry_key(entry)) == at);
  if (entry->order_next != 0) pd_assert(table->entries[entry->order_next].order_prev == at);
  if (entry->order != 0 && entry->order_prev == 0) pd_assert(table->orders[entry->order] == at);
}

void pending_check(const struct pending_table *table) {
  uint64_t total = 0;
  for (enum pending_lane lane = LANE_ANYTIME; lane < LANE_COUNT; lane++) {
    const struct pending_list *list = &table->facts->lanes[lane];
    uint64_t count = 0;
    uint32_t last = 0;
    for (uint32_t at = list->head; at != 0; at = table->entries[at].next) {
      check_entry(table, at, lane);
      pd_assert(table->entries[at].prev == last);
      last = at;
      count++;
    }
    pd_assert(count == list->count && last == list->tail);
    total += count;
  }
  pd_assert(total == *table->pool.taken && total == *table->ids.count);
  pd_assert(*table->offers.count <= total);
}
