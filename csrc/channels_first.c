/* Sums come from tiles that are gathered into channels-last order (columns.c). A result in channels-first memory is applied run
 * by run; one that is channels last goes through tiles, too. */
#include "channels_first.h"

#include <stdlib.h>
#include <string.h>

#include "columns_apply.h"
#include "columns_load.h"
#include "tree.h"
#include "work.h"

int fn_channels_first_taken(ptrdiff_t m, ptrdiff_t c, fn_dtype dtype)
{
    const fn_columns plan = fn_columns_plan(m, c, c, dtype);
    return fn_columns_gathers(&plan);
}

/* ---- apply ------------------------------------------------------------------------------------------------------- */

typedef struct {
    const fn_columns *plan;
    const fn_batchnorm_kernels *kernels;
    const fn_coefficients *k;
    const char *x, *dy; /* dy is NULL in a forward */
    char *out;
    fn_channels_first first;
    ptrdiff_t tile, tiles, all; /* of `all` runs or rows, so many are a tile */
    int stream, fetch;
    const fn_wide_columns *wide;
} apply_task;

/* Columns from j on up to the next whose being wide is another. */
static ptrdiff_t alike(const apply_task *t, ptrdiff_t j, ptrdiff_t end)
{
    if (!t->k->wide_count) return end;
    ptrdiff_t next = j + 1;
    while (next < end && t->k->wide[next] == t->k->wide[j]) next++;
    return next;
}

static int is_wide(const apply_task *t, ptrdiff_t j) { return t->k->wide_count && t->k->wide[j]; }

static void apply_runs(const apply_task *t, ptrdiff_t begin, ptrdiff_t end)
{
    const ptrdiff_t run = t->first.run, c = t->plan->c;
    for (ptrdiff_t next; begin < end; begin = next) {
        const ptrdiff_t j = begin % c, in = begin * run * t->plan->item_bytes;
        next = begin - j + alike(t, j, fn_min(c, j + end - begin));
        const fn_coefficients k = fn_coefficients_from(t->k, j * t->plan->item_bytes);
        if (is_wide(t, j)) {
            next = begin + 1;
            fn_apply_wide(t->wide, t->dy ? t->dy + in : NULL, t->x + in, t->out + in, run, 1, j);
        } else if (t->dy) {
            t->kernels->bwd_apply_runs(t->dy + in, t->x + in, t->out + in, next - begin, run, &k, t->stream);
        } else {
            t->kernels->apply_runs(t->x + in, t->out + in, next - begin, run, &k, t->stream);
        }
    }
}

/* In place, on tiles of rows of `width` columns from column `first` on. */
static void apply_tile(const apply_task *t, const char *dy, char *x, ptrdiff_t rows, ptrdiff_t first, ptrdiff_t width)
{
    const ptrdiff_t size = t->plan->item_bytes;
    for (ptrdiff_t j = 0, next; j < width; j = next) {
        next = alike(t, first + j, first + width) - first;
        const fn_coefficients k = fn_coefficients_from(t->k, (first + j) * t->plan->item_bytes);
        if (is_wide(t, first + j)) {
            next = j + 1;
            fn_apply_wide(t->wide, t->dy ? dy + j * size : NULL, x + j * size, x + j * size, rows, width, first + j);
        } else if (t->dy) {
            t->kernels->bwd_apply(dy + j * size, x + j * size, x + j * size, rows, width, next - j, &k);
        } else {
            t->kernels->apply(x + j * size, x + j * size, rows, width, next - j, &k);
        }
    }
}

static void apply_rows(const apply_task *t, ptrdiff_t row, ptrdiff_t rows)
{
    _Alignas(FN_UNIT_BYTES) char x[FN_GATHER_BYTES], dy[FN_GATHER_BYTES];
    const fn_columns *plan = t->plan;
    const ptrdiff_t most = fn_min(plan->c, FN_GATHER_BYTES / (t->tile * plan->item_bytes));
    const ptrdiff_t ahead = t->fetch ? -t->tile : 0;
    const fn_columns_source source = {.run = t->first.run};
    const fn_columns_loader loader = fn_columns_loader_of(plan, t->kernels, &source);
    for (ptrdiff_t j = 0; j < plan->c; j += most) {
        const ptrdiff_t width = fn_min(most, plan->c - j);
        const fn_columns_part part = {.row = row, .rows = rows, .column = j, .cols = width};
        fn_columns_load(&loader, t->x, &part, plan->c, x, ahead);
        if (t->dy) fn_columns_load(&loader, t->dy, &part, plan->c, dy, ahead);
        apply_tile(t, dy, x, rows, j, width);
        t->kernels->put_rows(x, t->out + (row * plan->c + j) * plan->item_bytes, rows, width, plan->c, t->stream);
    }
}

