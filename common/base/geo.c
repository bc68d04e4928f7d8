#include "common/base/geo.h"

#include "common/base/err.h"

#include <math.h>

#define LON_MAX_E7 INT32_C(1800000000)
#define LAT_MAX_E7 INT32_C(900000000)
#define SQUARE_E7 10000

/* The ellipsoid of GCJ-02 (Krasovsky 1940). */
#define GCJ_A 6378245.0
#define GCJ_EE 0.00669342162296594323

/* A place while it is being converted, in degrees. */
struct degrees {
  double lon;
  double lat;
};

typedef struct degrees (*shift)(struct degrees wgs84);

static double radians(double degrees) { return degrees * (M_PI / 180); }

static struct degrees degrees_of(struct pd_lonlat place) {
  return (struct degrees){.lon = place.lon_e7 / 1e7, .lat = place.lat_e7 / 1e7};
}

static struct pd_lonlat lonlat_of(struct degrees place) {
  return (struct pd_lonlat){
      .lon_e7 = (int32_t)lround(place.lon * 1e7),
      .lat_e7 = (int32_t)lround(place.lat * 1e7),
  };
}

bool pd_geo_valid(struct pd_lonlat place) {
  return place.lon_e7 >= -LON_MAX_E7 && place.lon_e7 <= LON_MAX_E7 && place.lat_e7 >= -LAT_MAX_E7 &&
         place.lat_e7 <= LAT_MAX_E7;
}

static bool is_shifted(struct degrees place) {
  return place.lon >= 72.004 && place.lon <= 137.8347 && place.lat >= 0.8293 &&
         place.lat <= 55.8271;
}

/* Two waves along one axis, as the published formula groups them. */
static double waves(double first, double at_first, double second, double at_second) {
  return (first * sin(at_first * M_PI) + second * sin(at_second * M_PI)) * 2 / 3;
}

/* Metres northward, of a place x degrees east of 105 E and y degrees north of 35 N. */
static double shift_north(double x, double y) {
  return -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * sqrt(fabs(x)) +
         waves(20, 6 * x, 20, 2 * x) + waves(20, y, 40, y / 3) + waves(160, y / 12, 320, y / 30);
}

/* Metres eastward, of the same place. */
static double shift_east(double x, double y) {
  return 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * sqrt(fabs(x)) +
         waves(20, 6 * x, 20, 2 * x) + waves(20, x, 40, x / 3) + waves(150, x / 12, 300, x / 30);
}

static struct degrees shift_to_gcj02(struct degrees place) {
  double x = place.lon - 105, y = place.lat - 35, phi = radians(place.lat);
  double w = sqrt(1 - GCJ_EE * sin(phi) * sin(phi));
  double north_m = GCJ_A * (1 - GCJ_EE) / (w * w * w), east_m = GCJ_A / w * cos(phi);
  return (struct degrees){
      .lon = place.lon + shift_east(x, y) / radians(east_m),
      .lat = place.lat + shift_north(x, y) / radians(north_m),
  };
}

static struct degrees shift_to_bd09(struct degrees place) {
  struct degrees gcj = shift_to_gcj02(place);
  double wave = M_PI * 3000 / 180;
  double radius = hypot(gcj.lon, gcj.lat) + 0.00002 * sin(gcj.lat * wave);
  double angle = atan2(gcj.lat, gcj.lon) + 0.000003 * cos(gcj.lon * wave);
  return (struct degrees){
      .lon = radius * cos(angle) + 0.0065,
      .lat = radius * sin(angle) + 0.006,
  };
}

static struct pd_lonlat convert(struct pd_lonlat place, shift to) {
  struct degrees from = degrees_of(place);
  return is_shifted(from) ? lonlat_of(to(from)) : place;
}

/* Every step divides the error by about a thousand: the shift changes by a metre or two in a
 * kilometre. */
static struct pd_lonlat convert_back(struct pd_lonlat place, shift to) {
  struct degrees shifted = degrees_of(place), found = shifted;
  for (int step = 0; step < 4; step++) {
    struct degrees there = to(found);
    found.lon += shifted.lon - there.lon;
    found.lat += shifted.lat - there.lat;
  }
  return is_shifted(found) ? lonlat_of(found) : place;
}

