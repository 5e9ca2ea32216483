/* Dropout: how its elements are cut into tasks. */
#include "dropout.h"

#include "dispatch.h"
#include "fpenv.h"
#include "half_blocks.h"
#include "work.h"

FN_TABLES(dropout)

enum {
    TASK_ELEMENTS = 1 << 13, /* a multiple of FN_DROPOUT_BLOCK */
    WORK = 4,                /* the words of an element take this many times the time of its traffic */
};

typedef struct {
    const fn_dropout_op *op;
    const fn_dropout_kernels *kernels;
    ptrdiff_t item_bytes;
} task;

static void apply_to(const task *t, ptrdiff_t first, ptrdiff_t n, const void *x, void *y)
{
    t->kernels->apply(t->op, first, n, x, y, t->op->mask ? t->op->mask + first / 8 : NULL);
}

static void apply_to_floats(void *arg, ptrdiff_t first, ptrdiff_t n, float *x, float *none)
{
    (void)none;
    apply_to(arg, first, n, x, x);
}

static void range(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const task *t = arg;
    const fn_halves halves = {t->op->storage, t->op->x, NULL, t->op->y};
    const ptrdiff_t first = begin * TASK_ELEMENTS, last = fn_min(end * TASK_ELEMENTS, t->op->n);
    if (t->op->storage == FN_REAL)
        apply_to(t, first, last - first, (const char *)t->op->x + first * t->item_bytes,
                 (char *)t->op->y + first * t->item_bytes);
    else
        fn_by_blocks(&halves, first, last, apply_to_floats, arg);
}

static int dropout(const fn_dropout_op *op, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    task t = {op, dropout_kernels(dtype), fn_item_bytes(dtype)};
    if (op->n > 0) fn_share(range, &t, fn_ceil_div(op->n, TASK_ELEMENTS), 2 * WORK * op->n * t.item_bytes);
    fn_fp_restore(saved);
    return 0;
}

const fn_dropout_drivers fn_dropout = {dropout};
