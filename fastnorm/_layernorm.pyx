"""LayerNorm: check, allocate, call."""

cimport numpy as cnp
from cpython.pystate cimport PyThreadState
from libc.math cimport HUGE_VAL

from fastnorm._activations cimport FN_LEAKY_RELU, as_activation, fn_activation
from fastnorm._arguments cimport (
    Layout, as_input, as_input_like_x, as_number, as_parameter, as_statistic, as_where, check_out, cut, data_or_null,
    deliver, new_features, new_rows, place_result)
from fastnorm._core cimport drivers_of, finish, fn_dtype, release_if_long

cdef extern from "layernorm.h" nogil:
    ctypedef struct fn_layernorm_drivers:
        int (*forward)(const fn_layernorm_fwd *op, fn_dtype dtype)
        int (*backward)(const fn_layernorm_bwd *op, fn_dtype dtype)

cnp.import_array()

cdef const fn_layernorm_drivers *layernorm = <const fn_layernorm_drivers *>drivers_of("layernorm")


cdef int work(fn_activation activation) noexcept:
    """Of a number, in units of its traffic: an exponential takes longer."""
    return 4 if activation > FN_LEAKY_RELU else 1


def layer_norm(
    x, gamma=None, beta=None, *, axis=-1, eps=1e-5, activation=None, where=None, out=None, return_stats=False
):
    """Normalize each row of x over its trailing axes: ``y = (x - mean) / sqrt(var + eps) * gamma + beta``.

    In the same pass over memory, on request: an activation of y; rows that are left out.

    Parameters
    ----------
    x : array_like
        Of float16, bfloat16, float32 or float64, at least 1-d; integers and booleans become float64. Any strides and byte
        order.
    gamma, beta : array_like, optional
        Scale and shift, of shape ``x.shape[axis:]``, rounded to x's dtype, to float32 in half precision. None
        stands for 1 and 0.
    axis : int, optional
        First of the trailing axes that are normalized over.
    eps : float, optional
        Added to the variance; finite and >= 0.
    activation : str, optional
        "relu", "leaky_relu" (of slope 0.01), "sigmoid", "tanh", "gelu", "gelu_tanh" or "silu": y is that of what is above,
        with the bits of the two steps.
    where : array_like of bool, optional
        Of shape ``x.shape[:axis]``. Rows where it is False are left out, whatever they hold: y is 0 there, mean 0 and
        rstd ``1 / sqrt(eps)``. The others have the bits of the call on ``x[where]``.
    out : ndarray, optional
        Where to write y: x's shape and dtype. May be x itself; any other overlap acts as if the inputs were copied first.
    return_stats : bool, optional
        Whether to return mean and rstd too, as `layer_norm_backward` wants them.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` if that was given.
    mean, rstd : ndarray
        Only with ``return_stats``: float64, of shape ``x.shape[:axis]``. ``rstd = 1 / sqrt(var + eps)``, var biased.

    Raises
    ------
    TypeError
        For complex, object, string, datetime, longdouble or masked arrays, an eps or axis that is no number,
        an activation that is no string, a ``where`` that is not boolean, an ``out`` of another dtype.
    ValueError
        For a 0-d x, a wrong shape, an eps that is negative or not finite, an activation of another name, an ``out`` that
        is read-only or overlaps itself.
    numpy.exceptions.AxisError
        For an axis that x does not have.

    Notes
    -----
    The error is at most 4 eps of the dtype: of y relative to the largest true abs(y) or abs(beta), of mean to the
    largest abs(x - mean) of its row, of rstd to itself (`test_error` and others in tests/test_numerics.py). A row gives the
    same bits alone and in any batch. NaN and infinity spoil their own row only. An activation is within 4 ulp of what it
    makes of the y that it was given. Half precision is computed in float32, y rounded once.

    References
    ----------
    Ba, Kiros & Hinton, "Layer Normalization", arXiv:1607.06450, 2016.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> fastnorm.layer_norm(np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]), eps=0).round(3)
    array([[-1.225,  0.   ,  1.225],
           [-1.225,  0.   ,  1.225]])
    >>> fastnorm.layer_norm(np.array([[1.0, 3.0], [np.nan, 0.0]]), eps=0, activation="relu", where=[True, False])
    array([[0., 1.],
           [0., 0.]])
    """
    cdef Layout layout
    cdef cnp.ndarray x_array = as_input(x, "x")
    cut(x_array, axis, &layout)
    cdef cnp.ndarray gamma_array = as_parameter(gamma, "gamma", x_array, &layout)
    cdef cnp.ndarray beta_array = as_parameter(beta, "beta", x_array, &layout)
    cdef double eps_value = as_number(eps, "eps", HUGE_VAL)
    cdef fn_activation which = as_activation(activation)
    cdef cnp.ndarray where_array = as_where(where, x_array, &layout)
    cdef bint stats = return_stats
    check_out(out, x_array)
    cdef cnp.ndarray y = place_result(out, x_array, None, gamma_array, beta_array, where_array)
    cdef cnp.ndarray mean = new_rows(x_array, &layout, cnp.NPY_DOUBLE) if stats else None
    cdef cnp.ndarray rstd = new_rows(x_array, &layout, cnp.NPY_DOUBLE) if stats else None
    cdef fn_layernorm_fwd op
    op.m = layout.rows
    op.n = layout.features
    op.x = cnp.PyArray_DATA(x_array)
    op.gamma = data_or_null(gamma_array)
    op.beta = data_or_null(beta_array)
    op.y = cnp.PyArray_DATA(y)
    op.mean = <double *>data_or_null(mean)
    op.rstd = <double *>data_or_null(rstd)
    op.eps = eps_value
    op.storage = layout.storage
    op.where = <const unsigned char *>data_or_null(where_array)
    op.activation = which
    cdef PyThreadState *released = release_if_long(layout.rows, work(which) * layout.features, layout.dtype)
    finish(released, layernorm.forward(&op, layout.dtype))
    if stats:
        return deliver(y, out), mean, rstd
    return deliver(y, out)


