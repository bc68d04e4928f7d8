/* Any bytes as an event at the edge: what a grant leaves out is gone from what leaves, however the
 * event is put together, and everything else is still there.
 *
 * Records: an Event each.
 */
#include "common/wire/entry.h"
#include "services/gateway/events.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static struct grant grant;
static uint8_t memory[2][(size_t)4 << 20];

static void make_grant(void) {
  static const char *const fields[] = {"event.origin", "event.trace", "order_placed.note",
                                       "order_placed.place", "volunteer_registered.home",
                                       "service_started.principal", "points_posted.lines"};
  if (grant.redacts > 0) return;
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    const char *wrong = grant_add(&grant, "redact", fields[i]);
    pd_assert(wrong == NULL);
  }
}

static void check_gone(const struct pd_event *event) {
  pd_assert(event->origin == NULL && event->trace.len == 0);
  if (event->body_case == PD_EVENT_ORDER_PLACED)
    pd_assert(event->order_placed->note == NULL && event->order_placed->place == NULL);
  if (event->body_case == PD_EVENT_VOLUNTEER_REGISTERED)
    pd_assert(event->volunteer_registered->home == NULL);
  if (event->body_case == PD_EVENT_SERVICE_STARTED)
    pd_assert(event->service_started->principal[0] == 0);
  if (event->body_case == PD_EVENT_POINTS_POSTED) pd_assert(event->points_posted->n_lines == 0);
}

static void try_event(const uint8_t *bytes, size_t size) {
  static uint8_t out[UINT16_MAX + 1];
  struct pd_event_view read, reread;
  struct pd_arena before, after;
  if (!pd_event_look(&read, FUZZ_SHARD, bytes, size)) return;
  pd_assert(strnlen(read.topic, PD_EVENT_TOPIC) < PD_EVENT_TOPIC);
  pd_assert(strncmp(read.topic, "370302/", 7) == 0);
  size_t left = edge_event_redact(&read, &grant, out);
  pd_assert(left <= size);
  pd_arena_init(&before, memory[0], sizeof memory[0]);
  pd_arena_init(&after, memory[1], sizeof memory[1]);
  const struct pd_event *whole = pd_event_unpack(&before, bytes, size);
  const struct pd_event *part = pd_event_unpack(&after, out, left);
  if (whole != NULL) {
    pd_assert(part != NULL && pd_event_look(&reread, FUZZ_SHARD, out, left));
    pd_assert(part->seq == whole->seq && part->time_ms == whole->time_ms);
    pd_assert(part->body_case == whole->body_case && strcmp(read.topic, reread.topic) == 0);
    check_gone(part);
  }
  pd_arena_reset(&before);
  pd_arena_reset(&after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_record record;
  make_grant();
  for (size_t at = 0; fuzz_next(data, size, &at, &record);) try_event(record.bytes, record.size);
  return 0;
}

/* ---- making inputs ---- */

const ProtobufCMessageDescriptor *fuzz_type(uint8_t tag) {
  (void)tag;
  return &pd_event_descriptor;
}

uint8_t fuzz_tag(struct pd_rng *rng) { return (uint8_t)pd_rng_below(rng, 2); }

size_t fuzz_seed(uint32_t index, uint8_t *data, size_t max) {
  static const uint32_t kinds[] = {PD_EVENT_ORDER_PLACED, PD_EVENT_VOLUNTEER_REGISTERED,
                                   PD_EVENT_SERVICE_STARTED, PD_EVENT_POINTS_POSTED,
                                   PD_EVENT_EXTERNAL_NOTED, PD_EVENT_OFFER_MADE};
  static uint8_t bytes[8192];
  struct pd_rng rng;
  size_t used = 0;
  if (index >= 4) return 0;
  pd_rng_seed(&rng, index + 30);
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    size_t size = fuzz_make_kind(&rng, &pd_event_descriptor, kinds[i], bytes, 4096);
    used = fuzz_put(data, used, max, 0, bytes, size);
  }
  return used;
}
