/* grid_quick - the common query, small k and few ties, without branches that a processor guesses
 * wrong: list the cells of a circle that should hold enough, squeeze the hits of all their blocks
 * together, compute their haversines at once, rank them by counting.  Whatever does not fit is left
 * to the walk.  For AVX-512; include after struct lens and grid_walk.h.
 */
#ifndef MATCHING_GRID_QUICK_H
#define MATCHING_GRID_QUICK_H

#include "services/matching/grid_walk.h"

#include <immintrin.h>
#include <string.h>

#define QUICK_K 12
#define QUICK_CELLS 240
#define QUICK_HITS 48
#define QUICK_EXACT 16 /* two registers of haversines */
#define QUICK_TRIES 3
#define QUICK_NO UINT32_MAX /* left to the walk */

struct quick {
  const struct grid *grid;
  const struct grid_seek *seek;
  struct lens lens;
  float limit;
  uint32_t listed;
  uint32_t count; /* of hits */
  uint64_t cells[QUICK_CELLS + 2 * LIST_STEP];
  float near[QUICK_HITS + GRID_LANES];
  int32_t lat_e7[QUICK_HITS + GRID_LANES];
  int32_t lon_e7[QUICK_HITS + GRID_LANES];
  uint32_t member[QUICK_HITS + GRID_LANES];
};

/* ---- cells ---- */

/* The window, the place and the reach, in units inside the box.  Clamping brings no two places
 * further apart, so bounds hold for who is outside as well. */
struct frame {
  uint32_t u;
  uint32_t v;
  struct window window;
};

/* from - by, and nothing below 0. */
static inline uint32_t quick_less(uint32_t from, uint32_t by) {
  return from > by ? from - by : 0;
}

static struct frame quick_frame(const struct quick *quick) {
  const struct grid *grid = quick->grid;
  const struct grid_seek *seek = quick->seek;
  float half = sqrtf(quick->limit) * 1.000001f + 2;
  uint32_t north = (uint32_t)half, east = (uint32_t)(half * sqrtf(seek->narrow));
  struct frame frame = {grid_u(grid, seek->lon_e7), grid_v(grid, seek->lat_e7), {0, 0, 0, 0}};
  uint64_t end = ((uint64_t)1 << (grid->facts->shift + grid->side)) - 1;
  uint64_t u1 = (uint64_t)frame.u + east, v1 = (uint64_t)frame.v + north;
  frame.window.u0 = quick_less(frame.u, east);
  frame.window.u1 = (uint32_t)(u1 < end ? u1 : end);
  frame.window.v0 = quick_less(frame.v, north);
  frame.window.v1 = (uint32_t)(v1 < end ? v1 : end);
  return frame;
}

/* The rows of an area within the frame; false: too many cells. */
static inline bool quick_area(struct quick *quick, const struct frame *frame, uint32_t x,
                              uint32_t y) {
  const struct grid *grid = quick->grid;
  const struct grid_area *area = &grid->areas[(size_t)y << grid->side | x];
  uint32_t need = quick->seek->need, shift = grid->facts->shift, level = area->level;
  if (area->count == 0 || (area->mask & need) != need) return true;
  uint32_t u = x << shift, v = y << shift, inside = ((uint32_t)1 << shift) - 1;
  uint32_t bits = grid_column_bits(level), column_shift = shift - bits;
  uint32_t row_shift = shift - grid_row_bits(level);
  struct window now = cut(&frame->window, u, v, inside);
  uint32_t row = (now.v0 - v) >> row_shift, end = (now.v1 - v) >> row_shift;
  const uint64_t *cells = grid->cells + area->cells + ((size_t)row << bits);
  for (; row <= end; row++, cells += (size_t)1 << bits) {
    uint32_t south = v + (row << row_shift), north = south + ((uint32_t)1 << row_shift) - 1;
    uint32_t away = quick_less(south, frame->v) + quick_less(frame->v, north);
    float rest = quick->limit - (float)away * (float)away;
    rest = rest > 0 ? rest : 0;
    uint32_t reach = (uint32_t)(sqrtf(rest * quick->seek->narrow) * 1.000001f + 2);
    uint32_t u0 = at_least(quick_less(frame->u, reach), now.u0);
    uint64_t u1 = (uint64_t)frame->u + reach;
    u1 = u1 < now.u1 ? u1 : now.u1;
    if (u1 < u0) continue;
    uint32_t first = (u0 - u) >> column_shift, last = ((uint32_t)u1 - u) >> column_shift;
    for (; first <= last; first += LIST_STEP) {
      uint32_t some = at_most(last + 1 - first, LIST_STEP);
      quick->listed += lens_pick(&quick->lens, cells + first, some, quick->cells + quick->listed);
      if (quick->listed > QUICK_CELLS) return false;
    }
  }
  return true;
}

