"""The traffic limit of this machine, now: the least time in which it can move so many bytes.

The probe is ``limit.c``, compiled into a temporary folder with the compiler that built Python (or
``$CC``) when the benchmarks start.
"""

import ctypes
import os
import shlex
import subprocess
import sysconfig
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np

BLOCK = 128  # bytes; as in limit.c


def _compiler() -> list[str]:
    return shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")


def _load() -> ctypes.CDLL:
    source = Path(__file__).with_name("limit.c")
    with tempfile.TemporaryDirectory(prefix="fastnorm-bench-") as folder:
        library = Path(folder) / "limit.so"
        flags = ["-O3", "-std=gnu11", "-fPIC", "-shared", "-pthread"]
        subprocess.run([*_compiler(), *flags, str(source), "-o", str(library)], check=True)
        return ctypes.CDLL(str(library))  # stays loaded when the file is gone


@lru_cache(maxsize=1)
def _buffers(nbytes: int, count: int) -> list[np.ndarray]:
    """Arrays, 64-byte aligned.

    They are filled: the pages of untouched memory are all one page of zeros, which stays in the
    nearest cache and makes every machine look fast.
    """
    buffers = []
    for _ in range(count):
        memory = np.ones(nbytes // 8 + 8).view(np.uint8)
        start = -memory.ctypes.data % 64
        buffers.append(memory[start : start + nbytes])
    return buffers


def _pointers(arrays: list[np.ndarray]) -> ctypes.Array:
    return (ctypes.c_void_p * max(len(arrays), 1))(*(array.ctypes.data for array in arrays))


class Limit:
    """The probe for a number of threads; it also tries one, which is best for small arrays."""

    def __init__(self, threads: int):
        self.thread_counts = sorted({1, threads})
        self._probe = _load().least_seconds
        self._probe.restype = ctypes.c_double
        self._probe.argtypes = [
            *(ctypes.c_void_p, ctypes.c_int) * 2,
            ctypes.c_size_t,
            *(ctypes.c_int,) * 4,
        ]

    def _stream(self, nbytes: int, reads: int, writes: int) -> float:
        """Least seconds of one sweep, over thread counts and kinds of stores."""
        buffers = _buffers(nbytes, reads + writes)
        moved = nbytes * (reads + writes)
        inner = max(1, min(1000, 8_000_000 // moved))  # well under 1 ms
        repeats = 1 if moved > 30_000_000 else 2
        arguments = (_pointers(buffers[:reads]), reads, _pointers(buffers[reads:]), writes)
        times = [
            self._probe(*arguments, nbytes, threads, streaming, inner, repeats)
            for threads in self.thread_counts
            for streaming in ((0, 1) if writes else (0,))
        ]
        return min(time for time in times if time > 0)

    def seconds(self, nbytes: int, sweep: int, reads: int, writes: int) -> float:
        """Least seconds to read ``sweep`` arrays of ``nbytes``, then read and write the others."""
        padded = -(-nbytes // BLOCK) * BLOCK
        first = self._stream(padded, sweep, 0) if sweep else 0.0
        return first + self._stream(padded, reads, writes)
