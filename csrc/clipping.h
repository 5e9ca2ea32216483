/* Clipping of gradients, by value and by the norm of all of them: lists of arrays. */
#ifndef FN_CLIPPING_H
#define FN_CLIPPING_H

#include "arrays.h"
#include "fastnorm.h"

typedef struct {
    /* y = min(max(x, low), high); y may be x. */
    void (*clip)(const void *x, void *y, ptrdiff_t n, double low, double high, int stream);
    /* Adds the squares of x[j] * scale to sums[0]. */
    void (*squares)(const void *x, ptrdiff_t n, double scale, fn_lane_sums *sums);
    /* x[j] = x[j] * first * second, in double and then rounded to real. */
    void (*scale)(void *x, ptrdiff_t n, double first, double second);
} fn_clipping_kernels;

typedef struct {
    /* y is clipped x. */
    int (*clip_by_value)(fn_array *arrays, ptrdiff_t count, double low, double high);
    /* The root of the sum of all squares of x. */
    int (*global_norm)(fn_array *arrays, ptrdiff_t count, double *norm);
    /* The same, and then x *= max_norm / norm if the norm is finite and greater than max_norm; y is x. */
    int (*clip_by_global_norm)(fn_array *arrays, ptrdiff_t count, double max_norm, double *norm);
} fn_clipping_drivers;

extern const fn_clipping_drivers fn_clipping;

#endif
