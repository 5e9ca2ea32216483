"""No operation reads or writes a byte beyond its arguments: they end, or begin, at pages that may not be touched.

Every batch is a process of its own, which prints what it does next: the last line is the call that it died of. Results
that the library allocates are not guarded here; `make asan` sees beyond the ends of those, but for the masked loads and
stores of AVX, which a sanitizer does not look at and guard pages stop.
"""

import itertools

import numpy as np
import pytest

from support import processes
from support.arrays import DTYPES
from support.guarded import Guarded
from support.isas import using
from support.operations import BY_NAME, OPERATIONS

# A process that dies on purpose is what AddressSanitizer reports, and it knows no more of these pages than they do.
pytestmark = pytest.mark.unsanitized("guard pages need no sanitizer")

BEYOND_SOME_POWER_OF_TWO = [127, 128, 129, 130, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025]
ROWS, COLUMNS = [*range(1, 41), 63, 64, 65, 130, 257], [*range(1, 71), *BEYOND_SOME_POWER_OF_TWO]
# All arrays together take 12 MB and more, of which results are written past the cache.
LARGE = [(3300, 1025), (400_003, 9), (49, 70_001)]
OFFSETS = (0, 4, 16, 60)

operations = pytest.mark.parametrize("op", OPERATIONS, ids=str)


def small_shapes():
    """Every number of rows with every number of columns, where both are small; else each with some of the other."""
    for i, (m, n) in enumerate(itertools.product(ROWS, COLUMNS)):
        if m * n <= 130 or i % 17 == 0:
            yield m, n


class Arguments:
    """Guarded arrays for all arguments of an operation, `out` among them, in memory that every call uses again."""

    def __init__(self, op, size):
        self.op = op
        self.kinds = {**op.shapes, "out": "x"}
        self.rooms = {name: Guarded(8 * size + max(OFFSETS)) for name in self.kinds}
        self.numbers = np.random.default_rng(0).uniform(0.5, 2, 1000)

    def of_shape(self, m, n, dtype, place, offset):
        """All arguments of an (m, n) call. `place`: "at_end" or "at_begin"."""
        shapes = {"x": (m, n), "rows": (m,), "features": (n,)}
        arguments = {}
        for name, room in self.rooms.items():
            kind = self.kinds[name]
            own = dtype if kind == "x" or name in self.op.optional else np.float64
            a = arguments[name] = getattr(room, place)(shapes[kind], own, offset)
            if name != "out":
                a.reshape(-1)[:] = np.resize(self.numbers, a.size)
        return arguments

    def call(self, m, n, dtype, place, offset):
        print(self.op, np.dtype(dtype), (m, n), place, offset, flush=True)
        self.op.function(**self.of_shape(m, n, dtype, place, offset))
        for name, room in self.rooms.items():
            assert room.gap_is_whole(), f"wrote beyond {name}"


def call_with_guards(name, isa, shapes, offsets):
    with using(isa):
        arguments = Arguments(BY_NAME[name], max(m * n for m, n in shapes))
        for i, (m, n) in enumerate(shapes):
            for dtype, place in itertools.product(DTYPES, ("at_end", "at_begin")):
                arguments.call(m, n, dtype, place, 0)
                offset = offsets[i % len(offsets)]
                if offset:
                    arguments.call(m, n, dtype, place, offset)


def check_batch(op, isa, shapes, offsets):
    result = processes.run(call_with_guards, op.name, isa, shapes, offsets)
    last = result.stdout.splitlines()[-1:]
    assert result.returncode == 0, f"status {result.returncode} in {last} on {isa}: {result.stderr}"
    assert result.stderr == ""


@operations
def test_nothing_beyond_the_ends(op, isa):
    check_batch(op, isa, list(small_shapes()), OFFSETS)


@operations
def test_nothing_beyond_the_ends_of_what_is_written_past_the_cache(op, isa):
    check_batch(op, isa, LARGE, (0,))


# ---- the guards bite


def call_with_one_too_short(name, dtype, place, short):
    arguments = Arguments(BY_NAME[name], 100)
    arrays = arguments.of_shape(3, 7, dtype, place, 0)
    if short is not None:
        a = arrays[short]
        arrays[short] = getattr(arguments.rooms[short], place)(a.shape, a.dtype, -a.itemsize)
    arguments.op.function(**arrays)


def die_of_each(name):
    for dtype, place in itertools.product((np.float32, np.float64), ("at_end", "at_begin")):
        assert processes.in_child(call_with_one_too_short, name, dtype, place, None)
        for short in Arguments(BY_NAME[name], 100).kinds:
            alive = processes.in_child(call_with_one_too_short, name, dtype, place, short)
            assert not alive, f"one element of {short} less {place}: no harm"


@operations
def test_an_array_that_is_too_short_is_noticed(op):
    processes.check(die_of_each, op.name)
