"""Dropout in plain NumPy."""

import numpy as np

from fastnorm.reference._common import deliver, quiet, real

LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


def philox(counter, key):
    """Philox 4x32-10: four random words of each counter of four words, arrays in uint64, under a key of two."""
    a, b, c, d = counter
    key0, key1 = key
    for _ in range(10):
        p, q = np.uint64(0xD2511F53) * a, np.uint64(0xCD9E8D57) * c
        a, b, c, d = (q >> HALF) ^ b ^ np.uint64(key0), q & LOW, (p >> HALF) ^ d ^ np.uint64(key1), p & LOW
        key0, key1 = (key0 + 0x9E3779B9) % 2**32, (key1 + 0xBB67AE85) % 2**32
    return a, b, c, d


def kept(size, p, key):
    """Which of `size` elements are kept."""
    seed, offset = key
    block = np.arange((size + 3) // 4, dtype=np.uint64)
    high = [np.full_like(block, word) for word in (offset % 2**32, offset >> 32)]
    words = np.stack(philox((block & LOW, block >> HALF, *high), (seed % 2**32, seed >> 32)), axis=-1)
    return words.ravel()[:size] >= min(round(p * 2**32), 2**32 - 1)


@quiet
def dropout(x, p, key, *, out=None, return_mask=False, dtype=None):
    """Set elements of `x` to zero with probability `p` and scale the others by ``1 / (1 - p)``.

    Parameters
    ----------
    x : array_like
        float16, bfloat16, float32 or float64, of one dimension at least; integers and booleans become float64.
    p : float
        From 0 to below 1.
    key : (seed, offset) or numpy.random.Generator
        Two integers from 0 to below 2**64: what decides the mask; a generator draws them.
    out : ndarray of the shape and dtype of the result, optional
        Where to put `y`. It may be `x` itself.
    return_mask : bool
        Whether to return the mask too.
    dtype : dtype, optional
        What to compute in and to return; the dtype of `x` by default, in half precision computed in float32.

    Returns
    -------
    y : ndarray of the shape of `x`
        In the dtype of `x`, or in `dtype`.
    mask : ndarray of uint8
        One bit for each element, 1 where it is kept, the lowest bit first. Only with `return_mask`.

    Raises
    ------
    TypeError, ValueError
        If `key` is no pair of integers, or `x` no array of numbers.

    References
    ----------
    N. Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 15, 2014.
    J. K. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> reference.dropout(np.ones(8), 0.5, (1, 0))
    array([2., 2., 2., 2., 2., 2., 0., 2.])
    """
    x = np.asarray(x)
    own = np.dtype(np.float64) if x.dtype.kind in "biu" else x.dtype.newbyteorder("=")
    own = own if dtype is None else np.dtype(dtype)
    if isinstance(key, np.random.Generator):
        key = key.integers(2**64, size=2, dtype=np.uint64).tolist()
    mask = kept(x.size, p, key)
    wide = real(own).type
    y = np.where(mask.reshape(x.shape), x.astype(wide) * wide(1 / (1 - p)), wide(0))
    y = deliver(y, out, own)
    return (y, np.packbits(mask, bitorder="little")) if return_mask else y


def dropout_backward(dy, p, key, *, out=None, dtype=None):
    """Gradient of `dropout`: `dy` where the same key keeps, scaled alike, else zero.

    Parameters
    ----------
    dy : array_like
        The gradient with respect to `y`.
    p : float
        That of the forward pass.
    key : (seed, offset)
        That of the forward pass.
    out : ndarray of the shape and dtype of the result, optional
        Where to put `dx`. It may be `dy` itself.
    dtype : dtype, optional
        What to compute in and to return; the dtype of `dy` by default, in half precision computed in float32.

    Returns
    -------
    dx : ndarray of the shape of `dy`

    Raises
    ------
    TypeError, ValueError
        If `key` is no pair of integers, or `dy` no array of numbers.

    References
    ----------
    N. Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 15, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> x = np.ones(8)
    >>> bool((reference.dropout_backward(x, 0.5, (1, 0)) == reference.dropout(x, 0.5, (1, 0))).all())
    True
    """
    return dropout(dy, p, key, out=out, dtype=dtype)
