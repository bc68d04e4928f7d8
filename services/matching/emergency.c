#include "services/matching/emergency.h"

bool emergency_is(const struct order *order) {
  pd_assert(order->id != 0);
  return order->kind == PD_ORDER_KIND_EMERGENCY || order->urgency == PD_URGENCY_EMERGENCY;
}

uint32_t emergency_size(const struct matching_policy *policy, const struct order *order) {
  uint64_t size = (uint64_t)policy->phase_offers * state_wanted_slots(order);
  pd_assert(size > 0 && policy->wave_max > 0);
  return size < policy->wave_max ? (uint32_t)size : policy->wave_max;
}

uint32_t emergency_ring_m(const struct matching_policy *policy, const struct order *order) {
  uint64_t ring_m = (uint64_t)policy->phase_ring_m * (order->wave + UINT64_C(1));
  pd_assert(ring_m > 0);
  return ring_m < policy->reach_m ? (uint32_t)ring_m : policy->reach_m;
}

uint32_t emergency_widened_m(const struct matching_policy *policy, uint32_t ring_m,
                             uint32_t distance_m) {
  pd_assert(policy->phase_ring_m > 0);
  if (distance_m <= ring_m) return ring_m;
  uint32_t rings = (distance_m + policy->phase_ring_m - 1) / policy->phase_ring_m;
  return rings * policy->phase_ring_m;
}
