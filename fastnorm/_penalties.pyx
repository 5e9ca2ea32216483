"""Penalties on weights: check, call."""

cimport numpy as cnp
from cpython.pystate cimport PyThreadState
from libc.math cimport HUGE_VAL

from fastnorm._arguments cimport as_number
from fastnorm._core cimport FN_FLOAT64, drivers_of, finish, release_if_long
from fastnorm._lists cimport (
    Arrays,
    as_inputs,
    as_outs,
    as_results,
    deliver_all,
    deliver_lists,
    describe,
    fn_array,
    places_of,
    results_for,
    set_apart,
)

cdef extern from "penalties.h" nogil:
    enum:
        FN_PENALTY_L1
        FN_PENALTY_L2

    ctypedef struct fn_penalty:
        int kinds
        double l1, l2

    ctypedef struct fn_penalties_drivers:
        int (*penalty)(fn_array *arrays, Py_ssize_t count, const fn_penalty *op, double *value)
        int (*soft_threshold)(fn_array *arrays, Py_ssize_t count, double step)

cnp.import_array()

cdef const fn_penalties_drivers *drivers = <const fn_penalties_drivers *>drivers_of("penalties")


cdef int set_gradient_apart(list grads, object grad, list w) except -1:
    """Of a w that lies on a gradient the copy is taken: it may have to be read twice."""
    cdef Py_ssize_t i
    set_apart(grads, grad, "grad", w)
    for i in range(len(w)):
        if cnp.PyArray_DATA(<cnp.ndarray>w[i]) == cnp.PyArray_DATA(<cnp.ndarray>grads[i]):
            w[i] = w[i].copy()
    return 0


