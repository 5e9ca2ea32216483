"""What the references share: getting the arguments in shape, and the cases without data."""

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

# Infinity and NaN in the data are answered with NaN, not with warnings.
quiet = np.errstate(all="ignore")


def real(dtype):
    """The dtype to compute in: half precision is a way of storing float32."""
    return np.dtype(np.float32) if dtype == np.float16 or dtype.name == "bfloat16" else dtype


def prepare(x, axis, dtype, gamma=None, beta=None):
    """`x` and its parameters in the dtype to compute in, the axis counted from 0, and x's dtype."""
    x = np.asarray(x)
    own = np.dtype(np.float64) if x.dtype.kind in "biu" else x.dtype.newbyteorder("=")
    axis = normalize_axis_index(axis, x.ndim)
    x = x.astype(real(own) if dtype is None else dtype, copy=False)
    gamma, beta = (
        None if p is None else shaped(p, name, x.shape[axis:], real(own), x.dtype)
        for name, p in (("gamma", gamma), ("beta", beta))
    )
    return x, axis, gamma, beta, own if dtype is None else x.dtype


def given(x, dtype):
    """The input in the dtype to compute in, and the dtype that other arguments are rounded to."""
    x = np.asarray(x)
    if x.ndim == 0:
        raise ValueError("x is 0-d, expected an array of at least one dimension")
    own = np.dtype(np.float64) if x.dtype.kind in "biu" else x.dtype.newbyteorder("=")
    return x.astype(real(own) if dtype is None else dtype, copy=False), own


def shaped(a, name, shape, rounded, dtype):
    """Argument `a` in `dtype`, first rounded to the dtype `rounded` if there is one."""
    a = np.asarray(a)
    check_shape(a, name, shape)
    if rounded is not None:
        a = a.astype(rounded, copy=False)
    return a.astype(dtype, copy=False)


def check_shape(a, name, shape):
    if a.shape != shape:
        raise ValueError(f"{name} has shape {a.shape}, expected {shape}")


def chosen(x, axis, where, **others):
    """`x`, which of its rows are chosen, and those of other arrays of its shape."""
    x, where = np.asarray(x), np.asarray(where)
    axis = normalize_axis_index(axis, x.ndim)
    check_shape(where, "where", x.shape[:axis])
    if where.dtype != bool:
        raise TypeError(f"where has dtype {where.dtype}, expected booleans")
    for name, a in others.items():
        if a is not None:
            check_shape(np.asarray(a), name, x.shape)
    return x, where, [None if a is None else np.asarray(a)[where] for a in others.values()]


def spread(rows, where, shape):
    """Rows at the places where `where` is True, others 0."""
    a = np.zeros(shape, rows.dtype)
    a[where] = rows
    return a


def scaled(xhat, gamma, beta):
    z = xhat if gamma is None else xhat * gamma
    return z if beta is None else z + beta


def length_over(x, axes):
    """How many elements of `x` a reduction over `axes` takes together."""
    length = 1
    for axis in axes:
        length *= x.shape[axis]
    return length


def mean_over(a, axes):
    """The mean over `axes`, which stay with length 1; the mean of nothing is 0."""
    if a.size == 0:
        return np.zeros([1 if i in axes else n for i, n in enumerate(a.shape)], a.dtype)
    return a.mean(axes, keepdims=True)


def taken(a, where):
    """`a`, with 0 for the rows where `where` is False."""
    return a if where is None else np.where(where.reshape(where.shape + (1,) * (a.ndim - where.ndim)), a, 0)


def moments(x, axes):
    """Mean and biased variance over `axes`, which stay with length 1; 0 and 0 of nothing."""
    mean = mean_over(x, axes)
    return mean, (mean if x.size == 0 else x.var(axes, keepdims=True, mean=mean))


def shifted(x, axes):
    """`x` moved near to mean 0, and by how much: the rounding of a huge mean leaves no trace."""
    shift = mean_over(x, axes)
    return x - shift, shift


def statistic(a, axes):
    """A statistic as it is returned: without the reduced axes, in float64 at least."""
    return a.squeeze(axes).astype(np.promote_types(a.dtype, np.float64), copy=False)


def update(running, momentum, batch):
    """Move a running statistic towards `batch`, in float64 or wider and then rounded once."""
    running[...] = (1 - momentum) * running.astype(batch.dtype) + momentum * batch


def deliver(y, out, dtype):
    """The result, in C order: in `out` if one is given."""
    if out is None:
        return np.ascontiguousarray(y, dtype)
    out[...] = y
    return out
