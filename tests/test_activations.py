"""What is special to activations: their ends, their tails, their gradients, their options."""

import numpy as np
import pytest

import fastnorm
from fastnorm import reference
from support.elementwise import LIMIT, OPERATIONS

FORWARD = [op for op in OPERATIONS if "dy" not in op.data]
BACKWARD = {str(op): op for op in OPERATIONS if "dy" in op.data}
FORWARD_OF = {op.name + "_backward": op for op in FORWARD}


@pytest.mark.parametrize("op", FORWARD, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_binade(op, dtype, rng):
    info = np.finfo(dtype)
    exponents = np.arange(info.minexp - info.nmant, info.maxexp).repeat(40)
    x = np.ldexp(rng.uniform(0.5, 1, exponents.size) * rng.choice([-1, 1], exponents.size), exponents)
    tail = rng.uniform(-800, 0, 4000) if dtype == np.float64 else rng.uniform(-110, 0, 4000)
    x = np.concatenate([x, tail, tail / 20]).astype(dtype)
    true = op.truth({"x": x})
    error = np.abs(op({"x": x}) - true) / op.unit({"x": x}, true)
    assert np.max(error) <= LIMIT, x[np.argmax(error)]


@pytest.mark.parametrize("op", OPERATIONS, ids=str)
def test_samples_of_all_float32_numbers(op, rng):
    """tests/c/check_activations.c takes all of them."""
    numbers = np.arange(0, 2**32, 20_011, dtype=np.uint32).view(np.float32)
    numbers = np.concatenate([numbers[np.isfinite(numbers)], rng.uniform(-25, 25, 50_000).astype(np.float32)])
    kept = numbers if op.data[-1] == "x" else FORWARD_OF[op.name]({"x": numbers})
    arguments = {"dy": rng.choice([1, -0.7, 3e38, 1e-30], kept.size).astype(np.float32), op.data[-1]: kept}
    arguments = {name: arguments[name] for name in op.data}
    true = op.truth(arguments)
    with np.errstate(all="ignore"):
        error = np.abs(op(arguments) - true) / op.unit(arguments, true)
    error[np.abs(true) > np.finfo(np.float32).max] = 0
    assert np.max(error) <= LIMIT, kept[np.argmax(error)]


@pytest.mark.parametrize("op", FORWARD, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ends(op, dtype):
    y = op({"x": np.array([np.inf, -np.inf, np.nan, 0], dtype)})
    bounded = op.name in ("sigmoid", "tanh")
    assert y[0] == (1 if bounded else np.inf)
    assert y[1] == {"tanh": -1, "leaky_relu": -np.inf}.get(op.name, 0)
    assert np.isnan(y[2])
    assert y[3] == (0.5 if op.name == "sigmoid" else 0)


@pytest.mark.parametrize("op", FORWARD, ids=str)
def test_gradient_is_the_difference(op, rng):
    x = 2 * rng.standard_normal(500)
    h = 1e-6
    x = x[np.abs(x) > 2 * h]
    difference = (op({"x": x + h}) - op({"x": x - h})) / (2 * h)
    back = BACKWARD[str(op).replace(op.name, op.name + "_backward", 1)]
    kept = x if back.data[1] == "x" else op({"x": x})
    got = back({"dy": np.full_like(x, 3), back.data[1]: kept})
    np.testing.assert_allclose(got, 3 * difference, rtol=1e-7, atol=1e-8)


def test_slope_is_checked():
    for slope, error in ((-1, ValueError), (np.nan, ValueError), (np.inf, ValueError), ("1", TypeError)):
        with pytest.raises(error, match="slope"):
            fastnorm.leaky_relu(np.ones(2), slope=slope)
    with pytest.raises(ValueError, match="slope"):
        fastnorm.leaky_relu(np.ones(2, np.float32), slope=1e39)


@pytest.mark.parametrize("function", [fastnorm.gelu, reference.gelu])
def test_approximate_is_checked(function):
    with pytest.raises(ValueError, match="approximate is 'erf', expected 'none' or 'tanh'"):
        function(np.ones(2), approximate="erf")


def test_approximate_of_another_type():
    with pytest.raises(TypeError, match="approximate"):
        fastnorm.gelu(np.ones(2), approximate=1)
