/* The vector vocabulary on AVX-512 (F, VL, BW, DQ): registers of 16 floats and 8 doubles, so that a register is a unit.
 * See vec_scalar.h for what each word means. */
#ifndef FN_VEC_AVX512_H
#define FN_VEC_AVX512_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define FN_VF32_LANES 16
#define FN_VF64_LANES 8

typedef __m512 vf32;
typedef __m512d vf64;

static inline vf32 vf32_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void vf32_store(float *p, vf32 a) { _mm512_storeu_ps(p, a); }
static inline void vf32_stream(float *p, vf32 a) { _mm512_stream_ps(p, a); }
static inline vf32 vf32_set1(float s) { return _mm512_set1_ps(s); }
static inline vf32 vf32_add(vf32 a, vf32 b) { return _mm512_add_ps(a, b); }
static inline vf32 vf32_sub(vf32 a, vf32 b) { return _mm512_sub_ps(a, b); }
static inline vf32 vf32_mul(vf32 a, vf32 b) { return _mm512_mul_ps(a, b); }

static inline vf64 vf64_load(const double *p) { return _mm512_loadu_pd(p); }
static inline void vf64_store(double *p, vf64 a) { _mm512_storeu_pd(p, a); }
static inline void vf64_stream(double *p, vf64 a) { _mm512_stream_pd(p, a); }
static inline vf64 vf64_set1(double s) { return _mm512_set1_pd(s); }
static inline vf64 vf64_add(vf64 a, vf64 b) { return _mm512_add_pd(a, b); }
static inline vf64 vf64_sub(vf64 a, vf64 b) { return _mm512_sub_pd(a, b); }
static inline vf64 vf64_mul(vf64 a, vf64 b) { return _mm512_mul_pd(a, b); }

static inline __mmask16 vec_mask16(ptrdiff_t n)
{
    return (__mmask16)(n <= 0 ? 0u : n >= 16 ? 0xFFFFu : (1u << n) - 1u);
}

static inline __mmask8 vec_mask8(ptrdiff_t n) { return (__mmask8)(n <= 0 ? 0u : n >= 8 ? 0xFFu : (1u << n) - 1u); }

static inline vf32 vf32_load_n(const float *p, ptrdiff_t n, vf32 fill)
{
    return _mm512_mask_loadu_ps(fill, vec_mask16(n), p);
}

static inline vf64 vf64_load_n(const double *p, ptrdiff_t n, vf64 fill)
{
    return _mm512_mask_loadu_pd(fill, vec_mask8(n), p);
}

static inline void vf32_store_n(float *p, vf32 a, ptrdiff_t n) { _mm512_mask_storeu_ps(p, vec_mask16(n), a); }
static inline void vf64_store_n(double *p, vf64 a, ptrdiff_t n) { _mm512_mask_storeu_pd(p, vec_mask8(n), a); }

static inline float vf32_sum(vf32 a)
{
    __m256 s8 = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
    __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
    return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}

static inline double vf64_sum(vf64 a)
{
    __m256d s4 = _mm256_add_pd(_mm512_castpd512_pd256(a), _mm512_extractf64x4_pd(a, 1));
    __m128d s2 = _mm_add_pd(_mm256_castpd256_pd128(s4), _mm256_extractf128_pd(s4, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s2, _mm_unpackhi_pd(s2, s2)));
}

/* Rows a, b, c, d with their 16 lanes become one register of four 128-bit parts: part k holds what is left of row k
 * after the steps h = 8 and h = 4 of the halving tree. */
static inline vf32 vf32_fold_parts(vf32 a, vf32 b, vf32 c, vf32 d)
{
    vf32 ab = vf32_add(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xEE)); /* h = 8 */
    vf32 cd = vf32_add(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xEE));
    return vf32_add(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xDD)); /* h = 4 */
}

static inline vf32 vf32_sum_rows(const vf32 *rows)
{
    /* register i holds rows i, i + 4, i + 8, i + 12, so that the last shuffles leave the sums in order */
    vf32 a = vf32_fold_parts(rows[0], rows[4], rows[8], rows[12]);
    vf32 b = vf32_fold_parts(rows[1], rows[5], rows[9], rows[13]);
    vf32 c = vf32_fold_parts(rows[2], rows[6], rows[10], rows[14]);
    vf32 d = vf32_fold_parts(rows[3], rows[7], rows[11], rows[15]);
    vf32 ab = vf32_add(_mm512_shuffle_ps(a, b, 0x44), _mm512_shuffle_ps(a, b, 0xEE)); /* h = 2 */
    vf32 cd = vf32_add(_mm512_shuffle_ps(c, d, 0x44), _mm512_shuffle_ps(c, d, 0xEE));
    return vf32_add(_mm512_shuffle_ps(ab, cd, 0x88), _mm512_shuffle_ps(ab, cd, 0xDD)); /* h = 1 */
}

