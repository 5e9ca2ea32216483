/* BatchNorm: statistics, then apply. How columns are cut for the sums is in columns.c; here the apply is. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "columns.h"
#include "dispatch.h"
#include "drivers.h"
#include "fpenv.h"
#include "work.h"

/* ---- scratch: one block, carved up ------------------------------------------------------------------------------- */

typedef struct {
    char *block;
    fn_moments moments;
    fn_bwd_sums sums;
    fn_coefficients k;
    double *spare;
} scratch;

/* Room for `arrays` arrays of fn_columns_scratch doubles, `spare` more doubles, and the coefficients of plan->cols
 * columns. */
static int allocate(scratch *s, const fn_columns *plan, ptrdiff_t arrays, ptrdiff_t spare)
{
    const ptrdiff_t each = fn_columns_scratch(plan);
    const ptrdiff_t real = fn_round_up(plan->cols * plan->item_bytes, (ptrdiff_t)sizeof(double));
    const ptrdiff_t doubles = (arrays * each + spare) * (ptrdiff_t)sizeof(double);
    s->block = malloc((size_t)(doubles + 4 * real + plan->cols));
    if (!s->block) return -1;
    double *d = (double *)(void *)s->block;
    if (arrays == 3) s->moments = (fn_moments){d, d + each, d + 2 * each};
    if (arrays == 4) s->sums = (fn_bwd_sums){d, d + each, d + 2 * each, d + 3 * each};
    s->spare = d + arrays * each;
    char *k = s->block + doubles;
    s->k = (fn_coefficients){k, k + real, k + 2 * real, k + 3 * real, (unsigned char *)k + 4 * real, 0};
    return 0;
}

/* Repeats the first c coefficients of an array over all the columns of the folded array. */
static void repeat(void *array, const fn_columns *plan)
{
    const size_t bytes = (size_t)(plan->c * plan->item_bytes);
    for (ptrdiff_t i = 1; i < plan->fold; i++) memcpy((char *)array + (size_t)i * bytes, array, bytes);
}

static void repeat_coefficients(const fn_coefficients *k, const fn_columns *plan)
{
    repeat(k->center, plan);
    repeat(k->scale, plan);
    repeat(k->offset, plan);
    repeat(k->slope, plan);
}

/* ---- apply ------------------------------------------------------------------------------------------------------- */

/* The tiles of an apply: ranges of rows by ranges of columns, over the folded array unless some column is wide. */
typedef struct {
    const fn_kernels *kernels;
    const fn_coefficients *k;
    const char *x, *dy; /* dy is NULL in a forward */
    char *out;
    ptrdiff_t rows, cols, item_bytes;
    ptrdiff_t tile_rows, tile_cols, tiles_across, tiles;
    int stream;
    /* for wide columns */
    const double *mean, *rstd;
    const void *gamma, *beta;
    const fn_bwd_sums *sums;
} apply_task;

static double parameter(const void *array, ptrdiff_t j, ptrdiff_t item_bytes, double otherwise)
{
    return array ? fn_value_at(array, j, item_bytes) : otherwise;
}

static void apply_wide_column(const apply_task *t, ptrdiff_t in, ptrdiff_t rows, ptrdiff_t j)
{
    const double gamma = parameter(t->gamma, j, t->item_bytes, 1), m = (double)t->rows;
    if (t->dy) {
        const fn_wide_bwd k = {t->mean[j], t->rstd[j], gamma * t->rstd[j], t->sums->dy[j] / m,
                               t->rstd[j] * (t->sums->dy_e[j] / m)};
        t->kernels->batchnorm_bwd_apply_wide(t->dy + in, t->x + in, t->out + in, rows, t->cols, &k);
    } else {
        t->kernels->batchnorm_apply_wide(t->x + in, t->out + in, rows, t->cols, t->mean[j], t->rstd[j], gamma,
                                         parameter(t->beta, j, t->item_bytes, 0));
    }
}

static void apply_columns(const apply_task *t, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t j, ptrdiff_t cols)
{
    const ptrdiff_t in = (row * t->cols + j) * t->item_bytes, at = j * t->item_bytes;
    const fn_coefficients k = {(char *)t->k->center + at, (char *)t->k->scale + at, (char *)t->k->offset + at,
                               (char *)t->k->slope + at, NULL, 0};
    const fn_kernels *kernels = t->kernels;
    if (t->dy)
        (t->stream ? kernels->batchnorm_bwd_apply_stream : kernels->batchnorm_bwd_apply)(
            t->dy + in, t->x + in, t->out + in, rows, t->cols, cols, &k);
    else
        (t->stream ? kernels->batchnorm_apply_stream : kernels->batchnorm_apply)(t->x + in, t->out + in, rows, t->cols,
                                                                                 cols, &k);
}

/* Runs of plain columns and single wide ones, in turn. */
static void apply_mixed_columns(const apply_task *t, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t begin, ptrdiff_t end)
{
    for (ptrdiff_t j = begin; j < end;) {
        ptrdiff_t next = j;
        while (next < end && !t->k->wide[next]) next++;
        if (next > j) apply_columns(t, row, rows, j, next - j);
        for (j = next; j < end && t->k->wide[j]; j++)
            apply_wide_column(t, (row * t->cols + j) * t->item_bytes, rows, j);
    }
}

