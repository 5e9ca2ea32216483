/* LayerNorm: what is done with a tile of its rows. */
#include "layernorm.h"

#include <math.h>
#include <string.h>

#include "compiler.h"
#include "dispatch.h"
#include "fpenv.h"
#include "tree.h"
#include "work.h"

FN_TABLES(layernorm)

/* What both directions have; `arrays` of x's size are read and written; steps: there is more to do than kernels do. */
static fn_rows rows_of(ptrdiff_t m, fn_row_format format, ptrdiff_t arrays, const unsigned char *where,
                       fn_activation activation, int steps, const fn_rows_hook *hook)
{
    const ptrdiff_t bytes = arrays * m * fn_stored_bytes(format) + (hook ? hook->bytes : 0);
    return (fn_rows){.m = m,
                     .format = format,
                     .where = where,
                     .bytes = bytes,
                     .work = bytes * (activation > FN_LEAKY_RELU ? 4 : 1), /* which take exponentials */
                     .group = FN_GROUP_ROWS,
                     .columns = format.n,
                     .tiled = where || steps || hook || format.storage != FN_REAL};
}

/* Row i of an array, which may lie behind its end: it is fetched, not read. */
static const void *row(const void *array, ptrdiff_t i, fn_row_format format)
{
    return (const void *)((uintptr_t)array + (uintptr_t)(i * fn_row_bytes(format)));
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

typedef struct {
    const fn_layernorm_fwd *op;
    const fn_layernorm_kernels *kernels;
    const fn_rows_hook *hook;
    fn_row_format format;
} fwd_task;

/* Statistics of nothing. */
static void skip_rows(const fn_layernorm_fwd *op, const fn_tile *t)
{
    for (ptrdiff_t i = t->begin; i < t->end; i++) {
        if (t->where && t->where[i]) continue;
        if (op->mean) op->mean[i] = 0;
        if (op->rstd) op->rstd[i] = 1 / sqrt(op->eps);
    }
}

/* Whether an activation is a step of its own; a ReLU kernels take with y. */
static int is_step(fn_activation activation) { return activation > FN_RELU; }

/* y of z, which lies in space; what the next tile reads is fetched meanwhile. */
static void activate(const fn_layernorm_fwd *op, const fn_tile *t, fn_row_format format, const void *z, void *y)
{
    const int stream = t->stream && y != z;
    const void *next = t->stream ? row(op->x, t->rows, format) : NULL;
    fn_activate_to(op->activation, z, y, t->rows * op->n, stream, next, format.dtype);
    if (stream) fn_activate_fence(format.dtype);
}

static void fwd_tile(const void *arg, const fn_tile *t)
{
    const fwd_task *task = arg;
    const fn_row_format format = task->format;
    const fn_layernorm_fwd *whole = task->op;
    const int step = is_step(whole->activation);
    fn_layernorm_fwd op = *whole;
    void *space = fn_tile_space(t, 0), *y = fn_tile_place(t, format, op.y, space);
    if (t->rows > 0) {
        op.x = task->hook ? task->hook->load(task->hook->arg, t) : fn_tile_load(t, format, op.x, space);
        op.y = step ? space : y;
        op.stream = t->stream && op.y != space;
        if (op.mean) op.mean = fn_tile_place(t, fn_row_statistic, op.mean, t->mean);
        if (op.rstd) op.rstd = fn_tile_place(t, fn_row_statistic, op.rstd, t->rstd);
        task->kernels->forward(&op, 0, t->rows);
        if (step) activate(&op, t, format, space, y);
    }
    fn_tile_store(t, format, y, whole->y);
    if (op.mean) fn_tile_store(t, fn_row_statistic, op.mean, whole->mean);
    if (op.rstd) fn_tile_store(t, fn_row_statistic, op.rstd, whole->rstd);
    if (t->where) skip_rows(whole, t);
}

int fn_layernorm_forward(const fn_layernorm_fwd *given, const fn_rows_hook *hook, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    fn_layernorm_fwd op = *given;
    const fwd_task task = {&op, layernorm_kernels(dtype), hook, {op.n, dtype, op.storage}};
    fn_rows rows = rows_of(op.m, task.format, 2, op.where, op.activation, is_step(op.activation), hook);
    int status = 0;
    rows.stream = fn_rows_stream(&rows, 1, op.y, op.x, NULL);
    rows.spaces = rows.tiled ? 1 : 0;
    if (op.m == 0 || op.n == 0)
        skip_rows(&op, &(fn_tile){.end = op.m});
    else
        status = fn_rows_forward(&rows, fwd_tile, &task);
    fn_fp_restore(saved);
    return status;
}

static int layer_norm(const fn_layernorm_fwd *op, fn_dtype dtype) { return fn_layernorm_forward(op, NULL, dtype); }

/* ---- backward ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const fn_layernorm_bwd *op;
    const fn_layernorm_kernels *kernels;
    const fn_rows_hook *hook;
    fn_row_format format;
    ptrdiff_t ahead; /* how many rows ahead dy and x are fetched, or 0 */
} bwd_task;

