"""GroupNorm and InstanceNorm: check, allocate, call."""

cimport numpy as cnp
from cpython.pystate cimport PyThreadState
from libc.math cimport HUGE_VAL

from fastnorm._arguments cimport (
    Layout, as_channels, as_group_statistic, as_groups, as_number, as_parameter, as_statistic_of_any_groups, check_out,
    check_samples, data_or_null, deliver, lies_like, new_features, new_groups, plain)
from fastnorm._batchnorm cimport as_array_beside, fn_channels_first, place, plain_unless
from fastnorm._core cimport drivers_of, finish, fn_dtype, fn_storage, release_if_long

cdef extern from "groupnorm.h" nogil:
    ctypedef struct fn_groupnorm_fwd:
        Py_ssize_t m, p, c, groups
        const void *x
        const void *gamma
        const void *beta
        void *y
        double *mean
        double *rstd
        double eps
        fn_channels_first first
        fn_storage storage

    ctypedef struct fn_groupnorm_bwd:
        Py_ssize_t m, p, c, groups
        const void *dy
        const void *x
        const double *mean
        const double *rstd
        const void *gamma
        void *dx
        void *dgamma
        void *dbeta
        fn_channels_first first
        fn_storage storage

    ctypedef struct fn_groupnorm_drivers:
        bint (*takes_channels_first)(Py_ssize_t p, Py_ssize_t c, fn_dtype dtype)
        int (*forward)(const fn_groupnorm_fwd *op, fn_dtype dtype)
        int (*backward)(const fn_groupnorm_bwd *op, fn_dtype dtype)

cnp.import_array()

cdef const fn_groupnorm_drivers *groupnorm = <const fn_groupnorm_drivers *>drivers_of("groupnorm")


cdef Py_ssize_t positions_of(cnp.ndarray x) noexcept:
    """How many positions a sample has."""
    cdef Py_ssize_t p = 1
    cdef int i
    for i in range(1, cnp.PyArray_NDIM(x) - 1):
        p *= cnp.PyArray_DIM(x, i)
    return p


cdef cnp.ndarray take_samples(object x, Layout *layout, fn_channels_first *first):
    """x and its layout: in channels-first memory as it is, if kernels take it so; else plain."""
    cdef cnp.ndarray array = as_channels(x, -1, layout, &first.run)
    cdef Py_ssize_t p
    first.result_too = False
    check_samples(array)
    if first.run:
        p = positions_of(array)
        if first.run != p or not groupnorm.takes_channels_first(p, layout.features, layout.dtype):
            first.run = 0
            return plain(array, layout.typenum)
    return array


cdef object forward(cnp.ndarray x, const Layout *layout, fn_channels_first first, Py_ssize_t groups, object gamma,
                    object beta, object eps, object out, bint stats):
    cdef cnp.ndarray gamma_array = as_parameter(gamma, "gamma", x, layout)
    cdef cnp.ndarray beta_array = as_parameter(beta, "beta", x, layout)
    cdef double eps_value = as_number(eps, "eps", HUGE_VAL)
    check_out(out, x)
    cdef cnp.ndarray y = place(out, x, None, gamma_array, beta_array, None, &first)
    cdef cnp.ndarray mean = new_groups(x, groups) if stats else None
    cdef cnp.ndarray rstd = new_groups(x, groups) if stats else None
    cdef fn_groupnorm_fwd op
    op.m = cnp.PyArray_DIM(x, 0)
    op.p = positions_of(x)
    op.c = layout.features
    op.groups = groups
    op.x = cnp.PyArray_DATA(x)
    op.gamma = data_or_null(gamma_array)
    op.beta = data_or_null(beta_array)
    op.y = cnp.PyArray_DATA(y)
    op.mean = <double *>data_or_null(mean)
    op.rstd = <double *>data_or_null(rstd)
    op.eps = eps_value
    op.first = first
    op.storage = layout.storage
    cdef PyThreadState *released = release_if_long(layout.rows, layout.features, layout.dtype)
    finish(released, groupnorm.forward(&op, layout.dtype))
    if stats:
        return deliver(y, out), mean, rstd
    return deliver(y, out)


