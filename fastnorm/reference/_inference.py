"""BatchNorm with statistics that are given, in plain NumPy."""

import numpy as np

from fastnorm.reference._common import deliver, prepare, quiet, scaled, shaped
from fastnorm.reference._finish import finish, finish_backward


@quiet
def batch_norm_inference(
    x,
    running_mean,
    running_var,
    gamma=None,
    beta=None,
    *,
    axis=-1,
    eps=1e-5,
    residual=None,
    activation=None,
    out=None,
    dtype=None,
):
    """Normalize every channel of `x` with statistics that are given (inference).

    ``y = (x - running_mean) / sqrt(running_var + eps) * gamma + beta``, then
    ``activation(y + residual)`` where these are given.

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
    residual : array_like of the shape of `x`, optional
        Added to what is normalized, rounded to the dtype of `x`.
    activation : str, optional
        What is applied last: "relu", "leaky_relu" (of slope 0.01), "sigmoid", "tanh", "gelu",
        "gelu_tanh" or "silu".
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
    x, axis, gamma, beta, own = prepare(x, axis, dtype, gamma=gamma, beta=beta)
    features = x.shape[axis:]
    residual = None if residual is None else shaped(residual, "residual", x.shape, own, x.dtype)
    mean = shaped(running_mean, "running_mean", features, None, x.dtype)
    var = shaped(running_var, "running_var", features, None, x.dtype)

    rstd = 1 / np.sqrt(var + eps)
    y = finish(scaled((x - mean) * rstd, gamma, beta), residual, activation)

    return deliver(y, out, own)


@quiet
def batch_norm_inference_backward(
    dy,
    x,
    running_mean,
    running_var,
    gamma=None,
    *,
    axis=-1,
    eps=1e-5,
    beta=None,
    residual=None,
    activation=None,
    out=None,
    dtype=None,
):
    """Gradients of `batch_norm_inference` with respect to `x`, `gamma` and `beta`.

    The statistics are constants. With ``rstd = 1 / sqrt(running_var + eps)``, and all sums over the
    elements of a channel: ``dx = dy * (gamma * rstd)``,
    ``dgamma = sum(dy * (x - running_mean) * rstd)`` and ``dbeta = sum(dy)``.

    Where the forward pass had an activation or a residual, `dy` is the gradient of its result, and
    what stands for it in the formulas is ``activation'(z + residual) * dy``, the gradient of the
    residual: `z` is ``(x - running_mean) * rstd * gamma + beta``.

    Parameters
    ----------
    dy : array_like of the shape of `x`
        The gradient with respect to `y`, rounded to the dtype of `x`.
    x : array_like
        The input of the forward pass, of one dimension at least.
    running_mean, running_var : array_like of shape ``x.shape[axis:]``
        The statistics of the forward pass.
    gamma : array_like of shape ``x.shape[axis:]``, optional
        The scale of the forward pass. None means 1.
    axis : int
        The first of the axes that carry the parameters.
    eps : float
        Added to the variance; finite and not negative.
    beta : array_like of shape ``x.shape[axis:]``, optional
        The shift of the forward pass; it matters only where there is an activation.
    residual : array_like of the shape of `x`, optional
        The residual of the forward pass.
    activation : str, optional
        The activation of the forward pass.
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
    Internal Covariate Shift", 2015, arXiv:1502.03167, algorithm 2, line 11, of which this is the
    derivative.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> x, dy = np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [0.0], [2.0]])
    >>> reference.batch_norm_inference_backward(dy, x, [2.0], [4.0], [3.0], eps=0)
    (array([[1.5],
           [0. ],
           [3. ]]), array([1.5]), array([3.]))
    """
    x, axis, gamma, beta, own = prepare(x, axis, dtype, gamma=gamma, beta=beta)
    axes, features = tuple(range(axis)), x.shape[axis:]
    dy = shaped(dy, "dy", x.shape, own, x.dtype)
    residual = None if residual is None else shaped(residual, "residual", x.shape, own, x.dtype)
    mean = shaped(running_mean, "running_mean", features, None, x.dtype)
    var = shaped(running_var, "running_var", features, None, x.dtype)

    rstd = 1 / np.sqrt(var + eps)
    xhat = (x - mean) * rstd
    dy = finish_backward(dy, scaled(xhat, gamma, beta), residual, activation)
    dgamma, dbeta = (dy * xhat).sum(axes), dy.sum(axes)
    dx = dy * (rstd if gamma is None else rstd * gamma)

    dresidual = () if residual is None else (dy.astype(own, order="C"),)  # before out, which may be dy
    return deliver(dx, out, own), None if gamma is None else dgamma, dbeta, *dresidual
