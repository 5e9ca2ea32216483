"""Dropout: the mask is what the key says, everywhere; y and dx are x and dy with it."""

import hashlib
import itertools

import numpy as np
import pytest

import fastnorm
from fastnorm import reference
from support import philox, processes
from support.arrays import DTYPES, LAYOUTS, WRITEABLE_LAYOUTS, assert_same_bits
from support.guarded import Guarded
from support.isas import ISAS, using

dtypes = pytest.mark.parametrize("dtype", DTYPES)
KEYS = [(0, 0), (1, 0), (0, 1), (2**64 - 1, 2**64 - 1), (0x299F31D0A4093822, 0x0370734413198A2E)]
# Around blocks of four, bytes of the mask, what is drawn at a time, and what a thread takes.
SIZES = [*range(301), 511, 512, 513, 767, 768, 769, 1000, 8191, 8192, 8193, 20_001]

GUARDED_SIZES = [*range(1, 70), 255, 256, 257, 300, 511, 513, 900]


def kept(size, p, key):
    """The mask, word by word."""
    threshold = min(round(p * 2**32), 2**32 - 1)
    return np.array([philox.word(i, *key) >= threshold for i in range(size)])


@pytest.mark.parametrize(
    "counter, key, expected",
    [
        ((0,) * 4, (0,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_published_vectors(counter, key, expected):
    assert philox.rounds(counter, key) == expected


@dtypes
@pytest.mark.parametrize("key", KEYS)
def test_the_mask_is_that_of_philox(dtype, key, isa, rng):
    for size, p in [(300, 0.5), (97, 0.1), (64, 0.9)]:
        x = rng.standard_normal(size).astype(dtype)
        y, mask = fastnorm.dropout(x, p, key, return_mask=True)
        expected = kept(size, p, key)
        assert np.array_equal(y, np.where(expected, x * dtype(1 / (1 - p)), dtype(0)))
        assert np.array_equal(mask, np.packbits(expected, bitorder="little"))
        assert not np.signbit(y[~expected]).any()


@dtypes
def test_every_size_on_every_isa_as_the_reference(dtype, rng):
    for size in SIZES:
        x = rng.standard_normal(size).astype(dtype)
        key = tuple(rng.integers(2**64, size=2, dtype=np.uint64).tolist())
        expected = reference.dropout(x, 0.3, key, return_mask=True)
        for isa in ISAS:
            with using(isa):
                got = fastnorm.dropout(x, 0.3, key, return_mask=True)
            assert_same_bits(dict(enumerate(got)), dict(enumerate(expected)), f"{isa}, {size}")


@dtypes
@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_the_same_for_any_number_of_threads(dtype, n):
    x = np.ones((777, 1001), dtype)
    expected = reference.dropout(x, 0.25, (3, 4), return_mask=True)
    with fastnorm.threads(n):
        got = fastnorm.dropout(x, 0.25, (3, 4), return_mask=True)
    assert_same_bits(dict(enumerate(got)), dict(enumerate(expected)))


def test_the_bits_stay_from_release_to_release():
    _, mask = fastnorm.dropout(np.empty(10**6, np.float32), 0.5, (2014, 2011), return_mask=True)
    expected = "2c35d1bb25403d8900624d955ac6e4495ddd2314e37a206b85e28cc3ffcc09cb"
    assert hashlib.sha256(mask.tobytes()).hexdigest() == expected


@dtypes
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout(dtype, layout, rng):
    x = rng.standard_normal((20, 35)).astype(dtype)
    expected = fastnorm.dropout(x, 0.5, (7, 8))
    moved = LAYOUTS[layout](x)
    assert_same_bits({"y": fastnorm.dropout(moved, 0.5, (7, 8))}, {"y": expected})
    assert_same_bits({"x": np.array(moved, dtype)}, {"x": x})


@dtypes
@pytest.mark.parametrize("layout", WRITEABLE_LAYOUTS)
def test_out_of_any_layout(dtype, layout, rng):
    x = rng.standard_normal((20, 35)).astype(dtype)
    expected = fastnorm.dropout(x, 0.5, (7, 8))
    out = WRITEABLE_LAYOUTS[layout](np.zeros_like(x))
    assert fastnorm.dropout(x, 0.5, (7, 8), out=out) is out
    assert_same_bits({"y": np.array(out)}, {"y": expected})


@dtypes
def test_in_place_and_overlapping(dtype, rng):
    x = rng.standard_normal(1000).astype(dtype)
    for out, given in [(slice(0, 900), slice(0, 900)), (slice(0, 900), slice(1, 901)), (slice(5, 905), slice(0, 900))]:
        memory = x.copy()
        expected = fastnorm.dropout(x[given], 0.5, (7, 8))
        fastnorm.dropout(memory[given], 0.5, (7, 8), out=memory[out])
        assert np.array_equal(memory[out], expected)


@dtypes
def test_backward_has_the_same_mask(dtype, rng):
    dy = rng.standard_normal((30, 41)).astype(dtype)
    assert_same_bits({"dx": fastnorm.dropout_backward(dy, 0.4, (5, 6))}, {"dx": fastnorm.dropout(dy, 0.4, (5, 6))})
    in_place = dy.copy()
    assert fastnorm.dropout_backward(in_place, 0.4, [5, 6], out=in_place) is in_place
    assert np.array_equal(in_place, fastnorm.dropout(dy, 0.4, (5, 6)))


@pytest.mark.parametrize("p", [0.01, 0.3, 0.5, 0.77, 0.999])
def test_the_rate_and_that_neighbours_are_independent(p):
    size = 1_000_000
    for key in KEYS:
        _, mask = fastnorm.dropout(np.empty(size, np.float32), p, key, return_mask=True)
        bits = np.unpackbits(mask, bitorder="little")[:size].astype(float)
        sigma = np.sqrt(p * (1 - p) / size)
        assert abs(bits.mean() - (1 - p)) < 5 * sigma
        both = bits - (1 - p)
        for distance in (1, 2, 3, 4, 5, 64, 256):
            assert abs((both[distance:] * both[:-distance]).mean()) < 5 * p * (1 - p) / np.sqrt(size - distance)


def test_other_keys_give_other_masks():
    masks = [fastnorm.dropout(np.empty(4096, np.float32), 0.5, key, return_mask=True)[1] for key in KEYS]
    for i, a in enumerate(masks):
        for b in masks[:i]:
            equal = (np.unpackbits(a) == np.unpackbits(b)).mean()
            assert abs(equal - 0.5) < 5 * 0.5 / np.sqrt(4096)


@dtypes
def test_the_ends_of_p(dtype, rng):
    x = rng.standard_normal(5000).astype(dtype)
    assert_same_bits({"y": fastnorm.dropout(x, 0, (1, 2))}, {"y": x})
    assert_same_bits({"y": fastnorm.dropout(x, 1e-300, (1, 2))}, {"y": x})
    assert not fastnorm.dropout(x, np.nextafter(1, 0), (1, 2)).any()


@pytest.mark.parametrize("near", [0, 1, 2, 3])
def test_a_word_that_is_the_threshold_keeps(near, isa):
    """p * 2**32 is rounded, half to even: no rate could show it."""
    for i in range(near, 400, 4):
        word = philox.word(i, 1, 2)
        for halves in range(-4, 5):
            p = (word + halves / 2) / 2**32
            _, mask = fastnorm.dropout(np.zeros(i + 1, np.float32), p, (1, 2), return_mask=True)
            keeps = halves <= 0 or (halves == 1 and word % 2 == 0)
            assert mask[i // 8] >> i % 8 == keeps


@dtypes
def test_the_scale_is_rounded_once(dtype, rng):
    x = rng.standard_normal(1000).astype(dtype)
    for p in [0.1, 1 / 3, 0.7, 0.9, 1 - 2**-20, *rng.uniform(size=20)]:
        y, mask = fastnorm.dropout(x, p, (3, 1), return_mask=True)
        bits = np.unpackbits(mask, count=x.size, bitorder="little").astype(bool)
        assert_same_bits({"y": y}, {"y": np.where(bits, x * dtype(1 / (1 - float(p))), dtype(0))})


def call_with_guards(isa):
    with using(isa):
        rooms = Guarded(8 * 900), Guarded(8 * 900)
        for n, dtype, place, offset in itertools.product(GUARDED_SIZES, DTYPES, ("at_end", "at_begin"), (0, 8, 24)):
            x, out = (getattr(room, place)((n,), dtype, offset) for room in rooms)
            x[:] = 1
            print(n, dtype, place, offset, flush=True)
            fastnorm.dropout(x, 0.3, (1, 2), out=out, return_mask=True)
            assert (x == 1).all() and all(room.gap_is_whole() for room in rooms)


@pytest.mark.unsanitized("guard pages need no sanitizer")
def test_nothing_beyond_the_ends(isa):
    result = processes.run(call_with_guards, isa)
    assert result.returncode == 0, f"status {result.returncode} in {result.stdout.splitlines()[-1:]}: {result.stderr}"


@dtypes
def test_what_is_dropped_does_not_matter(dtype):
    x = np.array([np.nan, np.inf, -np.inf, -1.0] * 50, dtype)
    mask = kept(200, 0.5, (9, 9))
    y = fastnorm.dropout(x, 0.5, (9, 9))
    assert not y[~mask].any() and not np.signbit(y[~mask]).any()
    assert np.array_equal(y[mask], x[mask] * 2, equal_nan=True)


def test_a_generator_gives_a_key():
    x = np.ones(100)
    key = fastnorm.dropout_key(np.random.default_rng(5))
    assert np.array_equal(fastnorm.dropout(x, 0.5, np.random.default_rng(5)), fastnorm.dropout(x, 0.5, key))
    rng = np.random.default_rng(5)
    assert not np.array_equal(fastnorm.dropout(x, 0.5, rng), fastnorm.dropout(x, 0.5, rng))
    assert np.array_equal(fastnorm.dropout(x, 0.5, tuple(map(np.uint64, key))), fastnorm.dropout(x, 0.5, key))


@pytest.mark.parametrize(
    "x, p, out", [(None, 0.5, None), (np.ones(3), 1, None), (np.ones(3), 0.5, np.ones(2))], ids=["x", "p", "out"]
)
def test_a_refused_call_draws_nothing_from_a_generator(x, p, out):
    rng, fresh = np.random.default_rng(5), np.random.default_rng(5)
    with pytest.raises((TypeError, ValueError)):
        fastnorm.dropout(x, p, rng, out=out)
    assert rng.bit_generator.state == fresh.bit_generator.state


def test_empty_arrays_integers_and_lists():
    y, mask = fastnorm.dropout(np.empty((0, 3), np.float32), 0.5, (1, 2), return_mask=True)
    assert y.shape == (0, 3) and y.dtype == np.float32 and mask.shape == (0,)
    for x in (np.arange(6), [0, 1, 2, 3, 4, 5]):
        y = fastnorm.dropout(x, 0.5, (1, 2))
        assert y.dtype == np.float64
        assert np.array_equal(y, fastnorm.dropout(np.arange(6.0), 0.5, (1, 2)))


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ((np.ones(3), 1, (1, 2)), ValueError, r"p is 1, expected a number in \[0, 1\)"),
        ((np.ones(3), -0.1, (1, 2)), ValueError, r"p is -0.1, expected a number in \[0, 1\)"),
        ((np.ones(3), 1.5, (1, 2)), ValueError, r"p is 1.5, expected a number in \[0, 1\)"),
        ((np.ones(3), np.inf, (1, 2)), ValueError, r"p is inf, expected a number in \[0, 1\)"),
        ((np.ones(3), 10**5000, (1, 2)), ValueError, r"p is inf, expected a number in \[0, 1\)"),
        ((np.ones(3), np.nan, (1, 2)), ValueError, r"p is nan, expected a number in \[0, 1\)"),
        ((np.ones(3), "x", (1, 2)), TypeError, "p is 'x' of type str, expected a number"),
        ((np.ones(3), 0.5, 3), TypeError, r"key is 3 of type int, expected \(seed, offset\)"),
        ((np.ones(3), 0.5, (1, 2, 3)), ValueError, "key has 3 elements, expected two"),
        ((np.ones(3), 0.5, (1, -2)), ValueError, "offset of key is -2, expected"),
        ((np.ones(3), 0.5, (2**64, 0)), ValueError, "seed of key is 18446744073709551616, expected"),
        ((np.ones(3), 0.5, (1.5, 0)), TypeError, "seed of key is 1.5 of type float, expected an integer"),
        ((np.float64(1), 0.5, (1, 0)), ValueError, "x is 0-d"),
        ((None, 0.5, (1, 0)), TypeError, "x is None"),
        ((np.ones(3, complex), 0.5, (1, 0)), TypeError, "x has dtype complex128"),
    ],
)
def test_refusals(arguments, error, message):
    with pytest.raises(error, match=message):
        fastnorm.dropout(*arguments)


def test_messages_of_the_backward_name_dy():
    with pytest.raises(ValueError, match="dy is 0-d"):
        fastnorm.dropout_backward(np.float64(1), 0.5, (1, 0))
    with pytest.raises(TypeError, match="dy is None"):
        fastnorm.dropout_backward(None, 0.5, (1, 0))


def test_backward_takes_no_generator():
    with pytest.raises(TypeError, match="dropout_key"):
        fastnorm.dropout_backward(np.ones(3), 0.5, np.random.default_rng())


def test_a_refused_out_is_left_alone():
    x, out = np.ones(5), np.full(4, 7.0)
    with pytest.raises(ValueError, match="out has shape"):
        fastnorm.dropout(x, 0.5, (1, 2), out=out)
    with pytest.raises(TypeError, match="out has dtype"):
        fastnorm.dropout(x, 0.5, (1, 2), out=np.zeros(5, np.float32))
    assert (out == 7).all()
