#include "../clipping.h"
#include "kernels.h"

#define FN_SOURCE "clipping.inc"
#include "every_dtype.inc"

#define FN_KERNELS(dtype) \
    {.clip = clipping_clip_##dtype, .squares = clipping_squares_##dtype, .scale = clipping_scale_##dtype}

const fn_clipping_kernels FN_TABLE(clipping)[FN_DTYPES] = {[FN_FLOAT32] = FN_KERNELS(f32),
                                                           [FN_FLOAT64] = FN_KERNELS(f64)};
