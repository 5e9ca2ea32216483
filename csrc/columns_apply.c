#include "columns_apply.h"

#include <string.h>

#include "tree.h"
#include "work.h"

static void repeat_coefficients(const fn_coefficients *k, const fn_columns *plan)
{
    fn_columns_repeat(k->center, plan, plan->item_bytes);
    fn_columns_repeat(k->scale, plan, plan->item_bytes);
    fn_columns_repeat(k->offset, plan, plan->item_bytes);
    fn_columns_repeat(k->slope, plan, plan->item_bytes);
}

static double parameter(const void *array, ptrdiff_t j, ptrdiff_t item_bytes, double otherwise)
{
    return array ? fn_value_at(array, j, item_bytes) : otherwise;
}

void fn_apply_wide(const void *wide, const char *dy, const char *x, char *out, ptrdiff_t rows, ptrdiff_t stride,
                   ptrdiff_t j)
{
    const fn_wide_columns *w = wide;
    const double gamma = parameter(w->gamma, j, w->item_bytes, 1), inv = 1 / (double)w->m;
    if (w->factor) {
        w->kernels->scale_wide(dy, out, rows, stride, w->factor[j]);
    } else if (dy) {
        const fn_wide_bwd k = {w->mean[j], w->rstd[j], gamma * w->rstd[j], w->sums->b[j] * inv,
                               w->rstd[j] * (w->sums->a[j] * inv)};
        w->kernels->bwd_apply_wide(dy, x, out, rows, stride, &k);
    } else {
        w->kernels->apply_wide(x, out, rows, stride, w->mean[j], w->rstd[j], gamma,
                               parameter(w->beta, j, w->item_bytes, 0));
    }
}

static void apply_columns(const fn_columns_result *t, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t j, ptrdiff_t cols)
{
    const ptrdiff_t in = (row * t->stride + j) * t->item_bytes, at = j * t->item_bytes;
    const fn_coefficients k = {(char *)t->k->center + at, (char *)t->k->scale + at, (char *)t->k->offset + at,
                               (char *)t->k->slope + at, NULL, 0};
    const fn_batchnorm_kernels *kernels = t->kernels;
    if (t->scale)
        (t->stream ? kernels->scale_stream : kernels->scale)(t->dy + in, t->out + in, rows, t->stride, cols, &k);
    else if (t->dy)
        (t->stream ? kernels->bwd_apply_stream : kernels->bwd_apply)(
            t->dy + in, t->x + in, t->out + in, rows, t->stride, cols, &k);
    else
        (t->stream ? kernels->apply_stream : kernels->apply)(t->x + in, t->out + in, rows, t->stride, cols, &k);
}

static void apply_wide_column(const fn_columns_result *t, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t j)
{
    const ptrdiff_t in = (row * t->stride + j) * t->item_bytes;
    t->apply_wide(t->wide, t->dy ? t->dy + in : NULL, t->x ? t->x + in : NULL, t->out + in, rows, t->stride, j);
}

/* Runs of plain columns and single wide ones, in turn. */
static void apply_mixed_columns(const fn_columns_result *t, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t begin, ptrdiff_t end)
{
    for (ptrdiff_t j = begin; j < end;) {
        ptrdiff_t next = j;
        while (next < end && !t->k->wide[next]) next++;
        if (next > j) apply_columns(t, row, rows, j, next - j);
        for (j = next; j < end && t->k->wide[j]; j++)
            apply_wide_column(t, row, rows, j);
    }
}

void fn_columns_apply_tile(const void *result, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t column, ptrdiff_t cols)
{
    const fn_columns_result *t = result;
    if (t->k->wide_count)
        apply_mixed_columns(t, row, rows, column, column + cols);
    else
        apply_columns(t, row, rows, column, cols);
}

static void apply_range(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const fn_columns_result *t = arg;
    for (ptrdiff_t i = begin; i < end; i++) {
        /* from the end to the front: the end is what the statistics left in the cache */
        const ptrdiff_t tile = t->tiles - 1 - i;
        const ptrdiff_t row = tile / t->tiles_across * t->tile_rows, column = tile % t->tiles_across * t->tile_cols;
        const ptrdiff_t rows = fn_min(t->tile_rows, t->rows - row), cols = fn_min(t->tile_cols, t->cols - column);
        fn_columns_apply_tile(t, row, rows, column, cols);
    }
}

/* Moves the first bytes of an array, less than a unit, to its end. */
static void rotate(void *array, ptrdiff_t first, ptrdiff_t bytes)
{
    char moved[FN_UNIT_BYTES];
    memcpy(moved, array, (size_t)first);
    memmove(array, (char *)array + first, (size_t)(bytes - first));
    memcpy((char *)array + bytes - first, moved, (size_t)first);
}

/* Where what is streamed does not begin on a cache line, as in the arrays of NumPy, each row would have an end that does
 * not fill one, which breaks the streams: measured, three times the time of rows of 128 bytes. So rows of whole lines
 * begin at the first line instead, with coefficients that are rotated, and a part of a row is left at either end. */
static void begin_aligned(fn_columns_result *t)
{
    const ptrdiff_t row_bytes = t->cols * t->item_bytes;
    const ptrdiff_t skipped = (ptrdiff_t)(-(uintptr_t)t->out % FN_UNIT_BYTES);
    if (!skipped || skipped % t->item_bytes || t->stride != t->cols || row_bytes % FN_UNIT_BYTES) return;
    const ptrdiff_t columns = skipped / t->item_bytes;
    apply_columns(t, 0, 1, 0, columns);
    apply_columns(t, t->rows - 1, 1, columns, t->cols - columns);
    rotate(t->k->center, skipped, row_bytes);
    rotate(t->k->scale, skipped, row_bytes);
    rotate(t->k->offset, skipped, row_bytes);
    rotate(t->k->slope, skipped, row_bytes);
    t->x += skipped;
    t->out += skipped;
    if (t->dy) t->dy += skipped;
    t->rows--;
}

void fn_columns_apply(fn_columns_result *t, const fn_columns *plan)
{
    const int folded = !t->k->wide_count;
    if (folded) repeat_coefficients(t->k, plan);
    t->item_bytes = plan->item_bytes;
    t->rows = folded ? plan->rows : plan->m;
    t->cols = folded ? plan->cols : plan->c;
    t->stride = folded || plan->fold == 1 ? plan->stride : plan->c;
    const ptrdiff_t arrays = t->dy ? 3 : 2;
    t->stream = arrays * t->rows * t->stride * t->item_bytes * plan->samples >= FN_STREAM_BYTES && t->out != t->x && t->out != t->dy;
    /* rows that do not fill a folded row are its first columns */
    if (folded && plan->tail) apply_columns(t, plan->rows, 1, 0, plan->tail * plan->c);
    if (folded && t->stream) begin_aligned(t);
    t->tile_cols = fn_min(t->cols, FN_TILE_COLUMN_BYTES / t->item_bytes);
    t->tiles_across = fn_ceil_div(t->cols, t->tile_cols);
    const ptrdiff_t tile_bytes = t->stream ? FN_STREAM_TILE_BYTES : FN_TILE_BYTES;
    t->tile_rows = fn_max(4, tile_bytes / (t->tile_cols * t->item_bytes) / 4 * 4); /* kernels take up to four rows */
    t->tiles = fn_ceil_div(t->rows, t->tile_rows) * t->tiles_across;
    fn_share(apply_range, t, t->tiles, arrays * t->rows * t->cols * t->item_bytes);
}
