"""Awkward arrays: by what they hold (`DISTRIBUTIONS`) and by how they lie in memory (`LAYOUTS`)."""

import tempfile

import numpy as np

DTYPES = (np.float32, np.float64)

# What an array holds. Each entry draws float64 numbers that are rounded to the dtype under test.
# All but "denormal" stay accurate at any eps; their spread is never lost in the default eps
# except where that is the point (tiny, denormal, constant).


def _normal(rng, shape):
    return rng.standard_normal(shape)


def _mean(size):
    return lambda rng, shape: size + rng.standard_normal(shape)


def _times(size):
    return lambda rng, shape: size * rng.standard_normal(shape)


def _first_row_outlier(rng, shape):
    # A shift taken from the first row is a very bad shift.
    a = rng.standard_normal(shape)
    a[:1] *= 1e6
    return a


def _outlier(place):
    # In every row one number, and in every column one, at this part of the way.
    def values(rng, shape):
        a = rng.standard_normal(shape)
        for axis in {0, a.ndim - 1}:
            line = np.moveaxis(a, axis, 0)
            line[int(place * (len(line) - 1)) :][:1] *= 1e6
        return a

    return values


def _sorted(rng, shape):
    # Sorted along rows and along columns: every partial sum is far from the mean of the whole.
    return np.sort(rng.standard_normal(shape), axis=None).reshape(shape)


def _alternating(rng, shape):
    sign = 1 - 2 * (np.indices(shape).sum(axis=0) % 2)
    return 1e4 * sign + rng.standard_normal(shape)


def _constant_but_one(rng, shape):
    # One of every column, or of every row, whichever is longer.
    a = np.full(shape, 0.1)
    lines = a.reshape(-1, max(1, shape[-1]))
    row, column = np.indices(lines.shape)
    lines[(row - column) % max(lines.shape) == 0] = 0.7
    return a


def _feature_scales(rng, shape):
    scales = 10.0 ** rng.uniform(-4, 4, shape[-1:])
    return scales * (rng.standard_normal(shape) + rng.standard_normal(shape[-1:]))


def _sparse(rng, shape):
    return np.where(rng.random(shape) < 0.05, rng.standard_normal(shape), 0.0)


def _spikes(rng, shape):
    return np.where(rng.random(shape) < 0.02, 1e3, 0.0)


DISTRIBUTIONS = {
    "normal": _normal,
    "uniform": lambda rng, shape: rng.random(shape),
    "mean_1e1": _mean(1e1),
    "mean_1e2": _mean(1e2),
    "mean_1e3": _mean(1e3),
    "mean_1e4": _mean(1e4),
    "mean_1e5": _mean(1e5),
    "mean_1e6": _mean(1e6),
    "mean_-1e6": _mean(-1e6),
    "mean_1e7": _mean(1e7),
    "first_row_outlier": _first_row_outlier,
    "outlier_first": _outlier(0),
    "outlier_middle": _outlier(0.5),
    "outlier_last": _outlier(1),
    "sorted": _sorted,
    "alternating": _alternating,
    "constant": lambda rng, shape: np.full(shape, 0.1),
    "constant_but_one": _constant_but_one,
    "few_values": lambda rng, shape: rng.integers(0, 4, shape).astype(float),
    "sparse": _sparse,
    "spikes": _spikes,
    "cauchy": lambda rng, shape: rng.standard_cauchy(shape),
    "log_normal": lambda rng, shape: rng.lognormal(0, 3, shape),
    "feature_scales": _feature_scales,
    "1e25": _times(1e25),
    "mean_1e25": lambda rng, shape: 1e25 * (100 + rng.standard_normal(shape)),
    "1e-25": _times(1e-25),
    "1e-38": _times(1e-38),
}

# What dy can be to x, both without their means along each row or channel.
PARALLEL, ORTHOGONAL = "parallel", "orthogonal"
GRADIENTS = (PARALLEL, ORTHOGONAL)


# For x alone: sums of such gradients are beyond float32.
X_ONLY = {"1e38": lambda rng, shape: 1e38 * rng.uniform(-3, 3, shape)}

# Few numbers, with all their digits. Each sum and product of them is rounded the same way whenever it comes, so that
# errors of sums over rows grow with the number of rows, not with its root.
FEW_NUMBERS = {
    "two_rows": lambda rng, shape: rng.standard_normal((2, *shape[1:]))[rng.integers(0, 2, shape[:1])],
    "four_numbers": lambda rng, shape: rng.standard_normal(4)[rng.integers(0, 4, shape)],
    "pixels": lambda rng, shape: rng.integers(0, 256, shape) / 255,
    "one_hot": lambda rng, shape: (rng.random(shape) < 0.1) - 0.1,  # as softmax gives gradients
}


def draw(distribution, rng, shape, dtype):
    """An array of `shape` and `dtype` from one of the tables above, or of denormal numbers."""
    if distribution == "denormal":
        info = np.finfo(dtype)
        most = 2 ** (info.nmant - 1)
        return (rng.integers(-most, most, shape) * float(info.smallest_subnormal)).astype(dtype)
    return (DISTRIBUTIONS | X_ONLY | FEW_NUMBERS)[distribution](rng, shape).astype(dtype)


def draw_gradient(name, rng, x, reduced):
    """dy for `x`: one of `GRADIENTS`, where `reduced` are the axes of a mean, or a distribution."""
    if name not in GRADIENTS:
        return draw(name, rng, x.shape, x.dtype)
    wide = x.astype(np.longdouble)
    xhat = wide - wide.mean(reduced, keepdims=True)
    xhat /= np.maximum(np.abs(xhat).max(reduced, keepdims=True), np.finfo(x.dtype).tiny)
    if name == PARALLEL:
        return xhat.astype(x.dtype)
    dy = rng.standard_normal(x.shape)
    dy = dy - dy.mean(reduced, keepdims=True)
    squares = np.square(xhat).sum(reduced, keepdims=True)
    part = (dy * xhat).sum(reduced, keepdims=True) / np.where(squares == 0, 1, squares)
    return (dy - part * xhat).astype(x.dtype)


