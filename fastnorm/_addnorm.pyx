"""Residual and normalization: check, allocate, call."""

cimport numpy as cnp
from cpython.pystate cimport PyThreadState
from libc.math cimport HUGE_VAL

from fastnorm._activations cimport FN_NO_ACTIVATION
from fastnorm._arguments cimport (
    Layout,
    as_finite,
    as_input,
    as_input_like_x,
    as_number,
    as_parameter,
    as_statistic,
    cut,
    data_or_null,
    new_features,
    new_like,
    new_rows,
)
from fastnorm._core cimport drivers_of, finish, fn_dtype, release_if_long
from fastnorm._dropout cimport as_key, as_probability, fn_dropout_key, set_key
from fastnorm._layernorm cimport fn_layernorm_bwd, fn_layernorm_fwd
from fastnorm._rmsnorm cimport fn_rmsnorm_bwd, fn_rmsnorm_fwd

import numpy as np

cdef extern from "addnorm.h" nogil:
    ctypedef struct fn_addnorm_fwd:
        const void *x
        const void *residual
        void *sum
        int dropped
        double scale
        fn_dropout_key key

    ctypedef struct fn_addnorm_bwd:
        const void *dsum
        void *dresidual
        void *dx
        double scale
        fn_dropout_key key

    ctypedef struct fn_addnorm_drivers:
        int (*add_layer_norm)(const fn_addnorm_fwd *add, const fn_layernorm_fwd *norm, fn_dtype dtype)
        int (*add_layer_norm_backward)(const fn_addnorm_bwd *add, const fn_layernorm_bwd *norm, fn_dtype dtype)
        int (*add_rms_norm)(const fn_addnorm_fwd *add, const fn_rmsnorm_fwd *norm, fn_dtype dtype)
        int (*add_rms_norm_backward)(const fn_addnorm_bwd *add, const fn_rmsnorm_bwd *norm, fn_dtype dtype)

cnp.import_array()

cdef const fn_addnorm_drivers *drivers = <const fn_addnorm_drivers *>drivers_of("addnorm")


cdef object checked_key(object key, double p, bint generator):
    """(seed, offset), a generator where that is allowed, or None where nothing is dropped and none was given."""
    if key is None:
        if p > 0:
            raise ValueError(f"key is None, expected (seed, offset) as p is {p}")
        return None
    return key if generator and isinstance(key, np.random.Generator) else as_key(key)


cdef int work(double p) noexcept:
    """Of an element, in units of its traffic: random words take longer."""
    return 4 if p > 0 else 1


cdef cnp.ndarray describe_fwd(
    fn_addnorm_fwd *add, cnp.ndarray x, cnp.ndarray residual, object key, double p
):
    """Fills in add; returns the sum, not yet written."""
    cdef cnp.ndarray total = new_like(x)
    add.x = cnp.PyArray_DATA(x)
    add.residual = cnp.PyArray_DATA(residual)
    add.sum = cnp.PyArray_DATA(total)
    add.dropped = p > 0
    if p > 0:
        add.scale = 1 / (1 - p)
        set_key(&add.key, key, p)
    return total


cdef tuple describe_bwd(fn_addnorm_bwd *add, cnp.ndarray total, object key, double p):
    """Fills in add; returns dx and dresidual, not yet written: one array where nothing is dropped."""
    cdef cnp.ndarray dresidual = new_like(total)
    cdef cnp.ndarray dx = new_like(total) if p > 0 else dresidual
    add.dsum = NULL  # which the normalization adds
    add.dresidual = cnp.PyArray_DATA(dresidual)
    add.dx = cnp.PyArray_DATA(dx) if p > 0 else NULL
    if p > 0:
        add.scale = 1 / (1 - p)
        set_key(&add.key, key, p)
    return dx, dresidual


