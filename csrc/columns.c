#include "columns.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "columns_apply.h"
#include "columns_load.h"
#include "exact.h"
#include "slabs.h"
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

fn_columns fn_columns_plan(ptrdiff_t m, ptrdiff_t c, ptrdiff_t stride, fn_dtype dtype)
{
    fn_columns plan = {.m = m, .c = c, .stride = stride, .fold = 1, .item_bytes = fn_item_bytes(dtype), .samples = 1};
    const ptrdiff_t lanes = FN_UNIT_BYTES / plan.item_bytes;
    const ptrdiff_t fold = lanes / greatest_common_divisor(c, lanes);
    /* a narrow block of a wide array is not folded: its rows do not follow each other, and the array would not be */
    if (c == stride && c < FN_FOLD_MAX_COLUMNS && m >= FN_FOLD_MIN_ROWS * fold) {
        plan.fold = fold;
        plan.stride = fold * c;
    }
    plan.rows = m / plan.fold;
    plan.cols = c * plan.fold;
    plan.tail = m % plan.fold;

    plan.slice_cols = fn_min(plan.cols, FN_SLICE_COLUMNS);
    plan.slices = fn_ceil_div(plan.cols, plan.slice_cols);
    const ptrdiff_t most =
        fn_max(1, fn_min(FN_MAX_SLABS, plan.rows * plan.slice_cols * plan.item_bytes / FN_SLAB_BYTES));
    plan.slab_rows = fn_round_up(fn_ceil_div(plan.rows, most), FN_GROUP_ROWS);
    plan.slabs = fn_ceil_div(plan.rows, plan.slab_rows);
    plan.padded = fn_round_up(plan.cols, lanes);
    return plan;
}

ptrdiff_t fn_columns_bytes(const fn_columns *plan, ptrdiff_t spare)
{
    const ptrdiff_t doubles = (4 * plan->slabs + spare) * plan->padded;
    const ptrdiff_t waiting = plan->slices * (ptrdiff_t)sizeof(fn_waiting_slabs);
    return doubles * (ptrdiff_t)sizeof(double) + 4 * plan->padded * plan->item_bytes + waiting + plan->cols;
}

void fn_columns_place(fn_columns_space *s, const fn_columns *plan, ptrdiff_t spare, void *memory)
{
    const ptrdiff_t each = plan->slabs * plan->padded, doubles = 4 * each + spare * plan->padded;
    const ptrdiff_t real = plan->padded * plan->item_bytes;
    const ptrdiff_t waiting = plan->slices * (ptrdiff_t)sizeof(fn_waiting_slabs);
    double *d = memory;
    s->sums = (fn_column_sums){d, d + each, d + 2 * each, d + 3 * each};
    s->spare = d + 4 * each;
    char *k = (char *)(d + doubles);
    s->k = (fn_coefficients){k, k + real, k + 2 * real, k + 3 * real, (unsigned char *)k + 4 * real + waiting, 0};
    s->waiting = (fn_waiting_slabs *)(k + 4 * real);
}

int fn_columns_take(fn_columns_space *s, const fn_columns *plan, ptrdiff_t spare)
{
    const ptrdiff_t bytes = fn_columns_bytes(plan, spare);
    s->block = bytes > FN_COLUMNS_LOCAL_BYTES ? malloc((size_t)bytes + FN_UNIT_BYTES) : NULL;
    if (bytes > FN_COLUMNS_LOCAL_BYTES && !s->block) return -1;
    fn_columns_place(s, plan, spare, fn_aligned_up(s->block ? s->block : s->local));
    return 0;
}

void fn_columns_repeat(void *array, const fn_columns *plan, ptrdiff_t item_bytes)
{
    const size_t bytes = (size_t)(plan->c * item_bytes);
    for (ptrdiff_t i = 1; i < plan->fold; i++) memcpy((char *)array + (size_t)i * bytes, array, bytes);
}

/* ---- tasks: one slice of one slab -------------------------------------------------------------------------------- */

