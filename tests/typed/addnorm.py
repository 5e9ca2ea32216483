"""What a type checker and a run must both say of residual and normalization."""

from typing import assert_type

import numpy as np
from numpy.typing import NDArray

import fastnorm

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
x32, gamma = np.ones((2, 3), np.float32), np.ones(3)

assert_type(fastnorm.add_layer_norm(x32, x32), tuple[F32, F32])
y, total, mean, rstd = fastnorm.add_layer_norm(x32, x32, gamma, p=0.5, key=(1, 2), return_stats=True)
assert_type(total, F32)
assert_type(mean, F64)
assert_type(
    fastnorm.add_layer_norm_backward(y, None, total, mean, rstd, gamma, p=0.5, key=(1, 2)), tuple[F32, F32, F32, F32]
)
y, total, rstd = fastnorm.add_rms_norm(x32, x32, return_stats=True)
assert_type(fastnorm.add_rms_norm_backward(y, y, total, rstd), tuple[F32, F32, None])

x16 = np.ones((2, 3), np.float16)
assert_type(fastnorm.add_layer_norm(x16, x16), tuple[NDArray[np.float16], NDArray[np.float16]])
