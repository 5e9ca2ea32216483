"""What penalties and clipping have in common: lists of arrays of any layout, on every ISA and any number of threads."""

import itertools
import time

import numpy as np
import pytest

import fastnorm
from support import control, hashes, processes
from support.arrays import DTYPES, LAYOUTS, WRITEABLE_LAYOUTS, assert_same_bits, at_offset, draw, hostile
from support.guarded import Guarded
from support.isas import ISAS, using
from support.lists import CALLS, call, lists_of_sizes

functions = pytest.mark.parametrize("name", CALLS)
PENALTIES = ["l1_penalty", "l2_penalty", "elastic_net_penalty"]
WITH_OUT = ["soft_threshold", "clip_by_value"]


def mixed(rng, shapes=((3, 5), (40,), (0, 4), (7, 1, 9), (300, 11))):
    return [rng.standard_normal(shape).astype(DTYPES[i % 2]) for i, shape in enumerate(shapes)]


# ---- bits


@functions
def test_isas_agree_on_every_size(name, rng):
    for arrays in lists_of_sizes(rng):
        with using(ISAS[0]):
            expected = call(name, arrays)
        for isa in ISAS[1:]:
            with using(isa):
                assert_same_bits(call(name, arrays), expected, f"{isa}, {[a.size for a in arrays]}")


@functions
def test_isas_agree_on_hostile_data(name, rng):
    for n in (1, 17, 400):
        arrays = [hostile(rng, (n, 37), dtype) for dtype in DTYPES for _ in range(3)]
        with using(ISAS[0]):
            expected = call(name, arrays)
        for isa in ISAS[1:]:
            with using(isa):
                assert_same_bits(call(name, arrays), expected, f"{isa}, {n}")


@functions
@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_the_same_for_any_number_of_threads(name, n, rng):
    arrays = mixed(rng, [(700, 300), *[(13,)] * 500, (401, 777), (100_000,), (3,)])
    with fastnorm.threads(1):
        expected = call(name, arrays)
    with fastnorm.threads(n):
        for _ in range(3):
            assert_same_bits(call(name, arrays), expected)


PINNED = {
    "l1_penalty": "4b8677cb2294a54e1154398e1f7c4dbf9c0500cacd4e63bf6ae69b4111ef98e3",
    "l2_penalty": "6905e03b2010f4a28b515d1671cfd64b19b036f9fc23af1b9b704c9817de26db",
    "elastic_net_penalty": "f691a271650663b6908df5427eb085fe9af70ee3795c553f5600afe53fa7b4fa",
    "soft_threshold": "a675f3c5fb2fc2d0e1717f851136d497717681affbc77534c0d6fbb5f52b875c",
    "clip_by_value": "754955ad92e25a6ec1613918a72e07f2ea9f5623af2db2366fc4733ad653218d",
    "global_norm": "cc17421345bee14195967872f3cb73d7ee87327843b9977d6d204366bd4673ee",
    "clip_by_global_norm": "20c187abc76967a72127b4364d7bb9d88ce3d824c2290b884707174b26e64585",
}


@functions
def test_the_bits_stay_from_release_to_release(name, isa):
    shapes = [(1000, 33), (7, 3), (513, 257)]
    arrays = [hashes.data(shape, d, 7) * d(2.0**-10) for shape in shapes for d in DTYPES]
    assert hashes.hash_of(call(name, arrays)) == PINNED[name]


@functions
def test_one_array_is_a_list_of_one(name, rng):
    for dtype in DTYPES:
        x = rng.standard_normal((30, 41)).astype(dtype)
        expected = call(name, [x])
        given = np.full_like(x, 0.25)
        alone = CALLS[name](x, given) if name != "clip_by_global_norm" else None
        if alone is None:
            given[...] = x
            alone = {"norm": np.float64(fastnorm.clip_by_global_norm(given, 0.5)), "arrays": given}
        assert_same_bits({f"{key}[0]": a for key, a in alone.items()}, expected)
        assert_same_bits(call(name, (x,)), expected)


@functions
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout(name, layout, rng):
    arrays = mixed(rng)
    expected = call(name, arrays)
    moved = [LAYOUTS[layout](a) for a in arrays]
    assert_same_bits(call(name, moved), expected)
    for a, b in zip(moved, arrays, strict=True):
        assert np.array_equal(a, b)