static void apply_range(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const apply_task *t = arg;
    for (ptrdiff_t i = begin; i < end; i++) {
        /* from the end to the front: the end is what the statistics left in the cache */
        const ptrdiff_t tile = t->tiles - 1 - i;
        const ptrdiff_t row = tile / t->tiles_across * t->tile_rows, column = tile % t->tiles_across * t->tile_cols;
        const ptrdiff_t rows = fn_min(t->tile_rows, t->rows - row), cols = fn_min(t->tile_cols, t->cols - column);
        if (t->k->wide_count)
            apply_mixed_columns(t, row, rows, column, column + cols);
        else
            apply_columns(t, row, rows, column, cols);
    }
}

static void apply(apply_task *t, const fn_columns *plan)
{
    const int folded = !t->k->wide_count;
    if (folded) repeat_coefficients(t->k, plan);
    t->item_bytes = plan->item_bytes;
    t->rows = folded ? plan->rows : plan->m;
    t->cols = folded ? plan->cols : plan->c;
    t->tile_cols = fn_min(t->cols, FN_TILE_COLUMN_BYTES / t->item_bytes);
    t->tiles_across = fn_ceil_div(t->cols, t->tile_cols);
    t->tile_rows = fn_max(4, FN_TILE_BYTES / (t->tile_cols * t->item_bytes) / 4 * 4); /* kernels take four rows at once */
    t->tiles = fn_ceil_div(t->rows, t->tile_rows) * t->tiles_across;
    const ptrdiff_t bytes = t->rows * t->cols * t->item_bytes;
    t->stream = bytes >= FN_STREAM_BYTES && t->out != t->x && t->out != t->dy;
    fn_share(apply_range, t, t->tiles, (t->dy ? 3 : 2) * bytes);
    /* rows that do not fill a folded row are its first columns */
    if (folded && plan->tail) apply_columns(t, plan->rows, 1, 0, plan->tail * plan->c);
}

/* ---- operations -------------------------------------------------------------------------------------------------- */

static void forward_of_nothing(const fn_batchnorm_fwd *op)
{
    for (ptrdiff_t j = 0; j < op->c; j++) {
        if (op->mean) op->mean[j] = 0;
        if (op->rstd) op->rstd[j] = 1 / sqrt(op->eps);
        if (op->m2) op->m2[j] = 0;
    }
}

static int forward(fn_batchnorm_fwd op, fn_dtype dtype)
{
    if (op.m == 0 || op.c == 0) {
        forward_of_nothing(&op);
        return 0;
    }
    const fn_kernels *kernels = fn_kernels_for(dtype);
    const fn_columns plan = fn_columns_plan(op.m, op.c, dtype);
    scratch s;
    if (allocate(&s, &plan, 3, 2 * op.c)) return -1;
    if (!op.mean) op.mean = s.spare;
    if (!op.rstd) op.rstd = s.spare + op.c;
    fn_columns_moments(&plan, kernels, op.x, &s.moments);
    kernels->batchnorm_fwd_coefficients(&op, &s.moments, &s.k);
    apply_task task = {.kernels = kernels, .k = &s.k, .x = op.x, .out = op.y,
                       .mean = op.mean, .rstd = op.rstd, .gamma = op.gamma, .beta = op.beta};
    apply(&task, &plan);
    free(s.block);
    return 0;
}

static int inference(const fn_batchnorm_inference *op, fn_dtype dtype)
{
    if (op->m == 0 || op->c == 0) return 0;
    const fn_kernels *kernels = fn_kernels_for(dtype);
    const fn_columns plan = fn_columns_plan(op->m, op->c, dtype);
    scratch s;
    if (allocate(&s, &plan, 0, 3 * op->c)) return -1;
    double *rstd = s.spare;
    kernels->batchnorm_inference_coefficients(op, rstd, rstd + op->c, &s.k);
    apply_task task = {.kernels = kernels, .k = &s.k, .x = op->x, .out = op->y,
                       .mean = op->running_mean, .rstd = rstd, .gamma = op->gamma, .beta = op->beta};
    apply(&task, &plan);
    free(s.block);
    return 0;
}

static int backward(const fn_batchnorm_bwd *op, fn_dtype dtype)
{
    const size_t gradient_bytes = (size_t)(op->c * fn_item_bytes(dtype));
    if (op->m == 0 || op->c == 0) {
        if (op->dgamma) memset(op->dgamma, 0, gradient_bytes);
        memset(op->dbeta, 0, gradient_bytes);
        return 0;
    }
    const fn_kernels *kernels = fn_kernels_for(dtype);
    const fn_columns plan = fn_columns_plan(op->m, op->c, dtype);
    scratch s;
    if (allocate(&s, &plan, 4, 0)) return -1;
    kernels->batchnorm_bwd_center(op, s.k.center);
    repeat(s.k.center, &plan);
    fn_columns_bwd_sums(&plan, kernels, op->dy, op->x, s.k.center, &s.sums);
    kernels->batchnorm_bwd_coefficients(op, &s.sums, &s.k);
    apply_task task = {.kernels = kernels, .k = &s.k, .x = op->x, .dy = op->dy, .out = op->dx,
                       .mean = op->mean, .rstd = op->rstd, .gamma = op->gamma, .sums = &s.sums};
    apply(&task, &plan);
    free(s.block);
    return 0;
}

int fn_batch_norm(const fn_batchnorm_fwd *op, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    const int status = forward(*op, dtype);
    fn_fp_restore(saved);
    return status;
}

int fn_batch_norm_inference(const fn_batchnorm_inference *op, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    const int status = inference(op, dtype);
    fn_fp_restore(saved);
    return status;
}

int fn_batch_norm_backward(const fn_batchnorm_bwd *op, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    const int status = backward(op, dtype);
    fn_fp_restore(saved);
    return status;
}
