/* The scan with AVX-512 (F, VL, DQ, BW).  A block is half a register wide: cells hold some five
 * members, so wider ones would mostly be empty. */
#include "services/matching/grid_table.h"

#include <immintrin.h>

/* The first circle should hold GRID_EAGER * k + GRID_SPARE members. */
#define GRID_EAGER 1.3f
#define GRID_SPARE 1.5f

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

static inline __m256 lens_near(const struct lens *lens, __m256i lat_e7, __m256i lon_e7) {
  __m256 north = _mm256_cvtepi32_ps(_mm256_sub_epi32(lat_e7, lens->lat_e7));
  __m256 east = _mm256_cvtepi32_ps(_mm256_sub_epi32(lon_e7, lens->lon_e7));
  __m256 factor = _mm256_fnmadd_ps(lens->lean, north, lens->east);
  factor = _mm256_max_ps(factor, _mm256_setzero_ps());
  return _mm256_fmadd_ps(_mm256_mul_ps(east, east), factor, _mm256_mul_ps(north, north));
}

/* Of these lanes, those with the needed bits. */
static inline __mmask8 lens_has(const struct lens *lens, __mmask8 lanes,
                                const struct grid_block *block) {
  __m256i has = _mm256_and_si256(load(block->mask), lens->need);
  return _mm256_mask_cmpeq_epi32_mask(lanes, has, lens->need);
}

static inline uint32_t lens_look(const struct lens *lens, const struct grid_block *block,
                                 float limit, float near[GRID_LANES]) {
  __m256 square = lens_near(lens, load(block->lat_e7), load(block->lon_e7));
  _mm256_storeu_ps(near, square);
  __mmask8 lanes = _mm256_cmp_ps_mask(square, _mm256_set1_ps(limit), _CMP_LE_OQ);
  return lanes && lens->filters ? lens_has(lens, lanes, block) : lanes;
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

#include "services/matching/grid_quick.h"
#include "services/matching/grid_walk.h"

uint32_t grid_scan_avx512(const struct grid *grid, const struct grid_seek *seek,
                          struct grid_hit *hits) {
  uint32_t found = quick_query(grid, seek, hits);
  return found == QUICK_NO ? walk_all(grid, seek, hits) : found;
}
