"""Operations without a row in the table of `support.operations`: what each argument has to be.

As `promise.py` it knows nothing of how the library checks. An operation has a leading array, which says shape and
dtype, and others of its shape, or of part of it; or it takes lists of arrays.
"""

import copy
import inspect
import numbers
from dataclasses import dataclass, field
from types import SimpleNamespace

import ml_dtypes
import numpy as np

import fastnorm
from fuzz.check import Broken
from fuzz.grammar import FLOATS
from fuzz.layouts import share_bytes
from fuzz.promise import array_of, index_of, is_flag, may_be_written, parameters_of
from support.isas import using

HALVES = [np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)]
SHAPES = {
    "features": lambda dims, axis, groups: dims[axis:],
    "rows": lambda dims, axis, groups: dims[:axis],
    "channels": lambda dims, axis, groups: dims[-1:],
    "groups": lambda dims, axis, groups: (dims[0], groups),
    "samples": lambda dims, axis, groups: (dims[0], dims[-1]),
}


@dataclass(frozen=True)
class Family:
    """An operation by its leading array."""

    name: str
    lead: str
    like: tuple[str, ...] = ()
    parts: dict[str, str] = field(default_factory=dict)
    """Arrays of another shape: which of `SHAPES`."""
    optional: tuple[str, ...] = ()
    """Arrays that may be None."""
    numbers: dict[str, tuple[float, float]] = field(default_factory=dict)
    """The least and the greatest that is accepted; p is below its greatest. An infinite one is not."""
    others: tuple[str, ...] = ()
    """What is no array and no such number: axis, groups, approximate, key and flags."""
    dimensions: int = 1

    @property
    def function(self):
        return getattr(fastnorm, self.name)

    @property
    def arrays(self):
        return (self.lead, *self.like, *self.parts)


@dataclass(frozen=True)
class Lists:
    """An operation on arrays, or on one: those that are read, those that are written, and numbers in their order."""

    name: str
    read: str
    written: str | None
    numbers: tuple[str, ...] = ()

    @property
    def function(self):
        return getattr(fastnorm, self.name)


ELEMENTWISE = [
    Family(
        name + suffix,
        lead=data[-1],
        like=data[:-1],
        numbers={"slope": (0, np.inf)} if name == "leaky_relu" else {},
        others=("approximate",) if name == "gelu" else (),
    )
    for name in ("relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu")
    for suffix, data in (("", ("x",)), ("_backward", ("dy", "x" if name in ("gelu", "silu") else "y")))
]
DROPOUT = [
    Family("dropout", "x", numbers={"p": (0, 1)}, others=("key", "return_mask")),
    Family("dropout_backward", "dy", numbers={"p": (0, 1)}, others=("key",)),
]
_EPS, _BOTH = {"eps": (0, np.inf)}, ("gamma", "beta")
GROUPS = [
    Family(
        "group_norm",
        "x",
        parts=dict.fromkeys(_BOTH, "channels"),
        optional=_BOTH,
        numbers=_EPS,
        others=("groups", "return_stats"),
        dimensions=2,
    ),
    Family(
        "group_norm_backward",
        "x",
        ("dy",),
        {"mean": "groups", "rstd": "groups", "gamma": "channels"},
        ("gamma",),
        dimensions=2,
    ),
    Family(
        "instance_norm",
        "x",
        parts=dict.fromkeys(_BOTH, "channels"),
        optional=_BOTH,
        numbers=_EPS,
        others=("return_stats",),
        dimensions=2,
    ),
    Family(
        "instance_norm_backward",
        "x",
        ("dy",),
        {"mean": "samples", "rstd": "samples", "gamma": "channels"},
        ("gamma",),
        dimensions=2,
    ),
]
_P, _ANY = {"p": (0, 1)}, {"offset": (-np.inf, np.inf)}
ADD = [
    Family(
        "add_layer_norm",
        "x",
        ("residual",),
        dict.fromkeys(_BOTH, "features"),
        _BOTH,
        _P | _EPS,
        ("axis", "key", "return_stats"),
    ),
    Family(
        "add_layer_norm_backward",
        "sum",
        ("dy", "dsum"),
        {"mean": "rows", "rstd": "rows", "gamma": "features"},
        ("dsum", "gamma"),
        _P,
        ("axis", "key"),
    ),
    Family(
        "add_rms_norm",
        "x",
        ("residual",),
        {"gamma": "features"},
        ("gamma",),
        _P | _EPS | _ANY,
        ("axis", "key", "return_stats"),
    ),
    Family(
        "add_rms_norm_backward",
        "sum",
        ("dy", "dsum"),
        {"rstd": "rows", "gamma": "features"},
        ("dsum", "gamma"),
        _P | _ANY,
        ("axis", "key"),
    ),
]
LISTS = [
    Lists("l1_penalty", "w", "grad", ("strength",)),
    Lists("l2_penalty", "w", "grad", ("strength",)),
    Lists("elastic_net_penalty", "w", "grad", ("l1", "l2")),
    Lists("soft_threshold", "w", "out", ("step",)),
    Lists("clip_by_value", "g", "out", ("low", "high")),
    Lists("global_norm", "arrays", None),
    Lists("clip_by_global_norm", "arrays", "arrays", ("max_norm",)),
]
FAMILIES = (*ELEMENTWISE, *DROPOUT, *GROUPS, *ADD, *LISTS)


