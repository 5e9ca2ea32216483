"""BatchNorm: check, allocate, call."""

cimport numpy as cnp
from cpython.pystate cimport PyThreadState
from libc.math cimport HUGE_VAL

from fastnorm._arguments cimport (
    Layout, as_channels, as_input, as_input_like_x, as_number, as_parameter, as_statistic, check_apart, check_out,
    check_running, cut, data_or_null, deliver, lies_like, new_features, place_channels, place_result, plain)
from fastnorm._core cimport FN_FLOAT32, FN_FLOAT64, drivers_of, finish, fn_dtype, release_if_long

cdef extern from "batchnorm.h" nogil:
    ctypedef struct fn_channels_first:
        Py_ssize_t run
        bint result_too

    ctypedef struct fn_batchnorm_fwd:
        Py_ssize_t m, c, stride
        const void *x
        const void *gamma
        const void *beta
        void *y
        double *mean
        double *rstd
        double *m2
        double eps
        fn_channels_first first

    ctypedef struct fn_batchnorm_inference:
        Py_ssize_t m, c, stride
        const void *x
        const double *running_mean
        const double *running_var
        const void *gamma
        const void *beta
        void *y
        double eps
        fn_channels_first first

    ctypedef struct fn_batchnorm_bwd:
        Py_ssize_t m, c, stride
        const void *dy
        const void *x
        const double *mean
        const double *rstd
        const void *gamma
        void *dx
        void *dgamma
        void *dbeta
        fn_channels_first first

    ctypedef struct fn_batchnorm_inference_bwd:
        Py_ssize_t m, c, stride
        const void *dy
        const void *x
        const double *running_mean
        const double *running_var
        const void *gamma
        void *dx
        void *dgamma
        void *dbeta
        double eps

    ctypedef struct fn_batchnorm_drivers:
        bint (*takes_channels_first)(Py_ssize_t m, Py_ssize_t c, fn_dtype dtype)
        int (*forward)(const fn_batchnorm_fwd *op, fn_dtype dtype)
        int (*inference)(const fn_batchnorm_inference *op, fn_dtype dtype)
        int (*backward)(const fn_batchnorm_bwd *op, fn_dtype dtype)
        int (*inference_backward)(const fn_batchnorm_inference_bwd *op, fn_dtype dtype)
        void (*update_running)(void *running, const double *batch, Py_ssize_t c, double momentum, fn_dtype dtype)

import numpy as np

cnp.import_array()

cdef const fn_batchnorm_drivers *batchnorm = <const fn_batchnorm_drivers *>drivers_of("batchnorm")


cdef cnp.ndarray take_channels(object x, object axis, Layout *layout, fn_channels_first *first):
    """x in channels-first memory as it is, if kernels take it so; else as the plain array that it is equal to."""
    cdef cnp.ndarray array = as_channels(x, axis, layout, &first.run)
    first.result_too = False
    if first.run and not batchnorm.takes_channels_first(layout.rows, layout.features, layout.dtype):
        first.run = 0
        return plain(array, layout.typenum)
    return array


cdef cnp.ndarray place(object out, cnp.ndarray x, cnp.ndarray same, cnp.ndarray b, cnp.ndarray c, cnp.ndarray d,
                       fn_channels_first *first):
    if first.run:
        return place_channels(out, x, same, b, c, d, first.run, &first.result_too)
    return place_result(out, x, same, b, c, d)


cdef int check_running_pair(object mean, object var, object out, cnp.ndarray x, const Layout *layout) except -1:
    if mean is None and var is None:
        return 0
    if mean is None or var is None:
        missing, given = ("running_mean", "running_var") if mean is None else ("running_var", "running_mean")
        raise ValueError(f"{missing} is None but {given} is given, expected both or neither")
    check_running(mean, "running_mean", x, layout)
    check_running(var, "running_var", x, layout)
    check_apart(mean, "running_mean", var, "running_var")
    check_apart(mean, "running_mean", out, "out")
    check_apart(var, "running_var", out, "out")
    return 0