cdef object backward(object dy, object x, object mean, object rstd, object gamma, object out, bint of_channels):
    """of_channels: every channel is a group."""
    cdef Layout layout
    cdef fn_channels_first first
    cdef cnp.ndarray x_array = take_samples(x, &layout, &first)
    x_array = plain_unless(lies_like(dy, x_array, first.run), x_array, &first)
    cdef cnp.ndarray dy_array = as_array_beside(dy, "dy", x_array, &first)
    cdef cnp.ndarray mean_array
    if of_channels:
        mean_array = as_group_statistic(mean, "mean", x_array, layout.features)
    else:
        mean_array = as_statistic_of_any_groups(mean, "mean", x_array)
    cdef Py_ssize_t groups = cnp.PyArray_DIM(mean_array, 1)
    cdef cnp.ndarray rstd_array = as_group_statistic(rstd, "rstd", x_array, groups)
    cdef cnp.ndarray gamma_array = as_parameter(gamma, "gamma", x_array, &layout)
    check_out(out, x_array)
    cdef cnp.ndarray dx = place(out, x_array, dy_array, gamma_array, mean_array, rstd_array, &first)
    cdef cnp.ndarray dgamma = None if gamma_array is None else new_features(x_array, &layout, layout.typenum)
    cdef cnp.ndarray dbeta = new_features(x_array, &layout, layout.typenum)
    cdef fn_groupnorm_bwd op
    op.m = cnp.PyArray_DIM(x_array, 0)
    op.p = positions_of(x_array)
    op.c = layout.features
    op.groups = groups
    op.dy = cnp.PyArray_DATA(dy_array)
    op.x = cnp.PyArray_DATA(x_array)
    op.mean = <const double *>cnp.PyArray_DATA(mean_array)
    op.rstd = <const double *>cnp.PyArray_DATA(rstd_array)
    op.gamma = data_or_null(gamma_array)
    op.dx = cnp.PyArray_DATA(dx)
    op.dgamma = data_or_null(dgamma)
    op.dbeta = cnp.PyArray_DATA(dbeta)
    op.first = first
    op.storage = layout.storage
    cdef PyThreadState *released = release_if_long(layout.rows, layout.features, layout.dtype)
    finish(released, groupnorm.backward(&op, layout.dtype))
    return deliver(dx, out), dgamma, dbeta


def group_norm(x, gamma=None, beta=None, *, groups, eps=1e-5, out=None, return_stats=False):
    """Normalize each group of channels of each sample: ``y = (x - mean) / sqrt(var + eps) * gamma + beta``.

    Parameters
    ----------
    x : array_like
        Of float32, float64, float16 or bfloat16, of shape (m, ..., c): samples, positions, channels. Integers and booleans
        become float64. Any strides and byte order. Of shape (m, c) there is one position. Of channels-first memory seen
        through ``np.moveaxis(x, 1, -1)``, if it is no half precision, and of 64 positions or more, no copy is made.
    gamma, beta : array_like, optional
        Scale and shift, of shape (c,), rounded to x's dtype, of half precision to float32. None stands for 1 and 0.
    groups : int
        How many groups the channels are cut into, each of c / groups that follow each other. 1 takes all together; of c
        groups see `instance_norm`.
    eps : float, optional
        Added to the variance; finite and >= 0.
    out : ndarray, optional
        Where to write y: x's shape and dtype. May be x itself; any other overlap acts as if the inputs were copied first.
    return_stats : bool, optional
        Whether to return mean and rstd too, as `group_norm_backward` wants them.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` if that was given.
    mean, rstd : ndarray
        Only with ``return_stats``: float64, of shape (m, groups). ``rstd = 1 / sqrt(var + eps)``, var biased.

    Raises
    ------
    TypeError
        For complex, object, string, datetime, longdouble or masked arrays, an eps or groups that is no number, an ``out``
        of another dtype.
    ValueError
        For an x of fewer than two dimensions, a wrong shape, an eps that is negative or not finite, groups that do not divide the channels, an
        ``out`` that is read-only or overlaps itself.

    Notes
    -----
    The error is at most 4 eps of the dtype: of y relative to the largest true abs(y), of mean to the largest
    abs(x - mean) of its group, of rstd to itself (`test_error` in tests/test_groupnorm.py). NaN and infinity spoil their
    own group of their own sample only. The bits of a sample depend on that sample alone: not on the others, the number of
    threads or the CPU.

    References
    ----------
    Wu & He, "Group Normalization", arXiv:1803.08494, 2018.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> fastnorm.group_norm(np.array([[1.0, 3.0, 10.0, 30.0]]), groups=2, eps=0)
    array([[-1.,  1., -1.,  1.]])
    """
    cdef Layout layout
    cdef fn_channels_first first
    cdef cnp.ndarray x_array = take_samples(x, &layout, &first)
    return forward(x_array, &layout, first, as_groups(groups, x_array), gamma, beta, eps, out, return_stats)


