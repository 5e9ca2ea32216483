"""LayerNorm in plain NumPy."""

import numpy as np

from fastnorm.reference._common import (
    deliver,
    mean_over,
    moments,
    prepare,
    quiet,
    scaled,
    shaped,
    shifted,
    statistic,
    taken,
)
from fastnorm.reference._finish import finish, finish_backward


@quiet
def layer_norm(
    x,
    gamma=None,
    beta=None,
    *,
    axis=-1,
    eps=1e-5,
    activation=None,
    where=None,
    out=None,
    return_stats=False,
    dtype=None,
):
    """Normalize every row of `x` over its features.

    ``y = (x - mean) / sqrt(var + eps) * gamma + beta``, with the mean and the (biased) variance of
    each row over the axes from `axis` on; and ``activation(y)`` if one is given.

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
    activation : str, optional
        "relu", "leaky_relu" (of slope 0.01), "sigmoid", "tanh", "gelu", "gelu_tanh" or "silu".
    where : array_like of bool of shape ``x.shape[:axis]``, optional
        Rows that are left out have `y` 0, mean 0 and ``rstd = 1 / sqrt(eps)``, whatever they hold.
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
    x, axis, gamma, beta, own = prepare(x, axis, dtype, gamma=gamma, beta=beta)
    axes = tuple(range(axis, x.ndim))
    where = None if where is None else shaped(where, "where", x.shape[:axis], None, bool)

    x = taken(x, where)
    x, shift = (x, 0) if dtype is None else shifted(x, axes)
    mean, var = moments(x, axes)
    rstd = 1 / np.sqrt(var + eps)
    y = taken(finish(scaled((x - mean) * rstd, gamma, beta), None, activation), where)

    y = deliver(y, out, own)
    if not return_stats:
        return y
    return y, statistic(mean + shift, axes), statistic(rstd, axes)


@quiet
def layer_norm_backward(
    dy,
    x,
    mean,
    rstd,
    gamma=None,
    *,
    axis=-1,
    beta=None,
    activation=None,
    where=None,
    out=None,
    dtype=None,
):
    """Gradients of `layer_norm` with respect to `x`, `gamma` and `beta`.

    With ``xhat = (x - mean) * rstd`` and ``g = dy * gamma``, and all means over the features of
    a row: ``dx = rstd * (g - mean(g) - xhat * mean(g * xhat))``; summed over the rows,
    ``dgamma = sum(dy * xhat)`` and ``dbeta = sum(dy)``. Behind an activation ``dy * activation'(z)``
    takes the place of `dy`, z being what the activation was given.

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
    beta : array_like of shape ``x.shape[axis:]``, optional
        The shift of the forward pass; it matters only where there is an activation.
    activation, where : optional
        Those of the forward pass. Rows that were left out have `dx` 0 and no part in the sums.
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
    x, axis, gamma, beta, own = prepare(x, axis, dtype, gamma=gamma, beta=beta)
    axes, rows = tuple(range(axis, x.ndim)), tuple(range(axis))
    where = None if where is None else shaped(where, "where", x.shape[:axis], None, bool)
    x, dy = taken(x, where), taken(shaped(dy, "dy", x.shape, own, x.dtype), where)
    mean = taken(np.expand_dims(shaped(mean, "mean", x.shape[:axis], None, x.dtype), axes), where)
    rstd = taken(np.expand_dims(shaped(rstd, "rstd", x.shape[:axis], None, x.dtype), axes), where)

    xhat = (x - mean) * rstd
    dy = finish_backward(dy, scaled(xhat, gamma, beta), None, activation)
    g = dy if gamma is None else dy * gamma
    dx = rstd * (g - mean_over(g, axes) - xhat * mean_over(g * xhat, axes))
    dgamma = None if gamma is None else (dy * xhat).sum(rows)
    dbeta = dy.sum(rows)

    return deliver(dx, out, own), dgamma, dbeta
