/* The backward of what follows a normalization of columns, a residual or an activation: dz, the gradient of z + residual,
 * made of dy tile by tile: once, where there is a place for it, or wherever it is needed. */
#ifndef FN_COLUMNS_DZ_H
#define FN_COLUMNS_DZ_H

#include "columns_apply.h"

typedef struct {
    fn_columns_result z;
    fn_coefficients k;
    fn_wide_columns wide;
    char *dz; /* or NULL */
    int stream, fetch;
    const fn_columns_loader *loader; /* or NULL */
} fn_columns_gradient;

static inline int fn_follows(const fn_finish *finish) { return finish->residual || finish->activation; }

/* Spare arrays of the plan for it, if there is anything that follows. */
enum { FN_DZ_SPARE = 4 };
static inline ptrdiff_t fn_dz_spare(const fn_finish_bwd *finish) { return fn_follows(&finish->of) ? FN_DZ_SPARE : 0; }

/* z as the forward makes it, from the rstd in z->rstd, which z->running_var = NULL stands for; spare has FN_DZ_SPARE
 * arrays, scratch two. */
void fn_columns_prepare_dz(fn_columns_gradient *g, const fn_batchnorm_inference *z, double *rstd,
                           const fn_finish_bwd *finish, const fn_columns *plan, double *spare, double *scratch);

/* As fn_columns_data has `first`; context is an fn_columns_gradient. */
void fn_columns_make_dz(const void *context, fn_columns_part *part, char *tile);

/* The same for kernels that take whole rows. */
fn_relu_gradient fn_columns_relu_gradient(const fn_columns_gradient *g, const void *dy);

#endif
