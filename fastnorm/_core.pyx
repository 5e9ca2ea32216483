"""The compiled core: which kernels run, on how many threads, and where large results lie."""

cimport numpy as cnp
from cpython.pystate cimport PyThreadState
from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_New
from libc.string cimport memset, strcpy

import os
import sys
import threading
import warnings

import numpy as np

from fastnorm._version import version as _version

cnp.import_array()

cdef extern from "fastnorm.h" nogil:
    pass

cdef extern from "drivers.h" nogil:
    const void *fn_drivers_of(const char *family)

cdef extern from "c_api_table.h" nogil:
    const void *fn_c_api_table()

cdef extern from "dispatch.h" nogil:
    ctypedef struct fn_cpu_features:
        int avx2, avx512, neon
    fn_cpu_features fn_cpu_detect()
    size_t fn_cpu_last_cache_bytes()
    void fn_dispatch_init(fn_cpu_features enabled)
    int fn_isa_count()
    const char *fn_isa_name(int i)
    int fn_isa_current()
    void fn_isa_use(int i)

cdef extern from "parallel.h" nogil:
    void fn_parallel_init()
    int fn_get_num_threads()
    void fn_set_num_threads(int n)
    int fn_swap_local_num_threads(int n)

cdef extern from "buffers.h" nogil:
    ctypedef struct fn_buffer_figures:
        size_t limit, idle_bytes, idle_blocks
        unsigned long long hits, misses
    void fn_buffer_init()
    void *fn_buffer_alloc(size_t size)
    void *fn_buffer_resize(void *memory, size_t size)
    void fn_buffer_free(void *memory)
    void fn_buffer_set_limit(size_t bytes)
    size_t fn_buffer_limit()
    void fn_buffer_empty()
    fn_buffer_figures fn_buffer_look()

cdef extern from "running.h" nogil:
    void fn_widen_statistics(const float *source, double *target, Py_ssize_t n)

cdef extern from "numpy/arrayobject.h":
    PyObject *PyDataMem_DefaultHandler

cdef extern from "Python.h":
    PyThreadState *PyEval_SaveThread()
    void PyEval_RestoreThread(PyThreadState *state)

cdef extern from "build_info.h":
    const char *FN_COMPILER

cdef enum:
    # Traffic from which the GIL is released. Taking it back beside a busy Python thread can cost a switch interval of
    # 5 ms, so only work of that order (at some 10 GB/s) may pay for it.
    LONG_WORK_BYTES = 2 * 1024 * 1024


# ---- drivers ----------------------------------------------------------------------------------------------------------

cdef const void *drivers_of(str family) except NULL:
    """The table of a family, of its own type."""
    cdef const void *drivers = fn_drivers_of(family.encode())
    if drivers is NULL:
        raise ImportError(f"no drivers of {family}: modules of different builds of fastnorm")
    return drivers


cdef PyThreadState *release_if_long(Py_ssize_t rows, Py_ssize_t features, fn_dtype dtype) noexcept:
    """Lets go of the GIL for long work; pass the result on to finish()."""
    if rows * features > LONG_WORK_BYTES // (8 if dtype == FN_FLOAT32 else 16):
        return PyEval_SaveThread()
    return NULL


cdef int finish(PyThreadState *released, int status) except -1:
    """Takes the GIL back; MemoryError if the driver could not work."""
    if released is not NULL:
        PyEval_RestoreThread(released)
    if status:
        raise MemoryError("fastnorm: no memory for scratch")
    return 0


# ---- which kernels ----------------------------------------------------------------------------------------------------

cdef fn_cpu_features detected = fn_cpu_detect()

__cpu_features__ = {"AVX2": bool(detected.avx2), "AVX512": bool(detected.avx512), "NEON": bool(detected.neon)}


cdef fn_cpu_features enabled_features():
    """The detected features less those that FASTNORM_DISABLE_CPU_FEATURES names."""
    cdef fn_cpu_features enabled = detected
    for name in os.environ.get("FASTNORM_DISABLE_CPU_FEATURES", "").replace(",", " ").split():
        if name.upper() not in __cpu_features__:
            warnings.warn(
                f"FASTNORM_DISABLE_CPU_FEATURES names {name!r}, which is none of {', '.join(__cpu_features__)}; ignored",
                RuntimeWarning, stacklevel=2)
        elif name.upper() == "AVX2":
            enabled.avx2 = enabled.avx512 = False  # AVX-512 kernels use AVX2 too
        elif name.upper() == "AVX512":
            enabled.avx512 = False
        else:
            enabled.neon = False
    return enabled


