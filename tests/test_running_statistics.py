"""Running statistics of BatchNorm: ``new = (1 - momentum) * old + momentum * batch``."""

import math
from fractions import Fraction

import numpy as np
import pytest

import fastnorm
from support.arrays import DTYPES, WRITEABLE_LAYOUTS, same_bits

dtypes = pytest.mark.parametrize("dtype", DTYPES)
running_dtypes = pytest.mark.parametrize("running_dtype", DTYPES)

# Mean 3 and sum of squared deviations 20 in every channel: exact in any order of summation. The
# statistics of a batch are float64 numbers, so 20 / 3 is rounded before the update.
X = np.array([[0], [2], [4], [6]]) + np.zeros(5)
MEAN, BIASED, UNBIASED = Fraction(3.0), Fraction(20 / 4), Fraction(20 / 3)


def moved(old, momentum, batch):
    """The update without any rounding, and then rounded once, to the dtype of `old`."""
    momentum = Fraction(float(momentum))
    exact = [(1 - momentum) * Fraction(float(a)) + momentum * b for a, b in zip(old, batch, strict=True)]
    return np.array([nearest(e, old.dtype) for e in exact], old.dtype)


def nearest(exact, dtype):
    """The number of `dtype` nearest to a fraction, of two equally near ones the even one."""
    last_place = Fraction(2) ** (math.frexp(float(exact))[1] - np.finfo(dtype).nmant - 1)
    return dtype.type(float(round(exact / last_place) * last_place))


@dtypes
@running_dtypes
@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize("momentum", [0, 0.1, 0.25, 0.999, 1, 1 / 3, np.float32(0.1)])
def test_update(dtype, running_dtype, unbiased, momentum, isa, rng):
    old_mean = rng.standard_normal(5).astype(running_dtype)
    old_var = rng.random(5).astype(running_dtype)
    running_mean, running_var = old_mean.copy(), old_var.copy()
    arguments = {"momentum": momentum, "unbiased": unbiased}
    arguments |= {"running_mean": running_mean, "running_var": running_var}
    fastnorm.batch_norm(X.astype(dtype), **arguments)
    assert same_bits(running_mean, moved(old_mean, momentum, [MEAN] * 5))
    assert same_bits(running_var, moved(old_var, momentum, [UNBIASED if unbiased else BIASED] * 5))


@dtypes
@running_dtypes
def test_each_of_ten_thousand_updates_is_rounded_once(dtype, running_dtype, rng):
    # Four integers a channel: mean and sum of squared deviations are exact in any order of summation.
    batches = rng.integers(-1000, 1000, (2500, 4, 4))
    momenta = rng.uniform(0, 1, len(batches)) ** 3
    running = np.zeros(4, running_dtype), np.ones(4, running_dtype)
    for step, (x, momentum) in enumerate(zip(batches, momenta, strict=True)):
        unbiased = bool(step % 2)
        old = [a.copy() for a in running]
        arguments = {"momentum": momentum, "unbiased": unbiased}
        fastnorm.batch_norm(x.astype(dtype), running_mean=running[0], running_var=running[1], **arguments)
        batch_mean = [Fraction(int(total), 4) for total in x.sum(axis=0)]
        squares = [int(total) for total in (4 * np.square(x).sum(axis=0) - x.sum(axis=0) ** 2)]  # 4 times those
        batch_var = [Fraction(total / 4 / (3 if unbiased else 4)) for total in squares]
        assert same_bits(running[0], moved(old[0], momentum, batch_mean))
        assert same_bits(running[1], moved(old[1], momentum, batch_var))


@running_dtypes
def test_an_update_that_cancels_is_rounded_once(running_dtype, rng):
    # Of one row, the batch mean is x itself. Here it takes away all but the last digits of the old mean.
    old, momentum = rng.uniform(0.5, 2, 10_000).astype(running_dtype), 0.3
    left = 2.0 ** -rng.integers(3, 54, old.size)
    x = ((momentum - 1) / momentum * old.astype(np.float64) * (1 + left))[None]
    running_mean = old.copy()
    fastnorm.batch_norm(x, running_mean=running_mean, running_var=np.ones_like(old), momentum=momentum)
    assert same_bits(running_mean, moved(old, momentum, [Fraction(a) for a in x[0].tolist()]))


