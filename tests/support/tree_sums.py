"""The sums of docs/reduction-trees.md in NumPy, section by section and in its words; the operations are in `trees`.

Written from the page, not from the C sources: what they have in common is only what the page says. Operations are
elementwise and in the page's order. The last axes stand for whatever has the same tree: sums over a row take the axis
of the row first, (n, m), sums over a column the axis of the rows first, (m, c).
"""

import math

import numpy as np

f64 = np.float64

# ---- conventions -----------------------------------------------------------------------------------------------------


def two_sum(a, b):
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def split(a):
    c = f64(134217729.0) * a
    h = c - (c - a)
    return h, a - h


def two_product(a, b):
    p = a * b
    (ah, al), (bh, bl) = split(a), split(b)
    return p, (((ah * bh - p) + ah * bl) + al * bh) + al * bl


class Accumulator:
    """A pair of doubles (hi, lo); `real` decides how it adds."""

    def __init__(self, real, shape):
        self.real = real
        self.hi, self.lo = np.zeros(shape), np.zeros(shape)

    def add(self, a):
        a, b = (a.hi, a.lo) if isinstance(a, Exact) else (f64(a), None)
        if self.real == np.float32:
            self.hi = self.hi + a
        else:
            self.hi, e = two_sum(self.hi, a)
            self.lo = self.lo + e if b is None else (self.lo + e) + b

    def add_pair(self, other):
        self.add(other.hi)
        self.lo = self.lo + other.lo

    @property
    def total(self):
        return self.hi + self.lo

    def __getitem__(self, part):
        """A part of it, by itself."""
        copy = Accumulator(self.real, ())
        copy.hi, copy.lo = self.hi[part], self.lo[part]
        return copy

    def __setitem__(self, part, other):
        self.hi[part], self.lo[part] = other.hi, other.lo


def minimum(a, b):
    return np.where(a < b, a, b)


def maximum(a, b):
    return np.where(a > b, a, b)


def round_up(a, to):
    return math.ceil(a / to) * to


# ---- sums over a row -------------------------------------------------------------------------------------------------


def lanes_of(real):
    return 64 // np.dtype(real).itemsize


def four(t):
    """What is not there is left out; for units of a quad, strips of a block and rows of a group."""
    if len(t) == 4:
        return (t[0] + t[1]) + (t[2] + t[3])
    return in_order(t)


def in_order(t):
    total = t[0]
    for term in t[1:]:
        total = total + term
    return total


def in_quads(t):
    return in_order([four(t[i : i + 4]) for i in range(0, len(t), 4)])


def strip(units):
    return in_quads(units)


def block(t):
    """t: (terms, ...), at most 4 strips of terms."""
    lanes = lanes_of(t.dtype)
    units = np.zeros((math.ceil(len(t) / lanes), lanes, *t.shape[1:]), t.dtype)
    units.reshape(-1, *t.shape[1:])[: len(t)] = t
    u = four([strip(units[i : i + 16]) for i in range(0, len(units), 16)])
    h = lanes // 2
    while h > 0:
        u = u[:h] + u[h : 2 * h]
        h //= 2
    return u[0]


def row_sum(t):
    sums = Accumulator(t.dtype, t.shape[1:])
    size = 4 * 16 * lanes_of(t.dtype)
    for begin in range(0, len(t), size):
        sums.add(block(t[begin : begin + size]))
    return sums.total


# ---- moments ---------------------------------------------------------------------------------------------------------

INFINITY = f64(np.inf)


PLACES = [40503, 15470, 55974, 30941, 5909, 46412, 21380, 61883, 36851, 11818, 52322, 27289, 2257, 42760, 17728, 58231]


