# What the modules of the families call: only this one is linked to csrc, and they find their drivers through it.

cimport numpy as cnp
from cpython.pystate cimport PyThreadState

cdef extern from "fastnorm.h" nogil:
    ctypedef enum fn_dtype:
        FN_FLOAT32
        FN_FLOAT64

cdef extern from "half.h" nogil:
    ctypedef enum fn_storage:
        FN_REAL
        FN_FLOAT16
        FN_BFLOAT16

cdef extern from "buffers.h" nogil:
    enum:
        FN_BUFFER_BYTES

cdef const void *drivers_of(str family) except NULL
cdef PyThreadState *release_if_long(Py_ssize_t rows, Py_ssize_t features, fn_dtype dtype) noexcept
cdef int finish(PyThreadState *released, int status) except -1

cdef cnp.ndarray new_large(int ndim, cnp.npy_intp *dims, int typenum)
cdef void widen(const float *source, double *target, Py_ssize_t n) noexcept
