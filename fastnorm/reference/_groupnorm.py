"""GroupNorm and InstanceNorm in plain NumPy."""

import numpy as np

from fastnorm.reference._common import deliver, length_over, moments, prepare, quiet, shaped, shifted, statistic

OWN_AXES = (1, 3)  # of a grouped array (m, p, groups, c / groups): what the statistics are taken over


def grouped(x, groups):
    """`x` as (m, p, groups, c / groups)."""
    if x.ndim < 2:
        raise ValueError(f"x is {x.ndim}-d, expected samples, positions and channels: two dimensions at least")
    m, c = x.shape[0], x.shape[-1]
    if groups != c and (groups < 1 or c % groups):
        raise ValueError(f"groups is {groups}, expected a divisor of the {c} channels of x")
    return x.reshape(m, length_over(x, range(1, x.ndim - 1)), groups, c // groups)


@quiet
def group_norm(x, gamma=None, beta=None, *, groups, eps=1e-5, out=None, return_stats=False, dtype=None):
    """Normalize every group of channels of every sample of `x`.

    ``y = (x - mean) / sqrt(var + eps) * gamma + beta``, with the mean and the (biased) variance over
    all positions and the channels of a group.

    Parameters
    ----------
    x : array_like of shape (m, ..., c)
        float32 or float64, of two dimensions at least: samples, positions, channels. Integers and
        booleans become float64.
    gamma, beta : array_like of shape (c,), optional
        Scale and shift, rounded to the dtype of `x`. None means 1 and 0.
    groups : int
        How many groups the channels are cut into, each of as many that follow each other.
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
    mean, rstd : ndarray of shape (m, groups)
        The mean and ``1 / sqrt(var + eps)`` of every group, float64 (or `dtype`, if that is wider).
        Only with `return_stats`.

    Raises
    ------
    ValueError
        If `x` has fewer than two dimensions, `groups` does not divide its channels, or `gamma` or
        `beta` has another shape.

    References
    ----------
    Y. Wu and K. He, "Group Normalization", 2018, arXiv:1803.08494.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> x = np.array([[1.0, 3.0, 10.0, 30.0], [5.0, 5.0, 0.0, 2.0]])
    >>> reference.group_norm(x, groups=2, eps=0).round(3)[0]
    array([-1.,  1., -1.,  1.])
    """
    x, _, gamma, beta, own = prepare(x, -1, dtype, gamma=gamma, beta=beta)
    shape, x = x.shape, grouped(x, groups)

    x, shift = (x, 0) if dtype is None else shifted(x, OWN_AXES)
    mean, var = moments(x, OWN_AXES)
    rstd = 1 / np.sqrt(var + eps)
    y = ((x - mean) * rstd).reshape(shape)
    if gamma is not None:
        y *= gamma
    if beta is not None:
        y += beta

    y = deliver(y, out, own)
    return (y, statistic(mean + shift, OWN_AXES), statistic(rstd, OWN_AXES)) if return_stats else y


@quiet
def group_norm_backward(dy, x, mean, rstd, gamma=None, *, out=None, dtype=None):
    """Gradients of `group_norm` with respect to `x`, `gamma` and `beta`.

    With ``xhat = (x - mean) * rstd`` and ``g = dy * gamma``, and means over a group:
    ``dx = rstd * (g - mean(g) - xhat * mean(g * xhat))``; summed over samples and positions,
    ``dgamma = sum(dy * xhat)`` and ``dbeta = sum(dy)``.

    Parameters
    ----------
    dy : array_like of the shape of `x`
        The gradient with respect to `y`, rounded to the dtype of `x`.
    x : array_like of shape (m, ..., c)
        The input of the forward pass.
    mean, rstd : array_like of shape (m, groups)
        What `group_norm` returned with ``return_stats=True``.
    gamma : array_like of shape (c,), optional
        The scale of the forward pass. None means 1.
    out : ndarray of the shape and dtype of the result, optional
        Where to put `dx`. It may be `x` or `dy` itself.
    dtype : dtype, optional
        What to compute in and to return; the dtype of `x` by default.

    Returns
    -------
    dx : ndarray of the shape of `x`
    dgamma : ndarray of shape (c,), or None where `gamma` is None
    dbeta : ndarray of shape (c,)
        All in the dtype of `x`, or in `dtype`.

    Raises
    ------
    ValueError
        If an argument has not the shape that goes with `x`, or the groups of `mean` do not divide
        its channels.

    References
    ----------
    Y. Wu and K. He, "Group Normalization", 2018, arXiv:1803.08494.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> x, dy = np.array([[1.0, 3.0, 10.0, 30.0]]), np.array([[1.0, 0.0, 0.0, 0.0]])
    >>> y, mean, rstd = reference.group_norm(x, groups=1, return_stats=True)
    >>> dx, dgamma, dbeta = reference.group_norm_backward(dy, x, mean, rstd)
    >>> abs(dx.sum()) < 1e-15  # moving a whole group moves nothing
    np.True_
    """
    x, _, gamma, _, own = prepare(x, -1, dtype, gamma=gamma)
    shape, groups = x.shape, np.shape(mean)[-1] if np.ndim(mean) == 2 else 1
    x = grouped(x, groups)
    dy = shaped(dy, "dy", shape, own, x.dtype)
    of_groups = (x.shape[0], 1, groups, 1)
    mean = shaped(mean, "mean", (x.shape[0], groups), None, x.dtype).reshape(of_groups)
    rstd = shaped(rstd, "rstd", (x.shape[0], groups), None, x.dtype).reshape(of_groups)

    xhat = (x - mean) * rstd
    g = (dy if gamma is None else dy * gamma).reshape(x.shape)
    n = max(1, length_over(x, OWN_AXES))
    dx = rstd * (g - g.sum(OWN_AXES, keepdims=True) / n - xhat * ((g * xhat).sum(OWN_AXES, keepdims=True) / n))
    samples = tuple(range(len(shape) - 1))
    dgamma, dbeta = (dy * xhat.reshape(shape)).sum(samples), dy.sum(samples)

    return deliver(dx.reshape(shape), out, own), None if gamma is None else dgamma, dbeta


def instance_norm(x, gamma=None, beta=None, *, eps=1e-5, out=None, return_stats=False, dtype=None):
    """Normalize every channel of every sample of `x`: `group_norm` with groups of one channel.

    Parameters
    ----------
    x : array_like of shape (m, ..., c)
        float32 or float64, of two dimensions at least: samples, positions, channels. Integers and
        booleans become float64.
    gamma, beta : array_like of shape (c,), optional
        Scale and shift, rounded to the dtype of `x`. None means 1 and 0.
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
    mean, rstd : ndarray of shape (m, c)
        As `group_norm` returns them. Only with `return_stats`.

    Raises
    ------
    ValueError
        If `x` has fewer than two dimensions, or `gamma` or `beta` has another shape.

    References
    ----------
    D. Ulyanov, A. Vedaldi and V. Lempitsky, "Instance Normalization: The Missing Ingredient for
    Fast Stylization", 2016, arXiv:1607.08022.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> reference.instance_norm(np.array([[[1.0, 10.0], [3.0, 30.0]]]), eps=0)
    array([[[-1., -1.],
            [ 1.,  1.]]])
    """
    channels = np.shape(x)[-1] if np.ndim(x) else 1
    return group_norm(x, gamma, beta, groups=channels, eps=eps, out=out, return_stats=return_stats, dtype=dtype)


def instance_norm_backward(dy, x, mean, rstd, gamma=None, *, out=None, dtype=None):
    """Gradients of `instance_norm` with respect to `x`, `gamma` and `beta`, as `group_norm_backward` has them.

    Parameters
    ----------
    dy : array_like of the shape of `x`
        The gradient with respect to `y`, rounded to the dtype of `x`.
    x : array_like of shape (m, ..., c)
        The input of the forward pass.
    mean, rstd : array_like of shape (m, c)
        What `instance_norm` returned with ``return_stats=True``.
    gamma : array_like of shape (c,), optional
        The scale of the forward pass. None means 1.
    out : ndarray of the shape and dtype of the result, optional
        Where to put `dx`. It may be `x` or `dy` itself.
    dtype : dtype, optional
        What to compute in and to return; the dtype of `x` by default.

    Returns
    -------
    dx : ndarray of the shape of `x`
    dgamma : ndarray of shape (c,), or None where `gamma` is None
    dbeta : ndarray of shape (c,)
        All in the dtype of `x`, or in `dtype`.

    Raises
    ------
    ValueError
        If an argument has not the shape that goes with `x`.

    References
    ----------
    D. Ulyanov, A. Vedaldi and V. Lempitsky, "Instance Normalization: The Missing Ingredient for
    Fast Stylization", 2016, arXiv:1607.08022.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> x, dy = np.array([[[1.0], [2.0], [4.0]]]), np.array([[[1.0], [0.0], [0.0]]])
    >>> y, mean, rstd = reference.instance_norm(x, return_stats=True)
    >>> reference.instance_norm_backward(dy, x, mean, rstd)[0].round(3).ravel()
    array([ 0.229, -0.344,  0.115])
    """
    return group_norm_backward(dy, x, mean, rstd, gamma, out=out, dtype=dtype)
