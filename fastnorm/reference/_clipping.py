"""Clipping of gradients in plain NumPy. Gradients are an array, or a list or tuple of arrays."""

import numpy as np

from fastnorm.reference._common import quiet


def _list(a):
    return list(a) if isinstance(a, (list, tuple)) else [a]


@quiet
def clip_by_value(g, low, high, out=None, *, dtype=None):
    """``min(max(g, low), high)``; NaN stays NaN, and `out` may be `g`."""
    results = []
    for i, a in enumerate(_list(g)):
        a = np.asarray(a) if dtype is None else np.asarray(a).astype(dtype)
        y = np.minimum(np.maximum(a, a.dtype.type(low)), a.dtype.type(high))
        if out is not None:
            _list(out)[i][...] = y
        results.append(y)
    if out is not None:
        return out
    return results if isinstance(g, (list, tuple)) else results[0]


@quiet
def global_norm(arrays, *, dtype=None):
    """The root of the sum of the squares of all elements, in float64 or `dtype`."""
    dtype = np.dtype(np.float64 if dtype is None else dtype)
    squares = sum((np.square(np.asarray(a).astype(dtype)).sum() for a in _list(arrays)), dtype.type(0))
    norm = np.sqrt(squares)
    return float(norm) if dtype == np.float64 else norm


@quiet
def clip_by_global_norm(arrays, max_norm, *, dtype=None):
    """Scale `arrays` in place by ``max_norm / norm`` where the norm is finite and greater; return the norm before."""
    dtype = np.dtype(np.float64 if dtype is None else dtype)
    norm = global_norm(arrays, dtype=dtype)
    if np.isfinite(norm) and norm > max_norm:
        for a in _list(arrays):
            a[...] = a.astype(dtype) * (dtype.type(max_norm) / norm)
    return norm
