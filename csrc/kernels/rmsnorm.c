#include "../rmsnorm.h"
#include "kernels.h"

#define FN_SOURCE "rmsnorm.inc"
#include "every_dtype.inc"

#define FN_KERNELS(dtype) {.forward = rmsnorm_fwd_##dtype, .backward = rmsnorm_bwd_##dtype}

const fn_rmsnorm_kernels FN_TABLE(rmsnorm)[FN_DTYPES] = {[FN_FLOAT32] = FN_KERNELS(f32),
                                                         [FN_FLOAT64] = FN_KERNELS(f64)};
