"""Any memory layout of any argument: the bits of the plain copy, and untouched inputs."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastnorm
from support.arrays import (
    DTYPES,
    LAYOUTS,
    WRITEABLE_LAYOUTS,
    assert_same_bits,
    draw,
    hostile,
)
from support.operations import OPERATIONS

operations = pytest.mark.parametrize("op", OPERATIONS, ids=str)
dtypes = pytest.mark.parametrize("dtype", DTYPES)
# Every array argument has two dimensions or more, or a last one worth striding over.
SHAPES = [((33, 50), -1), ((5, 4, 6, 17), -1), ((5, 4, 6, 17), -2), ((64, 3), 1)]


def arrays_of(op):
    return (*op.data, *op.parameters)


def arguments_for(op, shape, axis, dtype, rng):
    x, dy = (draw("normal", rng, shape, dtype) for _ in range(2))
    return op.draw(x, axis, rng, dy, 1e-5)


@operations
@dtypes
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_of_one_or_all_arguments(op, dtype, layout, isa, rng):
    for shape, axis in SHAPES:
        arguments = arguments_for(op, shape, axis, dtype, rng)
        expected = op(arguments)
        for names in [(name,) for name in arrays_of(op)] + [arrays_of(op)]:
            moved = {name: LAYOUTS[layout](arguments[name]) for name in names}
            results = op(arguments, **moved)
            assert_same_bits(results, expected, f"{names} {layout}, x {shape}")


@given(st.data())
@pytest.mark.parametrize("op", OPERATIONS, ids=str)
def test_any_mix_of_layouts(op, data):
    shape = tuple(data.draw(st.lists(st.integers(1, 19), min_size=2, max_size=4)))
    axis = data.draw(st.integers(1, len(shape) - 1))
    dtype = data.draw(st.sampled_from(DTYPES))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    x, dy = (hostile(rng, shape, dtype) for _ in range(2))
    arguments = op.draw(x, axis, rng, dy, 1e-5)
    moved = {
        name: LAYOUTS[data.draw(st.sampled_from(sorted(LAYOUTS)), label=name)](arguments[name])
        for name in arrays_of(op)
    }
    out = None
    if data.draw(st.booleans(), label="with out"):
        layout = data.draw(st.sampled_from(sorted(WRITEABLE_LAYOUTS)), label="layout of out")
        out = WRITEABLE_LAYOUTS[layout](np.zeros(shape, dtype))
    assert_same_bits(op(arguments, **moved, out=out), op(arguments))


@operations
@dtypes
def test_more_than_one_dimension_is_only_a_shape(op, dtype, rng):
    # The sums of a row depend on its length alone, those of a column on rows and columns.
    for shape, axis in [((3, 4, 5, 6), -1), ((3, 4, 5, 6), -2), ((3, 4, 5, 6), 1), ((8, 1, 9), 1)]:
        arguments = arguments_for(op, shape, axis, dtype, rng)
        rows, features = np.prod(shape[:axis], dtype=int), np.prod(shape[axis:], dtype=int)
        statistics = (features,) if op.statistics == "channels" else (rows,)
        flat = dict(arguments, axis=-1)
        for name, a in arguments.items():
            if name in op.data:
                flat[name] = a.reshape(rows, features)
            elif name in ("gamma", "beta"):
                flat[name] = a.reshape(features)
            elif isinstance(a, np.ndarray):
                flat[name] = a.reshape(statistics)
        results, expected = op(arguments), op(flat)
        for name, a in results.items():
            expected[name] = expected[name].reshape(a.shape)
        assert_same_bits(results, expected, f"{shape}, axis {axis}")


@operations
@dtypes
def test_broadcast_views(op, dtype, rng):
    # Stride 0: one row for all of x, one number for all of gamma.
    arguments = arguments_for(op, (20, 35), -1, dtype, rng)
    views = {name: np.broadcast_to(arguments[name][:1], arguments[name].shape) for name in arrays_of(op)}
    copies = {name: a.copy() for name, a in views.items()}
    assert_same_bits(op(arguments, **views), op(arguments, **copies))


@operations
@dtypes
@pytest.mark.parametrize("layout", ["strided", "transposed", "big_endian", "subclass", "read_only"])
def test_results_are_plain_new_arrays(op, dtype, layout, rng):
    for shape, axis in SHAPES:
        arguments = arguments_for(op, shape, axis, dtype, rng)
        inputs = {name: LAYOUTS[layout](arguments[name]) for name in arrays_of(op)}
        for name, a in op(arguments, **inputs).items():
            if name in op.updated:
                continue
            assert type(a) is np.ndarray
            assert a.dtype == (np.float64 if name in ("mean", "rstd") else dtype)
            assert a.dtype.isnative
            assert a.flags.c_contiguous and a.flags.aligned and a.flags.writeable
            assert not any(np.may_share_memory(a, b) for b in inputs.values())


@operations
@dtypes
def test_inputs_stay_as_they_were(op, dtype, rng):
    for shape, axis in SHAPES:
        arguments = arguments_for(op, shape, axis, dtype, rng)
        copies = {name: arguments[name].copy() for name in arrays_of(op)}
        op(arguments)
        op(arguments, out=np.empty(shape, dtype))
        assert_same_bits({name: arguments[name] for name in copies}, copies)


@operations
@dtypes
@pytest.mark.parametrize("layout", WRITEABLE_LAYOUTS)
def test_any_layout_of_out(op, dtype, layout, isa, rng):
    for shape, axis in SHAPES:
        arguments = arguments_for(op, shape, axis, dtype, rng)
        out = WRITEABLE_LAYOUTS[layout](np.full(shape, 77, dtype))
        owner = out
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        around = owner.tobytes()
        results = op(arguments, out=out)
        assert results[op.outputs[0]] is out
        assert_same_bits(results, op(arguments))
        out[...] = 77
        assert owner.tobytes() == around, "the call wrote between the elements of out"


@operations
@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint16, np.bool_])
def test_integers_and_booleans_become_float64(op, dtype, rng):
    x = rng.integers(0, 2 if dtype is np.bool_ else 100, (20, 6)).astype(dtype)
    dy = rng.integers(0, 5, x.shape)
    arguments = op.draw(x.astype(np.float64), -1, rng, dy.astype(np.float64), 1e-5)
    data = {"x": x, "dy": dy}
    assert_same_bits(op(arguments, **{name: data[name] for name in op.data}), op(arguments))


@operations
def test_lists_are_taken(op, rng):
    arguments = arguments_for(op, (4, 3), -1, np.float64, rng)
    lists = {name: arguments[name].tolist() for name in arrays_of(op)}
    assert_same_bits(op(arguments, **lists), op(arguments))


@operations
@dtypes
@pytest.mark.parametrize("other", [np.float16, np.float32, np.float64, np.int32, np.bool_])
def test_gamma_and_beta_are_rounded_once_to_the_dtype_of_x(op, dtype, other, rng):
    arguments = arguments_for(op, (20, 35), -1, dtype, rng)
    for name in sorted({"gamma", "beta"} & arguments.keys()):
        given = (3 * rng.standard_normal(35)).astype(other)
        got, expected = op(arguments, **{name: given}), op(arguments, **{name: given.astype(dtype)})
        assert_same_bits(got, expected, name)


@operations
@dtypes
@pytest.mark.parametrize("other", [np.float16, np.float32])
def test_statistics_may_be_of_any_float_dtype(op, dtype, other, rng):
    arguments = arguments_for(op, (20, 35), -1, dtype, rng)
    for name in sorted(set(op.parameters) - {"gamma", "beta"}):
        given = np.abs(arguments[name]).astype(other)
        got = op(arguments, **{name: given})
        assert_same_bits(got, op(arguments, **{name: given.astype(np.float64)}), name)


@operations
@dtypes
def test_dy_is_rounded_to_the_dtype_of_x(op, dtype, rng):
    if "dy" in op.data:
        arguments = arguments_for(op, (20, 35), -1, dtype, rng)
        for other in (np.float32, np.float64, np.int16):
            dy = (3 * rng.standard_normal((20, 35))).astype(other)
            assert_same_bits(op(arguments, dy=dy), op(arguments, dy=dy.astype(dtype)))


class OnlyDLPack:
    """An array of another library that offers nothing but DLPack."""

    def __init__(self, a):
        self.a = a

    def __dlpack__(self, **keywords):
        return self.a.__dlpack__(**keywords)

    def __dlpack_device__(self):
        return self.a.__dlpack_device__()


class OnlyArray:
    """An object with __array__, as tensors of PyTorch and JAX have it."""

    def __init__(self, a):
        self.a = a

    def __array__(self, dtype=None, copy=None):
        return self.a


@operations
@dtypes
@pytest.mark.parametrize("wrap", [OnlyDLPack, OnlyArray, memoryview], ids=lambda wrap: wrap.__name__)
def test_arrays_of_others_are_taken(op, dtype, wrap, rng):
    arguments = arguments_for(op, (40, 30), -1, dtype, rng)
    wrapped = {name: wrap(arguments[name]) for name in arrays_of(op)}
    results = op(arguments, **wrapped)
    assert_same_bits(results, op(arguments))
    assert all(type(a) is np.ndarray for a in results.values())


@dtypes
@pytest.mark.thread_unsafe
@pytest.mark.parametrize("wrap", [OnlyDLPack, OnlyArray, memoryview], ids=lambda wrap: wrap.__name__)
def test_no_copy_is_made_of_them(dtype, wrap):
    x = np.ones((1000, 500), dtype)
    tracemalloc.start()
    try:
        fastnorm.layer_norm(wrap(x), out=x)
        assert tracemalloc.get_traced_memory()[1] < x.nbytes / 10
    finally:
        tracemalloc.stop()
