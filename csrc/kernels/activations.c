#include "../activations.h"
#include "kernels.h"

#define FN_SOURCE "activations.inc"
#include "every_dtype.inc"

#define FN_KERNELS(dtype, direction)                                                                                   \
    {                                                                                                                  \
        [FN_RELU] = relu_##direction##_##dtype,                                                                        \
        [FN_LEAKY_RELU] = leaky_relu_##direction##_##dtype,                                                            \
        [FN_SIGMOID] = sigmoid_##direction##_##dtype,                                                                  \
        [FN_TANH] = tanh_##direction##_##dtype,                                                                        \
        [FN_GELU] = gelu_##direction##_##dtype,                                                                        \
        [FN_GELU_TANH] = gelu_tanh_##direction##_##dtype,                                                              \
        [FN_SILU] = silu_##direction##_##dtype,                                                                        \
    }

#define FN_BOTH_WAYS(dtype)                                                                                             \
    {                                                                                                                  \
        .forward = FN_KERNELS(dtype, fwd), .backward = FN_KERNELS(dtype, bwd), .fence = activations_fence_##dtype,     \
    }

const fn_activations_kernels FN_TABLE(activations)[FN_DTYPES] = {
    [FN_FLOAT32] = FN_BOTH_WAYS(f32),
    [FN_FLOAT64] = FN_BOTH_WAYS(f64),
};
