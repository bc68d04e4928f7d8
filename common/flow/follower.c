#include "common/flow/follower.h"

void pd_follower_init(struct pd_follower *follower, uint64_t next) {
  pd_assert(next > 0);
  *follower = (struct pd_follower){.next = next, .tail = next - 1};
}

enum pd_follow pd_follower_judge(struct pd_follower *follower, const struct pd_entry_view *view,
                                 const uint8_t *bytes, size_t size, const struct pd_hash *hash) {
  struct pd_hash real = pd_hash_of(bytes, size);
  if (!pd_hash_equal(&real, hash)) return PD_FOLLOW_CORRUPT;
  if (view->head.last_seq < follower->next) return PD_FOLLOW_OLD;
  if (follower->tail < view->head.last_seq) follower->tail = view->head.last_seq;
  if (view->head.first_seq > follower->next) return PD_FOLLOW_GAP;
  /* Chained: the last entry ended at next - 1, so a true one begins at next and names it. */
  if (follower->chained && (view->head.first_seq < follower->next ||
                            !pd_hash_equal(&view->head.prev, &follower->last)))
    return PD_FOLLOW_CORRUPT;
  return view->head.epoch < follower->epoch ? PD_FOLLOW_CORRUPT : PD_FOLLOW_NEXT;
}

void pd_follower_consumed(struct pd_follower *follower, uint64_t seq) {
  pd_assert(seq + 1 >= follower->next);
  if (seq >= follower->next) follower->chained = false;
  follower->next = seq + 1;
  if (follower->tail < seq) follower->tail = seq;
}

void pd_follower_finished(struct pd_follower *follower, const struct pd_entry_view *view,
                          const struct pd_hash *hash) {
  pd_assert(follower->next == view->head.last_seq + 1);
  follower->last = *hash;
  follower->chained = true;
  follower->epoch = view->head.epoch;
}

bool pd_follower_tip(struct pd_follower *follower, uint64_t last_seq) {
  if (follower->tail < last_seq) follower->tail = last_seq;
  return follower->tail >= follower->next;
}

void pd_follower_ends(struct pd_follower *follower) { follower->tail = follower->next - 1; }
