"""The operations of fastnorm in plain NumPy.

The same names and arguments as the compiled functions, written to be read: this module is where
the formulas are, what the tests compare with, and the baseline of the benchmarks.

Layouts are channels-last. ``axis`` is the first of the trailing axes that carry ``gamma`` and
``beta``, so the features are ``x.shape[axis:]``: `layer_norm` normalizes over them, `batch_norm`
over all the other axes.

By default everything is computed in the dtype of ``x``, the way such code is usually written, with
the accuracy that this has. ``dtype=np.float64`` or ``dtype=np.longdouble`` computes, and returns,
in that dtype instead, with a mean that holds its digits however large it is; the tests take that
as the truth.
"""

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

__all__ = [
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_inference",
    "layer_norm",
    "layer_norm_backward",
]

# Infinity and NaN in the data are answered with NaN, not with warnings.
_quiet = np.errstate(all="ignore")


@_quiet
def layer_norm(
    x,
    gamma=None,
    beta=None,
    *,
    axis=-1,
    eps=1e-5,
    out=None,
    return_stats=False,
    dtype=None,
):
    """Normalize every row of `x` over its features.

    ``y = (x - mean) / sqrt(var + eps) * gamma + beta``, with the mean and the (biased) variance of
    each row over the axes from `axis` on.

    Parameters
    ----------
    x : array_like
        float32 or float64, of one dimension at least; integers and booleans become float64.
    gamma, beta : array_like of shape ``x.shape[axis:]``, optional
        Scale and shift, rounded to the dtype of `x`. None means 1 and 0.
    axis : int
        The first of the normalized axes.
    eps : float
        Added to the variance; finite and not negative.
    out : ndarray of the shape and dtype of the result, optional
        Where to put `y`. It may be `x` itself.
    return_stats : bool
        Whether to return `mean` and `rstd` too.
    dtype : dtype, optional
        What to compute in and to return; the dtype of `x` by default.

    Returns
    -------
    y : ndarray of the shape of `x`
        In the dtype of `x`, or in `dtype`.
    mean, rstd : ndarray of shape ``x.shape[:axis]``
        The mean and ``1 / sqrt(var + eps)`` of every row, float64 (or `dtype`, if that is wider).
        Only with `return_stats`.

    Raises
    ------
    numpy.exceptions.AxisError
        If `x` has no such axis; also if `x` has no axis at all.
    ValueError
        If `gamma` or `beta` has another shape than ``x.shape[axis:]``.

    References
    ----------
    J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer Normalization", 2016, arXiv:1607.06450.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> x = np.array([[1.0, 3.0], [10.0, 30.0]])
    >>> reference.layer_norm(x, eps=0)
    array([[-1.,  1.],
           [-1.,  1.]])
    >>> y, mean, rstd = reference.layer_norm(x, eps=0, return_stats=True)
    >>> mean, rstd
    (array([ 2., 20.]), array([1. , 0.1]))
    """
    x, axis, gamma, beta, own = _prepare(x, axis, dtype, gamma=gamma, beta=beta)
    axes = tuple(range(axis, x.ndim))

    x, shift = (x, 0) if dtype is None else _shifted(x, axes)
    mean, var = _moments(x, axes)
    rstd = 1 / np.sqrt(var + eps)
    y = (x - mean) * rstd
    if gamma is not None:
        y *= gamma
    if beta is not None:
        y += beta

    y = _deliver(y, out, own)
    if not return_stats:
        return y
    return y, _statistic(mean + shift, axes), _statistic(rstd, axes)


