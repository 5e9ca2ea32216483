/* LayerNorm: how its rows are cut into tasks, and how the tasks' shares of dgamma and dbeta are added up. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "exact.h"
#include "fpenv.h"
#include "layernorm.h"
#include "slabs.h"
#include "tree.h"
#include "work.h"

FN_TABLES(layernorm)

/* Rows of a task: a multiple of the group, so that every kernel call starts at one. */
static ptrdiff_t rows_per_task(ptrdiff_t row_bytes)
{
    return fn_round_up(fn_max(1, FN_TILE_BYTES / row_bytes), FN_GROUP_ROWS);
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

typedef struct {
    const fn_layernorm_fwd *op;
    const fn_layernorm_kernels *kernels;
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

static void forward_of_nothing(const fn_layernorm_fwd *op)
{
    for (ptrdiff_t i = 0; i < op->m; i++) {
        if (op->mean) op->mean[i] = 0;
        if (op->rstd) op->rstd[i] = 1 / sqrt(op->eps);
    }
}

int fn_layernorm_forward(const fn_layernorm_fwd *given, const fn_rows_hook *before, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    const ptrdiff_t row_bytes = given->n * fn_item_bytes(dtype);
    const ptrdiff_t bytes = 2 * given->m * row_bytes + (before ? before->bytes : 0);
    fn_layernorm_fwd copy = *given, *op = &copy;
    /* short rows would leave too many lines half written */
    op->stream = bytes >= FN_STREAM_BYTES && row_bytes >= FN_STREAM_ROW_BYTES && op->x != op->y;
    op->fetch = !before && op->m * row_bytes >= FN_FETCH_BYTES;
    if (op->m == 0 || op->n == 0) {
        forward_of_nothing(op);
    } else {
        /* a row needs no neighbour: tasks may be smaller than a group */
        const ptrdiff_t rows = row_bytes > FN_TILE_BYTES / 4 ? 1 : rows_per_task(row_bytes);
        fwd_task task = {op, layernorm_kernels(dtype), before, rows};
        fn_share(fwd_range, &task, fn_ceil_div(op->m, rows), bytes);
    }
    fn_fp_restore(saved);
    return 0;
}

static int layer_norm(const fn_layernorm_fwd *op, fn_dtype dtype) { return fn_layernorm_forward(op, NULL, dtype); }

/* ---- backward ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const fn_layernorm_bwd *op;
    const fn_layernorm_kernels *kernels;
    const fn_rows_hook *after;
    ptrdiff_t slabs, slab_rows, tile_rows, padded;
    ptrdiff_t arrays; /* a slab has dgamma and dbeta, and their rounding errors if the dtype is float64 */
    double *sums;     /* (slabs, arrays, padded), then padded zeros */
    double *zeros;
    fn_waiting_slabs *waiting;
} bwd_task;

static fn_gradient_sums sums_of_slab(const bwd_task *task, ptrdiff_t slab)
{
    double *s = task->sums + slab * task->arrays * task->padded;
    const int exact = task->arrays == 4;
    return (fn_gradient_sums){.dgamma = s,
                              .dbeta = s + task->padded,
                              .dgamma_lo = exact ? s + 2 * task->padded : task->zeros,
                              .dbeta_lo = exact ? s + 3 * task->padded : task->zeros};
}

static void add_slab(const void *context, ptrdiff_t to, ptrdiff_t from)
{
    const bwd_task *task = context;
    const fn_gradient_sums a = sums_of_slab(task, to), b = sums_of_slab(task, from);
    const int exact = task->arrays == 4;
    fn_add_sums(a.dgamma, a.dgamma_lo, b.dgamma, b.dgamma_lo, task->op->n, exact);
    fn_add_sums(a.dbeta, a.dbeta_lo, b.dbeta, b.dbeta_lo, task->op->n, exact);
}

static void bwd_range(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const bwd_task *task = arg;
    for (ptrdiff_t slab = begin; slab < end; slab++) {
        const fn_gradient_sums sums = sums_of_slab(task, slab);
        const ptrdiff_t first = slab * task->slab_rows, last = fn_min(first + task->slab_rows, task->op->m);
        const ptrdiff_t step = task->after ? task->tile_rows : last - first;
        memset(sums.dgamma, 0, (size_t)(task->arrays * task->padded) * sizeof(double));
        for (ptrdiff_t row = first; row < last; row += step) {
            const ptrdiff_t next = fn_min(row + step, last);
            task->kernels->backward(task->op, row, next, &sums);
            if (task->after) task->after->call(task->after->arg, row, next);
        }
        fn_slab_done(task->waiting, task->slabs, slab, add_slab, task);
    }
}

static void write_gradient(void *out, const double *hi, const double *lo, ptrdiff_t n, fn_dtype dtype)
{
    if (!out) return;
    for (ptrdiff_t j = 0; j < n; j++) {
        if (dtype == FN_FLOAT32)
            ((float *)out)[j] = (float)(hi[j] + lo[j]);
        else
            ((double *)out)[j] = hi[j] + lo[j];
    }
}

static int backward(const fn_layernorm_bwd *op, const fn_rows_hook *after, fn_dtype dtype)
{
    const ptrdiff_t row_bytes = op->n * fn_item_bytes(dtype);
    if (op->m == 0 || op->n == 0) {
        if (op->dgamma) memset(op->dgamma, 0, (size_t)row_bytes);
        memset(op->dbeta, 0, (size_t)row_bytes);
        return 0;
    }
    const ptrdiff_t most = fn_max(1, fn_min(FN_MAX_SLABS, op->m * row_bytes / FN_SLAB_BYTES));
    fn_waiting_slabs waiting = 0;
    bwd_task task = {.op = op,
                     .kernels = layernorm_kernels(dtype),
                     .after = after,
                     .tile_rows = rows_per_task(row_bytes),
                     .padded = fn_round_up(op->n + FN_UNIT_BYTES / 4 - 1, FN_UNIT_BYTES / 4),
                     .arrays = dtype == FN_FLOAT64 ? 4 : 2,
                     .waiting = &waiting};
    task.slab_rows = fn_round_up(fn_ceil_div(op->m, most), FN_GROUP_ROWS);
    task.slabs = fn_ceil_div(op->m, task.slab_rows);
    void *block = malloc((size_t)((task.slabs * task.arrays + 1) * task.padded) * sizeof(double) + FN_UNIT_BYTES);
    if (!block) return -1;
    task.sums = fn_aligned_up(block);
    task.zeros = task.sums + task.slabs * task.arrays * task.padded;
    memset(task.zeros, 0, (size_t)task.padded * sizeof(double));
    fn_share(bwd_range, &task, task.slabs, 3 * op->m * row_bytes + (after ? after->bytes : 0));
    const fn_gradient_sums total = sums_of_slab(&task, 0);
    write_gradient(op->dgamma, total.dgamma, total.dgamma_lo, op->n, dtype);
    write_gradient(op->dbeta, total.dbeta, total.dbeta_lo, op->n, dtype);
    free(block);
    return 0;
}

int fn_layernorm_backward(const fn_layernorm_bwd *given, const fn_rows_hook *after, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    fn_layernorm_bwd op = *given;
    const ptrdiff_t row_bytes = op.n * fn_item_bytes(dtype);
    const int whole_lines = (uintptr_t)op.dx % FN_UNIT_BYTES == 0 || row_bytes >= FN_STREAM_ROW_BYTES;
    op.stream = 3 * op.m * row_bytes >= FN_STREAM_BYTES && whole_lines && op.dx != op.dy && op.dx != op.x && !after;
    op.exact = op.m > FN_PLAIN_ROWS;
    const int status = backward(&op, after, dtype);
    fn_fp_restore(saved);
    return status;
}

static int layer_norm_backward(const fn_layernorm_bwd *op, fn_dtype dtype)
{
    return fn_layernorm_backward(op, NULL, dtype);
}

const fn_layernorm_drivers fn_layernorm = {layer_norm, layer_norm_backward};
