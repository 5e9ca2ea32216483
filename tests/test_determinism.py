"""The same bits: on every ISA, in place and into `out`, alone and among other rows.

The baseline, plain scalar C, is the oracle of bits.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.arrays import DTYPES, assert_same_bits, hostile
from support.isas import ISAS, using
from support.operations import OPERATIONS

operations = pytest.mark.parametrize("op", OPERATIONS, ids=str)
dtypes = pytest.mark.parametrize("dtype", DTYPES)

# Around every length where a block, a vector or a batch may end.
SIZES = [*range(1, 71), 95, 96, 97, 127, 128, 129, 191, 192, 193, 255, 256, 257, 511, 512, 513]
LARGE_SIZES = [1023, 1024, 1025, 4095, 4096, 4097]


def arguments_for(op, shape, dtype, rng, axis=-1):
    x, dy = (hostile(rng, shape, dtype) for _ in range(2))
    return op.draw(x, axis, rng, dy, rng.choice([0, 1e-12, 1e-5]))


def assert_same_on_every_isa(op, arguments, what):
    with using("baseline"):
        expected = op(arguments)
    for isa in ISAS:
        with using(isa):
            assert_same_bits(op(arguments), expected, f"{isa}, {what}")


@operations
@dtypes
@pytest.mark.parametrize("m", [1, 2, 3, 15, 16, 17, 33, 64])
def test_isas_agree_on_every_length(op, dtype, m, rng):
    for n in SIZES + (LARGE_SIZES if m < 20 else []):
        assert_same_on_every_isa(op, arguments_for(op, (m, n), dtype, rng), (m, n))


@operations
@dtypes
@pytest.mark.parametrize("c", [1, 2, 3, 8, 15, 16, 17, 40])
def test_isas_agree_on_every_number_of_rows(op, dtype, c, rng):
    for m in SIZES + (LARGE_SIZES if c < 20 else []):
        assert_same_on_every_isa(op, arguments_for(op, (m, c), dtype, rng), (m, c))


@operations
@dtypes
@pytest.mark.parametrize("shape", [(1, 1_000_003), (600_001, 2), (3001, 257), (70_000, 17)])
def test_isas_agree_on_large_arrays(op, dtype, shape, rng):
    # Beyond the caches, where a kernel may write with other instructions.
    assert_same_on_every_isa(op, arguments_for(op, shape, dtype, rng), shape)


def beyond_the_cache(op, c, dtype, rng):
    """Arguments of 13 MB each, results of which are written past the cache: the rows of a small array over and over.

    Tame ones: columns that need double are not written so.
    """
    x, dy = (rng.standard_normal((1024, c)).astype(dtype) for _ in range(2))
    arguments = op.draw(x, -1, rng, dy, 1e-5)
    rows = 13_000_000 // (c * np.dtype(dtype).itemsize)
    of_rows = op.data + (("mean", "rstd") if op.statistics == "rows" else ())
    for name in set(of_rows) & arguments.keys():
        arguments[name] = np.resize(arguments[name], (rows, *arguments[name].shape[1:]))
    return arguments


@operations
@dtypes
@pytest.mark.parametrize("c", [32, 37, 300, 8192])
def test_results_beyond_the_cache_at_any_offset(op, dtype, c, rng):
    arguments = beyond_the_cache(op, c, dtype, rng)
    with using("baseline"):
        expected = op(arguments)
    size = np.dtype(dtype).itemsize
    for isa in ISAS[1:]:
        for offset in (0, *rng.choice(range(size, 64, size), 2, replace=False)):
            room = np.full(arguments["x"].nbytes + 128, 0xA5, np.uint8)
            start = -room.ctypes.data % 64 + offset
            out = room[start:][: arguments["x"].nbytes].view(dtype).reshape(arguments["x"].shape)
            with using(isa):
                assert_same_bits(op(arguments, out=out), expected, f"{isa}, out {offset} bytes off a line")
            assert (room[:start] == 0xA5).all() and (room[start + out.nbytes :] == 0xA5).all()


@given(st.data())
@pytest.mark.parametrize("op", OPERATIONS, ids=str)
def test_isas_agree_on_anything(op, data):
    size = st.one_of(st.integers(1, 40), st.sampled_from(SIZES))
    shape = tuple(data.draw(st.lists(size, min_size=1, max_size=3), label="shape"))
    axis = data.draw(st.integers(0, len(shape) - 1), label="axis")
    dtype = data.draw(st.sampled_from(DTYPES))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    if np.prod(shape) > 200_000:
        shape = tuple(min(s, 40) for s in shape)
    arguments = arguments_for(op, shape, dtype, rng, axis)
    missing = data.draw(st.sets(st.sampled_from(op.optional)), label="None")
    arguments.update({name: None for name in missing & arguments.keys()})
    assert_same_on_every_isa(op, arguments, shape)


def rows_only(op, results, rows=slice(None)):
    """The results that belong to single rows."""
    names = set(op.outputs) - {"dgamma", "dbeta"}
    return {name: a[rows] for name, a in results.items() if name in names}


@pytest.mark.parametrize("op", [op for op in OPERATIONS if op.statistics == "rows"], ids=str)
@dtypes
def test_a_row_is_the_same_alone_and_among_others(op, dtype, isa, rng):
    of_rows = {*op.data, *op.parameters} - {"gamma", "beta"}
    for n in SIZES + LARGE_SIZES[:3]:
        arguments = arguments_for(op, (40, n), dtype, rng)
        expected = op(arguments)
        for batch in range(1, 40):
            start = int(rng.integers(0, 40 - batch + 1))
            rows = slice(start, start + batch)
            results = op(arguments, **{name: arguments[name][rows] for name in of_rows})
            what = f"rows {start} to {start + batch} of length {n}"
            assert_same_bits(rows_only(op, results), rows_only(op, expected, rows), what)


@operations
@dtypes
@pytest.mark.parametrize("m", [1, 3, 16, 37])
def test_fresh_out_and_in_place_agree(op, dtype, m, isa, rng):
    for n in [*SIZES[::3], *LARGE_SIZES[2:4]]:
        arguments = arguments_for(op, (m, n), dtype, rng)
        expected = op(arguments)
        out = np.full((m, n), np.nan, dtype)
        assert_same_bits(op(arguments, out=out), expected, f"out {m, n}")
        for name in op.data:
            out = arguments[name].copy()
            results = op(arguments, **{name: out}, out=out)
            assert results[op.outputs[0]] is out
            assert_same_bits(results, expected, f"in place of {name} {m, n}")


@operations
@dtypes
def test_in_place_on_large_arrays(op, dtype, isa, rng):
    for shape in [(2, 500_000), (300_000, 3), (1500, 1031)]:
        arguments = arguments_for(op, shape, dtype, rng)
        expected = op(arguments)
        for name in op.data:
            out = arguments[name].copy()
            results = op(arguments, **{name: out}, out=out)
            assert_same_bits(results, expected, f"in place of {name} {shape}")


@operations
@dtypes
def test_a_second_call_gives_the_same_bits(op, dtype, isa, rng):
    # Nothing is left over from another call, or read from memory that nobody wrote.
    for shape in [(5, 33), (200, 96), (3, 4099), (1000, 3)]:
        arguments = arguments_for(op, shape, dtype, rng)
        first = op(arguments)
        op(arguments_for(op, (shape[1], shape[0]), dtype, rng))
        assert_same_bits(op(arguments), first, shape)
