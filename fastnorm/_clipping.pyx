"""Clipping of gradients: check, call."""

cimport numpy as cnp
from cpython.pystate cimport PyThreadState
from libc.math cimport HUGE_VAL

from fastnorm._arguments cimport as_double, as_number
from fastnorm._core cimport FN_FLOAT64, drivers_of, finish, release_if_long
from fastnorm._lists cimport (
    Arrays,
    as_inputs,
    as_outs,
    as_updated,
    deliver_all,
    deliver_lists,
    describe,
    fn_array,
    places_of,
    results_for,
)

cdef extern from "clipping.h" nogil:
    ctypedef struct fn_clipping_drivers:
        int (*clip_by_value)(fn_array *arrays, Py_ssize_t count, double low, double high)
        int (*global_norm)(fn_array *arrays, Py_ssize_t count, double *norm)
        int (*clip_by_global_norm)(fn_array *arrays, Py_ssize_t count, double max_norm, double *norm)

cnp.import_array()

cdef const fn_clipping_drivers *drivers = <const fn_clipping_drivers *>drivers_of("clipping")


cdef double as_bound(object value, str name) except? -1:
    cdef double number = as_double(value, name)
    if number != number:
        raise ValueError(f"{name} is nan, expected a number")
    return number


def clip_by_value(g, low, high, out=None):
    """Bound every element: ``min(max(g, low), high)``.

    Parameters
    ----------
    g : array_like, or list or tuple of them
        Of float16, bfloat16, float32 or float64, at least 1-d; integers and booleans become float64.
        Any strides and byte order. A list may hold arrays of any shapes and dtypes.
    low, high : float
        The bounds, ``low <= high``, rounded to g's dtype, of half precision to float32; either may be
        infinite.
    out : ndarray, or list or tuple of them, optional
        Where to write the result: g's shape and dtype; a list if g is one, of as many arrays, which
        may share no memory. May be g itself; any other overlap acts as if g were copied first.

    Returns
    -------
    clipped : ndarray, or list of ndarray
        Of g's shape and dtype; ``out`` if that was given. What lies between the bounds, or equals
        one, has the bits it had; NaN stays NaN.

    Raises
    ------
    TypeError
        For complex, object, string, datetime, longdouble or masked arrays, a bound that is
        no number, an ``out`` of another dtype, or a list where g is none or the other way round.
    ValueError
        For a 0-d g, a bound that is NaN, ``low > high``, an ``out`` of another shape or length,
        read-only, or overlapping itself. Nothing has been changed then.

    References
    ----------
    Mikolov, "Statistical Language Models Based on Neural Networks", PhD thesis, Brno 2012.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> fastnorm.clip_by_value(np.array([-3.0, 0.5, np.inf]), -1, 1)
    array([-1. ,  0.5,  1. ])
    """
    cdef double least = as_bound(low, "low"), most = as_bound(high, "high")
    if least > most:
        raise ValueError(f"low is {least} and high is {most}, expected low <= high")
    cdef list inputs = as_inputs(g, "g"), outs = as_outs(out, inputs, g, "g")
    cdef list results = results_for(inputs, outs)
    cdef Arrays arrays
    cdef bytes _room = describe(inputs, results, &arrays)
    cdef PyThreadState *released = release_if_long(arrays.bytes // 8, 1, FN_FLOAT64)
    finish(released, drivers.clip_by_value(arrays.arrays, arrays.count, least, most))
    return deliver_lists(results, outs, g, out)


def global_norm(arrays):
    """The norm of all arrays as one vector: the root of the sum of the squares of all elements.

    Parameters
    ----------
    arrays : array_like, or list or tuple of them
        Of float16, bfloat16, float32 or float64, at least 1-d; integers and booleans become float64.
        Any strides and byte order. A list may hold arrays of any shapes and dtypes.

    Returns
    -------
    norm : float
        0 of nothing; NaN where an element is NaN, infinite where one is infinite, or where no double is so large.

    Raises
    ------
    TypeError
        For complex, object, string, datetime, longdouble or masked arrays.
    ValueError
        For a 0-d array.

    Notes
    -----
    Squares are added in double with their rounding errors kept: the norm is within a few eps of
    float64 of the true one. Where their sum leaves the range of double, of elements of 1e200 or
    1e-200, it is taken again of scaled ones.

    References
    ----------
    Blue, "A Portable Fortran Program to Find the Euclidean Norm of a Vector", ACM TOMS 4, 1978.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> fastnorm.global_norm([np.array([3.0]), np.array([[0.0, 4.0]], np.float32)])
    5.0
    """
    cdef list inputs = as_inputs(arrays, "arrays")
    cdef Arrays described
    cdef bytes _room = describe(inputs, None, &described)
    cdef double norm = 0
    cdef PyThreadState *released = release_if_long(described.bytes // 8, 1, FN_FLOAT64)
    finish(released, drivers.global_norm(described.arrays, described.count, &norm))
    return norm


def clip_by_global_norm(arrays, max_norm):
    """Scale arrays by one factor, in place, so that their global norm is ``max_norm`` at most; return the norm before.

    Parameters
    ----------
    arrays : ndarray, or list or tuple of them
        Of float16, bfloat16, float32 or float64, at least 1-d, writable, of any strides and byte
        order; a list may hold arrays of any shapes and dtypes, which may share no memory. Scaled by
        ``max_norm / norm`` where the norm is greater than ``max_norm``. **Where the norm is
        infinite or NaN they are left as they are**: a step that cannot be trusted is for the caller
        to skip.
    max_norm : float
        Finite, at least 0.

    Returns
    -------
    norm : float
        That of `global_norm`, before.

    Raises
    ------
    TypeError
        For anything but writable arrays of these dtypes, or a ``max_norm`` that is no
        number.
    ValueError
        For a 0-d array, a read-only one, one that overlaps itself or another, or a ``max_norm`` out
        of range. Nothing has been changed then.

    Notes
    -----
    Elements are scaled in double and rounded to their dtype once, of half precision to float32
    before. So the norm afterwards may be greater than ``max_norm`` by an eps or so.

    References
    ----------
    Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> grads = [np.array([3.0]), np.array([0.0, 4.0], np.float32)]
    >>> fastnorm.clip_by_global_norm(grads, 1)
    5.0
    >>> grads
    [array([0.6]), array([0. , 0.8], dtype=float32)]
    """
    cdef double most = as_number(max_norm, "max_norm", HUGE_VAL), norm = 0
    cdef list updated = as_updated(arrays, "arrays"), places = places_of(updated)
    cdef Arrays described
    cdef bytes _room = describe(places, places, &described)
    cdef PyThreadState *released = release_if_long(described.bytes // 8, 1, FN_FLOAT64)
    finish(released, drivers.clip_by_global_norm(described.arrays, described.count, most, &norm))
    if most < norm < HUGE_VAL:
        deliver_all(places, updated)
    return norm