def isas():
    """Names of the kernel tables that can run here, best last."""
    return tuple(fn_isa_name(i).decode() for i in range(fn_isa_count()))


def use_isa(name):
    """Switch to another kernel table and return the name of the one before; for tests and measurements."""
    names = isas()
    if name not in names:
        raise ValueError(f"isa is {name!r}, expected one of {names}")
    before = names[fn_isa_current()]
    fn_isa_use(names.index(name))
    return before


# ---- threads ----------------------------------------------------------------------------------------------------------

cdef int as_thread_count(object n) except -1:
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise TypeError(f"n is {n!r} of type {type(n).__name__}, expected an integer")
    count = n.__index__()
    if not 1 <= count <= 2**31 - 1:
        raise ValueError(f"n is {count}, expected a number of threads >= 1")
    return count


def get_num_threads():
    """Return the number of threads that calls from this thread may use.

    Returns
    -------
    int
        What `threads` or `set_num_threads` gave, else FASTNORM_NUM_THREADS, else OMP_NUM_THREADS, else the cores that the
        affinity mask and the cgroup CPU quota allow.

    Examples
    --------
    >>> import fastnorm
    >>> fastnorm.get_num_threads() >= 1
    True
    """
    return fn_get_num_threads()


def set_num_threads(n):
    """Set the number of threads for the whole process.

    Parameters
    ----------
    n : int
        At least 1; taken as it is, even above the number of cores. Results have the same bits for every n.

    Raises
    ------
    TypeError, ValueError
        If n is no integer, or below 1.

    Examples
    --------
    >>> import fastnorm
    >>> before = fastnorm.get_num_threads()
    >>> fastnorm.set_num_threads(1)
    >>> fastnorm.get_num_threads()
    1
    >>> fastnorm.set_num_threads(before)
    """
    fn_set_num_threads(as_thread_count(n))


def limit_num_threads(n):
    """Set the number that `get_num_threads` gives here: the calling thread's own if it has one, else the process's."""
    cdef int count = as_thread_count(n)
    if fn_swap_local_num_threads(count) == 0:
        fn_swap_local_num_threads(0)
        fn_set_num_threads(count)


class threads:
    """Context manager: the number of threads for calls made by this thread, inside the block.

    Parameters
    ----------
    n : int
        At least 1.

    Raises
    ------
    TypeError, ValueError
        If n is no integer, or below 1.

    Examples
    --------
    >>> import fastnorm
    >>> with fastnorm.threads(1):
    ...     fastnorm.get_num_threads()
    1
    """

    def __init__(self, n):
        self._n = as_thread_count(n)
        self._of_thread = threading.local()  # one object may be entered by several threads

    def __enter__(self):
        before = fn_swap_local_num_threads(self._n)
        self._of_thread.__dict__.setdefault("before", []).append(before)
        return self

    def __exit__(self, *exc_info):
        fn_swap_local_num_threads(self._of_thread.before.pop())


# ---- large results ----------------------------------------------------------------------------------------------------

# NumPy's hooks for the memory of an array (NEP 49). An array keeps the handler it was made with, so it can be resized
# and freed at any time, by anyone, when another one is in force again. NumPy itself tells tracemalloc.

cdef void *handle_malloc(void *ctx, size_t size) noexcept nogil:
    return fn_buffer_alloc(size)


cdef void *handle_calloc(void *ctx, size_t count, size_t size) noexcept nogil:
    if size != 0 and count > <size_t>-1 // size:
        return NULL
    cdef void *memory = fn_buffer_alloc(count * size)
    return NULL if memory == NULL else memset(memory, 0, count * size)


cdef void *handle_realloc(void *ctx, void *memory, size_t size) noexcept nogil:
    return fn_buffer_resize(memory, size)


cdef void handle_free(void *ctx, void *memory, size_t size) noexcept nogil:
    fn_buffer_free(memory)


cdef cnp.PyDataMem_Handler handler
strcpy(handler.name, b"fastnorm")
handler.version = 1
handler.allocator.ctx = NULL
handler.allocator.malloc = handle_malloc
handler.allocator.calloc = handle_calloc
handler.allocator.realloc = handle_realloc
handler.allocator.free = handle_free

cdef object handler_capsule = PyCapsule_New(&handler, "mem_handler", NULL)


