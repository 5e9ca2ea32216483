"""Forks: at any moment, with calls in flight in other threads, both sides go on with right answers."""

import functools
import multiprocessing
import os
import random
import threading
import time
import warnings

import numpy as np
import pytest

import fastnorm
from support import processes
from support.arrays import draw, same_bits
from support.operations import EVERY

# A sanitizer's allocator has locks that a fork among calls of other threads may take into the child for good; glibc
# looks after its own.
pytestmark = pytest.mark.unsanitized("forks beside threads")

METHODS = ("fork", "forkserver", "spawn")


def allow_forks_beside_threads():
    # From 3.12 on Python warns of any fork in a process with threads. That is what is tested here.
    warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)


@functools.cache
def prepared():
    """Operations with arguments and serial results: some calls that are shared, some that are short."""
    rng = np.random.default_rng(0)
    cases = []
    for op in EVERY:
        for shape, dtype in [((300, 1000), np.float32), ((8, 30_000), np.float64), ((20, 50), np.float32)]:
            x, dy = (draw("normal", rng, shape, dtype) for _ in range(2))
            arguments = op.draw(x, -1, rng, dy, 1e-5)
            with fastnorm.threads(1):
                cases.append((op, arguments, op(arguments)))
    return cases


def check_all(cases):
    for op, arguments, expected in cases:
        for n in (3, 1, 2):
            with fastnorm.threads(n):
                results = op(arguments)
            assert all(same_bits(results[name], expected[name]) for name in expected), f"{op} on {n}"


def check_generations(cases, more):
    """What a child does: all operations, also while and after it forks a child of its own."""
    check_all(cases)
    if more:
        assert processes.in_child(check_generations, cases, more - 1)
        check_all(cases)


class Callers:
    """Threads that call, on several threads each, as long as the block lasts, and raise at its end what went wrong."""

    def __init__(self, cases, count=3):
        self._cases = cases
        self._stop = threading.Event()
        self._raised = []
        self._threads = [threading.Thread(target=self._call, args=(i,), daemon=True) for i in range(count)]

    def _call(self, seed):
        random_ = random.Random(seed)
        try:
            while not self._stop.is_set():
                op, arguments, expected = random_.choice(self._cases)
                with fastnorm.threads(random_.randint(1, 4)):
                    results = op(arguments)
                assert all(same_bits(results[name], expected[name]) for name in expected), op
        except BaseException as e:
            self._raised.append(e)

    def __enter__(self):
        for thread in self._threads:
            thread.start()

    def __exit__(self, *exc_info):
        self._stop.set()
        for thread in self._threads:
            thread.join(processes.DEADLINE)
            assert not thread.is_alive(), "hangs"
        if self._raised:
            raise self._raised[0]


# ---- plain forks


def fork_before_during_and_after():
    allow_forks_beside_threads()
    cases = prepared()
    assert processes.in_child(check_generations, cases, 1)  # no threads yet: prepared() needs none
    with fastnorm.threads(3):
        check_all(cases)
        assert processes.in_child(check_generations, cases, 2)
        check_all(cases)
        # limits are inherited, and put back where the block ends
        assert fastnorm.get_num_threads() == 3
        assert processes.in_child(check_number, 3)
    check_all(cases)


def check_number(n):
    assert fastnorm.get_num_threads() == n
    with fastnorm.threads(n + 1):
        assert fastnorm.get_num_threads() == n + 1
    assert fastnorm.get_num_threads() == n


def test_children_and_their_children():
    processes.check(fork_before_during_and_after)


def fork_among_calls(rounds):
    allow_forks_beside_threads()
    cases = prepared()
    random_ = random.Random(0)
    failed = 0
    with Callers(cases):
        for i in range(rounds):
            time.sleep(random_.uniform(0, 0.003))
            failed += not processes.in_child(check_generations, cases[i % 5 :: 5], i % 10 == 0)
        check_all(cases)
    check_all(cases)
    assert failed == 0


def test_forks_among_calls_in_other_threads():
    processes.check(fork_among_calls, 50)


@pytest.mark.slow
def test_many_forks_among_calls_in_other_threads():
    for _ in range(10):  # each with a deadline of its own
        processes.check(fork_among_calls, 100)


def fork_from_two_threads(rounds):
    allow_forks_beside_threads()
    cases = prepared()
    well = []

    def fork():
        for _ in range(rounds):
            well.append(processes.in_child(check_all, cases[::4]))

    with Callers(cases, 2):
        forkers = [threading.Thread(target=fork, daemon=True) for _ in range(2)]
        for thread in forkers:
            thread.start()
        for thread in forkers:
            thread.join(processes.DEADLINE)
    assert well == [True] * (2 * rounds)


def test_forks_from_two_threads_at_once():
    processes.check(fork_from_two_threads, 10)


def run_programs(rounds):
    # subprocess does not run fork handlers where it can use vfork
    with Callers(prepared()):
        for _ in range(rounds):
            assert os.waitstatus_to_exitcode(os.system("exit 3")) == 3
            assert os.waitstatus_to_exitcode(os.waitpid(os.posix_spawnp("true", ["true"], os.environ), 0)[1]) == 0


def test_other_programs_among_calls():
    processes.check(run_programs, 20)


# ---- multiprocessing


def checked_in_pool(i):
    """What a pool's process does: the shape of its results tells nothing, so it compares them itself."""
    cases = prepared()[i % 4 :: 4]
    check_all(cases)
    with Callers(cases, 2):
        check_all(cases)
    return i


def use_pool(method):
    allow_forks_beside_threads()
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["test_fork"])
    cases = prepared()
    check_all(cases)  # so that there are threads to be lost
    with Callers(cases, 2), context.Pool(2) as pool:
        assert pool.map(checked_in_pool, range(4), chunksize=1) == list(range(4))
        pool.close()
        pool.join()
    check_all(cases)


@pytest.mark.parametrize("method", METHODS)
def test_multiprocessing(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("not on this system")
    processes.check(use_pool, method)
