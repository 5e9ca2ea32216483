/* Running statistics: an exponential average, every update of which is rounded once. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "exact.h"
#include "fpenv.h"
#include "running.h"

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

/* The sum of n numbers, n <= 8, as the nearest double and a number of the sign of what it lacks. Terms are held apart as
 * long as no bit of one reaches into another (Shewchuk, "Adaptive precision floating-point arithmetic", 1997). */
static fn_pair exact_sum(const double *terms, int n)
{
    double apart[8], hi = 0, lo = 0;
    int count = 0;
    for (int i = 0; i < n; i++) {
        double rest = terms[i];
        int kept = 0;
        for (int k = 0; k < count; k++) {
            const fn_pair sum = fn_two_sum(rest, apart[k]);
            if (sum.lo != 0) apart[kept++] = sum.lo;
            rest = sum.hi;
        }
        if (rest != 0) apart[kept++] = rest;
        count = kept;
    }
    for (; count > 0 && lo == 0; count--) {
        const fn_pair sum = fn_two_sum(hi, apart[count - 1]);
        hi = sum.hi;
        lo = sum.lo;
    }
    /* just between two doubles, but for what is left below: then the even one may not be the nearest */
    if (count > 0 && (lo > 0) == (apart[count - 1] > 0)) {
        const fn_pair sum = fn_two_sum(hi, 2 * lo);
        if (sum.lo == 0) return (fn_pair){sum.hi, -lo};
    }
    return (fn_pair){hi, lo};
}

static fn_pair average(double old, double batch, double momentum)
{
    const fn_pair keep = fn_two_sum(1, -momentum);
    const double plain = keep.hi * old + momentum * batch;
    /* infinities, NaN, and numbers too large to be split have no error terms */
    if (!(fabs(old) < 0x1p900 && fabs(batch) < 0x1p900)) return (fn_pair){plain, 0};
    const fn_pair a = fn_two_product(keep.hi, old), b = fn_two_product(momentum, batch), sum = fn_two_sum(a.hi, b.hi);
    if (fabs(sum.hi) >= 0x1p-20 * fabs(a.hi)) return fn_two_sum(sum.hi, sum.lo + (a.lo + b.lo + keep.lo * old));
    /* so much has cancelled that the roundings of this last sum would show */
    const fn_pair c = fn_two_product(keep.lo, old);
    const double terms[] = {sum.hi, sum.lo, a.lo, b.lo, c.hi, c.lo};
    return exact_sum(terms, 6);
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

void fn_widen_statistics(const float *from, double *to, ptrdiff_t n)
{
    const float *restrict source = from;
    double *restrict target = to;
    for (ptrdiff_t i = 0; i < n; i++) target[i] = (double)source[i];
}
