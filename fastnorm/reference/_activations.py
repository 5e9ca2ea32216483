"""Activations, written to be read."""

import numpy as np

from fastnorm.reference._common import deliver, given, quiet, real, shaped
from fastnorm.reference._special import gelu_terms, logistic


def delivered(y, out, own, dtype):
    """The result in the dtype of the input, or in the one that was asked for."""
    return deliver(y, out, own if dtype is None else dtype)


@quiet
def relu(x, *, out=None, dtype=None):
    """The rectified linear unit: ``max(x, 0)``, number by number.

    Parameters
    ----------
    x : array_like
        Of float16, bfloat16, float32 or float64, at least 1-d; integers and booleans become float64. Any strides and
        byte order.
    out : ndarray, optional
        Where to write y: x's shape and dtype. May be x itself; any other overlap acts as if x was copied first.
    dtype : dtype, optional
        What to compute in and to return; the dtype of the input by default, in half precision computed in float32.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` if that was given.

    Raises
    ------
    ValueError
        If a shape does not fit.

    References
    ----------
    Nair & Hinton, "Rectified Linear Units Improve Restricted Boltzmann Machines", ICML 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> reference.relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    x, own = given(x, dtype)
    return delivered(np.where(x < 0, 0, x), out, own, dtype)


@quiet
def relu_backward(dy, y, *, out=None, dtype=None):
    """The gradient of `relu`: ``dy where y > 0, else 0``.

    Parameters
    ----------
    dy : array_like
        Gradient of y, of y's shape; rounded to y's dtype.
    y : array_like
        What the forward call returned.
    out : ndarray, optional
        Where to write dx: y's shape and dtype. May be dy or y itself.
    dtype : dtype, optional
        What to compute in and to return; the dtype of the input by default, in half precision computed in float32.

    Returns
    -------
    dx : ndarray
        Of y's shape and dtype; ``out`` if that was given.

    Raises
    ------
    ValueError
        If a shape does not fit.

    References
    ----------
    Nair & Hinton, "Rectified Linear Units Improve Restricted Boltzmann Machines", ICML 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> x = np.array([-1.0, 0.0, 2.0])
    >>> reference.relu_backward(np.ones(3), reference.relu(x))
    array([0., 0., 1.])
    """
    y, own = given(y, dtype)
    dy = shaped(dy, "dy", y.shape, own, y.dtype)
    return delivered(np.where(y > 0, dy, 0), out, own, dtype)


@quiet
def leaky_relu(x, *, slope=0.01, out=None, dtype=None):
    """The leaky rectified linear unit: ``x where x > 0, else slope * x``, number by number.

    Parameters
    ----------
    x : array_like
        Of float16, bfloat16, float32 or float64, at least 1-d; integers and booleans become float64. Any strides and
        byte order.
    slope : float, optional
        The factor of what is not positive: >= 0 and finite in x's dtype, to which it is rounded.
    out : ndarray, optional
        Where to write y: x's shape and dtype. May be x itself; any other overlap acts as if x was copied first.
    dtype : dtype, optional
        What to compute in and to return; the dtype of the input by default, in half precision computed in float32.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` if that was given.

    Raises
    ------
    ValueError
        If a shape does not fit.

    References
    ----------
    Maas, Hannun & Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models", ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> reference.leaky_relu(np.array([-1.0, 0.0, 2.0])).round(3)
    array([-0.01,  0.  ,  2.  ])
    """
    x, own = given(x, dtype)
    return delivered(np.where(x > 0, x, real(own).type(slope).astype(x.dtype) * x), out, own, dtype)


@quiet
def leaky_relu_backward(dy, y, *, slope=0.01, out=None, dtype=None):
    """The gradient of `leaky_relu`: ``dy where y > 0, else slope * dy``.

    Parameters
    ----------
    dy : array_like
        Gradient of y, of y's shape; rounded to y's dtype.
    y : array_like
        What the forward call returned.
    slope : float, optional
        The factor of what is not positive: >= 0 and finite in x's dtype, to which it is rounded.
    out : ndarray, optional
        Where to write dx: y's shape and dtype. May be dy or y itself.
    dtype : dtype, optional
        What to compute in and to return; the dtype of the input by default, in half precision computed in float32.

    Returns
    -------
    dx : ndarray
        Of y's shape and dtype; ``out`` if that was given.

    Raises
    ------
    ValueError
        If a shape does not fit.

    References
    ----------
    Maas, Hannun & Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models", ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> x = np.array([-1.0, 0.0, 2.0])
    >>> reference.leaky_relu_backward(np.ones(3), reference.leaky_relu(x)).round(3)
    array([0.01, 0.01, 1.  ])
    """
    y, own = given(y, dtype)
    dy = shaped(dy, "dy", y.shape, own, y.dtype)
    return delivered(np.where(y > 0, dy, real(own).type(slope).astype(y.dtype) * dy), out, own, dtype)


@quiet
def sigmoid(x, *, out=None, dtype=None):
    """The logistic function: ``1 / (1 + exp(-x))``, number by number.

    Parameters
    ----------
    x : array_like
        Of float16, bfloat16, float32 or float64, at least 1-d; integers and booleans become float64. Any strides and
        byte order.
    out : ndarray, optional
        Where to write y: x's shape and dtype. May be x itself; any other overlap acts as if x was copied first.
    dtype : dtype, optional
        What to compute in and to return; the dtype of the input by default, in half precision computed in float32.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` if that was given.

    Raises
    ------
    ValueError
        If a shape does not fit.

    References
    ----------
    Goodfellow, Bengio & Courville, "Deep Learning", MIT Press, 2016, section 3.10.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> reference.sigmoid(np.array([-1.0, 0.0, 2.0])).round(3)
    array([0.269, 0.5  , 0.881])
    """
    x, own = given(x, dtype)
    return delivered(logistic(x), out, own, dtype)


@quiet
def sigmoid_backward(dy, y, *, out=None, dtype=None):
    """The gradient of `sigmoid`: ``dy * y * (1 - y)``.

    Parameters
    ----------
    dy : array_like
        Gradient of y, of y's shape; rounded to y's dtype.
    y : array_like
        What the forward call returned.
    out : ndarray, optional
        Where to write dx: y's shape and dtype. May be dy or y itself.
    dtype : dtype, optional
        What to compute in and to return; the dtype of the input by default, in half precision computed in float32.

    Returns
    -------
    dx : ndarray
        Of y's shape and dtype; ``out`` if that was given.

    Raises
    ------
    ValueError
        If a shape does not fit.

    References
    ----------
    Goodfellow, Bengio & Courville, "Deep Learning", MIT Press, 2016, section 3.10.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> x = np.array([-1.0, 0.0, 2.0])
    >>> reference.sigmoid_backward(np.ones(3), reference.sigmoid(x)).round(3)
    array([0.197, 0.25 , 0.105])
    """
    y, own = given(y, dtype)
    dy = shaped(dy, "dy", y.shape, own, y.dtype)
    return delivered(dy * (y * (1 - y)), out, own, dtype)


@quiet
def tanh(x, *, out=None, dtype=None):
    """The hyperbolic tangent: ``(exp(2x) - 1) / (exp(2x) + 1)``, number by number.

    Parameters
    ----------
    x : array_like
        Of float16, bfloat16, float32 or float64, at least 1-d; integers and booleans become float64. Any strides and
        byte order.
    out : ndarray, optional
        Where to write y: x's shape and dtype. May be x itself; any other overlap acts as if x was copied first.
    dtype : dtype, optional
        What to compute in and to return; the dtype of the input by default, in half precision computed in float32.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` if that was given.

    Raises
    ------
    ValueError
        If a shape does not fit.

    References
    ----------
    Goodfellow, Bengio & Courville, "Deep Learning", MIT Press, 2016, section 6.3.2.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> reference.tanh(np.array([-1.0, 0.0, 2.0])).round(3)
    array([-0.762,  0.   ,  0.964])
    """
    x, own = given(x, dtype)
    return delivered(np.tanh(x), out, own, dtype)


@quiet
def tanh_backward(dy, y, *, out=None, dtype=None):
    """The gradient of `tanh`: ``dy * (1 - y) * (1 + y)``.

    Parameters
    ----------
    dy : array_like
        Gradient of y, of y's shape; rounded to y's dtype.
    y : array_like
        What the forward call returned.
    out : ndarray, optional
        Where to write dx: y's shape and dtype. May be dy or y itself.
    dtype : dtype, optional
        What to compute in and to return; the dtype of the input by default, in half precision computed in float32.

    Returns
    -------
    dx : ndarray
        Of y's shape and dtype; ``out`` if that was given.

    Raises
    ------
    ValueError
        If a shape does not fit.

    References
    ----------
    Goodfellow, Bengio & Courville, "Deep Learning", MIT Press, 2016, section 6.3.2.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> x = np.array([-1.0, 0.0, 2.0])
    >>> reference.tanh_backward(np.ones(3), reference.tanh(x)).round(3)
    array([0.42 , 1.   , 0.071])
    """
    y, own = given(y, dtype)
    dy = shaped(dy, "dy", y.shape, own, y.dtype)
    return delivered(dy * ((1 - y) * (1 + y)), out, own, dtype)


@quiet
def gelu(x, *, approximate="none", out=None, dtype=None):
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
    dtype : dtype, optional
        What to compute in and to return; the dtype of the input by default, in half precision computed in float32.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` if that was given.

    Raises
    ------
    ValueError
        If a shape or approximate does not fit.

    References
    ----------
    Hendrycks & Gimpel, "Gaussian Error Linear Units (GELUs)", arXiv:1606.08415, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> reference.gelu(np.array([-1.0, 0.0, 2.0])).round(3)
    array([-0.159,  0.   ,  1.954])
    """
    x, own = given(x, dtype)
    s, _ = gelu_terms(x, approximate)
    return delivered(np.where(np.isneginf(x), -0.0, x * s), out, own, dtype)


@quiet
def gelu_backward(dy, x, *, approximate="none", out=None, dtype=None):
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
    dtype : dtype, optional
        What to compute in and to return; the dtype of the input by default, in half precision computed in float32.

    Returns
    -------
    dx : ndarray
        Of x's shape and dtype; ``out`` if that was given.

    Raises
    ------
    ValueError
        If a shape or approximate does not fit.

    References
    ----------
    Hendrycks & Gimpel, "Gaussian Error Linear Units (GELUs)", arXiv:1606.08415, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> x = np.array([-1.0, 0.0, 2.0])
    >>> reference.gelu_backward(np.ones(3), x).round(3)
    array([-0.083,  0.5  ,  1.085])
    """
    x, own = given(x, dtype)
    dy = shaped(dy, "dy", x.shape, own, x.dtype)
    s, slope = gelu_terms(x, approximate)
    return delivered(dy * (s + np.where(np.isinf(x), 0, x * slope)), out, own, dtype)


