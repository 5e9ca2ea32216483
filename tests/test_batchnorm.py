"""BatchNorm: what is particular to it. Running statistics have a file of their own."""

import numpy as np
import pytest

import fastnorm
from fastnorm import reference
from support.arrays import DTYPES, draw, same_bits
from support.errors import LIMIT

dtypes = pytest.mark.parametrize("dtype", DTYPES)


@dtypes
@pytest.mark.parametrize(
    "shape, axis, features",
    [
        ((5,), -1, (5,)),
        ((6, 5), -1, (5,)),
        ((6, 5), 1, (5,)),
        ((6, 5), 0, (6, 5)),
        ((6, 4, 5), -1, (5,)),
        ((6, 4, 5), 1, (4, 5)),
        ((6, 2, 3, 5), -1, (5,)),
        ((6, 2, 3, 5), -2, (3, 5)),
        ((6, 2, 3, 5), 1, (2, 3, 5)),
        ((2, 1, 3, 1, 4, 5), 3, (1, 4, 5)),
        ((1,) * 20 + (3, 5), -1, (5,)),
    ],
)
def test_shapes(dtype, shape, axis, features, isa, rng):
    x, dy = (draw("normal", rng, shape, dtype) for _ in range(2))
    gamma, beta = (draw("normal", rng, features, dtype) for _ in range(2))
    y, mean, rstd = fastnorm.batch_norm(x, gamma, beta, axis=axis, return_stats=True)
    assert y.shape == shape and y.dtype == dtype
    assert mean.shape == rstd.shape == features
    assert mean.dtype == rstd.dtype == np.float64
    assert same_bits(fastnorm.batch_norm(x, gamma, beta, axis=axis), y)

    var = rstd**-2 - 1e-5
    y = fastnorm.batch_norm_inference(x, mean, np.abs(var), gamma, beta, axis=axis)
    assert y.shape == shape and y.dtype == dtype

    dx, dgamma, dbeta = fastnorm.batch_norm_backward(dy, x, mean, rstd, gamma, axis=axis)
    assert dx.shape == shape
    assert dgamma.shape == dbeta.shape == features
    assert dx.dtype == dgamma.dtype == dbeta.dtype == dtype


@dtypes
def test_a_worked_example(dtype, isa):
    x = np.array([[1, -10, 5], [3, 10, 5]], dtype)
    y, mean, rstd = fastnorm.batch_norm(x, [2, 2, 2], [1, 0, 7], eps=0.25, return_stats=True)
    assert mean.tolist() == [2, 0, 5]
    assert np.allclose(rstd, [1.25**-0.5, 100.25**-0.5, 2], rtol=1e-15, atol=0)
    a, b = 2 * 1.25**-0.5, 20 * 100.25**-0.5
    eps = np.finfo(dtype).eps
    assert np.allclose(y, [[1 - a, -b, 7], [1 + a, b, 7]], rtol=2 * eps, atol=0)

    y = fastnorm.batch_norm_inference(x, [1, 0, 4], [3.75, 99.75, 0], eps=0.25)
    expected = np.array([[0, -10 / 10, 2], [2 / 2, 10 / 10, 2]])
    assert np.allclose(y, expected, rtol=2 * eps, atol=0)


@dtypes
@pytest.mark.parametrize("shape, axis", [((1, 40), -1), ((40,), -1), ((6, 7), 0)])
def test_one_row_gives_beta(dtype, shape, axis, isa, rng):
    x, dy = (draw("cauchy", rng, shape, dtype) for _ in range(2))
    gamma, beta = (draw("normal", rng, shape[axis:], dtype) for _ in range(2))
    y, mean, rstd = fastnorm.batch_norm(x, gamma, beta, axis=axis, return_stats=True)
    assert np.array_equal(y, np.broadcast_to(beta, shape))
    assert np.array_equal(mean, x.reshape(mean.shape))
    assert np.allclose(rstd, 1e-5**-0.5, rtol=1e-15, atol=0)
    dx, dgamma, dbeta = fastnorm.batch_norm_backward(dy, x, mean, rstd, gamma, axis=axis)
    # The truth is 0, the difference of two numbers of this size.
    assert np.abs(dx).max() <= LIMIT * np.finfo(dtype).eps * np.abs(rstd * gamma * dy).max()
    assert not dgamma.any()
    assert np.array_equal(dbeta, dy.reshape(dbeta.shape))


