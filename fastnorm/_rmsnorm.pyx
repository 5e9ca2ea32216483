"""RMSNorm: check, allocate, call."""

cimport numpy as cnp
from cpython.pystate cimport PyThreadState
from libc.math cimport HUGE_VAL

from fastnorm._arguments cimport (
    Layout, as_finite, as_input, as_input_like_x, as_number, as_parameter, as_statistic, check_out, cut,
    data_or_null, deliver, new_features, new_rows, place_result)
from fastnorm._core cimport drivers_of, finish, fn_dtype, release_if_long

cdef extern from "rmsnorm.h" nogil:
    ctypedef struct fn_rmsnorm_drivers:
        int (*forward)(const fn_rmsnorm_fwd *op, fn_dtype dtype)
        int (*backward)(const fn_rmsnorm_bwd *op, fn_dtype dtype)

cnp.import_array()

cdef const fn_rmsnorm_drivers *rmsnorm = <const fn_rmsnorm_drivers *>drivers_of("rmsnorm")


def rms_norm(x, gamma=None, *, axis=-1, eps=1e-5, offset=0.0, out=None, return_stats=False):
    """Scale each row of x by its root mean square: ``y = x / sqrt(mean(x**2) + eps) * (offset + gamma)``.

    Parameters
    ----------
    x : array_like
        Of float16, bfloat16, float32 or float64, at least 1-d; integers and booleans become float64. Any strides and byte
        order.
    gamma : array_like, optional
        Scale, of shape ``x.shape[axis:]``, rounded to x's dtype, to float32 in half precision. None stands
        for a factor of 1, whatever the offset.
    axis : int, optional
        First of the trailing axes that the mean is taken over.
    eps : float, optional
        Added to the mean square; finite and >= 0.
    offset : float, optional
        What is added to gamma, the sum being rounded once; finite. 1 where a model keeps its scale as what it
        differs from 1 by.
    out : ndarray, optional
        Where to write y: x's shape and dtype. May be x itself; any other overlap acts as if the inputs were copied first.
    return_stats : bool, optional
        Whether to return rstd too, as `rms_norm_backward` wants it.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` if that was given.
    rstd : ndarray
        Only with ``return_stats``: ``1 / sqrt(mean(x**2) + eps)``, float64, of shape ``x.shape[:axis]``.

    Raises
    ------
    TypeError
        For complex, object, string, datetime, longdouble or masked arrays, an eps, offset or axis that is no
        number, an ``out`` of another dtype.
    ValueError
        For a 0-d x, a wrong shape, an eps that is negative, an eps or offset that is not finite, an ``out`` that is read-only or
        overlaps itself.
    numpy.exceptions.AxisError
        For an axis that x does not have.

    Notes
    -----
    The error is at most 4 eps of the dtype: of y relative to the largest true abs(y), of rstd to itself (`test_error`
    and others in tests/test_numerics.py). NaN and infinity spoil their own row only. The bits of a row depend on that
    row alone: not on the other rows, the number of threads or the CPU. Half precision is computed in float32, y rounded
    once.

    References
    ----------
    Zhang & Sennrich, "Root Mean Square Layer Normalization", arXiv:1910.07467, 2019.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> fastnorm.rms_norm(np.array([[3.0, 4.0], [30.0, 40.0]]), eps=0).round(3)
    array([[0.849, 1.131],
           [0.849, 1.131]])
    """
    cdef Layout layout
    cdef cnp.ndarray x_array = as_input(x, "x")
    cut(x_array, axis, &layout)
    cdef cnp.ndarray gamma_array = as_parameter(gamma, "gamma", x_array, &layout)
    cdef double eps_value = as_number(eps, "eps", HUGE_VAL)
    cdef double offset_value = as_finite(offset, "offset")
    cdef bint stats = return_stats
    check_out(out, x_array)
    cdef cnp.ndarray y = place_result(out, x_array, None, gamma_array, None, None)
    cdef cnp.ndarray rstd = new_rows(x_array, &layout, cnp.NPY_DOUBLE) if stats else None
    cdef fn_rmsnorm_fwd op
    op.m = layout.rows
    op.n = layout.features
    op.x = cnp.PyArray_DATA(x_array)
    op.gamma = data_or_null(gamma_array)
    op.offset = offset_value
    op.y = cnp.PyArray_DATA(y)
    op.rstd = <double *>data_or_null(rstd)
    op.eps = eps_value
    op.storage = layout.storage
    cdef PyThreadState *released = release_if_long(layout.rows, layout.features, layout.dtype)
    finish(released, rmsnorm.forward(&op, layout.dtype))
    if stats:
        return deliver(y, out), rstd
    return deliver(y, out)


