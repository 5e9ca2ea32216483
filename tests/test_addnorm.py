"""Residual and normalization: the bits of the steps one after the other, the gradients, refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastnorm
from fastnorm import reference
from support.isas import ISAS, using

DTYPES = (np.float32, np.float64)
KEY = (3, 2**63)
KINDS = ("layer", "rms")


def draw(shape, dtype, seed=0, axis=-1):
    rng = np.random.default_rng(seed)
    arrays = {name: rng.standard_normal(shape).astype(dtype) for name in ("x", "residual", "dy", "dsum")}
    return arrays | {name: rng.standard_normal(shape[axis:]).astype(dtype) for name in ("gamma", "beta")}


def parameters(kind, a):
    return (a["gamma"], a["beta"]) if kind == "layer" else (a["gamma"],)


def forward(kind, a, **options):
    function = getattr(fastnorm, f"add_{kind}_norm")
    return function(a["x"], a["residual"], *parameters(kind, a), return_stats=True, **options)


def forward_in_steps(kind, a, *, p=0.0, key=None, **options):
    total = fastnorm.dropout(a["x"], p, key or (0, 0)) + a["residual"]
    y, *statistics = getattr(fastnorm, f"{kind}_norm")(total, *parameters(kind, a), return_stats=True, **options)
    return y, total, *statistics


def backward(kind, a, total, statistics, **options):
    function = getattr(fastnorm, f"add_{kind}_norm_backward")
    return function(a["dy"], a["dsum"], total, *statistics, a["gamma"], **options)


def backward_in_steps(kind, a, total, statistics, *, p=0.0, key=None, **options):
    function = getattr(fastnorm, f"{kind}_norm_backward")
    through, *gradients = function(a["dy"], total, *statistics, a["gamma"], **options)
    dresidual = through if a["dsum"] is None else through + a["dsum"]
    return fastnorm.dropout_backward(dresidual, p, key or (0, 0)), dresidual, *gradients


def assert_same_bits(got, expected):
    for g, e in zip(got, expected, strict=True):
        assert g.dtype == e.dtype and g.shape == e.shape
        assert g.tobytes() == e.tobytes()


def check(kind, a, **options):
    got = forward(kind, a, **options)
    assert_same_bits(got, forward_in_steps(kind, a, **options))
    _, total, *statistics = got
    options.pop("eps", None)
    for dsum in (a["dsum"], None):
        b = a | {"dsum": dsum}
        assert_same_bits(
            backward(kind, b, total, statistics, **options), backward_in_steps(kind, b, total, statistics, **options)
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@given(m=st.integers(0, 70), n=st.integers(0, 300), p=st.sampled_from([0.0, 0.3]), seed=st.integers(0, 99))
def test_bits_of_the_steps(kind, dtype, m, n, p, seed):
    check(kind, draw((m, n), dtype, seed), p=p, key=KEY)


# rows in one register, of less than a tile, of more than one; more rows than a slab; past the cache
SHAPES = [(1, 1), (5000, 3), (300, 257), (33, 5000), (3, 70_001), (2, 300_000), (2500, 1031)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("p", [0.0, 0.1])
def test_bits_on_every_isa_and_number_of_threads(kind, dtype, shape, p):
    a = draw(shape, dtype)
    for isa in ISAS:
        for threads in (1, 3) if isa == ISAS[-1] else (2,):
            with using(isa), fastnorm.threads(threads):
                check(kind, a, p=p, key=KEY)


@pytest.mark.parametrize("kind", KINDS)
def test_axis_options_layouts_and_dtypes(kind):
    a = draw((4, 5, 6), np.float64, axis=1)
    check(kind, a, axis=1, eps=0.1, **({"offset": 1.0} if kind == "rms" else {}))
    expected = forward(kind, a, axis=1)
    changed = a | {"x": np.asfortranarray(a["x"]), "residual": a["residual"].astype(">f8")}
    assert_same_bits(forward(kind, changed, axis=1), expected)
    ints = {name: np.arange(6).reshape(2, 3) for name in ("x", "residual")} | {"gamma": [1, 2, 3], "beta": [1, 1, 1]}
    assert forward(kind, ints)[0].dtype == np.float64


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("p", [0.0, 0.4])
def test_reference(kind, p):
    a = draw((7, 9), np.float64)
    function = getattr(reference, f"add_{kind}_norm")
    options = {"p": p, "key": KEY, "return_stats": True}
    expected = function(a["x"], a["residual"], *parameters(kind, a), **options, dtype=np.longdouble)
    got = forward(kind, a, p=p, key=KEY)
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_allclose(g, e.astype(float), rtol=1e-13, atol=1e-14)
    _, total, *statistics = got
    function = getattr(reference, f"add_{kind}_norm_backward")
    expected = function(a["dy"], a["dsum"], total, *statistics, a["gamma"], p=p, key=KEY)
    for g, e in zip(backward(kind, a, total, statistics, p=p, key=KEY), expected, strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["x", "residual", "gamma"])
def test_gradient_is_the_difference(kind, name):
    a = draw((3, 5), np.float64)

    def loss(value):
        y, total, *_ = forward(kind, a | {name: value}, p=0.3, key=KEY)
        return np.sum(y * a["dy"]) + np.sum(total * a["dsum"])

    _, total, *statistics = forward(kind, a, p=0.3, key=KEY)
    gradients = backward(kind, a, total, statistics, p=0.3, key=KEY)
    analytic = dict(zip(("x", "residual", "gamma"), gradients, strict=False))[name]
    numeric = np.empty_like(a[name])
    for at in np.ndindex(numeric.shape):
        step = np.zeros_like(a[name])
        step[at] = 1e-6
        numeric[at] = (loss(a[name] + step) - loss(a[name] - step)) / 2e-6
    np.testing.assert_allclose(analytic, numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_dropped_elements_of_any_value_leave_the_residual(kind):
    x = np.full((2, 300), np.nan)
    residual = np.arange(600.0).reshape(2, 300)
    kept = fastnorm.dropout(np.ones_like(x), 0.5, KEY) != 0
    _, total = getattr(fastnorm, f"add_{kind}_norm")(x, residual, p=0.5, key=KEY)
    assert np.array_equal(np.isnan(total), kept)
    assert np.array_equal(total[~kept], residual[~kept])


@pytest.mark.parametrize("kind", KINDS)
def test_a_generator_gives_the_key(kind):
    a = draw((4, 6), np.float64)
    key = fastnorm.dropout_key(np.random.default_rng(5))
    assert_same_bits(
        forward(kind, a, p=0.5, key=np.random.default_rng(5)),
        forward(kind, a, p=0.5, key=key),
    )
    rng = np.random.default_rng(5)
    with pytest.raises(ValueError, match="eps"):
        forward(kind, a, p=0.5, key=rng, eps=-1)
    assert rng.random() == np.random.default_rng(5).random(), "a call that is refused draws nothing"
    _, total, *statistics = forward(kind, a, p=0.5, key=key)
    with pytest.raises(TypeError, match="key"):
        backward(kind, a, total, statistics, p=0.5, key=np.random.default_rng(5))


@pytest.mark.parametrize("kind", KINDS)
def test_refusals(kind):
    a = draw((4, 6), np.float64)
    for name, wrong, error in (
        ("x", np.ones((4, 6), complex), TypeError),
        ("x", np.float64(1), ValueError),
        ("residual", np.ones((6, 4)), ValueError),
        ("residual", None, TypeError),
        ("gamma", np.ones(4), ValueError),
    ):
        with pytest.raises(error, match=name):
            forward(kind, a | {name: wrong})
    for options, error in (
        ({"p": 1}, ValueError),
        ({"p": 0.5}, ValueError),
        ({"p": 0.5, "key": (1,)}, ValueError),
        ({"key": "ab"}, TypeError),
        ({"eps": -1}, ValueError),
        ({"axis": 2}, np.exceptions.AxisError),
    ):
        with pytest.raises(error):
            forward(kind, a, **options)
    _, total, *statistics = forward(kind, a)
    for name, wrong in (("dy", np.ones(6)), ("dsum", np.ones((6, 4))), ("gamma", np.ones(3))):
        with pytest.raises(ValueError, match=name):
            backward(kind, a | {name: wrong}, total, statistics)
    with pytest.raises(ValueError, match="rstd"):
        backward(kind, a, total, [*statistics[:-1], np.ones(3)])
