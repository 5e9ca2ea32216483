"""docs/reduction-trees.md in NumPy, section by section and in its words.

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
        a = f64(a)
        if self.real == np.float32:
            self.hi = self.hi + a
        else:
            self.add_two_sum(a)

    def add_two_sum(self, a):
        self.hi, e = two_sum(self.hi, a)
        self.lo = self.lo + e

    def add_product(self, a, b):
        if self.real == np.float32:
            self.hi = self.hi + a * b
        else:
            p, q = two_product(a, b)
            self.add_two_sum(p)
            self.lo = self.lo + q

    def add_pair(self, other):
        self.hi, e = two_sum(self.hi, other.hi)
        self.lo = (self.lo + e) + other.lo

    def __getitem__(self, part):
        """A part of it, by itself."""
        copy = Accumulator(self.real, ())
        copy.hi, copy.lo = self.hi[part], self.lo[part]
        return copy


def round_up(a, to):
    return math.ceil(a / to) * to


# ---- sums over a row -------------------------------------------------------------------------------------------------


def lanes_of(real):
    return 64 // np.dtype(real).itemsize


def in_quads(t):
    """Fours by fours, what is not there left out; for units of a block and rows of a group."""
    total = None
    for i in range(0, len(t), 4):
        t0, *rest = t[i : i + 4]
        if len(rest) == 0:
            quad = t0
        elif len(rest) == 1:
            quad = t0 + rest[0]
        elif len(rest) == 2:
            quad = (t0 + rest[0]) + rest[1]
        else:
            quad = (t0 + rest[0]) + (rest[1] + rest[2])
        total = quad if total is None else total + quad
    return total


def block(t):
    """t: (terms, ...), at most 16 units of terms."""
    lanes = lanes_of(t.dtype)
    units = np.zeros((math.ceil(len(t) / lanes), lanes, *t.shape[1:]), t.dtype)
    units.reshape(-1, *t.shape[1:])[: len(t)] = t
    u = in_quads(units)
    h = lanes // 2
    while h > 0:
        u = u[:h] + u[h : 2 * h]
        h //= 2
    return u[0]


def row_sum(t):
    sums = Accumulator(t.dtype, t.shape[1:])
    size = 16 * lanes_of(t.dtype)
    for begin in range(0, len(t), size):
        sums.add(block(t[begin : begin + size]))
    return sums.hi + sums.lo


# ---- moments ---------------------------------------------------------------------------------------------------------


def chunks(n, first):
    """Begin and end of each chunk."""
    begin, end = 0, first
    while begin < n:
        yield begin, min(end, n)
        begin, end = end, 4 * end


class Moments:
    """(pivot, shift, m2), the pivot in `real`."""

    def __init__(self, pivot, shift=None, m2=None):
        self.pivot = pivot
        self.shift = np.zeros(pivot.shape) if shift is None else shift
        self.m2 = np.zeros(pivot.shape) if m2 is None else m2

    def __getitem__(self, part):
        return Moments(self.pivot[part], self.shift[part], self.m2[part])

    def merge(self, before, k, s1, s2):
        before, k = f64(before), f64(k)
        total = before + k
        mean = s1 / k
        delta = mean - self.shift
        own = s2 - s1 * mean
        own = np.where(own < 0, 0.0, own)
        self.m2 = (self.m2 + own) + (delta * delta) * (before * k / total)
        self.shift = self.shift + delta * (k / total)
        self.move_pivot()

    def move_pivot(self):
        real = self.pivot.dtype
        if real == np.float32:
            v = f64(self.pivot) + self.shift
            self.pivot = v.astype(real)
            self.shift = v - f64(self.pivot)
        else:
            self.pivot, self.shift = two_sum(self.pivot, self.shift)

    def join(self, na, other, nb):
        na, nb = f64(na), f64(nb)
        delta = (f64(other.pivot) - f64(self.pivot)) + (other.shift - self.shift)
        self.shift = self.shift + delta * (nb / (na + nb))
        self.m2 = (self.m2 + other.m2) + (delta * delta) * (na * nb / (na + nb))


def row_moments(x):
    """x: (n, m)."""
    real, unit = x.dtype, lanes_of(x.dtype)
    first = x[: 16 * unit]
    moments = Moments((f64(block(first)) / f64(len(first))).astype(real))
    for begin, end in chunks(len(x), 64 * unit):
        d = x[begin:end] - moments.pivot
        moments.merge(begin, end - begin, row_sum(d), row_sum(d * d))
    return moments


# ---- sums over a column ----------------------------------------------------------------------------------------------


def group(t):
    """t: (rows of a group, ...)."""
    return in_quads(t)


def column_sum(t, size, sums=None):
    """t: (m, c), in groups of `size` rows; continues `sums` if given."""
    sums = sums or Accumulator(t.dtype, t.shape[1:])
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
        self.m, self.c = m, c
        self.rows, self.cols, self.tail = m // self.fold, self.fold * c, m % self.fold
        most = min(max(self.rows * self.cols * itemsize // 262144, 1), 32)
        slab = round_up(max(math.ceil(self.rows / most), 64), 16)
        self.slabs = [(i, min(i + slab, self.rows)) for i in range(0, self.rows, slab)]

    def folded(self, x):
        return x[: self.rows * self.fold].reshape(self.rows, self.cols)

    def tail_rows(self, x):
        return x[self.rows * self.fold :]

    def part(self, i):
        return slice(i * self.c, (i + 1) * self.c)


def in_pairs(slabs, take):
    """take(i, j): slab i takes slab j."""
    w = 1
    while w < slabs:
        for i in range(0, slabs - w, 2 * w):
            take(i, i + w)
        w *= 2


def slab_moments(x):
    """Moments of the columns of one slab."""
    first = x[:16]
    moments = Moments((f64(group(first)) / f64(len(first))).astype(x.dtype))
    for begin, end in chunks(len(x), 64):
        d = x[begin:end] - moments.pivot
        s1, s2 = column_sum(d, 16), column_sum(d * d, 16)
        moments.merge(begin, end - begin, s1.hi + s1.lo, s2.hi + s2.lo)
    return moments


def column_moments(x):
    """x: (m, c)."""
    plan = Plan(*x.shape, x.dtype)
    folded = plan.folded(x)
    slabs = [slab_moments(folded[begin:end]) for begin, end in plan.slabs]
    counts = [end - begin for begin, end in plan.slabs]

    def take_slab(i, j):
        slabs[i].join(counts[i], slabs[j], counts[j])
        counts[i] += counts[j]

    in_pairs(len(slabs), take_slab)

    parts = [slabs[0][plan.part(i)] for i in range(plan.fold)]
    counts = [plan.rows] * plan.fold
    for i, row in enumerate(plan.tail_rows(x)):
        parts[i].join(counts[i], Moments(row), 1)
        counts[i] += 1
    h = plan.fold // 2
    while h > 0:
        for i in range(h):
            parts[i].join(counts[i], parts[i + h], counts[i + h])
            counts[i] += counts[i + h]
        h //= 2
    parts[0].move_pivot()
    return parts[0]


# ---- wide rows and columns -------------------------------------------------------------------------------------------

INFINITY = f64(np.inf)


def fits(a):
    return (a == 0) | ((f64(2.0**-100) < abs(a)) & (abs(a) < f64(2.0**100)))


def below(a):
    return abs(f64(a)) < f64(2.0**100)


def wide_statistics(mean, m2, n, eps):
    lost = (m2 < f64(n) * f64(2.0**-120)) & ((eps < 1e-30) | ((0 < abs(mean)) & (abs(mean) < f64(2.0**-100))))
    return ~(m2 < INFINITY) | lost


def wide_backward(rstd, a, b):
    return ~((f64(2.0**-40) <= rstd) & (rstd <= f64(2.0**20)) & below(a) & below(b))


def plain_sum(t):
    """From the first element to the last, in double."""
    total = np.zeros(t.shape[1:])
    for term in t:
        total = total + term
    return total


def wide_moments(x):
    x = f64(x)
    mean = plain_sum(x) / f64(len(x))
    return mean, plain_sum((x - mean) * (x - mean))


def inverse_root(m2, n, eps):
    return f64(1) / np.sqrt(m2 / f64(n) + f64(eps))


def apply_parameters(y, gamma, beta):
    y = y if gamma is None else y * gamma
    return y if beta is None else y + beta


# ---- operations ------------------------------------------------------------------------------------------------------
# x and dy: (m, n) or (m, c).


def layer_norm(x, gamma=None, beta=None, *, eps=1e-5):
    """y, mean, rstd."""
    real, n = x.dtype, x.shape[1]
    moments = row_moments(x.T)
    mean = f64(moments.pivot) + moments.shift
    rstd = inverse_root(moments.m2, n, eps)
    y = ((x - moments.pivot[:, None]) - moments.shift.astype(real)[:, None]) * rstd.astype(real)[:, None]
    y = apply_parameters(y, gamma, beta)
    if real == np.float32:
        w = wide_statistics(mean, moments.m2, n, eps)
        mean[w], m2 = wide_moments(x[w].T)
        rstd[w] = inverse_root(m2, n, eps)
        wide = (f64(x[w]) - mean[w, None]) * rstd[w, None]
        y[w] = apply_parameters(wide, *(None if p is None else f64(p) for p in (gamma, beta)))
    return y, mean, rstd


def layer_norm_backward(dy, x, mean, rstd, gamma=None):
    """dx, dgamma, dbeta."""
    real, n = x.dtype, x.shape[1]
    center = mean.astype(real)
    rest = mean - f64(center)
    g = dy if gamma is None else dy * gamma
    e = x - center[:, None]
    s1 = row_sum(g.T)
    s2 = row_sum((g * e).T) - rest * s1

    def coefficients(rstd, s1, s2):
        return rstd * (s1 / f64(n)), rstd * (rstd * (s2 / f64(n)))

    bias, slope = (k.astype(real)[:, None] for k in coefficients(rstd, s1, s2))
    r, q = rstd.astype(real)[:, None], (rest * rstd).astype(real)[:, None]
    xhat = e * r - q
    dx = (g * r - bias) - xhat * slope
    terms = dy * xhat
    if real == np.float32:
        w = wide_backward(rstd, s1, s2)
        wdy, wx, wmean, wrstd = f64(dy[w]), f64(x[w]), mean[w], rstd[w]
        wg = wdy if gamma is None else wdy * f64(gamma)
        s1, s2 = plain_sum(wg.T), plain_sum((wg * (wx - wmean[:, None])).T)
        bias, slope = coefficients(wrstd, s1, s2)
        wxhat = (wx - wmean[:, None]) * wrstd[:, None]
        dx[w] = (wg * wrstd[:, None] - bias[:, None]) - wxhat * slope[:, None]
        terms[w] = wdy * wxhat
    dgamma = None if gamma is None else gradient(terms)
    return dx, dgamma, gradient(dy)


def gradient(t):
    """The column sums of the LayerNorm backward."""
    real, (m, n) = t.dtype, t.shape
    row_bytes = n * real.itemsize
    size = 4 if row_bytes > 32768 else 8
    most = min(max(m * row_bytes // 262144, 1), 32)
    slab = round_up(math.ceil(m / most), 16)
    slabs = [column_sum(t[i : i + slab], size) for i in range(0, m, slab)]
    in_pairs(len(slabs), lambda i, j: slabs[i].add(slabs[j].hi) if real == np.float32 else slabs[i].add_pair(slabs[j]))
    return (slabs[0].hi + slabs[0].lo).astype(real)


def batch_norm(x, gamma=None, beta=None, *, eps=1e-5):
    """y, mean, rstd."""
    real, m = x.dtype, len(x)
    moments = column_moments(x)
    mean = f64(moments.pivot) + moments.shift
    rstd = inverse_root(moments.m2, m, eps)
    y, wide = affine(x, moments.pivot, moments.shift, rstd, gamma, beta)
    if real == np.float32:
        w = wide | wide_statistics(mean, moments.m2, m, eps)
        mean[w], m2 = wide_moments(x[:, w])
        rstd[w] = inverse_root(m2, m, eps)
        y[:, w] = affine_wide(x, mean, rstd, gamma, beta)[:, w]
    return y, mean, rstd


def batch_norm_inference(x, running_mean, running_var, gamma=None, beta=None, *, eps=1e-5):
    """y."""
    center = running_mean.astype(x.dtype)
    rstd = f64(1) / np.sqrt(running_var + f64(eps))
    y, wide = affine(x, center, running_mean - f64(center), rstd, gamma, beta)
    if x.dtype == np.float32:
        y[:, wide] = affine_wide(x, running_mean, rstd, gamma, beta)[:, wide]
    return y


def affine(x, center, rest, rstd, gamma, beta):
    """y, and which columns are wide by their coefficients."""
    real = x.dtype
    factor = rstd if gamma is None else rstd * f64(gamma)
    scale = factor.astype(real)
    offset = ((f64(0) if beta is None else f64(beta)) - rest * factor).astype(real)
    return (x - center) * scale + offset, ~(fits(factor) & below(center) & below(offset))


def affine_wide(x, mean, rstd, gamma, beta):
    gamma = f64(1) if gamma is None else f64(gamma)
    beta = f64(0) if beta is None else f64(beta)
    return ((f64(x) - mean) * rstd * gamma + beta).astype(x.dtype)


def few_digits(a):
    c = f64(2.0**45 + 1) * a
    return c - (c - a)


def slab_bwd_sums(dy, x, center):
    """A and B of one slab."""
    real = x.dtype
    a, b = Accumulator(real, x.shape[1]), Accumulator(real, x.shape[1])
    first = f64(dy[:8])
    k = f64(len(first))
    mean = plain_sum(first) / k
    m2 = plain_sum((first - mean) * (first - mean))
    p = np.where(m2 * 1024 < mean * mean * k, few_digits(mean), 0).astype(real)
    for begin, end in chunks(len(x), 64):
        t, e = dy[begin:end] - p, x[begin:end] - center
        sum_t, sum_e, sum_d = column_sum(t * e, 8), column_sum(e, 8), column_sum(dy[begin:end], 8)
        a.add(sum_t.hi)
        a.add_product(f64(p), sum_e.hi)
        a.lo = a.lo + (sum_t.lo + f64(p) * sum_e.lo)
        b.add(sum_d.hi)
        b.lo = b.lo + sum_d.lo
        p = np.where(p != 0, few_digits(b.hi / f64(end)), 0).astype(real)
    return a, b


def batch_norm_backward(dy, x, mean, rstd, gamma=None):
    """dx, dgamma, dbeta."""
    real, m = x.dtype, f64(len(x))
    plan = Plan(*x.shape, real)

    grain = f64(2.0**-10) / rstd
    anchor = f64(1.5 * 2.0**52) * grain
    center = np.where(abs(mean) < f64(2.0**50) * grain, (mean + anchor) - anchor, mean)
    center = np.where(x[0] == mean.astype(real), mean, center).astype(real)

    fdy, fx, fcenter = plan.folded(dy), plan.folded(x), np.tile(center, plan.fold)
    slabs = [slab_bwd_sums(fdy[i:j], fx[i:j], fcenter) for i, j in plan.slabs]
    in_pairs(len(slabs), lambda i, j: (slabs[i][0].add_pair(slabs[j][0]), slabs[i][1].add_pair(slabs[j][1])))
    parts = [tuple(s[plan.part(i)] for s in slabs[0]) for i in range(plan.fold)]
    for (a, b), tail_dy, tail_x in zip(parts, plan.tail_rows(dy), plan.tail_rows(x), strict=False):
        a.add_two_sum(f64(tail_dy) * (f64(tail_x) - f64(center)))
        b.add_two_sum(f64(tail_dy))
    h = plan.fold // 2
    while h > 0:
        for i in range(h):
            for mine, other in zip(parts[i], parts[i + h], strict=True):
                mine.add_pair(other)
        h //= 2
    a, b = parts[0]

    rest = mean - f64(center)
    factor = rstd if gamma is None else f64(gamma) * rstd
    sum_dy = b.hi + b.lo
    a.add_product(-rest, sum_dy)
    sum_dy_e = a.hi + a.lo
    tilt = factor * rstd * rstd * (sum_dy_e / m)
    scale, slope = factor.astype(real), tilt.astype(real)
    offset = (factor * (sum_dy / m) - tilt * rest).astype(real)
    dx = (dy * scale - (x - center) * slope) - offset
    if real == np.float32:
        w = wide_backward(rstd, sum_dy, sum_dy_e) | ~(fits(factor) & fits(tilt) & below(offset))
        wdy, e, wrstd = f64(dy[:, w]), f64(x[:, w]) - mean[w], rstd[w]
        sum_dy_e[w], sum_dy[w] = plain_sum(wdy * e), plain_sum(wdy)
        dx[:, w] = factor[w] * ((wdy - sum_dy[w] / m) - (e * wrstd) * (wrstd * (sum_dy_e[w] / m)))
    dgamma = None if gamma is None else (sum_dy_e * rstd).astype(real)
    return dx, dgamma, sum_dy.astype(real)
