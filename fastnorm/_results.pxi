# Result arrays, and arrays of the caller that are written: the second half of _arguments.pyx, which includes it.

# ---- results ----------------------------------------------------------------------------------------------------------

cdef inline cnp.ndarray new_array(int ndim, cnp.npy_intp *dims, int typenum, size_t count):
    """An array of `count` elements, not yet written."""
    cdef size_t item = 8 if typenum == cnp.NPY_DOUBLE else 4 if typenum == cnp.NPY_FLOAT else 2
    if count * item < FN_BUFFER_BYTES:
        return cnp.PyArray_EMPTY(ndim, dims, typenum, 0)
    return new_large(ndim, dims, typenum)


cdef cnp.ndarray new_like(cnp.ndarray x):
    return new_array(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x), <size_t>cnp.PyArray_SIZE(x))


cdef cnp.ndarray new_features(cnp.ndarray x, const Layout *layout, int typenum):
    return new_array(
        cnp.PyArray_NDIM(x) - layout.axis, cnp.PyArray_DIMS(x) + layout.axis, typenum, <size_t>layout.features)


cdef cnp.ndarray new_rows(cnp.ndarray x, const Layout *layout, int typenum):
    return new_array(layout.axis, cnp.PyArray_DIMS(x), typenum, <size_t>layout.rows)


cdef void *data_or_null(cnp.ndarray a) noexcept:
    return NULL if a is None else cnp.PyArray_DATA(a)


# ---- arrays that are written ------------------------------------------------------------------------------------------

cdef (size_t, size_t) extent(cnp.ndarray a) noexcept:
    """First byte and one past the last byte of a."""
    cdef size_t low = <size_t>cnp.PyArray_DATA(a), high = low
    cdef Py_ssize_t reach
    cdef int i
    if cnp.PyArray_SIZE(a) == 0:
        return low, low
    for i in range(cnp.PyArray_NDIM(a)):
        reach = (cnp.PyArray_DIM(a, i) - 1) * cnp.PyArray_STRIDE(a, i)
        if reach < 0:
            low -= <size_t>(-reach)
        else:
            high += <size_t>reach
    return low, high + <size_t>cnp.PyArray_ITEMSIZE(a)


cdef bint overlaps(cnp.ndarray a, cnp.ndarray b) noexcept:
    """Whether the memory ranges of a and b meet; arrays that only interleave count as overlapping."""
    cdef size_t a_low, a_high, b_low, b_high
    if a is None or b is None:
        return False
    a_low, a_high = extent(a)
    b_low, b_high = extent(b)
    return a_low < b_high and b_low < a_high


cdef bint overlaps_itself(cnp.ndarray a):
    """Whether two elements of a share memory."""
    cdef Py_ssize_t span = cnp.PyArray_ITEMSIZE(a)
    if cnp.PyArray_SIZE(a) < 2 or PyArray_ISCARRAY_RO(a):
        return False
    steps = sorted((abs(step), n) for step, n in zip((<object>a).strides, (<object>a).shape) if n > 1)
    for step, n in steps:
        if step < span:
            break
        span += (n - 1) * step
    else:
        return False
    # strides that interlace: look at the place of every element
    places = np.zeros(1, np.intp)
    for step, n in steps:
        places = np.add.outer(places, step * np.arange(n)).ravel()
    places.sort()
    return bool((np.diff(places) < a.itemsize).any())


cdef int check_written(cnp.ndarray a, str name) except -1:
    if not PyArray_ISWRITEABLE(a):
        raise ValueError(f"{name} is read-only, expected a writable array")
    if overlaps_itself(a):
        raise ValueError(f"{name} overlaps itself: elements of it share memory, expected each in its own place")
    return 0


cdef cnp.ndarray require_ndarray(object a, str name):
    if is_masked(a):
        raise TypeError(f"{name} is a masked array, expected a plain ndarray")
    if not isinstance(a, np.ndarray):
        raise TypeError(f"{name} is of type {type_of(a)}, expected a numpy.ndarray")
    return <cnp.ndarray>a


cdef int check_result(object out, str name, cnp.ndarray x, str x_name) except -1:
    """A writable ndarray of x's shape and dtype."""
    cdef cnp.ndarray array
    if (cnp.PyArray_CheckExact(out) and PyArray_ISCARRAY_RO(<cnp.ndarray>out) and PyArray_ISWRITEABLE(<cnp.ndarray>out)
            and cnp.PyArray_TYPE(<cnp.ndarray>out) == cnp.PyArray_TYPE(x) and same_shape(<cnp.ndarray>out, x)):
        return 0  # the usual case, without a look at a Python attribute
    array = require_ndarray(out, name)
    if cnp.PyArray_TYPE(array) != cnp.PyArray_TYPE(x) or not array.dtype.isnative:
        raise TypeError(
            f"{name} has dtype {array.dtype.str} ({array.dtype}), expected {x.dtype.str} ({x.dtype}), that of the result")
    if not same_shape(array, x):
        raise wrong_shape(array, name, (<object>x).shape, f"{x_name}.shape")
    return check_written(array, name)


cdef int check_out(object out, cnp.ndarray x) except -1:
    """out: None, or a writable ndarray of x's shape and dtype."""
    return 0 if out is None else check_result(out, "out", x, "x")


cdef cnp.ndarray require_updated(object a, str name):
    """An array that will be updated in place: float32 or float64."""
    cdef cnp.ndarray array = require_ndarray(a, name)
    if cnp.PyArray_TYPE(array) != cnp.NPY_FLOAT and cnp.PyArray_TYPE(array) != cnp.NPY_DOUBLE:
        raise TypeError(f"{name} has dtype {array.dtype}, expected float32 or float64")
    return array


cdef int check_running(object a, str name, cnp.ndarray x, const Layout *layout) except -1:
    """A running statistic that will be updated in place: float32 or float64 of shape x.shape[axis:]."""
    cdef cnp.ndarray array = require_updated(a, name)
    if not has_features_shape(array, x, layout):
        raise wrong_shape(array, name, (<object>x).shape[layout.axis:], trailing(x, layout))
    return check_written(array, name)


cdef int check_apart(cnp.ndarray a, str name, object b, str other) except -1:
    if b is not None and overlaps(a, <cnp.ndarray>b) and np.shares_memory(a, b):
        raise ValueError(f"{name} overlaps {other}, expected arrays that share no memory")
    return 0


cdef cnp.ndarray place_result(object out, cnp.ndarray x, cnp.ndarray same, cnp.ndarray b, cnp.ndarray c, cnp.ndarray d):
    """Where kernels write: out itself if they can, else a fresh array that deliver() copies into out.

    The result may lie exactly on x or `same`; any overlap beyond that, or with b, c or d, takes the fresh array.
    """
    cdef cnp.ndarray array
    if out is None:
        return new_like(x)
    array = <cnp.ndarray>out
    if not PyArray_ISCARRAY_RO(array) or overlaps(array, b) or overlaps(array, c) or overlaps(array, d):
        return new_like(x)
    if overlaps(array, x) and cnp.PyArray_DATA(array) != cnp.PyArray_DATA(x):
        return new_like(x)
    if overlaps(array, same) and cnp.PyArray_DATA(array) != cnp.PyArray_DATA(same):
        return new_like(x)
    return array


cdef object deliver(cnp.ndarray result, object out):
    if out is None or result is out:
        return result
    np.copyto(out, result)
    return out
