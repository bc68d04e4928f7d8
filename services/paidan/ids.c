#include "services/paidan/ids.h"

#include "common/base/err.h"

#include <stdlib.h>
#include <string.h>

void *ids_grow(void *items, size_t *room, size_t count, size_t size) {
  if (count <= *room) return items;
  size_t more = *room == 0 ? 64 : *room * 2;
  while (more < count) more *= 2;
  uint8_t *grown = realloc(items, more * size);
  pd_assert(grown != NULL);
  memset(grown + *room * size, 0, (more - *room) * size);
  *room = more;
  return grown;
}

/* Where the id stands in the index, or would.  Ids are random: their first bytes are a hash. */
static uint32_t place_of(const struct ids *ids, const struct pd_id *id) {
  uint32_t hash;
  memcpy(&hash, id->bytes, sizeof hash);
  uint32_t at = hash & (ids->size - 1);
  while (ids->index[at] != 0 && !pd_id_equal(&ids->ids[ids->index[at] - 1], id))
    at = (at + 1) & (ids->size - 1);
  return at;
}

uint32_t ids_find(const struct ids *ids, const struct pd_id *id) {
  if (ids->size == 0) return IDS_NONE;
  uint32_t found = ids->index[place_of(ids, id)];
  return found == 0 ? IDS_NONE : found - 1;
}

static void widen(struct ids *ids) {
  ids->size = ids->size == 0 ? 1024 : ids->size * 2;
  free(ids->index);
  ids->index = calloc(ids->size, sizeof *ids->index);
  ids->ids = realloc(ids->ids, ids->size / 2 * sizeof *ids->ids);
  pd_assert(ids->index != NULL && ids->ids != NULL);
  for (uint32_t i = 0; i < ids->count; i++) ids->index[place_of(ids, &ids->ids[i])] = i + 1;
}

uint32_t ids_take(struct ids *ids, const struct pd_id *id) {
  uint32_t found = ids_find(ids, id);
  if (found != IDS_NONE) return found;
  if (ids->count + 1 > ids->size / 2) widen(ids);
  ids->ids[ids->count] = *id;
  ids->index[place_of(ids, id)] = ++ids->count;
  return ids->count - 1;
}

void ids_free(struct ids *ids) {
  free(ids->ids);
  free(ids->index);
  *ids = (struct ids){0};
}
