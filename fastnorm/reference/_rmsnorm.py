"""RMSNorm in plain NumPy."""

import numpy as np

from fastnorm.reference._common import deliver, mean_over, prepare, quiet, shaped, statistic


@quiet
def rms_norm(
    x,
    gamma=None,
    *,
    axis=-1,
    eps=1e-5,
    offset=0.0,
    out=None,
    return_stats=False,
    dtype=None,
):
    """Scale every row of `x` by its root mean square.

    ``y = x / sqrt(mean(x**2) + eps) * (offset + gamma)``, with the mean over the axes from `axis` on.

    Parameters
    ----------
    x : array_like
        float32 or float64, of one dimension at least; integers and booleans become float64.
    gamma : array_like of shape ``x.shape[axis:]``, optional
        Scale, rounded to the dtype of `x`. None means a factor of 1, whatever `offset` is.
    axis : int
        The first of the axes that the mean is taken over.
    eps : float
        Added to the mean square; finite and not negative.
    offset : float
        Added to gamma.
    out : ndarray of the shape and dtype of the result, optional
        Where to put `y`. It may be `x` itself.
    return_stats : bool
        Whether to return `rstd` too.
    dtype : dtype, optional
        What to compute in and to return; the dtype of `x` by default.

    Returns
    -------
    y : ndarray of the shape of `x`
        In the dtype of `x`, or in `dtype`.
    rstd : ndarray of shape ``x.shape[:axis]``
        ``1 / sqrt(mean(x**2) + eps)`` of every row, float64 (or `dtype`, if that is wider). Only with
        `return_stats`.

    Raises
    ------
    numpy.exceptions.AxisError
        If `x` has no such axis; also if `x` has no axis at all.
    ValueError
        If `gamma` has another shape than ``x.shape[axis:]``.

    References
    ----------
    B. Zhang and R. Sennrich, "Root Mean Square Layer Normalization", 2019, arXiv:1910.07467.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> reference.rms_norm(np.array([[3.0, 4.0], [30.0, 40.0]]), eps=0).round(3)
    array([[0.849, 1.131],
           [0.849, 1.131]])
    """
    x, axis, gamma, _, own = prepare(x, axis, dtype, gamma=gamma)
    axes = tuple(range(axis, x.ndim))

    rstd = 1 / np.sqrt(mean_over(x * x, axes) + eps)
    y = x * rstd
    if gamma is not None:
        y *= x.dtype.type(offset) + gamma

    y = deliver(y, out, own)
    return (y, statistic(rstd, axes)) if return_stats else y


@quiet
def rms_norm_backward(dy, x, rstd, gamma=None, *, axis=-1, offset=0.0, out=None, dtype=None):
    """Gradients of `rms_norm` with respect to `x` and `gamma`.

    With ``xhat = x * rstd`` and ``g = dy * (offset + gamma)``, and the mean over the features of a
    row: ``dx = rstd * (g - xhat * mean(g * xhat))``; summed over the rows, ``dgamma = sum(dy * xhat)``.

    Parameters
    ----------
    dy : array_like of the shape of `x`
        The gradient with respect to `y`, rounded to the dtype of `x`.
    x : array_like
        The input of the forward pass, of one dimension at least.
    rstd : array_like of shape ``x.shape[:axis]``
        What `rms_norm` returned with ``return_stats=True``.
    gamma : array_like of shape ``x.shape[axis:]``, optional
        The scale of the forward pass. None means a factor of 1.
    axis : int
        The first of the axes that the mean was taken over.
    offset : float
        That of the forward pass.
    out : ndarray of the shape and dtype of the result, optional
        Where to put `dx`. It may be `x` or `dy` itself.
    dtype : dtype, optional
        What to compute in and to return; the dtype of `x` by default.

    Returns
    -------
    dx : ndarray of the shape of `x`
    dgamma : ndarray of shape ``x.shape[axis:]``, or None where `gamma` is None
        Both in the dtype of `x`, or in `dtype`.

    Raises
    ------
    numpy.exceptions.AxisError
        If `x` has no such axis; also if `x` has no axis at all.
    ValueError
        If another argument has not the shape that goes with `x` and `axis`.

    References
    ----------
    B. Zhang and R. Sennrich, "Root Mean Square Layer Normalization", 2019, arXiv:1910.07467.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> x = np.array([[3.0, 4.0]])
    >>> y, rstd = reference.rms_norm(x, eps=0, return_stats=True)
    >>> dx, dgamma = reference.rms_norm_backward(np.array([[1.0, 0.0]]), x, rstd, np.ones(2))
    >>> abs((dx * x).sum()) < 1e-15  # making a whole row larger changes nothing
    np.True_
    """
    x, axis, gamma, _, own = prepare(x, axis, dtype, gamma=gamma)
    axes, rows = tuple(range(axis, x.ndim)), tuple(range(axis))
    dy = shaped(dy, "dy", x.shape, own, x.dtype)
    rstd = np.expand_dims(shaped(rstd, "rstd", x.shape[:axis], None, x.dtype), axes)

    xhat = x * rstd
    g = dy if gamma is None else dy * (x.dtype.type(offset) + gamma)
    dx = rstd * (g - xhat * mean_over(g * xhat, axes))
    dgamma = None if gamma is None else (dy * xhat).sum(rows)

    return deliver(dx, out, own), dgamma
