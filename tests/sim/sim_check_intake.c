#include "tests/sim/sim.h"
void sim_check_intake(struct sim *sim, const struct sim_history *history) {
  (void)sim;
  (void)history;
}
