"""Clipping by value and by the norm of all arrays: bits that stay, norms against exact fractions, ranges."""

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
from support.lists import drawn_arrays, exact, lists_of_sizes

dtypes = pytest.mark.parametrize("dtype", DTYPES)
LIMIT = 4  # eps of float64
MOST = Fraction(float(np.finfo(float).max))


def assert_norm(norm, arrays):
    """Its square against the exact one: twice its relative error."""
    true = exact(arrays, 2)
    assert type(norm) is float
    if true > MOST**2 * (1 - Fraction(2) ** -48):
        assert norm == np.inf or (norm >= MOST * (1 - Fraction(2) ** -48) and true < MOST**2 * (1 + Fraction(2) ** -48))
    elif true < Fraction(2) ** -2040:  # its root is subnormal
        assert abs(Fraction(norm) ** 2 - true) <= Fraction(2) ** -1070 * max(Fraction(norm), Fraction(2) ** -1070) * 4
    else:
        assert abs(Fraction(norm) ** 2 / true - 1) <= 2 * LIMIT * Fraction(2) ** -52


# ---- by value


@given(drawn_arrays(), st.sampled_from([(-1, 1), (0, 0), (-np.inf, 0.1), (0.1, np.inf), (-1e300, 1e30), (2, 3)]))
def test_clip_by_value_of_drawn_arrays(arrays, bounds):
    results = fastnorm.clip_by_value(arrays, *bounds)
    for a, y in zip(arrays, results, strict=True):
        with np.errstate(all="ignore"):
            low, high = map(a.dtype.type, bounds)
        inside = ~((a < low) | (a > high))
        assert_same_bits({"y": y[inside]}, {"y": a[inside]})
        assert (y[a < low] == low).all() and (y[a > high] == high).all()
    expected = reference.clip_by_value(arrays, *bounds)
    assert_same_bits(dict(enumerate(results)), dict(enumerate(expected)))


@dtypes
def test_what_equals_a_bound_keeps_its_bits(dtype, isa):
    g = np.array([0.0, -0.0, np.nan, 1.0, np.inf, -np.inf] * 9, dtype)
    for low, high in [(0.0, 0.0), (-0.0, -0.0), (0.0, -0.0), (0.0, 1.0), (-1.0, -0.0)]:
        y = fastnorm.clip_by_value(g, low, high)
        assert np.signbit(y[::6]).tolist() == [False] * 9
        assert np.signbit(y[1::6]).tolist() == [True] * 9
        assert np.isnan(y[2::6]).all()
        assert (y[4::6] == high).all() and (y[5::6] == low).all()
    assert_same_bits({"y": fastnorm.clip_by_value(g, -np.inf, np.inf)}, {"y": g})


def test_bounds_are_rounded_to_the_dtype():
    g = np.array([-1, 1], np.float32)
    assert fastnorm.clip_by_value(g, -0.1, 0.1).tolist() == [-np.float32(0.1), np.float32(0.1)]
    assert fastnorm.clip_by_value(g, -1e300, 1e300).tolist() == [-1, 1]


# ---- the norm


@given(drawn_arrays(allow_nan=False, allow_infinity=False))
def test_norm_of_drawn_arrays(arrays):
    assert_norm(fastnorm.global_norm(arrays), arrays)


def test_norm_of_sizes_on_every_isa(isa, rng):
    for arrays in lists_of_sizes(rng):
        norm = fastnorm.global_norm(arrays)
        assert_norm(norm, arrays)
        assert norm == list_sums.global_norm(arrays)


def test_the_tree_over_lists_of_arrays(rng):
    for sizes in ([100_000], [3] * 200, [20_000, 5, 70, 0, 40_000, *[9] * 100]):
        arrays = [(rng.standard_cauchy(n) ** 3).astype(DTYPES[i % 2]) for i, n in enumerate(sizes)]
        assert fastnorm.global_norm(arrays) == list_sums.global_norm(arrays)


