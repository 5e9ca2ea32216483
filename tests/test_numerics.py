"""The promise on errors: at most 4 eps for every operation, whatever the data.

What the 4 eps are relative to is in `support.errors`.
"""

import numpy as np
import pytest

from support.arrays import DISTRIBUTIONS, DTYPES, FEW_NUMBERS, GRADIENTS, X_ONLY, assert_same_bits, draw, draw_gradient
from support.errors import HAS_WIDER, assert_accurate
from support.isas import ISAS, using
from support.operations import BY_NAME, OPERATIONS

operations = pytest.mark.parametrize("op", OPERATIONS, ids=str)
forward = pytest.mark.parametrize("op", [op for op in OPERATIONS if "y" in op.outputs], ids=str)
backward = pytest.mark.parametrize("op", [op for op in OPERATIONS if "dy" in op.data], ids=str)
dtypes = pytest.mark.parametrize(
    "dtype",
    [
        pytest.param(
            dtype,
            marks=pytest.mark.skipif(not HAS_WIDER[np.dtype(dtype)], reason="no wider dtype to compare with here"),
        )
        for dtype in DTYPES
    ],
)

SHAPES = [
    ((300, 37), -1),
    ((33, 129), -1),
    ((7, 1025), -1),
    ((1030, 5), -1),
    ((1400, 7), -1),
    ((1, 64), -1),
    ((50,), -1),
    ((12, 5, 24), -1),
    ((12, 5, 24), -2),
    ((4, 3, 5, 16), -1),
    ((9, 4, 3, 8), 1),
    ((9, 4, 3, 8), 0),
]

# What dy is like, besides like x: a pivot for its sums can be needed, or be a bad one.
DY_LIKE = ("normal", "sorted", "mean_1e3", "first_row_outlier", "alternating")


def check_arguments(op, arguments, what=""):
    """The errors of one ISA are those of all: they give its bits."""
    results = {}
    for isa in ISAS:
        with using(isa):
            results[isa] = op(arguments)
    first, *others = results
    assert_accurate(op, arguments, results[first], f"{first}, {what}")
    for isa in others:
        assert_same_bits(results[isa], results[first], f"{isa}, {what}")


def check(op, x, axis, rng, dy, eps, what=""):
    arguments = op.draw(x, axis, rng, dy, eps)
    check_arguments(op, arguments, what)
    check_arguments(op, op.without_parameters(arguments), f"{what} without gamma and beta")


@operations
@dtypes
@pytest.mark.parametrize("distribution", [*DISTRIBUTIONS, *X_ONLY, "denormal"])
def test_error(op, dtype, distribution, rng):
    like_x = () if distribution in X_ONLY else (distribution,)
    for shape, axis in SHAPES:
        x = draw(distribution, rng, shape, dtype)
        for dy_like in dict.fromkeys((*DY_LIKE, *like_x)) if "dy" in op.data else ("normal",):
            dy = draw(dy_like, rng, shape, dtype)
            check(op, x, axis, rng, dy, 1e-5, f"{shape}, axis {axis}, dy {dy_like}")


@backward
@dtypes
@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("distribution", ["normal", "mean_1e6", "sorted", "cauchy", "few_values", "outlier_middle"])
def test_gradients_that_go_with_x(op, dtype, gradient, distribution, rng):
    # Parallel: dx cancels, down to a part of eps. Orthogonal: dgamma and dbeta do.
    for shape, axis in SHAPES:
        x = draw(distribution, rng, shape, dtype)
        dy = draw_gradient(gradient, rng, x, op.reduced(x, axis))
        check(op, x, axis, rng, dy, 1e-5, f"{shape}")


@backward
@dtypes
@pytest.mark.parametrize("dy_like", ["normal", "uniform", "mean_1e3", *FEW_NUMBERS])
@pytest.mark.parametrize("distribution", ["normal", *FEW_NUMBERS])
def test_few_numbers(op, dtype, distribution, dy_like, rng):
    # Rounding errors of the gradients repeat: they would grow with the number of rows, not with its root.
    for shape in [(16, 3), (17, 3), (1400, 7), (60_000, 2)]:
        x, dy = draw(distribution, rng, shape, dtype), draw(dy_like, rng, shape, dtype)
        check(op, x, -1, rng, dy, 1e-5, f"{shape}")


@operations
@dtypes
@pytest.mark.parametrize("eps", [0, 1e-30, 1e-12, 1e-3, 10.0])
@pytest.mark.parametrize("distribution", ["normal", "mean_1e6", "cauchy", "1e25", "1e-25"])
def test_any_eps(op, dtype, eps, distribution, rng):
    # With a small eps the squares of 1e-25, which float32 cannot hold, decide the result.
    for shape in [(300, 37), (65, 260)]:
        x, dy = draw(distribution, rng, shape, dtype), draw("normal", rng, shape, dtype)
        check(op, x, -1, rng, dy, eps)


