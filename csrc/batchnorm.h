/* BatchNorm: every column of an (m, c) array on its own.
 *
 * Rows lie stride >= c elements apart, in every (m, c) array alike, so that an operation may be a block of columns. */
#ifndef FN_BATCHNORM_H
#define FN_BATCHNORM_H

#include "activations.h"
#include "fastnorm.h"
#include "half.h"

/* Where the m rows of arrays lie. run = 0: channels last, as (m, c). Else x, dy and the residual are channels-first memory,
 * C-contiguous (m / run, c, run), of which row i has the elements (i / run, :, i % run); y (or dx) is likewise where
 * result_too is set. Results have the bits of channels-last arrays. */
typedef struct {
    ptrdiff_t run;
    int result_too;
} fn_channels_first;

/* What follows the normalization in the same pass: y = activation(z + residual), where z is what there would be without. */
typedef struct {
    const void *residual; /* real (m, c) or NULL */
    fn_activation activation;
} fn_finish;

typedef struct {
    ptrdiff_t m, c, stride;
    const void *x;     /* real (m, c) */
    const void *gamma; /* real (c) or NULL for 1 */
    const void *beta;  /* real (c) or NULL for 0 */
    void *y;           /* real (m, c); may be finish.residual, too */
    double *mean;      /* (c); drivers take NULL, kernels do not */
    double *rstd;      /* (c); likewise */
    double *m2;        /* (c) or NULL */
    double eps;
    fn_channels_first first;
    fn_finish finish;
    fn_storage storage;         /* drivers: of x and y, and of the residual; kernels take reals only */
    const unsigned char *where; /* drivers: (m) or NULL: rows where this is 0 take no part, and their results are 0 */
    /* kernels: element j of row i, where x cannot be taken as it lies; or NULL */
    double (*value)(const void *loader, const void *x, ptrdiff_t i, ptrdiff_t j);
    const void *loader;
} fn_batchnorm_fwd;

typedef struct {
    ptrdiff_t m, c, stride;
    const void *x;                            /* real (m, c) */
    const double *running_mean, *running_var; /* (c) */
    const void *gamma, *beta;                 /* real (c) or NULL */
    void *y;                                  /* real (m, c); may be finish.residual, too */
    double eps;
    fn_channels_first first;
    fn_finish finish;
    fn_storage storage; /* as above */
} fn_batchnorm_inference;

/* The gradient of what follows: dy is that of y, and z is made again from what it was made from, with beta. */
typedef struct {
    fn_finish of;
    const void *beta; /* real (c) or NULL */
    void *dresidual;  /* real (m, c), the gradient of z; NULL exactly if of.residual is */
} fn_finish_bwd;

typedef struct {
    ptrdiff_t m, c, stride;
    const void *dy, *x;        /* real (m, c) */
    const double *mean, *rstd; /* (c) */
    const void *gamma;         /* real (c) or NULL for 1 */
    void *dx;                  /* real (m, c); may be x or dy */
    void *dgamma;              /* real (c); NULL exactly if gamma is */
    void *dbeta;               /* real (c) */
    fn_channels_first first;
    fn_finish_bwd finish;
    fn_storage storage; /* drivers: of dy, x and dx, and of residuals; gamma, beta and their gradients are real */
    const unsigned char *where; /* drivers: as above */
} fn_batchnorm_bwd;

/* The backward of an inference: statistics do not depend on x. */
typedef struct {
    ptrdiff_t m, c, stride;
    const void *dy, *x;                       /* real (m, c); x is not read if gamma is NULL and nothing follows */
    const double *running_mean, *running_var; /* (c) */
    const void *gamma;                        /* real (c) or NULL for 1 */
    void *dx;                                 /* real (m, c); may be x or dy */
    void *dgamma;                             /* real (c); NULL exactly if gamma is */
    void *dbeta;                              /* real (c) */
    double eps;
    fn_channels_first first;
    fn_finish_bwd finish;
    fn_storage storage; /* as above */
} fn_batchnorm_inference_bwd;

/* Two sums for each column, each of them hi + lo. lo is what float64 sums lack; float32 sums leave it alone. Arrays of
 * the number of columns rounded up to a unit. */
typedef struct {
    double *a, *a_lo, *b, *b_lo;
} fn_column_sums;

/* What the apply kernels need of a column:
 *   forward   y  = (x - center) * scale + offset
 *   backward  dx = (dy * scale - (x - center) * slope) - offset
 *   backward of an inference  dx = dy * scale
 * wide[j] is set where that would overflow or underflow in float32; such columns are left to the wide kernels. wide is
 * written only where wide_count is not 0. */
