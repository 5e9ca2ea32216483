/* Running statistics: an exponential average, every update of which is rounded once. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "drivers.h"
#include "exact.h"
#include "fpenv.h"

/* hi + lo as the nearest double; its last bit is set where something is left, so that rounding it again to float
 * rounds the exact value once ("round to odd", Boldo & Melquiond 2008). */
static double rounded_to_odd(double hi, double lo)
{
    uint64_t bits;
    memcpy(&bits, &hi, sizeof bits);
    if (lo != 0 && (bits & 1) == 0) bits = (lo > 0) == (hi > 0) ? bits + 1 : bits - 1;
    memcpy(&hi, &bits, sizeof bits);
    return hi;
}

static fn_pair average(double old, double batch, double momentum)
{
    const fn_pair keep = fn_two_sum(1, -momentum);
    const double plain = keep.hi * old + momentum * batch;
    /* infinities, NaN, and numbers too large to be split have no error terms */
    if (!(fabs(old) < 0x1p900 && fabs(batch) < 0x1p900)) return (fn_pair){plain, 0};
    const fn_pair a = fn_two_product(keep.hi, old), b = fn_two_product(momentum, batch), sum = fn_two_sum(a.hi, b.hi);
    return fn_two_sum(sum.hi, sum.lo + (a.lo + b.lo + keep.lo * old));
}

static void update(void *running, const double *batch, ptrdiff_t c, double momentum, fn_dtype dtype)
{
    for (ptrdiff_t j = 0; j < c; j++) {
        if (dtype == FN_FLOAT32) {
            float *r = (float *)running + j;
            const fn_pair value = average((double)*r, batch[j], momentum);
            *r = (float)rounded_to_odd(value.hi, value.lo);
        } else {
            double *r = (double *)running + j;
            *r = average(*r, batch[j], momentum).hi;
        }
    }
}

void fn_update_running(void *running, const double *batch, ptrdiff_t c, double momentum, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    update(running, batch, c, momentum, dtype);
    fn_fp_restore(saved);
}
