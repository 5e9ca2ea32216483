#include "../addnorm.h"
#include "kernels.h"
#include "philox.h"

#define FN_SOURCE "addnorm.inc"
#include "every_dtype.inc"

#define FN_KERNELS(dtype) {.forward = addnorm_fwd_##dtype, .backward = addnorm_bwd_##dtype}

const fn_addnorm_kernels FN_TABLE(addnorm)[FN_DTYPES] = {[FN_FLOAT32] = FN_KERNELS(f32),
                                                         [FN_FLOAT64] = FN_KERNELS(f64)};