@_quiet
def layer_norm_backward(dy, x, mean, rstd, gamma=None, *, axis=-1, out=None, dtype=None):
    """Gradients of `layer_norm` with respect to `x`, `gamma` and `beta`.

    With ``xhat = (x - mean) * rstd`` and ``g = dy * gamma``, and all means over the features of
    a row: ``dx = rstd * (g - mean(g) - xhat * mean(g * xhat))``; summed over the rows,
    ``dgamma = sum(dy * xhat)`` and ``dbeta = sum(dy)``.

    Parameters
    ----------
    dy : array_like of the shape of `x`
        The gradient with respect to `y`, rounded to the dtype of `x`.
    x : array_like
        The input of the forward pass, of one dimension at least.
    mean, rstd : array_like of shape ``x.shape[:axis]``
        What `layer_norm` returned with ``return_stats=True``.
    gamma : array_like of shape ``x.shape[axis:]``, optional
        The scale of the forward pass. None means 1.
    axis : int
        The first of the normalized axes.
    out : ndarray of the shape and dtype of the result, optional
        Where to put `dx`. It may be `x` or `dy` itself.
    dtype : dtype, optional
        What to compute in and to return; the dtype of `x` by default.

    Returns
    -------
    dx : ndarray of the shape of `x`
    dgamma : ndarray of shape ``x.shape[axis:]``, or None where `gamma` is None
    dbeta : ndarray of shape ``x.shape[axis:]``
        All in the dtype of `x`, or in `dtype`.

    Raises
    ------
    numpy.exceptions.AxisError
        If `x` has no such axis; also if `x` has no axis at all.
    ValueError
        If another argument has not the shape that goes with `x` and `axis`.

    References
    ----------
    J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer Normalization", 2016, arXiv:1607.06450.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> x = np.array([[1.0, 2.0, 3.0], [3.0, 6.0, 9.0]])
    >>> dy = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    >>> y, mean, rstd = reference.layer_norm(x, return_stats=True)
    >>> dx, dgamma, dbeta = reference.layer_norm_backward(dy, x, mean, rstd, gamma=np.ones(3))
    >>> np.abs(dx.sum(axis=-1)).max() < 1e-15  # moving a whole row moves nothing
    np.True_
    >>> dgamma.round(3), dbeta
    (array([-1.225,  0.   ,  0.   ]), array([1., 1., 0.]))
    """
    x, axis, gamma, _, own = _prepare(x, axis, dtype, gamma=gamma)
    axes, rows = tuple(range(axis, x.ndim)), tuple(range(axis))
    dy = _shaped(dy, "dy", x.shape, own, x.dtype)
    mean = np.expand_dims(_shaped(mean, "mean", x.shape[:axis], None, x.dtype), axes)
    rstd = np.expand_dims(_shaped(rstd, "rstd", x.shape[:axis], None, x.dtype), axes)

    xhat = (x - mean) * rstd
    g = dy if gamma is None else dy * gamma
    dx = rstd * (g - _mean(g, axes) - xhat * _mean(g * xhat, axes))
    dgamma = None if gamma is None else (dy * xhat).sum(rows)
    dbeta = dy.sum(rows)

    return _deliver(dx, out, own), dgamma, dbeta


@_quiet
def batch_norm(
    x,
    gamma=None,
    beta=None,
    *,
    axis=-1,
    eps=1e-5,
    running_mean=None,
    running_var=None,
    momentum=0.1,
    unbiased=True,
    out=None,
    return_stats=False,
    dtype=None,
):
    """Normalize every channel of `x` over the batch (training).

    ``y = (x - mean) / sqrt(var + eps) * gamma + beta``, with the mean and the (biased) variance of
    each feature over the axes before `axis`.

    Parameters
    ----------
    x : array_like
        float32 or float64, of one dimension at least; integers and booleans become float64.
    gamma, beta : array_like of shape ``x.shape[axis:]``, optional
        Scale and shift, rounded to the dtype of `x`. None means 1 and 0.
    axis : int
        The first of the axes that are kept: -1 for one parameter a channel, 1 for one parameter a
        position and channel.
    eps : float
        Added to the variance; finite and not negative.
    running_mean, running_var : ndarray of shape ``x.shape[axis:]``, optional
        Both or neither; float32 or float64. Updated in place:
        ``running = (1 - momentum) * running + momentum * batch``. Untouched if `x` has no rows.
    momentum : float
        The weight of this batch in the running statistics, from 0 to 1.
    unbiased : bool
        Whether `running_var` takes the unbiased variance of the batch (the sum of squared
        deviations over one less than their number). Of one row it takes the biased one, 0.
    out : ndarray of the shape and dtype of the result, optional
        Where to put `y`. It may be `x` itself.
    return_stats : bool
        Whether to return `mean` and `rstd` too.
    dtype : dtype, optional
        What to compute in and to return; the dtype of `x` by default.

    Returns
    -------
    y : ndarray of the shape of `x`
        In the dtype of `x`, or in `dtype`.
    mean, rstd : ndarray of shape ``x.shape[axis:]``
        The mean and ``1 / sqrt(var + eps)`` of every feature, float64 (or `dtype`, if that is
        wider). Only with `return_stats`.

    Raises
    ------
    numpy.exceptions.AxisError
        If `x` has no such axis; also if `x` has no axis at all.
    ValueError
        If another argument has another shape than ``x.shape[axis:]``, or if only one of the
        running statistics is given.

    References
    ----------
    S. Ioffe and C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing
    Internal Covariate Shift", 2015, arXiv:1502.03167, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> x = np.array([[1.0, 10.0], [3.0, 30.0]])
    >>> running_mean, running_var = np.zeros(2), np.ones(2)
    >>> reference.batch_norm(x, eps=0, running_mean=running_mean, running_var=running_var)
    array([[-1., -1.],
           [ 1.,  1.]])
    >>> running_mean, running_var
    (array([0.2, 2. ]), array([ 1.1, 20.9]))
    """
    x, axis, gamma, beta, own = _prepare(x, axis, dtype, gamma=gamma, beta=beta)
    axes, features = tuple(range(axis)), x.shape[axis:]
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var go together: give both or neither")
    if running_mean is not None:
        _check_shape(running_mean, "running_mean", features)
        _check_shape(running_var, "running_var", features)

    x, shift = (x, 0) if dtype is None else _shifted(x, axes)
    mean, var = _moments(x, axes)
    rstd = 1 / np.sqrt(var + eps)
    y = (x - mean) * rstd
    if gamma is not None:
        y *= gamma
    if beta is not None:
        y += beta

    mean = _statistic(mean + shift, axes)
    count = _length(x, axes)
    if running_mean is not None and count > 0:
        batch_var = _statistic(var, axes) * (count / (count - 1) if unbiased and count > 1 else 1)
        _update(running_mean, momentum, mean)
        _update(running_var, momentum, batch_var)

    y = _deliver(y, out, own)
    return (y, mean, _statistic(rstd, axes)) if return_stats else y


