"""Half precision of BatchNorm and GroupNorm: the float32 results of the same numbers, rounded once."""

import itertools

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastnorm
from fastnorm import reference
from support.arrays import LAYOUTS, same_bits
from support.isas import ISAS, using

HALVES = (np.float16, ml_dtypes.bfloat16)
halves = pytest.mark.parametrize("half", HALVES, ids=["float16", "bfloat16"])

# One row; narrow, folded, with a tail; slices; more columns than go by blocks; more rows than a slab; past the cache.
SHAPES = [(1, 5), (30, 3), (1003, 5), (64, 64), (257, 33), (40, 600), (20, 4099), (3000, 100)]
LARGE = [(60_001, 64), (9001, 333)]


def arrays(shape, half, seed=0):
    rng = np.random.default_rng(seed)
    a = {name: (3 * rng.standard_normal(shape) + 1).astype(half) for name in ("x", "dy", "residual")}
    a |= {name: rng.standard_normal(shape[-1]).astype(np.float32) for name in ("gamma", "beta")}
    return a | {"mean": rng.standard_normal(shape[-1]), "var": rng.uniform(0.5, 2, shape[-1])}


def rounded(a, half):
    with np.errstate(all="ignore"):
        return a.astype(half)


def bits(a):
    """Bits, but of NaN none."""
    return np.where(np.isnan(a), 0, a).astype(a.dtype).view(np.uint16)


def assert_same(got, expected, half, what=""):
    """Results of x's shape are rounded, all others those of float32."""
    for g, e in zip(got, expected, strict=True):
        if e is None:
            assert g is None, what
        elif g.dtype == half:
            e = rounded(e, half)
            assert np.array_equal(np.isnan(g), np.isnan(e)) and np.array_equal(bits(g), bits(e)), what
        else:
            assert g.dtype == e.dtype and same_bits(g, e), what


def as_tuple(results):
    return results if isinstance(results, tuple) else (results,)


def calls(a, **more):
    """All operations on these arrays, as functions of nothing; `more` are residual, activation and where."""
    x, dy, gamma, beta, mean, var = (a[name] for name in ("x", "dy", "gamma", "beta", "mean", "var"))
    rstd = 1 / np.sqrt(var + 1e-5)
    given = more.pop("where", None)
    where = {} if given is None else {"where": given}
    yield fastnorm.batch_norm(x, gamma, beta, return_stats=True, **more, **where)
    yield fastnorm.batch_norm_backward(dy, x, mean, rstd, gamma, beta=beta, **more, **where)
    yield fastnorm.batch_norm_backward(dy, x, mean, rstd, beta=beta, **more, **where)
    if not where:
        yield fastnorm.batch_norm_inference(x, mean, var, gamma, beta, **more)
        yield fastnorm.batch_norm_inference_backward(dy, x, mean, var, gamma, beta=beta, **more)
        yield fastnorm.batch_norm_inference_backward(dy, x, mean, var, beta=beta, **more)


def wide(a):
    return {name: array.astype(np.float32) if array.dtype.itemsize == 2 else array for name, array in a.items()}


def check(a, half, with_residual=False, **more):
    b = wide(a)
    residuals = ({"residual": a["residual"]}, {"residual": b["residual"]}) if with_residual else ({}, {})
    for got, expected in zip(calls(a, **more, **residuals[0]), calls(b, **more, **residuals[1]), strict=True):
        assert_same(as_tuple(got), as_tuple(expected), half, (a["x"].shape, more))


@halves
@pytest.mark.parametrize("shape", SHAPES)
def test_the_float32_result_rounded(shape, half, isa):
    a = arrays(shape, half)
    check(a, half)
    check(a, half, True, activation="relu")
    check(a, half, activation="relu")
    check(a, half, True)
    check(a, half, True, activation="gelu")
    check(a, half, where=np.arange(shape[0]) % 3 != 1)
    check(a, half, True, activation="tanh", where=np.arange(shape[0]) % 5 < 2)


@halves
@pytest.mark.parametrize("shape", LARGE)
def test_past_the_cache(shape, half):
    a = arrays(shape, half)
    check(a, half)
    check(a, half, True, activation="relu")


@halves
@given(m=st.integers(1, 300), c=st.integers(1, 90), seed=st.integers(0, 99))
def test_any_shape(half, m, c, seed):
    check(arrays((m, c), half, seed), half, bool(seed % 2), activation=(None, "relu", "silu")[seed % 3])


@halves
def test_any_bits(half, isa):
    rng = np.random.default_rng(5)
    for shape in [(70, 300), (400, 5)]:
        a = arrays(shape, half)
        for name in ("x", "dy", "residual"):
            bits = rng.integers(2**16, size=shape, dtype=np.uint16).view(half)
            a[name] = np.where(rng.random(shape) < 0.02, bits, a[name])
        check(a, half)
        check(a, half, True, activation="relu")


@halves
def test_large_numbers_do_not_overflow(half):
    x = np.full((4000, 6), 60_000, half)
    x[::2] = -60_000
    y, mean, rstd = fastnorm.batch_norm(x, return_stats=True)
    assert (np.abs(y.astype(np.float32)) == 1).all() and not mean.any()
    expected = reference.batch_norm(x.astype(np.float64), return_stats=True)
    assert np.allclose(rstd, expected[2], rtol=1e-6)


@halves
@pytest.mark.parametrize("scale", [1e-35, 1e30])
def test_columns_that_float32_cannot_hold(scale, half):
    # moments are taken again, columns computed in double
    if half == np.float16:
        scale = 6e-8 if scale < 1 else 6e3
    a = arrays((300, 21), half)
    scales = np.where(np.arange(21) % 3 == 1, scale, 1).astype(np.float32)
    a["x"] = rounded(a["x"].astype(np.float32) * scales, half)
    for more in ({}, {"activation": "relu"}, {"where": np.arange(300) % 4 > 0}):
        check(a, half, **more)


