"""BatchNorm: check, allocate, call."""

cimport numpy as cnp
from cpython.pystate cimport PyThreadState
from libc.math cimport HUGE_VAL

from fastnorm._activations cimport as_activation, fn_activation
from fastnorm._arguments cimport (
    Layout, as_channels, as_input_like_x, as_number, as_parameter, as_statistic, as_where, check_apart, check_out, check_running,
    data_or_null, deliver, lies_like, new_features, new_like, place_channels, place_result, plain)
from fastnorm._core cimport FN_FLOAT32, FN_FLOAT64, drivers_of, finish, release_if_long

import numpy as np

cnp.import_array()

cdef const fn_batchnorm_drivers *batchnorm = <const fn_batchnorm_drivers *>drivers_of("batchnorm")


cdef fn_finish finish_of(cnp.ndarray residual, fn_activation activation) noexcept:
    cdef fn_finish result
    result.residual = data_or_null(residual)
    result.activation = activation
    return result


cdef cnp.ndarray take_channels(object x, object axis, Layout *layout, fn_channels_first *first):
    """x in channels-first memory as it is, if kernels take it so; else as the plain array that it is equal to."""
    cdef cnp.ndarray array = as_channels(x, axis, layout, &first.run)
    first.result_too = False
    if first.run and not batchnorm.takes_channels_first(layout.rows, layout.features, layout.dtype):
        first.run = 0
        return plain(array, layout.typenum)
    return array


cdef bint lies_beside(object a, cnp.ndarray x, const fn_channels_first *first) noexcept:
    """Whether a, if there is one, lies in channels-first memory as x does."""
    return a is None or lies_like(a, x, first.run)


cdef cnp.ndarray plain_unless(bint alike, cnp.ndarray x, fn_channels_first *first):
    """x as take_channels gave it, if all that is taken beside it lies as it does; else plain, as that will be."""
    if first.run and not alike:
        first.run = 0
        return plain(x, cnp.PyArray_TYPE(x))
    return x


cdef cnp.ndarray as_array_beside(object a, str name, cnp.ndarray x, const fn_channels_first *first):
    """dy or a residual beside such an x."""
    return <cnp.ndarray>a if first.run else as_input_like_x(a, name, x)


cdef cnp.ndarray as_residual(object residual, cnp.ndarray x, const fn_channels_first *first):
    return None if residual is None else as_array_beside(residual, "residual", x, first)


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


cdef int update_running(object mean, object var, cnp.ndarray batch_mean, cnp.ndarray m2, Py_ssize_t rows,
                        Py_ssize_t features, double momentum, bint unbiased) except -1:
    """Moves both running statistics towards the batch; m2 becomes the batch variance on the way."""
    cdef double count = <double>rows
    cdef double *var_of = <double *>cnp.PyArray_DATA(m2)
    cdef Py_ssize_t j
    if rows == 0:
        return 0
    if unbiased and rows > 1:
        count -= 1
    for j in range(features):
        var_of[j] = var_of[j] / count
    update_one(mean, <const double *>cnp.PyArray_DATA(batch_mean), features, momentum)
    update_one(var, var_of, features, momentum)
    return 0


cdef object gradients(cnp.ndarray dx, object out, cnp.ndarray dgamma, cnp.ndarray dbeta, cnp.ndarray dresidual):
    if dresidual is None:
        return deliver(dx, out), dgamma, dbeta
    return deliver(dx, out), dgamma, dbeta, dresidual