static void apply_range(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const apply_task *t = arg;
    for (ptrdiff_t i = begin; i < end; i++) {
        /* from the end to the front: the end is what the statistics left in the cache */
        const ptrdiff_t from = (t->tiles - 1 - i) * t->tile, to = fn_min(t->all, from + t->tile);
        if (t->first.result_too)
            apply_runs(t, from, to);
        else
            apply_rows(t, from, to - from);
    }
    if (t->stream) t->kernels->fence();
}

static void apply(apply_task *t)
{
    const fn_columns *plan = t->plan;
    const ptrdiff_t size = plan->item_bytes, run_bytes = t->first.run * size, arrays = t->dy ? 3 : 2;
    const ptrdiff_t bytes = arrays * plan->m * plan->c * size;
    t->all = t->first.result_too ? plan->m / t->first.run * plan->c : plan->m;
    t->tile = t->first.result_too ? fn_max(1, FN_TILE_BYTES / run_bytes) : FN_GATHER_ROWS;
    t->tiles = fn_ceil_div(t->all, t->tile);
    t->stream = bytes >= FN_STREAM_BYTES && t->out != t->x && t->out != t->dy &&
                (t->first.result_too ? run_bytes : plan->c * size) >= FN_GATHER_STREAM_BYTES;
    t->fetch = bytes >= FN_FETCH_BYTES;
    fn_share(apply_range, t, t->tiles, bytes);
}

/* ---- operations -------------------------------------------------------------------------------------------------- */

int fn_channels_first_forward(const fn_batchnorm_fwd *given, const fn_batchnorm_kernels *kernels, fn_dtype dtype)
{
    fn_batchnorm_fwd op = *given;
    const fn_columns plan = fn_columns_plan(op.m, op.c, op.c, dtype);
    fn_columns_space s;
    if (fn_columns_take(&s, &plan, 2 + FN_COLUMN_SAMPLES)) return -1;
    if (!op.mean) op.mean = s.spare;
    if (!op.rstd) op.rstd = s.spare + plan.padded;
    const fn_columns_source source = {.run = op.first.run};
    const fn_columns_loader loader = fn_columns_loader_of(&plan, kernels, &source);
    fn_columns_pivots(&loader, op.x, op.m, (char *)(s.spare + 2 * plan.padded), s.k.center);
    fn_columns_repeat(s.k.center, &plan, plan.item_bytes);
    const fn_columns_data data = {.x = op.x, .pivot = s.k.center, .source = {.run = op.first.run}};
    fn_columns_sum(&plan, kernels, &data, &s.sums, s.waiting);
    kernels->fwd_coefficients(&op, &s.sums, &s.k);
    const fn_wide_columns wide = {kernels, op.m, op.c, plan.item_bytes, op.mean, op.rstd, op.gamma,
                                  op.beta, NULL, NULL};
    apply_task task = {
        .plan = &plan, .kernels = kernels, .k = &s.k, .x = op.x, .out = op.y, .first = op.first, .wide = &wide};
    apply(&task);
    free(s.block);
    return 0;
}

int fn_channels_first_inference(const fn_batchnorm_inference *op, const fn_batchnorm_kernels *kernels, fn_dtype dtype)
{
    const fn_columns plan = fn_columns_plan(op->m, op->c, op->c, dtype);
    fn_columns_space s;
    if (fn_columns_take(&s, &plan, 2)) return -1;
    double *rstd = s.sums.a;
    kernels->inference_coefficients(op, rstd, s.spare, &s.k);
    const fn_wide_columns wide = {kernels,  op->m, op->c, plan.item_bytes, op->running_mean, rstd, op->gamma,
                                  op->beta, NULL,  NULL};
    apply_task task = {
        .plan = &plan, .kernels = kernels, .k = &s.k, .x = op->x, .out = op->y, .first = op->first, .wide = &wide};
    apply(&task);
    free(s.block);
    return 0;
}

int fn_channels_first_backward(const fn_batchnorm_bwd *op, const fn_batchnorm_kernels *kernels, fn_dtype dtype)
{
    const fn_columns plan = fn_columns_plan(op->m, op->c, op->c, dtype);
    fn_columns_space s;
    if (fn_columns_take(&s, &plan, 2)) return -1;
    memcpy(s.spare, op->mean, (size_t)op->c * sizeof(double));
    fn_columns_repeat(s.spare, &plan, sizeof(double));
    const fn_columns_data data = {.x = op->x, .dy = op->dy, .mean = s.spare, .source = {.run = op->first.run}};
    fn_columns_sum(&plan, kernels, &data, &s.sums, s.waiting);
    kernels->bwd_coefficients(op, &s.sums, &s.k);
    const fn_wide_columns wide = {kernels,  op->m,     op->c, plan.item_bytes, op->mean,
                                  op->rstd, op->gamma, NULL,  &s.sums,         NULL};
    apply_task task = {.plan = &plan,
                       .kernels = kernels,
                       .k = &s.k,
                       .x = op->x,
                       .dy = op->dy,
                       .out = op->dx,
                       .first = op->first,
                       .wide = &wide};
    apply(&task);
    free(s.block);
    return 0;
}