def layer_norm_backward(
    dy, x, mean, rstd, gamma=None, *, axis=-1, beta=None, activation=None, where=None, out=None
):
    """Gradients of `layer_norm`.

    Parameters
    ----------
    dy : array_like
        Gradient of y, of x's shape; rounded to x's dtype.
    x : array_like
        The input of the forward call.
    mean, rstd : array_like
        What the forward call returned with ``return_stats=True``: shape ``x.shape[:axis]``, read as float64.
    gamma : array_like, optional
        The scale of the forward call.
    axis : int, optional
        First of the trailing axes that were normalized over.
    beta : array_like, optional
        The shift of the forward call; it matters only where there is an activation.
    activation : str, optional
        That of the forward call.
    where : array_like of bool, optional
        That of the forward call. Rows that were left out have dx 0 and no part in dgamma and dbeta, whatever x, dy and
        the statistics hold there; the rest has the bits of the call on ``x[where]``.
    out : ndarray, optional
        Where to write dx: x's shape and dtype. May be x or dy itself.

    Returns
    -------
    dx : ndarray
        Of x's shape and dtype.
    dgamma : ndarray or None
        Of shape ``x.shape[axis:]`` and x's dtype, float32 in half precision; None where gamma is None.
    dbeta : ndarray
        Likewise, always returned.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `layer_norm` does.

    Notes
    -----
    With ``g = dy * gamma`` and ``xhat = (x - mean) * rstd``: ``dx = rstd * (g - mean(g) - xhat * mean(g * xhat))``,
    means over the normalized axes; ``dgamma = sum(dy * xhat)`` and ``dbeta = sum(dy)`` over the others. The error is at
    most 4 eps of the dtype: of dx relative to the larger of the largest abs(dx) and abs(rstd * gamma * dy), of dgamma
    and dbeta relative to the largest of their sizes and of the roots of the sums of their squared terms (`test_error`
    and others in tests/test_numerics.py). Over more than 16 rows dgamma and dbeta are sums of exact terms, rounded once:
    x and dy that take few values are as right as others (`test_few_numbers`).

    Behind an activation ``dy * activation'(z)`` takes the place of dy, where ``z = xhat * gamma + beta``. Nothing of the
    forward call is kept for that but x, mean and rstd: z is computed again from them, by the arithmetic of the forward
    call and, in float32, with its bits (float64 has rounded the mean). That takes less memory than one bit a number. In
    half precision all is computed in float32, and dx rounded once.

    References
    ----------
    Ba, Kiros & Hinton, "Layer Normalization", arXiv:1607.06450, 2016.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> x = np.array([[1.0, 2.0, 4.0]])
    >>> y, mean, rstd = fastnorm.layer_norm(x, return_stats=True)
    >>> dx, dgamma, dbeta = fastnorm.layer_norm_backward(np.array([[1.0, 0.0, 0.0]]), x, mean, rstd)
    >>> dx.round(3), dgamma, dbeta
    (array([[ 0.229, -0.344,  0.115]]), None, array([1., 0., 0.]))
    """
    cdef Layout layout
    cdef cnp.ndarray x_array = as_input(x, "x")
    cut(x_array, axis, &layout)
    cdef cnp.ndarray dy_array = as_input_like_x(dy, "dy", x_array)
    cdef cnp.ndarray mean_array = as_statistic(mean, "mean", x_array, &layout, True)
    cdef cnp.ndarray rstd_array = as_statistic(rstd, "rstd", x_array, &layout, True)
    cdef cnp.ndarray gamma_array = as_parameter(gamma, "gamma", x_array, &layout)
    cdef cnp.ndarray beta_array = as_parameter(beta, "beta", x_array, &layout)
    cdef fn_activation which = as_activation(activation)
    cdef cnp.ndarray where_array = as_where(where, x_array, &layout)
    check_out(out, x_array)
    cdef cnp.ndarray dx = place_result(out, x_array, dy_array, gamma_array, mean_array, rstd_array)
    if dx is out:
        dx = place_result(out, x_array, dy_array, beta_array, where_array, None)
    cdef cnp.ndarray dgamma = None if gamma_array is None else new_features(x_array, &layout, layout.typenum)
    cdef cnp.ndarray dbeta = new_features(x_array, &layout, layout.typenum)
    cdef fn_layernorm_bwd op
    op.m = layout.rows
    op.n = layout.features
    op.dy = cnp.PyArray_DATA(dy_array)
    op.x = cnp.PyArray_DATA(x_array)
    op.mean = <const double *>cnp.PyArray_DATA(mean_array)
    op.rstd = <const double *>cnp.PyArray_DATA(rstd_array)
    op.gamma = data_or_null(gamma_array)
    op.dx = cnp.PyArray_DATA(dx)
    op.dsum = NULL
    op.dgamma = data_or_null(dgamma)
    op.dbeta = cnp.PyArray_DATA(dbeta)
    op.storage = layout.storage
    op.beta = data_or_null(beta_array)
    op.where = <const unsigned char *>data_or_null(where_array)
    op.activation = which
    cdef PyThreadState *released = release_if_long(layout.rows, work(which) * layout.features, layout.dtype)
    finish(released, layernorm.backward(&op, layout.dtype))
    return deliver(dx, out), dgamma, dbeta
