/* ids - gives persons the numbers 0, 1, 2 ... in the order in which they are first seen; grows as
 * needed. */
#ifndef PAIDAN_IDS_H
#define PAIDAN_IDS_H

#include "common/base/id.h"

#include <stdint.h>

#define IDS_NONE UINT32_MAX

struct ids {
  struct pd_id *ids; /* by number */
  uint32_t *index;   /* open addressing: number + 1; 0: empty */
  uint32_t count;
  uint32_t size; /* of index, a power of two, or 0 */
};

/* The number of an id, or IDS_NONE. */
uint32_t ids_find(const struct ids *ids, const struct pd_id *id);

/* The number of an id, which is taken in if it is new.  Ends the program when there is no memory.
 */
uint32_t ids_take(struct ids *ids, const struct pd_id *id);

/* The table is empty again, its memory given back. */
void ids_free(struct ids *ids);

/* Make room for `count` items of `size` bytes in a growing array; new room is zeroed.  Returns the
 * array, which may have moved. Ends the program when there is no memory: the tool changes nothing
 * that could be lost. */
void *ids_grow(void *items, size_t *room, size_t count, size_t size);

#endif
