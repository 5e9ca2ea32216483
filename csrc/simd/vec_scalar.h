/* The vector vocabulary in plain C: a register is one number.
 *
 * This file is the specification of the vocabulary. Every other vec_*.h gives the same bits; the kernels compiled with
 * this one are the oracle. Registers are called vf32 and vf64; units (16 float or 8 double lanes) are built from
 * registers in unit.inc.
 */
#ifndef FN_VEC_SCALAR_H
#define FN_VEC_SCALAR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FN_VF32_LANES 1
#define FN_VF64_LANES 1

#define FN_SCALAR_VOCABULARY(vec, real)                                                                                \
    typedef real vec;                                                                                                  \
    static inline vec vec##_load(const real *p) { return *p; }                                                         \
    /* lanes from n on are taken from fill */                                                                          \
    static inline vec vec##_load_n(const real *p, ptrdiff_t n, vec fill) { return n > 0 ? *p : fill; }                 \
    static inline void vec##_store(real *p, vec a) { *p = a; }                                                         \
    /* only the first n lanes are written */                                                                           \
    static inline void vec##_store_n(real *p, vec a, ptrdiff_t n)                                                      \
    {                                                                                                                  \
        if (n > 0) *p = a;                                                                                             \
    }                                                                                                                  \
    /* past the cache; p is aligned to the register */                                                                 \
    static inline void vec##_stream(real *p, vec a) { *p = a; }                                                        \
    static inline vec vec##_set1(real s) { return s; }                                                                 \
    static inline vec vec##_add(vec a, vec b) { return a + b; }                                                        \
    static inline vec vec##_sub(vec a, vec b) { return a - b; }                                                        \
    static inline vec vec##_mul(vec a, vec b) { return a * b; }                                                        \
    /* the halving tree: lane i takes lane i + h, for h = lanes/2, ..., 2, 1 */                                        \
    static inline real vec##_sum(vec a) { return a; }                                                                  \
    /* lane i of the result is vec_sum(rows[i]) */                                                                     \
    static inline vec vec##_sum_rows(const vec *rows) { return rows[0]; }

FN_SCALAR_VOCABULARY(vf32, float)
FN_SCALAR_VOCABULARY(vf64, double)

/* hi += a, in double */
static inline void vf32_accumulate(double *hi, double *lo, vf32 a)
{
    (void)lo;
    *hi += (double)a;
}

/* (hi, lo) += a by Knuth's two-sum: hi + lo is exact but for the rounding of lo */
static inline void vf64_accumulate(double *hi, double *lo, vf64 a)
{
    double sum = *hi + a;
    double part = sum - *hi;
    double error = (*hi - (sum - part)) + (a - part);
    *hi = sum;
    *lo += error;
}

/* as many floats as vf64 has lanes */
static inline vf64 vf64_load_f32(const float *p) { return (double)*p; }

/* a * b - product, rounded once: what rounding has taken from the product. The one place for fused multiply-adds. */
static inline vf64 vf64_product_error(vf64 a, vf64 b, vf64 product) { return fma(a, b, -product); }
static inline vf32 vf32_product_error(vf32 a, vf32 b, vf32 product)
{
    return (float)((double)a * (double)b - (double)product); /* in double both operations are exact */
}

static inline void vec_stream_fence(void) {}

/* lane i of rows[j] becomes lane j of rows[i], of as many rows as there are lanes */
static inline void vf32_transpose(vf32 *rows) { (void)rows; }
static inline void vf64_transpose(vf64 *rows) { (void)rows; }

/* 64-bit integers, as many as vf64 has lanes */
typedef uint64_t vu64;
static inline vu64 vu64_load(const uint64_t *p) { return *p; }
static inline void vu64_store(uint64_t *p, vu64 a) { *p = a; }
static inline vu64 vu64_set1(uint64_t s) { return s; }
static inline vu64 vu64_xor(vu64 a, vu64 b) { return a ^ b; }
static inline vu64 vu64_high(vu64 a) { return a >> 32; }
/* the product of the lower halves */
static inline vu64 vu64_mul_low(vu64 a, vu64 b) { return (a & 0xFFFFFFFFu) * (b & 0xFFFFFFFFu); }
/* words[4 i + k] is the lower half of lane i of the k-th register */
static inline void vu64_store_words(uint32_t *words, vu64 a, vu64 b, vu64 c, vu64 d)
{
    words[0] = (uint32_t)a;
    words[1] = (uint32_t)b;
    words[2] = (uint32_t)c;
    words[3] = (uint32_t)d;
}

/* ---- words of elementwise functions ------------------------------------------------------------------------------ */