static bool quick_list(struct quick *quick) {
  struct frame frame = quick_frame(quick);
  uint32_t shift = quick->grid->facts->shift;
  uint32_t x0 = frame.window.u0 >> shift, x1 = frame.window.u1 >> shift;
  uint32_t y0 = frame.window.v0 >> shift, y1 = frame.window.v1 >> shift;
  quick->listed = 0;
  for (uint32_t y = y0; y <= y1; y++)
    for (uint32_t x = x0; x <= x1; x++)
      if (!quick_area(quick, &frame, x, y)) return false;
  return true;
}

/* ---- blocks ---- */

/* Keep the lanes that are near enough: their members and places go behind those kept already. */
static inline void quick_squeeze(struct quick *quick, __mmask8 lanes, __m256 near, __m256i lat,
                                 __m256i lon, __m256i member) {
  uint32_t at = quick->count;
  _mm256_storeu_ps(quick->near + at, _mm256_maskz_compress_ps(lanes, near));
  _mm256_storeu_si256((__m256i *)(void *)(quick->lat_e7 + at),
                      _mm256_maskz_compress_epi32(lanes, lat));
  _mm256_storeu_si256((__m256i *)(void *)(quick->lon_e7 + at),
                      _mm256_maskz_compress_epi32(lanes, lon));
  _mm256_storeu_si256((__m256i *)(void *)(quick->member + at),
                      _mm256_maskz_compress_epi32(lanes, member));
  quick->count = at + (uint32_t)__builtin_popcount(lanes);
}

/* The hits of all listed cells; a cell's further blocks join the list at its end.  False: too many
 * of something. */
static bool quick_look(struct quick *quick) {
  const struct grid *grid = quick->grid;
  const struct lens *lens = &quick->lens;
  __m256 limit = _mm256_set1_ps(quick->limit);
  quick->count = 0;
  quick->cells[quick->listed] = 0;
  for (uint32_t i = 0; i < quick->listed; i++) {
    uint64_t cell = quick->cells[i];
    const struct grid_block *block = &grid->blocks[grid_cell_block(cell)];
    uint64_t ahead = quick->cells[at_most(i + AHEAD, quick->listed)];
    grid_ask(grid->blocks[grid_cell_block(ahead)].lat_e7);
    grid_ask(grid->blocks[grid_cell_block(ahead)].mask);
    /* The chain of block 0, which is nobody's, ends at once. */
    uint32_t next = grid->next[grid_cell_more(cell) ? grid_cell_block(cell) : 0];
    quick->cells[quick->listed] = grid_cell(0, next, true, 0);
    quick->listed += next != 0;
    __m256i lat = load(block->lat_e7), lon = load(block->lon_e7);
    __m256 near = lens_near(lens, lat, lon);
    __mmask8 lanes = _mm256_cmp_ps_mask(near, limit, _CMP_LE_OQ);
    if (lens->filters) lanes = lens_has(lens, lanes, block);
    quick_squeeze(quick, lanes, near, lat, lon, load(block->member));
    if (quick->count > QUICK_HITS || quick->listed > QUICK_CELLS) return false;
  }
  return true;
}

/* More than fit the exact part: about half again of k should lie within so much less of the circle,
 * whose square is what near is. */
static void quick_narrow(struct quick *quick) {
  uint32_t count = quick->count;
  quick->limit *= 1.5f * (float)quick->seek->k / (float)count;
  __m256 limit = _mm256_set1_ps(quick->limit);
  quick->count = 0;
  for (uint32_t i = 0; i < count; i += GRID_LANES) {
    __m256 near = _mm256_loadu_ps(quick->near + i);
    __mmask8 lanes = _mm256_cmp_ps_mask(near, limit, _CMP_LE_OQ);
    if (count - i < GRID_LANES) lanes &= (__mmask8)((1u << (count - i)) - 1);
    quick_squeeze(quick, lanes, near, load(quick->lat_e7 + i), load(quick->lon_e7 + i),
                  load(quick->member + i));
  }
}

