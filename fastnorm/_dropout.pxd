# What families that drop out inside need of dropout.

from libc.stdint cimport uint32_t, uint64_t


cdef extern from "dropout.h" nogil:
    ctypedef struct fn_dropout_key:
        uint64_t seed, offset
        uint32_t threshold


cdef tuple as_key(object key)
cdef double as_probability(object p) except? -1
cdef int set_key(fn_dropout_key *to, object key, double p) except -1
