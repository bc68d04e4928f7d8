/* The scan with AVX2 and FMA. */
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
  uint64_t want;
};

static inline struct lens lens_of(const struct grid_seek *seek, int32_t lat_e7, int32_t lon_e7) {
  return (struct lens){_mm256_set1_epi32(lat_e7),
                       _mm256_set1_epi32(lon_e7),
                       _mm256_set1_epi32((int32_t)seek->need),
                       _mm256_set1_ps(seek->east),
                       _mm256_set1_ps(seek->lean),
                       (uint64_t)seek->need << 32};
}

static inline __m256i load(const void *at) {
  return _mm256_loadu_si256((const __m256i *)at);
}

static inline uint32_t lens_look(const struct lens *lens, const struct grid_block *block,
                                 float limit, float near[GRID_LANES]) {
  __m256i has = _mm256_and_si256(load(block->mask), lens->need);
  has = _mm256_cmpeq_epi32(has, lens->need);
  uint32_t lanes = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(has));
  if (lanes == 0) return 0;
  __m256 north = _mm256_cvtepi32_ps(_mm256_sub_epi32(load(block->lat_e7), lens->lat_e7));
  __m256 east = _mm256_cvtepi32_ps(_mm256_sub_epi32(load(block->lon_e7), lens->lon_e7));
  __m256 factor = _mm256_fnmadd_ps(lens->lean, north, lens->east);
  factor = _mm256_max_ps(factor, _mm256_setzero_ps());
  __m256 square = _mm256_fmadd_ps(_mm256_mul_ps(east, east), factor, _mm256_mul_ps(north, north));
  _mm256_storeu_ps(near, square);
  __m256 within = _mm256_cmp_ps(square, _mm256_set1_ps(limit), _CMP_LE_OQ);
  return lanes & (uint32_t)_mm256_movemask_ps(within);
}

#define LIST_STEP 8

static inline uint32_t lens_pick(const struct lens *lens, const uint64_t *cells, uint32_t count,
                                 uint64_t *list) {
  uint32_t picked = 0;
  for (uint32_t i = 0; i < count; i++) {
    list[picked] = cells[i];
    picked += (cells[i] != 0) & ((cells[i] & lens->want) == lens->want);
  }
  return picked;
}

#include "services/matching/grid_walk.h"

uint32_t grid_scan_avx2(const struct grid *grid, const struct grid_seek *seek,
                        struct grid_hit *hits) {
  return walk_all(grid, seek, hits);
}
