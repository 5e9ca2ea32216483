#include "columns.h"

#include "exact.h"
#include "tree.h"
#include "work.h"

static ptrdiff_t greatest_common_divisor(ptrdiff_t a, ptrdiff_t b)
{
    while (b) {
        const ptrdiff_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

fn_columns fn_columns_plan(ptrdiff_t m, ptrdiff_t c, fn_dtype dtype)
{
    fn_columns plan = {.m = m, .c = c, .fold = 1, .item_bytes = fn_item_bytes(dtype)};
    const ptrdiff_t lanes = FN_UNIT_BYTES / plan.item_bytes;
    const ptrdiff_t fold = lanes / greatest_common_divisor(c, lanes);
    if (c < FN_FOLD_MAX_COLUMNS && m >= FN_FOLD_MIN_ROWS * fold) plan.fold = fold;
    plan.rows = m / plan.fold;
    plan.cols = c * plan.fold;
    plan.tail = m % plan.fold;

    const ptrdiff_t row_bytes = plan.cols * plan.item_bytes;
    const ptrdiff_t most = fn_max(1, fn_min(FN_MAX_SLABS, plan.rows * row_bytes / FN_SLAB_BYTES));
    plan.slab_rows = fn_round_up(fn_max(FN_FIRST_CHUNK_ROWS, fn_ceil_div(plan.rows, most)), FN_GROUP_ROWS);
    plan.slabs = fn_ceil_div(plan.rows, plan.slab_rows);
    plan.slice_cols = fn_min(plan.cols, FN_SLICE_COLUMNS);
    plan.slices = fn_ceil_div(plan.cols, plan.slice_cols);
    return plan;
}

ptrdiff_t fn_columns_scratch(const fn_columns *plan) { return plan->slabs * plan->cols; }

/* ---- tasks: one slice of one slab -------------------------------------------------------------------------------- */

typedef struct {
    const fn_columns *plan;
    const fn_kernels *kernels;
    const char *x, *dy, *center;
    const fn_moments *moments;
    const fn_bwd_sums *sums;
} column_task;

typedef struct {
    ptrdiff_t rows, cols;
    ptrdiff_t in;      /* bytes from the start of x */
    ptrdiff_t column;  /* first column */
    ptrdiff_t scratch; /* its place in scratch arrays */
} column_part;

static column_part part_of(const fn_columns *plan, ptrdiff_t task)
{
    const ptrdiff_t slab = task / plan->slices, column = task % plan->slices * plan->slice_cols;
    const ptrdiff_t row = slab * plan->slab_rows;
    return (column_part){.rows = fn_min(plan->slab_rows, plan->rows - row),
                         .cols = fn_min(plan->slice_cols, plan->cols - column),
                         .in = (row * plan->cols + column) * plan->item_bytes,
                         .column = column,
                         .scratch = slab * plan->cols + column};
}

static void moments_range(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const column_task *task = arg;
    for (ptrdiff_t i = begin; i < end; i++) {
        const column_part p = part_of(task->plan, i);
        const fn_moments out = {task->moments->pivot + p.scratch, task->moments->shift + p.scratch,
                                task->moments->m2 + p.scratch};
        task->kernels->batchnorm_moments(task->x + p.in, p.rows, task->plan->cols, p.cols, &out);
    }
}

static void bwd_sums_range(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const column_task *task = arg;
    for (ptrdiff_t i = begin; i < end; i++) {
        const column_part p = part_of(task->plan, i);
        const fn_bwd_sums *s = task->sums;
        const fn_bwd_sums out = {s->dy_e + p.scratch, s->dy_e_lo + p.scratch, s->dy + p.scratch, s->dy_lo + p.scratch};
        task->kernels->batchnorm_bwd_sums(task->dy + p.in, task->x + p.in, p.rows, task->plan->cols, p.cols,
                                          task->center + p.column * task->plan->item_bytes, &out);
    }
}

/* ---- merging ----------------------------------------------------------------------------------------------------- */

static fn_moments moments_at(const fn_moments *s, ptrdiff_t offset)
{
    return (fn_moments){s->pivot + offset, s->shift + offset, s->m2 + offset};
}

/* Moments a of na elements take in moments b of nb elements, column by column (Chan, Golub & LeVeque 1983). */
static void merge_moments(fn_moments a, double na, fn_moments b, double nb, ptrdiff_t cols)
{
    const double share = nb / (na + nb), weight = na * nb / (na + nb);
    for (ptrdiff_t j = 0; j < cols; j++) {
        const double delta = (b.pivot[j] - a.pivot[j]) + (b.shift[j] - a.shift[j]);
        a.shift[j] += delta * share;
        a.m2[j] = (a.m2[j] + b.m2[j]) + delta * delta * weight;
    }
}

static double slab_count(const fn_columns *plan, ptrdiff_t slab, ptrdiff_t slabs)
{
    const ptrdiff_t end = fn_min(plan->rows, (slab + slabs) * plan->slab_rows);
    return (double)(end - slab * plan->slab_rows);
}

static void merge_slabs_of_moments(const fn_columns *plan, const fn_moments *s)
{
    for (ptrdiff_t width = 1; width < plan->slabs; width *= 2)
        for (ptrdiff_t i = 0; i + width < plan->slabs; i += 2 * width)
            merge_moments(moments_at(s, i * plan->cols), slab_count(plan, i, width),
                          moments_at(s, (i + width) * plan->cols), slab_count(plan, i + width, width), plan->cols);
}

/* Row i of the tail joins sub-row i of the folded columns; then sub-rows are merged in halves. */
static void merge_folds_of_moments(const fn_columns *plan, const fn_moments *s, const void *x)
{
    const ptrdiff_t c = plan->c, first = plan->rows * plan->cols;
    const double rows = (double)plan->rows;
    double count[FN_UNIT_BYTES / 4];
    for (ptrdiff_t i = 0; i < plan->fold; i++) {
        count[i] = rows;
        if (i >= plan->tail) continue;
        for (ptrdiff_t j = 0; j < c; j++) {
            double value = fn_value_at(x, first + i * c + j, plan->item_bytes), shift = 0, m2 = 0;
            merge_moments(moments_at(s, i * c + j), rows, (fn_moments){&value, &shift, &m2}, 1, 1);
        }
        count[i] += 1;
    }
    for (ptrdiff_t half = plan->fold / 2; half > 0; half /= 2)
        for (ptrdiff_t i = 0; i < half; i++) {
            merge_moments(moments_at(s, i * c), count[i], moments_at(s, (i + half) * c), count[i + half], c);
            count[i] += count[i + half];
        }
}

void fn_columns_moments(const fn_columns *plan, const fn_kernels *kernels, const void *x, const fn_moments *scratch)
{
    column_task task = {.plan = plan, .kernels = kernels, .x = x, .moments = scratch};
    fn_share(moments_range, &task, plan->slabs * plan->slices, plan->m * plan->c * plan->item_bytes);
    merge_slabs_of_moments(plan, scratch);
    merge_folds_of_moments(plan, scratch, x);
}

static void add_sums(const fn_bwd_sums *s, ptrdiff_t to, ptrdiff_t from, ptrdiff_t cols)
{
    fn_add_pairs(s->dy_e + to, s->dy_e_lo + to, s->dy_e + from, s->dy_e_lo + from, cols);
    fn_add_pairs(s->dy + to, s->dy_lo + to, s->dy + from, s->dy_lo + from, cols);
}

static void add_tail_to_sums(const fn_columns *plan, const void *dy, const void *x, const void *center,
                             const fn_bwd_sums *s)
{
    const ptrdiff_t first = plan->rows * plan->cols;
    for (ptrdiff_t j = 0; j < plan->tail * plan->c; j++) {
        const double e = fn_value_at(x, first + j, plan->item_bytes) - fn_value_at(center, j, plan->item_bytes);
        const double t = fn_value_at(dy, first + j, plan->item_bytes);
        fn_add_to(&s->dy_e[j], &s->dy_e_lo[j], t * e);
        fn_add_to(&s->dy[j], &s->dy_lo[j], t);
    }
}

void fn_columns_bwd_sums(const fn_columns *plan, const fn_kernels *kernels, const void *dy, const void *x,
                         const void *center, const fn_bwd_sums *scratch)
{
    column_task task = {.plan = plan, .kernels = kernels, .x = x, .dy = dy, .center = center, .sums = scratch};
    fn_share(bwd_sums_range, &task, plan->slabs * plan->slices, 2 * plan->m * plan->c * plan->item_bytes);
    for (ptrdiff_t width = 1; width < plan->slabs; width *= 2)
        for (ptrdiff_t i = 0; i + width < plan->slabs; i += 2 * width)
            add_sums(scratch, i * plan->cols, (i + width) * plan->cols, plan->cols);
    add_tail_to_sums(plan, dy, x, center, scratch);
    for (ptrdiff_t half = plan->fold / 2; half > 0; half /= 2)
        add_sums(scratch, 0, half * plan->c, half * plan->c);
}