def hostile(rng, shape, dtype):
    """Neighbours that have nothing in common: every row, or column, of another distribution.

    A kernel that looks after a bad row or channel (not finite, out of range, constant) must not
    change a bit of the next one, so both directions come mixed. For comparing bits, not errors.
    """
    names = [*DISTRIBUTIONS, "denormal", "nan", "inf"]
    a = rng.standard_normal(shape)
    rows = a.reshape(shape[0] if len(shape) > 1 else 1, -1)
    for line in (*_some(rng, rows, 0.3), *_some(rng, rows.T, 0.1)):
        name = names[rng.integers(len(names))]
        if name in ("nan", "inf"):
            line[rng.integers(line.size)] = float(name)
        else:
            line[:] = draw(name, rng, line.shape, dtype)
    with np.errstate(all="ignore"):
        return a.astype(dtype)


def _some(rng, rows, share):
    count = min(50, rng.binomial(len(rows), share))
    return (rows[i] for i in rng.choice(len(rows), count, replace=False))


# How an array lies in memory. Each entry gives the values of `a` in another layout; all but
# "read_only" and "memory_mapped" can be written to.


class Subclass(np.ndarray):
    """A subclass that only has another type."""


def _strided(a):
    wide = np.empty(a.shape[:-1] + (2 * a.shape[-1],), a.dtype)
    wide[...] = 77
    wide[..., ::2] = a
    return wide[..., ::2]


def _every_third_row(a):
    wide = np.full((3 * len(a),) + a.shape[1:], 77, a.dtype)
    wide[::3] = a
    return wide[::3]


def _rows_apart(a):
    # Rows are contiguous but not next to each other, and start off any vector boundary.
    wide = np.full(a.shape[:-1] + (a.shape[-1] + 3,), 77, a.dtype)
    wide[..., 1:-2] = a
    return wide[..., 1:-2]


def _negative(a):
    backwards = (slice(None, None, -1),) * a.ndim
    return a[backwards].copy()[backwards]


def _misaligned(a):
    raw = np.empty(a.nbytes + 1, np.uint8)[1:]
    result = raw.view(a.dtype).reshape(a.shape)
    result[...] = a
    return result


def _field(a):
    # A column of a packed table: strides are no multiple of the item size.
    table = np.zeros(a.shape, [("tag", np.uint8), ("value", a.dtype)])
    table["value"] = a
    return table["value"]


def _read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def _memory_mapped(a):
    if a.size == 0:
        return _read_only(a)  # an empty file cannot be mapped
    with tempfile.TemporaryFile() as file:
        file.write(np.ascontiguousarray(a).tobytes())
        file.flush()
        return np.memmap(file, a.dtype, "r", shape=a.shape)


WRITEABLE_LAYOUTS = {
    "strided": _strided,
    "every_third_row": _every_third_row,
    "rows_apart": _rows_apart,
    "negative": _negative,
    "transposed": lambda a: a.T.copy().T,
    "misaligned": _misaligned,
    "field": _field,
}

LAYOUTS = {
    **WRITEABLE_LAYOUTS,
    "big_endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "little_endian": lambda a: a.astype(a.dtype.newbyteorder("<")),
    "big_endian_strided": lambda a: _strided(a.astype(a.dtype.newbyteorder(">"))),
    "read_only": _read_only,
    "memory_mapped": _memory_mapped,
    "subclass": lambda a: a.copy().view(Subclass),
}

EMPTY_SHAPES = [(0,), (0, 5), (5, 0), (0, 0), (2, 0, 3), (2, 3, 0), (0, 3, 4, 5), (3, 4, 0, 5)]


def at_offset(a, offset):
    """A copy of `a` that begins so many bytes after the beginning of a cache line."""
    room = np.empty(a.nbytes + 128, np.uint8)
    start = -room.ctypes.data % 64 + offset
    result = room[start : start + a.nbytes].view(a.dtype).reshape(a.shape)
    result[...] = a
    return result


# What the tests compare with.


def same_bits(a, b):
    """Whether two arrays are the same in shape, dtype and every bit, the bits of NaNs aside."""
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    with np.errstate(invalid="ignore"):  # signaling NaNs of halves
        numbers, also_numbers = ~np.isnan(a), ~np.isnan(b)
    unsigned = f"u{a.itemsize}"
    return np.array_equal(numbers, also_numbers) and np.array_equal(
        a.view(unsigned)[numbers], b.view(unsigned)[numbers]
    )


def assert_same_bits(got, expected, what=""):
    """Compare dicts of outputs, None for None, with `same_bits`."""
    assert got.keys() == expected.keys()
    for name, b in expected.items():
        a = got[name]
        if a is None or b is None:
            assert a is b, f"{what}: {name} is {a}, expected {b}"
        elif not same_bits(a, b):
            raise AssertionError(f"{what}: {name} differs: {_difference(a, b)}")


def _difference(a, b):
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"{a.dtype} {a.shape}, expected {b.dtype} {b.shape}"
    bad = np.argwhere((a != b) & ~(np.isnan(a) & np.isnan(b)))
    if len(bad) == 0:
        return "the signs of zeros"
    first = tuple(int(i) for i in bad[0])
    return f"{len(bad)} of {a.size}, first at {first}: {a[first]!r}, expected {b[first]!r}"
