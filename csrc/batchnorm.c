/* BatchNorm: statistics, then apply. How columns are cut for the sums is in columns.c, for the apply in
 * columns_apply.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "batchnorm.h"
#include "columns_apply.h"
#include "columns_dz.h"
#include "dispatch.h"
#include "fpenv.h"
#include "running.h"
#include "tree.h"
#include "work.h"

FN_TABLES(batchnorm)

/* ---- operations, or blocks of their columns ---------------------------------------------------------------------- */

static int forward(fn_batchnorm_fwd op, const fn_columns_source *source, fn_dtype dtype)
{
    const fn_batchnorm_kernels *kernels = batchnorm_kernels(dtype);
    const fn_columns plan = fn_columns_plan(op.m, op.c, op.stride, dtype);
    const fn_columns_loader loader = fn_columns_loader_of(&plan, kernels, source);
    const int loaded = fn_columns_loaded(source);
    fn_columns_space s;
    if (fn_columns_take(&s, &plan, loaded ? 2 + FN_COLUMN_SAMPLES : 2)) return -1;
    if (!op.mean) op.mean = s.spare;
    if (!op.rstd) op.rstd = s.spare + plan.padded;
    if (loaded) {
        op.value = source->first.run ? NULL : fn_columns_value;
        op.loader = &loader;
        fn_columns_pivots(&loader, op.x, op.m, (char *)(s.spare + 2 * plan.padded), s.k.center);
    } else {
        kernels->pivots(op.x, op.m, op.stride, op.c, s.k.center);
    }
    fn_columns_repeat(s.k.center, &plan, plan.item_bytes);
    const fn_columns_data data = {.x = op.x, .pivot = s.k.center, .source = *source};
    fn_columns_sum(&plan, kernels, &data, &s.sums, s.waiting);
    kernels->fwd_coefficients(&op, &s.sums, &s.k);
    const fn_wide_columns wide = {.kernels = kernels,
                                  .m = op.m,
                                  .c = op.c,
                                  .item_bytes = plan.item_bytes,
                                  .mean = op.mean,
                                  .rstd = op.rstd,
                                  .gamma = op.gamma,
                                  .beta = op.beta};
    fn_columns_result y = {.kernels = kernels,
                           .k = &s.k,
                           .x = op.x,
                           .out = op.y,
                           .finish = op.finish,
                           .loader = loaded ? &loader : NULL,
                           .apply_wide = fn_apply_wide,
                           .wide = &wide};
    fn_columns_apply(&y, &plan);
    free(s.block);
    return 0;
}

static int inference(const fn_batchnorm_inference *op, const fn_columns_source *source, fn_dtype dtype)
{
    const fn_batchnorm_kernels *kernels = batchnorm_kernels(dtype);
    const fn_columns plan = fn_columns_plan(op->m, op->c, op->stride, dtype);
    const fn_columns_loader loader = fn_columns_loader_of(&plan, kernels, source);
    fn_columns_space s;
    if (fn_columns_take(&s, &plan, 2)) return -1;
    double *rstd = s.sums.a;
    kernels->inference_coefficients(op, rstd, s.spare, &s.k);
    const fn_wide_columns wide = {.kernels = kernels,
                                  .m = op->m,
                                  .c = op->c,
                                  .item_bytes = plan.item_bytes,
                                  .mean = op->running_mean,
                                  .rstd = rstd,
                                  .gamma = op->gamma,
                                  .beta = op->beta};
    fn_columns_result y = {.kernels = kernels,
                           .k = &s.k,
                           .x = op->x,
                           .out = op->y,
                           .finish = op->finish,
                           .loader = fn_columns_loaded(source) ? &loader : NULL,
                           .apply_wide = fn_apply_wide,
                           .wide = &wide};
    fn_columns_apply(&y, &plan);
    free(s.block);
    return 0;
}

