"""Penalties and the proximal step: values against exact fractions, gradients bit by bit, ranges, zeros."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastnorm
from fastnorm import reference
from support import list_sums
from support.arrays import DTYPES, assert_same_bits
from support.lists import drawn_arrays, exact, lists_of_sizes, relative_error

dtypes = pytest.mark.parametrize("dtype", DTYPES)
LIMIT = 4  # eps of float64
MOST = Fraction(float(np.finfo(float).max))

some_arrays = drawn_arrays(allow_nan=False, allow_infinity=False)
strengths = st.sampled_from([0, 1e-4, 0.1, 1, 3.7, 1e10])


def exact_sums(arrays):
    return exact(arrays, 1), exact(arrays, 2)


def assert_value(value, sums, l1, l2):
    true = Fraction(l1) * sums[0] + Fraction(l2) / 2 * sums[1]
    assert type(value) is float
    if true > MOST * (1 - Fraction(2) ** -48):
        assert value == np.inf or (value >= MOST * (1 - Fraction(2) ** -48) and true < MOST * (1 + Fraction(2) ** -48))
    elif true < Fraction(2) ** -1021:
        assert abs(Fraction(value) - true) <= Fraction(2) ** -1072
    else:
        assert relative_error(value, true) <= LIMIT


def gradients(arrays, l1, l2):
    """By the formula, in double, rounded once."""
    results = []
    for a in arrays:
        g = np.full(a.shape, 0.25)
        with np.errstate(all="ignore"):
            if l1:
                g += l1 * np.sign(a.astype(float))
            if l2:
                g += l2 * a.astype(float)
            results.append(g.astype(a.dtype))
    return results


@given(some_arrays, strengths, strengths)
def test_drawn_arrays(arrays, l1, l2):
    grads = [np.full_like(a, 0.25) for a in arrays]
    value = fastnorm.elastic_net_penalty(arrays, l1, l2, grads)
    assert_value(value, exact_sums(arrays), l1, l2)
    for g, expected in zip(grads, gradients(arrays, l1, l2), strict=True):
        assert np.array_equal(g, expected)
    assert fastnorm.elastic_net_penalty(tuple(arrays), l1, l2) == value


def test_sizes_on_every_isa(isa, rng):
    for arrays in lists_of_sizes(rng):
        sums = exact_sums(arrays)
        for l1, l2 in [(0.3, 0), (0, 0.7), (0.3, 0.7)]:
            grads = [np.full_like(a, 0.25) for a in arrays]
            value = fastnorm.elastic_net_penalty(arrays, l1, l2, grads)
            assert_value(value, sums, l1, l2)
            assert value == list_sums.elastic_net_penalty(arrays, l1, l2)
            for g, expected in zip(grads, gradients(arrays, l1, l2), strict=True):
                assert np.array_equal(g, expected)


def test_the_tree_over_lists_of_arrays(rng):
    """Parts that hold many arrays, and pieces of large ones."""
    for sizes in ([100_000], [3] * 200, [20_000, 5, 70, 0, 40_000, *[9] * 100]):
        arrays = [(rng.standard_cauchy(n) ** 3).astype(DTYPES[i % 2]) for i, n in enumerate(sizes)]
        for l1, l2 in [(0.3, 0), (0, 0.7), (0.3, 0.7)]:
            expected = list_sums.elastic_net_penalty(arrays, l1, l2)
            assert fastnorm.elastic_net_penalty(arrays, l1, l2) == expected
            grads = [np.zeros_like(a) for a in arrays]
            assert fastnorm.elastic_net_penalty(arrays, l1, l2, grads) == expected


def test_the_parts_are_the_whole(rng):
    for arrays in lists_of_sizes(rng):
        one, other, both = ([np.ones_like(a) for a in arrays] for _ in range(3))
        values = fastnorm.l1_penalty(arrays, 0.3, one), fastnorm.l2_penalty(arrays, 0.7, other)
        assert fastnorm.elastic_net_penalty(arrays, 0.3, 0.7, both) == sum(values)
        expected = [np.ones_like(a) for a in arrays]
        assert fastnorm.elastic_net_penalty(arrays, 0.3, 0, expected) == values[0]
        assert_same_bits(dict(enumerate(one)), dict(enumerate(expected)))


@pytest.mark.parametrize("scale", [1e-320, 1e-308, 1e-200, 1e-160, 1e-30, 1e30, 1e150, 1e200, 1e305, 1.7e308])
def test_ranges(scale, isa, rng):
    for n in (1, 5, 300, 8000):
        arrays = [rng.uniform(-1, 1, n) * scale, rng.uniform(-1, 1, n).astype(np.float32)]
        for chosen in (arrays, arrays[:1]):
            sums = exact_sums(chosen)
            for l1, l2 in [(0.5, 0), (0, 0.5), (1e-5, 1e-5), (1e-300, 1e-300), (1e250, 1e250)]:
                value = fastnorm.elastic_net_penalty(chosen, l1, l2)
                assert_value(value, sums, l1, l2)
                assert value == list_sums.elastic_net_penalty(chosen, l1, l2)


@dtypes
def test_large_and_small_in_float32_range(dtype):
    w = np.array([1e30, 1e-30, -1e30] * 1000, dtype)
    assert relative_error(fastnorm.l2_penalty(w, 1e-60), exact([w], 2) * exact([np.array([1e-60])], 1) / 2) <= LIMIT
    w = np.array([1e-30] * 3000, dtype)
    assert relative_error(fastnorm.l2_penalty(w, 2), exact([w], 2)) <= LIMIT


@dtypes
def test_the_value_of_a_million_equal_weights(dtype):
    w = np.full(1_000_000, 0.1, dtype)
    assert relative_error(fastnorm.l1_penalty(w, 1), exact([w[:1]], 1) * 1_000_000) <= LIMIT
    assert relative_error(fastnorm.l2_penalty(w, 2), exact([w[:1]], 2) * 1_000_000) <= LIMIT


@dtypes
def test_a_strength_of_zero_is_no_penalty(dtype):
    w = np.array([np.inf, np.nan, 1, -0.0], dtype)
    grad = np.array([-0.0, 1, 2, -0.0], dtype)
    before = grad.copy()
    assert fastnorm.l1_penalty(w, 0, grad) == fastnorm.l2_penalty(w, 0.0, grad) == 0
    assert fastnorm.elastic_net_penalty(w, 0, 0, grad) == 0
    assert_same_bits({"grad": grad}, {"grad": before})
    finite = np.array([1e200 if dtype == np.float64 else 1e30, 3.0], dtype)
    assert fastnorm.elastic_net_penalty(finite, 1, 0) == math.fsum(finite.tolist())


@dtypes
def test_infinity_and_nan(dtype):
    w = np.array([np.inf, -np.inf, 2, 0], dtype)
    grad = np.zeros(4, dtype)
    assert fastnorm.l1_penalty(w, 0.5, grad) == np.inf
    assert grad.tolist() == [0.5, -0.5, 0.5, 0]
    assert fastnorm.l2_penalty(w, 0.5, grad) == np.inf
    assert grad.tolist() == [np.inf, -np.inf, 1.5, 0]
    w[1] = np.nan
    grad[:] = 0
    assert np.isnan(fastnorm.elastic_net_penalty(w, 0.5, 0.5, grad))
    assert np.isnan(grad).tolist() == [False, True, False, False]


@dtypes
def test_gradients_add_up(dtype, rng):
    w = rng.standard_normal(100).astype(dtype)
    grad = np.zeros_like(w)
    for k in range(1, 4):
        fastnorm.l2_penalty(w, 0.5, grad)
        assert np.array_equal(grad, (k * 0.5 * w).astype(dtype))


@given(some_arrays)
def test_as_the_reference(arrays):
    with np.errstate(all="ignore"):
        if any(abs(a.astype(float)).max(initial=0) > 1e100 for a in arrays):
            return
    for name, numbers in [("l1_penalty", (0.3,)), ("l2_penalty", (0.7,)), ("elastic_net_penalty", (0.3, 0.7))]:
        ours, theirs = ([np.full_like(a, 0.25) for a in arrays] for _ in range(2))
        value = getattr(fastnorm, name)(arrays, *numbers, ours)
        assert value == pytest.approx(getattr(reference, name)(arrays, *numbers, theirs), rel=1e-14, abs=1e-200)
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


# ---- soft_threshold


@given(some_arrays, st.sampled_from([0, 1e-40, 0.1, 1, 2.5, 1e30, 1e39, 1e300]))
def test_soft_threshold_of_drawn_arrays(arrays, step):
    for a, y in zip(arrays, fastnorm.soft_threshold(arrays, step), strict=True):
        with np.errstate(all="ignore"):
            rounded = min(float(a.dtype.type(step)), float(np.finfo(a.dtype).max))
        expected = a - np.clip(a, -a.dtype.type(rounded), a.dtype.type(rounded))
        assert_same_bits({"y": y}, {"y": expected + a.dtype.type(0)})
    own = reference.soft_threshold(arrays, step)
    assert all(np.array_equal(a, b) for a, b in zip(own, fastnorm.soft_threshold(arrays, step), strict=True))


@dtypes
def test_zeros_are_exact_and_positive(dtype, isa):
    for step in (0.5, 0.1):
        bound = dtype(step)
        above, below = np.nextafter(bound, dtype(1)), np.nextafter(bound, dtype(0))
        w = np.array([bound, -bound, below, -below, 0.0, -0.0, above, -above] * 9, dtype)
        y = fastnorm.soft_threshold(w, step)
        zeros = np.arange(w.size) % 8 < 6
        assert not y[zeros].any() and not np.signbit(y[zeros]).any()
        assert (y[~zeros] == np.tile([above - bound, bound - above], 9)).all()
    y = fastnorm.soft_threshold(np.array([0.0, -0.0, 1, -1], dtype), 0)
    assert_same_bits({"y": y}, {"y": np.array([0, 0, 1, -1], dtype)})


@dtypes
def test_what_is_not_finite_stays(dtype, isa):
    w = np.array([np.inf, -np.inf, np.nan, 1.0] * 9, dtype)
    for step in (0, 0.5, 1e39, 1e308):
        y = fastnorm.soft_threshold(w, step)
        assert (y[::4] == np.inf).all() and (y[1::4] == -np.inf).all() and np.isnan(y[2::4]).all()
        assert (y[3::4] == max(0, 1 - step)).all()


def test_proximal_descent_finds_exact_zeros(rng):
    """The lasso by proximal gradient descent: as many zeros as the truth has."""
    true = np.where(np.arange(50) < 5, 3.0, 0.0)
    x = rng.standard_normal((200, 50))
    y = x @ true
    w = np.zeros(50)
    for _ in range(500):
        w = fastnorm.soft_threshold(w - 0.001 * x.T @ (x @ w - y), 0.001 * 20)
    assert (w != 0).tolist() == (true != 0).tolist()
