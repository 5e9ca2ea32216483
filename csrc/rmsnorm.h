/* RMSNorm: every row of an (m, n) array on its own. */
#ifndef FN_RMSNORM_H
#define FN_RMSNORM_H

#include "fastnorm.h"
#include "rows.h"

typedef struct {
    ptrdiff_t m, n;
    const void *x;     /* real (m, n) */
    const void *gamma; /* real (n) or NULL for a factor of 1 */
    double offset;     /* drivers: the factor is offset + gamma; kernels find it in gamma */
    void *y;           /* real (m, n) */
    double *rstd;      /* (m) or NULL */
    double eps;
    fn_storage storage; /* drivers: of x and y; kernels take reals only */
    int stream;         /* kernels: write y past the cache; drivers decide it themselves */
} fn_rmsnorm_fwd;

typedef struct {
    ptrdiff_t m, n;
    const void *dy, *x; /* real (m, n) */
    const double *rstd; /* (m) */
    const void *gamma;  /* real (n) or NULL for a factor of 1 */
    double offset;      /* as above */
    void *dx;           /* real (m, n); may be x or dy, but not with: */
    const void *dsum;   /* real (m, n), added to dx; or NULL */
    void *dgamma;       /* real (n); NULL exactly if gamma is */
    fn_storage storage; /* drivers: of dy, x, dx and dsum */
    int stream;         /* as above */
} fn_rmsnorm_bwd;

/* The kernels of one ISA and dtype. */
typedef struct {
    /* Rows [begin, end) of y and rstd. */
    void (*forward)(const fn_rmsnorm_fwd *op, ptrdiff_t begin, ptrdiff_t end);
    /* Rows [begin, end) of dx. Their share of dgamma, column by column, is added to hi + lo, arrays of n with room for a
     * register that begins at the last; float32 leaves lo alone. begin is a multiple of FN_EXACT_ROWS. */
    void (*backward)(const fn_rmsnorm_bwd *op, ptrdiff_t begin, ptrdiff_t end, double *hi, double *lo);
} fn_rmsnorm_kernels;

typedef struct {
    int (*forward)(const fn_rmsnorm_fwd *op, fn_dtype dtype);
    int (*backward)(const fn_rmsnorm_bwd *op, fn_dtype dtype);
} fn_rmsnorm_drivers;

extern const fn_rmsnorm_drivers fn_rmsnorm;

/* The drivers for other families, as those of layernorm.h. */
int fn_rmsnorm_forward(const fn_rmsnorm_fwd *op, const fn_rows_hook *hook, fn_dtype dtype);
int fn_rmsnorm_backward(const fn_rmsnorm_bwd *op, const fn_rows_hook *hook, fn_dtype dtype);

#endif
