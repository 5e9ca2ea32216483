"""Functions of lists of arrays: a way to call them all alike, and lists to call them with."""

from fractions import Fraction

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastnorm
from support.arrays import DTYPES


def _penalty(function, *strengths):
    def call(arrays, given):
        return {"value": np.float64(function(arrays, *strengths, given)), "grad": given}

    return call


def _result(function, *numbers):
    return lambda arrays, given: {"result": function(arrays, *numbers, out=given)}


def _clip_by_global_norm(arrays, given):
    for to, a in zip(given, arrays, strict=True):
        to[...] = a
    norm = fastnorm.clip_by_global_norm(given, 0.5)
    return {"norm": np.float64(norm), "arrays": given}


CALLS = {
    "l1_penalty": _penalty(fastnorm.l1_penalty, 0.3),
    "l2_penalty": _penalty(fastnorm.l2_penalty, 0.7),
    "elastic_net_penalty": _penalty(fastnorm.elastic_net_penalty, 0.3, 0.7),
    "soft_threshold": _result(fastnorm.soft_threshold, 0.6),
    "clip_by_value": _result(fastnorm.clip_by_value, -0.8, 0.5),
    "global_norm": lambda arrays, given: {"norm": np.float64(fastnorm.global_norm(arrays))},
    "clip_by_global_norm": _clip_by_global_norm,
}
"""``call(arrays, given)``: all results by name; `given` are arrays of these shapes, for results or to be updated."""


def call(name, arrays, given=None):
    """The results of a call, flat: of lists each array by itself."""
    if given is None:
        given = [np.full(a.shape, 0.25, a.dtype.newbyteorder("=")) for a in arrays]
    results = CALLS[name](arrays, given)
    return {
        f"{key}[{i}]": a
        for key, value in results.items()
        for i, a in enumerate(value if isinstance(value, list) else [value])
    }


def drawn_arrays(**elements):
    """A hypothesis strategy: lists of a few arrays of both dtypes."""
    shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=12)
    array = st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, shapes, elements=elements))
    return st.lists(array, max_size=5)


# Around lanes, units, strips and parts, and several of these.
SIZES = [*range(1, 70), 127, 128, 129, 255, 256, 257, 511, 513, 1023, 1025, 4095, 8192, 8193, 16_384, 20_001]


def lists_of_sizes(rng, values=None):
    """Lists that between them have every size in both dtypes, next to others."""
    values = values or (lambda n: rng.standard_normal(n))
    for i in range(0, len(SIZES), 6):
        yield [values(n).astype(dtype) for n in SIZES[i : i + 6] for dtype in DTYPES]


def exact(arrays, power):
    """The sum of the sizes or of the squares of all elements, as a fraction."""
    total = 0  # in units of 2**-1074, or of their squares
    for a in arrays:
        for x in a.ravel().astype(float).tolist():
            numerator, denominator = abs(x).as_integer_ratio()
            total += (numerator << (1075 - denominator.bit_length())) ** power
    return Fraction(total, 2 ** (1074 * power))


def relative_error(got, expected):
    """Of a number, in eps of float64, against a fraction."""
    if expected == 0:
        return 0.0 if got == 0 else np.inf
    return float(abs(Fraction(got) / expected - 1)) / 2**-52