def add_layer_norm(
    x, residual, gamma=None, beta=None, *, p=0.0, key=None, axis=-1, eps=1e-5, return_stats=False
):
    """Add a residual and normalize the sum: ``sum = residual + dropout(x, p, key)``, ``y = layer_norm(sum, gamma, beta)``.

    The step between the blocks of a Transformer, in one pass over memory. Results have the bits of the
    single steps.

    Parameters
    ----------
    x : array_like
        Of float16, bfloat16, float32 or float64, at least 1-d; integers and booleans become float64. Any strides and byte
        order.
    residual : array_like
        Of x's shape; rounded to x's dtype.
    gamma, beta : array_like, optional
        Scale and shift, of shape ``x.shape[axis:]``, rounded to x's dtype, to float32 in half precision. None
        stands for 1 and 0.
    p : float, optional
        Probability that an element of x is dropped, in [0, 1). 0 drops nothing.
    key : tuple of int or numpy.random.Generator, optional
        As of `dropout`; needed where p is not 0.
    axis : int, optional
        First of the trailing axes that are normalized over.
    eps : float, optional
        Added to the variance; finite and >= 0.
    return_stats : bool, optional
        Whether to return mean and rstd too, as `add_layer_norm_backward` wants them.

    Returns
    -------
    y, sum : ndarray
        Of x's shape and dtype; the sum is the residual of the next block.
    mean, rstd : ndarray
        Only with ``return_stats``: float64, of shape ``x.shape[:axis]``.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `layer_norm` and `dropout` do; a ValueError if p is not 0 and there is no key.

    Notes
    -----
    The sum is rounded once, after the scaling of what is kept has been; of y the error bounds of
    `layer_norm` hold. Half precision is computed in float32: y is that of the sum before it is rounded, and is rounded once.

    References
    ----------
    Vaswani et al., "Attention Is All You Need", arXiv:1706.03762, 2017.
    Xiong et al., "On Layer Normalization in the Transformer Architecture", arXiv:2002.04745, 2020.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> y, total = fastnorm.add_layer_norm(np.array([[1.0, 2.0, 3.0]]), np.array([[0.0, 1.0, 5.0]]), eps=0)
    >>> y.round(3), total
    (array([[-1.019, -0.34 ,  1.359]]), array([[1., 3., 8.]]))
    """
    cdef Layout layout
    cdef cnp.ndarray x_array = as_input(x, "x")
    cut(x_array, axis, &layout)
    cdef cnp.ndarray residual_array = as_input_like_x(residual, "residual", x_array)
    cdef cnp.ndarray gamma_array = as_parameter(gamma, "gamma", x_array, &layout)
    cdef cnp.ndarray beta_array = as_parameter(beta, "beta", x_array, &layout)
    cdef double probability = as_probability(p), eps_value = as_number(eps, "eps", HUGE_VAL)
    cdef object key_checked = checked_key(key, probability, True)
    cdef bint stats = return_stats
    cdef fn_addnorm_fwd add
    cdef cnp.ndarray total = describe_fwd(&add, x_array, residual_array, key_checked, probability)
    cdef cnp.ndarray y = new_like(x_array)
    cdef cnp.ndarray mean = new_rows(x_array, &layout, cnp.NPY_DOUBLE) if stats else None
    cdef cnp.ndarray rstd = new_rows(x_array, &layout, cnp.NPY_DOUBLE) if stats else None
    cdef fn_layernorm_fwd norm
    norm.m = layout.rows
    norm.n = layout.features
    norm.storage = layout.storage
    norm.x = cnp.PyArray_DATA(total)
    norm.gamma = data_or_null(gamma_array)
    norm.beta = data_or_null(beta_array)
    norm.where = NULL
    norm.activation = FN_NO_ACTIVATION
    norm.y = cnp.PyArray_DATA(y)
    norm.mean = <double *>data_or_null(mean)
    norm.rstd = <double *>data_or_null(rstd)
    norm.eps = eps_value
    cdef PyThreadState *released = release_if_long(layout.rows, work(probability) * layout.features, layout.dtype)
    finish(released, drivers.add_layer_norm(&add, &norm, layout.dtype))
    return (y, total, mean, rstd) if stats else (y, total)


