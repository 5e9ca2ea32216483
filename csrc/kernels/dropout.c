#include "../dropout.h"
#include "kernels.h"
#include "philox.h"

#define FN_SOURCE "dropout.inc"
#include "every_dtype.inc"

#define FN_KERNELS(dtype) {.apply = dropout_apply_##dtype}

const fn_dropout_kernels FN_TABLE(dropout)[FN_DTYPES] = {[FN_FLOAT32] = FN_KERNELS(f32),
                                                         [FN_FLOAT64] = FN_KERNELS(f64)};
