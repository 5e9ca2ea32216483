"""The operations that are benchmarked, the memory traffic each needs, and the cases to run.

A new operation is one line in ``OPERATIONS`` (and a family, one ``bench_<family>.py``);
``missing_benchmarks`` says so as long as it is not there.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path

import numpy as np

import fastnorm
from fastnorm import reference
from shapes import CHANNELS, CLASSES, GROUPS, ROWS, SHAPES, Shape

DTYPES = ("float32", "float64")
EPS = 1e-5  # the default of every operation, so that no call needs to pass it


@lru_cache
def block(dtype: str) -> np.ndarray:
    """Random numbers, of which large arrays are repetitions: no kernel can tell, and they are soon drawn."""
    return np.random.default_rng(0).standard_normal(1 << 20, dtype)


class Arrays:
    """The input arrays of one shape and dtype, drawn once and shared by every operation."""

    def __init__(self, shape: Shape, dtype: str):
        rng = np.random.default_rng(1)
        stored, dtype = dtype, "float64" if dtype == "float64" else "float32"  # which halves have as parameters
        features = shape.dims[shape.axis :]
        self.axis = shape.axis
        some = block(dtype)[: math.prod(shape.dims)]
        self.x = np.resize((2 * some + 1).astype(stored), shape.dims)
        self.dy = np.resize(some[::-1].astype(stored), shape.dims)
        self.gamma = rng.standard_normal(features, dtype)
        self.beta = rng.standard_normal(features, dtype)
        self.running_mean = rng.standard_normal(features, dtype)
        self.running_var = rng.random(features, dtype) + np.dtype(dtype).type(0.5)

    @cached_property
    def residual(self) -> np.ndarray:
        return np.roll(self.dy, 1000)

    @cached_property
    def where(self) -> np.ndarray:
        """Rows that count, as of sequences of different length, from half of the longest on."""
        *batch, longest = self.x.shape[: self.axis]
        lengths = np.random.default_rng(1).integers(longest // 2, longest, (*batch, 1), endpoint=True)
        return np.arange(longest) < lengths

    @cached_property
    def row_statistics(self) -> tuple[np.ndarray, np.ndarray]:
        return fastnorm.layer_norm(self.x, axis=self.axis, return_stats=True)[1:]

    @cached_property
    def root_mean_squares(self) -> np.ndarray:
        return fastnorm.rms_norm(self.x, axis=self.axis, return_stats=True)[1]

    @cached_property
    def channel_statistics(self) -> tuple[np.ndarray, np.ndarray]:
        return fastnorm.batch_norm(self.x, axis=self.axis, return_stats=True)[1:]

    @property
    def groups(self) -> int:
        """Groups of channels: the 32 of the paper where they divide them."""
        channels = self.x.shape[-1]
        return 32 if channels % 32 == 0 else channels

    @cached_property
    def group_statistics(self) -> tuple[np.ndarray, np.ndarray]:
        return fastnorm.group_norm(self.x, groups=self.groups, return_stats=True)[1:]

    @cached_property
    def instance_statistics(self) -> tuple[np.ndarray, np.ndarray]:
        return fastnorm.instance_norm(self.x, return_stats=True)[1:]

    def flat(self, array: np.ndarray) -> np.ndarray:
        """A view of a full array as (rows, features), or of a parameter as (features,)."""
        features = self.gamma.size
        return array.reshape(features) if array.size == features else array.reshape(-1, features)


@lru_cache(maxsize=1)  # cases of one shape are neighbours; two sets of the largest waste memory
def draw(shape: Shape, dtype: str) -> Arrays:
    return Arrays(shape, dtype)


@dataclass(frozen=True)
class Operation:
    """One public operation of a family: what it normalizes, each by itself, its unavoidable
    traffic in arrays of x's size, its arguments and options.

    ``sweep`` arrays are read by a first sweep over all of x (the statistics of a channel need
    every row); then one sweep reads ``reads`` arrays and writes ``writes``. What ``always`` is not true of
    runs in a full benchmark, or when it is named.
    """

    name: str
    family: str
    over: str
    sweep: int
    reads: int
    writes: int
    arguments: Callable[[Arrays], tuple]
    always: bool = True
    keywords: Callable[[Arrays], dict] = lambda a: {}

    def call(self, function: Callable, arrays: Arrays, **more) -> partial:
        return partial(function, *self.arguments(arrays), **self.keywords(arrays), **more)

    @property
    def traffic(self) -> int:
        return self.sweep + self.reads + self.writes


def _activation(name: str, *, always: bool = False, **options) -> tuple[Operation, Operation]:
    forward = Operation(name, "activations", ROWS, 0, 1, 1, lambda a: (a.x,), always, lambda a: options)
    return forward, Operation(
        name + "_backward", "activations", ROWS, 0, 2, 1, lambda a: (a.dy, a.x), always, lambda a: options
    )


_TABLE = (
    Operation("layer_norm", "layernorm", ROWS, 0, 1, 1, lambda a: (a.x, a.gamma, a.beta)),
    Operation("layer_norm_backward", "layernorm", ROWS, 0, 2, 1, lambda a: (a.dy, a.x, *a.row_statistics, a.gamma)),
    Operation("batch_norm", "batchnorm", CHANNELS, 1, 1, 1, lambda a: (a.x, a.gamma, a.beta)),
    Operation(
        "batch_norm_inference",
        "batchnorm",
        CHANNELS,
        0,
        1,
        1,
        lambda a: (a.x, a.running_mean, a.running_var, a.gamma, a.beta),
    ),
    Operation(
        "batch_norm_backward",
        "batchnorm",
        CHANNELS,
        2,
        2,
        1,
        lambda a: (a.dy, a.x, *a.channel_statistics, a.gamma),
    ),
    Operation(
        "batch_norm_inference_backward",
        "batchnorm",
        CHANNELS,
        0,
        2,
        1,
        lambda a: (a.dy, a.x, a.running_mean, a.running_var, a.gamma),
    ),
    Operation("clip_by_value", "clipping", ROWS, 0, 1, 1, lambda a: (a.x, -1.0, 1.0), always=False),
    Operation("global_norm", "clipping", ROWS, 0, 1, 0, lambda a: (a.x,)),
    # Gradients that are within the norm, as they are at most steps: x is left as it is.
    Operation("clip_by_global_norm", "clipping", ROWS, 0, 1, 0, lambda a: (a.x, 1e30), always=False),
    Operation("dropout", "dropout", ROWS, 0, 1, 1, lambda a: (a.x, 0.1, (1, 2))),
    Operation("dropout_backward", "dropout", ROWS, 0, 1, 1, lambda a: (a.dy, 0.1, (1, 2))),
    Operation(
        "group_norm",
        "groupnorm",
        GROUPS,
        0,
        1,
        1,
        lambda a: (a.x, a.gamma, a.beta),
        keywords=lambda a: {"groups": a.groups},
    ),
    Operation("group_norm_backward", "groupnorm", GROUPS, 0, 2, 1, lambda a: (a.dy, a.x, *a.group_statistics, a.gamma)),
    Operation("instance_norm", "groupnorm", GROUPS, 0, 1, 1, lambda a: (a.x, a.gamma, a.beta)),
    Operation(
        "instance_norm_backward",
        "groupnorm",
        GROUPS,
        0,
        2,
        1,
        lambda a: (a.dy, a.x, *a.instance_statistics, a.gamma),
    ),
    # Strengths that are too small to change dy, which others use.
    Operation("l1_penalty", "penalties", ROWS, 0, 2, 1, lambda a: (a.x, 1e-30, a.dy), always=False),
    Operation("l2_penalty", "penalties", ROWS, 0, 2, 1, lambda a: (a.x, 1e-30, a.dy), always=False),
    Operation("elastic_net_penalty", "penalties", ROWS, 0, 2, 1, lambda a: (a.x, 1e-30, 1e-30, a.dy)),
    Operation("soft_threshold", "penalties", ROWS, 0, 1, 1, lambda a: (a.x, 0.5)),
    Operation("rms_norm", "rmsnorm", ROWS, 0, 1, 1, lambda a: (a.x, a.gamma)),
    Operation("rms_norm_backward", "rmsnorm", ROWS, 0, 2, 1, lambda a: (a.dy, a.x, a.root_mean_squares, a.gamma)),
    Operation("add_layer_norm", "addnorm", ROWS, 0, 2, 2, lambda a: (a.x, a.dy, a.gamma, a.beta)),
    Operation(
        "add_layer_norm_backward", "addnorm", ROWS, 0, 3, 1, lambda a: (a.dy, a.dy, a.x, *a.row_statistics, a.gamma)
    ),
    Operation("add_rms_norm", "addnorm", ROWS, 0, 2, 2, lambda a: (a.x, a.dy, a.gamma), always=False),
    Operation(
        "add_rms_norm_backward",
        "addnorm",
        ROWS,
        0,
        3,
        1,
        lambda a: (a.dy, a.dy, a.x, a.root_mean_squares, a.gamma),
        always=False,
    ),
    *_activation("relu"),
    *_activation("leaky_relu"),
    *_activation("sigmoid"),
    *_activation("tanh"),
    *_activation("gelu", approximate="tanh"),
    *_activation("silu"),
)
OPERATIONS = {operation.name: operation for operation in _TABLE}


@dataclass(frozen=True)
class Case:
    """One operation on one shape in one dtype: one row of the final table."""

    operation: Operation
    shape: Shape
    dtype: str

    @property
    def size_class(self) -> str:
        return self.shape.size_class(self.operation.over, self.dtype)

    @property
    def nbytes(self) -> int:
        return self.shape.nbytes(self.dtype)

    @property
    def moved(self) -> int:
        """The traffic in bytes: what GB/s in the tables counts."""
        return self.nbytes * self.operation.traffic

    @property
    def identifier(self) -> str:
        return f"{self.operation.name}-{self.dtype}-{self.shape.identifier}"

    def arrays(self) -> Arrays:
        return draw(self.shape, self.dtype)


def cases(family: str) -> list[Case]:
    """Every case of a family, those that share input arrays next to each other."""
    operations = [o for o in OPERATIONS.values() if o.family == family]
    return [
        Case(operation, shape, dtype)
        for shape in SHAPES
        for dtype in shape.dtypes
        for operation in operations
        if operation.over in shape.over
    ]


def quick_cases(selection: list[Case]) -> list[Case]:
    """The smallest case of each operation, dtype and class."""
    smallest: dict[tuple, Case] = {}
    for case in sorted(selection, key=lambda case: case.nbytes):
        smallest.setdefault((case.operation.name, case.dtype, case.size_class), case)
    keep = set(map(id, smallest.values()))
    return [case for case in selection if id(case) in keep]


def public_operations() -> set[str]:
    """The names of the operations that fastnorm offers, by its own account."""
    listed = getattr(reference, "__all__", None) or [
        name
        for name, value in vars(reference).items()
        if inspect.isfunction(value) and value.__module__ == reference.__name__ and not name.startswith("_")
    ]
    return set(listed) | {name for name in fastnorm.__all__ if hasattr(reference, name)}


def missing_benchmarks() -> list[str]:
    """What keeps the benchmarks from being complete, in sentences; empty when they are."""
    problems = []
    for name in sorted(public_operations()):
        operation = OPERATIONS.get(name)
        if operation is None:
            problems.append(f"{name} has no line in OPERATIONS of bench/operations.py")
            continue
        if not Path(__file__).with_name(f"bench_{operation.family}.py").exists():
            problems.append(f"{name} needs bench/bench_{operation.family}.py")
        ran = {(c.dtype, c.size_class) for c in cases(operation.family) if c.operation is operation}
        problems += [
            f"{name} has no {dtype} shape of class {key}"
            for dtype in DTYPES
            for key in CLASSES
            if (dtype, key) not in ran
        ]
    for name in OPERATIONS:
        problems += [
            f"{name} is benchmarked but not in {place}"
            for place, names in (
                ("fastnorm.__all__", fastnorm.__all__),
                ("reference", dir(reference)),
            )
            if name not in names
        ]
    return problems
