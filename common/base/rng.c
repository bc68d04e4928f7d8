#include "common/base/rng.h"

#include "common/base/err.h"

static uint64_t rotated(uint64_t word, int bits) { return word << bits | word >> (64 - bits); }

/* Any 64 bits become a state that is not all zero: SplitMix64 (S. Vigna, public domain). */
void pd_rng_seed(struct pd_rng *rng, uint64_t seed) {
  for (int i = 0; i < 4; i++) {
    seed += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t word = seed;
    word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
    rng->state[i] = word ^ word >> 31;
  }
}

/* Xoshiro256** 1.0 (D. Blackman and S. Vigna, public domain). */
uint64_t pd_rng_next(struct pd_rng *rng) {
  uint64_t *s = rng->state, result = rotated(s[1] * 5, 7) * 9, shifted = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= shifted;
  s[3] = rotated(s[3], 45);
  return result;
}

uint64_t pd_rng_below(struct pd_rng *rng, uint64_t limit) {
  pd_assert(limit > 0);
  /* 2^64 mod limit: that many would be too many */
  uint64_t uneven = (UINT64_MAX - limit + 1) % limit;
  for (;;) {
    uint64_t drawn = pd_rng_next(rng);
    if (drawn >= uneven) return drawn % limit;
  }
}

double pd_rng_unit(struct pd_rng *rng) { return (double)(pd_rng_next(rng) >> 11) * 0x1p-53; }
