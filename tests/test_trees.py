"""The library adds in the order of docs/reduction-trees.md, bit for bit, on every ISA.

`support.trees` is that page in NumPy. A difference means that the page, its transcription or a kernel is wrong.
"""

import numpy as np
import pytest

import fastnorm
from support import tree_sums, trees
from support.arrays import DTYPES, assert_same_bits, draw, hostile
from support.isas import ISAS, using
from support.operations import BY_NAME, GROUPED, OPERATIONS

dtypes = pytest.mark.parametrize("dtype", DTYPES)

# What a case holds: x, then dy. "hostile" mixes everything, rows and columns of NaN and infinity among them.
DATA = [
    ("hostile", "hostile"),
    ("normal", "normal"),
    ("mean_1e6", "mean_1e3"),
    ("sorted", "sorted"),
    ("first_row_outlier", "first_row_outlier"),
    ("constant", "mean_1e3"),
    ("1e25", "normal"),
    ("1e-25", "1e25"),
    ("mean_1e25", "1e-25"),
    ("huge_means", "normal"),
    ("misleading", "misleading_dy"),
    ("signed_zeros", "normal"),
]

# Lengths around each place where a lane, a unit, a quad, a strip or a block ends, for both dtypes: every lane and unit
# of the first quads, then quads and strips of a first block (512 or 1024) and of a second one, and some blocks.
ENDS = [96, 128, 192, 256, 384, 512, 576, 640, 768, 896, 1024, 1088, 1280, 1536, 2048, 3072, 4096]
LENGTHS = [*range(1, 71), *(n + k for n in ENDS for k in (-1, 0, 1))]
FEW_ROWS = [1, 2, 3, 7, 8, 9, 15, 16, 17, 33]
# Groups of 16 and of 8, the least slab of 64, and rows by the thousand.
ROWS = [*range(1, 71), 127, 128, 129, 255, 256, 257, 1023, 1024, 1025, 2048, 2049, 3000, 3071]
CHANNELS = [*range(1, 41), 63, 64, 65, 255, 256, 257, 511, 512, 513, 600, 1025]
# More than one slab of 256 KB, and 32 of them from 8 MB on; rows of more than 32 KB.
LARGE_ROWS = [(2100, 64), (5003, 31), (40, 4097), (600, 257), (70_001, 3), (34, 8193), (5000, 430), (3, 20_001)]
# Rows of a LayerNorm backward up to which it adds plain terms, and a few more: of one to three slices, and of rows
# beyond 32 KB. Of more rows terms are exact, two at a time.
PLAIN = [(trees.PLAIN_ROWS + k, n) for n in (1, 2, 15, 16, 33, 130, 512, 600, 1031) for k in (-1, 0, 1, 2, 3, 4, 9)]
PLAIN += [(trees.PLAIN_ROWS + k, n) for n in (4097, 8193) for k in (0, 1)]
LARGE_COLUMNS = [(2100, 64), (5003, 31), (230, 600), (6001, 24), (70_001, 3), (5000, 430), (300_003, 1), (90_003, 24)]
# Just folded, and just not.
FOLDED = [(256, 255), (255, 255), (128, 255), (127, 255), (300, 248), (300, 256), (300, 264), (63, 4), (64, 4)]
# Just two slabs, or three, or eight, and just not: of 512 columns, and of more, which count as 512.
SLABS = [(m + k, c) for m in (128, 256) for k, c in ((-1, 512), (-1, 1031), (0, 512), (1, 1031))]
SLABS += [(383, 600), (384, 600), (300, 511), (1023, 513)]
# Few rows, but many slices of columns; from 4096 on the last one may be narrow enough to be folded, were it an array.
WIDE = [(8, 5000), (3, 2050), (1, 4100), (17, 1537), (70, 1025), (33, 4097), (77, 4196), (40, 4104), (64, 4350)]

