"""Penalties on weights in plain NumPy. Weights are an array, or a list or tuple of arrays."""

import numpy as np

from fastnorm.reference._common import quiet


def _list(a):
    return list(a) if isinstance(a, (list, tuple)) else [a]


@quiet
def elastic_net_penalty(w, l1, l2, grad=None, *, dtype=None):
    """``l1 * sum(|w|) + l2 / 2 * sum(w**2)``; its gradient is added to `grad`, if there is one.

    `dtype` is what to compute in: float64 by default.
    """
    dtype = np.dtype(np.float64 if dtype is None else dtype)
    wide = [np.asarray(a).astype(dtype) for a in _list(w)]
    sizes = sum((np.abs(a).sum() for a in wide), dtype.type(0))
    squares = sum((np.square(a).sum() for a in wide), dtype.type(0))
    if grad is not None:
        for a, g in zip(wide, _list(grad), strict=True):
            # a strength of 0 adds nothing, though a weight be infinite
            step = (l1 * np.sign(a) if l1 else dtype.type(0)) + (l2 * a if l2 else dtype.type(0))
            g[...] = g.astype(dtype) + step
    # a strength of 0 takes nothing from its sum, though that be infinite
    value = (l1 * sizes if l1 else dtype.type(0)) + (dtype.type(l2) / 2 * squares if l2 else dtype.type(0))
    return float(value) if dtype == np.float64 else value


def l1_penalty(w, strength, grad=None, *, dtype=None):
    """``strength * sum(|w|)``; ``strength * sign(w)`` is added to `grad`, with ``sign(0) = 0``."""
    return elastic_net_penalty(w, strength, 0, grad, dtype=dtype)


def l2_penalty(w, strength, grad=None, *, dtype=None):
    """``strength / 2 * sum(w**2)``; ``strength * w`` is added to `grad`."""
    return elastic_net_penalty(w, 0, strength, grad, dtype=dtype)


@quiet
def soft_threshold(w, step, out=None, *, dtype=None):
    """``sign(w) * max(|w| - step, 0)``, the proximal step of the L1 penalty; `out` may be `w`."""
    results = []
    for i, a in enumerate(_list(w)):
        a = np.asarray(a) if dtype is None else np.asarray(a).astype(dtype)
        y = np.sign(a) * np.maximum(np.abs(a) - a.dtype.type(step), 0)
        if out is not None:
            _list(out)[i][...] = y
        results.append(y)
    if out is not None:
        return out
    return results if isinstance(w, (list, tuple)) else results[0]
