"""Half precision in the normalizations of rows: the float32 results of the same numbers, rounded once."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastnorm
from fastnorm import reference
from support.arrays import LAYOUTS, WRITEABLE_LAYOUTS, same_bits
from support.errors import LIMIT
from support.isas import ISAS, using

halves = pytest.mark.parametrize("half", (np.float16, ml_dtypes.bfloat16), ids=["float16", "bfloat16"])

# Rows of part of a register, of several, of a strip, more, and huge; few rows and many; more than a slab.
SHAPES = [(1, 5), (7, 1), (100, 37), (300, 64), (17, 257), (700, 300), (40, 1031), (9, 20_001)]
LARGE = [(100_001, 20), (4100, 768), (300, 12_000), (3, 700_001)]

FORWARD = {
    "layer_norm": ("x", "gamma", "beta"),
    "rms_norm": ("x", "gamma"),
    "add_layer_norm": ("x", "residual", "gamma", "beta"),
    "add_rms_norm": ("x", "residual", "gamma"),
}
DROPPED = {"p": 0.25, "key": (1, 2)}
OPTIONS = {
    "layer_norm": ({}, {"activation": "silu"}, {"activation": "relu", "where": True}),
    "rms_norm": ({}, {"offset": 1.0}),
    "add_layer_norm": ({}, DROPPED),
    "add_rms_norm": ({}, DROPPED),
}
CALLS = [(name, options) for name, all_options in OPTIONS.items() for options in all_options]
calls = pytest.mark.parametrize("name, options", CALLS, ids=[f"{name}-{'-'.join(options)}" for name, options in CALLS])


def arrays(shape, half, seed=0):
    rng = np.random.default_rng(seed)
    a = {name: rng.standard_normal(shape).astype(half) for name in ("x", "residual", "dy", "dsum")}
    return a | {name: rng.standard_normal(shape[-1:]).astype(np.float32) for name in ("gamma", "beta")}


def masked(options, shape):
    """Options for an array: which rows are taken goes with its shape."""
    where = np.random.default_rng(3).random(shape[0]) < 0.7
    return options | ({"where": where} if "where" in options else {})


def forward(name, a, options, library=fastnorm):
    return getattr(library, name)(*(a[key] for key in FORWARD[name]), return_stats=True, **options)


def backward(name, a, results, options, library=fastnorm):
    """Of what `forward` gave, by float32: sum and statistics."""
    options = options | ({"beta": a["beta"]} if "activation" in options else {})
    if name.startswith("add"):
        _, total, *statistics = results
        total = total.astype(a["x"].dtype)
        function = getattr(library, name + "_backward")
        return function(a["dy"], a["dsum"], total, *statistics, a["gamma"], **options)
    return getattr(library, name + "_backward")(a["dy"], a["x"], *results[1:], a["gamma"], **options)


def widened(a):
    return {key: array.astype(np.float32) for key, array in a.items()}


def rounded(results, half, stored):
    """The first `stored` of these results are of half precision."""
    with np.errstate(over="ignore"):
        return [r.astype(half) if i < stored else r for i, r in enumerate(results)]


def assert_all(got, expected, what=""):
    for i, (g, e) in enumerate(zip(got, expected, strict=True)):
        assert g.dtype == e.dtype, (what, i)
        assert same_bits(g, e), (what, i)


def check(name, a, options):
    half = a["x"].dtype
    options = masked(options, a["x"].shape)
    stored = 2 if name.startswith("add") else 1
    got = forward(name, a, options)
    assert_all(got, rounded(forward(name, widened(a), options), half, stored), (name, options))
    expected = list(got)
    if stored == 2:
        expected[1] = expected[1].astype(np.float32)
    expected = backward(name, widened(a), expected, options)
    assert_all(backward(name, a, got, options), rounded(expected, half, stored), (name, options, "backward"))


@halves
@calls
def test_float32_rounded_once(name, options, half, isa):
    for shape in SHAPES:
        check(name, arrays(shape, half), options)


@halves
@calls
@pytest.mark.parametrize("shape", LARGE, ids=str)
def test_past_the_cache(name, options, half, shape):
    check(name, arrays(shape, half), options)


@halves
@calls
@given(m=st.integers(0, 60), n=st.integers(0, 90), seed=st.integers(0, 99))
def test_of_any_shape_and_any_bits(name, options, half, m, n, seed):
    a = arrays((m, n), half, seed)
    rng = np.random.default_rng(seed)
    any_bits = rng.integers(2**16, size=(m, n), dtype=np.uint16).view(half)
    a["x"] = np.where(rng.random((m, n)) < 0.01, any_bits, a["x"])
    with np.errstate(all="ignore"):
        check(name, a, options)


@halves
@calls
@pytest.mark.parametrize("shape", [(100_001, 20), (4100, 768), (150, 9000)])
def test_threads_and_isas_agree(name, options, half, shape):
    a, options = arrays(shape, half), masked(options, shape)

    def everything():
        results = forward(name, a, options)
        return [*results, *backward(name, a, results, options)]

    with fastnorm.threads(1):
        expected = everything()
    with fastnorm.threads(3):
        assert_all(everything(), expected)
    for isa in ISAS:
        with using(isa):
            assert_all(everything(), expected)


@halves
@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_in_place_and_any_layout(name, half):
    a = arrays((33, 50), half)
    results = forward(name, a, {})
    gradients = backward(name, a, results, {})
    for out in ("x", "dy"):
        b = {key: array.copy() for key, array in a.items()}
        if out == "x":
            assert same_bits(forward(name, b, {"out": b["x"]})[0], results[0])
        b = {key: array.copy() for key, array in a.items()}
        assert_all(backward(name, b, results, {"out": b[out]}), gradients)
    for layout, of in LAYOUTS.items():
        if half != np.float16 and layout in ("big_endian", "little_endian", "big_endian_strided", "memory_mapped"):
            continue  # which NumPy does not have for a dtype of others
        b = {key: of(array) for key, array in a.items()}
        assert same_bits(forward(name, b, {})[0], results[0]), layout
        assert_all(backward(name, b, results, {}), gradients, layout)
    for layout, of in WRITEABLE_LAYOUTS.items():
        out = of(np.zeros((33, 50), half))
        assert forward(name, a, {"out": out})[0] is out and same_bits(out, results[0]), layout


@pytest.mark.parametrize("name", FORWARD)
def test_sums_of_large_float16_do_not_overflow(name):
    rng = np.random.default_rng(0)
    x = rng.choice([-60_000, 60_000], (20, 5000)).astype(np.float16)
    a = arrays(x.shape, np.float16) | {"x": x}
    results = forward(name, a, {})
    assert np.isfinite(results[0]).all()
    assert all(np.isfinite(g).all() for g in backward(name, a, results, {}))


@halves
@calls
def test_error_against_the_reference_in_double(name, options, half):
    a, options = arrays((50, 300), half), masked(options, (50, 300))
    wide = {key: array.astype(np.float64) for key, array in a.items()}
    eps = float(ml_dtypes.finfo(half).eps)
    results = forward(name, a, options)
    true = forward(name, wide, options, reference)
    stored = 2 if name.startswith("add") else 1
    for i, (g, t) in enumerate(zip(results, true, strict=True)):
        # one rounding, and what float32 adds to it
        bound = (0.51 * eps if i < stored else LIMIT * np.finfo(np.float32).eps) * max(1, np.abs(t).max())
        assert np.abs(g.astype(np.float64) - t).max() <= bound
    gradients = backward(name, a, results, options)
    results = [r.astype(np.float64) for r in results]
    for i, (g, t) in enumerate(zip(gradients, backward(name, wide, results, options, reference), strict=True)):
        bound = 0.51 * eps if i < stored else 10 * LIMIT * np.finfo(np.float32).eps
        assert np.abs(g.astype(np.float64) - t).max() <= bound * np.abs(t).max()


@halves
@calls
def test_the_reference_gives_the_same_dtypes(name, options, half):
    a, options = arrays((6, 5), half), masked(options, (6, 5))
    results, expected = forward(name, a, options), forward(name, a, options, reference)
    gradients, true = backward(name, a, results, options), backward(name, a, results, options, reference)
    for g, t in zip((*results, *gradients), (*expected, *true), strict=True):
        assert g.dtype == t.dtype
        np.testing.assert_allclose(
            g.astype(float), t.astype(float), rtol=2 * float(ml_dtypes.finfo(half).eps), atol=1e-2
        )


@halves
def test_out_of_another_dtype_is_refused(half):
    x = np.ones((2, 3), half)
    for out in (np.ones((2, 3), np.float32), np.ones((2, 3), np.float16 if half != np.float16 else ml_dtypes.bfloat16)):
        with pytest.raises(TypeError, match="out has dtype"):
            fastnorm.layer_norm(x, out=out)
        with pytest.raises(TypeError, match="out has dtype"):
            fastnorm.rms_norm(x, out=out)
