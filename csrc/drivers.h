/* The drivers: whole operations, cut into ranges of rows and columns that kernels work on.
 *
 * How an operation is cut depends on its shape alone, never on the number of threads: that is what makes its bits the
 * same for every number. Each returns 0, or -1 if scratch memory cannot be had, and then nothing has been written.
 * Every driver runs in the default floating-point environment and gives the caller's back.
 */
#ifndef FN_DRIVERS_H
#define FN_DRIVERS_H

#include "fastnorm.h"

int fn_layer_norm(const fn_layernorm_fwd *op, fn_dtype dtype);
int fn_layer_norm_backward(const fn_layernorm_bwd *op, fn_dtype dtype);

int fn_batch_norm(const fn_batchnorm_fwd *op, fn_dtype dtype);
int fn_batch_norm_inference(const fn_batchnorm_inference *op, fn_dtype dtype);
int fn_batch_norm_backward(const fn_batchnorm_bwd *op, fn_dtype dtype);

/* running[j] = (1 - momentum) * running[j] + momentum * batch[j], each rounded once; running is real (c). */
void fn_update_running(void *running, const double *batch, ptrdiff_t c, double momentum, fn_dtype dtype);

#endif