typedef struct {
    const fn_columns *plan;
    const fn_batchnorm_kernels *kernels;
    const fn_columns_data *data;
    const fn_column_sums *sums;
    fn_waiting_slabs *waiting; /* of each slice */
    int fetch;
} column_task;

static fn_column_sums sums_at(const fn_column_sums *s, ptrdiff_t offset)
{
    return (fn_column_sums){s->a + offset, s->a_lo + offset, s->b + offset, s->b_lo + offset};
}

static void add_sums(const fn_columns *plan, const fn_column_sums *to, const fn_column_sums *from, ptrdiff_t cols)
{
    fn_add_sums(to->a, to->a_lo, from->a, from->a_lo, cols, plan->item_bytes == 8);
    fn_add_sums(to->b, to->b_lo, from->b, from->b_lo, cols, plan->item_bytes == 8);
}

/* A slice of all slabs. */
typedef struct {
    const fn_columns *plan;
    fn_column_sums sums;
    ptrdiff_t cols;
} slice_sums;

static void add_slab_of_slice(const void *context, ptrdiff_t to, ptrdiff_t from)
{
    const slice_sums *slice = context;
    const ptrdiff_t padded = slice->plan->padded;
    const fn_column_sums a = sums_at(&slice->sums, to * padded), b = sums_at(&slice->sums, from * padded);
    add_sums(slice->plan, &a, &b, slice->cols);
}

/* Sets the sums of some columns to 0, whole units of them. */
static void clear_sums(const fn_columns *plan, const fn_column_sums *s, ptrdiff_t cols)
{
    const size_t bytes = (size_t)fn_round_up(cols, FN_UNIT_BYTES / plan->item_bytes) * sizeof(double);
    memset(s->a, 0, bytes);
    memset(s->b, 0, bytes);
    if (plan->item_bytes == 4) return; /* which have no lo */
    memset(s->a_lo, 0, bytes);
    memset(s->b_lo, 0, bytes);
}

/* Part by part, each of whole groups: dy as it is, or what is made of it. */
static void sum_parts(const column_task *task, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t column, ptrdiff_t cols,
                      const fn_column_sums *out)
{
    _Alignas(FN_UNIT_BYTES) char tile[FN_GATHER_BYTES];
    const fn_columns *plan = task->plan;
    const fn_columns_data *data = task->data;
    const ptrdiff_t size = plan->item_bytes, group = data->first ? FN_SUMMED_ROWS : FN_GRADIENT_ROWS;
    const ptrdiff_t bytes = data->first ? FN_PIECE_BYTES : FN_PART_BYTES,
                    some = fn_max(1, bytes / (cols * size) / group) * group;
    for (const ptrdiff_t end = row + rows; row < end; row += some) {
        const ptrdiff_t in = (row * plan->stride + column) * size;
        fn_columns_part part = {.row = row,
                                .rows = fn_min(some, end - row),
                                .column = column,
                                .cols = cols,
                                .dy = data->dy + in,
                                .dy_stride = plan->stride};
        if (data->first) data->first(data->context, &part, tile);
        task->kernels->bwd_sums(part.dy, part.dy_stride, data->x + in, part.rows, plan->stride, cols,
                                data->mean + column, task->fetch ? data->dy + in : NULL, out);
        if (data->then) data->then(data->context, &part);
    }
    if (data->first) task->kernels->fence();
}

/* ---- loaded arrays, channels-first memory among them: tiles of them ---------------------------------------------- */

int fn_columns_takes_channels_first(ptrdiff_t m, ptrdiff_t c, fn_dtype dtype)
{
    const fn_columns plan = fn_columns_plan(m, c, c, dtype);
    return plan.fold == 1 || plan.cols * plan.item_bytes * FN_GROUP_ROWS <= FN_GATHER_BYTES;
}