@dtypes
@running_dtypes
def test_ends_of_momentum_are_exact(dtype, running_dtype, isa, rng):
    x = (1e3 + rng.standard_normal((50, 7))).astype(dtype)
    old = rng.standard_normal(7).astype(running_dtype), rng.random(7).astype(running_dtype)

    running_mean, running_var = old[0].copy(), old[1].copy()
    fastnorm.batch_norm(x, running_mean=running_mean, running_var=running_var, momentum=0)
    assert same_bits(running_mean, old[0])
    assert same_bits(running_var, old[1])

    _, mean, rstd = fastnorm.batch_norm(
        x,
        eps=0,
        running_mean=running_mean,
        running_var=running_var,
        momentum=1,
        unbiased=False,
        return_stats=True,
    )
    assert same_bits(running_mean, mean.astype(running_dtype))
    assert np.allclose(running_var, rstd**-2, rtol=4 * np.finfo(running_dtype).eps, atol=0)


@dtypes
def test_each_may_have_its_own_dtype(dtype, isa):
    running_mean, running_var = np.zeros(5, np.float32), np.ones(5, np.float64)
    fastnorm.batch_norm(X.astype(dtype), running_mean=running_mean, running_var=running_var)
    assert running_mean.tolist() == [np.float32(0.3)] * 5
    assert np.allclose(running_var, 0.9 + 2 / 3, rtol=1e-15, atol=0)


@dtypes
@pytest.mark.parametrize("axis", [1, 2, 3])
def test_shape_of_the_features(dtype, axis, isa, rng):
    x = rng.standard_normal((6, 2, 3, 5)).astype(dtype)
    features = x.shape[axis:]
    running_mean, running_var = np.zeros(features), np.zeros(features)
    fastnorm.batch_norm(x, axis=axis, running_mean=running_mean, running_var=running_var, momentum=1)
    reduced = tuple(range(axis))
    tolerance = 4 * np.finfo(dtype).eps
    assert np.allclose(running_mean, x.mean(reduced, np.float64), rtol=0, atol=tolerance)
    assert np.allclose(running_var, x.var(reduced, np.float64, ddof=1), rtol=tolerance, atol=0)


@dtypes
@running_dtypes
@pytest.mark.parametrize("shape, axis", [((1, 5), -1), ((5,), -1), ((2, 5), 0)])
def test_one_row_has_the_biased_variance_zero(dtype, running_dtype, shape, axis, isa, rng):
    x = rng.standard_normal(shape).astype(dtype)
    running_mean = np.full(shape[axis:], 2, running_dtype)
    running_var = np.full(shape[axis:], 3, running_dtype)
    fastnorm.batch_norm(x, axis=axis, running_mean=running_mean, running_var=running_var, momentum=0.5)
    assert same_bits(running_mean, (1 + x.astype(np.float64) / 2).reshape(shape[axis:]).astype(running_dtype))
    assert (running_var == 1.5).all()


@dtypes
@pytest.mark.parametrize("momentum", [0.1, 1])
def test_no_rows_leave_them_untouched(dtype, momentum, isa):
    for shape in [(0, 5), (0, 3, 5), (3, 0, 5)]:
        running_mean, running_var = np.arange(5.0), np.full(5, np.nan)
        arguments = {"running_mean": running_mean, "running_var": running_var}
        fastnorm.batch_norm(np.empty(shape, dtype), momentum=momentum, **arguments)
        assert same_bits(running_mean, np.arange(5.0))
        assert np.isnan(running_var).all()


@dtypes
@running_dtypes
@pytest.mark.parametrize("layout", [*WRITEABLE_LAYOUTS, "big_endian"])
def test_any_layout(dtype, running_dtype, layout, isa, rng):
    x = rng.standard_normal((30, 4, 5)).astype(dtype)
    old_mean = rng.standard_normal((4, 5)).astype(running_dtype)
    old_var = rng.random((4, 5)).astype(running_dtype)
    moved = []
    for old in (old_mean, old_var):
        if layout == "big_endian":
            moved.append(old.astype(old.dtype.newbyteorder(">")))
        else:
            moved.append(WRITEABLE_LAYOUTS[layout](old))
    fastnorm.batch_norm(x, axis=1, running_mean=moved[0], running_var=moved[1])
    fastnorm.batch_norm(x, axis=1, running_mean=old_mean, running_var=old_var)
    assert same_bits(moved[0].astype(running_dtype), old_mean)
    assert same_bits(moved[1].astype(running_dtype), old_var)


