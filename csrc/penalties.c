/* Penalties on weights: their sums over a list of arrays, taken again where they leave the range of double. */
#include "penalties.h"

#include <math.h>

#include "compiler.h"
#include "dispatch.h"
#include "fpenv.h"

FN_TABLES(penalties)

/* ---- penalties --------------------------------------------------------------------------------------------------- */

typedef struct {
    int kinds;
    double scale;
} sums_again;

static void penalize(const void *op, const fn_piece *piece, fn_lane_sums *sums)
{
    penalties_kernels(piece->dtype)->penalize(piece->x, piece->y, piece->n, op, sums);
}

static void penalize_again(const void *op, const fn_piece *piece, fn_lane_sums *sums)
{
    const sums_again *again = op;
    penalties_kernels(piece->dtype)->penalize_again(piece->x, piece->n, again->kinds, again->scale, sums);
}

/* strength * sum * 2^exponent without leaving the range on the way. */
static double product(double strength, double sum, int exponent)
{
    int a = 0, b = 0;
    if (!exponent || !isfinite(sum)) return strength * sum;
    const double c = frexp(strength, &a), d = frexp(sum, &b);
    return ldexp(c * d, a + b + exponent);
}

/* strength * sum^power; the sum is taken again if need be. */
static double part_of_value(const fn_arrays *list, int kind, double strength, double sum, fn_scratch *scratch)
{
    const int power = kind == FN_PENALTY_L2 ? 2 : 1, exponent = fn_exponent_again(sum, power);
    if (exponent) {
        const sums_again again = {kind, ldexp(1, exponent)};
        fn_sum_arrays(list, penalize_again, &again, FN_READ, 1, scratch, &sum);
    }
    return product(strength, sum, -power * exponent);
}

/* A call, so that no arithmetic is moved out of the default floating-point environment. */
static FN_NOINLINE int value_of(const fn_arrays *list, const fn_penalty *op, int graded, double *value)
{
    const int sums = op->kinds == (FN_PENALTY_L1 | FN_PENALTY_L2) ? 2 : 1;
    double total[2];
    fn_scratch scratch;
    if (fn_take_scratch(&scratch, list, sums)) return -1;
    fn_sum_arrays(list, penalize, op, graded ? FN_UPDATE : FN_READ, sums, &scratch, total);
    *value = 0;
    if (op->kinds & FN_PENALTY_L1) *value = part_of_value(list, FN_PENALTY_L1, op->l1, total[0], &scratch);
    if (op->kinds & FN_PENALTY_L2) *value += part_of_value(list, FN_PENALTY_L2, op->l2 / 2, total[sums - 1], &scratch);
    fn_give_scratch(&scratch);
    return 0;
}

static int penalty(fn_array *arrays, ptrdiff_t count, const fn_penalty *op, double *value)
{
    const fn_fpenv saved = fn_fp_default();
    const fn_arrays list = fn_plan_arrays(arrays, count);
    const int status = value_of(&list, op, count && arrays[0].y, value);
    fn_fp_restore(saved);
    return status;
}

/* ---- proximal step ----------------------------------------------------------------------------------------------- */

static void shrink(const void *op, const fn_piece *piece, fn_lane_sums *sums)
{
    const double *step = op;
    (void)sums;
    penalties_kernels(piece->dtype)->soft_threshold(piece->x, piece->y, piece->n, *step, piece->stream);
}

static int soft_threshold(fn_array *arrays, ptrdiff_t count, double step)
{
    const fn_fpenv saved = fn_fp_default();
    const fn_arrays list = fn_plan_arrays(arrays, count);
    fn_for_arrays(&list, shrink, &step, FN_WRITE);
    fn_fp_restore(saved);
    return 0;
}

const fn_penalties_drivers fn_penalties = {penalty, soft_threshold};
