# fastnorm for Cython: `from fastnorm.c_api cimport fastnorm_c_api, fastnorm_import`, with get_include() among the
# include_dirs. What each function computes is said in include/fastnorm/c_api.h.


cdef extern from "fastnorm/c_api.h" nogil:
    enum:
        FASTNORM_C_API_VERSION

    ctypedef struct fastnorm_c_api:
        size_t version
        size_t size
        int (*layer_norm_f32)(Py_ssize_t m, Py_ssize_t n, const float *x, const float *gamma, const float *beta,
                              double eps, float *y, double *mean, double *rstd) noexcept nogil
        int (*layer_norm_f64)(Py_ssize_t m, Py_ssize_t n, const double *x, const double *gamma, const double *beta,
                              double eps, double *y, double *mean, double *rstd) noexcept nogil
        int (*layer_norm_backward_f32)(Py_ssize_t m, Py_ssize_t n, const float *dy, const float *x, const double *mean,
                                       const double *rstd, const float *gamma, float *dx, float *dgamma, float *dbeta) noexcept nogil
        int (*layer_norm_backward_f64)(Py_ssize_t m, Py_ssize_t n, const double *dy, const double *x,
                                       const double *mean, const double *rstd, const double *gamma, double *dx,
                                       double *dgamma, double *dbeta) noexcept nogil
        int (*rms_norm_f32)(Py_ssize_t m, Py_ssize_t n, const float *x, const float *gamma, double eps, float *y,
                            double *rstd) noexcept nogil
        int (*rms_norm_f64)(Py_ssize_t m, Py_ssize_t n, const double *x, const double *gamma, double eps, double *y,
                            double *rstd) noexcept nogil
        int (*rms_norm_backward_f32)(Py_ssize_t m, Py_ssize_t n, const float *dy, const float *x, const double *rstd,
                                     const float *gamma, float *dx, float *dgamma) noexcept nogil
        int (*rms_norm_backward_f64)(Py_ssize_t m, Py_ssize_t n, const double *dy, const double *x, const double *rstd,
                                     const double *gamma, double *dx, double *dgamma) noexcept nogil
        int (*batch_norm_f32)(Py_ssize_t m, Py_ssize_t n, const float *x, const float *gamma, const float *beta,
                              double eps, float *y, double *mean, double *rstd) noexcept nogil
        int (*batch_norm_f64)(Py_ssize_t m, Py_ssize_t n, const double *x, const double *gamma, const double *beta,
                              double eps, double *y, double *mean, double *rstd) noexcept nogil
        int (*batch_norm_backward_f32)(Py_ssize_t m, Py_ssize_t n, const float *dy, const float *x, const double *mean,
                                       const double *rstd, const float *gamma, float *dx, float *dgamma, float *dbeta) noexcept nogil
        int (*batch_norm_backward_f64)(Py_ssize_t m, Py_ssize_t n, const double *dy, const double *x,
                                       const double *mean, const double *rstd, const double *gamma, double *dx,
                                       double *dgamma, double *dbeta) noexcept nogil

cdef extern from "fastnorm/c_api.h":
    const fastnorm_c_api *fastnorm_import() except NULL
