/* Arithmetic that keeps its rounding errors: hi + lo is the exact result (Knuth 1969; Dekker 1971).
 * Plain operations, because fma() without hardware costs a hundred times as much. */
#ifndef FN_EXACT_H
#define FN_EXACT_H

#include <stddef.h>

typedef struct {
    double hi, lo;
} fn_pair;

static inline fn_pair fn_two_sum(double a, double b)
{
    const double sum = a + b, part = sum - a;
    return (fn_pair){sum, (a - (sum - part)) + (b - part)};
}

static inline fn_pair fn_split(double a)
{
    const double c = 134217729.0 * a; /* 2^27 + 1 */
    const double hi = c - (c - a);
    return (fn_pair){hi, a - hi};
}

/* Not for factors beyond 2^900, which cannot be split. */
static inline fn_pair fn_two_product(double a, double b)
{
    const double product = a * b;
    const fn_pair x = fn_split(a), y = fn_split(b);
    return (fn_pair){product, ((x.hi * y.hi - product) + x.hi * y.lo + x.lo * y.hi) + x.lo * y.lo};
}

/* (hi, lo) += a */
static inline void fn_add_to(double *hi, double *lo, double a)
{
    const fn_pair sum = fn_two_sum(*hi, a);
    *hi = sum.hi;
    *lo += sum.lo;
}

/* A sum of doubles that keeps its rounding errors if `exact`, as sums of float64 do; those of float32 need not. */
static inline void fn_add(double *hi, double *lo, double a, int exact)
{
    if (exact)
        fn_add_to(hi, lo, a);
    else
        *hi += a;
}

/* The same for arrays of sums: (hi, lo) += (from_hi, from_lo). */
static inline void fn_add_sums(double *hi, double *lo, const double *from_hi, const double *from_lo, ptrdiff_t n,
                               int exact)
{
    for (ptrdiff_t j = 0; !exact && j < n; j++) hi[j] += from_hi[j];
    for (ptrdiff_t j = 0; exact && j < n; j++) {
        fn_add_to(&hi[j], &lo[j], from_hi[j]);
        lo[j] += from_lo[j];
    }
}

#endif
