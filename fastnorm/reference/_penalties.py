"""Penalties on weights in plain NumPy."""

import numpy as np

from fastnorm.reference._common import quiet
from fastnorm.reference._lists import add_up, as_arrays, deliver_all, narrowed, paired


@quiet
def elastic_net_penalty(w, l1, l2, grad=None, *, dtype=None):
    """``l1 * sum(|w|) + l2 / 2 * sum(w**2)``, and its gradient.

    Parameters
    ----------
    w : array_like, or list or tuple of them
        float16, bfloat16, float32 or float64, of one dimension at least; integers and booleans become float64.
    l1, l2 : float
        From 0 on. A strength of 0 leaves its part out, though a weight be infinite.
    grad : ndarray, or list or tuple of them, optional
        ``l1 * sign(w) + l2 * w`` is added to it.
    dtype : dtype, optional
        What to compute in; float64 by default.

    Returns
    -------
    value : float
        Or a number of `dtype`, where that is given.

    Raises
    ------
    TypeError, ValueError
        If `w` is 0-d or holds no numbers, or `grad` has other shapes.

    References
    ----------
    H. Zou and T. Hastie, "Regularization and Variable Selection via the Elastic Net", J. R.
    Statist. Soc. B 67, 2005.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> w, grad = np.array([1.0, -2.0, 0.0]), np.ones(3)
    >>> reference.elastic_net_penalty(w, 0.5, 2, grad)
    6.5
    >>> grad
    array([ 3.5, -3.5,  1. ])
    """
    wide = np.dtype(np.float64 if dtype is None else dtype).type
    arrays = as_arrays(w, wide)
    value = wide(0)
    if l1:
        value += wide(l1) * add_up((np.abs(a) for a in arrays), wide)
    if l2:
        value += wide(l2) / 2 * add_up((np.square(a) for a in arrays), wide)
    for g, a in paired(grad, arrays) if grad is not None else ():
        new = g.astype(wide)
        if l1:
            new += wide(l1) * np.sign(a)
        if l2:
            new += wide(l2) * a
        g[...] = narrowed(new, g)
    return float(value) if dtype is None else value


def l1_penalty(w, strength, grad=None, *, dtype=None):
    """``strength * sum(|w|)``, and its gradient.

    Parameters
    ----------
    w : array_like, or list or tuple of them
        float16, bfloat16, float32 or float64, of one dimension at least; integers and booleans become float64.
    strength : float
        From 0 on.
    grad : ndarray, or list or tuple of them, optional
        ``strength * sign(w)`` is added to it, 0 where `w` is 0.
    dtype : dtype, optional
        What to compute in; float64 by default.

    Returns
    -------
    value : float
        Or a number of `dtype`, where that is given.

    Raises
    ------
    TypeError, ValueError
        If `w` is 0-d or holds no numbers, or `grad` has other shapes.

    References
    ----------
    R. Tibshirani, "Regression Shrinkage and Selection via the Lasso", J. R. Statist. Soc. B 58,
    1996.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> reference.l1_penalty(np.array([1.0, -2.0, 0.0]), 0.5)
    1.5
    """
    return elastic_net_penalty(w, strength, 0, grad, dtype=dtype)


def l2_penalty(w, strength, grad=None, *, dtype=None):
    """``strength / 2 * sum(w**2)``, and its gradient.

    Parameters
    ----------
    w : array_like, or list or tuple of them
        float16, bfloat16, float32 or float64, of one dimension at least; integers and booleans become float64.
    strength : float
        From 0 on.
    grad : ndarray, or list or tuple of them, optional
        ``strength * w`` is added to it.
    dtype : dtype, optional
        What to compute in; float64 by default.

    Returns
    -------
    value : float
        Or a number of `dtype`, where that is given.

    Raises
    ------
    TypeError, ValueError
        If `w` is 0-d or holds no numbers, or `grad` has other shapes.

    References
    ----------
    A. Krogh and J. A. Hertz, "A Simple Weight Decay Can Improve Generalization", NIPS 1991.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> reference.l2_penalty([np.array([[3.0, 4.0]]), np.array([1.0])], 0.5)
    6.5
    """
    return elastic_net_penalty(w, 0, strength, grad, dtype=dtype)


@quiet
def soft_threshold(w, step, out=None, *, dtype=None):
    """``sign(w) * max(|w| - step, 0)``, the proximal step of the L1 penalty.

    Parameters
    ----------
    w : array_like, or list or tuple of them
        float16, bfloat16, float32 or float64, of one dimension at least; integers and booleans become float64.
    step : float
        From 0 on.
    out : ndarray, or list or tuple of them, optional
        Where to put the result. It may be `w` itself.
    dtype : dtype, optional
        What to compute in and to return; the dtype of `w` by default, in half precision computed in float32.

    Returns
    -------
    shrunk : ndarray, or list of ndarray

    Raises
    ------
    TypeError, ValueError
        If `w` is 0-d or holds no numbers, or `out` has other shapes.

    References
    ----------
    I. Daubechies, M. Defrise and C. De Mol, "An iterative thresholding algorithm for linear inverse
    problems with a sparsity constraint", Comm. Pure Appl. Math. 57, 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> reference.soft_threshold(np.array([3.0, -0.5, -2.0]), 1)
    array([ 2.,  0., -1.])
    """
    arrays = as_arrays(w, dtype)
    shrunk = [np.maximum(np.abs(a) - a.dtype.type(step), a.dtype.type(0)) for a in arrays]
    # adding 0 makes zeros positive
    results = [np.sign(a) * s + a.dtype.type(0) for a, s in zip(arrays, shrunk, strict=True)]
    return deliver_all(results, w, out, dtype)
