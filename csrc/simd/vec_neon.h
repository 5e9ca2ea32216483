/* The vector vocabulary on AArch64 NEON: registers of 4 floats and 2 doubles. See vec_scalar.h for each word. */
#ifndef FN_VEC_NEON_H
#define FN_VEC_NEON_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#define FN_VF32_LANES 4
#define FN_VF64_LANES 2

typedef float32x4_t vf32;
typedef float64x2_t vf64;

static inline vf32 vf32_load(const float *p) { return vld1q_f32(p); }
static inline void vf32_store(float *p, vf32 a) { vst1q_f32(p, a); }
static inline void vf32_stream(float *p, vf32 a) { vst1q_f32(p, a); } /* NEON has no non-temporal store intrinsic */
static inline vf32 vf32_set1(float s) { return vdupq_n_f32(s); }
static inline vf32 vf32_add(vf32 a, vf32 b) { return vaddq_f32(a, b); }
static inline vf32 vf32_sub(vf32 a, vf32 b) { return vsubq_f32(a, b); }
static inline vf32 vf32_mul(vf32 a, vf32 b) { return vmulq_f32(a, b); }

static inline vf64 vf64_load(const double *p) { return vld1q_f64(p); }
static inline void vf64_store(double *p, vf64 a) { vst1q_f64(p, a); }
static inline void vf64_stream(double *p, vf64 a) { vst1q_f64(p, a); }
static inline vf64 vf64_set1(double s) { return vdupq_n_f64(s); }
static inline vf64 vf64_add(vf64 a, vf64 b) { return vaddq_f64(a, b); }
static inline vf64 vf64_sub(vf64 a, vf64 b) { return vsubq_f64(a, b); }
static inline vf64 vf64_mul(vf64 a, vf64 b) { return vmulq_f64(a, b); }

static inline vf32 vf32_load_n(const float *p, ptrdiff_t n, vf32 fill)
{
    if (n >= 4) return vf32_load(p);
    if (n > 0) fill = vld1q_lane_f32(p, fill, 0);
    if (n > 1) fill = vld1q_lane_f32(p + 1, fill, 1);
    if (n > 2) fill = vld1q_lane_f32(p + 2, fill, 2);
    return fill;
}

static inline void vf32_store_n(float *p, vf32 a, ptrdiff_t n)
{
    if (n >= 4) {
        vf32_store(p, a);
        return;
    }
    if (n > 0) vst1q_lane_f32(p, a, 0);
    if (n > 1) vst1q_lane_f32(p + 1, a, 1);
    if (n > 2) vst1q_lane_f32(p + 2, a, 2);
}

static inline vf64 vf64_load_n(const double *p, ptrdiff_t n, vf64 fill)
{
    if (n >= 2) return vf64_load(p);
    return n > 0 ? vld1q_lane_f64(p, fill, 0) : fill;
}

static inline void vf64_store_n(double *p, vf64 a, ptrdiff_t n)
{
    if (n >= 2)
        vf64_store(p, a);
    else if (n > 0)
        vst1q_lane_f64(p, a, 0);
}

static inline float vf32_sum(vf32 a)
{
    float32x2_t s2 = vadd_f32(vget_low_f32(a), vget_high_f32(a));
    return vget_lane_f32(s2, 0) + vget_lane_f32(s2, 1);
}

static inline double vf64_sum(vf64 a) { return vgetq_lane_f64(a, 0) + vgetq_lane_f64(a, 1); }

static inline vf32 vf32_sum_rows(const vf32 *rows)
{
    float32x4_t ab = vaddq_f32(vcombine_f32(vget_low_f32(rows[0]), vget_low_f32(rows[1])), /* h = 2 */
                               vcombine_f32(vget_high_f32(rows[0]), vget_high_f32(rows[1])));
    float32x4_t cd = vaddq_f32(vcombine_f32(vget_low_f32(rows[2]), vget_low_f32(rows[3])),
                               vcombine_f32(vget_high_f32(rows[2]), vget_high_f32(rows[3])));
    return vaddq_f32(vuzp1q_f32(ab, cd), vuzp2q_f32(ab, cd)); /* h = 1 */
}

static inline vf64 vf64_sum_rows(const vf64 *rows)
{
    return vaddq_f64(vzip1q_f64(rows[0], rows[1]), vzip2q_f64(rows[0], rows[1]));
}

static inline void vf32_accumulate(double *hi, double *lo, vf32 a)
{
    (void)lo;
    vf64_store(hi, vf64_add(vf64_load(hi), vcvt_f64_f32(vget_low_f32(a))));
    vf64_store(hi + 2, vf64_add(vf64_load(hi + 2), vcvt_high_f64_f32(a)));
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

static inline vf64 vf64_load_f32(const float *p) { return vcvt_f64_f32(vld1_f32(p)); }
static inline vf32 vf32_product_error(vf32 a, vf32 b, vf32 product) { return vfmaq_f32(vnegq_f32(product), a, b); }
static inline vf64 vf64_product_error(vf64 a, vf64 b, vf64 product) { return vfmaq_f64(vnegq_f64(product), a, b); }

static inline void vec_stream_fence(void) {}

static inline void vf32_transpose(vf32 *rows)
{
    const float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(rows[0], rows[1]));
    const float64x2_t b = vreinterpretq_f64_f32(vtrn2q_f32(rows[0], rows[1]));
    const float64x2_t c = vreinterpretq_f64_f32(vtrn1q_f32(rows[2], rows[3]));
    const float64x2_t d = vreinterpretq_f64_f32(vtrn2q_f32(rows[2], rows[3]));
    rows[0] = vreinterpretq_f32_f64(vtrn1q_f64(a, c));
    rows[1] = vreinterpretq_f32_f64(vtrn1q_f64(b, d));
    rows[2] = vreinterpretq_f32_f64(vtrn2q_f64(a, c));
    rows[3] = vreinterpretq_f32_f64(vtrn2q_f64(b, d));
}

