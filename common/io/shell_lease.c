/* The lease of a seat: asked for when the seat is able to lead, renewed while it does, let go when
 * somebody waits who holds fewer. */
#include "common/io/journal.h"
#include "common/io/shell_state.h"

#include <stdio.h>
#include <string.h>

#define HOLDER_MS 500 /* beyond its lease, who held it last is still said */

static bool leads(const struct pd_seat *seat) {
  return seat->phase == PD_PHASE_LIVE || seat->phase == PD_PHASE_DRAINING;
}

bool pd_seat_holds(const struct pd_seat *seat) {
  return pd_lease_holds(&seat->lease, pd_clock_steady_ms());
}

bool pd_seat_leading(const struct pd_seat *seat) {
  bool free = !seat->snapshot_due && !seat->unsure;
  return seat->phase == PD_PHASE_LIVE && free && pd_seat_holds(seat);
}

const char *pd_seat_elsewhere(const struct pd_seat *seat, const char **instance) {
  bool known = seat->holder.name[0] != 0 && pd_clock_steady_ms() < seat->holder_until;
  if (leads(seat) || !known) return NULL;
  *instance = seat->holder.name;
  return seat->holder.endpoint;
}

/* Leases of other shards that this process holds. */
static uint32_t others_of(const struct pd_seat *seat) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < seat->shell->seat_count; i++) {
    const struct pd_seat *other = &seat->shell->seats[i];
    if (other != seat && other->phase != PD_PHASE_DRAINING && pd_seat_holds(other)) count++;
  }
  return count;
}

/* ---- answers ---- */

static void note_holder(struct pd_seat *seat, const struct pd_holder *holder) {
  seat->holder = *holder;
  seat->holder_until = pd_clock_steady_ms() + holder->left_ms + HOLDER_MS;
  seat->led_elsewhere = true;
  if (!leads(seat)) return;
  seat_say(seat, PD_LEVEL_WARN, pd_kv_text("msg", "another instance has the lease: standing by"),
           pd_kv_text("instance", holder->name));
  pd_seat_rest(seat);
}

static void on_answer(void *context, const struct pd_lease_answer *answer,
                      const struct pd_holder *holder) {
  struct pd_seat *seat = context;
  bool forgotten = seat->lease.forgotten, lapsed = leads(seat) && !pd_seat_holds(seat);
  pd_lease_answer(&seat->lease, answer, pd_clock_steady_ms());
  if (forgotten) return;
  /* Somebody else may have led meanwhile, and be gone again: the tail tells. */
  if (lapsed && answer->found == PD_LEASE_HELD) {
    seat->unsure = true;
    pd_turn_doubt(&seat->turn);
  }
  if (answer->found == PD_LEASE_OTHER) note_holder(seat, holder);
  if (answer->found == PD_LEASE_HELD) seat->holder.name[0] = 0;
  if (answer->found == PD_LEASE_HELD || answer->found == PD_LEASE_OTHER) pd_seat_wake(seat);
}

static void on_freed(void *context, const struct pd_lease_answer *answer,
                     const struct pd_holder *holder) {
  struct pd_seat *seat = context;
  (void)answer;
  (void)holder;
  seat->freeing--;
  if (seat->shell->stopping) pd_shell_consider(seat->shell);
}

/* ---- questions ---- */

static struct pd_holder self_of(const struct pd_seat *seat) {
  struct pd_holder self = {.epoch = seat->turn.writer.epoch};
  snprintf(self.name, sizeof self.name, "%s", seat->shell->common->instance);
  snprintf(self.endpoint, sizeof self.endpoint, "%s", seat->shell->endpoint);
  return self;
}

static enum pd_err ask_store(struct pd_seat *seat, enum pd_lease_ask ask, pd_lease_fn *done) {
  struct pd_holder self = self_of(seat);
  const char *log = seat->shell->service->core->name;
  return pd_store_lease(seat->lease_store, log, ask, &self, others_of(seat), done, seat);
}

void pd_lease_free(struct pd_seat *seat, bool pause) {
  bool ours = seat->lease.until_ms != 0;
  pd_lease_drop(&seat->lease, pause, pd_clock_steady_ms());
  if (ours && ask_store(seat, PD_LEASE_FREE, on_freed) == PD_OK) seat->freeing++;
}

/* The lease ends by our clock before it ends in the store: until an answer comes, nothing leaves.
 */
static void note_lapse(struct pd_seat *seat) {
  bool lapsed = leads(seat) && !pd_seat_holds(seat);
  if (lapsed && !seat->lapsed) {
    pd_metric_add(seat->counts.losses, 1);
    seat_say(seat, PD_LEVEL_WARN,
             pd_kv_text("msg", "the lease could not be renewed in time: nothing is answered"));
  }
  if (!lapsed && seat->lapsed && leads(seat))
    seat_say(seat, PD_LEVEL_INFO, pd_kv_text("msg", "the lease is ours again"));
  seat->lapsed = lapsed;
}

void pd_lease_beat(struct pd_seat *seat) {
  if (seat->phase == PD_PHASE_BROKEN || seat->stopped) return;
  note_lapse(seat);
  uint32_t others = others_of(seat);
  bool able = seat->phase == PD_PHASE_FOLD && seat->fold.caught_up;
  bool wants = leads(seat) || (able && !seat->shell->stopping);
  if (pd_seat_leading(seat) && pd_lease_crowded(&seat->lease, others)) pd_live_drain(seat);
  enum pd_lease_ask ask = pd_lease_due(&seat->lease, wants, others, pd_clock_steady_ms());
  if (ask == PD_LEASE_NOTHING || ask_store(seat, ask, on_answer) == PD_OK) return;
  struct pd_lease_answer failed = {.found = PD_LEASE_FAILED};
  pd_lease_answer(&seat->lease, &failed, pd_clock_steady_ms());
}