typedef struct {
    void *center, *scale, *offset, *slope; /* real; slope in the backward only */
    unsigned char *wide;
    ptrdiff_t wide_count;
} fn_coefficients;

/* One wide column of the backward: dx = scale * ((dy - mean_dy) - xhat * mean_dy_xhat). */
typedef struct {
    double mean, rstd, scale, mean_dy, mean_dy_xhat;
} fn_wide_bwd;

/* The gradient of z in a backward behind relu(z + residual): dz = dy where z + residual > 0, else 0. Rows of all arrays lie
 * stride elements apart. */
typedef struct {
    const void *dy, *x, *residual; /* real; residual may be NULL */
    const fn_coefficients *z;
    void *dz; /* where it is written; or NULL */
    ptrdiff_t rows, stride, cols;
    int fetch, stream; /* arrays come from memory, dz is written past the cache */
} fn_relu_gradient;

/* The kernels of one ISA and dtype. */
typedef struct {
    /* The pivots (real) of cols columns of m >= 1 rows that lie stride elements apart. */
    void (*pivots)(const void *x, ptrdiff_t m, ptrdiff_t stride, ptrdiff_t cols, void *pivot);
    /* Sums of x - pivot and of its square over rows [0, rows) of at most FN_SLICE_COLUMNS columns, added to what is in out,
     * which holds whole units. All rows but the last call's are whole groups. fetch: x comes from memory. */
    void (*moments)(const void *x, ptrdiff_t rows, ptrdiff_t stride, ptrdiff_t cols, const void *pivot, int fetch,
                    const fn_column_sums *out);
    /* The same for the backward: sums of dy * (x - mean) and of dy, rows of which lie dy_stride apart. mean holds whole
     * units. dy_from: x comes from memory and dy from there, where it lies as x does; or NULL. */
    void (*bwd_sums)(const void *dy, ptrdiff_t dy_stride, const void *x, ptrdiff_t rows, ptrdiff_t stride,
                     ptrdiff_t cols, const double *mean, const void *dy_from, const fn_column_sums *out);
    /* Moments of all c columns from their sums over op->m rows, in place: center holds the pivots and becomes the means, sums->a_lo
     * what they lack, sums->b_lo m2; the rest is spent. */
    void (*column_moments)(const fn_batchnorm_fwd *op, const fn_column_sums *sums, void *center);
    /* Coefficients of all c columns from their sums over m rows, which are spent; out->center holds the pivots. op->mean,
     * op->rstd and op->m2 are written. */
    void (*fwd_coefficients)(const fn_batchnorm_fwd *op, const fn_column_sums *sums, fn_coefficients *out);
    /* rstd (c) is written, or read if op->running_var is NULL; spare (2, c) is scratch. */
    void (*inference_coefficients)(const fn_batchnorm_inference *op, double *rstd, double *spare, fn_coefficients *out);
    /* op->dgamma and op->dbeta are written. On return sums->a is the whole of dy * (x - mean), sums->b of dy; the lo parts
     * are spent. */
    void (*bwd_coefficients)(const fn_batchnorm_bwd *op, const fn_column_sums *sums, fn_coefficients *out);
    /* rstd (c), factor (c), which is the scale unrounded, and the scale are written. */
    void (*inference_bwd_coefficients)(const fn_batchnorm_inference_bwd *op, double *rstd, double *factor,
                                       fn_coefficients *out);
    /* op->dgamma and op->dbeta from the sums, which are spent. */
    void (*inference_bwd_gradients)(const fn_batchnorm_inference_bwd *op, const double *rstd,
                                    const fn_column_sums *sums);
    /* Rows [0, rows) of cols columns, stride elements apart in every array. Coefficients are indexed by column. */
    void (*apply)(const void *x, void *y, ptrdiff_t rows, ptrdiff_t stride, ptrdiff_t cols, const fn_coefficients *k);
    void (*bwd_apply)(const void *dy, const void *x, void *dx, ptrdiff_t rows, ptrdiff_t stride, ptrdiff_t cols,
                      const fn_coefficients *k);
    /* The same, writing past the cache. */
    void (*apply_stream)(const void *x, void *y, ptrdiff_t rows, ptrdiff_t stride, ptrdiff_t cols,
                         const fn_coefficients *k);
    void (*bwd_apply_stream)(const void *dy, const void *x, void *dx, ptrdiff_t rows, ptrdiff_t stride, ptrdiff_t cols,
                             const fn_coefficients *k);
    /* dx where dy is the gradient of relu(z): that of z takes its place. */
    void (*bwd_apply_relu)(const void *dy, const void *x, void *dx, ptrdiff_t rows, ptrdiff_t stride, ptrdiff_t cols,
                           const fn_coefficients *k, const fn_coefficients *z, int stream);
    /* dx = dy * scale, likewise. */
    void (*scale)(const void *dy, void *dx, ptrdiff_t rows, ptrdiff_t stride, ptrdiff_t cols, const fn_coefficients *k);
    void (*scale_stream)(const void *dy, void *dx, ptrdiff_t rows, ptrdiff_t stride, ptrdiff_t cols,
                         const fn_coefficients *k);
    /* The same and what follows, where that is a ReLU, a residual or both: y may be x or the residual. */
    void (*apply_finish)(const void *x, const void *residual, void *y, ptrdiff_t rows, ptrdiff_t stride, ptrdiff_t cols,
                         const fn_coefficients *k, int relu, int stream);
    /* dz = dy where z + residual > 0, else 0; rows of dy and dz lie dy_stride and dz_stride apart. */
    void (*relu_gradient)(const void *dy, ptrdiff_t dy_stride, const void *x, const void *residual, ptrdiff_t stride,
                          void *dz, ptrdiff_t dz_stride, ptrdiff_t rows, ptrdiff_t cols, const fn_coefficients *k);
    /* The sums of the backward, as bwd_sums has them, of such a gradient. */
    void (*relu_sums)(const fn_relu_gradient *g, const double *mean, const fn_column_sums *out);
    /* Between channels-first memory and channels-last tiles: to[j * to_stride + i] = from[i * from_stride + j]. As many
     * elements that lie `ahead` of these are fetched, unless that is 0. */
    void (*transpose)(const void *from, ptrdiff_t from_stride, void *to, ptrdiff_t to_stride, ptrdiff_t rows,
                      ptrdiff_t cols, ptrdiff_t ahead);
    /* A tile of whole rows of `width` elements to rows that lie stride elements apart. Once some have been written past the
     * cache, fence() has to be called before other threads may read them: not of every tile, since it waits for memory. */
    void (*put_rows)(const void *tile, void *y, ptrdiff_t rows, ptrdiff_t width, ptrdiff_t stride, int stream);
    void (*fence)(void);
    /* Runs that follow each other; coefficients are indexed by run. residual may be NULL, or y. */
    void (*apply_runs)(const void *x, const void *residual, void *y, ptrdiff_t runs, ptrdiff_t length,
                       const fn_coefficients *k, int relu, int stream);
    void (*bwd_apply_runs)(const void *dy, const void *x, void *dx, ptrdiff_t runs, ptrdiff_t length,
                           const fn_coefficients *k, int stream);
    /* One column in double, for the numbers that float32 cannot hold: y = (x - mean) * rstd * gamma + beta. */
    void (*apply_wide)(const void *x, void *y, ptrdiff_t rows, ptrdiff_t stride, double mean, double rstd, double gamma,
                       double beta);
    void (*bwd_apply_wide)(const void *dy, const void *x, void *dx, ptrdiff_t rows, ptrdiff_t stride,
                           const fn_wide_bwd *k);
    void (*scale_wide)(const void *dy, void *dx, ptrdiff_t rows, ptrdiff_t stride, double factor);
} fn_batchnorm_kernels;

typedef struct {
    /* Whether the drivers below take channels-first memory of m rows and c channels. */
    int (*takes_channels_first)(ptrdiff_t m, ptrdiff_t c, fn_dtype dtype);
    int (*forward)(const fn_batchnorm_fwd *op, fn_dtype dtype);
    int (*inference)(const fn_batchnorm_inference *op, fn_dtype dtype);
    int (*backward)(const fn_batchnorm_bwd *op, fn_dtype dtype);
    int (*inference_backward)(const fn_batchnorm_inference_bwd *op, fn_dtype dtype);
    /* running[j] = (1 - momentum) * running[j] + momentum * batch[j], each rounded once; running is real (c). */
    void (*update_running)(void *running, const double *batch, ptrdiff_t c, double momentum, fn_dtype dtype);
} fn_batchnorm_drivers;

extern const fn_batchnorm_drivers fn_batchnorm;

#endif
