/* Activations: how an array is cut into tasks. */
#include "activations.h"

#include <string.h>

#include "dispatch.h"
#include "fpenv.h"
#include "half_blocks.h"
#include "work.h"

FN_TABLES(activations)

typedef struct {
    fn_activation which;
    const fn_activations_kernels *kernels;
    const void *op;
    ptrdiff_t n, numbers; /* of a task */
} task;

static void fwd_floats(void *arg, ptrdiff_t first, ptrdiff_t n, float *x, float *none)
{
    const task *t = arg;
    const fn_activations_fwd op = {.n = n, .x = x, .y = x, .slope = ((const fn_activations_fwd *)t->op)->slope};
    (void)first, (void)none;
    t->kernels->forward[t->which](&op, 0, n);
}

static void bwd_floats(void *arg, ptrdiff_t first, ptrdiff_t n, float *dy, float *kept)
{
    const task *t = arg;
    const double slope = ((const fn_activations_bwd *)t->op)->slope;
    const fn_activations_bwd op = {.n = n, .dy = dy, .kept = kept, .dx = dy, .slope = slope};
    (void)first;
    t->kernels->backward[t->which](&op, 0, n);
}

static void fwd_range(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const task *t = arg;
    const fn_activations_fwd *op = t->op;
    const fn_halves halves = {op->storage, op->x, NULL, op->y};
    const ptrdiff_t first = begin * t->numbers, last = fn_min(end * t->numbers, t->n);
    if (op->storage == FN_REAL)
        t->kernels->forward[t->which](op, first, last);
    else
        fn_by_blocks(&halves, first, last, fwd_floats, arg);
    if (op->stream) t->kernels->fence();
}

static void bwd_range(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const task *t = arg;
    const fn_activations_bwd *op = t->op;
    const fn_halves halves = {op->storage, op->dy, op->kept, op->dx};
    const ptrdiff_t first = begin * t->numbers, last = fn_min(end * t->numbers, t->n);
    if (op->storage == FN_REAL)
        t->kernels->backward[t->which](op, first, last);
    else
        fn_by_blocks(&halves, first, last, bwd_floats, arg);
    if (op->stream) t->kernels->fence();
}

/* What a number costs, in the time that memory needs for it: a second thread is worth waking sooner. */
static ptrdiff_t cost_of(fn_activation which) { return which == FN_RELU || which == FN_LEAKY_RELU ? 1 : 4; }

static void share(fn_range_fn range, fn_activation which, const void *op, ptrdiff_t n, ptrdiff_t bytes, int stream,
                  fn_dtype dtype)
{
    const ptrdiff_t tile_bytes = stream ? FN_STREAM_TILE_BYTES : FN_TILE_BYTES;
    task t = {which, activations_kernels(dtype), op, n, tile_bytes / fn_item_bytes(dtype)};
    if (n > 0) fn_share(range, &t, fn_ceil_div(n, t.numbers), bytes * cost_of(which));
}

static int forward(fn_activation which, const fn_activations_fwd *given, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    fn_activations_fwd op = *given;
    const ptrdiff_t bytes = 2 * op.n * fn_stored_item_bytes(dtype, op.storage);
    op.stream = bytes >= FN_STREAM_BYTES && op.x != op.y;
    share(fwd_range, which, &op, op.n, bytes, op.stream, dtype);
    fn_fp_restore(saved);
    return 0;
}

static int backward(fn_activation which, const fn_activations_bwd *given, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    fn_activations_bwd op = *given;
    const ptrdiff_t bytes = 3 * op.n * fn_stored_item_bytes(dtype, op.storage);
    op.stream = bytes >= FN_STREAM_BYTES && op.dx != op.dy && op.dx != op.kept;
    share(bwd_range, which, &op, op.n, bytes, op.stream, dtype);
    fn_fp_restore(saved);
    return 0;
}

static const double slope = 0.01;

void fn_activate_to(fn_activation which, const void *z, void *y, ptrdiff_t n, int stream, const void *next,
                    fn_dtype dtype)
{
    const fn_activations_fwd op = {.n = n, .x = z, .y = y, .slope = slope, .stream = stream, .next = next};
    activations_kernels(dtype)->forward[which](&op, 0, n);
}

void fn_activate_fence(fn_dtype dtype) { activations_kernels(dtype)->fence(); }

void fn_activate(fn_activation which, void *z, ptrdiff_t n, fn_dtype dtype)
{
    if (which != FN_NO_ACTIVATION) fn_activate_to(which, z, z, n, 0, NULL, dtype);
}

void fn_activate_backward(fn_activation which, const void *dy, void *z, void *dz, ptrdiff_t n, fn_dtype dtype)
{
    const fn_activations_bwd op = {.n = n, .dy = dy, .kept = z, .dx = dz, .slope = slope};
    if (which == FN_SIGMOID || which == FN_TANH)
        fn_activate(which, z, n, dtype); /* y; the sign of a ReLU's is that of z */
    if (which != FN_NO_ACTIVATION)
        activations_kernels(dtype)->backward[which](&op, 0, n);
    else if (dz != dy)
        memcpy(dz, dy, (size_t)(n * fn_item_bytes(dtype)));
}

const fn_activations_drivers fn_activations = {forward, backward};
