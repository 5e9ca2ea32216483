/* Penalties on weights: the sum of their sizes (L1), of their squares (L2), both (elastic net), and the proximal step
 * of the first. The weights are a list of arrays. */
#ifndef FN_PENALTIES_H
#define FN_PENALTIES_H

#include "arrays.h"
#include "fastnorm.h"

enum { FN_PENALTY_L1 = 1, FN_PENALTY_L2 = 2 };

typedef struct {
    int kinds;     /* FN_PENALTY_L1, FN_PENALTY_L2 or both */
    double l1, l2; /* strengths */
} fn_penalty;

typedef struct {
    /* n elements of w: adds their sizes to sums[0] and their squares to sums[1], or what is wanted of them to sums[0];
     * and grad[j] += l1 * sign(w[j]) + l2 * w[j] unless grad is NULL. n is at most a part. */
    void (*penalize)(const void *w, void *grad, ptrdiff_t n, const fn_penalty *op, fn_lane_sums *sums);
    /* The sums alone, of w[j] * scale. */
    void (*penalize_again)(const void *w, ptrdiff_t n, int kinds, double scale, fn_lane_sums *sums);
    /* y = sign(w) * max(|w| - step, 0); y may be w. */
    void (*soft_threshold)(const void *w, void *y, ptrdiff_t n, double step, int stream);
} fn_penalties_kernels;

/* Of every array x is w, and y its gradient, which is updated, or NULL; of soft_threshold y is the result. */
typedef struct {
    int (*penalty)(fn_array *arrays, ptrdiff_t count, const fn_penalty *op, double *value);
    int (*soft_threshold)(fn_array *arrays, ptrdiff_t count, double step);
} fn_penalties_drivers;

extern const fn_penalties_drivers fn_penalties;

#endif