def middles(x, count):
    """u and v of each four of `count` samples."""
    sample = [x[len(x) * place // 65536] for place in PLACES[:count]]
    return [middle(*sample[k : k + 4]) for k in range(0, count, 4)]


def middle(a, b, c, d):
    return maximum(minimum(a, b), minimum(c, d)), minimum(maximum(a, b), maximum(c, d))


def row_pivot(x):
    if len(x) <= 4 * lanes_of(x.dtype):
        return (f64(block(x)) * inverse(len(x))).astype(x.dtype)
    (u0, v0), (u1, v1) = middles(x, 8)
    return x.dtype.type(0.25) * ((u0 + v0) + (u1 + v1))


def column_pivot(x):
    total = np.zeros_like(x[0])
    for u, v in middles(x, 16):
        total = total + (u + v)
    return x.dtype.type(0.125) * total


def inverse(n):
    return f64(1) / f64(n)


def moments(x, p, sums, eps, pivots):
    """center, rest and m2 about the pivot p; sums(x, p): s1, s2; x: (n, ...); pivots that may be tried: 1 or 2."""
    s1, s2 = sums(x, p)
    center, rest, m2 = finish(x, f64(p), s1, s2)
    far = s2 > 2 * m2
    if x.dtype == np.float32:
        far = far | lost(center + rest, m2, len(x), eps)
    if far.any():
        if pivots > 1:
            center[far], rest[far], m2[far] = moments(x[:, far], center[far], sums, eps, pivots - 1)
        else:
            center[far], rest[far], m2[far] = again(x[:, far])
    return center, rest, m2


def finish(x, p, s1, s2):
    shift = s1 * inverse(len(x))
    own = s2 - s1 * shift
    m2 = np.where(own < 0, 0.0, own)
    if x.dtype == np.float32:
        v = p + shift
        center = v.astype(x.dtype)
        return center, v - center, m2
    return *two_sum(p, shift), m2


def again(x):
    p = lane_sum(x.dtype, f64(x)) * inverse(len(x))
    d = f64(x) - p
    return finish(x, p, lane_sum(x.dtype, d), lane_sum(x.dtype, d * d))


def lane_sum(real, t):
    lanes = Accumulator(real, (8, *t.shape[1:]))
    for i in range(0, len(t), 8):
        part = lanes[: len(t) - i]
        part.add(t[i : i + 8])
        lanes[: len(t) - i] = part
    sums = Accumulator(real, t.shape[1:])
    for k in range(8):
        sums.add(lanes.hi[k])
        sums.lo = sums.lo + lanes.lo[k]
    return sums.total


def lost(mean, m2, n, eps):
    shows = (eps < 1e-30) | ((0 < abs(mean)) & (abs(mean) < f64(2.0**-100)))
    return ~(m2 < INFINITY) | ((m2 < f64(n) * f64(2.0**-120)) & shows)


# ---- sums over a column ----------------------------------------------------------------------------------------------


def group(t):
    """t: (rows of a group, ...)."""
    return in_quads(t)


def column_sum(t, size):
    """t: (m, c), in groups of `size` rows."""
    sums = Accumulator(t.dtype, t.shape[1:])
    whole = len(t) // size * size
    if whole:
        # all whole groups at once: their own sums do not depend on each other
        for g in group(np.moveaxis(t[:whole].reshape(-1, size, *t.shape[1:]), 1, 0)):
            sums.add(g)
    if whole < len(t):
        sums.add(group(t[whole:]))
    return sums


class Plan:
    """How the columns of an (m, c) array are folded and cut."""

    def __init__(self, m, c, real):
        itemsize, lanes = np.dtype(real).itemsize, lanes_of(real)
        fold = lanes // math.gcd(c, lanes)
        self.fold = fold if c < 256 and m >= 16 * fold else 1
        self.c = c
        self.rows, self.cols = m // self.fold, self.fold * c
        most = min(max(self.rows * min(self.cols, 512) * itemsize // 262144, 1), 32)
        slab = round_up(math.ceil(self.rows / most), 16)
        self.slabs = [(i, min(i + slab, self.rows)) for i in range(0, self.rows, slab)]

    def folded(self, x):
        return x[: self.rows * self.fold].reshape(self.rows, self.cols)

    def tail(self, x):
        return f64(x[self.rows * self.fold :])

    def slab_sums(self, t, size):
        """t: a term of each element of the folded array."""
        return [column_sum(t[begin:end], size) for begin, end in self.slabs]

    def together(self, slabs, tail):
        """slabs: from slab_sums; tail: (rows of the tail, c)."""
        in_pairs(slabs)
        parts = [slabs[0][i * self.c : (i + 1) * self.c] for i in range(self.fold)]
        for part, term in zip(parts, tail, strict=False):
            part.add(term)
        in_halves(parts)
        return parts[0]


def in_pairs(slabs):
    w = 1
    while w < len(slabs):
        for i in range(0, len(slabs) - w, 2 * w):
            slabs[i].add_pair(slabs[i + w])
        w *= 2


def in_halves(parts):
    h = len(parts) // 2
    while h > 0:
        for i in range(h):
            parts[i].add_pair(parts[i + h])
        h //= 2


# ---- exact sums over a column ----------------------------------------------------------------------------------------


def product_error(a, b, p):
    """a * b - p, rounded once, p being a * b rounded, of numbers of any size."""
    (fraction_a, power_a), (fraction_b, power_b) = np.frexp(a), np.frexp(b)
    error = np.ldexp(two_product(fraction_a, fraction_b)[1], power_a + power_b)
    error = np.where(abs(p) < f64(2.0**-1022), 0, error)
    return np.where(np.isfinite(p), error, np.where(np.isfinite(a) & np.isfinite(b), -p, np.nan))


class Exact:
    """Numbers in double; those of float64 with what they lack."""

    def __init__(self, real, hi, lo):
        self.real, self.hi, self.lo = real, hi, lo

    def __add__(self, other):
        if self.real == np.float32:
            return Exact(self.real, self.hi + other.hi, self.lo)
        hi, lo = two_sum(self.hi, other.hi)
        return Exact(self.real, hi, lo + (self.lo + other.lo))

    @property
    def total(self):
        return self.hi if self.real == np.float32 else self.hi + self.lo

    def __len__(self):
        return len(self.hi)

    def __getitem__(self, part):
        return Exact(self.real, self.hi[part], self.lo[part])

    def __iter__(self):
        return map(self.__getitem__, range(len(self)))


def gradient_terms(dy, x, mean, rstd=None):
    """dy * (x - mean), with rstd dy * ((x - mean) * rstd), and dy."""
    real, dy, x = x.dtype, f64(dy), f64(x)
    if real == np.float32:
        xhat = x - mean if rstd is None else (x - mean) * rstd
        return Exact(real, dy * xhat, 0 * dy), Exact(real, dy, 0 * dy)
    xhat = two_sum(x, -mean)
    if rstd is not None:
        xhat = pair_times(xhat, rstd)
    return Exact(real, *pair_times(xhat, dy)), Exact(real, dy, 0 * dy)


def pair_times(pair, b):
    (hi, lo), p = pair, pair[0] * b
    return p, product_error(hi, b, p) + lo * b


def exact_sum(t, size=4):
    """The sum down the rows, in groups of `size`."""
    sums = Accumulator(t.real, t.hi.shape[1:])
    for i in range(0, len(t), size):
        sums.add(four(list(t[i : i + size])))
    return sums
