"""Half precision number by number and over lists: the float32 results of the same numbers, rounded once."""

import itertools

import ml_dtypes
import numpy as np
import pytest

import fastnorm
from fastnorm import reference
from support.arrays import LAYOUTS, WRITEABLE_LAYOUTS, assert_same_bits, at_offset
from support.elementwise import OPERATIONS, Elementwise
from support.guarded import Guarded
from support.isas import ISAS, using
from support.lists import CALLS, SIZES, call

HALVES = (np.float16, ml_dtypes.bfloat16)
halves = pytest.mark.parametrize("half", HALVES, ids=["float16", "bfloat16"])

DROPOUT = tuple(
    Elementwise(f"dropout{suffix}", (data,), {"p": 0.3, "key": (5, 7)})
    for suffix, data in (("", "x"), ("_backward", "dy"))
)
every = pytest.mark.parametrize("op", (*OPERATIONS, *DROPOUT), ids=str)
functions = pytest.mark.parametrize("name", CALLS)

READ = ("l1_penalty", "l2_penalty", "elastic_net_penalty", "global_norm")
"""What gives a number, in double."""


def all_halves(half):
    return np.arange(2**16, dtype=np.uint16).view(half)


def drawn(rng, shape, half):
    """Every sort of halves: any bits, but mostly what layers hold."""
    everyday = (3 * rng.standard_normal(shape)).astype(half)
    any_bits = rng.integers(2**16, size=shape, dtype=np.uint16).view(half)
    return np.where(rng.random(shape) < 0.1, any_bits, everyday)


def widened(a):
    return a.astype(np.float32)


def rounded(a, half):
    with np.errstate(all="ignore"):
        return a.astype(half)


def assert_same(got, expected, what=""):
    assert_same_bits({"": got}, {"": expected}, what)


def by_float32(op, arguments, half):
    return rounded(op({name: widened(a) for name, a in arguments.items()}), half)


def arguments_of(op, shape, half, rng):
    return {name: drawn(rng, shape, half) for name in op.data}


# ---- number by number


@every
@halves
def test_all_numbers(op, half, isa, rng):
    x = all_halves(half)
    for arguments in [
        {name: rng.permutation(x) if i else x for i, name in enumerate(op.data)},
        {name: x if i else drawn(rng, x.shape, half) for i, name in enumerate(op.data)},
    ]:
        assert_same(op(arguments), by_float32(op, arguments, half))


@every
@halves
def test_every_length(op, half, rng):
    for n in [*range(70), 1023, 1024, 1025, 2047, 2049, 5000]:
        arguments = arguments_of(op, (n,), half, rng)
        expected = by_float32(op, arguments, half)
        for isa in ISAS:
            with using(isa):
                assert_same(op(arguments), expected, f"{isa}, {n}")


@every
@halves
def test_past_the_cache(op, half, rng):
    arguments = arguments_of(op, (3_300_007,), half, rng)
    expected = by_float32(op, arguments, half)
    for isa, threads in [*itertools.product(ISAS[-1:], (1, 3)), (ISAS[0], 2)]:
        with using(isa), fastnorm.threads(threads):
            assert_same(op(arguments), expected, f"{isa}, {threads} threads")
    out = at_offset(np.empty(3_300_007, np.uint16), 6).view(half)
    assert_same(op(arguments, out=out), expected)


@every
@halves
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(op, half, layout, rng):
    arguments = arguments_of(op, (20, 35), half, rng)
    expected = op(arguments)
    assert_same(op({name: LAYOUTS[layout](a) for name, a in arguments.items()}), expected)


@every
@halves
def test_out(op, half, rng):
    arguments = arguments_of(op, (6, 1030), half, rng)
    expected = op(arguments)
    for out in (np.empty_like(expected), np.empty((6, 2060), half)[:, ::2], np.empty((6, 1030), half, order="F")):
        assert op(arguments, out=out) is out
        assert_same(out, expected)
    for name in op.data:
        copies = {key: a.copy() for key, a in arguments.items()}
        assert op(copies, out=copies[name]) is copies[name]
        assert_same(copies[name], expected, f"in place of {name}")
        memory = np.zeros(6 * 1030 + 3, half)
        memory[:-3] = arguments[name].ravel()
        flat = {key: a.ravel() for key, a in arguments.items()} | {name: memory[:-3]}
        assert_same(op(flat, out=memory[3:]), expected.ravel(), f"overlapping {name}")


