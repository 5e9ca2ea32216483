# BatchNorm: its drivers, and what its modules share.

cimport numpy as cnp

from fastnorm._activations cimport fn_activation
from fastnorm._arguments cimport Layout
from fastnorm._core cimport fn_dtype, fn_storage

cdef extern from "batchnorm.h" nogil:
    ctypedef struct fn_channels_first:
        Py_ssize_t run
        bint result_too

    ctypedef struct fn_finish:
        const void *residual
        fn_activation activation

    ctypedef struct fn_finish_bwd:
        fn_finish of
        const void *beta
        void *dresidual

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
        fn_channels_first first
        fn_finish finish
        fn_storage storage
        const unsigned char *where

    ctypedef struct fn_batchnorm_inference:
        Py_ssize_t m, c, stride
        const void *x
        const double *running_mean
        const double *running_var
        const void *gamma
        const void *beta
        void *y
        double eps
        fn_channels_first first
        fn_finish finish
        fn_storage storage

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
        fn_channels_first first
        fn_finish_bwd finish
        fn_storage storage
        const unsigned char *where

    ctypedef struct fn_batchnorm_inference_bwd:
        Py_ssize_t m, c, stride
        const void *dy
        const void *x
        const double *running_mean
        const double *running_var
        const void *gamma
        void *dx
        void *dgamma
        void *dbeta
        double eps
        fn_channels_first first
        fn_finish_bwd finish
        fn_storage storage

    ctypedef struct fn_batchnorm_drivers:
        bint (*takes_channels_first)(Py_ssize_t m, Py_ssize_t c, fn_dtype dtype)
        int (*forward)(const fn_batchnorm_fwd *op, fn_dtype dtype)
        int (*inference)(const fn_batchnorm_inference *op, fn_dtype dtype)
        int (*backward)(const fn_batchnorm_bwd *op, fn_dtype dtype)
        int (*inference_backward)(const fn_batchnorm_inference_bwd *op, fn_dtype dtype)
        void (*update_running)(void *running, const double *batch, Py_ssize_t c, double momentum, fn_dtype dtype)


cdef fn_finish finish_of(cnp.ndarray residual, fn_activation activation) noexcept
cdef cnp.ndarray take_channels(object x, object axis, Layout *layout, fn_channels_first *first)
cdef bint lies_beside(object a, cnp.ndarray x, const fn_channels_first *first) noexcept
cdef cnp.ndarray plain_unless(bint alike, cnp.ndarray x, fn_channels_first *first)
cdef cnp.ndarray as_array_beside(object a, str name, cnp.ndarray x, const fn_channels_first *first)
cdef cnp.ndarray as_residual(object residual, cnp.ndarray x, const fn_channels_first *first)
cdef cnp.ndarray place(object out, cnp.ndarray x, cnp.ndarray same, cnp.ndarray b, cnp.ndarray c, cnp.ndarray d,
                       fn_channels_first *first)
cdef object gradients(cnp.ndarray dx, object out, cnp.ndarray dgamma, cnp.ndarray dbeta, cnp.ndarray dresidual)
