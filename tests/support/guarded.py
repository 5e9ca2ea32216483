"""Arrays between two pages that may not be touched: who reads or writes beyond their ends dies of it."""

import ctypes
import mmap

import numpy as np

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_PROT_NONE = 0
_CANARY = 0xA5


class Guarded:
    """Room for one array at a time, of up to `nbytes`, between two such pages."""

    def __init__(self, nbytes):
        inside = -(-nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
        self._memory = mmap.mmap(-1, inside + 2 * mmap.PAGESIZE)
        everything = np.frombuffer(self._memory, np.uint8)
        self._inside = everything[mmap.PAGESIZE : -mmap.PAGESIZE]
        for page in (everything, everything[-mmap.PAGESIZE :]):
            if _libc.mprotect(page.ctypes.data, mmap.PAGESIZE, _PROT_NONE):
                raise OSError(ctypes.get_errno(), "mprotect")
        self._gap = self._inside[:0]

    def at_end(self, shape, dtype, offset=0):
        """An array that ends `offset` bytes before the page behind it; below 0 it reaches into that page."""
        size = _nbytes(shape, dtype)
        start = self._inside.size - offset - size
        return self._place(shape, dtype, start, self._inside[start + size :])

    def at_begin(self, shape, dtype, offset=0):
        """An array that begins `offset` bytes behind the page before it; below 0 it reaches into that page."""
        return self._place(shape, dtype, offset, self._inside[: max(offset, 0)])

    def gap_is_whole(self):
        """Whether nobody has written between the last array and its page."""
        return bool((self._gap == _CANARY).all())

    def _place(self, shape, dtype, start, gap):
        self._gap = gap
        gap[:] = _CANARY
        return np.ndarray(shape, dtype, self._memory, mmap.PAGESIZE + start)


def _nbytes(shape, dtype):
    return int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
