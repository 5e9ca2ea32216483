/* Activations: every number of an array on its own. The formulas are in kernels/activations_math.inc. */
#ifndef FN_ACTIVATIONS_H
#define FN_ACTIVATIONS_H

#include "fastnorm.h"
#include "half.h"

typedef enum {
    FN_NO_ACTIVATION, /* beside a normalization, where none is asked for */
    FN_RELU,
    FN_LEAKY_RELU,
    FN_SIGMOID,
    FN_TANH,
    FN_GELU,
    FN_GELU_TANH,
    FN_SILU,
    FN_ACTIVATIONS
} fn_activation;

typedef struct {
    ptrdiff_t n;
    const void *x;      /* real (n) */
    void *y;            /* real (n) */
    double slope;       /* of the leaky ReLU, a number of the dtype */
    int stream;         /* kernels: write past the cache; drivers decide it themselves */
    const void *next;   /* kernels: as many numbers are fetched from there meanwhile; or NULL */
    fn_storage storage; /* drivers: of x and y */
} fn_activations_fwd;

/* kept is x for GELU and SiLU, y for all others. */
typedef struct {
    ptrdiff_t n;
    const void *dy, *kept; /* real (n) */
    void *dx;              /* real (n); may be dy or kept */
    double slope;
    int stream;
    fn_storage storage;
} fn_activations_bwd;

/* The kernels of one ISA and dtype: numbers [begin, end), by fn_activation. */
typedef struct {
    void (*forward[FN_ACTIVATIONS])(const fn_activations_fwd *op, ptrdiff_t begin, ptrdiff_t end);
    void (*backward[FN_ACTIVATIONS])(const fn_activations_bwd *op, ptrdiff_t begin, ptrdiff_t end);
    /* What was written past the cache may be read by other threads: not after every piece, since it waits for memory. */
    void (*fence)(void);
} fn_activations_kernels;

typedef struct {
    int (*forward)(fn_activation which, const fn_activations_fwd *op, fn_dtype dtype);
    int (*backward)(fn_activation which, const fn_activations_bwd *op, fn_dtype dtype);
} fn_activations_drivers;

extern const fn_activations_drivers fn_activations;

/* For the drivers of other families, whose numbers are in the cache: on the calling thread, in its environment. z becomes
 * y; backward z becomes y or stays, and dz may be dy. The leaky ReLU has slope 0.01 there. `next`, not NULL, is what they
 * will read then, which is fetched number by number: all at once it would be waited for. */
void fn_activate_to(fn_activation which, const void *z, void *y, ptrdiff_t n, int stream, const void *next,
                    fn_dtype dtype); /* which is one; whoever streams fences */
void fn_activate_fence(fn_dtype dtype);
void fn_activate(fn_activation which, void *z, ptrdiff_t n, fn_dtype dtype);
void fn_activate_backward(fn_activation which, const void *dy, void *z, void *dz, ptrdiff_t n, fn_dtype dtype);

#endif
