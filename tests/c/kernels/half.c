/* Half precision: numbers rounded to it and widened again. */
#include "../../../csrc/half.h"

#include "kernels.h"

static uint16_t halves[MOST_BYTES / 4 + 1]; /* of a room of floats, from an odd place on */

static int run_half(fn_storage storage, const arguments *a)
{
    const ptrdiff_t n = a->m * a->n;
    if (a->dtype == FN_FLOAT64) { /* is not stored in half precision */
        memmove(rooms[OUT].at, a->x, rooms[OUT].bytes);
        return 0;
    }
    fn_narrow(storage, a->x, halves + a->n % 2, n, (int)(a->m % 2));
    fn_widen(storage, halves + a->n % 2, rooms[OUT].at, n);
    return 0;
}

static int run_float16(const arguments *a) { return run_half(FN_FLOAT16, a); }
static int run_bfloat16(const arguments *a) { return run_half(FN_BFLOAT16, a); }

const operation half_operations[] = {
    {"float16", 1, 0, 0, run_float16, {{"x", OUT, 0}}},
    {"bfloat16", 1, 0, 0, run_bfloat16, {{"x", OUT, 0}}},
    {0},
};
