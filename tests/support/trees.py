"""The operations of docs/reduction-trees.md in NumPy, section by section, in its words, on the sums of `tree_sums`."""

import math

import numpy as np

from support.tree_sums import (
    Accumulator,
    Exact,
    Plan,
    block,
    column_pivot,
    exact_sum,
    f64,
    finish,
    gradient_terms,
    group,
    in_order,
    in_pairs,
    inverse,
    lane_sum,
    moments,
    pair_times,
    round_up,
    row_pivot,
    row_sum,
    two_product,
    two_sum,
)

# ---- LayerNorm forward -----------------------------------------------------------------------------------------------
# x and dy of the operations: (m, n) or (m, c).


def layer_norm(x, gamma=None, beta=None, *, eps=1e-5):
    """y, mean, rstd."""
    real, n = x.dtype, x.shape[1]
    center, rest, m2 = moments(x.T, row_pivot(x.T), row_sums, eps, pivots=2)
    mean = center + rest
    rstd = inverse_root(m2 * inverse(n), eps)
    y = (about(x, center[:, None]) - rest.astype(real)[:, None]) * rstd.astype(real)[:, None]
    y = apply_parameters(y, gamma, beta)
    if real == np.float32:
        w = ~within(rstd)
        wide = (f64(x[w]) - mean[w, None]) * rstd[w, None]
        y[w] = apply_parameters(wide, *(None if p is None else f64(p) for p in (gamma, beta)))
    return y, mean, rstd


def about(x, center):
    return x + (0 - center)


def row_sums(x, p):
    d = x - p
    return row_sum(d), row_sum(d * d)


def inverse_root(var, eps):
    return f64(1) / np.sqrt(var + f64(eps))


def apply_parameters(y, gamma, beta):
    y = y if gamma is None else y * gamma
    return y if beta is None else y + beta


def within(a):
    return (f64(2.0**-100) < abs(a)) & below(a)


def below(a):
    return abs(f64(a)) < f64(2.0**100)


# ---- BatchNorm forward and inference ---------------------------------------------------------------------------------


def batch_norm(x, gamma=None, beta=None, *, eps=1e-5):
    """y, mean, rstd."""
    center, rest, m2 = moments(x, column_pivot(x), channel_sums, eps, pivots=1)
    mean = center + rest
    rstd = inverse_root(m2 * inverse(len(x)), eps)
    return affine(x, center, rest, mean, rstd, gamma, beta), mean, rstd


def channel_sums(x, p):
    plan = Plan(*x.shape, x.dtype)
    d, tail = plan.folded(x) - np.tile(p, plan.fold), plan.tail(x) - f64(p)
    s1 = plan.together(plan.slab_sums(d, 16), tail)
    s2 = plan.together(plan.slab_sums(d * d, 16), tail * tail)
    return s1.total, s2.total


def batch_norm_inference(x, running_mean, running_var, gamma=None, beta=None, *, eps=1e-5):
    """y."""
    center = running_mean.astype(x.dtype)
    rest = running_mean - f64(center)
    return affine(x, center, rest, running_mean, inverse_root(running_var, eps), gamma, beta)


def affine(x, center, rest, mean, rstd, gamma, beta, hidden=False):
    """y; hidden: a factor of 0 hides none of the numbers before it."""
    real = x.dtype
    factor = rstd if gamma is None else rstd * f64(gamma)
    beta = f64(0) if beta is None else f64(beta)
    offset = (beta - rest * factor).astype(real)
    y = about(x, center) * factor.astype(real) + offset
    if real == np.float32:
        gamma = f64(1) if gamma is None else f64(gamma)
        factor = np.where(hidden & (factor == 0), rstd, factor)
        w = ~(fits(factor) & below(center) & below(offset))
        y[:, w] = ((f64(x) - mean) * rstd * gamma + beta)[:, w]
    return y


def fits(a):
    return (a == 0) | within(a)


# ---- LayerNorm backward ----------------------------------------------------------------------------------------------

PLAIN_ROWS = 16
"""Of more rows dgamma and dbeta are exact sums."""