/* Columns of a tile of which a group of rows fits: a folded array in channels-first memory has tiles of whole rows. */
static ptrdiff_t tile_columns(const column_task *task, ptrdiff_t cols)
{
    const fn_columns *plan = task->plan;
    if (!task->data->source.first.run) return fn_min(cols, FN_GATHER_BYTES / (FN_GROUP_ROWS * plan->item_bytes));
    return plan->fold > 1 ? cols : fn_min(cols, FN_GATHER_COLUMNS);
}

static void sum_loaded(const column_task *task, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t column, ptrdiff_t cols,
                       const fn_column_sums *out)
{
    _Alignas(FN_UNIT_BYTES) char x[FN_GATHER_BYTES], dy[FN_GATHER_BYTES], dz[FN_GATHER_BYTES];
    const fn_columns *plan = task->plan;
    const fn_columns_data *data = task->data;
    const fn_columns_loader loader = fn_columns_loader_of(plan, task->kernels, &data->source);
    const ptrdiff_t most = tile_columns(task, cols), size = plan->item_bytes;
    const ptrdiff_t some = FN_GATHER_BYTES / (most * size) / FN_GROUP_ROWS * FN_GROUP_ROWS,
                    ahead = task->fetch ? some : 0;
    for (ptrdiff_t j = 0; j < cols; j += most) {
        const ptrdiff_t width = fn_min(most, cols - j), first = column + j;
        const fn_column_sums to = sums_at(out, j);
        for (ptrdiff_t i = 0; i < rows; i += some) {
            fn_columns_part part = {row + i, fn_min(some, rows - i), first, width, data->dy ? dy : NULL, width, x};
            fn_columns_load(&loader, data->x, &part, plan->stride, x, ahead);
            if (data->dy) {
                fn_columns_load(&loader, data->dy, &part, plan->stride, dy, ahead);
                if (data->first) data->first(data->context, &part, dz);
                task->kernels->bwd_sums(part.dy, width, x, part.rows, width, width, data->mean + first, NULL, &to);
                if (data->then) data->then(data->context, &part);
            } else {
                task->kernels->moments(x, part.rows, width, width, data->pivot + first * size, 0, &to);
            }
        }
    }
    if (data->first || data->then) task->kernels->fence();
}

/* dy behind a ReLU. */
static void sum_relu(const column_task *task, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t column, ptrdiff_t cols,
                     const fn_column_sums *out)
{
    const fn_relu_gradient *all = task->data->relu;
    const ptrdiff_t stride = task->plan->stride, size = task->plan->item_bytes, in = (row * stride + column) * size;
    const fn_coefficients z = fn_coefficients_from(all->z, column * size);
    const fn_relu_gradient part = {.dy = (const char *)all->dy + in,
                                   .x = (const char *)all->x + in,
                                   .residual = all->residual ? (const char *)all->residual + in : NULL,
                                   .z = &z,
                                   .dz = all->dz ? (char *)all->dz + in : NULL,
                                   .rows = rows,
                                   .stride = stride,
                                   .cols = cols,
                                   .fetch = all->fetch,
                                   .stream = all->stream};
    task->kernels->relu_sums(&part, task->data->mean + column, out);
}

static void sum_range(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const column_task *task = arg;
    const fn_columns *plan = task->plan;
    const fn_columns_data *data = task->data;
    for (ptrdiff_t i = begin; i < end; i++) {
        const ptrdiff_t slab = i / plan->slices, column = i % plan->slices * plan->slice_cols;
        const ptrdiff_t row = slab * plan->slab_rows;
        const ptrdiff_t rows = fn_min(plan->slab_rows, plan->rows - row),
                        cols = fn_min(plan->slice_cols, plan->cols - column);
        const ptrdiff_t in = (row * plan->stride + column) * plan->item_bytes;
        const fn_column_sums out = sums_at(task->sums, slab * plan->padded + column);
        clear_sums(plan, &out, cols);
        if (fn_columns_loaded(&data->source))
            sum_loaded(task, row, rows, column, cols, &out);
        else if (data->relu)
            sum_relu(task, row, rows, column, cols, &out);
        else if (data->first || data->then)
            sum_parts(task, row, rows, column, cols, &out);
        else if (data->dy)
            task->kernels->bwd_sums(data->dy + in, plan->stride, data->x + in, rows, plan->stride, cols,
                                    data->mean + column, task->fetch ? data->dy + in : NULL, &out);
        else
            task->kernels->moments(data->x + in, rows, plan->stride, cols, data->pivot + column * plan->item_bytes,
                                   task->fetch, &out);
        const slice_sums slice = {plan, sums_at(task->sums, column), cols};
        fn_slab_done(&task->waiting[i % plan->slices], plan->slabs, slab, add_slab_of_slice, &slice);
    }
}

