# The kernels behind one door: only this module is linked to csrc, the others call through what is declared here.

cimport numpy as cnp

cdef extern from "fastnorm.h" nogil:
    ctypedef enum fn_dtype:
        FN_FLOAT32
        FN_FLOAT64

    ctypedef struct fn_layernorm_fwd:
        Py_ssize_t m, n
        const void *x
        const void *gamma
        const void *beta
        void *y
        double *mean
        double *rstd
        double eps

    ctypedef struct fn_layernorm_bwd:
        Py_ssize_t m, n
        const void *dy
        const void *x
        const double *mean
        const double *rstd
        const void *gamma
        void *dx
        void *dgamma
        void *dbeta

    ctypedef struct fn_batchnorm_fwd:
        Py_ssize_t m, c, stride
        const void *x
        const void *gamma
        const void *beta
        void *y
        double *mean
        double *rstd
        double *m2
        double eps

    ctypedef struct fn_batchnorm_inference:
        Py_ssize_t m, c, stride
        const void *x
        const double *running_mean
        const double *running_var
        const void *gamma
        const void *beta
        void *y
        double eps

    ctypedef struct fn_batchnorm_bwd:
        Py_ssize_t m, c, stride
        const void *dy
        const void *x
        const double *mean
        const double *rstd
        const void *gamma
        void *dx
        void *dgamma
        void *dbeta


cdef int run_layer_norm(const fn_layernorm_fwd *op, fn_dtype dtype) except -1
cdef int run_layer_norm_backward(const fn_layernorm_bwd *op, fn_dtype dtype) except -1
cdef int run_batch_norm(const fn_batchnorm_fwd *op, fn_dtype dtype) except -1
cdef int run_batch_norm_inference(const fn_batchnorm_inference *op, fn_dtype dtype) except -1
cdef int run_batch_norm_backward(const fn_batchnorm_bwd *op, fn_dtype dtype) except -1
cdef int run_update_running(cnp.ndarray running, const double *batch, Py_ssize_t c, double momentum) except -1

cdef extern from "buffers.h" nogil:
    enum:
        FN_BUFFER_BYTES

cdef cnp.ndarray new_large(int ndim, cnp.npy_intp *dims, int typenum)
