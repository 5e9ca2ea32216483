/* GroupNorm: every group of columns of every sample on its own; with groups of one column, InstanceNorm.
 *
 * Arrays are (m, p, c): m samples of p rows (positions) and c columns (channels), of which c / groups that follow each other
 * are a group; in channels-first memory, where first.run is p, they are (m, c, p). Statistics are (m, groups). A sample of
 * many rows is a BatchNorm problem of which the columns of a group share their statistics: its sums and its apply are those
 * of batchnorm.h. Samples of few rows have kernels of their own. */
#ifndef FN_GROUPNORM_H
#define FN_GROUPNORM_H

#include "batchnorm.h"

typedef struct {
    ptrdiff_t m, p, c, groups; /* groups > 0 divides c */
    const void *x;             /* real (m, p, c) */
    const void *gamma;         /* real (c) or NULL for 1 */
    const void *beta;          /* real (c) or NULL for 0 */
    void *y;                   /* real (m, p, c) */
    double *mean, *rstd;       /* (m, groups); both or neither NULL */
    double eps;
    fn_channels_first first; /* drivers */
    fn_storage storage;      /* drivers: of x and y; kernels take reals only */
    int stream;              /* kernels: whether y goes past the cache; y is not x then */
    int fetch;               /* kernels: whether x comes from memory */
} fn_groupnorm_fwd;

typedef struct {
    ptrdiff_t m, p, c, groups;
    const void *dy, *x;        /* real (m, p, c) */
    const double *mean, *rstd; /* (m, groups) */
    const void *gamma;         /* real (c) or NULL for 1 */
    void *dx;                  /* real (m, p, c); may be x or dy */
    void *dgamma;              /* real (c); NULL exactly if gamma is */
    void *dbeta;               /* real (c) */
    fn_channels_first first;   /* drivers */
    fn_storage storage;        /* drivers: of dy, x and dx */
    int stream, fetch;         /* kernels: as above */
} fn_groupnorm_bwd;

/* The sums of the groups of a sample: of deviations from mean, or center + rest once they are finished. */
typedef struct {
    double *mean, *rest, *s1, *s2, *rstd; /* (groups) */
} fn_group_sums;

/* One wide column of the backward, in double: dx = (dy * scale - (x - mean) * slope) - offset. */
typedef struct {
    double mean, scale, slope, offset;
} fn_wide_group_bwd;

/* The kernels of one ISA and dtype. x, mean and rstd of operations are looked at only by those of few rows, which are also
 * the only ones that take NULL for gamma and beta. */
typedef struct {
    /* Samples [begin, end) of fewer than FN_SAMPLE_ROWS rows. What the backward sums for dgamma and dbeta is added to a and
     * to b, arrays of c doubles and a unit more. */
    void (*few_forward)(const fn_groupnorm_fwd *op, ptrdiff_t begin, ptrdiff_t end);
    void (*few_backward)(const fn_groupnorm_bwd *op, ptrdiff_t begin, ptrdiff_t end, const fn_column_sums *sums);
    /* Each of the numbers k times. */
    void (*to_columns)(const double *of_groups, ptrdiff_t groups, ptrdiff_t k, double *of_columns);
    /* The sums of each group, and a mean that they are about, from the moments of its columns: means are
     * center + sums->a_lo, m2 is sums->b_lo. */
    void (*merge_moments)(const fn_groupnorm_fwd *op, const fn_column_sums *sums, const void *center,
                          const fn_group_sums *out);
    /* Statistics from the sums of groups, which become center, rest and rstd; the coefficients of all columns. spare are the
     * sums, which are spent. */
    void (*fwd_coefficients)(const fn_groupnorm_fwd *op, const fn_group_sums *groups, double *mean, double *rstd,
                             const fn_column_sums *spare, fn_coefficients *out);
    /* Coefficients of dx from the sums of columns, about the means of groups, whose products with rstd are added to
     * total->a and their sums of dy to total->b. groups->s1 and s2 become slope and offset unrounded. mean_of and rstd_of
     * are those of columns. */
    void (*bwd_coefficients)(const fn_groupnorm_bwd *op, const double *rstd, const double *mean_of,
                             const double *rstd_of, const fn_column_sums *sums, const fn_group_sums *groups,
                             const fn_column_sums *total, fn_coefficients *out);
    /* op->dgamma and op->dbeta from the totals. */
    void (*gradients)(const fn_groupnorm_bwd *op, const fn_column_sums *total);
    void (*bwd_apply_wide)(const void *dy, const void *x, void *dx, ptrdiff_t rows, ptrdiff_t stride,
                           const fn_wide_group_bwd *k);
} fn_groupnorm_kernels;

typedef struct {
    /* Whether the drivers below take channels-first memory of p positions and c channels. */
    int (*takes_channels_first)(ptrdiff_t p, ptrdiff_t c, fn_dtype dtype);
    int (*forward)(const fn_groupnorm_fwd *op, fn_dtype dtype);
    int (*backward)(const fn_groupnorm_bwd *op, fn_dtype dtype);
} fn_groupnorm_drivers;

extern const fn_groupnorm_drivers fn_groupnorm;

#endif