/* ---- the exact end ---- */

/* How many are nearer than each; beyond the count and the radius all are infinitely far. */
static inline void quick_rank(const double hav[QUICK_EXACT], uint32_t rank[QUICK_EXACT]) {
  __m512d low = _mm512_loadu_pd(hav), high = _mm512_loadu_pd(hav + 8);
  __m512i low_rank = _mm512_setzero_si512(), high_rank = low_rank;
  const __m512i one = _mm512_set1_epi64(1);
  for (uint32_t i = 0; i < QUICK_EXACT; i++) {
    __m512d each = _mm512_set1_pd(hav[i]);
    __mmask8 below = _mm512_cmp_pd_mask(each, low, _CMP_LT_OQ);
    __mmask8 above = _mm512_cmp_pd_mask(each, high, _CMP_LT_OQ);
    low_rank = _mm512_mask_add_epi64(low_rank, below, low_rank, one);
    high_rank = _mm512_mask_add_epi64(high_rank, above, high_rank, one);
  }
  _mm256_storeu_si256((__m256i *)(void *)rank, _mm512_cvtepi64_epi32(low_rank));
  _mm256_storeu_si256((__m256i *)(void *)(rank + 8), _mm512_cvtepi64_epi32(high_rank));
}

/* Eight at a time what grid_sphere.h computes one at a time: the same operations in the same order,
 * so the same bits. */
static inline __m512d sin8(__m512d x) {
  static const double terms[] = {-1.0 / 121645100408832000.0,
                                 1.0 / 355687428096000.0,
                                 -1.0 / 1307674368000.0,
                                 1.0 / 6227020800.0,
                                 -1.0 / 39916800.0,
                                 1.0 / 362880.0,
                                 -1.0 / 5040.0,
                                 1.0 / 120.0,
                                 -1.0 / 6.0};
  __m512d q = _mm512_mul_pd(x, x), sum = _mm512_set1_pd(1.0 / 51090942171709440000.0);
  for (int i = 0; i < 9; i++) sum = _mm512_add_pd(_mm512_mul_pd(sum, q), _mm512_set1_pd(terms[i]));
  return _mm512_add_pd(x, _mm512_mul_pd(x, _mm512_mul_pd(sum, q)));
}

/* Haversines from the query to eight places, in the order of operations of grid_hav(). */
static inline __m512d hav8(const struct grid_seek *seek, const int32_t *lat_e7,
                           const int32_t *lon_e7) {
  __m512d lat = _mm512_cvtepi32_pd(load(lat_e7)), lon = _mm512_cvtepi32_pd(load(lon_e7));
  __m512d half = _mm512_set1_pd(GRID_RADIAN_E7 / 2), unit = _mm512_set1_pd(GRID_RADIAN_E7);
  __m512d turn = _mm512_set1_pd(3600000000.0), quarter = _mm512_set1_pd(900000000.0);
  __m512d between = _mm512_sub_pd(_mm512_set1_pd((double)seek->lat_e7), lat);
  __m512d north = sin8(_mm512_mul_pd(between, half));
  between = _mm512_abs_pd(_mm512_sub_pd(_mm512_set1_pd((double)seek->lon_e7), lon));
  __mmask8 round = _mm512_cmp_pd_mask(between, _mm512_set1_pd(1800000000.0), _CMP_GT_OQ);
  between = _mm512_mask_sub_pd(between, round, turn, between);
  __m512d east = sin8(_mm512_mul_pd(between, half));
  __m512d cos2 = sin8(_mm512_mul_pd(_mm512_sub_pd(quarter, _mm512_abs_pd(lat)), unit));
  __m512d cosines = _mm512_mul_pd(_mm512_set1_pd(seek->cos1), cos2);
  return _mm512_add_pd(_mm512_mul_pd(north, north),
                       _mm512_mul_pd(cosines, _mm512_mul_pd(east, east)));
}

