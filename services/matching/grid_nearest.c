/* Queries: make ready, choose the scan, and the parts that are exact or rare. */
#include "common/base/err.h"
#include "common/base/geo.h"
#include "services/matching/grid.h"
#include "services/matching/grid_sphere.h"
#include "services/matching/grid_table.h"

#include <math.h>
#include <string.h>

/* The scan is for radii up to this many radians, divided by the cosine of the outmost latitude;
 * beyond, everybody is looked at. */
#define SCAN_MOST 0.05

static bool before(const struct grid_hit *a, const struct grid_hit *b) {
  if (a->hav < b->hav || a->hav > b->hav) return a->hav < b->hav;
  return a->member < b->member;
}

static void sift(struct grid_hit *hits, uint32_t at, uint32_t count) {
  struct grid_hit hit = hits[at];
  for (;;) {
    uint32_t child = 2 * at + 1;
    if (child >= count) break;
    if (child + 1 < count && before(&hits[child], &hits[child + 1])) child++;
    if (!before(&hit, &hits[child])) break;
    hits[at] = hits[child];
    at = child;
  }
  hits[at] = hit;
}

void grid_sort(struct grid_hit *hits, uint32_t count) {
  if (count <= 32) {
    for (uint32_t i = 1; i < count; i++) {
      struct grid_hit hit = hits[i];
      uint32_t at = i;
      for (; at > 0 && before(&hit, &hits[at - 1]); at--) hits[at] = hits[at - 1];
      hits[at] = hit;
    }
    return;
  }
  for (uint32_t i = count / 2; i-- > 0;) sift(hits, i, count);
  for (uint32_t end = count - 1; end > 0; end--) {
    struct grid_hit top = hits[0];
    hits[0] = hits[end];
    hits[end] = top;
    sift(hits, 0, end);
  }
}

void grid_settle(const struct grid *grid, const struct grid_seek *seek, struct grid_bag *bag) {
  struct grid_hit all[GRID_BAG];
  struct grid_bag was;
  uint32_t count = 0;
  pd_assert(bag->count <= GRID_BAG);
  memcpy(was.near, bag->near, sizeof(float) * bag->count);
  memcpy(was.slot, bag->slot, sizeof(uint32_t) * bag->count);
  for (uint32_t i = 0; i < bag->count; i++) {
    const struct grid_block *block = &grid->blocks[bag->slot[i] / GRID_LANES];
    uint32_t lane = bag->slot[i] % GRID_LANES;
    struct grid_hit hit = {.member = block->member[lane], .zero = i};
    hit.hav = grid_hav(seek->lat_e7, seek->lon_e7, block->lat_e7[lane], block->lon_e7[lane]);
    if (hit.hav <= seek->hav_max) all[count++] = hit;
  }
  grid_sort(all, count);
  bag->count = 0;
  for (uint32_t i = 0; i < count && i < seek->k; i++) {
    float near = was.near[all[i].zero];
    uint32_t at = bag->count++;
    for (; at > 0 && bag->near[at - 1] > near; at--) { /* nearly in order already */
      bag->near[at] = bag->near[at - 1];
      bag->slot[at] = bag->slot[at - 1];
    }
    bag->near[at] = near;
    bag->slot[at] = was.slot[all[i].zero];
  }
  pd_assert(bag->count <= seek->k && bag->count <= count);
}

/* Is this within the member's own radius?  1: yes, 0: no, -1: only the haversine can tell.  For a
 * small angle x, sin2 x is x2 less a third of x4, at most. */
static int within_own(const struct grid_seek *seek, uint32_t radius_m, float near) {
  float half = (float)radius_m * (float)(0.5 / PD_EARTH_M);
  float limit = GRID_NEAR * half * half;
  if (half > 0.01f) return -1;
  if (near > limit * seek->slack) return 0;
  return near * seek->slack < limit * (1 - half * half) ? 1 : -1;
}

bool grid_accepts(const struct grid *grid, const struct grid_seek *seek, float near,
                  uint32_t slot) {
  const struct grid_block *block = &grid->blocks[slot / GRID_LANES];
  uint32_t lane = slot % GRID_LANES;
  bool later = near > seek->after_near;
  int own = seek->own ? within_own(seek, grid->radius_m[block->member[lane]], near) : 1;
  if (own == 0 || (later && own == 1)) return own == 1;
  struct grid_hit hit = {.member = block->member[lane]};
  struct grid_hit after = {.hav = seek->after_hav, .member = seek->after_member};
  hit.hav = grid_hav(seek->lat_e7, seek->lon_e7, block->lat_e7[lane], block->lon_e7[lane]);
  if (!later && !before(&after, &hit)) return false;
  return own == 1 || hit.hav <= grid_hav_of_m(grid->radius_m[hit.member]);
}