def add_layer_norm_backward(dy, dsum, sum, mean, rstd, gamma=None, *, p=0.0, key=None, axis=-1):
    """Gradients of `add_layer_norm`.

    Parameters
    ----------
    dy : array_like
        Gradient of y, of the sum's shape; rounded to its dtype.
    dsum : array_like or None
        Gradient of the sum, from where else it went; likewise. None where it went nowhere else.
    sum, mean, rstd : array_like
        What the forward call returned with ``return_stats=True``.
    gamma : array_like, optional
        The scale of the forward call.
    p : float, optional
        That of the forward call.
    key : tuple of int, optional
        That of the forward call; needed where p is not 0.
    axis : int, optional
        First of the trailing axes that were normalized over.

    Returns
    -------
    dx, dresidual : ndarray
        Of the sum's shape and dtype. One and the same array where p is 0.
    dgamma : ndarray or None
        Of shape ``sum.shape[axis:]`` and the sum's dtype, float32 in half precision; None where gamma is None.
    dbeta : ndarray
        Likewise, always returned.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `add_layer_norm` does; a generator as key is a TypeError, for it would give another mask.

    Notes
    -----
    ``dresidual = dsum + layer_norm_backward(dy, sum, ...)`` and ``dx = dropout_backward(dresidual, p, key)``, with the
    bits of these steps.

    References
    ----------
    Vaswani et al., "Attention Is All You Need", arXiv:1706.03762, 2017.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> x, residual = np.array([[1.0, 2.0, 3.0]]), np.array([[0.0, 0.0, 1.0]])
    >>> y, total, mean, rstd = fastnorm.add_layer_norm(x, residual, return_stats=True)
    >>> dx, dresidual, dgamma, dbeta = fastnorm.add_layer_norm_backward(
    ...     np.array([[1.0, 0.0, 0.0]]), np.ones((1, 3)), total, mean, rstd)
    >>> dx.round(3), dx is dresidual, dgamma, dbeta
    (array([[1.229, 0.656, 1.115]]), True, None, array([1., 0., 0.]))
    """
    cdef Layout layout
    cdef cnp.ndarray sum_array = as_input(sum, "sum")
    cut(sum_array, axis, &layout)
    cdef cnp.ndarray dy_array = as_input_like_x(dy, "dy", sum_array)
    cdef cnp.ndarray dsum_array = None if dsum is None else as_input_like_x(dsum, "dsum", sum_array)
    cdef cnp.ndarray mean_array = as_statistic(mean, "mean", sum_array, &layout, True)
    cdef cnp.ndarray rstd_array = as_statistic(rstd, "rstd", sum_array, &layout, True)
    cdef cnp.ndarray gamma_array = as_parameter(gamma, "gamma", sum_array, &layout)
    cdef double probability = as_probability(p)
    cdef object key_checked = checked_key(key, probability, False)
    cdef fn_addnorm_bwd add
    dx, dresidual = describe_bwd(&add, sum_array, key_checked, probability)
    cdef cnp.ndarray dgamma = None if gamma_array is None else new_features(sum_array, &layout, layout.typenum)
    cdef cnp.ndarray dbeta = new_features(sum_array, &layout, layout.typenum)
    cdef fn_layernorm_bwd norm
    norm.m = layout.rows
    norm.n = layout.features
    norm.storage = layout.storage
    norm.dy = cnp.PyArray_DATA(dy_array)
    norm.x = cnp.PyArray_DATA(sum_array)
    norm.mean = <const double *>cnp.PyArray_DATA(mean_array)
    norm.rstd = <const double *>cnp.PyArray_DATA(rstd_array)
    norm.gamma = data_or_null(gamma_array)
    norm.dx = cnp.PyArray_DATA(dresidual)
    norm.dsum = data_or_null(dsum_array)
    norm.dgamma = data_or_null(dgamma)
    norm.dbeta = cnp.PyArray_DATA(dbeta)
    norm.beta = NULL
    norm.where = NULL
    norm.activation = FN_NO_ACTIVATION
    cdef PyThreadState *released = release_if_long(layout.rows, work(probability) * layout.features, layout.dtype)
    finish(released, drivers.add_layer_norm_backward(&add, &norm, layout.dtype))
    return dx, dresidual, dgamma, dbeta


