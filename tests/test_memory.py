"""Memory: none is lost in a hundred thousand calls, none to be had is a MemoryError, and indices have 64 bits."""

import functools
import os

import numpy as np
import pytest

import fastnorm
from support import processes
from support.arrays import DTYPES, assert_same_bits, draw, same_bits
from support.errors import LIMIT
from support.operations import EVERY

MB = 2**20


def arguments_for(op, shape, dtype, eps=1e-5):
    rng = np.random.default_rng(0)
    x, dy = (draw("normal", rng, shape, dtype) for _ in range(2))
    return op.draw(x, -1, rng, dy, eps)


# ---- nothing is lost


def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def call_and_be_refused(op, arguments, calls):
    """All the ways out of a call: results, `out`, arguments that have to be copied, refusals."""
    out, strided = np.empty_like(arguments["x"]), np.repeat(arguments["x"], 2, axis=-1)[..., ::2]
    for i in range(calls):
        if i % 4 == 0:
            op.function(**arguments, out=out)
        elif i % 4 == 1:
            op.function(**arguments | {"x": strided})
        elif i % 4 == 2:
            op.function(**arguments)
        else:
            with pytest.raises(ValueError):
                op.function(**arguments, out=out[:1])


def check_that_nothing_is_lost(calls):
    cases = [(op, arguments_for(op, (5, 40), dtype)) for op in EVERY for dtype in DTYPES]
    cases += [(op, arguments_for(op, (500, 300), np.float32)) for op in EVERY]  # results from the cache
    for op, arguments in cases:
        few = calls if arguments["x"].size < 1000 else calls // 100
        call_and_be_refused(op, arguments, few // 50 + 100)
        before = resident_bytes()
        call_and_be_refused(op, arguments, few)
        # a reference to the smallest of objects lost in one way of four would be as much
        assert resident_bytes() - before < few // 4 * 32 + MB // 2, f"{op}, {arguments['x'].dtype}"


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc to read resident memory from")
def test_a_hundred_thousand_calls_leave_memory_as_it_was():
    processes.check(check_that_nothing_is_lost, 100_000)


# ---- nothing is to be had


def allow(more):
    """Limit the address space of this process to what it has and so many bytes more."""
    import resource

    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + more, resource.RLIM_INFINITY))


def allow_all():
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)


def attempt(call, more):
    """What a call returns that may take so many bytes, or None where they did not do."""
    allow(more)
    try:
        return call()
    except MemoryError:
        return None
    finally:
        allow_all()


def arrays_in(arguments):
    return {name: a for name, a in arguments.items() if isinstance(a, np.ndarray)}