/* dy becomes the gradient of what the activation was given, which is computed again. */
static const void *through_activation(const bwd_task *task, const fn_layernorm_bwd *op, ptrdiff_t rows, void *z)
{
    const fn_layernorm_fwd forward = {.n = op->n,
                                      .x = op->x,
                                      .gamma = op->gamma,
                                      .beta = op->beta,
                                      .y = z,
                                      .mean = (double *)op->mean,
                                      .rstd = (double *)op->rstd};
    if (op->activation == FN_RELU) {
        task->kernels->relu_gradient(&forward, op->dy, 0, rows);
    } else {
        task->kernels->normalize(&forward, 0, rows);
        fn_activate_backward(op->activation, op->dy, z, z, rows * op->n, task->format.dtype);
    }
    return z;
}

static void bwd_tile(const void *arg, const fn_tile *t, const fn_row_sum *sums)
{
    const bwd_task *task = arg;
    const fn_row_format format = task->format;
    const fn_gradient_sums gradients = {sums[0].hi, sums[1].hi, sums[0].lo, sums[1].lo};
    fn_layernorm_bwd op = *task->op;
    if (t->rows > 0) {
        op.dy = fn_tile_load(t, format, op.dy, fn_tile_space(t, 0));
        op.x = fn_tile_load(t, format, op.x, fn_tile_space(t, 1));
        op.mean = fn_tile_load(t, fn_row_statistic, op.mean, t->mean);
        op.rstd = fn_tile_load(t, fn_row_statistic, op.rstd, t->rstd);
        if (op.activation) op.dy = through_activation(task, &op, t->rows, fn_tile_space(t, 2));
        if (task->ahead && op.x != fn_tile_space(t, 1)) {
            op.next_dy = row(task->op->dy, t->begin + task->ahead, format);
            op.next_x = row(task->op->x, t->begin + task->ahead, format);
        }
        op.dx = fn_tile_place(t, format, op.dx, fn_tile_space(t, 0));
        op.dsum = op.dsum ? fn_tile_load(t, format, op.dsum, fn_tile_space(t, 3)) : NULL;
        op.stream = t->stream && op.dx != fn_tile_space(t, 0) && !task->hook; /* which reads it again */
        task->kernels->backward(&op, 0, t->rows, &gradients);
    }
    if (task->hook) task->hook->after(task->hook->arg, t, op.dx);
    fn_tile_store(t, format, op.dx, task->op->dx);
}

static void backward_of_nothing(const fn_layernorm_bwd *op, fn_dtype dtype)
{
    const size_t row_bytes = (size_t)(op->n * fn_item_bytes(dtype));
    if (op->dgamma) memset(op->dgamma, 0, row_bytes);
    memset(op->dbeta, 0, row_bytes);
}

int fn_layernorm_backward(const fn_layernorm_bwd *given, const fn_rows_hook *hook, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    fn_layernorm_bwd op = *given;
    bwd_task task = {&op, layernorm_kernels(dtype), hook, {op.n, dtype, op.storage}, 0};
    const ptrdiff_t row_bytes = fn_row_bytes(task.format);
    fn_rows rows =
        rows_of(op.m, task.format, op.dsum ? 4 : 3, op.where, op.activation, op.activation != FN_NO_ACTIVATION, hook);
    int status = 0;
    rows.stream = fn_rows_stream(&rows, (uintptr_t)op.dx % FN_UNIT_BYTES == 0, op.dx, op.x, op.dy);
    rows.spaces = !rows.tiled ? 0 : op.dsum ? 4 : op.activation ? 3 : 2;
    op.exact = fn_rows_taken(&rows) > FN_PLAIN_ROWS;
    op.next_dy = op.next_x = NULL;
    if (rows.bytes >= FN_STREAM_BYTES)
        task.ahead = rows.tiled ? fn_backward_tile_rows(&rows) : fn_layernorm_bwd_group_rows(row_bytes, op.exact);
    if (op.m == 0 || op.n == 0)
        backward_of_nothing(&op, dtype);
    else
        status = fn_rows_backward(&rows, bwd_tile, &task, 2, (void *const[]){op.dgamma, op.dbeta});
    fn_fp_restore(saved);
    return status;
}

static int layer_norm_backward(const fn_layernorm_bwd *op, fn_dtype dtype)
{
    return fn_layernorm_backward(op, NULL, dtype);
}

const fn_layernorm_drivers fn_layernorm = {layer_norm, layer_norm_backward};