@_quiet
def batch_norm_inference(
    x,
    running_mean,
    running_var,
    gamma=None,
    beta=None,
    *,
    axis=-1,
    eps=1e-5,
    out=None,
    dtype=None,
):
    """Normalize every channel of `x` with statistics that are given (inference).

    ``y = (x - running_mean) / sqrt(running_var + eps) * gamma + beta``.

    Parameters
    ----------
    x : array_like
        float32 or float64, of one dimension at least; integers and booleans become float64.
    running_mean, running_var : array_like of shape ``x.shape[axis:]``
        The mean and the variance of every feature.
    gamma, beta : array_like of shape ``x.shape[axis:]``, optional
        Scale and shift, rounded to the dtype of `x`. None means 1 and 0.
    axis : int
        The first of the axes that carry the parameters.
    eps : float
        Added to the variance; finite and not negative.
    out : ndarray of the shape and dtype of the result, optional
        Where to put `y`. It may be `x` itself.
    dtype : dtype, optional
        What to compute in and to return; the dtype of `x` by default.

    Returns
    -------
    y : ndarray of the shape of `x`
        In the dtype of `x`, or in `dtype`.

    Raises
    ------
    numpy.exceptions.AxisError
        If `x` has no such axis; also if `x` has no axis at all.
    ValueError
        If another argument has another shape than ``x.shape[axis:]``.

    References
    ----------
    S. Ioffe and C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing
    Internal Covariate Shift", 2015, arXiv:1502.03167, algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> x = np.array([[1.0, 10.0], [3.0, 30.0]])
    >>> reference.batch_norm_inference(x, [1.0, 10.0], [4.0, 100.0], eps=0)
    array([[0., 0.],
           [1., 2.]])
    """
    x, axis, gamma, beta, own = _prepare(x, axis, dtype, gamma=gamma, beta=beta)
    features = x.shape[axis:]
    mean = _shaped(running_mean, "running_mean", features, None, x.dtype)
    var = _shaped(running_var, "running_var", features, None, x.dtype)

    rstd = 1 / np.sqrt(var + eps)
    y = (x - mean) * rstd
    if gamma is not None:
        y *= gamma
    if beta is not None:
        y += beta

    return _deliver(y, out, own)