# ---- which calls must be refused


def reals(value):
    """An ndarray of real numbers, of half precision too, or None."""
    if isinstance(value, np.ndarray) and value.dtype in HALVES and not isinstance(value, np.ma.MaskedArray):
        return value
    return array_of(value)


def native(a):
    """The dtype of what is made of an array."""
    own = a.dtype.newbyteorder("=")
    return own if own in (*HALVES, np.float32) else np.dtype(np.float64)


def number(value):
    """As a float, infinite where none is so large; None for what is no number."""
    if isinstance(value, np.ndarray):
        if value.ndim > 0 or value.dtype.kind not in "fiu":
            return None
    elif not isinstance(value, numbers.Real):
        return None
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf


def within(value, least, greatest):
    value = number(value)
    return value is not None and least <= value <= greatest and abs(value) < np.inf


def given(op, arguments):
    """All arguments with their defaults; None if one is unknown or missing."""
    known = parameters_of(op.function)
    values = {name: p.default for name, p in known.items()} | arguments
    wrong = any(name not in known for name in arguments)
    return None if wrong or any(value is inspect.Parameter.empty for value in values.values()) else values


def refusal(op, arguments):
    values = given(op, arguments)
    if values is None:
        return "an unknown argument, or one is missing"
    return refusal_of_lists(op, values) if isinstance(op, Lists) else refusal_of_family(op, values)


def refusal_of_family(op, values):
    lead = reals(values[op.lead])
    if lead is None or lead.ndim < op.dimensions:
        return op.lead
    axis = index_of(values.get("axis", -1))
    if axis is None or not -lead.ndim <= axis < lead.ndim:
        return "axis"
    groups = groups_of(op, values, lead)
    if groups is None:
        return "groups"
    for name in (*op.like, *op.parts):
        if values[name] is None and name in op.optional:
            continue
        a, kind = reals(values[name]), op.parts.get(name)
        right = SHAPES[kind](lead.shape, axis % lead.ndim, groups) if kind else lead.shape
        if a is None or a.shape != right:
            return name
    for name, (least, greatest) in op.numbers.items():
        if name == "slope" and native(lead) != np.float64:
            greatest = float(np.finfo(np.float32).max)
        if not within(values[name], least, greatest) or (name == "p" and number(values[name]) == 1):
            return name
    for name in op.others:
        if name not in ("axis", "groups") and not right_other(op, name, values):
            return name
    out = values.get("out")
    if out is not None and not (may_be_written(out) and out.dtype == native(lead) and out.shape == lead.shape):
        return "out"
    return None


def groups_of(op, values, lead):
    """1 where there are none; None where they are wrong."""
    if op.name == "group_norm":
        groups = index_of(values["groups"])
    elif op.name == "group_norm_backward":
        mean = reals(values["mean"])
        groups = mean.shape[1] if mean is not None and mean.ndim == 2 else None
    else:
        return 1
    return groups if groups is not None and 1 <= groups < 2**63 and lead.shape[-1] % groups == 0 else None


