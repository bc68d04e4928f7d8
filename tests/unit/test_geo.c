/* Datums, cells, distances and boxes. */
#include "common/base/geo.h"
#include "common/base/rng.h"

#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>

static struct pd_lonlat place(double lon, double lat) {
  return (struct pd_lonlat){.lon_e7 = (int32_t)lround(lon * 1e7),
                            .lat_e7 = (int32_t)lround(lat * 1e7)};
}

static bool near(struct pd_lonlat a, struct pd_lonlat b, int32_t units) {
  return abs(a.lon_e7 - b.lon_e7) <= units && abs(a.lat_e7 - b.lat_e7) <= units;
}

static bool same(struct pd_lonlat a, struct pd_lonlat b) { return near(a, b, 0); }

static struct pd_lonlat random_place(struct pd_rng *rng, double west, double south, double east,
                                     double north) {
  /* in two steps: C leaves the order of arguments open */
  double lon = west + (east - west) * pd_rng_unit(rng);
  return place(lon, south + (north - south) * pd_rng_unit(rng));
}

/* Tian'anmen in three datums, as the coordtransform library publishes it. */
Test(geo, known_places_convert_to_their_published_coordinates) {
  struct pd_lonlat wgs84 = place(116.404, 39.915), gcj02 = pd_geo_wgs84_to_gcj02(wgs84);
  cr_expect(same(gcj02, place(116.41024449916938, 39.91640428150164)), "%d %d", gcj02.lon_e7,
            gcj02.lat_e7);
  struct pd_lonlat bd09 = pd_geo_wgs84_to_bd09(pd_geo_gcj02_to_wgs84(wgs84));
  cr_expect(near(bd09, place(116.41036949371029, 39.92133699351021), 1), "%d %d", bd09.lon_e7,
            bd09.lat_e7);
}

/* What is lost is the rounding to 1e-7 degree on the way there, at most one unit (11 mm) after the
 * way back. */
Test(geo, every_datum_comes_back_to_within_its_rounding) {
  struct pd_rng rng;
  pd_rng_seed(&rng, 1);
  for (int i = 0; i < 200000; i++) {
    struct pd_lonlat wgs84 = random_place(&rng, 72.02, 0.84, 137.82, 55.81);
    struct pd_lonlat gcj02 = pd_geo_wgs84_to_gcj02(wgs84), bd09 = pd_geo_wgs84_to_bd09(wgs84);
    cr_assert(near(pd_geo_gcj02_to_wgs84(gcj02), wgs84, 1), "%d %d", wgs84.lon_e7, wgs84.lat_e7);
    cr_assert(near(pd_geo_bd09_to_wgs84(bd09), wgs84, 1), "%d %d", wgs84.lon_e7, wgs84.lat_e7);
  }
}

Test(geo, a_map_on_a_phone_is_off_by_tens_to_hundreds_of_metres) {
  struct pd_rng rng;
  pd_rng_seed(&rng, 2);
  double least = 1e9, most = 0;
  for (int i = 0; i < 100000; i++) {
    struct pd_lonlat wgs84 = random_place(&rng, 73.5, 18.2, 135.0, 53.5);
    double off = pd_geo_distance_m(wgs84, pd_geo_wgs84_to_gcj02(wgs84));
    least = fmin(least, off);
    most = fmax(most, off);
  }
  cr_expect(least > 10 && least < 60, "%f", least);
  cr_expect(most > 600 && most < 720, "%f", most);
}

Test(geo, a_map_of_baidu_differs_by_about_a_kilometre_in_beijing) {
  double off =
      pd_geo_distance_m(place(116.404, 39.915), pd_geo_wgs84_to_bd09(place(116.404, 39.915)));
  cr_expect(off > 900 && off < 1700, "%f", off);
}

Test(geo, outside_the_published_box_all_datums_are_one) {
  const struct pd_lonlat abroad[] = {
      place(-74.006, 40.7128), place(2.35, 48.86),  place(180, 90),     place(-180, -90),
      place(72.003, 40),       place(137.8348, 40), place(100, 0.8292), place(100, 55.8272)};
  for (size_t i = 0; i < sizeof abroad / sizeof *abroad; i++) {
    cr_expect(same(pd_geo_wgs84_to_gcj02(abroad[i]), abroad[i]));
    cr_expect(same(pd_geo_wgs84_to_bd09(abroad[i]), abroad[i]));
  }
  for (int i = 0; i < 4; i++) {
    cr_expect(same(pd_geo_gcj02_to_wgs84(abroad[i]), abroad[i]));
    cr_expect(same(pd_geo_bd09_to_wgs84(abroad[i]), abroad[i]));
  }
}

Test(geo, distances_agree_with_the_sphere) {
  double degree = M_PI / 180 * PD_EARTH_M;
  cr_expect_float_eq(pd_geo_distance_m(place(116, 39), place(116, 40)), degree, 1e-3);
  cr_expect_float_eq(pd_geo_distance_m(place(0, 0), place(1, 0)), degree, 1e-3);
  cr_expect_float_eq(pd_geo_distance_m(place(0, 0), place(180, 0)), 180 * degree, 1e-3);
  cr_expect_float_eq(pd_geo_distance_m(place(0, 90), place(77, -90)), 180 * degree, 1e-3);
  cr_expect_float_eq(pd_geo_distance_m(place(179.5, 0), place(-179.5, 0)), degree, 1e-3);
  cr_expect_eq(pd_geo_distance_m(place(116.4, 39.9), place(116.4, 39.9)), 0);
}

