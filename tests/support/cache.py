"""What the tests of the cache of large results share; its fixture, `cache`, is in conftest.py."""

import os
import subprocess
import sys

import numpy as np

MB = 2**20
VARIABLE = "FASTNORM_CACHE_LIMIT"
LIMIT = 64 * MB

get_handler_name = np._core.multiarray.get_handler_name
DEFAULT = get_handler_name()


def ramp(bytes, dtype=np.float32):
    """An array of that many bytes, in rows of 64."""
    rows = bytes // (64 * np.dtype(dtype).itemsize)
    return np.arange(64 * rows, dtype=dtype).reshape(rows, 64) % 1009


def run(code, **environment):
    """What a fresh Python prints."""
    clean = {k: v for k, v in os.environ.items() if k not in (VARIABLE, "PYTHONWARNINGS")}
    result = subprocess.run(
        [sys.executable, "-P", "-c", code], env=clean | environment, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    return result
