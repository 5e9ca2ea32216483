"""Functions that the activations are made of and NumPy lacks."""

import numpy as np

PI = np.arctan(np.longdouble(1)) * 4


def logistic(x):
    """1 / (1 + exp(-x)), from the exp of a number that is not positive: nothing overflows."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def normal_density(x):
    return np.exp(-x * x / 2) / np.sqrt(2 * PI.astype(x.dtype))


def normal_distribution(x):
    """Phi(x), the probability that a standard normal number is at most x."""
    wide = x.astype(np.longdouble)  # NumPy has no erfc, and the sums below lose a few digits
    tail = np.where(np.abs(wide) < 1.5, _tail_near(wide), _tail_far(wide))
    return np.where(np.isnan(wide), wide, np.where(wide < 0, tail, 1 - tail)).astype(x.dtype)


def _tail_near(x):
    """Phi(-abs(x)) = 1/2 - phi(x) * (a + a^3/3 + a^5/(3*5) + ...), for small a = abs(x)."""
    a = np.minimum(np.abs(x), x.dtype.type(1.5))
    term = a
    total = a
    for i in range(1, 40):
        term = term * a * a / (2 * i + 1)
        total = total + term
    return 0.5 - normal_density(a) * total


def _tail_far(x):
    """Phi(-abs(x)) = phi(x) / (a + 1/(a + 2/(a + 3/(a + ...)))), for large a = abs(x)."""
    a = np.maximum(np.abs(x), x.dtype.type(1.5))
    fraction = a
    for i in range(400, 0, -1):
        fraction = a + i / fraction
    return normal_density(a) / fraction


def gelu_terms(x, approximate):
    """s(x) and its derivative, for gelu(x) = x * s(x)."""
    if approximate == "none":
        return normal_distribution(x), normal_density(x)
    if approximate != "tanh":
        raise ValueError(f"approximate is {approximate!r}, expected 'none' or 'tanh'")
    c, a = 2 * np.sqrt(2 / PI.astype(x.dtype)), x.dtype.type(44715) / 1000000
    u = c * (x + a * x**3)
    return logistic(u), logistic(u) * logistic(-u) * c * (1 + 3 * a * x**2)