Test(geo, distances_agree_with_the_spherical_law_of_cosines) {
  struct pd_rng rng;
  pd_rng_seed(&rng, 3);
  for (int i = 0; i < 10000; i++) {
    struct pd_lonlat a = random_place(&rng, -180, -89, 180, 89),
                     b = random_place(&rng, -180, -89, 180, 89);
    double d = M_PI / 180 / 1e7, f = a.lat_e7 * d, g = b.lat_e7 * d,
           l = (a.lon_e7 - (double)b.lon_e7) * d;
    double cosine = sin(f) * sin(g) + cos(f) * cos(g) * cos(l);
    cr_assert_float_eq(pd_geo_distance_m(a, b), PD_EARTH_M * acos(fmax(-1, fmin(1, cosine))), 0.5);
    cr_assert_float_eq(pd_geo_distance_m(a, b), pd_geo_distance_m(b, a), 1e-6);
  }
}

Test(geo, only_places_on_the_earth_are_valid) {
  cr_expect(pd_geo_valid(place(180, 90)));
  cr_expect(pd_geo_valid(place(-180, -90)));
  cr_expect_not(pd_geo_valid((struct pd_lonlat){.lon_e7 = 1800000001}));
  cr_expect_not(pd_geo_valid((struct pd_lonlat){.lat_e7 = -900000001}));
  cr_expect_not(pd_geo_valid((struct pd_lonlat){.lon_e7 = INT32_MIN, .lat_e7 = INT32_MAX}));
}

Test(geo, a_cell_holds_its_south_west_edges) {
  struct pd_square square = pd_geo_square(place(116.404, 39.915));
  cr_expect(square.x == 116404 && square.y == 39915);
  square = pd_geo_square(place(116.4039999, 39.9149999));
  cr_expect(square.x == 116403 && square.y == 39914);
  square = pd_geo_square(place(-0.0000001, -0.001));
  cr_expect(square.x == -1 && square.y == -1);
  square = pd_geo_square(place(180, 90));
  cr_expect(square.x == 179999 && square.y == 89999);
  square = pd_geo_square(place(-180, -90));
  cr_expect(square.x == -180000 && square.y == -90000);
}

Test(geo, the_centre_of_a_cell_lies_in_it) {
  struct pd_rng rng;
  pd_rng_seed(&rng, 4);
  for (int i = 0; i < 10000; i++) {
    struct pd_lonlat somewhere = random_place(&rng, -180, -90, 180, 90);
    struct pd_square square = pd_geo_square(somewhere);
    struct pd_lonlat center = pd_geo_center(square);
    struct pd_square again = pd_geo_square(center);
    cr_assert(again.x == square.x && again.y == square.y);
    cr_assert(near(center, somewhere, 5000));
  }
}

Test(geo, a_cell_off_the_earth_has_no_centre, .signal = SIGABRT) {
  pd_geo_center((struct pd_square){.x = 180000});
}

Test(geo, a_box_of_nothing_holds_nothing_even_when_widened) {
  struct pd_box box = pd_box_empty(), wide = pd_box_widened(box, 5000);
  cr_expect_not(pd_box_holds(&box, place(0, 0)));
  cr_expect_not(pd_box_holds(&wide, place(0, 0)));
}

Test(geo, a_box_holds_what_was_added_and_nothing_beyond) {
  struct pd_box box = pd_box_empty();
  pd_box_add(&box, place(116.4, 39.8));
  cr_expect(pd_box_holds(&box, place(116.4, 39.8)));
  pd_box_add(&box, place(116.6, 40.0));
  cr_expect(pd_box_holds(&box, place(116.5, 39.9)));
  cr_expect_not(pd_box_holds(&box, place(116.6000001, 39.9)));
  cr_expect_not(pd_box_holds(&box, place(116.5, 39.7999999)));
}

Test(geo, a_widened_box_reaches_at_least_so_far_and_hardly_farther) {
  for (double lat = -85; lat <= 85; lat += 5) {
    struct pd_box box = pd_box_empty();
    pd_box_add(&box, place(10, lat));
    struct pd_box wide = pd_box_widened(box, 5000);
    struct pd_lonlat east = {.lon_e7 = wide.max.lon_e7, .lat_e7 = box.max.lat_e7};
    struct pd_lonlat north = {.lon_e7 = box.max.lon_e7, .lat_e7 = wide.max.lat_e7};
    double east_m = pd_geo_distance_m(box.max, east), north_m = pd_geo_distance_m(box.max, north);
    cr_expect(east_m >= 4999.9 && east_m < 5100, "%f at %f", east_m, lat);
    cr_expect(north_m >= 5000 && north_m < 5000.1, "%f at %f", north_m, lat);
  }
}

Test(geo, a_box_at_the_pole_spans_the_whole_round_and_stays_on_the_earth) {
  struct pd_box box = pd_box_empty();
  pd_box_add(&box, place(0, 89.9999));
  struct pd_box wide = pd_box_widened(box, 1e5);
  cr_expect(pd_geo_valid(wide.min) && pd_geo_valid(wide.max));
  cr_expect(pd_box_holds(&wide, place(180, 90)) && pd_box_holds(&wide, place(-180, 89.9)));
}
