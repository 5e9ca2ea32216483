"""BatchNorm with a residual and an activation: the bits of the steps one by one, errors, gradients, refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastnorm
from fastnorm import reference
from support.arrays import DTYPES, LAYOUTS, WRITEABLE_LAYOUTS, draw, same_bits
from support.errors import LIMIT, WIDER
from support.isas import ISAS, using

dtypes = pytest.mark.parametrize("dtype", DTYPES)

OF_X = ("gelu", "gelu_tanh", "silu")
ACTIVATIONS = ("relu", "leaky_relu", "sigmoid", "tanh", *OF_X)

# One row; narrow, folded, with and without a tail; some slices; blocks of columns; pieces of a row; past the cache,
# with rows of whole lines and not.
SHAPES = [(1, 5), (6, 3), (700, 5), (1003, 12), (64, 64), (40, 600), (37, 4099), (3, 9000)]
LARGE = [(70_001, 48), (9001, 333), (2500, 1031), (520, 4160)]


def arrays(shape, dtype, seed=0, kind="normal"):
    rng = np.random.default_rng(seed)
    a = {name: draw(kind, rng, shape, dtype) for name in ("x", "dy", "residual")}
    a |= {name: rng.standard_normal(shape[-1:]).astype(dtype) for name in ("gamma", "beta")}
    return a | {"var": rng.uniform(0.5, 2, shape[-1:]) * np.var(a["x"], axis=0, dtype=np.float64)}


def function(name, suffix=""):
    """An activation beside a norm, or its gradient."""
    if name == "gelu_tanh":
        return lambda *a: getattr(fastnorm, "gelu" + suffix)(*a, approximate="tanh")
    return getattr(fastnorm, name + suffix)


def finished(z, residual, activation):
    z = z if residual is None else z + residual
    return z if activation is None else function(activation)(z)


def z_of(a, mean, rstd, gamma, beta):
    """z as the backward makes it: of a normal range."""
    dtype = a["x"].dtype
    center = mean.astype(dtype)
    factor = rstd if gamma is None else rstd * gamma
    offset = (0 if beta is None else beta) - (mean - center) * factor
    return (a["x"] - center) * factor.astype(dtype) + offset.astype(dtype)


def dz_of(a, z, residual, activation):
    z = z if residual is None else z + residual
    if activation is None:
        return a["dy"]
    kept = z if activation in OF_X else function(activation)(z)
    return function(activation, "_backward")(a["dy"], kept)


def assert_all(got, expected, what=""):
    for g, e in zip(got, expected, strict=True):
        assert (g is None and e is None) or same_bits(g, e), what


def check_forward(a, residual, activation, **options):
    x, gamma, beta = a["x"], a["gamma"], a["beta"]
    more = dict(residual=residual, activation=activation)
    y, mean, rstd = fastnorm.batch_norm(x, gamma, beta, return_stats=True)
    got = fastnorm.batch_norm(x, gamma, beta, return_stats=True, **more, **options)
    assert_all(got, (finished(y, residual, activation), mean, rstd), more.values())
    y = fastnorm.batch_norm_inference(x, mean, a["var"], gamma, beta)
    got = fastnorm.batch_norm_inference(x, mean, a["var"], gamma, beta, **more, **options)
    assert same_bits(got, finished(y, residual, activation)), more.values()


def check_backward(a, residual, activation, gamma=None, beta=None, **options):
    dy, x, var = a["dy"], a["x"], a["var"]
    mean, rstd = np.mean(x, axis=0, dtype=np.float64), 1 / np.sqrt(var + 1e-5)
    dz = dz_of(a, z_of(a, mean, rstd, gamma, beta), residual, activation)
    dresidual = () if residual is None else (dz,)
    more = dict(beta=beta, residual=residual, activation=activation, **options)
    for backward, statistics in (
        (fastnorm.batch_norm_backward, (mean, rstd)),
        (fastnorm.batch_norm_inference_backward, (mean, var)),
    ):
        expected = (*backward(dz, x, *statistics, gamma), *dresidual)
        assert_all(backward(dy, x, *statistics, gamma, **more), expected, (backward, more.values()))


def check(a, activation):
    for residual in (a["residual"], None):
        check_forward(a, residual, activation)
        check_backward(a, residual, activation, a["gamma"], a["beta"])


@dtypes
@pytest.mark.parametrize("activation", [None, *ACTIVATIONS])
def test_bits_of_the_steps(activation, dtype, isa):
    for shape in SHAPES:
        a = arrays(shape, dtype)
        check(a, activation)
        check_backward(a, None, activation)
        check_backward(a, a["residual"], activation, None, a["beta"])


@dtypes
@pytest.mark.parametrize("shape", LARGE)
def test_past_the_cache(shape, dtype):
    a = arrays(shape, dtype)
    check(a, "relu")
    check_forward(a, a["residual"], None)


@dtypes
@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_past_the_cache_from_within_a_line(activation, dtype):
    # of rows of whole lines: they begin at the first line of the result then, and so do their coefficients
    a = arrays((70_001, 48), dtype)
    out = np.empty(a["x"].nbytes + 64, np.uint8)
    out = out[(40 - out.ctypes.data) % 64 :][: a["x"].nbytes].view(dtype).reshape(a["x"].shape)
    mean, rstd = np.mean(a["x"], axis=0, dtype=np.float64), 1 / np.sqrt(a["var"])
    for residual in (None, a["residual"]):
        more = dict(residual=residual, activation=activation)
        expected = fastnorm.batch_norm(a["x"], a["gamma"], a["beta"], **more)
        assert_all([fastnorm.batch_norm(a["x"], a["gamma"], a["beta"], out=out, **more)], [expected])
        more |= {"beta": a["beta"]}
        expected = fastnorm.batch_norm_backward(a["dy"], a["x"], mean, rstd, a["gamma"], **more)
        assert_all(fastnorm.batch_norm_backward(a["dy"], a["x"], mean, rstd, a["gamma"], out=out, **more), expected)


@dtypes
@given(m=st.integers(1, 200), c=st.integers(1, 300), seed=st.integers(0, 99))
def test_bits_of_any_shape(dtype, m, c, seed):
    check(arrays((m, c), dtype, seed), ACTIVATIONS[seed % len(ACTIVATIONS)])


@pytest.mark.parametrize("activation", ["relu", "tanh", "silu", None])
@pytest.mark.parametrize("shape", [(700, 5), (300, 70), (37, 4099)])
def test_columns_that_float32_cannot_hold(activation, shape, isa):
    # in double, one by one, among others; forward the bits of the steps, backward within the bounds
    a = arrays(shape, np.float32)
    scale = np.where(np.arange(shape[1]) % 3 == 1, 1e-35, 1).astype(np.float32)
    a["x"] *= scale
    a["var"] *= scale.astype(np.float64) ** 2
    for residual in (a["residual"], None):
        check_forward(a, residual, activation)
        mean, rstd = np.mean(a["x"], axis=0, dtype=np.float64), 1 / np.sqrt(a["var"])
        more = dict(beta=a["beta"], residual=residual, activation=activation)
        z = ((a["x"].astype(np.float64) - mean) * rstd * a["gamma"] + a["beta"]).astype(np.float32)
        if activation == "relu":
            a["dy"] = np.where(np.abs(z if residual is None else z + residual) < 1e-5, 0, a["dy"]).astype(np.float32)
        dz = dz_of(a, z, residual, activation)
        eps, largest = np.finfo(np.float32).eps, np.abs(a["dy"]).max()
        for backward, statistics, options in (
            (fastnorm.batch_norm_backward, (mean, rstd), {}),
            (fastnorm.batch_norm_inference_backward, (mean, a["var"]), {"eps": 0}),
        ):
            got = backward(a["dy"], a["x"], *statistics, a["gamma"], **more, **options)
            expected = backward(dz, a["x"], *statistics, a["gamma"], **options)
            unit = eps * largest * np.abs(rstd * a["gamma"])
            assert np.all(np.abs(got[0].astype(np.float64) - expected[0]) <= 2 * LIMIT * unit)
            for g, e in zip(got[1:3], expected[1:3], strict=True):
                assert np.abs(g - e).max() <= LIMIT * eps * max(np.abs(e).max(), np.sqrt(shape[0]) * largest)


@dtypes
@pytest.mark.parametrize("activation", [None, *ACTIVATIONS])
@pytest.mark.parametrize("kind", ["normal", "mean_1e3", "sorted", "cauchy"])
def test_error(kind, activation, dtype):
    wide, eps = WIDER[np.dtype(dtype)], np.finfo(dtype).eps
    for shape in [(300, 37), (1030, 5), (12, 5, 24)]:
        a = arrays(shape, dtype, kind=kind)
        a["residual"] = draw("normal", np.random.default_rng(1), shape, dtype)
        x, gamma, beta = a["x"], a["gamma"], a["beta"]
        axes = tuple(range(x.ndim - 1))
        mean, var = np.mean(x, axes, np.float64), np.var(x, axes, np.float64)
        rstd = 1 / np.sqrt(var + 1e-5)
        for residual in (a["residual"], None):
            more = dict(residual=residual, activation=activation)
            y = fastnorm.batch_norm(x, gamma, beta, **more)
            expected = reference.batch_norm(x, gamma, beta, **more, dtype=wide)
            # no larger than the error of z, which an activation hardly makes larger, and its own
            z = reference.batch_norm(x, gamma, beta, residual=residual, dtype=wide)
            assert np.abs(y - expected).max() <= 2 * LIMIT * eps * np.abs(z).max()

            kink = np.abs(z) < 1e-3 if activation in ("relu", "leaky_relu") else False
            dy = np.where(kink, 0, a["dy"]).astype(dtype)
            more |= {"beta": beta}
            for name, statistics in (("batch_norm", (mean, rstd)), ("batch_norm_inference", (mean, var))):
                got = getattr(fastnorm, name + "_backward")(dy, x, *statistics, gamma, **more)
                expected = getattr(reference, name + "_backward")(dy, x, *statistics, gamma, **more, dtype=wide)
                sizes = np.abs(rstd * gamma * dy).max(), np.sqrt((dy * ((x - mean) * rstd)) ** 2).sum(axes).max()
                units = (sizes[0], sizes[1], np.abs(dy).sum(axes).max(), np.abs(dy).max())
                # a derivative takes the error of z times its own slope, which is below 1
                bound = 2 * LIMIT * eps * max(1, np.abs(z).max())
                for g, e, unit in zip(got, expected, units[: len(got)], strict=True):
                    assert np.abs(g - e).max() <= bound * max(unit, np.abs(e).max())


@dtypes
def test_in_place_and_into_any_array(dtype, isa):
    for shape in [(700, 5), (64, 64), (37, 4099)]:
        a = arrays(shape, dtype)
        expected = fastnorm.batch_norm(a["x"], a["gamma"], a["beta"], residual=a["residual"], activation="silu")
        for where in ("x", "residual"):
            b = {name: array.copy() for name, array in a.items()}
            y = fastnorm.batch_norm(
                b["x"], a["gamma"], a["beta"], residual=b["residual"], activation="silu", out=b[where]
            )
            assert y is b[where] and same_bits(y, expected)
        x = a["x"].copy()
        assert same_bits(
            fastnorm.batch_norm(x, residual=x, out=x),
            fastnorm.batch_norm(a["x"], residual=a["x"]),
        )
        mean, rstd = np.mean(a["x"], axis=0, dtype=np.float64), 1 / np.sqrt(a["var"])
        for backward in (fastnorm.batch_norm_backward, fastnorm.batch_norm_inference_backward):
            for residual in (None, "residual"):
                for where in ("x", "dy", "residual"):
                    b = {name: array.copy() for name, array in a.items()}
                    more = dict(beta=a["beta"], activation="tanh")
                    r = residual and a[residual]
                    expected = backward(a["dy"], a["x"], mean, rstd, a["gamma"], residual=r, **more)
                    r = residual and b[residual]
                    got = backward(b["dy"], b["x"], mean, rstd, a["gamma"], residual=r, out=b[where], **more)
                    assert got[0] is b[where]
                    assert_all(got, expected, (backward, residual, where))


@dtypes
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout(layout, dtype):
    a = arrays((33, 50), dtype)
    moved = {name: LAYOUTS[layout](a[name]) for name in ("x", "dy", "residual", "gamma", "beta")}
    for options in (
        {"out": WRITEABLE_LAYOUTS[layout](np.zeros((33, 50), dtype))} if layout in WRITEABLE_LAYOUTS else {},
        {},
    ):
        more = dict(activation="gelu", return_stats=True)
        y, mean, rstd = fastnorm.batch_norm(a["x"], a["gamma"], a["beta"], residual=a["residual"], **more)
        got = fastnorm.batch_norm(
            moved["x"], moved["gamma"], moved["beta"], residual=moved["residual"], **more, **options
        )
        assert_all(got, (y, mean, rstd))
        expected = fastnorm.batch_norm_backward(
            a["dy"], a["x"], mean, rstd, a["gamma"], beta=a["beta"], residual=a["residual"], activation="gelu"
        )
        got = fastnorm.batch_norm_backward(
            moved["dy"],
            moved["x"],
            mean,
            rstd,
            moved["gamma"],
            beta=moved["beta"],
            residual=moved["residual"],
            activation="gelu",
            **options,
        )
        assert_all(got, expected)


@dtypes
def test_channels_first_memory(dtype):
    a = arrays((4, 9, 7, 24), dtype)
    moved = {name: np.moveaxis(np.moveaxis(a[name], -1, 1).copy(), 1, -1) for name in ("x", "dy", "residual")}
    y, mean, rstd = fastnorm.batch_norm(a["x"], residual=a["residual"], activation="relu", return_stats=True)
    out = np.moveaxis(np.empty((4, 24, 9, 7), dtype), 1, -1)
    got = fastnorm.batch_norm(moved["x"], residual=moved["residual"], activation="relu", out=out)
    assert got is out and same_bits(got, y)
    more = dict(activation="relu", residual=a["residual"])
    expected = fastnorm.batch_norm_backward(a["dy"], a["x"], mean, rstd, **more)
    more["residual"] = moved["residual"]
    assert_all(fastnorm.batch_norm_backward(moved["dy"], moved["x"], mean, rstd, **more), expected)


@dtypes
@pytest.mark.parametrize("shape", [(100_003, 12), (2500, 600), (300, 4100), (30_000, 64)])
def test_threads_and_isas_agree(shape, dtype):
    a = arrays(shape, dtype)
    statistics = np.mean(a["x"], axis=0, dtype=np.float64), 1 / np.sqrt(a["var"])

    def everything():
        for residual in (None, a["residual"]):
            more = dict(residual=residual, activation="gelu")
            yield from fastnorm.batch_norm(a["x"], a["gamma"], a["beta"], **more, return_stats=True)
            more["beta"] = a["beta"]
            yield from fastnorm.batch_norm_backward(a["dy"], a["x"], *statistics, a["gamma"], **more)
            yield from fastnorm.batch_norm_inference_backward(a["dy"], a["x"], *statistics, a["gamma"], **more)

    with fastnorm.threads(1):
        expected = list(everything())
    for threads in (2, 3):
        with fastnorm.threads(threads):
            assert_all(everything(), expected)
    for isa in ISAS:
        with using(isa):
            assert_all(everything(), expected)


@dtypes
def test_running_statistics_are_those_of_x(dtype, rng):
    a = arrays((50, 7), dtype)
    with_more, without = ([np.zeros(7), np.ones(7)] for _ in range(2))
    fastnorm.batch_norm(
        a["x"], residual=a["residual"], activation="relu", running_mean=with_more[0], running_var=with_more[1]
    )
    fastnorm.batch_norm(a["x"], running_mean=without[0], running_var=without[1])
    assert_all(with_more, without)


@dtypes
def test_not_a_number_stays_in_its_channel(dtype, isa):
    a = arrays((40, 5), dtype)
    expected = fastnorm.batch_norm(a["x"], residual=a["residual"], activation="relu")
    a["x"][3, 2] = np.nan
    y = fastnorm.batch_norm(a["x"], residual=a["residual"], activation="relu")
    assert np.isnan(y[:, 2]).all()
    assert same_bits(np.delete(y, 2, 1), np.delete(expected, 2, 1))


@dtypes
def test_central_differences(dtype):
    if dtype != np.float64:
        return
    a = arrays((9, 4), dtype)
    x, gamma, beta, residual, weights = (a[name] for name in ("x", "gamma", "beta", "residual", "dy"))
    for activation in ("sigmoid", "tanh", "gelu", "gelu_tanh", "silu"):

        def value(x, gamma, beta, residual, activation=activation):
            return (weights * fastnorm.batch_norm(x, gamma, beta, residual=residual, activation=activation)).sum()

        _, mean, rstd = fastnorm.batch_norm(x, return_stats=True)
        got = fastnorm.batch_norm_backward(
            weights, x, mean, rstd, gamma, beta=beta, residual=residual, activation=activation
        )
        for i, gradient in zip((0, 1, 2, 3), got, strict=True):
            for place in np.ndindex(gradient.shape):
                ends = []
                for step in (1e-6, -1e-6):
                    point = [x.copy(), gamma.copy(), beta.copy(), residual.copy()]
                    point[i][place] += step
                    ends.append(value(*point))
                assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(gradient[place], rel=1e-5, abs=1e-7)


@dtypes
def test_empty_arrays(dtype):
    for shape in [(0, 3), (4, 0), (0, 0)]:
        x = np.zeros(shape, dtype)
        mean, rstd = np.zeros(shape[1:]), np.ones(shape[1:])
        assert fastnorm.batch_norm(x, residual=x, activation="gelu").shape == shape
        for backward in (fastnorm.batch_norm_backward, fastnorm.batch_norm_inference_backward):
            dx, dgamma, dbeta, dresidual = backward(x, x, mean, rstd, mean, residual=x, activation="gelu")
            assert dx.shape == dresidual.shape == shape and not dgamma.any() and not dbeta.any()


def test_refusals_change_nothing():
    x, mean, var = np.ones((3, 2)), np.zeros(2), np.ones(2)
    running = np.zeros(2), np.ones(2)
    calls = [
        lambda **more: fastnorm.batch_norm(x, running_mean=running[0], running_var=running[1], **more),
        lambda **more: fastnorm.batch_norm_inference(x, mean, var, **more),
        lambda **more: fastnorm.batch_norm_backward(x, x, mean, var, **more),
        lambda **more: fastnorm.batch_norm_inference_backward(x, x, mean, var, **more),
    ]
    for call in calls:
        out = np.full((3, 2), 7.0)
        with pytest.raises(ValueError, match=r"activation is 'elu', expected None or one of relu"):
            call(activation="elu", out=out)
        with pytest.raises(TypeError, match=r"activation is 3 of type int"):
            call(activation=3, out=out)
        with pytest.raises(ValueError, match=r"residual has shape \(3,\), expected \(3, 2\) = x.shape"):
            call(residual=np.ones(3), out=out)
        with pytest.raises(TypeError, match=r"residual has dtype complex128"):
            call(residual=np.ones((3, 2), complex), out=out)
        assert (out == 7).all()
    assert running[0].tolist() == [0, 0] and running[1].tolist() == [1, 1]
    for backward in calls[2:]:
        with pytest.raises(ValueError, match=r"beta has shape \(3,\), expected \(2,\)"):
            backward(beta=np.ones(3))
