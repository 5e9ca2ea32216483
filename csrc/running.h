#ifndef FN_RUNNING_H
#define FN_RUNNING_H

#include "fastnorm.h"

/* running[j] = (1 - momentum) * running[j] + momentum * batch[j], each rounded once; running is real (c). */
void fn_update_running(void *running, const double *batch, ptrdiff_t c, double momentum, fn_dtype dtype);

#endif
