#include <float.h>

#include "../penalties.h"
#include "kernels.h"

#define FN_SOURCE "penalties.inc"
#include "every_dtype.inc"

#define FN_KERNELS(dtype) \
    {.penalize = penalties_penalize_##dtype, .penalize_again = penalties_penalize_again_##dtype, \
     .soft_threshold = penalties_soft_threshold_##dtype}

const fn_penalties_kernels FN_TABLE(penalties)[FN_DTYPES] = {[FN_FLOAT32] = FN_KERNELS(f32),
                                                             [FN_FLOAT64] = FN_KERNELS(f64)};
