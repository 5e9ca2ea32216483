/* BatchNorm: statistics, then apply. How columns are cut for the sums is in columns.c; here the apply is. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "batchnorm.h"
#include "channels_first.h"
#include "columns.h"
#include "dispatch.h"
#include "fpenv.h"
#include "running.h"
#include "tree.h"
#include "work.h"

FN_TABLES(batchnorm)

static void repeat_coefficients(const fn_coefficients *k, const fn_columns *plan)
{
    fn_columns_repeat(k->center, plan, plan->item_bytes);
    fn_columns_repeat(k->scale, plan, plan->item_bytes);
    fn_columns_repeat(k->offset, plan, plan->item_bytes);
    fn_columns_repeat(k->slope, plan, plan->item_bytes);
}

/* ---- apply ------------------------------------------------------------------------------------------------------- */

/* The tiles of an apply: ranges of rows by ranges of columns, over the folded array unless some column is wide. */
typedef struct {
    const fn_batchnorm_kernels *kernels;
    const fn_coefficients *k;
    const char *x, *dy; /* dy is NULL in a forward */
    char *out;
    ptrdiff_t rows, cols, stride, item_bytes;
    ptrdiff_t tile_rows, tile_cols, tiles_across, tiles;
    int stream;
    /* for wide columns */
    const double *mean, *rstd;
    const void *gamma, *beta;
    const fn_column_sums *sums;
    const double *factor; /* in the backward of an inference, which has no x */
} apply_task;

static double parameter(const void *array, ptrdiff_t j, ptrdiff_t item_bytes, double otherwise)
{
    return array ? fn_value_at(array, j, item_bytes) : otherwise;
}

static void apply_wide_column(const apply_task *t, ptrdiff_t in, ptrdiff_t rows, ptrdiff_t j)
{
    const double gamma = parameter(t->gamma, j, t->item_bytes, 1), inv = 1 / (double)t->rows;
    if (t->factor) {
        t->kernels->scale_wide(t->dy + in, t->out + in, rows, t->stride, t->factor[j]);
    } else if (t->dy) {
        const fn_wide_bwd k = {t->mean[j], t->rstd[j], gamma * t->rstd[j], t->sums->b[j] * inv,
                               t->rstd[j] * (t->sums->a[j] * inv)};
        t->kernels->bwd_apply_wide(t->dy + in, t->x + in, t->out + in, rows, t->stride, &k);
    } else {
        t->kernels->apply_wide(t->x + in, t->out + in, rows, t->stride, t->mean[j], t->rstd[j], gamma,
                               parameter(t->beta, j, t->item_bytes, 0));
    }
}

static void apply_columns(const apply_task *t, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t j, ptrdiff_t cols)
{
    const ptrdiff_t in = (row * t->stride + j) * t->item_bytes, at = j * t->item_bytes;
    const fn_coefficients k = {(char *)t->k->center + at, (char *)t->k->scale + at, (char *)t->k->offset + at,
                               (char *)t->k->slope + at, NULL, 0};
    const fn_batchnorm_kernels *kernels = t->kernels;
    if (t->factor)
        (t->stream ? kernels->scale_stream : kernels->scale)(t->dy + in, t->out + in, rows, t->stride, cols, &k);
    else if (t->dy)
        (t->stream ? kernels->bwd_apply_stream : kernels->bwd_apply)(
            t->dy + in, t->x + in, t->out + in, rows, t->stride, cols, &k);
    else
        (t->stream ? kernels->apply_stream : kernels->apply)(t->x + in, t->out + in, rows, t->stride, cols, &k);
}

/* Runs of plain columns and single wide ones, in turn. */
static void apply_mixed_columns(const apply_task *t, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t begin, ptrdiff_t end)
{
    for (ptrdiff_t j = begin; j < end;) {
        ptrdiff_t next = j;
        while (next < end && !t->k->wide[next]) next++;
        if (next > j) apply_columns(t, row, rows, j, next - j);
        for (j = next; j < end && t->k->wide[j]; j++)
            apply_wide_column(t, (row * t->stride + j) * t->item_bytes, rows, j);
    }
}