@halves
def test_in_place(half, isa):
    for shape in [(1003, 5), (64, 64), (40, 600)]:
        a = arrays(shape, half)
        x, gamma, mean, var = a["x"], a["gamma"], a["mean"], a["var"]
        b = x.copy()
        assert fastnorm.batch_norm(b, gamma, activation="relu", out=b) is b
        assert same_bits(b, fastnorm.batch_norm(x, gamma, activation="relu"))
        b = x.copy()
        fastnorm.batch_norm_inference(b, mean, var, residual=b, out=b)
        assert same_bits(b, fastnorm.batch_norm_inference(x, mean, var, residual=x))
        for backward in (fastnorm.batch_norm_backward, fastnorm.batch_norm_inference_backward):
            for where in ("x", "dy"):
                b = {name: array.copy() for name, array in a.items()}
                more = dict(beta=a["beta"], activation="silu")
                got = backward(b["dy"], b["x"], mean, var, gamma, out=b[where], **more)
                expected = backward(a["dy"], a["x"], mean, var, gamma, **more)
                assert all(map(same_bits, got, expected))


@halves
def test_layouts_and_channels_first_memory(half):
    a = arrays((33, 50), half)
    expected = fastnorm.batch_norm(a["x"], a["gamma"], residual=a["residual"])
    for layout in ("strided", "every_third_row", "rows_apart"):
        moved = LAYOUTS[layout](a["x"]), LAYOUTS[layout](a["residual"])
        assert same_bits(fastnorm.batch_norm(moved[0], a["gamma"], residual=moved[1]), expected)
    x = (np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5) % 17).astype(half)
    images = np.moveaxis(x, 1, -1)
    y, mean, rstd = fastnorm.batch_norm(images, return_stats=True)
    assert y.dtype == half and same_bits(y, fastnorm.batch_norm(images.copy(order="C")))
    got = fastnorm.batch_norm_backward(images, images, mean, rstd)
    assert same_bits(
        got[0], fastnorm.batch_norm_backward(images.copy(order="C"), images.copy(order="C"), mean, rstd)[0]
    )


@halves
def test_threads_and_isas_agree(half):
    a = arrays((60_000, 40), half)

    def everything():
        results = calls(a, activation="relu", residual=a["residual"])
        return [r for r in itertools.chain.from_iterable(map(as_tuple, results)) if r is not None]

    with fastnorm.threads(1):
        expected = everything()
    for threads, isa in itertools.product((1, 2, 3), ISAS):
        with fastnorm.threads(threads), using(isa):
            assert all(map(same_bits, everything(), expected))


@halves
def test_running_statistics_and_the_reference(half):
    a = arrays((50, 7), half)
    running = [np.zeros(7), np.ones(7, np.float32)]
    expected = [r.copy() for r in running]
    y = fastnorm.batch_norm(a["x"], a["gamma"], running_mean=running[0], running_var=running[1])
    wide = reference.batch_norm(a["x"], a["gamma"], running_mean=expected[0], running_var=expected[1])
    assert y.dtype == wide.dtype == half
    step = 2.0**-11 if half == np.float16 else 2.0**-8
    assert np.allclose(y.astype(np.float64), wide.astype(np.float64), rtol=2 * step, atol=step)
    assert np.allclose(running[0], expected[0]) and np.allclose(running[1], expected[1])


@halves
def test_out_of_another_dtype_is_refused(half):
    x = np.ones((3, 2), half)
    with pytest.raises(TypeError, match="out has dtype"):
        fastnorm.batch_norm(x, out=np.ones((3, 2), np.float32))


# ---- GroupNorm

# One position, few, those from which on columns have moments; folded channels; more columns than a slice; many samples.
SAMPLES = [
    (5, 36),
    (3, 2, 12),
    (2, 15, 33),
    (2, 16, 33),
    (3, 49, 30),
    (2, 300, 6),
    (1, 2100, 64),
    (2, 5, 1100),
    (700, 4, 8),
]


def check_groups(a, half):
    b = wide(a)
    channels = a["x"].shape[-1]
    for groups in [n for n in range(1, channels + 1) if channels % n == 0][:6]:
        results = []
        for c in (a, b):
            y, mean, rstd = fastnorm.group_norm(c["x"], c["gamma"], c["beta"], groups=groups, return_stats=True)
            back = fastnorm.group_norm_backward(c["dy"], c["x"], mean, rstd, c["gamma"])
            results.append((y, mean, rstd, *back))
        assert_same(*results, half, (a["x"].shape, groups))
    results = []
    for c in (a, b):
        y, mean, rstd = fastnorm.instance_norm(c["x"], return_stats=True)
        results.append((y, mean, rstd, *fastnorm.instance_norm_backward(c["dy"], c["x"], mean, rstd)))
    assert_same(*results, half, a["x"].shape)


@halves
@pytest.mark.parametrize("shape", SAMPLES)
def test_groups(shape, half, isa):
    a = arrays(shape, half)
    check_groups(a, half)
    a["x"][0] = rounded(a["x"][0].astype(np.float32) * (3e3 if half == np.float16 else 1e30), half)
    check_groups(a, half)
    expected = fastnorm.group_norm(a["x"], groups=1)
    x = a["x"].copy()
    assert fastnorm.group_norm(x, groups=1, out=x) is x and same_bits(x, expected)


@halves
def test_groups_of_large_arrays(half):
    for shape in [(3, 9000, 64), (300, 200, 48)]:
        check_groups(arrays(shape, half), half)
