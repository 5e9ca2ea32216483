"""A Python without a GIL leaves it off when the package is imported: all modules declare that they do not need it.

Cython writes the declaration only into what is built for such a Python, so nothing can be looked at elsewhere.
"""

import sys
import sysconfig

import pytest

from support import processes


def import_without_gil():
    import numpy  # noqa: F401 - has to leave it off, too

    assert not sys._is_gil_enabled(), "NumPy switched it on"
    import fastnorm  # noqa: F401 - what the test is about

    assert not sys._is_gil_enabled()


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python is built with a GIL")
def test_the_gil_stays_off():
    processes.check(import_without_gil, PYTHON_GIL="")