static void apply_tile(const void *context, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t column, ptrdiff_t cols)
{
    const apply_task *t = context;
    if (t->k->wide_count)
        apply_mixed_columns(t, row, rows, column, column + cols);
    else
        apply_columns(t, row, rows, column, cols);
}

static void apply_range(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const apply_task *t = arg;
    for (ptrdiff_t i = begin; i < end; i++) {
        /* from the end to the front: the end is what the statistics left in the cache */
        const ptrdiff_t tile = t->tiles - 1 - i;
        const ptrdiff_t row = tile / t->tiles_across * t->tile_rows, column = tile % t->tiles_across * t->tile_cols;
        const ptrdiff_t rows = fn_min(t->tile_rows, t->rows - row), cols = fn_min(t->tile_cols, t->cols - column);
        apply_tile(t, row, rows, column, cols);
    }
}

/* Moves the first bytes of an array, less than a unit, to its end. */
static void rotate(void *array, ptrdiff_t first, ptrdiff_t bytes)
{
    char moved[FN_UNIT_BYTES];
    memcpy(moved, array, (size_t)first);
    memmove(array, (char *)array + first, (size_t)(bytes - first));
    memcpy((char *)array + bytes - first, moved, (size_t)first);
}

/* Where what is streamed does not begin on a cache line, as in the arrays of NumPy, each row would have an end that does
 * not fill one, which breaks the streams: measured, three times the time of rows of 128 bytes. So rows of whole lines
 * begin at the first line instead, with coefficients that are rotated, and a part of a row is left at either end. */
static void begin_aligned(apply_task *t)
{
    const ptrdiff_t row_bytes = t->cols * t->item_bytes;
    const ptrdiff_t skipped = (ptrdiff_t)(-(uintptr_t)t->out % FN_UNIT_BYTES);
    if (!skipped || skipped % t->item_bytes || t->stride != t->cols || row_bytes % FN_UNIT_BYTES) return;
    const ptrdiff_t columns = skipped / t->item_bytes;
    apply_columns(t, 0, 1, 0, columns);
    apply_columns(t, t->rows - 1, 1, columns, t->cols - columns);
    rotate(t->k->center, skipped, row_bytes);
    rotate(t->k->scale, skipped, row_bytes);
    rotate(t->k->offset, skipped, row_bytes);
    rotate(t->k->slope, skipped, row_bytes);
    t->x += skipped;
    t->out += skipped;
    if (t->dy) t->dy += skipped;
    t->rows--;
}

static void apply(apply_task *t, const fn_columns *plan)
{
    const int folded = !t->k->wide_count;
    if (folded) repeat_coefficients(t->k, plan);
    t->item_bytes = plan->item_bytes;
    t->rows = folded ? plan->rows : plan->m;
    t->cols = folded ? plan->cols : plan->c;
    t->stride = folded || plan->fold == 1 ? plan->stride : plan->c;
    const ptrdiff_t arrays = t->dy ? 3 : 2;
    t->stream = arrays * t->rows * t->stride * t->item_bytes >= FN_STREAM_BYTES && t->out != t->x && t->out != t->dy;
    /* rows that do not fill a folded row are its first columns */
    if (folded && plan->tail) apply_columns(t, plan->rows, 1, 0, plan->tail * plan->c);
    if (folded && t->stream) begin_aligned(t);
    t->tile_cols = fn_min(t->cols, FN_TILE_COLUMN_BYTES / t->item_bytes);
    t->tiles_across = fn_ceil_div(t->cols, t->tile_cols);
    const ptrdiff_t tile_bytes = t->stream ? FN_STREAM_TILE_BYTES : FN_TILE_BYTES;
    t->tile_rows = fn_max(4, tile_bytes / (t->tile_cols * t->item_bytes) / 4 * 4); /* kernels take up to four rows */
    t->tiles = fn_ceil_div(t->rows, t->tile_rows) * t->tiles_across;
    fn_share(apply_range, t, t->tiles, arrays * t->rows * t->cols * t->item_bytes);
}

/* ---- operations, or blocks of their columns ---------------------------------------------------------------------- */

