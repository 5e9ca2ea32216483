#include "../groupnorm.h"
#include "kernels.h"

#define FN_SOURCE "groupnorm.inc"
#include "every_dtype.inc"

#define FN_KERNELS(dtype)                                                                                              \
    {                                                                                                                  \
        .to_columns = groupnorm_to_columns_##dtype,                                                                    \
        .deviations = groupnorm_deviations_##dtype,                                                                    \
        .means = groupnorm_means_##dtype,                                                                              \
        .merge_sums = groupnorm_merge_sums_##dtype,                                                                    \
        .merge_moments = groupnorm_merge_moments_##dtype,                                                              \
        .fwd_coefficients = groupnorm_fwd_coefficients_##dtype,                                                        \
        .bwd_coefficients = groupnorm_bwd_coefficients_##dtype,                                                        \
        .gradients = groupnorm_gradients_##dtype,                                                                      \
        .bwd_apply_wide = groupnorm_bwd_apply_wide_##dtype,                                                            \
    }

const fn_groupnorm_kernels FN_TABLE(groupnorm)[FN_DTYPES] = {[FN_FLOAT32] = FN_KERNELS(f32),
                                                             [FN_FLOAT64] = FN_KERNELS(f64)};
