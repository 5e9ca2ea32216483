"""GroupNorm and InstanceNorm: the promises, asked on (m, ..., c) with groups, and what is particular to them."""

import numpy as np
import pytest

import fastnorm
from fastnorm import reference
from support.arrays import (
    DISTRIBUTIONS,
    DTYPES,
    LAYOUTS,
    WRITEABLE_LAYOUTS,
    X_ONLY,
    assert_same_bits,
    draw,
    hostile,
    same_bits,
)
from support.errors import HAS_WIDER, assert_accurate
from support.isas import ISAS, using
from support.operations import BY_NAME, GROUPED, groups_of

operations = pytest.mark.parametrize("op", GROUPED, ids=str)
backward = pytest.mark.parametrize("op", [op for op in GROUPED if "dy" in op.data], ids=str)
dtypes = pytest.mark.parametrize("dtype", DTYPES)

# One position, few, just those from which on columns have moments, folded channels, slabs in a sample.
SHAPES = [(5, 36), (3, 1, 16), (4, 2, 12), (2, 15, 33), (2, 63, 33), (2, 64, 33), (3, 8, 9, 30), (2, 5, 8, 24)]
SHAPES += [(2, 300, 6), (1, 2100, 64)]
SIZES = [*range(1, 21), 31, 32, 33, 48, 63, 64, 65, 96, 100, 127, 128, 130, 255, 256, 260, 513, 1030]


def every_number_of_groups(channels):
    return [n for n in range(1, channels + 1) if channels % n == 0]


def with_groups(op, arguments, groups):
    """The same call with another number of groups."""
    if op.name == "group_norm":
        return arguments | {"groups": groups}
    if op.name == "group_norm_backward":
        repeats = {name: np.resize(arguments[name], (len(arguments["x"]), groups)) for name in ("mean", "rstd")}
        return arguments | repeats
    return arguments


def arguments_for(op, shape, dtype, rng):
    x, dy = (hostile(rng, (int(np.prod(shape[:-1])), shape[-1]), dtype).reshape(shape) for _ in range(2))
    return op.draw(x, -1, rng, dy, rng.choice([0, 1e-12, 1e-5]))


def tame_arguments_for(op, shape, dtype, rng):
    x, dy = (draw("normal", rng, shape, dtype) for _ in range(2))
    return op.draw(x, -1, rng, dy, 1e-5)


# ---- errors


def assert_accurate_on_every_isa(op, arguments, what):
    """On one against the reference, which takes most of the time; the others have its bits."""
    results = op(arguments)
    assert_accurate(op, arguments, results, what)
    for isa in ISAS:
        with using(isa):
            assert_same_bits(op(arguments), results, f"{isa}, {what}")


def check(op, x, rng, dy, eps, what):
    arguments = op.draw(x, -1, rng, dy, eps)
    assert_accurate_on_every_isa(op, arguments, what)
    arguments["gamma"] = arguments["gamma"] * rng.choice([0, 1, 1], x.shape[-1])  # of a channel that is shut off
    assert_accurate_on_every_isa(op, arguments, f"{what}, gammas of 0")
    arguments = op.without_parameters(arguments)
    assert_accurate_on_every_isa(op, arguments, f"{what} without gamma and beta")


@operations
@dtypes
@pytest.mark.parametrize("distribution", [*DISTRIBUTIONS, *X_ONLY, "denormal"])
def test_error(op, dtype, distribution, rng):
    if not HAS_WIDER[np.dtype(dtype)]:
        pytest.skip("no wider dtype to compare with here")
    like_x = () if distribution in X_ONLY else (distribution,)
    for shape in SHAPES:
        x = draw(distribution, rng, shape, dtype)
        for dy_like in dict.fromkeys(("normal", "mean_1e3", *like_x)) if "dy" in op.data else ("normal",):
            check(op, x, rng, draw(dy_like, rng, shape, dtype), 1e-5, f"{shape}, dy {dy_like}")


@operations
@dtypes
@pytest.mark.parametrize("eps", [0, 1e-30, 1e-12, 10.0])
@pytest.mark.parametrize("distribution", ["normal", "mean_1e6", "cauchy", "1e25", "1e-25"])
def test_any_eps(op, dtype, eps, distribution, rng):
    if not HAS_WIDER[np.dtype(dtype)]:
        pytest.skip("no wider dtype to compare with here")
    for shape in [(4, 9, 30), (3, 65, 36)]:
        x, dy = draw(distribution, rng, shape, dtype), draw("normal", rng, shape, dtype)
        check(op, x, rng, dy, eps, f"{shape}")


