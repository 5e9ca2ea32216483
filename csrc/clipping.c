/* Clipping of gradients: each by itself, or all by the norm of a list of arrays. */
#include "clipping.h"

#include <math.h>
#include <stdlib.h>

#include "dispatch.h"
#include "fpenv.h"
#include "work.h"

FN_TABLES(clipping)

static ptrdiff_t item_of(const fn_array *array, ptrdiff_t i) { return i * fn_item_bytes(array->dtype); }

/* ---- by value ---------------------------------------------------------------------------------------------------- */

typedef struct {
    double low, high;
    int stream;
} bounds;

static void clip(const void *op, const fn_array *array, ptrdiff_t begin, ptrdiff_t end, fn_lane_sums *sums)
{
    const bounds *b = op;
    (void)sums;
    clipping_kernels(array->dtype)->clip((const char *)array->x + item_of(array, begin),
                                         (char *)array->y + item_of(array, begin), end - begin, b->low, b->high,
                                         b->stream && array->x != array->y);
}

static int clip_by_value(fn_array *arrays, ptrdiff_t count, double low, double high)
{
    const fn_fpenv saved = fn_fp_default();
    const fn_arrays list = fn_plan_arrays(arrays, count);
    const bounds op = {low, high, 2 * list.bytes >= FN_STREAM_BYTES};
    fn_for_arrays(&list, clip, &op, 2);
    fn_fp_restore(saved);
    return 0;
}

/* ---- the norm ---------------------------------------------------------------------------------------------------- */

static void square(const void *op, const fn_array *array, ptrdiff_t begin, ptrdiff_t end, fn_lane_sums *sums)
{
    const double *scale = op;
    clipping_kernels(array->dtype)->squares((const char *)array->x + item_of(array, begin), end - begin, *scale, sums);
}

/* A norm is root * 2^exponent. */
static int norm_of(const fn_arrays *list, double *root, int *exponent)
{
    fn_pair few[8], *scratch = few, *block = NULL;
    if (fn_arrays_scratch(list, 1) > 8) scratch = block = malloc((size_t)fn_arrays_scratch(list, 1) * sizeof *block);
    if (!scratch) return -1;
    double scale = 1, sum;
    fn_sum_arrays(list, square, &scale, 1, 1, scratch, &sum);
    const int again = fn_exponent_again(sum, 2);
    if (again) {
        scale = ldexp(1, again);
        fn_sum_arrays(list, square, &scale, 1, 1, scratch, &sum);
    }
    free(block);
    *root = sqrt(sum);
    *exponent = -again;
    return 0;
}

static int global_norm(fn_array *arrays, ptrdiff_t count, double *norm)
{
    const fn_fpenv saved = fn_fp_default();
    const fn_arrays list = fn_plan_arrays(arrays, count);
    int exponent;
    const int status = norm_of(&list, norm, &exponent);
    if (!status) *norm = ldexp(*norm, exponent);
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
    int over, under;
    const double quotient = frexp(max_norm, &over) / frexp(norm, &under);
    const int exponent = over - under, half = exponent < -FN_EXPONENT_AGAIN ? exponent / 2 : 0;
    return (factors){ldexp(quotient, exponent - half), ldexp(1, half)};
}

static void scale(const void *op, const fn_array *array, ptrdiff_t begin, ptrdiff_t end, fn_lane_sums *sums)
{
    const factors *f = op;
    (void)sums;
    clipping_kernels(array->dtype)->scale((char *)array->y + item_of(array, begin), end - begin, f->first, f->second);
}

static int clip_by_global_norm(fn_array *arrays, ptrdiff_t count, double max_norm, double *norm)
{
    const int status = global_norm(arrays, count, norm);
    if (status || !isfinite(*norm) || !(*norm > max_norm)) return status;
    const fn_fpenv saved = fn_fp_default();
    const fn_arrays list = fn_plan_arrays(arrays, count);
    const factors op = factors_of(max_norm, *norm);
    fn_for_arrays(&list, scale, &op, 2);
    fn_fp_restore(saved);
    return 0;
}

const fn_clipping_drivers fn_clipping = {clip_by_value, global_norm, clip_by_global_norm};
