"""Residual and normalization in plain NumPy: the steps one after the other."""

from fastnorm.reference._common import given, quiet, shaped
from fastnorm.reference._dropout import dropout, dropout_backward
from fastnorm.reference._layernorm import layer_norm, layer_norm_backward
from fastnorm.reference._rmsnorm import rms_norm, rms_norm_backward


def added(x, residual, p, key, dtype):
    """The sum in the dtype to compute in, and the dtype of results."""
    x, own = given(x, dtype)
    residual = shaped(residual, "residual", x.shape, own, x.dtype)
    return (dropout(x, p, key) if p > 0 else x) + residual, own if dtype is None else x.dtype


def prepared(dy, dsum, sum, dtype):
    """The same of a backward, with the arrays in the dtype to compute in: half precision is rounded at the end."""
    sum, own = given(sum, dtype)
    dy = shaped(dy, "dy", sum.shape, own, sum.dtype)
    dsum = None if dsum is None else shaped(dsum, "dsum", sum.shape, own, sum.dtype)
    return dy, dsum, sum, own if dtype is None else sum.dtype


def gradients(dresidual, dsum, p, key, own):
    """dx and dresidual, from what comes through the normalization."""
    if dsum is not None:
        dresidual = dresidual + dsum
    dx = dropout_backward(dresidual, p, key) if p > 0 else dresidual
    return dx.astype(own), dresidual.astype(own)


@quiet
def add_layer_norm(
    x, residual, gamma=None, beta=None, *, p=0.0, key=None, axis=-1, eps=1e-5, return_stats=False, dtype=None
):
    """Add a residual and normalize: ``sum = residual + dropout(x, p, key)``, ``y = layer_norm(sum, gamma, beta)``.

    Parameters
    ----------
    x, residual : array_like
        Of one shape.
    gamma, beta : array_like of shape ``x.shape[axis:]``, optional
        Scale and shift.
    p : float
        Probability of dropping an element of `x`.
    key : (seed, offset), optional
        What decides which; needed where `p` is not 0.
    axis : int
        The first of the axes that are normalized over.
    eps : float
        Added to the variance.
    return_stats : bool
        Whether to return `mean` and `rstd` too.
    dtype : dtype, optional
        What to compute in and to return; the dtype of `x` by default.

    Returns
    -------
    y, sum : ndarray
        Of the shape of `x`.
    mean, rstd : ndarray of shape ``x.shape[:axis]``
        With `return_stats`.

    Raises
    ------
    ValueError
        If a shape does not fit.

    References
    ----------
    Vaswani et al., "Attention Is All You Need", arXiv:1706.03762, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> y, total = reference.add_layer_norm(np.array([[1.0, 2.0, 3.0]]), np.array([[0.0, 1.0, 5.0]]), eps=0)
    >>> y.round(3), total
    (array([[-1.019, -0.34 ,  1.359]]), array([[1., 3., 8.]]))
    """
    total, own = added(x, residual, p, key, dtype)
    y, *statistics = layer_norm(total, gamma, beta, axis=axis, eps=eps, return_stats=True, dtype=dtype)
    return y.astype(own), total.astype(own), *(statistics if return_stats else ())


@quiet
def add_layer_norm_backward(dy, dsum, sum, mean, rstd, gamma=None, *, p=0.0, key=None, axis=-1, dtype=None):
    """Gradients of `add_layer_norm`.

    Parameters
    ----------
    dy : array_like
        Gradient of `y`.
    dsum : array_like or None
        Gradient of the sum, from where else it went.
    sum, mean, rstd : array_like
        What the forward call returned.
    gamma : array_like, optional
        The scale of the forward call.
    p : float
        That of the forward call.
    key : (seed, offset), optional
        Likewise.
    axis : int
        Likewise.
    dtype : dtype, optional
        What to compute in and to return; the dtype of `sum` by default.

    Returns
    -------
    dx, dresidual : ndarray
        Of the shape of `sum`.
    dgamma : ndarray or None
        Of shape ``sum.shape[axis:]``; None where gamma is None.
    dbeta : ndarray
        Likewise, always returned.

    Raises
    ------
    ValueError
        If a shape does not fit.

    References
    ----------
    Vaswani et al., "Attention Is All You Need", arXiv:1706.03762, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> total, dy = np.array([[1.0, 2.0, 4.0]]), np.array([[1.0, 0.0, 0.0]])
    >>> y, mean, rstd = reference.layer_norm(total, return_stats=True)
    >>> dx, dresidual, dgamma, dbeta = reference.add_layer_norm_backward(dy, np.ones((1, 3)), total, mean, rstd)
    >>> dresidual.round(3)
    array([[1.229, 0.656, 1.115]])
    """
    dy, dsum, sum, own = prepared(dy, dsum, sum, dtype)
    through, dgamma, dbeta = layer_norm_backward(dy, sum, mean, rstd, gamma, axis=axis, dtype=dtype)
    return *gradients(through, dsum, p, key, own), dgamma, dbeta