static int forward(fn_batchnorm_fwd op, fn_dtype dtype)
{
    const fn_batchnorm_kernels *kernels = batchnorm_kernels(dtype);
    const fn_columns plan = fn_columns_plan(op.m, op.c, op.stride, dtype);
    fn_columns_space s;
    if (fn_columns_take(&s, &plan, 2)) return -1;
    if (!op.mean) op.mean = s.spare;
    if (!op.rstd) op.rstd = s.spare + plan.padded;
    kernels->pivots(op.x, op.m, op.stride, op.c, s.k.center);
    fn_columns_repeat(s.k.center, &plan, plan.item_bytes);
    const fn_columns_data data = {.x = op.x, .pivot = s.k.center};
    fn_columns_sum(&plan, kernels, &data, &s.sums, s.waiting);
    kernels->fwd_coefficients(&op, &s.sums, &s.k);
    apply_task task = {.kernels = kernels, .k = &s.k, .x = op.x, .out = op.y,
                       .mean = op.mean, .rstd = op.rstd, .gamma = op.gamma, .beta = op.beta};
    apply(&task, &plan);
    free(s.block);
    return 0;
}

static int inference(const fn_batchnorm_inference *op, fn_dtype dtype)
{
    const fn_batchnorm_kernels *kernels = batchnorm_kernels(dtype);
    const fn_columns plan = fn_columns_plan(op->m, op->c, op->stride, dtype);
    fn_columns_space s;
    if (fn_columns_take(&s, &plan, 2)) return -1;
    double *rstd = s.sums.a;
    kernels->inference_coefficients(op, rstd, s.spare, &s.k);
    apply_task task = {.kernels = kernels, .k = &s.k, .x = op->x, .out = op->y,
                       .mean = op->running_mean, .rstd = rstd, .gamma = op->gamma, .beta = op->beta};
    apply(&task, &plan);
    free(s.block);
    return 0;
}

static int backward(const fn_batchnorm_bwd *op, fn_dtype dtype)
{
    const fn_batchnorm_kernels *kernels = batchnorm_kernels(dtype);
    const fn_columns plan = fn_columns_plan(op->m, op->c, op->stride, dtype);
    fn_columns_space s;
    if (fn_columns_take(&s, &plan, 2)) return -1;
    double *mean = s.spare;
    memcpy(mean, op->mean, (size_t)op->c * sizeof(double));
    fn_columns_repeat(mean, &plan, sizeof(double));
    const fn_columns_data data = {.x = op->x, .dy = op->dy, .mean = mean};
    fn_columns_sum(&plan, kernels, &data, &s.sums, s.waiting);
    kernels->bwd_coefficients(op, &s.sums, &s.k);
    apply_task task = {.kernels = kernels, .k = &s.k, .x = op->x, .dy = op->dy, .out = op->dx,
                       .mean = op->mean, .rstd = op->rstd, .gamma = op->gamma, .sums = &s.sums};
    apply(&task, &plan);
    free(s.block);
    return 0;
}

/* Sums and dx in one pass over memory. Where gamma is NULL nothing asks for the sum that x enters, so x is not read. */
static int inference_backward(const fn_batchnorm_inference_bwd *op, fn_dtype dtype)
{
    const fn_batchnorm_kernels *kernels = batchnorm_kernels(dtype);
    const fn_columns plan = fn_columns_plan(op->m, op->c, op->stride, dtype);
    fn_columns_space s;
    if (fn_columns_take(&s, &plan, 3)) return -1;
    double *mean = s.spare, *factor = s.spare + plan.padded, *rstd = s.spare + 2 * plan.padded;
    memcpy(mean, op->running_mean, (size_t)op->c * sizeof(double));
    kernels->inference_bwd_coefficients(op, rstd, factor, &s.k);
    fn_columns_repeat(mean, &plan, sizeof(double));
    fn_columns_repeat(factor, &plan, sizeof(double));
    fn_columns_repeat(s.k.scale, &plan, plan.item_bytes);
    if (s.k.wide_count) fn_columns_repeat(s.k.wide, &plan, 1);
    apply_task task = {.kernels = kernels, .k = &s.k, .dy = op->dy, .out = op->dx, .rows = plan.rows, .stride = plan.stride,
                       .item_bytes = plan.item_bytes, .factor = factor};
    const ptrdiff_t row_bytes = plan.cols * plan.item_bytes, arrays = op->gamma ? 3 : 2;
    /* rows that are short or no whole lines, in an array like those of NumPy, would break the streams */
    task.stream = arrays * plan.rows * row_bytes >= FN_STREAM_BYTES && op->dx != op->x && op->dx != op->dy
                  && (row_bytes >= FN_STREAM_ROW_BYTES || (uintptr_t)op->dx % FN_UNIT_BYTES == 0);
    const fn_columns_data data = {.x = op->gamma ? op->x : op->dy, .dy = op->dy, .mean = mean, .then = apply_tile,
                                  .context = &task};
    fn_columns_sum(&plan, kernels, &data, &s.sums, s.waiting);
    if (plan.tail) apply_tile(&task, plan.rows, 1, 0, plan.tail * plan.c);
    kernels->inference_bwd_gradients(op, rstd, &s.sums);
    free(s.block);
    return 0;
}

