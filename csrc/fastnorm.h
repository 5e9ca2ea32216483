/* The C contract of fastnorm: what each kernel and each driver computes, on which shapes, and what may alias what.
 *
 * Words: m rows; n normalized length of a row (LayerNorm); c channels (BatchNorm); x input, y output; dy, dx, dgamma,
 * dbeta gradients; mean and rstd = 1/sqrt(var + eps) statistics, always double; m2 the sum of squared deviations.
 * "real" is the dtype of the arrays: float or double. Arrays are C-contiguous and aligned to their element.
 *
 * Every output that has the shape of an input may be that very input (in place). No other overlap is allowed.
 */
#ifndef FN_FASTNORM_H
#define FN_FASTNORM_H

#include <stddef.h>
#include <stdint.h>

static inline ptrdiff_t fn_min(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static inline ptrdiff_t fn_max(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

typedef enum { FN_FLOAT32 = 0, FN_FLOAT64 = 1, FN_DTYPES = 2 } fn_dtype;

/* ---- LayerNorm: every row of an (m, n) array on its own ---------------------------------------------------------- */

typedef struct {
    ptrdiff_t m, n;
    const void *x;     /* real (m, n) */
    const void *gamma; /* real (n) or NULL for 1 */
    const void *beta;  /* real (n) or NULL for 0 */
    void *y;           /* real (m, n) */
    double *mean;      /* (m) or NULL */
    double *rstd;      /* (m) or NULL */
    double eps;
    int stream, fetch; /* kernels: write y past the cache, fetch x ahead; drivers decide it themselves */
} fn_layernorm_fwd;

typedef struct {
    ptrdiff_t m, n;
    const void *dy, *x;       /* real (m, n) */
    const double *mean, *rstd; /* (m) */
    const void *gamma;        /* real (n) or NULL for 1 */
    void *dx;                 /* real (m, n); may be x or dy */
    void *dgamma;             /* real (n); NULL exactly if gamma is */
    void *dbeta;              /* real (n) */
    int stream;               /* kernels: write dx past the cache; as above */
} fn_layernorm_bwd;

/* Sums over rows of dy * xhat and of dy, column by column: hi + lo is the sum. Arrays of n, with
 * room for a unit that begins at the last. */
typedef struct {
    double *dgamma, *dbeta;
    double *dgamma_lo, *dbeta_lo; /* read, not written, for float32: its sums are plain ones */
} fn_gradient_sums;

/* ---- BatchNorm: every column of an (m, c) array on its own -------------------------------------------------------
 *
 * Rows lie stride >= c elements apart, in every (m, c) array alike, so that an operation may be a block of columns. */

typedef struct {
    ptrdiff_t m, c, stride;
    const void *x;     /* real (m, c) */
    const void *gamma; /* real (c) or NULL for 1 */
    const void *beta;  /* real (c) or NULL for 0 */
    void *y;           /* real (m, c) */
    double *mean;      /* (c); drivers take NULL, kernels do not */
    double *rstd;      /* (c); likewise */
    double *m2;        /* (c) or NULL */
    double eps;
} fn_batchnorm_fwd;

typedef struct {
    ptrdiff_t m, c, stride;
    const void *x;                            /* real (m, c) */
    const double *running_mean, *running_var; /* (c) */
    const void *gamma, *beta;                 /* real (c) or NULL */
    void *y;                                  /* real (m, c) */
    double eps;
} fn_batchnorm_inference;

typedef struct {
    ptrdiff_t m, c, stride;
    const void *dy, *x;        /* real (m, c) */
    const double *mean, *rstd; /* (c) */
    const void *gamma;         /* real (c) or NULL for 1 */
    void *dx;                  /* real (m, c); may be x or dy */
    void *dgamma;              /* real (c); NULL exactly if gamma is */
    void *dbeta;               /* real (c) */
} fn_batchnorm_bwd;

/* Two sums for each column, each of them hi + lo. lo is what float64 sums lack; float32 sums leave it alone. Arrays of
 * the number of columns rounded up to a unit. */
typedef struct {
    double *a, *a_lo, *b, *b_lo;
} fn_column_sums;

/* What the apply kernels need of a column:
 *   forward   y  = (x - center) * scale + offset
 *   backward  dx = (dy * scale - (x - center) * slope) - offset
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

/* ---- The table of kernels: one per ISA and dtype ------------------------------------------------------------------ */

typedef struct {
    /* Rows [begin, end) of y, mean and rstd. */
    void (*layernorm_fwd)(const fn_layernorm_fwd *op, ptrdiff_t begin, ptrdiff_t end);
    /* Rows [begin, end) of dx; their share of dgamma and dbeta is added to sums. begin is a multiple of the group. */
    void (*layernorm_bwd)(const fn_layernorm_bwd *op, ptrdiff_t begin, ptrdiff_t end, const fn_gradient_sums *sums);

    /* The pivots (real) of cols columns of m >= 1 rows that lie stride elements apart. */
    void (*batchnorm_pivots)(const void *x, ptrdiff_t m, ptrdiff_t stride, ptrdiff_t cols, void *pivot);
    /* Sums of x - pivot and of its square over rows [0, rows) of at most FN_SLICE_COLUMNS columns. fetch: x comes from
     * memory. */
    void (*batchnorm_moments)(const void *x, ptrdiff_t rows, ptrdiff_t stride, ptrdiff_t cols, const void *pivot,
                              int fetch, const fn_column_sums *out);
    /* The same for the backward: sums of dy * (x - mean) and of dy. mean holds whole units. */
    void (*batchnorm_bwd_sums)(const void *dy, const void *x, ptrdiff_t rows, ptrdiff_t stride, ptrdiff_t cols,
                               const double *mean, int fetch, const fn_column_sums *out);
    /* Coefficients of all c columns from their sums over m rows, which are spent; out->center holds the pivots. op->mean,
     * op->rstd and op->m2 are written. */
    void (*batchnorm_fwd_coefficients)(const fn_batchnorm_fwd *op, const fn_column_sums *sums, fn_coefficients *out);
    /* rstd (c) is written, spare (2, c) is scratch. */
    void (*batchnorm_inference_coefficients)(const fn_batchnorm_inference *op, double *rstd, double *spare,
                                             fn_coefficients *out);
    /* op->dgamma and op->dbeta are written. On return sums->a is the whole of dy * (x - mean), sums->b of dy; the lo parts
     * are spent. */
    void (*batchnorm_bwd_coefficients)(const fn_batchnorm_bwd *op, const fn_column_sums *sums, fn_coefficients *out);
    /* Rows [0, rows) of cols columns, stride elements apart in every array. Coefficients are indexed by column. */
    void (*batchnorm_apply)(const void *x, void *y, ptrdiff_t rows, ptrdiff_t stride, ptrdiff_t cols,
                            const fn_coefficients *k);
    void (*batchnorm_bwd_apply)(const void *dy, const void *x, void *dx, ptrdiff_t rows, ptrdiff_t stride,
                                ptrdiff_t cols, const fn_coefficients *k);
    /* The same, writing past the cache. */
    void (*batchnorm_apply_stream)(const void *x, void *y, ptrdiff_t rows, ptrdiff_t stride, ptrdiff_t cols,
                                   const fn_coefficients *k);
    void (*batchnorm_bwd_apply_stream)(const void *dy, const void *x, void *dx, ptrdiff_t rows, ptrdiff_t stride,
                                       ptrdiff_t cols, const fn_coefficients *k);
    /* One column in double, for the numbers that float32 cannot hold: y = (x - mean) * rstd * gamma + beta. */
    void (*batchnorm_apply_wide)(const void *x, void *y, ptrdiff_t rows, ptrdiff_t stride, double mean, double rstd,
                                 double gamma, double beta);
    void (*batchnorm_bwd_apply_wide)(const void *dy, const void *x, void *dx, ptrdiff_t rows, ptrdiff_t stride,
                                     const fn_wide_bwd *k);
} fn_kernels;

typedef struct {
    const char *name; /* "baseline", "avx2", "avx512", "neon" */
    fn_kernels dtypes[FN_DTYPES];
} fn_isa;

#endif
