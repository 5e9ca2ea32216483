"""Draws arguments, right and wrong ones. Which are which is not decided here: see `promise.py`."""

from fractions import Fraction

import numpy as np

from fuzz import layouts
from fuzz.promise import parameters_of
from support.operations import OPERATIONS

FLOATS = [np.dtype(np.float32), np.dtype(np.float64)]
RIGHT_DTYPES = FLOATS + [np.dtype(code) for code in (">f4", ">f8", "i1", "u1", "i2", ">i4", "i8", "u8", "?", "f2")]
WRONG_DTYPES = [
    np.dtype(code) for code in ("g", "F", "D", "O", "U1", "S2", "M8[s]", "m8[s]", "V8", [("a", "f4"), ("b", "i1")])
]
DIMENSIONS = (0, 1, 1, 2, 2, 3, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33, 64, 65)

NUMBERS = (
    *(0, 0.0, -0.0, 1e-5, 1e-5, 0.1, 0.5, 1, 1.0, True, 2, 1e-300, 5e-324, 1e300, -1, -1e-5, -5e-324),
    *(float("nan"), float("inf"), -float("inf"), 1.5, 2**70, -(2**70), 1 + 2**-52),
    *(10**400, -(10**400), Fraction(10**400)),
    *(np.float16(0.5), np.float32(1e-5), np.float64(0), np.longdouble(0.1), np.int8(1), np.uint64(0), np.int64(-1)),
    *(np.float32("nan"), np.bool_(True), np.complex64(1), Fraction(1, 3), Fraction(-1, 3), 1j, None, "1e-5", b"1"),
    *([], [1e-5], (0.5,), {}, {1}, Ellipsis, NotImplemented, float, len, np.float32, "x" * 100),
)
INDICES = (
    *(0, 1, 2, 3, -1, -2, -3, -4, True, False, 4, 7, -5, 2**31, -(2**31), 2**63, -(2**70), 2**100),
    *(np.int64(0), np.int8(-1), np.uint8(1), np.int64(99), np.bool_(True), np.float64(0), 0.0, 1.0, 1j, None),
    *("0", b"0", [0], (0,), (0, 1), {}, slice(None), Ellipsis, Fraction(1, 1), int),
)
FLAGS = (True, False, 0, 1, None, "", "x", [], [0], np.bool_(False), np.float64(0), float("nan"), Ellipsis)
NO_ARRAYS = (
    *(None, 0, 1.5, -1, True, 1j, "abc", b"abc", "", [], [[]], (), {}, {1.0}, [None], ["a"], [[1.0], [1.0, 2.0]]),
    *([[[[[[1.0]]]]]], 10**400, [10**400], float("nan"), Ellipsis, NotImplemented, len, np.ndarray, Fraction(1, 2)),
    *(np.float32(1), np.float64("nan"), np.longdouble(1), np.bool_(True), np.str_("a"), np.void(b"123"), slice(None)),
    *(memoryview(b"12345678"), bytearray(b"1234"), range(3), range(0), np.datetime64("2015-02-11")),
)


def small_arrays(r):
    """Arrays of no or one dimension where a number is expected."""
    dtype = r.choice(RIGHT_DTYPES + WRONG_DTYPES)
    return np.ones(r.choice(((), (), (1,), (2,))), dtype)


def any_index(r):
    how = r.random()
    return small_arrays(r) if how < 0.1 else r.randint(-1, 9) if how < 0.4 else r.choice(INDICES + NUMBERS)


def shape(r):
    if r.random() < 0.002:
        return r.randint(1, 700), r.randint(1, 700)
    dims = [r.choice(DIMENSIONS) for _ in range(r.choice((1, 2, 2, 2, 2, 3, 3, 4)))]
    while np.prod(dims) > 3000:
        dims.pop()
    return tuple(dims)


def other_shape(r, right):
    """A shape that is mostly wrong: an axis more, less, longer, shorter, or the axes turned around."""
    dims = list(right)
    how = r.randrange(5)
    if how == 0 or not dims:
        dims.insert(r.randint(0, len(dims)), r.choice((0, 1, 1, 2)))
    elif how == 1:
        dims.pop(r.randrange(len(dims)))
    elif how == 2:
        dims.reverse()
    else:
        i = r.randrange(len(dims))
        dims[i] = max(dims[i] + r.choice((-1, 1)), 0) if how == 3 else 1
    return tuple(dims)