/* ---- putting sums together --------------------------------------------------------------------------------------- */

/* Row i of the tail joins part i of the fold. */
static void add_tail(const fn_columns *plan, const fn_batchnorm_kernels *kernels, const fn_columns_data *data,
                     const fn_column_sums *s)
{
    /* which have room for the columns of a folded array */
    _Alignas(FN_UNIT_BYTES) char x_tile[FN_GATHER_BYTES], dy_tile[FN_GATHER_BYTES], dz_tile[FN_GATHER_BYTES];
    const ptrdiff_t size = plan->item_bytes, cols = plan->tail * plan->c, in = plan->rows * plan->cols * size;
    const int exact = size == 8;
    const char *x_at = data->x + in;
    fn_columns_part part = {plan->rows, 1, 0, cols, data->dy ? data->dy + in : NULL, cols, NULL};
    if (fn_columns_loaded(&data->source)) {
        const fn_columns_loader loader = fn_columns_loader_of(plan, kernels, &data->source);
        fn_columns_load(&loader, data->x, &part, plan->stride, x_tile, 0);
        part.x = x_at = x_tile;
        if (data->dy) fn_columns_load(&loader, data->dy, &part, plan->stride, dy_tile, 0);
        if (data->dy) part.dy = dy_tile;
    }
    if (data->first) data->first(data->context, &part, dz_tile);
    for (ptrdiff_t j = 0; j < cols; j++) {
        const double x = fn_value_at(x_at, j, size);
        if (part.dy) {
            const double dy = fn_value_at(part.dy, j, size);
            const fn_pair e = fn_two_sum(x, -data->mean[j]);
            fn_add(&s->a[j], &s->a_lo[j], dy * e.hi, exact);
            if (exact) s->a_lo[j] += fma(dy, e.hi, -(dy * e.hi)) + dy * e.lo;
            fn_add(&s->b[j], &s->b_lo[j], dy, exact);
        } else {
            const double d = x - fn_value_at(data->pivot, j, size);
            fn_add(&s->a[j], &s->a_lo[j], d, exact);
            fn_add(&s->b[j], &s->b_lo[j], d * d, exact);
        }
    }
    if (data->then) data->then(data->context, &part);
    if (data->first || data->then) kernels->fence();
}

void fn_columns_sum(const fn_columns *plan, const fn_batchnorm_kernels *kernels, const fn_columns_data *data,
                    const fn_column_sums *scratch, fn_waiting_slabs *waiting)
{
    const ptrdiff_t bytes = plan->m * plan->c * plan->item_bytes, arrays = data->dy ? 2 : 1;
    const int fetch = (arrays + 1) * bytes * plan->samples >= FN_STREAM_BYTES; /* what is written counts, too */
    column_task task = {plan, kernels, data, scratch, waiting, fetch};
    for (ptrdiff_t i = 0; i < plan->slices; i++) waiting[i] = 0;
    fn_share(sum_range, &task, plan->slabs * plan->slices, arrays * bytes);
    if (plan->tail) add_tail(plan, kernels, data, scratch);
    for (ptrdiff_t half = plan->fold / 2; half > 0; half /= 2) {
        const fn_column_sums from = sums_at(scratch, half * plan->c);
        add_sums(plan, scratch, &from, half * plan->c);
    }
}
