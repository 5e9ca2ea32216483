"""Threads: the same bits on any number of them, and everything around a call in flight."""

import ctypes
import faulthandler
import mmap
import os
import random
import signal
import sys
import threading
import time

import numpy as np
import pytest

import fastnorm
from support import control, processes
from support.arrays import DTYPES, assert_same_bits, draw, hostile, same_bits
from support.operations import BY_NAME, EVERY, OPERATIONS

operations = pytest.mark.parametrize("op", OPERATIONS, ids=str)
dtypes = pytest.mark.parametrize("dtype", DTYPES)

THREADS = (2, 3, 5, 16)


def lines_of(count, dtype, rng):
    """Numbers where each run of a few hundred comes from another distribution."""
    return hostile(rng, (-(-count // 512), 512), dtype).ravel()[:count]


def arguments_for(op, shape, dtype, rng, axis=-1, lines=None):
    """Arguments of hostile numbers, or of some from somewhere in `lines`."""
    count = int(np.prod(shape))
    lines = lines_of(2 * count, dtype, rng) if lines is None else lines
    starts = rng.integers(0, len(lines) - count + 1, 2)
    x, dy = (lines[start : start + count].reshape(shape) for start in starts)
    return op.draw(x, axis, rng, dy, rng.choice([0, 1e-12, 1e-5]))


# ---- bits


def assert_same_on_all_numbers(op, arguments, what):
    with fastnorm.threads(1):
        expected = op(arguments)
    for n in THREADS:
        with fastnorm.threads(n):
            assert_same_bits(op(arguments), expected, f"{n} threads, {what}")


def drawn_shape(rng, smallest, largest):
    """A shape of so many elements that is flat, tall or square, and maybe cut into more axes."""
    count = int(np.exp(rng.uniform(np.log(smallest), np.log(largest))))
    short = int(np.exp(rng.uniform(0, np.log(count) * rng.choice([0.3, 0.6]))))
    shape = [short, count // short]
    if rng.integers(2):
        shape.reverse()
    if rng.integers(4) == 0 and shape[0] > 1:
        middle = int(rng.integers(1, min(5, shape[0])))
        shape = [shape[0] // middle, middle, shape[1]]
    return tuple(shape), int(rng.integers(1, len(shape)))


# One row, few, and many; an image; rows longer than a tile; traffic that just is, or is not, worth a second thread.
SHAPES = [
    (1, 300_001),
    (8, 131_072),
    (1, 224, 224, 3),
    (100_000, 9),
    (3, 70_000),
    (300_000, 1),
    (300_000,),
    (2, 16_384),
    (2, 16_383),
    (2, 65_536),
    (2, 65_535),
    (16, 16_384),
    (17, 4096),
    (77, 13_924),
    (4097, 17),
    (1000, 255),
    (33, 5, 1000),
]


@operations
@dtypes
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_same_bits_on_any_number_of_threads(op, dtype, shape, rng):
    assert_same_on_all_numbers(op, arguments_for(op, shape, dtype, rng), shape)


def check_drawn_shapes(op, dtype, rng, shapes, largest):
    lines = lines_of(2 * largest, dtype, rng)
    for _ in range(shapes):
        shape, axis = drawn_shape(rng, 40_000, largest)
        assert_same_on_all_numbers(op, arguments_for(op, shape, dtype, rng, axis, lines), (shape, axis))


@operations
@dtypes
def test_same_bits_on_drawn_shapes(op, dtype, rng):
    check_drawn_shapes(op, dtype, rng, 70, 250_000)


@pytest.mark.slow
@operations
@dtypes
def test_same_bits_on_many_drawn_shapes(op, dtype):
    check_drawn_shapes(op, dtype, np.random.default_rng(1), 500, 2_000_000)


def count_threads(name, shape):
    """Print how many threads a call could use, of 4."""
    op = BY_NAME[name]
    rng = np.random.default_rng(0)
    x = rng.random(shape, np.float32)
    arguments = op.draw(x, -1, rng, x.copy(), 1e-5)
    before = len(os.listdir("/proc/self/task"))
    with fastnorm.threads(4):
        op(arguments)
    print(1 + len(os.listdir("/proc/self/task")) - before)


def count_threads_of_all():
    for op in OPERATIONS:
        for shape in [(400, 2600), (1, 448, 448, 3), (90_000, 9), (800_000, 1), (5000, 200)]:
            assert processes.in_child(count_threads, op.name, shape)
        if op.name != "layer_norm_backward":
            assert processes.in_child(count_threads, op.name, (8, 100_000))
        if op.statistics == "channels":
            for shape in [(1, 700_000), (3, 250_000), (8, 7, 7, 2048)]:
                assert processes.in_child(count_threads, op.name, shape)


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="the kernel does not list threads")
def test_large_calls_are_shared_whatever_their_shape():
    assert set(processes.check(count_threads_of_all).split()) == {"4"}


def small_calls():
    rng = np.random.default_rng(0)
    before = len(os.listdir("/proc/self/task"))
    fastnorm.set_num_threads(4)
    for op in OPERATIONS:
        op(arguments_for(op, (10, 100), np.float32, rng))
    with fastnorm.threads(1):
        for op in OPERATIONS:
            op(arguments_for(op, (300, 500), np.float32, rng))
    assert len(os.listdir("/proc/self/task")) == before


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="the kernel does not list threads")
def test_no_threads_are_made_before_they_are_needed():
    processes.check(small_calls)


# ---- many Python threads


def cases_for_many_threads(rng):
    """Operations with arguments and serial results: long enough to leave the GIL, to be shared, and neither."""
    cases = []
    for op in EVERY:
        for dtype in DTYPES:
            for shape in [(8, 40_000), (3000, 100), (70_000, 5), (40, 40)]:
                arguments = arguments_for(op, shape, dtype, rng)
                with fastnorm.threads(1):
                    cases.append((op, arguments, op(arguments)))
    return cases


def copies(arguments):
    return {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in arguments.items()}


def call_at_random(cases, seed, more):
    """Call on shared and own arrays, into fresh ones, `out` and in place, on 1 to 6 threads, while `more()`."""
    random_ = random.Random(seed)
    while more():
        op, arguments, expected = random_.choice(cases)
        more_arguments = {}
        how = random_.randrange(4)
        if how > 0:
            arguments = copies(arguments)
        if how == 2:
            more_arguments["out"] = np.full_like(arguments["x"], np.nan)
        if how == 3:
            more_arguments["out"] = arguments[random_.choice(op.data)]
        if random_.randrange(3):
            with fastnorm.threads(random_.randint(1, 6)):
                results = op(arguments, **more_arguments)
        else:
            results = op(arguments, **more_arguments)
        assert_same_bits(results, expected, f"{op}, case {how}")


def run_threads(functions):
    """Call functions in threads of their own, all at once; the exceptions that they raised."""
    raised = []

    def call(function):
        try:
            function()
        except BaseException as e:
            raised.append(e)

    threads = [threading.Thread(target=call, args=(function,), daemon=True) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(processes.DEADLINE)
        assert not thread.is_alive(), "hangs"
    return raised


def flip_the_settings(seed, more):
    """The number of threads of the process, and how much memory of results is kept: up to a few of the results here."""
    random_ = random.Random(seed)
    while more():
        fastnorm.set_num_threads(random_.randint(1, 6))
        fastnorm.set_cache_limit(random_.randrange(5) << 20)
        time.sleep(0.001)


@pytest.mark.thread_unsafe
def test_many_python_threads_at_once(process_threads, process_cache_limit, rng):
    cases = cases_for_many_threads(rng)
    callers = 8
    left = [60] * callers

    def caller(i):
        def more():
            left[i] -= 1
            return left[i] >= 0

        return lambda: call_at_random(cases, i, more)

    def flipper():
        flip_the_settings(99, lambda: max(left) > 0)

    assert run_threads([*map(caller, range(callers)), flipper]) == []


def resident_mb():
    with open("/proc/self/status") as file:
        return int(next(line for line in file if line.startswith("VmRSS")).split()[1]) / 1024


def call_for_long(seconds):
    cases = cases_for_many_threads(np.random.default_rng(0))

    def round_of_calls(seconds):
        end = time.monotonic() + seconds
        callers = [lambda i=i: call_at_random(cases, i, lambda: time.monotonic() < end) for i in range(8)]
        assert run_threads([*callers, lambda: flip_the_settings(99, lambda: time.monotonic() < end)]) == []

    round_of_calls(seconds / 10)
    before = resident_mb()
    round_of_calls(seconds)
    assert resident_mb() - before < 64


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the kernel does not tell resident memory")
def test_many_python_threads_for_long():
    processes.check(call_for_long, 60)


# ---- floating-point control


def call_under_control(path, mode):
    """Results do not depend on the caller's control register, and leave it alone."""
    rng = np.random.default_rng(0)
    for op in OPERATIONS:
        for dtype in DTYPES:
            for shape in [(7, 21), (60, 3000), (40_000, 4)]:
                x, dy = (draw(name, rng, shape, dtype) for name in ("denormal", rng.choice(["denormal", "normal"])))
                arguments = op.draw(x, -1, rng, dy, 0)
                for name in ("gamma", "beta"):  # of another dtype, rounded to numbers that can be flushed
                    if name in arguments:
                        other = np.float32 if dtype == np.float64 else np.float64
                        arguments[name] = (arguments[name] * 1e-39).astype(other)
                with fastnorm.threads(1):
                    expected = op(arguments)
                for n in (1, 3):  # the first call on 3 makes threads that must not inherit the register
                    with fastnorm.threads(n):
                        with control.under(path, mode):
                            results = op(arguments)
                        assert_same_bits(results, expected, f"{op} {dtype} {shape} on {n}")


@pytest.mark.parametrize("mode", control.MODES)
def test_the_callers_floating_point_control(control_library, mode):
    processes.check(call_under_control, control_library, mode)


# ---- interrupts, crashes, the end


def call_among_interrupts(rounds):
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    rng, random_ = np.random.default_rng(0), random.Random(0)
    cases = []
    for op in OPERATIONS:
        arguments = arguments_for(op, (300, 1000), np.float32, rng)
        cases.append((op, arguments, op(arguments)))
    outside = fastnorm.get_num_threads()
    interrupts = 0
    for i in range(rounds):
        op, arguments, expected = cases[i % len(cases)]
        try:
            signal.setitimer(signal.ITIMER_REAL, random_.uniform(1e-4, 5e-3))
            while True:
                with fastnorm.threads(2), fastnorm.threads(3):
                    op(arguments)
        except KeyboardInterrupt:
            interrupts += 1
        assert fastnorm.get_num_threads() == outside
        assert_same_bits(op(arguments), expected, op)
    assert interrupts == rounds


def test_keyboard_interrupts():
    processes.check(call_among_interrupts, 100)


def interrupt_long_calls(rounds):
    """Python sees the signal when the call has ended, which leaves a library that works."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is started without it
    x = np.random.default_rng(0).standard_normal((1000, 10_000), np.float32)
    with fastnorm.threads(2):
        expected = fastnorm.layer_norm(x)
        for i in range(rounds):
            interrupter = threading.Timer(0.001 * i, os.kill, (os.getpid(), signal.SIGINT))
            with pytest.raises(KeyboardInterrupt):
                interrupter.start()
                while True:
                    fastnorm.layer_norm(x)
            interrupter.join()
            assert same_bits(fastnorm.layer_norm(x), expected)


def test_keyboard_interrupts_in_long_calls():
    processes.check(interrupt_long_calls, 20)


def crash_in_a_worker():
    faulthandler.enable()
    rows, row_bytes, no_access = 64, 1 << 18, 0
    x = np.frombuffer(mmap.mmap(-1, rows * row_bytes), np.float32).reshape(rows, -1)
    y = np.empty_like(x)
    x[:] = 1
    with fastnorm.threads(2):
        for _ in range(20):  # the worker gets awake
            fastnorm.layer_norm(x, out=y)
        # What a worker begins with, and the caller, who has the first half, does not come to.
        page = ctypes.c_void_p(x.ctypes.data + rows // 2 * row_bytes)
        assert ctypes.CDLL(None).mprotect(page, ctypes.c_size_t(mmap.PAGESIZE), no_access) == 0
        fastnorm.layer_norm(x, out=y)


@pytest.mark.unsanitized("AddressSanitizer answers the signal itself")
def test_crashes_in_workers_are_reported():
    for _ in range(3):
        result = processes.run(crash_in_a_worker)
        assert result.returncode == -signal.SIGSEGV
        assert "Fatal Python error: Segmentation fault" in result.stderr


def end_in_mid_call(rounds):
    """Fork processes that end, as Python programs do, while daemon threads are in calls."""
    x = np.ones((300, 4000), np.float32)

    def call():
        while True:
            with fastnorm.threads(3):
                fastnorm.layer_norm(x)
                fastnorm.batch_norm(x)

    for i in range(rounds):
        pid = os.fork()
        if pid == 0:
            signal.alarm(processes.DEADLINE // 2)
            for _ in range(3):
                threading.Thread(target=call, daemon=True).start()
            time.sleep(i % 10 * 0.003)
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0


def test_the_interpreter_ends_while_daemon_threads_are_in_calls():
    processes.check(end_in_mid_call, 10)


@pytest.mark.slow
def test_many_interpreters_end_while_daemon_threads_are_in_calls():
    processes.check(end_in_mid_call, 500)