cdef int update_one(cnp.ndarray running, const double *batch, Py_ssize_t c, double momentum) except -1:
    cdef int typenum = cnp.PyArray_TYPE(running)
    # strided, misaligned or byte-swapped statistics are updated in a plain copy that is written back
    cdef cnp.ndarray held = cnp.PyArray_FROM_OTF(running, typenum, cnp.NPY_ARRAY_CARRAY_RO | cnp.NPY_ARRAY_NOTSWAPPED)
    batchnorm.update_running(
        cnp.PyArray_DATA(held), batch, c, momentum, FN_FLOAT32 if typenum == cnp.NPY_FLOAT else FN_FLOAT64)
    if held is not running:
        np.copyto(running, held)
    return 0


cdef int update_running(object mean, object var, cnp.ndarray batch_mean, cnp.ndarray m2, const Layout *layout,
                        double momentum, bint unbiased) except -1:
    """Moves both running statistics towards the batch; m2 becomes the batch variance on the way."""
    cdef double count = <double>layout.rows
    cdef double *var_of = <double *>cnp.PyArray_DATA(m2)
    cdef Py_ssize_t j
    if layout.rows == 0:
        return 0
    if unbiased and layout.rows > 1:
        count -= 1
    for j in range(layout.features):
        var_of[j] = var_of[j] / count
    update_one(mean, <const double *>cnp.PyArray_DATA(batch_mean), layout.features, momentum)
    update_one(var, var_of, layout.features, momentum)
    return 0


