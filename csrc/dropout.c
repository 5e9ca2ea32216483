/* Dropout: how its elements are cut into tasks. */
#include "dropout.h"

#include "dispatch.h"
#include "fpenv.h"
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

static void range(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const task *t = arg;
    const ptrdiff_t first = begin * TASK_ELEMENTS, n = fn_min(end * TASK_ELEMENTS, t->op->n) - first;
    t->kernels->apply(t->op, first, n, (const char *)t->op->x + first * t->item_bytes,
                      (char *)t->op->y + first * t->item_bytes, t->op->mask ? t->op->mask + first / 8 : NULL);
}

static int apply(const fn_dropout_op *op, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    task t = {op, dropout_kernels(dtype), fn_item_bytes(dtype)};
    if (op->n > 0) fn_share(range, &t, fn_ceil_div(op->n, TASK_ELEMENTS), 2 * WORK * op->n * t.item_bytes);
    fn_fp_restore(saved);
    return 0;
}

const fn_dropout_drivers fn_dropout = {apply};