/* Wide arrays of few rows go through statistics and apply block by block, each in the cache and on one thread. Blocks are
 * slices: sums and coefficients of a column do not depend on its neighbours, nor on the block it is in. */
typedef struct {
    const void *op;
    fn_dtype dtype;
} block_task;

static int goes_by_blocks(ptrdiff_t m, ptrdiff_t c, fn_dtype dtype)
{
    return c >= FN_BLOCKED_COLUMNS && fn_columns_plan(m, c, c, dtype).slabs == 1;
}

static void share_blocks(fn_range_fn fn, const void *op, fn_dtype dtype, ptrdiff_t c, ptrdiff_t bytes)
{
    block_task task = {op, dtype};
    fn_share(fn, &task, fn_ceil_div(c, FN_SLICE_COLUMNS), bytes);
}

/* Entry j of an array that may be missing. */
static void *entry(const void *array, ptrdiff_t j, ptrdiff_t item_bytes)
{
    return array ? (char *)(uintptr_t)array + j * item_bytes : NULL;
}

static double *entry_of_doubles(const double *array, ptrdiff_t j) { return entry(array, j, sizeof *array); }

static void forward_range(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const block_task *task = arg;
    const fn_batchnorm_fwd *op = task->op;
    const ptrdiff_t size = fn_item_bytes(task->dtype);
    for (ptrdiff_t j = begin * FN_SLICE_COLUMNS; j < fn_min(op->c, end * FN_SLICE_COLUMNS); j += FN_SLICE_COLUMNS)
        (void)forward((fn_batchnorm_fwd){.m = op->m,
                                         .c = fn_min(FN_SLICE_COLUMNS, op->c - j),
                                         .stride = op->stride,
                                         .x = entry(op->x, j, size),
                                         .gamma = entry(op->gamma, j, size),
                                         .beta = entry(op->beta, j, size),
                                         .y = entry(op->y, j, size),
                                         .mean = entry_of_doubles(op->mean, j),
                                         .rstd = entry_of_doubles(op->rstd, j),
                                         .m2 = entry_of_doubles(op->m2, j),
                                         .eps = op->eps},
                      task->dtype);
}

static void inference_range(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const block_task *task = arg;
    const fn_batchnorm_inference *op = task->op;
    const ptrdiff_t size = fn_item_bytes(task->dtype);
    for (ptrdiff_t j = begin * FN_SLICE_COLUMNS; j < fn_min(op->c, end * FN_SLICE_COLUMNS); j += FN_SLICE_COLUMNS) {
        const fn_batchnorm_inference block = {.m = op->m,
                                              .c = fn_min(FN_SLICE_COLUMNS, op->c - j),
                                              .stride = op->stride,
                                              .x = entry(op->x, j, size),
                                              .running_mean = entry_of_doubles(op->running_mean, j),
                                              .running_var = entry_of_doubles(op->running_var, j),
                                              .gamma = entry(op->gamma, j, size),
                                              .beta = entry(op->beta, j, size),
                                              .y = entry(op->y, j, size),
                                              .eps = op->eps};
        (void)inference(&block, task->dtype);
    }
}