def group_norm_backward(dy, x, mean, rstd, gamma=None, *, out=None):
    """Gradients of `group_norm`.

    Parameters
    ----------
    dy : array_like
        Gradient of y, of x's shape; rounded to x's dtype.
    x : array_like
        The input of the forward call.
    mean, rstd : array_like
        What the forward call returned with ``return_stats=True``: shape (m, groups), read as float64.
    gamma : array_like, optional
        The scale of the forward call.
    out : ndarray, optional
        Where to write dx: x's shape and dtype. May be x or dy itself.

    Returns
    -------
    dx : ndarray
        Of x's shape and dtype.
    dgamma : ndarray or None
        Of shape (c,) and x's dtype, of half precision float32; None where gamma is None.
    dbeta : ndarray
        Likewise, always returned.

    Raises
    ------
    TypeError, ValueError
        As `group_norm` does.

    Notes
    -----
    With ``xhat = (x - mean) * rstd``, ``g = dy * gamma`` and means over a group:
    ``dx = rstd * (g - mean(g) - xhat * mean(g * xhat))``, and over samples and positions ``dgamma = sum(dy * xhat)``,
    ``dbeta = sum(dy)``. The error is at most 4 eps of the dtype: of dx relative to the larger of the largest abs(dx) and
    abs(rstd * g), of dgamma and dbeta relative to the largest of their sizes and of the roots of the sums of their
    squared terms (`test_error` in tests/test_groupnorm.py). The sums are formed without an error that shows.

    References
    ----------
    Wu & He, "Group Normalization", arXiv:1803.08494, 2018.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> x, dy = np.array([[1.0, 3.0, 10.0, 30.0]]), np.array([[1.0, 0.0, 0.0, 0.0]])
    >>> y, mean, rstd = fastnorm.group_norm(x, groups=1, return_stats=True)
    >>> dx, dgamma, dbeta = fastnorm.group_norm_backward(dy, x, mean, rstd)
    >>> dx.round(4), dgamma, dbeta
    (array([[ 0.0488, -0.0351, -0.0235,  0.0097]]), None, array([1., 0., 0., 0.]))
    """
    return backward(dy, x, mean, rstd, gamma, out, False)


