/* A residual added before a normalization: the sum of a tile's rows is what the normalization loads, so that it is in the
 * cache; so is the gradient that it stores when x was dropped out. The bits are those of the steps one after the other, but
 * that y of halves is that of the sum before it is rounded.
 *
 * Passes over memory: x and the residual are read, the sum and y written. Past the cache, where y goes too, the sum is
 * written twice: to the tile, which the normalization reads, and beside it; otherwise its lines would be read from memory
 * before, a fifth trip, 1.1 to 1.3 times as long in all. The normalization fences both. Backward, dy, the sum and dsum are
 * read and the gradient written, and dx where x was dropped out. */
#include "addnorm.h"

#include "dispatch.h"
#include "work.h"

FN_TABLES(addnorm)

enum { PIECE = 1024 }; /* halves that are widened at a time */

typedef struct {
    const fn_addnorm_kernels *kernels;
    const void *add; /* whole arrays */
    fn_row_format format;
} rows;

static ptrdiff_t piece_of(const rows *r, const fn_tile *t)
{
    return r->format.storage == FN_REAL ? t->rows * r->format.n : PIECE;
}

static void *number(const rows *r, const void *tile, ptrdiff_t i)
{
    return (char *)tile + i * fn_item_bytes(r->format.dtype);
}

static const void *add_rows(const void *arg, const fn_tile *t)
{
    const rows *r = arg;
    const fn_addnorm_fwd *add = r->add;
    const ptrdiff_t first = t->begin * r->format.n, count = t->rows * r->format.n, piece = piece_of(r, t);
    float x[PIECE], residual[PIECE];
    const int beside = t->stream && r->format.storage == FN_REAL;
    void *sum = beside ? fn_tile_space(t, 0) : fn_tile_place(t, r->format, add->sum, fn_tile_space(t, 0));
    for (ptrdiff_t i = 0; i < count; i += piece) {
        const ptrdiff_t at = first + i, n = fn_min(piece, count - i);
        fn_addnorm_fwd op = *add;
        op.x = fn_row_numbers(r->format, add->x, at, n, x);
        op.residual = fn_row_numbers(r->format, add->residual, at, n, residual);
        op.sum = number(r, sum, i);
        op.beside = beside ? number(r, add->sum, at) : NULL;
        r->kernels->forward(&op, at, n);
    }
    if (!beside) fn_tile_store(t, r->format, sum, add->sum);
    return sum;
}

static void drop_gradients(const void *arg, const fn_tile *t, void *dresidual)
{
    const rows *r = arg;
    const fn_addnorm_bwd *add = r->add;
    const ptrdiff_t first = t->begin * r->format.n, count = t->rows * r->format.n, piece = piece_of(r, t);
    float dx[PIECE];
    for (ptrdiff_t i = 0; i < count; i += piece) {
        const ptrdiff_t at = first + i, n = fn_min(piece, count - i);
        fn_addnorm_bwd op = *add;
        op.dresidual = number(r, dresidual, i);
        op.dx = r->format.storage == FN_REAL ? number(r, add->dx, at) : dx;
        r->kernels->backward(&op, at, n);
        if (op.dx == dx) fn_row_put(r->format, dx, add->dx, at, n);
    }
}

/* What the normalization does not count: two arrays forward, backward dx. */
static fn_rows_hook hook_of(const rows *r, ptrdiff_t m, ptrdiff_t arrays)
{
    return (fn_rows_hook){add_rows, drop_gradients, r, arrays * m * fn_stored_bytes(r->format)};
}

static int add_layer_norm(const fn_addnorm_fwd *add, const fn_layernorm_fwd *norm, fn_dtype dtype)
{
    const rows r = {addnorm_kernels(dtype), add, {norm->n, dtype, norm->storage}};
    const fn_rows_hook hook = hook_of(&r, norm->m, 2);
    return fn_layernorm_forward(norm, &hook, dtype);
}

static int add_rms_norm(const fn_addnorm_fwd *add, const fn_rmsnorm_fwd *norm, fn_dtype dtype)
{
    const rows r = {addnorm_kernels(dtype), add, {norm->n, dtype, norm->storage}};
    const fn_rows_hook hook = hook_of(&r, norm->m, 2);
    return fn_rmsnorm_forward(norm, &hook, dtype);
}

static int add_layer_norm_backward(const fn_addnorm_bwd *add, const fn_layernorm_bwd *norm, fn_dtype dtype)
{
    const rows r = {addnorm_kernels(dtype), add, {norm->n, dtype, norm->storage}};
    const fn_rows_hook hook = hook_of(&r, norm->m, 1);
    return fn_layernorm_backward(norm, add->dx ? &hook : NULL, dtype);
}

static int add_rms_norm_backward(const fn_addnorm_bwd *add, const fn_rmsnorm_bwd *norm, fn_dtype dtype)
{
    const rows r = {addnorm_kernels(dtype), add, {norm->n, dtype, norm->storage}};
    const fn_rows_hook hook = hook_of(&r, norm->m, 1);
    return fn_rmsnorm_backward(norm, add->dx ? &hook : NULL, dtype);
}

const fn_addnorm_drivers fn_addnorm = {add_layer_norm, add_layer_norm_backward, add_rms_norm, add_rms_norm_backward};
