"""Activations: check, allocate, call."""

cimport numpy as cnp
from cpython.pystate cimport PyThreadState

from fastnorm._arguments cimport (
    as_input, as_input_like_x, as_number, check_out, deliver, place_result, storage_of)
from fastnorm._core cimport FN_FLOAT32, FN_FLOAT64, drivers_of, finish, fn_dtype, fn_storage, release_if_long

cdef extern from "activations.h" nogil:
    ctypedef struct fn_activations_fwd:
        Py_ssize_t n
        const void *x
        void *y
        double slope
        fn_storage storage

    ctypedef struct fn_activations_bwd:
        Py_ssize_t n
        const void *dy
        const void *kept
        void *dx
        double slope
        fn_storage storage

    ctypedef struct fn_activations_drivers:
        int (*forward)(fn_activation which, const fn_activations_fwd *op, fn_dtype dtype)
        int (*backward)(fn_activation which, const fn_activations_bwd *op, fn_dtype dtype)

cnp.import_array()

cdef const fn_activations_drivers *activations = <const fn_activations_drivers *>drivers_of("activations")


cdef inline fn_dtype dtype_of(cnp.ndarray a) noexcept:
    """Of what is computed: float32 for halves."""
    return FN_FLOAT64 if cnp.PyArray_TYPE(a) == cnp.NPY_DOUBLE else FN_FLOAT32


cdef double as_slope(object slope, cnp.ndarray a) except? -1:
    cdef double highest = 3.4028234663852886e38 if dtype_of(a) == FN_FLOAT32 else 1.7976931348623157e308
    return as_number(slope, "slope", highest)


BESIDE_A_NORM = {
    "relu": FN_RELU, "leaky_relu": FN_LEAKY_RELU, "sigmoid": FN_SIGMOID, "tanh": FN_TANH, "gelu": FN_GELU,
    "gelu_tanh": FN_GELU_TANH, "silu": FN_SILU}


cdef fn_activation as_activation(object value) except *:
    if value is None:
        return FN_NO_ACTIVATION
    if not isinstance(value, str):
        raise TypeError(f"activation is {value!r} of type {type(value).__name__}, expected None or a name")
    which = BESIDE_A_NORM.get(value)
    if which is None:
        raise ValueError(f"activation is {value!r}, expected None or one of {', '.join(BESIDE_A_NORM)}")
    return which


cdef object forward(fn_activation which, cnp.ndarray x, double slope, object out):
    check_out(out, x)
    cdef cnp.ndarray y = place_result(out, x, None, None, None, None)
    cdef fn_activations_fwd op
    op.n = cnp.PyArray_SIZE(x)
    op.x = cnp.PyArray_DATA(x)
    op.y = cnp.PyArray_DATA(y)
    op.slope = slope
    op.storage = storage_of(x)
    cdef fn_dtype dtype = dtype_of(x)
    cdef PyThreadState *released = release_if_long(op.n, 1, dtype)
    finish(released, activations.forward(which, &op, dtype))
    return deliver(y, out)


cdef object backward(fn_activation which, cnp.ndarray dy, cnp.ndarray kept, double slope, object out):
    check_out(out, kept)
    cdef cnp.ndarray dx = place_result(out, kept, dy, None, None, None)
    cdef fn_activations_bwd op
    op.n = cnp.PyArray_SIZE(kept)
    op.dy = cnp.PyArray_DATA(dy)
    op.kept = cnp.PyArray_DATA(kept)
    op.dx = cnp.PyArray_DATA(dx)
    op.slope = slope
    op.storage = storage_of(kept)
    cdef fn_dtype dtype = dtype_of(kept)
    cdef PyThreadState *released = release_if_long(op.n, 1, dtype)
    finish(released, activations.backward(which, &op, dtype))
    return deliver(dx, out)