@every
@halves
def test_against_the_reference(op, half, rng):
    arguments = {name: (3 * rng.standard_normal(4000)).astype(half) for name in op.data}
    got, true = op(arguments), op_of_reference(op)(**arguments, **op.options, dtype=np.float64)
    nearest = widened(rounded(true, half)).astype(float)
    assert (np.abs(widened(got) - true) <= np.abs(nearest - true) + 8e-7 * np.maximum(np.abs(true), 1)).all()
    own = op_of_reference(op)(**arguments, **op.options)
    assert own.dtype == got.dtype
    assert np.abs(widened(own) - widened(got)).max() <= np.abs(np.spacing(widened(got).max())) * 2**17


def op_of_reference(op):
    return getattr(reference, op.name)


@every
@halves
def test_an_out_of_another_dtype_is_refused(op, half, rng):
    arguments = arguments_of(op, (4, 3), half, rng)
    for other in {np.float32, *HALVES} - {half}:
        out = np.zeros((4, 3), other)
        with pytest.raises(TypeError, match="out has dtype"):
            op(arguments, out=out)
        assert not out.any()
    assert op({name: np.empty((3, 0), half) for name in op.data}).dtype == half


@halves
def test_other_gradients_are_rounded_to_it(half, rng):
    y, dy = drawn(rng, (300,), half), rng.standard_normal(300).astype(np.float32)
    assert_same(fastnorm.relu_backward(dy, y), fastnorm.relu_backward(dy.astype(half), y))
    assert fastnorm.relu_backward(dy.astype(half), np.ones(300)).dtype == np.float64


@halves
def test_the_mask_of_dropout(half, isa, rng):
    for n in (1, 300, 2049, 5001):
        x = drawn(rng, (n,), half)
        y, mask = fastnorm.dropout(x, 0.4, (1, 2), return_mask=True)
        expected, expected_mask = fastnorm.dropout(widened(x), 0.4, (1, 2), return_mask=True)
        assert_same(y, rounded(expected, half))
        assert np.array_equal(mask, expected_mask)
        of_reference = reference.dropout(x, 0.4, (1, 2), return_mask=True)
        assert_same(of_reference[0], y)
        assert np.array_equal(of_reference[1], mask)


def test_a_slope_is_a_number_of_float32():
    x = np.array([-2.0], np.float16)
    assert fastnorm.leaky_relu(x, slope=0.1) == np.float16(np.float32(0.1) * -2)
    assert fastnorm.leaky_relu(x, slope=1e30) == -np.inf
    with pytest.raises(ValueError, match="slope"):
        fastnorm.leaky_relu(x, slope=1e39)


# ---- lists


def lists(rng, sizes=SIZES):
    """Halves of every size among arrays of the other dtypes."""
    dtypes = itertools.cycle((*HALVES, np.float32, *HALVES, np.float64))
    for i in range(0, len(sizes), 6):
        yield [rng.standard_normal(n).astype(dtype) for n in sizes[i : i + 6] for dtype in itertools.islice(dtypes, 3)]


def is_half(a):
    return a.dtype in HALVES


def list_by_float32(name, arrays):
    results = call(name, [widened(a) if is_half(a) else a for a in arrays])
    dtypes = [a.dtype for a in arrays]
    places = {key: int(key.partition("[")[2][:-1]) for key in results}
    return {key: rounded(a, dtypes[places[key]]) if np.ndim(a) else a for key, a in results.items()}


@functions
def test_lists_of_every_size(name, rng):
    for arrays in lists(rng):
        expected = list_by_float32(name, arrays)
        for isa in ISAS:
            with using(isa):
                assert_same_bits(call(name, arrays), expected, f"{isa}, {[a.size for a in arrays]}")


@functions
def test_all_numbers_in_a_list(name, isa):
    for half in HALVES:
        x = all_halves(half)
        finite = x[np.isfinite(widened(x))]
        for arrays in ([x], [finite], [finite, finite.astype(np.float32), finite.astype(np.float64)]):
            assert_same_bits(call(name, arrays), list_by_float32(name, arrays))


@functions
def test_lists_past_the_cache_and_threads(name, rng):
    arrays = [rng.standard_normal(n).astype(half) for n in (2_000_003, 31, 1_700_015) for half in HALVES]
    given = [at_offset(np.full(a.shape, 0.25, a.dtype).view(np.int16), 6).view(a.dtype) for a in arrays]
    expected = list_by_float32(name, arrays)
    for threads in (1, 3):
        for a in given:
            a[:] = 0.25
        with fastnorm.threads(threads):
            assert_same_bits(call(name, arrays, given), expected, threads)


