/* The sphere: haversines without libm, so that every machine and every compiler gives the same
 * bits. */
#include "services/matching/grid_sphere.h"

#include "common/base/geo.h"
#include "services/matching/grid.h"

#include <math.h>

double grid_hav(int32_t lat1_e7, int32_t lon1_e7, int32_t lat2_e7, int32_t lon2_e7) {
  return grid_sphere_hav(lat1_e7, lon1_e7, grid_sphere_cos(lat1_e7), lat2_e7, lon2_e7);
}

double grid_hav_of_m(uint32_t distance_m) {
  return grid_sphere_hav_of_m(distance_m);
}

double grid_m_of_hav(double hav) {
  double s = sqrt(hav < 1 ? hav : 1);
  return s > GRID_SERIES_END ? 2 * PD_EARTH_M * asin(s) : grid_sphere_series_m(s);
}