@forward
@dtypes
@pytest.mark.parametrize("scale", [1e-40, 1e-30, 1e30, 3e37])
def test_the_whole_range_of_float32(op, dtype, scale, rng):
    # rstd itself, or a sum of a few elements, is outside the range of float32; y is not.
    x = (scale * rng.uniform(-10, 10, (40, 70))).astype(dtype)
    check(op, x, -1, rng, None, 0)


@operations
@dtypes
@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_gamma_may_undo_the_scale(op, dtype, scale, rng):
    # rstd * gamma is 1e40 or 1e-40: out of the range of float32 or short of digits, as y and dx,
    # with what else is in their products, are not.
    x = (scale * rng.standard_normal((70, 40))).astype(dtype)
    dy = (scale**1.5 * rng.standard_normal(x.shape)).astype(dtype)
    arguments = op.draw(x, -1, rng, dy, 0)
    arguments["gamma"] = (arguments["gamma"] / scale).astype(dtype)
    if "beta" in arguments:
        arguments["beta"] = None
    check_arguments(op, arguments)


@operations
@dtypes
@pytest.mark.parametrize("given", ["gamma", "beta"])
def test_one_parameter_without_the_other(op, dtype, given, rng):
    for shape, axis in [((40, 33), -1), ((3, 500), -1), ((6, 4, 20), 1)]:
        x, dy = (draw("normal", rng, shape, dtype) for _ in range(2))
        arguments = op.draw(x, axis, rng, dy, 1e-5)
        for name in {"gamma", "beta"} & arguments.keys() - {given}:
            arguments[name] = None
        check_arguments(op, arguments)


LARGE = [
    ("batch_norm", np.float32, "normal", (1_000_000, 16)),
    ("batch_norm", np.float32, "mean_1e6", (1_000_000, 3)),
    ("batch_norm", np.float32, "first_row_outlier", (1_000_000, 2)),
    ("batch_norm", np.float32, "sorted", (1_000_000, 2)),
    ("batch_norm", np.float64, "mean_1e6", (200_000, 3)),
    ("batch_norm_inference", np.float32, "mean_1e6", (1_000_000, 2)),
    ("batch_norm_backward", np.float32, "normal", (1_000_000, 16)),
    ("batch_norm_backward", np.float32, "mean_1e6", (1_000_000, 3)),
    ("batch_norm_backward", np.float32, "sorted", (1_000_000, 2)),
    ("batch_norm_backward", np.float32, "sorted", (30_000, 37)),
    ("batch_norm_backward", np.float64, "sorted", (200_000, 3)),
    ("batch_norm_backward", np.float64, "alternating", (200_000, 3)),
    ("layer_norm", np.float32, "mean_1e6", (3, 1_000_000)),
    ("layer_norm", np.float32, "sorted", (2, 1_000_000)),
    ("layer_norm", np.float64, "mean_1e6", (2, 200_000)),
    ("layer_norm_backward", np.float32, "mean_1e6", (2, 500_000)),
    ("layer_norm_backward", np.float32, "sorted", (500_000, 3)),
    ("layer_norm_backward", np.float32, "normal", (100_000, 33)),
    ("layer_norm_backward", np.float32, "four_numbers", (1_000_000, 3)),
    ("layer_norm_backward", np.float32, "two_rows", (1_000_000, 3)),
    ("layer_norm_backward", np.float32, "pixels", (50_000, 37)),
    ("layer_norm_backward", np.float64, "sorted", (100_000, 3)),
    ("layer_norm_backward", np.float64, "alternating", (100_000, 3)),
    ("layer_norm_backward", np.float64, "four_numbers", (400_000, 2)),
    ("layer_norm_backward", np.float64, "two_rows", (400_000, 3)),
]


@pytest.mark.parametrize("name, dtype, distribution, shape", LARGE)
def test_large(name, dtype, distribution, shape, rng):
    if not HAS_WIDER[np.dtype(dtype)]:
        pytest.skip("no wider dtype to compare with here")
    op = BY_NAME[name]
    x = draw(distribution, rng, shape, dtype)
    # dy sorted as well: the partial sums of dgamma and dbeta grow far beyond the results.
    dy_like = distribution if distribution in ("sorted", "alternating", *FEW_NUMBERS) else "normal"
    dy = draw(dy_like, rng, shape, dtype)
    arguments = op.draw(x, -1, rng, dy, 1e-5)
    check_arguments(op, arguments)


@pytest.mark.parametrize("dtype", DTYPES)
def test_constant_data_give_exactly_beta(dtype, isa, rng):
    # Dead units and empty channels are common; 0.1 has no short sum in binary.
    beta = rng.standard_normal(999).astype(dtype)
    for value in (0.1, -1e6 / 3, 1e25):
        x = np.full((7, 999), value, dtype)
        for op in (BY_NAME["layer_norm"], BY_NAME["batch_norm"]):
            y = op.function(x, beta=beta, eps=1e-12)
            assert np.array_equal(y, np.broadcast_to(beta, x.shape))
            assert not op.function(x, eps=1e-12).any()
