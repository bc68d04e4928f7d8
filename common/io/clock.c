#include "common/io/clock.h"

#include "common/base/err.h"

#include <stdbool.h>

#include <time.h>

enum { FACTOR_MAX = 1000000, HOUR_MS = 3600000 };

void pd_clock_init(struct pd_clock *clock, int64_t anchor_ms, int64_t at_ms, uint64_t factor) {
  pd_assert(factor >= 1 && factor <= FACTOR_MAX);
  *clock = (struct pd_clock){.anchor_ms = anchor_ms, .at_ms = at_ms, .factor = (int64_t)factor};
}

/* anchor + (real - at) * factor, held at the ends of the range. */
static int64_t scaled(const struct pd_clock *clock, int64_t real_ms) {
  int64_t passed, stretched, shard_ms;
  bool over = __builtin_sub_overflow(real_ms, clock->at_ms, &passed) ||
              __builtin_mul_overflow(passed, clock->factor, &stretched) ||
              __builtin_add_overflow(clock->anchor_ms, stretched, &shard_ms);
  if (over) return real_ms < clock->at_ms ? INT64_MIN : INT64_MAX - 1;
  return shard_ms;
}

int64_t pd_clock_at(struct pd_clock *clock, int64_t real_ms) {
  int64_t shard_ms = scaled(clock, real_ms);
  if (shard_ms > clock->last_ms) clock->last_ms = shard_ms;
  return clock->last_ms;
}

int64_t pd_clock_now(struct pd_clock *clock) {
  return pd_clock_at(clock, pd_clock_real_ms());
}

void pd_clock_floor(struct pd_clock *clock, int64_t shard_ms) {
  if (shard_ms > clock->last_ms) clock->last_ms = shard_ms;
}

uint64_t pd_clock_until(struct pd_clock *clock, int64_t shard_ms) {
  int64_t now_ms = pd_clock_now(clock);
  if (shard_ms <= now_ms) return 0;
  /* The clock may stand at its floor: what counts is when the scaled time itself gets there. */
  int64_t from = scaled(clock, pd_clock_real_ms());
  int64_t left;
  if (__builtin_sub_overflow(shard_ms, from, &left)) return HOUR_MS;
  int64_t real = left / clock->factor + (left % clock->factor != 0);
  return real < HOUR_MS ? (uint64_t)real : HOUR_MS;
}

int64_t pd_clock_real_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t pd_clock_steady_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
