#include "../batchnorm.h"
#include "kernels.h"

#define FN_SOURCE "batchnorm.inc"
#include "every_dtype.inc"

#define FN_KERNELS(dtype)                                                                                              \
    {                                                                                                                  \
        .pivots = batchnorm_pivots_##dtype,                                                                            \
        .moments = batchnorm_moments_##dtype,                                                                          \
        .bwd_sums = batchnorm_bwd_sums_##dtype,                                                                        \
        .column_moments = batchnorm_column_moments_##dtype,                                                            \
        .fwd_coefficients = batchnorm_fwd_coefficients_##dtype,                                                        \
        .inference_coefficients = batchnorm_inference_coefficients_##dtype,                                            \
        .bwd_coefficients = batchnorm_bwd_coefficients_##dtype,                                                        \
        .inference_bwd_coefficients = batchnorm_inference_bwd_coefficients_##dtype,                                    \
        .inference_bwd_gradients = batchnorm_inference_bwd_gradients_##dtype,                                          \
        .apply = batchnorm_apply_##dtype,                                                                              \
        .bwd_apply = batchnorm_bwd_apply_##dtype,                                                                      \
        .apply_stream = batchnorm_apply_stream_##dtype,                                                                \
        .bwd_apply_stream = batchnorm_bwd_apply_stream_##dtype,                                                        \
        .bwd_apply_relu = batchnorm_bwd_apply_relu_##dtype,                                                            \
        .scale = batchnorm_scale_##dtype,                                                                              \
        .scale_stream = batchnorm_scale_stream_##dtype,                                                                \
        .apply_finish = batchnorm_apply_finish_##dtype,                                                                \
        .relu_gradient = batchnorm_relu_gradient_##dtype,                                                              \
        .relu_sums = batchnorm_relu_sums_##dtype,                                                                      \
        .transpose = batchnorm_transpose_##dtype,                                                                      \
        .put_rows = batchnorm_put_rows_##dtype,                                                                        \
        .fence = batchnorm_fence_##dtype,                                                                              \
        .apply_runs = batchnorm_apply_runs_##dtype,                                                                    \
        .bwd_apply_runs = batchnorm_bwd_apply_runs_##dtype,                                                            \
        .apply_wide = batchnorm_apply_wide_##dtype,                                                                    \
        .bwd_apply_wide = batchnorm_bwd_apply_wide_##dtype,                                                            \
        .scale_wide = batchnorm_scale_wide_##dtype,                                                                    \
    }

const fn_batchnorm_kernels FN_TABLE(batchnorm)[FN_DTYPES] = {[FN_FLOAT32] = FN_KERNELS(f32),
                                                             [FN_FLOAT64] = FN_KERNELS(f64)};
