/* Penalties on weights: their sums over a list of arrays, taken again where they leave the range of double. */
#include "penalties.h"

#include <math.h>
#include <stdlib.h>

#include "dispatch.h"
#include "fpenv.h"
#include "work.h"

FN_TABLES(penalties)

static ptrdiff_t item_of(const fn_array *array, ptrdiff_t i) { return i * fn_item_bytes(array->dtype); }

/* ---- penalties --------------------------------------------------------------------------------------------------- */

typedef struct {
    int kinds;
    double scale;
} sums_again;

static void penalize(const void *op, const fn_array *array, ptrdiff_t begin, ptrdiff_t end, fn_lane_sums *sums)
{
    const char *w = array->x;
    char *grad = array->y;
    penalties_kernels(array->dtype)->penalize(w + item_of(array, begin), grad ? grad + item_of(array, begin) : NULL,
                                              end - begin, op, sums);
}

static void penalize_again(const void *op, const fn_array *array, ptrdiff_t begin, ptrdiff_t end, fn_lane_sums *sums)
{
    const sums_again *again = op;
    penalties_kernels(array->dtype)->penalize_again((const char *)array->x + item_of(array, begin), end - begin,
                                                    again->kinds, again->scale, sums);
}

/* strength * sum * 2^exponent without leaving the range on the way. */
static double product(double strength, double sum, int exponent)
{
    int a = 0, b = 0;
    if (!exponent || !isfinite(sum)) return strength * sum;
    return ldexp(frexp(strength, &a) * frexp(sum, &b), a + b + exponent);
}

/* strength * sum^power; the sum is taken again if need be. */
static double part_of_value(const fn_arrays *list, int kind, double strength, double sum, fn_pair *scratch)
{
    const int power = kind == FN_PENALTY_L2 ? 2 : 1, exponent = fn_exponent_again(sum, power);
    if (exponent) {
        const sums_again again = {kind, ldexp(1, exponent)};
        fn_sum_arrays(list, penalize_again, &again, 1, 1, scratch, &sum);
    }
    return product(strength, sum, -power * exponent);
}

static int penalty(fn_array *arrays, ptrdiff_t count, const fn_penalty *op, double *value)
{
    const fn_fpenv saved = fn_fp_default();
    const fn_arrays list = fn_plan_arrays(arrays, count);
    const int sums = op->kinds == (FN_PENALTY_L1 | FN_PENALTY_L2) ? 2 : 1;
    double total[2];
    fn_pair few[8], *scratch = few, *block = NULL;
    if (fn_arrays_scratch(&list, sums) > 8) scratch = block = malloc((size_t)fn_arrays_scratch(&list, sums) * sizeof *block);
    if (scratch) {
        fn_sum_arrays(&list, penalize, op, count && arrays[0].y ? 3 : 1, sums, scratch, total);
        *value = 0;
        if (op->kinds & FN_PENALTY_L1) *value = part_of_value(&list, FN_PENALTY_L1, op->l1, total[0], scratch);
        if (op->kinds & FN_PENALTY_L2)
            *value += part_of_value(&list, FN_PENALTY_L2, op->l2 / 2, total[sums - 1], scratch);
    }
    free(block);
    fn_fp_restore(saved);
    return scratch ? 0 : -1;
}

/* ---- proximal step ----------------------------------------------------------------------------------------------- */

typedef struct {
    double step;
    int stream;
} threshold;

static void shrink(const void *op, const fn_array *array, ptrdiff_t begin, ptrdiff_t end, fn_lane_sums *sums)
{
    const threshold *t = op;
    (void)sums;
    penalties_kernels(array->dtype)->soft_threshold((const char *)array->x + item_of(array, begin),
                                                    (char *)array->y + item_of(array, begin), end - begin, t->step,
                                                    t->stream && array->x != array->y);
}

static int soft_threshold(fn_array *arrays, ptrdiff_t count, double step)
{
    const fn_fpenv saved = fn_fp_default();
    const fn_arrays list = fn_plan_arrays(arrays, count);
    const threshold op = {step, 2 * list.bytes >= FN_STREAM_BYTES};
    fn_for_arrays(&list, shrink, &op, 2);
    fn_fp_restore(saved);
    return 0;
}

const fn_penalties_drivers fn_penalties = {penalty, soft_threshold};
