"""Gradients against central differences of the forward formula."""

import functools

import numpy as np
import pytest

from support.operations import BY_NAME, OPERATIONS

BACKWARD = [op for op in OPERATIONS if "dx" in op.outputs]

# In long double, the error of a central difference is about STEP**2 times the third derivative,
# plus the rounding of the loss (its dtype's eps times a few) over STEP: below 1e-9 in both.
STEP = 1e-5
LIMIT = 1e-8

SHAPES = [
    ((5, 6), -1),
    ((4, 3, 5), -1),
    ((4, 3, 5), -2),
    ((3, 2, 2, 3), -1),
    ((3, 2, 2, 3), 1),
    ((7,), -1),
]


def central_differences(loss, a):
    """The gradient of ``loss(a)``, element by element."""
    gradient = np.empty(a.shape, np.longdouble)
    for i in np.ndindex(a.shape):
        step = np.zeros(a.shape, np.longdouble)
        step[i] = STEP
        gradient[i] = (loss(a + step) - loss(a - step)) / (2 * STEP)
    return gradient


@pytest.mark.parametrize("op", BACKWARD, ids=str)
@pytest.mark.parametrize("shape, axis", SHAPES)
def test_backward_is_the_gradient_of_forward(op, shape, axis, isa, rng):
    forward = BY_NAME[op.name.removesuffix("_backward")]
    features = shape[axis:]
    # Long double throughout: the reference rounds its parameters to the dtype of x.
    x = rng.standard_normal(shape).astype(np.longdouble)
    dy = rng.standard_normal(shape)
    gamma, beta = rng.uniform(0.5, 2, features), rng.standard_normal(features)
    shift = (beta,) if "beta" in forward.parameters else ()
    given = (rng.standard_normal(features), rng.random(features)) if "running_var" in op.parameters else ()
    eps = 0.1  # large enough to be seen in the gradient

    def loss(x=x, gamma=gamma, shift=shift):
        y = forward.reference(x, *given, gamma, *shift, axis=axis, eps=eps, dtype=np.longdouble)
        return (dy * y).sum()

    expected = {
        "dx": central_differences(lambda a: loss(x=a), x),
        "dgamma": central_differences(lambda a: loss(gamma=a), gamma),
        "dbeta": central_differences(lambda a: loss(shift=(a,)), beta) if shift else None,
    }
    x = x.astype(np.float64)
    if given:
        function = functools.partial(op.function, dy, x, *given, axis=axis, eps=eps)
    else:
        _, *statistics = forward.function(x, gamma, *shift, axis=axis, eps=eps, return_stats=True)
        function = functools.partial(op.function, dy, x, *statistics, axis=axis)
    results = function(gamma)
    for name, got in zip(op.outputs, results, strict=True):
        assert np.abs(got - expected[name]).max() <= LIMIT, name

    results = dict(zip(op.outputs, function(), strict=True))
    expected["dx"] = central_differences(lambda a: loss(x=a, gamma=np.ones(features)), x)
    assert results.pop("dgamma") is None
    for name, got in results.items():
        assert np.abs(got - expected[name]).max() <= LIMIT, name