static inline void vf64_transpose(vf64 *rows)
{
    const vf64 a = vzip1q_f64(rows[0], rows[1]), b = vzip2q_f64(rows[0], rows[1]);
    rows[0] = a;
    rows[1] = b;
}

typedef uint64x2_t vu64;
static inline vu64 vu64_load(const uint64_t *p) { return vld1q_u64(p); }
static inline void vu64_store(uint64_t *p, vu64 a) { vst1q_u64(p, a); }
static inline vu64 vu64_set1(uint64_t s) { return vdupq_n_u64(s); }
static inline vu64 vu64_xor(vu64 a, vu64 b) { return veorq_u64(a, b); }
static inline vu64 vu64_high(vu64 a) { return vshrq_n_u64(a, 32); }
static inline vu64 vu64_mul_low(vu64 a, vu64 b) { return vmull_u32(vmovn_u64(a), vmovn_u64(b)); }

static inline void vu64_store_words(uint32_t *words, vu64 a, vu64 b, vu64 c, vu64 d)
{
    const uint64x2_t ab = vsliq_n_u64(a, b, 32), cd = vsliq_n_u64(c, d, 32);
    vst1q_u32(words, vreinterpretq_u32_u64(vtrn1q_u64(ab, cd)));
    vst1q_u32(words + 4, vreinterpretq_u32_u64(vtrn2q_u64(ab, cd)));
}

/* ---- words of elementwise functions ------------------------------------------------------------------------------ */

static inline vf32 vf32_div(vf32 a, vf32 b) { return vdivq_f32(a, b); }
static inline vf32 vf32_select_gt(vf32 a, vf32 b, vf32 yes, vf32 no) { return vbslq_f32(vcgtq_f32(a, b), yes, no); }

static inline vf64 vf64_div(vf64 a, vf64 b) { return vdivq_f64(a, b); }
static inline vf64 vf64_select_gt(vf64 a, vf64 b, vf64 yes, vf64 no) { return vbslq_f64(vcgtq_f64(a, b), yes, no); }
static inline vf32 vf32_copysign(vf32 a, vf32 b) { return vbslq_f32(vdupq_n_u32(UINT32_C(1) << 31), b, a); }

static inline vf32 vf32_pow2(vf32 k)
{
    const vf32 sum = vf32_add(k, vf32_set1(0x1.8p23f + 127));
    return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(sum), 23));
}

static inline vf64 vf64_copysign(vf64 a, vf64 b) { return vbslq_f64(vdupq_n_u64(UINT64_C(1) << 63), b, a); }

static inline vf64 vf64_pow2(vf64 k)
{
    const vf64 sum = vf64_add(k, vf64_set1(0x1.8p52 + 1023));
    return vreinterpretq_f64_u64(vshlq_n_u64(vreinterpretq_u64_f64(sum), 52));
}

/* ---- bounds and signs -------------------------------------------------------------------------------------------- */

/* By comparisons: NEON's own minimum answers NaN with NaN and tells zeros apart. */
static inline vf32 vf32_min(vf32 a, vf32 b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
static inline vf32 vf32_max(vf32 a, vf32 b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
static inline vf64 vf64_min(vf64 a, vf64 b) { return vbslq_f64(vcltq_f64(a, b), a, b); }
static inline vf64 vf64_max(vf64 a, vf64 b) { return vbslq_f64(vcgtq_f64(a, b), a, b); }

static inline vf64 vf64_signed(vf64 size, vf64 a)
{
    vf64 other = vbslq_f64(vdupq_n_u64((uint64_t)1 << 63), a, size);
    return vbslq_f64(vcgtq_f64(vabsq_f64(a), vdupq_n_f64(0.0)), other, a);
}

static inline void vf64_store_f32(float *p, vf64 a) { vst1_f32(p, vcvt_f32_f64(a)); }

typedef uint16x4_t vh;
static inline vh vh_load(const uint16_t *p) { return vld1_u16(p); }
static inline void vh_store(uint16_t *p, vh a) { vst1_u16(p, a); }
static inline void vh_stream(uint16_t *p, vh a) { vst1_u16(p, a); }

static inline vf32 vf32_of_f16(vh a) { return vcvt_f32_f16(vreinterpret_f16_u16(a)); }
static inline vh vh_f16_of(vf32 a) { return vreinterpret_u16_f16(vcvt_f16_f32(a)); }

static inline vf32 vf32_of_bf16(vh a) { return vreinterpretq_f32_u32(vshll_n_u16(a, 16)); }

static inline vh vh_bf16_of(vf32 a)
{
    const uint32x4_t bits = vreinterpretq_u32_f32(a), upper = vshrq_n_u32(bits, 16);
    const uint32x4_t odd = vandq_u32(upper, vdupq_n_u32(1));
    const uint32x4_t rounded = vshrq_n_u32(vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7FFF))), 16);
    return vmovn_u32(vbslq_u32(vceqq_f32(a, a), rounded, vorrq_u32(upper, vdupq_n_u32(0x40))));
}

#endif
