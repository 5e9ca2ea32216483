/* The vector vocabulary on AVX2: registers of 8 floats and 4 doubles. See vec_scalar.h for what each word means. */
#ifndef FN_VEC_AVX2_H
#define FN_VEC_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define FN_VF32_LANES 8
#define FN_VF64_LANES 4

typedef __m256 vf32;
typedef __m256d vf64;

static inline vf32 vf32_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void vf32_store(float *p, vf32 a) { _mm256_storeu_ps(p, a); }
static inline void vf32_stream(float *p, vf32 a) { _mm256_stream_ps(p, a); }
static inline vf32 vf32_set1(float s) { return _mm256_set1_ps(s); }
static inline vf32 vf32_add(vf32 a, vf32 b) { return _mm256_add_ps(a, b); }
static inline vf32 vf32_sub(vf32 a, vf32 b) { return _mm256_sub_ps(a, b); }
static inline vf32 vf32_mul(vf32 a, vf32 b) { return _mm256_mul_ps(a, b); }

static inline vf64 vf64_load(const double *p) { return _mm256_loadu_pd(p); }
static inline void vf64_store(double *p, vf64 a) { _mm256_storeu_pd(p, a); }
static inline void vf64_stream(double *p, vf64 a) { _mm256_stream_pd(p, a); }
static inline vf64 vf64_set1(double s) { return _mm256_set1_pd(s); }
static inline vf64 vf64_add(vf64 a, vf64 b) { return _mm256_add_pd(a, b); }
static inline vf64 vf64_sub(vf64 a, vf64 b) { return _mm256_sub_pd(a, b); }
static inline vf64 vf64_mul(vf64 a, vf64 b) { return _mm256_mul_pd(a, b); }

/* Ones where a lane is below n: a window over eight ones followed by eight zeros. */
static const int32_t vec_mask_window[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

static inline vf32 vf32_load_n(const float *p, ptrdiff_t n, vf32 fill)
{
    ptrdiff_t k = n < 0 ? 0 : n > 8 ? 8 : n;
    __m256i mask = _mm256_loadu_si256((const __m256i *)(vec_mask_window + 8 - k));
    return _mm256_blendv_ps(fill, _mm256_maskload_ps(p, mask), _mm256_castsi256_ps(mask));
}

static inline vf64 vf64_load_n(const double *p, ptrdiff_t n, vf64 fill)
{
    ptrdiff_t k = n < 0 ? 0 : n > 4 ? 4 : n;
    __m256i mask = _mm256_loadu_si256((const __m256i *)(vec_mask_window + 8 - 2 * k));
    return _mm256_blendv_pd(fill, _mm256_maskload_pd(p, mask), _mm256_castsi256_pd(mask));
}

/* By halves, not vmaskmov: a masked store costs AMD processors 10 to 40 micro-operations. */
static inline void vf32_store_n(float *p, vf32 a, ptrdiff_t n)
{
    if (n >= 8) {
        vf32_store(p, a);
        return;
    }
    __m128 rest = _mm256_castps256_ps128(a);
    if (n >= 4) {
        _mm_storeu_ps(p, rest);
        rest = _mm256_extractf128_ps(a, 1);
        p += 4;
        n -= 4;
    }
    if (n >= 2) {
        _mm_storel_pi((__m64 *)p, rest);
        rest = _mm_movehl_ps(rest, rest);
        p += 2;
        n -= 2;
    }
    if (n >= 1) _mm_store_ss(p, rest);
}

static inline void vf64_store_n(double *p, vf64 a, ptrdiff_t n)
{
    if (n >= 4) {
        vf64_store(p, a);
        return;
    }
    __m128d rest = _mm256_castpd256_pd128(a);
    if (n >= 2) {
        _mm_storeu_pd(p, rest);
        rest = _mm256_extractf128_pd(a, 1);
        p += 2;
        n -= 2;
    }
    if (n >= 1) _mm_store_sd(p, rest);
}

static inline float vf32_sum(vf32 a)
{
    __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
    return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}

static inline double vf64_sum(vf64 a)
{
    __m128d s2 = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s2, _mm_unpackhi_pd(s2, s2)));
}

/* Four rows of 8 become one register whose 128-bit halves hold, lane by lane, the sums of rows a, b, c, d of the low
 * and of the high half: steps h = 2 and h = 1 of the halving tree, done after the step h = 4 by the caller. */
