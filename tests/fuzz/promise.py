"""What the docstrings say of arguments, in plain Python: which are refused. Knows nothing of how the library checks."""

import inspect
import numbers
import operator
from functools import cache

import numpy as np

from fuzz.layouts import overlaps_itself, share_bytes

DOCUMENTED = (TypeError, ValueError, MemoryError)
"""What a refusal raises; AxisError is a ValueError."""


@cache
def parameters_of(function):
    return inspect.signature(function).parameters


def refusal(op, arguments):
    """Why this call must be refused; None if it has to be accepted."""
    known = parameters_of(op.function)
    if any(name not in known for name in arguments):
        return "an unknown argument"
    given = {name: p.default for name, p in known.items()} | arguments
    if any(value is inspect.Parameter.empty for value in given.values()):
        return "an argument is missing"
    x, axis = array_of(given["x"]), index_of(given["axis"])
    if x is None or x.ndim == 0:
        return "x"
    if axis is None or not -x.ndim <= axis < x.ndim:
        return "axis"
    axis %= x.ndim
    shapes = {"x": x.shape, "rows": x.shape[:axis], "features": x.shape[axis:]}
    for name, kind in op.shapes.items():
        if given[name] is None and (name in op.optional or name in op.updated):
            continue
        a = array_of(given[name])
        if a is None or a.shape != shapes[kind]:
            return name
    for name in op.numbers:
        if not in_range(given[name], 1 if name == "momentum" else np.inf):
            return name
    for name in {"return_stats", "unbiased"} & given.keys():
        if not is_flag(given[name]):
            return name
    return refusal_to_write(op, given, x, native_dtype(x))


def refusal_to_write(op, given, x, dtype):
    out = given["out"]
    if out is not None and not (may_be_written(out) and out.dtype == dtype and out.shape == x.shape):
        return "out"
    updated = [given[name] for name in op.updated]
    if any(a is None for a in updated):
        return None if all(a is None for a in updated) else "one running statistic without the other"
    for name in op.updated:
        if not (may_be_written(given[name]) and given[name].dtype.type in (np.float32, np.float64)):
            return name
    written = updated if out is None else [*updated, out]
    for i, a in enumerate(written):
        if any(share_bytes(a, b) for b in written[:i]):
            return "results overlap each other"
    return None


def array_of(value):
    """An ndarray of real numbers, or None for what is no such thing."""
    if value is None or isinstance(value, np.ma.MaskedArray):
        return None
    if not isinstance(value, np.ndarray):
        try:
            value = np.asarray(value)
        except (TypeError, ValueError):
            return None
    if value.dtype.kind not in "fiub" or value.dtype.type is np.longdouble:
        return None
    return value


def native_dtype(x):
    """Of results like x."""
    return np.dtype(x.dtype.type if x.dtype.type in (np.float16, np.float32) else np.float64)


def parameter_dtype(x):
    """Of gamma and beta, and of their gradients."""
    return np.dtype(np.float64 if native_dtype(x) == np.float64 else np.float32)


def index_of(value):
    try:
        return operator.index(value)
    except TypeError:
        return None


def in_range(value, highest):
    if isinstance(value, np.ndarray):
        if value.ndim > 0 or value.dtype.kind not in "fiu":
            return False
    elif not isinstance(value, numbers.Real):
        return False
    try:
        return 0 <= float(value) <= highest and float(value) < np.inf
    except OverflowError:
        return False


def is_flag(value):
    try:
        bool(value)
    except (TypeError, ValueError):
        return False
    return True


def may_be_written(a):
    plain = isinstance(a, np.ndarray) and not isinstance(a, np.ma.MaskedArray)
    return plain and a.flags.writeable and not overlaps_itself(a)
