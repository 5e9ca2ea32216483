"""The limit of the cache of large results: what sets it, and what it does."""

import functools
import os
import sys

import numpy as np
import pytest

import fastnorm
from support.arrays import same_bits
from support.cache import DEFAULT, LIMIT, MB, VARIABLE, get_handler_name, ramp, run

pytestmark = [
    pytest.mark.usefixtures("cache"),
    pytest.mark.thread_unsafe(reason="looks at figures of the whole process"),
]


def test_empty_cache_frees_what_is_idle_and_nothing_else(cache):
    x = ramp(4 * MB)
    kept = fastnorm.layer_norm(x)
    expected = kept.copy()
    fastnorm.layer_norm(x)
    assert cache()["idle_blocks"] == 1
    assert fastnorm.empty_cache() is None
    assert (cache()["idle_bytes"], cache()["idle_blocks"], cache()["limit"]) == (0, 0, LIMIT)
    assert same_bits(kept, expected)
    del kept
    assert cache()["idle_blocks"] == 1


def test_a_limit_of_zero_switches_the_cache_off(cache):
    x = ramp(4 * MB)
    early = fastnorm.layer_norm(x)
    fastnorm.layer_norm(x)
    assert fastnorm.set_cache_limit(0) is None
    assert (cache()["limit"], cache()["idle_bytes"]) == (0, 0)
    y = fastnorm.layer_norm(x)
    assert get_handler_name(y) == DEFAULT
    assert same_bits(y, early)
    del early, y
    assert cache()["idle_bytes"] == 0
    fastnorm.set_cache_limit(LIMIT)
    assert get_handler_name(fastnorm.layer_norm(x)) == "fastnorm"


def test_results_larger_than_the_limit_are_not_kept(cache):
    fastnorm.set_cache_limit(MB)
    fastnorm.layer_norm(ramp(2 * MB))
    assert cache()["idle_bytes"] == 0
    fastnorm.layer_norm(ramp(MB // 2))
    assert cache()["idle_blocks"] == 1


@pytest.mark.parametrize("bytes", [0, 1, 123_456_789, np.int64(5 * MB), np.uint8(200), 10**30])
def test_limits_that_are_taken(cache, bytes):
    fastnorm.set_cache_limit(bytes)
    assert cache()["limit"] == min(int(bytes), sys.maxsize)


@pytest.mark.parametrize("bytes", [None, 1.0, "1", True, np.float64(3), [1], b"1"], ids=repr)
def test_limits_of_the_wrong_type(cache, bytes):
    with pytest.raises(TypeError, match=r"^bytes is .* of type .*, expected an integer$"):
        fastnorm.set_cache_limit(bytes)
    assert cache()["limit"] == LIMIT


@pytest.mark.parametrize("bytes", [-1, -(10**30), np.int8(-5)], ids=repr)
def test_negative_limits(cache, bytes):
    with pytest.raises(ValueError, match=rf"^bytes is {int(bytes)}, expected a number of bytes >= 0$"):
        fastnorm.set_cache_limit(bytes)
    assert cache()["limit"] == LIMIT


PRINT_LIMIT = "from fastnorm import _core; print(_core.cache_info()['limit'])"


@functools.cache
def default_limit():
    return int(run(PRINT_LIMIT).stdout)


def test_the_default_limit():
    limit = default_limit()
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < limit <= min(2**30, memory // 8)


@pytest.mark.parametrize("value, limit", [("0", 0), ("5000000", 5_000_000), (" 77 ", 77), ("9" * 30, sys.maxsize)])
def test_the_limit_from_the_environment(value, limit):
    result = run(PRINT_LIMIT, **{VARIABLE: value})
    assert int(result.stdout) == limit
    assert result.stderr == ""


@pytest.mark.parametrize("value", ["-1", "1e9", "1 GB", "²", "1_000"])
def test_a_bad_limit_in_the_environment_warns_and_is_ignored(value):
    result = run(PRINT_LIMIT, **{VARIABLE: value, "PYTHONIOENCODING": "utf-8"})
    assert "RuntimeWarning" in result.stderr
    assert VARIABLE in result.stderr
    if value.isascii():
        assert repr(value) in result.stderr
    assert int(result.stdout) == default_limit()


def test_an_empty_variable_is_none():
    result = run(PRINT_LIMIT, **{VARIABLE: ""})
    assert int(result.stdout) == default_limit()
    assert result.stderr == ""
