"""BatchNorm with given statistics: check, allocate, call."""

cimport numpy as cnp
from cpython.pystate cimport PyThreadState
from libc.math cimport HUGE_VAL

from fastnorm._activations cimport as_activation, fn_activation
from fastnorm._arguments cimport (
    Layout, as_number, as_parameter, as_statistic, check_out, data_or_null, deliver, lies_like, new_features, new_like)
from fastnorm._batchnorm cimport (
    as_array_beside, as_residual, finish_of, fn_batchnorm_drivers, fn_batchnorm_inference, fn_batchnorm_inference_bwd,
    fn_channels_first, gradients, lies_beside, place, plain_unless, take_channels)
from fastnorm._core cimport drivers_of, finish, release_if_long

cnp.import_array()

cdef const fn_batchnorm_drivers *batchnorm = <const fn_batchnorm_drivers *>drivers_of("batchnorm")


def batch_norm_inference(x, running_mean, running_var, gamma=None, beta=None, *, axis=-1, eps=1e-5, residual=None,
                         activation=None, out=None):
    """Normalize x with given statistics: ``y = (x - running_mean) / sqrt(running_var + eps) * gamma + beta``.

    Parameters
    ----------
    x : array_like
        Of float32, float64, float16 or bfloat16, at least 1-d, channels last; integers and booleans become float64. Any
        strides and byte order. Of channels-first memory seen through ``np.moveaxis(x, 1, -1)``, if it is no half
        precision, no copy is made.
    running_mean, running_var : array_like
        Statistics of shape ``x.shape[axis:]``, read as float64.
    gamma, beta : array_like, optional
        Scale and shift, of shape ``x.shape[axis:]``, rounded to x's dtype, of half precision to float32. None stands for
        1 and 0.
    axis : int, optional
        First of the trailing axes that are features.
    eps : float, optional
        Added to the variance; finite and >= 0.
    residual : array_like, optional
        Added to what is normalized: of x's shape, rounded to x's dtype.
    activation : str, optional
        What is applied last: "relu", "leaky_relu" (of slope 0.01), "sigmoid", "tanh", "gelu", "gelu_tanh" or "silu".
    out : ndarray, optional
        Where to write y: x's shape and dtype. May be x itself; any other overlap acts as if the inputs were copied first.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` if that was given.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `batch_norm` does.

    Notes
    -----
    With a residual or an activation ``y = activation(z + residual)``, z being what there would be without: the bits of
    these steps one after the other, in one pass over memory. Channels-first memory is copied beside a residual that does
    not lie like it.

    The error of y is at most 4 eps of the dtype, relative to the largest true abs(y) or abs(beta) (`test_error` and
    others in tests/test_numerics.py). NaN and infinity spoil their own channel only.

    References
    ----------
    Ioffe & Szegedy, "Batch Normalization", arXiv:1502.03167, 2015.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> fastnorm.batch_norm_inference(np.array([[1.0, 10.0]]), [0.0, 8.0], [4.0, 1.0], eps=0)
    array([[0.5, 2. ]])
    """
    cdef Layout layout
    cdef fn_channels_first first
    cdef fn_activation follows = as_activation(activation)
    cdef cnp.ndarray x_array = take_channels(x, axis, &layout, &first)
    x_array = plain_unless(lies_beside(residual, x_array, &first), x_array, &first)
    cdef cnp.ndarray mean_array = as_statistic(running_mean, "running_mean", x_array, &layout, False)
    cdef cnp.ndarray var_array = as_statistic(running_var, "running_var", x_array, &layout, False)
    cdef cnp.ndarray gamma_array = as_parameter(gamma, "gamma", x_array, &layout)
    cdef cnp.ndarray beta_array = as_parameter(beta, "beta", x_array, &layout)
    cdef cnp.ndarray residual_array = as_residual(residual, x_array, &first)
    cdef double eps_value = as_number(eps, "eps", HUGE_VAL)
    check_out(out, x_array)
    cdef cnp.ndarray y = place(out, x_array, residual_array, gamma_array, beta_array, mean_array, &first)
    if y is out:
        y = place(out, x_array, residual_array, var_array, None, None, &first)
    cdef fn_batchnorm_inference op
    op.m = layout.rows
    op.c = op.stride = layout.features
    op.first = first
    op.x = cnp.PyArray_DATA(x_array)
    op.running_mean = <const double *>cnp.PyArray_DATA(mean_array)
    op.running_var = <const double *>cnp.PyArray_DATA(var_array)
    op.gamma = data_or_null(gamma_array)
    op.beta = data_or_null(beta_array)
    op.y = cnp.PyArray_DATA(y)
    op.eps = eps_value
    op.finish = finish_of(residual_array, follows)
    op.storage = layout.storage
    cdef PyThreadState *released = release_if_long(layout.rows, layout.features, layout.dtype)
    finish(released, batchnorm.inference(&op, layout.dtype))
    return deliver(y, out)