def add_rms_norm(
    x, residual, gamma=None, *, p=0.0, key=None, axis=-1, eps=1e-5, offset=0.0, return_stats=False
):
    """Add a residual and normalize the sum: ``sum = residual + dropout(x, p, key)``, ``y = rms_norm(sum, gamma)``.

    The step between the blocks of a Transformer, in one pass over memory. Results have the bits of the
    single steps.

    Parameters
    ----------
    x : array_like
        Of float16, bfloat16, float32 or float64, at least 1-d; integers and booleans become float64. Any strides and byte
        order.
    residual : array_like
        Of x's shape; rounded to x's dtype.
    gamma : array_like, optional
        Scale, of shape ``x.shape[axis:]``, rounded to x's dtype, to float32 in half precision. None stands
        for a factor of 1, whatever the offset.
    p : float, optional
        Probability that an element of x is dropped, in [0, 1). 0 drops nothing.
    key : tuple of int or numpy.random.Generator, optional
        As of `dropout`; needed where p is not 0.
    axis : int, optional
        First of the trailing axes that are normalized over.
    eps : float, optional
        Added to the mean square; finite and >= 0.
    offset : float, optional
        Added to gamma; finite.
    return_stats : bool, optional
        Whether to return rstd too, as `add_rms_norm_backward` wants it.

    Returns
    -------
    y, sum : ndarray
        Of x's shape and dtype; the sum is the residual of the next block.
    rstd : ndarray
        Only with ``return_stats``: float64, of shape ``x.shape[:axis]``.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `rms_norm` and `dropout` do; a ValueError if p is not 0 and there is no key.

    Notes
    -----
    The sum is rounded once, after the scaling of what is kept has been; of y the error bounds of
    `rms_norm` hold. Half precision is computed in float32: y is that of the sum before it is rounded, and is rounded once.

    References
    ----------
    Zhang & Sennrich, "Root Mean Square Layer Normalization", arXiv:1910.07467, 2019.
    Touvron et al., "LLaMA: Open and Efficient Foundation Language Models", arXiv:2302.13971, 2023.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> y, total = fastnorm.add_rms_norm(np.array([[1.0, 2.0]]), np.array([[2.0, 2.0]]), eps=0)
    >>> y.round(3), total
    (array([[0.849, 1.131]]), array([[3., 4.]]))
    """
    cdef Layout layout
    cdef cnp.ndarray x_array = as_input(x, "x")
    cut(x_array, axis, &layout)
    cdef cnp.ndarray residual_array = as_input_like_x(residual, "residual", x_array)
    cdef cnp.ndarray gamma_array = as_parameter(gamma, "gamma", x_array, &layout)
    cdef double probability = as_probability(p), eps_value = as_number(eps, "eps", HUGE_VAL)
    cdef double offset_value = as_finite(offset, "offset")
    cdef object key_checked = checked_key(key, probability, True)
    cdef bint stats = return_stats
    cdef fn_addnorm_fwd add
    cdef cnp.ndarray total = describe_fwd(&add, x_array, residual_array, key_checked, probability)
    cdef cnp.ndarray y = new_like(x_array)
    cdef cnp.ndarray rstd = new_rows(x_array, &layout, cnp.NPY_DOUBLE) if stats else None
    cdef fn_rmsnorm_fwd norm
    norm.m = layout.rows
    norm.n = layout.features
    norm.storage = layout.storage
    norm.x = cnp.PyArray_DATA(total)
    norm.gamma = data_or_null(gamma_array)
    norm.offset = offset_value
    norm.y = cnp.PyArray_DATA(y)
    norm.rstd = <double *>data_or_null(rstd)
    norm.eps = eps_value
    cdef PyThreadState *released = release_if_long(layout.rows, work(probability) * layout.features, layout.dtype)
    finish(released, drivers.add_rms_norm(&add, &norm, layout.dtype))
    return (y, total, rstd) if stats else (y, total)


