/* grid_sphere - the arithmetic that decides, inlined into every variant of the scan.
 *
 * Only +, -, * on doubles in a fixed order, without contraction: scalar and vector code give the
 * same bits.
 */
#ifndef MATCHING_GRID_SPHERE_H
#define MATCHING_GRID_SPHERE_H

#include "common/base/geo.h"

#include <stdint.h>

#define GRID_PI 3.14159265358979323846
#define GRID_RADIAN_E7 (GRID_PI / 1800000000.0) /* one 1e-7 degree */

/* Sine for |x| <= pi/2: its Taylor series up to x^21, whose remainder is under 2e-18 of x there. */
static inline double grid_sphere_sin(double x) {
  double q = x * x;
  double sum = 1.0 / 51090942171709440000.0;
  sum = sum * q - 1.0 / 121645100408832000.0;
  sum = sum * q + 1.0 / 355687428096000.0;
  sum = sum * q - 1.0 / 1307674368000.0;
  sum = sum * q + 1.0 / 6227020800.0;
  sum = sum * q - 1.0 / 39916800.0;
  sum = sum * q + 1.0 / 362880.0;
  sum = sum * q - 1.0 / 5040.0;
  sum = sum * q + 1.0 / 120.0;
  sum = sum * q - 1.0 / 6.0;
  return x + x * (sum * q);
}

/* Cosine of a latitude in 1e-7 degree: the sine of its complement. */
static inline double grid_sphere_cos(int32_t lat_e7) {
  double lat = (double)lat_e7;
  return grid_sphere_sin((900000000.0 - (lat < 0 ? -lat : lat)) * GRID_RADIAN_E7);
}

/* Half the shorter way round from one longitude to another, radians, 0 .. pi/2.  Exact in units: a
 * double holds them all. */
static inline double grid_sphere_half_lon(int32_t lon1_e7, int32_t lon2_e7) {
  double between = (double)lon1_e7 - (double)lon2_e7;
  between = between < 0 ? -between : between;
  between = between > 1800000000.0 ? 3600000000.0 - between : between;
  return between * (GRID_RADIAN_E7 / 2);
}

/* Haversine, given the cosine of the first latitude.  Without branches, so that a loop over many
 * becomes vector code with the same roundings. */
static inline double grid_sphere_hav(int32_t lat1_e7, int32_t lon1_e7, double cos1, int32_t lat2_e7,
                                     int32_t lon2_e7) {
  double between = (double)lat1_e7 - (double)lat2_e7;
  double north = grid_sphere_sin(between * (GRID_RADIAN_E7 / 2));
  double east = grid_sphere_sin(grid_sphere_half_lon(lon1_e7, lon2_e7));
  return north * north + cos1 * grid_sphere_cos(lat2_e7) * (east * east);
}

/* The haversine of a distance in metres, 1 from half the circumference on. */
static inline double grid_sphere_hav_of_m(uint32_t distance_m) {
  double half = (double)distance_m * (1 / (2 * PD_EARTH_M));
  double sine = grid_sphere_sin(half < GRID_PI / 2 ? half : GRID_PI / 2);
  return half < GRID_PI / 2 ? sine * sine : 1;
}

/* Twice the arc sine's series, for sines up to GRID_SERIES_END: the first term left out is under
 * 1e-17 of the result there. */
#define GRID_SERIES_END 0.02
static inline double grid_sphere_series_m(double s) {
  double q = s * s;
  double sum = 1.0 / 6 + q * (3.0 / 40 + q * (15.0 / 336 + q * (105.0 / 3456)));
  return 2 * PD_EARTH_M * (s + s * (q * sum));
}

#endif
