"""Settings and fixtures for all tests."""

import gc

import numpy as np
import pytest
from hypothesis import settings

import fastnorm
from fastnorm import _core
from support import control
from support.cache import DEFAULT, LIMIT, get_handler_name
from support.isas import ISAS, using

settings.register_profile("fastnorm", deadline=None, derandomize=True, max_examples=150)
settings.load_profile("fastnorm")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: minutes of stress; left out unless asked for by -m, as in -m slow")
    config.addinivalue_line("markers", "unsanitized(reason): left out by make asan")


def pytest_collection_modifyitems(config, items):
    if config.option.markexpr:
        return
    slow = [item for item in items if "slow" in item.keywords]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if "slow" not in item.keywords]


def pytest_report_header():
    return f"fastnorm: ISAs {', '.join(ISAS)}; NumPy {np.__version__}"


@pytest.fixture
def rng():
    return np.random.default_rng(20151502)


@pytest.fixture(params=ISAS)
def isa(request):
    """Every instruction set of this machine in turn."""
    with using(request.param):
        yield request.param


@pytest.fixture
def process_threads():
    """A test that sets the number of the process; it is put back."""
    before = fastnorm.get_num_threads()
    yield before
    fastnorm.set_num_threads(before)


@pytest.fixture
def process_cache_limit():
    """A test that sets how much memory of results is kept; it is put back."""
    before = _core.cache_info()["limit"]
    yield before
    fastnorm.set_cache_limit(before)


@pytest.fixture(scope="session")
def control_library(tmp_path_factory):
    """The path of a library that sets the floating-point control register: see `support.control`."""
    path = control.build(tmp_path_factory.mktemp("control"))
    if path is None:
        pytest.skip("no C compiler, or no way here to set the floating-point control register")
    return path


@pytest.fixture
def cache():
    """An empty cache of a known limit; the figures as a function."""
    before = _core.cache_info()["limit"]
    gc.collect()  # no result of an earlier test dies in this one
    fastnorm.empty_cache()
    fastnorm.set_cache_limit(LIMIT)
    if _core.cache_info()["limit"] == 0:
        pytest.skip("built so that nothing is kept")
    yield _core.cache_info
    fastnorm.set_cache_limit(before)
    assert get_handler_name() == DEFAULT
