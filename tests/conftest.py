"""Settings and fixtures for all tests."""

import numpy as np
import pytest
from hypothesis import settings

from support.isas import ISAS, using

settings.register_profile("fastnorm", deadline=None, derandomize=True, max_examples=150)
settings.load_profile("fastnorm")


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
