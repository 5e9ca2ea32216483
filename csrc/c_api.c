/* The table of c_api.h: plain arguments become the operations of the families' headers. */
#include "../fastnorm/include/fastnorm/c_api.h"

#include "batchnorm.h"
#include "c_api_table.h"
#include "layernorm.h"
#include "rmsnorm.h"

/* The functions of a dtype: T its type in C, and fn_dtype. */
#define FUNCTIONS(suffix, T, dtype) \
    static int layer_norm_##suffix(ptrdiff_t m, ptrdiff_t n, const T *x, const T *gamma, const T *beta, double \
                                   eps, T *y, double *mean, double *rstd) \
    { \
        const fn_layernorm_fwd op = {.m = m, .n = n, .x = x, .gamma = gamma, .beta = beta, .eps = eps, .y = y, \
                                     .mean = mean, .rstd = rstd}; \
        return fn_layernorm.forward(&op, dtype); \
    } \
    static int layer_norm_backward_##suffix(ptrdiff_t m, ptrdiff_t n, const T *dy, const T *x, const double \
                                            *mean, const double *rstd, const T *gamma, T *dx, T *dgamma, T \
                                            *dbeta) \
    { \
        const fn_layernorm_bwd op = {.m = m, .n = n, .dy = dy, .x = x, .mean = mean, .rstd = rstd, .gamma = \
                                     gamma, .dx = dx, .dgamma = dgamma, .dbeta = dbeta}; \
        return fn_layernorm.backward(&op, dtype); \
    } \
    static int rms_norm_##suffix(ptrdiff_t m, ptrdiff_t n, const T *x, const T *gamma, double eps, T *y, double \
                                 *rstd) \
    { \
        const fn_rmsnorm_fwd op = {.m = m, .n = n, .x = x, .gamma = gamma, .eps = eps, .y = y, .rstd = rstd}; \
        return fn_rmsnorm.forward(&op, dtype); \
    } \
    static int rms_norm_backward_##suffix(ptrdiff_t m, ptrdiff_t n, const T *dy, const T *x, const double *rstd, \
                                          const T *gamma, T *dx, T *dgamma) \
    { \
        const fn_rmsnorm_bwd op = {.m = m, .n = n, .dy = dy, .x = x, .rstd = rstd, .gamma = gamma, .dx = dx, \
                                   .dgamma = dgamma}; \
        return fn_rmsnorm.backward(&op, dtype); \
    } \
    static int batch_norm_##suffix(ptrdiff_t m, ptrdiff_t n, const T *x, const T *gamma, const T *beta, double \
                                   eps, T *y, double *mean, double *rstd) \
    { \
        const fn_batchnorm_fwd op = {.m = m, .c = n, .stride = n, .x = x, .gamma = gamma, .beta = beta, .eps = \
                                     eps, .y = y, .mean = mean, .rstd = rstd}; \
        return fn_batchnorm.forward(&op, dtype); \
    } \
    static int batch_norm_backward_##suffix(ptrdiff_t m, ptrdiff_t n, const T *dy, const T *x, const double \
                                            *mean, const double *rstd, const T *gamma, T *dx, T *dgamma, T \
                                            *dbeta) \
    { \
        const fn_batchnorm_bwd op = {.m = m, .c = n, .stride = n, .dy = dy, .x = x, .mean = mean, .rstd = rstd, \
                                     .gamma = gamma, .dx = dx, .dgamma = dgamma, .dbeta = dbeta}; \
        return fn_batchnorm.backward(&op, dtype); \
    }

FUNCTIONS(f32, float, FN_FLOAT32)
FUNCTIONS(f64, double, FN_FLOAT64)

#define ENTRIES(name) .name##_f32 = name##_f32, .name##_f64 = name##_f64
static const fastnorm_c_api table = {
    .version = FASTNORM_C_API_VERSION,
    .size = sizeof table,
    ENTRIES(layer_norm),
    ENTRIES(layer_norm_backward),
    ENTRIES(rms_norm),
    ENTRIES(rms_norm_backward),
    ENTRIES(batch_norm),
    ENTRIES(batch_norm_backward),
};

const void *fn_c_api_table(void) { return &table; }
