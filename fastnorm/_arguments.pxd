# Argument checks and results, shared by every family: a checked array is C-contiguous, aligned and native, and every
# check is done before anything is computed or written.

cimport numpy as cnp

from fastnorm._core cimport fn_dtype, fn_storage


# An input array cut in two by axis: x.shape[:axis] are rows, x.shape[axis:] are features.
cdef struct Layout:
    int axis
    Py_ssize_t rows
    Py_ssize_t features
    int typenum  # of what is computed with, and of parameters: that of x, float32 for half precision
    fn_dtype dtype
    fn_storage storage  # of x


cdef bint is_half(cnp.ndarray a)
cdef fn_storage storage_of(cnp.ndarray a) noexcept
cdef int check_not_0d(cnp.ndarray a, str name) except -1
cdef bint is_plain_input(object a) noexcept
cdef cnp.ndarray as_input(object a, str name)
cdef cnp.ndarray as_input_like_x(object a, str name, cnp.ndarray x)
cdef cnp.ndarray as_parameter(object a, str name, cnp.ndarray x, const Layout *layout)
cdef cnp.ndarray as_statistic(object a, str name, cnp.ndarray x, const Layout *layout, bint of_rows)
cdef cnp.ndarray as_where(object a, cnp.ndarray x, const Layout *layout)
cdef int check_running(object a, str name, cnp.ndarray x, const Layout *layout) except -1
cdef double as_double(object value, str name) except? -1
cdef double as_number(object value, str name, double highest) except? -1
cdef double as_finite(object value, str name) except? -1
cdef int cut(cnp.ndarray x, object axis, Layout *layout) except -1
cdef int check_samples(cnp.ndarray x) except -1
cdef Py_ssize_t as_groups(object value, cnp.ndarray x) except -1
cdef cnp.ndarray as_group_statistic(object a, str name, cnp.ndarray x, Py_ssize_t groups)
cdef cnp.ndarray as_statistic_of_any_groups(object a, str name, cnp.ndarray x)
cdef cnp.ndarray new_groups(cnp.ndarray x, Py_ssize_t groups)


cdef cnp.ndarray plain(cnp.ndarray a, int typenum)
cdef cnp.ndarray as_channels(object a, object axis, Layout *layout, Py_ssize_t *run)
cdef bint lies_like(object a, cnp.ndarray x, Py_ssize_t run) noexcept
cdef cnp.ndarray place_channels(object out, cnp.ndarray x, cnp.ndarray same, cnp.ndarray b, cnp.ndarray c, cnp.ndarray d,
                                Py_ssize_t run, bint *like_x)

cdef cnp.ndarray new_like(cnp.ndarray x)
cdef cnp.ndarray new_features(cnp.ndarray x, const Layout *layout, int typenum)
cdef cnp.ndarray new_rows(cnp.ndarray x, const Layout *layout, int typenum)

cdef bint same_shape(cnp.ndarray a, cnp.ndarray b) noexcept
cdef (size_t, size_t) extent(cnp.ndarray a) noexcept
cdef int check_written(cnp.ndarray a, str name) except -1
cdef cnp.ndarray require_ndarray(object a, str name)
cdef int check_result(object out, str name, cnp.ndarray x, str x_name) except -1
cdef int check_out(object out, cnp.ndarray x) except -1
cdef int check_apart(cnp.ndarray a, str name, object b, str other) except -1
cdef cnp.ndarray place_result(object out, cnp.ndarray x, cnp.ndarray same, cnp.ndarray b, cnp.ndarray c, cnp.ndarray d)
cdef object deliver(cnp.ndarray result, object out)

cdef void *data_or_null(cnp.ndarray a) noexcept
