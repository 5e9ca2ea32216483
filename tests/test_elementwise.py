"""What every elementwise operation promises: errors, bits, layouts, in place, refusals."""

import numpy as np
import pytest

import fastnorm
from support.elementwise import LIMIT, OPERATIONS
from support.isas import ISAS, using

DTYPES = (np.float32, np.float64)
every = pytest.mark.parametrize("op", OPERATIONS, ids=str)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


def assert_same_bits(got, expected, what=""):
    assert got.dtype == expected.dtype and got.shape == expected.shape, what
    assert got.tobytes() == expected.tobytes(), what


@every
@each_dtype
def test_error(op, dtype, rng):
    arguments = op.draw((50, 401), dtype, rng)
    true = op.truth(arguments)
    assert np.max(np.abs(op(arguments) - true) / op.unit(arguments, true)) <= LIMIT


@every
@each_dtype
def test_isas_agree_on_every_length(op, dtype, rng):
    for n in [*range(70), 1031]:
        arguments = op.draw((n,), dtype, rng)
        with using("baseline"):
            expected = op(arguments)
        for isa in ISAS:
            with using(isa):
                assert_same_bits(op(arguments), expected, f"{isa}, {n}")


@every
@each_dtype
def test_isas_and_threads_agree_past_the_cache(op, dtype, rng):
    arguments = op.draw((2_000_003,), dtype, rng)
    with using("baseline"), fastnorm.threads(1):
        expected = op(arguments)
    for isa in ISAS:
        for threads in (1, 3):
            with using(isa), fastnorm.threads(threads):
                assert_same_bits(op(arguments), expected, f"{isa}, {threads} threads")


@every
@each_dtype
def test_layouts(op, dtype, rng):
    arguments = op.draw((6, 10), dtype, rng)
    expected = op(arguments)
    for change in (
        np.asfortranarray,
        lambda a: np.repeat(a, 2, axis=1)[:, ::2],
        lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
        lambda a: a.astype(a.dtype.newbyteorder()),
    ):
        assert_same_bits(op({name: change(a) for name, a in arguments.items()}), expected)


@every
@each_dtype
def test_out(op, dtype, rng):
    arguments = op.draw((6, 10), dtype, rng)
    expected = op(arguments)
    for out in (np.empty_like(expected), np.empty((6, 20), dtype)[:, ::2]):
        assert op(arguments, out=out) is out
        assert_same_bits(np.ascontiguousarray(out), expected)
    for name in op.data:
        copies = {key: a.copy() for key, a in arguments.items()}
        assert op(copies, out=copies[name]) is copies[name]
        assert_same_bits(copies[name], expected, f"in place of {name}")


@every
@each_dtype
def test_overlap_acts_as_if_inputs_were_copied(op, dtype, rng):
    arguments = op.draw((100,), dtype, rng)
    expected = op(arguments)
    for name in op.data:
        memory = np.zeros(103, dtype)
        memory[:100] = arguments[name]
        assert_same_bits(op({**arguments, name: memory[:100]}, out=memory[3:]), expected)


@every
def test_integers_and_lists_become_float64(op):
    ints = {name: np.array([[0, 1], [1, 0]]) for name in op.data}
    expected = op({name: a.astype(float) for name, a in ints.items()})
    assert_same_bits(op(ints), expected)
    assert_same_bits(op({name: a.tolist() for name, a in ints.items()}), expected)


@every
@each_dtype
@pytest.mark.parametrize("shape", [(0,), (3, 0, 2)])
def test_empty(op, dtype, shape):
    got = op({name: np.empty(shape, dtype) for name in op.data})
    assert got.shape == shape and got.dtype == dtype


@every
def test_refusals(op, rng):
    good = op.draw((4, 3), np.float64, rng)
    kept = op.data[-1]
    for wrong, error in (
        (np.float64(1), ValueError),
        (None, TypeError),
        (np.ones((4, 3), complex), TypeError),
        (np.ma.ones((4, 3)), TypeError),
    ):
        with pytest.raises(error, match=kept):
            op({**good, kept: wrong})
    for out, error in (
        (np.empty((4, 3), np.float32), TypeError),
        (np.empty((3, 4)), ValueError),
        (np.broadcast_to(np.empty(3), (4, 3)), ValueError),
        ([0.0], TypeError),
    ):
        with pytest.raises(error, match="out"):
            op(good, out=out)
    if "dy" in op.data:
        with pytest.raises(ValueError, match="dy has shape"):
            op({**good, "dy": np.ones((3, 4))})
