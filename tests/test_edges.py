"""Edges that every operation shares: nothing to do, bad numbers, sizes that cannot be."""

import numpy as np
import pytest

from support.arrays import DTYPES, EMPTY_SHAPES, LAYOUTS, assert_same_bits, draw, same_bits
from support.operations import OPERATIONS

operations = pytest.mark.parametrize("op", OPERATIONS, ids=str)
dtypes = pytest.mark.parametrize("dtype", DTYPES)


def arguments_for(op, shape, dtype, rng, axis=-1, eps=1e-5):
    x, dy = (draw("normal", rng, shape, dtype) for _ in range(2))
    return op.draw(x, axis, rng, dy, eps)


@operations
@dtypes
@pytest.mark.parametrize("shape", EMPTY_SHAPES)
def test_empty_arrays(op, dtype, shape, isa, rng):
    for axis in range(len(shape)):
        arguments = arguments_for(op, shape, dtype, rng, axis, eps=0.25)
        statistics = shape[:axis] if op.statistics == "rows" else shape[axis:]
        expected = {"mean": (0, statistics, np.float64), "rstd": (2, statistics, np.float64)}
        expected |= {name: (0, shape[axis:], dtype) for name in ("dgamma", "dbeta")}
        for out in (None, np.empty(shape, dtype)):
            results = op(arguments, out=out)
            first = results[op.outputs[0]]
            assert first.shape == shape and first.dtype == dtype
            assert out is None or first is out
            for name in op.outputs[1:]:
                value, its_shape, its_dtype = expected[name]
                assert results[name].dtype == its_dtype
                assert np.array_equal(results[name], np.full(its_shape, value)), name
            for name in op.updated:
                assert same_bits(results[name], arguments[name]), name


@operations
@dtypes
@pytest.mark.parametrize("layout", ["strided", "transposed", "big_endian", "field", "negative"])
def test_empty_arrays_of_any_layout(op, dtype, layout, rng):
    for shape in EMPTY_SHAPES[1:]:
        arguments = arguments_for(op, shape, dtype, rng)
        moved = {name: LAYOUTS[layout](arguments[name]) for name in op.data}
        assert_same_bits(op(arguments, **moved), op(arguments))


@operations
@dtypes
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("shape", [(40, 50), (17, 3), (2, 300), (70, 16)])
def test_a_bad_number_spoils_its_own_row_or_channel_alone(op, dtype, bad, shape, isa, rng):
    arguments = arguments_for(op, shape, dtype, rng)
    clean = op(arguments)
    for name in op.data:
        for _ in range(4):
            i, j = int(rng.integers(shape[0])), int(rng.integers(shape[1]))
            a = arguments[name].copy()
            a[i, j] = bad
            results = op(arguments, **{name: a})
            if op.statistics == "rows":
                own, others = (i,), (np.arange(shape[0]) != i,)
                by_channel = ()
            else:
                own, others = (slice(None), j), (slice(None), np.arange(shape[1]) != j)
                by_channel = {*op.outputs[1:], *op.updated}
            first = op.outputs[0]
            if "running_var" in op.parameters:  # given statistics carry nothing to others; dx does not depend on x
                spoilt = results["dgamma"][j] if (first, name) == ("dx", "x") else results[first][i, j]
            else:
                spoilt = results[first][own]
            assert not np.isfinite(spoilt).any()
            assert same_bits(results[first][others], clean[first][others])
            for other in by_channel:
                kept = np.arange(shape[1]) != j
                assert same_bits(results[other][kept], clean[other][kept]), other
            for other in {"mean", "rstd"} & results.keys() - set(by_channel):
                kept = np.arange(shape[0]) != i
                assert same_bits(results[other][kept], clean[other][kept]), other


@operations
@dtypes
def test_nothing_but_nan(op, dtype, isa, rng):
    arguments = arguments_for(op, (20, 33), dtype, rng)
    for name in op.data:
        arguments[name] = np.full((20, 33), np.nan, dtype)
    assert np.isnan(op(arguments)[op.outputs[0]]).all()


@operations
@dtypes
@pytest.mark.parametrize("shape", [(2**57, 1), (1, 2**57), (2**40, 2**17)])
def test_sizes_that_no_memory_holds(op, dtype, shape):
    # Views of one element that claim more bytes than there are addresses for the result.
    arguments = {name: np.broadcast_to(dtype(1), shape) for name in op.data}
    statistics = shape[:1] if op.statistics == "rows" else shape[1:]
    for name in set(op.parameters) - set(op.optional):
        arguments[name] = np.broadcast_to(dtype(1), statistics)
    with pytest.raises((MemoryError, ValueError)):
        op.function(**arguments)


@pytest.mark.parametrize("op", [op for op in OPERATIONS if "dbeta" in op.outputs], ids=str)
def test_sums_of_gradients_beyond_float32_that_cancel(op, isa, rng):
    x, dy = draw("normal", rng, (32, 5), np.float32), np.full((32, 5), 3e38, np.float32)
    dy[4:12] *= -1
    dy[20:28] *= -1
    assert np.array_equal(op(op.draw(x, -1, rng, dy, 1e-5))["dbeta"], np.zeros(5))