def batch_norm(x, gamma=None, beta=None, *, axis=-1, eps=1e-5, running_mean=None, running_var=None, momentum=0.1,
               unbiased=True, out=None, return_stats=False):
    """Normalize each feature of x over the batch (training): ``y = (x - mean) / sqrt(var + eps) * gamma + beta``.

    Parameters
    ----------
    x : array_like
        Of float32 or float64, at least 1-d, channels last; integers and booleans become float64. Any strides
        and byte order. Of channels-first memory seen through ``np.moveaxis(x, 1, -1)`` no copy is made.
    gamma, beta : array_like, optional
        Scale and shift, of shape ``x.shape[axis:]``, rounded to x's dtype. None stands for 1 and 0.
    axis : int, optional
        First of the trailing axes that are features; the statistics are taken over all axes before it. -1 normalizes
        each channel, 1 each position of each channel.
    eps : float, optional
        Added to the variance; finite and >= 0.
    running_mean, running_var : ndarray, optional
        Both or neither: float32 or float64 of shape ``x.shape[axis:]``, updated in place to
        ``(1 - momentum) * old + momentum * batch``, rounded once. Left alone if the batch has no rows.
    momentum : float, optional
        Weight of this batch in the running statistics, in [0, 1].
    unbiased : bool, optional
        Whether running_var takes the unbiased variance (of more than one row). y always uses the biased one.
    out : ndarray, optional
        Where to write y: x's shape and dtype. May be x itself; any other overlap acts as if the inputs were copied first.
    return_stats : bool, optional
        Whether to return mean and rstd too, as `batch_norm_backward` wants them.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` if that was given.
    mean, rstd : ndarray
        Only with ``return_stats``: float64, of shape ``x.shape[axis:]``. ``rstd = 1 / sqrt(var + eps)``, var biased.

    Raises
    ------
    TypeError
        For complex, object, string, datetime, longdouble, float16 or masked arrays; an eps, momentum or axis that is no
        number; an ``out`` of another dtype; running statistics that are no float32 or float64 ndarrays.
    ValueError
        For a 0-d x, a wrong shape, an eps or momentum out of range, arrays to be written that are read-only, overlap
        themselves or each other.
    numpy.exceptions.AxisError
        For an axis that x does not have.

    Notes
    -----
    The error is at most 4 eps of the dtype: of y relative to the largest true abs(y) or abs(beta), of mean to the
    largest abs(x - mean) of its channel, of rstd to itself (`test_error` and others in tests/test_numerics.py). NaN and
    infinity spoil their own channel only; its running statistics are NaN from then on. The bits do not depend on the
    number of threads or on the CPU.

    References
    ----------
    Ioffe & Szegedy, "Batch Normalization", arXiv:1502.03167, 2015.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> fastnorm.batch_norm(np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]), eps=0).round(3)
    array([[-1.225, -1.225],
           [ 0.   ,  0.   ],
           [ 1.225,  1.225]])
    """
    cdef Layout layout
    cdef fn_channels_first first
    cdef cnp.ndarray x_array = take_channels(x, axis, &layout, &first)
    cdef cnp.ndarray gamma_array = as_parameter(gamma, "gamma", x_array, &layout)
    cdef cnp.ndarray beta_array = as_parameter(beta, "beta", x_array, &layout)
    cdef double eps_value = as_number(eps, "eps", HUGE_VAL)
    cdef double momentum_value = as_number(momentum, "momentum", 1)
    cdef bint stats = return_stats, unbiased_variance = unbiased
    check_out(out, x_array)
    check_running_pair(running_mean, running_var, out, x_array, &layout)
    cdef bint running = running_mean is not None
    cdef cnp.ndarray y = place(out, x_array, None, gamma_array, beta_array, None, &first)
    cdef cnp.ndarray mean = new_features(x_array, &layout, cnp.NPY_DOUBLE) if stats or running else None
    cdef cnp.ndarray rstd = new_features(x_array, &layout, cnp.NPY_DOUBLE) if stats else None
    cdef cnp.ndarray m2 = new_features(x_array, &layout, cnp.NPY_DOUBLE) if running else None
    cdef fn_batchnorm_fwd op
    op.m = layout.rows
    op.c = op.stride = layout.features
    op.first = first
    op.x = cnp.PyArray_DATA(x_array)
    op.gamma = data_or_null(gamma_array)
    op.beta = data_or_null(beta_array)
    op.y = cnp.PyArray_DATA(y)
    op.mean = <double *>data_or_null(mean)
    op.rstd = <double *>data_or_null(rstd)
    op.m2 = <double *>data_or_null(m2)
    op.eps = eps_value
    cdef PyThreadState *released = release_if_long(layout.rows, layout.features, layout.dtype)
    finish(released, batchnorm.forward(&op, layout.dtype))
    if running:
        update_running(running_mean, running_var, mean, m2, &layout, momentum_value, unbiased_variance)
    if stats:
        return deliver(y, out), mean, rstd
    return deliver(y, out)


