"""The data of the accuracy report, which are those of the tests, and every answer to them with its errors."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import peers
from names import FASTNORM, NUMPY
from operations import EPS
from shapes import CHANNELS, GROUPS, ROWS

# The table of awkward arrays and the units of errors are shared with the tests.
sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from support.arrays import draw, draw_gradient
from support.errors import HAS_WIDER, truth, units, worst
from support.operations import GROUPED, Operation
from support.operations import OPERATIONS as PLAIN

DTYPES = tuple(dtype.name for dtype, known in HAS_WIDER.items() if known)
OPERATIONS = (*PLAIN, *GROUPED)
SHAPES = {ROWS: (256, 1024), CHANNELS: (100_000, 8), GROUPS: (256, 1024)}
SAMPLE = (64, 16)  # positions and channels of a row, where these are in groups
MANY_ROWS = dict.fromkeys((ROWS, CHANNELS), (1_000_000, 3))
STATISTICS = ("mean", "rstd")


@dataclass(frozen=True)
class Kind:
    """One kind of data: a line of the report."""

    label: str
    x: str = "normal"
    dy: str = "normal"
    shapes: dict[str, tuple[int, int]] = field(default_factory=lambda: SHAPES, hash=False)
    """By what is normalized; what is one leaves the kind out."""
    eps: float = EPS
    dtypes: tuple[str, ...] = DTYPES
    brief: bool = False
    """Whether the short form shows it."""
    forward: bool = True
    """Whether there is a forward that is not that of another line."""

    def fits(self, op: Operation, dtype: str) -> bool:
        return op.statistics in self.shapes and dtype in self.dtypes and (self.forward or "dy" in op.data)


def _rows(rows: int, channels: int = 8) -> dict:
    return {CHANNELS: (rows, channels)}


def _length(length: int, rows: int) -> dict:
    return {ROWS: (rows, length)}


def _gradient(label: str, dy: str, x: str = "normal", **more) -> Kind:
    return Kind(f"gradient {label}", x, dy, forward=False, **more)


FLOAT32 = tuple(dtype for dtype in DTYPES if dtype == "float32")

KINDS = (
    Kind("plain: N(0, 1)", brief=True),
    Kind("uniform in [0, 1)", "uniform"),
    Kind("mean 10 deviations away", "mean_1e1"),
    Kind("mean 100 deviations away", "mean_1e2"),
    Kind("mean 1000 deviations away", "mean_1e3", brief=True),
    Kind("mean 1e4 deviations away", "mean_1e4"),
    Kind("mean 1e5 deviations away", "mean_1e5"),
    Kind("mean 1e6 deviations away", "mean_1e6", brief=True),
    Kind("mean -1e6 deviations away", "mean_-1e6"),
    Kind("mean 1e7 deviations away", "mean_1e7"),
    Kind("1 row", shapes=_rows(1)),
    Kind("2 rows", shapes=_rows(2)),
    Kind("3 rows", shapes=_rows(3)),
    Kind("100 rows", shapes=_rows(100)),
    Kind("1e4 rows", shapes=_rows(10_000)),
    Kind("1e6 rows", shapes=_rows(1_000_000, 2)),
    Kind("1e7 rows", shapes=_rows(10_000_000, 1)),
    Kind("rows of 1", shapes=_length(1, 1000)),
    Kind("rows of 3", shapes=_length(3, 1000)),
    Kind("rows of 1000", shapes=_length(1000, 100)),
    Kind("rows of 1e6", shapes=_length(1_000_000, 2)),
    Kind("first row times 1e6", "first_row_outlier", brief=True),
    Kind("outlier first", "outlier_first"),
    Kind("outlier in the middle", "outlier_middle", brief=True),
    Kind("outlier last", "outlier_last"),
    Kind("sorted: every partial sum drifts", "sorted", brief=True),
    Kind("alternating 1e4, -1e4", "alternating"),
    Kind("constant", "constant"),
    Kind("constant but one", "constant_but_one"),
    Kind("Cauchy tails", "cauchy", brief=True),
    Kind("log-normal, sigma 3", "log_normal"),
    Kind("sparse: 95% zeros", "sparse"),
    Kind("spikes: 2% are 1000, the others 0", "spikes"),
    Kind("few values: 0, 1, 2, 3", "few_values"),
    Kind("few values, 1e6 rows", "few_values", shapes=_rows(1_000_000, 2)),
    Kind("few values: four numbers of all digits", "four_numbers"),
    Kind("few values: pixels / 255", "pixels"),
    Kind("features of 1e-4 to 1e4", "feature_scales"),
    Kind("huge: 1e25 * N(0, 1)", "1e25", brief=True),
    Kind("huge with a mean 100 deviations away", "mean_1e25"),
    Kind("largest: 3e38", "1e38"),
    Kind("tiny: 1e-25 * N(0, 1)", "1e-25"),
    Kind("tiny, eps=0", "1e-25", eps=0),
    Kind("least: 1e-38 * N(0, 1)", "1e-38"),
    Kind("least, eps=0, gradient 1e-25", "1e-38", "1e-25", eps=0),  # dx has to fit into float32
    Kind("denormal", "denormal"),
    Kind("denormal, eps=0, gradient 1e-25", "denormal", "1e-25", eps=0, dtypes=FLOAT32),  # float64 holds no rstd
    _gradient("with mean 1000", "mean_1e3"),
    _gradient("with mean 1e6", "mean_1e6", brief=True),
    _gradient("with mean 1e6, x few values", "mean_1e6", "few_values"),
    _gradient("sorted", "sorted"),
    _gradient("sorted, x too", "sorted", "sorted"),
    _gradient("alternating", "alternating"),
    _gradient("with outliers", "outlier_middle"),
    _gradient("with Cauchy tails", "cauchy"),
    _gradient("constant", "constant"),
    _gradient("of few values, x too", "few_values", "few_values"),
    _gradient("of four numbers", "four_numbers"),
    _gradient("of four numbers, x too", "four_numbers", "four_numbers"),
    _gradient("one-hot less 0.1", "one_hot"),
    _gradient("uniform, x pixels / 255", "uniform", "pixels", brief=True),
    _gradient("uniform, x pixels / 255, 1e6 rows", "uniform", "pixels", shapes=MANY_ROWS),
    _gradient("uniform, x four numbers, 1e6 rows", "uniform", "four_numbers", shapes=MANY_ROWS),
    _gradient("with mean 100, x four numbers, 1e6 rows", "mean_1e2", "four_numbers", shapes=MANY_ROWS),
    _gradient("of four numbers, x too, 1e6 rows", "four_numbers", "four_numbers", shapes=MANY_ROWS),
    _gradient("of four numbers, x few values, 1e6 rows", "four_numbers", "few_values", shapes=MANY_ROWS),
    _gradient("one-hot less 0.1, 1e6 rows", "one_hot", shapes=MANY_ROWS),
    _gradient("parallel with x, x denormal, 1e4 rows", "parallel", "denormal", shapes=_rows(10_000)),
    _gradient("parallel with x", "parallel", brief=True),
    _gradient("orthogonal to x", "orthogonal", brief=True),
    _gradient("orthogonal to x, mean 1e6", "orthogonal", "mean_1e6"),
    _gradient("1e-25, x 1e25", "1e-25", "1e25"),
)


@dataclass(frozen=True)
class Case:
    """One operation on one kind of data in one dtype."""

    kind: Kind
    operation: Operation
    dtype: str

    @property
    def shape(self) -> tuple[int, int]:
        return self.kind.shapes[self.operation.statistics]

    def arguments(self) -> dict:
        rng, op = np.random.default_rng(0), self.operation
        x = draw(self.kind.x, rng, self.shape, np.dtype(self.dtype))
        reduced = (1,) if op.statistics == GROUPS else op.reduced(x, -1)
        dy = draw_gradient(self.kind.dy, rng, x, reduced) if "dy" in op.data else None
        if op.statistics == GROUPS:
            x, dy = (a if a is None else a.reshape(-1, *SAMPLE) for a in (x, dy))
        arguments = op.draw(x, -1, rng, dy, self.kind.eps)
        for name in ("running_mean", "running_var"):
            if name in arguments and self.kind.eps == EPS:  # in the dtype that all take
                arguments[name] = arguments[name].astype(x.dtype)
        return arguments


def cases() -> list[Case]:
    """By kind and operation, in the order of the report."""
    return [Case(kind, op, dtype) for kind in KINDS for op in OPERATIONS for dtype in DTYPES if kind.fits(op, dtype)]


class Operands:
    """The arguments of a call in the way that peers ask for them."""

    axis = -1

    def __init__(self, arguments: dict):
        x = arguments["x"]
        zeros, ones = (make(x.shape[1:], x.dtype) for make in (np.zeros, np.ones))
        missing = {"beta": zeros, "running_mean": zeros, "running_var": ones}
        vars(self).update(missing | arguments)

    def flat(self, array: np.ndarray) -> np.ndarray:
        return array


def _answers(case: Case, arguments: dict, others: list) -> Iterator[tuple[str, dict | str]]:
    """The outputs by name from everyone who has the operation, or why there are none."""
    op = case.operation
    yield FASTNORM, op(arguments)
    plain = op.reference(**{k: v for k, v in arguments.items() if k not in op.updated})
    yield NUMPY, _named(op, plain)
    if case.kind.eps != EPS:  # peers are compiled with that one
        return
    for peer in others:
        try:
            call = peers.prepare(peer, op.name, Operands(arguments))
            if call is not None:
                yield peer.label, _named(op, call())
        except Exception as error:  # of another library, on data that it may not be made for
            yield peer.label, f"{type(error).__name__}: {error}"


def _named(op: Operation, results) -> dict:
    """y, or the gradients; peers have other statistics, or none."""
    names = [name for name in op.outputs if name not in STATISTICS]
    results = results if isinstance(results, list | tuple) else (results,)
    return {name: np.asarray(a) for name, a in zip(names, results, strict=False)}


@np.errstate(all="ignore")
def errors(case: Case, others: list) -> dict[str, dict[str, float] | str]:
    """The errors in eps of everyone, by output; for a peer that failed, the reason."""
    arguments = case.arguments()
    true = truth(case.operation, arguments)
    unit = units(case.operation, arguments, true)
    found = {}
    for label, results in _answers(case, arguments, others):
        if isinstance(results, dict):
            results = {
                name: worst(results[name].reshape(true[name].shape), true[name], unit[name])
                for name in true
                if name in results
            }
        found[label] = results
    return found