cdef cnp.ndarray new_large(int ndim, cnp.npy_intp *dims, int typenum):
    """An array on a block of the cache; an ordinary one while the cache is off or the user has a handler in force."""
    if fn_buffer_limit() == 0:
        return cnp.PyArray_EMPTY(ndim, dims, typenum, 0)
    before = cnp.PyDataMem_SetHandler(handler_capsule)
    if <PyObject *>before != PyDataMem_DefaultHandler:
        cnp.PyDataMem_SetHandler(before)
        return cnp.PyArray_EMPTY(ndim, dims, typenum, 0)
    try:
        return cnp.PyArray_EMPTY(ndim, dims, typenum, 0)
    finally:
        cnp.PyDataMem_SetHandler(before)


cdef void widen(const float *source, double *target, Py_ssize_t n) noexcept:
    """float32 as float64. In C: what is compiled for size, as this file is, takes eight times as long."""
    fn_widen_statistics(source, target, n)


def set_cache_limit(bytes):
    """Set how much memory of dead results may be kept for results to come.

    Memory that the process has already costs no page faults. When a large result (128 KB or more) is freed, its memory
    waits for the next result of about its size; what has waited longest goes when there is too much. Memory of results
    that are alive does not count. All threads share one cache; the limit is that of the process.

    Parameters
    ----------
    bytes : int
        At least 0; 0 keeps nothing and leaves all memory to NumPy. What is kept beyond the new limit is freed at once.
        At first: FASTNORM_CACHE_LIMIT, else 1 GiB or 1/8 of the memory, whichever is less.

    Raises
    ------
    TypeError, ValueError
        If bytes is no integer, or negative.

    See Also
    --------
    empty_cache : Free what is kept now.
    show_config : What is kept now, and the limit.

    Examples
    --------
    >>> import fastnorm
    >>> fastnorm.set_cache_limit(256 * 2**20)
    """
    if isinstance(bytes, bool) or not hasattr(bytes, "__index__"):
        raise TypeError(f"bytes is {bytes!r} of type {type(bytes).__name__}, expected an integer")
    limit = bytes.__index__()
    if limit < 0:
        raise ValueError(f"bytes is {limit}, expected a number of bytes >= 0")
    fn_buffer_set_limit(min(limit, sys.maxsize))


def empty_cache():
    """Free the memory of dead results that is kept for results to come.

    Results that are alive are not touched, and the limit stays as it is: see `set_cache_limit`.

    Examples
    --------
    >>> import fastnorm
    >>> fastnorm.empty_cache()
    """
    fn_buffer_empty()


def cache_info():
    """The figures of the cache as a dict; for tests and measurements."""
    return fn_buffer_look()


cdef int read_cache_limit() except -1:
    text = os.environ.get("FASTNORM_CACHE_LIMIT", "").strip()
    if text.isascii() and text.isdigit():
        fn_buffer_set_limit(min(int(text), sys.maxsize))
    elif text:
        warnings.warn(
            f"FASTNORM_CACHE_LIMIT is {text!r}, expected a number of bytes >= 0; ignored", RuntimeWarning, stacklevel=2)
    return 0


cdef str cache_line():
    cdef fn_buffer_figures figures = fn_buffer_look()
    blocks = "1 block" if figures.idle_blocks == 1 else f"{figures.idle_blocks} blocks"
    return (f"limit {figures.limit / 2**20:.0f} MB; {figures.idle_bytes / 2**20:.0f} MB idle in {blocks}; "
            f"{figures.hits} of {figures.hits + figures.misses} large results found memory in it")


# ---- configuration ----------------------------------------------------------------------------------------------------

def show_config():
    """Print the version, the compiler, the kernels in use and available, the threads and the cache of results.

    Examples
    --------
    >>> import fastnorm
    >>> fastnorm.show_config()  # doctest: +ELLIPSIS
    fastnorm ...
    """
    names = isas()
    found = [name for name, present in __cpu_features__.items() if present]
    print(f"fastnorm {_version}")
    print(f"  compiler        {FN_COMPILER.decode()}")
    print(f"  python, numpy   {sys.version.split()[0]}, {np.__version__}")
    print(f"  cpu features    {' '.join(found) or 'none that matter'}")
    print(f"  isa in use      {names[fn_isa_current()]}")
    print(f"  isas available  {', '.join(names)}")
    print(f"  threads         {fn_get_num_threads()}")
    print(f"  cpu cache       last level {fn_cpu_last_cache_bytes() / 2**20:.0f} MB")
    print(f"  result cache    {cache_line()}")


fn_dispatch_init(enabled_features())
fn_buffer_init()  # before the threads: see buffers.h
read_cache_limit()
fn_parallel_init()


# ---- for compiled code ----------------------------------------------------------------------------------------------

# A fastnorm_c_api, for PyCapsule_Import by its name.
c_api = PyCapsule_New(<void *>fn_c_api_table(), "fastnorm._core.c_api", NULL)
