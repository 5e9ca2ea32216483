/* A residual is added and the sum normalized, in one pass over memory: sum = residual + dropout(x), y = norm(sum). */
#ifndef FN_ADDNORM_H
#define FN_ADDNORM_H

#include "dropout.h"
#include "layernorm.h"
#include "rmsnorm.h"

/* What stands before the normalization. Rows of n elements lie as those of the normalization, whose x is sum. */
typedef struct {
    const void *x, *residual; /* real (m, n) */
    void *sum;                /* real (m, n) */
    void *beside;             /* kernels: where the sum goes too, past the cache; or NULL */
    int dropped;              /* whether x is dropped out; else scale and key are not read */
    double scale;             /* of what is kept, rounded to the dtype by kernels */
    fn_dropout_key key;
} fn_addnorm_fwd;

/* And its backward, of which the normalization's gives the gradient of the sum, which is that of the residual. */
typedef struct {
    const void *dsum; /* kernels: real (m, n), added to dresidual; or NULL */
    void *dresidual;  /* real (m, n): the normalization's dx */
    void *dx;         /* real (m, n): dresidual dropped out; NULL if nothing is */
    double scale;
    fn_dropout_key key;
} fn_addnorm_bwd;

/* The kernels of one ISA and dtype: n elements, of which the first is number `at` of the operation's. */
typedef struct {
    void (*forward)(const fn_addnorm_fwd *op, ptrdiff_t at, ptrdiff_t n);
    void (*backward)(const fn_addnorm_bwd *op, ptrdiff_t at, ptrdiff_t n);
} fn_addnorm_kernels;

typedef struct {
    int (*add_layer_norm)(const fn_addnorm_fwd *add, const fn_layernorm_fwd *norm, fn_dtype dtype);
    int (*add_layer_norm_backward)(const fn_addnorm_bwd *add, const fn_layernorm_bwd *norm, fn_dtype dtype);
    int (*add_rms_norm)(const fn_addnorm_fwd *add, const fn_rmsnorm_fwd *norm, fn_dtype dtype);
    int (*add_rms_norm_backward)(const fn_addnorm_bwd *add, const fn_rmsnorm_bwd *norm, fn_dtype dtype);
} fn_addnorm_drivers;

extern const fn_addnorm_drivers fn_addnorm;

#endif
