"""Lists of arrays in plain NumPy: what takes a list or tuple of arrays takes one array, too."""

import numpy as np

from fastnorm.reference._common import real


def is_list(given):
    return isinstance(given, list | tuple)


def as_arrays(given, dtype=None):
    """The arrays of a list, or the one, in the dtypes to compute in: float64 of integers; or all in `dtype`."""
    arrays = [np.asarray(a) for a in (given if is_list(given) else [given])]
    if any(a.ndim == 0 for a in arrays):
        raise ValueError("an array is 0-d")
    if any(a.dtype.kind not in "fiub" and a.dtype.name != "bfloat16" for a in arrays):
        raise TypeError("an array holds no real numbers")
    return [a.astype(real(own(a)) if dtype is None else dtype, copy=False) for a in arrays]


def own(a):
    """The dtype of what is made of an array."""
    return np.dtype(np.float64) if a.dtype.kind in "biu" else a.dtype.newbyteorder("=")


def paired(written, arrays):
    """What is written with the arrays that it is for, of one shape."""
    written = list(written) if is_list(written) else [written]
    if [y.shape for y in written] != [a.shape for a in arrays]:
        raise ValueError(f"shapes are {[y.shape for y in written]}, expected {[a.shape for a in arrays]}")
    return zip(written, arrays, strict=True)


def deliver_all(results, given, out, dtype):
    """Results as their arrays were given: in `out` if there is one, else in their own dtypes or in `dtype`."""
    if out is None:
        arrays = given if is_list(given) else [given]
        results = [
            r.astype(own(np.asarray(a)) if dtype is None else dtype, copy=False)
            for r, a in zip(results, arrays, strict=True)
        ]
        return results if is_list(given) else results[0]
    for y, result in paired(out, results):
        y[...] = result
    return out


def narrowed(new, a):
    """What takes the place of array `a`: in half precision rounded to float32 first, as all results are there."""
    return new.astype(real(a.dtype), copy=False) if real(a.dtype) != a.dtype else new


def add_up(terms, dtype):
    """The sum of all elements of all terms."""
    return sum((t.sum(dtype=dtype) for t in terms), np.dtype(dtype).type(0))