static int backward(const fn_batchnorm_bwd *op, const fn_columns_source *source, fn_dtype dtype)
{
    const fn_batchnorm_kernels *kernels = batchnorm_kernels(dtype);
    const fn_columns plan = fn_columns_plan(op->m, op->c, op->stride, dtype);
    const fn_columns_loader loader = fn_columns_loader_of(&plan, kernels, source);
    const int loaded = fn_columns_loaded(source);
    fn_columns_space s;
    if (fn_columns_take(&s, &plan, 1 + fn_dz_spare(&op->finish))) return -1;
    double *mean = s.spare;
    memcpy(mean, op->mean, (size_t)op->c * sizeof(double));
    fn_columns_repeat(mean, &plan, sizeof(double));
    fn_columns_data data = {.x = op->x, .dy = op->dy, .mean = mean, .source = *source};
    fn_columns_gradient finish;
    fn_relu_gradient relu;
    finish.dz = NULL;
    if (fn_follows(&op->finish.of)) {
        const fn_batchnorm_inference z = {
            .m = op->m, .c = op->c, .x = op->x, .running_mean = op->mean, .gamma = op->gamma, .beta = op->finish.beta};
        fn_columns_prepare_dz(&finish, &z, (double *)(uintptr_t)op->rstd, &op->finish, &plan, mean + plan.padded,
                              s.sums.a);
        if (loaded) {
            finish.loader = &loader;
            finish.dz = NULL; /* dz is a real, which sums and dx are made of */
        } else if (!finish.dz && op->dx != op->x && (!finish.fetch || fn_takes_long(op->finish.of.activation))) {
            finish.dz = op->dx;
        }
        finish.stream = finish.stream && finish.dz != op->dy;
        data.first = fn_columns_make_dz;
        data.context = &finish;
        if (!loaded && fn_columns_dz_by_rows(&finish.z)) {
            relu = fn_columns_relu_gradient(&finish, op->dy);
            data.relu = &relu;
        }
    }
    fn_columns_sum(&plan, kernels, &data, &s.sums, s.waiting);
    kernels->bwd_coefficients(op, &s.sums, &s.k);
    const fn_wide_columns wide = {.kernels = kernels,
                                  .m = op->m,
                                  .c = op->c,
                                  .item_bytes = plan.item_bytes,
                                  .mean = op->mean,
                                  .rstd = op->rstd,
                                  .gamma = op->gamma,
                                  .sums = &s.sums};
    fn_columns_result dx = {.kernels = kernels,
                            .k = &s.k,
                            .x = op->x,
                            .dy = op->dy,
                            .out = op->dx,
                            .dz = op->finish.dresidual,
                            .loader = loaded ? &loader : NULL,
                            .apply_wide = fn_apply_wide,
                            .wide = &wide};
    if (data.first && finish.dz)
        dx.dy = finish.dz;
    else if (data.first)
        dx.z = &finish.z;
    fn_columns_apply(&dx, &plan);
    free(s.block);
    return 0;
}

typedef struct {
    fn_columns_gradient finish;
    fn_columns_result dx;
} inference_gradient;

static void first_dz(const void *context, fn_columns_part *part, char *tile)
{
    fn_columns_make_dz(&((const inference_gradient *)context)->finish, part, tile);
}

static void then_scale(const void *context, const fn_columns_part *part)
{
    const fn_columns_result *dx = &((const inference_gradient *)context)->dx;
    if (!dx->loader) {
        fn_columns_apply_part(dx, part);
        return;
    }
    _Alignas(FN_UNIT_BYTES) char out[FN_GATHER_BYTES];
    const fn_columns_result tile = fn_columns_of_tile(dx, part, NULL, out);
    fn_columns_apply_part(&tile, part);
    fn_columns_store_result(dx->loader, out, dx->out, part, dx->stride, dx->stream);
}

/* Sums and dx in one pass over memory. Where gamma is NULL and nothing follows, nothing asks for the sum that x enters, so x
 * is not read. */