@operations
@dtypes
@pytest.mark.parametrize("scale", [1e-20, 1e20])
@pytest.mark.parametrize("p", [3, 70])
def test_gamma_may_undo_the_scale(op, dtype, scale, p, rng):
    # As in tests/test_numerics.py: what float32 cannot hold is done in double.
    if not HAS_WIDER[np.dtype(dtype)]:
        pytest.skip("no wider dtype to compare with here")
    x = (scale * rng.standard_normal((3, p, 20))).astype(dtype)
    dy = (scale**1.5 * rng.standard_normal(x.shape)).astype(dtype)
    arguments = op.draw(x, -1, rng, dy, 0)
    arguments["gamma"] = (arguments["gamma"] / scale).astype(dtype)
    if "beta" in arguments:
        arguments["beta"] = None
    if p == 3 and op.name == "instance_norm_backward":
        return  # of three elements rstd can be of any size
    assert_accurate_on_every_isa(op, arguments, f"{scale}, {p} positions")


@backward
@dtypes
def test_dgamma_of_many_samples_that_cancel(op, dtype, rng):
    # The sums of samples are large, and cancel: what is lost of one of them would show.
    if not HAS_WIDER[np.dtype(dtype)]:
        pytest.skip("no wider dtype to compare with here")
    x = np.abs(draw("normal", rng, (600, 50, 6), dtype)) + dtype(0.1)
    dy = np.where(np.arange(600) % 2, x.dtype.type(1.1), x.dtype.type(-1.1))[:, None, None] / x
    arguments = op.draw(x, -1, rng, dy.astype(dtype), 1e-5)
    arguments["mean"] = np.zeros_like(arguments["mean"])
    arguments["rstd"] = np.full_like(arguments["rstd"], 0.7)
    assert_accurate(op, arguments, op(arguments))


@dtypes
def test_constant_data_give_exactly_beta(dtype, isa, rng):
    beta = rng.standard_normal(30).astype(dtype)
    for value in (0.1, -1e6 / 3, 1e25):
        for p in (1, 7, 16, 49, 63, 64, 77):
            x = np.full((3, p, 30), value, dtype)
            for groups in every_number_of_groups(30):
                y = fastnorm.group_norm(x, beta=beta, groups=groups, eps=1e-12)
                assert np.array_equal(y, np.broadcast_to(beta, x.shape)), (value, p, groups)


# ---- gradients


@backward
@pytest.mark.parametrize("shape", [(3, 6), (2, 5, 6), (2, 2, 2, 4)])
def test_backward_is_the_gradient_of_forward(op, shape, rng):
    step, forward = 1e-5, BY_NAME[op.name.removesuffix("_backward")]
    more = {"groups": groups_of(shape[-1])} if op.name.startswith("group") else {}
    x, dy = rng.standard_normal(shape).astype(np.longdouble), rng.standard_normal(shape)
    given = {"x": x, "gamma": rng.uniform(0.5, 2, shape[-1]), "beta": rng.standard_normal(shape[-1])}

    def loss(**changed):
        return (dy * forward.reference(**{**given, **changed}, **more, eps=0.1, dtype=np.longdouble)).sum()

    _, mean, rstd = forward.function(x.astype(np.float64), **more, eps=0.1, return_stats=True)
    results = op.function(dy, x.astype(np.float64), mean, rstd, given["gamma"])
    for name, got in zip(("x", "gamma", "beta"), results, strict=True):
        for i in np.ndindex(got.shape):
            moved = np.zeros(got.shape, np.longdouble)
            moved[i] = step
            slope = (loss(**{name: given[name] + moved}) - loss(**{name: given[name] - moved})) / (2 * step)
            assert abs(got[i] - slope) < 1e-8, (name, i)


# ---- bits


@operations
@dtypes
@pytest.mark.parametrize("p", [1, 2, 3, 4, 5, 9, 16, 33, 49, 63, 64, 65, 300])
def test_isas_agree(op, dtype, p, rng):
    for c in SIZES if p < 20 else SIZES[::3]:
        arguments = arguments_for(op, (3, p, c), dtype, rng)
        for groups in dict.fromkeys((1, groups_of(c), c) if op.name.startswith("group") else (c,)):
            arguments = with_groups(op, arguments, groups)
            with using("baseline"):
                expected = op(arguments)
            for isa in ISAS[1:]:
                with using(isa):
                    assert_same_bits(op(arguments), expected, f"{isa}, {p, c}, {groups} groups")


