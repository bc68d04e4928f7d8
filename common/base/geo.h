/* geo - places on the earth: datums, cells, distances.
 *
 * Inside Paidan every place is WGS-84 in 1e-7 degree; clients' maps are converted at the door.
 */
#ifndef PD_BASE_GEO_H
#define PD_BASE_GEO_H

#include <stdbool.h>
#include <stdint.h>

struct pd_lonlat {
  int32_t lon_e7; /* -1,800,000,000 .. 1,800,000,000 */
  int32_t lat_e7; /* -900,000,000 .. 900,000,000 */
};

struct pd_square { /* a cell of 0.001 degree, as the contract's Cell */
  int32_t x;
  int32_t y;
};

struct pd_box {
  struct pd_lonlat min;
  struct pd_lonlat max;
};

/* Mean earth radius, metres (IUGG). */
#define PD_EARTH_M 6371008.8

/* On the earth? */
bool pd_geo_valid(struct pd_lonlat place);

/* Convert between datums, places on the earth only.  The way back is found by fixed-point steps, to
 * far less than 1 mm, so that rounding to 1e-7 degree (11 mm) is all that is lost.  GCJ-02 and
 * BD-09 are shifted only within the published box (72.004..137.8347 E, 0.8293..55.8271 N of
 * WGS-84); elsewhere they are WGS-84. */
struct pd_lonlat pd_geo_gcj02_to_wgs84(struct pd_lonlat place);
struct pd_lonlat pd_geo_wgs84_to_gcj02(struct pd_lonlat place);
struct pd_lonlat pd_geo_bd09_to_wgs84(struct pd_lonlat place);
struct pd_lonlat pd_geo_wgs84_to_bd09(struct pd_lonlat place);

/* Great-circle distance (haversine on PD_EARTH_M), metres. */
double pd_geo_distance_m(struct pd_lonlat a, struct pd_lonlat b);

/* The cell that holds a place (180 E and 90 N belong to the last one), and a cell's centre. */
struct pd_square pd_geo_square(struct pd_lonlat place);
struct pd_lonlat pd_geo_center(struct pd_square square);

/* A box of nothing; grow it by places; widen it by metres (at least, never past the poles or 180 E;
 * nothing stays nothing); is a place in it, edges included?  No box crosses 180 E. */
struct pd_box pd_box_empty(void);
void pd_box_add(struct pd_box *box, struct pd_lonlat place);
struct pd_box pd_box_widened(struct pd_box box, double metres);
bool pd_box_holds(const struct pd_box *box, struct pd_lonlat place);

#endif
