/* LayerNorm: every row of an (m, n) array on its own. */
#ifndef FN_LAYERNORM_H
#define FN_LAYERNORM_H

#include "activations.h"
#include "fastnorm.h"
#include "rows.h"

typedef struct {
    ptrdiff_t m, n;
    const void *x;     /* real (m, n) */
    const void *gamma; /* real (n) or NULL for 1 */
    const void *beta;  /* real (n) or NULL for 0 */
    void *y;           /* real (m, n) */
    double *mean;      /* (m) or NULL */
    double *rstd;      /* (m) or NULL */
    double eps;
    fn_storage storage;         /* drivers: of x and y; kernels take reals only */
    const unsigned char *where; /* drivers: (m), the rows that are taken, or NULL for all */
    fn_activation activation;   /* of y; kernels take a ReLU, and no other into account */
    int stream;                 /* kernels: write y past the cache; drivers decide it themselves */
} fn_layernorm_fwd;

typedef struct {
    ptrdiff_t m, n;
    const void *dy, *x;        /* real (m, n) */
    const double *mean, *rstd; /* (m) */
    const void *gamma;         /* real (n) or NULL for 1 */
    const void *beta;          /* real (n) or NULL for 0; read only where there is an activation */
    void *dx;                  /* real (m, n); may be x or dy, but not with: */
    const void *dsum;          /* real (m, n), added to dx; or NULL */
    void *dgamma;              /* real (n); NULL exactly if gamma is */
    void *dbeta;               /* real (n) */
    fn_storage storage;        /* drivers: of dy, x, dx and dsum, the rest as above */
    const unsigned char *where;
    fn_activation activation;
    int stream;                   /* kernels: write dx past the cache; as above */
    int exact;                    /* kernels: add exact terms up (exact_sums.inc); as above */
    const void *next_dy, *next_x; /* kernels: arrays that are fetched as dy and x are taken; both or NULL */
} fn_layernorm_bwd;

/* Sums over rows of dy * xhat and of dy, column by column: hi + lo is the sum. Arrays of n, with
 * room for a unit that begins at the last. */
typedef struct {
    double *dgamma, *dbeta;
    double *dgamma_lo, *dbeta_lo; /* not touched for float32: its sums are plain ones */
} fn_gradient_sums;

/* The kernels of one ISA and dtype. */
typedef struct {
    /* Rows [begin, end) of y, mean and rstd. */
    void (*forward)(const fn_layernorm_fwd *op, ptrdiff_t begin, ptrdiff_t end);
    /* The same from mean and rstd, which are given: with the bits of the forward call that they come from, but for what
     * float64 rounded from a mean. */
    void (*normalize)(const fn_layernorm_fwd *op, ptrdiff_t begin, ptrdiff_t end);
    /* Likewise dy where y is greater than 0, else 0, instead of y. */
    void (*relu_gradient)(const fn_layernorm_fwd *op, const void *dy, ptrdiff_t begin, ptrdiff_t end);
    /* Rows [begin, end) of dx; their share of dgamma and dbeta is added to sums. begin is a multiple of the group. */
    void (*backward)(const fn_layernorm_bwd *op, ptrdiff_t begin, ptrdiff_t end, const fn_gradient_sums *sums);
} fn_layernorm_kernels;

typedef struct {
    int (*forward)(const fn_layernorm_fwd *op, fn_dtype dtype);
    int (*backward)(const fn_layernorm_bwd *op, fn_dtype dtype);
} fn_layernorm_drivers;

extern const fn_layernorm_drivers fn_layernorm;

/* The drivers for other families, whose hook gives x, or gets dx; NULL for nothing. */
int fn_layernorm_forward(const fn_layernorm_fwd *op, const fn_rows_hook *hook, fn_dtype dtype);
int fn_layernorm_backward(const fn_layernorm_bwd *op, const fn_rows_hook *hook, fn_dtype dtype);

#endif
