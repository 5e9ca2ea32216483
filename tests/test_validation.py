"""Every refused argument: which exception, what it says, and that nothing was changed."""

import re
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.exceptions import AxisError
from numpy.lib.stride_tricks import as_strided

from support.arrays import DTYPES
from support.operations import BY_NAME, EVERY

SHAPE, FEATURES = (4, 3), (3,)


def good_arguments(op, dtype=np.float64):
    """Arguments that are accepted, with everything in them that a call could change."""
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal(SHAPE).astype(dtype) for _ in range(2))
    arguments = op.draw(x, -1, rng, dy, 1e-5)
    arguments["out"] = np.full(SHAPE, 77, dtype)
    return arguments


@dataclass(frozen=True)
class Case:
    """One argument that is refused."""

    op: str
    argument: str
    id: str
    change: object = field(repr=False)
    """A new value, or a function of the good arguments that gives one."""
    exception: type
    message: str
    """A pattern for what the message says of the value; the argument's name stands before it."""

    def __str__(self):
        return f"{self.op}-{self.argument}-{self.id}"

    def arguments(self, dtype):
        arguments = good_arguments(BY_NAME[self.op], dtype)
        changed = self.change(arguments) if callable(self.change) else self.change
        return arguments | {self.argument: changed}


def text(value):
    return re.escape(str(value))


def cast(name, dtype):
    return lambda arguments: np.ones(np.shape(arguments[name]), dtype)


def masked(name):
    return lambda arguments: np.ma.masked_array(arguments[name], mask=False)


def reshaped(name, shape):
    return lambda arguments: np.ones(shape, np.asarray(arguments[name]).dtype)


def wrong_types(op):
    """Arrays that hold no real numbers, and what is no array at all."""
    refused = {
        "complex": (np.complex64, "complex64"),
        "object": (np.object_, r"object|\bO\b"),
        "string": ("U1", "U1|str"),
        "bytes": ("S1", "S1|bytes"),
        "datetime": ("M8[s]", "datetime64"),
        "timedelta": ("m8[s]", "timedelta64"),
        "longdouble": (np.longdouble, text(np.dtype(np.longdouble)) + "|longdouble"),
        "structure": ([("a", "f8")], r"void|V8|\('a'"),
    }
    for name in (*op.data, *op.parameters):
        for label, (dtype, message) in refused.items():
            yield Case(op.name, name, label, cast(name, dtype), TypeError, message)
        yield Case(op.name, name, "masked", masked(name), TypeError, "[Mm]asked")
        if name not in op.optional:
            yield Case(op.name, name, "none", None, TypeError, r"None|object|\bO\b")
        yield Case(op.name, name, "dict", {}, TypeError, r"dict|object|\bO\b")
        yield Case(op.name, name, "text", "abc", TypeError, "U3|str")


def wrong_shapes(op):
    arguments = good_arguments(op)
    for name in sorted({*op.data, *op.parameters, *op.updated, "out"} - {"x"}):
        right = np.shape(arguments[name])
        wrong = {
            (7,),
            (1,),
            (),
            (1, *right),
            (*right, 1),
            (0,),
            (right[0] + 1, *right[1:]),
            right[::-1],
        } - {right}
        for shape in sorted(wrong):
            message = f"{text(shape)}.*expected.*{text(right)}"
            if op.name == "group_norm_backward" and name == "mean":  # which says how many groups there are
                message = rf"{text(shape)}.*expected.*\({right[0]}, groups\)"
            label = f"shape_{shape}".replace(" ", "")
            yield Case(op.name, name, label, reshaped(name, shape), ValueError, message)
    # x decides what the others should be, so x itself is only wrong without any axis.
    yield Case(op.name, "x", "scalar_array", reshaped("x", ()), ValueError, r"0-d|dimension|\(\)")
    yield Case(op.name, "x", "scalar", 1.5, ValueError, r"0-d|dimension|\(\)")