@pytest.mark.parametrize("scale", [1e-320, 1e-308, 1e-200, 1e-160, 1e-30, 1e30, 1e150, 1e200, 1e300, 1.7e308])
def test_norms_beyond_squares(scale, isa, rng):
    for n in (1, 5, 300, 8000):
        arrays = [rng.uniform(-1, 1, n) * scale, rng.uniform(-1, 1, n).astype(np.float32)]
        for chosen in (arrays, arrays[:1]):
            norm = fastnorm.global_norm(chosen)
            assert_norm(norm, chosen)
            assert norm == list_sums.global_norm(chosen)


@dtypes
def test_large_and_small_together(dtype):
    g = np.array([3e30, 1e-30, 4e30], dtype)
    assert fastnorm.global_norm(g) == pytest.approx(math.hypot(*g.tolist()), rel=1e-15)
    g = np.array([3e-30, 4e-30, 0], dtype)
    assert fastnorm.global_norm([g, g * 0]) == pytest.approx(math.hypot(*g.tolist()), rel=1e-15)


@dtypes
def test_norm_of_a_million_equal_numbers(dtype):
    g = np.full(1_000_000, 0.1, dtype)
    assert abs(fastnorm.global_norm(g) / (1000 * float(g[0])) - 1) <= LIMIT * 2**-52


# ---- by the norm


@given(drawn_arrays(allow_nan=False, allow_infinity=False), st.sampled_from([0, 1e-300, 1e-30, 0.5, 1e10, 1e300]))
def test_clip_by_global_norm_of_drawn_arrays(arrays, max_norm):
    clipped = [a.copy() for a in arrays]
    norm = fastnorm.clip_by_global_norm(clipped, max_norm)
    assert norm == fastnorm.global_norm(arrays)
    if not max_norm < norm < np.inf:
        assert_same_bits(dict(enumerate(clipped)), dict(enumerate(arrays)))
        return
    factor = Fraction(max_norm) / Fraction(norm)
    for a, y in zip(arrays, clipped, strict=True):
        info = np.finfo(a.dtype)
        for before, after in zip(a.ravel().tolist(), y.ravel().tolist(), strict=True):
            true = Fraction(before) * factor
            least = Fraction(float(info.smallest_subnormal))
            assert abs(Fraction(after) - true) <= max(abs(true) * 3 * Fraction(float(info.eps)), least)


@dtypes
def test_as_the_reference(dtype, rng):
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in [(30, 40), (7,), (2, 3, 4)]]
    for max_norm in (0.01, 1, 1e3):
        ours, theirs = ([a.copy() for a in arrays] for _ in range(2))
        norm = fastnorm.clip_by_global_norm(ours, max_norm)
        assert norm == pytest.approx(reference.clip_by_global_norm(theirs, max_norm), rel=1e-14)
        for a, b in zip(ours, theirs, strict=True):
            assert np.abs(a - b).max() <= 2 * np.finfo(dtype).eps * np.abs(b).max()
        after = fastnorm.global_norm(ours)
        assert after == norm if norm <= max_norm else after == pytest.approx(max_norm, rel=1e-6)


@dtypes
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_norms_that_are_not_finite_are_reported_and_not_spread(dtype, bad, isa):
    arrays = [np.ones(300, dtype), np.array([1, bad, -2], dtype), np.arange(6.0).reshape(2, 3)[:, ::2]]
    before = [a.copy() for a in arrays]
    norm = fastnorm.clip_by_global_norm(arrays, 0.5)
    assert np.isnan(norm) if np.isnan(bad) else norm == np.inf
    assert_same_bits(dict(enumerate(arrays)), dict(enumerate(before)))


def test_a_norm_that_no_double_can_hold():
    g = np.full(4, 1.5e308)
    assert fastnorm.clip_by_global_norm(g, 1) == np.inf
    assert (g == 1.5e308).all()


def test_infinity_and_nan_together():
    assert np.isnan(fastnorm.global_norm([np.array([np.inf]), np.array([np.nan])]))
    assert np.isnan(fastnorm.global_norm([np.array([np.nan]), np.full(3, 1e300)]))


def test_the_ends_of_max_norm():
    g = np.array([3.0, -4.0, 0.0])
    assert fastnorm.clip_by_global_norm(g, 5) == 5
    assert g.tolist() == [3, -4, 0]
    assert fastnorm.clip_by_global_norm(g, 0) == 5
    assert not g.any()
    assert fastnorm.clip_by_global_norm(g, 0) == 0
