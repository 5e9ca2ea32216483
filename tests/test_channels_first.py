"""Channels-first memory seen channels last: the bits of the plain copy, and no copy made."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastnorm
from support.arrays import DTYPES, assert_same_bits, draw, hostile
from support.isas import ISAS, using
from support.operations import GROUPED, OPERATIONS

OF_CHANNELS = [op for op in OPERATIONS if op.statistics == "channels"]
operations = pytest.mark.parametrize("op", [*OF_CHANNELS, *GROUPED], ids=str)
dtypes = pytest.mark.parametrize("dtype", DTYPES)

# Channels last. Runs of one position to many, whole registers and not; folded arrays, with tails; several slabs and
# slices.
SHAPES = [
    (3, 7, 7, 40),
    (2, 4, 5, 3),
    (5, 1, 1, 6),
    (4, 3, 1),
    (1, 9, 8, 64),
    (9, 2, 3),
    (300, 5),
    (6, 2, 2, 33),
    (2, 14, 14, 600),
    (8, 7, 7, 512),
    (5, 28, 29, 16),
    (1, 61, 67, 24),
    (4, 40, 41, 99),
    (2, 3, 4, 5, 6),
]


def channels_first(a):
    """The same numbers, their memory C-contiguous as (samples, channels, positions)."""
    first = 1 if a.ndim > 2 else 0
    return np.moveaxis(np.moveaxis(a, -1, first).copy(order="C"), first, -1)


def arguments_for(op, shape, dtype, rng, kind=hostile):
    x, dy = (kind(rng, shape, dtype) for _ in range(2))
    return op.draw(x, -1, rng, dy, 1e-5)


def check(op, arguments, what=""):
    """Fresh, into channels-first and channels-last arrays, in place in each."""
    expected = op(arguments)
    moved = {name: channels_first(arguments[name]) for name in op.data}
    first = op.outputs[0]
    assert_same_bits(op(arguments, **moved), expected, f"fresh {what}")
    for out in (channels_first(np.empty_like(arguments["x"])), np.empty_like(arguments["x"])):
        results = op(arguments, **moved, out=out)
        assert results[first] is out
        assert_same_bits(results, expected, f"out {out.strides} {what}")
    for name in op.data:
        assert_same_bits({name: moved[name]}, {name: arguments[name]}, "inputs stay")
        own = channels_first(arguments[name])
        assert_same_bits(op(arguments, **moved | {name: own}, out=own), expected, f"{name} in place {what}")
        if len(op.data) > 1:  # only one of them is channels-first
            assert_same_bits(op(arguments, **{name: moved[name]}), expected, f"{name} alone {what}")


@operations
@dtypes
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bits_of_the_plain_copy(op, dtype, shape, isa, rng):
    check(op, arguments_for(op, shape, dtype, rng))
    check(op, op.without_parameters(arguments_for(op, shape, dtype, rng, lambda *a: draw("normal", *a))))


@operations
@dtypes
@pytest.mark.parametrize("kind", ["column_scales", "misleading"])
def test_channels_that_are_wide_or_summed_again(op, dtype, kind, isa, rng):
    for shape in [(3, 7, 7, 40), (2, 30, 20, 20), (70, 4, 3)]:
        a = rng.standard_normal(shape)
        if kind == "column_scales":
            a = 10.0 ** rng.uniform(-43, 37, shape[-1]) * a
        else:
            a[0] += 1000 * rng.integers(0, 2, shape[-1])
        check(op, op.draw(a.astype(dtype), -1, rng, rng.standard_normal(shape).astype(dtype), 1e-5), shape)


@operations
@dtypes
@pytest.mark.parametrize("shape", [(8, 56, 57, 64), (24, 9, 13, 600)], ids=str)
def test_results_past_the_cache_on_any_number_of_threads(op, dtype, shape, rng):
    arguments = arguments_for(op, shape, dtype, rng, lambda *a: draw("normal", *a))
    for isa in ISAS:
        for count in (1, 3):
            with using(isa), fastnorm.threads(count):
                check(op, arguments, f"{isa}, {count} threads")


@given(st.data())
@operations
def test_drawn_shapes_and_orders_of_axes(op, data):
    shape = tuple(data.draw(st.lists(st.integers(1, 9), min_size=2, max_size=4))) + (data.draw(st.integers(1, 40)),)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    arguments = arguments_for(op, shape, data.draw(st.sampled_from(DTYPES)), rng)
    order = data.draw(st.permutations(range(len(shape))))
    moved = {
        name: np.ascontiguousarray(arguments[name].transpose(order)).transpose(np.argsort(order)) for name in op.data
    }
    assert_same_bits(op(arguments, **moved), op(arguments))


@operations
def test_views_that_only_look_like_it(op, isa, rng):
    # Gaps, elements that share memory, reversed axes.
    memory = rng.standard_normal(5000)
    views = [
        np.lib.stride_tricks.as_strided(memory, (10, 6, 2), (48, 8, 32)),
        np.lib.stride_tricks.as_strided(memory, (4, 6, 3), (8 * 30, 8, 8 * 8)),
        np.moveaxis(memory[:240].reshape(4, 5, 12), 1, -1)[:, ::-1],
        np.moveaxis(memory[:240].reshape(4, 5, 12), 1, -1)[:, :, ::-1],
        np.moveaxis(memory[:240].reshape(4, 5, 12), 1, -1)[:, :7],
        np.moveaxis(memory[:240].reshape(4, 5, 12), 1, -1)[::2],
        np.moveaxis(memory[:240].reshape(4, 5, 12), 1, -1)[..., :3],
        np.broadcast_to(memory[:12].reshape(12, 1), (4, 12, 5)),
    ]
    for view in views:
        arguments = op.draw(view.copy(), -1, rng, view.copy(), 1e-5)
        assert_same_bits(op(arguments, **{name: view for name in op.data}), op(arguments), str(view.strides))


@operations
@dtypes
def test_overlaps(op, dtype, isa, rng):
    shape, size = (3, 4, 5, 8), 480
    arguments = arguments_for(op, shape, dtype, rng)
    expected = op(arguments)
    for name in op.data:
        for shift in (0, 1, 60):
            for move in (lambda a: np.moveaxis(a.reshape(3, 8, 4, 5), 1, -1), lambda a: a.reshape(shape)):
                memory = np.zeros(size + shift, dtype)
                a = np.moveaxis(memory[:size].reshape(3, 8, 4, 5), 1, -1)
                a[...] = arguments[name]
                moved = {other: channels_first(arguments[other]) for other in op.data} | {name: a}
                assert_same_bits(op(arguments, **moved, out=move(memory[shift:])), expected, f"{name} {shift}")


@pytest.mark.parametrize(
    ("op", "follows"), [(op, False) for op in (*OF_CHANNELS, *GROUPED)] + [(op, True) for op in OF_CHANNELS], ids=str
)
def test_no_copy_is_made(op, follows, rng):
    arguments = arguments_for(op, (8, 32, 32, 64), np.float32, rng, lambda *a: draw("normal", *a))
    moved = {name: channels_first(arguments[name]) for name in op.data}
    residual = channels_first(np.zeros_like(arguments["x"]))
    more = {"residual": residual, "activation": "silu"} if follows else {}
    results = 1 if follows and op.name.endswith("backward") else 0  # dresidual
    out = channels_first(np.empty_like(arguments["x"]))
    for target, most in ((out, results + 0.1), (None, results + 1.1)):
        tracemalloc.start()
        op.function(**arguments | moved | more, out=target)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= most * out.nbytes


# ---- a residual and an activation ------------------------------------------------------------------------------------

# In registers and not, of z and of y, in pieces of a run and of many runs.
FINISHES = [(True, None), (False, "relu"), (True, "relu"), (True, "tanh"), (False, "gelu"), (True, "leaky_relu")]


def assert_same_results(got, expected, what):
    names = [str(i) for i in range(len(expected))]
    assert_same_bits(dict(zip(names, got, strict=True)), dict(zip(names, expected, strict=True)), what)


def check_finish(op, arguments, residual, activation, what=""):
    """Fresh, into both layouts and in place; a residual that lies alike or does not."""

    def call(given, **more):
        given = {name: a.copy() if name in op.updated else a for name, a in given.items()}
        results = op.function(**given, activation=activation, **more)
        return results if isinstance(results, tuple) else (results,)

    def outs():
        return channels_first(np.empty_like(arguments["x"])), np.empty_like(arguments["x"]), None

    expected = call(arguments, residual=residual)
    moved = arguments | {name: channels_first(arguments[name]) for name in op.data}
    for r in [None] if residual is None else [channels_first(residual), residual]:
        for out in outs():
            assert_same_results(call(moved, residual=r, out=out), expected, what)
        for name in op.data:
            own = channels_first(arguments[name])
            assert_same_results(call(moved | {name: own}, residual=r, out=own), expected, f"{name} in place {what}")
    if residual is not None:
        own = channels_first(residual)
        assert_same_results(call(moved, residual=own, out=own), expected, f"into the residual {what}")


def draw_finish(op, shape, dtype, rng, kind, residual):
    arguments = arguments_for(op, shape, dtype, rng, kind)
    if op.name.endswith("backward"):
        arguments["beta"] = rng.standard_normal(shape[-1]).astype(dtype)
    return arguments, kind(rng, shape, dtype) if residual else None


@pytest.mark.parametrize("op", OF_CHANNELS, ids=str)
@dtypes
@pytest.mark.parametrize(("residual", "activation"), FINISHES)
def test_what_follows(op, dtype, residual, activation, isa, rng):
    def wide(rng, shape, dtype):  # some channels, which float32 cannot hold in between
        return (10.0 ** rng.uniform(-43, 37, shape[-1]) * rng.standard_normal(shape)).astype(dtype)

    # Runs that are pieces and parts of one; folded with a tail; a tile across samples.
    shapes = {(2, 40, 41, 9): lambda *a: draw("normal", *a), (301, 5): hostile, (5, 4, 5, 40): wide, (9, 2, 3): wide}
    for shape, kind in shapes.items():
        with np.errstate(all="ignore"):
            check_finish(op, *draw_finish(op, shape, dtype, rng, kind, residual), activation, shape)


@pytest.mark.parametrize("op", OF_CHANNELS, ids=str)
@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_what_follows_past_the_cache(op, activation, rng):
    arguments, residual = draw_finish(op, (24, 23, 24, 96), np.float32, rng, lambda *a: draw("normal", *a), True)
    for count in (1, 3):
        with fastnorm.threads(count):
            check_finish(op, arguments, residual, activation, f"{count} threads")


# ---- ONNX ------------------------------------------------------------------------------------------------------------


def _onnx_batch_normalization(x, scale, bias, mean, var, epsilon=1e-5, momentum=0.9, training_mode=0):
    """ONNX's BatchNormalization, version 15, on (N, C, ...): Y, and in training the running statistics."""
    axes = (0, *range(2, x.ndim))
    wide = x.astype(np.float64)
    ours = (wide.mean(axes), wide.var(axes)) if training_mode else (mean, var)
    per_channel = (-1, *(1,) * (x.ndim - 2))
    ours_mean, ours_var, scale, bias = (a.astype(np.float64).reshape(per_channel) for a in (*ours, scale, bias))
    y = (wide - ours_mean) / np.sqrt(ours_var + epsilon) * scale + bias
    if not training_mode:
        return y
    return y, mean * momentum + ours_mean.ravel() * (1 - momentum), var * momentum + ours_var.ravel() * (1 - momentum)


@pytest.mark.parametrize("epsilon", [1e-5, 1e-2])
@pytest.mark.parametrize("training", [0, 1])
def test_definition_of_onnx(training, epsilon, isa, rng):
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    scale, bias, mean = (rng.standard_normal(3).astype(np.float32) for _ in range(3))
    var = rng.random(3).astype(np.float32)
    expected = _onnx_batch_normalization(x, scale, bias, mean, var, epsilon, training_mode=training)
    y = np.empty_like(x)
    last = {"x": np.moveaxis(x, 1, -1), "gamma": scale, "beta": bias, "eps": epsilon, "out": np.moveaxis(y, 1, -1)}
    last |= {"running_mean": mean, "running_var": var}
    if training:
        fastnorm.batch_norm(**last, unbiased=False)  # momentum is that of the batch here, that of the past there
        np.testing.assert_allclose(mean, expected[1], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(var, expected[2], rtol=1e-6, atol=1e-6)
    else:
        fastnorm.batch_norm_inference(**last)
    np.testing.assert_allclose(y, expected[0] if training else expected, rtol=1e-5, atol=1e-6)
