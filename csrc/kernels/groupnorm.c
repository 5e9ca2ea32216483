#include "../groupnorm.h"
#include "kernels.h"

/* of no dtype */
#include "group_sums.inc"

#define FN_SOURCE "groupnorm.inc"
#include "every_dtype.inc"

#define FN_KERNELS(dtype)                                                                                              \
    {                                                                                                                  \
        .few_forward = groupnorm_few_fwd_##dtype,                                                                      \
        .few_backward = groupnorm_few_bwd_##dtype,                                                                     \
        .to_columns = expand_f64,                                                                                      \
        .merge_moments = groupnorm_merge_moments_##dtype,                                                              \
        .fwd_coefficients = groupnorm_fwd_coefficients_##dtype,                                                        \
        .bwd_coefficients = groupnorm_bwd_coefficients_##dtype,                                                        \
        .gradients = groupnorm_gradients_##dtype,                                                                      \
        .bwd_apply_wide = groupnorm_bwd_apply_wide_##dtype,                                                            \
    }

const fn_groupnorm_kernels FN_TABLE(groupnorm)[FN_DTYPES] = {[FN_FLOAT32] = FN_KERNELS(f32),
                                                             [FN_FLOAT64] = FN_KERNELS(f64)};
