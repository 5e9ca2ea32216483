"""Sums over lists of arrays as docs/reduction-trees.md has them, in NumPy and in its words."""

import numpy as np

from support.tree_sums import two_sum

LANES = {np.dtype(np.float32): 16, np.dtype(np.float64): 8}
PART = 64


def strips_of(array):
    """The strips of an array in double, (units, lanes) each: the last one may have fewer units."""
    lanes = LANES[array.dtype]
    flat = np.ascontiguousarray(array).ravel().astype(np.float64)
    units = np.append(flat, np.zeros(-flat.size % lanes)).reshape(-1, lanes)
    return [units[i : i + 16] for i in range(0, len(units), 16)]


def quad(items):
    """(i0 + i1) + (i2 + i3), as far as they are there."""
    if len(items) < 3:
        return items[0] if len(items) == 1 else items[0] + items[1]
    return (items[0] + items[1]) + (items[2] if len(items) == 3 else items[2] + items[3])


def strip_sum(units):
    return quad([quad(units[i : i + 4]) for i in range(0, len(units), 4)])


def part_sum(strips):
    hi, lo = np.zeros(16), np.zeros(16)
    for units in strips:
        s = strip_sum(units)
        hi[: s.size], e = two_sum(hi[: s.size], s)
        lo[: s.size] += e
    for h in (8, 4, 2, 1):
        hi[:h], e = two_sum(hi[:h], hi[h : 2 * h])
        lo[:h] = (lo[:h] + e) + lo[h : 2 * h]
    return hi[0], lo[0]


def list_sum(arrays, term):
    strips = [term(units) for array in arrays for units in strips_of(array)]
    high = low = np.float64(0)
    for i in range(0, len(strips), PART):
        hi, lo = part_sum(strips[i : i + PART])
        high, e = two_sum(high, hi)
        low = (low + e) + lo
    return high + low if np.isfinite(high) else high


def sum_of_sizes(arrays):
    """The sum, and k: it is of x * 2**k."""
    s = list_sum(arrays, np.abs)
    if s != np.inf:
        return s, 0
    return list_sum(arrays, lambda x: np.abs(x * 2.0**-600)), -600


def sum_of_squares(arrays):
    s = list_sum(arrays, np.square)
    k = -600 if s == np.inf else 600 if s < 2.0**-960 else 0
    return (list_sum(arrays, lambda x: np.square(x * 2.0**k)) if k else s), k


def global_norm(arrays):
    with np.errstate(all="ignore"):
        s, k = sum_of_squares(arrays)
        return float(np.ldexp(np.sqrt(s), -k))


def elastic_net_penalty(arrays, l1, l2):
    with np.errstate(all="ignore"):
        value = 0.0
        if l1:
            s, k = sum_of_sizes(arrays)
            value = product(l1, s, -k)
        if l2:
            s, k = sum_of_squares(arrays)
            value += product(l2 / 2, s, -2 * k)
        return float(value)


def product(strength, s, exponent):
    if exponent == 0 or not np.isfinite(s):
        return strength * s
    (a, i), (b, j) = np.frexp(strength), np.frexp(s)
    return np.ldexp(a * b, i + j + exponent)