class Draw:
    """One operation, the shape of x and the axis: draws arguments that go together, and others that do not."""

    def __init__(self, r):
        self.r = r
        self.op = r.choice(OPERATIONS)
        self.shape = shape(r)
        self.axis = r.randrange(len(self.shape))
        self.dtype = r.choice(FLOATS)
        self.dims = {"x": self.shape, "rows": self.shape[: self.axis], "features": self.shape[self.axis :]}
        flags = [name for name in ("return_stats", "unbiased") if name in parameters_of(self.op.function)]
        self.scalars = ["axis", *self.op.numbers, *flags]
        self.dims |= {name: self.dims[kind] for name, kind in self.op.shapes.items()} | {"out": self.shape}

    def numbers(self):
        """Arguments as training has them, in plain arrays: x of N(0, 1) with statistics that belong to it."""
        rng = np.random.default_rng(self.r.getrandbits(32))
        x, dy = (rng.standard_normal(self.shape).astype(self.dtype) for _ in range(2))
        return self.op.draw(x, self.axis, rng, dy, 1e-5)

    def good(self):
        """Arguments that are right, but may be of any layout and hold any numbers."""
        arguments = {name: self.right(name) for name in self.op.shapes}
        arguments |= {"axis": self.axis} | {name: 0.1 for name in self.op.numbers}
        if self.r.random() < 0.5:
            arguments["out"] = self.right("out")
        if self.r.random() < 0.2:
            arguments |= dict.fromkeys(self.op.updated)
        return arguments

    def right(self, name):
        r = self.r
        if name in self.op.optional and r.random() < 0.1:
            return None
        if name in ("x", "out"):
            dtype = self.dtype
        elif name in self.op.updated or r.random() < 0.8:
            dtype = r.choice(FLOATS)
        else:
            dtype = r.choice(RIGHT_DTYPES)
        a = layouts.empty(r, self.dims[name], dtype)
        layouts.fill(r, a)
        return a

    def mutated(self, arguments):
        """The same call with some arguments drawn anew, from right and wrong ones."""
        r = self.r
        arguments = dict(arguments)
        for _ in range(r.choice((0, 1, 1, 1, 2, 2, 3))):
            how = r.random()
            if how < 0.15:
                self.put_together(arguments)
            elif how < 0.75:
                name = r.choice((*self.op.shapes, "out"))
                arguments[name] = self.any_array(name, arguments.get(name))
            elif how < 0.97:
                name = r.choice(self.scalars)
                arguments[name] = self.any_number(name)
            elif how < 0.985:
                arguments.pop(r.choice(list(arguments)), None)
            else:
                arguments[r.choice(("axes", "dtype", "where", "x_"))] = None
        return arguments

    def any_number(self, name):
        r = self.r
        if r.random() < 0.1:
            return small_arrays(r)
        if name == "axis":
            same = (self.axis, self.axis - len(self.shape), np.int64(self.axis), np.array(self.axis))
            return r.choice(same if r.random() < 0.5 else INDICES)
        return r.choice(FLAGS if name in ("return_stats", "unbiased") else NUMBERS)

    def any_array(self, name, before):
        """A right one of another kind, of any layout and dtype, of another shape, or no array at all."""
        r = self.r
        how = r.random()
        if how < 0.1:
            return r.choice(NO_ARRAYS)
        if how < 0.2:
            return before.tolist() if isinstance(before, np.ndarray) and before.dtype.kind in "fib" else before
        if how < 0.4:
            return self.right(name)
        dims = self.dims[name] if r.random() < 0.75 else other_shape(r, self.dims[name])
        dtypes = WRONG_DTYPES if r.random() < 0.2 else RIGHT_DTYPES if r.random() < 0.5 else FLOATS
        dtype = r.choice(dtypes)
        if dtype.kind not in "fiub" or dtype.char == "g":
            return np.ones(dims, dtype)
        a = layouts.empty(r, dims, dtype)
        layouts.fill(r, a)
        return self.dressed(a)

    def dressed(self, a):
        """Sometimes read-only, or of a subclass."""
        how = self.r.random()
        if how < 0.1:
            a = a[...]
            a.flags.writeable = False
        elif how < 0.15 and a.ndim == 2:
            a = a.view(np.matrix)
        elif how < 0.2:
            a = a.view(np.recarray)
        elif how < 0.25:
            a = np.ma.masked_array(a, copy=False)
        return a

    def put_together(self, arguments):
        """Several arrays, mostly `out` among them, in one memory, where they overlap."""
        r = self.r
        names = r.sample([name for name in self.dims if name in self.op.shapes], r.randint(1, 2))
        names.append("out" if "out" not in names and r.random() < 0.8 else r.choice(list(self.op.shapes)))
        names = list(dict.fromkeys(names))
        dtypes = [self.dtype if name == "out" or r.random() < 0.6 else r.choice(FLOATS) for name in names]
        arrays = layouts.together(r, [(self.dims[name], dtype) for name, dtype in zip(names, dtypes, strict=True)])
        for a in arrays:
            layouts.fill(r, a)
        arguments |= zip(names, arrays, strict=True)
        if r.random() < 0.3 and len(names) > 1:
            first, last = names[0], names[-1]
            if arrays[0].shape == arrays[-1].shape:
                arguments[last] = arguments[first]