def batch_norm(x, gamma=None, beta=None, *, axis=-1, eps=1e-5, running_mean=None, running_var=None, momentum=0.1,
               unbiased=True, residual=None, activation=None, where=None, out=None, return_stats=False):
    """Normalize each feature of x over the batch (training): ``y = (x - mean) / sqrt(var + eps) * gamma + beta``.

    Parameters
    ----------
    x : array_like
        Of float32, float64, float16 or bfloat16, at least 1-d, channels last; integers and booleans become float64. Any
        strides and byte order. Of channels-first memory seen through ``np.moveaxis(x, 1, -1)``, if it is no half
        precision, no copy is made.
    gamma, beta : array_like, optional
        Scale and shift, of shape ``x.shape[axis:]``, rounded to x's dtype, of half precision to float32. None stands for
        1 and 0.
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
    residual : array_like, optional
        Added to what is normalized: of x's shape, rounded to x's dtype.
    activation : str, optional
        What is applied last: "relu", "leaky_relu" (of slope 0.01), "sigmoid", "tanh", "gelu", "gelu_tanh" or "silu".
    where : array_like of bool, optional
        Which rows take part: of shape ``x.shape[:axis]``. The others count for nothing, and get zeros.
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
        For complex, object, string, datetime, longdouble or masked arrays; an eps, momentum or axis that is no
        number; an ``out`` of another dtype; running statistics that are no float32 or float64 ndarrays.
    ValueError
        For a 0-d x, a wrong shape, an eps or momentum out of range, arrays to be written that are read-only, overlap
        themselves or each other.
    numpy.exceptions.AxisError
        For an axis that x does not have.

    Notes
    -----
    Half precision is computed in float32 and rounded once: the result is that of ``x.astype(np.float32)``, rounded.

    With ``where`` y, the statistics and the running statistics are, bit for bit, those of the call on ``x[where]``.

    With a residual or an activation ``y = activation(z + residual)``, z being what there would be without: the bits of
    these steps one after the other, in one pass over memory. Channels-first memory is copied beside a residual that does
    not lie like it, or with ``where``.

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
    cdef fn_activation follows = as_activation(activation)
    cdef cnp.ndarray x_array = take_channels(x, axis, &layout, &first)
    x_array = plain_unless(where is None and lies_beside(residual, x_array, &first), x_array, &first)
    cdef cnp.ndarray gamma_array = as_parameter(gamma, "gamma", x_array, &layout)
    cdef cnp.ndarray beta_array = as_parameter(beta, "beta", x_array, &layout)
    cdef cnp.ndarray residual_array = as_residual(residual, x_array, &first)
    cdef cnp.ndarray where_array = as_where(where, x_array, &layout)
    cdef double eps_value = as_number(eps, "eps", HUGE_VAL)
    cdef double momentum_value = as_number(momentum, "momentum", 1)
    cdef bint stats = return_stats, unbiased_variance = unbiased
    check_out(out, x_array)
    check_running_pair(running_mean, running_var, out, x_array, &layout)
    cdef bint running = running_mean is not None
    cdef cnp.ndarray y = place(out, x_array, residual_array, gamma_array, beta_array, None, &first)
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
    op.finish = finish_of(residual_array, follows)
    op.storage = layout.storage
    op.where = <const unsigned char *>data_or_null(where_array)
    cdef PyThreadState *released = release_if_long(layout.rows, layout.features, layout.dtype)
    finish(released, batchnorm.forward(&op, layout.dtype))
    if running:
        rows = layout.rows if where_array is None else np.count_nonzero(where_array)
        update_running(running_mean, running_var, mean, m2, rows, layout.features, momentum_value, unbiased_variance)
    if stats:
        return deliver(y, out), mean, rstd
    return deliver(y, out)


def batch_norm_backward(dy, x, mean, rstd, gamma=None, *, axis=-1, beta=None, residual=None, activation=None, where=None,
                        out=None):
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
    beta : array_like, optional
        The shift of the forward call; it matters only with an activation.
    residual, activation : optional
        Those of the forward call.
    where : array_like of bool, optional
        That of the forward call.
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
    With ``xhat = (x - mean) * rstd`` and m rows: ``dgamma = sum(dy * xhat)``, ``dbeta = sum(dy)``,
    ``dx = gamma * rstd * (dy - dbeta / m - xhat * dgamma / m)``. The error is at most 4 eps of the dtype: of dx
    relative to the larger of the largest abs(dx) and abs(rstd * gamma * dy), of dgamma and dbeta relative to the
    largest of their sizes and of the roots of the sums of their squared terms (`test_error` and others in
    tests/test_numerics.py). The sums are formed without an error that shows, float32 in double: dgamma and dbeta of data
    that take few values are as right as others (`test_few_numbers`).

    With a residual or an activation, dy is the gradient of ``activation(z + residual)``, and what stands for it in the
    formulas is dresidual, ``dy * activation'(z + residual)``. z is computed again from x, mean, rstd, gamma and beta as
    `batch_norm_inference` would, so that nothing else has to be kept, not even a bit an element: near the kink of a ReLU
    it may have another sign than that of the forward call by its last bit.

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
    cdef fn_activation follows = as_activation(activation)
    cdef cnp.ndarray x_array = take_channels(x, axis, &layout, &first)
    x_array = plain_unless(
        where is None and lies_like(dy, x_array, first.run) and lies_beside(residual, x_array, &first), x_array, &first)
    cdef cnp.ndarray dy_array = as_array_beside(dy, "dy", x_array, &first)
    cdef cnp.ndarray mean_array = as_statistic(mean, "mean", x_array, &layout, False)
    cdef cnp.ndarray rstd_array = as_statistic(rstd, "rstd", x_array, &layout, False)
    cdef cnp.ndarray gamma_array = as_parameter(gamma, "gamma", x_array, &layout)
    cdef cnp.ndarray beta_array = as_parameter(beta, "beta", x_array, &layout)
    cdef cnp.ndarray residual_array = as_residual(residual, x_array, &first)
    cdef cnp.ndarray where_array = as_where(where, x_array, &layout)
    check_out(out, x_array)
    cdef cnp.ndarray dx = place(out, x_array, dy_array, gamma_array, mean_array, rstd_array, &first)
    if dx is out and (beta_array is not None or residual_array is not None):
        dx = place(out, x_array, dy_array, beta_array, residual_array, None, &first)
    cdef cnp.ndarray dgamma = None if gamma_array is None else new_features(x_array, &layout, layout.typenum)
    cdef cnp.ndarray dbeta = new_features(x_array, &layout, layout.typenum)
    cdef cnp.ndarray dresidual = None if residual is None else new_like(x_array)
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
    op.storage = layout.storage
    op.where = <const unsigned char *>data_or_null(where_array)
    op.finish.of = finish_of(residual_array, follows)
    op.finish.beta = data_or_null(beta_array)
    op.finish.dresidual = data_or_null(dresidual)
    cdef PyThreadState *released = release_if_long(layout.rows, layout.features, layout.dtype)
    finish(released, batchnorm.backward(&op, layout.dtype))
    return gradients(dx, out, dgamma, dbeta, dresidual)