static inline vf64 vf64_sum_rows(const vf64 *rows)
{
    vf64 part[2]; /* part[i]: rows i, i + 2, i + 4, i + 6 after the steps h = 4 and h = 2 */
    for (int i = 0; i < 2; i++) {
        vf64 ab = vf64_add(_mm512_shuffle_f64x2(rows[i], rows[i + 2], 0x44),
                           _mm512_shuffle_f64x2(rows[i], rows[i + 2], 0xEE));
        vf64 cd = vf64_add(_mm512_shuffle_f64x2(rows[i + 4], rows[i + 6], 0x44),
                           _mm512_shuffle_f64x2(rows[i + 4], rows[i + 6], 0xEE));
        part[i] = vf64_add(_mm512_shuffle_f64x2(ab, cd, 0x88), _mm512_shuffle_f64x2(ab, cd, 0xDD));
    }
    return vf64_add(_mm512_unpacklo_pd(part[0], part[1]), _mm512_unpackhi_pd(part[0], part[1])); /* h = 1 */
}

static inline void vf32_accumulate(double *hi, double *lo, vf32 a)
{
    (void)lo;
    vf64_store(hi, vf64_add(vf64_load(hi), _mm512_cvtps_pd(_mm512_castps512_ps256(a))));
    vf64_store(hi + 8, vf64_add(vf64_load(hi + 8), _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1))));
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

static inline vf64 vf64_load_f32(const float *p) { return _mm512_cvtps_pd(_mm256_loadu_ps(p)); }
static inline vf32 vf32_product_error(vf32 a, vf32 b, vf32 product) { return _mm512_fmsub_ps(a, b, product); }
static inline vf64 vf64_product_error(vf64 a, vf64 b, vf64 product) { return _mm512_fmsub_pd(a, b, product); }

static inline void vec_stream_fence(void) { _mm_sfence(); }

