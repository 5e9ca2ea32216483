"""Lists of arrays in plain NumPy: what takes a list or tuple of arrays takes one array, too."""

import numpy as np


def is_list(given):
    return isinstance(given, list | tuple)


def as_arrays(given, dtype=None):
    """The arrays of a list, or the one: in their own dtypes, integers and booleans in float64, or all in `dtype`."""
    arrays = [np.asarray(a) for a in (given if is_list(given) else [given])]
    if any(a.ndim == 0 for a in arrays):
        raise ValueError("an array is 0-d")
    if any(a.dtype.kind not in "fiub" for a in arrays):
        raise TypeError("an array holds no real numbers")
    own = [np.dtype(np.float64) if a.dtype.kind in "biu" else a.dtype.newbyteorder("=") for a in arrays]
    return [a.astype(own[i] if dtype is None else dtype, copy=False) for i, a in enumerate(arrays)]


def paired(written, arrays):
    """What is written with the arrays that it is for, of one shape."""
    written = list(written) if is_list(written) else [written]
    if [y.shape for y in written] != [a.shape for a in arrays]:
        raise ValueError(f"shapes are {[y.shape for y in written]}, expected {[a.shape for a in arrays]}")
    return zip(written, arrays, strict=True)


def deliver_all(results, given, out):
    """Results as their arrays were given: in `out` if there is one."""
    if out is None:
        return results if is_list(given) else results[0]
    for y, result in paired(out, results):
        y[...] = result
    return out


def add_up(terms, dtype):
    """The sum of all elements of all terms."""
    return sum((t.sum(dtype=dtype) for t in terms), np.dtype(dtype).type(0))
