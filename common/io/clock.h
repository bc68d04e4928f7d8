/* clock - the shard's time: anchor + (real - at) * factor, never falling.
 *
 * Only times that enter cores come from here; leases, heartbeats and sockets stay on real time.
 */
#ifndef PD_IO_CLOCK_H
#define PD_IO_CLOCK_H

#include <stdint.h>

struct pd_clock {
  int64_t anchor_ms; /* the shard's clock showed this ... */
  int64_t at_ms;     /* ... when the real one (Unix, UTC) showed this */
  int64_t factor;    /* 1 .. 1,000,000 */
  int64_t last_ms;   /* the latest time given out */
};

/* factor 1 with anchor and at 0 is the real clock.  Asserts the factor's range. */
void pd_clock_init(struct pd_clock *clock, int64_t anchor_ms, int64_t at_ms, uint64_t factor);

/* The shard's time at this real time; at least what was given out before.  Saturates instead of
 * overflowing. */
int64_t pd_clock_at(struct pd_clock *clock, int64_t real_ms);

/* The shard's time now. */
int64_t pd_clock_now(struct pd_clock *clock);

/* Time must not fall below what is in the log: raise the floor after replay. */
void pd_clock_floor(struct pd_clock *clock, int64_t shard_ms);

/* Real milliseconds from now until the shard's clock shows shard_ms, rounded up; 0 if it does
 * already; at most 1 hour, so that a timer built on it looks again after a jump of the real clock.
 */
uint64_t pd_clock_until(struct pd_clock *clock, int64_t shard_ms);

/* Milliseconds of a clock that nobody sets, and that runs while the machine sleeps: for leases. */
int64_t pd_clock_steady_ms(void);

/* Unix milliseconds of the machine. */
int64_t pd_clock_real_ms(void);

#endif
