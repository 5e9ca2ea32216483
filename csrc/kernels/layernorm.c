#include "../layernorm.h"
#include "kernels.h"

#define FN_SOURCE "layernorm.inc"
#include "every_dtype.inc"

#define FN_KERNELS(dtype)                                                                                              \
    {                                                                                                                  \
        .forward = layernorm_fwd_##dtype,                                                                              \
        .normalize = layernorm_normalize_##dtype,                                                                      \
        .relu_gradient = layernorm_relu_gradient_##dtype,                                                              \
        .backward = layernorm_bwd_##dtype,                                                                             \
    }

const fn_layernorm_kernels FN_TABLE(layernorm)[FN_DTYPES] = {[FN_FLOAT32] = FN_KERNELS(f32),
                                                             [FN_FLOAT64] = FN_KERNELS(f64)};