static void backward_range(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const block_task *task = arg;
    const fn_batchnorm_bwd *op = task->op;
    const ptrdiff_t size = fn_item_bytes(task->dtype);
    for (ptrdiff_t j = begin * FN_SLICE_COLUMNS; j < fn_min(op->c, end * FN_SLICE_COLUMNS); j += FN_SLICE_COLUMNS) {
        const fn_batchnorm_bwd block = {.m = op->m,
                                        .c = fn_min(FN_SLICE_COLUMNS, op->c - j),
                                        .stride = op->stride,
                                        .dy = entry(op->dy, j, size),
                                        .x = entry(op->x, j, size),
                                        .mean = entry_of_doubles(op->mean, j),
                                        .rstd = entry_of_doubles(op->rstd, j),
                                        .gamma = entry(op->gamma, j, size),
                                        .dx = entry(op->dx, j, size),
                                        .dgamma = entry(op->dgamma, j, size),
                                        .dbeta = entry(op->dbeta, j, size)};
        (void)backward(&block, task->dtype);
    }
}

static void forward_of_nothing(const fn_batchnorm_fwd *op)
{
    for (ptrdiff_t j = 0; j < op->c; j++) {
        if (op->mean) op->mean[j] = 0;
        if (op->rstd) op->rstd[j] = 1 / sqrt(op->eps);
        if (op->m2) op->m2[j] = 0;
    }
}

static int batch_norm(const fn_batchnorm_fwd *op, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    int status = 0;
    if (op->m == 0 || op->c == 0)
        forward_of_nothing(op);
    else if (op->first.run)
        status = fn_channels_first_forward(op, batchnorm_kernels(dtype), dtype);
    else if (goes_by_blocks(op->m, op->c, dtype))
        share_blocks(forward_range, op, dtype, op->c, 3 * op->m * op->c * fn_item_bytes(dtype));
    else
        status = forward(*op, dtype);
    fn_fp_restore(saved);
    return status;
}

static int batch_norm_inference(const fn_batchnorm_inference *op, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    int status = 0;
    if (op->first.run)
        status = fn_channels_first_inference(op, batchnorm_kernels(dtype), dtype);
    else if (op->m > 0 && goes_by_blocks(op->m, op->c, dtype))
        share_blocks(inference_range, op, dtype, op->c, 2 * op->m * op->c * fn_item_bytes(dtype));
    else if (op->m > 0 && op->c > 0)
        status = inference(op, dtype);
    fn_fp_restore(saved);
    return status;
}

static int batch_norm_backward(const fn_batchnorm_bwd *op, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    const size_t gradient_bytes = (size_t)(op->c * fn_item_bytes(dtype));
    int status = 0;
    if (op->m == 0 || op->c == 0) {
        if (op->dgamma) memset(op->dgamma, 0, gradient_bytes);
        memset(op->dbeta, 0, gradient_bytes);
    } else if (op->first.run) {
        status = fn_channels_first_backward(op, batchnorm_kernels(dtype), dtype);
    } else if (goes_by_blocks(op->m, op->c, dtype)) {
        share_blocks(backward_range, op, dtype, op->c, 5 * op->m * op->c * fn_item_bytes(dtype));
    } else {
        status = backward(op, dtype);
    }
    fn_fp_restore(saved);
    return status;
}

static int batch_norm_inference_backward(const fn_batchnorm_inference_bwd *op, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    const size_t gradient_bytes = (size_t)(op->c * fn_item_bytes(dtype));
    int status = 0;
    if (op->m == 0 || op->c == 0) {
        if (op->dgamma) memset(op->dgamma, 0, gradient_bytes);
        memset(op->dbeta, 0, gradient_bytes);
    } else {
        status = inference_backward(op, dtype);
    }
    fn_fp_restore(saved);
    return status;
}

const fn_batchnorm_drivers fn_batchnorm = {fn_channels_first_taken, batch_norm, batch_norm_inference, batch_norm_backward,
                                           batch_norm_inference_backward, fn_update_running};
