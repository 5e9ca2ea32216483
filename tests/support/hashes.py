"""SHA-256 of results, one for each operation, dtype and shape: they pin the bits from release to release.

    cd tests && ../.venv/bin/python -m support.hashes

writes `tests/hashes.json`. The data are integers of a generator that stands here, scaled by powers of two: no random
stream or function of NumPy or of a C library has a say in them.
"""

import functools
import hashlib
import json
from pathlib import Path

import numpy as np

from support.arrays import DTYPES
from support.operations import GROUPED, OPERATIONS

FILE = Path(__file__).resolve().parent.parent / "hashes.json"
COMMAND = "cd tests && ../.venv/bin/python -m support.hashes"

# Short and odd; an ordinary layer; long rows; few and very many rows, folded; results that are written past the cache.
SHAPES = [(7, 33), (1000, 64), (40, 1031), (2, 70_001), (70_001, 3), (6200, 513)]

# One position, few, an ordinary layer, folded channels; one sample in slabs, and written past the cache.
SAMPLES = [(33, 1, 96), (7, 9, 30), (4, 49, 256), (3, 700, 12), (1, 4100, 130), (70, 160, 300)]


@functools.cache
def stream():
    """A prime number of signed integers of 24 bits, from the linear congruential generator of Knuth's MMIX."""
    numbers, state = [], 1
    for _ in range(65_537):
        state = (6364136223846793005 * state + 1442695040888963407) % 2**64
        numbers.append((state >> 40) - 2**23)
    return np.array(numbers)


def integers(shape, place):
    return np.resize(np.roll(stream(), -place), shape).astype(np.float64)


@functools.cache
def data(shape, dtype, place):
    """Numbers between -8 and 8, with large rows, subnormal rows and columns of a large mean among them."""
    a = integers(shape, place)
    subnormal = a[3::7] * float(np.finfo(dtype).smallest_subnormal)
    a *= 2.0**-20
    a[::7] *= 1024
    a[:, ::5] += 3000
    a[3::7] = subnormal
    return a.astype(dtype)


def arguments_for(op, shape, dtype):
    """What `op` takes, from the recipe; what is not shaped like x lies between 1/2 and 3/2, as it may be a variance.

    The table of operations says on a small example what there is, and of which dtype.
    """
    example = np.arange(6).reshape(2, 3).astype(dtype)
    arguments = op.draw(example, -1, np.random.default_rng(0), example, 1e-5)
    sizes = dict(zip(example.shape, shape, strict=True))
    for i, (name, a) in enumerate(arguments.items()):
        if name in op.data:
            arguments[name] = data(shape, dtype, 1009 * i)
        elif isinstance(a, np.ndarray):
            of_this_shape = tuple(sizes[n] for n in a.shape)
            arguments[name] = (1 + integers(of_this_shape, 1009 * i) * 2.0**-24).astype(a.dtype)
    return arguments


def grouped_arguments_for(op, shape, dtype):
    """The same for samples: rows of x are those of the recipe, statistics are as many as the table says."""
    m, p, c = shape
    x, dy = (data((m * p, c), dtype, 1009 * i).reshape(shape) for i in range(2))
    arguments = op.draw(x[:, :1], -1, np.random.default_rng(0), dy[:, :1], 1e-5)
    for i, (name, a) in enumerate(arguments.items()):
        if isinstance(a, np.ndarray) and name not in op.data:
            arguments[name] = (1 + integers(a.shape, 1009 * i) * 2.0**-24).astype(a.dtype)
    return arguments | {"x": x} | ({"dy": dy} if "dy" in op.data else {})


@functools.cache
def cases():
    """Operation and arguments by the name of the case."""
    return of_rows_and_channels() | {
        f"{op} {np.dtype(dtype)} {m} x {p} x {c}": (op, grouped_arguments_for(op, (m, p, c), dtype))
        for op in GROUPED
        for dtype in DTYPES
        for m, p, c in SAMPLES
    }


def of_rows_and_channels():
    return {
        f"{op} {np.dtype(dtype)} {m} x {n}": (op, arguments_for(op, (m, n), dtype))
        for op in OPERATIONS
        for dtype in DTYPES
        for m, n in SHAPES
    }


def hash_of(results):
    sha = hashlib.sha256()
    for name in sorted(results):
        a = results[name]
        assert not np.isnan(a).any(), "the bits of NaNs are not promised"
        sha.update(a.astype(a.dtype.newbyteorder("<"), copy=False).tobytes())
    return sha.hexdigest()


def hashes():
    """The hash of each case, computed now."""
    return {name: hash_of(op(arguments)) for name, (op, arguments) in cases().items()}


if __name__ == "__main__":
    FILE.write_text(json.dumps(hashes(), indent=1) + "\n")
