"""What a type checker and a run must both say of BatchNorm."""

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import fastnorm

x32 = np.ones((2, 3), np.float32)
x64 = np.ones((2, 3))
gamma = np.ones(3)
running_mean, running_var = np.zeros(3), np.ones(3, np.float32)

assert_type(fastnorm.batch_norm(x32), NDArray[np.float32])
assert_type(
    fastnorm.batch_norm(x64, gamma, running_mean=running_mean, running_var=running_var, momentum=1, unbiased=False),
    NDArray[np.float64],
)
assert_type(fastnorm.batch_norm([[1], [2]], out=np.ones((2, 1))), NDArray[np.floating[Any]])

y, mean, rstd = fastnorm.batch_norm(x32, return_stats=True)
assert_type(y, NDArray[np.float32])
assert_type(mean, NDArray[np.float64])
assert_type(rstd, NDArray[np.float64])

assert_type(fastnorm.batch_norm_inference(x32, running_mean, running_var), NDArray[np.float32])
assert_type(fastnorm.batch_norm_inference([[1, 2, 3]], [0] * 3, [1] * 3, gamma, gamma), NDArray[np.floating[Any]])

F32 = NDArray[np.float32]
assert_type(fastnorm.batch_norm(x32, residual=x64, activation="relu"), F32)
assert_type(fastnorm.batch_norm_inference(x32, running_mean, running_var, residual=x32, activation="gelu"), F32)
assert_type(
    fastnorm.batch_norm_backward(y, x32, mean, rstd, gamma, beta=gamma, residual=x32, activation="silu"),
    tuple[F32, F32, F32, F32],
)
assert_type(
    fastnorm.batch_norm_backward(y, x32, mean, rstd, activation="tanh", where=[True, False]), tuple[F32, None, F32]
)
assert_type(
    fastnorm.batch_norm_inference_backward(y, x32, running_mean, running_var, residual=x32),
    tuple[F32, None, F32, F32],
)
assert_type(fastnorm.batch_norm_backward(y, x32, mean, rstd), tuple[F32, None, F32])
assert_type(fastnorm.batch_norm_backward(y, x32, mean, rstd, gamma, axis=1), tuple[F32, F32, F32])
assert_type(fastnorm.batch_norm_inference_backward(y, x32, running_mean, running_var, eps=0), tuple[F32, None, F32])
assert_type(fastnorm.batch_norm_inference_backward(y, x32, running_mean, running_var, gamma), tuple[F32, F32, F32])
