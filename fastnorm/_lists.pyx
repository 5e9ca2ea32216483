"""Lists of arrays as arguments, for the families that take them."""

cimport numpy as cnp
from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from libc.stdlib cimport qsort

from fastnorm._arguments cimport (
    as_input,
    check_not_0d,
    check_result,
    check_written,
    extent,
    is_half,
    is_plain_input,
    new_like,
    plain,
    require_ndarray,
    same_shape,
    storage_of,
)
from fastnorm._core cimport FN_FLOAT32, FN_FLOAT64, FN_REAL

import numpy as np

cnp.import_array()

cdef extern from "numpy/arrayobject.h":
    bint PyArray_ISCARRAY(cnp.ndarray a) noexcept
    bint PyArray_ISCARRAY_RO(cnp.ndarray a) noexcept


cdef bint is_list(object given):
    return isinstance(given, (list, tuple))


cdef list listed(object given):
    """A list of our own: what becomes of the caller's does not matter."""
    return list(given) if is_list(given) else [given]


cdef str name_at(object given, str name, Py_ssize_t i):
    return f"{name}[{i}]" if is_list(given) else name


# ---- checks -----------------------------------------------------------------------------------------------------------

cdef bint is_plain(object a) noexcept:
    """Whether a is what as_input gives."""
    return is_plain_input(a) or (
        cnp.PyArray_CheckExact(a) and PyArray_ISCARRAY_RO(<cnp.ndarray>a) and cnp.PyArray_NDIM(<cnp.ndarray>a) > 0
        and storage_of(<cnp.ndarray>a) != FN_REAL)


cdef list as_inputs(object given, str name):
    """Arrays that are read, each as as_input has it."""
    cdef list items = listed(given)
    cdef Py_ssize_t i
    for i in range(len(items)):
        if not is_plain(items[i]):
            items[i] = as_input(items[i], name_at(given, name, i))
    return items


cdef bint is_plain_result(object a) noexcept:
    return is_plain(a) and PyArray_ISCARRAY(<cnp.ndarray>a)


cdef cnp.ndarray require_floats(object a, str name):
    cdef cnp.ndarray array = require_ndarray(a, name)
    if cnp.PyArray_TYPE(array) not in (cnp.NPY_FLOAT, cnp.NPY_DOUBLE) and not is_half(array):
        raise TypeError(f"{name} has dtype {array.dtype}, expected float16, bfloat16, float32 or float64")
    return array


cdef list as_updated(object given, str name):
    """Arrays that will be updated in place, of any layout and byte order; none shares memory with another."""
    cdef list items = listed(given)
    cdef cnp.ndarray array
    cdef Py_ssize_t i
    for i in range(len(items)):
        if is_plain_result(items[i]):
            continue
        place = name_at(given, name, i)
        array = require_floats(items[i], place)
        check_not_0d(array, place)
        check_written(array, place)
    set_apart(items, given, name, [])
    return items


cdef list as_results(object out, str name, list x, object given, str x_name):
    """Writable arrays of the shapes and dtypes of x, a list if x was given as a list."""
    cdef list items = listed(out)
    cdef cnp.ndarray a
    cdef Py_ssize_t i
    if is_list(out) != is_list(given):
        expected = f"a list of arrays, as {x_name} is" if is_list(given) else f"an array, as {x_name} is"
        raise TypeError(f"{name} is of type {type(out).__name__}, expected {expected}")
    if len(items) != len(x):
        raise ValueError(f"{name} has {len(items)} arrays, expected {len(x)}, as many as {x_name}")
    for i in range(len(items)):
        a = <cnp.ndarray>x[i]
        if (not is_plain_result(items[i]) or cnp.PyArray_TYPE(<cnp.ndarray>items[i]) != cnp.PyArray_TYPE(a)
                or not same_shape(<cnp.ndarray>items[i], a)):
            check_result(items[i], name_at(out, name, i), a, name_at(given, x_name, i))
    return items


# ---- overlaps ---------------------------------------------------------------------------------------------------------

cdef struct Span:
    size_t low, high
    Py_ssize_t place


cdef int compare(const void *a, const void *b) noexcept nogil:
    cdef size_t x = (<const Span *>a).low, y = (<const Span *>b).low
    return (x > y) - (x < y)


cdef Py_ssize_t measure(list arrays, Span *spans):
    """The spans of those that are not empty, in the order of memory."""
    cdef Py_ssize_t i, count = 0
    cdef bint sorted = True
    for i in range(len(arrays)):
        if cnp.PyArray_SIZE(<cnp.ndarray>arrays[i]) == 0:
            continue
        spans[count].low, spans[count].high = extent(<cnp.ndarray>arrays[i])
        spans[count].place = i
        sorted = sorted and (count == 0 or spans[count - 1].low <= spans[count].low)
        count += 1
    if not sorted:
        qsort(spans, <size_t>count, sizeof(Span), compare)
    return count


