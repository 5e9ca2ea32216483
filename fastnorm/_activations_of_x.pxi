# A part of _activations.pyx: the activations whose gradient is a function of x. That of the others is one of y.

cdef fn_activation gelu_kind(object approximate) except *:
    if not isinstance(approximate, str):
        given = f"{approximate!r} of type {type(approximate).__name__}"
        raise TypeError(f"approximate is {given}, expected 'none' or 'tanh'")
    if approximate == "none":
        return FN_GELU
    if approximate == "tanh":
        return FN_GELU_TANH
    raise ValueError(f"approximate is {approximate!r}, expected 'none' or 'tanh'")


def gelu(x, *, approximate="none", out=None):
    """The Gaussian error linear unit: ``x * Phi(x)``, number by number.

    Parameters
    ----------
    x : array_like
        Of float16, bfloat16, float32 or float64, at least 1-d; integers and booleans become float64. Any strides and
        byte order.
    approximate : {"none", "tanh"}, optional
        "none": Phi is the distribution function of the standard normal distribution. "tanh": Phi(x) is replaced by
        ``(1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2``.
    out : ndarray, optional
        Where to write y: x's shape and dtype. May be x itself; any other overlap acts as if x was copied first.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` if that was given.

    Raises
    ------
    TypeError
        For complex, object, string, datetime, longdouble or masked arrays, an ``out`` of another dtype, an
        approximate that is no string.
    ValueError
        For a 0-d input, an ``out`` of another shape, that is read-only or overlaps itself, another approximate.

    Notes
    -----
    The error is at most 4 ulp of the result, far tails and subnormal numbers included. NaN gives NaN. Half
    precision is computed in float32 and then rounded.

    References
    ----------
    Hendrycks & Gimpel, "Gaussian Error Linear Units (GELUs)", arXiv:1606.08415, 2016.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> fastnorm.gelu(np.array([-1.0, 0.0, 2.0])).round(3)
    array([-0.159,  0.   ,  1.954])
    """
    cdef cnp.ndarray x_array = as_input(x, "x")
    return forward(gelu_kind(approximate), x_array, 0, out)


def gelu_backward(dy, x, *, approximate="none", out=None):
    """The gradient of `gelu`: ``dy * (Phi(x) + x * Phi'(x))``.

    Parameters
    ----------
    dy : array_like
        Gradient of y, of x's shape; rounded to x's dtype.
    x : array_like
        The input of the forward call.
    approximate : {"none", "tanh"}, optional
        "none": Phi is the distribution function of the standard normal distribution. "tanh": Phi(x) is replaced by
        ``(1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2``.
    out : ndarray, optional
        Where to write dx: x's shape and dtype. May be dy or x itself.

    Returns
    -------
    dx : ndarray
        Of x's shape and dtype; ``out`` if that was given.

    Raises
    ------
    TypeError
        For complex, object, string, datetime, longdouble or masked arrays, an ``out`` of another dtype, an
        approximate that is no string.
    ValueError
        For a 0-d input, inputs of different shapes, an ``out`` of another shape, that is read-only or overlaps itself,
        another approximate.

    Notes
    -----
    The error is at most 4 eps of the dtype, relative to abs(dy) times the sum of the sizes of the terms of the
    derivative. Half precision is computed in float32 and then rounded.

    References
    ----------
    Hendrycks & Gimpel, "Gaussian Error Linear Units (GELUs)", arXiv:1606.08415, 2016.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> x = np.array([-1.0, 0.0, 2.0])
    >>> fastnorm.gelu_backward(np.ones(3), x).round(3)
    array([-0.083,  0.5  ,  1.085])
    """
    cdef cnp.ndarray x_array = as_input(x, "x")
    cdef cnp.ndarray dy_array = as_input_like_x(dy, "dy", x_array)
    return backward(gelu_kind(approximate), dy_array, x_array, 0, out)


def silu(x, *, out=None):
    """The sigmoid linear unit, or swish: ``x / (1 + exp(-x))``, number by number.

    Parameters
    ----------
    x : array_like
        Of float16, bfloat16, float32 or float64, at least 1-d; integers and booleans become float64. Any strides and
        byte order.
    out : ndarray, optional
        Where to write y: x's shape and dtype. May be x itself; any other overlap acts as if x was copied first.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` if that was given.

    Raises
    ------
    TypeError
        For complex, object, string, datetime, longdouble or masked arrays, an ``out`` of another dtype.
    ValueError
        For a 0-d input, an ``out`` of another shape, that is read-only or overlaps itself.

    Notes
    -----
    The error is at most 4 ulp of the result, far tails and subnormal numbers included. NaN gives NaN. Half
    precision is computed in float32 and then rounded.

    References
    ----------
    Hendrycks & Gimpel, "Gaussian Error Linear Units (GELUs)", arXiv:1606.08415, 2016.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> fastnorm.silu(np.array([-1.0, 0.0, 2.0])).round(3)
    array([-0.269,  0.   ,  1.762])
    """
    cdef cnp.ndarray x_array = as_input(x, "x")
    return forward(FN_SILU, x_array, 0, out)


def silu_backward(dy, x, *, out=None):
    """The gradient of `silu`: ``dy * s * (1 + x * (1 - s)), s = 1 / (1 + exp(-x))``.

    Parameters
    ----------
    dy : array_like
        Gradient of y, of x's shape; rounded to x's dtype.
    x : array_like
        The input of the forward call.
    out : ndarray, optional
        Where to write dx: x's shape and dtype. May be dy or x itself.

    Returns
    -------
    dx : ndarray
        Of x's shape and dtype; ``out`` if that was given.

    Raises
    ------
    TypeError
        For complex, object, string, datetime, longdouble or masked arrays, an ``out`` of another dtype.
    ValueError
        For a 0-d input, inputs of different shapes, an ``out`` of another shape, that is read-only or overlaps itself.

    Notes
    -----
    The error is at most 4 eps of the dtype, relative to abs(dy) times the sum of the sizes of the terms of the
    derivative. Half precision is computed in float32 and then rounded.

    References
    ----------
    Hendrycks & Gimpel, "Gaussian Error Linear Units (GELUs)", arXiv:1606.08415, 2016.

    Examples
    --------
    >>> import numpy as np, fastnorm
    >>> x = np.array([-1.0, 0.0, 2.0])
    >>> fastnorm.silu_backward(np.ones(3), x).round(3)
    array([0.072, 0.5  , 1.091])
    """
    cdef cnp.ndarray x_array = as_input(x, "x")
    cdef cnp.ndarray dy_array = as_input_like_x(dy, "dy", x_array)
    return backward(FN_SILU, dy_array, x_array, 0, out)