struct pd_lonlat pd_geo_wgs84_to_gcj02(struct pd_lonlat place) {
  return convert(place, shift_to_gcj02);
}

struct pd_lonlat pd_geo_wgs84_to_bd09(struct pd_lonlat place) {
  return convert(place, shift_to_bd09);
}

struct pd_lonlat pd_geo_gcj02_to_wgs84(struct pd_lonlat place) {
  return convert_back(place, shift_to_gcj02);
}

struct pd_lonlat pd_geo_bd09_to_wgs84(struct pd_lonlat place) {
  return convert_back(place, shift_to_bd09);
}

double pd_geo_distance_m(struct pd_lonlat a, struct pd_lonlat b) {
  struct degrees from = degrees_of(a), to = degrees_of(b);
  double north = sin(radians(to.lat - from.lat) / 2), east = sin(radians(to.lon - from.lon) / 2);
  double h = north * north + cos(radians(from.lat)) * cos(radians(to.lat)) * east * east;
  return 2 * PD_EARTH_M * asin(fmin(1, sqrt(h)));
}

static int32_t floor_div(int32_t value, int32_t by) {
  return value / by - (value % by < 0 ? 1 : 0);
}

static int32_t at_most(int32_t value, int32_t limit) { return value < limit ? value : limit; }

struct pd_square pd_geo_square(struct pd_lonlat place) {
  return (struct pd_square){
      .x = at_most(floor_div(place.lon_e7, SQUARE_E7), LON_MAX_E7 / SQUARE_E7 - 1),
      .y = at_most(floor_div(place.lat_e7, SQUARE_E7), LAT_MAX_E7 / SQUARE_E7 - 1),
  };
}

struct pd_lonlat pd_geo_center(struct pd_square square) {
  pd_assert(square.x >= -180000 && square.x < 180000);
  pd_assert(square.y >= -90000 && square.y < 90000);
  return (struct pd_lonlat){
      .lon_e7 = square.x * SQUARE_E7 + SQUARE_E7 / 2,
      .lat_e7 = square.y * SQUARE_E7 + SQUARE_E7 / 2,
  };
}

struct pd_box pd_box_empty(void) {
  return (struct pd_box){
      .min = {.lon_e7 = INT32_MAX, .lat_e7 = INT32_MAX},
      .max = {.lon_e7 = INT32_MIN, .lat_e7 = INT32_MIN},
  };
}

static bool box_is_empty(const struct pd_box *box) { return box->min.lon_e7 > box->max.lon_e7; }

void pd_box_add(struct pd_box *box, struct pd_lonlat place) {
  if (place.lon_e7 < box->min.lon_e7) box->min.lon_e7 = place.lon_e7;
  if (place.lat_e7 < box->min.lat_e7) box->min.lat_e7 = place.lat_e7;
  if (place.lon_e7 > box->max.lon_e7) box->max.lon_e7 = place.lon_e7;
  if (place.lat_e7 > box->max.lat_e7) box->max.lat_e7 = place.lat_e7;
}

static int32_t clamp(double value, int32_t limit) {
  return (int32_t)fmax(-limit, fmin(limit, value));
}

struct pd_box pd_box_widened(struct pd_box box, double metres) {
  pd_assert(metres >= 0);
  if (box_is_empty(&box)) return box;
  double north = ceil(metres / (PD_EARTH_M * radians(1e-7)));
  double south_edge = fabs(box.min.lat_e7 - north), north_edge = fabs(box.max.lat_e7 + north);
  double polar = fmin(fmax(south_edge, north_edge) / 1e7, 89.999);
  double east = ceil(north / cos(radians(polar)));
  return (struct pd_box){
      .min = {.lon_e7 = clamp(box.min.lon_e7 - east, LON_MAX_E7),
              .lat_e7 = clamp(box.min.lat_e7 - north, LAT_MAX_E7)},
      .max = {.lon_e7 = clamp(box.max.lon_e7 + east, LON_MAX_E7),
              .lat_e7 = clamp(box.max.lat_e7 + north, LAT_MAX_E7)},
  };
}

bool pd_box_holds(const struct pd_box *box, struct pd_lonlat place) {
  return place.lon_e7 >= box->min.lon_e7 && place.lon_e7 <= box->max.lon_e7 &&
         place.lat_e7 >= box->min.lat_e7 && place.lat_e7 <= box->max.lat_e7;
}