def starve(shape):
    """Every call finds memory for one more of the things that it needs: results, scratch, threads."""
    fastnorm.set_cache_limit(0)
    for op in EVERY:
        arguments = arguments_for(op, shape, np.float32)
        with fastnorm.threads(1):  # the first `out` of a process imports numpy.ma, which would starve in its own way
            expected = op(arguments, out=np.empty_like(arguments["x"]))
        starved, size = 0, arguments["x"].nbytes
        with fastnorm.threads(3):
            for more in (*range(0, 4 * size, size // 3), *range(0, 32 * MB, 5 * MB)):
                what = f"{op}, {more} bytes more"
                starved += starve_once(op, arguments, expected, more, what)
                assert_same_bits(op(arguments), expected, f"after {what}")
        assert starved > 0, f"{op} never starved"
        assert attempt(functools.partial(op, arguments), 4 * size + 32 * MB), f"{op} needs more than expected"


def starve_once(op, arguments, expected, more, what):
    """A call with new results and one in place, which is right or changes nothing; whether the first one starved."""
    own = arguments | {name: a.copy() for name, a in arrays_in(arguments).items()}
    if attempt(lambda: op.function(**own, out=own["x"]), more) is None:
        assert_same_bits(arrays_in(own), arrays_in(arguments), f"in place: {what}")
    results = attempt(lambda: op(arguments), more)
    if results is not None:
        assert_same_bits(results, expected, what)
    return results is None


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="limits of memory are Linux's")
@pytest.mark.unsanitized("AddressSanitizer itself does not survive a lack of memory")
@pytest.mark.parametrize("shape", [(60, 8192), (3, 100_000), (30_000, 16)], ids=str)
def test_a_call_that_finds_no_memory_raises_and_the_next_one_is_right(shape):
    # What is freed goes back to the system, so that it has to be found again.
    processes.check(starve, shape, MALLOC_ARENA_MAX="1", MALLOC_MMAP_THRESHOLD_="65536", MALLOC_TRIM_THRESHOLD_="65536")


# ---- more than 2**31 elements

ENOUGH = 2**31 + 12_345


def available_bytes():
    if not os.path.exists("/proc/meminfo"):
        return 0
    with open("/proc/meminfo") as file:
        return 1024 * int(next(line for line in file if line.startswith("MemAvailable")).split()[1])


def needs(bytes):
    """Skips where so much memory is not to be had: asked when the test runs, not when it is collected."""

    def decorate(test):
        @functools.wraps(test)
        def wrapped(*arguments, **keywords):
            if available_bytes() < bytes:
                pytest.skip(f"{available_bytes() >> 30} GiB of memory available, {bytes >> 30} GiB needed")
            return test(*arguments, **keywords)

        return pytest.mark.slow(wrapped)

    return decorate


def repeated(period, shape):
    """An array of `shape`, the numbers of `period` over and over, made without a second one."""
    a = np.empty(shape, np.float32)
    flat = a.reshape(-1)
    whole = flat.size // period.size * period.size
    flat[:whole].reshape(-1, period.size)[...] = period
    flat[whole:] = period[: flat.size - whole]
    return a


def period():
    # Odd, so that neighbouring rows and columns differ, and with a mean to lose.
    return (3 + np.random.default_rng(0).standard_normal(1_000_003)).astype(np.float32)


@needs(12 << 30)
def test_layer_norm_of_more_elements_than_32_bits_count():
    rows = ENOUGH // 1024 + 1
    x = repeated(period(), (rows, 1024))
    sampled = [0, 1, rows // 2 - 1, rows // 2, rows - 2, rows - 1]
    before = x[sampled]
    gamma, beta = np.linspace(-1, 1, 1024, dtype=np.float32), np.linspace(2, 3, 1024, dtype=np.float32)
    _, mean, rstd = fastnorm.layer_norm(x, gamma, beta, out=x, return_stats=True)
    expected = fastnorm.layer_norm(before, gamma, beta, return_stats=True)
    assert all(map(same_bits, (x[sampled], mean[sampled], rstd[sampled]), expected))


@needs(12 << 30)
def test_batch_norm_of_more_elements_than_32_bits_count():
    rows, channels = ENOUGH // 64 + 1, 64
    x = repeated(period(), (rows, channels))
    sampled = [0, 31, 63]
    before = x[:, sampled].astype(np.float64)
    _, mean, rstd = fastnorm.batch_norm(x, out=x, return_stats=True)
    eps = np.finfo(np.float32).eps
    for i, channel in enumerate(sampled):
        column = before[:, i]
        true_mean = column.mean()
        column -= true_mean
        true_rstd = 1 / np.sqrt(np.square(column).mean() + 1e-5)
        assert abs(mean[channel] - true_mean) <= LIMIT * eps * np.abs(column).max()
        assert abs(rstd[channel] - true_rstd) <= LIMIT * eps * true_rstd
        column *= true_rstd
        worst = np.abs(x[:, channel] - column).max() / np.abs(column).max()
        assert worst <= LIMIT * eps, f"channel {channel}: {worst / eps} eps"


@needs(12 << 30)
def test_a_row_of_more_elements_than_32_bits_count():
    x = repeated(period(), (1, ENOUGH))
    true_mean, true_var = mean_and_variance(x[0])
    sampled = np.r_[0:1000, ENOUGH // 2 - 1000 : ENOUGH // 2 + 1000, ENOUGH - 1000 : ENOUGH]
    before = x[0, sampled].astype(np.float64)
    fastnorm.layer_norm(x, out=x)
    expected = (before - true_mean) / np.sqrt(true_var + 1e-5)
    worst = np.abs(x[0, sampled] - expected).max() / np.abs(expected).max()
    assert worst <= LIMIT * np.finfo(np.float32).eps


def mean_and_variance(a):
    """In double, a part at a time."""
    parts = [a[i : i + 2**24] for i in range(0, len(a), 2**24)]
    mean = sum(part.sum(dtype=np.float64) for part in parts) / len(a)
    squares = sum(np.square(part - mean, dtype=np.float64).sum() for part in parts)
    return mean, squares / len(a)