@operations
@dtypes
@pytest.mark.parametrize("shape", [(70, 1000, 48), (1, 70_001, 12), (3, 4100, 130), (40_000, 1, 96), (700, 15, 513)])
def test_threads_and_isas_agree_on_large_arrays(op, dtype, shape, rng):
    arguments = arguments_for(op, shape, dtype, rng)
    with using("baseline"), fastnorm.threads(1):
        expected = op(arguments)
    for isa in ISAS:
        for n in (1, 2, 3, 8):
            with using(isa), fastnorm.threads(n):
                assert_same_bits(op(arguments), expected, f"{isa}, {n} threads")


@operations
@dtypes
def test_a_sample_is_the_same_alone_and_among_others(op, dtype, isa, rng):
    of_samples = {*op.data, *op.parameters, *op.outputs} - {"gamma", "beta", "dgamma", "dbeta"}
    for p, c in [(1, 40), (2, 33), (15, 12), (63, 12), (64, 96), (49, 64), (300, 6), (2100, 64)]:
        arguments = arguments_for(op, (7, p, c), dtype, rng)
        expected = op(arguments)
        for first, last in [(0, 1), (2, 3), (6, 7), (1, 5)]:
            some = {name: a[first:last] for name, a in arguments.items() if name in of_samples}
            results = op(arguments | some)
            for name in of_samples & results.keys():
                assert same_bits(results[name], expected[name][first:last]), (name, p, c, first)


@operations
@dtypes
def test_dimensions_between_samples_and_channels_are_only_a_shape(op, dtype, rng):
    arguments = arguments_for(op, (3, 4, 5, 6), dtype, rng)
    flat = arguments | {name: arguments[name].reshape(3, 20, 6) for name in op.data}
    results, expected = op(arguments), op(flat)
    first = op.outputs[0]
    assert_same_bits(results, expected | {first: expected[first].reshape(3, 4, 5, 6)})


@dtypes
def test_groups_of_one_channel_are_instance_norm(dtype, isa, rng):
    x, dy = (draw("normal", rng, (3, 20, 12), dtype) for _ in range(2))
    gamma, beta = rng.standard_normal((2, 12)).astype(dtype)
    group = fastnorm.group_norm(x, gamma, beta, groups=12, return_stats=True)
    instance = fastnorm.instance_norm(x, gamma, beta, return_stats=True)
    assert all(map(same_bits, group, instance))
    group = fastnorm.group_norm_backward(dy, x, *instance[1:], gamma)
    assert all(map(same_bits, group, fastnorm.instance_norm_backward(dy, x, *instance[1:], gamma)))


# ---- where arrays lie


@operations
@dtypes
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_of_any_argument(op, dtype, layout, rng):
    for shape in [(3, 20, 24), (2, 3, 6, 17)]:
        arguments = tame_arguments_for(op, shape, dtype, rng)
        expected = op(arguments)
        names = (*op.data, *op.parameters)
        for moved in [(name,) for name in names] + [names]:
            results = op(arguments, **{name: LAYOUTS[layout](arguments[name]) for name in moved})
            assert_same_bits(results, expected, f"{moved} {layout}")


@operations
@dtypes
@pytest.mark.parametrize("layout", WRITEABLE_LAYOUTS)
def test_any_layout_of_out(op, dtype, layout, rng):
    arguments = tame_arguments_for(op, (3, 20, 24), dtype, rng)
    out = WRITEABLE_LAYOUTS[layout](np.full((3, 20, 24), 77, dtype))
    results = op(arguments, out=out)
    assert results[op.outputs[0]] is out
    assert_same_bits(results, op(arguments))


@operations
@dtypes
def test_in_place_and_at_any_offset(op, dtype, isa, rng):
    for shape in [(5, 30), (3, 7, 33), (4, 49, 32), (3, 65, 32), (3, 300, 6), (70, 800, 64), (9000, 7, 60)]:
        arguments = tame_arguments_for(op, shape, dtype, rng)
        expected = op(arguments)
        for name in op.data:
            out = arguments[name].copy()
            assert_same_bits(op(arguments, **{name: out}, out=out), expected, f"in place of {name} {shape}")
        for offset in (0, np.dtype(dtype).itemsize, 24):
            room = np.full(arguments["x"].nbytes + 128, 0xA5, np.uint8)
            start = -room.ctypes.data % 64 + offset
            out = room[start:][: arguments["x"].nbytes].view(dtype).reshape(shape)
            assert_same_bits(op(arguments, out=out), expected, f"out {offset} bytes off a line, {shape}")
            assert (room[:start] == 0xA5).all() and (room[start + out.nbytes :] == 0xA5).all()


