"""What follows a normalization in the same pass: ``y = activation(z + residual)``, z being what it gives alone."""

from fastnorm.reference import _activations as a


def gelu_tanh(x):
    return a.gelu(x, approximate="tanh")


def gelu_tanh_backward(dy, x):
    return a.gelu_backward(dy, x, approximate="tanh")


# By name: the activation, its gradient, and whether that is a function of x; of y otherwise.
ACTIVATIONS = {
    "relu": (a.relu, a.relu_backward, False),
    "leaky_relu": (a.leaky_relu, a.leaky_relu_backward, False),
    "sigmoid": (a.sigmoid, a.sigmoid_backward, False),
    "tanh": (a.tanh, a.tanh_backward, False),
    "gelu": (a.gelu, a.gelu_backward, True),
    "gelu_tanh": (gelu_tanh, gelu_tanh_backward, True),
    "silu": (a.silu, a.silu_backward, True),
}


def finish(z, residual, activation):
    if residual is not None:
        z = z + residual
    if activation is None:
        return z
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation is {activation!r}, expected None or one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[activation][0](z)


def finish_backward(dy, z, residual, activation):
    """The gradient of z, which is that of the residual, too."""
    y = finish(z, residual, activation)
    if activation is None:
        return dy
    _, backward, of_x = ACTIVATIONS[activation]
    return backward(dy, finish(z, residual, None) if of_x else y)
