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
  double half = (double)distance_m / (2 * PD_EARTH_M);
  if (half >= GRID_PI / 2) return 1;
  double sine = grid_sphere_sin(half);
  return sine * sine;
}

double grid_m_of_hav(double hav) {
  double s = sqrt(hav < 1 ? hav : 1);
  if (s > 0.02) return 2 * PD_EARTH_M * asin(s);
  /* asin's own series; the first term left out is under 1e-17 here. */
  double q = s * s;
  return 2 * PD_EARTH_M * s *
         (1 + q * (1.0 / 6 + q * (3.0 / 40 + q * (15.0 / 336 + q * (105.0 / 3456)))));
}
