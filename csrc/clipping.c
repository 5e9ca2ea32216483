/* Clipping of gradients: each by itself, or all by the norm of a list of arrays. */
#include "clipping.h"

#include <math.h>

#include "compiler.h"
#include "dispatch.h"
#include "fpenv.h"

FN_TABLES(clipping)

/* ---- by value ---------------------------------------------------------------------------------------------------- */

typedef struct {
    double low, high;
} bounds;

static void clip(const void *op, const fn_piece *piece, fn_lane_sums *sums)
{
    const bounds *b = op;
    (void)sums;
    clipping_kernels(piece->dtype)->clip(piece->x, piece->y, piece->n, b->low, b->high, piece->stream);
}

static int clip_by_value(fn_array *arrays, ptrdiff_t count, double low, double high)
{
    const fn_fpenv saved = fn_fp_default();
    const fn_arrays list = fn_plan_arrays(arrays, count);
    const bounds op = {low, high};
    fn_for_arrays(&list, clip, &op, FN_WRITE);
    fn_fp_restore(saved);
    return 0;
}

/* ---- the norm ---------------------------------------------------------------------------------------------------- */

static void square(const void *op, const fn_piece *piece, fn_lane_sums *sums)
{
    const double *scale = op;
    clipping_kernels(piece->dtype)->squares(piece->x, piece->n, *scale, sums);
}

/* A call, so that no arithmetic is moved out of the default floating-point environment. */
static FN_NOINLINE int norm_of(const fn_arrays *list, double *norm)
{
    double scale = 1, sum;
    fn_scratch scratch;
    if (fn_take_scratch(&scratch, list, 1)) return -1;
    fn_sum_arrays(list, square, &scale, FN_READ, 1, &scratch, &sum);
    const int exponent = fn_exponent_again(sum, 2);
    if (exponent) {
        scale = ldexp(1, exponent);
        fn_sum_arrays(list, square, &scale, FN_READ, 1, &scratch, &sum);
    }
    fn_give_scratch(&scratch);
    *norm = ldexp(sqrt(sum), -exponent);
    return 0;
}

static int global_norm(fn_array *arrays, ptrdiff_t count, double *norm)
{
    const fn_fpenv saved = fn_fp_default();
    const fn_arrays list = fn_plan_arrays(arrays, count);
    const int status = norm_of(&list, norm);
    fn_fp_restore(saved);
    return status;
}

/* ---- by the norm ------------------------------------------------------------------------------------------------- */

typedef struct {
    double first, second;
} factors;

/* max_norm / norm, in two factors where it is too small for one. */
static factors factors_of(double max_norm, double norm)
{
    int over = 0, under = 0;
    const double a = frexp(max_norm, &over), b = frexp(norm, &under);
    const int exponent = over - under, half = exponent < -FN_EXPONENT_AGAIN ? exponent / 2 : 0;
    return (factors){ldexp(a / b, exponent - half), ldexp(1, half)};
}

static void scale(const void *op, const fn_piece *piece, fn_lane_sums *sums)
{
    const factors *f = op;
    (void)sums;
    clipping_kernels(piece->dtype)->scale(piece->y, piece->n, f->first, f->second);
}

static FN_NOINLINE void scale_by(const fn_arrays *list, double max_norm, double norm)
{
    const factors op = factors_of(max_norm, norm);
    fn_for_arrays(list, scale, &op, FN_WRITE);
}

static int clip_by_global_norm(fn_array *arrays, ptrdiff_t count, double max_norm, double *norm)
{
    const fn_fpenv saved = fn_fp_default();
    const fn_arrays list = fn_plan_arrays(arrays, count);
    const int status = norm_of(&list, norm);
    if (!status && isfinite(*norm) && *norm > max_norm) scale_by(&list, max_norm, *norm);
    fn_fp_restore(saved);
    return status;
}

const fn_clipping_drivers fn_clipping = {clip_by_value, global_norm, clip_by_global_norm};