@dtypes
def test_dgamma_goes_with_gamma(dtype, rng):
    x, dy = (draw("normal", rng, (8, 6), dtype) for _ in range(2))
    _, mean, rstd = fastnorm.batch_norm(x, return_stats=True)
    dx, dgamma, dbeta = fastnorm.batch_norm_backward(dy, x, mean, rstd)
    assert dgamma is None
    with_ones = fastnorm.batch_norm_backward(dy, x, mean, rstd, np.ones(6))
    assert same_bits(dbeta, with_ones[2])
    assert np.abs(dx - with_ones[0]).max() <= LIMIT * np.finfo(dtype).eps * np.abs(dx).max()


@dtypes
def test_statistics_of_huge_means_are_float64(dtype, isa, rng):
    # A float32 mean would be off by up to 0.03 standard deviations here.
    x = draw("mean_1e6", rng, (300, 50), dtype)
    _, mean, rstd = fastnorm.batch_norm(x, return_stats=True)
    _, true_mean, true_rstd = reference.batch_norm(x, return_stats=True, dtype=np.longdouble)
    assert np.abs(mean - true_mean).max() < 1e-6
    assert np.abs(rstd / true_rstd - 1).max() <= LIMIT * np.finfo(dtype).eps


@dtypes
def test_rstd_comes_from_the_biased_variance(dtype, isa):
    x = np.array([[0], [2], [4], [6]], dtype)
    for unbiased in (True, False):
        _, _, rstd = fastnorm.batch_norm(x, eps=0, unbiased=unbiased, return_stats=True)
        assert rstd.tolist() == pytest.approx([5**-0.5], rel=1e-15)


@dtypes
def test_inference_is_training_with_the_statistics_given(dtype, isa, rng):
    x = draw("normal", rng, (200, 33), dtype)
    gamma, beta = (draw("normal", rng, (33,), dtype) for _ in range(2))
    y, mean, rstd = fastnorm.batch_norm(x, gamma, beta, eps=0, return_stats=True)
    given = fastnorm.batch_norm_inference(x, mean, rstd**-2, gamma, beta, eps=0)
    assert np.abs(given - y).max() <= LIMIT * np.finfo(dtype).eps * np.abs(y).max()


@dtypes
def test_inference_leaves_the_running_statistics(dtype, isa, rng):
    x = draw("normal", rng, (20, 33), dtype)
    running_mean, running_var = rng.standard_normal(33), rng.random(33)
    copies = running_mean.copy(), running_var.copy()
    fastnorm.batch_norm_inference(x, running_mean, running_var)
    assert same_bits(running_mean, copies[0])
    assert same_bits(running_var, copies[1])


@dtypes
def test_inference_of_a_negative_variance_is_nan(dtype, isa):
    y = fastnorm.batch_norm_inference(np.ones((3, 2), dtype), [0, 0], [-1.0, 3.0], eps=1.0)
    assert not np.isfinite(y[:, 0]).any()
    assert y[:, 1].tolist() == [0.5] * 3
    y = fastnorm.batch_norm_inference(np.ones((3, 1), dtype), [0], [-2.0], eps=1.0)
    assert np.isnan(y).all()


@dtypes
@pytest.mark.parametrize("shape", [(40, 5), (300, 64), (9, 600)])
def test_frozen_statistics_without_gamma_need_no_x(dtype, shape, isa, rng):
    x, dy = (draw("normal", rng, shape, dtype) for _ in range(2))
    mean, var = rng.standard_normal(shape[1]), rng.random(shape[1])
    dx, dgamma, dbeta = fastnorm.batch_norm_inference_backward(dy, np.full(shape, np.nan, dtype), mean, var)
    with_ones = fastnorm.batch_norm_inference_backward(dy, x, mean, var, np.ones(shape[1]))
    assert dgamma is None
    assert same_bits(dx, with_ones[0]) and same_bits(dbeta, with_ones[2])
    with pytest.raises(ValueError, match="dy has shape"):
        fastnorm.batch_norm_inference_backward(dy, x[1:], mean, var)


@dtypes
def test_frozen_statistics_share_the_sums_of_the_backward(dtype, isa, rng):
    x, dy = (draw("mean_1e3", rng, (1000, 33), dtype) for _ in range(2))
    gamma = draw("normal", rng, (33,), dtype)
    mean, var = x.mean(0, np.float64), x.var(0, np.float64)
    frozen = fastnorm.batch_norm_inference_backward(dy, x, mean, var, gamma, eps=0.25)
    moving = fastnorm.batch_norm_backward(dy, x, mean, 1 / np.sqrt(var + 0.25), gamma)
    assert same_bits(frozen[1], moving[1]) and same_bits(frozen[2], moving[2])