cdef int set_apart(list written, object given, str name, list read) except -1:
    """Checks that written arrays share no memory, and copies what else they would spoil.

    read: arrays as as_inputs has them. One that lies on a written array is replaced by a copy,
    unless the two are the same array at the same place of both lists. Written arrays that are not
    contiguous spoil nothing: they are written last, by deliver_all.
    """
    cdef list arrays = written + read
    cdef bytes room = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>(len(arrays) * sizeof(Span)))
    cdef Span *spans = <Span *>PyBytes_AsString(room)
    cdef Py_ssize_t first, second, i, k, count = measure(arrays, spans), n = len(written)
    for i in range(count):
        for k in range(i + 1, count):
            if spans[k].low >= spans[i].high:
                break
            first, second = min(spans[i].place, spans[k].place), max(spans[i].place, spans[k].place)
            if second < n:
                check_pair(<cnp.ndarray>written[first], <cnp.ndarray>written[second], given, name, first, second)
            elif first < n and PyArray_ISCARRAY(<cnp.ndarray>written[first]):
                if second - first != n or spans[i].low != spans[k].low:
                    read[second - n] = arrays[second].copy()
    return 0


cdef int check_pair(cnp.ndarray a, cnp.ndarray b, object given, str name, Py_ssize_t i, Py_ssize_t k) except -1:
    """Of two arrays whose spans meet."""
    if PyArray_ISCARRAY_RO(a) and PyArray_ISCARRAY_RO(b) or np.shares_memory(a, b):
        raise ValueError(
            f"{name_at(given, name, i)} overlaps {name_at(given, name, k)}, expected arrays that share no memory")
    return 0


# ---- results ----------------------------------------------------------------------------------------------------------

cdef list places_of(list written):
    """Where kernels update: the arrays themselves, or copies of those that they cannot take."""
    cdef list places = []
    for a in written:
        places.append(a if is_plain_result(a) else plain(<cnp.ndarray>a, cnp.PyArray_TYPE(<cnp.ndarray>a)))
    return places


cdef list as_outs(object out, list x, object given, str x_name):
    """The arrays of out, None where it is None."""
    if out is None:
        return None
    cdef list outs = as_results(out, "out", x, given, x_name)
    set_apart(outs, out, "out", x)
    return outs


cdef list results_for(list x, list outs):
    """Where kernels write what has the shapes of x: fresh arrays, or those of outs that they can take."""
    cdef Py_ssize_t i
    if outs is None:
        return [new_like(<cnp.ndarray>a) for a in x]
    return [outs[i] if PyArray_ISCARRAY(<cnp.ndarray>outs[i]) else new_like(<cnp.ndarray>x[i]) for i in range(len(x))]


cdef int deliver_all(list places, list written) except -1:
    cdef Py_ssize_t i
    for i in range(len(places)):
        if places[i] is not written[i]:
            np.copyto(written[i], places[i])
    return 0


cdef object deliver_lists(list results, list outs, object given, object out):
    """What results_for gave, as the caller gets it."""
    if out is None:
        return results if is_list(given) else results[0]
    deliver_all(results, outs)
    return out


# ---- for drivers ------------------------------------------------------------------------------------------------------

cdef bytes describe(list x, list y, Arrays *arrays):
    """Fills in arrays, of plain x and y, y None where there is none. Keep the result while they are used."""
    cdef bytes room = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>(len(x) * sizeof(fn_array)))
    cdef fn_array *array = <fn_array *>PyBytes_AsString(room)
    cdef cnp.ndarray a
    cdef Py_ssize_t i
    arrays.arrays = array
    arrays.count = arrays.bytes = 0
    for i in range(len(x)):
        a = <cnp.ndarray>x[i]
        array.n = cnp.PyArray_SIZE(a)
        if array.n == 0:
            continue
        array.x = cnp.PyArray_DATA(a)
        array.y = NULL if y is None else cnp.PyArray_DATA(<cnp.ndarray>y[i])
        array.dtype = FN_FLOAT64 if cnp.PyArray_TYPE(a) == cnp.NPY_DOUBLE else FN_FLOAT32
        array.storage = storage_of(a)
        arrays.bytes += array.n * cnp.PyArray_ITEMSIZE(a)
        arrays.count += 1
        array += 1
    return room
