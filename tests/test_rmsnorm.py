"""RMSNorm: what the generic tests do not ask."""

import numpy as np
import pytest

import fastnorm
from fastnorm import reference
from support.arrays import DTYPES
from support.errors import LIMIT, WIDER


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", [0, 1, -0.3, 1e30])
@pytest.mark.parametrize("shape", [(37, 5), (40, 200), (3, 1031)])
def test_offset(dtype, offset, shape, rng):
    x, dy = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    gamma = rng.standard_normal(shape[1]).astype(dtype)
    wide, eps = WIDER[np.dtype(dtype)], np.finfo(dtype).eps
    y, rstd = fastnorm.rms_norm(x, gamma, offset=offset, return_stats=True)
    expected = reference.rms_norm(x, gamma, offset=offset, dtype=wide)
    assert np.abs(y - expected).max() <= LIMIT * eps * np.abs(expected).max()
    dx, dgamma = fastnorm.rms_norm_backward(dy, x, rstd, gamma, offset=offset)
    true_dx, true_dgamma = reference.rms_norm_backward(dy, x, rstd, gamma, offset=offset, dtype=wide)
    assert np.abs(dx - true_dx).max() <= LIMIT * eps * np.abs(rstd[:, None] * (offset + gamma) * dy).max()
    assert np.abs(dgamma - true_dgamma).max() <= LIMIT * eps * np.abs(true_dgamma).max()


def test_offset_counts_only_with_gamma(rng):
    x = rng.standard_normal((5, 7))
    assert np.array_equal(fastnorm.rms_norm(x, offset=1), fastnorm.rms_norm(x))


@pytest.mark.parametrize("offset", [np.nan, np.inf, -np.inf, 10**400])
def test_offset_is_finite(offset):
    with pytest.raises(ValueError, match="offset is .*expected a finite number"):
        fastnorm.rms_norm(np.ones((2, 3)), np.ones(3), offset=offset)


@pytest.mark.parametrize("n", [3, 100, 3000])
@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e-30, 1e30, 1e200, 1e300])
def test_squares_beyond_the_dtype(n, size, rng):
    x = rng.standard_normal((17, n))
    for dtype in DTYPES:
        if dtype == np.float32 and not 1e-35 < size < 1e35:
            continue
        scaled = (x * size).astype(dtype)
        y = fastnorm.rms_norm(scaled, eps=0)
        expected = reference.rms_norm(scaled, eps=0, dtype=WIDER[np.dtype(dtype)])
        assert np.abs(y - expected).max() <= LIMIT * np.finfo(dtype).eps * np.abs(expected).max()


@pytest.mark.parametrize("dtype", DTYPES)
def test_dgamma_of_few_numbers(dtype):
    # All rounding errors of terms go the same way.
    x = np.full((100_000, 3), 1.1, dtype)
    dy = np.where(np.arange(100_000)[:, None] % 2, 0.3, -0.3).astype(dtype) * np.ones(3, dtype)
    rstd = np.full(100_000, 0.7)
    _, dgamma = fastnorm.rms_norm_backward(dy, x, rstd, np.ones(3, dtype))
    _, expected = reference.rms_norm_backward(dy, x, rstd, np.ones(3), dtype=WIDER[np.dtype(dtype)])
    root = np.sqrt(100_000) * 0.3 * 1.1 * 0.7
    assert np.abs(dgamma - expected).max() <= LIMIT * np.finfo(dtype).eps * root