/* ---- everybody: for radii that are large against the earth, and the poles ---- */

static uint32_t keep(struct grid_hit *hits, uint32_t found, uint32_t k, struct grid_hit hit) {
  if (found == k && !before(&hit, &hits[k - 1])) return found;
  uint32_t at = found < k ? found : k - 1;
  for (; at > 0 && before(&hit, &hits[at - 1]); at--) hits[at] = hits[at - 1];
  hits[at] = hit;
  return found < k ? found + 1 : found;
}

static uint32_t scan_everybody(const struct grid *grid, const struct grid_seek *seek,
                               struct grid_hit *hits) {
  const struct grid_hit after = {.hav = seek->after_hav, .member = seek->after_member};
  uint32_t found = 0;
  for (uint32_t i = 0; i < grid->capacity; i++) {
    const struct grid_hot *hot = &grid->hot[i];
    if (hot->slot == 0 || (hot->mask & seek->need) != seek->need) continue;
    struct grid_hit hit = {.member = i};
    hit.hav = grid_sphere_hav(seek->lat_e7, seek->lon_e7, seek->cos1, hot->lat_e7, hot->lon_e7);
    if (hit.hav > seek->hav_max || !before(&after, &hit)) continue;
    if (seek->own && hit.hav > grid_hav_of_m(grid->radius_m[i])) continue;
    found = keep(hits, found, seek->k, hit);
  }
  pd_assert(found <= seek->k);
  for (uint32_t i = 0; i < found; i++) hits[i].distance_m = grid_m_of_hav(hits[i].hav);
  return found;
}

/* ---- making ready ---- */

static int32_t clamped(int32_t value, int32_t limit) {
  if (value > limit) return limit;
  return value < -limit ? -limit : value;
}

/* Members with all the needed bits, as a share of all, if the bits were independent. */
static float share_with(const struct grid *grid, uint32_t need) {
  float all = (float)(grid->facts->count + 1), share = 1;
  for (; need; need &= need - 1) {
    float with = (float)(grid->facts->with[__builtin_ctz(need)] + 1);
    share *= with / all;
  }
  return share;
}

static struct grid_seek seek_of(const struct grid_query *query, const struct grid_hit *after) {
  struct grid_seek seek = {.need = query->need, .k = query->k};
  seek.lat_e7 = clamped(query->lat_e7, 900000000);
  seek.lon_e7 = clamped(query->lon_e7, 1800000000);
  seek.cos1 = grid_sphere_cos(seek.lat_e7);
  seek.hav_max = query->radius_m == GRID_ANYWHERE ? 1 : grid_sphere_hav_of_m(query->radius_m);
  seek.own = query->flags & GRID_OWN_RADIUS;
  seek.after_hav = after ? after->hav : -1;
  seek.after_member = after ? after->member : 0;
  seek.picky = after != NULL || seek.own;
  return seek;
}

/* The factors of near for everything within `radius` (radians); false if that is too far for it.
 *
 * Margin: sin2 x is x2 (1 - x2/3 ...), which takes angles of `wide` at most; the cosine of the
 * other latitude is expanded to first order, leaving radius2 / 2 of it; floats add under 1e-6. */
static bool seek_scale(struct grid_seek *seek, double radius) {
  pd_assert(radius >= 0);
  double sine = seek->lat_e7 < 0 ? -1 : 1; /* of the latitude; its sign first */
  double square = 1 - seek->cos1 * seek->cos1;
  sine *= sqrt(square > 0 ? square : 0);
  /* cos(lat + radius), from below */
  double cos_min = seek->cos1 - (sine < 0 ? -sine : sine) * radius - radius * radius;
  if (cos_min * SCAN_MOST < radius || cos_min <= 0) return false;
  double wide = radius / cos_min, margin = 2e-6 + 2 * wide * wide;
  double unit = 4 / (GRID_RADIAN_E7 * GRID_RADIAN_E7);
  seek->east = (float)(seek->cos1 * seek->cos1);
  seek->lean = (float)(seek->cos1 * sine * GRID_RADIAN_E7);
  seek->slack = (float)(1 + 2 * margin);
  seek->narrow = (float)((1 + margin) / (seek->cos1 * cos_min));
  seek->limit = (float)(seek->hav_max * unit * (1 + 2 * margin));
  seek->after_near = (float)(seek->after_hav * unit * (1 + 2 * margin));
  int64_t reach = (int64_t)(wide * (1 / GRID_RADIAN_E7)) + 2;
  int64_t other = seek->lon_e7 + (int64_t)(seek->lon_e7 < 0 ? 3600000000 : -3600000000);
  seek->crosses = seek->lon_e7 + reach > 1800000000 || seek->lon_e7 - reach < -1800000000;
  seek->other_lon_e7 = seek->crosses ? (int32_t)other : 0;
  return true;
}