def layer_norm_backward(dy, x, mean, rstd, gamma=None):
    """dx, dgamma, dbeta."""
    real, n = x.dtype, x.shape[1]
    center = mean.astype(real)
    rest = mean - f64(center)
    g = dy if gamma is None else dy * gamma
    e = x - center[:, None]
    s1 = row_sum(g.T)
    s2 = row_sum((g * e).T) - rest * s1
    bias, slope = coefficients(rstd, s1, s2, n)
    r, q, k, offset = (a.astype(real)[:, None] for a in (rstd, rest * rstd, slope, bias - slope * rest))
    dx = (g * r - e * k) - offset
    terms, w = f64(dy * (e * r - q)), np.zeros(len(x), bool)
    if real == np.float32:
        w = ~(moderate(rstd) & below(s1) & below(s2) & fits(slope))
        dx[w], terms[w] = wide_rows(f64(dy[w]), f64(x[w]), mean[w, None], rstd[w, None], gamma)
    if len(x) > PLAIN_ROWS:
        terms = gradient_terms(dy, x, mean[:, None], rstd[:, None])
        dgamma, dbeta = (exact_gradient(t, real) for t in terms)
    else:
        dgamma, dbeta = (gradient(t, w, real) for t in (terms, f64(dy)))
    return dx, None if gamma is None else dgamma, dbeta


def coefficients(rstd, s1, s2, n):
    """bias and slope, in double."""
    return rstd * (s1 * inverse(n)), rstd * (rstd * (rstd * (s2 * inverse(n))))


def moderate(rstd):
    return (f64(2.0**-40) <= rstd) & (rstd <= f64(2.0**20))


def one_by_one(real, t):
    """From the first element to the last, in double."""
    sums = Accumulator(real, t.shape[1:])
    for term in t:
        sums.add(term)
    return sums.total


def wide_rows(dy, x, mean, rstd, gamma):
    """dx and the terms of dgamma, in double."""
    g = dy if gamma is None else dy * f64(gamma)
    s1, s2 = (one_by_one(np.float32, t.T)[:, None] for t in (g, g * (x - mean)))
    bias, slope = coefficients(rstd, s1, s2, x.shape[1])
    e = x - mean
    return (g * rstd - e * slope) - bias, dy * (e * rstd)


def gradient(t, wide, real):
    """The column sums of the LayerNorm backward: of terms in `real` but where a group has a wide row."""
    size = 4 if t.shape[1] * real.itemsize > 32768 else 8
    slabs = []
    for begin, end in slabs_of_rows(t.shape, real):
        sums = Accumulator(real, t.shape[1])
        for i in range(begin, end, size):
            rows = slice(i, min(i + size, end))
            sums.add(group(t[rows] if wide[rows].any() else t[rows].astype(real)))
        slabs.append(sums)
    in_pairs(slabs)
    return slabs[0].total.astype(real)


def exact_gradient(t, real, multiple=16):
    slabs = [exact_sum(t[begin:end], 2) for begin, end in slabs_of_rows(t.hi.shape, real, multiple)]
    in_pairs(slabs)
    return slabs[0].total.astype(real)


