"""The number of threads: that of the process, that of a calling thread, and what it is at first."""

import operator
import os
import threading

import numpy as np
import pytest

import fastnorm
from support import processes

# ---- numbers of threads


def in_another_thread(function, *arguments):
    found = []
    thread = threading.Thread(target=lambda: found.append(function(*arguments)))
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.thread_unsafe
def test_set_num_threads_is_for_the_process(process_threads):
    for n in (7, 1, np.int64(3), np.uint8(200), 100_000, 2**31 - 1):
        assert fastnorm.set_num_threads(n) is None
        assert fastnorm.get_num_threads() == n
        assert type(fastnorm.get_num_threads()) is int
        assert in_another_thread(fastnorm.get_num_threads) == n


@pytest.mark.thread_unsafe
def test_threads_is_for_the_calling_thread(process_threads):
    fastnorm.set_num_threads(5)
    with fastnorm.threads(3):
        assert fastnorm.get_num_threads() == 3
        assert in_another_thread(fastnorm.get_num_threads) == 5
        fastnorm.set_num_threads(6)  # hidden here, seen elsewhere
        assert fastnorm.get_num_threads() == 3
        assert in_another_thread(fastnorm.get_num_threads) == 6
        in_another_thread(fastnorm.set_num_threads, 4)
    assert fastnorm.get_num_threads() == 4


def test_threads_nest():
    outside = fastnorm.get_num_threads()
    with fastnorm.threads(2):
        with fastnorm.threads(9):
            assert fastnorm.get_num_threads() == 9
            with fastnorm.threads(np.int16(1)):
                assert fastnorm.get_num_threads() == 1
            assert fastnorm.get_num_threads() == 9
        assert fastnorm.get_num_threads() == 2
    assert fastnorm.get_num_threads() == outside


def test_threads_can_be_entered_again():
    outside = fastnorm.get_num_threads()
    limit = fastnorm.threads(2)
    assert fastnorm.get_num_threads() == outside
    for _ in range(2):
        with limit, fastnorm.threads(3):
            with limit:
                assert fastnorm.get_num_threads() == 2
            assert fastnorm.get_num_threads() == 3
        assert fastnorm.get_num_threads() == outside


def test_threads_ends_with_an_exception():
    outside = fastnorm.get_num_threads()
    with pytest.raises(ZeroDivisionError), fastnorm.threads(2), fastnorm.threads(3):
        operator.truediv(1, 0)
    assert fastnorm.get_num_threads() == outside
    with pytest.raises(ValueError), fastnorm.threads(3):
        fastnorm.layer_norm(np.float32(1))
    assert fastnorm.get_num_threads() == outside
    with fastnorm.threads(2):
        with pytest.raises(ValueError), fastnorm.threads(0):
            pass
        assert fastnorm.get_num_threads() == 2


@pytest.mark.parametrize("function", [fastnorm.set_num_threads, fastnorm.threads])
def test_numbers_that_are_none(function):
    before = fastnorm.get_num_threads()
    for n in (2.0, "2", None, True, np.True_, np.float32(2), [2], np.array([2, 3]), 2j, int):
        with pytest.raises(TypeError):
            function(n)
    for n in (0, -1, -(2**31), 2**31, 2**32 + 1, 2**64 + 1, -(10**30), np.int8(0), np.int64(-5)):
        with pytest.raises(ValueError, match=str(n)):
            function(n)
    with pytest.raises(TypeError):
        function()
    assert fastnorm.get_num_threads() == before


def test_one_object_may_be_entered_by_several_threads():
    limit = fastnorm.threads(3)
    entered, leave = threading.Barrier(2), threading.Barrier(2)
    seen = []

    def other():
        with fastnorm.threads(5), limit:
            entered.wait()
            leave.wait()
        seen.append(fastnorm.get_num_threads())

    before = fastnorm.get_num_threads()
    thread = threading.Thread(target=other)
    thread.start()
    entered.wait()
    with limit:
        leave.wait()
        thread.join()
        assert fastnorm.get_num_threads() == 3
    assert fastnorm.get_num_threads() == before
    assert seen == [before]


# ---- what the number is at first

# Loads the package once for each case, in forks: they come cheaper than new Pythons.
NUMBERS = """
import ast, os, sys, numpy
for variables, cpus in ast.literal_eval(sys.argv[1]):
    pid = os.fork()
    if pid == 0:
        os.environ.update(variables)
        if cpus:
            os.sched_setaffinity(0, cpus)
        import fastnorm
        print(fastnorm.get_num_threads(), flush=True)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
"""


def first_numbers(*cases):
    """The number of threads at first, for each pair of variables and CPUs allowed (None: all)."""
    return [int(word) for word in processes.in_silence(processes.run_code(NUMBERS, repr(cases))).split()]


def test_the_environment_sets_the_number():
    ours, theirs = "FASTNORM_NUM_THREADS", "OMP_NUM_THREADS"
    default = first_numbers(({}, None))[0]
    good = {"3": 3, " 5 ": 5, "+7": 7, "11,2": 11, "6 , 1": 6, "100000": 100_000}
    bad = ["", " ", "0", "-1", "four", "2x", "1.5", ",", ",3", "0x10", "1e3", "99999999999999999999"]
    cases, expected = [], []
    for name in (ours, theirs):
        cases += [{name: value} for value in [*good, *bad]]
        expected += [*good.values(), *[default] * len(bad)]
    for value, both in {"3": 3, "three": 8, "": 8, "0": 8}.items():
        cases.append({ours: value, theirs: "8,2"})
        expected.append(both)
    assert first_numbers(*((case, None) for case in cases)) == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the kernel has no affinity masks")
def test_the_affinity_mask_limits_the_number():
    cpus = sorted(os.sched_getaffinity(0))
    cases = [({}, set(cpus[: i + 1])) for i in range(len(cpus))][:4]
    found = first_numbers(*cases, ({}, None), ({"FASTNORM_NUM_THREADS": "3"}, {cpus[0]}))
    *limited, unlimited, asked = found
    # A CPU quota may allow less than the mask.
    assert limited == [min(i + 1, unlimited) for i in range(len(limited))]
    assert limited[0] == 1 <= unlimited <= len(cpus)
    assert asked == 3