# ---- edges


@operations
@dtypes
@pytest.mark.parametrize("shape", [(0, 4), (3, 0, 4), (0, 5, 4), (3, 5, 0), (0, 0), (2, 0, 3, 6)])
def test_empty_arrays(op, dtype, shape, isa, rng):
    m, c = shape[0], shape[-1]
    groups = c if op.name.startswith("instance") else max(1, c // 2)
    x = np.empty(shape, dtype)
    if "dy" in op.data:
        statistics = np.ones((m, groups))
        dx, dgamma, dbeta = op.function(x, x, statistics, statistics, np.ones(c))
        assert dx.shape == shape and dx.dtype == dtype
        assert same_bits(dgamma, np.zeros(c, dtype)) and same_bits(dbeta, dgamma)
    else:
        more = {} if op.name.startswith("instance") else {"groups": groups}
        y, mean, rstd = op.function(x, np.ones(c), eps=0.25, return_stats=True, **more)
        assert y.shape == shape and y.dtype == dtype
        assert same_bits(mean, np.zeros((m, groups))) and same_bits(rstd, np.full((m, groups), 2.0))


@operations
@dtypes
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("p", [1, 9, 70])
def test_a_bad_number_spoils_its_own_group_alone(op, dtype, bad, p, isa, rng):
    arguments = tame_arguments_for(op, (4, p, 12), dtype, rng)
    clean, width = op(arguments), 1 if op.name.startswith("instance") else 12 // groups_of(12)
    for name in op.data:
        i, j = int(rng.integers(4)), int(rng.integers(12))
        a = arguments[name].copy()
        a[i, int(rng.integers(p)), j] = bad
        results = op(arguments, **{name: a})
        own = np.zeros((4, p, 12), bool)
        own[i, :, j // width * width : j // width * width + width] = True
        first = op.outputs[0]
        assert not np.isfinite(results[first][own]).any()
        assert same_bits(results[first][~own], clean[first][~own])
        others = np.arange(12) != j
        for output in {"dgamma", "dbeta"} & results.keys():
            assert same_bits(results[output][others], clean[output][others])


# ---- what is refused, beyond tests/test_validation.py


@pytest.mark.parametrize("groups", [0, -1, 5, 7, 13, 2**70])
def test_groups_divide_the_channels(groups):
    with pytest.raises(ValueError, match=r"groups is .*expected a divisor of 12 = x.shape\[-1\]"):
        fastnorm.group_norm(np.ones((2, 3, 12)), groups=groups)


@pytest.mark.parametrize("groups", [None, 1.0, "2", [1], np.float64(2)])
def test_groups_are_an_integer(groups):
    with pytest.raises(TypeError, match="groups is .*expected an integer"):
        fastnorm.group_norm(np.ones((2, 3, 12)), groups=groups)


def test_groups_have_to_be_said():
    with pytest.raises(TypeError, match="groups"):
        fastnorm.group_norm(np.ones((2, 3, 12)))
    assert same_bits(fastnorm.group_norm(np.ones((2, 12)), groups=np.int8(3)), np.zeros((2, 12)))


@operations
def test_samples_have_channels(op):
    arguments = tame_arguments_for(op, (3, 12), np.float64, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"x has shape \(3,\), expected two dimensions at least"):
        op.function(**arguments | {"x": np.ones(3)})


@pytest.mark.parametrize("shape", [(3, 5), (3, 0), (2, 4), (3, 24), (3, 4, 1), (12,)])
def test_statistics_say_how_many_groups_there_are(shape):
    x, ones = np.ones((3, 2, 12)), np.ones(shape)
    with pytest.raises(ValueError, match=r"mean has shape .*, expected \(3, groups\), groups a divisor of 12"):
        fastnorm.group_norm_backward(x, x, ones, ones)
    with pytest.raises(ValueError, match=r"rstd has shape \(3, 2\), expected \(3, 4\)"):
        fastnorm.group_norm_backward(x, x, np.ones((3, 4)), np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"mean has shape .*, expected \(3, 12\)"):
        fastnorm.instance_norm_backward(x, x, ones, ones)
    with pytest.raises(ValueError, match="groups is 5"):
        reference.group_norm(x, groups=5)
