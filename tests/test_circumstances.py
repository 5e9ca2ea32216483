"""Nothing around a call changes a bit: ISA, threads, layouts and places in memory, `out`, the caller's flush-to-zero,
and other threads at work, all at once.

The oracle is the baseline on one thread, on plain copies.
"""

import contextlib
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastnorm
from support import control
from support.arrays import DTYPES, LAYOUTS, WRITEABLE_LAYOUTS, assert_same_bits, at_offset, hostile
from support.isas import ISAS, using
from support.operations import OPERATIONS

THREADS = (1, 2, 3, 7)
OFFSETS = range(0, 64, 4)
"""Bytes past a cache line; every second one is no multiple of the size of a float64."""


@pytest.fixture(scope="module")
def load():
    """Another thread that shares its own calls among threads, all the time."""
    stop = threading.Event()
    x = np.ones((1000, 300), np.float32)

    def call():
        with fastnorm.threads(2):
            while not stop.wait(0.001):
                fastnorm.batch_norm(x)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    yield
    stop.set()
    thread.join()


def shapes():
    """Up to three dimensions of a few elements, or two of which one is long: enough work for several threads."""
    small = st.lists(st.integers(1, 40), min_size=1, max_size=3)
    large = st.tuples(st.integers(1, 40), st.integers(3000, 15_000)).flatmap(st.permutations)
    return st.one_of(small, large).map(tuple)


def place(a, layouts):
    """A strategy for copies of `a` that lie somewhere else, in one of the layouts or at an offset."""
    moved = st.sampled_from(OFFSETS).map(lambda offset: at_offset(a, offset))
    if a.ndim == 0:  # the statistics of a LayerNorm over all axes
        return moved
    return moved | st.sampled_from(sorted(layouts)).map(lambda name: layouts[name](a))


def draw_arguments(op, draw):
    shape = draw(shapes())
    axis = draw(st.integers(0, len(shape) - 1))
    dtype = draw(st.sampled_from(DTYPES))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    x, dy = (hostile(rng, shape, dtype) for _ in range(2))
    return op.draw(x, axis, rng, dy, draw(st.sampled_from([0, 1e-12, 1e-5])))


def draw_places(op, arguments, draw):
    """The arrays of a call, moved; with `out` or not, which may be one of them."""
    moved = {name: draw(place(arguments[name], LAYOUTS)) for name in (*op.data, *op.parameters)}
    out = draw(st.sampled_from([None, "out", *op.data]))
    if out == "out":
        moved["out"] = draw(place(np.zeros_like(arguments["x"]), WRITEABLE_LAYOUTS))
    elif out:
        moved["out"] = moved[out] = draw(place(arguments[out], WRITEABLE_LAYOUTS))
    return moved


@pytest.mark.usefixtures("load")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
@pytest.mark.parametrize("op", OPERATIONS, ids=str)
def test_nothing_around_a_call_changes_a_bit(op, control_library, data):
    arguments = draw_arguments(op, data.draw)
    with using("baseline"), fastnorm.threads(1):
        expected = op(arguments)
    moved = draw_places(op, arguments, data.draw)
    isa, n = data.draw(st.sampled_from(ISAS)), data.draw(st.sampled_from(THREADS))
    flush = data.draw(st.booleans(), label="flush to zero")
    with using(isa), fastnorm.threads(n):
        with control.under(control_library, "flush") if flush else contextlib.nullcontext():
            results = op(arguments, **moved)
    assert_same_bits(results, expected, f"{isa}, {n} threads, flush {flush}")