def wrong_numbers(op):
    no_numbers = {
        "none": None,
        "text": "1e-5",
        "bytes": b"1",
        "complex": 1j,
        "list": [1e-5],
        "array": np.array([1e-5, 1e-5]),
        "object": object(),
    }
    beyond = {
        "eps": [np.nan, np.inf, -np.inf, -1, -1e-300, -5e-324, np.float32(-1)],
        "momentum": [np.nan, np.inf, -np.inf, -0.5, 1.5, -5e-324, np.nextafter(1, 2), 2],
    }
    for name in op.numbers:
        for label, value in no_numbers.items():
            yield Case(op.name, name, label, value, TypeError, "")
        for value in beyond[name]:
            yield Case(op.name, name, text(value), value, ValueError, number_in_message(value))


def number_in_message(value):
    # -1 may be shown as -1.0; the last digits of the smallest numbers need not be shown.
    return r"-\d" if -1e-299 < value < 0 else text(value).removesuffix(r"\.0")


def wrong_axes(op):
    if op.statistics == "groups":
        return
    for axis in (2, -3, 100, -(2**31), 2**31, 2**40):
        message = rf"{axis}\b.*2" if abs(axis) < 2**31 else ""
        yield Case(op.name, "axis", str(axis), axis, AxisError, message)
    for axis in (2**70, -(2**70)):
        yield Case(op.name, "axis", str(axis), axis, (AxisError, OverflowError), "")
    for label, axis in {"none": None, "float": 1.0, "text": "1", "tuple": (0, 1)}.items():
        yield Case(op.name, "axis", label, axis, TypeError, "")


def wrong_places(op):
    """Arrays that cannot be written as they should."""

    def read_only(name):
        def change(arguments):
            a = np.array(arguments[name])
            a.flags.writeable = False
            return a

        return change

    def folded(name):
        # Many elements in one place.
        def change(arguments):
            a = np.array(arguments[name])
            return as_strided(a, a.shape, (0,) * a.ndim)

        return change

    def half_overlapping(name):
        # Rows that begin inside the one before: no stride is 0.
        def change(arguments):
            a = np.array(arguments[name])
            return as_strided(a, a.shape, (a.itemsize,) * a.ndim)

        return change

    unwritable = "read-only|readonly|writ"
    for name in ("out", *op.updated):
        yield Case(op.name, name, "read_only", read_only(name), ValueError, unwritable)
        yield Case(op.name, name, "folded", folded(name), ValueError, "overlap")
        yield Case(op.name, name, "list", [[1.0] * 3] * 4, TypeError, "list|ndarray|array")
        yield Case(op.name, name, "number", 1.0, TypeError, "float|ndarray|array")
        yield Case(op.name, name, "masked", masked(name), TypeError, "[Mm]asked")
        for dtype in (np.float16, np.int64, np.complex64, np.bool_, np.longdouble, object):
            message = text(np.dtype(dtype)) + "|" + text(np.dtype(dtype).str)
            label = np.dtype(dtype).name
            yield Case(op.name, name, label, cast(name, dtype), TypeError, message)
    yield Case(op.name, "out", "half_overlapping", half_overlapping("out"), ValueError, "overlap")

    def other_float(arguments):
        other = {"f": "d", "d": "f"}[arguments["x"].dtype.char]
        return np.ones(SHAPE, other)

    def other_byte_order(arguments):
        return np.ones(SHAPE, arguments["x"].dtype.newbyteorder())

    both = "float32.*float64|float64.*float32"
    yield Case(op.name, "out", "other_float", other_float, TypeError, both)
    yield Case(op.name, "out", "other_byte_order", other_byte_order, TypeError, "[<>]f|float|order")


def wrong_running_statistics(op):
    if not op.updated:
        return
    together = "running_var.*running_mean|running_mean.*running_var"
    for name in op.updated:
        yield Case(op.name, name, "one_without_the_other", None, ValueError, together)

    def same(arguments):
        return arguments["running_mean"]

    def overlapping(arguments):
        memory = np.zeros(5)
        arguments["running_mean"] = memory[:3]
        return memory[2:]

    def inside_out(arguments):
        arguments["out"] = np.zeros(SHAPE)
        arguments["x"] = arguments["x"].astype(np.float64)
        return arguments["out"][1]

    yield Case(op.name, "running_var", "is_running_mean", same, ValueError, "overlap")
    yield Case(op.name, "running_var", "overlaps_running_mean", overlapping, ValueError, "overlap")
    for name in op.updated:
        yield Case(op.name, name, "inside_out", inside_out, ValueError, "overlap")