# Samples: rows around fours and where they are no longer few; channels around units, quads, strips and blocks of eight
# doubles, and of groups that are all of them or 1, 2, ... of them.
FEW = [1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 31, 49, trees.FEW_ROWS - 1]
MORE = [trees.FEW_ROWS + k for k in (0, 1, 2, 13, 64, 200)] + [1023, 3000]
GROUPED_CHANNELS = [*range(1, 34), 40, 48, 60, 63, 64, 66, 72, 96, 120, 128, 130, 252, 256, 258, 384, 510, 512, 513]
GROUPED_CHANNELS += [516, 600, 1030, 1536, 2064]
# Slabs of samples: two, three and more, and just not; samples of 2 MB, and just less.
SAMPLES = [(64, 2, 512), (63, 2, 516), (100, 9, 300), (900, 1, 300), (70, 64, 60), (33, 100, 128), (40, 70, 96)]
SAMPLES += [(3, 1024, 512), (3, 1023, 512), (17, 40, 4100), (2, 3, 9000)]

ROW_OPERATIONS = ["layer_norm", "layer_norm_backward", "rms_norm", "rms_norm_backward"]
CHANNEL_OPERATIONS = ["batch_norm", "batch_norm_inference", "batch_norm_backward", "batch_norm_inference_backward"]


def data(kind, rng, shape, dtype):
    if kind == "hostile":
        return hostile(rng, shape, dtype)
    if kind in ("twins", "cancelling"):
        return twins(rng, shape, dtype, kind == "cancelling")
    if kind in ("misleading", "misleading_dy"):
        return misleading(rng, shape, dtype, kind == "misleading_dy")
    if kind == "offsets":  # means of 0 to 64 deviations: from some 32 on the BatchNorm backward takes a pivot of dy
        return (rng.standard_normal(shape) + rng.uniform(-64, 64, shape[1])).astype(dtype)
    if kind == "huge_means":  # from some 1e12 deviations on the center of a BatchNorm backward is the mean itself
        return (rng.standard_normal(shape) + 10.0 ** rng.uniform(10, 14, shape[1])).astype(dtype)
    if kind == "signed_zeros":
        return signed_zeros(rng, shape).astype(dtype)
    if kind in ("row_scales", "column_scales"):
        return scales(rng, shape, dtype, 0 if kind == "row_scales" else 1)
    return draw(kind, rng, shape, dtype)


