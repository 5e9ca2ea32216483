/* BatchNorm: statistics, then apply. How columns are cut for the sums is in columns.c, for the apply in
 * columns_apply.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "batchnorm.h"
#include "channels_first.h"
#include "columns_apply.h"
#include "dispatch.h"
#include "fpenv.h"
#include "running.h"
#include "tree.h"
#include "work.h"

FN_TABLES(batchnorm)

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
    const fn_wide_columns wide = {kernels, op.m, plan.item_bytes, op.mean, op.rstd, op.gamma, op.beta, NULL, NULL};
    fn_columns_result y = {.kernels = kernels, .k = &s.k, .x = op.x, .out = op.y,
                           .apply_wide = fn_apply_wide, .wide = &wide};
    fn_columns_apply(&y, &plan);
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
    const fn_wide_columns wide = {kernels, op->m, plan.item_bytes, op->running_mean, rstd, op->gamma, op->beta, NULL, NULL};
    fn_columns_result y = {.kernels = kernels, .k = &s.k, .x = op->x, .out = op->y,
                           .apply_wide = fn_apply_wide, .wide = &wide};
    fn_columns_apply(&y, &plan);
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
    const fn_wide_columns wide = {kernels, op->m, plan.item_bytes, op->mean, op->rstd, op->gamma, NULL, &s.sums, NULL};
    fn_columns_result dx = {.kernels = kernels, .k = &s.k, .x = op->x, .dy = op->dy, .out = op->dx,
                            .apply_wide = fn_apply_wide, .wide = &wide};
    fn_columns_apply(&dx, &plan);
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
    const fn_wide_columns wide = {.kernels = kernels, .factor = factor};
    fn_columns_result dx = {.kernels = kernels, .k = &s.k, .dy = op->dy, .out = op->dx, .scale = 1,
                            .apply_wide = fn_apply_wide, .wide = &wide,
                            .rows = plan.rows, .stride = plan.stride, .item_bytes = plan.item_bytes};
    const ptrdiff_t row_bytes = plan.cols * plan.item_bytes, arrays = op->gamma ? 3 : 2;
    /* rows that are short or no whole lines, in an array like those of NumPy, would break the streams */
    dx.stream = arrays * plan.rows * row_bytes >= FN_STREAM_BYTES && op->dx != op->x && op->dx != op->dy
                  && (row_bytes >= FN_STREAM_ROW_BYTES || (uintptr_t)op->dx % FN_UNIT_BYTES == 0);
    const fn_columns_data data = {.x = op->gamma ? op->x : op->dy, .dy = op->dy, .mean = mean, .then = fn_columns_apply_tile,
                                  .context = &dx};
    fn_columns_sum(&plan, kernels, &data, &s.sums, s.waiting);
    if (plan.tail) fn_columns_apply_tile(&dx, plan.rows, 1, 0, plan.tail * plan.c);
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
                                              .running_mean = op->running_mean + j,
                                              .running_var = op->running_var + j,
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
                                        .mean = op->mean + j,
                                        .rstd = op->rstd + j,
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
