#include "columns_load.h"

#include <string.h>

#include "tree.h"
#include "work.h"

int fn_columns_loaded(const fn_columns_source *source)
{
    return source->first.run || source->chosen || source->storage != FN_REAL;
}

fn_columns_loader fn_columns_loader_of(const fn_columns *plan, const fn_batchnorm_kernels *kernels,
                                       const fn_columns_source *source)
{
    return (fn_columns_loader){kernels, *source, plan->c, plan->item_bytes};
}

ptrdiff_t fn_stored_element_bytes(const fn_columns_loader *l)
{
    return l->source.storage == FN_REAL ? l->item_bytes : 2;
}

/* How many of the n elements from element e of the chosen rows on lie together, and where the first is. */
static ptrdiff_t together(const fn_columns_loader *l, ptrdiff_t e, ptrdiff_t n, ptrdiff_t *place)
{
    const ptrdiff_t *chosen = l->source.chosen, row = e / l->c, j = e % l->c;
    *place = e;
    if (!chosen) return n;
    ptrdiff_t some = l->c - j;
    for (ptrdiff_t k = 1; some < n && chosen[row + k] == chosen[row] + k; k++) some += l->c;
    *place = chosen[row] * l->c + j;
    return fn_min(some, n);
}

static void load_elements(const fn_columns_loader *l, const char *array, ptrdiff_t e, ptrdiff_t n, char *tile)
{
    const ptrdiff_t size = fn_stored_element_bytes(l);
    for (ptrdiff_t some, place; n > 0; n -= some, e += some, tile += some * l->item_bytes) {
        some = together(l, e, n, &place);
        if (l->source.storage == FN_REAL)
            memcpy(tile, array + place * size, (size_t)(some * size));
        else
            fn_widen(l->source.storage, array + place * size, (float *)tile, some);
    }
}

static void store_elements(const fn_columns_loader *l, const char *tile, char *array, ptrdiff_t e, ptrdiff_t n,
                           int stream)
{
    const ptrdiff_t size = fn_stored_element_bytes(l);
    for (ptrdiff_t some, place; n > 0; n -= some, e += some, tile += some * l->item_bytes) {
        some = together(l, e, n, &place);
        if (l->source.storage == FN_REAL)
            memcpy(array + place * size, tile, (size_t)(some * size));
        else
            fn_narrow(l->source.storage, (const float *)tile, array + place * size, some, stream);
    }
}

/* ---- channels-first memory --------------------------------------------------------------------------------------- */

/* The part of the array as it is not folded: whole rows, where it is. */
static fn_columns_part unfolded(const fn_columns_loader *l, const fn_columns_part *part, ptrdiff_t stride)
{
    const ptrdiff_t fold = stride / l->c;
    fn_columns_part rows = *part;
    if (fold == 1) return rows;
    rows.row *= fold;
    rows.rows = part->rows * part->cols / l->c;
    rows.column = 0;
    rows.cols = l->c;
    return rows;
}

/* How many rows from `row` on, `end` excluded, are positions of one sample, and where the first is. */
static ptrdiff_t of_one_sample(const fn_columns_loader *l, ptrdiff_t row, ptrdiff_t end, ptrdiff_t column,
                               ptrdiff_t *place)
{
    const ptrdiff_t run = l->source.first.run, position = row % run;
    *place = ((row / run * l->c + column) * run + position) * l->item_bytes;
    return fn_min(end - row, run - position);
}

static void gather(const fn_columns_loader *l, const char *array, const fn_columns_part *part, char *tile,
                   ptrdiff_t ahead)
{
    const ptrdiff_t end = part->row + part->rows;
    for (ptrdiff_t row = part->row, some, place; row < end; row += some, tile += some * part->cols * l->item_bytes) {
        some = of_one_sample(l, row, end, part->column, &place);
        l->kernels->transpose(array + place, l->source.first.run, tile, part->cols, part->cols, some, ahead);
    }
}

static void scatter(const fn_columns_loader *l, const char *tile, const fn_columns_part *part, char *array)
{
    const ptrdiff_t end = part->row + part->rows;
    for (ptrdiff_t row = part->row, some, place; row < end; row += some, tile += some * part->cols * l->item_bytes) {
        some = of_one_sample(l, row, end, part->column, &place);
        l->kernels->transpose(tile, part->cols, array + place, l->source.first.run, some, part->cols, 0);
    }
}

/* ---- parts of arrays --------------------------------------------------------------------------------------------- */

void fn_columns_load(const fn_columns_loader *l, const void *array, const fn_columns_part *part, ptrdiff_t stride,
                     char *tile, ptrdiff_t ahead)
{
    if (l->source.first.run) {
        const fn_columns_part rows = unfolded(l, part, stride);
        gather(l, array, &rows, tile, ahead * (stride / l->c));
        return;
    }
    const ptrdiff_t cols = part->cols, rows = cols == stride ? 1 : part->rows,
                    n = cols == stride ? part->rows * cols : cols;
    for (ptrdiff_t i = 0; i < rows; i++)
        load_elements(l, array, (part->row + i) * stride + part->column, n, tile + i * n * l->item_bytes);
}

void fn_columns_store(const fn_columns_loader *l, const char *tile, void *array, const fn_columns_part *part,
                      ptrdiff_t stride, int stream)
{
    const ptrdiff_t cols = part->cols, rows = cols == stride ? 1 : part->rows,
                    n = cols == stride ? part->rows * cols : cols;
    if (l->source.storage == FN_REAL && !l->source.chosen) {
        char *to = (char *)array + (part->row * stride + part->column) * l->item_bytes;
        l->kernels->put_rows(tile, to, rows, n, stride, stream);
        return;
    }
    for (ptrdiff_t i = 0; i < rows; i++)
        store_elements(l, tile + i * n * l->item_bytes, array, (part->row + i) * stride + part->column, n, stream);
}

void fn_columns_store_result(const fn_columns_loader *l, const char *tile, void *array, const fn_columns_part *part,
                             ptrdiff_t stride, int stream)
{
    if (l->source.first.result_too) {
        const fn_columns_part rows = unfolded(l, part, stride);
        scatter(l, tile, &rows, array);
        return;
    }
    fn_columns_store(l, tile, array, part, stride, stream);
}

double fn_columns_value(const void *loader, const void *array, ptrdiff_t i, ptrdiff_t j)
{
    const fn_columns_loader *l = loader;
    _Alignas(FN_UNIT_BYTES) char tile[FN_UNIT_BYTES];
    const fn_columns_part part = {.row = i, .rows = 1, .column = j, .cols = 1};
    fn_columns_load(l, array, &part, l->c, tile, 0);
    return fn_value_at(tile, 0, l->item_bytes);
}

void fn_columns_pivots(const fn_columns_loader *l, const void *array, ptrdiff_t m, char *samples, void *pivots)
{
    for (int k = 0; k < FN_COLUMN_SAMPLES; k++) { /* each where an array of so many rows has that sample */
        const fn_columns_part part = {.row = fn_sample(m, k), .rows = 1, .column = 0, .cols = l->c};
        fn_columns_load(l, array, &part, l->c, samples + fn_sample(FN_COLUMN_SAMPLES, k) * l->c * l->item_bytes, 0);
    }
    l->kernels->pivots(samples, FN_COLUMN_SAMPLES, l->c, l->c, pivots);
}