@dtypes
@running_dtypes
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_batch_that_is_no_number_takes_its_channel_along(dtype, running_dtype, value, isa, rng):
    # Whatever follows: NaN has a share in every later average, even if that is 0.
    x = rng.standard_normal((40, 5)).astype(dtype)
    running = np.zeros(5, running_dtype), np.ones(5, running_dtype)
    x[7, 2] = value
    fastnorm.batch_norm(x, running_mean=running[0], running_var=running[1])
    x[7, 2] = 0
    fastnorm.batch_norm(x, running_mean=running[0], running_var=running[1])
    for a in running:
        assert np.isnan(a).tolist() == [False, False, True, False, False]
    fastnorm.batch_norm(x, running_mean=running[0], running_var=running[1], momentum=1)
    for a in running:
        assert np.isnan(a).tolist() == [False, False, True, False, False]


@dtypes
def test_nan_stays_in_its_channel(dtype, isa, rng):
    x = rng.standard_normal((40, 33)).astype(dtype)
    expected = np.zeros(33), np.ones(33)
    fastnorm.batch_norm(x, running_mean=expected[0], running_var=expected[1])
    x[7, 20] = np.nan
    got = np.zeros(33), np.ones(33)
    fastnorm.batch_norm(x, running_mean=got[0], running_var=got[1])
    for a, b in zip(got, expected, strict=True):
        assert np.isnan(a[20])
        assert same_bits(np.delete(a, 20), np.delete(b, 20))


def test_variance_beyond_float32_is_infinity_without_a_warning(isa):
    x = np.array([[-1e25], [1e25]], np.float32)
    running_mean, running_var = np.zeros(1, np.float32), np.ones(1, np.float32)
    fastnorm.batch_norm(x, running_mean=running_mean, running_var=running_var)
    assert running_mean.tolist() == [0]
    assert running_var.tolist() == [np.inf]


@dtypes
def test_they_follow_a_stream_of_batches(dtype, isa, rng):
    # What they are for: after many batches they are near the statistics of the source.
    running_mean, running_var = np.zeros(3), np.ones(3)
    for _ in range(300):
        x = (rng.standard_normal((64, 3)) * [1, 2, 3] + [10, 0, -10]).astype(dtype)
        fastnorm.batch_norm(x, running_mean=running_mean, running_var=running_var, momentum=0.05)
    assert np.allclose(running_mean, [10, 0, -10], rtol=0, atol=0.3)
    assert np.allclose(running_var, [1, 4, 9], rtol=0.2, atol=0)


@dtypes
def test_y_does_not_depend_on_them(dtype, isa, rng):
    x = rng.standard_normal((40, 33)).astype(dtype)
    y = fastnorm.batch_norm(x, running_mean=np.full(33, 5.0), running_var=np.full(33, 7.0))
    assert same_bits(y, fastnorm.batch_norm(x))


@dtypes
def test_trained_then_inferred_as_pytorch_does(dtype, rng):
    torch = pytest.importorskip("torch")
    layer = torch.nn.BatchNorm1d(17, momentum=0.2, dtype=torch.from_numpy(np.empty(0, dtype)).dtype)
    gamma, beta = rng.uniform(0.5, 2, 17).astype(dtype), rng.standard_normal(17).astype(dtype)
    running_mean, running_var = np.zeros(17, dtype), np.ones(17, dtype)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(gamma))
        layer.bias.copy_(torch.from_numpy(beta))
        for _ in range(20):
            x = (3 + 2 * rng.standard_normal((64, 17))).astype(dtype)
            theirs = layer(torch.from_numpy(x)).numpy()
            arguments = {"momentum": 0.2, "running_mean": running_mean, "running_var": running_var}
            y = fastnorm.batch_norm(x, gamma, beta, **arguments)
            assert np.allclose(y, theirs, rtol=0, atol=50 * np.finfo(dtype).eps)
        assert np.allclose(running_mean, layer.running_mean.numpy(), rtol=20 * np.finfo(dtype).eps, atol=0)
        assert np.allclose(running_var, layer.running_var.numpy(), rtol=20 * np.finfo(dtype).eps, atol=0)
        layer.eval()
        theirs = layer(torch.from_numpy(x)).numpy()
    y = fastnorm.batch_norm_inference(x, running_mean, running_var, gamma, beta)
    assert np.allclose(y, theirs, rtol=0, atol=50 * np.finfo(dtype).eps)