cdef double penalty(object w, double l1, double l2, object grad) except? -1:
    cdef list inputs = as_inputs(w, "w"), grads = None, places = None
    cdef fn_penalty op
    cdef Arrays arrays
    cdef double value = 0
    op.l1, op.l2 = l1, l2
    op.kinds = (FN_PENALTY_L1 if l1 else 0) | (FN_PENALTY_L2 if l2 else 0)
    if grad is not None:
        grads = as_results(grad, "grad", inputs, w, "w")
        set_gradient_apart(grads, grad, inputs)
        places = places_of(grads)
    cdef bytes _room = describe(inputs, places, &arrays)
    if not op.kinds:
        return 0
    cdef PyThreadState *released = release_if_long(arrays.bytes // 8, 1, FN_FLOAT64)
    finish(released, drivers.penalty(arrays.arrays, arrays.count, &op, &value))
    if grads is not None:
        deliver_all(places, grads)
    return value


def l1_penalty(w, strength, grad=None):
    """Sum of the sizes of weights, ``strength * sum(|w|)``, and its gradient, in one pass over memory.

    Parameters
    ----------
    w : array_like, or list or tuple of them
        Of float16, bfloat16, float32 or float64, at least 1-d; integers and booleans become float64.
        Any strides and byte order. A list may hold arrays of any shapes and dtypes.
    strength : float
        Finite, at least 0. 0 gives the value 0 and no gradient, also where w is infinite or NaN.
    grad : ndarray, or list or tuple of them, optional
        ``strength * sign(w)`` is added to it, in place, 0 where w is 0. Of w's shape and dtype; a
        list if w is one, of as many arrays, which may share no memory. Where w overlaps it, the
        result is as if w were copied first.

    Returns
    -------
    value : float
        Of all arrays together.

    Raises
    ------
    TypeError
        For complex, object, string, datetime, longdouble or masked arrays, a strength that
        is no number, a ``grad`` of another dtype, or a list where w is none or the other way round.
    ValueError
        For a 0-d w, a strength out of range, a ``grad`` of another shape or length, read-only, or
        overlapping itself. Nothing has been changed then.

    Notes
    -----
    The value is a sum in double that loses nothing that shows: it is within a few eps of float64 of
    the true one, and does not overflow before it has to. Gradients are computed in double and
    rounded to w's dtype once, of half precision to float32 before. A NaN in w makes the value NaN,
    and its own place of the gradient.

    References
    ----------
    Tibshirani, "Regression Shrinkage and Selection via the Lasso", J. R. Statist. Soc. B 58, 1996.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> w, grad = np.array([1.0, -2.0, 0.0]), np.zeros(3)
    >>> fastnorm.l1_penalty(w, 0.5, grad)
    1.5
    >>> grad
    array([ 0.5, -0.5,  0. ])
    """
    return penalty(w, as_number(strength, "strength", HUGE_VAL), 0, grad)


def l2_penalty(w, strength, grad=None):
    """Half the sum of the squares of weights, ``strength / 2 * sum(w**2)``, and its gradient, in one pass over memory.

    Parameters
    ----------
    w : array_like, or list or tuple of them
        As of `l1_penalty`.
    strength : float
        Finite, at least 0. 0 gives the value 0 and no gradient, also where w is infinite or NaN.
    grad : ndarray, or list or tuple of them, optional
        ``strength * w`` is added to it, in place. As of `l1_penalty`.

    Returns
    -------
    value : float
        Of all arrays together.

    Raises
    ------
    TypeError, ValueError
        As `l1_penalty` does.

    Notes
    -----
    As of `l1_penalty`. Squares that no double can hold, of 1e200 or 1e-200, do no harm to a value
    that one can.

    References
    ----------
    Krogh & Hertz, "A Simple Weight Decay Can Improve Generalization", NIPS 1991.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> weights = [np.array([[3.0, 4.0]]), np.array([1.0], np.float32)]
    >>> grads = [np.zeros_like(w) for w in weights]
    >>> fastnorm.l2_penalty(weights, 0.5, grads)
    6.5
    >>> grads
    [array([[1.5, 2. ]]), array([0.5], dtype=float32)]
    """
    return penalty(w, 0, as_number(strength, "strength", HUGE_VAL), grad)


def elastic_net_penalty(w, l1, l2, grad=None):
    """Both penalties, ``l1 * sum(|w|) + l2 / 2 * sum(w**2)``, and their gradient, in one pass over memory.

    Parameters
    ----------
    w : array_like, or list or tuple of them
        As of `l1_penalty`.
    l1, l2 : float
        The strengths, finite and at least 0. With 0 its part is left out, also where w is infinite
        or NaN.
    grad : ndarray, or list or tuple of them, optional
        ``l1 * sign(w) + l2 * w`` is added to it, in place. As of `l1_penalty`.

    Returns
    -------
    value : float
        Of all arrays together.

    Raises
    ------
    TypeError, ValueError
        As `l1_penalty` does.

    Notes
    -----
    As of `l1_penalty`.

    References
    ----------
    Zou & Hastie, "Regularization and Variable Selection via the Elastic Net", J. R. Statist. Soc. B
    67, 2005.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> w, grad = np.array([1.0, -2.0, 0.0]), np.ones(3)
    >>> fastnorm.elastic_net_penalty(w, 0.5, 2, grad)
    6.5
    >>> grad
    array([ 3.5, -3.5,  1. ])
    """
    return penalty(w, as_number(l1, "l1", HUGE_VAL), as_number(l2, "l2", HUGE_VAL), grad)


def soft_threshold(w, step, out=None):
    """Shrink weights by a step, to zero and no further: ``sign(w) * max(|w| - step, 0)``.

    This is the proximal step of the L1 penalty: gradient descent by `l1_penalty` never makes a
    weight zero, a step of the descent without it followed by this one, with ``step = rate *
    strength``, does.

    Parameters
    ----------
    w : array_like, or list or tuple of them
        As of `l1_penalty`.
    step : float
        Finite, at least 0; rounded to w's dtype, of half precision to float32.
    out : ndarray, or list or tuple of them, optional
        Where to write the result: w's shape and dtype; a list if w is one, of as many arrays, which
        may share no memory. May be w itself; any other overlap acts as if w were copied first.

    Returns
    -------
    shrunk : ndarray, or list of ndarray
        Of w's shape and dtype; ``out`` if that was given. Where ``|w| <= step`` it is +0; NaN stays
        NaN, infinity infinite.

    Raises
    ------
    TypeError
        For complex, object, string, datetime, longdouble or masked arrays, a step that is
        no number, an ``out`` of another dtype, or a list where w is none or the other way round.
    ValueError
        For a 0-d w, a step out of range, an ``out`` of another shape or length, read-only, or
        overlapping itself. Nothing has been changed then.

    References
    ----------
    Daubechies, Defrise & De Mol, "An iterative thresholding algorithm for linear inverse problems
    with a sparsity constraint", Comm. Pure Appl. Math. 57, 2004.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> fastnorm.soft_threshold(np.array([3.0, -0.5, -2.0]), 1)
    array([ 2.,  0., -1.])
    """
    cdef double number = as_number(step, "step", HUGE_VAL)
    cdef list inputs = as_inputs(w, "w"), outs = as_outs(out, inputs, w, "w")
    cdef list results = results_for(inputs, outs)
    cdef Arrays arrays
    cdef bytes _room = describe(inputs, results, &arrays)
    cdef PyThreadState *released = release_if_long(arrays.bytes // 8, 1, FN_FLOAT64)
    finish(released, drivers.soft_threshold(arrays.arrays, arrays.count, number))
    return deliver_lists(results, outs, w, out)