@functions
@pytest.mark.parametrize("layout", WRITEABLE_LAYOUTS)
def test_what_is_written_may_have_any_layout(name, layout, rng):
    arrays = mixed(rng)
    given = [WRITEABLE_LAYOUTS[layout](np.full_like(a, 0.25)) for a in arrays]
    assert_same_bits(call(name, arrays, given), call(name, arrays))


def test_byte_order_of_what_is_updated(rng):
    arrays = mixed(rng)
    swapped = [a.astype(a.dtype.newbyteorder(">")) for a in arrays]
    assert fastnorm.clip_by_global_norm(swapped, 0.5) == fastnorm.clip_by_global_norm(arrays, 0.5)
    for a, b in zip(swapped, arrays, strict=True):
        assert a.dtype.byteorder == ">" and np.array_equal(a, b)


@functions
@pytest.mark.parametrize("offset", [0, 4, 8, 20, 60])
def test_any_place_in_a_cache_line_beyond_the_cache(name, offset, rng):
    """Results of this size are written past the cache, in whole lines."""
    arrays = [rng.standard_normal(n).astype(dtype) for n in (2_000_003, 31, 15) for dtype in DTYPES]
    offsets = [offset // a.itemsize * a.itemsize for a in arrays]
    given = [at_offset(np.full_like(a, 0.25), o) for a, o in zip(arrays, offsets, strict=True)]
    assert_same_bits(call(name, arrays, given), call(name, [at_offset(a, 0) for a in arrays]))


@functions
def test_empty_lists_and_arrays(name):
    for arrays in ([], [np.zeros((0, 3), np.float32)], [np.zeros((2, 0))] * 3):
        given = [np.zeros_like(a) for a in arrays]
        results = call(name, arrays, given)
        assert all(not a.any() for a in results.values())


def call_under_control(path, mode):
    rng = np.random.default_rng(0)
    for name, size in itertools.product(CALLS, (30, 200_000)):
        for scale in (1, 1e-20):
            arrays = [draw(kind, rng, (size,), d) for d in DTYPES for kind in ("denormal", "normal")]
            arrays = [(a * scale).astype(a.dtype) for a in arrays]
            for chosen in (arrays, arrays[::2]):
                expected = call(name, chosen)
                given = [np.full_like(a, 0.25) for a in chosen]
                for n in (1, 3):
                    with fastnorm.threads(n), control.under(path, mode):
                        for a in given:
                            a.fill(0.25)
                        results = call(name, chosen, given)
                    assert_same_bits(results, expected, f"{name} {size} on {n}")


@pytest.mark.parametrize("mode", control.MODES)
def test_the_callers_floating_point_control(control_library, mode):
    processes.check(call_under_control, control_library, mode)


# ---- memory


def call_with_guards(isa):
    with using(isa):
        rooms = Guarded(8 * 1100), Guarded(8 * 1100)
        sizes = (*range(1, 40), 127, 128, 129, 255, 256, 257, 300, 1023)
        for name, n, dtype, place in itertools.product(CALLS, sizes, DTYPES, ("at_end", "at_begin")):
            x, given = (getattr(room, place)((n,), dtype) for room in rooms)
            x[:], given[:] = 1, 1
            print(name, n, dtype, place, flush=True)
            call(name, [x], [given])
            assert (x == 1).all() and all(room.gap_is_whole() for room in rooms)


@pytest.mark.unsanitized("guard pages need no sanitizer")
def test_nothing_beyond_the_ends(isa):
    result = processes.run(call_with_guards, isa)
    assert result.returncode == 0, f"status {result.returncode} in {result.stdout.splitlines()[-1:]}: {result.stderr}"


@functions
def test_many_small_arrays_cost_little(name, rng):
    """Microseconds, not milliseconds: a bound that is ten times the time on an idle machine."""
    arrays = [rng.standard_normal(20).astype(np.float32) for _ in range(2000)]
    given = [np.zeros_like(a) for a in arrays]
    times = []
    for _ in range(20):
        start = time.perf_counter()
        CALLS[name](arrays, given)
        times.append(time.perf_counter() - start)
    assert min(times) / len(arrays) < 3e-6


# ---- overlaps


@pytest.mark.parametrize("name", WITH_OUT)
def test_out_may_be_the_arrays_themselves(name, rng):
    arrays = mixed(rng)
    expected = call(name, arrays)
    own = [a.copy() for a in arrays]
    assert CALLS[name](own, own)["result"] is own
    assert_same_bits({f"result[{i}]": a for i, a in enumerate(own)}, expected)


@pytest.mark.parametrize("name", [*WITH_OUT, *PENALTIES])
def test_overlaps_with_what_is_read_act_as_if_that_were_copied(name, rng):
    for dtype, n in itertools.product(DTYPES, (40, 5000)):
        memory = rng.standard_normal(4 * n).astype(dtype)
        reads = [slice(0, n), slice(n, 2 * n), slice(n // 2, n), slice(0, 2 * n, 2)]
        writes = [slice(3, n + 3), slice(3 * n, 4 * n), slice(n + 3, n + 3 + n - n // 2), slice(2 * n, 3 * n)]
        fresh = [memory[s].copy() for s in writes]
        expected = call(name, [memory[s].copy() for s in reads], fresh)
        got = call(name, [memory[s] for s in reads], [memory[s] for s in writes])
        assert_same_bits(got, expected, f"{dtype} {n}")


@pytest.mark.parametrize("name", PENALTIES)
def test_a_gradient_in_the_place_of_the_weights(name, rng):
    """Also where the sum has to be taken again, after the weights have changed."""
    for scale in (1, 1e200, 1e308, 1e-200):
        w = rng.uniform(0.5, 1.5, 3000) * scale
        expected = call(name, [w.copy()], [w.copy()])
        assert_same_bits(call(name, [w], [w]), expected)


@pytest.mark.parametrize("name", [name for name in CALLS if name != "global_norm"])
@pytest.mark.parametrize("kind", ["twice", "overlapping", "strided"])
def test_arrays_that_are_written_may_not_overlap(name, kind):
    memory = np.ones(100)
    given = {
        "twice": [memory[:10], memory[20:30], memory[:10]],
        "overlapping": [memory[50:60], memory[20:30], memory[59:69]],
        "strided": [memory[0:20:2], memory[20:30], memory[18:38:2]],
    }[kind]
    arrays = [np.full(10, 2.0)] * 3
    with pytest.raises(ValueError, match=r"\[0\] overlaps \w+\[2\], expected arrays that share no memory"):
        if name == "clip_by_global_norm":
            fastnorm.clip_by_global_norm(given, 0.5)
        else:
            CALLS[name](arrays, given)
    assert (memory == 1).all()


@pytest.mark.parametrize("name", [name for name in CALLS if name != "global_norm"])
def test_arrays_that_interleave_do_not_overlap(name, rng):
    arrays = [rng.standard_normal((6, 4)) for _ in range(5)]
    given = list(np.moveaxis(np.full((6, 4, 5), 0.25), -1, 0))
    assert_same_bits(call(name, arrays, given), call(name, arrays))
    assert_same_bits(call(name, [arrays[0]] * 5), call(name, [a.copy() for a in [arrays[0]] * 5]))


# ---- refusals

READ_ONLY = LAYOUTS["read_only"](np.ones(3))
BAD_INPUTS = [
    (np.float64(1), ValueError, "0-d"),
    (3.0, ValueError, "0-d"),
    (None, TypeError, "None"),
    (np.ones(3, complex), TypeError, "complex128"),
    (np.ones(3, np.longdouble), TypeError, "longdouble|float128"),
    (np.array(["a"]), TypeError, "<U1"),
    (np.array([None]), TypeError, "object"),
    (np.ma.masked_array([1.0, 2.0], [0, 1]), TypeError, "masked"),
]
BAD_WRITTEN = [
    (READ_ONLY, ValueError, "read-only"),
    (np.broadcast_to(np.ones(1), (3,)), ValueError, "read-only"),
    (np.lib.stride_tricks.as_strided(np.ones(4), (3,), (4,)), ValueError, "overlaps itself"),
    ([1.0, 2.0, 3.0], TypeError, "of type list"),
    (np.ma.masked_array([1.0, 2.0, 3.0]), TypeError, "masked"),
    (None, TypeError, "NoneType"),
]
NOT_LIKE_W = [
    (np.ones(4), ValueError, r"has shape \(4,\), expected \(3,\) = \w\[1\].shape"),
    (np.ones(3, np.float32), TypeError, "expected .*float64"),
    (np.ones(3, ">f8"), TypeError, "expected .*float64"),
]


@functions
@pytest.mark.parametrize("bad, error, message", BAD_INPUTS)
def test_bad_arrays_are_refused_by_name(name, bad, error, message):
    good, given = np.ones(3), np.full(3, 0.25)
    function = getattr(fastnorm, name)
    if name == "clip_by_global_norm":
        if message in ("None", "0-d"):
            error, message = (ValueError, "0-d") if isinstance(bad, np.ndarray) else (TypeError, "NoneType|float")
        with pytest.raises(error, match=message):
            function([good, bad], 0.5)
    elif name == "global_norm":
        with pytest.raises(error, match=rf"arrays\[1\].*({message})"):
            function([good, bad])
        with pytest.raises(error, match=message):
            function(bad)
    else:
        with pytest.raises(error, match=rf"\w\[1\].*({message})"):
            CALLS[name]([good, bad], [given, given.copy()])
    assert (good == 1).all() and (given == 0.25).all()


@pytest.mark.parametrize("name", [*WITH_OUT, *PENALTIES])
@pytest.mark.parametrize("bad, error, message", [*BAD_WRITTEN, *NOT_LIKE_W])
def test_what_cannot_be_written_is_refused_by_name(name, bad, error, message):
    first = np.full(3, 0.25)
    with pytest.raises(error, match=rf"(out|grad)\[1\] .*{message}"):
        CALLS[name]([np.ones(3)] * 2, [first, bad])
    assert (first == 0.25).all()


@pytest.mark.parametrize("bad, error, message", BAD_WRITTEN)
def test_what_cannot_be_scaled_is_refused_by_name(bad, error, message):
    first = np.full(3, 0.25)
    with pytest.raises(error, match=rf"arrays\[1\] .*{message}"):
        fastnorm.clip_by_global_norm([first, bad], 0.1)
    assert (first == 0.25).all()


@pytest.mark.parametrize("name", [*WITH_OUT, *PENALTIES])
def test_lists_go_with_lists(name):
    x = np.full(3, 0.25)
    for arrays, given, error, message in [
        ([np.ones(3)], x, TypeError, "is of type ndarray, expected a list of arrays, as . is"),
        (np.ones(3), [x], TypeError, "is of type list, expected an array, as . is"),
        ([np.ones(3)] * 2, [x], ValueError, "has 1 arrays, expected 2, as many as ."),
    ]:
        with pytest.raises(error, match=message):
            CALLS[name](arrays, given)
    assert (x == 0.25).all()


BAD_NUMBERS = [
    ("l1_penalty", (-1,), ValueError, "strength is -1, expected a finite number >= 0"),
    ("l2_penalty", (np.nan,), ValueError, "strength is nan"),
    ("l2_penalty", ("1",), TypeError, "strength is '1' of type str"),
    ("elastic_net_penalty", (np.inf, 1), ValueError, "l1 is inf"),
    ("elastic_net_penalty", (1, None), TypeError, "l2 is None"),
    ("soft_threshold", (-0.5,), ValueError, "step is -0.5"),
    ("soft_threshold", (np.inf,), ValueError, "step is inf"),
    ("clip_by_value", (1, 0), ValueError, r"low is 1.0 and high is 0.0, expected low <= high"),
    ("clip_by_value", (np.nan, 0), ValueError, "low is nan, expected a number"),
    ("clip_by_value", (0, np.nan), ValueError, "high is nan, expected a number"),
    ("clip_by_value", (None, 0), TypeError, "low is None"),
    ("clip_by_global_norm", (-1,), ValueError, "max_norm is -1"),
    ("clip_by_global_norm", (np.nan,), ValueError, "max_norm is nan"),
    ("clip_by_global_norm", (np.inf,), ValueError, "max_norm is inf"),
    ("clip_by_global_norm", ([1],), TypeError, "max_norm is"),
]


@pytest.mark.parametrize("name, numbers, error, message", BAD_NUMBERS)
def test_bad_numbers_are_refused(name, numbers, error, message):
    x = np.ones(3)
    with pytest.raises(error, match=message):
        getattr(fastnorm, name)(x, *numbers)
    if name != "clip_by_global_norm":
        given = np.full(3, 0.25)
        with pytest.raises(error, match=message):
            getattr(fastnorm, name)(x, *numbers, given)
        assert (given == 0.25).all()
    assert (x == 1).all()


def test_a_list_that_changes_during_the_call():
    """Arguments may run Python code, which may change the list that they are in."""

    class Clears:
        def __array__(self, dtype=None, copy=None):
            arrays.clear()
            return np.ones(3)

    arrays = [np.ones(3), Clears(), np.ones(3)]
    assert fastnorm.global_norm(arrays) == 3.0
    arrays = [np.ones(3), Clears(), np.ones(3)]
    assert len(fastnorm.soft_threshold(arrays, 0.5)) == 3
    assert arrays == []
