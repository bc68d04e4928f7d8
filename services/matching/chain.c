#include "services/matching/chain.h"

#include "common/base/err.h"

void chain_add(uint32_t *head, struct chain_link *links, uint32_t entry) {
  pd_assert(entry != 0 && links[entry].next == 0);
  if (*head == 0) {
    links[entry] = (struct chain_link){.next = entry, .prev = entry};
    *head = entry;
    return;
  }
  uint32_t last = links[*head].prev;
  pd_assert(last != 0 && links[last].next == *head);
  links[entry] = (struct chain_link){.next = *head, .prev = last};
  links[last].next = entry;
  links[*head].prev = entry;
}

void chain_remove(uint32_t *head, struct chain_link *links, uint32_t entry) {
  struct chain_link link = links[entry];
  pd_assert(*head != 0 && link.next != 0);
  pd_assert(links[link.prev].next == entry && links[link.next].prev == entry);
  links[link.prev].next = link.next;
  links[link.next].prev = link.prev;
  if (*head == entry) *head = link.next == entry ? 0 : link.next;
  links[entry] = (struct chain_link){0};
}
