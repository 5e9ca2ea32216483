/* A residual added before a normalization: rows are added just before the normalization reads them, and their gradients
 * just after it has written them, so that the sum is in the cache. The bits are those of the steps one after the other.
 *
 * Passes over memory: x and the residual are read, the sum and y written; backward, dy, the sum and dsum are read and the
 * gradient written, and dx where x was dropped out. */
#include "addnorm.h"

#include "dispatch.h"
#include "work.h"

FN_TABLES(addnorm)

typedef struct {
    const fn_addnorm_kernels *kernels;
    const void *add;
    ptrdiff_t n; /* of a row */
} rows;

static void add_rows(const void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const rows *r = arg;
    r->kernels->forward(r->add, begin * r->n, end * r->n);
}

static void add_gradients(const void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const rows *r = arg;
    r->kernels->backward(r->add, begin * r->n, end * r->n);
}

/* What the normalization does not count: two arrays forward, backward dsum and dx. */
static ptrdiff_t more_bytes(ptrdiff_t arrays, ptrdiff_t m, ptrdiff_t n, fn_dtype dtype)
{
    return arrays * m * n * fn_item_bytes(dtype);
}

static int add_layer_norm(const fn_addnorm_fwd *add, const fn_layernorm_fwd *norm, fn_dtype dtype)
{
    const rows r = {addnorm_kernels(dtype), add, norm->n};
    const fn_rows_hook before = {add_rows, &r, more_bytes(2, norm->m, norm->n, dtype)};
    return fn_layernorm_forward(norm, &before, dtype);
}

static int add_rms_norm(const fn_addnorm_fwd *add, const fn_rmsnorm_fwd *norm, fn_dtype dtype)
{
    const rows r = {addnorm_kernels(dtype), add, norm->n};
    const fn_rows_hook before = {add_rows, &r, more_bytes(2, norm->m, norm->n, dtype)};
    return fn_rmsnorm_forward(norm, &before, dtype);
}

static ptrdiff_t gradients_of(const fn_addnorm_bwd *add) { return (add->dsum != NULL) + (add->dx != NULL); }

static int add_layer_norm_backward(const fn_addnorm_bwd *add, const fn_layernorm_bwd *norm, fn_dtype dtype)
{
    const rows r = {addnorm_kernels(dtype), add, norm->n};
    const fn_rows_hook after = {add_gradients, &r, more_bytes(gradients_of(add), norm->m, norm->n, dtype)};
    return fn_layernorm_backward(norm, gradients_of(add) ? &after : NULL, dtype);
}

static int add_rms_norm_backward(const fn_addnorm_bwd *add, const fn_rmsnorm_bwd *norm, fn_dtype dtype)
{
    const rows r = {addnorm_kernels(dtype), add, norm->n};
    const fn_rows_hook after = {add_gradients, &r, more_bytes(gradients_of(add), norm->m, norm->n, dtype)};
    return fn_rmsnorm_backward(norm, gradients_of(add) ? &after : NULL, dtype);
}

const fn_addnorm_drivers fn_addnorm = {add_layer_norm, add_layer_norm_backward, add_rms_norm, add_rms_norm_backward};
