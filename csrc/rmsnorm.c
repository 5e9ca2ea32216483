/* RMSNorm: how its rows are cut into tasks, and how the tasks' shares of dgamma are added up. */
#include "rmsnorm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "exact.h"
#include "fpenv.h"
#include "slabs.h"
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

/* ---- forward ----------------------------------------------------------------------------------------------------- */

typedef struct {
    const fn_rmsnorm_fwd *op;
    const fn_rmsnorm_kernels *kernels;
    const fn_rows_hook *before;
    ptrdiff_t rows;
} fwd_task;

static void fwd_range(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const fwd_task *task = arg;
    const ptrdiff_t first = begin * task->rows, last = fn_min(end * task->rows, task->op->m);
    const ptrdiff_t step = task->before ? task->rows : last - first;
    for (ptrdiff_t row = first; row < last; row += step) {
        const ptrdiff_t next = fn_min(row + step, last);
        if (task->before) task->before->call(task->before->arg, row, next);
        task->kernels->forward(task->op, row, next);
    }
}

int fn_rmsnorm_forward(const fn_rmsnorm_fwd *given, const fn_rows_hook *before, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    const ptrdiff_t row_bytes = given->n * fn_item_bytes(dtype), bytes = given->m * row_bytes;
    fn_rmsnorm_fwd op = *given;
    void *copy;
    op.gamma = factor_of(op.offset, op.gamma, op.n, dtype, &copy);
    const int status = given->gamma && !op.gamma ? -1 : 0;
    const ptrdiff_t traffic = 2 * bytes + (before ? before->bytes : 0);
    op.stream = traffic >= FN_STREAM_BYTES && row_bytes >= FN_STREAM_ROW_BYTES && op.x != op.y;
    if (bytes == 0) {
        for (ptrdiff_t i = 0; op.rstd && i < op.m; i++) op.rstd[i] = 1 / sqrt(op.eps);
    } else if (status == 0) {
        const ptrdiff_t rows = fn_round_up(fn_max(1, FN_TILE_BYTES / row_bytes), FN_GROUP_ROWS);
        fwd_task task = {&op, rmsnorm_kernels(dtype), before, row_bytes > FN_TILE_BYTES / 4 ? 1 : rows};
        fn_share(fwd_range, &task, fn_ceil_div(op.m, task.rows), traffic);
    }
    free(copy);
    fn_fp_restore(saved);
    return status;
}

static int rms_norm(const fn_rmsnorm_fwd *op, fn_dtype dtype) { return fn_rmsnorm_forward(op, NULL, dtype); }

/* ---- backward ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const fn_rmsnorm_bwd *op;
    const fn_rmsnorm_kernels *kernels;
    const fn_rows_hook *after;
    ptrdiff_t slabs, slab_rows, tile_rows, padded;
    int exact;
    double *sums; /* (slabs, 2, padded), of float32 the second is not used */
    fn_waiting_slabs *waiting;
} bwd_task;

static double *sums_of_slab(const bwd_task *task, ptrdiff_t slab) { return task->sums + 2 * slab * task->padded; }

static void add_slab(const void *context, ptrdiff_t to, ptrdiff_t from)
{
    const bwd_task *task = context;
    double *a = sums_of_slab(task, to), *b = sums_of_slab(task, from);
    fn_add_sums(a, a + task->padded, b, b + task->padded, task->op->n, task->exact);
}

static void bwd_range(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const bwd_task *task = arg;
    for (ptrdiff_t slab = begin; slab < end; slab++) {
        double *sums = task->op->gamma ? sums_of_slab(task, slab) : NULL;
        const ptrdiff_t first = slab * task->slab_rows, last = fn_min(first + task->slab_rows, task->op->m);
        const ptrdiff_t step = task->after ? task->tile_rows : last - first;
        if (sums) memset(sums, 0, (size_t)(2 * task->padded) * sizeof(double));
        for (ptrdiff_t row = first; row < last; row += step) {
            const ptrdiff_t next = fn_min(row + step, last);
            task->kernels->backward(task->op, row, next, sums, sums ? sums + task->padded : NULL);
            if (task->after) task->after->call(task->after->arg, row, next);
        }
        if (sums) fn_slab_done(task->waiting, task->slabs, slab, add_slab, task);
    }
}

static void write_dgamma(const bwd_task *task, fn_dtype dtype)
{
    const double *hi = task->sums, *lo = task->sums + task->padded;
    for (ptrdiff_t j = 0; j < task->op->n; j++) {
        if (dtype == FN_FLOAT32)
            ((float *)task->op->dgamma)[j] = (float)hi[j];
        else
            ((double *)task->op->dgamma)[j] = hi[j] + lo[j];
    }
}

static int backward(const fn_rmsnorm_bwd *op, const fn_rows_hook *after, fn_dtype dtype)
{
    const ptrdiff_t row_bytes = op->n * fn_item_bytes(dtype);
    const ptrdiff_t most = fn_max(1, fn_min(FN_MAX_SLABS, op->m * row_bytes / FN_SLAB_BYTES));
    fn_waiting_slabs waiting = 0;
    bwd_task task = {.op = op,
                     .kernels = rmsnorm_kernels(dtype),
                     .after = after,
                     .tile_rows = fn_round_up(fn_max(1, FN_TILE_BYTES / row_bytes), FN_EXACT_ROWS),
                     .padded = fn_round_up(op->n + FN_UNIT_BYTES / 4 - 1, FN_UNIT_BYTES / 4),
                     .exact = dtype == FN_FLOAT64,
                     .waiting = &waiting};
    task.slab_rows = fn_round_up(fn_ceil_div(op->m, most), FN_EXACT_ROWS);
    task.slabs = fn_ceil_div(op->m, task.slab_rows);
    void *block = op->gamma ? malloc((size_t)(2 * task.slabs * task.padded) * sizeof(double) + FN_UNIT_BYTES) : NULL;
    if (op->gamma && !block) return -1;
    if (block) task.sums = fn_aligned_up(block);
    fn_share(bwd_range, &task, task.slabs, 3 * op->m * row_bytes + (after ? after->bytes : 0));
    if (block) write_dgamma(&task, dtype);
    free(block);
    return 0;
}

int fn_rmsnorm_backward(const fn_rmsnorm_bwd *given, const fn_rows_hook *after, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    const ptrdiff_t row_bytes = given->n * fn_item_bytes(dtype), bytes = given->m * row_bytes;
    fn_rmsnorm_bwd op = *given;
    void *copy;
    op.gamma = factor_of(op.offset, op.gamma, op.n, dtype, &copy);
    op.stream = 3 * bytes >= FN_STREAM_BYTES && row_bytes >= FN_STREAM_ROW_BYTES && op.dx != op.dy && op.dx != op.x && !after;
    int status = given->gamma && !op.gamma ? -1 : 0;
    if (bytes == 0 && op.dgamma)
        memset(op.dgamma, 0, (size_t)row_bytes);
    else if (bytes > 0 && status == 0)
        status = backward(&op, after, dtype);
    free(copy);
    fn_fp_restore(saved);
    return status;
}

static int rms_norm_backward(const fn_rmsnorm_bwd *op, fn_dtype dtype) { return fn_rmsnorm_backward(op, NULL, dtype); }

const fn_rmsnorm_drivers fn_rmsnorm = {rms_norm, rms_norm_backward};
