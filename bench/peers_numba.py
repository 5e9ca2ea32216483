"""Normalization kernels in Numba, for comparison: loops over rows, parallel and with fast math."""

import numba
import numpy as np

PARTS = 8  # into which the rows are cut for sums over columns


def _layer_norm(x, gamma, beta, eps):
    rows, length = x.shape
    y = np.empty_like(x)
    for i in numba.prange(rows):
        total = x.dtype.type(0)
        for j in range(length):
            total += x[i, j]
        mean = total / x.dtype.type(length)
        squares = x.dtype.type(0)
        for j in range(length):
            squares += (x[i, j] - mean) ** 2
        rstd = x.dtype.type(1) / np.sqrt(squares / x.dtype.type(length) + eps)
        for j in range(length):
            y[i, j] = (x[i, j] - mean) * rstd * gamma[j] + beta[j]
    return y


def _batch_norm(x, gamma, beta, eps):
    rows, channels = x.shape
    y = np.empty_like(x)
    sums = np.zeros((PARTS, channels), x.dtype)
    squares = np.zeros((PARTS, channels), x.dtype)
    # One sweep for both sums; distances from the first row keep the variance from cancelling.
    for part in numba.prange(PARTS):
        for i in range(part * rows // PARTS, (part + 1) * rows // PARTS):
            for j in range(channels):
                distance = x[i, j] - x[0, j]
                sums[part, j] += distance
                squares[part, j] += distance * distance
    mean = sums.sum(0) / x.dtype.type(rows)
    variance = squares.sum(0) / x.dtype.type(rows) - mean * mean
    scale = gamma / np.sqrt(variance + eps)
    shift = beta - (mean + x[0]) * scale
    for i in numba.prange(rows):
        for j in range(channels):
            y[i, j] = x[i, j] * scale[j] + shift[j]
    return y


def _batch_norm_inference(x, mean, variance, gamma, beta, eps):
    rows, channels = x.shape
    y = np.empty_like(x)
    scale = gamma / np.sqrt(variance + eps)
    shift = beta - mean * scale
    for i in numba.prange(rows):
        for j in range(channels):
            y[i, j] = x[i, j] * scale[j] + shift[j]
    return y


def compile_all(parallel: bool) -> dict:
    """The kernels by fastnorm's name of the operation; compiled at the first call with a dtype."""
    jit = numba.njit(parallel=parallel, fastmath=True, nogil=True)
    return {
        "layer_norm": jit(_layer_norm),
        "batch_norm": jit(_batch_norm),
        "batch_norm_inference": jit(_batch_norm_inference),
    }