def rms_norm_backward(dy, x, rstd, gamma=None, *, axis=-1, offset=0.0, out=None):
    """Gradients of `rms_norm`.

    Parameters
    ----------
    dy : array_like
        Gradient of y, of x's shape; rounded to x's dtype.
    x : array_like
        The input of the forward call.
    rstd : array_like
        What the forward call returned with ``return_stats=True``: shape ``x.shape[:axis]``, read as float64.
    gamma : array_like, optional
        The scale of the forward call.
    axis : int, optional
        First of the trailing axes that the mean was taken over.
    offset : float, optional
        That of the forward call.
    out : ndarray, optional
        Where to write dx: x's shape and dtype. May be x or dy itself.

    Returns
    -------
    dx : ndarray
        Of x's shape and dtype.
    dgamma : ndarray or None
        Of shape ``x.shape[axis:]`` and x's dtype, float32 in half precision; None where gamma is None.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `rms_norm` does.

    Notes
    -----
    With ``xhat = x * rstd``, ``g = dy * (offset + gamma)`` and the mean over the features of a row:
    ``dx = rstd * (g - xhat * mean(g * xhat))``, and over the rows ``dgamma = sum(dy * xhat)``. The error is at most 4
    eps of the dtype: of dx relative to the larger of the largest abs(dx) and abs(rstd * g), of dgamma relative to the
    larger of its size and of the root of the sum of its squared terms (`test_error` and others in
    tests/test_numerics.py). The terms of dgamma are formed without an error that shows.

    References
    ----------
    Zhang & Sennrich, "Root Mean Square Layer Normalization", arXiv:1910.07467, 2019.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> x = np.array([[3.0, 4.0]])
    >>> y, rstd = fastnorm.rms_norm(x, return_stats=True)
    >>> dx, dgamma = fastnorm.rms_norm_backward(np.array([[1.0, 0.0]]), x, rstd, np.ones(2))
    >>> dx.round(3), dgamma.round(3)
    (array([[ 0.181, -0.136]]), array([0.849, 0.   ]))
    """
    cdef Layout layout
    cdef cnp.ndarray x_array = as_input(x, "x")
    cut(x_array, axis, &layout)
    cdef cnp.ndarray dy_array = as_input_like_x(dy, "dy", x_array)
    cdef cnp.ndarray rstd_array = as_statistic(rstd, "rstd", x_array, &layout, True)
    cdef cnp.ndarray gamma_array = as_parameter(gamma, "gamma", x_array, &layout)
    cdef double offset_value = as_finite(offset, "offset")
    check_out(out, x_array)
    cdef cnp.ndarray dx = place_result(out, x_array, dy_array, gamma_array, rstd_array, None)
    cdef cnp.ndarray dgamma = None if gamma_array is None else new_features(x_array, &layout, layout.typenum)
    cdef fn_rmsnorm_bwd op
    op.m = layout.rows
    op.n = layout.features
    op.dy = cnp.PyArray_DATA(dy_array)
    op.x = cnp.PyArray_DATA(x_array)
    op.rstd = <const double *>cnp.PyArray_DATA(rstd_array)
    op.gamma = data_or_null(gamma_array)
    op.offset = offset_value
    op.dx = cnp.PyArray_DATA(dx)
    op.dsum = NULL
    op.dgamma = data_or_null(dgamma)
    op.storage = layout.storage
    cdef PyThreadState *released = release_if_long(layout.rows, layout.features, layout.dtype)
    finish(released, rmsnorm.backward(&op, layout.dtype))
    return deliver(dx, out), dgamma