@functions
@halves
def test_one_array_is_a_list_of_one_half(name, half, rng):
    x = rng.standard_normal((30, 41)).astype(half)
    got = call(name, [x])
    assert_same_bits(got, list_by_float32(name, [x]))
    swapped = [x.astype(x.dtype.newbyteorder(">"))] if half == np.float16 else [np.asfortranarray(x)]
    assert_same_bits(call(name, swapped), got)


@functions
def test_what_is_written_may_lie_anyhow(name, rng):
    arrays = [rng.standard_normal((20, 35)).astype(half) for half in HALVES]
    expected = call(name, arrays)
    for layout in WRITEABLE_LAYOUTS:
        given = [WRITEABLE_LAYOUTS[layout](np.full_like(a, 0.25)) for a in arrays]
        assert_same_bits(call(name, arrays, given), expected, layout)


def test_what_is_scaled_may_have_any_byte_order(rng):
    x = rng.standard_normal(3000).astype(np.float16)
    swapped = x.astype(">f2")
    assert fastnorm.clip_by_global_norm(swapped, 0.5) == fastnorm.clip_by_global_norm(x, 0.5)
    assert swapped.dtype == ">f2" and np.array_equal(swapped, x)


def test_sums_do_not_overflow():
    big = np.full(100_000, 60_000, np.float16)
    assert fastnorm.l1_penalty(big, 1) == 6e9
    assert fastnorm.l2_penalty(big, 2) == 3.6e14
    assert fastnorm.global_norm(big) == pytest.approx(60_000 * np.sqrt(1e5), rel=1e-15)
    huge = np.full(100, 3e38, ml_dtypes.bfloat16)
    norm = fastnorm.global_norm(huge)
    assert norm == pytest.approx(10 * float(huge[0]), rel=1e-15)
    assert fastnorm.clip_by_global_norm([big, huge], 1) == norm
    assert np.array_equal(huge, np.full(100, 0.1, ml_dtypes.bfloat16))
    grad = np.full(3, 65_000, np.float16)
    fastnorm.l2_penalty(np.full(3, 1000, np.float16), 1, grad)
    assert (grad == np.inf).all()


def test_as_the_reference(rng):
    arrays = [rng.standard_normal(n).astype(dtype) for n in (7, 1500) for dtype in (*HALVES, np.float32, np.float64)]
    for name, numbers in [("l1_penalty", (0.3,)), ("l2_penalty", (0.7,)), ("elastic_net_penalty", (0.3, 0.7))]:
        ours, theirs = ([np.full_like(a, 0.25) for a in arrays] for _ in range(2))
        value = getattr(fastnorm, name)(arrays, *numbers, ours)
        assert value == pytest.approx(getattr(reference, name)(arrays, *numbers, theirs), rel=1e-14)
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    for name, numbers in [("soft_threshold", (0.6,)), ("clip_by_value", (-0.8, 0.5))]:
        ours, theirs = (getattr(module, name)(arrays, *numbers) for module in (fastnorm, reference))
        assert all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("name", [*READ[:-1], "soft_threshold", "clip_by_value"])
@halves
def test_what_is_written_has_the_dtype_of_what_is_read(name, half):
    w = np.ones(3, half)
    for other in {np.float32, *HALVES} - {half}:
        given = np.zeros(3, other)
        with pytest.raises(TypeError, match=rf"(grad|out)\[0\] has dtype .*expected .*{np.dtype(half).name}"):
            CALLS[name]([w], [given])
        assert not given.any()


@functions
@halves
def test_overlaps(name, half, rng):
    memory = rng.standard_normal(4000).astype(half)
    for read, written in [(slice(0, 2000), slice(3, 2003)), (slice(0, 2000), slice(0, 2000))]:
        given = memory.copy()
        fresh = [memory[written].copy()]
        expected = call(name, [memory[read].copy()], fresh)
        if name == "clip_by_global_norm":
            continue
        assert_same_bits(call(name, [given[read]], [given[written]]), expected)


@halves
def test_nothing_beyond_the_ends(half):
    rooms = Guarded(8 * 2200), Guarded(8 * 2200)
    for n, place in itertools.product((*range(1, 40), 255, 257, 1023, 1024, 1025, 2100), ("at_end", "at_begin")):
        x, out = (getattr(room, place)((n,), np.int16) for room in rooms)
        x, out = x.view(half), out.view(half)
        for op in (*OPERATIONS, *DROPOUT):
            x[:] = 1
            op(dict.fromkeys(op.data, x), out=out)
        for name in CALLS:
            out[:] = 1
            call(name, [x], [out])
        assert (x == 1).all() and all(room.gap_is_whole() for room in rooms)
