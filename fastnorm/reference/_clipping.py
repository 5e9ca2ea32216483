"""Clipping of gradients in plain NumPy."""

import numpy as np

from fastnorm.reference._common import quiet
from fastnorm.reference._lists import add_up, as_arrays, deliver_all, is_list, narrowed


@quiet
def clip_by_value(g, low, high, out=None, *, dtype=None):
    """``min(max(g, low), high)``.

    Parameters
    ----------
    g : array_like, or list or tuple of them
        float16, bfloat16, float32 or float64, of one dimension at least; integers and booleans become float64. NaN
        stays NaN.
    low, high : float
        The bounds.
    out : ndarray, or list or tuple of them, optional
        Where to put the result. It may be `g` itself.
    dtype : dtype, optional
        What to compute in and to return; the dtype of `g` by default, in half precision computed in float32.

    Returns
    -------
    clipped : ndarray, or list of ndarray

    Raises
    ------
    TypeError, ValueError
        If `g` is 0-d or holds no numbers, or `out` has other shapes.

    References
    ----------
    T. Mikolov, "Statistical Language Models Based on Neural Networks", PhD thesis, Brno 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> reference.clip_by_value(np.array([-3.0, 0.5, np.inf]), -1, 1)
    array([-1. ,  0.5,  1. ])
    """
    results = []
    for a in as_arrays(g, dtype):
        least, most = a.dtype.type(low), a.dtype.type(high)
        results.append(np.where(a < least, least, np.where(a > most, most, a)))
    return deliver_all(results, g, out, dtype)


@quiet
def global_norm(arrays, *, dtype=None):
    """The root of the sum of the squares of all elements.

    Parameters
    ----------
    arrays : array_like, or list or tuple of them
        float16, bfloat16, float32 or float64, of one dimension at least; integers and booleans become float64.
    dtype : dtype, optional
        What to compute in; float64 by default.

    Returns
    -------
    norm : float
        Or a number of `dtype`, where that is given.

    Raises
    ------
    TypeError, ValueError
        If an array is 0-d or holds no numbers.

    References
    ----------
    J. L. Blue, "A Portable Fortran Program to Find the Euclidean Norm of a Vector", ACM TOMS 4,
    1978.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> reference.global_norm([np.array([3.0]), np.array([[0.0, 4.0]])])
    5.0
    """
    wide = np.float64 if dtype is None else dtype
    norm = np.sqrt(add_up((np.square(a) for a in as_arrays(arrays, wide)), wide))
    return float(norm) if dtype is None else norm


@quiet
def clip_by_global_norm(arrays, max_norm, *, dtype=None):
    """Scale arrays in place by ``max_norm / norm`` where their norm is finite and greater than `max_norm`.

    Parameters
    ----------
    arrays : ndarray, or list or tuple of them
        float16, bfloat16, float32 or float64, of one dimension at least.
    max_norm : float
        From 0 on.
    dtype : dtype, optional
        What to compute in; float64 by default.

    Returns
    -------
    norm : float
        The norm before. Or a number of `dtype`, where that is given.

    Raises
    ------
    TypeError, ValueError
        If an array is 0-d or holds no numbers.

    References
    ----------
    R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural networks",
    ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> grads = [np.array([3.0]), np.array([0.0, 4.0])]
    >>> reference.clip_by_global_norm(grads, 1)
    5.0
    >>> grads
    [array([0.6]), array([0. , 0.8])]
    """
    wide = np.dtype(np.float64 if dtype is None else dtype).type
    norm = global_norm(arrays, dtype=dtype)
    if np.isfinite(norm) and norm > max_norm:
        for a in arrays if is_list(arrays) else [arrays]:
            a[...] = narrowed(a.astype(wide) * (wide(max_norm) / wide(norm)), a)
    return norm
