#include "half_blocks.h"

static const void *half_at(const void *halves, ptrdiff_t i) { return (const uint16_t *)halves + i; }

void fn_by_blocks(const fn_halves *halves, ptrdiff_t begin, ptrdiff_t end, fn_floats_fn fn, void *arg)
{
    _Alignas(FN_UNIT_BYTES) float a[FN_HALF_BLOCK], b[FN_HALF_BLOCK];
    for (ptrdiff_t first = begin; first < end; first += FN_HALF_BLOCK) {
        const ptrdiff_t n = fn_min(FN_HALF_BLOCK, end - first);
        fn_widen(halves->storage, half_at(halves->a, first), a, n);
        if (halves->b) fn_widen(halves->storage, half_at(halves->b, first), b, n);
        fn(arg, first, n, a, halves->b ? b : NULL);
        if (halves->to) fn_narrow(halves->storage, a, (uint16_t *)halves->to + first, n, halves->stream);
    }
}
