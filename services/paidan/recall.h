/* recall - the matcher's core, replayed from the logs in the recorded order.
 *
 * Whoever asks why, or what is open, asks the core itself as it stood at that time: the same rules
 * over the same facts, with the policy that the log had adopted by then.  Nothing is guessed.
 */
#ifndef PAIDAN_RECALL_H
#define PAIDAN_RECALL_H

#include "services/matching/matching_core.h"
#include "services/paidan/cursor.h"
#include "services/paidan/tool.h"

struct recall {
  struct matching *core;
  struct pd_store_now *store; /* owned: of the tool's logs */
  void *memory;
  struct {
    struct cursor cursor;
    uint64_t seq; /* applied */
  } inputs[PD_LOGS];
};

/* What is called with each event before the core applies it; matching's own and its inputs alike.
 */
typedef void recall_fn(void *context, const struct pd_event *event);

/* Open the logs and build a core; then replay all of them.  Says what is wrong; returns the exit
 * code.  recall_close() is right in any case, on a zeroed struct too. */
PD_MUST_USE int recall_run(struct recall *recall, struct tool *tool, recall_fn *look,
                           void *context);
void recall_close(struct recall *recall);

#endif