static inline vf32 vf32_sum_half_rows(vf32 a, vf32 b, vf32 c, vf32 d)
{
    vf32 ab = _mm256_add_ps(_mm256_shuffle_ps(a, b, 0x44), _mm256_shuffle_ps(a, b, 0xEE)); /* a0 a1 b0 b1 (h = 2) */
    vf32 cd = _mm256_add_ps(_mm256_shuffle_ps(c, d, 0x44), _mm256_shuffle_ps(c, d, 0xEE));
    return _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x88), _mm256_shuffle_ps(ab, cd, 0xDD)); /* a b c d (h = 1) */
}

/* Step h = 4 for two rows at once: row a in the low half, row b in the high half. */
static inline vf32 vf32_fold_halves(vf32 a, vf32 b)
{
    return _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
}

static inline vf32 vf32_sum_rows(const vf32 *rows)
{
    return vf32_sum_half_rows(vf32_fold_halves(rows[0], rows[4]), vf32_fold_halves(rows[1], rows[5]),
                              vf32_fold_halves(rows[2], rows[6]), vf32_fold_halves(rows[3], rows[7]));
}

static inline vf64 vf64_sum_rows(const vf64 *rows)
{
    vf64 ac = _mm256_add_pd(_mm256_permute2f128_pd(rows[0], rows[2], 0x20), /* a0 a1 c0 c1 (h = 2) */
                            _mm256_permute2f128_pd(rows[0], rows[2], 0x31));
    vf64 bd =
        _mm256_add_pd(_mm256_permute2f128_pd(rows[1], rows[3], 0x20), _mm256_permute2f128_pd(rows[1], rows[3], 0x31));
    return _mm256_add_pd(_mm256_unpacklo_pd(ac, bd), _mm256_unpackhi_pd(ac, bd)); /* a b c d (h = 1) */
}

static inline void vf32_accumulate(double *hi, double *lo, vf32 a)
{
    (void)lo;
    vf64_store(hi, vf64_add(vf64_load(hi), _mm256_cvtps_pd(_mm256_castps256_ps128(a))));
    vf64_store(hi + 4, vf64_add(vf64_load(hi + 4), _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1))));
}

static inline void vf64_accumulate(double *hi, double *lo, vf64 a)
{
    vf64 old = vf64_load(hi);
    vf64 sum = vf64_add(old, a);
    vf64 part = vf64_sub(sum, old);
    vf64 error = vf64_add(vf64_sub(old, vf64_sub(sum, part)), vf64_sub(a, part));
    vf64_store(hi, sum);
    vf64_store(lo, vf64_add(vf64_load(lo), error));
}

static inline vf64 vf64_load_f32(const float *p) { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }
static inline vf32 vf32_product_error(vf32 a, vf32 b, vf32 product) { return _mm256_fmsub_ps(a, b, product); }
static inline vf64 vf64_product_error(vf64 a, vf64 b, vf64 product) { return _mm256_fmsub_pd(a, b, product); }

static inline void vec_stream_fence(void) { _mm_sfence(); }

/* Within 128-bit lanes first, then the lanes. */
static inline void vf32_transpose(vf32 *rows)
{
    vf32 pairs[8], fours[8];
    for (int i = 0; i < 8; i += 2) {
        pairs[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        fours[i] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0x44);
        fours[i + 1] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0xEE);
        fours[i + 2] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0x44);
        fours[i + 3] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0xEE);
    }
    for (int i = 0; i < 4; i++) {
        rows[i] = _mm256_permute2f128_ps(fours[i], fours[4 + i], 0x20);
        rows[4 + i] = _mm256_permute2f128_ps(fours[i], fours[4 + i], 0x31);
    }
}

static inline void vf64_transpose(vf64 *rows)
{
    const vf64 a = _mm256_unpacklo_pd(rows[0], rows[1]), b = _mm256_unpackhi_pd(rows[0], rows[1]);
    const vf64 c = _mm256_unpacklo_pd(rows[2], rows[3]), d = _mm256_unpackhi_pd(rows[2], rows[3]);
    rows[0] = _mm256_permute2f128_pd(a, c, 0x20);
    rows[1] = _mm256_permute2f128_pd(b, d, 0x20);
    rows[2] = _mm256_permute2f128_pd(a, c, 0x31);
    rows[3] = _mm256_permute2f128_pd(b, d, 0x31);
}

