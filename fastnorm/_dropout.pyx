"""Dropout: check, allocate, call."""

cimport numpy as cnp
from cpython.pystate cimport PyThreadState
from libc.math cimport isfinite
from libc.stdint cimport uint32_t

from fastnorm._arguments cimport as_double, as_input, check_out, deliver, place_result, storage_of
from fastnorm._core cimport FN_FLOAT32, FN_FLOAT64, drivers_of, finish, fn_dtype, fn_storage, release_if_long

cdef extern from "dropout.h" nogil:
    ctypedef struct fn_dropout_op:
        Py_ssize_t n
        const void *x
        void *y
        double scale
        unsigned char *mask
        fn_dropout_key key
        fn_storage storage

    ctypedef struct fn_dropout_drivers:
        int (*apply)(const fn_dropout_op *op, fn_dtype dtype)

import operator

import numpy as np

cnp.import_array()

cdef const fn_dropout_drivers *drivers = <const fn_dropout_drivers *>drivers_of("dropout")


cdef object as_word(object value, str name):
    """A part of a key: an integer in [0, 2**64)."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} of key is {value!r} of type {type(value).__name__}, expected an integer") from None
    if not 0 <= number < 2**64:
        raise ValueError(f"{name} of key is {number}, expected an integer in [0, 2**64)")
    return number


cdef tuple as_key(object key):
    """(seed, offset)."""
    if not isinstance(key, (tuple, list)):
        raise TypeError(
            f"key is {key!r} of type {type(key).__name__}, expected (seed, offset); dropout_key(rng) draws one")
    if len(key) != 2:
        raise ValueError(f"key has {len(key)} elements, expected two: (seed, offset)")
    return as_word(key[0], "seed"), as_word(key[1], "offset")


cdef double as_probability(object p) except? -1:
    cdef double number = as_double(p, "p")
    if not 0 <= number < 1:
        shown = p if isfinite(number) else number  # Python prints no integer of thousands of digits
        raise ValueError(f"p is {shown}, expected a number in [0, 1)")
    return number


cdef int set_key(fn_dropout_key *to, object key, double p) except -1:
    """key: (seed, offset), checked, or a generator."""
    to.seed, to.offset = key if isinstance(key, tuple) else dropout_key(key)
    to.threshold = <uint32_t>min(round(p * 4294967296.0), 4294967295)
    return 0


cdef object apply(object x, str name, object p, object key, object out, bint return_mask):
    """key: (seed, offset), checked, or a generator."""
    cdef cnp.ndarray x_array = as_input(x, name)
    cdef double probability = as_probability(p)
    check_out(out, x_array)
    cdef cnp.ndarray y = place_result(out, x_array, None, None, None, None)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(x_array)
    cdef cnp.ndarray mask = np.empty((n + 7) // 8, np.uint8) if return_mask else None
    cdef fn_dtype dtype = FN_FLOAT64 if cnp.PyArray_TYPE(x_array) == cnp.NPY_DOUBLE else FN_FLOAT32
    cdef fn_dropout_op op
    op.n = n
    op.x = cnp.PyArray_DATA(x_array)
    op.y = cnp.PyArray_DATA(y)
    op.scale = 1 / (1 - probability)
    op.storage = storage_of(x_array)
    op.mask = NULL if mask is None else <unsigned char *>cnp.PyArray_DATA(mask)
    # a call that is refused above has drawn nothing
    set_key(&op.key, key, probability)
    cdef PyThreadState *released = release_if_long(n, 4, dtype)
    finish(released, drivers.apply(&op, dtype))
    return (deliver(y, out), mask) if return_mask else deliver(y, out)


def dropout_key(rng):
    """Draw a key for `dropout` from a generator: a pair of integers below 2**64.

    Parameters
    ----------
    rng : numpy.random.Generator
        Moves on by two draws.

    Returns
    -------
    seed, offset : int
        Any pair is as good; every pair gives another mask.

    Raises
    ------
    TypeError
        For anything but a Generator.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> key = fastnorm.dropout_key(np.random.default_rng(0))
    >>> len(key)
    2
    """
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng is {rng!r} of type {type(rng).__name__}, expected a numpy.random.Generator")
    seed, offset = rng.integers(2**64, size=2, dtype=np.uint64).tolist()
    return seed, offset


def dropout(x, p, key, *, out=None, return_mask=False):
    """Set elements of x to zero with probability p and scale the others: ``y = x / (1 - p)`` where kept.

    Parameters
    ----------
    x : array_like
        Of float16, bfloat16, float32 or float64, at least 1-d; integers and booleans become float64. Any strides and byte
        order.
    p : float
        Probability that an element is dropped, in [0, 1); kept to within 2**-32. 0 keeps everything as it is.
    key : tuple of int or numpy.random.Generator
        ``(seed, offset)``, both in [0, 2**64): what decides the mask. A generator gives one by `dropout_key`, to be drawn
        beforehand where a backward pass follows.
    out : ndarray, optional
        Where to write y: x's shape and dtype. May be x itself; any other overlap acts as if x were copied first.
    return_mask : bool, optional
        Whether to return the mask too.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` if that was given. Dropped elements are +0, also where x is NaN or infinite.
    mask : ndarray
        Only with ``return_mask``: one bit for each element, 1 where it is kept, as ``numpy.packbits(kept.ravel(),
        bitorder="little")`` has them; uint8 of shape ``((x.size + 7) // 8,)``. Nothing needs it: the key gives the mask.

    Raises
    ------
    TypeError
        For complex, object, string, datetime, longdouble or masked arrays, a p or key of another type, an
        ``out`` of another dtype.
    ValueError
        For a 0-d x, a p or key out of range, an ``out`` of another shape, read-only or overlapping itself.

    Notes
    -----
    The mask is a function of the key and of the place of an element in C order alone: the same for any number of threads,
    CPU, layout or dtype. An element is kept if word ``i % 4`` of Philox 4x32-10, with the seed as key and ``(i // 4,
    offset)`` as counter, is at least ``p * 2**32``. The scale is computed in double and rounded to x's dtype, y is rounded
    once. Half precision is computed in float32 and rounded at the end: y has the bits of the float32 result of the same
    numbers.

    References
    ----------
    Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 15, 2014.
    Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011 (Philox).

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> fastnorm.dropout(np.ones(8), 0.5, (1, 0))
    array([2., 2., 2., 2., 2., 2., 0., 2.])
    """
    return apply(x, "x", p, key if isinstance(key, np.random.Generator) else as_key(key), out, return_mask)


def dropout_backward(dy, p, key, *, out=None):
    """Gradient of `dropout`: dy where the same key keeps, scaled alike, else zero.

    Parameters
    ----------
    dy : array_like
        Gradient of y, of x's shape and dtype.
    p : float
        That of the forward call.
    key : tuple of int
        ``(seed, offset)`` of the forward call.
    out : ndarray, optional
        Where to write dx: dy's shape and dtype. May be dy itself.

    Returns
    -------
    dx : ndarray
        Of dy's shape and dtype.

    Raises
    ------
    TypeError, ValueError
        As `dropout` does; a generator, too, is a TypeError, for it would give another mask.

    References
    ----------
    Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 15, 2014.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> key = fastnorm.dropout_key(np.random.default_rng(0))
    >>> x = np.ones((3, 4))
    >>> y = fastnorm.dropout(x, 0.5, key)
    >>> bool((fastnorm.dropout_backward(x, 0.5, key) == y).all())
    True
    """
    return apply(dy, "dy", p, as_key(key), out, False)
