"""What a type checker and a run must both say of LayerNorm."""

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import fastnorm

x32 = np.ones((2, 3), np.float32)
x64 = np.ones((2, 3))
gamma, beta = [1.0, 2.0, 3.0], np.zeros(3)
flag = bool(x64.size)

assert_type(fastnorm.layer_norm(x32), NDArray[np.float32])
assert_type(fastnorm.layer_norm(x64, gamma, beta, axis=-1, eps=0, out=x64), NDArray[np.float64])
assert_type(fastnorm.layer_norm([[1, 2, 3]]), NDArray[np.floating[Any]])
assert_type(fastnorm.layer_norm(np.arange(3)), NDArray[np.floating[Any]])
assert_type(fastnorm.layer_norm(x32, return_stats=False), NDArray[np.float32])

y, mean, rstd = fastnorm.layer_norm(x32, gamma, return_stats=True)
assert_type(y, NDArray[np.float32])
assert_type(mean, NDArray[np.float64])
assert_type(rstd, NDArray[np.float64])
assert_type(
    fastnorm.layer_norm(x64, return_stats=flag),
    NDArray[np.floating[Any]] | tuple[NDArray[np.floating[Any]], NDArray[np.float64], NDArray[np.float64]],
)

assert_type(fastnorm.layer_norm(x32, activation="gelu", where=[True, False]), NDArray[np.float32])

dx, dgamma, dbeta = fastnorm.layer_norm_backward(y, x32, mean, rstd, gamma)
assert_type(dx, NDArray[np.float32])
assert_type(dgamma, NDArray[np.float32])
assert_type(dbeta, NDArray[np.float32])
behind = fastnorm.layer_norm_backward(y, x32, mean, rstd, gamma, beta=beta, activation="relu", where=mean > 0)
assert_type(behind[1], NDArray[np.float32])
none = fastnorm.layer_norm_backward(y, x32, mean, rstd)[1]
assert_type(none, None)

gamma_or_none = beta if flag else None
dgamma_or_none = fastnorm.layer_norm_backward(x64, x64, mean, rstd, gamma_or_none, out=x64)[1]
assert_type(dgamma_or_none, NDArray[np.float64] | None)

x16 = np.ones((2, 3), np.float16)
assert_type(fastnorm.layer_norm(x16), NDArray[np.float16])
of_halves = fastnorm.layer_norm_backward(x16, x16, mean, rstd, gamma)
assert_type(of_halves[0], NDArray[np.float16])
assert_type(of_halves[1], NDArray[np.float32])
