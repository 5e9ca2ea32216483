/* How the columns of an (m, c) array are cut: folding for narrow arrays, slabs of rows, slices of columns.
 *
 * Folding takes `fold` rows of a narrow array as one row of cols = fold * c columns, a multiple of the unit, so that no
 * lane idles; every channel then has `fold` columns, whose results are merged at the end. Rows that do not fill a folded
 * row are the tail. Slabs are ranges of folded rows that are walked on their own and merged in pairs. All of this is
 * decided by m, c and the dtype. */
#ifndef FN_COLUMNS_H
#define FN_COLUMNS_H

#include "fastnorm.h"

typedef struct {
    ptrdiff_t m, c;
    ptrdiff_t fold, rows, cols; /* the folded array */
    ptrdiff_t tail;             /* m - rows * fold, in rows of c */
    ptrdiff_t slabs, slab_rows;
    ptrdiff_t slices, slice_cols; /* tasks are slab x slice */
    ptrdiff_t item_bytes;
} fn_columns;

fn_columns fn_columns_plan(ptrdiff_t m, ptrdiff_t c, fn_dtype dtype);

/* Doubles that each of pivot, shift and m2 need for a plan. */
ptrdiff_t fn_columns_scratch(const fn_columns *plan);

/* Moments of the c channels, left in the first c entries of scratch, whose arrays hold fn_columns_scratch doubles. */
void fn_columns_moments(const fn_columns *plan, const fn_kernels *kernels, const void *x, const fn_moments *scratch);

/* The sums of the backward, likewise. center (real) has plan->cols entries. */
void fn_columns_bwd_sums(const fn_columns *plan, const fn_kernels *kernels, const void *dy, const void *x,
                         const void *center, const fn_bwd_sums *scratch);

#endif
