"""BatchNorm in plain NumPy."""

import numpy as np

from fastnorm.reference._common import (
    check_shape,
    chosen,
    deliver,
    length_over,
    moments,
    prepare,
    quiet,
    scaled,
    shaped,
    shifted,
    spread,
    statistic,
    update,
)
from fastnorm.reference._finish import finish, finish_backward


@quiet
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
    residual=None,
    activation=None,
    where=None,
    out=None,
    return_stats=False,
    dtype=None,
):
    """Normalize every channel of `x` over the batch (training).

    ``y = (x - mean) / sqrt(var + eps) * gamma + beta``, then
    ``activation(y + residual)`` where these are given, with the mean and the (biased) variance of
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
    residual : array_like of the shape of `x`, optional
        Added to what is normalized, rounded to the dtype of `x`.
    activation : str, optional
        What is applied last: "relu", "leaky_relu" (of slope 0.01), "sigmoid", "tanh", "gelu",
        "gelu_tanh" or "silu".
    where : array_like of bool, of shape ``x.shape[:axis]``, optional
        Which rows take part; the others count for nothing and get zeros.
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
    if where is not None:
        x, rows, (residual,) = chosen(x, axis, where, residual=residual)
        more = dict(eps=eps, momentum=momentum, unbiased=unbiased, residual=residual, activation=activation)
        more |= dict(running_mean=running_mean, running_var=running_var, return_stats=True, dtype=dtype)
        y, *statistics = batch_norm(x[rows], gamma, beta, axis=1, **more)
        y = deliver(spread(y, rows, x.shape), out, y.dtype)
        return (y, *statistics) if return_stats else y

    x, axis, gamma, beta, own = prepare(x, axis, dtype, gamma=gamma, beta=beta)
    axes, features = tuple(range(axis)), x.shape[axis:]
    residual = None if residual is None else shaped(residual, "residual", x.shape, own, x.dtype)
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var go together: give both or neither")
    if running_mean is not None:
        check_shape(running_mean, "running_mean", features)
        check_shape(running_var, "running_var", features)

    x, shift = (x, 0) if dtype is None else shifted(x, axes)
    mean, var = moments(x, axes)
    rstd = 1 / np.sqrt(var + eps)
    y = finish(scaled((x - mean) * rstd, gamma, beta), residual, activation)

    mean = statistic(mean + shift, axes)
    count = length_over(x, axes)
    if running_mean is not None and count > 0:
        batch_var = statistic(var, axes) * (count / (count - 1) if unbiased and count > 1 else 1)
        update(running_mean, momentum, mean)
        update(running_var, momentum, batch_var)

    y = deliver(y, out, own)
    return (y, mean, statistic(rstd, axes)) if return_stats else y


@quiet
def batch_norm_backward(
    dy,
    x,
    mean,
    rstd,
    gamma=None,
    *,
    axis=-1,
    beta=None,
    residual=None,
    activation=None,
    where=None,
    out=None,
    dtype=None,
):
    """Gradients of `batch_norm` with respect to `x`, `gamma` and `beta`.

    With ``xhat = (x - mean) * rstd``, and all sums over the `m` elements of a channel:
    ``dgamma = sum(dy * xhat)``, ``dbeta = sum(dy)`` and
    ``dx = gamma * rstd * (dy - dbeta / m - xhat * dgamma / m)``.

    Where the forward pass had an activation or a residual, `dy` is the gradient of its result, and
    what stands for it in the formulas is ``activation'(z + residual) * dy``, the gradient of the
    residual: `z` is ``xhat * gamma + beta``.

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
    beta : array_like of shape ``x.shape[axis:]``, optional
        The shift of the forward pass; it matters only where there is an activation.
    residual : array_like of the shape of `x`, optional
        The residual of the forward pass.
    activation : str, optional
        The activation of the forward pass.
    where : array_like of bool, of shape ``x.shape[:axis]``, optional
        That of the forward pass.
    out : ndarray of the shape and dtype of the result, optional
        Where to put `dx`. It may be `x` or `dy` itself.
    dtype : dtype, optional
        What to compute in and to return; the dtype of `x` by default.

    Returns
    -------
    dx : ndarray of the shape of `x`
    dgamma : ndarray of shape ``x.shape[axis:]``, or None where `gamma` is None
    dbeta : ndarray of shape ``x.shape[axis:]``
    dresidual : ndarray of the shape of `x`
        Only with `residual`. All in the dtype of `x`, or in `dtype`.

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
    if where is not None:
        x, rows, (dy, residual) = chosen(x, axis, where, dy=dy, residual=residual)
        more = dict(beta=beta, residual=residual, activation=activation, dtype=dtype)
        dx, dgamma, dbeta, *dresidual = batch_norm_backward(dy, x[rows], mean, rstd, gamma, axis=1, **more)
        dx, *dresidual = (spread(a, rows, x.shape) for a in (dx, *dresidual))
        return deliver(dx, out, dx.dtype), dgamma, dbeta, *dresidual

    x, axis, gamma, beta, own = prepare(x, axis, dtype, gamma=gamma, beta=beta)
    axes, features = tuple(range(axis)), x.shape[axis:]
    dy = shaped(dy, "dy", x.shape, own, x.dtype)
    residual = None if residual is None else shaped(residual, "residual", x.shape, own, x.dtype)
    mean = shaped(mean, "mean", features, None, x.dtype)
    rstd = shaped(rstd, "rstd", features, None, x.dtype)

    xhat = (x - mean) * rstd
    dy = finish_backward(dy, scaled(xhat, gamma, beta), residual, activation)
    dgamma, dbeta = (dy * xhat).sum(axes), dy.sum(axes)
    m = max(1, length_over(x, axes))
    dx = (rstd if gamma is None else rstd * gamma) * (dy - dbeta / m - xhat * (dgamma / m))

    dresidual = () if residual is None else (dy.astype(own, order="C"),)  # before out, which may be dy
    return deliver(dx, out, own), None if gamma is None else dgamma, dbeta, *dresidual