def right_other(op, name, values):
    value = values[name]
    if name == "approximate":
        return isinstance(value, str) and value in ("none", "tanh")
    if name != "key":
        return is_flag(value)
    if value is None:
        return op in ADD and number(values["p"]) == 0
    if isinstance(value, np.random.Generator):
        return not op.name.endswith("_backward")
    words = [index_of(word) for word in value] if isinstance(value, tuple | list) else []
    return len(words) == 2 and all(word is not None and 0 <= word < 2**64 for word in words)


def items(value):
    return list(value) if isinstance(value, list | tuple) else [value]


def refusal_of_lists(op, values):
    arrays = items(values[op.read])
    if op.read == op.written:
        right = all(may_be_written(a) and a.dtype.newbyteorder("=") in (*HALVES, *FLOATS) and a.ndim for a in arrays)
        if not right or share(arrays):
            return op.read
    else:
        arrays = [reals(a) for a in arrays]
        if any(a is None or a.ndim == 0 for a in arrays):
            return op.read
    for name in op.numbers:
        value = number(values[name])
        bound = name in ("low", "high") and value is not None and value == value
        if not (bound or (name not in ("low", "high") and within(value, 0, np.inf))):
            return name
    if "low" in values and number(values["low"]) > number(values["high"]):
        return "low"
    if op.written in (None, op.read) or values[op.written] is None:
        return None
    written = items(values[op.written])
    if isinstance(values[op.written], list | tuple) != isinstance(values[op.read], list | tuple):
        return op.written
    if len(written) != len(arrays) or share(written):
        return op.written
    for a, b in zip(written, arrays, strict=True):
        if not (may_be_written(a) and a.dtype == native(b) and a.shape == b.shape):
            return op.written
    return None


def share(arrays):
    arrays = [a for a in arrays if isinstance(a, np.ndarray)]
    return any(share_bytes(a, b) for i, a in enumerate(arrays) for b in arrays[:i])


# ---- what a call gives


def arrays_in(arguments):
    """All arrays by name, those of lists too."""
    found = {}
    for name, value in arguments.items():
        for i, a in enumerate(items(value)):
            if isinstance(a, np.ndarray) and not a.dtype.hasobject:
                found[f"{name}[{i}]" if isinstance(value, list | tuple) else name] = a
    return found


def written_names(op, arguments):
    written = op.written if isinstance(op, Lists) else "out"
    return [name for name in arrays_in(arguments) if name.partition("[")[0] == written]


def named(op, arguments, results):
    """All results by name, of those that are new that they are plain; and what was updated."""
    if isinstance(op, Lists) or not isinstance(results, tuple):
        results = (results,)
    flat = {}
    written = arrays_in({name: arguments[name] for name in ("out",) if arguments.get(name) is not None})
    for i, result in enumerate(results):
        for k, a in enumerate(items(result)):
            if type(a) is float:
                a = np.float64(a)
            elif a is not None and not any(a is b for b in written.values()):
                if type(a) is not np.ndarray or not a.flags.carray or a.base is not None:
                    raise Broken(f"result {i} is no new plain array: {type(a)}")
            flat[f"result {i} {k}"] = a
    if isinstance(op, Lists) and op.written not in (None, "out"):
        updated = arguments.get(op.written)
        flat |= {f"{op.written} {k}": a for k, a in enumerate(items(updated)) if a is not None}
    return flat


def plain(op, name, arguments):
    """An argument as a contiguous copy in the dtype that matters."""
    value = arguments[name]
    if isinstance(op, Lists):
        if name not in (op.read, op.written) or value is None:
            return value
        copies = [np.array(np.asarray(a), native(reals(a)), order="C", subok=False) for a in items(value)]
        return copies if isinstance(value, list | tuple) else copies[0]
    if name not in op.arrays or value is None:
        return copy.deepcopy(value) if name == "key" else value
    lead = native(reals(arguments[op.lead]))
    real = np.dtype(np.float32) if lead in HALVES else lead
    dtype = lead if name == op.lead or name in op.like else np.dtype(float) if name in ("mean", "rstd") else real
    return np.array(np.asarray(reals(value)), dtype, order="C", subok=False)


def answer(op, arguments):
    """The results from the baseline kernels, of plain copies."""
    copies = {name: plain(op, name, arguments) for name in arguments if name != "out"}
    with using("baseline"):
        return named(op, copies, op.function(**copies))


JUDGE = SimpleNamespace(refusal=refusal, arrays=arrays_in, written=written_names, results=named, answer=answer)
