"""The table of operations. One row here gives an operation all the generic tests."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import fastnorm
from fastnorm import reference


@dataclass(frozen=True)
class Operation:
    """A public operation: what it takes, what it gives, and how to call it in a test."""

    name: str
    statistics: str
    """What it normalizes, each by itself: "rows", "channels", or "groups" of channels of a sample, without an axis."""
    draw: Callable[..., dict]
    """``draw(x, axis, rng, dy, eps)``: all arguments for this `x`, as keywords."""
    outputs: tuple[str, ...]
    """The names of the results in order; the first is the one that `out` is for."""
    data: tuple[str, ...]
    """The arguments of the shape of `x`; each of them may be `out`."""
    parameters: tuple[str, ...]
    """The array arguments of the shape of the features or of the statistics."""
    optional: tuple[str, ...] = ("gamma", "beta")
    """The parameters that may be None."""
    numbers: tuple[str, ...] = ()
    """The arguments that are numbers: "eps", "momentum"."""
    updated: tuple[str, ...] = ()
    """The arguments that the call changes."""

    def __str__(self):
        return self.name

    @property
    def function(self):
        return getattr(fastnorm, self.name)

    @property
    def reference(self):
        return getattr(reference, self.name)

    def __call__(self, arguments, **more):
        """All outputs by name, those that are updated in place among them.

        The arguments in `updated` are copied first, so that one set serves many calls.
        """
        arguments = {**arguments, **more}
        for name in self.updated:
            if arguments.get(name) is not None:
                arguments[name] = np.array(arguments[name])
        results = self.function(**arguments)
        results = results if isinstance(results, tuple) else (results,)
        named = dict(zip(self.outputs, results, strict=True))
        return named | {name: arguments[name] for name in self.updated}

    def reduced(self, x, axis):
        """The axes that the statistics of `x` are taken over."""
        axis %= x.ndim
        return tuple(range(axis, x.ndim)) if self.statistics == "rows" else tuple(range(axis))

    def expanded(self, a, x, axis):
        """A statistic with the axes of `x`, for broadcasting."""
        if self.statistics != "groups":
            return np.expand_dims(a, self.reduced(x, axis))
        channels = x.shape[-1]
        return np.repeat(a, channels // a.shape[1], axis=1).reshape(len(x), *[1] * (x.ndim - 2), channels)

    def largest(self, a, axis, groups):
        """The largest of `a`, which is like x, for each statistic."""
        if self.statistics != "groups":
            return np.max(a, axis=self.reduced(a, axis), initial=0)
        return np.max(a.reshape(len(a), -1, groups, a.shape[-1] // groups), axis=(1, 3), initial=0)

    @functools.cached_property
    def shapes(self):
        """What shape each array argument has: "x", "rows" (`x.shape[:axis]`) or "features" (`x.shape[axis:]`)."""
        x = np.array([[1.0, 2.0, 4.0], [3.0, 1.0, 2.0]])
        arguments = self.draw(x, -1, np.random.default_rng(0), x, 1e-5)
        kinds = {(2, 3): "x", (2,): "rows", (3,): "features"}
        return {name: kinds[a.shape] for name, a in arguments.items() if isinstance(a, np.ndarray)}

    def without_parameters(self, arguments):
        """The same call with None for `gamma` and `beta`."""
        return {**arguments, **{name: None for name in self.optional if name in arguments}}


def _gamma(rng, shape, dtype):
    return (rng.choice([-1, 1], shape) * rng.uniform(0.5, 2, shape)).astype(dtype)


def _beta(rng, shape, dtype):
    return rng.standard_normal(shape).astype(dtype)


def _statistics(forward, x, axis, eps):
    """The float64 mean and rstd of `x`, as the forward pass would have given them."""
    x = x.astype(np.longdouble, order="F")
    _, mean, rstd = forward(x, axis=axis, eps=eps, return_stats=True)
    with np.errstate(over="ignore"):  # rstd of denormal numbers
        return mean.astype(np.float64), rstd.astype(np.float64)


def _draw_forward(x, axis, rng, dy, eps):
    features = x.shape[axis:]
    return {
        "x": x,
        "gamma": _gamma(rng, features, x.dtype),
        "beta": _beta(rng, features, x.dtype),
        "axis": axis,
        "eps": eps,
        "return_stats": True,
    }


def _draw_batch_norm(x, axis, rng, dy, eps):
    features = x.shape[axis:]
    return _draw_forward(x, axis, rng, dy, eps) | {
        "running_mean": rng.standard_normal(features),
        "running_var": rng.random(features).astype(np.float32),
    }


def _draw_inference(x, axis, rng, dy, eps):
    mean, rstd = _statistics(reference.batch_norm, x, axis, eps)
    arguments = _draw_forward(x, axis, rng, dy, eps)
    del arguments["return_stats"]
    # Near the statistics of this batch, as running statistics are, and never below 0.
    with np.errstate(all="ignore"):
        mean = mean + 0.1 * rng.standard_normal(mean.shape) / rstd
        var = (rng.uniform(0.9, 1.1, rstd.shape) / rstd**2 - eps).clip(0)
    return arguments | {"running_mean": mean, "running_var": var}


def _draw_backward(forward):
    def draw(x, axis, rng, dy, eps):
        mean, rstd = _statistics(forward, x, axis, eps)
        gamma = _gamma(rng, x.shape[axis:], x.dtype)
        return {"dy": dy, "x": x, "mean": mean, "rstd": rstd, "gamma": gamma, "axis": axis}

    return draw


def _draw_inference_backward(x, axis, rng, dy, eps):
    arguments = _draw_inference(x, axis, rng, dy, eps)
    del arguments["beta"]
    # Of subnormal data the mean is, too: float64 cannot hold the products of dy with what an eps would move it by.
    mean, rstd = _statistics(reference.batch_norm, x, axis, 0)
    with np.errstate(all="ignore"):
        moved = mean + 0.1 * rng.standard_normal(mean.shape) / rstd
    return {"dy": dy} | arguments | {"running_mean": np.where(np.isfinite(rstd), moved, mean)}


def _draw_rms_norm(x, axis, rng, dy, eps):
    gamma = _gamma(rng, x.shape[axis:], x.dtype)
    return {"x": x, "gamma": gamma, "axis": axis, "eps": eps, "return_stats": True}


def _draw_rms_norm_backward(x, axis, rng, dy, eps):
    _, rstd = reference.rms_norm(x.astype(np.longdouble, order="F"), axis=axis, eps=eps, return_stats=True)
    with np.errstate(over="ignore"):  # rstd of denormal numbers
        rstd = rstd.astype(np.float64)
    return {"dy": dy, "x": x, "rstd": rstd, "gamma": _gamma(rng, x.shape[axis:], x.dtype), "axis": axis}


def groups_of(channels):
    """How many groups a test takes of so many channels: as many as a group has channels, or fewer."""
    return max(n for n in range(1, channels + 1) if n * n <= channels and channels % n == 0)


def _draw_group_norm(x, axis, rng, dy, eps):
    arguments = _draw_forward(x, -1, rng, dy, eps) | {"groups": groups_of(x.shape[-1])}
    del arguments["axis"]
    return arguments


def _draw_instance_norm(x, axis, rng, dy, eps):
    arguments = _draw_forward(x, -1, rng, dy, eps)
    del arguments["axis"]
    return arguments


def _draw_group_norm_backward(x, axis, rng, dy, eps, groups=None):
    groups = groups or groups_of(x.shape[-1])
    wide = x.astype(np.longdouble)
    _, mean, rstd = reference.group_norm(wide, groups=groups, eps=eps, return_stats=True)
    with np.errstate(over="ignore"):  # rstd of denormal numbers
        mean, rstd = mean.astype(np.float64), rstd.astype(np.float64)
    return {"dy": dy, "x": x, "mean": mean, "rstd": rstd, "gamma": _gamma(rng, x.shape[-1:], x.dtype)}


def _draw_instance_norm_backward(x, axis, rng, dy, eps):
    return _draw_group_norm_backward(x, axis, rng, dy, eps, groups=x.shape[-1])


OPERATIONS = (
    Operation(
        name="layer_norm",
        statistics="rows",
        draw=_draw_forward,
        outputs=("y", "mean", "rstd"),
        data=("x",),
        parameters=("gamma", "beta"),
        numbers=("eps",),
    ),
    Operation(
        name="layer_norm_backward",
        statistics="rows",
        draw=_draw_backward(reference.layer_norm),
        outputs=("dx", "dgamma", "dbeta"),
        data=("x", "dy"),
        parameters=("mean", "rstd", "gamma"),
    ),
    Operation(
        name="batch_norm",
        statistics="channels",
        draw=_draw_batch_norm,
        outputs=("y", "mean", "rstd"),
        data=("x",),
        parameters=("gamma", "beta"),
        numbers=("eps", "momentum"),
        updated=("running_mean", "running_var"),
    ),
    Operation(
        name="batch_norm_inference",
        statistics="channels",
        draw=_draw_inference,
        outputs=("y",),
        data=("x",),
        parameters=("running_mean", "running_var", "gamma", "beta"),
        numbers=("eps",),
    ),
    Operation(
        name="batch_norm_backward",
        statistics="channels",
        draw=_draw_backward(reference.batch_norm),
        outputs=("dx", "dgamma", "dbeta"),
        data=("x", "dy"),
        parameters=("mean", "rstd", "gamma"),
    ),
    Operation(
        name="batch_norm_inference_backward",
        statistics="channels",
        draw=_draw_inference_backward,
        outputs=("dx", "dgamma", "dbeta"),
        data=("x", "dy"),
        parameters=("running_mean", "running_var", "gamma"),
        numbers=("eps",),
    ),
    Operation(
        name="rms_norm",
        statistics="rows",
        draw=_draw_rms_norm,
        outputs=("y", "rstd"),
        data=("x",),
        parameters=("gamma",),
        optional=("gamma",),
        numbers=("eps",),
    ),
    Operation(
        name="rms_norm_backward",
        statistics="rows",
        draw=_draw_rms_norm_backward,
        outputs=("dx", "dgamma"),
        data=("x", "dy"),
        parameters=("rstd", "gamma"),
        optional=("gamma",),
    ),
)

GROUPED = tuple(
    operation
    for name, draw, draw_backward in (
        ("group_norm", _draw_group_norm, _draw_group_norm_backward),
        ("instance_norm", _draw_instance_norm, _draw_instance_norm_backward),
    )
    for operation in (
        Operation(
            name=name,
            statistics="groups",
            draw=draw,
            outputs=("y", "mean", "rstd"),
            data=("x",),
            parameters=("gamma", "beta"),
            numbers=("eps",),
        ),
        Operation(
            name=f"{name}_backward",
            statistics="groups",
            draw=draw_backward,
            outputs=("dx", "dgamma", "dbeta"),
            data=("x", "dy"),
            parameters=("mean", "rstd", "gamma"),
        ),
    )
)
"""Those without an axis: x is (m, ..., c). What asks for an axis is asked of them in tests/test_groupnorm.py."""

EVERY = (*OPERATIONS, *GROUPED)
BY_NAME = {op.name: op for op in EVERY}

TESTED_ALONE: tuple[str, ...] = (
    "add_layer_norm",
    "add_layer_norm_backward",
    "add_rms_norm",
    "add_rms_norm_backward",
    "clip_by_global_norm",
    "clip_by_value",
    "dropout",
    "dropout_backward",
    "elastic_net_penalty",
    "gelu",
    "gelu_backward",
    "global_norm",
    "l1_penalty",
    "l2_penalty",
    "leaky_relu",
    "leaky_relu_backward",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "soft_threshold",
    "tanh",
    "tanh_backward",
)
"""Public operations that normalize nothing along an axis: all their tests are in tests/test_<family>.py."""