@quiet
def silu(x, *, out=None, dtype=None):
    """The sigmoid linear unit, or swish: ``x / (1 + exp(-x))``, number by number.

    Parameters
    ----------
    x : array_like
        Of float16, bfloat16, float32 or float64, at least 1-d; integers and booleans become float64. Any strides and
        byte order.
    out : ndarray, optional
        Where to write y: x's shape and dtype. May be x itself; any other overlap acts as if x was copied first.
    dtype : dtype, optional
        What to compute in and to return; the dtype of the input by default, in half precision computed in float32.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` if that was given.

    Raises
    ------
    ValueError
        If a shape does not fit.

    References
    ----------
    Hendrycks & Gimpel, "Gaussian Error Linear Units (GELUs)", arXiv:1606.08415, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> reference.silu(np.array([-1.0, 0.0, 2.0])).round(3)
    array([-0.269,  0.   ,  1.762])
    """
    x, own = given(x, dtype)
    return delivered(np.where(np.isneginf(x), -0.0, x * logistic(x)), out, own, dtype)


@quiet
def silu_backward(dy, x, *, out=None, dtype=None):
    """The gradient of `silu`: ``dy * s * (1 + x * (1 - s)), s = 1 / (1 + exp(-x))``.

    Parameters
    ----------
    dy : array_like
        Gradient of y, of x's shape; rounded to x's dtype.
    x : array_like
        The input of the forward call.
    out : ndarray, optional
        Where to write dx: x's shape and dtype. May be dy or x itself.
    dtype : dtype, optional
        What to compute in and to return; the dtype of the input by default, in half precision computed in float32.

    Returns
    -------
    dx : ndarray
        Of x's shape and dtype; ``out`` if that was given.

    Raises
    ------
    ValueError
        If a shape does not fit.

    References
    ----------
    Hendrycks & Gimpel, "Gaussian Error Linear Units (GELUs)", arXiv:1606.08415, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> x = np.array([-1.0, 0.0, 2.0])
    >>> reference.silu_backward(np.ones(3), x).round(3)
    array([0.072, 0.5  , 1.091])
    """
    x, own = given(x, dtype)
    dy = shaped(dy, "dy", x.shape, own, x.dtype)
    s, rest = logistic(x), logistic(-x)
    return delivered(dy * (s + np.where(np.isinf(x), 0, x * s * rest)), out, own, dtype)