/* Within 128-bit lanes first, then the lanes. */
static inline void vf32_transpose(vf32 *rows)
{
    vf32 pairs[16], fours[16];
    for (int i = 0; i < 16; i += 2) {
        pairs[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        fours[i] = _mm512_shuffle_ps(pairs[i], pairs[i + 2], 0x44);
        fours[i + 1] = _mm512_shuffle_ps(pairs[i], pairs[i + 2], 0xEE);
        fours[i + 2] = _mm512_shuffle_ps(pairs[i + 1], pairs[i + 3], 0x44);
        fours[i + 3] = _mm512_shuffle_ps(pairs[i + 1], pairs[i + 3], 0xEE);
    }
    for (int i = 0; i < 4; i++) {
        const vf32 ab = _mm512_shuffle_f32x4(fours[i], fours[4 + i], 0x44);
        const vf32 cd = _mm512_shuffle_f32x4(fours[8 + i], fours[12 + i], 0x44);
        const vf32 ab_high = _mm512_shuffle_f32x4(fours[i], fours[4 + i], 0xEE);
        const vf32 cd_high = _mm512_shuffle_f32x4(fours[8 + i], fours[12 + i], 0xEE);
        rows[i] = _mm512_shuffle_f32x4(ab, cd, 0x88);
        rows[4 + i] = _mm512_shuffle_f32x4(ab, cd, 0xDD);
        rows[8 + i] = _mm512_shuffle_f32x4(ab_high, cd_high, 0x88);
        rows[12 + i] = _mm512_shuffle_f32x4(ab_high, cd_high, 0xDD);
    }
}

static inline void vf64_transpose(vf64 *rows)
{
    vf64 pairs[8];
    for (int i = 0; i < 8; i += 2) {
        pairs[i] = _mm512_unpacklo_pd(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_pd(rows[i], rows[i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        const vf64 ab = _mm512_shuffle_f64x2(pairs[i], pairs[2 + i], 0x44);
        const vf64 cd = _mm512_shuffle_f64x2(pairs[4 + i], pairs[6 + i], 0x44);
        const vf64 ab_high = _mm512_shuffle_f64x2(pairs[i], pairs[2 + i], 0xEE);
        const vf64 cd_high = _mm512_shuffle_f64x2(pairs[4 + i], pairs[6 + i], 0xEE);
        rows[i] = _mm512_shuffle_f64x2(ab, cd, 0x88);
        rows[2 + i] = _mm512_shuffle_f64x2(ab, cd, 0xDD);
        rows[4 + i] = _mm512_shuffle_f64x2(ab_high, cd_high, 0x88);
        rows[6 + i] = _mm512_shuffle_f64x2(ab_high, cd_high, 0xDD);
    }
}

typedef __m512i vu64;
static inline vu64 vu64_load(const uint64_t *p) { return _mm512_loadu_si512((const void *)p); }
static inline void vu64_store(uint64_t *p, vu64 a) { _mm512_storeu_si512((void *)p, a); }
static inline vu64 vu64_set1(uint64_t s) { return _mm512_set1_epi64((long long)s); }
static inline vu64 vu64_xor(vu64 a, vu64 b) { return _mm512_xor_si512(a, b); }
static inline vu64 vu64_high(vu64 a) { return _mm512_srli_epi64(a, 32); }
static inline vu64 vu64_mul_low(vu64 a, vu64 b) { return _mm512_mul_epu32(a, b); }

static inline void vu64_store_words(uint32_t *words, vu64 a, vu64 b, vu64 c, vu64 d)
{
    const __m512i ab = _mm512_mask_blend_epi32(0xAAAA, a, _mm512_slli_epi64(b, 32));
    const __m512i cd = _mm512_mask_blend_epi32(0xAAAA, c, _mm512_slli_epi64(d, 32));
    const __m512i first = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11),
                  second = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
    _mm512_storeu_si512((void *)words, _mm512_permutex2var_epi64(ab, first, cd));
    _mm512_storeu_si512((void *)(words + 16), _mm512_permutex2var_epi64(ab, second, cd));
}

/* ---- words of elementwise functions ------------------------------------------------------------------------------ */

static inline vf32 vf32_div(vf32 a, vf32 b) { return _mm512_div_ps(a, b); }
static inline vf32 vf32_select_gt(vf32 a, vf32 b, vf32 yes, vf32 no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), no, yes);
}

static inline vf64 vf64_div(vf64 a, vf64 b) { return _mm512_div_pd(a, b); }
static inline vf64 vf64_select_gt(vf64 a, vf64 b, vf64 yes, vf64 no)
{
    return _mm512_mask_blend_pd(_mm512_cmp_pd_mask(a, b, _CMP_GT_OQ), no, yes);
}

static inline vf32 vf32_copysign(vf32 a, vf32 b)
{
    const vf32 sign = _mm512_set1_ps(-0.0f);
    return _mm512_or_ps(_mm512_andnot_ps(sign, a), _mm512_and_ps(sign, b));
}

static inline vf32 vf32_pow2(vf32 k)
{
    const vf32 sum = vf32_add(k, vf32_set1(0x1.8p23f + 127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(sum), 23));
}

static inline vf64 vf64_copysign(vf64 a, vf64 b)
{
    const vf64 sign = _mm512_set1_pd(-0.0);
    return _mm512_or_pd(_mm512_andnot_pd(sign, a), _mm512_and_pd(sign, b));
}

static inline vf64 vf64_pow2(vf64 k)
{
    const vf64 sum = vf64_add(k, vf64_set1(0x1.8p52 + 1023));
    return _mm512_castsi512_pd(_mm512_slli_epi64(_mm512_castpd_si512(sum), 52));
}

/* ---- bounds and signs -------------------------------------------------------------------------------------------- */

static inline vf32 vf32_min(vf32 a, vf32 b) { return _mm512_min_ps(a, b); }
static inline vf32 vf32_max(vf32 a, vf32 b) { return _mm512_max_ps(a, b); }
static inline vf64 vf64_min(vf64 a, vf64 b) { return _mm512_min_pd(a, b); }
static inline vf64 vf64_max(vf64 a, vf64 b) { return _mm512_max_pd(a, b); }

static inline vf64 vf64_signed(vf64 size, vf64 a)
{
    vf64 other = _mm512_or_pd(_mm512_and_pd(a, _mm512_set1_pd(-0.0)), size);
    return _mm512_mask_blend_pd(_mm512_cmp_pd_mask(a, _mm512_setzero_pd(), _CMP_NEQ_OQ), a, other);
}

static inline void vf64_store_f32(float *p, vf64 a) { _mm256_storeu_ps(p, _mm512_cvtpd_ps(a)); }

typedef __m256i vh;
static inline vh vh_load(const uint16_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline void vh_store(uint16_t *p, vh a) { _mm256_storeu_si256((__m256i *)p, a); }
static inline void vh_stream(uint16_t *p, vh a) { _mm256_stream_si256((__m256i *)p, a); }

static inline vf32 vf32_of_f16(vh a) { return _mm512_cvtph_ps(a); }
static inline vh vh_f16_of(vf32 a) { return _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT); }

static inline vf32 vf32_of_bf16(vh a) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(a), 16)); }

static inline vh vh_bf16_of(vf32 a)
{
    const __m512i bits = _mm512_castps_si512(a), upper = _mm512_srli_epi32(bits, 16);
    const __m512i odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
    const __m512i rounded =
        _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF))), 16);
    const __mmask16 nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
    return _mm512_cvtepi32_epi16(_mm512_mask_or_epi32(rounded, nan, upper, _mm512_set1_epi32(0x40)));
}

#endif