static int inference_backward(const fn_batchnorm_inference_bwd *op, const fn_columns_source *source, fn_dtype dtype)
{
    const fn_batchnorm_kernels *kernels = batchnorm_kernels(dtype);
    const fn_columns plan = fn_columns_plan(op->m, op->c, op->stride, dtype);
    const fn_columns_loader loader = fn_columns_loader_of(&plan, kernels, source);
    const int loaded = fn_columns_loaded(source);
    const int more = fn_follows(&op->finish.of);
    fn_columns_space s;
    if (fn_columns_take(&s, &plan, 3 + fn_dz_spare(&op->finish))) return -1;
    double *mean = s.spare, *factor = s.spare + plan.padded, *rstd = s.spare + 2 * plan.padded;
    memcpy(mean, op->running_mean, (size_t)op->c * sizeof(double));
    kernels->inference_bwd_coefficients(op, rstd, factor, &s.k);
    fn_columns_repeat(mean, &plan, sizeof(double));
    fn_columns_repeat(s.k.scale, &plan, plan.item_bytes);
    if (s.k.wide_count) fn_columns_repeat(s.k.wide, &plan, 1);
    const fn_wide_columns wide = {.kernels = kernels, .c = op->c, .item_bytes = plan.item_bytes, .factor = factor};
    inference_gradient context = {.dx = {.kernels = kernels,
                                         .k = &s.k,
                                         .out = op->dx,
                                         .scale = 1,
                                         .apply_wide = fn_apply_wide,
                                         .wide = &wide,
                                         .loader = loaded ? &loader : NULL,
                                         .stride = plan.stride,
                                         .item_bytes = plan.item_bytes}};
    const ptrdiff_t row_bytes = plan.cols * fn_stored_element_bytes(&loader), arrays = op->gamma || more ? 3 : 2;
    /* rows that are short or no whole lines, in an array like those of NumPy, would break the streams */
    context.dx.stream = arrays * plan.rows * row_bytes >= FN_STREAM_BYTES && op->dx != op->x && op->dx != op->dy &&
                        (row_bytes >= FN_STREAM_ROW_BYTES || (uintptr_t)op->dx % FN_UNIT_BYTES == 0);
    fn_columns_data data = {.x = op->gamma || more ? op->x : op->dy,
                            .dy = op->dy,
                            .mean = mean,
                            .then = then_scale,
                            .context = &context,
                            .source = *source};
    if (more) {
        const fn_batchnorm_inference z = {.m = op->m,
                                          .c = op->c,
                                          .x = op->x,
                                          .running_mean = op->running_mean,
                                          .gamma = op->gamma,
                                          .beta = op->finish.beta};
        fn_columns_prepare_dz(&context.finish, &z, rstd, &op->finish, &plan, rstd + plan.padded, s.sums.a);
        if (loaded) context.finish.loader = &loader;
        data.first = first_dz;
    }
    fn_columns_sum(&plan, kernels, &data, &s.sums, s.waiting);
    kernels->inference_bwd_gradients(op, rstd, &s.sums);
    free(s.block);
    return 0;
}

static const fn_columns_source as_they_lie;

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

static fn_finish finish_from(const fn_finish *finish, ptrdiff_t j, ptrdiff_t item_bytes)
{
    return (fn_finish){entry(finish->residual, j, item_bytes), finish->activation};
}

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
                                         .eps = op->eps,
                                         .finish = finish_from(&op->finish, j, size)},
                      &as_they_lie, task->dtype);
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
                                              .eps = op->eps,
                                              .finish = finish_from(&op->finish, j, size)};
        (void)inference(&block, &as_they_lie, task->dtype);
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
                                        .dbeta = entry(op->dbeta, j, size),
                                        .finish = {finish_from(&op->finish.of, j, size),
                                                   entry(op->finish.beta, j, size),
                                                   entry(op->finish.dresidual, j, size)}};
        (void)backward(&block, &as_they_lie, task->dtype);
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

static void gradients_of_nothing(void *dgamma, void *dbeta, ptrdiff_t c, fn_dtype dtype)
{
    const size_t bytes = (size_t)(c * fn_item_bytes(dtype));
    if (dgamma) memset(dgamma, 0, bytes);
    memset(dbeta, 0, bytes);
}

static int forward_of_rows(const fn_batchnorm_fwd *op, const fn_columns_source *source, fn_dtype dtype)
{
    if (op->m == 0 || op->c == 0) {
        forward_of_nothing(op);
        return 0;
    }
    if (fn_columns_loaded(source) || !goes_by_blocks(op->m, op->c, dtype)) return forward(*op, source, dtype);
    share_blocks(forward_range, op, dtype, op->c, 3 * op->m * op->c * fn_item_bytes(dtype));
    return 0;
}