CASES = [
    case
    for op in EVERY
    for kind in (
        wrong_types,
        wrong_shapes,
        wrong_numbers,
        wrong_axes,
        wrong_places,
        wrong_running_statistics,
    )
    for case in kind(op)
]


def memory_of(arguments):
    """The bytes that every array argument looks at, gaps between its elements included."""
    found = {}
    for name, a in arguments.items():
        if isinstance(a, np.ndarray) and a.dtype != object:
            while isinstance(a.base, np.ndarray):
                a = a.base
            found[name] = np.array(a).tobytes()
    return found


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_refused(case, dtype):
    arguments = case.arguments(dtype)
    before = memory_of(arguments)
    with pytest.raises(case.exception) as caught:
        BY_NAME[case.op].function(**arguments)
    message = str(caught.value)
    assert re.search(rf"\b{case.argument}\b", message), f"does not name the argument: {message}"
    assert re.search(rf"({case.message})", message), f"does not say what is wrong: {message}"
    assert memory_of(arguments) == before


@pytest.mark.parametrize("op", EVERY, ids=str)
def test_good_arguments_are_good(op):
    # Else the cases above could be refused for another reason than theirs.
    for dtype in DTYPES:
        arguments = good_arguments(op, dtype)
        op.function(**arguments)
        assert (arguments["out"] != 77).all()


@pytest.mark.parametrize("op", EVERY, ids=str)
def test_the_dtype_of_out_follows_from_x_alone(op):
    arguments = good_arguments(op, np.float32)
    for name in {"gamma", "beta", "dy"} & arguments.keys():
        arguments[name] = arguments[name].astype(np.float64)
    op.function(**arguments)


@pytest.mark.parametrize("op", EVERY, ids=str)
def test_the_call_itself(op):
    arguments = good_arguments(op)
    with pytest.raises(TypeError):
        op.function()
    with pytest.raises(TypeError):
        op.function(**arguments, axes=1)
    with pytest.raises(TypeError):  # axis and what follows it go by name only
        op.function(*[arguments[name] for name in (*op.data, *op.parameters)], -1)


@pytest.mark.parametrize("op", EVERY, ids=str)
def test_numbers_of_any_kind_are_numbers(op):
    for kind in (int, float, np.float32, np.float64, np.int64, np.longdouble, np.array):
        arguments = good_arguments(op)
        for name in op.numbers:
            arguments[name] = kind(1)
        op.function(**arguments)


class Explodes:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("cannot be read")


class Liar:
    shape = (4, 3)
    dtype = np.dtype(float)
    __array_interface__ = "nonsense"


HOSTILE = {
    "ragged": [[1.0], [1.0, 2.0]],
    "explodes": Explodes(),
    "liar": Liar(),
    "function": len,
    "empty_list": [],
    "set": {1.0},
    "generator": (i for i in range(3)),
    "huge_integer": 10**400,
    "deep": [[[[[[[[[[1.0]]]]]]]]]],
    "nan": float("nan"),
    "memory": memoryview(b"12345678"),
    "type": np.ndarray,
    "negative_zero_size": np.empty((0, 3))[::-1],
    "void": np.void(b"123"),
    "broadcast": np.broadcast_to(1.0, (2**40, 1))[:0],
}


@pytest.mark.parametrize("op", EVERY, ids=str)
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_anything_at_all_in_any_place(op, value):
    # The answer is an exception (or an ordinary result), never a crash or a changed argument.
    for name in good_arguments(op):
        if name == "return_stats":
            continue
        arguments = good_arguments(op) | {name: value}
        before = memory_of(arguments)
        try:
            op.function(**arguments)
        except (TypeError, ValueError, OverflowError, RuntimeError):
            assert memory_of(arguments) == before, name
