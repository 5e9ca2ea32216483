"""threadpoolctl sees and limits the threads of fastnorm; with pools of others there are not more than asked for."""

import concurrent.futures
import os

import joblib
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import fastnorm
from support import processes

pytestmark = pytest.mark.thread_unsafe


def entries():
    return [entry for entry in threadpool_info() if entry["user_api"] == "fastnorm"]


def test_it_is_listed(process_threads):
    fastnorm.set_num_threads(3)
    (entry,) = entries()
    assert entry["num_threads"] == 3
    assert entry["version"] == fastnorm.__version__
    assert os.path.samefile(entry["filepath"], fastnorm._core.__file__)


@pytest.mark.parametrize("limits", [1, {"fastnorm": 1}], ids=str)
def test_it_is_limited_and_let_go(limits, process_threads):
    fastnorm.set_num_threads(5)
    with threadpool_limits(limits):
        assert fastnorm.get_num_threads() == 1
        assert entries()[0]["num_threads"] == 1
    assert fastnorm.get_num_threads() == 5


def test_others_may_be_limited_alone(process_threads):
    fastnorm.set_num_threads(5)
    with threadpool_limits(1, user_api="blas"):
        assert fastnorm.get_num_threads() == 5


def test_inside_a_block_that_has_a_number_of_its_own(process_threads):
    fastnorm.set_num_threads(5)
    with fastnorm.threads(4):
        with threadpool_limits(2):
            assert fastnorm.get_num_threads() == 2
        assert fastnorm.get_num_threads() == 4
    assert fastnorm.get_num_threads() == 5


WITHOUT_IT = """
import sys
sys.modules["threadpoolctl"] = None  # importing it is an ImportError
import fastnorm
assert "fastnorm._threadpoolctl" not in sys.modules
assert fastnorm.layer_norm([1.0, 2.0, 3.0], eps=0).round(3).tolist() == [-1.225, 0, 1.225]
"""


def test_it_need_not_be_installed():
    processes.in_silence(processes.run_code(WITHOUT_IT))


def count_threads_of_many_callers():
    """Four threads of Python call at once; the pool serves one of them at a time."""
    x = np.ones((2000, 512), np.float32)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: fastnorm.layer_norm(x), range(40)))
        running = len(os.listdir("/proc/self/task"))
    assert running <= 1 + 4 + fastnorm.get_num_threads() - 1, running


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="the count of threads is Linux's")
def test_threads_that_call_at_once_share_one_pool():
    processes.check(count_threads_of_many_callers, OPENBLAS_NUM_THREADS="1", FASTNORM_NUM_THREADS="3")


def number_of_threads(_):
    return fastnorm.get_num_threads()


def workers_of_joblib():
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        assert joblib.Parallel(n_jobs=2)(joblib.delayed(number_of_threads)(i) for i in range(4)) == [1] * 4


def test_workers_of_joblib_have_the_threads_it_says():
    processes.check(workers_of_joblib)


def most_threads_of(submit):
    """Threads of this process while many calls that want 3 of them run at once in threads of another library."""
    x = np.ones((2000, 2000), np.float32)
    fastnorm.layer_norm(x)
    with threadpool_limits(1, user_api="fastnorm"):
        submit(lambda _: fastnorm.layer_norm(x), 8)
    return len(os.listdir("/proc/self/task"))


def threads_of_dask():
    import dask
    import dask.threaded

    def submit(call, n):
        tasks = [dask.delayed(call)(i) for i in range(n)]
        dask.compute(*tasks, scheduler="threads", num_workers=4)

    assert most_threads_of(submit) <= 1 + 2 + 4, "the caller, fastnorm's workers and dask's"


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="the count of threads is Linux's")
def test_workers_of_dask_share_one_pool():
    pytest.importorskip("dask")
    processes.check(threads_of_dask, OPENBLAS_NUM_THREADS="1", FASTNORM_NUM_THREADS="3")
