/* chain - doubly linked rings of table entries, in the arena's image.
 *
 * An entry is a number from 1; 0 is none, so that zeroed memory is an empty chain.  The links stand
 * in an array of their own beside the table, and an entry may be in several chains through several
 * arrays.  New entries go to the end: a walk from the head meets them in the order in which they
 * came.
 */
#ifndef MATCHING_CHAIN_H
#define MATCHING_CHAIN_H

#include <stdint.h>

struct chain_link {
  uint32_t next;
  uint32_t prev;
};

/* Put an entry that is in no chain of these links at the end of the chain. */
void chain_add(uint32_t *head, struct chain_link *links, uint32_t entry);

/* Take an entry out of the chain that it is in. */
void chain_remove(uint32_t *head, struct chain_link *links, uint32_t entry);

/* The entry after this one, 0 after the last. */
static inline uint32_t chain_next(uint32_t head, const struct chain_link *links, uint32_t entry) {
  return links[entry].next == head ? 0 : links[entry].next;
}

#endif
