/* How the columns of an (m, c) array are cut: folding for narrow arrays, slabs of rows, slices of columns.
 *
 * Folding takes `fold` rows of a narrow array as one row of cols = fold * c columns, a multiple of the unit, so that no
 * lane idles; every channel then has `fold` columns, whose results are merged at the end. Rows that do not fill a folded
 * row are the tail. Slabs are ranges of folded rows that are walked on their own and merged in pairs. All of this is
 * decided by m, c and the dtype. */
#ifndef FN_COLUMNS_H
#define FN_COLUMNS_H

#include "batchnorm.h"
#include "half.h"
#include "slabs.h"
#include "tree.h"

typedef struct {
    ptrdiff_t m, c;
    ptrdiff_t fold, rows, cols, stride; /* the folded array */
    ptrdiff_t tail;                     /* m - rows * fold, in rows of c */
    ptrdiff_t slabs, slab_rows;
    ptrdiff_t slices, slice_cols; /* tasks are slab x slice */
    ptrdiff_t padded;             /* cols rounded up to a unit */
    ptrdiff_t item_bytes;
    ptrdiff_t samples; /* 1, or more where so many such arrays follow each other: whether they come from memory */
} fn_columns;

/* stride is c, unless the array is a block of columns, too wide to be folded, of a larger one. */
fn_columns fn_columns_plan(ptrdiff_t m, ptrdiff_t c, ptrdiff_t stride, fn_dtype dtype);

/* What is worked with, in one block, which the caller frees. What a block of a wide array needs is on the stack, so that
 * it cannot fail. */
enum { FN_COLUMNS_LOCAL_BYTES = 54 << 10 };

typedef struct {
    char *block; /* NULL: local */
    fn_column_sums sums;
    fn_coefficients k;
    double *spare; /* more arrays */
    fn_waiting_slabs *waiting;
    _Alignas(FN_UNIT_BYTES) char local[FN_COLUMNS_LOCAL_BYTES];
} fn_columns_space;

/* Takes memory for a plan and as many spare arrays of plan->padded doubles; -1 if there is none. */
int fn_columns_take(fn_columns_space *s, const fn_columns *plan, ptrdiff_t spare);

/* The same in memory that is there: so many bytes, which begin on a cache line. */
ptrdiff_t fn_columns_bytes(const fn_columns *plan, ptrdiff_t spare);
void fn_columns_place(fn_columns_space *s, const fn_columns *plan, ptrdiff_t spare, void *memory);

/* Repeats the first c entries of an array over all the columns of the folded array. */
void fn_columns_repeat(void *array, const fn_columns *plan, ptrdiff_t item_bytes);

/* How the rows of arrays lie in memory, where kernels cannot take them as they lie; all 0: they can. */
typedef struct {
    fn_channels_first first;
    const ptrdiff_t *chosen; /* which rows of the arrays are the m rows, in order; or NULL for all */
    fn_storage storage;
} fn_columns_source;

/* A part of the folded array. dy is its first element, or that of what was made of it; its rows are dy_stride elements
 * apart. x likewise, of loaded arrays, where it is a dense tile. */
typedef struct {
    ptrdiff_t row, rows, column, cols;
    const char *dy;
    ptrdiff_t dy_stride;
    const char *x;
} fn_columns_part;

/* What is summed: moments of x about pivot (real); with dy, the sums of the backward about mean. Both have plan->cols
 * entries, mean whole units. */
typedef struct {
    const char *x, *dy, *pivot;
    const double *mean;
    fn_columns_source source; /* of x and dy */
    /* With dy: makes of a part, whose dy becomes that, what is summed for dy: a dense tile, or where it wrote it; or NULL.
     * The tile has room for the part. */
    void (*first)(const void *context, fn_columns_part *part, char *tile);
    /* With dy: what is summed is the gradient of z, as kernels make it of whole rows; or NULL. The tail is left to first. */
    const fn_relu_gradient *relu;
    /* With dy: what is done with each part once it has been summed, while it is in the first-level cache, and with what was
     * summed for dy; or NULL. x and dy of that part may be written then. */
    void (*then)(const void *context, const fn_columns_part *part);
    const void *context;
} fn_columns_data;

/* Whether channels-first memory of m rows and c channels can be cut as their plan says. */
int fn_columns_takes_channels_first(ptrdiff_t m, ptrdiff_t c, fn_dtype dtype);

/* The sums over the c channels, left in the first c entries of scratch, as fn_columns_take gives it;
 * waiting has an entry for each slice. */
void fn_columns_sum(const fn_columns *plan, const fn_batchnorm_kernels *kernels, const fn_columns_data *data,
                    const fn_column_sums *scratch, fn_waiting_slabs *waiting);

#endif
