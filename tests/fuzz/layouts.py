"""Arrays with any strides, at any place of a memory whose other bytes are watched too."""

import numpy as np

_POOL_SIZE = 4096


def _pools():
    """Numbers to fill arrays with, drawn once; an array takes a slice from a random place on."""
    rng = np.random.default_rng(20150211)
    normal = rng.standard_normal(_POOL_SIZE)
    special = [np.nan, np.inf, -np.inf, 0.0, -0.0, 2**24, 1e300, -1e300, 1e150, 1e38, 1e-38, 1e-45, 1e-160, 5e-324]
    hostile = np.where(rng.random(_POOL_SIZE) < 0.3, rng.choice(special, _POOL_SIZE), normal)
    return {
        "normal": normal,
        "shifted": 1e6 + normal,
        "constant": np.full(_POOL_SIZE, 0.1),
        "spread": normal * 10.0 ** rng.uniform(-30, 30, _POOL_SIZE),
        "hostile": hostile,
        "few": rng.choice([0.0, 1.0, 2.0, 7.0], _POOL_SIZE),
    }


POOLS = _pools()
_KINDS = list(POOLS)


def fill(r, a):
    """Give the elements of `a` numbers; integers get small ones."""
    pool = POOLS["few" if a.dtype.kind in "iub" else r.choice(_KINDS)]
    if a.size > _POOL_SIZE:
        pool = np.resize(pool, a.size + 1)
    start = r.randrange(len(pool) - a.size + 1)
    a[...] = pool[start : start + a.size].reshape(a.shape)


def empty(r, shape, dtype):
    """An array not yet filled: mostly a plain one, else of random strides in a memory with room around it."""
    if r.random() < 0.6:
        return np.empty(shape, dtype)
    strides, low, high = spread(r, shape, dtype.itemsize)
    memory = np.zeros(r.choice((0, 1, 4, 64)) + high - low + r.choice((0, 0, 3, 64)), np.uint8)
    return place(memory, r.randrange(len(memory) - (high - low) + 1), shape, dtype, strides, low)


def together(r, arrays):
    """New arrays of these shapes and dtypes that lie in one memory and mostly overlap."""
    plans = []
    for shape, dtype in arrays:
        plain = r.random() < 0.6
        strides, low, high = spread(r, shape, dtype.itemsize, plain)
        plans.append((shape, dtype, strides, low, high - low))
    memory = np.zeros(max(size for *_, size in plans) + r.choice((0, 0, 1, 8, 100)), np.uint8)
    placed = []
    for shape, dtype, strides, low, size in plans:
        room = len(memory) - size
        start = r.choice((0, 0, r.randrange(room + 1), r.randrange(room // dtype.itemsize + 1) * dtype.itemsize))
        placed.append(place(memory, start, shape, dtype, strides, low))
    return placed


def spread(r, shape, itemsize, plain=False):
    """Strides, and the first and last byte that they reach. Axes in any order, with gaps, backwards, folded."""
    order = list(range(len(shape)))[::-1]
    if not plain and r.random() < 0.5:
        r.shuffle(order)
    strides = [0] * len(shape)
    step, low, high = itemsize, 0, itemsize
    for axis in order:
        stride = step
        if not plain:
            how = r.random()
            if how < 0.1:
                stride = 0
            elif how < 0.13:
                stride = r.randrange(step + 1)
            elif how < 0.4:
                stride = step * r.randint(1, 2) + r.choice((0, 0, 1, itemsize))
            if r.random() < 0.25:
                stride = -stride
        strides[axis] = stride
        reach = max(shape[axis] - 1, 0) * stride
        low, high = low + min(reach, 0), high + max(reach, 0)
        step = max(step, abs(stride) * shape[axis])
    if 0 in shape:
        low = high = 0
    return tuple(strides), low, high


def place(memory, start, shape, dtype, strides, low):
    return np.ndarray(shape, dtype, memory, start - low, strides)


def owner(a):
    """The array whose memory `a` looks at."""
    while isinstance(a.base, np.ndarray):
        a = a.base
    return a


def bytes_of(a):
    """A mark at every byte of the owner's memory that an element of `a` lies on."""
    whole = owner(a)
    marks = np.zeros(whole.nbytes, np.uint8)
    start = a.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    np.ndarray((*a.shape, a.itemsize), np.uint8, marks, start if a.size else 0, (*a.strides, 1))[...] = 1
    return marks


def overlaps_itself(a):
    if a.flags.c_contiguous or a.flags.f_contiguous:
        return False
    return int(bytes_of(a).sum()) < a.nbytes


def share_bytes(a, b):
    return owner(a) is owner(b) and bool((bytes_of(a) & bytes_of(b)).any())