@_quiet
def batch_norm_backward(dy, x, mean, rstd, gamma=None, *, axis=-1, out=None, dtype=None):
    """Gradients of `batch_norm` with respect to `x`, `gamma` and `beta`.

    With ``xhat = (x - mean) * rstd``, and all sums over the `m` elements of a channel:
    ``dgamma = sum(dy * xhat)``, ``dbeta = sum(dy)`` and
    ``dx = gamma * rstd * (dy - dbeta / m - xhat * dgamma / m)``.

    Parameters
    ----------
    dy : array_like of the shape of `x`
        The gradient with respect to `y`, rounded to the dtype of `x`.
    x : array_like
        The input of the forward pass, of one dimension at least.
    mean, rstd : array_like of shape ``x.shape[axis:]``
        What `batch_norm` returned with ``return_stats=True``.
    gamma : array_like of shape ``x.shape[axis:]``, optional
        The scale of the forward pass. None means 1.
    axis : int
        The first of the axes that carry the parameters.
    out : ndarray of the shape and dtype of the result, optional
        Where to put `dx`. It may be `x` or `dy` itself.
    dtype : dtype, optional
        What to compute in and to return; the dtype of `x` by default.

    Returns
    -------
    dx : ndarray of the shape of `x`
    dgamma : ndarray of shape ``x.shape[axis:]``, or None where `gamma` is None
    dbeta : ndarray of shape ``x.shape[axis:]``
        All in the dtype of `x`, or in `dtype`.

    Raises
    ------
    numpy.exceptions.AxisError
        If `x` has no such axis; also if `x` has no axis at all.
    ValueError
        If another argument has not the shape that goes with `x` and `axis`.

    References
    ----------
    S. Ioffe and C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing
    Internal Covariate Shift", 2015, arXiv:1502.03167, section 3 (gathered into one expression).

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> x = np.array([[1.0, 1.0], [2.0, 4.0], [3.0, 7.0]])
    >>> dy = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> y, mean, rstd = reference.batch_norm(x, return_stats=True)
    >>> dx, dgamma, dbeta = reference.batch_norm_backward(dy, x, mean, rstd, gamma=np.ones(2))
    >>> np.abs(dx.sum(axis=0)).max() < 1e-15  # moving a whole channel moves nothing
    np.True_
    >>> dgamma.round(3), dbeta
    (array([-1.225,  0.   ]), array([1., 1.]))
    """
    x, axis, gamma, _, own = _prepare(x, axis, dtype, gamma=gamma)
    axes, features = tuple(range(axis)), x.shape[axis:]
    dy = _shaped(dy, "dy", x.shape, own, x.dtype)
    mean = _shaped(mean, "mean", features, None, x.dtype)
    rstd = _shaped(rstd, "rstd", features, None, x.dtype)

    xhat = (x - mean) * rstd
    dgamma, dbeta = (dy * xhat).sum(axes), dy.sum(axes)
    m = max(1, _length(x, axes))
    dx = (rstd if gamma is None else rstd * gamma) * (dy - dbeta / m - xhat * (dgamma / m))

    return _deliver(dx, out, own), None if gamma is None else dgamma, dbeta


# What the functions above share: getting the arguments in shape, and the cases without data.


def _prepare(x, axis, dtype, gamma=None, beta=None):
    """`x` and its parameters in the dtype to compute in, the axis counted from 0, and x's dtype."""
    x = np.asarray(x)
    own = np.dtype(np.float64) if x.dtype.kind in "biu" else x.dtype.newbyteorder("=")
    axis = normalize_axis_index(axis, x.ndim)
    x = x.astype(own if dtype is None else dtype, copy=False)
    gamma, beta = (
        None if p is None else _shaped(p, name, x.shape[axis:], own, x.dtype)
        for name, p in (("gamma", gamma), ("beta", beta))
    )
    return x, axis, gamma, beta, own if dtype is None else x.dtype


def _shaped(a, name, shape, rounded, dtype):
    """Argument `a` in `dtype`, first rounded to the dtype `rounded` if there is one."""
    a = np.asarray(a)
    _check_shape(a, name, shape)
    if rounded is not None:
        a = a.astype(rounded, copy=False)
    return a.astype(dtype, copy=False)


def _check_shape(a, name, shape):
    if a.shape != shape:
        raise ValueError(f"{name} has shape {a.shape}, expected {shape}")


def _length(x, axes):
    """How many elements of `x` a reduction over `axes` takes together."""
    length = 1
    for axis in axes:
        length *= x.shape[axis]
    return length


def _mean(a, axes):
    """The mean over `axes`, which stay with length 1; the mean of nothing is 0."""
    if a.size == 0:
        return np.zeros([1 if i in axes else n for i, n in enumerate(a.shape)], a.dtype)
    return a.mean(axes, keepdims=True)


def _moments(x, axes):
    """Mean and biased variance over `axes`, which stay with length 1; 0 and 0 of nothing."""
    mean = _mean(x, axes)
    return mean, (mean if x.size == 0 else x.var(axes, keepdims=True, mean=mean))


def _shifted(x, axes):
    """`x` moved near to mean 0, and by how much: the rounding of a huge mean leaves no trace."""
    shift = _mean(x, axes)
    return x - shift, shift


def _statistic(a, axes):
    """A statistic as it is returned: without the reduced axes, in float64 at least."""
    return a.squeeze(axes).astype(np.promote_types(a.dtype, np.float64), copy=False)


def _update(running, momentum, batch):
    """Move a running statistic towards `batch`, in float64 or wider and then rounded once."""
    running[...] = (1 - momentum) * running.astype(batch.dtype) + momentum * batch


def _deliver(y, out, dtype):
    """The result, in C order: in `out` if one is given."""
    if out is None:
        return np.ascontiguousarray(y, dtype)
    out[...] = y
    return out