@quiet
def add_rms_norm(
    x, residual, gamma=None, *, p=0.0, key=None, axis=-1, eps=1e-5, offset=0.0, return_stats=False, dtype=None
):
    """Add a residual and normalize: ``sum = residual + dropout(x, p, key)``, ``y = rms_norm(sum, gamma)``.

    Parameters
    ----------
    x, residual : array_like
        Of one shape.
    gamma : array_like of shape ``x.shape[axis:]``, optional
        Scale.
    p : float
        Probability of dropping an element of `x`.
    key : (seed, offset), optional
        What decides which; needed where `p` is not 0.
    axis : int
        The first of the axes that are normalized over.
    eps : float
        Added to the mean square.
    offset : float
        Added to gamma.
    return_stats : bool
        Whether to return `rstd` too.
    dtype : dtype, optional
        What to compute in and to return; the dtype of `x` by default.

    Returns
    -------
    y, sum : ndarray
        Of the shape of `x`.
    rstd : ndarray of shape ``x.shape[:axis]``
        With `return_stats`.

    Raises
    ------
    ValueError
        If a shape does not fit.

    References
    ----------
    Zhang & Sennrich, "Root Mean Square Layer Normalization", arXiv:1910.07467, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> y, total = reference.add_rms_norm(np.array([[1.0, 2.0]]), np.array([[2.0, 2.0]]), eps=0)
    >>> y.round(3), total
    (array([[0.849, 1.131]]), array([[3., 4.]]))
    """
    total, own = added(x, residual, p, key, dtype)
    y, *statistics = rms_norm(total, gamma, axis=axis, eps=eps, offset=offset, return_stats=True, dtype=dtype)
    return y.astype(own), total.astype(own), *(statistics if return_stats else ())


@quiet
def add_rms_norm_backward(dy, dsum, sum, rstd, gamma=None, *, p=0.0, key=None, axis=-1, offset=0.0, dtype=None):
    """Gradients of `add_rms_norm`.

    Parameters
    ----------
    dy : array_like
        Gradient of `y`.
    dsum : array_like or None
        Gradient of the sum, from where else it went.
    sum, rstd : array_like
        What the forward call returned.
    gamma : array_like, optional
        The scale of the forward call.
    p : float
        That of the forward call.
    key : (seed, offset), optional
        Likewise.
    axis : int
        Likewise.
    offset : float
        Likewise.
    dtype : dtype, optional
        What to compute in and to return; the dtype of `sum` by default.

    Returns
    -------
    dx, dresidual : ndarray
        Of the shape of `sum`.
    dgamma : ndarray or None
        Of shape ``sum.shape[axis:]``; None where gamma is None.

    Raises
    ------
    ValueError
        If a shape does not fit.

    References
    ----------
    Zhang & Sennrich, "Root Mean Square Layer Normalization", arXiv:1910.07467, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> total = np.array([[3.0, 4.0]])
    >>> y, rstd = reference.rms_norm(total, return_stats=True)
    >>> dx, dresidual, dgamma = reference.add_rms_norm_backward(np.array([[1.0, 0.0]]), None, total, rstd)
    >>> dx.round(3)
    array([[ 0.181, -0.136]])
    """
    dy, dsum, sum, own = prepared(dy, dsum, sum, dtype)
    through, dgamma = rms_norm_backward(dy, sum, rstd, gamma, axis=axis, offset=offset, dtype=dtype)
    return *gradients(through, dsum, p, key, own), dgamma