uint32_t grid_nearest(const struct grid *grid, const struct grid_query *query,
                      const struct grid_hit *after, struct grid_hit *hits) {
  static grid_scan *const scans[GRID_ISA_COUNT] = {
      [GRID_PLAIN] = grid_scan_plain,
#ifdef MATCHING_X86
      [GRID_AVX2] = grid_scan_avx2,
      [GRID_AVX512] = grid_scan_avx512,
#endif
  };
  pd_assert(query->k <= GRID_K_MAX);
  if (query->k == 0 || grid->facts->count == 0) return 0;
  struct grid_seek seek = seek_of(query, after);
  double radius = (double)query->radius_m / PD_EARTH_M, most = SCAN_MOST / 4 * seek.cos1;
  double hav_max = seek.hav_max;
  bool capped = radius > most;
  if (capped) { /* the first try; if it finds k they are the nearest of all */
    double sine = grid_sphere_sin(most / 2);
    radius = most;
    seek.hav_max = sine * sine;
  }
  if (seek_scale(&seek, radius)) {
    seek.share = share_with(grid, query->need);
    uint32_t found = scans[grid->isa](grid, &seek, hits);
    pd_assert(found <= query->k);
    if (!capped || found == query->k) return found;
  }
  seek.hav_max = hav_max;
  return scan_everybody(grid, &seek, hits);
}

/* ---- many at once ---- */

#define AHEAD_QUERY 4

/* The upper half of a number's bits, each followed by a zero. */
static uint32_t spread(uint32_t units) {
  uint32_t bits = units >> 16;
  bits = (bits | bits << 8) & 0x00ff00ff;
  bits = (bits | bits << 4) & 0x0f0f0f0f;
  bits = (bits | bits << 2) & 0x33333333;
  return (bits | bits << 1) & 0x55555555;
}

/* Neighbours on the ground have numbers that are near: the bits of row and column interleaved. */
static uint32_t interleaved(uint32_t u, uint32_t v) {
  return spread(u) | spread(v) << 1;
}

/* Sort pairs (key above, number below) by 11 bits of the key from `shift` on. */
static void radix_pass(const uint64_t *from, uint64_t *to, uint32_t count, uint32_t shift) {
  uint32_t at[2048] = {0}, sum = 0;
  for (uint32_t i = 0; i < count; i++) at[from[i] >> shift & 2047]++;
  for (uint32_t i = 0; i < 2048; i++) {
    uint32_t here = at[i];
    at[i] = sum;
    sum += here;
  }
  for (uint32_t i = 0; i < count; i++) to[at[from[i] >> shift & 2047]++] = from[i];
}

void grid_batch(const struct grid *grid, const struct grid_query *queries, uint32_t count,
                uint32_t stride, uint64_t *order, struct grid_hit *hits, uint32_t *found) {
  uint32_t lift = 32 - grid->facts->shift - grid->side;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t u = grid_u(grid, queries[i].lon_e7), v = grid_v(grid, queries[i].lat_e7);
    order[i] = (uint64_t)interleaved(u << lift, v << lift) << 32 | i;
  }
  radix_pass(order, order + count, count, 32);
  radix_pass(order + count, order, count, 43);
  radix_pass(order, order + count, count, 54);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t query = (uint32_t)order[count + i];
    if (i + AHEAD_QUERY < count) { /* in the order of places they are anywhere in memory */
      uint32_t ahead = (uint32_t)order[count + i + AHEAD_QUERY];
      grid_ask(&queries[ahead]);
      grid_ask(&hits[(size_t)ahead * stride]);
      grid_ask((const char *)&hits[(size_t)ahead * stride] + 64);
      grid_ask((const char *)&hits[(size_t)ahead * stride] + 128);
      grid_ask(&found[ahead]);
    }
    pd_assert(queries[query].k <= stride);
    found[query] = grid_nearest(grid, &queries[query], NULL, hits + (size_t)query * stride);
  }
}