typedef __m256i vu64;
static inline vu64 vu64_load(const uint64_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline void vu64_store(uint64_t *p, vu64 a) { _mm256_storeu_si256((__m256i *)p, a); }
static inline vu64 vu64_set1(uint64_t s) { return _mm256_set1_epi64x((long long)s); }
static inline vu64 vu64_xor(vu64 a, vu64 b) { return _mm256_xor_si256(a, b); }
static inline vu64 vu64_high(vu64 a) { return _mm256_srli_epi64(a, 32); }
static inline vu64 vu64_mul_low(vu64 a, vu64 b) { return _mm256_mul_epu32(a, b); }

static inline void vu64_store_words(uint32_t *words, vu64 a, vu64 b, vu64 c, vu64 d)
{
    const __m256i ab = _mm256_blend_epi32(a, _mm256_slli_epi64(b, 32), 0xAA);
    const __m256i cd = _mm256_blend_epi32(c, _mm256_slli_epi64(d, 32), 0xAA);
    const __m256i even = _mm256_unpacklo_epi64(ab, cd), odd = _mm256_unpackhi_epi64(ab, cd);
    _mm256_storeu_si256((__m256i *)words, _mm256_permute2x128_si256(even, odd, 0x20));
    _mm256_storeu_si256((__m256i *)(words + 8), _mm256_permute2x128_si256(even, odd, 0x31));
}

/* ---- words of elementwise functions ------------------------------------------------------------------------------ */

static inline vf32 vf32_div(vf32 a, vf32 b) { return _mm256_div_ps(a, b); }
static inline vf32 vf32_select_gt(vf32 a, vf32 b, vf32 yes, vf32 no)
{
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_GT_OQ));
}

static inline vf64 vf64_div(vf64 a, vf64 b) { return _mm256_div_pd(a, b); }
static inline vf64 vf64_select_gt(vf64 a, vf64 b, vf64 yes, vf64 no)
{
    return _mm256_blendv_pd(no, yes, _mm256_cmp_pd(a, b, _CMP_GT_OQ));
}

static inline vf32 vf32_copysign(vf32 a, vf32 b)
{
    const vf32 sign = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(sign, a), _mm256_and_ps(sign, b));
}

static inline vf32 vf32_pow2(vf32 k)
{
    const vf32 sum = vf32_add(k, vf32_set1(0x1.8p23f + 127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(sum), 23));
}

static inline vf64 vf64_copysign(vf64 a, vf64 b)
{
    const vf64 sign = _mm256_set1_pd(-0.0);
    return _mm256_or_pd(_mm256_andnot_pd(sign, a), _mm256_and_pd(sign, b));
}

static inline vf64 vf64_pow2(vf64 k)
{
    const vf64 sum = vf64_add(k, vf64_set1(0x1.8p52 + 1023));
    return _mm256_castsi256_pd(_mm256_slli_epi64(_mm256_castpd_si256(sum), 52));
}

/* ---- bounds and signs -------------------------------------------------------------------------------------------- */

static inline vf32 vf32_min(vf32 a, vf32 b) { return _mm256_min_ps(a, b); }
static inline vf32 vf32_max(vf32 a, vf32 b) { return _mm256_max_ps(a, b); }
static inline vf64 vf64_min(vf64 a, vf64 b) { return _mm256_min_pd(a, b); }
static inline vf64 vf64_max(vf64 a, vf64 b) { return _mm256_max_pd(a, b); }

static inline vf64 vf64_signed(vf64 size, vf64 a)
{
    vf64 other = _mm256_or_pd(_mm256_and_pd(a, _mm256_set1_pd(-0.0)), size);
    return _mm256_blendv_pd(a, other, _mm256_cmp_pd(a, _mm256_setzero_pd(), _CMP_NEQ_OQ));
}

static inline void vf64_store_f32(float *p, vf64 a) { _mm_storeu_ps(p, _mm256_cvtpd_ps(a)); }

typedef __m128i vh;
static inline vh vh_load(const uint16_t *p) { return _mm_loadu_si128((const __m128i *)p); }
static inline void vh_store(uint16_t *p, vh a) { _mm_storeu_si128((__m128i *)p, a); }
static inline void vh_stream(uint16_t *p, vh a) { _mm_stream_si128((__m128i *)p, a); }

static inline vf32 vf32_of_f16(vh a) { return _mm256_cvtph_ps(a); }
static inline vh vh_f16_of(vf32 a) { return _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT); }

static inline vf32 vf32_of_bf16(vh a) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(a), 16)); }

static inline vh vh_bf16_of(vf32 a)
{
    const __m256i bits = _mm256_castps_si256(a), upper = _mm256_srli_epi32(bits, 16);
    const __m256i odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
    const __m256i rounded =
        _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF))), 16);
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
    const __m256i quiet = _mm256_or_si256(upper, _mm256_set1_epi32(0x40));
    const __m256i halves = _mm256_blendv_epi8(rounded, quiet, nan);
    return _mm_packus_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
}

#endif
