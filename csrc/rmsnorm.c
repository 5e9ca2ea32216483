/* RMSNorm: what is done with a tile of its rows. */
#include "rmsnorm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "fpenv.h"
#include "tree.h"
#include "work.h"

FN_TABLES(rmsnorm)

/* factor = offset + gamma, each rounded once. */
static void add_offset(double offset, const void *gamma, void *factor, ptrdiff_t n, fn_dtype dtype)
{
    for (ptrdiff_t j = 0; j < n; j++) {
        if (dtype == FN_FLOAT32)
            ((float *)factor)[j] = (float)(offset + (double)((const float *)gamma)[j]);
        else
            ((double *)factor)[j] = offset + ((const double *)gamma)[j];
    }
}

/* gamma itself, or a copy with the offset in it, which the caller frees; NULL if there is no memory for one. */
static const void *factor_of(double offset, const void *gamma, ptrdiff_t n, fn_dtype dtype, void **copy)
{
    *copy = NULL;
    if (!gamma || offset == 0 || n == 0) return gamma;
    *copy = malloc((size_t)(n * fn_item_bytes(dtype)));
    if (*copy) add_offset(offset, gamma, *copy, n, dtype);
    return *copy;
}

/* What both directions have; `arrays` of x's size are read and written. */
static fn_rows rows_of(ptrdiff_t m, fn_row_format format, ptrdiff_t arrays, const fn_rows_hook *hook)
{
    const ptrdiff_t bytes = arrays * m * fn_stored_bytes(format) + (hook ? hook->bytes : 0);
    return (fn_rows){.m = m,
                     .format = format,
                     .bytes = bytes,
                     .work = bytes,
                     .group = FN_EXACT_ROWS,
                     .columns = format.n,
                     .tiled = hook || format.storage != FN_REAL};
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

typedef struct {
    const fn_rmsnorm_fwd *op;
    const fn_rmsnorm_kernels *kernels;
    const fn_rows_hook *hook;
    fn_row_format format;
} fwd_task;

static void fwd_tile(const void *arg, const fn_tile *t)
{
    const fwd_task *task = arg;
    fn_rmsnorm_fwd op = *task->op;
    void *space = fn_tile_space(t, 0);
    op.x = task->hook ? task->hook->load(task->hook->arg, t) : fn_tile_load(t, task->format, op.x, space);
    op.y = fn_tile_place(t, task->format, op.y, space);
    op.stream = t->stream && op.y != space;
    if (op.rstd) op.rstd += t->begin;
    task->kernels->forward(&op, 0, t->rows);
    fn_tile_store(t, task->format, op.y, task->op->y);
}

int fn_rmsnorm_forward(const fn_rmsnorm_fwd *given, const fn_rows_hook *hook, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    fn_rmsnorm_fwd op = *given;
    const fwd_task task = {&op, rmsnorm_kernels(dtype), hook, {op.n, dtype, op.storage}};
    fn_rows rows = rows_of(op.m, task.format, 2, hook);
    void *copy;
    op.gamma = factor_of(op.offset, op.gamma, op.n, dtype, &copy);
    rows.stream = fn_rows_stream(&rows, 0, op.y, op.x, NULL);
    rows.spaces = rows.tiled ? 1 : 0;
    int status = given->gamma && !op.gamma ? -1 : 0;
    if (op.m == 0 || op.n == 0)
        for (ptrdiff_t i = 0; op.rstd && i < op.m; i++) op.rstd[i] = 1 / sqrt(op.eps);
    else if (status == 0)
        status = fn_rows_forward(&rows, fwd_tile, &task);
    free(copy);
    fn_fp_restore(saved);
    return status;
}

static int rms_norm(const fn_rmsnorm_fwd *op, fn_dtype dtype) { return fn_rmsnorm_forward(op, NULL, dtype); }

/* ---- backward ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const fn_rmsnorm_bwd *op;
    const fn_rmsnorm_kernels *kernels;
    const fn_rows_hook *hook;
    fn_row_format format;
} bwd_task;

static void bwd_tile(const void *arg, const fn_tile *t, const fn_row_sum *sums)
{
    const bwd_task *task = arg;
    const fn_row_format format = task->format;
    fn_rmsnorm_bwd op = *task->op;
    op.dy = fn_tile_load(t, format, op.dy, fn_tile_space(t, 0));
    op.x = fn_tile_load(t, format, op.x, fn_tile_space(t, 1));
    op.rstd += t->begin;
    op.dx = fn_tile_place(t, format, op.dx, fn_tile_space(t, 0));
    op.dsum = op.dsum ? fn_tile_load(t, format, op.dsum, fn_tile_space(t, 2)) : NULL;
    op.stream = t->stream && op.dx != fn_tile_space(t, 0) && !task->hook; /* which reads it again */
    task->kernels->backward(&op, 0, t->rows, sums[0].hi, sums[0].lo);
    if (task->hook) task->hook->after(task->hook->arg, t, op.dx);
    fn_tile_store(t, format, op.dx, task->op->dx);
}

int fn_rmsnorm_backward(const fn_rmsnorm_bwd *given, const fn_rows_hook *hook, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    fn_rmsnorm_bwd op = *given;
    const bwd_task task = {&op, rmsnorm_kernels(dtype), hook, {op.n, dtype, op.storage}};
    fn_rows rows = rows_of(op.m, task.format, op.dsum ? 4 : 3, hook);
    void *copy;
    op.gamma = factor_of(op.offset, op.gamma, op.n, dtype, &copy);
    rows.stream = fn_rows_stream(&rows, 0, op.dx, op.x, op.dy);
    rows.spaces = rows.tiled ? 3 : 0;
    int status = given->gamma && !op.gamma ? -1 : 0;
    if (op.m > 0 && op.n > 0 && status == 0)
        status = fn_rows_backward(&rows, bwd_tile, &task, op.gamma ? 1 : 0, &op.dgamma);
    else if (op.dgamma)
        memset(op.dgamma, 0, (size_t)fn_row_bytes(task.format));
    free(copy);
    fn_fp_restore(saved);
    return status;
}

static int rms_norm_backward(const fn_rmsnorm_bwd *op, fn_dtype dtype) { return fn_rmsnorm_backward(op, NULL, dtype); }

const fn_rmsnorm_drivers fn_rmsnorm = {rms_norm, rms_norm_backward};
