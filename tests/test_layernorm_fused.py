"""LayerNorm with an activation and with rows left out: the bits of the steps, gradients, errors, refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastnorm
from fastnorm import reference
from support.arrays import DTYPES, LAYOUTS, draw, hostile, same_bits
from support.errors import LIMIT
from support.isas import ISAS, using

dtypes = pytest.mark.parametrize("dtype", DTYPES)

OF_X = ("gelu", "gelu_tanh", "silu")
ACTIVATIONS = ("relu", "leaky_relu", "sigmoid", "tanh", *OF_X)

# Rows of part of a register, of several, of a quad, a strip, more, and huge; few rows and many; more than a slab.
SHAPES = [(1, 5), (7, 1), (100, 37), (300, 64), (17, 257), (700, 300), (40, 1031), (5, 9000), (9, 20_001)]
LARGE = [(90_001, 20), (4100, 768), (2500, 1031), (300, 12_000), (3, 700_001)]


def arrays(shape, dtype, seed=0, axis=-1):
    rng = np.random.default_rng(seed)
    a = {name: rng.standard_normal(shape).astype(dtype) for name in ("x", "dy")}
    return a | {name: rng.standard_normal(shape[axis:]).astype(dtype) for name in ("gamma", "beta")}


def mask(shape, kind, seed=0):
    """Which rows are taken: padded sequences, as batches have them, and worse."""
    rng = np.random.default_rng(seed)
    if kind == "padded":
        lengths = rng.integers(0, 40, (shape[0] + 39) // 40)
        return (np.arange(40) < lengths[:, None]).ravel()[: shape[0]]
    if kind == "random":
        return rng.random(shape[0]) < 0.6
    return np.full(shape[0], kind == "all")


def function(name, suffix=""):
    """An activation beside a norm, or its gradient."""
    if name == "gelu_tanh":
        return lambda *a: getattr(fastnorm, "gelu" + suffix)(*a, approximate="tanh")
    return getattr(fastnorm, name + suffix)


def dz_of(dy, z, activation):
    kept = z if activation in OF_X else function(activation)(z)
    return function(activation, "_backward")(dy, kept)


def z_of(x, mean, rstd, gamma, beta):
    """What the activation was given, from statistics as they are returned."""
    center = mean.astype(x.dtype)[:, None]
    rest = (mean[:, None] - center).astype(x.dtype)
    z = (x - center - rest) * rstd.astype(x.dtype)[:, None]
    z = z if gamma is None else z * gamma
    return z if beta is None else z + beta


def assert_all(got, expected, what=""):
    for g, e in zip(got, expected, strict=True):
        assert (g is None and e is None) or same_bits(g, e), what


def check_activation(a, activation, gamma, beta):
    x, dy = a["x"], a["dy"]
    z, mean, rstd = fastnorm.layer_norm(x, gamma, beta, return_stats=True)
    got = fastnorm.layer_norm(x, gamma, beta, activation=activation, return_stats=True)
    assert_all(got, (function(activation)(z), mean, rstd), activation)
    again = z_of(x, mean, rstd, gamma, beta)
    assert x.dtype == np.float64 or same_bits(again, z)
    expected = fastnorm.layer_norm_backward(dz_of(dy, again, activation), x, mean, rstd, gamma)
    got = fastnorm.layer_norm_backward(dy, x, mean, rstd, gamma, beta=beta, activation=activation)
    assert_all(got, expected, activation)


def check_where(a, where, **options):
    """Options of both directions are given."""
    x, dy, gamma, beta = (a[name] for name in ("x", "dy", "gamma", "beta"))
    y, mean, rstd = fastnorm.layer_norm(x, gamma, beta, where=where, return_stats=True, **options)
    assert_all(
        (y[where], mean[where], rstd[where]),
        fastnorm.layer_norm(x[where], gamma, beta, return_stats=True, **options),
    )
    assert not np.any(y[~where]) and not np.any(mean[~where]) and np.all(rstd[~where] == 1 / np.sqrt(1e-5))
    mean[~where] = rstd[~where] = np.nan
    options |= {"beta": beta} if options else {}
    dx, *sums = fastnorm.layer_norm_backward(dy, x, mean, rstd, gamma, where=where, **options)
    of_taken = fastnorm.layer_norm_backward(dy[where], x[where], mean[where], rstd[where], gamma, **options)
    assert_all((dx[where], *sums), of_taken)
    assert not np.any(dx[~where])


@dtypes
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation_has_the_bits_of_the_steps(activation, dtype, isa):
    for shape in SHAPES:
        a = arrays(shape, dtype)
        check_activation(a, activation, a["gamma"], a["beta"])
        check_activation(a, activation, None, a["beta"])
    check_activation(a, activation, a["gamma"], None)


@dtypes
@pytest.mark.parametrize("activation", ["relu", "silu"])
@pytest.mark.parametrize("shape", LARGE, ids=str)
def test_activation_past_the_cache(shape, activation, dtype):
    a = arrays(shape, dtype)
    check_activation(a, activation, a["gamma"], a["beta"])


@dtypes
@pytest.mark.parametrize("n", [5, 64, 300, 5000])
def test_relu_of_nan_and_of_both_zeros(n, dtype, isa):
    a = arrays((20, n), dtype)
    a["x"][3, n // 2] = np.nan
    a["x"][5] = 0
    a["gamma"][:2] = 0, -0.0
    a["beta"][:3] = 0, -0.0, np.nan
    for parameters in ((a["gamma"], a["beta"]), (a["gamma"], None), (None, a["beta"]), (None, None)):
        y = fastnorm.layer_norm(a["x"], *parameters)
        assert same_bits(fastnorm.layer_norm(a["x"], *parameters, activation="relu"), fastnorm.relu(y))


@pytest.mark.parametrize("activation", ["relu", "silu"])
@pytest.mark.parametrize("scale", [1e-35, 1e30])
@pytest.mark.parametrize("n", [5, 300, 5000])
def test_activation_of_rows_that_float32_cannot_hold(n, scale, activation, isa):
    a = arrays((9, n), np.float32)
    a["x"][::2] *= np.float32(scale)
    x, gamma, beta = a["x"], a["gamma"], a["beta"]
    z, mean, rstd = fastnorm.layer_norm(x, gamma, beta, eps=0, return_stats=True)
    y = fastnorm.layer_norm(x, gamma, beta, eps=0, activation=activation)
    assert same_bits(y, function(activation)(z))
    got = fastnorm.layer_norm_backward(a["dy"], x, mean, rstd, gamma, beta=beta, activation=activation)
    assert_all(got, fastnorm.layer_norm_backward(dz_of(a["dy"], z, activation), x, mean, rstd, gamma))


@dtypes
@pytest.mark.parametrize("kind", ["padded", "random", "all", "none"])
def test_where_has_the_bits_of_the_rows_taken(kind, dtype, isa):
    for shape in SHAPES:
        a = arrays(shape, dtype)
        where = mask(shape, kind)
        a["x"][~where] = np.nan
        a["dy"][~where] = np.inf
        check_where(a, where)
        check_where(a, where, activation="silu")


@dtypes
@pytest.mark.parametrize("kind", ["padded", "random"])
@pytest.mark.parametrize("shape", LARGE, ids=str)
def test_where_past_the_cache(shape, kind, dtype):
    for options in ({}, {"activation": "relu"}):
        check_where(arrays(shape, dtype), mask(shape, kind), **options)


@dtypes
@given(m=st.integers(0, 150), n=st.integers(0, 80), taken=st.floats(0, 1), seed=st.integers(0, 99))
def test_where_of_any_shape(dtype, m, n, taken, seed):
    rng = np.random.default_rng(seed)
    a = arrays((m, n), dtype, seed)
    if m * n:
        a["x"] = hostile(rng, (m, n), dtype)
    with np.errstate(all="ignore"):
        check_where(a, rng.random(m) < taken, **({"activation": ACTIVATIONS[seed % 7]} if seed % 2 else {}))


@dtypes
def test_axis_layouts_and_lists(dtype):
    a = arrays((6, 5, 4, 3), dtype, axis=2)
    where = mask((30,), "random").reshape(6, 5)
    options = {"axis": 2, "activation": "gelu", "where": where}
    y, mean, rstd = fastnorm.layer_norm(a["x"], a["gamma"], a["beta"], return_stats=True, **options)
    flat = fastnorm.layer_norm(
        a["x"].reshape(30, 12), a["gamma"].ravel(), a["beta"].ravel(), activation="gelu", where=where.ravel()
    )
    assert same_bits(y.reshape(30, 12), flat)
    gradients = fastnorm.layer_norm_backward(a["dy"], a["x"], mean, rstd, a["gamma"], beta=a["beta"], **options)
    for layout in LAYOUTS.values():
        b = {name: layout(array) for name, array in a.items()}
        options["where"] = where.tolist() if layout is LAYOUTS["big_endian"] else layout(where)
        assert same_bits(fastnorm.layer_norm(b["x"], b["gamma"], b["beta"], **options), y)
        got = fastnorm.layer_norm_backward(b["dy"], b["x"], mean, rstd, b["gamma"], beta=b["beta"], **options)
        assert_all(got, gradients)


@dtypes
@pytest.mark.parametrize("shape", [(100, 37), (40, 1031), (4100, 768)])
@pytest.mark.parametrize("kind", ["random", "all"])
def test_in_place_and_over_other_arguments(shape, kind, dtype):
    a = arrays(shape, dtype)
    options = {"activation": "tanh", "where": mask(shape, kind)}
    y, mean, rstd = fastnorm.layer_norm(a["x"], a["gamma"], a["beta"], return_stats=True, **options)
    x = a["x"].copy()
    assert fastnorm.layer_norm(x, a["gamma"], a["beta"], out=x, **options) is x and same_bits(x, y)
    expected = fastnorm.layer_norm_backward(a["dy"], a["x"], mean, rstd, a["gamma"], beta=a["beta"], **options)
    for name in ("x", "dy"):
        b = {key: array.copy() for key, array in a.items()}
        got = fastnorm.layer_norm_backward(
            b["dy"], b["x"], mean, rstd, a["gamma"], beta=a["beta"], out=b[name], **options
        )
        assert got[0] is b[name]
        assert_all(got, expected)
    # out holds beta, or where
    out = np.zeros(shape, dtype)
    out[-1] = a["beta"]
    got = fastnorm.layer_norm_backward(a["dy"], a["x"], mean, rstd, a["gamma"], beta=out[-1], out=out, **options)
    assert_all(got, expected)
    room = np.zeros(shape[0] * shape[1] * np.dtype(dtype).itemsize, np.uint8)
    room[: shape[0]] = options["where"]
    out, options["where"] = room.view(dtype).reshape(shape), room[: shape[0]].view(bool)
    got = fastnorm.layer_norm_backward(a["dy"], a["x"], mean, rstd, a["gamma"], beta=a["beta"], out=out, **options)
    assert got[0] is out
    assert_all(got, expected)


@dtypes
@pytest.mark.parametrize("shape", [(40_000, 33), (2000, 769), (150, 9000)])
def test_threads_and_isas_agree(shape, dtype):
    a = arrays(shape, dtype)
    options = {"activation": "gelu", "where": mask(shape, "random")}

    def everything():
        forward = fastnorm.layer_norm(a["x"], a["gamma"], a["beta"], return_stats=True, **options)
        yield from forward
        yield from fastnorm.layer_norm_backward(a["dy"], a["x"], *forward[1:], a["gamma"], beta=a["beta"], **options)

    with fastnorm.threads(1):
        expected = list(everything())
    for threads in (2, 3, 40):
        with fastnorm.threads(threads):
            assert_all(everything(), expected)
    for isa in ISAS:
        with using(isa):
            assert_all(everything(), expected)


@dtypes
@pytest.mark.parametrize("activation", [None, *ACTIVATIONS])
@pytest.mark.parametrize("distribution", ["normal", "mean_1e3", "sorted", "cauchy"])
def test_error(distribution, activation, dtype, rng):
    wide = np.longdouble if dtype == np.float64 else np.float64
    eps = np.finfo(dtype).eps
    for shape in [(30, 300), (600, 24)]:
        a = arrays(shape, dtype)
        x, gamma, beta = draw(distribution, rng, shape, dtype), a["gamma"], a["beta"]
        options = {"activation": activation, "where": mask(shape, "random")}
        y = fastnorm.layer_norm(x, gamma, beta, **options)
        z, mean, rstd = reference.layer_norm(x, gamma, beta, return_stats=True, dtype=wide)
        # no larger than the error of z, which an activation hardly makes larger, and its own
        true = reference.layer_norm(x, gamma, beta, **options, dtype=wide)
        assert np.abs(y - true).max() <= 2 * LIMIT * eps * np.abs(z).max()

        mean, rstd = mean.astype(np.float64), rstd.astype(np.float64)
        dy = np.where(np.abs(z) < 1e-3, 0, a["dy"]).astype(dtype)  # not where a ReLU has its kink
        got = fastnorm.layer_norm_backward(dy, x, mean, rstd, gamma, beta=beta, **options)
        true = reference.layer_norm_backward(dy, x, mean, rstd, gamma, beta=beta, **options, dtype=wide)
        taken = options["where"][:, None]
        scale = np.abs(np.where(taken, rstd[:, None] * gamma * dy, 0)).max()
        xhat = np.where(taken, (x - mean[:, None]) * rstd[:, None], 0)
        sizes = scale, np.sqrt(np.sum((dy * xhat) ** 2, axis=0)).max(), np.sqrt(np.sum(dy**2.0, axis=0)).max()
        # a derivative takes the error of z times its own slope, which is about 1 at most
        for g, t, size in zip(got, true, sizes, strict=True):
            assert np.abs(g - t).max() <= 2 * LIMIT * eps * max(1, np.abs(z).max()) * max(size, np.abs(t).max())


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", ["x", "gamma", "beta"])
def test_gradient_is_the_difference(name, activation):
    a = arrays((4, 5), np.float64)
    where = np.array([True, False, True, True])

    def loss(value):
        b = a | {name: value}
        y = fastnorm.layer_norm(b["x"], b["gamma"], b["beta"], activation=activation, where=where)
        return np.sum(y * a["dy"])

    _, mean, rstd = fastnorm.layer_norm(a["x"], return_stats=True)
    gradients = fastnorm.layer_norm_backward(
        a["dy"], a["x"], mean, rstd, a["gamma"], beta=a["beta"], activation=activation, where=where
    )
    analytic = dict(zip(("x", "gamma", "beta"), gradients, strict=True))[name]
    numeric = np.empty_like(a[name])
    for at in np.ndindex(numeric.shape):
        step = np.zeros_like(a[name])
        step[at] = 1e-6
        numeric[at] = (loss(a[name] + step) - loss(a[name] - step)) / 2e-6
    np.testing.assert_allclose(analytic, numeric, rtol=1e-6, atol=1e-8)


def test_refusals():
    a = arrays((4, 6), np.float64)
    out = np.full((4, 6), 7.0)
    statistics = np.zeros(4), np.ones(4)
    for options, error, match in (
        ({"activation": "swish"}, ValueError, "activation is 'swish', expected None or one of relu, .*silu"),
        ({"activation": 3}, TypeError, "activation is 3 of type int"),
        ({"where": np.ones(4)}, TypeError, "where has dtype float64, expected booleans"),
        ({"where": np.ones(6, bool)}, ValueError, r"where has shape \(6,\), expected \(4,\) = x.shape\[:-1\]"),
        ({"where": True}, ValueError, r"where has shape \(\)"),
    ):
        with pytest.raises(error, match=match):
            fastnorm.layer_norm(a["x"], out=out, **options)
        with pytest.raises(error, match=match):
            fastnorm.layer_norm_backward(a["dy"], a["x"], *statistics, out=out, **options)
    with pytest.raises(ValueError, match=r"beta has shape \(4,\), expected \(6,\)"):
        fastnorm.layer_norm_backward(a["dy"], a["x"], *statistics, beta=np.ones(4), out=out)
    assert np.all(out == 7)
