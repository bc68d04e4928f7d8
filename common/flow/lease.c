#include "common/flow/lease.h"

void pd_lease_init(struct pd_lease *lease) { *lease = (struct pd_lease){0}; }

bool pd_lease_holds(const struct pd_lease *lease, int64_t now_ms) {
  return now_ms < lease->until_ms;
}

/* One that is free goes first to who holds fewer: they have no such moment to wait. */
static bool polite(const struct pd_lease *lease, uint32_t others, int64_t now_ms) {
  if (others == 0) return true;
  int64_t wait_ms = (int64_t)others * PD_LEASE_POLITE_MS;
  return lease->free_ms != 0 && now_ms - lease->free_ms >= wait_ms;
}

static enum pd_lease_ask choose(const struct pd_lease *lease, bool wants, uint32_t others,
                                int64_t now_ms) {
  if (!wants) return PD_LEASE_LOOK;
  bool ours = lease->until_ms != 0; /* it may have ended by our clock, and still be there */
  return ours || polite(lease, others, now_ms) ? PD_LEASE_TAKE : PD_LEASE_WAIT;
}

enum pd_lease_ask pd_lease_due(struct pd_lease *lease, bool wants, uint32_t others,
                               int64_t now_ms) {
  if (lease->asked || now_ms < lease->next_ms) return PD_LEASE_NOTHING;
  enum pd_lease_ask ask = choose(lease, wants, others, now_ms);
  lease->asked = true;
  lease->taking = ask == PD_LEASE_TAKE;
  lease->asked_ms = now_ms;
  return ask;
}

static void note_held(struct pd_lease *lease, const struct pd_lease_answer *answer) {
  lease->until_ms = lease->asked_ms + PD_LEASE_TTL_MS - PD_LEASE_MARGIN_MS;
  lease->next_ms = lease->asked_ms + PD_LEASE_RENEW_MS;
  lease->free_ms = 0;
  lease->waited = answer->waited;
  lease->waiting_holds = answer->waiting_holds;
}

/* It is free, or an earlier life of this instance has left it: then it ends soon. */
static void note_free(struct pd_lease *lease, int64_t now_ms) {
  lease->until_ms = 0;
  if (lease->free_ms == 0) lease->free_ms = now_ms;
}

/* Ask again soon, and at once when the holder's time is over. */
static void note_other(struct pd_lease *lease, const struct pd_lease_answer *answer,
                       int64_t now_ms) {
  int64_t wait_ms = answer->left_ms < PD_LEASE_ASK_MS ? answer->left_ms + 1 : PD_LEASE_ASK_MS;
  lease->until_ms = 0;
  lease->free_ms = 0;
  lease->next_ms = now_ms + wait_ms;
}

void pd_lease_answer(struct pd_lease *lease, const struct pd_lease_answer *answer, int64_t now_ms) {
  pd_assert(lease->asked);
  lease->asked = false;
  if (lease->forgotten) {
    lease->forgotten = false;
    return;
  }
  lease->next_ms = now_ms + PD_LEASE_ASK_MS;
  lease->waited = false;
  switch (answer->found) {
    case PD_LEASE_FAILED: break;
    case PD_LEASE_HELD:
      if (lease->taking) /* only that has renewed it */
        note_held(lease, answer);
      else
        note_free(lease, now_ms);
      break;
    case PD_LEASE_OTHER: note_other(lease, answer, now_ms); break;
    case PD_LEASE_NOBODY: note_free(lease, now_ms); break;
  }
}

bool pd_lease_crowded(const struct pd_lease *lease, uint32_t others) {
  return lease->waited && lease->waiting_holds + 1 <= others;
}

void pd_lease_drop(struct pd_lease *lease, bool pause, int64_t now_ms) {
  lease->until_ms = 0;
  lease->free_ms = 0;
  lease->waited = false;
  lease->forgotten = lease->asked;
  lease->next_ms = now_ms + (pause ? PD_LEASE_PAUSE_MS : PD_LEASE_ASK_MS);
}
