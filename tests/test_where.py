"""BatchNorm of some rows: the bits of the call on these rows alone, zeros in the others, whatever they hold."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastnorm
from fastnorm import reference
from support.arrays import DTYPES, LAYOUTS, draw, same_bits
from support.isas import ISAS, using

dtypes = pytest.mark.parametrize("dtype", DTYPES)

# One row; narrow, folded; whole registers and not; slices; more columns than go by blocks; several slabs.
SHAPES = [(1, 5), (30, 3), (1000, 5), (64, 64), (257, 33), (1003, 250), (40, 600), (20, 4099), (3000, 100)]
PARTS = ("half", "few", "first", "last", "all", "none")


def chosen(part, m, rng):
    where = np.zeros(m, bool)
    if part == "half":
        where = rng.random(m) < 0.5
    elif part == "few":
        where[rng.integers(m, size=3)] = True
    elif part == "first":
        where[: m // 2] = True
    elif part == "last":
        where[-1] = True
    elif part == "all":
        where[:] = True
    return where


def spread(rows, where):
    a = np.zeros((*where.shape, *rows.shape[1:]), rows.dtype)
    a[where] = rows
    return a


def arguments(shape, dtype, rng, where, kind="normal"):
    x, dy, residual = (draw(kind, rng, shape, dtype) for _ in range(3))
    for a in (x, dy, residual):
        a[~where] = np.nan
    gamma, beta = (rng.standard_normal(shape[where.ndim :]).astype(dtype) for _ in range(2))
    return x, dy, residual, gamma, beta


def check(x, dy, residual, gamma, beta, where, activation=None, out=False):
    """Forward with running statistics, and backward, into fresh arrays or in place."""
    axis = where.ndim
    features = x.shape[axis:]
    running, expected_running = ([np.zeros(features), np.ones(features, np.float32)] for _ in range(2))
    r = None if residual is None else residual[where]
    more = dict(activation=activation, return_stats=True)
    expected = fastnorm.batch_norm(
        x[where],
        gamma,
        beta,
        axis=1,
        residual=r,
        running_mean=expected_running[0],
        running_var=expected_running[1],
        **more,
    )
    to = x.copy() if out else None
    got = fastnorm.batch_norm(
        x if to is None else to,
        gamma,
        beta,
        axis=axis,
        residual=residual,
        where=where,
        running_mean=running[0],
        running_var=running[1],
        out=to,
        **more,
    )
    assert same_bits(got[0], spread(expected[0], where))
    for g, e in zip((*got[1:], *running), (*expected[1:], *expected_running), strict=True):
        assert same_bits(g, e)
    more = dict(activation=activation, beta=beta)
    expected = fastnorm.batch_norm_backward(dy[where], x[where], *got[1:], gamma, axis=1, residual=r, **more)
    for out_is in ("x", "dy") if out else (None,):
        a = {"x": x.copy(), "dy": dy.copy()}
        got_back = fastnorm.batch_norm_backward(
            a["dy"], a["x"], *got[1:], gamma, axis=axis, residual=residual, where=where, out=a.get(out_is), **more
        )
        for i, (g, e) in enumerate(zip(got_back, expected, strict=True)):
            assert e is None and g is None or same_bits(g, e if i in (1, 2) else spread(e, where)), (i, out_is)


@dtypes
@pytest.mark.parametrize("shape", SHAPES)
def test_bits_of_the_chosen_rows(shape, dtype, isa, rng):
    for part in PARTS:
        where = chosen(part, shape[0], rng)
        x, dy, residual, gamma, beta = arguments(shape, dtype, rng, where)
        check(x, dy, None, gamma, beta, where)
        check(x, dy, None, None, None, where, out=True)
        check(x, dy, residual, gamma, beta, where, "relu", out=True)
        check(x, dy, residual, None, beta, where, "gelu")
        check(x, dy, None, gamma, None, where, "sigmoid")


@dtypes
@pytest.mark.parametrize("kind", ["mean_1e6", "1e25", "1e-25", "outlier_first", "first_row_outlier", "cauchy"])
def test_data_that_are_hard(kind, dtype, rng):
    for shape in [(300, 37), (1000, 5)]:
        where = chosen("half", shape[0], rng)
        try:
            x, dy, residual, gamma, beta = arguments(shape, dtype, rng, where, kind)
        except KeyError:
            pytest.skip("no such data")
        check(x, dy, None, gamma, beta, where)
        check(x, dy, dy, gamma, beta, where, "tanh")


@dtypes
@given(m=st.integers(1, 300), c=st.integers(1, 90), seed=st.integers(0, 999))
def test_any_shape(dtype, m, c, seed):
    rng = np.random.default_rng(seed)
    where = rng.random(m) < rng.random()
    x, dy, residual, gamma, beta = arguments((m, c), dtype, rng, where)
    check(x, dy, residual if seed % 2 else None, gamma, beta, where, ("relu", None)[seed % 3 == 0])


@dtypes
def test_axes_and_layouts(dtype, rng):
    where = rng.random((6, 9)) < 0.6
    for shape, axis in [((6, 9, 4), -1), ((6, 9, 4, 5), 2)]:
        x, dy, residual, gamma, beta = arguments(shape, dtype, rng, where)
        check(x, dy, residual, gamma, beta, where, "silu")
        expected = fastnorm.batch_norm(x, gamma, beta, axis=axis, where=where)
        for layout in LAYOUTS.values():
            assert same_bits(fastnorm.batch_norm(layout(x), gamma, beta, axis=axis, where=where), expected)
        assert same_bits(fastnorm.batch_norm(x, gamma, beta, axis=axis, where=np.asfortranarray(where)), expected)
    x = draw("normal", rng, (4, 8), dtype)
    for where in (True, False):
        y, mean, rstd = fastnorm.batch_norm(x, axis=0, where=where, return_stats=True)
        assert not y.any() and np.array_equal(mean, x if where else np.zeros((4, 8)))
    images = np.moveaxis(draw("normal", rng, (3, 5, 4, 4), dtype), 1, -1)
    where = rng.random(images.shape[:-1]) < 0.5
    assert same_bits(fastnorm.batch_norm(images, where=where), fastnorm.batch_norm(images.copy(order="C"), where=where))


@dtypes
def test_threads_and_isas_agree(dtype, rng):
    shape = (60_000, 40)
    where = rng.random(shape[0]) < 0.7
    x, dy, residual, gamma, beta = arguments(shape, dtype, rng, where)

    def everything():
        y, mean, rstd = fastnorm.batch_norm(x, gamma, beta, where=where, residual=residual, return_stats=True)
        return y, mean, *fastnorm.batch_norm_backward(dy, x, mean, rstd, gamma, where=where, residual=residual)

    with fastnorm.threads(1):
        expected = everything()
    for threads, isa in itertools.product((1, 2, 3), ISAS):
        with fastnorm.threads(threads), using(isa):
            assert all(map(same_bits, everything(), expected))


@dtypes
def test_the_reference_agrees(dtype, rng):
    where = rng.random((7, 5)) < 0.6
    x, dy, residual, gamma, beta = arguments((7, 5, 6), dtype, rng, where)
    options = dict(where=where, residual=residual, activation="tanh")
    tolerance = dict(rtol=1e-4, atol=1e-5)
    got = fastnorm.batch_norm(x, gamma, beta, return_stats=True, **options)
    expected = reference.batch_norm(x, gamma, beta, return_stats=True, **options)
    for g, e in zip(got, expected, strict=True):
        assert np.allclose(g, e, **tolerance)
    got = fastnorm.batch_norm_backward(dy, x, *got[1:], gamma, beta=beta, **options)
    expected = reference.batch_norm_backward(dy, x, *expected[1:], gamma, beta=beta, **options)
    for g, e in zip(got, expected, strict=True):
        assert g.dtype == e.dtype and np.allclose(g, e, **tolerance)


def test_refusals_change_nothing():
    x, out, statistic = np.ones((3, 2)), np.full((3, 2), 7.0), np.ones(2)
    running = np.zeros(2), np.ones(2)
    for where, error, words in [
        (np.ones(2, bool), ValueError, r"where has shape \(2,\), expected \(3,\) = x.shape\[:-1\]"),
        (np.ones((3, 2), bool), ValueError, "where has shape"),
        (np.ones(3), TypeError, "where has dtype float64, expected booleans"),
        ("yes", TypeError, "where"),
    ]:
        with pytest.raises(error, match=words):
            fastnorm.batch_norm(x, where=where, out=out, running_mean=running[0], running_var=running[1])
        with pytest.raises(error, match=words):
            fastnorm.batch_norm_backward(x, x, statistic, statistic, where=where, out=out)
    assert (out == 7).all() and not running[0].any() and (running[1] == 1).all()