def relu(x, *, out=None):
    """The rectified linear unit: ``max(x, 0)``, number by number.

    Parameters
    ----------
    x : array_like
        Of float16, bfloat16, float32 or float64, at least 1-d; integers and booleans become float64. Any strides and
        byte order.
    out : ndarray, optional
        Where to write y: x's shape and dtype. May be x itself; any other overlap acts as if x was copied first.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` if that was given.

    Raises
    ------
    TypeError
        For complex, object, string, datetime, longdouble or masked arrays, an ``out`` of another dtype.
    ValueError
        For a 0-d input, an ``out`` of another shape, that is read-only or overlaps itself.

    Notes
    -----
    It is exact. NaN gives NaN.

    References
    ----------
    Nair & Hinton, "Rectified Linear Units Improve Restricted Boltzmann Machines", ICML 2010.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> fastnorm.relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    cdef cnp.ndarray x_array = as_input(x, "x")
    return forward(FN_RELU, x_array, 0, out)


def relu_backward(dy, y, *, out=None):
    """The gradient of `relu`: ``dy where y > 0, else 0``.

    Parameters
    ----------
    dy : array_like
        Gradient of y, of y's shape; rounded to y's dtype.
    y : array_like
        What the forward call returned.
    out : ndarray, optional
        Where to write dx: y's shape and dtype. May be dy or y itself.

    Returns
    -------
    dx : ndarray
        Of y's shape and dtype; ``out`` if that was given.

    Raises
    ------
    TypeError
        For complex, object, string, datetime, longdouble or masked arrays, an ``out`` of another dtype.
    ValueError
        For a 0-d input, inputs of different shapes, an ``out`` of another shape, that is read-only or overlaps itself.

    Notes
    -----
    It is exact. The derivative at 0 is taken to be 0; a y that is NaN counts as not positive.

    References
    ----------
    Nair & Hinton, "Rectified Linear Units Improve Restricted Boltzmann Machines", ICML 2010.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> x = np.array([-1.0, 0.0, 2.0])
    >>> fastnorm.relu_backward(np.ones(3), fastnorm.relu(x))
    array([0., 0., 1.])
    """
    cdef cnp.ndarray y_array = as_input(y, "y")
    cdef cnp.ndarray dy_array = as_input_like_x(dy, "dy", y_array)
    return backward(FN_RELU, dy_array, y_array, 0, out)


def leaky_relu(x, *, slope=0.01, out=None):
    """The leaky rectified linear unit: ``x where x > 0, else slope * x``, number by number.

    Parameters
    ----------
    x : array_like
        Of float16, bfloat16, float32 or float64, at least 1-d; integers and booleans become float64. Any strides and
        byte order.
    slope : float, optional
        The factor of what is not positive: >= 0 and finite in x's dtype, float32 of halves, to which it is rounded.
    out : ndarray, optional
        Where to write y: x's shape and dtype. May be x itself; any other overlap acts as if x was copied first.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` if that was given.

    Raises
    ------
    TypeError
        For complex, object, string, datetime, longdouble or masked arrays, an ``out`` of another dtype, a
        slope that is no number.
    ValueError
        For a 0-d input, an ``out`` of another shape, that is read-only or overlaps itself, a slope that is negative or
        not finite.

    Notes
    -----
    It is rounded once; half precision is computed in float32 before. NaN gives NaN.

    References
    ----------
    Maas, Hannun & Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models", ICML 2013.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> fastnorm.leaky_relu(np.array([-1.0, 0.0, 2.0])).round(3)
    array([-0.01,  0.  ,  2.  ])
    """
    cdef cnp.ndarray x_array = as_input(x, "x")
    return forward(FN_LEAKY_RELU, x_array, as_slope(slope, x_array), out)


def leaky_relu_backward(dy, y, *, slope=0.01, out=None):
    """The gradient of `leaky_relu`: ``dy where y > 0, else slope * dy``.

    Parameters
    ----------
    dy : array_like
        Gradient of y, of y's shape; rounded to y's dtype.
    y : array_like
        What the forward call returned.
    slope : float, optional
        The factor of what is not positive: >= 0 and finite in x's dtype, float32 of halves, to which it is rounded.
    out : ndarray, optional
        Where to write dx: y's shape and dtype. May be dy or y itself.

    Returns
    -------
    dx : ndarray
        Of y's shape and dtype; ``out`` if that was given.

    Raises
    ------
    TypeError
        For complex, object, string, datetime, longdouble or masked arrays, an ``out`` of another dtype, a
        slope that is no number.
    ValueError
        For a 0-d input, inputs of different shapes, an ``out`` of another shape, that is read-only or overlaps itself,
        a slope that is negative or not finite.

    Notes
    -----
    It is rounded once; half precision is computed in float32 before. The derivative at 0 is taken to be slope; a y that
    is NaN counts as not positive.

    References
    ----------
    Maas, Hannun & Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models", ICML 2013.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> x = np.array([-1.0, 0.0, 2.0])
    >>> fastnorm.leaky_relu_backward(np.ones(3), fastnorm.leaky_relu(x)).round(3)
    array([0.01, 0.01, 1.  ])
    """
    cdef cnp.ndarray y_array = as_input(y, "y")
    cdef cnp.ndarray dy_array = as_input_like_x(dy, "dy", y_array)
    return backward(FN_LEAKY_RELU, dy_array, y_array, as_slope(slope, y_array), out)


def sigmoid(x, *, out=None):
    """The logistic function: ``1 / (1 + exp(-x))``, number by number.

    Parameters
    ----------
    x : array_like
        Of float16, bfloat16, float32 or float64, at least 1-d; integers and booleans become float64. Any strides and
        byte order.
    out : ndarray, optional
        Where to write y: x's shape and dtype. May be x itself; any other overlap acts as if x was copied first.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` if that was given.

    Raises
    ------
    TypeError
        For complex, object, string, datetime, longdouble or masked arrays, an ``out`` of another dtype.
    ValueError
        For a 0-d input, an ``out`` of another shape, that is read-only or overlaps itself.

    Notes
    -----
    The error is at most 4 ulp of the result, far tails and subnormal numbers included. NaN gives NaN. Half
    precision is computed in float32 and then rounded.

    References
    ----------
    Goodfellow, Bengio & Courville, "Deep Learning", MIT Press, 2016, section 3.10.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> fastnorm.sigmoid(np.array([-1.0, 0.0, 2.0])).round(3)
    array([0.269, 0.5  , 0.881])
    """
    cdef cnp.ndarray x_array = as_input(x, "x")
    return forward(FN_SIGMOID, x_array, 0, out)


def sigmoid_backward(dy, y, *, out=None):
    """The gradient of `sigmoid`: ``dy * y * (1 - y)``.

    Parameters
    ----------
    dy : array_like
        Gradient of y, of y's shape; rounded to y's dtype.
    y : array_like
        What the forward call returned.
    out : ndarray, optional
        Where to write dx: y's shape and dtype. May be dy or y itself.

    Returns
    -------
    dx : ndarray
        Of y's shape and dtype; ``out`` if that was given.

    Raises
    ------
    TypeError
        For complex, object, string, datetime, longdouble or masked arrays, an ``out`` of another dtype.
    ValueError
        For a 0-d input, inputs of different shapes, an ``out`` of another shape, that is read-only or overlaps itself.

    Notes
    -----
    The error is at most 4 eps of the dtype, relative to abs(dy) times the sum of the sizes of the terms of the
    derivative. Half precision is computed in float32 and then rounded.

    References
    ----------
    Goodfellow, Bengio & Courville, "Deep Learning", MIT Press, 2016, section 3.10.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> x = np.array([-1.0, 0.0, 2.0])
    >>> fastnorm.sigmoid_backward(np.ones(3), fastnorm.sigmoid(x)).round(3)
    array([0.197, 0.25 , 0.105])
    """
    cdef cnp.ndarray y_array = as_input(y, "y")
    cdef cnp.ndarray dy_array = as_input_like_x(dy, "dy", y_array)
    return backward(FN_SIGMOID, dy_array, y_array, 0, out)


def tanh(x, *, out=None):
    """The hyperbolic tangent: ``(exp(2x) - 1) / (exp(2x) + 1)``, number by number.

    Parameters
    ----------
    x : array_like
        Of float16, bfloat16, float32 or float64, at least 1-d; integers and booleans become float64. Any strides and
        byte order.
    out : ndarray, optional
        Where to write y: x's shape and dtype. May be x itself; any other overlap acts as if x was copied first.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` if that was given.

    Raises
    ------
    TypeError
        For complex, object, string, datetime, longdouble or masked arrays, an ``out`` of another dtype.
    ValueError
        For a 0-d input, an ``out`` of another shape, that is read-only or overlaps itself.

    Notes
    -----
    The error is at most 4 ulp of the result, far tails and subnormal numbers included. NaN gives NaN. Half
    precision is computed in float32 and then rounded.

    References
    ----------
    Goodfellow, Bengio & Courville, "Deep Learning", MIT Press, 2016, section 6.3.2.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> fastnorm.tanh(np.array([-1.0, 0.0, 2.0])).round(3)
    array([-0.762,  0.   ,  0.964])
    """
    cdef cnp.ndarray x_array = as_input(x, "x")
    return forward(FN_TANH, x_array, 0, out)


def tanh_backward(dy, y, *, out=None):
    """The gradient of `tanh`: ``dy * (1 - y) * (1 + y)``.

    Parameters
    ----------
    dy : array_like
        Gradient of y, of y's shape; rounded to y's dtype.
    y : array_like
        What the forward call returned.
    out : ndarray, optional
        Where to write dx: y's shape and dtype. May be dy or y itself.

    Returns
    -------
    dx : ndarray
        Of y's shape and dtype; ``out`` if that was given.

    Raises
    ------
    TypeError
        For complex, object, string, datetime, longdouble or masked arrays, an ``out`` of another dtype.
    ValueError
        For a 0-d input, inputs of different shapes, an ``out`` of another shape, that is read-only or overlaps itself.

    Notes
    -----
    The error is at most 4 eps of the dtype, relative to abs(dy) times the sum of the sizes of the terms of the
    derivative. Half precision is computed in float32 and then rounded.

    References
    ----------
    Goodfellow, Bengio & Courville, "Deep Learning", MIT Press, 2016, section 6.3.2.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> x = np.array([-1.0, 0.0, 2.0])
    >>> fastnorm.tanh_backward(np.ones(3), fastnorm.tanh(x)).round(3)
    array([0.42 , 1.   , 0.071])
    """
    cdef cnp.ndarray y_array = as_input(y, "y")
    cdef cnp.ndarray dy_array = as_input_like_x(dy, "dy", y_array)
    return backward(FN_TANH, dy_array, y_array, 0, out)


# GELU and SiLU. Text of this module, for another one would cost the wheel a shared object.
include "_activations_of_x.pxi"