def batch_norm_inference(x, running_mean, running_var, gamma=None, beta=None, *, axis=-1, eps=1e-5, out=None):
    """Normalize x with given statistics: ``y = (x - running_mean) / sqrt(running_var + eps) * gamma + beta``.

    Parameters
    ----------
    x : array_like
        Of float32 or float64, at least 1-d, channels last; integers and booleans become float64. Any strides
        and byte order. Of channels-first memory seen through ``np.moveaxis(x, 1, -1)`` no copy is made.
    running_mean, running_var : array_like
        Statistics of shape ``x.shape[axis:]``, read as float64.
    gamma, beta : array_like, optional
        Scale and shift, of shape ``x.shape[axis:]``, rounded to x's dtype. None stands for 1 and 0.
    axis : int, optional
        First of the trailing axes that are features.
    eps : float, optional
        Added to the variance; finite and >= 0.
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
    cdef cnp.ndarray x_array = take_channels(x, axis, &layout, &first)
    cdef cnp.ndarray mean_array = as_statistic(running_mean, "running_mean", x_array, &layout, False)
    cdef cnp.ndarray var_array = as_statistic(running_var, "running_var", x_array, &layout, False)
    cdef cnp.ndarray gamma_array = as_parameter(gamma, "gamma", x_array, &layout)
    cdef cnp.ndarray beta_array = as_parameter(beta, "beta", x_array, &layout)
    cdef double eps_value = as_number(eps, "eps", HUGE_VAL)
    check_out(out, x_array)
    cdef cnp.ndarray y = place(out, x_array, None, gamma_array, beta_array, mean_array, &first)
    if y is out:
        y = place(out, x_array, None, var_array, None, None, &first)
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
    cdef PyThreadState *released = release_if_long(layout.rows, layout.features, layout.dtype)
    finish(released, batchnorm.inference(&op, layout.dtype))
    return deliver(y, out)


def batch_norm_backward(dy, x, mean, rstd, gamma=None, *, axis=-1, out=None):
    """Gradients of `batch_norm`.

    Parameters
    ----------
    dy : array_like
        Gradient of y, of x's shape; rounded to x's dtype.
    x : array_like
        The input of the forward call.
    mean, rstd : array_like
        What the forward call returned with ``return_stats=True``: shape ``x.shape[axis:]``, read as float64.
    gamma : array_like, optional
        The scale of the forward call.
    axis : int, optional
        First of the trailing axes that are features.
    out : ndarray, optional
        Where to write dx: x's shape and dtype. May be x or dy itself.

    Returns
    -------
    dx : ndarray
        Of x's shape and dtype.
    dgamma : ndarray or None
        Of shape ``x.shape[axis:]`` and x's dtype; None where gamma is None.
    dbeta : ndarray
        Likewise, always returned.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `batch_norm` does.

    Notes
    -----
    With ``xhat = (x - mean) * rstd`` and m rows: ``dgamma = sum(dy * xhat)``, ``dbeta = sum(dy)``,
    ``dx = gamma * rstd * (dy - dbeta / m - xhat * dgamma / m)``. The error is at most 4 eps of the dtype: of dx
    relative to the larger of the largest abs(dx) and abs(rstd * gamma * dy), of dgamma and dbeta relative to the
    largest of their sizes and of the roots of the sums of their squared terms (`test_error` and others in
    tests/test_numerics.py). The sums are formed without an error that shows, float32 in double: dgamma and dbeta of data
    that take few values are as right as others (`test_few_numbers`).

    References
    ----------
    Ioffe & Szegedy, "Batch Normalization", arXiv:1502.03167, 2015.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> x = np.array([[1.0], [2.0], [4.0]])
    >>> y, mean, rstd = fastnorm.batch_norm(x, return_stats=True)
    >>> dx, dgamma, dbeta = fastnorm.batch_norm_backward(np.array([[1.0], [0.0], [0.0]]), x, mean, rstd)
    >>> dx.round(3).ravel(), dgamma, dbeta
    (array([ 0.229, -0.344,  0.115]), None, array([1.]))
    """
    cdef Layout layout
    cdef fn_channels_first first
    cdef cnp.ndarray x_array = take_channels(x, axis, &layout, &first)
    cdef cnp.ndarray dy_array
    if first.run and lies_like(dy, x_array, first.run):
        dy_array = dy
    else:
        dy_array = as_input_like_x(dy, "dy", x_array)
        x_array = plain(x_array, layout.typenum)
        first.run = 0
    cdef cnp.ndarray mean_array = as_statistic(mean, "mean", x_array, &layout, False)
    cdef cnp.ndarray rstd_array = as_statistic(rstd, "rstd", x_array, &layout, False)
    cdef cnp.ndarray gamma_array = as_parameter(gamma, "gamma", x_array, &layout)
    check_out(out, x_array)
    cdef cnp.ndarray dx = place(out, x_array, dy_array, gamma_array, mean_array, rstd_array, &first)
    cdef cnp.ndarray dgamma = None if gamma_array is None else new_features(x_array, &layout, layout.typenum)
    cdef cnp.ndarray dbeta = new_features(x_array, &layout, layout.typenum)
    cdef fn_batchnorm_bwd op
    op.m = layout.rows
    op.c = op.stride = layout.features
    op.first = first
    op.dy = cnp.PyArray_DATA(dy_array)
    op.x = cnp.PyArray_DATA(x_array)
    op.mean = <const double *>cnp.PyArray_DATA(mean_array)
    op.rstd = <const double *>cnp.PyArray_DATA(rstd_array)
    op.gamma = data_or_null(gamma_array)
    op.dx = cnp.PyArray_DATA(dx)
    op.dgamma = data_or_null(dgamma)
    op.dbeta = cnp.PyArray_DATA(dbeta)
    cdef PyThreadState *released = release_if_long(layout.rows, layout.features, layout.dtype)
    finish(released, batchnorm.backward(&op, layout.dtype))
    return deliver(dx, out), dgamma, dbeta


def batch_norm_inference_backward(dy, x, running_mean, running_var, gamma=None, *, axis=-1, eps=1e-5, out=None):
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
        Its scale. Without it only the shape and dtype of x matter.
    axis : int, optional
        First of the trailing axes that are features.
    eps : float, optional
        Added to the variance; finite and >= 0.
    out : ndarray, optional
        Where to write dx: x's shape and dtype. May be x or dy itself.

    Returns
    -------
    dx : ndarray
        Of x's shape and dtype.
    dgamma : ndarray or None
        Of shape ``x.shape[axis:]`` and x's dtype; None where gamma is None.
    dbeta : ndarray
        Likewise, always returned.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `batch_norm` does.

    Notes
    -----
    With ``rstd = 1 / sqrt(running_var + eps)``: ``dx = dy * (gamma * rstd)``, without the terms by which the statistics
    of a batch depend on x, ``dgamma = sum(dy * (x - running_mean) * rstd)`` and ``dbeta = sum(dy)``. Error bounds as for
    `batch_norm_backward`, whose sums these are; float64 products of dy and x - running_mean below 1e-290 lose digits.
    Each array is read or written once.

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
    cdef cnp.ndarray x_array = as_input(x, "x")
    cut(x_array, axis, &layout)
    cdef cnp.ndarray dy_array = as_input_like_x(dy, "dy", x_array)
    cdef cnp.ndarray mean_array = as_statistic(running_mean, "running_mean", x_array, &layout, False)
    cdef cnp.ndarray var_array = as_statistic(running_var, "running_var", x_array, &layout, False)
    cdef cnp.ndarray gamma_array = as_parameter(gamma, "gamma", x_array, &layout)
    cdef double eps_value = as_number(eps, "eps", HUGE_VAL)
    check_out(out, x_array)
    cdef cnp.ndarray dx = place_result(out, x_array, dy_array, gamma_array, mean_array, var_array)
    cdef cnp.ndarray dgamma = None if gamma_array is None else new_features(x_array, &layout, layout.typenum)
    cdef cnp.ndarray dbeta = new_features(x_array, &layout, layout.typenum)
    cdef fn_batchnorm_inference_bwd op
    op.m = layout.rows
    op.c = op.stride = layout.features
    op.dy = cnp.PyArray_DATA(dy_array)
    op.x = cnp.PyArray_DATA(x_array)
    op.running_mean = <const double *>cnp.PyArray_DATA(mean_array)
    op.running_var = <const double *>cnp.PyArray_DATA(var_array)
    op.gamma = data_or_null(gamma_array)
    op.dx = cnp.PyArray_DATA(dx)
    op.dgamma = data_or_null(dgamma)
    op.dbeta = cnp.PyArray_DATA(dbeta)
    op.eps = eps_value
    cdef PyThreadState *released = release_if_long(layout.rows, layout.features, layout.dtype)
    finish(released, batchnorm.inference_backward(&op, layout.dtype))
    return deliver(dx, out), dgamma, dbeta
