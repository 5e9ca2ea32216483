# The operations of rmsnorm.h, for families that have them inside.


from fastnorm._core cimport fn_storage

cdef extern from "rmsnorm.h" nogil:
    ctypedef struct fn_rmsnorm_fwd:
        Py_ssize_t m, n
        const void *x
        const void *gamma
        double offset
        void *y
        double *rstd
        double eps
        fn_storage storage

    ctypedef struct fn_rmsnorm_bwd:
        Py_ssize_t m, n
        const void *dy
        const void *x
        const double *rstd
        const void *gamma
        double offset
        void *dx
        const void *dsum
        void *dgamma
        fn_storage storage
