"""`out` that overlaps the inputs: as if they had been copied first."""

import numpy as np
import pytest

from support.arrays import DTYPES, assert_same_bits, draw
from support.operations import BY_NAME, EVERY

operations = pytest.mark.parametrize("op", EVERY, ids=str)
dtypes = pytest.mark.parametrize("dtype", DTYPES)
SHAPE = (20, 33)


def arguments_for(op, dtype, rng, shape=SHAPE):
    x, dy = (draw("normal", rng, shape, dtype) for _ in range(2))
    return op.draw(x, -1, rng, dy, 1e-5)


@operations
@dtypes
@pytest.mark.parametrize("shift", [-66, -33, -16, -1, 1, 2, 16, 33, 100, 659])
def test_out_shifted_against_an_input(op, dtype, shift, isa, rng):
    arguments = arguments_for(op, dtype, rng)
    expected = op(arguments)
    size = arguments["x"].size
    start, moved = max(0, -shift), max(0, shift)
    for name in op.data:
        memory = np.zeros(size + abs(shift), dtype)
        a = memory[start : start + size].reshape(SHAPE)
        out = memory[moved : moved + size].reshape(SHAPE)
        a[...] = arguments[name]
        assert np.shares_memory(a, out)
        assert_same_bits(op(arguments, **{name: a}, out=out), expected, f"{name} {shift}")


@operations
@dtypes
@pytest.mark.parametrize(
    "view",
    [
        pytest.param(lambda a: a[::-1], id="rows_reversed"),
        pytest.param(lambda a: a[:, ::-1], id="columns_reversed"),
        pytest.param(lambda a: a.T, id="transposed"),
        pytest.param(lambda a: a[...], id="another_view_of_the_same"),
        pytest.param(lambda a: a.view(f"i{a.itemsize}").view(a.dtype), id="viewed_twice"),
    ],
)
def test_out_is_a_view_of_an_input(op, dtype, view, isa, rng):
    arguments = arguments_for(op, dtype, rng, (25, 25))
    expected = op(arguments)
    for name in op.data:
        a = arguments[name].copy()
        assert_same_bits(op(arguments, **{name: a}, out=view(a)), expected, name)


@operations
@dtypes
@pytest.mark.parametrize("gap", [1, 2])
def test_out_with_other_strides_from_the_same_start(op, dtype, gap, isa, rng):
    arguments = arguments_for(op, dtype, rng)
    expected = op(arguments)
    size = arguments["x"].size
    for name in op.data:
        memory = np.zeros(3 * size, dtype)
        a = memory[: gap * size : gap].reshape(SHAPE)
        out = memory[: (3 - gap) * size : 3 - gap].reshape(SHAPE)
        a[...] = arguments[name]
        assert_same_bits(op(arguments, **{name: a}, out=out), expected, name)


@operations
@dtypes
def test_parameters_inside_out(op, dtype, isa, rng):
    arguments = arguments_for(op, dtype, rng)
    expected = op(arguments)
    for name in op.parameters:
        a = arguments[name]
        if a.shape == SHAPE:  # statistics of an InstanceNorm, which are as many as x
            continue
        out = np.zeros(SHAPE, dtype)
        memory = out.reshape(-1).view(np.uint8)
        inside = memory[40 * 8 : 40 * 8 + a.nbytes].view(a.dtype).reshape(a.shape)
        inside[...] = a
        assert_same_bits(op(arguments, **{name: inside}, out=out), expected, name)


@dtypes
@pytest.mark.parametrize("name", [op.name for op in EVERY if "dy" in op.data])
def test_dy_x_and_out_may_all_be_one_array(name, dtype, isa, rng):
    op = BY_NAME[name]
    arguments = arguments_for(op, dtype, rng)
    x = arguments["x"]
    expected = op(arguments, dy=x.copy())
    assert_same_bits(op(arguments, dy=x), expected)
    assert_same_bits(op(arguments, dy=x, out=x), expected)


@dtypes
@pytest.mark.parametrize("name", [op.name for op in EVERY if "dy" in op.data])
def test_out_between_dy_and_x(name, dtype, isa, rng):
    op = BY_NAME[name]
    arguments = arguments_for(op, dtype, rng)
    expected = op(arguments)
    size, half = arguments["x"].size, arguments["x"].size // 2
    memory = np.zeros(2 * size, dtype)
    views = {"dy": memory[:size].reshape(SHAPE), "x": memory[size:].reshape(SHAPE)}
    for key, view in views.items():
        view[...] = arguments[key]
    out = memory[half : half + size].reshape(SHAPE)
    assert_same_bits(op(arguments, **views, out=out), expected)
