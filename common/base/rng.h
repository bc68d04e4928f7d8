/* rng - seeded pseudo-random numbers (xoshiro256**) for the simulator, tests and tools; never for
 * ids or keys. */
#ifndef PD_BASE_RNG_H
#define PD_BASE_RNG_H

#include <stdint.h>

struct pd_rng {
  uint64_t state[4];
};

/* Any seed will do, 0 too. */
void pd_rng_seed(struct pd_rng *rng, uint64_t seed);

/* 64 random bits. */
uint64_t pd_rng_next(struct pd_rng *rng);

/* Uniform in 0 .. limit - 1, without bias; limit > 0. */
uint64_t pd_rng_below(struct pd_rng *rng, uint64_t limit);

/* Uniform in [0, 1). */
double pd_rng_unit(struct pd_rng *rng);

#endif
