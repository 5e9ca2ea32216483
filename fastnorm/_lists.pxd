# Lists of arrays, such as all weights of a network: the checks of _arguments for each, and that what is written lies
# apart.
#
# A function that takes a list takes one array, too; a tuple is a list. `given` is what the caller gave, for messages.

from fastnorm._core cimport fn_dtype, fn_storage

cdef extern from "arrays.h" nogil:
    ctypedef struct fn_array:
        const void *x
        void *y
        Py_ssize_t n
        fn_dtype dtype
        fn_storage storage


# What drivers take: the arrays that are not empty.
cdef struct Arrays:
    fn_array *arrays
    Py_ssize_t count
    Py_ssize_t bytes


cdef list as_inputs(object given, str name)
cdef list as_updated(object given, str name)
cdef list as_results(object out, str name, list x, object given, str x_name)
cdef int set_apart(list written, object given, str name, list read) except -1

cdef list places_of(list written)
cdef list as_outs(object out, list x, object given, str x_name)
cdef list results_for(list x, list outs)
cdef int deliver_all(list places, list written) except -1
cdef object deliver_lists(list results, list outs, object given, object out)

cdef bytes describe(list x, list y, Arrays *arrays)