def twins(rng, shape, dtype, opposite):
    """Every number twice in its column, or of all sizes and with its negative, always at the same places.

    With twins as x and cancelling numbers as dy what is left of a sum is its rounding errors, which tell the order of
    addition like nothing else.
    """
    half = (-(-shape[0] // 2), *shape[1:])
    if opposite:
        reach = 8 if dtype == np.float32 else 20
        a = 10.0 ** rng.uniform(-reach, reach, half)
        a = np.concatenate([a, -a])
    else:
        a = rng.standard_normal(half)
        a = np.concatenate([a, a])
    places = np.random.default_rng(0).permuted(np.indices(a.shape)[0], axis=0)
    return np.take_along_axis(a, places, axis=0)[: shape[0]].astype(dtype)


def signed_zeros(rng, shape):
    """Zeros of both signs in rows and columns whose means are zero."""
    signs = [np.where(np.arange(count) % 2, -1.0, 1.0) for count in shape]
    numbers = np.repeat(rng.choice([0.0, 0.0, 1.0, 2.0], shape[1] // 2 + 1), 2)[: shape[1]]
    return np.multiply.outer(signs[0], signs[1] * numbers)


def misleading(rng, shape, dtype, gradient):
    """The samples that a pivot is made of say little of the rest, in some rows and columns; the others are as usual.

    What is summed is then small next to what it is summed about, and has to be summed again. A gradient has samples
    that are all the same, so that a pivot is taken, and is a mean, or near the mean, or not at all.
    """
    a = rng.standard_normal(shape)
    if gradient:
        a += rng.choice([0, 60, 80, 100], shape[1])
        a[sampled(shape[0])] = 100
    else:
        a[sampled(shape[0])] += rng.choice([0, 0, 1, 2, 3, 1e3], shape[1])
        a[:, sampled(shape[1])] += rng.choice([0, 0, 1, 2, 3, 1e3], (shape[0], 1))
    return a.astype(dtype)


def sampled(n):
    return [n * place // 65536 for place in tree_sums.PLACES]


@np.errstate(over="ignore")
def scales(rng, shape, dtype, axis):
    """Every row, or column, of another size, over the whole range of float32 and beyond: who is wide?"""
    lines = (shape[0], 1) if axis == 0 else (1, shape[1])
    a = rng.standard_normal(shape) + rng.choice([0, 0, 1, 1e3], lines)
    return (10.0 ** rng.uniform(-43, 38, lines) * a).astype(dtype)


def draws(seed, shapes):
    """Each shape with other data, another eps, and gamma and beta or not."""
    rng = np.random.default_rng(seed)
    for i, shape in enumerate(shapes):
        kinds = DATA[0] if i % 3 == 0 else DATA[rng.integers(1, len(DATA))]
        yield rng, shape, kinds, rng.choice([0, 1e-29, 1e-12, 1e-5]), rng.choice([None, None, "gamma", "beta", "both"])


def check(name, seed, shapes, dtype, same_kinds=None):
    op, tree = BY_NAME[name], getattr(trees, name)
    for rng, shape, drawn, eps, missing in draws(seed, shapes):
        kinds = same_kinds or drawn
        x, dy = (data(kind, rng, shape, dtype) for kind in kinds)
        arguments = op.draw(x, -1, rng, dy, eps)
        for parameter in ("gamma", "beta"):
            if missing in (parameter, "both") and parameter in arguments:
                arguments[parameter] = None
        expected = expect(op, tree, arguments)
        for isa in ISAS:
            with using(isa):
                results = op(arguments)
            results = {output: results[output] for output in op.outputs}
            assert_same_bits(results, expected, f"{isa}, {shape}, {kinds}, eps {eps}, without {missing}")


def check_samples(name, seed, shapes, dtype, same_kinds=None):
    """The same for (m, p, c), with every number of groups in turn that the drawn one allows."""
    op, tree = BY_NAME[name], getattr(trees, name)
    for rng, shape, drawn, eps, missing in draws(seed, shapes):
        kinds = same_kinds or drawn
        flat = (shape[0] * shape[1], shape[2])
        x, dy = (data(kind, rng, flat, dtype).reshape(shape) for kind in kinds)
        arguments = op.draw(x, -1, rng, dy, eps)
        groups = int(rng.choice([n for n in range(1, shape[2] + 1) if shape[2] % n == 0]))
        if name == "group_norm":
            arguments["groups"] = groups
        if name == "group_norm_backward":
            statistics = fastnorm.group_norm(x, groups=groups, eps=eps, return_stats=True)[1:]
            arguments |= dict(zip(("mean", "rstd"), statistics, strict=True))
        for parameter in ("gamma", "beta"):
            if missing in (parameter, "both") and parameter in arguments:
                arguments[parameter] = None
        expected = expect(op, tree, arguments)
        for isa in ISAS:
            with using(isa):
                results = op(arguments)
            results = {output: results[output] for output in op.outputs}
            assert_same_bits(
                results, expected, f"{isa}, {shape}, {groups} groups, {kinds}, eps {eps}, without {missing}"
            )


@np.errstate(all="ignore")
def expect(op, tree, arguments):
    leave_out = {"axis", "return_stats", "momentum", *op.updated}
    results = tree(**{k: v for k, v in arguments.items() if k not in leave_out})
    return dict(zip(op.outputs, results if isinstance(results, tuple) else (results,), strict=True))


def paired(seed, sizes, others, repeat=1):
    """Every size with one of the others in turn, in a drawn order."""
    rng = np.random.default_rng(seed)
    sizes = sizes * repeat
    return zip(sizes, rng.choice(others, len(sizes)), strict=True)


@dtypes
@pytest.mark.parametrize("name", ROW_OPERATIONS)
def test_rows(name, dtype):
    shapes = [(m, n) for n, m in paired(1, LENGTHS, FEW_ROWS, 2)]
    check(name, 2, shapes, dtype)


@dtypes
@pytest.mark.parametrize("name", ROW_OPERATIONS)
def test_many_rows(name, dtype):
    shapes = [(m, n) for m, n in paired(3, ROWS, [1, 2, 7, 16, 17, 40])] + LARGE_ROWS
    check(name, 4, shapes, dtype)


@dtypes
def test_rows_from_which_on_terms_are_exact(dtype):
    check("layer_norm_backward", 15, PLAIN, dtype)
    check("layer_norm_backward", 16, PLAIN, dtype, ("twins", "cancelling"))
    check("layer_norm_backward", 17, PLAIN, dtype, ("row_scales", "normal"))


@dtypes
@pytest.mark.parametrize("name", CHANNEL_OPERATIONS)
def test_columns(name, dtype):
    shapes = [(m, c) for m, c in paired(5, ROWS, CHANNELS)] + [(m, c) for c, m in paired(6, CHANNELS, ROWS, 2)]
    check(name, 7, shapes + FOLDED + WIDE, dtype)


@dtypes
@pytest.mark.parametrize("name", CHANNEL_OPERATIONS)
def test_large_columns(name, dtype):
    # the one without sums needs no more than a few
    check(name, 8, LARGE_COLUMNS[:3] if name == "batch_norm_inference" else SLABS + LARGE_COLUMNS, dtype)


@dtypes
@pytest.mark.parametrize("name", ["layer_norm_backward", "batch_norm_backward", "batch_norm_inference_backward"])
def test_sums_that_cancel(name, dtype):
    shapes = [(998, 33), (2100, 64), (9002, 31), (2600, 130), (257, 1031), (383, 600), (384, 600), (1023, 513)]
    check(name, 9, shapes + [(5000, 430)], dtype, ("twins", "cancelling"))


@dtypes
def test_pivots_of_gradients(dtype):
    check("batch_norm_backward", 12, [(3, 600), (8, 600), (200, 600), (2100, 63)], dtype, ("normal", "offsets"))


@dtypes
@pytest.mark.parametrize("name", ["layer_norm", "batch_norm", "batch_norm_backward"])
def test_samples_that_mislead(name, dtype):
    shapes = [(40, 40), (65, 300), (300, 65), (700, 17), (17, 1500), (2100, 63), (150, 1031), (5003, 31)]
    check(name, 13, 2 * shapes[:5] + shapes, dtype, ("misleading", "misleading_dy"))
    check(name, 14, shapes[:6], dtype, ("mean_1e3", "misleading_dy"))


grouped = pytest.mark.parametrize("name", [op.name for op in GROUPED])


@dtypes
@grouped
def test_samples(name, dtype):
    shapes = [(3, p, c) for c, p in paired(18, GROUPED_CHANNELS, FEW, 3)]
    shapes += [(2, p, c) for c, p in paired(19, GROUPED_CHANNELS, MORE)]
    check_samples(name, 20, shapes, dtype)


@dtypes
@grouped
def test_slabs_of_samples(name, dtype):
    check_samples(name, 21, SAMPLES if name.endswith("backward") else SAMPLES[-4:], dtype)
    if name.endswith("backward"):
        check_samples(name, 22, SAMPLES[:7], dtype, ("twins", "cancelling"))


@grouped
def test_every_size_of_numbers_in_samples(name):
    shapes = [(20, 5, 40), (30, 1, 96), (4, 64, 36), (3, 200, 48)]
    for seed, kinds in ((23, ("row_scales", "row_scales")), (24, ("column_scales", "normal"))):
        check_samples(name, seed, 4 * shapes, np.float32, kinds)


@pytest.mark.parametrize("name", [op.name for op in OPERATIONS])
def test_every_size_of_numbers(name):
    kind = "row_scales" if BY_NAME[name].statistics == "rows" else "column_scales"
    shapes = [(100, 100), (100, 300), (300, 200), (17, 600)]
    check(name, 10, 3 * shapes, np.float32, (kind, kind))
    check(name, 11, shapes, np.float32, (kind, "normal"))