def instance_norm(x, gamma=None, beta=None, *, eps=1e-5, out=None, return_stats=False):
    """Normalize each channel of each sample: ``y = (x - mean) / sqrt(var + eps) * gamma + beta``.

    Parameters
    ----------
    x : array_like
        Of float32, float64, float16 or bfloat16, of shape (m, ..., c): samples, positions, channels. Integers and booleans
        become float64. Any strides and byte order. Of shape (m, c) there is one position. Of channels-first memory seen
        through ``np.moveaxis(x, 1, -1)``, if it is no half precision, and of 64 positions or more, no copy is made.
    gamma, beta : array_like, optional
        Scale and shift, of shape (c,), rounded to x's dtype, of half precision to float32. None stands for 1 and 0.
    eps : float, optional
        Added to the variance; finite and >= 0.
    out : ndarray, optional
        Where to write y: x's shape and dtype. May be x itself; any other overlap acts as if the inputs were copied first.
    return_stats : bool, optional
        Whether to return mean and rstd too, as `instance_norm_backward` wants them.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` if that was given.
    mean, rstd : ndarray
        Only with ``return_stats``: float64, of shape (m, c). ``rstd = 1 / sqrt(var + eps)``, var biased.

    Raises
    ------
    TypeError
        For complex, object, string, datetime, longdouble or masked arrays, an eps that is no number, an ``out``
        of another dtype.
    ValueError
        For an x of fewer than two dimensions, a wrong shape, an eps that is negative or not finite, an
        ``out`` that is read-only or overlaps itself.

    Notes
    -----
    The error is at most 4 eps of the dtype: of y relative to the largest true abs(y), of mean to the largest
    abs(x - mean) of its group, of rstd to itself (`test_error` in tests/test_groupnorm.py). NaN and infinity spoil their
    own group of their own sample only. The bits of a sample depend on that sample alone: not on the others, the number of
    threads or the CPU.

    References
    ----------
    Ulyanov, Vedaldi & Lempitsky, "Instance Normalization", arXiv:1607.08022, 2016.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> fastnorm.instance_norm(np.array([[[1.0, 10.0], [3.0, 30.0]]]), eps=0)
    array([[[-1., -1.],
            [ 1.,  1.]]])
    """
    cdef Layout layout
    cdef fn_channels_first first
    cdef cnp.ndarray x_array = take_samples(x, &layout, &first)
    return forward(x_array, &layout, first, layout.features, gamma, beta, eps, out, return_stats)


def instance_norm_backward(dy, x, mean, rstd, gamma=None, *, out=None):
    """Gradients of `instance_norm`.

    Parameters
    ----------
    dy : array_like
        Gradient of y, of x's shape; rounded to x's dtype.
    x : array_like
        The input of the forward call.
    mean, rstd : array_like
        What the forward call returned with ``return_stats=True``: shape (m, c), read as float64.
    gamma : array_like, optional
        The scale of the forward call.
    out : ndarray, optional
        Where to write dx: x's shape and dtype. May be x or dy itself.

    Returns
    -------
    dx : ndarray
        Of x's shape and dtype.
    dgamma : ndarray or None
        Of shape (c,) and x's dtype, of half precision float32; None where gamma is None.
    dbeta : ndarray
        Likewise, always returned.

    Raises
    ------
    TypeError, ValueError
        As `instance_norm` does.

    Notes
    -----
    With ``xhat = (x - mean) * rstd``, ``g = dy * gamma`` and means over a channel of a sample:
    ``dx = rstd * (g - mean(g) - xhat * mean(g * xhat))``, and over samples and positions ``dgamma = sum(dy * xhat)``,
    ``dbeta = sum(dy)``. The error is at most 4 eps of the dtype: of dx relative to the larger of the largest abs(dx) and
    abs(rstd * g), of dgamma and dbeta relative to the largest of their sizes and of the roots of the sums of their
    squared terms (`test_error` in tests/test_groupnorm.py). The sums are formed without an error that shows.

    References
    ----------
    Ulyanov, Vedaldi & Lempitsky, "Instance Normalization", arXiv:1607.08022, 2016.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> x = np.array([[[1.0], [2.0], [4.0]]])
    >>> y, mean, rstd = fastnorm.instance_norm(x, return_stats=True)
    >>> dx, dgamma, dbeta = fastnorm.instance_norm_backward(np.array([[[1.0], [0.0], [0.0]]]), x, mean, rstd)
    >>> dx.round(3).ravel(), dgamma, dbeta
    (array([ 0.229, -0.344,  0.115]), None, array([1.]))
    """
    return backward(dy, x, mean, rstd, gamma, out, True)
