# The operations of layernorm.h, for families that have them inside.

from fastnorm._activations cimport fn_activation
from fastnorm._core cimport fn_storage


cdef extern from "layernorm.h" nogil:
    ctypedef struct fn_layernorm_fwd:
        Py_ssize_t m, n
        const void *x
        const void *gamma
        const void *beta
        void *y
        double *mean
        double *rstd
        double eps
        fn_storage storage
        const unsigned char *where
        fn_activation activation

    ctypedef struct fn_layernorm_bwd:
        Py_ssize_t m, n
        const void *dy
        const void *x
        const double *mean
        const double *rstd
        const void *gamma
        const void *beta
        void *dx
        const void *dsum
        void *dgamma
        void *dbeta
        fn_storage storage
        const unsigned char *where
        fn_activation activation
