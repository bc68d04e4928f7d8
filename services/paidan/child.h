/* child - a program that `paidan up` runs: started, watched, stopped.  Ends with its parent,
 * however that ends. */
#ifndef PAIDAN_CHILD_H
#define PAIDAN_CHILD_H

#include "common/base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CHILD_WORDS 16

struct child {
  const char *name;               /* "intake", "log.redis" */
  const char *words[CHILD_WORDS]; /* argv, ends with NULL */
  const char *journal;            /* file that its output is appended to */
  const char *pid_file;
  pid_t pid;  /* 0: not running */
  int status; /* of its last end, as waitpid() gave it */
  uint32_t restarts;
  uint32_t zero;
  uint64_t started_ms;
  uint64_t wait_ms; /* before the next start; grows while it dies young */
  uint64_t next_ms; /* start it again at this time */
};

/* Start it and write its pid file.  PD_EIO: the system refused.  A program that cannot be executed
 * exits with 127. */
PD_MUST_USE enum pd_err child_start(struct child *child);

/* Has it ended?  Then notes how and when to start it again: after 100 ms, doubled up to 5 s while
 * it lives under 10 s. */
bool child_ended(struct child *child);

/* Send a signal if it runs. */
void child_signal(const struct child *child, int signal);

/* Wait up to limit_ms for its end, then kill it; removes the pid file. */
void child_stop(struct child *child, uint32_t limit_ms);

/* Milliseconds of a steady clock. */
uint64_t child_clock_ms(void);

#endif