def batch_norm_inference_backward(dy, x, running_mean, running_var, gamma=None, *, axis=-1, eps=1e-5, beta=None,
                                  residual=None, activation=None, out=None):
    """Gradients of `batch_norm_inference`, of which the statistics are constants: for fine-tuning with frozen ones.

    Parameters
    ----------
    dy : array_like
        Gradient of y, of x's shape; rounded to x's dtype.
    x : array_like
        The input of the forward call.
    running_mean, running_var : array_like
        Its statistics, of shape ``x.shape[axis:]``, read as float64.
    gamma : array_like, optional
        Its scale. Without it, and without an activation, only the shape and dtype of x matter.
    axis : int, optional
        First of the trailing axes that are features.
    eps : float, optional
        Added to the variance; finite and >= 0.
    beta : array_like, optional
        The shift of the forward call; it matters only with an activation.
    residual, activation : optional
        Those of the forward call.
    out : ndarray, optional
        Where to write dx: x's shape and dtype. May be x or dy itself.

    Returns
    -------
    dx : ndarray
        Of x's shape and dtype.
    dgamma : ndarray or None
        Of shape ``x.shape[axis:]`` and x's dtype, of half precision float32; None where gamma is None.
    dbeta : ndarray
        Likewise, always returned.
    dresidual : ndarray
        Of x's shape and dtype; only with a residual.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `batch_norm` does.

    Notes
    -----
    With ``rstd = 1 / sqrt(running_var + eps)``: ``dx = dy * (gamma * rstd)``, without the terms by which the statistics
    of a batch depend on x, ``dgamma = sum(dy * (x - running_mean) * rstd)`` and ``dbeta = sum(dy)``. Error bounds as for
    `batch_norm_backward`, whose sums these are; float64 products of dy and x - running_mean below 1e-290 lose digits.
    Each array is read or written once. A residual and an activation as in `batch_norm_backward`.

    References
    ----------
    Ioffe & Szegedy, "Batch Normalization", arXiv:1502.03167, 2015: the derivative of algorithm 2, line 11.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> x, dy = np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [0.0], [2.0]])
    >>> fastnorm.batch_norm_inference_backward(dy, x, [2.0], [4.0], [3.0], eps=0)
    (array([[1.5],
           [0. ],
           [3. ]]), array([1.5]), array([3.]))
    """
    cdef Layout layout
    cdef fn_channels_first first
    cdef fn_activation follows = as_activation(activation)
    cdef cnp.ndarray x_array = take_channels(x, axis, &layout, &first)
    x_array = plain_unless(
        lies_like(dy, x_array, first.run) and lies_beside(residual, x_array, &first), x_array, &first)
    cdef cnp.ndarray dy_array = as_array_beside(dy, "dy", x_array, &first)
    cdef cnp.ndarray mean_array = as_statistic(running_mean, "running_mean", x_array, &layout, False)
    cdef cnp.ndarray var_array = as_statistic(running_var, "running_var", x_array, &layout, False)
    cdef cnp.ndarray gamma_array = as_parameter(gamma, "gamma", x_array, &layout)
    cdef cnp.ndarray beta_array = as_parameter(beta, "beta", x_array, &layout)
    cdef cnp.ndarray residual_array = as_residual(residual, x_array, &first)
    cdef double eps_value = as_number(eps, "eps", HUGE_VAL)
    check_out(out, x_array)
    cdef cnp.ndarray dx = place(out, x_array, dy_array, gamma_array, mean_array, var_array, &first)
    if dx is out and (beta_array is not None or residual_array is not None):
        dx = place(out, x_array, dy_array, beta_array, residual_array, None, &first)
    cdef cnp.ndarray dgamma = None if gamma_array is None else new_features(x_array, &layout, layout.typenum)
    cdef cnp.ndarray dbeta = new_features(x_array, &layout, layout.typenum)
    cdef cnp.ndarray dresidual = None if residual is None else new_like(x_array)
    cdef fn_batchnorm_inference_bwd op
    op.m = layout.rows
    op.c = op.stride = layout.features
    op.first = first
    op.dy = cnp.PyArray_DATA(dy_array)
    op.x = cnp.PyArray_DATA(x_array)
    op.running_mean = <const double *>cnp.PyArray_DATA(mean_array)
    op.running_var = <const double *>cnp.PyArray_DATA(var_array)
    op.gamma = data_or_null(gamma_array)
    op.dx = cnp.PyArray_DATA(dx)
    op.dgamma = data_or_null(dgamma)
    op.dbeta = cnp.PyArray_DATA(dbeta)
    op.eps = eps_value
    op.storage = layout.storage
    op.finish.of = finish_of(residual_array, follows)
    op.finish.beta = data_or_null(beta_array)
    op.finish.dresidual = data_or_null(dresidual)
    cdef PyThreadState *released = release_if_long(layout.rows, layout.features, layout.dtype)
    finish(released, batchnorm.inference_backward(&op, layout.dtype))
    return gradients(dx, out, dgamma, dbeta, dresidual)