#define FN_SCALAR_ELEMENTWISE(vec, real)                                                                               \
    static inline vec vec##_div(vec a, vec b) { return a / b; }                                                        \
    /* a > b ? yes : no, lane by lane; no where a or b is NaN */                                                       \
    static inline vec vec##_select_gt(vec a, vec b, vec yes, vec no) { return a > b ? yes : no; }

FN_SCALAR_ELEMENTWISE(vf32, float)
FN_SCALAR_ELEMENTWISE(vf64, double)

/* the magnitude of a with the sign of b */
static inline vf32 vf32_copysign(vf32 a, vf32 b) { return copysignf(a, b); }
static inline vf64 vf64_copysign(vf64 a, vf64 b) { return copysign(a, b); }

/* 2^k for an integer k that is the exponent of a normal number: k + 1023 is left in the lowest bits of a sum with
 * 1.5 * 2^52, and moves up to where the exponent is. Any number for other k. */
static inline vf32 vf32_pow2(vf32 k)
{
    const float sum = k + (0x1.8p23f + 127);
    uint32_t bits;
    memcpy(&bits, &sum, sizeof bits);
    bits <<= 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return power;
}

static inline vf64 vf64_pow2(vf64 k)
{
    const double sum = k + (0x1.8p52 + 1023);
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    bits <<= 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    return power;
}

/* ---- bounds and signs -------------------------------------------------------------------------------------------- */

#define FN_SCALAR_BOUNDS(vec)                                                                                          \
    /* b where neither is the lesser, or greater: of two zeros, and where one is NaN */                                \
    static inline vec vec##_min(vec a, vec b) { return a < b ? a : b; }                                                \
    static inline vec vec##_max(vec a, vec b) { return a > b ? a : b; }

FN_SCALAR_BOUNDS(vf32)
FN_SCALAR_BOUNDS(vf64)

/* size, which is positive, with the sign of a; of zero and NaN they themselves */
static inline vf64 vf64_signed(vf64 size, vf64 a) { return a > 0 ? size : a < 0 ? -size : a; }

/* as many floats as vf64 has lanes, rounded to nearest */
static inline void vf64_store_f32(float *p, vf64 a) { *p = (float)a; }

/* ---- halves: a register of 16-bit floats, as many as vf32 has lanes ------------------------------------------------ */

typedef uint16_t vh;
static inline vh vh_load(const uint16_t *p) { return *p; }
static inline void vh_store(uint16_t *p, vh a) { *p = a; }
/* past the cache; p is aligned to the register */
static inline void vh_stream(uint16_t *p, vh a) { *p = a; }

static inline uint32_t vf32_bits(vf32 a)
{
    uint32_t bits;
    memcpy(&bits, &a, sizeof bits);
    return bits;
}

static inline vf32 vf32_from_bits(uint32_t bits)
{
    vf32 a;
    memcpy(&a, &bits, sizeof a);
    return a;
}

/* float16: 5 bits of exponent, of bias 15. As the bits of a float it is 2^-112 of its value, subnormal or not. */
static inline vf32 vf32_of_f16(vh a)
{
    const uint32_t sign = (uint32_t)(a & 0x8000u) << 16, size = (uint32_t)(a & 0x7FFFu) << 13;
    const uint32_t finite = vf32_bits(vf32_from_bits(size) * 0x1p112f);
    return vf32_from_bits(sign | ((a & 0x7C00u) == 0x7C00u ? size | 0x7F800000u : finite));
}

/* rounded to nearest even */
static inline vh vh_f16_of(vf32 a)
{
    const uint32_t bits = vf32_bits(a), sign = bits >> 16 & 0x8000u, size = bits & 0x7FFFFFFFu;
    uint32_t half;
    if (size > 0x7F800000u)
        half = 0x7E00u | (size >> 13 & 0x1FFu); /* NaN */
    else if (size >= 0x47800000u)
        half = 0x7C00u; /* from 2^16 on; what is less may round up to it */
    else if (size >= 0x38800000u)
        half = (size - 0x38000000u + 0xFFFu + (size >> 13 & 1u)) >> 13;
    else /* below 2^-14 its last bit is 2^-24, as that of a float next to 1/2 */
        half = vf32_bits(vf32_from_bits(size) + 0.5f) - 0x3F000000u;
    return (vh)(sign | half);
}

/* bfloat16: the upper half of a float */
static inline vf32 vf32_of_bf16(vh a) { return vf32_from_bits((uint32_t)a << 16); }

/* rounded to nearest even */
static inline vh vh_bf16_of(vf32 a)
{
    const uint32_t bits = vf32_bits(a);
    const uint32_t rounded = (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16;
    return (vh)((bits & 0x7FFFFFFFu) > 0x7F800000u ? bits >> 16 | 0x40u : rounded);
}

#endif
