/* Running statistics: an exponential average, every update of which is rounded once. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "drivers.h"
#include "fpenv.h"

typedef struct {
    double hi, lo;
} pair;

/* Knuth's two-sum and Dekker's product (1971): hi + lo is the exact result. Plain arithmetic, because fma() without
 * hardware is slow. */
static pair two_sum(double a, double b)
{
    double sum = a + b, part = sum - a;
    return (pair){sum, (a - (sum - part)) + (b - part)};
}

static pair split(double a)
{
    double c = 134217729.0 * a; /* 2^27 + 1 */
    double hi = c - (c - a);
    return (pair){hi, a - hi};
}

static pair two_product(double a, double b)
{
    double product = a * b;
    pair x = split(a), y = split(b);
    return (pair){product, ((x.hi * y.hi - product) + x.hi * y.lo + x.lo * y.hi) + x.lo * y.lo};
}

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

static pair average(double old, double batch, double momentum)
{
    const pair keep = two_sum(1, -momentum);
    const double plain = keep.hi * old + momentum * batch;
    /* infinities, NaN, and numbers too large to be split have no error terms */
    if (!(fabs(old) < 0x1p900 && fabs(batch) < 0x1p900)) return (pair){plain, 0};
    const pair a = two_product(keep.hi, old), b = two_product(momentum, batch), sum = two_sum(a.hi, b.hi);
    return two_sum(sum.hi, sum.lo + (a.lo + b.lo + keep.lo * old));
}

static void update(void *running, const double *batch, ptrdiff_t c, double momentum, fn_dtype dtype)
{
    for (ptrdiff_t j = 0; j < c; j++) {
        if (dtype == FN_FLOAT32) {
            float *r = (float *)running + j;
            const pair value = average((double)*r, batch[j], momentum);
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
