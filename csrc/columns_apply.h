/* The second half of what is done with columns: y and dx from their coefficients, tile by tile, over the folded array
 * unless some column is wide. */
#ifndef FN_COLUMNS_APPLY_H
#define FN_COLUMNS_APPLY_H

#include "columns.h"
#include "columns_load.h"

/* What wide columns are made from, by the kernels in double. */
typedef struct {
    const fn_batchnorm_kernels *kernels;
    ptrdiff_t m, c, item_bytes;
    const double *mean, *rstd;
    const void *gamma, *beta;
    const fn_column_sums *sums; /* in a backward */
    const double *factor;       /* in the backward of an inference */
} fn_wide_columns;

/* Column j, perhaps of the folded array, of some rows that lie stride elements apart; dy and x are NULL where there are
 * none. */
void fn_apply_wide(const void *wide, const char *dy, const char *x, char *out, ptrdiff_t rows, ptrdiff_t stride,
                   ptrdiff_t j);

/* Those of the columns that lie so many bytes further on, none of them wide. */
fn_coefficients fn_coefficients_from(const fn_coefficients *k, ptrdiff_t bytes);

/* The place so many bytes further on in an array that may be missing. */
static inline const char *fn_moved(const void *array, ptrdiff_t bytes)
{
    return array ? (const char *)array + bytes : NULL;
}

typedef struct fn_columns_result {
    const fn_batchnorm_kernels *kernels;
    const fn_coefficients *k;
    const char *x, *dy; /* dy is NULL in a forward, */
    char *out;
    int scale;                   /* x in the backward of an inference, where this is set */
    fn_finish finish;            /* what follows, in a forward; */
    struct fn_columns_result *z; /* in a backward, what it follows, where dy is the gradient of what follows; or NULL */
    char *dz;                    /* loaded arrays: where the gradient of z is stored; or NULL */
    const fn_columns_loader *loader; /* of arrays that cannot be taken as they lie; or NULL */
    ptrdiff_t row, column;           /* the first ones, where the arrays are tiles */
    /* One wide column, as fn_apply_wide has it. */
    void (*apply_wide)(const void *wide, const char *dy, const char *x, char *out, ptrdiff_t rows, ptrdiff_t stride,
                       ptrdiff_t j);
    const void *wide;
    /* set by fn_columns_apply */
    ptrdiff_t rows, cols, stride, item_bytes;
    ptrdiff_t tile_rows, tile_cols, tiles_across, tiles;
    int stream, fetch;
} fn_columns_result;

/* Whether an activation takes longer than memory does, which then can be read and written meanwhile. */
static inline int fn_takes_long(fn_activation activation)
{
    return activation != FN_NO_ACTIVATION && activation != FN_RELU && activation != FN_LEAKY_RELU;
}

/* The whole array. The coefficients of its c columns are repeated over those of the folded array, and spent. */
void fn_columns_apply(fn_columns_result *t, const fn_columns *plan);

/* The same result of a part of loaded arrays: of tiles of it, which lie densely; residual is that tile, or NULL. */
fn_columns_result fn_columns_of_tile(const fn_columns_result *t, const fn_columns_part *part, const char *residual,
                                     char *out);

/* A part of it, of the folded array or not, as stride, item_bytes and stream say; rows of dy lie dy_stride elements apart. */
void fn_columns_apply_part(const fn_columns_result *t, const fn_columns_part *part);

/* Fetches what the part below this one will want of an array that lies as out does, or of none. */
void fn_columns_fetch(const fn_columns_result *t, const fn_columns_part *part, const char *array);

fn_dtype fn_columns_dtype(const fn_columns_result *t);

/* z += residual, of n numbers. */
void fn_add_residual(const void *residual, void *z, ptrdiff_t n, fn_dtype dtype);

/* Whether the gradient of z can be made row by row; else rows of it have to be dense. */
int fn_columns_dz_by_rows(const fn_columns_result *z);

/* The gradient of z from dy, that of what follows: rows of part->cols elements, dz_stride elements apart. */
void fn_columns_dz(const fn_columns_result *z, const fn_columns_part *part, char *dz, ptrdiff_t dz_stride);

#endif