def slabs_of_rows(shape, real, multiple=16):
    m, n = shape
    most = min(max(m * n * real.itemsize // 262144, 1), 32)
    slab = round_up(math.ceil(m / most), multiple)
    return [(begin, min(begin + slab, m)) for begin in range(0, m, slab)]


# ---- RMSNorm ---------------------------------------------------------------------------------------------------------


def rms_norm(x, gamma=None, *, eps=1e-5):
    """y, rstd."""
    real, n = x.dtype, x.shape[1]
    s = row_sum((x * x).T)
    rstd = inverse_root(s * inverse(n), eps)
    tiny, hiding = (2.0**-120, 1e-30) if real == np.float32 else (2.0**-960, 1e-270)
    again = ~(s < np.inf) | ((s < n * tiny) & (eps < hiding))
    scale, r = np.ones(len(x)), rstd.copy()
    for i in np.flatnonzero(again):
        scale[i], r[i] = rms_again(x[i], f64(eps))
    y = x * r.astype(real)[:, None]
    y = y if gamma is None else y * gamma
    w = again & ~fits(r) if real == np.float32 else again
    wide = (f64(x[w]) * scale[w, None]) * r[w, None]
    y[w] = wide if gamma is None else wide * f64(gamma)
    return y, r * scale


def rms_again(x, eps):
    """scale and r of one row."""
    largest, scale = abs(f64(x)).max(), f64(1)
    if x.dtype == np.float64 and 0 < largest < np.inf:
        scale = np.ldexp(f64(1), min(1 - int(np.frexp(largest)[1]), 1023))
    if not eps * scale * scale < np.inf:
        return f64(1), 1 / np.sqrt(eps)
    scaled = f64(x) * scale
    var = lane_sum(x.dtype, scaled * scaled) * inverse(len(x))
    return scale, inverse_root(var, eps * scale * scale) if var < np.inf else f64(np.nan)


def rms_norm_backward(dy, x, rstd, gamma=None):
    """dx, dgamma."""
    real, n = x.dtype, x.shape[1]
    g = dy if gamma is None else dy * gamma
    s = row_sum((g * x).T)
    slope = rstd * (rstd * (s * inverse(n)))
    r = rstd.astype(real)[:, None]
    dx = g * r - (x * r) * slope.astype(real)[:, None]
    if real == np.float32:
        w = ~(moderate(rstd) & below(s))
    else:
        w = ~((f64(2.0**-400) <= rstd) & (rstd <= f64(2.0**400)) & (abs(s) < np.inf))
    dx[w] = rms_wide_rows(f64(dy[w]), f64(x[w]), rstd[w, None], gamma)
    if gamma is None:
        return dx, None
    return dx, exact_gradient(gradient_terms(dy, x, f64(0), rstd[:, None])[0], real, multiple=2)


def rms_wide_rows(dy, x, rstd, gamma):
    g = dy if gamma is None else dy * f64(gamma)
    slope = rstd * (one_by_one(np.float32, (g * (x * rstd)).T)[:, None] * inverse(x.shape[1]))
    return rstd * g - (x * rstd) * slope


# ---- BatchNorm backward ----------------------------------------------------------------------------------------------


def gradient_sums(dy, x, mean):
    """A and B."""
    plan = Plan(*x.shape, x.dtype)
    terms = gradient_terms(plan.folded(dy), plan.folded(x), np.tile(mean, plan.fold))
    tails = gradient_terms(plan.tail(dy).astype(x.dtype), plan.tail(x).astype(x.dtype), mean)
    slabs = ([exact_sum(t[begin:end]) for begin, end in plan.slabs] for t in terms)
    return [plan.together(*each) for each in zip(slabs, tails, strict=True)]


def batch_norm_backward(dy, x, mean, rstd, gamma=None):
    """dx, dgamma, dbeta."""
    real, inv = x.dtype, inverse(len(x))
    center = mean.astype(real)
    sum_dy_e, sum_dy = (sums.total for sums in gradient_sums(dy, x, mean))
    factor = rstd if gamma is None else f64(gamma) * rstd
    tilt = factor * rstd * rstd * (sum_dy_e * inv)
    scale, slope = factor.astype(real), tilt.astype(real)
    offset = (factor * (sum_dy * inv) - tilt * (mean - f64(center))).astype(real)
    dx = (dy * scale - about(x, center) * slope) - offset
    if real == np.float32:
        w = ~(fits(factor) & fits(tilt) & below(offset))
        xhat = (f64(x) - mean) * rstd
        dx[:, w] = (factor * ((f64(dy) - sum_dy * inv) - xhat * (rstd * (sum_dy_e * inv))))[:, w]
    dgamma = None if gamma is None else (sum_dy_e * rstd).astype(real)
    return dx, dgamma, sum_dy.astype(real)


def batch_norm_inference_backward(dy, x, running_mean, running_var, gamma=None, *, eps=1e-5):
    """dx, dgamma, dbeta."""
    real = x.dtype
    rstd = inverse_root(running_var, eps)
    sum_dy_e, sum_dy = (sums.total for sums in gradient_sums(dy, x, running_mean))
    factor = rstd if gamma is None else f64(gamma) * rstd
    dx = dy * factor.astype(real)
    if real == np.float32:
        w = ~fits(factor)
        dx[:, w] = (f64(dy) * factor)[:, w]
    dgamma = None if gamma is None else (sum_dy_e * rstd).astype(real)
    return dx, dgamma, sum_dy.astype(real)


# ---- GroupNorm and InstanceNorm --------------------------------------------------------------------------------------
# x and dy: (m, ..., c). Groups of columns of a sample are rows of (groups, k).


FEW_ROWS = 64
"""Samples of fewer rows are summed in double."""


def group_sum(terms, groups):
    """Of a term of each column, (c,) or (m, c): (groups,) or (m, groups)."""
    of_groups = np.moveaxis(f64(terms).reshape(*terms.shape[:-1], groups, -1), -1, 0)
    return 0 + block(of_groups) if len(of_groups) <= 512 else row_sum(of_groups)


def fours(terms):
    """Terms of each row, (p, ...); what adds them is theirs."""
    return in_order([in_order([terms[i] for i in range(j, min(j + 4, len(terms)))]) for j in range(0, len(terms), 4)])


def samples_of(x):
    return x.reshape(len(x), -1, x.shape[-1])


def of_columns(a, columns):
    """Numbers of groups, (m, groups), for each column: (m, 1, c)."""
    return np.repeat(a, columns // a.shape[-1], axis=-1)[..., None, :]


def group_norm(x, gamma=None, beta=None, *, groups, eps=1e-5):
    """y, mean, rstd."""
    real, c = x.dtype, x.shape[-1]
    gamma = np.ones(c, real) if gamma is None else gamma
    beta = np.zeros(c, real) if beta is None else beta
    samples = samples_of(x)
    if samples.shape[1] < FEW_ROWS:
        y, mean, rstd = group_norm_of_few_rows(samples, gamma, beta, groups, eps)
    else:
        each = [group_norm_of_a_sample(sample, gamma, beta, groups, eps) for sample in samples]
        y, mean, rstd = (np.stack(results) for results in zip(*each, strict=True))
    return y.reshape(x.shape), mean, rstd


def group_norm_of_few_rows(x, gamma, beta, groups, eps):
    (_, p, c), real = x.shape, x.dtype
    inv, rows = inverse(p * (c // groups)), f64(np.moveaxis(x, 1, 0))
    pivot = x[:, 0, :: c // groups] if real == np.float32 else group_sum(fours(rows), groups) * inv
    d = rows - f64(of_columns(pivot, c))[:, 0]
    s1, s2 = (group_sum(fours(t), groups) for t in (d, d * d))
    center, rest, m2 = finish(np.empty((p * (c // groups), 0), real), f64(pivot), s1, s2)
    mean, rstd = center + rest, inverse_root(m2 * inv, eps)
    high, low, r = (of_columns(a.astype(real), c) for a in (center, rest, rstd))
    y = (about(x, high) - low) * r * gamma + beta
    if real == np.float32:
        w = np.broadcast_to(of_columns(~fits(rstd), c), x.shape)
        y[w] = ((f64(x) - of_columns(mean, c)) * of_columns(rstd, c) * f64(gamma) + f64(beta))[w]
    return y, mean, rstd


def group_norm_of_a_sample(x, gamma, beta, groups, eps):
    (p, c), real = x.shape, x.dtype
    k, n = c // groups, f64(p * (c // groups))
    center, rest, m2 = moments(x, column_pivot(x), channel_sums, eps, pivots=1)
    rough = group_sum(center + rest, groups) / f64(k)
    e = (center - np.repeat(rough, k)) + rest
    s1, s2 = group_sum(f64(p) * e, groups), group_sum(m2 + f64(p) * e * e, groups)
    shift = s1 / n
    m2 = s2 - s1 * shift
    high, low = two_sum(rough, shift) if real == np.float64 else split_float32(rough + shift)
    mean, rstd = high + low, inverse_root(np.where(m2 < 0, 0.0, m2) / n, eps)
    given = (np.repeat(a, k) for a in (high.astype(real), low, mean, rstd))
    return affine(x, *given, gamma, beta, hidden=True), mean, rstd


def split_float32(v):
    center = f64(v.astype(np.float32))
    return center, v - center


def instance_norm(x, gamma=None, beta=None, *, eps=1e-5):
    """y, mean, rstd."""
    return group_norm(x, gamma, beta, groups=x.shape[-1], eps=eps)


def group_norm_backward(dy, x, mean, rstd, gamma=None):
    """dx, dgamma, dbeta."""
    real, c = x.dtype, x.shape[-1]
    weight = np.ones(c, real) if gamma is None else gamma
    samples = samples_of(x), samples_of(dy)
    few = samples[0].shape[1] < FEW_ROWS
    part = group_gradient_of_few_rows if few else group_gradient_of_samples
    dx, weighed, sums = part(*samples, mean, rstd, weight)
    slabs = slabs_of_few_rows(samples[0]) if few else slabs_of_samples(samples[0])
    dgamma, dbeta = (sum_of_samples(t, slabs).astype(real) for t in (weighed, sums))
    return dx.reshape(x.shape), None if gamma is None else dgamma, dbeta


instance_norm_backward = group_norm_backward


def group_gradient_of_few_rows(x, dy, mean, rstd, gamma):
    """dx, and what each sample adds to dgamma and dbeta."""
    (_, p, c), real = x.shape, x.dtype
    groups = mean.shape[1]
    mean_of, rstd_of = of_columns(mean, c), of_columns(rstd, c)
    terms = gradient_terms(np.moveaxis(dy, 1, 0), np.moveaxis(x, 1, 0), mean_of[:, 0])
    a, b = (fours(t) for t in terms)
    s1, s2 = (group_sum(t.total * f64(gamma), groups) for t in (b, a))
    bias, slope = coefficients(rstd, s1, s2, p * (c // groups))
    center = mean.astype(real)
    offset = (bias - slope * (mean - f64(center))).astype(real)
    high, r, k, o = (of_columns(t, c) for t in (center, rstd.astype(real), slope.astype(real), offset))
    dx = ((dy * gamma) * r - about(x, high) * k) - o
    if real == np.float32:
        wide = ~(moderate(rstd) & below(s1) & below(s2) & fits(slope))
        w = np.broadcast_to(of_columns(wide, c), x.shape)
        dx[w] = wide_gradient(x, dy, mean_of, rstd_of, gamma, of_columns(slope, c), of_columns(bias, c))[w]
        return dx, Exact(real, a.hi * rstd_of[:, 0], a.lo), b
    return dx, Exact(real, *pair_times((a.hi, a.lo), rstd_of[:, 0])), b


def wide_gradient(x, dy, mean, rstd, gamma, slope, bias):
    return (f64(dy) * (f64(gamma) * rstd) - (f64(x) - mean) * slope) - bias


def group_gradient_of_samples(x, dy, mean, rstd, gamma):
    """The same of more rows."""
    (m, p, c), real = x.shape, x.dtype
    groups = mean.shape[1]
    n, dx, parts = f64(p * (c // groups)), [], []
    for i in range(m):
        mean_of, rstd_of = (of_columns(s[i], c)[0] for s in (mean, rstd))
        a, b = gradient_sums(dy[i], x[i], mean_of)
        s1, s2 = (group_sum(t.total * f64(gamma), groups) for t in (b, a))
        tilt, bias = rstd[i] * (rstd[i] * (rstd[i] * (s2 / n))), rstd[i] * (s1 / n)
        tilt, bias = (of_columns(t, c)[0] for t in (tilt, bias))
        center, factor = mean_of.astype(real), f64(gamma) * rstd_of
        offset = (bias - tilt * (mean_of - f64(center))).astype(real)
        result = (dy[i] * factor.astype(real) - about(x[i], center) * tilt.astype(real)) - offset
        if real == np.float32:
            w = ~(fits(np.where(factor == 0, rstd_of, factor)) & fits(tilt) & below(offset))
            result[:, w] = wide_gradient(x[i], dy[i], mean_of, rstd_of, gamma, tilt, bias)[:, w]
        dx.append(result)
        parts.append((a, b, rstd_of))
    weighed = [weighed_sum(real, a, r) for a, _, r in parts]
    return np.stack(dx), weighed, [Exact(real, b.hi, b.lo) for _, b, _ in parts]


def weighed_sum(real, a, rstd):
    if real == np.float32:
        return Exact(real, rstd * a.hi, a.lo)
    p, q = two_product(rstd, a.hi)
    return Exact(real, p, q + rstd * a.lo)


def sum_of_samples(terms, slabs):
    sums = []
    for begin, end in slabs:
        sums.append(Accumulator(terms[0].real, terms[0].hi.shape))
        for i in range(begin, end):
            sums[-1].add(terms[i])
    in_pairs(sums)
    return sums[0].total


def slabs_of_few_rows(x):
    m, p, c = x.shape
    return slabs_of_rows((m, p * c), x.dtype, multiple=math.ceil(32 / p))


def slabs_of_samples(x):
    m, p, _ = x.shape
    most = 1 if x[0].nbytes >= 2**21 else max(1, min(x.nbytes // 2**18, m * p // 32, 32))
    slab = math.ceil(m / most)
    return [(i, min(i + slab, m)) for i in range(0, m, slab)]
