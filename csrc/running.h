#ifndef FN_RUNNING_H
#define FN_RUNNING_H

#include "fastnorm.h"

/* running[j] = (1 - momentum) * running[j] + momentum * batch[j], each rounded once; running is real (c). */
void fn_update_running(void *running, const double *batch, ptrdiff_t c, double momentum, fn_dtype dtype);

/* n statistics of float32 as kernels take them. */
void fn_widen_statistics(const float *from, double *to, ptrdiff_t n);

#endif