/* Metres of eight haversines: the series of the arc sine, near enough for pruning. */
static inline __m512d metres8(__m512d hav) {
  static const double terms[] = {15.0 / 336, 3.0 / 40, 1.0 / 6};
  __m512d s = _mm512_sqrt_pd(hav), q = _mm512_mul_pd(s, s), sum = _mm512_set1_pd(105.0 / 3456);
  for (int i = 0; i < 3; i++) sum = _mm512_add_pd(_mm512_set1_pd(terms[i]), _mm512_mul_pd(q, sum));
  s = _mm512_add_pd(s, _mm512_mul_pd(s, _mm512_mul_pd(q, sum)));
  return _mm512_mul_pd(_mm512_set1_pd(2 * PD_EARTH_M), s);
}

/* At most QUICK_EXACT hits, in order; returns how many of them are within the radius, up to k. */
static inline uint32_t quick_finish(const struct quick *quick, struct grid_hit *hits) {
  const struct grid_seek *seek = quick->seek;
  struct grid_hit all[QUICK_EXACT];
  double hav[QUICK_EXACT], metres[QUICK_EXACT];
  uint32_t rank[QUICK_EXACT], found = 0, ranks = 0;
  const __m512d max = _mm512_set1_pd(seek->hav_max), far = _mm512_set1_pd(__builtin_inf());
  for (uint32_t i = 0; i < QUICK_EXACT; i += 8) {
    __m512d each = hav8(seek, quick->lat_e7 + i, quick->lon_e7 + i);
    uint32_t rest = quick->count > i ? quick->count - i : 0;
    __mmask8 in = (__mmask8)(rest < 8 ? (1u << rest) - 1 : 0xff);
    in = _mm512_mask_cmp_pd_mask(in, each, max, _CMP_LE_OQ);
    found += (uint32_t)__builtin_popcount(in);
    _mm512_storeu_pd(metres + i, metres8(each));
    _mm512_storeu_pd(hav + i, _mm512_mask_blend_pd(in, far, each));
  }
  quick_rank(hav, rank);
  for (uint32_t i = 0; i < quick->count; i++) {
    all[rank[i]] = (struct grid_hit){hav[i], metres[i], quick->member[i], 0};
    ranks |= 1u << rank[i];
  }
  if ((ranks & ((1u << found) - 1)) != (1u << found) - 1) { /* ties share a rank */
    uint32_t kept = 0;
    for (uint32_t i = 0; i < quick->count; i++) {
      all[kept] = (struct grid_hit){hav[i], metres[i], quick->member[i], 0};
      kept += hav[i] <= seek->hav_max;
    }
    grid_sort(all, kept);
  }
  found = at_most(found, seek->k);
  memcpy(hits, all, found * sizeof *hits);
  return found;
}

/* The answer, or QUICK_NO. */
static uint32_t quick_query(const struct grid *grid, const struct grid_seek *seek,
                            struct grid_hit *hits) {
  struct quick quick;
  if (seek->k > QUICK_K || seek->picky || seek->crosses) return QUICK_NO;
  /* All of it is arithmetic on distances for which the series is exact. */
  if (seek->hav_max > GRID_SERIES_END * GRID_SERIES_END) return QUICK_NO;
  quick.grid = grid;
  quick.seek = seek;
  quick.lens = lens_of(seek, seek->lat_e7, seek->lon_e7);
  memset(quick.lat_e7, 0, QUICK_EXACT * sizeof *quick.lat_e7);
  memset(quick.lon_e7, 0, QUICK_EXACT * sizeof *quick.lon_e7);
  float near = first_near(grid, seek);
  for (uint32_t i = 0; i < QUICK_TRIES; i++) {
    bool last = near >= seek->limit;
    quick.limit = last ? seek->limit : near;
    if (!quick_list(&quick) || !quick_look(&quick)) return QUICK_NO;
    if (quick.count > QUICK_EXACT) {
      quick_narrow(&quick);
      if (quick.count < seek->k || quick.count > QUICK_EXACT) return QUICK_NO;
      last = false;
    }
    if (last || quick.count >= seek->k) {
      uint32_t found = quick_finish(&quick, hits);
      if (last) return found;
      if (found == seek->k && (float)hits[found - 1].hav * GRID_NEAR * seek->slack <= quick.limit)
        return found;
    }
    float grow = 2 * (float)seek->k / ((float)quick.count + 0.5f);
    near *= grow < 2 ? 2 : grow > 16 ? 16 : grow;
  }
  return QUICK_NO;
}

#endif