def add_rms_norm_backward(dy, dsum, sum, rstd, gamma=None, *, p=0.0, key=None, axis=-1, offset=0.0):
    """Gradients of `add_rms_norm`.

    Parameters
    ----------
    dy : array_like
        Gradient of y, of the sum's shape; rounded to its dtype.
    dsum : array_like or None
        Gradient of the sum, from where else it went; likewise. None where it went nowhere else.
    sum, rstd : array_like
        What the forward call returned with ``return_stats=True``.
    gamma : array_like, optional
        The scale of the forward call.
    p : float, optional
        That of the forward call.
    key : tuple of int, optional
        That of the forward call; needed where p is not 0.
    axis : int, optional
        First of the trailing axes that were normalized over.
    offset : float, optional
        That of the forward call.

    Returns
    -------
    dx, dresidual : ndarray
        Of the sum's shape and dtype. One and the same array where p is 0.
    dgamma : ndarray or None
        Of shape ``sum.shape[axis:]`` and the sum's dtype, float32 in half precision; None where gamma is None.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `add_rms_norm` does; a generator as key is a TypeError, for it would give another mask.

    Notes
    -----
    ``dresidual = dsum + rms_norm_backward(dy, sum, ...)`` and ``dx = dropout_backward(dresidual, p, key)``, with the
    bits of these steps.

    References
    ----------
    Zhang & Sennrich, "Root Mean Square Layer Normalization", arXiv:1910.07467, 2019.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> y, total, rstd = fastnorm.add_rms_norm(np.ones((1, 2)), np.array([[2.0, 3.0]]), return_stats=True)
    >>> dx, dresidual, dgamma = fastnorm.add_rms_norm_backward(np.array([[1.0, 0.0]]), None, total, rstd)
    >>> dx.round(3), dgamma
    (array([[ 0.181, -0.136]]), None)
    """
    cdef Layout layout
    cdef cnp.ndarray sum_array = as_input(sum, "sum")
    cut(sum_array, axis, &layout)
    cdef cnp.ndarray dy_array = as_input_like_x(dy, "dy", sum_array)
    cdef cnp.ndarray dsum_array = None if dsum is None else as_input_like_x(dsum, "dsum", sum_array)
    cdef cnp.ndarray rstd_array = as_statistic(rstd, "rstd", sum_array, &layout, True)
    cdef cnp.ndarray gamma_array = as_parameter(gamma, "gamma", sum_array, &layout)
    cdef double probability = as_probability(p), offset_value = as_finite(offset, "offset")
    cdef object key_checked = checked_key(key, probability, False)
    cdef fn_addnorm_bwd add
    dx, dresidual = describe_bwd(&add, sum_array, key_checked, probability)
    cdef cnp.ndarray dgamma = None if gamma_array is None else new_features(sum_array, &layout, layout.typenum)
    cdef fn_rmsnorm_bwd norm
    norm.m = layout.rows
    norm.n = layout.features
    norm.storage = layout.storage
    norm.dy = cnp.PyArray_DATA(dy_array)
    norm.x = cnp.PyArray_DATA(sum_array)
    norm.rstd = <const double *>cnp.PyArray_DATA(rstd_array)
    norm.gamma = data_or_null(gamma_array)
    norm.offset = offset_value
    norm.dx = cnp.PyArray_DATA(dresidual)
    norm.dsum = data_or_null(dsum_array)
    norm.dgamma = data_or_null(dgamma)
    cdef PyThreadState *released = release_if_long(layout.rows, work(probability) * layout.features, layout.dtype)
    finish(released, drivers.add_rms_norm_backward(&add, &norm, layout.dtype))
    return dx, dresidual, dgamma
