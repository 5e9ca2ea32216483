"""LayerNorm: what is particular to it."""

import numpy as np
import pytest

import fastnorm
from fastnorm import reference
from support.arrays import DTYPES, draw, same_bits
from support.errors import LIMIT

dtypes = pytest.mark.parametrize("dtype", DTYPES)


@dtypes
@pytest.mark.parametrize(
    "shape, axis, statistics, features",
    [
        ((5,), -1, (), (5,)),
        ((5,), 0, (), (5,)),
        ((4, 5), -1, (4,), (5,)),
        ((4, 5), 0, (), (4, 5)),
        ((3, 4, 5), -1, (3, 4), (5,)),
        ((3, 4, 5), 2, (3, 4), (5,)),
        ((3, 4, 5), -2, (3,), (4, 5)),
        ((2, 3, 4, 5), -1, (2, 3, 4), (5,)),
        ((2, 3, 4, 5), -3, (2,), (3, 4, 5)),
        ((2, 3, 4, 5), 1, (2,), (3, 4, 5)),
        ((2, 1, 3, 1, 4, 5), 3, (2, 1, 3), (1, 4, 5)),
        ((1,) * 20 + (3, 5), -1, (1,) * 20 + (3,), (5,)),
    ],
)
def test_shapes(dtype, shape, axis, statistics, features, isa, rng):
    x, dy = (draw("normal", rng, shape, dtype) for _ in range(2))
    gamma, beta = (draw("normal", rng, features, dtype) for _ in range(2))
    y, mean, rstd = fastnorm.layer_norm(x, gamma, beta, axis=axis, return_stats=True)
    assert y.shape == shape and y.dtype == dtype
    assert np.shape(mean) == np.shape(rstd) == statistics
    assert mean.dtype == rstd.dtype == np.float64
    assert same_bits(fastnorm.layer_norm(x, gamma, beta, axis=axis), y)

    dx, dgamma, dbeta = fastnorm.layer_norm_backward(dy, x, mean, rstd, gamma, axis=axis)
    assert dx.shape == shape
    assert dgamma.shape == dbeta.shape == features
    assert dx.dtype == dgamma.dtype == dbeta.dtype == dtype


@dtypes
def test_a_worked_example(dtype, isa):
    x = np.array([[1, 3], [-10, 10], [5, 5]], dtype)
    y, mean, rstd = fastnorm.layer_norm(x, [2, 2], [1, 0], eps=0.25, return_stats=True)
    assert mean.tolist() == [2, 0, 5]
    assert np.allclose(rstd, [1.25**-0.5, 100.25**-0.5, 2], rtol=1e-15, atol=0)
    expected = [[1 - 2 * 1.25**-0.5, 2 * 1.25**-0.5], [1 - 20 * 100.25**-0.5, 20 * 100.25**-0.5]]
    eps = np.finfo(dtype).eps
    assert np.allclose(y, [*expected, [1, 0]], rtol=2 * eps, atol=0)


@dtypes
def test_rows_of_length_one_give_beta(dtype, isa, rng):
    x = draw("cauchy", rng, (37, 1), dtype)
    y, mean, rstd = fastnorm.layer_norm(x, [3], [0.5], return_stats=True)
    assert np.array_equal(y, np.full((37, 1), 0.5))
    assert np.array_equal(mean, x[:, 0])
    assert np.allclose(rstd, 1e-5**-0.5, rtol=1e-15, atol=0)
    dx, dgamma, dbeta = fastnorm.layer_norm_backward(np.ones_like(x), x, mean, rstd, [3])
    # The truth is 0, the difference of two numbers of size 3 * rstd.
    assert np.abs(dx).max() <= LIMIT * np.finfo(dtype).eps * 3 * rstd.max()
    assert dgamma.tolist() == [0]
    assert dbeta.tolist() == [37]


@dtypes
def test_dgamma_goes_with_gamma(dtype, rng):
    x, dy = (draw("normal", rng, (8, 6), dtype) for _ in range(2))
    _, mean, rstd = fastnorm.layer_norm(x, return_stats=True)
    dx, dgamma, dbeta = fastnorm.layer_norm_backward(dy, x, mean, rstd)
    assert dgamma is None
    with_ones = fastnorm.layer_norm_backward(dy, x, mean, rstd, np.ones(6))
    assert same_bits(dbeta, with_ones[2])
    assert np.abs(dx - with_ones[0]).max() <= LIMIT * np.finfo(dtype).eps * np.abs(dx).max()


@dtypes
def test_statistics_of_huge_means_are_float64(dtype, isa, rng):
    # A float32 mean would be off by up to 0.03 standard deviations here.
    x = draw("mean_1e6", rng, (50, 300), dtype)
    _, mean, rstd = fastnorm.layer_norm(x, return_stats=True)
    _, true_mean, true_rstd = reference.layer_norm(x, return_stats=True, dtype=np.longdouble)
    assert np.abs(mean - true_mean).max() < 1e-6
    assert np.abs(rstd / true_rstd - 1).max() <= LIMIT * np.finfo(dtype).eps


@dtypes
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_row_shows_in_dgamma_and_dbeta(dtype, bad, isa, rng):
    # Gradients summed over all rows must not hide it.
    x, dy = (draw("normal", rng, (40, 6), dtype) for _ in range(2))
    _, mean, rstd = fastnorm.layer_norm(x, return_stats=True)
    dy[17, 2] = bad
    _, dgamma, dbeta = fastnorm.layer_norm_backward(dy, x, mean, rstd, np.ones(6))
    assert (np.isfinite(dgamma) == (np.arange(6) != 2)).all()
    assert (np.isfinite(dbeta) == (np.arange(6) != 2)).all()


@dtypes
def test_rstd_comes_from_the_biased_variance(dtype, isa):
    _, _, rstd = fastnorm.layer_norm(np.array([0, 2, 4, 6], dtype), eps=0, return_stats=True)
    assert float(rstd) == pytest.approx(5**-0.5, rel=1e-15)
