/* Half precision: its numbers widened to float32 and float32 rounded to it, a register at a time. */
#include "../half.h"

#include "kernels.h"

enum { LANES_OF_HALVES = FN_VF32_LANES };

/* fn_min(n, VLANES) numbers at the end of an array, through an array that holds a register. */
FN_INLINE vh load_halves(const uint16_t *from, ptrdiff_t n)
{
    uint16_t last[LANES_OF_HALVES] = {0};
    if (n >= LANES_OF_HALVES) return vh_load(from);
    memcpy(last, from, (size_t)n * sizeof *from);
    return vh_load(last);
}

FN_INLINE void store_halves(uint16_t *to, vh a, ptrdiff_t n)
{
    uint16_t last[LANES_OF_HALVES];
    if (n >= LANES_OF_HALVES) {
        vh_store(to, a);
        return;
    }
    vh_store(last, a);
    memcpy(to, last, (size_t)n * sizeof *to);
}

FN_INLINE vf32 load_floats(const float *from, ptrdiff_t n)
{
    return n >= LANES_OF_HALVES ? vf32_load(from) : vf32_load_n(from, n, vf32_set1(0));
}

FN_INLINE void store_floats(float *to, vf32 a, ptrdiff_t n)
{
    if (n >= LANES_OF_HALVES)
        vf32_store(to, a);
    else
        vf32_store_n(to, a, n);
}

/* Numbers up to the first place where a register can be written past the cache; none if there is no such place. */
FN_INLINE ptrdiff_t to_aligned_halves(const uint16_t *to)
{
    return (ptrdiff_t)(-(uintptr_t)to / sizeof *to % (uintptr_t)LANES_OF_HALVES);
}

#define FN_HALF(format)                                                                                                \
    static void widen_##format(const void *from, float *to, ptrdiff_t n)                                               \
    {                                                                                                                  \
        const uint16_t *halves = from;                                                                                 \
        ptrdiff_t j = 0;                                                                                               \
        for (; j + LANES_OF_HALVES <= n; j += LANES_OF_HALVES) vf32_store(to + j, vf32_of_##format(vh_load(halves + j))); \
        if (j < n) store_floats(to + j, vf32_of_##format(load_halves(halves + j, n - j)), n - j);                      \
    }                                                                                                                  \
    static void narrow_##format(const float *from, void *to, ptrdiff_t n, int stream)                                  \
    {                                                                                                                  \
        uint16_t *halves = to;                                                                                         \
        ptrdiff_t j = 0;                                                                                               \
        if (stream) {                                                                                                  \
            j = fn_min(n, to_aligned_halves(halves));                                                                  \
            if (j > 0) store_halves(halves, vh_##format##_of(load_floats(from, j)), j);                                \
            for (; j + LANES_OF_HALVES <= n; j += LANES_OF_HALVES)                                                     \
                vh_stream(halves + j, vh_##format##_of(vf32_load(from + j)));                                          \
            vec_stream_fence();                                                                                        \
        }                                                                                                              \
        for (; j + LANES_OF_HALVES <= n; j += LANES_OF_HALVES) vh_store(halves + j, vh_##format##_of(vf32_load(from + j))); \
        if (j < n) store_halves(halves + j, vh_##format##_of(load_floats(from + j, n - j)), n - j);                    \
    }

FN_HALF(f16)
FN_HALF(bf16)

const fn_half_kernels FN_TABLE(half)[FN_DTYPES] = {
    [FN_FLOAT32] = {.widen = {[FN_FLOAT16] = widen_f16, [FN_BFLOAT16] = widen_bf16},
                    .narrow = {[FN_FLOAT16] = narrow_f16, [FN_BFLOAT16] = narrow_bf16}},
};
