"""Errors in eps of the dtype of `x`, against the reference in a wider dtype.

What one eps is relative to, with everything taken from the truth:

==============  ==================================================================================
y               the largest ``|y|``
dx              the larger of the largest ``|dx|`` and the largest ``|rstd * gamma * dy|``
dgamma, dbeta   the larger of ``|dgamma|`` and the root of the sum of the squared terms that it
                is the sum of, largest over the array
mean            the largest ``|x - mean|`` of this row, channel or group (what `y` is made from)
rstd            itself
==============  ==================================================================================

A backward pass is judged on the mean and rstd that it was given. No unit is smaller than the
smallest number of the dtype: there is nothing finer to be right to.
"""

import numpy as np

LIMIT = 4
"""The promise: no error above this many eps, whatever the data."""

WIDER = {np.dtype(np.float32): np.float64, np.dtype(np.float64): np.longdouble}
HAS_WIDER = {dtype: np.finfo(wide).eps < np.finfo(dtype).eps for dtype, wide in WIDER.items()}


def truth(op, arguments):
    """The outputs of `op` by name, computed in the wider dtype."""
    wide = WIDER[arguments["x"].dtype]
    arguments = {k: v for k, v in arguments.items() if k not in op.updated}
    for name in op.data:
        # In this order sums over rows run along memory, where NumPy adds pairwise.
        arguments[name] = arguments[name].astype(arguments[name].dtype, order="F")
    results = op.reference(**arguments, dtype=wide)
    results = results if isinstance(results, tuple) else (results,)
    return dict(zip(op.outputs, results, strict=True))


def units(op, arguments, true):
    """What one eps of each output is, by name: a number, or one for each row or channel."""
    info = np.finfo(arguments["x"].dtype)
    found = {}
    for name, expected in true.items():
        if expected is None:
            continue
        unit = info.eps * _scale(name, op, arguments, true)
        if name == "mean":  # a float64 cannot hold the mean of huge data to that
            unit = unit + np.finfo(np.float64).eps * np.abs(expected)
        found[name] = np.maximum(unit, info.smallest_subnormal)
    return found


def worst(got, expected, unit):
    """The largest error of an output; infinite where a result is no number."""
    error = np.max(np.abs(np.asarray(got).astype(expected.dtype) - expected) / unit, initial=0)
    return np.inf if np.isnan(error) else float(error)


def errors(op, arguments, results, true=None):
    """The error of each output in eps, by name; outputs that are None in both are left out."""
    true = truth(op, arguments) if true is None else true
    assert all(results[name] is None for name, expected in true.items() if expected is None)
    return {name: worst(results[name], true[name], unit) for name, unit in units(op, arguments, true).items()}


def assert_accurate(op, arguments, results, what="", true=None):
    found = errors(op, arguments, results, true)
    assert max(found.values(), default=0) <= LIMIT, f"{what}: errors in eps: {found}"


def _statistics(arguments, wide):
    """mean and rstd that a backward was given."""
    if "rstd" in arguments:
        rstd = np.asarray(arguments["rstd"], wide)
        return np.asarray(arguments.get("mean", np.zeros_like(rstd)), wide), rstd
    var = np.asarray(arguments["running_var"], wide)
    return np.asarray(arguments["running_mean"], wide), 1 / np.sqrt(var + wide(arguments["eps"]))


def _largest(a):
    return np.max(np.abs(a), initial=0)


def _scale(name, op, arguments, true):
    if name == "y":
        return _largest(true["y"])
    if name == "rstd":
        return np.abs(true["rstd"])
    wide = WIDER[arguments["x"].dtype]
    x, axis = arguments["x"].astype(wide), arguments.get("axis", -1) % arguments["x"].ndim
    if name == "mean":
        deviations = np.abs(x - op.expanded(true["mean"], x, axis))
        return op.largest(deviations, axis, true["mean"].shape[-1] if op.statistics == "groups" else None)
    if name == "dx":
        rstd = op.expanded(_statistics(arguments, wide)[1], x, axis)
        gamma = 1 if arguments["gamma"] is None else arguments["gamma"].astype(wide)
        return max(_largest(true["dx"]), _largest(rstd * gamma * arguments["dy"].astype(wide)))
    root = np.sqrt(np.square(_terms(name, op, arguments)).sum(axis=tuple(range(axis))))
    return max(_largest(true[name]), _largest(root))


def _terms(name, op, arguments):
    """What dgamma or dbeta is the sum of, over the axes before `axis`."""
    wide = WIDER[arguments["x"].dtype]
    x, dy = (arguments[name].astype(wide) for name in ("x", "dy"))
    if name == "dbeta":
        return dy
    mean, rstd = (op.expanded(a, x, arguments.get("axis", -1)) for a in _statistics(arguments, wide))
    return dy * (x - mean) * rstd
