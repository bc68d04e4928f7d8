/* The scan with AVX-512 (F, VL, DQ, BW).  A block is half a register wide: cells hold some five
 * members, so wider ones would mostly be empty. */
#include "services/matching/grid_table.h"

#include <immintrin.h>

#ifndef GRID_EAGER
#define GRID_EAGER 1.5f
#define GRID_SPARE 2.0f
#endif

struct lens {
  __m256i lat_e7;
  __m256i lon_e7;
  __m256i need;
  __m256 east;
  __m256 lean;
  __m512i want;
  bool filters;
};

static inline struct lens lens_of(const struct grid_seek *seek, int32_t lat_e7, int32_t lon_e7) {
  return (struct lens){_mm256_set1_epi32(lat_e7),
                       _mm256_set1_epi32(lon_e7),
                       _mm256_set1_epi32((int32_t)seek->need),
                       _mm256_set1_ps(seek->east),
                       _mm256_set1_ps(seek->lean),
                       _mm512_set1_epi64((int64_t)((uint64_t)seek->need << 32)),
                       seek->need != 0};
}

static inline __m256i load(const void *at) {
  return _mm256_loadu_si256((const __m256i *)at);
}

static inline uint32_t lens_look(const struct lens *lens, const struct grid_block *block,
                                 float limit, float near[GRID_LANES]) {
  __m256 north = _mm256_cvtepi32_ps(_mm256_sub_epi32(load(block->lat_e7), lens->lat_e7));
  __m256 east = _mm256_cvtepi32_ps(_mm256_sub_epi32(load(block->lon_e7), lens->lon_e7));
  __m256 factor = _mm256_fnmadd_ps(lens->lean, north, lens->east);
  factor = _mm256_max_ps(factor, _mm256_setzero_ps());
  __m256 square = _mm256_fmadd_ps(_mm256_mul_ps(east, east), factor, _mm256_mul_ps(north, north));
  _mm256_storeu_ps(near, square);
  __mmask8 lanes = _mm256_cmp_ps_mask(square, _mm256_set1_ps(limit), _CMP_LE_OQ);
  if (lanes == 0 || !lens->filters) return lanes;
  __m256i has = _mm256_and_si256(load(block->mask), lens->need);
  return _mm256_mask_cmpeq_epi32_mask(lanes, has, lens->need);
}

#define LIST_STEP 8

static inline uint32_t lens_pick(const struct lens *lens, const uint64_t *cells, uint32_t count,
                                 uint64_t *list) {
  __mmask8 in = (__mmask8)((1u << count) - 1);
  __m512i some = _mm512_maskz_loadu_epi64(in, cells);
  in = _mm512_mask_test_epi64_mask(in, some, some);
  in = _mm512_mask_cmpeq_epi64_mask(in, _mm512_and_si512(some, lens->want), lens->want);
  _mm512_storeu_si512(list, _mm512_maskz_compress_epi64(in, some));
  return (uint32_t)__builtin_popcount(in);
}

/* ---- the nearest sixteen in two registers, in order ---- */

#define WALK_TOP
#define TOP_K 12

struct top {
  __m512 near;
  __m512i slot;
  __m512 lost; /* the nearest of those that fell off the end */
};

static inline void top_begin(struct top *top) {
  top->near = top->lost = _mm512_set1_ps(__builtin_inff());
  top->slot = _mm512_setzero_si512();
}

/* Those not further than the new one are a prefix of the lanes; the rest moves up by one, and the
 * last falls off. */
static inline float top_add(struct top *top, uint32_t k, uint32_t block, uint32_t lanes,
                            const float *near) {
  __m512 sorted = top->near, lost = top->lost;
  __m512i slots = top->slot;
  for (; lanes; lanes &= lanes - 1) {
    uint32_t lane = (uint32_t)__builtin_ctz(lanes);
    __m512 one = _mm512_set1_ps(near[lane]);
    __m512i name = _mm512_set1_epi32((int32_t)(block * GRID_LANES + lane));
    uint32_t stay = _mm512_cmp_ps_mask(sorted, one, _CMP_LE_OQ);
    __mmask16 moved = (__mmask16) ~(stay + 1);
    lost = _mm512_min_ps(lost, stay == 0xffff ? one : sorted);
    sorted = _mm512_mask_expand_ps(one, moved, sorted);
    slots = _mm512_mask_expand_epi32(name, moved, slots);
  }
  top->near = sorted;
  top->slot = slots;
  top->lost = lost;
  __m512 kth = _mm512_permutexvar_ps(_mm512_set1_epi32((int32_t)k - 1), sorted);
  return _mm512_cvtss_f32(kth);
}

static inline bool top_end(const struct top *top, float limit, struct grid_bag *bag) {
  __m512 last = _mm512_permutexvar_ps(_mm512_set1_epi32(15), top->lost);
  if (_mm512_cvtss_f32(last) <= limit) return false;
  __mmask16 within = _mm512_cmp_ps_mask(top->near, _mm512_set1_ps(limit), _CMP_LE_OQ);
  _mm512_storeu_ps(bag->near, top->near);
  _mm512_storeu_si512(bag->slot, top->slot);
  bag->count = (uint32_t)__builtin_popcount(within);
  return true;
}

#include "services/matching/grid_walk.h"

uint32_t grid_scan_avx512(const struct grid *grid, const struct grid_seek *seek,
                          struct grid_hit *hits) {
  return walk_all(grid, seek, hits);
}
