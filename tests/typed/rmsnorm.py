"""What a type checker and a run must both say of RMSNorm."""

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import fastnorm

x32 = np.ones((2, 3), np.float32)
x64 = np.ones((2, 3))

assert_type(fastnorm.rms_norm(x32), NDArray[np.float32])
assert_type(fastnorm.rms_norm(x64, [1.0, 2.0, 3.0], offset=1, out=x64), NDArray[np.float64])
assert_type(fastnorm.rms_norm([[1, 2, 3]]), NDArray[np.floating[Any]])

y, rstd = fastnorm.rms_norm(x32, axis=-1, eps=np.float32(1e-6), return_stats=True)
assert_type(y, NDArray[np.float32])
assert_type(rstd, NDArray[np.float64])

assert_type(fastnorm.rms_norm_backward(y, x32, rstd), tuple[NDArray[np.float32], None])
assert_type(
    fastnorm.rms_norm_backward(y, x32, rstd, np.ones(3), offset=1.0),
    tuple[NDArray[np.float32], NDArray[np.float32]],
)

x16 = np.ones((2, 3), np.float16)
assert_type(fastnorm.rms_norm(x16), NDArray[np.float16])
of_halves = fastnorm.rms_norm_backward(x16, x16, rstd, np.ones(3))
assert_type(of_halves[0], NDArray[np.float16])
assert_type(of_halves[1], NDArray[np.float32])