static int backward_of_rows(const fn_batchnorm_bwd *op, const fn_columns_source *source, fn_dtype dtype)
{
    if (op->m == 0 || op->c == 0) {
        gradients_of_nothing(op->dgamma, op->dbeta, op->c, dtype);
        return 0;
    }
    if (fn_columns_loaded(source) || !goes_by_blocks(op->m, op->c, dtype)) return backward(op, source, dtype);
    share_blocks(backward_range, op, dtype, op->c, 5 * op->m * op->c * fn_item_bytes(dtype));
    return 0;
}

/* ---- rows that are chosen ---------------------------------------------------------------------------------------- */

/* The places of those where `where` is not 0, and how many they are; NULL if there is no memory. */
static ptrdiff_t *choose(const unsigned char *where, ptrdiff_t m, ptrdiff_t *count)
{
    ptrdiff_t *chosen = malloc((size_t)(m + 1) * sizeof *chosen);
    *count = 0;
    for (ptrdiff_t i = 0; chosen && i < m; i++)
        if (where[i]) chosen[(*count)++] = i;
    return chosen;
}

static void clear_others(void *array, const unsigned char *where, ptrdiff_t m, ptrdiff_t row_bytes)
{
    for (ptrdiff_t i = 0; array && i < m; i++)
        if (!where[i]) memset((char *)array + i * row_bytes, 0, (size_t)row_bytes);
}

static int forward_where(fn_batchnorm_fwd op, fn_columns_source source, fn_dtype dtype)
{
    const ptrdiff_t all = op.m;
    ptrdiff_t *chosen = choose(op.where, all, &op.m);
    if (!chosen) return -1;
    source.chosen = chosen;
    const int status = forward_of_rows(&op, &source, dtype);
    if (status == 0) clear_others(op.y, op.where, all, op.c * fn_stored_item_bytes(dtype, source.storage));
    free(chosen);
    return status;
}

static int backward_where(fn_batchnorm_bwd op, fn_columns_source source, fn_dtype dtype)
{
    const ptrdiff_t all = op.m, row_bytes = op.c * fn_stored_item_bytes(dtype, source.storage);
    ptrdiff_t *chosen = choose(op.where, all, &op.m);
    if (!chosen) return -1;
    source.chosen = chosen;
    const int status = backward_of_rows(&op, &source, dtype);
    if (status == 0) clear_others(op.dx, op.where, all, row_bytes);
    if (status == 0) clear_others(op.finish.dresidual, op.where, all, row_bytes);
    free(chosen);
    return status;
}

/* ---- drivers ----------------------------------------------------------------------------------------------------- */

static int batch_norm(const fn_batchnorm_fwd *given, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    const fn_columns_source source = {.first = given->first, .storage = given->storage};
    fn_batchnorm_fwd op = *given;
    op.value = NULL;
    const int status = op.where ? forward_where(op, source, dtype) : forward_of_rows(&op, &source, dtype);
    fn_fp_restore(saved);
    return status;
}

static int batch_norm_inference(const fn_batchnorm_inference *op, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    const fn_columns_source source = {.first = op->first, .storage = op->storage};
    int status = 0;
    if (op->m > 0 && !fn_columns_loaded(&source) && goes_by_blocks(op->m, op->c, dtype))
        share_blocks(inference_range, op, dtype, op->c, 2 * op->m * op->c * fn_item_bytes(dtype));
    else if (op->m > 0 && op->c > 0)
        status = inference(op, &source, dtype);
    fn_fp_restore(saved);
    return status;
}

static int batch_norm_backward(const fn_batchnorm_bwd *op, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    const fn_columns_source source = {.first = op->first, .storage = op->storage};
    const int status = op->where ? backward_where(*op, source, dtype) : backward_of_rows(op, &source, dtype);
    fn_fp_restore(saved);
    return status;
}

static int batch_norm_inference_backward(const fn_batchnorm_inference_bwd *op, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    const fn_columns_source source = {.first = op->first, .storage = op->storage};
    int status = 0;
    if (op->m == 0 || op->c == 0)
        gradients_of_nothing(op->dgamma, op->dbeta, op->c, dtype);
    else
        status = inference_backward(op, &source, dtype);
    fn_fp_restore(saved);
    return status;
}

const fn_batchnorm_drivers fn_batchnorm = {
    fn_columns_takes_channels_first, batch_norm,       batch_norm_inference, batch_norm_backward,
    batch_norm_inference_backward,   fn_update_running};
