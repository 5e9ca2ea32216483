"""What one pass does for several: the options of operations and arrays of half precision, beside the same in steps.

Each case is timed beside fastnorm's own steps, one after the other, and beside PyTorch's where that is installed. The
steps are as quick as a careful user makes them: they work in place, into arrays that are there already, so that no
memory has to come from the operating system, and what a backward needs of the forward pass has been kept.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import ml_dtypes  # noqa: F401  gives NumPy the name bfloat16
import numpy as np

import fastnorm
from operations import OPERATIONS, Arrays, Case, Operation
from shapes import GROUPS, ROWS, SHAPES

Call = Callable[[], object]

HALVES = ("float16", "bfloat16")
# One shape within the second-level cache, one beyond it, one beyond all.
EXTENTS = {(128, 768), (32, 128, 768), (64, 512, 768), (1, 14, 14, 256), (32, 7, 7, 512), (32, 56, 56, 256)}
KEY = (1, 2)


@dataclass(frozen=True)
class Fused(Operation):
    """An operation with options; ``function`` is its name in fastnorm, ``name`` says the options, too.

    ``peer`` is the call of a PyTorch that is given first.
    """

    function: str = ""
    steps: Callable[[Arrays], Call] = lambda a: lambda: None
    peer: Callable[..., Call] | None = None
    dtypes: tuple[str, ...] = ("float32",)

    def ours(self, a: Arrays) -> Call:
        return self.call(getattr(fastnorm, self.function), a)


def _plain(function: str, a: Arrays, **options) -> partial:
    """Without the options."""
    return OPERATIONS[function].call(getattr(fastnorm, function), a, **options)


def _fused(function: str, label: str, steps, peer, *, more=(0, 0, 0), dtypes=("float32",), over=None, **keywords):
    """A row of the table. ``more``: arrays that the options read first, read and write besides. Keywords that are
    strings are meant; others are taken from the arrays."""
    base = OPERATIONS[function]

    def options(a: Arrays) -> dict:
        return {name: value(a) if callable(value) else value for name, value in keywords.items()}

    traffic = (n + m for n, m in zip((base.sweep, base.reads, base.writes), more, strict=True))
    return Fused(
        f"{function} {label}".strip(), "fused", over or base.over, *traffic, base.arguments, True, options,
        function=function, steps=steps, peer=peer, dtypes=dtypes,
    )  # fmt: skip


def _activated(function: str, activation: str, residual: bool = False) -> Fused:
    activate = getattr(fastnorm, activation)

    def steps(a: Arrays) -> Call:
        norm, added = _plain(function, a), a.residual if residual else None

        def run():
            y = norm()
            if added is not None:
                np.add(y, added, out=y)
            return activate(y, out=y)

        return run

    return _fused(
        function,
        f"{'residual, ' * residual}{activation}",
        steps,
        lambda torch, a: torch.finished(function, a, activation, residual),
        more=(0, residual, 0),
        activation=activation,
        **({"residual": lambda a: a.residual} if residual else {}),
    )


def _activated_backward(forward: str, activation: str, residual: bool = False) -> Fused:
    function = forward + "_backward"
    gradient = getattr(fastnorm, activation + "_backward")

    def steps(a: Arrays) -> Call:
        kept = _plain(forward, a)()
        if residual:
            kept += a.residual
        if activation == "relu":  # whose gradient is a function of y
            fastnorm.relu(kept, out=kept)
        _, *arguments = OPERATIONS[function].arguments(a)
        norm = getattr(fastnorm, function)

        def run():
            dz = gradient(a.dy, kept)  # that of the residual, too, which has to stay
            return *norm(dz, *arguments, out=None if residual else dz), dz

        return run

    return _fused(
        function,
        f"{'residual, ' * residual}{activation}",
        steps,
        lambda torch, a: torch.finished_backward(forward, a, activation, residual),
        more=(residual, residual, residual),
        activation=activation,
        beta=lambda a: a.beta,
        **({"residual": lambda a: a.residual} if residual else {}),
    )


def _chosen_rows(a: Arrays) -> Call:
    norm, left_out = _plain("layer_norm", a), ~a.where

    def run():
        y = norm()
        y[left_out] = 0
        return y

    return run


def _chosen_columns(a: Arrays) -> Call:
    y = np.empty_like(a.x)

    def run():
        y.fill(0)
        y[a.where] = fastnorm.batch_norm(a.x[a.where], a.gamma, a.beta)
        return y

    return run


def _add(norm: str, p: float = 0.0) -> Callable[[Arrays], Call]:
    def steps(a: Arrays) -> Call:
        x, residual, *parameters = OPERATIONS["add_" + norm].arguments(a)
        total, function = np.empty_like(x), getattr(fastnorm, norm)

        def run():
            if p:
                fastnorm.dropout(x, p, KEY, out=total)
            np.add(total if p else x, residual, out=total)
            return function(total, *parameters), total

        return run

    return steps


def _add_layer_norm_backward(a: Arrays) -> Call:
    dy, dsum, *arguments = OPERATIONS["add_layer_norm_backward"].arguments(a)

    def run():
        dx, *rest = fastnorm.layer_norm_backward(dy, *arguments)
        np.add(dx, dsum, out=dx)
        return dx, *rest

    return run


def _widened(function: str) -> Callable[[Arrays], Call]:
    """In float32, there and back."""
    arrays = 2 if function.endswith("_backward") else 1

    def steps(a: Arrays) -> Call:
        halves, rest = OPERATIONS[function].arguments(a)[:arrays], OPERATIONS[function].arguments(a)[arrays:]
        wide = [np.empty(x.shape, np.float32) for x in halves]
        result, norm = np.empty_like(a.x), getattr(fastnorm, function)

        def run():
            for to, x in zip(wide, halves, strict=True):
                np.copyto(to, x)
            norm(*wide, *rest, out=wide[0])
            np.copyto(result, wide[0], casting="same_kind")
            return result

        return run

    return steps


def _half(function: str) -> Fused:
    def peer(torch, a: Arrays) -> Call | None:
        method = getattr(torch, function, None)
        return method(a) if method else None

    return _fused(function, "half", _widened(function), peer, dtypes=HALVES)


_CHOSEN = {"where": lambda a: a.where}
_TABLE = (
    *(_activated(function, name) for function in ("layer_norm", "batch_norm", "batch_norm_inference")
      for name in ("relu", "gelu")),
    *(_activated(function, "relu", residual=True) for function in ("batch_norm", "batch_norm_inference")),
    *(_activated_backward(function, name) for function in ("layer_norm", "batch_norm") for name in ("relu", "gelu")),
    _activated_backward("batch_norm", "relu", residual=True),
    _fused("layer_norm", "where", _chosen_rows, lambda torch, a: torch.chosen_layer_norm(a), **_CHOSEN),
    _fused("batch_norm", "where", _chosen_columns, lambda torch, a: torch.chosen_batch_norm(a), over=ROWS, **_CHOSEN),
    _fused("add_layer_norm", "", _add("layer_norm"), lambda torch, a: torch.add_layer_norm(a)),
    _fused("add_layer_norm", "dropout", _add("layer_norm", 0.1), lambda torch, a: torch.add_layer_norm(a, 0.1),
           p=0.1, key=KEY),
    _fused("add_layer_norm_backward", "", _add_layer_norm_backward, lambda torch, a: torch.add_layer_norm_backward(a)),
    _fused("add_rms_norm", "", _add("rms_norm"), lambda torch, a: torch.add_rms_norm(a)),
    *map(_half, ("layer_norm", "layer_norm_backward", "rms_norm", "rms_norm_backward", "batch_norm",
                 "batch_norm_backward", "batch_norm_inference")),
)  # fmt: skip
FUSED = {operation.name: operation for operation in _TABLE}


def cases() -> list[Case]:
    """Every case, those that share input arrays next to each other."""
    dtypes = dict.fromkeys(dtype for operation in _TABLE for dtype in operation.dtypes)
    return [
        Case(operation, shape, dtype)
        for shape in SHAPES
        if shape.dims in EXTENTS
        for dtype in dtypes
        for operation in _TABLE
        if dtype in operation.dtypes and (ROWS in shape.over if operation.over == ROWS else GROUPS in shape.over)
    ]
